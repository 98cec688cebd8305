//! Opening a log: every record is checked, what is damaged is put aside, and the rest goes on.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::index::{Index, Segment, Slot};
use super::record::{self, Kind, Part, SegmentHeader};
use super::writer::path;

/// Folder for damaged bytes, below that of the store.
pub(super) const QUARANTINE: &str = "quarantine";

/// The index of the segments in a folder.
pub(super) fn recover(folder: &Path) -> io::Result<Index> {
    let mut index = Index::default();
    for number in segments(folder)? {
        let bytes = std::fs::read(path(folder, number))?;
        let Some(header) = SegmentHeader::parse(&bytes) else {
            // Begun, and the process ended before anything was in it.
            std::fs::remove_file(path(folder, number))?;
            continue;
        };
        let file = OpenOptions::new().read(true).write(true).open(path(folder, number))?;
        let length = read_segment(folder, number, &bytes, header, &mut index)?;
        if length < bytes.len() as u64 {
            file.set_len(length)?;
        }
        // What was written shortly before a power failure may be there without having been on the disk.
        file.sync_data()?;
        if let Some(segment) = index.segments.get_mut(&number) {
            (segment.file, segment.length) = (Arc::new(file), length);
        }
    }
    Ok(index)
}

/// Notes the records of a segment; returns its length without a torn end.
fn read_segment(folder: &Path, number: u64, bytes: &[u8], header: SegmentHeader, index: &mut Index) -> io::Result<u64> {
    index.next_key = index.next_key.max(header.next_key);
    index.last_order = header.last_order.or(index.last_order);
    let file = Arc::new(File::open(path(folder, number))?);
    index.segments.insert(number, Segment { file, salt: header.salt, length: bytes.len() as u64, live: 0 });
    let mut length = bytes.len() as u64;
    for part in record::scan(bytes, header.salt) {
        match part {
            Part::Record(record) => match record.kind {
                Kind::Entry => {
                    let slot = Slot {
                        segment: number,
                        offset: record.payload.start as u64,
                        length: record.payload.len() as u32,
                        order: record.order,
                    };
                    index.put(record.key, slot);
                }
                Kind::Removed => {
                    index.last_order = record.order.or(index.last_order);
                    index.remove(record.key);
                }
            },
            Part::Damaged(range) => {
                if range.end == bytes.len() {
                    length = range.start as u64;
                }
                put_aside(folder, number, &bytes[range.clone()], &range)?;
            }
        }
    }
    Ok(length)
}

/// Keeps damaged bytes for whoever wants to look at them. Bytes that were put aside before are not told again.
pub(super) fn put_aside(folder: &Path, number: u64, bytes: &[u8], range: &Range<usize>) -> io::Result<()> {
    let aside = folder.join(QUARANTINE);
    std::fs::create_dir_all(&aside)?;
    let file = aside.join(format!("{number:010}-{}.bin", range.start));
    if file.exists() {
        return Ok(());
    }
    std::fs::write(&file, bytes)?;
    log::warn!(
        target: "DurableStore",
        "{} bytes of {} are damaged or torn; they are kept as {} and skipped",
        bytes.len(), path(folder, number).display(), file.display()
    );
    Ok(())
}

/// Numbers of the segments, in order.
fn segments(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".log"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}
