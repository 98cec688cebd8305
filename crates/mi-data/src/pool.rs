//! A pool of connections to one database as one user.
//!
//! Connections are opened when they are needed and kept when they are given back, up to `max_idle`. A caller waits for
//! a free one no longer than `max_wait` and its own deadline.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::backend::{Answer, Connection, Isolation, Rows, Work};
use crate::databases::Opener;
use crate::error::{SqlError, SqlErrorKind};
use crate::url::Target;
use crate::value::SqlValue;

/// A connection that lay idle for longer is asked whether the server is still there.
const TRUSTED_IDLE: Duration = Duration::from_secs(30);

/// Longest wait for a connection to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Which database, as whom, and how many connections. Pools are shared by all who ask for equal settings.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PoolConfig {
    /// The database.
    pub target: Target,
    /// User.
    pub user: Option<String>,
    /// Password.
    pub password: Option<String>,
    /// Most connections at a time.
    pub max_active: usize,
    /// Most connections that wait for work.
    pub max_idle: usize,
    /// Longest wait for a free connection; none for as long as the caller can wait.
    pub max_wait: Option<Duration>,
    /// Each statement is committed by itself.
    pub auto_commit: bool,
    /// Isolation of transactions; none for that of the database.
    pub isolation: Option<Isolation>,
    /// Asked before a connection is handed out.
    pub validation_query: Option<Arc<str>>,
    /// One that was in use so long ago needs no asking.
    pub validation_interval: Duration,
    /// The configuration names a class of data sources that takes part in distributed transactions.
    pub distributed: bool,
}

impl fmt::Debug for PoolConfig {
    /// Leaves the password out.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PoolConfig")
            .field("target", &self.target)
            .field("user", &self.user)
            .field("max_active", &self.max_active)
            .finish_non_exhaustive()
    }
}

impl PoolConfig {
    /// A pool with the defaults of MI's inline connections (DBCP).
    pub fn new(target: Target) -> Self {
        Self {
            target,
            user: None,
            password: None,
            max_active: 8,
            max_idle: 8,
            max_wait: None,
            auto_commit: true,
            isolation: None,
            validation_query: None,
            validation_interval: Duration::ZERO,
            distributed: false,
        }
    }
}

/// A pool of connections.
pub struct Pool {
    config: PoolConfig,
    opener: Arc<Opener>,
    idle: Mutex<Vec<(Connection, Instant)>>,
    permits: Arc<Semaphore>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Pool").field(&self.config).finish()
    }
}

impl Pool {
    pub(crate) fn new(config: PoolConfig, opener: Arc<Opener>) -> Self {
        let permits = Arc::new(Semaphore::new(config.max_active.clamp(1, Semaphore::MAX_PERMITS)));
        Self { config, opener, idle: Mutex::default(), permits }
    }

    /// Its settings.
    pub fn config(&self) -> &PoolConfig {
        &self.config
    }

    /// A connection: an idle one, else a new one. It goes back when the lease is dropped.
    pub async fn lease(self: &Arc<Self>, deadline: Instant) -> Result<Lease, SqlError> {
        let permit = self.permit(deadline).await?;
        if let Some((connection, since)) = self.take_idle() {
            let mut lease = Lease { connection: Some(connection), pool: self.clone(), _permit: permit };
            if lease.is_alive(since, deadline).await {
                return Ok(lease);
            }
            // The broken one is dropped with its lease; the permit is asked for again.
            drop(lease);
            return self.open(self.permit(deadline).await?, deadline).await;
        }
        self.open(permit, deadline).await
    }

