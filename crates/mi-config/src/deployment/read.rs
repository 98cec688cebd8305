//! From full keys to the typed model.

use std::str::FromStr;

use crate::diagnostic::Diagnostics;
use crate::scope::Placeholders;

use super::keys::{PASSTHRU, PASSTHRU_DEFAULTS, SYNAPSE, SYNAPSE_DEFAULTS};
use super::model::*;
use super::table::Table;
use super::{Deployment, TableSettings};

pub(super) const KEYSTORE_FILE: &str = "repository/resources/security/wso2carbon.jks";
pub(super) const TRUSTSTORE_FILE: &str = "repository/resources/security/client-truststore.jks";
const PASSWORD: &str = "wso2carbon";
/// The offset that MI's start script gives when nobody does.
const DEFAULT_OFFSET: u16 = 10;
const DEFAULT_ROLES: [&str; 3] = ["EnterpriseIntegrator", "EnterpriseServiceBus", "DataServicesServer"];

/// Keys that are read here, for hints.
pub(super) const KEYS: &[&str] = &[
    "cluster_config.node_id",
    "cluster_config.group_id",
    "cluster_config.arbiter",
    "cluster_config.lease_seconds",
    "server.hostname",
    "server.offset",
    "server.hot_deployment",
    "server.graceful_shutdown_enabled",
    "server.graceful_shutdown_timeout",
    "server.roles",
    "transport.http.listener.enable",
    "transport.http.listener.port",
    "transport.http.listener.bind_address",
    "transport.http.listener.secured_enable",
    "transport.http.listener.secured_port",
    "transport.http.listener.secured_bind_address",
    "transport.http.listener.secured_protocols",
    "transport.http.listener.verify_client",
    "transport.http.preserve_http_headers",
    "transport.http.sender.proxy_host",
    "transport.http.sender.proxy_port",
    "transport.http.sender.secured_proxy_host",
    "transport.http.sender.secured_proxy_port",
    "transport.http.sender.non_proxy_hosts",
    "transport.http.sender.hostname_verifier",
    "keystore.primary.file_name",
    "keystore.primary.password",
    "keystore.primary.key_password",
    "keystore.primary.alias",
    "keystore.primary.type",
    "truststore.file_name",
    "truststore.password",
    "truststore.type",
    "management_api.protocols",
    "management_api.basic_security_handler.enable",
    "management_api.cors.enable",
    "management_api.cors.allowed_origins",
    "management_api.cors.allowed_headers",
    "internal_apis.file_user_store.enable",
    "user_store.type",
    "user_store.class",
    "user_store.base_dn",
    "super_admin.username",
    "super_admin.admin_role",
];

/// The settings of a file and the place for complaints about them.
pub(super) struct Reader<'r> {
    pub(super) table: &'r Table,
    pub(super) out: &'r mut Diagnostics,
}

pub(super) fn deployment(table: &Table, outside: &dyn Placeholders, out: &mut Diagnostics) -> Deployment {
    let mut synapse = properties(table, "synapse_properties", SYNAPSE, SYNAPSE_DEFAULTS);
    synapse.extend(telemetry(table));
    let passthru = properties(table, "passthru_properties", PASSTHRU, PASSTHRU_DEFAULTS);
    let mut reader = Reader { table, out };
    let primary_keystore = reader.keystore("keystore.primary", None);
    let truststore = reader.truststore("truststore", "file_name", None);
    let server = reader.server(outside);
    let http = reader.http(&passthru, &primary_keystore, &truststore, outside);
    let mediation = reader.mediation(&synapse);
    let cluster = reader.cluster();
    let management = reader.management(&primary_keystore, &truststore);
    Deployment {
        server,
        http,
        mediation,
        management,
        primary_keystore,
        truststore,
        cluster,
        synapse_properties: synapse,
        datasources: table.tables("datasource").iter().map(data_source).collect(),
    }
}

/// Defaults, then the section itself, then the short names. MI: the key mapping wins over the section.
fn properties(table: &Table, section: &str, short: &[(&str, &str)], defaults: &[(&str, &str)]) -> TableSettings {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let mut map: TableSettings = defaults.iter().map(owned).collect();
    map.extend(table.below(section));
    let given = short.iter().filter_map(|(key, property)| Some(((*property).to_owned(), table.text(key)?)));
    map.extend(given);
    map
}

