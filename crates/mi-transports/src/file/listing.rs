//! Files of a folder, in portions: one of a million names costs no more memory than one of ten. Everything here blocks.
//!
//! Without an order the folder is read as it comes. In an order it is read once for each portion, which keeps the
//! smallest names behind those of the portion before.

use std::collections::{BinaryHeap, HashSet};
use std::ffi::OsString;
use std::fs::{self, ReadDir};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::relocate;
use super::settings::{Flavour, Order, Settings, SortBy};

/// Files in a portion.
const PORTION: usize = 512;
/// Deepest subfolder that is looked into.
const MAX_DEPTH: usize = 64;
/// Files that are reported as skipped in one portion.
const MAX_NOTICES: usize = 100;
/// Locks and files being written that are reported in one portion.
const MAX_LEFT: usize = 100;

/// A file that may be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Where it is.
    pub(super) path: PathBuf,
    /// Its folder, seen from the polled one; empty for that itself.
    pub(super) subfolder: PathBuf,
    /// Size in bytes.
    pub(super) size: u64,
    /// When it was changed.
    pub(super) modified: SystemTime,
}

impl Found {
    /// Its own name.
    pub(super) fn name(&self) -> OsString {
        self.path.file_name().unwrap_or_default().to_owned()
    }

    /// True for a file that is still what was found.
    pub(super) fn is_unchanged(&self, metadata: &fs::Metadata) -> bool {
        metadata.is_file() && metadata.len() == self.size && metadata.modified().is_ok_and(|it| it == self.modified)
    }
}

/// Something that is skipped and that somebody may wonder about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Notice {
    pub(super) path: PathBuf,
    pub(super) why: String,
}

/// A portion of a folder.
#[derive(Debug, Default)]
pub(super) struct Portion {
    pub(super) files: Vec<Found>,
    pub(super) notices: Vec<Notice>,
    /// Locks and files being written that were seen on the way, some of them. A dead process may have left them.
    pub(super) left: Vec<PathBuf>,
    /// True when there may be more.
    pub(super) more: bool,
}

/// A folder that is being read.
#[derive(Debug)]
pub(super) struct Listing {
    settings: Arc<Settings>,
    root: PathBuf,
    walk: Option<Walk>,
    /// The last file of the portion before, in an order.
    last: Option<Ranked>,
}

impl Listing {
    /// Begins to read the folder.
    pub(super) fn open(settings: Arc<Settings>) -> io::Result<Self> {
        let root = settings.source.path.clone();
        let walk = Some(Walk::open(&root)?);
        Ok(Self { settings, root, walk, last: None })
    }

    /// The next portion.
    pub(super) fn next(&mut self) -> io::Result<Portion> {
        match self.settings.sort {
            None => self.next_as_it_comes(),
            Some((by, order)) => self.next_in_order(by, order),
        }
    }

    fn next_as_it_comes(&mut self) -> io::Result<Portion> {
        let mut portion = Portion::default();
        let Some(walk) = &mut self.walk else { return Ok(portion) };
        while portion.files.len() < PORTION && portion.notices.len() < MAX_NOTICES {
            match walk.next(&self.settings, &self.root, &mut portion.notices)? {
                Some(found) => portion.files.push(found),
                None => {
                    portion.left = std::mem::take(&mut walk.left);
                    self.walk = None;
                    return Ok(portion);
                }
            }
        }
        portion.left = std::mem::take(&mut walk.left);
        portion.more = true;
        Ok(portion)
    }

    fn next_in_order(&mut self, by: SortBy, order: Order) -> io::Result<Portion> {
        let mut portion = Portion::default();
        let mut walk = match self.walk.take() {
            Some(walk) => walk,
            None => Walk::open(&self.root)?,
        };
        let mut smallest: BinaryHeap<Ranked> = BinaryHeap::with_capacity(PORTION + 1);
        let mut notices = Vec::new();
        while let Some(found) = walk.next(&self.settings, &self.root, &mut notices)? {
            notices.truncate(MAX_NOTICES);
            let ranked = Ranked::new(found, by, order);
            if self.last.as_ref().is_some_and(|last| ranked <= *last) {
                continue;
            }
            smallest.push(ranked);
            if smallest.len() > PORTION {
                smallest.pop();
            }
        }
        portion.notices = notices;
        portion.left = walk.left;
        portion.more = smallest.len() == PORTION;
        let ranked = smallest.into_sorted_vec();
        self.last = ranked.last().cloned();
        portion.files = ranked.into_iter().map(|ranked| ranked.found).collect();
        Ok(portion)
    }
}

/// A file with its place in an order. Files that are equal by the attribute stand by their paths, so that the order is
/// total and a portion ends exactly where the next begins.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ranked {
    found: Found,
    by: SortBy,
    order: Order,
}

impl Ranked {
    fn new(found: Found, by: SortBy, order: Order) -> Self {
        Self { found, by, order }
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let (mine, theirs) = (&self.found, &other.found);
        let by = match self.by {
            SortBy::Name => std::cmp::Ordering::Equal,
            SortBy::Size => mine.size.cmp(&theirs.size),
            SortBy::Modified => mine.modified.cmp(&theirs.modified),
        };
        let ascending = by.then_with(|| mine.path.cmp(&theirs.path));
        if self.order == Order::Descending { ascending.reverse() } else { ascending }
    }
}

