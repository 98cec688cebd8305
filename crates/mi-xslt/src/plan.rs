//! The compiled form of a stylesheet. Built by `compile`, read by `run`.

use std::collections::HashMap;
use std::sync::Arc;

use mi_expr::xpath::ValueType;
use mi_xml::Document;

use crate::avt::Avt;
use crate::decimal::DecimalFormat;
use crate::expr::Expr;
use crate::output::OutputSettings;
use crate::pattern::{Alternative, Pattern, Test};
use crate::streaming::Deed;

/// An expanded name as text: `{namespace}local`, or `local` for none.
pub(crate) type Key = String;

/// A place in one of the stylesheets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) sheet: u32,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

pub(crate) type Body = Vec<Instruction>;

#[derive(Debug)]
pub(crate) struct Instruction {
    pub(crate) op: Op,
    pub(crate) place: Place,
}

/// A value given by an expression or by content.
#[derive(Debug)]
pub(crate) struct Value {
    pub(crate) select: Option<Expr>,
    pub(crate) body: Body,
    /// Content is a sequence of items and not a tree.
    pub(crate) sequence: bool,
    /// The type of `as`.
    pub(crate) cast: Option<Cast>,
}

/// The type that a value must have.
#[derive(Debug)]
pub(crate) struct Cast {
    pub(crate) declared: ValueType,
    pub(crate) place: Place,
}

/// `xsl:variable`, `xsl:param` and `xsl:with-param`.
#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) name: Key,
    pub(crate) value: Value,
    pub(crate) tunnel: bool,
    pub(crate) required: bool,
    pub(crate) place: Place,
}

#[derive(Debug)]
pub(crate) struct Sort {
    pub(crate) value: Value,
    pub(crate) data_type: Option<Avt>,
    pub(crate) order: Option<Avt>,
    pub(crate) case_order: Option<Avt>,
    pub(crate) lang: Option<Avt>,
    pub(crate) collation: Option<Avt>,
    /// Values are typed (2.0), so numbers sort as numbers.
    pub(crate) typed: bool,
    pub(crate) place: Place,
}

#[derive(Debug)]
pub(crate) struct Literal {
    pub(crate) prefix: String,
    pub(crate) local: String,
    pub(crate) namespace: String,
    pub(crate) namespaces: Vec<(String, String)>,
    pub(crate) attribute_sets: Vec<Key>,
    pub(crate) attributes: Vec<LiteralAttribute>,
    pub(crate) body: Body,
}

#[derive(Debug)]
pub(crate) struct LiteralAttribute {
    pub(crate) prefix: String,
    pub(crate) local: String,
    pub(crate) namespace: String,
    pub(crate) value: Avt,
}

/// The name of `xsl:element` and `xsl:attribute`.
#[derive(Debug)]
pub(crate) struct ComputedName {
    pub(crate) name: Avt,
    pub(crate) namespace: Option<Avt>,
    /// In-scope namespaces of the instruction.
    pub(crate) scope: Arc<Vec<(String, String)>>,
}

