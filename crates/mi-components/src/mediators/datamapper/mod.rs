//! `<datamapper>` maps the payload by a script that WSO2's tools generate, between the schemas that they generate beside
//! it: XML, JSON or CSV in, XML, JSON or CSV out.
//!
//! With `target` or `variable` the schemas play no part: the script gets the payload and the variables as JSON. With
//! `xsltStyleSheet`, which the tools generate where they can, a mapping from XML to XML is a transformation.

mod input;
mod output;
mod properties;
mod schema;
mod stylesheet;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Effect, Flow, Mediator};
use mi_engine::spec::MediatorSpec;
use mi_expr::Dynamic;
use mi_message::{Envelope, JsonBody, Message, Native, SoapVersion, Value, convert};
use mi_script::{Limits, Pace, Script};
use mi_xml::Document;

use self::properties::Property;
use self::schema::Schema;
use self::stylesheet::Transformation;
use crate::resource::{Cached, Layout, Reader};
use crate::scripting;
use crate::typed::{self, DataType, Origin};

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("datamapper", parse).attributes(&[
    "config",
    "inputSchema",
    "outputSchema",
    "inputType",
    "outputType",
    "xsltStyleSheet",
    "target",
    "variable",
]);

/// MI: `DataMapperMediator`.
#[derive(Debug)]
struct DataMapper(Arc<Settings>);

#[derive(Debug)]
struct Settings {
    config: Dynamic,
    input_schema: Dynamic,
    output_schema: Dynamic,
    input_type: Option<Format>,
    output_type: Option<Format>,
    transformation: Option<Transformation>,
    target: Option<Target>,
    limits: Limits,
    mappings: Cached<Result<Mapping, String>>,
    functions: Cached<Result<Script, String>>,
}

/// What goes in and comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Xml,
    Json,
    Csv,
}

/// Where the output goes when schemas play no part.
#[derive(Debug)]
enum Target {
    Body,
    Variable(Arc<str>),
}

/// A mapping by schemas.
#[derive(Debug)]
struct Mapping {
    script: Script,
    input: Schema,
    output: Schema,
    from: Format,
    to: Format,
    /// Whole numbers of the output may be doubles in MI.
    doubles: bool,
    /// The properties that the script reads.
    properties: Vec<Property>,
}

impl Format {
    /// MI: `InputOutputDataType#fromString`.
    fn parse(text: &str) -> Option<Self> {
        [("XML", Self::Xml), ("JSON", Self::Json), ("CSV", Self::Csv)]
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text))
            .map(|(_, format)| format)
    }
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let key = |name: &str| required_key(el, name);
    let (config, input_schema, output_schema) = (key("config")?, key("inputSchema")?, key("outputSchema")?);
    let format = |name: &str| match el.filled_attr(name) {
        None => Ok(None),
        Some(text) => match Format::parse(&text) {
            Some(format) => Ok(Some(format)),
            None => Err(el.error(format!("{name} must be XML, JSON or CSV, not '{text}'"))),
        },
    };
    let (input_type, output_type) = (format("inputType")?, format("outputType")?);
    let target = match (el.filled_attr("target").as_deref(), el.filled_attr("variable")) {
        (None, None) => None,
        (Some(target), _) if target.eq_ignore_ascii_case("body") => Some(Target::Body),
        (Some(target), Some(name)) if target.eq_ignore_ascii_case("variable") => Some(Target::Variable((*name).into())),
        _ => {
            return Err(el
                .error("Invalid target attribute found in DataMapper mediator")
                .hint("target=\"body\", or target=\"variable\" with variable=\"name\""));
        }
    };
    if target.is_some() && (input_type.is_none() || output_type.is_none()) {
        return Err(el.error("<datamapper> with the attribute 'target' needs 'inputType' and 'outputType'"));
    }
    let from_xml_to_xml = input_type == Some(Format::Xml) && output_type == Some(Format::Xml);
    let transformation = match optional_key(el, "xsltStyleSheet")? {
        Some(key) if from_xml_to_xml && target.is_none() => Some(Transformation::new(key)),
        Some(_) => {
            cx.report(el.warning("'xsltStyleSheet' has no effect unless 'inputType' and 'outputType' are XML"));
            None
        }
        None => None,
    };
    Ok(Box::new(DataMapper(Arc::new(Settings {
        config,
        input_schema,
        output_schema,
        input_type,
        output_type,
        transformation,
        target,
        limits: scripting::limits(&cx.settings.scripts),
        mappings: Cached::default(),
        functions: Cached::default(),
    }))))
}

