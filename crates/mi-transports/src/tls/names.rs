//! The names and the validity period in a certificate. The chain is verified elsewhere; this reads only what a
//! certificate says about itself.

use std::net::IpAddr;

use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use crate::der::{self, Reader};

/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
/// 2.5.29.17
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1D, 0x11];
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The hosts that a certificate is made for.
#[derive(Debug, Default)]
pub(super) struct Names {
    dns: Vec<String>,
    addresses: Vec<Vec<u8>>,
    common: Option<String>,
}

impl Names {
    /// `None`: no certificate.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let mut names = Self::default();
        let mut fields = fields(certificate)?;
        let _validity = fields.enter(der::SEQUENCE)?;
        let mut subject = fields.enter(der::SEQUENCE)?;
        while let Some(mut set) = subject.enter(der::SET) {
            while let Some(mut attribute) = set.enter(der::SEQUENCE) {
                if attribute.expect(der::OBJECT_IDENTIFIER) == Some(COMMON_NAME)
                    && let Some((_, text)) = attribute.next()
                {
                    names.common = Some(String::from_utf8_lossy(text).into_owned());
                }
            }
        }
        let _key = fields.enter(der::SEQUENCE)?;
        while let Some((tag, value)) = fields.next() {
            if tag == der::EXTENSIONS {
                names.read_extensions(value);
            }
        }
        Some(names)
    }

    fn read_extensions(&mut self, value: &[u8]) {
        let Some(mut extensions) = Reader::new(value).enter(der::SEQUENCE) else { return };
        while let Some(mut extension) = extensions.enter(der::SEQUENCE) {
            if extension.expect(der::OBJECT_IDENTIFIER) != Some(ALTERNATIVE_NAMES) {
                continue;
            }
            // A BOOLEAN may say that it is critical.
            while let Some((tag, value)) = extension.next() {
                if tag == der::OCTET_STRING {
                    self.read_alternatives(value);
                }
            }
        }
    }

    fn read_alternatives(&mut self, value: &[u8]) {
        let Some(mut alternatives) = Reader::new(value).enter(der::SEQUENCE) else { return };
        while let Some((tag, value)) = alternatives.next() {
            match tag {
                DNS_NAME => self.dns.push(String::from_utf8_lossy(value).into_owned()),
                IP_ADDRESS => self.addresses.push(value.to_vec()),
                _ => {}
            }
        }
    }

    /// True when the certificate is made for this host. The common name counts only without alternative names, as in
    /// Java's verifiers.
    pub(super) fn fit(&self, server: &ServerName<'_>) -> bool {
        let common = self.common.as_deref().filter(|_| self.dns.is_empty() && self.addresses.is_empty());
        match server {
            ServerName::DnsName(name) => {
                self.dns.iter().map(String::as_str).chain(common).any(|pattern| fits(pattern, name.as_ref()))
            }
            ServerName::IpAddress(address) => {
                let address = IpAddr::from(*address);
                let bytes = match address {
                    IpAddr::V4(address) => address.octets().to_vec(),
                    IpAddr::V6(address) => address.octets().to_vec(),
                };
                self.addresses.contains(&bytes) || common.is_some_and(|common| common == address.to_string())
            }
            _ => false,
        }
    }
}

/// `*` stands for one label, the leftmost.
fn fits(pattern: &str, host: &str) -> bool {
    let (pattern, host) = (pattern.trim_end_matches('.'), host.trim_end_matches('.'));
    match pattern.strip_prefix("*.") {
        Some(rest) => host.split_once('.').is_some_and(|(first, parent)| {
            !first.is_empty() && rest.contains('.') && parent.eq_ignore_ascii_case(rest)
        }),
        None => pattern.eq_ignore_ascii_case(host),
    }
}

/// True between the certificate's two dates.
pub(super) fn is_current(certificate: &CertificateDer<'_>, now: UnixTime) -> bool {
    let dates = || {
        let mut validity = fields(certificate)?.enter(der::SEQUENCE)?;
        Some((seconds(validity.next()?)?, seconds(validity.next()?)?))
    };
    dates().is_some_and(|(from, to)| (from..=to).contains(&(now.as_secs() as i64)))
}

/// A TBSCertificate from the validity on.
fn fields<'a>(certificate: &'a CertificateDer<'_>) -> Option<Reader<'a>> {
    let mut fields = Reader::new(certificate.as_ref()).enter(der::SEQUENCE)?.enter(der::SEQUENCE)?;
    fields.skip_if(der::VERSION);
    let _serial = fields.expect(der::INTEGER)?;
    let _signature = fields.enter(der::SEQUENCE)?;
    let _issuer = fields.enter(der::SEQUENCE)?;
    Some(fields)
}

/// Seconds since 1970 of a UTCTime (YYMMDDHHMMSSZ) or GeneralizedTime (YYYYMMDDHHMMSSZ).
fn seconds((tag, text): (u8, &[u8])) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, rest) = match tag {
        UTC_TIME => {
            let short = number(0, 2)?;
            (if short < 50 { 2000 + short } else { 1900 + short }, 2)
        }
        GENERALIZED_TIME => (number(0, 4)?, 4),
        _ => return None,
    };
    let (month, day) = (number(rest, rest + 2)?, number(rest + 2, rest + 4)?);
    let time = number(rest + 4, rest + 6)? * 3600 + number(rest + 6, rest + 8)? * 60 + number(rest + 8, rest + 10)?;
    Some(days_from_civil(year, month, day) * 86_400 + time)
}

/// Days since 1970-01-01 in the Gregorian calendar; years are counted from March, so the leap day comes last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_counted_from_1970() {
        #[rustfmt::skip]
        let cases: [(u8, &[u8], Option<i64>); 7] = [
            (UTC_TIME, b"700101000000Z", Some(0)),
            (UTC_TIME, b"000229120000Z", Some(951_825_600)),
            (UTC_TIME, b"491231235959Z", Some(2_524_607_999)),
            (GENERALIZED_TIME, b"20500101000000Z", Some(2_524_608_000)),
            (GENERALIZED_TIME, b"20240301000000Z", Some(1_709_251_200)),
            (UTC_TIME, b"7001010000Z", None),
            (UTC_TIME, b"xx0101000000Z", None),
        ];
        for (tag, text, expected) in cases {
            assert_eq!(seconds((tag, text)), expected, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn a_star_is_one_label() {
        let cases = [
            ("example.com", "EXAMPLE.com", true),
            ("example.com", "a.example.com", false),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com", false),
            ("*.example.com", "example.com", false),
            ("*.com", "example.com", false),
            ("*", "localhost", false),
        ];
        for (pattern, host, expected) in cases {
            assert_eq!(fits(pattern, host), expected, "{pattern} {host}");
        }
    }
}
