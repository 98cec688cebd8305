//! The state of an endpoint: ACTIVE, TIMEOUT, SUSPENDED or OFF, and what moves it. MI: `EndpointContext`.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use mi_config::deployment::FailoverLimits;

/// How failures count. MI: `EndpointDefinition`.
#[derive(Clone, Debug)]
pub struct SuspensionPolicy {
    /// Error codes that count as a time-out; empty means 101504 and 101505.
    pub timeout_codes: Vec<u32>,
    /// Time-outs that are let pass before the endpoint is suspended.
    pub retries_before_suspension: i32,
    /// Milliseconds between such retries.
    pub retry_delay: i64,
    /// Error codes that suspend at once; empty means any.
    pub suspend_codes: Vec<u32>,
    /// First suspension in milliseconds; negative means the default of 30 s.
    pub initial_duration: i64,
    /// Growth of each further suspension.
    pub progression_factor: f32,
    /// Longest suspension in milliseconds.
    pub maximum_duration: i64,
    /// Failures after which it is suspended whatever their codes are.
    pub failover: FailoverLimits,
}

impl Default for SuspensionPolicy {
    fn default() -> Self {
        Self {
            timeout_codes: Vec::new(),
            retries_before_suspension: 0,
            retry_delay: 0,
            suspend_codes: Vec::new(),
            initial_duration: -1,
            progression_factor: 1.0,
            maximum_duration: i64::MAX,
            failover: FailoverLimits::default(),
        }
    }
}

/// MI: `SynapseConstants.DEFAULT_ENDPOINT_SUSPEND_TIME`.
const DEFAULT_SUSPENSION: i64 = 30_000;

/// State of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Takes messages.
    Active = 1,
    /// Timed out lately; is tried again after the retry delay.
    Timeout = 2,
    /// Failed lately; is tried again after the suspension.
    Suspended = 3,
    /// Switched off by an operator.
    Off = 4,
}

impl State {
    /// The word that MI shows.
    pub fn label(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Timeout => "TIMEOUT",
            Self::Suspended => "SUSPENDED",
            Self::Off => "SWITCHED_OFF",
        }
    }

    fn from_u8(value: u8) -> Self {
        match value {
            2 => Self::Timeout,
            3 => Self::Suspended,
            4 => Self::Off,
            _ => Self::Active,
        }
    }
}

/// What a failure did to the state. Durations and moments are milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// Nothing.
    None,
    /// The endpoint is in TIMEOUT and is tried again.
    Timeout {
        /// Failures that are let pass from now on.
        retries_left: i32,
        /// When it is tried again.
        next_retry: i64,
    },
    /// It failed as often as `maximum.failover.retries` lets it, and is suspended.
    LimitReached {
        /// Length of this suspension.
        current: i64,
        /// When it is tried again.
        next_retry: i64,
    },
    /// The endpoint is suspended.
    Suspended {
        /// The suspension before this one, when there was one since it was last active.
        last: Option<i64>,
        /// Length of this suspension.
        current: i64,
        /// When it is tried again.
        next_retry: i64,
    },
}

#[derive(Clone, Copy, Debug)]
struct Detail {
    next_retry: i64,
    remaining_retries: i32,
    last_suspension: i64,
    /// Failures that are let pass before [`Transition::LimitReached`], alone and in a group; -1 is without end.
    left: i32,
    left_in_group: i32,
}

/// The state of one endpoint. Reading it while it is active costs one atomic load; the lock guards transitions only.
#[derive(Debug)]
pub struct EndpointState {
    policy: SuspensionPolicy,
    state: AtomicU8,
    detail: Mutex<Detail>,
}

impl EndpointState {
    /// An active endpoint.
    pub fn new(policy: SuspensionPolicy) -> Self {
        let detail = Detail {
            next_retry: 0,
            remaining_retries: policy.retries_before_suspension,
            last_suspension: -1,
            left: policy.failover.retries,
            left_in_group: policy.failover.group_retries,
        };
        Self { policy, state: AtomicU8::new(State::Active as u8), detail: Mutex::new(detail) }
    }

