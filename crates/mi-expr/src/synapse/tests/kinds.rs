//! What a value is, and its conversion to other types: rows of payload, variables,
//! expression and expected text, as MI's own tests have them.

use super::check;

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
