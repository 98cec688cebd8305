//! How the payloads of the parts become one: elements side by side in the SOAP Body, or JSON values in an array or one
//! object. MI: `AggregateMediator#getAggregatedMessage`, `EIPUtils`.

use mi_config::{Diagnostic, Element};
use mi_engine::fault::Fault;
use mi_engine::snapshot::Snapshot;
use mi_expr::Expr;
use mi_message::{Body, Envelope, Message, Native, Value, XmlValue};
use mi_xml::{Document, NodeId};
use serde_json::{Map, Value as Json};

use crate::payload;

/// Deepest nesting that objects are merged to.
const MAX_DEPTH: usize = 100;

/// How to merge.
#[derive(Debug)]
pub(super) struct Merge {
    /// `None`: the first element of the Body.
    expression: Option<Expr>,
    /// The property with the element around the result.
    enclosing: Option<String>,
    /// Objects become one object instead of an array.
    into_object: bool,
}

impl Merge {
    pub(super) fn parse(el: &Element) -> Result<Self, Diagnostic> {
        Ok(Self {
            expression: el.expr("expression")?,
            enclosing: el.attr("enclosingElementProperty").map(|it| it.into_owned()),
            into_object: el.attr("aggregateElementType").as_deref() == Some("child"),
        })
    }

    fn name(&self) -> &str {
        self.expression.as_ref().map_or(
            "/s11:Envelope/s11:Body/child::*[position()=1] | /s12:Envelope/s12:Body/child::*[position()=1]",
            Expr::source,
        )
    }

    /// The body of the whole, by the kind of the first part.
    pub(super) fn merge(&self, messages: &mut [Message], snapshot: &Snapshot) -> Result<Body, Fault> {
        match &self.expression {
            Some(path) if path.is_json_path() => self.json(path, messages, snapshot),
            _ => self.xml(messages, snapshot),
        }
    }

    fn enclosing_element(&self, first: Option<&Message>) -> Result<Option<XmlValue>, Fault> {
        let Some(name) = &self.enclosing else { return Ok(None) };
        match first.and_then(|message| message.properties.get(name)) {
            Some(Value::Xml(element)) if !element.nodes.is_empty() => Ok(Some(element.clone())),
            Some(_) => {
                Err(Fault::new(format!("Enclosing Element defined in the property: {name} is not an OMElement ")))
            }
            None => Err(Fault::new(format!("Enclosing Element property: {name} not found "))),
        }
    }

    fn xml(&self, messages: &mut [Message], snapshot: &Snapshot) -> Result<Body, Fault> {
        let enclosing = self.enclosing_element(messages.first())?;
        let Some((first, others)) = messages.split_first_mut() else { return Ok(Body::empty()) };
        let matching = self.matching(first, snapshot)?;
        let mut envelope = first.body.envelope()?.clone();
        reduce_to(&mut envelope, &matching);
        for other in others {
            let matching = self.matching(other, snapshot)?;
            let source = other.body.envelope()?;
            if matching.is_empty() || matching.contains(&source.envelope()) {
                return Err(Fault::new(format!("Error evaluating expression: {}", self.name())));
            }
            let body = envelope.body();
            for element in matching {
                let copy = envelope.document_mut().import(source.document(), element);
                envelope.document_mut().append_child(body, copy);
            }
        }
        if let Some(enclosing) = enclosing {
            enclose(&mut envelope, &enclosing);
        }
        Ok(with_options_of(first, Native::Xml(envelope)))
    }

    /// The elements of a part that get into the whole.
    fn matching(&self, message: &Message, snapshot: &Snapshot) -> Result<Vec<NodeId>, Fault> {
        let envelope = message.body.envelope()?;
        let Some(expression) = &self.expression else { return Ok(envelope.payload().into_iter().collect()) };
        let nodes = expression.eval_nodes(message, snapshot).map_err(|error| {
            Fault::new(format!("Error merging aggregation results using XPath : {}: {error}", self.name()))
        })?;
        Ok(nodes.into_iter().filter(|node| envelope.document().is_element(*node)).collect())
    }

