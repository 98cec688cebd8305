//! The typed settings. Defaults are MI's; a field says where it comes from.

use std::collections::BTreeMap;

/// `[server]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `hostname`
    pub hostname: String,
    /// Added to every base port: `-DportOffset`, `offset`, else 10.
    pub offset: u16,
    /// Changes of the deployment folders are picked up while the server runs.
    pub hot_deployment: bool,
    /// `graceful_shutdown_enabled`, `-DgracefulShutdown`
    pub graceful_shutdown: bool,
    /// `graceful_shutdown_timeout`, `-DgracefulShutdownTimeout`
    pub graceful_shutdown_timeout_ms: u64,
    /// Artifacts for other roles are left out: `roles`, `-DserverRoles`.
    pub roles: Vec<String>,
}

impl Server {
    /// A base port with the offset; 0 stays 0, which stands for any free port.
    pub fn port(&self, base: u16) -> u16 {
        if base == 0 { 0 } else { base.saturating_add(self.offset) }
    }
}

/// `[cluster_config]`: what several servers with one deployment run once. The data source `WSO2_COORDINATION_DB` switches it
/// on, as in MI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Name of this server (`node_id`).
    pub node_id: Option<String>,
    /// Servers of one group share their work (`group_id`).
    pub group: String,
    /// Who decides (`arbiter`): what is configured, else the database when there is one.
    pub arbiter: Option<Arbiter>,
    /// Length of a lease in seconds (`lease_seconds`).
    pub lease_s: u64,
}

impl Cluster {
    /// Id of the data source that MI coordinates by.
    pub const DATA_SOURCE: &'static str = "WSO2_COORDINATION_DB";
}

/// Who decides which server of a group runs what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arbiter {
    /// Each server runs everything.
    None,
    /// The data source `WSO2_COORDINATION_DB`.
    Database,
    /// Leases of the Kubernetes that the server runs in.
    Kubernetes,
}

/// `[transport.http]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// The plain listener
    pub http: Connector,
    /// The secured listener
    pub https: Connector,
    /// TLS of the secured listener
    pub tls: TlsListener,
    /// Outgoing connections
    pub sender: Sender,
    /// `socket_timeout`: longest silence of a connection
    pub socket_timeout_ms: u64,
    /// `connection_timeout`: longest time to connect
    pub connection_timeout_ms: Option<u64>,
    /// `max_http_connection_per_host_port`
    pub max_connections_per_host: u32,
    /// `body_memory_mb`: what the bodies of requests may take at a time, and those of answers as well; `None` is for the
    /// server to say, which knows the machine
    pub body_memory_mb: Option<u64>,
    /// `body_memory_wait`: how long a message waits for its part of it
    pub body_memory_wait_ms: u64,
    /// The client's User-Agent goes on to the back end.
    pub preserve_user_agent: bool,
    /// The back end's Server header goes back to the client.
    pub preserve_server: bool,
    /// Headers that are not written anew.
    pub preserve_headers: Vec<String>,
    /// Header field that carries the id of a message from system to system: `correlation_header_name`.
    pub correlation_header: String,
    /// Connections are used again.
    pub keep_alive: bool,
}

/// A listening port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connector {
    /// Is it opened?
    pub enabled: bool,
    /// Base port, without the offset
    pub port: u16,
    /// `None` is every address.
    pub bind_address: Option<String>,
}

/// TLS of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsListener {
    /// Key and certificate
    pub keystore: KeyStore,
    /// Who is trusted as a client
    pub truststore: TrustStore,
    /// Protocol names as Java has them; empty means the default
    pub protocols: Vec<String>,
    /// Must a client show a certificate?
    pub verify_client: VerifyClient,
}

/// Must a client show a certificate?
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum VerifyClient {
    /// `none`
    #[default]
    None,
    /// `optional`
    Optional,
    /// `require`
    Require,
}

