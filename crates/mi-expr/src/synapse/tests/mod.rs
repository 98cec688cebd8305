//! The expectations of MI's own tests of expressions (a file for each topic), and what is particular to this implementation.

mod access;
mod kinds;
mod numbers;
mod operators;
mod strings;

use std::sync::Arc;

use mi_message::{Body, FunctionScope, Message, Value, XmlValue};
use mi_xml::Document;

use crate::{Expr, Lookup, Namespaces, NoLookup};

const PERSON: &str = r#"{"name":"John","age":30,"cars":[ "Ford", "BMW", "Fiat", "Honda", "Lexus", "KIA" ],"index":1,
    "string":" Hello World ", "null" : null }"#;

const STORE: &str = r#"{"store": {"book": [
    {"category": "reference", "author": "Nigel Rees", "title": "Sayings of the Century", "price": 8.95},
    {"category": "fiction", "author": "Herman Melville", "title": "Moby Dick", "isbn": "0-553-21311-3", "price": 8.99},
    {"category": "fiction", "author": "J.R.R. Tolkien", "title": "The Lord of the Rings", "isbn": "0-395-19395-8",
     "price": 22.99},
    {"category": "fiction", "author": "Harper Lee", "title": "To Kill a Mockingbird", "price": 10.99},
    {"category": "fiction", "author": "George Orwell", "title": "Animal Farm", "price": 7.99},
    {"category": "biography", "author": "Anne Frank", "title": "The Diary of a Young Girl", "price": 6.99}],
    "bicycle": {"color": "red", "price": 19.95}}, "expensive": 10, "selectedCategory": "biography"}"#;

const WORDS: &str = r#"["When","my","time","comes","Forget","the","wrong","that","I've","done"]"#;

const KEYWORDS: &str =
    r#"{"payload" : {"vars" : {"configs" : {"payload" : {"iop" : 4}, "zxc": 3}, "pqr": 2}, "abc" : 1}}"#;

fn xml(text: &str) -> Value {
    let document = Document::parse(text.to_owned()).expect("well-formed");
    let root = document.root_element().expect("a root");
    Value::Xml(XmlValue { document: Arc::new(document), nodes: vec![root] })
}

fn json(text: &str) -> Value {
    serde_json::from_str::<serde_json::Value>(text).expect("JSON").into()
}

fn map(entries: Vec<(&str, Value)>) -> Value {
    Value::Map(Arc::new(entries.into_iter().map(|(name, value)| (name.into(), value)).collect()))
}

