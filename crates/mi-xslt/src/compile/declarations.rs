//! Top-level declarations.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use mi_xml::NodeId;

use super::{Compiler, Declaration, Part, Scope, cast};
use crate::XSLT_NAMESPACE;
use crate::decimal::DecimalFormat;
use crate::output::{OUTPUT_ATTRIBUTES, OutputSettings};
use crate::pattern::{self, Test};
use crate::plan::{
    AttributeSet, Binding, Function, Global, Key, KeyDefinition, NoMatch, Rule, SpaceRule, Template, Value,
};

/// Namespaces in which a stylesheet can declare no functions.
const RESERVED: [&str; 8] = [
    XSLT_NAMESPACE,
    mi_xml::XML_NAMESPACE,
    mi_xml::XSI_NAMESPACE,
    "http://www.w3.org/2001/XMLSchema",
    "http://www.w3.org/2005/xpath-functions",
    "http://www.w3.org/2005/xpath-functions/math",
    "http://www.w3.org/2005/xpath-functions/map",
    "http://www.w3.org/2005/xpath-functions/array",
];

impl Compiler<'_> {
    fn scope_of(&self, declaration: Declaration) -> Scope {
        let doc = &self.plan.documents[declaration.sheet as usize];
        let scope = Scope::of_sheet(doc, declaration.sheet);
        match doc.root_element() {
            Some(root) if root != declaration.node => scope.inside(root),
            _ => scope,
        }
    }

    /// Collects the names that may be used before they are declared.
    pub(super) fn declare_names(&mut self) {
        for declaration in self.declarations.clone() {
            let scope = self.scope_of(declaration);
            let node = declaration.node;
            if scope.doc.namespace(node) != XSLT_NAMESPACE {
                continue;
            }
            let name = scope.attr(node, "name").and_then(|name| scope.key(node, &name).ok());
            match (scope.doc.local_name(node), name) {
                ("variable" | "param", Some(name)) => {
                    self.global_names.insert(name);
                }
                ("template", Some(name)) => {
                    self.template_names.insert(name);
                }
                ("namespace-alias", _) => self.alias(&scope, node),
                _ => {}
            }
        }
    }

    fn alias(&mut self, scope: &Scope, node: NodeId) {
        let namespace = |name: &str| {
            let prefix = scope.attr(node, name)?;
            let prefix = if prefix == "#default" { String::new() } else { prefix };
            let uri = scope.doc.lookup_namespace(node, &prefix).unwrap_or("").to_owned();
            Some((prefix, uri))
        };
        match (namespace("stylesheet-prefix"), namespace("result-prefix")) {
            (Some((_, from)), Some(to)) => {
                self.aliases.insert(from, to);
            }
            _ => self.report_in(scope, node, "the attributes `stylesheet-prefix` and `result-prefix` are needed"),
        }
    }

    pub(super) fn compile_declarations(&mut self) {
        let mut globals = HashMap::new();
        let mut named = HashMap::new();
        for declaration in self.declarations.clone() {
            let scope = self.scope_of(declaration);
            let result = self.declaration(&scope, declaration, &mut globals, &mut named);
            if let Err(message) = result {
                self.report_in(&scope, declaration.node, &message);
            }
            self.locals.clear();
        }
    }

    fn declaration(
        &mut self,
        outer: &Scope,
        declaration: Declaration,
        globals: &mut HashMap<Key, u32>,
        named: &mut HashMap<Key, u32>,
    ) -> Part<()> {
        let node = declaration.node;
        let namespace = outer.doc.namespace(node).to_owned();
        if namespace != XSLT_NAMESPACE {
            let simplified = outer.doc.root_element() == Some(node);
            // Other elements at the top level are data of the stylesheet.
            return if simplified { self.simplified(outer, declaration) } else { Ok(()) };
        }
        let scope = &outer.inside(node);
        let local = outer.doc.local_name(node).to_owned();
        match local.as_str() {
            "template" => self.template(scope, declaration, named),
            "variable" | "param" => self.global(scope, declaration, local == "param", globals),
            "key" => self.key_definition(scope, node),
            "function" => self.function(scope, declaration),
            "attribute-set" => self.attribute_set(scope, node),
            "output" => self.output(scope, node),
            "decimal-format" => self.decimal_format(scope, node),
            "strip-space" | "preserve-space" => self.space(scope, declaration, local == "strip-space"),
            "character-map" => self.character_map(scope, node),
            "mode" => self.mode_declaration(scope, node),
            "namespace-alias" => Ok(()),
            "import-schema" => Err("schemas cannot be imported".to_owned()),
            "import" | "include" => Err("it can stand at the top level of a stylesheet only".to_owned()),
            other => Err(format!("there is no declaration xsl:{other}")),
        }
    }

    /// A literal result element as a stylesheet is a template for the document.
    fn simplified(&mut self, scope: &Scope, declaration: Declaration) -> Part<()> {
        let inner = scope.inside(declaration.node);
        let mut body = Vec::new();
        let mut outer = inner.clone();
        outer.depth = 0;
        self.instruction(&outer, declaration.node, &mut body);
        let pattern = self.pattern(scope, declaration.node, "/")?;
        let template = self.plan.templates.len();
        self.plan.templates.push(Template {
            label: "/".into(),
            params: Vec::new(),
            body,
            cast: None,
            place: Self::place(scope, declaration.node),
            low: 0,
            precedence: 0,
        });
        self.rules(pattern, template, declaration.precedence, None, vec![0], false);
        Ok(())
    }

    fn template(&mut self, scope: &Scope, declaration: Declaration, named: &mut HashMap<Key, u32>) -> Part<()> {
        let node = declaration.node;
        let name = scope.attr(node, "name").map(|name| scope.key(node, &name)).transpose()?;
        let reserved = name
            .as_deref()
            .is_some_and(|it| it.starts_with("{http://www.w3.org/1999/XSL/") && !it.ends_with("}initial-template"));
        if reserved {
            return Err("the name is in a namespace that is reserved (XTSE0080)".to_owned());
        }
        let matched = scope.attr(node, "match");
        if name.is_none() && matched.is_none() {
            return Err("it needs the attribute `match` or `name`".to_owned());
        }
        let label = name.as_ref().or(matched.as_ref()).map(|it| it.trim().into()).unwrap_or_default();
        let pattern = matched.map(|source| self.pattern(scope, node, &source)).transpose()?;
        let params = self.params(scope, node);
        let body = self.body(scope, node, &["param"]);
        let declared = scope.attr(node, "as");
        let template = self.plan.templates.len();
        self.plan.templates.push(Template {
            label,
            params,
            body,
            cast: cast(scope, node, declared.as_deref()),
            place: Self::place(scope, node),
            low: declaration.low,
            precedence: declaration.precedence,
        });
        if let Some(name) = name {
            match named.insert(name.clone(), declaration.precedence) {
                Some(before) if before == declaration.precedence => {
                    return Err(format!("there are two templates named {name}"));
                }
                Some(before) if before > declaration.precedence => {
                    named.insert(name, before);
                }
                _ => {
                    self.plan.named.insert(name, template);
                }
            }
        }
        if let Some(pattern) = pattern {
            let priority = match scope.attr(node, "priority") {
                Some(text) => Some(text.trim().parse().map_err(|_| format!("`{text}` is no priority"))?),
                None => None,
            };
            let (modes, all) = self.template_modes(scope, node)?;
            self.rules(pattern, template, declaration.precedence, priority, modes, all);
        }
        Ok(())
    }

    fn template_modes(&mut self, scope: &Scope, node: NodeId) -> Part<(Vec<usize>, bool)> {
        let Some(names) = scope.attr(node, "mode") else { return Ok((vec![0], false)) };
        let (mut modes, mut all) = (Vec::new(), false);
        for name in names.split_whitespace() {
            match name {
                "#all" => all = true,
                "#default" | "#unnamed" => modes.push(0),
                name => {
                    let key = scope.key(node, name)?;
                    modes.push(self.mode(&key));
                }
            }
        }
        Ok((modes, all))
    }

    fn rules(
        &mut self,
        pattern: pattern::Pattern,
        template: usize,
        precedence: u32,
        priority: Option<f64>,
        modes: Vec<usize>,
        all_modes: bool,
    ) {
        for alternative in pattern.0 {
            let priority = priority.unwrap_or(alternative.priority);
            let position = self.plan.rules.len();
            let modes = modes.clone();
            self.plan.rules.push(Rule { alternative, template, precedence, priority, position, modes, all_modes });
        }
    }

    /// The parameters of a template or function; their names stay in scope.
    pub(super) fn params(&mut self, scope: &Scope, node: NodeId) -> Vec<Binding> {
        let mut params = Vec::new();
        for child in scope.doc.clone().child_elements(node) {
            if !scope.is_xslt(child, "param") {
                continue;
            }
            match self.binding(&scope.inside(child), child) {
                Ok(binding) if params.iter().any(|it: &Binding| it.name == binding.name) => {
                    let message = format!("there are two parameters ${} (XTSE0580)", binding.name);
                    self.report_in(scope, child, &message);
                }
                Ok(binding)
                    if binding.required && (binding.value.select.is_some() || !binding.value.body.is_empty()) =>
                {
                    self.report_in(scope, child, "a required parameter has no default value (XTSE0010)");
                }
                Ok(binding) => {
                    self.locals.push(binding.name.clone());
                    params.push(binding);
                }
                Err(message) => self.report_in(scope, child, &message),
            }
        }
        params
    }

    pub(super) fn binding(&mut self, scope: &Scope, node: NodeId) -> Part<Binding> {
        let name = scope.key(node, &scope.require(node, "name")?)?;
        Ok(Binding {
            value: self.value(scope, node, &[])?,
            name,
            tunnel: scope.yes(node, "tunnel"),
            required: scope.yes(node, "required"),
            place: Self::place(scope, node),
        })
    }

    fn global(
        &mut self,
        scope: &Scope,
        declaration: Declaration,
        is_param: bool,
        known: &mut HashMap<Key, u32>,
    ) -> Part<()> {
        let binding = self.binding(scope, declaration.node)?;
        let name = binding.name.clone();
        match known.get(&name) {
            Some(before) if *before == declaration.precedence => {
                return Err(format!("there are two global variables ${name}"));
            }
            Some(before) if *before > declaration.precedence => return Ok(()),
            _ => {}
        }
        known.insert(name.clone(), declaration.precedence);
        self.plan.global_index.insert(name, self.plan.globals.len());
        self.plan.globals.push(Global { binding, is_param });
        Ok(())
    }

    fn key_definition(&mut self, scope: &Scope, node: NodeId) -> Part<()> {
        let name = scope.key(node, &scope.require(node, "name")?)?;
        let pattern = self.pattern(scope, node, &scope.require(node, "match")?)?;
        let select = self.expr_attr(scope, node, "use")?;
        let body = self.body(scope, node, &[]);
        if select.is_none() && body.is_empty() {
            return Err("the attribute `use` is missing".to_owned());
        }
        let value = Value { select, body, sequence: true, cast: None };
        let definition = KeyDefinition { pattern, value, place: Self::place(scope, node) };
        self.plan.keys.entry(name).or_default().push(definition);
        Ok(())
    }

    fn function(&mut self, scope: &Scope, declaration: Declaration) -> Part<()> {
        let node = declaration.node;
        let name = scope.require(node, "name")?;
        if !name.contains(':') && !name.starts_with("Q{") {
            return Err("the name of a function needs a prefix".to_owned());
        }
        let name = scope.key(node, &name)?;
        if let Some(reserved) =
            RESERVED.iter().find(|it| name.strip_prefix('{').is_some_and(|n| n.starts_with(&format!("{it}}}"))))
        {
            return Err(format!("functions cannot be declared in the namespace {reserved} (XTSE0080)"));
        }
        let params = self.params(scope, node);
        let body = self.body(scope, node, &["param"]);
        let declared = scope.attr(node, "as");
        let cast = cast(scope, node, declared.as_deref());
        let key = (name, params.len());
        // Declarations come in order of precedence, so the last one counts.
        let precedence = declaration.precedence;
        let function = Function { params, body, cast, place: Self::place(scope, node), precedence };
        let before = self.plan.functions.insert(key, function);
        match before.filter(|it| it.precedence == precedence) {
            Some(_) => Err("there is a function of this name and number of parameters already (XTSE0770)".to_owned()),
            None => Ok(()),
        }
    }

    fn attribute_set(&mut self, scope: &Scope, node: NodeId) -> Part<()> {
        let name = scope.key(node, &scope.require(node, "name")?)?;
        let uses = self.key_list(scope, node, "use-attribute-sets")?;
        let body = self.body(scope, node, &[]);
        self.plan.attribute_sets.entry(name).or_default().push(AttributeSet { uses, body });
        Ok(())
    }

    pub(super) fn key_list(&mut self, scope: &Scope, node: NodeId, attribute: &str) -> Part<Vec<Key>> {
        let text = scope.attr(node, attribute).unwrap_or_default();
        text.split_whitespace().map(|name| scope.key(node, name)).collect()
    }

    fn output(&mut self, scope: &Scope, node: NodeId) -> Part<()> {
        let name = scope.attr(node, "name").map(|it| scope.key(node, &it)).transpose()?;
        let mut settings = match &name {
            Some(name) => self.plan.outputs.remove(name).unwrap_or_default(),
            None => std::mem::take(&mut self.plan.output),
        };
        let result = self.output_settings(scope, node, &mut settings);
        match name {
            Some(name) => {
                self.plan.outputs.insert(name, settings);
            }
            None => self.plan.output = settings,
        }
        result
    }

    fn output_settings(&mut self, scope: &Scope, node: NodeId, settings: &mut OutputSettings) -> Part<()> {
        for name in scope.attr(node, "cdata-section-elements").unwrap_or_default().split_whitespace() {
            settings.cdata_elements.insert(self.element_key(scope, node, name)?);
        }
        for name in OUTPUT_ATTRIBUTES {
            if let Some(value) = scope.attr(node, name) {
                settings.set(name, &value)?;
            }
        }
        for name in self.key_list(scope, node, "use-character-maps")? {
            self.use_character_map(&name, 0, &mut settings.characters)?;
        }
        Ok(())
    }

    /// Adds the characters of a map, and before them those of the maps it uses.
    pub(super) fn use_character_map(&mut self, name: &Key, depth: usize, into: &mut HashMap<char, String>) -> Part<()> {
        if depth > 20 {
            return Err("character maps use each other".to_owned());
        }
        let mut found = false;
        for declaration in self.declarations.clone() {
            let scope = self.scope_of(declaration);
            let node = declaration.node;
            let same = scope.is_xslt(node, "character-map")
                && scope.attr(node, "name").and_then(|it| scope.key(node, &it).ok()).as_ref() == Some(name);
            if !same {
                continue;
            }
            found = true;
            for used in self.key_list(&scope, node, "use-character-maps")? {
                self.use_character_map(&used, depth + 1, into)?;
            }
            for entry in scope.doc.child_elements(node) {
                if let (Some(character), Some(text)) = (scope.attr(entry, "character"), scope.attr(entry, "string"))
                    && let Some(character) = character.chars().next()
                {
                    into.insert(character, text);
                }
            }
        }
        if found { Ok(()) } else { Err(format!("there is no character map {name}")) }
    }

    fn character_map(&mut self, scope: &Scope, node: NodeId) -> Part<()> {
        scope.require(node, "name")?;
        for entry in scope.doc.clone().child_elements(node) {
            let one = scope.attr(entry, "character").is_some_and(|it| it.chars().count() == 1);
            if !one || scope.attr(entry, "string").is_none() {
                self.report_in(scope, entry, "the attributes `character` (one character) and `string` are needed");
            }
        }
        Ok(())
    }

    fn decimal_format(&mut self, scope: &Scope, node: NodeId) -> Part<()> {
        let name = scope.attr(node, "name").map(|name| scope.key(node, &name)).transpose()?.unwrap_or_default();
        let mut format = DecimalFormat::default();
        for (target, attribute) in [
            (&mut format.decimal, "decimal-separator"),
            (&mut format.grouping, "grouping-separator"),
            (&mut format.minus, "minus-sign"),
            (&mut format.percent, "percent"),
            (&mut format.per_mille, "per-mille"),
            (&mut format.zero, "zero-digit"),
            (&mut format.digit, "digit"),
            (&mut format.separator, "pattern-separator"),
        ] {
            if let Some(value) = scope.attr(node, attribute) {
                let mut chars = value.chars();
                *target = match (chars.next(), chars.next()) {
                    (Some(c), None) => c,
                    _ => return Err(format!("the attribute `{attribute}` must be one character")),
                };
            }
        }
        let roles = [
            format.decimal,
            format.grouping,
            format.percent,
            format.per_mille,
            format.zero,
            format.digit,
            format.separator,
        ];
        if let Some(twice) = roles.iter().enumerate().find(|(at, c)| roles[..*at].contains(c)).map(|(_, c)| c) {
            return Err(format!("`{twice}` has two meanings in the pictures of this format (XTSE1300)"));
        }
        if !format.zero.is_numeric() {
            return Err(format!("`{}` is no digit zero (XTSE1295)", format.zero));
        }
        if let Some(value) = scope.attr(node, "infinity") {
            format.infinity = value;
        }
        if let Some(value) = scope.attr(node, "NaN") {
            format.nan = value;
        }
        match self.plan.decimal_formats.entry(name) {
            Entry::Occupied(mut known) => {
                known.insert(format);
            }
            Entry::Vacant(free) => {
                free.insert(format);
            }
        }
        Ok(())
    }

    fn space(&mut self, scope: &Scope, declaration: Declaration, strip: bool) -> Part<()> {
        let node = declaration.node;
        for name in scope.require(node, "elements")?.split_whitespace() {
            let test = match name.strip_prefix("Q{").and_then(|it| it.split_once('}')) {
                Some((namespace, local)) if local == "*" || mi_xml::is_ncname(local) => Test::Element {
                    namespace: Some(namespace.trim().into()),
                    local: (local != "*").then(|| local.into()),
                },
                _ => pattern::node_test(name, false, &scope.statics(node))?,
            };
            let priority = match &test {
                Test::Element { namespace: Some(_), local: Some(_) } => 0.0,
                Test::Element { namespace: None, local: None } => -0.5,
                _ => -0.25,
            };
            self.plan.space.push(SpaceRule { test, strip, precedence: declaration.precedence, priority });
        }
        Ok(())
    }

    fn mode_declaration(&mut self, scope: &Scope, node: NodeId) -> Part<()> {
        let name = scope.attr(node, "name").map(|name| scope.key(node, &name)).transpose()?.unwrap_or_default();
        let mode = self.mode(&name);
        if let Some(text) = scope.attr(node, "on-no-match") {
            self.plan.modes[mode].no_match = match text.trim() {
                "text-only-copy" => NoMatch::TextOnlyCopy,
                "shallow-copy" => NoMatch::ShallowCopy,
                "deep-copy" => NoMatch::DeepCopy,
                "shallow-skip" => NoMatch::ShallowSkip,
                "deep-skip" => NoMatch::DeepSkip,
                "fail" => NoMatch::Fail,
                other => return Err(format!("`{other}` is no value of `on-no-match`")),
            };
        }
        if scope.yes(node, "streamable") {
            return Err("streaming is not available".to_owned());
        }
        Ok(())
    }
}
