//! Reads dates and times by a pattern of `DateTimeFormatter`, with its smart resolution (February 30th is the last of
//! February).

use chrono::{Datelike, NaiveDate, NaiveTime};

use super::{DAYS, DateError, DateText, Item, MONTHS, Moment};

/// The fields that a text gave.
#[derive(Clone, Copy, Debug, Default)]
struct Fields {
    year: Option<i64>,
    before_christ: bool,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    /// Monday is 0.
    weekday: Option<usize>,
    hour: Option<i64>,
    /// 1 to 24.
    clock_hour: Option<i64>,
    /// 0 to 11.
    half_hour: Option<i64>,
    /// 1 to 12.
    clock_half_hour: Option<i64>,
    afternoon: Option<bool>,
    minute: Option<i64>,
    second: Option<i64>,
    nano: Option<i64>,
    nano_of_day: Option<i64>,
}

impl DateText {
    /// Reads a whole text. The date or the time is missing in the result when the text did not say enough.
    pub(crate) fn parse(&self, text: &str) -> Result<Moment, DateError> {
        let mut fields = Fields::default();
        let rest = read(&self.items, text, &mut fields);
        let failed = || DateError(format!("Text '{text}' could not be parsed"));
        match rest {
            Some("") => {}
            _ => return Err(failed()),
        }
        let date = fields.date().map_err(|Contradiction| failed())?;
        let time = fields.time().map_err(|Contradiction| failed())?;
        Ok(Moment { date, time, offset_seconds: None })
    }
}

/// Reads items from the start of `text` and gives the rest; `None` when they do not fit. Recursion is bounded by the
/// nesting of optional sections.
fn read<'t>(items: &[Item], text: &'t str, fields: &mut Fields) -> Option<&'t str> {
    let mut rest = text;
    for (at, item) in items.iter().enumerate() {
        rest = match item {
            Item::Literal(literal) => rest.strip_prefix(literal.as_str())?,
            Item::Optional(section) => {
                let before = *fields;
                match read(section, rest, fields) {
                    Some(after) => after,
                    None => {
                        *fields = before;
                        rest
                    }
                }
            }
            Item::Field { letter, count } => read_field(*letter, *count, reserved(&items[at + 1..]), rest, fields)?,
        };
    }
    Some(rest)
}

/// Digits that the fields of fixed width directly behind need for themselves.
fn reserved(following: &[Item]) -> usize {
    following
        .iter()
        .map_while(|item| match item {
            Item::Field { letter, count } if is_fixed(*letter, *count) => Some(*count),
            _ => None,
        })
        .sum()
}

fn is_fixed(letter: char, count: usize) -> bool {
    match letter {
        'S' => true,
        'u' | 'y' | 'M' | 'L' | 'd' | 'H' | 'h' | 'k' | 'K' | 'm' | 's' => count == 2,
        _ => false,
    }
}

/// Reads between `least` and `most` digits, leaving `reserved` of them for the fields behind.
fn digits(text: &str, least: usize, most: usize, reserved: usize) -> Option<(i64, &str)> {
    let available = text.bytes().take_while(u8::is_ascii_digit).count();
    let take = if least == most { most } else { available.min(most + reserved).saturating_sub(reserved).max(least) };
    if take > available.min(most) {
        return None;
    }
    Some((text[..take].parse().ok()?, &text[take..]))
}

/// Reads one of the names, long or short.
fn name<'t>(names: &[&str], count: usize, text: &'t str) -> Option<(usize, &'t str)> {
    names.iter().enumerate().find_map(|(index, long)| {
        let wanted = if count <= 3 { &long[..3] } else { long };
        text.strip_prefix(wanted).map(|rest| (index, rest))
    })
}

