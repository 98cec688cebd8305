//! `<dblookup>` reads a row of a database into properties of the message.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Effect, Flow, Mediator};
use mi_engine::spec::MediatorSpec;
use mi_message::Value;
use tokio::time::Instant;

use super::connection::{ConnectionSource, deadline};
use super::statement::{Column, Statement, failed};
use super::transaction::{Asks, Transaction};
use crate::backend::Rows;
use crate::error::SqlError;
use crate::pool::Lease;
use crate::value::SqlValue;

pub(super) const SPEC: MediatorSpec =
    MediatorSpec::new("dblookup", parse).attributes(&[]).children(&["connection", "statement"]);

const TARGET: &str = "DBLookupMediator";

/// MI: `DBLookupMediator`.
#[derive(Debug)]
struct DbLookup(Arc<Parsed>);

#[derive(Debug)]
struct Parsed {
    connection: ConnectionSource,
    statements: Vec<Statement>,
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let connection = ConnectionSource::parse(el, cx)?;
    let statements = Statement::parse_all(el, cx)?;
    Ok(Box::new(DbLookup(Arc::new(Parsed { connection, statements }))))
}

impl Mediator for DbLookup {
    fn reads_body(&self) -> bool {
        self.0.statements.iter().any(Statement::reads_body)
    }

    fn mediate(&self, _cx: &mut Context) -> Result<Flow, Fault> {
        Ok(Flow::wait(Lookup(self.0.clone())))
    }
}

struct Lookup(Arc<Parsed>);

impl Effect for Lookup {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move {
            for statement in &self.0.statements {
                self.run(statement, cx).await?;
            }
            Ok(Flow::Next)
        })
    }
}

impl Lookup {
    /// Parameters may hold what the statement before has found.
    async fn run(&self, statement: &Statement, cx: &mut Context) -> Result<(), Fault> {
        let (sql, name) = (&statement.sql, &self.0.connection.name);
        let unusable = |cx: &Context, why: String| {
            let text = format!("Error executing statement : {sql} against DataSource : {name}");
            failed(cx, TARGET, text, &SqlError::statement(why))
        };
        let pool = self.0.connection.pool(cx).map_err(|why| unusable(cx, why))?;
        let values = statement.values(cx).map_err(|why| unusable(cx, why))?;
        let until = deadline(cx);
        let rows = if Transaction::is_joined(cx, Asks::Nothing) {
            let mut transaction = cx.shared.remove::<Transaction>().unwrap_or_default();
            let rows = match transaction.lease(&pool, until).await {
                Ok(lease) => lease.query(sql, values, 1, until).await,
                Err(error) => Err(error),
            };
            cx.shared.insert(transaction);
            rows
        } else {
            match pool.lease(until).await {
                Ok(mut lease) => first_row(&mut lease, sql, values, until).await,
                Err(error) => Err(error),
            }
        };
        rows.and_then(|rows| set_properties(&rows, statement, cx)).map_err(|error| {
            let text = format!("SQL Exception occurred while executing statement : {sql} against DataSource : {name}");
            failed(cx, TARGET, text, &error)
        })
    }
}

/// Where statements are not committed by themselves, what a query changed is undone when its connection goes back.
async fn first_row(lease: &mut Lease, sql: &Arc<str>, values: Vec<SqlValue>, until: Instant) -> Result<Rows, SqlError> {
    if lease.pool().config().auto_commit {
        return lease.query(sql, values, 1, until).await;
    }
    lease.begin(until).await?;
    let rows = lease.query(sql, values, 1, until).await;
    lease.rollback(until).await?;
    rows
}

