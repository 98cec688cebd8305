use super::*;

struct Outside;

impl Placeholders for Outside {
    fn environment(&self, name: &str) -> Option<String> {
        (name == "DB_HOST").then(|| "db1".to_owned())
    }
    fn file_property(&self, _: &str) -> Option<String> {
        None
    }
    fn config(&self, _: &str) -> Option<String> {
        None
    }
    fn system_property(&self, name: &str) -> Option<String> {
        (name == "portOffset").then(|| "200".to_owned())
    }
    fn secret(&self, alias: &str) -> Option<String> {
        (alias == "mounted").then(|| "from a file".to_owned())
    }
}

struct Nothing;

impl Placeholders for Nothing {
    fn environment(&self, _: &str) -> Option<String> {
        None
    }
    fn file_property(&self, _: &str) -> Option<String> {
        None
    }
    fn config(&self, _: &str) -> Option<String> {
        None
    }
    fn system_property(&self, _: &str) -> Option<String> {
        None
    }
}

/// Parses a file that must give these findings and no others.
#[track_caller]
fn check(text: &str, findings: &[&str]) -> Deployment {
    let (deployment, out) = Deployment::parse("d.toml", text, &Nothing);
    let got: Vec<String> = out.iter().map(ToString::to_string).collect();
    assert_eq!(got, findings);
    deployment
}

#[test]
fn without_a_file_the_defaults_of_mi_hold() {
    let it = Deployment::default();
    assert_eq!(
        (it.http_port(), it.https_port(), it.internal_http_port(), it.internal_https_port()),
        (8290, 8253, 9201, 9164)
    );
    assert!(it.server.hot_deployment && it.server.graceful_shutdown && it.management.jwt);
    assert_eq!((it.http.socket_timeout_ms, it.mediation.global_timeout_ms), (180_000, 120_000));
    assert!(it.mediation.json.auto_primitive && !it.mediation.json.preserve_namespace);
    assert!(it.mediation.cors.enabled && it.mediation.cors.allow_origins.is_empty());
    assert_eq!(it.management.users.len(), 1);
    assert_eq!(it.primary_keystore.file, "repository/resources/security/wso2carbon.jks");
}

#[test]
fn spellings_of_ports_and_switches_mean_the_same() {
    for text in [
        "[transport.http]\nlistener.port = 1\nlistener.secured_port = 2",
        "[transport.http.listener]\nport = '1'\nsecured_port = 2",
        "[transport.passthru.http.listener]\nport = 1\n[transport.passthru.https.listener]\nport = 2",
        "[transport.http.listener.parameter]\nport = 1\n[transport.https.listener.parameter]\nport = 2",
    ] {
        let it = check(text, &[]);
        assert_eq!((it.http.http.port, it.http.https.port), (1, 2), "{text}");
    }
    for text in [
        "[mediation]\nsynapse.enable_auto_primitive = false",
        "[synapse_properties]\n'synapse.commons.json.output.autoPrimitive' = \"false\"",
    ] {
        assert!(!check(text, &[]).mediation.json.auto_primitive, "{text}");
    }
    let it =
        check("[transport.http]\nmax_worker_pool_size = 500\n[server]\nhot_deployment = \"false\"\noffset = 0", &[]);
    assert_eq!((it.server.hot_deployment, it.http_port()), (false, 8280));
}

#[test]
fn slips_are_reported_with_their_place() {
    check(
        "[server]\nhostnam = 'x'\n[transport.http]\nsocket_timeot = 1\n",
        &[
            "d.toml:2:1: the setting server.hostnam has no effect (did you mean server.hostname?)",
            "d.toml:4:1: the setting transport.http.socket_timeot has no effect (did you mean transport.http.socket_timeout?)",
        ],
    );
    check(
        "[sever]\na = 1\n[[severs]]\nb = 1",
        &["d.toml:2:1: the setting sever.a has no effect", "d.toml:4:1: the tables [[severs]] have no effect"],
    );
    let it = check(
        "[server]\noffset = 'many'\n[mediation]\nsynapse.global_timeout_interval = 'x'",
        &[
            "d.toml:2:1: server.offset must be a number, not 'many'; the default is used",
            "d.toml:4:9: mediation.synapse.global_timeout_interval must be a number, not 'x'; the default is used",
        ],
    );
    assert_eq!((it.server.offset, it.mediation.global_timeout_ms), (10, 120_000));
}