/// `[keystore.*]`
#[derive(Clone, PartialEq, Eq)]
pub struct KeyStore {
    /// Path, relative to the home folder
    pub file: String,
    /// `JKS`, `PKCS12`, or `PEM`
    pub kind: String,
    /// Password of the file
    pub password: String,
    /// Name of the key
    pub alias: Option<String>,
    /// Password of the key
    pub key_password: Option<String>,
}

impl std::fmt::Debug for KeyStore {
    /// Leaves the passwords out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyStore").field("file", &self.file).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// `[truststore]`
#[derive(Clone, PartialEq, Eq)]
pub struct TrustStore {
    /// Path, relative to the home folder
    pub file: String,
    /// `JKS`, `PKCS12`, or `PEM`
    pub kind: String,
    /// Password of the file
    pub password: String,
}

impl std::fmt::Debug for TrustStore {
    /// Leaves the password out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrustStore").field("file", &self.file).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Outgoing connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Certificate that is shown to back ends
    pub keystore: KeyStore,
    /// Who is trusted as a back end
    pub truststore: TrustStore,
    /// `AllowAll`, `Strict`, `DefaultAndLocalhost`, …
    pub hostname_verifier: Option<String>,
    /// Protocol names as Java has them; empty means the default
    pub protocols: Vec<String>,
    /// Proxy for plain connections
    pub proxy: Option<OutboundProxy>,
    /// Proxy for secured connections
    pub secured_proxy: Option<OutboundProxy>,
    /// Hosts that are reached without a proxy
    pub non_proxy_hosts: Vec<String>,
    /// `[[transport.http.proxy_profile]]`: proxies for patterns of hosts; they win over `proxy`
    pub proxy_profiles: Vec<OutboundProxy>,
    /// `[[transport.http.secured_proxy_profile]]`
    pub secured_proxy_profiles: Vec<OutboundProxy>,
}

/// A proxy on the way to back ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundProxy {
    /// Host
    pub host: String,
    /// Port
    pub port: u16,
    /// User
    pub username: Option<String>,
    /// Password
    pub password: Option<String>,
    /// Regular expressions for the hosts that it serves; empty means all
    pub target_hosts: Vec<String>,
    /// Regular expressions for hosts that are reached without it
    pub bypass_hosts: Vec<String>,
}

/// `[mediation]`
#[derive(Clone, Debug, PartialEq)]
pub struct Mediation {
    /// `synapse.global_timeout_interval`: time-out of endpoints without one
    pub global_timeout_ms: u64,
    /// How JSON and XML become each other
    pub json: JsonSwitches,
    /// The offset is added to the ports of HTTP inbound endpoints.
    pub inbound_port_offset: bool,
    /// `internal_http_api_enable`
    pub internal_api: bool,
    /// `internal_http_api_port`, without the offset
    pub internal_http_port: u16,
    /// `internal_https_api_port`, without the offset
    pub internal_https_port: u16,
    /// How long endpoints are suspended that do not say it themselves
    pub suspension: GlobalSuspension,
    /// `synapse.script.mediator.*`
    pub scripts: ScriptSettings,
    /// A path of `json-eval` over a property that finds nothing gives the empty text instead of a fault.
    pub jsonpath_ignore_not_found: bool,
    /// APIs and proxies of versioned applications carry group, name and version in their path.
    pub expose_versioned_services: bool,
    /// CORS of APIs
    pub cors: Cors,
}

/// `synapse.global_endpoint_suspend_*`. MI: `EndpointDefinition`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GlobalSuspension {
    /// First suspension in milliseconds; negative is MI's default of 30 s.
    pub initial_ms: i64,
    /// Each suspension lasts this much longer than the one before.
    pub progression_factor: f32,
    /// The two above win over what endpoints say.
    pub wins: bool,
    /// Failures that suspend whatever their codes are.
    pub failover: FailoverLimits,
}

