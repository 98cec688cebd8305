//! Cron expressions of Quartz: `seconds minutes hours day-of-month month day-of-week [year]`, with lists, ranges (also
//! over the end, as in `FRI-MON`), steps, names, and `?`, `L`, `L-3`, `W`, `LW`, `6L`, `6#3`. MI: Quartz'
//! `CronExpression`.
//!
//! Times are those of the server's zone. A time that the clocks jump over in spring comes an hour later; one that they
//! show twice in autumn comes once, the second time, unless the expression runs in every hour.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, Timelike};

use crate::services::Clock;

/// A parsed expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    seconds: u64,
    minutes: u64,
    hours: u64,
    days: DaySet,
    months: u64,
    /// Years from [`FIRST_YEAR`] on; `None` is every year.
    years: Option<Vec<u16>>,
}

/// Which days of a month.
#[derive(Clone, Debug, PartialEq, Eq)]
enum DaySet {
    /// By their numbers, bit by bit, and by what depends on the month.
    OfMonth { numbers: u64, special: Vec<MonthDay> },
    /// By their weekdays: bit 1 is Sunday.
    OfWeek { days: u64, special: Vec<WeekDay> },
}

/// A day whose number depends on the month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MonthDay {
    /// `L` and `L-n`: that many days before the last one.
    BeforeLast(u32),
    /// `15W`: the weekday nearest to it in the same month.
    NearestWeekday(u32),
    /// `LW` and `L-nW`: the weekday nearest to the day that many days before the last one.
    WeekdayBeforeLast(u32),
}

/// A weekday of a certain week of the month; 1 is Sunday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WeekDay {
    /// `6L`: the last one of the month.
    Last(u32),
    /// `6#3`: the third one of the month.
    Nth(u32, u32),
}

const FIRST_YEAR: i64 = 1970;
const LAST_YEAR: i64 = 2299;
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
/// Days that are looked at for the next time: 29 February on a certain weekday comes every 28 years, 40 around 2100.
const HORIZON: u32 = 366 * 100;
/// Longest expression; Quartz has no limit.
const MAX_LENGTH: usize = 1024;

/// A field of an expression.
#[derive(Clone, Copy)]
struct Field {
    name: &'static str,
    first: i64,
    last: i64,
    names: &'static [&'static str],
}

impl Field {
    const fn new(name: &'static str, first: i64, last: i64) -> Self {
        Self { name, first, last, names: &[] }
    }
}

const SECONDS: Field = Field::new("seconds", 0, 59);
const MINUTES: Field = Field::new("minutes", 0, 59);
const HOURS: Field = Field::new("hours", 0, 23);
const DAY_OF_MONTH: Field = Field::new("day-of-month", 1, 31);
const MONTH: Field = Field { name: "month", first: 1, last: 12, names: &MONTHS };
const DAY_OF_WEEK: Field = Field { name: "day-of-week", first: 1, last: 7, names: &WEEKDAYS };
const YEAR: Field = Field::new("year", FIRST_YEAR, LAST_YEAR);

