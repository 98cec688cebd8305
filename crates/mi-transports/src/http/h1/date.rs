//! The `Date` field, made once per second and thread.

use std::cell::RefCell;
use std::io::Write as _;
use std::time::{Duration, UNIX_EPOCH};

/// `Date: Sun, 06 Nov 1994 08:49:37 GMT` and the line's end.
const LENGTH: usize = 37;

struct Cached {
    second: u64,
    text: Vec<u8>,
}

thread_local! {
    static CACHED: RefCell<Cached> = const { RefCell::new(Cached { second: u64::MAX, text: Vec::new() }) };
}

/// Appends the field with the time of now. The coarse clock of the system is a few milliseconds behind and costs next to
/// nothing to read.
pub(super) fn write(text: &mut Vec<u8>) {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    write_at(u64::try_from(now.tv_sec).unwrap_or_default(), text);
}

fn write_at(second: u64, text: &mut Vec<u8>) {
    CACHED.with_borrow_mut(|cached| {
        if cached.second != second {
            cached.second = second;
            cached.text.clear();
            cached.text.reserve(LENGTH);
            let date = httpdate::HttpDate::from(UNIX_EPOCH + Duration::from_secs(second));
            // Writing to memory does not fail.
            write!(cached.text, "Date: {date}\r\n").unwrap_or_default();
        }
        text.extend_from_slice(&cached.text);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_follows_the_clock() {
        for (second, expected) in [
            (784_111_777, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"),
            (784_111_777, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"),
            (784_111_778, "Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"),
        ] {
            let mut text = Vec::new();
            write_at(second, &mut text);
            assert_eq!((text.len(), String::from_utf8_lossy(&text).as_ref()), (LENGTH, expected));
        }
    }
}
