//! TLS for listeners and back ends: protocol versions 1.2 and 1.3, certificates from key stores, verification as MI's
//! settings ask for it. Which files are read is decided by the configuration, not here.

mod names;
#[cfg(test)]
mod tests;
mod verify;

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
pub use rustls::pki_types::CertificateDer;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};

use crate::keystore::{KeyEntry, KeyStoreError};

/// Why a TLS configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Key store.
    #[error(transparent)]
    KeyStore(#[from] KeyStoreError),
    /// Key and certificate do not fit, or are of a kind that is not supported.
    #[error("{0}")]
    Config(#[from] rustls::Error),
    /// Client certificates are asked for and nobody would be trusted.
    #[error("client certificates cannot be verified: {0}")]
    ClientAuth(String),
    /// The self-signed certificate could not be made.
    #[error("no self-signed certificate: {0}")]
    SelfSigned(String),
    /// None of the protocol versions asked for is supported.
    #[error("none of the protocols \"{0}\" is supported; TLSv1.2 and TLSv1.3 are")]
    Protocols(String),
}

/// A private key with its certificates.
#[derive(Debug)]
pub struct Identity {
    /// Private key.
    pub key: PrivateKeyDer<'static>,
    /// Certificates, the key's own first.
    pub chain: Vec<CertificateDer<'static>>,
}

impl From<&KeyEntry> for Identity {
    fn from(entry: &KeyEntry) -> Self {
        Self { key: entry.key.clone_key(), chain: entry.chain.clone() }
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self { key: self.key.clone_key(), chain: self.chain.clone() }
    }
}

impl Identity {
    /// A new key with a certificate that vouches for itself, for `names` (host names and addresses). What a server uses
    /// when no key store is configured.
    pub fn self_signed(names: Vec<String>) -> Result<Self, TlsError> {
        let made =
            rcgen::generate_simple_self_signed(names).map_err(|error| TlsError::SelfSigned(error.to_string()))?;
        Ok(Self {
            key: PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into(),
            chain: vec![made.cert.der().clone()],
        })
    }
}

/// Whether a listener asks for a client certificate. MI: `SSLVerifyClient`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// No (`none`).
    #[default]
    None,
    /// Ask; a certificate that is sent must be good (`optional`).
    Optional,
    /// Insist (`require`).
    Require,
}

/// Settings of a TLS listener.
#[derive(Clone, Debug)]
pub struct ServerTlsConfig {
    /// The server's key.
    pub identity: Identity,
    /// Whether clients show a certificate.
    pub client_auth: ClientAuth,
    /// Who may have issued it.
    pub trusted: Vec<CertificateDer<'static>>,
    /// Protocol versions by their Java names, separated by commas; empty is TLSv1.2 and TLSv1.3. Older ones are ignored.
    pub protocols: String,
}

impl ServerTlsConfig {
    /// No client certificates, all supported protocol versions.
    pub fn new(identity: Identity) -> Self {
        Self { identity, client_auth: ClientAuth::None, trusted: Vec::new(), protocols: String::new() }
    }
}

/// Which names a back end's certificate must have. MI: the sender's `HostnameVerifier`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostnameVerifier {
    /// The host's name; anything for the local host. MI's default.
    #[default]
    DefaultAndLocalhost,
    /// The host's name (`Default`, `Strict`).
    Strict,
    /// Anything.
    AllowAll,
}

impl HostnameVerifier {
    /// The verifier of MI's configuration; unknown words mean the strict one, as in MI.
    pub fn from_name(name: &str) -> Self {
        match name.trim() {
            name if name.eq_ignore_ascii_case("AllowAll") => Self::AllowAll,
            name if name.eq_ignore_ascii_case("DefaultAndLocalhost") => Self::DefaultAndLocalhost,
            _ => Self::Strict,
        }
    }
}

/// Settings for calls to back ends.
#[derive(Clone, Debug, Default)]
pub struct ClientTlsConfig {
    /// Trusted certificates: issuers, or servers themselves (a self-signed one, the server's own).
    pub trusted: Vec<CertificateDer<'static>>,
    /// Also trust the public issuers that come with the program.
    pub public_roots: bool,
    /// Trust any certificate. MI: `novalidatecert`.
    pub accept_any: bool,
    /// Which names are good.
    pub hostname_verifier: HostnameVerifier,
    /// What to show to back ends that ask for a certificate.
    pub identity: Option<Identity>,
    /// As in [`ServerTlsConfig`].
    pub protocols: String,
}

/// Key material of a listener; can be exchanged while it runs.
#[derive(Debug)]
pub struct ServerTls {
    http1: ArcSwap<ServerConfig>,
    http2: ArcSwap<ServerConfig>,
}

