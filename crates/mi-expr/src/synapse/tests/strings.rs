//! Functions on text: rows of payload, variables,
//! expression and expected text, as MI's own tests have them.

use super::check;

/// MI: `PreDefinedFunctionsTest#testLength`.
#[test]
fn length() {
    check(&[
        (0, 0, r#"length("Lahiru")"#, "6"),
        (0, 0, r#"length("Lahiru") + 10"#, "16"),
        (0, 0, r#"length(["LAHIRU",3,5])"#, "3"),
        (2, 0, "length(payload.store.book)", "6"),
        (2, 1, "length(vars.cars)", "6"),
        (2, 1, r#"length(vars["empty"])"#, "0"),
        (0, 0, "length(34)", ""),
        (0, 0, "length(null)", ""),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testToUpper`.
#[test]
fn to_upper() {
    check(&[
        (0, 0, r#"toUpper("lahiru")"#, "LAHIRU"),
        (1, 1, "toUpper(payload.name)", "JOHN"),
        (0, 0, r#"toUpper("space") + " X""#, "SPACE X"),
        (2, 0, "toUpper(payload.store.book[4].author)", "GEORGE ORWELL"),
        (0, 0, "toUpper(null)", ""),
        (0, 0, "toUpper(34)", ""),
        (0, 1, r#"toUpper(vars["empty"])"#, ""),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testToLower`.
#[test]
fn to_lower() {
    check(&[
        (0, 0, r#"toLower("LAHIRU")"#, "lahiru"),
        (2, 1, r#"toLower(payload["store"]["book"][5]["title"])"#, "the diary of a young girl"),
        (0, 0, r#""europa " + toLower("CLIpper")"#, "europa clipper"),
        (2, 0, "toLower(payload.store.book[4].author)", "george orwell"),
        (0, 0, "toLower(34)", ""),
        (0, 0, "toLower(null)", ""),
        (0, 1, r#"toLower(vars["empty"])"#, ""),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testSubString`.
#[test]
fn sub_string() {
    check(&[
        (0, 0, r#"subString("Lahiru",2)"#, "hiru"),
        (0, 0, r#"subString("Lahiru",2,4)"#, "hi"),
        (0, 0, r#"length(toUpper(subString("Lahiru",2,4)))"#, "2"),
        (0, 0, r#"subString("Hello",5)"#, ""),
        (0, 0, "subString(null,5)", ""),
        (0, 0, r#"subString("hello",null)"#, ""),
        (0, 0, r#"subString("Hello","a",4)"#, ""),
        (0, 0, r#"subString("Hello","a")"#, ""),
        (0, 0, r#"subString("Hello",20)"#, ""),
        (0, 0, r#"subString("Hello",-2)"#, ""),
        (0, 0, r#"subString("Hello",-2,4)"#, ""),
        (0, 0, r#"subString("Hello",2,vars.num1)"#, ""),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testStartsWith`.
#[test]
fn starts_with() {
    check(&[
        (0, 0, r#"startsWith("Curiosity","Curi")"#, "true"),
        (0, 0, r#"startsWith("Curiosity","sity")"#, "false"),
        (2, 0, r#"startsWith("Curiosity",$.store.bicycle.color)"#, "false"),
        (2, 0, r#"startsWith("red flag",$.store.bicycle.color)"#, "true"),
        (0, 0, r#"startsWith("Curiosity",34)"#, ""),
        (1, 0, r#"startsWith(payload.cars,"Ford")"#, ""),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testEndsWith`.
#[test]
fn ends_with() {
    check(&[
        (0, 0, r#"endsWith("Opportunity","unity")"#, "true"),
        (0, 0, r#"endsWith("Opportunity","tune")"#, "false"),
        (2, 0, r#"endsWith("Curiosity",$.store.bicycle.color)"#, "false"),
        (2, 0, r#"endsWith("discovered",$.store.bicycle.color)"#, "true"),
        (0, 0, r#"endsWith("Curiosity",34)"#, ""),
        (1, 0, r#"endsWith(payload.cars,"Ford")"#, ""),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testContains`.
#[test]
fn contains() {
    check(&[
        (0, 0, r#"contains("Perseverance","sever")"#, "true"),
        (0, 0, r#"contains("Perseverance","server")"#, "false"),
        (2, 0, r#"contains("Perseverance",$.store.bicycle.color)"#, "false"),
        (2, 0, r#"contains("discovered",$.store.bicycle.color)"#, "true"),
        (0, 0, r#"contains("sever","Perseverance")"#, "false"),
        (0, 0, r#"contains("Curiosity",34)"#, ""),
        (1, 0, r#"contains(payload.cars,"Ford")"#, ""),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testTrim`.
#[test]
fn trim() {
    check(&[
        (0, 0, r#"trim(" Ingenuity ")"#, "Ingenuity"),
        (0, 0, r#"trim(" Ingenuity ") == "Ingenuity""#, "true"),
        (1, 0, r#"trim($["string"])"#, "Hello World"),
        (0, 0, "trim(34)", ""),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testReplace`.
#[test]
fn replace() {
    check(&[
        (0, 0, r#"replace("Hello", "l", "p")"#, "Heppo"),
        (0, 0, r#"replace("Hello", "p", "q")"#, "Hello"),
        (1, 0, r#"replace("Hello", "p", payload.name)"#, "Hello"),
        (1, 0, r#"replace("John has a " + payload.cars[2], "Fiat" , payload.cars[1])"#, "John has a BMW"),
        (1, 0, r#"replace("John has a " + payload.cars[2], "Fiat" , payload.cars)"#, ""),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testSplit`.
#[test]
fn split() {
    check(&[
        (
            0,
            0,
            r#"split("Split a string by spaces and,comma", "[, ]")"#,
            r#"["Split","a","string","by","spaces","and","comma"]"#,
        ),
        (0, 0, r#"length(split("Split a string by spaces and,comma", "[, ]"))"#, "7"),
        (0, 0, r#"length(split("NASA, launches; rovers to explore. Mars", "[,; .]+"))"#, "6"),
        (0, 0, r#"split(" Moon Mars ", ",")"#, r#"[" Moon Mars "]"#),
        (1, 0, r#"split(payload.cars, "34")"#, ""),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testB64Encode`.
#[test]
fn b64_encode() {
    check(&[
        (0, 0, r#"base64encode("Hello World")"#, "SGVsbG8gV29ybGQ="),
        (1, 0, r#"base64encode(payload["name"])"#, "Sm9obg=="),
        (0, 1, r#"base64encode(vars.name,"UTF-8")"#, "Sm9obg=="),
        (0, 0, "base64encode(34)", ""),
        (0, 0, r#"base64encode("Hello","UTF-99")"#, ""),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testB64Decode`.
#[test]
fn b64_decode() {
    check(&[
        (0, 0, r#"base64decode("YWRtaW46YWRtaW4=")"#, "admin:admin"),
        (0, 1, "base64decode(vars.encoded)", "WSO2MI"),
        (0, 0, "base64decode(34)", ""),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testUrlEncode`.
#[test]
fn url_encode() {
    check(&[
        (0, 0, r#"urlEncode("Hello World")"#, "Hello%20World"),
        (1, 0, r#"urlEncode(payload["string"])"#, "%20Hello%20World%20"),
        (0, 0, "urlEncode(34)", ""),
        (0, 0, r#"urlEncode("Hello","UTF-99")"#, ""),
        (0, 0, r#"urlEncode(" *~")"#, "%20%2A%7E"),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testUrlDecode`.
#[test]
fn url_decode() {
    check(&[
        (0, 0, r#"urlDecode("Hello+World")"#, "Hello World"),
        (1, 0, r#"urlDecode(payload["string"]) + " " + urlDecode("%26")"#, " Hello World  &"),
        (0, 0, "urlDecode(34)", ""),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testIndexOf`.
#[test]
fn index_of() {
    check(&[
        (0, 0, r#"indexOf("Hello World", "World")"#, "6"),
        (0, 0, r#"indexOf("Hello World", "World2")"#, "-1"),
        (0, 0, r#"indexOf("Hello World", "r")"#, "8"),
        (0, 0, r#"indexOf("Hello World", "l",5)"#, "9"),
        (0, 0, r#"indexOf("Hello World", "l",50)"#, "-1"),
        (1, 0, r#"indexOf($.string, "World")"#, "7"),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testCharAt`.
#[test]
fn char_at() {
    check(&[
        (0, 0, r#"charAt("Hello World", 6)"#, "W"),
        (0, 0, r#"charAt("Hello World", -1)"#, ""),
        (0, 0, r#"charAt("Hello World", 100)"#, ""),
        (1, 0, "charAt($.string, 0)", " "),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testFormatDateTime`.
#[test]
fn format_date_time() {
    check(&[
        (0, 0, r#"formatDateTime("29/09/1988","dd/MM/yyyy", "yyyy-MM-dd")"#, "1988-09-29"),
        (0, 0, r#"formatDateTime("29-09-1988","dd-MM-yyyy", "yyyy MMM dd")"#, "1988 Sep 29"),
        (0, 0, r#"formatDateTime("11-22-33","HH-mm-ss", "HH mm ss")"#, "11 22 33"),
        (0, 0, r#"formatDateTime("50-22-33","HH-mm-ss", "HH mm ss")"#, ""),
    ]);
}
