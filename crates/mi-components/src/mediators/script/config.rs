//! Reading `<script>`.

use mi_config::{Diagnostic, Element, Severity};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_expr::Dynamic;
use mi_script::{Language, Script};

use super::{Argument, Keyed, ScriptMediator, Settings, Source, Target};
use crate::resource::Cached;
use crate::scripting;
use crate::typed::{self, DataType, Origin};

/// Names of languages that MI runs with engines of Java.
const OTHER_LANGUAGES: &[&str] = &["groovy", "rb", "ruby", "py", "python", "jython", "jruby", "bsh"];

pub(super) fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let Some(name) = el.filled_attr("language").map(|it| it.into_owned()) else {
        return Err(el.error("The 'language' attribute is required for a script mediator"));
    };
    if el.attr("key").is_none() && el.attr("function").is_some() {
        return Err(el.error("Cannot use 'function' attribute without 'key' attribute for a script mediator"));
    }
    let language = match name.as_str() {
        "js" if cx.settings.scripts.js_is_rhino => Language::Rhino,
        "js" | "graalJs" => Language::Js,
        "nashornJs" => Language::Nashorn,
        "rhinoJs" => Language::Rhino,
        other if OTHER_LANGUAGES.contains(&other) => return Ok(unsupported(el, other, cx)),
        other => {
            return Err(el
                .error(format!("No script engine found for language: {other}"))
                .hint("write it in JavaScript: language=\"js\", \"nashornJs\" or \"rhinoJs\""));
        }
    };
    let limits = scripting::limits(&cx.settings.scripts);
    let Some(key) = el.resource_key("key")? else {
        // A list of children here belongs to scripts with a key.
        cx.report_all(
            el.children().map(|it| it.warning(format!("<{}> has no effect without the attribute 'key'", it.name()))),
        );
        let script = match inline(el, language) {
            Ok(script) => script,
            Err(error) => return Ok(broken(error, cx)),
        };
        let source = Source::Inline(script);
        let settings = Settings { language_name: name, language, source, arguments: Vec::new(), target: None, limits };
        return Ok(Box::new(ScriptMediator(settings.into())));
    };
    cx.report_all(el.unknown_children(&["include", "inputs", "description"]));
    let mut includes = Vec::new();
    for include in el.children_named("include") {
        let missing = || include.error("Cannot use 'include' element without 'key' attribute for a script mediator");
        includes.push(include.resource_key("key")?.ok_or_else(missing)?);
    }
    let target = target(el)?;
    let arguments = match (el.child("inputs"), &target) {
        (Some(inputs), Some(_)) if language == Language::Js => arguments(&inputs, cx)?,
        (Some(inputs), _) => {
            cx.report(inputs.warning("<inputs> has no effect without the attribute 'target', or in this language"));
            Vec::new()
        }
        (None, _) => Vec::new(),
    };
    let shown = shown(el, &key);
    let function = el.filled_attr("function").map_or_else(|| "mediate".to_owned(), |it| it.into_owned());
    let source = Source::Keyed(Keyed { key, shown, includes, function, compiled: Cached::default() });
    Ok(Box::new(ScriptMediator(Settings { language_name: name, language, source, arguments, target, limits }.into())))
}

/// MI: `Value#toString`.
fn shown(el: &Element, key: &Dynamic) -> String {
    match key.as_static() {
        Some(key) => format!("Value {{name ='null', keyValue ='{key}'}}"),
        None => {
            let text = el.attr("key").unwrap_or_default();
            format!("Value {{name ='null', expression ={}}}", text.trim_start_matches('{').trim_end_matches('}'))
        }
    }
}

/// The script in the element, with places in the file of the artifact.
fn inline(el: &Element, language: Language) -> Result<Script, Diagnostic> {
    let document = el.document();
    let first = document.first_child(el.node()).and_then(|it| document.position(it));
    Script::inline(&el.text(), language).map_err(|error| {
        let (line, column) = first.unwrap_or_else(|| el.position());
        let (at_line, at_column) = (error.line as u32, error.column as u32);
        let column = if at_line == 1 { column + at_column - 1 } else { at_column };
        el.error(format!("the script does not compile: {}", error.message)).at(line + at_line - 1, column)
    })
}

fn target(el: &Element) -> Result<Option<Target>, Diagnostic> {
    Ok(match el.filled_attr("target").as_deref() {
        None => None,
        Some(target) if target.eq_ignore_ascii_case("body") => Some(Target::Body),
        Some(target) if target.eq_ignore_ascii_case("none") => Some(Target::None),
        Some(target) if target.eq_ignore_ascii_case("variable") => {
            let missing = || {
                el.error(
                    "The 'target-variable' attribute is required for the configuration of a Script mediator when the \
                     'target' is 'variable'",
                )
            };
            Some(Target::Variable((*el.filled_attr("target-variable").ok_or_else(missing)?).into()))
        }
        Some(other) => {
            return Err(el.error(format!(
                "Invalid 'target' attribute value for script mediator : {other}. It should be either 'body', \
                 'variable' or 'none'"
            )));
        }
    })
}

fn arguments(inputs: &Element, cx: &mut BuildCx<'_>) -> Result<Vec<Argument>, Diagnostic> {
    cx.report_all(inputs.unknown_children(&["argument"]));
    let mut arguments = Vec::new();
    for argument in inputs.children_named("argument") {
        let data_type = match argument.filled_attr("type") {
            None => None,
            Some(name) => Some(
                DataType::find(&name, DataType::VARIABLE)
                    .ok_or_else(|| argument.error(format!("Unknown type : {name} for an argument of a script")))?,
            ),
        };
        arguments.push(match (argument.attr("value"), argument.expr("expression")?) {
            (Some(text), _) => {
                let converted = typed::convert(&text, data_type.unwrap_or(DataType::String), Origin::Literal);
                Argument::Fixed(converted.map_err(|error| argument.error(error))?)
            }
            (None, Some(expr)) => Argument::Evaluated(expr, data_type),
            (None, None) => return Err(argument.error("<argument> needs the attribute 'value' or 'expression'")),
        });
    }
    Ok(arguments)
}

/// A script that cannot run: in a language of Java's world, or not well written.
#[derive(Debug)]
struct Unsupported(String);

impl Mediator for Unsupported {
    fn mediate(&self, _cx: &mut Context) -> Result<Flow, Fault> {
        Err(Fault::new(self.0.as_str()))
    }
}

/// MI deploys such a script and finds out when a message reaches it: the rest of the application must run here, too.
fn broken(mut error: Diagnostic, cx: &mut BuildCx<'_>) -> Box<dyn Mediator> {
    error.severity = Severity::Warning;
    let reason = error.to_string();
    cx.report(error.hint("messages that reach it get a fault; XML in a script (E4X) needs language=\"rhinoJs\""));
    Box::new(Unsupported(reason))
}

fn unsupported(el: &Element, language: &str, cx: &mut BuildCx<'_>) -> Box<dyn Mediator> {
    let reason = format!("scripts in '{language}' need an engine of Java, which this server does not have");
    let hint = "write the script in JavaScript (language=\"js\", the same `mc`), or replace it by mediators; messages \
                that reach it get a fault";
    cx.report(el.warning(reason.as_str()).hint(hint));
    Box::new(Unsupported(reason))
}
