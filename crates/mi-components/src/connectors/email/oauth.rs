//! Access tokens for mail servers (`enableOAuth2`): from a refresh token or from the client's own credentials, kept until they
//! expire. MI: `OAuthUtils`, `OAuthClient` of the email connector.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Method, Version};
use mi_engine::endpoint::Target;
use mi_engine::snapshot::Snapshot;
use mi_engine::transport::{Outgoing, Payload};
use mi_message::{Body, Headers};
use serde_json::Value as Json;

/// Largest answer of a token service that is read.
const MAX_ANSWER: usize = 1 << 20;
/// Most tokens that are kept; the connections of a deployment are few.
const MAX_TOKENS: usize = 1000;
const PATIENCE: Duration = Duration::from_mins(1);

/// The tokens in use, by the request that got them. The lock is held for a look only.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<HashMap<String, (String, i64)>>);

/// How a connection gets its token.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    url: String,
    form: String,
    tokens: Arc<Tokens>,
}

impl Grant {
    /// The grant that the parameters ask for.
    pub(super) fn of(text: &dyn Fn(&str) -> Option<String>, tokens: Arc<Tokens>) -> Result<Self, String> {
        let grant = text("grantType").unwrap_or_default().to_lowercase();
        let (kind, last, said) = match grant.as_str() {
            "authorization_code" => ("refresh_token", "refreshToken", "authorization code"),
            "client_credentials" => ("client_credentials", "scope", "client credentials"),
            _ => return Err(format!("Grant type {grant} is invalid.")),
        };
        let incomplete = || format!("Invalid configurations provided for {said} grant type.");
        let needed = |name: &str| text(name).filter(|it| !it.trim().is_empty()).ok_or_else(incomplete);
        let name = if last == "scope" { "scope" } else { "refresh_token" };
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", kind)
            .append_pair("client_id", &needed("clientId")?)
            .append_pair("client_secret", &needed("clientSecret")?)
            .append_pair(name, &needed(last)?)
            .finish();
        Ok(Self { url: needed("tokenUrl")?, form, tokens })
    }

    /// A token that has not expired.
    pub(super) async fn token(&self, snapshot: &Snapshot) -> Result<String, String> {
        let (key, now) = (format!("{} {}", self.url, self.form), snapshot.services.clock.now_millis());
        let kept = self.tokens.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some((token, _)) = kept.filter(|(_, expires)| now < *expires) {
            return Ok(token);
        }
        let (token, lifetime) = match tokio::time::timeout(PATIENCE, self.fetch(snapshot)).await {
            Ok(fetched) => fetched?,
            Err(_) => return Err("the token service did not answer in time".to_owned()),
        };
        let mut tokens = self.tokens.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MAX_TOKENS {
            tokens.clear();
        }
        tokens.insert(key, (token.clone(), now.saturating_add(lifetime.saturating_mul(1000))));
        Ok(token)
    }

    async fn fetch(&self, snapshot: &Snapshot) -> Result<(String, i64), String> {
        let target = Target::parse(&self.url).ok_or_else(|| format!("'{}' is no http address", self.url))?;
        let mut headers = Headers::new();
        headers.set("Content-Type", "application/x-www-form-urlencoded");
        headers.set("Host", target.authority.clone());
        let request = Outgoing {
            method: Method::POST,
            secure: target.secure,
            host: target.host,
            port: target.port,
            target: target.path_and_query,
            version: Version::HTTP_11,
            headers,
            body: Payload::Bytes(self.form.clone().into()),
            chunked: false,
            close: false,
            timeout: Some(PATIENCE),
        };
        let answer = snapshot.services.http.send(request).await.map_err(|error| error.message)?;
        if answer.status != http::StatusCode::OK {
            return Err(format!("Error occurred while accessing the Token URL. {}", answer.status));
        }
        let mut body = Body::from_stream(answer.body, None);
        body.read(MAX_ANSWER).await.map_err(|error| error.to_string())?;
        let json: Json = serde_json::from_slice(&body.raw().cloned().unwrap_or_default())
            .map_err(|_| "the OAuth server did not answer JSON".to_owned())?;
        let missing = |key: &str| format!("Missing key [{key}] in the response from the OAuth server");
        let token = json["access_token"].as_str().ok_or_else(|| missing("access_token"))?;
        let lifetime = &json["expires_in"];
        let lifetime = lifetime.as_i64().or_else(|| lifetime.as_str()?.parse().ok());
        Ok((token.to_owned(), lifetime.ok_or_else(|| missing("expires_in"))?))
    }
}