impl ServerTls {
    /// Fails when key, certificates or trust cannot be used.
    pub fn new(config: &ServerTlsConfig) -> Result<Self, TlsError> {
        let (http1, http2) = server_configs(config)?;
        Ok(Self { http1: ArcSwap::from_pointee(http1), http2: ArcSwap::from_pointee(http2) })
    }

    /// Takes new settings for the handshakes that follow. After an error the old ones stay.
    pub fn replace(&self, config: &ServerTlsConfig) -> Result<(), TlsError> {
        let (http1, http2) = server_configs(config)?;
        self.http1.store(Arc::new(http1));
        self.http2.store(Arc::new(http2));
        Ok(())
    }

    pub(crate) fn current(&self, http2: bool) -> Arc<ServerConfig> {
        if http2 { self.http2.load_full() } else { self.http1.load_full() }
    }
}

/// Trust and certificate of a client; can be exchanged while it runs.
#[derive(Debug)]
pub struct ClientTls {
    http1: ArcSwap<ClientConfig>,
    http2: ArcSwap<ClientConfig>,
}

impl ClientTls {
    /// Fails when the key or a trusted certificate cannot be used.
    pub fn new(config: &ClientTlsConfig) -> Result<Self, TlsError> {
        let (http1, http2) = client_configs(config)?;
        Ok(Self { http1: ArcSwap::from_pointee(http1), http2: ArcSwap::from_pointee(http2) })
    }

    /// Takes new settings for the connections that follow. After an error the old ones stay.
    pub fn replace(&self, config: &ClientTlsConfig) -> Result<(), TlsError> {
        let (http1, http2) = client_configs(config)?;
        self.http1.store(Arc::new(http1));
        self.http2.store(Arc::new(http2));
        Ok(())
    }

    /// The settings for one protocol; for other transports than HTTP.
    pub fn current(&self, http2: bool) -> Arc<ClientConfig> {
        if http2 { self.http2.load_full() } else { self.http1.load_full() }
    }
}

/// The cryptography used everywhere. Named at each use: several providers may be linked.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: std::sync::LazyLock<Arc<CryptoProvider>> =
        std::sync::LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    PROVIDER.clone()
}

fn versions(names: &str) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    if names.trim().is_empty() {
        return Ok(rustls::ALL_VERSIONS.to_vec());
    }
    let mut versions = Vec::new();
    for name in names.split(',').map(str::trim) {
        match name {
            "TLSv1.3" => versions.push(&rustls::version::TLS13),
            "TLSv1.2" => versions.push(&rustls::version::TLS12),
            "" => {}
            old => log::debug!("protocol {old} is not offered"),
        }
    }
    if versions.is_empty() {
        return Err(TlsError::Protocols(names.to_owned()));
    }
    Ok(versions)
}

fn server_configs(config: &ServerTlsConfig) -> Result<(ServerConfig, ServerConfig), TlsError> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&versions(&config.protocols)?)?
        .with_client_cert_verifier(client_verifier(config)?);
    let mut http1 = builder.with_single_cert(config.identity.chain.clone(), config.identity.key.clone_key())?;
    let mut http2 = http1.clone();
    http1.alpn_protocols = vec![b"http/1.1".to_vec()];
    http2.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((http1, http2))
}

fn client_verifier(config: &ServerTlsConfig) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    if config.client_auth == ClientAuth::None {
        return Ok(WebPkiClientVerifier::no_client_auth());
    }
    let roots = roots(&config.trusted, false);
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let builder = if config.client_auth == ClientAuth::Optional { builder.allow_unauthenticated() } else { builder };
    let verifier = builder.build().map_err(|error| TlsError::ClientAuth(error.to_string()))?;
    Ok(Arc::new(verify::Clients::new(verifier, &config.trusted)))
}

fn client_configs(config: &ClientTlsConfig) -> Result<(ClientConfig, ClientConfig), TlsError> {
    let verifier = verify::Servers::new(config, roots(&config.trusted, config.public_roots), provider())?;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&versions(&config.protocols)?)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut http1 = match &config.identity {
        Some(identity) => builder.with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())?,
        None => builder.with_no_client_auth(),
    };
    let mut http2 = http1.clone();
    http1.alpn_protocols = vec![b"http/1.1".to_vec()];
    http2.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((http1, http2))
}

/// Trust anchors. A trust store may hold certificates that no verifier understands; they must not spoil the others.
fn roots(trusted: &[CertificateDer<'static>], public: bool) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    if public {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let (_, ignored) = roots.add_parsable_certificates(trusted.iter().cloned());
    if ignored > 0 {
        log::warn!("{ignored} trusted certificates cannot be used as issuers");
    }
    roots
}