    /// The present state.
    pub fn state(&self) -> State {
        State::from_u8(self.state.load(Ordering::Acquire))
    }

    /// May a message be sent now? MI: `EndpointContext#readyToSend`.
    pub fn is_ready(&self, now_millis: i64) -> bool {
        match self.state() {
            State::Active => true,
            State::Timeout | State::Suspended => self.lock().next_retry <= now_millis,
            State::Off => false,
        }
    }

    /// A message was answered. Gives the state before, when it was not ACTIVE. MI: `EndpointContext#onSuccess`.
    pub fn on_success(&self) -> Option<State> {
        let before = self.state();
        if matches!(before, State::Active | State::Off) {
            return None;
        }
        self.set(State::Active, &mut self.lock());
        Some(before)
    }

    /// A message failed with an error code (`None` for a fault without one); `in_group` when it was sent as a member of a
    /// failover or load balance endpoint. MI: `AddressEndpoint#onFault`.
    pub fn on_fault(&self, code: Option<u32>, now_millis: i64, in_group: bool) -> Transition {
        if self.state() == State::Off {
            return Transition::None;
        }
        let mut detail = self.lock();
        if let Some(current) = self.limit_reached(&mut detail, in_group) {
            detail.last_suspension = current;
            detail.next_retry = now_millis.saturating_add(current);
            self.state.store(State::Suspended as u8, Ordering::Release);
            return Transition::LimitReached { current, next_retry: detail.next_retry };
        }
        if self.is_timeout(code) {
            if detail.remaining_retries <= 0 {
                return self.suspend(&mut detail, now_millis);
            }
            detail.remaining_retries -= 1;
            detail.next_retry = now_millis.saturating_add(self.policy.retry_delay);
            self.state.store(State::Timeout as u8, Ordering::Release);
            Transition::Timeout { retries_left: detail.remaining_retries, next_retry: detail.next_retry }
        } else if self.is_suspend_fault(code) {
            self.suspend(&mut detail, now_millis)
        } else {
            Transition::None
        }
    }

    /// Counts a failure; the length of the suspension when it is one too many. MI: `EndpointContext#isMaxRetryLimitReached`.
    fn limit_reached(&self, detail: &mut Detail, in_group: bool) -> Option<i64> {
        let limits = &self.policy.failover;
        let left = if in_group { &mut detail.left_in_group } else { &mut detail.left };
        match *left {
            i32::MIN..=-1 => None,
            0 if in_group => {
                *left = limits.group_retries;
                Some(limits.group_suspension_ms)
            }
            0 => Some(limits.suspension_ms),
            _ => {
                *left -= 1;
                None
            }
        }
    }

    fn is_timeout(&self, code: Option<u32>) -> bool {
        let code = code.unwrap_or_default();
        if self.policy.timeout_codes.is_empty() {
            matches!(code, 101_504 | 101_505)
        } else {
            self.policy.timeout_codes.contains(&code)
        }
    }

    fn is_suspend_fault(&self, code: Option<u32>) -> bool {
        code.is_some_and(|code| self.policy.suspend_codes.is_empty() || self.policy.suspend_codes.contains(&code))
    }

    fn suspend(&self, detail: &mut Detail, now_millis: i64) -> Transition {
        let last = Some(detail.last_suspension).filter(|last| *last >= 0);
        let initial = if self.policy.initial_duration < 0 { DEFAULT_SUSPENSION } else { self.policy.initial_duration };
        let duration = if detail.last_suspension < 0 {
            initial
        } else {
            (detail.last_suspension as f64 * f64::from(self.policy.progression_factor)) as i64
        };
        let duration = duration.min(self.policy.maximum_duration);
        let duration = if duration < 0 { DEFAULT_SUSPENSION } else { duration };
        detail.last_suspension = duration;
        detail.next_retry = now_millis.saturating_add(duration);
        detail.remaining_retries = self.policy.retries_before_suspension;
        self.state.store(State::Suspended as u8, Ordering::Release);
        Transition::Suspended { last, current: duration, next_retry: detail.next_retry }
    }

