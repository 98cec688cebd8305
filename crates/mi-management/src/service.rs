//! The service behind the listener: authentication, authorization, CORS, the body within its cap, and the table of
//! resources. MI: `ManagementInternalApi`.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use mi_engine::transport::{HttpReply, HttpRequest, HttpService};
use mi_message::{BodyStream, Headers};
use percent_encoding::percent_decode_str;
use serde_json::json;

use crate::answer;
use crate::audit;
use crate::auth::{Auth, Full};
use crate::context::ManagementContext;
use crate::dashboard;
use crate::request::{Caller, Request};
use crate::resources::{Handle, ROUTES, Rights, Route};

/// Where the API is.
const CONTEXT: &str = "/management";

/// The management API as a service of a listener.
#[derive(Clone)]
pub struct ManagementService(Arc<Inner>);

struct Inner {
    context: Arc<ManagementContext>,
    auth: Auth,
}

impl fmt::Debug for ManagementService {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ManagementService").finish_non_exhaustive()
    }
}

impl ManagementService {
    /// A service with the users and settings of the context's `deployment.toml`. `outside`: other machines reach it, who
    /// are not to know the passwords of a default configuration.
    pub fn new(context: Arc<ManagementContext>, outside: bool) -> Self {
        let auth = Auth::new(&context.deployment, outside);
        if let Some((name, _)) = auth.generated() {
            log::info!(
                target: "ManagementInternalApi",
                "No user is named in deployment.toml: the management API knows {name} from other machines by a password that \
                 was made for this run and printed on the console. Name users with [[internal_apis.users]]"
            );
        }
        if !auth.is_on() {
            log::warn!(
                target: "ManagementInternalApi",
                "The management API asks for no user: both security handlers are switched off"
            );
        }
        Self(Arc::new(Inner { context, auth }))
    }

    /// The administrator of the default configuration and the password that other machines need, made for this run. It is
    /// for the operator's eyes: whoever asks prints it once, and never into a log.
    pub fn generated(&self) -> Option<(&str, &str)> {
        self.0.auth.generated()
    }
}

impl HttpService for ManagementService {
    fn call(&self, request: HttpRequest) -> BoxFuture<'static, Option<HttpReply>> {
        let inner = self.0.clone();
        Box::pin(async move { Some(inner.serve(request).await) })
    }
}

/// Path below the context, without a slash at its end, and the query. `None` outside of the context.
fn split_target(target: &str) -> Option<(&str, &str)> {
    let path = match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => target,
    };
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let rest = path.strip_prefix(CONTEXT)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| (rest.trim_end_matches('/'), query))
}

/// The route of a path, and the name behind it.
fn find_route(path: &str) -> Option<(&'static Route, Option<String>)> {
    if let Some(route) = ROUTES.iter().find(|route| route.path == path && !route.named) {
        return Some((route, None));
    }
    let (parent, name) = path.rsplit_once('/')?;
    let route = ROUTES.iter().find(|route| route.path == parent && route.named)?;
    let name = percent_decode_str(name).decode_utf8().ok().filter(|name| !name.is_empty())?;
    Some((route, Some(name.into_owned())))
}

impl Inner {
    async fn serve(&self, request: HttpRequest) -> HttpReply {
        let cors = self.cors(&request.headers);
        let mut reply = self.answer(request).await;
        for (name, value) in cors.iter() {
            reply.headers.set(name, value);
        }
        reply
    }

    async fn answer(&self, request: HttpRequest) -> HttpReply {
        if let Some(reply) = dashboard::answer(&request.method, &request.target) {
            return reply;
        }
        let Some((path, query)) = split_target(&request.target) else { return answer::bare(StatusCode::NOT_FOUND) };
        let bare_context = path.is_empty() && !request.target.ends_with('/');
        if request.method == Method::OPTIONS {
            return answer::bare(StatusCode::OK);
        }
        if !self.auth.is_on() && is_foreign(&request.headers) {
            return answer::bare(StatusCode::FORBIDDEN);
        }
        let user = if bare_context {
            None
        } else {
            match self.auth.caller(&request.headers, request.peer, path == "/login", self.context.users.as_ref()).await
            {
                Ok(user) => user,
                Err(reply) => return reply,
            }
        };
        match path {
            "/login" if request.method == Method::GET => return self.login(user),
            "/logout" if request.method == Method::GET => return self.logout(&request.headers, user),
            "/login" | "/logout" => return answer::bare(StatusCode::METHOD_NOT_ALLOWED),
            _ => {}
        }
        let Some((route, tail)) = find_route(path) else { return answer::bare(StatusCode::NOT_FOUND) };
        let method = if request.method == Method::HEAD { "GET" } else { request.method.as_str() };
        if !route.methods.contains(&method) {
            return not_allowed(route);
        }
        if !self.may(route, method == "GET", user.as_ref()) {
            return answer::bare(StatusCode::FORBIDDEN);
        }
        let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let body = match read_body(request.body, route.body).await {
            Ok(body) => body,
            Err(reply) => return reply,
        };
        let request = Request { method: request.method, tail, query, headers: request.headers, body, user };
        match route.handle {
            Handle::Now(handle) => handle(&self.context, &request),
            Handle::Later(handle) => handle(&self.context, &request).await,
        }
    }