/// A message with one of the payloads and one of the sets of variables of MI's tests; 0 is none.
fn message(payload: u8, variables: u8) -> Message {
    let mut message = Message::new();
    match payload {
        1 => message.body = Body::from_json_text(PERSON),
        2 => message.body = Body::from_json_text(STORE),
        3 => message.body = Body::from_json_text(WORDS),
        4 => message.body = Body::from_json_text(KEYWORDS),
        _ => {}
    }
    let variables: Vec<(&str, Value)> = match variables {
        1 => vec![
            ("name", "John".into()),
            ("age", 30.into()),
            ("cars", json(r#"["Ford","BMW","Fiat","Honda","Lexus","KIA"]"#)),
            ("index", "1".into()),
            ("num1", 10.into()),
            ("num2", 5.into()),
            ("num3", (-2.5).into()),
            ("num4", (-2.0).into()),
            ("encoded", "V1NPMk1J".into()),
            ("empty", "".into()),
        ],
        2 => vec![
            ("json1", PERSON.into()),
            ("json2", STORE.into()),
            ("json3", r#"[1,2,3,"abc"]"#.into()),
            ("payload", KEYWORDS.into()),
            ("vars", KEYWORDS.into()),
        ],
        3 => vec![(
            "fileRead_1",
            map(vec![
                ("headers", json(r#"{"Content-Type":"application/json","Content-Length":"101"}"#)),
                ("attributes", json(r#"{"statusCode":201}"#)),
                ("payload", json(STORE)),
            ]),
        )],
        4 => vec![
            (
                "personVar",
                map(vec![
                    (
                        "payload",
                        xml("<person><name>John</name><age>30</age>\
                             <address><city>Colombo</city><country>Sri Lanka</country></address></person>"),
                    ),
                    ("headers", map(vec![])),
                ]),
            ),
            (
                "orderVar",
                map(vec![(
                    "payload",
                    xml(
                        "<order id=\"ORD-001\"><item quantity=\"3\"><name>Widget</name><price>9.99</price></item></order>",
                    ),
                )]),
            ),
            (
                "nsVar",
                map(vec![(
                    "payload",
                    xml("<ns:employee xmlns:ns=\"http://example.com\">\
                         <ns:name>Jane</ns:name><ns:department>Engineering</ns:department></ns:employee>"),
                )]),
            ),
            ("plainXmlVar", xml("<root><value>42</value></root>")),
        ],
        _ => vec![],
    };
    for (name, value) in variables {
        message.variables.set(name, value);
    }
    message
}

fn eval(source: &str, message: &Message, lookup: &dyn Lookup) -> String {
    let namespaces = Namespaces::new().with("ns", "http://example.com");
    let expr = Expr::synapse(source, &namespaces).unwrap_or_else(|error| panic!("{source}: {error}"));
    expr.eval_string(message, lookup).unwrap_or_else(|error| panic!("{source}: {error}")).to_string()
}

/// Rows of payload, variables, expression and expected text.
fn check(rows: &[(u8, u8, &str, &str)]) {
    for (payload, variables, source, expected) in rows {
        assert_eq!(eval(source, &message(*payload, *variables), &NoLookup), *expected, "{source}");
    }
}

/// A world with one of everything.
struct World;

impl Lookup for World {
    fn local_entry(&self, key: &str) -> Option<Value> {
        NoLookup.local_entry(key)
    }

    fn registry(&self, key: &str) -> Option<Value> {
        match key {
            "conf:person" => Some(json(r#"{"name":"John","cars":["Ford"]}"#)),
            "conf:text" => Some(r#"{"name":"Jane"}"#.into()),
            "conf:xml" => Some(xml("<a>1</a>")),
            _ => None,
        }
    }

    fn registry_property(&self, key: &str, property: &str) -> Option<String> {
        (key == "conf:person" && property == "owner").then(|| "admin".to_owned())
    }

    fn config(&self, key: &str) -> Option<String> {
        (key == "c1").then(|| "0042".to_owned())
    }

    fn environment(&self, name: &str) -> Option<String> {
        NoLookup.environment(name)
    }

    fn system_property(&self, name: &str) -> Option<String> {
        NoLookup.system_property(name)
    }

    fn file_property(&self, name: &str) -> Option<String> {
        NoLookup.file_property(name)
    }

    fn now_millis(&self) -> i64 {
        NoLookup.now_millis()
    }

    fn zone_offset_seconds(&self, _at_millis: i64) -> i32 {
        19_800
    }

    fn new_id(&self) -> String {
        NoLookup.new_id()
    }

    fn vault(&self, alias: &str, _kind: &str) -> Option<String> {
        (alias == "db").then(|| "secret".to_owned())
    }

    fn hashicorp(&self, namespace: Option<&str>, path: &str, field: &str) -> Option<String> {
        Some(format!("{}/{path}/{field}", namespace.unwrap_or("-")))
    }
}

#[test]
fn what_is_looked_up() {
    for (source, expected) in [
        (r#"registry("conf:person").name"#, "John"),
        (r#"registry("conf:person").cars[0]"#, "Ford"),
        (r#"registry("conf:text").name"#, "Jane"),
        (r#"registry("conf:text")"#, r#"{"name":"Jane"}"#),
        (r#"registry("conf:person").property("owner")"#, "admin"),
        (r#"registry("conf:person", "owner")"#, "admin"),
        (r#"registry("conf:person", "none")"#, ""),
        (r#"registry("conf:xml")"#, "<a>1</a>"),
        (r#"registry("conf:xml").a"#, ""),
        (r#"registry("none")"#, ""),
        ("configs.c1", "42"),
        ("configs.none", ""),
        (r#"wso2-vault("db")"#, "secret"),
        (r#"wso2-vault("none")"#, ""),
        (r#"hashicorp-vault("p", "f")"#, "-/p/f"),
        (r#"hashicorp-vault("n", "p", "f")"#, "n/p/f"),
        ("now()", "1704164645678"),
        (r#"formatDateTime(now(), "dd-MM-yyyy HH:mm")"#, "02-01-2024 08:34"),
        (r#"formatDateTime(now(), "bb")"#, ""),
        (r#"formatDateTime("x", "yyyy")"#, ""),
    ] {
        assert_eq!(eval(source, &Message::new(), &World), expected, "{source}");
    }
}

/// MI: `HeaderAndPropertyAccessTest`.
#[test]
fn headers_and_properties() {
    let mut message = message(2, 0);
    for (name, value) in [
        ("test", "Hello World"),
        ("toUpper", "HELLO WORLD"),
        ("te st", "HELLO"),
        ("numerical", "400"),
        ("price", "10"),
        ("payload", "Hello World"),
        ("zip", "00123"),
        ("rate", "1.50"),
    ] {
        message.headers.set(name, value);
    }
    for (name, value) in [
        ("test", "Sic Mundus"),
        ("test2", "Creatus Est"),
        ("empty", "Thus the world was created"),
        ("category", "biography"),
        ("payload", "Hello"),
    ] {
        message.axis2.set(name, value);
    }
    message.properties.set("phrase", "Now I Am Become Death, the Destroyer of Worlds");
    message.properties.set("selected book", "Animal Farm");
    message.properties.set("null", Value::Null);
    message.properties.set("empty", "");
    message.properties.set("uri.var.id", "007");
    message.properties.set("query.param.page", "2");
    message.functions.push(FunctionScope {
        template: "t".into(),
        parameters: Arc::new(vec![("p".into(), Value::from("pen"))]),
        ..FunctionScope::default()
    });
    for (source, expected) in [
        ("headers.test", "Hello World"),
        ("headers.TEST", "Hello World"),
        (r#"toLower(headers.["toUpper"])"#, "hello world"),
        (r"$..book[?(@.price > integer(headers.price))].title", r#"["The Lord of the Rings","To Kill a Mockingbird"]"#),
        (r#"toLower(headers.["te st"]) + " World""#, "hello World"),
        (r#"headers["toUpper2"]"#, ""),
        ("integer(headers.numerical)+ 4", "404"),
        ("headers.zip", "123"),
        ("headers.rate", "1.5"),
        ("props.axis2.test", "Sic Mundus"),
        (r#"properties.axis2.test + " " + props.axis2.test2"#, "Sic Mundus Creatus Est"),
        ("$..book[?(@.category == props.axis2.category)].title", r#"["The Diary of a Young Girl"]"#),
        (r#"props.axis2.["empty"]"#, "Thus the world was created"),
        ("props.synapse.phrase", "Now I Am Become Death, the Destroyer of Worlds"),
        (r#"length(split(properties.synapse.phrase, " "))"#, "9"),
        (r#"$..book[?(@.title == props.synapse.["selected book"])].price"#, "[7.99]"),
        ("props.synapse.nonExisting", ""),
        (r#"props.synapse.["null"]"#, ""),
        (r#"props.synapse["empty"]"#, ""),
        ("headers.payload", "Hello World"),
        ("props.axis2.payload", "Hello"),
        ("params.pathParams.id", "7"),
        ("params.queryParams.page + 1", "3"),
        ("params.functionParams.p", "pen"),
        ("params.functionParams.none", ""),
        ("exists(params.queryParams.none) ? 1 : 2", "2"),
    ] {
        assert_eq!(eval(source, &message, &NoLookup), expected, "{source}");
    }
}

#[test]
fn dates_of_now() {
    check(&[
        (0, 0, r#"formatDateTime(now(), "dd-MM-yyyy HH:mm")"#, "02-01-2024 03:04"),
        (0, 0, r#"formatDateTime(now(), "yyyy-MM-dd")"#, "2024-01-02"),
    ]);
}

#[test]
fn where_mi_is_peculiar() {
    check(&[
        // `and` binds tighter than a comparison.
        (0, 0, "5 > 3 and 2 > 1", ""),
        (0, 0, "(5 > 3) and (2 > 1)", "true"),
        // Equality compares texts.
        (0, 0, "5 == 5.0", "false"),
        (0, 0, r#"5 == "5""#, "true"),
        // Literals keep their escapes; one pair of quotes is stripped of any text.
        (0, 0, r#""a\"b""#, r#"a\"b"#),
        // Numbers found by an index are doubles in arithmetic and keep their spelling otherwise.
        (1, 0, "vars.x + 1", ""),
        (0, 2, "vars.json3[0]", "1"),
        (0, 2, "vars.json3[0] + 1", "2.0"),
        (1, 0, "payload.age + 1", "31"),
        // A path behind a function without one is ignored.
        (1, 0, "toUpper(payload.name).x", "JOHN"),
        // The third part of a slice is no step.
        (1, 0, "payload.cars[0:4:2]", r#"["Ford","BMW","Fiat","Honda"]"#),
        (1, 0, r#"["a", 1, 2.5, true]"#, r#"["a",1,2.5,"true"]"#),
        (
            1,
            0,
            "payload",
            r#"{"name":"John","age":30,"cars":["Ford","BMW","Fiat","Honda","Lexus","KIA"],"index":1,"string":" Hello World ","null":null}"#,
        ),
        (0, 3, "vars.fileRead_1", ""),
        (0, 3, "vars.fileRead_1.headers", r#"{"Content-Type":"application/json","Content-Length":"101"}"#),
        (0, 3, "vars.fileRead_1.none", ""),
    ]);
}

#[test]
fn beyond_what_mi_reads() {
    check(&[
        (2, 0, "$..book[?(@.category in ['reference', 'biography'])].price", "[8.95,6.99]"),
        (2, 0, "$..book[?(@.isbn && @.price > 10)].title", r#"["The Lord of the Rings"]"#),
        (2, 0, r"$..book[?(@.title =~ /^The.*s$/)].price", "[22.99]"),
        (0, 1, "vars['name']", "John"),
        (0, 1, "vars.'name'", "John"),
        (0, 0, r#"length(split("a1b22c", "\d+"))"#, "3"),
        (1, 0, r#"payload["name","age"]"#, r#"{"name":"John","age":30}"#),
        (0, 0, "now() > 5", "true"),
    ]);
}

#[test]
fn values_have_types() {
    let message = message(2, 1);
    for (source, expected) in [
        ("payload.expensive", "Int(10)"),
        ("payload.store.bicycle.price", "Double(19.95)"),
        ("vars.name", "String(\"John\")"),
        ("\"quoted\"", "String(\"quoted\")"),
        ("5 > 3", "Bool(true)"),
        ("vars.none", "String(\"\")"),
        ("now()", "Long(1704164645678)"),
        ("$..price.max()", "Double(22.99)"),
        ("[1]", "Json(Array [Number(1)])"),
        ("vars.cars[:1]", "Json(Array [String(\"Ford\")])"),
    ] {
        let value = Expr::synapse(source, &Namespaces::new()).expect("valid").eval(&message, &NoLookup);
        assert_eq!(format!("{:?}", value.expect("a value")), expected, "{source}");
    }
}

#[test]
fn failures_beyond_evaluation_errors_are_errors() {
    for source in [r#"split("a", "(")"#, r#"base64decode("a b")"#, r#"urlDecode("%zz")"#, "payload[a]", "payload[:]"] {
        let Ok(expr) = Expr::synapse(source, &Namespaces::new()) else { continue };
        assert!(expr.eval_string(&message(1, 0), &NoLookup).is_err(), "{source}");
    }
}

/// MI: `ContentAwarenessTest`, `SynapseExpressionUtils#isSynapseExpressionContentAware`.
#[test]
fn the_body_is_read_only_when_it_must() {
    for (source, expected) in [
        ("payload", true),
        ("$", true),
        ("payload.name", true),
        ("$.name", true),
        ("length(payload)", true),
        ("5 + length(payload)", true),
        (r#"5 + length(payload["payload"])"#, true),
        ("$..book[?(@.category==payload.category)]", true),
        (r#"$..book[?(@.category=="payload.category")]"#, true),
        ("vars.books[?(@.category==payload.category)]", true),
        ("vars.books[?(@.category==$.category)]", true),
        (r#"xpath("$ctx:name")"#, false),
        (r#"xpath("//student")"#, true),
        (r#"xpath("/student")"#, true),
        (r#"xpath("//*") + vars.abc"#, true),
        (r#"xpath("$ctx:bla") + $.age"#, true),
        (r#"vars.num1 + vars.["payload"] + xpath("//num3")"#, true),
        (r#"vars.num1 + vars.["payload"] + xpath("$ctx:num3")"#, false),
        (r#"xpath("//a", "v.payload")"#, false),
        ("length(vars.abc)", false),
        (r#"vars["payload"]"#, false),
        (r#"5 + vars["payload"].age"#, false),
        ("vars.a.bc", false),
        (r#"vars.books[?(@.category=="payload.category")]"#, false),
        ("vars.books[?(@.payload == 1)]", false),
        ("headers.payload + props.synapse.payload", false),
    ] {
        let expr = Expr::synapse(source, &Namespaces::new()).expect("valid");
        assert_eq!(expr.reads_body(), expected, "{source}");
    }
}

#[test]
fn syntax_errors_tell_the_place() {
    for (source, offset, part) in [
        ("5 >> 3", 3, "mismatched input '>'"),
        ("payload.products[0].stock + abc", 28, "mismatched input 'abc'"),
        ("5-3", 1, "leftover input"),
        ("", 0, "Invalid expression"),
        ("toUpper('a'", 11, "<EOF>"),
        ("vars", 4, "a name"),
        ("vars.", 5, "a name"),
        ("params.other.x", 7, "queryParams"),
        ("props.x.y", 6, "synapse or axis2"),
        ("unknown('a')", 0, "mismatched input 'unknown'"),
        ("payload[", 8, "operand"),
        ("a # b", 0, "mismatched input 'a'"),
        ("'open", 0, "mismatched"),
    ] {
        let error = Expr::synapse(source, &Namespaces::new()).expect_err(source);
        assert_eq!(error.offset, offset, "{source}: {error}");
        assert!(error.message.contains(part), "{source}: {error}");
    }
    assert_eq!(Expr::synapse("${5 >> 3}", &Namespaces::new()).expect_err("invalid").offset, 5);
}

#[test]
fn deep_nesting_is_refused_and_long_chains_are_fine() {
    let deep = format!("{}1{}", "(".repeat(5000), ")".repeat(5000));
    assert!(Expr::synapse(&deep, &Namespaces::new()).is_err());
    let brackets = "[(".repeat(5000);
    assert!(Expr::synapse(&format!("payload{brackets}"), &Namespaces::new()).is_err());
    let long = format!("1{}", " + 1".repeat(50_000));
    assert_eq!(eval(&long, &Message::new(), &NoLookup), "50001");
    let logic = format!("true{}", " and true".repeat(50_000));
    assert_eq!(eval(&logic, &Message::new(), &NoLookup), "true");
}
