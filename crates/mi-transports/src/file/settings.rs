//! The parameters of a file inbound endpoint and of a proxy on the transport `vfs`. Both have the same names; where they
//! mean different things, [`Flavour`] says which is meant. MI: `VFSProcessor`, `FilePollingConsumer#setupParams`,
//! `PollTableEntry#loadConfigurationsFromService`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mi_config::Diagnostic;
use mi_engine::BuildCx;
use mi_engine::inbound::Parameters;
use mi_expr::java::{DatePattern, FullMatch};

use super::address::{Address, AddressError};
use super::journal::Journal;
use super::known;

/// Who polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flavour {
    /// An inbound endpoint: `interval` in milliseconds, all files without a pattern, everything but MOVE deletes.
    Inbound,
    /// A proxy: `transport.PollInterval` in seconds, no files of a folder without a pattern, NONE keeps.
    Proxy,
}

/// What happens to a file afterwards.
#[derive(Clone, Debug)]
pub(super) enum Action {
    /// It is deleted.
    Delete,
    /// It stays, and the next pass takes it again.
    Keep,
    /// It is moved.
    Move(Target),
}

/// A folder that files are moved to.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The folder; the subfolder of the file is repeated below it when its address ends with `/*`.
    pub(super) address: Address,
    /// `SubFolderTimestampFormat`, put behind the address.
    pub(super) subfolder: Option<DatePattern>,
    /// `MoveTimestampFormat`, put before the name.
    pub(super) prefix: Option<DatePattern>,
    /// `CreateFolder`.
    pub(super) create: bool,
}

/// By what files are put in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SortBy {
    Name,
    Size,
    Modified,
}

/// When the lock of somebody else is ignored. MI: `AutoLockRelease`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AutoRelease {
    /// Only locks of this host.
    pub(super) same_node: bool,
    /// Only locks that are older; without it, any.
    pub(super) older_than: Option<Duration>,
}

/// Where answers are written to.
#[derive(Clone, Debug)]
pub(super) struct ReplyTarget {
    /// `ReplyFileURI`.
    pub(super) address: String,
    /// `ReplyFileName`.
    pub(super) name: Option<String>,
}

/// All parameters.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) flavour: Flavour,
    pub(super) source: Address,
    pub(super) interval: Duration,
    pub(super) content_type: Option<String>,
    /// `None` without a pattern.
    pub(super) pattern: Option<FullMatch>,
    pub(super) between_files: Option<Duration>,
    pub(super) files_in_a_pass: Option<usize>,
    pub(super) sort: Option<(SortBy, Order)>,
    /// `None` when files are read without a lock.
    pub(super) locking: Option<Locking>,
    pub(super) after_process: Action,
    pub(super) after_failure: Action,
    pub(super) after_failed_move: Option<Target>,
    pub(super) retry_moves_after: Duration,
    /// `FailedRecordsFileDestination` and `FailedRecordsFileName`, with the format of the time.
    pub(super) failed_records: Option<(PathBuf, DatePattern)>,
    pub(super) reply: Option<ReplyTarget>,
    /// `ProcessedJournal`
    pub(super) journal: Option<Journal>,
    /// `DoneFileSuffix`: a file is whole when there is one with this behind its name.
    pub(super) done_suffix: Option<String>,
    pub(super) size_limit: Option<u64>,
    pub(super) minimum_age: Option<Duration>,
    pub(super) maximum_age: Option<Duration>,
    /// `waitTimeBeforeRead`.
    pub(super) quiet_for: Option<Duration>,
    /// `CheckSizeInterval`.
    pub(super) stable_for: Option<Duration>,
    /// `CheckSizeIgnoreEmpty`.
    pub(super) skip_empty: bool,
    pub(super) streaming: bool,
    pub(super) attempts: u32,
    pub(super) between_attempts: Duration,
    /// Files that are worked on at a time.
    pub(super) at_a_time: usize,
}

/// Direction of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Ascending,
    Descending,
}

/// Files are read under a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Locking {
    pub(super) auto_release: Option<AutoRelease>,
}

/// Files that are worked on at a time with `sequential=false`. MI: the core size of its inbound worker pool.
const PARALLEL: usize = 20;
const DEFAULT_POLL_SECONDS: u64 = 300;
const DEFAULT_RETRY_MILLIS: u64 = 3000;
const DEFAULT_RECORDS_FILE: &str = "vfs-move-failed-records.properties";
const DEFAULT_RECORDS_FOLDER: &str = "repository/conf/";
/// How long processed files are remembered: a week.
const DEFAULT_JOURNAL_HOURS: u64 = 7 * 24;
const DEFAULT_RECORDS_FORMAT: &str = "dd/MM/yyyy/ HH:mm:ss";

