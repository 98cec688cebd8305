//! What runs at the moment: counters of services, states of endpoints, sizes of stores, faulty applications with their
//! reasons. The dashboard reads it every two seconds; MI has no such resource.

use std::sync::atomic::Ordering;

use mi_engine::transport::HttpReply;
use serde_json::{Value, json};

use crate::answer;
use crate::artifacts::deployed;
use crate::context::ManagementContext;
use crate::request::Request;

pub(super) fn handle(cx: &ManagementContext, _: &Request) -> HttpReply {
    let (snapshot, deployed) = (cx.engine.snapshot(), deployed(cx));
    let services = snapshot.services.metrics.counts().into_iter().map(|it| {
        json!({
            "name": it.name, "kind": it.kind, "url": it.url,
            "requests": it.requests, "errors": it.errors, "seconds": it.seconds,
        })
    });
    let states = snapshot.endpoints.iter().filter_map(|(name, endpoint)| {
        let state = endpoint.state()?.state();
        Some(json!({"name": &**name, "state": state.label()}))
    });
    let stores = snapshot.stores.iter().map(|(name, store)| json!({"name": &**name, "size": store.size()}));
    let applications = deployed.applications.iter().map(|it| json!({"name": it.name, "version": it.version}));
    let faulty = deployed.faulty.iter().map(|it| json!({"name": it.name, "reasons": it.reasons}));
    answer::ok(&json!({
        "product": "WSO2 Micro Integrator",
        "version": cx.product_version,
        "uptimeSeconds": cx.started.elapsed().as_secs(),
        "inFlight": snapshot.services.in_flight.load(Ordering::Relaxed),
        "services": sorted(services),
        "endpoints": sorted(states),
        "stores": sorted(stores),
        "applications": applications.collect::<Vec<_>>(),
        "faulty": faulty.collect::<Vec<_>>(),
    }))
}

/// By name, so that the page does not jump about.
fn sorted(items: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut items: Vec<Value> = items.collect();
    items.sort_by(|one, other| {
        let key = |item: &Value| ["name", "url"].map(|it| item[it].as_str().unwrap_or_default().to_owned());
        key(one).cmp(&key(other))
    });
    items
}
