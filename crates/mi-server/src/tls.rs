//! Key material of listeners and back-end calls, out of `deployment.toml` and the files that it names.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use mi_config::Deployment;
use mi_config::deployment::{KeyStore as KeyStoreConfig, TrustStore, VerifyClient};
use mi_transports::keystore::KeyStore;
use mi_transports::tls::{
    ClientAuth, ClientTls, ClientTlsConfig, HostnameVerifier, Identity, ServerTls, ServerTlsConfig,
};

/// What the server needs for TLS.
pub struct Tls {
    /// Listeners.
    pub server: Arc<ServerTls>,
    /// Calls to back ends.
    pub client: Arc<ClientTls>,
}

/// Reads the stores. A store that is not there is replaced (a made-up certificate for listeners, the public issuers
/// for calls) with a warning; one that is there and cannot be read is an error, because going on with another key
/// would surprise everybody.
pub fn load(home: &Path, deployment: &Deployment) -> anyhow::Result<Tls> {
    let listener = &deployment.http.tls;
    let identity = match read_identity(home, &listener.keystore)? {
        Some(identity) => identity,
        None => {
            log::warn!(
                target: "KeyStore",
                "The key store {} is not there; https listens with a certificate made up for this run",
                home.join(&listener.keystore.file).display()
            );
            let names = vec![deployment.server.hostname.clone(), "localhost".to_owned(), "127.0.0.1".to_owned()];
            Identity::self_signed(names)?
        }
    };
    let listener_trust = read_trust(home, &listener.truststore)?;
    let own_certificate = identity.chain.first().cloned();
    let server = ServerTls::new(&ServerTlsConfig {
        identity,
        client_auth: match listener.verify_client {
            VerifyClient::None => ClientAuth::None,
            VerifyClient::Optional => ClientAuth::Optional,
            VerifyClient::Require => ClientAuth::Require,
        },
        trusted: listener_trust,
        protocols: listener.protocols.join(","),
    })?;
    let sender = &deployment.http.sender;
    let mut trusted = read_trust(home, &sender.truststore)?;
    // Calls over https to the server's own listener work, as they do with the stores that MI ships.
    trusted.extend(own_certificate);
    let client = ClientTls::new(&ClientTlsConfig {
        trusted,
        public_roots: true,
        accept_any: false,
        hostname_verifier: sender
            .hostname_verifier
            .as_deref()
            .map_or_else(HostnameVerifier::default, HostnameVerifier::from_name),
        identity: read_identity(home, &sender.keystore)?,
        protocols: sender.protocols.join(","),
    })?;
    Ok(Tls { server: Arc::new(server), client: Arc::new(client) })
}

fn read_identity(home: &Path, config: &KeyStoreConfig) -> anyhow::Result<Option<Identity>> {
    let path = home.join(&config.file);
    if !path.exists() {
        return Ok(None);
    }
    let read = || -> anyhow::Result<Identity> {
        let store = KeyStore::load(&path, &config.password, config.key_password.as_deref())?;
        Ok(Identity::from(store.key(config.alias.as_deref()).or_else(|_| store.key(None))?))
    };
    read().map(Some).with_context(|| format!("cannot use the key store {}", path.display()))
}

fn read_trust(home: &Path, config: &TrustStore) -> anyhow::Result<Vec<mi_transports::tls::CertificateDer<'static>>> {
    let path = home.join(&config.file);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let store = KeyStore::load(&path, &config.password, None)
        .with_context(|| format!("cannot use the trust store {}", path.display()))?;
    Ok(store.anchors().cloned().collect())
}
