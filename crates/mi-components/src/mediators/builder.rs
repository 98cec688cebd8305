//! `<builder>` builds a payload that was taken for bytes, by its content type or by the builder that is named.

use std::sync::Arc;

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;
use mi_message::media::{self, ContentType, Kind, MediaTypes};
use mi_message::{BodyError, Message, Native};

pub(super) const SPEC: MediatorSpec =
    MediatorSpec::new("builder", parse).attributes(&["class", "formatterClass"]).children(&["messageBuilder"]);

/// MI: `BuilderMediator`.
#[derive(Debug, Default)]
struct Builder {
    /// Whatever the content type is.
    forced: Option<(Kind, Kind)>,
    /// Content types with their builders and formatters.
    types: Vec<(String, Kind, Option<Kind>)>,
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let mut builder = Builder::default();
    if el.attr("class").is_some() {
        builder.forced = Some((kind_of(el, "class")?, kind_of(el, "formatterClass")?));
        return Ok(Box::new(builder));
    }
    for entry in el.children_named("messageBuilder") {
        cx.report_all(entry.unknown_attrs(&["contentType", "class", "formatterClass"]));
        let content_type = entry.require_attr("contentType")?.into_owned();
        let formatter = entry.attr("formatterClass").map(|_| kind_of(&entry, "formatterClass")).transpose()?;
        builder.types.push((content_type, kind_of(&entry, "class")?, formatter));
    }
    Ok(Box::new(builder))
}

/// The kind that a Java class stands for.
fn kind_of(el: &Element, attr: &str) -> Result<Kind, Diagnostic> {
    let class = el.require_attr(attr)?;
    Kind::from_class(&class).ok_or_else(|| {
        el.error(format!("Invalid builder/formatter class: {class}")).hint("only the builders of the product are known")
    })
}

impl Mediator for Builder {
    fn reads_body(&self) -> bool {
        true
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let Native::Binary(_) = cx.message.body.native()? else { return Ok(Flow::Next) };
        if let Err(error) = self.build(&mut cx.message) {
            log::warn!(
                target: "BuilderMediator",
                "{}Error occurred while trying to build the message, trying to send the message through: {error}",
                cx.artifact.log_prefix
            );
        }
        Ok(Flow::Next)
    }
}

impl Builder {
    fn build(&self, message: &mut Message) -> Result<(), BodyError> {
        let Native::Binary(bytes) = message.body.native()? else { return Ok(()) };
        let bytes = bytes.clone();
        let content_type = message.content_type().unwrap_or_default().to_owned();
        let mut options = message.body.options().clone();
        let mut types = options.media_types.as_deref().cloned().unwrap_or_default();
        self.add_to(&mut types, &content_type);
        let mut built = media::build_with(&bytes, Some(&content_type), Some(&types))?;
        if matches!(built.native, Native::Binary(_)) && self.forced.is_none() {
            // A type without a builder is plain XML to REST, and SOAP otherwise.
            let fallback = if message.rest { "application/xml" } else { "text/xml" };
            built = media::build_with(&bytes, Some(fallback), None)?;
        }
        options.media_types = Some(Arc::new(types));
        message.body.set(built.native);
        message.body.set_options(options);
        message.attachments.extend(built.attachments);
        Ok(())
    }

    fn add_to(&self, types: &mut MediaTypes, content_type: &str) {
        for (content_type, builder, formatter) in &self.types {
            types.add_builder(content_type, *builder);
            if let Some(formatter) = formatter {
                types.add_formatter(content_type, *formatter);
            }
        }
        if let Some((builder, formatter)) = self.forced {
            let parsed = ContentType::parse(content_type);
            types.add_builder(parsed.essence(), builder);
            types.add_formatter(parsed.essence(), formatter);
        }
    }
}

#[cfg(test)]
mod tests {
    use mi_message::{Body, Native};

    use crate::testing::{Flowing, Outcome};

    fn run(builder: &str, content_type: &str, bytes: &'static str) -> Outcome {
        let outcome = Flowing::of(builder)
            .with(|message| {
                message.rest = true;
                message.axis2.set("ContentType", content_type);
                message.body = Body::from_native(Native::Binary(bytes.into()));
            })
            .run();
        assert_eq!(outcome.fault(), None);
        outcome
    }

    #[test]
    fn bytes_are_built_by_their_content_type() {
        assert_eq!(run("<builder/>", "application/xml; charset=UTF-8", "<a/>").payload_xml(), "<a/>");
        assert_eq!(run("<builder/>", "application/json", "{\"a\":1}").payload_text(), "{\"a\":1}");
        assert_eq!(run("<builder/>", "application/octet-stream", "<a/>").payload_xml(), "<a/>");
    }

    #[test]
    fn builders_by_class() {
        let json = "<builder><messageBuilder contentType='text/csv' class='org.apache.synapse.commons.json.JsonStreamBuilder'/></builder>";
        assert_eq!(run(json, "text/csv", "{}").payload_text(), "{}");
        let text = "<builder class='org.apache.axis2.format.PlainTextBuilder' formatterClass='org.apache.axis2.format.PlainTextFormatter'/>";
        assert_eq!(run(text, "application/octet-stream", "a b").payload_text(), "a b");
    }

    #[test]
    fn what_cannot_be_built_stays() {
        let outcome = run("<builder/>", "application/xml", "no XML");
        assert!(matches!(outcome.message().body.native(), Ok(Native::Binary(bytes)) if bytes.as_ref() == b"no XML"));
        let xml = Flowing::of("<builder/>").xml("<a/>").run();
        assert_eq!(xml.payload_xml(), "<a/>");
    }

    #[test]
    fn wrong_configurations_are_refused() {
        for (xml, part) in [
            ("<builder class='org.apache.axis2.format.PlainTextBuilder'/>", "needs the attribute 'formatterClass'"),
            ("<builder><messageBuilder class='a'/></builder>", "needs the attribute 'contentType'"),
            (
                "<builder><messageBuilder contentType='a' class='org.acme.Own'/></builder>",
                "Invalid builder/formatter class",
            ),
        ] {
            let error = Flowing::error_of(xml);
            assert!(error.contains(part), "{error}");
        }
    }
}
