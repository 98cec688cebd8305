use std::sync::Arc;
use std::time::Duration;

use http::{Method, Version};
use http_body_util::BodyExt;
use mi_message::Message;

use super::testing::{engine_of, notes, services, snapshot_of};
use super::{HttpRoute, InboundRoute, InjectError, Injector, Phase, Route, RunningInbounds};
use crate::flow::Ended;
use crate::serve::Engine;
use crate::transport::HttpRequest;

const FAULT: &str = "<sequence name='fault'><note name='default fault'/></sequence>";
const MAIN: &str = "<sequence name='main'><note name='main'/></sequence>";

/// Longer than anything here takes.
const LONG: Duration = Duration::from_mins(1);

fn inbound_route(sequence: &str, on_error: Option<&str>) -> InboundRoute {
    InboundRoute { name: "In".into(), sequence: Some(sequence.into()), on_error: on_error.map(Arc::from), meters: None }
}

/// Ended, unhandled, rollback, ERROR_CODE, notes.
type Expected<'e> = (Ended, bool, bool, Option<&'e str>, &'e [&'e str]);

/// Injects a message into an inbound endpoint whose sequence has these steps.
#[track_caller]
fn check(steps: &str, on_error: Option<&str>, expected: Expected<'_>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let sequence = format!("<sequence name='in'>{steps}</sequence>");
    let handler = "<sequence name='handler'><note name='handled'/></sequence>";
    let before = notes().len();
    let injected = runtime.block_on(async {
        let engine = engine_of(&[&sequence, handler, FAULT, MAIN]);
        let injector = Injector::new(engine.clone(), Route::Inbound(inbound_route("in", on_error)));
        let injected = injector.inject(Message::new()).await.unwrap();
        assert_eq!(engine.snapshot().services.in_flight.load(std::sync::atomic::Ordering::Relaxed), 0);
        injected
    });
    let seen = (injected.ended, injected.unhandled, injected.rollback, injected.error_code.as_deref());
    assert_eq!(seen, (expected.0, expected.1, expected.2, expected.3), "{steps}");
    assert_eq!(notes()[before..], *expected.4, "{steps}");
}

#[test]
fn an_injected_message_says_how_it_ended() {
    use Ended::{Completed, Faulted, Stopped};
    const PREFIXED: &str = "{inboundendpoint:In} a";
    check("<note name='a'/>", None, (Completed, false, false, None, &[PREFIXED]));
    check("<note name='a'/><fail/><note name='b'/>", None, (Faulted, true, false, None, &[PREFIXED]));
    let handled = "{inboundendpoint:In} handled";
    check("<fail/>", Some("handler"), (Faulted, false, false, None, &[handled]));
    check("<fail/>", Some("not deployed"), (Faulted, true, false, None, &[]));
    check("<panic/>", Some("handler"), (Faulted, true, false, None, &[]));
    check("<axis2 name='SET_ROLLBACK_ONLY' value='true'/>", None, (Completed, false, true, None, &[]));
    check("<header name='ERROR_CODE' value='101'/>", None, (Completed, false, false, Some("101"), &[]));
    check("<header name='ERROR_CODE' value=''/>", None, (Completed, false, false, None, &[]));
    check("<respond/>", None, (Stopped, false, false, None, &[]));
}

#[tokio::test]
async fn what_is_not_deployed_is_no_fault_of_the_message() {
    let engine = engine_of(&[]);
    let missing = Injector::new(engine.clone(), Route::Inbound(inbound_route("gone", None)));
    assert_eq!(missing.inject(Message::new()).await.unwrap_err(), InjectError::NoSequence("gone".into()));
    let proxy = Injector::new(engine.clone(), Route::Proxy("P".into(), "vfs"));
    assert!(!proxy.is_active());
    assert_eq!(proxy.inject(Message::new()).await.unwrap_err(), InjectError::NoProxy("P".into()));
    let dynamic = Injector::new(engine, Route::Inbound(inbound_route("gov:/dynamic.xml", None)));
    assert_eq!(dynamic.inject(Message::new()).await.unwrap().ended, Ended::Completed);
    assert_eq!(notes(), ["{inboundendpoint:In} dynamic"]);
}

