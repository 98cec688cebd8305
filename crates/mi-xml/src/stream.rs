//! A document as events, one after the other, without a tree: for who changes little of it on its way through.
//!
//! The parser is the one that builds trees, with its checks and caps. What it has told of is forgotten, so that only the
//! elements that are open take memory.

use bytes::Bytes;
use bytestring::ByteString;

use crate::limits::{ParseError, ParseOptions};
use crate::names::NONE;
use crate::parser::{self, Parser};

/// A part of a document. Positions are bytes of the text that [`Sink::event`] gets with it.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A start tag.
    Start(StartTag<'a>),
    /// An end tag; there is none for [`StartTag::empty`].
    End {
        /// Where it begins.
        start: usize,
        /// Where it ends.
        end: usize,
    },
    /// A CDATA section that is not empty.
    Section,
    /// Text, comments and processing instructions.
    Other,
}

/// A start tag whose name is resolved.
#[derive(Clone, Copy, Debug)]
pub struct StartTag<'a> {
    /// Where it begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// Namespace, empty for none.
    pub namespace: &'a str,
    /// Local name.
    pub local: &'a str,
    /// The same number for the same namespace and local name, as long as this document is read.
    pub name: usize,
    /// It has neither attributes nor declarations.
    pub bare: bool,
    /// It is `<a/>`.
    pub empty: bool,
    /// Names without a prefix have a namespace here.
    pub default_namespace: bool,
}

/// Is told of a document.
pub trait Sink {
    /// The next part of `text`. False when no more is wanted.
    fn event(&mut self, text: &str, event: Event<'_>) -> bool;
}

/// Reads a document without building it. Gives the text, in UTF-8, that the events were about; `None` when the sink wanted
/// no more.
///
/// # Errors
/// As [`crate::Document::parse_encoded`]; what was told before is part of the document all the same.
pub fn stream(
    bytes: Bytes,
    charset: Option<&str>,
    options: &ParseOptions,
    sink: &mut dyn Sink,
) -> Result<Option<ByteString>, ParseError> {
    parser::stream(bytes, charset, options, sink)
}

impl Parser<'_> {
    /// Tells of the start tag that ends here. False: the sink wants no more.
    pub(crate) fn tell_start(&mut self, start: usize, empty: bool) -> bool {
        let (node, first) = (self.current.node as usize, self.current.node as usize + 1);
        let qname = self.names.qname(self.nodes[node].a);
        let tag = StartTag {
            start,
            end: self.at,
            namespace: self.names.str(qname.namespace),
            local: self.names.local(self.nodes[node].a),
            name: qname.name.index(),
            bare: first == self.nodes.len(),
            empty,
            default_namespace: self.scope.has_default(),
        };
        match &mut self.sink {
            Some(sink) => sink.event(self.text, Event::Start(tag)),
            None => true,
        }
    }

    /// Tells of something else, and forgets what is complete.
    pub(crate) fn tell(&mut self, event: Event<'_>) -> bool {
        self.forget();
        match &mut self.sink {
            Some(sink) => sink.event(self.text, event),
            None => true,
        }
    }

    /// Forgets the children of the open element.
    pub(crate) fn forget(&mut self) {
        let record = self.current.element as usize;
        let last = self.current.last_child;
        if last == NONE {
            return;
        }
        // One child at a time is there, with nothing behind it but what is below it.
        self.nodes.truncate(last as usize);
        self.elements.truncate(record + 1);
        self.elements[record].first_child = NONE;
        self.current.last_child = NONE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Puts the document together again out of its events.
    #[derive(Default)]
    struct Log {
        out: String,
        depth: usize,
        deepest: usize,
        stop_at: Option<&'static str>,
    }

    impl Sink for Log {
        fn event(&mut self, text: &str, event: Event<'_>) -> bool {
            match event {
                Event::Start(tag) => {
                    self.depth += usize::from(!tag.empty);
                    self.deepest = self.deepest.max(self.depth);
                    let default = if tag.default_namespace { "!" } else { "" };
                    self.out.push_str(&format!(
                        "<{{{}}}{}{default}{}",
                        tag.namespace,
                        tag.local,
                        if tag.bare { "" } else { " @" }
                    ));
                    self.out.push_str(if tag.empty { "/>" } else { ">" });
                    assert!(text[tag.start..tag.end].starts_with('<') && text[tag.start..tag.end].ends_with('>'));
                    return self.stop_at != Some(tag.local);
                }
                Event::End { start, end } => {
                    self.depth -= 1;
                    self.out.push_str(&text[start..end]);
                }
                Event::Section => self.out.push('#'),
                Event::Other => self.out.push('.'),
            }
            true
        }
    }

    fn log(xml: &str) -> Result<String, String> {
        let mut log = Log::default();
        let told = stream(Bytes::from(xml.to_owned()), None, &ParseOptions::default(), &mut log);
        told.map(|_| log.out).map_err(|error| error.to_string())
    }

    #[test]
    fn documents_are_told() {
        assert_eq!(log("<a/>").as_deref(), Ok("<{}a/>"));
        assert_eq!(
            log("<?xml version='1.0'?><!--c--><a x='1'>t<b/><p:c xmlns:p='u'><![CDATA[s]]></p:c ></a>\n").as_deref(),
            Ok(".<{}a @>.<{}b/><{u}c @>#</p:c ></a>")
        );
        assert_eq!(log("<a xmlns='d'><b xmlns=''/><c/></a>").as_deref(), Ok("<{d}a! @><{}b @/><{d}c!/></a>"));
        // Attributes of siblings are not taken for those of one element.
        assert_eq!(
            log("<a><b x='1'/><b x='1'/><c x='1' y='2'/></a>").as_deref(),
            Ok("<{}a><{}b @/><{}b @/><{}c @/></a>")
        );
    }

    #[test]
    fn errors_are_those_of_the_tree() {
        for xml in [
            "",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<a x='1' x='2'/>",
            "<p:a/>",
            "<a>&x;</a>",
            "<!DOCTYPE a><a/>",
            "<a>\u{1}</a>",
            "<a><b x='1'><c y='1' y='2'/></b></a>",
            "t<a/>",
            "<a><!--a--b--></a>",
            "<a xmlns:p='u' xmlns:p='v'/>",
        ] {
            let tree = crate::Document::parse(xml.to_owned()).expect_err(xml).to_string();
            assert_eq!(log(xml), Err(tree), "{xml}");
        }
    }

    #[test]
    fn only_open_elements_take_memory() {
        let many = format!("<a>{}</a>", "<b k='v'>t<c/><!--n--></b>".repeat(10_000));
        let options = ParseOptions {
            limits: crate::Limits { max_nodes: 16, ..crate::Limits::default() },
            ..ParseOptions::default()
        };
        assert!(crate::Document::parse_with(many.clone(), &options).is_err());
        let mut log = Log::default();
        assert!(stream(many.into(), None, &options, &mut log).expect("well-formed").is_some());
        assert_eq!(log.deepest, 2);
    }

    #[test]
    fn a_sink_may_stop() {
        let mut log = Log { stop_at: Some("b"), ..Log::default() };
        let told = stream("<a><b/><c/></a>".into(), None, &ParseOptions::default(), &mut log);
        assert!(told.expect("no error").is_none());
        assert_eq!(log.out, "<{}a><{}b/>");
    }
}
