//! An element of a configuration file that knows its place, its namespaces and its surroundings.
//!
//! The tree is the arena of `mi_xml`; an [`Element`] is a handle of two words that keeps the file alive.
//! Children are looked up by local name and fit with the Synapse namespace or with none, because files
//! without the namespace are deployed too.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use mi_expr::java::FullMatch;
use mi_expr::{Dynamic, Expr, Namespaces};
use mi_xml::{Document, NodeId, NodeKind, ParseOptions};

use crate::diagnostic::{Diagnostic, Severity, nearest};
use crate::scope::Scope;
use crate::source::SourceFile;

/// The namespace of Synapse configurations.
pub const SYNAPSE_NAMESPACE: &str = "http://ws.apache.org/ns/synapse";

/// A parsed file.
#[derive(Debug)]
struct ConfigDocument {
    document: Document,
    source: SourceFile,
}

/// An element of a configuration file. Cheap to clone.
#[derive(Clone)]
pub struct Element {
    file: Arc<ConfigDocument>,
    node: NodeId,
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.position();
        write!(f, "<{}> at {}:{line}:{column}", self.name(), self.file.source.name)
    }
}

impl Element {
    /// Parses a file; bytes behind the root element are left out and give a warning.
    ///
    /// # Errors
    /// The file is not well-formed, or a limit of the parser is exceeded.
    pub fn parse(source: SourceFile) -> Result<(Self, Option<Diagnostic>), Diagnostic> {
        let options = ParseOptions { stop_after_root: true, ..ParseOptions::default() };
        let document = Document::parse_with(source.bytes.clone(), &options).map_err(|error| {
            Diagnostic::of_file(Severity::Error, source.name.clone(), error.message).at(error.line, error.column)
        })?;
        let Some(node) = document.root_element() else {
            return Err(Diagnostic::of_file(Severity::Error, source.name, "the file has no root element"));
        };
        let trailing = document.trailing().and_then(|offset| trailing_warning(&source, offset));
        Ok((Self { file: Arc::new(ConfigDocument { document, source }), node }, trailing))
    }

    /// The root of a changed copy of this element's document; places refer to the original file.
    pub(crate) fn with_document(&self, document: Document, node: NodeId) -> Self {
        Self { file: Arc::new(ConfigDocument { document, source: self.file.source.clone() }), node }
    }

    fn at(&self, node: NodeId) -> Self {
        Self { file: self.file.clone(), node }
    }

    /// The document that holds the element.
    pub fn document(&self) -> &Document {
        &self.file.document
    }

    /// The element's node in [`Element::document`].
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The file that the element is read from.
    pub fn source(&self) -> &SourceFile {
        &self.file.source
    }

    /// Placeholders and versioned names.
    pub fn scope(&self) -> &Scope {
        &self.file.source.scope
    }

    /// Local name.
    pub fn name(&self) -> &str {
        self.document().local_name(self.node)
    }

    /// Namespace URI, empty for none.
    pub fn namespace(&self) -> &str {
        self.document().namespace(self.node)
    }

    /// Is it in the Synapse namespace, or in none?
    pub fn is_synapse(&self) -> bool {
        matches!(self.namespace(), "" | SYNAPSE_NAMESPACE)
    }

