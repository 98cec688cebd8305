//! A database as the arbiter of coordination: a table with a row for each lease. All times are the database's.
//!
//! The table is this server's own, not MI's: MI's tables say which node the leader has given a task to, and hold no lease.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use mi_engine::coordination::Arbiter;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::error::SqlError;
use crate::pool::Pool;
use crate::url::Target;
use crate::value::SqlValue;

/// How long one statement may take; the caller waits for less when its lease is short.
const PATIENCE: Duration = Duration::from_secs(10);
/// States of the group.
const RUNNING: &str = "RUNNING";
const PAUSED: &str = "PAUSED";

/// Leases in the table `MI_LEASE`.
#[derive(Debug)]
pub struct DatabaseArbiter {
    pool: Arc<Pool>,
    group: String,
    prepared: OnceCell<()>,
    create: Arc<str>,
    exists: Arc<str>,
    renew: Arc<str>,
    insert: Arc<str>,
    look: Arc<str>,
    /// The row of a state has the state in place of a holder.
    state: Arc<str>,
    set: Arc<str>,
    first: Arc<str>,
    release: Arc<str>,
}

/// The time by the clock of a database: milliseconds since the epoch.
pub(crate) fn now_millis(target: &Target) -> &'static str {
    match target {
        Target::Postgres(_) => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
        Target::MySql(_) => "CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED)",
        Target::Sqlite(_) => "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
    }
}

impl DatabaseArbiter {
    /// Leases of `group` in the database of `pool`. Nothing is asked yet.
    pub fn new(pool: Arc<Pool>, group: &str) -> Self {
        let now = now_millis(&pool.config().target);
        let create = "CREATE TABLE IF NOT EXISTS MI_LEASE (NAME VARCHAR(255) NOT NULL PRIMARY KEY, \
                      HOLDER VARCHAR(255) NOT NULL, NUMBER BIGINT NOT NULL, ENDS BIGINT NOT NULL)";
        Self {
            prepared: OnceCell::new(),
            create: create.into(),
            exists: "SELECT NAME FROM MI_LEASE WHERE NAME = ''".into(),
            // NUMBER first: MySQL computes the columns one after the other, with the new values of those before.
            renew: format!(
                "UPDATE MI_LEASE SET NUMBER = NUMBER + CASE WHEN HOLDER = ? THEN 0 ELSE 1 END, HOLDER = ?, ENDS = {now} + ? \
                 WHERE NAME = ? AND (HOLDER = ? OR ENDS < {now})"
            )
            .into(),
            insert: format!("INSERT INTO MI_LEASE (NAME, HOLDER, NUMBER, ENDS) VALUES (?, ?, 1, {now} + ?)").into(),
            look: format!("SELECT HOLDER, NUMBER FROM MI_LEASE WHERE NAME = ? AND ENDS > {now}").into(),
            state: "SELECT HOLDER FROM MI_LEASE WHERE NAME = ?".into(),
            set: "UPDATE MI_LEASE SET HOLDER = ? WHERE NAME = ?".into(),
            first: "INSERT INTO MI_LEASE (HOLDER, NAME, NUMBER, ENDS) VALUES (?, ?, 0, 0)".into(),
            release: "UPDATE MI_LEASE SET ENDS = 0 WHERE NAME = ? AND HOLDER = ?".into(),
            pool,
            group: group.to_owned(),
        }
    }

    fn name(&self, what: &str) -> SqlValue {
        SqlValue::Text(format!("{}/{what}", self.group))
    }

    /// Makes the table, unless it is there: the user may have no right to.
    async fn prepare(&self, until: Instant) -> Result<(), SqlError> {
        let prepared = self.prepared.get_or_try_init(|| async {
            if self.rows(&self.exists, Vec::new(), until).await.is_ok() {
                return Ok(());
            }
            self.update(&self.create, Vec::new(), until).await.map(drop)
        });
        prepared.await.map(drop)
    }

