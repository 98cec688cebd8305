//! `w3c/qt3tests`: expressions and queries.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, FixedOffset};
use mi_expr::xpath::{Context, Env, Item, Node, Sequence, Version, XPath, XPathError};
use mi_xml::{Document, NodeId};
use mi_xslt::{Host, XQuery};

use crate::assertions::{Failure, Outcome, Variables, evaluate, judge, usual_namespace};
use crate::catalogue::{Environment, attr, child, children, environments, read};
use crate::xslt::with_folder;
use crate::{Report, Verdict};

/// What a test may ask for.
const FEATURES: [&str; 4] = ["higherOrderFunctions", "serialization", "namespace-axis", "fn-format-integer-CLDR"];
/// Test sets of what is out of scope.
const OUT: [&str; 6] = [
    "fn-transform",
    "fn-load-xquery-module",
    "fn-collection",
    "fn-uri-collection",
    "fn-random-number-generator",
    "fn-environment-variable",
];

pub(crate) fn run(path: &str, filter: &str, report: &mut Report) -> Result<(), String> {
    let root = Path::new(path);
    let catalogue = read(&root.join("catalog.xml"))?;
    let top = catalogue.root_element().ok_or("the catalogue is empty")?;
    let shared = environments(&catalogue, top, root);
    for set in children(&catalogue, top, "test-set") {
        let name = attr(&catalogue, set, "name").unwrap_or_default();
        let file = attr(&catalogue, set, "file").unwrap_or_default();
        let (wanted, case) = filter.split_once('/').unwrap_or((filter, ""));
        if OUT.contains(&name.as_str()) || !name.contains(wanted) || (!case.is_empty() && name != wanted) {
            continue;
        }
        test_set(&root.join(&file), &name, case, &shared, report)?;
    }
    Ok(())
}

/// The group a test counts in; `None` if it is out of scope.
fn group(set: &str, dependencies: &[(String, String)]) -> Option<(String, bool)> {
    let mut specs: Vec<&str> = Vec::new();
    for (kind, value) in dependencies {
        match kind.as_str() {
            "spec" => specs = value.split_whitespace().collect(),
            "feature" if FEATURES.contains(&value.as_str()) => {}
            "feature" | "calendar" | "unicode-version" | "xml-version" | "xsd-version" | "limits" | "schemaAware" => {
                return None;
            }
            "language" if value != "en" => return None,
            _ => {}
        }
    }
    // What only processors of 2.0 do differently is not asked of one that knows 3.1.
    let later = |it: &&str| it.ends_with('+') || it.ends_with("30") || it.ends_with("31");
    if !specs.is_empty() && !specs.iter().any(later) {
        return None;
    }
    let family = match set.split('-').next().unwrap_or_default() {
        "fn" | "op" | "xs" | "math" | "map" | "array" => "functions and operators",
        "prod" => "productions",
        _ => "other",
    };
    let xpath = specs.is_empty() || specs.iter().any(|it| it.starts_with("XP"));
    let old = specs.is_empty() || specs.iter().any(|it| matches!(*it, "XP20+" | "XQ10+" | "XP20" | "XQ10"));
    let newer = matches!(set.split('-').next(), Some("math" | "map" | "array"));
    let level = if old && !newer { "2.0" } else { "3.x" };
    let language = if xpath { "XPath" } else { "XQuery" };
    Some((format!("{language} {level}: {family}"), xpath))
}

fn test_set(
    file: &Path,
    set: &str,
    only: &str,
    shared: &HashMap<String, Environment>,
    report: &mut Report,
) -> Result<(), String> {
    let doc = read(file)?;
    let folder = file.parent().unwrap_or(file).to_owned();
    let top = doc.root_element().ok_or("empty")?;
    let own = environments(&doc, top, &folder);
    let dependencies = |node: NodeId| -> Vec<(String, String)> {
        children(&doc, node, "dependency")
            .map(|it| {
                let value = attr(&doc, it, "value").unwrap_or_default();
                let satisfied = attr(&doc, it, "satisfied").is_none_or(|it| it == "true");
                (if satisfied { attr(&doc, it, "type").unwrap_or_default() } else { "not".to_owned() }, value)
            })
            .collect()
    };
    let of_set = dependencies(top);
    for case in children(&doc, top, "test-case") {
        let name = attr(&doc, case, "name").unwrap_or_default();
        if !only.is_empty() && name != only {
            continue;
        }
        let all: Vec<_> = of_set.iter().cloned().chain(dependencies(case)).collect();
        let Some((group, xpath)) = group(set, &all) else { continue };
        let environment = Environment::of_case(&doc, case, &folder, &[&own, shared]);
        if environment.out_of_scope || child(&doc, case, "module").is_some() {
            continue;
        }
        let doc = doc.clone();
        let folder = folder.clone();
        report.run(&group, set, &name, Box::new(move || one(&doc, case, &folder, environment, xpath)));
    }
    Ok(())
}

