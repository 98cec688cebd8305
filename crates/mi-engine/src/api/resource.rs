//! A resource of an API: does it take a request, and which of several does? MI: `Resource`, `api.dispatch`.

use std::sync::Arc;

use mi_config::ResourceConfig;
use mi_config::api::{Protocol, ResourceMatch as ConfigMatch};
use mi_config::uri_template::{UriTemplate, Variables};
use mi_message::Message;

use super::table::is_bound;
use crate::context::{ArtifactInfo, SequenceTarget};

/// How a resource is chosen by path.
#[derive(Debug)]
pub enum ResourceMatch {
    /// What nothing else takes.
    Default,
    /// `url-mapping`: exact, `/x/*` or `*.ext`.
    Mapping(String),
    /// `uri-template`.
    Template(UriTemplate),
}

/// A resource.
#[derive(Debug)]
pub struct Resource {
    /// Methods; empty is all.
    pub methods: Vec<String>,
    /// Path rule.
    pub matches: ResourceMatch,
    /// What runs on a request.
    pub in_sequence: Option<SequenceTarget>,
    /// Prefix, out and fault sequence of flows of this resource.
    pub info: Arc<ArtifactInfo>,
    /// What OPTIONS answers list.
    pub allow: Arc<str>,
    protocol: Option<Protocol>,
    content_type: Option<String>,
    user_agent: Option<regex::Regex>,
    binds_to: Vec<String>,
}

/// MI: `RESTConstants.REST_ALL_SUPPORTED_METHODS`.
const ALL_METHODS: &str = "GET, POST, PUT, DELETE, PATCH, HEAD";

/// The outcome of looking for a resource.
#[derive(Debug)]
pub enum Found<'a> {
    /// This one, with the variables of its template.
    Resource(&'a Resource, Variables),
    /// 404.
    NotFound,
    /// 405.
    MethodNotAllowed,
    /// 400: the path and method fit, something else does not.
    BadRequest,
}

impl Resource {
    pub(crate) fn new(config: &ResourceConfig, in_sequence: Option<SequenceTarget>, info: Arc<ArtifactInfo>) -> Self {
        let listed: Vec<&str> =
            config.methods.iter().map(String::as_str).filter(|method| *method != "OPTIONS").collect();
        let allow = if config.methods.is_empty() { ALL_METHODS.to_owned() } else { listed.join(", ") };
        Self {
            methods: config.methods.clone(),
            matches: match &config.matches {
                ConfigMatch::Default => ResourceMatch::Default,
                ConfigMatch::UrlMapping(mapping) => ResourceMatch::Mapping(mapping.clone()),
                ConfigMatch::UriTemplate(template) => ResourceMatch::Template(template.clone()),
            },
            in_sequence,
            info,
            allow: allow.into(),
            protocol: config.protocol,
            content_type: config.content_type.clone(),
            user_agent: config
                .user_agent
                .as_deref()
                .and_then(|pattern| regex::Regex::new(&format!("^(?:{pattern})$")).ok()),
            binds_to: config.binds_to.clone(),
        }
    }

    /// Without `binds-to` of its own a resource is bound as its API is. MI: `InboundApiUtils#populateBindsTo`.
    pub(crate) fn inherit_bindings(&mut self, of_api: &[String]) {
        if self.binds_to.is_empty() {
            self.binds_to = of_api.to_vec();
        }
    }

    /// The path rule as written; `None` for the default resource.
    pub fn pattern(&self) -> Option<&str> {
        match &self.matches {
            ResourceMatch::Default => None,
            ResourceMatch::Mapping(mapping) => Some(mapping),
            ResourceMatch::Template(template) => Some(template.source()),
        }
    }

    fn takes_method(&self, method: &str) -> bool {
        method == "OPTIONS" || self.methods.is_empty() || self.methods.iter().any(|known| known == method)
    }

    fn takes(&self, method: &str, message: &Message, secure: bool, caller: Option<&str>) -> bool {
        if !is_bound(&self.binds_to, caller)
            || matches!((self.protocol, secure), (Some(Protocol::Http), true) | (Some(Protocol::Https), false))
        {
            return false;
        }
        if method == "OPTIONS" {
            return true;
        }
        if !self.takes_method(method) {
            return false;
        }
        let has_payload = !message.axis2.is_true("NO_ENTITY_BODY");
        if let Some(wanted) = &self.content_type
            && has_payload
            && message.headers.get("Content-Type") != Some(wanted)
        {
            return false;
        }
        self.user_agent
            .as_ref()
            .is_none_or(|pattern| message.headers.get("User-Agent").is_some_and(|agent| pattern.is_match(agent)))
    }

