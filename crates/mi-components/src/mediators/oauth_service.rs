//! `<oauthService>` lets requests through that carry a valid OAuth 2.0 token; WSO2 Identity Server says which are.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::future::BoxFuture;
use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::endpoint::{self, Endpoint};
use mi_engine::fault::Fault;
use mi_engine::flow;
use mi_engine::mediator::{Effect, Flow, Mediator};
use mi_engine::spec::MediatorSpec;
use mi_message::{Body, Envelope, Message, SoapVersion};
use mi_xml::{Document, NodeId};

pub(super) const SPEC: MediatorSpec =
    MediatorSpec::new("oauthService", parse).attributes(&["remoteServiceUrl", "username", "password"]).children(&[]);

/// Namespaces of the service `OAuth2TokenValidationService`.
const SERVICE: &str = "http://org.apache.axis2/xsd";
const DTO: &str = "http://dto.oauth2.identity.carbon.wso2.org/xsd";
/// Most parameters of the context that are handed over.
const MAX_PARAMETERS: usize = 100;
const FAILED: &str = "OAuth 2.0 authentication failed";

/// MI: `OAuthMediator`.
#[derive(Debug)]
struct OAuthService {
    endpoint: Arc<Endpoint>,
    authorization: String,
}

fn parse(el: &Element, _cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let attr = |name: &str| {
        let value = el.resolved_attr(name)?;
        value.ok_or_else(|| el.error(format!("The '{name}' attribute is required for the OAuth mediator")))
    };
    let url = attr("remoteServiceUrl")?;
    let pair = format!("{}:{}", attr("username")?, attr("password")?);
    let url = url.trim();
    let slash = if url.ends_with('/') { "" } else { "/" };
    Ok(Box::new(OAuthService {
        endpoint: endpoint::for_address(&format!("{url}{slash}OAuth2TokenValidationService")),
        authorization: format!("Basic {}", BASE64.encode(pair)),
    }))
}

impl Mediator for OAuthService {
    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let header = cx.message.headers.get("Authorization");
        let header = header.ok_or_else(|| Fault::new("Not a valid OAuth Request"))?;
        let Some(token) = header.strip_prefix("Bearer ") else {
            return Err(Fault::new("OAuth 1.0a is not supported by this version; a Bearer token is needed"));
        };
        if token.trim().is_empty() {
            return Err(Fault::new("Invalid or empty OAuth 2.0 token"));
        }
        let question = self.question(token.trim(), &cx.message);
        Ok(Flow::wait(Ask { endpoint: self.endpoint.clone(), question }))
    }
}

impl OAuthService {
    fn question(&self, token: &str, message: &Message) -> Message {
        let mut document = Document::new();
        let validate = document.create_element("xsd", "validate", SERVICE);
        document.append_child(Document::ROOT, validate);
        document.declare_namespace(validate, "dto", DTO);
        let request = child(&mut document, validate, ("xsd", SERVICE), "validationReqDTO", None);
        let dto = ("dto", DTO);
        let access = child(&mut document, request, dto, "accessToken", None);
        child(&mut document, access, dto, "identifier", Some(token));
        child(&mut document, access, dto, "tokenType", Some("bearer"));
        for number in 0..MAX_PARAMETERS {
            let part = |kind: &str| {
                let value = message.properties.get_str(&format!("oauth_context_param_{kind}_{number}"));
                value.filter(|value| !value.is_empty())
            };
            let (Some(key), Some(value)) = (part("key"), part("value")) else { break };
            let context = child(&mut document, request, dto, "context", None);
            child(&mut document, context, dto, "key", Some(key));
            child(&mut document, context, dto, "value", Some(value));
        }
        let mut envelope = Envelope::from_document(document, SoapVersion::Soap11);
        envelope.set_wrapped(false);
        let mut question = Message::new();
        question.axis2.set("HTTP_METHOD", "POST");
        question.axis2.set("messageType", "text/xml");
        question.headers.set("Authorization", self.authorization.as_str());
        question.addressing.action = Some("urn:validate".to_owned());
        question.body = Body::from_envelope(envelope);
        question
    }
}

fn child(document: &mut Document, parent: NodeId, name: (&str, &str), local: &str, text: Option<&str>) -> NodeId {
    let element = document.create_element(name.0, local, name.1);
    if let Some(text) = text {
        document.set_text(element, text);
    }
    document.append_child(parent, element);
    element
}

struct Ask {
    endpoint: Arc<Endpoint>,
    question: Message,
}

impl Effect for Ask {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move {
            let mut asked = cx.fork(self.question);
            let failed = |cause: Fault| {
                let fault = Fault::new("Error occured while validating oauth 2.0 access token");
                Fault { detail: format!("{}\nCaused by: {}", fault.detail, cause.message), ..fault }
            };
            self.endpoint.clone().send(&mut asked).await.map_err(failed)?;
            flow::build_body(&mut asked).await.map_err(failed)?;
            let answer = Answer::of(&asked.message).map_err(failed)?;
            answer.check(cx)?;
            Ok(Flow::Next)
        })
    }
}

/// What the service says of a token.
#[derive(Debug)]
struct Answer {
    valid: bool,
    /// A signed token about the user, for the back end.
    assertion: Option<String>,
    scopes: Vec<String>,
}

