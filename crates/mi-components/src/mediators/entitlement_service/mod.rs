//! `<entitlementService>` asks a policy decision point (XACML) whether the user may do this, and takes the branch
//! `onAccept` or `onReject`. Obligations and advice that come with the decision go through sequences of their own.
//!
//! The questions and answers are in `pdp`. Clients by thrift and WS-XACML, and callbacks that read WS-Security headers, are
//! reported at deployment.

mod pdp;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::{Context, SequenceTarget};
use mi_engine::fault::Fault;
use mi_engine::flow;
use mi_engine::mediator::{Effect, Flow, Mediator, Resume};
use mi_engine::spec::MediatorSpec;
use mi_message::{Message, Value, XmlValue};
use mi_xml::Document;

use self::pdp::{Decision, Pdp, Question};
use super::{branch, unsupported};
use crate::payload;

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("entitlementService", parse)
    .attributes(&[
        "remoteServiceUrl",
        "remoteServiceUserName",
        "remoteServicePassword",
        "remoteServiceUrlKey",
        "remoteServiceUserNameKey",
        "remoteServicePasswordKey",
        "callbackClass",
        "cacheType",
        "invalidationInterval",
        "maxCacheEntries",
        "client",
        "thriftHost",
        "thriftPort",
        "reuseSession",
        "onReject",
        "onAccept",
        "obligations",
        "advice",
    ])
    .children(&["onReject", "onAccept", "obligations", "advice"]);

/// Where the callbacks of MI live.
const CALLBACKS: &str = "org.wso2.micro.integrator.identity.entitlement.mediator.callback.";
const CALLBACKS_OF_EI: &str = "org.wso2.carbon.identity.entitlement.mediator.callback.";
/// The callback that reads the user from the axis2 property `username`.
const BY_PROPERTY: &str = "UTEntitlementCallbackHandler";

/// MI: `EntitlementMediator`.
#[derive(Debug)]
struct EntitlementService(Arc<Settings>);

#[derive(Debug)]
struct Settings {
    pdp: Pdp,
    on_accept: Option<SequenceTarget>,
    on_reject: Option<SequenceTarget>,
    obligations: Option<SequenceTarget>,
    advice: Option<SequenceTarget>,
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    if let Some(class) = el.filled_attr("callbackClass") {
        let class = class.trim();
        let known = [CALLBACKS, CALLBACKS_OF_EI].iter().find_map(|package| class.strip_prefix(package));
        if known != Some(BY_PROPERTY) {
            let reason =
                format!("the callback '{class}' of <entitlementService> is Java code that this server has not");
            let hint = "leave callbackClass out, and put the user's name into the axis2 property 'username'";
            return Ok(unsupported::refuse(el, cx, reason, hint));
        }
    }
    if let Some(client @ ("thrift" | "wsXacml")) = el.attr("client").as_deref() {
        let reason = format!("the client '{client}' of <entitlementService> is not supported");
        return Ok(unsupported::refuse(el, cx, reason, "use the client 'basicAuth' or 'soap'"));
    }
    if el.attr("remoteServicePassword").is_some_and(|password| password.starts_with(pdp::ENCODED)) {
        let reason =
            "the password of <entitlementService> begins with 'enc:': it is encrypted with the key of an MI server";
        let hint = "write it as '$SYSTEM:NAME', or name a resource with remoteServicePasswordKey";
        return Ok(unsupported::refuse(el, cx, reason.to_owned(), hint));
    }
    Ok(Box::new(EntitlementService(Arc::new(Settings {
        pdp: Pdp::parse(el)?,
        on_accept: parse_branch(el, "onAccept", cx)?,
        on_reject: parse_branch(el, "onReject", cx)?,
        obligations: parse_branch(el, "obligations", cx)?,
        advice: parse_branch(el, "advice", cx)?,
    }))))
}

/// The sequence that the attribute names, else the element of the same name.
fn parse_branch(el: &Element, name: &str, cx: &mut BuildCx<'_>) -> Result<Option<SequenceTarget>, Diagnostic> {
    match el.attr(name) {
        Some(key) => Ok(Some(SequenceTarget::Named(cx.sequence_ref(&el.qualify(key.trim())?)))),
        None => Ok(el.child(name).map(|inline| branch::inline(&inline, cx))),
    }
}

impl Mediator for EntitlementService {
    fn reads_body(&self) -> bool {
        true
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let question = question(&cx.message)?;
        Ok(Flow::wait(Ask { settings: self.0.clone(), question }))
    }
}

