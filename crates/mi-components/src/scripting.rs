//! What the mediators with JavaScript share: the limits of the server's settings, sources by key, and the threads on which
//! scripts run that are new or slow.

use std::time::Duration;

use mi_config::deployment::ScriptSettings;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_message::Value;
use mi_script::Limits;
use tokio::sync::Semaphore;

use crate::resource::Reader;

/// Most runs at a time that may hold up a thread.
const MAX_RUNS: usize = 32;
/// How long after its limit a run is given up. Code of the engine itself cannot be interrupted.
const GRACE: Duration = Duration::from_secs(5);

static RUNS: Semaphore = Semaphore::const_new(MAX_RUNS);

/// The limits that the settings name.
pub(crate) fn limits(settings: &ScriptSettings) -> Limits {
    Limits {
        time: Duration::from_millis(settings.timeout_ms),
        memory: usize::try_from(settings.memory_mb << 20).unwrap_or(usize::MAX),
        ..Limits::default()
    }
}

/// The source behind a key: of an element, what stands in it. MI: `ScriptMediator#prepareExternalScript`.
pub(crate) fn source(reader: &Reader, key: &str) -> Option<String> {
    Some(match reader.value(key)? {
        Value::Xml(xml) => xml.nodes.first().map(|it| xml.document.text(*it).into_owned()).unwrap_or_default(),
        other => other.to_text().into_owned(),
    })
}

/// Runs `run` on a thread that may be held up. `may_sleep` says that a long run can be meant; otherwise it is given up
/// some time behind its limit.
pub(crate) async fn apart<T: Send + 'static>(
    limits: Limits,
    may_sleep: bool,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    let Ok(Ok(permit)) = tokio::time::timeout(limits.time, RUNS.acquire()).await else {
        return Err(Fault::new(format!("more than {MAX_RUNS} scripts are running that are new or slow")));
    };
    let running = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        run()
    });
    let joined = if may_sleep {
        running.await
    } else {
        match tokio::time::timeout(limits.time + GRACE, running).await {
            Ok(joined) => joined,
            Err(_) => return Err(Fault::new("the script ran longer than its limit and could not be interrupted")),
        }
    };
    joined.map_err(|error| Fault::new(format!("the script engine failed: {error}")))
}

/// What is left of a message whose script never came back: everything but the payload.
pub(crate) fn without_payload(cx: &Context) -> mi_message::Message {
    let message = &cx.message;
    mi_message::Message {
        headers: message.headers.clone(),
        properties: message.properties.clone(),
        axis2: message.axis2.clone(),
        operation: message.operation.clone(),
        variables: message.variables.clone(),
        addressing: message.addressing.clone(),
        functions: message.functions.clone(),
        rest: message.rest,
        is_response: message.is_response,
        ..mi_message::Message::new()
    }
}
