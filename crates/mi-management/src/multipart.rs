//! `multipart/form-data` as far as uploads need it: whole parts out of a body that is in memory already.

use bytes::Bytes;
use memchr::memmem;

/// Parts of one request; more are refused.
const MAX_PARTS: usize = 16;

/// One part.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// `name`
    pub(crate) name: String,
    /// `filename`
    pub(crate) filename: Option<String>,
    /// Content.
    pub(crate) body: Bytes,
}

/// The parts of a body. `None` when the content type has no boundary or the body is malformed.
pub(crate) fn parts(content_type: &str, body: &Bytes) -> Option<Vec<Part>> {
    let boundary = parameter(content_type, "boundary").filter(|it| !it.is_empty() && it.len() <= 70)?;
    let delimiter = format!("--{boundary}");
    let mut starts = delimiters(body, delimiter.as_bytes());
    let mut parts = Vec::new();
    let mut from = starts.next()? + delimiter.len();
    for next in starts {
        if parts.len() >= MAX_PARTS {
            return None;
        }
        parts.push(part(body, from, next)?);
        from = next + delimiter.len();
    }
    body.get(from..)?.starts_with(b"--").then_some(parts)
}

/// Where the delimiter stands at the beginning of a line.
fn delimiters<'b>(body: &'b [u8], delimiter: &'b [u8]) -> impl Iterator<Item = usize> + 'b {
    memmem::find_iter(body, delimiter).filter(|at| *at == 0 || body[*at - 1] == b'\n')
}

fn part(body: &Bytes, from: usize, next: usize) -> Option<Part> {
    let raw = &body[from..next];
    let line_end = memchr::memchr(b'\n', raw)?;
    let (head_end, separator) = [(&b"\r\n\r\n"[..], 4), (&b"\n\n"[..], 2)]
        .into_iter()
        .filter_map(|(blank, length)| Some((memmem::find(raw, blank)?, length)))
        .min()?;
    let head = String::from_utf8_lossy(raw.get(line_end + 1..head_end.max(line_end + 1))?);
    let disposition = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then(|| value.trim().to_owned())
    })?;
    let begin = head_end + separator;
    let mut end = raw.len();
    // The line break in front of a delimiter belongs to the delimiter.
    if end > begin && raw[end - 1] == b'\n' {
        end -= 1;
        if end > begin && raw[end - 1] == b'\r' {
            end -= 1;
        }
    }
    Some(Part {
        name: parameter(&disposition, "name")?,
        filename: parameter(&disposition, "filename"),
        body: body.slice(from + begin.min(end)..from + end),
    })
}

/// A parameter of a header value, without its quotes.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    value.split(';').skip(1).find_map(|item| {
        let (name, value) = item.split_once('=')?;
        name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies() {
        let check = |body: &'static str, expected: Option<&[(&str, Option<&str>, &str)]>| {
            let found = parts("multipart/form-data; boundary=B", &Bytes::from_static(body.as_bytes()));
            let found = found.map(|parts| {
                let shown = |it: Part| (it.name, it.filename, String::from_utf8_lossy(&it.body).into_owned());
                parts.into_iter().map(shown).collect::<Vec<_>>()
            });
            let expected = expected.map(|parts| {
                let owned =
                    |it: &(&str, Option<&str>, &str)| (it.0.to_owned(), it.1.map(str::to_owned), it.2.to_owned());
                parts.iter().map(owned).collect::<Vec<_>>()
            });
            assert_eq!(found, expected, "{body}");
        };
        check(
            "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.car\"\r\n\r\nx\n--Bogus\r\n\r\n--B--\r\n",
            None,
        );
        check(
            "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.car\"\r\n\r\nx -- y\r\n\r\n--B--\r\n",
            Some(&[("file", Some("a.car"), "x -- y\r\n")]),
        );
        check("--B\nContent-Disposition: form-data; name=file\n\nx\n--B--", Some(&[("file", None, "x")]));
        check("--B\nContent-Disposition: form-data; name=file\n\n--B--", Some(&[("file", None, "")]));
        check("--B--", Some(&[]));
        check("--B\nContent-Disposition: form-data; name=file\n\nx", None);
        check("", None);
        assert_eq!(parts("multipart/form-data", &Bytes::new()), None);
    }
}
