//! Queries with their results, compared with Saxon.

use mi_expr::xpath::{Item, Sequence, Version};
use mi_xml::NodeKind;

use crate::{PlainHost, XQuery};

/// A query and its result.
const ROWS: &[(&str, &str)] = &[
    ("let $x:=1 return $x", "1"),
    ("(5)*<a>2</a>", "10"),
    ("(count(<a/>/..), count(attribute a {1}/..), count(<a><b/></a>/b/ancestor::node()))", "0 0 1"),
    ("declare base-uri 'http://e.com/a'; base-uri(<a xml:base='b/c'><d xml:base='e'/></a>/d)", "http://e.com/b/e"),
    ("declare base-uri 'http://e.com/a'; (static-base-uri(), resolve-uri('x'))", "http://e.com/a http://e.com/x"),
    ("<a xml:id=' x '/>", r#"<a xml:id="x"/>"#),
    ("<a b='1'/>/attribute(b, xs:untypedAtomic)/string()", "1"),
    ("count(<a><b/></a>/element(b, xs:integer))", "0"),
    ("1 + 2", "3"),
    ("<a>{1, 2}{3}</a>", "<a>1 23</a>"),
    ("for $x in (3,1,2) order by $x return <i>{$x}</i>", "<i>1</i><i>2</i><i>3</i>"),
    (r#"for $x at $p in ("a","b") return concat($p, $x)"#, "1a 2b"),
    ("declare variable $x := 5; $x * 2", "10"),
    (
        "declare function local:f($n as xs:integer) as xs:integer { if ($n le 1) then 1 else $n * local:f($n - 1) }; local:f(10)",
        "3628800",
    ),
    (
        r#"<a b="x{1+1}y" c='{{}}'>t &lt; {"&amp;"} <b/> <!-- c --><?p d?></a>"#,
        r#"<a b="x2y" c="{}">t &lt; &amp;<b/><!-- c --><?p d?></a>"#,
    ),
    (r#"let $d := <r><i n="1">x</i><i n="2">y</i></r> return $d/i[@n = "2"]/text()"#, "y"),
    (
        r#"declare namespace m="urn:m"; <m:a xmlns:n="urn:n"><n:b>{<m:c/>}</n:b></m:a>"#,
        r#"<m:a xmlns:m="urn:m" xmlns:n="urn:n"><n:b><m:c/></n:b></m:a>"#,
    ),
    (
        r#"declare default element namespace "urn:d"; let $x := <a><b>1</b></a> return <c>{$x/b}</c>"#,
        r#"<c xmlns="urn:d"><b>1</b></c>"#,
    ),
    (r#"typeswitch (5) case xs:string return "s" case $i as xs:integer return $i + 1 default return "d""#, "6"),
    (r#"typeswitch (<a/>) case element(b) return "b" case element(a) return "a" default return "d""#, "a"),
    (r#"element {concat("a","b")} { attribute x {1+1}, "text", element c {} }"#, r#"<ab x="2">text<c/></ab>"#),
    ("document { <a/>, <b/> }", "<a/><b/>"),
    (r#"text { "a", "b" }"#, "a b"),
    (r#"<x>{comment {"hi"}}{processing-instruction t {"data"}}</x>"#, "<x><!--hi--><?t data?></x>"),
    ("some $x in (1,2,3) satisfies $x > 2", "true"),
    ("for $a in (1,2), $b in (10,20) where $a + $b > 12 return $a + $b", "21 22"),
    (
        "for $a in <r><p><n>b</n><v>2</v></p><p><n>a</n><v>10</v></p><p><n>a</n><v>9</v></p></r>/p order by $a/n, xs:integer($a/v) descending return string($a/v)",
        "10 9 2",
    ),
    ("let $x := (1 to 5) return sum($x[. mod 2 = 1])", "9"),
    (r#"<a>   {  "x" }   </a>"#, "<a>x</a>"),
    (r#"declare boundary-space preserve; <a>   {  "x" }   </a>"#, "<a>   x   </a>"),
    ("<a><![CDATA[<&>]]>&#65;</a>", "<a>&lt;&amp;&gt;A</a>"),
    (r#""a &amp; b &#x41;""#, "a & b A"),
    (r#"<e>{attribute a {"1"}, attribute b {"2"}, "c"}</e>"#, r#"<e a="1" b="2">c</e>"#),
    (
        r#"for $x in (1,2,3,4) group by $k := $x mod 2 order by $k return <g k="{$k}">{$x}</g>"#,
        r#"<g k="0">2 4</g><g k="1">1 3</g>"#,
    ),
    (r#"try { 1 div 0 } catch * { "caught" }"#, "caught"),
    (r#"switch (3) case 1 case 2 return "low" case 3 return "three" default return "d""#, "three"),
    ("let $f := function($x) { $x * 2 } return $f(21)", "42"),
    ("[1, (2,3)]?2", "2 3"),
    ("(1,2,3) ! (. + 1)", "2 3 4"),
    (r#""abc" => upper-case() => concat("!")"#, "ABC!"),
    (r#"declare variable $y as xs:string external := "dflt"; $y"#, "dflt"),
    (r#"xs:date("2024-01-31") + xs:yearMonthDuration("P1M")"#, "2024-02-29"),
    ("<a>{xs:float(156312.98)}</a>", "<a>156312.98</a>"),
    ("<a>{1.5e10}</a>", "<a>1.5E10</a>"),
    ("<a>{for $i in 1 to 3 return ($i, <b/>)}</a>", "<a>1<b/>2<b/>3<b/></a>"),
    (r#"let $i := <i xmlns:q="urn:q" a="q:x"/> return <o>{$i}</o>"#, r#"<o><i xmlns:q="urn:q" a="q:x"/></o>"#),
    (r#"<o xmlns="urn:o">{<i xmlns=""/>}</o>"#, r#"<o xmlns="urn:o"><i xmlns=""/></o>"#),
    (r#"<o>{<a xmlns:x="urn:x" x:y="1"/>/@*}</o>"#, r#"<o xmlns:x="urn:x" x:y="1"/>"#),
    (r#"declare option saxon:output "indent=yes"; 1"#, "1"),
    ("for $x in 1 to 3 return\n  (: comment (: nested :) :)\n  $x", "1 2 3"),
    ("if (1 < 2) then <a/> else <b/>", "<a/>"),
    ("1 <2", "true"),
    ("<a>{1}</a> = 1", "true"),
    (
        "declare function local:even($n) { if ($n = 0) then true() else local:odd($n - 1) }; declare function local:odd($n) { if ($n = 0) then false() else local:even($n - 1) }; local:even(100)",
        "true",
    ),
    (
        r#"<r>{ for $w in tokenize("the quick brown", " ") let $l := string-length($w) order by $l, $w return <w l="{$l}">{$w}</w> }</r>"#,
        r#"<r><w l="3">the</w><w l="5">brown</w><w l="5">quick</w></r>"#,
    ),
    (
        r#"string-join(for $x in <a><b/>t<c/></a>/node() return typeswitch ($x) case text() return "T" case element() return name($x) default return "?", ",")"#,
        "b,T,c",
    ),
    (
        "declare ordering unordered; declare copy-namespaces preserve, inherit; declare construction strip; declare default order empty greatest; for $x in (<a>1</a>,<a/>,<a>0</a>) order by xs:integer($x/text()) return <z>{string($x)}</z>",
        "<z>0</z><z>1</z><z/>",
    ),
    ("unordered { 1, 2 }", "1 2"),
    ("count((<a/>,<a/>) | ())", "2"),
    ("let $a := <a/> return $a is $a", "true"),
    ("<a/> is <a/>", "false"),
    ("(<a>1</a>, <a>2</a>)/string()", "1 2"),
    (r#"deep-equal(<a x="1"><b/></a>, <a x="1"><b/></a>)"#, "true"),
    ("<a>{()}</a>", "<a/>"),
    (r#"<a>{""}</a>"#, "<a/>"),
    (r#"<a x="{()}" y="{1,2,3}"/>"#, r#"<a x="" y="1 2 3"/>"#),
    ("every $x in (), $y in (1) satisfies false()", "true"),
    ("declare variable $a := local:f(2); declare function local:f($x) { $x + $b }; declare variable $b := 3; $a", "5"),
    (r#"xquery version "1.0" encoding "utf-8"; 7"#, "7"),
    (
        r#"let $s := "it's" return <q a="{$s}" b='don''t' c="say ""x"""/>"#,
        r#"<q a="it's" b="don't" c="say &quot;x&quot;"/>"#,
    ),
    (r#"QName("urn:x", "p:y")"#, "p:y"),
    (r#"element {QName("urn:x", "p:y")} {}"#, r#"<p:y xmlns:p="urn:x"/>"#),
    (r#"<a>{true(), 1.0, 1e0, xs:date("2020-01-01")}</a>"#, "<a>true 1 1 2020-01-01</a>"),
    (r#"fn:concat("a", "b")"#, "ab"),
    (r#"(1, "a", <b/>)[2]"#, "a"),
    ("let $x := <a>5</a> return $x + 1", "6"),
    (r#"let $x := <a>x</a> return if ($x = "x") then "eq" else "ne""#, "eq"),
    (
        r#"let $doc := document { <r xmlns:m="u"><m:s>IBM</m:s></r> } return <z xmlns:m="u">{$doc//m:s/child::text()}</z>"#,
        r#"<z xmlns:m="u">IBM</z>"#,
    ),
    ("for $i in 1 to 2 return if ($i eq 1) then <one/> else ()", "<one/>"),
    (r#"<a>{"<b>"}</a>"#, "<a>&lt;b&gt;</a>"),
    (r#"substring("hello", 2, 3)"#, "ell"),
    (r#"for $x allowing empty in () return "e""#, "e"),
    ("for $x in (5,6) count $c return $c", "1 2"),
    ("sort((3,1,2))", "1 2 3"),
];

/// A query that is refused when it is compiled, and how the message begins or ends.
const REFUSED: &[(&str, &str)] = &[
    ("declare base-uri 'a'; declare base-uri 'b'; 1", "1:40: the base URI is declared twice (XQST0032)"),
    ("declare namespace a = 'b'; declare namespace a = 'c'; 1", "1:53: the prefix `a` is declared twice (XQST0033)"),
    ("declare variable $x := 1; declare ordering ordered; 1", "1:35: this must stand in front of"),
    ("declare function fn:f() {1}; 1", "1:18: the namespace of the function f is reserved"),
    ("<!-- a--b -->", "1:1: a comment may not contain `--`"),
    ("1 + (#)", "1:5: a pragma has no end"),
    ("(# x:y #) { 1 }", "1:1: the name `x:y` of a pragma must have a prefix"),
    ("<a xmlns:p=''/>", "1:4: the prefix `p` cannot be taken back (XQST0085)"),
    ("for $x at $x in 1 return 1", "1:14: $x is both the item and its position (XQST0089)"),
    ("validate { <a/> }", "1:1: `validate` needs schemas"),
    ("$undeclared", "1:1: the variable $undeclared is not declared (XPST0008)"),
    ("1 +\n  local:f(1)", "2:3: there is no function local:f() with 1 argument(s) (XPST0017)"),
    ("<a><b></a>", "1:7: this is not the end tag of <b>"),
    ("for $x in", "1:10: expected an expression, found the end of the expression"),
    ("<a b='1' b='2'/>", "1:10: the attribute b is written twice (XQST0040)"),
    ("<p:a/>", "1:2: the namespace prefix `p` is not declared (XPST0081)"),
    ("<a>}</a>", "1:4: a single `}` in a constructor"),
    ("<a>&x;</a>", "1:4: `&x;` is no reference to a character"),
    ("<a>{1</a>", "1:10: a `}` is missing"),
    ("declare variable $x := 1; declare variable $x := 2; 1", "1:44: the variable $x is declared twice (XQST0049)"),
    ("declare function f() { 1 }; 1", "1:18: the function f must be in a namespace"),
    ("declare function local:f($a, $a) { 1 }; 1", "1:30: there are two parameters $a (XQST0039)"),
    ("import module namespace m = 'urn:m'; 1", "1:1: imports are not supported (XQST0016)"),
    ("module namespace m = 'urn:m'; 1", "1:1: library modules are not supported"),
    ("declare default collation 'urn:c'; 1", "1:27: the collation \"urn:c\" is not supported (XQST0038)"),
    ("xquery version '9'; 1", "1:16: XQuery 9 is not supported (XQST0031)"),
    ("declare variable $x := 1;", "1:26: there is no expression behind the prolog (XPST0003)"),
    ("for $x in 1 order by $x collation 'urn:c' return 1", "1:35: the collation"),
];

/// A query that fails when it is run.
const FAILING: &[(&str, &str)] = &[
    (
        "declare function local:f($n) { if ($n = 0) then 0 else 1 + local:f($n - 1) }; local:f(1000000)",
        "is there an end to the recursion?",
    ),
    ("<a>{attribute b {1}, attribute b {2}}</a>", "XQDY0025"),
    ("<a>{attribute xmlns {1}}</a>", "XQDY0044"),
    ("element {QName('http://www.w3.org/2000/xmlns/', 'x')} {}", "XQDY0096"),
    ("<a/>/(/)", "XPDY0050"),
    ("declare variable $x as xs:double := 1; $x", "XPTY0004"),
    ("xs:duration('P1D') + xs:date('2024-01-01')", "XPTY0004"),
    ("1 div 0", "(FOAR0001)"),
    ("//a", "(XPDY0002)"),
    ("let $x as xs:integer := 'a' return $x", "the value of `let` must be xs:integer, but is xs:string (XPTY0004)"),
    ("<a>x{attribute b {1}}</a>", "(XQTY0024)"),
    ("<a>{map {}}</a>", "(XQTY0105)"),
    ("declare variable $x external; $x", "the external variable $x has no value (XPDY0002)"),
    ("declare variable $x := $y; declare variable $y := $x; $x", "depends on itself (XQST0054)"),
    (
        "declare function local:f($a as xs:integer) { $a };\nlocal:f('x')",
        "q:1:1: argument 1 of local:f() must be xs:integer, but is xs:string (XPTY0004)",
    ),
    ("declare function local:f($a) { local:f($a + 1) }; local:f(1)", "is there an end to the recursion?"),
    ("let $f := function($f) { $f($f) } return $f($f)", "which is the cap"),
    ("comment { 'a--b' }", "(XQDY0072)"),
    ("element { 'a b' } {}", "(XQDY0074)"),
    ("for $x in (1, 'a') order by $x return $x", "cannot be ordered (XPTY0004)"),
    ("try { error(xs:QName('local:e'), 'no') } catch local:other { 1 }", "no (local:e)"),
];

/// Runs each query and tells all that give something else than expected.
pub(super) fn check(rows: &[(&str, &str)]) {
    let wrong: Vec<String> = rows
        .iter()
        .map(|(query, expected)| (query, run(query), expected))
        .filter(|(_, found, expected)| found.as_deref() != Ok(**expected))
        .map(|(query, found, expected)| format!("{query}\n  is  {found:?}\n  not {expected}"))
        .collect();
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

pub(super) fn run(query: &str) -> Result<String, String> {
    let query = XQuery::compile(query, "q").map_err(|error| error.to_string())?;
    let result = query.run(&[], &PlainHost::default()).map_err(|error| error.to_string())?;
    Ok(show(&result))
}

/// Nodes as XML, values separated by spaces.
fn show(value: &Sequence<'_>) -> String {
    let (mut out, mut behind_value) = (String::new(), false);
    for item in value.iter() {
        match &item {
            Item::Node(node) if matches!(node.kind(), NodeKind::Attribute | NodeKind::Text) => {
                out.push_str(&node.string_value());
            }
            Item::Node(node) => out.push_str(&node.doc.to_xml(node.id)),
            other => {
                if behind_value {
                    out.push(' ');
                }
                out.push_str(&other.to_str(Version::V2));
            }
        }
        behind_value = !matches!(item, Item::Node(_));
    }
    out
}

#[test]
fn results() {
    check(ROWS);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (query, expected) in REFUSED {
        let error = XQuery::compile(query, "q").map(|_| ()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("q:{expected}")), "{query}\n  is  {error}\n  not {expected}");
    }
}

#[test]
fn failures_of_queries() {
    for (query, expected) in FAILING {
        let error = run(query).unwrap_err();
        assert!(error.contains(expected), "{query}\n  is  {error}\n  not {expected}");
    }
}

#[test]
fn external_variables_get_values() {
    let query = "declare namespace m = 'urn:m'; declare variable $a as xs:double external; \
        declare variable $m:b external := 2; declare variable $c external; ($a, $m:b, $c)";
    let query = XQuery::compile(query, "q").unwrap();
    assert_eq!(query.externals().collect::<Vec<_>>(), ["a", "{urn:m}b", "c"]);
    let values = [("a", Sequence::from(3_i64)), ("c", Sequence::from("x")), ("unknown", Sequence::from("y"))];
    let result = query.run(&values, &PlainHost::default()).unwrap();
    assert_eq!(show(&result), "3 2 x");
    assert!(matches!(result.first(), Some(Item::Double(_))));
}

#[test]
fn what_has_no_effect_is_noted() {
    let query =
        XQuery::compile("declare copy-namespaces preserve, no-inherit;\ndeclare option xs:o 'x'; 1", "q").unwrap();
    let notes: Vec<String> = query.notes().iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        ["q:1:1: namespaces are always inherited by nodes that are copied", "q:2:1: options have no effect here"]
    );
}
