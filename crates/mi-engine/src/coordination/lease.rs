//! A lease that this server holds, as those see it who work under it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::{CLOSING, OVER};

/// When to begin nothing more, and when to have ended. Renewing moves both.
#[derive(Debug)]
pub(crate) struct Lease(watch::Sender<Ends>);

#[derive(Clone, Copy, Debug)]
struct Ends {
    closing: Instant,
    over: Instant,
}

impl Ends {
    fn of(began: Instant, period: Duration) -> Self {
        Self { closing: began + period.mul_f64(CLOSING), over: began + period.mul_f64(OVER) }
    }
}

impl Lease {
    /// A lease for `period`, asked for at `began`.
    pub(crate) fn new(began: Instant, period: Duration) -> Self {
        Self(watch::Sender::new(Ends::of(began, period)))
    }

    pub(crate) fn renew(&self, began: Instant, period: Duration) {
        self.0.send_replace(Ends::of(began, period));
    }

    /// True when nothing more is to be begun. A process that stood still finds out by this before its timers do.
    pub(crate) fn is_closing(&self) -> bool {
        Instant::now() >= self.0.borrow().closing
    }

    /// Resolves when [`Lease::is_closing`] is no longer what it was.
    pub(crate) async fn changed(&self, was_closing: bool) {
        let mut ends = self.0.subscribe();
        loop {
            let closing = ends.borrow_and_update().closing;
            if (Instant::now() >= closing) != was_closing {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep_until(closing), if !was_closing => {}
                // The sender is in `self`.
                _ = ends.changed() => {}
            }
        }
    }

    /// Resolves when what runs must have ended.
    pub(crate) async fn over(&self) {
        let mut ends = self.0.subscribe();
        loop {
            let over = ends.borrow_and_update().over;
            tokio::select! {
                () = tokio::time::sleep_until(over) => return,
                _ = ends.changed() => {}
            }
        }
    }
}
