use std::collections::BTreeMap;

use super::*;
use crate::source::SourceFile;
use crate::template::EndpointTemplateConfig;

fn read(inner: &str) -> (Option<EndpointConfig>, Diagnostics) {
    let xml = format!("<endpoint name='e'>{inner}</endpoint>");
    let (root, _) = Element::parse(SourceFile::new("e.xml", xml)).unwrap();
    let mut out = Diagnostics::new();
    (EndpointConfig::parse(&root, &mut out), out)
}

#[track_caller]
fn kind(inner: &str) -> EndpointKind {
    let (endpoint, out) = read(inner);
    assert!(out.is_empty(), "{inner}: {:?}", out.iter().map(ToString::to_string).collect::<Vec<_>>());
    endpoint.unwrap().kind
}

#[track_caller]
fn refused(inner: &str, expected: &str) {
    let (endpoint, out) = read(inner);
    assert!(endpoint.is_none(), "{inner}");
    assert!(out.iter().any(|it| it.to_string().contains(expected)), "{inner}: {out:?}");
}

#[test]
fn addresses_with_quality_of_service() {
    let EndpointKind::Address(it) = kind(
        "<address uri=' http://h/p ' format='soap11' optimize='mtom' encoding='UTF-8'>\
         <enableAddressing version='submission' separateListener='true'/><enableSec policy='p'/>\
         <timeout><duration>5000</duration><responseAction>fault</responseAction></timeout>\
         <markForSuspension><errorCodes>101504, 101505</errorCodes><retriesBeforeSuspension>3</retriesBeforeSuspension>\
         <retryDelay>10</retryDelay></markForSuspension>\
         <suspendOnFailure><errorCodes>101503</errorCodes><initialDuration>-1</initialDuration>\
         <progressionFactor>1.5</progressionFactor><maximumDuration>60000</maximumDuration></suspendOnFailure>\
         <retryConfig><disabledErrorCodes>1,2</disabledErrorCodes></retryConfig></address>",
    ) else {
        panic!("an address is expected")
    };
    assert_eq!(
        (it.uri.as_str(), it.qos.format, it.qos.optimize),
        ("http://h/p", Some(Format::Soap11), Some(Optimize::Mtom))
    );
    assert_eq!(it.qos.addressing, Some(Addressing { submission: true, separate_listener: true }));
    assert!(matches!(it.qos.timeout.duration, Some(TimeoutDuration::Millis(5000))));
    assert_eq!(it.qos.timeout.action, TimeoutAction::Fault);
    assert_eq!(
        it.qos.suspension,
        Suspension {
            timeout_codes: vec![101_504, 101_505],
            retries_before_suspension: 3,
            retry_delay_ms: 10,
            suspend_codes: vec![101_503],
            initial_ms: Some(-1),
            progression_factor: Some(1.5),
            maximum_ms: 60_000,
            retry_disabled_codes: vec![1, 2],
            retry_enabled_codes: Vec::new(),
        }
    );
    refused("<address/>", "needs the attribute 'uri'");
    refused("<address uri='x'><timeout><duration>soon</duration></timeout></address>", "must be a number");
    refused(
        "<address uri='x'><timeout><responseAction>wait</responseAction></timeout></address>",
        "unknown responseAction",
    );
    refused("<address uri='$SYSTEM:NONE'/>", "Environment variable NONE could not be found");
}

#[test]
fn the_deprecated_suspension_is_in_seconds() {
    let (endpoint, out) = read("<address uri='x'><suspendDurationOnFailure>30</suspendDurationOnFailure></address>");
    let Some(EndpointKind::Address(it)) = endpoint.map(|it| it.kind) else { panic!("an address is expected") };
    assert_eq!(it.qos.suspension.initial_ms, Some(30_000));
    assert!(!out.has_errors() && out.len() == 1);
}

#[test]
fn http_endpoints() {
    let EndpointKind::Http(it) = kind(
        "<http uri-template='http://h/{uri.var.a}' method='get'><authentication><oauth><clientCredentials>\
         <clientId>i</clientId><clientSecret>s</clientSecret><tokenUrl>http://t</tokenUrl><authMode>Payload</authMode>\
         <requestParameters><parameter name='scope'>x</parameter></requestParameters>\
         </clientCredentials></oauth></authentication></http>",
    ) else {
        panic!("an HTTP endpoint is expected")
    };
    assert_eq!(it.method.as_deref(), Some("GET"));
    assert_eq!(it.uri.unwrap().source(), "http://h/{uri.var.a}");
    let Some(Authentication::OAuth(oauth)) = it.authentication else { panic!("OAuth is expected") };
    assert!(oauth.credentials_in_body && matches!(oauth.grant, OAuthGrant::ClientCredentials));
    assert_eq!(oauth.request_parameters.len(), 1);
    refused("<http uri-template='http://{h'/>", "is not valid");
    refused("<http version='3'/>", "no HTTP version");
    refused("<http><authentication><oauth/></authentication></http>", "exactly one of");
    refused(
        "<http><authentication><basicAuth><username>u</username></basicAuth></authentication></http>",
        "needs <password>",
    );
}

