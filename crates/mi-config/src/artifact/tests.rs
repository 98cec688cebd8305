use super::*;
use crate::api::{ResourceMatch, Version};
use crate::local_entry::LocalEntryValue;
use crate::params::ParameterValue;
use crate::proxy::WsdlSource;
use crate::sequence::SequenceRef;
use crate::task::{TaskPropertyValue, Trigger};

const NS: &str = "xmlns='http://ws.apache.org/ns/synapse'";

fn read(xml: &str) -> (Vec<Artifact>, Vec<String>) {
    let (artifacts, found) = parse_artifact(SourceFile::new("a.xml", xml.to_owned()));
    (artifacts, found.iter().map(ToString::to_string).collect())
}

/// One artifact without any finding.
#[track_caller]
fn one(xml: &str) -> Artifact {
    let (mut artifacts, found) = read(xml);
    assert_eq!(found, Vec::<String>::new(), "{xml}");
    assert_eq!(artifacts.len(), 1, "{xml}");
    artifacts.remove(0)
}

/// No artifact, and an error that contains `expected`.
#[track_caller]
fn refused(xml: &str, expected: &str) {
    let (artifacts, found) = read(xml);
    assert!(artifacts.is_empty(), "{xml} gave {artifacts:?}");
    assert!(found.iter().any(|it| it.contains(expected)), "{xml} gave {found:?}");
}

/// An artifact with warnings that are exactly these.
#[track_caller]
fn tolerated(xml: &str, expected: &[&str]) {
    let (artifacts, found) = read(xml);
    assert_eq!((artifacts.len(), found), (1, expected.iter().map(|it| (*it).to_owned()).collect()), "{xml}");
}

#[test]
fn the_root_decides_the_kind() {
    for (xml, kind, name) in [
        ("<sequence name='s'><log/></sequence>", ArtifactKind::Sequence, "s"),
        ("<localEntry key='k'>v</localEntry>", ArtifactKind::LocalEntry, "k"),
        ("<endpoint name='e'><default/></endpoint>", ArtifactKind::Endpoint, "e"),
        ("<template name='t'><sequence/></template>", ArtifactKind::SequenceTemplate, "t"),
        ("<template name='t'><endpoint><default/></endpoint></template>", ArtifactKind::EndpointTemplate, "t"),
        ("<messageStore name='m'/>", ArtifactKind::MessageStore, "m"),
        ("<import name='http' package='org.wso2' status='enabled'/>", ArtifactKind::Import, "{org.wso2}http"),
        ("<eventSource name='e'/>", ArtifactKind::EventSource, "e"),
        ("<registry provider='P'><parameter name='a'>1</parameter></registry>", ArtifactKind::Registry, "P"),
        ("<data name='d'/>", ArtifactKind::DataService, "d"),
        ("<datasource><name>d</name></datasource>", ArtifactKind::DataSource, "d"),
    ] {
        let (tag, rest) = xml.split_at(xml.find([' ', '>']).unwrap());
        for xml in [xml.to_owned(), format!("{tag} {NS}{rest}")] {
            let artifact = one(&xml);
            assert_eq!((artifact.kind(), artifact.name()), (kind, name), "{xml}");
        }
    }
    refused("<sequense name='s'/>", "<sequense> is not a kind of artifact");
    refused("<sequence key='s'/>", "a reference to a sequence cannot stand at the top level");
    refused("<endpoint><default/></endpoint>", "an endpoint at the top level needs a name");
    refused("<o:sequence xmlns:o='urn:o' name='a'/>", "is no artifact");
    refused("<sequence name='a'>", "");
}

#[test]
fn definitions_hold_many_and_lose_only_the_bad_ones() {
    let (artifacts, found) = read(&format!(
        "<definitions {NS}><description>d</description><sequence name='a'/><proxy name='p'/><sequence name='b'/></definitions>"
    ));
    assert_eq!(artifacts.iter().map(Artifact::name).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("a proxy needs a <target>"));
}

#[test]
fn source_text_is_kept_verbatim() {
    let xml = "<?xml version='1.0'?>\n<!-- c -->\n<sequence  name='s' ><log/></sequence>";
    assert_eq!(one(xml).source_text(), "<sequence  name='s' ><log/></sequence>");
    assert_eq!(one(xml).position(), (3, 1));
    tolerated("<sequence name='s'/></sequence>", &["a.xml:1:21: text behind the end of the root element is ignored"]);
}

