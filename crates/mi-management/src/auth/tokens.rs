//! Tokens: JWTs and the list of those that are valid. MI: `JWTInMemoryTokenStore`.
//!
//! A token of this run is good because it is in the list, as a whole; no part of it is believed. That leaves nothing to
//! be gained by a token that names another algorithm, key, user or end.
//!
//! Servers that share a secret accept each other's tokens as well, by their signature. Which run a token is of stands in
//! its key id: one of this run that is not in the list was revoked or had to go.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// The algorithm of tokens that servers have in common.
const SHARED: &str = "HS256";

/// Longest token that is looked up.
const MAX_TOKEN: usize = 4096;

/// Tokens of other servers whose users have logged out here are remembered until they end, so many at most.
const MAX_REVOKED: usize = 10_000;

type Digest = [u8; 32];

/// What a run is told by.
type Mark = [u8; 8];

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

/// How tokens are signed.
enum Key {
    /// For this run only.
    Own(OnceLock<Option<RsaKeyPair>>),
    /// As other servers do.
    Shared(Box<hmac::Key>),
}

/// The tokens that are valid.
pub(crate) struct Tokens {
    key: Key,
    mark: OnceLock<Mark>,
    lifetime: Duration,
    capacity: usize,
    remove_oldest: bool,
    issued: Mutex<HashMap<Digest, Issued>>,
    /// Tokens of others that are not valid any more, and when they end.
    revoked: Mutex<HashMap<Digest, SystemTime>>,
}