    fn is_options_only(&self) -> bool {
        self.methods.len() == 1 && self.methods[0] == "OPTIONS"
    }
}

/// Chooses the resource for a request. MI: `API#process`, `ApiUtils#getAcceptableResources`.
pub(crate) fn find<'a>(
    resources: &'a [Resource],
    sub_path: &str,
    method: &str,
    message: &Message,
    secure: bool,
    caller: Option<&str>,
) -> Found<'a> {
    let takes = |resource: &&Resource| resource.takes(method, message, secure, caller);
    let options_only = resources.iter().filter(takes).filter(|it| it.is_options_only());
    let others = resources.iter().filter(takes).filter(|it| !it.is_options_only());
    let mut candidates = options_only.chain(others).peekable();
    if candidates.peek().is_some() {
        return dispatch(candidates, sub_path);
    }
    match dispatch(resources.iter(), sub_path) {
        Found::Resource(resource, _) if resource.takes_method(method) => Found::BadRequest,
        Found::Resource(..) => Found::MethodNotAllowed,
        other => other,
    }
}

/// By url-mapping (exact, longest prefix, extension), then uri-template in order, then the default resource.
fn dispatch<'a>(candidates: impl Iterator<Item = &'a Resource>, sub_path: &str) -> Found<'a> {
    let mut prefix: Option<(usize, &Resource)> = None;
    let mut extension = None;
    let mut template: Option<(&Resource, Variables)> = None;
    let mut default = None;
    for resource in candidates {
        match &resource.matches {
            ResourceMatch::Mapping(mapping) if is_exact(mapping, sub_path) => {
                return Found::Resource(resource, Vec::new());
            }
            ResourceMatch::Mapping(mapping) => {
                let length = prefix_length(mapping, sub_path);
                if length > prefix.map_or(0, |(longest, _)| longest) {
                    prefix = Some((length, resource));
                }
                if extension.is_none() && is_extension(mapping, sub_path) {
                    extension = Some(resource);
                }
            }
            ResourceMatch::Template(rule) if template.is_none() => match rule.matches(sub_path) {
                Ok(variables) => template = variables.map(|variables| (resource, variables)),
                Err(_) => return Found::BadRequest,
            },
            ResourceMatch::Template(_) => {}
            ResourceMatch::Default => default = default.or(Some(resource)),
        }
    }
    let mapped = prefix.map(|(_, resource)| resource).or(extension);
    match (mapped, template, default) {
        (Some(resource), _, _) | (None, None, Some(resource)) => Found::Resource(resource, Vec::new()),
        (None, Some((resource, variables)), _) => Found::Resource(resource, variables),
        (None, None, None) => Found::NotFound,
    }
}

/// MI: `URLMappingHelper#isExactMatch`.
fn is_exact(mapping: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    !mapping.ends_with("/*") && !mapping.starts_with("*.") && (mapping == path || mapping == path.trim_end_matches('/'))
}

/// MI: `URLMappingHelper#getPrefixMatchingLength`.
fn prefix_length(mapping: &str, path: &str) -> usize {
    let path = path.split('?').next().unwrap_or_default();
    let Some(prefix) = mapping.strip_suffix("/*") else { return 0 };
    let fits = path == prefix || path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
    if fits { prefix.len() + 1 } else { 0 }
}

/// MI: `URLMappingHelper#isExtensionMatch`.
fn is_extension(mapping: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    mapping.strip_prefix("*.").is_some_and(|extension| {
        path.len() > extension.len() && path.ends_with(extension) && path[..path.len() - extension.len()].ends_with('.')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings() {
        assert!(is_exact("/a", "/a?x=1") && is_exact("/a", "/a/") && !is_exact("/a", "/ab"));
        assert_eq!(prefix_length("/a/*", "/a/b"), 3);
        assert_eq!(prefix_length("/a/*", "/a"), 3);
        assert_eq!(prefix_length("/a/*", "/ab"), 0);
        assert_eq!(prefix_length("/*", "/ab"), 1);
        assert!(is_extension("*.jsp", "/x/y.jsp") && !is_extension("*.jsp", "/yjsp"));
    }
}
