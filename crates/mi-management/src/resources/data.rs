//! `/data-services` and `/data-sources`. MI: `DataServiceResource`, `DataSourceResource`.

use mi_config::deployment::DataSourceConfig;
use mi_config::misc::NamedConfig;
use mi_config::{Artifact, Element};
use mi_engine::transport::HttpReply;
use serde_json::{Map, Value, json};

use super::proxies::wsdl;
use crate::answer;
use crate::artifacts::{configuration, deployed, without_nulls};
use crate::context::{Deployed, DeployedArtifact, ManagementContext};
use crate::masks::{is_secret, mask};
use crate::request::Request;

pub(super) fn services(cx: &ManagementContext, request: &Request) -> HttpReply {
    let deployed = deployed(cx);
    let all = || {
        deployed.artifacts.iter().filter_map(|it| match &it.artifact {
            Artifact::DataService(config) => Some((config, it)),
            _ => None,
        })
    };
    if let Some(name) = request.query("dataServiceName") {
        return answer::found(
            all().find(|(config, _)| &*config.name == name).map(|(config, it)| service(cx, config, it)),
        );
    }
    let searched = request.searches();
    answer::list(
        all()
            .filter(|(config, _)| searched(&config.name))
            .map(|(config, _)| {
                let (wsdl1, wsdl2) = wsdl(cx, &config.name);
                json!({"name": &*config.name, "wsdl1_1": wsdl1, "wsdl2_0": wsdl2})
            })
            .collect(),
    )
}

fn attr(element: &Element, name: &str) -> Option<String> {
    element.attr(name).map(|value| value.into_owned())
}

fn service(cx: &ManagementContext, config: &NamedConfig, artifact: &DeployedArtifact) -> Value {
    let root = &config.element;
    let (wsdl1, wsdl2) = wsdl(cx, &config.name);
    let query = |element: &Element| {
        let call = element.child("call-query");
        let reference = call.as_ref().and_then(|call| attr(call, "href"));
        let parameters: Vec<Value> = reference
            .as_ref()
            .and_then(|id| root.children_named("query").find(|it| attr(it, "id").as_ref() == Some(id)))
            .map(|query| {
                query
                    .children_named("param")
                    .map(|it| json!({"name": attr(&it, "name"), "sqlType": attr(&it, "sqlType")}))
                    .collect()
            })
            .unwrap_or_default();
        (reference, parameters)
    };
    let queries: Vec<Value> = root
        .children_named("query")
        .map(|it| json!({"id": attr(&it, "id"), "dataSourceId": attr(&it, "useConfig"), "namespace": ""}))
        .collect();
    let operations: Vec<Value> = root
        .children_named("operation")
        .map(|it| {
            let (name, parameters) = query(&it);
            json!({"operationName": attr(&it, "name"), "queryName": name, "queryParams": parameters})
        })
        .collect();
    let resources: Vec<Value> = root
        .children_named("resource")
        .map(|it| {
            let (name, parameters) = query(&it);
            json!({
                "resourcePath": attr(&it, "path"),
                "resourceMethod": attr(&it, "method"),
                "resourceQuery": name,
                "queryParams": parameters,
            })
        })
        .collect();
    let sources: Vec<Value> = root.children_named("config").map(|it| source_of_service(&it)).collect();
    without_nulls(json!({
        "serviceName": &*config.name,
        "serviceDescription": root.child("description").map(|it| it.text().trim().to_owned()),
        "serviceGroupName": attr(root, "serviceGroup").filter(|group| !group.is_empty()).unwrap_or_else(|| config.name.to_string()),
        "wsdl1_1": wsdl1,
        "wsdl2_0": wsdl2,
        "queries": queries,
        "resources": resources,
        "operations": operations,
        "dataSources": sources,
        "configuration": configuration(artifact),
        "swagger_url": cx.base_urls().first().map(|base| {
            format!("{base}/services/{}?swagger.json", config.name)
        }),
    }))
}

fn source_of_service(config: &Element) -> Value {
    let properties: Map<String, Value> = config
        .children_named("property")
        .filter_map(|it| Some((attr(&it, "name")?, it.text().trim().to_owned())))
        .filter(|(name, _)| !is_secret(name))
        .map(|(name, value)| (name, mask(&value).into()))
        .collect();
    let kind = if properties.contains_key("carbon_datasource_name") { "CARBON_DATASOURCE" } else { "RDBMS" };
    json!({"dataSourceId": attr(config, "id"), "dataSourceType": kind, "dataSourceProperties": properties})
}