fn one(doc: &Arc<Document>, case: NodeId, folder: &Path, environment: Environment, xpath: bool) -> Verdict {
    let (Some(test), Some(result)) = (child(doc, case, "test"), child(doc, case, "result")) else {
        return Verdict::Skip;
    };
    if let Some(error) = &environment.broken {
        return if error.contains("document type") || error.contains("DOCTYPE") {
            Verdict::Skip
        } else {
            Verdict::Fail(error.clone())
        };
    }
    let source = match attr(doc, test, "file") {
        Some(file) => std::fs::read_to_string(folder.join(file)).unwrap_or_default(),
        None => doc.string_value(test).into_owned(),
    };
    let now = DateTime::from_timestamp_millis(1_700_000_000_000).unwrap_or_default().with_timezone(&zone());
    let mut values = Vec::new();
    for (name, select) in &environment.params {
        let env = Variables { values: &[], now };
        if let Ok(value) = evaluate(select, &usual_namespace, None, &env) {
            values.push((name.clone(), value));
        }
    }
    for (role, _, document) in &environment.sources {
        if let Some(name) = role.strip_prefix('$') {
            values.push((name.to_owned(), Node::shared(document.clone(), Document::ROOT).into()));
        }
    }
    let item = environment.context().map(|it| Item::Node(Node::shared(it.clone(), Document::ROOT)));
    let world = World { environment, values, now, folder: folder.to_owned() };
    let value = if xpath { expression(&source, item, &world) } else { query(&source, item, &world) };
    let outcome = Outcome { result: value, text: None, others: Vec::new(), messages: Vec::new(), now, context: None };
    let assertion = doc.first_child_element(result);
    let Some(assertion) = assertion else { return Verdict::Skip };
    let refers = doc.descendants(result).any(|it| doc.is_element(it) && attr(doc, it, "file").is_some());
    if refers { judge(&with_folder(doc, folder), assertion, &outcome) } else { judge(doc, assertion, &outcome) }
}

fn zone() -> FixedOffset {
    FixedOffset::east_opt(0).unwrap_or_else(|| unreachable!("zero is an offset"))
}

fn expression(source: &str, item: Option<Item<'static>>, world: &World) -> Result<Sequence<'static>, Failure> {
    let namespaces = |prefix: &str| world.namespace(prefix);
    let elements = world.environment.namespaces.iter().find(|it| it.0.is_empty()).map_or("", |it| it.1.as_str());
    let xpath = XPath::compile_as(source, Version::V2, &namespaces, elements).map_err(|error| Failure {
        code: code_in(&error.message),
        message: error.to_string(),
        early: true,
    })?;
    xpath.evaluate_in(&Context { item, position: 1, size: 1 }, world).map_err(|error| Failure::of(&error))
}

fn query(source: &str, item: Option<Item<'static>>, world: &World) -> Result<Sequence<'static>, Failure> {
    let mut prolog = String::new();
    for (prefix, uri) in &world.environment.namespaces {
        let declaration = if prefix.is_empty() {
            format!("declare default element namespace \"{uri}\";")
        } else {
            format!("declare namespace {prefix} = \"{uri}\";")
        };
        prolog.push_str(&declaration);
    }
    for (name, _) in &world.values {
        if !source.contains("external") {
            prolog.push_str(&format!("declare variable ${name} external;"));
        }
    }
    let source =
        if source.trim_start().starts_with("xquery version") { source.to_owned() } else { format!("{prolog}{source}") };
    let query = XQuery::compile(&source, "query").map_err(|error| Failure {
        code: code_in(&error.message),
        message: error.to_string(),
        early: true,
    })?;
    let variables: Vec<(&str, Sequence<'_>)> = world.values.iter().map(|it| (it.0.as_str(), it.1.clone())).collect();
    query.run_on(item, &variables, world).map_err(|error| Failure {
        code: code_in(&error.message),
        message: error.to_string(),
        early: false,
    })
}

/// The code at the end of a message.
pub(crate) fn code_in(message: &str) -> String {
    let found = message.rsplit('(').next().and_then(|it| it.split(')').next()).unwrap_or_default();
    let local = found.rsplit(['}', ':']).next().unwrap_or_default();
    let is_code = local.len() == 8 && local[..4].chars().all(|c| c.is_ascii_uppercase());
    if is_code || (!found.contains(' ') && message.contains('(')) { found.to_owned() } else { String::new() }
}

struct World {
    environment: Environment,
    values: Vec<(String, Sequence<'static>)>,
    now: DateTime<FixedOffset>,
    folder: PathBuf,
}

impl World {
    fn namespace(&self, prefix: &str) -> Option<String> {
        let declared = self.environment.namespaces.iter().find(|it| it.0 == prefix).map(|it| it.1.clone());
        declared.or_else(|| usual_namespace(prefix))
    }

    fn find(&self, href: &str) -> Option<Arc<Document>> {
        let own = self.environment.document(href);
        own.or_else(|| if href.contains("://") || href.is_empty() { None } else { read(&self.folder.join(href)).ok() })
    }
}

impl Env<'static> for World {
    fn variable(&self, prefix: &str, local: &str) -> Result<Sequence<'static>, XPathError> {
        Variables { values: &self.values, now: self.now }.variable(prefix, local)
    }

    fn function(
        &self,
        _: &str,
        _: &str,
        local: &str,
        args: &[Sequence<'static>],
    ) -> Option<Result<Sequence<'static>, XPathError>> {
        let href = args.first()?.to_str();
        let found = |it: Option<Sequence<'static>>, code: &'static str| {
            it.ok_or_else(|| XPathError::dynamic(code, format!("{} is not there", &*href)))
        };
        match local {
            "doc" | "document" => {
                Some(found(self.find(&href).map(|it| Node::shared(it, Document::ROOT).into()), "FODC0002"))
            }
            "doc-available" => Some(Ok(self.find(&href).is_some().into())),
            _ => None,
        }
    }

    fn now(&self) -> DateTime<FixedOffset> {
        self.now
    }
}

impl Host for World {
    fn now(&self) -> DateTime<FixedOffset> {
        self.now
    }

    fn document(&self, href: &str) -> Option<Arc<Document>> {
        self.find(href)
    }
}
