//! What is paused or resumed on one server is so on all that share it: the arbiter keeps what was said last, each server
//! looks at it, and it holds after a restart. MI: `TaskStore#deactivateTask`, `#activateTask`.

use std::sync::Weak;

use super::{ANSWERED, ASKED, Coordination, Troubles, own};
use crate::inbound::{Control, Phase, Switch};

/// [`own`], with one state for all servers. `switch` is what `control` obeys.
pub(crate) async fn own_in_group<F, W>(
    coordination: &Coordination,
    what: &str,
    switch: Weak<Switch>,
    control: &Control,
    work: F,
) where
    F: FnMut(Control) -> W,
    W: Future<Output = ()>,
{
    let mut shared = Shared { coordination, what, switch, known: control.phase(), troubles: Troubles::default() };
    // Nothing begins before the others' word was heard, or could not be.
    shared.compare(control).await;
    let sharing = async {
        let mut told = control.clone();
        while control.phase() != Phase::Stopped {
            tokio::select! {
                () = told.changed() => {}
                () = tokio::time::sleep(coordination.share(ASKED)) => {}
            }
            shared.compare(control).await;
        }
        // What was begun ends in its own time.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = own(coordination, what, control, work) => {}
        () = sharing => {}
    }
}

/// The state of one thing, here and in the group.
struct Shared<'c> {
    coordination: &'c Coordination,
    what: &'c str,
    switch: Weak<Switch>,
    /// The state as this server and the group agreed on it last.
    known: Phase,
    troubles: Troubles,
}

impl Shared<'_> {
    /// Tells the group what changed here, and obeys what changed there.
    async fn compare(&mut self, control: &Control) {
        let (arbiter, what, local) = (&self.coordination.arbiter, self.what, control.phase());
        if local == Phase::Stopped {
            return;
        }
        let patience = self.coordination.share(ANSWERED);
        let compared = tokio::time::timeout(patience, async {
            if local != self.known {
                arbiter.set_state(what, local == Phase::Running).await?;
                return Ok(local);
            }
            Ok(match arbiter.state(what).await? {
                Some(true) => Phase::Running,
                Some(false) => Phase::Paused,
                None => local,
            })
        });
        match compared.await.unwrap_or_else(|_| Err(format!("no answer within {} ms", patience.as_millis()))) {
            Ok(phase) => {
                self.troubles.over(what);
                if phase != self.known && phase != local {
                    let word = if phase == Phase::Running { "resumed" } else { "paused" };
                    log::info!(target: "Coordination", "{what} was {word} on another server");
                    if let Some(switch) = self.switch.upgrade() {
                        switch.set(phase);
                    }
                }
                self.known = phase;
            }
            Err(why) => self.troubles.tell(what, &why),
        }
    }
}
