//! What makes two requests the same: the address, the headers and the body, or some of them.
//!
//! The key is a SHA-256 over the parts, each with its length; MI's is an MD5 over the same parts, for which collisions
//! can be made at will.

use mi_engine::fault::Fault;
use mi_message::{Message, Native};
use mi_xml::{Document, NodeId, NodeKind};
use sha2::{Digest, Sha256};

/// The key of a request.
pub(super) type Key = [u8; 32];

/// A key in hexadecimal digits.
pub(super) fn to_hex(key: &Key) -> String {
    key.iter().fold(String::with_capacity(2 * key.len()), |mut out, byte| {
        out.extend([byte >> 4, byte & 15].map(|digit| char::from_digit(u32::from(digit), 16).unwrap_or_default()));
        out
    })
}

/// The key of what [`to_hex`] wrote.
pub(super) fn from_hex(text: &str) -> Option<Key> {
    let mut key = Key::default();
    if text.len() != 2 * key.len() {
        return None;
    }
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(key)
}

/// Which parts count.
#[derive(Debug)]
pub(super) enum Generator {
    /// Address, headers, and the body of methods that have one. MI: `HttpRequestHashGenerator`.
    Http(HeaderRule),
    /// Address, all headers and the body. MI: `REQUESTHASHGenerator`.
    Request,
    /// The body alone. MI: `DOMHASHGenerator`.
    Body,
}

/// Which headers count.
#[derive(Debug, Default)]
pub(super) struct HeaderRule {
    /// Only those named, else all but those. `*` in the first place names all.
    pub(super) only: bool,
    pub(super) names: Vec<String>,
}

/// Headers that never count; the last one carries an id that is new for each request.
const NEVER: [&str; 3] = ["Date", "User-Agent", "activityid"];

impl HeaderRule {
    fn counts(&self, name: &str) -> bool {
        let listed = self.names.first().is_some_and(|first| first == "*")
            || self.names.iter().any(|known| known.eq_ignore_ascii_case(name));
        listed == self.only
    }
}

impl Generator {
    /// The key of a message. Errors: a body that has not been read.
    pub(super) fn key(&self, message: &Message) -> Result<Key, Fault> {
        let mut hasher = Hasher(Sha256::new());
        let address = message.addressing.to.as_deref();
        match self {
            Self::Http(rule) => {
                hasher.part(1, address.unwrap_or_default());
                hasher.headers(message, |name| rule.counts(name));
                let method = message.axis2.get_str("HTTP_METHOD");
                if !(message.rest && matches!(method, Some("GET" | "DELETE" | "HEAD"))) {
                    hasher.body(message)?;
                }
            }
            Self::Request => {
                if let Some(address) = address {
                    hasher.part(1, address);
                    hasher.headers(message, |_| true);
                }
                hasher.body(message)?;
            }
            Self::Body => hasher.body(message)?,
        }
        Ok(hasher.0.finalize().into())
    }
}

struct Hasher(Sha256);

impl Hasher {
    /// Every part tells its kind and length, so that parts cannot run into each other.
    fn part(&mut self, kind: u8, text: &str) {
        self.bytes(kind, text.as_bytes());
    }

