//! A closed loop of clients: each sends its next request when it has the answer to the last one.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::Failure;
use crate::payload::Kind;

/// One run.
#[derive(Clone)]
pub struct Plan {
    pub port: u16,
    pub path: &'static str,
    pub kind: Kind,
    pub body: Bytes,
    pub connections: usize,
    pub time: Duration,
}

/// What came of it.
#[derive(Default)]
pub struct Outcome {
    /// Microseconds of each request that was answered as it should be, in order of size.
    pub latencies: Vec<u32>,
    /// Requests without an answer, or with a wrong one.
    pub errors: u64,
    /// The first of those.
    pub first_error: Option<String>,
    pub seconds: f64,
}

/// # Errors
/// No connection can be opened.
pub async fn run(plan: &Plan) -> Result<Outcome, Failure> {
    let start = Instant::now();
    let end = start + plan.time;
    let clients: Vec<_> = (0..plan.connections)
        .map(|_| tokio::spawn(client(plan.port, plan.path, plan.kind, plan.body.clone(), end)))
        .collect();
    let mut all = Outcome::default();
    for client in clients {
        let one = client.await?;
        all.latencies.extend(one.latencies);
        all.errors += one.errors;
        all.first_error = all.first_error.or(one.first_error);
    }
    all.seconds = start.elapsed().as_secs_f64();
    all.latencies.sort_unstable();
    Ok(all)
}

async fn client(port: u16, path: &'static str, kind: Kind, body: Bytes, end: Instant) -> Outcome {
    let mut outcome = Outcome::default();
    while Instant::now() < end {
        if let Err(error) = requests(port, path, kind, &body, end, &mut outcome).await {
            outcome.errors += 1;
            outcome.first_error.get_or_insert(error.to_string());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    outcome
}

/// Requests over one connection until the time is over or something is wrong.
async fn requests(
    port: u16,
    path: &str,
    kind: Kind,
    body: &Bytes,
    end: Instant,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    while Instant::now() < end {
        let mut request = Request::post(path).header("Host", "localhost");
        for (name, value) in kind.headers() {
            request = request.header(*name, *value);
        }
        let start = Instant::now();
        sender.ready().await?;
        let response = sender.send_request(request.body(Full::new(body.clone()))?).await?;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        if !status.is_success() || !contains(&answer, b"symbol") {
            let text = String::from_utf8_lossy(&answer[..answer.len().min(200)]).into_owned();
            return Err(format!("{status}: {text}").into());
        }
        outcome.latencies.push(u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(())
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    // What is looked for stands near the front of every good answer.
    text[..text.len().min(2_000)].windows(part.len()).any(|it| it == part)
}

/// Waits until somebody listens.
///
/// # Errors
/// The time is over.
pub async fn wait_for_listener(port: u16, time: Duration) -> Result<(), Failure> {
    let end = Instant::now() + time;
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        if Instant::now() > end {
            return Err(format!("nobody listens on port {port}").into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Waits until a request to the port is answered.
///
/// # Errors
/// Ten seconds are over.
pub async fn wait_for(port: u16, path: &'static str) -> Result<(), Failure> {
    for _ in 0..100 {
        let plan = Plan {
            port,
            path,
            kind: Kind::Json,
            body: Bytes::from_static(b"{\"symbol\": 1}"),
            connections: 1,
            time: Duration::from_millis(100),
        };
        if !run(&plan).await?.latencies.is_empty() {
            return Ok(());
        }
    }
    Err(format!("nobody answers on port {port}").into())
}
