//! Kubernetes as the arbiter of coordination: a Lease of `coordination.k8s.io/v1` for each thing that is shared, by the HTTPS
//! API of the cluster, with the account of the pod.
//!
//! Clocks of nodes may differ, so that the times in a Lease are for people only: a Lease is over when it has not changed for
//! its length on the clock of whoever looks. The version of the object decides when two write at once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use http::{Method, StatusCode};
use mi_engine::coordination::Arbiter;
use mi_engine::endpoint::Target;
use mi_engine::transport::{HttpClient, Outgoing, Payload};
use mi_message::Body;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use tokio::time::Instant;

use crate::http::{Client, ClientConfig};
use crate::keystore::KeyStore;
use crate::tls::{ClientTls, ClientTlsConfig, HostnameVerifier};

/// Where a pod finds its account.
pub const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Longest wait for an answer; the caller waits for less when its leases are short.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most bytes of an answer.
const MAX_ANSWER: usize = 1 << 20;
/// The annotation of a Lease that says what all servers are to do.
const STATE: &str = "micro-integrator/state";
const RUNNING: &str = "RUNNING";
const PAUSED: &str = "PAUSED";
/// Longest readable part of a name; the whole name of an object has at most 253 characters.
const MAX_SLUG: usize = 180;

/// Leases in the namespace of the pod.
#[derive(Debug)]
pub struct KubernetesArbiter {
    client: Client,
    /// Of the API, `https://host:port`.
    address: String,
    namespace: String,
    /// Read for each request, as it is exchanged every hour.
    token: PathBuf,
    group: String,
    /// Leases of others, as they were seen: version, and since when it has not changed.
    seen: Mutex<HashMap<String, (String, Instant)>>,
}

/// What the API answered.
struct Answer {
    status: StatusCode,
    body: Value,
}

impl KubernetesArbiter {
    /// Leases of `group`, whose name the names of the objects begin with. `variable` is an environment variable of the pod,
    /// `account` the folder of its account. The error says what is missing.
    pub fn new(group: &str, account: &Path, variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let of = |name: &str| {
            variable(name)
                .filter(|text| !text.is_empty())
                .ok_or_else(|| format!("the variable {name} is not set: this is no pod of Kubernetes"))
        };
        let read = |name: &str| {
            let path = account.join(name);
            std::fs::read(&path).map_err(|why| format!("{} cannot be read: {why}", path.display()))
        };
        let host = of("KUBERNETES_SERVICE_HOST")?;
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let issuers = KeyStore::parse(&read("ca.crt")?, "", None).map_err(|why| format!("ca.crt: {why}"))?;
        let config = ClientTlsConfig {
            trusted: issuers.trusted.into_iter().map(|(_, certificate)| certificate).collect(),
            hostname_verifier: HostnameVerifier::Strict,
            ..ClientTlsConfig::default()
        };
        let tls = ClientTls::new(&config).map_err(|why| why.to_string())?;
        let namespace = String::from_utf8_lossy(&read("namespace")?).trim().to_owned();
        Ok(Self {
            client: Client::new(ClientConfig {
                connect_timeout: PATIENCE,
                response_timeout: PATIENCE,
                socket_timeout: PATIENCE,
                ..ClientConfig::new(Arc::new(tls))
            }),
            address: format!("https://{host}:{}", of("KUBERNETES_SERVICE_PORT")?),
            namespace,
            token: account.join("token"),
            group: group.to_owned(),
            seen: Mutex::default(),
        })
    }

