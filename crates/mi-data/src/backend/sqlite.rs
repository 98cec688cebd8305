//! SQLite, in this process: one thread for each connection.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{OpenFlags, Statement, ToSql};

use super::{Answer, Connection, Interrupt, Job, Jobs, MAX_RESULT, Rows, Work};
use crate::error::{SqlError, SqlErrorKind};
use crate::url::{Embedded, Place};
use crate::value::SqlValue;

/// How long a statement waits for a lock that another connection holds.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// Statements that one connection keeps prepared.
const PREPARED: usize = 64;

/// Opens a database, making the file when there is none, and starts the thread of the connection. Blocks.
pub(crate) fn open(target: &Embedded, home: &Path) -> Result<Connection, SqlError> {
    let connection = connect(target, home)?;
    let interrupt = Interrupt(connection.get_interrupt_handle());
    let (handle, jobs) = Connection::new(Some(interrupt));
    let session = Sqlite { connection, stands_in: target.stands_in };
    std::thread::Builder::new()
        .name("mi-sqlite".to_owned())
        .spawn(move || session.serve(jobs))
        .map_err(|cause| SqlError::connection(format!("no thread for a connection to SQLite: {cause}")))?;
    Ok(handle)
}

/// Opens a database. Somebody has to keep one that is in memory open.
pub(crate) fn connect(target: &Embedded, home: &Path) -> Result<rusqlite::Connection, SqlError> {
    let flags = OpenFlags::default();
    let connection = match &target.place {
        // Names may hold anything; only letters and digits can be in a URI as they are.
        Place::Memory(name) => {
            rusqlite::Connection::open_with_flags(format!("file:/mi-{}?vfs=memdb", hex(name)), flags)
        }
        Place::File(path) => {
            let path = Embedded::resolve(path, home);
            if target.stands_in {
                prepare_file(&path)?;
            }
            rusqlite::Connection::open_with_flags(path, flags & !OpenFlags::SQLITE_OPEN_URI)
        }
    };
    let connection = connection.map_err(|cause| SqlError::connection(format!("SQLite: {cause}")))?;
    let set_up = connection.busy_timeout(LOCK_WAIT).and_then(|()| {
        if target.stands_in && matches!(target.place, Place::File(_)) {
            // Readers do not wait for writers, as in H2.
            connection.pragma_update(None, "journal_mode", "WAL")?;
        }
        connection.pragma_update(None, "foreign_keys", target.stands_in)
    });
    set_up.map_err(|cause| SqlError::connection(format!("SQLite: {cause}")))?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    Ok(connection)
}

/// H2 and its kin make missing folders. What they wrote themselves cannot be read.
fn prepare_file(path: &Path) -> Result<(), SqlError> {
    if path.exists() {
        return Ok(());
    }
    if let Some(original) = Embedded::original(path) {
        let text = format!(
            "{} is a database of Java, which cannot be read; export it as a script and load that into {} with sqlite3",
            original.display(),
            path.display()
        );
        return Err(SqlError::new(SqlErrorKind::Setup, text));
    }
    let Some(folder) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(folder)
        .map_err(|cause| SqlError::connection(format!("cannot make the folder {}: {cause}", folder.display())))
}

fn hex(name: &str) -> String {
    let digits: Vec<String> = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

/// What is done with each statement of a script and its parameters.
type Act<'a> = dyn FnMut(&mut Statement<'_>, &[SqlValue]) -> Result<(), SqlError> + 'a;

struct Sqlite {
    connection: rusqlite::Connection,
    stands_in: bool,
}

impl Sqlite {
    fn serve(self, mut jobs: Jobs) {
        while let Some(Job { work, reply }) = jobs.blocking_recv() {
            // Whoever asked may have gone.
            let _gone = reply.send(self.run(work));
        }
    }

