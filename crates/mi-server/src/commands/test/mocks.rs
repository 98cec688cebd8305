//! Mock services: what answers in place of back ends. No port is opened; requests are taken where the server would send them.
//! MI: `MockServiceCreator`, `MediatorPropertyUtils#updateSendToUrlForMockServices`.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{StatusCode, Version};
use http_body_util::{BodyExt, Full};
use mi_config::Element;
use mi_engine::codes;
use mi_engine::transport::{HttpClient, Incoming, Outgoing, Payload, SendError};
use mi_message::{BodyStream, Headers};

use super::compare::normal;

/// Most bytes of a request that are compared.
const MAX_REQUEST: usize = 16 * 1024 * 1024;

/// A mock service.
#[derive(Clone, Debug)]
pub(super) struct Mock {
    /// Name of the endpoint that it stands for.
    pub(super) service: String,
    port: u16,
    resources: Vec<Resource>,
    /// `host:port` of the endpoint, when that is fixed.
    authority: Option<String>,
}

#[derive(Clone, Debug)]
struct Resource {
    /// Context and sub context, without the query.
    path: String,
    query: Vec<String>,
    method: String,
    headers: Vec<(String, String)>,
    /// What the body must be, if it matters.
    body: Option<String>,
    answer: Answer,
}

#[derive(Clone, Debug)]
struct Answer {
    status: StatusCode,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Mock {
    /// # Errors
    /// What is wrong, and with which element.
    pub(super) fn read(element: &Element) -> Result<Self, (Element, String)> {
        let text = |name: &str| element.child(name).map(|it| it.text().trim().to_owned()).filter(|it| !it.is_empty());
        let missing = |name: &str| (element.clone(), format!("there is no <{name}>"));
        let port = text("port").ok_or_else(|| missing("port"))?;
        let port = port.parse().map_err(|_| (element.clone(), format!("the port `{port}` is no number")))?;
        let context = text("context").unwrap_or_default();
        let context = context.trim_end_matches('/');
        let resources = element.child("resources").map(|it| it.children().collect::<Vec<_>>()).unwrap_or_default();
        let resources = resources.iter().map(|it| Resource::read(it, context)).collect::<Result<_, _>>()?;
        Ok(Self {
            service: text("service-name").ok_or_else(|| missing("service-name"))?,
            port,
            resources,
            authority: None,
        })
    }

    /// The same for an endpoint with that `host:port`.
    pub(super) fn at(&self, authority: Option<String>) -> Self {
        Self { authority, ..self.clone() }
    }

    /// Does it stand for where the request goes?
    fn stands_for(&self, host: &str, port: u16, path: &str) -> bool {
        if matches!(host, "localhost" | "127.0.0.1" | "::1") && port == self.port {
            return true;
        }
        let is_there = self.authority.as_ref().is_none_or(|it| *it == format!("{host}:{port}"));
        is_there && self.resources.iter().any(|it| it.is_at(path))
    }

    fn answer(&self, request: &Request<'_>) -> Answer {
        let found = self.resources.iter().find(|it| it.fits(request)).map(|it| it.answer.clone());
        found.unwrap_or_else(|| {
            let text =
                format!("No resource of the mock service {} fits {} {}", self.service, request.method, request.path);
            Answer { status: StatusCode::NOT_FOUND, headers: Vec::new(), body: text.into() }
        })
    }
}

impl Resource {
    fn read(element: &Element, context: &str) -> Result<Self, (Element, String)> {
        let text = |name: &str| element.child(name).map(|it| it.text().trim().to_owned()).unwrap_or_default();
        let sub_context = text("sub-context");
        let (path, query) = sub_context.split_once('?').unwrap_or((&sub_context, ""));
        let (request, response) = (element.child("request"), element.child("response"));
        let payload = |it: &Option<Element>| it.as_ref().and_then(|it| it.child("payload")).map(|it| content(&it));
        let status = response.as_ref().and_then(|it| it.child("status-code")).map(|it| it.text().trim().to_owned());
        let status = match status.as_deref() {
            None | Some("") => StatusCode::OK,
            Some(code) => code
                .parse::<u16>()
                .ok()
                .and_then(|code| StatusCode::from_u16(code).ok())
                .ok_or_else(|| (element.clone(), format!("`{code}` is no status code")))?,
        };
        let body = payload(&request).map(|it| normal(&it)).filter(|it| !it.is_empty());
        let answer =
            Answer { status, headers: headers(response.as_ref()), body: payload(&response).unwrap_or_default().into() };
        let mut method = text("method").to_ascii_uppercase();
        if method.is_empty() {
            "GET".clone_into(&mut method);
        }
        Ok(Self {
            path: format!("{context}{path}"),
            query: query.split('&').filter(|it| !it.is_empty()).map(str::to_owned).collect(),
            method,
            headers: headers(request.as_ref()),
            body,
            answer,
        })
    }

