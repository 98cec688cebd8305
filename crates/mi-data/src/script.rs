//! Cuts SQL into statements and counts their `?`, past texts, quoted names and comments.

/// What differs between databases in how SQL is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `$tag$…$tag$`, `E'\''`, nested comments; parameters are `$1`, and `??` is a question mark.
    Postgres,
    /// Backslashes, `` `name` ``, `#` comments; parameters are `?`.
    MySql,
}

/// One statement, with the marks for parameters that its database reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) sql: String,
    pub(crate) params: usize,
}

/// The statements of a script, without empty ones.
pub(crate) fn parts(script: &str, dialect: Dialect) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut part = Part::default();
    let mut rest = script;
    while let Some(first) = rest.chars().next() {
        let quoted = quoted(rest, &part.sql, dialect);
        if quoted > 0 {
            part.sql.push_str(&rest[..quoted]);
            rest = &rest[quoted..];
            continue;
        }
        rest = &rest[first.len_utf8()..];
        match (first, dialect) {
            (';', _) => parts.push(std::mem::take(&mut part)),
            ('?', Dialect::Postgres) if rest.starts_with('?') => {
                part.sql.push('?');
                rest = &rest[1..];
            }
            ('?', Dialect::Postgres) => {
                part.params += 1;
                part.sql.push_str(&format!("${}", part.params));
            }
            ('?', Dialect::MySql) => {
                part.params += 1;
                part.sql.push('?');
            }
            (other, _) => part.sql.push(other),
        }
    }
    parts.push(part);
    parts.retain(|part| !part.sql.trim().is_empty());
    parts
}

/// The length of the text, name or comment that `rest` begins with; 0 for none.
fn quoted(rest: &str, before: &str, dialect: Dialect) -> usize {
    let bytes = rest.as_bytes();
    match (bytes[0], dialect) {
        (b'\'', Dialect::Postgres) => {
            let mut last = before.chars().rev();
            // E'…' has backslashes, and the E is no end of a name.
            let escapes = matches!(last.next(), Some('e' | 'E')) && !last.next().is_some_and(char::is_alphanumeric);
            string(bytes, escapes)
        }
        (b'\'' | b'"', Dialect::MySql) => string(bytes, true),
        (b'"', Dialect::Postgres) | (b'`', Dialect::MySql) => string(bytes, false),
        (b'-', _) if bytes.get(1) == Some(&b'-') => line(rest),
        (b'#', Dialect::MySql) => line(rest),
        (b'/', _) if bytes.get(1) == Some(&b'*') => comment(bytes, dialect),
        (b'$', Dialect::Postgres) => dollars(rest, before),
        _ => 0,
    }
}

/// A text up to its closing quote; a doubled one belongs to it.
fn string(bytes: &[u8], escapes: bool) -> usize {
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        at += match *byte {
            b'\\' if escapes => 2,
            byte if byte == bytes[0] && bytes.get(at + 1) == Some(&byte) => 2,
            byte if byte == bytes[0] => return at + 1,
            _ => 1,
        };
    }
    bytes.len()
}

fn line(rest: &str) -> usize {
    rest.find('\n').map_or(rest.len(), |end| end + 1)
}

fn comment(bytes: &[u8], dialect: Dialect) -> usize {
    let (mut depth, mut at) = (1, 2);
    while let Some(pair) = bytes.get(at..at + 2) {
        match pair {
            b"*/" => depth -= 1,
            b"/*" if dialect == Dialect::Postgres => depth += 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

/// `$tag$ … $tag$`; `$1` and the end of a name are none.
fn dollars(rest: &str, before: &str) -> usize {
    if before.ends_with(|it: char| it.is_alphanumeric() || it == '_') {
        return 0;
    }
    let Some(end) = rest[1..].find('$') else { return 0 };
    let tag = &rest[..end + 2];
    let name = &tag[1..tag.len() - 1];
    let is_tag =
        name.chars().all(|it| it.is_alphanumeric() || it == '_') && !name.starts_with(|it: char| it.is_ascii_digit());
    if !is_tag {
        return 0;
    }
    rest[tag.len()..].find(tag).map_or(rest.len(), |end| tag.len() + end + tag.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(dialect: Dialect, script: &str, expected: &[(&str, usize)]) {
        let found = parts(script, dialect);
        let found: Vec<(&str, usize)> = found.iter().map(|it| (it.sql.trim(), it.params)).collect();
        assert_eq!(found, expected, "{script}");
    }

    #[test]
    fn statements_and_parameters() {
        let pg = |script: &str, expected: &[(&str, usize)]| check(Dialect::Postgres, script, expected);
        pg("select ?, ?; select ?;", &[("select $1, $2", 2), ("select $1", 1)]);
        pg("select ';?''?', \"a?\" from b", &[("select ';?''?', \"a?\" from b", 0)]);
        pg("select 'a\\'; select 1", &[("select 'a\\'", 0), ("select 1", 0)]);
        pg("select E'\\';?'; select ?", &[("select E'\\';?'", 0), ("select $1", 1)]);
        pg("-- a?;\nselect 1 /* ; /* ? */ ; */", &[("-- a?;\nselect 1 /* ; /* ? */ ; */", 0)]);
        pg("do $x$ begin; ? end $x$; select ?", &[("do $x$ begin; ? end $x$", 0), ("select $1", 1)]);
        pg("select a ?? 'b', $1", &[("select a ? 'b', $1", 0)]);
        pg(" ; ", &[]);
        let my = |script: &str, expected: &[(&str, usize)]| check(Dialect::MySql, script, expected);
        my("select 'it\\'s ?', `a?` # ?\n, ?", &[("select 'it\\'s ?', `a?` # ?\n, ?", 1)]);
        my("select \"?\"; select 'ä?", &[("select \"?\"", 0), ("select 'ä?", 0)]);
    }
}
