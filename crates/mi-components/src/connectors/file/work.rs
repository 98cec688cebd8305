//! What the operations do to files. Everything here may wait for a disk.

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Component, Path, PathBuf};

use chrono::{DateTime, Local};
use regex::Regex;
use serde_json::{Map, Value as Json, json};

use super::Operation;

/// Largest file that is read into memory.
const MAX_FILE: u64 = 512 << 20;

/// Deepest folder that is listed or copied.
const MAX_DEPTH: usize = 100;

/// Most files of one listing.
const MAX_LISTED: usize = 100_000;

/// Parameters that operations read.
pub(super) const NAMES: [&str; 25] = [
    "path",
    "filePath",
    "directoryPath",
    "sourcePath",
    "targetPath",
    "renameTo",
    "overwrite",
    "includeParent",
    "createParentDirectories",
    "filePattern",
    "sourceFilePattern",
    "matchingPattern",
    "recursive",
    "responseFormat",
    "sortingAttribute",
    "sortingOrder",
    "readMode",
    "startLineNum",
    "endLineNum",
    "lineNum",
    "contentType",
    "writeMode",
    "appendNewLine",
    "compress",
    "appendFileAttributes",
];

/// The parameters of one call.
#[derive(Debug, Default)]
pub(super) struct Parameters(HashMap<&'static str, String>);

impl Parameters {
    pub(super) fn set(&mut self, name: &'static str, text: String) {
        self.0.insert(name, text);
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn require(&self, name: &str) -> Result<&str, Failure> {
        self.get(name).ok_or_else(|| Failure::configuration(format!("Parameter '{name}' is not provided ")))
    }

    fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|it| it.eq_ignore_ascii_case("true"))
    }

    fn line(&self, name: &str) -> Result<usize, Failure> {
        let text = self.require(name)?;
        let number = text.parse().ok().filter(|it| *it > 0);
        number.ok_or_else(|| Failure::configuration(format!("Parameter '{name}' must be positive, not '{text}'")))
    }

    fn pattern(&self, name: &str) -> Result<Option<Regex>, Failure> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let whole = Regex::new(&format!("^(?:{text})$"));
        whole.map(Some).map_err(|error| Failure::configuration(format!("'{text}' is no pattern: {error}")))
    }

    /// What the operation works on, for faults.
    pub(super) fn place(&self) -> String {
        let names = ["path", "filePath", "directoryPath", "sourcePath"];
        names.iter().find_map(|name| self.get(name)).unwrap_or("null").to_owned()
    }
}

/// What an operation gives.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) result: Json,
    pub(super) content: Option<Content>,
    pub(super) attributes: Option<Json>,
}

/// What was read.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    pub(super) media_type: String,
}

/// Why an operation failed. MI: `Error` of the connector.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: &'static str,
    pub(super) name: &'static str,
    pub(super) detail: String,
}

impl Failure {
    fn path(detail: impl Into<String>) -> Self {
        Self { code: "700102", name: "FILE:ILLEGAL_PATH", detail: detail.into() }
    }

    fn exists(detail: impl Into<String>) -> Self {
        Self { code: "700103", name: "FILE:FILE_ALREADY_EXISTS", detail: detail.into() }
    }

    fn configuration(detail: impl Into<String>) -> Self {
        Self { code: "700107", name: "FILE:INVALID_CONFIGURATION", detail: detail.into() }
    }

    pub(super) fn operation(detail: impl Into<String>) -> Self {
        Self { code: "700108", name: "FILE:OPERATION_ERROR", detail: detail.into() }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                Self { code: "700105", name: "FILE:ACCESS_DENIED", detail: error.to_string() }
            }
            _ => Self::operation(error.to_string()),
        }
    }
}

/// Does it, below `folder`.
pub(super) fn run(operation: Operation, folder: &Path, with: &Parameters, content: &[u8]) -> Result<Done, Failure> {
    match operation {
        Operation::Read => read(folder, with),
        Operation::Write => write(&within(folder, with.require("filePath")?)?, with, content),
        Operation::CheckExist => {
            let path = within(folder, with.require("path")?)?;
            Ok(success(&[("fileExists", path.exists().into())]))
        }
        Operation::CreateDirectory => {
            fs::create_dir_all(within(folder, with.require("directoryPath")?)?)?;
            Ok(success(&[]))
        }
        Operation::Delete => delete(&within(folder, with.require("path")?)?, with),
        Operation::Copy | Operation::Move => transfer(operation, folder, with),
        Operation::Rename => rename(&within(folder, with.require("path")?)?, with),
        Operation::List => list(&within(folder, with.require("directoryPath")?)?, with),
    }
}