/// Without a row, and for columns that are null, properties stay as they were.
fn set_properties(rows: &Rows, statement: &Statement, cx: &mut Context) -> Result<(), SqlError> {
    let Some(row) = rows.rows.first() else { return Ok(()) };
    for result in &statement.results {
        let at = match &result.column {
            Column::Number(number) => number.checked_sub(1).filter(|at| *at < row.len()),
            Column::Name(name) => rows.column(name),
        };
        let Some(value) = at.and_then(|at| row.get(at)) else {
            let columns = rows.columns.join(", ");
            return Err(SqlError::statement(format!("the result has no column {:?}, only {columns}", result.column)));
        };
        if let Some(text) = value.to_text() {
            cx.message.properties.set(result.property.clone(), Value::from(text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    const TABLE: &str = "CREATE TABLE company(name varchar(10) PRIMARY KEY, price double, listed boolean, note varchar(9));\
        INSERT INTO company VALUES('WSO2', 200.0, 1, NULL), ('IBM', 7, 0, 'x')";

    fn lookup(statements: &str) -> String {
        format!(
            "<dblookup><connection><pool><driver>org.h2.Driver</driver><url>URL</url><user>sa</user>\
             <password/></pool></connection>{statements}</dblookup>"
        )
    }

    fn statement(sql: &str, rest: &str) -> String {
        lookup(&format!("<statement><sql>{sql}</sql>{rest}</statement>"))
    }

    fn bench() -> Bench {
        Bench::with(TABLE)
    }

    #[test]
    fn columns_become_properties() {
        let by_name = "<parameter value='WSO2' type='VARCHAR'/><result name='p' column='PRICE'/>\
            <result name='l' column='3'/><result name='n' column='note'/>";
        let ran = bench().property("n", "kept").run(&statement("select * from company where name = ?", by_name));
        assert_eq!(ran.fault(), None);
        assert_eq!((ran.property("p"), ran.property("l")), (Some("200.0".into()), Some("true".into())));
        assert_eq!(ran.property("n").as_deref(), Some("kept"));
    }

    #[test]
    fn a_statement_sees_what_the_one_before_found() {
        let statements = "<statement><sql>select name from company where price &lt; 100</sql><result name='who' column='1'/></statement>\
            <statement><sql>select note from company where name = ?</sql>\
            <parameter expression=\"get-property('who')\" type='VARCHAR'/><result name='note' column='note'/></statement>";
        assert_eq!(bench().run(&lookup(statements)).property("note").as_deref(), Some("x"));
    }

    #[test]
    fn without_a_row_nothing_changes() {
        let rest = "<parameter value='SUN' type='VARCHAR'/><result name='p' column='price'/>";
        let ran = bench().run(&statement("select * from company where name = ?", rest));
        assert_eq!((ran.fault(), ran.property("p")), (None, None));
    }

    #[test]
    fn failures_are_faults_with_the_text_of_mi() {
        for (sql, rest, expected, detail) in [
            (
                "select * from nobody",
                "",
                "SQL Exception occurred while executing statement : select * from nobody ",
                "no such table",
            ),
            (
                "delete from company",
                "",
                "SQL Exception occurred while executing statement : delete from company ",
                "gives no rows",
            ),
            (
                "select 1",
                "<result name='a' column='b'/>",
                "SQL Exception occurred while executing statement : select 1 ",
                "no column",
            ),
            (
                "select ?",
                "<parameter value='x' type='INTEGER'/>",
                "Error executing statement : select ? ",
                "'x' is no INTEGER",
            ),
            (
                "select ?",
                "",
                "SQL Exception occurred while executing statement : select ? ",
                "more parameters than the 0",
            ),
        ] {
            let bench = bench();
            let ran = bench.run(&statement(sql, rest));
            assert_eq!(ran.fault(), Some(format!("{expected}against DataSource : {}", bench.url)));
            assert!(
                ran.property("ERROR_DETAIL").is_some_and(|it| it.contains(detail)),
                "{sql}: {:?}",
                ran.property("ERROR_DETAIL")
            );
        }
        let named = "<dblookup><connection><pool><dsName>none</dsName></pool></connection><statement><sql>select 1</sql></statement></dblookup>";
        assert_eq!(
            bench().run(named).fault().as_deref(),
            Some("Error executing statement : select 1 against DataSource : none")
        );
    }

    #[test]
    fn what_cannot_be_deployed() {
        for (mediator, expected) in [
            ("<dblookup/>".to_owned(), "The DataSource connection information must be specified"),
            (statement("select ?", "<parameter value='1' type='INT'/>"), "Unknown or unsupported JDBC type : INT"),
            (statement("select 1", "<result name='a'/>"), "missing either name and column"),
            (lookup("<statement/>"), "Unable to read configuration value for : sql"),
        ] {
            assert!(bench().errors(&mediator).contains(expected), "{mediator}");
        }
    }
}
