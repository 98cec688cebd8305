//! Endpoints whose back ends fail.

mod testing;

use mi_message::Message;

use super::state::State;
use testing::{Does, Lab, after};

const PLAIN: &str =
    "<endpoint name='e'><address uri='http://a/'><timeout><duration>4000</duration></timeout></address></endpoint>";

/// What a failure does to an endpoint that says nothing about suspension.
async fn check_failure(does: Does, expected: Result<&str, u32>, state: State, millis: u64) {
    let lab = Lab::deploy(&[PLAIN]);
    lab.script("a", &[does]);
    let got = lab.send().await;
    let got = (got.as_deref().map_err(|code| *code), lab.state("e"), lab.now());
    assert_eq!(got, (expected, state, millis), "{does:?}");
}

#[tokio::test(start_paused = true)]
async fn every_failure_has_its_code() {
    check_failure(Does::Refuses, Err(101_503), State::Suspended, 0).await;
    check_failure(Does::Resets, Err(101_505), State::Suspended, 0).await;
    check_failure(Does::IsHalfOpen, Err(101_504), State::Suspended, 4000).await;
    check_failure(Does::Delays(3999), Ok("<from>a</from>"), State::Active, 3999).await;
    check_failure(Does::Delays(4001), Err(101_504), State::Suspended, 4000).await;
    // With the head of the answer the endpoint has done its part.
    check_failure(Does::BreaksOff, Err(101_501), State::Active, 0).await;
    check_failure(Does::Drips(2000), Ok("<a>12</a>"), State::Active, 8000).await;
}

