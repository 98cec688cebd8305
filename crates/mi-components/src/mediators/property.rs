//! `<property>` sets or removes a property of any scope, a transport header, or a switch of the transport.

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;
use mi_expr::{Dynamic, Expr};
use mi_message::{Value, XmlValue};

use crate::typed::{self, DataType, Origin};
use crate::{payload, xml};
use mi_expr::java::FullMatch;

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("property", parse).attributes(&[
    "name",
    "value",
    "expression",
    "scope",
    "action",
    "type",
    "pattern",
    "group",
    "metadata",
]);

#[derive(Debug)]
struct Property {
    name: Dynamic,
    action: Action,
    scope: Scope,
}

#[derive(Debug)]
enum Action {
    Set {
        value: Source,
        /// What part of a text value is taken; nothing fits: the empty text.
        part: Option<(FullMatch, usize)>,
    },
    Remove,
}

#[derive(Debug)]
enum Source {
    Constant(Value),
    Element(XmlValue),
    Expression {
        expr: Expr,
        data_type: Option<DataType>,
    },
    /// An expression with a type that does not exist: a fault for every message.
    UnknownType(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Default,
    Axis2,
    Axis2Client,
    Transport,
    Operation,
    Registry,
    System,
    Trace,
    Analytics,
}

const SCOPES: &[(&str, Scope)] = &[
    ("default", Scope::Default),
    ("axis2", Scope::Axis2),
    ("axis2-client", Scope::Axis2Client),
    ("transport", Scope::Transport),
    ("operation", Scope::Operation),
    ("registry", Scope::Registry),
    ("system", Scope::System),
    ("trace", Scope::Trace),
    ("analytics", Scope::Analytics),
];

/// MI: `PropertyMediatorFactory`.
fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    el.require_attr("name")?;
    let name = el.dynamic("name")?.ok_or_else(|| el.error("<property> needs the attribute 'name'"))?;
    let scope = parse_scope(el)?;
    let removes = el.attr("action").as_deref() == Some("remove");
    let source = parse_source(el, cx)?;
    let part = parse_part(el)?;
    let action = match source {
        _ if removes => Action::Remove,
        Some(value) => Action::Set { value, part },
        None => {
            let text = "a <property> that is set needs the attribute 'value' or 'expression', or a child element";
            return Err(el.error(text));
        }
    };
    Ok(Box::new(Property { name, action, scope }))
}

fn parse_scope(el: &Element) -> Result<Scope, Diagnostic> {
    let Some(name) = el.attr("scope") else { return Ok(Scope::Default) };
    SCOPES.iter().find(|(known, _)| *known == name).map(|(_, scope)| *scope).ok_or_else(|| {
        let known: Vec<&str> = SCOPES.iter().map(|(known, _)| *known).collect();
        el.error(format!("Unsupported scope '{name}' of a <property>")).hint(format!("one of {}", known.join(", ")))
    })
}

fn parse_source(el: &Element, cx: &mut BuildCx<'_>) -> Result<Option<Source>, Diagnostic> {
    let type_name = el.attr("type");
    let data_type = type_name.as_deref().map(|name| DataType::find(name, DataType::PROPERTY));
    if let Some(text) = el.attr("value") {
        let value = match data_type {
            None => Value::from(&*text),
            Some(None) => return Err(el.error(unknown_type(type_name.as_deref().unwrap_or_default()))),
            Some(Some(data_type)) => {
                typed::convert(&text, data_type, Origin::Literal).map_err(|error| el.error(error))?
            }
        };
        return Ok(Some(Source::Constant(value)));
    }
    if let Some(child) = el.first_child() {
        return Ok(Some(Source::Element(xml::element_value(&child))));
    }
    let Some(expr) = el.expr("expression")? else { return Ok(None) };
    if data_type == Some(None) {
        let text = unknown_type(type_name.as_deref().unwrap_or_default());
        cx.report(el.warning(text.as_str()));
        return Ok(Some(Source::UnknownType(text)));
    }
    Ok(Some(Source::Expression { expr, data_type: data_type.flatten() }))
}

