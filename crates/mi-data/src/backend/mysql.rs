//! MySQL and MariaDB over mysql_async. The client keeps statements prepared for each connection.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::prelude::Queryable;
use mysql_async::{Column, Conn, DriverError, Error, Opts, OptsBuilder, Params, Row, SslOpts, Value};

use super::{Answer, Isolation, MAX_RESULT, Rows, Session, Work};
use crate::error::{SqlError, SqlErrorKind};
use crate::pool::PoolConfig;
use crate::script::{Dialect, parts};
use crate::url::Server;
use crate::value::SqlValue;

/// Statements that one connection keeps prepared.
const PREPARED: usize = 128;

/// The character set that stands for bytes.
const BINARY: u16 = 63;

/// A connection.
struct MySql {
    conn: Conn,
    /// `allowMultiQueries`: a text may hold several statements.
    scripts: bool,
    /// `tinyInt1isBit`: TINYINT(1) is a boolean.
    tiny_is_bit: bool,
}

/// Opens a connection. It has to be called on the runtime on which the connection is to live.
pub(crate) async fn open(server: &Server, pool: &PoolConfig) -> Result<Box<dyn Session>, SqlError> {
    let is = |name: &str, value: &str| server.setting(name).is_some_and(|it| it.eq_ignore_ascii_case(value));
    let owned = |text: &str| Some(text.to_owned());
    let options = OptsBuilder::default()
        .ip_or_hostname(&server.host)
        .tcp_port(server.port)
        .user(pool.user.clone().or_else(|| server.setting("user").and_then(owned)))
        .pass(pool.password.clone().or_else(|| server.setting("password").and_then(owned)))
        .db_name(Some(server.database.clone()).filter(|it| !it.is_empty()))
        .stmt_cache_size(PREPARED)
        .client_found_rows(!is("useAffectedRows", "true"))
        // A socket in the file system is another host in a container.
        .prefer_socket(false);
    let conn = match encryption(server)? {
        Encryption::None => connect(options).await,
        Encryption::Required(tls) => connect(options.ssl_opts(tls)).await,
        Encryption::Preferred(tls) => match connect(options.clone().ssl_opts(tls)).await {
            // Said before a password is sent.
            Err(Error::Driver(DriverError::NoClientSslFlagFromServer)) => connect(options).await,
            other => other,
        },
    };
    let session = MySql {
        conn: conn.map_err(|error| SqlError { kind: SqlErrorKind::Connection, ..refused(error) })?,
        scripts: is("allowMultiQueries", "true"),
        tiny_is_bit: !is("tinyInt1isBit", "false"),
    };
    Ok(Box::new(session))
}

enum Encryption {
    None,
    Preferred(SslOpts),
    Required(SslOpts),
}

/// `sslMode`, and the older `useSSL`, `requireSSL` and `verifyServerCertificate`.
fn encryption(server: &Server) -> Result<Encryption, SqlError> {
    let is = |name: &str, value: &str| server.setting(name).is_some_and(|it| it.eq_ignore_ascii_case(value));
    let mode = server.setting("sslMode").map_or_else(
        || match (is("useSSL", "false"), is("requireSSL", "true"), is("verifyServerCertificate", "true")) {
            (true, ..) => "DISABLED".to_owned(),
            (_, true, true) => "VERIFY_CA".to_owned(),
            (_, true, false) => "REQUIRED".to_owned(),
            _ => "PREFERRED".to_owned(),
        },
        str::to_ascii_uppercase,
    );
    let anybody = || SslOpts::default().with_danger_accept_invalid_certs(true);
    Ok(match mode.as_str() {
        "DISABLED" | "DISABLE" => Encryption::None,
        "PREFERRED" => Encryption::Preferred(anybody()),
        "REQUIRED" | "TRUST" => Encryption::Required(anybody()),
        "VERIFY_CA" | "VERIFY-CA" => Encryption::Required(SslOpts::default().with_danger_skip_domain_validation(true)),
        "VERIFY_IDENTITY" | "VERIFY-FULL" => Encryption::Required(SslOpts::default()),
        other => return Err(SqlError::new(SqlErrorKind::Setup, format!("'{other}' is no sslMode"))),
    })
}

async fn connect(options: OptsBuilder) -> Result<Conn, Error> {
    Conn::new(Opts::from(options)).await
}

