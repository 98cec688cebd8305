//! What surrounds a file when its strings are read: values of placeholders and, for a versioned
//! application, the prefix of its names.
//!
//! `$SYSTEM:VAR`, `$FILE:key` and `${configs.key}` stand at the start of an attribute or a parameter.
//! MI: `commons.resolvers.ResolverFactory`. `$env{}`, `$secret{}` and the like belong to `deployment.toml`
//! and are resolved in [`crate::deployment`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Separates group, artifact, version and name in the full name of a versioned artifact.
pub const DOUBLE_UNDERSCORE: &str = "__";

/// Where the values of placeholders come from.
pub trait Placeholders: Send + Sync {
    /// Value of an environment variable (`$SYSTEM:name`).
    fn environment(&self, name: &str) -> Option<String>;
    /// Value of a key of `file.properties` (`$FILE:key`).
    fn file_property(&self, key: &str) -> Option<String>;
    /// Value of a `config/property` artifact (`${configs.key}`).
    fn config(&self, key: &str) -> Option<String>;
    /// Value of a system property (`-Dname=value`), for `{system.prop.name}` in endpoint templates.
    fn system_property(&self, name: &str) -> Option<String>;
    /// A secret of an alias that is kept outside of the configuration, such as a mounted file.
    fn secret(&self, alias: &str) -> Option<String> {
        let _ = alias;
        None
    }
}

/// No placeholder has a value.
#[derive(Copy, Clone, Debug, Default)]
pub struct NoPlaceholders;

impl Placeholders for NoPlaceholders {
    fn environment(&self, _: &str) -> Option<String> {
        None
    }
    fn file_property(&self, _: &str) -> Option<String> {
        None
    }
    fn config(&self, _: &str) -> Option<String> {
        None
    }
    fn system_property(&self, _: &str) -> Option<String> {
        None
    }
}

/// The application of a CAR whose descriptor asks for versioned deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionedApplication {
    /// `group__artifact__version`.
    pub identifier: String,
    /// `group__artifact` of a dependency to its version.
    pub dependencies: BTreeMap<String, String>,
    /// Proxies and APIs carry the identifier too (`expose.versioned.services`).
    pub expose_services: bool,
}

/// Surroundings of a file; shared by all elements that are read from it.
#[derive(Clone)]
pub struct Scope {
    placeholders: Arc<dyn Placeholders>,
    application: Option<VersionedApplication>,
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("application", &self.application).finish_non_exhaustive()
    }
}

impl Scope {
    /// A scope with these placeholder values and no versioned application.
    pub fn new(placeholders: Arc<dyn Placeholders>) -> Arc<Self> {
        Arc::new(Self { placeholders, application: None })
    }

    /// A scope in which no placeholder has a value.
    pub fn plain() -> Arc<Self> {
        Self::new(Arc::new(NoPlaceholders))
    }

    /// This scope inside of `application`.
    pub fn versioned(&self, application: VersionedApplication) -> Arc<Self> {
        Arc::new(Self { placeholders: self.placeholders.clone(), application: Some(application) })
    }

    /// The values of placeholders.
    pub fn placeholders(&self) -> &dyn Placeholders {
        &*self.placeholders
    }

    /// The versioned application that the file is part of.
    pub fn application(&self) -> Option<&VersionedApplication> {
        self.application.as_ref()
    }

    /// Replaces the placeholder that `text` begins with; other texts come back as they are.
    ///
    /// # Errors
    /// The variable has no value; the message names it.
    pub fn resolve(&self, text: &str) -> Result<String, String> {
        if let Some(rest) = text.strip_prefix("$SYSTEM:") {
            let (key, tail) = split_key(rest, false);
            return finish(text, key, tail, self.placeholders.environment(key), "Environment variable");
        }
        if let Some(rest) = text.strip_prefix("$FILE:") {
            let (key, tail) = split_key(rest, true);
            return finish(text, key, tail, self.placeholders.file_property(key), "File parameter key");
        }
        if let Some((key, tail)) = text.strip_prefix("${configs.").and_then(|rest| rest.split_once('}')) {
            return finish(text, key, tail, self.placeholders.config(key), "Parameter key");
        }
        Ok(text.to_owned())
    }