    /// Switches the endpoint off; only [`EndpointState::switch_on`] brings it back.
    pub fn switch_off(&self) {
        self.set(State::Off, &mut self.lock());
    }

    /// Makes the endpoint active.
    pub fn switch_on(&self) {
        self.set(State::Active, &mut self.lock());
    }

    /// Goes on from the state of another endpoint with the same policy.
    pub(crate) fn take_over(&self, former: &Self) {
        let state = former.state.load(Ordering::Acquire);
        *self.lock() = *former.lock();
        self.state.store(state, Ordering::Release);
    }

    fn set(&self, state: State, detail: &mut Detail) {
        detail.remaining_retries = self.policy.retries_before_suspension;
        detail.last_suspension = -1;
        // The counter of groups goes on, and its limit counts alone, too. MI: `EndpointContext#setState`.
        let limits = &self.policy.failover;
        detail.left = if limits.group_retries == -1 { limits.retries } else { limits.group_retries };
        self.state.store(state as u8, Ordering::Release);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Detail> {
        self.detail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> SuspensionPolicy {
        SuspensionPolicy {
            retries_before_suspension: 2,
            retry_delay: 10,
            suspend_codes: vec![101_503],
            initial_duration: 100,
            progression_factor: 2.0,
            maximum_duration: 300,
            ..SuspensionPolicy::default()
        }
    }

    #[test]
    fn timeouts_use_up_retries_before_the_suspension() {
        let endpoint = EndpointState::new(policy());
        for retry in 0..2 {
            endpoint.on_fault(Some(101_504), 1000 * retry, false);
            assert_eq!(endpoint.state(), State::Timeout, "retry {retry}");
            assert!(!endpoint.is_ready(1000 * retry + 9));
            assert!(endpoint.is_ready(1000 * retry + 10));
        }
        endpoint.on_fault(Some(101_504), 5000, false);
        assert_eq!(endpoint.state(), State::Suspended);
        assert!(!endpoint.is_ready(5099) && endpoint.is_ready(5100));
    }

    #[test]
    fn suspensions_grow_up_to_the_maximum_and_success_forgets_them() {
        let endpoint = EndpointState::new(policy());
        for (expected, round) in [(100, 0), (200, 1), (300, 2), (300, 3)] {
            let now = round * 10_000;
            endpoint.on_fault(Some(101_503), now, false);
            assert!(!endpoint.is_ready(now + expected - 1) && endpoint.is_ready(now + expected), "round {round}");
        }
        endpoint.on_success();
        assert_eq!(endpoint.state(), State::Active);
        endpoint.on_fault(Some(101_503), 0, false);
        assert!(endpoint.is_ready(100));
    }

    #[test]
    fn other_codes_leave_it_active_and_off_is_sticky() {
        let endpoint = EndpointState::new(policy());
        endpoint.on_fault(Some(101_500), 0, false);
        endpoint.on_fault(None, 0, false);
        assert_eq!(endpoint.state(), State::Active);
        endpoint.switch_off();
        endpoint.on_fault(Some(101_503), 0, false);
        endpoint.on_success();
        assert_eq!(endpoint.state(), State::Off);
        assert!(!endpoint.is_ready(i64::MAX));
    }

    #[test]
    fn too_many_failures_suspend_whatever_their_codes() {
        let failover = FailoverLimits { retries: 1, suspension_ms: 50, group_retries: 2, group_suspension_ms: 70 };
        let endpoint = EndpointState::new(SuspensionPolicy { suspend_codes: vec![1], failover, ..policy() });
        let fail = |now, in_group| endpoint.on_fault(Some(500_000), now, in_group);
        assert_eq!(fail(0, false), Transition::None);
        assert_eq!(fail(0, false), Transition::LimitReached { current: 50, next_retry: 50 });
        assert!(!endpoint.is_ready(49) && endpoint.is_ready(50));
        endpoint.on_success();
        for now in [0, 1000] {
            assert_eq!([fail(now, true), fail(now, true)], [Transition::None; 2]);
            assert_eq!(fail(now, true), Transition::LimitReached { current: 70, next_retry: now + 70 }, "counted anew");
        }
    }
}
