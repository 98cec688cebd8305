//! `<store>` puts the message into a message store and goes on.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use mi_config::{Diagnostic, Element};
use mi_engine::mediator::Resume;
use mi_engine::snapshot::{SequenceRef, StoreRef};
use mi_engine::store::{Store, StoreError};
use mi_engine::{BuildCx, Context, Effect, Fault, Flow, Mediator, MediatorSpec};
use mi_expr::Expr;
use mi_message::Message;

pub(super) const SPEC: MediatorSpec =
    MediatorSpec::new("store", parse).attributes(&["messageStore", "sequence", "name"]).children(&[]);

/// MI: `MessageStoreMediator`.
#[derive(Debug)]
struct StoreMediator {
    target: Target,
    /// Runs on the message before it is stored.
    sequence: Option<SequenceRef>,
}

#[derive(Clone, Debug)]
enum Target {
    Named(StoreRef),
    Computed(Expr),
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let name = el.require_attr("messageStore")?;
    let target = match name.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some(expression) => Target::Computed(el.compile(expression)?),
        None => Target::Named(cx.store_ref(&el.qualify(&name)?)),
    };
    let sequence = match el.filled_attr("sequence") {
        Some(name) => Some(cx.sequence_ref(&el.qualify(&name)?)),
        None => None,
    };
    Ok(Box::new(StoreMediator { target, sequence }))
}

impl Mediator for StoreMediator {
    fn reads_body(&self) -> bool {
        true
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let store = match &self.target {
            Target::Named(reference) => cx.snapshot.store(reference).cloned(),
            Target::Computed(expression) => {
                let name = expression.eval_string(&cx.message, &*cx.snapshot)?;
                cx.snapshot.stores.by_name(&name).cloned()
            }
        };
        let store = store.ok_or_else(|| Fault::new("Message Store does not exist."))?;
        match self.sequence.as_ref().and_then(|reference| cx.snapshot.sequence(reference)) {
            Some(sequence) => Ok(Flow::EnterThen(sequence, Box::new(AfterSequence(store)))),
            None => Ok(Flow::wait(Storing(store))),
        }
    }
}

/// Stores the message when the sequence has ended, however it did. MI does not look at what the sequence returns.
struct AfterSequence(Arc<Store>);

impl Resume for AfterSequence {
    fn resume(self: Box<Self>, _: &mut Context) -> Result<Flow, Fault> {
        Ok(Flow::wait(Storing(self.0)))
    }

    fn stopped(self: Box<Self>, _: &mut Context) -> Option<Result<Flow, Fault>> {
        Some(Ok(Flow::wait(Storing(self.0))))
    }

    fn fork(&self) -> Option<Box<dyn Resume>> {
        Some(Box::new(Self(self.0.clone())))
    }
}

struct Storing(Arc<Store>);

impl Effect for Storing {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move { self.store(cx).await })
    }
}

impl Storing {
    async fn store(&self, cx: &mut Context) -> Result<Flow, Fault> {
        if !cx.message.body.is_built() {
            // The sequence may have fetched another message.
            mi_engine::flow::build_body(cx).await?;
        }
        let snapshot = cx.snapshot.clone();
        let stored = self.0.put(stored_copy(&cx.message), None, &snapshot).await;
        if let Err(why) = stored {
            match self.0.failover().cloned() {
                Some(failover) => self.store_elsewhere(cx, &failover, &why).await?,
                None => return Err(self.failed(cx, &why, format!("in store [{}].", self.0.name))),
            }
        }
        // No answer is made up: whoever waits for one may get it from a processor, or by FORCE_SC_ACCEPTED.
        cx.exchange.note_send();
        Ok(Flow::Next)
    }

    async fn store_elsewhere(&self, cx: &mut Context, failover: &str, why: &StoreError) -> Result<(), Fault> {
        log::warn!(
            target: "MessageStoreMediator",
            "{}Store [{}] does not take a message, which goes to the failover store [{failover}]: {why}",
            cx.artifact.log_prefix, self.0.name
        );
        let in_failover = || format!("in failover store [{failover}].");
        let Some(store) = cx.snapshot.stores.by_name(failover).cloned() else {
            return Err(self.failed(cx, &StoreError::Unavailable("it is not deployed".to_owned()), in_failover()));
        };
        let snapshot = cx.snapshot.clone();
        let stored = store.put(stored_copy(&cx.message), None, &snapshot).await;
        stored.map_err(|why| self.failed(cx, &why, in_failover()))
    }

