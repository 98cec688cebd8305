//! The operations of connectors (`<http.get configKey="…">`): calls of the templates that a connector brings.
//!
//! What a template does is Synapse XML; the Java classes that it calls are looked for in `crate::connectors`.
//! MI: `MediatorFactoryFinder#getDynamicInvokeMediator`, `InvokeMediator`.

use std::sync::{Arc, OnceLock};

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator, Resume, Sequence};
use mi_expr::Dynamic;

use super::call_template::{self, CallTemplate};

/// One operation.
#[derive(Debug)]
struct Operation {
    call: Arc<CallTemplate>,
    connection: Option<Connection>,
}

/// The local entry whose `init` runs before.
#[derive(Debug)]
struct Connection {
    key: Dynamic,
    /// What a static key stands for, once a message has asked.
    found: OnceLock<Arc<Sequence>>,
}

/// Reads `<library.operation>`. Each child is a parameter.
pub fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    cx.report_all(el.unknown_attrs(&["configKey", "description", "statistics", "trace"]));
    let Some(name) = template_name(el, cx) else {
        let error = el.error(format!("Unknown mediator referenced by configuration element : {}", el.name()));
        return Err(error.hint(known_operations(el, cx)));
    };
    let call = Arc::new(call_template::operation(el, cx.template_ref(&name), cx)?);
    let connection = match el.attr("configKey") {
        None => None,
        Some(key) => {
            let key = match el.dynamic("configKey")? {
                Some(dynamic) if dynamic.as_expr().is_some() => dynamic,
                _ => Dynamic::fixed(el.qualify(&key)?),
            };
            Some(Connection { key, found: OnceLock::new() })
        }
    };
    Ok(Box::new(Operation { call, connection }))
}

/// What the connector has instead of the operation, or that there is no such connector.
fn known_operations(el: &Element, cx: &BuildCx<'_>) -> String {
    let (connector, _) = el.name().split_once('.').unwrap_or((el.name(), ""));
    let own = el.scope().application().map(|it| format!("{}__", it.identifier));
    let mut known: Vec<String> = Vec::new();
    for application in own.into_iter().chain([String::new()]) {
        let found = cx.templates_of(&format!("{application}{connector}."));
        known.extend(found.iter().filter_map(|name| name.strip_prefix(&*application)).map(str::to_owned));
    }
    known.dedup();
    if known.is_empty() {
        return format!(
            "no connector '{connector}' is deployed: bring its archive in an application or put it among the applications; http, file \
             and email are there without one"
        );
    }
    let names: Vec<&str> = known.iter().map(String::as_str).collect();
    match mi_config::nearest(el.name(), &names) {
        Some(meant) => format!("the connector '{connector}' has no such operation; did you mean '{meant}'?"),
        None => format!("the connector '{connector}' has no such operation; it has {}", names.join(", ")),
    }
}

/// A versioned application calls the connector that it brings itself before one that all share.
fn template_name(el: &Element, cx: &BuildCx<'_>) -> Option<String> {
    let own = el.scope().application().map(|it| format!("{}__{}", it.identifier, el.name()));
    own.into_iter().chain([el.name().to_owned()]).find(|name| cx.has_template(name))
}

impl Mediator for Operation {
    fn reads_body(&self) -> bool {
        self.call.reads_body() || self.connection.as_ref().is_some_and(|it| it.key.reads_body())
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let Some(connection) = &self.connection else { return self.call.mediate(cx) };
        let init = connection.sequence(cx)?;
        Ok(Flow::EnterThen(init, Box::new(Prepared(self.call.clone()))))
    }
}

impl Connection {
    fn sequence(&self, cx: &Context) -> Result<Arc<Sequence>, Fault> {
        if let Some(found) = self.found.get() {
            return Ok(found.clone());
        }
        let key = self.key.eval_string(&cx.message, &*cx.snapshot)?;
        let entry = cx.snapshot.local_entries.get(&*key);
        let sequence = entry
            .and_then(|it| it.connection.clone())
            .ok_or_else(|| Fault::new(format!("Sequence named {key} cannot be found")))?;
        if self.key.as_expr().is_none() {
            return Ok(self.found.get_or_init(|| sequence).clone());
        }
        Ok(sequence)
    }
}

/// The operation itself, when its connection is prepared.
struct Prepared(Arc<CallTemplate>);

impl Resume for Prepared {
    fn resume(self: Box<Self>, cx: &mut Context) -> Result<Flow, Fault> {
        self.0.mediate(cx)
    }

    fn fork(&self) -> Option<Box<dyn Resume>> {
        Some(Box::new(Self(self.0.clone())))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Flowing;

    const SAY: &str = "<template name='hello.say'><parameter name='to'/><parameter name='mark'/><sequence>\
        <property name='said' expression=\"concat(get-property('greeting'), ' ', $func:to, $func:mark)\"/></sequence></template>";
    const INIT: &str = "<template name='hello.init'><parameter name='greeting'/><sequence>\
        <property name='greeting' expression='$func:greeting'/></sequence></template>";

    fn flowing(mediator: &str) -> Flowing {
        Flowing::of(mediator)
            .template(SAY)
            .template(INIT)
            .local_entry("polite", "<hello.init><greeting>Good day</greeting></hello.init>")
            .local_entry("plain", "<a/>")
            .xml("<x><y>you</y></x>")
    }

    #[track_caller]
    fn check(mediator: &str, expected: &str) {
        let outcome = flowing(mediator).run();
        assert_eq!(outcome.fault(), None, "{mediator}");
        assert_eq!(outcome.property("said").as_deref(), Some(expected), "{mediator}");
    }

    #[test]
    fn parameters_are_children() {
        check("<hello.say><to>Bob</to></hello.say>", " Bob");
        check("<hello.say><to>{//y}</to><mark>!</mark></hello.say>", " you!");
        check("<hello.say><to>${payload.y}</to></hello.say>", " ${payload.y}");
        check("<hello.say><to>{${1 + 1}}</to><mark/></hello.say>", " 2");
    }

    #[test]
    fn a_connection_runs_before() {
        check("<hello.say configKey='polite'><to>Bob</to></hello.say>", "Good day Bob");
        let dynamic = "<property name='which' value='polite'/><hello.say configKey=\"{get-property('which')}\"><to>Al</to></hello.say>";
        check(dynamic, "Good day Al");
        for key in ["none", "plain"] {
            let outcome = flowing(&format!("<hello.say configKey='{key}'/>")).run();
            assert_eq!(outcome.fault(), Some(format!("Sequence named {key} cannot be found")));
        }
    }

    #[test]
    fn an_operation_that_nobody_brings_is_refused() {
        let error = Flowing::error_of("<hello.sing/>");
        assert!(error.contains("Unknown mediator referenced by configuration element : hello.sing"), "{error}");
        assert!(error.contains("no connector 'hello' is deployed"), "{error}");
    }

    #[test]
    fn an_operation_that_the_connector_has_not_is_told_with_those_that_it_has() {
        for (mediator, part) in [
            ("<hello.sai/>", "did you mean 'hello.say'?"),
            ("<hello.performAnAria/>", "has no such operation; it has hello.init, hello.say"),
        ] {
            let errors = flowing(mediator).errors().join("\n");
            assert!(errors.contains(part), "{errors}");
        }
    }
}
