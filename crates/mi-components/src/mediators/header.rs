//! `<header>` sets or removes a SOAP header block, a WS-Addressing field, or (scope transport) a transport header.

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;
use mi_expr::Dynamic;
use mi_message::{Addressing, Message, Native, XmlValue};
use mi_xml::NodeId;

use crate::xml;

pub(super) const SPEC: MediatorSpec =
    MediatorSpec::new("header", parse).attributes(&["name", "value", "expression", "scope", "action", "type"]);

#[derive(Debug)]
struct Header {
    target: Target,
    /// `None` removes.
    value: Option<Dynamic>,
}

#[derive(Debug)]
enum Target {
    Transport(String),
    Addressing(Field),
    Block {
        prefix: String,
        namespace: String,
        local: String,
        as_xml: bool,
    },
    /// Child elements of the configuration are the blocks.
    Blocks(Vec<XmlValue>),
}

#[derive(Clone, Copy, Debug)]
enum Field {
    To,
    From,
    Action,
    FaultTo,
    ReplyTo,
    RelatesTo,
}

fn parse(el: &Element, _cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let removes = el.attr("action").as_deref() == Some("remove");
    let target = parse_target(el)?;
    let value = match el.value_or_expression()? {
        _ if removes => None,
        Some(value) => Some(value),
        None if matches!(target, Target::Blocks(_)) => Some(Dynamic::fixed("")),
        None => return Err(el.error("a <header> that is set needs the attribute 'value' or 'expression'")),
    };
    Ok(Box::new(Header { target, value }))
}

fn parse_target(el: &Element) -> Result<Target, Diagnostic> {
    let transport = match el.attr("scope").as_deref() {
        None | Some("default") => false,
        Some("transport") => true,
        Some(other) => {
            let error = el.error(format!("Unsupported scope '{other}' of a <header>"));
            return Err(error.hint("'transport' or 'default'"));
        }
    };
    let Some(name) = el.attr("name") else {
        let blocks: Vec<XmlValue> = el.children().map(|child| xml::element_value(&child)).collect();
        if blocks.is_empty() {
            return Err(el.error("A valid name attribute is required for the header mediator"));
        }
        return Ok(Target::Blocks(blocks));
    };
    if transport {
        return Ok(Target::Transport(name.into_owned()));
    }
    if let Some((prefix, local)) = name.split_once(':') {
        let namespace = el.document().lookup_namespace(el.node(), prefix).filter(|uri| !uri.is_empty());
        let namespace = namespace.ok_or_else(|| {
            el.error(format!("Invalid namespace prefix '{prefix}' in name attribute")).hint("declare it with xmlns")
        })?;
        return Ok(Target::Block {
            prefix: prefix.to_owned(),
            namespace: namespace.to_owned(),
            local: local.to_owned(),
            as_xml: el.attr("type").is_some_and(|it| it.eq_ignore_ascii_case("OM")),
        });
    }
    let field = match &*name {
        "To" => Field::To,
        "From" => Field::From,
        "Action" => Field::Action,
        "FaultTo" => Field::FaultTo,
        "ReplyTo" => Field::ReplyTo,
        "RelatesTo" => Field::RelatesTo,
        other => {
            let error = el.error(format!("Invalid SOAP header: {other} specified at the header mediator."));
            return Err(
                error.hint("SOAP headers need a prefix with a namespace; a transport header needs scope=\"transport\"")
            );
        }
    };
    Ok(Target::Addressing(field))
}

impl Mediator for Header {
    fn reads_body(&self) -> bool {
        match &self.target {
            Target::Transport(_) => self.value.as_ref().is_some_and(Dynamic::reads_body),
            _ => true,
        }
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let value = match &self.value {
            Some(value) => Some(value.eval_string(&cx.message, &*cx.snapshot)?.to_string()),
            None => None,
        };
        match &self.target {
            Target::Transport(name) => match value {
                Some(value) => cx.message.headers.set(name.as_str(), value),
                None => {
                    cx.message.headers.remove(name);
                }
            },
            Target::Addressing(field) => *field.of(&mut cx.message.addressing) = value,
            Target::Block { prefix, namespace, local, as_xml } => match value {
                Some(value) => {
                    let content = if *as_xml {
                        Content::Xml(xml::parse(&value).map_err(|error| {
                            Fault::new(format!(
                                "Unable to convert a string to OM Node as the string is malformed , String : {value} ({error})"
                            ))
                        })?)
                    } else {
                        Content::Text(value)
                    };
                    add_block(&mut cx.message, prefix, namespace, local, &content)?;
                }
                None => remove_blocks(&mut cx.message, namespace, local)?,
            },
            Target::Blocks(blocks) => match value {
                Some(_) => add_copies(&mut cx.message, blocks)?,
                None => {
                    for block in blocks {
                        let Some(root) = block.nodes.first().copied() else { continue };
                        let document = &block.document;
                        remove_blocks(&mut cx.message, document.namespace(root), document.local_name(root))?;
                    }
                }
            },
        }
        Ok(Flow::Next)
    }
}

impl Field {
    fn of(self, addressing: &mut Addressing) -> &mut Option<String> {
        match self {
            Self::To => &mut addressing.to,
            Self::From => &mut addressing.from,
            Self::Action => &mut addressing.action,
            Self::FaultTo => &mut addressing.fault_to,
            Self::ReplyTo => &mut addressing.reply_to,
            Self::RelatesTo => &mut addressing.relates_to,
        }
    }
}

