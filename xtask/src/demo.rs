//! The demo applications end to end: packed from their sources, deployed by the release binary, asked every URL they have.
//!
//! The questions and the expected answers are data, in `samples/expected.json`. The server runs on a home and ports of its
//! own, so that a server at the desk is not in the way.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::http::{self, Answer};
use crate::process;
use crate::workspace::{Workspace, array, text};

const EXPECTED: &str = "samples/expected.json";
const CARS: &str = "carbonapps";
const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Base ports of the listeners; the offset is added to each.
const HTTP: u16 = 8280;
const INTERNAL: u16 = 9191;
const BASE_PORTS: [u16; 4] = [HTTP, 8243, 9154, INTERNAL];

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let home = workspace.target.join("demo-home");
    if home.exists() {
        fs::remove_dir_all(&home).context("cannot clear the demo home")?;
    }
    let cars = home.join(CARS);
    fs::create_dir_all(&cars).context("cannot make the demo home")?;
    pack(workspace, &cars)?;
    check_committed(&cars, &workspace.root.join(CARS))?;
    fs::create_dir_all(home.join("deployment"))?;
    fs::copy(workspace.root.join("deployment/deployment.toml"), home.join("deployment/deployment.toml"))?;

    let source =
        fs::read_to_string(workspace.root.join(EXPECTED)).with_context(|| format!("cannot read {EXPECTED}"))?;
    let expected: Value = serde_json::from_str(&source).with_context(|| EXPECTED.to_owned())?;
    let server = Server::start(workspace, &home)?;
    let failures = server.ask_all(&expected);
    // The server is stopped before anything is reported, so that no path leaves it behind.
    let log = server.stop()?;
    for failure in &failures {
        println!("FAIL {failure}");
    }
    if !failures.is_empty() {
        bail!(
            "{} of {} demo requests failed; server log: {}",
            failures.len(),
            array(&expected["requests"]).count(),
            log.display()
        );
    }
    println!("{} demo requests answered as expected", array(&expected["requests"]).count());
    Ok(())
}

/// Rebuilds the committed archives from `samples/`.
pub(crate) fn pack_samples(workspace: &Workspace) -> Result<()> {
    let cars = workspace.root.join(CARS);
    fs::create_dir_all(&cars)?;
    pack(workspace, &cars)
}

fn pack(workspace: &Workspace, into: &Path) -> Result<()> {
    let binary = workspace.binary()?;
    for project in projects(&workspace.root.join("samples"))? {
        process::run(Command::new(&binary).current_dir(&workspace.root).arg("pack").arg(&project).arg("-o").arg(into))?;
    }
    Ok(())
}

/// The sample folders, in order of their names; a project is a folder with a pom.xml.
fn projects(samples: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(samples).context("cannot list samples/")? {
        let path = entry?.path();
        if path.join("pom.xml").is_file() {
            found.push(path);
        }
    }
    found.sort();
    if found.is_empty() {
        bail!("samples/ has no project");
    }
    Ok(found)
}

/// The archives that `cargo run` deploys must be the samples as they are.
fn check_committed(packed: &Path, committed: &Path) -> Result<()> {
    let (fresh, kept) = (archives(packed)?, archives(committed)?);
    let mut stale: BTreeSet<&String> = fresh.symmetric_difference(&kept).collect();
    for name in fresh.intersection(&kept) {
        if fs::read(packed.join(name))? != fs::read(committed.join(name))? {
            stale.insert(name);
        }
    }
    if !stale.is_empty() {
        bail!("{CARS}/ does not fit samples/ ({stale:?}): run `cargo xtask pack` and commit the result");
    }
    Ok(())
}

fn archives(folder: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if Path::new(&name).extension().is_some_and(|it| it.eq_ignore_ascii_case("car")) {
            names.insert(name);
        }
    }
    Ok(names)
}

struct Server {
    child: Child,
    offset: u16,
    log: PathBuf,
}

impl Server {
    fn start(workspace: &Workspace, home: &Path) -> Result<Self> {
        let offset = free_offset()?;
        let log = home.join("server.log");
        let output = File::create(&log).context("cannot make the server's log")?;
        let child = Command::new(workspace.binary()?)
            .arg("--home")
            .arg(home)
            .arg(format!("-DportOffset={offset}"))
            // The samples call their back ends through the server itself, wherever it listens.
            .env("APPOINTMENT_BACKEND", format!("http://localhost:{}", HTTP + offset))
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("cannot start the server")?;
        let mut server = Self { child, offset, log };
        match server.wait_ready() {
            Ok(()) => Ok(server),
            Err(error) => {
                process::kill(&mut server.child);
                let log = fs::read_to_string(&server.log).unwrap_or_default();
                Err(error.context(format!("the server did not become ready; its log:\n{log}")))
            }
        }
    }

