use crate::testing::{Flowing, Outcome};

const FAILED: &str = "<on-fail><property name='failed' value='yes'/></on-fail>";
const SCHEMA: &str = "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:element name='o'><xs:complexType><xs:sequence>\
    <xs:element name='n' type='xs:int'/></xs:sequence></xs:complexType></xs:element></xs:schema>";
const JSON_SCHEMA: &str = r#"{"type":"object","required":["n"],"properties":{"n":{"type":"integer"}}}"#;

fn xml(attrs: &str, body: &str) -> Outcome {
    Flowing::of(&format!("<validate {attrs}><schema key='s'/>{FAILED}</validate>"))
        .local_entry("s", SCHEMA)
        .xml(body)
        .run()
}

fn json(attrs: &str, body: &str) -> Outcome {
    Flowing::of(&format!("<validate {attrs}><schema key='{{string(\"s\")}}'/>{FAILED}</validate>"))
        .text_entry("s", JSON_SCHEMA)
        .json(body)
        .run()
}

#[track_caller]
fn check(outcome: &Outcome, failed: bool) {
    assert_eq!(outcome.fault(), None);
    assert_eq!(outcome.property("failed").is_some(), failed, "{:?}", outcome.property("ERROR_MESSAGE"));
}

#[test]
fn xml_schemas() {
    check(&xml("", "<o><n>1</n></o>"), false);
    check(&xml("", "<o><n>x</n></o>"), true);
    check(&xml("source='//o'", "<x><o><n>1</n></o></x>"), false);
    let nowhere = xml("source='//none'", "<o/>");
    check(&nowhere, true);
    assert_eq!(
        nowhere.property("ERROR_MESSAGE").as_deref(),
        Some("Error occurred while accessing source element: //none")
    );
}

