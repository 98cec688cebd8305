//! Reading DER, as much as key stores and certificate names need: no encoding, no indefinite lengths.

/// Tags that are asked for.
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
pub(crate) const EXTENSIONS: u8 = 0xA3;
pub(crate) const VERSION: u8 = 0xA0;

/// The values that stand one behind the other in a piece of DER.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(der: &'a [u8]) -> Self {
        Self(der)
    }

    /// The next value with its tag. `None` at the end and where the bytes are no DER.
    pub(crate) fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = if *first < 0x80 {
            (usize::from(*first), rest)
        } else {
            // Four bytes are more than any file that is read here.
            let count = usize::from(first & 0x7F);
            if count == 0 || count > 4 || rest.len() < count {
                return None;
            }
            let (bytes, rest) = rest.split_at(count);
            (bytes.iter().fold(0usize, |length, byte| length << 8 | usize::from(*byte)), rest)
        };
        if length > rest.len() {
            return None;
        }
        let (value, rest) = rest.split_at(length);
        self.0 = rest;
        Some((*tag, value))
    }

    /// The next value if it has this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, value) = self.next()?;
        (found == tag).then_some(value)
    }

    /// Goes into the next value if it has this tag.
    pub(crate) fn enter(&mut self, tag: u8) -> Option<Self> {
        self.expect(tag).map(Self)
    }

    /// Skips the next value if it has this tag.
    pub(crate) fn skip_if(&mut self, tag: u8) {
        let mut ahead = *self;
        if ahead.expect(tag).is_some() {
            *self = ahead;
        }
    }
}

/// A small unsigned INTEGER.
pub(crate) fn small_integer(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.strip_prefix(&[0]).unwrap_or(bytes);
    if bytes.is_empty() || digits.len() > 4 || bytes[0] & 0x80 != 0 {
        return None;
    }
    Some(digits.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_one_by_one_and_broken_lengths_end_the_reading() {
        let mut reader = Reader::new(&[0x30, 3, 2, 1, 7, 0x04, 0x81, 2, 9, 9]);
        let mut inner = reader.enter(SEQUENCE).expect("sequence");
        assert_eq!(inner.expect(INTEGER), Some(&[7u8][..]));
        assert!(inner.next().is_none());
        assert_eq!(reader.expect(OCTET_STRING), Some(&[9u8, 9][..]));
        assert!(reader.next().is_none());
        for broken in [
            &[0x30u8][..],
            &[0x30, 5, 1],
            &[0x30, 0x80, 0, 0],
            &[0x30, 0x85, 0, 0, 0, 0, 1, 1],
            &[0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF],
        ] {
            assert!(Reader::new(broken).next().is_none(), "{broken:?}");
        }
    }

    #[test]
    fn integers_are_small_and_positive() {
        #[rustfmt::skip]
        let cases: [(&[u8], Option<u32>); 6] = [
            (&[5], Some(5)), (&[0, 0x80], Some(128)), (&[0x80], None), (&[], None), (&[1, 0, 0, 0, 0], None), (&[0x7F, 0xFF, 0xFF, 0xFF], Some(0x7FFF_FFFF)),
        ];
        for (bytes, expected) in cases {
            assert_eq!(small_integer(bytes), expected, "{bytes:?}");
        }
    }
}
