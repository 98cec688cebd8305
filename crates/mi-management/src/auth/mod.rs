//! Who may ask: users of `deployment.toml`, tokens, and a brake on guessing. MI: `AuthenticationHandlerAdapter`,
//! `JWTTokenSecurityHandler`, `BasicSecurityHandler`.

mod brake;
mod tokens;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use mi_config::Deployment;
use mi_config::deployment::User;
use mi_engine::transport::HttpReply;
use mi_message::Headers;

use crate::answer;
use crate::request::Caller;
use brake::Brake;
pub(crate) use tokens::{Full, Tokens};

/// MI writes this name with an underscore; clients of MI look for it.
const WWW_AUTHENTICATE: &str = "WWW_Authenticate";

/// Users and what they may show.
pub(crate) struct Auth {
    users: Vec<User>,
    /// The users are those that hold without any configuration; they answer on this machine only.
    default_users: bool,
    basic: bool,
    pub(crate) jwt: bool,
    pub(crate) tokens: Tokens,
    brake: Brake,
}

impl Auth {
    pub(crate) fn new(deployment: &Deployment) -> Self {
        let management = &deployment.management;
        Self {
            users: management.users.clone(),
            default_users: management.default_users,
            basic: management.basic,
            jwt: management.jwt,
            tokens: Tokens::new(
                Duration::from_secs(management.token_expiry_s),
                management.token_store_size,
                management.remove_oldest_token,
            ),
            brake: Brake::default(),
        }
    }

    /// Is anything asked for?
    pub(crate) fn is_on(&self) -> bool {
        self.jwt || self.basic
    }

    /// The caller of a request; `Err` is the answer to one that may not ask.
    pub(crate) fn caller(&self, headers: &Headers, peer: SocketAddr, login: bool) -> Result<Option<Caller>, HttpReply> {
        if !self.is_on() {
            return Ok(None);
        }
        let Some(header) = headers.get("Authorization") else {
            let mut reply = answer::bare(StatusCode::UNAUTHORIZED);
            reply.headers.set(WWW_AUTHENTICATE, "Basic realm=\"WSO2 EI\"");
            return Err(reply);
        };
        let refused = || answer::bare(StatusCode::UNAUTHORIZED);
        let (scheme, credentials) = header.split_once(' ').ok_or_else(refused)?;
        let credentials = credentials.trim();
        match scheme {
            "Basic" if login || self.basic => self.password(credentials, peer).map(Some),
            "Bearer" if self.jwt && !login => {
                let name = self.tokens.user(credentials).ok_or_else(refused)?;
                // The role is that of the user list, whatever the token says.
                self.users.iter().find(|user| user.name == name).map(caller_of).map(Some).ok_or_else(refused)
            }
            _ => Err(refused()),
        }
    }

    /// Checks a user and a password.
    fn password(&self, credentials: &str, peer: SocketAddr) -> Result<Caller, HttpReply> {
        let refused = || answer::bare(StatusCode::UNAUTHORIZED);
        let decoded = STANDARD.decode(credentials).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let decoded = decoded.ok_or_else(refused)?;
        let (name, password) = decoded.split_once(':').ok_or_else(refused)?;
        let now = Instant::now();
        if let Some(wait) = self.brake.wait(peer.ip(), name, now) {
            let mut reply = answer::bare(StatusCode::TOO_MANY_REQUESTS);
            reply.headers.set("Retry-After", wait.as_secs().max(1).to_string());
            return Err(reply);
        }
        match self.check(name, password, peer.ip()) {
            Some(user) => {
                self.brake.succeeded(peer.ip(), name);
                Ok(caller_of(user))
            }
            None => {
                self.brake.failed(peer.ip(), name, now);
                crate::audit::session(name, &format!("failed to log in from {}", peer.ip()));
                Err(refused())
            }
        }
    }

    fn check(&self, name: &str, password: &str, peer: IpAddr) -> Option<&User> {
        // A user that does not exist costs as much time as one with another password.
        let user = self.users.iter().find(|user| user.name == name);
        let known = user.map_or("", |user| user.password.as_str());
        let equal = same(password, known) && !known.trim().is_empty();
        let user = user.filter(|_| equal)?;
        if self.default_users && !is_loopback(peer) {
            log::warn!(
                target: "FileBasedUserStoreManager",
                "The user {} of the default configuration answers on this machine only; name users with [[internal_apis.users]]",
                user.name
            );
            return None;
        }
        Some(user)
    }
}

fn caller_of(user: &User) -> Caller {
    Caller { name: user.name.clone(), admin: user.admin }
}

fn is_loopback(peer: IpAddr) -> bool {
    peer.to_canonical().is_loopback()
}

/// Compares in a time that tells nothing of where texts differ, nor of their lengths.
fn same(left: &str, right: &str) -> bool {
    let digest = |text: &str| digest::digest(&digest::SHA256, text.as_bytes());
    verify_slices_are_equal(digest(left).as_ref(), digest(right).as_ref()).is_ok()
}