#[derive(Debug)]
pub(crate) enum Grouping {
    By(Expr),
    Adjacent(Expr),
    StartingWith(Pattern),
    EndingWith(Pattern),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberLevel {
    Single,
    Multiple,
    Any,
}

#[derive(Debug)]
pub(crate) struct Number {
    pub(crate) level: NumberLevel,
    pub(crate) count: Option<Pattern>,
    pub(crate) from: Option<Pattern>,
    pub(crate) value: Option<Expr>,
    pub(crate) select: Option<Expr>,
    pub(crate) format: Avt,
    pub(crate) grouping_separator: Option<Avt>,
    pub(crate) grouping_size: Option<Avt>,
    pub(crate) ordinal: Option<Avt>,
    pub(crate) start_at: Option<Avt>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ModeRef {
    Mode(usize),
    Current,
}

#[derive(Debug)]
pub(crate) enum Op {
    Text {
        text: Box<str>,
        raw: bool,
    },
    ValueOf {
        value: Value,
        separator: Option<Avt>,
        raw: bool,
        first_only: bool,
    },
    Literal(Box<Literal>),
    Element {
        name: ComputedName,
        attribute_sets: Vec<Key>,
        body: Body,
    },
    Attribute {
        name: ComputedName,
        value: Value,
        separator: Option<Avt>,
        first_only: bool,
    },
    Namespace {
        name: Avt,
        value: Value,
    },
    Comment(Value),
    Pi {
        name: Avt,
        value: Value,
    },
    Copy {
        select: Option<Expr>,
        attribute_sets: Vec<Key>,
        namespaces: bool,
        body: Body,
    },
    CopyOf {
        select: Expr,
        namespaces: bool,
    },
    Sequence(Expr),
    Document(Body),
    ApplyTemplates {
        select: Option<Expr>,
        mode: ModeRef,
        sorts: Vec<Sort>,
        params: Vec<Binding>,
    },
    CallTemplate {
        name: Key,
        params: Vec<Binding>,
    },
    ApplyImports(Vec<Binding>),
    NextMatch(Vec<Binding>),
    ForEach {
        select: Expr,
        sorts: Vec<Sort>,
        body: Body,
    },
    ForEachGroup {
        select: Expr,
        grouping: Grouping,
        /// All values of the key are one key.
        composite: bool,
        sorts: Vec<Sort>,
        body: Body,
    },
    If {
        test: Expr,
        body: Body,
    },
    Choose {
        branches: Vec<(Expr, Body)>,
        otherwise: Body,
    },
    Number(Box<Number>),
    Message {
        select: Option<Expr>,
        body: Body,
        terminate: Avt,
        code: Option<Avt>,
    },
    Variable(Binding),
    AnalyzeString {
        select: Expr,
        regex: Avt,
        flags: Option<Avt>,
        matching: Body,
        other: Body,
    },
    PerformSort {
        value: Value,
        sorts: Vec<Sort>,
    },
    Iterate {
        select: Expr,
        params: Vec<Binding>,
        body: Body,
        completion: Option<Value>,
    },
    NextIteration(Vec<Binding>),
    Break(Value),
    Try {
        value: Value,
        catches: Vec<Catch>,
    },
    Map(Body),
    MapEntry {
        key: Expr,
        value: Value,
    },
    WherePopulated(Body),
    ResultDocument(Box<ResultDocument>),
    /// An instruction that does not exist here, met in a part that may never run.
    Unknown {
        name: String,
        fallback: Option<Body>,
    },
}

/// `xsl:catch`
#[derive(Debug)]
pub(crate) struct Catch {
    /// Names of codes as written, `*` for any.
    pub(crate) errors: Vec<String>,
    pub(crate) value: Value,
}

/// `xsl:result-document`
#[derive(Debug)]
pub(crate) struct ResultDocument {
    pub(crate) href: Option<Avt>,
    /// Name of an `xsl:output`.
    pub(crate) format: Option<Avt>,
    pub(crate) settings: Vec<(&'static str, Avt)>,
    pub(crate) characters: HashMap<char, String>,
    pub(crate) cdata: Vec<Key>,
    pub(crate) body: Body,
}

#[derive(Debug)]
pub(crate) struct Template {
    /// Its name or its pattern, for errors.
    pub(crate) label: Box<str>,
    pub(crate) params: Vec<Binding>,
    pub(crate) body: Body,
    /// The type of `as`.
    pub(crate) cast: Option<Cast>,
    pub(crate) place: Place,
    /// Import precedences this template's stylesheet imports: `low..precedence`.
    pub(crate) low: u32,
    pub(crate) precedence: u32,
}

/// A template rule for one alternative of its pattern.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) alternative: Alternative,
    pub(crate) template: usize,
    pub(crate) precedence: u32,
    pub(crate) priority: f64,
    /// Place among all rules; the last of equals wins.
    pub(crate) position: usize,
    pub(crate) modes: Vec<usize>,
    pub(crate) all_modes: bool,
}

/// What happens to nodes without a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum NoMatch {
    #[default]
    TextOnlyCopy,
    ShallowCopy,
    DeepCopy,
    ShallowSkip,
    DeepSkip,
    Fail,
}

/// What a template does to a node of a copied document.
#[derive(Debug)]
pub(crate) enum Edit {
    /// The node stays; templates are applied to its attributes and children.
    Keep,
    /// The node stays with everything below it.
    KeepAll,
    Drop,
    /// The element stays under this or another name.
    Element(Box<ElementEdit>),
    /// The template is run and its result put in place of the node.
    Run,
}

/// How an element is changed.
#[derive(Debug, Default)]
pub(crate) struct ElementEdit {
    /// The template is a literal element, which gives the name.
    pub(crate) renames: bool,
    /// Attributes that those of the source overwrite.
    pub(crate) before: Vec<NewAttribute>,
    /// Attributes that overwrite those of the source.
    pub(crate) after: Vec<NewAttribute>,
    /// The attributes of the source are taken as they are.
    pub(crate) plain_attributes: bool,
}

/// An `xsl:attribute` of a fixed name without a namespace.
#[derive(Debug)]
pub(crate) struct NewAttribute {
    pub(crate) local: String,
    /// Its place in the content of the element.
    pub(crate) instruction: usize,
}

/// What the templates of the default mode do to a document, if they keep most of it.
#[derive(Debug)]
pub(crate) struct Edits {
    /// Rules for nodes of these kinds do more than to keep them.
    pub(crate) attributes: bool,
    pub(crate) texts: bool,
    pub(crate) comments: bool,
    pub(crate) pis: bool,
    /// Nodes without a rule stay.
    pub(crate) by_default: bool,
    /// What each template does to an element.
    pub(crate) elements: Vec<Edit>,
    /// What each template does to other nodes.
    pub(crate) leaves: Vec<Edit>,
}

/// The rules of a mode, best first, found by what they can match.
#[derive(Debug, Default)]
pub(crate) struct Mode {
    pub(crate) no_match: NoMatch,
    pub(crate) elements: HashMap<Box<str>, Vec<usize>>,
    pub(crate) other_elements: Vec<usize>,
    pub(crate) attributes: HashMap<Box<str>, Vec<usize>>,
    pub(crate) other_attributes: Vec<usize>,
    pub(crate) texts: Vec<usize>,
    pub(crate) comments: Vec<usize>,
    pub(crate) pis: Vec<usize>,
    pub(crate) documents: Vec<usize>,
}

#[derive(Debug)]
pub(crate) struct KeyDefinition {
    pub(crate) pattern: Pattern,
    pub(crate) value: Value,
    pub(crate) place: Place,
}

#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) params: Vec<Binding>,
    pub(crate) body: Body,
    pub(crate) cast: Option<Cast>,
    pub(crate) place: Place,
    pub(crate) precedence: u32,
}