impl Field {
    /// A number or a name.
    fn value(&self, text: &str) -> Result<i64, String> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let value = match named {
            Some(at) => self.first + i64::try_from(at).unwrap_or(0),
            None if !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit()) => {
                text.parse().map_err(|_| self.wrong(text))?
            }
            None => return Err(self.wrong(text)),
        };
        if (self.first..=self.last).contains(&value) { Ok(value) } else { Err(self.wrong(text)) }
    }

    fn wrong(&self, text: &str) -> String {
        format!("'{text}' is no value for {} ({} to {})", self.name, self.first, self.last)
    }

    /// `*`, `5`, `2-7`, `*/3`, `/3`, `4/3`, `2-7/3`: the values in order.
    fn values(&self, text: &str) -> Result<Vec<i64>, String> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => {
                let step: i64 = step
                    .parse()
                    .ok()
                    .filter(|_| step.bytes().all(|it| it.is_ascii_digit()))
                    .ok_or_else(|| self.wrong(text))?;
                if !(1..=self.last).contains(&step) {
                    return Err(format!("the increment {step} of {} must be from 1 to {}", self.name, self.last));
                }
                (range, Some(step))
            }
            None => (text, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" || (range.is_empty() && step.is_some()) => (self.first, self.last),
            Some((from, to)) => (self.value(from)?, self.value(to)?),
            None => {
                let from = self.value(range)?;
                (from, if step.is_some() { self.last } else { from })
            }
        };
        let size = self.last - self.first + 1;
        if to < from && self.name == YEAR.name {
            return Err(format!("the years {from} to {to} are in the wrong order"));
        }
        // A range over the end goes on at the beginning.
        let end = if to < from { to + size } else { to };
        Ok((from..=end)
            .step_by(usize::try_from(step.unwrap_or(1)).unwrap_or(1))
            .map(|value| if value > self.last { value - size } else { value })
            .collect())
    }

    /// A list, as bits.
    fn bits(&self, text: &str) -> Result<u64, String> {
        let mut bits = 0;
        for part in text.split(',') {
            for value in self.values(part)? {
                bits |= 1 << value;
            }
        }
        Ok(bits)
    }
}