    /// MI's words, and the reason as the detail.
    fn failed(&self, cx: &mut Context, why: &StoreError, place: String) -> Fault {
        let services = &cx.snapshot.services;
        let id = cx.message.addressing.message_id.get_or_insert_with(|| services.clock.new_id()).clone();
        cx.message.properties.set("HTTP_SC", 500);
        let message = format!("Failed to store message [{id}] {place}");
        log::error!(target: "MessageStoreMediator", "{}{message} {why}", cx.artifact.log_prefix);
        let mut fault = Fault::new(message);
        fault.detail = format!("Failed to store message. {why}");
        fault
    }
}

/// What is stored: the message without what belongs to this flow only. MI: `MessageHelper#cloneMessageContext`,
/// `ContinuationStackManager#clearStack`.
fn stored_copy(message: &Message) -> Message {
    let mut copy = message.copy();
    copy.functions.clear();
    copy
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Deployed, Flowing};

    fn size(deployed: &Deployed, store: &str) -> Option<u64> {
        deployed.snapshot().stores.by_name(store)?.size()
    }

    #[test]
    fn a_message_is_stored_and_the_flow_goes_on() {
        let steps = "<store messageStore='s'/><property name='after' value='yes'/>";
        let deployed = Flowing::of(steps).artifact("<messageStore name='s'/>").deploy();
        let outcome = deployed.send(Message::new());
        assert_eq!(outcome.property("after").as_deref(), Some("yes"));
        assert_eq!(size(&deployed, "s"), Some(1));
    }

    #[test]
    fn the_store_may_be_computed() {
        let deployed = Flowing::of("<store messageStore='{//store}'/>").artifact("<messageStore name='s'/>").deploy();
        let mut message = Message::new();
        message.body = mi_message::Body::from_bytes("<m><store>s</store></m>", Some("application/xml".into()));
        assert_eq!(deployed.send(message).fault(), None);
        assert_eq!(size(&deployed, "s"), Some(1));
        assert_eq!(deployed.send(Message::new()).fault().as_deref(), Some("Message Store does not exist."));
    }

    #[test]
    fn the_sequence_runs_first_and_need_not_end() {
        for steps in ["<property name='p' value='1'/>", "<property name='p' value='1'/><drop/>"] {
            let mediator = "<store messageStore='s' sequence='before'/><property name='after' value='yes'/>";
            let deployed =
                Flowing::of(mediator).sequence("before", steps).artifact("<messageStore name='s'/>").deploy();
            let outcome = deployed.send(Message::new());
            assert_eq!(outcome.property("after").as_deref(), Some("yes"), "{steps}");
            assert_eq!(outcome.property("p").as_deref(), Some("1"), "{steps}");
            assert_eq!(size(&deployed, "s"), Some(1), "{steps}");
        }
    }

    #[test]
    fn a_store_that_takes_nothing_is_a_fault_in_the_words_of_mi() {
        let full = "<messageStore name='s'><parameter name='store.max.bytes'>1</parameter></messageStore>";
        let outcome = Flowing::of("<store messageStore='s'/>").artifact(full).run();
        let fault = outcome.fault().expect("a fault");
        assert!(fault.starts_with("Failed to store message [") && fault.ends_with("] in store [s]."), "{fault}");
        let detail = outcome.property("ERROR_DETAIL").expect("a detail");
        assert!(detail.contains("the store is full: store.max.bytes is 1"), "{detail}");
        assert_eq!(outcome.property("HTTP_SC").as_deref(), Some("500"));
    }

    #[test]
    fn what_a_store_does_not_take_goes_to_its_failover_store() {
        let guaranteed = "<messageStore name='s' class='org.apache.synapse.message.store.impl.jms.JmsStore'>\
            <parameter name='store.producer.guaranteed.delivery.enable'>true</parameter>\
            <parameter name='store.failover.message.store.name'>f</parameter></messageStore>";
        let flowing = || Flowing::of("<store messageStore='s'/>").artifact(guaranteed);
        assert!(
            flowing().warnings()[0].contains("does not have the message store class"),
            "{:?}",
            flowing().warnings()
        );
        let deployed = flowing().artifact("<messageStore name='f'/>").deploy();
        assert_eq!(deployed.send(Message::new()).fault(), None);
        assert_eq!(size(&deployed, "f"), Some(1));
        let fault = flowing().run().fault().expect("a fault");
        assert!(fault.ends_with("] in failover store [f]."), "{fault}");
    }

    #[test]
    fn wrong_parameters_are_said() {
        for (store, expected) in [
            (
                "<messageStore name='s'><parameter name='store.max.mesages'>1</parameter></messageStore>",
                "store.max.messages",
            ),
            ("<messageStore name='s' class='x.Y'/>", "class=\"durable\""),
        ] {
            let warnings = Flowing::of("<store messageStore='s'/>").artifact(store).warnings().join("\n");
            assert!(warnings.contains(expected), "{warnings}");
        }
        assert!(Flowing::error_of("<store/>").contains("messageStore"));
    }
}
