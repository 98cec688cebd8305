//! XSLT: stylesheets compiled once, run on documents, with a document as the result.
//!
//! [`Stylesheet::compile`] turns a stylesheet and what it includes into a plan: templates indexed by mode and name,
//! expressions and attribute value templates compiled. [`Stylesheet::transform`] runs the plan and builds the result
//! straight into a [`Document`]. XSLT 1.0 is complete; of 2.0 there is what is in common use (grouping, functions,
//! `analyze-string`, typed and tunnel parameters, `next-match`, character maps); of 3.0 text value templates,
//! `xsl:mode` with `on-no-match`, `xsl:iterate`, `xsl:try` and maps. What is missing is refused with line and column where it is met.
//!
//! ```
//! use std::sync::Arc;
//! use mi_xml::Document;
//! use mi_xslt::{NoResolver, PlainHost, Stylesheet};
//!
//! let sheet = "<xsl:stylesheet version='1.0' xmlns:xsl='http://www.w3.org/1999/XSL/Transform'>\
//!     <xsl:template match='/'><r><xsl:value-of select='o/n'/></r></xsl:template></xsl:stylesheet>";
//! let sheet = Stylesheet::compile(Arc::new(Document::parse(sheet)?), "r.xsl", &NoResolver).expect("it is valid");
//! let source = Document::parse("<o><n>5</n></o>")?;
//! let output = sheet.transform(&source, Document::ROOT, &[], &PlainHost::default()).expect("it runs");
//! assert_eq!(output.document.to_xml(Document::ROOT), "<r>5</r>");
//! # Ok::<(), mi_xml::ParseError>(())
//! ```
//!
//! Deliberately elsewhere: XPath (`mi-expr`), keys of registries and the message (`mi-components`). The crate opens
//! nothing: included stylesheets come from a [`Resolver`], documents and the clock from a [`Host`].

mod avt;
mod compile;
mod decimal;
mod error;
mod expr;
mod limits;
mod number;
mod output;
mod pattern;
mod plan;
mod run;
mod serialize;
mod streaming;
mod xquery;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, FixedOffset};
use mi_expr::xpath::Sequence;
use mi_xml::{Document, NodeId};

pub use error::{StylesheetError, TransformError, TransformErrorKind};
pub use output::{Method, Output};
pub use streaming::Place;
pub use xquery::XQuery;

/// A point in time with its zone.
pub type Moment = DateTime<FixedOffset>;

/// The namespace of the instructions.
pub const XSLT_NAMESPACE: &str = "http://www.w3.org/1999/XSL/Transform";

/// Finds stylesheets that a stylesheet includes or imports.
pub trait Resolver {
    /// The document behind `href` as it is written in the stylesheet `base`.
    ///
    /// # Errors
    /// Why there is none, for the message.
    fn stylesheet(&self, href: &str, base: &str) -> Result<Arc<Document>, String>;
}

/// Includes are refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoResolver;

impl Resolver for NoResolver {
    fn stylesheet(&self, _: &str, _: &str) -> Result<Arc<Document>, String> {
        Err("nothing can be included here".to_owned())
    }
}

/// The world around a transformation.
pub trait Host: Sync {
    /// The current time; its offset is the implicit time zone. Must stay the same during one transformation.
    fn now(&self) -> DateTime<FixedOffset>;

    /// What `document('href')` gives; `None` if the host does not know it.
    fn document(&self, href: &str) -> Option<Arc<Document>> {
        let _ = href;
        None
    }

    /// A function that neither XPath, XSLT nor the stylesheet has; arguments and result as text.
    fn function(&self, namespace: &str, local: &str, args: &[String]) -> Option<Result<String, String>> {
        let _ = (namespace, local, args);
        None
    }

    /// Takes what `xsl:message` says.
    fn message(&self, text: &str) {
        let _ = text;
    }

    /// Whether somebody looks at [`Output::others`]. If not, `xsl:result-document` with an `href` is an error: a result
    /// must not vanish without a word.
    fn keeps_results(&self) -> bool {
        false
    }

    /// Whether the time for the transformation is up; asked now and then.
    fn expired(&self) -> bool {
        false
    }
}

/// A host with a fixed time and nothing else.
#[derive(Debug, Clone, Default)]
pub struct PlainHost {
    /// What the time is.
    pub now: DateTime<FixedOffset>,
    /// What [`Host::keeps_results`] says.
    pub keeps_results: bool,
}

impl Host for PlainHost {
    fn now(&self) -> DateTime<FixedOffset> {
        self.now
    }

    fn keeps_results(&self) -> bool {
        self.keeps_results
    }
}

/// Where a transformation starts; names are `local` or `{namespace}local`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Start<'a> {
    /// A named template in place of applying templates to the source.
    pub template: Option<&'a str>,
    /// The mode in place of the default one.
    pub mode: Option<&'a str>,
}

/// A compiled stylesheet. `Send + Sync`; a clone shares the plan.
#[derive(Clone)]
pub struct Stylesheet(Arc<plan::Plan>);

impl Stylesheet {
    /// Compiles a stylesheet (or a literal result element as one). `name` stands for it in errors.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with stylesheet, line and column.
    pub fn compile(document: Arc<Document>, name: &str, resolver: &dyn Resolver) -> Result<Self, Vec<StylesheetError>> {
        compile::compile(document, name, resolver).map(|plan| Self(Arc::new(plan)))
    }

    /// Runs the stylesheet on a document, or on an element of one as if it were the root of its own document.
    ///
    /// # Errors
    /// What the stylesheet or its expressions fail with, `xsl:message terminate="yes"`, and the caps on steps, depth
    /// and size.
    pub fn transform(
        &self,
        document: &Document,
        root: NodeId,
        params: &[(&str, Sequence<'_>)],
        host: &dyn Host,
    ) -> Result<Output, TransformError> {
        run::transform(&self.0, Some((document, root)), Start::default(), params, host)
    }

    /// Runs the stylesheet from a named template or in a named mode, on a document or on none.
    ///
    /// # Errors
    /// See [`Stylesheet::transform`]; `XTDE0040` and `XTDE0045` if there is no such template or mode.
    pub fn transform_from(
        &self,
        start: Start<'_>,
        source: Option<(&Document, NodeId)>,
        params: &[(&str, Sequence<'_>)],
        host: &dyn Host,
    ) -> Result<Output, TransformError> {
        run::transform(&self.0, source, start, params, host)
    }

    /// The output method of `xsl:output`, if it is stated.
    pub fn method(&self) -> Option<Method> {
        self.0.output.method
    }
}

impl fmt::Debug for Stylesheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stylesheet").field(&self.0.sheets.first()).finish()
    }
}

/// A point in time for [`Host::now`]: milliseconds since 1970 and the offset of the time zone in seconds.
pub fn moment(millis: i64, offset_seconds: i32) -> DateTime<FixedOffset> {
    let utc = DateTime::from_timestamp_millis(millis).unwrap_or_default();
    let zone = FixedOffset::east_opt(offset_seconds);
    zone.map_or_else(|| utc.fixed_offset(), |zone| utc.with_timezone(&zone))
}
