//! One open connection to a database of any kind.
//!
//! A connection is worked by a task of its own on the thread of the databases, or by a thread of its own where the client
//! library blocks (SQLite). A `Connection` hands work over and waits for the answer with a deadline, so that it does not
//! matter which of the server's runtimes a flow is on, and a flow that is given up leaves no half-used connection behind.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::error::{SqlError, SqlErrorKind};
use crate::value::SqlValue;

pub(crate) mod mysql;
pub(crate) mod postgres;
mod postgres_types;
pub(crate) mod sqlite;

/// Most bytes of one result.
const MAX_RESULT: usize = 64 << 20;

/// What one connection is asked to do.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// Rows of a statement, `limit` at most.
    Query {
        sql: Arc<str>,
        params: Vec<SqlValue>,
        limit: usize,
    },
    /// The number of rows that a statement changed.
    Update {
        sql: Arc<str>,
        params: Vec<SqlValue>,
    },
    Begin(Option<Isolation>),
    Commit,
    Rollback,
    /// Is the server still there?
    Ping,
}

/// The answer to [`Work`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Rows(Rows),
    Count(u64),
    Done,
}

/// Rows of a result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// Names of the columns, as the database writes them.
    pub columns: Arc<[String]>,
    /// The rows.
    pub rows: Vec<Vec<SqlValue>>,
}

impl Rows {
    /// The position of a column by its name, in any case, as JDBC looks for it.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|known| known.eq_ignore_ascii_case(name))
    }
}

/// How far a transaction sees others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Isolation {
    /// `READ UNCOMMITTED`
    ReadUncommitted,
    /// `READ COMMITTED`
    ReadCommitted,
    /// `REPEATABLE READ`
    RepeatableRead,
    /// `SERIALIZABLE`
    Serializable,
}

impl Isolation {
    /// `READ_COMMITTED`, `Connection.TRANSACTION_READ_COMMITTED` or `TRANSACTION_READ_COMMITTED`; none for others, such as NONE.
    pub fn find(name: &str) -> Option<Self> {
        match name.rsplit('.').next()?.trim_start_matches("TRANSACTION_") {
            "READ_UNCOMMITTED" => Some(Self::ReadUncommitted),
            "READ_COMMITTED" => Some(Self::ReadCommitted),
            "REPEATABLE_READ" => Some(Self::RepeatableRead),
            "SERIALIZABLE" => Some(Self::Serializable),
            _ => None,
        }
    }
}

/// A client library behind one face. A session does one thing at a time.
pub(crate) trait Session: Send {
    /// Does it. An error that [`SqlError::breaks_connection`] ends the session.
    fn run(&mut self, work: Work) -> BoxFuture<'_, Result<Answer, SqlError>>;
}

/// One piece of work on its way.
pub(crate) struct Job {
    work: Work,
    reply: oneshot::Sender<Result<Answer, SqlError>>,
}

/// One open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    jobs: mpsc::Sender<Job>,
    /// Stops the statement that runs, where dropping the connection does not.
    interrupt: Option<Interrupt>,
    broken: bool,
    in_transaction: bool,
}

/// Stops a statement of SQLite.
pub(crate) struct Interrupt(pub(crate) rusqlite::InterruptHandle);

impl std::fmt::Debug for Interrupt {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Interrupt")
    }
}

/// Where a session takes its work from.
pub(crate) type Jobs = mpsc::Receiver<Job>;

impl Connection {
    /// A connection and the end where its work comes out.
    pub(crate) fn new(interrupt: Option<Interrupt>) -> (Self, Jobs) {
        let (jobs, taken) = mpsc::channel(1);
        (Self { jobs, interrupt, broken: false, in_transaction: false }, taken)
    }

    /// Has it work and waits for the answer.
    pub(crate) async fn run(&mut self, work: Work, deadline: Instant) -> Result<Answer, SqlError> {
        let begins = matches!(work, Work::Begin(_));
        let ends = matches!(work, Work::Commit | Work::Rollback);
        // A flow that is given up while it waits leaves the connection in an unknown state.
        self.broken = true;
        let (reply, answer) = oneshot::channel();
        let closed = || SqlError::connection("the connection to the database is closed");
        let asked = async {
            self.jobs.send(Job { work, reply }).await.map_err(|_| closed())?;
            answer.await.map_err(|_| closed())?
        };
        let result = match tokio::time::timeout_at(deadline, asked).await {
            Ok(result) => result,
            Err(_) => Err(SqlError::new(SqlErrorKind::Timeout, "the database did not answer in time")),
        };
        self.broken = result.as_ref().is_err_and(SqlError::breaks_connection);
        self.in_transaction = (self.in_transaction || begins) && !(ends && result.is_ok());
        result
    }

    /// May it serve somebody else?
    pub(crate) fn is_reusable(&self) -> bool {
        !self.broken && !self.in_transaction && !self.jobs.is_closed()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(Interrupt(handle)) = self.interrupt.as_ref().filter(|_| self.broken) {
            handle.interrupt();
        }
    }
}

/// Works a session until its connection is dropped or breaks.
pub(crate) async fn serve(mut session: Box<dyn Session>, mut jobs: Jobs) {
    while let Some(Job { work, reply }) = jobs.recv().await {
        let result = session.run(work).await;
        let broken = result.as_ref().is_err_and(SqlError::breaks_connection);
        // Whoever asked may have gone.
        let _gone = reply.send(result);
        if broken {
            return;
        }
    }
}