/// A data source of an application, or of `deployment.toml`.
enum Source<'a> {
    Deployed(&'a NamedConfig),
    Configured(&'a DataSourceConfig),
}

impl Source<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Deployed(config) => &config.name,
            Self::Configured(config) => &config.id,
        }
    }

    fn kind(&self) -> String {
        match self {
            Self::Deployed(config) => config
                .element
                .child("definition")
                .and_then(|it| attr(&it, "type"))
                .unwrap_or_else(|| "RDBMS".to_owned()),
            Self::Configured(_) => "RDBMS".to_owned(),
        }
    }
}

fn all_sources<'a>(cx: &'a ManagementContext, deployed: &'a Deployed) -> impl Iterator<Item = Source<'a>> {
    let artifacts = deployed.artifacts.iter().filter_map(|it| match &it.artifact {
        Artifact::DataSource(config) => Some(Source::Deployed(config)),
        _ => None,
    });
    cx.deployment.datasources.iter().map(Source::Configured).chain(artifacts)
}

pub(super) fn sources(cx: &ManagementContext, request: &Request) -> HttpReply {
    let deployed = deployed(cx);
    if let Some(name) = request.query("name") {
        return match all_sources(cx, &deployed).find(|it| it.name() == name) {
            Some(source) => answer::ok(&whole_source(&source)),
            None => answer::missing(format!("datasource {name} does not exist")),
        };
    }
    let searched = request.searches();
    let list = all_sources(cx, &deployed).filter(|it| searched(it.name()));
    answer::list(list.map(|it| json!({"name": it.name(), "type": it.kind()})).collect())
}

fn whole_source(source: &Source<'_>) -> Value {
    match source {
        Source::Deployed(config) => {
            let definition = config.element.child("definition").and_then(|it| it.child("configuration"));
            let text = |name: &str| definition.as_ref()?.child(name).map(|it| it.text().trim().to_owned());
            without_nulls(json!({
                "name": &*config.name,
                "description": config.element.child("description").map(|it| it.text().trim().to_owned()),
                "type": source.kind(),
                "configuration": definition.as_ref().map(|it| mask(&it.to_xml())),
                "driverClass": text("driverClassName"),
                "url": text("url").map(|url| mask(&url)),
                "userName": text("username"),
                "configurationParameters": pool(|name| text(name)),
            }))
        }
        Source::Configured(config) => without_nulls(json!({
            "name": config.id,
            "type": "RDBMS",
            "driverClass": config.driver,
            "url": mask(&config.url),
            "userName": config.username,
            "configurationParameters": pool(|name| config.pool.get(name).cloned()),
        })),
    }
}

/// Settings of a pool with the types and the defaults that they have in MI (Tomcat's `PoolProperties`).
fn pool(given: impl Fn(&str) -> Option<String>) -> Value {
    let number = |name: &str, default: i64| given(name).and_then(|it| it.trim().parse().ok()).unwrap_or(default);
    let flag = |name: &str| given(name).map(|it| it.trim().eq_ignore_ascii_case("true"));
    without_nulls(json!({
        "isDefaultAutoCommit": flag("defaultAutoCommit"),
        "isDefaultReadOnly": flag("defaultReadOnly"),
        "removeAbandoned": flag("removeAbandoned").unwrap_or(false),
        "validationQuery": given("validationQuery"),
        "validationQueryTimeout": number("validationQueryTimeout", -1),
        "maxActive": number("maxActive", 100),
        "maxIdle": number("maxIdle", 100),
        "maxWait": number("maxWait", 30_000),
        "maxAge": number("maxAge", 0),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_pools_have_types_and_defaults() {
        let given = |name: &str| match name {
            "maxActive" => Some(" 7 ".to_owned()),
            "defaultAutoCommit" => Some("TRUE".to_owned()),
            "maxIdle" => Some("many".to_owned()),
            _ => None,
        };
        let expected = json!({
            "isDefaultAutoCommit": true, "removeAbandoned": false, "validationQueryTimeout": -1, "maxActive": 7,
            "maxIdle": 100, "maxWait": 30000, "maxAge": 0,
        });
        assert_eq!(pool(given), expected);
    }
}
