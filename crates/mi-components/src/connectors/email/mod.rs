//! The email connector: `EmailConfig` of a connection, `EmailSend`, and the operations on mailboxes in `mailbox`. What a mail
//! looks like is in `mime`; the transport of mails brings it to the server.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Effect, Flow, Mediator};
use mi_engine::services::OutMessage;
use mi_engine::spec::ParseMediator;
use mi_engine::transport::{HttpReply, Payload};
use mi_expr::{Namespaces, Template};
use mi_message::{Headers, Message, Properties, Value};
use serde_json::json;

use self::mailbox::Operation;
use self::mime::{Attached, Mail};
use self::oauth::{Grant, Tokens};
use super::ConnectorResult;
use crate::{payload, xml};

mod mailbox;
mod mime;
mod oauth;

/// Class names and what stands in for them.
pub(super) const CLASSES: [(&str, ParseMediator); 9] = [
    ("org.wso2.carbon.connector.operations.EmailConfig", |_, _| Ok(Box::new(EmailConfig::default()))),
    ("org.wso2.carbon.connector.operations.EmailSend", |_, _| Ok(Box::new(EmailSend))),
    ("org.wso2.carbon.connector.operations.EmailList", |_, _| Ok(Box::new(Operation::List))),
    ("org.wso2.carbon.connector.operations.EmailGetBody", |_, _| Ok(Box::new(Operation::Body))),
    ("org.wso2.carbon.connector.operations.EmailGetAttachment", |_, _| Ok(Box::new(Operation::Attachment))),
    ("org.wso2.carbon.connector.operations.EmailDelete", |_, _| Ok(Box::new(Operation::Delete))),
    ("org.wso2.carbon.connector.operations.EmailMarkAsRead", |_, _| Ok(Box::new(Operation::MarkAsRead))),
    ("org.wso2.carbon.connector.operations.EmailMarkAsDeleted", |_, _| Ok(Box::new(Operation::MarkAsDeleted))),
    ("org.wso2.carbon.connector.operations.EmailExpungeFolder", |_, _| Ok(Box::new(Operation::Expunge))),
];

/// Most bytes of attachments that one mail may have.
const MAX_ATTACHED: u64 = 64 * 1024 * 1024;

/// Why an operation failed. MI: `Error` of the connector.
#[derive(Debug)]
enum Problem {
    NotFound(String),
    Connectivity(String),
    Invalid(String),
    Response(String),
    Connection(String),
    Parsing(String),
}

impl Problem {
    fn code(&self) -> (&'static str, &'static str) {
        match self {
            Self::NotFound(_) => ("700201", "EMAIL:EMAIL_NOT_FOUND"),
            Self::Connectivity(_) => ("700203", "EMAIL:CONNECTIVITY"),
            Self::Invalid(_) => ("700204", "EMAIL:INVALID_CONFIGURATION"),
            Self::Response(_) => ("700205", "EMAIL:RESPONSE_GENERATION"),
            Self::Connection(_) => ("700207", "EMAIL:EMAIL_CONNECTION_ERROR"),
            Self::Parsing(_) => ("700208", "EMAIL:EMAIL_PARSING_ERROR"),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::NotFound(text)
            | Self::Connectivity(text)
            | Self::Invalid(text)
            | Self::Response(text)
            | Self::Connection(text)
            | Self::Parsing(text) => text,
        }
    }

    /// Notes the error in the message, and the reason for whoever looks.
    fn note(&self, cx: &mut Context) {
        let (code, name) = self.code();
        let properties = &mut cx.message.properties;
        properties.set("ERROR_CODE", code);
        properties.set("ERROR_MESSAGE", name);
        properties.set("ERROR_DETAIL", self.text());
        cx.message.axis2.set("HTTP_SC", "500");
        log::error!(target: "EmailConnector", "{}{}", cx.artifact.log_prefix, self.text());
    }
}

/// The connection that the `init` of an operation has prepared, kept with the flow.
struct Connection {
    address: String,
    properties: Properties,
    /// How the password is got, when it is a token.
    grant: Option<Grant>,
}

