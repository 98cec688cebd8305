//! gzip bodies: unpacked within caps when a flow reads them, packed again when the headers say so.

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use mi_message::BodyError;

/// Largest body that comes out of a compressed one.
const MAX_UNPACKED: u64 = 256 << 20;
/// Largest growth of bodies beyond a megabyte; text packs 1:50 at best, bombs reach 1:1000.
const MAX_RATIO: u64 = 100;

/// Unpacks a gzip body.
pub(crate) fn unpack(packed: &Bytes) -> Result<Bytes, BodyError> {
    let cap = MAX_UNPACKED.min((packed.len() as u64).saturating_mul(MAX_RATIO).max(1 << 20));
    let mut plain = Vec::new();
    MultiGzDecoder::new(&packed[..])
        .take(cap + 1)
        .read_to_end(&mut plain)
        .map_err(|error| BodyError::Malformed(format!("the body is not valid gzip: {error}")))?;
    if plain.len() as u64 > cap {
        return Err(BodyError::TooLarge { limit: cap as usize });
    }
    Ok(plain.into())
}

/// Packs a body.
pub(crate) fn pack(plain: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 2), Compression::fast());
    encoder.write_all(plain)?;
    Ok(encoder.finish()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_and_unpacks() {
        let packed = pack(b"hello hello hello").expect("memory");
        assert_eq!(&unpack(&packed).expect("valid")[..], b"hello hello hello");
    }

    #[test]
    fn refuses_bombs_and_garbage() {
        let bomb = pack(&vec![0_u8; 4 << 20]).expect("memory");
        assert!(matches!(unpack(&bomb), Err(BodyError::TooLarge { .. })), "{} bytes packed", bomb.len());
        assert!(matches!(unpack(&Bytes::from_static(b"\x1f\x8bnope")), Err(BodyError::Malformed(_))));
    }
}
