//! `<smooks>` makes XML of text with separators, by a configuration of the Smooks library.
//!
//! Of the library the readers of CSV are here. A configuration that asks for more is reported at deployment, and gives a
//! fault when a message comes.

mod config;
mod csv;

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;
use mi_expr::{Dynamic, Expr};
use mi_message::{Native, Value, XmlValue};
use mi_xml::{Document, NodeId, NodeKind};

use self::config::Plan;
use crate::resource::{Cached, Layout};
use crate::{payload, xml};

pub(super) const SPEC: MediatorSpec =
    MediatorSpec::new("smooks", parse).attributes(&["config-key", "persistence-unit"]).children(&["input", "output"]);

/// MI: `SmooksMediator`.
#[derive(Debug)]
struct Smooks {
    key: Dynamic,
    plans: Cached<Plan>,
    input: Input,
    output: Output,
    /// Why no message can be transformed, whatever the configuration says.
    refused: Option<&'static str>,
}

#[derive(Debug, Default)]
struct Input {
    is_text: bool,
    expression: Option<Expr>,
}

#[derive(Debug, Default)]
struct Output {
    is_text: bool,
    expression: Option<Expr>,
    property: Option<String>,
    action: Action,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Action {
    #[default]
    Replace,
    Child,
    Sibling,
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let key = el.resource_key("config-key")?;
    let key = key.ok_or_else(|| el.error("Invalid smooks mediator. Configuration key is required."))?;
    let mut refused = el.attr("persistence-unit").map(|_| "the persistence units of Java are not there");
    let input = el.child("input").map(|it| parse_input(&it, cx)).transpose()?.unwrap_or_default();
    let mut output = Output::default();
    if let Some(child) = el.child("output") {
        output = parse_output(&child, cx)?;
        if child.attr("type").is_some_and(|it| it == "java") {
            refused = Some("output of the type java makes objects of Java");
        }
    }
    if let Some(reason) = refused {
        cx.report(el.warning(format!("smooks: {reason}")).hint("messages that reach it get a fault"));
    } else if let Some(fixed) = key.as_static() {
        check(el, fixed, cx);
    }
    Ok(Box::new(Smooks { key, plans: Cached::default(), input, output, refused }))
}

/// What a configuration that is there already cannot do is said before a message comes.
fn check(el: &Element, key: &str, cx: &mut BuildCx<'_>) {
    let Some(config) = cx.resource(key) else { return };
    if let Err(reason) = Plan::parse(&config.to_text()) {
        let warning = el.warning(format!("the Smooks configuration '{key}': {reason}"));
        cx.report(warning.hint("CSV readers are there; use <datamapper> or <xslt> for the rest"));
    }
}

fn parse_input(el: &Element, cx: &mut BuildCx<'_>) -> Result<Input, Diagnostic> {
    cx.report_all(el.unknown_attrs(&["type", "expression"]));
    let is_text = match &*el.require_attr("type")? {
        "text" => true,
        "xml" => false,
        other => return Err(el.error(format!("Unexpected type specified as the input: {other}"))),
    };
    Ok(Input { is_text, expression: el.expr("expression")? })
}

fn parse_output(el: &Element, cx: &mut BuildCx<'_>) -> Result<Output, Diagnostic> {
    cx.report_all(el.unknown_attrs(&["type", "expression", "property", "action"]));
    let is_text = match &*el.require_attr("type")? {
        "text" => true,
        "xml" | "java" => false,
        other => return Err(el.error(format!("Unexpected type specified as the output: {other}"))),
    };
    let expression = el.expr("expression")?;
    let action = match el.attr("action").as_deref() {
        Some("child") => Action::Child,
        Some("sibling") => Action::Sibling,
        Some("replace") => Action::Replace,
        // MI: a null pointer at the first message.
        None if expression.is_some() && !is_text => {
            return Err(el.error("<output> with an expression needs the attribute 'action'"));
        }
        None => Action::Replace,
        Some(other) => {
            let error = el.error(format!("Unexpected output action '{other}'"));
            return Err(error.hint("one of replace, child, sibling"));
        }
    };
    let property = el.attr("property").map(|it| it.into_owned());
    Ok(Output { is_text, expression, property, action })
}

impl Mediator for Smooks {
    fn reads_body(&self) -> bool {
        true
    }