/// `[[opentelemetry.properties]]` and `[[opentelemetry.resource_attributes]]`. MI: `synapse.properties.j2`.
fn telemetry(table: &Table) -> Vec<(String, String)> {
    let named = |section: &str| {
        let tables = table.tables(section);
        tables.iter().filter_map(|it| Some((it.text("name")?, it.text("value")?))).collect::<Vec<_>>()
    };
    let properties = named("opentelemetry.properties").into_iter();
    let mut found: Vec<_> =
        properties.map(|(name, value)| (format!("opentelemetry.properties.{name}"), value)).collect();
    let attributes = named("opentelemetry.resource_attributes");
    if !attributes.is_empty() {
        let pairs: Vec<String> = attributes.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        found.push(("opentelemetry.properties.resource_attributes".to_owned(), pairs.join(",")));
    }
    found
}

pub(super) fn is_true(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case("true")
}

impl Reader<'_> {
    pub(super) fn text(&self, keys: &[&str]) -> Option<String> {
        self.table.any_text(keys).filter(|text| !text.trim().is_empty())
    }

    pub(super) fn flag(&self, key: &str, default: bool) -> bool {
        self.table.text(key).map_or(default, |text| is_true(&text))
    }

    fn number<T: FromStr>(&mut self, keys: &[&str], default: T) -> T {
        let Some(text) = self.text(keys) else { return default };
        match text.trim().parse() {
            Ok(number) => number,
            Err(_) => {
                let key = keys.iter().find(|key| self.table.text(key).is_some()).copied().unwrap_or_default();
                self.table.warn(key, format!("{key} must be a number, not '{text}'; the default is used"), self.out);
                default
            }
        }
    }

    /// A number of a map of properties, wherever it was set.
    fn property<T: FromStr>(&mut self, map: &TableSettings, key: &str, default: T) -> T {
        let Some(text) = map.get(key).filter(|text| !text.trim().is_empty()) else { return default };
        match text.trim().parse() {
            Ok(number) => number,
            Err(_) => {
                let sections = ["synapse_properties", "passthru_properties"].map(|section| format!("{section}.{key}"));
                let short = SYNAPSE.iter().chain(PASSTHRU).filter(|(_, property)| *property == key);
                let mut spellings = short.map(|(short, _)| *short).chain(sections.iter().map(String::as_str));
                let origin = spellings.find(|it| self.table.text(it).is_some()).unwrap_or(key);
                let message = format!("{origin} must be a number, not '{text}'; the default is used");
                self.table.warn(origin, message, self.out);
                default
            }
        }
    }

    fn keystore(&self, section: &str, parent: Option<&KeyStore>) -> KeyStore {
        let own = |name: &str| self.text(&[&format!("{section}.{name}")]);
        KeyStore {
            file: own("file_name").or_else(|| parent.map(|it| it.file.clone())).unwrap_or(KEYSTORE_FILE.to_owned()),
            kind: own("type").or_else(|| parent.map(|it| it.kind.clone())).unwrap_or("JKS".to_owned()),
            password: own("password").or_else(|| parent.map(|it| it.password.clone())).unwrap_or(PASSWORD.to_owned()),
            alias: own("alias").or_else(|| parent.map_or(Some(PASSWORD.to_owned()), |it| it.alias.clone())),
            key_password: own("key_password")
                .or_else(|| parent.map_or(Some(PASSWORD.to_owned()), |it| it.key_password.clone())),
        }
    }

    /// A keystore of a listener or sender: its file is called `location` there.
    fn endpoint_keystore(&self, section: &str, parent: &KeyStore) -> KeyStore {
        let own = |name: &str| self.text(&[&format!("{section}.{name}")]);
        KeyStore {
            file: own("location").unwrap_or_else(|| parent.file.clone()),
            kind: own("type").unwrap_or_else(|| parent.kind.clone()),
            password: own("password").unwrap_or_else(|| parent.password.clone()),
            alias: own("alias").or_else(|| parent.alias.clone()),
            key_password: own("key_password").or_else(|| parent.key_password.clone()),
        }
    }

    fn truststore(&self, section: &str, file: &str, parent: Option<&TrustStore>) -> TrustStore {
        let own = |name: &str| self.text(&[&format!("{section}.{name}")]);
        TrustStore {
            file: own(file).or_else(|| parent.map(|it| it.file.clone())).unwrap_or(TRUSTSTORE_FILE.to_owned()),
            kind: own("type").or_else(|| parent.map(|it| it.kind.clone())).unwrap_or("JKS".to_owned()),
            password: own("password").or_else(|| parent.map(|it| it.password.clone())).unwrap_or(PASSWORD.to_owned()),
        }
    }

    fn server(&mut self, outside: &dyn Placeholders) -> Server {
        let offset = self.number(&["server.offset"], DEFAULT_OFFSET);
        let from_flag = |name: &str| outside.system_property(name);
        let roles = from_flag("serverRoles").map(|list| list.split(',').map(|role| role.trim().to_owned()).collect());
        let timeout = self.number(&["server.graceful_shutdown_timeout", "server.gracefulShutdownTimeout"], 180_000);
        let graceful = ["server.graceful_shutdown_enabled", "server.gracefulShutdownEnabled"];
        let graceful = self.text(&graceful).is_none_or(|text| is_true(&text));
        Server {
            hostname: self.text(&["server.hostname"]).unwrap_or("localhost".to_owned()),
            offset: from_flag("portOffset").and_then(|text| text.trim().parse().ok()).unwrap_or(offset),
            hot_deployment: self.flag("server.hot_deployment", true),
            graceful_shutdown: from_flag("gracefulShutdown").map_or(graceful, |text| is_true(&text)),
            graceful_shutdown_timeout_ms: from_flag("gracefulShutdownTimeout")
                .and_then(|text| text.trim().parse().ok())
                .unwrap_or(timeout),
            roles: roles
                .or_else(|| self.table.list("server.roles"))
                .unwrap_or_else(|| DEFAULT_ROLES.map(str::to_owned).to_vec()),
        }
    }

    fn http(
        &mut self,
        passthru: &TableSettings,
        keystore: &KeyStore,
        truststore: &TrustStore,
        outside: &dyn Placeholders,
    ) -> HttpSettings {
        let flag = |key: &str| passthru.get(key).is_some_and(|text| is_true(text));
        HttpSettings {
            http: self.connector(&HTTP_LISTENER, 8280, "http.nio.port", outside),
            https: self.connector(&HTTPS_LISTENER, 8243, "https.nio.port", outside),
            tls: self.listener_tls(keystore, truststore),
            sender: self.sender(keystore, truststore),
            socket_timeout_ms: self.property(passthru, "http.socket.timeout", 180_000),
            connection_timeout_ms: passthru.get("http.connection.timeout").and_then(|text| text.trim().parse().ok()),
            max_connections_per_host: self.property(passthru, "http.max.connection.per.host.port", 32_767),
            body_memory_mb: match self.number(&["transport.http.body_memory_mb"], 0) {
                0 => None,
                megabytes => Some(megabytes),
            },
            body_memory_wait_ms: self.number(&["transport.http.body_memory_wait"], 10_000),
            preserve_user_agent: flag("http.user.agent.preserve"),
            preserve_server: flag("http.server.preserve"),
            preserve_headers: self
                .table
                .list("transport.http.preserve_http_headers")
                .unwrap_or_else(|| vec!["Content-Type".to_owned()]),
            correlation_header: passthru
                .get("correlation_header_name")
                .filter(|name| !name.trim().is_empty())
                .map_or_else(|| "activityid".to_owned(), |name| name.trim().to_owned()),
            keep_alive: !flag("http.connection.disable.keepalive"),
        }
    }

    fn connector(&mut self, names: &ListenerKeys, port: u16, port_flag: &str, outside: &dyn Placeholders) -> Connector {
        let given = self.number(names.port, port);
        Connector {
            enabled: self.text(names.enable).is_none_or(|text| is_true(&text)),
            port: outside.system_property(port_flag).and_then(|text| text.trim().parse().ok()).unwrap_or(given),
            bind_address: self.text(names.bind_address),
        }
    }

    fn listener_tls(&mut self, keystore: &KeyStore, truststore: &TrustStore) -> TlsListener {
        let verify = ["transport.http.listener.verify_client", "transport.https.listener.parameter.SSLVerifyClient"];
        let verify_client = match self.text(&verify).as_deref().map(str::trim) {
            None | Some("none") => VerifyClient::None,
            Some("optional") => VerifyClient::Optional,
            Some("require" | "required") => VerifyClient::Require,
            Some(other) => {
                let message = format!("verify_client is none, optional or require, not '{other}'");
                self.table.warn(verify[0], message, self.out);
                VerifyClient::None
            }
        };
        let names = |reader: &Self, keys: [&str; 2]| -> Vec<String> {
            keys.iter().find_map(|key| reader.table.list(key)).unwrap_or_default()
        };
        TlsListener {
            keystore: self.endpoint_keystore("transport.http.listener.keystore", keystore),
            truststore: self.truststore("transport.http.listener.truststore", "location", Some(truststore)),
            protocols: names(
                self,
                ["transport.http.listener.secured_protocols", "transport.https.listener.parameter.HttpsProtocols"],
            ),
            verify_client,
        }
    }

    fn sender(&mut self, keystore: &KeyStore, truststore: &TrustStore) -> Sender {
        // The sender itself cannot be turned off; the keys are asked for so that they are not reported.
        let _known = self.text(&["transport.http.sender.enable", "transport.http.sender.secured_enable"]);
        let profiles =
            |name: &str| -> Vec<OutboundProxy> { self.table.tables(name).iter().filter_map(proxy_profile).collect() };
        let (proxy_profiles, secured_proxy_profiles) =
            (profiles("transport.http.proxy_profile"), profiles("transport.http.secured_proxy_profile"));
        Sender {
            keystore: self.endpoint_keystore("transport.http.sender.keystore", keystore),
            truststore: self.truststore("transport.http.sender.truststore", "location", Some(truststore)),
            hostname_verifier: self.text(&[
                "transport.http.sender.hostname_verifier",
                "transport.https.sender.parameter.HostnameVerifier",
            ]),
            protocols: self.table.list("transport.http.sender.secured_protocols").unwrap_or_default(),
            proxy: self.proxy("transport.http.sender.proxy_"),
            secured_proxy: self.proxy("transport.http.sender.secured_proxy_"),
            non_proxy_hosts: self.table.list("transport.http.sender.non_proxy_hosts").unwrap_or_default(),
            proxy_profiles,
            secured_proxy_profiles,
        }
    }

    fn proxy(&mut self, prefix: &str) -> Option<OutboundProxy> {
        let own = |reader: &Self, name: &str| reader.text(&[&format!("{prefix}{name}")]);
        let (host, username, password) = (own(self, "host"), own(self, "username"), own(self, "password"));
        let port = self.number(&[&format!("{prefix}port")], 80);
        Some(OutboundProxy {
            host: host?,
            port,
            username,
            password,
            target_hosts: Vec::new(),
            bypass_hosts: Vec::new(),
        })
    }

    fn mediation(&mut self, synapse: &TableSettings) -> Mediation {
        let flag = |key: &str, default: bool| synapse.get(key).map_or(default, |text| is_true(text));
        Mediation {
            global_timeout_ms: self.property(synapse, "synapse.global_timeout_interval", 120_000),
            json: json_switches(synapse),
            inbound_port_offset: flag("inbound.port.offset.enable", false),
            internal_api: flag("internal.http.api.enabled", true),
            internal_http_port: self.property(synapse, "internal.http.api.port", 9191),
            internal_https_port: self.property(synapse, "internal.https.api.port", 9154),
            suspension: GlobalSuspension {
                initial_ms: self.property(synapse, "synapse.global_endpoint_suspend_duration", -1),
                progression_factor: self.property(synapse, "synapse.global_endpoint_suspend_progression_factor", 1.0),
                wins: flag("synapse.override_endpoint_suspend_config_with_global_values", false),
                failover: FailoverLimits {
                    retries: self.property(synapse, "maximum.failover.retries", -1),
                    suspension_ms: self.property(synapse, "suspend.duration.on.maximum.failover", 30_000),
                    group_retries: self.property(synapse, "maximum.failover.recursive.retries", -1),
                    group_suspension_ms: self.property(
                        synapse,
                        "suspend.duration.on.maximum.recursive.failover",
                        30_000,
                    ),
                },
            },
            scripts: ScriptSettings {
                timeout_ms: self.property(synapse, "synapse.script.mediator.timeout", 10_000).clamp(1, 3_600_000),
                memory_mb: self.property(synapse, "synapse.script.mediator.memory", 128).clamp(1, 4096),
                js_is_rhino: synapse.get("synapse.script.mediator.default.engine").is_some_and(|it| it == "rhinoJs"),
            },
            jsonpath_ignore_not_found: flag("synapse.jsonpath.ignore.not.found.error", false),
            expose_versioned_services: flag("expose.versioned.services", false),
            cors: cors(synapse),
        }
    }

    fn cluster(&mut self) -> Cluster {
        let sources = self.table.tables("datasource");
        let has_database = sources.iter().any(|it| it.text("id").is_some_and(|id| id == Cluster::DATA_SOURCE));
        let arbiter = match self.text(&["cluster_config.arbiter"]).as_deref().map(str::trim) {
            None => has_database.then_some(Arbiter::Database),
            Some("none") => Some(Arbiter::None),
            Some("database") => Some(Arbiter::Database),
            Some("kubernetes") => Some(Arbiter::Kubernetes),
            Some(other) => {
                let text = format!("cluster_config.arbiter must be none, database or kubernetes, not '{other}'");
                self.table.warn("cluster_config.arbiter", text, self.out);
                has_database.then_some(Arbiter::Database)
            }
        };
        Cluster {
            node_id: self.text(&["cluster_config.node_id"]),
            group: self.text(&["cluster_config.group_id"]).unwrap_or_else(|| "default".to_owned()),
            arbiter,
            lease_s: self.number(&["cluster_config.lease_seconds"], 15).clamp(5, 3600),
        }
    }

    /// A secret that is short enough to be guessed would let everybody make tokens.
    fn token_secret(&mut self, key: &str) -> Option<Secret> {
        const SHORTEST: usize = 32;
        let secret = self.text(&[key])?;
        if secret.len() < SHORTEST {
            let text = format!("{key} needs at least {SHORTEST} characters; tokens of other servers are not accepted");
            self.table.warn(key, text, self.out);
            return None;
        }
        Some(Secret(secret))
    }

    fn management(&mut self, keystore: &KeyStore, truststore: &TrustStore) -> ManagementApi {
        let protocols = self.text(&["management_api.protocols"]);
        let serves = |name: &str| {
            let named = protocols.as_ref()?.split([' ', ',']).any(|it| it.eq_ignore_ascii_case(name));
            Some(named)
        };
        let jwt = "management_api.jwt_token_security_handler";
        let key = |name: &str| format!("{jwt}.{name}");
        ManagementApi {
            http: match serves("http") {
                None => PlainHttp::ThisMachine,
                Some(true) => PlainHttp::Everybody,
                Some(false) => PlainHttp::Off,
            },
            https: serves("https").unwrap_or(true),
            jwt: self.flag(&key("enable"), true),
            token_expiry_s: self.number(&[&key("token_config.expiry")], 3600),
            token_store_size: self.number(&[&key("token_store_config.max_size")], 200),
            remove_oldest_token: self.flag(&key("token_store_config.remove_oldest_token_on_overflow"), true),
            token_secret: self.token_secret(&key("token_config.secret")),
            basic: self.flag("management_api.basic_security_handler.enable", false),
            authorization: self.flag("management_api.authorization_handler.enable", true),
            cors_enabled: self.flag("management_api.cors.enable", true),
            cors_origins: self.text(&["management_api.cors.allowed_origins"]).unwrap_or("*".to_owned()),
            cors_headers: self
                .text(&["management_api.cors.allowed_headers"])
                .unwrap_or("Authorization, Content-Type".to_owned()),
            users: self.users(),
            user_store: self.user_store(),
            default_users: self.flag("internal_apis.file_user_store.enable", true)
                && self.table.tables("internal_apis.users").is_empty(),
            read_only_users: self.flag("user_access.make_non_admin_users_read_only", false),
            tls: TlsListener {
                keystore: self.endpoint_keystore("internal_api_ssl_config.key_store", keystore),
                truststore: self.truststore("internal_api_ssl_config.trust_store", "location", Some(truststore)),
                protocols: self.table.list("internal_api_ssl_config.parameter.httpsProtocols").unwrap_or_default(),
                verify_client: match self.text(&["internal_api_ssl_config.parameter.sslVerifyClient"]).as_deref() {
                    Some("true" | "require" | "required") => VerifyClient::Require,
                    Some("optional") => VerifyClient::Optional,
                    _ => VerifyClient::None,
                },
            },
        }
    }

    /// Without a list there is `admin` with the password `admin`, as in MI.
    fn users(&self) -> Vec<User> {
        if !self.flag("internal_apis.file_user_store.enable", true) {
            return Vec::new();
        }
        let tables = self.table.tables("internal_apis.users");
        if tables.is_empty() {
            return vec![User { name: "admin".to_owned(), password: "admin".to_owned(), admin: true }];
        }
        let read = tables.iter().filter_map(|table| {
            Some(User {
                name: table.any_text(&["user.name", "name"])?,
                password: table.any_text(&["user.password", "password"]).unwrap_or_default(),
                admin: table.any_text(&["user.is_admin", "is_admin"]).is_some_and(|text| is_true(&text)),
            })
        });
        read.collect()
    }
}

