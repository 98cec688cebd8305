//! Users that are kept elsewhere, such as in a directory: who they are, what they may show, and which roles they have.
//!
//! Whoever speaks the protocol implements [`UserStore`]; whoever serves users asks it. MI: `UserStoreManager`.

use std::fmt;

use futures_util::future::BoxFuture;

/// Every user has this role. MI: `EveryOneRoleName`.
pub const EVERYONE: &str = "Internal/everyone";

/// Why a store does not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserStoreError {
    /// It cannot be reached, or does not answer as it should.
    #[error("{0}")]
    Unavailable(String),
    /// It was asked for what cannot be: it is read only, names do not fit, somebody is there already.
    #[error("{0}")]
    Refused(String),
}

/// A change of users or roles.
#[derive(Clone, Debug)]
pub enum Change<'a> {
    /// A new user, an administrator if so.
    AddUser {
        /// Name.
        user: &'a str,
        /// Password.
        password: &'a str,
        /// Is the user given the role of administrators?
        admin: bool,
    },
    /// A user goes, with every role.
    DeleteUser(&'a str),
    /// Another password.
    SetPassword {
        /// Name.
        user: &'a str,
        /// The new password.
        password: &'a str,
    },
    /// A new role that nobody has.
    AddRole(&'a str),
    /// A role goes.
    DeleteRole(&'a str),
    /// Other roles of a user.
    SetRoles {
        /// Name.
        user: &'a str,
        /// Roles that the user is given.
        added: &'a [String],
        /// Roles that are taken.
        removed: &'a [String],
    },
}

/// Users that are kept elsewhere. Every future ends within a deadline of the store's own.
pub trait UserStore: Send + Sync + fmt::Debug {
    /// Is it this user's password?
    fn authenticate<'a>(&'a self, user: &'a str, password: &'a str) -> BoxFuture<'a, Result<bool, UserStoreError>>;

    /// Names of users that match a pattern, in which `*` stands for any text, in order.
    fn users<'a>(&'a self, pattern: &'a str) -> BoxFuture<'a, Result<Vec<String>, UserStoreError>>;

    /// Names of all roles.
    fn roles(&self) -> BoxFuture<'_, Result<Vec<String>, UserStoreError>>;

    /// Roles of a user; `None` when there is no such user.
    fn roles_of<'a>(&'a self, user: &'a str) -> BoxFuture<'a, Result<Option<Vec<String>>, UserStoreError>>;

    /// Users with a role; `None` when there is no such role.
    fn users_of<'a>(&'a self, role: &'a str) -> BoxFuture<'a, Result<Option<Vec<String>>, UserStoreError>>;

    /// Makes a change.
    fn change<'a>(&'a self, change: Change<'a>) -> BoxFuture<'a, Result<(), UserStoreError>>;

    /// The role of administrators.
    fn admin_role(&self) -> &str;

    /// The first administrator, who may do what other administrators may not.
    fn admin_user(&self) -> &str;
}
