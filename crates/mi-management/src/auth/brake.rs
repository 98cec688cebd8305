//! A brake on guessing passwords: after a few failures there is a pause, and every further failure doubles it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Failures that cost nothing: of one address for one user, of one address for all users, of one user from everywhere.
/// The last is high, because it would lock out the user himself.
const FREE: [u32; 3] = [5, 20, 200];
/// Longest pause.
const LONGEST: Duration = Duration::from_mins(5);
/// Failures are forgotten after this long.
const MEMORY: Duration = Duration::from_mins(30);
/// Counts that are kept.
const MAX_COUNTS: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Pair(IpAddr, String),
    Address(IpAddr),
    User(String),
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Instant,
}

/// Failures lately.
#[derive(Debug, Default)]
pub(super) struct Brake(Mutex<HashMap<Key, Failures>>);

fn keys(address: IpAddr, user: &str) -> [Key; 3] {
    // Longer names than any user has need no place of their own.
    let user: String = user.chars().take(100).collect();
    [Key::Pair(address, user.clone()), Key::Address(address), Key::User(user)]
}

impl Brake {
    /// How long this user has to wait at this address.
    pub(super) fn wait(&self, address: IpAddr, user: &str, now: Instant) -> Option<Duration> {
        let counts = self.lock();
        let waits = keys(address, user).into_iter().zip(FREE).filter_map(|(key, free)| {
            let failures = counts.get(&key)?;
            let over = failures.count.checked_sub(free)?;
            let pause = Duration::from_secs(1 << over.min(10)).min(LONGEST);
            pause.checked_sub(now.saturating_duration_since(failures.last)).filter(|left| !left.is_zero())
        });
        waits.max()
    }

    /// A password was wrong.
    pub(super) fn failed(&self, address: IpAddr, user: &str, now: Instant) {
        let mut counts = self.lock();
        if counts.len() + FREE.len() > MAX_COUNTS {
            counts.retain(|_, failures| now.saturating_duration_since(failures.last) < LONGEST);
            if counts.len() + FREE.len() > MAX_COUNTS {
                counts.clear();
            }
        }
        for key in keys(address, user) {
            let failures = counts.entry(key).or_insert(Failures { count: 0, last: now });
            if now.saturating_duration_since(failures.last) > MEMORY {
                failures.count = 0;
            }
            failures.count = failures.count.saturating_add(1);
            failures.last = now;
        }
    }

    /// A password was right: this user at this address begins anew.
    pub(super) fn succeeded(&self, address: IpAddr, user: &str) {
        let [pair, _, _] = keys(address, user);
        self.lock().remove(&pair);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Failures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let brake = Brake::default();
        let (address, now) = (IpAddr::from([10, 0, 0, 1]), Instant::now());
        for _ in 0..FREE[0] {
            assert_eq!(brake.wait(address, "u", now), None);
            brake.failed(address, "u", now);
        }
        assert_eq!(brake.wait(address, "u", now), Some(Duration::from_secs(1)));
        assert_eq!(brake.wait(address, "u", now + Duration::from_secs(1)), None);
        brake.failed(address, "u", now);
        assert_eq!(brake.wait(address, "u", now), Some(Duration::from_secs(2)));
        assert_eq!(brake.wait(address, "v", now), None, "another user");
        assert_eq!(brake.wait(IpAddr::from([10, 0, 0, 2]), "u", now), None, "another address");
        brake.succeeded(address, "u");
        assert_eq!(brake.wait(address, "u", now), None);
        for user in 0..FREE[1] {
            brake.failed(address, &user.to_string(), now);
        }
        assert!(brake.wait(address, "new", now).is_some(), "the address as a whole");
    }

    #[test]
    fn memory_is_bounded() {
        let (brake, now) = (Brake::default(), Instant::now());
        for user in 0..MAX_COUNTS {
            brake.failed(IpAddr::from([10, 0, 0, 1]), &user.to_string(), now);
        }
        assert!(brake.lock().len() <= MAX_COUNTS);
    }
}