    /// Full name of an artifact, also for a reference to one. MI: `FactoryUtils#getFullyQualifiedName`.
    ///
    /// # Errors
    /// `group__artifact__name` names a dependency that the descriptor does not list.
    pub fn qualify(&self, name: &str) -> Result<String, String> {
        let Some(application) = &self.application else { return Ok(name.to_owned()) };
        // Registry keys and expressions are no names of artifacts. MI prefixes them and then finds nothing.
        if name.contains(':') || name.starts_with(['{', '$']) {
            return Ok(name.to_owned());
        }
        if !name.contains(DOUBLE_UNDERSCORE) {
            return Ok(format!("{}{DOUBLE_UNDERSCORE}{name}", application.identifier));
        }
        let parts: Vec<&str> = name.split(DOUBLE_UNDERSCORE).collect();
        let [group, artifact, local, ..] = parts[..] else {
            return Err(format!("Invalid artifact reference name : {name}"));
        };
        let dependency = format!("{group}{DOUBLE_UNDERSCORE}{artifact}");
        let version = application.version_of(&dependency)?;
        Ok(format!("{dependency}{DOUBLE_UNDERSCORE}{version}{DOUBLE_UNDERSCORE}{local}"))
    }

    /// Name of a proxy or a data service. MI: `FactoryUtils#getFullyQualifiedNameForServices`.
    ///
    /// # Errors
    /// As [`Scope::qualify`].
    pub fn qualify_service(&self, name: &str) -> Result<String, String> {
        let Some(application) = self.application.as_ref().filter(|it| it.expose_services) else {
            return Ok(name.to_owned());
        };
        let Some((group, rest)) = name.split_once(DOUBLE_UNDERSCORE) else {
            return Ok(format!("{}/{name}", application.identifier));
        };
        let (artifact, local) = rest.split_once('/').ok_or_else(|| format!("Invalid artifact name : {name}"))?;
        let dependency = format!("{group}{DOUBLE_UNDERSCORE}{artifact}");
        let version = application.version_of(&dependency)?;
        Ok(format!("{dependency}{DOUBLE_UNDERSCORE}{version}/{local}"))
    }

    /// Name and context of an API. MI: `API#setContext`.
    ///
    /// # Errors
    /// As [`Scope::qualify`].
    pub fn qualify_api(&self, name: &str, context: &str) -> Result<(String, String), String> {
        let trimmed = context.trim_end_matches('/');
        match self.application.as_ref().filter(|it| it.expose_services) {
            None => Ok((name.to_owned(), if trimmed.is_empty() { "/" } else { trimmed }.to_owned())),
            Some(application) => {
                let prefix = application.identifier.replace(DOUBLE_UNDERSCORE, "/");
                Ok((self.qualify(name)?, format!("/{prefix}{trimmed}")))
            }
        }
    }

    /// Registry path of a resource of this application. MI: `FactoryUtils#prependArtifactIdentifierToFileName`.
    ///
    /// # Errors
    /// As [`Scope::qualify`].
    pub fn qualify_resource(&self, path: &str) -> Result<String, String> {
        if self.application.is_none() {
            return Ok(path.to_owned());
        }
        let (folder, file) = path.split_at(path.rfind(['/', ':']).map_or(0, |at| at + 1));
        Ok(format!("{folder}{}", self.qualify(file)?))
    }
}

impl VersionedApplication {
    fn version_of(&self, dependency: &str) -> Result<&str, String> {
        self.dependencies
            .get(dependency)
            .map(String::as_str)
            .filter(|version| !version.trim().is_empty())
            .ok_or_else(|| format!("Cannot find the artifact version for : {dependency}"))
    }
}

/// Keys of `$FILE:` may hold dots and dashes (property files have them everywhere); MI stops at the first one.
fn split_key(rest: &str, dotted: bool) -> (&str, &str) {
    let end = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || dotted && (c == '.' || c == '-')))
        .unwrap_or(rest.len());
    rest.split_at(end)
}

