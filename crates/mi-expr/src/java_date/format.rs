//! Prints dates and times by a pattern.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Timelike};

use super::{DAYS, DateError, DateText, Flavour, Item, MONTHS};

/// What is to be printed; a pattern that asks for a part that is not there fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) date: Option<NaiveDate>,
    pub(crate) time: Option<NaiveTime>,
    pub(crate) offset_seconds: Option<i32>,
}

impl Moment {
    /// The local date and time of an instant.
    pub(crate) fn of_instant(millis: i64, offset_seconds: i32) -> Option<Self> {
        let local = DateTime::from_timestamp_millis(millis.checked_add(i64::from(offset_seconds) * 1000)?)?.naive_utc();
        Some(Self { date: Some(local.date()), time: Some(local.time()), offset_seconds: Some(offset_seconds) })
    }

    fn date(&self, field: &str) -> Result<NaiveDate, DateError> {
        self.date.ok_or_else(|| unsupported(field))
    }

    fn time(&self, field: &str) -> Result<NaiveTime, DateError> {
        self.time.ok_or_else(|| unsupported(field))
    }
}

fn unsupported(field: &str) -> DateError {
    DateError(format!("Unsupported field: {field}"))
}

impl DateText {
    /// Prints an instant as the local time of a zone, zone letters included.
    pub(crate) fn format_instant(&self, millis: i64, offset_seconds: i32) -> Result<String, DateError> {
        let moment = Moment::of_instant(millis, offset_seconds)
            .ok_or_else(|| DateError("Instant exceeds minimum or maximum instant".to_owned()))?;
        self.format(&moment)
    }

    /// Prints a moment.
    pub(crate) fn format(&self, moment: &Moment) -> Result<String, DateError> {
        let mut out = String::new();
        print(&self.items, self.flavour, moment, &mut out)?;
        Ok(out)
    }
}

/// Recursion is bounded by the nesting of optional sections.
fn print(items: &[Item], flavour: Flavour, moment: &Moment, out: &mut String) -> Result<(), DateError> {
    for item in items {
        match item {
            Item::Literal(text) => out.push_str(text),
            Item::Optional(section) => {
                let before = out.len();
                if print(section, flavour, moment, out).is_err() {
                    out.truncate(before);
                }
            }
            Item::Field { letter, count } => out.push_str(&match flavour {
                Flavour::Formatter => formatter_field(*letter, *count, moment)?,
                Flavour::Simple => simple_field(*letter, *count, moment)?,
            }),
        }
    }
    Ok(())
}

fn padded(value: impl Into<i64>, width: usize) -> String {
    format!("{:0width$}", value.into())
}

/// Short for up to three letters, long for four, the first letter for five.
fn name(long: &str, count: usize) -> String {
    match count {
        0..=3 => long[..3].to_owned(),
        4 => long.to_owned(),
        _ => long[..1].to_owned(),
    }
}

fn year(value: i32, count: usize, signed: bool) -> String {
    if count == 2 {
        return padded(value.rem_euclid(100), 2);
    }
    let digits = padded(value.abs(), count);
    let sign = if value < 0 {
        "-"
    } else if signed && count >= 4 && digits.len() > count {
        "+"
    } else {
        ""
    };
    format!("{sign}{digits}")
}

/// Letters that both classes print alike.
fn common_field(letter: char, count: usize, moment: &Moment) -> Result<Option<String>, DateError> {
    let hour12 = |hour: u32| match hour % 12 {
        0 => 12,
        hour => hour,
    };
    Ok(Some(match letter {
        'D' => padded(moment.date("DayOfYear")?.ordinal(), count),
        'd' => padded(moment.date("DayOfMonth")?.day(), count),
        'a' => (if moment.time("AmPmOfDay")?.hour() < 12 { "AM" } else { "PM" }).to_owned(),
        'H' => padded(moment.time("HourOfDay")?.hour(), count),
        'k' => match moment.time("ClockHourOfDay")?.hour() {
            0 => padded(24_u32, count),
            hour => padded(hour, count),
        },
        'K' => padded(moment.time("HourOfAmPm")?.hour() % 12, count),
        'h' => padded(hour12(moment.time("ClockHourOfAmPm")?.hour()), count),
        'm' => padded(moment.time("MinuteOfHour")?.minute(), count),
        's' => padded(moment.time("SecondOfMinute")?.second(), count),
        'w' => padded(us_week(moment.date("WeekOfWeekBasedYear")?).1, count),
        'W' => {
            let date = moment.date("WeekOfMonth")?;
            let first = date.with_day(1).unwrap_or(date).weekday().num_days_from_sunday();
            padded((date.day() + first - 1) / 7 + 1, count)
        }
        'Y' => year(us_week(moment.date("WeekBasedYear")?).0, count, false),
        _ => return Ok(None),
    }))
}

