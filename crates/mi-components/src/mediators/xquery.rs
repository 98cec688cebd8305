//! `<xquery>` runs a query of the registry or a local entry and puts the first item of its result where the target is.
//!
//! The language itself is in `mi-xslt`. Here are the key, the values of the external variables, and the target.

use std::sync::Arc;

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;
use mi_expr::xpath::{Item, Node, Sequence, Version};
use mi_expr::{Dynamic, Expr};
use mi_message::{Message, Value, XmlValue, java_double, java_float};
use mi_xml::{Document, NodeId, NodeKind};
use mi_xslt::XQuery;

use super::xslt::{Logger, MessageHost};
use crate::resource::{self, Cached};
use crate::xml;

pub(super) const SPEC: MediatorSpec =
    MediatorSpec::new("xquery", parse).attributes(&["key", "target"]).children(&["variable", "dataSource"]);

#[derive(Debug)]
struct XQueryMediator {
    target: Option<Expr>,
    variables: Vec<Variable>,
    queries: Queries,
}

/// A value for an external variable.
#[derive(Debug)]
struct Variable {
    name: String,
    kind: Kind,
    source: Source,
}

/// The types that `type` may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Boolean,
    /// An integer of at most so many bits, with MI's name of it.
    Whole(u32, &'static str),
    Double,
    Float,
    String,
    /// A document; what `ELEMENT` names arrives as one too.
    Node,
}

#[derive(Debug)]
enum Source {
    /// `value`, converted already.
    Fixed(Option<Item<'static>>),
    /// `value` of a document.
    Text(String),
    /// `expression` on the message; without one it is the payload.
    Message(Option<Expr>),
    /// `key`, and an `expression` on what it stands for.
    Entry(String, Option<Expr>),
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let required = || el.error("The 'key' attribute is required for the XQuery mediator");
    let key = el.filled_attr("key").and(el.resource_key("key")?).ok_or_else(required)?;
    let target = if el.filled_attr("target").is_some() { el.expr("target")? } else { None };
    if let Some(settings) = el.child("dataSource") {
        cx.report(settings.warning("settings of MI's query engine have no effect here"));
    }
    let mut variables = Vec::new();
    for variable in el.children_named("variable") {
        variables.extend(parse_variable(&variable, cx)?);
    }
    let queries = Queries { key, compiled: Cached::default() };
    queries.check(el, &variables, cx);
    Ok(Box::new(XQueryMediator { target, variables, queries }))
}

/// MI: `XQueryMediatorFactory#createSpecificMediator`, which passes over variables without a name or a type.
fn parse_variable(el: &Element, cx: &mut BuildCx<'_>) -> Result<Option<Variable>, Diagnostic> {
    cx.report_all(el.unknown_attrs(&["name", "type", "value", "expression", "key"]));
    let (Some(name), Some(declared)) = (el.filled_attr("name"), el.filled_attr("type")) else {
        cx.report(el.warning("a variable without 'name' or 'type' has no effect"));
        return Ok(None);
    };
    let kind = match declared.trim() {
        "BOOLEAN" => Kind::Boolean,
        "BYTE" => Kind::Whole(8, "byte"),
        "SHORT" => Kind::Whole(16, "short"),
        "INT" => Kind::Whole(32, "Int"),
        "INTEGER" => Kind::Whole(32, "Integer"),
        "LONG" => Kind::Whole(64, "long"),
        "DOUBLE" => Kind::Double,
        "FLOAT" => Kind::Float,
        "STRING" => Kind::String,
        "DOCUMENT" | "ELEMENT" => Kind::Node,
        other => return Err(el.error(format!("Unsupported Type '{other}'"))),
    };
    let source = if let Some(value) = el.filled_attr("value") {
        match kind {
            Kind::Node => Source::Text(value.trim().to_owned()),
            _ => {
                let item = of_text(value.trim(), kind);
                if let Err(reason) = &item {
                    let warning = el.warning(format!("{reason}; messages that reach the mediator get a fault"));
                    cx.report(warning);
                }
                Source::Fixed(item.ok())
            }
        }
    } else {
        let expression = if el.filled_attr("expression").is_some() { el.expr("expression")? } else { None };
        match el.qualified_attr("key")? {
            Some(key) => Source::Entry(key.trim().to_owned(), expression),
            None => Source::Message(expression),
        }
    };
    Ok(Some(Variable { name: name.trim().to_owned(), kind, source }))
}

impl Mediator for XQueryMediator {
    fn reads_body(&self) -> bool {
        true
    }

