//! Logs with a file of their own. MI: the appenders AUDIT_LOGFILE, CORRELATION and HTTP_ACCESS_LOGFILE of
//! `log4j2.properties`, whose loggers are not additive.

use std::sync::LazyLock;

use super::{Line, Pattern};
use crate::follow::{ACCESS, CORRELATION};

/// A log apart from the others.
#[derive(Debug)]
pub(super) struct Channel {
    /// The logger; others below it are of it, too.
    logger: &'static str,
    pub(super) file: &'static str,
    pattern: LazyLock<Pattern>,
    /// Operators read who changed what on the console of a container, too.
    pub(super) on_console: bool,
}

const fn channel(logger: &'static str, file: &'static str, on_console: bool, pattern: fn() -> Pattern) -> Channel {
    Channel { logger, file, pattern: LazyLock::new(pattern), on_console }
}

static CHANNELS: [Channel; 3] = [
    channel("AUDIT_LOG", "audit.log", true, || Pattern::parse("[%d] %5p {%c} - %m %ex%n").0),
    channel(CORRELATION, "correlation.log", false, || {
        Pattern::parse("%d{yyyy-MM-dd HH:mm:ss,SSS}|%X{Correlation-ID}|%t|%m%n").0
    }),
    channel(ACCESS, "http_access.log", false, || Pattern::parse("%m%n").0),
];

impl Channel {
    /// The channel of a logger, if it has one.
    pub(super) fn of(logger: &str) -> Option<&'static Self> {
        CHANNELS.iter().find(|channel| {
            logger.strip_prefix(channel.logger).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }

    pub(super) fn render(&self, line: &Line<'_>) -> String {
        self.pattern.render(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loggers_have_their_files() {
        for (logger, expected) in [
            ("AUDIT_LOG", Some("audit.log")),
            ("AUDIT_LOG.users", Some("audit.log")),
            ("correlation", Some("correlation.log")),
            ("org.apache.synapse.transport.http.access.logs", Some("http_access.log")),
            ("correlations", None),
            ("LogMediator", None),
        ] {
            assert_eq!(Channel::of(logger).map(|channel| channel.file), expected, "{logger}");
        }
    }
}
