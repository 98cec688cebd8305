use std::time::Duration;

use crate::testing::{Flowing, Outcome};

const MEDIATOR: &str = "<datamapper config='map' inputSchema='in' outputSchema='out'";

fn mapped(attrs: &str, map: &str, input: &str, output: &str, body: &str) -> Outcome {
    let flowing = Flowing::of(&format!("{MEDIATOR} {attrs}/>"))
        .text_entry("map", map)
        .text_entry("in", input)
        .text_entry("out", output)
        .with(|message| {
            message.properties.set("unit", "EUR");
            message.headers.set("X-Id", "7");
            message.variables.set("v", 2);
        });
    let flowing = if body.starts_with('<') { flowing.xml(body) } else { flowing.json(body) };
    flowing.run_for(Duration::from_secs(1))
}

#[track_caller]
fn check_xml(outcome: &Outcome, expected: &str) {
    assert_eq!(
        (outcome.fault(), outcome.payload_xml().as_str()),
        (None, expected),
        "{:?}",
        outcome.property("ERROR_DETAIL")
    );
}

const ORDER: &str = r#"{"title": "o:order", "type": "object",
    "namespaces": [{"prefix": "o", "url": "urn:o"}, {"prefix": "xsi", "url": "http://www.w3.org/2001/XMLSchema-instance"}],
    "properties": {
        "o:name": {"type": "string"},
        "o:ship-to": {"type": "string"},
        "o:open": {"type": "boolean"},
        "o:item": {"type": "array", "items": [{"type": "object", "value": {"type": "number"},
            "attributes": {"n": {"type": "integer"}}, "properties": {}}]},
        "o:tag": {"type": "array", "items": [{"type": "string"}]},
        "o:who,xsi:type=o:person": {"type": "object", "properties": {"o:age": {"type": "number"}}}},
    "attributes": {"id": {"type": "string"}}}"#;

const BODY: &str = "<x:order xmlns:x='urn:o' xmlns:i='http://www.w3.org/2001/XMLSchema-instance' id='a1'><x:name>N</x:name>\
    <x:ship-to>S</x:ship-to><x:open>true</x:open><x:item n='3'>1.50</x:item><x:item n='4'>2</x:item><x:tag>p</x:tag><x:odd/>\
    <x:who i:type='x:person'><x:age>30</x:age></x:who></x:order>";

#[test]
fn xml_to_json_by_the_types_of_the_schema() {
    let map = "map_S_order_S_out = function() { return inputo_order; }";
    let outcome = mapped("inputType='XML' outputType='JSON'", map, ORDER, r#"{"title": "out"}"#, BODY);
    assert_eq!(
        (outcome.fault(), outcome.payload_text().as_str()),
        (
            None,
            r#"{"attr_id":"a1","o_name":"N","o_ship-to":"S","o_open":true,"o_item":[{"_ELEMVAL":1.5,"attr_n":3},{"_ELEMVAL":2,"attr_n":4}],"o_tag":["p"],"o_who_Separat0r_xsi_type_o_person":{"attr_xsi_type":"x:person","o_age":30}}"#
        )
    );
    assert_eq!(outcome.message().axis2.get_str("messageType"), Some("application/json"));
}

#[test]
fn an_envelope_whatever_its_prefix() {
    let input = r#"{"title": "SE:Envelope", "type": "object", "namespaces": [{"prefix": "SE", "url": "http://schemas.xmlsoap.org/soap/envelope/"}],
        "properties": {"SE:Body": {"type": "object", "properties": {"a": {"type": "string"}}}}}"#;
    let map = "map_S_Envelope_S_out = function() { return {b: inputSE_Envelope.SE_Body.a}; }";
    let outcome = mapped("inputType='XML' outputType='XML'", map, input, r#"{"title": "out"}"#, "<a>1</a>");
    check_xml(&outcome, "<out><b>1</b></out>");
}

#[test]
fn numbers_of_xml_are_doubles_where_the_schema_has_numbers() {
    let map =
        "map_S_order_S_out = function() { var o = inputo_order; return {n: o.o_item[1]._ELEMVAL, i: o.o_item[1].attr_n,
        s_l: [o.o_who_Separat0r_xsi_type_o_person.o_age, 1.5, 12345678], t: {attr_k: 2, _ELEMVAL: 3}, s: '4'}; }";
    let output = |kind: &str| {
        format!(
            r#"{{"title": "out", "namespaces": [{{"prefix": "s", "url": "urn:s"}}], "outputType": "{kind}", "properties": {{
            "n": {{"type": "number"}}, "i": {{"type": "integer"}}, "s:l": {{"type": "array", "items": [{{"type": "number"}}]}},
            "t": {{"type": "object", "value": {{"type": "number"}}, "attributes": {{"k": {{"type": "number"}}}}}}, "s": {{"type": "string"}}}}}}"#
        )
    };
    let outcome = mapped("inputType='XML'", map, ORDER, &output("XML"), BODY);
    check_xml(
        &outcome,
        "<out xmlns:s=\"urn:s\"><n>2.0</n><i>4</i><s:l>30.0</s:l><s:l>1.5</s:l><s:l>1.2345678E7</s:l><t k=\"2.0\">3.0</t><s>4</s></out>",
    );
    let outcome = mapped("inputType='XML'", map, ORDER, &output("JSON"), BODY);
    assert_eq!(
        (outcome.fault(), outcome.payload_text().as_str()),
        (None, r#"{"n":2.0,"i":4,"s_l":[30.0,1.5,1.2345678e+7],"t":{"attr_k":2.0,"_ELEMVAL":3.0},"s":"4"}"#)
    );
}

