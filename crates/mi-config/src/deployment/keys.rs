//! Which keys exist: short names and the properties that they set, defaults, and sections that are accepted
//! without an effect. MI: `key-mappings.json`, `default.json`.

use crate::diagnostic::{Diagnostics, Severity, nearest};

use super::table::Table;

/// Short key to the key of `synapse.properties`.
pub(super) const SYNAPSE: &[(&str, &str)] = &[
    ("mediation.synapse.core_threads", "synapse.threads.core"),
    ("mediation.synapse.max_threads", "synapse.threads.max"),
    ("mediation.synapse.threads_queue_length", "synapse.threads.qlen"),
    ("mediation.synapse.global_timeout_interval", "synapse.global_timeout_interval"),
    ("mediation.synapse.preserve_namespace_on_xml_to_json", "synapse.commons.json.preserve.namespace"),
    ("mediation.synapse.enable_xpath_dom_failover", "synapse.xpath.dom.failover.enabled"),
    ("mediation.synapse.temp_data_chunk_size", "synapse.temp_data.chunk.size"),
    ("mediation.synapse.command_debugger_port", "synapse.debugger.port.command"),
    ("mediation.synapse.event_debugger_port", "synapse.debugger.port.event"),
    ("mediation.synapse.script_mediator_pool_size", "synapse.script.mediator.pool.size"),
    ("mediation.synapse.script_mediator_timeout", "synapse.script.mediator.timeout"),
    ("mediation.synapse.script_mediator_memory", "synapse.script.mediator.memory"),
    ("mediation.synapse.enable_xml_nil", "synapse.commons.enableXmlNilReadWrite"),
    ("mediation.synapse.disable_auto_primitive_regex", "synapse.commons.json.output.disableAutoPrimitive.regex"),
    (
        "mediation.synapse.disable_custom_replace_regex",
        "synapse.commons.json.json.output.disableAutoPrimitive.customReplaceRegex",
    ),
    ("mediation.synapse.enable_namespace_declaration", "synapse.commons.json.output.enableNSDeclarations"),
    ("mediation.synapse.build_valid_nc_name", "synapse.commons.json.buildValidNCNames"),
    ("mediation.synapse.enable_auto_primitive", "synapse.commons.json.output.autoPrimitive"),
    ("mediation.synapse.json_out_auto_array", "synapse.commons.json.output.jsonoutAutoArray"),
    ("mediation.synapse.maximum_failover_retries", "maximum.failover.retries"),
    ("mediation.synapse.suspend_duration_on_maximum_failover", "suspend.duration.on.maximum.failover"),
    ("mediation.synapse.freemarker_templates_base_path", "freemarker.template.base.path"),
    ("mediation.synapse.disable_thread_switch_on_blocking_call", "synapse.blocking.call.disable.thread.switch"),
    ("mediation.flow.statistics.enable", "mediation.flow.statistics.enable"),
    ("mediation.flow.statistics.capture_all", "mediation.flow.statistics.collect.all"),
    ("mediation.stat.tracer.collect_payloads", "mediation.flow.statistics.tracer.collect.payloads"),
    ("mediation.stat.tracer.collect_mediation_properties", "mediation.flow.statistics.tracer.collect.properties"),
    ("mediation.stat.tracer.collect_mediation_variables", "mediation.flow.statistics.tracer.collect.variables"),
    ("mediation.statistics.enable_clean", "statistics.clean.enable"),
    ("mediation.statistics.clean_interval", "statistics.clean.interval"),
    ("mediation.inbound.core_threads", "inbound.threads.core"),
    ("mediation.inbound.max_threads", "inbound.threads.max"),
    ("mediation.inbound.port_offset_enable", "inbound.port.offset.enable"),
    ("mediation.internal_http_api_enable", "internal.http.api.enabled"),
    ("mediation.internal_http_api_port", "internal.http.api.port"),
    ("mediation.internal_https_api_port", "internal.https.api.port"),
    ("mediation.http_client.global_connection_timeout", "http.client.global.connection.timeout"),
    ("mediation.http_client.global_connection_request_timeout", "http.client.global.connection.request.timeout"),
    ("mediation.http_client.global_socket_timeout", "http.client.global.socket.timeout"),
    ("mediation.http_client.global_proxy_enabled", "http.client.global.proxy.enabled"),
    ("mediation.http_client.global_proxy_host", "http.client.global.proxy.host"),
    ("mediation.http_client.global_proxy_port", "http.client.global.proxy.port"),
    ("mediation.http_client.global_proxy_username", "http.client.global.proxy.username"),
    ("mediation.http_client.global_proxy_password", "http.client.global.proxy.password"),
    ("mediation.http_client.global_proxy_protocol", "http.client.global.proxy.protocol"),
    ("opentelemetry.enable", "opentelemetry.enable"),
    ("opentelemetry.host", "opentelemetry.host"),
    ("opentelemetry.port", "opentelemetry.port"),
    ("opentelemetry.url", "opentelemetry.url"),
    ("opentelemetry.class", "opentelemetry.class"),
    ("opentelemetry.protocol", "opentelemetry.protocol"),
    ("opentelemetry.service_name", "opentelemetry.service.name"),
    ("opentelemetry.filtered.mediator.names", "oltp.filtered.mediator.names"),
    ("opentelemetry.custom.span.header.tags", "oltp.custom.span.header.tags"),
    ("analytics.enabled", "analytics.enabled"),
    ("analytics.publisher", "analytics.publisher"),
    ("analytics.prefix", "analytics.prefix"),
    ("analytics.id", "analytics.id"),
];