    fn json(&self, path: &Expr, messages: &[Message], snapshot: &Snapshot) -> Result<Body, Fault> {
        let enclosing = self.enclosing_element(messages.first())?;
        let mut merged = Map::new();
        let mut items = Vec::new();
        for message in messages {
            let value = found(path, message, snapshot)?;
            if !self.into_object {
                items.push(value);
                continue;
            }
            let parts = match value {
                Json::Array(parts) => parts,
                other => vec![other],
            };
            for part in parts {
                let Json::Object(fields) = part else {
                    return Err(Fault::new(format!(
                        "Error merging aggregation results using JSONPath : {}",
                        path.source()
                    )));
                };
                extend(&mut merged, fields, MAX_DEPTH);
            }
        }
        let result = if self.into_object { Json::Object(merged) } else { Json::Array(items) };
        let result = match enclosing {
            Some(element) => {
                let name = element.nodes.first().map_or("", |node| element.document.local_name(*node));
                Json::Object(Map::from_iter([(name.to_owned(), result)]))
            }
            None => result,
        };
        match messages.first() {
            Some(first) => Ok(with_options_of(first, Native::Json(mi_message::JsonBody::from_value(result)))),
            None => Ok(Body::empty()),
        }
    }
}

fn with_options_of(message: &Message, native: Native) -> Body {
    let mut body = Body::from_native(native);
    body.set_options(message.body.options().clone());
    body
}

/// The matched elements of the first part go into its Body, and what they stood in goes away. Without a match, or when
/// they stand in the Body, everything stays. MI: `EIPUtils#enrichEnvelope`.
fn reduce_to(envelope: &mut Envelope, matching: &[NodeId]) {
    let body = envelope.body();
    let document = envelope.document_mut();
    let Some(parent) = matching.first().and_then(|element| document.parent(*element)) else { return };
    if parent == body || !document.is_element(parent) {
        return;
    }
    let top = std::iter::once(parent)
        .chain(document.ancestors(parent))
        .find(|ancestor| document.parent(*ancestor) == Some(body));
    // Imported: detached elements would lose the namespaces of what they stood in.
    let copies: Vec<NodeId> = matching.iter().map(|element| document.copy(*element)).collect();
    if let Some(top) = top {
        document.detach(top);
    }
    for copy in copies {
        document.append_child(body, copy);
    }
}

/// Puts all elements of the Body into a copy of `enclosing`.
fn enclose(envelope: &mut Envelope, enclosing: &XmlValue) {
    let Some(root) = enclosing.nodes.first() else { return };
    let body = envelope.body();
    let document: &mut Document = envelope.document_mut();
    let wrapper = document.import(&enclosing.document, *root);
    let children: Vec<NodeId> = document.child_elements(body).collect();
    for child in children {
        document.detach(child);
        document.append_child(wrapper, child);
    }
    document.append_child(body, wrapper);
}

/// What a path finds in a part: nothing is null, a list of one is its element. MI: `EIPUtils#getJSONElement`.
fn found(path: &Expr, message: &Message, snapshot: &Snapshot) -> Result<Json, Fault> {
    Ok(match payload::json_of(path, message, snapshot)? {
        Json::Array(mut items) if items.len() < 2 => items.pop().unwrap_or(Json::Null),
        other => other,
    })
}

/// Fields of both objects; two values of one field become an array. MI: `JSONMergeUtils`, MERGE_INTO_ARRAY.
fn extend(left: &mut Map<String, Json>, right: Map<String, Json>, depth: usize) {
    for (name, value) in right {
        match (left.get_mut(&name), value) {
            (None, value) => {
                left.insert(name, value);
            }
            (Some(Json::Array(items)), Json::Array(more)) => items.extend(more),
            (Some(Json::Object(fields)), Json::Object(more)) if depth > 0 => extend(fields, more, depth - 1),
            (Some(Json::Array(items)), value) => items.push(value),
            (Some(old), value) => *old = Json::Array(vec![old.take(), value]),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{MAX_DEPTH, extend};

    #[test]
    fn two_values_of_a_field_become_an_array() {
        let left = json!({"a": 1, "b": [1], "c": {"d": 1}, "e": [1]});
        let right = json!({"a": 2, "b": [2], "c": {"d": 2, "f": 3}, "e": 2, "g": null});
        let (mut left, right) =
            (left.as_object().cloned().expect("object"), right.as_object().cloned().expect("object"));
        extend(&mut left, right, MAX_DEPTH);
        assert_eq!(
            serde_json::Value::Object(left),
            json!({"a": [1, 2], "b": [1, 2], "c": {"d": [1, 2], "f": 3}, "e": [1, 2], "g": null})
        );
    }
}