    fn is_at(&self, path: &str) -> bool {
        self.path.trim_end_matches('/') == path.trim_end_matches('/')
    }

    fn fits(&self, request: &Request<'_>) -> bool {
        self.is_at(request.path)
            && self.method == request.method
            && self.query.iter().all(|it| request.query.split('&').any(|given| given == it))
            && self.headers.iter().all(|(name, value)| request.headers.get(name) == Some(value))
            && self.body.as_ref().is_none_or(|body| *body == normal(&String::from_utf8_lossy(request.body)))
    }
}

/// Text, or elements as they stand there.
fn content(element: &Element) -> String {
    match element.first_child() {
        Some(inline) => inline.to_xml(),
        None => element.text().trim().to_owned(),
    }
}

fn headers(element: Option<&Element>) -> Vec<(String, String)> {
    let fields =
        element.and_then(|it| it.child("headers")).map(|it| it.children().collect::<Vec<_>>()).unwrap_or_default();
    let attr = |it: &Element, name: &str| it.attr(name).unwrap_or_default().into_owned();
    fields.iter().map(|it| (attr(it, "name"), attr(it, "value"))).collect()
}

struct Request<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
    headers: &'a Headers,
    body: &'a [u8],
}

/// Answers what a mock service stands for, and sends on the rest.
pub(super) struct Mocked {
    pub(super) mocks: Vec<Arc<Mock>>,
    pub(super) inner: Arc<dyn HttpClient>,
}

impl HttpClient for Mocked {
    fn send(&self, request: Outgoing) -> BoxFuture<'static, Result<Incoming, SendError>> {
        let target = request.target.clone();
        let path_and_query = match target.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
            None => &target,
        };
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let Some(mock) = self.mocks.iter().find(|it| it.stands_for(&request.host, request.port, path)).cloned() else {
            return self.inner.send(request);
        };
        let (path, query) = (path.to_owned(), query.to_owned());
        let body = match request.body {
            Payload::Empty => Ok(Bytes::new()),
            Payload::Bytes(bytes) => Ok(bytes),
            Payload::Stream(stream) => Err(stream),
        };
        let (method, headers) = (request.method, request.headers);
        async move {
            let body = match body {
                Ok(bytes) => bytes,
                Err(stream) => gathered(stream).await?,
            };
            let request =
                Request { method: method.as_str(), path: &path, query: &query, headers: &headers, body: &body };
            Ok(incoming(mock.answer(&request)))
        }
        .boxed()
    }
}

/// A body to its end.
async fn gathered(mut stream: BodyStream) -> Result<Bytes, SendError> {
    let failed = |message: String| SendError { code: codes::SND_IO_SENDING, message, detail: String::new() };
    let mut bytes = Vec::new();
    while let Some(frame) = stream.frame().await {
        let frame = frame.map_err(|cause| failed(format!("The request could not be read: {cause}")))?;
        if let Ok(data) = frame.into_data() {
            if bytes.len() + data.len() > MAX_REQUEST {
                return Err(failed(format!("The request is larger than {MAX_REQUEST} bytes")));
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes.into())
}

fn incoming(answer: Answer) -> Incoming {
    let mut headers: Headers = answer.headers.into_iter().collect();
    headers.set("Content-Length", answer.body.len().to_string());
    Incoming {
        status: answer.status,
        reason: None,
        version: Version::HTTP_11,
        headers,
        body: Full::new(answer.body).map_err(|never| match never {}).boxed_unsync(),
    }
}
