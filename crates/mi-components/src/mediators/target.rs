//! `<target>` of the routers and splitters: where a message (or a part of one) goes.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::{Context, SequenceTarget};
use mi_engine::endpoint::Endpoint;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Effect, Flow};
use mi_engine::snapshot::EndpointRef;
use mi_engine::{flow, outflow};
use mi_message::Message;

use super::branch;

/// A target. MI: `eip.Target`.
#[derive(Debug)]
pub(super) struct Target {
    to: Option<String>,
    soap_action: Option<String>,
    destination: Destination,
}

#[derive(Debug)]
enum Destination {
    Sequence(SequenceTarget),
    Endpoint(Arc<Endpoint>),
    EndpointRef(EndpointRef),
    /// Neither is given: only `to` and `soapAction` have an effect.
    Nowhere,
}

impl Target {
    /// Reads a `<target>`. An inline sequence wins over `sequence`, and sequences over endpoints.
    pub(super) fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Self, Diagnostic> {
        cx.report_all(el.unknown_attrs(&["to", "soapAction", "sequence", "endpoint"]));
        cx.report_all(el.unknown_children(&["sequence", "endpoint"]));
        let destination = if let Some(sequence) = el.child("sequence") {
            Destination::Sequence(branch::inline(&sequence, cx))
        } else if let Some(target) = branch::named(el, "sequence", cx)? {
            Destination::Sequence(target)
        } else if let Some(endpoint) = el.child("endpoint") {
            Destination::Endpoint(cx.endpoint(&endpoint)?)
        } else if let Some(name) = el.qualified_attr("endpoint")? {
            Destination::EndpointRef(cx.endpoint_ref(&name))
        } else {
            Destination::Nowhere
        };
        Ok(Self {
            to: el.attr("to").map(|it| it.into_owned()),
            soap_action: el.attr("soapAction").map(|it| it.into_owned()),
            destination,
        })
    }

    /// True when the target is a sequence, which ends on its own; an endpoint hands the message over to the out flow.
    pub(super) fn is_sequence(&self) -> bool {
        matches!(self.destination, Destination::Sequence(_))
    }

    /// Sets the destination of a message that is about to go there.
    pub(super) fn address(&self, message: &mut Message) {
        if let Some(to) = &self.to {
            message.addressing.to = Some(to.clone());
        }
        if let Some(action) = &self.soap_action {
            message.addressing.action = Some(action.clone());
        }
    }

    /// How a flow goes on to reach the target.
    pub(super) fn enter(&self, cx: &mut Context) -> Result<Flow, Fault> {
        self.address(&mut cx.message);
        let endpoint = match &self.destination {
            Destination::Nowhere => return Ok(Flow::Next),
            Destination::Sequence(target) => return Ok(Flow::Enter(cx.resolve(target)?)),
            Destination::Endpoint(endpoint) => endpoint.clone(),
            Destination::EndpointRef(reference) => cx
                .snapshot
                .endpoint(reference)
                .ok_or_else(|| Fault::new(format!("Couldn't find the endpoint named : {}", reference.name())))?,
        };
        Ok(Flow::wait(SendTo(endpoint)))
    }

    /// Runs `part` on its own, beside the present flow.
    pub(super) fn spawn(&self, mut part: Context) {
        let first = self.enter(&mut part);
        tokio::spawn(async move {
            let _running = part.snapshot.services.begin_flow();
            flow::drive(&mut part, first).await;
        });
    }
}

struct SendTo(Arc<Endpoint>);

impl Effect for SendTo {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move { outflow::send_and_follow(cx, self.0, None).await })
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Flowing;

    /// Goes to a target and tells what the sequences noted, and where the message went.
    #[track_caller]
    fn check(target: &str, noted: Option<&str>, urls: &[&str]) {
        let xml = format!(
            "<conditionalRouter><conditionalRoute><condition><equal type='url' value='/a'/></condition>{target}\
             </conditionalRoute></conditionalRouter>"
        );
        let note =
            "<property name='ran' expression=\"concat('s ', get-property('To'), ' ', get-property('Action'))\"/>";
        let outcome = Flowing::of(&xml)
            .sequence("s", note)
            .endpoint("<endpoint name='e'><address uri='http://e:1/'/></endpoint>")
            .xml("<o/>")
            .with(|message| message.addressing.to = Some("/a".to_owned()))
            .answer("application/json", "{}")
            .run();
        assert_eq!(outcome.property("ran").as_deref(), noted, "{:?}", outcome.fault());
        let received: Vec<&str> = outcome.received().iter().map(|it| it.url.as_str()).collect();
        assert_eq!(received, urls);
    }

    #[test]
    fn destinations() {
        check("<target to='http://t' soapAction='urn:x' sequence='s'/>", Some("s http://t urn:x"), &[]);
        check("<target endpoint='e'/>", None, &["http://e:1/"]);
        check("<target><endpoint><address uri='http://i:1/'/></endpoint></target>", None, &["http://i:1/"]);
        let inline = "<sequence><property name='ran' value='inline'/></sequence>";
        check(&format!("<target sequence='s' endpoint='e'>{inline}</target>"), Some("inline"), &[]);
        check("<target sequence='s' endpoint='e'/>", Some("s /a "), &[]);
    }

    #[test]
    fn what_does_not_exist_is_a_fault() {
        for (target, text) in [
            ("<target sequence='none'/>", "Sequence named none cannot be found"),
            ("<target endpoint='none'/>", "Couldn't find the endpoint named : none"),
        ] {
            let xml = format!(
                "<conditionalRouter><conditionalRoute><condition><equal type='url' value='/a'/></condition>{target}\
                 </conditionalRoute></conditionalRouter>"
            );
            let outcome = Flowing::of(&xml).with(|message| message.addressing.to = Some("/a".to_owned())).run();
            assert_eq!(outcome.fault().as_deref(), Some(text));
        }
        let warnings = Flowing::of("<clone><target sequense='s'/></clone>").warnings();
        assert!(warnings.iter().any(|it| it.contains("did you mean 'sequence'?")), "{warnings:?}");
    }
}
