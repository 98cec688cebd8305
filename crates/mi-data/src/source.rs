//! Data sources: pools with names, out of `deployment.toml`, applications and `conf/datasources`.
//!
//! The settings are those of MI's data sources of the type RDBMS (Tomcat's pool). MI: `RDBMSDataSourceUtils`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use mi_config::deployment::DataSourceConfig;
use mi_config::{Diagnostic, Element, Severity};

use crate::backend::Isolation;
use crate::databases::Databases;
use crate::message_claims;
use crate::pool::{Pool, PoolConfig};
use crate::url::Target;

/// Longest wait for a free connection unless a data source says otherwise, as Tomcat's pool has it.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Namespace of the attribute `secretAlias`.
const SECURE_VAULT: &str = "http://org.wso2.securevault/configuration";

/// The data sources of one deployment.
#[derive(Debug)]
pub struct DataSources {
    databases: Arc<Databases>,
    named: HashMap<String, Result<Arc<Pool>, String>>,
}

impl DataSources {
    /// None yet.
    pub fn new(databases: Arc<Databases>) -> Self {
        Self { databases, named: HashMap::new() }
    }

    /// The pool of a data source, by its name or its JNDI name. The error says why there is none.
    pub fn find(&self, name: &str) -> Result<Arc<Pool>, String> {
        let plain = name.strip_prefix("java:comp/env/").unwrap_or(name);
        match self.named.get(name).or_else(|| self.named.get(plain)) {
            Some(found) => found.clone(),
            None => Err(format!("there is no data source named {name}")),
        }
    }

    /// What this server goes by in databases that it shares with others.
    pub(crate) fn server(&self) -> String {
        message_claims::this_server(self.databases.home())
    }

    /// The pool with these settings.
    pub fn pool(&self, config: PoolConfig) -> Arc<Pool> {
        self.databases.pool(config)
    }

    /// Adds a `[[datasource]]`. Of two with one name the first wins.
    pub fn add_configured(&mut self, config: &DataSourceConfig) -> Option<Diagnostic> {
        let mut settings = config.pool.clone();
        let texts = [
            ("url", Some(&config.url)),
            ("username", config.username.as_ref()),
            ("password", config.password.as_ref()),
            ("driverClassName", config.driver.as_ref()),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                settings.insert(name.to_owned(), text.clone());
            }
        }
        let pool = read(&settings).map(|config| self.databases.pool(config));
        let diagnostic = pool.as_ref().err().map(|why| {
            let text = format!("the data source '{}' cannot be used: {why}", config.id);
            Diagnostic::of_file(Severity::Warning, "deployment.toml", text)
        });
        let jndi = format!("jdbc/{}", config.id);
        self.add([config.id.clone(), jndi], pool);
        diagnostic
    }

    /// Adds a `<datasource>`. What is wrong with it is a warning, as the rest of its application can run.
    pub fn add_artifact(&mut self, element: &Element) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        let text = |element: &Element, name: &str| element.child(name).map(|it| it.text().trim().to_owned());
        let name = text(element, "name").unwrap_or_default();
        let jndi = element.child("jndiConfig").and_then(|it| text(&it, "name")).unwrap_or_else(|| name.clone());
        let definition = element.child("definition");
        let kind = definition.as_ref().and_then(|it| it.attr("type").map(|kind| kind.into_owned()));
        let pool = match (definition.and_then(|it| it.child("configuration")), kind.as_deref()) {
            (Some(configuration), Some("RDBMS")) => match settings(&configuration, &mut found) {
                Ok(settings) => read(&settings).map(|config| self.databases.pool(config)),
                Err(why) => Err(why),
            },
            (_, Some("RDBMS") | None) => Err("it has no <definition type=\"RDBMS\"> with a <configuration>".to_owned()),
            (_, Some(other)) => Err(format!("data sources of the type {other} cannot be used")),
        };
        if let Err(why) = &pool {
            let text = format!("the data source '{name}' cannot be used: {why}");
            found.push(element.warning(text).hint("whoever uses it gets a fault"));
        }
        self.add([name, jndi], pool);
        found
    }

    #[cfg(test)]
    pub(crate) fn add_pool(&mut self, id: &str, pool: Arc<Pool>) {
        self.add([id.to_owned(), format!("jdbc/{id}")], Ok(pool));
    }

    fn add(&mut self, names: [String; 2], pool: Result<Arc<Pool>, String>) {
        for name in names {
            self.named.entry(name).or_insert_with(|| pool.clone());
        }
    }
}

