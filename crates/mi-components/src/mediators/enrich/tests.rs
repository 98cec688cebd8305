use crate::testing::{Flowing, Outcome};

fn enrich(source: &str, target: &str) -> String {
    format!("<enrich><source {source}</source><target {target}/></enrich>")
}

/// Enriches `<o><a>1</a><b/></o>`.
#[track_caller]
fn xml(source: &str, target: &str, expected: &str) {
    let outcome = Flowing::of(&enrich(source, target)).xml("<o><a>1</a><b/></o>").run();
    assert_eq!(outcome.fault(), None);
    assert_eq!(outcome.payload_xml(), expected);
}

/// Enriches a JSON payload.
#[track_caller]
fn json(source: &str, target: &str, body: &str, expected: &str) {
    let outcome = Flowing::of(&enrich(source, target)).json(body).run();
    assert_eq!(outcome.fault(), None);
    assert_eq!(outcome.payload_text(), expected);
}

#[track_caller]
fn property(source: &str, target: &str, body: &str, expected: &str) -> Outcome {
    let flowing = Flowing::of(&enrich(source, target));
    let outcome = if body.starts_with('<') { flowing.xml(body) } else { flowing.json(body) }.run();
    assert_eq!(outcome.fault(), None);
    assert_eq!(outcome.property("p").as_deref(), Some(expected));
    outcome
}

#[test]
fn nodes_by_xpath() {
    xml("xpath='//a'>", "xpath='//b'", "<o><a>1</a><a>1</a></o>");
    xml("xpath='//a'>", "xpath='//b' action='child'", "<o><a>1</a><b><a>1</a></b></o>");
    xml("xpath='//a' clone='false'>", "xpath='//b' action='child'", "<o><b><a>1</a></b></o>");
    xml("xpath='//b'>", "xpath='//a' action='sibling'", "<o><a>1</a><b/><b/></o>");
    xml("xpath='//b'>", "xpath='//a/text()'", "<o><a><b/></a><b/></o>");
    xml("xpath='string(2)'>", "xpath='//a'", "<o><a>2</a><b/></o>");
    xml("xpath='//o/*'>", "xpath='//o'", "<a>1</a><b/>");
    xml("xpath='//none'>", "xpath='//a'", "<o><a>1</a><b/></o>");
}

#[test]
fn inline_content_survives_its_use() {
    let twice = format!("<rules>{0}{0}</rules>", enrich("type='inline'><c/>", "xpath='//b' action='child'"));
    let outcome = Flowing::of(&twice).xml("<o><b/></o>").run();
    assert_eq!(outcome.payload_xml(), "<o><b><c/><c/></b></o>");
    xml("type='inline'>text", "xpath='//a'", "<o><a>text</a><b/></o>");
    xml("type='inline'><c/>", "type='body'", "<c/>");
    xml("type='inline'><c>{//a}</c>", "type='body'", "<c>1</c>");
}

#[test]
fn properties() {
    property("type='body'>", "type='property' property='p'", "<o><a/></o>", "<o><a/></o>");
    property("xpath='//a/text()'>", "type='property' property='p'", "<o><a>1</a></o>", "1");
}

#[test]
fn nothing_goes_nowhere() {
    let target = "xpath=\"get-property('p')\"";
    let outcome = Flowing::of(&enrich("xpath='//none'>", target)).xml("<o/>").run();
    assert_eq!((outcome.fault(), outcome.property("p")), (None, None));
    property("xpath='//a'>", target, "<o><a/></o>", "<a/>");
}

#[test]
fn an_envelope_replaces_an_envelope_only() {
    let wrong = Flowing::of(&enrich("type='inline'><a/>", "type='envelope'")).xml("<x/>").run();
    assert_eq!(wrong.fault().as_deref(), Some("A SOAPEnvelope is expected"));
    let back = "<rules><enrich><source type='envelope'/><target type='property' property='p'/></enrich>\
        <enrich><source type='inline'><z/></source><target type='body'/></enrich>\
        <enrich><source type='property' property='p'/><target type='envelope'/></enrich></rules>";
    assert_eq!(Flowing::of(back).xml("<x/>").run().payload_xml(), "<x/>");
}