#[test]
fn json_to_xml_with_names_of_the_schema() {
    let output =
        r#"{"title": "o:order", "namespaces": [{"prefix": "o", "url": "urn:o"}, {"prefix": "s", "url": "urn:s"}]}"#;
    let map = "function map_S_in_S_order() { out = {attr_id: inputin.id, attr_s_k: 'v', o_item: [], gone: undefined, none: null, e: []};
        for (i in inputin.l) { out.o_item[i] = {attr_n: i, _ELEMVAL: inputin.l[i]}; }
        out.p = [1, 2.5, true]; out.s_ship_EnC0DeCHaRHyPh3n_to_it = {x: 1e-5}; return out; }";
    let outcome = mapped(
        "inputType='JSON' outputType='XML'",
        map,
        r#"{"title": "in"}"#,
        output,
        r#"{"id": 5, "l": ["a", "<b>"]}"#,
    );
    check_xml(
        &outcome,
        "<o:order xmlns:o=\"urn:o\" xmlns:s=\"urn:s\" s:k=\"v\" id=\"5\"><o:item n=\"0\">a</o:item><o:item n=\"1\">&lt;b&gt;</o:item><e/><p>1</p><p>2.5</p><p>true</p><s:ship-to_it><x>1.0E-5</x></s:ship-to_it></o:order>",
    );
    assert_eq!(outcome.message().axis2.get_str("messageType"), Some("application/xml"));
}

