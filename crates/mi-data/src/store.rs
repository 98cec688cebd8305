//! `org.apache.synapse.message.store.impl.jdbc.JDBCMessageStore`: messages in a table of a database.
//!
//! The table is MI's, made beforehand; in `message` stands this server's form of a message, not Java's. A message that was
//! written by MI, or is damaged, stays where it is, is told once, and the others go on. Several servers may fill one
//! table and empty it: each message is claimed in the database before it is delivered (`message_claims`).

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use mi_config::params::{Parameter, ParameterValue};
use mi_config::{Diagnostic, MessageStoreConfig};
use mi_engine::BuildCx;
use mi_engine::snapshot::Snapshot;
use mi_engine::spec::StoreSpec;
use mi_engine::store::parameters::{MAX_BYTES, MAX_MESSAGES, full, limits, warn_unknown};
use mi_engine::store::{Backend, Entry, Key, Limits, StoreError, StoreKind};
use mi_message::archive;
use mi_message::convert::ConvertOptions;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::error::SqlError;
use crate::mediators::connection::Setting;
use crate::message_claims::MessageClaims;
use crate::message_table::MessageTable;
use crate::pool::{Pool, PoolConfig};
use crate::source::DataSources;
use crate::url::{Target, masked};

/// The message stores of this crate.
pub const STORES: &[StoreSpec] =
    &[StoreSpec { class: "org.apache.synapse.message.store.impl.jdbc.JDBCMessageStore", parse }];

const DATA_SOURCE: &str = "store.jdbc.dsName";
const URL: &str = "store.jdbc.connection.url";
const DRIVER: &str = "store.jdbc.driver";
const USER: &str = "store.jdbc.username";
const PASSWORD: &str = "store.jdbc.password";
const CONTEXT_CLASS: &str = "store.jdbc.icClass";
const TABLE: &str = "store.jdbc.table";
/// MI: `JDBCMessageStoreConstants#JDBC_DEFAULT_TABLE_NAME`.
const DEFAULT_TABLE: &str = "jdbc_message_store";

/// Bounds are set by whoever keeps the database.
const UNBOUNDED: Limits = Limits { messages: u64::MAX, bytes: u64::MAX };
/// How long one statement may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How old the number of messages may be, which other servers change, too.
const COUNT_AGE: Duration = Duration::from_secs(5);
/// Most messages of one table that are left aside because they cannot be read.
const MAX_UNREADABLE: usize = 1000;
/// Most messages that one look finds with other servers.
const MAX_ELSEWHERE: usize = 256;
/// SQLSTATE of a value that is longer than its column.
const TOO_LONG: &str = "22001";

/// A store before it is opened.
#[derive(Debug)]
struct Jdbc {
    origin: Origin,
    table: String,
    limits: Limits,
    convert: ConvertOptions,
}

/// Where connections come from.
#[derive(Debug)]
enum Origin {
    DataSource(String),
    Own { url: Setting, user: Option<Setting>, password: Option<Setting> },
}

/// MI: `JDBCConfiguration#buildDataSource`.
fn parse(config: &MessageStoreConfig, cx: &mut BuildCx<'_>) -> Result<Box<dyn StoreKind>, Diagnostic> {
    warn_unknown(config, &[DATA_SOURCE, URL, DRIVER, USER, PASSWORD, CONTEXT_CLASS, TABLE], cx);
    if config.parameter(MAX_BYTES).is_some() {
        let text = format!("the messages of a table are not measured; {MAX_BYTES} has no effect, {MAX_MESSAGES} has");
        cx.report(config.element.warning(text));
    }
    let text = |name: &str| config.parameter(name).map(str::trim).filter(|text| !text.is_empty());
    let origin = match (text(DATA_SOURCE), setting(config, URL)?) {
        (Some(name), _) => Origin::DataSource(name.to_owned()),
        (None, Some(url)) => {
            if let Setting::Text(url) = &url {
                Target::parse(url).map_err(|why| config.element.error(why))?;
            }
            Origin::Own { url, user: setting(config, USER)?, password: setting(config, PASSWORD)? }
        }
        (None, None) => {
            let text = "the store needs a database: a data source by its name, or a connection of its own";
            return Err(config.element.error(text).hint(format!("'{DATA_SOURCE}', or '{URL}' with '{DRIVER}'")));
        }
    };
    let table = text(TABLE).unwrap_or(DEFAULT_TABLE).to_owned();
    if !MessageTable::is_name(&table) {
        return Err(config.element.error(format!("'{table}' is no name of a table")));
    }
    Ok(Box::new(Jdbc { origin, table, limits: limits(config, UNBOUNDED)?, convert: cx.settings.convert.clone() }))
}