/// What follows a placeholder is kept. MI drops it, which no configuration can want.
fn finish(text: &str, key: &str, tail: &str, value: Option<String>, what: &str) -> Result<String, String> {
    if key.is_empty() {
        return Ok(text.to_owned());
    }
    let mut value = value.ok_or_else(|| format!("{what} {key} could not be found"))?;
    value.push_str(tail);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Placeholders for Fixed {
        fn environment(&self, name: &str) -> Option<String> {
            (name == "HOST").then(|| "h1".to_owned())
        }
        fn file_property(&self, key: &str) -> Option<String> {
            (key == "my.key").then(|| "f1".to_owned())
        }
        fn config(&self, key: &str) -> Option<String> {
            (key == "c").then(|| "c1".to_owned())
        }
        fn system_property(&self, _: &str) -> Option<String> {
            None
        }
    }

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let got = Scope::new(Arc::new(Fixed)).resolve(text);
        assert_eq!(got.as_deref().map_err(String::as_str), expected, "{text}");
    }

    #[test]
    fn placeholders_at_the_start_are_replaced() {
        check("$SYSTEM:HOST", Ok("h1"));
        check("$SYSTEM:HOST:5672", Ok("h1:5672"));
        check("$FILE:my.key", Ok("f1"));
        check("${configs.c}", Ok("c1"));
        check("${configs.c}/path", Ok("c1/path"));
        check("http://$SYSTEM:HOST", Ok("http://$SYSTEM:HOST"));
        check("$SYSTEM:", Ok("$SYSTEM:"));
        check("${vars.c}", Ok("${vars.c}"));
        check("$SYSTEM:NONE", Err("Environment variable NONE could not be found"));
        check("${configs.none}", Err("Parameter key none could not be found"));
    }

    #[track_caller]
    fn check_name(got: Result<String, String>, expected: Result<&str, &str>) {
        assert_eq!(got.as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn names_of_a_versioned_application() {
        let application = VersionedApplication {
            identifier: "org.a__pay__1.0.0".to_owned(),
            dependencies: [("org.a__lib".to_owned(), "2.1.0".to_owned())].into(),
            expose_services: true,
        };
        let plain = Scope::plain();
        check_name(plain.qualify("s"), Ok("s"));
        let scope = plain.versioned(application.clone());
        check_name(scope.qualify("s"), Ok("org.a__pay__1.0.0__s"));
        check_name(scope.qualify("conf:/s"), Ok("conf:/s"));
        check_name(scope.qualify_resource("resources:a.js"), Ok("resources:org.a__pay__1.0.0__a.js"));
        check_name(scope.qualify("org.a__lib__s"), Ok("org.a__lib__2.1.0__s"));
        check_name(scope.qualify("org.b__lib__s"), Err("Cannot find the artifact version for : org.b__lib"));
        check_name(scope.qualify("a__b"), Err("Invalid artifact reference name : a__b"));
        check_name(scope.qualify_service("P"), Ok("org.a__pay__1.0.0/P"));
        check_name(scope.qualify_service("org.a__lib/P"), Ok("org.a__lib__2.1.0/P"));
        check_name(
            scope.qualify_resource("gov:mi-resources/js/a.js"),
            Ok("gov:mi-resources/js/org.a__pay__1.0.0__a.js"),
        );
        check_name(scope.qualify_resource("js/org.a__lib__a.js"), Ok("js/org.a__lib__2.1.0__a.js"));
        let xml = "<xslt key='gov:x/a.xsl' other='{$ctx:key}'/>";
        let source = crate::SourceFile::new("x.xml", xml.as_bytes().to_vec()).in_scope(scope);
        let (element, _) = crate::Element::parse(source).unwrap();
        let key = |attr: &str| element.resource_key(attr).unwrap();
        assert_eq!(key("key").unwrap().as_static(), Some("gov:x/org.a__pay__1.0.0__a.xsl"));
        assert!(key("other").unwrap().as_expr().is_some() && key("none").is_none());
        let hidden = plain.versioned(VersionedApplication { expose_services: false, ..application });
        check_name(hidden.qualify_service("P"), Ok("P"));
    }
}
