//! `<inboundEndpoint protocol="ws">` and `"wss"`: a port for WebSocket connections. MI: `InboundWebsocketListener`.
//!
//! Sizes of thread pools have no meaning here and are accepted without a word.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::StatusCode;
use mi_config::Diagnostic;
use mi_engine::BuildCx;
use mi_engine::inbound::{Control, Inbound, Injector, OpenCx, Parameters, Route, Source};
use mi_engine::spec::InboundSpec;
use mi_engine::transport::{HttpReply, HttpRequest, HttpService};
use mi_message::Headers;

use super::handshake;
use super::session::{Audience, Hello, Hub, Session};
use crate::http::{Limits, ListenerConfig, Server, Upgrade, Upgrades};
use crate::keystore::KeyStore;
use crate::tls::{Identity, ServerTls, ServerTlsConfig};

/// `<inboundEndpoint protocol="ws">`
pub(crate) const INBOUND: InboundSpec = InboundSpec { protocol: "ws", parse: parse_plain };
/// `<inboundEndpoint protocol="wss">`
pub(crate) const INBOUND_SECURE: InboundSpec = InboundSpec { protocol: "wss", parse: parse_secure };

/// A port, as configured.
#[derive(Debug)]
struct WebSocketInbound {
    port: u16,
    uses_port_offset: bool,
    audience: Audience,
    default_type: Option<Arc<str>>,
    out_sequence: Option<Arc<str>>,
    out_fault_sequence: Option<Arc<str>>,
    sequence_by_path: bool,
    farewell: (u16, String),
    secure: Option<Secure>,
}

/// What a wss port needs.
#[derive(Clone, Debug)]
struct Secure {
    store: String,
    password: String,
    key_password: Option<String>,
    trust: Option<(String, String)>,
    protocols: String,
}

/// Parameters that are obeyed or that something is said about, and those for threads and types that need no saying here.
const KNOWN: &[&str] = &[
    "dispatch.custom.sequence",
    "inbound.ws.port",
    "ws.boss.thread.pool.size",
    "ws.client.side.broadcast.level",
    "ws.default.content.type",
    "ws.outflow.dispatch.fault.sequence",
    "ws.outflow.dispatch.sequence",
    "ws.pipeline.handler.class",
    "ws.shutdown.status.code",
    "ws.shutdown.status.message",
    "ws.subprotocol.handler.class",
    "ws.use.port.offset",
    "ws.worker.thread.pool.size",
    "wss.ssl.cert.pass",
    "wss.ssl.cipher.suites",
    "wss.ssl.key.store.file",
    "wss.ssl.key.store.pass",
    "wss.ssl.key.store.type",
    "wss.ssl.protocols",
    "wss.ssl.trust.store.file",
    "wss.ssl.trust.store.pass",
    "wss.ssl.trust.store.type",
];

fn parse_plain(parameters: &Parameters, cx: &mut BuildCx<'_>) -> Result<Option<Box<dyn Inbound>>, Diagnostic> {
    Ok(Some(Box::new(parse(parameters, None, cx)?)))
}

fn parse_secure(parameters: &Parameters, cx: &mut BuildCx<'_>) -> Result<Option<Box<dyn Inbound>>, Diagnostic> {
    const STORE: &str = "wss.ssl.key.store.file";
    if parameters.filled("wss.ssl.cipher.suites").is_some() {
        let place = parameters.place("wss.ssl.cipher.suites");
        cx.report(place.warning("'wss.ssl.cipher.suites' is not supported by this version"));
    }
    let Some(store) = parameters.filled(STORE) else {
        return Err(parameters.place(STORE).error(format!("a wss inbound endpoint needs the parameter '{STORE}'")));
    };
    let text = |name: &str| parameters.filled(name).map(str::to_owned);
    let trust =
        text("wss.ssl.trust.store.file").map(|file| (file, text("wss.ssl.trust.store.pass").unwrap_or_default()));
    let secure = Secure {
        store: store.to_owned(),
        password: text("wss.ssl.key.store.pass").unwrap_or_default(),
        key_password: text("wss.ssl.cert.pass"),
        trust,
        protocols: text("wss.ssl.protocols").unwrap_or_default(),
    };
    Ok(Some(Box::new(parse(parameters, Some(secure), cx)?)))
}