impl Session for MySql {
    fn run(&mut self, work: Work) -> BoxFuture<'_, Result<Answer, SqlError>> {
        Box::pin(async move {
            let result = match work {
                Work::Query { sql, params, limit } => return self.query(&sql, params, limit).await.map(Answer::Rows),
                Work::Update { sql, params } => return self.update(&sql, params).await.map(Answer::Count),
                Work::Begin(isolation) => self.begin(isolation).await,
                Work::Commit => self.conn.query_drop("COMMIT").await,
                Work::Rollback => self.conn.query_drop("ROLLBACK").await,
                Work::Ping => self.conn.ping().await,
            };
            result.map(|()| Answer::Done).map_err(refused)
        })
    }
}

/// A statement with its parameters.
type Bound = (Arc<str>, Vec<SqlValue>);

impl MySql {
    async fn begin(&mut self, isolation: Option<Isolation>) -> Result<(), Error> {
        let level = match isolation {
            None => None,
            Some(Isolation::ReadUncommitted) => Some("READ UNCOMMITTED"),
            Some(Isolation::ReadCommitted) => Some("READ COMMITTED"),
            Some(Isolation::RepeatableRead) => Some("REPEATABLE READ"),
            Some(Isolation::Serializable) => Some("SERIALIZABLE"),
        };
        if let Some(level) = level {
            self.conn.query_drop(format!("SET TRANSACTION ISOLATION LEVEL {level}")).await?;
        }
        self.conn.query_drop("START TRANSACTION").await
    }

    /// The statements of a text, each with its share of the parameters.
    fn statements(&self, sql: &Arc<str>, params: Vec<SqlValue>) -> Result<Vec<Bound>, SqlError> {
        // The end mark of a single statement harms nobody.
        let single = sql.trim_end().trim_end_matches(';');
        if !self.scripts || !single.contains(';') {
            let sql = if single.len() == sql.len() { sql.clone() } else { single.into() };
            return Ok(vec![(sql, params)]);
        }
        let parts = parts(sql, Dialect::MySql);
        let wanted: usize = parts.iter().map(|it| it.params).sum();
        if wanted != params.len() {
            return Err(SqlError::statement(format!(
                "the statements have {wanted} parameters, and {} are given",
                params.len()
            )));
        }
        let mut params = params.into_iter();
        Ok(parts.into_iter().map(|part| (part.sql.into(), params.by_ref().take(part.params).collect())).collect())
    }

    async fn query(&mut self, sql: &Arc<str>, params: Vec<SqlValue>, limit: usize) -> Result<Rows, SqlError> {
        let mut found = None;
        for (sql, params) in self.statements(sql, params)? {
            if found.is_none() {
                found = Some(self.rows(&sql, params, limit).await?);
            } else {
                self.conn.exec_drop(&*sql, bound(params)).await.map_err(refused)?;
            }
        }
        found.ok_or_else(|| SqlError::statement("the statement is empty"))
    }

    async fn rows(&mut self, sql: &str, params: Vec<SqlValue>, limit: usize) -> Result<Rows, SqlError> {
        let tiny_is_bit = self.tiny_is_bit;
        let mut result = self.conn.exec_iter(sql, bound(params)).await.map_err(refused)?;
        let columns = result.columns().filter(|columns| !columns.is_empty());
        let Some(columns) = columns else {
            result.drop_result().await.map_err(refused)?;
            return Err(SqlError::statement("the statement gives no rows; only a query can be looked up with"));
        };
        let names = columns.iter().map(|column| column.name_str().into_owned()).collect();
        let mut found = Rows { columns: names, rows: Vec::new() };
        let mut size = 0;
        // What is beyond the limit is read and forgotten, as the connection has to get past it.
        while let Some(row) = result.next().await.map_err(refused)? {
            if found.rows.len() < limit && size <= MAX_RESULT {
                let values: Vec<SqlValue> = values(row, &columns, tiny_is_bit);
                size += values.iter().map(SqlValue::size).sum::<usize>();
                found.rows.push(values);
            }
        }
        result.drop_result().await.map_err(refused)?;
        if size > MAX_RESULT {
            return Err(SqlError::statement(format!("the result is larger than {MAX_RESULT} bytes")));
        }
        Ok(found)
    }

