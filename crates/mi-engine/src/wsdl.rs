//! `?wsdl` of proxy services: the published document with the addresses of this server, or a made-up one.
//! MI: `ProxyService#buildAxisService`, Axis2's WSDL printer.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use mi_config::proxy::WsdlSource;
use mi_message::{Body, Value};
use mi_xml::{Document, NodeId};

use crate::endpoint::Target;
use crate::exchange::RequestInfo;
use crate::proxy::Proxy;
use crate::reply;
use crate::snapshot::Snapshot;
use crate::transport::HttpReply;

const SOAP11: &str = "http://schemas.xmlsoap.org/wsdl/soap/";
const SOAP12: &str = "http://schemas.xmlsoap.org/wsdl/soap12/";
const HTTP: &str = "http://schemas.xmlsoap.org/wsdl/http/";

/// True for `?wsdl`, `?wsdl2` and `?xsd`, with or without a value.
pub(crate) fn is_asked(target: &str) -> bool {
    let Some((_, query)) = target.split_once('?') else { return false };
    let key = query.split(['=', '&']).next().unwrap_or_default();
    ["wsdl", "wsdl2", "xsd"].iter().any(|known| key.eq_ignore_ascii_case(known))
}

/// The published document.
pub(crate) async fn answer(snapshot: Arc<Snapshot>, proxy: Arc<Proxy>, info: RequestInfo) -> HttpReply {
    let base = base_address(&snapshot, &proxy, &info);
    let text = match document(&snapshot, &proxy).await {
        Some(Ok(document)) => with_addresses(document, &proxy, &base),
        Some(Err(why)) => {
            log::error!(target: "ProxyService", "The WSDL of proxy {} cannot be published: {why}", proxy.name);
            return HttpReply::new(StatusCode::INTERNAL_SERVER_ERROR);
        }
        None => default_document(&proxy, &base),
    };
    reply::plain(StatusCode::OK, "text/xml; charset=UTF-8", text)
}

fn base_address(snapshot: &Snapshot, proxy: &Proxy, info: &RequestInfo) -> String {
    let scheme = if info.secure { "https" } else { "http" };
    let host = if info.host.is_empty() {
        let port = if info.secure { snapshot.settings.https_port } else { snapshot.settings.http_port };
        format!("{}:{port}", snapshot.settings.hostname)
    } else {
        info.host.clone()
    };
    format!("{scheme}://{host}/services/{}", proxy.name)
}

/// The configured document.
async fn document(snapshot: &Snapshot, proxy: &Proxy) -> Option<Result<Document, String>> {
    let published = proxy.config.publish_wsdl.as_ref()?;
    match &published.source {
        WsdlSource::Inline(element) => Some(parse(element.to_xml().into_bytes())),
        WsdlSource::Key(key) => Some(match snapshot.local_entries.get(key.as_str()).map(|entry| &entry.value) {
            Some(Value::Xml(value)) => parse(value.to_xml().into_bytes()),
            Some(other) => parse(other.to_text().into_owned().into_bytes()),
            None => from_registry(snapshot, key),
        }),
        WsdlSource::Uri(uri) => Some(match Target::parse(uri) {
            Some(target) => fetch(snapshot, target).await,
            None => from_registry(snapshot, uri),
        }),
        WsdlSource::Endpoint(_) | WsdlSource::None => None,
    }
}

fn from_registry(snapshot: &Snapshot, key: &str) -> Result<Document, String> {
    match snapshot.services.registry.content(key) {
        Some(bytes) => parse(bytes.to_vec()),
        None => Err(format!("{key} cannot be read")),
    }
}

/// Largest document that is fetched.
const MAX_DOCUMENT: usize = 16 << 20;
/// Longest time that fetching may take.
const FETCH_TIME: Duration = Duration::from_secs(30);

async fn fetch(snapshot: &Snapshot, target: Target) -> Result<Document, String> {
    let url = target.to_url();
    let request = target.get(FETCH_TIME);
    let fetched = async {
        let answer = snapshot.services.http.send(request).await.map_err(|error| error.to_string())?;
        if !answer.status.is_success() {
            return Err(format!("{url} answered {}", answer.status));
        }
        let mut body = Body::from_stream(answer.body, None);
        body.read(MAX_DOCUMENT).await.map_err(|error| error.to_string())?;
        parse(body.raw().map(|raw| raw.to_vec()).unwrap_or_default())
    };
    match tokio::time::timeout(FETCH_TIME, fetched).await {
        Ok(document) => document,
        Err(_) => Err(format!("{url} did not answer in time")),
    }
}

