//! Columns of PostgreSQL in their binary form, read by their type.

use std::error::Error;

use chrono::{DateTime, Local, NaiveDate, NaiveDateTime, TimeDelta};
use tokio_postgres::types::{FromSql, Kind, Type};

use crate::value::SqlValue;

/// One column of a row.
pub(super) struct Cell(pub(super) SqlValue);

type Failure = Box<dyn Error + Sync + Send>;

impl<'r> FromSql<'r> for Cell {
    fn from_sql(kind: &Type, raw: &'r [u8]) -> Result<Self, Failure> {
        read(kind, raw).map(Cell)
    }

    fn from_sql_null(_: &Type) -> Result<Self, Failure> {
        Ok(Self(SqlValue::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn read(kind: &Type, raw: &[u8]) -> Result<SqlValue, Failure> {
    if let Kind::Domain(inner) = kind.kind() {
        return read(inner, raw);
    }
    Ok(match *kind {
        Type::BOOL => SqlValue::Bool(bool::from_sql(kind, raw)?),
        Type::INT2 => SqlValue::Int(i16::from_sql(kind, raw)?.into()),
        Type::INT4 => SqlValue::Int(i32::from_sql(kind, raw)?.into()),
        Type::INT8 => SqlValue::Int(i64::from_sql(kind, raw)?),
        Type::OID => SqlValue::Int(u32::from_sql(kind, raw)?.into()),
        Type::FLOAT4 => SqlValue::Float(f32::from_sql(kind, raw)?),
        Type::FLOAT8 => SqlValue::Double(f64::from_sql(kind, raw)?),
        Type::NUMERIC => SqlValue::Decimal(numeric(raw)?),
        Type::BYTEA => SqlValue::Bytes(raw.to_vec()),
        Type::DATE => SqlValue::Date(date(i32::from_be_bytes(raw.try_into()?)).ok_or("a date out of range")?),
        Type::TIME => SqlValue::Time(time(i64::from_be_bytes(raw.try_into()?))),
        Type::TIMESTAMP => {
            let at = timestamp(i64::from_be_bytes(raw.try_into()?)).ok_or("a timestamp out of range")?;
            SqlValue::Timestamp(shown(at))
        }
        Type::TIMESTAMPTZ => {
            let at = timestamp(i64::from_be_bytes(raw.try_into()?)).ok_or("a timestamp out of range")?;
            // Java shows it in the time zone of the server.
            SqlValue::Timestamp(shown(DateTime::<Local>::from(at.and_utc()).naive_local()))
        }
        Type::UUID => SqlValue::Text(uuid(raw)),
        Type::JSONB => SqlValue::Text(String::from_utf8(raw.get(1..).unwrap_or_default().to_vec())?),
        // Texts of all kinds, names, JSON, XML and enumerations are what they say.
        _ => match std::str::from_utf8(raw) {
            Ok(text) => SqlValue::Text(text.to_owned()),
            Err(_) => SqlValue::Bytes(raw.to_vec()),
        },
    })
}

fn epoch() -> Option<NaiveDateTime> {
    NaiveDate::from_ymd_opt(2000, 1, 1)?.and_hms_opt(0, 0, 0)
}

fn date(days: i32) -> Option<String> {
    let at = epoch()?.checked_add_signed(TimeDelta::try_days(days.into())?)?;
    Some(at.format("%Y-%m-%d").to_string())
}

fn time(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn timestamp(micros: i64) -> Option<NaiveDateTime> {
    epoch()?.checked_add_signed(TimeDelta::microseconds(micros))
}

/// As `Timestamp#toString`: the fraction has no zeros at its end.
fn shown(at: NaiveDateTime) -> String {
    let text = at.format("%Y-%m-%d %H:%M:%S%.6f").to_string();
    let text = text.trim_end_matches('0');
    if text.ends_with('.') { format!("{text}0") } else { text.to_owned() }
}

fn uuid(raw: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in raw.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// Groups of four digits: their number, the weight of the first, the sign, the digits behind the point.
fn numeric(raw: &[u8]) -> Result<String, Failure> {
    let field = |at: usize| -> Result<i16, Failure> {
        let bytes = raw.get(at..at + 2).ok_or("a number that is cut off")?;
        Ok(i16::from_be_bytes(bytes.try_into()?))
    };
    let (count, weight, sign, scale) = (field(0)?, field(2)?, field(4)? as u16, field(6)?);
    match sign {
        0xC000 => return Ok("NaN".to_owned()),
        0xD000 => return Ok("Infinity".to_owned()),
        0xF000 => return Ok("-Infinity".to_owned()),
        _ => {}
    }
    let group = |index: i32| -> Result<i16, Failure> {
        if (0..i32::from(count)).contains(&index) { field(8 + 2 * index as usize) } else { Ok(0) }
    };
    let mut text = String::new();
    for index in 0..=i32::from(weight).max(0) {
        let digits = if weight < 0 { 0 } else { group(index)? };
        text.push_str(&if text.is_empty() { digits.to_string() } else { format!("{digits:04}") });
    }
    let whole = text.trim_start_matches('0');
    let mut text = format!("{}{}", if sign == 0x4000 { "-" } else { "" }, if whole.is_empty() { "0" } else { whole });
    if scale > 0 {
        let mut fraction = String::new();
        let mut index = i32::from(weight) + 1;
        // Groups between the point and the first one that is sent are zeros.
        for _ in index..0 {
            fraction.push_str("0000");
        }
        index = index.max(0);
        while fraction.len() < scale as usize {
            fraction.push_str(&format!("{:04}", group(index)?));
            index += 1;
        }
        text.push('.');
        text.push_str(&fraction[..scale as usize]);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        let raw = |weight: i16, sign: u16, scale: i16, groups: &[i16]| {
            let mut raw = Vec::new();
            for field in [groups.len() as i16, weight, sign as i16, scale].iter().chain(groups) {
                raw.extend_from_slice(&field.to_be_bytes());
            }
            numeric(&raw).unwrap()
        };
        assert_eq!(raw(0, 0, 2, &[12, 5000]), "12.50");
        assert_eq!(raw(1, 0x4000, 0, &[1, 2]), "-10002");
        assert_eq!(raw(1, 0, 0, &[1]), "10000");
        assert_eq!(raw(-2, 0, 8, &[1]), "0.00000001");
        assert_eq!(raw(0, 0, 3, &[]), "0.000");
        assert_eq!(raw(0, 0xC000, 0, &[]), "NaN");
        assert!(numeric(&[0, 1]).is_err());
    }

    #[test]
    fn moments_are_shown_as_java_shows_them() {
        assert_eq!(date(-1).as_deref(), Some("1999-12-31"));
        assert_eq!(timestamp(1_500_000).map(shown).as_deref(), Some("2000-01-01 00:00:01.5"));
        assert_eq!(timestamp(0).map(shown).as_deref(), Some("2000-01-01 00:00:00.0"));
        assert_eq!(time(3_661_000_000), "01:01:01");
    }
}
