//! Mailboxes of Dovecot over IMAP and POP3, plain, over TLS and with STARTTLS.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::*;
use crate::tls::ClientTlsConfig;

/// Dovecot with one user, `kim`, whose password is `se"cret`; it ends with the value.
struct Dovecot {
    child: Child,
    ports: [u16; 4],
    folder: PathBuf,
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

const PROTOCOLS: [&str; 4] = ["imap", "imaps", "pop3", "pop3s"];

fn pem(kind: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
}

impl Dovecot {
    fn start(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("mi-dovecot-{}-{name}", std::process::id()));
        for below in ["mail/new", "mail/cur", "mail/tmp", "mail/.Entw&APw-rfe/cur", "run"] {
            std::fs::create_dir_all(folder.join(below)).unwrap();
        }
        for open in ["mail", "mail/new", "mail/cur", "mail/tmp", "mail/.Entw&APw-rfe", "mail/.Entw&APw-rfe/cur"] {
            std::fs::set_permissions(folder.join(open), std::fs::Permissions::from_mode(0o777)).unwrap();
        }
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(folder.join("cert.pem"), pem("CERTIFICATE", made.cert.der())).unwrap();
        std::fs::write(folder.join("key.pem"), pem("PRIVATE KEY", &made.signing_key.serialize_der())).unwrap();
        // All are open at once, so that no port is given twice.
        let held = [(); 4].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let ports = held.each_ref().map(|it| it.local_addr().unwrap().port());
        drop(held);
        let name_of = |flag: &str| {
            let output = Command::new("id").arg(flag).output().unwrap();
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        };
        let (user, uid, gid, root) = (name_of("-un"), name_of("-u"), name_of("-g"), folder.display());
        // Started by root, it wants users of its own, which its package has made, and mails of somebody else.
        let (uid, gid) = if user == "root" { ("65534".to_owned(), "65534".to_owned()) } else { (uid, gid) };
        let users = match user.as_str() {
            "root" => String::new(),
            _ => format!(
                "default_internal_user = {user}\ndefault_login_user = {user}\ndefault_internal_group = {}\n",
                name_of("-gn")
            ),
        };
        let listener = |index: usize| {
            let ssl = if index % 2 == 1 { "ssl = yes\n" } else { "" };
            let (protocol, port) = (PROTOCOLS[index], ports[index]);
            format!("inet_listener {protocol} {{\naddress = 127.0.0.1\nport = {port}\n{ssl}}}\n")
        };
        let config = format!(
            "base_dir = {root}/run\nstate_dir = {root}/run\nlog_path = {root}/log\nprotocols = imap pop3\nlisten = 127.0.0.1\n\
             {users}\
             first_valid_uid = 0\nmail_location = maildir:{root}/mail\ndisable_plaintext_auth = no\n\
             auth_mechanisms = plain login\nauth_username_chars =\nssl = yes\nssl_cert = <{root}/cert.pem\nssl_key = <{root}/key.pem\n\
             passdb {{\ndriver = passwd-file\nargs = {root}/users\n}}\nuserdb {{\ndriver = static\nargs = uid={uid} gid={gid} home={root}\n}}\n\
             service imap-login {{\nchroot =\n{}{}}}\nservice pop3-login {{\nchroot =\n{}{}}}\nservice anvil {{\nchroot =\n}}\n\
             service stats {{\nchroot =\n}}\nservice auth {{\nuser = {user}\n}}\n",
            listener(0),
            listener(1),
            listener(2),
            listener(3),
        );
        std::fs::write(folder.join("users"), "kim:{PLAIN}se\"cret\n").unwrap();
        std::fs::write(folder.join("conf"), config).unwrap();
        let program =
            ["/usr/sbin/dovecot", "/usr/local/sbin/dovecot"].into_iter().find(|it| PathBuf::from(it).exists());
        let program = program.expect("Dovecot is absent: apt-get install dovecot-imapd dovecot-pop3d");
        let mut command = Command::new(program);
        command.arg("-F").arg("-c").arg(folder.join("conf")).stdin(Stdio::null());
        let output = std::fs::File::create(folder.join("output")).unwrap();
        command.stdout(output.try_clone().unwrap()).stderr(output);
        let mut dovecot = Self { child: command.spawn().unwrap(), ports, folder };
        let deadline = Instant::now() + Duration::from_secs(20);
        for port in ports {
            while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
                let read = |name: &str| std::fs::read_to_string(dovecot.folder.join(name)).unwrap_or_default();
                assert!(dovecot.child.try_wait().unwrap().is_none(), "it ended: {} {}", read("output"), read("log"));
                assert!(Instant::now() < deadline, "it does not listen: {} {}", read("output"), read("log"));
                std::thread::yield_now();
            }
        }
        dovecot
    }

    /// A mail with these flags of Maildir; `mail/cur` has those that were seen by a program.
    fn put(&self, id: u32, flags: &str, subject: &str) {
        let text = format!(
            "Message-ID: <{id}@x>\r\nFrom: Kim <kim{id}@x>\r\nTo: b@x\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: text/plain\r\n\r\nhello {id}\r\n.dot\r\n--o\r\n\
             Content-Type: text/csv; name=a.csv\r\nContent-Disposition: attachment\r\n\r\n{}\r\n--o--\r\n",
            "a,b;".repeat(20_000)
        );
        std::fs::write(self.folder.join(format!("mail/cur/{}.{id}.x:2,{flags}", 1_700_000_000 + id)), text).unwrap();
    }

    /// The answer to a command over one of the protocols.
    async fn ask(&self, protocol: &str, more: &[(&'static str, &str)], command: &Json) -> Result<Json, String> {
        let index = PROTOCOLS.iter().position(|it| *it == protocol).unwrap();
        let mut axis2 = Properties::default();
        for (name, value) in
            [("mail.user", "kim"), ("mail.password", "se\"cret"), ("mail.trusted", "*")].iter().chain(more)
        {
            axis2.set(*name, *value);
        }
        let request = OutMessage {
            address: format!("{protocol}://localhost:{}", self.ports[index]),
            content_type: None,
            headers: mi_message::Headers::default(),
            body: Payload::Bytes(command.to_string().into()),
            axis2,
            origin: mi_engine::exchange::RequestInfo::default(),
            responder: None,
        };
        let tls = Arc::new(ClientTls::new(&ClientTlsConfig::default()).unwrap());
        let reply = MailSender::new(tls).send(request).await.map_err(|fault| fault.detail)?;
        let Some(Payload::Bytes(bytes)) = reply.map(|reply| reply.body) else { panic!("no answer") };
        Ok(serde_json::from_slice(&bytes).unwrap())
    }

    /// Ids of the mails of a list.
    async fn ids(&self, protocol: &str, wanted: &Json) -> Vec<String> {
        let mut command = json!({"do": "list", "folder": "INBOX", "offset": 0, "limit": -1});
        for (name, value) in wanted.as_object().unwrap() {
            command[name] = value.clone();
        }
        let listed = self.ask(protocol, &[], &command).await.unwrap();
        let emails = listed["emails"].as_array().unwrap();
        emails.iter().map(|it| it["emailId"].as_str().unwrap().trim_matches(['<', '>']).replace("@x", "")).collect()
    }
}

#[tokio::test]
async fn lists() {
    let dovecot = Dovecot::start("lists");
    dovecot.put(1, "S", "Order one");
    dovecot.put(2, "", "=?UTF-8?Q?Gr=C3=BC=C3=9Fe?=");
    dovecot.put(3, "RS", "order three");
    dovecot.put(4, "ST", "gone");
    let ids = async |wanted: Json| dovecot.ids("imap", &wanted).await.join(" ");
    assert_eq!(ids(json!({})).await, "1 2 3 4");
    // Opened for reading only, the folder keeps no flags, and they are not asked for.
    assert_eq!(ids(json!({"seen": true, "answered": false})).await, "1 2 3 4");
    assert_eq!(ids(json!({"subject": "ORDER"})).await, "1 3");
    assert_eq!(ids(json!({"subject": "Grüße"})).await, "2");
    assert_eq!(ids(json!({"from": "kim3@x"})).await, "3");
    assert_eq!(ids(json!({"offset": 1, "limit": 2})).await, "2 3");
    assert_eq!(ids(json!({"offset": 9, "limit": 2})).await, "1 2 3 4");
    // They came in November 2023.
    assert_eq!(ids(json!({"after": ["2023-11-13"]})).await, "1 2 3 4");
    assert_eq!(ids(json!({"before": ["2023-11-13"]})).await, "");
    for protocol in ["pop3", "pop3s", "imaps"] {
        assert_eq!(dovecot.ids(protocol, &json!({"subject": "order"})).await.join(" "), "1 3", "{protocol}");
    }
    assert_eq!(dovecot.ids("pop3", &json!({"after": ["2023-11-13"]})).await.join(" "), "");
    assert_eq!(ids(json!({"folder": "Entwürfe"})).await, "");
    let listed = dovecot.ask("imap", &[], &json!({"do": "list", "folder": "Nowhere"})).await;
    assert!(listed.as_ref().is_err_and(|why| why.contains("Error while opening folder : Nowhere.")), "{listed:?}");
    // What is listed can be deleted with it; what was marked goes, too, as at the closing of a folder in MI.
    assert_eq!(ids(json!({"delete": true, "seen": false})).await, "2");
    assert_eq!(ids(json!({})).await, "1 3");
    assert_eq!(ids(json!({"delete": true, "seen": true, "answered": true, "deleted": false})).await, "3");
    assert_eq!(ids(json!({"delete": true, "limit": 0})).await, "");
    assert_eq!(ids(json!({})).await, "1");
}

#[tokio::test]
async fn mails_are_read_marked_and_deleted() {
    let dovecot = Dovecot::start("mails");
    for id in 1..=5 {
        dovecot.put(id, "", "s");
    }
    let command =
        |action: &str, id: u32| json!({"do": action, "folder": "INBOX", "id": format!("<{id}@x>"), "index": 0});
    for (protocol, starttls) in [("imap", "true"), ("imaps", "false"), ("pop3", "true"), ("pop3s", "false")] {
        let more = [("mail.starttls", starttls)];
        let read = dovecot.ask(protocol, &more, &command("read", 2)).await.unwrap();
        assert_eq!(read["email"]["textContent"], "hello 2\r\n.dot", "{protocol}");
        let attachment = dovecot.ask(protocol, &more, &command("attachment", 2)).await.unwrap();
        assert_eq!((&attachment["name"], &attachment["contentType"]), (&json!("a.csv"), &json!("text/csv")));
        assert_eq!(attachment["content"].as_str().unwrap().len(), 80_000_usize.div_ceil(3) * 4);
        assert_eq!(dovecot.ask(protocol, &more, &command("read", 9)).await.unwrap(), json!({"missing": 0}));
    }
    let wrong = dovecot.ask("imap", &[("mail.password", "wrong")], &command("read", 1)).await.unwrap_err();
    assert!(wrong.contains("AUTHENTICATIONFAILED") && !wrong.contains("\"wrong\""), "{wrong}");
    let mark = |id: u32, flag: &str, expunge: bool| {
        let mut mark = command("mark", id);
        (mark["flag"], mark["expunge"]) = (flag.into(), expunge.into());
        mark
    };
    let done = json!({"done": true});
    assert_eq!(dovecot.ask("imap", &[], &mark(1, "\\Seen", false)).await, Ok(done.clone()));
    let names = std::fs::read_dir(dovecot.folder.join("mail/cur")).unwrap().map(|it| it.unwrap().file_name());
    let seen: Vec<String> = names.filter_map(|it| it.into_string().ok()).filter(|it| it.ends_with('S')).collect();
    assert!(
        seen.iter().any(|name| name.contains(".1.x")) && !seen.iter().any(|name| name.contains(".3.x")),
        "{seen:?}"
    );
    assert_eq!(dovecot.ask("imap", &[], &mark(2, "\\Deleted", false)).await, Ok(done.clone()));
    assert_eq!(dovecot.ids("imap", &json!({})).await.len(), 5);
    assert_eq!(dovecot.ask("imap", &[], &json!({"do": "expunge", "folder": "INBOX"})).await, Ok(done.clone()));
    assert_eq!(dovecot.ids("imap", &json!({})).await, ["1", "3", "4", "5"]);
    assert_eq!(dovecot.ask("imap", &[], &mark(3, "\\Deleted", true)).await, Ok(done.clone()));
    assert_eq!(dovecot.ask("pop3", &[], &mark(4, "\\Deleted", true)).await, Ok(done));
    assert_eq!(dovecot.ids("pop3", &json!({})).await, ["1", "5"]);
}
