use mi_message::Message;

use crate::testing::{Deployed, Flowing, Outcome, set_clock};

const BRANCHES: &str = "<onAccept><property name='ran' value='accept'/></onAccept>\
    <onReject><property name='ran' value='reject'/></onReject>";

fn policy(inside: &str) -> String {
    format!(
        "<wsp:Policy xmlns:wsp='http://schemas.xmlsoap.org/ws/2004/09/policy' \
         xmlns:throttle='http://www.wso2.org/products/wso2commons/throttle'>\
         <throttle:MediatorThrottleAssertion>{inside}</throttle:MediatorThrottleAssertion></wsp:Policy>"
    )
}

fn rate(kind: &str, id: &str, count: &str) -> String {
    format!(
        "<wsp:Policy><throttle:ID throttle:type='{kind}'>{id}</throttle:ID><wsp:Policy><throttle:Control><wsp:Policy>\
         <throttle:MaximumCount>{count}</throttle:MaximumCount><throttle:UnitTime>1000</throttle:UnitTime>\
         </wsp:Policy></throttle:Control></wsp:Policy></wsp:Policy>"
    )
}

fn deploy(policy: &str, behind: &str) -> Deployed {
    Flowing::of(&format!("<rules><throttle id='A'><policy>{policy}</policy>{BRANCHES}</throttle>{behind}</rules>"))
        .deploy()
}

fn from(address: &str) -> Message {
    let mut message = Message::new();
    message.axis2.set("REMOTE_ADDR", address);
    message.axis2.set("REMOTE_HOST", address);
    message
}

fn ran(outcome: &Outcome) -> String {
    outcome.property("ran").unwrap_or_else(|| "nothing".to_owned())
}

#[test]
fn rates_are_counted_by_entry_of_the_policy() {
    set_clock(1000);
    let inside = [rate("IP", "other", "1"), rate("IP", "10.0.0.1", "2"), rate("DOMAIN", "*.a.org", "0")].concat();
    let throttle = deploy(&policy(&inside), "");
    for (address, expected) in [
        ("10.0.0.1", "accept"),
        ("10.0.0.1", "accept"),
        ("10.0.0.1", "reject"),
        ("10.0.0.2", "accept"),
        ("10.0.0.3", "reject"),
        ("x.a.org", "reject"),
    ] {
        assert_eq!(ran(&throttle.send(from(address))), expected, "{address}");
    }
    set_clock(2000);
    let outcome = throttle.send(from("10.0.0.3"));
    assert_eq!(ran(&outcome), "accept");
    assert_eq!(outcome.property("synapse.is.concurrent.access.allowed").as_deref(), Some("true"));
}

#[test]
fn proxies_in_front_tell_who_calls() {
    set_clock(1000);
    let throttle = deploy(&policy(&[rate("IP", "10.0.0.1", "0"), rate("DOMAIN", "a.org", "0")].concat()), "");
    for (name, value, expected) in [
        ("X-Forwarded-For", "10.0.0.1, 10.0.0.2", "reject"),
        ("X-Forwarded-For", "10.0.0.2, 10.0.0.1", "accept"),
        ("X-Forwarded-Host", "a.org", "reject"),
    ] {
        let mut message = from("10.0.0.9");
        message.headers.set(name, value);
        assert_eq!(ran(&throttle.send(message)), expected, "{name} {value}");
    }
}

#[test]
fn responses_are_not_counted() {
    let throttle = deploy(&policy(&rate("IP", "other", "0")), "");
    let mut message = from("10.0.0.9");
    message.is_response = true;
    assert_eq!(ran(&throttle.send(message)), "nothing");
}

#[test]
fn places_are_free_again_after_the_answer() {
    let one = policy("<throttle:MaximumConcurrentAccess>1</throttle:MaximumConcurrentAccess>");
    let answering = deploy(&one, "<respond/>");
    let first = answering.send(from("10.0.0.1"));
    assert_eq!(ran(&first), "accept");
    assert_eq!(ran(&answering.send(from("10.0.0.1"))), "accept");
    let waiting = deploy(&one, "");
    let first = waiting.send(from("10.0.0.1"));
    assert_eq!(ran(&waiting.send(from("10.0.0.1"))), "reject");
    drop(first);
    assert_eq!(ran(&waiting.send(from("10.0.0.1"))), "accept");
}

