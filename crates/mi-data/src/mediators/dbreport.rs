//! `<dbreport>` changes rows of a database.

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
use super::statement::{Statement, failed};
use super::transaction::{Asks, Transaction};
use crate::error::SqlError;
use crate::pool::Lease;
use crate::value::SqlValue;

pub(super) const SPEC: MediatorSpec =
    MediatorSpec::new("dbreport", parse).attributes(&["useTransaction"]).children(&["connection", "statement"]);

const TARGET: &str = "DBReportMediator";

/// Holds the number of rows that the last statement changed. The name is MI's.
const CHANGED_ROWS: &str = "DBREPORT_MODIFIED_RAW_COUNT";

/// MI: `DBReportMediator`.
#[derive(Debug)]
struct DbReport(Arc<Parsed>);

#[derive(Debug)]
struct Parsed {
    connection: ConnectionSource,
    statements: Vec<Statement>,
    asks: Asks,
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let connection = ConnectionSource::parse(el, cx)?;
    let statements = Statement::parse_all(el, cx)?;
    let asks = if el.attr("useTransaction").is_some_and(|it| it == "true") { Asks::ToJoin } else { Asks::Nothing };
    Ok(Box::new(DbReport(Arc::new(Parsed { connection, statements, asks }))))
}

impl Mediator for DbReport {
    fn reads_body(&self) -> bool {
        self.0.statements.iter().any(Statement::reads_body)
    }

    fn mediate(&self, _cx: &mut Context) -> Result<Flow, Fault> {
        Ok(Flow::wait(Report(self.0.clone())))
    }
}

struct Report(Arc<Parsed>);

impl Effect for Report {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move {
            for statement in &self.0.statements {
                self.run(statement, cx).await?;
            }
            Ok(Flow::Next)
        })
    }
}

impl Report {
    async fn run(&self, statement: &Statement, cx: &mut Context) -> Result<(), Fault> {
        let (sql, name) = (&statement.sql, &self.0.connection.name);
        let unusable = |cx: &Context, why: String| {
            let text = format!("Error while executing insert statement : {sql} against DataSource : {name}");
            failed(cx, TARGET, text, &SqlError::statement(why))
        };
        let pool = self.0.connection.pool(cx).map_err(|why| unusable(cx, why))?;
        let values = statement.values(cx).map_err(|why| unusable(cx, why))?;
        let until = deadline(cx);
        let changed = if Transaction::is_joined(cx, self.0.asks) {
            let mut transaction = cx.shared.remove::<Transaction>().unwrap_or_default();
            let changed = match transaction.lease(&pool, until).await {
                Ok(lease) => lease.update(sql, values, until).await,
                Err(error) => Err(error),
            };
            cx.shared.insert(transaction);
            changed
        } else if self.0.asks == Asks::ToJoin && pool.config().distributed {
            let text = format!("SQL Error while bind connection to tx : {sql} against DataSource : {name}");
            return Err(failed(cx, TARGET, text, &SqlError::statement("there is no transaction")));
        } else {
            match pool.lease(until).await {
                Ok(mut lease) => change(&mut lease, sql, values, until).await,
                Err(error) => Err(error),
            }
        };
        let changed = changed.map_err(|error| {
            let text = format!("SQL Error while executing insert statement : {sql} against DataSource : {name}");
            failed(cx, TARGET, text, &error)
        })?;
        cx.message.properties.set(CHANGED_ROWS, Value::Int(i32::try_from(changed).unwrap_or(i32::MAX)));
        Ok(())
    }
}

/// Each statement is committed, by the database or here.
async fn change(lease: &mut Lease, sql: &Arc<str>, values: Vec<SqlValue>, until: Instant) -> Result<u64, SqlError> {
    if lease.pool().config().auto_commit {
        return lease.update(sql, values, until).await;
    }
    lease.begin(until).await?;
    match lease.update(sql, values, until).await {
        Ok(count) => lease.commit(until).await.map(|()| count),
        Err(error) => {
            // The first error is the one to tell.
            let _also = lease.rollback(until).await;
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    const TABLE: &str = "CREATE TABLE t(id int PRIMARY KEY, name varchar(10))";

    fn report(properties: &str, statement: &str) -> String {
        format!(
            "<dbreport><connection><pool><driver>org.h2.Driver</driver><url>URL</url><user>sa</user>\
             <password/>{properties}</pool></connection><statement>{statement}</statement></dbreport>"
        )
    }

    #[test]
    fn rows_are_changed_and_counted() {
        let bench = Bench::with(TABLE);
        let insert = "<sql>insert into t values(?, ?), (2, ?)</sql><parameter value='1' type='INTEGER'/>\
            <parameter expression=\"get-property('who')\" type='VARCHAR'/><parameter value='' type='VARCHAR'/>";
        let ran = bench.property("who", "Kim").run(&report("", insert));
        assert_eq!((ran.fault(), ran.property("DBREPORT_MODIFIED_RAW_COUNT").as_deref()), (None, Some("2")));
        assert_eq!(bench.rows("select * from t order by id"), [["1", "Kim"], ["2", "null"]]);
        let ran = bench.run(&report("", "<sql>delete from t where id > 5</sql>"));
        assert_eq!(ran.property("DBREPORT_MODIFIED_RAW_COUNT").as_deref(), Some("0"));
    }

    #[test]
    fn a_script_runs_as_a_whole_without_auto_commit() {
        let script = "<sql>insert into t values(1, 'a'); insert into t values(?, 'b'); insert into t values(1, 'c');</sql>\
            <parameter value='2' type='INTEGER'/>";
        let bench = Bench::with(TABLE);
        let ran = bench.run(&report("<property name='autocommit' value='false'/>", script));
        let text = ran.fault().unwrap_or_default();
        assert!(text.starts_with("SQL Error while executing insert statement : insert into t"), "{text}");
        assert!(bench.rows("select * from t").is_empty());
        assert!(bench.run(&report("", script)).fault().is_some());
        assert_eq!(bench.rows("select name from t order by id"), [["a"], ["b"]]);
    }

    #[test]
    fn a_query_is_refused() {
        let bench = Bench::with(TABLE);
        let ran = bench.run(&report("", "<sql>select 1</sql>"));
        assert!(ran.property("ERROR_DETAIL").is_some_and(|it| it.contains("the statement is a query")));
    }
}
