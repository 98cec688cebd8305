//! Joining the steps of a path, so that the usual shapes become one walk over the tree.
//!
//! `//x` is two steps by the book: `descendant-or-self::node()/child::x`. Taken literally that is slow and yields
//! nodes out of document order. Here it becomes `descendant::x`, and `//a/b/c` becomes one walk for `c` that looks
//! up at its parents: in document order without sorting, whatever the nesting.

use super::ast::{Axis, AxisStep, Predicate};

/// Adds a step, fused with those before it where that keeps the result.
pub(super) fn push(steps: &mut Vec<AxisStep>, mut step: AxisStep) {
    if is_self(&step) && !steps.is_empty() {
        return;
    }
    if steps.last().is_some_and(is_self) {
        steps.pop();
    }
    if steps.last().is_some_and(is_anywhere) && to_anywhere(&mut step) {
        steps.pop();
    }
    // A child of a descendant: look for the child and check its parent.
    if step.axis == Axis::Child
        && steps.last().is_some_and(|last| last.axis == Axis::Descendant && last.predicates.is_empty())
        && free_of_position(&mut step)
        && let Some(last) = steps.pop()
    {
        step.axis = Axis::Descendant;
        step.parents.push(last.test);
        step.parents.extend(last.parents);
    }
    steps.push(step);
}

/// `self::node()`
fn is_self(step: &AxisStep) -> bool {
    step.axis == Axis::SelfNode && step.test.is_any() && step.predicates.is_empty()
}

/// `descendant-or-self::node()`
fn is_anywhere(step: &AxisStep) -> bool {
    step.axis == Axis::DescendantOrSelf && step.test.is_any() && step.predicates.is_empty()
}

/// Makes a step behind `//` one that does not need it any more.
fn to_anywhere(step: &mut AxisStep) -> bool {
    let (joined, free) = match step.axis {
        Axis::Child => (Axis::Descendant, free_of_position(step)),
        Axis::SelfNode => (Axis::DescendantOrSelf, step.position_free()),
        axis @ (Axis::Descendant | Axis::DescendantOrSelf) => (axis, step.position_free()),
        _ => return false,
    };
    if free {
        step.axis = joined;
    }
    free
}

/// Rewrites a leading `[3]` of a child step so that it is a property of the node itself.
fn free_of_position(step: &mut AxisStep) -> bool {
    if step.position_free() {
        return true;
    }
    let Some((first, rest)) = step.predicates.split_first_mut() else { return true };
    let Predicate::Nth(n @ 1..) = *first else { return false };
    if !rest.iter().all(|p| matches!(p, Predicate::Boolean(_))) {
        return false;
    }
    *first = Predicate::NthSibling(n);
    true
}
