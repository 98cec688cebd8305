//! One owner: what may run on one of several servers only, tasks, message processors and polling inbound endpoints, runs
//! on the one that holds its lease.
//!
//! The engine names no kind of arbiter. An [`Arbiter`] hands out leases that end by themselves; `own` gets one, renews it
//! while the work runs, begins nothing new when that fails for too long, and ends what runs before the lease does. Another
//! server has the lease one period later at the latest. Time is counted from before the request was sent, on the clock that
//! cannot be set, so that clocks of servers need not agree. MI: `TaskEventListener`, `ScheduledTaskManager`.

mod group;
mod lease;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::inbound::{Control, Phase, Switch};
pub(crate) use group::own_in_group;
pub(crate) use lease::Lease;

/// Hands out leases. Every method may be called from many tasks at once, and is given up after a part of the period.
pub trait Arbiter: Send + Sync + fmt::Debug {
    /// Gets the lease of `what` for `period`, or renews it. `None` while somebody else has it. The number grows with each
    /// new holder.
    fn acquire<'a>(
        &'a self,
        what: &'a str,
        holder: &'a str,
        period: Duration,
    ) -> BoxFuture<'a, Result<Option<u64>, String>>;

    /// Gives the lease back, so that nobody has to wait for its end. Nothing happens when somebody else has it.
    fn release<'a>(&'a self, what: &'a str, holder: &'a str) -> BoxFuture<'a, Result<(), String>>;

    /// What [`Arbiter::set_state`] said of `what` last; `None` when nobody has said anything.
    fn state<'a>(&'a self, what: &'a str) -> BoxFuture<'a, Result<Option<bool>, String>>;

    /// Says to all servers of the group that `what` is to run (true) or to pause, until something else is said.
    fn set_state<'a>(&'a self, what: &'a str, runs: bool) -> BoxFuture<'a, Result<(), String>>;
}

/// How this server takes part.
#[derive(Clone, Debug)]
pub struct Coordination {
    /// Who decides.
    pub arbiter: Arc<dyn Arbiter>,
    /// Name of this server for as long as it runs: a server that was started again is another one.
    pub holder: Arc<str>,
    /// Length of a lease.
    pub period: Duration,
}

/// Shares of the period: how often a lease is renewed or asked for, how soon again after an error, how long one request may
/// take, when nothing new is begun, and when what runs is ended.
const RENEWED: f64 = 0.3;
const ASKED: f64 = 0.2;
const AGAIN: f64 = 0.1;
const ANSWERED: f64 = 0.25;
pub(crate) const CLOSING: f64 = 0.75;
pub(crate) const OVER: f64 = 0.9;
/// How long giving a lease back may take.
const GIVING_BACK: Duration = Duration::from_secs(2);

impl Coordination {
    fn share(&self, share: f64) -> Duration {
        self.period.mul_f64(share)
    }

    async fn ask(&self, what: &str) -> Result<Option<(Instant, u64)>, String> {
        let began = Instant::now();
        let asked = self.arbiter.acquire(what, &self.holder, self.period);
        match tokio::time::timeout(self.share(ANSWERED), asked).await {
            Ok(answer) => Ok(answer?.map(|number| (began, number))),
            Err(_) => Err(format!("no answer within {} ms", self.share(ANSWERED).as_millis())),
        }
    }

    async fn give_back(&self, what: &str) {
        let given = tokio::time::timeout(GIVING_BACK, self.arbiter.release(what, &self.holder)).await;
        if !matches!(given, Ok(Ok(()))) {
            log::warn!(target: "Coordination", "The lease of {what} was not given back; it ends by itself");
        }
    }
}

/// Runs `work` while this server holds the lease of `what`, again and again, until `control` ends it. Work that ends by
/// itself is done: the lease is kept, so that no other server does it again. Pausing keeps the lease, too.
pub(crate) async fn own<F, W>(coordination: &Coordination, what: &str, control: &Control, mut work: F)
where
    F: FnMut(Control) -> W,
    W: Future<Output = ()>,
{
    let mut troubles = Troubles::default();
    while control.resumed().await {
        match coordination.ask(what).await {
            Ok(Some((began, number))) => {
                troubles.over(what);
                log::info!(target: "Coordination", "{what} runs on this server now (lease {number})");
                let lease = Arc::new(Lease::new(began, coordination.period));
                let held = hold(coordination, what, control, &lease, &mut work).await;
                if held {
                    coordination.give_back(what).await;
                    return;
                }
                log::warn!(target: "Coordination", "{what} no longer runs on this server: its lease was lost");
            }
            Ok(None) => troubles.over(what),
            Err(why) => troubles.tell(what, &why),
        }
        control.sleep(coordination.share(ASKED)).await;
    }
}

/// Runs the work under a lease. True when `control` has ended it, false when the lease is lost.
async fn hold<F, W>(
    coordination: &Coordination,
    what: &str,
    control: &Control,
    lease: &Arc<Lease>,
    work: &mut F,
) -> bool
where
    F: FnMut(Control) -> W,
    W: Future<Output = ()>,
{
    let (switch, inner) = Switch::leased(control.phase(), lease.clone());
    let mut running = Box::pin(work(inner));
    let mut ended = false;
    let mut keeping = Box::pin(keep(coordination, what, lease));
    let mut told = control.clone();
    loop {
        let closing = lease.is_closing();
        switch.set(match control.phase() {
            // Nothing leads out of this phase, so it is set when the work is to end for good.
            Phase::Stopped => Phase::Stopped,
            _ if closing => Phase::Paused,
            other => other,
        });
        if ended && control.phase() == Phase::Stopped {
            return true;
        }
        tokio::select! {
            () = &mut running, if !ended => ended = true,
            () = &mut keeping => return false,
            () = lease.over() => return false,
            () = lease.changed(closing) => {}
            () = told.changed() => {}
        }
    }
}

/// Renews a lease; ends when somebody else has it.
async fn keep(coordination: &Coordination, what: &str, lease: &Lease) {
    let mut troubles = Troubles::default();
    let mut pause = coordination.share(RENEWED);
    loop {
        tokio::time::sleep(pause).await;
        pause = match coordination.ask(what).await {
            Ok(Some((began, _))) => {
                troubles.over(what);
                lease.renew(began, coordination.period);
                coordination.share(RENEWED)
            }
            Ok(None) => return,
            Err(why) => {
                troubles.tell(what, &why);
                coordination.share(AGAIN)
            }
        };
    }
}

/// Says the same error once.
#[derive(Debug, Default)]
struct Troubles(Option<String>);

impl Troubles {
    fn tell(&mut self, what: &str, why: &str) {
        if self.0.as_deref() != Some(why) {
            log::error!(target: "Coordination", "The lease of {what} cannot be asked for: {why}");
            self.0 = Some(why.to_owned());
        }
    }

    fn over(&mut self, what: &str) {
        if self.0.take().is_some() {
            log::info!(target: "Coordination", "The lease of {what} can be asked for again");
        }
    }
}
