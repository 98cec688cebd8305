//! Claims on the messages of a table that several servers empty: a row for each in the table `MI_MESSAGE_CLAIM`, with an end
//! that its holder moves on while the message is worked off. All times are the database's.
//!
//! A server that starts again on its machine, with its home folder, has its claims still. A message whose holder died is taken by another server when its claim has ended. Where the table can neither be found
//! nor made, claims hold within this server only, and one line in the log says so.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::arbiter;
use crate::error::SqlError;
use crate::pool::Pool;
use crate::url::Target;
use crate::value::SqlValue;

/// How long a claim holds without a sign of life of its holder.
const PERIOD: Duration = Duration::from_secs(30);
/// Time between two signs of life.
const BEAT: Duration = Duration::from_secs(10);

const CREATE: &str = "CREATE TABLE IF NOT EXISTS MI_MESSAGE_CLAIM (STORE VARCHAR(200) NOT NULL, PLACE BIGINT NOT NULL, \
                      HOLDER VARCHAR(255) NOT NULL, ENDS BIGINT NOT NULL, PRIMARY KEY (STORE, PLACE))";

/// What this server goes by: the same after a restart on this machine, and another one in another container or home.
pub(crate) fn this_server(home: &Path) -> String {
    let namespace = std::fs::read_link("/proc/self/ns/pid").map(|it| it.to_string_lossy().into_owned());
    // Nothing that would tell two servers apart is known here.
    let namespace = namespace.unwrap_or_else(|_| format!("{}-{:?}", std::process::id(), SystemTime::now()));
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let home = std::fs::canonicalize(home).unwrap_or_else(|_| home.to_owned());
    format!("{} {namespace} {}", host.trim(), home.display())
}

/// The claims of one server on the messages of one table.
#[derive(Debug)]
pub(crate) struct MessageClaims {
    pool: Arc<Pool>,
    table: String,
    holder: String,
    /// False when there is no table for claims.
    prepared: OnceCell<bool>,
    beating: AtomicBool,
    /// Places with a row of this server; true while a message is worked off. Locked for moments only.
    held: Mutex<BTreeMap<i64, bool>>,
    insert: Arc<str>,
    take_over: Arc<str>,
    renew: Arc<str>,
    delete: Arc<str>,
    sweep: Arc<str>,
}

impl MessageClaims {
    /// Claims on the messages of `table`. Nothing is asked yet.
    pub(crate) fn new(pool: Arc<Pool>, table: &str, holder: &str) -> Self {
        let target = &pool.config().target;
        let now = arbiter::now_millis(target);
        let end = format!("{now} + {}", PERIOD.as_millis());
        let (insert, or_not) = match target {
            Target::MySql(_) => ("INSERT IGNORE INTO", ""),
            Target::Postgres(_) | Target::Sqlite(_) => ("INSERT INTO", " ON CONFLICT DO NOTHING"),
        };
        Self {
            table: table.to_owned(),
            holder: holder.chars().take(255).collect(),
            prepared: OnceCell::new(),
            beating: AtomicBool::new(false),
            held: Mutex::default(),
            insert: format!("{insert} MI_MESSAGE_CLAIM (STORE, PLACE, HOLDER, ENDS) VALUES (?, ?, ?, {end}){or_not}")
                .into(),
            take_over: format!(
                "UPDATE MI_MESSAGE_CLAIM SET HOLDER = ?, ENDS = {end} WHERE STORE = ? AND PLACE = ? \
                 AND (HOLDER = ? OR ENDS < {now})"
            )
            .into(),
            renew: format!("UPDATE MI_MESSAGE_CLAIM SET ENDS = {end} WHERE STORE = ? AND HOLDER = ?").into(),
            delete: "DELETE FROM MI_MESSAGE_CLAIM WHERE STORE = ? AND PLACE = ? AND HOLDER = ?".into(),
            sweep: format!("DELETE FROM MI_MESSAGE_CLAIM WHERE STORE = ? AND ENDS < {now} - 3600000").into(),
            pool,
        }
    }

