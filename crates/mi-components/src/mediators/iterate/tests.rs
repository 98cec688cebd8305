use crate::testing::{Flowing, log_lines};

/// Splits one after the other and compares the payloads that the parts log.
#[track_caller]
fn check(attrs: &str, body: &str, expected: &[&str]) {
    let log = if body.starts_with('<') { "$body/*" } else { "json-eval($)" };
    let xml = format!(
        "<iterate sequential='true' {attrs}><target><sequence><log level='custom'><property name='part' expression='{log}'/></log></sequence></target></iterate>"
    );
    let lines = log_lines(|| {
        let flowing = Flowing::of(&xml);
        let outcome = if body.starts_with('<') { flowing.xml(body) } else { flowing.json(body) }.run();
        assert_eq!(outcome.fault(), None);
    });
    let expected: Vec<String> = expected.iter().map(|part| format!("INFO LogMediator part = {part}")).collect();
    assert_eq!(lines, expected);
}

#[test]
fn xml() {
    check("expression='//a'", "<o><a><b/></a><c/><a><d/></a></o>", &["<a><b/></a>", "<a><d/></a>"]);
    check(
        "expression='//a' preservePayload='true' attachPath='//c'",
        "<o><a><b/></a><c/><a><d/></a></o>",
        &["<o><c><a><b/></a></c></o>", "<o><c><a><d/></a></c></o>"],
    );
    check("expression='//none'", "<o/>", &[]);
}

#[test]
fn json() {
    let body = r#"{"l":[{"n":1},{"n":2}],"k":[3]}"#;
    check("expression='json-eval($.l)'", body, &[r#"{"n":1}"#, r#"{"n":2}"#]);
    check("expression='json-eval($.l)' preservePayload='true'", body, &[r#"{"n":1}"#, r#"{"n":2}"#]);
    check(
        "expression='json-eval($.l)' preservePayload='true' attachPath='json-eval($.l)'",
        body,
        &[r#"{"l":{"n":1},"k":[3]}"#, r#"{"l":{"n":2},"k":[3]}"#],
    );
    check(
        "expression='json-eval($.l)' preservePayload='true' attachPath='json-eval($.k)'",
        body,
        &[r#"{"l":[],"k":{"n":1}}"#, r#"{"l":[],"k":{"n":2}}"#],
    );
}

#[track_caller]
fn fault(attrs: &str, body: &str, part: &str) {
    let xml = format!("<iterate {attrs}><target><sequence><drop/></sequence></target></iterate>");
    let flowing = Flowing::of(&xml);
    let outcome = if body.starts_with('<') { flowing.xml(body) } else { flowing.json(body) }.run();
    assert!(outcome.fault().is_some_and(|it| it.contains(part)), "{:?}", outcome.fault());
}

#[test]
fn what_cannot_be_split_is_a_fault() {
    fault("expression='//a' preservePayload='true'", "<o><a/></o>", "SOAP Envelope can not have children");
    fault(
        "expression='//a' preservePayload='true' attachPath='//none'",
        "<o><a/></o>",
        "Unable to get the attach path",
    );
    fault("expression='json-eval($.l)'", r#"{"l":1}"#, "not a valid JSON array");
}

#[test]
fn wrong_configurations_are_refused() {
    for (xml, part) in [
        ("<iterate><target/></iterate>", "'expression'"),
        ("<iterate expression='//a'/>", "needs a <target>"),
        ("<iterate expression='//a' attachPath='//b'><target/></iterate>", "does not preserve the payload"),
        (
            "<iterate expression='//a' preservePayload='true' attachPath='json-eval($.a)'><target/></iterate>",
            "either jsonpath or xpath",
        ),
    ] {
        let error = Flowing::error_of(xml);
        assert!(error.contains(part), "{error}");
    }
}
