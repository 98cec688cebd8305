//! The table of `docs/hardening.md` names tests; each must be there, so that the table cannot outlive them.

const TABLE: &str = "docs/hardening.md";

/// Names in the third column of the tables that no function has.
pub(super) fn check(files: &[(String, String)]) -> Vec<String> {
    let Some((_, table)) = files.iter().find(|(path, _)| path == TABLE) else {
        return vec![format!("{TABLE} is absent")];
    };
    let sources: Vec<&str> = files
        .iter()
        .filter(|(path, _)| std::path::Path::new(path).extension().is_some_and(|it| it == "rs"))
        .map(|(_, text)| text.as_str())
        .collect();
    let exists = |name: &str| sources.iter().any(|text| text.contains(&format!("fn {name}(")));
    let rows = table.lines().enumerate().filter(|(_, line)| line.starts_with("| "));
    rows.flat_map(|(number, line)| named(line).into_iter().map(move |name| (number + 1, name)))
        .filter(|(_, name)| !exists(name))
        .map(|(number, name)| format!("{TABLE}:{number}: there is no test `{name}`"))
        .collect()
}

/// What stands in backquotes in the last column and is spelled like a function; a target of the fuzz targets is none.
fn named(row: &str) -> Vec<&str> {
    let Some(last) = row.trim_end_matches(['|', ' ']).split(" | ").nth(2) else { return Vec::new() };
    let mut names = Vec::new();
    for (index, part) in last.split('`').enumerate() {
        let before = last.split('`').nth(index.wrapping_sub(1)).unwrap_or_default();
        let is_name = part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if index % 2 == 1 && is_name && !before.ends_with("target ") {
            names.push(part);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_must_be_there() {
        let table = "| a | b | shown by |\n| x | y `not_me` | `one_test`, `two_test`, `cargo xtask crash`, target `xml` of the fuzz targets |\n";
        let files = [(TABLE.to_owned(), table.to_owned()), ("a.rs".to_owned(), "fn one_test() {}".to_owned())];
        assert_eq!(check(&files), ["docs/hardening.md:2: there is no test `two_test`"]);
        assert_eq!(check(&files[1..]), ["docs/hardening.md is absent"]);
    }
}
