//! Key stores and trust stores: JKS, JCEKS, PKCS#12 and PEM files.
//!
//! The format is found out from the content, not from what a configuration calls it: MI installations have PKCS#12
//! files named `.jks` and the other way round, and Java reads them all the same.

mod jks;
#[cfg(test)]
mod tests;

use std::path::Path;

use p12_keystore::{KeyStoreEntry, Pkcs12ImportPolicy};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A key store larger than this is not read.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Why a key store could not be read.
#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    /// The file could not be read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The password of the store is wrong, or the store was changed behind its back.
    #[error("the key store's password is wrong or the key store is damaged")]
    Password,
    /// The password of a key is wrong.
    #[error("the password of the key \"{alias}\" is wrong")]
    KeyPassword {
        /// The key.
        alias: String,
    },
    /// No key store, or a damaged one.
    #[error("no key store that can be read: {0}")]
    Format(String),
    /// There is no key of that name, or none at all.
    #[error("the key store has no private key{}", .alias.as_ref().map(|alias| format!(" \"{alias}\"")).unwrap_or_default())]
    NoKey {
        /// The key that was asked for.
        alias: Option<String>,
    },
}

/// A private key and the certificates that vouch for it, its own first.
#[derive(Debug)]
pub struct KeyEntry {
    /// Name in the store.
    pub alias: String,
    /// Private key.
    pub key: PrivateKeyDer<'static>,
    /// Certificate chain.
    pub chain: Vec<CertificateDer<'static>>,
}

/// What a key store holds.
#[derive(Debug, Default)]
pub struct KeyStore {
    /// Private keys.
    pub keys: Vec<KeyEntry>,
    /// Trusted certificates with their names.
    pub trusted: Vec<(String, CertificateDer<'static>)>,
}

impl KeyStore {
    /// Reads a file. `key_password` is the password of the keys where it differs from the store's (JKS, JCEKS).
    pub fn load(path: &Path, password: &str, key_password: Option<&str>) -> Result<Self, KeyStoreError> {
        let file = |source| KeyStoreError::File { path: path.display().to_string(), source };
        let size = std::fs::metadata(path).map_err(file)?.len();
        if size > MAX_BYTES {
            return Err(KeyStoreError::Format(format!("{} is larger than {MAX_BYTES} bytes", path.display())));
        }
        Self::parse(&std::fs::read(path).map_err(file)?, password, key_password)
    }

    /// Reads a store from memory; see [`KeyStore::load`].
    pub fn parse(bytes: &[u8], password: &str, key_password: Option<&str>) -> Result<Self, KeyStoreError> {
        if jks::is_jks(bytes) {
            jks::parse(bytes, password, key_password.unwrap_or(password))
        } else if bytes.first() == Some(&crate::der::SEQUENCE) {
            from_pkcs12(bytes, password)
        } else if memchr::memmem::find(bytes, b"-----BEGIN ").is_some() {
            from_pem(bytes)
        } else {
            Err(KeyStoreError::Format("it is none of JKS, JCEKS, PKCS#12 and PEM".to_owned()))
        }
    }

    /// The key named `alias` (Java ignores case), or the first one.
    pub fn key(&self, alias: Option<&str>) -> Result<&KeyEntry, KeyStoreError> {
        self.keys
            .iter()
            .find(|entry| alias.is_none_or(|alias| entry.alias.eq_ignore_ascii_case(alias)))
            .ok_or_else(|| KeyStoreError::NoKey { alias: alias.map(str::to_owned) })
    }

    /// Every certificate that Java would trust with this store: the trusted ones and the first of each chain.
    pub fn anchors(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.trusted
            .iter()
            .map(|(_, certificate)| certificate)
            .chain(self.keys.iter().filter_map(|key| key.chain.first()))
    }
}

fn from_pkcs12(bytes: &[u8], password: &str) -> Result<KeyStore, KeyStoreError> {
    use p12_keystore::error::Error;
    let store =
        p12_keystore::KeyStore::from_pkcs12(bytes, password, Pkcs12ImportPolicy::Relaxed).map_err(
            |error| match error {
                Error::MacError(_) | Error::UnpadError | Error::Pkcs5Error(_) => KeyStoreError::Password,
                other => KeyStoreError::Format(other.to_string()),
            },
        )?;
    let mut read = KeyStore::default();
    for (alias, entry) in store.entries() {
        match entry {
            KeyStoreEntry::PrivateKeyChain(chain) => read.keys.push(KeyEntry {
                alias: alias.clone(),
                key: PrivatePkcs8KeyDer::from(chain.key().as_der().to_vec()).into(),
                chain: chain.certs().iter().map(|certificate| certificate.as_der().to_vec().into()).collect(),
            }),
            KeyStoreEntry::Certificate(certificate) => {
                read.trusted.push((alias.clone(), certificate.as_der().to_vec().into()));
            }
            KeyStoreEntry::Secret(_) => {}
        }
    }
    Ok(read)
}

/// A key and its chain, or trusted certificates when there is no key.
fn from_pem(bytes: &[u8]) -> Result<KeyStore, KeyStoreError> {
    let broken = |error: rustls::pki_types::pem::Error| KeyStoreError::Format(error.to_string());
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(bytes).collect::<Result<_, _>>().map_err(broken)?;
    if memchr::memmem::find(bytes, b"BEGIN ENCRYPTED PRIVATE KEY").is_some() {
        return Err(KeyStoreError::Format("encrypted keys in PEM files are not read; use PKCS#12".to_owned()));
    }
    match PrivateKeyDer::from_pem_slice(bytes) {
        Ok(key) => Ok(KeyStore { keys: vec![KeyEntry { alias: "pem".to_owned(), key, chain }], trusted: Vec::new() }),
        Err(rustls::pki_types::pem::Error::NoItemsFound) if !chain.is_empty() => {
            let trusted = chain.into_iter().enumerate().map(|(at, certificate)| (format!("pem-{at}"), certificate));
            Ok(KeyStore { keys: Vec::new(), trusted: trusted.collect() })
        }
        Err(error) => Err(broken(error)),
    }
}
