//! From a file to a message: content type, builder, transport headers. MI: `VFSTransportListener#processFile`,
//! `FileInjectHandler#invoke`.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use bytes::{Bytes, BytesMut};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use mi_engine::incoming;
use mi_engine::snapshot::Settings as EngineSettings;
use mi_message::media::{ContentType, Kind, MediaTypes};
use mi_message::{Body, BodyError, BodyStream, Message, Native};
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};
use sha1::{Digest, Sha1};
use tokio::io::AsyncReadExt;

use super::holder::hex;
use super::listing::Found;
use super::settings::{Flavour, Settings};

/// Bytes that are read at a time.
const CHUNK: usize = 128 * 1024;
/// What a `file:` URI does not hold as it is. MI: `LocalFileName`.
const RESERVED: &AsciiSet = &CONTROLS.add(b' ').add(b'#').add(b'%').add(b'?');

/// The property that is the same whenever the same file is processed again.
const IDEMPOTENCY_KEY: &str = "IDEMPOTENCY_KEY";

/// Why a file gives no message.
#[derive(Debug)]
pub(super) enum Refused {
    /// It is not what its content type says: a failure of the file.
    Malformed(String),
    /// It is too large to be read into memory.
    TooLarge(String),
    /// It cannot be read. It stays as it is.
    Unreadable(String),
}

/// What is read of a file.
#[derive(Debug)]
pub(super) enum Content {
    /// All of it.
    Whole(Bytes),
    /// It is read as it is asked for.
    Open(tokio::fs::File),
}

