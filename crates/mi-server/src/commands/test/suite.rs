//! A suite as it is written. MI: `SynapseTestcaseDataReader`.
//!
//! Files are named by their path in the project, as WSO2's editor writes them; what stands inline, as the Maven plug-in sends
//! it, is taken as well.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use mi_config::{Artifact, Element, SourceFile, parse_artifact};

use super::mocks::Mock;

/// A suite and everything that it names.
pub(super) struct Suite {
    /// What is tested; its kind decides how.
    pub(super) subject: Artifact,
    pub(super) supporting: Vec<Artifact>,
    pub(super) resources: Vec<Resource>,
    /// Archives of connectors.
    pub(super) connectors: Vec<PathBuf>,
    pub(super) mocks: Vec<Mock>,
    pub(super) cases: Vec<Case>,
}

/// A resource of the registry.
pub(super) struct Resource {
    pub(super) key: String,
    pub(super) media_type: Option<String>,
    pub(super) bytes: Bytes,
}

/// A test.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) payload: Option<String>,
    /// Name, scope and value.
    pub(super) properties: Vec<(String, String, String)>,
    pub(super) path: Option<String>,
    pub(super) method: Option<String>,
    pub(super) secure: bool,
    pub(super) assertions: Vec<Assertion>,
}

/// What must hold afterwards.
pub(super) struct Assertion {
    /// `$body`, `$ctx:x`, `$axis2:x`, `$trp:x`, `$statusCode`, `$httpVersion` or `${…}`.
    pub(super) actual: String,
    /// `None`: there is a value.
    pub(super) expected: Option<String>,
    pub(super) message: String,
    /// File, line and column.
    pub(super) place: String,
}

/// Does the file hold a suite?
pub(super) fn is_suite(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains("<unit-test"))
}

impl Suite {
    /// # Errors
    /// The file, or one that it names, cannot be read or says nothing that can be tested.
    pub(super) fn read(project: &Path, file: &Path) -> anyhow::Result<Self> {
        let root = parse(project, file)?;
        if root.name() != "unit-test" {
            bail!("{}: <{}> is no <unit-test>", place(&root), root.name());
        }
        let artifacts = root.child("artifacts").ok_or_else(|| anyhow!("{}: there are no <artifacts>", place(&root)))?;
        let subject = artifacts.child("test-artifact").and_then(|it| it.child("artifact"));
        let subject = subject.ok_or_else(|| anyhow!("{}: there is no <test-artifact>", place(&artifacts)))?;
        let supporting = artifacts.child("supportive-artifacts").map(|it| children(&it)).unwrap_or_default();
        let resources = artifacts.child("registry-resources").map(|it| children(&it)).unwrap_or_default();
        let connectors = artifacts.child("connector-resources").map(|it| children(&it)).unwrap_or_default();
        let mocks = root.child("mock-services").map(|it| children(&it)).unwrap_or_default();
        let cases = root.child("test-cases").map(|it| children(&it)).unwrap_or_default();
        Ok(Self {
            subject: artifact(project, &subject)?,
            supporting: supporting.iter().map(|it| artifact(project, it)).collect::<anyhow::Result<_>>()?,
            resources: resources.iter().map(|it| resource(project, it)).collect::<anyhow::Result<_>>()?,
            // The tools fetch these archives at build time; what is built in works without, and the rest is reported where it
            // is used.
            connectors: connectors.iter().filter_map(|it| named(project, it).ok()).collect(),
            mocks: mocks.iter().map(|it| mock(project, it)).collect::<anyhow::Result<_>>()?,
            cases: cases.iter().map(case).collect::<anyhow::Result<_>>()?,
        })
    }
}

fn children(element: &Element) -> Vec<Element> {
    element.children().collect()
}

/// `file:line:column`
fn place(element: &Element) -> String {
    let (line, column) = element.position();
    format!("{}:{line}:{column}", element.source().name)
}

fn parse(project: &Path, file: &Path) -> anyhow::Result<Element> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let name = file.strip_prefix(project).unwrap_or(file).display().to_string();
    let (root, _) = Element::parse(SourceFile::new(name, bytes)).map_err(|it| anyhow!("{it}"))?;
    Ok(root)
}

