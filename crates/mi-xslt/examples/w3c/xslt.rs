//! `w3c/xslt30-test`: stylesheets.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, FixedOffset};
use mi_expr::xpath::{Item, Node, Sequence};
use mi_xml::{Document, NodeId};
use mi_xslt::{Host, Output, Resolver, Start, Stylesheet};

use crate::assertions::{Failure, Outcome, Variables, evaluate, judge, usual_namespace};
use crate::catalogue::{Environment, attr, child, children, environments, read};
use crate::qt3::code_in;
use crate::{Report, Verdict};

/// Features that are there; a test that needs another is out of scope.
const FEATURES: [&str; 7] = [
    "serialization",
    "backwards_compatibility",
    "disabling_output_escaping",
    "namespace_axis",
    "HTML4",
    "XPath_3.1",
    "higher_order_functions",
];
const DEPENDENCIES: [&str; 5] = ["spec", "feature", "on-multiple-match", "year_component_values", "ignore_doc_failure"];

pub(crate) fn run(path: &str, filter: &str, report: &mut Report) -> Result<(), String> {
    let root = Path::new(path);
    let catalogue = read(&root.join("catalog.xml"))?;
    let top = catalogue.root_element().ok_or("the catalogue is empty")?;
    for set in children(&catalogue, top, "test-set") {
        let file = attr(&catalogue, set, "file").unwrap_or_default();
        let name = attr(&catalogue, set, "name").unwrap_or_default();
        let (wanted, case) = filter.split_once('/').unwrap_or((filter, ""));
        let fits = if case.is_empty() { file.contains(wanted) } else { name == wanted };
        if fits && !file.starts_with("tests/strm") && !file.starts_with("tests/sandp") {
            test_set(&root.join(&file), &name, case, report)?;
        }
    }
    Ok(())
}

fn group(folder: &str, dependencies: &[(String, String)]) -> Option<String> {
    let mut level = "1.0 and 2.0";
    for (kind, value) in dependencies {
        match kind.as_str() {
            "spec" => {
                let old = ["XSLT10+", "XSLT20+"];
                if !value.split_whitespace().any(|it| old.contains(&it)) {
                    level = "3.0";
                }
                if !value.split_whitespace().any(|it| it.ends_with('+') || it == "XSLT30") {
                    return None;
                }
            }
            "feature" if FEATURES.contains(&value.as_str()) => {}
            "on-multiple-match" if value != "recover" => return None,
            kind if kind != "feature" && DEPENDENCIES.contains(&kind) => {}
            "not" => {}
            _ => return None,
        }
    }
    Some(format!("XSLT {level}: {folder}"))
}

