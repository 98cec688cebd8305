//! Comparison, logic, arithmetic and conditions: rows of payload, variables,
//! expression and expected text, as MI's own tests have them.

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