/// The file in the project that an element names.
fn named(project: &Path, element: &Element) -> anyhow::Result<PathBuf> {
    let path = element.text();
    let path = path.trim();
    let file = project.join(path.trim_start_matches('/'));
    if path.is_empty() || !file.is_file() {
        bail!("{}: <{}> names no file of the project: `{path}`", place(element), element.name());
    }
    Ok(file)
}

fn artifact(project: &Path, element: &Element) -> anyhow::Result<Artifact> {
    let (parsed, diagnostics) = match element.first_child() {
        Some(inline) => parse_artifact(SourceFile::new(place(&inline), inline.to_xml().into_bytes())),
        None => {
            let file = named(project, element)?;
            let bytes = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let name = file.strip_prefix(project).unwrap_or(&file).display().to_string();
            parse_artifact(SourceFile::new(name, bytes))
        }
    };
    if let Some(error) = diagnostics.iter().find(|it| it.is_error()) {
        bail!("{error}");
    }
    parsed.into_iter().next().ok_or_else(|| anyhow!("{}: there is no artifact in it", place(element)))
}

fn resource(project: &Path, element: &Element) -> anyhow::Result<Resource> {
    let text = |name: &str| element.child(name).map(|it| it.text().trim().to_owned()).filter(|it| !it.is_empty());
    let (Some(name), Some(folder)) = (text("file-name"), text("registry-path")) else {
        bail!("{}: <file-name> and <registry-path> are needed", place(element));
    };
    let content = element.child("artifact").ok_or_else(|| anyhow!("{}: there is no <artifact>", place(element)))?;
    let bytes = match (content.first_child(), named(project, &content)) {
        (Some(inline), _) => inline.to_xml().into(),
        (None, Ok(file)) => std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?.into(),
        // A text that is no path is the content.
        (None, Err(error)) if content.text().trim().starts_with("src/") => return Err(error),
        (None, Err(_)) => content.text().into(),
    };
    Ok(Resource { key: format!("{}/{name}", folder.trim_end_matches('/')), media_type: text("media-type"), bytes })
}

fn mock(project: &Path, element: &Element) -> anyhow::Result<Mock> {
    let described =
        if element.first_child().is_some() { element.clone() } else { parse(project, &named(project, element)?)? };
    Mock::read(&described).map_err(|(at, message)| anyhow!("{}: {message}", place(&at)))
}

fn case(element: &Element) -> anyhow::Result<Case> {
    let input = element.child("input");
    let text = |name: &str| input.as_ref().and_then(|it| it.child(name)).map(|it| it.text());
    let trimmed = |name: &str| text(name).map(|it| it.trim().to_owned()).filter(|it| !it.is_empty());
    let properties = input.as_ref().and_then(|it| it.child("properties")).map(|it| children(&it)).unwrap_or_default();
    let property = |it: &Element| {
        let attr = |name: &str| it.attr(name).map(|it| it.into_owned());
        (
            attr("name").unwrap_or_default(),
            attr("scope").unwrap_or_else(|| "default".to_owned()),
            attr("value").unwrap_or_default(),
        )
    };
    let assertions = element.child("assertions").map(|it| children(&it)).unwrap_or_default();
    let secure = match trimmed("request-protocol").map(|it| it.to_ascii_lowercase()).as_deref() {
        None | Some("http") => false,
        Some("https") => true,
        Some(other) => bail!("{}: there is no protocol `{other}`; there are http and https", place(element)),
    };
    Ok(Case {
        name: element.attr("name").unwrap_or_default().into_owned(),
        payload: text("payload").filter(|it| !it.trim().is_empty()),
        properties: properties.iter().map(property).collect(),
        path: trimmed("request-path"),
        method: trimmed("request-method"),
        secure,
        assertions: assertions.iter().map(assertion).collect::<anyhow::Result<_>>()?,
    })
}

fn assertion(element: &Element) -> anyhow::Result<Assertion> {
    let text = |name: &str| element.child(name).map(|it| it.text());
    let expected = match element.name() {
        "assertEquals" => Some(text("expected").unwrap_or_default()),
        "assertNotNull" => None,
        other => bail!("{}: there is no assertion <{other}>; there are assertEquals and assertNotNull", place(element)),
    };
    Ok(Assertion {
        actual: text("actual").unwrap_or_default().trim().to_owned(),
        expected,
        message: text("message").unwrap_or_default().trim().to_owned(),
        place: place(element),
    })
}
