//! `/metric-service/metrics` of the internal listener: MI's metrics of services, those of endpoints and of the process.
//! MI: `MetricResource`. MI wants `-DenablePrometheusApi=true` and a handler class for it; here it is always there.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use http::StatusCode;
use mi_engine::inbound::{Phase, RunningInbounds, Status};
use mi_engine::room::{BodyMemory, Budget};
use mi_engine::transport::HttpReply;
use mi_engine::{Snapshot, reply};
use mi_transports::http::{Client, HostUse};

use crate::probes::MI_VERSION;

/// Path of the page.
pub const PATH: &str = "/metric-service/metrics";

/// What the page reads; empty until the first deployment has finished.
#[derive(Debug, Default)]
pub struct Page {
    source: OnceLock<Source>,
}

#[derive(Debug)]
struct Source {
    running: Arc<RunningInbounds>,
    client: Client,
}

impl Page {
    /// From now on the page shows what is counted of `running`, its engine and `client`. `host` and `port` are those of the HTTP
    /// listener.
    pub fn open(&self, running: Arc<RunningInbounds>, client: Client, host: &str, port: u16) {
        let snapshot = running.engine().snapshot();
        snapshot.services.metrics.set_server_up(host, port, MI_VERSION, now());
        services_changed(None, &snapshot);
        // A second call would be of the same engine.
        self.source.get_or_init(|| Source { running, client });
    }

    /// The page.
    pub fn answer(&self) -> HttpReply {
        let mut text = match self.source.get() {
            Some(Source { running, client }) => {
                let snapshot = running.engine().snapshot();
                let mut lines = Lines(mi_telemetry::metrics::render(&snapshot.services.metrics.gather()));
                deployed(&snapshot, &mut lines);
                intakes(running, &mut lines);
                body_memory(&snapshot.services.bodies, &mut lines);
                back_ends(&client.in_use(), &mut lines);
                lines.0
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

/// Lines of metrics of this server's own.
#[derive(Default)]
struct Lines(String);

impl Lines {
    /// A family with its series: labels as they are written, and the value.
    fn family(&mut self, name: &str, kind: &str, help: &str, series: impl IntoIterator<Item = (String, f64)>) {
        let mut series: Vec<(String, f64)> = series.into_iter().collect();
        series.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        self.0.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        for (labels, value) in series {
            let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
            self.0.push_str(&format!("{name}{labels} {value:?}\n"));
        }
    }
}

fn label(name: &str, value: &str) -> String {
    format!("{name}=\"{}\"", mi_telemetry::metrics::escaped(value))
}

/// State of each named endpoint, depth of each store, and the flows being run.
fn deployed(snapshot: &Snapshot, lines: &mut Lines) {
    let endpoints = snapshot.endpoints.iter();
    let states =
        endpoints.filter_map(|(name, it)| Some((label("endpoint", name), f64::from(it.state()?.state() as u8))));
    let help = "1 active, 2 timed out, 3 suspended, 4 switched off";
    lines.family("wso2_integration_endpoint_state", "gauge", help, states);
    let stores = snapshot.stores.iter();
    let depths = stores.filter_map(|(name, it)| Some((label("store", name), it.size()? as f64)));
    lines.family("wso2_integration_message_store_messages", "gauge", "Messages in a store", depths);
    let in_flight = snapshot.services.in_flight.load(std::sync::atomic::Ordering::Relaxed);
    let series = [(String::new(), in_flight as f64)];
    lines.family("wso2_integration_messages_in_flight", "gauge", "Flows being run", series);
}

/// What polls, listens or runs by itself: is it active, what has it done, and when did it last look?
fn intakes(running: &RunningInbounds, lines: &mut Lines) {
    let all = running.list();
    let named = |it: &Status| format!("{},{}", label("kind", it.kind), label("name", &it.name));
    let active = all.iter().map(|it| (named(it), if it.phase == Phase::Running { 1.0 } else { 0.0 }));
    let help = "1 active, 0 paused";
    lines.family("wso2_integration_intake_active", "gauge", help, active);
    let counted = |at: [usize; 2]| {
        let outcomes = move |it: &Status| {
            let counts = it.gauge.counts();
            ["done", "failed"].map(|outcome| (outcome, named(it))).into_iter().zip(at.map(|at| counts[at] as f64))
        };
        all.iter().flat_map(outcomes).map(|((outcome, named), count)| (format!("{named},outcome=\"{outcome}\""), count))
    };
    let help = "Messages taken in, or runs of a task";
    lines.family("wso2_integration_intake_messages_total", "counter", help, counted([0, 1]));
    lines.family("wso2_integration_intake_passes_total", "counter", "Looks of a poller", counted([3, 4]));
    let lag = all.iter().filter_map(|it| Some((named(it), it.gauge.since_pass()?.as_secs_f64())));
    let help = "Time since a poller last looked with success";
    lines.family("wso2_integration_intake_seconds_since_pass", "gauge", help, lag);
}

/// What the connections to each back end are at.
fn back_ends(hosts: &[HostUse], lines: &mut Lines) {
    let each =
        |value: fn(&HostUse) -> usize| hosts.iter().map(move |it| (label("address", &it.address), value(it) as f64));
    let help = "Requests on their way to a back end; over HTTP/1 each has a connection";
    lines.family("wso2_integration_http_client_requests", "gauge", help, each(|it| it.requests));
    let help = "Requests that wait because as many as allowed are on their way";
    lines.family("wso2_integration_http_client_waiting_requests", "gauge", help, each(|it| it.waiting));
    let help = "Connections to a back end that nobody uses";
    lines.family("wso2_integration_http_client_idle_connections", "gauge", help, each(|it| it.idle));
}

/// What bodies take, may take, and how many found no room.
fn body_memory(bodies: &BodyMemory, lines: &mut Lines) {
    let each = |value: fn(&Budget) -> u64| {
        [("requests", &bodies.requests), ("answers", &bodies.others)]
            .map(|(of, budget)| (label("of", of), value(budget) as f64))
    };
    let help = "Memory that bodies of messages take";
    lines.family("wso2_integration_body_memory_bytes", "gauge", help, each(|it| it.lent() as u64));
    let help = "Memory that bodies of messages may take";
    lines.family("wso2_integration_body_memory_limit_bytes", "gauge", help, each(|it| it.capacity() as u64));
    let help = "Messages for whose bodies there was no memory";
    lines.family("wso2_integration_body_memory_refused_total", "counter", help, each(Budget::refused));
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_sorted_and_labels_escaped() {
        let mut lines = Lines::default();
        let series = [(label("store", "b\"x\n"), 2.0), (label("store", "a"), 0.25)];
        lines.family("depth", "gauge", "Messages", series);
        lines.family("flows", "gauge", "Flows", [(String::new(), 3.0)]);
        lines.family("none", "gauge", "Nothing", []);
        let expected = "# HELP depth Messages\n# TYPE depth gauge\ndepth{store=\"a\"} 0.25\ndepth{store=\"b\\\"x\\n\"} 2.0\n\
                        # HELP flows Flows\n# TYPE flows gauge\nflows 3.0\n# HELP none Nothing\n# TYPE none gauge\n";
        assert_eq!(lines.0, expected);
    }
}
