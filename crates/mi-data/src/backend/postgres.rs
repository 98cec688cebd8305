//! PostgreSQL over tokio-postgres.
//!
//! Parameters go as text, so that the server reads them as the type that the statement needs; columns come in the binary form
//! and are read by their type. Statements are prepared once for each connection.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Config, Statement};

use super::postgres_types::Cell;
use super::{Answer, Isolation, MAX_RESULT, Rows, Session, Work};
use crate::error::{SqlError, SqlErrorKind};
use crate::pool::PoolConfig;
use crate::script::{Dialect, Part, parts};
use crate::tls::{self, Trust};
use crate::url::Server;
use crate::value::SqlValue;

/// Statements that one connection keeps prepared.
const PREPARED: usize = 128;

/// A connection.
struct Postgres {
    client: Client,
    prepared: HashMap<Arc<str>, Arc<[Prepared]>>,
}

struct Prepared {
    statement: Statement,
    params: usize,
}

/// Opens a connection. It has to be called on the runtime on which the connection is to live.
pub(crate) async fn open(server: &Server, pool: &PoolConfig) -> Result<Box<dyn Session>, SqlError> {
    let mut config = Config::new();
    config
        .host(&server.host)
        .port(server.port)
        .application_name(server.setting("ApplicationName").unwrap_or("micro-integrator"));
    let user = pool.user.as_deref().or_else(|| server.setting("user")).unwrap_or("postgres");
    config.user(user);
    if let Some(password) = pool.password.as_deref().or_else(|| server.setting("password")) {
        config.password(password);
    }
    config.dbname(if server.database.is_empty() { user } else { &server.database });
    if let Some(schema) = server.setting("currentSchema") {
        config.options(format!("-c search_path={}", schema.replace('\\', "\\\\").replace(' ', "\\ ")));
    }
    let root = server.setting("sslrootcert").map(str::to_owned);
    let mode = server.setting("sslmode").unwrap_or(match server.setting("ssl") {
        Some("true" | "") => "verify-full",
        _ => "prefer",
    });
    let (mode, trust) = match mode {
        "disable" => (SslMode::Disable, Trust::Anybody),
        "allow" | "prefer" => (SslMode::Prefer, Trust::Anybody),
        "require" if root.is_none() => (SslMode::Require, Trust::Anybody),
        "require" | "verify-ca" | "verify-full" => (SslMode::Require, Trust::Issuers(root)),
        other => return Err(SqlError::new(SqlErrorKind::Setup, format!("'{other}' is no sslmode"))),
    };
    config.ssl_mode(mode);
    let tls = Tls(tls::client(&trust)?);
    let (client, connection) = config.connect(tls).await.map_err(refused)?;
    tokio::spawn(async move {
        // Ends when the client is dropped; what goes wrong before is told to whoever waits for an answer.
        if let Err(error) = connection.await {
            log::debug!("A connection to PostgreSQL ended: {error}");
        }
    });
    Ok(Box::new(Postgres { client, prepared: HashMap::new() }))
}

impl Session for Postgres {
    fn run(&mut self, work: Work) -> BoxFuture<'_, Result<Answer, SqlError>> {
        Box::pin(async move {
            let command = match work {
                Work::Query { sql, params, limit } => {
                    let mut rows = self.query(&sql, &params, limit).await;
                    if rows.as_ref().is_err_and(is_outdated) {
                        // A table has changed since the statement was prepared.
                        self.prepared.remove(&sql);
                        rows = self.query(&sql, &params, limit).await;
                    }
                    return rows.map(Answer::Rows);
                }
                Work::Update { sql, params } => return self.update(&sql, &params).await.map(Answer::Count),
                Work::Begin(None) => "BEGIN",
                Work::Begin(Some(Isolation::ReadUncommitted)) => "BEGIN ISOLATION LEVEL READ UNCOMMITTED",
                Work::Begin(Some(Isolation::ReadCommitted)) => "BEGIN ISOLATION LEVEL READ COMMITTED",
                Work::Begin(Some(Isolation::RepeatableRead)) => "BEGIN ISOLATION LEVEL REPEATABLE READ",
                Work::Begin(Some(Isolation::Serializable)) => "BEGIN ISOLATION LEVEL SERIALIZABLE",
                Work::Commit => "COMMIT",
                Work::Rollback => "ROLLBACK",
                Work::Ping => "",
            };
            self.client.batch_execute(command).await.map(|()| Answer::Done).map_err(refused)
        })
    }
}

impl Postgres {
    async fn query(&mut self, sql: &Arc<str>, params: &[SqlValue], limit: usize) -> Result<Rows, SqlError> {
        let statements = self.prepare(sql, params.len()).await?;
        let mut found = None;
        let mut used = 0;
        for it in statements.iter() {
            let own = &params[used..used + it.params];
            used += it.params;
            if found.is_some() {
                self.client.execute_raw(&it.statement, own).await.map_err(refused)?;
                continue;
            }
            if it.statement.columns().is_empty() {
                return Err(SqlError::statement("the statement gives no rows; only a query can be looked up with"));
            }
            found = Some(self.rows(&it.statement, own, limit).await?);
        }
        found.ok_or_else(|| SqlError::statement("the statement is empty"))
    }

