//! https: verification, client certificates, protocols, exchange of certificates at run time.

use std::sync::{Arc, LazyLock};

use mi_engine::fault::codes;
use mi_engine::transport::Outgoing;
use rustls::pki_types::CertificateDer;

use super::super::{Client, ClientConfig, Limits, ListenerConfig};
use super::support::*;
use crate::keystore::KeyStore;
use crate::tls::{ClientAuth, ClientTls, ClientTlsConfig, HostnameVerifier, Identity, ServerTls, ServerTlsConfig};

fn store(bytes: &[u8]) -> KeyStore {
    KeyStore::parse(bytes, "storepass", Some("keypass")).unwrap()
}

/// For `localhost` and `127.0.0.1`.
fn local() -> Identity {
    static LOCAL: LazyLock<Identity> =
        LazyLock::new(|| store(include_bytes!("../../keystore/fixtures/server.p12")).key(None).unwrap().into());
    LOCAL.clone()
}

/// For `backend.test`.
fn named() -> Identity {
    static NAMED: LazyLock<Identity> =
        LazyLock::new(|| store(include_bytes!("../../keystore/fixtures/named.p12")).key(None).unwrap().into());
    NAMED.clone()
}

fn listener(config: &ServerTlsConfig) -> (ListenerConfig, Arc<ServerTls>) {
    let tls = Arc::new(ServerTls::new(config).unwrap());
    (ListenerConfig { tls: Some(tls.clone()), ..ListenerConfig::new("secure", ANY) }, tls)
}

fn client_with(config: &ClientTlsConfig) -> Client {
    Client::new(ClientConfig::new(Arc::new(ClientTls::new(config).unwrap())))
}

