//! Mails against a server that plays a script.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::tls::{Identity, ServerTls, ServerTlsConfig};

/// What the server got, line by line.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: BufReader<S>,
    abilities: &str,
    refused: &'static str,
    got: &mut Vec<String>,
) -> io::Result<Option<BufReader<S>>> {
    let mut stream = stream;
    let mut in_data = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let line = line.trim_end().to_owned();
        got.push(line.clone());
        if in_data {
            if line == "." {
                in_data = false;
                stream.write_all(b"250 taken\r\n").await?;
            }
            continue;
        }
        let answer = match line.split(' ').next().unwrap_or_default() {
            _ if !refused.is_empty() && line.starts_with(refused) => "550-no\r\n550 such user\r\n".to_owned(),
            "EHLO" => format!("250-here\r\n{abilities}250 8BITMIME\r\n"),
            "STARTTLS" => {
                stream.write_all(b"220 go\r\n").await?;
                return Ok(Some(stream));
            }
            "DATA" => {
                in_data = true;
                "354 go\r\n".to_owned()
            }
            "AUTH" if line == "AUTH LOGIN" => "334 VXNlcm5hbWU6\r\n".to_owned(),
            "AUTH" => "235 welcome\r\n".to_owned(),
            "a2lt" => "334 UGFzc3dvcmQ6\r\n".to_owned(),
            "c2VjcmV0" => "235 welcome\r\n".to_owned(),
            "QUIT" => "221 bye\r\n".to_owned(),
            _ => "250 ok\r\n".to_owned(),
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// Sends a mail to a server with these abilities; what it got, and how it went.
async fn run(
    scheme: &str,
    abilities: &'static str,
    refused: &'static str,
    properties: &[(&'static str, &str)],
) -> (Vec<String>, Result<(), String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("{scheme}://localhost:{}", listener.local_addr().unwrap().port());
    let secure = scheme == "smtps";
    let server = tokio::spawn(async move {
        let identity = Identity::self_signed(vec!["localhost".to_owned()]).unwrap();
        let tls = ServerTls::new(&ServerTlsConfig::new(identity)).unwrap();
        let acceptor = TlsAcceptor::from(tls.current(false));
        let (stream, _) = listener.accept().await.unwrap();
        let mut got = Vec::new();
        if secure {
            let Ok(stream) = acceptor.accept(stream).await else { return got };
            let mut stream = BufReader::new(stream);
            stream.write_all(b"220 hello\r\n").await.unwrap();
            drop(serve(stream, abilities, refused, &mut got).await);
            return got;
        }
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 hello\r\n").await.unwrap();
        if let Ok(Some(stream)) = serve(stream, abilities, refused, &mut got).await {
            let Ok(stream) = acceptor.accept(stream.into_inner()).await else { return got };
            drop(serve(BufReader::new(stream), abilities, refused, &mut got).await);
        }
        got
    });
    let mut axis2 = Properties::default();
    axis2.set("mail.from", "a@x");
    axis2.set("mail.recipients", "b@x\nc@x");
    for (name, value) in properties {
        axis2.set(*name, *value);
    }
    let request = OutMessage {
        address,
        content_type: None,
        headers: mi_message::Headers::default(),
        body: Payload::Bytes(Bytes::from_static(b"Subject: s\r\n\r\n.one\n..two\r\nthree")),
        axis2,
        origin: mi_engine::exchange::RequestInfo::default(),
        responder: None,
    };
    let tls = Arc::new(ClientTls::new(&ClientTlsConfig::default()).unwrap());
    let sent = MailSender::new(tls).send(request).await;
    (server.await.unwrap(), sent.map(drop).map_err(|fault| fault.detail))
}

#[tokio::test]
async fn a_mail_is_sent() {
    let (got, sent) = run("smtp", "", "", &[]).await;
    assert_eq!(sent, Ok(()));
    let expected =
        "EHLO localhost|MAIL FROM:<a@x>|RCPT TO:<b@x>|RCPT TO:<c@x>|DATA|Subject: s||..one|...two|three|.|QUIT";
    assert_eq!(got.join("|"), expected);
}

#[tokio::test]
async fn signing_in() {
    let who = [("mail.user", "kim"), ("mail.password", "secret")];
    let (got, sent) = run("smtp", "250-AUTH LOGIN PLAIN\r\n", "", &who).await;
    assert_eq!((got[1].as_str(), sent), ("AUTH PLAIN AGtpbQBzZWNyZXQ=", Ok(())));
    let (got, sent) = run("smtp", "250-XA€€ 1\r\n250-AUTH LOGIN\r\n", "", &who).await;
    assert_eq!((got[1..4].join("|").as_str(), sent), ("AUTH LOGIN|a2lt|c2VjcmV0", Ok(())));
    let token = [who[0], who[1], ("mail.bearer", "true")];
    let (got, _) = run("smtp", "250-AUTH XOAUTH2\r\n", "", &token).await;
    assert_eq!(got[1], "AUTH XOAUTH2 dXNlcj1raW0BYXV0aD1CZWFyZXIgc2VjcmV0AQE=");
    let (got, sent) = run("smtp", "250-AUTH PLAIN\r\n", "AUTH", &who).await;
    let why = sent.unwrap_err();
    assert!(why.contains("signing in was answered with 550 no such user") && !why.contains("AGtpb"), "{why}");
    assert!(!got.iter().any(|line| line.starts_with("MAIL")));
}

#[tokio::test]
async fn over_tls() {
    let trusted = ("mail.trusted", "localhost");
    let (got, sent) = run("smtps", "", "", &[trusted]).await;
    assert_eq!((got.len(), sent), (12, Ok(())));
    let (got, sent) = run("smtp", "250-STARTTLS\r\n", "", &[trusted, ("mail.starttls", "true")]).await;
    assert_eq!((got[..3].join("|").as_str(), sent), ("EHLO localhost|STARTTLS|EHLO localhost", Ok(())));
    // A server that cannot be trusted, or protects nothing, gets nothing.
    for (scheme, abilities, properties, part) in [
        ("smtps", "", &[][..], "TLS"),
        ("smtp", "250-STARTTLS\r\n", &[("mail.starttls", "true")], "TLS"),
        ("smtp", "", &[("mail.starttls", "true")], "no STARTTLS"),
    ] {
        let (got, sent) = run(scheme, abilities, "", properties).await;
        assert!(sent.as_ref().is_err_and(|why| why.contains(part)), "{sent:?}");
        assert!(!got.iter().any(|line| line.starts_with("MAIL")), "{got:?}");
    }
}

#[tokio::test]
async fn refusals_are_told() {
    let (got, sent) = run("smtp", "", "RCPT TO:<c@x>", &[]).await;
    let why = sent.unwrap_err();
    assert!(why.contains("RCPT TO:<c@x> was answered with 550 no such user"), "{why}");
    assert!(!got.iter().any(|line| line == "DATA"));
    for (properties, part) in [
        (("mail.recipients", ""), "no recipients"),
        (("mail.recipients", "a@x> b"), "is no mail address"),
        (("mail.from", "a\rb"), "is no mail address"),
    ] {
        let tls = Arc::new(ClientTls::new(&ClientTlsConfig::default()).unwrap());
        let mut axis2 = Properties::default();
        axis2.set("mail.recipients", "b@x");
        axis2.set(properties.0, properties.1);
        let request = OutMessage {
            address: "smtp://localhost:1".to_owned(),
            content_type: None,
            headers: mi_message::Headers::default(),
            body: Payload::Bytes(Bytes::new()),
            axis2,
            origin: mi_engine::exchange::RequestInfo::default(),
            responder: None,
        };
        let fault = MailSender::new(tls).send(request).await.map(drop).unwrap_err();
        assert!(fault.detail.contains(part), "{}", fault.detail);
    }
}
