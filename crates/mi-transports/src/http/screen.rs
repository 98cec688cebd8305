//! What a listener refuses before the service sees it: requests that hyper lets through but that two servers could
//! frame or route differently, and requests over a limit.
//!
//! hyper itself refuses with 400: a Transfer-Encoding that does not end in `chunked` or comes with HTTP/1.0, a
//! Content-Length that is no plain number or differs from another, folded fields, a space before the colon, control
//! bytes; with 431: a head over the limits. When a request has both Content-Length and Transfer-Encoding hyper drops
//! the length, frames by `chunked` and closes the connection after the answer, so nothing behind it is read.

use http::header::{EXPECT, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, StatusCode, Version};

use super::server::Limits;

/// The status of the refusal; the connection is closed after it.
pub(crate) fn refuse<B>(request: &Request<B>, limits: &Limits) -> Option<StatusCode> {
    let headers = request.headers();
    if uri_length(request.uri()) > limits.max_uri {
        return Some(StatusCode::URI_TOO_LONG);
    }
    // A tunnel is nothing an integration server offers, and its framing differs from all other requests.
    if request.method() == Method::CONNECT {
        return Some(StatusCode::NOT_IMPLEMENTED);
    }
    if request.version() < Version::HTTP_2
        && let Some(status) = refuse_coding(headers)
    {
        return Some(status);
    }
    if more_than_one(headers, &HOST) {
        return Some(StatusCode::BAD_REQUEST);
    }
    if let Some(expect) = headers.get(EXPECT)
        && !expect.as_bytes().eq_ignore_ascii_case(b"100-continue")
    {
        return Some(StatusCode::EXPECTATION_FAILED);
    }
    None
}

/// A request line's target, without building it.
fn uri_length(uri: &http::Uri) -> usize {
    uri.path_and_query().map_or(0, |path| path.as_str().len()) + uri.authority().map_or(0, |host| host.as_str().len())
}

/// Only the single coding `chunked` is understood.
fn refuse_coding(headers: &HeaderMap) -> Option<StatusCode> {
    let first = headers.get(TRANSFER_ENCODING)?;
    let mut values = headers.get_all(TRANSFER_ENCODING).iter().skip(1);
    if values.next().is_some() {
        return Some(StatusCode::BAD_REQUEST);
    }
    (!first.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked")).then_some(StatusCode::NOT_IMPLEMENTED)
}

fn more_than_one(headers: &HeaderMap, name: &http::HeaderName) -> bool {
    headers.get_all(name).iter().nth(1).is_some()
}
