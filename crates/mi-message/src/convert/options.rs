//! The switches of MI's conversions, by their names in `synapse.properties`.

use std::sync::Arc;

use regex::Regex;

use crate::media::MediaTypes;

/// How bodies convert between XML and JSON, and which content type means which form. Cheap to clone. The default is
/// what the product ships. MI: `JsonUtil#generateJSONOutputFactory`, `#generateJsonXMLInputFactory`.
#[derive(Clone, Debug)]
pub struct ConvertOptions {
    /// Member names keep the namespace prefix of their element (`a_test`).
    pub preserve_namespaces: bool,
    /// Namespace declarations become members (`@xmlns_a`); needs [`Self::preserve_namespaces`] to see any.
    pub namespace_declarations: bool,
    /// Stands between prefix and name in a member name.
    pub namespace_separator: char,
    /// Text that reads as a number, a boolean or null becomes one.
    pub auto_primitive: bool,
    /// Neighbours of one name become an array.
    pub auto_array: bool,
    /// `<?xml-multiple?>` starts an array.
    pub read_multiple_pi: bool,
    /// JSON arrays are announced by `<?xml-multiple name?>` in the XML.
    pub write_multiple_pi: bool,
    /// `xsi:nil="true"` reads as null, and null is written as `nil="true"`.
    pub xml_nil: bool,
    /// An empty element is null; else the empty string.
    pub null_for_empty: bool,
    /// Text of only white space is kept where it is all that an element holds.
    pub preserve_spaces: bool,
    /// Text that fits as a whole stays a string.
    pub keep_as_string: Option<Pattern>,
    /// Text that starts with the pattern stays a string, with the first match replaced.
    pub replace: Option<(Pattern, Arc<str>)>,
    /// Which content type is built and written how, when it is not the product's table.
    pub media_types: Option<Arc<MediaTypes>>,
}

impl Default for ConvertOptions {
    fn default() -> Self {
        Self {
            preserve_namespaces: false,
            namespace_declarations: false,
            namespace_separator: '_',
            auto_primitive: true,
            auto_array: true,
            read_multiple_pi: true,
            write_multiple_pi: false,
            xml_nil: false,
            null_for_empty: true,
            preserve_spaces: false,
            keep_as_string: None,
            replace: None,
            media_types: None,
        }
    }
}

impl ConvertOptions {
    /// Sets the switch that `property` names in `synapse.properties` (or in a `jsontransform` mediator). `Ok(false)`
    /// for a property that is none of these; an error, for the log, when a pattern does not compile.
    pub fn set(&mut self, property: &str, value: &str) -> Result<bool, String> {
        let on = value.trim().eq_ignore_ascii_case("true");
        match property {
            "synapse.commons.json.preserve.namespace" | "synapse.commons.json.preserve.namespaces.forjson" => {
                self.preserve_namespaces = on;
            }
            "synapse.commons.json.output.autoPrimitive" => self.auto_primitive = on,
            "synapse.commons.json.output.namespaceSepChar" => {
                self.namespace_separator = value.trim().chars().next().unwrap_or('_');
            }
            "synapse.commons.json.output.enableNSDeclarations" => self.namespace_declarations = on,
            "synapse.commons.json.output.disableAutoPrimitive.regex" => {
                self.keep_as_string = Some(Pattern::new(value)?);
            }
            "synapse.commons.json.output.jsonoutAutoArray" => self.auto_array = on,
            "synapse.commons.json.output.jsonoutMultiplePI" => self.read_multiple_pi = on,
            "synapse.commons.json.output.xmloutMultiplePI" | "synapse.json.to.xml.processing.instruction.enabled" => {
                self.write_multiple_pi = on;
            }
            "synapse.commons.enableXmlNilReadWrite" => self.xml_nil = on,
            "synapse.commons.enableXmlNullForEmptyElement" => self.null_for_empty = on,
            "synapse.commons.json.json.output.disableAutoPrimitive.customReplaceRegex" => {
                let replacement = self.replace.take().map_or_else(|| "".into(), |(_, replacement)| replacement);
                self.replace = Some((Pattern::new(value)?, replacement));
            }
            "synapse.commons.json.json.output.disableAutoPrimitive.customReplaceSequence" => {
                if let Some((_, replacement)) = &mut self.replace {
                    *replacement = value.into();
                }
            }
            // Names are valid and arrays are neighbours whatever these say; see `names` for the first.
            "synapse.commons.json.buildValidNCNames" | "synapse.commons.json.output.xmloutAutoArray" => {}
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// A compiled pattern of the configuration.
#[derive(Clone, Debug)]
pub struct Pattern {
    whole: Arc<Regex>,
    start: Arc<Regex>,
}

impl Pattern {
    /// Compiles `source`; the error says what is wrong with it.
    pub fn new(source: &str) -> Result<Self, String> {
        let compile = |pattern: String| {
            Regex::new(&pattern).map(Arc::new).map_err(|error| format!("pattern `{source}`: {error}"))
        };
        Ok(Self { whole: compile(format!(r"\A(?:{source})\z"))?, start: compile(format!(r"\A(?:{source})"))? })
    }

    /// True when all of `text` fits.
    pub fn is_match(&self, text: &str) -> bool {
        self.whole.is_match(text)
    }

    /// The text with the match at its start replaced; `None` when it does not start with one.
    pub fn replace_start(&self, text: &str, replacement: &str) -> Option<String> {
        self.start.is_match(text).then(|| self.start.replace(text, replacement).into_owned())
    }
}
