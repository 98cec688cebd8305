//! The body of a message: unread stream, raw bytes, or built in its native form with converted views beside it.

use std::any::Any;
use std::cell::OnceCell;
use std::sync::Arc;

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};

use crate::convert::{self, ConvertOptions};
use crate::{Attachment, Envelope, SoapVersion};

/// A body as the transport delivers it. Frames are `Bytes`; dropping it abandons the rest.
pub type BodyStream = UnsyncBoxBody<Bytes, BoxError>;
/// Any error of a transport.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a body could not be read, built or shown in another form.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The sender broke off or the transport failed.
    #[error("the body could not be read: {0}")]
    Transport(BoxError),
    /// More bytes than allowed for a body that must be held in memory.
    #[error("the body is larger than {limit} bytes, the limit for a body that is read into memory")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The bodies being held take all the memory that they may, and none was given back in time.
    #[error("no memory was left for the body: the messages being worked on take all that they may")]
    NoRoom,
    /// The bytes are not what the content type says.
    #[error("{0}")]
    Malformed(String),
    /// A step needs the body and nobody has read it yet.
    #[error("the body has not been read")]
    Unread,
}

/// The memory that a body was given, in the books of whoever counts it. It is given back when the last copy of the body
/// is gone or has another content.
pub type Held = Arc<dyn Any + Send + Sync>;

/// Who gives memory to a body that is being read.
pub trait Room {
    /// Makes room for `bytes` in all, which may take its time; [`BodyError::NoRoom`] when there is none.
    fn cover(&mut self, bytes: usize) -> impl Future<Output = Result<(), BodyError>> + Send;
    /// What the body keeps for as long as it is held.
    fn into_held(self) -> Option<Held>;
}

/// Room without end, for bodies that nobody counts.
#[derive(Clone, Copy, Debug)]
pub struct Uncounted;

impl Room for Uncounted {
    async fn cover(&mut self, _: usize) -> Result<(), BodyError> {
        Ok(())
    }

    fn into_held(self) -> Option<Held> {
        None
    }
}

/// So much of the length that a sender announces is taken at its word; room for more is made as the bytes come.
const TRUSTED: usize = 1 << 20;

/// The native form of a built body.
#[derive(Debug)]
pub enum Native {
    /// No payload (a GET, an empty POST): an empty SOAP Body for whoever looks.
    Empty,
    /// XML in its SOAP envelope.
    Xml(Envelope),
    /// JSON.
    Json(JsonBody),
    /// Plain text (MI wraps it into `<text xmlns="http://ws.apache.org/commons/ns/payload">`).
    Text(Arc<str>),
    /// Bytes (MI wraps them, base64, into `<binary>` of the same namespace).
    Binary(Bytes),
}

/// JSON text with its parsed value on demand. The text is written back as it is while nobody changes the value, even
/// when it is not valid JSON. MI: `JsonUtil` keeps the stream the same way.
#[derive(Clone, Debug)]
pub struct JsonBody {
    text: OnceCell<Bytes>,
    value: OnceCell<Arc<serde_json::Value>>,
}

impl JsonBody {
    /// JSON that is known as text only.
    pub fn from_text(text: impl Into<Bytes>) -> Self {
        Self { text: OnceCell::from(text.into()), value: OnceCell::new() }
    }

    /// JSON that is known as a value.
    pub fn from_value(value: serde_json::Value) -> Self {
        Self { text: OnceCell::new(), value: OnceCell::from(Arc::new(value)) }
    }

    /// The text: as received, or the value written compactly.
    pub fn text(&self) -> &Bytes {
        self.text.get_or_init(|| match self.value.get() {
            Some(value) => Bytes::from(value.to_string()),
            None => Bytes::new(),
        })
    }

    /// The parsed value. An empty text is an empty object, as MI has it.
    pub fn value(&self) -> Result<&Arc<serde_json::Value>, BodyError> {
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let parsed = convert::parse_json(self.text.get().map_or(&[][..], |text| text))?;
        Ok(self.value.get_or_init(|| Arc::new(parsed)))
    }

    /// The value for editing; the text is forgotten.
    pub fn value_mut(&mut self) -> Result<&mut serde_json::Value, BodyError> {
        self.value()?;
        self.text.take();
        let shared = self.value.get_mut().ok_or(BodyError::Unread)?;
        Ok(Arc::make_mut(shared))
    }
}

#[derive(Debug)]
enum Content {
    Unread(BodyStream),
    Raw(Bytes),
    Built(Native),
}

