//! `local://services/NAME`: a message for a proxy of the same server, which never leaves it.
//! MI: the local transport of Axis2 (`NonBlockingLocalTransportSender`).

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::{Method, StatusCode, Version};

use crate::context::Context;
use crate::endpoint::outgoing;
use crate::fault::{Fault, codes};
use crate::incoming::{self, names};
use crate::serve;
use crate::transport::{HttpReply, HttpRequest, Incoming, Payload};
use crate::{flow, reply};

/// The scheme of such addresses.
pub(crate) const SCHEME: &str = "local";

/// How many proxies may call each other in one row.
const MAX_HOPS: u32 = 64;

/// Sends the message to the proxy that `address` names. `None`: the proxy takes the message and does not answer.
pub(crate) async fn send(cx: &mut Context, address: &str) -> Result<Option<Incoming>, Fault> {
    let target = format!("/{}", path_of(address));
    let snapshot = cx.snapshot.clone();
    let proxy = serve::service_name(&target).and_then(|name| serve::find_proxy(&snapshot, name)).cloned();
    let Some(proxy) = proxy.filter(|proxy| proxy.listens_on(SCHEME)) else {
        return Err(failed(format!("no service of this server takes messages for {address}")));
    };
    let hops = cx.exchange.request.hops + 1;
    if hops > MAX_HOPS {
        return Err(failed(format!("{address} is more than {MAX_HOPS} local calls deep")));
    }
    if !cx.message.body.is_built() && !cx.message.rest {
        // The other proxy may look at what this one has not read; its headers tell it how.
        flow::build_body(cx).await?;
    }
    let (mut message, mut info) = incoming::request(request(cx, &target)?, &snapshot.settings);
    message.properties.put(names::TRANSPORT_IN_NAME, SCHEME);
    message.addressing.action.clone_from(&cx.message.addressing.action);
    info.hops = hops;
    let answer = serve::call_proxy(snapshot, &proxy, message, info).await;
    Ok(answer.filter(|answer| !is_bare(answer)).map(|answer| {
        let HttpReply { status, reason, headers, body, .. } = answer;
        Incoming { status, reason, version: Version::HTTP_11, headers, body: serve::stream_of(body) }
    }))
}

/// 202 without a body stands for a flow that gave no answer.
fn is_bare(answer: &HttpReply) -> bool {
    answer.status == StatusCode::ACCEPTED && matches!(answer.body, Payload::Empty)
}

/// `services/NAME` of `local://services/NAME`, and of `local:///services/NAME`.
fn path_of(address: &str) -> &str {
    let rest = address.split_once(':').map_or(address, |(_, rest)| rest);
    rest.trim_start_matches('/')
}

fn request(cx: &mut Context, target: &str) -> Result<HttpRequest, Fault> {
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let settings = cx.snapshot.clone();
    let mut headers = reply::outgoing_headers(&cx.message.headers, &settings.settings);
    let body = outgoing::payload(&mut cx.message, &mut headers)?;
    let caller = &cx.exchange.request;
    Ok(HttpRequest {
        method: Method::POST,
        target: target.to_owned(),
        // Such a message has a body whatever its header fields say.
        version: Version::HTTP_2,
        headers,
        body: match body {
            Payload::Empty => serve::stream_of(Payload::Bytes(Bytes::new())),
            body => serve::stream_of(body),
        },
        peer: nowhere,
        local: caller.local.unwrap_or(nowhere),
        secure: caller.secure,
        client_certificate: None,
    })
}

fn failed(detail: String) -> Fault {
    Fault::coded(codes::SND_IO_SENDING, "Error in Sender", detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbound::testing::{engine_of, notes};
    use http_body_util::{BodyExt, Full};

    fn proxy(name: &str, transports: &str, target: &str, steps: &str) -> String {
        format!(
            "<proxy name='{name}' transports='{transports}'><target><endpoint><address uri='{target}'/></endpoint>\
             <inSequence>{steps}</inSequence><outSequence><note name='{name} out'/><respond/></outSequence></target></proxy>"
        )
    }

    /// Status, body and notes of a request to the proxy `First`, whose endpoint is `target`.
    async fn ask(target: &str, second: &str) -> (u16, String, Vec<String>) {
        let before = notes().len();
        let first = proxy("First", "http", target, "<note name='First in'/>");
        let engine = engine_of(&[&first, second, "<sequence name='fault'><note name='fault'/></sequence>"]);
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let request = HttpRequest {
            method: Method::POST,
            target: "/services/First".to_owned(),
            version: Version::HTTP_11,
            headers: [("Content-Type", "text/plain"), ("Content-Length", "5")].into_iter().collect(),
            body: Full::new(Bytes::from_static(b"hello")).map_err(|never| match never {}).boxed_unsync(),
            peer: nowhere,
            local: nowhere,
            secure: false,
            client_certificate: None,
        };
        let reply = tokio::time::timeout(std::time::Duration::from_mins(1), engine.serve(request, None)).await;
        let (status, body) = match reply {
            Ok(Some(reply)) => {
                (reply.status.as_u16(), serve::stream_of(reply.body).collect().await.unwrap().to_bytes())
            }
            Ok(None) | Err(_) => (0, Bytes::new()),
        };
        (status, String::from_utf8(body.to_vec()).unwrap(), notes()[before..].to_vec())
    }

    #[tokio::test(start_paused = true)]
    async fn proxies_call_each_other_without_leaving_the_server() {
        let second = |transports: &str| {
            format!(
                "<proxy name='Second' transports='{transports}'><target><inSequence><note name='Second in'/><respond/></inSequence></target></proxy>"
            )
        };
        let passed = ["{proxy:First} First in", "{proxy:Second} Second in", "{proxy:First} First out"];
        for transports in ["local", "http local"] {
            let (status, body, seen) = ask("local://services/Second", &second(transports)).await;
            assert_eq!((status, body.as_str()), (200, "hello"), "{transports}");
            assert_eq!(seen, passed, "{transports}");
        }
        let refused = ["{proxy:First} First in", "{proxy:First} fault"];
        assert_eq!(ask("local://services/Second", &second("http")).await.2, refused);
        assert_eq!(ask("local://services/Third", &second("local")).await.2, refused);
        // Two that call each other for ever are stopped.
        let back = proxy("Second", "local", "local://services/Second", "");
        let (_, _, seen) = ask("local://services/Second", &back).await;
        assert!(seen.iter().any(|note| note.ends_with("fault")) && seen.len() < 300, "{seen:?}");
    }

    #[test]
    fn addresses() {
        for address in ["local://services/A/b?c", "local:///services/A/b?c", "local:services/A/b?c"] {
            assert_eq!(path_of(address), "services/A/b?c", "{address}");
        }
    }
}
