//! What is refused, and with which words.

use crate::{Document, Limits, ParseOptions};

#[track_caller]
fn refuse(bytes: impl Into<Vec<u8>>, expected: &str) {
    let bytes = bytes.into();
    match Document::parse(bytes.clone()) {
        Ok(_) => panic!("accepted {:?}", String::from_utf8_lossy(&bytes)),
        Err(error) => {
            let shown = error.to_string();
            assert!(
                shown.contains(expected),
                "{:?}: {shown:?}, expected {expected:?}",
                String::from_utf8_lossy(&bytes)
            );
        }
    }
}

#[test]
fn structure() {
    for (text, expected) in [
        ("", "1:1: the document has no root element"),
        ("  \n ", "no root element"),
        ("<!-- only -->", "no root element"),
        ("text", "1:1: text or an end tag outside"),
        ("<a/>text", "1:5: text or an end tag outside"),
        ("<a/><b/>", "1:5: nothing but comments"),
        ("</a>", "1:1: text or an end tag outside"),
        ("<a></a></a>", "1:8: text or an end tag outside"),
        ("<a>", "1:4: the document ends inside of <a>"),
        ("<a><b></b>", "inside of <a>"),
        ("<a>text", "inside of <a>"),
        ("<a", "ends inside of a tag"),
        ("<a b", "ends inside of a tag"),
        ("<a b=", "ends inside of a tag"),
        ("<a b='x", "ends inside of an attribute value"),
        ("<a b='x'", "ends inside of a tag"),
        ("<a/", "ends inside of a tag"),
        ("<a></a", "ends inside of <a>"),
        ("<a></", "ends inside of <a>"),
        ("<a><", "ends inside of"),
        ("<a>\n <b></c></a>", "2:5: expected </b>, found </c>"),
        ("<a></ab>", "expected </a>, found </ab>"),
        ("<ab></a>", "expected </ab>, found </a>"),
        ("<a></a b>", "not closed with >"),
        ("<a></ a>", "expected </a>, found </>"),
        ("< a/>", "1:2: expected a name"),
        ("<a><1/></a>", "'1' is not a name"),
        ("<a><-b/></a>", "'-b' is not a name"),
        ("<a.b!/>", "expected white space"),
        ("<a / >", "1:4: expected > behind /"),
        ("<a/b>", "1:3: expected > behind /"),
        ("<a\u{D7}/>", "is not a name"),
        ("<é\u{2014}/>", "is not a name"),
    ] {
        refuse(text, expected);
    }
}

#[test]
fn attributes() {
    for (text, expected) in [
        ("<a b/>", "1:5: an attribute needs = and a quoted value"),
        ("<a b=c/>", "an attribute needs = and a quoted value"),
        ("<a b=\"1\"c=\"2\"/>", "1:9: expected white space"),
        ("<a b='1' b='2'/>", "1:10: the attribute 'b' occurs twice"),
        ("<a b='<'/>", "1:7: < must be written &lt;"),
        ("<a b='&'/>", "a single & must be written &amp;"),
        ("<a ='1'/>", "expected a name"),
        ("<a 1='1'/>", "'1' is not a name"),
        ("<r xmlns:p='u' xmlns:q='u'><a p:x='1' q:x='2'/></r>", "the attribute 'q:x' occurs twice"),
        ("<r xmlns:p='u&amp;' xmlns:q='u&#38;'><a p:x='1' q:x='2'/></r>", "the attribute 'q:x' occurs twice"),
        ("<a xmlns='u' xmlns='u'/>", "1:14: the default namespace is declared twice"),
        ("<a xmlns:p='u' xmlns:p='v'/>", "the prefix 'p' is declared twice"),
    ] {
        refuse(text, expected);
    }
}

#[test]
fn namespaces() {
    for (text, expected) in [
        ("<p:a/>", "1:2: the prefix 'p' is not bound to a namespace: declare xmlns:p"),
        ("<a>\n<a p:b='1'/></a>", "2:4: the prefix 'p' is not bound"),
        ("<a><b xmlns:p='u'/><p:c/></a>", "the prefix 'p' is not bound"),
        ("<a:b:c xmlns:a='u'/>", "'a:b:c' is not a name"),
        ("<:a/>", "':a' is not a name"),
        ("<a:/>", "'a:' is not a name"),
        ("<a:1 xmlns:a='u'/>", "'a:1' is not a name"),
        ("<a xmlns:='u'/>", "'xmlns:' is not a name"),
        ("<a xmlns:p=''/>", "a prefix cannot be unbound"),
        ("<a xmlns:xmlns='u'/>", "xmlns must not be declared"),
        ("<a xmlns:xml='u'/>", "belong together"),
        ("<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>", "belong together"),
        ("<a xmlns='http://www.w3.org/XML/1998/namespace'/>", "belong together"),
        ("<a xmlns:p='http://www.w3.org/2000/xmlns/'/>", "namespace of xmlns"),
        ("<a xmlns='http://www.w3.org/2000/xmlns/'/>", "namespace of xmlns"),
        ("<xmlns:a/>", "the prefix xmlns may only be used to declare"),
        ("<a xmlns:p='u'><xmlns:p/></a>", "the prefix xmlns may only be used to declare"),
        ("<a><?p:q?></a>", "a name without a colon"),
    ] {
        refuse(text, expected);
    }
}

