//! `GET /NAME?swagger.json` and `?swagger.yaml`: the contract of an API, by its name and not by its context.
//! MI: `PassThroughNHttpGetProcessor`, `SwaggerUtils#getAPISwagger`, `OpenAPIProcessor`.
//!
//! A stored document goes first: the resource that `publishSwagger` names, the one at the usual place of the registry,
//! then the metadata of the API's application. Asked for in its own format it goes out as it is. Without any, a contract is
//! made of what the API says.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{Api, Resource, ResourceMatch};
use crate::reply;
use crate::snapshot::Snapshot;
use crate::transport::HttpReply;

/// The documents that applications bring as metadata, by the names of APIs.
#[derive(Debug, Default)]
pub struct ApiDefinitions(pub BTreeMap<String, Bytes>);

/// A format of contracts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Yaml,
}

impl Format {
    fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/x-yaml",
        }
    }
}

/// The answer to a GET for the contract of an API; `None` for all other requests.
pub(crate) fn answer(snapshot: &Snapshot, target: &str) -> Option<HttpReply> {
    let (path, query) = target.split_once('?')?;
    let format = asked(query)?;
    let api = snapshot.apis.by_name(path.strip_prefix('/')?)?;
    Some(match document(snapshot, api, format) {
        Ok(text) => reply::plain(StatusCode::OK, format.content_type(), text),
        Err(why) => {
            log::error!(target: "SwaggerGenerator", "The contract of the API {} cannot be shown: {why}", api.name);
            HttpReply::new(StatusCode::INTERNAL_SERVER_ERROR)
        }
    })
}

/// `swagger.json` and `swagger.yaml`, alone or before `&` or `=`.
fn asked(query: &str) -> Option<Format> {
    let rest = query.strip_prefix("swagger.")?;
    let (format, rest) = match rest.strip_prefix("json") {
        Some(rest) => (Format::Json, rest),
        None => (Format::Yaml, rest.strip_prefix("yaml")?),
    };
    (rest.is_empty() || rest.starts_with(['&', '='])).then_some(format)
}

fn document(snapshot: &Snapshot, api: &Api, wanted: Format) -> Result<Bytes, String> {
    let Some(stored) = stored(snapshot, api) else {
        return write(&generated(snapshot, api), wanted);
    };
    let json = serde_json::from_slice::<Value>(&stored).ok().filter(Value::is_object);
    match (json, wanted) {
        (Some(_), Format::Json) | (None, Format::Yaml) => Ok(stored),
        (Some(value), Format::Yaml) => write(&value, wanted),
        (None, Format::Json) => {
            let value: Value = serde_yaml_ng::from_slice(&stored).map_err(|error| format!("no YAML: {error}"))?;
            write(&value, wanted)
        }
    }
}

fn write(value: &Value, format: Format) -> Result<Bytes, String> {
    let text = match format {
        Format::Json => serde_json::to_string_pretty(value).map_err(|error| error.to_string())?,
        Format::Yaml => serde_yaml_ng::to_string(&plain(value)).map_err(|error| error.to_string())?,
    };
    Ok(text.into())
}

/// The same in YAML's own terms: numbers of JSON keep their digits, which YAML would show as a structure.
fn plain(value: &Value) -> serde_yaml_ng::Value {
    use serde_yaml_ng::Value as Yaml;
    match value {
        Value::Null => Yaml::Null,
        Value::Bool(it) => Yaml::Bool(*it),
        Value::Number(it) => match (it.as_i64(), it.as_u64(), it.as_f64()) {
            (Some(number), ..) => Yaml::Number(number.into()),
            (_, Some(number), _) => Yaml::Number(number.into()),
            (.., Some(number)) => Yaml::Number(number.into()),
            _ => Yaml::String(it.to_string()),
        },
        Value::String(it) => Yaml::String(it.clone()),
        Value::Array(items) => Yaml::Sequence(items.iter().map(plain).collect()),
        Value::Object(members) => {
            Yaml::Mapping(members.iter().map(|(name, value)| (Yaml::String(name.clone()), plain(value))).collect())
        }
    }
}

/// MI: `SwaggerUtils#retrieveAPISwaggerFromRegistry`, `#retrieveSwaggerSynapseConfiguration`.
fn stored(snapshot: &Snapshot, api: &Api) -> Option<Bytes> {
    let key = match &api.publish_swagger {
        Some(path) => path.clone(),
        None => format!("conf:integrator/applicationdata/{}/swagger.json", api.name),
    };
    let found = snapshot.services.registry.content(&key).filter(|bytes| !bytes.is_empty());
    found.or_else(|| snapshot.shared.get::<ApiDefinitions>()?.0.get(&*api.name).cloned())
}