/// MI: `EmailConfig` of the connector.
#[derive(Debug, Default)]
struct EmailConfig {
    tokens: Arc<Tokens>,
}

impl Mediator for EmailConfig {
    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        match connection(&cx.message, &self.tokens) {
            Ok(connection) => {
                cx.shared.insert(connection);
                Ok(Flow::Next)
            }
            Err(why) => {
                Problem::Invalid(why).note(cx);
                Err(Fault::new("Failed to initiate email configuration."))
            }
        }
    }
}

/// MI: `ConnectionConfiguration`, `EmailConnection#setSecureProperties`.
fn connection(message: &Message, tokens: &Arc<Tokens>) -> Result<Connection, String> {
    let text = |name: &str| parameter(message, name);
    let needed = |name: &str| text(name).ok_or_else(|| format!("Mandatory parameter '{name}' is not set."));
    let is_true = |name: &str| text(name).is_some_and(|it| it.trim().eq_ignore_ascii_case("true"));
    let number = |name: &str, shown: &str| match text(name) {
        Some(text) if text.trim().parse::<u32>().is_err() => {
            Err(format!("Parameter '{shown}' must be a numeric value."))
        }
        other => Ok(other),
    };
    let (host, port) = (needed("host")?, needed("port")?);
    if port.trim().parse::<u16>().is_err() {
        return Err("Parameter 'port' must be a numeric value.".to_owned());
    }
    let kind = needed("connectionType")?;
    let (protocol, secure) = match kind.as_str() {
        "SMTP" | "IMAP" | "POP3" => (kind.to_ascii_lowercase(), false),
        "SMTPS" | "IMAPS" | "POP3S" => (kind.trim_end_matches('S').to_ascii_lowercase(), true),
        other => {
            return Err(format!(
                "Connections of the type {other} are not supported, only SMTP, SMTPS, IMAP, IMAPS, POP3 and POP3S"
            ));
        }
    };
    let grant = if is_true("enableOAuth2") { Some(Grant::of(&text, tokens.clone())?) } else { None };
    let mut properties = Properties::default();
    // Without the parameter, which older versions do not have, credentials that are there are used.
    if text("requireAuthentication").is_none() || is_true("requireAuthentication") {
        let missing = |name: &str| format!("Server requires authentication, mandatory parameter '{name}' is not set.");
        let required = is_true("requireAuthentication");
        match (text("username"), text("password")) {
            (Some(user), _) if grant.is_some() => {
                properties.set("mail.user", user);
                properties.set("mail.bearer", true);
            }
            (Some(user), Some(password)) => {
                properties.set("mail.user", user);
                properties.set("mail.password", password);
            }
            (None, _) if required => return Err(missing("username")),
            (_, None) if required => return Err(missing("password")),
            _ => {}
        }
    }
    let starttls = secure && is_true("requireTLS");
    if starttls {
        properties.set("mail.starttls", true);
    }
    for (name, value) in [
        ("mail.trusted", text("trustedHosts")),
        ("mail.connect.timeout", number("connectionTimeout", "connection timeout")?),
        ("mail.timeout", number("readTimeout", "read timeout")?),
    ] {
        if let Some(value) = value {
            properties.set(name, value);
        }
    }
    number("writeTimeout", "write timeout")?;
    let end = if secure && !starttls { "s" } else { "" };
    Ok(Connection { address: format!("{protocol}{end}://{}:{}", host.trim(), port.trim()), properties, grant })
}

/// MI: `EmailSend` of the connector.
#[derive(Debug)]
struct EmailSend;

impl Mediator for EmailSend {
    fn reads_body(&self) -> bool {
        // Subject and content may hold expressions.
        true
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        match mail(cx) {
            Ok(mail) => Ok(Flow::wait(Sending { mail })),
            Err(problem) => Err(failed(cx, &problem)),
        }
    }
}

