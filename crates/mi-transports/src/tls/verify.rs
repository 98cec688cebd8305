//! Verification as Java does it on top of what webpki does: a certificate that is itself in the trust store is trusted
//! (self-signed servers, the server's own certificate), and the name check can be configured.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};

use super::names::{self, Names};
use super::{ClientTlsConfig, HostnameVerifier, TlsError};

/// Certificates that are trusted as they are.
#[derive(Debug)]
struct Pinned(HashSet<Vec<u8>>);

impl Pinned {
    fn new(trusted: &[CertificateDer<'static>]) -> Self {
        Self(trusted.iter().map(|certificate| certificate.to_vec()).collect())
    }

    fn contains(&self, certificate: &CertificateDer<'_>) -> bool {
        self.0.contains(certificate.as_ref())
    }
}

/// Verifies back ends.
#[derive(Debug)]
pub(super) struct Servers {
    /// `None` when no issuer is trusted.
    issuers: Option<Arc<WebPkiServerVerifier>>,
    pinned: Pinned,
    accept_any: bool,
    names: HostnameVerifier,
    provider: Arc<CryptoProvider>,
}

impl Servers {
    pub(super) fn new(
        config: &ClientTlsConfig,
        roots: RootCertStore,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let issuers = if roots.is_empty() {
            None
        } else {
            let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
            Some(built.map_err(|error| Error::General(error.to_string()))?)
        };
        Ok(Self {
            issuers,
            pinned: Pinned::new(&config.trusted),
            accept_any: config.accept_any,
            names: config.hostname_verifier,
            provider,
        })
    }

    fn any_name(&self, server: &ServerName<'_>) -> bool {
        match self.names {
            HostnameVerifier::AllowAll => true,
            HostnameVerifier::DefaultAndLocalhost => is_local(server),
            HostnameVerifier::Strict => false,
        }
    }

    fn check_name(&self, certificate: &CertificateDer<'_>, server: &ServerName<'_>) -> Result<(), Error> {
        if self.any_name(server) || Names::of(certificate).is_some_and(|names| names.fit(server)) {
            return Ok(());
        }
        Err(Error::InvalidCertificate(CertificateError::NotValidForName))
    }
}

impl ServerCertVerifier for Servers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.accept_any || self.pinned.contains(end_entity) {
            self.check_name(end_entity, server_name)?;
            return Ok(ServerCertVerified::assertion());
        }
        let Some(issuers) = &self.issuers else {
            return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        };
        match issuers.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The chain was found good before the name was looked at.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => {
                self.check_name(end_entity, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// MI: `ClientSSLSetupHandler.LOCALHOSTS`.
fn is_local(server: &ServerName<'_>) -> bool {
    match server {
        ServerName::DnsName(name) => matches!(
            name.as_ref().to_ascii_lowercase().as_str(),
            "localhost" | "localhost.localdomain" | "::1" | "127.0.0.1"
        ),
        ServerName::IpAddress(address) => IpAddr::from(*address).is_loopback(),
        _ => false,
    }
}

/// Verifies clients of a listener.
#[derive(Debug)]
pub(super) struct Clients {
    issuers: Arc<dyn ClientCertVerifier>,
    pinned: Pinned,
}

impl Clients {
    pub(super) fn new(issuers: Arc<dyn ClientCertVerifier>, trusted: &[CertificateDer<'static>]) -> Self {
        Self { issuers, pinned: Pinned::new(trusted) }
    }
}

impl ClientCertVerifier for Clients {
    fn offer_client_auth(&self) -> bool {
        self.issuers.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.issuers.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.issuers.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verdict = self.issuers.verify_client_cert(end_entity, intermediates, now);
        if verdict.is_err() && self.pinned.contains(end_entity) && names::is_current(end_entity, now) {
            return Ok(ClientCertVerified::assertion());
        }
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.issuers.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.issuers.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.issuers.supported_verify_schemes()
    }
}
