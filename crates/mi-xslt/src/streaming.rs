//! Stylesheets whose result is known from the tags alone: a document goes through them from its bytes to the bytes of the
//! result, and no tree is built.
//!
//! What qualifies is found out when the stylesheet is compiled: an identity template, and rules that keep, drop or rename
//! elements or give them attributes of fixed values, chosen by names of the element and of those around it. Whatever a
//! document has that this cannot do (attributes on a renamed element, a default namespace around one, CDATA sections) ends
//! the attempt, and the stylesheet runs in the ordinary way.

use bytes::Bytes;
use mi_xml::{Event, ParseOptions, Sink, StartTag, escape_attribute};

use crate::Stylesheet;
use crate::avt::Avt;
use crate::output::Method;
use crate::pattern::{Alternative, Start, Step, Test};
use crate::plan::{Edit, Edits, Instruction, Op, Plan, Template, Value};

/// What an element outside of the transformed one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It holds the one that is transformed.
    Around,
    /// It stays, with what is in it.
    Aside,
    /// It is transformed.
    Root,
}

/// What the template of a rule does to an element.
#[derive(Debug)]
pub(crate) enum Deed {
    Keep,
    /// With everything below it.
    KeepAll,
    Drop,
    /// A new start tag.
    Tag {
        /// The name, without a prefix, if it is another one.
        name: Option<String>,
        /// ` a="1" b="2"`
        attributes: String,
    },
}

/// What each template does, for plans all of whose rules are simple. Others have none.
pub(crate) fn deeds(plan: &Plan) -> Option<Vec<Option<Deed>>> {
    let edits = plan.edits.as_ref()?;
    let leaves_stay = !(edits.attributes || edits.texts || edits.comments || edits.pis);
    let plain = plan.globals.is_empty() && !plan.space.iter().any(|rule| rule.strip);
    let as_tree = plan.output.method != Some(Method::Text) && plan.output.characters.is_empty();
    if !(leaves_stay && plain && as_tree) {
        return None;
    }
    let deeds: Vec<Option<Deed>> = (0..plan.templates.len()).map(|at| deed(edits, at, &plan.templates[at])).collect();
    let mode = plan.modes.first()?;
    let mut rules = mode.elements.values().flatten().chain(&mode.other_elements);
    let fits = |rule: &usize| {
        let rule = &plan.rules[*rule];
        is_simple(&rule.alternative) && deeds[rule.template].is_some()
    };
    rules.all(fits).then_some(deeds)
}

/// Names decide whether the pattern matches an element.
fn is_simple(alternative: &Alternative) -> bool {
    let named = |step: &Step| step.predicates.is_empty() && matches!(step.test, Test::Element { .. } | Test::Node);
    !matches!(alternative.start, Start::Nodes { .. }) && alternative.steps.iter().all(named)
}

fn deed(edits: &Edits, at: usize, template: &Template) -> Option<Deed> {
    let edit = match &edits.elements[at] {
        Edit::Keep => return Some(Deed::Keep),
        Edit::KeepAll => return Some(Deed::KeepAll),
        Edit::Drop => return Some(Deed::Drop),
        Edit::Run => return None,
        Edit::Element(edit) => edit,
    };
    let mut attributes: Vec<(&str, &str)> = Vec::new();
    let (name, content) = match &template.body.first()?.op {
        Op::Literal(literal) => {
            let bare = literal.prefix.is_empty() && literal.namespace.is_empty() && literal.namespaces.is_empty();
            for attribute in &literal.attributes {
                set(&mut attributes, &attribute.local, attribute.value.as_text()?);
            }
            (Some(bare.then(|| literal.local.clone())?), &literal.body)
        }
        Op::Copy { body, .. } => (None, body),
        _ => return None,
    };
    for new in edit.before.iter().chain(&edit.after) {
        set(&mut attributes, &new.local, constant(content.get(new.instruction)?)?);
    }
    let mut written = Vec::new();
    for (name, value) in attributes {
        written.extend_from_slice(b" ");
        written.extend_from_slice(name.as_bytes());
        written.extend_from_slice(b"=\"");
        escape_attribute(&mut written, value);
        written.push(b'"');
    }
    Some(Deed::Tag { name, attributes: String::from_utf8(written).ok()? })
}

/// A later value of an attribute takes the place of an earlier one.
fn set<'t>(attributes: &mut Vec<(&'t str, &'t str)>, name: &'t str, value: &'t str) {
    match attributes.iter_mut().find(|(known, _)| *known == name) {
        Some((_, known)) => *known = value,
        None => attributes.push((name, value)),
    }
}

/// The value of an `xsl:attribute` that is the same for every node.
fn constant(instruction: &Instruction) -> Option<&str> {
    let Op::Attribute { value: Value { select: None, body, cast: None, .. }, separator, .. } = &instruction.op else {
        return None;
    };
    if separator.as_ref().is_some_and(|it: &Avt| it.as_text().is_none()) {
        return None;
    }
    match body.as_slice() {
        [] => Some(""),
        [Instruction { op: Op::Text { text, raw: false }, .. }] => Some(text),
        _ => None,
    }
}

