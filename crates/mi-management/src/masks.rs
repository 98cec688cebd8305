//! Secrets are taken out of configuration before it is shown. MI: `DataSourceUtils#elementToStringWithMaskedPasswords`.

use std::sync::LazyLock;

use regex::Regex;

const MASK: &str = "*****";

static PATTERNS: LazyLock<[Regex; 4]> = LazyLock::new(|| {
    let secret = r"(?:password|passwd|clientSecret|refreshToken|secretKey)";
    let text = r"(?:[^<]|<!\[CDATA\[.*?\]\]>)*";
    let compile = |pattern: String| Regex::new(&pattern).expect("the pattern is constant");
    [
        // <password>, <ns:basicPassword>
        compile(format!(r"(?si)(<(?:[\w.-]+:)?[\w.-]*{secret}(?:\s[^<>]*)?>){text}(</)")),
        // <parameter name="store.jdbc.password">, <property name="password">
        compile(format!(r#"(?si)(<(?:[\w.-]+:)?[\w.-]+\s[^<>]*name=["'][^"'<>]*{secret}["'][^<>/]*>){text}(</)"#)),
        // password="…"
        compile(format!(r#"(?i)(\b[\w.-]*{secret}=["'])[^"'<>]*(["'])"#)),
        // user:password@host
        compile(r#"(://[^/\s:@"'<>]+:)[^@/\s"'<>]+(@)"#.to_owned()),
    ]
});

/// The text with `*****` in place of passwords.
pub(crate) fn mask(text: &str) -> String {
    let mut masked = text.to_owned();
    for pattern in PATTERNS.iter() {
        if let std::borrow::Cow::Owned(changed) = pattern.replace_all(&masked, format!("${{1}}{MASK}${{2}}")) {
            masked = changed;
        }
    }
    masked
}

/// Is this the name of a setting that is not shown?
pub(crate) fn is_secret(name: &str) -> bool {
    name.to_ascii_lowercase().contains("password")
}

/// Is this the name of an option of a class whose value is not shown? Nobody knows what the options of a class mean.
pub(crate) fn is_secret_option(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ["password", "secret", "token", "key"].iter().any(|part| lower.contains(part))
}

/// The mask itself.
pub(crate) fn masked() -> &'static str {
    MASK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_show() {
        for (text, shown) in [
            ("<a><password>x</password></a>", "<a><password>*****</password></a>"),
            ("<n:Password k='v'><![CDATA[<x>]]></n:Password>", "<n:Password k='v'>*****</n:Password>"),
            (
                r#"<parameter name="store.jdbc.password">x</parameter>"#,
                r#"<parameter name="store.jdbc.password">*****</parameter>"#,
            ),
            (r#"<x password="y" user="z"/>"#, r#"<x password="*****" user="z"/>"#),
            ("<url>http://u:p@h/x</url>", "<url>http://u:*****@h/x</url>"),
            ("<log><property name='a' value='b'/></log>", "<log><property name='a' value='b'/></log>"),
            ("<passwordPolicy2>x</passwordPolicy2>", "<passwordPolicy2>x</passwordPolicy2>"),
        ] {
            assert_eq!(mask(text), shown);
        }
    }
}