/// A body. `content_type` is the one it arrived with (it selects the builder); what is written is decided by the
/// message's properties at the end of the flow (`crate::media`).
#[derive(Debug)]
pub struct Body {
    content: Content,
    content_type: Option<Arc<str>>,
    /// XML shown for a body whose native form is another; dropped on change.
    envelope_view: OnceCell<Envelope>,
    /// JSON shown for a body whose native form is another; dropped on change.
    json_view: OnceCell<Arc<serde_json::Value>>,
    /// Parts that came with the root of a multipart body.
    attachments: Vec<Attachment>,
    options: ConvertOptions,
    held: Option<Held>,
}

impl Default for Body {
    fn default() -> Self {
        Self::from_native(Native::Empty)
    }
}

impl Body {
    /// No payload.
    pub fn empty() -> Self {
        Self::default()
    }

    /// A body in native form.
    pub fn from_native(native: Native) -> Self {
        Self::with(Content::Built(native), None)
    }

    /// A body that has not been read.
    pub fn from_stream(stream: BodyStream, content_type: Option<Arc<str>>) -> Self {
        Self::with(Content::Unread(stream), content_type)
    }

    /// A body that was read and not looked into.
    pub fn from_bytes(bytes: impl Into<Bytes>, content_type: Option<Arc<str>>) -> Self {
        Self::with(Content::Raw(bytes.into()), content_type)
    }

    /// An XML body.
    pub fn from_envelope(envelope: Envelope) -> Self {
        Self::from_native(Native::Xml(envelope))
    }

    /// A JSON body from its text, which is not checked.
    pub fn from_json_text(text: impl Into<Bytes>) -> Self {
        Self::from_native(Native::Json(JsonBody::from_text(text)))
    }

    /// A JSON body from a value.
    pub fn from_json(value: serde_json::Value) -> Self {
        Self::from_native(Native::Json(JsonBody::from_value(value)))
    }

    fn with(content: Content, content_type: Option<Arc<str>>) -> Self {
        Self {
            content,
            content_type,
            envelope_view: OnceCell::new(),
            json_view: OnceCell::new(),
            attachments: Vec::new(),
            options: ConvertOptions::default(),
            held: None,
        }
    }

    /// Sets how this body converts between XML and JSON.
    pub fn set_options(&mut self, options: ConvertOptions) {
        self.options = options;
    }

    /// How this body converts between XML and JSON.
    pub fn options(&self) -> &ConvertOptions {
        &self.options
    }

    /// The content type that the body arrived with.
    pub fn received_content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// True until [`Body::read`] or [`Body::take_stream`].
    pub fn is_unread(&self) -> bool {
        matches!(self.content, Content::Unread(_))
    }

    /// True once the native form is there.
    pub fn is_built(&self) -> bool {
        matches!(self.content, Content::Built(_))
    }

    /// Reads an unread stream into memory, at most `limit` bytes. Does nothing when it was read before.
    pub async fn read(&mut self, limit: usize) -> Result<(), BodyError> {
        self.read_into(limit, Uncounted).await
    }

    /// The same, in memory that `room` gives before it is used.
    pub async fn read_into(&mut self, limit: usize, mut room: impl Room) -> Result<(), BodyError> {
        let Some(mut stream) = self.unread_stream() else { return Ok(()) };
        let announced = stream.size_hint().lower();
        if announced > limit as u64 {
            return Err(BodyError::TooLarge { limit });
        }
        room.cover(TRUSTED.min(announced as usize)).await?;
        let mut first = Bytes::new();
        let mut more = Vec::new();
        while let Some(frame) = stream.frame().await {
            let Ok(data) = frame.map_err(BodyError::Transport)?.into_data() else { continue };
            let read = first.len() + more.len() + data.len();
            if read > limit {
                return Err(BodyError::TooLarge { limit });
            }
            room.cover(read).await?;
            if first.is_empty() && more.is_empty() {
                first = data;
            } else {
                // The first frame moves only when there is a second one.
                more.extend_from_slice(&std::mem::take(&mut first));
                more.extend_from_slice(&data);
            }
        }
        self.content = Content::Raw(if more.is_empty() { first } else { more.into() });
        self.held = room.into_held();
        Ok(())
    }

    /// Takes an unread stream, leaving bytes that are empty.
    fn unread_stream(&mut self) -> Option<BodyStream> {
        if !self.is_unread() {
            return None;
        }
        match std::mem::replace(&mut self.content, Content::Raw(Bytes::new())) {
            Content::Unread(stream) => Some(stream),
            _ => None,
        }
    }

