//! FreeMarker templates. MI: `FreeMarkerTemplateProcessor`.
//!
//! The engine's templates stay on the thread that compiled them, so each thread keeps its own. A rendering ends at
//! [`MAX_TIME`]: every round of a loop and every call of a macro looks at the clock. The engine caps the output (64 MiB)
//! and the depth of macro calls (16) itself.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use freemarker::cache::{TemplateLoader, TemplateSource};
use freemarker::core::{Element, ElementKind, Environment, Expr, ExprKind, NewBuiltinClassResolver};
use freemarker::error::{ErrorCtx, TemplateError};
use freemarker::template::{Configuration, TModel, Template, TemplateMethodModelEx, Version};
use freemarker::value::TNumber;
use indexmap::IndexMap;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::services::Services;
use mi_message::{Message, Native, Properties};
use mi_xml::NodeKind;
use serde_json::Value as Json;

use super::replacement::{Argument, Media};
use crate::xml;

/// Compiled templates that a thread keeps before it starts anew.
const MAX_KEPT: usize = 256;
/// Longest time that one rendering may take.
const MAX_TIME: Duration = Duration::from_secs(10);
const TOO_LONG: &str = "The FreeMarker template ran longer than 10 s, which is the limit";
/// Variable of the templates that fails when the time is over; no template can name it.
const CLOCK: &str = " clock";

thread_local! {
    static COMPILED: RefCell<HashMap<u64, Rc<Template>>> = RefCell::default();
}

/// A template.
#[derive(Debug)]
pub(super) struct FreeMarker {
    /// Tells this template from all others in [`COMPILED`].
    id: u64,
    text: String,
    uses: Uses,
}

/// What the template names; the rest is not made for it. MI: `FreeMarkerTemplateProcessor#findRequiredInjections`.
#[derive(Clone, Copy, Debug)]
struct Uses {
    payload: bool,
    args: bool,
    ctx: bool,
    axis2: bool,
    trp: bool,
    vars: bool,
}

/// The text of a `<format>`: its CDATA sections and texts, without what is only layout around them, so that lines are
/// counted as MI counts them. MI: `PayloadFactoryMediatorFactory#removeIndentations`.
pub(super) fn text_of(el: &mi_config::Element) -> String {
    let document = el.document();
    let texts = document.children(el.node()).filter(|node| document.kind(*node) == NodeKind::Text);
    texts.map(|node| document.value(node)).filter(|text| !text.trim().is_empty()).collect()
}

impl FreeMarker {
    /// Checks a template.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let uses = |name: &str| text.contains(name);
        let template = Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            text: text.to_owned(),
            uses: Uses {
                payload: uses("payload"),
                args: uses("args"),
                ctx: uses("ctx"),
                axis2: uses("axis2"),
                trp: uses("trp"),
                vars: uses("vars"),
            },
        };
        match template.parse(Configuration::default()) {
            Ok(_) => Ok(template),
            Err(error) => Err(format!("Error compiling FreeMarking template : {}", error.to_user_message())),
        }
    }

    fn parse(&self, mut configuration: Configuration) -> Result<Template, TemplateError> {
        configuration.settings.incompatible_improvements = Version { major: 2, minor: 3, micro: 30 };
        configuration.settings.new_builtin_class_resolver = NewBuiltinClassResolver::AllowsNothing;
        let configuration = Rc::new(configuration);
        let mut template = guarded(|| freemarker::parser::parse(&configuration, "synapse-template", &self.text))?;
        watch_all(&mut template.root);
        for definition in template.macros.values_mut() {
            watch(&mut definition.body);
        }
        Ok(template)
    }

    /// The template of this thread.
    fn compiled(&self, cx: &Context) -> Result<Rc<Template>, TemplateError> {
        if let Some(known) = COMPILED.with_borrow(|known| known.get(&self.id).cloned()) {
            return Ok(known);
        }
        let mut configuration = Configuration::default();
        configuration.template_loader = Arc::new(Included(cx.snapshot.services.clone()));
        let template = Rc::new(self.parse(configuration)?);
        COMPILED.with_borrow_mut(|known| {
            if known.len() >= MAX_KEPT {
                known.clear();
            }
            known.insert(self.id, template.clone());
        });
        Ok(template)
    }

    /// What the template makes of the message. MI: `FreeMarkerTemplateProcessor#processTemplate`.
    pub(super) fn render(
        &self,
        media: Media,
        escape_controls: bool,
        arguments: &[Argument],
        cx: &Context,
    ) -> Result<String, Fault> {
        let message = &cx.message;
        let mut data = IndexMap::new();
        let mut inject = |name: &str, model: TModel| data.insert(name.to_owned(), model);
        if self.uses.payload {
            inject("payload", payload(message)?);
        }
        if self.uses.args {
            let mut values = IndexMap::with_capacity(arguments.len());
            for (argument, number) in arguments.iter().zip(1_usize..) {
                let value = argument.evaluate(media, cx)?.replacement(media, escape_controls, cx)?;
                values.insert(format!("arg{number}"), TModel::from_scalar(value));
            }
            inject("args", TModel::from_hash(values));
        }
        let scopes = [
            ("ctx", self.uses.ctx, &message.properties),
            ("axis2", self.uses.axis2, &message.axis2),
            ("vars", self.uses.vars, &message.variables),
        ];
        for (name, used, properties) in scopes {
            if used {
                inject(name, texts(properties));
            }
        }
        if self.uses.trp {
            let headers = message.headers.iter();
            let headers = headers.map(|(name, value)| (name.to_string(), TModel::from_scalar(value.to_string())));
            inject("trp", TModel::from_hash(headers.collect()));
        }
        self.process(data, Instant::now(), cx)
    }

    fn process(&self, mut data: IndexMap<String, TModel>, started: Instant, cx: &Context) -> Result<String, Fault> {
        data.insert(CLOCK.to_owned(), TModel::from_method(Clock { started }));
        let mut out = Vec::new();
        let done = self.compiled(cx).and_then(|it| guarded(|| it.process(TModel::from_hash(data), &mut out)));
        done.map_err(|error| fault(&error))?;
        String::from_utf8(out).map_err(|_| Fault::new("The FreeMarker template wrote text that is not UTF-8"))
    }
}

