//! `[user_store]` and `[super_admin]`: users of the management API in a directory. They count when the file user store is
//! off (`internal_apis.file_user_store.enable = false`), as in MI.

use std::time::Duration;

use super::model::{LdapKind, LdapStore, Secret};
use super::read::{Reader, is_true};

/// Short keys and the properties that they set. MI: `key-mappings.json`.
pub(super) const USER_STORE: &[(&str, &str)] = &[
    ("user_store.read_groups", "ReadGroups"),
    ("user_store.write_groups", "WriteGroups"),
    ("user_store.connection_url", "ConnectionURL"),
    ("user_store.connection_name", "ConnectionName"),
    ("user_store.connection_password", "ConnectionPassword"),
    ("user_store.anonymous_bind", "AnonymousBind"),
    ("user_store.user_search_base", "UserSearchBase"),
    ("user_store.user_name_attribute", "UserNameAttribute"),
    ("user_store.user_name_search_filter", "UserNameSearchFilter"),
    ("user_store.user_name_list_filter", "UserNameListFilter"),
    ("user_store.user_dn_pattern", "UserDNPattern"),
    ("user_store.user_entry_object_class", "UserEntryObjectClass"),
    ("user_store.group_search_base", "GroupSearchBase"),
    ("user_store.group_name_attribute", "GroupNameAttribute"),
    ("user_store.group_name_search_filter", "GroupNameSearchFilter"),
    ("user_store.group_name_list_filter", "GroupNameListFilter"),
    ("user_store.group_entry_object_class", "GroupEntryObjectClass"),
    ("user_store.membership_attribute", "MembershipAttribute"),
    ("user_store.member_of_attribute", "MemberOfAttribute"),
    ("user_store.empty_roles_allowed", "EmptyRolesAllowed"),
    ("user_store.password_hash_method", "PasswordHashMethod"),
    ("user_store.max_user_name_list_length", "MaxUserNameListLength"),
    ("user_store.max_role_name_list_length", "MaxRoleNameListLength"),
    ("user_store.ldap_connection_timeout", "LDAPConnectionTimeout"),
    ("user_store.read_timeout", "ReadTimeout"),
    ("user_store.username_java_regex", "UsernameJavaRegEx"),
    ("user_store.rolename_java_regex", "RolenameJavaRegEx"),
    ("user_store.password_java_regex", "PasswordJavaRegEx"),
    ("user_store.ssl_certificate_validation_enabled", "SSLCertificateValidationEnabled"),
];

/// Settings that change nothing here: what they tune is not there, or is always done.
pub(super) const WITHOUT_EFFECT: &[&str] = &[
    "back_links_enabled",
    "case_insensitive_username",
    "connection_pooling_enabled",
    "connection_retry_delay",
    "count_retriever_class",
    "case_sensitive_authorization_rules",
    "disable",
    "domain_name",
    "is_bulk_import_supported",
    "membership_attribute_range",
    "multi_attribute_separator",
    "notification_receivers_retrieval_class",
    "password_java_regex_violation_error_msg",
    "password_javascript_regex",
    "read_only",
    "replace_escape_characters_at_user_login",
    "retry_attempts",
    "rolename_javascript_regex",
    "scim_enabled",
    "use_case_sensitive_username_for_cache_keys",
    "user_roles_cache_enabled",
    "username_java_regex_violation_error_msg",
    "username_javascript_regex",
];

/// Settings that another answer than the default would need code for that is not there.
const UNSUPPORTED: &[&str] = &["display_name_attribute", "kdc_enabled", "role_dn_pattern"];