/// A parameter that is text, a key of the registry, or an alias of the vault.
fn setting(config: &MessageStoreConfig, name: &str) -> Result<Option<Setting>, Diagnostic> {
    let found = config.parameters.iter().rev().find(|it| it.name == name);
    Ok(match found {
        Some(Parameter { value: ParameterValue::Text(text), element, .. }) if !text.trim().is_empty() => {
            Some(Setting::of_text(text.trim().to_owned(), element)?)
        }
        Some(Parameter { value: ParameterValue::Key(key), .. }) => Some(Setting::Key(key.clone())),
        _ => None,
    })
}

impl Jdbc {
    fn pool(&self, snapshot: &Snapshot) -> Result<Arc<Pool>, String> {
        let sources = snapshot.shared.get::<DataSources>().ok_or("the server has no databases")?;
        match &self.origin {
            Origin::DataSource(name) => sources.find(name),
            Origin::Own { url, user, password } => {
                let value = |setting: &Option<Setting>| setting.as_ref().map(|it| it.value(snapshot)).transpose();
                let target = Target::parse(&url.value(snapshot)?)?;
                let (user, password) = (value(user)?, value(password)?);
                Ok(sources.pool(PoolConfig { user, password, ..PoolConfig::new(target) }))
            }
        }
    }

    /// As log lines name the database.
    fn shown(&self) -> String {
        match &self.origin {
            Origin::DataSource(name) => name.clone(),
            Origin::Own { url: Setting::Text(url), .. } => masked(url),
            Origin::Own { .. } => "a key of the registry".to_owned(),
        }
    }
}

impl StoreKind for Jdbc {
    fn place(&self, snapshot: &Snapshot) -> String {
        // Equal settings have one pool for as long as somebody holds it, and the open store does.
        let pool = self.pool(snapshot).map(|pool| Arc::as_ptr(&pool) as usize).unwrap_or_default();
        format!("jdbc {pool} {}", self.table)
    }

    fn open(&self, snapshot: &Snapshot) -> Result<Arc<dyn Backend>, StoreError> {
        let pool = self.pool(snapshot).map_err(StoreError::Unavailable)?;
        let table = MessageTable::new(pool.clone(), &self.table).map_err(StoreError::Unavailable)?;
        let server = snapshot.shared.get::<DataSources>().map(DataSources::server).unwrap_or_default();
        let claims = MessageClaims::new(pool, &self.table, &server);
        log::info!(target: "JDBCConfiguration", "Messages are kept in {} of {}", self.table, self.shown());
        Ok(Arc::new(JdbcStore::new(table, claims, self.convert.clone())))
    }

    fn limits(&self) -> Limits {
        self.limits
    }
}

/// An open store.
#[derive(Debug)]
struct JdbcStore {
    table: MessageTable,
    /// Keeps other servers from the messages that this one works off.
    claims: Arc<MessageClaims>,
    convert: ConvertOptions,
    prepared: OnceCell<()>,
    /// The number of messages, as it was heard of last, and when.
    known: AtomicU64,
    counted: Mutex<Option<Instant>>,
    /// Locked for moments only.
    unreadable: Mutex<BTreeSet<i64>>,
}

impl JdbcStore {
    fn new(table: MessageTable, claims: MessageClaims, convert: ConvertOptions) -> Self {
        Self {
            table,
            claims: Arc::new(claims),
            convert,
            prepared: OnceCell::new(),
            known: AtomicU64::new(0),
            counted: Mutex::default(),
            unreadable: Mutex::default(),
        }
    }

