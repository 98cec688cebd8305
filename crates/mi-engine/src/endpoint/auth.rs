//! Credentials of http endpoints: basic authentication and OAuth 2 tokens. MI: `AuthUtils`, `OAuthHandler`.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{Method, Version};
use mi_config::endpoint::{Authentication, OAuth, OAuthGrant};
use mi_expr::Dynamic;
use mi_message::Headers;

use super::address::Target;
use crate::context::Context;
use crate::fault::{Fault, codes};
use crate::snapshot::Snapshot;
use crate::transport::{Outgoing, Payload};

/// How an endpoint gets its `Authorization` header.
#[derive(Debug)]
pub(super) struct Authenticator {
    config: Authentication,
    /// The token in use, with the credentials it was got for. A lock because all messages share it; it is held for a
    /// comparison only.
    token: Mutex<Option<Token>>,
}

#[derive(Clone, Debug)]
struct Token {
    key: String,
    access: String,
    expires_at: i64,
}

/// MI: `synapse.endpoint.http.oauth.cache.timeout`, in seconds.
const TOKEN_LIFETIME: i64 = 3000;
/// Largest answer of a token service that is read.
const MAX_TOKEN_ANSWER: usize = 1 << 20;

impl Authenticator {
    pub(super) fn new(config: &Authentication) -> Self {
        Self { config: config.clone(), token: Mutex::new(None) }
    }

    /// True when a 401 may be due to a token that the service has forgotten.
    pub(super) fn may_renew(&self) -> bool {
        matches!(self.config, Authentication::OAuth(_))
    }

    /// Forgets the token.
    pub(super) fn forget(&self) {
        *self.lock() = None;
    }

    /// Evaluates what the credentials are for this message.
    pub(super) fn credentials(&self, cx: &Context) -> Result<Credentials, Fault> {
        Ok(match &self.config {
            Authentication::Basic { username, password } => {
                let pair = format!("{}:{}", text(username, cx)?, text(password, cx)?);
                Credentials::Basic(format!("Basic {}", BASE64.encode(pair)))
            }
            Authentication::OAuth(oauth) => Credentials::OAuth(TokenRequest::new(oauth, cx)?),
        })
    }

    /// Puts the `Authorization` header on a request.
    pub(super) async fn authorize(
        &self,
        credentials: &Credentials,
        snapshot: &Snapshot,
        request: &mut Outgoing,
    ) -> Result<(), Fault> {
        let value = match credentials {
            Credentials::Basic(value) => value.clone(),
            Credentials::OAuth(asked) => format!("Bearer {}", self.access_token(asked, snapshot).await?),
        };
        if value.contains(|letter: char| letter.is_control()) {
            return Err(failed("the credentials cannot stand in a header"));
        }
        request.headers.set("Authorization", value);
        Ok(())
    }

