//! Endpoints of the engine over this client, to back ends behind a fault proxy, on a clock of virtual time: what each
//! failure of a connection does to the state of an endpoint and to its group.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use mi_config::{Diagnostic, Element, SourceFile, parse_artifact};
use mi_engine::endpoint::state::State;
use mi_engine::exchange::RequestInfo;
use mi_engine::flow::{self, Ended};
use mi_engine::services::Clock;
use mi_engine::{
    ArtifactInfo, BuildCx, Context, Effect, Engine, Exchange, Flow, Mediator, MediatorSpec, Sent, Services, Settings,
    Specs,
};
use mi_message::{Body, Message, Text};
use mi_testkit::{Fault, Network};
use tokio::time::Instant;

use super::super::{Client, ClientConfig};
use super::support::client_config;

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 14\r\n\r\n";

/// A whole body of 14 bytes that says who sends it.
fn answer(host: &str) -> String {
    format!("{HEAD}<from>{host:1.1}</from>")
}

/// Sends the message to the endpoint `e`, as `call` does.
#[derive(Debug)]
struct Calls;

/// Notes that it ran.
#[derive(Debug)]
struct Notes;

fn parse(el: &Element, _: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    Ok(if el.name() == "calls" { Box::new(Calls) } else { Box::new(Notes) })
}

impl Mediator for Calls {
    fn mediate(&self, _: &mut Context) -> Result<Flow, mi_engine::Fault> {
        Ok(Flow::wait(Self))
    }
}

impl Effect for Calls {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, mi_engine::Fault>> {
        Box::pin(async move {
            let endpoint = cx.snapshot.endpoints.by_name("e").cloned().unwrap();
            endpoint.send(cx).await.map(|_| Flow::Next)
        })
    }
}

impl Mediator for Notes {
    fn mediate(&self, cx: &mut Context) -> Result<Flow, mi_engine::Fault> {
        cx.message.properties.set("noted", true);
        Ok(Flow::Next)
    }
}

/// The clock of the engine is that of tokio.
struct Virtual(Instant);

impl Clock for Virtual {
    fn now_millis(&self) -> i64 {
        1_800_000_000_000 + self.0.elapsed().as_millis() as i64
    }
    fn zone_offset_seconds(&self, _: i64) -> i32 {
        0
    }
    fn new_id(&self) -> String {
        "urn:uuid:1".to_owned()
    }
}

/// Endpoints that are deployed, and the network that they lead into.
struct Lab {
    network: Network,
    engine: Engine,
    began: Instant,
}

impl Lab {
    fn deploy(endpoints: &[&str]) -> Self {
        Self::with(|_| {}, endpoints)
    }

    fn with(change: impl FnOnce(&mut ClientConfig), endpoints: &[&str]) -> Self {
        let network = Network::new(|request| answer(&request.host));
        let mut config = ClientConfig { network: Some(network.clone()), ..client_config() };
        change(&mut config);
        let began = Instant::now();
        let sequences =
            ["<sequence name='s' onError='h'><calls/></sequence>", "<sequence name='h'><notes/></sequence>"];
        let artifacts: Vec<_> = endpoints
            .iter()
            .chain(&sequences)
            .flat_map(|xml| {
                let (artifacts, found) = parse_artifact(SourceFile::new("test.xml", xml.as_bytes().to_vec()));
                assert!(found.is_empty(), "{found:?}");
                artifacts
            })
            .collect();
        let mediators = [MediatorSpec::new("calls", parse), MediatorSpec::new("notes", parse)];
        let services = Services {
            http: Arc::new(Client::new(config)),
            clock: Arc::new(Virtual(began)),
            ..Services::offline(Specs::new(&[&mediators]))
        };
        let built = mi_engine::build(&artifacts, Arc::new(services), Settings::default());
        assert!(built.failed.is_empty() && built.warnings.is_empty(), "{:?} {:?}", built.failed, built.warnings);
        Self { network, engine: Engine::new(built.snapshot), began }
    }

    fn context(&self) -> Context {
        let mut message = Message::new();
        message.rest = true;
        message.axis2.set("messageType", "text/xml");
        message.body = Body::from_bytes("<a/>", Some("text/xml".into()));
        let request = RequestInfo { method: Text::Fixed("POST"), ..RequestInfo::default() };
        let (sender, _) = tokio::sync::oneshot::channel();
        let exchange = Arc::new(Exchange::new(request, sender));
        Context::new(message, self.engine.snapshot(), exchange, Arc::new(ArtifactInfo::default()))
    }

