//! Who may ask: users of `deployment.toml`, tokens, and a brake on guessing. MI: `AuthenticationHandlerAdapter`,
//! `JWTTokenSecurityHandler`, `BasicSecurityHandler`.

mod brake;
mod directory;
mod tokens;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::StatusCode;
use mi_config::Deployment;
use mi_config::deployment::User;
use mi_engine::transport::HttpReply;
use mi_message::Headers;

use crate::answer;
use crate::request::Caller;
use brake::Brake;
pub(crate) use directory::Directory;
pub(crate) use tokens::{Full, Tokens};

/// MI writes this name with an underscore; clients of MI look for it.
const WWW_AUTHENTICATE: &str = "WWW_Authenticate";

/// Users and what they may show.
pub(crate) struct Auth {
    users: Vec<User>,
    /// The users are those that hold without any configuration; with their passwords they answer on this machine only.
    default_users: bool,
    /// The password that their administrator has for others, made for this run.
    generated: Option<String>,
    basic: bool,
    pub(crate) jwt: bool,
    pub(crate) tokens: Tokens,
    brake: Brake,
}

impl Auth {
    /// `outside`: other machines reach the listener.
    pub(crate) fn new(deployment: &Deployment, outside: bool) -> Self {
        let management = &deployment.management;
        let wanted = outside
            && management.default_users
            && management.user_store.is_none()
            && (management.basic || management.jwt);
        Self {
            users: management.users.clone(),
            default_users: management.default_users,
            generated: if wanted { generate() } else { None },
            basic: management.basic,
            jwt: management.jwt,
            tokens: Tokens::new(
                Duration::from_secs(management.token_expiry_s),
                management.token_store_size,
                management.remove_oldest_token,
                management.token_secret.as_ref().map(|it| it.0.as_str()),
            ),
            brake: Brake::default(),
        }
    }

    /// Is anything asked for?
    pub(crate) fn is_on(&self) -> bool {
        self.jwt || self.basic
    }

    /// The caller of a request; `Err` is the answer to one that may not ask. Users are those of the directory where there is one.
    pub(crate) async fn caller(
        &self,
        headers: &Headers,
        peer: SocketAddr,
        login: bool,
        directory: Option<&Directory>,
    ) -> Result<Option<Caller>, HttpReply> {
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
            "Basic" if login || self.basic => self.password(credentials, peer, directory).await.map(Some),
            "Bearer" if self.jwt && !login => {
                let name = self.tokens.user(credentials).ok_or_else(refused)?;
                // The role is that of the user list, whatever the token says.
                let caller = match directory {
                    Some(directory) => directory.caller(&name).await.map_err(|_| unavailable())?,
                    None => self.users.iter().find(|user| user.name == name).map(caller_of),
                };
                caller.map(Some).ok_or_else(refused)
            }
            _ => Err(refused()),
        }
    }

    /// Checks a user and a password.
    async fn password(
        &self,
        credentials: &str,
        peer: SocketAddr,
        directory: Option<&Directory>,
    ) -> Result<Caller, HttpReply> {
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
        let caller = match directory {
            Some(directory) => directory.password(name, password).await.map_err(|_| unavailable())?,
            None => self.check(name, password, peer.ip()).map(caller_of),
        };
        match caller {
            Some(caller) => {
                self.brake.succeeded(peer.ip(), name);
                Ok(caller)
            }
            None => {
                self.brake.failed(peer.ip(), name, now);
                crate::audit::session(name, &format!("failed to log in from {}", peer.ip()));
                Err(refused())
            }
        }
    }

    /// The administrator of the default configuration and the password for other machines, to be told to the operator.
    pub(crate) fn generated(&self) -> Option<(&str, &str)> {
        let user = self.users.iter().find(|user| user.admin)?;
        Some((&user.name, self.generated.as_deref()?))
    }

    fn check(&self, name: &str, password: &str, peer: IpAddr) -> Option<&User> {
        // A user that does not exist costs as much time as one with another password.
        let user = self.users.iter().find(|user| user.name == name);
        let generated = self.generated().filter(|(known, _)| *known == name).map_or("", |(_, password)| password);
        if same(password, generated) && !generated.is_empty() {
            return user;
        }
        let known = user.map_or("", |user| user.password.as_str());
        let equal = same(password, known) && !known.trim().is_empty();
        let user = user.filter(|_| equal)?;
        if self.default_users && !is_loopback(peer) {
            log::warn!(
                target: "FileBasedUserStoreManager",
                "The user {} of the default configuration has its password on this machine only; elsewhere it is the one that \
                 was told at the start. Name users with [[internal_apis.users]]",
                user.name
            );
            return None;
        }
        Some(user)
    }
}

/// A password of 120 bits, in letters and digits and two signs; `None` without a source of random numbers.
fn generate() -> Option<String> {
    let mut bytes = [0; 15];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// Nobody can say who it is. What is wrong stands in the log, not in the answer to somebody unknown.
fn unavailable() -> HttpReply {
    answer::error(StatusCode::SERVICE_UNAVAILABLE, "The user store is not available. Please try again later")
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

#[cfg(test)]
mod tests {
    use mi_config::NoPlaceholders;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn auth(toml: &str, outside: bool) -> Auth {
        Auth::new(&Deployment::parse("deployment.toml", toml, &NoPlaceholders).0, outside)
    }

    #[test]
    fn the_default_password_is_for_this_machine_and_others_need_the_generated_one() {
        let default = auth("", true);
        let (name, password) = default.generated().expect("a password");
        assert_eq!(name, "admin");
        assert_ne!(Some(password), auth("", true).generated().map(|(_, password)| password), "of each run its own");
        let may = |auth: &Auth, name: &str, password: &str, peer| auth.check(name, password, peer).is_some();
        assert!(password.len() == 20 && may(&default, "admin", password, ELSEWHERE));
        assert!(may(&default, "admin", password, HERE) && may(&default, "admin", "admin", HERE));
        assert!(!may(&default, "admin", "admin", ELSEWHERE) && !may(&default, "other", password, ELSEWHERE));
        assert!(!may(&default, "admin", "", ELSEWHERE) && !may(&default, "", "", ELSEWHERE));

        let inside = auth("", false);
        assert!(inside.generated().is_none() && may(&inside, "admin", "admin", HERE));
        assert!(!may(&inside, "admin", "", HERE) && !may(&inside, "admin", "admin", ELSEWHERE));

        let named =
            auth("[[internal_apis.users]]\nuser.name = 'op'\nuser.password = 'secret'\nuser.is_admin = true", true);
        assert!(named.generated().is_none() && may(&named, "op", "secret", ELSEWHERE));
    }
}
