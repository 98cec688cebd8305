//! What becomes of files afterwards.

use std::fs;
use std::time::Duration;

use super::support::{Bench, Folder, notes, uri};

const TEXT: &str = "text/plain";

/// Where a file is after a pass: `in`, `done`, `failed`, or nowhere.
#[track_caller]
fn check(proxy: bool, actions: (&str, &str), steps: &str, content_type: &str, expected: Option<&str>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = Folder::new();
    folder.write("in/a.xml", "<employee/>");
    let (source, done, failed) =
        (uri(&folder.path().join("in")), uri(&folder.path().join("done")), uri(&folder.path().join("failed")));
    let settings = [
        ("FileURI", &*source),
        ("FileNamePattern", ".*\\.xml"),
        ("ContentType", content_type),
        ("ActionAfterProcess", actions.0),
        ("MoveAfterProcess", &done),
        ("ActionAfterFailure", actions.1),
        ("MoveAfterFailure", &failed),
        ("CreateFolder", "true"),
    ];
    runtime.block_on(async {
        tokio::time::pause();
        let mut bench = if proxy { Bench::proxy(steps, &settings) } else { Bench::inbound(steps, &settings) };
        bench.pass().await.unwrap();
    });
    notes();
    let expected: Vec<String> = expected.map(|folder| format!("{folder}/a.xml")).into_iter().collect();
    assert_eq!(folder.files(), expected, "{actions:?} {steps} {content_type}");
}

#[tokio::test(start_paused = true)]
async fn files_that_are_too_large_go_where_failed_ones_go() {
    for (action, expected) in [("MOVE", ["failed/large"]), ("DELETE", ["in/large"])] {
        let folder = Folder::new();
        folder.write("in/large", "12345");
        folder.write("in/small", "123");
        let (source, failed) = (uri(&folder.path().join("in")), uri(&folder.path().join("failed")));
        let settings = [
            ("FileURI", &*source),
            ("ContentType", "text/plain"),
            ("FileSizeLimit", "3"),
            ("ActionAfterFailure", action),
            ("MoveAfterFailure", &failed),
            ("CreateFolder", "true"),
        ];
        let mut bench = Bench::inbound("<show name='FILE_NAME'/>", &settings);
        bench.pass().await.unwrap();
        assert_eq!(
            (notes(), folder.files()),
            (vec!["small".to_owned()], expected.map(str::to_owned).to_vec()),
            "{action}"
        );
    }
}

#[test]
fn actions() {
    for proxy in [false, true] {
        check(proxy, ("", ""), "<note/>", TEXT, None);
        check(proxy, ("DELETE", "MOVE"), "<note/>", TEXT, None);
        check(proxy, ("MOVE", "DELETE"), "<note/>", TEXT, Some("done"));
        check(proxy, ("MOVEDD", "MOVE"), "<note/>", TEXT, None);
        // An employee is no SOAP envelope, and what nobody knows is read as SOAP.
        check(proxy, ("MOVE", "MOVE"), "<note/>", "text/xml", Some("failed"));
        check(proxy, ("MOVE", "MOVE"), "<note/>", "invalid/invalid", Some("failed"));
        check(proxy, ("MOVE", ""), "<note/>", "text/xml", None);
        check(proxy, ("MOVE", "MOVE"), "<note/>", "application/xml", Some("done"));
        check(proxy, ("MOVE", "MOVE"), "<note/>", "application/json", Some("failed"));
    }
    // NONE keeps the file of a proxy and deletes that of an inbound endpoint.
    check(true, ("NONE", ""), "<note/>", TEXT, Some("in"));
    check(true, ("", "NONE"), "<note/>", "text/xml", Some("in"));
    check(false, ("NONE", ""), "<note/>", TEXT, None);
    check(false, ("", "NONE"), "<note/>", "text/xml", None);
    // A fault without a handler fails an inbound endpoint, ERROR_CODE as a transport property a proxy.
    check(false, ("MOVE", "MOVE"), "<fail/>", TEXT, Some("failed"));
    check(true, ("MOVE", "MOVE"), "<fail/>", TEXT, Some("done"));
    check(true, ("MOVE", "MOVE"), "<header name='ERROR_CODE' value='101'/>", TEXT, Some("failed"));
    check(false, ("MOVE", "MOVE"), "<header name='ERROR_CODE' value='101'/>", TEXT, Some("done"));
}

