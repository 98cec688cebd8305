//! `<log>` writes one line. Levels, order of the fields and separators are what people's log searches rely on.

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;
use mi_expr::{Dynamic, Template};

use crate::payload;

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("log", parse)
    .attributes(&["level", "category", "separator", "logFullPayload", "logMessageID"])
    .children(&["message", "property"]);

/// The logger; the log shows the last part of its name.
const TARGET: &str = "org.apache.synapse.mediators.builtin.LogMediator";
const FATAL: &str = "org.apache.synapse.mediators.builtin.LogMediator#FATAL";

#[derive(Debug)]
struct Log {
    level: Level,
    category: Category,
    separator: String,
    with_message_id: bool,
    template: Option<Template>,
    fields: Vec<(String, Dynamic)>,
    reads_body: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Custom,
    Simple,
    Headers,
    Full,
    /// A `<message>` without a level: like custom, with the method and path of an API in the prefix.
    Template,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Category {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

fn parse(el: &Element, _cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let template = match el.child("message") {
        Some(message) => {
            let text = message.text().replace("\\n", "\n").replace("\\t", "\t");
            let parsed = Template::parse(&text, &message.namespaces());
            Some(parsed.map_err(|error| message.error(format!("Invalid message template : {error}")))?)
        }
        None => None,
    };
    let level = parse_level(el, template.is_some())?;
    let fields = el.children_named("property").map(|it| parse_field(&it)).collect::<Result<Vec<_>, _>>()?;
    let reads_body = match level {
        Level::Custom | Level::Template => {
            template.as_ref().is_some_and(Template::reads_body) || fields.iter().any(|(_, value)| value.reads_body())
        }
        Level::Simple | Level::Headers | Level::Full => true,
    };
    Ok(Box::new(Log {
        level,
        category: parse_category(el)?,
        separator: match el.attr("separator") {
            Some(separator) => separator.replace("\\n", "\n").replace("\\t", "\t"),
            None => ", ".to_owned(),
        },
        with_message_id: el.bool_attr("logMessageID") == Some(true),
        template,
        fields,
        reads_body,
    }))
}

fn parse_level(el: &Element, has_template: bool) -> Result<Level, Diagnostic> {
    if el.bool_attr("logFullPayload") == Some(true) {
        return Ok(Level::Full);
    }
    match el.attr("level").as_deref() {
        Some("simple") => Ok(Level::Simple),
        Some("headers") => Ok(Level::Headers),
        Some("full") => Ok(Level::Full),
        Some("custom") => Ok(Level::Custom),
        Some(other) => Err(el
            .error(format!("Invalid log level '{other}'"))
            .hint("level has to be one of simple, headers, full, custom")),
        None if has_template => Ok(Level::Template),
        None => Ok(Level::Simple),
    }
}

fn parse_category(el: &Element) -> Result<Category, Diagnostic> {
    let Some(category) = el.attr("category") else { return Ok(Category::Info) };
    match category.trim().to_ascii_uppercase().as_str() {
        "INFO" => Ok(Category::Info),
        "TRACE" => Ok(Category::Trace),
        "DEBUG" => Ok(Category::Debug),
        "WARN" => Ok(Category::Warn),
        "ERROR" => Ok(Category::Error),
        "FATAL" => Ok(Category::Fatal),
        _ => Err(el
            .error(format!("Invalid log category '{category}'"))
            .hint("category has to be one of INFO, TRACE, DEBUG, WARN, ERROR, FATAL")),
    }
}

/// MI: `MediatorPropertyFactory#getMediatorProperties`.
fn parse_field(el: &Element) -> Result<(String, Dynamic), Diagnostic> {
    let name = el.require_attr("name")?.into_owned();
    if el.attr("value").is_some_and(|value| value.trim().is_empty()) {
        return Err(el.error("the attribute 'value' of a log property must not be empty"));
    }
    match el.value_or_expression()? {
        Some(value) => Ok((name, value)),
        None => Err(el.error("a log property needs the attribute 'value' or 'expression'")),
    }
}

impl Mediator for Log {
    fn reads_body(&self) -> bool {
        self.reads_body
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let skipped = match self.category {
            Category::Trace => !log::log_enabled!(target: TARGET, log::Level::Trace),
            Category::Debug => !log::log_enabled!(target: TARGET, log::Level::Debug),
            _ => false,
        };
        if skipped {
            return Ok(Flow::Next);
        }
        let text = self.text(cx)?;
        let prefix = self.prefix(cx);
        match self.category {
            Category::Trace => log::trace!(target: TARGET, "{prefix}{text}"),
            Category::Debug => log::debug!(target: TARGET, "{prefix}{text}"),
            Category::Info => log::info!(target: TARGET, "{prefix}{text}"),
            Category::Warn => log::warn!(target: TARGET, "{prefix}{text}"),
            Category::Error => log::error!(target: TARGET, "{prefix}{text}"),
            Category::Fatal => log::error!(target: FATAL, "{prefix}{text}"),
        }
        Ok(Flow::Next)
    }
}

impl Log {
    /// MI: `LoggingUtils#getFormattedLogForAPI`.
    fn prefix(&self, cx: &Context) -> String {
        let plain = &cx.artifact.log_prefix;
        if self.level != Level::Template || cx.artifact.kind != "api" {
            return plain.to_string();
        }
        let property = |name: &str| cx.message.properties.get_str(name).unwrap_or_default().to_owned();
        let inside =
            format!("api:{} {} {}", cx.artifact.name, property("REST_METHOD"), property("REST_FULL_REQUEST_PATH"));
        format!("{{{}}} ", inside.trim())
    }

    fn text(&self, cx: &mut Context) -> Result<String, Fault> {
        let mut out = String::new();
        match self.level {
            Level::Custom | Level::Template => {
                self.custom_id(cx, &mut out);
                self.template(cx, &mut out)?;
                self.fields(cx, &mut out)?;
            }
            Level::Simple => self.simple(cx, &mut out)?,
            Level::Headers => self.headers(cx, &mut out)?,
            Level::Full => {
                self.simple(cx, &mut out)?;
                out = self.without_leading_separator(out);
                self.payload(cx, &mut out)?;
            }
        }
        Ok(self.without_leading_separator(out))
    }

    fn without_leading_separator(&self, text: String) -> String {
        match text.strip_prefix(&self.separator) {
            Some(rest) => rest.to_owned(),
            None => text,
        }
    }

    fn custom_id(&self, cx: &mut Context, out: &mut String) {
        if !self.with_message_id {
            return;
        }
        let id = payload::message_id(&mut cx.message, &*cx.snapshot);
        out.push_str("MessageID: ");
        out.push_str(&id);
        self.correlation_id(cx, out);
        out.push_str(&self.separator);
    }

    fn correlation_id(&self, cx: &Context, out: &mut String) {
        if let Some(id) = cx.message.axis2.get("correlation_id") {
            self.field("correlation_id", &id.to_text(), out);
        }
    }

    fn field(&self, name: &str, value: &str, out: &mut String) {
        for part in [self.separator.as_str(), name, ": ", value] {
            out.push_str(part);
        }
    }

    fn template(&self, cx: &Context, out: &mut String) -> Result<(), Fault> {
        if let Some(template) = &self.template {
            out.push_str(&template.eval(&cx.message, &*cx.snapshot)?);
        }
        Ok(())
    }

    fn simple(&self, cx: &mut Context, out: &mut String) -> Result<(), Fault> {
        self.template(cx, out)?;
        if !out.is_empty() {
            out.push_str(&self.separator);
        }
        let id = payload::message_id(&mut cx.message, &*cx.snapshot);
        let addressing = &cx.message.addressing;
        out.push_str("To: ");
        out.push_str(addressing.to.as_deref().unwrap_or_default());
        let optional = [
            ("From", addressing.from.as_deref()),
            ("WSAction", addressing.action.as_deref()),
            ("SOAPAction", addressing.action.as_deref()),
            ("ReplyTo", addressing.reply_to.as_deref()),
            ("MessageID", Some(&*id)),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                self.field(name, value, out);
            }
        }
        self.correlation_id(cx, out);
        self.field("Direction", if cx.message.is_response() { "response" } else { "request" }, out);
        self.fields(cx, out)
    }

    fn headers(&self, cx: &Context, out: &mut String) -> Result<(), Fault> {
        self.template(cx, out)?;
        if let Some(id) = cx.message.axis2.get("correlation_id") {
            out.push_str(" correlation_id : ");
            out.push_str(&id.to_text());
        }
        let envelope = cx.message.body.envelope()?;
        if let Some(header) = envelope.header() {
            let document = envelope.document();
            for block in document.child_elements(header) {
                for part in [&self.separator, document.local_name(block), " : ", &document.text(block)] {
                    out.push_str(part);
                }
            }
        }
        self.fields(cx, out)
    }

    fn payload(&self, cx: &Context, out: &mut String) -> Result<(), Fault> {
        if let Ok(mi_message::Native::Json(json)) = cx.message.body.native() {
            self.field("Payload", &String::from_utf8_lossy(json.text()), out);
            return Ok(());
        }
        let envelope = cx
            .message
            .body
            .envelope()
            .map_err(|error| Fault::new(format!("Could not build full log message: {error}")))?;
        self.field("Envelope", "<?xml version='1.0' encoding='utf-8'?>", out);
        out.push_str(&envelope.document().to_xml(envelope.envelope()));
        Ok(())
    }

    fn fields(&self, cx: &Context, out: &mut String) -> Result<(), Fault> {
        for (name, value) in &self.fields {
            out.push_str(&self.separator);
            out.push_str(name);
            out.push_str(" = ");
            let text = value.eval_text(&cx.message, &*cx.snapshot)?;
            out.push_str(text.as_deref().unwrap_or("null"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Flowing, log_lines};

    /// Runs the mediator on a message and compares the line it logged.
    #[track_caller]
    fn check(flowing: Flowing, expected: &str) {
        let lines = log_lines(|| {
            flowing.run();
        });
        assert_eq!(lines, [expected]);
    }

    #[test]
    fn custom_fields_are_separated() {
        check(
            Flowing::of("<log level='custom' separator=' | '><property name='a' value='1'/><property name='b' expression='//x'/></log>").xml("<x>2</x>"),
            "INFO LogMediator a = 1 | b = 2",
        );
        check(
            Flowing::of("<log category='fatal' level='custom'><property name='a' value='1'/></log>"),
            "ERROR LogMediator#FATAL a = 1",
        );
    }

    #[test]
    fn simple_line() {
        check(
            Flowing::of("<log/>").xml("<x/>").with(|message| {
                message.addressing.to = Some("/a".to_owned());
                message.addressing.action = Some("urn:b".to_owned());
                message.addressing.message_id = Some("urn:uuid:1".to_owned());
            }),
            "INFO LogMediator To: /a, WSAction: urn:b, SOAPAction: urn:b, MessageID: urn:uuid:1, Direction: request",
        );
    }

    #[test]
    fn full_line_ends_with_the_payload() {
        check(
            Flowing::of("<log level='full'><property name='a' value='1'/></log>").json("{ \"b\": 1}").with(|message| {
                message.addressing.message_id = Some("1".to_owned());
            }),
            "INFO LogMediator To: , MessageID: 1, Direction: request, a = 1, Payload: { \"b\": 1}",
        );
        check(
            Flowing::of("<log level='full'/>").xml("<x/>").with(|message| {
                message.addressing.message_id = Some("1".to_owned());
            }),
            "INFO LogMediator To: , MessageID: 1, Direction: request, Envelope: <?xml version='1.0' encoding='utf-8'?><soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"><soapenv:Body><x/></soapenv:Body></soapenv:Envelope>",
        );
    }

    #[test]
    fn message_template() {
        check(Flowing::of("<log><message>a\\n${1 + 1}</message></log>"), "INFO LogMediator a\n2");
    }

    #[test]
    fn wrong_configurations_are_refused() {
        for (xml, part) in [
            ("<log level='x'/>", "Invalid log level"),
            ("<log category='x'/>", "Invalid log category"),
            ("<log><property name='a'/></log>", "needs the attribute 'value' or 'expression'"),
        ] {
            let error = Flowing::error_of(xml);
            assert!(error.contains(part), "{error}");
        }
    }
}