fn read_field<'t>(letter: char, count: usize, reserved: usize, text: &'t str, fields: &mut Fields) -> Option<&'t str> {
    let (least, most) = if is_fixed(letter, count) { (count, count) } else { (count, 19) };
    match letter {
        'G' => {
            let (index, rest) =
                if let Some(rest) = text.strip_prefix("AD") { (0, rest) } else { (1, text.strip_prefix("BC")?) };
            fields.before_christ = index == 1;
            return Some(rest);
        }
        'M' | 'L' if count >= 3 => {
            let (index, rest) = name(&MONTHS, count, text)?;
            fields.month = Some(i64::try_from(index).ok()? + 1);
            return Some(rest);
        }
        'E' => {
            let (index, rest) = name(&DAYS, count, text)?;
            fields.weekday = Some(index);
            return Some(rest);
        }
        'a' => {
            let half = text.get(..2)?;
            fields.afternoon = Some(match half {
                "AM" => false,
                "PM" => true,
                _ => return None,
            });
            return Some(&text[2..]);
        }
        'u' | 'y' if text.starts_with('-') && count != 2 => {
            let (value, rest) = digits(&text[1..], least, most, reserved)?;
            fields.year = Some(-value);
            return Some(rest);
        }
        _ => {}
    }
    let (value, rest) = match letter {
        'D' => digits(text, count, if count == 1 { 19 } else { 3 }, reserved)?,
        _ => digits(text, least, most, reserved)?,
    };
    let slot = match letter {
        'u' | 'y' => {
            fields.year = Some(if count == 2 { 2000 + value } else { value });
            return Some(rest);
        }
        'S' => {
            fields.nano = Some(value * 10_i64.pow(u32::try_from(9_usize.checked_sub(count)?).ok()?));
            return Some(rest);
        }
        'A' => {
            fields.nano_of_day = Some(value.checked_mul(1_000_000)?);
            return Some(rest);
        }
        'M' | 'L' => &mut fields.month,
        'd' => &mut fields.day,
        'D' => &mut fields.day_of_year,
        'H' => &mut fields.hour,
        'k' => &mut fields.clock_hour,
        'K' => &mut fields.half_hour,
        'h' => &mut fields.clock_half_hour,
        'm' => &mut fields.minute,
        's' => &mut fields.second,
        'n' => &mut fields.nano,
        'N' => &mut fields.nano_of_day,
        _ => return None,
    };
    *slot = Some(value);
    Some(rest)
}

/// A field is out of its range, or two of them contradict each other.
struct Contradiction;

/// The value if it lies in the range.
fn within(value: i64, range: std::ops::RangeInclusive<i64>) -> Result<u32, Contradiction> {
    if range.contains(&value) { u32::try_from(value).map_err(|_| Contradiction) } else { Err(Contradiction) }
}

impl Fields {
    /// The date, if the fields say one.
    fn date(&self) -> Result<Option<NaiveDate>, Contradiction> {
        let Some(year) = self.year else { return Ok(None) };
        let year = i32::try_from(if self.before_christ { 1 - year } else { year }).map_err(|_| Contradiction)?;
        let date = match (self.month, self.day, self.day_of_year) {
            (Some(month), Some(day), _) => {
                let (month, day) = (within(month, 1..=12)?, within(day, 1..=31)?);
                (0..4).find_map(|less| NaiveDate::from_ymd_opt(year, month, day.checked_sub(less)?))
            }
            (_, _, Some(day)) => NaiveDate::from_yo_opt(year, within(day, 1..=366)?),
            _ => return Ok(None),
        };
        let date = date.ok_or(Contradiction)?;
        match self.weekday {
            Some(weekday) if weekday != date.weekday().num_days_from_monday() as usize => Err(Contradiction),
            _ => Ok(Some(date)),
        }
    }

    /// The time, if the fields say an hour.
    fn time(&self) -> Result<Option<NaiveTime>, Contradiction> {
        if let Some(nanos) = self.nano_of_day {
            let seconds = u32::try_from(nanos / 1_000_000_000).map_err(|_| Contradiction)?;
            let nanos = u32::try_from(nanos % 1_000_000_000).map_err(|_| Contradiction)?;
            return NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos).ok_or(Contradiction).map(Some);
        }
        let half = match (self.half_hour, self.clock_half_hour) {
            (Some(hour), _) => Some(within(hour, 0..=11)?),
            (_, Some(hour)) => Some(within(hour, 1..=12)? % 12),
            _ => None,
        };
        let hour = match (self.hour, self.clock_hour, half, self.afternoon) {
            (Some(hour), ..) => within(hour, 0..=23)?,
            (_, Some(hour), ..) => within(hour, 1..=24)? % 24,
            (_, _, Some(hour), Some(afternoon)) => hour + if afternoon { 12 } else { 0 },
            _ => return Ok(None),
        };
        let minute = within(self.minute.unwrap_or(0), 0..=59)?;
        let second = within(self.second.unwrap_or(0), 0..=59)?;
        let nano = within(self.nano.unwrap_or(0), 0..=999_999_999)?;
        NaiveTime::from_hms_nano_opt(hour, minute, second, nano).ok_or(Contradiction).map(Some)
    }
}
