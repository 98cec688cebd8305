//! Changes of a directory. MI: `ReadWriteLDAPUserStoreManager`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use mi_engine::users::Change;
use regex::Regex;
use sha1::{Digest, Sha1};

use super::filter::escape_dn;
use super::wire::{Connection, Edit, Entry, Refusal};
use super::{Answer, INTERNAL, LdapUsers, refused, unavailable};

/// MI: `ErrorMessages#ERROR_CODE_READONLY_USER_STORE`.
const READ_ONLY: &str = "30002 - InvalidOperation Invalid operation. User store is read only";
/// What a server says of an entry that is there already.
const ALREADY_THERE: u32 = 68;

/// What a server refuses is the asker's matter, what breaks is not.
fn changed(result: Result<(), Refusal>, what: &str) -> Answer<()> {
    result.map_err(|why| match why {
        Refusal::Code(..) => refused(format!("{what}: {why}")),
        Refusal::Broken(_) => unavailable(&why),
    })
}

fn fits(pattern: Option<&Regex>, text: &str) -> bool {
    !text.is_empty() && pattern.is_none_or(|it| it.is_match(text))
}

impl LdapUsers {
    pub(super) async fn make(&self, change: Change<'_>) -> Answer<()> {
        if !self.is_writable() {
            return Err(refused(READ_ONLY));
        }
        let groups = matches!(change, Change::AddRole(_) | Change::DeleteRole(_) | Change::SetRoles { .. });
        if groups && !self.config.write_groups {
            return Err(refused("Write groups is not enabled for the user store"));
        }
        self.check(&change)?;
        self.with(async |connection| match change {
            Change::AddUser { user, password, admin } => {
                self.add_user(connection, user, password).await?;
                if admin {
                    let roles = [self.config.admin_role.clone()];
                    self.give(connection, user, &roles).await?;
                }
                Ok(())
            }
            Change::DeleteUser(user) => self.delete_user(connection, user).await,
            Change::SetPassword { user, password } => {
                let entry = self.known(connection, user).await?;
                let password = self.stored(password)?;
                let done = connection.modify(&entry.dn, Edit::Replace, "userPassword", &password).await;
                changed(done, "The password is not changed")
            }
            Change::AddRole(role) => self.add_role(connection, role).await,
            Change::DeleteRole(role) => {
                let group = self.existing(connection, role).await?;
                changed(connection.delete(&group.dn).await, "The role is not deleted")
            }
            Change::SetRoles { user, added, removed } => {
                // What cannot be is found before anything is done.
                for role in added.iter().chain(removed) {
                    self.existing(connection, role).await?;
                }
                self.take(connection, user, removed).await?;
                self.give(connection, user, added).await
            }
        })
        .await
    }

    /// Names and passwords by their patterns. MI: `ERROR_CODE_INVALID_USER_NAME` and its kin.
    fn check(&self, change: &Change<'_>) -> Answer<()> {
        let shown = |pattern: Option<&Regex>| pattern.map_or(String::new(), |it| it.as_str().to_owned());
        if let Change::AddUser { user, .. } = change
            && !fits(self.user_pattern.as_ref(), user)
        {
            let format = shown(self.user_pattern.as_ref());
            return Err(refused(format!(
                "31301 - Username {user} is not valid. User name must be a non null string with following format, {format}"
            )));
        }
        if let Change::AddUser { password, .. } | Change::SetPassword { password, .. } = change
            && !fits(self.password_pattern.as_ref(), password)
        {
            let format = shown(self.password_pattern.as_ref());
            return Err(refused(format!(
                "30003 - Credential is not valid. Credential must be a non null string with following format, {format}"
            )));
        }
        if let Change::AddRole(role) = change
            && (!fits(self.role_pattern.as_ref(), role) || role.starts_with(INTERNAL))
        {
            let format = shown(self.role_pattern.as_ref());
            return Err(refused(format!(
                "30011 - InvalidRole Role name {role} is not valid. Role name must be a non null string with following format, \
                 {format}"
            )));
        }
        Ok(())
    }

    /// A password as the directory keeps it. MI: `UserCoreUtil#getPasswordToStore`.
    fn stored(&self, password: &str) -> Answer<Vec<u8>> {
        let method = self.config.password_hash.as_str();
        let digest = match method {
            "" | "PLAIN_TEXT" => return Ok(password.as_bytes().to_vec()),
            "SHA" => Sha1::digest(password).to_vec(),
            "MD5" => Md5::digest(password).to_vec(),
            _ => return Err(refused(format!("PasswordHashMethod {method} is not one of PLAIN_TEXT, SHA and MD5"))),
        };
        Ok(format!("{{{method}}}{}", STANDARD.encode(digest)).into_bytes())
    }

