//! Scripts on messages: what they see, what they change, what they cannot do, what is left of them.

use std::sync::Arc;
use std::time::Duration;

use mi_expr::NoLookup;
use mi_message::{Body, Message, Native, Value};

use crate::{Language, Limits, Outcome, Script, ScriptError, World, map, run};

fn world() -> World {
    World { lookup: Arc::new(NoLookup), log_prefix: "".into() }
}

fn json(text: &str) -> Message {
    Message { body: Body::from_json_text(text.to_owned()), ..Message::new() }
}

fn xml(text: &str) -> Message {
    let mut body = Body::from_bytes(text.to_owned(), Some("text/xml".into()));
    body.build().expect("it is XML");
    Message { body, ..Message::new() }
}

#[track_caller]
fn ran(script: &Script, message: Message) -> Outcome {
    run(script, message, world(), &[], Limits::default())
}

/// Runs a script; gives the message, which must have come through.
#[track_caller]
fn after(language: Language, source: &str, message: Message) -> Message {
    let outcome = ran(&Script::inline(source, language).expect("it compiles"), message);
    assert_eq!(outcome.result.as_ref().err(), None, "{source}");
    outcome.message
}

#[track_caller]
fn error(language: Language, source: &str) -> String {
    let outcome = ran(&Script::inline(source, language).expect("it compiles"), json("{}"));
    outcome.result.expect_err("it fails").to_string()
}

fn body_xml(message: &Message) -> String {
    let envelope = message.body.envelope().expect("it can be XML");
    envelope.payload().map(|node| envelope.document().to_xml(node)).unwrap_or_default()
}

fn body_text(message: &Message) -> String {
    match message.body.native().expect("it is built") {
        Native::Json(json) => String::from_utf8_lossy(json.text()).into_owned(),
        other => panic!("no JSON: {other:?}"),
    }
}

fn property(message: &Message, name: &str) -> String {
    message.properties.get(name).map_or_else(|| "(none)".to_owned(), |value| format!("{value:?}"))
}

const ORDER: &str = "<o:order xmlns:o='urn:o' id='7'><o:item n='1'>pen</o:item><o:item n='2'>ink</o:item></o:order>";

