//! `<xslt>` transforms the payload, or a part of the message, by a stylesheet of the registry or a local entry.
//!
//! The language itself is in `mi-xslt`. What `<fastXSLT>` shares is here: finding, compiling and keeping stylesheets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;
use mi_expr::xpath::Sequence;
use mi_expr::{Dynamic, Expr, Lookup};
use mi_message::{Envelope, Value, XmlValue};
use mi_xml::{Document, NodeId};
use mi_xslt::{Host, Method, Output, Resolver, Stylesheet};

use super::xslt_stream::{Streaming, Transforms};
use crate::resource::{Cached, Layout, Reader, Resources, Texts};
use crate::xml;

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("xslt", parse)
    .attributes(&["key", "source", "target", "useCache"])
    .children(&["property", "feature", "attribute", "resource"]);

/// Longest time one transformation may take.
const MAX_TIME: Duration = Duration::from_mins(1);
/// Makes the mediator keep the result in the target property as text.
const DISABLE_BUILD: &str = "transform.xslt.result.disableBuild";
/// What the names of properties with further results start with.
const RESULT: &str = "xslt.result.";

#[derive(Debug)]
struct Mediating(Arc<Xslt>);

#[derive(Debug)]
struct Xslt {
    source: Option<Expr>,
    target: Option<Arc<str>>,
    properties: Vec<Property>,
    stylesheets: Stylesheets,
}

#[derive(Debug)]
struct Property {
    name: String,
    value: Dynamic,
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let key = el.resource_key("key")?;
    let key = key.ok_or_else(|| el.error("The 'key' attribute is required for the XSLT mediator"))?;
    check_features(el, cx)?;
    for attribute in el.children_named("attribute") {
        let name = attribute.require_attr("name")?;
        cx.report(attribute.warning(format!("the attribute '{name}' is one of MI's XSLT processor and has no effect")));
    }
    let resources = Resources::parse(el)?;
    let properties = el.children_named("property").map(|it| parse_property(&it)).collect::<Result<Vec<_>, _>>()?;
    let stylesheets = Stylesheets::new(key, resources, el.bool_attr("useCache") != Some(false));
    stylesheets.check(el, cx);
    Ok(Box::new(Mediating(Arc::new(Xslt {
        source: el.expr("source")?,
        target: el.attr("target").map(|it| it.as_ref().into()),
        properties,
        stylesheets,
    }))))
}

/// Features are switches of MI's XML libraries. MI: `MediatorPropertyFactory`.
pub(super) fn check_features(el: &Element, cx: &mut BuildCx<'_>) -> Result<(), Diagnostic> {
    for feature in el.children_named("feature") {
        let name = feature.require_attr("name")?;
        if !matches!(feature.attr("value").as_deref(), Some("true" | "false")) {
            return Err(feature.error("The feature must have value true or false"));
        }
        cx.report(feature.warning(format!("the feature '{name}' is one of MI's XML library and has no effect")));
    }
    Ok(())
}

fn parse_property(el: &Element) -> Result<Property, Diagnostic> {
    let name = el.require_attr("name")?.into_owned();
    let value = el.value_or_expression()?;
    let value = value.ok_or_else(|| el.error("a property needs the attribute 'value' or 'expression'"))?;
    Ok(Property { name, value })
}

impl Mediator for Mediating {
    /// The payload is read by the mediator itself where it may do without a tree.
    fn reads_body(&self) -> bool {
        !self.0.takes_payload_alone()
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        if self.0.takes_payload_alone() && !cx.message.body.is_built() {
            return Ok(Flow::wait(Streaming(self.0.clone())));
        }
        self.0.transform_built(cx)
    }
}

impl Transforms for Arc<Xslt> {
    fn stylesheets(&self) -> &Stylesheets {
        &self.stylesheets
    }

    /// MI: `XSLTMediator#mediate`.
    fn transform_built(&self, cx: &mut Context) -> Result<Flow, Fault> {
        if self.source.is_none() && cx.message.body.envelope()?.payload().is_none() {
            log::warn!(
                target: "XSLTMediator",
                "{}Found empty soap body, skipping XSLT transformation and continuing the mediation",
                cx.artifact.log_prefix
            );
            return Ok(Flow::Next);
        }
        self.transform(cx).map_err(|fault| {
            Fault::new(format!(
                "Unable to perform XSLT transformation using : {} against source XPath : {} reason : {}",
                self.stylesheets.key_text(),
                self.source.as_ref().map_or(DEFAULT_SOURCE, Expr::source),
                fault.message
            ))
        })?;
        Ok(Flow::Next)
    }
}

