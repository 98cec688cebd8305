use crate::testing::Flowing;

fn foreach(attrs: &str, steps: &str) -> String {
    format!("<foreach {attrs}><sequence>{steps}</sequence></foreach>")
}

#[track_caller]
fn xml(attrs: &str, steps: &str, body: &str, expected: &str) {
    let outcome = Flowing::of(&foreach(attrs, steps)).xml(body).run();
    assert_eq!(outcome.fault(), None);
    assert_eq!(outcome.payload_xml(), expected);
}

#[track_caller]
fn json(attrs: &str, steps: &str, body: &str, expected: &str) {
    let outcome = Flowing::of(&foreach(attrs, steps)).json(body).run();
    assert_eq!(outcome.fault(), None);
    assert_eq!(outcome.payload_text(), expected);
}

const ADD_TEXT: &str = "<payloadFactory><format><b>$1-$2</b></format><args><arg expression='//a'/><arg expression='$ctx:FOREACH_COUNTER'/></args></payloadFactory>";

#[test]
fn nodes_are_replaced_in_order() {
    xml("expression='//a'", ADD_TEXT, "<o><a>x</a><c/><a>y</a></o>", "<o><c/><b>x-0</b><b>y-1</b></o>");
    xml("expression='//none'", ADD_TEXT, "<o><a/></o>", "<o><a/></o>");
}

#[test]
fn namespaces_of_ancestors_are_kept() {
    let outcome = Flowing::of(&foreach("expression='//p:a' xmlns:p='urn:p'", "<property name='a' value='1'/>"))
        .xml("<p:o xmlns:p='urn:p'><p:a/></p:o>")
        .run();
    assert_eq!(outcome.payload_xml(), "<p:o xmlns:p='urn:p'><p:a/></p:o>");
}

#[test]
fn properties_tell_the_state() {
    let outcome = Flowing::of(&foreach(
        "id='i' expression='//a'",
        "<property name='seen' expression='$ctx:i_FOREACH_ORIGINAL_MESSAGE//c'/>",
    ))
    .xml("<o><a/><a/><c>1</c></o>")
    .run();
    assert_eq!(outcome.property("i_FOREACH_COUNTER").as_deref(), Some("2"));
    assert_eq!(outcome.property("seen").as_deref(), Some("1"));
}

const WRAP: &str = "<payloadFactory media-type='json'><format>{\"v\":$1}</format><args><arg evaluator='json' expression='$.n'/></args></payloadFactory>";

