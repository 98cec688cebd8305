//! Rules on the text of single files: length, module documentation, reachability, component tables, words that must not be left.

use std::path::Path;

/// Lines of a Rust file before its inline test module.
const MAX_LINES: usize = 600;

/// Words that stand for work not done. Written in halves so that this file does not find itself.
const UNFINISHED: &[&str] =
    &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimpl", "emented!(")];

/// Folders of one person's machine, which mean nothing to anybody else.
const MACHINE_PATHS: &[&str] =
    &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/Us", "ers/"), concat!("/tmp/", "ref/")];

/// What hides a failing test instead of showing it.
const TEST_CRUTCHES: &[&str] =
    &[concat!("#[ig", "nore"), concat!("thread::", "sleep("), concat!("time::", "sleep(Duration::")];

/// A comment above a sleep that stands for something real, such as a slow peer.
const REAL_TIME: &str = "// Real time:";

/// Crates that only compute. What reaches outside is handed to them by the engine.
const PURE_CRATES: &[&str] = &["mi-xml", "mi-message", "mi-expr"];
const OUTSIDE: &[&str] =
    &["std::fs", "std::net", "std::process", "tokio::", "SystemTime::now", "Instant::now", "Utc::now", "Local::now"];

/// A text file of the checkout: path relative to the root, content.
type File = (String, String);

/// What is wrong with the files, one `path:line: …` each.
pub(super) fn check(files: &[File]) -> Vec<String> {
    let mut findings = Vec::new();
    for file in files {
        machine_paths(file, &mut findings);
        if is_rust(&file.0) {
            shape(file, &mut findings);
            words(file, &mut findings);
            purity(file, &mut findings);
            reachable(file, files, &mut findings);
            listed(file, files, &mut findings);
        }
    }
    findings
}

fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|it| it == "rs")
}

/// Files that hold nothing but tests or test support.
fn is_test_file(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.ends_with("_tests.rs")
}

