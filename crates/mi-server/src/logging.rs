//! `conf/log4j2.properties` at the start: levels, and the patterns of the console and of `wso2carbon.log`. The rest of it
//! (appenders, rolling, filters) is fixed here. Without the file MI's defaults hold.

use std::path::{Path, PathBuf};

use log::LevelFilter;
use mi_config::properties::Properties;
use mi_telemetry::AccessPattern;
use mi_telemetry::follow::ACCESS;
use mi_telemetry::log::{LogConfig, Pattern};

/// Loggers of this package, or of one around it, stand for all of this server.
const PACKAGE: &str = "org.apache.synapse";

/// Where the file is.
pub fn file(home: &Path) -> PathBuf {
    home.join("conf/log4j2.properties")
}

/// What the file says, for a log in `folder`, and what of it was not understood.
pub fn config(home: &Path, folder: Option<PathBuf>) -> (LogConfig, Vec<String>) {
    let config = LogConfig { folder, ..LogConfig::default() };
    match std::fs::read_to_string(file(home)) {
        Ok(text) => apply(&Properties::parse(&text), config),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => (config, Vec::new()),
        Err(cause) => (config, vec![format!("{} cannot be read: {cause}", file(home).display())]),
    }
}

fn apply(properties: &Properties, mut config: LogConfig) -> (LogConfig, Vec<String>) {
    let mut wrong = Vec::new();
    if let Some(level) = level(properties, "rootLogger.level", &mut wrong) {
        config.root = level;
    }
    for (key, name) in properties.iter() {
        let Some(logger) = key.strip_prefix("logger.").and_then(|rest| rest.strip_suffix(".name")) else { continue };
        let Some(level) = level(properties, &format!("logger.{logger}.level"), &mut wrong) else { continue };
        let name = name.trim();
        if name == PACKAGE || PACKAGE.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')) {
            config.root = level;
        } else {
            let last = name.rsplit('.').next().unwrap_or(name);
            config.levels.insert(last.to_owned(), level);
        }
    }
    for (appender, is_console) in [("CARBON_CONSOLE", true), ("CARBON_LOGFILE", false)] {
        let key = format!("appender.{appender}.layout.pattern");
        let Some(text) = properties.get(&key) else { continue };
        let (pattern, unknown) = Pattern::parse(text);
        wrong.extend(
            unknown.into_iter().map(|it| format!("{key}: the conversion {it} is not known and is left as it is")),
        );
        if is_console {
            config.console = pattern;
        } else {
            config.file = Some(pattern);
        }
    }
    if console_is_json(properties) {
        config.console = Pattern::json();
    }
    config.file = config.file.filter(|pattern| *pattern != config.console);
    (config, wrong)
}

/// MI: `JsonTemplateLayout` in the place of `PatternLayout`.
fn console_is_json(properties: &Properties) -> bool {
    let layout = properties.get("appender.CARBON_CONSOLE.layout.type").unwrap_or_default();
    matches!(layout.trim(), "JsonTemplateLayout" | "JsonLayout" | "JSONLayout")
}

/// Lines of the access log, when it is switched on: by its logger in `log4j2.properties` or by `access_log_enable` of
/// `conf/access-log.properties`. With what was not understood of its pattern.
pub fn access(home: &Path) -> (Option<AccessPattern>, Vec<String>) {
    let read = |file: PathBuf| std::fs::read_to_string(file).map(|text| Properties::parse(&text)).unwrap_or_default();
    access_of(&read(file(home)), &read(home.join("conf/access-log.properties")))
}

fn access_of(log4j: &Properties, access: &Properties) -> (Option<AccessPattern>, Vec<String>) {
    let listed: Vec<&str> = log4j.get("loggers").unwrap_or_default().split(',').map(str::trim).collect();
    let by_logger = log4j.iter().any(|(key, name)| {
        let Some(logger) = key.strip_prefix("logger.").and_then(|rest| rest.strip_suffix(".name")) else {
            return false;
        };
        let level = level(log4j, &format!("logger.{logger}.level"), &mut Vec::new());
        name.trim() == ACCESS && listed.contains(&logger) && level.is_some_and(|level| level >= LevelFilter::Info)
    });
    let enabled = access.get("access_log_enable").is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
    if !by_logger && !enabled {
        return (None, Vec::new());
    }
    match access.get("access_log_pattern") {
        Some(text) => {
            let (pattern, unknown) = AccessPattern::parse(text);
            let wrong =
                unknown.into_iter().map(|it| format!("access_log_pattern: {it} is not known and is left as it is"));
            (Some(pattern), wrong.collect())
        }
        None => (Some(AccessPattern::default()), Vec::new()),
    }
}

fn level(properties: &Properties, key: &str, wrong: &mut Vec<String>) -> Option<LevelFilter> {
    let text = properties.get(key)?.trim();
    Some(match text.to_ascii_uppercase().as_str() {
        "OFF" => LevelFilter::Off,
        "FATAL" | "ERROR" => LevelFilter::Error,
        "WARN" => LevelFilter::Warn,
        "INFO" => LevelFilter::Info,
        "DEBUG" => LevelFilter::Debug,
        "TRACE" | "ALL" => LevelFilter::Trace,
        _ => {
            wrong.push(format!("{key}: there is no level '{text}'"));
            return None;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_access_log_is_switched_in_two_ways() {
        let logger = "loggers = Access\nlogger.Access.name = org.apache.synapse.transport.http.access.logs\n";
        for (log4j, access, expected) in [
            ("", "", None),
            (&*format!("{logger}logger.Access.level = DEBUG\n"), "", Some(AccessPattern::default())),
            (&*format!("{logger}logger.Access.level = OFF\n"), "access_log_enable=false\n", None),
            ("", "access_log_enable=true\naccess_log_pattern=%h %s\n", Some(AccessPattern::parse("%h %s").0)),
        ] {
            let found = access_of(&Properties::parse(log4j), &Properties::parse(access));
            assert_eq!(found, (expected, Vec::new()), "{log4j} {access}");
        }
        assert_eq!(
            access_of(&Properties::default(), &Properties::parse("access_log_enable=true\naccess_log_pattern=%x"))
                .1
                .len(),
            1
        );
    }

    #[test]
    fn the_console_may_write_json() {
        let text = "appender.CARBON_CONSOLE.layout.type = JsonTemplateLayout\n";
        assert_eq!(apply(&Properties::parse(text), LogConfig::default()).0.console, Pattern::json());
    }

    #[test]
    fn levels_and_patterns_are_read() {
        let text = "rootLogger.level = ERROR\nlogger.a.name = org.apache.synapse.mediators.builtin.LogMediator\n\
                    logger.a.level = debug\nlogger.b.name = org.apache\nlogger.b.level = WARN\nlogger.c.name = x.Y\n\
                    logger.c.level = LOUD\nappender.CARBON_CONSOLE.layout.pattern = %m%n\n\
                    appender.CARBON_LOGFILE.layout.pattern = %p %m%q%n\n";
        let (config, wrong) = apply(&Properties::parse(text), LogConfig::default());
        assert_eq!(config.root, LevelFilter::Warn);
        assert_eq!(config.levels.get("LogMediator"), Some(&LevelFilter::Debug));
        assert_eq!(config.console, Pattern::parse("%m%n").0);
        assert_eq!(config.file, Some(Pattern::parse("%p %m%q%n").0));
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(wrong[0].contains("no level 'LOUD'") && wrong[1].contains("%q"), "{wrong:?}");
    }
}
