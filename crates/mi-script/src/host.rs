//! The message that the running script sees. Engines live in thread-locals and scripts call natives without a lifetime,
//! so the message is moved here for the time of a run and moved back at its end.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use mi_expr::Lookup;
use mi_expr::xpath::XPath;
use mi_message::Message;
use mi_xml::{Document, NodeId};
use rquickjs::{Ctx, Exception};

use crate::script::Language;

/// What a script can reach besides its message.
#[derive(Clone)]
pub struct World {
    /// Local entries, registry resources, ids.
    pub lookup: Arc<dyn Lookup + Send + Sync>,
    /// What log lines begin with: `{api:Name} ` or nothing.
    pub log_prefix: Arc<str>,
}

impl fmt::Debug for World {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("World").field("log_prefix", &self.log_prefix).finish_non_exhaustive()
    }
}

/// The state of a run.
pub(crate) struct Running {
    pub(crate) message: Message,
    pub(crate) world: World,
    pub(crate) language: Language,
    /// Documents that the script made or parsed; the envelope of the message is not among them.
    pub(crate) documents: Vec<Document>,
    /// Elements that the script holds, by handle.
    pub(crate) nodes: Vec<Handle>,
    /// Counts envelopes: a handle into an older one is stale.
    pub(crate) envelope: u32,
    /// True when the payload was asked for and is not there.
    pub(crate) unread: bool,
    /// True when the function to be called is not there.
    pub(crate) missing_function: bool,
    pub(crate) xpaths: HashMap<String, XPath>,
}

/// An element that the script holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handle {
    pub(crate) place: Place,
    pub(crate) node: NodeId,
}

/// The document of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The envelope of the message, by its number.
    Envelope(u32),
    /// One of the script's own documents.
    Own(usize),
}

/// Most elements that one run can hold.
const MAX_HANDLES: usize = 1 << 20;

impl Running {
    pub(crate) fn new(message: Message, world: World, language: Language) -> Self {
        Self {
            message,
            world,
            language,
            documents: Vec::new(),
            nodes: Vec::new(),
            envelope: 0,
            unread: false,
            missing_function: false,
            xpaths: HashMap::new(),
        }
    }

    /// Fails, and notes it, when the payload has not been read.
    pub(crate) fn need_body(&mut self) -> Result<(), String> {
        if self.message.body.is_built() {
            return Ok(());
        }
        self.unread = true;
        Err("the payload has not been read yet".to_owned())
    }

    /// The document of a place for reading, which must still be there.
    pub(crate) fn look(&self, place: Place) -> Result<&Document, String> {
        match place {
            Place::Own(at) => self.documents.get(at).ok_or_else(stale),
            Place::Envelope(number) if number == self.envelope => {
                let envelope = self.message.body.envelope().map_err(|error| error.to_string())?;
                Ok(envelope.document())
            }
            Place::Envelope(_) => Err(stale()),
        }
    }

    /// The document of a place for changing; a payload that was JSON is XML from then on.
    pub(crate) fn document(&mut self, place: Place) -> Result<&mut Document, String> {
        match place {
            Place::Own(at) => self.documents.get_mut(at).ok_or_else(stale),
            Place::Envelope(number) if number == self.envelope => {
                let envelope = self.message.body.envelope_mut().map_err(|error| error.to_string())?;
                Ok(envelope.document_mut())
            }
            Place::Envelope(_) => Err(stale()),
        }
    }

    /// An element by its handle.
    pub(crate) fn node(&self, handle: u32) -> Result<Handle, String> {
        self.nodes.get(handle as usize).copied().ok_or_else(stale)
    }

    /// A new handle.
    pub(crate) fn hold(&mut self, place: Place, node: NodeId) -> Result<u32, String> {
        if self.nodes.len() >= MAX_HANDLES {
            return Err(format!("a script cannot hold more than {MAX_HANDLES} elements"));
        }
        self.nodes.push(Handle { place, node });
        Ok((self.nodes.len() - 1) as u32)
    }

    /// Keeps a document of the script's own; gives the handle of its root element.
    pub(crate) fn adopt(&mut self, document: Document) -> Result<u32, String> {
        let root = document.root_element().ok_or("there is no element")?;
        self.documents.push(document);
        self.hold(Place::Own(self.documents.len() - 1), root)
    }
}

fn stale() -> String {
    "the element is no longer part of the message".to_owned()
}

thread_local! {
    static RUNNING: RefCell<Option<Running>> = const { RefCell::new(None) };
}

/// Makes `running` what natives see.
pub(crate) fn enter(running: Running) {
    RUNNING.set(Some(running));
}

/// Ends that.
pub(crate) fn leave() -> Option<Running> {
    RUNNING.take()
}

/// Asks the running message; what `ask` says against it is thrown as an error of the script. `ask` must not call back
/// into the engine.
pub(crate) fn ask<T>(ctx: &Ctx<'_>, ask: impl FnOnce(&mut Running) -> Result<T, String>) -> Result<T, rquickjs::Error> {
    let answer = RUNNING.with(|running| match running.try_borrow_mut() {
        Ok(mut running) => match running.as_mut() {
            Some(running) => ask(running),
            None => Err("there is no message: the script has ended".to_owned()),
        },
        Err(_) => Err("the message is in use".to_owned()),
    });
    answer.map_err(|error| Exception::throw_message(ctx, &error))
}
