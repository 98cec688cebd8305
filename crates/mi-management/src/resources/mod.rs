//! The resources of the API and the table that leads to them.

mod apis;
mod applications;
mod connectors;
mod data;
mod endpoints;
mod inbounds;
mod live;
mod local_entries;
mod logging;
mod logs;
mod mediators;
mod proxies;
mod registry;
mod sequences;
mod server;
mod stores;
mod tasks;
mod templates;
mod transactions;
mod users;

use futures_util::future::BoxFuture;
use http::StatusCode;
use mi_engine::transport::HttpReply;

use crate::answer;
use crate::context::ManagementContext;
use crate::request::Request;

/// Who may use a resource. Reading is for every user unless said otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rights {
    /// Changes are for users, or for administrators if the others may only read.
    Edit,
    /// Everything is for administrators.
    Administer,
    /// Changes are for administrators, or for everybody where nobody is asked for a password.
    Upload,
    /// Changes are for administrators who have shown a password.
    Write,
}

/// A resource.
pub(crate) struct Route {
    /// Path below the context.
    pub(crate) path: &'static str,
    /// Is the path followed by a name?
    pub(crate) named: bool,
    pub(crate) methods: &'static [&'static str],
    pub(crate) rights: Rights,
    /// Longest body.
    pub(crate) body: usize,
    pub(crate) handle: Handle,
}

/// What answers.
#[derive(Clone, Copy)]
pub(crate) enum Handle {
    /// At once.
    Now(fn(&ManagementContext, &Request) -> HttpReply),
    /// After it has asked somebody else.
    Later(for<'a> fn(&'a ManagementContext, &'a Request) -> BoxFuture<'a, HttpReply>),
}

const JSON: usize = 1 << 20;
const RESOURCE: usize = 64 << 20;
const APPLICATION: usize = 512 << 20;

const fn route(
    path: &'static str,
    methods: &'static [&'static str],
    handle: fn(&ManagementContext, &Request) -> HttpReply,
) -> Route {
    Route { path, named: false, methods, rights: Rights::Edit, body: JSON, handle: Handle::Now(handle) }
}

/// For administrators, and with somebody else to ask.
const fn users(
    path: &'static str,
    methods: &'static [&'static str],
    handle: for<'a> fn(&'a ManagementContext, &'a Request) -> BoxFuture<'a, HttpReply>,
) -> Route {
    Route { path, named: false, methods, rights: Rights::Administer, body: JSON, handle: Handle::Later(handle) }
}

impl Route {
    const fn named(self) -> Self {
        Self { named: true, ..self }
    }

    const fn rights(self, rights: Rights) -> Self {
        Self { rights, ..self }
    }

    const fn body(self, body: usize) -> Self {
        Self { body, ..self }
    }
}

/// All of them. MI: `ManagementInternalApi#getAllResources`.
pub(crate) static ROUTES: &[Route] = &[
    route("", &["GET"], server::root),
    route("/apis", &["GET", "POST"], apis::handle),
    route("/proxy-services", &["GET", "POST"], proxies::handle),
    route("/endpoints", &["GET", "POST"], endpoints::handle),
    route("/inbound-endpoints", &["GET", "POST"], inbounds::handle),
    route("/sequences", &["GET", "POST"], sequences::handle),
    route("/templates", &["GET", "POST"], templates::handle),
    route("/tasks", &["GET", "POST"], tasks::handle),
    route("/message-stores", &["GET"], stores::stores),
    route("/message-processors", &["GET", "POST"], stores::processors),
    route("/local-entries", &["GET"], local_entries::handle),
    route("/connectors", &["GET", "POST"], connectors::handle),
    route("/applications", &["GET", "POST"], applications::handle).rights(Rights::Upload).body(APPLICATION),
    route("/applications", &["GET", "POST", "DELETE"], applications::named)
        .named()
        .rights(Rights::Upload)
        .body(APPLICATION),
    route("/data-services", &["GET"], data::services),
    route("/data-sources", &["GET"], data::sources),
    route("/registry-resources", &["GET"], registry::tree::handle),
    route("/registry-resources/content", &["GET", "POST", "PUT", "DELETE"], registry::content::handle)
        .rights(Rights::Write)
        .body(RESOURCE),
    route("/registry-resources/metadata", &["GET"], registry::content::metadata),
    route("/registry-resources/properties", &["GET", "POST", "DELETE"], registry::properties::handle)
        .rights(Rights::Write),
    route("/live", &["GET"], live::handle),
    route("/transactions", &["GET"], transactions::handle).named(),
    route("/external-vaults", &["POST"], external_vault).named(),
    route("/logging", &["GET", "PATCH"], logging::handle),
    route("/logs", &["GET"], logs::handle),
    route("/server", &["GET", "PATCH"], server::server),
    route("/configs", &["GET", "PUT"], server::configs).rights(Rights::Administer),
    users("/users", &["GET", "POST"], users::users),
    users("/users", &["GET", "DELETE", "PATCH"], users::user).named(),
    users("/roles", &["GET", "POST", "PUT"], users::roles),
    users("/roles", &["GET", "DELETE"], users::role).named(),
];

/// Secrets come from the environment and from files; there is no vault whose credentials could be changed.
/// MI: `ExternalVaultResource`.
fn external_vault(_: &ManagementContext, request: &Request) -> HttpReply {
    let vault = request.tail.as_deref().unwrap_or_default();
    if !vault.eq_ignore_ascii_case("hashicorp") {
        return answer::bad(format!("No such resource as management/external-vault/{vault}"));
    }
    match request.payload("Error when parsing JSON payload") {
        Ok(payload) if payload.contains_key("secretId") => {
            answer::error(StatusCode::OK, "Error when getting initiated HashiCorp instance")
        }
        Ok(_) => answer::bad("Unsupported operation"),
        Err(reply) => reply,
    }
}
