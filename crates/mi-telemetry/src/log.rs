//! The log sink: MI's line format on stdout, in `wso2carbon.log` and, from WARN on, in `wso2error.log`.
//!
//! Lines follow a pattern of log4j ([`Pattern`]). They are made by the thread that logs and written by a thread of its own behind a bounded queue. When a slow
//! disk or a blocked pipe fills the queue, lines are dropped and counted rather than messages held up.

mod channel;
mod pattern;

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError, TrySendError};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use chrono::Local;
use log::{Level, LevelFilter, Log, Metadata, Record};

use channel::Channel;
pub use pattern::{Line, Pattern, with_context};

/// Lines that may wait to be written.
const QUEUE: usize = 16 * 1024;
/// Size at which a file is rolled. MI: `SizeBasedTriggeringPolicy` of 10 MB.
const ROLL_AT: u64 = 10 << 20;
/// Rolled files that are kept. MI: `DefaultRolloverStrategy` of 20.
const KEEP: u32 = 20;
/// A target that ends in this is printed as FATAL, a level that the `log` crate has not.
const FATAL: &str = "#FATAL";

/// Where lines go.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Folder of the log files; `None` writes to stdout only.
    pub folder: Option<PathBuf>,
    /// Level of loggers without one of their own.
    pub root: LevelFilter,
    /// Levels by logger: the last segment of a Java class name.
    pub levels: HashMap<String, LevelFilter>,
    /// Lines on stdout.
    pub console: Pattern,
    /// Lines in files, where they differ.
    pub file: Option<Pattern>,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { folder: None, root: LevelFilter::Info, levels: HashMap::new(), console: Pattern::default(), file: None }
    }
}

/// Handle to the running sink.
#[derive(Clone)]
pub struct LogHandle {
    shared: Arc<Shared>,
}

struct Shared {
    root: AtomicU8,
    levels: RwLock<HashMap<String, LevelFilter>>,
    console: Pattern,
    file: Option<Pattern>,
    /// Is there a folder for files?
    has_files: bool,
    queue: SyncSender<Job>,
    dropped: AtomicU64,
    writer: Mutex<Option<JoinHandle<()>>>,
}

enum Job {
    /// `file` is what files get, where it differs.
    Line {
        text: String,
        file: Option<String>,
        severe: bool,
    },
    /// For a file of its own only.
    Apart(&'static Channel, String),
    Stop,
}

/// Starts the sink and makes it the process's logger.
pub fn init(config: &LogConfig) -> io::Result<LogHandle> {
    let (queue, jobs) = mpsc::sync_channel(QUEUE);
    let files = config.folder.as_deref().map(Files::open).transpose()?;
    let writer = std::thread::Builder::new().name("log-writer".to_owned()).spawn(move || write_all(&jobs, files))?;
    let shared = Arc::new(Shared {
        root: AtomicU8::new(config.root as u8),
        levels: RwLock::new(config.levels.clone()),
        console: config.console.clone(),
        file: config.file.clone().filter(|_| config.folder.is_some()),
        has_files: config.folder.is_some(),
        queue,
        dropped: AtomicU64::new(0),
        writer: Mutex::new(Some(writer)),
    });
    let handle = LogHandle { shared };
    log::set_boxed_logger(Box::new(Sink(handle.clone()))).map_err(|error| io::Error::other(error.to_string()))?;
    handle.set_max_level();
    Ok(handle)
}

impl LogHandle {
    /// Sets the level of one logger, by the last segment of its name.
    pub fn set_level(&self, logger: &str, level: LevelFilter) {
        let name = logger.rsplit('.').next().unwrap_or(logger).to_owned();
        self.shared.levels.write().unwrap_or_else(PoisonError::into_inner).insert(name, level);
        self.set_max_level();
    }

    /// Sets the level of all loggers without one of their own.
    pub fn set_root_level(&self, level: LevelFilter) {
        self.shared.root.store(level as u8, Ordering::Relaxed);
        self.set_max_level();
    }