/// Spellings of the keys of a listener; the first one that is set wins.
struct ListenerKeys {
    enable: &'static [&'static str],
    port: &'static [&'static str],
    bind_address: &'static [&'static str],
}

const HTTP_LISTENER: ListenerKeys = ListenerKeys {
    enable: &["transport.http.listener.enable", "transport.passthru.http.listener.enable"],
    port: &[
        "transport.http.listener.port",
        "transport.http.listener.parameter.port",
        "transport.passthru.http.listener.port",
        "transport.passthru.http.listener.parameter.port",
    ],
    bind_address: &[
        "transport.http.listener.bind_address",
        "transport.http.listener.parameter.bind-address",
        "transport.http.listener.parameter.bind_address",
        "transport.passthru.http.listener.bind_address",
        "transport.passthru.http.listener.parameter.bind-address",
    ],
};

const HTTPS_LISTENER: ListenerKeys = ListenerKeys {
    enable: &[
        "transport.http.listener.secured_enable",
        "transport.https.listener.enable",
        "transport.passthru.https.listener.enable",
    ],
    port: &[
        "transport.http.listener.secured_port",
        "transport.https.listener.port",
        "transport.https.listener.parameter.port",
        "transport.passthru.https.listener.port",
        "transport.passthru.https.listener.parameter.port",
    ],
    bind_address: &[
        "transport.http.listener.secured_bind_address",
        "transport.https.listener.bind_address",
        "transport.https.listener.parameter.bind-address",
        "transport.passthru.https.listener.bind_address",
        "transport.passthru.https.listener.parameter.bind-address",
    ],
};

