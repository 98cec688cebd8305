//! `<cache>` answers a request with what the back end answered to the same one before. One mediator stands in the
//! request flow and looks for the answer, another with `collector="true"` in the response flow keeps it.
//!
//! The answers belong to the mediator object of the request flow. The message takes the name of that cache along in
//! the property `CachableResponse`, by which the collector finds it.

mod config;
mod key;
mod store;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::{Context, SequenceTarget};
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator, Resume};
use mi_engine::spec::MediatorSpec;
use mi_message::{Headers, Message, Value};

use self::config::Config;
use self::key::Key;
use self::store::{Answer, Store, StoredBody, Waiting};
use super::send::SendBack;

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("cache", parse)
    .attributes(&["collector", "timeout", "maxMessageSize", "id", "hashGenerator", "scope"])
    .children(&["protocol", "onCacheHit", "implementation"]);

/// Properties of the message. MI: `CachingConstants`.
const REQUEST_HASH: &str = "requestHash";
const CACHED_OBJECT: &str = "CachableResponse";
/// Header of answers with the key that they are kept under.
const CACHE_KEY: &str = "cacheKey";

/// MI: `CacheMediator`.
#[derive(Debug)]
enum CacheMediator {
    Finder(Arc<Cache>),
    Collector,
}

/// A cache with the settings of its mediator.
#[derive(Debug)]
struct Cache {
    id: u64,
    config: Config,
    /// Held for a look-up; answers are shared, so that nothing is copied under it. It outlasts deployments.
    store: Arc<Mutex<Store>>,
}

/// Caches by id, for the collectors, which know their cache by the message only.
static CACHES: LazyLock<Mutex<HashMap<u64, Weak<Cache>>>> = LazyLock::new(Mutex::default);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cache {
    fn new(config: Config, store: Arc<Mutex<Store>>) -> Arc<Self> {
        static IDS: AtomicU64 = AtomicU64::new(1);
        let id = IDS.fetch_add(1, Ordering::Relaxed);
        let cache = Arc::new(Self { id, config, store });
        lock(&CACHES).insert(id, Arc::downgrade(&cache));
        cache
    }

    /// The cache and key that a message took along.
    fn of(message: &Message) -> Option<(Arc<Self>, Key)> {
        let (id, key) = message.properties.get_str(CACHED_OBJECT)?.split_once(':')?;
        let cache = lock(&CACHES).get(&id.parse().ok()?)?.upgrade()?;
        Some((cache, key::from_hex(key)?))
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        lock(&CACHES).remove(&self.id);
    }
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    match el.attr("collector").as_deref() {
        Some("true") => Ok(Box::new(CacheMediator::Collector)),
        Some("false") => {
            let config = Config::parse(el, cx)?;
            let store = cx.keep(el, "", || Mutex::new(Store::new(config.max_entries, config.timeout)));
            Ok(Box::new(CacheMediator::Finder(Cache::new(config, store))))
        }
        Some(_) => Err(el.error("The value for collector has to be either true or false")),
        None => Err(el.error("The collector attribute must be specified")),
    }
}

impl Mediator for CacheMediator {
    fn reads_body(&self) -> bool {
        true
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        // The answer of a `call` has the direction of the request (MI: `SynapseCallbackReceiver#handleMessage`). A collector
        // behind it is taken for what it is meant to be, where MI wants the property RESPONSE.
        let is_response = match self {
            Self::Finder(_) => cx.message.is_response(),
            Self::Collector => cx.message.is_response() || cx.response_received,
        };
        match (self, is_response) {
            (Self::Finder(cache), false) => cache.find(cx),
            (Self::Collector, true) => collect(cx),
            (Self::Collector, false) => Err(Fault::new("Request messages cannot be handled in a collector cache")),
            (Self::Finder(_), true) => Err(Fault::new("Response messages cannot be handled in a non collector cache")),
        }
    }
}

impl Cache {
    /// MI: `CacheMediator#processRequestMessage`.
    fn find(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let key = self.config.generator.key(&cx.message)?;
        let hash = key::to_hex(&key);
        cx.message.properties.set(CACHED_OBJECT, format!("{}:{hash}", self.id));
        cx.message.properties.set(REQUEST_HASH, hash);
        let method = cx.message.axis2.get("HTTP_METHOD").map(|method| method.to_text().into());
        let now = cx.snapshot.services.clock.now_millis();
        let Some(answer) = lock(&self.store).ask(key, method, now) else { return Ok(Flow::Next) };
        if self.config.http.as_ref().is_some_and(|http| http.cache_control) && must_ask(&answer, cx, now) {
            return Ok(Flow::Next);
        }
        cx.message.is_response = true;
        self.put(&answer, cx, now);
        match &self.config.on_hit {
            None => {
                cx.message.addressing.to = None;
                Ok(Flow::wait(SendBack::ending()))
            }
            Some(SequenceTarget::Named(reference)) => match cx.snapshot.sequence(reference) {
                Some(sequence) => Ok(Flow::EnterThen(sequence, Box::new(End))),
                None => Err(Fault::new(format!("Sequence named '{}' does not exist", reference.name()))),
            },
            Some(inline) => Ok(Flow::EnterThen(cx.resolve(inline)?, Box::new(End))),
        }
    }

