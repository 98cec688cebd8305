use super::*;

#[track_caller]
fn check(template: &str, path: &str, expected: Option<&[(&str, &str)]>) {
    let compiled = UriTemplate::compile(template).unwrap();
    let got = compiled.matches(path).unwrap();
    let got: Option<Vec<(&str, &str)>> =
        got.as_ref().map(|it| it.iter().map(|(name, value)| (&**name, value.as_str())).collect());
    assert_eq!(got.as_deref(), expected, "{template} on {path}");
}

#[test]
fn variables_end_at_reserved_characters_and_at_the_next_literal() {
    check("/admin/~{user}", "/admin/~hiranya", Some(&[("user", "hiranya")]));
    check("/admin/~{user}", "/admi/~hiranya", None);
    check("/admin/~{user}", "/admin/~hiranya/foo", None);
    check("/d/foo-{user}-bar", "/d/foo-x-bar", Some(&[("user", "x")]));
    check("/d/foo-{user}-bar", "/d/foo--bar", Some(&[("user", "")]));
    check("/d/foo-{user}-bar", "/d/foo-bar", None);
    check("/alert/{id}.json", "/alert/foo.json", Some(&[("id", "foo")]));
    check("/{id}", "/12/", Some(&[("id", "12")]));
    check("/{id}", "/12?x=1", Some(&[("id", "12")]));
    check("/{id}", "/12/13", None);
    check("/pet/{petId}/uploadImage", "/pet/7/uploadImage", Some(&[("petId", "7")]));
}

#[test]
fn lists_lengths_and_repetitions() {
    check("/d/{char:1}/{word}", "/d/c/cat", Some(&[("char", "c"), ("word", "cat")]));
    check("/d/{char:1}/{word}", "/d/co/cat", None);
    check("/d/{char:1}/{word}", "/d/h/hello%20world", Some(&[("char", "h"), ("word", "hello world")]));
    check("/d/{char}/{+word}", "/d/h/hello+world", Some(&[("char", "h"), ("word", "hello+world")]));
    check("/d/{char}/{+word}", "/d/h/a/b%2Bc", Some(&[("char", "h"), ("word", "a/b+c")]));
    check("/d/{c}/{word,count}", "/d/c/cat,5", Some(&[("c", "c"), ("word", "cat"), ("count", "5")]));
    check("/d/{c}/{word,count}", "/d/c/cat", Some(&[("c", "c"), ("word", "cat"), ("count", "")]));
    check("/d/{c}/{word,count}", "/d/c/,5", Some(&[("c", "c"), ("word", ""), ("count", "5")]));
    check("/d/{char,word}/{count}", "/d/c,ca,cat/5", None);
    check("/d/{u}/t?a={u}", "/d/h/t?a=h", Some(&[("u", "h")]));
    check("/d/{u}/t?a={u}", "/d/h/t?a=foo", None);
}

#[test]
fn stars_take_the_rest() {
    for (template, path) in [
        ("/*", "/a?test=done"),
        ("/*", "/"),
        ("/a/*", "/a/admin?test=done"),
        ("/a*", "/a/admin"),
        ("/a*", "/a"),
        ("/", "/"),
    ] {
        check(template, path, Some(&[]));
    }
    check("/{s}/*", "/s/?test=done", Some(&[("s", "s")]));
    check("/{s}/*", "/s", Some(&[("s", "s")]));
    check("/test{format}*", "/test.json?test", Some(&[("format", ".json")]));
    check("/test{format}/*", "/test.json", Some(&[("format", ".json")]));
    check("/a/~{t}?*", "/a/~tester?test", Some(&[("t", "tester")]));
    check("/order/{id}/item/{n}?*", "/order/1/item/2?x=1", Some(&[("id", "1"), ("n", "2")]));
    check("/{name,id}/*", "/user,190/test", Some(&[("name", "user"), ("id", "190")]));
    check("/{name,id}/*", "/user,190,11/test", None);
    check("/a", "/b", None);
    check("/a", "/ab", None);
}

