//! What is known of an expression without evaluating it.

use super::*;

#[test]
fn use_of_the_document() {
    let free = [
        "1 + 1",
        "'a'",
        "$ctx:a",
        "$body/*[1]",
        "$body//a[@id = 1][position() = last()]/b[c]",
        "get-property('To')",
        "concat($trp:Host, get-property('a'), 'x')",
        "$a[. = 1]",
        "$a/string()",
        "for $x in $a return $x/b",
        "current-dateTime()",
        "position()",
        "true()",
        "string($a)",
        "('a', 'b') ! upper-case(.)",
    ];
    let bound = [
        ".",
        "/",
        "a",
        "//a",
        "@id",
        "string()",
        "name()",
        "concat('a', b)",
        "$x[//a = 1]/b | c",
        "normalize-space()",
        "id('a')",
        "lang('en')",
        "for $x in a return 1",
        "if ($a) then b else 1",
        "get-property(a)",
        "not(.)",
        "../a",
    ];
    for source in free {
        assert!(!compile(source).uses_document(), "{source}");
    }
    for source in bound {
        assert!(compile(source).uses_document(), "{source}");
    }
}

#[test]
fn variables_and_functions_of_the_host() {
    let compiled = compile(
        "concat($ctx:uri.var.id, get-property('axis2', $name), wso2:vault-lookup('key'), m:f(), $body/x, $ctx:uri.var.id)",
    );
    let variables: Vec<_> = compiled.variables().collect();
    assert_eq!(variables, [("ctx", "uri.var.id"), ("", "name"), ("", "body")]);
    let functions: Vec<String> = compiled
        .functions()
        .map(|f| {
            let literals: Vec<&str> = f.literals.iter().map(|l| l.as_deref().unwrap_or("?")).collect();
            format!("{}|{}|{}|{}", f.prefix, f.namespace, f.local, literals.join(","))
        })
        .collect();
    assert_eq!(functions, ["||get-property|axis2,?", "wso2||vault-lookup|key", "m|urn:m|f|"]);
}

#[test]
fn bound_variables_are_not_of_the_host() {
    let compiled = compile("for $x in $y return some $z in $x satisfies $z = $w");
    assert_eq!(compiled.variables().collect::<Vec<_>>(), [("", "y"), ("", "w")]);
    assert_eq!(compiled.functions().count(), 0);
}

#[test]
fn clones_share_and_print_the_source() {
    let compiled = compile("//a [1]");
    let copy = compiled.clone();
    assert_eq!(copy.source(), "//a [1]");
    assert_eq!(copy.to_string(), "//a [1]");
    assert_eq!(format!("{copy:?}"), "XPath(\"//a [1]\")");
    fn shared<T: Send + Sync + Clone>(_: &T) {}
    shared(&compiled);
}
