//! The bytes of a segment: a header, then records, each with a checksum. A record begins with a salt that is drawn for
//! its segment, so that no payload can look like a record to whoever searches for the next one behind damaged bytes.

use std::ops::Range;

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An entry; the payload is its id and message.
    Entry,
    /// The entry of this key is gone.
    Removed,
}

/// Stands for "no order".
const UNORDERED: i64 = i64::MIN;
const MAGIC: &[u8; 8] = b"MISTORE1";
/// Length of the header of a segment.
pub(super) const SEGMENT_HEADER: usize = 8 + 8 + 8 + 8 + 4;
/// Length of what stands before the payload of a record.
pub(super) const RECORD_HEADER: usize = 8 + 1 + 4 + 8 + 8 + 4;

/// The header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) salt: u64,
    /// No key from here on was given when the segment was begun.
    pub(super) next_key: u64,
    /// Number of the entry that was removed last, of those that have one.
    pub(super) last_order: Option<i64>,
}

impl SegmentHeader {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SEGMENT_HEADER);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.salt.to_le_bytes());
        out.extend_from_slice(&self.next_key.to_le_bytes());
        out.extend_from_slice(&self.last_order.unwrap_or(UNORDERED).to_le_bytes());
        let sum = crc32fast::hash(&out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    /// Reads a header. Of a damaged one the salt is taken from the first record behind it, which will show if that is
    /// right. `None` for a file that was begun and got no record.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let head = bytes.get(..SEGMENT_HEADER)?;
        if head.starts_with(MAGIC) && crc32fast::hash(&head[..32]) == number(head, 32, u32::from_le_bytes)? {
            let last_order = number(head, 24, i64::from_le_bytes)?;
            return Some(Self {
                salt: number(head, 8, u64::from_le_bytes)?,
                next_key: number(head, 16, u64::from_le_bytes)?,
                last_order: (last_order != UNORDERED).then_some(last_order),
            });
        }
        let salt = number(bytes, SEGMENT_HEADER, u64::from_le_bytes)?;
        Some(Self { salt, next_key: 0, last_order: None })
    }
}

fn number<const N: usize, T>(bytes: &[u8], at: usize, read: fn([u8; N]) -> T) -> Option<T> {
    Some(read(bytes.get(at..at + N)?.try_into().ok()?))
}

/// A record in the bytes of its segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) kind: Kind,
    pub(super) key: u64,
    pub(super) order: Option<i64>,
    pub(super) payload: Range<usize>,
}

/// Appends a record; returns where its payload begins in `out`.
pub(super) fn write(out: &mut Vec<u8>, salt: u64, kind: Kind, key: u64, order: Option<i64>, payload: &[u8]) -> usize {
    let start = out.len();
    out.extend_from_slice(&salt.to_le_bytes());
    out.push(match kind {
        Kind::Entry => 1,
        Kind::Removed => 2,
    });
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&key.to_le_bytes());
    out.extend_from_slice(&order.unwrap_or(UNORDERED).to_le_bytes());
    let sum = sum(&out[start..], payload);
    out.extend_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(payload);
    start + RECORD_HEADER
}

fn sum(head: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(payload);
    hasher.finalize()
}

/// The record at `at`, if there is a whole one.
pub(super) fn read(bytes: &[u8], at: usize, salt: u64) -> Option<Record> {
    let head = bytes.get(at..at + RECORD_HEADER)?;
    if number(head, 0, u64::from_le_bytes)? != salt {
        return None;
    }
    let kind = match head[8] {
        1 => Kind::Entry,
        2 => Kind::Removed,
        _ => return None,
    };
    let start = at + RECORD_HEADER;
    let payload = start..start.checked_add(number(head, 9, u32::from_le_bytes)? as usize)?;
    let expected = number(head, 29, u32::from_le_bytes)?;
    if sum(&head[..29], bytes.get(payload.clone())?) != expected {
        return None;
    }
    let order = number(head, 21, i64::from_le_bytes)?;
    let order = (order != UNORDERED).then_some(order);
    Some(Record { kind, key: number(head, 13, u64::from_le_bytes)?, order, payload })
}

/// What stands in a segment, from its first to its last byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Record(Record),
    /// Bytes that are no whole record.
    Damaged(Range<usize>),
}

/// The parts of a segment.
pub(super) fn scan(bytes: &[u8], salt: u64) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut at = SEGMENT_HEADER;
    let pattern = salt.to_le_bytes();
    while at < bytes.len() {
        if let Some(record) = read(bytes, at, salt) {
            at = record.payload.end;
            parts.push(Part::Record(record));
            continue;
        }
        let mut next = at;
        loop {
            next = match memchr::memmem::find(&bytes[(next + 1).min(bytes.len())..], &pattern) {
                Some(found) => next + 1 + found,
                None => bytes.len(),
            };
            if next == bytes.len() || read(bytes, next, salt).is_some() {
                break;
            }
        }
        parts.push(Part::Damaged(at..next));
        at = next;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(payloads: &[&[u8]]) -> Vec<u8> {
        let mut out = SegmentHeader { salt: 77, next_key: 5, last_order: Some(-3) }.to_bytes();
        for (key, payload) in payloads.iter().enumerate() {
            write(&mut out, 77, Kind::Entry, key as u64, None, payload);
        }
        out
    }

    fn keys(bytes: &[u8]) -> Vec<Option<u64>> {
        let key = |part: &Part| match part {
            Part::Record(record) => Some(record.key),
            Part::Damaged(_) => None,
        };
        scan(bytes, 77).iter().map(key).collect()
    }

    #[test]
    fn headers_and_records_come_back() {
        let bytes = segment(&[b"a", b"", b"\x01\x02"]);
        let header = SegmentHeader::parse(&bytes).unwrap();
        assert_eq!(header, SegmentHeader { salt: 77, next_key: 5, last_order: Some(-3) });
        assert_eq!(keys(&bytes), [Some(0), Some(1), Some(2)]);
    }

    #[test]
    fn a_torn_end_is_told_apart() {
        let bytes = segment(&[b"first", b"second"]);
        let whole = scan(&bytes, 77);
        let Part::Record(first) = &whole[0] else { panic!("a record expected") };
        for end in first.payload.end..bytes.len() {
            let found = keys(&bytes[..end]);
            let expected: &[Option<u64>] = if end == first.payload.end { &[Some(0)] } else { &[Some(0), None] };
            assert_eq!(found, expected, "cut at {end}");
        }
    }

    #[test]
    fn a_damaged_record_costs_itself_only() {
        let intact = segment(&[b"first", b"second", b"third"]);
        for at in SEGMENT_HEADER..intact.len() {
            let mut bytes = intact.clone();
            bytes[at] ^= 0x55;
            let found = keys(&bytes);
            assert_eq!(found.iter().flatten().count(), 2, "flipped at {at}: {found:?}");
        }
    }

    #[test]
    fn a_damaged_header_is_worked_around() {
        let mut bytes = segment(&[b"first", b"second"]);
        bytes[3] ^= 0xff;
        assert_eq!(SegmentHeader::parse(&bytes).unwrap().salt, 77);
        assert_eq!(SegmentHeader::parse(&bytes[..SEGMENT_HEADER]), None);
    }
}
