//! Secrets of every kind are planted, everything that can go wrong with them is made to go wrong, and then none of them may stand in
//! anything that the server says: its output, its files, its answers, its command line.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::{Client, Home, Output, Plan, Server};
use crate::http::{self, Answer};

/// The value of `CANARY_ENV`.
pub(super) const ENVIRONMENT: &str = "canary-environment-5a1c";
/// Each secret has this in it.
const CANARY: &str = "canary-";
/// `admin` with the password of these checks, and with another password, in Base64.
const LOGIN: &str = "YWRtaW46Y2FuYXJ5LWFkbWluLTVhMWM=";
const WRONG_LOGIN: &str = "YWRtaW46Y2FuYXJ5LXdyb25nLTVhMWM=";
const CONFIGURATION: &str = r#"[server]
hostname = "localhost"
hot_deployment = false

[[internal_apis.users]]
user.name = "admin"
user.password = "canary-admin-5a1c"
user.is_admin = true

[[internal_apis.users]]
user.name = "other"
user.password = "$secret{other}"

[management_api.jwt_token_security_handler.token_config]
secret = "canary-token-5a1c-of-at-least-32-characters"

[[datasource]]
id = "SHOP"
url = "jdbc:postgresql://127.0.0.1:1/shop?user=shop&password=canary-jdbc-5a1c"
username = "shop"
password = "$secret{shop}"
driver = "org.postgresql.Driver"

[secrets]
shop = "canary-vault-5a1c"
other = "canary-other-5a1c"
"#;
/// Folder, name and text of artifacts; several are wrong on purpose, next to a secret.
const ARTIFACTS: [(&str, &str, &str); 9] = [
    (
        "endpoints",
        "Url",
        "<endpoint name=\"Url\"><http method=\"post\" uri-template=\"http://user:canary-url-5a1c@127.0.0.1:1/x\"/></endpoint>",
    ),
    (
        "endpoints",
        "BadUrl",
        "<endpoint name=\"BadUrl\"><address uri=\"http://user:canary-bad-url-5a1c@[::/x\"/></endpoint>",
    ),
    (
        "message-stores",
        "Store",
        "<messageStore name=\"Store\" class=\"org.apache.synapse.message.store.impl.jdbc.JDBCMessageStore\">\
         <parameter name=\"store.jdbc.driver\">org.postgresql.Driver</parameter>\
         <parameter name=\"store.jdbc.connection.url\">jdbc:postgresql://127.0.0.1:1/x</parameter>\
         <parameter name=\"store.jdbc.username\">u</parameter>\
         <parameter name=\"store.jdbc.password\">canary-store-5a1c</parameter>\
         <parameter name=\"store.jdbc.table\">t</parameter></messageStore>",
    ),
    (
        "inbound-endpoints",
        "Files",
        "<inboundEndpoint name=\"Files\" protocol=\"file\" sequence=\"main\" onError=\"fault\" suspend=\"false\"><parameters>\
         <parameter name=\"interval\">200</parameter>\
         <parameter name=\"transport.vfs.FileURI\">ftp://user:canary-ftp-5a1c@127.0.0.1:1/in</parameter>\
         <parameter name=\"transport.vfs.ActionAfterProcess\">DELETE</parameter></parameters></inboundEndpoint>",
    ),
    (
        "inbound-endpoints",
        "BadFiles",
        "<inboundEndpoint name=\"BadFiles\" protocol=\"file\" sequence=\"main\" onError=\"fault\" suspend=\"false\"><parameters>\
         <parameter name=\"interval\">soon</parameter>\
         <parameter name=\"transport.vfs.FileURI\">nonsense://user:canary-bad-ftp-5a1c@127.0.0.1:1/in</parameter></parameters></inboundEndpoint>",
    ),
    (
        "local-entries",
        "Entry",
        "<localEntry key=\"Entry\"><connection><username>u</username><password>canary-entry-5a1c</password></connection></localEntry>",
    ),
    (
        "endpoints",
        "OAuth",
        "<endpoint name=\"OAuth\"><http method=\"post\" uri-template=\"http://127.0.0.1:1/x\"><authentication><oauth><clientCredentials>\
         <clientId>id</clientId><clientSecret>canary-client-5a1c</clientSecret><tokenUrl>http://127.0.0.1:1/token</tokenUrl>\
         </clientCredentials></oauth></authentication></http></endpoint>",
    ),
    (
        "endpoints",
        "Basic",
        "<endpoint name=\"Basic\"><http method=\"post\" uri-template=\"http://127.0.0.1:1/x\"><authentication><basicAuth>\
         <username>u</username><password>canary-basic-5a1c</password></basicAuth></authentication></http></endpoint>",
    ),
    ("sequences", "main", "<sequence name=\"main\"><drop/></sequence>"),
];
/// Name, context and flow of APIs; what each does fails.
const FLOWS: [(&str, &str, &str); 7] = [
    ("ToUrl", "/url", "<call><endpoint key=\"Url\"/></call><respond/>"),
    ("ToOAuth", "/oauth", "<call><endpoint key=\"OAuth\"/></call><respond/>"),
    ("ToBasic", "/basic", "<call><endpoint key=\"Basic\"/></call><respond/>"),
    ("ToStore", "/store", "<store messageStore=\"Store\"/><respond/>"),
    (
        "ToFile",
        "/file",
        "<call><endpoint><address uri=\"vfs:ftp://user:canary-send-5a1c@127.0.0.1:1/out\"/></endpoint></call><respond/>",
    ),
    (
        "ToTable",
        "/table",
        "<dblookup><connection><pool><driver>org.postgresql.Driver</driver><url>jdbc:postgresql://127.0.0.1:1/x</url><user>u</user>\
         <password>canary-pool-5a1c</password></pool></connection><statement><sql>select 1</sql></statement></dblookup><respond/>",
    ),
    (
        "ToSource",
        "/source",
        "<dblookup><connection><pool><dsName>SHOP</dsName></pool></connection><statement><sql>select 1</sql></statement></dblookup><respond/>",
    ),
];
/// What the management API is asked for; lists, and each artifact by its name.
const QUESTIONS: [&str; 27] = [
    "",
    "/apis",
    "/apis?apiName=ToUrl",
    "/apis?apiName=ToFile",
    "/apis?apiName=ToTable",
    "/proxy-services",
    "/endpoints",
    "/endpoints?endpointName=Url",
    "/endpoints?endpointName=BadUrl",
    "/endpoints?endpointName=OAuth",
    "/endpoints?endpointName=Basic",
    "/inbound-endpoints",
    "/inbound-endpoints?inboundEndpointName=Files",
    "/sequences",
    "/sequences?sequenceName=main",
    "/message-stores",
    "/message-stores?name=Store",
    "/local-entries",
    "/local-entries?name=Entry",
    "/data-sources",
    "/data-sources?name=SHOP",
    "/applications",
    "/live",
    "/server",
    "/users",
    "/logging",
    "/logs",
];