    /// MI: `XQueryMediator#mediate`.
    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        self.perform(cx).map_err(|fault| {
            let reason = &fault.message;
            log::error!(target: "XQueryMediator", "{}Unable to execute the query {reason}", cx.artifact.log_prefix);
            let mut wrapped = Fault::new("Unable to execute the query ");
            wrapped.detail = format!("{}: {reason}", wrapped.detail);
            wrapped
        })?;
        Ok(Flow::Next)
    }
}

impl XQueryMediator {
    fn perform(&self, cx: &mut Context) -> Result<(), Fault> {
        let query = self.queries.current(cx)?;
        let Some(query) = &*query else { return Ok(()) };
        let mut values = Vec::with_capacity(self.variables.len());
        for variable in &self.variables {
            if let Some(item) = variable.value(cx)? {
                values.push((variable.name.as_str(), Sequence::one(item)));
            }
        }
        let host = MessageHost::of(cx, Logger::new("XQueryMediator"));
        let result = query.run(&values, &host).map_err(|error| Fault::new(error.to_string()))?;
        // MI: only the first item counts.
        match result.first() {
            Some(item) => self.put(cx, &item),
            None => Ok(()),
        }
    }

    /// Puts the result where the target is: an element in its place, a value as its text.
    fn put(&self, cx: &mut Context, item: &Item<'_>) -> Result<(), Fault> {
        let destination = match &self.target {
            Some(target) => Some(target_node(target, cx)?),
            None => cx.message.body.envelope()?.payload(),
        };
        let element = match item {
            Item::Node(node) if node.kind() == NodeKind::Element => Some((&node.doc, node.id)),
            Item::Node(node) if node.kind() == NodeKind::Document => {
                node.doc.child_elements(node.id).next().map(|root| (&node.doc, root))
            }
            _ => None,
        };
        let envelope = cx.message.body.envelope_mut()?;
        match (element, destination) {
            (Some((source, root)), Some(place)) => {
                let document = envelope.document_mut();
                let copy = document.import(source, root);
                document.replace(place, copy);
                envelope.reindex();
            }
            (Some((source, root)), None) => envelope.set_payload(source, &[root]),
            (None, Some(place)) => {
                // MI: other nodes than documents and elements are passed over.
                let Some(text) = text_of(item) else { return Ok(()) };
                if !envelope.document().is_element(place) {
                    return Err(Fault::new("the target is no element, so it cannot have a text"));
                }
                envelope.document_mut().set_text(place, &text);
            }
            (None, None) => {}
        }
        Ok(())
    }
}

/// MI: `SourceXPathSupport#selectOMNode`.
fn target_node(target: &Expr, cx: &Context) -> Result<NodeId, Fault> {
    let found = target.eval_nodes(&cx.message, &*cx.snapshot)?;
    found.first().copied().ok_or_else(|| {
        let source = target.source();
        Fault::new(format!("The evaluation of the XPath expression {source} did not result in an OMNode : null"))
    })
}

/// The text of a value as MI writes it; `None` for nodes, functions and maps.
fn text_of(item: &Item<'_>) -> Option<String> {
    Some(match item {
        Item::Node(_) | Item::Function(_) | Item::Map(_) | Item::Array(_) => return None,
        Item::Double(value) => java_double(*value),
        Item::Float(value) => java_float(*value),
        other => other.to_str(Version::V2).into_string(),
    })
}