    fn bytes(&mut self, kind: u8, bytes: &[u8]) {
        self.0.update([kind]);
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    fn headers(&mut self, message: &Message, counts: impl Fn(&str) -> bool) {
        let mut headers: Vec<(String, &str)> = message
            .headers
            .iter()
            .filter(|(name, _)| !NEVER.iter().any(|never| never.eq_ignore_ascii_case(name)) && counts(name))
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect();
        headers.sort();
        for (name, value) in headers {
            self.part(2, &name);
            self.part(3, value);
        }
    }

    fn body(&mut self, message: &Message) -> Result<(), Fault> {
        match message.body.native()? {
            Native::Empty => self.bytes(4, &[]),
            Native::Xml(envelope) => self.tree(envelope.document(), envelope.body()),
            Native::Json(json) => match json.value() {
                // Blanks between the tokens do not count.
                Ok(value) => self.part(5, &value.to_string()),
                Err(_) => self.bytes(5, json.text()),
            },
            Native::Text(text) => self.part(6, text),
            Native::Binary(bytes) => self.bytes(7, bytes),
        }
        Ok(())
    }

    /// Names, attributes and text; prefixes, the order of attributes and comments do not count.
    fn tree(&mut self, document: &Document, root: NodeId) {
        let mut node = root;
        loop {
            self.node(document, node);
            if let Some(child) = document.first_child(node) {
                node = child;
                continue;
            }
            loop {
                if document.is_element(node) {
                    self.bytes(13, &[]);
                }
                if node == root {
                    return;
                }
                if let Some(next) = document.next_sibling(node) {
                    node = next;
                    break;
                }
                match document.parent(node) {
                    Some(parent) => node = parent,
                    None => return,
                }
            }
        }
    }

    fn node(&mut self, document: &Document, node: NodeId) {
        match document.kind(node) {
            NodeKind::Element => {
                self.part(8, document.namespace(node));
                self.part(9, document.local_name(node));
                let mut attributes: Vec<_> = document
                    .attributes(node)
                    .map(|it| (document.namespace(it), document.local_name(it), document.value(it)))
                    .collect();
                attributes.sort();
                for (namespace, name, value) in attributes {
                    self.part(10, namespace);
                    self.part(10, name);
                    self.part(10, &value);
                }
            }
            NodeKind::Text => self.part(11, &document.value(node)),
            NodeKind::Pi => {
                self.part(12, document.local_name(node));
                self.part(12, &document.value(node));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use mi_message::{Body, Envelope, Message, SoapVersion};

    use super::{Generator, HeaderRule, Key, from_hex, to_hex};

    fn message(method: &str, xml: &str) -> Message {
        let mut message = Message::new();
        message.rest = true;
        message.axis2.set("HTTP_METHOD", method);
        message.addressing.to = Some("/a".to_owned());
        message.headers.set("User", "u1");
        message.headers.set("Date", "today");
        let document = mi_xml::Document::parse(xml.as_bytes().to_vec()).expect("well-formed");
        message.body = Body::from_envelope(Envelope::from_document(document, SoapVersion::Soap11));
        message
    }

    fn http(only: bool, names: &[&str]) -> Generator {
        Generator::Http(HeaderRule { only, names: names.iter().map(|it| (*it).to_owned()).collect() })
    }

    /// Do two messages have one key when the second is changed?
    #[track_caller]
    fn check(generator: &Generator, method: &str, change: impl FnOnce(&mut Message), same: bool) {
        let xml = "<p:x xmlns:p='urn:p' b='2' a='1'><p:y>1</p:y></p:x>";
        let mut other = message(method, xml);
        change(&mut other);
        let keys = [message(method, xml), other].map(|it| generator.key(&it).expect("a built body"));
        assert_eq!(keys[0] == keys[1], same);
    }

    #[test]
    fn hexadecimal_digits() {
        let key: Key = std::array::from_fn(|at| at as u8 * 8);
        let hex = to_hex(&key);
        assert!(hex.starts_with("000810"));
        assert_eq!(from_hex(&hex), Some(key));
        assert_eq!(from_hex("00"), None);
        assert_eq!(from_hex(&"x".repeat(64)), None);
    }

    #[test]
    fn headers() {
        let user = |message: &mut Message| message.headers.set("user", "u2");
        check(&http(false, &[]), "POST", user, false);
        check(&http(false, &["a", "USER"]), "POST", user, true);
        check(&http(false, &["*"]), "POST", user, true);
        check(&http(true, &["a"]), "POST", user, true);
        check(&http(true, &["user"]), "POST", user, false);
        check(&http(true, &["*"]), "POST", user, false);
        check(&Generator::Request, "POST", user, false);
        check(&Generator::Body, "POST", user, true);
        check(&http(false, &[]), "POST", |it| it.headers.set("Date", "tomorrow"), true);
        check(&http(false, &[]), "POST", |it| it.headers.set("user-agent", "curl"), true);
    }

    #[test]
    fn addresses_and_bodies() {
        let to = |message: &mut Message| message.addressing.to = Some("/b".to_owned());
        let other = |message: &mut Message| message.body = self::message("POST", "<x/>").body;
        check(&http(false, &[]), "GET", to, false);
        check(&http(false, &[]), "GET", other, true);
        check(&http(false, &[]), "POST", other, false);
        check(&Generator::Body, "POST", to, true);
        check(&Generator::Body, "POST", other, false);
        check(&http(false, &[]), "POST", |it| it.body = Body::from_json_text("{}"), false);
    }

    #[test]
    fn prefixes_and_the_order_of_attributes_do_not_count() {
        for (xml, same) in [
            ("<q:x xmlns:q='urn:p' a='1' b='2'><!-- c --><q:y>1</q:y></q:x>", true),
            ("<p:x xmlns:p='urn:p' b='2' a='1'><p:y>2</p:y></p:x>", false),
            ("<p:x xmlns:p='urn:p' b='2' a='1'/>", false),
            ("<p:x xmlns:p='urn:p' b='2' a='1'><p:y>1</p:y><p:y/></p:x>", false),
            ("<p:x xmlns:p='urn:p' b='2' a='1'><p:y>1<p:y/></p:y></p:x>", false),
            ("<x b='2' a='1'><y>1</y></x>", false),
        ] {
            check(&Generator::Body, "POST", |it| it.body = message("POST", xml).body, same);
        }
        let json = |text: &str| {
            let mut message = Message::new();
            message.body = Body::from_json_text(text.to_owned());
            Generator::Body.key(&message).expect("a built body")
        };
        assert_eq!(json("{\"a\": 1}"), json("{\"a\":1}"));
        assert_ne!(json("{\"a\":1}"), json("{\"a\":2}"));
        assert_ne!(json("{\"a\""), json("{\"b\""));
    }
}