    fn run(&self, work: Work) -> Result<Answer, SqlError> {
        let batch = |sql: &str| self.connection.execute_batch(sql).map(|()| Answer::Done).map_err(refused);
        match work {
            Work::Query { sql, params, limit } => self.query(&sql, &params, limit).map(Answer::Rows),
            Work::Update { sql, params } => self.update(&sql, &params).map(Answer::Count),
            // A lock that is taken at once cannot be refused in the middle. SQLite has one isolation, serializable.
            Work::Begin(_) => batch("BEGIN IMMEDIATE"),
            Work::Commit => batch("COMMIT"),
            Work::Rollback if self.connection.is_autocommit() => Ok(Answer::Done),
            Work::Rollback => batch("ROLLBACK"),
            Work::Ping => Ok(Answer::Done),
        }
    }

    fn query(&self, sql: &str, params: &[SqlValue], limit: usize) -> Result<Rows, SqlError> {
        let mut rows = None;
        self.each(sql, params, &mut |statement, params| {
            if rows.is_none() {
                rows = Some(self.rows(statement, params, limit)?);
            } else {
                finish(statement, params)?;
            }
            Ok(())
        })?;
        rows.ok_or_else(|| SqlError::statement("the statement is empty"))
    }

    /// The count of the first statement, as H2 gives it.
    fn update(&self, sql: &str, params: &[SqlValue]) -> Result<u64, SqlError> {
        let mut count = None;
        self.each(sql, params, &mut |statement, params| {
            let changed = finish(statement, params)?;
            count.get_or_insert(changed);
            Ok(())
        })?;
        Ok(count.unwrap_or(0))
    }

    /// Runs `act` for every statement of a script, each with its share of the parameters.
    fn each(&self, sql: &str, params: &[SqlValue], act: &mut Act<'_>) -> Result<(), SqlError> {
        // A statement with a semicolon in a text counts as a script too, and is only prepared each time.
        if sql.trim_end().trim_end_matches(';').contains(';') {
            return self.script(sql, params, act);
        }
        let mut statement = self.connection.prepare_cached(sql).map_err(refused)?;
        let own = share(params, 0, statement.parameter_count())?;
        if own.len() < params.len() {
            return Err(too_many(own.len(), params.len()));
        }
        act(&mut statement, own)
    }

    fn script(&self, sql: &str, params: &[SqlValue], act: &mut Act<'_>) -> Result<(), SqlError> {
        use rusqlite::fallible_iterator::FallibleIterator;
        let mut batch = rusqlite::Batch::new(&self.connection, sql);
        let mut used = 0;
        while let Some(mut statement) = batch.next().map_err(refused)? {
            let own = share(params, used, statement.parameter_count())?;
            used += own.len();
            act(&mut statement, own)?;
        }
        if used < params.len() { Err(too_many(used, params.len())) } else { Ok(()) }
    }

    fn rows(&self, statement: &mut Statement<'_>, params: &[SqlValue], limit: usize) -> Result<Rows, SqlError> {
        if statement.column_count() == 0 {
            return Err(SqlError::statement("the statement gives no rows; only a query can be looked up with"));
        }
        let types: Vec<Declared> = if self.stands_in {
            statement.columns().iter().map(|column| Declared::of(column.decl_type())).collect()
        } else {
            vec![Declared::Other; statement.column_count()]
        };
        let columns: Arc<[String]> = statement.column_names().into_iter().map(str::to_owned).collect();
        let mut found = Rows { columns, rows: Vec::new() };
        let mut size = 0;
        let mut rows = statement.query(rusqlite::params_from_iter(params)).map_err(refused)?;
        while found.rows.len() < limit {
            let Some(row) = rows.next().map_err(refused)? else { break };
            let mut values = Vec::with_capacity(types.len());
            for (at, kind) in types.iter().enumerate() {
                let value = row.get_ref(at).map_err(refused)?;
                size += length(value);
                values.push(kind.read(value));
            }
            if size > MAX_RESULT {
                return Err(SqlError::statement(format!("the result is larger than {MAX_RESULT} bytes")));
            }
            found.rows.push(values);
        }
        Ok(found)
    }
}

