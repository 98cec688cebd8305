//! `<jsontransform>` makes JSON of the payload with conversion settings of its own, and gives its values the types that
//! a JSON schema names.

mod scalar;
mod schema;

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;
use mi_expr::Dynamic;
use mi_message::convert::ConvertOptions;
use mi_message::{Message, Native, Value};

use self::schema::Compiled;
use crate::payload;
use crate::resource::Cached;

pub(super) const SPEC: MediatorSpec =
    MediatorSpec::new("jsontransform", parse).attributes(&["schema"]).children(&["property"]);

/// MI: `JSONTransformMediator`.
#[derive(Debug)]
struct JsonTransform {
    schema: Option<Dynamic>,
    schemas: Cached<Compiled>,
    /// How this mediator converts, when it has properties of its own.
    options: Option<Box<ConvertOptions>>,
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let schema = el.resource_key("schema")?;
    // Names as in `synapse.properties`, for the conversion of this mediator alone.
    let mut options = cx.settings.convert.clone();
    let mut has_properties = false;
    for property in el.children_named("property") {
        let name = property.require_attr("name")?.into_owned();
        let value = property.attr("value").ok_or_else(|| property.error("<property> needs the attribute 'value'"))?;
        match options.set(&name, &value) {
            Ok(true) => {}
            Ok(false) => cx.report(property.warning(format!("'{name}' is no setting of the conversion to JSON"))),
            Err(error) => return Err(property.error(error)),
        }
        has_properties = true;
    }
    if schema.is_none() && !has_properties {
        return Err(el.error("jsontransform mediator should contain either a schema or custom properties"));
    }
    let options = has_properties.then(|| Box::new(options));
    Ok(Box::new(JsonTransform { schema, schemas: Cached::default(), options }))
}

impl Mediator for JsonTransform {
    fn reads_body(&self) -> bool {
        true
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        if let Some(options) = &self.options {
            convert(&mut cx.message, options)?;
        }
        if let Some(key) = &self.schema {
            let key = key.eval_string(&cx.message, &*cx.snapshot)?;
            let schema = self.schemas.get(&key, &cx.snapshot, |reader| match reader.value(&key) {
                Some(Value::Xml(_)) => Err(Fault::new("Can not find valid JSON Schema content")),
                Some(schema) => Compiled::parse(&schema.to_text()).map_err(Fault::new),
                None => Err(Fault::new(format!("Schema does not exist in the specified location : {key}"))),
            })?;
            apply(&mut cx.message, &schema)?;
        }
        Ok(Flow::Next)
    }
}

/// The XML of the payload as JSON, by settings of its own.
fn convert(message: &mut Message, options: &ConvertOptions) -> Result<(), Fault> {
    let envelope = message.body.envelope()?;
    let json = match envelope.payload() {
        Some(element) => mi_message::convert::xml_to_json::to_value(envelope.document(), element, options)?,
        None => serde_json::json!({}),
    };
    payload::set_json(message, json);
    Ok(())
}

