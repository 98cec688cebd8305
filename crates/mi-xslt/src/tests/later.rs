//! Instructions of later versions, results beside the main one, and what is refused before anything runs.

use mi_xml::Document;

use super::{compile, output_of, parsed, transformed};
use crate::{PlainHost, Start};

const SOURCE: &str = "<o><i n='1'>x</i><i n='2'>y</i><i n='3'>z</i></o>";

/// What a template for the document makes of [`SOURCE`].
fn of(body: &str) -> String {
    transformed("3.0", &format!("<xsl:template match='/'><r>{body}</r></xsl:template>"), SOURCE)
}

#[test]
fn iterations() {
    let sum = "<xsl:iterate select='o/i'><xsl:param name='s' select='0'/><xsl:on-completion>=<xsl:value-of select='$s'/>\
        </xsl:on-completion><xsl:value-of select='.'/><xsl:next-iteration><xsl:with-param name='s' select='$s + @n'/>\
        </xsl:next-iteration></xsl:iterate>";
    assert_eq!(of(sum), "<r>xyz=6</r>");
    let stopped = "<xsl:iterate select='o/i'><xsl:on-completion>never</xsl:on-completion><xsl:choose><xsl:when test='@n = 2'>\
        <xsl:break select='\"stop\"'/></xsl:when><xsl:otherwise><xsl:value-of select='.'/></xsl:otherwise></xsl:choose></xsl:iterate>";
    assert_eq!(of(stopped), "<r>xstop</r>");
    let wrong = "<xsl:iterate select='o/i'><xsl:next-iteration><xsl:with-param name='q' select='1'/></xsl:next-iteration></xsl:iterate>";
    assert!(of(wrong).contains("XTSE3130"));
}

#[test]
fn errors_are_caught() {
    let tried = |inner: &str, errors: &str| {
        of(&format!(
            "<xsl:try><a><xsl:value-of select='{inner}'/></a><xsl:catch exclude-result-prefixes='err' errors='{errors}' xmlns:err='http://www.w3.org/2005/xqt-errors'>\
             <c><xsl:value-of select='local-name-from-QName($err:code), $err:line-number'/></c></xsl:catch></xsl:try>"
        ))
    };
    assert_eq!(tried("1", "*"), "<r><a>1</a></r>");
    assert_eq!(tried("1 idiv 0", "*"), "<r><c>FOAR0001 1</c></r>");
    assert_eq!(tried("1 idiv 0", "err:FOAR0001"), "<r><c>FOAR0001 1</c></r>");
    assert!(tried("1 idiv 0", "err:XPTY0004").contains("FOAR0001"));
    // A cap is no error of the stylesheet.
    let endless = "<xsl:template name='t'><xsl:call-template name='t'/></xsl:template><xsl:template match='/'>\
        <xsl:try><xsl:call-template name='t'/><xsl:catch><c/></xsl:catch></xsl:try></xsl:template>";
    assert!(transformed("3.0", endless, "<o/>").starts_with("error: "));
}

#[test]
fn maps_and_what_is_populated() {
    let map = "<xsl:variable name='m' as='map(*)'><xsl:map><xsl:map-entry key='\"a\"' select='1, 2'/>\
        <xsl:map-entry key='\"b\"'><z/></xsl:map-entry></xsl:map></xsl:variable>\
        <xsl:value-of select='sum($m?a), local-name($m?b), map:size($m)' xmlns:map='http://www.w3.org/2005/xpath-functions/map'/>";
    assert_eq!(of(map), "<r>3 z 2</r>");
    let twice = "<xsl:map><xsl:map-entry key='1' select='1'/><xsl:map-entry key='1' select='2'/></xsl:map>";
    assert!(
        of(&format!("<xsl:variable name='m'>{twice}</xsl:variable><xsl:copy-of select='$m'/>")).contains("XTDE3365")
    );
    assert_eq!(of("<xsl:where-populated><a/><b>1</b></xsl:where-populated>"), "<r><b>1</b></r>");
}

