//! Users in a directory: the user store of the management API over LDAPv3. MI: `ReadOnlyLDAPUserStoreManager`,
//! `ReadWriteLDAPUserStoreManager`, `ActiveDirectoryUserStoreManager`.
//!
//! What a user types never becomes a part of a filter or a name without being escaped, an empty password is nobody's, and each
//! question to a directory ends within its deadline. Which requests ask a store, and who may ask, is the management API's matter.

mod ber;
mod change;
mod filter;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use mi_config::deployment::{LdapKind, LdapStore};
use mi_engine::users::{Change, EVERYONE, UserStore, UserStoreError};
use regex::Regex;
use tokio::sync::Semaphore;

use crate::tls::ClientTls;
use filter::{compile, escape, escape_dn, escape_pattern};
use wire::{Address, Connection, Entry, Reach, Refusal};

/// Questions at a time; the others wait, so that whoever guesses passwords does not keep a directory busy.
const AT_A_TIME: usize = 8;
/// Most users that are looked up as members of one role.
const MAX_MEMBERS: usize = 1000;
/// A role of this prefix is none of the directory.
const INTERNAL: &str = "Internal/";

/// The store.
#[derive(Debug)]
pub struct LdapUsers {
    config: LdapStore,
    addresses: Vec<Address>,
    tls: Arc<ClientTls>,
    room: Semaphore,
    user_list: Vec<u8>,
    group_list: Vec<u8>,
    user_pattern: Option<Regex>,
    role_pattern: Option<Regex>,
    password_pattern: Option<Regex>,
}

type Answer<T> = Result<T, UserStoreError>;

fn unavailable(why: &Refusal) -> UserStoreError {
    log::error!(target: "LDAPConnectionContext", "The user store does not answer as it should: {why}");
    UserStoreError::Unavailable(why.to_string())
}

fn refused(why: impl Into<String>) -> UserStoreError {
    UserStoreError::Refused(why.into())
}

/// As Java's `matches`: the whole text.
fn pattern(name: &str, text: Option<&String>) -> Result<Option<Regex>, String> {
    let compiled = text.map(|text| Regex::new(&format!("^(?:{text})$")));
    compiled.transpose().map_err(|error| format!("{name} is no regular expression: {error}"))
}

impl LdapUsers {
    /// A store as configured.
    ///
    /// # Errors
    /// An address, a filter or a regular expression cannot be read; the text says which.
    pub fn new(config: LdapStore, tls: Arc<ClientTls>) -> Result<Self, String> {
        let parse = |url: &String| {
            Address::parse(url, config.start_tls)
                .ok_or_else(|| format!("ConnectionURL: '{url}' is not ldap://host:port or ldaps://host:port"))
        };
        let addresses = config.urls.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        if addresses.is_empty() {
            return Err("ConnectionURL is empty".to_owned());
        }
        for open in addresses.iter().filter(|it| it.is_open()) {
            log::warn!(
                target: "LDAPConnectionContext",
                "Passwords of users go to the directory {}:{} without encryption. Use ldaps:// in connection_url, or \
                 user_store.properties.StartTLSEnabled",
                open.host,
                open.port
            );
        }
        let named = |name: &str, text: &str| compile(text).map_err(|why| format!("{name}: {why}"));
        for (name, text) in
            [("UserNameSearchFilter", &config.user_filter), ("GroupNameSearchFilter", &config.group_filter)]
        {
            named(name, &text.replace('?', "x"))?;
        }
        for (name, text) in
            [("UserNameAttribute", &config.user_attribute), ("GroupNameAttribute", &config.group_attribute)]
        {
            compile(&format!("({text}=x)")).map_err(|why| format!("{name}: {why}"))?;
        }
        if config.membership.is_empty() && config.member_of.is_none() {
            return Err("MembershipAttribute and MemberOfAttribute are empty; one is needed".to_owned());
        }
        Ok(Self {
            user_list: named("UserNameListFilter", &config.user_list_filter)?,
            group_list: named("GroupNameListFilter", &config.group_list_filter)?,
            user_pattern: pattern("UsernameJavaRegEx", config.user_pattern.as_ref())?,
            role_pattern: pattern("RolenameJavaRegEx", config.role_pattern.as_ref())?,
            password_pattern: pattern("PasswordJavaRegEx", config.password_pattern.as_ref())?,
            room: Semaphore::new(AT_A_TIME),
            addresses,
            tls,
            config,
        })
    }