pub(super) fn run(plan: &Plan) -> Result<String> {
    let mut server = Server::start(plan, "", Output::File, fill)?;
    let mut said = Vec::new();
    for (_, context, _) in FLOWS {
        let mut client = Client::connect(server.port())?;
        let request = format!(
            "POST {context}/x HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer canary-bearer-5a1c\r\nContent-Type: text/plain\r\n\
             Content-Length: 1\r\n\r\nx"
        );
        client.send(request.as_bytes())?;
        let (status, body) = client.answer().with_context(|| format!("{context} is not answered"))?;
        said.push((format!("answer {status} of {context}"), body));
    }
    let answers = manage(&server)?;
    let count = answers.len();
    said.extend(answers);
    let line = fs::read(format!("/proc/{}/cmdline", server.child.id()))?;
    said.push(("the command line".to_owned(), line));
    server.is_well()?;
    // The end has things to say as well.
    crate::process::terminate(&mut server.child, super::TIMEOUT)?;
    said.push(("standard output".to_owned(), fs::read(plan.home.join("server.log"))?));
    logs(&plan.home.join("repository"), &mut said)?;
    judge(&said)?;
    let bytes: usize = said.iter().map(|(_, text)| text.len()).sum();
    Ok(format!(
        "none of {} in {bytes} bytes: {} texts, {count} answers of the management API",
        planted().len(),
        said.len()
    ))
}