#[test]
fn results_beside_the_main_one() {
    let sheet = "<xsl:output name='t' method='text'/><xsl:template match='/'><main/><xsl:for-each select='o/i'>\
        <xsl:result-document href='{@n}.txt' format='t'><a><xsl:value-of select='.'/></a></xsl:result-document></xsl:for-each>\
        <xsl:result-document href='x' omit-xml-declaration='{\"yes\"}'><b/></xsl:result-document></xsl:template>";
    let output = output_of("2.0", sheet, SOURCE).expect("it runs");
    assert_eq!(output.document.to_xml(Document::ROOT), "<main/>");
    let found: Vec<(&str, String)> = output.others.iter().map(|(href, it)| (href.as_str(), it.serialize())).collect();
    let expected = [("1.txt", "x"), ("2.txt", "y"), ("3.txt", "z"), ("x", "<b/>")];
    assert_eq!(found, expected.map(|(href, text)| (href, text.to_owned())));
    assert!(of("<xsl:result-document href='a'/><xsl:result-document href='a'/>").contains("XTDE1490"));
    assert!(
        of("<xsl:variable name='v'><xsl:result-document href='a'/></xsl:variable><xsl:copy-of select='$v'/>")
            .contains("XTDE1480")
    );
    // Where nobody looks at it, a result is refused.
    let sheet = compile("2.0", sheet).expect("it is valid");
    let source = parsed(SOURCE).expect("it is well formed");
    let refused = sheet.transform(&source, Document::ROOT, &[], &PlainHost::default()).expect_err("it has no place");
    assert!(refused.message.contains("the result 1.txt cannot be written"), "{refused}");
    assert!(of("<xsl:result-document href='a' format='no'/>").contains("XTDE1460"));
    let many = of("<xsl:for-each select='1 to 1001'><xsl:result-document href='r{.}'/></xsl:for-each>");
    assert!(many.contains("1000 result documents"), "{many}");
}

#[test]
fn a_transformation_starts_where_it_is_told() {
    let sheet = compile(
        "2.0",
        "<xsl:template name='t'><t><xsl:value-of select='count(.)'/></t></xsl:template>\
         <xsl:template match='/' mode='m'><m/></xsl:template><xsl:template name='u'><u/></xsl:template>",
    )
    .expect("it is valid");
    let source = parsed(SOURCE).expect("it is well formed");
    let run = |start: Start<'_>, with: bool| {
        let source = with.then_some((&*source, Document::ROOT));
        match sheet.transform_from(start, source, &[], &PlainHost::default()) {
            Ok(output) => output.document.to_xml(Document::ROOT),
            Err(error) => error.code().unwrap_or("no code").to_owned(),
        }
    };
    assert_eq!(run(Start { template: Some("t"), mode: None }, true), "<t>1</t>");
    assert_eq!(run(Start { template: Some("t"), mode: None }, false), "XPDY0002");
    assert_eq!(run(Start { template: Some("u"), mode: None }, false), "<u/>");
    assert_eq!(run(Start { template: None, mode: Some("m") }, true), "<m/>");
    assert_eq!(run(Start { template: Some("none"), mode: None }, true), "XTDE0040");
    assert_eq!(run(Start { template: None, mode: Some("none") }, true), "XTDE0045");
    assert_eq!(run(Start::default(), false), "XTDE0040");
}

#[test]
fn elements_have_what_they_may_have() {
    for (body, expected) in [
        ("<xsl:template match='/' prority='1'/>", "xsl:template has no attribute `prority` (XTSE0090)"),
        ("<xsl:template match='/'><xsl:copy-of select='.'>x</xsl:copy-of></xsl:template>", "XTSE0260"),
        ("<xsl:template match='/'><xsl:choose>x<xsl:when test='1'/></xsl:choose></xsl:template>", "XTSE0010"),
        ("<xsl:template match='/'><a/><xsl:param name='p'/></xsl:template>", "XTSE0010"),
        ("<xsl:template match='/'><xsl:copy copy-namespaces='perhaps'/></xsl:template>", "XTSE0020"),
        ("<xsl:template match='/'><a xsl:sort='1'/></xsl:template>", "XTSE0805"),
        (
            "<xsl:template match='/'><xsl:for-each select='a'><xsl:with-param name='x'/></xsl:for-each></xsl:template>",
            "XTSE0010",
        ),
        ("<xsl:template name='xsl:t'/>", "XTSE0080"),
    ] {
        let found = compile("2.0", body).err().unwrap_or_default();
        assert!(found.contains(expected), "{body}\n{found}");
    }
    // A version that is not known yet may have more.
    assert!(compile("4.0", "<xsl:template match='/' prority='1'/>").is_ok());
}

#[test]
fn groups_by_several_values_and_by_moments() {
    let grouped = |attributes: &str| {
        let body = format!(
            "<xsl:for-each-group select='o/i' {attributes}><g k='{{current-grouping-key()}}' n='{{count(current-group())}}'/></xsl:for-each-group>"
        );
        transformed(
            "3.0",
            &format!("<xsl:template match='/'><r>{body}</r></xsl:template>"),
            "<o><i a='1' b='2' t='2020-01-01T10:00:00Z'/><i a='2' b='1' t='2020-01-01T12:00:00+02:00'/></o>",
        )
    };
    assert_eq!(grouped("group-by='@a, @b' composite='yes'"), "<r><g k=\"1 2\" n=\"1\"/><g k=\"2 1\" n=\"1\"/></r>");
    assert_eq!(grouped("group-by='@a, @b'"), "<r><g k=\"1\" n=\"2\"/><g k=\"2\" n=\"2\"/></r>");
    assert_eq!(grouped("group-by='xs:dateTime(@t)'"), "<r><g k=\"2020-01-01T10:00:00Z\" n=\"2\"/></r>");
}

