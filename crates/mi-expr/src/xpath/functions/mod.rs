//! The built-in functions: one table of names and arities, and the view a function has of its call.
//!
//! Each function is a plain `fn` over [`Args`]; adding one is a line in the table of its file. Functions of the host
//! (`get-property` and its kin) are not here but behind [`super::Env`].

mod dates;
mod higher;
mod json;
mod json_text;
mod more;
mod nodes;
mod numbers;
mod picture;
mod regex;
mod sequences;
mod strings;

pub use more::resolve_reference;

use super::Version;
use super::ast::{Call, Expr, Type};
use super::cast::{self, Atomic};
use super::collation::Collation;
use super::error::XPathError;
use super::eval::{Cx, Evaluator};
use super::integer::{self, Bounds};
use super::pattern::Pattern;
use super::sequence::Sequence;
use super::value::{Item, Str};

type Outcome<'d> = Result<Sequence<'d>, XPathError>;

/// One built-in function.
pub(super) struct Builtin {
    pub(super) library: Library,
    pub(super) name: &'static str,
    /// Least and most arguments.
    pub(super) arity: (u8, u8),
    /// The version that introduced it; MI's 1.0 engine has a few of the later ones too.
    pub(super) since: Version,
    pub(super) result: Type,
    /// With fewer arguments than this the function looks at the context item.
    pub(super) context_below: u8,
    pub(super) run: for<'a, 'e, 'd> fn(&Args<'a, 'e, 'd>) -> Outcome<'d>,
}

impl std::fmt::Debug for Builtin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The sets of functions, each with a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Library {
    Core,
    Math,
    Maps,
    Arrays,
    /// Constructors of the `xs` types.
    Types,
}

impl Library {
    /// The library of a prefix; those that are usual need no declaration.
    pub(super) fn of(prefix: &str, declared: Option<&str>) -> Option<Self> {
        match (prefix, declared) {
            ("" | "fn", _) | (_, Some("http://www.w3.org/2005/xpath-functions")) => Some(Self::Core),
            ("xs" | "xsd", None) | (_, Some("http://www.w3.org/2001/XMLSchema")) => Some(Self::Types),
            ("map", None) | (_, Some("http://www.w3.org/2005/xpath-functions/map")) => Some(Self::Maps),
            ("array", None) | (_, Some("http://www.w3.org/2005/xpath-functions/array")) => Some(Self::Arrays),
            ("math", None) | (_, Some("http://www.w3.org/2005/xpath-functions/math")) => Some(Self::Math),
            _ => None,
        }
    }
}

impl Library {
    /// The prefix that functions are known by.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Core => "fn",
            Self::Math => "math",
            Self::Maps => "map",
            Self::Arrays => "array",
            Self::Types => "xs",
        }
    }

    /// The namespace of a prefix that [`Library::prefix`] gives; empty for others.
    pub(super) fn namespace(prefix: &str) -> &'static str {
        match prefix {
            "fn" => "http://www.w3.org/2005/xpath-functions",
            "math" => "http://www.w3.org/2005/xpath-functions/math",
            "map" => "http://www.w3.org/2005/xpath-functions/map",
            "array" => "http://www.w3.org/2005/xpath-functions/array",
            "xs" => "http://www.w3.org/2001/XMLSchema",
            _ => "",
        }
    }
}

const MANY: u8 = u8::MAX;

type Row = (&'static str, (u8, u8), Version, Type, u8, for<'a, 'e, 'd> fn(&Args<'a, 'e, 'd>) -> Outcome<'d>);

const fn builtin(library: Library, row: Row) -> Builtin {
    let (name, arity, since, result, context_below, run) = row;
    Builtin { library, name, arity, since, result, context_below, run }
}

const TABLES: [&[Builtin]; 9] = [
    strings::TABLE,
    numbers::TABLE,
    sequences::TABLE,
    nodes::TABLE,
    dates::TABLE,
    regex::TABLE,
    higher::TABLE,
    json::TABLE,
    more::TABLE,
];

/// The function of a name that takes `count` arguments.
pub(super) fn find(library: Library, name: &str, count: usize) -> Option<&'static Builtin> {
    TABLES.iter().copied().flatten().find(|f| {
        let (least, most) = f.arity;
        let enough = count >= usize::from(least);
        f.library == library && f.name == name && enough && (most == MANY || count <= usize::from(most))
    })
}