fn success(more: &[(&str, Json)]) -> Done {
    let mut result = Map::from_iter([("success".to_owned(), Json::Bool(true))]);
    result.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    Done { result: Json::Object(result), ..Done::default() }
}

/// A path below the folder of the connection, which `..` does not leave.
fn within(folder: &Path, path: &str) -> Result<PathBuf, Failure> {
    let mut place = folder.to_owned();
    let mut depth = 0_usize;
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => {
                place.push(name);
                depth += 1;
            }
            Component::ParentDir => {
                depth = depth
                    .checked_sub(1)
                    .ok_or_else(|| Failure::path(format!("{path} leads out of the working directory")))?;
                place.pop();
            }
            _ => {}
        }
    }
    Ok(place)
}

fn read(folder: &Path, with: &Parameters) -> Result<Done, Failure> {
    let given = with.require("path")?;
    let mut shown = given.to_owned();
    let mut path = within(folder, given)?;
    if !path.exists() {
        return Err(Failure::path(format!("File or folder not found: {}", path.display())));
    }
    if path.is_dir() {
        let pattern = with.pattern("filePattern")?;
        let fits = |name: &str| pattern.as_ref().is_none_or(|it| it.is_match(name));
        let found = entries(&path)?.into_iter().find(|(name, path)| path.is_file() && fits(name));
        let (name, file) =
            found.ok_or_else(|| Failure::operation(format!("Error while reading file. No file found in {given}")))?;
        shown = format!("{}/{name}", given.trim_end_matches('/'));
        path = file;
    }
    let attributes = Some(attributes(&shown, &path)?);
    let mode = with.get("readMode").unwrap_or("Complete File");
    if mode == "Metadata Only" {
        return Ok(Done { attributes, ..success(&[]) });
    }
    let mut bytes = Vec::new();
    fs::File::open(&path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Failure::operation(format!("{} is larger than {MAX_FILE} bytes", path.display())));
    }
    let range = match mode {
        "Complete File" => None,
        "Starting From Line" => Some((with.line("startLineNum")?, usize::MAX)),
        "Up To Line" => Some((1, with.line("endLineNum")?)),
        "Between Lines" => Some((with.line("startLineNum")?, with.line("endLineNum")?)),
        "Specific Line" => Some((with.line("lineNum")?, with.line("lineNum")?)),
        other => return Err(Failure::configuration(format!("Unknown file read mode '{other}'"))),
    };
    if let Some((first, last)) = range {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let lines = text.lines().skip(first - 1).take(last.saturating_sub(first - 1));
        bytes = lines.collect::<Vec<_>>().join("\n").into_bytes();
    }
    let media_type = with.get("contentType").map_or_else(|| media_type(&path), str::to_owned);
    Ok(Done { content: Some(Content { bytes, media_type }), attributes, ..success(&[]) })
}

fn media_type(path: &Path) -> String {
    match path.extension().and_then(|it| it.to_str()).unwrap_or_default().to_ascii_lowercase().as_str() {
        "json" => "application/json",
        "xml" => "application/xml",
        _ => "text/plain",
    }
    .to_owned()
}

/// MI: `ReadFile#getFileProperties`.
fn attributes(shown: &str, path: &Path) -> Result<Json, Failure> {
    let about = fs::metadata(path)?;
    let name = path.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
    let modified: DateTime<Local> = about.modified()?.into();
    Ok(json!({
        "FILE_LAST_MODIFIED_TIME": modified.format("%m/%d/%Y %H:%M:%S").to_string(),
        "FILE_IS_DIR": about.is_dir().to_string(),
        "FILE_PATH": shown,
        "FILE_URL": format!("file://{}", path.display()),
        "FILE_NAME": name,
        "FILE_NAME_WITHOUT_EXTENSION": name.split('.').next().unwrap_or_default(),
        "FILE_SIZE": about.len().to_string(),
    }))
}

fn write(path: &Path, with: &Parameters, content: &[u8]) -> Result<Done, Failure> {
    if path.is_dir() {
        return Err(Failure::path(format!("Path does not point to a file {}", path.display())));
    }
    if with.is_true("compress") {
        return Err(Failure::configuration("files cannot be compressed when they are written"));
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = fs::OpenOptions::new();
    match with.get("writeMode").unwrap_or("Overwrite") {
        "Overwrite" => options.write(true).create(true).truncate(true),
        "Append" => options.append(true).create(true),
        "Create New" => options.write(true).create_new(true),
        other => return Err(Failure::configuration(format!("Unknown file write mode '{other}'"))),
    };
    let opened = options.open(path);
    let mut file = match opened {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(Failure::exists("Target file already exists. Path = ".to_owned() + &path.to_string_lossy()));
        }
        other => other?,
    };
    let end: &[u8] = if with.is_true("appendNewLine") { b"\n" } else { b"" };
    file.write_all(&[content, end].concat())?;
    file.flush()?;
    let written = content.len() + end.len();
    Ok(if written == 0 { success(&[]) } else { success(&[("writtenBytes", written.into())]) })
}