    /// Value of an attribute without namespace.
    pub fn attr(&self, name: &str) -> Option<Cow<'_, str>> {
        self.document().attribute(self.node, "", name)
    }

    /// Value of an attribute without namespace, `None` also when it is blank.
    pub fn filled_attr(&self, name: &str) -> Option<Cow<'_, str>> {
        self.attr(name).filter(|value| !value.trim().is_empty())
    }

    /// Local names and values of the attributes without namespace.
    pub fn attrs(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        let document = self.document();
        document
            .attributes(self.node)
            .filter(|attribute| document.namespace(*attribute).is_empty())
            .map(|attribute| (document.local_name(attribute), document.value(attribute)))
    }

    /// Child elements of any name.
    pub fn children(&self) -> impl Iterator<Item = Element> + '_ {
        self.document().child_elements(self.node).map(|node| self.at(node))
    }

    /// Child elements of a local name, in the Synapse namespace or in none.
    pub fn children_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Element> + 'a {
        self.children().filter(move |child| child.name() == name && child.is_synapse())
    }

    /// First child element of a local name, in the Synapse namespace or in none.
    pub fn child(&self, name: &str) -> Option<Element> {
        self.children_named(name).next()
    }

    /// First child element of a qualified name.
    pub fn child_ns(&self, namespace: &str, name: &str) -> Option<Element> {
        self.children().find(|child| child.name() == name && child.namespace() == namespace)
    }

    /// First child element.
    pub fn first_child(&self) -> Option<Element> {
        self.document().first_child_element(self.node).map(|node| self.at(node))
    }

    /// Concatenated text of the direct text children. MI: `OMElement#getText`.
    pub fn text(&self) -> String {
        self.document().text(self.node).into_owned()
    }

    /// Line and column from 1 of the start tag; (0, 0) for an element that was not read from a file.
    pub fn position(&self) -> (u32, u32) {
        self.document().position(self.node).unwrap_or_default()
    }

    /// The element as XML that stands alone.
    pub fn to_xml(&self) -> String {
        self.document().to_xml(self.node)
    }

    /// Namespaces in scope, for expressions.
    pub fn namespaces(&self) -> Namespaces {
        Namespaces::from_scope(self.document(), self.node)
    }

    /// Text between the child elements that is not blank, such as a stray `/>`.
    pub fn stray_text(&self) -> Option<String> {
        let document = self.document();
        let stray = document
            .children(self.node)
            .filter(|node| document.kind(*node) == NodeKind::Text)
            .map(|node| document.value(node))
            .find(|text| !text.trim().is_empty())?;
        Some(stray.trim().to_owned())
    }

    fn diagnostic(&self, severity: Severity, message: impl Into<String>) -> Diagnostic {
        let (line, column) = self.position();
        Diagnostic::of_file(severity, self.file.source.name.clone(), message).at(line, column)
    }

    /// An error at this element.
    pub fn error(&self, message: impl Into<String>) -> Diagnostic {
        self.diagnostic(Severity::Error, message)
    }

    /// A warning at this element.
    pub fn warning(&self, message: impl Into<String>) -> Diagnostic {
        self.diagnostic(Severity::Warning, message)
    }

    /// Value of an attribute that must be there and not be empty.
    ///
    /// # Errors
    /// It is missing or empty.
    pub fn require_attr(&self, name: &str) -> Result<Cow<'_, str>, Diagnostic> {
        self.attr(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            let error = self.error(format!("<{}> needs the attribute '{name}'", self.name()));
            let present: Vec<&str> = self.attrs().map(|(present, _)| present).collect();
            match nearest(name, &present) {
                Some(slip) => error.hint(format!("is '{slip}' a slip of it?")),
                None => error,
            }
        })
    }

    /// `true` and `false` as Java reads them: anything but `true` (in any case) is false.
    pub fn bool_attr(&self, name: &str) -> Option<bool> {
        self.attr(name).map(|value| value.trim().eq_ignore_ascii_case("true"))
    }

    /// A whole number.
    ///
    /// # Errors
    /// The attribute is there and is no number.
    pub fn int_attr(&self, name: &str) -> Result<Option<i64>, Diagnostic> {
        let Some(value) = self.attr(name) else { return Ok(None) };
        let number = value.trim().parse().map_err(|_| {
            self.error(format!("attribute '{name}' of <{}> must be a whole number, not '{value}'", self.name()))
        });
        number.map(Some)
    }

    /// The expression in an attribute: `json-eval(…)`, `${…}` or XPath.
    ///
    /// # Errors
    /// The expression does not parse.
    pub fn expr(&self, attr: &str) -> Result<Option<Expr>, Diagnostic> {
        let Some(source) = self.attr(attr) else { return Ok(None) };
        self.compile(&source).map(Some).map_err(|error| error.hint(format!("attribute '{attr}'")))
    }

    /// A regular expression that a whole value must fit.
    ///
    /// # Errors
    /// The pattern does not parse.
    pub fn full_regex(&self, attr: &str) -> Result<Option<FullMatch>, Diagnostic> {
        let Some(pattern) = self.attr(attr) else { return Ok(None) };
        FullMatch::compile(&pattern).map(Some).map_err(|error| {
            self.error(format!("attribute '{attr}' is not a valid regular expression: '{pattern}': {error}"))
        })
    }

    /// Compiles an expression with the namespaces of this element.
    ///
    /// # Errors
    /// The expression does not parse.
    pub fn compile(&self, source: &str) -> Result<Expr, Diagnostic> {
        Expr::parse(source, &self.namespaces())
            .map_err(|error| self.error(format!("the expression '{source}' is not valid: {error}")))
    }

    /// An attribute that holds a static text or an expression in braces.
    ///
    /// # Errors
    /// The expression does not parse.
    pub fn dynamic(&self, attr: &str) -> Result<Option<Dynamic>, Diagnostic> {
        let Some(source) = self.attr(attr) else { return Ok(None) };
        Dynamic::parse(&source, &self.namespaces())
            .map(Some)
            .map_err(|error| self.error(format!("the value '{source}' of '{attr}' is not valid: {error}")))
    }

    /// The key of a resource or local entry that a mediator works with. In a versioned application a fixed one is that of
    /// the application's own file. MI: `FactoryUtils#prependArtifactIdentifierToFileName`.
    ///
    /// # Errors
    /// The expression does not parse, or the key refers to an application that the descriptor does not list.
    pub fn resource_key(&self, attr: &str) -> Result<Option<Dynamic>, Diagnostic> {
        let key = self.dynamic(attr)?;
        match key.as_ref().and_then(Dynamic::as_static) {
            Some(fixed) => {
                let qualified = self.scope().qualify_resource(fixed).map_err(|message| self.error(message))?;
                Ok(Some(Dynamic::fixed(qualified)))
            }
            None => Ok(key),
        }
    }

    /// The attribute `value` as it is, braces and all, else the expression in `expression`.
    ///
    /// # Errors
    /// The expression does not parse.
    pub fn value_or_expression(&self) -> Result<Option<Dynamic>, Diagnostic> {
        match self.attr("value") {
            Some(value) => Ok(Some(Dynamic::fixed(&*value))),
            None => Ok(self.expr("expression")?.map(Dynamic::from_expr)),
        }
    }

    /// `text` with its placeholder replaced.
    ///
    /// # Errors
    /// The placeholder has no value.
    pub fn resolve(&self, text: &str) -> Result<String, Diagnostic> {
        self.scope().resolve(text).map_err(|message| self.error(message))
    }

    /// An attribute with its placeholder replaced.
    ///
    /// # Errors
    /// The placeholder has no value.
    pub fn resolved_attr(&self, name: &str) -> Result<Option<String>, Diagnostic> {
        self.attr(name).map(|value| self.resolve(&value)).transpose()
    }

    /// The full name of an artifact that this file names or refers to.
    ///
    /// # Errors
    /// The name refers to an application that the descriptor does not list.
    pub fn qualify(&self, name: &str) -> Result<String, Diagnostic> {
        self.scope().qualify(name).map_err(|message| self.error(message))
    }

    /// An attribute that refers to an artifact, as its full name.
    ///
    /// # Errors
    /// As [`Element::qualify`].
    pub fn qualified_attr(&self, name: &str) -> Result<Option<String>, Diagnostic> {
        self.attr(name).map(|value| self.qualify(&value)).transpose()
    }

    /// A warning for each attribute that nothing reads.
    pub fn unknown_attrs(&self, known: &[&str]) -> Vec<Diagnostic> {
        self.attrs()
            .filter(|(name, _)| !known.contains(name))
            .map(|(name, _)| {
                let warning = self.warning(format!("attribute '{name}' of <{}> has no effect", self.name()));
                hint_nearest(warning, name, known)
            })
            .collect()
    }

    /// A warning for each Synapse child element that nothing reads, and for stray text.
    pub fn unknown_children(&self, known: &[&str]) -> Vec<Diagnostic> {
        let unknown = self.children().filter(|it| !it.is_synapse() || !known.contains(&it.name())).map(|child| {
            let warning = child.warning(format!("<{}> inside <{}> has no effect", child.name(), self.name()));
            hint_nearest(warning, child.name(), known)
        });
        let stray = self
            .stray_text()
            .map(|text| self.warning(format!("text '{}' inside <{}> has no effect", shorten(&text), self.name())));
        unknown.chain(stray).collect()
    }
}