impl Settings {
    /// Failed files go to a folder of their own, and with them those that can never be taken. MI leaves such a file where
    /// it is, and so does this server without that folder.
    pub(super) fn sets_aside(&self) -> bool {
        matches!(self.after_failure, Action::Move(_))
    }

    /// Why a file of this size is not taken.
    pub(super) fn beyond_limit(&self, size: u64) -> Option<String> {
        let limit = self.size_limit.filter(|limit| size > *limit)?;
        Some(format!("its {size} bytes are more than FileSizeLimit, which is {limit}"))
    }

    /// Reads the parameters. `None`, with a warning, when they name no source that this version can poll.
    pub(super) fn read(
        flavour: Flavour,
        parameters: &Parameters,
        cx: &mut BuildCx<'_>,
    ) -> Result<Option<Self>, Diagnostic> {
        const SOURCE: &str = "transport.vfs.FileURI";
        let interval = interval(flavour, parameters, cx)?;
        let Some(uri) = parameters.filled(SOURCE) else {
            let text = format!("'{SOURCE}' is missing; no files are polled");
            cx.report(parameters.place(SOURCE).warning(text));
            return Ok(None);
        };
        let Some(source) = address(SOURCE, uri, parameters, cx)? else { return Ok(None) };
        known::report(flavour, &source, parameters, cx);
        let mut reader = Reader { parameters, cx, source: source.clone() };
        let sort = reader.sort();
        let pattern = match parameters.text("transport.vfs.FileNamePattern") {
            None => None,
            Some(pattern) => Some(
                FullMatch::compile(pattern)
                    .map_err(|why| parameters.place("transport.vfs.FileNamePattern").error(why))?,
            ),
        };
        let seconds = |number: Option<u64>| number.map(Duration::from_secs);
        let millis = |number: Option<u64>| number.map(Duration::from_millis);
        let settings = Self {
            flavour,
            source,
            interval,
            content_type: parameters.filled("transport.vfs.ContentType").map(str::to_owned),
            pattern,
            between_files: millis(reader.number("FileProcessInterval")).filter(|pause| !pause.is_zero()),
            files_in_a_pass: reader.number::<usize>("FileProcessCount").map(|count| count.max(1)),
            sort,
            locking: reader.locking(),
            after_process: reader.action(flavour, "ActionAfterProcess", "MoveAfterProcess")?,
            after_failure: reader.action(flavour, "ActionAfterFailure", "MoveAfterFailure")?,
            after_failed_move: reader.target("MoveAfterFailedMove")?,
            retry_moves_after: Duration::from_millis(
                reader.number("FailedRecordNextRetryDuration").unwrap_or(DEFAULT_RETRY_MILLIS),
            ),
            failed_records: reader.failed_records()?,
            reply: parameters.filled("transport.vfs.ReplyFileURI").map(|address| ReplyTarget {
                address: address.to_owned(),
                name: parameters.filled("transport.vfs.ReplyFileName").map(str::to_owned),
            }),
            journal: reader.journal()?,
            done_suffix: done_suffix(parameters)?,
            // MI reads a number with a fraction; a negative one is no limit.
            size_limit: reader.number::<f64>("FileSizeLimit").filter(|limit| *limit >= 0.0).map(|limit| limit as u64),
            minimum_age: seconds(reader.number("MinimumAge")),
            maximum_age: seconds(reader.number("MaximumAge")),
            quiet_for: millis(reader.number("waitTimeBeforeRead")).filter(|wait| !wait.is_zero()),
            stable_for: millis(reader.number("CheckSizeInterval")),
            skip_empty: parameters.is_true("transport.vfs.CheckSizeIgnoreEmpty"),
            // MI: only inbound endpoints look at `Build`.
            streaming: parameters.is_true("transport.vfs.Streaming")
                && !(flavour == Flavour::Inbound && parameters.is_true("transport.vfs.Build")),
            attempts: reader.number("MaxRetryCount").unwrap_or(if flavour == Flavour::Proxy { 3 } else { 0 }),
            between_attempts: match (flavour, reader.number("ReconnectTimeout")) {
                (Flavour::Proxy, seconds) => Duration::from_secs(seconds.unwrap_or(30)),
                (Flavour::Inbound, millis) => Duration::from_millis(millis.unwrap_or(1)),
            },
            at_a_time: match parameters.text("sequential") {
                Some(text) if flavour == Flavour::Inbound && !text.eq_ignore_ascii_case("true") => PARALLEL,
                _ => 1,
            },
        };
        Ok(Some(settings))
    }
}

impl Settings {
    /// The file that says that `path` is whole, where there are such.
    pub(super) fn done_of(&self, path: &Path) -> Option<PathBuf> {
        let suffix = self.done_suffix.as_deref()?;
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        Some(name.into())
    }
}

