//! Which parameters there are: what is obeyed, what needs no obeying here, and what is said about the rest at deployment.

use mi_engine::BuildCx;
use mi_engine::inbound::Parameters;

use super::address::Address;
use super::settings::Flavour;

const PREFIX: &str = "transport.vfs.";

/// Parameters that are obeyed, without their prefix.
const OBEYED: &[&str] = &[
    "ActionAfterFailure",
    "ActionAfterProcess",
    "AutoLockRelease",
    "AutoLockReleaseInterval",
    "Build",
    "CheckSizeIgnoreEmpty",
    "CheckSizeInterval",
    "ContentType",
    "CreateFolder",
    "DoneFileSuffix",
    "FailedRecordNextRetryDuration",
    "FailedRecordsFileDestination",
    "FailedRecordsFileName",
    "FileNamePattern",
    "FileProcessCount",
    "FileProcessInterval",
    "FileSizeLimit",
    "FileSortAscending",
    "FileSortAttribute",
    "FileURI",
    "LockReleaseSameNode",
    "Locking",
    "MaxRetryCount",
    "MaximumAge",
    "MinimumAge",
    "MoveAfterFailedMove",
    "MoveAfterFailure",
    "MoveAfterProcess",
    "MoveFailedRecordTimestampFormat",
    "MoveTimestampFormat",
    "ProcessedJournal",
    "ProcessedJournalHours",
    "ReconnectTimeout",
    "ReplyFileName",
    "ReplyFileURI",
    "SFTPIdentities",
    "SFTPIdentityPassPhrase",
    "SFTPUserDirIsRoot",
    "Streaming",
    "SubFolderTimestampFormat",
    "waitTimeBeforeRead",
];

/// Parameters that ask for what always holds here, or that MI reads and does not look at: locks hold between servers, hosts
/// are looked up for every connection, mounted folders need no word.
const NEEDLESS: &[&str] = &[
    "ActionAfterErrors",
    "ClusterAware",
    "DistributedLock",
    "DistributedTimeout",
    "IsMounted",
    "MoveAfterErrors",
    "ResolveHostsDynamically",
];

/// Options of the query of an address that are obeyed when files are polled.
const OPTIONS: &[&str] = &[
    "sftpPathFromRoot",
    "vfs.connectTimeout",
    "vfs.implicit",
    "vfs.passive",
    "vfs.ssl.truststore",
    "vfs.ssl.tspassword",
    "vfs.timeout",
];

/// Says which parameters, options and values do something else than somebody may expect.
pub(super) fn report(flavour: Flavour, source: &Address, parameters: &Parameters, cx: &mut BuildCx<'_>) {
    let is_in = |names: &[&str], name: &str| names.contains(&name);
    for full in parameters.names() {
        let Some(name) = full.strip_prefix(PREFIX) else { continue };
        let value = parameters.filled(full).unwrap_or_default();
        let text = match name {
            "fileType" if value.eq_ignore_ascii_case("BINARY") || value.is_empty() => continue,
            "fileType" => "files are taken byte for byte, whatever the file type".to_owned(),
            "UpdateLastModified" if value.eq_ignore_ascii_case("false") => {
                "files that are moved keep the time of their change all the same".to_owned()
            }
            "UpdateLastModified" => continue,
            _ if is_in(OBEYED, name) || is_in(NEEDLESS, name) => continue,
            _ => {
                let alike = OBEYED.iter().find(|known| known.eq_ignore_ascii_case(name));
                let warning = parameters.place(full).warning(format!("'{full}' is not known and has no effect"));
                cx.report(match alike {
                    Some(known) => warning.hint(format!("is '{PREFIX}{known}' meant?")),
                    None => warning,
                });
                continue;
            }
        };
        cx.report(parameters.place(full).warning(format!("'{full}' has no effect: {text}")));
    }
    for (name, value) in &source.options {
        let text = match name.as_str() {
            known if is_in(OPTIONS, known) => continue,
            "vfs.protection" if value.eq_ignore_ascii_case("P") => continue,
            "vfs.protection" => "data is encrypted whenever the connection is".to_owned(),
            "vfs.ssl.keystore" => "this client shows no certificate".to_owned(),
            other if other.strip_prefix(PREFIX).is_some_and(|it| is_in(OBEYED, it) || is_in(NEEDLESS, it)) => continue,
            other if other.starts_with("vfs.ssl.k") => continue,
            _ => "it is not known".to_owned(),
        };
        let warning = format!("the option '{name}' of {} has no effect: {text}", source.shown);
        cx.report(parameters.place("transport.vfs.FileURI").warning(warning));
    }
    for name in ["transport.vfs.ActionAfterProcess", "transport.vfs.ActionAfterFailure"] {
        let text = match (parameters.filled(name), flavour) {
            (None | Some("MOVE" | "DELETE"), _) | (Some("NONE"), Flavour::Proxy) => continue,
            (Some("NONE"), Flavour::Inbound) => "'NONE' deletes files of an inbound endpoint, as in MI".to_owned(),
            (Some(other), _) => format!("'{other}' is none of MOVE, DELETE, NONE: files are deleted, as in MI"),
        };
        let hint = "MOVE with a folder to move to keeps them";
        cx.report(parameters.place(name).warning(format!("'{name}': {text}")).hint(hint));
    }
}