#[tokio::test(start_paused = true)]
async fn dates_and_subfolders() {
    let folder = Folder::new();
    folder.write("in/x/y/a.txt", "1");
    folder.write("in/b.txt", "2");
    let (source, done) = (uri(&folder.path().join("in/*")), uri(&folder.path().join("done-/*")));
    let settings = [
        ("FileURI", &*source),
        ("ContentType", TEXT),
        ("ActionAfterProcess", "MOVE"),
        ("MoveAfterProcess", &done),
        ("MoveTimestampFormat", "yyyy'_'"),
        ("SubFolderTimestampFormat", "'D'"),
        ("FileSortAttribute", "Name"),
    ];
    let mut bench = Bench::inbound("<show name='RELATIVE_PATH'/>", &settings);
    bench.pass().await.unwrap();
    assert_eq!(notes(), ["", "/x/y"]);
    let year = folder.files().first().and_then(|name| name.split(['/', '_']).nth(1).map(str::to_owned)).unwrap();
    assert_eq!(year.len(), 4);
    assert_eq!(folder.files(), [format!("done-D/{year}_b.txt"), format!("done-D/x/y/{year}_a.txt")]);
}

#[tokio::test(start_paused = true)]
async fn a_second_file_of_a_name_does_not_replace_the_first() {
    let folder = Folder::new();
    fs::create_dir(folder.path().join("done")).unwrap();
    let (source, done) = (uri(&folder.path().join("in")), uri(&folder.path().join("done")));
    let settings =
        [("FileURI", &*source), ("ContentType", TEXT), ("ActionAfterProcess", "MOVE"), ("MoveAfterProcess", &*done)];
    let mut bench = Bench::inbound("<note/>", &settings);
    for content in ["one", "two"] {
        folder.write("in/a.txt", content);
        bench.pass().await.unwrap();
    }
    assert_eq!(notes(), ["a.txt: one", "a.txt: two"]);
    assert_eq!(
        (folder.read("done/a.txt").as_deref(), folder.read("done/a.1.txt").as_deref()),
        (Some("one"), Some("two"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_moved_is_marked_and_not_processed_again() {
    let folder = Folder::new();
    folder.write("in/a.txt", "x");
    let (source, done) = (uri(&folder.path().join("in")), uri(&folder.path().join("done")));
    // Without CreateFolder the missing folder makes the move fail.
    let settings =
        [("FileURI", &*source), ("ContentType", TEXT), ("ActionAfterProcess", "MOVE"), ("MoveAfterProcess", &*done)];
    let mut bench = Bench::inbound("<note/>", &settings);
    bench.pass().await.unwrap();
    bench.pass().await.unwrap();
    assert_eq!(notes(), ["a.txt: x"]);
    assert_eq!(folder.files(), ["in/a.txt", "in/a.txt.fail"]);
    assert!(folder.read("in/a.txt.fail").unwrap().contains(" processed 1-"));
    // A new process finds the mark.
    let mut next = Bench::inbound("<note/>", &settings);
    next.pass().await.unwrap();
    assert_eq!(folder.files(), ["in/a.txt", "in/a.txt.fail"]);
    fs::create_dir(folder.path().join("done")).unwrap();
    next.pass().await.unwrap();
    assert_eq!(folder.files(), ["done/a.txt"]);
    assert!(notes().is_empty());
    // The old one finds nothing left to do, and takes a new file of that name.
    tokio::time::sleep(Duration::from_secs(4)).await;
    bench.pass().await.unwrap();
    folder.write("in/a.txt", "y");
    bench.pass().await.unwrap();
    assert_eq!(notes(), ["a.txt: y"]);
    assert_eq!(folder.files(), ["done/a.1.txt", "done/a.txt"]);
}

#[tokio::test(start_paused = true)]
async fn a_mark_is_for_one_file_and_not_for_its_name() {
    let folder = Folder::new();
    let (source, done) = (uri(&folder.path().join("in")), uri(&folder.path().join("done")));
    let moved =
        [("FileURI", &*source), ("ContentType", TEXT), ("ActionAfterProcess", "MOVE"), ("MoveAfterProcess", &*done)];
    fs::create_dir(folder.path().join("done")).unwrap();
    // A mark of MI, which says nothing but the time, and one for a former file.
    for (mark, processed) in [("1700000000000", false), ("1700000000000 failed 9-1", true)] {
        folder.write("in/a.txt", "x");
        folder.write("in/a.txt.fail", mark);
        let mut bench = Bench::inbound("<note/>", &moved);
        bench.pass().await.unwrap();
        bench.pass().await.unwrap();
        assert_eq!(notes().len(), usize::from(processed), "{mark}");
        assert!(folder.files().iter().all(|name| name.starts_with("done/")), "{:?}", folder.files());
    }
}

#[tokio::test(start_paused = true)]
async fn failed_moves_have_a_folder_and_a_record() {
    let folder = Folder::new();
    folder.write("in/bad.xml", "<employee/>");
    let (source, gone, rescued) =
        (uri(&folder.path().join("in")), uri(&folder.path().join("gone")), uri(&folder.path().join("rescued")));
    let records = format!("{}/", folder.path().display());
    let settings = [
        ("FileURI", &*source),
        ("FileNamePattern", ".*"),
        ("ContentType", "text/xml"),
        ("ActionAfterFailure", "MOVE"),
        ("MoveAfterFailure", &gone),
        ("MoveAfterFailedMove", &rescued),
        ("FailedRecordsFileDestination", &records),
        ("FailedRecordsFileName", "records"),
        ("MoveFailedRecordTimestampFormat", "'then'"),
    ];
    let mut bench = Bench::proxy("<note/>", &settings);
    bench.pass().await.unwrap();
    assert_eq!(folder.files(), ["in/bad.xml", "in/bad.xml.fail", "records"]);
    assert!(folder.read("in/bad.xml.fail").unwrap().contains(" failed 11-"));
    assert_eq!(folder.read("records").unwrap(), "bad.xml then\n");
    bench.pass().await.unwrap();
    assert_eq!(folder.files().len(), 3, "it is too early to try again");
    tokio::time::sleep(Duration::from_secs(3)).await;
    bench.pass().await.unwrap();
    assert_eq!(folder.files(), ["records", "rescued/bad.xml"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_deployed_costs_no_file() {
    let folder = Folder::new();
    folder.write("a.txt", "x");
    let settings = [("FileURI", &*uri(folder.path())), ("ContentType", TEXT)];
    let mut bench = Bench::inbound_without_sequence(&settings);
    assert!(bench.pass().await.unwrap_err().0.contains("Sequence: in not found"));
    assert_eq!(folder.files(), ["a.txt"]);
}

#[tokio::test(start_paused = true)]
async fn what_the_journal_knows_is_not_mediated_again() {
    let folder = Folder::new();
    let file = folder.write("in/a.txt", "one");
    let modified = fs::metadata(&file).unwrap().modified().unwrap();
    let (source, done, journal) =
        (uri(&folder.path().join("in")), uri(&folder.path().join("done")), uri(&folder.path().join("journal")));
    fs::create_dir(folder.path().join("done")).unwrap();
    let settings = [
        ("FileURI", &*source),
        ("ContentType", TEXT),
        ("ActionAfterProcess", "MOVE"),
        ("MoveAfterProcess", &done),
        ("ProcessedJournal", &journal),
    ];
    Bench::inbound("<note/>", &settings).pass().await.unwrap();
    assert_eq!(notes(), ["a.txt: one"]);
    let again = |content: &str| {
        let path = folder.write("in/a.txt", content);
        fs::File::options().append(true).open(path).unwrap().set_modified(modified).unwrap();
    };
    // As after a crash before the move: another process finds the very file.
    again("one");
    Bench::inbound("<note/>", &settings).pass().await.unwrap();
    assert!(notes().is_empty());
    assert_eq!((folder.read("in/a.txt"), folder.read("done/a.1.txt").as_deref()), (None, Some("one")));
    // Another file of that name, and one that failed, are new.
    again("three");
    Bench::inbound("<fail/>", &settings).pass().await.unwrap();
    again("three");
    Bench::inbound("<note/>", &settings).pass().await.unwrap();
    assert_eq!(notes(), ["a.txt: three"]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_kept_is_processed_once_with_a_journal() {
    let folder = Folder::new();
    folder.write("in/a.txt", "one");
    let (source, journal) = (uri(&folder.path().join("in")), uri(&folder.path().join("journal")));
    let pattern = ("FileNamePattern", ".*");
    let keep = [("FileURI", &*source), ("ContentType", TEXT), ("ActionAfterProcess", "NONE"), pattern];
    let mut bench = Bench::proxy("<note/>", &keep);
    for _ in 0..2 {
        bench.pass().await.unwrap();
    }
    assert_eq!(notes().len(), 2, "MI takes it in every pass");
    let mut bench = Bench::proxy("<note/>", &[keep.as_slice(), &[("ProcessedJournal", &*journal)]].concat());
    for _ in 0..2 {
        bench.pass().await.unwrap();
    }
    assert_eq!(notes().len(), 1);
}

#[test]
fn a_journal_is_beside_the_files_and_on_this_machine() {
    for (journal, fits) in [("/journal", true), ("/in", false), ("/in/journal", false), ("sftp://host/journal", false)]
    {
        let xml = super::support::inbound_xml(&[("interval", "1"), ("FileURI", "/in"), ("ProcessedJournal", journal)]);
        let built = super::support::deploy(&xml);
        assert_eq!(built.failed.is_empty(), fits, "{journal}: {:?}", built.failed);
    }
}
