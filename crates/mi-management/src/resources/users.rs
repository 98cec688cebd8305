//! `/users` and `/roles`: those of a user store. MI: `UsersResource`, `UserResource`, `RolesResource`, `RoleResource`.
//!
//! Users of `deployment.toml` are not changed here.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{Method, StatusCode};
use mi_engine::transport::HttpReply;
use mi_engine::users::{Change, UserStoreError};
use serde_json::{Map, Value, json};

use crate::answer;
use crate::audit;
use crate::auth::Directory;
use crate::context::ManagementContext;
use crate::request::{Request, text};

/// Roles of this domain are none of the store.
const INTERNAL_DOMAINS: [&str; 2] = ["internal", "application"];

/// Why a request is not answered as it wishes.
enum Refusal {
    /// What is sent cannot be. MI: `IOException`
    Bad(String),
    /// MI: `ResourceNotFoundException`
    Missing(String),
    /// MI: `UserStoreException`
    Store(UserStoreError),
    /// An answer as it is.
    Plain(Box<HttpReply>),
}

impl From<UserStoreError> for Refusal {
    fn from(error: UserStoreError) -> Self {
        Self::Store(error)
    }
}

type Answer = Result<Value, Refusal>;

/// What MI says in front of an error of the store.
struct Words {
    store: &'static str,
    request: &'static str,
}

const USERS: Words = Words {
    store: "Error initializing the user store. Please try again later",
    request: "Error processing the request",
};
const USER: Words = Words { store: "Please try again. ", request: "Error processing the request. " };
const ROLES: Words = Words {
    store: "Error initializing the user store. Please try again later ",
    request: "Error processing the request. ",
};
const ROLE: Words = Words {
    store: "Error initializing the user store. Please try again later",
    request: "Error processing the request. ",
};

fn reply(answer: Answer, words: &Words) -> HttpReply {
    match answer {
        Ok(value) => answer::ok(&value),
        Err(Refusal::Bad(why)) => answer::bad(format!("{}{why}", words.request)),
        Err(Refusal::Missing(why)) => answer::missing(format!("Requested resource not found. {why}")),
        Err(Refusal::Store(why)) => answer::error(StatusCode::INTERNAL_SERVER_ERROR, format!("{}{why}", words.store)),
        Err(Refusal::Plain(reply)) => *reply,
    }
}

/// The store of a request; secondary stores are not there. MI: `Utils#setInvalidUserStoreResponse`, `Utils#getUserStore`.
fn directory<'c>(cx: &'c ManagementContext, domain: Option<&str>) -> Result<&'c Directory, Refusal> {
    let Some(directory) = cx.users.as_ref() else {
        return Err(Refusal::Plain(Box::new(answer::error(
            StatusCode::FORBIDDEN,
            "User management is not supported with the file-based user store. Please plug in a user store for the correct \
             functionality",
        ))));
    };
    let domain = domain.filter(|it| !it.is_empty() && !it.eq_ignore_ascii_case("primary"));
    match domain {
        Some(domain) => {
            let text = format!("Could not find a user-store for the given domain {domain}");
            Err(Refusal::Store(UserStoreError::Refused(text)))
        }
        None => Ok(directory),
    }
}

fn payload(request: &Request) -> Result<Map<String, Value>, Refusal> {
    request.payload("JSON payload is missing").map_err(|reply| Refusal::Plain(Box::new(reply)))
}

fn named(key: &'static str, names: &[String]) -> Value {
    let list: Vec<Value> = names.iter().map(|name| json!({ key: name })).collect();
    json!({"count": list.len(), "list": list})
}

pub(super) fn users<'a>(cx: &'a ManagementContext, request: &'a Request) -> BoxFuture<'a, HttpReply> {
    async move {
        let answer = if request.is_get() { list_users(cx, request).await } else { add_user(cx, request).await };
        reply(answer, &USERS)
    }
    .boxed()
}

async fn list_users(cx: &ManagementContext, request: &Request) -> Answer {
    let store = &directory(cx, None)?.store;
    let mut users = store.users(request.query("pattern").unwrap_or("*")).await?;
    if let Some(role) = request.query("role") {
        let members = store.users_of(role).await?.unwrap_or_default();
        users.retain(|user| members.contains(user));
    }
    let searched = request.searches();
    users.retain(|user| searched(user));
    Ok(named("userId", &users))
}

