//! JSON to XML as text, for those who want the text and no tree: the same elements as `json_to_xml` builds.

use mi_xml::escape_text;
use serde_json::{Map, Value};

use super::json_to_xml::visible;
use super::{ConvertOptions, names};

/// Deepest nesting that is written here.
const MAX_DEPTH: usize = 200;

/// The elements for `value` as they are written when they were built: those of an object's members side by side, or
/// `jsonArray` or `jsonValue`. `None` when that takes a tree: attributes, namespaces, `$` texts, switches that add something.
pub fn markup(value: &Value, options: &ConvertOptions) -> Option<String> {
    if options.write_multiple_pi || options.xml_nil {
        return None;
    }
    let mut out = Vec::new();
    match value {
        Value::Object(members) => write_members(&mut out, members, MAX_DEPTH)?,
        Value::Array(items) => write_array(&mut out, items, MAX_DEPTH)?,
        scalar => write_element(&mut out, "jsonValue", |out| {
            escape_text(out, &scalar.to_string());
            Some(())
        })?,
    }
    String::from_utf8(out).ok()
}

fn write_members(out: &mut Vec<u8>, members: &Map<String, Value>, depth: usize) -> Option<()> {
    for (name, value) in members {
        if name.starts_with('@') || name == "$" {
            return None;
        }
        let name = names::to_xml(name);
        match value {
            Value::Array(items) => {
                for item in items {
                    write_item(out, &name, item, depth)?;
                }
            }
            other => write_item(out, &name, other, depth)?,
        }
    }
    Some(())
}

/// An array without a name of its own.
fn write_array(out: &mut Vec<u8>, items: &[Value], depth: usize) -> Option<()> {
    write_element(out, "jsonArray", |out| items.iter().try_for_each(|item| write_item(out, "jsonElement", item, depth)))
}

fn write_item(out: &mut Vec<u8>, name: &str, value: &Value, depth: usize) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    match value {
        Value::Object(members) => write_element(out, name, |out| write_members(out, members, depth)),
        Value::Array(items) => write_element(out, name, |out| write_array(out, items, depth)),
        Value::Null => write_element(out, name, |_| Some(())),
        // An empty text is a node, too, so its element has two tags.
        Value::String(text) => write_tags(out, name, |out| escape_text(out, &visible(text))),
        Value::Number(number) => write_tags(out, name, |out| out.extend_from_slice(number.as_str().as_bytes())),
        Value::Bool(value) => write_tags(out, name, |out| {
            out.extend_from_slice(if *value { b"true" } else { b"false" });
        }),
    }
}

/// An element; `<name/>` without content.
fn write_element(out: &mut Vec<u8>, name: &str, content: impl FnOnce(&mut Vec<u8>) -> Option<()>) -> Option<()> {
    let start = out.len();
    out.push(b'<');
    out.extend_from_slice(name.as_bytes());
    out.push(b'>');
    let inside = out.len();
    content(out)?;
    if out.len() > inside {
        end_tag(out, name);
        return Some(());
    }
    out.truncate(start + 1 + name.len());
    out.extend_from_slice(b"/>");
    Some(())
}

/// An element with a start and an end tag.
fn write_tags(out: &mut Vec<u8>, name: &str, content: impl FnOnce(&mut Vec<u8>)) -> Option<()> {
    out.push(b'<');
    out.extend_from_slice(name.as_bytes());
    out.push(b'>');
    content(out);
    end_tag(out, name);
    Some(())
}

fn end_tag(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b"</");
    out.extend_from_slice(name.as_bytes());
    out.push(b'>');
}

#[cfg(test)]
mod tests {
    use mi_xml::Document;
    use serde_json::json;

    use super::super::json_to_xml;
    use super::*;

    /// What the tree is written as.
    fn built(value: &Value) -> String {
        let mut document = Document::new();
        let root = json_to_xml::build(&mut document, value, &ConvertOptions::default()).expect("convertible");
        if document.local_name(root) == "jsonObject" {
            return document.child_elements(root).map(|child| document.to_xml(child)).collect();
        }
        document.to_xml(root)
    }

    #[test]
    fn it_is_what_the_tree_is_written_as() {
        for value in [
            json!({}),
            json!([]),
            json!(null),
            json!("a<b"),
            json!(1.50),
            json!({"a": null, "b": "", "c": true, "d": -1, "e": "x & y\r\n\"z\" \u{1} >"}),
            json!({"a": [], "b": [1, [2, []], {"c": [null]}], "d": {}, "e": {"f": {"g": [{}]}}}),
            json!([1, [2], {"a": [3]}, null, "", []]),
            json!({"1a": 1, "b c": 2, "": 3, "größe": 4, "a:b": {"$x": 5}, "-": [6]}),
        ] {
            assert_eq!(markup(&value, &ConvertOptions::default()).as_deref(), Some(built(&value).as_str()), "{value}");
        }
    }

    #[test]
    fn what_takes_a_tree_is_left_to_it() {
        let options = ConvertOptions::default();
        for value in [json!({"a": {"@b": 1}}), json!({"a": {"$": 1}}), json!([{"@xmlns": "u"}])] {
            assert_eq!(markup(&value, &options), None, "{value}");
        }
        let nil = ConvertOptions { xml_nil: true, ..options.clone() };
        assert_eq!(markup(&json!({"a": null}), &nil), None);
        let announced = ConvertOptions { write_multiple_pi: true, ..options.clone() };
        assert_eq!(markup(&json!({"a": [1]}), &announced), None);
        let deep = (0..=MAX_DEPTH).fold(json!(1), |inner, _| json!({ "a": inner }));
        assert_eq!(markup(&deep, &options), None);
    }
}