/// Short key to the key of `passthru-http.properties`.
pub(super) const PASSTHRU: &[(&str, &str)] = &[
    ("transport.http.socket_timeout", "http.socket.timeout"),
    ("transport.http.block_service_list", "http.block_service_list"),
    ("transport.http.connection_timeout", "http.connection.timeout"),
    ("transport.http.core_worker_pool_size", "worker_pool_size_core"),
    ("transport.http.secondary_worker_pool_size_core", "secondary_worker_pool_size_core"),
    ("transport.http.max_worker_pool_size", "worker_pool_size_max"),
    ("transport.http.secondary_worker_pool_size_max", "secondary_worker_pool_size_max"),
    ("transport.http.worker_pool_queue_length", "worker_pool_queue_length"),
    ("transport.http.secondary_worker_pool_queue_length", "secondary_worker_pool_queue_length"),
    ("transport.http.io_buffer_size", "io_buffer_size"),
    ("transport.http.max_http_connection_per_host_port", "http.max.connection.per.host.port"),
    ("transport.http.preserve_http_user_agent", "http.user.agent.preserve"),
    ("transport.http.preserve_http_server_name", "http.server.preserve"),
    ("transport.http.disable_connection_keepalive", "http.connection.disable.keepalive"),
    ("transport.http.enable_message_size_validation", "message.size.validation.enabled"),
    ("transport.http.max_message_size_bytes", "valid.max.message.size.in.bytes"),
    ("transport.http.max_open_connections", "max_open_connections"),
    ("transport.http.force_xml_validation", "force.xml.message.validation"),
    ("transport.http.force_json_validation", "force.json.message.validation"),
    ("transport.http.reverse_proxy_mode", "force.json.message.reverseProxyMode"),
    ("transport.http.consume_and_discard", "consume_and_discard"),
    ("transport.http.expected_max_queueing_time", "expected_max_queueing_time"),
    ("transport.http.consume_and_discard_by_secondary_pool", "consume_and_discard_by_secondary_pool"),
    (
        "transport.http.expected_max_queueing_time_for_message_discard_worker",
        "expected_max_queueing_time_for_message_discard_worker",
    ),
    ("transport.http.close_socket_on_endpoint_timeout", "close_socket_on_endpoint_timeout"),
];

