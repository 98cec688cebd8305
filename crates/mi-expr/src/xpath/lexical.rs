//! The types whose values are texts of a form: parts of dates, and binary data.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::datetime::{Moment, MomentKind};

/// A type whose values are compared by their text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lexical {
    /// `xs:hexBinary`, in capitals.
    HexBinary,
    /// `xs:base64Binary`, without blanks.
    Base64Binary,
    /// `xs:gYear`
    GYear,
    /// `xs:gYearMonth`
    GYearMonth,
    /// `xs:gMonth`
    GMonth,
    /// `xs:gMonthDay`
    GMonthDay,
    /// `xs:gDay`
    GDay,
}

impl Lexical {
    pub(super) fn parse_name(local: &str) -> Option<Self> {
        Some(match local {
            "hexBinary" => Self::HexBinary,
            "base64Binary" => Self::Base64Binary,
            "gYear" => Self::GYear,
            "gYearMonth" => Self::GYearMonth,
            "gMonth" => Self::GMonth,
            "gMonthDay" => Self::GMonthDay,
            "gDay" => Self::GDay,
            _ => return None,
        })
    }

    /// The name with its prefix.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::HexBinary => "xs:hexBinary",
            Self::Base64Binary => "xs:base64Binary",
            Self::GYear => "xs:gYear",
            Self::GYearMonth => "xs:gYearMonth",
            Self::GMonth => "xs:gMonth",
            Self::GMonthDay => "xs:gMonthDay",
            Self::GDay => "xs:gDay",
        }
    }

    /// The canonical form of a text; `None` if it is none of the type.
    pub(super) fn canonical(self, text: &str) -> Option<String> {
        match self {
            Self::HexBinary => {
                let hex = text.len().is_multiple_of(2) && text.bytes().all(|b| b.is_ascii_hexdigit());
                hex.then(|| text.to_ascii_uppercase())
            }
            Self::Base64Binary => {
                let packed: String = text.split_ascii_whitespace().collect();
                STANDARD.decode(&packed).is_ok().then_some(packed)
            }
            _ => {
                self.date_of(text)?;
                let plain = text.strip_suffix("+00:00").or_else(|| text.strip_suffix("-00:00"));
                Some(plain.map_or_else(|| text.to_owned(), |plain| format!("{plain}Z")))
            }
        }
    }

    /// A text that is the same for equal values: dates with what is missing filled in, in UTC.
    pub(super) fn key(self, text: &str, implicit_zone: i16) -> String {
        match self.date_of(text) {
            Some(moment) => format!("{self:?}{}", moment.utc(implicit_zone)),
            None => format!("{self:?}{text}"),
        }
    }

    /// The order of two values of binary data; dates have none.
    pub(super) fn order(self, a: &str, b: &str) -> Option<std::cmp::Ordering> {
        match self {
            Self::HexBinary => Some(a.cmp(b)),
            Self::Base64Binary => Some(STANDARD.decode(a).ok()?.cmp(&STANDARD.decode(b).ok()?)),
            _ => None,
        }
    }

    /// What the missing parts of a date are filled with, so that the text can be read as one.
    fn date_of(self, text: &str) -> Option<Moment> {
        let at = text.find(['Z', '+']).or_else(|| text.rfind('-').filter(|at| text[*at..].contains(':')));
        let (date, zone) = text.split_at(at.unwrap_or(text.len()));
        let whole = match self {
            Self::GYear => format!("{date}-01-01{zone}"),
            Self::GYearMonth => format!("{date}-01{zone}"),
            Self::GMonth => format!("2000-{}-01{zone}", date.strip_prefix("--")?),
            Self::GMonthDay => format!("2000-{}{zone}", date.strip_prefix("--")?),
            Self::GDay => format!("2000-01-{}{zone}", date.strip_prefix("---")?),
            Self::HexBinary | Self::Base64Binary => return None,
        };
        Moment::parse(MomentKind::Date, &whole)
    }

    /// The part of a date or time that the type is about.
    pub(super) fn of_moment(self, moment: Moment) -> Option<String> {
        let date = moment.to_kind(MomentKind::Date)?.to_string();
        // `-?YYYY-MM-DD` and the zone.
        let year = date[1..].find('-')? + 1;
        let zone = &date[year + 6..];
        Some(match self {
            Self::GYear => format!("{}{zone}", &date[..year]),
            Self::GYearMonth => format!("{}{zone}", &date[..year + 3]),
            Self::GMonth => format!("--{}{zone}", &date[year + 1..year + 3]),
            Self::GMonthDay => format!("--{}{zone}", &date[year + 1..year + 6]),
            Self::GDay => format!("---{}{zone}", &date[year + 4..year + 6]),
            Self::HexBinary | Self::Base64Binary => return None,
        })
    }

    /// Binary data in the other form.
    pub(super) fn convert(self, text: &str, to: Self) -> Option<String> {
        match (self, to) {
            (a, b) if a == b => Some(text.to_owned()),
            (Self::HexBinary, Self::Base64Binary) => {
                let bytes: Option<Vec<u8>> =
                    (0..text.len() / 2).map(|at| u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()).collect();
                Some(STANDARD.encode(bytes?))
            }
            (Self::Base64Binary, Self::HexBinary) => {
                let bytes = STANDARD.decode(text).ok()?;
                let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0').to_ascii_uppercase();
                Some(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect())
            }
            _ => None,
        }
    }
}
