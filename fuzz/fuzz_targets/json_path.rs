//! `path NUL JSON`: compiling and finding end with a value or an error, and what is found can be found again by its location.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mi_expr::jsonpath::JsonPath;
use mi_fuzz::halves;
use mi_message::JsonBody;

fuzz_target!(|bytes: &[u8]| {
    let Some((source, json)) = halves(bytes) else { return };
    let Ok(path) = JsonPath::compile(source) else { return };
    let json = if json.is_empty() { r#"{"a":[1,2.5,{"b":"x"},null,true],"c":{"d":"e"}}"# } else { json };
    let body = JsonBody::from_text(json.to_owned());
    let Ok(value) = body.value() else { return };
    path.find(value).ok();
    path.locations(value);
});
