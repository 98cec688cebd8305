//! Moves, copies and replacements of files that lose nothing: a file is at its old place until it is whole at the new
//! one, and what stands at the new one is not overwritten by a move. Everything here blocks.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{CWD, RenameFlags, renameat_with};

/// Prefix and suffix of files that are being written. They are never taken for input.
const PART_PREFIX: &str = ".mi-";
const PART_SUFFIX: &str = ".part";
/// Numbers that are tried for a name that is taken, before a name that nobody else makes up.
const MAX_NUMBER: u32 = 32;

/// A name for a file that is being written in `folder`.
pub(super) fn part_in(folder: &Path) -> PathBuf {
    folder.join(format!("{PART_PREFIX}{}{PART_SUFFIX}", uuid::Uuid::new_v4().simple()))
}

/// True for the names of files that are being written.
pub(super) fn is_part(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(PART_PREFIX.as_bytes()) && name.ends_with(PART_SUFFIX.as_bytes())
}

/// The folder that holds `path`.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Moves `source` into `folder` as `name`, or by another name when that one is taken (`report.xml`, `report.1.xml`, …).
/// Gives the path it has now. Across file systems the file is copied, made durable and deleted here.
pub(super) fn move_into(source: &Path, folder: &Path, name: &OsStr) -> io::Result<PathBuf> {
    let mut copy: Option<PathBuf> = None;
    let mut number = 0;
    while number <= MAX_NUMBER + 1 {
        let target = folder.join(numbered(name, number));
        match publish(copy.as_deref().unwrap_or(source), &target) {
            Ok(()) if copy.is_none() => return Ok(target),
            Ok(()) => {
                sync_folder(folder);
                // Behind a crash here the file is at both places and is processed once more; it is not lost. A source
                // that cannot be deleted takes its copy back, or each attempt would leave another one.
                remove(source).inspect_err(|_| drop(fs::remove_file(&target)))?;
                return Ok(target);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices && copy.is_none() => {
                copy = Some(copy_into(source, folder)?);
            }
            Err(error) => return Err(abandoned(copy, error)),
        }
    }
    let error = io::Error::new(io::ErrorKind::AlreadyExists, format!("all names like {} are taken", name.display()));
    Err(abandoned(copy, error))
}

fn abandoned(copy: Option<PathBuf>, error: io::Error) -> io::Error {
    if let Some(copy) = copy {
        drop(fs::remove_file(copy));
    }
    error
}

/// `report.xml`, `report.1.xml` and so on; the last one is unique.
pub(super) fn numbered(name: &OsStr, number: u32) -> OsString {
    if number == 0 {
        return name.to_owned();
    }
    let path = Path::new(name);
    let mut numbered = path.file_stem().unwrap_or(name).to_owned();
    if number <= MAX_NUMBER {
        numbered.push(format!(".{number}"));
    } else {
        numbered.push(format!(".{}", uuid::Uuid::new_v4().simple()));
    }
    if let Some(extension) = path.extension() {
        numbered.push(".");
        numbered.push(extension);
    }
    numbered
}

/// Gives `source` the name `target` on the same file system, unless that name is taken.
fn publish(source: &Path, target: &Path) -> io::Result<()> {
    match renameat_with(CWD, source, CWD, target, RenameFlags::NOREPLACE) {
        Ok(()) => return Ok(()),
        // The file system cannot promise it, as with NFS.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP) => {}
        Err(error) => return Err(error.into()),
    }
    match fs::hard_link(source, target) {
        Ok(()) => return fs::remove_file(source).inspect_err(|_| drop(fs::remove_file(target))),
        Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) => {}
        Err(error) => return Err(error),
    }
    // Without links: the name is taken first, by an empty file that nobody else overwrites, and then replaced.
    OpenOptions::new().write(true).create_new(true).open(target)?;
    fs::rename(source, target)
}

/// A durable copy of `source` in `folder`, with its times and permissions, under a name of its own.
fn copy_into(source: &Path, folder: &Path) -> io::Result<PathBuf> {
    let part = part_in(folder);
    let copied = || -> io::Result<()> {
        fs::copy(source, &part)?;
        let file = OpenOptions::new().write(true).open(&part)?;
        file.set_modified(fs::metadata(source)?.modified()?)?;
        file.sync_all()
    };
    match copied() {
        Ok(()) => Ok(part),
        Err(error) => Err(abandoned(Some(part), error)),
    }
}

/// Deletes a file. One that is gone already was deleted by somebody else, which is as good.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Makes the names of a folder durable, where the file system can do that.
pub(super) fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        drop(folder.sync_all());
    }
}

