//! The back end: what comes in goes out, with the same content type.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Answers on the port until the program ends.
///
/// # Errors
/// The port is taken.
pub(crate) async fn start(port: u16) -> Result<(), crate::Failure> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(|error| format!("port {port}: {error}"))?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A connection that cannot be tuned or ends is the business of the one that measures.
            stream.set_nodelay(true).ok();
            tokio::spawn(async move {
                http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await.ok();
            });
        }
    });
    Ok(())
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let kind = request.headers().get(header::CONTENT_TYPE).cloned();
    let body = request.into_body().collect().await.map(|it| it.to_bytes()).unwrap_or_default();
    let mut response = Response::new(Full::new(body));
    if let Some(kind) = kind {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    Ok(response)
}