    async fn ask(&self, what: &str, holder: &str, period: Duration) -> Result<Option<u64>, String> {
        let name = object_name(&self.group, what);
        let found = self.request(Method::GET, Some(&name), None).await?;
        let mut lease = match found.status {
            StatusCode::OK => found.body,
            StatusCode::NOT_FOUND => return self.create(&name, what, holder, period).await,
            other => return Err(refused(other, &found.body)),
        };
        let spec = &lease["spec"];
        let (by, number) = (spec["holderIdentity"].as_str().unwrap_or_default(), number_of(&lease));
        let mine = by == holder;
        if !mine && !by.is_empty() && !self.is_over(&name, &lease) {
            return Ok(None);
        }
        let number = if mine { number } else { number + 1 };
        let now = timestamp(SystemTime::now());
        if !mine {
            lease["spec"]["acquireTime"] = now.clone().into();
        }
        lease["spec"]["holderIdentity"] = holder.into();
        lease["spec"]["leaseDurationSeconds"] = whole_seconds(period).into();
        lease["spec"]["renewTime"] = now.into();
        lease["spec"]["leaseTransitions"] = (number - 1).into();
        let written = self.request(Method::PUT, Some(&name), Some(lease)).await?;
        match written.status {
            StatusCode::OK | StatusCode::CREATED => Ok(Some(number)),
            // Somebody else was faster; who, the next look will tell.
            StatusCode::CONFLICT if !mine => Ok(None),
            other => Err(refused(other, &written.body)),
        }
    }

    async fn create(&self, name: &str, what: &str, holder: &str, period: Duration) -> Result<Option<u64>, String> {
        let now = timestamp(SystemTime::now());
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "labels": {"app.kubernetes.io/managed-by": "micro-integrator"},
                "annotations": {"micro-integrator/runs": what},
            },
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": whole_seconds(period),
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": 0,
            },
        });
        let made = self.request(Method::POST, None, Some(lease)).await?;
        match made.status {
            StatusCode::CREATED | StatusCode::OK => Ok(Some(1)),
            StatusCode::CONFLICT => Ok(None),
            other => Err(refused(other, &made.body)),
        }
    }

    /// Has a Lease of somebody else not changed for its own length?
    fn is_over(&self, name: &str, lease: &Value) -> bool {
        let version = lease["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        let length = Duration::from_secs(lease["spec"]["leaseDurationSeconds"].as_u64().unwrap_or(0));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get(name) {
            Some((known, since)) if known == version => since.elapsed() >= length,
            _ => {
                seen.insert(name.to_owned(), (version.to_owned(), Instant::now()));
                false
            }
        }
    }

    async fn give_back(&self, what: &str, holder: &str) -> Result<(), String> {
        let name = object_name(&self.group, what);
        let found = self.request(Method::GET, Some(&name), None).await?;
        if found.status != StatusCode::OK || found.body["spec"]["holderIdentity"] != *holder {
            return Ok(());
        }
        let mut lease = found.body;
        lease["spec"]["holderIdentity"] = "".into();
        lease["spec"]["leaseDurationSeconds"] = 1.into();
        lease["spec"]["renewTime"] = timestamp(SystemTime::now()).into();
        let written = self.request(Method::PUT, Some(&name), Some(lease)).await?;
        // After a conflict it is somebody else's.
        if written.status.is_success() || written.status == StatusCode::CONFLICT {
            Ok(())
        } else {
            Err(refused(written.status, &written.body))
        }
    }

    /// What all servers are to do stands on the Lease, which whoever has it leaves as it is.
    async fn say(&self, what: &str, runs: bool) -> Result<(), String> {
        let name = object_name(&self.group, what);
        let found = self.request(Method::GET, Some(&name), None).await?;
        if found.status != StatusCode::OK {
            return Err(refused(found.status, &found.body));
        }
        let mut lease = found.body;
        lease["metadata"]["annotations"][STATE] = if runs { RUNNING } else { PAUSED }.into();
        let written = self.request(Method::PUT, Some(&name), Some(lease)).await?;
        // After a conflict it is tried again.
        if written.status.is_success() { Ok(()) } else { Err(refused(written.status, &written.body)) }
    }

    async fn said(&self, what: &str) -> Result<Option<bool>, String> {
        let found = self.request(Method::GET, Some(&object_name(&self.group, what)), None).await?;
        match found.status {
            StatusCode::OK => Ok(match found.body["metadata"]["annotations"][STATE].as_str() {
                Some(RUNNING) => Some(true),
                Some(PAUSED) => Some(false),
                _ => None,
            }),
            StatusCode::NOT_FOUND => Ok(None),
            other => Err(refused(other, &found.body)),
        }
    }

    async fn request(&self, method: Method, name: Option<&str>, body: Option<Value>) -> Result<Answer, String> {
        let token = tokio::fs::read_to_string(&self.token).await;
        let token = token.map_err(|why| format!("{} cannot be read: {why}", self.token.display()))?;
        let name = name.map(|name| format!("/{name}")).unwrap_or_default();
        let url = format!("{}/apis/coordination.k8s.io/v1/namespaces/{}/leases{name}", self.address, self.namespace);
        let target = Target::parse(&url).ok_or_else(|| format!("{url} is no address"))?;
        let mut request: Outgoing = target.get(PATIENCE);
        request.method = method;
        request.headers.set("Authorization", format!("Bearer {}", token.trim()));
        request.headers.set("Accept", "application/json");
        if let Some(body) = body {
            request.headers.set("Content-Type", "application/json");
            request.body = Payload::Bytes(body.to_string().into());
        }
        let answer = self.client.send(request).await.map_err(|error| format!("{}: {}", error.message, error.detail))?;
        let mut body = Body::from_stream(answer.body, None);
        body.read(MAX_ANSWER).await.map_err(|error| error.to_string())?;
        // Errors of proxies on the way are no JSON, and have a status, too.
        let body = body.raw().and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or(Value::Null);
        Ok(Answer { status: answer.status, body })
    }
}

