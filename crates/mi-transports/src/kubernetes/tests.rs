//! Against an API over HTTPS that does with leases what that of Kubernetes does: versions, conflicts, rights.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

use http_body_util::BodyExt;
use mi_engine::transport::{HttpReply, HttpRequest, HttpService};

use super::*;
use crate::http::{ListenerConfig, Server};
use crate::tls::{Identity, ServerTls, ServerTlsConfig};

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/shop/leases";

/// The API, with the leases of the namespace `shop`.
#[derive(Debug, Default)]
struct Api {
    leases: Mutex<BTreeMap<String, Value>>,
    version: AtomicU32,
}

impl Api {
    fn answer(&self, method: &Method, target: &str, token: Option<&str>, body: &[u8]) -> (u16, Value) {
        if token != Some("Bearer secret-of-the-pod") {
            return (401, json!({"kind": "Status", "message": "Unauthorized"}));
        }
        let Some(name) = target.strip_prefix(LEASES) else {
            return (403, json!({"kind": "Status", "message": "leases is forbidden"}));
        };
        let name = name.trim_start_matches('/');
        let mut leases = self.leases.lock().unwrap();
        let given: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let store = |leases: &mut BTreeMap<String, Value>, name: &str, mut lease: Value| {
            let version = self.version.fetch_add(1, Ordering::Relaxed);
            lease["metadata"]["resourceVersion"] = version.to_string().into();
            leases.insert(name.to_owned(), lease.clone());
            lease
        };
        match (method.as_str(), name) {
            ("POST", "") => {
                let name = given["metadata"]["name"].as_str().unwrap().to_owned();
                if leases.contains_key(&name) {
                    return (409, json!({"message": "already exists"}));
                }
                (201, store(&mut leases, &name, given))
            }
            ("GET", name) => match leases.get(name) {
                Some(lease) => (200, lease.clone()),
                None => (404, json!({"message": "not found"})),
            },
            ("PUT", name) => match leases.get(name) {
                None => (404, json!({"message": "not found"})),
                Some(known) if known["metadata"]["resourceVersion"] != given["metadata"]["resourceVersion"] => {
                    (409, json!({"message": "the object has been modified"}))
                }
                Some(_) => (200, store(&mut leases, name, given)),
            },
            _ => (405, Value::Null),
        }
    }
}

struct Service(Arc<Api>);

impl HttpService for Service {
    fn call(&self, request: HttpRequest) -> BoxFuture<'static, Option<HttpReply>> {
        let api = self.0.clone();
        Box::pin(async move {
            let token = request.headers.get("Authorization").map(str::to_owned);
            let body = request.body.collect().await.ok()?.to_bytes();
            let (status, body) = api.answer(&request.method, &request.target, token.as_deref(), &body);
            let mut reply = HttpReply::new(StatusCode::from_u16(status).ok()?);
            reply.headers.append("Content-Type", "application/json");
            reply.body = Payload::Bytes(body.to_string().into());
            Some(reply)
        })
    }
}

/// A running API, and the folder with the account of a pod.
struct Cluster {
    api: Arc<Api>,
    server: Option<Server>,
    port: u16,
    account: PathBuf,
}

impl Cluster {
    fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let store = KeyStore::parse(include_bytes!("../keystore/fixtures/server.p12"), "storepass", None).unwrap();
        let identity: Identity = store.key(None).unwrap().into();
        let name = format!("mi-lease-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let account = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&account).unwrap();
        let write = |name: &str, text: &str| std::fs::write(account.join(name), text).unwrap();
        write("token", "secret-of-the-pod\n");
        write("namespace", "shop");
        write("ca.crt", &pem(identity.chain.last().unwrap()));
        let api = Arc::new(Api::default());
        let tls = Arc::new(ServerTls::new(&ServerTlsConfig::new(identity)).unwrap());
        let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        let config = ListenerConfig { tls: Some(tls), ..ListenerConfig::new("API", any) };
        let server = Server::start(vec![(config, Arc::new(Service(api.clone())))], 1).unwrap();
        let port = server.bound()[0].port();
        Self { api, server: Some(server), port, account }
    }

    fn arbiter(&self) -> KubernetesArbiter {
        let variable = |name: &str| match name {
            "KUBERNETES_SERVICE_HOST" => Some("127.0.0.1".to_owned()),
            "KUBERNETES_SERVICE_PORT" => Some(self.port.to_string()),
            _ => None,
        };
        KubernetesArbiter::new("shop", &self.account, variable).unwrap()
    }

    fn only(&self) -> Value {
        let leases = self.api.leases.lock().unwrap();
        assert_eq!(leases.len(), 1);
        leases.values().next().unwrap().clone()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown();
        }
        let _gone = std::fs::remove_dir_all(&self.account);
    }
}