async fn add_user(cx: &ManagementContext, request: &Request) -> Answer {
    directory(cx, None)?;
    let payload = payload(request)?;
    let directory = directory(cx, text(&payload, "domain").as_deref())?;
    let (Some(user), Some(password)) = (text(&payload, "userId"), text(&payload, "password")) else {
        return Err(Refusal::Bad("Missing one or more of the fields, 'userId', 'password' in the payload.".to_owned()));
    };
    if user.is_empty() || user.contains(':') {
        return Err(Refusal::Bad("Invalid username".to_owned()));
    }
    let admin = text(&payload, "isAdmin").is_some_and(|it| it.eq_ignore_ascii_case("true"));
    directory.store.change(Change::AddUser { user: &user, password: &password, admin }).await?;
    directory.forget();
    audit::change(request, "user", "created", &json!({"userId": user, "isAdmin": admin}));
    Ok(json!({"userId": user, "status": "Added"}))
}

pub(super) fn user<'a>(cx: &'a ManagementContext, request: &'a Request) -> BoxFuture<'a, HttpReply> {
    async move {
        let answer = match request.method {
            Method::DELETE => delete_user(cx, request).await,
            Method::PATCH => set_password(cx, request).await,
            _ => show_user(cx, request).await,
        };
        reply(answer, &USER)
    }
    .boxed()
}

/// The user of the path with the roles. MI: `UserResource#getUserFromPathParam`.
async fn of_path<'r>(directory: &Directory, request: &'r Request) -> Result<(&'r str, Vec<String>), Refusal> {
    let user = request.tail.as_deref().unwrap_or_default();
    let missing = || Refusal::Missing(format!("User: {user} cannot be found."));
    if !directory.store.users(user).await?.iter().any(|it| it == user) {
        return Err(missing());
    }
    let roles = directory.store.roles_of(user).await?.ok_or_else(missing)?;
    Ok((user, roles))
}

async fn show_user(cx: &ManagementContext, request: &Request) -> Answer {
    let directory = directory(cx, request.query("domain"))?;
    let (user, roles) = of_path(directory, request).await?;
    Ok(json!({"userId": user, "isAdmin": directory.is_admin(&roles), "roles": roles}))
}

/// Names of a directory have no case.
fn is_same(left: Option<&str>, right: &str) -> bool {
    left.is_some_and(|it| it.eq_ignore_ascii_case(right))
}

async fn delete_user(cx: &ManagementContext, request: &Request) -> Answer {
    let directory = directory(cx, request.query("domain"))?;
    let (user, roles) = of_path(directory, request).await?;
    let caller = request.user.as_ref().map(|it| it.name.as_str());
    if is_same(caller, user) {
        let why = "Attempt to delete the logged in user. Operation not allowed. Please login from another user.";
        return Err(Refusal::Bad(why.to_owned()));
    }
    if directory.is_admin(&roles) && !is_same(caller, directory.store.admin_user()) {
        return Err(refused("Only super admin user can delete admins"));
    }
    directory.store.change(Change::DeleteUser(user)).await?;
    directory.forget();
    audit::change(request, "user", "deleted", &json!({"userId": user}));
    Ok(json!({"userId": user, "status": "Deleted"}))
}

fn refused(why: &str) -> Refusal {
    Refusal::Store(UserStoreError::Refused(why.to_owned()))
}

async fn set_password(cx: &ManagementContext, request: &Request) -> Answer {
    let directory = directory(cx, request.query("domain"))?;
    let (user, roles) = of_path(directory, request).await?;
    let payload = payload(request)?;
    let (Some(new), Some(again)) = (text(&payload, "newPassword"), text(&payload, "confirmPassword")) else {
        return Err(refused("New password or re-typed password is missing in the payload."));
    };
    if new != again {
        return Err(refused("New password and re-typed password does not match."));
    }
    let caller = request.user.as_ref().map(|it| it.name.as_str());
    let why_not = if is_same(caller, user) {
        let old = text(&payload, "oldPassword").unwrap_or_default();
        let fits = directory.store.authenticate(user, &old).await?;
        (!fits).then_some("Failed to update user password. Please check the current password entered and retry.")
    } else if is_same(caller, directory.store.admin_user()) {
        None
    } else if directory.is_admin(&roles) {
        Some("Only a super admin user can update the credentials of another admin.")
    } else {
        let admin = request.user.as_ref().is_some_and(|it| it.admin);
        (!admin).then_some("Only your own credentials can be updated by a user.")
    };
    if let Some(why) = why_not {
        return Err(refused(why));
    }
    directory.store.change(Change::SetPassword { user, password: &new }).await?;
    audit::change(request, "user", "updated", &json!({"userId": user}));
    Ok(json!({"userId": user, "status": "User password updated successfully."}))
}

