//! What is parsed must be written back as it was, and read the same again after every part of it was written anew.
//!
//! Run with `cargo xtask fuzz xml`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mi_fuzz::said;
use mi_xml::Document;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut doc) = Document::parse(bytes.to_vec()) else { return };
    let before = said(&doc);
    let written = doc.to_xml(Document::ROOT);
    assert_eq!(said(&Document::parse(written).expect("what was copied is well formed")), before);
    doc.mark_all_changed();
    let anew = doc.to_xml(Document::ROOT);
    assert_eq!(said(&Document::parse(anew).expect("what was written anew is well formed")), before);
});
