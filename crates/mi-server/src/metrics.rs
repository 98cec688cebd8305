//! `/metric-service/metrics` of the internal listener: MI's metrics of services, those of endpoints and of the process.
//! MI: `MetricResource`. MI wants `-DenablePrometheusApi=true` and a handler class for it; here it is always there.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use http::StatusCode;
use mi_engine::transport::HttpReply;
use mi_engine::{Engine, Snapshot, reply};

use crate::probes::MI_VERSION;

/// Path of the page.
pub const PATH: &str = "/metric-service/metrics";

/// What the page reads; empty until the first deployment has finished.
#[derive(Debug, Default)]
pub struct Page {
    engine: OnceLock<Arc<Engine>>,
}

impl Page {
    /// From now on the page shows what `engine` counts. `host` and `port` are those of the HTTP listener.
    pub fn open(&self, engine: Arc<Engine>, host: &str, port: u16) {
        let snapshot = engine.snapshot();
        snapshot.services.metrics.set_server_up(host, port, MI_VERSION, now());
        services_changed(None, &snapshot);
        // A second call would be of the same engine.
        self.engine.get_or_init(|| engine);
    }

    /// The page.
    pub fn answer(&self) -> HttpReply {
        let mut text = match self.engine.get() {
            Some(engine) => {
                let snapshot = engine.snapshot();
                let services = mi_telemetry::metrics::render(&snapshot.services.metrics.gather());
                services + &endpoints(&snapshot)
            }
            None => String::new(),
        };
        text.push_str(&mi_telemetry::metrics::process());
        reply::plain(StatusCode::OK, mi_telemetry::metrics::CONTENT_TYPE, text)
    }
}

/// Marks the services of a new deployment as up and those that are gone as down; what those have counted goes with them.
pub fn services_changed(before: Option<&Snapshot>, now_deployed: &Snapshot) {
    let metrics = &now_deployed.services.metrics;
    let (old, new) = (before.map(services).unwrap_or_default(), services(now_deployed));
    for (name, kind) in new.difference(&old) {
        metrics.set_service_up(name, kind, now());
    }
    for (name, kind) in old.difference(&new) {
        metrics.forget(name, kind);
        metrics.set_service_up(name, kind, 0.0);
    }
}

/// Names and MI's words for the kinds of everything that takes messages.
fn services(snapshot: &Snapshot) -> BTreeSet<(Arc<str>, &'static str)> {
    let apis = snapshot.apis.iter().map(|api| (api.name.clone(), "api"));
    let proxies = snapshot.proxies.keys().map(|name| (name.clone(), "proxy"));
    let inbounds = snapshot.inbounds.iter().filter(|it| it.kind == "inboundendpoint");
    apis.chain(proxies).chain(inbounds.map(|it| (it.name.clone(), "inboundendpoint"))).collect()
}

/// State of each named endpoint, and the flows being run.
fn endpoints(snapshot: &Snapshot) -> String {
    let mut states: Vec<String> = snapshot
        .endpoints
        .iter()
        .filter_map(|(name, endpoint)| {
            let state = endpoint.state()?.state();
            let name = mi_telemetry::metrics::escaped(name);
            Some(format!("wso2_integration_endpoint_state{{endpoint=\"{name}\"}} {}.0\n", state as u8))
        })
        .collect();
    states.sort_unstable();
    let in_flight = snapshot.services.in_flight.load(std::sync::atomic::Ordering::Relaxed);
    format!(
        "# HELP wso2_integration_endpoint_state 1 active, 2 timed out, 3 suspended, 4 switched off\n\
         # TYPE wso2_integration_endpoint_state gauge\n{}\
         # HELP wso2_integration_messages_in_flight Flows being run\n\
         # TYPE wso2_integration_messages_in_flight gauge\nwso2_integration_messages_in_flight {in_flight}.0\n{}",
        states.concat(),
        body_memory(&snapshot.services.bodies)
    )
}

/// What bodies take, may take, and how many found no room.
fn body_memory(bodies: &mi_engine::room::BodyMemory) -> String {
    let mut text = String::new();
    let kinds = [("requests", &bodies.requests), ("answers", &bodies.others)];
    let mut family = |name: &str, kind: &str, help: &str, value: &dyn Fn(&mi_engine::room::Budget) -> u64| {
        text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        for (of, budget) in kinds {
            text.push_str(&format!("{name}{{of=\"{of}\"}} {}.0\n", value(budget)));
        }
    };
    let lent = "wso2_integration_body_memory_bytes";
    family(lent, "gauge", "Memory that bodies of messages take", &|it| it.lent() as u64);
    let most = "wso2_integration_body_memory_limit_bytes";
    family(most, "gauge", "Memory that bodies of messages may take", &|it| it.capacity() as u64);
    let refused = "wso2_integration_body_memory_refused_total";
    family(refused, "counter", "Messages for whose bodies there was no memory", &|it| it.refused());
    text
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
