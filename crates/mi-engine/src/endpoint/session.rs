//! Sessions of a load balance: which client stays with which child. They are kept in this server, as in MI without a
//! cluster. MI: `SALSessions` and the dispatchers.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use mi_config::endpoint::{Session, SessionKind};
use mi_message::Message;
use mi_xml::{Document, NodeId};

use crate::context::Context;
use crate::fault::Fault;
use crate::flow;

/// Cookies that stand for a session. MI: `AbstractDispatcher#SESSION_COOKIES`.
const COOKIES: [&str; 4] = ["JSESSIONID", "PHPSESSID", "phpMyAdmin", "wordpress_test_cookie"];
/// MI: `SAL_ENDPOINTS_DEFAULT_SESSION_TIMEOUT`.
const DEFAULT_TIMEOUT_MS: i64 = 120_000;
/// Most sessions of one endpoint; behind it the ones that end first are forgotten.
const MAX_SESSIONS: usize = 100_000;
const AXIS2_NS: &str = "http://ws.apache.org/namespaces/axis2";
const SYNAPSE_NS: &str = "http://ws.apache.org/ns/synapse";
const WSA_NS: &str = "http://www.w3.org/2005/08/addressing";

/// The sessions of one load balance.
#[derive(Debug)]
pub(super) struct Sessions {
    kind: SessionKind,
    timeout_ms: i64,
    /// Written when a session begins or changes; messages within one only read.
    bound: RwLock<HashMap<Arc<str>, Bound>>,
}

#[derive(Clone, Debug)]
struct Bound {
    child: usize,
    /// `Path=…` of its cookie.
    path: Option<String>,
    /// Milliseconds since the epoch. Messages do not make it later. MI: `SessionInformation`.
    ends: i64,
}

/// What a message says about its session.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It belongs to one that is bound to a child.
    Bound {
        /// Index of the child.
        child: usize,
        /// Id of the session.
        session: Arc<str>,
    },
    /// It begins one; the id is the client's, where clients name sessions.
    New {
        /// See above.
        id: Option<Arc<str>>,
    },
}

impl Sessions {
    pub(super) fn new(config: &Session) -> Self {
        let timeout_ms = config.timeout_ms.map(|it| i64::try_from(it).unwrap_or(i64::MAX));
        let timeout_ms = timeout_ms.filter(|it| *it > 0).unwrap_or(DEFAULT_TIMEOUT_MS);
        Self { kind: config.kind, timeout_ms, bound: RwLock::default() }
    }

    pub(super) fn take_over(&self, former: &Self) {
        let bound = former.bound.read().unwrap_or_else(PoisonError::into_inner).clone();
        *self.bound.write().unwrap_or_else(PoisonError::into_inner) = bound;
    }

    /// The session of a request. Those that stand in the payload are looked for there.
    pub(super) async fn find(&self, cx: &mut Context) -> Result<Found, Fault> {
        if self.kind != SessionKind::Http && !cx.message.body.is_built() {
            flow::build_body(cx).await?;
        }
        let now = cx.snapshot.services.clock.now_millis();
        let ids = match self.kind {
            SessionKind::Http => request_cookies(&cx.message),
            SessionKind::Soap => header_text(&mut cx.message, &[(AXIS2_NS, "ServiceGroupId")]).into_iter().collect(),
            SessionKind::SimpleClient => {
                header_text(&mut cx.message, &[(SYNAPSE_NS, "ClientID")]).into_iter().collect()
            }
        };
        let bound = self.bound.read().unwrap_or_else(PoisonError::into_inner);
        let found = ids.iter().find_map(|id| bound.get_key_value(id.as_str()).filter(|(_, it)| it.ends >= now));
        if let Some((session, it)) = found {
            return Ok(Found::Bound { child: it.child, session: session.clone() });
        }
        drop(bound);
        let named = (self.kind == SessionKind::SimpleClient).then(|| ids.first().map(|id| Arc::from(id.as_str())));
        Ok(Found::New { id: named.flatten() })
    }