fn delete(path: &Path, with: &Parameters) -> Result<Done, Failure> {
    if path.is_file() {
        fs::remove_file(path)?;
        return Ok(success(&[]));
    }
    if !path.is_dir() {
        return Ok(success(&[]));
    }
    let deleted = match with.pattern("matchingPattern")? {
        None => {
            let count = count(path, MAX_DEPTH)?;
            fs::remove_dir_all(path)?;
            count
        }
        Some(pattern) => remove_matching(path, &pattern, MAX_DEPTH)?,
    };
    Ok(success(&[("numOfDeletedFiles", deleted.into())]))
}

/// The number of files and folders, the folder itself among them.
fn count(folder: &Path, depth: usize) -> Result<usize, Failure> {
    let below = depth.checked_sub(1).ok_or_else(too_deep)?;
    let mut number = 1;
    for (_, path) in entries(folder)? {
        number += if is_folder(&path) { count(&path, below)? } else { 1 };
    }
    Ok(number)
}

fn remove_matching(folder: &Path, pattern: &Regex, depth: usize) -> Result<usize, Failure> {
    let below = depth.checked_sub(1).ok_or_else(too_deep)?;
    let mut deleted = 0;
    for (name, path) in entries(folder)? {
        if is_folder(&path) {
            deleted += remove_matching(&path, pattern, below)?;
        } else if pattern.is_match(&name) {
            fs::remove_file(&path)?;
            deleted += 1;
        }
    }
    Ok(deleted)
}

/// Copies or moves a file into a folder, or the content of a folder.
fn transfer(operation: Operation, folder: &Path, with: &Parameters) -> Result<Done, Failure> {
    let source = within(folder, with.require("sourcePath")?)?;
    let target = within(folder, with.require("targetPath")?)?;
    let overwrite = with.is_true("overwrite");
    let name = source.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
    let name = with.get("renameTo").unwrap_or(&name).to_owned();
    let moves = operation == Operation::Move;
    if !source.exists() {
        let text = format!("File/Folder does not exist : {}", source.display());
        return Err(if moves { Failure::operation(text) } else { Failure::path(text) });
    }
    if moves && !target.exists() && !with.is_true("createParentDirectories") {
        return Err(Failure::operation("Target folder does not exist and not configured to create"));
    }
    if source.is_file() {
        let target = within(&target, &name)?;
        if target.exists() && !overwrite {
            return Err(Failure::exists("Destination file already exists and overwrite not allowed"));
        }
        copy_file(&source, &target, moves)?;
        return Ok(success(&[]));
    }
    let target = if with.is_true("includeParent") { within(&target, &name)? } else { target };
    if target.starts_with(&source) {
        return Err(Failure::path("a folder cannot be put into itself"));
    }
    let pattern = with.pattern(if moves { "filePattern" } else { "sourceFilePattern" })?;
    let each = Each { pattern, overwrite, moves };
    each.folder(&source, &target, MAX_DEPTH)?;
    if moves && each.pattern.is_none() {
        fs::remove_dir_all(&source)?;
    }
    Ok(success(&[]))
}

/// How the files of a folder are copied.
struct Each {
    pattern: Option<Regex>,
    overwrite: bool,
    moves: bool,
}

impl Each {
    fn folder(&self, source: &Path, target: &Path, depth: usize) -> Result<(), Failure> {
        let below = depth.checked_sub(1).ok_or_else(too_deep)?;
        fs::create_dir_all(target)?;
        for (name, path) in entries(source)? {
            let target = target.join(&name);
            if is_folder(&path) {
                self.folder(&path, &target, below)?;
            } else if self.pattern.as_ref().is_none_or(|it| it.is_match(&name)) {
                if target.exists() && !self.overwrite {
                    return Err(Failure::exists(
                        "Folder or one or more sub-directories already exists and overwrite not allowed",
                    ));
                }
                copy_file(&path, &target, self.moves)?;
            }
        }
        Ok(())
    }
}

/// A file that cannot be renamed across file systems is copied and removed.
fn copy_file(source: &Path, target: &Path, moves: bool) -> Result<(), Failure> {
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder)?;
    }
    if moves && fs::rename(source, target).is_ok() {
        return Ok(());
    }
    fs::copy(source, target)?;
    if moves {
        fs::remove_file(source)?;
    }
    Ok(())
}