impl Content {
    /// Opens a file that is to be as it was `found`, and reads it when it is small. `None` when it is gone or another
    /// one. Blocks.
    pub(super) fn of(found: &Found) -> io::Result<Option<Self>> {
        let mut file = match File::open(&found.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if !found.is_unchanged(&file.metadata()?) {
            return Ok(None);
        }
        let Ok(size @ ..CHUNK) = usize::try_from(found.size) else {
            return Ok(Some(Self::Open(tokio::fs::File::from_std(file))));
        };
        // One byte more than expected finds a file that grows.
        let mut content = vec![0; size + 1];
        let mut filled = 0;
        while filled < size {
            match file.read(&mut content[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        content.truncate(filled);
        Ok((filled == size).then(|| Self::Whole(content.into())))
    }
}

/// The message of a file, with the key that it goes by.
pub(super) async fn of_content(
    content: Content,
    found: &Found,
    key: &str,
    settings: &Settings,
    engine: &EngineSettings,
) -> Result<Message, Refused> {
    let named = settings.content_type.clone().or_else(|| by_name(settings.flavour, &found.path));
    let types = engine.convert.media_types.clone();
    let default = MediaTypes::default();
    let types = types.as_deref().unwrap_or(&default);
    let essence = named.as_deref().map(|it| ContentType::parse(it).essence().to_owned());
    let kind = essence.as_deref().and_then(|essence| types.known_builder(essence));
    // MI reads what no builder is known for as SOAP.
    let content_type = if kind.is_some() { named.clone().unwrap_or_default() } else { "text/xml".to_owned() };
    let mut message = Message::new();
    describe(&mut message, found, settings);
    message.properties.set(IDEMPOTENCY_KEY, key);
    if let (Some(essence), Some(_)) = (essence, kind) {
        message.axis2.set("messageType", essence);
    }
    if let Some(charset) = named.as_deref().and_then(|it| ContentType::parse(it).charset().map(|it| it.into_owned())) {
        message.axis2.set("CHARACTER_SET_ENCODING", charset);
    }
    message.rest = incoming::is_rest(Some(&content_type));
    let content = match content {
        Content::Whole(bytes) => BodyStream::new(Full::new(bytes).map_err(|never| match never {})),
        Content::Open(file) => stream(file, found.size),
    };
    message.body = Body::from_stream(content, Some(content_type.as_str().into()));
    message.body.set_options(engine.convert.clone());
    // MI streams what its builders can leave unread, and reads everything else at once.
    if settings.streaming && matches!(kind, Some(Kind::Text | Kind::Binary)) {
        return Ok(message);
    }
    match message.body.read(engine.max_built_body).await {
        Ok(()) => {}
        Err(error @ BodyError::TooLarge { .. }) => return Err(Refused::TooLarge(error.to_string())),
        Err(error) => return Err(Refused::Unreadable(error.to_string())),
    }
    incoming::build(&mut message).map_err(|fault| Refused::Malformed(fault.message))?;
    if matches!(kind, None | Some(Kind::Soap)) {
        require_envelope(&message)?;
    }
    Ok(message)
}

/// Without a content type the name decides. MI: the same, though its proxies look for a dot that is never there.
fn by_name(flavour: Flavour, path: &Path) -> Option<String> {
    let name = path.extension()?.to_string_lossy().to_ascii_lowercase();
    match name.as_str() {
        _ if flavour == Flavour::Proxy => None,
        name if name.ends_with("xml") => Some("text/xml".to_owned()),
        name if name.ends_with("txt") => Some("text/plain".to_owned()),
        _ => None,
    }
}

/// SOAP is an envelope; HTTP is more forgiving.
fn require_envelope(message: &Message) -> Result<(), Refused> {
    match message.body.native() {
        Ok(Native::Xml(envelope)) if envelope.is_wrapped() => {
            let root = envelope.payload().map_or("", |payload| envelope.document().local_name(payload));
            Err(Refused::Malformed(format!("First Element must contain the local name, Envelope , but found {root}")))
        }
        Ok(Native::Empty) => Err(Refused::Malformed("the file is empty, which is no SOAP envelope".to_owned())),
        _ => Ok(()),
    }
}

/// The transport headers of a file.
fn describe(message: &mut Message, found: &Found, settings: &Settings) {
    let headers = &mut message.headers;
    let uri = match &settings.source.server {
        Some(server) => server.uri(&found.path),
        None => format!("file://{}", percent_encode(found.path.as_os_str().as_bytes(), RESERVED)),
    };
    headers.set("FILE_PATH", found.path.to_string_lossy());
    headers.set("FILE_NAME", found.name().to_string_lossy());
    headers.set("FILE_URI", uri);
    headers.set("FILE_LENGTH", found.size.to_string());
    let modified = found.modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    headers.set("LAST_MODIFIED", modified.to_string());
    if settings.source.recursive {
        let below = found.subfolder.to_string_lossy();
        headers.set("RELATIVE_PATH", if below.is_empty() { String::new() } else { format!("/{below}") });
    }
    message.properties.set("ClientApiNonBlocking", true);
}

/// What a file goes by: the same from every pod, wherever it has the folder mounted, and after every crash; another one
/// for another file of the same name.
pub(super) fn idempotency_key(poller: &str, found: &Found) -> String {
    let modified = found.modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut digest = Sha1::new();
    for part in [poller.as_bytes(), found.subfolder.as_os_str().as_bytes(), found.name().as_bytes()] {
        digest.update(part);
        digest.update([0]);
    }
    digest.update(format!("{}-{}", found.size, modified.as_nanos()));
    hex(&digest.finalize())
}

/// The content of a file, read as it is asked for. A small file gets a small buffer: many that are worked on one after the
/// other would otherwise make the process grow by what is free in theirs.
fn stream(file: tokio::fs::File, size: u64) -> BodyStream {
    let chunks = futures_util::stream::unfold(Some((file, size)), |state| async {
        let (mut file, left) = state?;
        // One byte more than expected finds the end of a file that grew.
        let mut chunk =
            BytesMut::with_capacity(usize::try_from(left.saturating_add(1)).map_or(CHUNK, |it| it.min(CHUNK)));
        match file.read_buf(&mut chunk).await {
            Ok(0) => None,
            Ok(read) => Some((Ok(Frame::data(chunk.freeze())), Some((file, left.saturating_sub(read as u64))))),
            Err(error) => Some((Err(mi_message::body::BoxError::from(error)), None)),
        }
    });
    BodyStream::new(StreamBody::new(chunks))
}
