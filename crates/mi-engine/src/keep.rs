//! State of components that outlasts deployments: the counts of throttles, what aggregates and samplers hold, the answers of
//! caches, as long as their files do not change. Endpoints and stores have means of their own, as they are found by name.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use mi_config::Element;

/// Where state belongs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    of: TypeId,
    artifact: Arc<str>,
    file: String,
    /// Line and column of the element.
    position: (u32, u32),
    /// Of the bytes of the file and of what else the state follows from.
    hash: u64,
    /// Which of the several components that one element makes in one build.
    count: u32,
}

/// Finds the state of the deployment before. It keeps nothing alive: what no deployment has any more is gone.
#[derive(Debug, Default)]
pub struct Keeper(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    states: HashMap<Key, Weak<dyn Any + Send + Sync>>,
    /// How often a key was asked for in this build.
    asked: HashMap<Key, u32>,
}

impl Keeper {
    /// A build begins.
    pub(crate) fn begin(&self) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.asked.clear();
        kept.states.retain(|_, state| state.strong_count() > 0);
    }

    /// The state of the same component in the deployment before, or a new one. `follows_from` is whatever beside the
    /// file makes the state another one. With `counts` the components that one element makes are told apart, in the
    /// order of the build; without, they share the state.
    pub(crate) fn keep<T: Any + Send + Sync>(
        &self,
        artifact: &Arc<str>,
        element: &Element,
        follows_from: &str,
        counts: bool,
        make: impl FnOnce() -> T,
    ) -> Arc<T> {
        let source = element.source();
        let mut hasher = DefaultHasher::new();
        (&source.bytes, follows_from).hash(&mut hasher);
        let mut key = Key {
            of: TypeId::of::<T>(),
            artifact: artifact.clone(),
            file: source.name.to_string(),
            position: element.position(),
            hash: hasher.finish(),
            count: 0,
        };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts {
            let asked = kept.asked.entry(key.clone()).or_default();
            key.count = *asked;
            *asked += 1;
        }
        let known = kept.states.get(&key).and_then(Weak::upgrade).and_then(|state| state.downcast::<T>().ok());
        if let Some(known) = known {
            return known;
        }
        let made = Arc::new(make());
        let state: Arc<dyn Any + Send + Sync> = made.clone();
        kept.states.insert(key, Arc::downgrade(&state));
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mi_config::SourceFile;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn element(text: &str) -> Element {
        Element::parse(SourceFile::new("a.xml", text.as_bytes().to_vec())).expect("well-formed").0
    }

    fn value(keeper: &Keeper, artifact: &str, element: &Element) -> Arc<AtomicU32> {
        keeper.keep(&artifact.into(), element, "", true, AtomicU32::default)
    }

    #[test]
    fn a_component_of_an_unchanged_file_finds_its_state() {
        let keeper = Keeper::default();
        keeper.begin();
        let first = value(&keeper, "A", &element("<a/>"));
        first.store(7, Ordering::Relaxed);
        let second = value(&keeper, "A", &element("<a/>"));
        assert_eq!(second.load(Ordering::Relaxed), 0, "another component of the same element");
        keeper.begin();
        assert_eq!(value(&keeper, "A", &element("<a/>")).load(Ordering::Relaxed), 7);
        assert_eq!(value(&keeper, "B", &element("<a/>")).load(Ordering::Relaxed), 0, "another artifact");
        assert_eq!(value(&keeper, "A", &element("<a> </a>")).load(Ordering::Relaxed), 0, "a changed file");
        let other = keeper.keep(&"A".into(), &element("<a/>"), "policy", true, AtomicU32::default);
        assert_eq!(other.load(Ordering::Relaxed), 0, "what it follows from has changed");
    }

    #[test]
    fn components_that_are_not_counted_share_their_state() {
        let keeper = Keeper::default();
        let share = || keeper.keep(&"A".into(), &element("<a/>"), "", false, AtomicU32::default);
        let first = share();
        first.store(7, Ordering::Relaxed);
        assert_eq!(share().load(Ordering::Relaxed), 7);
        assert_eq!(keeper.0.lock().unwrap().states.len(), 1);
    }

    #[test]
    fn state_goes_with_the_last_deployment_that_has_it() {
        let keeper = Keeper::default();
        keeper.begin();
        value(&keeper, "A", &element("<a/>")).store(7, Ordering::Relaxed);
        keeper.begin();
        assert_eq!(value(&keeper, "A", &element("<a/>")).load(Ordering::Relaxed), 0);
        assert_eq!(keeper.0.lock().unwrap().states.len(), 1, "nothing piles up");
    }
}
