//! The answers that a cache holds: by key, at most so many, and not beyond their time.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use mi_message::{BodyError, Envelope, Headers, JsonBody, Native};

use super::key::Key;

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) body: StoredBody,
    pub(super) headers: Headers,
    pub(super) message_type: Option<String>,
    pub(super) status: Option<i32>,
    pub(super) reason: Option<String>,
    /// When the back end made it, in milliseconds.
    pub(super) made_at: i64,
}

/// A body that several flows can take copies of.
#[derive(Debug)]
pub(super) enum StoredBody {
    Empty,
    Xml(Envelope),
    Json(Bytes),
    Text(Arc<str>),
    Binary(Bytes),
}

impl StoredBody {
    /// A copy of a body. JSON is kept as its text.
    pub(super) fn of(native: &Native) -> Self {
        match native {
            Native::Empty => Self::Empty,
            Native::Xml(envelope) => Self::Xml(envelope.clone()),
            Native::Json(json) => Self::Json(json.text().clone()),
            Native::Text(text) => Self::Text(text.clone()),
            Native::Binary(bytes) => Self::Binary(bytes.clone()),
        }
    }

    /// A copy for a message.
    pub(super) fn to_native(&self) -> Native {
        match self {
            Self::Empty => Native::Empty,
            Self::Xml(envelope) => Native::Xml(envelope.clone()),
            Self::Json(text) => Native::Json(JsonBody::from_text(text.clone())),
            Self::Text(text) => Native::Text(text.clone()),
            Self::Binary(bytes) => Native::Binary(bytes.clone()),
        }
    }
}

/// Bytes of a body: of the JSON text, else of the envelope around it.
pub(super) fn size_of(body: &mi_message::Body) -> Result<usize, BodyError> {
    if let Native::Json(json) = body.native()? {
        return Ok(json.text().len());
    }
    let envelope = body.envelope()?;
    let mut bytes = Vec::new();
    envelope.document().write(envelope.envelope(), &mut bytes);
    Ok(bytes.len())
}

/// A request whose answer has come.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Its method.
    pub(super) method: Option<Arc<str>>,
    /// The answer that there is already.
    pub(super) kept: Option<Arc<Answer>>,
}

/// The entries of one cache. An entry begins with the request and lasts from there, filled or not; when there are too
/// many, the one that was not asked for for the longest time goes. MI: Guava's `LoadingCache`.
#[derive(Debug)]
pub(super) struct Store {
    entries: HashMap<Key, Entry>,
    by_use: BTreeMap<u64, Key>,
    /// Entries in the order of their beginning; some may be gone.
    by_age: VecDeque<(u64, i64, Key)>,
    uses: u64,
    max_entries: usize,
    timeout: i64,
}

#[derive(Debug)]
struct Entry {
    began: i64,
    /// Tells the entry from an earlier one of the same key.
    birth: u64,
    last_use: u64,
    method: Option<Arc<str>>,
    answer: Option<Arc<Answer>>,
}

impl Store {
    pub(super) fn new(max_entries: usize, timeout: i64) -> Self {
        Self {
            entries: HashMap::new(),
            by_use: BTreeMap::new(),
            by_age: VecDeque::new(),
            uses: 0,
            max_entries,
            timeout,
        }
    }

    /// The answer for a request; without one an entry begins that waits for it.
    pub(super) fn ask(&mut self, key: Key, method: Option<Arc<str>>, now: i64) -> Option<Arc<Answer>> {
        self.drop_expired(now);
        self.uses += 1;
        let this_use = self.uses;
        if let Some(entry) = self.entries.get_mut(&key) {
            self.by_use.remove(&entry.last_use);
            self.by_use.insert(this_use, key);
            entry.last_use = this_use;
            entry.method = method;
            return entry.answer.clone();
        }
        if self.max_entries == 0 || self.timeout <= 0 {
            return None;
        }
        if self.entries.len() >= self.max_entries
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.entries.remove(&oldest);
        }
        let entry = Entry { began: now, birth: this_use, last_use: this_use, method, answer: None };
        self.entries.insert(key, entry);
        self.by_use.insert(this_use, key);
        self.by_age.push_back((this_use, now, key));
        None
    }

    fn drop_expired(&mut self, now: i64) {
        while let Some((birth, began, key)) = self.by_age.front().copied() {
            let is_gone = self.entries.get(&key).is_none_or(|entry| entry.birth != birth);
            if !is_gone {
                if now.saturating_sub(began) < self.timeout {
                    return;
                }
                self.remove(&key);
            }
            self.by_age.pop_front();
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.by_use.remove(&entry.last_use);
        }
    }

    /// What waits for an answer under `key`. `None` when the entry is gone.
    pub(super) fn waiting(&self, key: &Key, now: i64) -> Option<Waiting> {
        let entry = self.entries.get(key)?;
        let lives = now.saturating_sub(entry.began) < self.timeout;
        lives.then(|| Waiting { method: entry.method.clone(), kept: entry.answer.clone() })
    }

    /// Fills the entry of `key`, or empties it.
    pub(super) fn fill(&mut self, key: &Key, answer: Option<Answer>) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.answer = answer.map(Arc::new);
        }
    }
}

#[cfg(test)]
mod tests {
    use mi_message::Headers;

    use super::{Answer, Key, Store, StoredBody};

    fn key(letter: char) -> Key {
        [letter as u8; 32]
    }

    fn answer() -> Answer {
        Answer {
            body: StoredBody::Empty,
            headers: Headers::new(),
            message_type: None,
            status: None,
            reason: None,
            made_at: 0,
        }
    }

    /// Asks for keys, one a millisecond, and fills what is missing; tells the hits.
    #[track_caller]
    fn check(max_entries: usize, timeout: i64, asked: &str, hits: &str) {
        let mut store = Store::new(max_entries, timeout);
        let found: String = asked
            .chars()
            .enumerate()
            .map(|(now, letter)| {
                let hit = store.ask(key(letter), None, now as i64).is_some();
                if !hit {
                    store.fill(&key(letter), Some(answer()));
                }
                if hit { letter } else { '-' }
            })
            .collect();
        assert_eq!(found, hits);
        assert!(store.entries.len() <= max_entries && store.by_use.len() == store.entries.len());
    }

    #[test]
    fn the_least_recently_used_goes() {
        check(2, 100, "abab", "--ab");
        check(2, 100, "abcba", "---b-");
        check(2, 100, "abacab", "--a-a-");
        check(0, 100, "aa", "--");
    }

    #[test]
    fn entries_last_from_the_first_request() {
        check(9, 3, "aaaaaa", "-aa-aa");
        check(9, 0, "aa", "--");
        check(1, 3, "abababab", "--------");
    }

    #[test]
    fn an_entry_that_is_gone_takes_no_answer() {
        let mut store = Store::new(1, 5);
        store.ask(key('a'), Some("GET".into()), 0);
        assert!(store.waiting(&key('a'), 4).is_some_and(|it| it.method.as_deref() == Some("GET") && it.kept.is_none()));
        assert!(store.waiting(&key('a'), 5).is_none());
        store.ask(key('b'), None, 1);
        store.fill(&key('a'), Some(answer()));
        assert!(store.ask(key('a'), None, 2).is_none());
    }
}