    fn patience(&self) -> Duration {
        self.config.connect_timeout + self.config.read_timeout
    }

    /// A connection to the first server that answers; nobody is named on it yet.
    async fn open(&self) -> Result<Connection, Refusal> {
        let mut last = None;
        for address in &self.addresses {
            match Connection::open(address, &self.tls, self.config.connect_timeout, self.patience()).await {
                Ok(connection) => return Ok(connection),
                Err(why) => last = Some(why),
            }
        }
        Err(last.expect("there is an address"))
    }

    /// A connection for reading and writing entries.
    async fn connect(&self) -> Result<Connection, Refusal> {
        let mut connection = self.open().await?;
        if !self.config.anonymous {
            let (name, password) = (&self.config.connection_name, &self.config.connection_password.0);
            if !connection.bind(name, password).await? {
                let text = format!("the directory does not take ConnectionPassword of {name}");
                return Err(Refusal::Broken(std::io::Error::new(std::io::ErrorKind::PermissionDenied, text)));
            }
        }
        Ok(connection)
    }

    /// Works on a connection when it is its turn.
    async fn with<T>(&self, work: impl AsyncFnOnce(&mut Connection) -> Answer<T>) -> Answer<T> {
        let turn = tokio::time::timeout(self.patience(), self.room.acquire()).await;
        let _turn = turn.map_err(|_| UserStoreError::Unavailable("the user store is busy".to_owned()))?;
        let mut connection = self.connect().await.map_err(|why| unavailable(&why))?;
        let done = work(&mut connection).await;
        connection.close().await;
        done
    }

    async fn search(
        &self,
        connection: &mut Connection,
        bases: &[String],
        filter: &[u8],
        attributes: &[&str],
        most: usize,
    ) -> Answer<Vec<Entry>> {
        let mut all = Vec::new();
        for base in bases {
            let left = most.saturating_sub(all.len());
            if left == 0 {
                break;
            }
            let found = connection.search((base, Reach::Subtree), filter, attributes, left).await;
            all.extend(found.map_err(|why| unavailable(&why))?);
        }
        Ok(all)
    }

    /// A search filter for a name.
    fn named(filter: &str, name: &str) -> Answer<Vec<u8>> {
        compile(&filter.replace('?', &escape(name))).map_err(refused)
    }

    /// The entry of a user. MI: `#getNameInSpaceForUserName`.
    async fn user(&self, connection: &mut Connection, user: &str, attributes: &[&str]) -> Answer<Option<Entry>> {
        let filter = Self::named(&self.config.user_filter, user)?;
        Ok(self.search(connection, &self.config.user_bases, &filter, attributes, 1).await?.pop())
    }

    /// The entry of a role.
    async fn group(&self, connection: &mut Connection, role: &str) -> Answer<Option<Entry>> {
        if !self.config.read_groups {
            return Ok(None);
        }
        let filter = Self::named(&self.config.group_filter, role)?;
        let attributes = [self.config.group_attribute.as_str(), self.config.membership.as_str()];
        Ok(self.search(connection, &self.config.group_bases, &filter, &attributes, 1).await?.pop())
    }

    /// Names by which a user logs in: by pattern, else the one that a search finds.
    async fn names(&self, user: &str) -> Answer<Vec<String>> {
        if !self.config.user_dn_patterns.is_empty() {
            let name = escape_dn(user);
            return Ok(self.config.user_dn_patterns.iter().map(|it| it.replace("{0}", &name)).collect());
        }
        self.with(async |connection| {
            Ok(self.user(connection, user, &["1.1"]).await?.map(|it| it.dn).into_iter().collect())
        })
        .await
    }