/// Who wants to do what. MI: `UTEntitlementCallbackHandler`, `EntitlementCallbackHandler`.
fn question(message: &Message) -> Result<Question, Fault> {
    let property = |name: &str| message.axis2.get(name).filter(|it| !it.is_null()).map(|it| it.to_text().into_owned());
    let is_true = |name: &str| property(name).is_some_and(|it| it.eq_ignore_ascii_case("true"));
    let user = property("username")
        .ok_or_else(|| Fault::new("User name not provided for the Entitlement mediator - can't proceed"))?;
    let service = message.addressing.to.clone().unwrap_or_default();
    let service = match property("xacml_resource_prefix").filter(|prefix| !prefix.trim().is_empty()) {
        Some(prefix) if is_true("xacml_resource_prefix_only") => prefix,
        Some(prefix) => prefix + &service,
        None => service,
    };
    // MI: any other value than "false" counts here, but only "true" for the action.
    let by_method = property("xacml_use_rest").is_some_and(|it| !it.eq_ignore_ascii_case("false"));
    let operation = if by_method { property("HTTP_METHOD") } else { root_name(message)? };
    let action = property("xacml_action").or_else(|| property("HTTP_METHOD").filter(|_| is_true("xacml_use_rest")));
    Ok(Question {
        user,
        resource: operation.map_or_else(|| service.clone(), |operation| format!("{service}/{operation}")),
        action: action.unwrap_or_else(|| "read".to_owned()),
    })
}

fn root_name(message: &Message) -> Result<Option<String>, Fault> {
    let envelope = message.body.envelope()?;
    Ok(envelope.payload().map(|root| envelope.document().local_name(root).to_owned()))
}

struct Ask {
    settings: Arc<Settings>,
    question: Question,
}

impl Effect for Ask {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move {
            let Self { settings, question } = *self;
            let decision = match settings.pdp.decide(&question, cx).await {
                Ok(decision) => decision,
                Err(why) => {
                    let fault = Fault::new("Error occurred while evaluating the policy");
                    let prefix = &cx.artifact.log_prefix;
                    log::error!(target: "EntitlementMediator", "{prefix}{}: {why}", fault.message);
                    return Err(Fault { detail: why, ..fault });
                }
            };
            settings.follow(decision, cx)
        })
    }
}

impl Settings {
    /// MI: `EntitlementMediator#mediate`, from the decision on.
    fn follow(self: Arc<Self>, decision: Decision, cx: &mut Context) -> Result<Flow, Fault> {
        let envelope = cx.message.body.envelope()?;
        let original = envelope.document().root_element().map(|root| XmlValue::copy_of(envelope.document(), root));
        let Decision { verdict: decision, obligations, advice } = decision;
        let properties = &mut cx.message.properties;
        if let Some(original) = original {
            properties.set("ORIGINAL_ENTITLEMENT_PAYLOAD", Value::Xml(original));
        }
        properties.set("ENTITLEMENT_DECISION", decision.as_str());
        if let Some(advice) = advice.clone() {
            properties.set("ENTITLEMENT_ADVICE", Value::Xml(advice));
        }
        if decision != "Permit" && decision != "Deny" {
            return self.enter(Verdict::Rejected, cx);
        }
        let verdict = if decision == "Permit" { Verdict::Accepted } else { Verdict::Rejected };
        if let (Some(advice), Some(target)) = (advice, &self.advice) {
            let mut part = cx.fork(cx.message.copy());
            put(&mut part.message, &advice);
            let sequence = part.resolve(target)?;
            let guard = cx.snapshot.services.begin_flow();
            tokio::spawn(async move {
                flow::run(&mut part, sequence).await;
                drop(guard);
            });
        }
        let Some(obligations) = obligations else { return self.enter(verdict, cx) };
        let Some(target) = &self.obligations else {
            let detail = "The decision has obligations, and <entitlementService> has no sequence for them".to_owned();
            return Err(Fault { detail, ..Fault::new("Error occurred while evaluating the policy") });
        };
        let sequence = cx.resolve(target)?;
        let copy = cx.message.copy();
        let original = std::mem::replace(&mut *cx.message, copy);
        put(&mut cx.message, &obligations);
        Ok(Flow::EnterThen(sequence, Box::new(Obliged { settings: self.clone(), original, verdict })))
    }

