use serde_json::{Value, json};

use super::{Found, JsonPath, JsonStep, PathError, add, get, put, remove, set, to_path};

fn store() -> Value {
    json!({"store": {
        "book": [
            {"category": "reference", "author": "Nigel Rees", "title": "Sayings of the Century", "price": 8.95},
            {"category": "fiction", "author": "Evelyn Waugh", "title": "Sword of Honour", "price": 12.99},
            {"category": "fiction", "author": "Herman Melville", "title": "Moby Dick", "isbn": "0-553-21311-3",
             "price": 8.99, "tags": ["sea", "whale"]},
            {"category": "fiction", "author": "J. R. R. Tolkien", "title": "The Lord of the Rings",
             "isbn": "0-395-19395-8", "price": 22.99, "tags": []}
        ],
        "bicycle": {"color": "red", "price": 19.95, "x-y": 1, "a.b": 2, "it's": 3}
    }, "expensive": 10, "nothing": null, "numbers": [1, 2, 3, 4], "text": ["a", "b"]})
}

/// What a path finds, as JSON text; `!` and the start of the message for a failure.
fn find(path: &str, root: &Value) -> String {
    let compiled = JsonPath::compile(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    match compiled.find(root) {
        Ok(found) => found.into_value().to_string(),
        Err(PathError::NotFound(message)) => format!("!{message}"),
        Err(error) => format!("!!{error}"),
    }
}

fn check(rows: &[(&str, &str)]) {
    let root = store();
    for (path, expected) in rows {
        assert_eq!(find(path, &root), *expected, "{path}");
    }
}

#[test]
fn steps() {
    check(&[
        ("$.expensive", "10"),
        ("expensive", "10"),
        (" $.expensive ", "10"),
        ("$['store']['bicycle']['color']", "\"red\""),
        ("$.store.bicycle.x-y", "1"),
        ("$.store.bicycle['a.b']", "2"),
        (r#"$.store.bicycle["it's"]"#, "3"),
        (r"$.store.bicycle['it\'s']", "3"),
        ("$.store.['bicycle'].color", "\"red\""),
        ("$.store.book[0].title", "\"Sayings of the Century\""),
        ("$.store.book[-1].title", "\"The Lord of the Rings\""),
        ("$.store.book[0,2].price", "[8.95,8.99]"),
        ("$.store.book[?(@.price > 20)].title)", "[]"),
        ("$.store.book[?(@.isbn)]['isbn'])", "[\"0-553-21311-3\",\"0-395-19395-8\"]"),
        ("$.numbers[0])", "1"),
        ("$.store.book[0, 9].price", "[8.95]"),
        ("$.numbers[1:3]", "[2,3]"),
        ("$.numbers[:2]", "[1,2]"),
        ("$.numbers[-2:]", "[3,4]"),
        ("$.numbers[:-1]", "[1,2,3]"),
        ("$.numbers[9:]", "[]"),
        ("$.store.bicycle['color','price']", r#"{"color":"red","price":19.95}"#),
        ("$.store['bicycle','none'].color", "[\"red\"]"),
        ("$.store.book[*].author.length()", "[null,null,null,null]"),
        ("$.store.bicycle.*", "[\"red\",19.95,1,2,3]"),
        ("$.numbers[*]", "[1,2,3,4]"),
        ("$.numbers.*", "[1,2,3,4]"),
        ("$.nothing", "null"),
        ("$.none.*", "!Missing property in path $['none']"),
    ]);
}

#[test]
fn definite_paths_that_lead_nowhere_fail_and_others_are_empty() {
    check(&[
        ("$.none", "!No results for path: $['none']"),
        ("$.none.a", "!Missing property in path $['none']"),
        ("$.numbers[9]", "!No results for path: $['numbers'][9]"),
        (
            "$.expensive.a",
            "!Expected to find an object with property ['a'] in path $['expensive'] but found 'java.lang.Integer'. This \
             is not a json object according to the JsonProvider: 'com.jayway.jsonpath.spi.json.GsonJsonProvider'.",
        ),
        ("$.nothing[0]", "!The path $['nothing'] is null"),
        ("$.expensive[0]", "!Filter: [0] can only be applied to arrays. Current context is: 10"),
        ("$..none", "[]"),
        ("$.store.book[*].none", "[]"),
        ("$.store.book[?(@.price > 100)]", "[]"),
        ("$.numbers[?(@ > 2)]", "[3,4]"),
        ("$.expensive[?(@ > 2)]", "!!Filter: [?] can not be applied to primitives. Current context is: 10"),
    ]);
}

#[test]
fn scans() {
    check(&[
        ("$..price", "[8.95,12.99,8.99,22.99,19.95]"),
        ("$.store..price", "[8.95,12.99,8.99,22.99,19.95]"),
        ("$..book[2].title", "[\"Moby Dick\"]"),
        ("$..book[-1].title", "[\"The Lord of the Rings\"]"),
        (
            "$..[0]",
            r#"[{"category":"reference","author":"Nigel Rees","title":"Sayings of the Century","price":8.95},"sea",1,"a"]"#,
        ),
        ("$..[?(@.isbn)].price", "[8.99,22.99]"),
        ("$..['color','price']", r#"[{"color":"red","price":19.95}]"#),
    ]);
    assert_eq!(find("$..*", &json!({"a": {"b": [1]}})), r#"[{"b":[1]},[1],1]"#);
    assert_eq!(find("$..a..b", &json!({"a": {"b": 1, "a": {"b": 2}}})), "[1,2,2]");
}

#[test]
fn filters() {
    for (filter, expected) in [
        ("@.price < 9", "[8.95,8.99]"),
        ("@.price <= 8.95", "[8.95]"),
        ("@.price > $.expensive", "[12.99,22.99]"),
        ("@.price >= 22.99", "[22.99]"),
        ("@.price == 8.99", "[8.99]"),
        ("@.price == '8.99'", "[8.99]"),
        ("@.price === '8.99'", "[]"),
        ("@.price != 8.99", "[8.95,12.99,22.99]"),
        ("@.none != 8.99", "[8.95,12.99,8.99,22.99]"),
        ("@.none == null", "[]"),
        ("@.isbn", "[8.99,22.99]"),
        ("!@.isbn", "[8.95,12.99]"),
        ("!(@.isbn)", "[8.95,12.99]"),
        ("@['isbn'] && @.price > 10", "[22.99]"),
        ("@.isbn&&@.price>10", "[22.99]"),
        ("@.price < 9 || @.price > 20", "[8.95,8.99,22.99]"),
        ("(@.price < 9 || @.price > 20) && @.isbn", "[8.99,22.99]"),
        ("@.author =~ /.*tolkien/i", "[22.99]"),
        ("@.author =~ /Tolkien/", "[]"),
        ("@.tags =~ /wh.*/", "[8.99]"),
        ("@.category in ['reference', 'x']", "[8.95]"),
        ("@.category nin ['fiction']", "[8.95]"),
        ("@.category IN [\"reference\"]", "[8.95]"),
        ("@.tags contains 'sea'", "[8.99]"),
        ("@.title contains 'of'", "[8.95,12.99,22.99]"),
        ("@.tags all ['sea','whale']", "[8.99]"),
        ("@.tags subsetof ['sea','whale','x']", "[8.99,22.99]"),
        ("@.tags anyof ['whale']", "[8.99]"),
        ("@.tags noneof ['whale']", "[22.99]"),
        ("@.tags size 2", "[8.99]"),
        ("@.tags empty true", "[22.99]"),
        ("@.tags.length() == 2", "[8.99]"),
        ("@.tags[0] == 'sea'", "[8.99]"),
        ("@.tags[?(@ == 'whale')] empty false", "[8.99]"),
        ("'fiction' == @.category", "[12.99,8.99,22.99]"),
        ("true == true", "[8.95,12.99,8.99,22.99]"),
    ] {
        let path = format!("$.store.book[?({filter})].price");
        assert_eq!(find(&path, &store()), expected, "{filter}");
    }
}

#[test]
fn functions() {
    check(&[
        ("$.numbers.length()", "4"),
        ("$.store.length()", "2"),
        ("$.store.book.size()", "4"),
        ("$..book.length()", "4"),
        ("$.numbers.min()", "1.0"),
        ("$.numbers.max()", "4.0"),
        ("$.numbers.sum()", "10.0"),
        ("$.numbers.avg()", "2.5"),
        ("$.numbers.stddev()", "1.118033988749895"),
        ("$..price.max()", "22.99"),
        ("$.numbers.first()", "1"),
        ("$.numbers.last()", "4"),
        ("$.numbers.index(1)", "2"),
        ("$.numbers.index(-1)", "4"),
        ("$.text.concat()", "\"ab\""),
        ("$.text.concat(\"-\", \"c\")", "\"ab-c\""),
        ("concat(\"/\", $.text[0], $.numbers[0])", "\"/a1\""),
        ("$.numbers.append(5).sum()", "15.0"),
        ("$.sum(5, 3, $.numbers.max(), 2)", "14.0"),
        ("$.avg($.numbers.min(), $.numbers.max())", "2.5"),
        ("$.store.bicycle.keys()", r#"["color","price","x-y","a.b","it's"]"#),
        ("$.store.book.first().title", "\"Sayings of the Century\""),
        ("$.length($.numbers)", "4"),
        ("$.expensive.length()", "null"),
        ("$.none()", "!!Function with name: none does not exist."),
        ("$.text.sum()", "!!Aggregation function attempted to calculate value using empty array"),
    ]);
}

#[test]
fn invalid_paths_tell_the_place() {
    for (path, offset) in [
        ("", 0),
        ("$.", 1),
        ("$.a..", 4),
        ("$x", 1),
        ("$...a", 3),
        ("$.a b", 2),
        ("$['a", 1),
        ("$['a' 'b']", 1),
        ("$[a]", 1),
        ("$[1", 1),
        ("$[1:x]", 1),
        ("$[:]", 1),
        ("$[?(@.a]", 8),
        ("$[?(@.a ==)]", 10),
        ("$[?(1)]", 5),
        ("$.sum(", 2),
        ("$[?(@.a =~ /(/)]", 11),
    ] {
        let error = JsonPath::compile(path).expect_err(path);
        assert_eq!(error.offset, offset, "{path}: {error}");
    }
    let nested = format!("$[?({}@.a{})]", "(".repeat(5000), ")".repeat(5000));
    assert!(JsonPath::compile(&nested).is_err());
    let paths = format!("${}@.a{}", "[?(@".repeat(500), ")]".repeat(500));
    assert!(JsonPath::compile(&paths).is_err());
}

#[test]
fn places_can_be_edited() {
    let path = |text: &str| JsonPath::compile(text).expect(text);
    let mut root = store();
    let places = path("$.store.book[?(@.isbn)].price").locations(&root);
    let texts: Vec<String> = places.iter().map(|place| to_path(place)).collect();
    assert_eq!(texts, ["$['store']['book'][2]['price']", "$['store']['book'][3]['price']"]);
    for place in &places {
        assert!(set(&mut root, place, json!(1)));
        assert_eq!(get(&root, place), Some(&json!(1)));
    }
    let book = path("$.store.book").locations(&root).remove(0);
    assert!(add(&mut root, &book, json!({"title": "New"})));
    assert_eq!(find("$.store.book.length()", &root), "5");
    let last = path("$.store.book[-1]").locations(&root).remove(0);
    assert!(put(&mut root, &last, "price", json!(2)));
    assert_eq!(remove(&mut root, &last), Some(json!({"title": "New", "price": 2})));
    assert_eq!(path("$.none").locations(&root), Vec::<Vec<JsonStep>>::new());
    assert_eq!(path("$").locations(&root), vec![vec![]]);
    let (parent, step) = path("$.store.newcomer").split_last().expect("a name");
    assert_eq!((parent.to_string().as_str(), step), ("$['store']", JsonStep::Key("newcomer".into())));
    assert!(!set(&mut root, &[JsonStep::Key("numbers".into()), JsonStep::Index(9)], json!(1)));
}

#[test]
fn definiteness() {
    for (path, definite) in [
        ("$", true),
        ("$.a[0].b", true),
        ("$.a['b','c']", true),
        ("$.a['b','c'].d", false),
        ("$.a.length()", true),
        ("$..a", false),
        ("$..a.length()", true),
        ("$.a[*]", false),
        ("$.a[?(@.b)]", false),
        ("$.a[0,1]", false),
        ("$.a[0:1]", false),
    ] {
        assert_eq!(JsonPath::compile(path).expect(path).is_definite(), definite, "{path}");
    }
    let root = json!({"a": "x"});
    assert!(matches!(
        JsonPath::compile("$.a").expect("valid").find(&root),
        Ok(Found::One(std::borrow::Cow::Borrowed(_)))
    ));
}

#[test]
fn numbers_keep_their_spelling_only_behind_an_index() {
    let root: Value = serde_json::from_str(r#"{"a": 1.50, "b": [1.50, 2.00], "c": {"d": 1.50}}"#).expect("JSON");
    for (path, expected) in [
        ("$.a", "1.5"),
        ("$.b[0]", "1.50"),
        ("$.b", "[1.50,2.00]"),
        ("$.c", r#"{"d":1.50}"#),
        ("$..d", "[1.5]"),
        ("$.b[*]", "[1.50,2.00]"),
        ("$.b.first()", "1.5"),
    ] {
        assert_eq!(find(path, &root), expected, "{path}");
    }
}

#[test]
fn a_scan_of_a_deep_value_does_not_recurse() {
    let mut root = json!(1);
    for _ in 0..20_000 {
        root = Value::Array(vec![root]);
    }
    assert_eq!(JsonPath::compile("$..a").expect("valid").find(&root), Ok(Found::Many(vec![])));
    // Dropping such a value recurses inside serde_json; it is taken apart here.
    let mut rest = root;
    while let Value::Array(mut items) = rest {
        rest = items.pop().unwrap_or(Value::Null);
    }
}
