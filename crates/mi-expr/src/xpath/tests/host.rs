//! Variables and functions of the environment, nodes of several documents, changed documents.

use std::sync::Arc;

use super::*;

/// A host with the body of a message, a property that is a tree of its own, and two functions.
struct Host<'d> {
    document: &'d Document,
    other: Arc<Document>,
}

impl<'d> Env<'d> for Host<'d> {
    fn variable(&self, prefix: &str, local: &str) -> Result<Sequence<'d>, XPathError> {
        let root = || self.document.root_element().unwrap();
        Ok(match (prefix, local) {
            ("", "body") => Sequence::node(self.document, root()),
            ("", "other") => Node::shared(Arc::clone(&self.other), Document::ROOT).into(),
            ("", "two") => 2.0.into(),
            ("", "yes") => true.into(),
            ("", "items") => Sequence::from_items(vec![Item::String("x".into()), Item::Integer(7)]),
            ("ctx", "uri.var.id") => "4711".into(),
            ("trp", "Content-Type") => "text/xml".into(),
            ("ctx", "unset") => Sequence::string(""),
            _ => return Err(XPathError::UnknownVariable { name: format!("{prefix}:{local}") }),
        })
    }

    fn function(
        &self,
        prefix: &str,
        namespace: &str,
        local: &str,
        args: &[Sequence<'d>],
    ) -> Option<Result<Sequence<'d>, XPathError>> {
        match local {
            "get-property" => match &*args.last()?.to_str() {
                "tree" => Some(Ok(Node::shared(Arc::clone(&self.other), Document::ROOT).into())),
                "name" => Some(Ok("value".into())),
                _ => Some(Err(XPathError::Host("no such property".to_owned()))),
            },
            "who" => Some(Ok(format!("{prefix}+{namespace}+{}", args.len()).into())),
            _ => None,
        }
    }

    fn now(&self) -> DateTime<FixedOffset> {
        noon()
    }
}

#[track_caller]
fn check(source: &str, expected: &str) {
    let document = Document::parse(SAMPLE.to_owned()).unwrap();
    let other = Arc::new(Document::parse("<o><m:group xmlns:m='urn:m'><x>1</x></m:group><x>2</x></o>").unwrap());
    let host = Host { document: &document, other };
    let compiled = compile(source);
    let found = match compiled.evaluate(&document, document.root_element().unwrap(), &host) {
        Ok(value) => show(&value, compiled.version()),
        Err(error) => format!("error: {error}"),
    };
    assert_eq!(found, expected, "{source}");
}

#[test]
fn variables() {
    check("$ctx:uri.var.id", "'4711'");
    check("$ctx:uri.var.id + 1", "4712");
    check("concat($trp:Content-Type, '; ', $ctx:unset)", "'text/xml; '");
    check("$ctx:unset = ''", "true");
    check("boolean($ctx:unset)", "false");
    check("$nope", "error: unknown variable $:nope");
    check("$body/list/i[2]", "/r/list/i[2]");
    check("$body/*[1]", "/r/a[1]");
    check("$body//c", "/r/a[2]/a/c | /r/c");
    check("$body/@version = '1.0'", "true");
    check("count($body//b)", "8");
    check("string($body/list/i)", "'b'");
    check("$items", "'x' | 7");
    check("$items[2] idiv 2", "3");
    check("$items = 'x'", "true");
}

#[test]
fn a_number_in_a_predicate_is_a_position_also_from_a_variable() {
    check("list/i[$two]", "/r/list/i[2]");
    check("(//b)[$two]", "/r/a[1]/b[2]");
    check("list/i[$yes][1]", "/r/list/i[1]");
    check("list/i[$ctx:unset]", "");
    check("list/i[$two = position()]", "/r/list/i[2]");
    check("list/i[last() - $two]", "/r/list/i[2]");
}

#[test]
fn functions() {
    check("get-property('name')", "'value'");
    check("get-property('axis2', 'name')", "'value'");
    check("get-property('zzz')", "error: no such property");
    check("concat('<', get-property('name'), '>')", "'<value>'");
    check("m:who(1, 2)", "'m+urn:m+2'");
    check("wso2:who()", "'wso2++0'");
    check("hello-world(1)", "error: unknown function hello-world() with 1 argument(s)");
    check("syn:hello()", "error: unknown function syn:hello() with 0 argument(s)");
    check("1 = 1 or hello-world()", "true");
    check("concat('a')", "error: unknown function concat() with 1 argument(s)");
}