    /// Claims a message. False when another server has it.
    pub(crate) async fn claim(self: &Arc<Self>, place: i64, until: Instant) -> Result<bool, SqlError> {
        if !*self.prepared.get_or_try_init(|| self.prepare(until)).await? {
            return Ok(true);
        }
        if let Some(worked_off) = self.held().get_mut(&place) {
            *worked_off = true;
            return Ok(true);
        }
        let (table, holder) = (self.text(&self.table), self.text(&self.holder));
        let values = vec![table.clone(), SqlValue::Int(place), holder.clone()];
        let mine = self.update(&self.insert, values, until).await? > 0
            || self.update(&self.take_over, vec![holder.clone(), table, SqlValue::Int(place), holder], until).await?
                > 0;
        if mine {
            self.held().insert(place, true);
            if !self.beating.swap(true, Ordering::AcqRel) {
                tokio::spawn(beat(Arc::downgrade(self)));
            }
        }
        Ok(mine)
    }

    /// Ends the claim on a message that is out of its table.
    pub(crate) async fn end(&self, place: i64, until: Instant) -> Result<(), SqlError> {
        if self.held().remove(&place).is_none() {
            return Ok(());
        }
        self.remove(place, until).await
    }

    async fn remove(&self, place: i64, until: Instant) -> Result<(), SqlError> {
        let values = vec![self.text(&self.table), SqlValue::Int(place), self.text(&self.holder)];
        self.update(&self.delete, values, until).await.map(drop)
    }

    /// Gives a message back. Other servers may have it after the next sign of life; this one may claim it at once.
    pub(crate) fn release(&self, place: i64) {
        if let Some(worked_off) = self.held().get_mut(&place) {
            *worked_off = false;
        }
    }

    /// Makes the table, unless it is there: the user may have no right to.
    async fn prepare(&self, until: Instant) -> Result<bool, SqlError> {
        let mut lease = self.pool.lease(until).await?;
        let probe: Arc<str> = "SELECT HOLDER FROM MI_MESSAGE_CLAIM WHERE STORE = ''".into();
        match lease.query(&probe, Vec::new(), 1, until).await {
            Ok(_) => return Ok(true),
            Err(error) if error.breaks_connection() => return Err(error),
            Err(_) => {}
        }
        match lease.update_for_good(&CREATE.into(), Vec::new(), until).await {
            Ok(_) => Ok(true),
            Err(error) if error.breaks_connection() => Err(error),
            Err(error) => {
                log::warn!(
                    target: "JDBCMessageStore",
                    "Claims on the messages of {} hold within this server only, as the table MI_MESSAGE_CLAIM cannot be \
                     made: {error}. Let one server at a time take messages from it, or make the table: {CREATE}",
                    self.table
                );
                Ok(false)
            }
        }
    }

    /// Removes the claims on messages that were given back, and moves the ends of the others on.
    pub(crate) async fn renew(&self) -> Result<(), SqlError> {
        let until = Instant::now() + BEAT;
        let idle: Vec<i64> = {
            let mut held = self.held();
            let idle = held.iter().filter(|(_, worked_off)| !**worked_off).map(|(place, _)| *place).collect();
            held.retain(|_, worked_off| *worked_off);
            idle
        };
        for place in idle {
            self.remove(place, until).await?;
        }
        let values = vec![self.text(&self.table), self.text(&self.holder)];
        self.update(&self.renew, values, until).await?;
        self.update(&self.sweep, vec![self.text(&self.table)], until).await.map(drop)
    }

    fn held(&self) -> std::sync::MutexGuard<'_, BTreeMap<i64, bool>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self, text: &str) -> SqlValue {
        SqlValue::Text(text.to_owned())
    }

    async fn update(&self, sql: &Arc<str>, values: Vec<SqlValue>, until: Instant) -> Result<u64, SqlError> {
        self.pool.lease(until).await?.update_for_good(sql, values, until).await
    }
}

/// Shows that the holder lives, until the store is closed.
async fn beat(claims: Weak<MessageClaims>) {
    loop {
        tokio::time::sleep(BEAT).await;
        let Some(claims) = claims.upgrade() else { return };
        if claims.held().is_empty() {
            continue;
        }
        if let Err(error) = claims.renew().await {
            log::warn!(
                target: "JDBCMessageStore",
                "The claims on messages of {} cannot be renewed; other servers may take the messages, too: {error}",
                claims.table
            );
        }
    }
}