    async fn access_token(&self, asked: &TokenRequest, snapshot: &Snapshot) -> Result<String, Fault> {
        let key = format!("{}\n{}", asked.target.to_url(), asked.form);
        let now = snapshot.services.clock.now_millis();
        if let Some(token) = self.lock().as_ref().filter(|token| token.key == key && token.expires_at > now) {
            return Ok(token.access.clone());
        }
        let (access, expires_in) = asked.fetch(snapshot).await?;
        let lifetime = expires_in.map_or(TOKEN_LIFETIME, |seconds| seconds.min(TOKEN_LIFETIME)).max(0);
        let expires_at = now.saturating_add(lifetime * 1000);
        *self.lock() = Some(Token { key, access: access.clone(), expires_at });
        Ok(access)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Token>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn text(value: &Dynamic, cx: &Context) -> Result<String, Fault> {
    Ok(value.eval_string(&cx.message, &*cx.snapshot)?.to_string())
}

fn failed(why: &str) -> Fault {
    let text = "Error generating authentication token";
    Fault::coded(codes::ENDPOINT_AUTH_FAILURE, text, format!("{text}: {why}"))
}

/// The form that asks for a token.
fn token_form(oauth: &OAuth, cx: &Context) -> Result<String, Fault> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    match &oauth.grant {
        OAuthGrant::ClientCredentials => {
            form.append_pair("grant_type", "client_credentials");
        }
        OAuthGrant::AuthorizationCode { refresh_token } => {
            form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", &text(refresh_token, cx)?);
        }
        OAuthGrant::Password { username, password } => {
            form.append_pair("grant_type", "password")
                .append_pair("username", &text(username, cx)?)
                .append_pair("password", &text(password, cx)?);
        }
    }
    if oauth.credentials_in_body {
        form.append_pair("client_id", &text(&oauth.client_id, cx)?)
            .append_pair("client_secret", &text(&oauth.client_secret, cx)?);
    }
    for (name, value) in &oauth.request_parameters {
        form.append_pair(name, &text(value, cx)?);
    }
    Ok(form.finish())
}

/// The credentials of one message.
pub(super) enum Credentials {
    Basic(String),
    OAuth(TokenRequest),
}

/// What the token service is asked.
pub(super) struct TokenRequest {
    target: Target,
    form: String,
    headers: Headers,
    timeout: Option<Duration>,
}

impl TokenRequest {
    /// MI: `OAuthClient#generateToken`.
    fn new(oauth: &OAuth, cx: &Context) -> Result<Self, Fault> {
        let url = text(&oauth.token_url, cx)?;
        let target = Target::parse(&url).ok_or_else(|| failed(&format!("'{url}' is no http address")))?;
        let mut headers = Headers::new();
        headers.set("Content-Type", "application/x-www-form-urlencoded");
        headers.set("Host", target.authority.clone());
        if !oauth.credentials_in_body {
            let pair = format!("{}:{}", text(&oauth.client_id, cx)?, text(&oauth.client_secret, cx)?);
            headers.set("Authorization", format!("Basic {}", BASE64.encode(pair)));
        }
        for (name, value) in &oauth.headers {
            headers.set(name.as_str(), text(value, cx)?);
        }
        let timeout = oauth.socket_timeout_ms.filter(|millis| *millis > 0).map(Duration::from_millis);
        Ok(Self { target, form: token_form(oauth, cx)?, headers, timeout })
    }

    async fn fetch(&self, snapshot: &Snapshot) -> Result<(String, Option<i64>), Fault> {
        let timeout = self.timeout.unwrap_or(snapshot.settings.global_timeout);
        let request = Outgoing {
            method: Method::POST,
            secure: self.target.secure,
            host: self.target.host.clone(),
            port: self.target.port,
            target: self.target.path_and_query.clone(),
            version: Version::HTTP_11,
            headers: self.headers.clone(),
            body: Payload::Bytes(self.form.clone().into()),
            chunked: false,
            close: false,
            timeout: Some(timeout),
        };
        let asked = async {
            let answer = snapshot.services.http.send(request).await.map_err(|error| failed(&error.message))?;
            let status = answer.status;
            let mut body = mi_message::Body::from_stream(answer.body, None);
            body.read(MAX_TOKEN_ANSWER).await.map_err(|error| failed(&error.to_string()))?;
            if !status.is_success() {
                return Err(failed(&format!("the token service answered {status}")));
            }
            token_of(&body.raw().cloned().unwrap_or_default())
        };
        match tokio::time::timeout(timeout, asked).await {
            Ok(token) => token,
            Err(_) => Err(failed("the token service did not answer in time")),
        }
    }
}

fn token_of(bytes: &[u8]) -> Result<(String, Option<i64>), Fault> {
    let json: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|_| failed("the token service did not answer JSON"))?;
    let access = json.get("access_token").and_then(|token| token.as_str());
    let access = access.ok_or_else(|| failed("the answer has no access_token"))?.to_owned();
    Ok((access, json.get("expires_in").and_then(serde_json::Value::as_i64)))
}