    /// Takes a session that is over out of the request, when back ends name sessions.
    pub(super) fn forget_in(&self, message: &mut Message) {
        match self.kind {
            SessionKind::Http => {
                let Some(cookies) = message.headers.get("Cookie").map(str::to_owned) else { return };
                let kept: Vec<&str> = cookies.split(';').map(str::trim).filter(|it| !is_session(it)).collect();
                if kept.is_empty() {
                    message.headers.remove("Cookie");
                } else {
                    message.headers.set("Cookie", kept.join("; "));
                }
            }
            SessionKind::Soap => {
                if let Ok(envelope) = message.body.envelope_mut()
                    && let Some(node) = header_block(envelope.document(), envelope.header(), AXIS2_NS, "ServiceGroupId")
                {
                    envelope.document_mut().detach(node);
                }
            }
            SessionKind::SimpleClient => {}
        }
    }

    /// A message goes to a child: a session that the client names is bound now.
    pub(super) fn begin(&self, cx: &Context, id: Option<&Arc<str>>, child: usize) {
        if let Some(id) = id {
            self.bind(id.clone(), None, child, cx.snapshot.services.clock.now_millis());
        }
    }

    /// The answer of a child is the message now: a session that the back end names is bound. `former` is the session that
    /// the request belonged to. MI: `SALSessions#updateSession`.
    pub(super) fn answered(&self, cx: &mut Context, former: Option<&Arc<str>>, child: usize) {
        let (id, path) = match self.kind {
            SessionKind::Http => match answer_cookie(&cx.message) {
                Some(found) => found,
                None => return,
            },
            SessionKind::Soap => {
                let path = [(WSA_NS, "ReplyTo"), (WSA_NS, "ReferenceParameters"), (AXIS2_NS, "ServiceGroupId")];
                match header_text(&mut cx.message, &path) {
                    Some(id) => (id, None),
                    None => return,
                }
            }
            SessionKind::SimpleClient => return,
        };
        if let Some(former) = former {
            let known = self.bound.read().unwrap_or_else(PoisonError::into_inner).get(former).cloned();
            match known {
                // The same session, or one for another path beside it.
                Some(known) if **former == *id || known.path != path => return,
                Some(_) => self.unbind(former),
                None => {}
            }
        }
        self.bind(id.into(), path, child, cx.snapshot.services.clock.now_millis());
    }

    /// Forgets a session.
    pub(super) fn unbind(&self, id: &str) {
        self.bound.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    fn bind(&self, id: Arc<str>, path: Option<String>, child: usize, now: i64) {
        let mut bound = self.bound.write().unwrap_or_else(PoisonError::into_inner);
        if bound.len() >= MAX_SESSIONS {
            bound.retain(|_, it| it.ends >= now);
            let first = bound.iter().min_by_key(|(_, it)| it.ends).map(|(id, _)| id.clone());
            if let Some(first) = first.filter(|_| bound.len() >= MAX_SESSIONS) {
                bound.remove(&first);
            }
        }
        bound.insert(id, Bound { child, path, ends: now.saturating_add(self.timeout_ms) });
    }
}

fn is_session(cookie: &str) -> bool {
    COOKIES.iter().any(|name| cookie.contains(name))
}

/// `NAME=VALUE` of the cookies of a request that stand for sessions.
fn request_cookies(message: &Message) -> Vec<String> {
    let all = message.headers.get_all("Cookie").flat_map(|it| it.split(';'));
    all.map(str::trim).filter(|it| is_session(it)).map(str::to_owned).collect()
}

/// The session cookie that an answer sets, and its path. MI: `AbstractDispatcher#extractSessionCookie`.
fn answer_cookie(message: &Message) -> Option<(String, Option<String>)> {
    message.headers.get_all("Set-Cookie").find_map(|cookie| {
        let id = cookie.split(';').map(str::trim).find(|it| is_session(it))?;
        let path = cookie.split(';').map(str::trim).find(|it| it.contains("Path")).unwrap_or("Path=/");
        Some((id.to_owned(), Some(path.to_owned())))
    })
}

fn header_block(document: &Document, header: Option<NodeId>, namespace: &str, name: &str) -> Option<NodeId> {
    let mut children = document.child_elements(header?);
    children.find(|it| document.local_name(*it) == name && document.namespace(*it) == namespace)
}

/// The text of a header block, or of an element below one.
fn header_text(message: &mut Message, path: &[(&str, &str)]) -> Option<String> {
    let envelope = message.body.envelope().ok()?;
    let document = envelope.document();
    let mut node = envelope.header();
    for (namespace, name) in path {
        node = Some(header_block(document, node, namespace, name)?);
    }
    let text = document.string_value(node?);
    Some(text.trim().to_owned()).filter(|it| !it.is_empty())
}
