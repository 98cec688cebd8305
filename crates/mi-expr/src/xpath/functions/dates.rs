//! Functions on dates, times and durations; the pictures of `format-dateTime` are in `picture.rs`.

use chrono::{Datelike, Timelike};

use super::{Args, Builtin, Library, Outcome, builtin, picture};
use crate::xpath::Version::V2;
use crate::xpath::ast::Type::Unknown;
use crate::xpath::cast::{self, Atomic};
use crate::xpath::datetime::{Duration, DurationKind, Moment, MomentKind, whole_days};
use crate::xpath::decimal::Decimal;
use crate::xpath::error::XPathError;
use crate::xpath::sequence::Sequence;
use crate::xpath::value::Item;

use Library::Core;
use MomentKind::{Date, DateTime, Time};

const fn row(
    name: &'static str,
    arity: (u8, u8),
    run: for<'a, 'e, 'd> fn(&Args<'a, 'e, 'd>) -> Outcome<'d>,
) -> Builtin {
    builtin(Core, (name, arity, V2, Unknown, 0, run))
}

pub(super) const TABLE: &[Builtin] = &[
    row("current-dateTime", (0, 0), |a| current(a, DateTime)),
    row("current-date", (0, 0), |a| current(a, Date)),
    row("current-time", (0, 0), |a| current(a, Time)),
    row("implicit-timezone", (0, 0), |a| Ok(zone(a.ev.implicit_zone()).into())),
    row("dateTime", (2, 2), date_time),
    row("year-from-dateTime", (1, 1), |a| moment(a, DateTime, |m| Item::Integer(i64::from(m.local.year())))),
    row("month-from-dateTime", (1, 1), |a| moment(a, DateTime, |m| Item::Integer(i64::from(m.local.month())))),
    row("day-from-dateTime", (1, 1), |a| moment(a, DateTime, |m| Item::Integer(i64::from(m.local.day())))),
    row("hours-from-dateTime", (1, 1), |a| moment(a, DateTime, |m| Item::Integer(i64::from(m.local.hour())))),
    row("minutes-from-dateTime", (1, 1), |a| moment(a, DateTime, |m| Item::Integer(i64::from(m.local.minute())))),
    row("seconds-from-dateTime", (1, 1), |a| moment(a, DateTime, seconds)),
    row("timezone-from-dateTime", (1, 1), |a| timezone(a, DateTime)),
    row("year-from-date", (1, 1), |a| moment(a, Date, |m| Item::Integer(i64::from(m.local.year())))),
    row("month-from-date", (1, 1), |a| moment(a, Date, |m| Item::Integer(i64::from(m.local.month())))),
    row("day-from-date", (1, 1), |a| moment(a, Date, |m| Item::Integer(i64::from(m.local.day())))),
    row("timezone-from-date", (1, 1), |a| timezone(a, Date)),
    row("hours-from-time", (1, 1), |a| moment(a, Time, |m| Item::Integer(i64::from(m.local.hour())))),
    row("minutes-from-time", (1, 1), |a| moment(a, Time, |m| Item::Integer(i64::from(m.local.minute())))),
    row("seconds-from-time", (1, 1), |a| moment(a, Time, seconds)),
    row("timezone-from-time", (1, 1), |a| timezone(a, Time)),
    row("years-from-duration", (1, 1), |a| duration(a, |d| Item::Integer(i64::from(d.months / 12)))),
    row("months-from-duration", (1, 1), |a| duration(a, |d| Item::Integer(i64::from(d.months % 12)))),
    row("days-from-duration", (1, 1), |a| duration(a, |d| Item::Integer(whole_days(d)))),
    row("hours-from-duration", (1, 1), |a| duration(a, |d| Item::Integer(d.seconds / 3600 % 24))),
    row("minutes-from-duration", (1, 1), |a| duration(a, |d| Item::Integer(d.seconds / 60 % 60))),
    row("seconds-from-duration", (1, 1), |a| duration(a, |d| exact_seconds(d.seconds % 60, i64::from(d.nanos)))),
    row("adjust-dateTime-to-timezone", (1, 2), |a| adjust(a, DateTime)),
    row("adjust-date-to-timezone", (1, 2), |a| adjust(a, Date)),
    row("adjust-time-to-timezone", (1, 2), |a| adjust(a, Time)),
    row("format-dateTime", (2, 5), |a| format(a, DateTime)),
    row("format-date", (2, 5), |a| format(a, Date)),
    row("format-time", (2, 5), |a| format(a, Time)),
];

fn current<'d>(args: &Args<'_, '_, 'd>, kind: MomentKind) -> Outcome<'d> {
    Ok(Moment::from_chrono(args.ev.env.now()).to_kind(kind).map(Item::Moment).into())
}