fn parse(
    parameters: &Parameters,
    secure: Option<Secure>,
    cx: &mut BuildCx<'_>,
) -> Result<WebSocketInbound, Diagnostic> {
    const PORT: &str = "inbound.ws.port";
    parameters.warn_unknown(&["dispatch.", "inbound.", "ws.", "wss."], KNOWN, cx);
    let port = parameters.text(PORT).unwrap_or_default();
    let port =
        port.parse().map_err(|_| parameters.place(PORT).error(format!("'{PORT}' must be a port, not '{port}'")))?;
    for name in ["ws.subprotocol.handler.class", "ws.pipeline.handler.class"] {
        if parameters.filled(name).is_some() {
            let text = format!("'{name}' has no effect: Java classes are not loaded");
            cx.report(parameters.place(name).warning(text));
        }
    }
    let name = |name: &str| parameters.filled(name).map(Arc::<str>::from);
    Ok(WebSocketInbound {
        port,
        uses_port_offset: parameters.is_true("ws.use.port.offset"),
        audience: audience(parameters, cx),
        default_type: name("ws.default.content.type"),
        out_sequence: name("ws.outflow.dispatch.sequence"),
        out_fault_sequence: name("ws.outflow.dispatch.fault.sequence"),
        sequence_by_path: parameters.is_true("dispatch.custom.sequence"),
        farewell: farewell(parameters, cx),
        secure,
    })
}

fn audience(parameters: &Parameters, cx: &mut BuildCx<'_>) -> Audience {
    const NAME: &str = "ws.client.side.broadcast.level";
    match parameters.filled(NAME) {
        None | Some("0") => Audience::Own,
        Some("1") => Audience::Path,
        Some("2") => Audience::Others,
        Some(other) => {
            cx.report(parameters.place(NAME).warning(format!("'{NAME}' must be 0, 1 or 2, not '{other}'; it is 0")));
            Audience::Own
        }
    }
}

/// MI: `WebsocketEndpointManager#broadcastShutDownToSubscriber`.
fn farewell(parameters: &Parameters, cx: &mut BuildCx<'_>) -> (u16, String) {
    let code = match parameters.number("ws.shutdown.status.code") {
        Ok(code) => code.unwrap_or(1001),
        Err(warning) => {
            cx.report(warning);
            1001
        }
    };
    (code, parameters.filled("ws.shutdown.status.message").unwrap_or("shutdown").to_owned())
}

impl Secure {
    fn load(&self, home: &Path) -> Result<ServerTls, String> {
        let open = |location: &str, password: &str, key_password: Option<&str>| {
            let path = home.join(location);
            KeyStore::load(&path, password, key_password).map_err(|error| format!("{}: {error}", path.display()))
        };
        let keys = open(&self.store, &self.password, self.key_password.as_deref())?;
        let mut config = ServerTlsConfig::new(Identity::from(keys.key(None).map_err(|error| error.to_string())?));
        config.protocols.clone_from(&self.protocols);
        if let Some((location, password)) = &self.trust {
            config.trusted = open(location, password, None)?.anchors().cloned().collect();
        }
        ServerTls::new(&config).map_err(|error| error.to_string())
    }
}

impl WebSocketInbound {
    /// Opens the port.
    fn listen(&self, cx: &OpenCx) -> Result<Server, String> {
        let snapshot = cx.injector.snapshot();
        let Route::Inbound(route) = &cx.route else { return Err("this is no inbound endpoint".to_owned()) };
        let environment = &snapshot.services.environment;
        let tls = match &self.secure {
            None => None,
            Some(secure) => {
                let home = environment.system_property("carbon.home").unwrap_or_default();
                Some(Arc::new(secure.load(&PathBuf::from(home))?))
            }
        };
        let offset = if self.uses_port_offset { environment.system_property("portOffset") } else { None };
        let offset = offset.and_then(|offset| offset.trim().parse::<u16>().ok()).unwrap_or(0);
        let port = self.port.checked_add(offset).ok_or("the port with its offset is larger than 65535")?;
        let hub = Arc::new(Hub {
            route: route.clone(),
            audience: self.audience,
            default_type: self.default_type.clone(),
            out_sequence: self.out_sequence.clone(),
            out_fault_sequence: self.out_fault_sequence.clone(),
            sequence_by_path: self.sequence_by_path,
            farewell: self.farewell.clone(),
            silence: snapshot.settings.socket_timeout,
            secure: self.secure.is_some(),
            subscribers: std::sync::Mutex::default(),
        });
        let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let mut config = ListenerConfig::new(format!("Inbound endpoint {}", cx.name), address);
        config.tls = tls;
        config.http2 = false;
        config.limits = Limits { idle_timeout: snapshot.settings.socket_timeout, ..Limits::default() };
        let injector = cx.injector.clone();
        let door = Door { hub, injector, control: cx.control.clone(), connections: AtomicU64::new(0) };
        config.upgrades = Some(Arc::new(door));
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Server::start(vec![(config, Arc::new(Plain) as Arc<dyn HttpService>)], threads)
            .map_err(|error| error.to_string())
    }
}

