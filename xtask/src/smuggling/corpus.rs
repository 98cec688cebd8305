//! The corpus: one case a line, `NAME VERDICT BYTES`. Lines that begin with `#` are for people.

use std::path::Path;

use anyhow::{Context, Result, bail};

/// What our server must do with a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The status of the first answer; 0 when there is none.
    pub(super) status: u16,
    /// Complete requests that reach the back end, the one behind the case among them.
    pub(super) forwarded: usize,
}

#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) verdict: Verdict,
    pub(super) bytes: Vec<u8>,
}

pub(super) fn load(path: &Path) -> Result<Vec<Case>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, it)| !it.is_empty() && !it.starts_with('#')) {
        let case = parse(line).with_context(|| format!("{}:{}", path.display(), number + 1))?;
        if cases.iter().any(|it| it.name == case.name) {
            bail!("{}:{}: a second case `{}`", path.display(), number + 1, case.name);
        }
        cases.push(case);
    }
    Ok(cases)
}

fn parse(line: &str) -> Result<Case> {
    let mut words = line.splitn(3, ' ');
    let (Some(name), Some(verdict), Some(bytes)) = (words.next(), words.next(), words.next()) else {
        bail!("a case is NAME VERDICT BYTES");
    };
    let (status, forwarded) = verdict.split_once('/').unwrap_or((verdict, "0"));
    let status = if status == "none" { 0 } else { status.parse().context("no status in the verdict")? };
    let verdict = Verdict { status, forwarded: forwarded.parse().context("no number in the verdict")? };
    Ok(Case { name: name.to_owned(), verdict, bytes: unescape(bytes)? })
}

/// `\r`, `\n`, `\t`, `\0`, `\\` and `\xNN`.
fn unescape(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let (byte, behind) = match rest {
            [b'r', behind @ ..] => (b'\r', behind),
            [b'n', behind @ ..] => (b'\n', behind),
            [b't', behind @ ..] => (b'\t', behind),
            [b'0', behind @ ..] => (0, behind),
            [b'\\', behind @ ..] => (b'\\', behind),
            [b'x', high, low, behind @ ..] => {
                let digits = [*high, *low];
                (u8::from_str_radix(std::str::from_utf8(&digits)?, 16).context("\\x needs two digits")?, behind)
            }
            _ => bail!("an escape that is none"),
        };
        bytes.push(byte);
        rest = behind;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let case = parse(r"a-name 400 GET /\x00\xfF \\\t\0 HTTP/1.1\r\n\r\n").unwrap();
        assert_eq!((case.name.as_str(), case.verdict), ("a-name", Verdict { status: 400, forwarded: 0 }));
        assert_eq!(case.bytes, b"GET /\0\xff \\\t\0 HTTP/1.1\r\n\r\n");
        assert_eq!(parse("a none/1 x").unwrap().verdict, Verdict { status: 0, forwarded: 1 });
        for bad in ["a 400", "a x b", "a 200/x b", r"a 200 \q", r"a 200 \x4", r"a 200 \xgg"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_corpus_can_be_read() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let cases = load(&root.join(super::super::CORPUS)).unwrap();
        assert!(cases.len() >= 120, "{}", cases.len());
    }
}