impl Xslt {
    /// The payload becomes the result, and nothing else of the message matters.
    fn takes_payload_alone(&self) -> bool {
        self.source.is_none() && self.target.is_none() && self.properties.is_empty()
    }

    fn transform(&self, cx: &mut Context) -> Result<(), Fault> {
        let place = self.place(cx)?;
        let mut params: Vec<(&str, Arc<str>)> = Vec::with_capacity(self.properties.len());
        for property in &self.properties {
            let value = property.value.eval_text(&cx.message, &*cx.snapshot)?;
            params.extend(value.map(|value| (property.name.as_str(), value)));
        }
        let stylesheet = self.stylesheets.current(cx)?;
        let mut output = match &place {
            Place::Message(node) => {
                let document = cx.message.body.envelope()?.document();
                run(&stylesheet, document, *node, &params, cx, Logger::keeping("XSLTMediator"))?
            }
            Place::Value(value) => {
                let node = value.nodes.first().copied().unwrap_or(Document::ROOT);
                run(&stylesheet, &value.document, node, &params, cx, Logger::keeping("XSLTMediator"))?
            }
        };
        keep_results(&mut output, cx)?;
        if let Some(target) = &self.target {
            let as_text =
                cx.message.properties.get_str(DISABLE_BUILD).is_some_and(|it| it.eq_ignore_ascii_case("true"));
            let value = if as_text { Value::from(output.serialize()) } else { Value::Xml(result_element(output)?) };
            cx.message.properties.set(target.clone(), value);
            return Ok(());
        }
        match place {
            Place::Message(node) => {
                if !replace_payload(cx, node, &output)? {
                    replace(cx, node, &result_element(output)?)?;
                }
                Ok(())
            }
            Place::Value(_) => Err(Fault::new("the source is no part of the message, so it cannot be replaced")),
        }
    }

    /// What is transformed. MI: `SourceXPathSupport#selectOMNode`.
    fn place(&self, cx: &Context) -> Result<Place, Fault> {
        let envelope = cx.message.body.envelope()?;
        let Some(source) = &self.source else {
            return envelope.payload().map(Place::Message).ok_or_else(|| Fault::new("the message has no payload"));
        };
        if let Some(node) = source.eval_nodes(&cx.message, &*cx.snapshot).ok().and_then(|it| it.first().copied())
            && (envelope.document().is_element(node) || node == Document::ROOT)
        {
            // `/` is the envelope, as the root of the message.
            return Ok(Place::Message(if node == Document::ROOT { envelope.envelope() } else { node }));
        }
        let not_found = || {
            let source = source.source();
            Fault::new(format!("The evaluation of the XPath expression {source} did not result in an OMNode : null"))
        };
        match source.eval(&cx.message, &*cx.snapshot)? {
            Value::Xml(found) if found.nodes.first().is_some_and(|it| found.document.is_element(*it)) => {
                Ok(Place::Value(found))
            }
            Value::String(text) => xml::parse(&text).map(Place::Value).map_err(|_| not_found()),
            _ => Err(not_found()),
        }
    }
}

/// Where the source lies.
enum Place {
    /// In the envelope of the message.
    Message(NodeId),
    /// In a property or another document.
    Value(XmlValue),
}

/// What MI shows for the payload itself.
const DEFAULT_SOURCE: &str = "s11:Body/child::*[position()=1] | s12:Body/child::*[position()=1]";
const TEXT_NAMESPACE: &str = "http://ws.apache.org/commons/ns/payload";

/// The result as an element: text is wrapped as MI does it.
pub(super) fn result_element(output: Output) -> Result<XmlValue, Fault> {
    if output.method == Method::Text {
        let mut document = Document::new();
        let wrapper = document.create_element("", "text", TEXT_NAMESPACE);
        document.set_text(wrapper, &output.serialize());
        document.append_child(Document::ROOT, wrapper);
        return Ok(XmlValue { document: Arc::new(document), nodes: vec![wrapper] });
    }
    let failed = |reason: &str| Fault::new(format!("Unable to create an OMElement using XSLT result : {reason}"));
    if output.has_hidden_markup() {
        return xml::parse(&output.serialize()).map_err(|error| failed(&error));
    }
    match output.document.root_element() {
        Some(root) => Ok(XmlValue { document: Arc::new(output.document), nodes: vec![root] }),
        None => Err(failed("the result has no element")),
    }
}