    /// MI: `SmooksMediator#mediate`.
    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        if let Some(reason) = self.refused {
            return Err(Fault::new(format!("smooks: {reason}")));
        }
        let key = self.key.eval_string(&cx.message, &*cx.snapshot)?;
        let plan = self.plans.get(&key, &cx.snapshot, |reader| {
            let missing = || Fault::new(format!("Cannot get the input stream from the config key: {key}"));
            let text = reader.text(&key, Layout::Verbatim).ok_or_else(missing)?;
            Plan::parse(&text).map_err(|reason| Fault::new(format!("the Smooks configuration '{key}': {reason}")))
        })?;
        let input = self.input.read(cx)?;
        let result = plan.apply(&input, &cx.artifact.log_prefix).map_err(Fault::new)?;
        let silent = cx.message.properties.get_str("DISABLE_SMOOKS_RESULT_PAYLOAD");
        if !silent.is_some_and(|it| it.eq_ignore_ascii_case("true")) && !result.is_empty() {
            self.output.write(&result, cx)?;
        }
        Ok(Flow::Next)
    }
}

impl Input {
    /// MI: `Input#process`.
    fn read(&self, cx: &Context) -> Result<String, Fault> {
        if let Some(expression) = &self.expression {
            let nodes = expression.eval_nodes(&cx.message, &*cx.snapshot)?;
            let node = nodes.first().copied();
            let node = node.ok_or_else(|| Fault::new("Specified node by xpath cannot be found."))?;
            let envelope = cx.message.body.envelope()?;
            let document = envelope.document();
            return Ok(match document.kind(node) {
                NodeKind::Element => document.to_xml(node),
                _ => document.value(node).into_owned(),
            });
        }
        if let (true, Native::Text(text)) = (self.is_text, cx.message.body.native()?) {
            return Ok(text.to_string());
        }
        let envelope = cx.message.body.envelope()?;
        let payload = envelope.payload().ok_or_else(|| Fault::new("the message has no payload"))?;
        let document = envelope.document();
        Ok(if self.is_text { document.text(payload).into_owned() } else { document.to_xml(payload) })
    }
}

impl Output {
    /// MI: `Output#process`; a text looks for its expression first, XML for its property.
    fn write(&self, result: &str, cx: &mut Context) -> Result<(), Fault> {
        if self.is_text {
            if let Some(expression) = &self.expression {
                let (document, target) = target(expression, cx)?;
                let holder = if document.is_element(target) { Some(target) } else { document.parent(target) };
                if let Some(holder) = holder.filter(|it| document.is_element(*it)) {
                    document.set_text(holder, result);
                }
            } else if let Some(name) = &self.property {
                cx.message.properties.set(name.as_str(), result);
            } else {
                payload::set_native(&mut cx.message, Native::Text(result.into()));
            }
            return Ok(());
        }
        let parsed = xml::parse(result);
        let parsed =
            parsed.map_err(|it| Fault::new(format!("Error creating the  parser form the result of smooks : {it}")))?;
        if let Some(name) = &self.property {
            cx.message.properties.set(name.as_str(), Value::Xml(parsed));
            return Ok(());
        }
        let Some(root) = parsed.nodes.first().copied() else { return Ok(()) };
        match &self.expression {
            None => payload::set_element(&mut cx.message, &parsed.document, root),
            Some(expression) => self.insert(expression, &parsed, root, cx)?,
        }
        Ok(())
    }

    fn insert(&self, expression: &Expr, parsed: &XmlValue, root: NodeId, cx: &mut Context) -> Result<(), Fault> {
        let (document, target) = target(expression, cx)?;
        let element = document.import(&parsed.document, root);
        if !document.is_element(target) {
            // An element takes the place of a text, behind what else the parent holds.
            if let Some(parent) = document.parent(target) {
                document.detach(target);
                document.append_child(parent, element);
            }
            return Ok(());
        }
        match self.action {
            Action::Replace => document.replace(target, element),
            Action::Child => document.append_child(target, element),
            Action::Sibling => document.insert_after(target, element),
        }
        Ok(())
    }
}

