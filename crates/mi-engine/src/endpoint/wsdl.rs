//! The address that the WSDL of an endpoint gives for a service and a port. MI: `WSDL11EndpointBuilder`.

use mi_config::Element;
use mi_config::endpoint::WsdlEndpoint;
use mi_message::Value;
use mi_xml::{Document, NodeId};

use crate::build::BuildCx;

/// Largest WSDL that is read from a file.
const MAX_BYTES: usize = 16 << 20;

/// Where messages for the endpoint go; else why that is not known, which is reported.
pub(super) fn address(config: &WsdlEndpoint, element: &Element, cx: &mut BuildCx<'_>) -> Result<String, String> {
    find_address(config, cx).inspect_err(|reason| {
        let hint = "messages that are sent to it get a fault";
        cx.report(element.warning(format!("the wsdl endpoint has no address: {reason}")).hint(hint));
    })
}

/// A WSDL inside the endpoint and a `file:` below the home folder are read when the endpoint is deployed. That of a
/// server is not asked for: its usual place is the service itself with `?wsdl`.
fn find_address(config: &WsdlEndpoint, cx: &BuildCx<'_>) -> Result<String, String> {
    let (service, port) = (config.service.as_deref(), config.port.as_deref());
    if let Some(inline) = &config.inline {
        let found = find_port(inline.document(), inline.node(), service, port);
        return found.ok_or_else(|| "the inline WSDL has no such service and port with an address".to_owned());
    }
    let uri = config.uri.as_deref().ok_or("the wsdl endpoint names no WSDL")?;
    if !uri.starts_with("file:") {
        return Ok(uri.split("?wsdl").next().unwrap_or(uri).to_owned());
    }
    let read = match cx.resource(uri) {
        Some(Value::String(text)) if text.len() > MAX_BYTES => {
            return Err(format!("the WSDL {uri} is larger than {MAX_BYTES} bytes"));
        }
        Some(text) => text.to_text().into_owned(),
        None => return Err(format!("the WSDL {uri} cannot be read; relative paths start at the home folder")),
    };
    let document = Document::parse(read.into_bytes()).map_err(|error| format!("the WSDL {uri}: {error}"))?;
    let root = document.root_element().ok_or_else(|| format!("the WSDL {uri} is empty"))?;
    let found = find_port(&document, root, service, port);
    found.ok_or_else(|| format!("the WSDL {uri} has no such service and port with an address"))
}

fn find_port(document: &Document, definitions: NodeId, service: Option<&str>, port: Option<&str>) -> Option<String> {
    let named = |node, wanted: Option<&str>| {
        wanted.is_none_or(|wanted| document.attribute(node, "", "name").is_some_and(|name| name == wanted))
    };
    let services = document.child_elements(definitions).filter(|it| document.local_name(*it) == "service");
    for found in services.filter(|it| named(*it, service)) {
        for candidate in
            document.child_elements(found).filter(|it| document.local_name(*it) == "port" && named(*it, port))
        {
            let mut children = document.child_elements(candidate);
            if let Some(address) = children.find(|it| document.local_name(*it) == "address") {
                return document.attribute(address, "", "location").map(|location| location.into_owned());
            }
        }
    }
    None
}
