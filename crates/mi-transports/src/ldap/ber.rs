//! The part of BER that LDAP needs: tags of one byte, definite lengths. RFC 4511, 5.1.

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const ENUMERATED: u8 = 0x0a;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// A value with its tag and length.
pub(super) fn tlv(tag: u8, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let mut out = Vec::with_capacity(content.len() + 6);
    out.push(tag);
    match u8::try_from(content.len()) {
        Ok(short @ 0..=0x7f) => out.push(short),
        _ => {
            let length = content.len().to_be_bytes();
            let skipped = length.iter().take_while(|byte| **byte == 0).count();
            out.push(0x80 | u8::try_from(length.len() - skipped).expect("a length has at most eight bytes"));
            out.extend_from_slice(&length[skipped..]);
        }
    }
    out.extend_from_slice(content);
    out
}

/// Values one behind the other, as one value.
pub(super) fn list(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(tag, parts.concat())
}

/// A number that is not negative, with a tag such as [`INTEGER`].
pub(super) fn number(tag: u8, value: u32) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let skipped = bytes.iter().take(3).take_while(|byte| **byte == 0).count();
    let mut content = bytes[skipped..].to_vec();
    // The first bit is a sign.
    if content[0] & 0x80 != 0 {
        content.insert(0, 0);
    }
    tlv(tag, content)
}

/// Values one behind the other, as they came from outside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'b>(pub(super) &'b [u8]);

impl<'b> Reader<'b> {
    /// The next value with its tag; `None` at the end, and where what follows is no value.
    pub(super) fn next(&mut self) -> Option<(u8, &'b [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (header, length) = length(rest)?;
        let content = rest.get(header..header.checked_add(length)?)?;
        self.0 = &rest[header + length..];
        Some((*tag, content))
    }

    /// The next value if it has this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Option<&'b [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }

    /// The next value as a number that is not negative.
    pub(super) fn number(&mut self, tag: u8) -> Option<u32> {
        let content = self.expect(tag)?;
        let mut value = 0_u32;
        for byte in content {
            value = value.checked_mul(256)?.checked_add(u32::from(*byte))?;
        }
        (!content.is_empty()).then_some(value)
    }
}

/// How many bytes a length takes, and the length; `None` as long as bytes of it are missing, and for lengths that are not
/// told or beyond all measure.
pub(super) fn length(bytes: &[u8]) -> Option<(usize, usize)> {
    let first = *bytes.first()?;
    if first < 0x80 {
        return Some((1, usize::from(first)));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > 4 {
        return None;
    }
    let value = bytes.get(1..=count)?.iter().fold(0_usize, |value, byte| value << 8 | usize::from(*byte));
    Some((1 + count, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for size in [0, 1, 127, 128, 255, 256, 70_000] {
            let written = tlv(OCTETS, vec![7; size]);
            let mut reader = Reader(&written);
            assert_eq!(reader.next().map(|(tag, content)| (tag, content.len())), Some((OCTETS, size)));
            assert!(reader.next().is_none());
        }
        for value in [0, 1, 127, 128, 255, 256, 0x7fff_ffff, u32::MAX] {
            assert_eq!(Reader(&number(INTEGER, value)).number(INTEGER), Some(value));
        }
        assert_eq!(number(INTEGER, 128), [2, 2, 0, 128]);
    }

    #[test]
    fn what_is_damaged_is_not_read() {
        for bytes in [
            &[][..],
            &[4],
            &[4, 1],
            &[4, 0x80],
            &[4, 0x81],
            &[4, 0x85, 1, 1, 1, 1, 1],
            &[4, 0x84, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(Reader(bytes).next().is_none(), "{bytes:?}");
        }
        assert_eq!(Reader(&[2, 0]).number(INTEGER), None);
        assert_eq!(Reader(&[2, 5, 1, 0, 0, 0, 0]).number(INTEGER), None);
        assert_eq!(Reader(&[2, 1, 5]).number(ENUMERATED), None);
    }
}
