//! What a throttle counts: messages of a caller in the present unit of time, and messages under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::policy::Rate;

/// The count of one caller. MI: `CallerContext`.
#[derive(Debug, Default)]
pub(super) struct Window {
    began: Option<i64>,
    ends: i64,
    count: i64,
    /// No access before this moment; 0 when access is not prohibited.
    prohibited_until: i64,
}

impl Window {
    /// Counts a message at the moment `now` if it may pass.
    pub(super) fn admits(&mut self, rate: Rate, now: i64) -> bool {
        let began = match self.began {
            Some(began) => began,
            None => {
                self.began = Some(now);
                self.ends = now.saturating_add(rate.unit);
                now
            }
        };
        if rate.count == 0 {
            return false;
        }
        if self.ends > now {
            if self.count < rate.count {
                self.count += 1;
                return true;
            }
            if self.prohibited_until == 0 {
                self.prohibited_until = if rate.prohibit == 0 {
                    began.saturating_add(rate.unit)
                } else {
                    now.saturating_add(rate.prohibit)
                };
                return false;
            }
            if self.prohibited_until > now {
                return false;
            }
        } else if self.count >= rate.count && self.prohibited_until > now {
            return false;
        }
        *self = Self { began: Some(now), ends: now.saturating_add(rate.unit), count: 1, prohibited_until: 0 };
        true
    }
}

/// Places for messages under way. MI: `ConcurrentAccessController`.
#[derive(Debug)]
pub(super) struct Places(AtomicU32);

impl Places {
    /// `limit` free places.
    pub(super) fn new(limit: u32) -> Arc<Self> {
        Arc::new(Self(AtomicU32::new(limit)))
    }

    /// Takes a place; it is free again when the result is dropped.
    pub(super) fn take(self: &Arc<Self>) -> Option<Place> {
        let taken = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |free| free.checked_sub(1));
        taken.is_ok().then(|| Place(self.clone()))
    }
}

/// A place that is taken.
#[derive(Debug)]
pub(super) struct Place(Arc<Places>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::{Places, Rate, Window};

    /// Sends messages at the given moments; tells which pass.
    #[track_caller]
    fn check(count: i64, unit: i64, prohibit: i64, moments: &[i64], expected: &str) {
        let mut window = Window::default();
        let passed: String = moments
            .iter()
            .map(|now| if window.admits(Rate { count, unit, prohibit }, *now) { '+' } else { '-' })
            .collect();
        assert_eq!(passed, expected);
    }

    #[test]
    fn windows() {
        check(2, 1000, 0, &[1, 2, 3, 500, 1001, 1002, 1003], "++--++-");
        check(2, 1000, 100, &[1, 2, 3, 50, 103, 104, 105], "++--++-");
        check(2, 1000, 5000, &[1, 2, 3, 2000, 5002, 5003], "++---+");
        check(2, 1000, 0, &[1, 2, 2000, 2001, 2002], "++++-");
        check(0, 1000, 0, &[1, 2000], "--");
    }

    #[test]
    fn places_come_back() {
        let places = Places::new(1);
        let place = places.take();
        assert!(place.is_some() && places.take().is_none());
        drop(place);
        assert!(places.take().is_some());
    }
}