    async fn rows(&self, statement: &Statement, params: &[SqlValue], limit: usize) -> Result<Rows, SqlError> {
        let columns: Arc<[String]> = statement.columns().iter().map(|column| column.name().to_owned()).collect();
        let mut found = Rows { columns, rows: Vec::new() };
        let stream = self.client.query_raw(statement, params).await.map_err(refused)?;
        let mut stream = std::pin::pin!(stream);
        let mut size = 0;
        while let Some(row) = stream.try_next().await.map_err(refused)? {
            if found.rows.len() >= limit {
                // The rest is read and forgotten, as the connection has to get past it.
                continue;
            }
            let mut values = Vec::with_capacity(row.len());
            for at in 0..row.len() {
                let Cell(value) = row.try_get(at).map_err(refused)?;
                size += value.size();
                values.push(value);
            }
            if size > MAX_RESULT {
                return Err(SqlError::statement(format!("the result is larger than {MAX_RESULT} bytes")));
            }
            found.rows.push(values);
        }
        Ok(found)
    }

    /// The count of the first statement, as JDBC gives it.
    async fn update(&mut self, sql: &Arc<str>, params: &[SqlValue]) -> Result<u64, SqlError> {
        // What a script makes is there only when the statements before have run.
        let script = parts(sql, Dialect::Postgres);
        if script.len() > 1 {
            return self.script(&script, params).await;
        }
        let statements = self.prepare(sql, params.len()).await?;
        let Some(it) = statements.first() else { return Ok(0) };
        self.change(&it.statement, params).await
    }

    async fn script(&self, script: &[Part], params: &[SqlValue]) -> Result<u64, SqlError> {
        check_count(script.iter().map(|it| it.params).sum(), params.len())?;
        let (mut count, mut used) = (None, 0);
        for part in script {
            let statement = self.client.prepare(&part.sql).await.map_err(refused)?;
            let changed = self.change(&statement, &params[used..used + part.params]).await?;
            used += part.params;
            count.get_or_insert(changed);
        }
        Ok(count.unwrap_or(0))
    }

    async fn change(&self, statement: &Statement, params: &[SqlValue]) -> Result<u64, SqlError> {
        self.client.execute_raw(statement, params).await.map_err(refused)
    }

    async fn prepare(&mut self, sql: &Arc<str>, given: usize) -> Result<Arc<[Prepared]>, SqlError> {
        if let Some(known) = self.prepared.get(sql) {
            check_count(known.iter().map(|it| it.params).sum(), given)?;
            return Ok(known.clone());
        }
        let parts = parts(sql, Dialect::Postgres);
        check_count(parts.iter().map(|it| it.params).sum(), given)?;
        let mut statements = Vec::with_capacity(parts.len());
        for Part { sql, params } in &parts {
            let statement = self.client.prepare(sql).await.map_err(refused)?;
            statements.push(Prepared { statement, params: *params });
        }
        if self.prepared.len() >= PREPARED {
            self.prepared.clear();
        }
        let statements: Arc<[Prepared]> = statements.into();
        self.prepared.insert(sql.clone(), statements.clone());
        Ok(statements)
    }
}

/// `cached plan must not change result type`, said before anything has run.
fn is_outdated(error: &SqlError) -> bool {
    error.state.as_deref() == Some("0A000") && error.message.contains("cached plan")
}

fn check_count(wanted: usize, given: usize) -> Result<(), SqlError> {
    if wanted == given {
        return Ok(());
    }
    Err(SqlError::statement(format!("the statement has {wanted} parameters, and {given} are given")))
}

fn refused(error: tokio_postgres::Error) -> SqlError {
    match error.as_db_error() {
        Some(cause) => {
            let kind = match cause.code().code() {
                // Connections that the server ends, and those that it does not let in.
                code if code.starts_with("57P") || code.starts_with("08") || code.starts_with("28") => {
                    SqlErrorKind::Connection
                }
                "53300" | "3D000" => SqlErrorKind::Connection,
                _ => SqlErrorKind::Statement,
            };
            let detail = cause.detail().map_or(String::new(), |detail| format!(" ({detail})"));
            SqlError::new(kind, format!("{}{detail}", cause.message())).with_state(cause.code().code())
        }
        None => {
            let cause = error.source().map_or(String::new(), |cause| format!(": {cause}"));
            let kind = if error.is_closed() || error.source().is_some_and(|it| it.is::<std::io::Error>()) {
                SqlErrorKind::Connection
            } else {
                SqlErrorKind::Statement
            };
            SqlError::new(kind, format!("{error}{}", if error.to_string().ends_with(&cause) { "" } else { &cause }))
        }
    }
}

/// A parameter goes as text.
impl ToSql for SqlValue {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Self::Null => return Ok(IsNull::Yes),
            Self::Bytes(bytes) => {
                out.extend_from_slice(b"\\x");
                for byte in bytes {
                    out.extend_from_slice(format!("{byte:02x}").as_bytes());
                }
            }
            Self::Timestamp(text) => out.extend_from_slice(text.as_bytes()),
            other => out.extend_from_slice(other.to_text().unwrap_or_default().as_bytes()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// Makes connections over TLS.
#[derive(Clone)]
struct Tls(Arc<rustls::ClientConfig>);

struct TlsTo {
    config: Arc<rustls::ClientConfig>,
    name: Option<ServerName<'static>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Tls {
    type Stream = Secured<S>;
    type TlsConnect = TlsTo;
    type Error = std::convert::Infallible;

    fn make_tls_connect(&mut self, domain: &str) -> Result<TlsTo, Self::Error> {
        Ok(TlsTo { config: self.0.clone(), name: ServerName::try_from(domain.to_owned()).ok() })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for TlsTo {
    type Stream = Secured<S>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Secured<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let name = self.name.ok_or_else(|| std::io::Error::other("the host is no name for TLS"))?;
            tokio_rustls::TlsConnector::from(self.config).connect(name, stream).await.map(Secured)
        })
    }
}

/// A stream over TLS.
struct Secured<S>(tokio_rustls::client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Secured<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Secured<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Secured<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
