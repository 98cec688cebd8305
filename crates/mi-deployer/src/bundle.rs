//! A CAR, a connector archive or a folder as a map from paths to bytes, read under caps.
//!
//! Archives come from build servers and users: names that leave the archive, links, encrypted entries and
//! bombs are refused as a whole. Data in front of the first entry is allowed, real archives have it.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use zip::ZipArchive;
use zip::result::ZipError;

/// Caps on an archive or folder.
#[derive(Copy, Clone, Debug)]
pub struct Limits {
    /// Entries.
    pub entries: usize,
    /// Bytes of one entry, unpacked.
    pub entry_bytes: u64,
    /// Bytes of all entries, unpacked.
    pub total_bytes: u64,
    /// Unpacked size over packed size, of entries above 8 MiB.
    pub ratio: u64,
    /// Bytes of the archive itself.
    pub archive_bytes: u64,
}

impl Limits {
    /// Small entries may compress as well as they like.
    const RATIO_FLOOR: u64 = 8 << 20;
    /// Longest name of an entry.
    const NAME: usize = 1024;
    /// Deepest folder.
    const DEPTH: usize = 32;
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: 20_000, entry_bytes: 64 << 20, total_bytes: 256 << 20, ratio: 200, archive_bytes: 512 << 20 }
    }
}

/// Why an archive or folder cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleError(pub String);

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BundleError {}

fn error<T>(message: impl Into<String>) -> Result<T, BundleError> {
    Err(BundleError(message.into()))
}

/// Files by their path with `/`. Java code is not unpacked: such entries are listed without bytes.
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    files: BTreeMap<String, Bytes>,
}

impl Bundle {
    /// Reads a file or folder.
    ///
    /// # Errors
    /// It cannot be read, is no archive, or is refused for one of the reasons above.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, BundleError> {
        let metadata = std::fs::metadata(path).or_else(|cause| error(format!("cannot be read: {cause}")))?;
        if metadata.is_dir() {
            return Self::from_folder(path, limits);
        }
        if metadata.len() > limits.archive_bytes {
            return error(format!("is larger than {} bytes", limits.archive_bytes));
        }
        let bytes = std::fs::read(path).or_else(|cause| error(format!("cannot be read: {cause}")))?;
        Self::from_zip(&bytes, limits)
    }

    /// Reads a zip archive.
    ///
    /// # Errors
    /// As [`Bundle::open`].
    pub fn from_zip(bytes: &[u8], limits: &Limits) -> Result<Self, BundleError> {
        if bytes.is_empty() {
            return error("is empty");
        }
        let mut archive = ZipArchive::new(Cursor::new(bytes)).or_else(|cause| error(describe(&cause)))?;
        if archive.len() > limits.entries {
            return error(format!("has {} entries, more than {}", archive.len(), limits.entries));
        }
        let mut bundle = Self::default();
        let mut total = 0;
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).or_else(|cause| error(describe(&cause)))?;
            let name = entry.name().map(|name| name.into_owned()).or_else(|cause| error(describe(&cause)))?;
            check_name(&name)?;
            if entry.is_symlink() {
                return error(format!("has a link: {name}"));
            }
            if entry.is_dir() {
                continue;
            }
            if is_java(&name) {
                bundle.files.insert(name, Bytes::new());
                continue;
            }
            let packed = entry.compressed_size();
            // Sizes in the directory may lie, so reading stops by itself.
            let cap = limits.entry_bytes.min(limits.total_bytes - total);
            let mut content = Vec::with_capacity(usize::try_from(entry.size().min(1 << 20)).unwrap_or(0));
            let read = (&mut entry).take(cap + 1).read_to_end(&mut content);
            let read = read.or_else(|cause| error(format!("the entry {name} is broken: {cause}")))? as u64;
            if read > cap {
                return error(format!(
                    "unpacks to more than {} bytes in one entry or {} in all, at {name}",
                    limits.entry_bytes, limits.total_bytes
                ));
            }
            if read > Limits::RATIO_FLOOR && read / packed.max(1) > limits.ratio {
                return error(format!("the entry {name} unpacks to more than {} times its size", limits.ratio));
            }
            total += read;
            bundle.files.insert(name, content.into());
        }
        Ok(bundle)
    }

    /// Reads a folder; links are left out.
    ///
    /// # Errors
    /// It cannot be read, or a cap is exceeded.
    pub fn from_folder(root: &Path, limits: &Limits) -> Result<Self, BundleError> {
        let mut bundle = Self::default();
        let mut total = 0;
        let mut folders: Vec<(PathBuf, String, usize)> = vec![(root.to_owned(), String::new(), 0)];
        while let Some((folder, prefix, depth)) = folders.pop() {
            let list = std::fs::read_dir(&folder).or_else(|cause| error(format!("{}: {cause}", folder.display())))?;
            for entry in list {
                let entry = entry.or_else(|cause| error(format!("{}: {cause}", folder.display())))?;
                let kind = entry.file_type().or_else(|cause| error(format!("{}: {cause}", entry.path().display())))?;
                let Ok(file_name) = entry.file_name().into_string() else { continue };
                let name = format!("{prefix}{file_name}");
                if kind.is_dir() && depth < Limits::DEPTH {
                    folders.push((entry.path(), format!("{name}/"), depth + 1));
                } else if kind.is_file() {
                    let bytes = if is_java(&name) { Vec::new() } else { read_capped(&entry.path(), limits)? };
                    total += bytes.len() as u64;
                    if total > limits.total_bytes || bundle.files.len() >= limits.entries {
                        return error(format!(
                            "has more than {} files or {} bytes",
                            limits.entries, limits.total_bytes
                        ));
                    }
                    bundle.files.insert(name, bytes.into());
                }
            }
        }
        Ok(bundle)
    }

    /// Adds or replaces a file.
    pub fn insert(&mut self, path: impl Into<String>, bytes: impl Into<Bytes>) {
        self.files.insert(path.into(), bytes.into());
    }

    /// The bytes of a file.
    pub fn get(&self, path: &str) -> Option<&Bytes> {
        self.files.get(path)
    }

    /// All files in the order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.files.iter().map(|(path, bytes)| (path.as_str(), bytes))
    }

    /// Files below a folder, which ends in `/`; the paths are relative to it.
    pub fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a Bytes)> {
        self.files
            .range(folder.to_owned()..)
            .take_while(move |(path, _)| path.starts_with(folder))
            .map(move |(path, bytes)| (&path[folder.len()..], bytes))
    }
}