impl Inbound for WebSocketInbound {
    fn open(&self, cx: &OpenCx) -> Result<Source, String> {
        let server = self.listen(cx)?;
        let (control, patience) = (cx.control.clone(), cx.injector.snapshot().settings.socket_timeout);
        Ok(Source::Listen(Box::pin(async move {
            control.halted().await;
            server.wait_idle(patience).await;
            // Joining the threads blocks for a moment.
            let ended = tokio::task::spawn_blocking(move || server.shutdown()).await;
            ended.map_err(|error| error.to_string())
        })))
    }
}

/// Requests that are none for WebSocket: the health of the port, and mistakes.
/// MI: `InboundWebsocketSourceHandler#handleHandshake`.
struct Plain;

impl HttpService for Plain {
    fn call(&self, request: HttpRequest) -> BoxFuture<'static, Option<HttpReply>> {
        let reply =
            if request.target == "/health" { HttpReply::new(StatusCode::OK) } else { handshake::other_version() };
        std::future::ready(Some(reply)).boxed()
    }
}

/// Lets clients in.
#[derive(Debug)]
struct Door {
    hub: Arc<Hub>,
    injector: Injector,
    control: Control,
    connections: AtomicU64,
}

impl Upgrades for Door {
    fn accept(&self, request: HttpRequest) -> Result<Upgrade, HttpReply> {
        let agreed = handshake::agree(&request)?;
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let hello = Hello {
            id: format!("{}-{number}-{}", self.hub.route.name, request.peer),
            target: request.target,
            content_type: agreed.content_type,
            headers: request.headers,
        };
        let (hub, injector, control) = (self.hub.clone(), self.injector.clone(), self.control.clone());
        let headers: Headers = agreed.fields.into_iter().collect();
        let run = Box::new(move |io| {
            let (session, frames) = Session::new(hello, hub, injector);
            session.run(io, frames, control).boxed()
        });
        Ok(Upgrade { headers, run })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt, StreamExt};
    use mi_engine::inbound::{Gauge, InboundRoute, Phase, Switch};
    use mi_engine::{Engine, services::Sender};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::client::IntoClientRequest;
    use tokio_tungstenite::tungstenite::{Error, Message as Frame};

    use super::*;
    use crate::file::tests::support::{deploy, deploy_all};
    use crate::http::Client;
    use crate::http::tests::support::{client_config, raw, within};
    use crate::ws::WebSocketSender;

    /// What is said at deployment.
    #[track_caller]
    fn check(protocol: &str, parameters: &[(&str, &str)], starts: bool, expected: &[&str]) {
        let parameters: Vec<String> =
            parameters.iter().map(|(name, value)| format!("<parameter name='{name}'>{value}</parameter>")).collect();
        let parameters = parameters.concat();
        let built = deploy(&format!(
            "<inboundEndpoint name='W' protocol='{protocol}' sequence='in'><parameters>{parameters}</parameters></inboundEndpoint>"
        ));
        let errors = built.failed.iter().flat_map(|(_, diagnostics)| diagnostics);
        let said: Vec<String> = built.warnings.iter().chain(errors).map(ToString::to_string).collect();
        assert_eq!(built.snapshot.inbounds.len(), usize::from(starts), "{parameters}: {said:?}");
        assert_eq!(said.len(), expected.len(), "{parameters}: {said:?}");
        for (said, part) in said.iter().zip(expected) {
            assert!(said.contains(part), "{part}: {said}");
        }
    }

    #[test]
    fn parameters() {
        const PORT: (&str, &str) = ("inbound.ws.port", "0");
        check("ws", &[PORT, ("ws.client.side.broadcast.level", "2"), ("ws.boss.thread.pool.size", "7")], true, &[]);
        check("ws", &[PORT, ("ws.outflow.sequence", "s")], true, &["'ws.outflow.sequence' is not known"]);
        check("ws", &[], false, &["'inbound.ws.port' must be a port"]);
        check("ws", &[PORT, ("ws.client.side.broadcast.level", "3")], true, &["must be 0, 1 or 2"]);
        check("ws", &[PORT, ("ws.subprotocol.handler.class", "a.B")], true, &["Java classes are not loaded"]);
        check("ws", &[PORT, ("ws.shutdown.status.code", "x")], true, &["must be a number"]);
        check("wss", &[PORT], false, &["needs the parameter 'wss.ssl.key.store.file'"]);
        check("wss", &[PORT, ("wss.ssl.key.store.file", "a.jks")], true, &[]);
    }

