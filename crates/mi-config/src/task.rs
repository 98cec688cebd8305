//! `<task>`: what runs on a schedule. MI: `TaskDescriptionFactory`.

use std::sync::Arc;

use crate::diagnostic::Diagnostics;
use crate::element::Element;
use crate::params::{description, tokens};

/// A scheduled task.
#[derive(Clone, Debug)]
pub struct TaskConfig {
    /// Full name.
    pub name: Arc<str>,
    /// Group.
    pub group: Option<String>,
    /// Class name; `org.apache.synapse.startup.tasks.MessageInjector` is the one that MI ships.
    pub class: Option<String>,
    /// Servers that it is limited to.
    pub pinned_servers: Vec<String>,
    /// When it runs.
    pub trigger: Trigger,
    /// Settings of the class.
    pub properties: Vec<TaskProperty>,
    /// `<description>`.
    pub description: Option<String>,
    /// `<task>`.
    pub element: Element,
}

/// When a task runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// At once and then after each interval; `count` runs in all, or without end.
    Interval {
        /// Milliseconds between the starts of two runs.
        every_ms: u64,
        /// Number of runs.
        count: Option<u64>,
    },
    /// A Quartz cron expression.
    Cron(String),
}

/// `<property>` of a task.
#[derive(Clone, Debug)]
pub struct TaskProperty {
    /// Name.
    pub name: String,
    /// Value.
    pub value: TaskPropertyValue,
}

/// Value of a property of a task.
#[derive(Clone, Debug)]
pub enum TaskPropertyValue {
    /// The attribute `value` with its placeholder replaced, or the text.
    Text(String),
    /// The first child element.
    Xml(Element),
}

impl TaskConfig {
    /// Reads a `<task>`.
    pub fn parse(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        let name = out.take(element.require_attr("name").map(|name| name.into_owned()));
        let pinned = out.take(element.resolved_attr("pinnedServers"));
        let properties = element.children_named("property").filter_map(|it| property(&it, out)).collect();
        let trigger = match element.child("trigger") {
            Some(trigger) => out.take(Trigger::parse(&trigger)),
            None => Some(ONCE),
        };
        out.extend(element.unknown_attrs(&["name", "group", "class", "pinnedServers", "description"]));
        out.extend(element.unknown_children(&["trigger", "property", "description"]));
        let own = |name: &str| element.attr(name).map(|value| value.into_owned());
        Some(Self {
            name: name?.into(),
            group: own("group"),
            class: own("class"),
            pinned_servers: tokens(&pinned?.unwrap_or_default()),
            trigger: trigger?,
            properties,
            description: description(element),
            element: element.clone(),
        })
    }

    /// The property of a name.
    pub fn property(&self, name: &str) -> Option<&TaskPropertyValue> {
        self.properties.iter().find(|it| it.name == name).map(|it| &it.value)
    }
}

/// Without a trigger, or with an empty one, a task runs once.
const ONCE: Trigger = Trigger::Interval { every_ms: 1000, count: Some(1) };

impl Trigger {
    fn parse(element: &Element) -> Result<Self, crate::Diagnostic> {
        let number = |name: &str| -> Result<Option<i64>, crate::Diagnostic> {
            let Some(text) = element.resolved_attr(name)? else { return Ok(None) };
            let parsed = text.trim().parse();
            parsed
                .map(Some)
                .map_err(|_| element.error(format!("'{name}' of a trigger must be a whole number, not '{text}'")))
        };
        let once = element.resolved_attr("once")?.is_some_and(|value| value == "true");
        let count = number("count")?;
        let interval = number("interval")?.filter(|seconds| *seconds > 0);
        let cron = element.resolved_attr("cron")?;
        if cron.is_some() && (once || interval.is_some()) {
            return Err(element.error("a trigger has either 'cron' or one of 'interval' and 'once'"));
        }
        if let Some(cron) = cron {
            return Ok(Self::Cron(cron.trim().to_owned()));
        }
        if interval.is_none() && count.is_some_and(|count| count > 1) {
            return Err(element.error("a trigger with a 'count' needs an 'interval' in seconds"));
        }
        // A count that is not positive means "without end", as in Quartz.
        let count = count.and_then(|count| u64::try_from(count).ok()).filter(|count| *count > 0);
        match interval.and_then(|seconds| u64::try_from(seconds).ok()) {
            Some(seconds) => {
                Ok(Self::Interval { every_ms: seconds.saturating_mul(1000), count: if once { Some(1) } else { count } })
            }
            None => Ok(ONCE),
        }
    }
}

fn property(element: &Element, out: &mut Diagnostics) -> Option<TaskProperty> {
    let name = out.take(element.require_attr("name"))?.into_owned();
    if element.attr("expression").is_some() {
        out.push(element.error("properties of a task are static: use 'value'"));
        return None;
    }
    let value = if let Some(value) = element.attr("value") {
        TaskPropertyValue::Text(out.take(element.resolve(&value))?)
    } else if let Some(child) = element.first_child() {
        TaskPropertyValue::Xml(child)
    } else {
        TaskPropertyValue::Text(element.text())
    };
    Some(TaskProperty { name, value })
}