#[test]
fn csv_in_and_out() {
    let input = r#"{"title": "rows", "type": "array", "items": [{"type": "object", "properties": {"name": {"type": "string"}, "n": {"type": "number"}}}]}"#;
    let map = "function map_S_rows_S_rows() { return inputrows.map(function (r) { return {n: r.n * 2, name: r.name, u: undefined} }); }";
    let body = "<text xmlns='http://ws.apache.org/commons/ns/payload'>a,1\n\"b, \"\"c\"\"\",2.5\n</text>";
    let outcome = mapped("inputType='CSV' outputType='CSV'", map, input, r#"{"title": "rows"}"#, body);
    check_xml(&outcome, "<text xmlns=\"http://ws.apache.org/commons/ns/payload\">2,a,null\n5,b, \"c\",null</text>");
    let wide =
        mapped("inputType='CSV' outputType='CSV'", map, input, r#"{"title": "rows"}"#, &body.replace("a,1", "a,1,2"));
    assert_eq!(wide.fault().as_deref(), Some("DataMapper mediator : mapping failed"));
}

#[test]
fn generated_functions_and_properties() {
    let map = "var DataMapper; (() => { var exports = {}; Object.defineProperty(exports, '__esModule', ({ value: true }));
        function mapFunction(input) { return {w: input.l[0].a, u: DM_PROPERTIES.DEFAULT['unit'], i: DM_PROPERTIES.TRANSPORT['X-Id'], n: DM_PROPERTIES.AXIS2['none']}; }
        exports.mapFunction = mapFunction; DataMapper = exports; })();
        function mapFunction(input) { return DataMapper.mapFunction(input); }";
    for _ in 0..2 {
        let outcome = mapped(
            "",
            map,
            r#"{"title": "root", "inputType": "JSON"}"#,
            r#"{"title": "root", "outputType": "JSON"}"#,
            r#"{"l": [{"a": "x"}]}"#,
        );
        assert_eq!((outcome.fault(), outcome.payload_text().as_str()), (None, r#"{"w":"x","u":"EUR","i":"7","n":""}"#));
    }
}

#[test]
fn targets_do_without_schemas() {
    let map = "(function (input, vars) { return JSON.stringify({r: input.n * vars.v}); })";
    let attrs = |more: &str| format!("inputType='JSON' {more}");
    let outcome = mapped(&attrs("outputType='JSON' target='body'"), map, "", "", r#"{"n": 3}"#);
    assert_eq!((outcome.fault(), outcome.payload_text().as_str()), (None, r#"{"r":6}"#));
    let outcome = mapped(&attrs("outputType='XML' target='body'"), map, "", "", r#"{"n": 3}"#);
    check_xml(&outcome, "<r>6</r>");
    let outcome = mapped(&attrs("outputType='JSON' target='variable' variable='w'"), map, "", "", r#"{"n": 3}"#);
    assert_eq!(
        (outcome.variable("w").as_deref(), outcome.payload_text().as_str()),
        (Some(r#"{"r":6}"#), r#"{"n": 3}"#)
    );
}

#[test]
fn stylesheets_stand_in_for_scripts() {
    let sheet = |compatible: &str| {
        format!(
            "<xsl:stylesheet version='2.0' xmlns:xsl='http://www.w3.org/1999/XSL/Transform' xmlns:firstElementOfTheInput='a' \
             xmlns:notXSLTCompatible='{compatible}' xmlns:runTimeProperties='unit,DEFAULT' \
             exclude-result-prefixes='firstElementOfTheInput notXSLTCompatible runTimeProperties'><xsl:param name='DEFAULT_unit'/>\
             <xsl:template match='/'><r><xsl:value-of select='concat(a/b, $DEFAULT_unit)'/></r></xsl:template></xsl:stylesheet>"
        )
    };
    let map = "function map_S_a_S_r() { return {script: 1} }";
    for (compatible, expected) in [("false", "<r>1EUR</r>"), ("true", "<r><script>1</script></r>")] {
        let outcome = Flowing::of(&format!("{MEDIATOR} inputType='XML' outputType='XML' xsltStyleSheet='s'/>"))
            .text_entry("map", map)
            .text_entry("in", r#"{"title": "a", "properties": {"b": {"type": "string"}}}"#)
            .text_entry("out", r#"{"title": "r"}"#)
            .text_entry("s", &sheet(compatible))
            .with(|message| message.properties.set("unit", "EUR"))
            .xml("<a><b>1</b></a>")
            .run_for(Duration::from_secs(1));
        check_xml(&outcome, expected);
    }
}

#[test]
fn failures_are_faults() {
    let good = r#"{"title": "root"}"#;
    let fault = |attrs: &str, map: &str, input: &str, body: &str| {
        let outcome = mapped(attrs, map, input, good, body);
        format!("{} {}", outcome.fault().unwrap_or_default(), outcome.property("ERROR_DETAIL").unwrap_or_default())
    };
    let types = "inputType='JSON' outputType='JSON'";
    for (attrs, map, input, body, part) in [
        (types, "function map_S_root_S_root() { return x.y; }", good, "{}", "x is not defined"),
        (types, "function map_S_root_S_root( {", good, "{}", "map:1:"),
        (types, "", good, "{}", "mapping failed"),
        (types, "function map_S_root_S_root() { }", good, "{}", "Failed to execute mapping function"),
        (types, "", "{}", "{}", "schema name not found"),
        ("", "", good, "{}", "Input type is not defined in the input schema/synapse configuration"),
        ("inputType='XML' outputType='JSON'", "", good, "<other/>", "the input is <other>"),
    ] {
        let text = fault(attrs, map, input, body);
        assert!(text.contains(part), "{text}");
    }
    let missing = Flowing::of(&format!("{MEDIATOR} {types}/>")).json("{}").run();
    assert!(missing.fault().is_some_and(|it| it.contains("DataMapper mediator : mapping configuration is null")));
}

#[test]
fn wrong_configurations_are_refused() {
    for (xml, part) in [
        ("<datamapper/>", "The attribute config is required"),
        ("<datamapper config='a' inputSchema='b'/>", "The attribute outputSchema is required"),
        ("<datamapper config='a' inputSchema='b' outputSchema='c' inputType='TEXT'/>", "must be XML, JSON or CSV"),
        ("<datamapper config='a' inputSchema='b' outputSchema='c' target='variable'/>", "Invalid target"),
        ("<datamapper config='a' inputSchema='b' outputSchema='c' target='body'/>", "needs 'inputType'"),
    ] {
        let error = Flowing::error_of(xml);
        assert!(error.contains(part), "{error}");
    }
}
