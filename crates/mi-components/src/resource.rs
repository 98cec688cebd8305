//! What a key stands for: a local entry, else a resource of the registry. MI: `MessageContext#getEntry`.
//!
//! [`Cached`] keeps what was compiled from resources for as long as they do not change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;

use mi_engine::build::BuildCx;
use mi_engine::snapshot::Snapshot;
use mi_expr::Lookup;
use mi_message::Value;

use crate::xml;

/// The value behind `key`.
pub(crate) fn value(snapshot: &Snapshot, key: &str) -> Option<Value> {
    snapshot.local_entry(key).or_else(|| snapshot.registry(key))
}

/// The text behind `key` as it was stored; XML entries are written out.
pub(crate) fn text(snapshot: &Snapshot, key: &str, layout: Layout) -> Option<String> {
    Source::of(snapshot, key).text(layout)
}

/// How [`text`] writes XML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Without white space between elements.
    Compact,
    /// As it is.
    Verbatim,
}

/// What a key stands for at a moment.
#[derive(Debug)]
enum Source {
    Missing,
    Entry(Value),
    Registry(Bytes),
}

impl Source {
    fn of(snapshot: &Snapshot, key: &str) -> Self {
        if let Some(entry) = snapshot.local_entry(key) {
            return Self::Entry(entry);
        }
        snapshot.services.registry.content(key).map_or(Self::Missing, Self::Registry)
    }

    fn text(&self, layout: Layout) -> Option<String> {
        match (self, layout) {
            (Self::Missing, _) => None,
            (Self::Entry(Value::Xml(xml)), Layout::Compact) => {
                Some(xml.nodes.iter().map(|node| xml::without_indentation(&xml.document, *node)).collect())
            }
            (Self::Entry(entry), _) => Some(entry.to_text().into_owned()),
            (Self::Registry(bytes), layout) => {
                let text = String::from_utf8_lossy(bytes).into_owned();
                if layout == Layout::Compact
                    && text.trim_start().starts_with('<')
                    && let Ok(parsed) = xml::parse(&text)
                {
                    let written = parsed.nodes.iter().map(|it| xml::without_indentation(&parsed.document, *it));
                    return Some(written.collect());
                }
                Some(text)
            }
        }
    }

    /// Entries are compared by identity: those of a snapshot never change.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Missing, Self::Missing) => true,
            (Self::Registry(one), Self::Registry(other)) => {
                // As long as a resource is unchanged, its bytes are the same ones.
                (one.as_ptr() == other.as_ptr() && one.len() == other.len()) || one == other
            }
            (Self::Entry(Value::Xml(one)), Self::Entry(Value::Xml(other))) => {
                Arc::ptr_eq(&one.document, &other.document) && one.nodes == other.nodes
            }
            (Self::Entry(one), Self::Entry(other)) => {
                !matches!((one, other), (Value::Xml(_), _) | (_, Value::Xml(_))) && one.to_text() == other.to_text()
            }
            _ => false,
        }
    }
}

/// Keys with what they stood for.
type Sources = Vec<(Arc<str>, Source)>;

/// Reads resources for something that is compiled, and notes which ones. Clones share their notes.
#[derive(Clone)]
pub(crate) struct Reader {
    snapshot: Arc<Snapshot>,
    read: Arc<Mutex<Sources>>,
}

impl Reader {
    /// A reader that has read nothing.
    pub(crate) fn new(snapshot: &Arc<Snapshot>) -> Self {
        Self { snapshot: snapshot.clone(), read: Arc::default() }
    }

    /// As [`text`].
    pub(crate) fn text(&self, key: &str, layout: Layout) -> Option<String> {
        let source = Source::of(&self.snapshot, key);
        let text = source.text(layout);
        self.note(key, source);
        text
    }

    /// As [`value`].
    pub(crate) fn value(&self, key: &str) -> Option<Value> {
        self.note(key, Source::of(&self.snapshot, key));
        value(&self.snapshot, key)
    }

    fn note(&self, key: &str, source: Source) {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).push((key.into(), source));
    }
}

/// Where the parts of what is compiled come from: the deployment that runs, or the one that is being built.
pub(crate) trait Texts {
    /// The text behind a key as it was stored.
    fn text_of(&self, key: &str) -> Option<String>;
}