fn rename(path: &Path, with: &Parameters) -> Result<Done, Failure> {
    if !path.exists() {
        return Err(Failure::path(format!("File or folder does not exist {}", path.display())));
    }
    let folder = path.parent().unwrap_or(path);
    let target = within(folder, with.require("renameTo")?)?;
    if target.exists() && !with.is_true("overwrite") {
        return Err(Failure::exists("Destination file already exists and overwrite not allowed."));
    }
    fs::rename(path, target)?;
    Ok(success(&[]))
}

fn list(folder: &Path, with: &Parameters) -> Result<Done, Failure> {
    if !folder.exists() {
        return Err(Failure::path("Folder does not exist."));
    }
    if !folder.is_dir() {
        return Err(Failure::operation("Folder is expected."));
    }
    let listing = Listing {
        pattern: with.pattern("matchingPattern")?,
        recursive: with.is_true("recursive"),
        details: with.is_true("appendFileAttributes"),
        order: with.get("sortingAttribute").unwrap_or("Name").to_owned(),
        descending: with.get("sortingOrder").is_some_and(|it| it == "Descending"),
    };
    match with.get("responseFormat").unwrap_or("Hierarchical") {
        "Hierarchical" => Ok(success(&[("directory", listing.tree(folder, MAX_DEPTH, &mut 0)?)])),
        "Flat" => {
            let mut files = Vec::new();
            listing.flat(folder, MAX_DEPTH, &mut files)?;
            Ok(success(&[("files", json!({"files": files}))]))
        }
        other => Err(Failure::configuration(format!("Unknown responseFormat found {other}"))),
    }
}

/// How a folder is listed.
struct Listing {
    pattern: Option<Regex>,
    recursive: bool,
    details: bool,
    order: String,
    descending: bool,
}

impl Listing {
    fn sorted(&self, folder: &Path) -> Result<Vec<(String, PathBuf)>, Failure> {
        let mut found = entries(folder)?;
        found.retain(|(name, path)| is_folder(path) || self.pattern.as_ref().is_none_or(|it| it.is_match(name)));
        let about = |path: &Path| fs::metadata(path).ok();
        match self.order.as_str() {
            "Size" => found.sort_by_key(|(_, path)| about(path).map_or(0, |it| it.len())),
            "LastModified" | "Last Modified" => {
                found.sort_by_key(|(_, path)| about(path).and_then(|it| it.modified().ok()));
            }
            _ => {}
        }
        if self.descending {
            found.reverse();
        }
        Ok(found)
    }

    fn file(&self, mut shown: Map<String, Json>, path: &Path) -> Result<Json, Failure> {
        if self.details {
            let about = fs::metadata(path)?;
            let modified = DateTime::<Local>::from(about.modified()?).timestamp_millis();
            shown.insert("size".to_owned(), about.len().into());
            shown.insert("lastModifiedTime".to_owned(), modified.into());
        }
        Ok(Json::Object(shown))
    }

    fn tree(&self, folder: &Path, depth: usize, listed: &mut usize) -> Result<Json, Failure> {
        let below = depth.checked_sub(1).ok_or_else(too_deep)?;
        let name = folder.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for (name, path) in self.sorted(folder)? {
            *listed += 1;
            if *listed > MAX_LISTED {
                return Err(too_many());
            }
            if !is_folder(&path) {
                let shown = Map::from_iter([("name".to_owned(), Json::from(name.as_str()))]);
                files.push(if self.details { self.file(shown, &path)? } else { name.into() });
            } else if self.recursive {
                folders.push(self.tree(&path, below, listed)?);
            }
        }
        let mut shown = Map::from_iter([("name".to_owned(), name.into())]);
        for (name, items) in [("file", files), ("directory", folders)] {
            if !items.is_empty() {
                shown.insert(name.to_owned(), items.into());
            }
        }
        Ok(Json::Object(shown))
    }

    fn flat(&self, folder: &Path, depth: usize, files: &mut Vec<Json>) -> Result<(), Failure> {
        let below = depth.checked_sub(1).ok_or_else(too_deep)?;
        for (name, path) in self.sorted(folder)? {
            if files.len() >= MAX_LISTED {
                return Err(too_many());
            }
            if !is_folder(&path) {
                let place = path.to_string_lossy().into_owned();
                let shown = Map::from_iter([("name".to_owned(), name.into()), ("path".to_owned(), place.into())]);
                files.push(self.file(shown, &path)?);
            } else if self.recursive {
                self.flat(&path, below, files)?;
            }
        }
        Ok(())
    }
}

/// Links to folders are not followed, as they may lead in a circle.
fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|it| it.is_dir())
}

/// Names and paths, by name.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, Failure> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        found.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
    }
    found.sort();
    Ok(found)
}

fn too_deep() -> Failure {
    Failure::operation(format!("folders are nested deeper than {MAX_DEPTH} levels"))
}

fn too_many() -> Failure {
    Failure::operation(format!("the folder holds more than {MAX_LISTED} files"))
}
