//! What is said about parameters at deployment.

use super::support::{deploy, inbound_xml, proxy_xml};

const SOURCE: (&str, &str) = ("FileURI", "file:///in");
const INTERVAL: (&str, &str) = ("interval", "1000");

/// Warnings and errors of an endpoint, and whether it polls.
#[track_caller]
fn check(xml: &str, polls: bool, expected: &[&str]) {
    let built = deploy(xml);
    let errors = built.failed.iter().flat_map(|(_, diagnostics)| diagnostics);
    let said: Vec<String> = built.warnings.iter().chain(errors).map(ToString::to_string).collect();
    assert_eq!(built.snapshot.inbounds.len(), usize::from(polls), "{xml}: {said:?}");
    assert_eq!(said.len(), expected.len(), "{xml}: {said:?}");
    for (said, part) in said.iter().zip(expected) {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn inbound_endpoints() {
    check(&inbound_xml(&[SOURCE, INTERVAL]), true, &[]);
    check(&inbound_xml(&[SOURCE]), false, &["Invalid numeric value for interval"]);
    check(&inbound_xml(&[SOURCE, ("interval", "1.1")]), false, &["Invalid numeric value for interval"]);
    check(&inbound_xml(&[INTERVAL]), false, &["'transport.vfs.FileURI' is missing"]);
    check(
        &inbound_xml(&[INTERVAL, ("FileURI", "smb://u:secret@h/in")]),
        false,
        &["the scheme 'smb' of smb://u:***@h/in"],
    );
    check(&inbound_xml(&[INTERVAL, ("FileURI", "ftp://u:secret@h/in")]), true, &[]);
    check(
        &inbound_xml(&[INTERVAL, ("FileURI", "ftp://u:secret@h:x/in")]),
        false,
        &["ftp://u:***@h:x/in: 'x' is no port"],
    );
    check(&inbound_xml(&[INTERVAL, ("FileURI", "smb2://h/in")]), false, &["the scheme 'smb2'"]);
    check(&inbound_xml(&[SOURCE, INTERVAL, ("FileProcessCount", "many")]), true, &["must be a number, not 'many'"]);
    check(&inbound_xml(&[SOURCE, INTERVAL, ("FileNamePattern", "(")]), false, &["nvalid regular expression"]);
    check(&inbound_xml(&[SOURCE, INTERVAL, ("FileSortAttribute", "name")]), true, &["none of Name, Size"]);
    check(&inbound_xml(&[SOURCE, INTERVAL, ("FileSortAttribute", "NONE")]), true, &[]);
    let with = |name, value| inbound_xml(&[SOURCE, INTERVAL, (name, value)]);
    check(
        &with("FilenamePattern", ".*"),
        true,
        &["is not known and has no effect (is 'transport.vfs.FileNamePattern' meant?)"],
    );
    check(&with("DistributedLock", "true"), true, &[]);
    check(&with("UpdateLastModified", "true"), true, &[]);
    check(&with("UpdateLastModified", "false"), true, &["keep the time of their change"]);
    check(&with("fileType", "ASCII"), true, &["byte for byte"]);
    check(&with("ActionAfterProcess", "NONE"), true, &["'NONE' deletes files"]);
    check(&with("ActionAfterFailure", "move"), true, &["'move' is none of MOVE, DELETE, NONE"]);
    let of = |address| inbound_xml(&[INTERVAL, ("FileURI", address)]);
    check(&of("ftps://h/in?vfs.passive=true"), true, &[]);
    check(&of("ftps://h/in?vfs.passsive=true"), true, &["the option 'vfs.passsive'"]);
    check(&of("ftps://h/in?vfs.protection=C"), true, &["data is encrypted"]);
    let moving = [SOURCE, INTERVAL, ("ActionAfterProcess", "MOVE")];
    check(&inbound_xml(&moving), false, &["'transport.vfs.MoveAfterProcess' names no folder"]);
    let to = |address| [&moving[..], &[("MoveAfterProcess", address)]].concat();
    check(&inbound_xml(&to("file:///done")), true, &[]);
    check(&inbound_xml(&to("smb://h/done")), false, &["'smb'", "names no folder"]);
    check(&inbound_xml(&to("sftp://h/done")), false, &["is not where the files are: sftp://h/done and file:///in"]);
    let remote = |address| [INTERVAL, ("FileURI", "sftp://u:p@h/in"), moving[2], ("MoveAfterProcess", address)];
    check(&inbound_xml(&remote("sftp://u:p@h/done")), true, &[]);
    check(&inbound_xml(&remote("sftp://u:p@other/done")), false, &["is not where the files are"]);
    let dated = [&to("file:///done")[..], &[("MoveTimestampFormat", "bbb")]].concat();
    check(&inbound_xml(&dated), false, &["Illegal pattern character 'b'"]);
}

#[test]
fn proxies() {
    let proxy = |settings: &[(&str, &str)]| proxy_xml("<note/>", settings);
    check(&proxy(&[SOURCE]), true, &[]);
    check(&proxy(&[SOURCE, ("transport.PollInterval", "1")]), true, &[]);
    check(&proxy(&[SOURCE, ("ActionAfterProcess", "NONE")]), true, &[]);
    check(&proxy(&[SOURCE, ("transport.PollInterval", "500ms")]), true, &[]);
    check(&proxy(&[SOURCE, ("transport.PollInterval", "often")]), true, &["'often' is no poll interval"]);
    // MI serves such a proxy over its other transports.
    check(&proxy(&[("ActionAfterProcess", "MOVE")]), false, &["'transport.vfs.FileURI' is missing"]);
    check(&proxy(&[("FileURI", "vfs:smb://u:secret@h/in")]), false, &["smb://u:***@h/in"]);
    check(&proxy(&[SOURCE, ("ActionAfterFailure", "MOVE")]), false, &["names no folder"]);
}