#[test]
fn heads_of_pages_have_the_content_type() {
    let page = |output: &str| {
        let sheet = format!(
            "<xsl:output method='html' indent='no' {output}/><xsl:template match='/'><html><head>\
             <meta http-equiv='content-type' content='x'/><title>t</title></head><body><a href='ä'/></body></html></xsl:template>"
        );
        output_of("2.0", &sheet, "<o/>").map(|it| it.serialize()).unwrap_or_else(|error| error)
    };
    let meta = "<meta http-equiv=\"Content-Type\" content=\"text/html; charset=UTF-8\">";
    assert_eq!(
        page(""),
        format!("<html><head>{meta}<title>t</title></head><body><a href=\"%C3%A4\"></a></body></html>")
    );
    let plain = "<html><head><meta http-equiv=\"content-type\" content=\"x\"><title>t</title></head><body><a href=\"ä\"></a></body></html>";
    assert_eq!(page("include-content-type='no' escape-uri-attributes='no'"), plain);
}

/// What is refused at compilation has the code of the specification.
#[test]
fn static_errors() {
    for (code, body) in [
        ("XTSE0080", "<xsl:function name='xs:f'/>"),
        ("XTSE0770", "<xsl:function name='f:f'/><xsl:function name='f:f'/>"),
        ("XTSE0580", "<xsl:template match='/'><xsl:param name='p'/><xsl:param name='p'/></xsl:template>"),
        ("XTSE0010", "<xsl:template name='t'><xsl:param name='p' required='yes' select='1'/></xsl:template>"),
        ("XTSE1060", "<xsl:template match='o[current-group()]'/>"),
        ("XTSE1070", "<xsl:template match='o[current-grouping-key()]'/>"),
        (
            "XTSE1090",
            "<xsl:template match='/'><xsl:for-each-group select='o' group-starting-with='o' collation='urn:c'/></xsl:template>",
        ),
        ("XTSE1300", "<xsl:decimal-format decimal-separator='!' grouping-separator='!'/>"),
        ("XTSE1295", "<xsl:decimal-format zero-digit='a'/>"),
    ] {
        let error = compile("2.0", body).expect_err(body);
        assert!(error.contains(code), "{body}: {error}");
    }
}

#[test]
fn base_addresses_are_those_of_the_stylesheet() {
    let body = "<xsl:template match='/' xml:base='http://h/a/'><r xml:base='b/'>\
        <xsl:value-of select='static-base-uri(), resolve-uri(\"c\"), base-uri(/)'/></r></xsl:template>";
    assert_eq!(transformed("2.0", body, "<o/>"), "<r xml:base=\"b/\">http://h/a/b/ http://h/a/b/c</r>");
    assert!(of("<xsl:value-of select='resolve-uri(\"c\")'/>").contains("FONS0005"));
    assert_eq!(of("<xsl:value-of select='count(static-base-uri())'/>"), "<r>0</r>");
}

#[test]
fn languages_names_and_quotes() {
    let sorted = |lang: &str| {
        of(&format!("<xsl:for-each select='o/i'><xsl:sort lang='{lang}'/><xsl:copy-of select='.'/></xsl:for-each>"))
    };
    assert!(sorted("de-AT").starts_with("<r><i"));
    assert!(sorted("&apos;de&apos;").contains("XTDE0030"));
    let number = "<xsl:analyze-string select='22' regex='2'><xsl:matching-substring>x</xsl:matching-substring></xsl:analyze-string>";
    assert!(of(number).contains("XPTY0004"));
    let when = "<xsl:template match='/'><r xsl:use-when='1 instance of integer' xsl:xpath-default-namespace='http://www.w3.org/2001/XMLSchema'/></xsl:template>";
    assert_eq!(transformed("2.0", when, "<o/>"), "<r/>");
    let strips = "<xsl:strip-space elements='Q{}o Q{urn:x}*'/><xsl:template match='/'><r><xsl:copy-of select='.'/></r></xsl:template>";
    assert_eq!(transformed("3.0", strips, "<o> <i> </i></o>"), "<r><o><i> </i></o></r>");
    let typed =
        "<xsl:output doctype-system='a\"b' omit-xml-declaration='yes'/><xsl:template match='/'><r/></xsl:template>";
    let written = output_of("1.0", typed, "<o/>").map(|it| it.serialize());
    assert_eq!(written.as_deref(), Ok("<!DOCTYPE r SYSTEM 'a\"b'><r/>"));
}
