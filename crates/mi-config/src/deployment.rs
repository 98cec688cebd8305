//! `deployment.toml`: the settings of the server as one typed model, with MI's defaults.
//!
//! What this server has no use for (sizes of thread pools) is accepted without a word if MI knows it. A key that nobody
//! knows, and one that MI obeys and this server does not, is a warning with its place.
//! MI: the config mapper with `default.json`, `key-mappings.json` and the templates of `conf/*`.

mod keys;
mod model;
mod read;
mod secret;
mod table;
mod users;

use std::collections::BTreeMap;

use crate::diagnostic::Diagnostics;
use crate::scope::Placeholders;

pub use model::{
    Arbiter, Cluster, Connector, Cors, DataSourceConfig, FailoverLimits, GlobalSuspension, HttpSettings, JsonSwitches,
    KeyStore, LdapKind, LdapStore, ManagementApi, Mediation, OutboundProxy, PlainHttp, ScriptSettings, Secret, Sender,
    Server, TlsListener, TrustStore, User, VerifyClient,
};
pub use table::TableSettings;

/// The settings of the server.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// `[server]`
    pub server: Server,
    /// `[transport.http]`
    pub http: HttpSettings,
    /// `[mediation]`, with what `[synapse_properties]` says about the same things
    pub mediation: Mediation,
    /// `[management_api]` and the other internal APIs
    pub management: ManagementApi,
    /// `[keystore.primary]`
    pub primary_keystore: KeyStore,
    /// `[truststore]`
    pub truststore: TrustStore,
    /// `[cluster_config]`
    pub cluster: Cluster,
    /// `[[datasource]]`
    pub datasources: Vec<DataSourceConfig>,
    /// `synapse.properties` as MI would write it
    pub synapse_properties: BTreeMap<String, String>,
}

impl Default for Deployment {
    /// What holds without a file.
    fn default() -> Self {
        read::deployment(&table::Table::default(), &crate::scope::NoPlaceholders, &mut Diagnostics::new())
    }
}

impl Deployment {
    /// Reads a file. What is wrong is reported and left at its default, so that there is always a result.
    ///
    /// `placeholders` give `$env{}`, `$sys{}` and `$secret{}`, and the flags `-DportOffset`, `-Dhttp.nio.port`,
    /// `-Dhttps.nio.port`, which win over the file.
    pub fn parse(file: &str, text: &str, placeholders: &dyn Placeholders) -> (Self, Diagnostics) {
        let mut out = Diagnostics::new();
        let mut table = table::Table::parse(file, text, &mut out);
        secret::resolve(&mut table, placeholders, &mut out);
        let deployment = read::deployment(&table, placeholders, &mut out);
        keys::report(&table, &mut out);
        (deployment, out)
    }

    /// The settings without a file, under the flags of the command line.
    pub fn without_file(placeholders: &dyn Placeholders) -> Self {
        read::deployment(&table::Table::default(), placeholders, &mut Diagnostics::new())
    }

    /// Port of the HTTP listener with the offset.
    pub fn http_port(&self) -> u16 {
        self.server.port(self.http.http.port)
    }

    /// Port of the HTTPS listener with the offset.
    pub fn https_port(&self) -> u16 {
        self.server.port(self.http.https.port)
    }

    /// Port of the internal HTTP listener (probes, metrics) with the offset.
    pub fn internal_http_port(&self) -> u16 {
        self.server.port(self.mediation.internal_http_port)
    }

    /// Port of the internal HTTPS listener (management API) with the offset.
    pub fn internal_https_port(&self) -> u16 {
        self.server.port(self.mediation.internal_https_port)
    }
}

#[cfg(test)]
mod tests;
