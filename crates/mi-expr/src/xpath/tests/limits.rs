//! Caps: hostile expressions and documents end in an error that names the cap, never in a crash.

use mi_xml::{Limits, ParseOptions};

use super::eval::{Cx, Evaluator, Focus, MAX_STEPS};
use super::*;

#[track_caller]
fn refused(source: &str, part: &str) {
    let error = XPath::compile(source, &namespaces).err().unwrap_or_else(|| panic!("compiles"));
    assert!(error.message.contains(part), "{error}");
}

fn nested(open: &str, inner: &str, close: &str, depth: usize) -> String {
    format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
}

#[test]
fn nesting_of_expressions() {
    for (open, close) in [("(", ")"), ("not(", ")"), ("concat('', ", ")"), ("(1 or ", ")"), ("a[", "]"), ("f(", ")")] {
        refused(&nested(open, "1", close, 5000), "200 levels");
    }
    refused(&"if (1) then 1 else ".repeat(5000), "200 levels");
    refused(&format!("{}1", "for $a in 1 return ".repeat(5000)), "200 levels");
    refused(&format!("1{}", " = 1".repeat(5000)), "100 chained");
    refused(&format!("a{}", "/string()".repeat(5000)), "100 chained");
    refused(&format!("a{}", "/b".repeat(5000)), "256 steps");
    refused(&"1".repeat((1 << 20) + 1), "longer than");
}

#[test]
fn the_deepest_expressions_evaluate() {
    let deep = [
        (nested("(", "1", ")", 190), "1"),
        (nested("not(", "1", ")", 190), "true"),
        (nested("string(", "1", ")", 190), "'1'"),
        (nested(".[", "1", "]", 95), "/r"),
        (nested("//a[", "1", "]", 95), "/r/a[1] | /r/a[2] | /r/a[2]/a"),
        (nested("(", "1", ")=1=1", 90), "true"),
        (format!("0{}", " or 0".repeat(20_000)), "false"),
        (format!("0{}", " + 1".repeat(20_000)), "20000"),
        (format!("{}1", "-".repeat(20_001)), "-1"),
        (format!("a{}", "[1]".repeat(20_000)), "/r/a[1]"),
        (format!("//c[1]{}", " | //c".repeat(2_000)), "/r/a[2]/a/c | /r/c"),
    ];
    for (source, expected) in &deep {
        assert_eq!(evaluate(source), *expected, "{}", &source[..40]);
    }
}

#[test]
fn deep_documents_need_no_deep_stack() {
    let depth = 100_000;
    let text = nested("<a>", "x", "</a>", depth);
    let limits = Limits { max_depth: u32::MAX, ..Limits::default() };
    let options = ParseOptions { limits, ..ParseOptions::default() };
    let doc = Document::parse_with(text, &options).unwrap();
    let value = |source: &str| show(&compile(source).evaluate(&doc, Document::ROOT, &Nothing).unwrap(), Version::V1);
    assert_eq!(value("count(//a)"), "100000");
    assert_eq!(value("string(//a[not(a)])"), "'x'");
    assert_eq!(value("count(//text()/ancestor::a)"), "100000");
    assert_eq!(value("count(//text()/preceding::a)"), "0");
    assert_eq!(value("count(//a//text())"), "1");
    assert_eq!(value("deep-equal(/, /)"), "true");
}

#[test]
fn the_budget_of_visits() {
    let doc = Document::parse(SAMPLE.to_owned()).unwrap();
    let run = |source: &str, left: u64| {
        let compiled = compile(source);
        let evaluator = Evaluator::new(&compiled.0, &Nothing);
        evaluator.spend(MAX_STEPS - left).unwrap();
        let home = DocRef::Borrowed(&doc);
        let cx = Cx { item: Focus::Node(&home, Document::ROOT), position: 1, size: 1, vars: None };
        evaluator.eval(&compiled.0.root, &cx).map(|value| show(&value, compiled.version()))
    };
    let limit = Err(XPathError::Limit { what: "visits of nodes and items", cap: MAX_STEPS });
    assert_eq!(run("count(//*)", 200), Ok("33".to_owned()));
    assert_eq!(run("count(//*)", 10), limit);
    assert_eq!(run("count(//*[//*[//*]])", 10_000), Ok("33".to_owned()));
    assert_eq!(run("//*[count(//*[count(//*) > 99]) > 99]", 10_000), limit);
    assert_eq!(run("count(//b/preceding::node())", 50), limit);
    assert_eq!(run("count(for $x in 1 to 100 return $x)", 50), limit);
    assert_eq!(run("some $x in (1, 2, 3), $y in (1, 2, 3) satisfies $x = 4", 5), limit);
    assert_eq!(run("//b = //i", 20), limit);
}