/// What `synapse.properties` holds without a file.
pub(super) const SYNAPSE_DEFAULTS: &[(&str, &str)] = &[
    ("synapse.threads.core", "20"),
    ("synapse.threads.max", "100"),
    ("synapse.global_timeout_interval", "120000"),
    ("synapse.commons.json.preserve.namespace", "false"),
    ("synapse.temp_data.chunk.size", "3072"),
    ("synapse.debugger.port.command", "9005"),
    ("synapse.debugger.port.event", "9006"),
    ("synapse.script.mediator.pool.size", "15"),
    ("mediation.flow.statistics.enable", "false"),
    ("mediation.flow.statistics.collect.all", "false"),
    ("mediation.flow.statistics.tracer.collect.payloads", "false"),
    ("mediation.flow.statistics.tracer.collect.properties", "false"),
    ("internal.http.api.enabled", "true"),
    ("internal.http.api.port", "9191"),
    ("internal.https.api.port", "9154"),
    ("statistics.clean.enable", "true"),
    ("statistics.clean.interval", "1000"),
    ("inbound.threads.core", "20"),
    ("inbound.threads.max", "100"),
    ("inbound.port.offset.enable", "false"),
    ("opentelemetry.enable", "false"),
    ("opentelemetry.host", "localhost"),
    ("opentelemetry.port", "14250"),
    ("opentelemetry.service.name", "WSO2-SYNAPSE"),
    (
        "opentelemetry.class",
        "org.apache.synapse.aspects.flow.statistics.tracing.opentelemetry.management.OTLPTelemetryManager",
    ),
    ("opentelemetry.protocol", "grpc"),
    ("analytics.enabled", "false"),
    ("analytics.publisher", "log"),
    ("analytics.prefix", "SYNAPSE_ANALYTICS_DATA"),
    ("synapse.sal.endpoints.sesssion.timeout.default", "600000"),
];

/// What `passthru-http.properties` holds without a file.
pub(super) const PASSTHRU_DEFAULTS: &[(&str, &str)] = &[
    ("http.socket.timeout", "180000"),
    ("worker_pool_size_core", "400"),
    ("worker_pool_size_max", "400"),
    ("worker_pool_queue_length", "-1"),
    ("io_buffer_size", "16384"),
    ("http.max.connection.per.host.port", "32767"),
    ("http.user.agent.preserve", "false"),
    ("http.server.preserve", "true"),
    ("http.connection.disable.keepalive", "false"),
    ("valid.max.message.size.in.bytes", "81920"),
    ("force.json.message.reverseProxyMode", "false"),
];

/// Keys and sections that MI knows and whose effect is MI's own machinery (pools, class names, caches of Java
/// libraries), or that are read elsewhere. A name stands for itself and for everything below it.
const SILENT: &[&str] = &[
    "analytics",
    "authorization_manager",
    "blocking",
    "cpu_watcher",
    "database",
    "integration",
    "internal_api_ssl_config",
    "liveness_probe",
    "log_pattern",
    "log_watcher",
    "management_api.authorization_handler",
    "management_api.jwt_token_security_handler",
    "memory_watcher",
    "monitoring",
    "opentelemetry",
    "prometheus_api",
    "readiness_probe",
    "realm_manager",
    "secrets",
    "server.attachment_dir",
    "server.auth2_token_validation_service",
    "server.blocking",
    "server.cache_attachments",
    "server.enable_security_deployment_interceptor",
    "server.hide_admin_service_wsdl",
    "server.identity_server_password",
    "server.identity_server_username",
    "server.serverDetails",
    "server.size_threshold",
    "server.userAgent",
    "server_configuration",
    "super_admin",
    "system.parameter",
    "tasks",
    "traffic_analyzer",
    "transport.blocking",
    "transport.client",
    "transport.default_content_type",
    "transport.http.listener.certificate_revocation_cache_delay",
    "transport.http.listener.certificate_revocation_cache_size",
    "transport.http.listener.class",
    "transport.http.listener.ssl_profile.read_interval",
    "transport.http.sender.certificate_revocation_cache_delay",
    "transport.http.sender.class",
    "transport.http.sender.warn_on_http_500",
    "transport.local",
    "transport.modules",
    "transport.netty",
    "transport.vfs",
    "truststore.algorithm",
    "truststore.alias",
    "user_access",
    "zip_file_configuration",
];

/// A setting that MI obeys and this server does not.
struct Unsupported {
    /// Full key, section, or property of `synapse.properties` and `passthru-http.properties`.
    key: &'static str,
    /// Values that change nothing.
    harmless: &'static [&'static str],
    /// What happens instead.
    instead: &'static str,
}