impl Variable {
    /// The value for one message; `None` leaves the variable without one.
    fn value(&self, cx: &Context) -> Result<Option<Item<'static>>, Fault> {
        let incompatible = || Fault::new(format!("Incompatible value for the variable {}", self.name));
        match &self.source {
            Source::Fixed(item) => item.clone().map(Some).ok_or_else(incompatible),
            Source::Text(text) => document_of_text(text).map(Some),
            Source::Message(Some(expression)) => {
                self.convert(expression.eval(&cx.message, &*cx.snapshot)?).map_err(Fault::new)
            }
            Source::Message(None) => {
                let envelope = cx.message.body.envelope()?;
                let Some(payload) = envelope.payload() else { return Ok(None) };
                let copy = XmlValue::copy_of(envelope.document(), payload);
                self.convert(Value::Xml(copy)).map_err(Fault::new)
            }
            Source::Entry(key, expression) => {
                let Some(found) = resource::value(&cx.snapshot, key) else { return Ok(None) };
                let value = match (expression, found) {
                    (Some(expression), found) => {
                        let mut inner = Message::new();
                        let element = match found {
                            Value::Xml(element) => element,
                            other => xml::parse(&other.to_text()).map_err(Fault::new)?,
                        };
                        if let Some(root) = element.nodes.first() {
                            crate::payload::set_element(&mut inner, &element.document, *root);
                        }
                        expression.eval(&inner, &*cx.snapshot)?
                    }
                    (None, found) => found,
                };
                self.convert(value).map_err(Fault::new)
            }
        }
    }

    /// MI: `MediatorCustomVariable#evaluate` and `XQueryMediator#setVariable`: only the first node counts.
    fn convert(&self, value: Value) -> Result<Option<Item<'static>>, String> {
        let incompatible = || format!("Incompatible type for the variable {}", self.name);
        let text = match (value, self.kind) {
            (Value::Null, _) => return Ok(None),
            (Value::Xml(found), Kind::Node) => {
                let Some(node) = found.nodes.first().copied() else { return Ok(None) };
                let node = match found.document.kind(node) {
                    NodeKind::Element => node,
                    NodeKind::Document => match found.document.child_elements(node).next() {
                        Some(root) => root,
                        None => return Ok(None),
                    },
                    _ => return Ok(None),
                };
                let document = XmlValue::copy_of(&found.document, node).document;
                return Ok(Some(Item::Node(Node::shared(document, Document::ROOT))));
            }
            (Value::String(text), Kind::Node) => {
                return document_of_text(&text).map(Some).map_err(|fault| fault.message);
            }
            (_, Kind::Node) => return Ok(None),
            (Value::Xml(found), _) => {
                let node = found.nodes.first().copied().ok_or_else(incompatible)?;
                let document = &found.document;
                if document.is_element(node) { document.text(node) } else { document.value(node) }.into_owned()
            }
            (other, _) => other.to_text().into_owned(),
        };
        of_text(&text, self.kind).map(Some)
    }
}

/// A text as a value of a type, by the rules of Java's parsers.
fn of_text(text: &str, kind: Kind) -> Result<Item<'static>, String> {
    let wrong = |name: &str| format!("Incompatible value '{text}' for the {name}");
    Ok(match kind {
        Kind::Boolean => Item::Boolean(text.eq_ignore_ascii_case("true")),
        Kind::Whole(bits, name) => {
            let number: i64 = text.parse().map_err(|_| wrong(name))?;
            let limit = 1_i128 << (bits - 1);
            if !(-limit..limit).contains(&i128::from(number)) {
                return Err(wrong(name));
            }
            Item::Integer(number)
        }
        Kind::Double => Item::Double(text.trim().parse().map_err(|_| wrong("Double"))?),
        Kind::Float => Item::Float(text.trim().parse().map_err(|_| wrong("Float"))?),
        Kind::String | Kind::Node => Item::String(text.to_owned().into()),
    })
}

fn document_of_text(text: &str) -> Result<Item<'static>, Fault> {
    let parsed = xml::parse(text).map_err(|error| Fault::new(format!("the value of a variable is no XML: {error}")))?;
    Ok(Item::Node(Node::shared(parsed.document, Document::ROOT)))
}

/// The queries that a mediator uses, compiled, by their keys; an empty one is none.
#[derive(Debug)]
struct Queries {
    key: Dynamic,
    compiled: Cached<Option<XQuery>>,
}

