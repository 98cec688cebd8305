//! `<variable>` sets or removes a typed variable of the flow (`vars.name`).

use std::sync::Arc;

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;
use mi_expr::Expr;
use mi_message::Value;

use crate::typed::{self, DataType, Origin};
use crate::xml;

pub(super) const SPEC: MediatorSpec =
    MediatorSpec::new("variable", parse).attributes(&["name", "value", "expression", "type", "action"]).children(&[]);

#[derive(Debug)]
struct Variable {
    name: Arc<str>,
    action: Action,
}

#[derive(Debug)]
enum Action {
    Set(Value),
    Evaluate(Expr, Option<DataType>),
    Remove,
}

fn parse(el: &Element, _cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let name: Arc<str> = el.require_attr("name")?.into();
    let data_type = match el.attr("type") {
        None => None,
        Some(type_name) => match DataType::find(&type_name, DataType::VARIABLE) {
            Some(data_type) => Some(data_type),
            None => return Err(el.error(format!("Unknown type : {type_name} for the variable mediator"))),
        },
    };
    let removes = el.attr("action").as_deref() == Some("remove");
    let action = match (el.attr("value"), el.expr("expression")?) {
        _ if removes => Action::Remove,
        (Some(text), _) => {
            let data_type = data_type.unwrap_or(DataType::String);
            Action::Set(typed::convert(&text, data_type, Origin::Literal).map_err(|error| el.error(error))?)
        }
        (None, Some(expr)) => Action::Evaluate(expr, data_type),
        (None, None) => {
            return Err(el.error("a <variable> that is set needs the attribute 'value' or 'expression'"));
        }
    };
    Ok(Box::new(Variable { name, action }))
}

impl Mediator for Variable {
    fn reads_body(&self) -> bool {
        matches!(&self.action, Action::Evaluate(expr, _) if expr.reads_body())
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let value = match &self.action {
            Action::Set(value) => value.clone(),
            Action::Evaluate(expr, data_type) => evaluate(expr, *data_type, cx)?,
            Action::Remove => {
                cx.message.variables.remove(&self.name);
                return Ok(Flow::Next);
            }
        };
        // A null is kept out as MI's map has it: the variable then has no value.
        if value.is_null() {
            cx.message.variables.remove(&self.name);
        } else {
            cx.message.variables.set(self.name.clone(), value);
        }
        Ok(Flow::Next)
    }
}

/// MI: `Utils#getResolvedValue`.
pub(super) fn evaluate(expr: &Expr, data_type: Option<DataType>, cx: &Context) -> Result<Value, Fault> {
    match data_type {
        Some(DataType::Xml) => {
            let text = expr.eval_string(&cx.message, &*cx.snapshot)?;
            xml::parse(&text).map(Value::Xml).map_err(|error| {
                Fault::new(format!(
                    "Unable to convert a string to OM Node as the string is malformed , String : {text} ({error})"
                ))
            })
        }
        Some(DataType::String) => Ok(Value::from(expr.eval_string(&cx.message, &*cx.snapshot)?)),
        None => Ok(expr.eval_keeping_json(&cx.message, &*cx.snapshot)?),
        Some(data_type) => {
            let value = expr.eval(&cx.message, &*cx.snapshot)?;
            checked(value, data_type).ok_or_else(|| {
                let source = expr.source().trim_start_matches("${").trim_end_matches('}');
                let text = format!(
                    "Expression '${{{source}}}' result does not match the expected data type '{}'",
                    name_of(data_type)
                );
                log::error!(target: "VariableMediator", "{}{text}", cx.artifact.log_prefix);
                Fault::new(text)
            })
        }
    }
}

fn name_of(data_type: DataType) -> &'static str {
    DataType::VARIABLE.iter().find(|(_, it)| *it == data_type).map_or("", |(name, _)| name)
}

/// The value when it has the type. Numbers that come out of JSON have every type of number in MI, where only computed
/// ones are told apart; here all numbers convert into each other. MI: `Utils#convertExpressionResult`.
fn checked(value: Value, data_type: DataType) -> Option<Value> {
    match data_type {
        DataType::Boolean => matches!(value, Value::Bool(_)).then_some(value),
        DataType::Double => number(&value).map(Value::Double),
        // A fraction is cut.
        DataType::Integer => number(&value).map(|it| Value::Int(it as i32)),
        DataType::Long => match value {
            Value::Long(_) => Some(value),
            other => number(&other).map(|it| Value::Long(it as i64)),
        },
        DataType::Json => match value {
            Value::Json(_) | Value::String(_) => Some(value),
            Value::Bool(_) | Value::Int(_) | Value::Long(_) | Value::Double(_) => {
                Some(Value::from(value.to_text().into_owned()))
            }
            _ => None,
        },
        _ => Some(value),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(it) => Some(f64::from(*it)),
        Value::Long(it) => Some(*it as f64),
        Value::Float(it) => Some(f64::from(*it)),
        Value::Double(it) => Some(*it),
        Value::Json(json) => json.as_f64(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Flowing;

    #[track_caller]
    fn check(attrs: &str, expected: Result<Option<&str>, &str>) {
        let outcome =
            Flowing::of(&format!("<variable name='v' {attrs}/>")).json(r#"{"a":{"b":1},"n":2.5,"t":"x"}"#).run();
        match expected {
            Ok(value) => {
                assert_eq!(outcome.fault(), None);
                assert_eq!(outcome.variable("v").as_deref(), value);
            }
            Err(part) => assert!(outcome.fault().is_some_and(|text| text.contains(part)), "{:?}", outcome.fault()),
        }
    }

    #[test]
    fn values_keep_their_type() {
        check("value='1'", Ok(Some("1")));
        check("value='{}' type='JSON'", Ok(Some("{}")));
        check("expression='${payload.a}'", Ok(Some("{\"b\":1}")));
        check("expression='${payload.n}' type='INTEGER'", Ok(Some("2")));
        check("expression='${payload.n}' type='STRING'", Ok(Some("2.5")));
        check("action='remove'", Ok(None));
    }

    #[test]
    fn a_wrong_type_is_a_fault() {
        check(
            "expression='${payload.t}' type='BOOLEAN'",
            Err("Expression '${payload.t}' result does not match the expected data type 'BOOLEAN'"),
        );
        check("expression='${payload.t}' type='XML'", Err("malformed"));
    }

    #[test]
    fn wrong_configurations_are_refused() {
        for (xml, part) in [
            ("<variable name='a'/>", "needs the attribute 'value' or 'expression'"),
            ("<variable name='a' value='1' type='OM'/>", "Unknown type : OM"),
            ("<variable name='a' value='x' type='INTEGER'/>", "cannot be converted"),
        ] {
            let error = Flowing::error_of(xml);
            assert!(error.contains(part), "{error}");
        }
    }
}
