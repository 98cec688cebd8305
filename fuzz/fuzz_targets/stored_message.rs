//! What is in a store may be damaged; a message that can be read is written back and read the same.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mi_message::archive::{decode, encode};
use mi_message::convert::ConvertOptions;

fuzz_target!(|bytes: &[u8]| {
    let options = ConvertOptions::default();
    let Ok(message) = decode(&Bytes::copy_from_slice(bytes), &options) else { return };
    let Ok(written) = encode(&message) else { return };
    let again = decode(&Bytes::from(written.clone()), &options).expect("what was written can be read");
    assert_eq!(encode(&again).expect("and written again"), written);
});
