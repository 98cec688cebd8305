//! Functions on numbers: rows of payload, variables,
//! expression and expected text, as MI's own tests have them.

use super::check;

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
