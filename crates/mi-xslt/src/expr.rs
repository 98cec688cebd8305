//! Expressions of a stylesheet: XPath with the namespaces and the version of the place where it stands.

use mi_expr::xpath::{Version, XPath, resolve_reference};
use mi_xml::{Document, NodeId, XML_NAMESPACE};

use crate::plan::Place;

/// Functions that XSLT defines differently from the XPath core are moved to this namespace and answered by the run.
pub(crate) const OWN_FUNCTIONS: &str = "urn:mi:xslt:functions";
const OWN_PREFIX: &str = "mi-xslt-own";

/// A compiled expression and where it stands.
#[derive(Debug)]
pub(crate) struct Expr {
    pub(crate) xpath: XPath,
    pub(crate) place: Place,
}

/// What an expression is compiled in.
#[derive(Clone, Copy)]
pub(crate) struct Statics<'a> {
    pub(crate) doc: &'a Document,
    pub(crate) node: NodeId,
    pub(crate) version: Version,
    /// `xpath-default-namespace`.
    pub(crate) element_namespace: &'a str,
    pub(crate) place: Place,
}

impl Statics<'_> {
    /// The namespace of a prefix.
    pub(crate) fn namespace(&self, prefix: &str) -> Option<String> {
        match prefix {
            "xml" => Some(XML_NAMESPACE.to_owned()),
            OWN_PREFIX => Some(OWN_FUNCTIONS.to_owned()),
            _ => self.doc.lookup_namespace(self.node, prefix).map(str::to_owned),
        }
    }

    /// What `xml:base` says around the expression; stylesheets have no address of their own.
    fn base_uri(&self) -> Option<String> {
        let around = std::iter::once(self.node).chain(self.doc.ancestors(self.node));
        let given: Vec<_> = around.filter_map(|it| self.doc.attribute(it, XML_NAMESPACE, "base")).collect();
        given.iter().rev().fold(None, |base, reference| resolve_reference(base.as_deref(), reference.trim()))
    }

    /// Compiles an expression.
    pub(crate) fn compile(&self, source: &str) -> Result<Expr, String> {
        let rewritten = with_own_functions(source);
        let text = rewritten.as_deref().unwrap_or(source);
        let namespaces = |prefix: &str| self.namespace(prefix);
        let base = self.base_uri();
        match XPath::compile_at(text, self.version, &namespaces, self.element_namespace, base.as_deref()) {
            Ok(xpath) => Ok(Expr { xpath, place: self.place }),
            Err(error) => Err(format!("in the expression \"{source}\": {}", error.message)),
        }
    }
}

/// The expression with `format-number` and `generate-id` moved to [`OWN_FUNCTIONS`]: the first needs the decimal
/// formats of the stylesheet, the second must give the same for a node wherever it is asked.
fn with_own_functions(source: &str) -> Option<String> {
    if !source.contains("format-number") && !source.contains("generate-id") {
        return None;
    }
    let mut out = String::with_capacity(source.len() + 32);
    let mut rest = source;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        if matches!(c, '"' | '\'') {
            let end = rest[1..].find(c).map_or(rest.len(), |at| at + 2);
            out.push_str(&rest[..end]);
            rest = &rest[end..];
            before = c;
            continue;
        }
        let starts_name = !(before.is_alphanumeric() || matches!(before, '-' | '_' | '.' | ':' | '$'));
        let called = ["format-number", "generate-id"].into_iter().find(|name| {
            starts_name && rest.strip_prefix(name).is_some_and(|behind| behind.trim_start().starts_with('('))
        });
        if let Some(name) = called {
            out.push_str(OWN_PREFIX);
            out.push(':');
            out.push_str(name);
            rest = &rest[name.len()..];
            let inner = rest.trim_start().trim_start_matches('(').trim_start();
            if name == "generate-id" && inner.starts_with(')') {
                out.push_str("(.");
                rest = inner;
            }
            before = ')';
            continue;
        }
        out.push(c);
        before = c;
        rest = &rest[c.len_utf8()..];
    }
    Some(out)
}

/// The expanded name of a QName as a [`crate::plan::Key`].
pub(crate) fn key_of(namespace: &str, local: &str) -> String {
    if namespace.is_empty() { local.to_owned() } else { format!("{{{namespace}}}{local}") }
}

#[cfg(test)]
mod tests {
    use super::with_own_functions;

    #[test]
    fn own_functions_are_moved_outside_of_strings() {
        for (source, expected) in [
            ("format-number(1, '#')", Some("mi-xslt-own:format-number(1, '#')")),
            ("'format-number(' ", Some("'format-number(' ")),
            ("a[generate-id() = generate-id(b)]", Some("a[mi-xslt-own:generate-id(.) = mi-xslt-own:generate-id(b)]")),
            ("my-format-number(1)", Some("my-format-number(1)")),
            ("count(a)", None),
        ] {
            assert_eq!(with_own_functions(source).as_deref(), expected, "{source}");
        }
    }
}