#[test]
fn query_templates() {
    let floor = "/pattern1?latitude={+latitude}&longitude={+longitude}&floor={+floor}";
    check(
        floor,
        "/pattern1?latitude=10&longitude=20&floor=30",
        Some(&[("latitude", "10"), ("longitude", "20"), ("floor", "30")]),
    );
    check(floor, "/pattern1?latitude=10&longitude=20&floor=", Some(&[("latitude", "10"), ("longitude", "20")]));
    check(floor, "/pattern1?latitude=10&longitude=20&floor", None);
    check("/edit?a={symbol}&b={value}", "/edit?a=x&b=2", Some(&[("symbol", "x"), ("value", "2")]));
    check("/edit?a={symbol}&b={value}", "/edit", None);
}

#[test]
fn labels_and_path_segments_may_be_missing() {
    check("/a{.ext}", "/a.txt", Some(&[("ext", "txt")]));
    check("/a{.ext}", "/a", None);
    check("/a{/b}", "/a/x", Some(&[("b", "x")]));
    check("/a{#b}", "/a#x/y", Some(&[("b", "x/y")]));
}

#[test]
fn malformed_templates_and_paths() {
    for template in ["{id}", "/{", "/a}b", "/{}", "/{a b}", "/{?q}", "/{a:0}", "/{a", "/{;q}"] {
        assert!(UriTemplate::compile(template).is_err(), "{template}");
    }
    assert_eq!(UriTemplate::compile("/{id}").unwrap().matches("/%zz"), Err(BadEncoding));
    check("/{id}", "/%C3%A9", Some(&[("id", "é")]));
}

#[track_caller]
fn check_expand(template: &str, variables: &[(&str, &str)], expected: &str) {
    let lookup = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    let expander = UriExpander::compile(template).unwrap();
    assert_eq!(expander.expand(!variables.is_empty(), &lookup), expected, "{template}");
}

#[test]
fn expansion_follows_rfc_6570() {
    let vars = [
        ("var", "value"),
        ("hello", "Hello World!"),
        ("path", "/foo/bar"),
        ("x", "1024"),
        ("y", "768"),
        ("empty", ""),
        ("half", "50%"),
    ];
    for (template, expected) in [
        ("h/{var}", "h/value"),
        ("h/{hello}", "h/Hello%20World%21"),
        ("h/{half}", "h/50%25"),
        ("h/{+hello}", "h/Hello%20World!"),
        ("h{+path}/here", "h/foo/bar/here"),
        ("h{#path,x}", "h#/foo/bar,1024"),
        ("X{.x,y}", "X.1024.768"),
        ("h{/var,x}/here", "h/value/1024/here"),
        ("h{;x,y,empty}", "h;x=1024;y=768;empty"),
        ("h{?x,y,empty}", "h?x=1024&y=768&empty="),
        ("h?fixed=yes{&x}", "h?fixed=yes&x=1024"),
        ("h{/var:1,var}", "h/v/value"),
        ("h/{undef}x", "h/x"),
        ("h{?undef}", "h"),
        ("{var}/a", "value/a"),
        ("{path}/a", "/foo/bar/a"),
    ] {
        check_expand(template, &vars, expected);
    }
}

#[test]
fn endpoint_rules_around_the_expansion() {
    let url = "http://localhost:8480/services/{uri.var.tname}";
    check_expand(url, &[], url);
    check_expand(url, &[("uri.var.other", "1")], "http://localhost:8480/services/");
    check_expand("{uri.var.url}", &[("uri.var.url", "http://h:1/a?b=c d")], "http://h:1/a?b=c%20d");
    check_expand("http://h/{+uri.var.p}", &[("uri.var.p", "a%20b")], "http://h/a%20b");
    check_expand("http://h/a b{uri.var.p}", &[("uri.var.p", "x")], "http://h/a b{uri.var.p}");
    check_expand("legacy-encoding:{uri.var.s}", &[("uri.var.s", "http%3A%2F%2Fh%3A9%2Fa+b")], "http://h:9/a%20b");
    check_expand("legacy-encoding:http://h/{uri.var.p}?q=1", &[("uri.var.p", "a b")], "http://h/a%20b?q=1");
    check_expand("legacy-encoding:nope://{uri.var.p}", &[("uri.var.p", "a")], "nope://{uri.var.p}");
    assert!(UriExpander::compile("http://h/{uri.var.p").is_err());
    assert!(UriExpander::compile("http://h/{a b}").is_err());
}
