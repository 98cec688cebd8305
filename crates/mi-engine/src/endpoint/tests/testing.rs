//! Back ends that fail as they are told, on a clock of virtual time. That the client of mi-transports turns failures of real
//! connections into these codes is tested there.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream;
use http::{StatusCode, Version};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use mi_config::{SourceFile, parse_artifact};
use mi_message::{Body, BodyStream, BoxError, Headers, Message, Text};
use tokio::time::Instant;

use super::super::Sent;
use super::super::state::State;
use crate::context::{ArtifactInfo, Context};
use crate::exchange::{Exchange, RequestInfo};
use crate::fault::{Fault, codes};
use crate::flow;
use crate::serve::Engine;
use crate::services::{Clock, Services};
use crate::snapshot::{Settings, Snapshot};
use crate::spec::Specs;
use crate::transport::{HttpClient, Incoming, Outgoing, Payload, SendError};

/// What a back end does with one request. Without more of them it answers at once.
#[derive(Clone, Copy, Debug)]
pub(super) enum Does {
    /// Answers with a SOAP fault.
    Faults,
    /// Answers, with this header field.
    Answers(&'static str, &'static str),
    /// Refuses the connection.
    Refuses,
    /// Resets the connection in place of an answer.
    Resets,
    /// Answers after so many milliseconds.
    Delays(u64),
    /// Takes the request and never says anything.
    IsHalfOpen,
    /// Breaks off in the middle of the body.
    BreaksOff,
    /// Sends the body in four parts, with so many milliseconds before each.
    Drips(u64),
}

const SOAP_FAULT: &str = "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body><s:Fault><faultcode>s:Server</faultcode>\
    <faultstring>no</faultstring></s:Fault></s:Body></s:Envelope>";

/// Back ends by host; what they were asked.
struct World {
    start: Instant,
    scripts: Mutex<HashMap<String, VecDeque<Does>>>,
    seen: Mutex<Vec<String>>,
}

impl HttpClient for World {
    fn send(&self, request: Outgoing) -> BoxFuture<'static, Result<Incoming, SendError>> {
        let host = request.host.to_string();
        let body = match &request.body {
            Payload::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        };
        let cookie = request.headers.get("Cookie").map(|it| format!(" {it}")).unwrap_or_default();
        let shown =
            if request.target == "/" { host.clone() } else { format!("{host}:{}{}", request.port, request.target) };
        self.seen.lock().unwrap().push(format!("{shown}{cookie}"));
        let does = self.scripts.lock().unwrap().get_mut(&host).and_then(VecDeque::pop_front);
        let failed = |code, message: &str| Err(SendError { code, message: message.into(), detail: String::new() });
        Box::pin(async move {
            let mut headers = Headers::new();
            headers.append("Content-Type", "text/xml");
            let mut parts = vec![(0, Ok(format!("<from>{host}</from>{}", if body.is_empty() { "" } else { " " })))];
            match does.unwrap_or(Does::Delays(0)) {
                Does::Faults => parts = vec![(0, Ok(SOAP_FAULT.to_owned()))],
                Does::Answers(name, value) => headers.append(name, value),
                Does::Refuses => return failed(codes::CONNECTION_FAILED, "Connection refused"),
                Does::Resets => return failed(codes::CONNECTION_CLOSED, "Connection reset"),
                Does::Delays(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
                Does::IsHalfOpen => std::future::pending().await,
                Does::BreaksOff => parts = vec![(0, Ok("<from>".to_owned())), (0, Err("broken off"))],
                Does::Drips(millis) => parts = ["<a>", "1", "2", "</a>"].map(|it| (millis, Ok(it.to_owned()))).to_vec(),
            }
            let incoming = Incoming {
                status: StatusCode::OK,
                reason: None,
                version: Version::HTTP_11,
                headers,
                body: body_of(parts),
            };
            Ok(incoming)
        })
    }
}