/// MI: `OpenAPIProcessor#getOpenAPISpecification`.
fn generated(snapshot: &Snapshot, api: &Api) -> Value {
    // MI: `API#getAPIName`, without the version.
    let name = api.name.strip_suffix(&format!(":v{}", api.version)).unwrap_or(&api.name);
    let description = api.description.clone().unwrap_or_else(|| format!("API Definition of {name}"));
    let version = if api.version.is_empty() { "1.0.0" } else { &*api.version };
    let settings = &snapshot.settings;
    let server =
        |scheme: &str, port: u16| json!({"url": format!("{scheme}://{}:{port}{}", settings.hostname, api.context)});
    let mut paths: Map<String, Value> = Map::new();
    for resource in &api.resources {
        let (path, _) = parts(resource);
        let item = paths.entry(path).or_insert_with(|| json!({}));
        for method in &resource.methods {
            item[method.to_lowercase()] = operation(resource, method);
        }
    }
    json!({
        "openapi": "3.0.1",
        "info": {"title": name, "description": description, "version": version},
        "servers": [server("http", settings.http_port), server("https", settings.https_port)],
        "paths": paths,
    })
}

/// Path and query of a resource's rule.
fn parts(resource: &Resource) -> (String, &str) {
    let text = match &resource.matches {
        ResourceMatch::Default => "/",
        ResourceMatch::Mapping(text) => text,
        ResourceMatch::Template(template) => template.source(),
    };
    match text.find('?') {
        Some(at) if at > 0 => (text[..at].to_owned(), &text[at + 1..]),
        _ => (text.to_owned(), ""),
    }
}

fn operation(resource: &Resource, method: &str) -> Value {
    let (path, query) = parts(resource);
    let mut parameters = Vec::new();
    if matches!(resource.matches, ResourceMatch::Template(_)) {
        let names = query.split('&').filter_map(|it| it.split_once('=')).map(|(name, _)| name);
        parameters.extend(names.filter(|name| !name.is_empty()).map(|name| parameter("query", name)));
    }
    parameters.extend(variables(&path).map(|name| parameter("path", name)));
    let mut operation = Map::new();
    if !parameters.is_empty() {
        operation.insert("parameters".to_owned(), parameters.into());
    }
    if matches!(method, "POST" | "PUT" | "PATCH") {
        let schema = json!({"type": "object", "properties": {"payload": {"type": "object"}}});
        let content = json!({"application/json": {"schema": schema}});
        let body = json!({"description": "Sample Payload", "content": content, "required": false});
        operation.insert("requestBody".to_owned(), body);
    }
    operation.insert("responses".to_owned(), json!({"default": {"description": "Default response"}}));
    Value::Object(operation)
}

fn parameter(place: &str, name: &str) -> Value {
    let schema = json!({"type": "string"});
    match place {
        "path" => json!({"name": name, "in": place, "required": true, "schema": schema}),
        _ => json!({"name": name, "in": place, "schema": schema}),
    }
}