#[test]
fn text_and_references() {
    for (text, expected) in [
        ("<a>]]></a>", "1:4: ]]> must be written ]]&gt;"),
        ("<a>x]]>y<![CDATA[z]]></a>", "]]> must be written"),
        ("<a>&</a>", "1:4: a single & must be written &amp;"),
        ("<a>& b</a>", "a single &"),
        ("<a>&amp</a>", "a single &"),
        ("<a>&b;</a>", "the entity &b; is not defined"),
        ("<a>&nbsp;</a>", "the entity &nbsp; is not defined"),
        ("<a>&#;</a>", "no character that XML allows"),
        ("<a>&#x;</a>", "no character"),
        ("<a>&#xg;</a>", "no character"),
        ("<a>&#X41;</a>", "no character"),
        ("<a>&#0;</a>", "no character"),
        ("<a>&#x1F;</a>", "no character"),
        ("<a>&#xD800;</a>", "no character"),
        ("<a>&#xFFFE;</a>", "no character"),
        ("<a>&#x110000;</a>", "no character"),
        ("<a>&#99999999999999999999;</a>", "no character"),
        ("<a>&#-1;</a>", "no character"),
        ("<a>&#+1;</a>", "a single &"),
        ("<a>&amp", "ends inside of a reference"),
        ("<a b='&lt'/>", "a single &"),
        ("<a>\u{1}</a>", "1:4: a character that XML does not allow"),
        ("<a>\u{B}</a>", "does not allow"),
        ("<a>\u{FFFE}</a>", "does not allow"),
        ("<a>\u{FFFF}</a>", "does not allow"),
        ("<a b='\u{0}'/>", "1:7: a character that XML does not allow"),
        ("<a\u{0}/>", "1:3: a character that XML does not allow"),
        ("<a/>\u{0}", "1:5: a character that XML does not allow"),
        ("\u{0}<a/>", "1:1: a character that XML does not allow"),
    ] {
        refuse(text, expected);
    }
}

#[test]
fn comments_sections_and_instructions() {
    for (text, expected) in [
        ("<a><!-- -- --></a>", "1:9: -- is not allowed"),
        ("<a><!-- ---></a>", "-- is not allowed"),
        ("<a><!----->", "-- is not allowed"),
        ("<a><!-- ", "a comment has no end"),
        ("<a><!-- --", "a comment has no end"),
        ("<a><!-", "ends inside of markup"),
        ("<a><![CDATA[ ]]", "a CDATA section has no end"),
        ("<a><![CDAT", "ends inside of markup"),
        ("<a><![cdata[]]></a>", "expected a comment, a CDATA section or a tag"),
        ("<![CDATA[x]]><a/>", "expected a comment"),
        ("<a><!ELEMENT b></a>", "expected a comment"),
        ("<a><? ?></a>", "must start with a name"),
        ("<a><?1?></a>", "must start with a name"),
        ("<a><?b!?></a>", "must start with a name"),
        ("<a><?b", "has no end"),
        ("<a><?xml?></a>", "only stand at the very start"),
        ("<a><?XmL b?></a>", "only stand at the very start"),
        (" <?xml version='1.0'?><a/>", "1:2: an XML declaration may only stand at the very start"),
        ("<a/><?xml version='1.0'?>", "only stand at the very start"),
    ] {
        refuse(text, expected);
    }
}

#[test]
fn xml_declarations() {
    for declaration in [
        "<?xml?>",
        "<?xml ?>",
        "<?xml encoding='UTF-8'?>",
        "<?xml version='2.0'?>",
        "<?xml version='1.'?>",
        "<?xml version=1.0?>",
        "<?xml version='1.0\"?>",
        "<?xml version='1.0'encoding='UTF-8'?>",
        "<?xml version='1.0' standalone='yes' encoding='UTF-8'?>",
        "<?xml version='1.0' standalone='maybe'?>",
        "<?xml version='1.0' encoding='UTF-8' more='1'?>",
        "<?xml version='1.0' version='1.0'?>",
        "<?xml version='1.0'",
    ] {
        let text = format!("{declaration}<a/>");
        assert!(Document::parse(text.clone()).is_err(), "accepted {text}");
    }
    for declaration in [
        "<?xml version='1.0'?>",
        "<?xml version=\"1.1\"?>",
        "<?xml version='1.0' encoding='utf-8'?>",
        "<?xml\tversion = '1.0'\n encoding= \"UTF-8\" standalone ='no' ?>",
        "<?xml version='1.0' standalone='yes'?>",
    ] {
        let text = format!("{declaration}<a/>");
        assert!(Document::parse(text.clone()).is_ok(), "refused {text}");
    }
}