/// Puts a part in the place of `target`, whatever is there, and gives it a time. The part is removed when that fails.
pub(super) fn replace(part: &Path, target: &Path, modified: Option<SystemTime>) -> io::Result<()> {
    let replaced = || -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(part)?;
        if let Ok(former) = fs::metadata(target) {
            file.set_permissions(former.permissions())?;
        }
        if let Some(modified) = modified {
            file.set_modified(modified)?;
        }
        file.sync_data()?;
        fs::rename(part, target)
    };
    replaced().inspect_err(|_| drop(fs::remove_file(part)))
}

/// Writes a small file at once: whoever finds it finds all of it. False when the name is taken.
pub(super) fn create_whole(path: &Path, content: &[u8]) -> io::Result<bool> {
    let part = part_in(folder_of(path));
    let written = File::create_new(&part).and_then(|mut file| file.write_all(content));
    let linked = written.and_then(|()| match fs::hard_link(&part, path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) => {
            create_new(path, content)
        }
        Err(error) => Err(error),
    });
    drop(fs::remove_file(&part));
    linked
}

/// The same where links are not to be had: a crash in between leaves an empty file.
fn create_new(path: &Path, content: &[u8]) -> io::Result<bool> {
    match File::create_new(path) {
        Ok(mut file) => {
            file.write_all(content).inspect_err(|_| drop(fs::remove_file(path)))?;
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Folder;
    use super::*;

    #[track_caller]
    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_move_overwrites_nothing() {
        let folder = Folder::new();
        for (name, expected) in [
            ("report.xml", ["report.1.xml", "report.2.xml", "report.xml"]),
            ("plain", ["plain", "plain.1", "plain.2"]),
            (".hidden", [".hidden", ".hidden.1", ".hidden.2"]),
            ("-a b%2F\n.tar.gz", ["-a b%2F\n.tar.1.gz", "-a b%2F\n.tar.2.gz", "-a b%2F\n.tar.gz"]),
        ] {
            let done = folder.path().join("done");
            fs::create_dir(&done).unwrap();
            for content in ["one", "two", "three"] {
                let source = folder.path().join("source");
                fs::write(&source, content).unwrap();
                let target = move_into(&source, &done, OsStr::new(name)).unwrap();
                assert_eq!(fs::read_to_string(target).unwrap(), content);
                assert!(!source.exists());
            }
            assert_eq!(names(&done), expected);
            fs::remove_dir_all(&done).unwrap();
        }
    }

    #[test]
    fn many_files_of_one_name_all_find_a_place() {
        let folder = Folder::new();
        for number in 0..MAX_NUMBER + 5 {
            let source = folder.path().join("source");
            fs::write(&source, number.to_string()).unwrap();
            move_into(&source, &folder.path().join("."), OsStr::new("x.txt")).unwrap();
        }
        assert_eq!(names(folder.path()).len(), MAX_NUMBER as usize + 5);
    }

    #[test]
    fn a_move_that_fails_leaves_the_source() {
        let folder = Folder::new();
        let source = folder.path().join("source");
        fs::write(&source, "content").unwrap();
        let error = move_into(&source, &folder.path().join("missing"), OsStr::new("x")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(fs::read_to_string(&source).unwrap(), "content");
    }

    #[test]
    fn another_file_system_gets_a_copy() {
        // `/dev/shm` is a file system of its own on Linux; where it is not, this is a plain move.
        let shared = Path::new("/dev/shm");
        if !shared.is_dir() {
            return;
        }
        let folder = Folder::new();
        let there = Folder::below(shared);
        let source = folder.path().join("source");
        for (content, name) in [("one", "x.txt"), ("two", "x.1.txt")] {
            fs::write(&source, content).unwrap();
            let modified = fs::metadata(&source).unwrap().modified().unwrap();
            let target = move_into(&source, there.path(), OsStr::new("x.txt")).unwrap();
            assert_eq!(target, there.path().join(name));
            assert_eq!(fs::read_to_string(&target).unwrap(), content);
            assert_eq!(fs::metadata(&target).unwrap().modified().unwrap(), modified);
            assert!(!source.exists());
        }
        assert_eq!(names(there.path()), ["x.1.txt", "x.txt"]);
    }

    #[test]
    fn whole_files_and_replacements() {
        let folder = Folder::new();
        let path = folder.path().join("x.lock");
        assert!(create_whole(&path, b"mine").unwrap());
        assert!(!create_whole(&path, b"yours").unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        let part = part_in(folder.path());
        assert!(is_part(part.file_name().unwrap()) && !is_part(OsStr::new("a.part")));
        fs::write(&part, "new").unwrap();
        let then = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        replace(&part, &path, Some(then)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), then);
        assert_eq!(names(folder.path()), ["x.lock"]);
        fs::write(&part, "lost").unwrap();
        assert!(replace(&part, &folder.path().join("no/x"), None).is_err());
        assert_eq!(names(folder.path()), ["x.lock"]);
    }
}
