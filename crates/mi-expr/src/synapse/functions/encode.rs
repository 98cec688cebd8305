//! Base64 and URL encoding.

use super::{Answer, Call, text_item};
use crate::charset::{self, Charset};
use crate::synapse::Failure;

/// The charset of the second argument, UTF-8 without one. `None` when that is no string.
fn charset_of(call: &Call<'_>, function: &str) -> Result<Option<Charset>, Failure> {
    if call.items.len() == 1 {
        return Ok(Some(Charset::Utf8));
    }
    let Some(name) = call.text(1) else { return Ok(None) };
    match Charset::named(&name) {
        Some(charset) => Ok(Some(charset)),
        None => Err(Failure::soft(format!("Invalid charset provided for {function} function. Charset: {name}"))),
    }
}

pub(super) fn base64_encode<'a>(call: &Call<'a>) -> Answer<'a> {
    match (call.text(0), charset_of(call, "base64Encode")?) {
        (Some(text), Some(charset)) => Ok(text_item(charset::base64(&charset.encode(&text)))),
        _ => call.invalid("base64Encode"),
    }
}

pub(super) fn base64_decode<'a>(call: &Call<'a>) -> Answer<'a> {
    let Some(text) = call.text(0) else { return call.invalid("base64Decode") };
    let bytes = charset::from_base64(&text).map_err(Failure::hard)?;
    Ok(text_item(String::from_utf8_lossy(&bytes)))
}

pub(super) fn url_encode<'a>(call: &Call<'a>) -> Answer<'a> {
    let (Some(text), Some(charset)) = (call.text(0), charset_of(call, "urlEncode")?) else {
        return call.invalid("urlEncode");
    };
    let encoded = charset::form_encode(&text, charset);
    let plain = call.items.len() == 1 || call.text(1).is_some_and(|name| name == "UTF-8");
    Ok(text_item(if plain { encoded.replace('+', "%20").replace('*', "%2A") } else { encoded }))
}

pub(super) fn url_decode<'a>(call: &Call<'a>) -> Answer<'a> {
    let Some(text) = call.text(0) else { return call.invalid("urlDecode") };
    Ok(text_item(charset::form_decode(&text).map_err(Failure::hard)?))
}
