//! `<statement>` of the mediators on databases: SQL, its parameters, and where the columns of the first row go.

use std::sync::Arc;

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_expr::Expr;

use crate::error::SqlError;
use crate::value::{SqlType, SqlValue};

/// MI: `Statement`.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) sql: Arc<str>,
    parameters: Vec<Parameter>,
    pub(super) results: Vec<ResultProperty>,
}

#[derive(Debug)]
struct Parameter {
    value: ParameterValue,
    kind: SqlType,
}

#[derive(Debug)]
enum ParameterValue {
    Text(String),
    Expression(Expr),
}

/// A property of the message that takes a column.
#[derive(Debug)]
pub(super) struct ResultProperty {
    pub(super) property: Arc<str>,
    pub(super) column: Column,
}

/// A column by its number, from 1, or by its name.
#[derive(Debug)]
pub(super) enum Column {
    Number(usize),
    Name(String),
}

impl Statement {
    /// All statements of a mediator. MI: `AbstractDBMediatorFactory#processStatements`.
    pub(super) fn parse_all(el: &Element, cx: &mut BuildCx<'_>) -> Result<Vec<Self>, Diagnostic> {
        el.children_named("statement").map(|statement| Self::parse(&statement, cx)).collect()
    }

    fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Self, Diagnostic> {
        let sql = el.child("sql").ok_or_else(|| el.error("Unable to read configuration value for : sql"))?;
        cx.report_all(el.unknown_children(&["sql", "parameter", "result"]));
        let mut parameters = Vec::new();
        for parameter in el.children_named("parameter") {
            parameters.extend(Parameter::parse(&parameter, cx)?);
        }
        let mut results: Vec<ResultProperty> = Vec::new();
        for result in el.children_named("result") {
            let result = ResultProperty::parse(&result, cx)?;
            // The last one of a name counts.
            results.retain(|it| it.property != result.property);
            results.push(result);
        }
        Ok(Self { sql: sql.text().trim().into(), parameters, results })
    }

    pub(super) fn reads_body(&self) -> bool {
        self.parameters.iter().any(|it| matches!(&it.value, ParameterValue::Expression(expr) if expr.reads_body()))
    }

    /// The values of the parameters for a message.
    pub(super) fn values(&self, cx: &Context) -> Result<Vec<SqlValue>, String> {
        self.parameters.iter().map(|parameter| parameter.value(cx)).collect()
    }
}

impl Parameter {
    /// `None` for one without a value, which MI leaves out.
    fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Option<Self>, Diagnostic> {
        cx.report_all(el.unknown_attrs(&["value", "expression", "type"]));
        let value = match (el.attr("value"), el.expr("expression")?) {
            (Some(value), _) => ParameterValue::Text(value.into_owned()),
            (None, Some(expr)) => ParameterValue::Expression(expr),
            (None, None) => {
                cx.report(el.warning("a <parameter> without 'value' and 'expression' is left out"));
                return Ok(None);
            }
        };
        let name = el.attr("type");
        let Some(kind) = name.as_deref().and_then(SqlType::find) else {
            let error = el.error(format!("Unknown or unsupported JDBC type : {}", name.as_deref().unwrap_or("null")));
            let names = SqlType::NAMES.map(|(name, _)| name).join(", ");
            return Err(error.hint(format!("one of {names}")));
        };
        Ok(Some(Self { value, kind }))
    }

    fn value(&self, cx: &Context) -> Result<SqlValue, String> {
        match &self.value {
            ParameterValue::Text(text) => self.kind.read(text),
            ParameterValue::Expression(expr) => {
                let text = expr.eval_string(&cx.message, &*cx.snapshot).map_err(|error| error.to_string())?;
                self.kind.read(&text)
            }
        }
    }
}

impl ResultProperty {
    fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Self, Diagnostic> {
        cx.report_all(el.unknown_attrs(&["name", "column"]));
        let (Some(name), Some(column)) = (el.attr("name"), el.attr("column")) else {
            return Err(el.error("Invalid result element found missing either name and column [DBLookup] mediator"));
        };
        let column = match column.parse() {
            Ok(number) => Column::Number(number),
            Err(_) => Column::Name(column.into_owned()),
        };
        Ok(Self { property: name.as_ref().into(), column })
    }
}

/// What a database answered in place of a result, as a fault with MI's text in front. MI: `AbstractMediator#handleException`.
pub(super) fn failed(cx: &Context, target: &str, text: String, cause: &SqlError) -> Fault {
    let state = cause.state.as_ref().map_or(String::new(), |state| format!(" ({state})"));
    log::error!(target: target, "{}{text} : {cause}{state}", cx.artifact.log_prefix);
    let mut fault = Fault::new(text);
    fault.detail = format!("{}\nCaused by: java.sql.SQLException: {cause}{state}", fault.detail);
    fault
}
