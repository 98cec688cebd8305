//! Names and dates of real certificates; handshakes are tried in `crate::http`'s tests.

use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::names::{self, Names};
use crate::keystore::KeyStore;

fn certificate(bytes: &[u8]) -> CertificateDer<'static> {
    KeyStore::parse(bytes, "storepass", None).unwrap().key(None).unwrap().chain[0].clone()
}

#[test]
fn a_certificate_fits_its_alternative_names_or_else_its_common_name() {
    let local = certificate(include_bytes!("../keystore/fixtures/server.p12"));
    let named = certificate(include_bytes!("../keystore/fixtures/named.p12"));
    let cases = [
        (&local, "localhost", true),
        (&local, "LOCALHOST", true),
        (&local, "127.0.0.1", true),
        (&local, "127.0.0.2", false),
        (&local, "backend.test", false),
        (&named, "backend.test", true),
        (&named, "localhost", false),
        (&named, "127.0.0.1", false),
    ];
    for (certificate, host, expected) in cases {
        let names = Names::of(certificate).unwrap();
        assert_eq!(names.fit(&ServerName::try_from(host).unwrap()), expected, "{host} {names:?}");
    }
    assert!(Names::of(&CertificateDer::from(vec![0x30, 0])).is_none());
}

#[test]
fn a_certificate_is_good_between_its_dates() {
    let local = certificate(include_bytes!("../keystore/fixtures/server.p12"));
    let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    assert!(names::is_current(&local, at(2_000_000_000)));
    assert!(!names::is_current(&local, at(1_000_000_000)));
    assert!(!names::is_current(&local, at(10_000_000_000)));
}