/// `maximum.failover.retries` and its like. MI: `EndpointContext`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailoverLimits {
    /// Failures that are let pass; -1 is without end (`maximum.failover.retries`).
    pub retries: i32,
    /// The suspension after them in milliseconds (`suspend.duration.on.maximum.failover`).
    pub suspension_ms: i64,
    /// The same for members of failover and load balance endpoints (`maximum.failover.recursive.retries`).
    pub group_retries: i32,
    /// Their suspension in milliseconds (`suspend.duration.on.maximum.recursive.failover`).
    pub group_suspension_ms: i64,
}

impl Default for FailoverLimits {
    fn default() -> Self {
        Self { retries: -1, suspension_ms: 30_000, group_retries: -1, group_suspension_ms: 30_000 }
    }
}

/// `synapse.script.mediator.*`: what scripts may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptSettings {
    /// Longest run in milliseconds (`timeout`).
    pub timeout_ms: u64,
    /// Most memory of one script in megabytes (`memory`).
    pub memory_mb: u64,
    /// The language `js` means `rhinoJs` (`default.engine`).
    pub js_is_rhino: bool,
}

impl Default for ScriptSettings {
    fn default() -> Self {
        Self { timeout_ms: 10_000, memory_mb: 128, js_is_rhino: false }
    }
}

/// `synapse.rest.CORSConfig.*`; without an origin every preflight is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    /// Is CORS answered at all?
    pub enabled: bool,
    /// `Access-Control-Allow-Origin`
    pub allow_origins: Vec<String>,
    /// `Access-Control-Allow-Headers`
    pub allow_headers: String,
}

/// `synapse.commons.json.*`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonSwitches {
    /// Prefixes become a part of names.
    pub preserve_namespace: bool,
    /// Namespace declarations become members.
    pub namespace_declarations: bool,
    /// Between prefix and name
    pub namespace_separator: char,
    /// Texts that read as numbers or booleans become some.
    pub auto_primitive: bool,
    /// Texts that fit stay strings.
    pub disable_auto_primitive_regex: Option<String>,
    /// The first match at the start of a text that stays a string is replaced,
    pub custom_replace_regex: Option<String>,
    /// by this.
    pub custom_replace_sequence: Option<String>,
    /// Equal neighbours become an array.
    pub auto_array: bool,
    /// `<?xml-multiple?>` is written for arrays.
    pub multiple_pi: bool,
    /// The same with `<?xml-multiple?>`
    pub xml_multiple_pi: bool,
    /// `xsi:nil` is null both ways.
    pub xml_nil: bool,
    /// Empty elements become null (`enableXmlNullForEmptyElement`).
    pub null_for_empty_element: bool,
}

/// Whom a listener without TLS answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainHttp {
    /// Nobody.
    Off,
    /// This machine: nobody has asked for more.
    ThisMachine,
    /// Everybody, as `deployment.toml` says.
    Everybody,
}

/// The internal APIs: management, probes, metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct ManagementApi {
    /// Whom the management API answers over plain HTTP.
    pub http: PlainHttp,
    /// The management API answers over HTTPS.
    pub https: bool,
    /// Users log in and show a token.
    pub jwt: bool,
    /// Seconds that a token is valid
    pub token_expiry_s: u64,
    /// Tokens that are kept
    pub token_store_size: usize,
    /// The oldest token goes when the store is full.
    pub remove_oldest_token: bool,
    /// What servers that accept each other's tokens have in common; of this server
    pub token_secret: Option<Secret>,
    /// Users show their password with every request.
    pub basic: bool,
    /// Some resources are for administrators.
    pub authorization: bool,
    /// CORS of the management API
    pub cors_enabled: bool,
    /// Origins, `*` for all
    pub cors_origins: String,
    /// Headers
    pub cors_headers: String,
    /// `[[internal_apis.users]]`; empty when the file user store is off
    pub users: Vec<User>,
    /// Users of a directory, in place of `users`
    pub user_store: Option<LdapStore>,
    /// Nobody has named users, so that `users` are those of MI's default configuration
    pub default_users: bool,
    /// Users who are no administrators may read and not change.
    pub read_only_users: bool,
    /// TLS of the internal HTTPS listener
    pub tls: TlsListener,
}