fn unknown_type(name: &str) -> String {
    format!(
        "Unknown type : {name} for the property mediator or the property value cannot be converted into the specified type."
    )
}

fn parse_part(el: &Element) -> Result<Option<(FullMatch, usize)>, Diagnostic> {
    let group = el.int_attr("group")?;
    match (el.full_regex("pattern")?, group) {
        (Some(_), Some(group)) if group < 0 => Err(el.error("group can have a positive value only")),
        (Some(pattern), group) => Ok(Some((pattern, group.unwrap_or_default() as usize))),
        (None, Some(_)) => Err(el.error("group is only allowed when a pattern is specified")),
        (None, None) => Ok(None),
    }
}

impl Mediator for Property {
    fn reads_body(&self) -> bool {
        let name = self.name.as_static();
        let switch = match self.scope {
            Scope::Axis2 => matches!(name, Some("messageType" | "DISABLE_CHUNKING" | "FORCE_HTTP_1.0")),
            Scope::Transport => name == Some("Content-Encoding"),
            _ => false,
        };
        let value = match &self.action {
            Action::Set { value: Source::Expression { expr, .. }, .. } => expr.reads_body(),
            _ => false,
        };
        switch || value || self.name.reads_body()
    }

    /// It never ends the flow and enters nothing, which `propertyGroup` relies on.
    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let name = self.name.eval_string(&cx.message, &*cx.snapshot)?;
        if name.is_empty() {
            log::warn!(target: "PropertyMediator", "{}The evaluated name of a property is empty", cx.artifact.log_prefix);
        }
        match &self.action {
            Action::Remove => self.remove(cx, &name),
            Action::Set { value, part } => {
                let value = match (value.value(cx)?, part) {
                    (Value::String(text), Some((pattern, group))) => Value::from(taken(&text, pattern, *group)),
                    (value, _) => value,
                };
                self.set(cx, &name, value)?;
            }
        }
        Ok(Flow::Next)
    }
}

impl Property {
    fn set(&self, cx: &mut Context, name: &str, value: Value) -> Result<(), Fault> {
        let message = &mut cx.message;
        match self.scope {
            // MI: `Axis2MessageContext#setProperty` ignores null, so the old value stays.
            Scope::Default if value.is_null() => {}
            Scope::Default => message.properties.set(name, value),
            Scope::Trace => message.trace.set(name, value),
            Scope::Axis2 if name == "messageType" => payload::set_message_type(message, &value),
            Scope::Axis2 => {
                if name == "SET_ROLLBACK_ONLY" {
                    message.operation.set(name, value.clone());
                }
                message.axis2.set_or_remove(name, Some(value));
            }
            Scope::Axis2Client => message.axis2_client.set_or_remove(name, Some(value)),
            Scope::Operation => message.operation.set_or_remove(name, Some(value)),
            Scope::Transport => message.headers.set(name, header_text(&value)),
            Scope::Registry => write_registry(cx, name, &value)?,
            Scope::System => {
                if !value.is_null() {
                    cx.snapshot.services.environment.set_system_property(name, &value.to_text());
                }
            }
            // Metadata for MI's analytics, which has no reader here.
            Scope::Analytics => {}
        }
        Ok(())
    }

    fn remove(&self, cx: &mut Context, name: &str) {
        let message = &mut cx.message;
        let properties = match self.scope {
            Scope::Default => &mut message.properties,
            // The property that holds all headers in MI.
            Scope::Axis2 if name == "TRANSPORT_HEADERS" => {
                message.headers.clear();
                return;
            }
            Scope::Axis2 => &mut message.axis2,
            Scope::Axis2Client => &mut message.axis2_client,
            Scope::Operation => &mut message.operation,
            Scope::Transport => {
                message.headers.remove(name);
                return;
            }
            Scope::Registry | Scope::System | Scope::Trace | Scope::Analytics => return,
        };
        properties.remove(name);
    }
}

/// A header is text: of an element, what stands in it. MI keeps the element, whose text `$trp:` gives.
fn header_text(value: &Value) -> String {
    match value {
        Value::Xml(xml) => xml.nodes.first().map(|it| xml.document.text(*it).into_owned()).unwrap_or_default(),
        other => other.to_text().into_owned(),
    }
}

