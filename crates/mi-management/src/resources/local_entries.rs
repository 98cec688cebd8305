//! `/local-entries`. MI: `LocalEntryResource`.

use mi_config::{LocalEntryConfig, LocalEntryValue};
use mi_engine::transport::HttpReply;
use serde_json::{Value, json};

use crate::answer;
use crate::artifacts::{deployed, without_nulls};
use crate::context::ManagementContext;
use crate::masks::mask;
use crate::request::Request;

/// Entries of the server itself, which MI takes from every count, also from that of a search.
const OWN_ENTRIES: i64 = 2;

pub(super) fn handle(cx: &ManagementContext, request: &Request) -> HttpReply {
    let deployed = deployed(cx);
    if let Some(name) = request.query("name") {
        let found = deployed.local_entries().find(|(entry, _)| &*entry.name == name);
        return match found {
            Some((entry, _)) => answer::ok(&whole(cx, entry)),
            None => answer::missing(format!("Reference for {name} could not be resolved")),
        };
    }
    if request.search_key().is_some() {
        let searched = request.searches();
        let found = deployed.local_entries().filter(|(entry, _)| searched(&entry.name));
        let list: Vec<Value> = found.map(|(entry, _)| whole(cx, entry)).collect();
        return answer::ok(&json!({"count": list.len() as i64 - OWN_ENTRIES, "list": list}));
    }
    answer::list(
        deployed.local_entries().map(|(entry, _)| json!({"name": &*entry.name, "type": kind(entry)})).collect(),
    )
}

fn kind(entry: &LocalEntryConfig) -> &'static str {
    match &entry.value {
        LocalEntryValue::Empty | LocalEntryValue::Text(_) => "Inline Text",
        LocalEntryValue::Xml(_) => "Inline XML",
        LocalEntryValue::Url(_) => "Source URL",
    }
}

fn whole(cx: &ManagementContext, entry: &LocalEntryConfig) -> Value {
    let value = match &entry.value {
        LocalEntryValue::Empty => String::new(),
        LocalEntryValue::Text(text) => mask(text),
        LocalEntryValue::Xml(element) => mask(&element.to_xml()),
        LocalEntryValue::Url(_) => {
            let snapshot = cx.engine.snapshot();
            snapshot.local_entries.get(&entry.name).map(|it| mask(&it.value.to_text())).unwrap_or_default()
        }
    };
    without_nulls(json!({"name": &*entry.name, "type": kind(entry), "value": value, "description": entry.description}))
}
