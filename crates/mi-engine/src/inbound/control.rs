//! How something that takes messages in is told to pause, to go on and to end.

use std::sync::Arc;

use tokio::sync::watch;

use crate::coordination::Lease;

/// What an intake is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Take messages in.
    Running,
    /// Take none until told otherwise; finish those that were begun.
    Paused,
    /// End as soon as what was begun is finished.
    Stopped,
}

/// The side that decides.
#[derive(Debug)]
pub struct Switch(watch::Sender<Phase>);

/// The side that obeys. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Control {
    phase: watch::Receiver<Phase>,
    /// What is done under a lease pauses when that runs out.
    lease: Option<Arc<Lease>>,
}

impl Switch {
    /// A switch in `phase`, and the view of those who obey it.
    pub fn new(phase: Phase) -> (Self, Control) {
        let (sender, receiver) = watch::channel(phase);
        (Self(sender), Control { phase: receiver, lease: None })
    }

    /// The same for work under a lease.
    pub(crate) fn leased(phase: Phase, lease: Arc<Lease>) -> (Self, Control) {
        let (sender, receiver) = watch::channel(phase);
        (Self(sender), Control { phase: receiver, lease: Some(lease) })
    }

    /// Sets the phase. Nothing leads out of [`Phase::Stopped`].
    pub fn set(&self, phase: Phase) {
        self.0.send_if_modified(|current| {
            let changes = *current != phase && *current != Phase::Stopped;
            if changes {
                *current = phase;
            }
            changes
        });
    }

    /// The present phase.
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }
}

impl Control {
    /// The present phase. A switch that is gone means the end.
    pub fn phase(&self) -> Phase {
        if self.phase.has_changed().is_err() {
            return Phase::Stopped;
        }
        match *self.phase.borrow() {
            Phase::Running if self.lease.as_ref().is_some_and(|lease| lease.is_closing()) => Phase::Paused,
            phase => phase,
        }
    }

    /// True while messages are to be taken in. Asked between two messages.
    pub fn is_running(&self) -> bool {
        self.phase() == Phase::Running
    }

    /// Resolves when no more messages are to be taken in.
    pub async fn halted(&self) {
        let mut receiver = self.phase.clone();
        // An error is a switch that is gone, which means the same.
        drop(receiver.wait_for(|phase| *phase != Phase::Running).await);
    }

    /// Resolves when the phase changes, and never when the switch is gone.
    pub(crate) async fn changed(&mut self) {
        if self.phase.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Resolves when messages are to be taken in (true) or never again (false).
    pub async fn resumed(&self) -> bool {
        let mut receiver = self.phase.clone();
        loop {
            // An error is a switch that is gone, which means the end.
            if receiver.wait_for(|phase| *phase != Phase::Paused).await.is_err() {
                return false;
            }
            match (self.phase(), &self.lease) {
                (Phase::Running, _) => return true,
                (Phase::Stopped, _) => return false,
                // The lease is running out; whoever keeps it sets the phase.
                (Phase::Paused, Some(lease)) => lease.changed(true).await,
                (Phase::Paused, None) => {}
            }
        }
    }

    /// Waits for `duration`, or until messages are no longer to be taken in.
    pub async fn sleep(&self, duration: std::time::Duration) {
        tokio::select! {
            () = tokio::time::sleep(duration) => {}
            () = self.halted() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_is_final() {
        let (switch, control) = Switch::new(Phase::Paused);
        assert!(!control.is_running());
        switch.set(Phase::Running);
        assert!(control.resumed().await && control.is_running());
        switch.set(Phase::Stopped);
        switch.set(Phase::Running);
        control.halted().await;
        assert!(!control.resumed().await && switch.phase() == Phase::Stopped);
    }

    #[tokio::test]
    async fn a_lost_switch_is_the_end() {
        let (switch, control) = Switch::new(Phase::Running);
        drop(switch);
        control.halted().await;
        assert!(!control.resumed().await && control.phase() == Phase::Stopped);
    }
}