fn read_capped(path: &Path, limits: &Limits) -> Result<Vec<u8>, BundleError> {
    let size = std::fs::metadata(path).map(|it| it.len()).unwrap_or(0);
    if size > limits.entry_bytes {
        return error(format!("{} is larger than {} bytes", path.display(), limits.entry_bytes));
    }
    std::fs::read(path).or_else(|cause| error(format!("{}: {cause}", path.display())))
}

/// The name must stay inside of the archive on every system.
fn check_name(name: &str) -> Result<(), BundleError> {
    let escapes = name.starts_with('/')
        || name.contains(['\\', '\0'])
        || name.as_bytes().get(1) == Some(&b':')
        || name.split('/').any(|part| part == "..");
    if escapes {
        return error(format!("an entry points outside of the archive: {}", name.escape_debug()));
    }
    if name.len() > Limits::NAME || name.split('/').count() > Limits::DEPTH {
        let start: String = name.chars().take(40).collect();
        return error(format!("the name of an entry is too long or too deep: {start}…"));
    }
    Ok(())
}

fn is_java(name: &str) -> bool {
    let extension = Path::new(name).extension();
    extension.is_some_and(|it| it.eq_ignore_ascii_case("jar") || it.eq_ignore_ascii_case("class"))
}

fn describe(cause: &ZipError) -> String {
    match cause {
        ZipError::UnsupportedArchive(text) if text.contains("assword") => "is encrypted".to_owned(),
        ZipError::UnsupportedArchive(text) => format!("uses a form of zip that is not supported: {text}"),
        ZipError::InvalidArchive(text) => format!("is no complete zip archive: {text}"),
        other => format!("is no complete zip archive: {other}"),
    }
}

