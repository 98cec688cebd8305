//! Modes: which rules there are for a kind of node and a name, best first.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::Compiler;
use crate::pattern::{Start, Test};
use crate::plan::{Mode, Rule};

impl Compiler<'_> {
    /// The number of a mode.
    pub(super) fn mode(&mut self, name: &str) -> usize {
        if let Some(known) = self.mode_index.get(name) {
            return *known;
        }
        let number = self.plan.modes.len();
        self.plan.modes.push(Mode::default());
        self.mode_index.insert(name.to_owned(), number);
        number
    }

    /// Fills the modes with their rules.
    pub(super) fn finish_modes(&mut self) {
        let rules = &self.plan.rules;
        let mut order: Vec<usize> = (0..rules.len()).collect();
        order.sort_by(|a, b| better(&rules[*a], &rules[*b]));
        for (number, mode) in self.plan.modes.iter_mut().enumerate() {
            let own: Vec<usize> = order
                .iter()
                .copied()
                .filter(|rule| rules[*rule].all_modes || rules[*rule].modes.contains(&number))
                .collect();
            fill(mode, &own, rules);
        }
    }
}

/// Import precedence, then priority, then the later one.
fn better(a: &Rule, b: &Rule) -> Ordering {
    b.precedence.cmp(&a.precedence).then(b.priority.total_cmp(&a.priority)).then(b.position.cmp(&a.position))
}

/// What the last step of a rule asks for; `None` can be any node.
fn test_of(rule: &Rule) -> Option<&Test> {
    match (rule.alternative.steps.first(), &rule.alternative.start) {
        (Some(step), _) => Some(&step.test),
        (None, Start::Nodes { .. }) => None,
        (None, _) => None,
    }
}

fn fill(mode: &mut Mode, own: &[usize], rules: &[Rule]) {
    let test = |rule: &usize| test_of(&rules[*rule]);
    let mut elements: HashSet<&str> = HashSet::new();
    let mut attributes: HashSet<&str> = HashSet::new();
    for rule in own {
        match test(rule) {
            Some(Test::Element { local: Some(local), .. }) => {
                elements.insert(local);
            }
            Some(Test::Attribute { local: Some(local), .. }) => {
                attributes.insert(local);
            }
            _ => {}
        }
    }
    let element = |rule: &usize, name: Option<&str>| match test(rule) {
        None | Some(Test::Node) => true,
        Some(Test::Element { local, .. }) => local.as_deref().is_none_or(|local| Some(local) == name),
        _ => false,
    };
    let attribute = |rule: &usize, name: Option<&str>| match test(rule) {
        None | Some(Test::AttributeNode) => true,
        Some(Test::Attribute { local, .. }) => local.as_deref().is_none_or(|local| Some(local) == name),
        _ => false,
    };
    let pick = |keep: &dyn Fn(&usize) -> bool| own.iter().copied().filter(|rule| keep(rule)).collect::<Vec<_>>();
    mode.elements = elements.iter().map(|name| ((*name).into(), pick(&|rule| element(rule, Some(name))))).collect();
    mode.other_elements = pick(&|rule| element(rule, None));
    mode.attributes =
        attributes.iter().map(|name| ((*name).into(), pick(&|rule| attribute(rule, Some(name))))).collect();
    mode.other_attributes = pick(&|rule| attribute(rule, None));
    mode.texts = pick(&|rule| matches!(test(rule), None | Some(Test::Node | Test::Text)));
    mode.comments = pick(&|rule| matches!(test(rule), None | Some(Test::Node | Test::Comment)));
    mode.pis = pick(&|rule| matches!(test(rule), None | Some(Test::Node | Test::Pi(_))));
    mode.documents = pick(&|rule| matches!(test(rule), None | Some(Test::Document)));
}
