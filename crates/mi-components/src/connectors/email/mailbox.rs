//! Operations on mailboxes: `list`, `getEmailBody`, `getEmailAttachment`, `delete`, `markAsRead`, `markAsDeleted`,
//! `expungeFolder`. Each becomes one command for the transport of mails, which speaks IMAP and POP3. MI: `EmailList`,
//! `EmailGetBody`, `EmailGetAttachment`, `EmailUtils#changeEmailState`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::NaiveDateTime;
use futures_util::future::BoxFuture;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Effect, Flow, Mediator};
use mi_engine::transport::Payload;
use mi_message::{Body, Message, Value};
use serde_json::{Value as Json, json};

use super::{Problem, answer, deliver, failed_with, parameter};
use crate::connectors::ConnectorResult;
use crate::payload;

/// What is done with a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    List,
    Body,
    Attachment,
    Delete,
    MarkAsRead,
    MarkAsDeleted,
    Expunge,
}

impl Mediator for Operation {
    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        match self.command(&cx.message) {
            Ok(command) => Ok(Flow::wait(Asking { operation: *self, command })),
            Err(problem) => Err(self.failed(cx, &problem)),
        }
    }
}

impl Operation {
    /// The command for the transport.
    fn command(self, message: &Message) -> Result<Json, Problem> {
        let text = |name: &str| parameter(message, name);
        let folder = text("folder").unwrap_or_else(|| "INBOX".to_owned());
        if self == Self::List {
            return list(message, &folder);
        }
        if self == Self::Expunge {
            return Ok(json!({"do": "expunge", "folder": folder}));
        }
        let Some(id) = text("emailId") else {
            return Err(Problem::Invalid(match self {
                Self::Body => "Error occurred while retrieving email body. Email Id is not set.".to_owned(),
                Self::Attachment => "Error occurred while retrieving attachment. Email Index is not set.".to_owned(),
                _ => "Mandatory parameter 'Email ID' is not configured.".to_owned(),
            }));
        };
        let flag = if self == Self::MarkAsRead { "\\Seen" } else { "\\Deleted" };
        Ok(match self {
            Self::Body => json!({"do": "read", "folder": folder, "id": id}),
            Self::Attachment => {
                let why = "Error occurred while retrieving attachment. Attachment Index is not set.";
                let index = text("attachmentIndex").ok_or_else(|| Problem::Invalid(why.to_owned()))?;
                let index: u64 = index.trim().parse().map_err(|_| {
                    Problem::Invalid(format!("Failed to retrieve attachment. The index '{index}' is no number."))
                })?;
                json!({"do": "attachment", "folder": folder, "id": id, "index": index})
            }
            _ => json!({"do": "mark", "folder": folder, "id": id, "flag": flag, "expunge": self == Self::Delete}),
        })
    }

    /// MI: what reads says nothing of success. `AbstractEmailConnectorOperation#generateErrorResult`.
    fn failed(self, cx: &mut Context, problem: &Problem) -> Fault {
        let reads = matches!(self, Self::List | Self::Body | Self::Attachment);
        failed_with(cx, problem, if reads { json!({}) } else { json!({"success": false}) })
    }

    /// What went wrong with the connection, as this operation names it.
    fn connection(self, why: &str) -> Problem {
        match self {
            Self::Body => Problem::Connection(format!("Error occurred while retrieving email body. {why}")),
            _ => Problem::Connectivity(why.to_owned()),
        }
    }

    fn missing(self, mails: &Json, id: &str) -> Problem {
        let several = mails.as_u64().is_some_and(|mails| mails > 1);
        match self {
            Self::Body | Self::Attachment => {
                let found = if several { "Multiple emails" } else { "No email" };
                let why = format!("{found} found with ID: {id}.");
                if self == Self::Body { Problem::Parsing(why) } else { Problem::Response(why) }
            }
            _ => Problem::NotFound(format!("No emails found with ID: {id}.")),
        }
    }
}

