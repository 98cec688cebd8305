//! The functions of XSLT and those of the stylesheet, as expressions see them.

use std::sync::Arc;

use chrono::{DateTime, FixedOffset};
use mi_expr::xpath::{Env, Item, Node, Sequence, Str, Version, XPath, XPathError};
use mi_xml::{Document, NodeId};

use super::{Cx, Outcome, Run};
use crate::XSLT_NAMESPACE;
use crate::decimal::DecimalFormat;
use crate::error::TransformError;
use crate::expr::{OWN_FUNCTIONS, key_of};
use crate::plan::Function;

/// What an expression sees of a run.
pub(super) struct View<'a, 's, 'd> {
    pub(super) run: &'a Run<'s, 'd>,
    pub(super) cx: &'a Cx<'s, 'd>,
}

type Answer<'d> = Option<Result<Sequence<'d>, XPathError>>;

/// Namespaces of libraries that have `node-set()`.
const NODE_SET: [&str; 4] = [
    "http://exslt.org/common",
    "urn:schemas-microsoft-com:xslt",
    "http://xml.apache.org/xalan",
    "http://icl.com/saxon",
];
const FN: &str = "http://www.w3.org/2005/xpath-functions";
/// The instructions, for `element-available()`.
const INSTRUCTIONS: [&str; 40] = [
    "apply-imports",
    "apply-templates",
    "analyze-string",
    "attribute",
    "call-template",
    "choose",
    "comment",
    "copy",
    "copy-of",
    "document",
    "element",
    "fallback",
    "for-each",
    "for-each-group",
    "if",
    "message",
    "namespace",
    "next-match",
    "number",
    "perform-sort",
    "processing-instruction",
    "sequence",
    "text",
    "value-of",
    "variable",
    "param",
    "template",
    "stylesheet",
    "sort",
    "with-param",
    "key",
    "result-document",
    "iterate",
    "next-iteration",
    "break",
    "try",
    "catch",
    "map",
    "map-entry",
    "where-populated",
];