fn mail(cx: &Context) -> Result<Mail, Problem> {
    let message = &cx.message;
    let text = |name: &str| parameter(message, name);
    let resolved = |name: &str| match text(name) {
        Some(text) if text.contains("${") => {
            let template =
                Template::parse(&text, &Namespaces::new()).map_err(|error| Problem::Invalid(error.to_string()))?;
            template.eval(message, &*cx.snapshot).map_err(|error| Problem::Invalid(error.to_string()))
        }
        other => Ok(other.unwrap_or_default()),
    };
    if text("to").or_else(|| text("cc")).or_else(|| text("bcc")).is_none() {
        let why = "Error occurred while sending the email. Recipients are not provided.";
        return Err(Problem::Invalid(why.to_owned()));
    }
    let mut attached = Vec::new();
    if let Some(list) = text("attachments") {
        attached.extend(mime::attachments(&list).map_err(Problem::Connectivity)?);
    }
    if let Some(list) = text("inlineImages") {
        attached.extend(mime::inline_images(&list).map_err(Problem::Invalid)?);
    }
    let headers = message.properties.iter().filter(|(name, _)| name.starts_with("EMAIL-HEADER"));
    let headers = headers.filter_map(|(name, value)| {
        let name = name.split(':').nth(1)?;
        Some((name.to_owned(), value.to_text().into_owned()))
    });
    Ok(Mail {
        from: text("from").unwrap_or_default(),
        personal_name: text("personalName"),
        to: text("to"),
        cc: text("cc"),
        bcc: text("bcc"),
        reply_to: text("replyTo"),
        subject: resolved("subject")?,
        content: resolved("content")?,
        content_type: text("contentType").unwrap_or_else(|| "text/html".to_owned()),
        charset: text("encoding").unwrap_or_else(|| "UTF-8".to_owned()),
        transfer: text("contentTransferEncoding").unwrap_or_else(|| "Base64".to_owned()),
        headers: headers.collect(),
        attached,
    })
}

struct Sending {
    mail: Mail,
}

impl Effect for Sending {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move {
            match send(self.mail, cx).await {
                Ok(()) => {
                    answer(cx, json!({"success": true}));
                    Ok(Flow::Next)
                }
                Err(problem) => Err(failed(cx, &problem)),
            }
        })
    }
}

async fn send(mut mail: Mail, cx: &mut Context) -> Result<(), Problem> {
    let subject = format!("with subject {} to {}", mail.subject, mail.to.as_deref().unwrap_or("null"));
    mail.attached = read(mail.attached).await.map_err(|error| {
        Problem::Connectivity(format!(
            "Error occurred while building MIME message {}: {error}",
            subject.replace(" to ", " to the email to ")
        ))
    })?;
    let (now, id) = (cx.snapshot.services.clock.now_millis(), cx.snapshot.services.clock.new_id());
    let (from, recipients) = mail.envelope().map_err(Problem::Invalid)?;
    let text = mail.compose(now, id.trim_start_matches("urn:uuid:")).map_err(Problem::Invalid)?;
    let more = [("mail.from", from), ("mail.recipients", recipients.join("\n"))];
    let sent = deliver(cx, &["smtp"], Payload::Bytes(text.into()), more.into()).await;
    sent.map(drop).map_err(|problem| match problem {
        Problem::Connectivity(why) => {
            Problem::Connectivity(format!("Error occurred while sending the email {subject}. {why}"))
        }
        other => other,
    })
}

