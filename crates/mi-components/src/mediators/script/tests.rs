use std::time::Duration;

use mi_message::{Body, Message, Value};

use crate::testing::{Flowing, Outcome};

fn js(source: &str) -> Outcome {
    Flowing::of(&format!("<script language='js'><![CDATA[{source}]]></script><property name='after' value='yes'/>"))
        .json(r#"{"n": 2}"#)
        .run_for(Duration::from_secs(2))
}

#[test]
fn the_payload_goes_in_and_out() {
    let outcome = js("var p = mc.getPayloadJSON(); p.n = p.n * 2; mc.setPayloadJSON(p); mc.setProperty('i', p.n)");
    assert_eq!((outcome.fault(), outcome.payload_text().as_str()), (None, "{\"n\":4}"));
    assert!(matches!(outcome.message().properties.get("i"), Some(Value::Int(4))));
    let outcome =
        Flowing::of("<script language='rhinoJs'>mc.setPayloadXML(&lt;r>{mc.getPayloadXML().b}&lt;/r>)</script>")
            .xml("<a><b>1</b></a>")
            .run();
    assert_eq!((outcome.fault(), outcome.payload_xml().as_str()), (None, "<r>\n  <b>1</b>\n</r>"));
}

#[test]
fn false_ends_the_flow() {
    let outcome = js("var p = mc.getPayloadJSON();\n p.n > 5");
    assert!(outcome.stopped() && outcome.fault().is_none());
    assert_eq!(outcome.property("after"), None);
    assert_eq!(js("mc.getPayloadJSON().n > 1").property("after").as_deref(), Some("yes"));
}

#[test]
fn scripts_by_key() {
    let library = "function twice(n) { return n * 2 }";
    let main = "function mediate(mc) { mc.setProperty('r', twice(mc.getPayloadJSON().n)); return undefined } function no(mc) { return false }";
    for key in ["main", "{get-property(\"k\")}"] {
        let mediator = format!("<script language='js' key='{key}'><include key='library'/></script>");
        let deployed = Flowing::of(&mediator).text_entry("main", main).text_entry("library", library).deploy();
        for _ in 0..5 {
            let mut message = Message { body: Body::from_json_text("{\"n\":3}"), ..Message::new() };
            message.properties.set("k", "main");
            let outcome = deployed.send(message);
            assert_eq!((outcome.fault(), outcome.property("r").as_deref()), (None, Some("6")));
        }
    }
    let outcome = Flowing::of("<script language='js' key='main' function='no'/>").text_entry("main", main).run();
    assert!(outcome.stopped());
}

#[test]
fn a_body_is_read_when_the_script_asks_for_it() {
    let send = |source: &str| {
        let deployed = Flowing::of("<script language='js' key='s'/>").text_entry("s", source).deploy();
        deployed
            .send(Message { body: Body::from_bytes("{\"n\":3}", Some("application/json".into())), ..Message::new() })
    };
    let outcome = send("function mediate(mc) { mc.setProperty('a', 1) }");
    assert_eq!((outcome.fault(), outcome.property("a").as_deref()), (None, Some("1")));
    let outcome = send("function mediate(mc) { mc.setProperty('a', mc.getPayloadJSON().n) }");
    assert_eq!((outcome.fault(), outcome.property("a").as_deref()), (None, Some("3")));
}

#[test]
fn arguments_and_targets() {
    let source = "function f(mc, a, b, c) { return {sum: a + b, keys: Object.keys(c).join()} } function x(mc) { return null } function t(mc) { return 5 }";
    let inputs = "<inputs><argument name='a' value='1' type='INTEGER'/><argument name='b' expression='${payload.n}'/>\
                  <argument name='c' expression='${payload}'/></inputs>";
    let run = |attrs: &str| {
        Flowing::of(&format!("<script language='js' key='s' {attrs}>{inputs}</script>"))
            .text_entry("s", source)
            .json(r#"{"n": 2}"#)
            .run()
    };
    assert_eq!(run("function='f' target='body'").payload_text(), r#"{"sum":3,"keys":"n"}"#);
    assert_eq!(
        run("function='f' target='variable' target-variable='v'").variable("v").as_deref(),
        Some(r#"{"sum":3,"keys":"n"}"#)
    );
    assert_eq!(run("function='f' target='none'").payload_text(), r#"{"n": 2}"#);
    assert!(matches!(
        run("function='t' target='variable' target-variable='v'").message().variables.get("v"),
        Some(Value::Int(5))
    ));
    assert!(run("function='x' target='body'").fault().is_some());
}

#[test]
fn faults_have_the_words_of_mi() {
    let outcome = js("nothing.at.all");
    let inlined = "The script engine returned an error executing the inlined js script function mediate";
    assert_eq!(outcome.fault().as_deref(), Some(inlined));
    assert!(
        outcome
            .property("ERROR_DETAIL")
            .is_some_and(|it| it.contains("ReferenceError: nothing is not defined (line 1, "))
    );
    let keyed = |key: &str, function: &str| {
        Flowing::of(&format!("<script language='nashornJs' key='{key}' function='{function}'/>"))
            .text_entry("good", "function mediate(mc) { throw 'x' }")
            .text_entry("bad", "function mediate( {")
            .run()
    };
    assert_eq!(
        keyed("good", "none").fault().as_deref(),
        Some(
            "The script engine returned a NoSuchMethodException executing the external nashornJs script : Value {name ='null', keyValue ='good'} function none"
        )
    );
    let external = "The script engine returned an error executing the external nashornJs script : Value {name ='null', keyValue ='bad'} function mediate";
    let bad = keyed("bad", "mediate");
    assert_eq!(bad.fault().as_deref(), Some(external));
    assert!(bad.property("ERROR_DETAIL").is_some_and(|it| it.contains("bad:1:")));
    assert!(
        keyed("missing", "mediate")
            .property("ERROR_DETAIL")
            .is_some_and(|it| it.contains("there is no script with the key missing"))
    );
}

#[test]
fn a_pause_holds_up_nobody() {
    let began = std::time::Instant::now();
    let outcome = Flowing::of(
        "<script language='js'>java.lang.Thread.sleep(20000);</script><property name='after' value='yes'/>",
    )
    .run();
    assert_eq!(outcome.property("after").as_deref(), Some("yes"));
    assert!(began.elapsed() < Duration::from_secs(10), "the clock of the test stands still");
    let outcome = js("java.lang.Thread.sleep(1); mc.setProperty('slept', true)");
    assert_eq!((outcome.fault(), outcome.property("slept").as_deref()), (None, Some("true")));
}

#[test]
fn wrong_configurations_are_refused() {
    for (xml, part) in [
        ("<script>1</script>", "The 'language' attribute is required"),
        ("<script language='js' function='f'>1</script>", "Cannot use 'function' attribute without 'key'"),
        ("<script language='jh' key='k'/>", "No script engine found for language: jh"),
        ("<script language='js' key='k'><include/></script>", "Cannot use 'include' element without 'key'"),
        ("<script language='js' key='k' target='variable'/>", "'target-variable' attribute is required"),
        ("<script language='js' key='k' target='x'/>", "either 'body', 'variable' or 'none'"),
        (
            "<script language='js' key='k' target='body'><inputs><argument name='a'/></inputs></script>",
            "'value' or 'expression'",
        ),
    ] {
        let error = Flowing::error_of(xml);
        assert!(error.contains(part), "{error}");
    }
    // The sequence around the mediator takes up the line before it.
    let place = |xml: &str| {
        let warning = Flowing::of(xml).warnings().concat();
        let (_, rest) = warning.split_once("test.xml:").expect("it has a place");
        rest.split(' ').next().unwrap_or_default().trim_end_matches(':').to_owned()
    };
    let start = "<sequence name='subject-of-the-test' onError='fault-of-the-test'>".len();
    let tag = "<script language='js'>".len();
    assert_eq!(place("<script language='js'>var = 1</script>"), format!("1:{}", start + tag + 5));
    assert_eq!(
        place("<script language='js'><![CDATA[var = 1]]></script>"),
        format!("1:{}", start + tag + "<![CDATA[".len() + 5)
    );
    assert_eq!(place("<script language='js'>\n\n  var = 1</script>"), "3:7");
}

#[test]
fn a_script_that_does_not_compile_deploys_and_faults_when_reached() {
    let flowing = Flowing::of("<script language='js'>mc.setPayloadXML(&lt;a/>)</script>");
    assert!(
        flowing
            .warnings()
            .iter()
            .any(|text| text.contains("the script does not compile") && text.contains("language=\"rhinoJs\""))
    );
    assert!(flowing.run().fault().is_some_and(|text| text.contains("the script does not compile")));
}

#[test]
fn other_languages_deploy_with_advice() {
    let flowing = Flowing::of("<script language='groovy'>println 1</script>");
    assert!(flowing.warnings().iter().any(
        |text| text.contains("'groovy' need an engine of Java") && text.contains("write the script in JavaScript")
    ));
    assert!(flowing.run().fault().is_some_and(|text| text.contains("'groovy'")));
}

#[test]
fn a_quick_script_stays_on_its_thread() {
    let deployed = Flowing::of("<script language='js'>mc.setProperty('a', 1)</script>").deploy();
    for _ in 0..5 {
        assert_eq!(deployed.send(Message::new()).property("a").as_deref(), Some("1"));
    }
}
