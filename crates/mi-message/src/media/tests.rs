//! Tables of builders and formatters.

use std::sync::Arc;

use bytes::Bytes;
use mi_xml::Document;

use super::*;
use crate::{Body, Envelope, Message, SoapVersion, Value};

const SOAP11: &str =
    "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><a/></s:Body></s:Envelope>";
const SOAP12: &str =
    "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\"><s:Body><a/></s:Body></s:Envelope>";

/// A short picture of a native form.
fn show(native: &Native) -> String {
    match native {
        Native::Empty => "empty".to_owned(),
        Native::Json(json) => format!("json {}", String::from_utf8_lossy(json.text())),
        Native::Text(text) => format!("text {text}"),
        Native::Binary(bytes) => format!("binary {}", String::from_utf8_lossy(bytes)),
        Native::Xml(envelope) => {
            let payload = envelope.payload().map(|payload| envelope.document().to_xml(payload)).unwrap_or_default();
            let kind = if envelope.is_wrapped() { "xml" } else { "soap" };
            format!("{kind} {payload}")
        }
    }
}

#[track_caller]
fn check_build(content_type: Option<&str>, body: &[u8], expected: &str) {
    let built = build(&Bytes::copy_from_slice(body), content_type).unwrap();
    assert_eq!(show(&built.native), expected, "{content_type:?}");
}

#[test]
fn types_choose_builders() {
    check_build(None, b"<a/>", "binary <a/>");
    check_build(Some(""), b"<a/>", "xml <a/>");
    check_build(Some("application/xml"), b"<a/>", "xml <a/>");
    check_build(Some("application/xml"), SOAP11.as_bytes(), &format!("xml {SOAP11}"));
    check_build(Some("text/xml"), SOAP11.as_bytes(), "soap <a/>");
    check_build(Some("TEXT/XML; charset=utf-8"), b"<a/>", "xml <a/>");
    check_build(Some("application/soap+xml; action=\"x\""), SOAP12.as_bytes(), "soap <a/>");
    check_build(Some("application/atom+xml"), b"<feed/>", "xml <feed/>");
    check_build(Some("something/else"), b"<a/>", "xml <a/>");
    check_build(Some("multipart/form-data boundary=x"), b"<a/>", "xml <a/>");
    check_build(Some("application/json"), b" {\"a\": 1.0 }", "json  {\"a\": 1.0 }");
    check_build(Some("application/hal+json"), b"[]", "json []");
    check_build(Some("text/plain"), "é".as_bytes(), "text é");
    check_build(Some("text/plain; charset=ISO-8859-1"), b"\xe9", "text é");
    check_build(Some("application/octet-stream"), b"abc", "binary abc");
    check_build(Some("application/pdf"), b"%PDF", "binary %PDF");
    for content_type in ["text/xml", "application/json", "text/plain", "multipart/related", "x/y", ""] {
        check_build(Some(content_type), b"", "empty");
    }
    check_build(Some("text/xml"), b" \r\n", "empty");
}