/// Puts files of a folder that was read at once into the order of the settings.
pub(super) fn put_in_order(files: &mut [Found], settings: &Settings) {
    if let Some((by, order)) = settings.sort {
        files.sort_by_cached_key(|found| Ranked::new(found.clone(), by, order));
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// A walk over a folder and, where they are meant, its subfolders.
#[derive(Debug)]
struct Walk {
    /// The folders being read, innermost last, with their paths from the root.
    open: Vec<(PathBuf, ReadDir)>,
    /// As in [`Portion::left`], since it was asked for.
    left: Vec<PathBuf>,
}

impl Walk {
    fn open(root: &Path) -> io::Result<Self> {
        Ok(Self { open: vec![(PathBuf::new(), fs::read_dir(root)?)], left: Vec::new() })
    }

    /// The next file that fits the pattern and its size.
    fn next(&mut self, settings: &Settings, root: &Path, notices: &mut Vec<Notice>) -> io::Result<Option<Found>> {
        loop {
            let Some((subfolder, entries)) = self.open.last_mut() else { return Ok(None) };
            let Some(entry) = entries.next() else {
                self.open.pop();
                continue;
            };
            let entry = entry?;
            let name = entry.file_name();
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                if settings.source.recursive {
                    let inner = subfolder.join(&name);
                    self.descend(inner, &entry.path(), notices);
                }
                continue;
            }
            if !wants(settings, &name) {
                let may_be_left = name.as_encoded_bytes().ends_with(b".lock") || relocate::is_part(&name);
                if may_be_left && self.left.len() < MAX_LEFT {
                    self.left.push(entry.path());
                }
                continue;
            }
            let subfolder = subfolder.clone();
            match examine(settings, root, entry.path(), subfolder) {
                Ok(found) => return Ok(Some(found)),
                Err(Some(notice)) => notices.push(notice),
                Err(None) => {}
            }
        }
    }

    fn descend(&mut self, inner: PathBuf, path: &Path, notices: &mut Vec<Notice>) {
        if self.open.len() > MAX_DEPTH {
            let why = format!("it is deeper than {MAX_DEPTH} folders");
            notices.push(Notice { path: path.to_owned(), why });
            return;
        }
        match fs::read_dir(path) {
            Ok(entries) => self.open.push((inner, entries)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => notices.push(Notice { path: path.to_owned(), why: error.to_string() }),
        }
    }
}

/// Does the name fit? Names of locks, of marks and of files being written never do.
pub(super) fn wants(settings: &Settings, name: &std::ffi::OsStr) -> bool {
    let bytes = name.as_encoded_bytes();
    if bytes.ends_with(b".lock") || bytes.ends_with(b".fail") || relocate::is_part(name) {
        return false;
    }
    if settings.done_suffix.as_ref().is_some_and(|suffix| bytes.ends_with(suffix.as_bytes())) {
        return false;
    }
    match &settings.pattern {
        Some(pattern) => pattern.fits(&name.to_string_lossy()),
        // Nobody named these; uploads and editors use such names for what is not finished.
        None => {
            let unfinished = bytes.starts_with(b".") || bytes.ends_with(b".tmp") || bytes.ends_with(b".part");
            settings.flavour == Flavour::Inbound && !unfinished
        }
    }
}

/// Looks at a file. An error is something to skip, with a notice unless that is nothing unusual.
pub(super) fn examine(
    settings: &Settings,
    root: &Path,
    path: PathBuf,
    subfolder: PathBuf,
) -> Result<Found, Option<Notice>> {
    let notice = |path: &Path, why: String| Some(Notice { path: path.to_owned(), why });
    let vanished = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let mut metadata = match fs::symlink_metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if vanished(&error) => return Err(None),
        Err(error) => return Err(notice(&path, error.to_string())),
    };
    if metadata.is_symlink() {
        let inside = fs::canonicalize(&path).and_then(|target| Ok(target.starts_with(fs::canonicalize(root)?)));
        metadata = match inside {
            Ok(true) => fs::metadata(&path).map_err(|error| notice(&path, error.to_string()))?,
            Ok(false) => return Err(notice(&path, "it is a link to a file outside of the folder".to_owned())),
            Err(error) => return Err(notice(&path, format!("the link cannot be followed: {error}"))),
        };
    }
    if !metadata.is_file() {
        return Err(if metadata.is_dir() { None } else { notice(&path, "it is no regular file".to_owned()) });
    }
    if settings.done_of(&path).is_some_and(|done| fs::symlink_metadata(done).is_err()) {
        return Err(None);
    }
    let size = metadata.len();
    if let Some(why) = settings.beyond_limit(size).filter(|_| !settings.sets_aside()) {
        return Err(notice(&path, why));
    }
    let modified = metadata.modified().map_err(|error| notice(&path, error.to_string()))?;
    Ok(Found { path, subfolder, size, modified })
}

/// Notices that were given before, so that each is given once and not in every pass.
#[derive(Debug, Default)]
pub(super) struct Given(HashSet<Notice>);

/// Notices that are remembered; with more, all are given once again.
const MAX_GIVEN: usize = 10_000;

impl Given {
    /// True for a notice that was not given before.
    pub(super) fn is_new(&mut self, notice: &Notice) -> bool {
        if self.0.len() >= MAX_GIVEN {
            self.0.clear();
        }
        self.0.insert(notice.clone())
    }
}