/// Applies a schema to the payload, which is JSON afterwards.
fn apply(message: &mut Message, schema: &Compiled) -> Result<(), Fault> {
    let input = message.body.json()?.clone();
    let text = match message.body.native()? {
        Native::Json(json) => String::from_utf8_lossy(json.text()).into_owned(),
        _ => input.to_string(),
    };
    match schema.apply(&input, &text).map_err(Fault::new)? {
        Some(value) => payload::set_json(message, value),
        None => payload::set_json_text(message, text),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::Flowing;

    const SCHEMA: &str = r#"{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"number"}}}"#;

    #[test]
    fn schemas_give_types() {
        let transform = "<jsontransform schema='s'/>";
        let json = Flowing::of(transform).text_entry("s", SCHEMA).json(r#"{"a":1,"b":"7.5","c":"2"}"#).run();
        assert_eq!((json.fault(), json.payload_text().as_str()), (None, r#"{"a":"1","b":7.5,"c":"2"}"#));
        let xml =
            Flowing::of(transform).text_entry("s", SCHEMA).xml("<jsonObject><a>12345</a><b>7.5</b></jsonObject>").run();
        assert_eq!((xml.fault(), xml.payload_text().as_str()), (None, r#"{"a":"12345","b":7.5}"#));
        let all = Flowing::of(transform).text_entry("s", "true").json("{ \"a\": 1}").run();
        assert_eq!(all.payload_text(), "{ \"a\": 1}");
        let named = Flowing::of("<jsontransform schema=\"{get-property('key')}\"/>").text_entry("s", SCHEMA);
        let named = named.json(r#"{"a":1}"#).with(|message| message.properties.set("key", "s")).run();
        assert_eq!((named.fault(), named.payload_text().as_str()), (None, r#"{"a":"1"}"#));
    }

    /// Converts XML with the given properties.
    #[track_caller]
    fn check(properties: &[(&str, &str)], xml: &str, expected: &str) {
        let properties: Vec<String> =
            properties.iter().map(|(name, value)| format!("<property name='{name}' value='{value}'/>")).collect();
        let outcome = Flowing::of(&format!("<jsontransform>{}</jsontransform>", properties.concat())).xml(xml).run();
        assert_eq!((outcome.fault(), outcome.payload_text().as_str()), (None, expected));
    }

    #[test]
    fn properties_of_the_conversion() {
        let primitive = "synapse.commons.json.output.autoPrimitive";
        check(&[(primitive, "true")], "<x><a>1</a></x>", r#"{"x":{"a":1}}"#);
        check(&[(primitive, "false")], "<x><a>1</a></x>", r#"{"x":{"a":"1"}}"#);
        check(
            &[
                ("synapse.commons.json.preserve.namespace", "true"),
                ("synapse.commons.json.output.enableNSDeclarations", "true"),
                ("synapse.commons.json.output.namespaceSepChar", "^"),
            ],
            "<ns:x xmlns:ns='urn:n'><ns:a>b</ns:a></ns:x>",
            r#"{"ns^x":{"@xmlns^ns":"urn:n","ns^a":"b"}}"#,
        );
    }

    #[test]
    fn properties_go_before_the_schema() {
        let xml = "<jsontransform schema='s'><property name='synapse.commons.json.output.autoPrimitive' value='false'/></jsontransform>";
        let schema = r#"{"type":"object","properties":{"x":{"type":"object","properties":{"a":{"type":"integer"}}}}}"#;
        let outcome = Flowing::of(xml).text_entry("s", schema).xml("<x><a>1</a><b>2</b></x>").run();
        assert_eq!((outcome.fault(), outcome.payload_text().as_str()), (None, r#"{"x":{"a":1,"b":"2"}}"#));
    }

    #[test]
    fn faults() {
        for (entry, part) in [
            ("none", "Schema does not exist in the specified location : none"),
            ("empty", "Input json and schema should not be null"),
            ("xml", "Can not find valid JSON Schema content"),
            ("broken", "Invalid JSON schema"),
            ("untyped", "JSON schema should contain a type declaration"),
        ] {
            let outcome = Flowing::of(&format!("<jsontransform schema='{entry}'/>"))
                .text_entry("empty", "")
                .local_entry("xml", "<a/>")
                .text_entry("broken", "{\"type\" 1}")
                .text_entry("untyped", "{\"a\":1}")
                .json("{}")
                .run();
            assert_eq!(outcome.fault().as_deref(), Some(part));
        }
    }

    #[test]
    fn wrong_configurations_are_refused() {
        let error = Flowing::error_of("<jsontransform/>");
        assert!(error.contains("should contain either a schema or custom properties"), "{error}");
        let pattern = "<jsontransform><property name='synapse.commons.json.output.disableAutoPrimitive.regex' value='('/></jsontransform>";
        assert!(Flowing::error_of(pattern).contains('('));
    }
}