fn json_switches(synapse: &TableSettings) -> JsonSwitches {
    let flag = |key: &str, default: bool| synapse.get(key).map_or(default, |text| is_true(text));
    let json = |key: &str, default: bool| flag(&format!("synapse.commons.json.{key}"), default);
    let replace = "synapse.commons.json.json.output.disableAutoPrimitive";
    let separator = synapse.get("synapse.commons.json.output.namespaceSepChar").and_then(|text| text.chars().next());
    let xml_nil = flag("synapse.commons.enableXmlNilReadWrite", false);
    JsonSwitches {
        preserve_namespace: json("preserve.namespace", false),
        namespace_declarations: json("output.enableNSDeclarations", false),
        namespace_separator: separator.unwrap_or('_'),
        auto_primitive: json("output.autoPrimitive", true),
        disable_auto_primitive_regex: synapse.get("synapse.commons.json.output.disableAutoPrimitive.regex").cloned(),
        custom_replace_regex: synapse.get(&format!("{replace}.customReplaceRegex")).cloned(),
        custom_replace_sequence: synapse.get(&format!("{replace}.customReplaceSequence")).cloned(),
        auto_array: json("output.jsonoutAutoArray", true),
        multiple_pi: json("output.jsonoutMultiplePI", true),
        xml_multiple_pi: json("output.xmloutMultiplePI", false),
        xml_nil,
        null_for_empty_element: flag("synapse.commons.enableXmlNullForEmptyElement", !xml_nil),
    }
}