fn trusting(certificates: &[CertificateDer<'static>]) -> ClientTlsConfig {
    ClientTlsConfig { trusted: certificates.to_vec(), ..ClientTlsConfig::default() }
}

fn secure(request: Outgoing, host: &str) -> Outgoing {
    Outgoing { secure: true, host: host.into(), ..request }
}

/// One https request to a listener; `Ok` with the body or the error's detail.
async fn ask(server: &ServerTlsConfig, client: &ClientTlsConfig, http2: bool, host: &str) -> Result<String, String> {
    let (config, _) = listener(server);
    let (server, address, _) = start_with(config, 1);
    let mut request = secure(get(address, "/x"), host);
    if http2 {
        request.version = http::Version::HTTP_2;
    }
    let outcome = fetch(&client_with(client), request).await;
    server.shutdown();
    match outcome {
        Ok((_, body)) => Ok(body),
        Err(error) => {
            assert!(matches!(error.code, codes::SND_IO_SENDING | codes::CONNECTION_CLOSED), "{error:?}");
            Err(error.detail)
        }
    }
}

#[tokio::test]
async fn back_ends_are_verified_as_configured() {
    let own = trusting(&local().chain);
    let verifier =
        |config: &ClientTlsConfig, verifier| ClientTlsConfig { hostname_verifier: verifier, ..config.clone() };
    let strict = verifier(&own, HostnameVerifier::Strict);
    let other = trusting(&named().chain);
    let any = ClientTlsConfig { accept_any: true, ..ClientTlsConfig::default() };
    let public = ClientTlsConfig { public_roots: true, ..ClientTlsConfig::default() };
    // (server's key, client, host, accepted)
    let cases = [
        ("its own certificate in the trust store", local(), own.clone(), "localhost", true),
        ("by address", local(), strict.clone(), "127.0.0.1", true),
        ("by name", local(), strict, "localhost", true),
        ("nobody trusted", local(), ClientTlsConfig::default(), "localhost", false),
        ("public issuers only", local(), public, "localhost", false),
        ("another one trusted", local(), other.clone(), "localhost", false),
        ("wrong name, but local", named(), other.clone(), "localhost", true),
        ("wrong name", named(), verifier(&other, HostnameVerifier::Strict), "localhost", false),
        ("any name", named(), verifier(&other, HostnameVerifier::AllowAll), "localhost", true),
        ("any certificate", named(), any, "localhost", true),
    ];
    for (what, identity, client, host, accepted) in cases {
        let outcome = ask(&ServerTlsConfig::new(identity), &client, false, host).await;
        assert_eq!(outcome.is_ok(), accepted, "{what}: {outcome:?}");
    }
}

#[tokio::test]
async fn http2_is_agreed_by_alpn_and_http1_where_it_is_not_offered() {
    let own = trusting(&local().chain);
    let server = ServerTlsConfig::new(local());
    assert_eq!(ask(&server, &own, true, "localhost").await.unwrap(), "GET /x HTTP/2.0");
    assert_eq!(ask(&server, &own, false, "localhost").await.unwrap(), "GET /x HTTP/1.1");
    let (config, _) = listener(&server);
    let (running, address, _) = start_with(ListenerConfig { http2: false, ..config }, 1);
    let client = client_with(&own);
    for _ in 0..2 {
        let request = Outgoing { version: http::Version::HTTP_2, ..secure(get(address, "/x"), "localhost") };
        assert_eq!(fetch(&client, request).await.unwrap().1, "GET /x HTTP/1.1");
    }
    assert_eq!(running.connections(), 1, "the connection is used again");
    running.shutdown();
}

#[tokio::test]
async fn client_certificates_are_asked_for_and_checked() {
    let with = |identity| ClientTlsConfig { identity, ..trusting(&local().chain) };
    let server = |client_auth| ServerTlsConfig { client_auth, trusted: named().chain, ..ServerTlsConfig::new(local()) };
    // (asked for, shown, accepted)
    let cases = [
        (ClientAuth::None, Some(named()), true),
        (ClientAuth::Optional, None, true),
        (ClientAuth::Optional, Some(named()), true),
        (ClientAuth::Optional, Some(local()), false),
        (ClientAuth::Require, None, false),
        (ClientAuth::Require, Some(named()), true),
        (ClientAuth::Require, Some(local()), false),
    ];
    for (asked, shown, accepted) in cases {
        let what = format!("{asked:?} {}", shown.is_some());
        let outcome = ask(&server(asked), &with(shown), false, "localhost").await;
        assert_eq!(outcome.is_ok(), accepted, "{what}: {outcome:?}");
    }
    let nobody = ServerTlsConfig { trusted: Vec::new(), ..server(ClientAuth::Require) };
    assert!(ServerTls::new(&nobody).is_err());
}

#[tokio::test]
async fn protocol_versions_can_be_chosen() {
    let own = |protocols: &str| ClientTlsConfig { protocols: protocols.into(), ..trusting(&local().chain) };
    let server = |protocols: &str| ServerTlsConfig { protocols: protocols.into(), ..ServerTlsConfig::new(local()) };
    let cases = [
        ("", "TLSv1.2", true),
        ("TLSv1,TLSv1.1,TLSv1.2", "TLSv1.2", true),
        ("TLSv1,TLSv1.1,TLSv1.2", "TLSv1.3", false),
        ("TLSv1.3", "TLSv1.2", false),
        ("TLSv1.2, TLSv1.3", "TLSv1.3", true),
    ];
    for (offered, asked, accepted) in cases {
        let outcome = ask(&server(offered), &own(asked), false, "localhost").await;
        assert_eq!(outcome.is_ok(), accepted, "{offered} {asked}: {outcome:?}");
    }
    assert!(ServerTls::new(&server("TLSv1.1,SSLv3")).is_err());
}

#[tokio::test]
async fn certificates_can_be_exchanged_while_running() {
    let (config, tls) = listener(&ServerTlsConfig::new(local()));
    let (server, address, _) = start_with(config, 1);
    let old = client_with(&trusting(&local().chain));
    let new = client_with(&trusting(&named().chain));
    let request = || secure(get(address, "/x"), "localhost");
    fetch(&old, request()).await.unwrap();
    assert!(fetch(&new, request()).await.is_err());
    tls.replace(&ServerTlsConfig::new(named())).unwrap();
    fetch(&new, request()).await.unwrap();
    // A connection made before lives on; bad settings change nothing.
    fetch(&old, request()).await.unwrap();
    let mismatched = Identity { key: local().key, chain: named().chain };
    assert!(tls.replace(&ServerTlsConfig::new(mismatched)).is_err());
    fetch(&client_with(&trusting(&named().chain)), request()).await.unwrap();
    server.shutdown();
}

#[tokio::test]
async fn without_a_key_store_a_certificate_is_made() {
    let made = Identity::self_signed(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
    let strict = ClientTlsConfig { hostname_verifier: HostnameVerifier::Strict, ..trusting(&made.chain) };
    for host in ["localhost", "127.0.0.1"] {
        ask(&ServerTlsConfig::new(made.clone()), &strict, true, host).await.unwrap();
    }
}

#[tokio::test]
async fn every_kind_of_key_serves() {
    for (bytes, password) in [
        (include_bytes!("../../keystore/fixtures/server.jks").as_slice(), "storepass"),
        (include_bytes!("../../keystore/fixtures/server.jceks").as_slice(), "storepass"),
        (include_bytes!("../../keystore/fixtures/legacy.p12").as_slice(), "storepass"),
        (include_bytes!("../../keystore/fixtures/sec1.pem").as_slice(), ""),
    ] {
        let store = KeyStore::parse(bytes, password, Some("keypass")).unwrap();
        let identity: Identity = store.key(None).unwrap().into();
        let own = trusting(&identity.chain);
        ask(&ServerTlsConfig::new(identity), &own, false, "localhost").await.unwrap();
    }
}

#[tokio::test]
async fn handshakes_that_never_end_are_given_up_and_plain_requests_are_refused() {
    let (config, _) = listener(&ServerTlsConfig::new(local()));
    let limits = Limits { header_timeout: std::time::Duration::from_millis(200), ..limits() };
    let (server, address, _) = start_with(ListenerConfig { limits, ..config }, 1);
    assert!(raw(address, b"\x16\x03\x01\x01\x00").await.is_empty());
    assert!(!raw(address, b"GET / HTTP/1.1\r\n\r\n").await.contains("HTTP/1.1 200"));
    server.shutdown();
}

#[test]
fn verifiers_have_the_names_of_mi() {
    let cases = [
        ("AllowAll", HostnameVerifier::AllowAll),
        ("defaultandlocalhost", HostnameVerifier::DefaultAndLocalhost),
        ("Strict", HostnameVerifier::Strict),
        ("Default", HostnameVerifier::Strict),
        ("?", HostnameVerifier::Strict),
    ];
    for (name, expected) in cases {
        assert_eq!(HostnameVerifier::from_name(name), expected, "{name}");
    }
}
