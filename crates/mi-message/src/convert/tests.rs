//! Tables for both directions. What MI's own tests show is taken over as facts.

use std::sync::Arc;

use mi_xml::Document;

use super::*;
use crate::JsonBody;

fn options(switches: &[(&str, &str)]) -> ConvertOptions {
    let mut options = ConvertOptions::default();
    for (property, value) in switches {
        assert!(options.set(property, value).unwrap(), "{property} is a switch");
    }
    options
}

/// XML to JSON text with the default options; the value must say the same.
#[track_caller]
fn check(xml: &str, expected: &str) {
    check_with(&[], xml, expected);
}

#[track_caller]
fn check_with(switches: &[(&str, &str)], xml: &str, expected: &str) {
    let options = options(switches);
    let document = Document::parse(xml.to_owned()).unwrap();
    let root = document.root_element().unwrap();
    let text = xml_to_json::to_text(&document, root, &options).unwrap();
    assert_eq!(String::from_utf8(text.clone()).unwrap(), expected, "{xml}");
    let value = xml_to_json::to_value(&document, root, &options).unwrap();
    assert_eq!(value, parse_json(&text).unwrap(), "{xml}");
}

/// JSON to XML with the default options, and back again.
#[track_caller]
fn check_json(json: &str, expected: &str) {
    check_json_with(&[], json, expected, json);
}

#[track_caller]
fn check_json_with(switches: &[(&str, &str)], json: &str, expected: &str, back: &str) {
    let options = options(switches);
    let native = Native::Json(JsonBody::from_text(json.to_owned()));
    let envelope = to_envelope(&native, &options).unwrap();
    let payload = envelope.payload().unwrap();
    assert_eq!(envelope.document().to_xml(payload), expected, "{json}");
    let text = xml_to_json::to_text(envelope.document(), payload, &options).unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), back, "{json} comes back");
}