    /// Sends a message to `e` and reads the answer: its body, or the error code.
    async fn send(&self) -> Result<String, u32> {
        let mut cx = self.context();
        let endpoint = self.engine.snapshot().endpoints.by_name("e").cloned().unwrap();
        let code = |fault: mi_engine::Fault| fault.code.unwrap_or(0);
        assert_eq!(endpoint.send(&mut cx).await.map_err(code)?, Sent::Answered);
        flow::build_body(&mut cx).await.map_err(code)?;
        let envelope = cx.message.body.envelope().unwrap();
        Ok(envelope.document().to_xml(envelope.payload().unwrap()))
    }

    /// Runs the sequence that calls `e`: how it ended, and whether its fault handler ran.
    async fn flow(&self) -> (Ended, bool) {
        let mut cx = self.context();
        let sequence = self.engine.snapshot().sequences.by_name("s").cloned().unwrap();
        let ended = flow::run(&mut cx, sequence).await;
        (ended, cx.message.properties.get("noted").is_some())
    }

    fn state(&self, name: &str) -> State {
        self.engine.snapshot().endpoints.by_name(name).unwrap().state().unwrap().state()
    }

    /// The hosts that were asked since the last look.
    fn asked(&self) -> String {
        self.network.seen().into_iter().map(|request| request.host).collect()
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }
}

