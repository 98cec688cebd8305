//! What the objects of one overlay name of each other must be there: pods behind services and policies, ports, volumes,
//! claims, maps, accounts and services.

use serde_yaml_ng::{Mapping, Value};

/// What is named and not there.
pub(crate) fn dangling(all: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    for object in all {
        let (kind, name) = (text(object, "/kind"), text(object, "/metadata/name"));
        let mut say = |what: String| found.push(format!("{kind} {name}: {what}"));
        match kind {
            "Deployment" => pod(all, object, &mut say),
            "Service" => service(all, object, &mut say),
            "NetworkPolicy" | "PodDisruptionBudget" => {
                let field = if kind == "NetworkPolicy" { "podSelector" } else { "selector" };
                let labels = at(object, &format!("/spec/{field}/matchLabels"));
                if pods(all, labels).is_empty() {
                    say("selects no pod".to_owned());
                }
            }
            "HorizontalPodAutoscaler" => {
                let (kind, name) =
                    (text(object, "/spec/scaleTargetRef/kind"), text(object, "/spec/scaleTargetRef/name"));
                if !has(all, kind, name) {
                    say(format!("there is no {kind} {name}"));
                }
            }
            "RoleBinding" if !has(all, "Role", text(object, "/roleRef/name")) => {
                say(format!("there is no Role {}", text(object, "/roleRef/name")));
            }
            "Ingress" => {
                for path in list(object, "/spec/rules").iter().flat_map(|rule| list(rule, "/http/paths")) {
                    let service = text(path, "/backend/service/name");
                    backend(all, service, at(path, "/backend/service/port/name"), "name", &mut say);
                }
            }
            "HTTPRoute" => {
                for backend_ref in list(object, "/spec/rules").iter().flat_map(|rule| list(rule, "/backendRefs")) {
                    backend(all, text(backend_ref, "/name"), at(backend_ref, "/port"), "port", &mut say);
                }
            }
            _ => {}
        }
    }
    found
}

/// The value at a path such as `/spec/template`.
fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('/').filter(|it| !it.is_empty()).try_fold(value, |value, key| value.get(key))
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    at(value, path).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    at(value, path).and_then(Value::as_sequence).map_or(&[], Vec::as_slice)
}

fn has(all: &[Value], kind: &str, name: &str) -> bool {
    all.iter().any(|it| text(it, "/kind") == kind && text(it, "/metadata/name") == name)
}

/// Deployments whose pods have all of these labels. No labels select none.
fn pods<'a>(all: &'a [Value], labels: Option<&Value>) -> Vec<&'a Value> {
    let Some(Value::Mapping(labels)) = labels else { return Vec::new() };
    let selected = |deployment: &&Value| {
        let own = at(deployment, "/spec/template/metadata/labels").and_then(Value::as_mapping);
        let own = own.cloned().unwrap_or_else(Mapping::new);
        text(deployment, "/kind") == "Deployment" && labels.iter().all(|(key, value)| own.get(key) == Some(value))
    };
    all.iter().filter(selected).collect()
}

fn containers(deployment: &Value) -> impl Iterator<Item = &Value> {
    let of = |key: &str| list(deployment, &format!("/spec/template/spec/{key}"));
    of("initContainers").iter().chain(of("containers"))
}

fn pod(all: &[Value], deployment: &Value, say: &mut impl FnMut(String)) {
    if pods(std::slice::from_ref(deployment), at(deployment, "/spec/selector/matchLabels")).is_empty() {
        say("its selector does not fit its pods".to_owned());
    }
    let account = text(deployment, "/spec/template/spec/serviceAccountName");
    if !account.is_empty() && !has(all, "ServiceAccount", account) {
        say(format!("there is no ServiceAccount {account}"));
    }
    let volumes = list(deployment, "/spec/template/spec/volumes");
    for volume in volumes {
        for (path, kind) in
            [("/configMap/name", "ConfigMap"), ("/persistentVolumeClaim/claimName", "PersistentVolumeClaim")]
        {
            let name = text(volume, path);
            if !name.is_empty() && !has(all, kind, name) {
                say(format!("there is no {kind} {name}"));
            }
        }
        let name = text(volume, "/name");
        if !containers(deployment).any(|it| list(it, "/volumeMounts").iter().any(|it| text(it, "/name") == name)) {
            say(format!("nothing mounts the volume {name}"));
        }
    }
    for container in containers(deployment) {
        for mount in list(container, "/volumeMounts") {
            if !volumes.iter().any(|it| text(it, "/name") == text(mount, "/name")) {
                say(format!("there is no volume {}", text(mount, "/name")));
            }
        }
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            let port = text(container, &format!("/{probe}/httpGet/port"));
            if !port.is_empty() && !list(container, "/ports").iter().any(|it| text(it, "/name") == port) {
                say(format!("{probe}: there is no port {port}"));
            }
        }
    }
}