/// `key` or `key@property`.
fn write_registry(cx: &Context, name: &str, value: &Value) -> Result<(), Fault> {
    let (key, property) = match name.split_once('@') {
        Some((_, property)) if property.contains('@') => return Ok(()),
        Some((key, property)) => (key, Some(property)),
        None => (name, None),
    };
    let written = cx.snapshot.services.registry.write(key, property, &value.to_text());
    written.map_err(|error| Fault::new(format!("The registry resource {key} cannot be written: {error}")))
}

fn name_of(data_type: DataType) -> &'static str {
    DataType::PROPERTY.iter().find(|(_, it)| *it == data_type).map_or("", |(name, _)| name)
}

/// What becomes of null: numbers and JSON cannot be made of it. MI: `PropertyMediator#convertValue`.
fn of_null(data_type: Option<DataType>) -> Result<Value, Fault> {
    match data_type {
        None | Some(DataType::String | DataType::Xml) => Ok(Value::Null),
        Some(DataType::Boolean) => Ok(Value::Bool(false)),
        Some(DataType::Long) => Err(Fault::new(unknown_type("LONG"))),
        Some(_) => Err(Fault::new("Runtime error occurred while mediating the message")),
    }
}

fn taken<'t>(text: &'t str, pattern: &FullMatch, group: usize) -> &'t str {
    if group > pattern.group_count() {
        return "";
    }
    pattern.group(text, group).unwrap_or_default()
}