/// What stands in braces.
fn variables(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|part| part.split_once('}')).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::build::build;
    use crate::services::{RegistryView, Services};
    use crate::snapshot::Settings;
    use crate::spec::Specs;
    use crate::transport::Payload;

    const PETS: &str = r#"<api xmlns="http://ws.apache.org/ns/synapse" name="Pets" context="/v2" version="1.0.5"
        version-type="url" publishSwagger="/_system/governance/pets.json">
        <resource methods="POST GET" uri-template="/pet/{petId}/image?size={s}"><inSequence/></resource>
        <resource methods="DELETE" uri-template="/pet/{petId}/image"><inSequence/></resource>
        <resource methods="PUT" url-mapping="/pet"><inSequence/></resource>
        <resource methods="GET"><inSequence/></resource></api>"#;

    /// A registry with one resource.
    struct One(&'static str, &'static str);

    impl RegistryView for One {
        fn content(&self, key: &str) -> Option<Bytes> {
            (key == self.0).then(|| Bytes::from_static(self.1.as_bytes()))
        }

        fn media_type(&self, _: &str) -> Option<String> {
            None
        }

        fn property(&self, _: &str, _: &str) -> Option<String> {
            None
        }
    }

    fn deployed(registry: One, definitions: &[(&str, &'static str)]) -> Snapshot {
        let file = mi_config::SourceFile::new("pets.xml", PETS.as_bytes().to_vec());
        let (artifacts, _) = mi_config::parse_artifact(file);
        let services = Services { registry: Arc::new(registry), ..Services::offline(Specs::new(&[])) };
        let mut snapshot = build(&artifacts, Arc::new(services), Settings::default()).snapshot;
        let definitions =
            definitions.iter().map(|(name, text)| ((*name).to_owned(), Bytes::from_static(text.as_bytes())));
        snapshot.shared.insert(ApiDefinitions(definitions.collect()));
        snapshot
    }

    fn get(snapshot: &Snapshot, target: &str) -> Option<(u16, String, String)> {
        let reply = answer(snapshot, target)?;
        let text = match reply.body {
            Payload::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            _ => String::new(),
        };
        Some((reply.status.as_u16(), reply.headers.get("Content-Type").unwrap_or_default().to_owned(), text))
    }

    #[test]
    fn a_contract_is_made_of_the_resources() {
        let snapshot = deployed(One("", ""), &[]);
        let (status, kind, text) = get(&snapshot, "/Pets:v1.0.5?swagger.json").unwrap();
        assert_eq!((status, kind.as_str()), (200, "application/json"));
        let body = json!({
            "description": "Sample Payload",
            "content": {"application/json": {"schema": {"type": "object", "properties": {"payload": {"type": "object"}}}}},
            "required": false,
        });
        let responses = json!({"default": {"description": "Default response"}});
        let path = json!({"name": "petId", "in": "path", "required": true, "schema": {"type": "string"}});
        let query = json!({"name": "size", "in": "query", "schema": {"type": "string"}});
        let expected = json!({
            "openapi": "3.0.1",
            "info": {"title": "Pets", "description": "API Definition of Pets", "version": "1.0.5"},
            "servers": [{"url": "http://localhost:8290/v2/1.0.5"}, {"url": "https://localhost:8253/v2/1.0.5"}],
            "paths": {
                "/pet/{petId}/image": {
                    "post": {"parameters": [query, path], "requestBody": body, "responses": responses},
                    "get": {"parameters": [query, path], "responses": responses},
                    "delete": {"parameters": [path], "responses": responses},
                },
                "/pet": {"put": {"requestBody": body, "responses": responses}},
                "/": {"get": {"responses": responses}},
            },
        });
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
        let (_, kind, text) = get(&snapshot, "/Pets:v1.0.5?swagger.yaml&x").unwrap();
        assert_eq!(kind, "application/x-yaml");
        assert!(text.starts_with("openapi: 3.0.1\ninfo:\n  title: Pets\n"), "{text}");
        assert_eq!(serde_yaml_ng::from_str::<Value>(&text).unwrap(), expected);
    }

    #[test]
    fn versions_of_an_api_stand_side_by_side() {
        let version = |version: &str| {
            let text = PETS.replace("1.0.5", version);
            mi_config::parse_artifact(mi_config::SourceFile::new("pets.xml", text.into_bytes())).0
        };
        let artifacts = [version("1"), version("2"), version("2")].concat();
        let services = Arc::new(Services::offline(Specs::new(&[])));
        let built = build(&artifacts, services, Settings::default());
        let names: Vec<&str> = built.snapshot.apis.iter().map(|api| &*api.name).collect();
        assert_eq!((names, built.failed.len()), (vec!["Pets:v1", "Pets:v2"], 1));
    }

    #[test]
    fn only_the_name_of_an_api_and_the_whole_word_ask_for_it() {
        let snapshot = deployed(One("", ""), &[]);
        for target in
            ["/v2/1.0.5?swagger.json", "/Pets:v1.0.5?swagger.jsonx", "/Pets:v1.0.5", "/Pets:v1.0.5?a&swagger.json"]
        {
            assert_eq!(get(&snapshot, target), None, "{target}");
        }
        for target in ["/Pets:v1.0.5?swagger.json=", "/Pets:v1.0.5?swagger.yaml=1"] {
            assert!(get(&snapshot, target).is_some(), "{target}");
        }
    }

    #[test]
    fn stored_contracts_go_first_and_keep_their_bytes() {
        const JSON: &str = "{ \"swagger\" : \"2.0\", \"n\": 1.50, \"on\": [true, null] }";
        const YAML: &str = "openapi: 3.0.0 # as written\ninfo: {title: Pets}\n";
        let text =
            |snapshot: &Snapshot, format: &str| get(snapshot, &format!("/Pets:v1.0.5?swagger.{format}")).unwrap().2;
        let stored = deployed(One("/_system/governance/pets.json", JSON), &[("Pets:v1.0.5", YAML)]);
        assert_eq!(text(&stored, "json"), JSON);
        assert_eq!(text(&stored, "yaml"), "swagger: '2.0'\nn: 1.5\non:\n- true\n- null\n");
        let metadata = deployed(One("", ""), &[("Pets:v1.0.5", YAML)]);
        assert_eq!(text(&metadata, "yaml"), YAML);
        assert_eq!(
            text(&metadata, "json"),
            "{\n  \"openapi\": \"3.0.0\",\n  \"info\": {\n    \"title\": \"Pets\"\n  }\n}"
        );
        let broken = deployed(One("", ""), &[("Pets:v1.0.5", "a: [")]);
        assert_eq!(get(&broken, "/Pets:v1.0.5?swagger.json").unwrap().0, 500);
    }
}
