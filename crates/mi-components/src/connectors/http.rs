//! The http connector: `RestURLBuilder` makes address, header fields and payload of a request out of the parameters that
//! the templates have put into properties. The request itself is a `call` of the template.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::ParseMediator;
use mi_expr::{Namespaces, Template};
use mi_message::{Message, Native, Value};
use serde_json::Value as Json;

use crate::mediators::payload_factory;
use crate::payload;

pub(super) const REST_URL_BUILDER: (&str, ParseMediator) = ("org.wso2.carbon.http.connector.RestURLBuilder", parse);

/// Texts with expressions that are kept compiled.
const COMPILED: usize = 256;

/// Makes the request. MI: `RestURLBuilder` of mi-connector-http.
#[derive(Debug, Default)]
struct RestUrlBuilder {
    /// The parameters of a connector are the same for every message, most of them.
    templates: RwLock<HashMap<Box<str>, Arc<Template>>>,
}

fn parse(_el: &Element, _cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    Ok(Box::new(RestUrlBuilder::default()))
}

impl Mediator for RestUrlBuilder {
    fn reads_body(&self) -> bool {
        true
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let headers = text(&cx.message, "HTTP_CONN_HEADERS").unwrap_or_else(|| "[]".to_owned());
        let headers = self.resolve(&headers, cx, "Error while processing headers")?;
        set_headers(&mut cx.message, &headers)?;
        self.set_payload(cx)?;
        self.set_address(cx)?;
        Ok(Flow::Next)
    }
}

impl RestUrlBuilder {
    /// `text` with the values of its `${…}`.
    fn resolve(&self, text: &str, cx: &Context, failed: &str) -> Result<String, Fault> {
        if !text.contains("${") {
            return Ok(text.to_owned());
        }
        let known = self.templates.read().unwrap_or_else(PoisonError::into_inner).get(text).cloned();
        let template = match known {
            Some(template) => template,
            None => {
                let parsed = Template::parse(text, &Namespaces::new());
                let template = Arc::new(parsed.map_err(|error| Fault::new(format!("{failed}: {error}")))?);
                let mut templates = self.templates.write().unwrap_or_else(PoisonError::into_inner);
                if templates.len() >= COMPILED {
                    templates.clear();
                }
                templates.insert(text.into(), template.clone());
                template
            }
        };
        Ok(template.eval(&cx.message, &*cx.snapshot)?)
    }

    fn set_payload(&self, cx: &mut Context) -> Result<(), Fault> {
        let kind = text(&cx.message, "HTTP_CONN_REQUEST_BODY_TYPE").unwrap_or_default();
        if kind.is_empty() {
            return Ok(());
        }
        let of = |kind: &str| text(&cx.message, &format!("HTTP_CONN_REQUEST_BODY_{kind}")).filter(|it| !it.is_empty());
        let body =
            of("JSON").map(|json| unquoted(&json)).or_else(|| of("XML")).or_else(|| of("TEXT")).unwrap_or_default();
        let body = self.resolve(&body, cx, "Error while processing request body")?;
        let message = &mut cx.message;
        let content_type = match kind.as_str() {
            "XML" => {
                payload_factory::set_xml(message, &body)?;
                "application/xml"
            }
            "JSON" => {
                payload_factory::set_json(message, &body)?;
                "application/json"
            }
            "TEXT" => {
                payload::set_native(message, Native::Text(body.into()));
                "text/plain"
            }
            _ => return Ok(()),
        };
        let is_xml = matches!(
            message.axis2.get_str("messageType"),
            Some("application/xml" | "text/xml" | "application/soap+xml")
        );
        // An XML message keeps its kind of XML.
        if kind != "XML" || !is_xml {
            payload::set_message_type(message, &Value::from(content_type));
        }
        message.axis2.remove("NO_ENTITY_BODY");
        Ok(())
    }

    /// MI: `RestURLBuilder#processAndResolveUrl`. Older releases have the base address where the endpoint reads it.
    fn set_address(&self, cx: &mut Context) -> Result<(), Fault> {
        let base = text(&cx.message, "HTTP_CONN_BASE_PATH").or_else(|| text(&cx.message, "uri.var.base"));
        let mut base = base.unwrap_or_default().trim().to_owned();
        let relative = text(&cx.message, "HTTP_CONN_RELATIVE_PATH").unwrap_or_default();
        let failed = format!("Error while processing relative path: {relative}");
        let relative = self.resolve(relative.trim(), cx, &failed)?;
        let mut relative = relative.trim();
        if !relative.starts_with('?') {
            match (base.ends_with('/'), relative.strip_prefix('/')) {
                (true, Some(rest)) => relative = rest,
                (false, None) if !base.is_empty() && !relative.is_empty() => base.push('/'),
                _ => {}
            }
        }
        for (name, value) in [("uri.var.base", base.as_str()), ("uri.var.path", relative), ("uri.var.query", "")] {
            cx.message.properties.set(name, value);
        }
        Ok(())
    }
}

