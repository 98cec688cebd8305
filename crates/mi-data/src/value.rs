//! [`SqlValue`]: what goes into a statement and what comes out of a row, and how Java prints it.

use mi_message::Value;

/// A parameter or a column.
#[derive(Clone, Debug, PartialEq)]
pub enum SqlValue {
    /// SQL's null.
    Null,
    /// BIT and BOOLEAN.
    Bool(bool),
    /// Whole numbers of any size.
    Int(i64),
    /// REAL.
    Float(f32),
    /// FLOAT and DOUBLE.
    Double(f64),
    /// NUMERIC and DECIMAL as their digits, so that none gets lost.
    Decimal(String),
    /// Characters.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// `yyyy-mm-dd`.
    Date(String),
    /// `hh:mm:ss`.
    Time(String),
    /// `yyyy-mm-dd hh:mm:ss[.fraction]`.
    Timestamp(String),
}

/// The SQL types that parameters of mediators may have. MI: `Statement.Parameter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqlType {
    /// CHAR, VARCHAR, LONGVARCHAR.
    Text,
    /// NUMERIC, DECIMAL.
    Decimal,
    /// BIT.
    Bool,
    /// TINYINT.
    Byte,
    /// SMALLINT.
    Short,
    /// INTEGER.
    Int,
    /// BIGINT.
    Long,
    /// REAL.
    Float,
    /// FLOAT, DOUBLE.
    Double,
    /// DATE.
    Date,
    /// TIME.
    Time,
    /// TIMESTAMP.
    Timestamp,
}

