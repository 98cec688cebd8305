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
    match action {
        Action::Keep => Ok(Some(found.path.clone())),
        Action::Delete => relocate::remove(&found.path).map(|()| None),
        Action::Move(target) => move_to(found, target, clock).map(Some),
    }
}

/// Does it again after it failed once: to the folder for such files where there is one.
pub(super) fn finish_again(found: &Found, outcome: Outcome, settings: &Settings, clock: &dyn Clock) -> io::Result<()> {
    match &settings.after_failed_move {
        Some(target) => {
            fs::create_dir_all(folder(found, target, clock))?;
            move_to(found, target, clock)?;
        }
        None => drop(finish(found, outcome, settings, clock)?),
    }
    relocate::remove(&mark_of(&found.path))
}

fn move_to(found: &Found, target: &Target, clock: &dyn Clock) -> io::Result<PathBuf> {
    let folder = folder(found, target, clock);
    if target.create {
        fs::create_dir_all(&folder)?;
    }
    let mut name = std::ffi::OsString::new();
    if let Some(prefix) = &target.prefix {
        name.push(text_now(prefix, clock));
    }
    name.push(found.name());
    relocate::move_into(&found.path, &folder, &name)
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
    let text = format!("{} {}", clock.now_millis(), outcome.word());
    fs::write(mark_of(&found.path), text)?;
    let Some((records, format)) = &settings.failed_records else { return Ok(()) };
    let mut file = OpenOptions::new().append(true).create(true).open(records)?;
    let line = format!("{} {}\n", found.name().to_string_lossy(), text_now(format, clock));
    file.write_all(line.as_bytes())
}

/// The outcome that a mark stands for, when there is a mark. MI's marks do not say it; they are read as processed,
/// which is what MI takes them for in folders. Blocks.
pub(super) fn marked(path: &Path) -> io::Result<Option<Outcome>> {
    match fs::read(mark_of(path)) {
        Ok(text) if text.ends_with(Outcome::Failed.word().as_bytes()) => Ok(Some(Outcome::Failed)),
        Ok(_) => Ok(Some(Outcome::Processed)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
