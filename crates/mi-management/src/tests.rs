//! The service as a client sees it: requests against a small deployment, by configuration and user.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{Method, Version};
use http_body_util::{BodyExt, Full};
use mi_config::{Artifact, Deployment, Diagnostic, NoPlaceholders, SourceFile, parse_artifact};
use mi_engine::transport::{HttpRequest, HttpService, Payload};
use mi_engine::users::{Change, EVERYONE, UserStore, UserStoreError};
use mi_engine::{Engine, Services, Settings, Specs};
use mi_message::Headers;

use crate::context::*;
use crate::service::ManagementService;

/// Everything that the engine asks of a process, with nothing behind it.
struct Nothing;

impl LogControl for Nothing {
    fn set_level(&self, _: Option<&str>, _: log::LevelFilter) {}
}

impl RunControl for Nothing {}

impl ServerControl for Nothing {
    fn end(&self, _: End) {}
}

#[derive(Default)]
struct Memory(Mutex<BTreeMap<String, Resource>>);

impl RegistryAccess for Memory {
    fn get(&self, key: &str) -> Option<Resource> {
        self.0.lock().unwrap().get(key).cloned()
    }

    fn children(&self, key: &str) -> Option<Vec<String>> {
        let folder = format!("{}/", key.trim_end_matches('/'));
        let all = self.0.lock().unwrap();
        let inside = all.keys().filter_map(|key| key.strip_prefix(&folder)).filter(|name| !name.is_empty());
        let mut names: Vec<String> =
            inside.map(|name| name.split_inclusive('/').next().unwrap_or_default().to_owned()).collect();
        names.dedup();
        (!names.is_empty()).then_some(names)
    }

