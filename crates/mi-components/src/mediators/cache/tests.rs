use mi_message::{Body, Envelope, Message, SoapVersion};

use crate::testing::{Deployed, Flowing, Outcome, set_clock};

/// A cache whose back end answers with `status` and `headers` (mediators that set them) and a JSON payload.
fn deploy(cache: &str, backend: &str) -> Deployed {
    let flow = format!(
        "<rules>{cache}<property name='asked' value='yes'/>\
         <payloadFactory media-type='json'><format>{{\"a\":[1]}}</format><args/></payloadFactory>\
         <property name='messageType' value='application/json' scope='axis2'/>{backend}<loopback/></rules>"
    );
    Flowing::of(&flow).out_sequence("<rules><cache collector='true'/><respond/></rules>").deploy()
}

fn http(inside: &str) -> String {
    format!("<cache collector='false' timeout='10'><protocol type='http'>{inside}</protocol></cache>")
}

fn status(code: u16) -> String {
    format!("<property name='HTTP_SC' value='{code}' scope='axis2'/>")
}

fn header(name: &str, value: &str) -> String {
    format!("<property name='{name}' value='{value}' scope='transport'/>")
}

fn request(text: &str) -> Message {
    let mut message = Message::new();
    message.addressing.to = Some("/a".to_owned());
    message.axis2.set("HTTP_METHOD", "POST");
    message.rest = true;
    let document = mi_xml::Document::parse(format!("<x>{text}</x>").into_bytes()).expect("well-formed");
    message.body = Body::from_envelope(Envelope::from_document(document, SoapVersion::Soap11));
    message
}

fn was_hit(outcome: &Outcome) -> bool {
    assert_eq!(outcome.fault(), None);
    assert!(outcome.reply().is_some());
    outcome.property("asked").is_none()
}

/// Sends requests; tells which are answered from the cache.
#[track_caller]
fn check(deployed: &Deployed, requests: &str, hits: &str) {
    let found: String = requests
        .chars()
        .map(|letter| if was_hit(&deployed.send(request(&letter.to_string()))) { letter } else { '-' })
        .collect();
    assert_eq!(found, hits);
}

fn reply_header(outcome: &Outcome, name: &str) -> Option<String> {
    outcome.reply()?.headers.get(name).map(str::to_owned)
}

#[test]
fn answers_are_found_again() {
    set_clock(0);
    let deployed = deploy(&http(""), &status(201));
    let first = deployed.send(request("a"));
    let second = deployed.send(request("a"));
    assert!(!was_hit(&first) && was_hit(&second));
    assert_eq!(second.payload_text(), "{\"a\":[1]}");
    assert_eq!(second.reply().map(|reply| reply.status.as_u16()), Some(201));
    assert_eq!(reply_header(&second, "content-type"), reply_header(&first, "content-type"));
    assert!(reply_header(&second, "cachekey").is_some() && reply_header(&second, "age").is_none());
    check(&deployed, "bab", "-ab");
    set_clock(10_000);
    check(&deployed, "aab", "-a-");
}

#[test]
fn statuses_methods_and_sizes_that_are_not_kept() {
    set_clock(0);
    check(&deploy(&http("<responseCodes>[2-4][0-9][0-9]</responseCodes>"), &status(401)), "aa", "-a");
    check(&deploy(&http("<responseCodes>[2-4][0-9][0-9]</responseCodes>"), &status(500)), "aa", "--");
    check(&deploy(&http("<methods>get, post</methods>"), ""), "aa", "-a");
    check(&deploy(&http("<methods>GET</methods>"), ""), "aa", "--");
    check(&deploy(&http("<methods>GET, *</methods>"), ""), "aa", "-a");
    check(&deploy("<cache collector='false' maxMessageSize='8'/>", ""), "aa", "--");
    check(&deploy("<cache collector='false' maxMessageSize='9'/>", ""), "aa", "-a");
    check(&deploy("<cache collector='false'><implementation maxSize='1'/></cache>", ""), "aaba", "-a--");
}

#[test]
fn cache_control() {
    set_clock(0);
    let heeding = |more: &str| http(&format!("<enableCacheControl>true</enableCacheControl>{more}"));
    check(&deploy(&heeding(""), &header("Cache-Control", "no-store")), "aa", "--");
    check(&deploy(&http(""), &header("Cache-Control", "no-store")), "aa", "-a");
    check(&deploy(&heeding(""), &header("Cache-Control", "no-cache")), "aa", "-a");
    let short =
        deploy(&heeding("<includeAgeHeader>true</includeAgeHeader>"), &header("Cache-Control", "private, max-age=2"));
    check(&short, "aa", "-a");
    set_clock(2000);
    assert_eq!(reply_header(&short.send(request("a")), "age").as_deref(), Some("2"));
    set_clock(2001);
    check(&short, "aa", "-a");
}