#[test]
fn json_by_paths() {
    let body = r#"{"a":{"b":1},"c":[1]}"#;
    json("xpath='json-eval($.a.b)'>", "xpath='json-eval($.c)'", body, r#"{"a":{"b":1},"c":1}"#);
    json("xpath='json-eval($.a.b)'>", "xpath='json-eval($.c)' action='child'", body, r#"{"a":{"b":1},"c":[1,1]}"#);
    json("type='inline'>{\"d\":2}", "xpath='json-eval($.a)' action='child'", body, r#"{"a":{"b":1,"d":2},"c":[1]}"#);
    json("type='inline'>{\"d\":2}", "xpath='json-eval($)' action='child'", body, r#"{"a":{"b":1},"c":[1],"d":2}"#);
    json(
        "xpath='json-eval($.a)' clone='false'>",
        "xpath='json-eval($.c)' action='child'",
        body,
        r#"{"c":[1,{"b":1}]}"#,
    );
    json("xpath='json-eval($.a)'>", "type='body'", body, r#"{"b":1}"#);
    json("type='inline'>[]", "xpath='json-eval($.missing)'", body, body);
}

#[test]
fn json_removal_and_renaming() {
    let body = r#"{"a":{"b":1},"c":[1,2,3]}"#;
    json("xpath='json-eval($.a.b,$.c[1:])'>", "type='body' action='remove'", body, r#"{"a":{},"c":[1]}"#);
    json("type='inline'>n", "type='key' xpath='json-eval($.a.b)'", body, r#"{"a":{"n":1},"c":[1,2,3]}"#);
}

#[test]
fn json_and_properties() {
    property("type='body'>", "type='property' property='p'", r#"{"a":1}"#, r#"{"a":1}"#);
    property("xpath='json-eval($.a)'>", "type='property' property='p'", r#"{"a":"x"}"#, "\"x\"");
    let back = "<rules><property name='p' value='{\"a\":[1]}'/><enrich><source type='property' property='p'/><target type='body'/></enrich></rules>";
    assert_eq!(Flowing::of(back).json("{}").run().payload_text(), r#"{"a":[1]}"#);
    let inline = "<rules><property name='p' value='word'/><enrich><source type='inline'>{\"a\":{$ctx:p},\"b\":\"{$ctx:p}\"}</source><target type='body'/></enrich></rules>";
    assert_eq!(Flowing::of(inline).json("{}").run().payload_text(), r#"{"a":"word","b":"word"}"#);
}

#[test]
fn a_path_that_leads_nowhere_is_a_fault() {
    let outcome = Flowing::of(&enrich("xpath='json-eval($.x.y)'>", "type='body'")).json("{}").run();
    assert!(outcome.fault().is_some_and(|it| it.contains("path")));
    let outcome = Flowing::of(&enrich("xpath='//a'>", "xpath='//none'")).xml("<o><a/></o>").run();
    assert_eq!(outcome.fault().as_deref(), Some("Invalid Target object to be enrich."));
}

#[test]
fn wrong_configurations_are_refused() {
    for (source, target, part) in [
        ("type='body'>", "type='body'", "Wrong combination"),
        ("type='envelope'>", "type='custom' xpath='//a'", "Wrong combination"),
        ("type='body'>", "type='inline'", "Inline not support"),
        ("type='x'>", "type='body'", "Unexpected type 'x'"),
        (">", "type='body'", "needs the attribute 'xpath'"),
        ("type='inline'>", "type='body'", "XML element is required"),
        ("type='body'>", "type='property'", "property attribute is required"),
        ("type='body'>", "xpath='//a' action='x'", "Unexpected target action"),
        ("type='inline'>1", "xpath='json-eval($)'", "not supported for root path"),
    ] {
        let error = Flowing::error_of(&enrich(source, target));
        assert!(error.contains(part), "{error}");
    }
}