#[test]
fn document_types_are_refused() {
    for text in [
        "<!DOCTYPE a><a/>",
        "<?xml version='1.0'?>\n<!-- c -->\n<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
        "<!DOCTYPE a [<!ENTITY b SYSTEM 'http://127.0.0.1/'><!ENTITY % c '&b;'>]><a>&b;</a>",
        "<a/><!DOCTYPE a>",
        "<a><!DOCTYPE a></a>",
    ] {
        refuse(text, "document type declarations are refused");
    }
    // A billion laughs, refused before anything is expanded.
    let mut bomb = String::from("<!DOCTYPE lolz [<!ENTITY l0 \"lol\">");
    for level in 1..20 {
        bomb.push_str(&format!("<!ENTITY l{level} \"{}\">", format!("&l{};", level - 1).repeat(10)));
    }
    refuse(bomb + "]><lolz>&l19;</lolz>", "document type declarations are refused");
}

#[test]
fn encodings() {
    for (bytes, expected) in [
        (&b"<a>\xFF</a>"[..], "1:4: the document is not valid UTF-8"),
        (b"<a>\xC0\xAF</a>", "not valid UTF-8"),
        (b"<a>\xED\xA0\x80</a>", "not valid UTF-8"),
        (b"<a>\xE2\x82", "not valid UTF-8"),
        (b"<a b></a>\xFF", "needs = and a quoted value"),
        (b"<?xml version='1.0' encoding='US-ASCII'?><a>\xE9</a>", "above 127"),
        (b"<?xml version='1.0' encoding='Shift_JIS'?><a/>", "'Shift_JIS' is not supported: send UTF-8"),
        (b"<?xml version='1.0' encoding='UTF-16'?><a/>", "not UTF-16"),
        (b"<?xml version='1.0' encoding=''?><a/>", "not supported"),
        (b"\xFF\xFE<\0a\0/\0>\0\0", "odd number of bytes"),
        (b"\xFE\xFF\0<\0a\0>\xD8\0", "invalid UTF-16"),
        (b"\0\0\0<", "does not allow"),
    ] {
        refuse(bytes, expected);
    }
}

#[test]
fn messages_stay_short() {
    let long = "x".repeat(100_000);
    for text in [
        format!("<a></{long}>"),
        format!("<a>&{long};</a>"),
        format!("<a>&#{long};</a>"),
        format!("<{long}/>"),
        format!("<a {long}=''/>"),
        format!("<1{long}/>"),
        format!("<?{long}?><a/>"),
        format!("<?xml version='1.0' encoding='{long}'?><a/>"),
    ] {
        let message = Document::parse(text.clone()).unwrap_err().message;
        assert!(message.len() < 400, "{} bytes for {}...", message.len(), &text[..10]);
    }
}

#[test]
fn positions_count_lines_and_characters() {
    for (text, expected) in
        [("\u{FEFF}<a b></a>", "1:5:"), ("<a>\n  <b é='1' é='1'/></a>", "2:12:"), ("<a>\r\n\r\n€€<c></a>", "3:6:")]
    {
        refuse(text, expected);
    }
}

#[test]
fn limits_name_themselves() {
    let limits = Limits { max_depth: 3, max_nodes: 12, max_attributes: 3, max_bytes: 200, max_name: 5 };
    let options = ParseOptions { limits, ..ParseOptions::default() };
    let long = format!("<a>{}</a>", "x".repeat(200));
    for (text, expected) in [
        ("<a><b><c/></b></a>", None),
        ("<a><b><c><d/></c></b></a>", Some("deeper than 3 (max_depth)")),
        ("<a b='1' c='2' d='3'/>", None),
        ("<a b='1' xmlns='2' c='3' d='4'/>", Some("more than 3 attributes (max_attributes)")),
        ("<a><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/></a>", None),
        ("<a><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/></a>", Some("more than 12 nodes (max_nodes)")),
        ("<a><b/><b/><b/><b/><b/><b/><b/><b/><b/><b c='1'/></a>", Some("more than 12 nodes (max_nodes)")),
        ("<abcde/>", None),
        ("<abcdef/>", Some("longer than 5 bytes (max_name)")),
        ("<a abcdef='1'/>", Some("max_name")),
        ("<a><?abcdef?></a>", Some("max_name")),
        (&long, Some("max_bytes is 200")),
    ] {
        let outcome = Document::parse_with(text.to_owned(), &options);
        match (outcome, expected) {
            (Ok(_), None) => {}
            (Err(error), Some(expected)) if error.message.contains(expected) => {}
            (outcome, expected) => panic!("{text}: {outcome:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn names_learned_under_a_wider_limit_are_still_refused() {
    let long = "a".repeat(100);
    let text = format!("<{long}/>");
    assert!(Document::parse(text.clone()).is_ok());
    let limits = Limits { max_name: 50, ..Limits::default() };
    let error = Document::parse_with(text, &ParseOptions { limits, ..ParseOptions::default() }).unwrap_err();
    assert!(error.message.contains("max_name"), "{error}");
}