/// MI: `EmailList#getMailboxConfigFromContext`, `#getSearchTerm`. A flag that is not given is wanted.
fn list(message: &Message, folder: &str) -> Result<Json, Problem> {
    let text = |name: &str| parameter(message, name);
    let is_true = |name: &str| text(name).is_some_and(|it| it.trim().eq_ignore_ascii_case("true"));
    let flag = |name: &str| text(name).is_none_or(|it| it.trim().eq_ignore_ascii_case("true"));
    let number = |name: &str, default: i64| match text(name) {
        Some(text) => text
            .trim()
            .parse::<i32>()
            .map(i64::from)
            .map_err(|_| Problem::Invalid(format!("Parameter '{name}' must be a number, not '{text}'."))),
        None => Ok(default),
    };
    let day = |name: &str| match text(name) {
        Some(text) => {
            let shape = "a date and time such as 2026-01-31T08:00:00";
            let parsed = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"]
                .into_iter()
                .find_map(|format| NaiveDateTime::parse_from_str(text.trim(), format).ok());
            let parsed =
                parsed.ok_or_else(|| Problem::Invalid(format!("Parameter '{name}' must be {shape}, not '{text}'.")))?;
            Ok(Some(parsed.date()))
        }
        None => Ok(None),
    };
    // MI: what was sent is looked for by when it came, and days are all that servers compare. `EmailList#getSearchTerm`.
    let after: Vec<String> =
        [day("receivedSince")?, day("sentSince")?].into_iter().flatten().map(|it| it.to_string()).collect();
    let before: Vec<String> =
        [day("receivedUntil")?, day("sentUntil")?].into_iter().flatten().map(|it| it.to_string()).collect();
    Ok(json!({
        "do": "list", "folder": folder, "delete": is_true("deleteAfterRetrieve"),
        "seen": flag("seen"), "answered": flag("answered"), "recent": flag("recent"), "deleted": flag("deleted"),
        "subject": text("subjectRegex"), "from": text("fromRegex"), "after": after, "before": before,
        "offset": number("offset", 0)?, "limit": number("limit", -1)?,
    }))
}

struct Asking {
    operation: Operation,
    command: Json,
}

impl Effect for Asking {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move {
            match ask(self.operation, &self.command, cx).await {
                Ok(told) if self.operation == Operation::Attachment => attachment(cx, &told),
                Ok(told) if told["done"] == true => answer(cx, json!({"success": true})),
                Ok(told) => answer(cx, told),
                Err(problem) => return Err(self.operation.failed(cx, &problem)),
            }
            Ok(Flow::Next)
        })
    }
}

async fn ask(operation: Operation, command: &Json, cx: &mut Context) -> Result<Json, Problem> {
    let reply = deliver(cx, &["imap", "pop3"], Payload::Bytes(command.to_string().into()), Vec::new()).await;
    let reply = reply.map_err(|problem| match problem {
        Problem::Connectivity(why) => operation.connection(&why),
        other => other,
    })?;
    let told = match reply.map(|reply| reply.body) {
        Some(Payload::Bytes(bytes)) => serde_json::from_slice::<Json>(&bytes).unwrap_or_default(),
        _ => Json::Null,
    };
    if let Some(why) = told["wrong"].as_str() {
        return Err(Problem::Invalid(format!("Failed to retrieve attachment. {why}")));
    }
    if !told["missing"].is_null() {
        return Err(operation.missing(&told["missing"], command["id"].as_str().unwrap_or_default()));
    }
    Ok(told)
}

/// The content becomes the body as it is, or goes into the variable as Base64 with name and type as attributes.
fn attachment(cx: &mut Context, told: &Json) {
    let content_type = told["contentType"].as_str().unwrap_or("application/octet-stream").to_owned();
    let content = told["content"].as_str().unwrap_or_default();
    if parameter(&cx.message, "overwriteBody").is_some_and(|it| it.eq_ignore_ascii_case("true")) {
        let bytes = BASE64.decode(content).unwrap_or_default();
        cx.message.body = Body::from_bytes(bytes, Some(content_type.as_str().into()));
        payload::set_message_type(&mut cx.message, &Value::from(content_type.as_str()));
        cx.message.headers.set("Content-Type", content_type);
        return;
    }
    let attributes = json!({"ATTACHMENT_NAME": told["name"], "ATTACHMENT_TYPE": content_type});
    let payload = Some(Value::from(json!({"base64Encoded": content})));
    cx.shared.insert(ConnectorResult { payload, attributes: Some(attributes) });
}
