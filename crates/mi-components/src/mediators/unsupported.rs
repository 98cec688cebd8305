//! Mediators that a configuration may name but that cannot run here: those written in Java, and those that this version
//! does not have. The artifact is deployed with a warning; a message that reaches the step gets a fault. Those that MI
//! itself does not have any more are errors, as in MI, that say what to use instead.

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;

/// The table; a mediator that arrives leaves it.
pub const TABLE: &[MediatorSpec] = &[
    java("pojoCommand"),
    java("annotatedCommand"),
    java("spring"),
    java("bean"),
    java("ejb"),
    MediatorSpec::new("bam", parse_gone),
    MediatorSpec::new("detach", parse_gone),
    MediatorSpec::new("event", parse_gone),
    MediatorSpec::new("fault", parse_gone),
    MediatorSpec::new("publishEvent", parse_gone),
    MediatorSpec::new("replace", parse_gone),
    MediatorSpec::new("router", parse_gone),
    MediatorSpec::new("rule", parse_gone),
    missing("dataServiceCall"),
    missing("eventPublisher"),
    missing("NTLM"),
];

const fn java(tag: &'static str) -> MediatorSpec {
    MediatorSpec::new(tag, parse_java)
}

/// Mediators of MI's forerunners, and what does the same today.
const GONE: &[(&str, &str)] = &[
    ("bam", "a sequence that calls the service that takes the events"),
    ("detach", "<enrich> with action=\"remove\""),
    ("event", "<call> or <store> for what subscribers are to get"),
    ("fault", "<makefault>"),
    ("publishEvent", "<call> or <log> for what the events carry"),
    ("replace", "<enrich>"),
    ("router", "<conditionalRouter>, <switch> or <filter>"),
    ("rule", "<switch>, <filter> or a script mediator"),
];

/// What the owner of Java code can do instead.
const JAVA: &[(&str, &str)] = &[
    ("class", "put the logic into a sequence, a script mediator or a service of its own"),
    ("pojoCommand", "put the logic into a script mediator or a service of its own"),
    ("annotatedCommand", "put the logic into a script mediator or a service of its own"),
    ("spring", "put the bean behind a service of its own and <call> it"),
    ("bean", "keep the values in <variable>s, or put the bean behind a service of its own and <call> it"),
    ("ejb", "put the EJB behind a service of its own and <call> it"),
];

fn instead(table: &[(&'static str, &'static str)], el: &Element) -> &'static str {
    table.iter().find(|(tag, _)| *tag == el.name()).map_or("", |(_, instead)| instead)
}

/// MI: `MediatorFactoryFinder#getMediator`.
fn parse_gone(el: &Element, _cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let error = el.error(format!("Unknown mediator referenced by configuration element : {}", el.name()));
    Err(error.hint(format!("MI does not have it any more; use {}", instead(GONE, el))))
}

/// What does the same as a mediator that is not there.
const MISSING: &[(&str, &str)] = &[
    ("dataServiceCall", "<call> the data service, or use <dblookup> and <dbreport>"),
    ("eventPublisher", "<call> or <store> for what subscribers are to get"),
    (
        "NTLM",
        "put a proxy that signs in by NTLM before the back end, or let the back end take basic or OAuth credentials",
    ),
];

const fn missing(tag: &'static str) -> MediatorSpec {
    MediatorSpec::new(tag, parse_missing)
}

#[derive(Debug)]
struct Unsupported {
    reason: String,
}

pub(super) fn parse_java(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let class = ["name", "class", "jndiName", "beanstalk"].into_iter().find_map(|attr| el.filled_attr(attr));
    let named = class.map_or(String::new(), |class| format!(" '{class}'"));
    let options = options(el);
    let reason = format!("the {} mediator{named}{options} is Java code, which this server does not run", el.name());
    Ok(refuse(el, cx, reason, instead(JAVA, el)))
}

/// ` (level=high)`: the properties that are set on the object, without what may be a secret.
fn options(el: &Element) -> String {
    let shown: Vec<String> = el
        .children_named("property")
        .filter_map(|property| {
            let name = property.attr("name")?.into_owned();
            let lower = name.to_ascii_lowercase();
            let secret = ["password", "secret", "token", "key"].iter().any(|part| lower.contains(part));
            let value = property.attr("value").or_else(|| property.attr("expression"));
            let value = if secret { "*****".into() } else { value.unwrap_or_default() };
            Some(format!("{name}={value}"))
        })
        .collect();
    if shown.is_empty() { String::new() } else { format!(" ({})", shown.join(", ")) }
}