/// What stands behind the name of a file in that of the one which says that it is whole.
fn done_suffix(parameters: &Parameters) -> Result<Option<String>, Diagnostic> {
    const NAME: &str = "transport.vfs.DoneFileSuffix";
    let Some(suffix) = parameters.filled(NAME) else { return Ok(None) };
    if suffix.contains('/') || [".lock", ".fail"].contains(&suffix) {
        let text = format!("'{suffix}' cannot be the end of a file's name that says that another file is whole");
        return Err(parameters.place(NAME).error(text).hint("such as .done"));
    }
    Ok(Some(suffix.to_owned()))
}

/// Time from one pass to the next.
fn interval(flavour: Flavour, parameters: &Parameters, cx: &mut BuildCx<'_>) -> Result<Duration, Diagnostic> {
    if flavour == Flavour::Inbound {
        let text = parameters.text("interval").unwrap_or_default();
        let millis: u64 = text.parse().map_err(|_| {
            let place = parameters.place("interval");
            place.error(format!("Invalid numeric value for interval: '{text}'")).hint("milliseconds, as in 1000")
        })?;
        return Ok(Duration::from_millis(millis));
    }
    const NAME: &str = "transport.PollInterval";
    Ok(match parameters.filled(NAME) {
        None => Duration::from_secs(DEFAULT_POLL_SECONDS),
        Some(text) => poll_interval(text).unwrap_or_else(|| {
            let text = format!("'{text}' is no poll interval; {DEFAULT_POLL_SECONDS} seconds are used");
            cx.report(parameters.place(NAME).warning(text));
            Duration::from_secs(DEFAULT_POLL_SECONDS)
        }),
    })
}

/// Seconds, or a number with a unit (`500ms`). MI: `AbstractPollTableEntry#loadConfiguration`.
fn poll_interval(text: &str) -> Option<Duration> {
    match text.strip_suffix("ms") {
        Some(millis) => millis.trim().parse().ok().map(Duration::from_millis),
        None => text.strip_suffix('s').unwrap_or(text).trim().parse().ok().map(Duration::from_secs),
    }
}

/// Parameters that stand for options of an address. MI: `VFSUtils#parseSchemeFileOptions`.
const ADDRESS_OPTIONS: &[&str] =
    &["transport.vfs.SFTPIdentities", "transport.vfs.SFTPIdentityPassPhrase", "transport.vfs.SFTPUserDirIsRoot"];

/// An address. `None`, with a warning, for a file system that is not known.
fn address(
    name: &str,
    text: &str,
    parameters: &Parameters,
    cx: &mut BuildCx<'_>,
) -> Result<Option<Address>, Diagnostic> {
    let option = |name: &&str| Some(((*name).to_owned(), parameters.filled(name)?.to_owned()));
    let beside: Vec<_> = ADDRESS_OPTIONS.iter().filter_map(option).collect();
    match Address::parse_with(text, &beside) {
        Ok(address) => Ok(Some(address)),
        Err(error @ AddressError::Scheme { .. }) => {
            let warning = parameters.place(name).warning(format!("'{name}': {error}"));
            cx.report(warning.hint("nothing is read from or written to it; mount the share and name its path"));
            Ok(None)
        }
        Err(error) => Err(parameters.place(name).error(format!("'{name}': {error}"))),
    }
}

/// Reads parameters whose names begin with `transport.vfs.`.
struct Reader<'r, 'c> {
    parameters: &'r Parameters,
    cx: &'r mut BuildCx<'c>,
    source: Address,
}

impl Reader<'_, '_> {
    fn number<N: std::str::FromStr>(&mut self, name: &str) -> Option<N> {
        match self.parameters.number(&full(name)) {
            Ok(number) => number,
            Err(warning) => {
                self.cx.report(warning);
                None
            }
        }
    }

    fn sort(&mut self) -> Option<(SortBy, Order)> {
        let by = match self.parameters.filled("transport.vfs.FileSortAttribute")? {
            "Name" => SortBy::Name,
            "Size" => SortBy::Size,
            "Lastmodifiedtimestamp" => SortBy::Modified,
            none if none.eq_ignore_ascii_case("none") => return None,
            other => {
                let place = self.parameters.place("transport.vfs.FileSortAttribute");
                let text =
                    format!("files are not put in order: '{other}' is none of Name, Size, Lastmodifiedtimestamp");
                self.cx.report(place.warning(text));
                return None;
            }
        };
        let descending = self
            .parameters
            .filled("transport.vfs.FileSortAscending")
            .is_some_and(|it| it.eq_ignore_ascii_case("false"));
        Some((by, if descending { Order::Descending } else { Order::Ascending }))
    }

