//! The loop around everything that is polled: one pass after the other, never two at once, with a growing pause after
//! passes that fail. MI: `InboundTask`, `AbstractPollingTransportListener`.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::control::Control;
use super::gauge::Gauge;

/// Something that is looked at again and again.
pub trait Poll: Send {
    /// Looks once and hands in what is there. It asks `control` between two messages and ends early when no more are
    /// wanted. An error says why the source could not be looked at; a message that fails is no error of the pass.
    fn poll<'a>(&'a mut self, control: &'a Control) -> BoxFuture<'a, Result<(), PollError>>;
}

/// Why a pass failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PollError(pub String);

impl From<std::io::Error> for PollError {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// Shortest time from one pass to the next; an interval of 0 must not become a loop that only looks.
pub const MIN_INTERVAL: Duration = Duration::from_millis(10);
/// Longest pause after failed passes, unless the interval is longer.
const MAX_PAUSE: Duration = Duration::from_mins(5);

/// Polls until told to stop. A pass begins an interval after the former one began, at the earliest when that has
/// ended. After failures the pause doubles, up to five minutes.
pub(crate) async fn run(
    mut poll: Box<dyn Poll>,
    interval: Duration,
    active: impl Fn() -> bool,
    control: Control,
    gauge: &Gauge,
) {
    let interval = interval.max(MIN_INTERVAL);
    let mut failures = 0;
    while control.resumed().await {
        let began = Instant::now();
        if active() {
            match pass(&mut *poll, &control).await {
                Ok(()) => {
                    failures = 0;
                    gauge.pass_succeeded();
                }
                Err(error) => {
                    failures += 1;
                    gauge.pass_failed(&error.0);
                }
            }
        }
        let pause = pause_after(interval, failures);
        control.sleep((began + pause).saturating_duration_since(Instant::now())).await;
    }
}

/// A panic fails the pass like any other error: the next one may find a world in which it does not happen.
async fn pass(poll: &mut dyn Poll, control: &Control) -> Result<(), PollError> {
    match AssertUnwindSafe(poll.poll(control)).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(_) => Err(PollError("the pass ended in a panic".to_owned())),
    }
}

/// Time from the beginning of a pass to that of the next.
fn pause_after(interval: Duration, failures: u32) -> Duration {
    if failures == 0 {
        return interval;
    }
    interval.saturating_mul(1 << failures.min(16)).clamp(interval, MAX_PAUSE.max(interval))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::super::control::{Phase, Switch};
    use super::*;

    /// What a pass does, by its number.
    struct Script {
        steps: Vec<Step>,
        began: Arc<Mutex<Vec<u64>>>,
        start: Instant,
        switch: Option<Switch>,
    }

    #[derive(Clone, Copy)]
    enum Step {
        Takes(u64),
        Fails,
        Panics,
        Pauses,
    }

    impl Poll for Script {
        fn poll<'a>(&'a mut self, _: &'a Control) -> BoxFuture<'a, Result<(), PollError>> {
            Box::pin(async move {
                let number = {
                    let mut began = self.began.lock().unwrap();
                    began.push(self.start.elapsed().as_secs());
                    began.len() - 1
                };
                match self.steps.get(number) {
                    Some(Step::Takes(seconds)) => tokio::time::sleep(Duration::from_secs(*seconds)).await,
                    Some(Step::Fails) => return Err(PollError("as told".to_owned())),
                    Some(Step::Panics) => panic!("as told"),
                    Some(Step::Pauses) => self.switch.as_ref().unwrap().set(Phase::Paused),
                    None => self.switch.as_ref().unwrap().set(Phase::Stopped),
                }
                Ok(())
            })
        }
    }

    /// Seconds at which the passes begin, with an interval of 10 s.
    #[track_caller]
    fn check(steps: &[Step], expected: &[u64]) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let began = Arc::new(Mutex::new(Vec::new()));
        let seen = began.clone();
        let steps = steps.to_vec();
        runtime.block_on(async move {
            let (switch, control) = Switch::new(Phase::Running);
            let script = Script { steps, began, start: Instant::now(), switch: Some(switch) };
            run(Box::new(script), Duration::from_secs(10), || true, control, &Gauge::new("test")).await;
        });
        assert_eq!(*seen.lock().unwrap(), expected);
    }

    #[test]
    fn passes_keep_the_interval_and_never_overlap() {
        check(&[Step::Takes(0), Step::Takes(3), Step::Takes(25), Step::Takes(0)], &[0, 10, 20, 45, 55]);
    }

    #[test]
    fn failures_and_panics_make_the_pause_longer() {
        check(&[Step::Fails, Step::Panics, Step::Fails, Step::Takes(0)], &[0, 20, 60, 140, 150]);
        check(&[Step::Fails; 7], &[0, 20, 60, 140, 300, 600, 900, 1200]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_lasts_until_it_is_ended() {
        let began = Arc::new(Mutex::new(Vec::new()));
        let (switch, control) = Switch::new(Phase::Running);
        let script =
            Script { steps: vec![Step::Pauses], began: began.clone(), start: Instant::now(), switch: Some(switch) };
        let gauge = Gauge::new("test");
        let waiting = run(Box::new(script), Duration::from_secs(10), || true, control, &gauge);
        assert!(tokio::time::timeout(Duration::from_mins(1), waiting).await.is_err());
        assert_eq!(*began.lock().unwrap(), [0]);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_polled_while_the_service_is_inactive() {
        let began = Arc::new(Mutex::new(Vec::new()));
        let (_switch, control) = Switch::new(Phase::Running);
        let script = Script { steps: Vec::new(), began: began.clone(), start: Instant::now(), switch: None };
        let gauge = Gauge::new("test");
        let waiting = run(Box::new(script), Duration::from_secs(10), || false, control, &gauge);
        assert!(tokio::time::timeout(Duration::from_mins(1), waiting).await.is_err());
        assert!(began.lock().unwrap().is_empty());
    }
}
