//! What follows messages in this server: access log, correlation log, ids on log lines, traces, each as configured.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use mi_config::Deployment;
use mi_engine::trail::Watch;
use mi_engine::transport::HttpClient;
use mi_telemetry::follow::{Follow, Settings};
use mi_telemetry::log::LogConfig;
use mi_telemetry::trace::{Endpoint, Protocol, TraceConfig, Tracer};

use crate::cli::HomeArgs;
use crate::logging;
use crate::server::{Lasting, Prepared};

const LOGGER: &str = "OpenTelemetryManagerHolder";

/// What was started.
pub struct Following {
    watch: Arc<Watch>,
    /// Switches the correlation log.
    pub correlation: Arc<AtomicBool>,
    /// Sends spans, where that is configured.
    pub tracer: Option<Tracer>,
}

impl Following {
    /// What outlasts deployments, at the start.
    pub fn lasting(&self) -> Lasting {
        Lasting { watch: self.watch.clone(), ..Lasting::default() }
    }
}

/// Reads what is to be followed and begins to.
pub fn start(
    prepared: &Prepared,
    log: &LogConfig,
    args: &HomeArgs,
    client: &Arc<dyn HttpClient>,
) -> std::io::Result<Following> {
    let (access, wrong) = logging::access(&prepared.home.root);
    for text in wrong {
        log::warn!(target: "AccessLogger", "access-log.properties: {text}");
    }
    let on = args.property("enableCorrelationLogs").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let correlation = Arc::new(AtomicBool::new(on));
    let tracer = match trace_config(&prepared.deployment) {
        Some(config) => {
            let Endpoint { host, port, path, .. } = &config.endpoint;
            log::info!(target: LOGGER, "Traces are sent to {host}:{port}{path}");
            Some(Tracer::start(config, client.clone())?)
        }
        None => None,
    };
    let settings = Settings {
        access,
        correlation: correlation.clone(),
        header: prepared.deployment.http.correlation_header.clone(),
        ids: log.console.shows_ids() || log.file.as_ref().is_some_and(mi_telemetry::log::Pattern::shows_ids),
        tracer: tracer.clone(),
    };
    Ok(Following { watch: Arc::new(Watch::new(Follow::new(settings))), correlation, tracer })
}

/// `[opentelemetry]`, if it is on and can be used. MI: `OpenTelemetryManagerHolder`, `OTLPTelemetryManager`.
fn trace_config(deployment: &Deployment) -> Option<TraceConfig> {
    let setting = |name: &str| deployment.synapse_properties.get(name).map(|it| it.trim()).filter(|it| !it.is_empty());
    if !setting("opentelemetry.enable").is_some_and(|it| it.eq_ignore_ascii_case("true")) {
        return None;
    }
    let class = setting("opentelemetry.class").unwrap_or_default();
    if !class.ends_with("OTLPTelemetryManager") {
        log::warn!(target: LOGGER, "{class} is not there: traces are sent in the protocol of OpenTelemetry (OTLP)");
    }
    let protocol = match setting("opentelemetry.protocol").unwrap_or("grpc") {
        it if it.eq_ignore_ascii_case("http") => Protocol::Http,
        it if it.eq_ignore_ascii_case("grpc") => Protocol::Grpc,
        other => {
            log::error!(target: LOGGER, "No traces are sent: the protocol is '{other}', it may be 'http' or 'grpc'");
            return None;
        }
    };
    let default = if protocol == Protocol::Http { "http://localhost:4318" } else { "http://localhost:4317" };
    let url = setting("opentelemetry.url").unwrap_or(default);
    let Some(endpoint) = Endpoint::parse(url, protocol) else {
        log::error!(target: LOGGER, "No traces are sent: '{url}' is not a URL with http or https");
        return None;
    };
    let number = |name: &str, default: usize| setting(name).and_then(|it| it.parse().ok()).unwrap_or(default);
    let millis = |name: &str, default: usize| Duration::from_millis(number(name, default) as u64);
    let list = |name: &str| {
        let names = setting(name).unwrap_or_default().split(',').map(|it| it.trim().to_owned());
        names.filter(|it| !it.is_empty()).collect::<Vec<_>>()
    };
    let properties = deployment.synapse_properties.iter();
    let headers = properties.filter_map(|(name, value)| {
        let name = name.strip_prefix("opentelemetry.properties.").filter(|name| *name != "resource_attributes")?;
        Some((name.to_owned(), value.clone()))
    });
    Some(TraceConfig {
        endpoint,
        protocol,
        headers: headers.collect(),
        resource: resource(
            setting("opentelemetry.service.name"),
            setting("opentelemetry.properties.resource_attributes"),
        ),
        tags: list("oltp.custom.span.header.tags"),
        filtered: list("oltp.filtered.mediator.names"),
        queue: number("opentelemetry.bsp.max.queue.size", 2048),
        batch: number("opentelemetry.bsp.max.export.batch.size", 512).max(1),
        delay: millis("opentelemetry.bsp.schedule.delay.millis", 5000),
        timeout: millis("opentelemetry.bsp.export.timeout.millis", 30_000),
    })
}

/// Attributes of this server: its name, those of `deployment.toml`, then those of the environment, which win.
fn resource(name: Option<&str>, configured: Option<&str>) -> Vec<(String, String)> {
    let environment = std::env::var("OTEL_RESOURCE_ATTRIBUTES").ok();
    let name = std::env::var("SERVICE_NAME").ok().or_else(|| name.map(str::to_owned));
    let mut found = vec![("service.name".to_owned(), name.unwrap_or_else(|| "WSO2-SYNAPSE".to_owned()))];
    for text in [configured, environment.as_deref()].into_iter().flatten() {
        for (name, value) in text.split(',').filter_map(|pair| pair.split_once('=')) {
            let (name, value) = (name.trim(), value.trim().to_owned());
            match found.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => *known = value,
                None => found.push((name.to_owned(), value)),
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use mi_config::NoPlaceholders;

    fn config(toml: &str) -> Option<TraceConfig> {
        trace_config(&Deployment::parse("deployment.toml", toml, &NoPlaceholders).0)
    }

    #[test]
    fn traces_are_sent_where_the_settings_say() {
        assert!(config("").is_none());
        let on = "[opentelemetry]\nenable = true\n";
        let grpc = config(on).expect("on");
        assert_eq!((grpc.protocol, grpc.endpoint.port, grpc.queue), (Protocol::Grpc, 4317, 2048));
        let http = config(&format!(
            "{on}protocol = 'http'\nurl = 'http://c:9/x'\nfiltered.mediator.names = 'LogMediator, X'\n"
        ))
        .expect("on");
        assert_eq!((http.endpoint.host.as_str(), http.endpoint.path.as_str()), ("c", "/x"));
        assert_eq!(http.filtered, ["LogMediator", "X"]);
        assert!(config(&format!("{on}protocol = 'udp'\n")).is_none());
        assert!(config(&format!("{on}url = 'nowhere'\n")).is_none());
    }

    #[test]
    fn attributes_that_are_configured_win_over_defaults() {
        let found = resource(Some("mi"), Some("service.name=orders, zone=a"));
        assert!(found.contains(&("service.name".to_owned(), "orders".to_owned())), "{found:?}");
        assert!(found.contains(&("zone".to_owned(), "a".to_owned())), "{found:?}");
    }
}
