//! Stores written by `keytool` and `openssl` (`fixtures/README.md`), whole and damaged.

use super::*;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("fixtures/", $name)).as_slice()
    };
}

/// A summary: the aliases of keys with the length of their chains, then those of trusted certificates.
fn check(name: &str, bytes: &[u8], passwords: (&str, Option<&str>), expected: &str) {
    let summary = match KeyStore::parse(bytes, passwords.0, passwords.1) {
        Ok(store) => {
            for key in &store.keys {
                let provider = rustls::crypto::aws_lc_rs::default_provider();
                let signer = provider.key_provider.load_private_key(key.key.clone_key());
                assert!(signer.is_ok(), "{name}: {:?} is no usable key", key.alias);
            }
            let keys = store.keys.iter().map(|key| format!("{}:{}", key.alias, key.chain.len()));
            let trusted = store.trusted.iter().map(|(alias, _)| alias.clone());
            keys.chain(trusted).collect::<Vec<_>>().join(" ")
        }
        Err(error) => error.to_string(),
    };
    assert!(summary.starts_with(expected), "{name}: {summary:?} instead of {expected:?}");
}

const WRONG: &str = "the key store's password is wrong";
const NONE: &str = "no key store that can be read";

#[test]
fn stores_are_read_with_the_right_passwords() {
    type Case = (&'static str, &'static [u8], (&'static str, Option<&'static str>), &'static str);
    #[rustfmt::skip]
    let cases: [Case; 16] = [
        ("jks", fixture!("server.jks"), ("storepass", Some("keypass")), "server:1"),
        ("jks key", fixture!("server.jks"), ("storepass", None), "the password of the key \"server\" is wrong"),
        ("jks store", fixture!("server.jks"), ("storepas", Some("keypass")), WRONG),
        ("jceks", fixture!("server.jceks"), ("storepass", Some("keypass")), "server:1"),
        ("jceks key", fixture!("server.jceks"), ("storepass", Some("keypas")), "the password of the key \"server\" is wrong"),
        ("jceks secret", fixture!("secret.jceks"), ("storepass", None), NONE),
        ("p12", fixture!("server.p12"), ("storepass", None), "server:1"),
        ("p12 wrong", fixture!("server.p12"), ("storepas", None), WRONG),
        ("old p12", fixture!("legacy.p12"), ("storepass", None), "server:1"),
        ("trust jks", fixture!("trust.jks"), ("storepass", None), "s n"),
        ("trust p12", fixture!("trust.p12"), ("storepass", None), "n s"),
        ("pkcs8", fixture!("pkcs8.pem"), ("", None), "pem:1"),
        ("sec1", fixture!("sec1.pem"), ("", None), "pem:1"),
        ("trust pem", fixture!("trust.pem"), ("", None), "pem-0 pem-1"),
        ("encrypted pem", fixture!("encrypted.pem"), ("x", None), NONE),
        ("text", b"hello", ("", None), NONE),
    ];
    for (name, bytes, passwords, expected) in cases {
        check(name, bytes, passwords, expected);
    }
}

#[test]
fn the_same_certificate_comes_out_of_every_format() {
    let p12 = KeyStore::parse(fixture!("server.p12"), "storepass", None).unwrap();
    let pem = KeyStore::parse(fixture!("pkcs8.pem"), "", None).unwrap();
    let trust = KeyStore::parse(fixture!("trust.jks"), "storepass", None).unwrap();
    let own = &p12.key(None).unwrap().chain[0];
    assert_eq!(own, &pem.key(None).unwrap().chain[0]);
    assert!(trust.anchors().any(|anchor| anchor == own));
    assert!(p12.anchors().any(|anchor| anchor == own));
}

#[test]
fn a_key_is_found_by_its_name_in_any_case() {
    let store = KeyStore::parse(fixture!("server.jks"), "storepass", Some("keypass")).unwrap();
    assert!(store.key(Some("SERVER")).is_ok());
    assert_eq!(store.key(Some("other")).unwrap_err().to_string(), "the key store has no private key \"other\"");
    assert_eq!(KeyStore::default().key(None).unwrap_err().to_string(), "the key store has no private key");
}

#[test]
fn damage_is_an_error() {
    for (bytes, password) in [
        (fixture!("server.jks"), "storepass"),
        (fixture!("server.jceks"), "storepass"),
        (fixture!("server.p12"), "storepass"),
        (fixture!("pkcs8.pem"), ""),
    ] {
        for length in (0..bytes.len()).step_by(37) {
            // A PEM file cut behind its key is a key without certificates.
            let cut = KeyStore::parse(&bytes[..length], password, Some("keypass"));
            assert!(cut.as_ref().map_or(true, |store| store.keys.iter().all(|key| key.chain.is_empty())), "{length}");
        }
    }
}

/// A JKS file with a right digest around any content.
fn sealed(content: &[u8]) -> Vec<u8> {
    use sha1::{Digest, Sha1};
    let password: Vec<u8> = "p".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let digest = Sha1::new().chain_update(password).chain_update(b"Mighty Aphrodite").chain_update(content).finalize();
    [content, &digest].concat()
}

#[test]
fn lengths_that_lie_are_errors() {
    let head = [0xFE, 0xED, 0xFE, 0xED, 0, 0, 0, 2];
    let entry = |kind: u8, rest: &[u8]| {
        [&head[..], &[0, 0, 0, 1, 0, 0, 0, kind, 0, 1, b'a', 0, 0, 0, 0, 0, 0, 0, 0], rest].concat()
    };
    let cases = [
        head.to_vec(),
        [&head[..], &[0xFF, 0xFF, 0xFF, 0xFF]].concat(),
        [&head[..4], &[0, 0, 0, 9, 0, 0, 0, 0]].concat(),
        entry(1, &[0xFF, 0xFF, 0xFF, 0xFF]),
        entry(1, &[0, 0, 0, 2, 0x30, 0, 0xFF, 0xFF, 0xFF, 0xFF]),
        entry(2, &[0, 5, b'X', b'.', b'5', b'0', b'9', 0xFF, 0, 0, 0]),
        entry(2, &[0, 3, b'P', b'G', b'P', 0, 0, 0, 0]),
        entry(7, &[]),
    ];
    for content in cases {
        assert!(matches!(KeyStore::parse(&sealed(&content), "p", None), Err(KeyStoreError::Format(_))), "{content:?}");
    }
    let empty = [&head[..], &[0, 0, 0, 0]].concat();
    assert!(KeyStore::parse(&sealed(&empty), "p", None).unwrap().keys.is_empty());
}

#[test]
fn files_are_named_in_errors() {
    let error = KeyStore::load(Path::new("/nowhere/at/all.jks"), "", None).unwrap_err();
    assert!(error.to_string().starts_with("/nowhere/at/all.jks: "), "{error}");
}