fn fill(home: &Home) -> Result<()> {
    home.file("conf/deployment.toml", CONFIGURATION)?;
    home.file("conf/access-log.properties", "access_log_enable=true\n")?;
    for (folder, name, text) in ARTIFACTS {
        let (start, rest) = text.split_once(' ').context("an artifact has attributes")?;
        home.artifact(folder, name, &format!("{start} xmlns=\"http://ws.apache.org/ns/synapse\" {rest}"))?;
    }
    for (name, context, flow) in FLOWS {
        home.api(name, context, flow)?;
    }
    let environment =
        "<property name=\"p\" expression=\"get-property('env', 'CANARY_ENV')\"/><call><endpoint key=\"Url\"/></call>";
    home.api("Environment", "/environment", environment)
}

/// Logs in, wrongly and rightly, and asks for everything.
fn manage(server: &Server) -> Result<Vec<(String, Vec<u8>)>> {
    let ask = |path: &str, authorization: &str| {
        let headers = [("Authorization".to_owned(), authorization.to_owned())];
        http::request(server.internal(), "GET", path, &headers, "")
    };
    let wrong = ask("/management/login", &format!("Basic {WRONG_LOGIN}"))?;
    ensure!(wrong.status == 401, "a wrong password got {wrong:?}");
    let right = ask("/management/login", &format!("Basic {LOGIN}"))?;
    let token: serde_json::Value = serde_json::from_str(&right.body).with_context(|| format!("{right:?}"))?;
    let token = token["AccessToken"].as_str().context("the login gives no AccessToken")?.to_owned();
    let mut said = vec![("a wrong login".to_owned(), text(wrong))];
    let mut good = 0;
    for path in QUESTIONS {
        let answer = ask(&format!("/management{path}"), &format!("Bearer {token}"))?;
        good += usize::from(answer.status == 200);
        said.push((format!("/management{path}"), text(answer)));
    }
    // Refused questions would hide what is looked for.
    ensure!(good >= 20, "only {good} questions were answered with 200");
    for path in ["/metric-service/metrics", "/healthz", "/readiness"] {
        said.push((path.to_owned(), text(ask(path, "")?)));
    }
    Ok(said)
}

fn text(answer: Answer) -> Vec<u8> {
    let mut text = format!("{:?}\n", answer.headers).into_bytes();
    text.extend(answer.body.into_bytes());
    text
}

/// All files below `logs`.
fn logs(folder: &Path, said: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    let found = Command::new("find").arg(folder.join("logs")).args(["-type", "f"]).output()?;
    let names = String::from_utf8(found.stdout)?;
    for name in names.lines() {
        said.push((name.to_owned(), fs::read(name)?));
    }
    ensure!(names.lines().count() >= 2, "the server wrote no logs");
    Ok(())
}

/// Every secret, as it was planted.
fn planted() -> BTreeSet<&'static str> {
    let texts = [CONFIGURATION, ENVIRONMENT].into_iter().chain(ARTIFACTS.map(|it| it.2)).chain(FLOWS.map(|it| it.2));
    texts.flat_map(secrets).collect()
}

fn secrets(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(CANARY).map(|(at, _)| {
        let rest = &text[at..];
        let end = rest.find(|it: char| !it.is_ascii_alphanumeric() && it != '-').unwrap_or(rest.len());
        &rest[..end]
    })
}

/// What shows is an error that says where, with the line.
fn judge(said: &[(String, Vec<u8>)]) -> Result<()> {
    let mut shown = Vec::new();
    for (place, bytes) in said {
        let text = String::from_utf8_lossy(bytes);
        for line in text.lines().filter(|it| it.contains(CANARY) || it.contains(LOGIN) || it.contains(WRONG_LOGIN)) {
            shown.push(format!("{place}: {}", line.chars().take(400).collect::<String>()));
        }
    }
    if !shown.is_empty() {
        bail!("{} lines show secrets:\n{}", shown.len(), shown.join("\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shows_is_found() {
        let said = |text: &str| vec![("a log".to_owned(), text.as_bytes().to_vec())];
        assert!(judge(&said("one\ntwo *****\n")).is_ok());
        let error = judge(&said("one\ntwo canary-url-5a1c\n")).unwrap_err().to_string();
        assert!(error.contains("a log: two canary-url-5a1c"), "{error}");
        assert!(judge(&said(&format!("Basic {LOGIN}"))).is_err());
        assert!(planted().len() >= 16, "{:?}", planted());
    }
}
