//! Scheduled work: when it is due, and the loop that runs it.
//!
//! One run ends before the next begins, unless the job lets them overlap. A run that was missed is not made up for: a cron
//! schedule skips it, an interval has at most one late run and then keeps its distance again. MI: Quartz with `DO_NOTHING`
//! and `DisallowConcurrentExecution`, `NTaskTaskManager`.

mod cron;
#[cfg(test)]
mod tests;

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use mi_config::Trigger;

use crate::inbound::{Control, Gauge, MIN_INTERVAL};
use crate::serve::Engine;
use crate::services::Clock;

pub use cron::Cron;

/// What a task does each time.
pub trait Job: Send + Sync + fmt::Debug {
    /// Does it once. The error is logged and the schedule goes on.
    fn run<'a>(&'a self, cx: &'a JobCx) -> BoxFuture<'a, Result<(), String>>;

    /// True when a run may begin while former ones are still under way.
    fn overlaps(&self) -> bool {
        false
    }
}

/// What a job is given.
#[derive(Clone, Debug)]
pub struct JobCx {
    /// Name of the task.
    pub name: Arc<str>,
    /// What is deployed.
    pub engine: Arc<Engine>,
}

/// When something is due.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// At once and then after each interval, for a number of times or without end.
    Interval {
        /// Time between the beginnings of two runs.
        every: Duration,
        /// Number of runs.
        count: Option<u64>,
    },
    /// At the times of a cron expression, in the server's time zone.
    Cron(Box<Cron>),
}

impl Schedule {
    /// The schedule of a trigger. The error says what is wrong with its cron expression.
    pub fn of(trigger: &Trigger) -> Result<Self, String> {
        match trigger {
            Trigger::Interval { every_ms, count } => {
                Ok(Self::Interval { every: Duration::from_millis(*every_ms), count: *count })
            }
            Trigger::Cron(text) => Cron::parse(text).map(|cron| Self::Cron(Box::new(cron))),
        }
    }
}

/// A cron time that is missed by more than this was not meant for now. MI: Quartz' `misfireThreshold`.
const MISFIRE: i64 = 60_000;
/// Longest sleep before the clock is looked at again, which may have been set, or stood still with the machine.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// The times at which a schedule is due, one after the other, in milliseconds since the epoch.
#[derive(Debug)]
pub struct Timetable<'s> {
    schedule: &'s Schedule,
    runs: u64,
    due: Option<i64>,
    /// When the last run began, which may be later than it was due.
    began: i64,
}

impl<'s> Timetable<'s> {
    /// Starts a schedule now.
    pub fn start(schedule: &'s Schedule, clock: &dyn Clock) -> Self {
        let now = clock.now_millis();
        let due = match schedule {
            Schedule::Interval { count: Some(0), .. } => None,
            Schedule::Interval { .. } => Some(now),
            Schedule::Cron(cron) => cron.next_after(now, clock),
        };
        Self { schedule, runs: 0, due, began: now }
    }

    /// When it is due next; `None` after the last time.
    pub fn due(&self) -> Option<i64> {
        self.due
    }

    /// Goes on to the next time after a run that was due and is over now (or was missed).
    fn advance(&mut self, now: i64, clock: &dyn Clock) {
        let Some(due) = self.due else { return };
        self.due = match self.schedule {
            Schedule::Interval { every, count } => {
                self.runs += 1;
                if count.is_some_and(|count| self.runs >= count) {
                    None
                } else {
                    let every = i64::try_from((*every).max(MIN_INTERVAL).as_millis()).unwrap_or(i64::MAX);
                    // Late by a whole interval: that run was the catch-up, and the distance counts from it.
                    let base = if self.began.saturating_sub(due) >= every { self.began } else { due };
                    Some(base.saturating_add(every))
                }
            }
            Schedule::Cron(cron) => cron.next_after(now.max(due), clock),
        };
    }

    /// True when the time that is due is one to run at, and not one that was missed.
    fn is_timely(&self, now: i64) -> bool {
        match (self.schedule, self.due) {
            (Schedule::Cron(_), Some(due)) => now - due <= MISFIRE,
            (Schedule::Interval { .. }, due) => due.is_some(),
            (Schedule::Cron(_), None) => false,
        }
    }

    /// Waits until a run is due. `None` when there will be none, or `control` ends the waiting.
    pub async fn wait(&mut self, clock: &dyn Clock, control: &Control) -> Option<()> {
        loop {
            if !control.resumed().await {
                return None;
            }
            let due = self.due?;
            let now = clock.now_millis();
            if now < due {
                let left = Duration::from_millis(u64::try_from(due - now).unwrap_or(0));
                control.sleep(left.min(LONGEST_SLEEP)).await;
            } else if self.is_timely(now) {
                self.began = now;
                return Some(());
            } else {
                log::warn!(target: "TaskScheduler", "A run that was due {} s ago is skipped", (now - due) / 1000);
                self.advance(now, clock);
            }
        }
    }

    /// Notes that the run which was due is over.
    pub fn ran(&mut self, clock: &dyn Clock) {
        self.advance(clock.now_millis(), clock);
    }
}

/// Most runs of one task that are under way at once; the next one waits for the first of them that ends.
const MOST_AT_ONCE: usize = 128;

/// Runs a job by its schedule until that ends or `control` says so, and then waits for what is under way.
pub(crate) async fn run(job: &dyn Job, schedule: &Schedule, cx: &JobCx, control: &Control, gauge: &Gauge) {
    let services = cx.engine.snapshot().services.clone();
    let clock = &*services.clock;
    let mut timetable = Timetable::start(schedule, clock);
    let most = if job.overlaps() { MOST_AT_ONCE } else { 1 };
    let mut under_way = FuturesUnordered::new();
    loop {
        if under_way.len() >= most {
            under_way.next().await;
            if !job.overlaps() {
                timetable.ran(clock);
            }
            continue;
        }
        tokio::select! {
            due = timetable.wait(clock, control) => match due {
                Some(()) => under_way.push(once(job, cx, gauge)),
                None => break,
            },
            Some(()) = under_way.next() => continue,
        }
        if job.overlaps() {
            timetable.ran(clock);
        }
    }
    while under_way.next().await.is_some() {}
}

/// One run, counted and with its error in the log.
pub(crate) async fn once(job: &dyn Job, cx: &JobCx, gauge: &Gauge) {
    let outcome = match AssertUnwindSafe(job.run(cx)).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(_) => Err("it ended in a panic".to_owned()),
    };
    match outcome {
        Ok(()) => gauge.message(),
        Err(why) => {
            gauge.message_failed();
            log::error!(target: "TaskScheduler", "Task {}: {why}", cx.name);
        }
    }
}