impl Queries {
    /// Compiles what a static key stands for at deployment, to report what is wrong with it. As in MI a wrong query fails
    /// the messages that reach it, not the deployment.
    fn check(&self, el: &Element, variables: &[Variable], cx: &mut BuildCx<'_>) {
        let Some(key) = self.key.as_static() else { return };
        let Some(text) = cx.resource(key).and_then(source_of) else { return };
        match XQuery::compile(&text, key) {
            Ok(query) => {
                for note in query.notes() {
                    cx.report(el.warning(note.to_string()));
                }
                for name in query.externals().filter(|name| !variables.iter().any(|it| it.name == *name)) {
                    cx.report(el.warning(format!("the variable ${name} of the query {key} is not given a value")));
                }
            }
            Err(error) => cx.report(
                el.warning(format!("the query cannot be used: {error}"))
                    .hint("messages that reach the mediator get a fault until the query is mended"),
            ),
        }
    }

    /// The query of the present key and content; none if the content is empty, which MI passes over.
    fn current(&self, cx: &Context) -> Result<Arc<Option<XQuery>>, Fault> {
        let key = self.key.eval_string(&cx.message, &*cx.snapshot)?;
        self.compiled.get(&key, &cx.snapshot, |reader| {
            let found = reader.value(&key);
            let found = found.ok_or_else(|| Fault::new(format!("No object found for the key '{key}'")))?;
            let query = source_of(found).map(|text| XQuery::compile(&text, &key)).transpose();
            query.map_err(|error| Fault::new(error.to_string()))
        })
    }
}