#[test]
fn sizes_of_values() {
    let error = |source: &str| evaluate(source);
    assert!(error("1 to 10000000").contains("2000000 items in one sequence"), "{}", error("1 to 10000000"));
    assert!(
        error("count(1 to 9223372036854775807)").contains("visits"),
        "{}",
        error("count(1 to 9223372036854775807)")
    );
    let doubling = "let $a := string-join(for $i in 1 to 100000 return '0123456789', ''), $b := concat($a, $a, $a, $a), \
                    $c := concat($b, $b, $b, $b), $d := concat($c, $c, $c, $c, $c) return string-length($d)";
    assert!(error(doubling).contains("bytes in one string"), "{}", error(doubling));
}

#[test]
fn regular_expressions_cannot_run_away() {
    let text = "a".repeat(40);
    assert_eq!(evaluate(&format!("matches('{text}!', '^(a+)+$')")), "false");
    let refused = evaluate(&format!("matches('{text}!', '^(a+)+\\1$')"));
    assert!(refused.contains("cannot be matched") || refused == "false", "{refused}");
    assert!(evaluate("matches('a', 'a{1000000}')").contains("is no regular expression"));
    assert!(evaluate(&format!("matches('a', '{}')", "(".repeat(5000))).contains("100 nested groups"));
    assert!(evaluate(&format!("matches('a', '{}')", "[a-".repeat(5000))).contains("100 nested classes"));
    assert!(evaluate(&format!("matches('a', '{}')", "a".repeat(70_000))).contains("bytes in one regular expression"));
}

#[test]
fn numbers_cannot_run_away() {
    let squares = "let $a := 12345678901234567890, $b := $a * $a, $c := $b * $b, $d := $c * $c, $e := $d * $d, $f := $e * $e, \
                   $g := $f * $f, $h := $g * $g, $i := $h * $h, $j := $i * $i, $k := $j * $j, $l := $k * $k return $l";
    assert!(evaluate(squares).contains("65536 bits in one number"), "{}", evaluate(squares));
    let fractions = squares.replace("67890, $b", "67890.5, $b");
    assert!(evaluate(&fractions).contains("65536 bits in one number"), "{}", evaluate(&fractions));
    assert!(evaluate(&format!("xs:integer('{}')", "9".repeat(20_000))).contains("FORG0001"));
    assert_eq!(evaluate(&format!("string-length(string(xs:integer('{}')))", "9".repeat(19_000))), "19000");
    assert_eq!(
        evaluate("round(1.5, 9223372036854775807), round(1.5, -9223372036854775807)"),
        "decimal: 1.5 | decimal: 0"
    );
    assert_eq!(evaluate("round-half-to-even(5, -99999999999999999999)"), "0");
    assert!(evaluate("count(99999999999999999999 to 99999999999999999999999)").contains("visits"));
}

#[test]
fn json_cannot_run_away() {
    assert!(evaluate(&format!("parse-json('{}')", "[".repeat(100_000))).contains("500 levels of JSON"));
    let value = evaluate(&format!("parse-json('{}1{}') instance of array(*)", "[".repeat(500), "]".repeat(500)));
    assert_eq!(value, "true");
}

#[test]
fn functions_that_never_end() {
    let forever = "let $f := function($f, $n) { $f($f, $n + 1) } return $f($f, 0)";
    assert!(evaluate(forever).contains("bytes of stack"), "{}", evaluate(forever));
    let counted = "let $f := function($f, $n) { if ($n = 0) then 0 else 1 + $f($f, $n - 1) } return $f($f, 1000000)";
    assert!(evaluate(counted).contains("bytes of stack"), "{}", evaluate(counted));
}

#[test]
fn sorting_has_one_order() {
    // A decimal equals a float when it is rounded to it, but not the double of the same digits.
    let values =
        "for $i in 1 to 300 return (1.1, xs:float(1.1), 1.1e0, 1.10000001, xs:double(xs:float(1.1)), number('x'))";
    let ordered = format!("let $s := sort(({values})) return string(number($s[1])), count(sort(({values})))");
    assert_eq!(evaluate(&ordered), "'NaN' | 1800");
}
