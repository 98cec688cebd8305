//! `<call-template>` runs a sequence template with parameters, which its steps read as `$func:name`.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Effect, Flow, Mediator, Resume, Sequence};
use mi_engine::snapshot::TemplateRef;
use mi_engine::spec::MediatorSpec;
use mi_engine::template::SequenceTemplate;
use mi_expr::{Dynamic, Expr};
use mi_message::{FunctionScope, Opaque, Value, XmlValue};
use mi_xml::NodeKind;

use super::call::{self, Original};
use crate::connectors::ConnectorResult;

pub(super) const SPEC: MediatorSpec =
    MediatorSpec::new("call-template", parse).attributes(&["target", "onError"]).children(&["with-param"]);

#[derive(Debug)]
pub(super) struct CallTemplate {
    target: TemplateRef,
    arguments: Vec<(Arc<str>, Argument)>,
}

#[derive(Debug)]
enum Argument {
    /// Static text, JSONPath or `${…}`: a text.
    Text(Dynamic),
    /// An XPath: its first node stays a node.
    Node(Expr),
    /// An expression that is handed over as such and evaluated wherever the template uses the parameter.
    Later(Expr),
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let name = el.qualify(&el.require_attr("target")?)?;
    let mut arguments = Vec::new();
    for parameter in el.children_named("with-param") {
        let name: Arc<str> = parameter.require_attr("name")?.into();
        arguments.push((name, parse_argument(&parameter)?));
    }
    let call = Box::new(CallTemplate { target: cx.template_ref(&name), arguments });
    let Some(on_error) = el.filled_attr("onError") else { return Ok(call) };
    // The handler holds for as long as a frame around the call does.
    let mut guarded = Sequence::new(cx.artifact.clone(), vec![call as Box<dyn Mediator>]);
    guarded.on_error = Some(cx.sequence_ref(&el.qualify(&on_error)?));
    Ok(Box::new(Guarded(Arc::new(guarded))))
}

fn parse_argument(el: &Element) -> Result<Argument, Diagnostic> {
    let source = el.attr("value").ok_or_else(|| el.error("<with-param> needs the attribute 'value'"))?;
    let value = el.dynamic("value")?.ok_or_else(|| el.error(format!("the value '{source}' is not valid")))?;
    Ok(argument(value))
}

fn argument(value: Dynamic) -> Argument {
    if let Some(expr) = value.as_escaped() {
        return Argument::Later(expr.clone());
    }
    match value.as_expr() {
        Some(expr) if expr.is_xpath() => Argument::Node(expr.clone()),
        Some(expr) => Argument::Text(Dynamic::from_expr(expr.clone())),
        None => Argument::Text(value),
    }
}

/// The call of a connector's operation, whose children are the parameters. Empty ones are not given.
/// MI: `MediatorFactoryFinder#buildParamteres`.
pub(super) fn operation(el: &Element, target: TemplateRef, cx: &mut BuildCx<'_>) -> Result<CallTemplate, Diagnostic> {
    let mut arguments = Vec::new();
    for child in el.children() {
        if child.first_child().is_some() {
            cx.report(child.warning("parameters inside of a connector's parameter are not read"));
        }
        let text = child.text();
        if text.is_empty() {
            continue;
        }
        // `${…}` without braces around it is a text, which the connector may evaluate.
        let value = if text.trim_start().starts_with("${") {
            Dynamic::fixed(text)
        } else {
            let parsed = Dynamic::parse(&text, &child.namespaces());
            parsed.map_err(|error| child.error(format!("the value '{text}' is not valid: {error}")))?
        };
        arguments.push((child.name().into(), argument(value)));
    }
    Ok(CallTemplate { target, arguments })
}

/// A call with an `onError` of its own.
#[derive(Debug)]
struct Guarded(Arc<Sequence>);

impl Mediator for Guarded {
    fn reads_body(&self) -> bool {
        self.0.reads_body
    }

    fn mediate(&self, _cx: &mut Context) -> Result<Flow, Fault> {
        Ok(Flow::Enter(self.0.clone()))
    }
}

impl Mediator for CallTemplate {
    fn reads_body(&self) -> bool {
        self.arguments.iter().any(|(name, argument)| match argument {
            _ if matches!(&**name, "responseVariable" | "overwriteBody") => true,
            Argument::Text(value) => value.reads_body(),
            Argument::Node(expr) | Argument::Later(expr) => expr.reads_body(),
        })
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let template = cx
            .snapshot
            .template(&self.target)
            .ok_or_else(|| Fault::new(format!("Sequence template {} cannot be found", self.target.name())))?;
        let scope = self.scope(&template, cx)?;
        let response = self.response(cx)?;
        cx.message.functions.push(scope);
        let leave = LeaveScope { depth: cx.message.functions.len(), response };
        Ok(Flow::EnterThen(template.sequence.clone(), Box::new(leave)))
    }
}