impl Cron {
    /// Reads an expression. The error says which part is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_LENGTH {
            return Err(format!("a cron expression of more than {MAX_LENGTH} characters is not read"));
        }
        Self::read(text).map_err(|why| format!("the cron expression '{text}' cannot be read: {why}"))
    }

    fn read(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let (seconds, minutes, hours, days, months, weekdays, years) = match fields[..] {
            [seconds, minutes, hours, days, months, weekdays] => {
                (seconds, minutes, hours, days, months, weekdays, None)
            }
            [seconds, minutes, hours, days, months, weekdays, years] => {
                (seconds, minutes, hours, days, months, weekdays, Some(years))
            }
            _ => return Err(format!("it has {} fields; six or seven are needed", fields.len())),
        };
        let days = match (days, weekdays) {
            ("?", "?") => return Err("'?' can stand for day-of-month or day-of-week, not for both".to_owned()),
            (days, "?") => month_days(days)?,
            ("?", weekdays) => week_days(weekdays)?,
            _ => return Err("one of day-of-month and day-of-week must be '?'".to_owned()),
        };
        let years = match years {
            None | Some("*") => None,
            Some(list) => {
                let mut years = Vec::new();
                for part in list.split(',') {
                    years.extend(YEAR.values(part)?.into_iter().filter_map(|year| u16::try_from(year).ok()));
                }
                Some(years)
            }
        };
        Ok(Self {
            seconds: SECONDS.bits(seconds)?,
            minutes: MINUTES.bits(minutes)?,
            hours: HOURS.bits(hours)?,
            days,
            months: MONTH.bits(months)?,
            years,
        })
    }

    /// The first time behind `after`, in milliseconds since the epoch. `None` when there is none.
    pub fn next_after(&self, after: i64, clock: &dyn Clock) -> Option<i64> {
        let before = offset(clock, after);
        let start = local(after, before)?.with_nanosecond(0)? + chrono::TimeDelta::seconds(1);
        let mut wall = start;
        loop {
            wall = self.next_local(wall)?;
            if let Some(time) = instant(wall, clock).filter(|time| *time > after) {
                return Some(self.repeated(after, before, time, clock).unwrap_or(time));
            }
            wall += chrono::TimeDelta::seconds(1);
        }
    }

    /// With every hour in the expression, time that the clocks show twice counts twice: the first time before `found`,
    /// after the clocks were set back.
    fn repeated(&self, after: i64, before: i32, found: i64, clock: &dyn Clock) -> Option<i64> {
        if self.hours != (1 << 24) - 1 {
            return None;
        }
        let now = offset(clock, found);
        let first = if now < before {
            // The hour before the change, by the offset that held then.
            local(after, before)?.with_nanosecond(0)? + chrono::TimeDelta::seconds(1)
        } else {
            return None;
        };
        let candidate = utc(self.next_local(first)?, before);
        if candidate > after && candidate < found && offset(clock, candidate) == before {
            return Some(candidate);
        }
        let candidate =
            utc(self.next_local(local(after, now)?.with_nanosecond(0)? + chrono::TimeDelta::seconds(1))?, now);
        (candidate > after && candidate < found && offset(clock, candidate) == now).then_some(candidate)
    }

    /// The first time on the wall that is not before `start`.
    fn next_local(&self, start: NaiveDateTime) -> Option<NaiveDateTime> {
        let mut date = start.date();
        let mut from = Some((start.hour(), start.minute(), start.second()));
        for _ in 0..HORIZON {
            if i64::from(date.year()) > LAST_YEAR {
                return None;
            }
            if !self.has_year(date.year()) || !has(self.months, date.month()) {
                date = first_of_next_month(date)?;
            } else if self.has_day(date)
                && let Some((hour, minute, second)) = self.next_time(from.unwrap_or_default())
            {
                return date.and_hms_opt(hour, minute, second);
            } else {
                date = date.checked_add_days(Days::new(1))?;
            }
            from = None;
        }
        None
    }

    fn has_year(&self, year: i32) -> bool {
        self.years.as_ref().is_none_or(|years| years.iter().any(|known| i32::from(*known) == year))
    }

    /// The first time of a day that is not before `from`.
    fn next_time(&self, from: (u32, u32, u32)) -> Option<(u32, u32, u32)> {
        let (hour, minute, second) = from;
        let first =
            |bits: u64, from: u32| Some(bits & (u64::MAX << from)).filter(|left| *left != 0).map(u64::trailing_zeros);
        let (minutes, seconds) = (first(self.minutes, 0)?, first(self.seconds, 0)?);
        if has(self.hours, hour) {
            if has(self.minutes, minute)
                && let Some(second) = first(self.seconds, second)
            {
                return Some((hour, minute, second));
            }
            if let Some(minute) = first(self.minutes, minute + 1) {
                return Some((hour, minute, seconds));
            }
        }
        first(self.hours, hour + 1).map(|hour| (hour, minutes, seconds))
    }

    fn has_day(&self, date: NaiveDate) -> bool {
        let last = days_in_month(date);
        let day = date.day();
        match &self.days {
            DaySet::OfMonth { numbers, special } => {
                has(*numbers, day)
                    || special.iter().any(|special| match *special {
                        MonthDay::BeforeLast(days) => day == last.saturating_sub(days).max(1),
                        MonthDay::NearestWeekday(wanted) => day == nearest_weekday(date, wanted.min(last), last),
                        MonthDay::WeekdayBeforeLast(days) => {
                            day == nearest_weekday(date, last.saturating_sub(days).max(1), last)
                        }
                    })
            }
            DaySet::OfWeek { days, special } => {
                let weekday = date.weekday().number_from_sunday();
                has(*days, weekday)
                    || special.iter().any(|special| match *special {
                        WeekDay::Last(wanted) => weekday == wanted && day + 7 > last,
                        WeekDay::Nth(wanted, week) => weekday == wanted && (day - 1) / 7 + 1 == week,
                    })
            }
        }
    }
}

fn has(bits: u64, value: u32) -> bool {
    bits & (1 << value) != 0
}