pub(super) fn roles<'a>(cx: &'a ManagementContext, request: &'a Request) -> BoxFuture<'a, HttpReply> {
    async move {
        let answer = match request.method {
            Method::POST => add_role(cx, request).await,
            Method::PUT => set_roles(cx, request).await,
            _ => list_roles(cx, request).await,
        };
        reply(answer, &ROLES)
    }
    .boxed()
}

async fn list_roles(cx: &ManagementContext, request: &Request) -> Answer {
    let mut roles = directory(cx, None)?.store.roles().await?;
    let searched = request.searches();
    roles.retain(|role| searched(role));
    Ok(named("role", &roles))
}

async fn add_role(cx: &ManagementContext, request: &Request) -> Answer {
    directory(cx, None)?;
    let payload = payload(request)?;
    let directory = directory(cx, text(&payload, "domain").as_deref())?;
    let role = text(&payload, "role").ok_or_else(|| Refusal::Bad("Missing role name in the payload".to_owned()))?;
    directory.store.change(Change::AddRole(&role)).await?;
    audit::change(request, "role", "created", &json!({"role": role}));
    Ok(json!({"role": role, "status": "Added"}))
}

async fn set_roles(cx: &ManagementContext, request: &Request) -> Answer {
    directory(cx, None)?;
    let payload = payload(request)?;
    let directory = directory(cx, text(&payload, "domain").as_deref())?;
    let (added, removed) = (payload.get("addedRoles"), payload.get("removedRoles"));
    let (Some(user), true) = (text(&payload, "userId"), added.is_some() || removed.is_some()) else {
        let why = "Missing one or more of the fields, 'userId', 'addedRoles', 'removedRoles' in the payload.";
        return Err(Refusal::Bad(why.to_owned()));
    };
    let names = |list: Option<&Value>| {
        let items = list.and_then(Value::as_array).into_iter().flatten();
        items.filter_map(|it| Some(it.as_str()?.to_owned())).filter(|it| !it.is_empty()).collect::<Vec<String>>()
    };
    let (added, removed) = (names(added), names(removed));
    directory.store.change(Change::SetRoles { user: &user, added: &added, removed: &removed }).await?;
    directory.forget();
    audit::change(request, "role", "updated", &json!({"userId": user, "addedRoles": added, "removedRoles": removed}));
    Ok(json!({"userId": user, "status": "Added/removed the roles"}))
}

pub(super) fn role<'a>(cx: &'a ManagementContext, request: &'a Request) -> BoxFuture<'a, HttpReply> {
    async move {
        let answer = if request.is_get() { show_role(cx, request).await } else { delete_role(cx, request).await };
        reply(answer, &ROLE)
    }
    .boxed()
}

/// The role of the path, and with its domain. MI: `Utils#addDomainToName`.
fn role_name(request: &Request) -> (String, Option<&str>) {
    let role = request.tail.clone().unwrap_or_default();
    let domain = request.query("domain").filter(|it| !it.is_empty() && !it.eq_ignore_ascii_case("primary"));
    match domain {
        Some(domain) if INTERNAL_DOMAINS.iter().any(|it| it.eq_ignore_ascii_case(domain)) && !role.contains('/') => {
            let (first, rest) = domain.split_at(1);
            (format!("{}{}/{role}", first.to_uppercase(), rest.to_lowercase()), None)
        }
        other => (role, other),
    }
}

async fn show_role(cx: &ManagementContext, request: &Request) -> Answer {
    directory(cx, None)?;
    let (role, domain) = role_name(request);
    let users = directory(cx, domain)?.store.users_of(&role).await?;
    let users = users.ok_or_else(|| Refusal::Missing(format!("Role: {role} cannot be found.")))?;
    Ok(json!({"role": role, "users": users}))
}

async fn delete_role(cx: &ManagementContext, request: &Request) -> Answer {
    directory(cx, None)?;
    let (role, domain) = role_name(request);
    let directory = directory(cx, domain)?;
    if role == directory.store.admin_role() {
        return Err(refused("Cannot remove the admin role"));
    }
    if directory.store.users_of(&role).await?.is_none() {
        return Err(Refusal::Missing(format!("Role: {role} cannot be found.")));
    }
    directory.store.change(Change::DeleteRole(&role)).await?;
    directory.forget();
    audit::change(request, "role", "deleted", &json!({"role": role}));
    Ok(json!({"role": role, "status": "Deleted"}))
}