fn required_key(el: &Element, name: &str) -> Result<Dynamic, Diagnostic> {
    optional_key(el, name)?
        .ok_or_else(|| el.error(format!("The attribute {name} is required for the DataMapper mediator")))
}

fn optional_key(el: &Element, name: &str) -> Result<Option<Dynamic>, Diagnostic> {
    if el.filled_attr(name).is_none() { Ok(None) } else { el.resource_key(name) }
}

impl Mediator for DataMapper {
    fn reads_body(&self) -> bool {
        true
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let settings = &self.0;
        if let Some(transformation) = &settings.transformation
            && let Some(document) = transformation.run(cx)?
        {
            set_xml(&mut cx.message, document)?;
            set_types(&mut cx.message, Format::Xml);
            return Ok(Flow::Next);
        }
        let work = match &settings.target {
            Some(_) => settings.function(cx)?,
            None => settings.mapping(cx)?,
        };
        if work.script.pace() == Pace::Slow {
            return Ok(Flow::wait(Apart { settings: settings.clone(), work }));
        }
        let texts = [work.texts[0].as_str(), work.texts[1].as_str()];
        let output = mi_script::map(&work.script, &texts, settings.limits);
        settings.finish(&work, output, cx)
    }
}

/// A script with its input.
struct Work {
    script: Script,
    /// The input and the properties, or the variables.
    texts: [String; 2],
    /// `None` where schemas play no part.
    mapping: Option<Arc<Result<Mapping, String>>>,
}

impl Settings {
    /// The work of a mapping by schemas.
    fn mapping(&self, cx: &Context) -> Result<Work, Fault> {
        let eval = |key: &Dynamic| key.eval_string(&cx.message, &*cx.snapshot);
        let keys = [eval(&self.config)?, eval(&self.input_schema)?, eval(&self.output_schema)?];
        let name = keys.join("\n");
        let compiled = self.mappings.get(&name, &cx.snapshot, |reader| Ok::<_, Fault>(self.compile(&keys, reader)))?;
        let mapping = match &*compiled {
            Ok(mapping) => mapping,
            Err(reason) => return Err(fault(reason, cx)),
        };
        let input = read(mapping, &cx.message).map_err(|reason| failed(&reason, cx))?;
        let properties = properties::to_json(&mapping.properties, cx);
        Ok(Work { script: mapping.script.clone(), texts: [input, properties], mapping: Some(compiled) })
    }

    fn compile(&self, keys: &[Arc<str>; 3], reader: &Reader) -> Result<Mapping, String> {
        let text = |at: usize, what: &str| {
            let text = reader.text(&keys[at], Layout::Verbatim);
            text.ok_or_else(|| {
                format!("DataMapper mediator : {what} is null (there is nothing with the key {})", keys[at])
            })
        };
        let source = text(0, "mapping configuration")?;
        let schema = |at: usize, what: &str| {
            Schema::parse(&text(at, what)?)
                .map_err(|reason| format!("DataMapper mediator : {what} {}: {reason}", keys[at]))
        };
        let (input, output) = (schema(1, "input schema")?, schema(2, "output schema")?);
        let format = |own: Option<Format>, of_schema: &Option<String>, which: &str| {
            own.or_else(|| of_schema.as_deref().and_then(Format::parse)).ok_or_else(|| {
                format!("{which} type is not defined in the {} schema/synapse configuration", which.to_lowercase())
            })
        };
        let from = format(self.input_type, &input.input_type, "Input")?;
        let to = format(self.output_type, &output.output_type, "Output")?;
        let script = mapping_script(&source, &input, &output, &keys[0])?;
        let doubles = from != Format::Json && input.root.has_numbers() && output.root.has_numbers();
        Ok(Mapping { script, properties: properties::used_by(&source), input, output, from, to, doubles })
    }

