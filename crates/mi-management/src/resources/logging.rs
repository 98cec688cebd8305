//! `/logging`: the loggers of `conf/log4j2.properties`; a change is written there and holds at once. MI: `LoggingResource`.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use log::LevelFilter;
use mi_config::properties::Properties;
use mi_engine::transport::HttpReply;
use serde_json::{Value, json};

use crate::answer;
use crate::audit;
use crate::context::ManagementContext;
use crate::request::{Request, text};

const ROOT: &str = "rootLogger";
/// Longest file that is read.
const MAX_FILE: u64 = 4 << 20;

/// The file is changed by one request at a time.
static CHANGES: Mutex<()> = Mutex::new(());

pub(super) fn handle(cx: &ManagementContext, request: &Request) -> HttpReply {
    let file = read(&cx.paths.loggers);
    let properties = Properties::parse(&file);
    if !request.is_get() {
        return change(cx, request);
    }
    if let Some(name) = request.query("loggerName") {
        if name != ROOT && !loggers(&properties).any(|it| it == name) {
            return answer::bad(format!("Logger name ('{name}') not found"));
        }
        return answer::ok(&shown(&properties, name));
    }
    let searched = request.searches();
    let all = std::iter::once(ROOT).chain(loggers(&properties));
    answer::list(all.filter(|name| searched(name)).map(|name| shown(&properties, name)).collect())
}

fn read(path: &Path) -> String {
    let small = std::fs::metadata(path).is_ok_and(|it| it.len() <= MAX_FILE);
    let bytes = if small { std::fs::read(path).unwrap_or_default() } else { Vec::new() };
    String::from_utf8_lossy(&bytes).into_owned()
}

fn loggers(properties: &Properties) -> impl Iterator<Item = &str> {
    properties.get("loggers").unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty())
}

fn shown(properties: &Properties, name: &str) -> Value {
    let (component, level) = if name == ROOT {
        ("", properties.get("rootLogger.level").unwrap_or("INFO"))
    } else {
        let get = |what: &str| properties.get(&format!("logger.{name}.{what}"));
        (get("name").unwrap_or_default(), get("level").unwrap_or_default())
    };
    json!({"loggerName": name, "componentName": component, "level": level.trim()})
}

fn level_of(text: &str) -> Option<LevelFilter> {
    Some(match text.to_ascii_uppercase().as_str() {
        "OFF" => LevelFilter::Off,
        "TRACE" => LevelFilter::Trace,
        "DEBUG" => LevelFilter::Debug,
        "INFO" => LevelFilter::Info,
        "WARN" => LevelFilter::Warn,
        "ERROR" | "FATAL" => LevelFilter::Error,
        _ => return None,
    })
}

/// Names stand in a file of properties; anything else could add lines to it.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 200 && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-$".contains(c))
}

fn change(cx: &ManagementContext, request: &Request) -> HttpReply {
    let payload = match request.payload("JSON payload is missing") {
        Ok(payload) => payload,
        Err(reply) => return reply,
    };
    let Some(wanted) = text(&payload, "loggingLevel") else { return answer::bad("Log level is missing") };
    let Some(level) = level_of(&wanted) else { return answer::bad(format!("Invalid log level {wanted}")) };
    let Some(name) = text(&payload, "loggerName") else { return answer::bad("Logger name is missing") };
    let class = text(&payload, "loggerClass").filter(|_| name != ROOT);
    if !is_name(&name) || class.as_deref().is_some_and(|class| !is_name(class)) {
        return answer::bad(format!("Specified logger ('{name}') not found"));
    }
    let _one_at_a_time = CHANGES.lock().unwrap_or_else(PoisonError::into_inner);
    let file = read(&cx.paths.loggers);
    let properties = Properties::parse(&file);
    let known = loggers(&properties).any(|it| it == name);
    let info = json!({"loggerName": name, "loggingLevel": wanted});
    let mut message = format!("Successfully added logger for ('{name}') with level {wanted}");
    let changed = match &class {
        _ if name == ROOT => {
            cx.log.set_level(None, level);
            audit::change(request, "root_log_level", "updated", &info);
            set(&file, "rootLogger.level", &wanted)
        }
        Some(_) if known => {
            let text = format!("Specified logger name ('{name}') already exists, try updating the level instead");
            return answer::bad(text);
        }
        Some(class) => {
            cx.log.set_level(Some(class), level);
            audit::change(request, "log_level", "created", &info);
            message.push_str(&format!(" for class {class}"));
            let names: Vec<&str> = loggers(&properties).chain([name.as_str()]).collect();
            let file = set(&file, "loggers", &names.join(", "));
            let file = set(&file, &format!("logger.{name}.name"), class);
            set(&file, &format!("logger.{name}.level"), &wanted)
        }
        None if known => {
            let component = properties.get(&format!("logger.{name}.name")).unwrap_or(&name);
            cx.log.set_level(Some(component), level);
            audit::change(request, "log_level", "updated", &info);
            set(&file, &format!("logger.{name}.level"), &wanted)
        }
        None => return answer::bad(format!("Specified logger ('{name}') not found")),
    };
    if let Err(error) = write(&cx.paths.loggers, &changed) {
        // The folder may be one that cannot be written, as in a container; the level holds until the server ends.
        log::warn!(target: "LoggingResource", "{} cannot be written: {error}", cx.paths.loggers.display());
    }
    answer::ok(&json!({"message": message}))
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    std::fs::write(&part, text)?;
    std::fs::rename(&part, path)
}

/// The file with one property set, all other lines as they were.
fn set(file: &str, key: &str, value: &str) -> String {
    let mut out = String::with_capacity(file.len() + key.len() + value.len() + 8);
    let mut done = false;
    let mut lines = file.split_inclusive('\n');
    while let Some(line) = lines.next() {
        let name = line.trim_start().split(['=', ':', ' ', '\t']).next().unwrap_or_default();
        if name.trim_end() != key {
            out.push_str(line);
            continue;
        }
        // The value may go on over further lines.
        let mut last = line;
        while last.trim_end_matches(['\n', '\r']).ends_with('\\') {
            match lines.next() {
                Some(next) => last = next,
                None => break,
            }
        }
        if !done {
            out.push_str(&format!("{key} = {value}\n"));
            done = true;
        }
    }
    if !done {
        if !out.is_empty() && !out.ends_with('\n') {
            out.push('\n');
        }
        out.push_str(&format!("{key} = {value}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files() {
        for (file, key, expected) in [
            ("a = 1\nb=2\n", "b", "a = 1\nb = x\n"),
            ("a = 1, \\\n 2, \\\n 3\nb = 2", "a", "a = x\nb = 2"),
            ("#a = 1\nab = 1", "a", "#a = 1\nab = 1\na = x\n"),
            ("", "a", "a = x\n"),
        ] {
            assert_eq!(set(file, key, "x"), expected, "{file}");
        }
    }
}
