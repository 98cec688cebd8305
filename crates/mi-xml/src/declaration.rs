//! The grammar of the XML declaration.

use crate::scanner::is_space;

/// Whether `inside` (what stands between `<?xml` and `?>`) follows the grammar of the XML declaration.
pub(crate) fn is_declaration(inside: &str) -> bool {
    let Some((version, rest)) = pseudo_attribute(inside, "version") else { return false };
    let is_version = version
        .strip_prefix("1.")
        .is_some_and(|minor| !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit()));
    let (encoding, rest) = pseudo_attribute(rest, "encoding").unwrap_or(("UTF-8", rest));
    let is_encoding = encoding.starts_with(|c: char| c.is_ascii_alphabetic())
        && encoding.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    let (standalone, rest) = pseudo_attribute(rest, "standalone").unwrap_or(("no", rest));
    is_version && is_encoding && matches!(standalone, "yes" | "no") && rest.bytes().all(is_space)
}

/// The value of ` name="value"` at the start of `text`, and what follows it.
fn pseudo_attribute<'t>(text: &'t str, name: &str) -> Option<(&'t str, &'t str)> {
    let spaces = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
    let trimmed = text.trim_start_matches(spaces);
    if trimmed.len() == text.len() {
        return None;
    }
    let value = trimmed.strip_prefix(name)?.trim_start_matches(spaces).strip_prefix('=')?.trim_start_matches(spaces);
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    value[1..].split_once(quote)
}
