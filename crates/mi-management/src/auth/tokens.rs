//! Tokens: JWTs signed with a key of this run, and the list of those that are valid. MI: `JWTInMemoryTokenStore`.
//!
//! A token is good because it is in the list, as a whole; no part of it is believed. That leaves nothing to be gained by
//! a token that names another algorithm, key, user or end.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

/// Longest token that is looked up.
const MAX_TOKEN: usize = 4096;

type Digest = [u8; 32];

#[derive(Clone, Debug)]
struct Issued {
    user: String,
    /// In the order of their making.
    number: u64,
    expires: SystemTime,
}

/// No token can be given.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// As many as allowed are valid.
    Store,
    /// The key cannot be made or used.
    Key,
}

/// The tokens of this run.
pub(crate) struct Tokens {
    key: OnceLock<Option<RsaKeyPair>>,
    lifetime: Duration,
    capacity: usize,
    remove_oldest: bool,
    issued: Mutex<HashMap<Digest, Issued>>,
}

impl Tokens {
    pub(crate) fn new(lifetime: Duration, capacity: usize, remove_oldest: bool) -> Self {
        Self { key: OnceLock::new(), lifetime, capacity: capacity.max(1), remove_oldest, issued: Mutex::default() }
    }

    /// A token for a user.
    pub(crate) fn issue(&self, user: &str, admin: bool, issuer: &str) -> Result<String, Full> {
        let now = SystemTime::now();
        let expires = now + self.lifetime;
        let token = self.sign(user, admin, issuer, expires).ok_or(Full::Key)?;
        let mut issued = self.lock();
        issued.retain(|_, it| it.expires > now);
        while issued.len() >= self.capacity {
            let oldest = issued.iter().min_by_key(|(_, it)| it.number).map(|(digest, _)| *digest);
            match oldest {
                Some(oldest) if self.remove_oldest => issued.remove(&oldest),
                _ => return Err(Full::Store),
            };
        }
        let number = issued.values().map(|it| it.number).max().map_or(0, |last| last + 1);
        issued.insert(digest_of(&token), Issued { user: user.to_owned(), number, expires });
        Ok(token)
    }

    fn sign(&self, user: &str, admin: bool, issuer: &str, expires: SystemTime) -> Option<String> {
        let key = self.key.get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).ok()).as_ref()?;
        let mut id = [0; 16];
        aws_lc_rs::rand::fill(&mut id).ok()?;
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let expires = expires.duration_since(UNIX_EPOCH).ok()?.as_secs();
        let header = json!({"kid": URL_SAFE_NO_PAD.encode(id), "alg": "RS256"});
        let scope = if admin { "admin" } else { "default" };
        let claims = json!({"iss": issuer, "sub": user, "exp": expires, "scope": scope});
        let signed = format!("{}.{}", part(&header), part(&claims));
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).ok()?;
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The user of a valid token.
    pub(crate) fn user(&self, token: &str) -> Option<String> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let issued = self.lock();
        issued.get(&digest_of(token)).filter(|it| it.expires > SystemTime::now()).map(|it| it.user.clone())
    }

    /// Makes a token invalid; false when it was.
    pub(crate) fn revoke(&self, token: &str) -> bool {
        self.lock().remove(&digest_of(token)).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Issued>> {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn digest_of(token: &str) -> Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issue(tokens: &Tokens, user: &str) -> String {
        tokens.issue(user, true, "https://h:1/").expect("there is room")
    }

    #[test]
    fn only_whole_tokens_of_this_run_count() {
        let tokens = Tokens::new(Duration::from_mins(1), 9, true);
        let token = issue(&tokens, "u");
        assert_eq!(tokens.user(&token).as_deref(), Some("u"));
        let parts: Vec<&str> = token.split('.').collect();
        let decode = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("text");
        assert!(decode(parts[0]).contains(r#""alg":"RS256""#) && decode(parts[1]).contains(r#""scope":"admin""#));
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        for forged in ["", ".", "a.b.c", &format!("{none}.{}.", parts[1]), &format!("{}.{}.", parts[0], parts[1])] {
            assert_eq!(tokens.user(forged), None, "{forged}");
        }
        assert_eq!(tokens.user(&"x".repeat(MAX_TOKEN + 1)), None);
        assert!(tokens.revoke(&token) && !tokens.revoke(&token));
        assert_eq!(tokens.user(&token), None);
    }

    #[test]
    fn tokens_expire_and_their_number_is_bounded() {
        let expired = Tokens::new(Duration::ZERO, 9, true);
        assert_eq!(expired.user(&issue(&expired, "u")), None);
        let two = Tokens::new(Duration::from_mins(1), 2, true);
        let all = [issue(&two, "a"), issue(&two, "b"), issue(&two, "c")];
        assert_eq!(all.each_ref().map(|token| two.user(token).is_some()), [false, true, true]);
        let strict = Tokens::new(Duration::from_mins(1), 1, false);
        let first = issue(&strict, "a");
        assert_eq!(strict.issue("b", false, ""), Err(Full::Store));
        assert_eq!(strict.user(&first).as_deref(), Some("a"));
    }
}
