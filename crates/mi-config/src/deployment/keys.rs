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

/// Keys and sections that MI knows and that nothing here reads, or that other crates read by their full key.
/// A name stands for itself and for everything below it.
const SILENT: &[&str] = &[
    "analytics",
    "authorization_manager",
    "blocking",
    "cluster_config",
    "cpu_watcher",
    "custom_transport",
    "dashboard_config",
    "database",
    "encryption",
    "icp_config",
    "integration",
    "internal_api_ssl_config",
    "liveness_probe",
    "log_pattern",
    "log_watcher",
    "management_api.authorization_handler",
    "management_api.jwt_token_security_handler",
    "memory_watcher",
    "metric_handler",
    "monitoring",
    "opentelemetry",
    "prometheus_api",
    "readiness_probe",
    "realm_manager",
    "secrets",
    "server.auth2_token_validation_service",
    "server.blocking",
    "server.cache_attachments",
    "server.attachment_dir",
    "server.enable_basic_auth",
    "server.enable_security_deployment_interceptor",
    "server.hide_admin_service_wsdl",
    "server.identity_server_password",
    "server.identity_server_username",
    "server.serverDetails",
    "server.size_threshold",
    "server.synapse_config_file_path",
    "server.userAgent",
    "server_configuration",
    "super_admin",
    "system.parameter",
    "task_handling",
    "tasks",
    "traffic_analyzer",
    "transaction_counter",
    "transport.blocking",
    "transport.client",
    "transport.default_content_type",
    "transport.fix",
    "transport.jms",
    "transport.jndi",
    "transport.local",
    "transport.mail",
    "transport.modules",
    "transport.mqtt",
    "transport.msmq",
    "transport.netty",
    "transport.rabbitmq",
    "transport.sap",
    "transport.tcp",
    "transport.udp",
    "transport.vfs",
    "transport.ws",
    "transport.wss",
    "transport.http.listener.certificate_revocation_cache_delay",
    "transport.http.listener.certificate_revocation_cache_size",
    "transport.http.listener.certificate_revocation_verifier_enable",
    "transport.http.listener.class",
    "transport.http.listener.ssl_profile.read_interval",
    "transport.http.sender.certificate_revocation_cache_delay",
    "transport.http.sender.certificate_revocation_cache_size",
    "transport.http.sender.certificate_revocation_verifier_enable",
    "transport.http.sender.class",
    "transport.http.sender.ssl_profile.read_interval",
    "transport.http.sender.warn_on_http_500",
    "truststore.algorithm",
    "truststore.alias",
    "user_access",
    "user_store",
    "zip_file_configuration",
];

/// `[[tables]]` that are read or known to MI.
const KNOWN_ARRAYS: &[&str] = &[
    "datasource",
    "synapse_handlers",
    "internal_apis.users",
    "custom_message_builders",
    "custom_message_formatters",
    "external_vault",
    "service_catalog",
    "server.get_request_processor",
    "server_conf",
    "transport.http.proxy_profile",
    "transport.http.secured_proxy_profile",
    "transport.phase_order",
    "transport.modules",
];

fn is_below(key: &str, section: &str) -> bool {
    key.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// A warning for each setting that nothing reads and MI does not know.
pub(super) fn report_unknown(table: &Table, out: &mut Diagnostics) {
    for (key, entry) in table.unused() {
        if SILENT.iter().any(|section| is_below(key, section)) {
            continue;
        }
        let mut warning = table.diagnostic(Severity::Warning, entry.offset, format!("the setting {key} has no effect"));
        if let Some(meant) = nearest(key, &all_keys()) {
            warning = warning.hint(format!("did you mean {meant}?"));
        }
        out.push(warning);
    }
    let unknown = table.array_names().filter(|name| {
        !KNOWN_ARRAYS.contains(name)
            && !SILENT.iter().any(|section| is_below(name, section))
            && !name.starts_with("management_api")
    });
    for name in unknown {
        out.push(table.diagnostic(Severity::Warning, 0, format!("the tables [[{name}]] have no effect")));
    }
}

fn all_keys() -> Vec<&'static str> {
    let short = SYNAPSE.iter().chain(PASSTHRU).map(|(short, _)| *short);
    short.chain(super::read::KEYS.iter().copied()).collect()
}
