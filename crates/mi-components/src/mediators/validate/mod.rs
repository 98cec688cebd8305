//! `<validate>` checks the payload, or a part of it, against XML Schemas or a JSON Schema, and runs `<on-fail>` when it
//! is not valid.

mod json_schema;
#[cfg(test)]
mod tests;

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::{Context, SequenceTarget};
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;
use mi_expr::{Dynamic, Expr};
use mi_message::Value;

use self::json_schema::JsonSchema;
use super::branch;
use super::xslt::check_features;
use crate::resource::{Cached, Layout, Reader, Resources};
use crate::xml;
use crate::xsd::XsdSchemas;

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("validate", parse)
    .attributes(&["source", "cache-schema", "json-source"])
    .children(&["schema", "property", "feature", "resource", "on-fail"]);

#[derive(Debug)]
struct Validate {
    source: Option<Expr>,
    schemas: Vec<Dynamic>,
    /// What the schemas include or import.
    resources: Resources,
    json_source: bool,
    on_fail: SequenceTarget,
    /// By the keys of the schemas. One mediator may see both kinds.
    xml_schemas: Cached<XsdSchemas>,
    json_schemas: Cached<JsonSchema>,
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let mut schemas = Vec::new();
    for schema in el.children_named("schema") {
        let key = schema.resource_key("key")?;
        schemas.push(key.ok_or_else(|| schema.error("A 'schema' definition must contain a local property 'key'"))?);
    }
    if schemas.is_empty() {
        return Err(el.error("No schema specified for the validate mediator"));
    }
    check_features(el, cx)?;
    for property in el.children_named("property") {
        let name = property.require_attr("name")?;
        cx.report(property.warning(format!("the property '{name}' is one of MI's XML library and has no effect")));
    }
    let on_fail = el.child("on-fail").filter(|it| it.children().next().is_some());
    let on_fail = on_fail
        .ok_or_else(|| el.error("A non-empty <on-fail> child element is required for the <validate> mediator"))?;
    Ok(Box::new(Validate {
        source: el.expr("source")?,
        schemas,
        resources: Resources::parse(el)?,
        json_source: el.bool_attr("json-source") == Some(true),
        on_fail: branch::inline(&on_fail, cx),
        xml_schemas: Cached::default(),
        json_schemas: Cached::default(),
    }))
}

impl Mediator for Validate {
    fn reads_body(&self) -> bool {
        true
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let failure = if self.json_source || cx.message.body.is_json() { self.json(cx)? } else { self.xml(cx)? };
        let Some(failure) = failure else { return Ok(Flow::Next) };
        let properties = &mut cx.message.properties;
        properties.set("ERROR_MESSAGE", failure.message);
        properties.set("ERROR_DETAIL", failure.detail);
        if let Some(exception) = failure.exception {
            properties.set("ERROR_EXCEPTION", exception);
        }
        Ok(Flow::Enter(cx.resolve(&self.on_fail)?))
    }
}

/// What `on-fail` finds in the properties.
struct Failure {
    message: String,
    detail: String,
    exception: Option<String>,
}

impl Validate {
    fn json(&self, cx: &Context) -> Result<Option<Failure>, Fault> {
        let schema = self.json_schemas.get(&self.keys(cx)?, &cx.snapshot, |reader| self.compile_json(cx, reader))?;
        let text = match &self.source {
            None if cx.message.body.is_json() => match cx.message.body.native()? {
                mi_message::Native::Json(json) => String::from_utf8_lossy(json.text()).into_owned(),
                _ => String::new(),
            },
            None => cx.message.body.json()?.to_string(),
            Some(source) if source.is_xpath() => {
                return Err(Fault::new(
                    "Could not find JSONPath or Synapse Expression to extract the message to validate from the payload",
                ));
            }
            Some(source) => source.eval_string(&cx.message, &*cx.snapshot)?.to_string(),
        };
        let text = if text.is_empty() { "{}" } else { &text };
        let value: serde_json::Value = serde_json::from_str(text).map_err(|error| {
            let of = self.source.as_ref().map_or(String::new(), |source| format!(" for JSONPath {}", source.source()));
            Fault::new(format!("Error while validating the JSON Schema{of}: {error}"))
        })?;
        Ok(schema.first_error(&value).map(|(message, detail)| Failure {
            message,
            detail: format!("Error while validating Json message {detail}"),
            exception: None,
        }))
    }

