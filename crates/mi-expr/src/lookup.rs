//! What expressions find outside a message. The engine implements [`Lookup`]; nothing here opens anything.

use mi_message::Value;

/// Switches of expression evaluation, from `deployment.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExprOptions {
    /// A path of `json-eval` over a property that finds nothing gives the empty text instead of a fault.
    /// MI: `synapse.jsonpath.ignore.not.found.error`.
    pub ignore_missing_json_path: bool,
}

/// Everything outside a message. All look-ups are in memory and must not block.
pub trait Lookup {
    /// A local entry.
    fn local_entry(&self, key: &str) -> Option<Value>;
    /// The content of a registry resource (`conf:`, `gov:`, `resources:` or plain): text, XML or JSON by media type.
    fn registry(&self, key: &str) -> Option<Value>;
    /// A property of a registry resource.
    fn registry_property(&self, key: &str, property: &str) -> Option<String>;
    /// A value that an application declares as configurable (`configs.x`).
    fn config(&self, key: &str) -> Option<String>;
    /// An environment variable.
    fn environment(&self, name: &str) -> Option<String>;
    /// A Java system property, as far as the server has an equivalent.
    fn system_property(&self, name: &str) -> Option<String>;
    /// A value of `conf/file.properties`.
    fn file_property(&self, name: &str) -> Option<String>;
    /// Milliseconds since 1970.
    fn now_millis(&self) -> i64;
    /// Seconds that the server's time zone is ahead of UTC at an instant.
    fn zone_offset_seconds(&self, at_millis: i64) -> i32;
    /// An id (`urn:uuid:…`) for a message that has none.
    fn new_id(&self) -> String;
    /// A secret. `kind` is `ENV`, `FILE`, `DOCKER` or `REG`; empty for the default.
    fn vault(&self, alias: &str, kind: &str) -> Option<String>;
    /// A secret of a HashiCorp vault.
    fn hashicorp(&self, namespace: Option<&str>, path: &str, field: &str) -> Option<String> {
        let _ = (namespace, path, field);
        None
    }
    /// Switches.
    fn options(&self) -> &ExprOptions {
        const DEFAULT: &ExprOptions = &ExprOptions { ignore_missing_json_path: false };
        DEFAULT
    }
}

/// A world without anything, at a fixed time in UTC. For tests and for checking configurations.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLookup;

impl NoLookup {
    /// The fixed time: 2024-01-02T03:04:05.678Z.
    pub const NOW_MILLIS: i64 = 1_704_164_645_678;
}

impl Lookup for NoLookup {
    fn local_entry(&self, _key: &str) -> Option<Value> {
        None
    }

    fn registry(&self, _key: &str) -> Option<Value> {
        None
    }

    fn registry_property(&self, _key: &str, _property: &str) -> Option<String> {
        None
    }

    fn config(&self, _key: &str) -> Option<String> {
        None
    }

    fn environment(&self, _name: &str) -> Option<String> {
        None
    }

    fn system_property(&self, _name: &str) -> Option<String> {
        None
    }

    fn file_property(&self, _name: &str) -> Option<String> {
        None
    }

    fn now_millis(&self) -> i64 {
        Self::NOW_MILLIS
    }

    fn zone_offset_seconds(&self, _at_millis: i64) -> i32 {
        0
    }

    fn new_id(&self) -> String {
        "urn:uuid:00000000-0000-4000-8000-000000000000".to_owned()
    }

    fn vault(&self, _alias: &str, _kind: &str) -> Option<String> {
        None
    }
}