#[test]
fn a_message_that_the_rate_rejects_takes_no_place() {
    set_clock(1000);
    let both = format!(
        "<throttle:MaximumConcurrentAccess>2</throttle:MaximumConcurrentAccess>{}",
        rate("IP", "10.0.0.1", "0")
    );
    let throttle = deploy(&policy(&both), "");
    let kept: Vec<Outcome> = ["10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.2"]
        .map(|address| throttle.send(from(address)))
        .into();
    let ran: Vec<String> = kept.iter().map(ran).collect();
    assert_eq!(ran, ["reject", "reject", "reject", "accept", "accept", "reject"]);
}

#[test]
fn policies_by_key() {
    let throttle = |key: &str| format!("<throttle id='A'><policy key='{key}'/>{BRANCHES}</throttle>");
    let deployed = Flowing::of(&throttle("p")).local_entry("p", &policy(&rate("IP", "other", "0"))).deploy();
    assert_eq!(ran(&deployed.send(from("10.0.0.1"))), "reject");
    let missing = Flowing::of(&throttle("none")).run();
    assert_eq!(missing.fault().as_deref(), Some("Null throttling policy returned by Entry : none"));
    let text = Flowing::of(&throttle("t")).text_entry("t", "text").run();
    assert_eq!(text.fault().as_deref(), Some("Policy returned from key : t is not an OMElement"));
}

#[test]
fn without_branches_and_without_limits() {
    let plain = |policy: &str| {
        format!("<rules><throttle id='A'>{policy}</throttle><property name='ran' value='behind'/></rules>")
    };
    let rejected = Flowing::of(&plain(&format!("<policy>{}</policy>", policy(&rate("IP", "other", "0")))))
        .with(|message| *message = from("10.0.0.1"))
        .run();
    assert!(rejected.stopped() && rejected.property("ran").is_none());
    assert_eq!(ran(&Flowing::of(&plain("")).run()), "behind");
    let foreign = "<policy><p:Policy xmlns:p='http://schemas.xmlsoap.org/ws/2004/09/policy'><MediatorThrottleAssertion xmlns='urn:x'/></p:Policy></policy>";
    assert_eq!(ran(&Flowing::of(&plain(foreign)).run()), "behind");
    let named = Flowing::of("<throttle id='A' onAccept='none'/>").run();
    assert_eq!(named.fault().as_deref(), Some("Unable to find onAccept sequence with key : none"));
}

#[test]
fn wrong_configurations_are_refused() {
    for (xml, part) in [
        ("<throttle/>".to_owned(), "needs the attribute 'id'"),
        ("<throttle id='A'><policy key=''/></throttle>".to_owned(), "must not be empty"),
        (
            format!("<throttle id='A'><policy>{}</policy></throttle>", policy("<x/>")),
            "unexpected policy element with name x",
        ),
    ] {
        let error = Flowing::error_of(&xml);
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn counts_go_on_when_something_else_is_deployed() {
    set_clock(1000);
    let entry = policy(&rate("IP", "other", "1"));
    for inside in [entry.as_str(), ""] {
        let key = if inside.is_empty() { " key='p'" } else { "" };
        let flow = |entry: &str, behind: &str| {
            Flowing::of(&format!(
                "<rules><throttle id='A'><policy{key}>{inside}</policy>{BRANCHES}</throttle>{behind}</rules>"
            ))
            .local_entry("p", entry)
        };
        let before = flow(&entry, "").deploy();
        assert_eq!(ran(&before.send(from("10.0.0.1"))), "accept");
        let same = flow(&entry, "").sequence("other", "<drop/>").deploy_after(&before);
        assert_eq!(ran(&same.send(from("10.0.0.1"))), "reject", "{key}");
        let changed = flow(&entry, "<drop/>").deploy_after(&same);
        assert_eq!(ran(&changed.send(from("10.0.0.1"))), "accept", "the file has changed{key}");
        if !key.is_empty() {
            let raised = flow(&policy(&rate("IP", "other", "2")), "").deploy_after(&same);
            assert_eq!(ran(&raised.send(from("10.0.0.1"))), "accept", "the policy has changed");
        }
    }
}

#[test]
fn the_answer_of_a_call_counts_as_a_request() {
    set_clock(1000);
    let xml = format!(
        "<rules><call><endpoint><address uri='http://b:1/'/></endpoint></call>\
         <throttle id='A'><policy>{}</policy>{BRANCHES}</throttle></rules>",
        policy(&rate("IP", "other", "0"))
    );
    // Who called is known by the answer no more; the forwarded address is a header of it.
    let deployed =
        Flowing::of(&xml.replace("</call>", "</call><property name='REMOTE_ADDR' value='1.1.1.1' scope='axis2'/>"));
    assert_eq!(ran(&deployed.answer("text/plain", "a").deploy().send(from("10.0.0.1"))), "reject");
}
