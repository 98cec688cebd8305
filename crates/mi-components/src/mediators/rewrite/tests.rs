use crate::testing::{Flowing, Outcome};

fn run(to: &str, rules: &str) -> Outcome {
    let to = (!to.is_empty()).then(|| to.to_owned());
    Flowing::of(&format!("<rewrite>{rules}</rewrite>"))
        .xml("<x><y>8280</y></x>")
        .with(|message| {
            message.addressing.to = to;
            message.properties.set("uri.var.id", "7");
            message.headers.set("X-Kind", "a");
        })
        .run()
}

/// Rewrites `to` by one rule with `actions`.
#[track_caller]
fn check(to: &str, actions: &str, expected: &str) {
    let outcome = run(to, &format!("<rewriterule>{actions}</rewriterule>"));
    assert_eq!(outcome.fault(), None);
    assert_eq!(outcome.message().addressing.to.as_deref(), Some(expected));
}

#[test]
fn actions_on_pieces() {
    let url = "http://h:90/a/b?x=1#r";
    check(url, "<action fragment='host' value='o.org'/>", "http://o.org:90/a/b?x=1#r");
    check(url, "<action fragment='protocol' type='append' value='s'/>", "https://h:90/a/b?x=1#r");
    check(url, "<action fragment='path' type='prepend' value='/p'/>", "http://h:90/p/a/b?x=1#r");
    check(url, "<action fragment='query' type='append' value='y=2'/>", "http://h:90/a/b?x=1&y=2#r");
    check(url, "<action fragment='query' type='prepend' value='y=2'/>", "http://h:90/a/b?y=2&x=1#r");
    check("/a", "<action fragment='query' type='append' value='y=2'/>", "/a?y=2");
    check(url, "<action fragment='ref' type='remove'/>", "http://h:90/a/b?x=1");
    check(url, "<action fragment='path' type='replace' regex='/(\\w)/(\\w)' value='/$2/$1'/>", "http://h:90/b/a?x=1#r");
    check(url, "<action fragment='user' value='u'/>", "http://u@h:90/a/b?x=1#r");
    check("", "<action fragment='path' value='/a b'/>", "/a%20b");
}

#[test]
fn the_port_and_the_whole_are_always_set() {
    check("http://h:90/a", "<action fragment='port' type='append' value='80'/>", "http://h:80/a");
    check("http://h:90/a", "<action fragment='port' type='remove'/>", "http://h/a");
    check("http://h:90/a", "<action fragment='port' xpath='//y'/>", "http://h:8280/a");
    check("http://h:90/a", "<action type='append' value='http://o/b'/>", "http://o/b");
    check("http://h:90/a", "<action fragment='full' type='remove'/>", "");
}

#[test]
fn query_parameters_are_removed() {
    let action = "<action fragment='query' type='remove-query-param' value='b'/>";
    check("/a?a=1&b=2&c=3", action, "/a?a=1&c=3");
    check("/a?ab=1&b=2", action, "/a?b=2");
    check("/a?c=1", action, "/a?c=1");
    check("/a", action, "/a?");
}

#[test]
fn placeholders_are_properties() {
    check("/a", "<action fragment='path' value='/o/{uri.var.id}/{uri.var.id}' resolve='true'/>", "/o/7/7");
    check("/a", "<action fragment='path' value='/o/{uri.var.none}' resolve='true'/>", "");
    check("/a", "<action fragment='path' value='/o/{x}'/>", "/o/%7Bx%7D");
}

#[test]
fn conditions_see_what_was_rewritten() {
    let rules = "<rewriterule><action fragment='host' value='o'/></rewriterule>\
        <rewriterule><condition><equal type='url' source='host' value='O'/></condition>\
        <action fragment='port' value='1'/></rewriterule>\
        <rewriterule><condition><and><match source='X-Kind' regex='b'/><equal type='url' source='port' value='1'/></and>\
        </condition><action fragment='port' value='2'/></rewriterule>";
    assert_eq!(run("http://h/a", rules).message().addressing.to.as_deref(), Some("http://o:1/a"));
}

#[test]
fn properties_instead_of_the_address() {
    let outcome = Flowing::of(
        "<rewrite inProperty='in' outProperty='out'><rewriterule><action fragment='path' value='/b'/></rewriterule></rewrite>",
    )
    .with(|message| {
        message.properties.set("in", "http://h/a");
        message.addressing.to = Some("/keep".to_owned());
    })
    .run();
    assert_eq!(outcome.property("out").as_deref(), Some("http://h/b"));
    assert_eq!(outcome.message().addressing.to.as_deref(), Some("/keep"));
}

#[test]
fn faults() {
    for (to, actions, part) in [
        ("http://h/a b", "", "Malformed input URI: http://h/a b"),
        ("http://h/a", "<action fragment='path' value='b'/>", "Error while constructing a URI from the fragments"),
        ("/a", "<action value='http://'/>", "Error while constructing a URI from the fragments"),
        ("/a", "<action fragment='port' value='x'/>", "For input string: \"x\""),
        ("/a", "<action fragment='path' type='replace' regex='(' value=''/>", ""),
    ] {
        let fault = run(to, &format!("<rewriterule>{actions}</rewriterule>")).fault();
        assert!(fault.as_ref().is_some_and(|text| text.contains(part)), "{to} {actions} {fault:?}");
    }
}

#[test]
fn wrong_configurations_are_refused() {
    for (action, part) in [
        ("<action/>", "value or xpath attribute is required"),
        ("<action fragment='x' value='a'/>", "Unknown URL fragment name: x"),
        ("<action type='x' value='a'/>", "Unknown URL rewrite action type: x"),
        ("<action type='replace' value='a'/>", "regex attribute is required"),
        ("<action type='remove-query-param' fragment='path' value='a'/>", "only allowed for query"),
    ] {
        let error = Flowing::error_of(&format!("<rewrite><rewriterule>{action}</rewriterule></rewrite>"));
        assert!(error.contains(part), "{error}");
    }
}
