//! The message as one value that moves through a flow.

use std::sync::Arc;

use crate::{Addressing, Attachment, Body, BodyError, Headers, Properties, Value};

/// A message. It is owned by exactly one flow at a time; a split copies it ([`Message::copy`]).
#[derive(Debug, Default)]
pub struct Message {
    /// Transport headers (scope `transport`).
    pub headers: Headers,
    /// The payload with its SOAP envelope.
    pub body: Body,
    /// Scope `default` (also called `synapse`).
    pub properties: Properties,
    /// Scope `axis2`: switches of the transport such as `HTTP_SC` and `messageType`.
    pub axis2: Properties,
    /// Scope `axis2-client`: options of the next outgoing call.
    pub axis2_client: Properties,
    /// Scope `operation`: lives as long as the request and its response.
    pub operation: Properties,
    /// Scope `trace`.
    pub trace: Properties,
    /// Variables of the flow (`vars.x`).
    pub variables: Properties,
    /// WS-Addressing fields.
    pub addressing: Addressing,
    /// True when the content type is none of SOAP's two: Axis2's `doingREST`.
    pub rest: bool,
    /// True once the message is a response. MI: `MessageContext#isResponse`.
    pub is_response: bool,
    /// Parameters of the templates being executed, innermost last (`$func:x`).
    pub functions: Vec<FunctionScope>,
    /// Attachments.
    pub attachments: Vec<Attachment>,
}

/// The parameters of one running template. MI: `TemplateContext`.
#[derive(Clone, Debug, Default)]
pub struct FunctionScope {
    /// Name of the template.
    pub template: Arc<str>,
    /// Evaluated parameters.
    pub parameters: Arc<Vec<(Arc<str>, Value)>>,
    /// Parameters that were handed over as expressions (`{{…}}`), to be evaluated wherever the template uses them. This
    /// crate knows no expressions; the one that does finds its own type in here.
    pub expressions: Arc<Vec<(Arc<str>, Opaque)>>,
}

/// Something that only its owner knows how to use.
pub type Opaque = Arc<dyn std::any::Any + Send + Sync>;

impl Message {
    /// An empty message.
    pub fn new() -> Self {
        Self::default()
    }

    /// Builds the body and takes its attachments over. Does nothing when it was built before.
    pub fn build(&mut self) -> Result<(), BodyError> {
        self.body.build()?;
        self.attachments.append(&mut self.body.take_attachments());
        Ok(())
    }

    /// Does the message count as a response? The property `RESPONSE` says so before anything else.
    /// MI: `Axis2MessageContext#isResponse`.
    pub fn is_response(&self) -> bool {
        match self.properties.get_str("RESPONSE") {
            Some(text) => text.eq_ignore_ascii_case("true"),
            None => self.is_response,
        }
    }

    /// A parameter of the innermost running template.
    pub fn function_parameter(&self, name: &str) -> Option<&Value> {
        let scope = self.functions.last()?;
        scope.parameters.iter().find(|(key, _)| &**key == name).map(|(_, value)| value)
    }

    /// An expression that is a parameter of the innermost running template.
    pub fn function_expression(&self, name: &str) -> Option<&Opaque> {
        let scope = self.functions.last()?;
        scope.expressions.iter().find(|(key, _)| &**key == name).map(|(_, expression)| expression)
    }

    /// A deep copy for a split. A body that was not read stays with the original and the copy gets an empty one:
    /// whoever splits a message reads its body first. MI: `MessageHelper#cloneMessageContext`.
    pub fn copy(&self) -> Self {
        Self { body: self.body.copy(), ..self.copy_without_body() }
    }

    /// As [`Message::copy`], with an empty body.
    pub fn copy_without_body(&self) -> Self {
        Self {
            headers: self.headers.clone(),
            body: Body::empty(),
            properties: self.properties.clone(),
            axis2: self.axis2.clone(),
            axis2_client: self.axis2_client.clone(),
            operation: self.operation.clone(),
            trace: self.trace.clone(),
            variables: self.variables.clone(),
            addressing: self.addressing.clone(),
            rest: self.rest,
            is_response: self.is_response,
            functions: self.functions.clone(),
            attachments: self.attachments.clone(),
        }
    }

    /// The content type of the message as it stands: axis2 `ContentType`, then `messageType`, then the header.
    pub fn content_type(&self) -> Option<&str> {
        self.axis2
            .get_str("ContentType")
            .or_else(|| self.axis2.get_str("messageType"))
            .or_else(|| self.headers.get("Content-Type"))
    }
}