#[test]
fn json_schemas() {
    check(&json("", r#"{"n":1}"#), false);
    check(&json("source='json-eval($.a)'", r#"{"a":{"n":1}}"#), false);
    // A path that finds nothing is validated as an empty object.
    let empty = json("source='json-eval($.b)'", r#"{"n":1}"#);
    check(&empty, true);
    assert_eq!(empty.property("ERROR_MESSAGE").as_deref(), Some("object has missing required properties ([\"n\"])"));
    let wrong = json("", r#"{"n":"x"}"#);
    check(&wrong, true);
    assert_eq!(
        wrong.property("ERROR_MESSAGE").as_deref(),
        Some("instance type (string) does not match any allowed primitive type (allowed: [\"integer\"])")
    );
}

#[track_caller]
fn check_message(schema: &str, body: &str, expected: &str) {
    let outcome = Flowing::of(&format!("<validate><schema key='s'/>{FAILED}</validate>"))
        .text_entry("s", schema)
        .json(body)
        .run();
    assert_eq!(outcome.property("ERROR_MESSAGE").as_deref(), Some(expected), "{schema} {body}");
}

#[test]
fn the_error_that_is_told_of() {
    const SCHEMA: &str = r#"{"type":"object","required":["z","b"],"maxProperties":3,"properties":{"b":{"type":"integer"},
        "a":{"type":"array","items":{"type":"string","minLength":2}},"c":{"minimum":1,"exclusiveMinimum":true}}}"#;
    check_message(SCHEMA, r#"{"b":"x","a":[]}"#, r#"object has missing required properties (["z"])"#);
    check_message(SCHEMA, r#"{"a":[1]}"#, r#"object has missing required properties (["b","z"])"#);
    check_message(
        SCHEMA,
        r#"{"b":"x","z":1,"a":["ab","c",3,4,5,6,7,8,9,10,11]}"#,
        "string \"c\" is too short (length: 1, required minimum: 2)",
    );
    check_message(
        SCHEMA,
        r#"{"z":1,"b":1,"c":1,"d":1}"#,
        "object has too many properties (found 4 but schema requires at most 3)",
    );
    check_message(
        SCHEMA,
        r#"{"z":1,"b":1,"c":1}"#,
        "numeric instance is not strictly greater than the required minimum 1",
    );
    check_message(
        SCHEMA,
        r#"{"z":1,"b":1,"c":0}"#,
        "numeric instance is lower than the required minimum (minimum: 1, found: 0)",
    );
    let combined =
        |keyword: &str| format!(r#"{{"{keyword}":[{{"type":"string"}},{{"type":"integer"}},{{"minimum":5}}]}}"#);
    let any = r#"{"anyOf":[{"type":"string"},{"type":"integer"}]}"#;
    check_message(any, "[1.5]", "instance failed to match at least one required schema among 2");
    check_message(&combined("oneOf"), "7", "instance failed to match exactly one schema (matched 2 out of 3)");
    check_message(r#"{"not":{"type":"object"}}"#, "{}", "instance matched a schema which it should not have");
    check_message(r#"{"uniqueItems":true}"#, "[1,1]", "array must not contain duplicate elements");
    check_message(
        r#"{"items":[{}],"additionalItems":false}"#,
        "[1,1]",
        "schema only allows 1 elements in array but instance has 2 elements",
    );
    check_message(
        r#"{"properties":{"m":{"format":"email"}}}"#,
        r#"{"m":"x"}"#,
        "string \"x\" is not a valid email address",
    );
    check_message(
        r#"{"properties":{"n":{"multipleOf":2}}}"#,
        r#"{"n":3}"#,
        "remainder of division is not zero (3 / 2)",
    );
}

#[test]
fn references_reach_local_entries() {
    let outcome = Flowing::of(&format!("<validate><schema key='s'/>{FAILED}</validate>"))
        .text_entry("s", r#"{"$ref":"gov:/other.json"}"#)
        .text_entry("gov:/other.json", JSON_SCHEMA)
        .json("{}")
        .run();
    check(&outcome, true);
}

#[test]
fn a_changed_include_counts_with_the_next_message() {
    const MAIN: &str = "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:include schemaLocation='part.xsd'/>\
        <xs:element name='o' type='T'/></xs:schema>";
    let part = |kind: &str| {
        format!(
            "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:simpleType name='T'>\
             <xs:restriction base='xs:{kind}'/></xs:simpleType></xs:schema>"
        )
    };
    let deployed = Flowing::of(&format!(
        "<validate><schema key='main'/>{FAILED}<resource location='part.xsd' key='part'/></validate>"
    ))
    .local_entry("main", MAIN)
    .deploy();
    for (kind, failed) in [("int", true), ("string", false), ("boolean", true)] {
        deployed.write_registry("part", Some(&part(kind)));
        let mut message = mi_message::Message::new();
        let document = mi_xml::Document::parse("<o>x</o>").expect("well-formed");
        message.body = mi_message::Body::from_envelope(mi_message::Envelope::from_document(
            document,
            mi_message::SoapVersion::Soap11,
        ));
        check(&deployed.send(message), failed);
    }
}

#[test]
fn schemas_that_do_not_exist_are_faults() {
    let validate = format!("<validate><schema key='none'/>{FAILED}</validate>");
    let outcome = Flowing::of(&validate).xml("<o/>").run();
    assert_eq!(outcome.fault().as_deref(), Some("No Schema is available with the key  : none"));
    let outcome = Flowing::of(&validate).json("{}").run();
    assert_eq!(outcome.fault().as_deref(), Some("Can not find JSON Schema none"));
}

#[test]
fn wrong_configurations_are_refused() {
    for (xml, part) in [
        (format!("<validate>{FAILED}</validate>"), "No schema specified"),
        ("<validate><schema key='a'/><on-fail/></validate>".to_owned(), "non-empty <on-fail>"),
        (format!("<validate><schema/>{FAILED}</validate>"), "'key'"),
    ] {
        let error = Flowing::error_of(&xml);
        assert!(error.contains(part), "{error}");
    }
}