impl SqlType {
    /// The names that a configuration may give, which are case-sensitive.
    pub const NAMES: [(&'static str, Self); 16] = [
        ("CHAR", Self::Text),
        ("VARCHAR", Self::Text),
        ("LONGVARCHAR", Self::Text),
        ("NUMERIC", Self::Decimal),
        ("DECIMAL", Self::Decimal),
        ("BIT", Self::Bool),
        ("TINYINT", Self::Byte),
        ("SMALLINT", Self::Short),
        ("INTEGER", Self::Int),
        ("BIGINT", Self::Long),
        ("REAL", Self::Float),
        ("FLOAT", Self::Double),
        ("DOUBLE", Self::Double),
        ("DATE", Self::Date),
        ("TIME", Self::Time),
        ("TIMESTAMP", Self::Timestamp),
    ];

    /// The type of a name.
    pub fn find(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }

    /// The value of a text; empty text is null. The error says what the text should be.
    /// MI: `AbstractDBMediator#getPreparedStatement`.
    pub fn read(self, text: &str) -> Result<SqlValue, String> {
        if text.is_empty() {
            return Ok(SqlValue::Null);
        }
        let whole = |low: i64, high: i64| text.parse().ok().filter(|it| (low..=high).contains(it)).map(SqlValue::Int);
        let value = match self {
            Self::Text => Some(SqlValue::Text(text.to_owned())),
            Self::Decimal => is_decimal(text).then(|| SqlValue::Decimal(text.to_owned())),
            Self::Bool => Some(SqlValue::Bool(text.eq_ignore_ascii_case("true"))),
            Self::Byte => whole(i8::MIN.into(), i8::MAX.into()),
            Self::Short => whole(i16::MIN.into(), i16::MAX.into()),
            Self::Int => whole(i32::MIN.into(), i32::MAX.into()),
            Self::Long => whole(i64::MIN, i64::MAX),
            Self::Float => java_number(text).map(|it| SqlValue::Float(it as f32)),
            Self::Double => java_number(text).map(SqlValue::Double),
            Self::Date => fits(text, DATE).then(|| SqlValue::Date(padded(text, '-'))),
            Self::Time => fits(text, TIME).then(|| SqlValue::Time(padded(text, ':'))),
            Self::Timestamp => timestamp(text.trim()).map(SqlValue::Timestamp),
        };
        value.ok_or_else(|| format!("'{text}' is no {}", self.name()))
    }

    /// Its name in SQL.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().rev().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

impl SqlValue {
    /// As `Object#toString` of what a JDBC driver gives; none for null.
    pub fn to_text(&self) -> Option<String> {
        Some(match self {
            Self::Null => return None,
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => Value::Float(*value).to_text().into_owned(),
            Self::Double(value) => Value::Double(*value).to_text().into_owned(),
            Self::Decimal(text) | Self::Text(text) | Self::Date(text) | Self::Time(text) => text.clone(),
            // MI: `Timestamp#toString` always has a fraction.
            Self::Timestamp(text) if text.contains('.') => text.clone(),
            Self::Timestamp(text) => format!("{text}.0"),
            Self::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        })
    }
}

impl SqlValue {
    /// About how many bytes it takes.
    pub(crate) fn size(&self) -> usize {
        let content = match self {
            Self::Decimal(text) | Self::Text(text) | Self::Date(text) | Self::Time(text) | Self::Timestamp(text) => {
                text.len()
            }
            Self::Bytes(bytes) => bytes.len(),
            _ => 0,
        };
        size_of::<Self>() + content
    }
}

/// A number as `Double#parseDouble` reads it.
fn java_number(text: &str) -> Option<f64> {
    let text = text.trim();
    let digits = text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text);
    match digits.trim_start_matches(['+', '-']) {
        "NaN" => Some(f64::NAN),
        "Infinity" => digits.parse().ok(),
        unsigned if unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') => digits.parse().ok(),
        _ => None,
    }
}

/// What `new BigDecimal(text)` takes, with an exponent of few digits.
fn is_decimal(text: &str) -> bool {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let mantissa = mantissa.strip_prefix(['+', '-']).unwrap_or(mantissa);
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let points = mantissa.bytes().filter(|it| *it == b'.').count();
    digits > 0
        && points <= 1
        && digits + points == mantissa.len()
        && (1..=4).contains(&exponent.len())
        && exponent.bytes().all(|it| it.is_ascii_digit())
}

/// Forms of dates and times for [`fits`].
const DATE: &str = "dddd-dd?-dd?";
const TIME: &str = "dd?:dd?:dd?";

/// Does the text have the form? `d` is a digit, `d?` one that may be absent.
fn fits(text: &str, form: &str) -> bool {
    let mut rest = text.bytes().peekable();
    let mut form = form.bytes().peekable();
    while let Some(wanted) = form.next() {
        let optional = form.next_if_eq(&b'?').is_some();
        let fits = |it: &u8| if wanted == b'd' { it.is_ascii_digit() } else { *it == wanted };
        if rest.next_if(fits).is_none() && !optional {
            return false;
        }
    }
    rest.next().is_none()
}

/// `2030-1-31` becomes `2030-01-31`.
fn padded(text: &str, separator: char) -> String {
    let parts: Vec<String> = text.split(separator).map(|part| format!("{part:0>2}")).collect();
    parts.join(&separator.to_string())
}

/// What `Timestamp.valueOf(text)` takes.
fn timestamp(text: &str) -> Option<String> {
    let (date, whole_time) = text.split_once(' ')?;
    let (time, fraction) = whole_time.split_once('.').unwrap_or((whole_time, "0"));
    let whole = fits(date, DATE)
        && fits(time, TIME)
        && (1..=9).contains(&fraction.len())
        && fraction.bytes().all(|it| it.is_ascii_digit());
    let point = if whole_time.contains('.') { format!(".{fraction}") } else { String::new() };
    whole.then(|| format!("{} {}{point}", padded(date, '-'), padded(time, ':')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: &str, text: &str, expected: Result<SqlValue, &str>) {
        let kind = SqlType::find(kind).unwrap();
        assert_eq!(kind.read(text), expected.map_err(str::to_owned), "{kind:?} {text}");
    }

    #[test]
    fn parameters_are_read_as_java_reads_them() {
        check("VARCHAR", "", Ok(SqlValue::Null));
        check("VARCHAR", " a", Ok(SqlValue::Text(" a".into())));
        check("INTEGER", "12", Ok(SqlValue::Int(12)));
        check("INTEGER", "12.0", Err("'12.0' is no INTEGER"));
        check("SMALLINT", "40000", Err("'40000' is no SMALLINT"));
        check("TINYINT", "-128", Ok(SqlValue::Int(-128)));
        check("BIT", "True", Ok(SqlValue::Bool(true)));
        check("BIT", "1", Ok(SqlValue::Bool(false)));
        check("DOUBLE", " 1.5d", Ok(SqlValue::Double(1.5)));
        check("FLOAT", "x", Err("'x' is no DOUBLE"));
        check("NUMERIC", "1.50", Ok(SqlValue::Decimal("1.50".into())));
        check("NUMERIC", "1.5.0", Err("'1.5.0' is no DECIMAL"));
        check("NUMERIC", "1e99999", Err("'1e99999' is no DECIMAL"));
        check("DATE", "2030-1-31", Ok(SqlValue::Date("2030-01-31".into())));
        check("DATE", "31.1.2030", Err("'31.1.2030' is no DATE"));
        check("TIME", "10:11:12", Ok(SqlValue::Time("10:11:12".into())));
        check("TIMESTAMP", "2030-01-31 10:11:12.5", Ok(SqlValue::Timestamp("2030-01-31 10:11:12.5".into())));
        check("TIMESTAMP", "2030-01-31T10:11:12", Err("'2030-01-31T10:11:12' is no TIMESTAMP"));
        assert!(SqlType::find("BLOB").is_none() && SqlType::find("integer").is_none());
    }

    #[test]
    fn columns_are_printed_as_java_prints_them() {
        for (value, text) in [
            (SqlValue::Null, None),
            (SqlValue::Bool(true), Some("true")),
            (SqlValue::Double(200.0), Some("200.0")),
            (SqlValue::Float(1.5), Some("1.5")),
            (SqlValue::Timestamp("2030-01-31 10:11:12".into()), Some("2030-01-31 10:11:12.0")),
        ] {
            assert_eq!(value.to_text().as_deref(), text);
        }
    }
}