fn parse(bytes: Vec<u8>) -> Result<Document, String> {
    Document::parse(bytes).map_err(|error| error.to_string())
}

/// Every port gets the address of this server; a port of SOAP 1.1, 1.2 and HTTP has its usual name behind the
/// service. The service is renamed as Axis2 does it.
fn with_addresses(mut document: Document, proxy: &Proxy, base: &str) -> String {
    let modify =
        proxy.config.parameter("modifyUserWSDLPortAddress").is_none_or(|value| !value.eq_ignore_ascii_case("false"));
    if modify {
        let addresses: Vec<(NodeId, &'static str)> = document
            .descendants(Document::ROOT)
            .filter(|node| document.is_element(*node) && document.local_name(*node) == "address")
            .filter_map(|node| Some((node, port_suffix(document.namespace(node))?)))
            .collect();
        for (node, suffix) in addresses {
            let location = format!("{base}.{}{suffix}", proxy.name);
            document.set_attribute(node, "", "location", "", &location);
        }
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}",
        document.root_element().map(|root| document.to_xml(root)).unwrap_or_default()
    )
}

fn port_suffix(namespace: &str) -> Option<&'static str> {
    match namespace {
        SOAP11 => Some("HttpSoap11Endpoint"),
        SOAP12 => Some("HttpSoap12Endpoint"),
        HTTP => Some("HttpEndpoint"),
        _ => None,
    }
}

/// What Axis2 makes up for a service without a WSDL: one operation `mediate` that takes anything.
fn default_document(proxy: &Proxy, base: &str) -> String {
    let name = &proxy.name;
    let binding = |soap: &str, prefix: &str, kind: &str| {
        format!(
            "<wsdl:binding name=\"{name}{kind}Binding\" type=\"ns:{name}PortType\">\
             <{prefix}:binding transport=\"http://schemas.xmlsoap.org/soap/http\" style=\"document\"/>\
             <wsdl:operation name=\"mediate\"><{prefix}:operation soapAction=\"urn:mediate\" style=\"document\"/>\
             <wsdl:input><{prefix}:body use=\"literal\"/></wsdl:input>\
             <wsdl:output><{prefix}:body use=\"literal\"/></wsdl:output></wsdl:operation></wsdl:binding>",
        ) + &format!("<!-- {soap} -->")
    };
    let port = |prefix: &str, kind: &str| {
        format!(
            "<wsdl:port name=\"{name}Http{kind}Endpoint\" binding=\"ns:{name}{kind}Binding\">\
             <{prefix}:address location=\"{base}.{name}Http{kind}Endpoint\"/></wsdl:port>"
        )
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <wsdl:definitions xmlns:wsdl=\"http://schemas.xmlsoap.org/wsdl/\" xmlns:ns=\"http://ws.apache.org/axis2\" \
         xmlns:soap=\"{SOAP11}\" xmlns:soap12=\"{SOAP12}\" xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" \
         targetNamespace=\"http://ws.apache.org/axis2\">\
         <wsdl:documentation>{name}</wsdl:documentation>\
         <wsdl:types><xs:schema targetNamespace=\"http://ws.apache.org/axis2\"/></wsdl:types>\
         <wsdl:message name=\"mediateRequest\"/><wsdl:message name=\"mediateResponse\"/>\
         <wsdl:portType name=\"{name}PortType\"><wsdl:operation name=\"mediate\">\
         <wsdl:input message=\"ns:mediateRequest\"/><wsdl:output message=\"ns:mediateResponse\"/>\
         </wsdl:operation></wsdl:portType>{}{}\
         <wsdl:service name=\"{name}\">{}{}</wsdl:service></wsdl:definitions>",
        binding("SOAP 1.1", "soap", "Soap11"),
        binding("SOAP 1.2", "soap12", "Soap12"),
        port("soap", "Soap11"),
        port("soap12", "Soap12"),
    )
}
