//! What expressions find outside a message, answered by the snapshot.

use mi_expr::{ExprOptions, Lookup};
use mi_message::Value;

use crate::snapshot::Snapshot;

impl Lookup for Snapshot {
    fn local_entry(&self, key: &str) -> Option<Value> {
        self.local_entries.get(key).map(|entry| entry.value.clone())
    }

    fn registry(&self, key: &str) -> Option<Value> {
        let bytes = self.services.registry.content(key)?;
        let media_type = self.services.registry.media_type(key);
        Some(registry_value(&bytes, media_type.as_deref()))
    }

    fn registry_property(&self, key: &str, property: &str) -> Option<String> {
        self.services.registry.property(key, property)
    }

    fn config(&self, key: &str) -> Option<String> {
        self.configs.get(key).cloned()
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.services.environment.variable(name)
    }

    fn system_property(&self, name: &str) -> Option<String> {
        self.services.environment.system_property(name)
    }

    fn file_property(&self, name: &str) -> Option<String> {
        self.services.environment.file_property(name)
    }

    fn now_millis(&self) -> i64 {
        self.services.clock.now_millis()
    }

    fn zone_offset_seconds(&self, at_millis: i64) -> i32 {
        self.services.clock.zone_offset_seconds(at_millis)
    }

    fn new_id(&self) -> String {
        self.services.clock.new_id()
    }

    fn options(&self) -> &ExprOptions {
        &self.settings.expressions
    }

    fn vault(&self, alias: &str, kind: &str) -> Option<String> {
        self.services.environment.secret(alias, kind)
    }
}

/// A registry resource as a value: XML when it parses as such and does not say otherwise, JSON for a JSON media type,
/// else text. MI: `MicroIntegratorRegistry#lookup`.
pub fn registry_value(bytes: &[u8], media_type: Option<&str>) -> Value {
    let text = String::from_utf8_lossy(bytes);
    let media_type = media_type.unwrap_or_default();
    if media_type.contains("json") {
        return match serde_json::from_slice::<serde_json::Value>(bytes) {
            Ok(value) => value.into(),
            Err(_) => Value::from(&*text),
        };
    }
    if text.trim_start().starts_with('<')
        && !media_type.starts_with("text/plain")
        && let Ok(document) = mi_xml::Document::parse(bytes.to_vec())
        && let Some(root) = document.root_element()
    {
        return Value::Xml(mi_message::XmlValue { document: std::sync::Arc::new(document), nodes: vec![root] });
    }
    Value::from(&*text)
}