impl Reader<'_> {
    /// The directory with the users, when they are to come from one.
    pub(super) fn user_store(&mut self) -> Option<LdapStore> {
        let kind = self.kind();
        let properties = self.properties_of_store();
        for name in WITHOUT_EFFECT {
            self.table.text(&format!("user_store.{name}"));
        }
        let admin = (self.text(&["super_admin.username"]), self.text(&["super_admin.admin_role"]));
        for name in ["super_admin.password", "super_admin.create_admin_account"] {
            self.table.text(name);
        }
        if self.flag("internal_apis.file_user_store.enable", true) {
            // MI ships a type with the file user store on; whoever names a directory means something.
            let named = ["user_store.class", "user_store.connection_url", "user_store.properties.ConnectionURL"];
            if let Some(key) = named.into_iter().find(|key| self.table.text(key).is_some()) {
                let message = format!(
                    "the setting {key} has no effect: users are those of [[internal_apis.users]] unless \
                     internal_apis.file_user_store.enable is false"
                );
                self.table.warn(key, message, self.out);
            }
            return None;
        }
        let Some(kind) = kind else {
            let message = "user_store.type must be read_only_ldap, read_write_ldap or active_directory when the file user \
                           store is off; nobody can log in to the management API";
            let key = if self.table.text("user_store.type").is_some() {
                "user_store.type"
            } else {
                "internal_apis.file_user_store.enable"
            };
            self.table.warn(key, message.to_owned(), self.out);
            return None;
        };
        for name in UNSUPPORTED {
            let key = format!("user_store.{name}");
            if self.table.text(&key).is_some_and(|text| !text.trim().is_empty() && !text.eq_ignore_ascii_case("false"))
            {
                self.table.warn(&key, format!("the setting {key} is not supported by this server"), self.out);
            }
        }
        let base = self.text(&["user_store.base_dn"]).unwrap_or_else(|| "dc=wso2,dc=org".to_owned());
        let mut store = LdapStore::of(kind, &base);
        store.admin_user = admin.0.unwrap_or(store.admin_user);
        store.admin_role = admin.1.unwrap_or(store.admin_role);
        for (name, key, value) in properties {
            if let Err(why) = store.set(&name, value) {
                self.table.warn(&key, format!("{key} {why}; the default is used"), self.out);
            }
        }
        Some(store)
    }

    fn kind(&self) -> Option<LdapKind> {
        let named = match self.text(&["user_store.type"]).unwrap_or_default().trim() {
            "read_only_ldap" | "ldap" => Some(LdapKind::ReadOnly),
            "read_write_ldap" => Some(LdapKind::ReadWrite),
            "active_directory" => Some(LdapKind::ActiveDirectory),
            _ => None,
        };
        let class = self.text(&["user_store.class"]).unwrap_or_default();
        let by_class = match class.trim().rsplit('.').next().unwrap_or_default() {
            "ReadOnlyLDAPUserStoreManager" => Some(LdapKind::ReadOnly),
            "ReadWriteLDAPUserStoreManager" => Some(LdapKind::ReadWrite),
            "ActiveDirectoryUserStoreManager" => Some(LdapKind::ActiveDirectory),
            _ => None,
        };
        by_class.or(named)
    }

    /// Properties by name, each with the key that set it.
    fn properties_of_store(&self) -> Vec<(String, String, String)> {
        const SECTION: &str = "user_store.properties";
        let below = self.table.below(SECTION).into_iter().map(|(name, value)| {
            let key = format!("{SECTION}.{name}");
            (name, key, value)
        });
        let short = USER_STORE
            .iter()
            .filter_map(|(key, name)| Some(((*name).to_owned(), (*key).to_owned(), self.table.text(key)?)));
        below.chain(short).collect()
    }
}

