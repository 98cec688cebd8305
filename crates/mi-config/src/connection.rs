//! The endpoint of a connection of the http connector: a local entry with `<http.init>` brings one.
//! MI: `LocalEntryDeployer#deployEndpointsForHTTPConnection`, `HTTPConnectionUtils`.

use std::fmt::Write;

use crate::element::Element;
use crate::local_entry::LocalEntryConfig;
use crate::source::SourceFile;

/// What the templates of the connector call their endpoint: the name of the connection with this behind it.
const ENDPOINT: &str = "_INTERNAL_ENDPOINT_REFERENCE";

/// The endpoint as a file, for a local entry that is a connection of the http connector.
pub(crate) fn endpoint(entry: &LocalEntryConfig) -> Option<SourceFile> {
    let init = entry.connection().filter(|it| it.name() == "http.init")?;
    let of = |name: &str| init.child(name).map(|it| it.text()).filter(|text| !text.trim().is_empty());
    let mut xml = String::from("<endpoint xmlns=\"http://ws.apache.org/ns/synapse\"");
    attribute(&mut xml, "name", &format!("{}{ENDPOINT}", of("name").unwrap_or_default()));
    xml.push_str("><http uri-template=\"{uri.var.base}{+uri.var.path}{+uri.var.query}\"");
    for switch in ["trace", "statistics"] {
        if is(init, switch, "enable") {
            attribute(&mut xml, switch, "enable");
        }
    }
    xml.push('>');
    quality(init, &of, &mut xml);
    let action = of("timeoutAction").filter(|it| !it.eq_ignore_ascii_case("never"));
    group(&mut xml, "timeout", &[("duration", of("timeoutDuration")), ("responseAction", action)]);
    group(
        &mut xml,
        "suspendOnFailure",
        &[
            ("errorCodes", of("suspendErrorCodes")),
            ("initialDuration", of("suspendInitialDuration")),
            ("progressionFactor", of("suspendProgressionFactor")),
            ("maximumDuration", of("suspendMaximumDuration")),
        ],
    );
    group(
        &mut xml,
        "markForSuspension",
        &[
            ("errorCodes", of("retryErrorCodes")),
            ("retriesBeforeSuspension", of("retryCount")),
            ("retryDelay", of("retryDelay")),
        ],
    );
    authentication(init, &of, &mut xml);
    xml.push_str("</http>");
    for property in of("miscellaneousProperties").unwrap_or_default().split(',') {
        if let [name, scope, value] = property.split(':').map(str::trim).collect::<Vec<_>>()[..] {
            xml.push_str("<property");
            for (attr, text) in [("name", name), ("scope", scope), ("value", value)] {
                attribute(&mut xml, attr, text);
            }
            xml.push_str("/>");
        }
    }
    group_item(&mut xml, "description", of("miscellaneousDescription"));
    xml.push_str("</endpoint>");
    let source = entry.element.source();
    Some(SourceFile::new(source.name.clone(), xml.into_bytes()).in_scope(source.scope.clone()))
}

fn is(init: &Element, name: &str, value: &str) -> bool {
    init.child(name).is_some_and(|it| it.text().trim().eq_ignore_ascii_case(value))
}

fn quality(init: &Element, of: &dyn Fn(&str) -> Option<String>, xml: &mut String) {
    if is(init, "qualityServiceAddressOption", "enable") {
        xml.push_str("<enableAddressing");
        if is(init, "qualityServiceAddressSeparateListener", "enable") {
            attribute(xml, "separateListener", "true");
        }
        if let Some(version) = of("qualityServiceAddressVersion") {
            attribute(xml, "version", &version);
        }
        xml.push_str("/>");
    }
    if is(init, "qualityServiceSecurityOption", "enable") {
        xml.push_str("<enableSec");
        for (name, key) in [
            ("inboundPolicy", "qualityServiceSecurityInboundPolicyKey"),
            ("outboundPolicy", "qualityServiceSecurityOutboundPolicyKey"),
            ("policy", "qualityServiceSecurityPolicyKey"),
        ] {
            if let Some(key) = of(key) {
                attribute(xml, name, &key);
            }
        }
        xml.push_str("/>");
    }
}