/// The text of a query: an element stands for its text.
fn source_of(value: Value) -> Option<Arc<str>> {
    let text: Arc<str> = match value {
        Value::String(text) => text.into(),
        Value::Xml(found) => found.nodes.first().map(|node| found.document.text(*node)).unwrap_or_default().into(),
        other => other.to_text().into(),
    };
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use crate::testing::{Flowing, Outcome};

    fn run(mediator: &str, query: &str, payload: &str) -> Outcome {
        Flowing::of(mediator).text_entry("q", query).xml(payload).run()
    }

    #[track_caller]
    fn check(mediator: &str, query: &str, payload: &str, expected: &str) {
        let outcome = run(mediator, query, payload);
        assert_eq!(outcome.fault(), None);
        assert_eq!(outcome.payload_xml(), expected);
    }

    const TYPED: &str = "declare variable $v external; <r t='{typeswitch ($v) case xs:boolean return \"b\" \
        case xs:integer return \"i\" case xs:double return \"d\" case xs:float return \"f\" case xs:string return \"s\" \
        case document-node() return \"n\" default return \"?\"}'>{$v}</r>";

    #[test]
    fn variables_have_their_types() {
        for (variable, expected) in [
            ("type='BOOLEAN' value='TRUE'", "<r t=\"b\">true</r>"),
            ("type='INT' value='512337203'", "<r t=\"i\">512337203</r>"),
            ("type='INTEGER' value='-1'", "<r t=\"i\">-1</r>"),
            ("type='LONG' value='9223322036854775801'", "<r t=\"i\">9223322036854775801</r>"),
            ("type='SHORT' value='7'", "<r t=\"i\">7</r>"),
            ("type='BYTE' value='12'", "<r t=\"i\">12</r>"),
            ("type='DOUBLE' value='1986.93'", "<r t=\"d\">1986.93</r>"),
            ("type='FLOAT' value='156312.98'", "<r t=\"f\">156312.98</r>"),
            ("type='STRING' value=' a '", "<r t=\"s\">a</r>"),
            ("type='ELEMENT'", "<r t=\"n\"><o a='9'><n>1</n>t</o></r>"),
            ("type='DOCUMENT' expression='//n'", "<r t=\"n\"><n>1</n></r>"),
            ("type='DOCUMENT' value='&lt;x/&gt;'", "<r t=\"n\"><x/></r>"),
            ("type='STRING' expression='//n'", "<r t=\"s\">1</r>"),
            ("type='INT' expression='//n/text()'", "<r t=\"i\">1</r>"),
            ("type='STRING' expression='//o/@a'", "<r t=\"s\">9</r>"),
            ("type='DOUBLE' expression='number(//n) + 0.5'", "<r t=\"d\">1.5</r>"),
            ("type='ELEMENT' key='e'", "<r t=\"n\"><e><f>2</f></e></r>"),
            ("type='STRING' key='e' expression='//f'", "<r t=\"s\">2</r>"),
        ] {
            let mediator = format!("<xquery key='q'><variable name='v' {variable}/></xquery>");
            let flowing = Flowing::of(&mediator).text_entry("q", TYPED).local_entry("e", "<e><f>2</f></e>");
            let outcome = flowing.xml("<o a='9'><n>1</n>t</o>").run();
            assert_eq!(outcome.fault(), None, "{variable}");
            assert_eq!(outcome.payload_xml(), expected, "{variable}");
        }
    }

    #[test]
    fn the_result_goes_to_the_target() {
        let (source, one) = ("<o><n>1</n></o>", "<xquery key='q' target='//n'/>");
        check(one, "<m>{1 + 1}</m>", source, "<o><m>2</m></o>");
        check(one, "document { <m/> }", source, "<o><m/></o>");
        check(one, "(5, 6)", source, "<o><n>5</n></o>");
        check(one, "true()", source, "<o><n>true</n></o>");
        check(one, "1e10", source, "<o><n>1.0E10</n></o>");
        check(one, "'x'", source, "<o><n>x</n></o>");
        check(one, "()", source, source);
        check(one, "<a b='1'/>/@b", source, source);
        check("<xquery key='q'/>", "<m/>", source, "<m/>");
    }

    #[test]
    fn an_empty_body_gets_the_result() {
        let outcome = Flowing::of("<xquery key='q'/>").text_entry("q", "<m/>").with(|_| {}).run();
        assert_eq!(outcome.fault(), None);
        assert_eq!(outcome.payload_xml(), "<m/>");
    }

    #[test]
    fn an_element_stands_for_its_text() {
        let flowing = Flowing::of("<xquery key='q'/>").local_entry("q", "<x xmlns=''>&lt;m&gt;{1}&lt;/m&gt;</x>");
        let outcome = flowing.xml("<o/>").run();
        assert_eq!(outcome.fault(), None);
        assert_eq!(outcome.payload_xml(), "<m>1</m>");
    }

    #[test]
    fn the_key_may_be_dynamic() {
        let mediator = "<xquery key='{//k}'/>";
        check(mediator, "<m>{1}</m>", "<o><k>q</k></o>", "<m>1</m>");
    }

    const USES_V: &str = "declare variable $v external; $v";

    #[test]
    fn failures_are_faults() {
        for (mediator, query) in [
            ("<xquery key='none'/>", "1"),
            ("<xquery key='q'/>", "1 div 0"),
            ("<xquery key='q'/>", "<a>"),
            ("<xquery key='q'/>", USES_V),
            ("<xquery key='q' target='//nothing'/>", "1"),
            ("<xquery key='q'><variable name='v' type='INT' value='x'/></xquery>", "1"),
            ("<xquery key='q'><variable name='v' type='INT' expression='//nothing'/></xquery>", USES_V),
            ("<xquery key='q'><variable name='v' type='BYTE' value='128'/></xquery>", "1"),
        ] {
            let fault = run(mediator, query, "<o/>").fault().map(|it| it.trim().to_owned());
            assert_eq!(fault.as_deref(), Some("Unable to execute the query"), "{mediator} {query}");
        }
    }

    #[test]
    fn deployment_tells_what_is_wrong() {
        let warnings = Flowing::of("<xquery key='q'/>").text_entry("q", "1 +\n  (2 * )").warnings();
        assert!(warnings.iter().any(|it| it.contains("q:2:8")), "{warnings:?}");
        let warnings = Flowing::of("<xquery key='q'/>").text_entry("q", USES_V).warnings();
        assert!(warnings.iter().any(|it| it.contains("$v")), "{warnings:?}");
        assert!(Flowing::error_of("<xquery/>").contains("'key'"));
        let unknown = "<xquery key='q'><variable name='v' type='DATE' value='1'/></xquery>";
        assert!(Flowing::error_of(unknown).contains("Unsupported Type"));
    }
}