impl Tokens {
    /// With a `secret` that other servers have, too, their tokens count here.
    pub(crate) fn new(lifetime: Duration, capacity: usize, remove_oldest: bool, secret: Option<&str>) -> Self {
        let key = match secret {
            Some(secret) => Key::Shared(Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))),
            None => Key::Own(OnceLock::new()),
        };
        Self {
            key,
            mark: OnceLock::new(),
            lifetime,
            capacity: capacity.max(1),
            remove_oldest,
            issued: Mutex::default(),
            revoked: Mutex::default(),
        }
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
        let mut id = [0; 16];
        aws_lc_rs::rand::fill(&mut id).ok()?;
        id[..8].copy_from_slice(self.mark()?);
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let expires = expires.duration_since(UNIX_EPOCH).ok()?.as_secs();
        let algorithm = match self.key {
            Key::Own(_) => "RS256",
            Key::Shared(_) => SHARED,
        };
        let header = json!({"kid": URL_SAFE_NO_PAD.encode(id), "alg": algorithm});
        let scope = if admin { "admin" } else { "default" };
        let claims = json!({"iss": issuer, "sub": user, "exp": expires, "scope": scope});
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = match &self.key {
            Key::Own(key) => {
                let key = key.get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).ok()).as_ref()?;
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).ok()?;
                signature
            }
            Key::Shared(key) => hmac::sign(key, signed.as_bytes()).as_ref().to_vec(),
        };
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn mark(&self) -> Option<&Mark> {
        if self.mark.get().is_none() {
            let mut mark = Mark::default();
            aws_lc_rs::rand::fill(&mut mark).ok()?;
            return Some(self.mark.get_or_init(|| mark));
        }
        self.mark.get()
    }

    /// The user of a valid token.
    pub(crate) fn user(&self, token: &str) -> Option<String> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let now = SystemTime::now();
        if let Some(issued) = self.lock().get(&digest_of(token)) {
            return (issued.expires > now).then(|| issued.user.clone());
        }
        let (user, _) = self.of_others(token, now)?;
        Some(user)
    }

    /// The user and the end of a token that another server has given out, or a former run of this one.
    fn of_others(&self, token: &str, now: SystemTime) -> Option<(String, SystemTime)> {
        let Key::Shared(key) = &self.key else { return None };
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        hmac::verify(key, signed.as_bytes(), &signature).ok()?;
        // From here on it is known who wrote it.
        let (header, claims) = signed.split_once('.')?;
        let part = |text: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(text).ok()?).ok();
        let (header, claims) = (part(header)?, part(claims)?);
        let id = URL_SAFE_NO_PAD.decode(header["kid"].as_str()?).ok()?;
        if header["alg"] != SHARED || id.get(..8)? == self.mark()? {
            return None;
        }
        let expires = UNIX_EPOCH.checked_add(Duration::from_secs(claims["exp"].as_u64()?))?;
        if expires <= now || self.lock_revoked().contains_key(&digest_of(token)) {
            return None;
        }
        Some((claims["sub"].as_str()?.to_owned(), expires))
    }

    /// Makes a token invalid; false when it was. One of another server is invalid on this one only.
    pub(crate) fn revoke(&self, token: &str) -> bool {
        if self.lock().remove(&digest_of(token)).is_some() {
            return true;
        }
        let now = SystemTime::now();
        let Some((_, expires)) = self.of_others(token, now) else { return false };
        let mut revoked = self.lock_revoked();
        if revoked.len() >= MAX_REVOKED {
            revoked.retain(|_, end| *end > now);
        }
        if revoked.len() >= MAX_REVOKED
            && let Some(first) = revoked.iter().min_by_key(|(_, end)| **end).map(|(digest, _)| *digest)
        {
            revoked.remove(&first);
        }
        revoked.insert(digest_of(token), expires);
        true
    }

    fn lock_revoked(&self) -> MutexGuard<'_, HashMap<Digest, SystemTime>> {
        self.revoked.lock().unwrap_or_else(PoisonError::into_inner)
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
        let tokens = Tokens::new(Duration::from_mins(1), 9, true, None);
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
        let expired = Tokens::new(Duration::ZERO, 9, true, None);
        assert_eq!(expired.user(&issue(&expired, "u")), None);
        let two = Tokens::new(Duration::from_mins(1), 2, true, None);
        let all = [issue(&two, "a"), issue(&two, "b"), issue(&two, "c")];
        assert_eq!(all.each_ref().map(|token| two.user(token).is_some()), [false, true, true]);
        let strict = Tokens::new(Duration::from_mins(1), 1, false, None);
        let first = issue(&strict, "a");
        assert_eq!(strict.issue("b", false, ""), Err(Full::Store));
        assert_eq!(strict.user(&first).as_deref(), Some("a"));
    }

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn sharing(lifetime: Duration, secret: &str) -> Tokens {
        Tokens::new(lifetime, 2, true, Some(secret))
    }

    #[test]
    fn servers_with_one_secret_accept_each_others_tokens() {
        let minute = Duration::from_mins(1);
        let (here, there) = (sharing(minute, SECRET), sharing(minute, SECRET));
        let token = issue(&here, "u");
        assert_eq!((here.user(&token).as_deref(), there.user(&token).as_deref()), (Some("u"), Some("u")));
        assert_eq!(sharing(minute, &SECRET.replace('0', "1")).user(&token), None, "another secret");
        assert_eq!(Tokens::new(minute, 2, true, None).user(&token), None, "no secret");
        assert_eq!(there.user(&issue(&Tokens::new(minute, 2, true, None), "u")), None, "of a server without");
        assert_eq!(there.user(&issue(&sharing(Duration::ZERO, SECRET), "u")), None, "over");
        let other = issue(&here, "v");
        let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
        let (one, two) = (parts(&token), parts(&other));
        for forged in [
            format!("{}.{}.{}", one[0], two[1], one[2]),
            format!("{}.{}.", one[0], one[1]),
            format!("{}.{}", one[0], one[1]),
            format!("{}.{}.{}x", one[0], one[1], one[2]),
            format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), one[1], one[2]),
        ] {
            assert_eq!(there.user(&forged), None, "{forged}");
        }
        // Who logs out is out where the token came from, or where it was shown.
        assert!(there.revoke(&token) && !there.revoke(&token));
        assert_eq!((there.user(&token), here.user(&token).as_deref()), (None, Some("u")));
        assert!(here.revoke(&other));
        assert_eq!(here.user(&other), None, "its signature is good, and it is of this run");
        // So is one that had to go because there are too many.
        let more = [issue(&here, "a"), issue(&here, "b")];
        assert_eq!((here.user(&token), here.user(&more[1]).as_deref()), (None, Some("b")));
    }
}