    /// Makes the message the answer. MI: `CacheMediator#replaceEnvelopeWithCachedResponse`.
    fn put(&self, answer: &Answer, cx: &mut Context, now: i64) {
        let message = &mut cx.message;
        message.body.set(answer.body.to_native());
        message.attachments.clear();
        if message.rest {
            message.axis2.remove("NO_ENTITY_BODY");
        }
        message.headers = answer.headers.clone();
        message.axis2.set_or_remove("messageType", answer.message_type.as_deref().map(Value::from));
        message.axis2.set_or_remove("ContentType", answer.headers.get("Content-Type").map(Value::from));
        let Some(http) = &self.config.http else { return };
        if let Some(status) = answer.status {
            message.axis2.set("HTTP_SC", status);
        }
        if let Some(reason) = &answer.reason {
            message.axis2.set("HTTP_SC_DESC", reason.as_str());
        }
        if http.age {
            let age = answer.made_at.abs_diff(now) / 1000;
            message.headers.append("Age", age.to_string());
        }
    }
}

/// Is the answer too old, or must the back end say whether it still holds? It is asked with the ETag then.
/// MI: `HttpCachingFilter#isValidCacheEntry`.
fn must_ask(answer: &Answer, cx: &mut Context, now: i64) -> bool {
    let control = answer.headers.get("Cache-Control").unwrap_or_default();
    let (mut no_cache, mut max_age) = (false, None);
    for directive in control.split(',').map(str::trim) {
        no_cache |= directive.eq_ignore_ascii_case("no-cache");
        if directive.contains("max-age") {
            max_age = directive.split('=').nth(1).and_then(|seconds| seconds.parse::<i64>().ok());
        }
    }
    if let Some(max_age) = max_age.filter(|seconds| *seconds > -1)
        && answer.made_at.saturating_add(max_age.saturating_mul(1000)) < now
    {
        return true;
    }
    match answer.headers.get("ETag").filter(|tag| no_cache && !tag.is_empty()) {
        Some(tag) => {
            cx.message.headers = Headers::from_iter([("IF-None-Match", tag)]);
            true
        }
        None => false,
    }
}

/// MI: `CacheMediator#processResponseMessage`.
fn collect(cx: &mut Context) -> Result<Flow, Fault> {
    let now = cx.snapshot.services.clock.now_millis();
    let Some((cache, key)) = Cache::of(&cx.message) else {
        log::warn!(
            target: "CacheMediator",
            "{}A response message without a valid mapping to the request hash found. Unable to store the response in cache",
            cx.artifact.log_prefix
        );
        return Ok(Flow::Next);
    };
    let Some(Waiting { method, kept }) = lock(&cache.store).waiting(&key, now) else { return Ok(Flow::Next) };
    let status = cx.message.axis2.get("HTTP_SC").map(|status| status.to_text().trim().to_owned());
    if let Some(http) = &cache.config.http {
        if http.cache_control && cx.message.headers.get("Cache-Control").is_some_and(|it| it.contains("no-store")) {
            lock(&cache.store).fill(&key, None);
            return Ok(Flow::Next);
        }
        if let Some(kept) = kept.filter(|_| status.as_deref() == Some("304")) {
            cache.put(&kept, cx, now);
            cx.message.addressing.to = None;
            // The flow goes on, as MI's does.
            return Ok(Flow::wait(SendBack::going_on()));
        }
        let fits = match (&http.statuses, &status) {
            (Some(pattern), Some(status)) => pattern.fits(status),
            _ => true,
        };
        let listed =
            http.methods.is_empty() || http.methods.iter().any(|known| Some(known.as_str()) == method.as_deref());
        if !fits || !listed {
            lock(&cache.store).fill(&key, None);
            return Ok(Flow::Next);
        }
    }
    if let Some(max) = cache.config.max_message
        && store::size_of(&cx.message.body)? > max
    {
        return Ok(Flow::Next);
    }
    let answer = cache.keep(&mut cx.message, status, now)?;
    lock(&cache.store).fill(&key, Some(answer));
    Ok(Flow::Next)
}

impl Cache {
    /// The answer in the message. Its headers get the key and the message type, as MI's have them.
    fn keep(&self, message: &mut Message, status: Option<String>, now: i64) -> Result<Answer, Fault> {
        let message_type = message.axis2.get("messageType").map(|it| it.to_text().into_owned());
        let body = StoredBody::of(message.body.native()?);
        if let Some(message_type) = &message_type {
            message.headers.set("messageType", message_type.as_str());
        }
        let hash = message.properties.get(REQUEST_HASH).map(|hash| hash.to_text().into_owned()).unwrap_or_default();
        message.headers.set(CACHE_KEY, hash);
        let http = self.config.http.as_ref();
        let made_at = if http.is_some_and(|http| http.cache_control || http.age) { made_at(message, now) } else { now };
        Ok(Answer {
            body,
            headers: message.headers.clone(),
            message_type,
            status: status.and_then(|status| status.parse().ok()),
            reason: message.axis2.get("HTTP_SC_DESC").map(|it| it.to_text().into_owned()),
            made_at,
        })
    }
}

/// What the Date header says. MI: `HttpCachingFilter#setResponseCachedTime`.
fn made_at(message: &Message, now: i64) -> i64 {
    let Some(date) = message.headers.get("Date") else { return now };
    let parsed = httpdate::parse_http_date(date).ok();
    match parsed.and_then(|date| date.duration_since(std::time::UNIX_EPOCH).ok()) {
        Some(since) => since.as_millis() as i64,
        None => {
            log::warn!(target: "CacheMediator", "The Date header of an answer is no date: {date}");
            now
        }
    }
}

/// Ends the flow after the branch for hits.
struct End;

impl Resume for End {
    fn resume(self: Box<Self>, _cx: &mut Context) -> Result<Flow, Fault> {
        Ok(Flow::End)
    }
}

#[cfg(test)]
mod tests;