    /// MI: `AuthorizationHandler`, `SecurityUtils#canUserEdit`.
    fn may(&self, route: &Route, reads: bool, user: Option<&Caller>) -> bool {
        let management = &self.context.deployment.management;
        let admin = user.is_some_and(|user| user.admin);
        // Without authentication there are no roles.
        let nobody = user.is_none();
        match route.rights {
            Rights::Edit => reads || nobody || admin || !management.read_only_users,
            Rights::Administer => nobody || admin || !management.authorization,
            Rights::Upload => reads || nobody || admin,
            Rights::Write => reads || admin,
        }
    }

    /// MI: `LoginResource`.
    fn login(&self, user: Option<Caller>) -> HttpReply {
        let failed = |text: &str| answer::error(StatusCode::INTERNAL_SERVER_ERROR, text);
        let (true, Some(user)) = (self.auth.jwt, user) else {
            return failed("Login is accessible only when JWT based auth handler is engaged");
        };
        let deployment = &self.context.deployment;
        let issuer = format!("https://{}:{}/", deployment.server.hostname, deployment.internal_https_port());
        match self.auth.tokens.issue(&user.name, user.admin, &issuer) {
            Ok(token) => {
                audit::session(&user.name, "logged in");
                answer::ok(&json!({"AccessToken": token}))
            }
            Err(Full::Store) => failed("Max concurrent access limit exceeded"),
            Err(Full::Key) => failed("Error occurred while generating JWT token"),
        }
    }

    /// MI: `LogoutResource`.
    fn logout(&self, headers: &Headers, user: Option<Caller>) -> HttpReply {
        let failed = |text: &str| answer::error(StatusCode::INTERNAL_SERVER_ERROR, text);
        let (true, Some(user)) = (self.auth.jwt, user) else {
            return failed("Logout is accessible only when JWT based auth handler is engaged");
        };
        let header = headers.get("Authorization").unwrap_or_default();
        let token = header.strip_prefix("Bearer ").unwrap_or_default().trim();
        if !self.auth.tokens.revoke(token) {
            return failed("Log out failed due to incorrect credentials");
        }
        audit::session(&user.name, "logged out");
        answer::bare(StatusCode::OK)
    }

    /// Header fields for a page of another origin. Where nobody is asked for a password there are none, so that no page
    /// in a browser nearby can use the API.
    fn cors(&self, headers: &Headers) -> Headers {
        let mut fields = Headers::new();
        let management = &self.context.deployment.management;
        let (true, true, Some(origin)) = (management.cors_enabled, self.auth.is_on(), headers.get("Origin")) else {
            return fields;
        };
        let mut allowed = management.cors_origins.split(',').map(str::trim);
        let value = if allowed.clone().any(|it| it == "*") {
            Some("*")
        } else {
            allowed.any(|it| it == origin).then_some(origin)
        };
        if let Some(value) = value {
            fields.set("Access-Control-Allow-Origin", value);
            fields.set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE, OPTIONS");
            fields.set("Access-Control-Allow-Headers", management.cors_headers.as_str());
            fields.set("Vary", "Origin");
        }
        fields
    }
}

/// The whole body; `Err` is the answer to one that is too long or breaks off.
async fn read_body(mut body: BodyStream, cap: usize) -> Result<Bytes, HttpReply> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Err(answer::bad("The body breaks off")) };
        let Ok(data) = frame.into_data() else { continue };
        if read.len() + data.len() > cap {
            let text = format!("The body is longer than {cap} bytes");
            return Err(answer::error(StatusCode::PAYLOAD_TOO_LARGE, text));
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

fn not_allowed(route: &Route) -> HttpReply {
    let mut reply = answer::bare(StatusCode::METHOD_NOT_ALLOWED);
    reply.headers.set("Allow", route.methods.join(", "));
    reply
}

/// Does the request come from a page of another site?
fn is_foreign(headers: &Headers) -> bool {
    let Some(origin) = headers.get("Origin") else { return false };
    let host = headers.get("Host").unwrap_or_default();
    origin.split_once("://").is_none_or(|(_, authority)| authority != host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        for (target, expected) in [
            ("/management", Some(("", ""))),
            ("/management/apis/?a=b", Some(("/apis", "a=b"))),
            ("https://h:1/management/apis?u=http://x", Some(("/apis", "u=http://x"))),
            ("/managements", None),
            ("/apis", None),
        ] {
            assert_eq!(split_target(target), expected, "{target}");
        }
    }

    #[test]
    fn routes() {
        let found = |path: &str| find_route(path).map(|(route, name)| (route.path, name));
        assert_eq!(found("/apis"), Some(("/apis", None)));
        assert_eq!(found("/applications/a%20b"), Some(("/applications", Some("a b".to_owned()))));
        assert_eq!(found("/registry-resources/content"), Some(("/registry-resources/content", None)));
        assert_eq!(found("/apis/x"), None);
        assert_eq!(found("/applications/"), None);
    }
}
