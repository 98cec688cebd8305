//! What reaches back ends: the HTTP client and the senders of other schemes.

use std::sync::Arc;
use std::time::Duration;

use mi_config::Deployment;
use mi_engine::services::Sender;
use mi_engine::transport::HttpClient;
use mi_transports::file::FileSender;
use mi_transports::http::{Client, ClientConfig};
use mi_transports::mail::MailSender;
use mi_transports::ws::WebSocketSender;

use crate::cli::RunArgs;
use crate::server::Prepared;
use crate::wire::SystemClock;
use crate::{proxies, tls};

/// Senders by the schemes of their addresses.
pub type Senders = Vec<(&'static str, Arc<dyn Sender>)>;

/// The senders of everything but HTTP.
pub fn senders(client: &Client, tls: Arc<mi_transports::tls::ClientTls>) -> Senders {
    let files: Arc<dyn Sender> = Arc::new(FileSender::new(Arc::new(SystemClock)).with_tls(tls.clone()));
    let mails: Arc<dyn Sender> = Arc::new(MailSender::new(tls));
    let sockets: Arc<dyn Sender> = Arc::new(WebSocketSender::new(client.clone()));
    vec![
        ("vfs", files.clone()),
        ("file", files),
        ("ws", sockets.clone()),
        ("wss", sockets),
        ("smtp", mails.clone()),
        ("smtps", mails.clone()),
        ("imap", mails.clone()),
        ("imaps", mails.clone()),
        ("pop3", mails.clone()),
        ("pop3s", mails),
    ]
}

/// What reaches back ends, for whoever runs flows without a server.
pub fn both(args: &RunArgs, prepared: &Prepared) -> anyhow::Result<(Arc<dyn HttpClient>, Senders)> {
    let keys = tls::load(&prepared.home.root, &prepared.deployment)?;
    let client = Client::new(client_config(args, &prepared.deployment, keys.client.clone()));
    let senders = senders(&client, keys.client);
    Ok((Arc::new(client), senders))
}

/// How the client behaves, as `deployment.toml` says.
pub fn client_config(args: &RunArgs, deployment: &Deployment, tls: Arc<mi_transports::tls::ClientTls>) -> ClientConfig {
    let http = &deployment.http;
    let mut config = ClientConfig::new(tls);
    config.socket_timeout = Duration::from_millis(http.socket_timeout_ms);
    config.response_timeout = Duration::from_millis(http.socket_timeout_ms);
    if let Some(millis) = http.connection_timeout_ms.filter(|millis| *millis > 0) {
        config.connect_timeout = Duration::from_millis(millis);
    }
    config.max_per_host = (http.max_connections_per_host as usize).max(1);
    config.proxies = proxies::of(&args.home, &http.sender);
    config
}