/// Does the file end as a zip archive does? A CAR that is still being copied has no directory yet.
pub(crate) fn is_complete_archive(bytes: &[u8]) -> bool {
    ZipArchive::new(Cursor::new(bytes)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{TempDir, zip};

    #[track_caller]
    fn refused(bytes: &[u8], limits: &Limits, expected: &str) {
        let got = Bundle::from_zip(bytes, limits).map(|it| it.files.len()).unwrap_err();
        assert!(got.0.contains(expected), "{got}");
    }

    #[test]
    fn names_that_leave_the_archive_are_refused() {
        for name in ["../a", "a/../../b", "/etc/passwd", "C:\\a", "a\\b"] {
            refused(&zip(&[("ok", b""), (name, b"x")]), &Limits::default(), "points outside");
        }
        refused(&zip(&[(&"n".repeat(2000), b"")]), &Limits::default(), "too long");
    }

    #[test]
    fn links_and_encryption_are_refused() {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        writer.add_symlink("link", "/etc/passwd", zip::write::SimpleFileOptions::default()).unwrap();
        refused(&writer.finish().unwrap().into_inner(), &Limits::default(), "has a link");
        let mut encrypted = zip(&[("a", b"text")]);
        // Bit 0 of the flags, in the local header and in the directory.
        encrypted[6] |= 1;
        let directory = encrypted.windows(4).position(|it| it == b"PK\x01\x02").unwrap();
        encrypted[directory + 8] |= 1;
        refused(&encrypted, &Limits::default(), "is encrypted");
    }

    #[test]
    fn bombs_meet_the_caps() {
        let zeros = vec![0_u8; 12 << 20];
        let bytes = zip(&[("bomb", &zeros)]);
        refused(&bytes, &Limits::default(), "more than 200 times its size");
        refused(&bytes, &Limits { entry_bytes: 1 << 20, ..Limits::default() }, "unpacks to more than");
        let many = zip(&[("a", &[b'x'; 600]), ("b", &[b'y'; 600])]);
        refused(&many, &Limits { total_bytes: 1000, ..Limits::default() }, "unpacks to more than");
        refused(&many, &Limits { entries: 1, ..Limits::default() }, "has 2 entries");
    }

    #[test]
    fn broken_files_are_refused_with_a_reason() {
        let good = zip(&[("a", b"some text that is long enough")]);
        refused(b"", &Limits::default(), "is empty");
        refused(b"<html/>", &Limits::default(), "no complete zip archive");
        refused(&good[..good.len() - 10], &Limits::default(), "no complete zip archive");
        let mut wrong = good.clone();
        wrong[14] ^= 0xff;
        let directory = wrong.windows(4).position(|it| it == b"PK\x01\x02").unwrap();
        wrong[directory + 16] ^= 0xff;
        refused(&wrong, &Limits::default(), "the entry a is broken");
        assert!(is_complete_archive(&good) && !is_complete_archive(&good[..good.len() / 2]));
    }

    #[test]
    fn bytes_before_the_first_entry_are_allowed() {
        let mut bytes = b"#!/bin/sh\nexit\n".to_vec();
        bytes.extend_from_slice(&zip(&[("d/a.xml", b"<a/>"), ("d/x.jar", b"java")]));
        let bundle = Bundle::from_zip(&bytes, &Limits::default()).unwrap();
        assert_eq!(bundle.get("d/a.xml").map(|it| &it[..]), Some(&b"<a/>"[..]));
        assert_eq!(bundle.get("d/x.jar").map(Bytes::len), Some(0));
        assert_eq!(bundle.below("d/").map(|(path, _)| path).collect::<Vec<_>>(), ["a.xml", "x.jar"]);
    }

    #[test]
    fn folders_are_read_without_links() {
        let dir = TempDir::new();
        dir.write("car/a/b.xml", "<b/>");
        #[cfg(unix)]
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("car/link")).unwrap();
        let bundle = Bundle::open(&dir.path().join("car"), &Limits::default()).unwrap();
        assert_eq!(bundle.iter().map(|(path, _)| path).collect::<Vec<_>>(), ["a/b.xml"]);
    }
}