fn test_set(file: &Path, set: &str, only: &str, report: &mut Report) -> Result<(), String> {
    let doc = read(file)?;
    let folder = file.parent().unwrap_or(file).to_owned();
    let family =
        folder.parent().and_then(Path::file_name).map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
    let top = doc.root_element().ok_or("empty")?;
    let own = environments(&doc, top, &folder);
    let dependencies = |node: NodeId| -> Vec<(String, String)> {
        let Some(inner) = child(&doc, node, "dependencies") else { return Vec::new() };
        doc.child_elements(inner)
            .map(|it| {
                let satisfied = attr(&doc, it, "satisfied").is_none_or(|it| it == "true");
                let kind = if satisfied { doc.local_name(it).to_owned() } else { "not".to_owned() };
                (kind, attr(&doc, it, "value").unwrap_or_default())
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
        let Some(group) = group(&family, &all) else { continue };
        let environment = Environment::of_case(&doc, case, &folder, &[&own]);
        if environment.out_of_scope {
            continue;
        }
        let (doc, folder) = (doc.clone(), folder.clone());
        report.run(&group, set, &name, Box::new(move || one(&doc, case, &folder, &environment)));
    }
    Ok(())
}

fn one(doc: &Arc<Document>, case: NodeId, folder: &Path, environment: &Environment) -> Verdict {
    let (Some(test), Some(result)) = (child(doc, case, "test"), child(doc, case, "result")) else {
        return Verdict::Skip;
    };
    if let Some(error) = &environment.broken {
        return if error.contains("DTD") || error.contains("entit") {
            Verdict::Skip
        } else {
            Verdict::Fail(error.clone())
        };
    }
    if child(doc, test, "package").is_some() || child(doc, test, "initial-function").is_some() {
        return Verdict::Skip;
    }
    let main = children(doc, test, "stylesheet").find(|it| attr(doc, *it, "role").is_none_or(|it| it == "principal"));
    let path = match main {
        Some(main) => attr(doc, main, "file").map(|it| folder.join(it)),
        None => environment.stylesheet.clone(),
    };
    let Some(path) = path else { return Verdict::Skip };
    let now = DateTime::from_timestamp_millis(1_700_000_000_000).unwrap_or_default().fixed_offset();
    let world = World {
        environment: environment.clone(),
        folder: path.parent().unwrap_or(folder).to_owned(),
        now,
        messages: Mutex::new(Vec::new()),
    };
    let found = transform(doc, test, &path, environment, &world);
    let messages = world.messages.lock().map(|it| it.clone()).unwrap_or_default();
    let outcome = match found {
        Ok(output) => of_output(output, messages, now),
        Err(failure) => Outcome { result: Err(failure), text: None, others: Vec::new(), messages, now, context: None },
    };
    let Some(assertion) = doc.first_child_element(result) else { return Verdict::Skip };
    let assertion_doc = with_folder(doc, folder);
    judge(&assertion_doc, assertion, &outcome)
}

/// The test set with the place of its files, which assertions refer to.
pub(crate) fn with_folder(doc: &Document, folder: &Path) -> Document {
    let mut copy = doc.clone();
    if let Some(root) = copy.root_element() {
        copy.set_attribute(root, "", "mi-folder", "", &folder.display().to_string());
    }
    copy
}

fn of_output(mut output: Output, messages: Vec<String>, now: DateTime<FixedOffset>) -> Outcome {
    let text = output.serialize();
    let others = std::mem::take(&mut output.others);
    let others = others.into_iter().map(|(href, it)| (href, of_output(it, Vec::new(), now))).collect();
    let document = Arc::new(output.document);
    let item: Item<'static> = Item::Node(Node::shared(document, Document::ROOT));
    Outcome { result: Ok(Sequence::one(item.clone())), text: Some(text), others, messages, now, context: Some(item) }
}

fn transform(
    doc: &Document,
    test: NodeId,
    path: &Path,
    environment: &Environment,
    world: &World,
) -> Result<Output, Failure> {
    let early = |message: String| Failure { code: code_in(&message), message, early: true };
    let sheet = read(path).map_err(early)?;
    let compiled = Stylesheet::compile(sheet, &path.display().to_string(), &Files::default())
        .map_err(|errors| early(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))?;
    let mut params: Vec<(String, Sequence<'static>)> = Vec::new();
    for param in children(doc, test, "param") {
        let namespaces =
            |prefix: &str| doc.lookup_namespace(param, prefix).map(str::to_owned).or_else(|| usual_namespace(prefix));
        let env = Variables { values: &[], now: world.now };
        let value = evaluate(&attr(doc, param, "select").unwrap_or_default(), &namespaces, None, &env)?;
        params.push((key(doc, param, &attr(doc, param, "name").unwrap_or_default()), value));
    }
    let params: Vec<(&str, Sequence<'_>)> = params.iter().map(|it| (it.0.as_str(), it.1.clone())).collect();
    let name = |element: &str| {
        let node = child(doc, test, element)?;
        attr(doc, node, "name").map(|it| key(doc, node, &it))
    };
    let (template, mode) = (name("initial-template"), name("initial-mode"));
    let context = environment.context();
    let fallback = "{http://www.w3.org/1999/XSL/Transform}initial-template";
    let template = template.as_deref().or_else(|| (context.is_none() && mode.is_none()).then_some(fallback));
    let start = Start { template, mode: mode.as_deref() };
    let source = context.map(|it| {
        let env = Variables { values: &[], now: world.now };
        let picked = environment.select.as_deref().and_then(|select| {
            let item = Item::Node(Node::shared(it.clone(), Document::ROOT));
            evaluate(select, &usual_namespace, Some(item), &env).ok()?.first_node().map(|it| it.id)
        });
        (&**it, picked.unwrap_or(Document::ROOT))
    });
    compiled.transform_from(start, source, &params, world).map_err(|error| Failure {
        code: error.code().unwrap_or_default().to_owned(),
        message: error.to_string(),
        early: false,
    })
}

fn key(doc: &Document, node: NodeId, name: &str) -> String {
    match name.split_once(':') {
        Some((prefix, local)) => format!("{{{}}}{local}", doc.lookup_namespace(node, prefix).unwrap_or_default()),
        None => name.to_owned(),
    }
}

/// Where the stylesheets are that were found, by the name they were asked for.
#[derive(Default)]
struct Files(Mutex<HashMap<String, PathBuf>>);

impl Resolver for Files {
    fn stylesheet(&self, href: &str, base: &str) -> Result<Arc<Document>, String> {
        let mut known = self.0.lock().map_err(|error| error.to_string())?;
        let base = known.get(base).cloned().unwrap_or_else(|| PathBuf::from(base));
        let path = base.parent().map(Path::to_owned).unwrap_or_default().join(href);
        let found = read(&path)?;
        known.insert(href.to_owned(), path);
        Ok(found)
    }
}

struct World {
    environment: Environment,
    folder: PathBuf,
    now: DateTime<FixedOffset>,
    messages: Mutex<Vec<String>>,
}

impl Host for World {
    fn now(&self) -> DateTime<FixedOffset> {
        self.now
    }

    fn document(&self, href: &str) -> Option<Arc<Document>> {
        let plain = href.strip_prefix("file://").unwrap_or(href);
        let found = self.environment.document(href);
        found.or_else(|| {
            if plain.contains("://") || plain.is_empty() { None } else { read(&self.folder.join(plain)).ok() }
        })
    }

    fn keeps_results(&self) -> bool {
        true
    }

    fn message(&self, text: &str) {
        if let Ok(mut messages) = self.messages.lock() {
            messages.push(text.to_owned());
        }
    }
}