    /// MI: `#doAuthenticate`.
    async fn is_password(&self, user: &str, password: &str) -> Answer<bool> {
        let user = user.trim();
        // A directory takes a name with an empty password for a question that nobody has asked. RFC 4513, 5.1.2.
        if user.is_empty() || password.is_empty() {
            return Ok(false);
        }
        for name in self.names(user).await?.iter().filter(|name| !name.is_empty()) {
            let turn = tokio::time::timeout(self.patience(), self.room.acquire()).await;
            let _turn = turn.map_err(|_| UserStoreError::Unavailable("the user store is busy".to_owned()))?;
            let mut connection = self.open().await.map_err(|why| unavailable(&why))?;
            let fits = connection.bind(name, password).await;
            connection.close().await;
            match fits {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                // Such as an account that is locked, or a name by a pattern that is none.
                Err(Refusal::Code(code, text)) => {
                    log::warn!(target: "ReadOnlyLDAPUserStoreManager", "Cannot bind a user: LDAP result code {code} {text}");
                }
                Err(why) => return Err(unavailable(&why)),
            }
        }
        Ok(false)
    }

    /// MI: `#doListUsers`.
    async fn list_users(&self, wanted: &str) -> Answer<Vec<String>> {
        if wanted.contains('?') || wanted.contains("**") {
            return Err(refused("Invalid character sequence entered for user serch. Please enter valid sequence."));
        }
        let attribute = self.config.user_attribute.as_str();
        let by_name = compile(&format!("({attribute}={})", escape_pattern(wanted))).map_err(refused)?;
        let filter = ber::list(0xa0, &[self.user_list.clone(), by_name]);
        let found = self
            .with(async |connection| {
                self.search(connection, &self.config.user_bases, &filter, &[attribute, "sn"], self.config.max_users)
                    .await
            })
            .await?;
        // Accounts of services are no users. MI: `SERVER_PRINCIPAL_ATTRIBUTE_VALUE`.
        let users = found.iter().filter(|it| it.first("sn") != Some("Service"));
        let mut names: Vec<String> = users.filter_map(|it| it.first(attribute).map(str::to_owned)).collect();
        names.sort();
        Ok(names)
    }

    /// MI: `#doGetRoleNames`, with the role that is everybody's.
    async fn list_roles(&self) -> Answer<Vec<String>> {
        let mut names = vec![EVERYONE.to_owned()];
        if self.config.read_groups {
            let attribute = self.config.group_attribute.as_str();
            let (bases, most) = (&self.config.group_bases, self.config.max_roles);
            let found = self
                .with(async |connection| self.search(connection, bases, &self.group_list, &[attribute], most).await)
                .await?;
            names.extend(found.iter().filter_map(|it| it.first(attribute).map(str::to_owned)));
        }
        Ok(names)
    }

    /// MI: `#getLDAPRoleListOfUser`, and the roles that are no groups.
    async fn roles_of_user(&self, connection: &mut Connection, user: &str) -> Answer<Option<Vec<String>>> {
        let member_of = self.config.member_of.as_deref();
        let Some(entry) = self.user(connection, user, &[member_of.unwrap_or("1.1")]).await? else { return Ok(None) };
        let mut roles = vec![EVERYONE.to_owned()];
        if self.config.read_groups {
            roles.extend(match member_of {
                Some(attribute) => self.groups_by_name(connection, entry.values(attribute)).await?,
                None => self.groups_with(connection, &entry.dn).await?,
            });
        }
        let admin = &self.config.admin_role;
        // Whoever is named as the administrator is one, also in a directory without that group. MI: `#addInitialAdminData`.
        if user.eq_ignore_ascii_case(&self.config.admin_user) && !roles.contains(admin) {
            roles.push(admin.clone());
        }
        Ok(Some(roles))
    }