    /// The level in force for a logger.
    pub fn level(&self, logger: &str) -> LevelFilter {
        let levels = self.shared.levels.read().unwrap_or_else(PoisonError::into_inner);
        nearest(&levels, logger).unwrap_or_else(|| level_from(self.shared.root.load(Ordering::Relaxed)))
    }

    /// Lines that were dropped because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Writes what is queued and ends the writer; later lines are lost.
    pub fn close(&self) {
        let writer = self.shared.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer
            && self.shared.queue.send(Job::Stop).is_ok()
            && writer.join().is_err()
        {
            eprintln_failed();
        }
    }

    /// Lets the `log` macros skip what no logger wants with one load.
    fn set_max_level(&self) {
        let levels = self.shared.levels.read().unwrap_or_else(PoisonError::into_inner);
        let root = level_from(self.shared.root.load(Ordering::Relaxed));
        log::set_max_level(levels.values().copied().fold(root, Ord::max));
    }
}

#[cold]
fn eprintln_failed() {
    // The logger itself has failed, so stderr is the only place left; failing to write there cannot be told to anyone.
    drop(writeln!(io::stderr(), "the log writer ended with a panic"));
}

fn level_from(value: u8) -> LevelFilter {
    match value {
        0 => LevelFilter::Off,
        1 => LevelFilter::Error,
        2 => LevelFilter::Warn,
        3 => LevelFilter::Info,
        4 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    }
}

struct Sink(LogHandle);

/// The logger's name as shown: the last segment, without the mark for FATAL.
fn shown(target: &str) -> &str {
    let target = target.strip_suffix(FATAL).unwrap_or(target);
    target.rsplit(['.', ':']).next().unwrap_or(target)
}

/// The level of the logger itself, else that of the nearest package around it that has one.
fn nearest(levels: &HashMap<String, LevelFilter>, logger: &str) -> Option<LevelFilter> {
    let logger = logger.strip_suffix(FATAL).unwrap_or(logger);
    logger.rsplit(['.', ':']).find_map(|segment| levels.get(segment)).copied()
}

impl Log for Sink {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= self.0.level(metadata.target())
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let shared = &self.0.shared;
        let thread = std::thread::current();
        let line = Line {
            time: Local::now(),
            level: if record.target().ends_with(FATAL) { "FATAL" } else { record.level().as_str() },
            logger: shown(record.target()),
            thread: thread.name().unwrap_or_default(),
            message: *record.args(),
        };
        let channel = Channel::of(record.target());
        let job = match channel {
            Some(channel) if shared.has_files => Job::Apart(channel, channel.render(&line)),
            _ => {
                let file = shared.file.as_ref().map(|pattern| pattern.render(&line));
                Job::Line { text: shared.console.render(&line), file, severe: record.level() <= Level::Warn }
            }
        };
        if let Err(TrySendError::Full(_)) = shared.queue.try_send(job) {
            shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}

fn write_all(jobs: &Receiver<Job>, mut files: Option<Files>) {
    let stdout = io::stdout();
    let mut console = BufWriter::with_capacity(32 * 1024, stdout.lock());
    let mut next = jobs.recv().ok();
    while let Some(job) = next {
        // A closed pipe or a full disk must not end the server; the line is lost then.
        match job {
            Job::Line { text, file, severe } => {
                drop(console.write_all(text.as_bytes()));
                if let Some(files) = &mut files {
                    drop(files.write(file.as_ref().unwrap_or(&text).as_bytes(), severe));
                }
            }
            Job::Apart(channel, text) => {
                if let Some(files) = &mut files {
                    drop(files.write_apart(channel, text.as_bytes()));
                }
                if channel.on_console {
                    drop(console.write_all(text.as_bytes()));
                }
            }
            Job::Stop => break,
        }
        next = match jobs.try_recv() {
            Ok(job) => Some(job),
            Err(TryRecvError::Empty) => {
                drop(console.flush());
                if let Some(files) = &mut files {
                    drop(files.flush());
                }
                jobs.recv().ok()
            }
            Err(TryRecvError::Disconnected) => None,
        };
    }
    drop(console.flush());
    if let Some(files) = &mut files {
        drop(files.flush());
    }
}

struct Files {
    folder: PathBuf,
    all: RollingFile,
    severe: RollingFile,
    /// Those that were written to, by name.
    apart: HashMap<&'static str, RollingFile>,
}

impl Files {
    fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            apart: HashMap::new(),
            all: RollingFile::open(folder.join("wso2carbon.log"))?,
            severe: RollingFile::open(folder.join("wso2error.log"))?,
        })
    }

    fn write(&mut self, line: &[u8], severe: bool) -> io::Result<()> {
        self.all.write(line)?;
        if severe { self.severe.write(line) } else { Ok(()) }
    }

    /// Opens the file with its first line, so that none is there for what is switched off.
    fn write_apart(&mut self, channel: &Channel, line: &[u8]) -> io::Result<()> {
        if let Some(file) = self.apart.get_mut(channel.file) {
            return file.write(line);
        }
        let mut file = RollingFile::open(self.folder.join(channel.file))?;
        file.write(line)?;
        self.apart.insert(channel.file, file);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.all.file.flush()?;
        for file in self.apart.values_mut() {
            file.file.flush()?;
        }
        self.severe.file.flush()
    }
}

