//! The stylesheets and documents that are measured.

/// A stylesheet with its name, and whether `libxslt` can run it.
pub(crate) struct Sheet {
    pub(crate) name: &'static str,
    pub(crate) text: String,
    pub(crate) is_old: bool,
}

const IDENTITY: &str =
    "<xsl:template match='@*|node()'><xsl:copy><xsl:apply-templates select='@*|node()'/></xsl:copy></xsl:template>";

fn sheet(name: &'static str, version: &str, body: &str) -> Sheet {
    let text = format!(
        "<xsl:stylesheet xmlns:xsl='http://www.w3.org/1999/XSL/Transform' version='{version}'>{body}</xsl:stylesheet>"
    );
    Sheet { name, text, is_old: version == "1.0" }
}

/// All of them: the first three are those of the scenarios.
pub(crate) fn all() -> Vec<Sheet> {
    let with_identity = |name, version, body: &str| sheet(name, version, &format!("{IDENTITY}{body}"));
    let mut hundred = String::new();
    for at in 0..100 {
        let names = ["symbol", "buyerID", "price", "volume", "order"];
        let own = match names.get(at / 20).filter(|_| at % 20 == 0) {
            Some(name) => (*name).to_owned(),
            None => format!("field{at}"),
        };
        hundred.push_str(&format!(
            "<xsl:template match='{own}'><f{at}><xsl:value-of select='@id'/><xsl:apply-templates/></f{at}></xsl:template>"
        ));
    }
    vec![
        with_identity(
            "rename",
            "1.0",
            "<xsl:template match='symbol'><lobmys><xsl:apply-templates select='@*|node()'/></lobmys></xsl:template>",
        ),
        with_identity(
            "constant order",
            "2.0",
            "<xsl:template match=\"order[symbol = 'IBM']\"><order><symbol>IBM</symbol><buyerID>constant</buyerID>\
             <price>100.00</price><volume>1</volume></order></xsl:template>",
        ),
        with_identity("identity", "1.0", ""),
        with_identity(
            "filter, attributes",
            "1.0",
            "<xsl:template match='buyerID'/><xsl:template match='order/@id'>\
             <xsl:attribute name='number'><xsl:value-of select='.'/></xsl:attribute></xsl:template>",
        ),
        sheet(
            "for-each, values",
            "1.0",
            "<xsl:template match='/'><orders><xsl:for-each select='*/order'><o n='{position()}' who='{buyerID}'>\
             <xsl:value-of select=\"concat(symbol, ': ', price * volume)\"/></o></xsl:for-each></orders></xsl:template>",
        ),
        sheet("100 templates", "1.0", &hundred),
        sheet(
            "grouping by key",
            "1.0",
            "<xsl:key name='s' match='order' use='symbol'/><xsl:template match='/'><g>\
             <xsl:for-each select=\"*/order[generate-id() = generate-id(key('s', symbol)[1])]\">\
             <s name='{symbol}'><xsl:value-of select=\"sum(key('s', symbol)/volume)\"/></s></xsl:for-each></g></xsl:template>",
        ),
        sheet(
            "sorting",
            "1.0",
            "<xsl:template match='/*'><xsl:copy><xsl:for-each select='order'>\
             <xsl:sort select='symbol'/><xsl:sort select='price' data-type='number' order='descending'/>\
             <xsl:copy-of select='.'/></xsl:for-each></xsl:copy></xsl:template>",
        ),
        sheet(
            "for-each-group",
            "2.0",
            "<xsl:template match='/'><g><xsl:for-each-group select='*/order' group-by='symbol'>\
             <s name='{current-grouping-key()}'><xsl:value-of select='sum(current-group()/volume)'/></s>\
             </xsl:for-each-group></g></xsl:template>",
        ),
        sheet(
            "functions",
            "2.0",
            "<xsl:function name='f:total' xmlns:f='urn:f'><xsl:param name='o'/>\
             <xsl:sequence select='$o/price * $o/volume'/></xsl:function><xsl:template match='/'><t xmlns:f='urn:f'>\
             <xsl:for-each select='*/order'><o><xsl:variable name='who' select='upper-case(buyerID)'/>\
             <xsl:value-of select=\"$who, f:total(.), tokenize(symbol, 'B')\" separator=','/></o></xsl:for-each></t></xsl:template>",
        ),
    ]
}

/// Orders of about so many bytes.
pub(crate) fn document(size: usize) -> String {
    let symbols = ["IBM", "MSFT", "SUN", "GOOG", "ORCL", "HPQ", "DELL"];
    let mut out = String::from("<m:buyStocks xmlns:m=\"http://services.samples/xsd\">");
    let mut number = 0_usize;
    while out.len() + 20 < size {
        let symbol = symbols[number % symbols.len()];
        out.push_str(&format!(
            "\n  <order id=\"{number}\"><symbol>{symbol}</symbol><buyerID>buyer{}</buyerID><price>{}.{:02}</price><volume>{}</volume></order>",
            number % 13,
            100 + number * 7 % 90,
            number % 100,
            1 + number * 31 % 5000,
        ));
        number += 1;
    }
    out.push_str("\n</m:buyStocks>");
    out
}
