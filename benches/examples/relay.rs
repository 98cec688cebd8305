//! The bare relay: the HTTP transport with a service that hands every request to one back end and streams both bodies.
//! No engine, no mediation: what is measured is the floor under every proxy and API.
//!
//! `relay <listen address> <back end host:port> [threads]`; `benches/direct.sh` compares it with nginx.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::{StatusCode, Version};
use mi_engine::transport::{HttpClient, HttpReply, HttpRequest, HttpService, Outgoing, Payload};
use mi_transports::http::{Client, ClientConfig, ListenerConfig, Server};
use mi_transports::tls::{ClientTls, ClientTlsConfig};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Relay {
    client: Client,
    host: Arc<str>,
    port: u16,
}

impl HttpService for Relay {
    fn call(&self, request: HttpRequest) -> BoxFuture<'static, Option<HttpReply>> {
        let client = self.client.clone();
        let mut headers = request.headers;
        headers.remove("Host");
        let body =
            if http_body::Body::is_end_stream(&request.body) { Payload::Empty } else { Payload::Stream(request.body) };
        let outgoing = Outgoing {
            method: request.method,
            secure: false,
            host: self.host.clone(),
            port: self.port,
            target: request.target,
            version: Version::HTTP_11,
            headers,
            body,
            chunked: false,
            close: false,
            timeout: None,
        };
        Box::pin(async move {
            Some(match client.send(outgoing).await {
                Ok(answer) => HttpReply {
                    status: answer.status,
                    reason: answer.reason,
                    headers: answer.headers,
                    body: Payload::Stream(answer.body),
                    close: false,
                },
                Err(_) => HttpReply::new(StatusCode::BAD_GATEWAY),
            })
        })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let listen: SocketAddr = arguments.next().ok_or("listen address?")?.parse()?;
    let back_end = arguments.next().ok_or("back end?")?;
    let threads = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let (host, port) = back_end.rsplit_once(':').ok_or("host:port")?;
    let tls = Arc::new(ClientTls::new(&ClientTlsConfig::default())?);
    let relay = Relay { client: Client::new(ClientConfig::new(tls)), host: host.into(), port: port.parse()? };
    let _server = Server::start(vec![(ListenerConfig::new("relay", listen), Arc::new(relay))], threads)?;
    loop {
        std::thread::park();
    }
}
