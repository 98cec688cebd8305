//! Counters of services, in the engine so that nothing has to be switched on and no path is left out. Names, labels and
//! buckets are MI's. MI: `MetricHandler`, `PrometheusReporter`, `MetricConstants`.
//!
//! A service gets its meters when it is compiled; counting a message is a few atomic additions.

use std::time::Instant;

use prometheus::core::Collector;
use prometheus::proto::{Metric, MetricFamily};
use prometheus::{GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};

/// Upper bounds of latencies in seconds.
const BUCKETS: [f64; 10] = [0.19, 0.20, 0.25, 0.30, 0.35, 0.40, 0.50, 0.60, 1.0, 5.0];

/// Counters of all services. They go on when a service is deployed anew.
pub struct Metrics {
    registry: Registry,
    proxies: Family,
    apis: Family,
    inbounds: Family,
    service_up: GaugeVec,
    server_up: GaugeVec,
    server_version: GaugeVec,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// The metrics of one kind of service.
struct Family {
    requests: IntCounterVec,
    errors: IntCounterVec,
    latency: HistogramVec,
}

/// The metrics of one service on one address.
#[derive(Clone, Debug)]
pub struct Meter {
    requests: IntCounter,
    errors: IntCounter,
    latency: Histogram,
}

/// The meters of a service for the plain and the secured listener.
#[derive(Clone, Debug)]
pub struct Meters {
    plain: Meter,
    secured: Meter,
}

/// What a service on one address has counted.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceCount {
    /// Kind as it is shown.
    pub kind: &'static str,
    /// Name.
    pub name: String,
    /// Kind as the metrics call it.
    pub service_type: String,
    /// Address, for APIs.
    pub url: String,
    /// Messages.
    pub requests: u64,
    /// Messages that met a fault.
    pub errors: u64,
    /// How long those that have ended took, all together.
    pub seconds: f64,
}

/// A message being measured. Its latency is taken when this is dropped.
#[derive(Debug)]
pub struct Measured {
    latency: Histogram,
    began: Instant,
}

impl Family {
    /// `kind` as in `wso2_integration_KIND_…`, `what` as in the help texts of MI.
    fn new(registry: &Registry, kind: &str, what: &str, labels: &[&str]) -> prometheus::Result<Self> {
        let name = |rest: &str| format!("wso2_integration_{kind}_{rest}");
        let counter = |rest: &str, help: String| IntCounterVec::new(Opts::new(name(rest), help), labels);
        let latency = HistogramOpts::new(name("latency_seconds"), format!("Latency of requests to {what}"));
        let family = Self {
            requests: counter("request_count_total", format!("Total number of requests to {what}"))?,
            errors: counter("request_count_error_total", format!("Total number of error requests to {what}"))?,
            latency: HistogramVec::new(latency.buckets(BUCKETS.to_vec()), labels)?,
        };
        for collector in [
            Box::new(family.requests.clone()) as Box<dyn Collector>,
            Box::new(family.errors.clone()),
            Box::new(family.latency.clone()),
        ] {
            registry.register(collector)?;
        }
        Ok(family)
    }

    fn counts(&self, kind: &'static str) -> Vec<ServiceCount> {
        let latencies = self.latency.collect();
        let metrics = latencies.iter().flat_map(MetricFamily::get_metric);
        let count = |metric: &Metric| {
            let label = |wanted: &str| {
                let found = metric.get_label().iter().find(|label| label.name() == wanted);
                found.map(|label| label.value().to_owned()).unwrap_or_default()
            };
            let (name, service_type, url) = (label("service_name"), label("service_type"), label("invocation_url"));
            let labels = [name.as_str(), service_type.as_str(), url.as_str()];
            let labels = if url.is_empty() { &labels[..2] } else { &labels[..] };
            let (requests, errors) = (self.requests.with_label_values(labels), self.errors.with_label_values(labels));
            let seconds = metric.get_histogram().get_sample_sum();
            let (requests, errors) = (requests.get(), errors.get());
            ServiceCount { kind, name, service_type, url, requests, errors, seconds }
        };
        metrics.map(count).collect()
    }