/// The settings of a `<configuration>`, placeholders and secrets replaced.
fn settings(configuration: &Element, found: &mut Vec<Diagnostic>) -> Result<BTreeMap<String, String>, String> {
    let mut settings = BTreeMap::new();
    for child in configuration.children() {
        if child.name() == "dataSourceProps" {
            for property in child.children_named("property") {
                let Some(name) = property.attr("name") else { continue };
                settings.entry(name.into_owned()).or_insert(value(&property)?);
            }
            continue;
        }
        settings.insert(child.name().to_owned(), value(&child)?);
    }
    for name in settings.keys().filter(|name| !is_known(name)) {
        found.push(configuration.warning(format!("the setting '{name}' of a data source has no effect")));
    }
    Ok(settings)
}

fn value(element: &Element) -> Result<String, String> {
    let placeholders = element.scope().placeholders();
    let secret = |alias: &str| placeholders.secret(alias).ok_or_else(|| format!("the secret {alias} has no value"));
    if let Some(alias) = element.document().attribute(element.node(), SECURE_VAULT, "secretAlias") {
        return secret(&alias);
    }
    let text = element.text().trim().to_owned();
    let inside = |kind: &str| text.strip_prefix(kind)?.strip_suffix('}');
    if let Some(alias) = inside("$secret{") {
        return secret(alias);
    }
    if let Some(name) = inside("$env{") {
        return placeholders.environment(name).ok_or_else(|| format!("the environment variable {name} is not set"));
    }
    element.scope().resolve(&text)
}

/// Settings that are read, and those that need not be: connections are opened, tried and closed in another way here.
fn is_known(name: &str) -> bool {
    const KNOWN: [&str; 43] = [
        "url",
        "URL",
        "jdbcUrl",
        "username",
        "user",
        "userName",
        "password",
        "driverClassName",
        "dataSourceClassName",
        "serverName",
        "portNumber",
        "port",
        "databaseName",
        "maxActive",
        "maxTotal",
        "maxIdle",
        "minIdle",
        "initialSize",
        "maxWait",
        "maxWaitMillis",
        "defaultAutoCommit",
        "defaultTransactionIsolation",
        "testOnBorrow",
        "testOnReturn",
        "testWhileIdle",
        "testOnConnect",
        "validationQuery",
        "validationInterval",
        "validationQueryTimeout",
        "validatorClassName",
        "timeBetweenEvictionRunsMillis",
        "minEvictableIdleTimeMillis",
        "numTestsPerEvictionRun",
        "removeAbandoned",
        "removeAbandonedTimeout",
        "logAbandoned",
        "suspectTimeout",
        "jmxEnabled",
        "fairQueue",
        "useEquals",
        "jdbcInterceptors",
        "accessToUnderlyingConnectionAllowed",
        "logValidationErrors",
    ];
    KNOWN.contains(&name)
}

/// The pool that settings describe.
fn read(settings: &BTreeMap<String, String>) -> Result<PoolConfig, String> {
    let text = |names: &[&str]| names.iter().find_map(|name| settings.get(*name)).filter(|it| !it.is_empty());
    let number = |names: &[&str]| -> Result<Option<i64>, String> {
        let Some(text) = text(names) else { return Ok(None) };
        text.trim().parse().map(Some).map_err(|_| format!("{} must be a whole number, not '{text}'", names[0]))
    };
    let is_true = |name: &str| settings.get(name).is_some_and(|it| it.eq_ignore_ascii_case("true"));
    let url = match text(&["url", "URL", "jdbcUrl"]) {
        Some(url) => url.clone(),
        None => url_of_parts(settings)?,
    };
    let max_active = number(&["maxActive", "maxTotal"])?.unwrap_or(100);
    let max_wait = number(&["maxWait", "maxWaitMillis"])?;
    let size = |count: i64| usize::try_from(count).ok().filter(|it| *it > 0).unwrap_or(100);
    Ok(PoolConfig {
        user: text(&["username", "user", "userName"]).cloned(),
        password: text(&["password"]).cloned(),
        max_active: size(max_active),
        max_idle: size(number(&["maxIdle"])?.unwrap_or(max_active)),
        max_wait: match max_wait {
            None => Some(MAX_WAIT),
            Some(millis) => u64::try_from(millis).ok().filter(|it| *it > 0).map(Duration::from_millis),
        },
        auto_commit: settings.get("defaultAutoCommit").is_none_or(|it| it.eq_ignore_ascii_case("true")),
        isolation: text(&["defaultTransactionIsolation"]).and_then(|it| Isolation::find(it)),
        validation_query: text(&["validationQuery"]).filter(|_| is_true("testOnBorrow")).map(|it| it.as_str().into()),
        validation_interval: Duration::from_millis(
            number(&["validationInterval"])?.map_or(3000, |it| it.max(0) as u64),
        ),
        distributed: settings.contains_key("dataSourceClassName"),
        ..PoolConfig::new(Target::parse(&url)?)
    })
}

