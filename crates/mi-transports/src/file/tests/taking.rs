//! Which files are taken, in which order, and by whom.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use mi_engine::inbound::Phase;

use super::support::{Bench, Folder, notes, uri};

/// Names that a pass takes of a folder.
#[track_caller]
fn check(proxy: bool, settings: &[(&str, &str)], files: &[(&str, &str)], expected: &[&str]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = Folder::new();
    for (name, content) in files {
        folder.write(name, content);
    }
    let address = match settings.iter().find(|(name, _)| *name == "FileURI") {
        Some((_, below)) => format!("{}{below}", uri(folder.path())),
        None => uri(folder.path()),
    };
    let mut all: Vec<_> = settings.iter().copied().filter(|(name, _)| *name != "FileURI").collect();
    all.push(("FileURI", &address));
    all.push(("ContentType", "text/plain"));
    runtime.block_on(async {
        tokio::time::pause();
        let steps = "<show name='FILE_NAME'/>";
        let mut bench = if proxy { Bench::proxy(steps, &all) } else { Bench::inbound(steps, &all) };
        bench.pass().await.unwrap();
    });
    let mut taken = notes();
    if !settings.iter().any(|(name, _)| *name == "FileSortAttribute") {
        taken.sort();
    }
    assert_eq!(taken, expected, "{settings:?}");
}

#[test]
fn names() {
    let files =
        [("a.txt", ""), ("b.xml", ""), ("c.txt.lock", ""), ("d.txt.fail", ""), ("sub/e.txt", ""), (".f.txt", "")];
    check(false, &[], &files, &["a.txt", "b.xml"]);
    check(true, &[], &files, &[]);
    check(true, &[("FileNamePattern", "")], &files, &[]);
    for proxy in [false, true] {
        check(proxy, &[("FileNamePattern", ".*\\.txt")], &files, &[".f.txt", "a.txt"]);
        check(proxy, &[("FileNamePattern", "a")], &files, &[]);
        check(proxy, &[("FileNamePattern", "(a|b)\\..*")], &files, &["a.txt", "b.xml"]);
        check(proxy, &[("FileNamePattern", ".*")], &files, &[".f.txt", "a.txt", "b.xml"]);
    }
    check(false, &[], &[("x.tmp", ""), ("y.part", ""), ("-z", ""), ("a b\n%2F", "")], &["-z", "a b\n%2F"]);
    check(false, &[("FileURI", "/*")], &files, &["a.txt", "b.xml", "e.txt"]);
    check(false, &[("FileURI", "/sub")], &files, &["e.txt"]);
    // A single file needs no pattern.
    check(true, &[("FileURI", "/b.xml")], &files, &["b.xml"]);
    check(true, &[("FileURI", "/missing")], &files, &[]);
}

#[test]
fn orders_and_counts() {
    let files = [("b", "12345"), ("c", "1"), ("a", "123")];
    let by = |attribute| ("FileSortAttribute", attribute);
    check(false, &[by("Name")], &files, &["a", "b", "c"]);
    check(false, &[by("Name"), ("FileSortAscending", "false")], &files, &["c", "b", "a"]);
    check(false, &[by("Size")], &files, &["c", "a", "b"]);
    check(false, &[by("Size"), ("FileSortAscending", "false")], &files, &["b", "a", "c"]);
    check(false, &[by("Name"), ("FileProcessCount", "2")], &files, &["a", "b"]);
    check(false, &[by("Name"), ("FileProcessCount", "0")], &files, &["a"]);
    // MI counts only where it does not wait between files.
    check(false, &[by("Name"), ("FileProcessCount", "1"), ("FileProcessInterval", "5000")], &files, &["a", "b", "c"]);
    check(false, &[("FileSizeLimit", "3"), by("Name")], &files, &["a", "c"]);
    check(false, &[("FileSizeLimit", "-1"), by("Name")], &files, &["a", "b", "c"]);
    check(false, &[("CheckSizeIgnoreEmpty", "true")], &[("a", ""), ("b", "x")], &["b"]);
}

#[tokio::test(start_paused = true)]
async fn an_order_by_time_is_total() {
    let folder = Folder::new();
    for (name, days) in [("new", 60_u64), ("old", 0), ("middle", 25), ("equal", 25)] {
        let path = folder.write(name, "x");
        let then = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * (10_000 + days));
        File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
    }
    let settings = [
        ("FileURI", &*uri(folder.path())),
        ("FileSortAttribute", "Lastmodifiedtimestamp"),
        ("ContentType", "text/plain"),
    ];
    Bench::inbound("<show name='FILE_NAME'/>", &settings).pass().await.unwrap();
    assert_eq!(notes(), ["old", "equal", "middle", "new"]);
}

