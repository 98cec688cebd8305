//! The parts of the process that the engine is handed: clock, environment, registry, settings.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{Local, Offset, TimeZone};
use mi_config::{Deployment, Placeholders};
use mi_deployer::Registry;
use mi_engine::Settings;
use mi_engine::services::{Clock, Environment, RegistryView};
use mi_message::convert::ConvertOptions;

/// The clock of the machine.
#[derive(Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_millis(&self) -> i64 {
        chrono::Utc::now().timestamp_millis()
    }

    fn zone_offset_seconds(&self, at_millis: i64) -> i32 {
        match Local.timestamp_millis_opt(at_millis).single() {
            Some(time) => time.offset().fix().local_minus_utc(),
            None => 0,
        }
    }

    fn new_id(&self) -> String {
        format!("urn:uuid:{}", uuid::Uuid::new_v4())
    }
}

/// What placeholders and expressions find in the process, as the engine sees it.
#[derive(Debug)]
pub struct ProcessEnvironment(pub mi_deployer::Environment);

impl Environment for ProcessEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.environment(name)
    }

    fn system_property(&self, name: &str) -> Option<String> {
        self.0.system_property(name)
    }

    fn file_property(&self, name: &str) -> Option<String> {
        self.0.file_property(name)
    }

    fn secret(&self, alias: &str, kind: &str) -> Option<String> {
        match kind.to_ascii_uppercase().as_str() {
            "ENV" => self.0.environment(alias),
            _ => self.0.secret(alias),
        }
    }
}

/// The registry as the engine sees it.
pub struct EngineRegistry(pub Arc<Registry>);

impl RegistryView for EngineRegistry {
    fn content(&self, key: &str) -> Option<Bytes> {
        self.0.bytes(key)
    }

    fn media_type(&self, key: &str) -> Option<String> {
        self.0.get(key)?.media_type.clone()
    }

    fn property(&self, key: &str, name: &str) -> Option<String> {
        self.0.property(key, name)
    }

    fn write(&self, key: &str, property: Option<&str>, value: &str) -> Result<(), String> {
        let written = match property {
            Some(property) => self.0.set_property(key, property, value),
            None => {
                let mut resource = self.0.get(key).map(|it| (*it).clone()).unwrap_or_default();
                resource.bytes = Some(value.as_bytes().to_vec().into());
                self.0.put(key, resource)
            }
        };
        written.map_err(|error| error.to_string())
    }
}

/// The engine's settings out of `deployment.toml`.
pub fn settings(deployment: &Deployment, home: &std::path::Path) -> Settings {
    let http = &deployment.http;
    let mediation = &deployment.mediation;
    Settings {
        socket_timeout: Duration::from_millis(http.socket_timeout_ms),
        global_timeout: Duration::from_millis(mediation.global_timeout_ms),
        convert: convert_options(deployment),
        hostname: deployment.server.hostname.as_str().into(),
        server_ip: server_ip(deployment).into(),
        http_port: deployment.http_port(),
        https_port: deployment.https_port(),
        preserve_http_headers: http.preserve_headers.clone(),
        preserve_user_agent: http.preserve_user_agent,
        preserve_server: http.preserve_server,
        cors: mi_engine::api::Cors {
            enabled: mediation.cors.enabled,
            allowed_origins: mediation.cors.allow_origins.clone(),
            allowed_headers: mediation.cors.allow_headers.clone(),
            ..mi_engine::api::Cors::default()
        },
        suspension: mediation.suspension,
        scripts: mediation.scripts,
        expressions: mi_expr::ExprOptions { ignore_missing_json_path: mediation.jsonpath_ignore_not_found },
        data_folder: Some(data_folder(home)),
        ..Settings::default()
    }
}

/// The address that HTTP is bound to, else that of the machine. Asking for the way to a documentation address tells it
/// without sending anything.
fn server_ip(deployment: &Deployment) -> String {
    if let Some(bound) = &deployment.http.http.bind_address {
        return bound.clone();
    }
    let way = std::net::UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });
    way.map_or_else(|_| "127.0.0.1".to_owned(), |address| address.ip().to_string())
}

/// Where what must outlive the process is kept: below `repository` in a home of MI's layout, as MI's own data is.
fn data_folder(home: &std::path::Path) -> std::path::PathBuf {
    let repository = home.join("repository");
    if repository.is_dir() { repository.join("data") } else { home.join("data") }
}

/// The switches of the XML and JSON mapping, by their own names first and by `[synapse_properties]` after them.
fn convert_options(deployment: &Deployment) -> ConvertOptions {
    let json = &deployment.mediation.json;
    let flag = |value: bool| if value { "true" } else { "false" }.to_owned();
    let mut switches = vec![
        ("synapse.commons.json.preserve.namespace", flag(json.preserve_namespace)),
        ("synapse.commons.json.output.enableNSDeclarations", flag(json.namespace_declarations)),
        ("synapse.commons.json.output.namespaceSepChar", json.namespace_separator.to_string()),
        ("synapse.commons.json.output.autoPrimitive", flag(json.auto_primitive)),
        ("synapse.commons.json.output.jsonoutAutoArray", flag(json.auto_array)),
        ("synapse.commons.json.output.jsonoutMultiplePI", flag(json.multiple_pi)),
        ("synapse.commons.json.output.xmloutMultiplePI", flag(json.xml_multiple_pi)),
        ("synapse.commons.enableXmlNilReadWrite", flag(json.xml_nil)),
        ("synapse.commons.enableXmlNullForEmptyElement", flag(json.null_for_empty_element)),
    ];
    for (name, value) in [
        ("synapse.commons.json.output.disableAutoPrimitive.regex", &json.disable_auto_primitive_regex),
        ("synapse.commons.json.json.output.disableAutoPrimitive.customReplaceRegex", &json.custom_replace_regex),
        ("synapse.commons.json.json.output.disableAutoPrimitive.customReplaceSequence", &json.custom_replace_sequence),
    ] {
        if let Some(value) = value {
            switches.push((name, value.clone()));
        }
    }
    let mut options = ConvertOptions::default();
    let own = deployment.synapse_properties.iter().map(|(name, value)| (name.as_str(), value.clone()));
    for (name, value) in switches.into_iter().chain(own) {
        if let Err(why) = options.set(name, &value) {
            log::warn!(target: "SynapsePropertiesLoader", "The value '{value}' of {name} is not used: {why}");
        }
    }
    options
}