/// Runs a statement to its end; gives the number of rows that it changed.
fn finish(statement: &mut Statement<'_>, params: &[SqlValue]) -> Result<u64, SqlError> {
    if statement.column_count() > 0 && statement.readonly() {
        return Err(SqlError::statement("the statement is a query; only one that changes something can be run here"));
    }
    statement.execute(rusqlite::params_from_iter(params)).map(|count| count as u64).map_err(refused)
}

fn share(params: &[SqlValue], from: usize, count: usize) -> Result<&[SqlValue], SqlError> {
    params.get(from..from + count).ok_or_else(|| {
        SqlError::statement(format!("the statement has more parameters than the {} that are given", params.len()))
    })
}

fn too_many(used: usize, given: usize) -> SqlError {
    SqlError::statement(format!("the statement has {used} parameters, and {given} are given"))
}

fn length(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
        _ => size_of::<SqlValue>(),
    }
}

fn refused(error: rusqlite::Error) -> SqlError {
    match error.sqlite_error() {
        Some(cause) => {
            let code = cause.extended_code;
            let message = match &error {
                rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
                other => other.to_string(),
            };
            SqlError::statement(message).with_state(code.to_string())
        }
        None => SqlError::statement(error.to_string()),
    }
}

/// Types of H2 and its kin that SQLite keeps as something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Declared {
    Bool,
    /// With digits behind the point.
    Decimal(usize),
    Timestamp,
    Other,
}

impl Declared {
    fn of(declared: Option<&str>) -> Self {
        let text = declared.unwrap_or_default().trim().to_ascii_uppercase();
        let (name, rest) = text.split_once('(').unwrap_or((&text, ""));
        match name.trim() {
            "BOOLEAN" | "BOOL" | "BIT" => Self::Bool,
            "DECIMAL" | "NUMERIC" | "NUMBER" | "DEC" => {
                let scale =
                    rest.trim_end_matches([')', ' ']).split_once(',').and_then(|(_, it)| it.trim().parse().ok());
                Self::Decimal(scale.unwrap_or(0).min(100))
            }
            "TIMESTAMP" | "DATETIME" => Self::Timestamp,
            _ => Self::Other,
        }
    }

    fn read(self, value: ValueRef<'_>) -> SqlValue {
        match (self, value) {
            (_, ValueRef::Null) => SqlValue::Null,
            (Self::Bool, ValueRef::Integer(value)) => SqlValue::Bool(value != 0),
            (Self::Decimal(scale), ValueRef::Integer(value)) if scale > 0 => {
                SqlValue::Decimal(format!("{value}.{}", "0".repeat(scale)))
            }
            (Self::Decimal(scale), ValueRef::Real(value)) if scale > 0 => SqlValue::Decimal(format!("{value:.scale$}")),
            (Self::Timestamp, ValueRef::Text(text)) => SqlValue::Timestamp(String::from_utf8_lossy(text).into_owned()),
            (_, ValueRef::Integer(value)) => SqlValue::Int(value),
            (_, ValueRef::Real(value)) => SqlValue::Double(value),
            (_, ValueRef::Text(text)) => SqlValue::Text(String::from_utf8_lossy(text).into_owned()),
            (_, ValueRef::Blob(bytes)) => SqlValue::Bytes(bytes.to_vec()),
        }
    }
}

impl ToSql for SqlValue {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(Value::Null),
            Self::Bool(value) => ToSqlOutput::Owned(Value::Integer((*value).into())),
            Self::Int(value) => ToSqlOutput::Owned(Value::Integer(*value)),
            Self::Float(value) => ToSqlOutput::Owned(Value::Real((*value).into())),
            Self::Double(value) => ToSqlOutput::Owned(Value::Real(*value)),
            Self::Decimal(text) | Self::Text(text) | Self::Date(text) | Self::Time(text) | Self::Timestamp(text) => {
                ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes()))
            }
            Self::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}
