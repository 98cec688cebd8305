//! The behaviour of [`Expr`], [`Dynamic`] and [`Template`] on whole messages.

use std::sync::Arc;

use mi_message::{Body, BodyStream, Envelope, FunctionScope, Message, Opaque, SoapVersion, Value, XmlValue};
use mi_xml::Document;

use crate::jsonpath::to_path;
use crate::{Dynamic, EvalErrorKind, Expr, Lookup, Namespaces, NoLookup, Template};

const ORDER: &str = r#"<o:order xmlns:o="urn:o" id="7"><item q="1"> Pen </item><item q="2">Ink</item><o:total>10</o:total><empty/><mixed>a<b>c</b>d</mixed><nest><x>1</x></nest></o:order>"#;

fn xml_message(payload: &str) -> Message {
    let mut message = Message::new();
    let document = Document::parse(payload.to_owned()).expect("well-formed");
    message.body = Body::from_envelope(Envelope::from_document(document, SoapVersion::Soap11));
    message
}

fn json_message(text: &str) -> Message {
    let mut message = Message::new();
    message.body = Body::from_json_text(text.to_owned());
    message
}

/// A message with one of everything that is not the body.
fn rich() -> Message {
    let mut message = xml_message(ORDER);
    message.headers.set("Content-Type", "text/xml");
    message.headers.set("X-Token", "t0");
    message.properties.set("name", "John");
    message.properties.set("count", 5);
    message.properties.set("ratio", 2.0);
    message.properties.set("flag", true);
    message.properties.set("off", "false");
    message.properties.set("json", serde_json::json!({"a": {"b": [1, "x"]}}));
    message.properties.set("jsonText", r#"{"a":{"b":[1,"x"]}}"#);
    message.properties.set("map", Value::Map(Arc::new(vec![("k".into(), Value::from("v"))])));
    let document = Document::parse("<p><q> 1 </q><r/></p>").expect("well-formed");
    let root = document.root_element().expect("a root");
    let om = XmlValue { document: Arc::new(document), nodes: vec![root] };
    message.properties.set("om", Value::Xml(om.clone()));
    message.variables.set("v", Value::Xml(om));
    message.axis2.set("HTTP_METHOD", "POST");
    message.axis2.set("REST_URL_POSTFIX", "/a");
    message.axis2_client.set("c", "d");
    message.operation.set("o", "p");
    message.addressing.to = Some("http://h:1/s?a=1&B=x%20y&c".to_owned());
    message.addressing.action = Some("urn:act".to_owned());
    message.addressing.message_id = Some("urn:uuid:1".to_owned());
    message.functions.push(FunctionScope {
        template: "outer".into(),
        parameters: Arc::new(vec![("p".into(), Value::from("outer"))]),
        ..FunctionScope::default()
    });
    message.functions.push(FunctionScope {
        template: "inner".into(),
        parameters: Arc::new(vec![("p".into(), Value::from("inner"))]),
        expressions: Arc::new(vec![("later".into(), Arc::new(parse("//o:total")) as Opaque)]),
    });
    message
}

fn namespaces() -> Namespaces {
    Namespaces::new()
        .with("o", "urn:o")
        .with("soapenv", "http://schemas.xmlsoap.org/soap/envelope/")
        .with("wso2", "urn:w")
}

fn parse(source: &str) -> Expr {
    Expr::parse(source, &namespaces()).unwrap_or_else(|error| panic!("{source}: {error}"))
}

/// The text of an expression; `None` for null.
fn text(source: &str, message: &Message) -> Option<String> {
    let text = parse(source).eval_text(message, &NoLookup).unwrap_or_else(|error| panic!("{source}: {error}"));
    text.map(|text| text.to_string())
}

fn check(message: &Message, rows: &[(&str, &str)]) {
    for (source, expected) in rows {
        assert_eq!(text(source, message).as_deref(), Some(*expected), "{source}");
    }
}

/// MI: `SynapseXPath#stringValueOf`.
#[test]
fn the_text_of_nodes() {
    check(
        &rich(),
        &[
            ("//item[1]", "Pen"),
            ("//item", r#"<item q="1">Pen</item><item q="2">Ink</item>"#),
            ("//item/text()", " Pen Ink"),
            ("//item[1]/text()", " Pen "),
            ("//item/@q", "12"),
            ("//empty", "<empty/>"),
            ("//nest", "<nest><x>1</x></nest>"),
            ("//mixed", "ad"),
            ("//item[1]/node()", r#"<item q="1">Pen</item>"#),
            ("//none", ""),
            ("//o:total", "10"),
            ("//o:total + 1", "11.0"),
            ("number(//o:total)", "10.0"),
            ("count(//item)", "2.0"),
            ("string(//item[2])", "Ink"),
            ("string(5)", "5"),
            ("//o:total = 10", "true"),
            ("concat(//o:order/@id, '-', $ctx:name)", "7-John"),
            ("/soapenv:Envelope/soapenv:Body/o:order/@id", "7"),
            ("soapenv:Body/o:order/@id", "7"),
            ("$body/o:order/@id", "7"),
            ("$body//x", "1"),
            ("$env/soapenv:Body/o:order/@id", "7"),
            ("$header/x", ""),
            ("name($body/*[1])", "o:order"),
            ("//item[@q = '2'] | //o:total", r#"<item q="2">Ink</item><o:total xmlns:o="urn:o">10</o:total>"#),
        ],
    );
}

#[test]
fn variables_and_properties() {
    check(
        &rich(),
        &[
            ("$ctx:name", "John"),
            ("$ctx:count", "5"),
            ("$ctx:count + 1", "6.0"),
            ("concat($ctx:count, 'x')", "5x"),
            ("$ctx:ratio", "2.0"),
            ("$ctx:flag", "true"),
            ("$ctx:json", r#"{"a":{"b":[1,"x"]}}"#),
            ("$ctx:om", "<p><q> 1 </q><r/></p>"),
            ("$ctx:om/q", "1"),
            ("$ctx:om//r", "<r/>"),
            ("get-property('om')", "<p><q> 1 </q><r/></p>"),
            ("$var:v/q", "1"),
            ("$map:k", "v"),
            ("$trp:x-token", "t0"),
            ("$axis2:HTTP_METHOD", "POST"),
            ("$axis2-client:c", "d"),
            ("$operation:o", "p"),
            ("$func:p", "inner"),
            ("$func:later", "10"),
            ("$func:later + 1", "11.0"),
            ("get-property('func', 'later')", "10"),
            ("${params.functionParams.later}", r#"<o:total xmlns:o="urn:o">10</o:total>"#),
            ("$url:a", "1"),
            ("$url:b", "x y"),
            ("$url:c", ""),
            ("$url:none", ""),
            ("$sys:none", ""),
            ("get-property('name')", "John"),
            ("get-property(\"name\")", "John"),
            ("get-property( 'default' , 'name' )", "John"),
            ("get-property('transport', 'X-TOKEN')", "t0"),
            ("get-property('axis2', 'REST_URL_POSTFIX')", "/a"),
            ("get-property('axis2-client', 'c')", "d"),
            ("get-property('operation', 'o')", "p"),
            ("get-property('func', 'p')", "inner"),
            ("get-property('system', 'x')", ""),
            ("get-property('env', 'x')", ""),
            ("get-property('file', 'x')", ""),
            ("get-property('registry', 'x')", ""),
            ("get-property('To')", "http://h:1/s?a=1&B=x%20y&c"),
            ("get-property('Action')", "urn:act"),
            ("get-property('MessageID')", "urn:uuid:1"),
            ("get-property('From')", ""),
            ("get-property('FAULT')", ""),
            ("get-property('SYSTEM_TIME')", "1704164645678"),
            ("get-property('SYSTEM_DATE')", "1/2/24, 3:04 AM"),
            ("get-property('SYSTEM_DATE', \"yyyy-MM-dd'T'HH:mm\")", "2024-01-02T03:04"),
            ("get-property('')", ""),
            ("concat(get-property('na', 'x'), get-property(concat('na', 'me')))", "John"),
            ("'constant'", "constant"),
            ("base64Encode('admin:admin')", "YWRtaW46YWRtaW4="),
            ("base64Decode('YWRtaW46YWRtaW4=')", "admin:admin"),
            ("base64Decode(base64Encode('ä', 'UTF-16'), 'UTF-16')", "ä"),
            ("url-encode('a b/c?d=é&e')", "a%20b/c?d=%C3%A9&e"),
            ("fn:concat('a', 'b')", "ab"),
            ("fn:upper-case(get-property('name'))", "JOHN"),
        ],
    );
    let message = rich();
    for source in ["$ctx:none", "$trp:none", "get-property('none')", "get-property('axis2', 'none')", "$func:none"] {
        assert_eq!(text(source, &message), None, "{source}");
        assert_eq!(&*parse(source).eval_string(&message, &NoLookup).expect("a text"), "", "{source}");
    }
}

#[test]
fn faults_and_formats() {
    let soap = |version: &str, inside: &str| {
        format!("<e:Envelope xmlns:e=\"{version}\"><e:Body>{inside}</e:Body></e:Envelope>")
    };
    let soap11 = "http://schemas.xmlsoap.org/soap/envelope/";
    let soap12 = "http://www.w3.org/2003/05/soap-envelope";
    for (payload, fault, format) in [
        (soap(soap11, "<e:Fault/>"), "TRUE", "soap11"),
        (soap(soap12, "<e:Fault/>"), "TRUE", "soap12"),
        (soap(soap11, "<Fault/>"), "", "soap11"),
        ("<a/>".to_owned(), "", "pox"),
    ] {
        let message = xml_message(&payload);
        check(&message, &[("get-property('FAULT')", fault), ("get-property('MESSAGE_FORMAT')", format)]);
    }
}

/// RFC 2202 and RFC 4231, test case 2.
#[test]
fn hmac() {
    for (algorithm, expected) in [
        ("", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        (", 'HmacMD5'", "750c783e6ab0b503eaa86e310a5db738"),
        (", 'HmacSHA256'", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    ] {
        let source = format!("hmac-generate('what do ya want for nothing?', 'Jefe'{algorithm})");
        assert_eq!(text(&source, &Message::new()).as_deref(), Some(expected), "{source}");
    }
}

#[test]
fn failures_name_the_expression() {
    for (source, part) in [
        ("fn:concatXXX()", "fn:concatXXX"),
        ("$nobody", "nobody"),
        ("$map:none", "map:none"),
        ("encrypt('a','b','c','d')", "key stores"),
        ("hmac-generate('a', 'b', 'HmacX')", "HmacX"),
        ("wso2:vault-lookup('x')", "alias: x"),
        ("base64Encode('a', 'UTF-99')", "UTF-99"),
    ] {
        let error = parse(source).eval_string(&rich(), &NoLookup).expect_err(source);
        assert!(error.message.contains(part) && error.message.contains("Evaluation of the XPath"), "{error}");
    }
}

#[test]
fn an_undeclared_prefix_fails_the_message_and_not_the_deployment() {
    let expr = parse("fn:concat('a', //m0:b)");
    assert_eq!((expr.undeclared_prefix(), expr.reads_body()), (Some("m0"), true));
    let message = rich();
    let expected = "Evaluation of the XPath expression fn:concat('a', //m0:b) resulted in an error: Cannot resolve \
                    namespace prefix 'm0'";
    assert_eq!(expr.eval_string(&message, &NoLookup).expect_err("undeclared").message, expected);
    assert!(expr.eval(&message, &NoLookup).is_err() && expr.eval_bool(&message, &NoLookup).is_err());
    assert!(expr.eval_nodes(&message, &NoLookup).is_err());
    assert!(Expr::parse("//m0:b[", &namespaces()).is_err());
    assert_eq!(parse("//o:total").undeclared_prefix(), None);
}

#[test]
fn conditions() {
    let message = rich();
    for (source, expected) in [
        ("//item", true),
        ("//none", false),
        ("//o:total > 5", true),
        ("get-property('off')", true),
        ("$ctx:none", false),
        ("$ctx:flag", true),
        ("get-property('name') = 'John'", true),
        ("get-property('none') = 'x'", false),
        ("get-property('none') != 'x'", false),
        ("not(get-property('none'))", true),
        ("''", false),
        ("${props.synapse.off}", false),
        ("${5 > 3}", true),
        ("${\"TRUE\"}", true),
        ("${vars.none}", false),
    ] {
        assert_eq!(parse(source).eval_bool(&message, &NoLookup), Ok(expected), "{source}");
    }
    let json = json_message(r#"{"a":true,"b":"TRUE","c":1}"#);
    for (source, expected) in
        [("json-eval($.a)", true), ("json-eval($.b)", true), ("json-eval($.c)", false), ("json-eval($.d)", false)]
    {
        assert_eq!(parse(source).eval_bool(&json, &NoLookup), Ok(expected), "{source}");
    }
}

#[test]
fn values() {
    let message = rich();
    for (source, expected) in [
        ("//item/@q", "<1><2>"),
        ("//item[1]/@q", "String(\"1\")"),
        ("//o:total", r#"Xml <o:total xmlns:o="urn:o">10</o:total>"#),
        ("//x | //empty", "Xml <empty/><x>1</x>"),
        ("//none", "Null"),
        ("$ctx:none", "Null"),
        ("$ctx:count", "Int(5)"),
        ("1 + 1", "Double(2.0)"),
        ("//x = 1", "Bool(true)"),
        ("$ctx:om/q", "Xml <q> 1 </q>"),
    ] {
        let value = parse(source).eval(&message, &NoLookup).expect(source);
        let shown = match &value {
            Value::Xml(nodes) if source.ends_with("@q") => {
                let values: Vec<_> = nodes.nodes.iter().map(|node| nodes.document.value(*node)).collect();
                format!("<{}>", values.join("><"))
            }
            Value::Xml(nodes) => format!("Xml {}", nodes.to_xml()),
            other => format!("{other:?}"),
        };
        assert_eq!(shown, expected, "{source}");
    }
}

#[test]
fn nodes_for_editing() {
    let mut message = rich();
    let nodes = parse("//item").eval_nodes(&message, &NoLookup).expect("nodes");
    assert_eq!(nodes.len(), 2);
    let document = message.body.envelope_mut().expect("XML").document_mut();
    document.set_text(nodes[1], "Paper");
    assert_eq!(text("//item[2]", &message).as_deref(), Some("Paper"));
    assert_eq!(parse("$ctx:om/q").eval_nodes(&message, &NoLookup), Ok(vec![]));
    assert!(parse("json-eval($.a)").eval_nodes(&message, &NoLookup).is_err());
}

#[test]
fn json_eval() {
    let message = json_message(
        r#"{ "a": {"b": [1, 2.50, "x", null, true]}, "n": 1.50, "big": 12345678.9, "null": null, "i": 2, "k": "b", "members": 1 }"#,
    );
    check(
        &message,
        &[
            ("json-eval($.a.b)", r#"[1,2.50,"x",null,true]"#),
            ("json-eval($.a.b[0])", "1"),
            ("json-eval($.a.b[1])", "2.50"),
            ("json-eval($.a.b[2])", "x"),
            ("json-eval($.a.b[4])", "true"),
            ("json-eval($.a)", r#"{"b":[1,2.50,"x",null,true]}"#),
            ("json-eval($.n)", "1.5"),
            ("json-eval($.big)", "1.23456789E7"),
            ("json-eval($.null)", "null"),
            ("json-eval($.none)", ""),
            ("json-eval($.none.x)", ""),
            ("json-eval(a.b[0])", "1"),
            ("json-eval($.a.b.length())", "5"),
            ("json-eval($..b[*])", r#"[1,2.50,"x",null,true]"#),
            ("json-eval($..none)", "[]"),
            (
                "json-eval($.)",
                r#"{ "a": {"b": [1, 2.50, "x", null, true]}, "n": 1.50, "big": 12345678.9, "null": null, "i": 2, "k": "b", "members": 1 }"#,
            ),
            ("json-eval($.a.b[{json-eval($.i)}])", "x"),
            ("json-eval($.a.{json-eval($.k)}[0])", "1"),
        ],
    );
    let mut message = json_message("{\"i\":1");
    message.properties.set("doc", r#"{"a":{"b":[1,"x"]}}"#);
    message.properties.set("key", "a");
    check(
        &message,
        &[
            ("json-eval($.i)", ""),
            ("json-eval($)", "{\"i\":1"),
            ("json-eval($ctx:doc.a.b[1])", "x"),
            ("json-eval($ctx:doc)", r#"{"a":{"b":[1,"x"]}}"#),
            ("json-eval($ctx:none.a)", ""),
        ],
    );
    let missing = parse("json-eval($ctx:doc.x)").eval_string(&message, &NoLookup).expect_err("missing");
    assert_eq!(missing.kind, EvalErrorKind::PathNotFound);
    check(&xml_message("<r><a>1</a></r>"), &[("json-eval($.r.a)", "1")]);
    check(&Message::new(), &[("json-eval($.a)", ""), ("json-eval($)", "")]);
    let places = parse("json-eval($.a.b[1:3])").eval_json_paths(&json_message(r#"{"a":{"b":[1,2,3,4]}}"#), &NoLookup);
    let places: Vec<String> = places.expect("places").iter().map(|place| to_path(place)).collect();
    assert_eq!(places, ["$['a']['b'][1]", "$['a']['b'][2]"]);
}

#[test]
fn an_xpath_sees_the_xml_view_of_json() {
    let message = json_message(r#"{"name":"John","cars":["Ford","BMW"]}"#);
    check(&message, &[("//name", "John"), ("$body/jsonObject/cars[2]", "BMW"), ("get-property('FAULT')", "")]);
}

#[test]
fn the_whole_payload_of_an_xml_message_is_xml() {
    let mut message = xml_message("<a>1</a>");
    message.headers.set("Content-Type", "application/xml");
    let text = text("${payload}", &message).expect("a text");
    assert!(text.starts_with("<soapenv:Body") && text.contains("<a>1</a>"), "{text}");
    check(&message, &[("${payload.a}", "1"), ("${xpath('//a')}", "1"), ("${toUpper(xpath('name(//a)'))}", "A")]);
}

/// A message whose body nobody has read.
fn unread() -> Message {
    use http_body_util::BodyExt;
    let mut message = Message::new();
    let stream: BodyStream =
        BodyStream::new(http_body_util::Empty::new().map_err(|never: std::convert::Infallible| match never {}));
    message.body = Body::from_stream(stream, Some("text/xml".into()));
    message.properties.set("name", "John");
    message
}

#[test]
fn what_needs_no_body_works_without_one() {
    for (source, reads) in [
        ("$ctx:name", false),
        ("get-property('name')", false),
        ("concat($ctx:name, $trp:x, get-property('axis2', 'y'))", false),
        ("fn:substring-before($ctx:name, 'h')", false),
        ("$url:a = '1'", false),
        ("1 = 1", false),
        ("json-eval($ctx:name)", false),
        ("${props.synapse.name}", false),
        ("${xpath('$ctx:name')}", false),
        ("json-eval($.a)", true),
        ("//a", true),
        ("$body", true),
        ("concat($ctx:name, //a)", true),
        ("get-property('FAULT')", true),
        ("get-property('From')", true),
        (".", true),
        ("${payload}", true),
    ] {
        let expr = parse(source);
        assert_eq!(expr.reads_body(), reads, "{source}");
        let result = expr.eval_string(&unread(), &NoLookup);
        assert!(reads || result.is_ok(), "{source}: {result:?}");
    }
    assert!(parse("//a").needs_xml() && !parse("${payload}").needs_xml() && !parse("$ctx:a").needs_xml());
}

#[test]
fn dynamic_values() {
    let message = rich();
    for (source, fixed, value) in [
        ("abc", Some("abc"), "abc"),
        ("{$ctx:name}", None, "John"),
        ("{json-eval($ctx:jsonText.a.b[0])}", None, "1"),
        ("{${props.synapse.name}}", None, "John"),
        ("${props.synapse.name}", None, "John"),
        ("{//item[2]}", None, "Ink"),
        ("{{//item[2]}}", Some("{//item[2]}"), "{//item[2]}"),
        ("{}", Some("{}"), "{}"),
        ("{{}}", Some("{}"), "{}"),
        ("", Some(""), ""),
    ] {
        let dynamic = Dynamic::parse(source, &namespaces()).expect(source);
        assert_eq!(dynamic.as_static(), fixed, "{source}");
        assert_eq!(&*dynamic.eval_string(&message, &NoLookup).expect(source), value, "{source}");
    }
    let escaped = Dynamic::parse("{{//item[2]}}", &namespaces()).expect("valid");
    let later = escaped.as_escaped().expect("an expression").eval_string(&message, &NoLookup).expect("a text");
    assert_eq!(&*later, "Ink");
    assert_eq!(Dynamic::parse("{//item[}", &namespaces()).expect_err("invalid").offset, 8);
}

#[test]
fn templates() {
    let message = rich();
    for (source, expected) in [
        ("plain", "plain"),
        ("a ${props.synapse.name} b ${1 + 1}", "a John b 2"),
        ("nothing: ${vars.none}.", "nothing: ."),
        ("{\"n\": \"${props.synapse.name}\"}", "{\"n\": \"John\"}"),
        ("${length(\"}\")}", "1"),
        ("$ {x} ${}", "$ {x} ${}"),
    ] {
        let template = Template::parse(source, &namespaces()).expect(source);
        assert_eq!(template.eval(&message, &NoLookup).as_deref(), Ok(expected), "{source}");
        assert_eq!(template.is_static(), !source.contains("${p") && !source.contains("${v") && !source.contains("${l"));
    }
    assert!(Template::parse("${payload.x} ", &namespaces()).expect("valid").reads_body());
    assert_eq!(Template::parse("ab ${5 >> 3}", &namespaces()).expect_err("invalid").offset, 8);
}

/// MI: `InlineExpressionUtil#replaceDynamicValues`.
#[test]
fn inline_content() {
    let mut message = rich();
    message.properties.set("words", "two words");
    for (source, expected) in [
        ("<a>{$ctx:name}</a>", "<a>John</a>"),
        ("{\"a\": {$ctx:words}}", "{\"a\": \"two words\"}"),
        ("{\"a\": \"{$ctx:words}\"}", "{\"a\": \"two words\"}"),
        ("{\"a\": {$ctx:json}}", r#"{"a": {"a":{"b":[1,"x"]}}}"#),
        ("{\"a\": {$ctx:none}}", "{\"a\": \"\"}"),
        ("{\"a\": {$ctx:om}}", "{\"a\": <p><q> 1 </q><r/></p>}"),
    ] {
        let template = Template::parse_inline(source, &namespaces()).expect(source);
        assert_eq!(template.eval_inline(&message, &NoLookup).as_deref(), Ok(expected), "{source}");
    }
}

#[test]
fn a_local_entry_answers_for_a_missing_property() {
    struct Entries;
    impl Lookup for Entries {
        fn local_entry(&self, key: &str) -> Option<Value> {
            (key == "entry").then(|| Value::from("local"))
        }
        fn registry(&self, key: &str) -> Option<Value> {
            (key == "conf:x").then(|| Value::from("content"))
        }
        fn registry_property(&self, key: &str, property: &str) -> Option<String> {
            Some(format!("{key}#{property}"))
        }
        fn config(&self, _key: &str) -> Option<String> {
            None
        }
        fn environment(&self, name: &str) -> Option<String> {
            Some(format!("env {name}"))
        }
        fn system_property(&self, name: &str) -> Option<String> {
            Some(format!("sys {name}"))
        }
        fn file_property(&self, name: &str) -> Option<String> {
            Some(format!("file {name}"))
        }
        fn now_millis(&self) -> i64 {
            0
        }
        fn zone_offset_seconds(&self, _at_millis: i64) -> i32 {
            0
        }
        fn new_id(&self) -> String {
            "urn:uuid:new".to_owned()
        }
        fn vault(&self, alias: &str, kind: &str) -> Option<String> {
            Some(format!("{alias}/{kind}"))
        }
    }
    for (source, expected) in [
        ("get-property('entry')", "local"),
        ("get-property('MessageID')", "urn:uuid:new"),
        ("get-property('registry', 'conf:x')", "content"),
        ("get-property('registry', 'conf:x@p')", "conf:x#p"),
        ("get-property('env', 'HOME')", "env HOME"),
        ("get-property('system', 'user.dir')", "sys user.dir"),
        ("$sys:user.dir", "sys user.dir"),
        ("get-property('file', 'f')", "file f"),
        ("wso2:vault-lookup('a')", "a/"),
        ("wso2:vault-lookup('a', 'ENV', 'false')", "a/ENV"),
    ] {
        let text = parse(source).eval_string(&Message::new(), &Entries).expect(source);
        assert_eq!(&*text, expected, "{source}");
    }
}

#[test]
fn compiled_expressions_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Expr>();
    shared::<Dynamic>();
    shared::<Template>();
}