#[derive(Debug)]
pub(crate) struct AttributeSet {
    pub(crate) uses: Vec<Key>,
    pub(crate) body: Body,
}

#[derive(Debug)]
pub(crate) struct Global {
    pub(crate) binding: Binding,
    pub(crate) is_param: bool,
}

/// `xsl:strip-space` and `xsl:preserve-space`.
#[derive(Debug)]
pub(crate) struct SpaceRule {
    pub(crate) test: Test,
    pub(crate) strip: bool,
    pub(crate) precedence: u32,
    pub(crate) priority: f64,
}

#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Names of the stylesheets, the outermost first.
    pub(crate) sheets: Vec<String>,
    pub(crate) documents: Vec<Arc<Document>>,
    /// The outermost stylesheet is of version 1.0.
    pub(crate) is_old: bool,
    pub(crate) templates: Vec<Template>,
    pub(crate) named: HashMap<Key, usize>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) modes: Vec<Mode>,
    /// What the stylesheet does to documents, if it keeps most of them.
    pub(crate) edits: Option<Edits>,
    /// What each template does, if documents can go through without a tree.
    pub(crate) deeds: Option<Vec<Option<Deed>>>,
    pub(crate) mode_names: HashMap<Key, usize>,
    pub(crate) globals: Vec<Global>,
    pub(crate) global_index: HashMap<Key, usize>,
    pub(crate) keys: HashMap<Key, Vec<KeyDefinition>>,
    pub(crate) functions: HashMap<(Key, usize), Function>,
    pub(crate) attribute_sets: HashMap<Key, Vec<AttributeSet>>,
    pub(crate) decimal_formats: HashMap<Key, DecimalFormat>,
    pub(crate) space: Vec<SpaceRule>,
    pub(crate) output: OutputSettings,
    /// Named ones.
    pub(crate) outputs: HashMap<Key, OutputSettings>,
    /// Prefixes of names in expressions; stylesheets bind a prefix to one namespace only.
    pub(crate) prefixes: HashMap<String, String>,
}
