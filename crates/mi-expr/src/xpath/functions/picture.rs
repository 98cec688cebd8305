//! The pictures of `format-dateTime()` and its relatives: `[Y0001]-[M01]-[D01]`, in English.

use chrono::{Datelike, Timelike};

use crate::java_date::{DAYS, MONTHS};
use crate::numerals::{letters, ordinal_suffix, ordinal_words, roman, title, words};
use crate::xpath::datetime::{Moment, MomentKind, calendar, week_of_month, zone_text};
use crate::xpath::error::XPathError;

/// Widest component that is accepted.
const MAX_WIDTH: usize = 100;

pub(super) fn format(m: Moment, picture: &str) -> Result<String, XPathError> {
    let mut out = String::new();
    let mut rest = picture;
    while let Some(at) = rest.find(['[', ']']) {
        out.push_str(&rest[..at]);
        let mark = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix(mark) {
            out.push_str(mark);
            rest = behind;
            continue;
        }
        let end = rest.find(']').filter(|_| mark == "[").ok_or_else(|| wrong(picture, "its brackets do not match"))?;
        let marker: String = rest[..end].chars().filter(|c| !c.is_whitespace()).collect();
        out.push_str(&component(m, &marker).ok_or_else(|| wrong(picture, "a component is unknown or not there"))?);
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn wrong(picture: &str, reason: &str) -> XPathError {
    let shown: String = picture.chars().take(60).collect();
    XPathError::dynamic("FOFD1340", format!("\"{shown}\" is no picture of a date or time: {reason}"))
}

/// The parts of a marker: `[M01,2-4]`.
struct Form<'p> {
    presentation: &'p str,
    least: Option<usize>,
    most: Option<usize>,
}

fn component(m: Moment, marker: &str) -> Option<String> {
    let letter = marker.chars().next()?;
    let body = &marker[letter.len_utf8()..];
    let (presentation, width) = body.split_once(',').unwrap_or((body, ""));
    let (least, most) = width.split_once('-').unwrap_or((width, ""));
    let width = |s: &str| match s {
        "" | "*" => Some(None),
        digits => digits.parse::<usize>().ok().filter(|n| (1..=MAX_WIDTH).contains(n)).map(Some),
    };
    if presentation.len() > MAX_WIDTH {
        return None;
    }
    let form = Form { presentation, least: width(least)?, most: width(most)? };
    let (has_date, has_time) = (m.kind != MomentKind::Time, m.kind != MomentKind::Date);
    let (date, time) = (m.local.date(), m.local.time());
    let hour = time.hour();
    Some(match letter {
        'Y' if has_date => year(date.year(), &form),
        'M' if has_date => value(date.month(), &form, "1", MONTHS.get(date.month0() as usize).copied()),
        'D' if has_date => value(date.day(), &form, "1", None),
        'd' if has_date => value(calendar(date).1, &form, "1", None),
        'F' if has_date => {
            let day = date.weekday().num_days_from_monday();
            value(day + 1, &form, "n", DAYS.get(day as usize).copied())
        }
        'W' if has_date => value(calendar(date).0, &form, "1", None),
        'w' if has_date => value(week_of_month(date), &form, "1", None),
        'H' if has_time => value(hour, &form, "1", None),
        'h' if has_time => value(if hour.is_multiple_of(12) { 12 } else { hour % 12 }, &form, "1", None),
        'P' if has_time => half_day(hour < 12, &form),
        'm' if has_time => value(time.minute(), &form, "01", None),
        's' if has_time => value(time.second(), &form, "01", None),
        'f' if has_time => fraction(time.nanosecond() % 1_000_000_000, &form),
        'Z' => zone(m.zone, &form, ""),
        'z' => zone(m.zone, &form, "GMT"),
        'C' if has_date => "ISO".to_owned(),
        'E' if has_date => if date.year() < 0 { "BC" } else { "AD" }.to_owned(),
        _ => return None,
    })
}

/// `a.m.`, or shorter if the width says so.
fn half_day(morning: bool, form: &Form<'_>) -> String {
    let name = match (form.most, morning) {
        (Some(1), true) => "a",
        (Some(1), false) => "p",
        (Some(2 | 3), true) => "am",
        (Some(2 | 3), false) => "pm",
        (_, true) => "a.m.",
        (_, false) => "p.m.",
    };
    match form.presentation {
        "N" => name.to_uppercase(),
        "Nn" => format!("{}{}", name[..1].to_uppercase(), &name[1..]),
        _ => name.to_owned(),
    }
}

/// A year: a width of two, or two digits in the presentation, cuts off the century.
fn year(year: i32, form: &Form<'_>) -> String {
    let digits = form.presentation.chars().filter(char::is_ascii_digit).count();
    let cut = form.most.or_else(|| (digits > 1 && form.least.is_none()).then_some(digits));
    let number = match cut {
        Some(width @ 1..=8) => year.unsigned_abs() % 10_u32.pow(width as u32),
        _ => year.unsigned_abs(),
    };
    let width = form.least.unwrap_or(0).max(digits);
    value(number, &Form { presentation: form.presentation, least: Some(width.max(1)), most: None }, "1", None)
}

/// A number or a name in the presentation of the form.
fn value(number: u32, form: &Form<'_>, default: &str, name: Option<&str>) -> String {
    let mut presentation = if form.presentation.is_empty() { default } else { form.presentation };
    let ordinal = presentation.len() > 1 && presentation.ends_with('o');
    if ordinal || (presentation.len() > 1 && presentation.ends_with(['t', 'c'])) {
        presentation = &presentation[..presentation.len() - 1];
    }
    if let (Some(name), true) = (name, presentation.starts_with(['N', 'n'])) {
        let name: String = match form.most {
            // Names have no shorter form than three letters.
            Some(most) => name.chars().take(most.max(3)).collect(),
            None => name.to_owned(),
        };
        let mut text = match presentation {
            "N" => name.to_uppercase(),
            "Nn" => name,
            _ => name.to_lowercase(),
        };
        while text.len() < form.least.unwrap_or(0) {
            text.push(' ');
        }
        return text;
    }
    let text = match presentation.chars().next() {
        Some('I') if number > 0 => roman(i64::from(number)),
        Some('i') if number > 0 => roman(i64::from(number)).to_lowercase(),
        Some('A') => letters(i64::from(number), b'A'),
        Some('a') => letters(i64::from(number), b'a'),
        Some('w' | 'W') => {
            let number = i64::from(number);
            let text = if ordinal { ordinal_words(number) } else { words(number) };
            return match presentation.trim_end_matches(['o', 'c', 't']) {
                "w" => text,
                "Ww" => title(&text),
                _ => text.to_uppercase(),
            };
        }
        _ => {
            let width = presentation.chars().filter(char::is_ascii_digit).count().max(form.least.unwrap_or(1));
            format!("{number:0>width$}")
        }
    };
    if ordinal { format!("{text}{}", ordinal_suffix(i64::from(number))) } else { text }
}

/// The fraction of a second: as many digits as the presentation has, or as the width says.
fn fraction(nanos: u32, form: &Form<'_>) -> String {
    let all = format!("{nanos:09}");
    let digits = form.presentation.chars().filter(|c| c.is_ascii_digit()).count();
    let (least, most) = match (form.least, form.most) {
        (None, None) if digits > 1 => (digits, digits),
        (None, None) => (1, 9),
        (least, most) => (least.unwrap_or(1), most.unwrap_or(9)),
    };
    let mut kept = all[..most.min(9)].trim_end_matches('0').to_owned();
    while kept.len() < least {
        kept.push('0');
    }
    kept
}

/// `+05:30`, `GMT+1`, …
fn zone(zone: Option<i16>, form: &Form<'_>, prefix: &str) -> String {
    let Some(minutes) = zone else { return String::new() };
    match form.presentation {
        "Z" if minutes == 0 => return "Z".to_owned(),
        "0001" | "0000" | "0101" => return format!("{prefix}{}", signed(minutes).replace(':', "")),
        "0" | "1" => {
            let (sign, m) = (if minutes < 0 { '-' } else { '+' }, minutes.unsigned_abs());
            let rest = if m % 60 == 0 { String::new() } else { format!(":{:02}", m % 60) };
            return format!("{prefix}{sign}{}{rest}", m / 60);
        }
        "01:01t" | "0101t" if minutes == 0 => return "Z".to_owned(),
        _ => {}
    }
    format!("{prefix}{}", signed(minutes))
}

fn signed(minutes: i16) -> String {
    if minutes == 0 { "+00:00".to_owned() } else { zone_text(minutes) }
}
