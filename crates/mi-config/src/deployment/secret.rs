//! `$env{NAME}`, `$sys{name}`, `$secret{alias}` and `$ref{key}` in the values of `deployment.toml`.
//!
//! `[secrets]` holds `alias = "[plain]"` (what MI's cipher tool reads), or a placeholder of its own. An alias
//! that is not there is asked from the outside, which looks at the environment and at secret files. Values
//! that the cipher tool has encrypted cannot be read.

use std::collections::BTreeMap;

use crate::diagnostic::Diagnostics;
use crate::scope::Placeholders;

use super::table::Table;

/// `$ref` may point to a value with a `$ref`; longer chains are cycles.
const MAX_DEPTH: u32 = 8;

/// Values that replace placeholders.
struct Sources<'s> {
    secrets: BTreeMap<String, String>,
    settings: BTreeMap<String, String>,
    outside: &'s dyn Placeholders,
}

pub(super) fn resolve(table: &mut Table, outside: &dyn Placeholders, out: &mut Diagnostics) {
    let sources = Sources { secrets: table.below("secrets").into_iter().collect(), settings: table.flat(), outside };
    table.rewrite(
        &mut |text| if text.contains('$') { sources.replace(text, MAX_DEPTH).map(Some) } else { Ok(None) },
        out,
    );
}

impl Sources<'_> {
    fn replace(&self, text: &str, depth: u32) -> Result<String, String> {
        if depth == 0 {
            return Err("placeholders refer to each other".to_owned());
        }
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            let Some((kind, name, tail)) = split(&rest[at..]) else {
                result.push_str(&rest[..=at]);
                rest = &rest[at + 1..];
                continue;
            };
            result.push_str(&rest[..at]);
            result.push_str(&self.value(kind, name, depth)?);
            rest = tail;
        }
        result.push_str(rest);
        Ok(result)
    }

    fn value(&self, kind: &str, name: &str, depth: u32) -> Result<String, String> {
        let found = match kind {
            "env" => self.outside.environment(name),
            "sys" => self.outside.system_property(name),
            "ref" => match self.settings.get(name).map(String::as_str).or_else(|| default_of(name)) {
                Some(text) => Some(self.replace(text, depth - 1)?),
                None => None,
            },
            _ => return self.secret(name, depth),
        };
        found.ok_or_else(|| match kind {
            "env" => format!("the environment variable {name} is not set"),
            "sys" => format!("the system property {name} is not set"),
            _ => format!("there is no setting {name}"),
        })
    }

    fn secret(&self, alias: &str, depth: u32) -> Result<String, String> {
        let Some(value) = self.secrets.get(alias) else {
            return self.outside.secret(alias).ok_or_else(|| format!("the secret {alias} is not given"));
        };
        if let Some(plain) = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return Ok(plain.to_owned());
        }
        if value.contains('$') {
            return self.replace(value, depth - 1);
        }
        match self.outside.secret(alias) {
            Some(plain) => Ok(plain),
            None => Err(format!(
                "the secret {alias} is encrypted for MI's keystore and cannot be read; give it as an environment variable or a file"
            )),
        }
    }
}

/// Kind and name of a placeholder at the start, and what follows it.
fn split(text: &str) -> Option<(&str, &str, &str)> {
    let rest = text.strip_prefix('$')?;
    let (kind, rest) = rest.split_once('{')?;
    if !matches!(kind, "env" | "sys" | "secret" | "ref") {
        return None;
    }
    let (name, tail) = rest.split_once('}')?;
    Some((kind, name.trim(), tail))
}

/// What `$ref` gives for a setting that the file leaves out.
fn default_of(key: &str) -> Option<&'static str> {
    Some(match key {
        "server.hostname" => "localhost",
        "keystore.primary.file_name" => super::read::KEYSTORE_FILE,
        "truststore.file_name" => super::read::TRUSTSTORE_FILE,
        "keystore.primary.type" | "truststore.type" => "JKS",
        "keystore.primary.password"
        | "keystore.primary.key_password"
        | "keystore.primary.alias"
        | "truststore.password" => "wso2carbon",
        _ => return None,
    })
}