#[tokio::test(start_paused = true)]
async fn large_folders_are_read_in_portions() {
    for order in ["NONE", "Name"] {
        let folder = Folder::new();
        for number in 0..1300 {
            folder.write(&format!("{number:05}"), "");
        }
        let settings = [
            ("FileURI", &*uri(folder.path())),
            ("ContentType", "text/plain"),
            ("FileSortAttribute", order),
            ("Locking", "disable"),
        ];
        let mut bench = Bench::inbound("<show name='FILE_NAME'/>", &settings);
        bench.pass().await.unwrap();
        let taken = notes();
        assert_eq!(taken.len(), 1300, "{order}");
        assert!(order == "NONE" || taken.is_sorted());
        assert!(folder.files().is_empty());
        assert_eq!(bench.gauge.counts()[0], 1300);
    }
}

#[tokio::test(start_paused = true)]
async fn a_done_file_says_that_a_file_is_whole() {
    for below in ["", "/a.txt"] {
        let folder = Folder::new();
        folder.write("a.txt", "half");
        let address = format!("{}{below}", uri(folder.path()));
        let settings = [("FileURI", &*address), ("ContentType", "text/plain"), ("DoneFileSuffix", ".done")];
        let mut bench = Bench::inbound("<note/>", &settings);
        bench.pass().await.unwrap();
        assert_eq!((notes().len(), folder.files()), (0, vec!["a.txt".to_owned()]), "{below}");
        folder.write("a.txt", "whole");
        folder.write("a.txt.done", "");
        bench.pass().await.unwrap();
        assert_eq!(notes(), ["a.txt: whole"], "{below}");
        assert!(folder.files().is_empty(), "{below}: {:?}", folder.files());
        // The next one of the name has one of its own.
        folder.write("a.txt", "next");
        bench.pass().await.unwrap();
        assert!(notes().is_empty(), "{below}");
    }
}