    /// Takes away what a service has counted.
    fn forget(&self, name: &str) {
        for count in self.counts("").into_iter().filter(|it| it.name == name) {
            let labels = [count.name.as_str(), count.service_type.as_str(), count.url.as_str()];
            let labels = if count.url.is_empty() { &labels[..2] } else { &labels[..] };
            // A family that has no such metric has nothing to forget.
            self.requests.remove_label_values(labels).ok();
            self.errors.remove_label_values(labels).ok();
            self.latency.remove_label_values(labels).ok();
        }
    }

    fn meter(&self, labels: &[&str]) -> Meter {
        Meter {
            requests: self.requests.with_label_values(labels),
            errors: self.errors.with_label_values(labels),
            latency: self.latency.with_label_values(labels),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new().expect("the names above are valid and different")
    }
}

impl Metrics {
    fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let service = ["service_name", "service_type"];
        let service_up = GaugeVec::new(Opts::new("wso2_integration_service_up", "Service status"), &service)?;
        let server = ["host", "port", "java_home", "java_version"];
        let server_up = GaugeVec::new(Opts::new("wso2_integration_server_up", "Server status"), &server)?;
        let version = Opts::new("wso2_integration_server_version", "Version and Update Level of Server");
        let server_version = GaugeVec::new(version, &["version", "update_level"])?;
        for gauge in [&service_up, &server_up, &server_version] {
            registry.register(Box::new(gauge.clone()))?;
        }
        Ok(Self {
            proxies: Family::new(&registry, "proxy", "a proxy service", &service)?,
            apis: Family::new(&registry, "api", "an api", &["service_name", "service_type", "invocation_url"])?,
            inbounds: Family::new(&registry, "inbound_endpoint", "an inbound endpoint", &service)?,
            service_up,
            server_up,
            server_version,
            registry,
        })
    }

    /// The meters of a proxy service.
    pub fn proxy(&self, name: &str) -> Meters {
        Meters::same(self.proxies.meter(&[name, "proxy"]))
    }

    /// The meters of an inbound endpoint.
    pub fn inbound(&self, name: &str) -> Meters {
        Meters::same(self.inbounds.meter(&[name, "inbound-endpoint"]))
    }

    /// The meters of an API with its addresses on the two listeners.
    pub fn api(&self, name: &str, plain: &str, secured: &str) -> Meters {
        Meters { plain: self.apis.meter(&[name, "api", plain]), secured: self.apis.meter(&[name, "api", secured]) }
    }

    /// Since when (seconds since 1970) the server of `version` runs on `host:port`.
    pub fn set_server_up(&self, host: &str, port: u16, version: &str, since: f64) {
        self.server_up.with_label_values(&[host, &port.to_string(), "", ""]).set(since);
        self.server_version.with_label_values(&[version, ""]).set(since);
    }

    /// Since when (seconds since 1970) a service is deployed; 0 when it no longer is.
    pub fn set_service_up(&self, name: &str, kind: &str, since: f64) {
        self.service_up.with_label_values(&[name, kind]).set(since);
    }

    /// Takes away what a service has counted that is no longer deployed. `kind` is `api`, `proxy` or `inboundendpoint`.
    pub fn forget(&self, name: &str, kind: &str) {
        match kind {
            "api" => self.apis.forget(name),
            "proxy" => self.proxies.forget(name),
            _ => self.inbounds.forget(name),
        }
    }

    /// What each service on each address has counted.
    pub fn counts(&self) -> Vec<ServiceCount> {
        let families = [(&self.apis, "API"), (&self.proxies, "Proxy service"), (&self.inbounds, "Inbound endpoint")];
        families.into_iter().flat_map(|(family, kind)| family.counts(kind)).collect()
    }

    /// All values.
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }
}

impl Meters {
    fn same(meter: Meter) -> Self {
        Self { plain: meter.clone(), secured: meter }
    }

    /// Counts a message that begins.
    pub fn begin(&self, secured: bool) -> Measured {
        let meter = self.of(secured);
        meter.requests.inc();
        Measured { latency: meter.latency.clone(), began: Instant::now() }
    }

    /// Counts a message that met a fault.
    pub fn fault(&self, secured: bool) {
        self.of(secured).errors.inc();
    }

