//! The `<parameter>`s of a message processor.

use mi_config::{Diagnostic, Element, MessageProcessorConfig};

use crate::build::BuildCx;

/// Parameters that every processor has, or that MI's tools write for every processor.
const COMMON: [&str; 10] = [
    "interval",
    "cronExpression",
    "member.count",
    "is.active",
    "pinnedServers",
    "bind.processor.server",
    "max.store.connection.attempts",
    "store.connection.retry.interval",
    // MI computes both from the interval, whatever is configured. MI: `ScheduledMessageForwardingProcessor#init`.
    "throttle",
    "throttle.interval",
];

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct ProcessorParameters<'a> {
    /// The processor.
    pub config: &'a MessageProcessorConfig,
}

impl<'a> ProcessorParameters<'a> {
    /// The parameters of a processor.
    pub fn new(config: &'a MessageProcessorConfig) -> Self {
        Self { config }
    }

    /// The text of a parameter, trimmed; `None` when it is blank.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.config.parameter(name).map(str::trim).filter(|text| !text.is_empty())
    }

    /// A whole number. An error stands at the parameter.
    pub fn number(&self, name: &str) -> Result<Option<i64>, Diagnostic> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let parsed = text.parse();
        parsed.map(Some).map_err(|_| self.error(name, format!("it must be a whole number, not '{text}'")))
    }

    /// A whole number that is not negative.
    pub fn positive(&self, name: &str) -> Result<Option<u64>, Diagnostic> {
        let Some(number) = self.number(name)? else { return Ok(None) };
        u64::try_from(number).map(Some).map_err(|_| self.error(name, "it must not be negative"))
    }

    /// True or false; everything that is not `true` is false, as in Java.
    pub fn flag(&self, name: &str, default: bool) -> bool {
        self.text(name).map_or(default, |text| text.eq_ignore_ascii_case("true"))
    }

    /// The name of an artifact, with the qualification that versioned applications need.
    pub fn name(&self, name: &str) -> Result<Option<String>, Diagnostic> {
        self.text(name).map(|text| self.config.element.qualify(text)).transpose()
    }

    /// An error at a parameter.
    pub fn error(&self, name: &str, why: impl std::fmt::Display) -> Diagnostic {
        self.element(name).error(format!("the parameter '{name}' of the message processor is not valid: {why}"))
    }

    /// Warns of parameters that neither every processor nor this one knows.
    pub fn warn_unknown(&self, known: &[&str], cx: &mut BuildCx<'_>) {
        for parameter in &self.config.parameters {
            let name = parameter.name.as_str();
            if !known.contains(&name) && !COMMON.contains(&name) {
                let warning = parameter
                    .element
                    .warning(format!("the message processor has no parameter '{name}'; it is ignored"));
                let candidates: Vec<&str> = known.iter().chain(&COMMON).copied().collect();
                cx.report(match mi_config::diagnostic::nearest(name, &candidates) {
                    Some(meant) => warning.hint(format!("did you mean '{meant}'?")),
                    None => warning,
                });
            }
        }
    }

    fn element(&self, name: &str) -> &'a Element {
        let found = self.config.parameters.iter().rev().find(|it| it.name == name);
        found.map_or(&self.config.element, |it| &it.element)
    }
}