fn service(all: &[Value], service: &Value, say: &mut impl FnMut(String)) {
    let selected = pods(all, at(service, "/spec/selector"));
    if selected.is_empty() {
        say("selects no pod".to_owned());
    }
    for port in list(service, "/spec/ports").iter().map(|it| text(it, "/targetPort")).filter(|it| !it.is_empty()) {
        let named = |deployment: &&Value| {
            containers(deployment).flat_map(|it| list(it, "/ports")).any(|it| text(it, "/name") == port)
        };
        if !selected.iter().any(named) {
            say(format!("its pods have no port {port}"));
        }
    }
}

/// A service with a port whose `field` has the wanted value.
fn backend(all: &[Value], name: &str, port: Option<&Value>, field: &str, say: &mut impl FnMut(String)) {
    let services = all.iter().filter(|it| text(it, "/kind") == "Service" && text(it, "/metadata/name") == name);
    let mut ports = services.flat_map(|it| list(it, "/spec/ports"));
    if !ports.any(|it| it.get(field).is_some() && it.get(field) == port) {
        say(format!("there is no Service {name} with that port"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FITS: &str = "
- {kind: Deployment, metadata: {name: d}, spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {
    serviceAccountName: s, volumes: [{name: v, configMap: {name: c}}], containers: [{ports: [{name: http}], volumeMounts: [{name: v}],
    livenessProbe: {httpGet: {port: http}}}]}}}}
- {kind: ServiceAccount, metadata: {name: s}}
- {kind: ConfigMap, metadata: {name: c}}
- {kind: Service, metadata: {name: web}, spec: {selector: {a: b}, ports: [{name: p, port: 80, targetPort: http}]}}
- {kind: Ingress, metadata: {name: i}, spec: {rules: [{http: {paths: [{backend: {service: {name: web, port: {name: p}}}}]}}]}}
- {kind: HTTPRoute, metadata: {name: r}, spec: {rules: [{backendRefs: [{name: web, port: 80}]}]}}
- {kind: HorizontalPodAutoscaler, metadata: {name: h}, spec: {scaleTargetRef: {kind: Deployment, name: d}}}
- {kind: NetworkPolicy, metadata: {name: n}, spec: {podSelector: {matchLabels: {a: b}}}}
";

    #[test]
    fn what_is_named_must_be_there() {
        let found = |text: &str| dangling(&serde_yaml_ng::from_str::<Vec<Value>>(text).unwrap());
        assert_eq!(found(FITS), [""; 0]);
        for (from, to, expected) in [
            ("serviceAccountName: s", "serviceAccountName: t", "Deployment d: there is no ServiceAccount t"),
            ("configMap: {name: c}", "configMap: {name: x}", "Deployment d: there is no ConfigMap x"),
            ("volumeMounts: [{name: v}]", "volumeMounts: [{name: v}, {name: w}]", "Deployment d: there is no volume w"),
            ("volumeMounts: [{name: v}],", "", "Deployment d: nothing mounts the volume v"),
            ("httpGet: {port: http}", "httpGet: {port: x}", "Deployment d: livenessProbe: there is no port x"),
            ("targetPort: http", "targetPort: x", "Service web: its pods have no port x"),
            ("port: {name: p}", "port: {name: q}", "Ingress i: there is no Service web with that port"),
            ("name: web, port: 80}]", "name: web, port: 81}]", "HTTPRoute r: there is no Service web with that port"),
            (
                "kind: Deployment, name: d",
                "kind: Deployment, name: e",
                "HorizontalPodAutoscaler h: there is no Deployment e",
            ),
            (
                "podSelector: {matchLabels: {a: b}}",
                "podSelector: {matchLabels: {a: c}}",
                "NetworkPolicy n: selects no pod",
            ),
            (
                "selector: {matchLabels: {a: b}}",
                "selector: {matchLabels: {a: c}}",
                "Deployment d: its selector does not fit its pods",
            ),
        ] {
            let changed = FITS.replacen(from, to, 1);
            assert_ne!(changed, FITS, "{from}");
            assert_eq!(found(&changed), [expected]);
        }
    }
}