#[test]
fn what_mi_obeys_and_this_server_does_not_is_said() {
    check(
        "[user_store]\ntype = 'database'\nclass = 'x'\n[[transport.jms.listener]]\nname = 'a'",
        &[
            "d.toml:3:1: the setting user_store.class has no effect: users are those of [[internal_apis.users]] unless \
         internal_apis.file_user_store.enable is false",
            "d.toml:5:1: the tables [[transport.jms.listener]] are not supported: services and endpoints of this transport \
         are not available",
        ],
    );
    let revocation = "the setting transport.http.sender.certificate_revocation_verifier_enable is not supported: \
                      revocation is not checked";
    for value in ["true", "'True'"] {
        let text = format!("[transport.http.sender]\ncertificate_revocation_verifier_enable = {value}");
        check(&text, &[&format!("d.toml:2:1: {revocation}")]);
    }
    // By each of the spellings of a property; the value that holds anyway changes nothing.
    let offset = "is not supported: ports of inbound endpoints are used as they are";
    for key in ["mediation.inbound.port_offset_enable", "synapse_properties.'inbound.port.offset.enable'"] {
        check(&format!("{key} = false"), &[]);
        check(&format!("{key} = true"), &[&format!("d.toml:1:{}: the setting {} {offset}", column(key), plain(key))]);
    }
    check("[transport.http]\ncore_worker_pool_size = 10\n[mediation]\ninbound.core_threads = 3", &[]);
}

/// Column of the last part of a key.
fn column(key: &str) -> usize {
    key.find(".'").or_else(|| key.rfind('.')).map_or(1, |at| at + 2)
}

fn plain(key: &str) -> String {
    key.replace('\'', "")
}

#[test]
fn placeholders_come_from_outside_and_from_the_file() {
    let text = r#"
[server]
hostname = "h"
[secrets]
db = "[se]cret]"
enc = "bm90IHBsYWlu"
[[datasource]]
id = "d"
url = "jdbc:mysql://$env{DB_HOST}/$ref{server.hostname}"
username = "$secret{mounted}"
password = "$secret{db}"
pool_options.maxActive = 50
[keystore.primary]
password = "$secret{enc}"
[truststore]
password = "$env{NONE}"
"#;
    let (it, out) = Deployment::parse("d.toml", text, &Outside);
    let source = &it.datasources[0];
    assert_eq!((source.url.as_str(), source.pool["maxActive"].as_str()), ("jdbc:mysql://db1/h", "50"));
    assert_eq!((source.username.as_deref(), source.password.as_deref()), (Some("from a file"), Some("se]cret")));
    let errors: Vec<String> = out.iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].contains("the secret enc is encrypted"), "{errors:?}");
    assert!(errors[1].contains("the environment variable NONE is not set"), "{errors:?}");
    assert_eq!(it.http_port(), 8480);
}

#[test]
fn cycles_of_references_end() {
    let (_, out) = Deployment::parse("d.toml", "[a]\nx = '$ref{a.y}'\ny = '$ref{a.x}'", &Outside);
    assert_eq!(out.errors(), 2);
}

#[test]
fn management_over_plain_http() {
    let of = |protocols: &str| {
        let it = check(protocols, &[]).management;
        (it.http, it.https)
    };
    assert_eq!(of(""), (PlainHttp::ThisMachine, true));
    assert_eq!(of("[management_api]\nprotocols = \"https http\""), (PlainHttp::Everybody, true));
    assert_eq!(of("[management_api]\nprotocols = \"http\""), (PlainHttp::Everybody, false));
}