    /// The work of a script that gets the payload as it is. MI: `DataMapperMediator#transform`.
    fn function(&self, cx: &Context) -> Result<Work, Fault> {
        let key = self.config.eval_string(&cx.message, &*cx.snapshot)?;
        let compiled = self.functions.get(&key, &cx.snapshot, |reader| {
            let source = reader.text(&key, Layout::Verbatim);
            Ok::<_, Fault>(match source {
                Some(source) => function_script(&source, &key),
                None => Err(format!(
                    "DataMapper mediator : mapping configuration is null (there is nothing with the key {key})"
                )),
            })
        })?;
        let script = match &*compiled {
            Ok(script) => script.clone(),
            Err(reason) => return Err(fault(reason, cx)),
        };
        let input = match cx.message.body.native()? {
            Native::Json(json) => String::from_utf8_lossy(json.text()).into_owned(),
            _ => cx.message.body.json()?.to_string(),
        };
        Ok(Work { script, texts: [input, properties::variables(&cx.message)], mapping: None })
    }

    /// Puts the output where it belongs.
    fn finish(
        &self,
        work: &Work,
        output: Result<Option<String>, mi_script::ScriptError>,
        cx: &mut Context,
    ) -> Result<Flow, Fault> {
        let text =
            output.map_err(|error| failed(&format!("Script engine unable to execute the script {error}"), cx))?;
        let text =
            text.filter(|text| text != "null").ok_or_else(|| failed("Failed to execute mapping function", cx))?;
        let message = &mut cx.message;
        let (written, to) = match work.mapping.as_deref() {
            Some(Ok(mapping)) => (write(mapping, text, message), mapping.to),
            _ => {
                let to = self.output_type.unwrap_or(Format::Json);
                (self.write_function(&text, to, message), to)
            }
        };
        written.map_err(|reason| failed(&reason, cx))?;
        set_types(&mut cx.message, to);
        Ok(Flow::Next)
    }