impl Stylesheet {
    /// Whether documents may go through without a tree; see [`Stylesheet::stream`].
    pub fn streams(&self) -> bool {
        self.0.deeds.is_some()
    }

    /// Transforms an element of a document on its way from bytes to bytes. `place` tells, by depth, namespace and local name,
    /// which one that is: it is asked for the root, and for the children of what is [`Place::Around`] it. Gives the whole
    /// document with the result in the place of the element, without what stands around its root.
    ///
    /// `None` when the stylesheet or the document takes a tree, or when the document is not well-formed: then nothing has
    /// happened, and [`Stylesheet::transform`] gives the result or the error.
    pub fn stream(
        &self,
        bytes: Bytes,
        charset: Option<&str>,
        place: &mut dyn FnMut(usize, &str, &str) -> Place,
    ) -> Option<String> {
        let deeds = self.0.deeds.as_ref()?;
        let out = String::with_capacity(bytes.len() + bytes.len() / 8);
        let mut editor = Editor {
            plan: &self.0,
            deeds,
            place,
            out,
            from: 0,
            at: At::Before,
            around: 0,
            aside: 0,
            skipped: 0,
            whole: 0,
            open: Vec::new(),
            names: Vec::new(),
        };
        mi_xml::stream(bytes, charset, &ParseOptions::default(), &mut editor).ok()??;
        (editor.at == At::Behind && editor.around == 0).then_some(editor.out)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Before,
    Inside,
    Behind,
}

/// An element that is open.
struct Open {
    name: usize,
    /// How long the result was behind its start tag.
    mark: usize,
    /// The end tag, if it is another one.
    end: Option<String>,
    /// Something in it was left out.
    thinned: bool,
}

/// What is known about a name of the document.
struct Name {
    namespace: Box<str>,
    local: Box<str>,
    template: Known,
}

/// The template for a name.
#[derive(Clone, Copy)]
enum Known {
    /// It depends on the elements around, or nobody has looked yet.
    No,
    Template(usize),
    /// There is none.
    Without,
}

struct Editor<'p, 'a> {
    plan: &'p Plan,
    deeds: &'p [Option<Deed>],
    place: &'a mut dyn FnMut(usize, &str, &str) -> Place,
    out: String,
    /// From here on the source has not been copied yet.
    from: usize,
    at: At,
    /// Open elements around the transformed one.
    around: usize,
    /// Open elements beside it, in elements that are left out, and in elements that are kept whole.
    aside: usize,
    skipped: usize,
    whole: usize,
    open: Vec<Open>,
    names: Vec<Option<Name>>,
}

impl Sink for Editor<'_, '_> {
    fn event(&mut self, text: &str, event: Event<'_>) -> bool {
        match (self.at, event) {
            (At::Before, Event::Start(tag)) => self.search(text, &tag),
            (At::Before, Event::End { .. }) if self.aside > 0 => {
                self.aside -= 1;
                true
            }
            // It ended without what was to be transformed.
            (At::Before, Event::End { .. }) | (At::Inside, Event::Section) => false,
            (At::Inside, Event::Start(tag)) => self.start(text, &tag),
            (At::Inside, Event::End { start, end }) => {
                self.end(text, start, end);
                true
            }
            (At::Behind, Event::Start(tag)) => {
                self.aside += usize::from(!tag.empty);
                true
            }
            (At::Behind, Event::End { end, .. }) => {
                if self.aside > 0 {
                    self.aside -= 1;
                } else {
                    self.around -= 1;
                    if self.around == 0 {
                        self.copy(text, end);
                    }
                }
                true
            }
            _ => true,
        }
    }
}

impl Editor<'_, '_> {
    /// Copies the source up to a place.
    fn copy(&mut self, text: &str, to: usize) {
        self.out.push_str(&text[self.from..to]);
        self.from = to;
    }

    /// How long the result is when the source was copied up to a place.
    fn length(&self, at: usize) -> usize {
        self.out.len() + (at - self.from)
    }

    fn search(&mut self, text: &str, tag: &StartTag<'_>) -> bool {
        if self.aside > 0 {
            self.aside += usize::from(!tag.empty);
            return true;
        }
        if self.around == 0 {
            self.from = tag.start;
        }
        match (self.place)(self.around, tag.namespace, tag.local) {
            Place::Around if !tag.empty => self.around += 1,
            Place::Around | Place::Aside => self.aside += usize::from(!tag.empty),
            Place::Root => {
                self.at = At::Inside;
                return self.start(text, tag);
            }
        }
        true
    }

