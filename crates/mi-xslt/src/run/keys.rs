//! `key()`: an index for each key and document, made when it is first asked for.

use std::collections::HashMap;
use std::rc::Rc;

use mi_expr::xpath::{DocRef, Item, Node, Sequence};
use mi_xml::{Document, NodeId};

use super::{Cx, KeyIndex, Outcome, Run};
use crate::error::TransformError;
use crate::plan::KeyDefinition;

impl<'s, 'd> Run<'s, 'd> {
    /// The nodes of the document of `node` that have one of the values.
    pub(super) fn key_nodes(&self, name: &str, values: &Sequence<'d>, node: &Node<'d>) -> Outcome<Sequence<'d>> {
        let index = self.index(name, &node.doc)?;
        let mut found: Vec<NodeId> = Vec::new();
        for value in values.iter() {
            let key = self.comparable(&value.atomize());
            if let Some(nodes) = index.get(&key) {
                found.extend(nodes);
            } else if !self.plan.is_old {
                // Numbers and texts are different values.
            } else if let Some(nodes) = key.strip_prefix('n').and_then(|number| index.get(&format!("s{number}"))) {
                // XSLT 1.0 compares everything as text.
                found.extend(nodes);
            }
        }
        Ok(Sequence::nodes(node.doc.clone(), found))
    }

    fn index(&self, name: &str, doc: &DocRef<'d>) -> Outcome<KeyIndex> {
        let known =
            self.keys.borrow().iter().find(|(known, of, _)| known == name && of.same(doc)).map(|it| it.2.clone());
        if let Some(known) = known {
            return Ok(known);
        }
        let Some((_, definitions)) = self.plan.keys.iter().find(|(known, _)| *known == name) else {
            return Err(TransformError::dynamic(format!("there is no key {name} (XTDE1260)")));
        };
        let mut index: HashMap<String, Vec<NodeId>> = HashMap::new();
        let base = self.base.replace(self.locals.borrow().len());
        let result = self.enter(|| self.fill(definitions, doc, &mut index));
        self.base.set(base);
        result?;
        let index = Rc::new(index);
        self.keys.borrow_mut().push((name.to_owned(), doc.clone(), index.clone()));
        Ok(index)
    }

    fn fill(
        &self,
        definitions: &'s [KeyDefinition],
        doc: &DocRef<'d>,
        index: &mut HashMap<String, Vec<NodeId>>,
    ) -> Outcome<()> {
        let document: &Document = doc;
        for top in document.descendants(Document::ROOT) {
            for id in std::iter::once(top).chain(document.attributes(top)) {
                self.step()?;
                let node = Node { doc: doc.clone(), id };
                for definition in definitions {
                    let result = self.fill_one(definition, &node, index);
                    result.map_err(|error| self.placed(error, definition.place))?;
                }
            }
        }
        Ok(())
    }

    fn fill_one(
        &self,
        definition: &'s KeyDefinition,
        node: &Node<'d>,
        index: &mut HashMap<String, Vec<NodeId>>,
    ) -> Outcome<()> {
        let cx = Cx::new(Some(Item::Node(node.clone())));
        if !self.matches(&definition.pattern, node, &cx)? {
            return Ok(());
        }
        for value in self.value(&definition.value, &cx)?.iter() {
            let nodes = index.entry(self.comparable(&value.atomize())).or_default();
            if nodes.last() != Some(&node.id) {
                nodes.push(node.id);
            }
        }
        Ok(())
    }
}