const fn unsupported(key: &'static str, harmless: &'static [&'static str], instead: &'static str) -> Unsupported {
    Unsupported { key, harmless, instead }
}

const OFF: &[&str] = &["false", ""];
const NO_TRACES: &str = "no traces or events are sent";
const NO_BROKER: &str = "services and endpoints of this transport are not available";
const WS_DEFAULTS: &str = "ws and wss endpoints work, with defaults in place of these settings";
const NOT_ONE: &str = "it is not read";

const UNSUPPORTED: &[Unsupported] = &[
    unsupported("analytics.enabled", OFF, NO_TRACES),
    unsupported("mediation.flow.statistics.collect.all", OFF, NO_TRACES),
    unsupported("inbound.port.offset.enable", OFF, "ports of inbound endpoints are used as they are"),
    unsupported("freemarker.template.base.path", &[""], "included templates are read from conf: of the registry"),
    unsupported("http.client.global.proxy.enabled", OFF, "blocking calls go directly"),
    unsupported("message.size.validation.enabled", OFF, "bodies of any size are relayed, and built up to 512 MiB"),
    unsupported("force.xml.message.validation", OFF, "bodies are checked when they are read"),
    unsupported("force.json.message.validation", OFF, "bodies are checked when they are read"),
    unsupported("force.json.message.reverseProxyMode", OFF, NOT_ONE),
    unsupported("http.block_service_list", &[""], "proxy services are served to every client"),
    unsupported("max_open_connections", &["-1", "0"], "connections are not counted"),
    unsupported("server.proxy_context_path", &["", "/"], NOT_ONE),
    unsupported("server.http_content_negotiation", OFF, NOT_ONE),
    unsupported("server.enable_mtom", OFF, "attachments are sent inline"),
    unsupported("server.enableMTOM", OFF, "attachments are sent inline"),
    unsupported("server.enable_swa", OFF, "attachments are not sent"),
    unsupported("server.enableSwA", OFF, "attachments are not sent"),
    unsupported("server.enable_basic_auth", OFF, NOT_ONE),
    unsupported("server.service_path", &["services", "/services"], "services are below /services"),
    unsupported("server.synapse_config_file_path", &[""], "synapse-configs/default is read"),
    unsupported("transport.http.listener.wsdl_epr_prefix", &[""], "WSDLs name the host name and port of the server"),
    unsupported("transport.http.listener.parameter.WSDLEPRPrefix", &[""], "WSDLs name the host name of the server"),
    unsupported("transport.http.listener.preferred_ciphers", &[""], "the cipher suites of rustls are offered"),
    unsupported(
        "transport.https.listener.parameter.PreferredCiphers",
        &[""],
        "the cipher suites of rustls are offered",
    ),
    unsupported("transport.http.listener.ssl_profile.file_path", &[""], "there is one certificate for all names"),
    unsupported("transport.http.sender.ssl_profile.file_path", &[""], "there is one trust store for all hosts"),
    unsupported("transport.http.listener.certificate_revocation_verifier_enable", OFF, "revocation is not checked"),
    unsupported("transport.http.sender.certificate_revocation_verifier_enable", OFF, "revocation is not checked"),
    unsupported("management_api.authorization_handler.resources", &[""], NOT_ONE),
    unsupported("task_handling", &[""], "what is shared runs on the server that gets its lease"),
    unsupported("dashboard_config", &[""], "the server does not report to a dashboard"),
    unsupported("icp_config", &[""], "the server does not report to a control plane"),
    unsupported("encryption", &[""], "encrypted secrets are refused"),
    unsupported("metric_handler", &[""], "metrics are built in, with MI's default buckets"),
    unsupported("transaction_counter", &[""], "transactions are not counted"),
    unsupported("custom_transport", &[""], NO_BROKER),
    unsupported("transport.fix", &[""], NO_BROKER),
    unsupported("transport.jms", &[""], NO_BROKER),
    unsupported("transport.jndi", &[""], NO_BROKER),
    unsupported("transport.mail", &[""], NO_BROKER),
    unsupported("transport.mqtt", &[""], NO_BROKER),
    unsupported("transport.msmq", &[""], NO_BROKER),
    unsupported("transport.rabbitmq", &[""], NO_BROKER),
    unsupported("transport.sap", &[""], NO_BROKER),
    unsupported("transport.tcp", &[""], NO_BROKER),
    unsupported("transport.udp", &[""], NO_BROKER),
    unsupported("transport.ws", &[""], WS_DEFAULTS),
    unsupported("transport.wss", &[""], WS_DEFAULTS),
    unsupported("message_builders", &[""], "content types are read by the built-in builders"),
    unsupported("custom_message_builders", &[""], "content types are read by the built-in builders"),
    unsupported("message_formatters", &[""], "content types are written by the built-in formatters"),
    unsupported("custom_message_formatters", &[""], "content types are written by the built-in formatters"),
    unsupported("synapse_handlers", &[""], "Java classes do not run here"),
    unsupported("external_vault", &[""], "secrets come from the environment and from files"),
    unsupported("service_catalog", &[""], "services are not published to a catalog"),
];

/// `[[tables]]` that are read, or known to MI and without an effect here.
const KNOWN_ARRAYS: &[&str] = &[
    "datasource",
    "internal_apis.users",
    "server.get_request_processor",
    "server_conf",
    "transport.http.proxy_profile",
    "transport.http.secured_proxy_profile",
    "transport.phase_order",
];

fn is_below(key: &str, section: &str) -> bool {
    key.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// A warning for each setting that MI obeys and this server does not, and for each that nobody knows.
pub(super) fn report(table: &Table, out: &mut Diagnostics) {
    let mut told: Vec<&str> = Vec::new();
    for (key, entry) in table.entries() {
        let Some(found) = find_unsupported(key) else { continue };
        // One line for a section says enough.
        if found.harmless.iter().any(|it| entry.is(it)) || told.contains(&found.key) {
            continue;
        }
        told.push(found.key);
        let message = format!("the setting {key} is not supported: {}", found.instead);
        out.push(table.diagnostic(Severity::Warning, entry.offset, message));
    }
    for (name, offset) in table.arrays() {
        if let Some(found) = find_unsupported(name) {
            let message = format!("the tables [[{name}]] are not supported: {}", found.instead);
            out.push(table.diagnostic(Severity::Warning, offset, message));
        }
    }
    report_unknown(table, out);
}

/// By its full key, by a section around it, or by the property that it sets.
fn find_unsupported(key: &str) -> Option<&'static Unsupported> {
    let property = SYNAPSE.iter().chain(PASSTHRU).find(|(short, _)| *short == key).map(|(_, property)| *property);
    let section = ["synapse_properties.", "passthru_properties."].iter().find_map(|it| key.strip_prefix(it));
    UNSUPPORTED.iter().find(|it| is_below(key, it.key) || property == Some(it.key) || section == Some(it.key))
}

fn report_unknown(table: &Table, out: &mut Diagnostics) {
    for (key, entry) in table.unused() {
        if SILENT.iter().any(|section| is_below(key, section)) || find_unsupported(key).is_some() {
            continue;
        }
        let mut warning = table.diagnostic(Severity::Warning, entry.offset, format!("the setting {key} has no effect"));
        if let Some(meant) = nearest(key, &all_keys()) {
            warning = warning.hint(format!("did you mean {meant}?"));
        }
        out.push(warning);
    }
    for (name, offset) in table.arrays() {
        let known = KNOWN_ARRAYS.contains(&name)
            || name.starts_with("management_api")
            || SILENT.iter().any(|section| is_below(name, section))
            || find_unsupported(name).is_some();
        if !known {
            out.push(table.diagnostic(Severity::Warning, offset, format!("the tables [[{name}]] have no effect")));
        }
    }
}

fn all_keys() -> Vec<&'static str> {
    let short = SYNAPSE.iter().chain(PASSTHRU).chain(super::users::USER_STORE).map(|(short, _)| *short);
    short.chain(super::read::KEYS.iter().copied()).collect()
}
