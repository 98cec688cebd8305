//! The two key store formats of old Java versions. Layout and key protection are those of the JDK's
//! `sun.security.provider.JavaKeyStore` and `com.sun.crypto.provider.JceKeyStore`.
//!
//! A store is: magic, version, count, entries, and a SHA-1 over the password, a fixed phrase and all of that. Numbers
//! are big endian.

use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use md5::Md5;
use rustls::pki_types::PrivatePkcs8KeyDer;
use sha1::{Digest, Sha1};

use super::{KeyEntry, KeyStore, KeyStoreError};
use crate::der;

const JKS: [u8; 4] = [0xFE, 0xED, 0xFE, 0xED];
const JCEKS: [u8; 4] = [0xCE, 0xCE, 0xCE, 0xCE];
/// What the integrity check is seasoned with.
const PHRASE: &[u8] = b"Mighty Aphrodite";
const DIGEST: usize = 20;
/// More entries than any store has.
const MAX_ENTRIES: u32 = 100_000;
/// The JDK's own limit is 5 million; a store that needs more than a second is not honest.
const MAX_ITERATIONS: u32 = 5_000_000;

/// 1.3.6.1.4.1.42.2.17.1.1: the JDK's own key stream.
const KEY_PROTECTOR: &[u8] = &[0x2B, 6, 1, 4, 1, 0x2A, 2, 0x11, 1, 1];
/// 1.3.6.1.4.1.42.2.19.1: PBEWithMD5AndTripleDES of JCEKS.
const PBE_MD5_3DES: &[u8] = &[0x2B, 6, 1, 4, 1, 0x2A, 2, 0x13, 1];