    fn of(&self, secured: bool) -> &Meter {
        if secured { &self.secured } else { &self.plain }
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        self.latency.observe(self.began.elapsed().as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_is_gone_leaves_no_counts() {
        let metrics = Metrics::default();
        for name in ["A", "B"] {
            drop(metrics.api(name, "http://h/a", "https://h/a").begin(true));
            drop(metrics.proxy(name).begin(false));
        }
        metrics.forget("A", "api");
        metrics.forget("B", "proxy");
        let mut left: Vec<_> = metrics.counts().into_iter().map(|it| (it.kind, it.name, it.requests)).collect();
        left.sort();
        let expected = [("API", "B", 0), ("API", "B", 1), ("Proxy service", "A", 1)];
        assert_eq!(left, expected.map(|(kind, name, requests)| (kind, name.to_owned(), requests)));
    }

    /// Names, kinds and labels of MI (`PrometheusReporter`, `MetricConstants`). Those of data services belong to what has none
    /// here, and the error counters carry the labels of the others.
    #[test]
    fn every_metric_has_its_name_kind_and_labels() {
        let metrics = Metrics::default();
        drop(metrics.api("A", "http://h/a", "https://h/a").begin(false));
        drop(metrics.proxy("P").begin(false));
        drop(metrics.inbound("I").begin(false));
        metrics.set_server_up("h", 8290, "4.4.0", 1.0);
        metrics.set_service_up("A", "api", 1.0);
        let mut expected = vec![
            "wso2_integration_server_up GAUGE host,java_home,java_version,port".to_owned(),
            "wso2_integration_server_version GAUGE update_level,version".to_owned(),
            "wso2_integration_service_up GAUGE service_name,service_type".to_owned(),
        ];
        for (kind, url) in [("api", "invocation_url,"), ("inbound_endpoint", ""), ("proxy", "")] {
            let rest = [
                ("latency_seconds", "HISTOGRAM"),
                ("request_count_error_total", "COUNTER"),
                ("request_count_total", "COUNTER"),
            ];
            let each = |(name, of)| format!("wso2_integration_{kind}_{name} {of} {url}service_name,service_type");
            expected.extend(rest.map(each));
        }
        expected.sort();
        let families = metrics.gather();
        let shown = families.iter().map(|family| {
            let first = family.get_metric().first().expect("a family without metrics is not gathered");
            let mut labels: Vec<&str> = first.get_label().iter().map(prometheus::proto::LabelPair::name).collect();
            labels.sort_unstable();
            format!("{} {:?} {}", family.name(), family.get_field_type(), labels.join(","))
        });
        assert_eq!(shown.collect::<Vec<_>>(), expected);
        let latency = families.iter().find(|it| it.name() == "wso2_integration_api_latency_seconds").unwrap();
        let bounds: Vec<f64> = latency.get_metric()[0]
            .get_histogram()
            .get_bucket()
            .iter()
            .map(prometheus::proto::Bucket::upper_bound)
            .collect();
        assert_eq!(bounds, [0.19, 0.20, 0.25, 0.30, 0.35, 0.40, 0.50, 0.60, 1.0, 5.0]);
    }

    fn value(metrics: &Metrics, name: &str) -> Vec<f64> {
        let families = metrics.gather();
        let family = families.iter().find(|it| it.name() == name).unwrap();
        let values = family.get_metric().iter().map(|it| match it.get_histogram().get_sample_count() {
            0 => it.get_counter().get_value(),
            count => count as f64,
        });
        values.collect()
    }

    #[test]
    fn a_message_counts_once_and_is_timed_at_its_end() {
        let metrics = Metrics::default();
        let meters = metrics.api("A", "http://localhost:8290/a", "https://localhost:8253/a");
        let measured = meters.begin(false);
        meters.fault(false);
        assert_eq!(value(&metrics, "wso2_integration_api_latency_seconds"), [0.0, 0.0]);
        drop(measured);
        // Deployed anew: the counters go on.
        drop(metrics.api("A", "http://localhost:8290/a", "").begin(false));
        for (name, expected) in
            [("request_count_total", 2.0), ("request_count_error_total", 1.0), ("latency_seconds", 2.0)]
        {
            assert_eq!(
                value(&metrics, &format!("wso2_integration_api_{name}")).iter().sum::<f64>(),
                expected,
                "{name}"
            );
        }
    }
}