    async fn known(&self, connection: &mut Connection, user: &str) -> Answer<Entry> {
        let entry = self.user(connection, user, &["1.1"]).await?;
        entry.ok_or_else(|| refused(format!("The user : {user} does not exists")))
    }

    async fn existing(&self, connection: &mut Connection, role: &str) -> Answer<Entry> {
        let group = self.group(connection, role).await?;
        group.ok_or_else(|| refused(format!("The role: {role} does not exist.")))
    }

    async fn add_user(&self, connection: &mut Connection, user: &str, password: &str) -> Answer<()> {
        let attribute = self.config.user_attribute.as_str();
        let base = self.config.user_bases.first().ok_or_else(|| refused("UserSearchBase is empty"))?;
        let dn = format!("{attribute}={},{base}", escape_dn(user));
        let password = self.stored(password)?;
        let classes: Vec<&[u8]> = self.config.user_classes.iter().map(String::as_bytes).collect();
        let mut attributes = vec![
            ("objectClass", classes),
            (attribute, vec![user.as_bytes()]),
            ("userPassword", vec![password.as_slice()]),
        ];
        // What the usual classes of persons insist on. MI: `#setUserClaims`.
        let must = ["cn", "sn"].into_iter().filter(|name| !name.eq_ignore_ascii_case(attribute));
        attributes.extend(must.map(|name| (name, vec![user.as_bytes()])));
        match connection.add(&dn, &attributes).await {
            Err(Refusal::Code(ALREADY_THERE, _)) => Err(refused(format!(
                "30004 - ExistingUserUsername {user} already exists in the system. Please pick another username."
            ))),
            other => changed(other, "The user is not added"),
        }
    }

    async fn delete_user(&self, connection: &mut Connection, user: &str) -> Answer<()> {
        let entry = self.known(connection, user).await?;
        if self.config.write_groups && self.config.read_groups {
            let roles = self.groups_with(connection, &entry.dn).await?;
            self.take(connection, user, &roles).await?;
        }
        changed(connection.delete(&entry.dn).await, "The user is not deleted")
    }

    async fn add_role(&self, connection: &mut Connection, role: &str) -> Answer<()> {
        if self.group(connection, role).await?.is_some() {
            return Err(refused(format!("The role : {role} already exists")));
        }
        if !self.config.empty_roles {
            return Err(refused("Can not create empty role. There should be at least one user for the role."));
        }
        let attribute = self.config.group_attribute.as_str();
        let base = self.config.group_bases.first().ok_or_else(|| refused("GroupSearchBase is empty"))?;
        let dn = format!("{attribute}={},{base}", escape_dn(role));
        let attributes =
            [("objectClass", vec![self.config.group_class.as_bytes()]), (attribute, vec![role.as_bytes()])];
        changed(connection.add(&dn, &attributes).await, &format!("Role: {role} could not be added."))
    }

    /// How a user stands in a group.
    fn as_member<'e>(&self, entry: &'e Entry) -> &'e str {
        if self.config.membership.eq_ignore_ascii_case("memberUid") { super::first_value(&entry.dn) } else { &entry.dn }
    }

    async fn give(&self, connection: &mut Connection, user: &str, roles: &[String]) -> Answer<()> {
        let entry = self.known(connection, user).await?;
        let member = self.as_member(&entry);
        for role in roles {
            let group = self.existing(connection, role).await?;
            if group.values(&self.config.membership).iter().any(|it| it.eq_ignore_ascii_case(member)) {
                return Err(refused(format!("User: {user} already belongs to role: {role}")));
            }
            let done = connection.modify(&group.dn, Edit::Add, &self.config.membership, member.as_bytes()).await;
            changed(done, "The role is not given")?;
        }
        Ok(())
    }

    async fn take(&self, connection: &mut Connection, user: &str, roles: &[String]) -> Answer<()> {
        let entry = self.known(connection, user).await?;
        let member = self.as_member(&entry);
        for role in roles {
            let group = self.existing(connection, role).await?;
            let members = group.values(&self.config.membership);
            if !members.iter().any(|it| it.eq_ignore_ascii_case(member)) {
                return Err(refused(format!("User: {user} does not belongs to role: {role}")));
            }
            if members.len() == 1 && !self.config.empty_roles {
                return Err(refused(format!(
                    "{user} is the only user in the role: {role}. Hence can not delete user from role."
                )));
            }
            let done = connection.modify(&group.dn, Edit::Delete, &self.config.membership, member.as_bytes()).await;
            changed(done, "The role is not taken")?;
        }
        Ok(())
    }
}