    fn xml(&self, cx: &Context) -> Result<Option<Failure>, Fault> {
        let text = match self.xml_source(cx) {
            Ok(text) => text,
            Err(error) => {
                let source = self.source.as_ref().map_or(DEFAULT_SOURCE, Expr::source);
                return Ok(Some(Failure {
                    message: format!("Error occurred while accessing source element: {source}"),
                    detail: error,
                    exception: None,
                }));
            }
        };
        let schemas = self.xml_schemas.get(&self.keys(cx)?, &cx.snapshot, |reader| self.compile_xml(cx, reader))?;
        let errors = schemas
            .validate(&text)
            .map_err(|error| Fault::new(format!("Error validating {} element: {error}", self.source_name())))?;
        let Some(last) = errors.last() else { return Ok(None) };
        let exception = format!("org.xml.sax.SAXParseException: {last}");
        Ok(Some(Failure { message: errors.join("\n") + "\n", detail: exception.clone(), exception: Some(exception) }))
    }

    fn source_name(&self) -> &str {
        self.source.as_ref().map_or(DEFAULT_SOURCE, Expr::source)
    }

    /// The element to validate as text. MI: `SourceXPathSupport#selectOMNode`.
    fn xml_source(&self, cx: &Context) -> Result<String, String> {
        let Some(source) = &self.source else {
            let envelope = cx.message.body.envelope().map_err(|error| error.to_string())?;
            let payload = envelope.payload().ok_or_else(|| "the message has no payload".to_owned())?;
            return Ok(envelope.document().to_xml(payload));
        };
        let not_found =
            || format!("The evaluation of the XPath expression {} did not result in an OMNode : null", source.source());
        match source.eval(&cx.message, &*cx.snapshot).map_err(|error| error.to_string())? {
            Value::Xml(found) => match found.nodes.first() {
                Some(node) if found.document.is_element(*node) => Ok(found.document.to_xml(*node)),
                _ => Err(not_found()),
            },
            Value::String(text) => xml::parse(&text).map(|parsed| parsed.to_xml()),
            _ => Err(not_found()),
        }
    }

    /// The present keys of the schemas, one a line.
    fn keys(&self, cx: &Context) -> Result<String, Fault> {
        let mut keys = String::new();
        for schema in &self.schemas {
            keys.push_str(&schema.eval_string(&cx.message, &*cx.snapshot)?);
            keys.push('\n');
        }
        Ok(keys)
    }

    /// Of several schemas the last one counts, as in MI; all must be there.
    fn compile_json(&self, cx: &Context, reader: &Reader) -> Result<JsonSchema, Fault> {
        let mut last = String::new();
        for schema in &self.schemas {
            let key = schema.eval_string(&cx.message, &*cx.snapshot)?;
            let text = reader.text(&key, Layout::Verbatim);
            last = text.ok_or_else(|| Fault::new(format!("Can not find JSON Schema {key}")))?;
        }
        JsonSchema::compile(&last, reader.clone())
            .map_err(|error| Fault::new(format!("Error while validating the JSON Schema: {error}")))
    }

    fn compile_xml(&self, cx: &Context, reader: &Reader) -> Result<XsdSchemas, Fault> {
        let mut texts = Vec::with_capacity(self.schemas.len());
        for schema in &self.schemas {
            let key = schema.eval_string(&cx.message, &*cx.snapshot)?;
            let text = reader.text(&key, Layout::Verbatim);
            texts.push(text.ok_or_else(|| Fault::new(format!("No Schema is available with the key  : {key}")))?);
        }
        let resolve = |location: &str| reader.text(self.resources.key_of(location)?, Layout::Verbatim);
        XsdSchemas::compile(&texts, &resolve)
            .map_err(|error| Fault::new(format!("Error creating a new schema objects for schemas : {error}")))
    }
}

/// What MI shows for the payload itself.
const DEFAULT_SOURCE: &str = "s11:Body/child::*[position()=1] | s12:Body/child::*[position()=1]";
