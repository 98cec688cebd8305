//! `<connection><pool>` of the mediators on databases: a data source by name, or a connection of their own.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::snapshot::Snapshot;
use mi_expr::{Expr, Namespaces};
use mi_message::Message;
use tokio::time::Instant;

use crate::backend::Isolation;
use crate::pool::{Pool, PoolConfig};
use crate::source::DataSources;
use crate::url::{Target, masked};

/// Where a mediator has its connections from. MI: `AbstractDBMediatorFactory#buildDataSource`.
#[derive(Debug)]
pub(super) struct ConnectionSource {
    /// As log and faults name it: the name of the data source, or the URL.
    pub(super) name: String,
    origin: Origin,
    pool: OnceLock<Result<Arc<Pool>, String>>,
}

#[derive(Debug)]
enum Origin {
    DataSource,
    Inline(Box<Inline>),
}

/// A connection of the mediator's own; values that are keys of the registry are read by the first message.
#[derive(Debug)]
struct Inline {
    url: Setting,
    user: Setting,
    password: Setting,
    /// Everything but the three above.
    config: PoolConfig,
}

pub(crate) enum Setting {
    Text(String),
    /// A key of the registry or of a local entry.
    Key(String),
    /// `{wso2:vault-lookup('alias')}`
    Vault(Expr),
}

impl std::fmt::Debug for Setting {
    /// Leaves the text out, which may be a password.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Setting")
    }
}

impl ConnectionSource {
    pub(super) fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Self, Diagnostic> {
        let pool = el.child("connection").and_then(|it| it.child("pool"));
        let missing = "The DataSource connection information must be specified for using a custom DataSource \
                       connection pool or for a JNDI lookup";
        let Some(pool) = pool else { return Err(el.error(missing)) };
        if let Some(name) = pool.child("dsName") {
            let name = name.resolve(name.text().trim())?;
            return Ok(Self { name, origin: Origin::DataSource, pool: OnceLock::new() });
        }
        if pool.child("driver").is_none() {
            return Err(el.error(missing));
        }
        let _driver = Setting::parse(&pool, "driver")?;
        let url = Setting::parse(&pool, "url")?;
        let user = Setting::parse(&pool, "user")?;
        let password = Setting::parse(&pool, "password")?;
        let mut target = Target::parse("jdbc:sqlite::memory:").map_err(|why| pool.error(why))?;
        let mut name = "a key of the registry".to_owned();
        if let Setting::Text(url) = &url {
            name = masked(url);
            match Target::parse(url) {
                Ok(parsed) => target = parsed,
                Err(why) => cx.report(pool.warning(why).hint("messages that reach it get a fault")),
            }
        }
        let mut config = PoolConfig::new(target);
        for property in pool.children_named("property") {
            read_property(&property, &mut config, cx)?;
        }
        cx.report_all(pool.unknown_children(&["driver", "url", "user", "password", "property"]));
        let inline = Inline { url, user, password, config };
        Ok(Self { name, origin: Origin::Inline(Box::new(inline)), pool: OnceLock::new() })
    }

    /// The pool, which the first message finds or makes.
    pub(super) fn pool(&self, cx: &Context) -> Result<Arc<Pool>, String> {
        self.pool.get_or_init(|| self.find(cx)).clone()
    }

    fn find(&self, cx: &Context) -> Result<Arc<Pool>, String> {
        let Some(sources) = cx.snapshot.shared.get::<DataSources>() else {
            return Err("the server has no databases".to_owned());
        };
        let Origin::Inline(inline) = &self.origin else {
            let pool = sources.find(&self.name)?;
            log::info!(target: "AbstractDBMediator", "Successfully looked up datasource {}.", self.name);
            return Ok(pool);
        };
        let filled = |text: String| Some(text).filter(|it| !it.is_empty());
        let config = PoolConfig {
            target: Target::parse(&inline.url.value(&cx.snapshot)?)?,
            user: filled(inline.user.value(&cx.snapshot)?),
            password: filled(inline.password.value(&cx.snapshot)?),
            ..inline.config.clone()
        };
        log::info!(target: "AbstractDBMediator", "Successfully created data source for {}.", self.name);
        Ok(sources.pool(config))
    }
}

