//! Message stores: where flows put messages for later, and where message processors take them from.
//!
//! The engine names no kind of store. Tables ([`crate::spec`]) say how a class is read from its parameters; what comes
//! out is a [`StoreKind`], kept in the snapshot and opened when the snapshot goes into service. A [`Store`] adds what all
//! of them need: claims, so that a message is with one worker at a time and stays in the store until it is acknowledged;
//! announcements of new messages; bounds; and the messages' way from one deployment into the next.
//!
//! A kind of store implements [`Backend`], four methods about entries in order. It needs to know nothing of claims.

mod claim;
mod live;
pub mod parameters;

use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use mi_config::{Diagnostic, MessageStoreConfig};
use mi_expr::Expr;
use mi_message::Message;

use crate::build::BuildCx;
use crate::snapshot::Snapshot;

pub use claim::Claim;
use live::Live;

/// Names an entry within its store. Keys grow in the order in which entries were put in.
pub type Key = u64;

/// How long a store may take to answer before it counts as unavailable.
const PATIENCE: Duration = Duration::from_secs(30);

/// A message in a store.
#[derive(Debug)]
pub struct Entry {
    /// Id that stays the same however often the message is delivered: what a back end can recognise repetitions by.
    pub id: Arc<str>,
    /// Its number, in stores that put messages into the order of a number in them.
    pub order: Option<i64>,
    /// The message; its body was read.
    pub message: Message,
}

/// Bounds of a store. What would exceed them is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most messages.
    pub messages: u64,
    /// Most bytes, by what the store itself counts.
    pub bytes: u64,
}

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It holds as much as it may; the text names the bound and its parameter.
    #[error("{0}")]
    Full(String),
    /// It cannot be reached or written at the moment. Asking again later may help. MI: `STORE_CONNECTION_ERROR`.
    #[error("{0}")]
    Unavailable(String),
    /// The message itself cannot be stored.
    #[error("{0}")]
    Refused(String),
}

/// Keeps entries in order. Every method may be called from many tasks at once.
pub trait Backend: Send + Sync + fmt::Debug {
    /// Puts an entry behind the others. It resolves when the entry is as safe as this kind of store can make it.
    fn append(&self, entry: Entry, limits: Limits) -> BoxFuture<'_, Result<(), StoreError>>;

    /// A copy of the first entry that is to be delivered next and is not among `claimed`.
    fn first(&self, claimed: Vec<Key>) -> BoxFuture<'_, Result<Option<(Key, Entry)>, StoreError>>;

    /// Takes an entry out for good. Nothing happens when it is out already.
    fn remove(&self, key: Key) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Hears that an entry which [`Backend::first`] gave is not worked off any more; it may be out.
    fn release(&self, _key: Key) {}

    /// Number of entries, claimed ones included; of a remote store, the number it last heard of.
    fn size(&self) -> u64;

    /// True when entries become ready only through [`Backend::append`] of this very object. Others are looked at again
    /// after each interval of a processor.
    fn announces_all(&self) -> bool {
        true
    }

    /// Are the entries gone when the process ends?
    fn is_volatile(&self) -> bool {
        false
    }
}

/// What a `<messageStore>` of one class was read to. Nothing is open yet.
pub trait StoreKind: Send + Sync + fmt::Debug {
    /// Names the place of the messages: two deployments of a store with the same place have the same messages, and the
    /// open store is handed from one to the next. What a store stands on, as data sources, is found in `snapshot`.
    fn place(&self, snapshot: &Snapshot) -> String;

    /// Opens the store, without waiting for anything. The error says what is wrong; it is logged and opening is tried
    /// again when the store is needed.
    fn open(&self, snapshot: &Snapshot) -> Result<Arc<dyn Backend>, StoreError>;

    /// Bounds.
    fn limits(&self) -> Limits;

    /// Computes the number by which messages are put in order. MI: `ResequenceMessageStore#getMessageSequenceId`.
    fn order_by(&self) -> Option<&Expr> {
        None
    }
}

/// A message store of a snapshot.
#[derive(Debug)]
pub struct Store {
    /// Name.
    pub name: Arc<str>,
    kind: Result<Box<dyn StoreKind>, String>,
    place: OnceLock<String>,
    live: OnceLock<Arc<Live>>,
    /// `store.failover.message.store.name`, when `store.producer.guaranteed.delivery.enable` says so.
    failover: Option<Arc<str>>,
}

/// Reads a message store. Of a class that this version does not have, messages are refused and the reason is said.
pub(crate) fn build(config: &MessageStoreConfig, cx: &mut BuildCx<'_>) -> Result<Store, Diagnostic> {
    let kind = match cx.specs().store(&config.class) {
        Some(parse) => Ok(parse(config, cx)?),
        None => {
            let why = format!("this version does not have the message store class '{}'", config.class);
            let hint =
                "use class=\"durable\" for a store that survives restarts, or leave the class out for one in memory";
            let text = format!("messages for this store are refused: {why}");
            cx.report_degraded(config.element.warning(text).hint(hint));
            Err(why)
        }
    };
    let guaranteed = config.parameter("store.producer.guaranteed.delivery.enable").is_some_and(is_true);
    let failover = config.parameter("store.failover.message.store.name").map(str::trim).filter(|it| !it.is_empty());
    Ok(Store {
        name: config.name.clone(),
        kind,
        place: OnceLock::new(),
        live: OnceLock::new(),
        failover: failover.filter(|_| guaranteed).map(Arc::from),
    })
}