#[tokio::test(start_paused = true)]
async fn fault_handlers_get_the_header_fields_of_the_request() {
    let forms = ["<address uri='http://a/'/>", "<address uri='http://a/' format='pox'/>"];
    for (form, (does, code)) in
        forms.iter().flat_map(|it| [(it, (Does::Faults, 500_000)), (it, (Does::Refuses, 101_503))])
    {
        let lab = Lab::deploy(&[&format!("<endpoint name='e'>{form}</endpoint>")]);
        lab.script("a", &[does]);
        let (found, message) = lab
            .failed(|message| {
                message.properties.set("FORCE_ERROR_ON_SOAP_FAULT", "true");
                message.headers.set("X-Mine", "1");
                message.axis2.set("MINE", "2");
            })
            .await;
        assert_eq!(found, Some(code), "{form} {does:?}");
        assert_eq!(message.headers.get("X-Mine"), Some("1"), "{form} {does:?}");
        assert_eq!(message.axis2.get_str("MINE"), Some("2"), "{form} {does:?}");
        assert_eq!(message.axis2.get_str("messageType"), Some("text/xml"), "{form} {does:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_suspended_endpoint_is_left_alone_and_tried_again() {
    let lab = Lab::deploy(&[
        "<endpoint name='e'><http uri-template='http://a/'><suspendOnFailure><initialDuration>1000</initialDuration>\
         <progressionFactor>2</progressionFactor><maximumDuration>3000</maximumDuration></suspendOnFailure></http></endpoint>",
    ]);
    lab.script("a", &[Does::Refuses; 4]);
    for suspended in [1000, 2000, 3000, 3000] {
        assert_eq!(lab.send().await, Err(101_503));
        after(suspended - 1).await;
        assert_eq!(lab.send().await, Err(303_001), "{suspended}");
        assert_eq!(lab.fault().await, "Currently, HTTP endpoint : [ Name : e ] [ State : SUSPENDED ]");
        after(1).await;
    }
    assert_eq!(lab.seen().len(), 4, "nothing was sent in between");
    assert_eq!((lab.send().await.is_ok(), lab.state("e")), (true, State::Active));
}

#[tokio::test(start_paused = true)]
async fn time_outs_are_let_pass_as_often_as_configured() {
    let lab = Lab::deploy(&[
        "<endpoint name='e'><address uri='http://a/'><timeout><duration>100</duration></timeout><markForSuspension>\
         <errorCodes>101504</errorCodes><retriesBeforeSuspension>2</retriesBeforeSuspension><retryDelay>50</retryDelay>\
         </markForSuspension><suspendOnFailure><errorCodes>101500,101501</errorCodes></suspendOnFailure></address></endpoint>",
    ]);
    lab.script("a", &[Does::IsHalfOpen, Does::IsHalfOpen, Does::Refuses, Does::IsHalfOpen]);
    for (expected, state) in [(101_504, State::Timeout), (101_504, State::Timeout), (101_503, State::Timeout)] {
        assert_eq!((lab.send().await, lab.state("e")), (Err(expected), state));
        if expected == 101_504 {
            assert_eq!(lab.send().await, Err(303_001), "within the delay");
            after(50).await;
        }
    }
    assert_eq!((lab.send().await, lab.state("e")), (Err(101_504), State::Suspended));
}

const FAILOVER: &str =
    "<endpoint name='e'><failover DYNAMIC><endpoint key='a'/><endpoint key='b'/></failover></endpoint>";

fn leaves() -> [String; 2] {
    ["a", "b"].map(|it| {
        format!(
            "<endpoint name='{it}'><address uri='http://{it}/'><suspendOnFailure><initialDuration>1000</initialDuration>\
             <progressionFactor>1</progressionFactor></suspendOnFailure><retryConfig><disabledErrorCodes>101505\
             </disabledErrorCodes></retryConfig></address></endpoint>"
        )
    })
}

#[tokio::test(start_paused = true)]
async fn failover_goes_back_to_the_first_one_unless_it_is_static() {
    for (dynamic, later) in [("", "a"), ("dynamic='false'", "b")] {
        let [a, b] = leaves();
        let lab = Lab::deploy(&[&FAILOVER.replace("DYNAMIC", dynamic), &a, &b]);
        lab.script("a", &[Does::Refuses]);
        assert_eq!(lab.send().await.as_deref(), Ok("<from>b</from>"));
        lab.send().await.unwrap();
        after(1000).await;
        lab.send().await.unwrap();
        assert_eq!(lab.seen(), ["a", "b", "b", later], "{dynamic}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_that_is_not_retried_stays_with_its_endpoint() {
    let [a, b] = leaves();
    let lab = Lab::deploy(&[&FAILOVER.replace("DYNAMIC", ""), &a, &b]);
    lab.script("a", &[Does::Resets]);
    lab.script("b", &[Does::Refuses]);
    assert_eq!((lab.send().await, lab.seen()), (Err(101_505), vec!["a".to_owned()]));
    assert_eq!((lab.send().await, lab.send().await), (Err(101_503), Err(303_000)));
    assert_eq!(lab.fault().await, "Failover endpoint : e - no ready child endpoints");
}

/// A load balance over `a`, `b` and `c` with weights 3, 1 and 1.
fn balance(attributes: &str, session: &str) -> String {
    let child = |(host, weight): (&str, u32)| {
        format!(
            "<endpoint name='{host}'><address uri='http://{host}/'><suspendOnFailure><initialDuration>1000\
             </initialDuration></suspendOnFailure></address><property name='loadbalance.weight' value='{weight}'/></endpoint>"
        )
    };
    let children = [("a", 3), ("b", 1), ("c", 1)].map(child).concat();
    format!("<endpoint name='e'>{session}<loadbalance {attributes}>{children}</loadbalance></endpoint>")
}

async fn hosts(lab: &Lab, count: usize) -> String {
    for _ in 0..count {
        lab.send().await.unwrap();
    }
    lab.seen().concat()
}

#[tokio::test(start_paused = true)]
async fn turns_follow_the_algorithm() {
    for (algorithm, expected) in
        [("RoundRobin", "abcabcab"), ("WeightedRoundRobin", "aaabcaaa"), ("WeightedRRLCAlgorithm", "aaabcaaa")]
    {
        let package = "org.apache.synapse.endpoints.algorithms";
        let lab = Lab::deploy(&[&balance(&format!("algorithm='{package}.{algorithm}'"), "")]);
        assert_eq!(hosts(&lab, 8).await, expected, "{algorithm}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_weight_must_be_a_number_above_zero() {
    let text = balance("algorithm='org.apache.synapse.endpoints.algorithms.WeightedRoundRobin'", "");
    let (_, errors) = Lab::try_deploy(&[&text.replace("value='3'", "value='0'")]);
    assert!(errors.len() == 1 && errors[0].contains("'loadbalance.weight' must be a whole number"), "{errors:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_message_goes_to_the_next_one_unless_failover_is_off() {
    for (failover, expected) in [("true", Ok("<from>b</from>")), ("false", Err(101_503))] {
        let lab = Lab::deploy(&[&balance(&format!("failover='{failover}'"), "")]);
        lab.script("a", &[Does::Refuses]);
        assert_eq!(lab.send().await.as_deref().map_err(|code| *code), expected);
        let rest = hosts(&lab, 3).await;
        assert_eq!(rest, if failover == "true" { "abcbc" } else { "abcb" }, "the suspended one is passed over");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_cookie_keeps_a_client_with_one_endpoint() {
    let session = "<session type='http'><sessionTimeout>5000</sessionTimeout></session>";
    let lab = Lab::deploy(&[&balance("", session)]);
    let with = |cookie: &'static str| move |message: &mut Message| message.headers.set("Cookie", cookie);
    lab.script("a", &[Does::Refuses]);
    lab.script("b", &[Does::Answers("Set-Cookie", "JSESSIONID=1; Path=/; HttpOnly")]);
    // The first message of a session goes on to another one; a session that nobody knows is taken out.
    lab.send_with(with("x=y; JSESSIONID=old")).await.unwrap();
    assert_eq!(lab.seen(), ["a x=y", "b x=y"]);
    for _ in 0..3 {
        lab.send_with(with("x=y; JSESSIONID=1")).await.unwrap();
    }
    assert_eq!(lab.seen(), ["b x=y; JSESSIONID=1"; 3]);
    assert_eq!(hosts(&lab, 2).await, "cb", "others take turns");
    // Within the session there is no other.
    lab.script("b", &[Does::Refuses]);
    assert_eq!(lab.send_with(with("JSESSIONID=1")).await, Err(101_503));
    assert_eq!(lab.send_with(with("JSESSIONID=1")).await, Err(309_001));
    after(1000).await;
    lab.script("b", &[Does::Answers("Set-Cookie", "JSESSIONID=2; Path=/")]);
    lab.send_with(with("JSESSIONID=1")).await.unwrap();
    lab.seen();
    lab.send_with(with("JSESSIONID=2")).await.unwrap();
    assert_eq!(lab.seen(), ["b JSESSIONID=2"], "a back end may change the id");
    after(5001).await;
    lab.send_with(with("JSESSIONID=2")).await.unwrap();
    assert!(!lab.seen()[0].contains("JSESSIONID"), "it is over");
}

#[tokio::test(start_paused = true)]
async fn a_client_may_name_its_session_itself() {
    let lab = Lab::deploy(&[&balance("", "<session type='simpleClientSession'/>")]);
    let client = |id: &'static str| {
        move |message: &mut Message| {
            let text = format!(
                "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Header>\
                 <ClientID xmlns='http://ws.apache.org/ns/synapse'>{id}</ClientID></s:Header><s:Body/></s:Envelope>"
            );
            message.body = mi_message::Body::from_bytes(text, Some("text/xml".into()));
        }
    };
    for id in ["x", "y", "x", "x", "y", "z"] {
        lab.send_with(client(id)).await.unwrap();
    }
    assert_eq!(lab.seen().concat(), "abaabc");
}

#[tokio::test(start_paused = true)]
async fn members_keep_the_path_of_the_message() {
    let lab = Lab::deploy(&["<endpoint name='e'><loadbalance><member hostName='a' httpPort='81' httpsPort='82'/>\
         <member hostName='b' httpPort='83'/></loadbalance></endpoint>"]);
    lab.script("a", &[Does::Refuses]);
    lab.send().await.unwrap();
    lab.send().await.unwrap();
    assert_eq!(lab.seen(), ["a:81/path/of?the=message", "b:83/path/of?the=message", "b:83/path/of?the=message"]);
    after(500).await;
    lab.send().await.unwrap();
    assert_eq!(lab.seen(), ["a:81/path/of?the=message"], "it is tried again");
}

#[tokio::test(start_paused = true)]
async fn a_recipient_list_leaves_out_who_is_not_ready() {
    let [a, b] = leaves();
    let list = "<endpoint name='e'><recipientlist><endpoint key='a'/><endpoint key='b'/></recipientlist></endpoint>";
    let lab = Lab::deploy(&[list, &a, &b]);
    lab.script("a", &[Does::Refuses]);
    for expected in ["ab", "b", "b"] {
        assert_eq!(lab.send().await.as_deref(), Ok("Scattered"));
        after(1).await;
        let mut seen = lab.seen();
        seen.sort();
        assert_eq!(seen.concat(), expected);
    }
    lab.script("b", &[Does::Refuses]);
    lab.send().await.unwrap();
    after(1).await;
    assert_eq!(lab.send().await, Err(303_000));
    assert_eq!(lab.fault().await, "Recipient List endpoint : e - no ready child endpoints");
}

#[tokio::test(start_paused = true)]
async fn computed_recipients_have_a_state() {
    let lab = Lab::deploy(&[
        "<endpoint name='e'><recipientlist><endpoints value='{get-property(\"to\")}' max-cache='2'/></recipientlist></endpoint>",
    ]);
    let to = |list: &'static str| move |message: &mut Message| message.properties.set("to", list);
    lab.script("a", &[Does::Refuses]);
    for expected in ["ab", "b"] {
        lab.send_with(to("http://a/, http://b/")).await.unwrap();
        after(1).await;
        let mut seen = lab.seen();
        seen.sort();
        assert_eq!(seen.concat(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn states_and_sessions_outlive_a_deployment_that_leaves_the_endpoint_as_it_is() {
    let (plain, session) = (PLAIN.replace("name='e'", "name='p'"), balance("", "<session type='http'/>"));
    let lab = Lab::deploy(&[&plain, &session]);
    lab.script("a", &[Does::Answers("Set-Cookie", "JSESSIONID=1"), Does::Refuses]);
    lab.send().await.unwrap();
    assert_eq!(lab.send_with(|message| message.headers.set("Cookie", "JSESSIONID=1")).await, Err(101_503));
    lab.switch("p", false);
    lab.redeploy(&[&plain, &session]);
    assert_eq!(lab.send_with(|message| message.headers.set("Cookie", "JSESSIONID=1")).await, Err(309_001));
    assert_eq!(lab.state("p"), State::Off);
    lab.redeploy(&[&plain.replace("4000", "5000"), &session.replace("value='3'", "value='2'")]);
    assert_eq!(lab.state("p"), State::Active, "it is another one");
    lab.send_with(|message| message.headers.set("Cookie", "JSESSIONID=1")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_group_can_be_switched_off() {
    let [a, b] = leaves();
    let lab = Lab::deploy(&[&FAILOVER.replace("DYNAMIC", ""), &a, &b]);
    assert!(lab.switch("e", false));
    assert_eq!((lab.send().await, lab.seen().len()), (Err(303_000), 0));
    assert!(lab.switch("e", true));
    lab.send().await.unwrap();
}
