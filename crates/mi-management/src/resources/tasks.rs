//! `/tasks`. MI: `TaskResource`.

use http::StatusCode;
use mi_config::task::TaskPropertyValue;
use mi_config::{ArtifactKind, TaskConfig, Trigger};
use mi_engine::transport::HttpReply;
use serde_json::{Map, Value, json};

use crate::answer;
use crate::artifacts::{Startable, change_state, configuration, deployed, explain, mark, without_nulls};
use crate::audit;
use crate::context::{DeployedArtifact, ManagementContext};
use crate::masks::{is_secret, mask, masked};
use crate::request::{Request, text};

pub(super) fn handle(cx: &ManagementContext, request: &Request) -> HttpReply {
    if !request.is_get() {
        return change(cx, request);
    }
    let deployed = deployed(cx);
    if let Some(name) = request.query("taskName") {
        return match deployed.tasks().find(|(task, _)| &*task.name == name) {
            Some((task, it)) => answer::ok(&explain(whole(task, it), it)),
            None => answer::missing(format!("Specified task {name} not found")),
        };
    }
    let searched = request.searches();
    let list = deployed.tasks().filter(|(task, _)| searched(&task.name));
    answer::list(list.map(|(task, it)| mark(json!({"name": &*task.name}), it)).collect())
}

fn whole(task: &TaskConfig, artifact: &DeployedArtifact) -> Value {
    let (kind, count, interval, cron) = match &task.trigger {
        Trigger::Cron(cron) => ("cron", None, None, Some(cron)),
        Trigger::Interval { every_ms, count } => {
            let count = count.map_or_else(|| "-1".to_owned(), |count| count.to_string());
            ("simple", Some(count), Some(every_ms.to_string()), None)
        }
    };
    let property = |it: &mi_config::task::TaskProperty| {
        let value = match &it.value {
            _ if is_secret(&it.name) => masked().to_owned(),
            TaskPropertyValue::Text(text) => text.clone(),
            TaskPropertyValue::Xml(element) => mask(&element.to_xml()),
        };
        (it.name.clone(), Value::from(value))
    };
    without_nulls(json!({
        "name": &*task.name,
        "taskGroup": task.group.as_deref().unwrap_or("synapse.simple.quartz"),
        "implementation": task.class,
        "cronExpression": cron,
        // By its name in former versions, which the command line still reads.
        "triggerCron": cron,
        "triggerCount": count,
        "triggerInterval": interval,
        "triggerType": kind,
        "properties": task.properties.iter().map(property).collect::<Map<String, Value>>(),
        "configuration": configuration(artifact),
    }))
}

fn change(cx: &ManagementContext, request: &Request) -> HttpReply {
    let payload = match request.payload("JSON payload is missing") {
        Ok(payload) => payload,
        Err(reply) => return reply,
    };
    let Some(name) = text(&payload, "name") else { return answer::bad("Unsupported operation") };
    if !deployed(cx).tasks().any(|(task, _)| *task.name == *name) {
        return answer::bad(format!("Specified task ('{name}') not found"));
    }
    let Some(status) = text(&payload, "status") else { return answer::bad("Unsupported operation") };
    let info = json!({"taskName": name});
    if !status.eq_ignore_ascii_case("trigger") {
        let kind = ArtifactKind::Task;
        return change_state(cx, request, &status, Startable { kind, name: &name, audit: "task", info });
    }
    match cx.run.trigger(&name) {
        Some(Ok(())) => {
            audit::change(request, "task", "triggered", &info);
            answer::message(format!("{name} : is triggered"))
        }
        Some(Err(why)) => answer::error(StatusCode::INTERNAL_SERVER_ERROR, why),
        None => {
            answer::error(StatusCode::INTERNAL_SERVER_ERROR, format!("The task {name} does not run on this server"))
        }
    }
}
