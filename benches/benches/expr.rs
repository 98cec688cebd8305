//! XPath on SOAP messages, in microseconds per evaluation, beside a walk written by hand over roxmltree that finds the
//! same nodes: what an expression costs once the message is parsed and the expression compiled.

#![allow(clippy::print_stdout, clippy::unwrap_used)] // A report on standard output is what this program is for.

use bytes::Bytes;
use chrono::{DateTime, FixedOffset};
use mi_benches::{seconds, soap_message};
use mi_expr::xpath::{Context, Env, Sequence, XPath, XPathError};
use mi_xml::{Document, NodeId};
use mimalloc::MiMalloc;

/// The allocator of the server.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const SAMPLES: &str = "http://services.samples";

/// `$body`, as a mediation engine provides it.
struct Message<'d> {
    document: &'d Document,
    body: NodeId,
}

impl<'d> Env<'d> for Message<'d> {
    fn variable(&self, _: &str, _: &str) -> Result<Sequence<'d>, XPathError> {
        Ok(Sequence::node(self.document, self.body))
    }

    fn function(&self, _: &str, _: &str, _: &str, _: &[Sequence<'d>]) -> Option<Result<Sequence<'d>, XPathError>> {
        None
    }

    fn now(&self) -> DateTime<FixedOffset> {
        DateTime::default()
    }
}

/// A walk over roxmltree for the nodes of an expression; gives their number.
type ByHand = fn(&roxmltree::Document<'_>) -> usize;

const EXPRESSIONS: &[(&str, ByHand)] = &[
    ("//m:symbol/text()", |d| descendants(d, "symbol").filter(|n| n.first_child().is_some()).count()),
    ("count(//m:order)", |d| descendants(d, "order").count()),
    ("//m:order[@id = '3']/m:symbol", |d| {
        let wanted = descendants(d, "order").filter(|n| n.attribute("id") == Some("3"));
        wanted.flat_map(|n| n.children().filter(|c| is(c, SAMPLES, "symbol"))).count()
    }),
    ("$body/*[1]", |d| usize::from(body(d).first_element_child().is_some())),
    ("/soapenv:Envelope/soapenv:Body/*/*", |d| {
        body(d).children().filter(|n| n.is_element()).flat_map(|n| n.children()).filter(|n| n.is_element()).count()
    }),
    ("//m:nothing", |d| descendants(d, "nothing").count()),
];

fn is(node: &roxmltree::Node<'_, '_>, namespace: &str, name: &str) -> bool {
    node.is_element() && node.tag_name().name() == name && node.tag_name().namespace() == Some(namespace)
}

fn descendants<'a, 'i>(d: &'a roxmltree::Document<'i>, name: &str) -> impl Iterator<Item = roxmltree::Node<'a, 'i>> {
    d.descendants().filter(move |n| is(n, SAMPLES, name))
}

fn body<'a, 'i>(d: &'a roxmltree::Document<'i>) -> roxmltree::Node<'a, 'i> {
    d.root_element().children().find(|n| is(n, SOAP, "Body")).unwrap()
}

fn main() {
    let namespaces = |prefix: &str| match prefix {
        "m" => Some(SAMPLES.to_owned()),
        "soapenv" => Some(SOAP.to_owned()),
        _ => None,
    };
    println!(
        "{:<36} {:>8} | {:>9} {:>9} {:>9} {:>9}   us",
        "expression", "bytes", "all", "string", "boolean", "roxmltree"
    );
    for (source, by_hand) in EXPRESSIONS {
        let compiled = XPath::compile(source, &namespaces).unwrap();
        for size in [1_000, 10_000, 100_000, 1_000_000] {
            let message = soap_message(size);
            let document = Document::parse(Bytes::from(message.clone())).unwrap();
            let envelope = document.root_element().unwrap();
            let body = document.child_elements(envelope).last().unwrap();
            let env = Message { document: &document, body };
            let context = Context::node(&document, envelope);
            let other = roxmltree::Document::parse(&message).unwrap();

            let all = seconds(|| compiled.evaluate_in(&context, &env).unwrap());
            let string = seconds(|| compiled.evaluate_string(&context, &env).unwrap());
            let boolean = seconds(|| compiled.evaluate_boolean(&context, &env).unwrap());
            let hand = seconds(|| by_hand(&other));
            println!(
                "{source:<36} {:>8} | {:>9.2} {:>9.2} {:>9.2} {:>9.2}",
                message.len(),
                all * 1e6,
                string * 1e6,
                boolean * 1e6,
                hand * 1e6,
            );
        }
    }
}