fn zone<'d>(minutes: i16) -> Item<'d> {
    let seconds = i64::from(minutes) * 60;
    Item::Duration(Duration { kind: DurationKind::DayTime, months: 0, seconds, nanos: 0 })
}

/// An argument of one of the three types; untyped text is read as one.
fn moment_argument(args: &Args<'_, '_, '_>, i: usize, kind: MomentKind) -> Result<Option<Moment>, XPathError> {
    match args.atom(i)? {
        None => Ok(None),
        Some(Item::Moment(m)) if m.kind == kind => Ok(Some(m)),
        Some(item @ Item::Untyped(_)) => match cast::cast(item, Atomic::Moment(kind))? {
            Item::Moment(m) => Ok(Some(m)),
            _ => Ok(None),
        },
        Some(other) => Err(wrong_type(args, kind.type_name(), &other)),
    }
}

fn wrong_type(args: &Args<'_, '_, '_>, wanted: &str, found: &Item<'_>) -> XPathError {
    let name = args.call.function.name;
    XPathError::type_error(format!("{name}() needs a {wanted}, not a value of type {}", found.type_name()))
}

fn duration_argument(args: &Args<'_, '_, '_>, i: usize) -> Result<Option<Duration>, XPathError> {
    match args.atom(i)? {
        None => Ok(None),
        Some(Item::Duration(d)) => Ok(Some(d)),
        Some(item @ Item::Untyped(_)) => match cast::cast(item, Atomic::Duration(DurationKind::Any))? {
            Item::Duration(d) => Ok(Some(d)),
            _ => Ok(None),
        },
        Some(other) => Err(wrong_type(args, "xs:duration", &other)),
    }
}

fn moment<'d>(args: &Args<'_, '_, 'd>, kind: MomentKind, pick: fn(Moment) -> Item<'static>) -> Outcome<'d> {
    Ok(moment_argument(args, 0, kind)?.map(pick).into())
}

fn duration<'d>(args: &Args<'_, '_, 'd>, pick: fn(Duration) -> Item<'static>) -> Outcome<'d> {
    Ok(duration_argument(args, 0)?.map(pick).into())
}

fn seconds(m: Moment) -> Item<'static> {
    exact_seconds(i64::from(m.local.second()), i64::from(m.local.nanosecond() % 1_000_000_000))
}

fn exact_seconds(whole: i64, nanos: i64) -> Item<'static> {
    let sign = if whole < 0 || nanos < 0 { "-" } else { "" };
    let text = format!("{sign}{}.{:09}", whole.unsigned_abs(), nanos.unsigned_abs());
    Item::Decimal(Decimal::parse(&text).unwrap_or(Decimal::from(whole)))
}

fn timezone<'d>(args: &Args<'_, '_, 'd>, kind: MomentKind) -> Outcome<'d> {
    Ok(moment_argument(args, 0, kind)?.and_then(|m| m.zone).map(zone).into())
}

fn date_time<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let (Some(date), Some(time)) = (moment_argument(args, 0, Date)?, moment_argument(args, 1, Time)?) else {
        return Ok(Sequence::empty());
    };
    if date.zone.zip(time.zone).is_some_and(|(a, b)| a != b) {
        return Err(XPathError::dynamic("FORG0008", "the date and the time have different time zones"));
    }
    let local = date.local.date().and_time(time.local.time());
    Ok(Sequence::one(Item::Moment(Moment { kind: DateTime, local, zone: date.zone.or(time.zone) })))
}

fn adjust<'d>(args: &Args<'_, '_, 'd>, kind: MomentKind) -> Outcome<'d> {
    let Some(m) = moment_argument(args, 0, kind)? else { return Ok(Sequence::empty()) };
    let target = if args.len() < 2 {
        Some(args.ev.implicit_zone())
    } else {
        match duration_argument(args, 1)? {
            None => None,
            Some(d) if d.seconds % 60 == 0 && d.nanos == 0 && d.seconds.abs() <= 14 * 3600 => {
                Some((d.seconds / 60) as i16)
            }
            Some(_) => return Err(XPathError::dynamic("FODT0003", "a time zone is at most 14 hours of whole minutes")),
        }
    };
    Ok(Sequence::one(Item::Moment(m.adjust(target))))
}

fn format<'d>(args: &Args<'_, '_, 'd>, kind: MomentKind) -> Outcome<'d> {
    let Some(m) = moment_argument(args, 0, kind)? else { return Ok(Sequence::empty()) };
    picture::format(m, &args.string(1)?).map(Sequence::from)
}
