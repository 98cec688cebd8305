//! From messages to files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http_body::Frame;
use http_body_util::StreamBody;
use mi_engine::exchange::RequestInfo;
use mi_engine::services::{OutMessage, Sender};
use mi_engine::transport::Payload;
use mi_message::{BodyStream, Headers, Properties};

use super::super::FileSender;
use super::support::{Bench, Folder, TestClock, deploy_all, notes, uri};

fn message(address: String, headers: &[(&str, &str)], body: Payload) -> OutMessage {
    let headers: Headers = headers.iter().copied().collect();
    OutMessage {
        address,
        content_type: None,
        headers,
        body,
        axis2: Properties::default(),
        origin: RequestInfo::default(),
        responder: None,
    }
}

fn bytes(content: &'static str) -> Payload {
    Payload::Bytes(Bytes::from_static(content.as_bytes()))
}

fn stream(parts: Vec<Result<&'static str, &'static str>>) -> Payload {
    let frames = parts.into_iter().map(|part| {
        part.map(|text| Frame::data(Bytes::from_static(text.as_bytes()))).map_err(mi_message::body::BoxError::from)
    });
    Payload::Stream(BodyStream::new(StreamBody::new(futures_util::stream::iter(frames))))
}

fn sender() -> FileSender {
    FileSender::new(Arc::new(TestClock::new()))
}

/// Writes to an address below a folder that holds `old/` and `old.txt`; the files that are new or changed after that.
#[track_caller]
fn check(address: &str, headers: &[(&str, &str)], expected: Result<&str, &str>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = Folder::new();
    folder.write("old.txt", "old");
    fs::create_dir(folder.path().join("old")).unwrap();
    let address = format!("vfs:{}/{address}", uri(folder.path()));
    let sent = runtime.block_on(sender().send(message(address.clone(), headers, bytes("new"))));
    let written: Vec<String> =
        folder.files().into_iter().filter(|name| folder.read(name).unwrap().contains("new")).collect();
    match (sent, expected) {
        (Ok(None), Ok(name)) => assert_eq!(written, [name], "{address}"),
        (Err(fault), Err(part)) => {
            assert!(fault.message.contains(part), "{address}: {}", fault.message);
            assert_eq!(folder.files(), ["old.txt"], "{address}");
        }
        (sent, _) => panic!("{address}: {sent:?}"),
    }
    assert!(folder.files().iter().all(|name| !name.contains(".mi-") && !name.contains(".lock")));
}

#[test]
fn names_of_written_files() {
    const NAME: &str = "transport.vfs.ReplyFileName";
    check("old", &[], Ok("old/response.xml"));
    check("old/", &[(NAME, "a@b.txt")], Ok("old/a@b.txt"));
    check("old", &[(NAME, "sub/a.txt")], Ok("old/sub/a.txt"));
    check("old.txt", &[(NAME, "ignored")], Ok("old.txt"));
    check("new.txt", &[], Ok("new.txt"));
    check("x/y/new.txt", &[], Ok("x/y/new.txt"));
    check("new/", &[(NAME, "ignored")], Ok("new"));
    check("new?transport.vfs.CreateFolder=true", &[(NAME, "a")], Ok("new/a"));
    check("new", &[("transport.vfs.CreateFolder", "true"), (NAME, "a")], Ok("new/a"));
    check("old.txt?transport.vfs.Append=true&amp;x=y", &[], Ok("old.txt"));
    check("n?transport.vfs.SubFolderTimestampFormat='-d'&transport.vfs.CreateFolder=true", &[(NAME, "a")], Ok("n-d/a"));
    for name in ["../a", "/etc/a", "a/../../b", "", ".", "a\0b"] {
        check("old", &[(NAME, name)], Err("no name of a file in the folder"));
    }
    check("old.txt/below", &[], Err("Error while creating file"));
}

#[tokio::test]
async fn other_file_systems_are_faults() {
    for (address, part) in [("vfs:ftpd:///x", "'ftpd'"), ("vfs:sftp://u:secret@h/x", "u:***@h"), ("vfs:", "empty")] {
        let fault = sender().send(message(address.to_owned(), &[], bytes("x"))).await.unwrap_err();
        assert!(fault.message.contains(part) && !fault.message.contains("secret"), "{}", fault.message);
        assert_eq!(fault.code, Some(101_500));
    }
}

