//! From files to messages.

use super::support::{Bench, Folder, notes, uri};

const SOAP: &str = "<soapenv:Envelope xmlns:soapenv='http://schemas.xmlsoap.org/soap/envelope/'><soapenv:Body><a/></soapenv:Body></soapenv:Envelope>";

/// What a flow sees of a file; `None` for a failure.
#[track_caller]
fn check(content_type: Option<&str>, name: &str, content: &str, expected: Option<&str>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = Folder::new();
    folder.write(name, content);
    let address = uri(folder.path());
    let mut settings = vec![("FileURI", &*address)];
    settings.extend(content_type.map(|content_type| ("ContentType", content_type)));
    let failed = runtime.block_on(async {
        let mut bench = Bench::inbound("<note/>", &settings);
        bench.pass().await.unwrap();
        bench.gauge.counts()[1]
    });
    let seen = notes();
    assert_eq!(failed, u64::from(expected.is_none()), "{content_type:?} {name}: {seen:?}");
    match expected {
        Some(part) => assert!(seen.len() == 1 && seen[0].contains(part), "{content_type:?} {name}: {seen:?}"),
        None => assert!(seen.is_empty(), "{content_type:?} {name}: {seen:?}"),
    }
}

#[test]
fn content_types() {
    check(Some("text/plain"), "a.txt", "hällo\n", Some("a.txt: hällo\n"));
    check(Some("application/json"), "a.json", "{\"a\": 1}", Some("{\"a\": 1}"));
    check(Some("application/xml"), "a.xml", "<a>1</a>", Some("<a>1</a>"));
    check(Some("application/xml; charset=UTF-8"), "a.xml", "<a>1</a>", Some("<a>1</a>"));
    check(Some("application/octet-stream"), "a.bin", "bytes", Some("a.bin: bytes"));
    check(Some("text/xml"), "a.xml", SOAP, Some("Envelope"));
    check(Some("text/xml"), "a.xml", "<a/>", None);
    check(Some("text/xml"), "a.xml", "<a", None);
    check(Some("text/xml"), "a.xml", "", None);
    check(Some("invalid"), "a.xml", SOAP, Some("Envelope"));
    check(Some("invalid"), "a.xml", "<a/>", None);
    // Without a content type the name decides; without one there, it is SOAP.
    check(None, "a.xml", SOAP, Some("Envelope"));
    check(None, "a.xml", "<a/>", None);
    check(None, "a.txt", "text", Some("a.txt: text"));
    check(Some(" "), "a.TXT", "text", Some("a.TXT: text"));
    check(None, "a", SOAP, Some("Envelope"));
    check(None, "a.csv", "a,b", None);
    check(Some("text/plain"), "a.txt", "", Some("a.txt: "));
}

#[tokio::test]
async fn headers() {
    let folder = Folder::new();
    let path = folder.write("h 1#%.txt", "hello");
    let mut shown = String::new();
    for name in ["FILE_NAME", "FILE_PATH", "FILE_URI", "FILE_LENGTH", "LAST_MODIFIED"] {
        shown.push_str(&format!("<show name='{name}'/>"));
    }
    Bench::inbound(&shown, &[("FileURI", &uri(folder.path())), ("ContentType", "text/plain")]).pass().await.unwrap();
    let seen = notes();
    let folder = folder.path().display();
    assert_eq!(
        seen[..4],
        [
            "h 1#%.txt".to_owned(),
            path.display().to_string(),
            format!("file://{folder}/h%201%23%25.txt"),
            "5".to_owned()
        ]
    );
    assert_eq!(seen[4].len(), 13, "milliseconds: {}", seen[4]);
}

#[tokio::test]
async fn the_same_file_has_the_same_key() {
    let (folder, mounted_elsewhere) = (Folder::new(), Folder::new());
    let first = folder.write("a.txt", "one");
    let again = mounted_elsewhere.write("a.txt", "one");
    let modified = std::fs::metadata(&first).unwrap().modified().unwrap();
    std::fs::File::options().append(true).open(&again).unwrap().set_modified(modified).unwrap();
    let mut keys = Vec::new();
    for folder in [&folder, &folder, &mounted_elsewhere] {
        let settings = [("FileURI", &*uri(folder.path())), ("FileNamePattern", ".*"), ("ActionAfterProcess", "NONE")];
        let settings = [&settings[..], &[("ContentType", "text/plain")]].concat();
        Bench::proxy("<property name='IDEMPOTENCY_KEY'/>", &settings).pass().await.unwrap();
        keys.extend(notes());
    }
    assert_eq!(keys.len(), 3);
    assert!(keys[0].len() > 40 && keys[0] == keys[1] && keys[0] == keys[2], "{keys:?}");
    folder.write("a.txt", "another");
    let settings = [("FileURI", &*uri(folder.path())), ("FileNamePattern", ".*"), ("ContentType", "text/plain")];
    Bench::proxy("<property name='IDEMPOTENCY_KEY'/>", &settings).pass().await.unwrap();
    assert_ne!(notes()[0], keys[0]);
}

#[tokio::test]
async fn streams_stay_unread_until_somebody_reads() {
    for (content_type, streaming, unread) in [
        ("text/plain", "true", true),
        ("text/plain", "build", false),
        ("application/octet-stream", "true", true),
        ("application/xml", "true", false),
        ("text/plain", "false", false),
    ] {
        let folder = Folder::new();
        let content = format!("<a>{}</a>", "x".repeat(300_000));
        folder.write("a", &content);
        let build = if streaming == "build" { "true" } else { "false" };
        let streaming = if streaming == "build" { "true" } else { streaming };
        let address = uri(folder.path());
        let settings =
            [("FileURI", &*address), ("ContentType", content_type), ("Streaming", streaming), ("Build", build)];
        Bench::inbound("<unread/><note/>", &settings).pass().await.unwrap();
        assert_eq!(notes(), [format!("unread: {unread}"), format!("a: {content}")], "{content_type}");
    }
}