    async fn groups_with(&self, connection: &mut Connection, dn: &str) -> Answer<Vec<String>> {
        // Members of a posixGroup stand there by their name alone.
        let member = if self.config.membership.eq_ignore_ascii_case("memberUid") { first_value(dn) } else { dn };
        let by_member = compile(&format!("({}={})", self.config.membership, escape(member))).map_err(refused)?;
        let filter = ber::list(0xa0, &[self.group_list.clone(), by_member]);
        let attribute = self.config.group_attribute.as_str();
        let found = self.search(connection, &self.config.group_bases, &filter, &[attribute], MAX_MEMBERS).await?;
        Ok(found.iter().filter_map(|it| it.first(attribute).map(str::to_owned)).collect())
    }

    async fn groups_by_name(&self, connection: &mut Connection, groups: &[String]) -> Answer<Vec<String>> {
        let attribute = self.config.group_attribute.as_str();
        let mut names = Vec::new();
        for dn in groups.iter().take(MAX_MEMBERS) {
            let found = connection.search((dn, Reach::Base), &self.group_list, &[attribute], 1).await;
            let found = found.map_err(|why| unavailable(&why))?;
            names.extend(found.iter().filter_map(|it| it.first(attribute).map(str::to_owned)));
        }
        Ok(names)
    }

    /// MI: `#getUserListOfLDAPRole`.
    async fn users_of_role(&self, role: &str) -> Answer<Option<Vec<String>>> {
        if role == EVERYONE {
            return self.list_users("*").await.map(Some);
        }
        self.with(async |connection| {
            let Some(group) = self.group(connection, role).await? else { return Ok(None) };
            let attribute = self.config.user_attribute.as_str();
            let mut names = Vec::new();
            for member in group.values(&self.config.membership).iter().take(MAX_MEMBERS) {
                let entry = if self.config.membership.eq_ignore_ascii_case("memberUid") {
                    self.user(connection, member, &[attribute]).await?
                } else {
                    let found = connection.search((member, Reach::Base), &self.user_list, &[attribute], 1).await;
                    found.map_err(|why| unavailable(&why))?.pop()
                };
                names.extend(entry.and_then(|it| it.first(attribute).map(str::to_owned)));
            }
            Ok(Some(names))
        })
        .await
    }

    fn is_writable(&self) -> bool {
        self.config.kind == LdapKind::ReadWrite
    }
}

/// The value of the first part of a name.
fn first_value(dn: &str) -> &str {
    let value = dn.split_once('=').map_or(dn, |(_, rest)| rest);
    value.split(',').next().unwrap_or_default()
}

impl UserStore for LdapUsers {
    fn authenticate<'a>(&'a self, user: &'a str, password: &'a str) -> BoxFuture<'a, Answer<bool>> {
        self.is_password(user, password).boxed()
    }

    fn users<'a>(&'a self, pattern: &'a str) -> BoxFuture<'a, Answer<Vec<String>>> {
        self.list_users(pattern).boxed()
    }

    fn roles(&self) -> BoxFuture<'_, Answer<Vec<String>>> {
        self.list_roles().boxed()
    }

    fn roles_of<'a>(&'a self, user: &'a str) -> BoxFuture<'a, Answer<Option<Vec<String>>>> {
        async move { self.with(async |connection| self.roles_of_user(connection, user).await).await }.boxed()
    }

    fn users_of<'a>(&'a self, role: &'a str) -> BoxFuture<'a, Answer<Option<Vec<String>>>> {
        self.users_of_role(role).boxed()
    }

    fn change<'a>(&'a self, change: Change<'a>) -> BoxFuture<'a, Answer<()>> {
        self.make(change).boxed()
    }

    fn admin_role(&self) -> &str {
        &self.config.admin_role
    }

    fn admin_user(&self) -> &str {
        &self.config.admin_user
    }
}