#[test]
fn character_sets_of_xml_and_json() {
    check_build(Some("text/xml; charset=ISO-8859-1"), b"<a>\xe9</a>", "xml <a>é</a>");
    check_build(Some("application/xml"), b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9</a>", "xml <a>é</a>");
    check_build(
        Some("application/xml; charset=UTF-8"),
        "<?xml version='1.0' encoding='ISO-8859-1'?><a>é</a>".as_bytes(),
        "xml <a>é</a>",
    );
    check_build(
        Some("application/xml; charset=ISO-8859-15"),
        b"<?xml version='1.0' encoding='x'?><a>\xa4</a>",
        "xml <a>€</a>",
    );
    let utf16: Vec<u8> = "<a>é</a>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    check_build(Some("application/xml; charset=UTF-16LE"), &utf16, "xml <a>é</a>");
    check_build(Some("application/json; charset=ISO-8859-1"), b"{\"a\":\"\xe9\"}", "json {\"a\":\"é\"}");
}

#[test]
fn scalars_of_json() {
    for scalar in ["true", "false", "null", "\"x\"", "1", "-1.5", " 12 "] {
        check_build(Some("application/json"), scalar.as_bytes(), &format!("json {scalar}"));
    }
    check_build(Some("application/json"), b"  ", "empty");
    for text in ["hello", "not json", "<a/>", "12a", "tru"] {
        assert!(build(&Bytes::from(text), Some("application/json")).is_err(), "{text}");
    }
    // Objects and arrays are only looked at when somebody needs the value.
    check_build(Some("application/json"), b"{\"a\":", "json {\"a\":");
}

#[test]
fn what_cannot_be_built() {
    for (content_type, body) in [
        ("application/xml", "<a>"),
        ("text/xml", "no"),
        ("something/else", "no xml"),
        ("application/soap+xml", "<a/>"),
        ("multipart/form-data", "x"),
        ("multipart/related; boundary=b", "no part"),
        ("text/plain; charset=klingon", "x"),
    ] {
        assert!(build(&Bytes::from(body), Some(content_type)).is_err(), "{content_type}");
    }
}

#[test]
fn forms() {
    let form = Some("application/x-www-form-urlencoded; charset=UTF-8");
    check_build(form, b"a=1&b=x%20y&a=2", "xml <xformValues><a>1</a><a>2</a><b>x y</b></xformValues>");
    check_build(form, b"a=b+c&d&e=", "xml <xformValues><a>b+c</a><d/><e/></xformValues>");
    check_build(
        form,
        b"2a=1&$b=%C3%A9&u%5Bn%5D=q%3D",
        "xml <xformValues><_JsonReader_PD_2a>1</_JsonReader_PD_2a><_JsonReader_PS_b>é</_JsonReader_PS_b>\
         <u_JsonReader_91_n_JsonReader_93_>q=</u_JsonReader_91_n_JsonReader_93_></xformValues>",
    );
    check_build(
        Some("application/x-www-form-urlencoded; charset=ISO-8859-1"),
        b"a=%E9",
        "xml <xformValues><a>é</a></xformValues>",
    );
}

#[test]
fn multipart_forms() {
    let body = "preamble\r\n--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--b\r\n\
                Content-Disposition: form-data; name=\"f\";\r\n filename=\"x.txt\"\r\nContent-Type: text/x\r\n\r\nAB\r\n\r\n--b\r\n\
                Content-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nt=C3=A9=\r\nx\r\n--bb\r\n--b--\r\nrest";
    let built = build(&Bytes::from(body), Some("multipart/form-data; boundary=\"b\"")).unwrap();
    assert_eq!(
        show(&built.native),
        "xml <mediate><a>one</a><a>téx&#xD;\n--bb</a><f filename=\"x.txt\" content-type=\"text/x\">QUINCg==</f></mediate>"
    );
    assert_eq!(built.attachments.len(), 1);
    assert_eq!((&*built.attachments[0].id, &built.attachments[0].data[..]), ("f", &b"AB\r\n"[..]));
    let many = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n".repeat(1100) + "--b--";
    assert!(build(&Bytes::from(many), Some("multipart/form-data; boundary=b")).is_err());
    let long = format!("--b\r\nX: {}\r\n\r\n1\r\n--b--", "x".repeat(20_000));
    assert!(build(&Bytes::from(long), Some("multipart/form-data; boundary=b")).is_err());
    check_build(Some("multipart/form-data; boundary=b"), b"--b--\r\n", "xml <mediate/>");
    // Cut off within the last part.
    check_build(
        Some("multipart/form-data; boundary=b"),
        b"--b\nContent-Disposition: form-data; name=a\n\nx",
        "xml <mediate><a>x</a></mediate>",
    );
}

fn mtom(includes: usize) -> Bytes {
    let include =
        "<xop:Include xmlns:xop='http://www.w3.org/2004/08/xop/include' href='cid:1%2Eimage@x'/>".repeat(includes);
    let root = format!(
        "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body><m>{include}</m></s:Body></s:Envelope>"
    );
    Bytes::from(format!(
        "--b\r\nContent-Type: application/octet-stream\r\nContent-ID: <1.image@x>\r\n\r\nthe picture\r\n--b\r\n\
         Content-Type: application/xop+xml; charset=UTF-8; type=\"text/xml\"\r\nContent-ID: <root@x>\r\n\r\n{root}\r\n--b\r\n\
         Content-Type: text/plain\r\nContent-ID: <2@x>\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj\r\n--b--\r\n"
    ))
}

#[test]
fn multipart_related() {
    let content_type = "multipart/related; boundary=b; type=\"application/xop+xml\"; start=\"<root@x>\"";
    let built = build(&mtom(1), Some(content_type)).unwrap();
    let Native::Xml(envelope) = &built.native else { panic!("XML expected") };
    assert!(!envelope.is_wrapped());
    let payload = envelope.payload().unwrap();
    assert_eq!(envelope.document().string_value(payload), "dGhlIHBpY3R1cmU=");
    assert_eq!(envelope.document().child_elements(payload).count(), 0);
    assert_eq!(built.attachments.len(), 1, "the included part is no attachment any more");
    assert_eq!((&*built.attachments[0].id, &built.attachments[0].data[..]), ("2@x", &b"abc"[..]));
    let nested = "--b\r\nContent-Type: multipart/related; boundary=c\r\n\r\nx\r\n--b--";
    assert!(build(&Bytes::from(nested), Some("multipart/related; boundary=b")).is_err());
}

/// What came as a part of its own goes out as one when MTOM is on, and as text otherwise.
#[test]
fn binary_parts_pass_through() {
    let content_type: Arc<str> =
        "multipart/related; boundary=b; type=\"application/xop+xml\"; start=\"<root@x>\"".into();
    let mut received = Message { body: Body::from_bytes(mtom(1), Some(content_type)), ..Message::default() };
    received.build().unwrap();
    let types = [("messageType", "text/xml"), ("enableMTOM", "true"), ("mimeBoundary", "B")];
    for (name, value) in types {
        received.axis2.set(name, value);
    }
    let formatted = format(&received).unwrap();
    let text = String::from_utf8_lossy(&formatted.bytes).into_owned();
    assert!(text.contains("Include") && text.contains("\r\n\r\nthe picture\r\n--B"), "{text}");
    assert!(!text.contains("dGhlIHBpY3R1cmU="), "{text}");
    let built = build(&formatted.bytes, formatted.content_type.as_deref()).unwrap();
    assert!(show(&built.native).contains("dGhlIHBpY3R1cmU="));
    assert_eq!(built.attachments.len(), 1);
    // The message itself still holds the text.
    assert!(received.body.envelope().unwrap().document().to_xml(mi_xml::Document::ROOT).contains("dGhlIHBpY3R1cmU="));
    received.axis2.remove("enableMTOM");
    received.attachments.clear();
    let plain = format(&received).unwrap();
    assert!(String::from_utf8_lossy(&plain.bytes).contains("dGhlIHBpY3R1cmU="));
}

#[test]
fn a_part_cannot_be_blown_up() {
    let picture = "x".repeat(10_000);
    let include = "<i:Include xmlns:i='http://www.w3.org/2004/08/xop/include' href='cid:p'/>".repeat(100);
    let body = format!(
        "--b\r\nContent-Type: text/xml\r\n\r\n<m>{include}</m>\r\n--b\r\nContent-ID: <p>\r\n\r\n{picture}\r\n--b--"
    );
    let error = build(&Bytes::from(body), Some("multipart/related; boundary=b")).unwrap_err();
    assert!(error.to_string().contains("included too often"), "{error}");
}

#[test]
fn parts_and_their_headers_are_capped() {
    let many = "--b\r\n\r\nx\r\n".repeat(1_000_000);
    let cases = [
        (many, "more than 1000 parts"),
        (format!("--b\r\nX: {}\r\n\r\nx\r\n--b--", "y".repeat(1 << 20)), "headers of a part are too long"),
        (format!("--b\r\n{}\r\nx\r\n--b--", "X: y\r\n".repeat(100_000)), "headers of a part are too long"),
        (format!("--b\r\nX: {}", "y".repeat(1 << 20)), "a part without a body"),
    ];
    for (body, expected) in cases {
        for kind in ["multipart/related", "multipart/form-data"] {
            let error = build(&Bytes::from(body.clone()), Some(&format!("{kind}; boundary=b"))).unwrap_err();
            assert!(error.to_string().contains(expected), "{kind}: {error}");
        }
    }
    // A delimiter that never comes: there is no part.
    let endless = Bytes::from("-".repeat(1 << 20));
    assert!(build(&endless, Some("multipart/related; boundary=b")).unwrap_err().to_string().contains("no part"));
}

#[test]
fn tables_can_be_extended() {
    let mut types = MediaTypes::default();
    types.add_builder("text/csv", Kind::Text);
    types.add_builder("image/.*", Kind::Binary);
    types.add_builder("application/xml", Kind::Json);
    assert_eq!(types.builder("text/CSV"), Kind::Text);
    assert_eq!(types.builder("image/png"), Kind::Binary);
    assert_eq!(types.builder("application/xml"), Kind::Json);
    assert_eq!(types.builder("text/plain"), Kind::Text);
    assert_eq!(types.formatter("text/csv"), None);
    assert_eq!(Kind::from_class("org.apache.axis2.format.PlainTextBuilder"), Some(Kind::Text));
    assert_eq!(Kind::from_class("com.example.Own"), None);
}

// === formatting ===

fn envelope(xml: &str, version: SoapVersion) -> Native {
    Native::Xml(Envelope::from_document(Document::parse(xml.to_owned()).unwrap(), version))
}

fn message(native: Native, axis2: &[(&str, &str)]) -> Message {
    let mut message = Message { body: Body::from_native(native), ..Message::default() };
    for (name, value) in axis2 {
        message.axis2.set(*name, *value);
    }
    message
}

#[track_caller]
fn check(native: Native, axis2: &[(&str, &str)], content_type: &str, body: &str) {
    let formatted = format(&message(native, axis2)).unwrap();
    assert_eq!(String::from_utf8_lossy(&formatted.bytes), body);
    assert_eq!(formatted.content_type.as_deref().unwrap_or("-"), content_type);
}

fn json(text: &'static str) -> Native {
    Native::Json(crate::JsonBody::from_text(text))
}

fn text(text: &str) -> Native {
    Native::Text(Arc::from(text))
}

fn pox(xml: &str) -> Native {
    envelope(xml, SoapVersion::Soap11)
}

const DECLARED: &str = "<?xml version='1.0' encoding='UTF-8'?>";

#[test]
fn the_form_decides_without_properties() {
    check(json("{ \"a\":1.0}"), &[], "application/json; charset=UTF-8", "{ \"a\":1.0}");
    check(text("x"), &[], "text/plain; charset=UTF-8", "x");
    check(Native::Binary(Bytes::from_static(b"x")), &[], "application/octet-stream", "x");
    check(pox("<a/>"), &[], "application/xml; charset=UTF-8", "<a/>");
    check(pox(SOAP11), &[], "text/xml; charset=UTF-8", &format!("{DECLARED}{SOAP11}"));
    check(pox(SOAP12), &[], "application/soap+xml; charset=UTF-8", &format!("{DECLARED}{SOAP12}"));
    check(Native::Empty, &[], "-", "");
}

#[test]
fn plain_xml_has_a_declaration_and_instructions_when_told() {
    let kind = "application/xml; charset=UTF-8";
    let declared = ("WRITE_XML_DECLARATION", "true");
    check(pox("<a/>"), &[declared], kind, "<?xml version=\"1.0\" encoding=\"UTF-8\" ?><a/>");
    check(
        pox("<a/>"),
        &[declared, ("XML_DECLARATION_ENCODING", "utf-8"), ("XML_DECLARATION_STANDALONE", "yes")],
        kind,
        "<?xml version=\"1.0\" encoding=\"utf-8\" standalone=\"yes\" ?><a/>",
    );
    let received = b"<?p one?>\n<!--c--><?q two?><a/>";
    let Native::Xml(envelope) = build(&Bytes::from_static(received), Some("application/xml")).unwrap().native else {
        panic!("XML is XML")
    };
    check(Native::Xml(envelope.clone()), &[], kind, "<a/>");
    let preserved = ("PRESERVE_XML_PROCESSING_INSTRUCTIONS", "true");
    check(Native::Xml(envelope), &[preserved], kind, "<?p one?><?q two?><a/>");
}

#[test]
fn message_type_decides() {
    let to = |value: &'static str| [("messageType", value)];
    check(pox("<a><b>1</b></a>"), &to("application/json"), "application/json; charset=UTF-8", r#"{"a":{"b":1}}"#);
    check(pox(SOAP11), &to("application/json"), "application/json; charset=UTF-8", r#"{"a":null}"#);
    check(
        json(r#"{"a":1}"#),
        &to("application/xml"),
        "application/xml; charset=UTF-8",
        "<jsonObject><a>1</a></jsonObject>",
    );
    check(json(r#"{"a":1}"#), &to("text/xml"), "text/xml; charset=UTF-8", "<jsonObject><a>1</a></jsonObject>");
    check(json("[1]"), &to("text/plain"), "text/plain; charset=UTF-8", "[1]");
    check(
        pox("<t xmlns='http://ws.apache.org/commons/ns/payload'>a&amp;b</t>"),
        &to("text/plain"),
        "text/plain; charset=UTF-8",
        "a&b",
    );
    check(
        pox("<text xmlns='http://ws.apache.org/commons/ns/payload'>a=b&amp;c</text>"),
        &to("text/plain"),
        "text/plain; charset=UTF-8",
        "a=b&c",
    );
    check(
        text("a b"),
        &to("application/xml"),
        "application/xml; charset=UTF-8",
        "<text xmlns=\"http://ws.apache.org/commons/ns/payload\">a b</text>",
    );
    check(text("5"), &to("application/json"), "application/json; charset=UTF-8", r#"{"text":5}"#);
    check(
        pox("<f><a>x y+é</a><b/><_JsonReader_PD_2c>&amp;</_JsonReader_PD_2c></f>"),
        &to("application/x-www-form-urlencoded"),
        "application/x-www-form-urlencoded; charset=UTF-8",
        "a=x%20y%2B%C3%A9&b=&2c=%26",
    );
    check(
        json(r#"{"a":1,"b":"x"}"#),
        &to("application/x-www-form-urlencoded"),
        "application/x-www-form-urlencoded; charset=UTF-8",
        "a=1&b=x",
    );
    check(
        pox("<binary xmlns='http://ws.apache.org/commons/ns/payload'>QUI=</binary>"),
        &to("application/octet-stream"),
        "application/octet-stream",
        "AB",
    );
    check(pox("<a/>"), &to("application/octet-stream"), "application/octet-stream; charset=UTF-8", "<a/>");
    check(pox(SOAP11), &to("application/xml"), "application/xml; charset=UTF-8", "<a/>");
    check(text("hello"), &to("application/abc"), "application/abc; charset=UTF-8", "hello");
    check(pox("<a/>"), &to("application/abc"), "application/abc; charset=UTF-8", "<a/>");
    check(json("{}"), &to("application/problem+json"), "application/problem+json; charset=UTF-8", "{}");
}

#[test]
fn json_of_xml_drops_wrappers() {
    let to = [("messageType", "application/json")];
    check(
        pox("<jsonObject><Hello>World</Hello></jsonObject>"),
        &to,
        "application/json; charset=UTF-8",
        r#"{"Hello":"World"}"#,
    );
    check(
        pox("<jsonArray><jsonElement>1</jsonElement><jsonElement>2</jsonElement></jsonArray>"),
        &to,
        "application/json; charset=UTF-8",
        "[1,2]",
    );
    let mut options = crate::convert::ConvertOptions::default();
    options.set("synapse.commons.json.output.jsonoutAutoArray", "false").unwrap();
    let mut message = message(pox("<s><a>1</a><a>2</a></s>"), &to);
    message.body.set_options(options);
    assert_eq!(format(&message).unwrap().bytes, r#"{"s":{"a":1,"a":2}}"#);
}

#[test]
fn soap_when_rest_is_off() {
    let soap = |namespace: &str, payload: &str| {
        format!(
            "{DECLARED}<soapenv:Envelope xmlns:soapenv=\"{namespace}\"><soapenv:Body>{payload}</soapenv:Body></soapenv:Envelope>"
        )
    };
    let soap11 = crate::soap::SOAP11_NS;
    let off = [("messageType", "text/xml"), ("enableREST", "false")];
    check(json(r#"{"a":1}"#), &off, "text/xml; charset=UTF-8", &soap(soap11, "<jsonObject><a>1</a></jsonObject>"));
    check(pox("<a/>"), &off, "text/xml; charset=UTF-8", &soap(soap11, "<a/>"));
    let soap12 = [("messageType", "application/soap+xml")];
    check(pox("<a/>"), &soap12, "application/soap+xml; charset=UTF-8", &soap(crate::soap::SOAP12_NS, "<a/>"));
    let on = [("messageType", "text/xml"), ("enableREST", "true")];
    check(pox(SOAP11), &on, "text/xml; charset=UTF-8", "<a/>");
    let mut message = message(pox(SOAP12), &[]);
    message.addressing.action = Some("urn:do".to_owned());
    assert_eq!(
        format(&message).unwrap().content_type.unwrap(),
        "application/soap+xml; charset=UTF-8; action=\"urn:do\""
    );
}

#[test]
fn faults_keep_their_envelope() {
    let code = crate::soap::FaultCode { prefix: "soapenv", namespace: crate::soap::SOAP11_NS, local: "Server" };
    let contents = crate::soap::Fault { code, reason: "no", node: None, role: None, detail: crate::soap::Detail::None };
    let fault = crate::soap::fault(SoapVersion::Soap11, &contents);
    let formatted = format(&message(Native::Xml(fault), &[("messageType", "text/xml")])).unwrap();
    assert!(formatted.bytes.starts_with(format!("{DECLARED}<soapenv:Envelope").as_bytes()));
}

#[test]
fn content_type_overrides_the_header() {
    let types = [("messageType", "application/json"), ("ContentType", "application/vnd.x+json")];
    check(json("{}"), &types, "application/vnd.x+json; charset=UTF-8", "{}");
    check(
        json("{}"),
        &[("ContentType", "application/json;charset=ISO-8859-1")],
        "application/json;charset=ISO-8859-1",
        "{}",
    );
    check(
        json("{}"),
        &[("messageType", "application/json"), ("setCharacterEncoding", "false")],
        "application/json",
        "{}",
    );
    let mut answer = message(pox(SOAP11), &[("messageType", "text/xml"), ("ContentType", "application/abc")]);
    answer.is_response = true;
    assert_eq!(format(&answer).unwrap().content_type.unwrap(), "application/abc; charset=UTF-8");
    answer.is_response = false;
    assert_eq!(format(&answer).unwrap().content_type.unwrap(), "text/xml; charset=UTF-8");
    let types = [("messageType", "application/octet-stream"), ("ContentType", "image/png")];
    check(Native::Binary(Bytes::from_static(b"x")), &types, "image/png", "x");
    check(
        pox("<a/>"),
        &[("messageType", "application/xml"), ("ContentType", "application/soap+xml")],
        "application/xml; charset=UTF-8",
        "<a/>",
    );
}

#[test]
fn other_character_sets() {
    let latin = |kind: &'static str| [("messageType", kind), ("CHARACTER_SET_ENCODING", "ISO-8859-1")];
    let bytes = |native: Native, kind: &'static str| {
        let formatted = format(&message(native, &latin(kind))).unwrap();
        (formatted.bytes.to_vec(), formatted.content_type.unwrap())
    };
    assert_eq!(
        bytes(json("{\"a\":\"é€\"}"), "application/json"),
        (b"{\"a\":\"\xe9?\"}".to_vec(), "application/json; charset=ISO-8859-1".to_owned())
    );
    assert_eq!(bytes(pox("<a>é€</a>"), "application/xml").0, b"<a>\xe9&#8364;</a>");
    assert_eq!(bytes(text("é€"), "text/plain").0, b"\xe9?");
    assert!(bytes(pox(SOAP11), "text/xml").0.starts_with(b"<?xml version='1.0' encoding='ISO-8859-1'?>"));
    assert_eq!(bytes(pox("<f><a>é</a></f>"), "application/x-www-form-urlencoded").0, b"a=%E9");
    assert!(format(&message(text("x"), &[("CHARACTER_SET_ENCODING", "klingon")])).is_err());
}

#[test]
fn multipart_forms_are_written() {
    let types = [("messageType", "multipart/form-data"), ("mimeBoundary", "B")];
    check(
        pox(
            "<r xmlns:q='urn:q'><a>é</a><q:c><d/></q:c><file xmlns='urn:f' filename='x\"y.pdf' name='n' content-type='application/pdf'>QUI=</file></r>",
        ),
        &types,
        "multipart/form-data; boundary=B; charset=UTF-8",
        "--B\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Type: text/plain; charset=UTF-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\né\r\n--B\r\nContent-Disposition: form-data; name=\"c\"\r\n\
         Content-Type: text/xml; charset=UTF-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<q:c xmlns:q=\"urn:q\"><d/></q:c>\r\n--B\r\n\
         Content-Disposition: form-data; name=\"n\"; filename=\"x\\\"y.pdf\"\r\nContent-Type: application/pdf\r\n\
         Content-Transfer-Encoding: binary\r\n\r\nAB\r\n--B--\r\n",
    );
    let plain = [("messageType", "multipart/form-data"), ("setCharacterEncoding", "false"), ("mimeBoundary", "B")];
    let formatted = format(&message(json(r#"{"action":"ping"}"#), &plain)).unwrap();
    assert_eq!(formatted.content_type.unwrap(), "multipart/form-data; boundary=B");
    assert!(
        String::from_utf8_lossy(&formatted.bytes).contains("name=\"action\"")
            && formatted.bytes.ends_with(b"ping\r\n--B--\r\n")
    );
    let fresh =
        || format(&message(json("{}"), &[("messageType", "multipart/form-data")])).unwrap().content_type.unwrap();
    assert_ne!(fresh(), fresh(), "boundaries are unique");
}

#[test]
fn a_form_survives_both_ways() {
    let types = [("messageType", "multipart/form-data"), ("mimeBoundary", "B")];
    let xml = "<mediate><a>1</a><f filename=\"x\" content-type=\"text/x\">QUI=</f></mediate>";
    let formatted = format(&message(pox(xml), &types)).unwrap();
    check_build(formatted.content_type.as_deref(), &formatted.bytes, &format!("xml {xml}"));
}

#[test]
fn envelopes_go_out_with_attachments() {
    let mut swa = message(pox(SOAP11), &[("messageType", "text/xml"), ("enableSwA", "true"), ("mimeBoundary", "B")]);
    assert!(format(&swa).unwrap().content_type.unwrap().starts_with("text/xml"), "nothing is attached yet");
    swa.attachments.push(crate::Attachment {
        id: "1@x".to_owned(),
        content_type: "text/plain".to_owned(),
        file_name: None,
        data: Bytes::from_static(b"abc"),
    });
    let formatted = format(&swa).unwrap();
    let content_type = formatted.content_type.unwrap();
    assert!(content_type.starts_with("multipart/related; boundary=\"B\"; type=\"text/xml\"; start="), "{content_type}");
    let built = build(&formatted.bytes, Some(&content_type)).unwrap();
    assert!(show(&built.native).starts_with("soap <a"));
    assert_eq!((&*built.attachments[0].id, &built.attachments[0].data[..]), ("1@x", &b"abc"[..]));

    let mtom = format(&message(pox(SOAP12), &[("enableMTOM", "true")])).unwrap().content_type.unwrap();
    assert!(
        mtom.contains("type=\"application/xop+xml\"") && mtom.ends_with("start-info=\"application/soap+xml\""),
        "{mtom}"
    );
    let off = format(&message(pox(SOAP11), &[("enableMTOM", "false")])).unwrap().content_type.unwrap();
    assert_eq!(off, "text/xml; charset=UTF-8");
    // What came as multipart is plain SOAP again, unless there is something to attach.
    let switched_off =
        [("messageType", "multipart/related"), ("ContentType", "multipart/related"), ("enableMTOM", "false")];
    let off = format(&message(pox(SOAP12), &switched_off)).unwrap();
    assert_eq!(off.content_type.as_deref(), Some("application/soap+xml; charset=UTF-8"));
    assert!(off.bytes.starts_with(b"<?xml"));
    let mut attached = message(pox(SOAP11), &switched_off);
    attached.attachments.clone_from(&swa.attachments);
    assert!(format(&attached).unwrap().content_type.unwrap().starts_with("multipart/related"));
}

#[test]
fn no_entity_body() {
    let mut none = message(json("{}"), &[]);
    none.axis2.set("NO_ENTITY_BODY", Value::Bool(true));
    assert_eq!(format(&none).unwrap().bytes, "{}", "a request with a payload sends it");
    none.is_response = true;
    let formatted = format(&none).unwrap();
    assert!(formatted.bytes.is_empty() && formatted.content_type.is_none());
    check(Native::Empty, &[("messageType", "application/json")], "-", "");
    check(Native::Empty, &[("ContentType", "application/json")], "application/json; charset=UTF-8", "");
    let soap = format(&message(Native::Empty, &[("messageType", "text/xml"), ("enableREST", "false")])).unwrap();
    assert!(soap.bytes.ends_with(b"<soapenv:Body/></soapenv:Envelope>"), "{:?}", soap.bytes);
}

#[test]
fn unbuilt_bytes_go_out_as_they_came() {
    let mut raw = Message { body: Body::from_bytes("<not xml", Some("text/xml".into())), ..Message::default() };
    raw.axis2.set("messageType", "application/json");
    let formatted = format(&raw).unwrap();
    assert_eq!((&formatted.bytes[..], formatted.content_type.as_deref()), (&b"<not xml"[..], Some("text/xml")));
    raw.axis2.set("ContentType", "x/y");
    assert_eq!(format(&raw).unwrap().content_type.as_deref(), Some("x/y"));
}

#[test]
fn the_received_type_decides_last() {
    let mut received = Message { body: Body::from_bytes("<a>1</a>", Some("text/xml".into())), ..Message::default() };
    received.build().unwrap();
    let formatted = format(&received).unwrap();
    assert_eq!(
        (&formatted.bytes[..], formatted.content_type.as_deref()),
        (&b"<a>1</a>"[..], Some("text/xml; charset=UTF-8"))
    );
    received.body.json_mut().unwrap()["a"] = 2.into();
    assert_eq!(format(&received).unwrap().bytes, "<jsonObject><a>2</a></jsonObject>");
}

#[test]
fn attachments_reach_the_message() {
    let content_type: Arc<str> = "multipart/related; boundary=b; start=\"<root@x>\"".into();
    let mut received = Message { body: Body::from_bytes(mtom(0), Some(content_type)), ..Message::default() };
    received.build().unwrap();
    assert_eq!(received.attachments.len(), 2);
    assert!(received.body.attachments().is_empty());
    assert_eq!(received.copy().attachments.len(), 2);
}

/// Builds what it can and shows it in every form.
fn exercise(bytes: &[u8], content_type: &str) {
    let mut received =
        Message { body: Body::from_bytes(bytes.to_vec(), Some(content_type.into())), ..Message::default() };
    if received.build().is_err() {
        return;
    }
    for kind in ["application/xml", "text/xml", "application/json", "text/plain", "application/octet-stream"] {
        received.axis2.set("messageType", kind);
        let _formatted = format(&received);
    }
    for kind in ["application/x-www-form-urlencoded", "multipart/form-data", "multipart/related"] {
        received.axis2.set("messageType", kind);
        let _formatted = format(&received);
    }
}

#[test]
fn cut_and_garbled_input_never_panics() {
    let form = "--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"x\\\"\"\r\n\r\none\r\n--b--";
    for (content_type, sample) in [
        ("multipart/related; boundary=b; start=\"<root@x>\"", &mtom(2)[..]),
        ("multipart/form-data; boundary=b", form.as_bytes()),
        ("application/json", br#"{"a":[1,{"@b":"\ud83d\u00e9","$":null}],"c d":"<&>"}"#),
        ("application/x-www-form-urlencoded", b"a=%C3%A9&%24b=1&=&&c"),
        ("text/xml; charset=\"utf-8\"", SOAP11.as_bytes()),
        ("application/xml; charset=utf-16", &[0xfe, 0xff, 0, b'<', 0, b'a', 0, b'/', 0, b'>']),
    ] {
        for end in 0..=sample.len() {
            exercise(&sample[..end], content_type);
            let mut garbled = sample.to_vec();
            if let Some(byte) = garbled.get_mut(end) {
                *byte ^= 0x55;
            }
            exercise(&garbled, content_type);
        }
        for end in 0..content_type.len() {
            exercise(sample, &content_type[..end]);
        }
    }
}