async fn after(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An endpoint that says nothing about suspension.
const PLAIN: &str =
    "<endpoint name='e'><address uri='http://a/'><timeout><duration>4000</duration></timeout></address></endpoint>";

/// What a fault does to a message, on a new connection and on one that was used before: answer or code, state, milliseconds.
async fn check(fault: Fault, expected: (Result<&str, u32>, State, u64)) {
    for used in [false, true] {
        let lab = Lab::with(|config| config.socket_timeout = seconds(60), &[PLAIN]);
        if used {
            lab.send().await.unwrap();
        }
        lab.network.set("a", fault);
        let got = lab.send().await;
        let got = (got.as_deref().map_err(|code| *code), lab.state("e"), lab.now());
        assert_eq!(got, expected, "{fault:?}, on a connection that was used before: {used}");
        // Whatever it was, it is over with the fault, and nothing of it is left on a connection.
        lab.network.set("a", Fault::None);
        after(30_000).await;
        assert_eq!((lab.send().await.as_deref(), lab.state("e")), (Ok("<from>a</from>"), State::Active), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_fault_has_its_code_and_its_time() {
    let whole = Ok("<from>a</from>");
    let head = HEAD.len();
    check(Fault::None, (whole, State::Active, 0)).await;
    check(Fault::Refuses, (Err(101_503), State::Suspended, 0)).await;
    // The time-out of the endpoint is shorter than that of connecting.
    check(Fault::Silent, (Err(101_504), State::Suspended, 4000)).await;
    check(Fault::Delay(Duration::from_millis(3999)), (whole, State::Active, 3999)).await;
    check(Fault::Delay(Duration::from_millis(4001)), (Err(101_504), State::Suspended, 4000)).await;
    check(Fault::Reset { after: 0 }, (Err(101_500), State::Suspended, 0)).await;
    check(Fault::Reset { after: 9 }, (Err(101_500), State::Suspended, 0)).await;
    check(Fault::Partial { after: 0 }, (Err(101_505), State::Suspended, 0)).await;
    check(Fault::Partial { after: 9 }, (Err(101_505), State::Suspended, 0)).await;
    check(Fault::HalfOpen { after: 0 }, (Err(101_504), State::Suspended, 4000)).await;
    check(Fault::HalfOpen { after: 9 }, (Err(101_504), State::Suspended, 4000)).await;
    // With the head of the answer the endpoint has done its part.
    check(Fault::Reset { after: head + 6 }, (Err(101_501), State::Active, 0)).await;
    check(Fault::Partial { after: head + 6 }, (Err(101_501), State::Active, 0)).await;
    check(Fault::HalfOpen { after: head + 6 }, (Err(101_501), State::Active, 60_000)).await;
    let pieces = (HEAD.len() + 14).div_ceil(10) as u64;
    check(Fault::Slow { bytes: 10, every: Duration::from_millis(500) }, (whole, State::Active, 500 * pieces)).await;
    check(Fault::Slow { bytes: 10, every: Duration::from_millis(600) }, (Err(101_504), State::Suspended, 4000)).await;
}

#[tokio::test(start_paused = true)]
async fn connecting_has_a_time_of_its_own() {
    let lab = Lab::with(|config| config.connect_timeout = seconds(2), &[PLAIN]);
    lab.network.set("a", Fault::Silent);
    assert_eq!((lab.send().await, lab.state("e"), lab.now()), (Err(101_508), State::Suspended, 2000));
}

#[tokio::test(start_paused = true)]
async fn suspensions_grow_up_to_the_maximum_and_end_with_an_answer() {
    let lab = Lab::deploy(&[
        "<endpoint name='e'><address uri='http://a/'><timeout><duration>100</duration></timeout><suspendOnFailure>\
         <initialDuration>1000</initialDuration><progressionFactor>2</progressionFactor>\
         <maximumDuration>3000</maximumDuration></suspendOnFailure></address></endpoint>",
    ]);
    let faults = [
        (Fault::Refuses, 101_503, 1000),
        (Fault::Reset { after: 0 }, 101_500, 2000),
        (Fault::Partial { after: 0 }, 101_505, 3000),
        (Fault::HalfOpen { after: 0 }, 101_504, 3000),
    ];
    for round in ["first", "again"] {
        for (fault, code, suspended) in faults {
            lab.network.set("a", fault);
            assert_eq!((lab.send().await, lab.state("e")), (Err(code), State::Suspended), "{round} {fault:?}");
            lab.network.set("a", Fault::None);
            after(suspended - 1).await;
            assert_eq!(lab.send().await, Err(303_001), "{round} {fault:?}");
            after(1).await;
        }
        assert_eq!(lab.asked(), "aaa", "none was asked in between, and the first refused");
        assert_eq!((lab.send().await.is_ok(), lab.state("e")), (true, State::Active));
        assert_eq!(lab.asked(), "a");
    }
}

#[tokio::test(start_paused = true)]
async fn time_outs_are_let_pass_and_an_answer_forgets_them() {
    let lab = Lab::deploy(&[
        "<endpoint name='e'><address uri='http://a/'><timeout><duration>100</duration></timeout><markForSuspension>\
         <errorCodes>101504,101505</errorCodes><retriesBeforeSuspension>2</retriesBeforeSuspension><retryDelay>50</retryDelay>\
         </markForSuspension><suspendOnFailure><errorCodes>101503</errorCodes><initialDuration>1000</initialDuration>\
         </suspendOnFailure></address></endpoint>",
    ]);
    let fails = async |fault, code, state| {
        lab.network.set("a", fault);
        assert_eq!((lab.send().await, lab.state("e")), (Err(code), state), "{fault:?}");
        lab.network.set("a", Fault::None);
    };
    let delays = Fault::Delay(Duration::from_millis(101));
    for ends in [Fault::HalfOpen { after: 0 }, Fault::Partial { after: 0 }] {
        fails(delays, 101_504, State::Timeout).await;
        after(49).await;
        assert_eq!(lab.send().await, Err(303_001), "within the delay");
        after(1).await;
        // A code of neither list changes nothing.
        fails(Fault::Reset { after: 0 }, 101_500, State::Timeout).await;
        fails(Fault::Slow { bytes: 10, every: Duration::from_millis(30) }, 101_504, State::Timeout).await;
        after(50).await;
        if ends == (Fault::HalfOpen { after: 0 }) {
            assert_eq!((lab.send().await.is_ok(), lab.state("e")), (true, State::Active));
            fails(delays, 101_504, State::Timeout).await;
            after(50).await;
            fails(delays, 101_504, State::Timeout).await;
            after(50).await;
        }
        let code = if ends == (Fault::Partial { after: 0 }) { 101_505 } else { 101_504 };
        fails(ends, code, State::Suspended).await;
        after(1000).await;
        assert_eq!((lab.send().await.is_ok(), lab.state("e")), (true, State::Active));
    }
    fails(Fault::Refuses, 101_503, State::Suspended).await;
}

#[tokio::test(start_paused = true)]
async fn a_time_out_calls_the_fault_handler_unless_it_is_discarded() {
    for (action, noted) in [("fault", true), ("discard", false)] {
        let lab = Lab::deploy(&[
            &PLAIN.replace("</duration>", &format!("</duration><responseAction>{action}</responseAction>"))
        ]);
        lab.network.set("a", Fault::HalfOpen { after: 0 });
        assert_eq!((lab.flow().await, lab.now()), ((Ended::Faulted, noted), 4000), "{action}");
        assert_eq!(lab.state("e"), State::Suspended, "{action}: the endpoint has failed either way");
        after(30_000).await;
        // Other failures are not time-outs.
        lab.network.set("a", Fault::Refuses);
        assert_eq!(lab.flow().await, (Ended::Faulted, true), "{action}");
    }
}

/// Endpoints `a` and `b` that are suspended for a second, and a group of them. A reset is not tried at another one.
fn group(group: &str) -> Vec<String> {
    let leaf = |name: &str| {
        format!(
            "<endpoint name='{name}'><address uri='http://{name}/'><timeout><duration>100</duration></timeout>\
             <suspendOnFailure><initialDuration>1000</initialDuration><progressionFactor>1</progressionFactor></suspendOnFailure>\
             <retryConfig><disabledErrorCodes>101500</disabledErrorCodes></retryConfig></address></endpoint>"
        )
    };
    vec![format!("<endpoint name='e'>{group}</endpoint>"), leaf("a"), leaf("b")]
}

const CHILDREN: &str = "<endpoint key='a'/><endpoint key='b'/>";

/// Faults after which a message goes to the other endpoint, and the hosts that are asked for it.
const TRIED_AGAIN: [(Fault, &str); 4] = [
    (Fault::Refuses, "b"),
    (Fault::Partial { after: 0 }, "ab"),
    (Fault::HalfOpen { after: 0 }, "ab"),
    (Fault::Delay(Duration::from_secs(1)), "ab"),
];

#[tokio::test(start_paused = true)]
async fn failover_tries_the_next_one_and_goes_back_unless_it_is_static() {
    for (dynamic, later) in [("true", "a"), ("false", "b")] {
        for (fault, asked) in TRIED_AGAIN {
            let endpoints = group(&format!("<failover dynamic='{dynamic}'>{CHILDREN}</failover>"));
            let lab = Lab::deploy(&endpoints.iter().map(String::as_str).collect::<Vec<_>>());
            lab.network.set("a", fault);
            assert_eq!((lab.send().await.as_deref(), &*lab.asked()), (Ok("<from>b</from>"), asked), "{fault:?}");
            assert_eq!((lab.state("a"), lab.state("b")), (State::Suspended, State::Active), "{fault:?}");
            lab.network.set("a", Fault::None);
            lab.send().await.unwrap();
            assert_eq!(lab.asked(), "b", "{fault:?}");
            after(1000).await;
            lab.send().await.unwrap();
            assert_eq!(lab.asked(), later, "{fault:?} {dynamic}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_disabled_code_stays_with_its_endpoint_and_without_others_there_is_none() {
    let endpoints = group(&format!("<failover>{CHILDREN}</failover>"));
    let lab = Lab::deploy(&endpoints.iter().map(String::as_str).collect::<Vec<_>>());
    lab.network.set("a", Fault::Reset { after: 0 });
    assert_eq!((lab.send().await, &*lab.asked()), (Err(101_500), "a"));
    lab.network.set("b", Fault::HalfOpen { after: 0 });
    assert_eq!((lab.send().await, &*lab.asked()), (Err(101_504), "b"));
    assert_eq!((lab.send().await, &*lab.asked()), (Err(303_000), ""));
    for host in ["a", "b"] {
        lab.network.set(host, Fault::None);
    }
    after(1000).await;
    assert_eq!((lab.send().await.as_deref(), &*lab.asked()), (Ok("<from>a</from>"), "a"));
}

#[tokio::test(start_paused = true)]
async fn a_load_balance_goes_on_with_those_that_answer() {
    for (fault, asked) in TRIED_AGAIN {
        let endpoints = group(&format!("<loadbalance>{CHILDREN}</loadbalance>"));
        let lab = Lab::deploy(&endpoints.iter().map(String::as_str).collect::<Vec<_>>());
        lab.network.set("a", fault);
        assert_eq!((lab.send().await.as_deref(), &*lab.asked()), (Ok("<from>b</from>"), asked), "{fault:?}");
        for _ in 0..2 {
            lab.send().await.unwrap();
        }
        assert_eq!(lab.asked(), "bb", "{fault:?}: it is passed over while it is suspended");
        lab.network.set("a", Fault::None);
        after(1000).await;
        for _ in 0..4 {
            lab.send().await.unwrap();
        }
        let asked = lab.asked();
        assert!(asked == "abab" || asked == "baba", "{fault:?}: {asked}");
    }
    let endpoints = group(&format!("<loadbalance failover='false'>{CHILDREN}</loadbalance>"));
    let lab = Lab::deploy(&endpoints.iter().map(String::as_str).collect::<Vec<_>>());
    lab.network.set("a", Fault::HalfOpen { after: 0 });
    assert_eq!((lab.send().await, lab.send().await.is_ok(), &*lab.asked()), (Err(101_504), true, "ab"));
}

#[tokio::test(start_paused = true)]
async fn connections_are_used_again_only_when_they_are_whole() {
    let lab = Lab::deploy(&[PLAIN]);
    for _ in 0..3 {
        lab.send().await.unwrap();
    }
    assert_eq!(lab.network.connections("a"), 1);
    // The answer is not read to its end in time: what is left of it must not meet the next message.
    lab.network.set("a", Fault::Delay(seconds(5)));
    assert_eq!(lab.send().await, Err(101_504));
    lab.network.set("a", Fault::None);
    after(30_000).await;
    assert_eq!((lab.send().await.as_deref(), lab.network.connections("a")), (Ok("<from>a</from>"), 2));
}