/// Classes of data sources take host, port and database each by itself.
fn url_of_parts(settings: &BTreeMap<String, String>) -> Result<String, String> {
    let class = settings.get("dataSourceClassName").map_or("", String::as_str).to_ascii_lowercase();
    let kind = ["postgresql", "mysql", "mariadb"].into_iter().find(|kind| class.contains(kind));
    let (Some(kind), Some(database)) = (kind, settings.get("databaseName")) else {
        return Err("it has no url".to_owned());
    };
    let host = settings.get("serverName").map_or("localhost", String::as_str);
    let port = settings.get("portNumber").or_else(|| settings.get("port"));
    let port = port.map_or(String::new(), |port| format!(":{port}"));
    Ok(format!("jdbc:{kind}://{host}{port}/{database}"))
}

#[cfg(test)]
mod tests {
    use mi_config::SourceFile;

    use super::*;

    fn read_source(configuration: &str) -> (DataSources, Vec<String>) {
        let xml = format!(
            "<datasource><name>a</name><jndiConfig><name>jdbc/A</name></jndiConfig>\
             <definition type='RDBMS'><configuration>{configuration}</configuration></definition></datasource>"
        );
        let (element, _) = Element::parse(SourceFile::new("a.xml", xml.into_bytes())).unwrap();
        let mut sources = DataSources::new(Arc::new(Databases::new("/")));
        let found = sources.add_artifact(&element).iter().map(ToString::to_string).collect();
        (sources, found)
    }

    #[test]
    fn settings_of_a_pool() {
        let (sources, found) = read_source(
            "<url>jdbc:mysql://db/x</url><username>u</username><password>p</password><maxActive>5</maxActive>\
             <maxWait>100</maxWait><defaultAutoCommit>false</defaultAutoCommit><testOnBorrow>true</testOnBorrow>\
             <validationQuery>SELECT 1</validationQuery><defaultTransactionIsolation>SERIALIZABLE</defaultTransactionIsolation>",
        );
        assert!(found.is_empty(), "{found:?}");
        let pool = sources.find("jdbc/A").unwrap();
        assert!(Arc::ptr_eq(&pool, &sources.find("a").unwrap()));
        let config = pool.config();
        assert_eq!((config.max_active, config.max_idle, config.auto_commit), (5, 5, false));
        assert_eq!(
            (config.max_wait, config.isolation),
            (Some(Duration::from_millis(100)), Some(Isolation::Serializable))
        );
        assert_eq!((config.user.as_deref(), config.validation_query.as_deref()), (Some("u"), Some("SELECT 1")));
        assert!(!format!("{config:?}").contains("\"p\""));
        assert_eq!(sources.find("b").unwrap_err(), "there is no data source named b");
    }

    #[test]
    fn classes_of_data_sources() {
        let (sources, found) = read_source(
            "<dataSourceClassName>org.postgresql.xa.PGXADataSource</dataSourceClassName><dataSourceProps>\
             <property name='serverName'>db</property><property name='portNumber'>15432</property>\
             <property name='databaseName'>x</property><property name='user'>u</property></dataSourceProps>",
        );
        assert!(found.is_empty(), "{found:?}");
        let pool = sources.find("a").unwrap();
        assert!(pool.config().distributed);
        assert_eq!(format!("{:?}", pool.config().target), "postgresql://db:15432/x");
    }

    #[test]
    fn what_is_wrong_is_said_at_deployment_and_when_used() {
        for (configuration, expected) in [
            ("<url>jdbc:oracle:thin:@db</url>", "kind 'oracle' cannot be used"),
            ("<maxActive>5</maxActive>", "it has no url"),
            ("<url>jdbc:sqlite:a</url><maxActive>many</maxActive>", "maxActive must be a whole number, not 'many'"),
        ] {
            let (sources, found) = read_source(configuration);
            assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
            assert!(sources.find("a").unwrap_err().contains(expected));
        }
        for (password, expected) in [
            ("<password>$secret{db}</password>", "the secret db has no value"),
            ("<password>$env{DB}</password>", "the environment variable DB is not set"),
            (
                "<password xmlns:s='http://org.wso2.securevault/configuration' s:secretAlias='db'>x</password>",
                "the secret db has no value",
            ),
        ] {
            let (_, found) = read_source(&format!("<url>jdbc:sqlite:a</url>{password}"));
            assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
        }
        let (_, found) = read_source("<url>jdbc:sqlite:a</url><maxActve>5</maxActve>");
        assert!(found.len() == 1 && found[0].contains("'maxActve' of a data source has no effect"), "{found:?}");
    }
}