    fn put(&self, key: &str, resource: Resource) -> Result<(), String> {
        self.0.lock().unwrap().insert(key.to_owned(), resource);
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<bool, String> {
        Ok(self.0.lock().unwrap().remove(key).is_some())
    }
}

const ARTIFACTS: &[&str] = &[
    r#"<api name="Orders" context="/orders"><resource methods="GET" uri-template="/{id}"><inSequence/></resource></api>"#,
    r#"<proxy name="Echo"><target><inSequence/></target></proxy>"#,
    r#"<endpoint name="Back"><address uri="http://u:canary@h/x"/></endpoint>"#,
    r#"<sequence name="main"><description>d</description><log/><http.get/></sequence>"#,
    r#"<sequence name="audit"><log/><class name="org.acme.Audit"><property name="level" value="high"/><property name="apiToken" value="canary"/></class></sequence>"#,
    r#"<localEntry key="db"><db><password>canary</password></db></localEntry>"#,
    r#"<endpoint name="Custom"><class name="org.acme.Back"/></endpoint>"#,
    r#"<task name="Tick" class="org.acme.Tick" group="g"><trigger interval="5"/></task>"#,
    r#"<messageStore name="Store"><parameter name="store.jdbc.password">canary</parameter></messageStore>"#,
    r#"<inboundEndpoint name="In" protocol="http" sequence="main"><parameters><parameter name="inbound.http.port">1</parameter></parameters></inboundEndpoint>"#,
    r#"<task name="Cron" class="org.apache.synapse.startup.tasks.MessageInjector"><trigger cron="0 0 0 1 1 ?"/></task>"#,
    r#"<template name="Tem"><parameter name="p" isMandatory="true" defaultValue="d"/><sequence><log/></sequence></template>"#,
    r#"<template name="Ept"><parameter name="uri"/><endpoint name="$name"><address uri="$uri"/></endpoint></template>"#,
    r#"<messageProcessor name="Proc" class="org.apache.synapse.message.processor.impl.sampler.SamplingProcessor" messageStore="Store"/>"#,
];

fn artifacts() -> Vec<Artifact> {
    let read = |text: &&str| {
        let text = text.replacen(' ', " xmlns=\"http://ws.apache.org/ns/synapse\" ", 1);
        let (artifacts, found) = parse_artifact(SourceFile::new("a.xml", text.into_bytes()));
        assert!(!artifacts.is_empty(), "{found:?}");
        artifacts
    };
    ARTIFACTS.iter().flat_map(read).collect()
}

/// What deployment says of steps that it knows nothing about.
fn degraded(artifact: &Artifact) -> Vec<Diagnostic> {
    let steps = artifact.element().children_named("class").chain(artifact.element().children_named("ejb"));
    let whole = Some(artifact.element()).filter(|it| it.name() == "task").cloned();
    steps.chain(whole).map(|it| it.warning("is Java code").hint("use a script")).collect()
}

fn service(toml: &str, folder: &str) -> ManagementService {
    service_with(toml, folder, None)
}

fn service_with(toml: &str, folder: &str, users: Option<Arc<dyn UserStore>>) -> ManagementService {
    let services = Arc::new(Services::offline(Specs::new(&[])));
    let built = mi_engine::build(&artifacts(), services, Settings::default());
    let folder = PathBuf::from(folder);
    let parts = Parts {
        engine: Arc::new(Engine::new(built.snapshot)),
        deployment: Deployment::parse("deployment.toml", toml, &NoPlaceholders).0,
        paths: Paths {
            home: folder.clone(),
            logs: Some(folder.join("logs")),
            applications: folder.join("carbonapps"),
            loggers: folder.join("log4j2.properties"),
            imports: folder.join("imports"),
        },
        product_version: "4.4.0".to_owned(),
        log: Arc::new(Nothing),
        run: Arc::new(Nothing),
        server: Arc::new(Nothing),
        correlation: Arc::default(),
        users,
    };
    let deployed = Deployed {
        artifacts: artifacts()
            .into_iter()
            .map(|artifact| DeployedArtifact { degraded: degraded(&artifact), artifact, application: None })
            .collect(),
        connectors: vec![Connector {
            name: "acme".to_owned(),
            package: "org.acme/x".to_owned(),
            description: String::new(),
            file: "acme-1.0.0.zip".into(),
            of_application: true,
        }],
        registry: Arc::new(Memory::default()),
        ..Deployed::default()
    };
    ManagementService::new(Arc::new(ManagementContext::new(parts, deployed)), true)
}

/// `GET /path`, the value of Authorization or nothing, further header fields, the body.
type Sent<'a> = (&'a str, &'a str, &'a [(&'static str, &'a str)], &'a str);

fn send(
    service: &ManagementService,
    (line, authorization, fields, body): Sent<'_>,
    peer: &str,
) -> (u16, Headers, String) {
    let (method, path) = line.split_once(' ').expect("a method and a path");
    let mut headers = Headers::new();
    let given = [("authorization", authorization)];
    for (name, value) in given.iter().filter(|(_, value)| !value.is_empty()).chain(fields) {
        headers.set(*name, *value);
    }
    let request = HttpRequest {
        method: method.parse::<Method>().expect("a method"),
        target: format!("/management{path}"),
        version: Version::HTTP_11,
        headers,
        body: Full::new(Bytes::copy_from_slice(body.as_bytes())).map_err(|never| match never {}).boxed_unsync(),
        peer: peer.parse().expect("an address"),
        local: SocketAddr::from(([127, 0, 0, 1], 9164)),
        secure: true,
        client_certificate: None,
    };
    let reply = service.call(request).now_or_never().expect("nothing to wait for").expect("an answer");
    let text = match reply.body {
        Payload::Empty => Bytes::new(),
        Payload::Bytes(bytes) => bytes,
        Payload::Stream(stream) => stream.collect().now_or_never().expect("ready").expect("read").to_bytes(),
    };
    (reply.status.as_u16(), reply.headers, String::from_utf8_lossy(&text).into_owned())
}

const HERE: &str = "127.0.0.1:5000";
const OPEN: &str = "[management_api.jwt_token_security_handler]\nenable = false\n";
const USERS: &str = "[[internal_apis.users]]\nuser.name = 'root'\nuser.password = 'r'\nuser.is_admin = true\n\
                     [[internal_apis.users]]\nuser.name = 'dev'\nuser.password = 'd'\nuser.is_admin = false\n";

fn basic(user: &str) -> String {
    format!("Basic {}", STANDARD.encode(user))
}

/// Sends requests in order; each must have its status and its part of the body.
fn check(service: &ManagementService, cases: &[(Sent<'_>, u16, &str)]) {
    for (sent, status, part) in cases {
        let (answered, _, body) = send(service, *sent, HERE);
        assert!(answered == *status && body.contains(part), "{}: {answered} {body}", sent.0);
        assert!(!body.contains("canary"), "a secret shows in {}: {body}", sent.0);
    }
}

fn login(service: &ManagementService, user: &str) -> String {
    let (status, _, body) = send(service, ("GET /login", &basic(user), &[], ""), HERE);
    assert_eq!(status, 200, "{body}");
    let object: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    format!("Bearer {}", object["AccessToken"].as_str().expect("a token"))
}

#[test]
fn artifacts_are_listed_told_and_switched() {
    check(
        &service(OPEN, "/nowhere"),
        &[
            (("GET ", "", &[], ""), 200, r#""ManagementApi":"Active""#),
            (("GET /apis?searchKey=ORD", "", &[], ""), 200, r#""count":1"#),
            (("GET /apis?apiName=Orders", "", &[], ""), 200, r#""resources":[{"methods":["GET"],"url":"/{id}"}]"#),
            (("GET /apis?apiName=Gone", "", &[], ""), 404, ""),
            (("DELETE /apis", "", &[], ""), 405, ""),
            (("GET /live", "", &[], ""), 200, r#""endpoints":[{"name":"Back","state":"ACTIVE"}]"#),
            (("POST /external-vaults/hashicorp", "", &[], "{}"), 400, "Unsupported operation"),
            (("POST /external-vaults/x", "", &[], "{}"), 400, "No such resource as management/external-vault/x"),
            (("GET /nothing", "", &[], ""), 404, ""),
            (("GET /transactions/count", "", &[], ""), 403, "Transaction Count Handler component is not initialized"),
            (("GET /transactions/count?year=2026", "", &[], ""), 400, "or none should be specified"),
            (("GET /transactions/count?year=x&month=1", "", &[], ""), 400, r#"Invalid input for argument \"year\"."#),
            (
                ("GET /transactions/report?start=2026-01&end=2026-13", "", &[], ""),
                400,
                r#"Invalid input for argument \"end\""#,
            ),
            (("GET /transactions/report?start=2026-01", "", &[], ""), 403, ""),
            (("GET /transactions/report", "", &[], ""), 400, "cannot be empty"),
            (("GET /transactions/x", "", &[], ""), 400, "No such resource as management/transactions/x"),
            (("POST /apis", "", &[], r#"{"name":"Orders","trace":"enable"}"#), 200, "Enabled tracing for ('Orders')"),
            (("GET /apis", "", &[], ""), 200, r#""tracing":"enabled""#),
            (("POST /apis", "", &[], "[1]"), 400, "Error when parsing JSON payload"),
            (
                ("POST /proxy-services", "", &[], r#"{"name":"Echo","status":"inactive"}"#),
                200,
                "Echo stopped successfully",
            ),
            (("GET /proxy-services?proxyServiceName=Echo", "", &[], ""), 200, r#""isRunning":false"#),
            (("POST /endpoints", "", &[], r#"{"name":"Back","status":"inactive"}"#), 200, "Back is switched Off"),
            (("GET /endpoints?endpointName=Back", "", &[], ""), 200, r#""isActive":false"#),
            (("GET /sequences?sequenceName=main", "", &[], ""), 200, r#""mediators":["LogMediator","InvokeMediator"]"#),
            (("GET /sequences?searchKey=aud", "", &[], ""), 200, r#""degraded":true"#),
            (("GET /sequences?searchKey=main", "", &[], ""), 200, r#""tracing":"disabled"}]}"#),
            (
                ("GET /sequences?sequenceName=audit", "", &[], ""),
                200,
                r#""degraded":[{"mediator":"class","class":"org.acme.Audit","options":{"level":"high","apiToken":"*****"},"reason":"is Java code","hint":"use a script","line":1,"column":70}]"#,
            ),
            (("GET /endpoints?searchKey=cus", "", &[], ""), 200, r#""degraded":true"#),
            (("GET /endpoints?endpointName=Custom", "", &[], ""), 200, r#""mediator":"class","class":"org.acme.Back""#),
            (("GET /tasks", "", &[], ""), 200, r#""name":"Tick","degraded":true"#),
            (("GET /tasks?taskName=Tick", "", &[], ""), 200, r#""degraded":[{"class":"org.acme.Tick","reason""#),
            (("GET /local-entries?name=db", "", &[], ""), 200, "<password>*****</password>"),
            (("GET /local-entries?searchKey=db", "", &[], ""), 200, r#""count":-1"#),
            (("GET /message-stores?name=Store", "", &[], ""), 200, r#""store.jdbc.password":"*****""#),
            (("GET /login", "", &[], ""), 500, "Login is accessible only"),
            (("GET /users", "", &[], ""), 403, "file-based user store"),
            (("PATCH /server", "", &[], r#"{"status":"sleep"}"#), 200, "Invalid server status received."),
        ],
    );
}

#[test]
fn files_stay_inside_their_folders() {
    let folder = std::env::temp_dir().join(format!("mi-management-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("logs")).unwrap();
    std::fs::write(folder.join("secret.txt"), "canary").unwrap();
    std::fs::write(folder.join("logs/a.log"), "line").unwrap();
    std::os::unix::fs::symlink(folder.join("secret.txt"), folder.join("logs/link.log")).unwrap();
    let service = service(OPEN, folder.to_str().unwrap());
    let form = |name: &str| {
        format!("--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\nzip\r\n--B--")
    };
    let kind = [("content-type", "multipart/form-data; boundary=B")];
    check(
        &service,
        &[
            (("GET /logs?file=a.log", "", &[], ""), 200, "line"),
            (("GET /logs?file=../secret.txt", "", &[], ""), 500, ""),
            (("GET /logs?file=%2e%2e%2fsecret.txt", "", &[], ""), 500, ""),
            (("GET /logs?file=link.log", "", &[], ""), 500, ""),
            (("POST /applications", "", &kind, &form("../x.car")), 400, "file name"),
            (("POST /applications", "", &kind, &form("x.jar")), 400, "extension .car"),
            (("POST /applications", "", &[], "x"), 400, "multipart/form-data"),
            (("POST /applications", "", &kind, &form("x.car")), 200, "Successfully added Carbon Application x.car"),
            (("GET /applications/x", "", &[], ""), 200, r#""totalCount":0"#),
            (("PUT /applications/x", "", &[], ""), 405, ""),
            (("DELETE /applications/..%2Fx", "", &[], ""), 404, "does not exist"),
            (("DELETE /applications/x", "", &[], ""), 200, "named x"),
            (("DELETE /applications/x", "", &[], ""), 404, "does not exist"),
        ],
    );
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Does a member of the answer lead to something? `list.0.name` is a member of the first of a list.
fn leads(answer: &serde_json::Value, path: &str) -> bool {
    answer.pointer(&format!("/{}", path.replace('.', "/"))).is_some()
}

/// The members that WSO2's command line unmarshals, by the request that it sends (`cmd/utils/artifactUtils` of its sources).
#[test]
fn answers_have_the_members_that_the_command_line_reads() {
    let service = service(&format!("{OPEN}[[datasource]]\nid = 'DS'\nurl = 'jdbc:sqlite:x'"), "/nowhere");
    for (path, members) in [
        ("/apis", "count list.0.name list.0.url"),
        ("/apis?apiName=Orders", "name url version stats tracing resources.0.methods.0 resources.0.url"),
        ("/proxy-services", "count list.0.name list.0.wsdl1_1 list.0.wsdl2_0"),
        ("/proxy-services?proxyServiceName=Echo", "name wsdl1_1 wsdl2_0 stats tracing eprs isRunning"),
        ("/endpoints", "count list.0.name list.0.type list.0.isActive"),
        ("/endpoints?endpointName=Back", "name type isActive address advanced"),
        ("/inbound-endpoints", "count list.0.name list.0.protocol list.0.status"),
        (
            "/inbound-endpoints?inboundEndpointName=In",
            "name protocol sequence stats tracing status parameters.0.name parameters.0.value",
        ),
        ("/sequences", "count list.0.name list.0.stats list.0.tracing"),
        ("/sequences?sequenceName=main", "name stats tracing mediators.0"),
        ("/tasks", "count list.0.name"),
        ("/tasks?taskName=Cron", "name triggerType triggerCron cronExpression taskGroup implementation properties"),
        ("/templates", "count list.1.Parameters.0.mandatory sequenceTemplateList.0.name endpointTemplateList.0.name"),
        ("/templates?type=sequence", "count list.0.name"),
        (
            "/templates?type=sequence&name=Tem",
            "name Parameters.0.name Parameters.0.mandatory Parameters.0.defaultValue",
        ),
        ("/templates?type=endpoint&name=Ept", "name Parameters.0"),
        ("/message-stores", "count list.0.name list.0.type list.0.size"),
        ("/message-stores?name=Store", "name file size properties"),
        ("/message-processors", "count list.0.name list.0.type list.0.status"),
        ("/message-processors?name=Proc", "name type fileName messageStore status parameters"),
        ("/local-entries", "count list.0.name list.0.type"),
        ("/local-entries?name=db", "name type value"),
        ("/connectors", "count list.0.name list.0.package list.0.description list.0.status"),
        ("/applications", "totalCount activeCount activeList faultyCount faultyList"),
        ("/data-services", "count list"),
        ("/data-sources?name=DS", "name type url configurationParameters.maxActive"),
        ("/logging?loggerName=rootLogger", "loggerName componentName level"),
        ("/logs", "count list.0.FileName list.0.Size"),
        ("/server", "carbonHome productName productVersion javaHome osName"),
        ("/configs?configName=correlation", "configName configs.enabled"),
    ] {
        let (status, _, body) = send(&service, (&format!("GET {path}"), "", &[], ""), HERE);
        let answer: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(status, 200, "{path}: {body}");
        for member in members.split_whitespace() {
            assert!(leads(&answer, member), "{path} has no {member}: {body}");
        }
    }
}

#[test]
fn connectors_are_switched_by_their_import_files() {
    let folder = std::env::temp_dir().join(format!("mi-management-imports-{}", std::process::id()));
    let service = service(OPEN, folder.to_str().unwrap());
    let change = |status: &str| format!(r#"{{"name":"Acme","package":"org.acme/x","status":"{status}"}}"#);
    let file = || {
        let files = std::fs::read_dir(folder.join("imports")).unwrap().map(|it| it.unwrap().path());
        let texts: Vec<String> = files.map(|path| std::fs::read_to_string(path).unwrap()).collect();
        assert_eq!(texts.len(), 1, "{texts:?}");
        texts.concat()
    };
    check(
        &service,
        &[
            (("GET /connectors?searchKey=ACME-1", "", &[], ""), 200, r#""status":"enabled""#),
            (("GET /connectors?searchKey=org", "", &[], ""), 200, r#""count":0"#),
            (("POST /connectors", "", &[], r#"{"name":"acme"}"#), 200, "Missing parameters in payload"),
            (("POST /connectors", "", &[], &change("enabled").replace("/x", "")), 200, "Status updated failed"),
            (("POST /connectors", "", &[], &change("disabled")), 200, "Status updated successfully"),
            (("GET /connectors?connectorName=acme", "", &[], ""), 200, r#""status":"disabled""#),
        ],
    );
    assert!(file().contains(r#"name="acme" package="org.acme/x" status="disabled""#), "{}", file());
    check(&service, &[(("POST /connectors", "", &[], &change("enabled")), 200, "Status updated successfully")]);
    assert!(file().contains(r#"status="enabled""#), "{}", file());
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn registry_needs_an_administrator() {
    let service = service(USERS, "/nowhere");
    let (root, dev) = (login(&service, "root:r"), login(&service, "dev:d"));
    let content = "/registry-resources/content?path=registry/config/a/b.txt";
    let text = [("content-type", "text/plain")];
    let properties = "/registry-resources/properties?path=registry/config/a/b.txt";
    check(
        &service,
        &[
            ((&format!("POST {content}"), &dev, &text, "hello"), 403, ""),
            ((&format!("POST {content}"), &root, &text, "hello"), 200, "Successfully added"),
            ((&format!("POST {content}"), &root, &text, "again"), 400, "already exists"),
            ((&format!("GET {content}"), &dev, &[], ""), 200, "hello"),
            ((&format!("POST {properties}"), &root, &[], r#"[{"name":"p","value":"v"}]"#), 200, "Successfully added"),
            ((&format!("GET {properties}&name=p"), &dev, &[], ""), 200, r#"{"p":"v"}"#),
            ((&format!("DELETE {properties}&name=q"), &root, &[], ""), 400, "Property named q does not exist"),
            (("GET /registry-resources?path=registry&searchKey=b.t", &dev, &[], ""), 200, r#""name":"b.txt""#),
            (("GET /registry-resources?path=registry/../conf", &root, &[], ""), 400, "is illegal"),
            ((&format!("DELETE {content}"), &root, &[], ""), 200, "Successfully deleted"),
            ((&format!("GET {content}"), &root, &[], ""), 400, "Can not find the registry"),
        ],
    );
}

#[test]
fn roles_and_tokens() {
    let readers = format!("{USERS}[user_access]\nmake_non_admin_users_read_only = true\n");
    let service = service(&readers, "/nowhere");
    let (root, dev) = (login(&service, "root:r"), login(&service, "dev:d"));
    let change = r#"{"name":"Orders","trace":"enable"}"#;
    check(
        &service,
        &[
            (("GET /apis", "", &[], ""), 401, ""),
            (("GET /apis", &basic("root:r"), &[], ""), 401, ""),
            (("GET /apis", "Bearer ", &[], ""), 401, ""),
            (("GET /apis", &dev, &[], ""), 200, "Orders"),
            (("POST /apis", &dev, &[], change), 403, ""),
            (("POST /apis", &root, &[], change), 200, "Enabled"),
            (("GET /configs?configName=correlation", &dev, &[], ""), 403, ""),
            (("GET /configs?configName=correlation", &root, &[], ""), 200, "false"),
            (("POST /applications", &dev, &[], ""), 403, ""),
            (("GET /logout", &dev, &[], ""), 200, ""),
            (("GET /apis", &dev, &[], ""), 401, ""),
        ],
    );
    let (_, headers, _) = send(&service, ("GET /apis", "", &[], ""), HERE);
    assert_eq!(headers.get("WWW_Authenticate").unwrap(), "Basic realm=\"WSO2 EI\"");
}

#[test]
fn guessing_is_slowed_down_and_default_users_stay_at_home() {
    let default = service("", "/nowhere");
    assert_eq!(send(&default, ("GET /login", &basic("admin:admin"), &[], ""), HERE).0, 200);
    assert_eq!(send(&default, ("GET /login", &basic("admin:admin"), &[], ""), "10.0.0.9:1").0, 401);
    let named = service(USERS, "/nowhere");
    let wrong = basic("root:wrong");
    let statuses: Vec<u16> = (0..6).map(|_| send(&named, ("GET /login", &wrong, &[], ""), HERE).0).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429]);
    let (status, headers, _) = send(&named, ("GET /login", &basic("root:r"), &[], ""), HERE);
    assert!(status == 429 && headers.contains("Retry-After"));
    assert_eq!(send(&named, ("GET /login", &basic("root:r"), &[], ""), "10.0.0.9:1").0, 200, "another address");
}

#[test]
fn pages_of_other_sites() {
    let foreign = [("origin", "https://evil.example"), ("host", "localhost:9164")];
    let own = [("origin", "https://localhost:9164"), ("host", "localhost:9164")];
    let open = service(OPEN, "/nowhere");
    assert_eq!(send(&open, ("GET /apis", "", &foreign, ""), HERE).0, 403);
    assert_eq!(send(&open, ("GET /apis", "", &own, ""), HERE).0, 200);
    let listed = service(&format!("{USERS}[management_api.cors]\nallowed_origins = 'https://a.example'\n"), "/nowhere");
    let allowed = |origin: &str| {
        let fields = [("origin", origin)];
        let (status, headers, _) = send(&listed, ("OPTIONS /apis", "", &fields, ""), HERE);
        (status, headers.get("Access-Control-Allow-Origin").map(str::to_owned))
    };
    assert_eq!(allowed("https://a.example"), (200, Some("https://a.example".to_owned())));
    assert_eq!(allowed("https://b.example"), (200, None));
}

/// Users by name, each with the password and the roles.
#[derive(Debug)]
struct People(Mutex<BTreeMap<String, (String, Vec<String>)>>);

impl People {
    fn some() -> Self {
        let role = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let person = |name: &str, roles: &[&str]| (name.to_owned(), (format!("{name}-secret"), role(roles)));
        let all = [person("boss", &["admin"]), person("vice", &["admin"]), person("dev", &["devs"])];
        Self(Mutex::new(all.into_iter().collect()))
    }

    fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut BTreeMap<String, (String, Vec<String>)>) -> Result<T, UserStoreError>,
    ) -> BoxFuture<'_, Result<T, UserStoreError>> {
        let mut people = self.0.lock().unwrap();
        let done = if people.contains_key("down") {
            Err(UserStoreError::Unavailable("it is down".to_owned()))
        } else {
            work(&mut people)
        };
        futures_util::future::ready(done).boxed()
    }
}

impl UserStore for People {
    fn authenticate<'a>(&'a self, user: &'a str, password: &'a str) -> BoxFuture<'a, Result<bool, UserStoreError>> {
        self.with(|it| Ok(it.get(user.trim()).is_some_and(|(known, _)| known == password)))
    }

    fn users<'a>(&'a self, pattern: &'a str) -> BoxFuture<'a, Result<Vec<String>, UserStoreError>> {
        let start = pattern.strip_suffix('*').map(str::to_owned);
        let fits = move |name: &String| start.as_ref().map_or(name == pattern, |start| name.starts_with(start));
        self.with(|it| Ok(it.keys().filter(|name| fits(name)).cloned().collect()))
    }

    fn roles(&self) -> BoxFuture<'_, Result<Vec<String>, UserStoreError>> {
        self.with(|_| Ok([EVERYONE, "admin", "devs"].map(str::to_owned).to_vec()))
    }

    fn roles_of<'a>(&'a self, user: &'a str) -> BoxFuture<'a, Result<Option<Vec<String>>, UserStoreError>> {
        self.with(|it| Ok(it.get(user).map(|(_, roles)| roles.clone())))
    }

    fn users_of<'a>(&'a self, role: &'a str) -> BoxFuture<'a, Result<Option<Vec<String>>, UserStoreError>> {
        let has = |roles: &Vec<String>| roles.iter().any(|it| it == role);
        self.with(|it| Ok(Some(it.iter().filter(|(_, (_, roles))| has(roles)).map(|(name, _)| name.clone()).collect())))
            .map(|found| found.map(|names: Option<Vec<String>>| names.filter(|it| !it.is_empty())))
            .boxed()
    }

    fn change<'a>(&'a self, change: Change<'a>) -> BoxFuture<'a, Result<(), UserStoreError>> {
        self.with(|it| {
            match change {
                Change::AddUser { user, password, admin } => {
                    let roles = if admin { vec!["admin".to_owned()] } else { Vec::new() };
                    it.insert(user.to_owned(), (password.to_owned(), roles));
                }
                Change::DeleteUser(user) => drop(it.remove(user)),
                Change::SetPassword { user, password } => {
                    it.entry(user.to_owned()).and_modify(|it| it.0 = password.to_owned());
                }
                Change::SetRoles { user, added, .. } => {
                    it.entry(user.to_owned()).and_modify(|it| it.1.extend(added.iter().cloned()));
                }
                Change::AddRole(role) | Change::DeleteRole(role) => {
                    return Err(UserStoreError::Refused(format!("not {role}")));
                }
            }
            Ok(())
        })
    }

    fn admin_role(&self) -> &'static str {
        "admin"
    }

    fn admin_user(&self) -> &'static str {
        "boss"
    }
}

#[test]
fn users_of_a_store_are_listed_and_changed() {
    let store = Arc::new(People::some());
    // A user of the file is none any more.
    let service = service_with(USERS, "/nowhere", Some(store.clone()));
    assert_eq!(send(&service, ("GET /login", &basic("root:r"), &[], ""), HERE).0, 401);
    let [boss, vice, dev] = ["boss", "vice", "dev"].map(|name| login(&service, &format!("{name}:{name}-secret")));
    let password = |old: &str, new: &str, again: &str| {
        format!(r#"{{"oldPassword":"{old}","newPassword":"{new}","confirmPassword":"{again}"}}"#)
    };
    check(
        &service,
        &[
            (("GET /users", &dev, &[], ""), 403, ""),
            (
                ("GET /users", &vice, &[], ""),
                200,
                r#"{"count":3,"list":[{"userId":"boss"},{"userId":"dev"},{"userId":"vice"}]}"#,
            ),
            (("GET /users?pattern=b*", &vice, &[], ""), 200, r#""count":1"#),
            (
                ("GET /users?searchKey=E", &vice, &[], ""),
                200,
                r#"{"count":2,"list":[{"userId":"dev"},{"userId":"vice"}]}"#,
            ),
            (("GET /users?role=devs", &vice, &[], ""), 200, r#"[{"userId":"dev"}]"#),
            (("GET /users/dev", &vice, &[], ""), 200, r#"{"userId":"dev","isAdmin":false,"roles":["devs"]}"#),
            (("GET /users/d*", &vice, &[], ""), 404, "Requested resource not found. User: d* cannot be found."),
            (
                ("GET /users/dev?domain=other", &vice, &[], ""),
                500,
                "Could not find a user-store for the given domain other",
            ),
            (("GET /users/dev?domain=PRIMARY", &vice, &[], ""), 200, "dev"),
            (("POST /users", &vice, &[], "{}"), 400, "Missing one or more of the fields, 'userId', 'password'"),
            (("POST /users", &vice, &[], r#"{"userId":"a:b","password":"p"}"#), 400, "Invalid username"),
            (("POST /users", &vice, &[], ""), 200, r#"{"Error":"JSON payload is missing"}"#),
            (
                ("POST /users", &vice, &[], r#"{"userId":"new","password":"p","isAdmin":"true"}"#),
                200,
                r#"{"userId":"new","status":"Added"}"#,
            ),
            (("GET /users/new", &vice, &[], ""), 200, r#""isAdmin":true"#),
            (("DELETE /users/new", &vice, &[], ""), 500, "Only super admin user can delete admins"),
            (("DELETE /users/new", &boss, &[], ""), 200, r#"{"userId":"new","status":"Deleted"}"#),
            (("DELETE /users/boss", &boss, &[], ""), 400, "Attempt to delete the logged in user"),
            (("PATCH /users/dev", &vice, &[], "{}"), 500, "New password or re-typed password is missing"),
            (("PATCH /users/dev", &vice, &[], &password("", "a", "b")), 500, "does not match"),
            (("PATCH /users/boss", &vice, &[], &password("", "a", "a")), 500, "Only a super admin user can update"),
            (("PATCH /users/vice", &vice, &[], &password("wrong", "a", "a")), 500, "check the current password"),
            (("PATCH /users/vice", &vice, &[], &password("vice-secret", "a", "a")), 200, "updated successfully"),
            (("PATCH /users/dev", &vice, &[], &password("", "d2", "d2")), 200, r#""userId":"dev""#),
            (
                ("GET /roles", &vice, &[], ""),
                200,
                r#"{"count":3,"list":[{"role":"Internal/everyone"},{"role":"admin"},{"role":"devs"}]}"#,
            ),
            (("GET /roles?searchKey=DEV", &vice, &[], ""), 200, r#""count":1"#),
            (("GET /roles/devs", &vice, &[], ""), 200, r#"{"role":"devs","users":["dev"]}"#),
            (("GET /roles/x?domain=internal", &vice, &[], ""), 404, "Role: Internal/x cannot be found."),
            (("POST /roles", &vice, &[], "{}"), 400, "Missing role name in the payload"),
            (("POST /roles", &vice, &[], r#"{"role":"r"}"#), 500, "user store. Please try again later not r"),
            (("PUT /roles", &vice, &[], r#"{"userId":"dev"}"#), 400, "'addedRoles', 'removedRoles'"),
            (("GET /configs?configName=correlation", &dev, &[], ""), 403, ""),
            (("PUT /roles", &vice, &[], r#"{"userId":"dev","addedRoles":["admin"]}"#), 200, "Added/removed the roles"),
            (("GET /configs?configName=correlation", &dev, &[], ""), 200, "false"),
            (("DELETE /roles/admin", &vice, &[], ""), 500, "Cannot remove the admin role"),
            (("DELETE /roles/nothing", &vice, &[], ""), 404, "Role: nothing cannot be found."),
            (("DELETE /users/dev", &boss, &[], ""), 200, "Deleted"),
            // The token is a good one, and its user is gone.
            (("GET /apis", &dev, &[], ""), 401, ""),
        ],
    );
    assert_eq!(send(&service, ("GET /login", &basic("vice:a"), &[], ""), HERE).0, 200);
    store.0.lock().unwrap().insert("down".to_owned(), Default::default());
    // Seven times: what nobody can check is no failure of the one who asks.
    for _ in 0..7 {
        let (status, _, body) = send(&service, ("GET /login", &basic("vice:b"), &[], ""), HERE);
        assert!(status == 503 && !body.contains("it is down"), "{status} {body}");
    }
}