    fn wait_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}");
            }
            let answer = http::request(INTERNAL + self.offset, "GET", "/healthz", &[], "");
            match answer {
                Ok(answer) if answer.status == 200 => return Ok(()),
                Ok(answer) if Instant::now() >= deadline => {
                    bail!("/healthz answers {}: {}", answer.status, answer.body)
                }
                Err(error) if Instant::now() >= deadline => return Err(error),
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Asks everything and returns what went wrong, one text for each request.
    fn ask_all(&self, expected: &Value) -> Vec<String> {
        let ask =
            |request: &Value| self.ask(request).err().map(|error| format!("{}: {error:#}", text(&request["name"])));
        array(&expected["requests"]).filter_map(ask).collect()
    }

    fn ask(&self, request: &Value) -> Result<()> {
        let base = if request["port"] == "internal" { INTERNAL } else { HTTP };
        let headers: Vec<(String, String)> = request["headers"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect();
        // A JSON body is written as JSON; anything else is a string.
        let body = match &request["body"] {
            Value::Null => String::new(),
            Value::String(body) => body.clone(),
            json => json.to_string(),
        };
        let method = request["method"].as_str().unwrap_or("GET");
        let answer = http::request(base + self.offset, method, &text(&request["path"]), &headers, &body)?;
        compare(&request["expect"], &answer)
    }

    /// Stops the server as an orchestrator would, and returns where its log is.
    fn stop(mut self) -> Result<PathBuf> {
        let status = process::terminate(&mut self.child, STOP_LIMIT)?;
        if !status.success() {
            bail!("the server ended with {status} after SIGTERM; its log: {}", self.log.display());
        }
        Ok(self.log)
    }
}

/// `status`, `headers`, `json` (equal), `contains` and `lacks` (parts of the body), `empty`.
fn compare(expect: &Value, answer: &Answer) -> Result<()> {
    let Answer { status, body, .. } = answer;
    if expect["status"] != *status {
        bail!("status {status}, not {}: {body}", expect["status"]);
    }
    for (name, value) in expect["headers"].as_object().into_iter().flatten() {
        if !answer.header(name).is_some_and(|it| it.starts_with(&text(value))) {
            bail!("header {name} is {:?}, not {value}", answer.header(name));
        }
    }
    if let Some(json) = expect.get("json") {
        let got: Value = serde_json::from_str(body).with_context(|| format!("not JSON: {body}"))?;
        if got != *json {
            bail!("got {got}, not {json}");
        }
    }
    for part in array(&expect["contains"]).map(text) {
        if !body.contains(&part) {
            bail!("lacks `{part}`: {body}");
        }
    }
    for part in array(&expect["lacks"]).map(text) {
        if body.contains(&part) {
            bail!("has `{part}`: {body}");
        }
    }
    if expect["empty"] == true && !body.is_empty() {
        bail!("is not empty: {body}");
    }
    Ok(())
}

/// An offset whose ports are all free now.
pub(crate) fn free_offset() -> Result<u16> {
    let free =
        |offset: &u16| BASE_PORTS.iter().all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port + offset)).is_ok());
    (400..4000).step_by(37).find(free).context("no port offset is free")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(expect: Value, body: &str, fits: bool) {
        let headers = vec![("Content-Type".to_owned(), "application/json; charset=UTF-8".to_owned())];
        let answer = Answer { status: 200, headers, body: body.to_owned() };
        assert_eq!(compare(&expect, &answer).is_ok(), fits, "{expect} {body}");
    }

    #[test]
    fn expectations() {
        check(json!({"status": 200}), "", true);
        check(json!({}), "", false);
        check(json!({"status": 404}), "", false);
        check(json!({"status": 200, "headers": {"content-type": "application/json"}}), "", true);
        check(json!({"status": 200, "headers": {"x-missing": ""}}), "", false);
        check(json!({"status": 200, "json": {"a": 1}}), "{ \"a\": 1 }", true);
        check(json!({"status": 200, "json": {"a": 1}}), "{\"a\": 1, \"b\": 2}", false);
        check(json!({"status": 200, "contains": ["<a>"], "lacks": ["<b>"]}), "<a>", true);
        check(json!({"status": 200, "lacks": ["<b>"]}), "<b>", false);
        check(json!({"status": 200, "empty": true}), "x", false);
    }
}
