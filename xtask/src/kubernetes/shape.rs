//! Compares a manifest with the shape of its kind (`shapes.yaml`): unknown kinds, fields and words, wrong types, and fields
//! that must be there.

use anyhow::{Context, Result};
use serde_yaml_ng::{Mapping, Value};

/// How much of a manifest is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of it.
    Whole,
    /// What a patch changes: nothing need be there, and `$patch` may be.
    Patch,
}

/// Every kind that is known.
pub(crate) struct Shapes {
    kinds: Mapping,
    types: Mapping,
}

/// One comparison, with what it has found so far.
struct Check<'a> {
    shapes: &'a Shapes,
    extent: Extent,
    found: Vec<String>,
}

impl Shapes {
    pub(crate) fn load() -> Result<Self> {
        let mut shapes: Mapping = serde_yaml_ng::from_str(include_str!("shapes.yaml")).context("shapes.yaml")?;
        let mut part = |name: &str| match shapes.remove(name) {
            Some(Value::Mapping(part)) => Ok(part),
            _ => Err(anyhow::anyhow!("shapes.yaml has no `{name}`")),
        };
        Ok(Self { kinds: part("kinds")?, types: part("types")? })
    }

    /// What is wrong with a manifest; nothing when it fits.
    pub(crate) fn compare(&self, manifest: &Value, extent: Extent) -> Vec<String> {
        let text = |key: &str| manifest.get(key).and_then(Value::as_str);
        let (Some(version), Some(kind)) = (text("apiVersion"), text("kind")) else {
            return vec!["apiVersion or kind is missing".to_owned()];
        };
        let Some(shape) = self.kinds.get(format!("{version} {kind}")) else {
            return vec![format!("unknown kind {kind} of {version}")];
        };
        let mut content = manifest.clone();
        if let Value::Mapping(fields) = &mut content {
            fields.remove("apiVersion");
            fields.remove("kind");
        }
        let mut check = Check { shapes: self, extent, found: Vec::new() };
        check.value(kind, shape, &content);
        check.found
    }
}

impl Check<'_> {
    fn value(&mut self, path: &str, shape: &Value, value: &Value) {
        match (shape, value) {
            (Value::Mapping(shape), Value::Mapping(value)) => self.mapping(path, shape, value),
            (Value::Sequence(shape), Value::Sequence(values)) => {
                let Some(entry) = shape.first() else { return };
                for (at, value) in values.iter().enumerate() {
                    self.value(&format!("{path}[{at}]"), entry, value);
                }
            }
            (Value::String(word), value) => self.word(path, word, value),
            _ => self.found.push(format!("{path} is of the wrong type")),
        }
    }

    fn mapping(&mut self, path: &str, shape: &Mapping, value: &Mapping) {
        for (key, value) in value {
            let Some(key) = key.as_str() else {
                self.found.push(format!("{path} has a key that is no text"));
                continue;
            };
            if key == "$patch" && self.extent == Extent::Patch {
                continue;
            }
            let inside = [key, &format!("{key}!"), "*"].into_iter().find_map(|key| shape.get(key));
            match inside {
                Some(shape) => self.value(&format!("{path}.{key}"), shape, value),
                None => self.found.push(format!("unknown field {path}.{key}")),
            }
        }
        if self.extent == Extent::Whole {
            let required = shape.keys().filter_map(|key| key.as_str()?.strip_suffix('!'));
            let missing = required.filter(|key| !value.contains_key(*key));
            self.found.extend(missing.map(|key| format!("{path}.{key} is missing")));
        }
    }

    fn word(&mut self, path: &str, word: &str, value: &Value) {
        if let Some(words) = word.strip_prefix('=') {
            if !value.as_str().is_some_and(|value| words.split('|').any(|it| it == value)) {
                self.found.push(format!("{path} is none of {words}"));
            }
            return;
        }
        let fits = match word {
            "text" => value.is_string(),
            "number" => value.is_i64() || value.is_u64(),
            "flag" => value.is_bool(),
            "amount" => value.is_string() || value.is_number(),
            "any" => true,
            name => {
                match self.shapes.types.get(name) {
                    Some(shape) => self.value(path, shape, value),
                    None => self.found.push(format!("{path}: shapes.yaml has no type {name}")),
                }
                return;
            }
        };
        if !fits {
            self.found.push(format!("{path} is no {word}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with the manifest `text`.
    fn wrong(text: &str, extent: Extent) -> Vec<String> {
        Shapes::load().unwrap().compare(&serde_yaml_ng::from_str(text).unwrap(), extent)
    }

    const BUDGET: &str = "{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: a}";

    #[test]
    fn what_does_not_fit_is_named_by_its_path() {
        for (rest, expected) in [
            (", spec: {maxUnavailable: 1, selector: {matchLabels: {a: b}}}}", None),
            (
                ", spec: {maxUnavailable: 1, selector: {matchLabel: {a: b}}}}",
                Some("unknown field PodDisruptionBudget.spec.selector.matchLabel"),
            ),
            (
                ", spec: {maxUnavailable: 1, selector: {matchLabels: {a: 1}}}}",
                Some("PodDisruptionBudget.spec.selector.matchLabels.a is no text"),
            ),
            (", spec: {maxUnavailable: 1}}", Some("PodDisruptionBudget.spec.selector is missing")),
            (", spec: []}", Some("PodDisruptionBudget.spec is of the wrong type")),
            ("}", Some("PodDisruptionBudget.spec is missing")),
        ] {
            assert_eq!(wrong(&format!("{BUDGET}{rest}"), Extent::Whole), Vec::from_iter(expected), "{rest}");
        }
        let old = BUDGET.replace("policy/v1", "policy/v1beta1") + "}";
        assert_eq!(wrong(&old, Extent::Whole), ["unknown kind PodDisruptionBudget of policy/v1beta1"]);
        assert_eq!(wrong("{metadata: {}}", Extent::Whole), ["apiVersion or kind is missing"]);
    }

    #[test]
    fn a_patch_may_leave_out_and_take_away() {
        let patch = "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, $patch: delete}";
        assert_eq!(wrong(patch, Extent::Patch), [""; 0]);
        let found = wrong(patch, Extent::Whole);
        assert_eq!(found, ["unknown field PersistentVolumeClaim.$patch", "PersistentVolumeClaim.spec is missing"]);
        let volume = "{apiVersion: v1, kind: PersistentVolumeClaim, spec: {accessModes: [ReadWriteTwice]}}";
        let expected = "PersistentVolumeClaim.spec.accessModes[0] is none of ReadWriteOnce|ReadOnlyMany|ReadWriteMany";
        assert_eq!(wrong(volume, Extent::Patch), [expected]);
    }
}