    /// A port whose messages go to the sequence `in`, which has these steps.
    struct World {
        server: Server,
        switch: Switch,
    }

    fn world(steps: &str, change: impl FnOnce(&mut WebSocketInbound)) -> World {
        let mut inbound = WebSocketInbound {
            port: 0,
            uses_port_offset: false,
            audience: Audience::Own,
            default_type: None,
            out_sequence: Some("out".into()),
            out_fault_sequence: None,
            sequence_by_path: false,
            farewell: (1001, "shutdown".to_owned()),
            secure: None,
        };
        change(&mut inbound);
        let sockets: Arc<dyn Sender> = Arc::new(WebSocketSender::new(Client::new(client_config())));
        let sequences = [
            format!("<sequence name='in'>{steps}</sequence>"),
            "<sequence name='out'><respond/></sequence>".to_owned(),
            "<sequence name='a-b'><set name='websocket.text.frame' value='by path'/><respond/></sequence>".to_owned(),
            "<sequence name='main'><respond/></sequence>".to_owned(),
            "<sequence name='fault'/>".to_owned(),
        ];
        let sequences: Vec<&str> = sequences.iter().map(String::as_str).collect();
        let engine = Arc::new(Engine::new(deploy_all(&sequences, vec![("ws", sockets)]).snapshot));
        let route = Route::Inbound(InboundRoute {
            name: "W".into(),
            sequence: Some("in".into()),
            on_error: None,
            meters: None,
        });
        let (switch, control) = Switch::new(Phase::Running);
        let cx = OpenCx {
            name: "W".into(),
            route: route.clone(),
            injector: Injector::new(engine, route),
            control,
            gauge: Arc::new(Gauge::new("test")),
        };
        World { server: inbound.listen(&cx).unwrap(), switch }
    }

    type Peer = WebSocketStream<TcpStream>;

    impl World {
        fn port(&self) -> u16 {
            self.server.bound()[0].port()
        }

        async fn connect(&self, path: &str, protocol: Option<&str>) -> Result<Peer, Error> {
            let port = self.port();
            let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let mut request = format!("ws://127.0.0.1:{port}{path}").into_client_request().unwrap();
            if let Some(protocol) = protocol {
                request.headers_mut().insert("Sec-WebSocket-Protocol", protocol.parse().unwrap());
            }
            within(tokio_tungstenite::client_async(request, stream)).await.map(|(peer, _)| peer)
        }
    }

    async fn next(peer: &mut Peer) -> Frame {
        within(peer.next()).await.expect("a frame").expect("no error")
    }

    async fn ask(peer: &mut Peer, frame: Frame) -> Frame {
        peer.send(frame).await.unwrap();
        next(peer).await
    }

    #[tokio::test]
    async fn frames_are_answered_as_they_came() {
        let world = world("<respond/>", |_| {});
        let mut peer = world.connect("/a", None).await.unwrap();
        for frame in [Frame::text("one"), Frame::binary(vec![0, 0xff, 0xc3]), Frame::text("")] {
            assert_eq!(ask(&mut peer, frame.clone()).await, frame);
        }
        let pong = ask(&mut peer, Frame::Ping("p".into())).await;
        assert_eq!(pong, Frame::Pong("p".into()));
        within(peer.close(None)).await.unwrap();
        assert!(next(&mut peer).await.is_close());
        world.server.shutdown();
    }

    #[tokio::test]
    async fn an_agreed_or_default_content_type_makes_frames_bodies() {
        let agreed = world("<respond/>", |_| {});
        let mut peer = agreed.connect("/a", Some("synapse(contentType='application/json')")).await.unwrap();
        assert_eq!(ask(&mut peer, Frame::text("{\"a\":1}")).await, Frame::text("{\"a\":1}"));
        let json = world("<set name='x' value='y'/><respond/>", |it| it.default_type = Some("application/json".into()));
        let mut peer = json.connect("/a", None).await.unwrap();
        assert_eq!(ask(&mut peer, Frame::text("[1]")).await, Frame::text("[1]"));
        agreed.server.shutdown();
        json.server.shutdown();
    }