/// The first node that an expression selects in the payload: an element or a text.
fn target<'a>(expression: &Expr, cx: &'a mut Context) -> Result<(&'a mut Document, NodeId), Fault> {
    let found = expression.eval_nodes(&cx.message, &*cx.snapshot)?.first().copied();
    let document = cx.message.body.envelope_mut()?.document_mut();
    match found {
        Some(node) if matches!(document.kind(node), NodeKind::Element | NodeKind::Text) => Ok((document, node)),
        _ => Err(Fault::new("Invalid Target object to be enrich.")),
    }
}

#[cfg(test)]
mod tests {
    use mi_message::{Body, Native};

    use crate::testing::{Flowing, Outcome};

    const CONFIG: &str = "<smooks-resource-list xmlns='http://www.milyn.org/xsd/smooks-1.1.xsd' \
        xmlns:csv='http://www.milyn.org/xsd/smooks/csv-1.1.xsd'>\
        <csv:reader fields='a,$ignore$2,b' separator='|' skipLines='1'/></smooks-resource-list>";

    fn run(inside: &str, text: &str) -> Outcome {
        Flowing::of(&format!("<smooks config-key='c'>{inside}</smooks>"))
            .local_entry("c", CONFIG)
            .with(|message| message.body = Body::from_native(Native::Text(text.into())))
            .run()
    }

    #[test]
    fn text_becomes_xml() {
        let outcome = run("<input type='text'/><output type='xml'/>", "head\n1|x|y|<2>\n3|x|y|4\n");
        assert_eq!(outcome.fault(), None);
        let expected = "<csv-set><csv-record number=\"1\"><a>1</a><b>&lt;2&gt;</b></csv-record>\
            <csv-record number=\"2\"><a>3</a><b>4</b></csv-record></csv-set>";
        assert_eq!(outcome.payload_xml(), expected);
        let outcome = run("<input type='text'/><output type='xml' property='p'/>", "head\n1|x|y|2");
        let property = "<csv-set><csv-record number=\"1\"><a>1</a><b>2</b></csv-record></csv-set>";
        assert_eq!(outcome.property("p").as_deref(), Some(property));
        let outcome = run("<input type='text'/><output type='text'/>", "head\n1|x|y|2");
        assert_eq!(outcome.payload_text(), property);
    }

    #[test]
    fn parts_of_the_payload_are_read_and_written() {
        for (action, expected) in [
            ("child", "<o><i>h&#xa;1|||2</i><t>x<R/></t></o>"),
            ("sibling", "<o><i>h&#xa;1|||2</i><t>x</t><R/></o>"),
            ("replace", "<o><i>h&#xa;1|||2</i><R/></o>"),
        ] {
            let inside = format!(
                "<input type='text' expression='//i/text()'/><output type='xml' expression='//t' action='{action}'/>"
            );
            let outcome = Flowing::of(&format!("<smooks config-key='c'>{inside}</smooks>"))
                .local_entry("c", CONFIG)
                .xml("<o><i>h\n1|||2</i><t>x</t></o>")
                .run();
            assert_eq!(outcome.fault(), None);
            let result = "<csv-set><csv-record number=\"1\"><a>1</a><b>2</b></csv-record></csv-set>";
            assert_eq!(outcome.payload_xml(), expected.replace("&#xa;", "\n").replace("<R/>", result), "{action}");
        }
    }

    #[test]
    fn what_is_not_there_is_said_at_deployment_and_faults() {
        for (inside, config, part) in [
            ("<output type='java'/>", CONFIG, "objects of Java"),
            (
                "",
                "<smooks-resource-list><r xmlns='http://www.milyn.org/xsd/smooks/edi-1.1.xsd'/></smooks-resource-list>",
                "EDI",
            ),
        ] {
            let flowing = || {
                Flowing::of(&format!("<smooks config-key='c'>{inside}</smooks>")).local_entry("c", config).xml("<a/>")
            };
            let warnings = flowing().warnings();
            assert!(warnings.iter().any(|it| it.contains(part)), "{warnings:?}");
            let fault = flowing().run().fault();
            assert!(fault.as_ref().is_some_and(|it| it.contains(part)), "{fault:?}");
        }
        assert!(Flowing::error_of("<smooks/>").contains("Configuration key is required"));
        assert!(Flowing::error_of("<smooks config-key='c'><input type='x'/></smooks>").contains("Unexpected type"));
    }
}