    async fn update(&mut self, sql: &Arc<str>, params: Vec<SqlValue>) -> Result<u64, SqlError> {
        let mut count = None;
        for (sql, params) in self.statements(sql, params)? {
            let result = self.conn.exec_iter(&*sql, bound(params)).await.map_err(refused)?;
            let changed = result.affected_rows();
            result.drop_result().await.map_err(refused)?;
            count.get_or_insert(changed);
        }
        Ok(count.unwrap_or(0))
    }
}

fn bound(params: Vec<SqlValue>) -> Params {
    if params.is_empty() {
        return Params::Empty;
    }
    let value = |param: SqlValue| match param {
        SqlValue::Null => Value::NULL,
        SqlValue::Bool(value) => Value::Int(value.into()),
        SqlValue::Int(value) => Value::Int(value),
        SqlValue::Float(value) => Value::Float(value),
        SqlValue::Double(value) => Value::Double(value),
        SqlValue::Bytes(bytes) => Value::Bytes(bytes),
        SqlValue::Decimal(text)
        | SqlValue::Text(text)
        | SqlValue::Date(text)
        | SqlValue::Time(text)
        | SqlValue::Timestamp(text) => Value::Bytes(text.into_bytes()),
    };
    Params::Positional(params.into_iter().map(value).collect())
}

fn values(row: Row, columns: &[Column], tiny_is_bit: bool) -> Vec<SqlValue> {
    row.unwrap_raw().into_iter().zip(columns).map(|(value, column)| read(value, column, tiny_is_bit)).collect()
}

/// What Connector/J gives for a column.
fn read(value: Option<Value>, column: &Column, tiny_is_bit: bool) -> SqlValue {
    let kind = column.column_type();
    match value {
        None | Some(Value::NULL) => SqlValue::Null,
        Some(Value::Int(value))
            if kind == ColumnType::MYSQL_TYPE_TINY && column.column_length() == 1 && tiny_is_bit =>
        {
            SqlValue::Bool(value != 0)
        }
        Some(Value::Int(value)) => SqlValue::Int(value),
        Some(Value::UInt(value)) => {
            i64::try_from(value).map_or_else(|_| SqlValue::Decimal(value.to_string()), SqlValue::Int)
        }
        Some(Value::Float(value)) => SqlValue::Float(value),
        Some(Value::Double(value)) => SqlValue::Double(value),
        Some(Value::Bytes(bytes)) => match kind {
            ColumnType::MYSQL_TYPE_DECIMAL | ColumnType::MYSQL_TYPE_NEWDECIMAL => SqlValue::Decimal(text(bytes)),
            ColumnType::MYSQL_TYPE_BIT if bytes.len() == 1 && column.column_length() == 1 => {
                SqlValue::Bool(bytes[0] != 0)
            }
            ColumnType::MYSQL_TYPE_BIT => SqlValue::Bytes(bytes),
            _ if column.character_set() == BINARY && column.flags().contains(ColumnFlags::BINARY_FLAG) => {
                SqlValue::Bytes(bytes)
            }
            _ => SqlValue::Text(text(bytes)),
        },
        Some(Value::Date(year, month, day, ..)) if kind == ColumnType::MYSQL_TYPE_DATE => {
            SqlValue::Date(format!("{year:04}-{month:02}-{day:02}"))
        }
        Some(Value::Date(year, month, day, hour, minute, second, micros)) => {
            let fraction = format!("{micros:06}");
            let fraction = fraction.trim_end_matches('0');
            let fraction = if fraction.is_empty() { "0" } else { fraction };
            SqlValue::Timestamp(format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{fraction}"))
        }
        Some(Value::Time(negative, days, hours, minutes, seconds, _)) => {
            let sign = if negative { "-" } else { "" };
            SqlValue::Time(format!("{sign}{:02}:{minutes:02}:{seconds:02}", days * 24 + u32::from(hours)))
        }
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn refused(error: Error) -> SqlError {
    match error {
        // The server ends the connection with these.
        Error::Server(cause) if matches!(cause.code, 1053 | 1317 | 1927 | 4031) => {
            SqlError::connection(cause.message).with_state(cause.state)
        }
        Error::Server(cause) => SqlError::statement(cause.message).with_state(cause.state),
        Error::Driver(cause @ (DriverError::StmtParamsMismatch { .. } | DriverError::MixedParams)) => {
            SqlError::statement(cause.to_string())
        }
        other => SqlError::connection(other.to_string()),
    }
}