struct RollingFile {
    path: PathBuf,
    file: BufWriter<File>,
    size: u64,
}

impl RollingFile {
    fn open(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let size = file.metadata()?.len();
        Ok(Self { path, file: BufWriter::new(file), size })
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.size >= ROLL_AT {
            self.roll()?;
        }
        self.file.write_all(line)?;
        self.size += line.len() as u64;
        Ok(())
    }

    /// `x.log` becomes `x.log.1`, that `x.log.2`, and so on; the oldest one goes.
    fn roll(&mut self) -> io::Result<()> {
        self.file.flush()?;
        let numbered = |number: u32| PathBuf::from(format!("{}.{number}", self.path.display()));
        for number in (1..KEEP).rev() {
            if numbered(number).exists() {
                std::fs::rename(numbered(number), numbered(number + 1))?;
            }
        }
        std::fs::rename(&self.path, numbered(1))?;
        *self = Self::open(self.path.clone())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_of_a_package_holds_for_its_loggers() {
        let levels =
            HashMap::from([("builtin".to_owned(), LevelFilter::Debug), ("Other".to_owned(), LevelFilter::Off)]);
        for (logger, expected) in [
            ("org.apache.synapse.mediators.builtin.LogMediator", Some(LevelFilter::Debug)),
            ("org.apache.synapse.mediators.builtin.LogMediator#FATAL", Some(LevelFilter::Debug)),
            ("org.apache.synapse.mediators.builtin.Other", Some(LevelFilter::Off)),
            ("LogMediator", None),
        ] {
            assert_eq!(nearest(&levels, logger), expected, "{logger}");
        }
    }

    #[test]
    fn loggers_are_shown_by_their_last_segment() {
        for (target, expected) in [
            ("org.apache.synapse.LogMediator", "LogMediator"),
            ("LogMediator#FATAL", "LogMediator"),
            ("mi_engine::flow", "flow"),
        ] {
            assert_eq!(shown(target), expected);
        }
    }

    #[test]
    fn files_roll_and_the_oldest_goes() {
        let folder = std::env::temp_dir().join(format!("mi-log-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut file = RollingFile::open(folder.join("x.log")).expect("a file");
        for round in 0..=KEEP {
            file.size = ROLL_AT;
            file.write(format!("{round}\n").as_bytes()).expect("written");
        }
        file.file.flush().expect("written");
        let names = std::fs::read_dir(&folder).expect("the folder").count();
        let oldest = std::fs::read_to_string(folder.join(format!("x.log.{KEEP}"))).expect("rolled");
        std::fs::remove_dir_all(&folder).expect("removed");
        assert_eq!(names as u32, KEEP + 1);
        assert_eq!(oldest, "0\n");
    }
}
