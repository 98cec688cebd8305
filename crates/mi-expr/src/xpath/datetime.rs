//! `xs:dateTime`, `xs:date`, `xs:time` and the durations: lexical forms, comparison and arithmetic.
//!
//! The current time is not taken here but comes from the environment of an evaluation.

use std::cmp::Ordering;
use std::fmt;

use chrono::{DateTime, Datelike, Days, FixedOffset, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike};

use super::error::XPathError;

/// Which of the three types a [`Moment`] has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MomentKind {
    /// `xs:dateTime`
    DateTime,
    /// `xs:date`; the time of the moment is midnight.
    Date,
    /// `xs:time`; the date of the moment is a fixed one.
    Time,
}

impl MomentKind {
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::DateTime => "xs:dateTime",
            Self::Date => "xs:date",
            Self::Time => "xs:time",
        }
    }
}

/// A point in time as written, with the time zone it was written with, if any.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Moment {
    /// The type.
    pub kind: MomentKind,
    /// Date and time on the clock of the time zone.
    pub local: NaiveDateTime,
    /// Time zone in minutes east of UTC.
    pub zone: Option<i16>,
}

/// The date that stands behind every `xs:time`, as the specification has it.
const TIME_DATE: NaiveDate = match NaiveDate::from_ymd_opt(1972, 12, 31) {
    Some(date) => date,
    None => NaiveDate::MIN,
};

impl Moment {
    /// The `xs:dateTime` of a time stamp of the host.
    pub fn from_chrono(at: DateTime<FixedOffset>) -> Self {
        let zone = (at.offset().local_minus_utc() / 60) as i16;
        Self { kind: MomentKind::DateTime, local: at.naive_local(), zone: Some(zone) }
    }

    /// The same point as a date or a time.
    pub(crate) fn to_kind(self, kind: MomentKind) -> Option<Self> {
        let local = match (self.kind, kind) {
            (a, b) if a == b => self.local,
            (MomentKind::DateTime, MomentKind::Date) => self.local.date().and_time(NaiveTime::MIN),
            (MomentKind::DateTime, MomentKind::Time) => TIME_DATE.and_time(self.local.time()),
            (MomentKind::Date, MomentKind::DateTime) => self.local,
            _ => return None,
        };
        Some(Self { kind, local, zone: self.zone })
    }

    pub(crate) fn parse(kind: MomentKind, s: &str) -> Option<Self> {
        let mut p = Scan(s.trim_matches(super::number::is_space).as_bytes());
        let date = if kind == MomentKind::Time { TIME_DATE } else { p.date()? };
        if kind == MomentKind::DateTime {
            p.expect(b'T')?;
        }
        let (time, next_day) = if kind == MomentKind::Date { (NaiveTime::MIN, false) } else { p.time()? };
        let zone = p.zone();
        if !p.0.is_empty() {
            return None;
        }
        let date = if next_day && kind == MomentKind::DateTime { date.succ_opt()? } else { date };
        Some(Self { kind, local: date.and_time(time), zone })
    }

    /// The moment in UTC; a missing zone is taken to be `implicit`.
    pub fn utc(self, implicit: i16) -> NaiveDateTime {
        let offset = TimeDelta::minutes(i64::from(self.zone.unwrap_or(implicit)));
        self.local.checked_sub_signed(offset).unwrap_or(self.local)
    }

    pub(crate) fn compare(self, other: Self, implicit: i16) -> Ordering {
        self.utc(implicit).cmp(&other.utc(implicit))
    }

    /// Moves the moment by a duration.
    pub(crate) fn plus(self, d: Duration) -> Result<Self, XPathError> {
        let magnitude = Months::new(d.months.unsigned_abs());
        let shifted = if d.months < 0 {
            self.local.checked_sub_months(magnitude)
        } else {
            self.local.checked_add_months(magnitude)
        };
        let moved = shifted.and_then(|at| at.checked_add_signed(d.delta())).ok_or_else(overflow)?;
        let local = match self.kind {
            MomentKind::DateTime => moved,
            MomentKind::Date => moved.date().and_time(NaiveTime::MIN),
            MomentKind::Time => TIME_DATE.and_time(moved.time()),
        };
        Ok(Self { local, ..self })
    }

    pub(crate) fn minus(self, other: Self, implicit: i16) -> Duration {
        Duration::from_delta(self.utc(implicit) - other.utc(implicit))
    }