#[test]
fn apis_with_resources_and_versions() {
    let Artifact::Api(api) = one(
        "<api name='A' context='/a/{version}/' version='1.0' version-type='context' binds-to='default, in1' port='8290'>\
         <resource methods='GET POST' uri-template='/{id}'><inSequence><respond/></inSequence></resource>\
         <resource url-mapping='/x/*' inSequence='s' binds-to='in1' protocol='https'/><resource/>\
         <handlers><handler class='H'><property name='n' value='v'/></handler></handlers></api>",
    ) else {
        panic!("an API is expected")
    };
    assert_eq!((api.context.as_str(), api.port, api.binds_to.len()), ("/a/{version}", Some(8290), 2));
    assert_eq!(api.version, Version::Context("1.0".to_owned()));
    assert_eq!(api.resources[0].methods, ["GET", "POST"]);
    assert!(matches!(&api.resources[0].matches, ResourceMatch::UriTemplate(it) if it.source() == "/{id}"));
    assert!(matches!(&api.resources[0].in_sequence, Some(SequenceRef::Inline(body)) if body.mediators().count() == 1));
    assert!(matches!(&api.resources[1].in_sequence, Some(SequenceRef::Key(key)) if key == "s"));
    assert!(matches!(api.resources[2].matches, ResourceMatch::Default));
    assert_eq!(api.handlers[0].properties, [("n".to_owned(), "v".to_owned())]);

    refused("<api name='A' context='/a'/>", "needs at least one <resource>");
    refused("<api name='A' context='a'><resource/></api>", "must begin with '/'");
    refused("<api name='A' context='/a' version='1'><resource/></api>", "needs the attribute 'version-type'");
    refused("<api name='A' context='/a'><resource methods='GET GET'/></api>", "unknown or repeated method 'GET'");
    refused("<api name='A' context='/a'><resource uri-template='{x}'/></api>", "is not valid");
    refused("<api name='A' context='/a' transports='ftp'><resource/></api>", "unknown protocol 'ftp'");
    refused("<api name='A' context='/a' binds-to='x'><resource binds-to='y'/></api>", "must be a part");
    tolerated(
        "<api name='A' context='/a'><resource><inSequenc/></resource></api>",
        &["a.xml:1:38: <inSequenc> inside <resource> has no effect (did you mean 'inSequence'?)"],
    );
}

#[test]
fn proxies_with_targets_wsdl_and_parameters() {
    let Artifact::Proxy(proxy) = one("<proxy name='P' transports='http, https' startOnLoad='false'>\
         <target inSequence='in' faultSequence='f'><endpoint key='e'/></target>\
         <publishWSDL key='w'><resource location='a.xsd' key='k'/></publishWSDL>\
         <policy key='pol' type='in' operationName='op'/><parameter name='p'> v </parameter>\
         <parameter name='x'><a/></parameter><enableSec/><description>d</description></proxy>")
    else {
        panic!("a proxy is expected")
    };
    assert_eq!((proxy.transports.len(), proxy.start_on_load, proxy.enable_security), (2, false, true));
    assert!(matches!(&proxy.target.endpoint, Some(crate::EndpointRef::Key(key)) if key == "e"));
    let wsdl = proxy.publish_wsdl.as_ref().unwrap();
    assert!(matches!(&wsdl.source, WsdlSource::Key(key) if key == "w"));
    assert_eq!((wsdl.resources.len(), proxy.parameter("p"), proxy.description.as_deref()), (1, Some("v"), Some("d")));
    assert!(matches!(proxy.parameters[1].value, ParameterValue::Xml(_)));
    refused("<proxy name='P'><target outSequence='o'/></proxy>", "needs an inSequence, an endpoint, or both");
    refused("<proxy name='P'><target inSequence='o'/><policy/></proxy>", "needs the attribute 'key'");
    refused("<proxy><target inSequence='o'/></proxy>", "needs the attribute 'name'");
    tolerated(
        "<proxy name='P' ransports='http'><target inSequence='o'/> /></proxy>",
        &[
            "a.xml:1:1: attribute 'ransports' of <proxy> has no effect (did you mean 'transports'?)",
            "a.xml:1:1: text '/>' inside <proxy> has no effect",
        ],
    );
}

