//! Mail: messages that are ready to be sent go to a mail server over SMTP; mailboxes are read over IMAP and POP3.
//!
//! What a mail that is sent looks like is made elsewhere (the email connector of mi-components); here is who gets it, and how
//! the server is reached: plain (`smtp:`, `imap:`, `pop3:`), over TLS from the first byte (`smtps:`, …), or with STARTTLS.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use mi_engine::fault::{Fault, codes};
use mi_engine::services::{OutMessage, Sender};
use mi_engine::transport::{HttpReply, Payload};
use mi_message::Properties;

use crate::tls::{ClientTls, ClientTlsConfig};

mod command;
mod imap;
mod pop3;
mod read;
mod smtp;
mod wire;

/// Largest mail that is read.
const MAX_MAIL: usize = 64 * 1024 * 1024;
/// Longest time that one mail may take, or one command for a mailbox.
const LONGEST: Duration = Duration::from_mins(10);
/// How long a server may take for a connection, and for each answer, when nothing is said.
const PATIENCE: Duration = Duration::from_mins(1);

/// Sends mails, and reads mailboxes. The address is `smtp://host:port` or `smtps://host:port`, the body the mail as it goes over
/// the wire; or the address is `imap:`, `imaps:`, `pop3:` or `pop3s:`, and the body a command as `command::run` has it, whose
/// answer is the body of the reply. Properties
/// of the axis2 scope say the rest: `mail.from`, `mail.recipients` (addresses, one a line), `mail.user`, `mail.password`,
/// `mail.bearer` (the password is an OAuth token), `mail.starttls`, `mail.trusted` (`*`, or hosts whose certificate is believed),
/// `mail.connect.timeout` and `mail.timeout` in milliseconds. MI: `Transport#send` of JavaMail.
#[derive(Clone, Debug)]
pub struct MailSender {
    tls: Arc<ClientTls>,
}

impl MailSender {
    /// A sender that trusts mail servers as `tls` says.
    pub fn new(tls: Arc<ClientTls>) -> Self {
        Self { tls }
    }
}

/// A mail server, and how to sign in.
#[derive(Debug)]
struct Server {
    host: String,
    port: u16,
    secure: Secure,
    credentials: Option<Credentials>,
    tls: Arc<ClientTls>,
    connect_timeout: Duration,
    timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Secure {
    No,
    /// From the first byte.
    Tls,
    /// After a command; a server that has it not gets no mail.
    StartTls,
}

#[derive(Debug)]
struct Credentials {
    user: String,
    password: String,
    /// The password is a token of OAuth 2.0.
    bearer: bool,
}

/// A mail with the addresses that it goes to, which may differ from those that stand in it.
#[derive(Debug)]
struct Mail {
    from: String,
    recipients: Vec<String>,
    text: Bytes,
}

impl Server {
    fn of(address: &str, axis2: &Properties, tls: &Arc<ClientTls>) -> Result<Self, String> {
        let wrong = || format!("'{address}' is no address of a mail server");
        let (scheme, authority) = address.split_once("://").ok_or_else(wrong)?;
        let (host, port) = authority.rsplit_once(':').ok_or_else(wrong)?;
        let text = |name: &str| axis2.get(name).map(|value| value.to_text().into_owned()).filter(|it| !it.is_empty());
        let millis = |name: &str| {
            let given = text(name).and_then(|text| text.trim().parse().ok()).filter(|millis| *millis > 0);
            given.map_or(PATIENCE, Duration::from_millis).min(LONGEST)
        };
        let trusted = text("mail.trusted").unwrap_or_default();
        let believed = trusted.split([',', ' ']).any(|it| it == "*" || it.eq_ignore_ascii_case(host));
        let tls = if believed {
            let any = ClientTlsConfig { accept_any: true, ..ClientTlsConfig::default() };
            Arc::new(ClientTls::new(&any).map_err(|error| error.to_string())?)
        } else {
            tls.clone()
        };
        let credentials = text("mail.user").map(|user| Credentials {
            user,
            password: text("mail.password").unwrap_or_default(),
            bearer: axis2.is_true("mail.bearer"),
        });
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: port.parse().map_err(|_| wrong())?,
            secure: match scheme {
                _ if axis2.is_true("mail.starttls") => Secure::StartTls,
                "smtps" | "imaps" | "pop3s" => Secure::Tls,
                _ => Secure::No,
            },
            credentials,
            tls,
            connect_timeout: millis("mail.connect.timeout"),
            timeout: millis("mail.timeout"),
        })
    }
}

impl Mail {
    fn of(request: &OutMessage) -> Result<Self, String> {
        let Payload::Bytes(text) = &request.body else { return Err("there is no mail to send".to_owned()) };
        let from = request.axis2.get_str("mail.from").unwrap_or_default().to_owned();
        let recipients: Vec<String> =
            request.axis2.get_str("mail.recipients").unwrap_or_default().lines().map(str::to_owned).collect();
        if recipients.is_empty() {
            return Err("the mail has no recipients".to_owned());
        }
        for address in recipients.iter().chain([&from]) {
            if address.chars().any(|it| it.is_control() || it == '<' || it == '>' || it == ' ') {
                return Err(format!("{address:?} is no mail address"));
            }
        }
        Ok(Self { from, recipients, text: text.clone() })
    }
}

impl Sender for MailSender {
    fn send(&self, request: OutMessage) -> BoxFuture<'static, Result<Option<HttpReply>, Fault>> {
        let tls = self.tls.clone();
        Box::pin(async move {
            let failed = |detail: String| Fault::coded(codes::SND_IO_SENDING, "Error sending a mail", detail);
            let server = Server::of(&request.address, &request.axis2, &tls).map_err(failed)?;
            let scheme = request.address.split(':').next().unwrap_or_default();
            let protocol = scheme.trim_end_matches('s').to_owned();
            if matches!(protocol.as_str(), "imap" | "pop3") {
                let command = match &request.body {
                    Payload::Bytes(command) => {
                        serde_json::from_slice(command).map_err(|error| failed(error.to_string()))?
                    }
                    Payload::Empty | Payload::Stream(_) => return Err(failed("there is no command".to_owned())),
                };
                drop(request);
                return read_mailbox(&server, protocol == "imap", &command).await.map(Some);
            }
            let mail = Mail::of(&request).map_err(failed)?;
            match tokio::time::timeout(LONGEST, smtp::send(&server, &mail)).await {
                Ok(Ok(())) => Ok(None),
                Ok(Err(error)) => Err(failed(format!("{}:{}: {error}", server.host, server.port))),
                Err(_) => Err(failed(format!("{}:{}: it took too long", server.host, server.port))),
            }
        })
    }
}

async fn read_mailbox(server: &Server, imap: bool, command: &serde_json::Value) -> Result<HttpReply, Fault> {
    let failed = |detail: String| Fault::coded(codes::SND_IO_SENDING, "Error reading a mailbox", detail);
    let at = |what: &dyn std::fmt::Display| failed(format!("{}:{}: {what}", server.host, server.port));
    match tokio::time::timeout(LONGEST, command::run(server, imap, command)).await {
        Ok(Ok(answer)) => Ok(HttpReply {
            status: http::StatusCode::OK,
            reason: None,
            headers: mi_message::Headers::default(),
            body: Payload::Bytes(answer.to_string().into()),
            close: false,
        }),
        Ok(Err(error)) => Err(at(&error)),
        Err(_) => Err(at(&"it took too long")),
    }
}

#[cfg(test)]
mod mailbox_tests;
#[cfg(test)]
mod tests;