fn pem(certificate: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

const LONG: Duration = Duration::from_mins(10);

#[tokio::test]
async fn a_lease_is_had_by_one() {
    let cluster = Cluster::start();
    let (a, b) = (cluster.arbiter(), cluster.arbiter());
    assert_eq!(a.acquire("task/Every minute", "a", LONG).await, Ok(Some(1)));
    assert_eq!(b.acquire("task/Every minute", "b", LONG).await, Ok(None));
    let before = cluster.only();
    assert_eq!(a.acquire("task/Every minute", "a", LONG).await, Ok(Some(1)), "renewed");
    let after = cluster.only();
    assert_ne!(before["metadata"]["resourceVersion"], after["metadata"]["resourceVersion"]);
    assert_eq!(after["spec"]["acquireTime"], before["spec"]["acquireTime"]);
    let name = after["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("shop-task-every-minute-") && name.len() == 33, "{name}");
    assert_eq!(after["metadata"]["annotations"]["micro-integrator/runs"], "task/Every minute");
    assert_eq!((&after["spec"]["holderIdentity"], &after["spec"]["leaseDurationSeconds"]), (&json!("a"), &json!(600)));
    let time = after["spec"]["renewTime"].as_str().unwrap();
    assert!(time.len() == "2026-11-23T00:00:00.000000Z".len() && time.ends_with('Z'), "{time}");
    b.release("task/Every minute", "b").await.unwrap();
    assert_eq!(b.acquire("task/Every minute", "b", LONG).await, Ok(None), "it was not b's to give back");
    a.release("task/Every minute", "a").await.unwrap();
    assert_eq!(b.acquire("task/Every minute", "b", LONG).await, Ok(Some(2)), "without waiting for its end");
    assert_eq!(cluster.only()["spec"]["leaseTransitions"], 1);
    assert_eq!(a.state("task/Every minute").await, Ok(None));
    a.set_state("task/Every minute", false).await.unwrap();
    assert_eq!(b.acquire("task/Every minute", "b", LONG).await, Ok(Some(2)), "renewed");
    assert_eq!(b.state("task/Every minute").await, Ok(Some(false)));
    b.set_state("task/Every minute", true).await.unwrap();
    assert_eq!(a.state("task/Every minute").await, Ok(Some(true)));
    assert_eq!(a.state("task/none").await, Ok(None));
    assert!(a.set_state("task/none", true).await.is_err(), "there is a Lease before anything can be switched");
}

#[tokio::test]
async fn a_lease_that_does_not_change_for_its_length_is_over() {
    let cluster = Cluster::start();
    let (a, b) = (cluster.arbiter(), cluster.arbiter());
    let second = Duration::from_secs(1);
    assert_eq!(a.acquire("task/t", "a", second).await, Ok(Some(1)));
    let began = Instant::now();
    let number = loop {
        if let Some(number) = b.acquire("task/t", "b", LONG).await.unwrap() {
            break number;
        }
    };
    assert!(number == 2 && began.elapsed() >= second, "{number} after {:?}", began.elapsed());
    assert_eq!(a.acquire("task/t", "a", LONG).await, Ok(None), "whoever had it finds out");
}

#[tokio::test]
async fn of_many_that_ask_at_once_one_gets_it() {
    let cluster = Cluster::start();
    let asked = (0..20).map(|number| {
        let arbiter = cluster.arbiter();
        async move { arbiter.acquire("task/t", &format!("server {number}"), LONG).await }
    });
    let got = futures_util::future::join_all(asked).await;
    assert_eq!(got.iter().filter(|it| **it == Ok(Some(1))).count(), 1, "{got:?}");
    assert!(got.iter().all(Result::is_ok), "{got:?}");
}

#[tokio::test]
async fn what_is_missing_is_said() {
    let cluster = Cluster::start();
    let arbiter = cluster.arbiter();
    std::fs::write(cluster.account.join("token"), "another").unwrap();
    let refused = arbiter.acquire("task/t", "a", LONG).await.unwrap_err();
    assert!(
        refused.contains("401") && refused.contains("must be allowed to get, create and update leases"),
        "{refused}"
    );
    let none = KubernetesArbiter::new("shop", &cluster.account, |_| None).unwrap_err();
    assert!(none.contains("KUBERNETES_SERVICE_HOST is not set"), "{none}");
    let folder = KubernetesArbiter::new("shop", Path::new("/nowhere"), |_| Some("1".to_owned())).unwrap_err();
    assert!(folder.contains("/nowhere/ca.crt cannot be read"), "{folder}");
}

#[test]
fn names_are_those_that_objects_may_have() {
    let long = object_name("shop", &"Ä_".repeat(400));
    assert!(long.len() <= 253 && long.starts_with("shop-"), "{long}");
    assert_ne!(object_name("g", "task/a b"), object_name("g", "task/a-b"));
    assert_eq!(object_name("g", "task/T.1"), object_name("g", "task/T.1"));
}