impl Source {
    fn value(&self, cx: &Context) -> Result<Value, Fault> {
        match self {
            Self::Constant(value) => Ok(value.clone()),
            Self::Element(element) => Ok(Value::Xml(element.clone())),
            Self::UnknownType(text) => Err(Fault::new(text.as_str())),
            Self::Expression { expr, data_type } => {
                // An XPath that gives null (a property that is not set) is not the same as one that gives no text.
                let Some(text) = expr.eval_text(&cx.message, &*cx.snapshot)? else { return of_null(*data_type) };
                let Some(data_type) = data_type else { return Ok(Value::from(text)) };
                typed::convert(&text, *data_type, Origin::Expression).map_err(|error| {
                    log::error!(target: "PropertyMediator", "{}{error}", cx.artifact.log_prefix);
                    let words = match data_type {
                        DataType::Xml => {
                            format!(
                                "Unable to convert a string to OM Node as the string is malformed , String : {text}"
                            )
                        }
                        other => unknown_type(name_of(*other)),
                    };
                    Fault { detail: error, ..Fault::new(words) }
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mi_message::Properties;

    use crate::testing::{Flowing, Outcome};

    fn shown(properties: &Properties) -> String {
        let all: Vec<String> = properties.iter().map(|(name, value)| format!("{name}={}", value.to_text())).collect();
        all.join(" ")
    }

    #[track_caller]
    fn check(xml: &str, show: fn(&Outcome) -> String, expected: &str) {
        let outcome = Flowing::of(xml).xml("<x><y>12.5</y></x>").run();
        assert_eq!(outcome.fault(), None);
        assert_eq!(show(&outcome), expected);
    }

    #[test]
    fn scopes() {
        check("<property name='a' value='1'/>", |it| shown(&it.message().properties), "a=1");
        check("<property name='a' expression='//y' scope='axis2'/>", |it| shown(&it.message().axis2), "a=12.5");
        check("<property name='a' value='1' scope='axis2-client'/>", |it| shown(&it.message().axis2_client), "a=1");
        check("<property name='a' value='1' scope='operation'/>", |it| shown(&it.message().operation), "a=1");
        check(
            "<property name='X-A' value='1' type='INTEGER' scope='transport'/>",
            |it| it.message().headers.get("x-a").unwrap_or("none").to_owned(),
            "1",
        );
        check(
            "<property name='X-A' type='OM' scope='transport'><a>x<b>2</b></a></property>",
            |it| it.message().headers.get("x-a").unwrap_or("none").to_owned(),
            "x",
        );
        check(
            "<property name='messageType' value='application/json' scope='axis2'/>",
            |it| format!("{} {}", shown(&it.message().axis2), it.message().headers.get("Content-Type").unwrap_or("")),
            "messageType=application/json ContentType=application/json application/json",
        );
    }

    #[test]
    fn types_and_patterns() {
        let all = |it: &Outcome| shown(&it.message().properties);
        check("<property name='a' expression='//y' type='INTEGER'/>", all, "a=12");
        check("<property name='a'><z>1</z></property>", all, "a=<z>1</z>");
        check("<property name='a' value='ab-12' pattern='(\\w+)-(\\d+)' group='2'/>", all, "a=12");
        check("<property name='a' value='ab-12' pattern='\\d+'/>", all, "a=");
        check("<property name='a' value='ab' pattern='ab' group='3'/>", all, "a=");
    }

    #[test]
    fn null_keeps_the_old_value_of_the_default_scope() {
        let all = |it: &Outcome| shown(&it.message().properties);
        check(
            "<rules><property name='a' value='1'/><property name='a' expression=\"get-property('b')\"/></rules>",
            all,
            "a=1",
        );
        check("<rules><property name='a' value='1'/><property name='a' action='remove'/></rules>", all, "");
    }

    #[test]
    fn the_server_is_known_by_name_and_address() {
        check(
            "<property name='a' expression=\"get-property('SERVER_IP')\"/>",
            |it| shown(&it.message().properties),
            "a=127.0.0.1",
        );
        check(
            "<property name='a' expression=\"get-property('SERVER_HOST')\"/>",
            |it| shown(&it.message().properties),
            "a=localhost",
        );
    }

    #[test]
    fn dynamic_names() {
        check("<property name='{//y}' value='1'/>", |it| shown(&it.message().properties), "12.5=1");
    }

    #[test]
    fn a_value_that_does_not_fit_is_a_fault() {
        let outcome = Flowing::of("<property name='a' expression='//x' type='LONG'/>").xml("<x>b</x>").run();
        assert_eq!(
            outcome.fault().as_deref(),
            Some(
                "Unknown type : LONG for the property mediator or the property value cannot be converted into the specified type."
            )
        );
        assert!(outcome.property("ERROR_DETAIL").is_some_and(|text| text.contains("'b' cannot be converted")));
        let outcome = Flowing::of("<property name='a' expression='//x' type='OM'/>").xml("<x>b</x>").run();
        assert!(outcome.fault().is_some_and(|text| text.ends_with("as the string is malformed , String : b")));
    }

    #[test]
    fn null_with_a_type() {
        let run = |name: &str| {
            let xml = format!("<property name='a' expression=\"get-property('none')\" type='{name}'/>");
            let outcome = Flowing::of(&xml).xml("<x/>").run();
            (outcome.property("a"), outcome.fault())
        };
        assert_eq!(run("BOOLEAN"), (Some("false".to_owned()), None));
        assert_eq!((run("STRING"), run("OM")), ((None, None), (None, None)));
        for name in ["INTEGER", "SHORT", "DOUBLE", "FLOAT", "JSON"] {
            let fault = "Runtime error occurred while mediating the message";
            assert_eq!(run(name), (None, Some(fault.to_owned())), "{name}");
        }
        assert!(run("LONG").1.is_some_and(|text| text.starts_with("Unknown type : LONG")));
    }

    #[test]
    fn wrong_configurations_are_refused() {
        for (xml, part) in [
            ("<property value='1'/>", "needs the attribute 'name'"),
            ("<property name='a'/>", "needs the attribute 'value' or 'expression'"),
            ("<property name='a' value='1' scope='x'/>", "Unsupported scope 'x'"),
            ("<property name='a' value='x' type='LONG'/>", "cannot be converted"),
            ("<property name='a' value='x' type='NUMBER'/>", "Unknown type : NUMBER"),
            ("<property name='a' value='x' group='1'/>", "group is only allowed"),
        ] {
            let error = Flowing::error_of(xml);
            assert!(error.contains(part), "{error}");
        }
    }
}