    /// `adjust-dateTime-to-timezone` and its relatives; `None` removes the zone.
    pub(crate) fn adjust(self, zone: Option<i16>) -> Self {
        let (Some(from), Some(to)) = (self.zone, zone) else { return Self { zone, ..self } };
        let moved = self.local.checked_add_signed(TimeDelta::minutes(i64::from(to - from))).unwrap_or(self.local);
        let local = match self.kind {
            MomentKind::DateTime => moved,
            MomentKind::Date => moved.date().and_time(NaiveTime::MIN),
            MomentKind::Time => TIME_DATE.and_time(moved.time()),
        };
        Self { local, zone, ..self }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, time) = (self.local.date(), self.local.time());
        if self.kind != MomentKind::Time {
            let year = date.year();
            let sign = if year < 0 { "-" } else { "" };
            write!(f, "{sign}{:04}-{:02}-{:02}", year.unsigned_abs(), date.month(), date.day())?;
        }
        if self.kind == MomentKind::DateTime {
            f.write_str("T")?;
        }
        if self.kind != MomentKind::Date {
            write!(f, "{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())?;
            fraction(f, time.nanosecond() % 1_000_000_000)?;
        }
        self.zone.map_or(Ok(()), |z| f.write_str(&zone_text(z)))
    }
}

/// `Z`, `+05:30`, …
pub(crate) fn zone_text(minutes: i16) -> String {
    if minutes == 0 {
        return "Z".to_owned();
    }
    let (sign, m) = (if minutes < 0 { '-' } else { '+' }, minutes.unsigned_abs());
    format!("{sign}{:02}:{:02}", m / 60, m % 60)
}

fn fraction(f: &mut fmt::Formatter<'_>, nanos: u32) -> fmt::Result {
    if nanos == 0 {
        return Ok(());
    }
    let digits = format!("{nanos:09}");
    write!(f, ".{}", digits.trim_end_matches('0'))
}

/// Which of the duration types a [`Duration`] has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DurationKind {
    /// `xs:duration`
    Any,
    /// `xs:yearMonthDuration`
    YearMonth,
    /// `xs:dayTimeDuration`
    DayTime,
}

impl DurationKind {
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::Any => "xs:duration",
            Self::YearMonth => "xs:yearMonthDuration",
            Self::DayTime => "xs:dayTimeDuration",
        }
    }
}

/// A duration: months and seconds, which have the same sign.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Duration {
    /// The type.
    pub kind: DurationKind,
    /// Months, negative for a negative duration.
    pub months: i32,
    /// Whole seconds.
    pub seconds: i64,
    /// Nanoseconds, of the sign of the whole.
    pub nanos: i32,
}

impl Duration {
    pub(crate) fn from_months(months: i32) -> Self {
        Self { kind: DurationKind::YearMonth, months, seconds: 0, nanos: 0 }
    }

    pub(crate) fn from_delta(delta: TimeDelta) -> Self {
        Self { kind: DurationKind::DayTime, months: 0, seconds: delta.num_seconds(), nanos: delta.subsec_nanos() }
    }

    pub(crate) fn from_seconds(seconds: f64) -> Result<Self, XPathError> {
        if !seconds.is_finite() || seconds.abs() > 9e15 {
            return Err(overflow());
        }
        // Microseconds are what a double still tells apart at the size of a year.
        let rounded = (seconds * 1e6).round() / 1e6;
        let whole = rounded.trunc();
        let nanos = ((rounded - whole) * 1e6).round() as i32 * 1000;
        Ok(Self { kind: DurationKind::DayTime, months: 0, seconds: whole as i64, nanos })
    }

    /// Seconds with their fraction; months are not part of it.
    pub(crate) fn total_seconds(self) -> f64 {
        self.seconds as f64 + f64::from(self.nanos) / 1e9
    }

    fn delta(self) -> TimeDelta {
        let whole = TimeDelta::try_seconds(self.seconds).unwrap_or(TimeDelta::MAX);
        whole.checked_add(&TimeDelta::nanoseconds(i64::from(self.nanos))).unwrap_or(whole)
    }

    pub(crate) fn neg(self) -> Self {
        Self {
            months: self.months.saturating_neg(),
            seconds: self.seconds.saturating_neg(),
            nanos: -self.nanos,
            ..self
        }
    }

    pub(crate) fn plus(self, other: Self) -> Result<Self, XPathError> {
        let months = self.months.checked_add(other.months).ok_or_else(overflow)?;
        let delta = self.delta().checked_add(&other.delta()).ok_or_else(overflow)?;
        Ok(Self { months, kind: self.kind, ..Self::from_delta(delta) })
    }

