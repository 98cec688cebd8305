//! JSON is either refused or written back as the same value, whether as it came or anew.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mi_message::JsonBody;

fuzz_target!(|bytes: &[u8]| {
    let body = JsonBody::from_text(bytes.to_vec());
    let Ok(value) = body.value() else { return };
    let anew = JsonBody::from_value(value.as_ref().clone());
    let text = anew.text().clone();
    let again = JsonBody::from_text(text);
    assert_eq!(again.value().expect("what was written is JSON"), value);
});