    /// The output of a script without schemas: JSON text inside of JSON text, or JSON.
    fn write_function(&self, text: &str, to: Format, message: &mut Message) -> Result<(), String> {
        let json: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let text = match json {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        if let Some(Target::Variable(name)) = &self.target {
            let data_type = match to {
                Format::Json => DataType::Json,
                Format::Xml => DataType::Xml,
                Format::Csv => return Err("a variable cannot have the type CSV".to_owned()),
            };
            let value = typed::convert(&text, data_type, Origin::Literal)?;
            message.variables.set(name.clone(), value);
            return Ok(());
        }
        if to == Format::Json {
            crate::payload::set_json_text(message, text);
            return Ok(());
        }
        let options = message.body.options().clone();
        let json = Native::Json(JsonBody::from_text(text));
        let envelope = convert::to_envelope(&json, &options).map_err(|error| error.to_string())?;
        // The element around the members of the object is not part of the output.
        let wrapper = envelope.payload().and_then(|it| envelope.document().first_child_element(it));
        let element = wrapper.ok_or("the output has no element")?;
        crate::payload::set_element(message, envelope.document(), element);
        Ok(())
    }
}

/// The script with what it expects around it. MI: `MappingResource#createFunction`, `ScriptExecutor#execute`.
fn mapping_script(source: &str, input: &Schema, output: &Schema, key: &str) -> Result<Script, String> {
    let last = |title: &str| title.rsplit(':').next().unwrap_or_default().to_owned();
    let clean = |name: &str| name.replace([':', '=', ','], "_").replace('-', input::HYPHEN);
    let named = format!("map_S_{}_S_{}()", clean(&last(&input.title)), last(&output.title));
    let call = if !source.contains(&named) && source.contains("mapFunction") {
        "mapFunction(JSON.parse(inputVariables))"
    } else {
        &named
    };
    let head =
        format!("var DM_PROPERTIES=JSON.parse(properties);var input{}=JSON.parse(inputVariables)", clean(&input.title));
    // What is undefined is null in Java's map.
    let result = format!("{call},function(k,v){{return v===undefined?null:v}}");
    Script::texts(&["inputVariables", "properties"], &head, source, &result)
        .map_err(|error| format!("{key}:{}:{}: {error}", error.line, error.column))
}

/// A script whose value is a function of the input and the variables.
fn function_script(source: &str, key: &str) -> Result<Script, String> {
    let quoted = serde_json::Value::from(source).to_string();
    let result = format!("(0,eval)({quoted})(JSON.parse(inputVariables),JSON.parse(variables))");
    Script::texts(&["inputVariables", "variables"], "", "", &result).map_err(|error| format!("{key}: {error}"))
}

/// The input as the script knows it.
fn read(mapping: &Mapping, message: &Message) -> Result<String, String> {
    let body = &message.body;
    if mapping.from == Format::Json {
        return match body.native().map_err(|error| error.to_string())? {
            Native::Json(json) => Ok(String::from_utf8_lossy(json.text()).into_owned()),
            _ => body.json().map(|json| json.to_string()).map_err(|error| error.to_string()),
        };
    }
    let envelope = body.envelope().map_err(|error| error.to_string())?;
    let document = envelope.document();
    if mapping.from == Format::Csv {
        let text = envelope.payload().filter(|it| document.local_name(*it) == "text");
        let text = text.ok_or("Request csv data not found. The csv records should contain in a <text></text> tag.")?;
        return input::from_csv(&document.text(text), &mapping.input);
    }
    // MI knows the prefix `soapenv` alone; its tools make others of envelopes that have others.
    let whole = mapping.input.title.split_once(':').is_some_and(|(prefix, local)| {
        let of_soap =
            |prefix| mapping.input.namespace(prefix).is_some_and(|uri| SoapVersion::from_namespace(uri).is_some());
        local == "Envelope" && (prefix == "soapenv" || of_soap(prefix))
    });
    let element = if whole { Some(envelope.envelope()) } else { envelope.payload() };
    input::from_xml(document, element.ok_or("the message has no payload")?, &mapping.input)
}

/// Makes the output the payload. MI: `DataMapperMediator#transformWithSchemaValidation`.
fn write(mapping: &Mapping, text: String, message: &mut Message) -> Result<(), String> {
    if mapping.to == Format::Json && !mapping.doubles {
        crate::payload::set_json_text(message, text.replace(input::HYPHEN, "-"));
        return Ok(());
    }
    let mut value: serde_json::Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    if mapping.doubles {
        output::make_doubles(&mut value, &mapping.output.root);
    }
    if mapping.to == Format::Json {
        crate::payload::set_json_text(message, value.to_string().replace(input::HYPHEN, "-"));
        return Ok(());
    }
    if mapping.to == Format::Xml {
        let document = output::to_xml(&value, &mapping.output)?;
        return set_xml(message, document).map_err(|fault| fault.message);
    }
    let csv = output::to_csv(&value);
    let mut document = Document::new();
    let element = document.create_element("", convert::TEXT_WRAPPER, convert::PAYLOAD_NS);
    document.set_text(element, &csv);
    document.append_child(Document::ROOT, element);
    crate::payload::set_element(message, &document, element);
    Ok(())
}

/// An element becomes the payload, an envelope the message.
fn set_xml(message: &mut Message, document: Document) -> Result<(), Fault> {
    let root = document.root_element().ok_or_else(|| Fault::new("DataMapper mediator : mapping failed"))?;
    let version =
        SoapVersion::from_namespace(document.namespace(root)).filter(|_| document.local_name(root) == "Envelope");
    match version {
        Some(version) => {
            let envelope = Envelope::from_document(document, version);
            crate::payload::set_native(message, Native::Xml(envelope));
        }
        None => crate::payload::set_element(message, &document, root),
    }
    Ok(())
}

fn set_types(message: &mut Message, format: Format) {
    let content_type = match format {
        Format::Json => "application/json",
        Format::Xml => "application/xml",
        Format::Csv => "text/xml",
    };
    message.axis2.set("messageType", Value::from(content_type));
    message.axis2.set("ContentType", Value::from(content_type));
}

/// MI's words, with the reason in the log and in `ERROR_DETAIL`.
fn failed(reason: &str, cx: &Context) -> Fault {
    let mut failed = fault("DataMapper mediator : mapping failed", cx);
    log::error!(target: "DataMapperMediator", "{}{reason}", cx.artifact.log_prefix);
    failed.detail = format!("{} Caused by: {reason}", failed.detail);
    failed
}

fn fault(text: &str, cx: &Context) -> Fault {
    log::error!(target: "DataMapperMediator", "{}{text}", cx.artifact.log_prefix);
    Fault::new(text)
}

/// The script runs on a thread that may be held up.
struct Apart {
    settings: Arc<Settings>,
    work: Work,
}

impl Effect for Apart {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move {
            let Self { settings, work } = *self;
            let (limits, script) = (settings.limits, work.script.clone());
            let [input, more] = work.texts.clone();
            let run = move || mi_script::map(&script, &[&input, &more], limits);
            let output = scripting::apart(limits, false, run).await.map_err(|error| failed(&error.message, cx))?;
            settings.finish(&work, output, cx)
        })
    }
}