#[tokio::test]
async fn a_proxy_answers_through_the_injector() {
    let proxy =
        "<proxy name='P' transports='vfs'><target><inSequence><note name='p'/><respond/></inSequence></target></proxy>";
    let engine = engine_of(&[proxy, MAIN]);
    let injector = Injector::new(engine.clone(), Route::Proxy("P".into(), "vfs"));
    assert!(injector.inject(Message::new()).await.unwrap().reply.is_none());
    let reply = injector.clone().with_replies().inject(Message::new()).await.unwrap().reply.unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(notes(), ["{proxy:P} p", "{proxy:P} p"]);
    engine.snapshot().proxies["P"].set_running(false);
    assert!(!injector.is_active());
}

/// The notes of a request to an inbound endpoint for HTTP.
#[track_caller]
fn check_http(pattern: Option<&str>, sequence: &str, target: &str, expected: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let api = "<api name='A' context='/a'><resource methods='GET'><inSequence><note name='api'/></inSequence></resource></api>";
    let bound = "<api name='B' context='/b' binds-to='In'><resource methods='GET'><inSequence><note name='bound'/></inSequence></resource></api>";
    let proxy = "<proxy name='P'><target><inSequence><note name='proxy'/></inSequence></target></proxy>";
    let own = "<sequence name='in'><note name='own'/></sequence>";
    let before = notes().len();
    let reply = runtime.block_on(async {
        let engine = engine_of(&[api, bound, proxy, own, MAIN]);
        let pattern = pattern.map(|pattern| regex::Regex::new(&format!("^(?:{pattern})$")).unwrap());
        let route = HttpRoute { route: inbound_route(sequence, None), pattern };
        engine.serve_inbound(request(target), &route).await.unwrap()
    });
    assert_eq!(reply.status, 202, "{target}");
    assert_eq!(notes()[before..], [expected], "{target}");
}

fn request(target: &str) -> HttpRequest {
    let anywhere = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    HttpRequest {
        method: Method::GET,
        target: target.to_owned(),
        version: Version::HTTP_11,
        headers: mi_message::Headers::new(),
        body: http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync(),
        peer: anywhere,
        local: anywhere,
        secure: false,
        client_certificate: None,
    }
}

#[test]
fn requests_of_http_inbounds_find_their_way() {
    const OWN: &str = "{inboundendpoint:In} own";
    const MAIN: &str = "{inboundendpoint:In} main";
    check_http(None, "in", "/anything", OWN);
    check_http(None, "in", "/a", OWN);
    check_http(None, "in", "/services/P", OWN);
    check_http(None, "in", "/b", "{api:B} bound");
    check_http(None, "gone", "/x", MAIN);
    check_http(Some(".*"), "in", "/a", "{api:A} api");
    check_http(Some(".*"), "in", "/b", "{api:B} bound");
    check_http(Some(".*"), "in", "/services/P", "{proxy:P} proxy");
    check_http(Some(".*"), "in", "/x", MAIN);
    check_http(Some("/services/.*"), "in", "/a", MAIN);
    check_http(Some("/services/.*"), "in", "/services/P?x=1", "{proxy:P} proxy");
}

fn inbound(name: &str, more: &str, parameters: &str) -> String {
    format!(
        "<inboundEndpoint name='{name}' protocol='probe' sequence='s' {more}><parameters>{parameters}</parameters></inboundEndpoint>"
    )
}

fn parameter(name: &str, value: &str) -> String {
    format!("<parameter name='{name}'>{value}</parameter>")
}

fn redeploy(engine: &Engine, artifacts: &[&str]) {
    let services = engine.snapshot().services.clone();
    engine.swap(snapshot_of(artifacts, services).0);
}