#[test]
fn local_entries() {
    let value = |xml: &str| match one(xml) {
        Artifact::LocalEntry(entry) => entry.value,
        other => panic!("{other:?}"),
    };
    assert!(matches!(value("<localEntry key='k'> t </localEntry>"), LocalEntryValue::Text(text) if text == "t"));
    assert!(
        matches!(value("<localEntry key='k'><![CDATA[<a>]]></localEntry>"), LocalEntryValue::Text(t) if t == "<a>")
    );
    assert!(
        matches!(value("<localEntry key='k' src='file:a.xsl'/>"), LocalEntryValue::Url(url) if url == "file:a.xsl")
    );
    assert!(matches!(value("<localEntry key='k'/>"), LocalEntryValue::Empty));
    let xml = value("<localEntry key='k'><description/><mail.init><name>c</name></mail.init></localEntry>");
    assert!(matches!(&xml, LocalEntryValue::Xml(element) if element.name() == "mail.init"));
    refused("<localEntry>t</localEntry>", "needs the attribute 'key'");
}

#[test]
fn tasks_and_their_triggers() {
    let trigger = |trigger: &str| {
        let xml = format!("<task name='t' class='C'>{trigger}<property name='m'><a/></property></task>");
        match one(&xml) {
            Artifact::Task(task) => {
                assert!(matches!(task.property("m"), Some(TaskPropertyValue::Xml(_))));
                task.trigger
            }
            other => panic!("{other:?}"),
        }
    };
    let interval = |every_ms, count| Trigger::Interval { every_ms, count };
    assert_eq!(trigger("<trigger interval='5'/>"), interval(5000, None));
    assert_eq!(trigger("<trigger interval='5' count='3'/>"), interval(5000, Some(3)));
    assert_eq!(trigger("<trigger interval='5' count='-1'/>"), interval(5000, None));
    assert_eq!(trigger("<trigger once='true'/>"), interval(1000, Some(1)));
    assert_eq!(trigger("<trigger/>"), interval(1000, Some(1)));
    assert_eq!(trigger(""), interval(1000, Some(1)));
    assert_eq!(trigger("<trigger cron='0/5 * * * * ?'/>"), Trigger::Cron("0/5 * * * * ?".to_owned()));
    refused("<task name='t'><trigger cron='x' interval='1'/></task>", "either 'cron' or");
    refused("<task name='t'><trigger count='2'/></task>", "needs an 'interval'");
    refused("<task name='t'><trigger interval='x'/></task>", "must be a whole number");
    refused("<task name='t'><property name='p' expression='x'/></task>", "are static");
}

#[test]
fn stores_processors_and_inbounds() {
    let Artifact::MessageStore(store) = one(
        "<messageStore name='s' class='org.wso2.carbon.message.store.persistence.jms.JMSMessageStore'>\
         <parameter name='a'>1</parameter><parameter name='b' expression='//x'/><parameter name='c' key='k'/></messageStore>",
    ) else {
        panic!("a store is expected")
    };
    assert_eq!(store.class, "org.apache.synapse.message.store.impl.jms.JmsStore");
    assert_eq!(store.parameter("a"), Some("1"));
    assert!(matches!(store.parameters[1].value, ParameterValue::Expression(_)));
    assert!(matches!(&store.parameters[2].value, ParameterValue::Key(key) if key == "k"));

    let Artifact::MessageProcessor(processor) = one(
        "<messageProcessor name='p' class='C' messageStore='s' targetEndpoint='e'><parameter name='interval'>1</parameter></messageProcessor>",
    ) else {
        panic!("a processor is expected")
    };
    assert_eq!((processor.store.as_str(), processor.target_endpoint.as_deref()), ("s", Some("e")));
    refused("<messageProcessor name='p' class='C'/>", "needs the attribute 'messageStore'");

    let Artifact::InboundEndpoint(inbound) =
        one("<inboundEndpoint name='i' protocol='http' sequence='s' onError='f' suspend='true'>\
         <parameters><parameter name='inbound.http.port'>8085</parameter></parameters></inboundEndpoint>")
    else {
        panic!("an inbound endpoint is expected")
    };
    assert_eq!((inbound.parameter("inbound.http.port"), inbound.suspend), (Some("8085"), true));
}