fn is_true(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case("true")
}

impl Store {
    /// Goes into service: takes over what a former deployment has open for the same place, or opens it.
    pub(crate) fn start(&self, former: Option<&Self>, snapshot: &Snapshot) {
        let Ok(kind) = &self.kind else { return };
        let place = self.place.get_or_init(|| kind.place(snapshot));
        let open = former.filter(|former| former.place.get() == Some(place)).and_then(|former| former.live.get());
        match open {
            Some(live) => drop(self.live.set(live.clone())),
            None => match self.live(snapshot) {
                Ok(live) if live.size() > 0 => {
                    log::info!(target: "MessageStore", "Store [{}] has {} messages", self.name, live.size());
                }
                Ok(_) => {}
                Err(why) => log::error!(target: "MessageStore", "Store [{}] cannot be opened: {why}", self.name),
            },
        }
    }

    /// The open store; it is opened when that failed before.
    fn live(&self, snapshot: &Snapshot) -> Result<&Arc<Live>, StoreError> {
        if let Some(live) = self.live.get() {
            return Ok(live);
        }
        let kind = self.kind.as_ref().map_err(|why| StoreError::Unavailable(why.clone()))?;
        let opened = Arc::new(Live::new(self.name.clone(), kind.open(snapshot)?));
        Ok(self.live.get_or_init(|| opened))
    }

    /// Why messages of this store can never be had, when that is so.
    pub fn unsupported(&self) -> Option<&str> {
        self.kind.as_ref().err().map(String::as_str)
    }

    /// Where messages go that this store does not take.
    pub fn failover(&self) -> Option<&Arc<str>> {
        self.failover.as_ref()
    }

    /// Number of messages; `None` while the store is not open.
    pub fn size(&self) -> Option<u64> {
        self.live.get().map(|live| live.size())
    }

    /// Messages that are lost when the process ends.
    pub fn volatile_size(&self) -> u64 {
        self.live.get().filter(|live| live.backend.is_volatile()).map_or(0, |live| live.size())
    }

    /// Puts a message in, under its own `id` when it comes from another store, and else under a new one, which becomes
    /// its message id. It resolves when the message is safe. MI: `MessageConverter#toStorableMessage`.
    pub async fn put(&self, mut message: Message, id: Option<Arc<str>>, snapshot: &Snapshot) -> Result<(), StoreError> {
        let live = self.live(snapshot)?.clone();
        let kind = self.kind.as_ref().map_err(|why| StoreError::Unavailable(why.clone()))?;
        let order = kind.order_by().map(|expression| order_of(expression, &message, snapshot)).transpose()?;
        let id = id.unwrap_or_else(|| snapshot.services.clock.new_id().into());
        message.addressing.message_id = Some(id.to_string());
        let entry = Entry { id, order, message };
        match tokio::time::timeout(PATIENCE, live.backend.append(entry, kind.limits())).await {
            Ok(stored) => stored?,
            Err(_) => return Err(no_answer()),
        }
        live.announce();
        Ok(())
    }

    /// Claims the message that is next, if one is ready. `snapshot` is the one that the store is of.
    pub async fn claim(&self, snapshot: &Snapshot) -> Result<Option<Claim>, StoreError> {
        let live = self.live(snapshot)?;
        match tokio::time::timeout(PATIENCE, live.claim()).await {
            Ok(claimed) => claimed,
            Err(_) => Err(no_answer()),
        }
    }

    /// A view that changes whenever a message may have become ready; `None` for stores that have to be asked.
    pub fn arrivals(&self) -> Option<tokio::sync::watch::Receiver<u64>> {
        let live = self.live.get()?;
        live.backend.announces_all().then(|| live.arrivals())
    }
}

fn no_answer() -> StoreError {
    StoreError::Unavailable(format!("the store did not answer within {} s", PATIENCE.as_secs()))
}

fn order_of(expression: &Expr, message: &Message, snapshot: &Snapshot) -> Result<i64, StoreError> {
    let text = expression.eval_string(message, snapshot).map_err(|error| StoreError::Refused(error.to_string()))?;
    text.trim().parse().map_err(|_| {
        StoreError::Refused(format!("'{}' gave '{text}', which is no number to order messages by", expression.source()))
    })
}

impl Snapshot {
    /// Puts the stores into service, with what `former` has open.
    pub(crate) fn start_stores(&self, former: Option<&Self>) {
        for (name, store) in self.stores.iter() {
            store.start(former.and_then(|it| it.stores.by_name(name)).map(|it| &**it), self);
        }
    }
}

/// Locks a mutex whose holders never panic half way through a change.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