impl LdapStore {
    /// With MI's defaults. MI: `infer.json`; those of Active Directory are of `ActiveDirectoryUserStoreConstants`.
    fn of(kind: LdapKind, base: &str) -> Self {
        let owned = str::to_owned;
        let mut store = Self {
            kind,
            urls: vec![owned("ldap://localhost:10389")],
            start_tls: false,
            validate_certificates: true,
            connection_name: owned("uid=admin,ou=system"),
            connection_password: Secret(owned("admin")),
            anonymous: false,
            user_bases: vec![format!("ou=Users,{base}")],
            user_attribute: owned("uid"),
            user_filter: owned("(&(objectClass=person)(uid=?))"),
            user_list_filter: owned("(objectClass=person)"),
            user_dn_patterns: Vec::new(),
            user_classes: vec![owned("identityPerson")],
            read_groups: true,
            write_groups: kind == LdapKind::ReadWrite,
            group_bases: vec![format!("ou=Groups,{base}")],
            group_attribute: owned("cn"),
            group_filter: owned("(&(objectClass=groupOfNames)(cn=?))"),
            group_list_filter: owned("(objectClass=groupOfNames)"),
            group_class: owned("groupOfNames"),
            membership: owned("member"),
            member_of: None,
            empty_roles: true,
            password_hash: owned("PLAIN_TEXT"),
            max_users: 100,
            max_roles: 100,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(10),
            user_pattern: Some(owned(r"[a-zA-Z0-9._\-|//]{3,30}$")),
            role_pattern: Some(owned(r"[a-zA-Z0-9._\-|//]{3,30}$")),
            password_pattern: Some(owned(r"^[\S]{5,30}$")),
            admin_user: owned("admin"),
            admin_role: owned("admin"),
        };
        if kind == LdapKind::ActiveDirectory {
            store.user_attribute = owned("cn");
            store.user_filter = owned("(&(objectClass=user)(cn=?))");
            store.user_list_filter = owned("(objectClass=person)");
            store.user_classes = vec![owned("user")];
            store.group_filter = owned("(&(objectClass=group)(cn=?))");
            store.group_list_filter = owned("(objectcategory=group)");
            store.group_class = owned("group");
            store.member_of = Some(owned("memberOf"));
        }
        store
    }

    /// Sets a property by MI's name; one that is not known changes nothing.
    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        // MI puts the text into an XML file, and its documentation writes `&amp;` in filters.
        let value = value.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">");
        let whole = value.trim().to_owned();
        let bases = || whole.split('#').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect();
        let number = || whole.parse::<u64>().map_err(|_| format!("must be a number, not '{whole}'"));
        let count = || Ok::<_, String>(usize::try_from(number()?).unwrap_or(usize::MAX));
        let pattern = || Some(whole.clone()).filter(|it| !it.is_empty());
        match name {
            "ConnectionURL" => self.urls = whole.split_whitespace().map(str::to_owned).collect(),
            "ConnectionName" => self.connection_name = whole,
            "ConnectionPassword" => self.connection_password = Secret(value),
            "AnonymousBind" => self.anonymous = is_true(&whole),
            "StartTLSEnabled" => self.start_tls = is_true(&whole),
            "SSLCertificateValidationEnabled" => self.validate_certificates = is_true(&whole),
            "UserSearchBase" => self.user_bases = bases(),
            "UserNameAttribute" => self.user_attribute = whole,
            "UserNameSearchFilter" => self.user_filter = whole,
            "UserNameListFilter" => self.user_list_filter = whole,
            "UserDNPattern" => self.user_dn_patterns = bases(),
            "UserEntryObjectClass" => {
                self.user_classes =
                    whole.split('/').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect();
            }
            "ReadGroups" => self.read_groups = is_true(&whole),
            "WriteGroups" => self.write_groups = is_true(&whole) && self.kind == LdapKind::ReadWrite,
            "GroupSearchBase" => self.group_bases = bases(),
            "GroupNameAttribute" => self.group_attribute = whole,
            "GroupNameSearchFilter" => self.group_filter = whole,
            "GroupNameListFilter" => self.group_list_filter = whole,
            "GroupEntryObjectClass" => self.group_class = whole,
            "MembershipAttribute" => self.membership = whole,
            "MemberOfAttribute" => self.member_of = pattern(),
            "EmptyRolesAllowed" | "empty_roles_allowed" => self.empty_roles = is_true(&whole),
            "PasswordHashMethod" => self.password_hash = whole,
            "MaxUserNameListLength" => self.max_users = count()?,
            "MaxRoleNameListLength" => self.max_roles = count()?,
            "LDAPConnectionTimeout" => self.connect_timeout = Duration::from_millis(number()?.clamp(1, 60_000)),
            "ReadTimeout" => self.read_timeout = Duration::from_millis(number()?.clamp(1, 60_000)),
            "UsernameJavaRegEx" => self.user_pattern = pattern(),
            "RolenameJavaRegEx" => self.role_pattern = pattern(),
            "PasswordJavaRegEx" => self.password_pattern = pattern(),
            _ => {}
        }
        Ok(())
    }
}
