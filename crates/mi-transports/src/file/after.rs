//! What happens to a file when its message is worked off: it is deleted, moved or kept. When that fails, the file is
//! marked by `NAME.fail` beside it, so that nobody processes it again, and what was to happen is tried again later.
//! MI: `moveOrDeleteAfterProcessing`, `VFSUtils#markFailRecord`, `FileRemoveTask`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mi_engine::services::Clock;

use super::listing::Found;
use super::relocate;
use super::settings::{Action, Settings, Target};

/// How the processing of a file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Processed,
    Failed,
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Processed => "processed",
            Self::Failed => "failed",
        }
    }
}

/// The mark beside a file.
pub(super) fn mark_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".fail");
    name.into()
}

/// Does what is to be done with a file. Blocks. The path is where the file is now, when it is anywhere.
pub(super) fn finish(
    found: &Found,
    outcome: Outcome,
    settings: &Settings,
    clock: &dyn Clock,
) -> io::Result<Option<PathBuf>> {
    let action = match outcome {
        Outcome::Processed => &settings.after_process,
        Outcome::Failed => &settings.after_failure,
    };
    let now = match action {
        Action::Keep => Some(found.path.clone()),
        Action::Delete => relocate::remove(&found.path).map(|()| None)?,
        Action::Move(target) => move_to(found, target, clock).map(Some)?,
    };
    // Not before: a file that is still there without it would never be taken again.
    remove_done(found, settings)?;
    Ok(now)
}

/// Removes the file that said that this one is whole.
fn remove_done(found: &Found, settings: &Settings) -> io::Result<()> {
    settings.done_of(&found.path).map_or(Ok(()), |done| relocate::remove(&done))
}

/// Does it again after it failed once: to the folder for such files where there is one.
pub(super) fn finish_again(found: &Found, outcome: Outcome, settings: &Settings, clock: &dyn Clock) -> io::Result<()> {
    match &settings.after_failed_move {
        Some(target) => {
            fs::create_dir_all(folder(found, target, clock))?;
            move_to(found, target, clock)?;
            remove_done(found, settings)?;
        }
        None => drop(finish(found, outcome, settings, clock)?),
    }
    relocate::remove(&mark_of(&found.path))
}

fn move_to(found: &Found, target: &Target, clock: &dyn Clock) -> io::Result<PathBuf> {
    let (folder, name) = place(found, target, clock);
    if target.create {
        fs::create_dir_all(&folder)?;
    }
    relocate::move_into(&found.path, &folder, &name)
}

/// The folder that a file is moved to, and its name there.
pub(super) fn place(found: &Found, target: &Target, clock: &dyn Clock) -> (PathBuf, std::ffi::OsString) {
    let mut name = std::ffi::OsString::new();
    if let Some(prefix) = &target.prefix {
        name.push(text_now(prefix, clock));
    }
    name.push(found.name());
    (folder(found, target, clock), name)
}

/// The folder for a file: with the date behind its address, and the subfolder of the file below it.
fn folder(found: &Found, target: &Target, clock: &dyn Clock) -> PathBuf {
    let mut folder = target.address.path.clone().into_os_string();
    if let Some(pattern) = &target.subfolder {
        folder.push(text_now(pattern, clock));
    }
    let folder = PathBuf::from(folder);
    if target.address.recursive { folder.join(&found.subfolder) } else { folder }
}

fn text_now(pattern: &mi_expr::java::DatePattern, clock: &dyn Clock) -> String {
    let now = clock.now_millis();
    pattern.format(now, clock.zone_offset_seconds(now))
}

/// Marks a file whose end failed, and notes it in the file that MI keeps of such files. Blocks.
pub(super) fn mark(found: &Found, outcome: Outcome, settings: &Arc<Settings>, clock: &dyn Clock) -> io::Result<()> {
    fs::write(mark_of(&found.path), mark_text(found, outcome, clock))?;
    note(found, settings, clock)
}

/// What stands in a mark.
pub(super) fn mark_text(found: &Found, outcome: Outcome, clock: &dyn Clock) -> String {
    format!("{} {} {}", clock.now_millis(), outcome.word(), stamp(found))
}

/// Notes a file whose end failed in MI's file for such. Blocks.
pub(super) fn note(found: &Found, settings: &Settings, clock: &dyn Clock) -> io::Result<()> {
    let Some((records, format)) = &settings.failed_records else { return Ok(()) };
    let mut file = OpenOptions::new().append(true).create(true).open(records)?;
    let line = format!("{} {}\n", found.name().to_string_lossy(), text_now(format, clock));
    file.write_all(line.as_bytes())
}

/// Size and time of a file: another one of the same name is a new file, which its mark is not for.
fn stamp(found: &Found) -> String {
    let modified = found.modified.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{}-{}", found.size, modified.as_nanos())
}

/// The outcome that the mark of a file stands for, when there is one. MI's marks do not say it; they are read as
/// processed, which is what MI takes them for in folders. A mark for a former file of that name is removed. Blocks.
pub(super) fn marked(found: &Found) -> io::Result<Option<Outcome>> {
    let mark = mark_of(&found.path);
    let text = match fs::read(&mark) {
        Ok(text) => String::from_utf8_lossy(&text).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let outcome = mark_says(&text, found);
    if outcome.is_none() {
        relocate::remove(&mark)?;
    }
    Ok(outcome)
}

/// The outcome that a mark stands for; `None` when it is for a former file of the name.
pub(super) fn mark_says(text: &str, found: &Found) -> Option<Outcome> {
    let mut words = text.split_whitespace().skip(1);
    let outcome = if words.next() == Some(Outcome::Failed.word()) { Outcome::Failed } else { Outcome::Processed };
    words.next().is_none_or(|of| of == stamp(found)).then_some(outcome)
}