    #[tokio::test]
    async fn flows_may_change_the_frame_or_end_the_connection() {
        let changed = world("<set name='websocket.text.frame' value='other'/><respond/>", |_| {});
        let mut peer = changed.connect("/a", None).await.unwrap();
        assert_eq!(ask(&mut peer, Frame::text("one")).await, Frame::text("other"));
        let ended =
            world("<set name='errorCode' value='4000'/><set name='ERROR_MESSAGE' value='no'/><respond/>", |_| {});
        let mut peer = ended.connect("/a", None).await.unwrap();
        let Frame::Close(Some(close)) = next(&mut peer).await else { panic!("a farewell is expected") };
        assert_eq!((u16::from(close.code), close.reason.as_str()), (4000, "no"));
        changed.server.shutdown();
        ended.server.shutdown();
    }

    #[tokio::test]
    async fn paths_choose_sequences_where_they_are_to() {
        let by_path = world("<respond/>", |it| it.sequence_by_path = true);
        let mut peer = by_path.connect("/a/b?c=d", None).await.unwrap();
        assert_eq!(ask(&mut peer, Frame::text("one")).await, Frame::text("by path"));
        let mut peer = by_path.connect("/c", None).await.unwrap();
        assert_eq!(ask(&mut peer, Frame::text("one")).await, Frame::text("one"));
        by_path.server.shutdown();
    }

    #[tokio::test]
    async fn answers_reach_those_on_the_same_path() {
        for (audience, own) in [(Audience::Path, true), (Audience::Others, false)] {
            let world = world("<respond/>", |it| it.audience = audience);
            let mut first = world.connect("/a", None).await.unwrap();
            let mut second = world.connect("/a?b", None).await.unwrap();
            let mut elsewhere = world.connect("/b", None).await.unwrap();
            first.send(Frame::text("hello")).await.unwrap();
            assert_eq!(next(&mut second).await, Frame::text("hello"), "{audience:?}");
            if own {
                assert_eq!(next(&mut first).await, Frame::text("hello"), "{audience:?}");
            }
            // The next frame of each is the answer to its own ping.
            for peer in [&mut first, &mut second, &mut elsewhere] {
                assert!(ask(peer, Frame::Ping("p".into())).await.is_pong(), "{audience:?}");
            }
            world.server.shutdown();
        }
    }

    #[tokio::test]
    async fn frames_go_to_a_back_end_and_its_frames_come_back() {
        let back_end = world("<respond/>", |_| {});
        let to = format!("<send to='ws://127.0.0.1:{}/back'/>", back_end.port());
        let world = world(&to, |_| {});
        let mut first = world.connect("/a", None).await.unwrap();
        let mut second = world.connect("/a", None).await.unwrap();
        for text in ["one", "two"] {
            assert_eq!(ask(&mut first, Frame::text(text)).await, Frame::text(text));
            assert_eq!(ask(&mut second, Frame::binary(text)).await, Frame::binary(text));
        }
        assert_eq!(back_end.server.connections(), 2, "one for each client");
        drop(first);
        while back_end.server.connections() > 1 {
            tokio::task::yield_now().await;
        }
        back_end.server.shutdown();
        world.server.shutdown();
    }

    #[tokio::test]
    async fn a_back_end_that_is_not_there_ends_the_connection() {
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let world = world(&format!("<send to='ws://127.0.0.1:{gone}/'/>"), |_| {});
        // Raw, because the client of these tests does not know the status 1014.
        let mut stream = TcpStream::connect(("127.0.0.1", world.port())).await.unwrap();
        let key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let request = format!("GET /a HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{key}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        within(stream.read_to_end(&mut answer)).await.unwrap();
        let end = memchr::memmem::find(&answer, b"\r\n\r\n").unwrap() + 4;
        assert_eq!((answer[end], &answer[end + 2..end + 4]), (0x88, &1014_u16.to_be_bytes()[..]));
        world.server.shutdown();
    }

    #[tokio::test]
    async fn clients_are_told_when_the_endpoint_ends() {
        let world = world("<respond/>", |it| it.farewell = (1012, "restart".to_owned()));
        let mut peer = world.connect("/a", None).await.unwrap();
        ask(&mut peer, Frame::text("one")).await;
        world.switch.set(Phase::Stopped);
        let Frame::Close(Some(close)) = next(&mut peer).await else { panic!("a farewell is expected") };
        assert_eq!((u16::from(close.code), close.reason.as_str()), (1012, "restart"));
        world.server.shutdown();
    }

    #[tokio::test]
    async fn plain_requests_learn_the_health_of_the_port_and_nothing_else() {
        let world = world("<respond/>", |_| {});
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], world.port()));
        let answer = raw(address, b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
        let answer = raw(address, b"GET /a HTTP/1.1\r\nConnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
        let answer = raw(address, b"GET /a HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 426 ") && answer.contains("Sec-WebSocket-Version: 13\r\n"), "{answer}");
        world.server.shutdown();
    }
}
