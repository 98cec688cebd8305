//! Rows of payload, variables, expression and expected text, as MI's own tests have them.

use super::check;

/// MI: `PrimitiveExpressionsTest#testEQ`.
#[test]
fn eq() {
    check(&[
        (0, 0, "-5.3 == -5.3", "true"),
        (0, 0, "5 == 3", "false"),
        (0, 0, "true == true", "true"),
        (0, 0, "true == false", "false"),
        (0, 0, r#""abc" == "abc""#, "true"),
        (0, 0, r#""abc" == "pqr""#, "false"),
        (0, 0, "null == null", "true"),
        (1, 0, r#""John" == payload.name"#, "true"),
        (1, 0, r#"null == payload["null"]"#, "true"),
        (2, 0, r#""abc" == payload.age"#, ""),
        (2, 0, "$.store.book[0] == $.store.book[0]", "true"),
        (2, 0, "$.store.book[0] == $.store.book[1]", "false"),
    ]);
}

/// MI: `PrimitiveExpressionsTest#testNEQ`.
#[test]
fn neq() {
    check(&[
        (0, 0, "-5.3 != -5.3", "false"),
        (0, 0, "5 != 3", "true"),
        (0, 0, "true != true", "false"),
        (0, 0, "true != false", "true"),
        (0, 0, r#""abc" != "abc""#, "false"),
        (0, 0, r#""abc" != "pqr""#, "true"),
        (0, 0, "null != null", "false"),
        (1, 0, r#""John" != $.name"#, "false"),
        (2, 0, r#""John" != $.name"#, ""),
        (2, 0, "$.store.book[0] == null", "false"),
    ]);
}

/// MI: `PrimitiveExpressionsTest#testGT`.
#[test]
fn gt() {
    check(&[
        (0, 0, "5 > 3", "true"),
        (0, 0, "5 > -3.4", "true"),
        (0, 0, "-5 > -3.4", "false"),
        (0, 0, r#"5 > "bla""#, ""),
        (0, 0, "5 > null", ""),
        (1, 1, "$.age > vars.num1", "true"),
        (1, 1, r#"$.age > $["null"]"#, ""),
    ]);
}

/// MI: `PrimitiveExpressionsTest#testLT`.
#[test]
fn lt() {
    check(&[
        (0, 0, "5 < 3", "false"),
        (0, 0, "5 < -3.4", "false"),
        (0, 0, "-5 < -3.4", "true"),
        (0, 0, "5 == 5", "true"),
        (1, 0, r#"$.age < "bla""#, ""),
    ]);
}

/// MI: `PrimitiveExpressionsTest#testGTE`.
#[test]
fn gte() {
    check(&[
        (0, 0, "5 >= 3", "true"),
        (0, 0, "5 >= -3.4", "true"),
        (0, 0, "-5 >= -3.4", "false"),
        (0, 0, "true >= false", ""),
        (1, 0, r#"$.age >= "bla""#, ""),
    ]);
}

/// MI: `PrimitiveExpressionsTest#testLTE`.
#[test]
fn lte() {
    check(&[
        (0, 0, "5 <= 3", "false"),
        (0, 0, "5 <= -3.4", "false"),
        (0, 0, "-5 <= -3.4", "true"),
        (1, 0, r#"$.age <= "bla""#, ""),
    ]);
}

/// MI: `PrimitiveExpressionsTest#testAnd`.
#[test]
fn and() {
    check(&[
        (0, 0, "true and true", "true"),
        (0, 0, "true and false", "false"),
        (0, 0, "true && true && false", "false"),
        (0, 0, r#"5 and "bla""#, ""),
        (0, 0, "5 and null", ""),
    ]);
}

/// MI: `PrimitiveExpressionsTest#testOr`.
#[test]
fn or() {
    check(&[
        (0, 0, "true or true", "true"),
        (0, 0, "true or false", "true"),
        (0, 0, "true || true || false", "true"),
        (0, 0, "false or false", "false"),
        (0, 0, r#"5 or "bla""#, ""),
    ]);
}

/// MI: `PrimitiveExpressionsTest#testAdd`.
#[test]
fn add() {
    check(&[
        (0, 0, "8.95 + 8.99", "17.94"),
        (0, 0, "5.5 + 3", "8.5"),
        (0, 0, "5 + 3 + -1", "7"),
        (0, 0, "5.5 + 3", "8.5"),
        (0, 0, "5.5 + 3.5", "9.0"),
        (0, 0, r#""abc" + 5"#, ""),
        (0, 0, r#""abc" + "xyz""#, "abcxyz"),
        (2, 1, "vars.num1 + vars.num3", "7.5"),
        (2, 1, "vars.num1 + payload.expensive", "20"),
        (2, 1, "5 + vars.name", ""),
        (0, 0, "vars.num99 + 5", ""),
        (0, 0, "2147483647 + 1", "2147483648"),
    ]);
}

/// MI: `PrimitiveExpressionsTest#testSubtract`.
#[test]
fn subtract() {
    check(&[
        (0, 0, "3148483647 - 3147483647", "1000000"),
        (0, 0, "8.9567 - 8.9456", "0.0111"),
        (0, 0, "5 - 30 + 2 - 10", "-33"),
        (0, 0, "5.5 - 3", "2.5"),
        (0, 0, "5.5 - 3.5", "2.0"),
        (0, 0, "vars.num99 - 5", ""),
        (0, 0, r#"5 - "bla""#, ""),
        (2, 1, "vars.num1 - vars.num3", "12.5"),
    ]);
}

/// MI: `PrimitiveExpressionsTest#testMultiply`.
#[test]
fn multiply() {
    check(&[
        (0, 0, "72.0 * 1.032145", "74.31444"),
        (0, 0, "8.99 * 8.99", "80.8201"),
        (0, 0, "25 * 1.05", "26.25"),
        (0, 0, "25 * 1.001", "25.025"),
        (0, 0, "5 * 3 * -2", "-30"),
        (0, 0, "5.5 * 3", "16.5"),
        (0, 0, "5.5 * 3.5", "19.25"),
        (0, 0, "vars.num99 * 5", ""),
        (0, 0, r#"5 * "bla""#, ""),
        (2, 1, "vars.num1 * vars.num3", "-25.0"),
        (0, 0, "2147483647 * -2", "-4294967294"),
        (0, 0, "2147463647 * 2", "4294927294"),
    ]);
}

/// MI: `PrimitiveExpressionsTest#testDivide`.
#[test]
fn divide() {
    check(&[
        (0, 0, "34.45 / 3.44", "10.01"),
        (0, 0, "10 / 2 / -2.5 * 2", "-4.0"),
        (0, 0, "10 / 2 / -2.5 * 2", "-4.0"),
        (0, 0, "9 / 3", "3"),
        (0, 0, "vars.num99 / 5", ""),
        (0, 0, r#"5 / "bla""#, ""),
        (2, 1, "vars.num1 / 2", "5"),
        (0, 0, "5/0", ""),
        (0, 0, "5.2/0", ""),
        (0, 0, "10/10000", "0.001"),
        (0, 0, "2147483650/0", ""),
        (0, 0, "5/10", "0.5"),
        (0, 0, "20000000000/10", "2.0E9"),
        (0, 0, "200000000/10", "20000000"),
        (0, 0, "100/10.0", "10.0"),
    ]);
}

/// MI: `PrimitiveExpressionsTest#testMod`.
#[test]
fn modulo() {
    check(&[
        (0, 0, "34.56 % 3.45", "0.06"),
        (0, 0, "10 % 3", "1"),
        (0, 0, "5.5 % 3", "2.5"),
        (0, 0, "5.5 % 3.5", "2.0"),
        (0, 0, "vars.num99 % 5", ""),
        (0, 0, r#"5 % "bla""#, ""),
        (2, 1, "vars.num1 % 2", "0"),
    ]);
}

/// MI: `ConditionalExpressionTest#testIfElse`.
#[test]
fn if_else() {
    check(&[
        (0, 0, "true ? true : false", "true"),
        (0, 0, "false ? true : false", "false"),
        (0, 0, "false ? true : false ? false : true", "true"),
        (0, 0, "true ? false ? false : true : false", "true"),
        (0, 0, " 5 > 4 ? (false ? false : true) : false", "true"),
        (0, 0, " 5.2 > 5 ? 5 : 4", "5"),
        (0, 0, r#""bla"? true : 123"#, ""),
        (0, 0, "45 == (  5 + 34 ? true : 456)", ""),
        (1, 0, r#"45 == (  $["null"] ? true : 456)"#, ""),
        (
            2,
            1,
            r#"vars.num1 > vars.num2 ? $..book[?(@.author =~ /.*Tolkien/i)].price : $..book[(@."length"-1)].title"#,
            "[22.99]",
        ),
        (0, 0, r#"null == $["null"] ? 123 : 456"#, ""),
        (1, 0, r#"$["null"] ? 123 : 456"#, ""),
        (1, 0, r#"$["null"] == null ? 123 : 456"#, "123"),
        (1, 0, "null ? 4 : 5", ""),
    ]);
}

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

/// MI: `PreDefinedFunctionsTest#testAbs`.
#[test]
fn abs() {
    check(&[
        (0, 0, "abs(-5)", "5"),
        (0, 0, "abs(5)", "5"),
        (0, 0, "abs(-5.0)", "5.0"),
        (0, 1, "abs(vars.num4)", "2.0"),
        (2, 1, "abs(vars.num4 + payload.expensive )", "8.0"),
        (2, 1, "abs(vars.num1 / vars.num3)", "4.0"),
        (1, 0, "abs(payload.cars)", ""),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testFloor`.
#[test]
fn floor() {
    check(&[
        (0, 0, "floor(-5.4)", "-6.0"),
        (0, 0, "floor(5.9)", "5.0"),
        (0, 1, "floor(vars.num3)", "-3.0"),
        (0, 1, "floor(-1 * vars.num3)", "2.0"),
        (1, 0, "floor(payload.cars)", ""),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testCeil`.
#[test]
fn ceil() {
    check(&[
        (0, 0, "ceil(-5.4)", "-5.0"),
        (0, 0, "ceil(5.9)", "6.0"),
        (0, 1, "ceil(vars.num3)", "-2.0"),
        (0, 1, "ceil(-1 * vars.num3)", "3.0"),
        (1, 0, "ceil(payload.cars)", ""),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testSqrt`.
#[test]
fn sqrt() {
    check(&[
        (0, 0, "sqrt(25)", "5.0"),
        (0, 0, "sqrt(-25.0)", "NaN"),
        (0, 1, "sqrt(vars.num1 * vars.num1)", "10.0"),
        (0, 1, "sqrt(vars.num3 * vars.num3)", "2.5"),
        (1, 0, "sqrt(payload.cars)", ""),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testPow`.
#[test]
fn pow() {
    check(&[
        (0, 0, "pow(2,3)", "8.0"),
        (0, 0, "pow(2,0)", "1.0"),
        (0, 0, "pow(2,-2)", "0.25"),
        (0, 1, "pow(vars.num1,0)", "1.0"),
        (0, 1, "pow(vars.num3,0)", "1.0"),
        (0, 1, "pow(vars.num3,-2)", "0.16"),
        (1, 0, "pow(payload.cars,2)", ""),
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

/// MI: `PreDefinedFunctionsTest#testIsNumber`.
#[test]
fn is_number() {
    check(&[
        (0, 0, "isNumber(34)", "true"),
        (0, 0, r#"isNumber("34")"#, "false"),
        (1, 1, r#"isNumber(payload["age"]) && isNumber(vars.num1)"#, "true"),
        (1, 1, r#"isNumber(payload["string"]) || isNumber(vars.name)"#, "false"),
        (1, 1, r#"isNumber(vars["empty"])"#, "false"),
        (1, 1, r#"isNumber(vars["empty2"])"#, ""),
        (0, 0, r#"isNumber("Hello")"#, "false"),
        (0, 0, "isNumber(null)", ""),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testIsString`.
#[test]
fn is_string() {
    check(&[
        (0, 0, r#"isString("Hello")"#, "true"),
        (0, 0, "isString(34)", "false"),
        (1, 1, r#"isString(payload["name"]) && isString(vars.name)"#, "true"),
        (1, 1, r#"isString(payload["age"]) || isString(vars.num1)"#, "false"),
        (0, 0, r#"isString("34")"#, "true"),
        (0, 0, "isString(null)", ""),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testIsArray`.
#[test]
fn is_array() {
    check(&[
        (0, 0, r#"isArray(["Hello",34])"#, "true"),
        (0, 0, r#"isArray("Hello")"#, "false"),
        (1, 1, r#"isArray(payload["cars"]) && isArray(vars.cars)"#, "true"),
        (1, 1, r#"isArray(payload["age"]) || isArray(vars.num1)"#, "false"),
        (0, 0, r#"isArray(["34"])"#, "true"),
        (3, 1, "isArray(payload)", "true"),
        (0, 0, "isArray(null)", ""),
        (0, 0, r#"isArray("[1,2,{\"abc\":5}]")"#, "true"),
        (0, 0, r#"isArray("[1,2,{\"abc:5}]")"#, "false"),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testIsObject`.
#[test]
fn is_object() {
    check(&[
        (0, 0, r#"isObject("Hello")"#, "false"),
        (3, 1, "isObject(payload) && isObject(vars.name)", "false"),
        (1, 1, r#"isObject(payload["age"]) || isObject(vars.num1)"#, "false"),
        (2, 1, "isObject(payload.store)", "true"),
        (0, 0, "isObject(null)", ""),
        (0, 0, r#"isObject("{\"hello\": \"world\"}")"#, "true"),
        (0, 0, r#"isObject("{\"hello: \"world\"}")"#, "false"),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testConvertToString`.
#[test]
fn convert_to_string() {
    check(&[
        (0, 0, r#"string(12) + " Angry Men""#, "12 Angry Men"),
        (0, 0, r#"string("Hello")"#, "Hello"),
        (0, 0, "string(true)", "true"),
        (0, 0, "string(false)", "false"),
        (3, 0, "string(payload)", r#"["When","my","time","comes","Forget","the","wrong","that","I've","done"]"#),
        (0, 1, "string(vars.age * 10)", "300"),
        (0, 0, "string(null)", ""),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testConvertToInteger`.
#[test]
fn convert_to_integer() {
    check(&[
        (0, 0, "integer(34)", "34"),
        (2, 1, r#"integer(payload["expensive"]) + vars.num1"#, "20"),
        (0, 0, r#"integer("Hello")"#, ""),
        (0, 0, "integer(34.5)", ""),
        (0, 0, "integer(null)", ""),
        (3, 0, "integer(payload)", ""),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testConvertToFloat`.
#[test]
fn convert_to_float() {
    check(&[
        (0, 0, "float(-34)", "-34.0"),
        (2, 1, r#"float(payload["expensive"]) + vars.num2"#, "15.0"),
        (0, 0, r#"float("Hello")"#, ""),
        (3, 0, "float(payload)", ""),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testConvertToBoolean`.
#[test]
fn convert_to_boolean() {
    check(&[
        (0, 0, r#"boolean("true")"#, "true"),
        (0, 0, r#"boolean("bla")"#, "false"),
        (0, 0, r#"boolean("1")"#, "false"),
        (0, 0, r#"boolean("0") || (5 > 2)"#, "true"),
        (3, 0, "boolean(payload)", "false"),
        (0, 0, "boolean(null)", ""),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testRound`.
#[test]
fn round() {
    check(&[
        (0, 0, "round(5.4)", "5"),
        (0, 0, "round(5.6)", "6"),
        (0, 1, "round(vars.num4)", "-2"),
        (0, 1, "round(vars.num1 + vars.num2)", "15"),
        (3, 0, "round(payload)", ""),
        (3, 0, "round(payload)", ""),
        (0, 0, "round(8.89 + 0.12,1)", "9.0"),
        (0, 0, "round(8.89 + 0.12,2)", "9.01"),
        (0, 0, "round(0.111,2)", "0.11"),
        (0, 0, "round(0.115,2)", "0.12"),
        (0, 0, "round(0.111,3)", "0.111"),
        (0, 0, "round(0.111,4)", "0.111"),
        (0, 0, "round(0.111,0)", ""),
        (0, 0, r#"round(0.111,"asdf")"#, ""),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testExists`.
#[test]
fn exists() {
    check(&[
        (0, 0, "exists(vars.num1)", "false"),
        (0, 0, "exists(null)", "false"),
        (1, 0, "exists($.fullName) ? $.fullName : $.name", "John"),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testConvertToObject`.
#[test]
fn convert_to_object() {
    check(&[
        (2, 0, r#"object("{\"hello\":\"world\"}")"#, r#"{"hello":"world"}"#),
        (2, 0, r#"object("{\"hello\":\"world\"}").hello"#, "world"),
        (2, 0, r#"object("{\"hello\":\"world\"}")["hello"]"#, "world"),
        (0, 0, r#"object("[\"Hello\",\"World\"]")"#, ""),
        (0, 0, "object(34)", ""),
        (0, 0, "object(null)", ""),
        (3, 0, "object(payload)", ""),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testConvertToArray`.
#[test]
fn convert_to_array() {
    check(&[
        (0, 0, r#"registry("Hello").bla"#, ""),
        (0, 0, r#"array("[\"Hello\",\"World\"]")"#, r#"["Hello","World"]"#),
        (0, 0, r#"array("[\"Hello\",\"World\"]")[0]"#, "Hello"),
        (0, 0, "array(34)", ""),
        (0, 0, "array(null)", ""),
        (2, 0, "array(payload)", ""),
        (3, 0, "toUpper(array(payload)[2])", "TIME"),
    ]);
}

/// MI: `PreDefinedFunctionsTest#testNot`.
#[test]
fn not() {
    check(&[
        (0, 0, "not(true)", "false"),
        (0, 0, "not(false)", "true"),
        (0, 0, "not(5 > 6) ? true : false", "true"),
        (0, 0, "not(123)", ""),
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

/// MI: `PreDefinedFunctionsTest#testLog`.
#[test]
fn log() {
    check(&[
        (0, 0, "log(10)", "1.0"),
        (0, 0, "round(log(1001))", "3"),
        (0, 0, r#"log("asdf")"#, ""),
        (0, 0, "log(1024,2)", "10.0"),
        (0, 1, "log(vars.num1,vars.num3)", "NaN"),
        (0, 1, "round(log(vars.num1,vars.num2),2)", "1.43"),
    ]);
}

/// MI: `PayloadAndVariableAccessTest#testPayloadAccess`.
#[test]
fn payload_access() {
    check(&[
        (0, 0, "payload.name", ""),
        (1, 0, "payload.name", "John"),
        (1, 0, r#"payload["name"]"#, "John"),
        (1, 0, "$.cars[1]", "BMW"),
        (1, 0, "$.cars[10]", ""),
        (1, 0, "$.cars[$.index]", "BMW"),
        (1, 0, "$.cars[$.index,4]", r#"["BMW","Lexus"]"#),
        (1, 0, "$.cars[$.index:5]", r#"["BMW","Fiat","Honda","Lexus"]"#),
        (1, 0, "$.cars[:2]", r#"["Ford","BMW"]"#),
        (1, 0, "$.cars[-1:]", r#"["KIA"]"#),
        (1, 0, "payload.cars[payload.index + 3:]", r#"["Lexus","KIA"]"#),
        (3, 0, "payload.[:4]", r#"["When","my","time","comes"]"#),
        (3, 0, "payload[4:]", r#"["Forget","the","wrong","that","I've","done"]"#),
        (1, 1, "payload.random", ""),
    ]);
}

/// MI: `PayloadAndVariableAccessTest#testJSONPath`.
#[test]
fn json_path() {
    check(&[
        (2, 0, "$.store.book[3].*", r#"["fiction","Harper Lee","To Kill a Mockingbird",10.99]"#),
        (2, 0, "$.store..price", "[8.95,8.99,22.99,10.99,7.99,6.99,19.95]"),
        (2, 0, "$..price", "[8.95,8.99,22.99,10.99,7.99,6.99,19.95]"),
        (
            2,
            0,
            "$..book[*].title",
            r#"["Sayings of the Century","Moby Dick","The Lord of the Rings","To Kill a Mockingbird","Animal Farm","The Diary of a Young Girl"]"#,
        ),
        (
            2,
            0,
            "$..book[?(@.category=='biography')]",
            r#"[{"category":"biography","author":"Anne Frank","title":"The Diary of a Young Girl","price":6.99}]"#,
        ),
        (
            2,
            0,
            "$..book[?(@.category==payload.selectedCategory)]",
            r#"[{"category":"biography","author":"Anne Frank","title":"The Diary of a Young Girl","price":6.99}]"#,
        ),
        (2, 0, "$..book[?(@.author=='George Orwell')].title", r#"["Animal Farm"]"#),
        (
            2,
            0,
            "$..book[?(@.isbn)]",
            r#"[{"category":"fiction","author":"Herman Melville","title":"Moby Dick","isbn":"0-553-21311-3","price":8.99},{"category":"fiction","author":"J.R.R. Tolkien","title":"The Lord of the Rings","isbn":"0-395-19395-8","price":22.99}]"#,
        ),
        (
            2,
            0,
            "$..book[?(@.price > $.expensive)]",
            r#"[{"category":"fiction","author":"J.R.R. Tolkien","title":"The Lord of the Rings","isbn":"0-395-19395-8","price":22.99},{"category":"fiction","author":"Harper Lee","title":"To Kill a Mockingbird","price":10.99}]"#,
        ),
        (
            2,
            0,
            "$..book[?(@.author =~ /.*Tolkien/i)]",
            r#"[{"category":"fiction","author":"J.R.R. Tolkien","title":"The Lord of the Rings","isbn":"0-395-19395-8","price":22.99}]"#,
        ),
        (
            2,
            0,
            "$..book[?(@.category == 'biography' || @.category == 'reference')]",
            r#"[{"category":"reference","author":"Nigel Rees","title":"Sayings of the Century","price":8.95},{"category":"biography","author":"Anne Frank","title":"The Diary of a Young Girl","price":6.99}]"#,
        ),
        (
            1,
            0,
            "$..*",
            r#"["John",30,["Ford","BMW","Fiat","Honda","Lexus","KIA"],1," Hello World ",null,"Ford","BMW","Fiat","Honda","Lexus","KIA"]"#,
        ),
        (2, 0, "$.store.book.length()", "6"),
        (2, 0, "$.store.book.size()", "6"),
        (2, 0, "$..price.min()", "6.99"),
        (2, 0, "$..price.max()", "22.99"),
        (2, 0, "round($..price.avg())", "12"),
        (2, 0, "round($..price.stddev())", "6"),
        (2, 0, "object($.store.book.first()).title", "Sayings of the Century"),
        (2, 0, "object($.store.book.last()).title", "The Diary of a Young Girl"),
        (2, 0, "$.store.book.[0].keys()", r#"["category","author","title","price"]"#),
    ]);
}

/// MI: `PayloadAndVariableAccessTest#testVariableAccess`.
#[test]
fn variable_access() {
    check(&[
        (1, 1, "vars.name", "John"),
        (1, 1, "vars.num1", "10"),
        (1, 1, "(vars.num1 * vars.num3) - vars.num2 + payload.index", "-29.0"),
        (1, 1, "vars.num1 >= vars.num2", "true"),
        (0, 2, "vars.json3[1]", "2"),
        (0, 2, r#"vars["json3"][1]"#, "2"),
        (
            0,
            2,
            r#"vars["json2"]["store"]["book"][?(@.author=='J.R.R. Tolkien')].title"#,
            r#"["The Lord of the Rings"]"#,
        ),
        (0, 2, r#"vars["json2"]["store"]["book"][1,3].title"#, r#"["Moby Dick","To Kill a Mockingbird"]"#),
        (0, 2, r#"vars["json2"]["store"]["book"][-2:].title"#, r#"["Animal Farm","The Diary of a Young Girl"]"#),
        (
            0,
            2,
            "vars.json2.store.book[?(@.category=='fiction')].title",
            r#"["Moby Dick","The Lord of the Rings","To Kill a Mockingbird","Animal Farm"]"#,
        ),
        (
            2,
            2,
            r#"vars["json2"]["store"]["book"][?(@.price > payload.expensive)].title"#,
            r#"["The Lord of the Rings","To Kill a Mockingbird"]"#,
        ),
        (
            2,
            2,
            r#"vars["json2"].store.["book"][?(@.price > payload.expensive)].title"#,
            r#"["The Lord of the Rings","To Kill a Mockingbird"]"#,
        ),
        (
            2,
            2,
            r#"vars.["json2"].store.["book"][?(@.price > payload.expensive)].title"#,
            r#"["The Lord of the Rings","To Kill a Mockingbird"]"#,
        ),
        (0, 1, "vars.random", ""),
        (0, 1, "vars.num1[0]", ""),
        (0, 3, "vars.fileRead_1.['attributes'].statusCode", "201"),
        (0, 3, r#"vars["fileRead_1"]["headers"]['Content-Length']"#, "101"),
        (2, 3, r#"vars.fileRead_1['payload']["store"]["book"][1,3].title"#, r#"["Moby Dick","To Kill a Mockingbird"]"#),
    ]);
}

/// MI: `PayloadAndVariableAccessTest#testPayloadAccessWithKeywords`.
#[test]
fn payload_access_with_keywords() {
    check(&[
        (4, 0, "payload.payload.vars.pqr", "2"),
        (4, 0, "payload.payload.vars.pqr * payload.payload.vars.configs.payload.iop", "8"),
        (0, 2, "vars.payload.payload.vars.pqr", "2"),
        (0, 2, "vars.vars.payload.vars.pqr", "2"),
        (0, 2, "vars.vars.payload.vars.pqr + vars.payload.payload.vars.configs.payload.iop ", "6"),
    ]);
}

/// MI: `XPathFunctionTest#testTextExtractionFromConnectorPayload`.
#[test]
fn text_extraction_from_connector_payload() {
    check(&[(0, 4, "xpath('//name/text()', 'personVar.payload')", "John")]);
}

/// MI: `XPathFunctionTest#testNumericTextFromConnectorPayload`.
#[test]
fn numeric_text_from_connector_payload() {
    check(&[(0, 4, "xpath('//age/text()', 'personVar.payload')", "30")]);
}

/// MI: `XPathFunctionTest#testNestedElementTextFromConnectorPayload`.
#[test]
fn nested_element_text_from_connector_payload() {
    check(&[
        (0, 4, "xpath('//address/city/text()', 'personVar.payload')", "Colombo"),
        (0, 4, "xpath('//address/country/text()', 'personVar.payload')", "Sri Lanka"),
    ]);
}

/// MI: `XPathFunctionTest#testRootAttributeFromConnectorPayload`.
#[test]
fn root_attribute_from_connector_payload() {
    check(&[(0, 4, "xpath('/order/@id', 'orderVar.payload')", "ORD-001")]);
}

/// MI: `XPathFunctionTest#testChildAttributeFromConnectorPayload`.
#[test]
fn child_attribute_from_connector_payload() {
    check(&[(0, 4, "xpath('//item/@quantity', 'orderVar.payload')", "3")]);
}

/// MI: `XPathFunctionTest#testDecimalTextFromConnectorPayload`.
#[test]
fn decimal_text_from_connector_payload() {
    check(&[(0, 4, "xpath('//price/text()', 'orderVar.payload')", "9.99")]);
}

/// MI: `XPathFunctionTest#testXPathResultUsedInStringFunction`.
#[test]
fn x_path_result_used_in_string_function() {
    check(&[(0, 4, "toUpper(xpath('//name/text()', 'personVar.payload'))", "JOHN")]);
}

/// MI: `XPathFunctionTest#testXPathResultUsedInConcatenation`.
#[test]
fn x_path_result_used_in_concatenation() {
    check(&[(0, 4, r#""Order: " + xpath('/order/@id', 'orderVar.payload')"#, "Order: ORD-001")]);
}

/// MI: `XPathFunctionTest#testXPathResultUsedInConditionalExpression`.
#[test]
fn x_path_result_used_in_conditional_expression() {
    check(&[(0, 4, r#"xpath('//name/text()', 'personVar.payload') == "John" ? "found" : "not found""#, "found")]);
}

/// MI: `XPathFunctionTest#testNamespacedElementAccess`.
#[test]
fn namespaced_element_access() {
    check(&[(0, 4, "xpath('//ns:name/text()', 'nsVar.payload')", "Jane")]);
}

/// MI: `XPathFunctionTest#testNamespacedNestedElementAccess`.
#[test]
fn namespaced_nested_element_access() {
    check(&[(0, 4, "xpath('//ns:department/text()', 'nsVar.payload')", "Engineering")]);
}

/// MI: `XPathFunctionTest#testXPathNoMatchReturnsEmpty`.
#[test]
fn x_path_no_match_returns_empty() {
    check(&[(0, 4, "xpath('//nonexistent/text()', 'personVar.payload')", "")]);
}

/// MI: `XPathFunctionTest#testXPathNoMatchAttributeReturnsEmpty`.
#[test]
fn x_path_no_match_attribute_returns_empty() {
    check(&[(0, 4, "xpath('/person/@missingAttr', 'personVar.payload')", "")]);
}

/// MI: `XPathFunctionTest#testUndefinedVariableReturnsEmpty`.
#[test]
fn undefined_variable_returns_empty() {
    check(&[(0, 4, "xpath('//name/text()', 'ghost.payload')", "")]);
}

/// MI: `XPathFunctionTest#testVariableNotAMapReturnsEmpty`.
#[test]
fn variable_not_a_map_returns_empty() {
    check(&[(0, 4, "xpath('//value/text()', 'plainXmlVar.payload')", "")]);
}

/// MI: `XPathFunctionTest#testFieldNotAnOMElementReturnsEmpty`.
#[test]
fn field_not_an_om_element_returns_empty() {
    check(&[(0, 4, "xpath('//name/text()', 'personVar.headers')", "")]);
}

/// MI: `XPathFunctionTest#testEmptyVariableNameReturnsEmpty`.
#[test]
fn empty_variable_name_returns_empty() {
    check(&[(0, 4, "xpath('//name/text()', '')", "")]);
}

/// MI: `XPathFunctionTest#testTwoArgXPathOnPlainXmlVariable`.
#[test]
fn two_arg_x_path_on_plain_xml_variable() {
    check(&[(0, 4, "xpath('//value/text()', 'plainXmlVar')", "42")]);
}
