//! `<transaction>` begins, ends and asks for a transaction of the flow.
//!
//! It is a transaction of each database that takes part: `dbreport` with `useTransaction`, and from then on every mediator
//! on a database. A flow that ends without ending it undoes it. Parts of a split message are flows of their own.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Effect, Flow, Mediator};
use mi_engine::spec::MediatorSpec;
use tokio::time::Instant;

use super::connection::deadline;
use super::statement::failed;
use crate::error::SqlError;
use crate::pool::{Lease, Pool};

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("transaction", parse).attributes(&["action"]).children(&[]);

const TARGET: &str = "TransactionMediator";

/// The transaction of a flow: one of each database.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    leases: Vec<Lease>,
}

impl Transaction {
    /// Does a mediator take part? MI: `TranscationManger#isThreadHasEnlistment`.
    pub(super) fn is_joined(cx: &Context, asks: Asks) -> bool {
        let joined = |it: &Self| asks == Asks::ToJoin || !it.leases.is_empty();
        cx.shared.get::<Self>().is_some_and(joined)
    }

    /// The connection to a database that the transaction has, or now gets.
    pub(super) async fn lease(&mut self, pool: &Arc<Pool>, until: Instant) -> Result<&mut Lease, SqlError> {
        let at = match self.leases.iter().position(|lease| Arc::ptr_eq(lease.pool(), pool)) {
            Some(at) => at,
            None => {
                let mut lease = pool.lease(until).await?;
                lease.begin(until).await?;
                self.leases.push(lease);
                self.leases.len() - 1
            }
        };
        Ok(&mut self.leases[at])
    }

    /// Commits one database after the other. When one refuses, the ones behind it are undone.
    async fn commit(mut self, until: Instant) -> Result<(), SqlError> {
        for (committed, mut lease) in std::mem::take(&mut self.leases).into_iter().enumerate() {
            if let Err(mut error) = lease.commit(until).await {
                if committed > 0 {
                    error.message = format!("{} ({committed} databases have committed already)", error.message);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    async fn rollback(mut self, until: Instant) -> Result<(), SqlError> {
        let mut outcome = Ok(());
        for mut lease in std::mem::take(&mut self.leases) {
            outcome = outcome.and(lease.rollback(until).await);
        }
        outcome
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.leases.is_empty() {
            log::warn!(target: TARGET, "A flow ended within a transaction; what it changed is undone");
        }
    }
}

/// What a mediator wants of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// It takes part, with `useTransaction`.
    ToJoin,
    /// It takes part when another has joined.
    Nothing,
}

/// MI: `TransactionMediator`.
#[derive(Clone, Debug)]
enum Action {
    Commit,
    Rollback,
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
        "commit" => Action::Commit,
        "rollback" => Action::Rollback,
        "new" => Action::New,
        "use-existing-or-new" => Action::UseExistingOrNew,
        "fault-if-no-tx" => Action::FaultIfNone,
        other => {
            let warning = el.warning(format!("'{other}' is no action of a transaction; messages get a fault"));
            cx.report(warning.hint("one of new, use-existing-or-new, fault-if-no-tx, commit, rollback"));
            Action::Unknown(other.to_owned())
        }
    }))
}

impl Mediator for Action {
    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let is_active = cx.shared.get::<Transaction>().is_some();
        match self {
            Self::Commit | Self::Rollback if is_active => return Ok(Flow::wait(End(self.clone()))),
            Self::Commit | Self::Rollback => {
                log::warn!(target: "TranscationManger", "{}There is no transaction to end", cx.artifact.log_prefix);
            }
            Self::New if is_active => {
                return Err(Fault::new("Require to begin a new transaction, but a transaction already exist"));
            }
            Self::UseExistingOrNew | Self::FaultIfNone if is_active => {}
            Self::New | Self::UseExistingOrNew => cx.shared.insert(Transaction::default()),
            Self::FaultIfNone => return Err(Fault::new("No active transaction. Require an active transaction")),
            Self::Unknown(action) => return Err(Fault::new(format!("Invalid transaction mediator action : {action}"))),
        }
        Ok(Flow::Next)
    }
}

/// Ends the transaction of the flow.
struct End(Action);

impl Effect for End {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move {
            let Some(transaction) = cx.shared.remove::<Transaction>() else { return Ok(Flow::Next) };
            let until = deadline(cx);
            let (ended, text) = match self.0 {
                Action::Commit => (transaction.commit(until).await, "Unable to commit transaction"),
                _ => (transaction.rollback(until).await, "Unable to rollback transaction"),
            };
            ended.map_err(|error| failed(cx, TARGET, text.to_owned(), &error))?;
            Ok(Flow::Next)
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    const TABLE: &str = "CREATE TABLE t(id int PRIMARY KEY, name varchar(10))";

    /// Runs transactions with the given actions one after the other.
    #[track_caller]
    fn check(actions: &[&str], fault: Option<&str>) {
        let steps: Vec<String> = actions.iter().map(|action| format!("<transaction action='{action}'/>")).collect();
        let ran = Bench::with("").run(&steps.concat());
        assert_eq!(ran.fault().as_deref(), fault, "{actions:?}");
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
        assert!(Bench::with("").errors("<transaction/>").contains("'action' attribute is required"));
    }

    fn mediator(tag: &str, attributes: &str, statement: &str) -> String {
        format!(
            "<{tag} {attributes}><connection><pool><driver>org.h2.Driver</driver><url>URL</url><user>sa</user><password/></pool>\
             </connection><statement>{statement}</statement></{tag}>"
        )
    }

    /// Inserts a row within a transaction, looks for it from within, and ends as told. Tells what was seen and what stays.
    #[track_caller]
    fn check_ending(end: &str, stays: &[&str]) {
        let bench = Bench::with(TABLE);
        let insert = mediator("dbreport", "useTransaction='true'", "<sql>insert into t values(1, 'a')</sql>");
        let joined = mediator("dbreport", "", "<sql>insert into t values(2, 'b')</sql>");
        let look = mediator("dblookup", "", "<sql>select count(*) from t</sql><result name='seen' column='1'/>");
        let ran = bench.run(&format!("<transaction action='new'/>{insert}{joined}{look}{end}"));
        assert_eq!(ran.property("seen").as_deref(), Some("2"), "{end}: {:?}", ran.fault());
        drop(ran);
        assert_eq!(bench.rows("select name from t order by id").concat(), stays, "{end}");
    }

    #[test]
    fn what_a_transaction_changes_stays_when_it_is_committed() {
        check_ending("<transaction action='commit'/>", &["a", "b"]);
        check_ending("<transaction action='rollback'/>", &[]);
        check_ending("", &[]);
        let wrong = mediator("dbreport", "", "<sql>insert into t values(1, 'c')</sql>");
        check_ending(&wrong, &[]);
    }

    #[test]
    fn who_does_not_ask_takes_no_part_before_another_does() {
        let bench = Bench::with(TABLE);
        let insert = mediator("dbreport", "", "<sql>insert into t values(1, 'a')</sql>");
        bench.run(&format!("<transaction action='new'/>{insert}<transaction action='rollback'/>"));
        assert_eq!(bench.rows("select name from t"), [["a"]]);
    }

    #[test]
    fn without_a_transaction_there_is_none_to_use() {
        let bench = Bench::with(TABLE);
        let insert = mediator("dbreport", "useTransaction='true'", "<sql>insert into t values(1, 'a')</sql>");
        assert_eq!(bench.run(&insert).fault(), None);
        assert_eq!(bench.rows("select name from t"), [["a"]]);
    }
}
