//! `/healthz`, `/liveness` and `/server-info`. MI: `ReadinessResource`, `LivenessResource`, `ServerInfoResource`.
//!
//! Readiness is honest: 503 with the reason until the first deployment has finished and again from SIGTERM on, MI's
//! 500 with the list while an application is faulty, 200 otherwise. Liveness depends on nothing but the process.

use std::sync::Mutex;
use std::sync::PoisonError;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::StatusCode;
use mi_engine::reply;
use mi_engine::transport::{HttpReply, HttpRequest, HttpService};
use serde_json::{Value, json};

use crate::management::Twin;
use crate::metrics;

/// The MI release whose behaviour is reproduced; tools compare it.
pub const MI_VERSION: &str = "4.4.0";

/// What the probes know of the server.
#[derive(Debug)]
pub struct Probes {
    state: Mutex<State>,
}

#[derive(Clone, Debug)]
enum State {
    Starting,
    Serving { faulty: Vec<FaultyApplication>, degraded: Vec<String> },
    Stopping,
}

/// An application that was not deployed.
#[derive(Clone, Debug)]
pub struct FaultyApplication {
    /// File name without the extension, as MI lists it.
    pub name: String,
    /// Why.
    pub reason: String,
}

impl Probes {
    /// The server has begun to deploy.
    pub fn starting() -> Self {
        Self { state: Mutex::new(State::Starting) }
    }

    /// The first deployment has finished. `degraded` names artifacts that work only in part.
    pub fn serving(&self, faulty: Vec<FaultyApplication>, degraded: Vec<String>) {
        self.set(State::Serving { faulty, degraded });
    }

    /// The server is about to stop.
    pub fn stopping(&self) {
        self.set(State::Stopping);
    }

    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// The answer to a request for one of the three paths.
    pub fn answer(&self, path: &str) -> Option<HttpReply> {
        match path.split('?').next().unwrap_or_default().trim_end_matches('/') {
            "/healthz" => Some(self.healthz()),
            "/liveness" => Some(reply::plain(StatusCode::OK, "application/json", r#"{"server" : "started"}"#)),
            "/server-info" => Some(json_reply(StatusCode::OK, &server_info())),
            _ => None,
        }
    }

    /// Readiness.
    pub fn healthz(&self) -> HttpReply {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let version = json!({"version": MI_VERSION, "update_level": ""});
        let with = |status: &str, more: Value| {
            let mut object = version.clone();
            object["status"] = status.into();
            if let (Some(target), Value::Object(more)) = (object.as_object_mut(), more) {
                target.extend(more);
            }
            object
        };
        match state {
            State::Starting => {
                let text = "not ready, the first deployment has not finished";
                json_reply(StatusCode::SERVICE_UNAVAILABLE, &with(text, json!({})))
            }
            State::Stopping => {
                json_reply(StatusCode::SERVICE_UNAVAILABLE, &with("not ready, the server is stopping", json!({})))
            }
            State::Serving { faulty, degraded } if faulty.is_empty() => {
                let more = if degraded.is_empty() { json!({}) } else { json!({"degraded": degraded}) };
                json_reply(StatusCode::OK, &with("ready", more))
            }
            State::Serving { faulty, .. } => {
                let names: Vec<&str> = faulty.iter().map(|it| it.name.as_str()).collect();
                let reasons: Vec<Value> =
                    faulty.iter().map(|it| json!({"name": it.name, "reason": it.reason})).collect();
                let more = json!({"Faulty CAPPs": names, "details": reasons});
                json_reply(StatusCode::INTERNAL_SERVER_ERROR, &with("not ready, faulty CAPPs detected", more))
            }
        }
    }
}

fn server_info() -> Value {
    json!({
        "productName": "WSO2 Micro Integrator",
        "productVersion": MI_VERSION,
        "implementation": concat!("micro-integrator ", env!("CARGO_PKG_VERSION")),
        "osName": std::env::consts::OS,
        "arch": std::env::consts::ARCH,
        "workDirectory": std::env::current_dir().map(|dir| dir.display().to_string()).unwrap_or_default(),
    })
}

fn json_reply(status: StatusCode, value: &Value) -> HttpReply {
    reply::plain(status, "application/json", value.to_string())
}

/// The internal listener: probes, metrics, and the management API for whom that is offered without TLS.
#[derive(Debug)]
pub struct InternalService {
    /// Readiness and liveness.
    pub probes: std::sync::Arc<Probes>,
    /// Metrics.
    pub metrics: std::sync::Arc<metrics::Page>,
    /// The management API.
    pub management: std::sync::Arc<Twin>,
}

impl HttpService for InternalService {
    fn call(&self, request: HttpRequest) -> BoxFuture<'static, Option<HttpReply>> {
        let answer = match request.target.split('?').next() {
            Some(metrics::PATH) => self.metrics.answer(),
            Some(path) if Twin::owns(path) => return self.management.answer(request),
            _ => self.probes.answer(&request.target).unwrap_or_else(|| HttpReply::new(StatusCode::NOT_FOUND)),
        };
        futures_util::future::ready(Some(answer)).boxed()
    }
}

/// The main listeners: what is deployed, and `/healthz` unless a deployed API owns that path.
#[derive(Debug)]
pub struct MainService {
    /// What is deployed.
    pub engine: std::sync::Arc<mi_engine::Engine>,
    /// Readiness.
    pub probes: std::sync::Arc<Probes>,
}

impl HttpService for MainService {
    fn call(&self, request: HttpRequest) -> BoxFuture<'static, Option<HttpReply>> {
        if request.target == "/healthz" {
            let snapshot = self.engine.snapshot();
            let host = request.headers.get("Host").unwrap_or_default();
            if snapshot.apis.find(&request.target, host, request.secure, None).is_none() {
                return futures_util::future::ready(Some(self.probes.healthz())).boxed();
            }
        }
        self.engine.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mi_engine::transport::Payload;

    fn text(reply: &HttpReply) -> (u16, String) {
        let Payload::Bytes(bytes) = &reply.body else { panic!("a body") };
        (reply.status.as_u16(), String::from_utf8_lossy(bytes).into_owned())
    }

    #[test]
    fn readiness_follows_the_life_of_the_server() {
        let probes = Probes::starting();
        assert_eq!(text(&probes.healthz()).0, 503);
        probes.serving(Vec::new(), Vec::new());
        assert_eq!(
            text(&probes.healthz()),
            (200, r#"{"version":"4.4.0","update_level":"","status":"ready"}"#.to_owned())
        );
        probes.serving(vec![FaultyApplication { name: "a_1.0.0".to_owned(), reason: "broken".to_owned() }], Vec::new());
        let (status, body) = text(&probes.healthz());
        assert_eq!(status, 500);
        assert!(body.contains(r#""status":"not ready, faulty CAPPs detected","Faulty CAPPs":["a_1.0.0"]"#), "{body}");
        probes.stopping();
        assert_eq!(text(&probes.healthz()).0, 503);
        assert!(probes.answer("/liveness").is_some() && probes.answer("/x").is_none());
    }
}
