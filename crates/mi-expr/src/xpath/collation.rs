//! Orders of text: by code points, without the case of ASCII letters, or as a language has it.
//!
//! Languages are those of the Unicode collation algorithm with the data of CLDR. MI has the collators of Java, which order
//! letters in the same way and differ in how spaces and punctuation count.

use std::cmp::Ordering;

use icu_collator::options::{AlternateHandling, CaseLevel, CollatorOptions, Strength};
use icu_collator::preferences::{CollationCaseFirst, CollationNumericOrdering};
use icu_collator::{Collator, CollatorBorrowed, CollatorPreferences};
use icu_locale_core::Locale;

const CODE_POINTS: &str = "http://www.w3.org/2005/xpath-functions/collation/codepoint";
const ASCII_CASE_INSENSITIVE: &str = "http://www.w3.org/2005/xpath-functions/collation/html-ascii-case-insensitive";
/// What the URIs of collations by language start with.
const UCA: &str = "http://www.w3.org/2013/collation/UCA";
/// What Saxon's own start with.
const SAXON: &str = "http://saxon.sf.net/collation";

/// An order of text.
#[derive(Debug, Default)]
pub enum Collation {
    /// By code points.
    #[default]
    CodePoints,
    /// By code points, with the letters A to Z as a to z.
    AsciiCaseInsensitive,
    /// By the rules of a language.
    Language(Box<CollatorBorrowed<'static>>),
}

/// Which of two texts that differ in case only comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaseOrder {
    /// Capitals.
    UpperFirst,
    /// Small letters.
    LowerFirst,
}

impl Collation {
    /// The collation that a URI names: code points, ASCII without case, the Unicode algorithm and Saxon's, both with parameters.
    /// `None` for any other, and where parameters ask for what is not there and say so by `fallback=no`.
    pub fn of_uri(uri: &str) -> Option<Self> {
        match uri {
            // A relative one is resolved, and there is no base to do so but the one of the collations.
            CODE_POINTS | "collation/codepoint" | "http://www.w3.org/2005/xpath-functions/collation/codepoint/" => {
                return Some(Self::CodePoints);
            }
            ASCII_CASE_INSENSITIVE | "collation/html-ascii-case-insensitive" => {
                return Some(Self::AsciiCaseInsensitive);
            }
            _ => {}
        }
        let parameters = uri.strip_prefix(UCA).or_else(|| uri.strip_prefix(SAXON))?;
        match parameters.strip_prefix('?') {
            Some(parameters) => Wanted::read(parameters)?.collation(),
            None if parameters.is_empty() => Wanted::default().collation(),
            None => None,
        }
    }

    /// The order of a language, such as `de` or `sv-FI`; one that is not known has the order that most languages have.
    pub fn of_language(language: &str, case: Option<CaseOrder>) -> Self {
        let wanted = Wanted { language: language.trim().to_owned(), case, ..Wanted::default() };
        wanted.collation().unwrap_or_default()
    }

    /// Compares two texts.
    pub fn compare(&self, a: &str, b: &str) -> Ordering {
        match self {
            Self::CodePoints => a.cmp(b),
            Self::AsciiCaseInsensitive => {
                let folded = |text: &'_ str| text.bytes().map(|byte| byte.to_ascii_lowercase()).collect::<Vec<u8>>();
                folded(a).cmp(&folded(b))
            }
            Self::Language(collator) => collator.compare(a, b),
        }
    }
}

/// What the parameters of a URI say.
#[derive(Default)]
struct Wanted {
    language: String,
    case: Option<CaseOrder>,
    numeric: bool,
    options: CollatorOptions,
}

