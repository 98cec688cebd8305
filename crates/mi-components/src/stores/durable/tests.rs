use std::path::PathBuf;

use mi_message::Message;

use super::record::{Part, SEGMENT_HEADER, SegmentHeader};
use super::*;

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("durable-store-{}-{name}", std::process::id()));
        drop(std::fs::remove_dir_all(&folder));
        Self(folder)
    }

    fn open_with(&self, segment: u64) -> DurableStore {
        DurableStore::open(&self.0, segment, ConvertOptions::default()).unwrap()
    }

    fn open(&self) -> DurableStore {
        self.open_with(DEFAULT_SEGMENT)
    }

    fn segments(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut files: Vec<PathBuf> = entries.map(|it| it.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|it| it == "log"));
        files.sort();
        files
    }

    fn log_bytes(&self) -> u64 {
        self.segments().iter().map(|file| file.metadata().unwrap().len()).sum()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn entry(id: &str, size: usize) -> Entry {
    let mut message = Message::new();
    message.properties.set("id", id);
    message.body = mi_message::Body::from_bytes(vec![b'x'; size], Some("application/octet-stream".into()));
    Entry { id: id.into(), order: None, message }
}

async fn put(store: &DurableStore, ids: &[&str]) {
    for id in ids {
        store.append(entry(id, 100), DEFAULT).await.unwrap();
    }
}

/// Ids in the order of delivery; nothing is removed.
async fn ids(store: &DurableStore) -> Vec<String> {
    let (mut claimed, mut ids) = (Vec::new(), Vec::new());
    while let Some((key, entry)) = store.first(claimed.clone()).await.unwrap() {
        assert_eq!(entry.message.properties.get_str("id"), Some(&*entry.id));
        claimed.push(key);
        ids.push(entry.id.to_string());
    }
    assert_eq!(store.size(), ids.len() as u64);
    ids
}

async fn take(store: &DurableStore) -> String {
    let (key, entry) = store.first(Vec::new()).await.unwrap().unwrap();
    store.remove(key).await.unwrap();
    entry.id.to_string()
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_restart() {
    let folder = Folder::new("restart");
    let store = folder.open();
    put(&store, &["a", "b", "c"]).await;
    assert_eq!(take(&store).await, "a");
    drop(store);
    let store = folder.open();
    assert_eq!(ids(&store).await, ["b", "c"]);
    put(&store, &["d"]).await;
    assert_eq!(take(&store).await, "b");
    drop(store);
    assert_eq!(ids(&folder.open()).await, ["c", "d"]);
}

#[tokio::test]
async fn a_log_that_ends_anywhere_opens_with_what_is_whole() {
    let folder = Folder::new("torn");
    let store = folder.open();
    put(&store, &["a", "b"]).await;
    drop(store);
    let file = folder.segments()[0].clone();
    let bytes = std::fs::read(&file).unwrap();
    let salt = SegmentHeader::parse(&bytes).unwrap().salt;
    let ends: Vec<usize> = record::scan(&bytes, salt)
        .iter()
        .map(|part| match part {
            Part::Record(record) => record.payload.end,
            Part::Damaged(range) => panic!("damaged at {range:?}"),
        })
        .collect();
    for end in (0..=bytes.len()).step_by(7).chain(ends.clone()) {
        for file in folder.segments() {
            std::fs::remove_file(file).unwrap();
        }
        std::fs::write(&file, &bytes[..end]).unwrap();
        let whole = ends.iter().filter(|it| **it <= end).count();
        let store = folder.open();
        assert_eq!(ids(&store).await, ["a", "b"][..whole], "cut at {end}");
        put(&store, &["new"]).await;
        drop(store);
        let mut expected = ["a", "b"][..whole].to_vec();
        expected.push("new");
        assert_eq!(ids(&folder.open()).await, expected, "cut at {end}, opened again");
    }
    assert!(folder.0.join(recover::QUARANTINE).is_dir(), "torn bytes are kept");
}

#[tokio::test]
async fn a_damaged_message_is_put_aside_and_the_others_go_on() {
    let folder = Folder::new("damaged");
    let store = folder.open();
    put(&store, &["a", "b", "c"]).await;
    let file = folder.segments()[0].clone();
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = SEGMENT_HEADER + (bytes.len() - SEGMENT_HEADER) / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&file, &bytes).unwrap();
    assert_eq!(ids(&store).await, ["a", "c"], "while it is open");
    drop(store);
    assert_eq!(ids(&folder.open()).await, ["a", "c"], "and when it is opened");
    assert_eq!(std::fs::read_dir(folder.0.join(recover::QUARANTINE)).unwrap().count(), 1);
}

#[tokio::test]
async fn consumed_segments_go() {
    let folder = Folder::new("consumed");
    let store = folder.open_with(2000);
    for round in 0..20 {
        for number in 0..10 {
            put(&store, &[&format!("{round}-{number}")]).await;
        }
        for number in 0..10 {
            assert_eq!(take(&store).await, format!("{round}-{number}"));
        }
    }
    assert!(folder.segments().len() <= 2, "{:?}", folder.segments());
    assert!(folder.log_bytes() < 4000, "{}", folder.log_bytes());
    drop(store);
    assert!(ids(&folder.open()).await.is_empty());
}

#[tokio::test]
async fn a_message_that_stays_does_not_keep_the_log_from_shrinking() {
    let folder = Folder::new("stuck");
    let store = folder.open_with(2000);
    put(&store, &["stuck"]).await;
    let (stuck, _) = store.first(Vec::new()).await.unwrap().unwrap();
    for number in 0..300 {
        put(&store, &[&number.to_string()]).await;
        let (key, entry) = store.first(vec![stuck]).await.unwrap().unwrap();
        assert_eq!(*entry.id, *number.to_string());
        store.remove(key).await.unwrap();
    }
    assert!(folder.log_bytes() < 16_000, "{} of {}", folder.log_bytes(), 300 * 200);
    put(&store, &["last"]).await;
    assert_eq!(ids(&store).await, ["stuck", "last"], "it keeps its place");
    drop(store);
    assert_eq!(ids(&folder.open_with(2000)).await, ["stuck", "last"]);
}

#[tokio::test]
async fn keys_are_not_given_twice() {
    let folder = Folder::new("keys");
    let store = folder.open();
    put(&store, &["a"]).await;
    let (first, _) = store.first(Vec::new()).await.unwrap().unwrap();
    store.remove(first).await.unwrap();
    drop(store);
    // All segments with a record are gone after this.
    drop(folder.open());
    let store = folder.open();
    put(&store, &["b"]).await;
    let (second, _) = store.first(Vec::new()).await.unwrap().unwrap();
    assert!(second > first, "{second} after {first}");
}

#[tokio::test]
async fn it_is_bounded() {
    let folder = Folder::new("bounded");
    let store = folder.open();
    let limits = Limits { messages: 2, bytes: 2000 };
    store.append(entry("a", 500), limits).await.unwrap();
    let refused = store.append(entry("b", 5000), limits).await.unwrap_err();
    assert_eq!(refused, super::super::full("store.max.bytes", 2000));
    store.append(entry("c", 500), limits).await.unwrap();
    let refused = store.append(entry("d", 1), limits).await.unwrap_err();
    assert_eq!(refused, super::super::full("store.max.messages", 2));
    take(&store).await;
    store.append(entry("d", 1), limits).await.unwrap();
    assert_eq!(ids(&store).await, ["c", "d"]);
}

#[tokio::test]
async fn one_folder_is_open_once() {
    let folder = Folder::new("locked");
    let store = folder.open();
    let second = DurableStore::open(&folder.0, DEFAULT_SEGMENT, ConvertOptions::default());
    assert!(matches!(second, Err(StoreError::Unavailable(why)) if why.contains("is in use")));
    drop(store);
    folder.open();
}

#[tokio::test]
async fn many_writers_share_the_disk_and_lose_nothing() {
    let folder = Folder::new("many");
    let store = Arc::new(folder.open());
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..50 {
        let store = store.clone();
        writers.spawn(async move {
            for number in 0..10 {
                store.append(entry(&format!("{writer}-{number}"), 10), DEFAULT).await.unwrap();
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    let mut found = ids(&store).await;
    for writer in 0..50 {
        let own: Vec<_> = found.iter().filter(|id| id.starts_with(&format!("{writer}-"))).collect();
        let expected: Vec<_> = (0..10).map(|number| format!("{writer}-{number}")).collect();
        assert_eq!(own, expected.iter().collect::<Vec<_>>(), "in the order of each writer");
    }
    found.dedup();
    assert_eq!(found.len(), 500);
}

#[test]
fn any_name_is_one_folder() {
    assert_eq!(file_name("Orders-1_x"), "Orders-1_x");
    assert_eq!(file_name("../a b"), "%2E%2E%2Fa%20b");
}

#[tokio::test]
async fn numbers_are_remembered_over_restarts_and_compaction() {
    let folder = Folder::new("numbers");
    let number = |order: i64| Entry { order: Some(order), ..entry(&order.to_string(), 10) };
    let store = folder.open_with(2000);
    for order in [3, 1, 2] {
        store.append(number(order), DEFAULT).await.unwrap();
    }
    let next = async |store: &DurableStore, gap_is_over: bool| {
        let found = store.following(gap_is_over).await.unwrap();
        if let Some((key, _)) = &found {
            store.remove(*key).await.unwrap();
        }
        found.map(|(_, entry)| entry.id.to_string())
    };
    assert_eq!(next(&store, false).await.as_deref(), Some("1"));
    assert_eq!(next(&store, false).await.as_deref(), Some("2"));
    drop(store);
    let store = folder.open_with(2000);
    assert_eq!(next(&store, false).await.as_deref(), Some("3"));
    drop(store);
    drop(folder.open_with(2000));
    let store = folder.open_with(2000);
    store.append(number(5), DEFAULT).await.unwrap();
    assert_eq!(next(&store, false).await, None, "4 is waited for");
    assert_eq!(next(&store, true).await.as_deref(), Some("5"), "and then no more");
    store.append(number(6), DEFAULT).await.unwrap();
    assert_eq!(next(&store, false).await.as_deref(), Some("6"));
}