    /// Builds the native form from the bytes, by the content type (`crate::media`). Does nothing when built before.
    /// An error leaves the raw bytes in place. [`BodyError::Unread`] when the stream was not read.
    pub fn build(&mut self) -> Result<(), BodyError> {
        match &self.content {
            Content::Built(_) => Ok(()),
            Content::Unread(_) => Err(BodyError::Unread),
            Content::Raw(bytes) => {
                let types = self.options.media_types.as_deref();
                let built = crate::media::build_with(bytes, self.content_type.as_deref(), types)?;
                self.content = Content::Built(built.native);
                self.attachments = built.attachments;
                Ok(())
            }
        }
    }

    /// Attachments that [`Body::build`] found.
    pub fn attachments(&self) -> &[Attachment] {
        &self.attachments
    }

    /// Moves the attachments away, to [`crate::Message::attachments`].
    pub fn take_attachments(&mut self) -> Vec<Attachment> {
        std::mem::take(&mut self.attachments)
    }

    /// Takes the unread stream away, leaving an empty body. `None` when it was read.
    pub fn take_stream(&mut self) -> Option<BodyStream> {
        if !self.is_unread() {
            return None;
        }
        match std::mem::replace(&mut self.content, Content::Built(Native::Empty)) {
            Content::Unread(stream) => Some(stream),
            other => {
                self.content = other;
                None
            }
        }
    }