impl CallTemplate {
    /// Where the answer goes that the template leaves, if the call asks for it. MI: `InvokeMediator#prepareForMediation`.
    fn response(&self, cx: &Context) -> Result<Option<Response>, Fault> {
        let argument = |wanted: &str| match self.arguments.iter().rfind(|(name, _)| &**name == wanted) {
            Some((_, argument)) => argument.value(cx).map(|value| value.to_text().into_owned()),
            None => Ok(String::new()),
        };
        let variable = argument("responseVariable")?;
        if variable.is_empty() {
            return Ok(None);
        }
        let overwrite = argument("overwriteBody")?.eq_ignore_ascii_case("true");
        let original = (!overwrite).then(|| Original::of(cx));
        Ok(Some(Response { variable: variable.into(), original }))
    }

    /// The declared parameters with their values; undeclared arguments do not get in. MI: `TemplateContext#setupParams`.
    fn scope(&self, template: &SequenceTemplate, cx: &mut Context) -> Result<FunctionScope, Fault> {
        let mut parameters = Vec::with_capacity(template.parameters.len());
        let mut expressions = Vec::new();
        for declared in &template.parameters {
            // Of two arguments with one name the later one counts.
            let argument = self.arguments.iter().rfind(|(name, _)| *name == declared.name);
            let value = match (argument, &declared.default) {
                // An expression that looks at the parameters of the caller cannot wait until they are out of reach.
                (Some((_, Argument::Later(expr))), _) if !expr.reads_parameters() => {
                    expressions.push((declared.name.clone(), Arc::new(expr.clone()) as Opaque));
                    continue;
                }
                (Some((_, argument)), _) => argument.value(cx)?,
                (None, Some(default)) => default.clone(),
                (None, None) if declared.mandatory => {
                    let text = format!(
                        "Neither a value nor default value is provided for mandatory parameter: {} in seq-template {}",
                        declared.name, template.name
                    );
                    cx.message.properties.set("ERROR_CODE", 500_101);
                    cx.message.properties.set("ERROR_MESSAGE", text.as_str());
                    return Err(Fault::new(text));
                }
                (None, None) => continue,
            };
            if !value.is_null() {
                parameters.push((declared.name.clone(), value));
            }
        }
        Ok(FunctionScope {
            template: template.name.clone(),
            parameters: Arc::new(parameters),
            expressions: Arc::new(expressions),
        })
    }
}

impl Argument {
    fn value(&self, cx: &Context) -> Result<Value, Fault> {
        match self {
            Self::Text(value) => Ok(Value::from(value.eval_string(&cx.message, &*cx.snapshot)?)),
            Self::Node(expr) | Self::Later(expr) => Ok(first_node(expr.eval(&cx.message, &*cx.snapshot)?)),
        }
    }
}

/// The first node of a node-set: an element as it is, of other nodes the text. MI: `TemplateContext#resolveExpressionValue`.
fn first_node(value: Value) -> Value {
    let Value::Xml(xml) = value else { return value };
    let Some(node) = xml.nodes.first().copied() else { return Value::Null };
    match xml.document.kind(node) {
        NodeKind::Element => Value::Xml(XmlValue { document: xml.document, nodes: vec![node] }),
        _ => Value::from(&*xml.document.value(node)),
    }
}

/// What becomes of the answer that a template leaves.
#[derive(Clone)]
struct Response {
    /// The variable that takes it.
    variable: Arc<str>,
    /// What the message becomes again; none if it keeps the answer as its body.
    original: Option<Original>,
}

/// Forgets the parameters when the template ends, and puts its answer where the call wants it.
struct LeaveScope {
    /// Scopes on the stack while the template runs.
    depth: usize,
    response: Option<Response>,
}

impl Resume for LeaveScope {
    fn resume(self: Box<Self>, cx: &mut Context) -> Result<Flow, Fault> {
        cx.message.functions.truncate(self.depth - 1);
        Ok(self.response.map_or(Flow::Next, Flow::wait))
    }
    // A fault handler still sees the parameters, as in MI, where only a normal end pops them.

    fn fork(&self) -> Option<Box<dyn Resume>> {
        Some(Box::new(Self { depth: self.depth, response: self.response.clone() }))
    }
}

/// The result of a connector's class comes before the payload. MI: `InvokeMediator#postMediate`.
impl Effect for Response {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move {
            let Self { variable, original } = *self;
            let answer = match cx.shared.remove::<ConnectorResult>() {
                Some(result) => result.into_value(),
                None => {
                    let payload = call::payload_value(cx).await?;
                    call::answer_map(original.is_some().then_some(payload), cx)
                }
            };
            cx.message.variables.set(variable, answer);
            if let Some(original) = original {
                original.restore(cx);
            }
            Ok(Flow::Next)
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Flowing;

    const TEMPLATE: &str = "<template name='t'><parameter name='a'/><parameter name='b' defaultValue='B'/>\
        <sequence><property name='a' expression='$func:a'/><property name='b' expression='$func:b'/></sequence></template>";

