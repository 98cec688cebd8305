//! The message: transport headers, properties by scope, variables, WS-Addressing fields and a body.
//!
//! The body stays a stream until a step reads it ([`Body::read`]), is then built once into its native form
//! ([`Body::build`]: XML, JSON, text or bytes) and shows other forms only on request. This crate opens nothing: no
//! file, no socket, no clock; a body stream handed in is only polled. It knows no configuration and no server.

mod addressing;
pub mod archive;
mod attachment;
pub mod body;
pub mod convert;
mod headers;
pub mod media;
mod message;
mod property;
pub mod soap;
mod text;
mod value;

pub use addressing::Addressing;
pub use attachment::Attachment;
pub use body::{Body, BodyError, BodyStream, BoxError, Held, JsonBody, Native, Room, Uncounted};
pub use headers::Headers;
pub use message::{FunctionScope, Message, Opaque};
pub use property::Properties;
pub use soap::{Envelope, SoapVersion};
pub use text::Text;
pub use value::{Value, XmlValue, java_double, java_float};