/// Puts the result in the place of the payload without reading it again. False where that takes more.
pub(super) fn replace_payload(cx: &mut Context, source: NodeId, output: &Output) -> Result<bool, Fault> {
    if output.method == Method::Text || output.has_hidden_markup() {
        return Ok(false);
    }
    let Some(root) = output.document.root_element() else { return Ok(false) };
    let envelope = cx.message.body.envelope_mut()?;
    Ok(envelope.payload() == Some(source) && envelope.replace_payload(&output.document.to_xml(root)))
}

/// Puts the result where the source was. MI: `XSLTMediator#performXSLT`.
fn replace(cx: &mut Context, source: NodeId, result: &XmlValue) -> Result<(), Fault> {
    let Some(root) = result.nodes.first().copied() else { return Ok(()) };
    let envelope = cx.message.body.envelope_mut()?;
    if source == envelope.envelope() {
        let version = envelope.version();
        let document = XmlValue::copy_of(&result.document, root).document;
        let mut replaced = Envelope::from_document(Arc::unwrap_or_clone(document), version);
        if replaced.is_wrapped() {
            return Err(Fault::new("Unable to replace SOAP envelope with result"));
        }
        replaced.set_wrapped(envelope.is_wrapped());
        *envelope = replaced;
        return Ok(());
    }
    if source == envelope.body() || Some(source) == envelope.header() {
        let children: Vec<NodeId> = result.document.child_elements(root).collect();
        let document = envelope.document_mut();
        let old: Vec<NodeId> = document.child_elements(source).collect();
        for child in old {
            document.detach(child);
        }
        for child in children {
            let copy = document.import(&result.document, child);
            document.append_child(source, copy);
        }
        return Ok(());
    }
    let document = envelope.document_mut();
    let copy = document.import(&result.document, root);
    document.replace(source, copy);
    Ok(())
}

/// Puts the results of `xsl:result-document` into properties, by their `href`. MI writes files.
pub(super) fn keep_results(output: &mut Output, cx: &mut Context) -> Result<(), Fault> {
    for (href, other) in std::mem::take(&mut output.others) {
        let value = match other.method {
            Method::Text => Value::from(other.serialize()),
            _ => Value::Xml(result_element(other)?),
        };
        cx.message.properties.set(format!("{RESULT}{href}"), value);
    }
    Ok(())
}

/// Who runs a stylesheet, for the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Logger {
    name: &'static str,
    /// It looks at results beside the main one.
    keeps: bool,
}

impl Logger {
    /// One that uses the main result only.
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, keeps: false }
    }

    /// One that calls [`keep_results`].
    pub(super) const fn keeping(name: &'static str) -> Self {
        Self { name, keeps: true }
    }
}

/// Runs a stylesheet on a node of the message.
pub(super) fn run(
    stylesheet: &Stylesheet,
    document: &Document,
    node: NodeId,
    params: &[(&str, Arc<str>)],
    cx: &Context,
    logger: Logger,
) -> Result<Output, Fault> {
    let host = MessageHost::of(cx, logger);
    let params: Vec<(&str, Sequence<'_>)> =
        params.iter().map(|(name, value)| (*name, Sequence::string(value.clone()))).collect();
    stylesheet.transform(document, node, &params, &host).map_err(|error| Fault::new(error.to_string()))
}

/// The world of a transformation or a query: a clock, the log, nothing else.
pub(super) struct MessageHost<'a> {
    now: i64,
    offset: i32,
    started: Instant,
    logger: Logger,
    prefix: &'a str,
}

impl<'a> MessageHost<'a> {
    pub(super) fn of(cx: &'a Context, logger: Logger) -> Self {
        let now = cx.snapshot.now_millis();
        let offset = cx.snapshot.zone_offset_seconds(now);
        Self { now, offset, started: Instant::now(), logger, prefix: &cx.artifact.log_prefix }
    }
}

impl Host for MessageHost<'_> {
    fn now(&self) -> mi_xslt::Moment {
        mi_xslt::moment(self.now, self.offset)
    }

    fn message(&self, text: &str) {
        log::info!(target: self.logger.name, "{}{text}", self.prefix);
    }

    fn keeps_results(&self) -> bool {
        self.logger.keeps
    }

    fn expired(&self) -> bool {
        self.started.elapsed() > MAX_TIME
    }
}

// === stylesheets ===

/// The stylesheets that a mediator uses, compiled, by their keys.
#[derive(Debug)]
pub(super) struct Stylesheets {
    key: Dynamic,
    resources: Resources,
    use_cache: bool,
    compiled: Cached<Stylesheet>,
}

impl Stylesheets {
    pub(super) fn new(key: Dynamic, resources: Resources, use_cache: bool) -> Self {
        Self { key, resources, use_cache, compiled: Cached::default() }
    }