impl Texts for Reader {
    fn text_of(&self, key: &str) -> Option<String> {
        self.text(key, Layout::Verbatim)
    }
}

impl Texts for BuildCx<'_> {
    fn text_of(&self, key: &str) -> Option<String> {
        self.resource(key).map(|value| value.to_text().into_owned())
    }
}

/// Most things that one [`Cached`] keeps; a dynamic key may name any number of them.
const MAX_KEPT: usize = 100;

/// What was compiled from resources, by a key. It is compiled anew once any of the resources that were read for it has
/// changed, come or gone.
#[derive(Debug)]
pub(crate) struct Cached<T> {
    kept: RwLock<HashMap<Arc<str>, Kept<T>>>,
}

#[derive(Debug)]
struct Kept<T> {
    compiled: Arc<T>,
    read: Arc<Sources>,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self { kept: RwLock::default() }
    }
}

impl<T> Cached<T> {
    /// What is kept under `key`, or what `compile` makes. No lock is held meanwhile; two messages may compile at once.
    pub(crate) fn get<E>(
        &self,
        key: &str,
        snapshot: &Arc<Snapshot>,
        compile: impl FnOnce(&Reader) -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let known = {
            let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
            kept.get(key).map(|known| (known.compiled.clone(), known.read.clone()))
        };
        if let Some((compiled, read)) = known
            && read.iter().all(|(key, source)| source.is_same(&Source::of(snapshot, key)))
        {
            return Ok(compiled);
        }
        let reader = Reader::new(snapshot);
        let compiled = Arc::new(compile(&reader)?);
        let read = std::mem::take(&mut *reader.read.lock().unwrap_or_else(PoisonError::into_inner));
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(key.into(), Kept { compiled: compiled.clone(), read: Arc::new(read) });
        Ok(compiled)
    }
}

/// `<resource location="…" key="…"/>`: keys by the locations that something includes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resources(Vec<(String, String)>);

impl Resources {
    /// Reads the `<resource>` children. MI: `ResourceMapFactory`.
    pub(crate) fn parse(el: &mi_config::Element) -> Result<Self, mi_config::Diagnostic> {
        let pair = |it: mi_config::Element| {
            Ok((it.require_attr("location")?.into_owned(), it.require_attr("key")?.into_owned()))
        };
        el.children_named("resource").map(pair).collect::<Result<Vec<_>, _>>().map(Self)
    }

    /// The key that stands for a location.
    pub(crate) fn key_of(&self, location: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == location).map(|(_, key)| key.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use mi_engine::snapshot::Snapshot;

    use super::{Cached, Layout};
    use crate::testing::Flowing;

    /// Compiles `a` with what it includes, counting.
    fn compile(cached: &Cached<String>, snapshot: &Arc<Snapshot>, count: &Cell<u32>) -> String {
        let compiled = cached.get("a", snapshot, |reader| {
            count.set(count.get() + 1);
            let main = reader.text("a", Layout::Compact).ok_or("no a")?;
            Ok::<_, &str>(main + &reader.text("b", Layout::Verbatim).unwrap_or_default())
        });
        compiled.map_or_else(str::to_owned, |it| it.to_string())
    }

    #[test]
    fn a_change_of_anything_that_was_read_counts() {
        let deployed = Flowing::of("<drop/>").text_entry("e", "x").deploy();
        let (cached, count) = (Cached::default(), Cell::new(0));
        let check = |change: Option<(&str, Option<&str>)>, expected: &str, compiled: u32| {
            if let Some((key, text)) = change {
                deployed.write_registry(key, text);
            }
            assert_eq!(compile(&cached, deployed.snapshot(), &count), expected);
            assert_eq!(count.get(), compiled, "{change:?}");
        };
        check(None, "no a", 1);
        check(None, "no a", 2);
        check(Some(("a", Some("<a>\n<b/></a>"))), "<a><b/></a>", 3);
        check(None, "<a><b/></a>", 3);
        check(Some(("b", Some("2"))), "<a><b/></a>2", 4);
        check(Some(("c", Some("3"))), "<a><b/></a>2", 4);
        check(Some(("b", Some("4"))), "<a><b/></a>4", 5);
        check(Some(("b", None)), "<a><b/></a>", 6);
    }
}
