//! What compiles, as which version, and what the errors say.

use super::*;

#[track_caller]
fn check_error(source: &str, offset: usize, part: &str) {
    match XPath::compile(source, &namespaces) {
        Ok(_) => panic!("{source} compiles"),
        Err(error) => {
            assert_eq!(error.offset, offset, "{source}: {error}");
            assert!(error.message.contains(part), "{source}: {error}");
        }
    }
}

#[test]
fn errors_name_place_and_cause() {
    check_error("", 0, "expected an expression, found the end");
    check_error("  ", 2, "expected an expression");
    check_error("a b", 2, "expected an operator or the end, found `b`");
    check_error("//", 2, "a step of a path");
    check_error("/a/", 3, "a step of a path");
    check_error("a[", 2, "expected an expression");
    check_error("a[1", 3, "expected `]`");
    check_error("a[]", 2, "expected an expression");
    check_error("concat('a'", 10, "expected `,` or `)`");
    check_error("concat('a', )", 12, "expected an expression");
    check_error("'abc", 0, "no closing '");
    check_error("1 +", 3, "expected an expression");
    check_error("sideways::a", 0, "there is no axis `sideways`");
    check_error("$", 0, "a variable name is missing");
    check_error("$ctx:", 0, "behind `$ctx:`");
    check_error("@", 1, "a node test");
    check_error("a)", 1, "expected an operator or the end");
    check_error("a # b", 2, "expected an operator or the end");
    check_error("a ~ b", 2, "unexpected character `~`");
    check_error("(: never closed", 0, "no end");
    check_error("for $x in (1, 2)", 16, "`return`");
    check_error("if (1) then 2", 13, "`else`");
    check_error("some $x in 1", 12, "`satisfies`");
    check_error("1 cast as a", 10, "no simple type");
    check_error("1 instance of xs:nothing", 14, "no simple type `xs:nothing`");
    check_error(&format!("{} idiv 2", "9".repeat(20_000)), 0, "19700 digits");
}

#[test]
fn undeclared_prefixes_of_names_are_named() {
    check_error("//q:a", 2, "prefix `q` is not declared");
    check_error("a/@q:a", 3, "prefix `q` is not declared");
    check_error("//q:*", 2, "prefix `q` is not declared");
    // Variables and functions of the host need no declaration.
    for source in ["$ctx:a", "q:f(1)", "fn:true()", "xs:integer('1')", "@xml:lang"] {
        compile(source);
    }
}

#[test]
fn names_that_look_like_keywords() {
    let version = |source: &str| compile(source).version();
    for source in [
        "for",
        "div",
        "mod",
        "and",
        "or",
        "if",
        "return",
        "to",
        "eq",
        "text",
        "//for/return",
        "div div div",
        "mod mod mod",
        "and and and",
        "or or or",
        "* * *",
        "*[* = *]",
        "div/mod",
        "child::div",
        "@for",
        "some/every",
        "a-b",
        "a.b",
        "_a",
        "node",
        "comment/text",
        "union",
        "cast/as",
        "ancestor",
        "self",
        "a -b",
    ] {
        assert_eq!(version(source), Version::V1, "{source}");
    }
    for source in ["to to to", "eq eq eq", "a union b", "for $x in a return $x", "for is for", "a intersect b"] {
        assert_eq!(version(source), Version::V2, "{source}");
    }
}

#[test]
fn the_version_is_the_oldest_that_fits() {
    let one =
        ["1 + 1", "//a[1]", "concat('a', 'b')", "get-property('x')", "$ctx:a/b", "fn:position()", "(a)[1]", "a//b"];
    let two = [
        "(1, 2)",
        "1 to 3",
        "tokenize('a', 'b')",
        "1 eq 1",
        "if (1) then 2 else 3",
        "a/string()",
        "1e3",
        "'it''s'",
        "*:a",
        "a/(b | c)",
        "element(a)",
        "1 idiv 2",
        "xs:date('2024-01-01')",
        "(: x :) 1",
        "'a' || 'b'",
        "()",
        "fn:abs(1)",
        "round(1.5, 1)",
        "$x instance of item()",
        "let $x := 1 return $x",
        "//a ! name()",
    ];
    for source in one {
        assert_eq!(compile(source).version(), Version::V1, "{source}");
    }
    for source in two {
        assert_eq!(compile(source).version(), Version::V2, "{source}");
    }
}

#[test]
fn white_space_is_free() {
    check_all(&[
        (" count ( //a ) ", "3"),
        ("//  a [ 1 ]  /  @ id", "/r/a[1]/@id | /r/a[2]/a/@id"),
        ("child  ::  a [ 1 ]", "/r/a[1]"),
        ("concat(\n'a',\t'b')", "'ab'"),
        ("1\u{a0}+\u{a0}1", "2"),
    ]);
}