    /// The key as it is written, for messages.
    fn key_text(&self) -> &str {
        self.key.as_static().or_else(|| self.key.as_expr().map(Expr::source)).unwrap_or_default()
    }

    /// The stylesheet of the present key and content.
    pub(super) fn current(&self, cx: &Context) -> Result<Arc<Stylesheet>, Fault> {
        let key = self.key.eval_string(&cx.message, &*cx.snapshot)?;
        if self.use_cache {
            return self.compiled.get(&key, &cx.snapshot, |reader| self.compile(&key, reader));
        }
        self.compile(&key, &Reader::new(&cx.snapshot)).map(Arc::new)
    }

    fn compile(&self, key: &str, reader: &Reader) -> Result<Stylesheet, Fault> {
        let text = reader.text(key, Layout::Verbatim);
        let text = text.ok_or_else(|| Fault::new(format!("there is no stylesheet with the key {key}")))?;
        self.compile_text(key, text, reader).map_err(|errors| {
            Fault::new(format!("Error creating XSLT transformer using : {key}: {}", errors.join("; ")))
        })
    }

    fn compile_text(&self, key: &str, text: String, texts: &dyn Texts) -> Result<Stylesheet, Vec<String>> {
        let document = Document::parse(text.into_bytes()).map_err(|error| vec![error.to_string()])?;
        let entries = Entries { texts, resources: &self.resources, root: key };
        Stylesheet::compile(Arc::new(document), key, &entries)
            .map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    /// Compiles what a static key stands for at deployment, to report what is wrong with it. As in MI a wrong stylesheet
    /// fails the messages that reach it, not the deployment.
    pub(super) fn check(&self, el: &Element, cx: &mut BuildCx<'_>) {
        let Some(key) = self.key.as_static() else { return };
        let Some(text) = cx.text_of(key) else { return };
        let errors = self.compile_text(key, text, cx).err().unwrap_or_default();
        cx.report_all(errors.into_iter().map(|error| {
            el.warning(format!("the stylesheet cannot be used: {error}"))
                .hint("messages that reach the mediator get a fault until the stylesheet is mended")
        }));
    }
}

/// Finds what a stylesheet includes: by the `<resource>`s of the mediator, then as a key, then beside the stylesheet.
struct Entries<'a> {
    texts: &'a dyn Texts,
    resources: &'a Resources,
    root: &'a str,
}