#[test]
fn groups() {
    let EndpointKind::LoadBalance(it) = kind(
        "<session type='http'><sessionTimeout>100</sessionTimeout></session>\
         <loadbalance algorithm='org.apache.synapse.endpoints.algorithms.WeightedRoundRobin' failover='false'>\
         <endpoint><address uri='a'/><property name='loadbalance.weight' value='2'/></endpoint><endpoint key='b'/></loadbalance>",
    ) else {
        panic!("a load balance is expected")
    };
    assert_eq!((it.children.len(), it.failover, it.algorithm), (2, false, LoadBalanceAlgorithm::WeightedRoundRobin));
    assert_eq!(it.session, Some(Session { kind: SessionKind::Http, timeout_ms: Some(100) }));
    assert!(matches!(&it.children[0].properties[0].value, PropertyValue::Text(weight) if weight == "2"));
    let EndpointKind::Failover(it) = kind("<failover dynamic='false'><endpoint><default/></endpoint></failover>")
    else {
        panic!("a failover is expected")
    };
    assert!(!it.dynamic);
    let EndpointKind::RecipientList(it) =
        kind("<recipientlist><endpoints value='{//a}' max-cache='5'/></recipientlist>")
    else {
        panic!("a recipient list is expected")
    };
    assert!(it.dynamic.is_some() && it.max_cache == 5);
    let EndpointKind::LoadBalance(it) =
        kind("<loadbalance><member hostName='h' httpPort='1' httpsPort=''/></loadbalance>")
    else {
        panic!("a load balance is expected")
    };
    assert_eq!(it.members, [Member { host: "h".to_owned(), http_port: Some(1), https_port: None }]);
    refused("<loadbalance/>", "needs at least one");
    refused("<loadbalance policy='x'><endpoint key='a'/></loadbalance>", "unknown policy");
    refused("<loadbalance algorithm='my.Own'><endpoint key='a'/></loadbalance>", "does not exist here");
    refused("<failover><endpoint key='a'/><endpoint key='a'/></failover>", "is named twice");
    refused("<failover><endpoint><address/></endpoint></failover>", "needs the attribute 'uri'");
    refused("<dynamicLoadbalance/>", "needs Axis2 clustering");
    refused("", "has no form that is known");
}

#[test]
fn nesting_is_capped() {
    let deep = format!("{}<default/>{}", "<failover><endpoint>".repeat(40), "</endpoint></failover>".repeat(40));
    refused(&deep, "nested more than 32 deep");
}

#[test]
fn templates_are_filled_in() {
    let xml = "<template name='t'><parameter name='p'/><parameter name='d'/><endpoint name='$name'>\
               <address uri='$uri'><timeout><duration>$d</duration></timeout></address>\
               <property name='x' value='$p'/><property name='y' value='$q'/></endpoint></template>";
    let (root, _) = Element::parse(SourceFile::new("t.xml", xml)).unwrap();
    let mut out = Diagnostics::new();
    let template = EndpointTemplateConfig::parse(&root, &mut out).unwrap();
    let mut values: BTreeMap<String, String> = [("name", "n"), ("uri", "http://h"), ("p", "1"), ("d", "9"), ("q", "2")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    let endpoint = template.instantiate(&values).unwrap();
    assert_eq!(endpoint.name.as_deref(), Some("n"));
    let EndpointKind::Address(address) = &endpoint.kind else { panic!("an address is expected") };
    assert!(address.uri == "http://h" && matches!(address.qos.timeout.duration, Some(TimeoutDuration::Millis(9))));
    assert!(matches!(&endpoint.properties[0].value, PropertyValue::Text(text) if text == "1"));
    assert!(matches!(&endpoint.properties[1].value, PropertyValue::Text(text) if text == "$q"));
    values.insert("d".to_owned(), "x".to_owned());
    assert!(template.instantiate(&values).is_err());
    let EndpointKind::Address(again) = template
        .instantiate(&{
            values.insert("d".to_owned(), "10".to_owned());
            values
        })
        .unwrap()
        .kind
    else {
        panic!("an address is expected")
    };
    assert!(matches!(again.qos.timeout.duration, Some(TimeoutDuration::Millis(10))));
}