    async fn permit(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, SqlError> {
        let until = self.config.max_wait.map_or(deadline, |wait| deadline.min(Instant::now() + wait));
        match tokio::time::timeout_at(until, self.permits.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(SqlError::new(
                SqlErrorKind::Exhausted,
                format!("no connection became free: all {} of the pool are in use", self.config.max_active),
            )),
        }
    }

    async fn open(self: &Arc<Self>, permit: OwnedSemaphorePermit, deadline: Instant) -> Result<Lease, SqlError> {
        let until = deadline.min(Instant::now() + CONNECT_TIMEOUT);
        let opened = tokio::time::timeout_at(until, self.opener.open(&self.config)).await;
        let connection = opened.map_err(|_| {
            SqlError::connection(format!("no connection to {:?} within {CONNECT_TIMEOUT:?}", self.config.target))
        })??;
        Ok(Lease { connection: Some(connection), pool: self.clone(), _permit: permit })
    }

    fn take_idle(&self) -> Option<(Connection, Instant)> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn give_back(&self, connection: Connection) {
        if !connection.is_reusable() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.config.max_idle {
            idle.push((connection, Instant::now()));
        }
    }
}

/// A connection in use.
#[derive(Debug)]
pub struct Lease {
    connection: Option<Connection>,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    /// Rows of a query, `limit` at most.
    pub async fn query(
        &mut self,
        sql: &Arc<str>,
        params: Vec<SqlValue>,
        limit: usize,
        deadline: Instant,
    ) -> Result<Rows, SqlError> {
        match self.run(Work::Query { sql: sql.clone(), params, limit }, deadline).await? {
            Answer::Rows(rows) => Ok(rows),
            _ => Ok(Rows::default()),
        }
    }

    /// Runs a statement, or several; the number of rows that the first one changed.
    pub async fn update(&mut self, sql: &Arc<str>, params: Vec<SqlValue>, deadline: Instant) -> Result<u64, SqlError> {
        match self.run(Work::Update { sql: sql.clone(), params }, deadline).await? {
            Answer::Count(count) => Ok(count),
            _ => Ok(0),
        }
    }

    /// [`Lease::update`] that lasts when this returns, whatever the pool says about committing.
    pub async fn update_for_good(
        &mut self,
        sql: &Arc<str>,
        params: Vec<SqlValue>,
        deadline: Instant,
    ) -> Result<u64, SqlError> {
        if self.pool.config.auto_commit {
            return self.update(sql, params, deadline).await;
        }
        self.begin(deadline).await?;
        let count = self.update(sql, params, deadline).await?;
        self.commit(deadline).await?;
        Ok(count)
    }

    /// Begins a transaction with the isolation of the pool. A lease that is dropped within one undoes it.
    pub async fn begin(&mut self, deadline: Instant) -> Result<(), SqlError> {
        self.run(Work::Begin(self.pool.config.isolation), deadline).await.map(drop)
    }

    /// Makes the transaction last.
    pub async fn commit(&mut self, deadline: Instant) -> Result<(), SqlError> {
        self.run(Work::Commit, deadline).await.map(drop)
    }

    /// Undoes the transaction.
    pub async fn rollback(&mut self, deadline: Instant) -> Result<(), SqlError> {
        self.run(Work::Rollback, deadline).await.map(drop)
    }

    /// The pool that it belongs to.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    async fn run(&mut self, work: Work, deadline: Instant) -> Result<Answer, SqlError> {
        match &mut self.connection {
            Some(connection) => connection.run(work, deadline).await,
            None => Err(SqlError::connection("the connection was given back")),
        }
    }

    /// Is a connection still of use that lay idle since then?
    async fn is_alive(&mut self, since: Instant, deadline: Instant) -> bool {
        if !self.connection.as_ref().is_some_and(Connection::is_reusable) {
            return false;
        }
        let until = deadline.min(Instant::now() + CONNECT_TIMEOUT);
        if let Some(query) = self.pool.config.validation_query.clone() {
            let trusted = since.elapsed() < self.pool.config.validation_interval;
            return trusted || self.query(&query, Vec::new(), 1, until).await.is_ok();
        }
        since.elapsed() < TRUSTED_IDLE || self.run(Work::Ping, until).await.is_ok()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.give_back(connection);
        }
    }
}
