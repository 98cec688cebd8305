use crate::testing::Flowing;

/// Renders a JSON format with arguments over `json`.
#[track_caller]
fn json(format: &str, args: &str, body: &str, expected: &str) {
    let xml =
        format!("<payloadFactory media-type='json'><format>{format}</format><args>{args}</args></payloadFactory>");
    let outcome = Flowing::of(&xml).json(body).run();
    assert_eq!(outcome.fault(), None);
    assert_eq!(outcome.payload_text(), expected);
}

/// Renders an XML format with arguments over `body`.
#[track_caller]
fn xml(format: &str, args: &str, body: &str, expected: &str) {
    let xml = format!("<payloadFactory><format>{format}</format><args>{args}</args></payloadFactory>");
    let outcome = if body.starts_with('<') { Flowing::of(&xml).xml(body) } else { Flowing::of(&xml).json(body) }.run();
    assert_eq!(outcome.fault(), None);
    assert_eq!(outcome.payload_xml(), expected);
}

#[test]
fn arguments_in_json() {
    let arg = |path: &str| format!("<arg evaluator='json' expression='{path}'/>");
    json(r#"{"a":"$1"}"#, &arg("$.a"), r#"{"a":"x\"y\\z"}"#, r#"{"a":"x\"y\\z"}"#);
    json(r#"{"a":$1}"#, &arg("$.a"), r#"{"a":{"b":[1]}}"#, r#"{"a":{"b":[1]}}"#);
    json(r#"{"a":"$1"}"#, &arg("$.a"), r#"{"a":{"b":1}}"#, r#"{"a":"{"b":1}"}"#);
    json(r#"{"a":"$1","b":$2}"#, "<arg value='x &amp; y'/><arg value='2'/>", "{}", r#"{"a":"x &amp; y","b":2}"#);
    json(r#"{"a":"$1$2"}"#, &arg("$.a"), r#"{"a":"x"}"#, r#"{"a":"x$2"}"#);
}

#[test]
fn expressions_in_json() {
    json(r#"{"a":"${payload.a}"}"#, "", r#"{"a":"x\"y"}"#, r#"{"a":"x\"y"}"#);
    json(r#"{"a":${payload.a}}"#, "", r#"{"a":{"b":1,"c":null}}"#, r#"{"a":{"b":1}}"#);
    json(r#"{"a":"${payload.a}"}"#, "", r#"{"a":{"b":1}}"#, r#"{"a":"{\"b\":1}"}"#);
    json(r#"{"a":${payload.n + 1}}"#, "", r#"{"n":2}"#, r#"{"a":3}"#);
}

#[test]
fn arguments_in_xml() {
    xml("<r><a>$1</a></r>", "<arg expression='//x'/>", "<x>1 &lt; 2</x>", "<r><a>1 &lt; 2</a></r>");
    xml("<r>$1</r>", "<arg expression='//y'/>", "<x><y><z/></y></x>", "<r><y><z/></y></r>");
    xml("<r>\n  <a/>\n</r>", "", "<x/>", "<r><a/></r>");
    xml("<r>$1</r>", "<arg value='a&lt;b'/>", "<x/>", "<r>a&lt;b</r>");
}

#[test]
fn text_and_content_types() {
    let outcome = Flowing::of(
        "<payloadFactory media-type='text'><format>a $1</format><args><arg expression='//x'/></args></payloadFactory>",
    )
    .xml("<x>b&amp;c</x>")
    .run();
    assert_eq!(outcome.payload_text(), "a b&c");
    assert_eq!(outcome.message().content_type(), Some("text/plain"));
    let outcome =
        Flowing::of("<payloadFactory media-type='json'><format>{}</format></payloadFactory>").xml("<x/>").run();
    assert_eq!(outcome.message().headers.get("Content-Type"), Some("application/json"));
    let keeps = Flowing::of("<payloadFactory><format><a/></format></payloadFactory>")
        .with(|message| message.axis2.set("messageType", "text/xml"))
        .run();
    assert_eq!(keeps.message().content_type(), Some("text/xml"));
}

#[test]
fn the_default_namespace_of_the_configuration_is_the_formats() {
    let outcome = Flowing::of("<payloadFactory xmlns='http://ws.apache.org/ns/synapse'><format><a><b xmlns=''/></a></format></payloadFactory>").run();
    assert_eq!(outcome.payload_xml(), "<a xmlns=\"http://ws.apache.org/ns/synapse\"><b xmlns=''/></a>");
}

#[test]
fn an_unset_default_namespace_is_not_written() {
    xml("<a xmlns=''><b/></a>", "", "<x/>", "<a><b/></a>");
    let outcome = Flowing::of("<payloadFactory><format><a xmlns=''><b/></a></format></payloadFactory>")
        .xml("<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Header><h/></e:Header><e:Body><x/></e:Body></e:Envelope>")
        .run();
    assert_eq!(outcome.payload_xml(), "<a><b/></a>");
}

#[test]
fn formats_by_key() {
    let xml = "<payloadFactory><format key='{//k}'/><args><arg value='1'/></args></payloadFactory>";
    let outcome = Flowing::of(xml).local_entry("f", "<r>\n<a>$1</a></r>").xml("<k>f</k>").run();
    assert_eq!(outcome.payload_xml(), "<r><a>1</a></r>");
    assert_eq!(Flowing::of(xml).xml("<k>g</k>").run().fault().as_deref(), Some("Key g not found "));
}

#[test]
fn what_cannot_be_made_is_a_fault() {
    let outcome = Flowing::of("<payloadFactory><format>text</format></payloadFactory>").run();
    assert_eq!(outcome.fault().as_deref(), Some("Generated content is not a valid XML payload"));
    let outcome = Flowing::of("<payloadFactory media-type='json'><format>\"a\": 1</format></payloadFactory>").run();
    assert!(outcome.fault().is_some_and(|it| it.starts_with("Error creating JSON Payload from source")));
}

#[test]
fn wrong_configurations_are_refused() {
    for (xml, part) in [
        ("<payloadFactory/>", "needs a <format>"),
        ("<payloadFactory><format/><args><arg/></args></payloadFactory>", "value or expression attribute required"),
        ("<payloadFactory media-type='json'><format>${1 +}</format></payloadFactory>", "Invalid Payload format"),
    ] {
        let error = Flowing::error_of(xml);
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn freemarker_deploys_with_a_warning() {
    let flowing = Flowing::of("<payloadFactory template-type='freemarker'><format>x</format></payloadFactory>");
    assert!(flowing.warnings().iter().any(|it| it.contains("freemarker")));
    assert!(flowing.run().fault().is_some_and(|it| it.contains("freemarker")));
}