#[test]
fn management_users_and_cors() {
    let it = check(
        r#"
[[internal_apis.users]]
user.name = "a"
user.password = "b"
user.is_admin = false
[management_api]
protocols = "https"
[management_api.jwt_token_security_handler]
enable = false
token_config.expiry = "60"
[synapse_properties]
'synapse.rest.CORSConfig.Access-Control-Allow-Origin' = "http://a, http://b"
"#,
        &[],
    );
    assert_eq!((it.management.http, it.management.https, it.management.jwt), (PlainHttp::Off, true, false));
    assert_eq!((it.management.users[0].name.as_str(), it.management.token_expiry_s), ("a", 60));
    assert_eq!(it.mediation.cors.allow_origins, ["http://a", "http://b"]);
}

#[test]
fn a_broken_file_gives_errors_and_what_could_be_read() {
    let (it, out) = Deployment::parse("d.toml", "[server]\nhostname = \"h\"\noffset = = 1\n", &Nothing);
    assert!(out.has_errors());
    assert_eq!(it.server.hostname, "h");
}

#[test]
fn users_of_a_directory() {
    let off = "[internal_apis.file_user_store]\nenable = false\n";
    let kind = |text: &str| check(&format!("{off}{text}"), &[]).management.user_store.map(|it| it.kind);
    assert_eq!(kind("[user_store]\ntype = 'read_only_ldap'"), Some(LdapKind::ReadOnly));
    assert_eq!(kind("[user_store]\ntype = 'read_write_ldap'"), Some(LdapKind::ReadWrite));
    let class = "[user_store]\nclass = 'org.wso2.x.ActiveDirectoryUserStoreManager'";
    assert_eq!(kind(class), Some(LdapKind::ActiveDirectory));
    assert_eq!(check("[user_store]\ntype = 'read_only_ldap'", &[]).management.user_store, None, "the file counts");

    let text = "[super_admin]\nusername = 'boss'\nadmin_role = 'ops'\n[user_store]\ntype = 'read_only_ldap'\nbase_dn = 'dc=x'\n\
                connection_url = 'ldaps://a ldap://b:1'\nuser_name_search_filter = '(&amp;(a=b)(uid=?))'\nscim_enabled = true\n\
                write_groups = true\nuser_dn_pattern = 'uid={0},ou=a#uid={0},ou=b'\n\
                [user_store.properties]\nReadTimeout = '250'\nStartTLSEnabled = 'true'";
    let store = check(&format!("{off}{text}"), &[]).management.user_store.expect("a store");
    assert_eq!(store.urls, ["ldaps://a", "ldap://b:1"]);
    assert_eq!((store.user_filter.as_str(), store.group_bases[0].as_str()), ("(&(a=b)(uid=?))", "ou=Groups,dc=x"));
    assert_eq!((store.user_dn_patterns.len(), store.write_groups, store.start_tls), (2, false, true));
    assert_eq!((store.admin_user.as_str(), store.admin_role.as_str()), ("boss", "ops"));
    assert_eq!(store.read_timeout, std::time::Duration::from_millis(250));

    let nobody = "nobody can log in to the management API";
    let must =
        "user_store.type must be read_only_ldap, read_write_ldap or active_directory when the file user store is off";
    check(&format!("{off}[user_store]\ntype = 'database'"), &[&format!("d.toml:4:1: {must}; {nobody}")]);
    check(
        &format!("{off}[user_store]\ntype = 'read_only_ldap'\nread_timeout = 'soon'\nkdc_enabled = true"),
        &[
            "d.toml:6:1: the setting user_store.kdc_enabled is not supported by this server",
            "d.toml:5:1: user_store.read_timeout must be a number, not 'soon'; the default is used",
        ],
    );
}
