//! Secrets are taken out of configuration before it is shown. MI: `DataSourceUtils#elementToStringWithMaskedPasswords`.

use std::sync::LazyLock;

use regex::Regex;

const MASK: &str = "*****";

static PATTERNS: LazyLock<[Regex; 5]> = LazyLock::new(|| {
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
        // ?password=…, as in addresses of databases
        compile(format!(r#"(?i)([?&;][\w.-]*{secret}=)[^&;\s"'<>]*()"#)),
        // user:password@host
        compile(r#"(://[^/\s:@"'<>]+:)[^@/\s"'<>]+(@)"#.to_owned()),
    ]
});

/// A step that is a class, from its opening tag to its end; one that has no content does not count.
static CLASSES: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r#"(?s)<(?:[\w.-]+:)?(?:class|pojoCommand)(?:\s(?:[^<>"'/]|"[^"]*"|'[^']*')*)?>.*?</(?:[\w.-]+:)?(?:class|pojoCommand)\s*>"#;
    Regex::new(pattern).expect("the pattern is constant")
});

/// Options of a class with names as of `is_secret_option`: the value behind the name, before it, and as content.
static OPTIONS: LazyLock<[Regex; 3]> = LazyLock::new(|| {
    let between = r#"(?:[^<>"']|"[^"]*"|'[^']*')*?"#;
    let part = "(?:password|secret|token|key)";
    let name = format!(r#"\sname\s*=\s*(?:"[^"<]*?{part}[^"<]*"|'[^'<]*?{part}[^'<]*')"#);
    let value = r#"(?:"[^"]*"|'[^']*')"#;
    let open = format!(r"<(?:[\w.-]+:)?property\b{between}");
    let compile = |pattern: String| Regex::new(&pattern).expect("the pattern is constant");
    [
        compile(format!(r"(?si)({open}{name}{between}\svalue\s*=\s*){value}()")),
        compile(format!(r"(?si)({open}\svalue\s*=\s*){value}({between}{name})")),
        compile(format!(r#"(?si)({open}{name}(?:[^<>"'/]|"[^"]*"|'[^']*')*>)[^<].*?(</(?:[\w.-]+:)?property)"#)),
    ]
});

/// A class without the values of its secret options. Nobody knows what the options of a class mean, so their names decide.
fn mask_options(class: &str) -> String {
    let [behind, before, content] = &*OPTIONS;
    let quoted = format!("${{1}}\"{MASK}\"${{2}}");
    let masked = behind.replace_all(class, &quoted);
    let masked = before.replace_all(&masked, &quoted);
    content.replace_all(&masked, format!("${{1}}{MASK}${{2}}")).into_owned()
}

/// The text with `*****` in place of passwords, and of the secret options of classes.
pub(crate) fn mask(text: &str) -> String {
    let mut masked = CLASSES.replace_all(text, |class: &regex::Captures| mask_options(&class[0])).into_owned();
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
            (
                "<url>jdbc:x://h/d?user=u&amp;password=p;q&amp;a=b</url>",
                "<url>jdbc:x://h/d?user=u&amp;password=*****;q&amp;a=b</url>",
            ),
            ("jdbc:x://h/d?password=p&a=b", "jdbc:x://h/d?password=*****&a=b"),
            ("<log><property name='a' value='b'/></log>", "<log><property name='a' value='b'/></log>"),
            (
                r#"<class name="a.B"><property name="apiToken" value="a>b"/><property name="level" value="x"/></class>"#,
                r#"<class name="a.B"><property name="apiToken" value="*****"/><property name="level" value="x"/></class>"#,
            ),
            (
                "<s:class name='B'>\n<s:property value='x' name='secretKey'/><s:property name='k.key'>x</s:property></s:class>",
                "<s:class name='B'>\n<s:property value=\"*****\" name='secretKey'/><s:property name='k.key'>*****</s:property></s:class>",
            ),
            (
                "<a><class name='B'/><property name='token' value='x'/><class name='C'><property name='a' value='b'/></class></a>",
                "<a><class name='B'/><property name='token' value='x'/><class name='C'><property name='a' value='b'/></class></a>",
            ),
            ("<passwordPolicy2>x</passwordPolicy2>", "<passwordPolicy2>x</passwordPolicy2>"),
        ] {
            assert_eq!(mask(text), shown);
        }
    }
}
