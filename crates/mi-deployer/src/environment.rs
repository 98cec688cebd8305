//! What placeholders stand for: environment variables, system properties of the command line,
//! `file.properties`, secrets in files, and the values of `config/property` artifacts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mi_config::Placeholders;
use mi_config::properties::Properties;

use crate::home::Home;

/// A file of secrets or properties is not longer than this.
const MAX_FILE: u64 = 4 << 20;

/// Values from outside of the configuration. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    shared: Arc<Shared>,
    configs: Arc<BTreeMap<String, String>>,
}

#[derive(Debug, Default)]
struct Shared {
    variables: BTreeMap<String, String>,
    system: BTreeMap<String, String>,
    file: Properties,
    secrets: Vec<PathBuf>,
}

impl Environment {
    /// Takes what is given, and reads `file.properties` of the home, or the file that the system property
    /// `properties.file.path` names. A file that cannot be read counts as empty, as in MI.
    pub fn new(home: &Home, variables: BTreeMap<String, String>, system: BTreeMap<String, String>) -> Self {
        let named = system.get("properties.file.path").filter(|path| !path.is_empty() && *path != "default");
        let path = named.map_or_else(|| home.file_properties.clone(), PathBuf::from);
        let file = read_text(&path).map(|text| Properties::parse(&text)).unwrap_or_default();
        let secrets = system.get("ei.secret.docker.root.dir").map(PathBuf::from).into_iter();
        let secrets = secrets.chain(home.secrets.iter().cloned()).collect();
        Self { shared: Arc::new(Shared { variables, system, file, secrets }), configs: Arc::default() }
    }

    /// The same with the values of `config/property` artifacts.
    pub fn with_configs(&self, configs: BTreeMap<String, String>) -> Self {
        Self { shared: self.shared.clone(), configs: Arc::new(configs) }
    }

    /// Value of a key of a `config/property` artifact: environment, system property, `file.properties`.
    /// MI: `ConfigDeployer#getValueOfKey`.
    pub fn config_value(&self, key: &str) -> Option<String> {
        let shared = &self.shared;
        let found = shared.variables.get(key).or_else(|| shared.system.get(key)).map(String::as_str);
        found.or_else(|| shared.file.get(key)).map(str::to_owned)
    }
}

impl Placeholders for Environment {
    fn environment(&self, name: &str) -> Option<String> {
        self.shared.variables.get(name).cloned()
    }

    fn file_property(&self, key: &str) -> Option<String> {
        self.shared.file.get(key).map(str::to_owned)
    }

    fn config(&self, key: &str) -> Option<String> {
        self.configs.get(key).cloned()
    }

    fn system_property(&self, name: &str) -> Option<String> {
        self.shared.system.get(name).cloned()
    }

    /// A variable of the alias, or of its upper case form with `_` for what no name may hold; else a file.
    fn secret(&self, alias: &str) -> Option<String> {
        let shouted: String =
            alias.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
        let variables = &self.shared.variables;
        if let Some(value) = variables.get(alias).or_else(|| variables.get(&shouted)) {
            return Some(value.clone());
        }
        // An alias is a file name, never a path.
        let is_name = !alias.is_empty() && !alias.starts_with('.') && !alias.contains(['/', '\\', '\0']);
        let mut paths = self.shared.secrets.iter().filter(|_| is_name).map(|folder| folder.join(alias));
        paths.find_map(|path| read_text(&path)).map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
    }
}

fn read_text(path: &Path) -> Option<String> {
    let size = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?.len();
    if size > MAX_FILE {
        log::warn!("{} is larger than {MAX_FILE} bytes and is not read", path.display());
        return None;
    }
    let bytes = std::fs::read(path).ok()?;
    // Java property files are ISO-8859-1 where they are not UTF-8.
    Some(
        String::from_utf8(bytes)
            .unwrap_or_else(|error| error.as_bytes().iter().map(|byte| char::from(*byte)).collect()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::TempDir;

    #[test]
    fn values_come_from_variables_flags_and_files() {
        let dir = TempDir::new();
        dir.write("conf/file.properties", "a=file\nb=file\nc=file");
        dir.write("secrets/db", "s3cret\n");
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let env =
            Environment::new(&Home::locate(dir.path()), map(&[("a", "env"), ("API_KEY", "k")]), map(&[("b", "flag")]));
        let values: Vec<_> = ["a", "b", "c", "d"].iter().map(|key| env.config_value(key)).collect();
        assert_eq!(values, [Some("env".to_owned()), Some("flag".to_owned()), Some("file".to_owned()), None]);
        assert_eq!(env.secret("db").as_deref(), Some("s3cret"));
        assert_eq!(env.secret("api.key").as_deref(), Some("k"));
        assert_eq!(env.secret("../conf/file.properties"), None);
        assert_eq!(env.config("x"), None);
        assert_eq!(env.with_configs(map(&[("x", "1")])).config("x").as_deref(), Some("1"));
    }
}