impl Resolver for Entries<'_> {
    fn stylesheet(&self, href: &str, base: &str) -> Result<Arc<Document>, String> {
        let mapped = self.resources.key_of(href).map(str::to_owned);
        let beside = |base: &str| base.rsplit_once('/').map(|(folder, _)| format!("{folder}/{href}"));
        let mut keys = mapped.into_iter().chain([href.to_owned()]).chain(beside(base)).chain(beside(self.root));
        let text = keys.find_map(|key| self.texts.text_of(&key));
        let text = text.ok_or("there is no resource or local entry of this name")?;
        Document::parse(text.into_bytes()).map(Arc::new).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Flowing, Outcome};

    const NS: &str = "xmlns:xsl='http://www.w3.org/1999/XSL/Transform'";

    fn sheet(body: &str) -> String {
        format!("<xsl:stylesheet version='2.0' {NS}>{body}</xsl:stylesheet>")
    }

    fn run(mediator: &str, body: &str, payload: &str) -> Outcome {
        Flowing::of(mediator).local_entry("s", &sheet(body)).xml(payload).run()
    }

    #[track_caller]
    fn check(mediator: &str, body: &str, payload: &str, expected: &str) {
        let outcome = run(mediator, body, payload);
        assert_eq!(outcome.fault(), None);
        assert_eq!(outcome.payload_xml(), expected);
    }

    #[test]
    fn the_payload_is_replaced() {
        check(
            "<xslt key='s'/>",
            "<xsl:template match='/'><r><xsl:value-of select='o/n'/></r></xsl:template>",
            "<o><n>1</n></o>",
            "<r>1</r>",
        );
        check(
            "<xslt key='{string(\"s\")}' useCache='false'/>",
            "<xsl:template match='o'><r><xsl:value-of select='name(/*)'/></r></xsl:template>",
            "<o/>",
            "<r>o</r>",
        );
    }

    #[test]
    fn further_results_are_properties() {
        let body = "<xsl:template match='o'><r/><xsl:result-document href='audit'><a><xsl:value-of select='n'/></a>\
            </xsl:result-document><xsl:result-document href='log' method='text'>n=<xsl:value-of select='n'/>\
            </xsl:result-document></xsl:template>";
        for mediator in ["<xslt key='s'/>", "<fastXSLT key='s'/>"] {
            let outcome = run(mediator, body, "<o><n>1</n></o>");
            assert_eq!(outcome.fault(), None);
            assert_eq!(outcome.payload_xml(), "<r/>");
            assert_eq!(outcome.property("xslt.result.audit").as_deref(), Some("<a>1</a>"));
            assert_eq!(outcome.property("xslt.result.log").as_deref(), Some("n=1"));
        }
    }

    #[test]
    fn the_whole_message_is_replaced() {
        check(
            "<xslt key='s' source='/'/>",
            "<xsl:template match='/'><soapenv:Envelope xmlns:soapenv='http://schemas.xmlsoap.org/soap/envelope/'>\
             <soapenv:Body><a>Hello</a></soapenv:Body></soapenv:Envelope></xsl:template>",
            "<o/>",
            "<a>Hello</a>",
        );
    }

    #[test]
    fn a_part_is_replaced() {
        check(
            "<xslt key='s' source='//n'/>",
            "<xsl:template match='/n'><m><xsl:value-of select='.'/></m></xsl:template>",
            "<o><a/><n>1</n><b/></o>",
            "<o><a/><m>1</m><b/></o>",
        );
    }

    #[test]
    fn properties_are_parameters() {
        check(
            "<xslt key='s'><property name='a' value='x'/><property name='b' expression='//n'/></xslt>",
            "<xsl:param name='a'/><xsl:param name='b'/><xsl:param name='c' select='3'/>\
             <xsl:template match='/'><r a='{$a}' b='{$b}' c='{$c}'/></xsl:template>",
            "<o><n>1</n></o>",
            "<r a=\"x\" b=\"1\" c=\"3\"/>",
        );
    }

    #[test]
    fn text_and_targets() {
        let body = "<xsl:output method='text'/><xsl:template match='/'>a&lt;b</xsl:template>";
        check("<xslt key='s'/>", body, "<o/>", "<text xmlns=\"http://ws.apache.org/commons/ns/payload\">a&lt;b</text>");
        let outcome = run("<xslt key='s' target='t'/>", "<xsl:template match='/'><r>1</r></xsl:template>", "<o/>");
        assert_eq!(outcome.payload_xml(), "<o/>");
        assert_eq!(outcome.property("t").as_deref(), Some("<r>1</r>"));
    }

    #[test]
    fn unescaped_markup_becomes_elements() {
        check(
            "<xslt key='s'/>",
            "<xsl:template match='/'><r><xsl:value-of select='o' disable-output-escaping='yes'/></r></xsl:template>",
            "<o>&lt;x/></o>",
            "<r><x/></r>",
        );
    }

    #[test]
    fn includes_are_found_by_location_and_key() {
        let inner = sheet("<xsl:template match='n'><m/></xsl:template>");
        for (resource, href) in [("<resource location='i.xsl' key='inner'/>", "i.xsl"), ("", "inner")] {
            let outer = sheet(&format!(
                "<xsl:include href='{href}'/><xsl:template match='/'><r><xsl:apply-templates select='//n'/></r></xsl:template>"
            ));
            let outcome = Flowing::of(&format!("<xslt key='s'>{resource}</xslt>"))
                .local_entry("s", &outer)
                .local_entry("inner", &inner)
                .xml("<o><n/></o>")
                .run();
            assert_eq!(outcome.fault(), None);
            assert_eq!(outcome.payload_xml(), "<r><m/></r>");
        }
    }

    #[test]
    fn failures_are_faults() {
        let fault = |mediator: &str, body: &str| run(mediator, body, "<o/>").fault().unwrap_or_default();
        let missing = fault("<xslt key='none'/>", "");
        assert!(missing.contains("there is no stylesheet with the key none"), "{missing}");
        let wrong = fault("<xslt key='s'/>", "<xsl:template match='/'><xsl:value-of select='('/></xsl:template>");
        assert!(wrong.contains("Error creating XSLT transformer using : s: s:1:"), "{wrong}");
        let stopped = fault(
            "<xslt key='s'/>",
            "<xsl:template match='/'><xsl:message terminate='yes'>no</xsl:message></xsl:template>",
        );
        assert!(stopped.contains("reason : ") && stopped.contains("no"), "{stopped}");
        let empty = fault("<xslt key='s'/>", "<xsl:template match='/'/>");
        assert!(empty.contains("Unable to create an OMElement"), "{empty}");
        assert!(Flowing::error_of("<xslt/>").contains("'key'"));
    }
}
