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