fn parse_missing(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let reason = format!("{} is not supported by this version", el.name());
    Ok(refuse(el, cx, reason, instead(MISSING, el)))
}

/// A step that is reported now, with what to use instead, and gives a fault with the same reason when it is reached.
pub(super) fn refuse(el: &Element, cx: &mut BuildCx<'_>, reason: String, instead: &str) -> Box<dyn Mediator> {
    let warning = el.warning(reason.as_str()).hint(format!("{instead}; messages that reach it get a fault"));
    cx.report_degraded(warning);
    Box::new(Unsupported { reason })
}

impl Mediator for Unsupported {
    fn mediate(&self, _cx: &mut Context) -> Result<Flow, Fault> {
        Err(Fault::new(self.reason.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Flowing;

    #[test]
    fn the_artifact_deploys_and_the_message_faults() {
        let flowing =
            Flowing::of("<pojoCommand name='org.acme.Audit'><property name='aToken' value='x'/></pojoCommand>");
        assert!(flowing.warnings().iter().any(|text| text.contains("'org.acme.Audit' (aToken=*****) is Java code")));
        assert!(flowing.run().fault().is_some_and(|text| text.contains("'org.acme.Audit'")));
    }

    #[test]
    fn the_artifact_is_named_as_one_that_works_in_part() {
        let named = |xml| Flowing::of(xml).degraded();
        assert_eq!(named("<class name='org.acme.Audit'/>"), ["subject-of-the-test"]);
        assert_eq!(named("<NTLM username='a'/>"), ["subject-of-the-test"]);
        assert_eq!(named("<log leve='full'/>"), [""; 0]);
    }

    #[test]
    fn so_is_an_artifact_of_a_class_that_is_not_there() {
        for xml in [
            "<endpoint name='subject'><class name='org.acme.Back'/></endpoint>",
            "<task name='subject' class='org.acme.Tick' group='g'><trigger interval='5'/></task>",
            "<messageStore name='subject' class='org.acme.Store'/>",
            "<messageProcessor name='subject' class='org.acme.Work' messageStore='s'/>",
            "<inboundEndpoint name='subject' class='org.acme.In' sequence='s' onError='s' suspend='false'/>",
            "<inboundEndpoint name='subject' protocol='carrier-pigeon' sequence='s' onError='s' suspend='false'/>",
            "<api name='subject' context='/a'><resource methods='GET'/><handlers><handler class='org.acme.H'/></handlers></api>",
        ] {
            let flowing = Flowing::of("<drop/>").artifact(xml);
            assert_eq!(flowing.degraded(), ["subject"], "{xml}");
        }
    }

    #[test]
    fn what_to_use_instead_is_said() {
        for (xml, part) in [
            (
                "<router/>",
                "Unknown mediator referenced by configuration element : router (MI does not have it any more; use <cond",
            ),
            ("<rule><source/></rule>", "use <switch>, <filter> or a script mediator"),
            ("<publishEvent/>", "use <call> or <log>"),
        ] {
            let error = Flowing::error_of(xml);
            assert!(error.contains(part), "{error}");
        }
        for (xml, part) in [
            ("<ejb class='org.acme.Bean'/>", "put the EJB behind a service"),
            ("<spring bean='a'/>", "put the bean behind a service"),
            ("<bean action='CREATE' class='org.acme.Bean'/>", "keep the values in <variable>s"),
            ("<eventPublisher eventSourceName='a'/>", "<call> or <store>"),
            ("<NTLM username='a' password='b'/>", "signs in by NTLM before the back end"),
        ] {
            let warnings = Flowing::of(xml).warnings();
            assert!(warnings.iter().any(|it| it.contains(part)), "{xml}: {warnings:?}");
        }
        for (table, parse) in
            // The first, <class>, has a file of its own.
            [
                (super::GONE, super::parse_gone as mi_engine::spec::ParseMediator),
                (&super::JAVA[1..], super::parse_java),
                (super::MISSING, super::parse_missing),
            ]
        {
            let tags = super::TABLE.iter().filter(|it| std::ptr::fn_addr_eq(it.parse, parse)).map(|it| it.tag);
            assert_eq!(tags.collect::<Vec<_>>().len(), table.len());
        }
    }

    #[test]
    fn no_tag_stands_in_both_tables() {
        for spec in super::TABLE {
            assert!(!super::super::TABLE.iter().any(|real| real.tag == spec.tag), "{}", spec.tag);
        }
    }
}
