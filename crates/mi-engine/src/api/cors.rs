//! Cross-origin answers of APIs. MI: `CORSHelper`, `SynapseCORSConfiguration`.

use mi_message::{Headers, Properties};

/// Settings of the CORS handler.
#[derive(Clone, Debug)]
pub struct Cors {
    /// On by default, and without origins, so that a preflight is refused until origins are named.
    pub enabled: bool,
    /// Origins allowed; `*` stands for all.
    pub allowed_origins: Vec<String>,
    /// `Access-Control-Allow-Headers`.
    pub allowed_headers: String,
}

impl Default for Cors {
    fn default() -> Self {
        Self { enabled: true, allowed_origins: Vec::new(), allowed_headers: String::new() }
    }
}

const METHODS: &str = "Access-Control-Allow-Methods";
const ORIGIN: &str = "Access-Control-Allow-Origin";
const HEADERS: &str = "Access-Control-Allow-Headers";

impl Cors {
    /// The value of `Access-Control-Allow-Origin` for a request; empty when the origin is not allowed.
    pub fn allowed_origin<'a>(&'a self, origin: Option<&'a str>) -> &'a str {
        if self.allowed_origins.iter().any(|allowed| allowed == "*") {
            return "*";
        }
        match origin {
            Some(origin) if self.allowed_origins.iter().any(|allowed| allowed == origin) => origin,
            _ => "",
        }
    }

    /// Puts the header fields of a preflight answer; false when the origin is refused.
    pub(crate) fn answer_preflight(&self, headers: &mut Headers, methods: &str) -> bool {
        if !self.enabled {
            return true;
        }
        let origin = self.allowed_origin(headers.get("Origin")).to_owned();
        headers.set(METHODS, methods);
        headers.set(ORIGIN, origin.as_str());
        headers.set(HEADERS, self.allowed_headers.as_str());
        !origin.is_empty()
    }

    /// Keeps what the answer to an actual request will carry.
    pub(crate) fn remember(&self, headers: &Headers, properties: &mut Properties, methods: &str) {
        if !self.enabled {
            return;
        }
        // Without a configured origin nothing can be granted, so nothing needs to be kept.
        if self.allowed_origins.is_empty() && self.allowed_headers.is_empty() && !headers.contains("Origin") {
            return;
        }
        let origin = self.allowed_origin(headers.get("Origin")).to_owned();
        properties.set(METHODS, methods);
        properties.set(ORIGIN, origin);
        properties.set(HEADERS, self.allowed_headers.as_str());
        if let Some(origin) = headers.get("Origin") {
            properties.set("Origin", origin);
        }
    }

    /// Puts what was remembered on an answer that comes through the out sequence.
    pub(crate) fn recall(properties: &Properties, headers: &mut Headers) {
        for name in [METHODS, ORIGIN, HEADERS, "Origin"] {
            if let Some(value) = properties.get_str(name) {
                headers.set(name, value);
            }
        }
    }
}
