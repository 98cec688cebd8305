//! Variables: locals of the running template, globals evaluated when they are first needed, parameters.

use mi_expr::xpath::{Item, Node, Sequence, XPathError};
use mi_xml::Document;

use super::{Cx, Outcome, Run, Tunnel};
use crate::error::TransformError;
use crate::expr::key_of;
use crate::plan::{Binding, Cast, Value};

/// The value of a global variable as far as it is known.
pub(super) enum GlobalState<'d> {
    Unknown,
    Running,
    Known(Sequence<'d>),
}

/// The codes of values that are not of the type of a variable or parameter.
const VARIABLE: &str = "XTTE0570";
pub(super) const PARAMETER: &str = "XTTE0590";

/// What a call passes on: values for the template itself, and the tunnel.
type Given<'s, 'd> = (Vec<(&'s str, Sequence<'d>)>, Option<Tunnel<'s, 'd>>);
/// Values for the parameters of a template.
pub(super) type Arguments<'s, 'd> = [(&'s str, Sequence<'d>)];

impl<'s, 'd> Run<'s, 'd> {
    /// The value of an instruction's `select` or content.
    pub(super) fn value(&self, value: &'s Value, cx: &Cx<'s, 'd>) -> Outcome<Sequence<'d>> {
        if let Some(select) = &value.select {
            let found = self.eval(select, cx)?;
            return self.cast(value.cast.as_ref(), found, VARIABLE);
        }
        let found = if value.body.is_empty() && !value.sequence {
            Sequence::string("")
        } else if value.sequence {
            Sequence::from_items(self.in_value(|| self.to_items(|| self.exec(&value.body, cx)))?)
        } else {
            let document = self.in_value(|| self.to_document(|| self.exec(&value.body, cx)))?;
            Sequence::one(Item::Node(Node::shared(document, Document::ROOT)))
        };
        self.cast(value.cast.as_ref(), found, VARIABLE)
    }

    /// A value converted to the type of `as`; `code` is that of a value of another type.
    pub(super) fn cast(&self, cast: Option<&'s Cast>, value: Sequence<'d>, code: &str) -> Outcome<Sequence<'d>> {
        let Some(cast) = cast else { return Ok(value) };
        cast.declared.convert(value, "the value").map_err(|error| {
            let mut error = self.at_place(error, cast.place);
            error.message = error.message.replace("(XPTY0004)", &format!("({code})"));
            error
        })
    }

    pub(super) fn bind(&self, name: &'s str, value: Sequence<'d>) {
        self.locals.borrow_mut().push((name, value));
    }

    /// The variable an expression names.
    pub(super) fn variable(&self, prefix: &str, local: &str) -> Result<Sequence<'d>, XPathError> {
        let expanded;
        let name = if prefix.is_empty() {
            local
        } else {
            expanded = key_of(self.plan.prefixes.get(prefix).map_or("", String::as_str), local);
            &expanded
        };
        let base = self.base.get();
        let local = self.locals.borrow()[base..].iter().rev().find(|(known, _)| *known == name).map(|it| it.1.clone());
        if let Some(value) = local {
            return Ok(value);
        }
        let Some(global) = self.plan.global_index.get(name) else {
            return Err(XPathError::UnknownVariable { name: name.to_owned() });
        };
        self.global(*global).map_err(|error| self.through_expression(error))
    }

    /// An error that has to pass an expression; [`Run::at_place`] finds it again.
    pub(super) fn through_expression(&self, error: TransformError) -> XPathError {
        let text = XPathError::Host(error.message.clone());
        *self.failure.borrow_mut() = Some(error);
        text
    }

    pub(super) fn global(&self, at: usize) -> Outcome<Sequence<'d>> {
        let global = &self.plan.globals[at];
        let state = std::mem::replace(&mut self.globals.borrow_mut()[at], GlobalState::Running);
        match state {
            GlobalState::Known(value) => {
                self.globals.borrow_mut()[at] = GlobalState::Known(value.clone());
                return Ok(value);
            }
            GlobalState::Running => {
                let message = format!("the variable ${} depends on itself (XTDE0640)", global.binding.name);
                return Err(self.placed(TransformError::dynamic(message), global.binding.place));
            }
            GlobalState::Unknown => {}
        }
        let base = self.base.replace(self.locals.borrow().len());
        let value = self.enter(|| self.global_value(at));
        self.base.set(base);
        let value = match value {
            Ok(value) => value,
            Err(error) => {
                // A later use, behind an xsl:try, fails in the same way.
                self.globals.borrow_mut()[at] = GlobalState::Unknown;
                return Err(error);
            }
        };
        self.globals.borrow_mut()[at] = GlobalState::Known(value.clone());
        Ok(value)
    }

    fn global_value(&self, at: usize) -> Outcome<Sequence<'d>> {
        let global = &self.plan.globals[at];
        let binding = &global.binding;
        if global.is_param {
            if let Some((_, given)) = self.params.iter().find(|(name, _)| *name == binding.name) {
                // A host gives texts, which take the type that is asked for.
                let given = given.iter().map(|item| match item {
                    Item::String(text) if binding.value.cast.is_some() => Item::Untyped(text),
                    other => other,
                });
                return self.cast(binding.value.cast.as_ref(), Sequence::from_items(given.collect()), PARAMETER);
            }
            if binding.required {
                let message = format!("the parameter ${} is required (XTDE0050)", binding.name);
                return Err(self.placed(TransformError::dynamic(message), binding.place));
            }
        }
        self.value(&binding.value, &Cx::new(self.initial_item()))
    }

    /// The values of `xsl:with-param`: for the template itself, and the tunnel with those that go further.
    pub(super) fn arguments(&self, params: &'s [Binding], cx: &Cx<'s, 'd>) -> Outcome<Given<'s, 'd>> {
        let mut own = Vec::with_capacity(params.len());
        let mut tunnel = cx.tunnel.clone();
        for param in params {
            let value = self.value(&param.value, cx)?;
            if param.tunnel {
                let mut all = tunnel.as_deref().cloned().unwrap_or_default();
                all.retain(|(name, _)| *name != param.name);
                all.push((&param.name, value));
                tunnel = Some(all.into());
            } else {
                own.push((param.name.as_str(), value));
            }
        }
        Ok((own, tunnel))
    }

    /// Binds the parameters of a template to what is given or their defaults.
    pub(super) fn bind_params(&self, params: &'s [Binding], given: &Arguments<'s, 'd>, cx: &Cx<'s, 'd>) -> Outcome<()> {
        for param in params {
            let found = if param.tunnel {
                cx.tunnel.as_ref().and_then(|tunnel| tunnel.iter().find(|(name, _)| *name == param.name))
            } else {
                given.iter().find(|(name, _)| *name == param.name)
            };
            let value = match found {
                Some((_, value)) => self.cast(param.value.cast.as_ref(), value.clone(), PARAMETER)?,
                None if param.required => {
                    let message = format!("the parameter ${} is required (XTDE0700)", param.name);
                    return Err(self.placed(TransformError::dynamic(message), param.place));
                }
                None => self.value(&param.value, cx)?,
            };
            self.bind(&param.name, value);
        }
        Ok(())
    }

    /// Runs `work` with locals of its own.
    pub(super) fn framed<T>(&self, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        let start = self.locals.borrow().len();
        let base = self.base.replace(start);
        let result = work();
        self.locals.borrow_mut().truncate(start);
        self.base.set(base);
        result
    }
}