    /// MI: `EntitlementMediator#executeDecisionMessageFlow`.
    fn enter(&self, verdict: Verdict, cx: &Context) -> Result<Flow, Fault> {
        let target = match verdict {
            Verdict::Accepted => &self.on_accept,
            Verdict::Rejected => &self.on_reject,
        };
        match (target, verdict) {
            (Some(target), _) => Ok(Flow::Enter(cx.resolve(target)?)),
            (None, Verdict::Accepted) => Ok(Flow::Next),
            (None, Verdict::Rejected) => Err(Fault::new("User is not authorized to perform the action")),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Accepted,
    Rejected,
}

/// The element alone is what the body holds.
fn put(message: &mut Message, element: &XmlValue) {
    let document: &Document = &element.document;
    payload::set_elements(message, document, &element.nodes);
}

/// Goes on with the message itself when its obligations were met; a sequence that ends the flow has not met them.
struct Obliged {
    settings: Arc<Settings>,
    original: Message,
    verdict: Verdict,
}

impl Resume for Obliged {
    fn resume(self: Box<Self>, cx: &mut Context) -> Result<Flow, Fault> {
        *cx.message = self.original;
        self.settings.enter(self.verdict, cx)
    }

    fn unwind(self: Box<Self>, cx: &mut Context) {
        *cx.message = self.original;
    }

    fn stopped(self: Box<Self>, cx: &mut Context) -> Option<Result<Flow, Fault>> {
        *cx.message = self.original;
        Some(self.settings.enter(Verdict::Rejected, cx))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Flowing, Outcome, log_lines};

    const URL: &str = "remoteServiceUrl='http://is:9763/services/' remoteServiceUserName='admin' \
        remoteServicePassword='secret'";

    fn answer(decision: &str, more: &str) -> String {
        let response = format!(
            "&lt;Response xmlns=\"urn:oasis:names:tc:xacml:3.0:core:schema:wd-17\">&lt;Result>&lt;Decision>{decision}&lt;/Decision>\
             {more}&lt;/Result>&lt;/Response>"
        );
        format!(
            "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body><n:getDecisionResponse xmlns:n='urn:n'>\
             <n:return>{response}</n:return></n:getDecisionResponse></e:Body></e:Envelope>"
        )
    }

    fn flowing(attrs: &str, inside: &str, answered: &str) -> Flowing {
        let xml = format!(
            "<entitlementService {URL} {attrs}>{inside}</entitlementService><property name='after' value='1'/>"
        );
        Flowing::of(&xml).xml("<getQuote/>").answer("text/xml", answered).with(|message| {
            message.axis2.set("username", "kim");
            message.axis2.set("HTTP_METHOD", "POST");
            message.addressing.to = Some("/services/Quotes".to_owned());
        })
    }

    fn run(inside: &str, answered: &str) -> Outcome {
        flowing("", inside, answered).run()
    }

    const BRANCHES: &str = "<onAccept><property name='branch' value='accepted'/></onAccept>\
        <onReject><property name='branch' value='rejected'/></onReject>";

    #[test]
    fn the_question_and_the_branches() {
        let outcome = run(BRANCHES, &answer("Permit", ""));
        assert_eq!((outcome.fault(), outcome.property("branch").as_deref()), (None, Some("accepted")));
        assert_eq!(outcome.property("after").as_deref(), Some("1"));
        assert_eq!(outcome.property("ENTITLEMENT_DECISION").as_deref(), Some("Permit"));
        assert_eq!(outcome.payload_xml(), "<getQuote/>");
        let [asked] = outcome.received() else { panic!("{:?}", outcome.received()) };
        assert_eq!(asked.url, "http://is:9763/services/EntitlementService");
        for part in [":subject:subject-id", ">kim<", ">read<", ">/services/Quotes/getQuote<", "CombinedDecision"] {
            assert!(asked.body.replace("&gt;", ">").replace("&lt;", "<").contains(part), "{part}: {}", asked.body);
        }
        for decision in ["Deny", "NotApplicable", "Indeterminate"] {
            assert_eq!(run(BRANCHES, &answer(decision, "")).property("branch").as_deref(), Some("rejected"));
        }
        let named = "onAccept='yes' onReject='no'";
        let outcome = flowing(named, "", &answer("Permit", "")).sequence("yes", "<drop/>").run();
        assert!(outcome.stopped());
    }

    #[test]
    fn without_a_branch() {
        assert_eq!(run("", &answer("Permit", "")).property("after").as_deref(), Some("1"));
        let fault = run("", &answer("Deny", "")).fault();
        assert_eq!(fault.as_deref(), Some("User is not authorized to perform the action"));
    }

    const OBLIGATIONS: &str = "&lt;Obligations>&lt;Obligation ObligationId=\"o1\"/>&lt;/Obligations>";

    #[test]
    fn obligations_have_to_be_met() {
        let note = "<log level='custom'><property name='o' expression='//@ObligationId'/></log>";
        let with = |steps: &str| format!("{BRANCHES}<obligations>{steps}</obligations>");
        let mut met = None;
        let lines = log_lines(|| met = Some(run(&with(note), &answer("Permit", OBLIGATIONS))));
        assert_eq!(lines, ["INFO LogMediator o = o1"]);
        let met = met.expect("it ran");
        assert_eq!(met.property("branch").as_deref(), Some("accepted"));
        assert_eq!(met.payload_xml(), "<getQuote/>");
        let dropped = run(&with("<drop/>"), &answer("Permit", OBLIGATIONS));
        assert_eq!(dropped.property("branch").as_deref(), Some("rejected"));
        let failed = run(&with("<throwError errorMessage='no'/>"), &answer("Permit", OBLIGATIONS));
        assert_eq!(failed.fault().as_deref(), Some("no"));
        let none = run(BRANCHES, &answer("Permit", OBLIGATIONS));
        assert_eq!(none.fault().as_deref(), Some("Error occurred while evaluating the policy"));
    }

    #[test]
    fn advice_runs_beside_the_message() {
        let advice = "&lt;AssociatedAdvice>&lt;Advice AdviceId=\"a1\"/>&lt;/AssociatedAdvice>";
        let inside = format!(
            "{BRANCHES}<advice><log level='custom'><property name='a' expression='//@AdviceId'/></log></advice>"
        );
        let lines = log_lines(|| {
            let outcome = run(&inside, &answer("Deny", advice));
            assert_eq!(outcome.property("branch").as_deref(), Some("rejected"));
            assert!(outcome.property("ENTITLEMENT_ADVICE").is_some_and(|it| it.contains("a1")));
        });
        assert_eq!(lines, ["INFO LogMediator a = a1"]);
    }

    #[test]
    fn what_is_asked_for() {
        let asked = |change: &[(&str, &str)]| {
            let outcome = flowing("", BRANCHES, &answer("Permit", ""))
                .with(|message| change.iter().for_each(|(name, value)| message.axis2.set(*name, *value)))
                .run();
            outcome.received()[0].body.replace("&gt;", ">").replace("&lt;", "<")
        };
        let rest = asked(&[("xacml_use_rest", "true")]);
        assert!(rest.contains(">/services/Quotes/POST<") && rest.contains(">POST<"), "{rest}");
        let prefixed = asked(&[("xacml_resource_prefix", "erp"), ("xacml_action", "write")]);
        assert!(prefixed.contains(">erp/services/Quotes/getQuote<") && prefixed.contains(">write<"), "{prefixed}");
        let only = asked(&[("xacml_resource_prefix", "erp"), ("xacml_resource_prefix_only", "true")]);
        assert!(only.contains(">erp/getQuote<"), "{only}");
        let nobody = flowing("", BRANCHES, "").with(|message| {
            message.axis2.remove("username");
        });
        assert!(nobody.run().fault().is_some_and(|it| it.starts_with("User name not provided")));
    }

    #[test]
    fn decisions_are_kept_as_long_as_told() {
        let deployed =
            flowing("cacheType='simple' invalidationInterval='1000' maxCacheEntries='5'", "", &answer("Permit", ""))
                .deploy();
        let message = || {
            let mut message = mi_message::Message::new();
            message.axis2.set("username", "kim");
            message
        };
        crate::testing::set_clock(0);
        assert_eq!(deployed.send(message()).received().len(), 1);
        assert_eq!(deployed.send(message()).received().len(), 0);
        crate::testing::set_clock(1000);
        assert_eq!(deployed.send(message()).received().len(), 1);
    }

    #[test]
    fn failures() {
        for answered in ["<x/>", "no XML", &answer("", "").replace("Decision", "Verdict")] {
            let fault = run(BRANCHES, answered).fault();
            assert_eq!(fault.as_deref(), Some("Error occurred while evaluating the policy"), "{answered}");
        }
        for (attrs, part) in [("client='json'", "Unsupported client"), ("maxCacheEntries='many'", "whole number")] {
            let error = Flowing::error_of(&format!("<entitlementService {URL} {attrs}/>"));
            assert!(error.contains(part), "{error}");
        }
        let error = Flowing::error_of("<entitlementService remoteServiceUrl='http://a'/>");
        assert!(error.contains("remoteServiceUserName"), "{error}");
        let of = |it: &str| URL.replace("'secret'", it);
        let warnings = Flowing::of(&format!("<entitlementService {}/>", of("'enc:AbC='"))).warnings();
        assert!(warnings.iter().any(|it| it.contains("'enc:'") && !it.contains("AbC=")), "{warnings:?}");
        for attrs in ["client='thrift'", "callbackClass='org.acme.Callback'"] {
            let flowing = flowing(attrs, "", "");
            assert!(flowing.warnings().iter().any(|it| it.contains("of <entitlementService>")), "{attrs}");
            assert!(flowing.run().fault().is_some_and(|it| it.contains("of <entitlementService>")));
        }
    }
}
