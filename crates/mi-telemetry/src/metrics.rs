//! Metrics as text, in the form that Prometheus reads, and those of the process itself.
//! MI: `MetricFormatter`, `DefaultExports`.

use std::fmt::Write as _;

use prometheus::proto::{LabelPair, MetricFamily, MetricType};

/// Content type of [`render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The families as text, numbers as Java writes them (`2.0`).
pub fn render(families: &[MetricFamily]) -> String {
    let mut out = String::with_capacity(4096);
    for family in families {
        let name = family.name();
        let kind = match family.get_field_type() {
            MetricType::COUNTER => "counter",
            MetricType::HISTOGRAM => "histogram",
            _ => "gauge",
        };
        describe(&mut out, name, family.help(), kind);
        for metric in family.get_metric() {
            let labels = metric.get_label();
            match family.get_field_type() {
                MetricType::COUNTER => line(&mut out, name, "", labels, None, metric.get_counter().get_value()),
                MetricType::HISTOGRAM => {
                    let histogram = metric.get_histogram();
                    for bucket in histogram.get_bucket() {
                        let bound = number(bucket.upper_bound());
                        line(&mut out, name, "_bucket", labels, Some(&bound), bucket.cumulative_count() as f64);
                    }
                    let count = histogram.get_sample_count() as f64;
                    line(&mut out, name, "_bucket", labels, Some("+Inf"), count);
                    line(&mut out, name, "_count", labels, None, count);
                    line(&mut out, name, "_sum", labels, None, histogram.get_sample_sum());
                }
                _ => line(&mut out, name, "", labels, None, metric.get_gauge().get_value()),
            }
        }
    }
    out
}

fn describe(out: &mut String, name: &str, help: &str, kind: &str) {
    let help = help.replace('\\', "\\\\").replace('\n', "\\n");
    push(out, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
}

fn line(out: &mut String, name: &str, ending: &str, labels: &[LabelPair], bound: Option<&str>, value: f64) {
    push(out, format_args!("{name}{ending}"));
    let bound = bound.map(|bound| ("le", bound.to_owned()));
    let all = labels.iter().map(|it| (it.name(), escaped(it.value()))).chain(bound);
    for (at, (label, value)) in all.enumerate() {
        push(out, format_args!("{}{label}=\"{value}\"", if at == 0 { '{' } else { ',' }));
    }
    if !labels.is_empty() || ending == "_bucket" {
        out.push('}');
    }
    push(out, format_args!(" {}\n", number(value)));
}

/// The value of a label, without its quotes.
pub fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn number(value: f64) -> String {
    if value == f64::INFINITY { "+Inf".to_owned() } else { format!("{value:?}") }
}

fn push(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments).expect("a String takes everything");
}

/// Memory, processor time, threads and open files of this process, as far as the system tells.
pub fn process() -> String {
    let mut out = String::new();
    let mut gauge = |name: &str, help: &str, kind: &str, value: Option<f64>| {
        if let Some(value) = value {
            describe(&mut out, name, help, kind);
            push(&mut out, format_args!("{name} {}\n", number(value)));
        }
    };
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| -> Option<f64> {
        let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
        rest.trim_start_matches(':').split_whitespace().next()?.parse().ok()
    };
    let kilobytes = |name: &str| field(name).map(|value| value * 1024.0);
    gauge("process_resident_memory_bytes", "Resident memory size in bytes.", "gauge", kilobytes("VmRSS"));
    gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", "gauge", kilobytes("VmSize"));
    gauge("process_threads", "Number of threads of the process.", "gauge", field("Threads"));
    let files = std::fs::read_dir("/proc/self/fd").map(|entries| entries.count() as f64).ok();
    gauge("process_open_fds", "Number of open file descriptors.", "gauge", files);
    let seconds = "Total user and system CPU time spent in seconds.";
    gauge("process_cpu_seconds_total", seconds, "counter", processor_seconds());
    out
}

/// Linux counts in hundredths of a second, whatever the machine.
fn processor_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program is in parentheses and may hold blanks.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{Gauge, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

    #[test]
    fn families_read_as_prometheus_wants_them() {
        let registry = Registry::new();
        let counter = IntCounterVec::new(Opts::new("c_total", "Counts"), &["name"]).unwrap();
        counter.with_label_values(&["a\"b"]).inc_by(2);
        let latency = HistogramVec::new(HistogramOpts::new("l", "Latency").buckets(vec![0.5, 1.0]), &["name"]).unwrap();
        latency.with_label_values(&["x"]).observe(0.75);
        let up = Gauge::new("up", "Is it?").unwrap();
        up.set(1.5);
        registry.register(Box::new(counter)).unwrap();
        registry.register(Box::new(latency)).unwrap();
        registry.register(Box::new(up)).unwrap();
        let expected = "# HELP c_total Counts\n# TYPE c_total counter\nc_total{name=\"a\\\"b\"} 2.0\n\
                        # HELP l Latency\n# TYPE l histogram\nl_bucket{name=\"x\",le=\"0.5\"} 0.0\n\
                        l_bucket{name=\"x\",le=\"1.0\"} 1.0\nl_bucket{name=\"x\",le=\"+Inf\"} 1.0\n\
                        l_count{name=\"x\"} 1.0\nl_sum{name=\"x\"} 0.75\n\
                        # HELP up Is it?\n# TYPE up gauge\nup 1.5\n";
        assert_eq!(render(&registry.gather()), expected);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_tells_of_itself() {
        let text = process();
        for name in ["process_resident_memory_bytes ", "process_cpu_seconds_total ", "process_open_fds "] {
            let value = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            assert!(value.parse::<f64>().unwrap() >= 0.0, "{name}{value}");
        }
    }
}