    #[track_caller]
    fn check(with: &str, a: Option<&str>, b: Option<&str>) {
        let outcome = Flowing::of(&format!("<call-template target='t'>{with}</call-template>"))
            .template(TEMPLATE)
            .xml("<x><y>1</y></x>")
            .run();
        assert_eq!(outcome.fault(), None);
        assert_eq!((outcome.property("a").as_deref(), outcome.property("b").as_deref()), (a, b));
        assert!(outcome.message().functions.is_empty());
    }

    #[test]
    fn arguments_and_defaults() {
        check("<with-param name='a' value='text'/>", Some("text"), Some("B"));
        check("<with-param name='a' value='{//y}'/><with-param name='b' value='{//y/text()}'/>", Some("1"), Some("1"));
        check("<with-param name='a' value='{string(//y)}'/><with-param name='c' value='1'/>", Some("1"), Some("B"));
    }

    #[test]
    fn expressions_are_evaluated_where_they_are_used() {
        let template = "<template name='t'><parameter name='a'/><sequence><property name='first' expression='$func:a'/>\
            <payloadFactory media-type='xml'><format><x><y>2</y></x></format><args/></payloadFactory>\
            <property name='second' expression=\"concat('=', $func:a)\"/>\
            <enrich><source type='inline'><z/></source><target action='child' xpath='$func:a'/></enrich>\
            </sequence></template>";
        let outcome = Flowing::of("<call-template target='t'><with-param name='a' value='{{//y}}'/></call-template>")
            .template(template)
            .xml("<x><y>1</y></x>")
            .run();
        assert_eq!(outcome.fault(), None);
        assert_eq!(outcome.property("first").as_deref(), Some("1"));
        assert_eq!(outcome.property("second").as_deref(), Some("=2"));
        assert_eq!(outcome.payload_xml(), "<x><y>2<z/></y></x>");
    }

    #[test]
    fn an_expression_on_parameters_is_evaluated_at_the_call() {
        let inner = "<template name='u'><parameter name='a'/><sequence><property name='a' expression='$func:a'/>\
            </sequence></template>";
        let outer = "<template name='t'><parameter name='a'/><sequence><call-template target='u'>\
            <with-param name='a' value='{{$func:a}}'/></call-template></sequence></template>";
        let outcome = Flowing::of("<call-template target='t'><with-param name='a' value='{{//y}}'/></call-template>")
            .template(inner)
            .template(outer)
            .xml("<x><y>1</y></x>")
            .run();
        assert_eq!(outcome.property("a").as_deref(), Some("1"));
    }

    #[test]
    fn the_answer_goes_to_a_variable() {
        let template = "<template name='t'><sequence><property name='HTTP_SC' scope='axis2' value='201' type='INTEGER'/>\
            <header name='City' scope='transport' value='Oslo'/>\
            <payloadFactory media-type='json'><format>{\"a\":1}</format></payloadFactory></sequence></template>";
        for (overwrite, kept, payload) in [("false", true, "1"), ("true", false, "none")] {
            let call = format!(
                "<call-template target='t'><with-param name='responseVariable' value='r'/>\
                 <with-param name='overwriteBody' value='{overwrite}'/></call-template>\
                 <property name='city' expression='${{vars.r.headers.city}}'/>\
                 <property name='status' expression='${{vars.r.attributes.statusCode}}'/>\
                 <property name='payload' expression=\"${{exists(vars.r.payload) ? vars.r.payload.a : 'none'}}\"/>"
            );
            let outcome = Flowing::of(&call).template(template).xml("<x/>").run();
            assert_eq!(outcome.fault(), None);
            assert_eq!(outcome.property("city").as_deref(), Some("Oslo"));
            assert_eq!(outcome.property("status").as_deref(), Some("201"));
            assert_eq!(outcome.property("payload").as_deref(), Some(payload));
            let body = if kept { outcome.payload_xml() } else { outcome.payload_text() };
            assert_eq!(body, if kept { "<x/>" } else { r#"{"a":1}"# });
        }
    }

    #[test]
    fn missing_things_are_faults() {
        let outcome = Flowing::of("<call-template target='none'/>").run();
        assert_eq!(outcome.fault().as_deref(), Some("Sequence template none cannot be found"));
        let template = "<template name='t'><parameter name='a' isMandatory='true'/><sequence/></template>";
        let outcome = Flowing::of("<call-template target='t'/>").template(template).run();
        assert_eq!(
            outcome.fault().as_deref(),
            Some("Neither a value nor default value is provided for mandatory parameter: a in seq-template t")
        );
        assert_eq!(outcome.property("ERROR_CODE").as_deref(), Some("500101"));
    }

    #[test]
    fn on_error_holds_inside_of_the_call_only() {
        let template = "<template name='t'><sequence><throwError errorMessage='x'/></sequence></template>";
        let outcome = Flowing::of("<call-template target='t' onError='e'/>")
            .template(template)
            .sequence("e", "<property name='handled' value='1'/>")
            .run();
        assert_eq!(outcome.property("handled").as_deref(), Some("1"));
    }
}