    async fn ask(&self, what: &str, holder: &str, period: Duration) -> Result<Option<u64>, SqlError> {
        let until = Instant::now() + PATIENCE;
        self.prepare(until).await?;
        let (name, holder_value) = (self.name(what), SqlValue::Text(holder.to_owned()));
        let millis = SqlValue::Int(i64::try_from(period.as_millis()).unwrap_or(i64::MAX / 2));
        let values =
            vec![holder_value.clone(), holder_value.clone(), millis.clone(), name.clone(), holder_value.clone()];
        let mine = self.update(&self.renew, values, until).await? > 0;
        if let Some(number) = self.held(what, holder, until).await? {
            return Ok(number);
        }
        if mine {
            return Err(SqlError::statement("the lease ended before it was seen"));
        }
        // Nobody has it, and it may never have been asked for. Whoever is first makes the row.
        match self.update(&self.insert, vec![name, holder_value, millis], until).await {
            Ok(_) => {}
            Err(error) if error.breaks_connection() => return Err(error),
            Err(_) => log::debug!("The lease {what} was asked for by two at once"),
        }
        Ok(self.held(what, holder, until).await?.flatten())
    }

    /// Who has the lease: nobody, somebody else (an empty inner one), or `holder`, with its number.
    async fn held(&self, what: &str, holder: &str, until: Instant) -> Result<Option<Option<u64>>, SqlError> {
        let rows = self.rows(&self.look, vec![self.name(what)], until).await?;
        let Some(row) = rows.into_iter().next() else { return Ok(None) };
        let by = row.first().and_then(SqlValue::to_text);
        let number = row.get(1).and_then(SqlValue::to_text).and_then(|text| text.parse().ok());
        Ok(Some(number.filter(|_| by.as_deref() == Some(holder))))
    }

    /// A name that no lease has: those of leases begin with a kind.
    fn state_name(&self, what: &str) -> SqlValue {
        self.name(&format!("state/{what}"))
    }

    async fn say(&self, what: &str, runs: bool) -> Result<(), SqlError> {
        let until = Instant::now() + PATIENCE;
        self.prepare(until).await?;
        let word = SqlValue::Text(if runs { RUNNING } else { PAUSED }.to_owned());
        let values = vec![word, self.state_name(what)];
        if self.update(&self.set, values.clone(), until).await? > 0 {
            return Ok(());
        }
        match self.update(&self.first, values.clone(), until).await {
            Err(error) if error.breaks_connection() => Err(error),
            // Another server has made the row.
            Err(_) => self.update(&self.set, values, until).await.map(drop),
            Ok(_) => Ok(()),
        }
    }

    async fn said(&self, what: &str) -> Result<Option<bool>, SqlError> {
        let until = Instant::now() + PATIENCE;
        self.prepare(until).await?;
        let rows = self.rows(&self.state, vec![self.state_name(what)], until).await?;
        Ok(match rows.first().and_then(|row| row.first()).and_then(SqlValue::to_text).as_deref() {
            Some(RUNNING) => Some(true),
            Some(PAUSED) => Some(false),
            _ => None,
        })
    }

    async fn rows(
        &self,
        sql: &Arc<str>,
        values: Vec<SqlValue>,
        until: Instant,
    ) -> Result<Vec<Vec<SqlValue>>, SqlError> {
        let mut lease = self.pool.lease(until).await?;
        Ok(lease.query(sql, values, 1, until).await?.rows)
    }

    async fn update(&self, sql: &Arc<str>, values: Vec<SqlValue>, until: Instant) -> Result<u64, SqlError> {
        self.pool.lease(until).await?.update_for_good(sql, values, until).await
    }
}

impl Arbiter for DatabaseArbiter {
    fn acquire<'a>(
        &'a self,
        what: &'a str,
        holder: &'a str,
        period: Duration,
    ) -> BoxFuture<'a, Result<Option<u64>, String>> {
        Box::pin(async move { self.ask(what, holder, period).await.map_err(|error| error.to_string()) })
    }

    fn release<'a>(&'a self, what: &'a str, holder: &'a str) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let values = vec![self.name(what), SqlValue::Text(holder.to_owned())];
            let given = self.update(&self.release, values, Instant::now() + PATIENCE).await;
            given.map(drop).map_err(|error| error.to_string())
        })
    }

    fn state<'a>(&'a self, what: &'a str) -> BoxFuture<'a, Result<Option<bool>, String>> {
        Box::pin(async move { self.said(what).await.map_err(|error| error.to_string()) })
    }

    fn set_state<'a>(&'a self, what: &'a str, runs: bool) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move { self.say(what, runs).await.map_err(|error| error.to_string()) })
    }
}
