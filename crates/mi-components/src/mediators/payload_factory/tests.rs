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
    // Written before anybody looks into it, and then as what it was read as.
    let written = mi_message::media::format(outcome.message()).expect("XML").bytes;
    let written = String::from_utf8(written.to_vec()).expect("UTF-8");
    assert!(written.contains(expected), "{written}");
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
fn what_a_payload_holds_is_never_a_template() {
    let secret = "<property name='secret' value='S3CRET'/>";
    for value in ["${ctx.secret}", "${properties.synapse.secret}", "$1", "$ctx:secret", "<#assign x=1>${x}", "${1+1}"] {
        let body = serde_json::json!({ "a": value }).to_string();
        let escaped = value.replace('<', "&lt;");
        for (media, format, args, expected) in [
            ("json", r#"{"a":"$1"}"#, "<arg evaluator='json' expression='$.a'/>", value),
            ("json", r#"{"a":"${payload.a}"}"#, "", value),
            ("xml", "<a>$1</a>", "<arg evaluator='json' expression='$.a'/>", &*escaped),
            ("xml", "<a>${payload.a}</a>", "", &*escaped),
        ] {
            let xml = format!(
                "{secret}<payloadFactory media-type='{media}'><format>{format}</format><args>{args}</args></payloadFactory>"
            );
            let outcome = Flowing::of(&xml).json(&body).run();
            assert_eq!(outcome.fault(), None, "{format} {value}");
            let written = if media == "xml" { outcome.payload_xml() } else { outcome.payload_text() };
            assert!(!written.contains("S3CRET"), "{format} {value}: {written}");
            let plain = written.replace("&gt;", ">").replace("\\$", "$");
            assert!(plain.contains(&expected.replace("&gt;", ">")), "{format} {value}: {written}");
        }
        let freemarker = format!(
            "{secret}<payloadFactory media-type='text' template-type='freemarker'><format><![CDATA[${{payload.a}}]]></format><args/></payloadFactory>"
        );
        assert_eq!(Flowing::of(&freemarker).json(&body).run().payload_text(), value);
    }
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
fn quotes_in_text_need_no_entity() {
    let args = "<arg value='{&quot;it&apos;s&quot;: &quot;&amp;&quot;}'/>";
    xml("<r><a>$1</a>b</r>", args, "<x/>", "<r><a>{\"it's\": \"&amp;\"}</a>b</r>");
    xml("<r a=\"$1\">x</r>", "<arg value='a&quot;b'/>", "<x/>", "<r a=\"a&quot;b\">x</r>");
}

#[test]
fn backslashes_between_the_formats() {
    xml("<r>${payload.a}</r>", "", r#"{"a":{"b":"x\\ny $1 \\z"}}"#, r"<r><b>x\\ny \$1 \z</b></r>");
    let from_xml = |format: &str| {
        let steps = format!(
            "<payloadFactory media-type='json'><format>{format}</format><args><arg expression='//y'/></args></payloadFactory>"
        );
        let outcome = Flowing::of(&steps).xml(r#"<x><y><n>a\\nb "q"</n></y></x>"#).run();
        assert_eq!(outcome.fault(), None, "{format}");
        outcome.payload_text()
    };
    assert_eq!(from_xml(r#"{"a":$1}"#), r#"{"a":{"y":{"n":"a\\nb \"q\""}}}"#);
    assert_eq!(from_xml(r#"{"a":${xpath('//y')}}"#), r#"{"a":{"y":{"n":"a\\nb \"q\""}}}"#);
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
fn an_unset_default_namespace_stays_where_it_unsets_one() {
    let envelope = |body: &str| {
        format!(
            "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body>{body}</e:Body></e:Envelope>"
        )
    };
    let format = |body: &str| {
        let steps = format!("<payloadFactory><format>{}</format></payloadFactory>", envelope(body));
        let outcome = Flowing::of(&steps).xml("<x/>").run();
        assert_eq!(outcome.fault(), None);
        let shown = outcome.message().body.envelope().unwrap();
        shown.document().to_xml(shown.document().root_element().unwrap())
    };
    let body = "<a xmlns=\"u\"><b xmlns=\"\"><c/></b></a>";
    assert_eq!(format("<r xmlns=\"\"><s xmlns=\"\">1</s></r>"), envelope("<r><s>1</s></r>"));
    assert_eq!(format(body), envelope(body));
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

/// Renders a FreeMarker template over `body`.
#[track_caller]
fn freemarker(media: &str, format: &str, args: &str, body: &str, expected: &str) {
    let xml = format!(
        "<payloadFactory media-type='{media}' template-type='freemarker'><format>\n  <![CDATA[{format}]]>\n</format>\
         <args>{args}</args></payloadFactory>"
    );
    let flowing = Flowing::of(&xml).with(|message| {
        message.properties.set("p", "P");
        message.variables.set("v", 5);
        message.headers.set("X-H", "H");
        message.axis2.set("a", true);
    });
    let outcome = if body.starts_with('<') { flowing.xml(body) } else { flowing.json(body) }.run();
    assert_eq!(outcome.fault(), None);
    let made = if media == "xml" { outcome.payload_xml() } else { outcome.payload_text() };
    assert_eq!(made, expected);
}

/// MI: `FreeMarkerTemplateProcessorTest`.
#[test]
fn freemarker_templates_over_json() {
    freemarker(
        "xml",
        "<contract xmlns=\"\">\n<id>agn${payload.agent.id}</id>\n<name>${payload.agent.name?capitalize}</name>\n    \
         <#list payload.rooms as room>\n  <room>\n    <id>${room.code}</id>\n    <free>${room.available}</free>\n  \
         </room>\n    </#list>\n</contract>",
        "",
        r#"{"rooms":[{"code":"LX","available":23},{"code":"SV","available":1.50}],"agent":{"name":"walkers tours","id":"1567"}}"#,
        "<contract>\n<id>agn1567</id>\n<name>Walkers Tours</name>\n  <room>\n    <id>LX</id>\n    <free>23</free>\n  \
         </room>\n  <room>\n    <id>SV</id>\n    <free>1.5</free>\n  </room>\n</contract>",
    );
    freemarker(
        "json",
        "[<#list payload as it>{\"n\":\"${it.n}\",\"at\":${it?index}}<#sep>,</#list>]",
        "",
        r#"[{"n":"a"},{"n":"b"}]"#,
        r#"[{"n":"a","at":0},{"n":"b","at":1}]"#,
    );
    freemarker(
        "json",
        "{\"a\":${payload.big?c},\"b\":\"${payload.big}\",\"c\":${payload.yes?c},\"d\":\"${payload.none!'-'}\"}",
        "",
        r#"{"big":1234567,"yes":true,"none":null}"#,
        r#"{"a":1234567,"b":"1,234,567","c":true,"d":"-"}"#,
    );
    freemarker("text", "${payload}", "", "\"x\"", "\"x\"");
}

#[test]
fn freemarker_templates_over_xml() {
    freemarker(
        "json",
        "{\"id\": \"agn${payload.contract.agent.id}\", \"rooms\": [<#list payload.contract.rooms.room as room>\
         {\"code\": \"${room.code}\", \"n\": ${room.@n}}<#if room_has_next>,</#if></#list>]}",
        "",
        "<contract><agent><id>1567</id></agent><rooms><room n='1'><code>LX</code></room><room n='2'><code>SV</code></room>\
         </rooms></contract>",
        r#"{"id": "agn1567", "rooms": [{"code": "LX", "n": 1},{"code": "SV", "n": 2}]}"#,
    );
    freemarker(
        "xml",
        "<#ftl ns_prefixes={\"o\": \"urn:o\"}>\n<r>${payload['o:a']['o:b']}</r>",
        "",
        "<x:a xmlns:x='urn:o'><x:b>1</x:b></x:a>",
        "<r>1</r>",
    );
}

#[test]
fn freemarker_sees_arguments_properties_variables_and_headers() {
    let args = "<arg value='A'/><arg expression='//x'/>";
    freemarker("text", "${args.arg1}${args.arg2}", args, "<x>1</x>", "A1");
    freemarker("text", "${ctx.p}${vars.v}${trp['X-H']}${axis2.a}", "", "<x/>", "P5Htrue");
}

#[test]
fn freemarker_templates_by_key() {
    let xml = "<payloadFactory media-type='text' template-type='FREEMARKER'><format key='t'/></payloadFactory>";
    let outcome = Flowing::of(xml).text_entry("t", "<#assign a=2>${a * 3}").run();
    assert_eq!(outcome.payload_text(), "6");
    assert_eq!(Flowing::of(xml).run().fault().as_deref(), Some("Key t not found "));
}

#[test]
fn wrong_freemarker_templates() {
    let xml = |format: &str| {
        format!("<payloadFactory template-type='freemarker'><format><![CDATA[{format}]]></format></payloadFactory>")
    };
    let error = Flowing::error_of(&xml("<a><#if></a>"));
    assert!(error.contains("Error compiling FreeMarking template"), "{error}");
    let fault = Flowing::of(&xml("<a>${ctx.none}</a>")).run().fault().unwrap_or_default();
    assert!(
        fault.starts_with("Error parsing FreeMarker template, Syntax error or invalid reference : ctx.none"),
        "{fault}"
    );
    assert_eq!(Flowing::of(&xml("<#stop 'enough'>")).run().fault().as_deref(), Some("enough"));
    let fault = Flowing::of(&xml("<#assign x='freemarker.template.utility.Execute'?new()>${x('id')}")).run().fault();
    assert!(fault.is_some());
    assert!(Flowing::of(&xml("<#include 'other.ftl'>")).run().fault().is_some());
}

#[test]
fn freemarker_errors_name_the_place() {
    let fault = |template: &str| {
        let xml = format!(
            "<payloadFactory media-type='text' template-type='freemarker'><format>\n<![CDATA[{template}]]></format></payloadFactory>"
        );
        Flowing::of(&xml).json(r#"{"l":[1]}"#).run().fault().unwrap_or_default()
    };
    let text = "Error parsing FreeMarker template, Syntax error or invalid reference : ";
    assert_eq!(fault("\n\n a${payload.none}"), format!("{text}payload.none At line: 3 column: 5"));
    assert!(fault("${payload.l + 1}").ends_with(" At line: 1 column: 3"), "{}", fault("${payload.l + 1}"));
    assert!(fault("<#include 'none.ftl'>").contains("\"none.ftl\""), "{}", fault("<#include 'none.ftl'>"));
    let long = "<#assign x='x'?left_pad(1000000)><#list 1.. as i>${x}</#list>";
    assert!(fault(long).contains("output"), "{}", fault(long));
}

#[test]
fn freemarker_includes_are_read_from_the_registry() {
    let xml = "<payloadFactory media-type='text' template-type='freemarker'><format><![CDATA[<#import 'lib/m.ftl' as m>\
        <#include '/part.ftl'>-<@m.twice>x</@m.twice>]]></format></payloadFactory>";
    let deployed = Flowing::of(xml).deploy();
    deployed.write_registry("conf:/part.ftl", Some("part"));
    deployed.write_registry("conf:/lib/m.ftl", Some("<#macro twice><#nested><#nested></#macro>"));
    let outcome = deployed.send(mi_message::Message::new());
    assert_eq!((outcome.fault(), outcome.payload_text().as_str()), (None, "part-xx"));
}

#[test]
fn freemarker_sees_text_escaped() {
    let xml = "<payloadFactory media-type='xml' template-type='freemarker'><format><![CDATA[<a>${payload}</a>]]></format></payloadFactory>";
    let outcome = Flowing::of(xml)
        .with(|message| message.body = mi_message::Body::from_native(mi_message::Native::Text("1 < 2 & 3".into())))
        .run();
    assert_eq!((outcome.fault(), outcome.payload_xml().as_str()), (None, "<a>1 &lt; 2 &amp; 3</a>"));
}

#[test]
fn freemarker_templates_cannot_exhaust_the_stack() {
    let run = |template: &str, body: &str| {
        let xml = format!(
            "<payloadFactory media-type='text' template-type='freemarker'><format><![CDATA[{template}]]></format></payloadFactory>"
        );
        Flowing::of(&xml).xml(body).run().fault()
    };
    let fault = run("<#macro m><@m/></#macro><@m/>", "<x/>").unwrap_or_default();
    assert!(fault.contains("Maximum macro/function call depth"), "{fault}");
    let deep = format!("{}1{}", "<x>".repeat(1000), "</x>".repeat(1000));
    assert_eq!(run("${payload.x?node_name}", &deep), None);
    assert!(run("<#macro x><#recurse></#macro><#recurse payload>", &deep).is_some());
}

#[test]
fn json_is_not_put_in_the_place_of_malformed_json() {
    let run = |media: &str, payload: &str| {
        let xml = format!("<payloadFactory media-type='{media}'><format>{{\"b\":1}}</format></payloadFactory>");
        Flowing::of(&xml).json(payload).run()
    };
    let malformed = run("json", "[{\"a\": \"1");
    assert!(malformed.fault().is_some_and(|it| it.starts_with("Existing json payload is malformed. MessageID : ")));
    assert_eq!(malformed.payload_text(), "[{\"a\": \"1");
    for (media, payload) in [("json", "{\"a\":1}"), ("json", ""), ("text", "[{\"a\": \"1")] {
        let outcome = run(media, payload);
        assert_eq!((outcome.fault(), outcome.payload_text().as_str()), (None, "{\"b\":1}"), "{media} {payload}");
    }
}