#[test]
fn json_in_and_out() {
    let source = "var p = mc.getPayloadJSON(); p.a.b += 1; delete p.c; p.d = [null, 'ü']; mc.setPayloadJSON(p);";
    let message = after(Language::Js, source, json(r#"{"a": {"b": 1}, "c": 2}"#));
    assert_eq!(body_text(&message), r#"{"a":{"b":2},"d":[null,"ü"]}"#);
    let message =
        after(Language::Js, "payload = mc.payloadJSON; mc.payloadJSON = payload.x", json(r#"{"x":[1.5,"t"]}"#));
    assert_eq!(body_text(&message), r#"[1.5,"t"]"#);
    let message = after(Language::Rhino, "mc.setPayloadJSON('{\"a\": 1}')", json("[]"));
    assert_eq!(body_text(&message), "{\"a\": 1}");
    let message = after(Language::Js, "mc.setProperty('e', JSON.stringify(mc.getPayloadJSON()))", xml("<a/>"));
    assert_eq!(property(&message, "e"), "String(\"{}\")");
    assert!(error(Language::Js, "mc.setPayloadJSON(undefined)").contains("no form in JSON"));
}

#[test]
fn large_json_is_read_in_parts() {
    let part = format!(r#"{{"n":[{}{{"deep":"é"}}],"q":"x"}}"#, "1,".repeat(600));
    let text = format!(
        r#"{{"first":{part},"second":{part},"s":"t","__proto__":{{"evil":1}},"broken":[{} oops]}}"#,
        "2,".repeat(600)
    );
    let source = "var p = mc.getPayloadJSON(); var f = p.first.n; f[0] = 9; p.second = 3;
        mc.setProperty('r', [p.first.n[0], p.first.n[600].deep, p.second, p.s, Object.keys(p).join(), p.evil, ({}).evil].join('|'));";
    let message = after(Language::Js, source, json(&text));
    assert_eq!(property(&message, "r"), "String(\"9|é|3|t|first,second,s,__proto__,broken||\")");
    let outcome =
        ran(&Script::inline("JSON.stringify(mc.getPayloadJSON().broken)", Language::Js).unwrap(), json(&text));
    assert_eq!(outcome.result.unwrap_err().to_string().split(" (").next(), Some("SyntaxError: Invalid JSON payload"));
    let whole = format!("[{part},{part}]");
    let message = after(Language::Js, "mc.setPayloadJSON(mc.getPayloadJSON())", json(&whole));
    assert_eq!(body_text(&message), whole);
}

#[test]
fn xml_by_language() {
    let source =
        "mc.setProperty('t', typeof mc.getPayloadXML()); mc.setPayloadXML('<r>' + mc.getPayloadXML().length + '</r>')";
    let message = after(Language::Js, source, xml("<a>1</a>"));
    assert_eq!((body_xml(&message), property(&message, "t")), ("<r>8</r>".to_owned(), "String(\"string\")".to_owned()));
    let source = "var p = mc.getPayloadXML(); var x = mc.getXpathResult(\"//*[local-name()='item']\");
        var all = x.selectNodes(p); mc.setProperty('r', all.size() + all.get(1).getText() + p.getAttributeValue('id'));
        p.getFirstElement().setText('new'); p.addAttribute('k', 'v', null); mc.getEnvelope().getBody().getFirstElement().getChildElements().next().addChild(mc.parseXml('<z/>'))";
    let message = after(Language::Nashorn, source, xml(ORDER));
    assert_eq!(property(&message, "r"), "String(\"2ink7\")");
    assert_eq!(
        body_xml(&message),
        "<o:order xmlns:o='urn:o' id='7' k=\"v\"><o:item n='1'>new<z/></o:item><o:item n='2'>ink</o:item></o:order>"
    );
    assert!(error(Language::Js, "mc.setPayloadXML({})").contains("Unsupported type provide for XML"));
    assert!(
        error(Language::Js, "mc.setPayloadXML('<a>')").contains("Failed to create OMElement with provided payload")
    );
}

#[test]
fn e4x_reads() {
    let cases = [
        ("x..*::item.length()", "2"),
        ("x.*::item[1].toString()", "ink"),
        ("x.*::item.(@n == 2).toString()", "ink"),
        ("x.@id", "7"),
        ("String(x..@n)", "12"),
        ("x.localName() + x.name().uri", "orderurn:o"),
        ("var o = new Namespace('urn:o'); x.o::item[0]", "pen"),
        ("x.*.length() + ' ' + x.children().length()", "2 2"),
        ("var s = ''; for each (var i in x.*::item) { s += i + ';' } s", "pen;ink;"),
        ("var s = ''; for (var i in x.*::item) { s += i } s", "01"),
        ("x.*::item == 'no' ? 'y' : 'n'", "n"),
        ("x.nothing.length() + x.nothing.toString()", "0"),
        ("<a b='1'><c>{1 + 1}</c></a>.c", "2"),
        ("<a>{'<&'}</a>.toXMLString()", "<a>&lt;&amp;</a>"),
        ("<a b={'\"x'}/>.toXMLString()", "<a b=\"&quot;x\"/>"),
        ("<a><b>1</b><c/></a>.toXMLString()", "<a>\n  <b>1</b>\n  <c/>\n</a>"),
        ("new XML('<q>t</q>').toXMLString()", "<q>t</q>"),
        ("var l = <></>; l += <a>1</a>; l += <b>2</b>; l.length() + l.toXMLString()", "2<a>1</a>\n<b>2</b>"),
        ("x.*::item[0].parent().localName()", "order"),
        ("x.hasSimpleContent() + ' ' + x.*::item[0].hasSimpleContent()", "false true"),
    ];
    for (expression, expected) in cases {
        let source = format!("var x = mc.getPayloadXML(); var r = eval; r = undefined; {}", {
            let (before, last) = expression.rsplit_once("; ").map_or(("", expression), |(a, b)| (a, b));
            let (before, last) = match last.rsplit_once("} ") {
                Some((loops, last)) => (format!("{before}; {loops}}}"), last),
                None => (before.to_owned(), last),
            };
            format!("{before}; mc.setProperty('r', String({last}))")
        });
        let message = after(Language::Rhino, &source, xml(ORDER));
        assert_eq!(property(&message, "r"), format!("String({expected:?})"), "{expression}");
    }
}

#[test]
fn e4x_writes() {
    let cases = [
        ("x.b = 'two'", "<a>\n  <b>two</b>\n  <c k=\"1\"/>\n</a>"),
        ("x.c.@k = 5; x.@new = 'n'", "<a new=\"n\">\n  <b>1</b>\n  <c k=\"5\"/>\n</a>"),
        ("x.d.e = 3", "<a>\n  <b>1</b>\n  <c k=\"1\"/>\n  <d>\n    <e>3</e>\n  </d>\n</a>"),
        ("delete x.b; delete x.c.@k", "<a>\n  <c/>\n</a>"),
        ("x.appendChild(<z>{x.b}</z>)", "<a>\n  <b>1</b>\n  <c k=\"1\"/>\n  <z>\n    <b>1</b>\n  </z>\n</a>"),
        ("x.b += 'x'", "<a>\n  <b>1x</b>\n  <c k=\"1\"/>\n</a>"),
        ("x.c = <d/>", "<a>\n  <b>1</b>\n  <d/>\n</a>"),
        ("x.setLocalName('n'); x.b.setChildren('9')", "<n>\n  <b>9</b>\n  <c k=\"1\"/>\n</n>"),
    ];
    for (statements, expected) in cases {
        let source = format!("var x = mc.getPayloadXML(); {statements}; mc.setPayloadXML(x)");
        let message = after(Language::Rhino, &source, xml("<a><b>1</b><c k='1'/></a>"));
        assert_eq!(body_xml(&message), expected, "{statements}");
    }
}

#[test]
fn values_keep_their_types() {
    let cases = [
        ("5", "Int(5)", "Double(5.0)"),
        ("2.5", "Double(2.5)", "Double(2.5)"),
        ("5000000000", "Long(5000000000)", "Double(5000000000.0)"),
        ("true", "Bool(true)", "Bool(true)"),
        ("'x'", "String(\"x\")", "String(\"x\")"),
        ("null", "(none)", "(none)"),
        ("'\\ud83d'", "String(\"\u{fffd}\")", "String(\"\u{fffd}\")"),
    ];
    for (value, js, rhino) in cases {
        for (language, expected) in [(Language::Js, js), (Language::Nashorn, js), (Language::Rhino, rhino)] {
            let message = after(language, &format!("mc.setProperty('v', {value})"), json("{}"));
            assert_eq!(property(&message, "v"), expected, "{value} {language:?}");
        }
    }
    let source = "var o = {a: [1, {b: null}]}; mc.setProperty('o', o); var k = mc.getProperty('o');
        mc.setVariable('v', k.a[0] + '|' + JSON.parse(k).a.length + '|' + JSON.stringify(k))";
    let message = after(Language::Js, source, json("{}"));
    assert!(matches!(message.properties.get("o"), Some(Value::Json(_))));
    assert_eq!(message.variables.get_str("v"), Some("1|2|{\"a\":[1,{\"b\":null}]}"));
    let message = after(
        Language::Js,
        "mc.setProperty('x', '<a>1</a>'); mc.setVariable('t', mc.getProperty('x').getText())",
        json("{}"),
    );
    assert!(matches!(message.properties.get("x"), Some(Value::Xml(_))));
    assert_eq!(message.variables.get_str("t"), Some("1"));
}

#[test]
fn scopes_and_addresses() {
    let source = "mc.setProperty('a', 1, 'axis2'); mc.setProperty('H', 'v', 'transport'); mc.setProperty('o', 'p', 'operation');
        mc.setProperty('messageType', 'text/x', 'axis2'); mc.setProperty('gone', 1); mc.getPropertyKeySet().remove('gone');
        mc.setTo('http://t'); mc.setProperty('to', mc.getTo().getAddress()); mc.replyTo = 'http://r'; mc.setWSAAction('urn:a');
        mc.setProperty('id', mc.getMessageID()); mc.removeProperty('o', 'operation'); mc.setResponse(true); mc.setProperty('n', mc.nothing === undefined)";
    let message = after(Language::Js, source, json("{}"));
    assert_eq!(message.axis2.get("a").map(|it| format!("{it:?}")).as_deref(), Some("Int(1)"));
    assert_eq!((message.headers.get("H"), message.headers.get("content-type")), (Some("v"), Some("text/x")));
    assert!(message.operation.is_empty() && message.is_response && !message.properties.contains("gone"));
    assert_eq!(
        (message.addressing.reply_to.as_deref(), message.addressing.action.as_deref()),
        (Some("http://r"), Some("urn:a"))
    );
    assert_eq!(
        (property(&message, "to").as_str(), property(&message, "n").as_str()),
        ("String(\"http://t\")", "Bool(true)")
    );
    assert_eq!(message.addressing.message_id.as_deref(), message.properties.get_str("id"));
}

#[test]
fn headers_of_the_envelope() {
    let message = after(Language::Nashorn, "mc.addHeader(true, '<h:x xmlns:h=\"urn:h\">1</h:x>')", xml("<a/>"));
    let envelope = message.body.envelope().unwrap();
    let header = envelope.header().expect("it was made");
    assert_eq!(
        envelope.document().to_xml(envelope.document().first_child_element(header).unwrap()),
        "<h:x xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:h=\"urn:h\" soapenv:mustUnderstand=\"1\">1</h:x>"
    );
    assert!(error(Language::Js, "mc.addHeader(true, '<x/>')").contains("needs a namespace"));
}

/// Runs an inline script; tells whether its value is `false`.
#[track_caller]
fn stops(source: &str) -> bool {
    let outcome = ran(&Script::inline(source, Language::Js).expect("it compiles"), json("{\"n\": 1}"));
    matches!(outcome.result.expect("it runs"), Value::Bool(false))
}

#[test]
fn the_last_statement_is_the_value() {
    assert!(stops("false"));
    assert!(stops("var a = 1;\n a == 2;;"));
    assert!(stops("var a = 1\na === 2 // no\n"));
    assert!(stops("if (mc.getPayloadJSON().n == 1) { false } else { true }"));
    assert!(stops("function f() { return false }\n(f)()"));
    assert!(stops("var x = `}${'('}`; x == ''"));
    assert!(!stops("true") && !stops("") && !stops("0") && !stops("var a = false") && !stops("false;\nmc.isResponse"));
    assert!(!stops("if (false) { mc.setProperty('a', 1) }"));
}

#[test]
fn functions_with_arguments_and_includes() {
    let sources = [
        "var state = 1; function mediate(mc, a, b) { return helper(a) + b.x + state; }",
        "function helper(a) { return a * 2 } // end",
    ];
    let script = Script::function(&sources, "mediate", Language::Js).unwrap();
    let arguments = [Value::Int(4), Value::from(serde_json::json!({"x": 0.5}))];
    for _ in 0..3 {
        let outcome = run(&script, json("{}"), world(), &arguments, Limits::default());
        assert_eq!(outcome.result.unwrap().to_text(), "9.5");
    }
    let missing = Script::function(&sources, "nothing", Language::Js).unwrap();
    assert_eq!(ran(&missing, json("{}")).result.unwrap_err(), ScriptError::MissingFunction("nothing".to_owned()));
    let odd = Script::function(&sources, "a.b", Language::Js).unwrap();
    assert!(matches!(ran(&odd, json("{}")).result, Err(ScriptError::MissingFunction(_))));
}

#[test]
fn texts_are_mapped() {
    let source = "function f() { out = {}; out.b = input.a + 1; return out }";
    let script = Script::texts(&["text"], "var input = JSON.parse(text)", source, "f()").unwrap();
    for _ in 0..2 {
        assert_eq!(map(&script, &["{\"a\":1}"], Limits::default()), Ok(Some("{\"b\":2}".to_owned())));
    }
    assert!(matches!(map(&script, &["{"], Limits::default()), Err(ScriptError::Thrown { .. })));
}

#[test]
fn wrong_sources_are_refused_where_they_are_wrong() {
    let place = |sources: &[&str], language| {
        let error = Script::function(sources, "f", language).unwrap_err();
        (error.source_index, error.line, error.column)
    };
    assert_eq!(place(&["var a = ;"], Language::Js), (0, 1, 9));
    assert_eq!(place(&["var a;\n\n  if (a {}"], Language::Js), (0, 3, 9));
    assert_eq!(place(&["var a;", "\nvar 1;"], Language::Js), (1, 2, 5));
    assert_eq!(place(&["}); mc.x(); (function(){"], Language::Js).1, 1);
    assert_eq!(place(&["a\n= <b>;"], Language::Rhino), (0, 2, 3));
    assert!(Script::inline("var p = <a/>", Language::Js).is_err());
    assert!(Script::inline("for each (var p in x) {}", Language::Nashorn).is_err());
}

#[test]
fn errors_tell_their_place() {
    assert!(
        error(Language::Js, "var a;\n  a.b.c()")
            .starts_with("TypeError: cannot read property 'b' of undefined (line 2, ")
    );
    assert!(error(Language::Js, "throw {code: 5}").contains("[object Object]"));
    assert!(error(Language::Js, "mc.getEnvironment()").contains("mc.getEnvironment() is not available"));
    for source in [
        "java.lang.Runtime.getRuntime()",
        "new java.util.ArrayList()",
        "Java.type('java.io.File')",
        "importPackage(java.io)",
        "Packages.java.io.File('x')",
        "load('x.js')",
    ] {
        for language in [Language::Js, Language::Nashorn, Language::Rhino] {
            let error = error(language, source);
            assert!(
                error.contains("cannot be used in scripts") || error.contains("cannot load files"),
                "{source}: {error}"
            );
        }
    }
    assert!(error(Language::Js, "fetch('x')").contains("fetch is not defined"));
}

#[test]
fn little_of_java_is_there() {
    let source = "var Stream = Java.type('java.io.ByteArrayInputStream');
        var e = mc.getParsedOMElement(new Stream('<a>ü</a>'.getBytes()));
        mc.setProperty('r', e.getText() + java.lang.Integer.parseInt('12') + 'a'.equalsIgnoreCase('A') + new java.lang.String('x'))";
    assert_eq!(property(&after(Language::Nashorn, source, json("{}")), "r"), "String(\"ü12truex\")");
}

#[test]
fn nothing_is_left_for_the_next_message() {
    let cases = [
        "leaked = 1",
        "mc.expando = 1",
        "Object.prototype.polluted = 1",
        "var k = '__proto__'; ({})[k].polluted = 1",
        "function merge(a, b) { for (var k in b) { if (typeof b[k] == 'object') merge(a[k], b[k]); else a[k] = b[k] } } merge({}, mc.getPayloadJSON())",
        "Math.random = 1",
        "this.leaked = 1",
        "mc.__proto__.getTo = 1",
        "Promise.resolve().then(function () { leaked = 1 })",
        "Date = 5",
    ];
    let probe = "(typeof leaked) + mc.expando + ({}).polluted + typeof Math.random + typeof mc.getTo + typeof Date";
    for case in cases {
        let script = Script::inline(&format!("mc.setProperty('r', {probe}); {case}"), Language::Js).unwrap();
        for _ in 0..3 {
            let outcome = ran(&script, json(r#"{"__proto__": {"polluted": 1}}"#));
            assert_eq!(outcome.result.err(), None);
            assert_eq!(
                property(&outcome.message, "r"),
                "String(\"undefinedundefinedundefinedfunctionfunctionfunction\")",
                "{case}"
            );
        }
    }
}

#[test]
fn limits_hold() {
    let limits = Limits { time: Duration::from_millis(100), memory: 8 << 20, stack: 256 << 10 };
    let run_for = |source: &str, limits| {
        let script = Script::inline(source, Language::Js).unwrap();
        run(&script, json("{\"a\": 1}"), world(), &[], limits)
    };
    let run_it = |source| run_for(source, limits);
    let patient = Limits { time: Duration::from_mins(1), ..limits };
    for source in [
        "while (true) {}",
        "try { while (true) {} } catch (e) {} while (true) {}",
        "/^(a+)+$/.test('a'.repeat(40) + '!')",
    ] {
        let outcome = run_it(source);
        assert_eq!(outcome.result.unwrap_err(), ScriptError::Timeout(limits.time), "{source}");
        assert_eq!(body_text(&outcome.message), "{\"a\": 1}", "the message is still there");
    }
    for source in [
        "var a = []; while (true) a.push('x'.repeat(1000) + a.length)",
        "var s = 'x'; while (true) s += s",
        "'x'.repeat(1e9)",
        "new Uint8Array(1e9)",
    ] {
        let error = run_for(source, patient).result.unwrap_err();
        assert!(
            matches!(error, ScriptError::Memory(_))
                || error.to_string().contains("string too long")
                || error.to_string().contains("invalid repeat count"),
            "{source}: {error}"
        );
    }
    for source in
        ["function f() { return f() + 1 } f()", "var a = []; for (var i = 0; i < 1e5; i++) a = [a]; JSON.stringify(a)"]
    {
        let error = run_for(source, Limits { memory: 128 << 20, ..patient }).result.unwrap_err().to_string();
        assert!(error.contains("stack"), "{source}: {error}");
    }
    let outcome = run_it("Promise.resolve().then(function f() { return Promise.resolve().then(f) })");
    assert_eq!(outcome.result.unwrap_err(), ScriptError::Timeout(limits.time));
}

#[test]
fn payloads_that_nobody_read_are_missed() {
    let mut message = Message::new();
    message.body = Body::from_bytes("{}", Some("application/json".into()));
    let script = Script::inline("mc['getPay' + 'loadJSON']()", Language::Js).unwrap();
    assert!(script.reads_body());
    assert_eq!(ran(&script, message).result.unwrap_err(), ScriptError::BodyUnread);
    assert!(!Script::inline("mc.setProperty('a', mc.getProperty('b'))", Language::Js).unwrap().reads_body());
}