fn cors(synapse: &TableSettings) -> Cors {
    let get = |key: &str| synapse.get(&format!("synapse.rest.CORSConfig.{key}"));
    let origins = get("Access-Control-Allow-Origin").map(String::as_str).unwrap_or_default();
    Cors {
        enabled: get("enabled").is_none_or(|text| is_true(text)),
        allow_origins: origins.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect(),
        allow_headers: get("Access-Control-Allow-Headers").cloned().unwrap_or_default(),
    }
}

fn proxy_profile(table: &Table) -> Option<OutboundProxy> {
    Some(OutboundProxy {
        host: table.text("proxy_host")?,
        port: table.text("proxy_port")?.trim().parse().ok()?,
        username: table.text("proxy_username"),
        password: table.text("proxy_password"),
        target_hosts: table.list("target_hosts").unwrap_or_default(),
        bypass_hosts: table.list("bypass_hosts").unwrap_or_default(),
    })
}

fn data_source(table: &Table) -> DataSourceConfig {
    DataSourceConfig {
        id: table.text("id").unwrap_or_default(),
        url: table.text("url").unwrap_or_default(),
        username: table.text("username"),
        password: table.text("password"),
        driver: table.text("driver"),
        pool: table.below("pool_options").into_iter().collect(),
    }
}
