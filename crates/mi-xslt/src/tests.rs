use std::sync::Arc;

use mi_expr::xpath::Sequence;
use mi_xml::{Document, ParseError};

use crate::{NoResolver, Output, PlainHost, Resolver, Stylesheet, TransformErrorKind};

mod edits;
mod functions;
mod later;
mod rows;
mod streaming;
mod streams;
mod xquery;

const HEAD: &str = "xmlns:xsl='http://www.w3.org/1999/XSL/Transform' xmlns:xs='http://www.w3.org/2001/XMLSchema' \
    xmlns:f='urn:f' exclude-result-prefixes='xs f'";

/// A host that looks at every result.
fn keeper() -> PlainHost {
    PlainHost { keeps_results: true, ..PlainHost::default() }
}

fn parsed(text: &str) -> Result<Arc<Document>, ParseError> {
    Document::parse(text.to_owned()).map(Arc::new)
}

fn compile(version: &str, body: &str) -> Result<Stylesheet, String> {
    let sheet = format!("<xsl:stylesheet version='{version}' {HEAD}>{body}</xsl:stylesheet>");
    compile_text(&sheet, &NoResolver)
}

fn compile_text(sheet: &str, resolver: &dyn Resolver) -> Result<Stylesheet, String> {
    let sheet = parsed(sheet).map_err(|error| error.to_string())?;
    Stylesheet::compile(sheet, "s", resolver)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

fn output_of(version: &str, body: &str, source: &str) -> Result<Output, String> {
    let sheet = compile(version, body)?;
    let source = parsed(source).map_err(|error| error.to_string())?;
    sheet.transform(&source, Document::ROOT, &[], &keeper()).map_err(|error| error.to_string())
}

fn transformed(version: &str, body: &str, source: &str) -> String {
    match output_of(version, body, source) {
        Ok(output) => output.document.to_xml(Document::ROOT),
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn instructions() {
    let mut wrong = Vec::new();
    for (version, body, expected) in rows::ROWS {
        let found = transformed(version, body, rows::SOURCE);
        if found != *expected {
            wrong.push(format!("{version} {body}\n  is     {found}\n  not    {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows::ROWS.len(), wrong.join("\n"));
}

#[test]
fn serialization() {
    let wrapped = |output: &str, body: &str| {
        let sheet = format!("<xsl:output {output}/><xsl:template match='/'>{body}</xsl:template>");
        output_of("1.0", &sheet, "<o/>").map(|it| it.serialize())
    };
    for (settings, body, expected) in [
        ("method='xml'", "<a>1</a>", "<?xml version=\"1.0\" encoding=\"UTF-8\"?><a>1</a>"),
        ("omit-xml-declaration='yes'", "<a b='&lt;'>&amp;</a>", "<a b=\"&lt;\">&amp;</a>"),
        ("method='text'", "<a>1 &lt; 2</a>", "1 < 2"),
        ("method='html' indent='no'", "<p><br/>a&lt;b<i/></p>", "<p><br>a&lt;b<i></i></p>"),
        ("method='html' indent='no'", "<input checked='checked' type='checked'/>", "<input checked type=\"checked\">"),
        (
            "method='xhtml' omit-xml-declaration='yes'",
            "<p xmlns='http://www.w3.org/1999/xhtml'><br/><i/><z xmlns=''/></p>",
            "<p xmlns=\"http://www.w3.org/1999/xhtml\"><br /><i></i><z xmlns=\"\"/></p>",
        ),
        ("omit-xml-declaration='yes' encoding='ISO-8859-1'", "<a>é€</a>", "<a>é&#8364;</a>"),
        ("omit-xml-declaration='yes' cdata-section-elements='a'", "<a>x&lt;</a>", "<a><![CDATA[x<]]></a>"),
        ("omit-xml-declaration='yes' indent='yes'", "<a><b/><c>t</c></a>", "<a>\n   <b/>\n   <c>t</c>\n</a>"),
        ("omit-xml-declaration='yes' doctype-system='d.dtd'", "<a/>", "<!DOCTYPE a SYSTEM \"d.dtd\"><a/>"),
        (
            "omit-xml-declaration='yes'",
            "<a><xsl:text disable-output-escaping='yes'>&lt;b/></xsl:text></a>",
            "<a><b/></a>",
        ),
    ] {
        assert_eq!(wrapped(settings, body).as_deref(), Ok(expected), "{settings}");
    }
    let map = "<xsl:output use-character-maps='m' omit-xml-declaration='yes'/><xsl:character-map name='m'>\
        <xsl:output-character character='x' string='&lt;x/>'/></xsl:character-map><xsl:template match='/'><a>1x</a></xsl:template>";
    assert_eq!(output_of("2.0", map, "<o/>").map(|it| it.serialize()).as_deref(), Ok("<a>1<x/></a>"));
}

#[test]
fn values_have_the_type_that_is_declared() {
    let of = |declared: &str, value: &str| {
        let body = format!(
            "<xsl:template match='/'><r><xsl:variable name='v' as='{declared}'>{value}</xsl:variable>\
             <xsl:value-of select='$v instance of {declared}, count($v)'/></r></xsl:template>"
        );
        transformed("2.0", &body, "<o><n>5</n></o>")
    };
    for (declared, value, expected) in [
        ("xs:integer", "<xsl:sequence select='//n'/>", "<r>true 1</r>"),
        ("xs:double*", "<xsl:sequence select='1, 2.5, //n'/>", "<r>true 3</r>"),
        ("element(n)", "<xsl:sequence select='//n'/>", "<r>true 1</r>"),
        ("element(m)", "<xsl:sequence select='//n'/>", "must be element(m), but is node() (XTTE0570)"),
        ("xs:integer", "<xsl:sequence select='\"5\"'/>", "must be xs:integer, but is xs:string (XTTE0570)"),
        ("xs:integer", "<xsl:sequence select='1, 2'/>", "must be xs:integer, but is 2 items (XTTE0570)"),
        ("xs:string?", "<xsl:sequence select='()'/>", "<r>true 0</r>"),
    ] {
        let found = of(declared, value);
        assert!(found.contains(expected), "{declared} {value}\n  is  {found}\n  not {expected}");
    }
}

#[test]
fn parts_are_left_out_by_use_when() {
    let of = |condition: &str| {
        let body = format!(
            "<xsl:template match='/'><r><a xsl:use-when='{condition}'><b/></a><xsl:text use-when='{condition}'>t</xsl:text></r></xsl:template>"
        );
        transformed("2.0", &body, "<o/>")
    };
    for (condition, expected) in [
        ("true()", "<r><a><b/></a>t</r>"),
        ("false()", "<r/>"),
        ("system-property(\"xsl:version\") = \"2.0\"", "<r><a><b/></a>t</r>"),
        ("element-available(\"xsl:merge\")", "<r/>"),
        ("function-available(\"upper-case\", 1)", "<r><a><b/></a>t</r>"),
    ] {
        assert_eq!(of(condition), expected, "{condition}");
    }
    assert!(of("$x").contains("in `use-when`: unknown variable $x"));
    // The first of the two that are named alike is not there.
    let body = "<xsl:template name='n' use-when='1 = 2'><a/></xsl:template><xsl:template name='n' match='/'><b/></xsl:template>";
    assert_eq!(transformed("2.0", body, "<o/>"), "<b/>");
}

#[test]
fn malformed_stylesheets() {
    let columns = |body: &str| compile("2.0", body).err().unwrap_or_default();
    for (body, expected) in [
        (
            "<xsl:template match='/'>\n <xsl:value-of select='('/></xsl:template>",
            "s:2:2: xsl:value-of: in the expression",
        ),
        ("\n\n<xsl:template/>", "s:3:1: xsl:template: it needs the attribute `match` or `name`"),
        ("\n<xsl:template match='['/>", "s:2:1: xsl:template: in the pattern"),
        ("\n<xsl:template match='a/ancestor::b'/>", "the axis `ancestor` cannot be used in a pattern"),
        (
            "\n<xsl:template match='/'><xsl:if>x</xsl:if></xsl:template>",
            "s:2:25: xsl:if: the attribute `test` is missing",
        ),
        ("<xsl:template match='/'><xsl:value-of select='$v'/></xsl:template>", "the variable $v is not declared here"),
        ("<xsl:template match='/'><xsl:call-template name='n'/></xsl:template>", "there is no template named n"),
        ("<xsl:template name='n'/><xsl:template name='n'/>", "there are two templates named n"),
        ("<xsl:variable name='n'/><xsl:variable name='n'/>", "there are two global variables $n"),
        ("<xsl:import-schema/>", "schemas cannot be imported"),
        ("<xsl:nonsense/>", "there is no declaration xsl:nonsense"),
        ("<xsl:template match='/'><xsl:merge/></xsl:template>", "xsl:merge: there is no such instruction here"),
        ("<xsl:template match='/'><a b='{'/></xsl:template>", "opening brace without a closing one"),
        ("<xsl:template match='/'><xsl:for-each-group select='a'/></xsl:template>", "it needs one of `group-by`"),
        ("<xsl:template match='/'><xsl:choose/></xsl:template>", "at least one xsl:when"),
        ("<xsl:template match='/'><xsl:element name='1'/></xsl:template>", "`1` is no name"),
        ("<xsl:function name='f'/>", "the name of a function needs a prefix"),
        ("<xsl:include href='x'/>", "the stylesheet x cannot be read"),
        ("text", "there is text outside of templates"),
    ] {
        let found = columns(body);
        assert!(found.contains(expected), "{body}\n{found}\n{expected}");
    }
    let two = columns("<xsl:template match='['/><xsl:template match='/'><xsl:if/></xsl:template>");
    assert_eq!(two.matches("s:1:").count(), 2, "{two}");
    assert!(compile_text("<a/>", &NoResolver).is_err_and(|it| it.contains("this is no stylesheet")));
}

#[test]
fn failures_have_a_place() {
    for (body, expected) in [
        (
            "<xsl:template match='/'>\n<xsl:value-of select='f:none()'/></xsl:template>",
            "s:2:1: unknown function f:none()",
        ),
        ("<xsl:template match='/'>\n<xsl:message terminate='yes'>stop</xsl:message></xsl:template>", "s:2:1: stop"),
        ("<xsl:template match='/'><a>x<xsl:attribute name='b'/></a></xsl:template>", "XTDE0410"),
        ("<xsl:template match='/'><a xsl:version='4.0'><xsl:nope/></a></xsl:template>", "XTDE1450"),
        ("<xsl:variable name='a' select='$b'/><xsl:variable name='b' select='$a'/>", "depends on itself"),
        ("<xsl:param name='p' required='yes'/>", "XTDE0050"),
        ("<xsl:template match='/'><xsl:value-of select='doc(\"file:///etc/passwd\")'/></xsl:template>", "FODC0002"),
        ("<xsl:template match='/'><xsl:value-of select='key(\"none\", 1)'/></xsl:template>", "XTDE1260"),
    ] {
        let found = transformed("2.0", body, "<o/>");
        assert!(found.starts_with("error: ") && found.contains(expected), "{body}\n{found}");
    }
}

#[test]
fn failures_name_their_template() {
    for (body, expected) in [
        ("<xsl:template match='o[1]'><xsl:value-of select='1 div 0'/></xsl:template>", ", in the template o[1]"),
        (
            "<xsl:template match='/'><xsl:call-template name='t'/></xsl:template>\
             <xsl:template name='t'><xsl:value-of select='xs:date(1)'/></xsl:template>",
            ", in the template t",
        ),
    ] {
        let found = transformed("2.0", body, "<o/>");
        assert!(found.starts_with("error: s:") && found.ends_with(expected), "{found}");
    }
}

/// A host whose time is up at once.
struct NoTime;

impl crate::Host for NoTime {
    fn now(&self) -> crate::Moment {
        crate::moment(0, 0)
    }

    fn expired(&self) -> bool {
        true
    }
}

#[test]
fn caps_are_faults_that_name_them() {
    let source = Document::parse(format!("<o>{}</o>", "<i/>".repeat(10_000))).expect("it is well formed");
    let double = "<xsl:template name='t'><xsl:param name='d'/><xsl:choose><xsl:when test='string-length($d) &lt; 1000000000'>\
        <xsl:call-template name='t'><xsl:with-param name='d' select='concat($d, $d)'/></xsl:call-template></xsl:when>\
        <xsl:otherwise/></xsl:choose></xsl:template><xsl:template match='/'><xsl:call-template name='t'>\
        <xsl:with-param name='d' select='\"0123456789\"'/></xsl:call-template></xsl:template>";
    let deep = "<xsl:template name='t'><xsl:param name='n'/><xsl:if test='$n &gt; 0'><xsl:call-template name='t'>\
        <xsl:with-param name='n' select='$n - 1'/></xsl:call-template></xsl:if></xsl:template>\
        <xsl:template match='/'><xsl:call-template name='t'><xsl:with-param name='n' select='1000000'/></xsl:call-template></xsl:template>";
    // Nodes are counted where they are put out, even if nothing is copied.
    let many = "<xsl:template match='/'><xsl:variable name='v' as='node()*'><xsl:sequence select='for $i in 1 to 2000 return /'/>\
        </xsl:variable><xsl:value-of select='count($v)'/></xsl:template>";
    let items = "<xsl:template match='/'><xsl:value-of select='count(1 to 3000000)'/></xsl:template>";
    for (body, expected) in
        [(deep, "recursion"), (double, "bytes in one string"), (many, "nodes"), (items, "items in one sequence")]
    {
        let sheet = compile("2.0", body).expect("it compiles");
        let error = sheet.transform(&source, Document::ROOT, &[], &PlainHost::default()).expect_err("it is too much");
        assert_eq!(error.kind, TransformErrorKind::Limit, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let sheet =
        compile("2.0", "<xsl:template match='/'><xsl:for-each select='1 to 10000'><a/></xsl:for-each></xsl:template>");
    let error = sheet.expect("it compiles").transform(&source, Document::ROOT, &[], &NoTime).expect_err("time is up");
    assert!(error.to_string().contains("takes too long"), "{error}");
}

#[test]
fn nothing_is_reached_that_was_not_given() {
    for call in [
        "doc('file:///etc/passwd')",
        "document('http://localhost/x')",
        "doc('../secret.xml')",
        "unparsed-text('file:///etc/passwd')",
        "unparsed-text-lines('/etc/passwd')",
        "collection('file:///etc')",
        "environment-variable('PATH')[error()]",
        "doc-available('file:///etc/passwd') or error()",
        "unparsed-text-available('/etc/passwd') or error()",
    ] {
        let body = format!("<xsl:template match='/'><r><xsl:value-of select=\"{call}\"/></r></xsl:template>");
        let found = transformed("3.0", &body, "<o/>");
        let nothing = found == "<r/>" || (found.starts_with("error: ") && !found.contains("root:"));
        assert!(nothing, "{call}: {found}");
    }
    assert!(compile("2.0", "<xsl:include href='file:///etc/passwd'/>").is_err());
    assert!(compile("2.0", "<xsl:import href='http://localhost/x.xsl'/>").is_err());
}

#[test]
fn limits() {
    let source = Document::parse("<o/>").expect("it is well formed");
    for (body, expected) in [
        (
            "<xsl:template name='t'><xsl:call-template name='t'/></xsl:template><xsl:template match='/'><xsl:call-template name='t'/></xsl:template>",
            "end to the recursion",
        ),
        (
            "<xsl:function name='f:f'><xsl:sequence select='f:f()'/></xsl:function><xsl:template match='/'><xsl:value-of select='f:f()'/></xsl:template>",
            "recursion",
        ),
    ] {
        let sheet = compile("2.0", body).expect("it compiles");
        let error = sheet.transform(&source, Document::ROOT, &[], &PlainHost::default()).expect_err("it never ends");
        assert_eq!(error.kind, TransformErrorKind::Limit);
        assert!(error.to_string().contains(expected), "{error}");
    }
    let deep = "<xsl:template name='t'><xsl:param name='n'/><xsl:if test='$n &gt; 0'><xsl:call-template name='t'>\
        <xsl:with-param name='n' select='$n - 1'/></xsl:call-template></xsl:if></xsl:template>\
        <xsl:template match='/'><r><xsl:call-template name='t'><xsl:with-param name='n' select='2000'/></xsl:call-template></r></xsl:template>";
    assert_eq!(transformed("1.0", deep, "<o/>"), "<r/>");
    let nested = format!("<xsl:template match='/'>{}{}</xsl:template>", "<a>".repeat(200), "</a>".repeat(200));
    assert!(compile("1.0", &nested).is_err_and(|it| it.contains("nested deeper than")));
}

/// Each cap has an error that names it and that no stylesheet catches; the next transformation runs.
#[test]
fn caps_are_named_and_not_caught() {
    let source = Document::parse("<o/>").expect("it is well formed");
    let host = PlainHost::default();
    let many = "<xsl:for-each select='1 to 1000'><xsl:for-each select='1 to 1000'>";
    let end = "</xsl:for-each></xsl:for-each>";
    let long = "<xsl:value-of select=\"string-join(for $i in 1 to 1000 return '0123456789', '')\"/>";
    for (body, expected) in [
        (format!("{many}<a/>{end}"), "100000 nodes"),
        (format!("{many}{long}{end}"), "1048576 bytes of text"),
        (
            format!("<xsl:variable name='v'>{many}{long}{end}</xsl:variable><xsl:value-of select='$v'/>"),
            "bytes of text",
        ),
        (
            format!("{many}<xsl:for-each select='1 to 1000'><xsl:if test='false()'/></xsl:for-each>{end}"),
            "5000000 instructions",
        ),
    ] {
        for caught in [body.clone(), format!("<xsl:try>{body}<xsl:catch errors='*'>caught</xsl:catch></xsl:try>")] {
            let sheet = compile("3.0", &format!("<xsl:template match='/'><r>{caught}</r></xsl:template>"))
                .expect("it compiles");
            let error = sheet.transform(&source, Document::ROOT, &[], &host).expect_err(expected);
            assert_eq!(error.kind, TransformErrorKind::Limit, "{error}");
            assert!(error.to_string().contains(expected), "{expected}: {error}");
        }
    }
    assert_eq!(transformed("3.0", "<xsl:template match='/'><r/></xsl:template>", "<o/>"), "<r/>");
}

#[test]
fn parameters_and_roots() {
    let sheet = compile(
        "2.0",
        "<xsl:param name='p' as='xs:integer' select='1'/><xsl:template match='/'><r><xsl:value-of select='$p + 1, name(*), count(//*)'/></r></xsl:template>",
    )
    .expect("it compiles");
    let source = Document::parse("<o><i><j/></i></o>").expect("it is well formed");
    let inner = source.root_element().and_then(|root| source.first_child_element(root)).expect("it is there");
    let output = sheet.transform(&source, inner, &[("p", Sequence::string("41"))], &PlainHost::default());
    assert_eq!(output.expect("it runs").document.to_xml(Document::ROOT), "<r>42 i 2</r>");
}

struct Sheets;

impl Resolver for Sheets {
    fn stylesheet(&self, href: &str, _: &str) -> Result<Arc<Document>, String> {
        let body = match href {
            "a" => {
                "<xsl:template match='i'>a</xsl:template><xsl:template match='j'>ja</xsl:template><xsl:variable name='v' select='1'/>"
            }
            "b" => "<xsl:import href='a'/><xsl:template match='i'>b<xsl:apply-imports/></xsl:template>",
            "loop" => "<xsl:include href='loop'/>",
            _ => return Err("unknown".to_owned()),
        };
        let text = format!("<xsl:stylesheet version='1.0' {HEAD}>{body}</xsl:stylesheet>");
        parsed(&text).map_err(|error| error.to_string())
    }
}

#[test]
fn imports_and_includes() {
    let run = |body: &str| {
        let sheet = compile_text(&format!("<xsl:stylesheet version='1.0' {HEAD}>{body}</xsl:stylesheet>"), &Sheets)?;
        let source = Document::parse("<o><i/><j/></o>").map_err(|error| error.to_string())?;
        let output = sheet.transform(&source, Document::ROOT, &[], &PlainHost::default());
        output.map(|it| it.text()).map_err(|error| error.to_string())
    };
    assert_eq!(run("<xsl:import href='b'/>").as_deref(), Ok("baja"));
    assert_eq!(run("<xsl:include href='b'/>").as_deref(), Ok("baja"));
    let own = "<xsl:import href='b'/><xsl:variable name='v' select='2'/>\
        <xsl:template match='i'>c<xsl:value-of select='$v'/><xsl:apply-imports/></xsl:template>";
    assert_eq!(run(own).as_deref(), Ok("c2baja"));
    assert!(run("<xsl:include href='loop'/>").is_err_and(|it| it.contains("includes itself")));
}

#[test]
fn white_space_is_stripped() {
    let body = |space: &str| {
        format!("{space}<xsl:template match='/'><r><xsl:value-of select='count(//text())'/></r></xsl:template>")
    };
    let source = "<o> <a> </a><b xml:space='preserve'> </b></o>";
    assert_eq!(transformed("1.0", &body(""), source), "<r>3</r>");
    assert_eq!(transformed("1.0", &body("<xsl:strip-space elements='*'/>"), source), "<r>1</r>");
    let kept = "<xsl:strip-space elements='*'/><xsl:preserve-space elements='a'/>";
    assert_eq!(transformed("1.0", &body(kept), source), "<r>2</r>");
}

#[test]
fn a_literal_element_is_a_stylesheet() {
    let sheet = compile_text(
        "<r xsl:version='1.0' xmlns:xsl='http://www.w3.org/1999/XSL/Transform'><xsl:value-of select='/o'/></r>",
        &NoResolver,
    )
    .expect("it compiles");
    let source = Document::parse("<o>1</o>").expect("it is well formed");
    let output = sheet.transform(&source, Document::ROOT, &[], &PlainHost::default()).expect("it runs");
    assert_eq!(output.document.to_xml(Document::ROOT), "<r>1</r>");
}