#[tokio::test(start_paused = true)]
async fn files_wait_until_they_are_old_and_quiet() {
    // Setting, seconds at which passes are made, the number of the pass that takes the file.
    for (setting, value, passes, taken_by) in [
        // Far apart, as the time that the test itself takes counts, too.
        ("MinimumAge", "500", &[0, 300, 400, 700][..], 3),
        ("waitTimeBeforeRead", "500000", &[0, 300, 400, 700], 3),
        ("MaximumAge", "500", &[600], 9),
        ("MaximumAge", "500", &[300], 0),
        ("CheckSizeInterval", "5000", &[0], 0),
    ] {
        let folder = Folder::new();
        folder.write("a", "x");
        let address = uri(folder.path());
        let settings = [("FileURI", &*address), ("ContentType", "text/plain"), (setting, value)];
        let mut bench = Bench::inbound("<show name='FILE_NAME'/>", &settings);
        let mut now = 0;
        for (number, at) in passes.iter().enumerate() {
            tokio::time::sleep(Duration::from_secs(at - now)).await;
            now = *at;
            bench.pass().await.unwrap();
            assert_eq!(notes().len(), usize::from(number == taken_by), "{setting} at {at} s");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_clock_of_the_file_server_does_not_matter() {
    let folder = Folder::new();
    let path = folder.write("a", "x");
    let ahead = SystemTime::now() + Duration::from_hours(5);
    File::options().write(true).open(path).unwrap().set_modified(ahead).unwrap();
    let settings = [("FileURI", &*uri(folder.path())), ("ContentType", "text/plain"), ("waitTimeBeforeRead", "5000")];
    let mut bench = Bench::inbound("<show name='FILE_NAME'/>", &settings);
    bench.pass().await.unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    bench.pass().await.unwrap();
    assert_eq!(notes(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_grows_is_not_stable() {
    let folder = Folder::new();
    let path = folder.write("a", "x");
    let settings = [("FileURI", &*uri(folder.path())), ("ContentType", "text/plain"), ("CheckSizeInterval", "5000")];
    let mut bench = Bench::inbound("<note/>", &settings);
    let growing = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        fs::write(&path, "xy").unwrap();
    };
    let (passed, ()) = tokio::join!(bench.pass(), growing);
    passed.unwrap();
    assert!(notes().is_empty());
    bench.pass().await.unwrap();
    assert_eq!(notes(), ["a: xy"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_regular_file_of_the_folder_is_left_alone() {
    let (folder, elsewhere) = (Folder::new(), Folder::new());
    let outside = elsewhere.write("secret", "x");
    let inside = folder.write("sub/real", "inside");
    std::os::unix::fs::symlink(&outside, folder.path().join("out")).unwrap();
    std::os::unix::fs::symlink(&inside, folder.path().join("in")).unwrap();
    std::os::unix::fs::symlink("loop", folder.path().join("loop")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, folder.path().join("fifo"), rustix::fs::Mode::RWXU).unwrap();
    let settings = [("FileURI", &*uri(folder.path())), ("ContentType", "text/plain")];
    let mut bench = Bench::inbound("<note/>", &settings);
    bench.pass().await.unwrap();
    bench.pass().await.unwrap();
    assert_eq!(notes(), ["in: inside"]);
    assert_eq!(folder.files(), ["fifo", "loop", "out", "sub/real"]);
    assert!(outside.exists());
}

#[tokio::test(start_paused = true)]
async fn locks_of_others_keep_a_file_until_they_are_gone() {
    let folder = Folder::new();
    folder.write("a.txt", "x");
    folder.write("a.txt.lock", "held");
    let address = uri(folder.path());
    let settings = [("FileURI", &*address), ("ContentType", "text/plain")];
    let mut bench = Bench::inbound("<note/>", &settings);
    bench.pass().await.unwrap();
    tokio::time::sleep(Duration::from_hours(10)).await;
    bench.pass().await.unwrap();
    assert!(notes().is_empty());
    fs::remove_file(folder.path().join("a.txt.lock")).unwrap();
    bench.pass().await.unwrap();
    assert_eq!(notes(), ["a.txt: x"]);
    assert!(folder.files().is_empty());
    // Without locking nobody's lock counts, and it stays.
    folder.write("b.txt", "y");
    folder.write("b.txt.lock", "held");
    Bench::inbound("<note/>", &[settings[0], settings[1], ("Locking", "disable")]).pass().await.unwrap();
    assert_eq!(notes(), ["b.txt: y"]);
    assert_eq!(folder.files(), ["b.txt.lock"]);
}

#[tokio::test(start_paused = true)]
async fn a_lock_of_mi_is_released_when_the_configuration_says_so() {
    for (more, taken) in [
        (&[][..], false),
        (&[("AutoLockRelease", "true")], false),
        (&[("AutoLockRelease", "true"), ("LockReleaseSameNode", "false")], true),
        (&[("AutoLockRelease", "true"), ("LockReleaseSameNode", "false"), ("AutoLockReleaseInterval", "1000")], true),
    ] {
        let folder = Folder::new();
        folder.write("a.txt", "x");
        folder.write("a.txt.lock", "-77:elsewhere:10.1.1.1:1600000000000");
        let address = uri(folder.path());
        let mut settings = vec![("FileURI", &*address), ("ContentType", "text/plain")];
        settings.extend_from_slice(more);
        Bench::inbound("<note/>", &settings).pass().await.unwrap();
        assert_eq!(notes().len(), usize::from(taken), "{more:?}");
        assert_eq!(folder.files().is_empty(), taken);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_process_was_working_on_is_taken_again() {
    let folder = Folder::new();
    folder.write("a.txt", "x");
    let settings = [("FileURI", &*uri(folder.path())), ("ContentType", "text/plain")];
    // A process is killed in the middle of a flow: its lock stays, with nobody to renew it.
    let mut killed = Bench::inbound("<sleep seconds='1000'/>", &settings);
    let lock = {
        let mut pass = std::pin::pin!(killed.pass());
        assert!(tokio::time::timeout(Duration::from_secs(1), &mut pass).await.is_err());
        folder.read("a.txt.lock").unwrap()
    };
    drop(killed);
    assert_eq!(folder.files(), ["a.txt"], "a pass that is given up gives the file back");
    folder.write("a.txt.lock", &lock);
    let mut next = Bench::inbound("<note/>", &settings);
    next.pass().await.unwrap();
    assert!(notes().is_empty());
    tokio::time::sleep(Duration::from_secs(31)).await;
    next.pass().await.unwrap();
    assert_eq!(notes(), ["a.txt: x"]);
    assert!(folder.files().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_slow_flow_keeps_its_file() {
    let folder = Folder::new();
    folder.write("a.txt", "x");
    let settings = [("FileURI", &*uri(folder.path())), ("ContentType", "text/plain")];
    let mut slow = Bench::inbound("<note/><sleep seconds='300'/>", &settings);
    let mut other = Bench::inbound("<note/>", &settings);
    let looking = async {
        for _ in 0..25 {
            tokio::time::sleep(Duration::from_secs(11)).await;
            other.pass().await.unwrap();
        }
    };
    let (passed, ()) = tokio::join!(slow.pass(), looking);
    passed.unwrap();
    assert_eq!(notes(), ["a.txt: x"]);
    assert!(folder.files().is_empty());
}

#[tokio::test(start_paused = true)]
async fn of_two_pollers_one_takes_a_file() {
    let folder = Folder::new();
    for number in 0..300 {
        folder.write(&format!("{number}"), "");
    }
    let settings = [("FileURI", &*uri(folder.path())), ("ContentType", "text/plain"), ("sequential", "false")];
    let mut pollers = [(); 3].map(|()| Bench::inbound("<show name='FILE_NAME'/>", &settings));
    let passes = futures_util::future::join_all(pollers.iter_mut().map(Bench::pass)).await;
    assert!(passes.into_iter().all(|passed| passed.is_ok()));
    for poller in &mut pollers {
        poller.pass().await.unwrap();
    }
    let mut taken = notes();
    taken.sort();
    let all = taken.len();
    taken.dedup();
    assert_eq!((all, taken.len()), (300, 300));
    assert!(folder.files().is_empty());
}

#[tokio::test(start_paused = true)]
async fn some_files_at_a_time_when_they_need_not_come_in_sequence() {
    for (sequential, seconds) in [("true", 300), ("false", 20)] {
        let folder = Folder::new();
        for number in 0..30 {
            folder.write(&format!("{number}"), "");
        }
        let settings = [("FileURI", &*uri(folder.path())), ("ContentType", "text/plain"), ("sequential", sequential)];
        let began = tokio::time::Instant::now();
        Bench::inbound("<sleep seconds='10'/>", &settings).pass().await.unwrap();
        assert_eq!(began.elapsed().as_secs(), seconds, "{sequential}");
        assert!(folder.files().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_comes_between_two_files() {
    let folder = Folder::new();
    for name in ["a", "b", "c"] {
        folder.write(name, "");
    }
    let settings = [
        ("FileURI", &*uri(folder.path())),
        ("ContentType", "text/plain"),
        ("FileSortAttribute", "Name"),
        ("FileProcessInterval", "1000"),
    ];
    let mut bench = Bench::inbound("<sleep seconds='10'/><show name='FILE_NAME'/>", &settings);
    let control = bench.control.clone();
    let switch = std::mem::replace(&mut bench.switch, mi_engine::inbound::Switch::new(Phase::Running).0);
    let stopping = async {
        tokio::time::sleep(Duration::from_secs(15)).await;
        switch.set(Phase::Stopped);
    };
    let (passed, ()) = tokio::join!(bench.pass(), stopping);
    passed.unwrap();
    assert!(!control.is_running());
    assert_eq!(notes(), ["a", "b"]);
    assert_eq!(folder.files(), ["c"]);
}

#[tokio::test(start_paused = true)]
async fn a_folder_may_come_and_go() {
    let folder = Folder::new();
    let address = format!("{}/later", uri(folder.path()));
    let mut bench = Bench::inbound("<note/>", &[("FileURI", &*address), ("ContentType", "text/plain")]);
    bench.pass().await.unwrap();
    folder.write("later/a", "x");
    bench.pass().await.unwrap();
    assert_eq!(notes(), ["a: x"]);
    fs::remove_dir(folder.path().join("later")).unwrap();
    bench.pass().await.unwrap();
    // What is no folder and no file is an error of the pass.
    folder.write("file", "");
    let below = format!("{}/file/below", uri(folder.path()));
    let mut bench =
        Bench::inbound("<note/>", &[("FileURI", &*below), ("MaxRetryCount", "3"), ("ReconnectTimeout", "2000")]);
    let began = tokio::time::Instant::now();
    assert!(bench.pass().await.unwrap_err().0.contains("Repeatedly failed to resolve the file URI"));
    assert_eq!(began.elapsed().as_secs(), 4);
}
