//! What the fuzz targets check of the codec: reading gives the same whether bytes come at once or one by one.

use bytes::BytesMut;
use http::Method;

use super::chunks::{Chunks, Step};
use super::fields::HeadLimits;
use super::received::{RequestLimits, take_request};
use super::response::take_head;

const HEAD: HeadLimits = HeadLimits { bytes: 4096, fields: 32 };

/// Reads a head of a request.
///
/// # Panics
/// It is read differently when it comes byte by byte.
pub fn request(bytes: &[u8]) {
    let limits = RequestLimits { head: HEAD, target: 1024 };
    both_ways(bytes, |buffer, seen| match take_request(buffer, seen, &limits) {
        Ok(None) => None,
        it => Some(format!("{it:?}")),
    });
}

/// Reads a head of an answer.
///
/// # Panics
/// It is read differently when it comes byte by byte.
pub fn response(bytes: &[u8]) {
    both_ways(bytes, |buffer, seen| match take_head(buffer, seen, &Method::GET, HEAD) {
        Ok(None) => None,
        it => Some(format!("{it:?}")),
    });
}

/// Reads a chunked body.
///
/// # Panics
/// It is read differently when it comes byte by byte.
pub fn chunks(bytes: &[u8]) {
    let at_once = decoded([bytes]);
    let by_and_by = decoded(bytes.chunks(1));
    assert_eq!(at_once, by_and_by);
}

fn both_ways(bytes: &[u8], mut take: impl FnMut(&mut BytesMut, &mut usize) -> Option<String>) {
    let (mut buffer, mut seen) = (BytesMut::from(bytes), 0);
    let at_once = take(&mut buffer, &mut seen).map(|it| (it, buffer.len()));
    let (mut buffer, mut seen) = (BytesMut::new(), 0);
    for (at, byte) in bytes.iter().enumerate() {
        buffer.extend_from_slice(&[*byte]);
        if let Some(it) = take(&mut buffer, &mut seen) {
            let by_and_by = (it, buffer.len() + bytes.len() - at - 1);
            // What is left after a refusal means nothing.
            match at_once {
                Some((said, _)) if said.starts_with("Err") => assert_eq!(said, by_and_by.0),
                it => assert_eq!(it, Some(by_and_by)),
            }
            return;
        }
    }
    // With more at hand, what cannot become a head is seen earlier.
    assert!(at_once.as_ref().is_none_or(|(said, _)| said.starts_with("Err")), "{at_once:?}");
}

/// The data, what ended it, and how many bytes were left.
fn decoded<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Option<&'static str>, bool) {
    let (mut chunks, mut buffer, mut data) = (Chunks::new(), BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match chunks.decode(&mut buffer) {
                Ok(Step::Data(more)) => data.extend_from_slice(&more),
                Ok(Step::End) => return (data, None, true),
                Ok(Step::More) => break,
                Err(why) => return (data, Some(why), false),
            }
        }
    }
    (data, None, false)
}