/// Runs the engine; should it panic, that is an error of this template.
fn guarded<T>(run: impl FnOnce() -> Result<T, TemplateError>) -> Result<T, TemplateError> {
    panic::catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|_| Err(TemplateError::Misc { message: "The template engine failed".to_owned() }))
}

/// MI: `FreeMarkerTemplateProcessor#generateTemplateErrorMessage`.
fn fault(error: &TemplateError) -> Fault {
    let wrong = |what: &str, ctx: &ErrorCtx| {
        Fault::new(format!(
            "Error parsing FreeMarker template, Syntax error or invalid reference : {what} At line: {} column: {}",
            ctx.span.line, ctx.span.col
        ))
    };
    let mut fault = match error {
        TemplateError::Stop { message } => Fault::new(message.clone().unwrap_or_default()),
        TemplateError::Io(_) | TemplateError::NotFound { .. } => Fault::new("Error parsing FreeMarker template"),
        TemplateError::Misc { message } if message.starts_with(TOO_LONG) => Fault::new(TOO_LONG),
        TemplateError::InvalidReference { name, ctx } => wrong(name, ctx),
        TemplateError::TypeMismatch { expected, actual, ctx } => match &ctx.blamed_expr {
            Some(blamed) => wrong(blamed, ctx),
            None => wrong(&format!("expected a {expected}, found a {actual}"), ctx),
        },
        other => Fault::new(format!(
            "Error parsing FreeMarker template, Syntax error or invalid reference : {}",
            other.to_user_message()
        )),
    };
    fault.detail = error.to_user_message();
    fault
}

fn texts(properties: &Properties) -> TModel {
    let entries = properties.iter().filter(|(_, value)| !value.is_null());
    TModel::from_hash(
        entries.map(|(key, value)| (key.to_string(), TModel::from_scalar(value.to_text().into()))).collect(),
    )
}

/// The payload: XML as a document, JSON as maps, lists and doubles (a value alone as it is written), text escaped for
/// XML, as MI has it.
fn payload(message: &Message) -> Result<TModel, Fault> {
    let empty = || TModel::from_scalar(String::new());
    Ok(match message.body.native()? {
        Native::Json(body) => {
            let value = body.value().map_err(|_| Fault::new("Invalid JSON payload"))?;
            match &**value {
                Json::Object(_) | Json::Array(_) => model(value),
                value => TModel::from_scalar(value.to_string()),
            }
        }
        Native::Text(text) => TModel::from_scalar(xml::escape(text)),
        Native::Xml(envelope) => match envelope.payload() {
            Some(element) => {
                let text = envelope.document().to_xml(element);
                guarded(|| TModel::from_xml_str(&text)).map_err(|_| Fault::new("Error reading payload data"))?
            }
            None => empty(),
        },
        Native::Empty | Native::Binary(_) => empty(),
    })
}

/// JSON as Gson gives it to FreeMarker: every number is a double, null is nothing. Its depth is that of parsed JSON.
fn model(value: &Json) -> TModel {
    match value {
        Json::Null => TModel::nothing(),
        Json::Bool(value) => TModel::from_boolean(*value),
        Json::Number(number) => TModel::from_number(TNumber::Double(number.as_f64().unwrap_or(f64::NAN))),
        Json::String(text) => TModel::from_scalar(text.clone()),
        Json::Array(items) => TModel::from_sequence(items.iter().map(model).collect()),
        Json::Object(entries) => {
            let entries = entries.iter().filter(|(_, value)| !value.is_null());
            TModel::from_hash(entries.map(|(key, value)| (key.clone(), model(value))).collect())
        }
    }
}

// === includes ===

/// `<#include>` and `<#import>` read below `conf:/` of the registry. MI: `FileTemplateLoader` on `registry/config`.
struct Included(Arc<Services>);