    /// Makes the table, where this server makes it, and hears how many messages there are, now and then.
    async fn prepare(&self, until: Instant) -> Result<(), StoreError> {
        self.prepared.get_or_try_init(|| self.table.prepare(until)).await.map_err(unavailable)?;
        let due = {
            let mut counted = lock(&self.counted);
            let due = counted.is_none_or(|at| at.elapsed() >= COUNT_AGE);
            if due {
                *counted = Some(Instant::now());
            }
            due
        };
        if due {
            let count = self.table.count(until).await.inspect_err(|_| *lock(&self.counted) = None);
            self.known.store(count.map_err(unavailable)?, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn put(&self, id: Arc<str>, content: Vec<u8>, limits: Limits) -> Result<(), StoreError> {
        let until = Instant::now() + PATIENCE;
        self.prepare(until).await?;
        if self.size() >= limits.messages {
            return Err(full(MAX_MESSAGES, limits.messages));
        }
        self.table.append(&id, content, until).await.map_err(|error| match error.state.as_deref() {
            Some(TOO_LONG) => StoreError::Refused(format!("the column of the table is too short: {error}")),
            _ => unavailable(error),
        })?;
        self.known.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// The first message that can be read and is not claimed.
    async fn find(&self, claimed: &[Key]) -> Result<Option<(Key, Entry)>, StoreError> {
        let until = Instant::now() + PATIENCE;
        self.prepare(until).await?;
        // Those that other servers have, as this look has found.
        let mut elsewhere = Vec::new();
        loop {
            let taken: Vec<i64> = {
                let unreadable = lock(&self.unreadable);
                let mine = claimed.iter().map(|key| key.cast_signed());
                mine.chain(unreadable.iter().copied()).chain(elsewhere.iter().copied()).collect()
            };
            let Some(place) = self.table.oldest_but(&taken, until).await.map_err(unavailable)? else {
                return Ok(None);
            };
            if !self.claims.claim(place, until).await.map_err(unavailable)? {
                elsewhere.push(place);
                if elsewhere.len() > MAX_ELSEWHERE {
                    return Ok(None);
                }
                continue;
            }
            let Some(found) = self.table.at(place, until).await.map_err(unavailable)? else {
                // Another server has delivered it since the look at the table.
                self.claims.end(place, until).await.map_err(unavailable)?;
                continue;
            };
            match archive::decode(&found.content.into(), &self.convert) {
                Ok(message) => {
                    let entry = Entry { id: found.id.into(), order: None, message };
                    return Ok(Some((found.index.cast_unsigned(), entry)));
                }
                Err(why) => {
                    let mut unreadable = lock(&self.unreadable);
                    if unreadable.len() >= MAX_UNREADABLE {
                        let text = format!("more than {MAX_UNREADABLE} messages of the table cannot be read");
                        return Err(StoreError::Unavailable(text));
                    }
                    unreadable.insert(found.index);
                    drop(unreadable);
                    self.claims.release(found.index);
                    log::error!(
                        target: "JDBCMessageStore",
                        "The message {} with indexId {} is left in its table, as it cannot be read: {why}",
                        found.id, found.index
                    );
                }
            }
        }
    }

    async fn delete(&self, key: Key) -> Result<(), StoreError> {
        let (place, until) = (key.cast_signed(), Instant::now() + PATIENCE);
        if self.table.remove(place, until).await.map_err(unavailable)? {
            let less = |count: u64| Some(count.saturating_sub(1));
            self.known.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).ok();
        }
        // A claim that is left ends by itself, and the message is out.
        drop(self.claims.end(place, until).await);
        Ok(())
    }
}

impl Backend for JdbcStore {
    fn append(&self, entry: Entry, limits: Limits) -> BoxFuture<'_, Result<(), StoreError>> {
        let content = archive::encode(&entry.message).map_err(|error| StoreError::Refused(error.to_string()));
        Box::pin(async move { self.put(entry.id, content?, limits).await })
    }

    fn first(&self, claimed: Vec<Key>) -> BoxFuture<'_, Result<Option<(Key, Entry)>, StoreError>> {
        Box::pin(async move { self.find(&claimed).await })
    }

    fn remove(&self, key: Key) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.delete(key))
    }

    fn size(&self) -> u64 {
        self.known.load(Ordering::Relaxed)
    }

    fn release(&self, key: Key) {
        self.claims.release(key.cast_signed());
    }

    fn announces_all(&self) -> bool {
        // Other servers put messages into the table, too.
        false
    }
}

fn unavailable(error: SqlError) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