enum Content {
    Text(String),
    Xml(XmlValue),
}

/// JSON, text and bytes keep their form: a block on the envelope around them would never be written.
fn has_no_envelope(message: &Message) -> bool {
    matches!(message.body.native(), Ok(Native::Json(_) | Native::Text(_) | Native::Binary(_)))
}

fn add_block(
    message: &mut Message,
    prefix: &str,
    namespace: &str,
    local: &str,
    content: &Content,
) -> Result<(), Fault> {
    if has_no_envelope(message) {
        return Ok(());
    }
    let envelope = message.body.envelope_mut()?;
    let header = envelope.header_or_create();
    let document = envelope.document_mut();
    let block = document.create_element(prefix, local, namespace);
    document.append_child(header, block);
    match content {
        Content::Text(text) => document.set_text(block, text),
        Content::Xml(xml) => {
            for node in &xml.nodes {
                let copy = document.import(&xml.document, *node);
                document.append_child(block, copy);
            }
        }
    }
    Ok(())
}

fn add_copies(message: &mut Message, blocks: &[XmlValue]) -> Result<(), Fault> {
    if has_no_envelope(message) {
        return Ok(());
    }
    let envelope = message.body.envelope_mut()?;
    let header = envelope.header_or_create();
    let document = envelope.document_mut();
    for block in blocks {
        for node in &block.nodes {
            let copy = document.import(&block.document, *node);
            document.append_child(header, copy);
        }
    }
    Ok(())
}

fn remove_blocks(message: &mut Message, namespace: &str, local: &str) -> Result<(), Fault> {
    let Ok(Native::Xml(envelope)) = message.body.native() else { return Ok(()) };
    let Some(header) = envelope.header() else { return Ok(()) };
    let document = envelope.document();
    let blocks: Vec<NodeId> = document
        .child_elements(header)
        .filter(|block| document.local_name(*block) == local && document.namespace(*block) == namespace)
        .collect();
    if blocks.is_empty() {
        return Ok(());
    }
    let document = message.body.envelope_mut()?.document_mut();
    for block in blocks {
        document.detach(block);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::{Flowing, Outcome};

    #[track_caller]
    fn check(xml: &str, show: fn(&Outcome) -> String, expected: &str) {
        let outcome = Flowing::of(xml).xml("<x>1</x>").run();
        assert_eq!(outcome.fault(), None);
        assert_eq!(show(&outcome), expected);
    }

    fn header(outcome: &Outcome) -> String {
        let envelope = outcome.message().body.envelope().expect("XML");
        envelope.header().map_or(String::new(), |it| {
            envelope.document().child_elements(it).map(|block| envelope.document().to_xml(block)).collect()
        })
    }

    #[test]
    fn fields() {
        check(
            "<header name='To' value='http://a'/>",
            |it| it.message().addressing.to.clone().unwrap_or_default(),
            "http://a",
        );
        check(
            "<header name='Action' expression='//x'/>",
            |it| it.message().addressing.action.clone().unwrap_or_default(),
            "1",
        );
        check(
            "<rules><header name='ReplyTo' value='a'/><header name='ReplyTo' action='remove'/></rules>",
            |it| format!("{:?}", it.message().addressing.reply_to),
            "None",
        );
    }

    #[test]
    fn transport_headers() {
        let shown = |it: &Outcome| it.message().headers.get("x-a").unwrap_or("none").to_owned();
        check("<header name='X-A' value='1' scope='transport'/>", shown, "1");
        check(
            "<rules><header name='X-A' value='1' scope='transport'/><header name='x-a' scope='transport' action='remove'/></rules>",
            shown,
            "none",
        );
    }

    #[test]
    fn blocks() {
        check("<header xmlns:p='urn:p' name='p:a' value='1'/>", header, "<p:a xmlns:p=\"urn:p\">1</p:a>");
        check(
            "<header xmlns:p='urn:p' name='p:a' type='OM' value='&lt;b/>'/>",
            header,
            "<p:a xmlns:p=\"urn:p\"><b/></p:a>",
        );
        check("<header><p:b xmlns:p='urn:p'>2</p:b></header>", header, "<p:b xmlns:p='urn:p'>2</p:b>");
        check(
            "<rules xmlns:p='urn:p'><header name='p:a' value='1'/><header name='p:b' value='2'/><header name='p:a' action='remove'/></rules>",
            header,
            "<p:b xmlns:p=\"urn:p\">2</p:b>",
        );
    }

    #[test]
    fn json_stays_json() {
        let outcome = Flowing::of("<header xmlns:p='urn:p' name='p:a' value='1'/>").json("{}").run();
        assert!(outcome.message().body.is_json());
    }

    #[test]
    fn wrong_configurations_are_refused() {
        for (xml, part) in [
            ("<header value='1'/>", "A valid name attribute is required"),
            ("<header name='a' value='1'/>", "Invalid SOAP header: a"),
            ("<header name='p:a' value='1'/>", "Invalid namespace prefix 'p'"),
            ("<header name='To'/>", "needs the attribute 'value' or 'expression'"),
            ("<header name='To' value='a' scope='axis2'/>", "Unsupported scope 'axis2'"),
        ] {
            let error = Flowing::error_of(xml);
            assert!(error.contains(part), "{error}");
        }
    }
}