async fn pass_time(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_deployment_disturbs_only_what_it_changes() {
    let same = inbound("same", "", &parameter("interval", "10"));
    let changed = |interval| inbound("changed", "", &parameter("interval", interval));
    let gone = inbound("gone", "", &parameter("interval", "10"));
    let task = "<task name='t' class='counting'><trigger interval='10' count='2'/></task>";
    let engine = engine_of(&[&same, &changed("10"), &gone, task]);
    let running = RunningInbounds::start_all(&engine, Vec::new());
    pass_time(5).await;
    redeploy(&engine, &[&same, &changed("100"), &inbound("new", "", &parameter("interval", "100")), task]);
    running.apply();
    pass_time(10).await;
    let times = |text: &str| notes().iter().filter(|note| *note == text).count();
    assert_eq!(
        (times("same begins"), times("gone begins"), times("changed begins"), times("new begins")),
        (2, 1, 2, 1)
    );
    pass_time(100).await;
    assert_eq!(times("t runs"), 2, "an unchanged task goes on counting");
    assert_eq!(running.list().len(), 4);
    assert_eq!(running.stop(Duration::from_secs(1)).await, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_open_waits_until_it_may_begin() {
    let task = "<task name='t' class='counting'><trigger interval='10' count='2'/></task>";
    let engine = engine_of(&[&inbound("in", "", &parameter("interval", "10")), task]);
    let handles = vec![tokio::runtime::Handle::current()];
    let opening = tokio::task::spawn_blocking(move || RunningInbounds::open_all(&engine, handles, None, LONG));
    let running = opening.await.unwrap();
    pass_time(30).await;
    assert!(notes().is_empty(), "{:?}", notes());
    running.begin();
    pass_time(1).await;
    assert!(notes().contains(&"in begins".to_owned()) && notes().contains(&"t runs".to_owned()), "{:?}", notes());
    assert_eq!(running.stop(LONG).await, 0);
}

#[tokio::test(start_paused = true)]
async fn suspended_and_pinned_ones_wait() {
    let pinned = inbound("pinned", "", &[parameter("interval", "10"), parameter("pinnedServers", "other")].concat());
    let here =
        inbound("here", "", &[parameter("interval", "100"), parameter("pinnedServers", "a, localhost")].concat());
    let suspended = inbound("suspended", "suspend='true'", &parameter("interval", "100"));
    let engine = engine_of(&[&pinned, &here, &suspended]);
    let running = RunningInbounds::start_all(&engine, Vec::new());
    pass_time(20).await;
    assert_eq!(notes(), ["here begins", "here ends"]);
    assert!(running.set_running("inboundendpoint", "suspended", Phase::Running));
    assert!(!running.set_running("inboundendpoint", "pinned", Phase::Running));
    pass_time(1).await;
    assert_eq!(notes().last().map(String::as_str), Some("suspended ends"));
}

#[tokio::test(start_paused = true)]
async fn stopping_waits_for_what_was_begun_and_then_cuts_it_off() {
    for (takes, left) in [("5", 0), ("50", 1)] {
        let before = notes().len();
        let slow = inbound("slow", "", &[parameter("interval", "1"), parameter("takes", takes)].concat());
        let engine = engine_of(&[&slow]);
        let running = RunningInbounds::start_all(&engine, Vec::new());
        pass_time(1).await;
        assert_eq!(running.stop(Duration::from_secs(10)).await, left, "{takes}");
        assert_eq!(notes()[before..], ["slow begins", "slow ends"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_opened_is_tried_again() {
    let engine = engine_of(&[&inbound("broken", "", &parameter("broken", "true"))]);
    let running = RunningInbounds::start_all(&engine, Vec::new());
    pass_time(10).await;
    assert_eq!(notes().len(), 4, "after 0, 1, 3 and 7 seconds");
    assert_eq!(running.list()[0].gauge.last_error().as_deref(), Some("as told"));
    assert_eq!(running.stop(Duration::from_secs(1)).await, 0);
}

#[test]
fn what_this_version_does_not_know_is_a_warning() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let artifacts = [
            "<inboundEndpoint name='a' protocol='jms' sequence='s'/>",
            "<inboundEndpoint name='b' class='a.B' sequence='s'/>",
            "<proxy name='c' transports='http jms'><target><inSequence/></target></proxy>",
            "<task name='d' class='a.B'><trigger interval='1'/></task>",
        ];
        let services = services(Arc::new(super::testing::TestClock::at(0, &[])));
        let (snapshot, warnings) = snapshot_of(&artifacts, services);
        assert!(snapshot.inbounds.is_empty() && snapshot.tasks.is_empty());
        let text = warnings.join("\n");
        for part in ["the protocol 'jms'", "class 'a.B' does not start", "over 'jms'", "the task does not run"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    });
}