/// A call as its function sees it; arguments are evaluated when they are asked for, in the form that is needed.
pub(super) struct Args<'a, 'e, 'd> {
    pub(super) ev: &'a Evaluator<'e, 'd>,
    pub(super) call: &'a Call,
    pub(super) cx: &'a Cx<'a, 'd>,
}

impl<'d> Args<'_, '_, 'd> {
    fn len(&self) -> usize {
        self.call.args.len()
    }

    fn v1(&self) -> bool {
        self.ev.version == Version::V1
    }

    fn expr(&self, i: usize) -> &Expr {
        &self.call.args[i]
    }

    /// The whole argument.
    fn sequence(&self, i: usize) -> Outcome<'d> {
        self.ev.eval(self.expr(i), self.cx)
    }

    /// An argument of at most one item.
    fn single(&self, i: usize) -> Result<Option<Item<'d>>, XPathError> {
        let found = self.sequence(i)?;
        if found.len() > 1 {
            let name = self.call.function.name;
            let message = format!("argument {} of {name}() must be one item, but there are {}", i + 1, found.len());
            return Err(XPathError::type_error(message));
        }
        Ok(found.first())
    }

    /// The typed values of an argument.
    fn atoms(&self, i: usize) -> Result<Vec<Item<'d>>, XPathError> {
        self.ev.atomized(self.sequence(i)?)
    }

    /// An argument of at most one atomic item.
    fn atom(&self, i: usize) -> Result<Option<Item<'d>>, XPathError> {
        if self.v1() {
            return Ok(self.ev.first(self.expr(i), self.cx)?.map(Item::atomize));
        }
        self.ev.atom(self.expr(i), self.cx, &format!("argument {} of {}()", i + 1, self.call.function.name))
    }

    /// Whether values of other types are converted to what a function takes, as XPath 1.0 does.
    fn lenient(&self) -> bool {
        self.v1() || self.ev.program.lenient
    }

    /// An argument as a string, empty for the empty sequence. XPath 1.0 takes the first of several nodes and the text of
    /// any value, 2.0 refuses them.
    fn string(&self, i: usize) -> Result<Str<'d>, XPathError> {
        if self.v1() || self.expr(i).string_literal().is_some() {
            return self.ev.first_string(self.expr(i), self.cx);
        }
        Ok(self.opt_string(i)?.unwrap_or(Str::Borrowed("")))
    }

    /// An argument as a string, `None` for the empty sequence.
    fn opt_string(&self, i: usize) -> Result<Option<Str<'d>>, XPathError> {
        match self.atom(i)? {
            None => Ok(None),
            Some(Item::String(s) | Item::Untyped(s) | Item::AnyUri(s)) => Ok(Some(s)),
            Some(item) if self.lenient() => Ok(Some(item.to_str(self.ev.version))),
            Some(item) => Err(self.wrong_type(i, "xs:string", &item)),
        }
    }

    /// An argument that must be a string.
    fn required(&self, i: usize) -> Result<Str<'d>, XPathError> {
        if self.lenient() || self.expr(i).string_literal().is_some() {
            return self.string(i);
        }
        self.opt_string(i)?.ok_or_else(|| self.missing(i))
    }

    /// An argument of any atomic type as a string, empty for the empty sequence.
    fn any_string(&self, i: usize) -> Result<Str<'d>, XPathError> {
        if self.v1() || self.expr(i).string_literal().is_some() {
            return self.ev.first_string(self.expr(i), self.cx);
        }
        Ok(self.atom(i)?.map_or(Str::Borrowed(""), |item| item.to_str(self.ev.version)))
    }

    fn wrong_type(&self, i: usize, wanted: &str, found: &Item<'_>) -> XPathError {
        let name = self.call.function.name;
        let found = found.type_name();
        XPathError::type_error(format!("argument {} of {name}() must be {wanted}, but is {found}", i + 1))
    }

    fn missing(&self, i: usize) -> XPathError {
        let name = self.call.function.name;
        XPathError::type_error(format!("argument {} of {name}() must not be empty", i + 1))
    }

    /// A string argument, or the string of the context item if there are fewer arguments.
    fn string_or_context(&self, i: usize) -> Result<Str<'d>, XPathError> {
        if i < self.len() { self.string(i) } else { Ok(self.cx.context()?.to_str(self.ev.version)) }
    }

    /// An item that argument `i` consists of as a double: numbers, and text without a type.
    fn number(&self, i: usize, item: Item<'_>) -> Result<f64, XPathError> {
        match item {
            item if item.is_numeric() || self.lenient() => Ok(item.to_number()),
            Item::Untyped(_) => Ok(cast::cast(item, Atomic::Double)?.to_number()),
            item => Err(self.wrong_type(i, "a number", &item)),
        }
    }

    /// An argument as a double, which it must be.
    fn double(&self, i: usize) -> Result<f64, XPathError> {
        if self.v1() {
            return self.ev.number(self.expr(i), self.cx);
        }
        match self.atom(i)? {
            Some(item) => self.number(i, item),
            None if self.lenient() => Ok(f64::NAN),
            None => Err(self.missing(i)),
        }
    }

    /// An argument as an integer of any size, which it must be.
    fn whole(&self, i: usize) -> Result<Item<'d>, XPathError> {
        match self.atom(i)? {
            Some(item @ (Item::Integer(_) | Item::BigInteger(_))) => Ok(item),
            Some(item @ Item::Untyped(_)) => cast::cast(item, Atomic::Integer(Bounds::ANY)),
            Some(item) if self.lenient() => {
                let rounded = number_round(item.to_number());
                integer::of_f64(rounded).ok_or_else(|| self.wrong_type(i, "xs:integer", &item))
            }
            Some(item) => Err(self.wrong_type(i, "xs:integer", &item)),
            None => Err(self.missing(i)),
        }
    }

    /// [`Args::whole`], cut to 64 bits: a position or a number of digits beyond them is beyond everything.
    fn integer(&self, i: usize) -> Result<i64, XPathError> {
        match self.whole(i)? {
            Item::Integer(small) => Ok(small),
            Item::BigInteger(big) if big.is_negative() => Ok(i64::MIN),
            _ => Ok(i64::MAX),
        }
    }

    /// The collation in argument `i`, where there is one; unknown ones are refused.
    fn collation(&self, i: usize) -> Result<Collation, XPathError> {
        if i >= self.len() {
            return Ok(Collation::CodePoints);
        }
        let Some(uri) = self.opt_string(i)? else {
            // XPath 3.1 takes the empty sequence for the default one where a key follows.
            let may_miss = self.len() > i + 1 || self.lenient();
            return if may_miss { Ok(Collation::CodePoints) } else { Err(self.missing(i)) };
        };
        if let Some(collation) = Collation::of_uri(&uri) {
            return Ok(collation);
        }
        if self.lenient() {
            return Ok(Collation::CodePoints);
        }
        let shown: String = uri.chars().take(100).collect();
        Err(XPathError::dynamic("FOCH0002", format!("there is no collation \"{shown}\"")))
    }

    fn boolean(&self, i: usize) -> Result<bool, XPathError> {
        self.ev.ebv(self.expr(i), self.cx)
    }

    /// The regular expression in the second argument, with the flags in argument `flags`.
    fn with_pattern<T>(
        &self,
        flags: usize,
        run: impl FnOnce(&Pattern) -> Result<T, XPathError>,
    ) -> Result<T, XPathError> {
        if let Some(pattern) = &self.call.pattern {
            return run(pattern);
        }
        let flags = if flags < self.len() { self.required(flags)? } else { Str::Borrowed("") };
        run(&*Pattern::recent(&self.required(1)?, &flags)?)
    }
}

fn number_round(v: f64) -> f64 {
    super::number::round(v)
}
