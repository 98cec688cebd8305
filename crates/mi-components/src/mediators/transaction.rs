//! `<transaction>` begins, ends and asks for a transaction of the flow.
//!
//! What takes part in it looks for the property [`ACTIVE`] of the message. The property is one of axis2, so that a
//! transaction does not outlive a call to a back end, as MI's, which belongs to a thread, does not.

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("transaction", parse).attributes(&["action"]).children(&[]);

/// Set in the scope axis2 while there is a transaction. MI: `NhttpConstants#DISTRIBUTED_TRANSACTION`.
pub(crate) const ACTIVE: &str = "distributedTx";

/// MI: `TransactionMediator`.
#[derive(Debug)]
enum Transaction {
    /// Ends what there is; `commit` or `rollback`.
    End,
    New,
    UseExistingOrNew,
    FaultIfNone,
    /// Found out when a message comes.
    Unknown(String),
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let action = el
        .attr("action")
        .ok_or_else(|| el.error("The 'action' attribute is required for Transaction mediator definition"))?;
    Ok(Box::new(match &*action {
        "commit" | "rollback" => Transaction::End,
        "new" => Transaction::New,
        "use-existing-or-new" => Transaction::UseExistingOrNew,
        "fault-if-no-tx" => Transaction::FaultIfNone,
        other => {
            let warning = el.warning(format!("'{other}' is no action of a transaction; messages get a fault"));
            cx.report(warning.hint("one of new, use-existing-or-new, fault-if-no-tx, commit, rollback"));
            Transaction::Unknown(other.to_owned())
        }
    }))
}

impl Mediator for Transaction {
    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let axis2 = &mut cx.message.axis2;
        let is_active = axis2.is_true(ACTIVE);
        match self {
            Self::End if is_active => {
                axis2.remove(ACTIVE);
            }
            Self::End => {
                log::warn!(target: "TranscationManger", "{}There is no transaction to end", cx.artifact.log_prefix);
            }
            Self::New if is_active => {
                return Err(Fault::new("Require to begin a new transaction, but a transaction already exist"));
            }
            Self::New | Self::UseExistingOrNew => axis2.set(ACTIVE, true),
            Self::FaultIfNone if is_active => {}
            Self::FaultIfNone => return Err(Fault::new("No active transaction. Require an active transaction")),
            Self::Unknown(action) => return Err(Fault::new(format!("Invalid transaction mediator action : {action}"))),
        }
        Ok(Flow::Next)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Flowing;

    /// Runs transactions with the given actions one after the other.
    #[track_caller]
    fn check(actions: &[&str], fault: Option<&str>) {
        let steps: Vec<String> = actions.iter().map(|action| format!("<transaction action='{action}'/>")).collect();
        let outcome = Flowing::of(&format!("<rules>{}</rules>", steps.concat())).run();
        assert_eq!(outcome.fault().as_deref(), fault, "{actions:?}");
    }

    #[test]
    fn actions_in_order() {
        check(&["new", "fault-if-no-tx", "commit"], None);
        check(&["use-existing-or-new", "use-existing-or-new", "fault-if-no-tx", "rollback", "new"], None);
        check(&["commit", "rollback"], None);
        check(&["fault-if-no-tx"], Some("No active transaction. Require an active transaction"));
        check(&["new", "commit", "fault-if-no-tx"], Some("No active transaction. Require an active transaction"));
        check(&["new", "new"], Some("Require to begin a new transaction, but a transaction already exist"));
        check(&["suspend"], Some("Invalid transaction mediator action : suspend"));
    }

    #[test]
    fn the_action_is_required() {
        assert!(Flowing::error_of("<transaction/>").contains("'action' attribute is required"));
    }
}
