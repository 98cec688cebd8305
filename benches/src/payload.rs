//! What the clients send.

use std::fmt::Write;

use bytes::Bytes;

/// Kinds of messages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A SOAP 1.1 message with a routing header block and orders.
    Soap,
    /// The orders alone.
    Orders,
    /// An object with an array of texts.
    Json,
}

impl Kind {
    /// Header fields of the request.
    pub fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Soap => &[
                ("Content-Type", "text/xml"),
                ("SOAPAction", "\"urn:buyStocks\""),
                ("routing", "xadmin;server1;community#1.0##"),
            ],
            Self::Orders => &[("Content-Type", "text/xml")],
            Self::Json => &[("Content-Type", "application/json")],
        }
    }
}

/// A message of about `bytes` bytes.
pub fn make(kind: Kind, bytes: usize) -> Bytes {
    match kind {
        Kind::Soap => {
            let head = "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"><soapenv:Header>\
                <t:routing xmlns:t=\"http://services.samples/routing\">xadmin;server1;community#1.0##</t:routing>\
                </soapenv:Header><soapenv:Body>";
            let tail = "</soapenv:Body></soapenv:Envelope>";
            let room = bytes.saturating_sub(head.len() + tail.len());
            format!("{head}{}{tail}", orders(room)).into()
        }
        Kind::Orders => orders(bytes).into(),
        Kind::Json => {
            let count = (bytes / 7).max(2);
            format!("{{\"payload\":{{\"symbol\":[{}]}}}}", vec!["\"json\""; count].join(",")).into()
        }
    }
}

fn orders(bytes: usize) -> String {
    let mut text = "<m:buyStocks xmlns:m=\"http://services.samples\" priority=\"high\">".to_owned();
    let mut number = 0;
    while text.len() + 100 < bytes || number == 0 {
        number += 1;
        // Writing to a string cannot fail.
        write!(
            text,
            "<order><symbol>IBM</symbol><buyerID>buyer-{number:04}</buyerID><price>140.34</price><volume>{}</volume></order>",
            2000 + number
        )
        .ok();
    }
    text + "</m:buyStocks>"
}