/// The lines before the inline test module; all of them when there is none. Test files have no product part.
fn product_part(path: &str, text: &str) -> usize {
    if is_test_file(path) {
        return 0;
    }
    let lines: Vec<&str> = text.lines().collect();
    let starts_tests =
        |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{');
    lines.windows(2).position(starts_tests).unwrap_or(lines.len())
}

fn shape((path, text): &File, findings: &mut Vec<String>) {
    let lines = product_part(path, text);
    if lines > MAX_LINES {
        findings.push(format!("{path}: {lines} lines without its tests; {MAX_LINES} is the limit"));
    }
    // A test module in a file of its own says no more than `mod tests` does.
    if !text.starts_with("//!") && !path.ends_with("/tests.rs") {
        findings.push(format!("{path}:1: does not begin with `//!`: what it is, and what is deliberately elsewhere"));
    }
}

fn words((path, text): &File, findings: &mut Vec<String>) {
    let product = product_part(path, text);
    // On tokio's paused clock a sleep takes no time and always ends in the same order.
    let virtual_time = text.contains("start_paused") || path.ends_with("/testing.rs");
    let mut explained = false;
    for (number, line) in text.lines().enumerate() {
        let excused = virtual_time || explained;
        explained = line.trim_start().starts_with(REAL_TIME);
        for word in UNFINISHED.iter().filter(|it| line.contains(**it)) {
            findings.push(format!("{path}:{}: `{word}`: finish it, or describe the gap in README.md", number + 1));
        }
        if number >= product {
            let crutches = TEST_CRUTCHES.iter().filter(|it| line.contains(**it) && !(excused && it.contains("time::")));
            for crutch in crutches {
                findings.push(format!(
                    "{path}:{}: `{crutch}…` in a test: wait for the event, use the paused clock",
                    number + 1
                ));
            }
        }
    }
}

fn machine_paths((path, text): &File, findings: &mut Vec<String>) {
    for (number, line) in text.lines().enumerate() {
        for machine in MACHINE_PATHS {
            // `/x/` behind a name is a folder of that name and not the root of a machine.
            let absolute = |at: usize| {
                at == 0
                    || !line.as_bytes()[at - 1].is_ascii_alphanumeric() && !b"._-}".contains(&line.as_bytes()[at - 1])
            };
            if line.match_indices(machine).any(|(at, _)| absolute(at)) {
                findings.push(format!("{path}:{}: names a folder of one machine (`{machine}`)", number + 1));
            }
        }
    }
}

fn purity((path, text): &File, findings: &mut Vec<String>) {
    if !PURE_CRATES.iter().any(|it| path.starts_with(&format!("crates/{it}/src/"))) {
        return;
    }
    for (number, line) in text.lines().enumerate().take(product_part(path, text)) {
        let code = line.trim_start();
        for name in OUTSIDE.iter().filter(|it| !code.starts_with("//") && code.contains(**it)) {
            findings.push(format!("{path}:{}: `{name}`: this crate opens nothing and reads no clock", number + 1));
        }
    }
}

/// rustc ignores a file that no `mod` names, and so would every test in it.
fn reachable((path, _): &File, files: &[File], findings: &mut Vec<String>) {
    let Some((folder, name)) = path.rsplit_once('/') else { return };
    if !folder.contains("/src") || folder.ends_with("/bin") || matches!(name, "lib.rs" | "main.rs") {
        return;
    }
    let (parent, module) = match name {
        "mod.rs" => folder.rsplit_once('/').unwrap_or((folder, "")),
        _ => (folder, name.trim_end_matches(".rs")),
    };
    let named = |text: &str| {
        text.lines().map(str::trim).any(|line| {
            let line = line.split_once("//").map_or(line, |(code, _)| code).trim_end();
            line == format!("mod {module};") || (line.starts_with("pub") && line.ends_with(&format!(" mod {module};")))
        })
    };
    let parents =
        [format!("{parent}/mod.rs"), format!("{parent}/lib.rs"), format!("{parent}/main.rs"), format!("{parent}.rs")];
    if !files.iter().any(|(path, text)| parents.contains(path) && named(text)) {
        findings.push(format!("{path}: no `mod {module};` names it, so it is never compiled"));
    }
}

/// A component that its folder's table does not list exists for nobody.
fn listed((path, text): &File, files: &[File], findings: &mut Vec<String>) {
    let Some((folder, name)) = path.rsplit_once('/') else { return };
    let spec = |line: &str| line.starts_with("pub") && (line.contains(" const SPEC") || line.contains(" static SPEC"));
    if !folder.starts_with("crates/") || name == "mod.rs" || name == "lib.rs" || !text.lines().any(spec) {
        return;
    }
    let module = name.trim_end_matches(".rs");
    let tables = [format!("{folder}/mod.rs"), format!("{folder}/lib.rs")];
    let used = format!("{module}::");
    if !files.iter().any(|(path, text)| tables.contains(path) && text.contains(&used)) {
        findings.push(format!("{path}: has a SPEC that the table in {folder}/mod.rs does not list"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks files as `(path, content)`; `expected` is a part of each finding, in order.
    #[track_caller]
    fn check_files(files: &[(&str, &str)], expected: &[&str]) {
        let files: Vec<File> = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        let findings = check(&files);
        assert_eq!(findings.len(), expected.len(), "{findings:#?}");
        for (finding, part) in findings.iter().zip(expected) {
            assert!(finding.contains(part), "{finding} lacks {part}");
        }
    }

    const LIB: (&str, &str) = ("crates/mi-a/src/lib.rs", "//! A.\nmod b;\npub(crate) mod c; // why\n");

    #[test]
    fn modules_say_what_they_are_and_are_compiled() {
        check_files(&[LIB, ("crates/mi-a/src/b.rs", "//! B.\n"), ("crates/mi-a/src/c/mod.rs", "//! C.\n")], &[]);
        check_files(&[LIB, ("crates/mi-a/src/b.rs", "fn f() {}\n")], &["b.rs:1: does not begin"]);
        check_files(&[LIB, ("crates/mi-a/src/d.rs", "//! D.\n")], &["no `mod d;`"]);
        check_files(
            &[LIB, ("crates/mi-a/src/bin/tool.rs", "//! A binary.\n"), ("crates/mi-a/build.rs", "//! B.\n")],
            &[],
        );
    }

    #[test]
    fn length_counts_without_tests() {
        let long = format!("//! Long.\n{}", "fn f() {}\n".repeat(MAX_LINES));
        check_files(&[("crates/mi-a/src/lib.rs", &long)], &["601 lines"]);
        let tested = format!("//! Short.\n#[cfg(test)]\nmod tests {{\n{}}}\n", "fn f() {}\n".repeat(MAX_LINES));
        check_files(&[("crates/mi-a/src/lib.rs", &tested)], &[]);
        let fooled = format!("//! Long.\n#[cfg(test)]\nuse std::fmt;\n{}", "fn f() {}\n".repeat(MAX_LINES));
        check_files(&[("crates/mi-a/src/lib.rs", &fooled)], &["603 lines"]);
    }

    #[test]
    fn nothing_unfinished_and_nothing_of_one_machine() {
        let left = format!("//! A.\n// {} later\n", UNFINISHED[0]);
        check_files(&[("crates/mi-a/src/lib.rs", &left)], &["lib.rs:2"]);
        let path = format!("see {}x\n", MACHINE_PATHS[0]);
        check_files(&[("docs/a.md", &path)], &["docs/a.md:1: names a folder"]);
        check_files(&[("docs/a.md", &format!("the target{}x\n", MACHINE_PATHS[0]))], &[]);
    }

    #[test]
    fn tests_neither_sleep_nor_hide() {
        let test = format!("//! A.\n#[cfg(test)]\nmod tests {{\n    {}]\n}}\n", TEST_CRUTCHES[0]);
        check_files(&[("crates/mi-a/src/lib.rs", &test)], &["lib.rs:4"]);
        let product = format!("//! A.\nfn f() {{ {}) }}\n", TEST_CRUTCHES[1]);
        check_files(&[("crates/mi-a/src/lib.rs", &product)], &[]);
        check_files(&[("crates/mi-a/tests/whole.rs", &product)], &["whole.rs:2"]);
        let slept = format!("//! A.\nfn f() {{ {}1)) }}\n", TEST_CRUTCHES[2]);
        check_files(&[("crates/mi-a/tests/slow.rs", &slept)], &["slow.rs:2"]);
        check_files(&[("crates/mi-a/tests/paused.rs", &format!("{slept}// start_paused\n"))], &[]);
        let explained = slept.replace("fn f", &format!("{REAL_TIME} a slow peer.\nfn f"));
        check_files(&[("crates/mi-a/tests/slow.rs", &explained)], &[]);
    }

    #[test]
    fn pure_crates_reach_nothing() {
        check_files(
            &[("crates/mi-xml/src/lib.rs", "//! A.\n// std::fs is elsewhere\nuse std::fs;\n")],
            &["lib.rs:3: `std::fs`"],
        );
        check_files(&[("crates/mi-engine/src/lib.rs", "//! A.\nuse std::fs;\n")], &[]);
        check_files(&[("crates/mi-xml/src/lib.rs", "//! A.\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n")], &[]);
    }

    #[test]
    fn every_component_is_in_its_table() {
        let drop = ("crates/mi-c/src/m/drop.rs", "//! D.\npub(super) const SPEC: u8 = 1;\n");
        let lib = ("crates/mi-c/src/lib.rs", "//! C.\nmod m;\n");
        check_files(
            &[lib, ("crates/mi-c/src/m/mod.rs", "//! M.\nmod drop;\nconst ALL: &[u8] = &[drop::SPEC];\n"), drop],
            &[],
        );
        check_files(&[lib, ("crates/mi-c/src/m/mod.rs", "//! M.\nmod drop;\n"), drop], &["does not list"]);
    }
}