impl Wanted {
    /// Reads `name=value` pairs. `None` where one means nothing here and `fallback=no` says that it must.
    fn read(parameters: &str) -> Option<Self> {
        let mut wanted = Self::default();
        let (mut strict, mut unknown) = (false, false);
        for pair in parameters.split([';', '&']).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "fallback" => strict = value == "no",
                _ => unknown |= wanted.set(name, value).is_none(),
            }
        }
        unknown |= !wanted.language.is_empty() && wanted.language.parse::<Locale>().is_err();
        (!(strict && unknown)).then_some(wanted)
    }

    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match (name, value) {
            ("lang", language) => language.clone_into(&mut self.language),
            ("strength", strength) => self.options.strength = Some(strength_of(strength)?),
            ("caseFirst", "upper") | ("case-order", "upper-first") => self.case = Some(CaseOrder::UpperFirst),
            ("caseFirst", "lower") | ("case-order", "lower-first") => self.case = Some(CaseOrder::LowerFirst),
            ("numeric" | "alphanumeric", "yes") => self.numeric = true,
            ("caseLevel", "yes") => self.options.case_level = Some(CaseLevel::On),
            ("ignore-case", "yes") => self.options.strength = Some(Strength::Secondary),
            ("ignore-modifiers", "yes") => self.options.strength = Some(Strength::Primary),
            ("alternate", "shifted" | "blanked") => {
                self.options.alternate_handling = Some(AlternateHandling::Shifted);
            }
            ("alternate", "non-ignorable") => self.options.alternate_handling = Some(AlternateHandling::NonIgnorable),
            // How it is without being told.
            ("numeric" | "alphanumeric" | "caseLevel" | "ignore-case" | "ignore-modifiers" | "backwards", "no")
            | ("normalization" | "decomposition", _) => {}
            _ => return None,
        }
        Some(())
    }

    fn collation(&self) -> Option<Collation> {
        let locale = self.language.parse::<Locale>().unwrap_or(Locale::UNKNOWN);
        let mut preferences = CollatorPreferences::from(&locale);
        match self.case {
            Some(CaseOrder::UpperFirst) => preferences.case_first = Some(CollationCaseFirst::Upper),
            Some(CaseOrder::LowerFirst) => preferences.case_first = Some(CollationCaseFirst::Lower),
            None => {}
        }
        if self.numeric {
            preferences.numeric_ordering = Some(CollationNumericOrdering::True);
        }
        let collator = Collator::try_new(preferences, self.options).ok()?;
        Some(Collation::Language(Box::new(collator)))
    }
}

fn strength_of(name: &str) -> Option<Strength> {
    Some(match name {
        "primary" | "1" => Strength::Primary,
        "secondary" | "2" => Strength::Secondary,
        "tertiary" | "3" => Strength::Tertiary,
        "quaternary" | "4" => Strength::Quaternary,
        "identical" | "5" => Strength::Identical,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn sorted(collation: &Collation, words: &str, expected: &str) {
        let mut words: Vec<&str> = words.split(' ').collect();
        words.sort_by(|a, b| collation.compare(a, b));
        assert_eq!(words.join(" "), expected);
    }

    #[test]
    fn languages_have_orders_of_their_own() {
        let words = "z ä a o ö Z A";
        sorted(&Collation::CodePoints, words, "A Z a o z ä ö");
        sorted(&Collation::of_language("de", None), words, "a A ä o ö z Z");
        sorted(&Collation::of_language("sv", None), words, "a A o z Z ä ö");
        sorted(&Collation::of_language("de", Some(CaseOrder::UpperFirst)), words, "A a ä o ö Z z");
        sorted(&Collation::of_language("no such language", None), words, "a A ä o ö z Z");
    }

    #[test]
    fn parameters_of_uris() {
        let of = |uri: &str| Collation::of_uri(uri).expect("a collation");
        let uca = |parameters: &str| of(&format!("{UCA}?{parameters}"));
        sorted(&uca("lang=sv"), "ö z a", "a z ö");
        sorted(&uca("numeric=yes"), "a10 a9 a1", "a1 a9 a10");
        sorted(&of(&format!("{SAXON}?lang=de;alphanumeric=yes")), "a10 a9", "a9 a10");
        assert_eq!(uca("strength=primary").compare("a", "Á"), Ordering::Equal);
        assert_eq!(uca("lang=de;strength=secondary").compare("a", "A"), Ordering::Equal);
        assert_eq!(uca("lang=de;strength=secondary").compare("a", "ä"), Ordering::Less);
        assert_eq!(uca("alternate=shifted;strength=3").compare("a-b", "ab"), Ordering::Equal);
        assert_eq!(of(ASCII_CASE_INSENSITIVE).compare("Ab", "aB"), Ordering::Equal);
        assert_eq!(of(CODE_POINTS).compare("a", "B"), Ordering::Greater);
        assert!(Collation::of_uri("urn:c").is_none());
        assert!(Collation::of_uri(&format!("{UCA}?fallback=no;reorder=digit")).is_none());
        assert!(Collation::of_uri(&format!("{UCA}?reorder=digit")).is_some());
        assert!(Collation::of_uri(&format!("{UCA}?lang=*;fallback=no")).is_none());
    }
}