fn body_of(parts: Vec<(u64, Result<String, &'static str>)>) -> BodyStream {
    let frames = stream::unfold(parts.into_iter(), |mut parts| async move {
        let (millis, part) = parts.next()?;
        tokio::time::sleep(Duration::from_millis(millis)).await;
        Some((part.map(|text| Frame::data(Bytes::from(text))).map_err(BoxError::from), parts))
    });
    BodyExt::boxed_unsync(StreamBody::new(frames))
}

impl Clock for World {
    fn now_millis(&self) -> i64 {
        1_800_000_000_000 + self.start.elapsed().as_millis() as i64
    }
    fn zone_offset_seconds(&self, _: i64) -> i32 {
        0
    }
    fn new_id(&self) -> String {
        "urn:uuid:1".to_owned()
    }
}

impl World {
    /// A snapshot of endpoints in this world, and the errors of those that cannot be built.
    fn build(self: &Arc<Self>, endpoints: &[&str]) -> (Snapshot, Vec<String>) {
        let mut errors = Vec::new();
        let parsed: Vec<_> = endpoints
            .iter()
            .flat_map(|xml| {
                let (parsed, found) = parse_artifact(SourceFile::new("test.xml", xml.as_bytes().to_vec()));
                errors.extend(found.iter().filter(|it| it.is_error()).map(ToString::to_string));
                parsed
            })
            .collect();
        let services = Services { http: self.clone(), clock: self.clone(), ..Services::offline(Specs::default()) };
        let built = crate::build(&parsed, Arc::new(services), Settings::default());
        errors.extend(built.failed.iter().flat_map(|(_, found)| found).map(ToString::to_string));
        (built.snapshot, errors)
    }
}

/// Endpoints that are deployed, and the back ends that they lead to.
pub(super) struct Lab {
    world: Arc<World>,
    engine: Engine,
}

impl Lab {
    /// Deploys endpoints.
    pub(super) fn deploy(endpoints: &[&str]) -> Self {
        let (lab, errors) = Self::try_deploy(endpoints);
        assert!(errors.is_empty(), "{errors:?}");
        lab
    }

    /// Deploys endpoints; the errors of those that cannot be.
    pub(super) fn try_deploy(endpoints: &[&str]) -> (Self, Vec<String>) {
        let world = Arc::new(World { start: Instant::now(), scripts: Mutex::default(), seen: Mutex::default() });
        let (snapshot, errors) = world.build(endpoints);
        (Self { world, engine: Engine::new(snapshot) }, errors)
    }

    /// Another deployment in place of this one.
    pub(super) fn redeploy(&self, endpoints: &[&str]) {
        let (snapshot, errors) = self.world.build(endpoints);
        assert!(errors.is_empty(), "{errors:?}");
        self.engine.swap(snapshot);
    }

    /// Switches an endpoint.
    pub(super) fn switch(&self, name: &str, on: bool) -> bool {
        self.engine.snapshot().endpoints.by_name(name).unwrap().switch(on)
    }

    /// What a host does with the next requests.
    pub(super) fn script(&self, host: &str, does: &[Does]) {
        self.world.scripts.lock().unwrap().entry(host.to_owned()).or_default().extend(does);
    }

    /// Sends a message to the endpoint `e`: the body of the answer, or the error code.
    pub(super) async fn send(&self) -> Result<String, u32> {
        self.send_with(|_| {}).await
    }

    /// The same with a changed message.
    pub(super) async fn send_with(&self, change: impl FnOnce(&mut Message)) -> Result<String, u32> {
        let mut cx = self.context(change);
        match self.send_in(&mut cx).await {
            Ok(Sent::Answered) => {}
            Ok(other) => return Ok(format!("{other:?}")),
            Err(fault) => return Err(fault.code.unwrap_or(0)),
        }
        match flow::read_body(&mut cx).await {
            Ok(()) => {
                Ok(cx.message.body.raw().map(|it| String::from_utf8_lossy(it).trim().to_owned()).unwrap_or_default())
            }
            Err(fault) => Err(fault.code.unwrap_or(0)),
        }
    }

    /// The error code that sending ends with, and the message that the fault handlers get.
    pub(super) async fn failed(&self, change: impl FnOnce(&mut Message)) -> (Option<u32>, Message) {
        let mut cx = self.context(change);
        let fault = self.send_in(&mut cx).await.unwrap_err();
        (fault.code, *cx.message)
    }

    /// The text of the fault that sending ends with.
    pub(super) async fn fault(&self) -> String {
        self.send_in(&mut self.context(|_| {})).await.unwrap_err().message
    }

    fn context(&self, change: impl FnOnce(&mut Message)) -> Context {
        let mut message = Message::new();
        message.rest = true;
        message.axis2.set("messageType", "text/xml");
        message.addressing.to = Some("/path/of?the=message".to_owned());
        message.body = Body::from_bytes("<a/>", Some("text/xml".into()));
        change(&mut message);
        let request = RequestInfo { method: Text::Fixed("POST"), ..RequestInfo::default() };
        let (sender, _) = tokio::sync::oneshot::channel();
        let exchange = Arc::new(Exchange::new(request, sender));
        Context::new(message, self.engine.snapshot(), exchange, Arc::new(ArtifactInfo::default()))
    }

    async fn send_in(&self, cx: &mut Context) -> Result<Sent, Fault> {
        let endpoint = self.engine.snapshot().endpoints.by_name("e").cloned().unwrap();
        endpoint.send(cx).await
    }

    /// The state of an endpoint.
    pub(super) fn state(&self, name: &str) -> State {
        self.engine.snapshot().endpoints.by_name(name).unwrap().state().unwrap().state()
    }

    /// Hosts that were asked since the last look, with path and cookie where there is one.
    pub(super) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.world.seen.lock().unwrap())
    }

    /// Milliseconds since the start.
    pub(super) fn now(&self) -> u64 {
        self.world.start.elapsed().as_millis() as u64
    }
}

/// Lets time pass.
pub(super) async fn after(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}