fn month_days(text: &str) -> Result<DaySet, String> {
    let mut numbers = 0;
    let mut special = Vec::new();
    for part in text.split(',') {
        let upper = part.to_ascii_uppercase();
        let (day, weekday) = match upper.strip_suffix('W') {
            Some(day) => (day, true),
            None => (upper.as_str(), false),
        };
        if let Some(rest) = day.strip_prefix('L') {
            let before = match rest.strip_prefix('-') {
                Some(days) => days
                    .parse()
                    .ok()
                    .filter(|days| *days <= 30)
                    .ok_or_else(|| format!("'{part}' must be 'L-' and a number of days up to 30"))?,
                None if rest.is_empty() => 0,
                None => return Err(DAY_OF_MONTH.wrong(part)),
            };
            special.push(if weekday { MonthDay::WeekdayBeforeLast(before) } else { MonthDay::BeforeLast(before) });
        } else if weekday {
            let day = DAY_OF_MONTH.value(day)?;
            special.push(MonthDay::NearestWeekday(u32::try_from(day).unwrap_or(1)));
        } else {
            numbers |= DAY_OF_MONTH.bits(part)?;
        }
    }
    Ok(DaySet::OfMonth { numbers, special })
}

fn week_days(text: &str) -> Result<DaySet, String> {
    let mut days = 0;
    let mut special = Vec::new();
    let weekday = |text: &str| DAY_OF_WEEK.value(text).map(|day| u32::try_from(day).unwrap_or(1));
    for part in text.split(',') {
        let upper = part.to_ascii_uppercase();
        if upper == "L" {
            days |= 1 << 7;
        } else if let Some((day, week)) = upper.split_once('#') {
            let week = week.parse().ok().filter(|week| (1..=5).contains(week));
            let week = week.ok_or_else(|| format!("'{part}' must have a week from 1 to 5 behind '#'"))?;
            special.push(WeekDay::Nth(weekday(day)?, week));
        } else if let Some(day) = upper.strip_suffix('L') {
            special.push(WeekDay::Last(weekday(day)?));
        } else {
            days |= DAY_OF_WEEK.bits(part)?;
        }
    }
    Ok(DaySet::OfWeek { days, special })
}

fn first_of_next_month(date: NaiveDate) -> Option<NaiveDate> {
    if date.month() == 12 {
        NaiveDate::from_ymd_opt(date.year() + 1, 1, 1)
    } else {
        NaiveDate::from_ymd_opt(date.year(), date.month() + 1, 1)
    }
}

fn days_in_month(date: NaiveDate) -> u32 {
    first_of_next_month(date).and_then(|next| next.pred_opt()).map_or(31, |last| last.day())
}

/// The day from Monday to Friday nearest to `wanted` in the month of `date`.
fn nearest_weekday(date: NaiveDate, wanted: u32, last: u32) -> u32 {
    let Some(day) = date.with_day(wanted) else { return wanted };
    match day.weekday().number_from_monday() {
        6 if wanted == 1 => 3,
        6 => wanted - 1,
        7 if wanted == last => wanted - 2,
        7 => wanted + 1,
        _ => wanted,
    }
}

fn offset(clock: &dyn Clock, at: i64) -> i32 {
    clock.zone_offset_seconds(at)
}

fn local(millis: i64, offset: i32) -> Option<NaiveDateTime> {
    Some(DateTime::from_timestamp_millis(millis.checked_add(i64::from(offset) * 1000)?)?.naive_utc())
}

fn utc(wall: NaiveDateTime, offset: i32) -> i64 {
    wall.and_utc().timestamp_millis() - i64::from(offset) * 1000
}

/// The moment at which the clocks show `wall`. Shown twice, it is the later one; never shown, the same distance behind
/// the jump, as Java's lenient calendar has it.
fn instant(wall: NaiveDateTime, clock: &dyn Clock) -> Option<i64> {
    const DAY: i64 = 86_400_000;
    let guess = wall.and_utc().timestamp_millis();
    // The offsets before and after any change nearby.
    let (early, late) = (offset(clock, guess.checked_sub(DAY)?), offset(clock, guess.checked_add(DAY)?));
    let shown = |offset_then: i32| {
        let time = utc(wall, offset_then);
        (offset(clock, time) == offset_then).then_some(time)
    };
    Some(shown(late).or_else(|| shown(early)).unwrap_or_else(|| utc(wall, early)))
}