impl<'d> Env<'d> for View<'_, '_, 'd> {
    fn variable(&self, prefix: &str, local: &str) -> Result<Sequence<'d>, XPathError> {
        self.run.variable(prefix, local)
    }

    fn function(&self, prefix: &str, namespace: &str, local: &str, args: &[Sequence<'d>]) -> Answer<'d> {
        match namespace {
            OWN_FUNCTIONS => Some(self.own(local, args)),
            "" | FN if prefix.is_empty() || namespace == FN || prefix == "fn" => self.standard(local, args),
            _ => self.foreign(namespace, local, args),
        }
    }

    fn now(&self) -> DateTime<FixedOffset> {
        self.run.host.now()
    }
}

impl<'d> View<'_, '_, 'd> {
    fn foreign(&self, namespace: &str, local: &str, args: &[Sequence<'d>]) -> Answer<'d> {
        if let Some(function) = self.run.plan.functions.get(&(key_of(namespace, local), args.len())) {
            let result = self.run.call(function, args);
            return Some(result.map_err(|error| self.run.through_expression(error)));
        }
        if NODE_SET.contains(&namespace) && matches!(local, "node-set" | "nodeset" | "nodeSet") {
            return args.first().cloned().map(Ok);
        }
        let texts: Vec<String> = args.iter().map(|arg| arg.to_str().into_string()).collect();
        let answer = self.run.host.function(namespace, local, &texts)?;
        Some(answer.map(Sequence::from).map_err(XPathError::Host))
    }

    /// `format-number` and `generate-id`.
    fn own(&self, local: &str, args: &[Sequence<'d>]) -> Result<Sequence<'d>, XPathError> {
        match (local, args) {
            ("generate-id", [nodes]) if nodes.len() > 1 && !self.run.plan.is_old => Err(XPathError::dynamic(
                "XPTY0004",
                "the argument of generate-id() must be one node, but there are several",
            )),
            ("generate-id", [node]) => Ok(node.first_node().map_or(String::new(), |it| self.run.id_of(&it)).into()),
            ("format-number", [number, picture]) => self.format_number(number, picture, ""),
            ("format-number", [number, picture, name]) => self.format_number(number, picture, &name.to_str()),
            _ => Err(XPathError::UnknownFunction { name: local.to_owned(), arity: args.len() }),
        }
    }

    fn format_number(
        &self,
        number: &Sequence<'d>,
        picture: &Sequence<'d>,
        name: &str,
    ) -> Result<Sequence<'d>, XPathError> {
        let default = DecimalFormat::default();
        let formats = &self.run.plan.decimal_formats;
        let format = match formats.get(&self.run.expanded(name)) {
            Some(format) => format,
            None if name.is_empty() => &default,
            None => return Err(XPathError::dynamic("FODF1280", format!("there is no decimal format {name}"))),
        };
        let text = format.format(number.to_number(), &picture.to_str());
        text.map(Sequence::from).map_err(|message| XPathError::dynamic("FODF1310", message))
    }

    fn standard(&self, local: &str, args: &[Sequence<'d>]) -> Answer<'d> {
        let text = |at: usize| args.get(at).map_or(Str::Borrowed(""), Sequence::to_str);
        let answer = match (local, args.len()) {
            ("current", 0) => return Some(self.current()),
            ("current-group", 0) => self.cx.group.as_ref().map(|it| it.items()).unwrap_or_default(),
            ("current-grouping-key", 0) => self.cx.group.as_ref().map(|it| it.key()).unwrap_or_default(),
            ("regex-group", 1) => {
                let number = args[0].to_number();
                let groups = self.cx.captures.as_deref();
                let found = groups.filter(|_| number >= 0.0).and_then(|groups| groups.get(number as usize));
                Sequence::from(found.cloned().unwrap_or_default())
            }
            ("key", 2 | 3) => return Some(self.key(args)),
            ("document", 1 | 2) => return Some(self.documents(&args[0])),
            ("doc", 1) => return Some(self.documents(&args[0])),
            ("doc-available", 1) => Sequence::from(self.run.host.document(&text(0)).is_some()),
            ("unparsed-text-available", _) => Sequence::from(false),
            ("unparsed-text", _) => {
                let message = "unparsed-text() reaches nothing here".to_owned();
                return Some(Err(XPathError::dynamic("FOUT1170", message)));
            }
            ("unparsed-entity-uri" | "unparsed-entity-public-id", 1) => Sequence::from(""),
            ("system-property", 1) => Sequence::from(self.system_property(&text(0))),
            ("element-available", 1) => Sequence::from(self.element_available(&text(0))),
            ("function-available", 1 | 2) => {
                let arity = args.get(1).map(|it| it.to_number() as usize);
                Sequence::from(self.function_available(&text(0), arity))
            }
            ("type-available", 1) => Sequence::from(text(0).starts_with("xs:")),
            _ => return None,
        };
        Some(Ok(answer))
    }

    fn current(&self) -> Result<Sequence<'d>, XPathError> {
        let item = self.cx.focus.item.clone();
        item.map(Sequence::one).ok_or_else(|| XPathError::dynamic("XTDE1360", "there is no current item here"))
    }

    fn key(&self, args: &[Sequence<'d>]) -> Result<Sequence<'d>, XPathError> {
        let node = match args.get(2) {
            Some(top) => top.first_node(),
            None => self.cx.node().cloned().or_else(|| Some(self.run.source.clone())),
        };
        let Some(node) = node else { return Ok(Sequence::empty()) };
        let name = self.run.expanded(&args[0].to_str());
        let found = self.run.key_nodes(&name, &args[1], &node);
        found.map_err(|error| self.run.through_expression(error))
    }

    /// Documents by the references in a sequence; only the host knows any, and `''` is the stylesheet.
    fn documents(&self, references: &Sequence<'d>) -> Result<Sequence<'d>, XPathError> {
        let mut found = Vec::new();
        for reference in references.iter() {
            let href = reference.to_str(Version::V2);
            let document = self.run.document(&href);
            let document = document.ok_or_else(|| {
                XPathError::dynamic("FODC0002", format!("the document {href} is not available to the stylesheet"))
            })?;
            found.push(Item::Node(Node::shared(document, Document::ROOT)));
        }
        Ok(Sequence::from_items(found))
    }

    fn system_property(&self, name: &str) -> &'static str {
        let Some(local) = self.in_xslt(name) else { return "" };
        property_of_system(local)
    }

    /// The local part of a name whose prefix is bound to the namespace of XSLT.
    fn in_xslt<'n>(&self, name: &'n str) -> Option<&'n str> {
        let (prefix, local) = name.trim().split_once(':')?;
        let is_xslt =
            self.run.plan.documents.iter().any(|doc| {
                doc.root_element().and_then(|root| doc.lookup_namespace(root, prefix)) == Some(XSLT_NAMESPACE)
            });
        is_xslt.then_some(local)
    }

    fn element_available(&self, name: &str) -> bool {
        self.in_xslt(name).is_some_and(is_instruction)
    }

    fn function_available(&self, name: &str, arity: Option<usize>) -> bool {
        const ANSWERED: [&str; 16] = [
            "current",
            "current-group",
            "current-grouping-key",
            "regex-group",
            "key",
            "document",
            "doc",
            "doc-available",
            "unparsed-entity-uri",
            "unparsed-entity-public-id",
            "system-property",
            "element-available",
            "function-available",
            "type-available",
            "format-number",
            "generate-id",
        ];
        let name = name.trim();
        if let Some((prefix, local)) = name.split_once(':')
            && !matches!(prefix, "fn" | "xs")
        {
            let namespace = self.run.prefix_of_sheet(prefix).unwrap_or_default();
            let key = key_of(&namespace, local);
            let mut functions = self.run.plan.functions.keys();
            return functions.any(|(known, count)| *known == key && arity.is_none_or(|it| it == *count))
                || (NODE_SET.contains(&namespace.as_str()) && local == "node-set");
        }
        let local = name.trim_start_matches("fn:");
        ANSWERED.contains(&local) || is_built_in(name, arity)
    }
}

impl<'s, 'd> Run<'s, 'd> {
    /// Calls a function of the stylesheet.
    fn call(&self, function: &'s Function, args: &[Sequence<'d>]) -> Outcome<Sequence<'d>> {
        let cx = Cx::new(None);
        let result = self.enter(|| {
            self.framed(|| {
                for (param, value) in function.params.iter().zip(args) {
                    let value = self.cast(param.value.cast.as_ref(), value.clone(), "XTTE0790")?;
                    self.bind(&param.name, value);
                }
                let items = self.in_value(|| self.to_items(|| self.exec(&function.body, &cx)))?;
                self.cast(function.cast.as_ref(), Sequence::from_items(items), "XTTE0780")
            })
        });
        result.map_err(|error: TransformError| self.placed(error, function.place))
    }

    /// An identifier of a node that is the same wherever it is asked for.
    fn id_of(&self, node: &Node<'d>) -> String {
        let number = NodeId::index(node.id);
        if node.doc.same(&self.source.doc) {
            return format!("n{number}");
        }
        let address = std::ptr::from_ref::<Document>(&node.doc).addr();
        format!("d{address:x}n{number}")
    }

    /// A name given as text at run time.
    pub(super) fn expanded(&self, name: &str) -> String {
        let name = name.trim();
        if let Some((namespace, local)) = name.strip_prefix("Q{").and_then(|it| it.split_once('}')) {
            return key_of(namespace, local);
        }
        match name.split_once(':') {
            Some((prefix, local)) => key_of(&self.prefix_of_sheet(prefix).unwrap_or_default(), local),
            None => name.to_owned(),
        }
    }

    /// The namespace of a prefix at the root of the stylesheets.
    fn prefix_of_sheet(&self, prefix: &str) -> Option<String> {
        self.plan.documents.iter().find_map(|doc| {
            let root = doc.root_element()?;
            doc.lookup_namespace(root, prefix).map(str::to_owned)
        })
    }

    fn document(&self, href: &str) -> Option<Arc<Document>> {
        if href.is_empty() {
            return self.plan.documents.first().cloned();
        }
        if let Some(known) = self.documents.borrow().get(href) {
            return Some(known.clone());
        }
        let document = self.host.document(href)?;
        self.documents.borrow_mut().insert(href.to_owned(), document.clone());
        Some(document)
    }
}

/// A system property in the namespace of XSLT; empty if there is none.
pub(crate) fn property_of_system(local: &str) -> &'static str {
    match local {
        "version" => "2.0",
        "vendor" | "product-name" => "mi-xslt",
        "vendor-url" => "https://wso2.com",
        "product-version" => env!("CARGO_PKG_VERSION"),
        "is-schema-aware" | "supports-serialization" => "no",
        "supports-backwards-compatibility" => "yes",
        _ => "",
    }
}

/// Whether there is an instruction of this name.
pub(crate) fn is_instruction(local: &str) -> bool {
    INSTRUCTIONS.contains(&local)
}

/// Whether there is a function of XPath of this name: one that compiles without asking the host.
pub(crate) fn is_built_in(name: &str, arity: Option<usize>) -> bool {
    let built_in = |count: usize| {
        let source = format!("{name}({})", vec!["1"; count].join(","));
        XPath::compile_as(&source, Version::V2, &|_| None, "").is_ok_and(|it| it.functions().next().is_none())
    };
    arity.map_or_else(|| (0..5).any(built_in), |count| count < 10 && built_in(count))
}