    fn start(&mut self, text: &str, tag: &StartTag<'_>) -> bool {
        if self.skipped > 0 || self.whole > 0 {
            let depth = if self.skipped > 0 { &mut self.skipped } else { &mut self.whole };
            *depth += usize::from(!tag.empty);
            return true;
        }
        let deed = match self.template(tag) {
            Some(template) => self.deeds[template].as_ref(),
            None if self.plan.edits.as_ref().is_some_and(|it| it.by_default) => Some(&Deed::Keep),
            None => None,
        };
        let mut end = None;
        match deed {
            None => return false,
            Some(Deed::Keep) => {}
            Some(Deed::KeepAll) => {
                self.whole = usize::from(!tag.empty);
                self.finish(text, tag.end, tag.empty);
                return true;
            }
            Some(Deed::Drop) => {
                let Some(parent) = self.open.last_mut() else { return false };
                parent.thinned = true;
                self.copy(text, tag.start);
                self.from = tag.end;
                self.skipped = usize::from(!tag.empty);
                return true;
            }
            Some(Deed::Tag { name, attributes }) => {
                if !tag.bare || (name.is_some() && tag.default_namespace) {
                    return false;
                }
                self.copy(text, tag.start);
                let written = &text[tag.start + 1..tag.end];
                let same = written.split(|it: char| it.is_ascii_whitespace() || matches!(it, '/' | '>')).next();
                let name_now = name.as_deref().or(same).unwrap_or_default();
                let close = if tag.empty { "/>" } else { ">" };
                for part in ["<", name_now, attributes, close] {
                    self.out.push_str(part);
                }
                self.from = tag.end;
                end = name.as_ref().map(|name| format!("</{name}>"));
            }
        }
        if !tag.empty {
            self.open.push(Open { name: tag.name, mark: self.length(tag.end), end, thinned: false });
        }
        self.finish(text, tag.end, tag.empty);
        true
    }

    fn end(&mut self, text: &str, start: usize, end: usize) {
        if self.skipped > 0 {
            self.skipped -= 1;
            self.from = end;
            return;
        }
        if self.whole > 0 {
            self.whole -= 1;
            self.finish(text, end, self.whole == 0);
            return;
        }
        let Some(open) = self.open.pop() else { return };
        if open.thinned && self.length(start) == open.mark {
            // Nothing is left in it.
            self.copy(text, start);
            self.out.pop();
            self.out.push_str("/>");
            self.from = end;
        } else if let Some(tag) = open.end {
            self.copy(text, start);
            self.out.push_str(&tag);
            self.from = end;
        }
        self.finish(text, end, true);
    }

    /// An element has ended; it may have been the outermost.
    fn finish(&mut self, text: &str, end: usize, ended: bool) {
        if ended && self.open.is_empty() {
            self.at = At::Behind;
            if self.around == 0 {
                self.copy(text, end);
            }
        }
    }

    /// The template for an element whose parents are open.
    fn template(&mut self, tag: &StartTag<'_>) -> Option<usize> {
        if self.names.len() <= tag.name {
            self.names.resize_with(tag.name + 1, || None);
        }
        let known = self.names[tag.name].get_or_insert_with(|| Name {
            namespace: tag.namespace.into(),
            local: tag.local.into(),
            template: Known::No,
        });
        match known.template {
            Known::No => {}
            Known::Template(template) => return Some(template),
            Known::Without => return None,
        }
        let mode = self.plan.modes.first()?;
        let candidates = mode.elements.get(tag.local).unwrap_or(&mode.other_elements);
        let mut by_name = true;
        for rule in candidates {
            let rule = &self.plan.rules[*rule];
            by_name &= rule.alternative.steps.len() == 1 && matches!(rule.alternative.start, Start::Anything);
            if self.matches(&rule.alternative, 0, tag.name, self.open.len()) {
                return self.remember(tag.name, by_name, Some(rule.template));
            }
        }
        self.remember(tag.name, by_name, None)
    }

    fn remember(&mut self, name: usize, by_name: bool, template: Option<usize>) -> Option<usize> {
        if by_name && let Some(Some(known)) = self.names.get_mut(name) {
            known.template = template.map_or(Known::Without, Known::Template);
        }
        template
    }

    /// Whether the steps from `at` on match an element with so many open ones above it. The depth is that of the pattern.
    fn matches(&self, alternative: &Alternative, at: usize, name: usize, above: usize) -> bool {
        let Some(step) = alternative.steps.get(at) else { return false };
        if !self.is_named(&step.test, name) {
            return false;
        }
        if at + 1 == alternative.steps.len() {
            return match alternative.start {
                Start::Document => above == 0,
                Start::Anything | Start::BelowDocument => true,
                Start::Nodes { .. } => false,
            };
        }
        let mut parents = (0..above).rev();
        if step.descendant {
            parents.any(|parent| self.matches(alternative, at + 1, self.open[parent].name, parent))
        } else {
            parents.next().is_some_and(|parent| self.matches(alternative, at + 1, self.open[parent].name, parent))
        }
    }

    fn is_named(&self, test: &Test, name: usize) -> bool {
        let Some(Some(known)) = self.names.get(name) else { return false };
        match test {
            Test::Node => true,
            Test::Element { namespace, local } => {
                namespace.as_ref().is_none_or(|it| *it == known.namespace)
                    && local.as_ref().is_none_or(|it| *it == known.local)
            }
            _ => false,
        }
    }
}