impl Answer {
    fn of(message: &Message) -> Result<Self, Fault> {
        let envelope = message.body.envelope()?;
        let document = envelope.document();
        if envelope.has_fault() || envelope.payload().is_none() {
            return Err(Fault::new("the service answered a fault"));
        }
        let named = |name: &'static str| {
            document
                .descendants(envelope.body())
                .filter(move |node| document.is_element(*node) && document.local_name(*node) == name)
        };
        let text = |node: NodeId| document.text(node).trim().to_owned();
        Ok(Self {
            valid: named("valid").next().is_some_and(|node| text(node) == "true"),
            assertion: named("tokenString").next().map(text).filter(|token| !token.is_empty()),
            scopes: named("scope").map(text).filter(|scope| !scope.is_empty()).collect(),
        })
    }

    /// MI: `OAuthMediator#handleOAuth2`.
    fn check(self, cx: &mut Context) -> Result<(), Fault> {
        if !self.valid {
            return Err(Fault::new(FAILED));
        }
        let message = &mut cx.message;
        if let Some(assertion) = self.assertion {
            message.headers.set("X-JWT-Assertion", assertion);
        }
        if !message.properties.is_true("oauth2_scope_validation_enabled") {
            return Ok(());
        }
        let property = |name: &str| message.properties.get(name).map(|value| value.to_text().into_owned());
        let wanted = property("scope").or_else(|| property("SYNAPSE_REST_API"));
        let wanted = wanted.unwrap_or_else(|| cx.artifact.name.to_string());
        if self.scopes.contains(&wanted) { Ok(()) } else { Err(Fault::new(FAILED)) }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Flowing, Outcome};

    fn run(header: Option<&str>, answer: Option<&str>, properties: &[(&str, &str)]) -> Outcome {
        let xml = "<oauthService remoteServiceUrl='http://is:9763/services/' username='admin' password='secret'/>\
            <property name='after' value='1'/>";
        let flowing = Flowing::of(xml).json("{}").with(|message| {
            if let Some(header) = header {
                message.headers.set("Authorization", header);
            }
            for (name, value) in properties {
                message.properties.set(*name, *value);
            }
        });
        let flowing = match answer {
            Some(inside) => flowing.answer(
                "text/xml",
                &format!(
                    "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body><n:validateResponse xmlns:n='urn:n'>\
                     <n:return>{inside}</n:return></n:validateResponse></e:Body></e:Envelope>"
                ),
            ),
            None => flowing,
        };
        flowing.run()
    }

    const VALID: &str = "<valid>true</valid><authorizationContextToken><tokenString>jwt</tokenString>\
        </authorizationContextToken><scope>orders</scope><scope>read</scope>";

    #[test]
    fn a_valid_token_passes() {
        let parameters = [("oauth_context_param_key_0", "k"), ("oauth_context_param_value_0", "v")];
        let outcome = run(Some("Bearer abc"), Some(VALID), &parameters);
        assert_eq!((outcome.fault(), outcome.property("after").as_deref()), (None, Some("1")));
        assert_eq!(outcome.message().headers.get("X-JWT-Assertion"), Some("jwt"));
        let [asked] = outcome.received() else { panic!("{:?}", outcome.received()) };
        assert_eq!(asked.url, "http://is:9763/services/OAuth2TokenValidationService");
        assert!(
            asked.body.contains("<dto:identifier>abc</dto:identifier><dto:tokenType>bearer</dto:tokenType>"),
            "{}",
            asked.body
        );
        assert!(
            asked.body.contains("<dto:context><dto:key>k</dto:key><dto:value>v</dto:value></dto:context>"),
            "{}",
            asked.body
        );
        assert_eq!(outcome.payload_text(), "{}");
    }

    #[test]
    fn others_are_faults() {
        for (header, answer, properties, part) in [
            (None, None, &[][..], "Not a valid OAuth Request"),
            (Some("Bearer  "), None, &[], "Invalid or empty OAuth 2.0 token"),
            (Some("OAuth a=b"), None, &[], "OAuth 1.0a is not supported"),
            (Some("Bearer abc"), None, &[], "Error occured while validating oauth 2.0 access token"),
            (Some("Bearer abc"), Some("<valid>false</valid>"), &[], "OAuth 2.0 authentication failed"),
            (
                Some("Bearer abc"),
                Some(VALID),
                &[("oauth2_scope_validation_enabled", "true"), ("scope", "write")],
                "OAuth 2.0 authentication failed",
            ),
        ] {
            let outcome = run(header, answer, properties);
            let fault = outcome.fault().unwrap_or_default();
            assert!(fault.contains(part), "{part}: {fault}");
            assert_eq!(outcome.property("after"), None);
        }
        let scoped = [("oauth2_scope_validation_enabled", "true"), ("SYNAPSE_REST_API", "orders")];
        assert_eq!(run(Some("Bearer abc"), Some(VALID), &scoped).fault(), None);
    }

    #[test]
    fn the_address_ends_with_a_slash_or_not() {
        let xml = "<oauthService remoteServiceUrl='http://is:9763/services' username='admin' password='secret'/>";
        let outcome = Flowing::of(xml).json("{}").with(|it| it.headers.set("Authorization", "Bearer abc")).run();
        let [asked] = outcome.received() else { panic!("{:?}", outcome.received()) };
        assert_eq!(asked.url, "http://is:9763/services/OAuth2TokenValidationService");
    }

    #[test]
    fn the_cause_stands_in_the_detail() {
        let outcome = run(Some("Bearer abc"), None, &[]);
        assert_eq!(outcome.fault().as_deref(), Some("Error occured while validating oauth 2.0 access token"));
        let detail = outcome.property("ERROR_DETAIL").unwrap_or_default();
        assert!(detail.contains("\nCaused by: "), "{detail}");
    }

    #[test]
    fn wrong_configurations_are_refused() {
        let error = Flowing::error_of("<oauthService remoteServiceUrl='http://is/' username='a'/>");
        assert!(error.contains("The 'password' attribute is required"), "{error}");
    }
}