/// Brings `body` to the server of the flow's connection, which has to speak one of the `protocols`.
async fn deliver(
    cx: &mut Context,
    protocols: &[&str],
    body: Payload,
    more: Vec<(&'static str, String)>,
) -> Result<Option<HttpReply>, Problem> {
    let Some(connection) = cx.shared.get::<Connection>() else {
        return Err(Problem::Invalid("Connection name is not set.".to_owned()));
    };
    let (address, mut axis2, grant) =
        (connection.address.clone(), connection.properties.clone(), connection.grant.clone());
    let scheme = address.split(':').next().unwrap_or_default();
    if !protocols.contains(&scheme.trim_end_matches('s')) {
        let wanted = protocols.join(" or ").to_uppercase();
        return Err(Problem::Invalid(format!("The operation needs a connection of the type {wanted}, not {scheme}.")));
    }
    let Some(sender) = cx.snapshot.services.sender(scheme).cloned() else {
        return Err(Problem::Connectivity(format!("there is no transport for {scheme}")));
    };
    for (name, value) in more {
        axis2.set(name, value);
    }
    if let Some(grant) = grant {
        let user = axis2.get_str("mail.user").unwrap_or_default().to_owned();
        let token = grant.token(&cx.snapshot).await.map_err(|why| {
            Problem::Connectivity(format!("An error occurred while generating access token for {user}. {why}"))
        })?;
        axis2.set("mail.password", token);
    }
    let request = OutMessage {
        address,
        content_type: Some("message/rfc822".to_owned()),
        headers: Headers::default(),
        body,
        axis2,
        origin: cx.exchange.request.clone(),
        responder: None,
    };
    sender.send(request).await.map_err(|fault| Problem::Connectivity(fault.detail))
}

/// Reads the files, on a thread that may wait for disks.
async fn read(attached: Vec<Attached>) -> Result<Vec<Attached>, String> {
    if !attached.iter().any(|it| it.file.is_some()) {
        return Ok(attached);
    }
    let reading = tokio::task::spawn_blocking(move || {
        let mut left = MAX_ATTACHED;
        attached.into_iter().map(|it| read_one(it, &mut left)).collect()
    });
    reading.await.map_err(|error| error.to_string())?
}

fn read_one(mut attached: Attached, left: &mut u64) -> Result<Attached, String> {
    let Some(path) = attached.file.take() else { return Ok(attached) };
    let path = PathBuf::from(path);
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let size = std::fs::metadata(&path).map_err(failed)?.len();
    *left = left
        .checked_sub(size)
        .ok_or_else(|| format!("the attachments are larger than {MAX_ATTACHED} bytes, which is the limit"))?;
    attached.data = std::fs::read(&path).map_err(failed)?;
    Ok(attached)
}

/// The text of a parameter of the running template; none when it is empty.
fn parameter(message: &Message, name: &str) -> Option<String> {
    message.function_parameter(name).map(|value| value.to_text().into_owned()).filter(|text| !text.is_empty())
}

/// The result becomes the body, or is kept for the variable that the call names; older versions of the connector know no
/// variable and answer XML, which holds here for what only says that it was done. MI: `AbstractEmailConnectorOperation#handleConnectorResponse`.
fn answer(cx: &mut Context, result: serde_json::Value) {
    let overwrite = parameter(&cx.message, "overwriteBody").is_some_and(|it| it.eq_ignore_ascii_case("true"));
    if overwrite {
        payload::set_json(&mut cx.message, result);
        payload::set_message_type(&mut cx.message, &Value::from("application/json"));
        cx.message.axis2.remove("NO_ENTITY_BODY");
    } else if parameter(&cx.message, "responseVariable").is_some() {
        cx.shared.insert(ConnectorResult { payload: Some(Value::from(result)), attributes: None });
    } else if result.get("success").is_none() {
        payload::set_json(&mut cx.message, result);
        payload::set_message_type(&mut cx.message, &Value::from("application/json"));
    } else if let Ok(xml) = xml::parse("<result><success>true</success></result>") {
        payload::set_elements(&mut cx.message, &xml.document, &xml.nodes);
    }
}

/// The variable tells of the failure, too.
fn failed(cx: &mut Context, problem: &Problem) -> Fault {
    failed_with(cx, problem, json!({"success": false}))
}

/// As [`failed`], with more members beside the error.
fn failed_with(cx: &mut Context, problem: &Problem, mut result: serde_json::Value) -> Fault {
    let (code, name) = problem.code();
    result["error"] = json!({"code": code, "message": name});
    if let Some(variable) = parameter(&cx.message, "responseVariable") {
        let map = Value::Map(Arc::new(vec![("payload".into(), Value::from(result))]));
        cx.message.variables.set(variable, map);
    }
    problem.note(cx);
    Fault::new(problem.text())
}

#[cfg(test)]
mod tests;