#[tokio::test]
async fn contents_and_times() {
    let folder = Folder::new();
    let address = |query: &str| format!("vfs:{}/out.txt{query}", uri(folder.path()));
    let sender = sender();
    let then = [("LAST_MODIFIED", "1600000000000")];
    let modified = || fs::metadata(folder.path().join("out.txt")).unwrap().modified().unwrap();
    let moment = UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    // Query, headers, body, content, is the time that of the header?
    let steps = [
        ("", &[][..], bytes("one"), "one", false),
        ("", &then[..], bytes("two"), "two", true),
        ("?transport.vfs.UpdateLastModified=false", &then[..], bytes("3"), "3", false),
        ("?transport.vfs.Append=true", &then[..], bytes("4"), "34", true),
        ("?transport.vfs.Append=false", &[][..], Payload::Empty, "", false),
        ("", &then[..], stream(vec![Ok("a"), Ok("b")]), "ab", true),
        ("?transport.vfs.Append=true", &[][..], stream(vec![Ok("c"), Ok("d")]), "abcd", false),
    ];
    for (query, headers, body, content, kept) in steps {
        sender.send(message(address(query), headers, body)).await.unwrap();
        assert_eq!(folder.read("out.txt").unwrap(), content, "{query}");
        assert_eq!(modified() == moment, kept, "{query} {content}");
    }
    fs::set_permissions(folder.path().join("out.txt"), fs::Permissions::from_mode(0o640)).unwrap();
    let failed = sender.send(message(address(""), &[], stream(vec![Ok("x"), Err("cut off")]))).await.unwrap_err();
    assert!(failed.message.contains("cut off"));
    assert_eq!(folder.read("out.txt").unwrap(), "abcd", "a file that is not whole replaces nothing");
    sender.send(message(address(""), &[], bytes("last"))).await.unwrap();
    assert_eq!(fs::metadata(folder.path().join("out.txt")).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(folder.files(), ["out.txt"]);
}

#[tokio::test(start_paused = true)]
async fn locks_on_the_target() {
    let folder = Folder::new();
    folder.write("out.txt.lock", "held");
    let address = |query: &str| format!("vfs:{}/out.txt{query}", uri(folder.path()));
    let sender = sender();
    let began = tokio::time::Instant::now();
    let query = "?transport.vfs.MaxRetryCount=2&transport.vfs.ReconnectTimeout=5";
    let fault = sender.send(message(address(query), &[], bytes("x"))).await.unwrap_err();
    assert!(fault.message.contains("unable to acquire the lock even after 3 retries"), "{}", fault.message);
    assert_eq!(began.elapsed().as_secs(), 10);
    sender.send(message(address("?transport.vfs.Locking=disable"), &[], bytes("free"))).await.unwrap();
    let later = async {
        tokio::time::sleep(Duration::from_secs(40)).await;
        fs::remove_file(folder.path().join("out.txt.lock")).unwrap();
    };
    let (sent, ()) = tokio::join!(sender.send(message(address(""), &[], bytes("waited"))), later);
    sent.unwrap();
    assert_eq!(folder.read("out.txt").unwrap(), "waited");
    assert_eq!(folder.files(), ["out.txt"]);
}

#[tokio::test(start_paused = true)]
async fn many_writers_of_one_file_take_turns() {
    let folder = Folder::new();
    let sender = sender();
    let began = tokio::time::Instant::now();
    let address =
        format!("vfs:{}/log?transport.vfs.Append=true&transport.vfs.SendFileSynchronously=true", uri(folder.path()));
    let all = (0..50).map(|_| sender.send(message(address.clone(), &[], bytes("line\n"))));
    for sent in futures_util::future::join_all(all).await {
        sent.unwrap();
    }
    assert_eq!(folder.read("log").unwrap(), "line\n".repeat(50));
    assert!(began.elapsed() < Duration::from_secs(1), "nobody waited for a lock of this process");
}

#[tokio::test(start_paused = true)]
async fn answers_of_proxies() {
    let folder = Folder::new();
    let (source, out) = (uri(&folder.path().join("in")), uri(&folder.path().join("out")));
    let base =
        [("FileURI", &*source), ("FileNamePattern", ".*"), ("ContentType", "text/plain"), ("ReplyFileURI", &*out)];
    fs::create_dir(folder.path().join("out")).unwrap();
    for (more, steps, expected) in [
        (&[("ReplyFileName", "reply.txt")][..], "<respond/>", "out/reply.txt"),
        (&[], "<respond/>", "out/response.xml"),
        (&[("ReplyFileName", "no")], "<header name='transport.vfs.ReplyFileName' value='own'/><respond/>", "out/own"),
    ] {
        folder.write("in/a", "content");
        let settings = [&base[..], more].concat();
        Bench::proxy(steps, &settings).pass().await.unwrap();
        assert_eq!(folder.read(expected).as_deref(), Some("content"), "{expected}");
        assert!(folder.read("in/a").is_none());
    }
    // An answer that cannot be written is a failure, so that the file is not lost.
    folder.write("in/a", "content");
    let settings = [&base[..], &[("ReplyFileName", "../x"), ("ActionAfterFailure", "NONE")]].concat();
    let mut bench = Bench::proxy("<respond/>", &settings);
    bench.pass().await.unwrap();
    assert_eq!((folder.read("in/a").is_some(), bench.gauge.counts()[1]), (true, 1));
    notes();
}

#[tokio::test]
async fn addresses_of_no_sender_are_reported_at_deployment() {
    let reported = |address: &str| {
        let endpoint = format!("<endpoint name='e'><address uri='{address}'/></endpoint>");
        let built = deploy_all(&[&endpoint], vec![("vfs", Arc::new(sender()) as Arc<dyn Sender>)]);
        assert!(built.failed.is_empty(), "{:?}", built.failed);
        built.warnings.iter().map(|warning| warning.message.clone()).collect::<Vec<_>>()
    };
    for address in ["vfs:file:///out", "vfs:sftp://h/out", "http://h/x", "local:///services/P", "/x"] {
        assert_eq!(reported(address), [""; 0], "{address}");
    }
    let share = &reported("vfs:smb2://h/share/out")[0];
    assert!(share.contains("'smb2'") && share.ends_with("mount the share and name its path"), "{share}");
    assert!(reported("fix://h:1")[0].ends_with("this version has no transport for 'fix'"));
}