    pub(crate) fn scale(self, factor: f64) -> Result<Self, XPathError> {
        if factor.is_nan() {
            return Err(XPathError::dynamic("FOCA0005", "a duration cannot be multiplied by NaN"));
        }
        let months = super::number::round(f64::from(self.months) * factor);
        let seconds = Self::from_seconds(self.total_seconds() * factor);
        let too_long = || XPathError::dynamic("FODT0002", "the duration is out of range");
        if months.abs() > f64::from(i32::MAX) {
            return Err(too_long());
        }
        Ok(Self { months: months as i32, kind: self.kind, ..seconds.map_err(|_| too_long())? })
    }

    pub(crate) fn to_kind(self, kind: DurationKind) -> Self {
        match kind {
            DurationKind::Any => Self { kind, ..self },
            DurationKind::YearMonth => Self::from_months(self.months),
            DurationKind::DayTime => Self { kind, months: 0, ..self },
        }
    }

    pub(crate) fn parse(kind: DurationKind, s: &str) -> Option<Self> {
        let s = s.trim_matches(super::number::is_space);
        let (negative, s) = s.strip_prefix('-').map_or((false, s), |rest| (true, rest));
        let body = s.strip_prefix('P')?;
        let (date, time) = body.split_once('T').map_or((body, None), |(d, t)| (d, Some(t)));
        let (mut months, mut seconds, mut nanos, mut parts) = (0_i64, 0_i64, 0_i32, 0);
        for (number, unit) in designated(date, "YMD")? {
            let n: i64 = number.parse().ok()?;
            parts += 1;
            match unit {
                b'Y' => months = months.checked_add(n.checked_mul(12)?)?,
                b'M' => months = months.checked_add(n)?,
                _ => seconds = seconds.checked_add(n.checked_mul(86_400)?)?,
            }
        }
        if let Some(time) = time {
            let fields = designated(time, "HMS")?;
            if fields.is_empty() {
                return None; // a `T` needs something behind it
            }
            for (number, unit) in fields {
                let (whole, part) = number.split_once('.').unwrap_or((number, ""));
                if number.ends_with('.') {
                    return None;
                }
                let n: i64 = whole.parse().ok()?;
                parts += 1;
                let factor = match unit {
                    b'H' if part.is_empty() => 3600,
                    b'M' if part.is_empty() => 60,
                    b'S' => 1,
                    _ => return None,
                };
                seconds = seconds.checked_add(n.checked_mul(factor)?)?;
                nanos += nanos_of(part)?;
            }
        }
        let allowed = match kind {
            DurationKind::Any => true,
            DurationKind::YearMonth => !date.contains('D') && time.is_none(),
            DurationKind::DayTime => !date.contains(['Y', 'M']),
        };
        if parts == 0 || !allowed {
            return None;
        }
        let d = Self { kind, months: i32::try_from(months).ok()?, seconds, nanos };
        Some(if negative { d.neg() } else { d })
    }

    pub(crate) fn is_negative(self) -> bool {
        self.months < 0 || self.seconds < 0 || self.nanos < 0
    }
}

/// `1Y2M` -> `[("1", Y), ("2", M)]`, with the designators in the order of `order`, each at most once.
fn designated<'s>(mut s: &'s str, order: &str) -> Option<Vec<(&'s str, u8)>> {
    let mut out = Vec::new();
    let mut allowed = order.as_bytes();
    while !s.is_empty() {
        let end = s.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let unit = s.as_bytes()[end];
        let at = allowed.iter().position(|a| *a == unit)?;
        allowed = &allowed[at + 1..];
        if end == 0 || (unit != b'S' && s[..end].contains('.')) {
            return None;
        }
        out.push((&s[..end], unit));
        s = &s[end + 1..];
    }
    Some(out)
}

/// Digits behind the point as nanoseconds; further digits are cut off.
fn nanos_of(digits: &str) -> Option<i32> {
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let kept = &digits[..digits.len().min(9)];
    if kept.is_empty() {
        return Some(0);
    }
    kept.parse::<i32>().ok().map(|n| n * 10_i32.pow(9 - kept.len() as u32))
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (months, seconds, nanos) =
            (self.months.unsigned_abs(), self.seconds.unsigned_abs(), self.nanos.unsigned_abs());
        if months == 0 && seconds == 0 && nanos == 0 {
            return f.write_str(if self.kind == DurationKind::YearMonth { "P0M" } else { "PT0S" });
        }
        f.write_str(if self.is_negative() { "-P" } else { "P" })?;
        let part = |f: &mut fmt::Formatter<'_>, n: u64, unit: char| {
            if n == 0 { Ok(()) } else { write!(f, "{n}{unit}") }
        };
        part(f, u64::from(months / 12), 'Y')?;
        part(f, u64::from(months % 12), 'M')?;
        part(f, seconds / 86_400, 'D')?;
        let time = seconds % 86_400;
        if time == 0 && nanos == 0 {
            return Ok(());
        }
        f.write_str("T")?;
        part(f, time / 3600, 'H')?;
        part(f, time / 60 % 60, 'M')?;
        if time % 60 != 0 || nanos != 0 {
            write!(f, "{}", time % 60)?;
            fraction(f, nanos)?;
            f.write_str("S")?;
        }
        Ok(())
    }
}