fn text(message: &Message, property: &str) -> Option<String> {
    message.properties.get(property).map(|value| value.to_text().into_owned())
}

/// JSON in single quotes, without which its braces would make it an expression.
fn unquoted(json: &str) -> String {
    json.strip_prefix('\'').and_then(|it| it.strip_suffix('\'')).unwrap_or(json).to_owned()
}

/// `[["name", "value"], {"name": "value"}]`
fn set_headers(message: &mut Message, text: &str) -> Result<(), Fault> {
    if text.is_empty() {
        return Ok(());
    }
    let wrong = || Fault::new(format!("Error while processing headers: {text} is no array of names and values"));
    let Ok(Json::Array(items)) = serde_json::from_str(text) else { return Err(wrong()) };
    let plain = |value: &Json| match value {
        Json::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    };
    for item in items {
        let (name, value) = match &item {
            Json::Array(pair) if pair.len() == 2 => (plain(&pair[0]), plain(&pair[1])),
            Json::Object(fields) => match fields.iter().next() {
                Some((name, value)) => (name.trim().to_owned(), plain(value)),
                None => continue,
            },
            _ => continue,
        };
        if !name.is_empty() {
            message.headers.remove(&name);
            message.headers.set(name, value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::Flowing;

    const CLASS: &str = "<class name='org.wso2.carbon.http.connector.RestURLBuilder'/>";

    fn built(properties: &[(&str, &str)]) -> crate::testing::Outcome {
        let flowing = Flowing::of(CLASS).json(r#"{"id": 7}"#).with(|message| {
            for (name, value) in properties {
                message.properties.set(*name, *value);
            }
        });
        flowing.run()
    }

    #[track_caller]
    fn check_address(base: &str, path: &str, expected: &str) {
        let outcome = built(&[("HTTP_CONN_BASE_PATH", base), ("HTTP_CONN_RELATIVE_PATH", path)]);
        assert_eq!(outcome.fault(), None);
        let part = |name: &str| outcome.property(name).unwrap_or_default();
        assert_eq!(part("uri.var.base") + &part("uri.var.path") + &part("uri.var.query"), expected);
    }

    #[test]
    fn base_and_path_are_joined_by_one_slash() {
        check_address("http://a", "b", "http://a/b");
        check_address("http://a/", "/b", "http://a/b");
        check_address("http://a/", "b", "http://a/b");
        check_address(" http://a ", " /b?c=d ", "http://a/b?c=d");
        check_address("http://a", "?c=d", "http://a?c=d");
        check_address("http://a", "", "http://a");
        check_address("http://a", "/b/${payload.id}", "http://a/b/7");
    }

    #[test]
    fn header_fields() {
        let outcome = built(&[("HTTP_CONN_HEADERS", r#"[["A", " ${payload.id} "], {"b": "x"}, ["", "c"], 5]"#)]);
        let headers: Vec<(&str, &str)> = outcome.message().headers.iter().collect();
        assert_eq!(headers, [("A", "7"), ("b", "x")]);
        assert!(built(&[("HTTP_CONN_HEADERS", "{}")]).fault().is_some_and(|it| it.contains("no array")));
    }

    #[test]
    fn payloads() {
        let body = |kind: &str, text: &str| {
            let outcome =
                built(&[("HTTP_CONN_REQUEST_BODY_TYPE", kind), (&format!("HTTP_CONN_REQUEST_BODY_{kind}"), text)]);
            assert_eq!(outcome.fault(), None);
            outcome
        };
        assert_eq!(body("JSON", "'{\"a\": ${payload.id}}'").payload_text(), r#"{"a": 7}"#);
        assert_eq!(body("TEXT", "n ${payload.id}").payload_text(), "n 7");
        let outcome = body("XML", "<a>${payload.id}</a>");
        assert_eq!(outcome.payload_xml(), "<a>7</a>");
        assert_eq!(outcome.message().headers.get("Content-Type"), Some("application/xml"));
    }
}