#[test]
fn etags_are_asked_for_and_304_is_answered_from_the_cache() {
    set_clock(0);
    let condition = "<filter source=\"get-property('transport', 'IF-None-Match')\" regex='tag'><then>";
    let backend = format!(
        "{condition}{}</then><else>{}</else></filter>{}{}",
        status(304),
        status(200),
        header("ETag", "tag"),
        header("Cache-Control", "no-cache")
    );
    let deployed = deploy(&http("<enableCacheControl>true</enableCacheControl>"), &backend);
    check(&deployed, "a", "-");
    let again = deployed.send(request("a"));
    assert_eq!(again.property("asked").as_deref(), Some("yes"));
    assert_eq!(again.reply().map(|reply| reply.status.as_u16()), Some(200));
}

#[test]
fn branches_for_hits() {
    set_clock(0);
    let inline = "<cache collector='false'><onCacheHit><property name='hit' value='1'/></onCacheHit></cache>";
    let deployed = deploy(inline, "");
    check(&deployed, "a", "-");
    let hit = deployed.send(request("a"));
    assert_eq!((hit.property("hit").as_deref(), hit.property("asked"), hit.reply().is_none()), (Some("1"), None, true));
    assert!(hit.message().is_response && hit.stopped());
    let missing = deploy("<cache collector='false'><onCacheHit sequence='none'/></cache>", "");
    check(&missing, "a", "-");
    assert_eq!(missing.send(request("a")).fault().as_deref(), Some("Sequence named 'none' does not exist"));
}

#[test]
fn each_kind_on_its_side() {
    let collector = Flowing::of("<cache collector='true'/>").run();
    assert_eq!(collector.fault().as_deref(), Some("Request messages cannot be handled in a collector cache"));
    let finder = Flowing::of("<cache collector='false'/>").with(|message| message.is_response = true).run();
    assert_eq!(finder.fault().as_deref(), Some("Response messages cannot be handled in a non collector cache"));
    let alone = Flowing::of("<rules><cache collector='true'/><property name='a' value='1'/></rules>");
    let alone = alone.with(|message| message.is_response = true).run();
    assert_eq!(alone.property("a").as_deref(), Some("1"));
}

#[test]
fn wrong_configurations_are_refused() {
    for (xml, part) in [
        ("<cache/>".to_owned(), "collector attribute must be specified"),
        ("<cache collector='yes'/>".to_owned(), "has to be either true or false"),
        ("<cache collector='false' timeout='x'/>".to_owned(), "must be a whole number"),
        (
            "<cache collector='false' hashGenerator='org.acme.Own'/>".to_owned(),
            "Unable to load the hash generator class",
        ),
        (http("<methods>FETCH</methods>"), "Unexpected method type: FETCH"),
        (http("<responseCodes>(</responseCodes>"), "not a valid regular expression"),
    ] {
        let error = Flowing::error_of(&xml);
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn answers_are_kept_when_something_else_is_deployed() {
    set_clock(0);
    let flow = |cache: &str| {
        let flow = format!(
            "<rules>{cache}<property name='asked' value='yes'/><property name='messageType' value='application/xml' \
             scope='axis2'/><loopback/></rules>"
        );
        Flowing::of(&flow).out_sequence("<rules><cache collector='true'/><respond/></rules>")
    };
    let before = flow(&http("")).deploy();
    check(&before, "aa", "-a");
    let same = flow(&http("")).sequence("other", "<drop/>").deploy_after(&before);
    drop(before);
    check(&same, "ab", "a-");
    check(&flow(&http("<methods>GET</methods>")).deploy_after(&same), "a", "-");
}

#[test]
fn a_cache_may_stand_behind_a_call() {
    let xml = "<rules><call><endpoint><address uri='http://b:1/'/></endpoint></call><cache collector='false' timeout='10'/>\
        <property name='asked' value='yes'/><call><endpoint><address uri='http://b:1/'/></endpoint></call>\
        <property name='RESPONSE' value='true'/><cache collector='true'/><respond/></rules>";
    let deployed = Flowing::of(xml).answer("application/json", "{}").deploy();
    let outcomes = [deployed.send(request("a")), deployed.send(request("a"))];
    assert_eq!(outcomes.each_ref().map(was_hit), [false, true]);
}
