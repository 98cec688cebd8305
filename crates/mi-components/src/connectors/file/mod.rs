//! The file connector on the files of this machine: `FileConfig` of a connection, and a class for each operation.
//!
//! The classes read the parameters of the template that they stand in. What is done to files is in `work`, on a thread that may
//! wait for disks. Connections to servers (FTP, SFTP, SMB) are not there.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::BoxFuture;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Effect, Flow, Mediator};
use mi_engine::spec::ParseMediator;
use mi_expr::{Namespaces, Template};
use mi_message::{Body, Message, Native, Value};
use serde_json::{Value as Json, json};

use super::ConnectorResult;
use crate::payload;

mod work;

/// Class names and what stands in for them.
pub(super) const CLASSES: [(&str, ParseMediator); 10] = [
    ("org.wso2.carbon.connector.operations.FileConfig", |_, _| Ok(Box::new(FileConfig))),
    ("org.wso2.carbon.connector.operations.ReadFile", |_, _| Ok(Box::new(Operation::Read))),
    ("org.wso2.carbon.connector.operations.WriteFile", |_, _| Ok(Box::new(Operation::Write))),
    ("org.wso2.carbon.connector.operations.CheckFileExist", |_, _| Ok(Box::new(Operation::CheckExist))),
    ("org.wso2.carbon.connector.operations.CreateDirectory", |_, _| Ok(Box::new(Operation::CreateDirectory))),
    ("org.wso2.carbon.connector.operations.DeleteFileOrFolder", |_, _| Ok(Box::new(Operation::Delete))),
    ("org.wso2.carbon.connector.operations.CopyFiles", |_, _| Ok(Box::new(Operation::Copy))),
    ("org.wso2.carbon.connector.operations.MoveFiles", |_, _| Ok(Box::new(Operation::Move))),
    ("org.wso2.carbon.connector.operations.RenameFiles", |_, _| Ok(Box::new(Operation::Rename))),
    ("org.wso2.carbon.connector.operations.ListFiles", |_, _| Ok(Box::new(Operation::List))),
];

/// Longest time that an operation may take.
const LONGEST: Duration = Duration::from_mins(2);

/// The connection that the `init` of an operation has prepared, kept with the flow.
struct Connection {
    folder: PathBuf,
}

/// MI: `FileConfig` of the connector.
#[derive(Debug)]
struct FileConfig;

impl Mediator for FileConfig {
    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let kind = parameter(&cx.message, "connectionType").unwrap_or_else(|| "LOCAL".to_owned());
        if !kind.eq_ignore_ascii_case("LOCAL") {
            return Err(Fault::new(format!(
                "Connections of the type {kind} of the file connector are not supported, only LOCAL"
            )));
        }
        let folder = parameter(&cx.message, "workingDir").unwrap_or_default();
        let folder = folder.strip_prefix("file://").unwrap_or(&folder);
        cx.shared.insert(Connection { folder: PathBuf::from("/").join(folder) });
        Ok(Flow::Next)
    }
}

/// The operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Read,
    Write,
    CheckExist,
    CreateDirectory,
    Delete,
    Copy,
    Move,
    Rename,
    List,
}

impl Operation {
    /// As faults name it, with what it works on.
    fn title(self) -> &'static str {
        match self {
            Self::Read => "read for file/directory",
            Self::Write => "write for file",
            Self::CheckExist => "checkExist for file/directory",
            Self::CreateDirectory => "createDirectory for folder",
            Self::Delete => "delete for file/folder",
            Self::Copy => "copy for file/folder",
            Self::Move => "move for file/folder",
            Self::Rename => "rename for file/folder",
            Self::List => "listFiles for folder",
        }
    }
}

impl Mediator for Operation {
    fn reads_body(&self) -> bool {
        *self == Self::Write
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let mut parameters = work::Parameters::default();
        for name in work::NAMES {
            if let Some(text) = parameter(&cx.message, name) {
                parameters.set(name, text);
            }
        }
        let content = if *self == Self::Write { content(cx)? } else { Vec::new() };
        Ok(Flow::wait(Working { operation: *self, parameters, content }))
    }
}

/// The text of a parameter of the running template; none when it is empty.
fn parameter(message: &Message, name: &str) -> Option<String> {
    message.function_parameter(name).map(|value| value.to_text().into_owned()).filter(|text| !text.is_empty())
}