/// Comments and blanks may follow the root, anything else is most likely a slip.
fn trailing_warning(source: &SourceFile, offset: usize) -> Option<Diagnostic> {
    let mut at = offset;
    loop {
        at += source.bytes.get(at..)?.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let rest = source.bytes.get(at..).filter(|rest| !rest.is_empty())?;
        if !rest.starts_with(b"<!--") {
            break;
        }
        at += rest.windows(3).position(|it| it == b"-->")? + 3;
    }
    let before = source.bytes.get(..at)?;
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let line = before.split(|byte| *byte == b'\n').count();
    let place = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let message = "text behind the end of the root element is ignored";
    let warning = Diagnostic::of_file(Severity::Warning, source.name.clone(), message);
    Some(warning.at(place(line), place(at - line_start + 1)))
}

fn hint_nearest(warning: Diagnostic, name: &str, known: &[&str]) -> Diagnostic {
    match nearest(name, known) {
        Some(meant) => warning.hint(format!("did you mean '{meant}'?")),
        None => warning,
    }
}

fn shorten(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(40) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(xml: &'static str) -> Element {
        Element::parse(SourceFile::new("a.xml", xml)).expect("well-formed").0
    }

    #[test]
    fn children_are_found_with_the_namespace_and_without() {
        for xmlns in ["", " xmlns='http://ws.apache.org/ns/synapse'"] {
            let xml: &'static str = Box::leak(format!("<a{xmlns}><x v='1'/><b v='2'/></a>").into_boxed_str());
            let root = parse(xml);
            assert_eq!(root.child("b").and_then(|it| it.attr("v").map(Cow::into_owned)).as_deref(), Some("2"));
            assert_eq!(root.children().count(), 2);
        }
        assert!(parse("<a xmlns:o='urn:o'><o:b/></a>").child("b").is_none());
    }

    #[test]
    fn findings_name_the_place_and_the_slip() {
        let root = parse("<proxy name='p'\n ransports='http'>\n  <outSequenc/> /></proxy>");
        let found: Vec<String> =
            root.unknown_attrs(&["name", "transports"]).into_iter().map(|it| it.to_string()).collect();
        assert_eq!(found, ["a.xml:1:1: attribute 'ransports' of <proxy> has no effect (did you mean 'transports'?)"]);
        let found: Vec<String> = root.unknown_children(&["outSequence"]).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "a.xml:3:3: <outSequenc> inside <proxy> has no effect (did you mean 'outSequence'?)",
                "a.xml:1:1: text '/>' inside <proxy> has no effect"
            ]
        );
        assert!(root.require_attr("transports").is_err_and(|it| it.to_string().contains("is 'ransports' a slip")));
    }

    #[test]
    fn a_second_end_tag_is_a_warning() {
        let (root, warning) =
            Element::parse(SourceFile::new("a.xml", "<a><b/></a></a>")).expect("the root element is complete");
        assert_eq!(root.name(), "a");
        assert!(warning.is_some_and(|it| !it.is_error()));
        for rest in ["", "\n \n", "<!-- a -->\n<!--b-->"] {
            let (_, warning) = Element::parse(SourceFile::new("a.xml", format!("<a/>{rest}"))).expect("well-formed");
            assert_eq!(warning, None, "{rest}");
        }
        assert!(Element::parse(SourceFile::new("a.xml", "<a><b></a>")).is_err());
    }
}