impl Setting {
    fn parse(pool: &Element, name: &str) -> Result<Self, Diagnostic> {
        let Some(el) = pool.child(name) else {
            return Err(pool.error(format!("Unable to read configuration value for : {name}")));
        };
        if let Some(key) = el.attr("key") {
            return Ok(Self::Key(key.into_owned()));
        }
        Self::of_text(el.resolve(el.text().trim())?, &el)
    }

    /// A text, or an alias of the vault in braces. An error stands at `el`.
    pub(crate) fn of_text(text: String, el: &Element) -> Result<Self, Diagnostic> {
        match text.strip_prefix('{').and_then(|it| it.strip_suffix('}')) {
            Some(expression) if expression.contains("vault-lookup(") => {
                let expr = Expr::parse(expression, &Namespaces::new());
                expr.map(Self::Vault).map_err(|error| el.error(format!("the expression is not valid: {error}")))
            }
            _ => Ok(Self::Text(text)),
        }
    }

    /// The text. The error says what cannot be found.
    pub(crate) fn value(&self, snapshot: &Snapshot) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::Vault(expr) => expr
                .eval_string(&Message::new(), snapshot)
                .map(|text| text.to_string())
                .map_err(|error| error.to_string()),
            Self::Key(key) => {
                let entry = snapshot.local_entries.get(key.as_str()).map(|it| it.value.to_text().into_owned());
                let stored = || snapshot.services.registry.content(key);
                entry
                    .or_else(|| stored().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
                    .map(|text| text.trim().to_owned())
                    .ok_or_else(|| format!("Registry entry defined with key: {key} not found."))
            }
        }
    }
}

/// MI: `AbstractDBMediatorFactory#readPoolProperty`; numbers that are none are left out there too.
fn read_property(el: &Element, config: &mut PoolConfig, cx: &mut BuildCx<'_>) -> Result<(), Diagnostic> {
    let name = el.require_attr("name")?.into_owned();
    let value = el.attr("value").ok_or_else(|| el.error("<property> needs the attribute 'value'"))?.into_owned();
    let number = value.trim().parse::<i64>();
    let no_number = || el.warning(format!("'{value}' of {name} is no whole number and is not used"));
    let size = |count: i64| usize::try_from(count).ok().filter(|it| *it > 0).unwrap_or(usize::MAX >> 4);
    match name.as_str() {
        "autocommit" => config.auto_commit = value != "false",
        "isolation" => config.isolation = Isolation::find(&value),
        "maxactive" | "maxidle" | "maxwait" => match (number, name.as_str()) {
            (Ok(count), "maxactive") => config.max_active = size(count),
            (Ok(count), "maxidle") => config.max_idle = size(count),
            (Ok(millis), _) => {
                config.max_wait = u64::try_from(millis).ok().filter(|it| *it > 0).map(Duration::from_millis);
            }
            (Err(_), _) => cx.report(no_number()),
        },
        "validationquery" => config.validation_query = Some(value.as_str().into()),
        // Connections are opened when they are needed, and what is idle is tried by itself.
        "initialsize" | "minidle" | "maxopenstatements" | "poolstatements" | "testonborrow" | "testonreturn"
        | "testwhileidle" => {}
        other => cx.report(el.warning(format!("the property '{other}' of a connection has no effect"))),
    }
    Ok(())
}

/// Latest moment at which a statement of this flow may still run.
pub(super) fn deadline(cx: &Context) -> Instant {
    let longest = Instant::now() + cx.snapshot.settings.global_timeout;
    cx.deadline.map_or(longest, |deadline| longest.min(deadline.into()))
}
