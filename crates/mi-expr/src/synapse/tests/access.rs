//! Access to the payload and to variables, by path, by JSONPath and by XPath: rows of payload, variables,
//! expression and expected text, as MI's own tests have them.

use super::check;

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