#[test]
fn elements_become_members() {
    check("<a>x</a>", r#"{"a":"x"}"#);
    check("<a><b>1</b><c>2</c></a>", r#"{"a":{"b":1,"c":2}}"#);
    check("<a>\n  <b>1</b>\n  <!-- no --><c/>\n</a>", r#"{"a":{"b":1,"c":null}}"#);
    check("<a/>", r#"{"a":null}"#);
    check("<a>  \n </a>", r#"{"a":null}"#);
    check("<a> x </a>", r#"{"a":" x "}"#);
    check("<a><![CDATA[<x>]]></a>", r#"{"a":"<x>"}"#);
    check("<a>x<!-- y -->z</a>", r#"{"a":"xz"}"#);
    check("<a>&lt;&quot;\\&#10;&#9;/é</a>", r#"{"a":"<\"\\\n\t/é"}"#);
    check("<p:a xmlns:p='urn:p' xmlns='urn:d'><b/></p:a>", r#"{"a":{"b":null}}"#);
}

#[test]
fn attributes_stay_text() {
    check("<a id='1'>x</a>", r#"{"a":{"@id":"1","$":"x"}}"#);
    check("<a id='1'>5</a>", r#"{"a":{"@id":"1","$":5}}"#);
    check("<a id='1' b=''/>", r#"{"a":{"@id":"1","@b":""}}"#);
    check("<a id='1'><b>true</b></a>", r#"{"a":{"@id":"1","b":true}}"#);
    check("<a nil='true'/>", r#"{"a":{"@nil":"true"}}"#);
    check("<a p:id='1' xmlns:p='urn:p'/>", r#"{"a":{"@id":"1"}}"#);
}

#[test]
fn neighbours_are_arrays() {
    check("<a><b>1</b><b>2</b></a>", r#"{"a":{"b":[1,2]}}"#);
    check("<a><b>1</b><c/><b>2</b><b/></a>", r#"{"a":{"b":1,"c":null,"b":[2,null]}}"#);
    check("<a><b><c>1</c></b><b><c>1</c><c>2</c></b></a>", r#"{"a":{"b":[{"c":1},{"c":[1,2]}]}}"#);
    check("<a><b x='1'/><b>2</b></a>", r#"{"a":{"b":[{"@x":"1"},2]}}"#);
    check("<a><b/><p:b xmlns:p='urn:p'/></a>", r#"{"a":{"b":[null,null]}}"#);
    let off = [("synapse.commons.json.output.jsonoutAutoArray", "false")];
    check_with(&off, "<a><b>1</b><b>2</b></a>", r#"{"a":{"b":1,"b":2}}"#);
    check_with(&off, "<jsonArray><jsonElement>1</jsonElement><jsonElement>2</jsonElement></jsonArray>", "[1,2]");
}

#[test]
fn instructions_start_arrays() {
    check("<a><?xml-multiple b?><b>1</b></a>", r#"{"a":{"b":[1]}}"#);
    check("<a><?xml-multiple?><b>1</b><c>2</c></a>", r#"{"a":{"b":[1],"c":2}}"#);
    check("<a><?xml-multiple b?></a>", r#"{"a":{"b":[]}}"#);
    check("<a><?xml-multiple b?><c>1</c></a>", r#"{"a":{"b":[],"c":1}}"#);
    check("<a><?xml-multiple b?><?xml-multiple c?><c>1</c></a>", r#"{"a":{"b":[],"c":[1]}}"#);
    check("<a><?xml-multiple b?><b x='1'>2</b><b>3</b></a>", r#"{"a":{"b":[{"@x":"1","$":2},3]}}"#);
    check("<a><?xml-multiple b?><b x='1'/><b>3</b></a>", r#"{"a":{"b":[{"@x":"1"},"3"]}}"#);
    check("<a><?other b?><b>1</b></a>", r#"{"a":{"b":1}}"#);
    check_with(
        &[("synapse.commons.json.output.jsonoutMultiplePI", "false")],
        "<a><?xml-multiple b?><b>1</b></a>",
        r#"{"a":{"b":1}}"#,
    );
}

#[test]
fn wrappers_vanish() {
    check("<jsonObject><a>1</a></jsonObject>", r#"{"a":1}"#);
    check("<jsonArray><jsonElement>10</jsonElement><jsonElement>20</jsonElement></jsonArray>", "[10,20]");
    check("<jsonArray><jsonElement><a>1</a></jsonElement></jsonArray>", r#"{"a":1}"#);
    check("<jsonArray><?xml-multiple jsonElement?><jsonElement>1</jsonElement></jsonArray>", "[1]");
    check("<jsonArray><jsonElement><a/></jsonElement><jsonElement/></jsonArray>", r#"[{"a":null},null]"#);
    check("<jsonObject/>", "null");
    check("<jsonArray/>", "null");
    check("<jsonObject x='1'/>", r#"{"@x":"1"}"#);
    check("<a><jsonArray><jsonElement>1</jsonElement><jsonElement>2</jsonElement></jsonArray></a>", r#"{"a":[1,2]}"#);
    check("<a><jsonElement>1</jsonElement><b>2</b></a>", r#"{"a":{"jsonElement":1,"b":2}}"#);
    check("<a x='1'><jsonElement>1</jsonElement></a>", r#"{"a":{"@x":"1","jsonElement":1}}"#);
    check("<jsonValue>\"a\"</jsonValue>", "\"a\"");
    check("<jsonValue>12</jsonValue>", "12");
}

#[test]
fn text_becomes_primitive() {
    for (text, expected) in [
        ("true", "true"),
        ("false", "false"),
        ("null", "null"),
        ("True", "\"True\""),
        ("12", "12"),
        ("25.0000", "25.0000"),
        ("-0", "0"),
        ("25e1", "2.5E+2"),
        ("001", "\"001\""),
        ("+1", "\"+1\""),
        (" 1", "\" 1\""),
        ("1.", "\"1.\""),
        ("12345678901234567890.12345678901234567890", "12345678901234567890.12345678901234567890"),
    ] {
        check(&format!("<a>{text}</a>"), &format!("{{\"a\":{expected}}}"));
    }
    let off = [("synapse.commons.json.output.autoPrimitive", "false")];
    check_with(&off, "<a><b>10</b><c>true</c><d/></a>", r#"{"a":{"b":"10","c":"true","d":null}}"#);
    let keep = [(
        "synapse.commons.json.output.disableAutoPrimitive.regex",
        r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$",
    )];
    check_with(&keep, "<a><b>25e1</b><c>true</c></a>", r#"{"a":{"b":"25e1","c":true}}"#);
    let replace = [
        ("synapse.commons.json.json.output.disableAutoPrimitive.customReplaceRegex", "@@@"),
        ("synapse.commons.json.json.output.disableAutoPrimitive.customReplaceSequence", ""),
    ];
    check_with(&replace, "<a><b>@@@12</b><c>12</c><d>1@@@</d></a>", r#"{"a":{"b":"12","c":12,"d":"1@@@"}}"#);
    assert!(ConvertOptions::default().set(keep[0].0, "(").is_err());
    assert_eq!(ConvertOptions::default().set("synapse.threads.core", "1"), Ok(false));
}

#[test]
fn namespaces_on_request() {
    let keep = ("synapse.commons.json.preserve.namespace", "true");
    check_with(
        &[keep],
        "<a:test xmlns:a='t1'><b:testb xmlns:b='t2' a:attrb1='v1' b:attrb1='v2'/><c:testc xmlns:c='t3' /></a:test>",
        r#"{"a_test":{"b_testb":{"@a_attrb1":"v1","@b_attrb1":"v2"},"c_testc":null}}"#,
    );
    let declare = ("synapse.commons.json.output.enableNSDeclarations", "true");
    let xml = "<ns:stock xmlns:ns='http://services.samples'><ns:name>WSO2</ns:name></ns:stock>";
    check_with(&[keep, declare], xml, r#"{"ns_stock":{"@xmlns_ns":"http://services.samples","ns_name":"WSO2"}}"#);
    check_with(
        &[keep, declare, ("synapse.commons.json.output.namespaceSepChar", "^")],
        xml,
        r#"{"ns^stock":{"@xmlns^ns":"http://services.samples","ns^name":"WSO2"}}"#,
    );
    check_with(&[keep, declare], "<a xmlns='urn:d'/>", r#"{"a":{"@xmlns":"urn:d"}}"#);
    check_with(&[declare], xml, r#"{"stock":{"name":"WSO2"}}"#);
    // The declaration stands on the envelope, which is not converted.
    let document = Document::parse("<e xmlns:p='urn:p'><p:a><p:b/></p:a></e>").unwrap();
    let inner = document.first_child_element(document.root_element().unwrap()).unwrap();
    let text = xml_to_json::to_text(&document, inner, &options(&[keep, declare])).unwrap();
    assert_eq!(text, br#"{"p_a":{"@xmlns_p":"urn:p","p_b":null}}"#);
}

#[test]
fn nil_and_empty() {
    let nil = [("synapse.commons.enableXmlNilReadWrite", "true")];
    let xml = "<t xmlns:i='http://www.w3.org/2001/XMLSchema-instance'><a>1</a><b>001</b><c i:nil='true'/><d nil='true'>x</d>\
               <e i:nil='false'/></t>";
    check_with(&nil, xml, r#"{"t":{"a":1,"b":"001","c":null,"d":null,"e":{"@nil":"false"}}}"#);
    check_with(&nil, "<t x='1' nil='true'/>", r#"{"t":{"@x":"1","$":null}}"#);
    let empty = [("synapse.commons.enableXmlNullForEmptyElement", "false")];
    check_with(&empty, "<t><a/><b></b></t>", r#"{"t":{"a":"","b":""}}"#);
    check_json_with(
        &nil,
        r#"{"r":{"abc":null}}"#,
        "<jsonObject><r><abc nil=\"true\"/></r></jsonObject>",
        r#"{"r":{"abc":null}}"#,
    );
}

#[test]
fn white_space_is_kept_on_request() {
    let document = Document::parse("<a><b>  </b><c> </c></a>").unwrap();
    let keep = ConvertOptions { preserve_spaces: true, ..ConvertOptions::default() };
    let text = xml_to_json::to_text(&document, document.root_element().unwrap(), &keep).unwrap();
    assert_eq!(text, br#"{"a":{"b":"  ","c":" "}}"#);
}

#[test]
fn mixed_content_is_an_error() {
    for xml in ["<a>x<b/></a>", "<a><b/>x</a>", "<a><b><c/>x</b></a>", "<a>x<?xml-multiple b?></a>"] {
        let document = Document::parse(xml).unwrap();
        let error = xml_to_json::to_text(&document, document.root_element().unwrap(), &ConvertOptions::default());
        assert!(error.unwrap_err().to_string().contains("Mixed content is not supported: 'x'"), "{xml}");
    }
}

#[test]
fn escaped_names_come_back() {
    check(
        "<stock_JsonReader_32_quote><_JsonReader_PD_1>x</_JsonReader_PD_1></stock_JsonReader_32_quote>",
        r#"{"stock quote":{"1":"x"}}"#,
    );
    check("<a_JsonReader_34_b/>", r#"{"a\"b":null}"#);
}

#[test]
fn json_becomes_elements() {
    check_json(r#"{"a":1}"#, "<jsonObject><a>1</a></jsonObject>");
    // What XML cannot hold is spelled out.
    check_json_with(
        &[],
        r#"{"a":"\u0011\u001fx\t"}"#,
        "<jsonObject><a>\\u0011\\u001Fx\t</a></jsonObject>",
        r#"{"a":"\\u0011\\u001Fx\t"}"#,
    );
    check_json(r#"{"a":{"b":"x"},"c":true}"#, "<jsonObject><a><b>x</b></a><c>true</c></jsonObject>");
    check_json(r#"{"a":null}"#, "<jsonObject><a/></jsonObject>");
    check_json(r#"{"array":[1,2,3]}"#, "<jsonObject><array>1</array><array>2</array><array>3</array></jsonObject>");
    check_json(
        r#"[1,{"a":2}]"#,
        "<jsonArray><jsonElement>1</jsonElement><jsonElement><a>2</a></jsonElement></jsonArray>",
    );
    check_json(r#"{"$schema":"U"}"#, "<jsonObject><_JsonReader_PS_schema>U</_JsonReader_PS_schema></jsonObject>");
    check_json(
        r#"{"value":12.4,"12X12":"http://x","0":{"d":"19/12/12"}}"#,
        "<jsonObject><value>12.4</value><_JsonReader_PD_12X12>http://x</_JsonReader_PD_12X12><_JsonReader_PD_0>\
         <d>19/12/12</d></_JsonReader_PD_0></jsonObject>",
    );
    check_json(r#"{"a":{"@x":"1","$":"t"}}"#, "<jsonObject><a x=\"1\">t</a></jsonObject>");
    check_json(r#""text""#, "<jsonValue>\"text\"</jsonValue>");
    check_json("-12.50", "<jsonValue>-12.50</jsonValue>");
    check_json("null", "<jsonValue>null</jsonValue>");
}

#[test]
fn json_that_changes_on_the_way() {
    let element = |json, xml, back| check_json_with(&[], json, xml, back);
    element("{}", "<jsonObject/>", "null");
    element("[]", "<jsonArray/>", "null");
    element("[1]", "<jsonArray><jsonElement>1</jsonElement></jsonArray>", "1");
    element(r#"{"a":[]}"#, "<jsonObject/>", "null");
    element(r#"{"a":["1"]}"#, "<jsonObject><a>1</a></jsonObject>", r#"{"a":1}"#);
    element(r#"{"a":{}}"#, "<jsonObject><a/></jsonObject>", r#"{"a":null}"#);
    element(
        r#"{"a":[[1,2],[3,4]]}"#,
        "<jsonObject><a><jsonArray><jsonElement>1</jsonElement><jsonElement>2</jsonElement></jsonArray></a><a><jsonArray>\
         <jsonElement>3</jsonElement><jsonElement>4</jsonElement></jsonArray></a></jsonObject>",
        r#"{"a":[[1,2],[3,4]]}"#,
    );
}

#[test]
fn instructions_keep_arrays() {
    let pi = [("synapse.json.to.xml.processing.instruction.enabled", "true")];
    let keep = |json, xml| check_json_with(&pi, json, xml, json);
    keep("[1]", "<jsonArray><?xml-multiple jsonElement?><jsonElement>1</jsonElement></jsonArray>");
    keep(r#"{"h":[],"u":[]}"#, "<jsonObject><?xml-multiple h?><?xml-multiple u?></jsonObject>");
    keep(
        r#"{"array":[[1,2,4]]}"#,
        "<jsonObject><?xml-multiple array?><array><jsonArray><?xml-multiple jsonElement?><jsonElement>1</jsonElement>\
         <jsonElement>2</jsonElement><jsonElement>4</jsonElement></jsonArray></array></jsonObject>",
    );
    keep(
        "[[],[[[],[]],[]]]",
        "<jsonArray><?xml-multiple jsonElement?><jsonElement><jsonArray><?xml-multiple jsonElement?></jsonArray>\
         </jsonElement><jsonElement><jsonArray><?xml-multiple jsonElement?><jsonElement><jsonArray><?xml-multiple jsonElement?>\
         <jsonElement><jsonArray><?xml-multiple jsonElement?></jsonArray></jsonElement><jsonElement><jsonArray>\
         <?xml-multiple jsonElement?></jsonArray></jsonElement></jsonArray></jsonElement><jsonElement><jsonArray>\
         <?xml-multiple jsonElement?></jsonArray></jsonElement></jsonArray></jsonElement></jsonArray>",
    );
    keep(
        r#"{"1":[1,2,{"n":["one"]}]}"#,
        "<jsonObject><?xml-multiple 1?><_JsonReader_PD_1>1</_JsonReader_PD_1><_JsonReader_PD_1>2</_JsonReader_PD_1>\
         <_JsonReader_PD_1><?xml-multiple n?><n>one</n></_JsonReader_PD_1></jsonObject>",
    );
    keep(
        "[null,null,1]",
        "<jsonArray><?xml-multiple jsonElement?><jsonElement/><jsonElement/><jsonElement>1</jsonElement></jsonArray>",
    );
}

#[test]
fn namespaces_in_json() {
    let json = r#"{"a":{"@xmlns":"urn:d","b":{"c":1},"@xmlns:p":"urn:p"}}"#;
    let native = Native::Json(JsonBody::from_text(json));
    let envelope = to_envelope(&native, &ConvertOptions::default()).unwrap();
    let document = envelope.document();
    let a = document.first_child_element(envelope.payload().unwrap()).unwrap();
    let c =
        document.descendants(a).find(|node| document.is_element(*node) && document.local_name(*node) == "c").unwrap();
    assert_eq!((document.namespace(a), document.namespace(c)), ("urn:d", "urn:d"));
    assert_eq!(document.lookup_namespace(c, "p"), Some("urn:p"));
    assert_eq!(document.namespace(envelope.payload().unwrap()), "");
}

#[test]
fn json_without_xml_form_is_an_error() {
    for json in [r#"{"@a":[1]}"#, r#"{"$":{}}"#, r#"{"a":{"$":[1]}}"#, r#"{"@a":{"b":[]}}"#] {
        let native = Native::Json(JsonBody::from_text(json));
        assert!(to_envelope(&native, &ConvertOptions::default()).is_err(), "{json}");
    }
}

#[test]
fn strict_and_lenient_json() {
    for (json, expected) in [
        ("", "{}"),
        (" \n", "{}"),
        (r#"{"a": [1, -2.50e+1, "x\u00e9\n\/", true, null]}"#, r#"{"a":[1,-2.50e+1,"xé\n/",true,null]}"#),
        ("\u{feff}{}", "{}"),
        ("{a:'b',c=d;e=>1.0}", r#"{"a":"b","c":"d","e":1.0}"#),
        ("{/* c */\"a\"// x\n:1#y\n}", r#"{"a":1}"#),
        ("[1,,2,]", "[1,null,2,null]"),
        ("[TRUE,Null,01,NaN]", r#"[true,null,"01","NaN"]"#),
        (r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#),
        (r#""\ud83d\ude00\ud83d""#, "\"\u{1f600}\u{fffd}\""),
        ("[[[]],{}]", "[[[]],{}]"),
        ("12345678901234567890123.10", "12345678901234567890123.10"),
    ] {
        assert_eq!(parse_json(json.as_bytes()).unwrap().to_string(), expected, "{json}");
    }
}

#[test]
fn broken_json_says_where() {
    for (json, place) in [
        ("{", "line 1 column 2"),
        ("{\"a\":\n\"x", "line 2 column 3"),
        ("[1", "unterminated array"),
        ("{\"a\" 1}", "expected ':'"),
        ("{\"a\":1,}", "expected a name"),
        ("{}x", "unexpected text behind it"),
        ("[\"\\x\"]", "invalid escape"),
        ("[\"\\u12\"]", "escape"),
        ("{\"a\":}", "unexpected character"),
        ("/*", "unterminated comment"),
        ("[1}", "unterminated array"),
    ] {
        let error = parse_json(json.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(place), "{json}: {error}");
    }
}

#[test]
fn nesting_is_capped_and_deep_bodies_convert() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse_json(nested(json_text::MAX_DEPTH + 1).as_bytes()).unwrap_err().to_string().contains("too deep"));
    let json = nested(json_text::MAX_DEPTH);
    let native = Native::Json(JsonBody::from_text(json));
    let envelope = to_envelope(&native, &ConvertOptions::default()).unwrap();
    let text = xml_to_json::to_text(envelope.document(), envelope.payload().unwrap(), &ConvertOptions::default());
    assert_eq!(text.unwrap(), b"1");
}

#[test]
fn text_and_bytes_have_wrappers() {
    let show = |native: &Native| {
        let envelope = to_envelope(native, &ConvertOptions::default()).unwrap();
        envelope.document().to_xml(envelope.payload().unwrap())
    };
    let text = Native::Text(Arc::from("a<b"));
    assert_eq!(show(&text), "<text xmlns=\"http://ws.apache.org/commons/ns/payload\">a&lt;b</text>");
    assert_eq!(to_json(&text, &ConvertOptions::default()).unwrap().to_string(), r#"{"text":"a<b"}"#);
    let binary = Native::Binary(bytes::Bytes::from_static(b"\0\xff"));
    assert_eq!(show(&binary), "<binary xmlns=\"http://ws.apache.org/commons/ns/payload\">AP8=</binary>");
    assert_eq!(to_json(&binary, &ConvertOptions::default()).unwrap().to_string(), r#"{"binary":"AP8="}"#);
    assert_eq!(to_json(&Native::Empty, &ConvertOptions::default()).unwrap().to_string(), "{}");
    assert!(to_envelope(&Native::Empty, &ConvertOptions::default()).unwrap().payload().is_none());
    assert_eq!(decode_base64(" AP8\n"), Some(vec![0, 255]));
    assert_eq!(decode_base64("?"), None);
}
