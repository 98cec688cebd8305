//! What both suites have in common: reading documents and environments.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mi_xml::{Document, NodeId};

/// A document of a suite. Document types are dropped: the parser refuses them.
pub(crate) fn read(path: &Path) -> Result<Arc<Document>, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    parse(bytes).map_err(|error| format!("{}: {error}", path.display()))
}

/// [`read`] for a text.
pub(crate) fn parse(bytes: Vec<u8>) -> Result<Arc<Document>, String> {
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => without_doctype(&text).into_bytes(),
        Err(error) => error.into_bytes(),
    };
    Document::parse(bytes).map(Arc::new).map_err(|error| error.to_string())
}

fn without_doctype(text: &str) -> String {
    let Some(start) = text.find("<!DOCTYPE") else { return text.to_owned() };
    if text[..start].contains("<![CDATA[") {
        return text.to_owned();
    }
    let rest = &text[start..];
    let end = match (rest.find('['), rest.find('>')) {
        (Some(open), Some(close)) if open < close => {
            rest.find(']').and_then(|at| rest[at..].find('>').map(|it| at + it))
        }
        (_, close) => close,
    };
    end.map_or_else(|| text.to_owned(), |end| format!("{}{}", &text[..start], &rest[end + 1..]))
}

/// The text of a child element.
pub(crate) fn child_text(doc: &Document, node: NodeId, name: &str) -> Option<String> {
    child(doc, node, name).map(|it| doc.string_value(it).into_owned())
}

pub(crate) fn child(doc: &Document, node: NodeId, name: &str) -> Option<NodeId> {
    doc.child_elements(node).find(|it| doc.local_name(*it) == name)
}

pub(crate) fn children<'d>(doc: &'d Document, node: NodeId, name: &'d str) -> impl Iterator<Item = NodeId> + 'd {
    doc.child_elements(node).filter(move |it| doc.local_name(*it) == name)
}

pub(crate) fn attr(doc: &Document, node: NodeId, name: &str) -> Option<String> {
    doc.attribute(node, "", name).map(|it| it.into_owned())
}

/// The environments that an element names.
pub(crate) fn environments(doc: &Document, node: NodeId, folder: &Path) -> HashMap<String, Environment> {
    let found = children(doc, node, "environment");
    found.filter_map(|it| Some((attr(doc, it, "name")?, Environment::read(doc, it, folder)))).collect()
}

/// What a test runs in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    pub(crate) folder: PathBuf,
    /// Role (`.`, `$name` or empty), address and document.
    pub(crate) sources: Vec<(String, String, Arc<Document>)>,
    /// Name, expression.
    pub(crate) params: Vec<(String, String)>,
    pub(crate) namespaces: Vec<(String, String)>,
    pub(crate) resources: HashMap<String, PathBuf>,
    pub(crate) stylesheet: Option<PathBuf>,
    /// An expression that picks the start in the source.
    pub(crate) select: Option<String>,
    /// It asks for a schema, a collection or the like.
    pub(crate) out_of_scope: bool,
    pub(crate) broken: Option<String>,
}

impl Environment {
    /// Reads an `environment` element; files are beside `folder`.
    pub(crate) fn read(doc: &Document, node: NodeId, folder: &Path) -> Self {
        let mut found = Self { folder: folder.to_owned(), ..Self::default() };
        for child in doc.child_elements(node) {
            let get = |name: &str| attr(doc, child, name);
            match doc.local_name(child) {
                "source" => found.source(doc, child),
                "param" => found.params.push((get("name").unwrap_or_default(), get("select").unwrap_or_default())),
                "namespace" => {
                    found.namespaces.push((get("prefix").unwrap_or_default(), get("uri").unwrap_or_default()));
                }
                "resource" => {
                    let file = folder.join(get("file").unwrap_or_default());
                    found.resources.insert(get("uri").unwrap_or_default(), file);
                }
                "stylesheet" => found.stylesheet = get("file").map(|it| folder.join(it)),
                "schema" | "collection" | "collation" | "decimal-format" | "context-item" | "package" => {
                    found.out_of_scope |=
                        doc.local_name(child) != "collation" || get("uri").is_none_or(|it| !it.ends_with("codepoint"));
                }
                _ => {}
            }
        }
        found
    }

    /// That of a test: its own, or the first one of the name that it refers to.
    pub(crate) fn of_case(doc: &Document, case: NodeId, folder: &Path, named: &[&HashMap<String, Self>]) -> Self {
        let Some(node) = child(doc, case, "environment") else {
            return Self { folder: folder.to_owned(), ..Self::default() };
        };
        match attr(doc, node, "ref") {
            Some(name) => named.iter().find_map(|it| it.get(&name)).cloned().unwrap_or_default(),
            None => Self::read(doc, node, folder),
        }
    }

    fn source(&mut self, doc: &Document, node: NodeId) {
        let get = |name: &str| attr(doc, node, name);
        if get("validation").is_some_and(|it| it != "skip") {
            self.out_of_scope = true;
            return;
        }
        let role = get("role").unwrap_or_default();
        if role == "." {
            self.select = get("select");
        }
        let (file, document) = match get("file") {
            Some(file) => (self.folder.join(&file).display().to_string(), read(&self.folder.join(file))),
            None => {
                let text = child_text(doc, node, "content").unwrap_or_default();
                (String::new(), parse(text.into_bytes()))
            }
        };
        match document {
            Ok(document) => {
                if let Some(uri) = get("uri") {
                    self.sources.push((String::new(), uri, document.clone()));
                }
                self.sources.push((role, file, document));
            }
            Err(error) => self.broken = Some(error),
        }
    }

    pub(crate) fn context(&self) -> Option<&Arc<Document>> {
        self.sources.iter().find(|it| it.0 == ".").map(|it| &it.2)
    }

    /// The document behind an address.
    pub(crate) fn document(&self, href: &str) -> Option<Arc<Document>> {
        let known =
            self.sources.iter().find(|it| !it.1.is_empty() && (it.1 == href || it.1.ends_with(&format!("/{href}"))));
        if let Some((_, _, document)) = known {
            return Some(document.clone());
        }
        if let Some(path) = self.resources.get(href) {
            return read(path).ok();
        }
        let href = href.strip_prefix("file://").unwrap_or(href);
        if href.contains("://") || href.is_empty() { None } else { read(&self.folder.join(href)).ok() }
    }
}
