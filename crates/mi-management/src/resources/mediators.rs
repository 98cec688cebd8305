//! Names of mediators as MI shows them: the simple names of its classes.

use mi_config::Element;

/// Elements whose class is not called after them.
const CLASSES: &[(&str, &str)] = &[
    ("call-template", "InvokeMediator"),
    ("conditionalRouter", "ConditionalRouterMediator"),
    ("dblookup", "DBLookupMediator"),
    ("dbreport", "DBReportMediator"),
    ("foreach", "ForEachMediator"),
    ("jsontransform", "JSONTransformMediator"),
    ("loopback", "LoopBackMediator"),
    ("makefault", "FaultMediator"),
    ("faultHandler", "FaultMediator"),
    ("NTLM", "NTLMMediator"),
    ("pojoCommand", "POJOCommandMediator"),
    ("rewrite", "URLRewriteMediator"),
    ("scatter-gather", "ScatterGather"),
    ("store", "MessageStoreMediator"),
    ("throwError", "ThrowError"),
    ("xslt", "XSLTMediator"),
    ("datamapper", "DataMapperMediator"),
    ("fastXSLT", "FastXSLTMediator"),
    ("oauthService", "OAuthMediator"),
    ("publishEvent", "PublishEventMediator"),
];

/// The mediators directly inside of an element.
pub(super) fn classes(element: &Element) -> Vec<String> {
    let shown = element.children().filter(|child| !(child.name() == "description" && child.is_synapse()));
    shown.map(|child| class(child.name())).collect()
}

fn class(name: &str) -> String {
    if let Some((_, class)) = CLASSES.iter().find(|(known, _)| *known == name) {
        return (*class).to_owned();
    }
    // Operations of connectors call a template.
    if name.contains('.') {
        return "InvokeMediator".to_owned();
    }
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    format!("{}{}Mediator", first.map(String::from).unwrap_or_default(), letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (element, expected) in [
            ("send", "SendMediator"),
            ("payloadFactory", "PayloadFactoryMediator"),
            ("xslt", "XSLTMediator"),
            ("http.get", "InvokeMediator"),
            ("", "Mediator"),
        ] {
            assert_eq!(class(element), expected);
        }
    }
}