/// What a directory lets this server do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LdapKind {
    /// `read_only_ldap`
    ReadOnly,
    /// `read_write_ldap`
    ReadWrite,
    /// `active_directory`, which is only read.
    ActiveDirectory,
}

/// `[user_store]`: users in a directory, by MI's names of properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LdapStore {
    /// `type`, or the last part of `class`
    pub kind: LdapKind,
    /// `ConnectionURL`: `ldap://` or `ldaps://`, the first that answers
    pub urls: Vec<String>,
    /// `StartTLSEnabled`
    pub start_tls: bool,
    /// `SSLCertificateValidationEnabled`
    pub validate_certificates: bool,
    /// `ConnectionName`
    pub connection_name: String,
    /// `ConnectionPassword`
    pub connection_password: Secret,
    /// `AnonymousBind`
    pub anonymous: bool,
    /// `UserSearchBase`, several with `#` between them
    pub user_bases: Vec<String>,
    /// `UserNameAttribute`
    pub user_attribute: String,
    /// `UserNameSearchFilter`, with `?` for the name
    pub user_filter: String,
    /// `UserNameListFilter`
    pub user_list_filter: String,
    /// `UserDNPattern`, with `{0}` for the name
    pub user_dn_patterns: Vec<String>,
    /// `UserEntryObjectClass`, several with `/` between them
    pub user_classes: Vec<String>,
    /// `ReadGroups`
    pub read_groups: bool,
    /// `WriteGroups`
    pub write_groups: bool,
    /// `GroupSearchBase`
    pub group_bases: Vec<String>,
    /// `GroupNameAttribute`
    pub group_attribute: String,
    /// `GroupNameSearchFilter`, with `?` for the name
    pub group_filter: String,
    /// `GroupNameListFilter`
    pub group_list_filter: String,
    /// `GroupEntryObjectClass`
    pub group_class: String,
    /// `MembershipAttribute` of a group
    pub membership: String,
    /// `MemberOfAttribute` of a user, which is read in place of the groups
    pub member_of: Option<String>,
    /// `EmptyRolesAllowed`
    pub empty_roles: bool,
    /// `PasswordHashMethod`
    pub password_hash: String,
    /// `MaxUserNameListLength`
    pub max_users: usize,
    /// `MaxRoleNameListLength`
    pub max_roles: usize,
    /// `LDAPConnectionTimeout`
    pub connect_timeout: std::time::Duration,
    /// `ReadTimeout`
    pub read_timeout: std::time::Duration,
    /// `UsernameJavaRegEx`
    pub user_pattern: Option<String>,
    /// `RolenameJavaRegEx`
    pub role_pattern: Option<String>,
    /// `PasswordJavaRegEx`
    pub password_pattern: Option<String>,
    /// `[super_admin] username`
    pub admin_user: String,
    /// `[super_admin] admin_role`
    pub admin_role: String,
}

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// A user of the internal APIs.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Name
    pub name: String,
    /// Password
    pub password: String,
    /// Administrator?
    pub admin: bool,
}

impl std::fmt::Debug for User {
    /// Leaves the password out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("name", &self.name).field("admin", &self.admin).finish_non_exhaustive()
    }
}

/// `[[datasource]]`
#[derive(Clone, PartialEq, Eq)]
pub struct DataSourceConfig {
    /// `id`
    pub id: String,
    /// JDBC URL
    pub url: String,
    /// User
    pub username: Option<String>,
    /// Password
    pub password: Option<String>,
    /// Driver class
    pub driver: Option<String>,
    /// `pool_options.*`
    pub pool: BTreeMap<String, String>,
}

impl std::fmt::Debug for DataSourceConfig {
    /// Leaves the password out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataSourceConfig").field("id", &self.id).field("url", &self.url).finish_non_exhaustive()
    }
}