/// Year and week where weeks start on Sunday and the first one holds January 1st, as in Java's English locale.
fn us_week(date: NaiveDate) -> (i32, u32) {
    let start = |year: i32| {
        NaiveDate::from_ymd_opt(year, 1, 1)
            .map(|first| first - chrono::Days::new(u64::from(first.weekday().num_days_from_sunday())))
    };
    if start(date.year() + 1).is_some_and(|next| date >= next) {
        return (date.year() + 1, 1);
    }
    let days = start(date.year()).map_or(0, |first| (date - first).num_days());
    (date.year(), u32::try_from(days / 7).unwrap_or(0) + 1)
}

fn formatter_field(letter: char, count: usize, moment: &Moment) -> Result<String, DateError> {
    if let Some(text) = common_field(letter, count, moment)? {
        return Ok(text);
    }
    Ok(match letter {
        'G' => era(moment.date("Era")?, count),
        'u' => year(moment.date("Year")?.year(), count, true),
        'y' => {
            let value = moment.date("YearOfEra")?.year();
            year(if value > 0 { value } else { 1 - value }, count, true)
        }
        'M' | 'L' => {
            let month = moment.date("MonthOfYear")?.month();
            if count < 3 { padded(month, count) } else { name(MONTHS[month as usize - 1], count) }
        }
        'Q' | 'q' => {
            let quarter = moment.date("QuarterOfYear")?.month0() / 3 + 1;
            let ordinal = ["1st", "2nd", "3rd", "4th"][quarter as usize - 1];
            match count {
                1 | 2 => padded(quarter, count),
                3 => format!("Q{quarter}"),
                4 => format!("{ordinal} quarter"),
                _ => quarter.to_string(),
            }
        }
        'e' | 'c' if count < 3 => padded(moment.date("DayOfWeek")?.weekday().number_from_sunday(), count),
        'E' | 'e' | 'c' => name(DAYS[moment.date("DayOfWeek")?.weekday().num_days_from_monday() as usize], count),
        'F' => ((moment.date("AlignedWeekOfMonth")?.day() - 1) / 7 + 1).to_string(),
        'S' => padded(moment.time("NanoOfSecond")?.nanosecond() % 1_000_000_000, 9)[..count].to_owned(),
        'n' => padded(moment.time("NanoOfSecond")?.nanosecond(), count),
        'A' | 'N' => {
            let time = moment.time("NanoOfDay")?;
            let nanos = i64::from(time.num_seconds_from_midnight()) * 1_000_000_000 + i64::from(time.nanosecond());
            padded(if letter == 'A' { nanos / 1_000_000 } else { nanos }, count)
        }
        other => return Err(DateError(format!("Unable to extract ZoneId for pattern letter {other}"))),
    })
}

fn simple_field(letter: char, count: usize, moment: &Moment) -> Result<String, DateError> {
    if let Some(text) = common_field(letter, count, moment)? {
        return Ok(text);
    }
    let offset = moment.offset_seconds.unwrap_or(0);
    let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.abs() / 60);
    let (hours, minutes) = (minutes / 60, minutes % 60);
    Ok(match letter {
        'G' => era(moment.date("Era")?, 1),
        'y' => year(moment.date("Year")?.year(), count, false),
        'M' | 'L' => {
            let month = moment.date("Month")?.month();
            if count < 3 { padded(month, count) } else { name(MONTHS[month as usize - 1], count.min(4)) }
        }
        'E' => name(DAYS[moment.date("DayOfWeek")?.weekday().num_days_from_monday() as usize], count.min(4)),
        'u' => padded(moment.date("DayOfWeek")?.weekday().number_from_monday(), count),
        'F' => padded((moment.date("DayOfWeekInMonth")?.day() - 1) / 7 + 1, count),
        'S' => padded(moment.time("Millisecond")?.nanosecond() / 1_000_000, count),
        'z' if offset == 0 => "UTC".to_owned(),
        'z' => format!("GMT{sign}{hours:02}:{minutes:02}"),
        'X' if offset == 0 => "Z".to_owned(),
        'X' if count == 1 => format!("{sign}{hours:02}"),
        'X' if count == 3 => format!("{sign}{hours:02}:{minutes:02}"),
        _ => format!("{sign}{hours:02}{minutes:02}"),
    })
}

fn era(date: NaiveDate, count: usize) -> String {
    let after = date.year() > 0;
    match count {
        4 => {
            if after {
                "Anno Domini"
            } else {
                "Before Christ"
            }
        }
        5 => {
            if after {
                "A"
            } else {
                "B"
            }
        }
        _ => {
            if after {
                "AD"
            } else {
                "BC"
            }
        }
    }
    .to_owned()
}