#[test]
fn nodes_of_other_documents() {
    check("get-property('tree')//m:group", "/o/m:group");
    check("get-property('tree')/o/x", "/o/x");
    check("$other//x", "/o/m:group/x | /o/x");
    check("$other/o/x/ancestor::*", "/o");
    check("$other//x = '2'", "true");
    check("count($other//x | //b)", "10");
    check("($other//x | //i)[3]", "/r/list/i[1]");
    check("($other//x | //i)/..", "/o | /o/m:group | /r/list");
    check("//a[@id = $other//x]/@id", "/r/a[1]/@id | /r/a[2]/@id");
    check("$other//x[. = $body//a/@id]", "/o/m:group/x | /o/x");
    check("for $x in $other//x return root($x)/o/x", "/o/x | /o/x");
    check("($other//x, //i[1])/name()", "'x' | 'x' | 'i'");
}

#[test]
fn paths_from_values_that_are_no_nodes() {
    check("$ctx:uri.var.id/a", "");
    check("count($ctx:uri.var.id//a)", "0");
    check("get-property('name')/text()", "");
    check("$items/a", "");
    check("$items/name()", "error: the left side of `/` must be nodes (XPTY0019)");
    check("$two | //a", "error: nodes are needed here, but there is a value of type xs:double (XPTY0004)");
}

/// An edited document has no ids in order; all rows of the 1.0 table give the same on a copy made by edits.
#[test]
fn edited_documents() {
    let parsed = Document::parse(SAMPLE.to_owned()).unwrap();
    let mut edited = Document::new();
    let before = edited.create_comment(" top comment ");
    let pi = edited.create_pi("top", "pi");
    let root = edited.import(&parsed, parsed.root_element().unwrap());
    // Put in backwards, so that creation order is not document order.
    for node in [root, pi, before] {
        edited.prepend_child(Document::ROOT, node);
    }
    let list = edited.child_elements(root).find(|n| edited.local_name(*n) == "list").unwrap();
    let first = edited.first_child_element(list).unwrap();
    edited.detach(first);
    let again = edited.create_element("", "i", "");
    edited.set_text(again, "b");
    edited.prepend_child(list, again);
    assert!(edited.descendant_ids(root).is_none());
    for (source, expected) in xpath1::TABLE {
        let compiled = compile(source);
        let found = match compiled.evaluate(&edited, root, &Nothing) {
            Ok(value) => show(&value, compiled.version()),
            Err(error) => format!("error: {error}"),
        };
        assert_eq!(found, *expected, "{source}");
    }
}

/// The short forms agree with the full evaluation.
#[test]
fn short_forms() {
    let doc = Document::parse(SAMPLE.to_owned()).unwrap();
    let context = Context::node(&doc, doc.root_element().unwrap());
    for (source, _) in xpath1::TABLE {
        let compiled = compile(source);
        let Ok(value) = compiled.evaluate_in(&context, &Nothing) else { continue };
        let string = compiled.evaluate_string(&context, &Nothing).unwrap();
        assert_eq!(string, value.to_str_as(compiled.version()), "{source}");
        let first = compiled.evaluate_first(&context, &Nothing).unwrap();
        assert_eq!(first.map(|i| show(&i.into(), Version::V1)), value.first().map(|i| show(&i.into(), Version::V1)));
        if let Ok(boolean) = value.effective_boolean() {
            assert_eq!(compiled.evaluate_boolean(&context, &Nothing).unwrap(), boolean, "{source}");
        }
    }
}

#[test]
fn any_context() {
    let value = |source: &str, item: Option<Item<'static>>| {
        let context = Context { item, position: 3, size: 5 };
        match compile(source).evaluate_in(&context, &Nothing) {
            Ok(value) => show(&value, compile(source).version()),
            Err(error) => format!("error: {error}"),
        }
    };
    assert_eq!(value("position() * 10 + last()", None), "35");
    assert_eq!(value(". + 1", Some(Item::Double(1.5))), "2.5");
    assert_eq!(value("a", Some(Item::Double(1.5))), "");
    assert_eq!(
        value("a/string()", Some(Item::Double(1.5))),
        "error: a path cannot start at a value of type xs:double (XPTY0020)"
    );
    assert_eq!(value("//a", None), "error: there is no context item here (XPDY0002)");
}
