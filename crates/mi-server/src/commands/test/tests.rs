use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A project that goes away with the value.
struct Project(PathBuf);

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("mi-unit-test-{}-{number}", std::process::id()));
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(root)
    }

    /// Every case with its failures.
    fn run(&self) -> Vec<(String, Vec<String>)> {
        let args = TestArgs { projects: vec![self.0.clone()], define: Vec::new(), log: false, junit: None };
        let mut all = Vec::new();
        for (project, file) in suites(&args).unwrap() {
            let verdicts = Suite::read(&project, &file).and_then(|suite| runner::run(&suite, &[])).unwrap();
            all.extend(verdicts.into_iter().map(|it| (it.name, it.failures)));
        }
        all
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn suite(subject: &str, supporting: &[&str], cases: &str, mocks: &str) -> String {
    let supporting: Vec<String> = supporting.iter().map(|it| format!("<artifact>{it}</artifact>")).collect();
    let supporting = supporting.concat();
    format!(
        "<unit-test><artifacts><test-artifact><artifact>{subject}</artifact></test-artifact>\
         <supportive-artifacts>{supporting}</supportive-artifacts><registry-resources/><connector-resources/></artifacts>\n\
         <test-cases>{cases}</test-cases><mock-services>{mocks}</mock-services></unit-test>"
    )
}

fn case(name: &str, input: &str, assertions: &[(&str, Option<&str>)]) -> String {
    let shown = |(actual, expected): &(&str, Option<&str>)| match expected {
        Some(expected) => format!(
            "\n<assertEquals><actual>{actual}</actual><expected><![CDATA[{expected}]]></expected><message>not so</message></assertEquals>"
        ),
        None => format!("\n<assertNotNull><actual>{actual}</actual></assertNotNull>"),
    };
    let assertions: String = assertions.iter().map(shown).collect();
    format!("<test-case name='{name}'><input>{input}</input><assertions>{assertions}</assertions></test-case>")
}

const SUITE: &str = "src/test/wso2mi/suite.xml";
const NS: &str = "xmlns='http://ws.apache.org/ns/synapse'";

#[test]
fn sequences_are_judged_by_the_message_that_they_leave() {
    let sequence = format!(
        "<sequence {NS} name='S'><property name='p' expression='$ctx:in'/><header name='X' value='y' scope='transport'/>\
         <variable name='v' type='STRING' value='w'/><property name='HTTP_SC' value='201' scope='axis2'/>\
         <payloadFactory media-type='json'><format>{{\"a\": \"$1\"}}</format><args><arg evaluator='json' expression='$.x'/></args>\
         </payloadFactory></sequence>"
    );
    let input = "<payload>{\"x\": \"1\"}</payload><properties><property name='in' value='i'/></properties>";
    let held = [
        ("$body", Some("{ \"a\" : \"1\" }")),
        ("$ctx:p", Some("i")),
        ("$trp:X", Some("y")),
        ("$axis2:HTTP_SC", Some("201")),
        ("${vars.v}", Some("w")),
        ("$ctx:p", None),
    ];
    let wrong = [("$body", Some("{}")), ("$ctx:absent", None), ("$statusCode", Some("200"))];
    let cases = case("right", input, &held) + &case("wrong", input, &wrong);
    let path = "src/main/wso2mi/artifacts/sequences/S.xml";
    let project = Project::new(&[(path, &sequence), (SUITE, &suite(path, &[], &cases, ""))]);
    let results = project.run();
    assert_eq!(results[0], ("right".to_owned(), Vec::new()));
    let failures = &results[1].1;
    assert_eq!(failures.len(), 3, "{failures:?}");
    assert!(failures[0].starts_with("src/test/wso2mi/suite.xml:9:1: $body is not what was expected"), "{failures:?}");
    assert!(
        failures[0].contains("expected: {}\n") && failures[0].contains("actual:   {\"a\": \"1\"}\nnot so"),
        "{failures:?}"
    );
    assert!(failures[1].contains("$ctx:absent is not there"), "{failures:?}");
    assert!(failures[2].contains("nothing that a message has"), "{failures:?}");
}

#[test]
fn apis_and_proxies_are_called_and_mock_services_answer_for_their_back_ends() {
    let api = format!(
        "<api {NS} name='A' context='/a'><resource methods='POST' uri-template='/{{id}}'><inSequence>\
         <call><endpoint key='E'/></call><property name='Seen' value='yes' scope='transport'/><respond/></inSequence></resource></api>"
    );
    let proxy = format!(
        "<proxy {NS} name='P' transports='http https'><target><inSequence><call><endpoint key='E'/></call><respond/></inSequence></target></proxy>"
    );
    let endpoint =
        format!("<endpoint {NS} name='E'><http method='post' uri-template='http://back.example/b/c?q=1'/></endpoint>");
    let mock = "<mock-service><service-name>E</service-name><port>9999</port><context>/b</context><resources><resource>\
        <sub-context>/c?q=1</sub-context><method>POST</method><request><payload>{\"n\":1}</payload></request>\
        <response><payload><![CDATA[<r><s>1</s></r>]]></payload><status-code>201</status-code>\
        <headers><header name='Content-Type' value='application/xml'/></headers></response></resource></resources></mock-service>";
    let json = "<properties><property name='Content-Type' scope='transport' value='application/json'/></properties>";
    let input = format!(
        "<request-path>/7</request-path><request-method>POST</request-method><payload>{{ \"n\" : 1 }}</payload>{json}"
    );
    let held = [
        ("$body", Some("<r>\n <s>1</s></r>")),
        ("$statusCode", Some("201")),
        ("$trp:Seen", Some("yes")),
        ("$httpVersion", Some("HTTP/1.1")),
    ];
    let other = input.replace("1 }", "2 }");
    let unfit = [("$statusCode", Some("404")), ("$body", Some("No resource of the mock service E fits POST /b/c"))];
    let cases = case("fits", &input, &held) + &case("does not", &other, &unfit);
    let (a, p, e) = ("apis/A.xml", "proxies/P.xml", "endpoints/E.xml");
    let mocks = "<mock-service>src/test/resources/mock-services/E.xml</mock-service>";
    let project = Project::new(&[
        (a, &api),
        (p, &proxy),
        (e, &endpoint),
        ("src/test/resources/mock-services/E.xml", mock),
        ("src/test/wso2mi/a.xml", &suite(a, &[e], &cases, mocks)),
        ("src/test/wso2mi/p.xml", &suite(p, &[e], &case("proxy", &input, &held[..2]), mocks)),
    ]);
    for (name, failures) in project.run() {
        assert!(failures.is_empty(), "{name}: {failures:?}");
    }
}

#[test]
fn what_cannot_be_deployed_or_read_is_said_with_its_place() {
    let broken = format!("<sequence {NS} name='S'>\n<sing.song/></sequence>");
    let path = "S.xml";
    let project = Project::new(&[(path, &broken), (SUITE, &suite(path, &[], &case("c", "", &[]), ""))]);
    let read = |project: &Project| Suite::read(&project.0, &project.0.join(SUITE));
    let error = runner::run(&read(&project).unwrap(), &[]).err().expect("it is broken").to_string();
    assert!(error.contains("S.xml:2:1") && error.contains("sing.song"), "{error}");
    for (text, expected) in [
        (suite("absent.xml", &[], "", ""), "suite.xml:1:"),
        (
            suite(path, &[], &case("c", "", &[]).replace("<assertions>", "<assertions><assertSo/>"), ""),
            "no assertion <assertSo>",
        ),
        ("<unit-test/>".to_owned(), "no <artifacts>"),
    ] {
        let project = Project::new(&[(path, &format!("<sequence {NS} name='S'/>")), (SUITE, &text)]);
        let error = read(&project).err().expect("it is wrong").to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn results_are_counted_and_written_for_build_servers() {
    let mut tally = Tally::default();
    let verdict = |name: &str, failures: &[&str]| runner::Verdict {
        name: name.to_owned(),
        took: std::time::Duration::from_millis(2),
        failures: failures.iter().map(|it| (*it).to_owned()).collect(),
    };
    let lines = tally.add("s.xml", Ok(vec![verdict("a", &[]), verdict("b", &["x < y\nz"])]));
    assert_eq!(lines, ["s.xml", "  passed  a (2 ms)", "  FAILED  b (2 ms)", "          x < y", "          z"]);
    tally.add("t.xml", Err(anyhow::anyhow!("broken")));
    assert_eq!(tally.summary(), "2 suites, 1 passed, 2 failed");
    assert!(tally.has_failed());
    let junit = tally.junit();
    assert!(junit.contains("<testsuite name=\"s.xml\" tests=\"2\" failures=\"1\">"), "{junit}");
    assert!(junit.contains("<failure>x &lt; y\nz</failure>"), "{junit}");
}

#[test]
fn texts_are_compared_as_what_they_are() {
    for (left, right) in [
        ("<a b='1' c='2'><d/></a>", "<?xml version='1.0'?><a c=\"2\"  b=\"1\">\n  <d></d></a>"),
        ("{\"a\": [1, 2]}", "{\"a\":[1,2]}"),
        ("<![CDATA[x y]]>", " xy"),
    ] {
        assert_eq!(compare::normal(left), compare::normal(right));
    }
    for (left, right) in [("<a b='1'/>", "<a b='2'/>"), ("{\"a\":1}", "{\"a\":\"1\"}"), ("<a/>", "<b/>")] {
        assert_ne!(compare::normal(left), compare::normal(right));
    }
}
