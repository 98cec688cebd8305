//! Cross-origin answers of APIs, by the server's settings or by an API's own handler.
//! MI: `CORSHelper`, `SynapseCORSConfiguration`, `CORSRequestHandler`.

use mi_config::api::HandlerConfig;
use mi_message::{Headers, Properties};

use super::Resource;

/// Class name of the handler that gives an API settings of its own.
pub(super) const HANDLER: &str = "org.wso2.micro.integrator.security.handler.CORSRequestHandler";

/// Who may call from a page of another origin.
#[derive(Clone, Debug)]
pub struct Cors {
    /// On by default, and without origins, so that a preflight is refused until origins are named.
    pub enabled: bool,
    /// Origins allowed; `*` alone stands for all, inside of one for any text.
    pub allowed_origins: Vec<String>,
    /// `Access-Control-Allow-Headers`; `*` in a handler repeats what was asked for.
    pub allowed_headers: String,
    /// Methods that a handler allows; `None` allows those of the resource.
    pub allowed_methods: Option<Vec<String>>,
    /// `Access-Control-Allow-Credentials`.
    pub credentials: bool,
    /// `Access-Control-Max-Age`.
    pub max_age: Option<String>,
}

impl Default for Cors {
    fn default() -> Self {
        Self {
            enabled: true,
            allowed_origins: Vec::new(),
            allowed_headers: String::new(),
            allowed_methods: None,
            credentials: false,
            max_age: None,
        }
    }
}

const METHODS: &str = "Access-Control-Allow-Methods";
const ORIGIN: &str = "Access-Control-Allow-Origin";
const HEADERS: &str = "Access-Control-Allow-Headers";
const CREDENTIALS: &str = "Access-Control-Allow-Credentials";
const MAX_AGE: &str = "Access-Control-Max-Age";

impl Cors {
    /// The settings of an API's own handler.
    pub(super) fn from_handler(handler: &HandlerConfig) -> Self {
        let property =
            |name: &str| handler.properties.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let list = |name: &str| -> Vec<String> {
            let items = property(name).unwrap_or_default().split(',');
            items.map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
        };
        Self {
            enabled: true,
            allowed_origins: list("allowedOrigins"),
            allowed_headers: property("allowHeaders").unwrap_or_default().to_owned(),
            allowed_methods: Some(list("allowedMethods")),
            credentials: property("allowCredentials").is_some_and(|value| value.eq_ignore_ascii_case("true")),
            max_age: property("maxAge").map(str::to_owned),
        }
    }

    fn is_handler(&self) -> bool {
        self.allowed_methods.is_some()
    }

    /// The value of `Access-Control-Allow-Origin` for a request; `None` when the origin is not allowed.
    fn allowed_origin<'a>(&'a self, origin: Option<&'a str>) -> Option<&'a str> {
        if self.allowed_origins.iter().any(|allowed| allowed == "*") {
            return if self.credentials { origin } else { Some("*") };
        }
        let origin = origin?;
        let allowed = |pattern: &String| pattern == origin || (self.is_handler() && fits(pattern, origin));
        self.allowed_origins.iter().any(allowed).then_some(origin)
    }

    fn methods(&self, resource: &Resource) -> String {
        match &self.allowed_methods {
            None => resource.allow.to_string(),
            Some(allowed) => {
                let both: Vec<&str> = resource
                    .methods
                    .iter()
                    .map(String::as_str)
                    .filter(|it| allowed.iter().any(|known| known == it))
                    .collect();
                both.join(",")
            }
        }
    }

    /// The header fields for an answer.
    fn fields(&self, headers: &Headers, resource: &Resource) -> Vec<(&'static str, String)> {
        let origin = self.allowed_origin(headers.get("Origin"));
        let mut fields = vec![(METHODS, self.methods(resource))];
        fields.extend(origin.map(|origin| (ORIGIN, origin.to_owned())));
        let allowed_headers = match (self.allowed_headers.as_str(), self.is_handler()) {
            ("*", true) => headers.get("Access-Control-Request-Headers").unwrap_or_default(),
            (configured, _) => configured,
        };
        fields.push((HEADERS, allowed_headers.to_owned()));
        if self.credentials && origin != Some("*") {
            fields.push((CREDENTIALS, "true".to_owned()));
        }
        fields.extend(self.max_age.clone().map(|seconds| (MAX_AGE, seconds)));
        fields
    }

    /// Puts the header fields of a preflight answer; false when the origin is refused.
    pub(crate) fn answer_preflight(&self, headers: &mut Headers, resource: &Resource) -> bool {
        if !self.enabled {
            return true;
        }
        let granted = self.is_handler() || self.allowed_origin(headers.get("Origin")).is_some();
        for (name, value) in self.fields(headers, resource) {
            headers.set(name, value);
        }
        granted
    }

    /// Keeps what the answer to an actual request will carry. Requests of programs, which have no origin, get nothing.
    pub(crate) fn remember(&self, headers: &Headers, properties: &mut Properties, resource: &Resource) {
        let Some(origin) = headers.get("Origin").filter(|_| self.enabled) else { return };
        for (name, value) in self.fields(headers, resource) {
            properties.set(name, value);
        }
        properties.set("Origin", origin);
    }

    /// Puts what was remembered on an answer.
    pub(crate) fn recall(properties: &Properties, headers: &mut Headers) {
        for name in [METHODS, ORIGIN, HEADERS, CREDENTIALS, MAX_AGE, "Origin"] {
            if let Some(value) = properties.get_str(name) {
                headers.set(name, value);
            }
        }
    }
}

/// Does an origin fit a pattern in which `*` stands for any text? MI looks for the pattern anywhere in the origin; a
/// whole fit is what its users mean, so that `*.example.com` does not allow `https://a.example.com.evil.org`.
fn fits(pattern: &str, origin: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = origin.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_fit_as_a_whole() {
        for (pattern, origin, expected) in [
            ("*.example.com", "https://a.example.com", true),
            ("*.example.com", "https://a.example.com.evil.org", false),
            ("https://*.example.com", "https://a.b.example.com", true),
            ("https://a", "https://a", true),
            ("https://a", "https://ab", false),
        ] {
            assert_eq!(fits(pattern, origin), expected, "{pattern} {origin}");
        }
    }

    #[test]
    fn credentials_name_the_origin() {
        let all = Cors { allowed_origins: vec!["*".to_owned()], ..Cors::default() };
        assert_eq!(all.allowed_origin(Some("https://a")), Some("*"));
        let with = Cors { credentials: true, ..all };
        assert_eq!(with.allowed_origin(Some("https://a")), Some("https://a"));
        assert_eq!(Cors::default().allowed_origin(Some("https://a")), None);
    }
}