    fn locking(&mut self) -> Option<Locking> {
        if self.parameters.text("transport.vfs.Locking").is_some_and(|text| text.eq_ignore_ascii_case("disable")) {
            return None;
        }
        let auto_release = self.parameters.is_true("transport.vfs.AutoLockRelease").then(|| AutoRelease {
            same_node: self
                .parameters
                .text("transport.vfs.LockReleaseSameNode")
                .is_none_or(|it| it.eq_ignore_ascii_case("true")),
            older_than: self.number("AutoLockReleaseInterval").map(Duration::from_millis),
        });
        Some(Locking { auto_release })
    }

    /// What happens afterwards. A move without a folder is an error: MI deletes the file.
    fn action(&mut self, flavour: Flavour, action: &str, folder: &str) -> Result<Action, Diagnostic> {
        match self.parameters.filled(&full(action)) {
            Some("NONE") if flavour == Flavour::Proxy => Ok(Action::Keep),
            Some("MOVE") => match self.target(folder)? {
                Some(target) => Ok(Action::Move(target)),
                None => {
                    let place = self.parameters.place(&full(action));
                    let text = format!("files are to be moved, but '{}' names no folder that is known", full(folder));
                    Err(place.error(text).hint("without a folder they would be lost"))
                }
            },
            _ => Ok(Action::Delete),
        }
    }

    fn target(&mut self, name: &str) -> Result<Option<Target>, Diagnostic> {
        let name = full(name);
        let Some(text) = self.parameters.filled(&name) else { return Ok(None) };
        let Some(address) = address(&name, text, self.parameters, self.cx)? else { return Ok(None) };
        let is_beside = match (&self.source.server, &address.server) {
            (None, None) => true,
            (Some(source), Some(target)) => source.is_same(target),
            _ => false,
        };
        if !is_beside {
            let text = format!("'{name}' is not where the files are: {} and {}", address.shown, self.source.shown);
            let hint = "name a folder of the same server, and let the flow send the file elsewhere by an endpoint";
            return Err(self.parameters.place(&name).error(text).hint(hint));
        }
        Ok(Some(Target {
            create: address.recursive || self.parameters.is_true("transport.vfs.CreateFolder"),
            address,
            subfolder: self.date("SubFolderTimestampFormat")?,
            prefix: self.date("MoveTimestampFormat")?,
        }))
    }

    fn date(&mut self, name: &str) -> Result<Option<DatePattern>, Diagnostic> {
        let name = full(name);
        // Blanks count: `yyyy-MM-dd' '` is a prefix that ends with one.
        let Some(pattern) = self.parameters.filled(&name) else { return Ok(None) };
        DatePattern::compile(pattern).map(Some).map_err(|why| self.parameters.place(&name).error(why))
    }

    /// The journal of processed files, which MI does not have.
    fn journal(&mut self) -> Result<Option<Journal>, Diagnostic> {
        let name = full("ProcessedJournal");
        let hours = self.number("ProcessedJournalHours").unwrap_or(DEFAULT_JOURNAL_HOURS);
        let Some(text) = self.parameters.filled(&name) else { return Ok(None) };
        let place = self.parameters.place(&name);
        let address = Address::parse(text).map_err(|why| place.error(format!("'{name}': {why}")))?;
        if address.server.is_some() || address.recursive || address.path.starts_with(&self.source.path) {
            let text = format!("'{name}': {} is no folder that a journal can be kept in", address.shown);
            let hint = "name a folder of this machine, or a mounted one, that is not below the folder that is polled";
            return Err(place.error(text).hint(hint));
        }
        Ok(Some(Journal::new(address.path, Duration::from_secs(hours.saturating_mul(3600)))))
    }

    /// The file in which MI notes moves that failed. It is kept when any of its parameters is set.
    fn failed_records(&mut self) -> Result<Option<(PathBuf, DatePattern)>, Diagnostic> {
        let text = |name: &str| self.parameters.filled(&full(name));
        let (folder, file) = (text("FailedRecordsFileDestination"), text("FailedRecordsFileName"));
        if folder.is_none() && file.is_none() && text("MoveAfterFailedMove").is_none() {
            return Ok(None);
        }
        let path = format!("{}{}", folder.unwrap_or(DEFAULT_RECORDS_FOLDER), file.unwrap_or(DEFAULT_RECORDS_FILE));
        let format = match self.date("MoveFailedRecordTimestampFormat")? {
            Some(format) => format,
            None => DatePattern::compile(DEFAULT_RECORDS_FORMAT)
                .map_err(|why| self.parameters.place("transport.vfs.FileURI").error(why))?,
        };
        Ok(Some((PathBuf::from(path), format)))
    }
}

fn full(name: &str) -> String {
    format!("transport.vfs.{name}")
}