    /// The bytes as received, while the body was read but not built.
    pub fn raw(&self) -> Option<&Bytes> {
        match &self.content {
            Content::Raw(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The native form; [`BodyError::Unread`] before [`Body::build`].
    pub fn native(&self) -> Result<&Native, BodyError> {
        match &self.content {
            Content::Built(native) => Ok(native),
            _ => Err(BodyError::Unread),
        }
    }

    /// Replaces everything.
    pub fn set(&mut self, native: Native) {
        self.content = Content::Built(native);
        self.held = None;
        self.envelope_view.take();
        self.json_view.take();
    }

    /// True when the native form is JSON. MI: `JsonUtil#hasAJsonPayload`.
    pub fn is_json(&self) -> bool {
        matches!(self.content, Content::Built(Native::Json(_)))
    }

    /// The body as XML in an envelope: the native one, or a view made once.
    pub fn envelope(&self) -> Result<&Envelope, BodyError> {
        match self.native()? {
            Native::Xml(envelope) => Ok(envelope),
            other => {
                if let Some(view) = self.envelope_view.get() {
                    return Ok(view);
                }
                let view = convert::to_envelope(other, &self.options)?;
                Ok(self.envelope_view.get_or_init(|| view))
            }
        }
    }

    /// The body as XML for editing; XML becomes the native form.
    pub fn envelope_mut(&mut self) -> Result<&mut Envelope, BodyError> {
        self.envelope()?;
        self.json_view.take();
        if let Some(view) = self.envelope_view.take() {
            self.content = Content::Built(Native::Xml(view));
        }
        match &mut self.content {
            Content::Built(Native::Xml(envelope)) => Ok(envelope),
            _ => Err(BodyError::Unread),
        }
    }

    /// The body as a JSON value: the native one, or a view converted once from XML as MI maps it.
    pub fn json(&self) -> Result<&Arc<serde_json::Value>, BodyError> {
        match self.native()? {
            Native::Json(json) => json.value(),
            other => {
                if let Some(view) = self.json_view.get() {
                    return Ok(view);
                }
                let view = Arc::new(convert::to_json(other, &self.options)?);
                Ok(self.json_view.get_or_init(|| view))
            }
        }
    }

    /// The body as JSON for editing; JSON becomes the native form.
    pub fn json_mut(&mut self) -> Result<&mut serde_json::Value, BodyError> {
        self.json()?;
        self.envelope_view.take();
        // Only a body of another form has a view; it becomes the native one, without a copy.
        if let Some(view) = self.json_view.take() {
            self.content =
                Content::Built(Native::Json(JsonBody { text: OnceCell::new(), value: OnceCell::from(view) }));
        }
        match &mut self.content {
            Content::Built(Native::Json(json)) => json.value_mut(),
            _ => Err(BodyError::Unread),
        }
    }

    /// The SOAP version of the XML form without making one.
    pub fn soap_version(&self) -> SoapVersion {
        match &self.content {
            Content::Built(Native::Xml(envelope)) => envelope.version(),
            _ => SoapVersion::Soap11,
        }
    }

    /// A copy. An unread stream stays with the original; the copy is empty then.
    pub fn copy(&self) -> Self {
        let content = match &self.content {
            Content::Unread(_) => Content::Built(Native::Empty),
            Content::Raw(bytes) => Content::Raw(bytes.clone()),
            Content::Built(native) => Content::Built(match native {
                Native::Empty => Native::Empty,
                Native::Xml(envelope) => Native::Xml(envelope.clone()),
                Native::Json(json) => Native::Json(json.clone()),
                Native::Text(text) => Native::Text(text.clone()),
                Native::Binary(bytes) => Native::Binary(bytes.clone()),
            }),
        };
        Self {
            content,
            content_type: self.content_type.clone(),
            envelope_view: OnceCell::new(),
            json_view: OnceCell::new(),
            attachments: self.attachments.clone(),
            options: self.options.clone(),
            held: self.held.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use http_body_util::Full;
    use serde_json::json;

    use super::*;

    /// Runs a future that never waits: the bodies of these tests are in memory.
    fn now<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("the future waits"),
        }
    }

    fn stream(text: &'static str) -> Body {
        let full = Full::new(Bytes::from(text)).map_err(|never| match never {});
        Body::from_stream(UnsyncBoxBody::new(full), Some("application/json".into()))
    }

    fn xml(text: &'static str) -> Body {
        let mut body = Body::from_bytes(text, Some("application/xml".into()));
        body.build().unwrap();
        body
    }

    #[test]
    fn a_stream_is_read_then_built() {
        let mut body = stream("{\"a\":1}");
        assert!(body.is_unread() && matches!(body.build(), Err(BodyError::Unread)));
        assert!(matches!(now(stream("{\"a\":1}").read(6)), Err(BodyError::TooLarge { limit: 6 })));
        now(body.read(7)).unwrap();
        assert_eq!(body.raw().unwrap(), "{\"a\":1}");
        body.build().unwrap();
        assert!(body.is_json() && body.raw().is_none());
        assert_eq!(**body.json().unwrap(), json!({"a": 1}));
        assert!(stream("x").take_stream().is_some());
        assert!(body.take_stream().is_none() && body.is_json());
    }

    #[test]
    fn an_error_leaves_the_bytes() {
        let mut body = Body::from_bytes("<a>", Some("text/xml".into()));
        assert!(matches!(body.build(), Err(BodyError::Malformed(_))));
        assert_eq!(body.raw().unwrap(), "<a>");
    }

    #[test]
    fn views_do_not_change_the_form() {
        let body = xml("<a><b>1</b></a>");
        assert_eq!(**body.json().unwrap(), json!({"a": {"b": 1}}));
        assert!(!body.is_json());
        let body = Body::from_json_text("{ \"a\" : 1 }");
        let envelope = body.envelope().unwrap();
        assert_eq!(envelope.document().to_xml(envelope.payload().unwrap()), "<jsonObject><a>1</a></jsonObject>");
        let Native::Json(text) = body.native().unwrap() else { panic!("JSON expected") };
        assert_eq!(text.text(), "{ \"a\" : 1 }");
    }

    #[test]
    fn edits_make_the_other_form_native() {
        let mut body = xml("<a>1</a>");
        body.json_mut().unwrap()["b"] = json!(2);
        assert!(body.is_json());
        let Native::Json(text) = body.native().unwrap() else { panic!("JSON expected") };
        assert_eq!(text.text(), "{\"a\":1,\"b\":2}");
        let envelope = body.envelope_mut().unwrap();
        let payload = envelope.payload().unwrap();
        envelope.document_mut().rename(payload, "", "c", "");
        assert!(!body.is_json());
        assert_eq!(**body.json().unwrap(), json!({"c": {"a": 1, "b": 2}}));
    }

    #[test]
    fn an_edit_forgets_views_and_the_text() {
        let mut body = Body::from_json_text("{\"a\":1}");
        body.envelope().unwrap();
        body.json_mut().unwrap()["a"] = json!(2);
        let envelope = body.envelope().unwrap();
        assert_eq!(envelope.document().string_value(envelope.payload().unwrap()), "2");
        let copy = body.copy();
        body.json_mut().unwrap()["a"] = json!(3);
        assert_eq!(**copy.json().unwrap(), json!({"a": 2}), "a copy is independent");
        body.set(Native::Empty);
        assert_eq!(**body.json().unwrap(), json!({}));
    }

    #[test]
    fn a_value_that_nobody_shares_is_edited_in_place() {
        let mut body = Body::from_json(json!({"a": [1, 2, 3]}));
        let before = std::ptr::from_ref(&**body.json().unwrap());
        assert_eq!(before, std::ptr::from_ref(body.json_mut().unwrap()));
    }

    #[test]
    fn text_that_is_no_json_is_kept_until_the_value_is_needed() {
        let body = Body::from_json_text("{\"a\":");
        let Native::Json(text) = body.native().unwrap() else { panic!("JSON expected") };
        assert_eq!(text.text(), "{\"a\":");
        assert!(body.json().is_err() && body.envelope().is_err());
    }
}
