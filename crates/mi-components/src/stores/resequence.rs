//! `org.apache.synapse.message.store.impl.resequencer.ResequenceMessageStore`: messages leave in the order of a number
//! that an expression finds in them, from 1 on. A gap is waited for, as long as `store.resequence.timeout` says.
//!
//! MI keeps the messages in a data base; here they are in the files of a durable store, and the number that was
//! delivered last survives a restart with them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use mi_config::params::ParameterValue;
use mi_config::{Diagnostic, MessageStoreConfig};
use mi_engine::BuildCx;
use mi_engine::snapshot::Snapshot;
use mi_engine::spec::StoreSpec;
use mi_engine::store::{Backend, Entry, Key, Limits, StoreError, StoreKind};
use mi_expr::Expr;
use mi_message::convert::ConvertOptions;
use tokio::time::Instant;

use super::durable::{self, DEFAULT_SEGMENT, DurableStore};
use super::{limits, warn_unknown};

pub(super) const SPEC: StoreSpec =
    StoreSpec { class: "org.apache.synapse.message.store.impl.resequencer.ResequenceMessageStore", parse };

const ID_PATH: &str = "store.resequence.id.path";
const TIMEOUT: &str = "store.resequence.timeout";

fn parse(config: &MessageStoreConfig, cx: &mut BuildCx<'_>) -> Result<Box<dyn StoreKind>, Diagnostic> {
    let jdbc: Vec<&str> =
        config.parameters.iter().map(|it| it.name.as_str()).filter(|name| name.starts_with("store.jdbc.")).collect();
    if !jdbc.is_empty() {
        let text = format!("the messages are kept in files of this server; {} is not used", jdbc.join(", "));
        cx.report(config.element.warning(text));
    }
    let known: Vec<&str> = [ID_PATH, TIMEOUT].into_iter().chain(jdbc).collect();
    warn_unknown(config, &known, cx);
    let order_by = config.parameters.iter().rev().find(|it| it.name == ID_PATH).and_then(|it| match &it.value {
        ParameterValue::Expression(expression) => Some(expression.clone()),
        _ => None,
    });
    let order_by = order_by.ok_or_else(|| {
        config.element.error(format!("the store needs the parameter '{ID_PATH}' with an attribute 'expression'"))
    })?;
    let text = config.parameter(TIMEOUT).map_or("", str::trim);
    let seconds: i64 = text.parse().map_err(|_| {
        config
            .element
            .error(format!("the store needs the parameter '{TIMEOUT}', a number of seconds; below 0 is without end"))
    })?;
    Ok(Box::new(Resequencing {
        store: durable::folder_of(config, cx)?,
        order_by,
        timeout: u64::try_from(seconds).ok().map(Duration::from_secs),
        limits: limits(config, durable::DEFAULT)?,
        convert: cx.settings.convert.clone(),
    }))
}

#[derive(Debug)]
struct Resequencing {
    store: std::path::PathBuf,
    order_by: Expr,
    timeout: Option<Duration>,
    limits: Limits,
    convert: ConvertOptions,
}

impl StoreKind for Resequencing {
    fn place(&self, _: &Snapshot) -> String {
        // A new time for gaps counts from the next start on.
        format!("resequence {}", self.store.display())
    }

    fn open(&self, _: &Snapshot) -> Result<Arc<dyn Backend>, StoreError> {
        let inner = DurableStore::open(&self.store, DEFAULT_SEGMENT, self.convert.clone())?;
        Ok(Arc::new(Resequencer::new(inner, self.timeout)))
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn order_by(&self) -> Option<&Expr> {
        Some(&self.order_by)
    }
}

#[derive(Debug)]
struct Resequencer {
    inner: DurableStore,
    timeout: Option<Duration>,
    /// When the gap in front of the next message is no longer waited for. MI: `nextElapsedTime`.
    patience_ends: Mutex<Instant>,
}

impl Resequencer {
    fn new(inner: DurableStore, timeout: Option<Duration>) -> Self {
        let patience_ends = Mutex::new(Instant::now() + timeout.unwrap_or_default());
        Self { inner, timeout, patience_ends }
    }

    fn gap_is_over(&self) -> bool {
        self.timeout.is_some() && *self.patience_ends.lock().unwrap_or_else(PoisonError::into_inner) < Instant::now()
    }
}

impl Backend for Resequencer {
    fn append(&self, entry: Entry, limits: Limits) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.append(entry, limits)
    }

    fn first(&self, claimed: Vec<Key>) -> BoxFuture<'_, Result<Option<(Key, Entry)>, StoreError>> {
        Box::pin(async move {
            // One after the other: the next one is not known before this one is delivered.
            if !claimed.is_empty() {
                return Ok(None);
            }
            // MI: `ResequenceMessageStore#peek`.
            self.inner.following(self.gap_is_over()).await
        })
    }

    fn remove(&self, key: Key) -> BoxFuture<'_, Result<(), StoreError>> {
        if let Some(timeout) = self.timeout {
            *self.patience_ends.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + timeout;
        }
        self.inner.remove(key)
    }

    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn announces_all(&self) -> bool {
        // A gap ends by time.
        self.timeout.is_none()
    }
}