/// What is written: the parameter with its `${…}`, else the payload.
fn content(cx: &Context) -> Result<Vec<u8>, Fault> {
    if let Some(text) = parameter(&cx.message, "contentOrExpression") {
        if !text.contains("${") {
            return Ok(text.into_bytes());
        }
        let template = Template::parse(&text, &Namespaces::new()).map_err(|error| Fault::new(error.to_string()))?;
        return Ok(template.eval(&cx.message, &*cx.snapshot)?.into_bytes());
    }
    Ok(match cx.message.body.native()? {
        Native::Empty => Vec::new(),
        Native::Json(json) => json.text().to_vec(),
        Native::Text(text) => text.as_bytes().to_vec(),
        Native::Binary(bytes) => bytes.to_vec(),
        Native::Xml(envelope) => payload::element(envelope).map(|it| it.to_xml().into_bytes()).unwrap_or_default(),
    })
}

struct Working {
    operation: Operation,
    parameters: work::Parameters,
    content: Vec<u8>,
}

impl Effect for Working {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move {
            let Self { operation, parameters, content } = *self;
            let Some(connection) = cx.shared.get::<Connection>() else {
                return Err(Fault::new(
                    "The operation of the file connector has no connection; name one with configKey",
                ));
            };
            let folder = connection.folder.clone();
            let shown = parameters.place();
            let working = tokio::task::spawn_blocking(move || work::run(operation, &folder, &parameters, &content));
            let done = match tokio::time::timeout(LONGEST, working).await {
                Ok(Ok(done)) => done,
                Ok(Err(_)) | Err(_) => Err(work::Failure::operation("the operation did not end in time")),
            };
            match done {
                Ok(done) => {
                    answer(cx, done);
                    Ok(Flow::Next)
                }
                Err(failure) => Err(failed(cx, operation, &shown, failure)),
            }
        })
    }
}

/// The result becomes the body, or is kept for the variable that the call names. MI: `AbstractConnectorOperation`.
fn answer(cx: &mut Context, done: work::Done) {
    let variable = parameter(&cx.message, "responseVariable").is_some();
    let overwrite = parameter(&cx.message, "overwriteBody").is_some_and(|it| it.eq_ignore_ascii_case("true"));
    let value = match done.content {
        None => Value::from(done.result),
        Some(work::Content { bytes, media_type }) => {
            if overwrite || !variable {
                let message = &mut cx.message;
                message.body = Body::from_bytes(bytes, Some(media_type.as_str().into()));
                payload::set_message_type(message, &Value::from(media_type.as_str()));
                message.axis2.remove("NO_ENTITY_BODY");
                keep(cx, variable, None, done.attributes);
                return;
            }
            let text = String::from_utf8_lossy(&bytes);
            match serde_json::from_str::<Json>(&text) {
                Ok(json) if media_type == "application/json" => Value::from(json),
                _ => Value::from(text.into_owned()),
            }
        }
    };
    if (overwrite || !variable)
        && let Value::Json(json) = &value
    {
        payload::set_json(&mut cx.message, (**json).clone());
        payload::set_message_type(&mut cx.message, &Value::from("application/json"));
        cx.message.axis2.remove("NO_ENTITY_BODY");
    }
    keep(cx, variable, (!overwrite).then_some(value), done.attributes);
}

/// Nobody takes the result away when no variable is named.
fn keep(cx: &mut Context, variable: bool, payload: Option<Value>, attributes: Option<Json>) {
    if variable {
        cx.shared.insert(ConnectorResult { payload, attributes });
    }
}

/// The variable tells of the failure, too.
fn failed(cx: &mut Context, operation: Operation, place: &str, failure: work::Failure) -> Fault {
    let error = json!({"code": failure.code, "message": failure.name, "detail": failure.detail});
    let result = Value::from(json!({"success": false, "error": error}));
    if let Some(variable) = parameter(&cx.message, "responseVariable") {
        let map = Value::Map(std::sync::Arc::new(vec![("payload".into(), result)]));
        cx.message.variables.set(variable, map);
    }
    cx.message.properties.set("ERROR_CODE", failure.code);
    cx.message.properties.set("ERROR_MESSAGE", failure.name);
    let mut fault = Fault::new(format!("Error while performing file:{} {place}", operation.title()));
    fault.detail = format!("{}\nCaused by: {}", fault.detail, failure.detail);
    fault
}

#[cfg(test)]
mod tests;
