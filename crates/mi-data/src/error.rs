//! [`SqlError`]: what a data base, or the way to it, can answer in place of a result.

/// What went wrong. The text never holds a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SqlError {
    /// What it means for the caller.
    pub kind: SqlErrorKind,
    /// One line, as the database said it where it said something.
    pub message: String,
    /// SQLSTATE or the code of the database.
    pub state: Option<String>,
}

/// What an error means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqlErrorKind {
    /// The database cannot be reached, refused the user, or the connection broke.
    Connection,
    /// No connection became free within `maxWait`.
    Exhausted,
    /// The database did not answer in time; whether the statement has run is not known.
    Timeout,
    /// The database refused the statement.
    Statement,
    /// The configuration cannot be used.
    Setup,
}

impl SqlError {
    /// An error without a code.
    pub fn new(kind: SqlErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), state: None }
    }

    /// An error of a statement.
    pub fn statement(message: impl Into<String>) -> Self {
        Self::new(SqlErrorKind::Statement, message)
    }

    /// An error of the connection.
    pub fn connection(message: impl Into<String>) -> Self {
        Self::new(SqlErrorKind::Connection, message)
    }

    /// Adds the code of the database.
    pub fn with_state(mut self, state: impl Into<String>) -> Self {
        self.state = Some(state.into());
        self
    }

    /// May the connection be used on?
    pub fn breaks_connection(&self) -> bool {
        matches!(self.kind, SqlErrorKind::Connection | SqlErrorKind::Timeout)
    }
}