struct Resource {
    name: String,
    text: bytes::Bytes,
}

impl TemplateSource for Resource {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn as_any(&self) -> Option<&dyn std::any::Any> {
        Some(self)
    }
}

impl TemplateLoader for Included {
    fn find(&self, name: &str) -> Result<Option<Box<dyn TemplateSource>>, TemplateError> {
        let text = self.0.registry.content(&format!("conf:/{}", name.trim_start_matches('/')));
        Ok(text.map(|text| Box::new(Resource { name: name.to_owned(), text }) as Box<dyn TemplateSource>))
    }

    fn read(&self, source: &dyn TemplateSource) -> Result<String, TemplateError> {
        match source.as_any().and_then(|it| it.downcast_ref::<Resource>()) {
            Some(resource) => Ok(String::from_utf8_lossy(&resource.text).into_owned()),
            None => Err(TemplateError::NotFound { name: source.name() }),
        }
    }
}

// === the clock ===

/// What [`CLOCK`] is while a template runs: it writes nothing, and fails when the time is over.
struct Clock {
    started: Instant,
}

impl TemplateMethodModelEx for Clock {
    fn exec(&self, _env: &mut Environment<'_>, _args: Vec<TModel>) -> Result<TModel, TemplateError> {
        if self.started.elapsed() > MAX_TIME {
            return Err(TemplateError::Misc { message: TOO_LONG.to_owned() });
        }
        Ok(TModel::from_scalar(String::new()))
    }
}

/// Looks at the clock before everything else in a body that may run again and again.
fn watch(body: &mut Vec<Element>) {
    watch_all(&mut *body);
    let span = body.first().map(|first| first.span).unwrap_or_default();
    let callee = Box::new(Expr::new(ExprKind::Ident(CLOCK.to_owned()), span));
    let expr = Expr::new(ExprKind::Call { callee, args: Vec::new() }, span);
    let look = ElementKind::Interpolation { expr, legacy_min_frac: None, legacy_max_frac: None };
    body.insert(0, Element::new(look, span));
}

/// The same for the bodies inside of elements. The parser has bounded their depth.
fn watch_all<'e>(elements: impl IntoIterator<Item = &'e mut Element>) {
    for element in elements {
        watch_inside(&mut element.kind);
    }
}

fn watch_inside(kind: &mut ElementKind) {
    use ElementKind as Kind;
    match kind {
        Kind::List { body, else_, .. } => {
            watch(body);
            watch_all(else_.iter_mut().flatten());
        }
        Kind::Items { body, .. } => watch(body),
        Kind::Macro { def } => watch(&mut def.body),
        Kind::If { then, else_, .. } => {
            watch_all(then);
            watch_all(else_.iter_mut().flatten());
        }
        Kind::Switch { cases, default, .. } => {
            watch_all(cases.iter_mut().flat_map(|case| &mut case.body));
            watch_all(default.iter_mut().flatten());
        }
        Kind::Attempt { try_, recover } => {
            watch_all(try_);
            watch_all(recover);
        }
        Kind::Global { body: Some(body), .. }
        | Kind::Local { body: Some(body), .. }
        | Kind::Call { body: Some(body), .. }
        | Kind::Nested { body: Some(body), .. }
        | Kind::Sep { body }
        | Kind::BlockAssign { body, .. }
        | Kind::Escape { body, .. }
        | Kind::OutputFormat { body, .. }
        | Kind::Transform { body, .. }
        | Kind::On { body, .. }
        | Kind::Trim(body)
        | Kind::NoEscape(body)
        | Kind::AutoEsc(body)
        | Kind::NoAutoEsc(body)
        | Kind::Compress(body) => watch_all(body),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, Flowing};

    /// A rendering that began too long ago ends in its next round, whatever it loops by.
    #[test]
    fn time_ends_loops_and_recursion() {
        let deployed = Flowing::of("<drop/>").deploy();
        let cx = testing::context(deployed.snapshot().clone());
        let over = Instant::now().checked_sub(MAX_TIME * 2).expect("the machine is up for longer");
        for template in [
            "<#list 1.. as i></#list>",
            "<#list 1.. as i><#if i == 5><#break></#if></#list>",
            "<#list [1]><#items as i>x</#items></#list>",
            "<#macro m>x</#macro><#compress><@m/></#compress>",
            "<#function f x><#return x></#function>${f(1)}",
            "<#if true><#assign a><#list 1.. as i>x</#list></#assign></#if>",
        ] {
            let template = FreeMarker::compile(template).expect("a template");
            let fault = template.process(IndexMap::new(), over, &cx).expect_err("it ended").message;
            assert_eq!(fault, TOO_LONG);
        }
        let template = FreeMarker::compile("<#list 1..3 as i>${i}<#sep>,</#list>").expect("a template");
        assert_eq!(template.process(IndexMap::new(), Instant::now(), &cx).ok().as_deref(), Some("1,2,3"));
    }
}