impl Arbiter for KubernetesArbiter {
    fn acquire<'a>(
        &'a self,
        what: &'a str,
        holder: &'a str,
        period: Duration,
    ) -> BoxFuture<'a, Result<Option<u64>, String>> {
        Box::pin(self.ask(what, holder, period))
    }

    fn release<'a>(&'a self, what: &'a str, holder: &'a str) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(self.give_back(what, holder))
    }

    fn state<'a>(&'a self, what: &'a str) -> BoxFuture<'a, Result<Option<bool>, String>> {
        Box::pin(self.said(what))
    }

    fn set_state<'a>(&'a self, what: &'a str, runs: bool) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(self.say(what, runs))
    }
}

/// The number of the holder, beginning with 1.
fn number_of(lease: &Value) -> u64 {
    lease["spec"]["leaseTransitions"].as_u64().unwrap_or(0).saturating_add(1)
}

fn refused(status: StatusCode, body: &Value) -> String {
    let why = body["message"].as_str().unwrap_or_default();
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => format!(
            "the API of Kubernetes answers {status}: the account of the pod must be allowed to get, create and update leases of \
             coordination.k8s.io. {why}"
        ),
        _ => format!("the API of Kubernetes answers {status}. {why}"),
    }
}

fn whole_seconds(period: Duration) -> u64 {
    period.as_secs() + u64::from(period.subsec_nanos() > 0)
}

/// The form of `MicroTime`.
fn timestamp(time: SystemTime) -> String {
    chrono::DateTime::<chrono::Utc>::from(time).format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// A name that an object may have, another one for each `what`.
fn object_name(group: &str, what: &str) -> String {
    let mut slug = String::new();
    for letter in format!("{group}-{what}").chars() {
        match letter.to_ascii_lowercase() {
            letter @ ('a'..='z' | '0'..='9') => slug.push(letter),
            _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
        if slug.len() >= MAX_SLUG {
            break;
        }
    }
    let digest = Sha1::digest(format!("{group}\n{what}").as_bytes());
    let digest = digest.iter().take(5).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("{}-{digest:010x}", slug.trim_matches('-')).trim_start_matches('-').to_owned()
}

#[cfg(test)]
mod tests;
