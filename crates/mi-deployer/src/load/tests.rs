use super::*;
use crate::testkit::{Part as Entry, TempDir, car, zip};

const NS: &str = "xmlns='http://ws.apache.org/ns/synapse'";

fn load_home(dir: &TempDir) -> LoadedDeployment {
    load(&Home::locate(dir.path()), &Deployment::default(), &Environment::default())
}

fn names(loaded: &LoadedDeployment) -> Vec<&str> {
    loaded.artifacts.iter().map(|it| it.artifact.name()).collect()
}

fn sequence(name: &str) -> String {
    format!("<sequence {NS} name='{name}'/>")
}

/// The reasons of the only faulty application.
#[track_caller]
fn only_fault(loaded: &LoadedDeployment) -> String {
    assert_eq!(loaded.faulty.len(), 1, "{:?}", loaded.faulty);
    loaded.faulty[0].reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn both_layouts_are_read_and_an_empty_home_is_fine() {
    let dir = TempDir::new();
    assert!(load_home(&dir).artifacts.is_empty());
    dir.write("deployment/synapse-configs/sequences/a.xml", sequence("a"));
    dir.write("repository/deployment/server/synapse-configs/default/sequences/b.xml", sequence("b"));
    dir.write("repository/deployment/server/synapse-configs/default/sequences/b.xml.bak", "x");
    dir.write("repository/deployment/server/dataservices/d.dbs", "<data name='d'/>");
    dir.write("carbonapps/c.car", car("C", &[("c", "synapse/sequence", "c.xml", &sequence("c"))]));
    assert_eq!(names(&load_home(&dir)), ["c", "d", "b", "a"]);
}

#[test]
fn data_sources_of_the_configuration_folder() {
    let dir = TempDir::new();
    dir.write(
        "conf/datasources/test-datasources.xml",
        "<datasources-configuration><providers/><datasources><datasource><name>A</name></datasource>\
         <datasource><description>without a name</description></datasource></datasources></datasources-configuration>",
    );
    dir.write("conf/datasources/notes.xml", "no XML");
    let loaded = load_home(&dir);
    assert_eq!(names(&loaded), ["A"]);
    assert_eq!(loaded.diagnostics.len(), 1, "{:?}", loaded.diagnostics);
    assert!(loaded.diagnostics[0].to_string().contains("a data source needs a <name>"));
}

#[test]
fn applications_come_by_file_name_and_a_bad_one_harms_no_other() {
    let dir = TempDir::new();
    let (one, two) = (sequence("one"), sequence("two"));
    dir.write("carbonapps/b.car", car("B", &[("two", "synapse/sequence", "s.xml", &two)]));
    dir.write("carbonapps/a.car", car("A", &[("one", "synapse/sequence", "s.xml", &one)]));
    dir.write("carbonapps/bad.car", "no archive");
    let broken = "<api name='x' context='x'/>";
    dir.write(
        "carbonapps/c.car",
        car("C", &[("r", "registry/resource", "registry-info.xml", ""), ("x", "synapse/api", "x.xml", broken)]),
    );
    let loaded = load_home(&dir);
    assert_eq!(names(&loaded), ["one", "two"]);
    assert_eq!(loaded.applications.iter().map(|it| &*it.id).collect::<Vec<_>>(), ["A_1.0.0", "B_1.0.0"]);
    let faulty: Vec<(&str, usize)> = loaded.faulty.iter().map(|it| (it.name.as_str(), it.reasons.len())).collect();
    assert_eq!(faulty[0].0, "bad");
    assert_eq!(faulty[1].0, "C");
    let reasons: Vec<String> = loaded.faulty[1].reasons.iter().map(ToString::to_string).collect();
    assert!(reasons.iter().any(|it| it.starts_with("c.car!/x_1.0.0/x.xml:1:1: the context")), "{reasons:?}");
    assert!(reasons.iter().any(|it| it.contains("registry-info.xml")), "{reasons:?}");
}

#[test]
fn duplicates_belong_to_the_first_and_name_both() {
    let dir = TempDir::new();
    let same = sequence("same");
    let part: [Entry<'_>; 1] = [("s", "synapse/sequence", "s.xml", &same)];
    dir.write("carbonapps/a.car", car("A", &part));
    dir.write("carbonapps/b.car", car("B", &part));
    dir.write("deployment/synapse-configs/sequences/s.xml", &same);
    let loaded = load_home(&dir);
    assert_eq!(names(&loaded), ["same"]);
    let fault = only_fault(&loaded);
    assert!(
        fault.contains("b.car!/s_1.0.0/s.xml:1:1: the sequence same is already deployed from the application A_1.0.0")
    );
    assert_eq!(loaded.diagnostics.len(), 1, "{:?}", loaded.diagnostics);
    dir.write("carbonapps/b.car", car("A", &[]));
    assert!(only_fault(&load_home(&dir)).contains("the application A_1.0.0 is already deployed from a.car"));
}

#[test]
fn configs_are_values_from_outside_that_artifacts_read() {
    let dir = TempDir::new();
    dir.write("conf/file.properties", "host=http://h\n");
    let endpoint = |key: &str| format!("<endpoint {NS} name='e'><address uri='${{configs.{key}}}'/></endpoint>");
    let make = |key: &str| {
        car(
            "A",
            &[
                ("config", "config/property", "config.properties", "host:string\nca:cert\n"),
                ("e", "synapse/endpoint", "e.xml", &endpoint(key)),
            ],
        )
    };
    dir.write("carbonapps/a.car", make("host"));
    let home = Home::locate(dir.path());
    let variables = [("ca".to_owned(), "/ca.pem".to_owned())].into();
    let environment = Environment::new(&home, variables, BTreeMap::new());
    let loaded = load(&home, &Deployment::default(), &environment);
    let Artifact::Endpoint(it) = &loaded.artifacts[0].artifact else { panic!("an endpoint is expected") };
    assert!(matches!(&it.kind, mi_config::EndpointKind::Address(address) if address.uri == "http://h"));
    assert_eq!(loaded.certificates, [Certificate { alias: "ca".to_owned(), path: "/ca.pem".to_owned() }]);
    assert_eq!(loaded.configs["host"], "http://h");
    dir.write("carbonapps/a.car", make("none"));
    assert!(only_fault(&load(&home, &Deployment::default(), &environment)).contains("Parameter key none"));
}

#[test]
fn registry_items_and_collections_are_readable() {
    let dir = TempDir::new();
    let application = "<artifacts><artifact name='A' version='1' type='carbon/application'>\
                       <dependency artifact='r' version='1'/></artifact></artifacts>";
    let info = "<resources><item><file>a.xsl</file><path>/_system/config/x</path><mediaType>application/xslt</mediaType>\
                <properties><property key='k' value='v'/></properties></item>\
                <item><file>gone</file><path>/_system/config/x</path></item>\
                <collection><directory>d</directory><path>/_system/governance/d</path></collection></resources>";
    let bytes = zip(&[
        ("artifacts.xml", application.as_bytes()),
        (
            "r_1/artifact.xml",
            b"<artifact name='r' version='1' type='registry/resource'><file>registry-info.xml</file></artifact>",
        ),
        ("r_1/registry-info.xml", info.as_bytes()),
        ("r_1/resources/a.xsl", b"<a/>"),
        ("r_1/resources/d/e/f.js", b"code"),
        ("r_1/resources/d/e/.meta/~f.js.xml", b"<resource><mediaType>text/js</mediaType></resource>"),
    ]);
    dir.write("carbonapps/a.car", bytes);
    let loaded = load_home(&dir);
    let item = loaded.registry.get("conf:x/a.xsl").unwrap();
    assert_eq!((item.media_type.as_deref(), item.properties["k"].as_str()), (Some("application/xslt"), "v"));
    let file = loaded.registry.get("gov:d/e/f.js").unwrap();
    assert_eq!((file.bytes.as_deref(), file.media_type.as_deref()), (Some(&b"code"[..]), Some("text/js")));
    assert_eq!(loaded.diagnostics.len(), 1, "{:?}", loaded.diagnostics);
}

#[test]
fn versioned_applications_find_each_other() {
    let dir = TempDir::new();
    let versioned = |id: &str, dependency: &str, part: &str, xml: &str| {
        let application = format!(
            "<artifacts><artifact name='{part}' version='1' type='carbon/application'><dependency artifact='{part}' version='1'/></artifact></artifacts>"
        );
        let descriptor =
            format!("<project><id>{id}</id><versionedDeployment>true</versionedDeployment>{dependency}</project>");
        zip(&[
            ("artifacts.xml", application.as_bytes()),
            ("descriptor.xml", descriptor.as_bytes()),
            (
                "p/artifact.xml",
                format!("<artifact name='{part}' version='1' type='synapse/x'><file>x.xml</file></artifact>")
                    .as_bytes(),
            ),
            ("p/x.xml", xml.as_bytes()),
        ])
    };
    let needs = "<dependencies><dependency groupId='g' artifactId='lib' version='2'/></dependencies>";
    let api = format!("<api {NS} name='A' context='/a'><resource inSequence='g__lib__s'/></api>");
    dir.write("carbonapps/a.car", versioned("g__app__1", needs, "A", &api));
    dir.write("carbonapps/b.car", versioned("g__lib__2", "", "s", &sequence("s")));
    let loaded = load_home(&dir);
    assert!(loaded.faulty.is_empty() && loaded.diagnostics.is_empty(), "{:?} {:?}", loaded.faulty, loaded.diagnostics);
    assert_eq!(loaded.applications.iter().map(|it| &*it.id).collect::<Vec<_>>(), ["g__lib__2", "g__app__1"]);
    assert_eq!(names(&loaded), ["g__lib__2__s", "A"]);
    let (deployment, _) = Deployment::parse(
        "d.toml",
        "[synapse_properties]\n'expose.versioned.services' = true",
        &Environment::default(),
    );
    let loaded = load(&Home::locate(dir.path()), &deployment, &Environment::default());
    let Artifact::Api(api) = &loaded.artifacts[1].artifact else { panic!("an API is expected") };
    assert_eq!((&*api.name, api.context.as_str()), ("g__app__1__A", "/g/app/1/a"));
    assert!(matches!(&api.resources[0].in_sequence, Some(mi_config::SequenceRef::Key(key)) if key == "g__lib__2__s"));
}

#[test]
fn fat_applications_bring_others() {
    let dir = TempDir::new();
    let inner_sequence = sequence("inner");
    let inner = car("Inner", &[("i", "synapse/sequence", "i.xml", &inner_sequence)]);
    let application = "<artifacts><artifact name='Outer' version='1' type='carbon/application'/></artifacts>";
    dir.write(
        "carbonapps/o.car",
        zip(&[("artifacts.xml", application.as_bytes()), ("dependencies/inner.car", &inner)]),
    );
    let loaded = load_home(&dir);
    assert_eq!(loaded.applications.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["Inner", "Outer"]);
}

#[test]
fn lists_of_artifacts_that_cannot_be_trusted_make_the_application_faulty() {
    let list = |name: &str, head: &str| {
        format!(
            "{head}<artifacts><artifact name='{name}' version='1' type='carbon/application'><dependency artifact='s' version='1'/></artifact></artifacts>"
        )
    };
    let part =
        |kind: &str, file: &str| format!("<artifact name='s' version='1' type='{kind}'><file>{file}</file></artifact>");
    let dir = TempDir::new();
    let write = |name: &str, list: String, part: String| {
        let bytes = zip(&[
            ("artifacts.xml", list.as_bytes()),
            ("s_1/artifact.xml", part.as_bytes()),
            ("s_1/s.xml", sequence(name).as_bytes()),
        ]);
        dir.write(&format!("carbonapps/{name}.car"), bytes);
    };
    let entity = "<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>";
    write("doctype", list("doctype", entity), part("synapse/sequence", "s.xml"));
    write("escape", list("escape", ""), part("synapse/sequence", "../../conf/deployment.toml"));
    write("cut", list("cut", "").replace("</artifacts>", ""), part("synapse/sequence", "s.xml"));
    write("good", list("good", ""), part("synapse/sequence", "s.xml"));
    let loaded = load_home(&dir);
    assert_eq!(names(&loaded), ["good"]);
    let reasons: Vec<String> = loaded.faulty.iter().map(|it| format!("{:?}", it.reasons)).collect();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert!(reasons.iter().any(|it| it.contains("document type declarations are refused")), "{reasons:?}");
    assert!(!reasons.concat().contains("root:"), "{reasons:?}");
}

#[test]
fn an_application_that_goes_takes_everything_along_and_may_come_back() {
    let dir = TempDir::new();
    let one = sequence("one");
    let entry = format!("<localEntry {NS} key='k'>v</localEntry>");
    let make =
        || car("A", &[("one", "synapse/sequence", "s.xml", &one), ("k", "synapse/local-entry", "k.xml", &entry)]);
    for file in ["a.car", "renamed.car", "a.car"] {
        dir.write(&format!("carbonapps/{file}"), make());
        let loaded = load_home(&dir);
        assert!(loaded.faulty.is_empty() && loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
        assert_eq!(names(&loaded).len(), 2, "{file}: {:?}", names(&loaded));
        std::fs::remove_file(dir.path().join("carbonapps").join(file)).unwrap();
        let loaded = load_home(&dir);
        assert!(loaded.artifacts.is_empty() && loaded.applications.is_empty() && loaded.faulty.is_empty(), "{file}");
    }
}

#[test]
fn java_parts_are_warnings() {
    let dir = TempDir::new();
    dir.write("carbonapps/a.car", car("A", &[("m", "lib/synapse/mediator", "m.jar", "java")]));
    let loaded = load_home(&dir);
    assert!(loaded.faulty.is_empty());
    assert!(loaded.diagnostics[0].to_string().contains("it holds Java classes"), "{:?}", loaded.diagnostics);
}

#[test]
fn a_file_in_place_of_the_folder_is_one_application() {
    let dir = TempDir::new();
    let one = sequence("one");
    dir.write("carbonapps", car("A", &[("one", "synapse/sequence", "s.xml", &one)]));
    let loaded = load_home(&dir);
    assert_eq!((names(&loaded), loaded.diagnostics.len()), (vec!["one"], 1));
}

#[test]
fn what_cannot_be_built_is_taken_out_as_a_whole() {
    let dir = TempDir::new();
    let (one, two) = (sequence("one"), sequence("two"));
    dir.write(
        "carbonapps/a.car",
        car("A", &[("1", "synapse/sequence", "1.xml", &one), ("2", "synapse/sequence", "2.xml", &two)]),
    );
    dir.write("deployment/synapse-configs/sequences/s.xml", sequence("s"));
    let mut loaded = load_home(&dir);
    let reason = of_car(&"a.car".into(), "no such mediator");
    loaded.reject("A_1.0.0", vec![reason]);
    assert_eq!((names(&loaded), loaded.applications.len()), (vec!["s"], 0));
    assert!(only_fault(&loaded).contains("no such mediator"));
}
