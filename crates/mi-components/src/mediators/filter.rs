//! `<filter>` runs `<then>` when its condition holds, and `<else>` when it does not. It only picks the branch.

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::{Context, SequenceTarget};
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;
use mi_expr::Expr;

use super::branch;
use mi_expr::java::FullMatch;

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("filter", parse).attributes(&["xpath", "source", "regex"]);

#[derive(Debug)]
struct Filter {
    condition: Condition,
    then: SequenceTarget,
    otherwise: Option<SequenceTarget>,
}

#[derive(Debug)]
enum Condition {
    Holds(Expr),
    /// The whole value must match.
    Matches {
        source: Expr,
        regex: FullMatch,
    },
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let condition = parse_condition(el)?;
    // Without <then>, the children of <filter> are the branch, and there is no <else>.
    let (then, otherwise) = match el.child("then") {
        Some(then) => {
            cx.report_all(el.unknown_children(&["then", "else", "description"]));
            let otherwise = el.child("else").map(|it| branch::named_or_inline(&it, cx)).transpose()?;
            (branch::named_or_inline(&then, cx)?, otherwise)
        }
        None => (branch::inline(el, cx), None),
    };
    Ok(Box::new(Filter { condition, then, otherwise }))
}

fn parse_condition(el: &Element) -> Result<Condition, Diagnostic> {
    if el.attr("xpath").is_some() {
        el.filled_attr("xpath").ok_or_else(|| el.error("the attribute 'xpath' of <filter> must not be blank"))?;
        let test = el.expr("xpath")?;
        return test.map(Condition::Holds).ok_or_else(|| el.error("<filter> needs the attribute 'xpath'"));
    }
    match (el.filled_attr("source"), el.filled_attr("regex")) {
        (Some(_), Some(_)) => {}
        _ => return Err(el.error("<filter> needs the attribute 'xpath', or 'source' and 'regex'")),
    }
    match (el.expr("source")?, el.full_regex("regex")?) {
        (Some(source), Some(regex)) => Ok(Condition::Matches { source, regex }),
        _ => Err(el.error("<filter> needs the attributes 'source' and 'regex'")),
    }
}

impl Mediator for Filter {
    fn reads_body(&self) -> bool {
        let (Condition::Holds(expr) | Condition::Matches { source: expr, .. }) = &self.condition;
        expr.reads_body()
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let holds = match &self.condition {
            // MI takes the text of a ${…} expression, so that the text "true" holds as well.
            Condition::Holds(expr) if expr.is_synapse() => {
                expr.eval_string(&cx.message, &*cx.snapshot)?.eq_ignore_ascii_case("true")
            }
            Condition::Holds(expr) => expr.eval_bool(&cx.message, &*cx.snapshot)?,
            Condition::Matches { source, regex } => regex.fits(&source.eval_string(&cx.message, &*cx.snapshot)?),
        };
        match if holds { Some(&self.then) } else { self.otherwise.as_ref() } {
            Some(target) => Ok(Flow::Enter(cx.resolve(target)?)),
            None => Ok(Flow::Next),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Flowing;

    /// Runs `<filter {attrs}>` on `<x>bulk</x>`; tells which branch ran.
    #[track_caller]
    fn check(attrs: &str, expected: &str) {
        let xml = format!(
            "<filter {attrs}><then><property name='ran' value='then'/></then><else><property name='ran' value='else'/></else></filter>"
        );
        assert_eq!(Flowing::of(&xml).xml("<x>bulk</x>").run().property("ran").as_deref(), Some(expected));
    }

    #[test]
    fn picks_a_branch() {
        check("xpath=\"//x = 'bulk'\"", "then");
        check("xpath='//y'", "else");
        check("source='//x' regex='b.*'", "then");
        check("source='//x' regex='ul'", "else");
        check("source='//x' regex='(?!small).*'", "then");
        check("xpath='${1 &lt; 2}'", "then");
    }

    #[test]
    fn patterns_that_would_look_back_for_ever_end() {
        let body = format!("<x>{}!</x>", "a".repeat(5_000));
        for (pattern, ran) in
            [("(a+)+", Some("else")), ("(a|aa)+", Some("else")), ("(.*)*=", Some("else")), ("(a+)+!", Some("then"))]
        {
            let xml = format!(
                "<filter source='//x' regex='{pattern}'><then><property name='ran' value='then'/></then><else><property name='ran' value='else'/></else></filter>"
            );
            assert_eq!(Flowing::of(&xml).xml(&body).run().property("ran").as_deref(), ran, "{pattern}");
        }
    }

    #[test]
    fn branches_by_name_and_without_then() {
        let named = "<filter xpath='true()'><then sequence='s'/></filter>";
        let outcome = Flowing::of(named).sequence("s", "<property name='ran' value='s'/>").run();
        assert_eq!(outcome.property("ran").as_deref(), Some("s"));
        let plain = "<filter xpath='true()'><property name='ran' value='p'/></filter>";
        assert_eq!(Flowing::of(plain).run().property("ran").as_deref(), Some("p"));
        assert_eq!(
            Flowing::of("<filter xpath='true()'><then sequence='none'/></filter>").run().fault().as_deref(),
            Some("Sequence named none cannot be found")
        );
    }

    #[test]
    fn wrong_configurations_are_refused() {
        for (xml, part) in [
            ("<filter/>", "needs the attribute 'xpath', or 'source' and 'regex'"),
            ("<filter xpath=' '/>", "must not be blank"),
            ("<filter source='//a' regex='('/>", "not a valid regular expression"),
        ] {
            let error = Flowing::error_of(xml);
            assert!(error.contains(part), "{error}");
        }
    }
}