#[test]
fn json_arrays() {
    json("expression='json-eval($.l)'", WRAP, r#"{"l":[{"n":1},{"n":2}],"k":3}"#, r#"{"l":[{"v":1},{"v":2}],"k":3}"#);
    json("expression='json-eval($)'", WRAP, r#"[{"n":1}]"#, r#"[{"v":1}]"#);
    json("expression='json-eval($.l)'", WRAP, r#"{"l":[]}"#, r#"{"l":[]}"#);
    let outcome = Flowing::of(&foreach("expression='json-eval($.l)'", WRAP)).json(r#"{"l":1}"#).run();
    assert!(outcome.fault().is_some_and(|it| it.contains("is not a valid JSON array")));
}

const FAIL_ON_TWO: &str = "<filter xpath='//n = 2'><throwError errorMessage='two'/></filter>";

#[test]
fn failures() {
    let body = r#"{"l":[{"n":1},{"n":2},{"n":3}]}"#;
    let goes_on = "expression='json-eval($.l)' continueLoopOnFailure='true'";
    json(goes_on, FAIL_ON_TWO, body, r#"{"l":[{"n":1},{"n":3}]}"#);
    xml(
        "expression='//a' continueLoopOnFailure='true'",
        FAIL_ON_TWO,
        "<o><a><n>2</n></a><a><n>3</n></a></o>",
        "<o><a><n>2</n></a><a><n>3</n></a></o>",
    );
    let outcome = Flowing::of(&foreach("expression='json-eval($.l)'", FAIL_ON_TWO)).json(body).run();
    assert_eq!(outcome.fault().as_deref(), Some("two"));
}

#[test]
fn a_drop_ends_the_loop_only() {
    let xml = format!("<rules>{}<property name='after' value='1'/></rules>", foreach("expression='//a'", "<drop/>"));
    let outcome = Flowing::of(&xml).xml("<o><a/><a/></o>").run();
    assert_eq!(outcome.property("after").as_deref(), Some("1"));
    assert_eq!(outcome.property("FOREACH_COUNTER").as_deref(), Some("1"));
}

#[test]
fn wrong_configurations_are_refused() {
    assert!(Flowing::error_of("<foreach><sequence/></foreach>").contains("'expression'"));
    assert!(
        Flowing::error_of("<foreach expression='//a'><sequence><call/></sequence></foreach>")
            .contains("cannot contain Call")
    );
}

const AGE: &str = "<payloadFactory media-type='json'><format>{\"v\":${payload.n}}</format></payloadFactory>";

#[test]
fn collections_of_json() {
    let body = r#"{"l":[{"n":1},{"n":2},{"n":3}],"k":0}"#;
    let replaced = r#"{"l":[{"v":1},{"v":2},{"v":3}],"k":0}"#;
    json("collection='${payload.l}'", AGE, body, replaced);
    json("collection='${payload.l}' parallel-execution='false'", AGE, body, replaced);
    json("collection='${payload}'", AGE, r#"[{"n":1}]"#, r#"[{"v":1}]"#);
    json("collection='${payload.l}' continue-without-aggregation='true'", AGE, body, body);
    json("collection='${payload.none}'", AGE, r#"{"none":[]}"#, r#"{"none":[]}"#);
    let to_variable =
        "collection='${payload.l}' update-original='false' target-variable='r' result-content-type='JSON'";
    let outcome = Flowing::of(&foreach(to_variable, AGE)).json(body).run();
    assert_eq!(outcome.variable("r").as_deref(), Some(r#"[{"v":1},{"v":2},{"v":3}]"#));
    assert_eq!(outcome.payload_text(), body);
}

#[test]
fn collections_of_nodes() {
    let step = "<payloadFactory><format><b>$1</b></format><args><arg expression='//a'/></args></payloadFactory>";
    let body = "<o><a>1</a><a>2</a></o>";
    xml("collection=\"${xpath('//o/a')}\"", step, body, "<o><b>1</b><b>2</b></o>");
    let to_variable = "collection=\"${xpath('//o/a')}\" update-original='false' target-variable='r' \
        result-content-type='XML' result-enclosing-element='all'";
    let outcome = Flowing::of(&foreach(to_variable, step)).xml(body).run();
    assert_eq!(outcome.variable("r").as_deref(), Some("<all><b>1</b><b>2</b></all>"));
    assert_eq!(outcome.payload_xml(), body);
}

#[test]
fn collections_in_variables() {
    let xml = format!(
        "<rules><variable name='c' type='JSON' value='{{\"l\":[{{\"n\":1}}]}}'/>{}</rules>",
        foreach("collection='${vars.c.l}'", AGE)
    );
    assert_eq!(Flowing::of(&xml).json("{}").run().variable("c").as_deref(), Some(r#"{"l":[{"v":1}]}"#));
}

#[test]
fn nodes_in_variables() {
    let step =
        "<payloadFactory><format><b>$1</b></format><args><arg expression='string(//p:a)'/></args></payloadFactory>";
    let xml = format!(
        "<rules xmlns:p='urn:p'><variable name='v' type='XML' value='&lt;o xmlns=\"urn:p\">&lt;a>1&lt;/a>&lt;c/>&lt;a>2&lt;/a>&lt;/o>'/>{}</rules>",
        foreach("collection=\"${xpath('//p:a', 'v')}\"", step)
    );
    let outcome = Flowing::of(&xml).xml("<x/>").run();
    assert_eq!(outcome.fault(), None);
    assert_eq!(
        outcome.variable("v").as_deref(),
        Some("<o xmlns=\"urn:p\"><c/><b xmlns=\"\">1</b><b xmlns=\"\">2</b></o>")
    );
}

#[test]
fn a_part_that_fails_or_ends_takes_the_message_with_it() {
    let body = r#"{"l":[{"n":1},{"n":2}]}"#;
    let after = "<property name='after' value='1'/>";
    let with = |step: &str| format!("<rules>{}{after}</rules>", foreach("collection='${payload.l}'", step));
    assert_eq!(Flowing::of(&with(AGE)).json(body).run().property("after").as_deref(), Some("1"));
    assert_eq!(Flowing::of(&with("<drop/>")).json(body).run().property("after"), None);
    assert_eq!(Flowing::of(&with("<throwError/>")).json(body).run().property("after"), None);
}

#[test]
fn counters_need_an_order() {
    let attrs = "collection='${payload.l}' parallel-execution='false' counter-variable='i'";
    let step = "<payloadFactory media-type='json'><format>{\"i\":${vars.i}}</format></payloadFactory>";
    json(attrs, step, r#"{"l":[5,6]}"#, r#"{"l":[{"i":0},{"i":1}]}"#);
    for (attrs, part) in [
        ("collection='${payload.l}' counter-variable='i'", "counter-variable"),
        ("collection='${payload.l}' update-original='false'", "target-variable"),
        ("collection='${payload.l}' update-original='false' target-variable='r'", "result-content-type"),
        (
            "collection='${payload.l}' update-original='false' target-variable='r' result-content-type='XML'",
            "result-enclosing-element",
        ),
    ] {
        let error = Flowing::error_of(&foreach(attrs, ""));
        assert!(error.contains(part), "{error}");
    }
    let outcome = Flowing::of(&foreach("collection='${payload.l}'", "")).json(r#"{"l":1}"#).run();
    assert!(outcome.fault().is_some_and(|it| it.contains("did not resolve to a valid array")));
}
