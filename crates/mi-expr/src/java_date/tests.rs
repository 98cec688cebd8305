use super::{DateText, Flavour};

/// Tuesday, 2 January 2024, 03:04:05.678 UTC.
const MILLIS: i64 = 1_704_164_645_678;

fn format(pattern: &str, flavour: Flavour, offset: i32) -> Option<String> {
    DateText::compile(pattern, flavour).ok()?.format_instant(MILLIS, offset).ok()
}

fn check(pattern: &str, expected: Option<&str>) {
    assert_eq!(format(pattern, Flavour::Formatter, 0).as_deref(), expected, "{pattern}");
}

#[test]
fn formatter_patterns() {
    check("dd-MM-yyyy HH:mm", Some("02-01-2024 03:04"));
    check("d/M/yy h:mm:ss.SSS a", Some("2/1/24 3:04:05.678 AM"));
    check("EEEE, MMMM d, uuuu G", Some("Tuesday, January 2, 2024 AD"));
    check("EEE MMM 'o''clock' k K", Some("Tue Jan o'clock 3 3"));
    check("yyyy-'W'ww D Q QQQ", Some("2024-W01 2 1 Q1"));
    check("yyyy[ XXX]", Some("2024"));
    check("SSSSSS n A", Some("678000 678000000 11045678"));
    check("''", Some("'"));
    check("yyyy z", None);
    check("bbb", None);
    check("'open", None);
    check("ddd", None);
}

#[test]
fn simple_patterns() {
    for (pattern, offset, expected) in [
        ("M/d/yy, h:mm a", 0, "1/2/24, 3:04 AM"),
        ("yyyy-MM-dd'T'HH:mm:ss.SSSZ", 19_800, "2024-01-02T08:34:05.678+0530"),
        ("yyyy-MM-dd'T'HH:mm:ssXXX", -3600, "2024-01-02T02:04:05-01:00"),
        ("EEE, dd MMM yyyy HH:mm:ss z", 0, "Tue, 02 Jan 2024 03:04:05 UTC"),
        ("u F w W yyyyMMdd", 0, "2 1 1 1 20240102"),
    ] {
        assert_eq!(format(pattern, Flavour::Simple, offset).as_deref(), Some(expected), "{pattern}");
    }
    assert!(DateText::compile("yyyy-bb", Flavour::Simple).is_err());
}

#[test]
fn texts_are_read() {
    let date_time = "uuuu-MM-dd HH:mm:ss.SSS";
    let print = |pattern: &str, text: &str| {
        let moment = DateText::compile(pattern, Flavour::Formatter).ok()?.parse(text).ok()?;
        let out = match (moment.date, moment.time) {
            (Some(_), Some(_)) => date_time,
            (Some(_), None) => "uuuu-MM-dd",
            (None, Some(_)) => "HH:mm:ss.SSS",
            (None, None) => "",
        };
        DateText::compile(out, Flavour::Formatter).ok()?.format(&moment).ok()
    };
    for (pattern, text, expected) in [
        ("dd/MM/yyyy", "29/09/1988", Some("1988-09-29")),
        ("yyyyMMdd", "19880929", Some("1988-09-29")),
        ("yyyyMMddHHmmssSSS", "19880929010203004", Some("1988-09-29 01:02:03.004")),
        ("d MMM yy", "1 Sep 07", Some("2007-09-01")),
        ("EEE d MMMM yyyy", "Thu 29 September 1988", Some("1988-09-29")),
        ("EEE d MMMM yyyy", "Fri 29 September 1988", None),
        ("HH-mm-ss", "11-22-33", Some("11:22:33.000")),
        ("HH-mm-ss", "50-22-33", None),
        ("h:mm a", "12:05 AM", Some("00:05:00.000")),
        ("h:mm a", "1:05 PM", Some("13:05:00.000")),
        ("yyyy-MM-dd[ HH:mm]", "2021-02-30", Some("2021-02-28")),
        ("yyyy-MM-dd[ HH:mm]", "2021-02-28 10:20", Some("2021-02-28 10:20:00.000")),
        ("yyyy-MM-dd", "2021-13-01", None),
        ("yyyy-MM-dd", "2021-12-01x", None),
        ("yyyy DDD", "2024 060", Some("2024-02-29")),
    ] {
        assert_eq!(print(pattern, text).as_deref(), expected, "{pattern} {text}");
    }
}