/// True for the first bytes of such a store.
pub(super) fn is_jks(bytes: &[u8]) -> bool {
    bytes.starts_with(&JKS) || bytes.starts_with(&JCEKS)
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], KeyStoreError> {
        if count > self.0.len() {
            return Err(KeyStoreError::Format("the file ends too early".to_owned()));
        }
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, KeyStoreError> {
        Ok(self.take(4)?.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    fn text(&mut self) -> Result<String, KeyStoreError> {
        let length = self.take(2)?;
        let length = usize::from(length[0]) << 8 | usize::from(length[1]);
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    fn blob(&mut self) -> Result<&'a [u8], KeyStoreError> {
        let length = self.number()? as usize;
        self.take(length)
    }

    fn certificate(&mut self, version: u32) -> Result<&'a [u8], KeyStoreError> {
        if version == 2 {
            let kind = self.text()?;
            if kind != "X.509" {
                return Err(KeyStoreError::Format(format!("a certificate of type {kind}")));
            }
        }
        self.blob()
    }
}

/// Reads a store. A wrong password is told before anything else is looked at.
pub(super) fn parse(bytes: &[u8], password: &str, key_password: &str) -> Result<KeyStore, KeyStoreError> {
    let Some(at) = bytes.len().checked_sub(DIGEST) else {
        return Err(KeyStoreError::Format("the file ends too early".to_owned()));
    };
    let (content, digest) = bytes.split_at(at);
    let expected = Sha1::new().chain_update(utf16(password)).chain_update(PHRASE).chain_update(content).finalize();
    if expected[..] != *digest {
        return Err(KeyStoreError::Password);
    }
    let mut input = Input(content);
    input.take(JKS.len())?;
    let version = input.number()?;
    if !(1..=2).contains(&version) {
        return Err(KeyStoreError::Format(format!("version {version}")));
    }
    let count = input.number()?;
    if count > MAX_ENTRIES {
        return Err(KeyStoreError::Format(format!("{count} entries")));
    }
    let mut store = KeyStore::default();
    for _ in 0..count {
        let kind = input.number()?;
        let alias = input.text()?;
        let _created = input.take(8)?;
        match kind {
            1 => {
                let protected = input.blob()?;
                let certificates = input.number()?;
                let mut chain = Vec::new();
                for _ in 0..certificates {
                    chain.push(input.certificate(version)?.to_vec().into());
                }
                let key =
                    unprotect(protected, key_password).ok_or(KeyStoreError::KeyPassword { alias: alias.clone() })?;
                store.keys.push(KeyEntry { alias, key: PrivatePkcs8KeyDer::from(key).into(), chain });
            }
            2 => store.trusted.push((alias, input.certificate(version)?.to_vec().into())),
            3 => {
                // A serialized Java object whose length is not told; what follows cannot be found.
                return Err(KeyStoreError::Format(format!("\"{alias}\" is a secret key; only key pairs are read")));
            }
            other => return Err(KeyStoreError::Format(format!("an entry of type {other}"))),
        }
    }
    Ok(store)
}

fn utf16(password: &str) -> Vec<u8> {
    password.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// Opens an EncryptedPrivateKeyInfo. `None`: wrong password, or no protection known here.
fn unprotect(protected: &[u8], password: &str) -> Option<Vec<u8>> {
    let mut outer = der::Reader::new(protected).enter(der::SEQUENCE)?;
    let mut algorithm = outer.enter(der::SEQUENCE)?;
    let encrypted = outer.expect(der::OCTET_STRING)?;
    let key = match algorithm.expect(der::OBJECT_IDENTIFIER)? {
        KEY_PROTECTOR => open_key_stream(encrypted, password)?,
        PBE_MD5_3DES => {
            let mut parameters = algorithm.enter(der::SEQUENCE)?;
            let salt = parameters.expect(der::OCTET_STRING)?;
            let iterations = der::small_integer(parameters.expect(der::INTEGER)?)?;
            open_triple_des(encrypted, password, salt.try_into().ok()?, iterations)?
        }
        _ => return None,
    };
    // A wrong password shows here at the latest.
    der::Reader::new(&key).expect(der::SEQUENCE).is_some().then_some(key)
}

/// A stream of SHA-1 digests, each over the password and the one before, is laid over the key; salt before, check
/// digest behind.
fn open_key_stream(encrypted: &[u8], password: &str) -> Option<Vec<u8>> {
    let (salt, rest) = encrypted.split_at_checked(DIGEST)?;
    let (cipher, check) = rest.split_at_checked(rest.len().checked_sub(DIGEST)?)?;
    let password = utf16(password);
    let mut mask = salt.to_vec();
    let mut key = Vec::with_capacity(cipher.len());
    for block in cipher.chunks(DIGEST) {
        mask = Sha1::new().chain_update(&password).chain_update(&mask).finalize().to_vec();
        key.extend(block.iter().zip(&mask).map(|(byte, mask)| byte ^ mask));
    }
    let expected = Sha1::new().chain_update(&password).chain_update(&key).finalize();
    (expected[..] == *check).then_some(key)
}

/// Key and vector come from MD5, iterated over each half of the salt.
fn open_triple_des(encrypted: &[u8], password: &str, mut salt: [u8; 8], iterations: u32) -> Option<Vec<u8>> {
    if iterations > MAX_ITERATIONS || !password.is_ascii() {
        return None;
    }
    let (first, second) = salt.split_at_mut(4);
    if first == second {
        // The JDK means to turn the first half round and gets this.
        let [a, b, c, d] = [first[0], first[1], first[2], first[3]];
        first.copy_from_slice(&[d, a, b, d]);
        debug_assert_eq!(c, second[2]);
    }
    let mut derived = Vec::with_capacity(32);
    for half in [&*first, &*second] {
        let mut digest = half.to_vec();
        for _ in 0..iterations {
            digest = Md5::new().chain_update(&digest).chain_update(password.as_bytes()).finalize().to_vec();
        }
        derived.extend_from_slice(&digest);
    }
    let decryptor = cbc::Decryptor::<des::TdesEde3>::new_from_slices(&derived[..24], &derived[24..]).ok()?;
    decryptor.decrypt_padded_vec::<Pkcs7>(encrypted).ok()
}