fn authentication(init: &Element, of: &dyn Fn(&str) -> Option<String>, xml: &mut String) {
    let account = || vec![("username", of("username")), ("password", of("password"))];
    if is(init, "authType", "Basic Auth") {
        xml.push_str("<authentication>");
        group(xml, "basicAuth", &account());
        xml.push_str("</authentication>");
        return;
    }
    let grant = of("oauthGrantType").unwrap_or_default().to_ascii_lowercase();
    let (name, mut fields) = match grant.trim() {
        "authorization code" => ("authorizationCode", vec![("refreshToken", of("refreshToken"))]),
        "client credentials" => ("clientCredentials", Vec::new()),
        "password" => ("passwordCredentials", account()),
        _ => return,
    };
    if !is(init, "authType", "OAuth") {
        return;
    }
    fields.extend([
        ("clientId", of("clientId")),
        ("clientSecret", of("clientSecret")),
        ("tokenUrl", of("tokenUrl")),
        ("authMode", of("oauthAuthorizationMode")),
        ("connectionTimeout", of("oauthConnectionTimeout")),
        ("connectionRequestTimeout", of("oauthConnectionRequestTimeout")),
        ("socketTimeout", of("oauthSocketTimeout")),
    ]);
    // A string cannot fail to be written to.
    let _ok = write!(xml, "<authentication><oauth><{name}>");
    for (name, text) in fields {
        group_item(xml, name, text);
    }
    // `name:value,name:value`
    if let Some(more) = of("additionalProperties") {
        xml.push_str("<requestParameters>");
        for (name, value) in more.split(',').filter_map(|pair| pair.split_once(':')) {
            xml.push_str("<parameter");
            attribute(xml, "name", name.trim());
            let _ok = write!(xml, ">{}</parameter>", escaped(value.trim()));
        }
        xml.push_str("</requestParameters>");
    }
    let _ok = write!(xml, "</{name}></oauth></authentication>");
}

fn group(xml: &mut String, name: &str, items: &[(&str, Option<String>)]) {
    if items.iter().all(|(_, text)| text.is_none()) {
        return;
    }
    // A string cannot fail to be written to.
    let _ok = write!(xml, "<{name}>");
    for (item, text) in items {
        group_item(xml, item, text.clone());
    }
    let _ok = write!(xml, "</{name}>");
}

fn group_item(xml: &mut String, name: &str, text: Option<String>) {
    if let Some(text) = text {
        let _ok = write!(xml, "<{name}>{}</{name}>", escaped(&text));
    }
}

fn attribute(xml: &mut String, name: &str, value: &str) {
    let _ok = write!(xml, " {name}=\"{}\"", escaped(value));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use crate::artifact::{Artifact, parse_artifact};
    use crate::source::SourceFile;

    /// The endpoint that a connection with `children` brings.
    fn endpoint(children: &str) -> String {
        let xml = format!("<localEntry key='C'><http.init><name>C&amp;D</name>{children}</http.init></localEntry>");
        let (artifacts, found) = parse_artifact(SourceFile::new("c.xml", xml.into_bytes()));
        assert!(!found.iter().any(crate::Diagnostic::is_error), "{found:?}");
        let [Artifact::LocalEntry(_), Artifact::Endpoint(endpoint)] = &artifacts[..] else { panic!("{artifacts:?}") };
        assert_eq!(endpoint.name.as_deref(), Some("C&D_INTERNAL_ENDPOINT_REFERENCE"));
        endpoint.element.to_xml()
    }

    #[test]
    fn a_connection_brings_an_endpoint() {
        let xml = endpoint("<baseUrl>http://a</baseUrl><timeoutAction>Never</timeoutAction>");
        assert!(
            xml.ends_with("<http uri-template=\"{uri.var.base}{+uri.var.path}{+uri.var.query}\"></http></endpoint>"),
            "{xml}"
        );
        let xml = endpoint(
            "<timeoutDuration>5000</timeoutDuration><timeoutAction>Fault</timeoutAction><retryCount>2</retryCount>\
             <suspendInitialDuration>7</suspendInitialDuration><authType>Basic Auth</authType><username>u</username>\
             <password>p</password><miscellaneousProperties>a:transport:1,x</miscellaneousProperties>",
        );
        for part in [
            "<timeout><duration>5000</duration><responseAction>Fault</responseAction></timeout>",
            "<suspendOnFailure><initialDuration>7</initialDuration></suspendOnFailure>",
            "<markForSuspension><retriesBeforeSuspension>2</retriesBeforeSuspension></markForSuspension>",
            "<authentication><basicAuth><username>u</username><password>p</password></basicAuth></authentication>",
            "</http><property name=\"a\" scope=\"transport\" value=\"1\"/></endpoint>",
        ] {
            assert!(xml.contains(part), "{part}: {xml}");
        }
        let xml = endpoint(
            "<authType>OAuth</authType><oauthGrantType>Client Credentials</oauthGrantType><clientId>i</clientId>\
             <clientSecret>s</clientSecret><tokenUrl>http://t</tokenUrl><additionalProperties>scope:a</additionalProperties>",
        );
        let oauth = "<oauth><clientCredentials><clientId>i</clientId><clientSecret>s</clientSecret><tokenUrl>http://t</tokenUrl>\
            <requestParameters><parameter name=\"scope\">a</parameter></requestParameters></clientCredentials></oauth>";
        assert!(xml.contains(oauth), "{xml}");
    }
}