/// Days, hours, … of a duration, for the component functions.
pub(crate) fn whole_days(d: Duration) -> i64 {
    d.seconds / 86_400
}

/// The number of the week by ISO 8601 and the day of the year, for pictures.
pub(crate) fn calendar(date: NaiveDate) -> (u32, u32) {
    (date.iso_week().week(), date.ordinal())
}

/// The week of the month: weeks start on Monday, the first one holds the month's first Thursday.
pub(crate) fn week_of_month(date: NaiveDate) -> u32 {
    let first = date.with_day(1).unwrap_or(date);
    let lead = first.weekday().num_days_from_monday();
    let start = if lead <= 3 { first.checked_sub_days(Days::new(u64::from(lead))) } else { None };
    let start = start.or_else(|| first.checked_add_days(Days::new(u64::from(7 - lead)))).unwrap_or(first);
    let days = (date - start).num_days();
    if days < 0 { 0 } else { (days / 7 + 1) as u32 }
}

/// Reads the lexical forms byte by byte.
struct Scan<'s>(&'s [u8]);

impl Scan<'_> {
    fn expect(&mut self, b: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[b])?;
        Some(())
    }

    fn digits(&mut self, least: usize, most: usize) -> Option<u32> {
        let n = self.0.iter().take(most + 1).take_while(|b| b.is_ascii_digit()).count();
        if n < least || n > most {
            return None;
        }
        let (digits, rest) = self.0.split_at(n);
        self.0 = rest;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    fn date(&mut self) -> Option<NaiveDate> {
        let negative = self.expect(b'-').is_some();
        // A year of more than four digits has no zeros in front.
        if self.0.starts_with(b"0") && self.0.get(4).is_some_and(u8::is_ascii_digit) {
            return None;
        }
        let year = i32::try_from(self.digits(4, 6)?).ok()?;
        self.expect(b'-')?;
        let month = self.digits(2, 2)?;
        self.expect(b'-')?;
        let day = self.digits(2, 2)?;
        NaiveDate::from_ymd_opt(if negative { -year } else { year }, month, day)
    }

    /// The time, and whether it was `24:00:00`, which is the midnight of the next day.
    fn time(&mut self) -> Option<(NaiveTime, bool)> {
        let hour = self.digits(2, 2)?;
        self.expect(b':')?;
        let minute = self.digits(2, 2)?;
        self.expect(b':')?;
        let second = self.digits(2, 2)?;
        let mut nanos = 0;
        if self.expect(b'.').is_some() {
            let n = self.0.iter().take_while(|b| b.is_ascii_digit()).count();
            let (digits, rest) = self.0.split_at(n);
            nanos = nanos_of(std::str::from_utf8(digits).ok().filter(|d| !d.is_empty())?)? as u32;
            self.0 = rest;
        }
        if (hour, minute, second, nanos) == (24, 0, 0, 0) {
            return Some((NaiveTime::MIN, true));
        }
        Some((NaiveTime::from_hms_nano_opt(hour, minute, second, nanos)?, false))
    }

    /// The time zone, if there is one; what is none is left unread.
    fn zone(&mut self) -> Option<i16> {
        if self.expect(b'Z').is_some() {
            return Some(0);
        }
        let (sign, rest) = match self.0.split_first()? {
            (b'+', rest) => (1, rest),
            (b'-', rest) => (-1, rest),
            _ => return None,
        };
        let mut ahead = Scan(rest);
        let hours = ahead.digits(2, 2)?;
        ahead.expect(b':')?;
        let minutes = ahead.digits(2, 2)?;
        if hours > 14 || minutes > 59 || (hours == 14 && minutes > 0) {
            return None;
        }
        self.0 = ahead.0;
        Some(sign * (hours * 60 + minutes) as i16)
    }
}

fn overflow() -> XPathError {
    XPathError::dynamic("FODT0001", "the date or duration is out of range")
}
