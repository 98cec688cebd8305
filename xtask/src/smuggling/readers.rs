//! Readers of different habits: how servers of all kinds might read the bytes that a front sent them.
//!
//! None of them refuses anything. A front is safe when all of them see the same requests in what it forwards.

/// Where a line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    CrLf,
    /// A line feed is enough.
    Lf,
    /// A carriage return is enough, too.
    Any,
}

/// Which `Transfer-Encoding` means chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    /// The last coding of the list is `chunked`.
    Last,
    /// The value is `chunked` and nothing else, spelled like that.
    Exact,
    /// `chunked` stands somewhere, behind whatever name that looks like the field.
    Somewhere,
    /// Never in HTTP/1.0.
    NotIn10,
}

/// Which of several lengths, or of several hosts, counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    First,
    Last,
}

/// What a reader is like.
#[derive(Debug)]
pub(super) struct Habit {
    pub(super) name: &'static str,
    line: Line,
    coding: Coding,
    length: Which,
    /// A length counts, whatever coding is named beside it.
    length_wins: bool,
    host: Which,
    /// The authority in the target counts more than `Host`.
    target_host: bool,
    /// `Upgrade` and `CONNECT` end HTTP on the connection.
    upgrades: bool,
}

const PLAIN: Habit = Habit {
    name: "coding wins",
    line: Line::CrLf,
    coding: Coding::Last,
    length: Which::First,
    length_wins: false,
    host: Which::First,
    target_host: true,
    upgrades: false,
};

pub(super) const HABITS: &[Habit] = &[
    PLAIN,
    Habit { name: "length wins", length_wins: true, ..PLAIN },
    Habit { name: "only exact chunked", coding: Coding::Exact, ..PLAIN },
    Habit { name: "chunked somewhere", coding: Coding::Somewhere, ..PLAIN },
    Habit { name: "no chunks in 1.0", coding: Coding::NotIn10, ..PLAIN },
    Habit { name: "line feed ends lines", line: Line::Lf, ..PLAIN },
    Habit { name: "carriage return ends lines", line: Line::Any, ..PLAIN },
    Habit { name: "last length", length: Which::Last, ..PLAIN },
    Habit { name: "host field wins", target_host: false, ..PLAIN },
    Habit { name: "last host", host: Which::Last, target_host: false, ..PLAIN },
    Habit { name: "upgrades", upgrades: true, ..PLAIN },
];

/// A request as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) line: String,
    host: String,
    /// Empty when the request is not complete.
    body: Vec<u8>,
    pub(super) complete: bool,
}

/// The requests that a reader of that habit finds in the bytes of one connection.
pub(super) fn read(habit: &Habit, mut bytes: &[u8]) -> Vec<Seen> {
    let mut requests = Vec::new();
    loop {
        // Everybody skips empty lines between requests.
        while let [b'\r' | b'\n', rest @ ..] = bytes {
            bytes = rest;
        }
        if bytes.is_empty() {
            return requests;
        }
        let Some((seen, rest)) = request(habit, bytes) else {
            let line = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
            requests.push(Seen { line, host: String::new(), body: Vec::new(), complete: false });
            return requests;
        };
        let goes_on = seen.complete;
        requests.push(seen);
        if !goes_on {
            return requests;
        }
        bytes = rest;
    }
}

/// The request at the start and what follows; nothing when its head is not complete.
fn request<'a>(habit: &Habit, bytes: &'a [u8]) -> Option<(Seen, &'a [u8])> {
    let (line, mut rest) = take_line(habit, bytes)?;
    let line = text(line);
    let mut fields: Vec<(String, String)> = Vec::new();
    loop {
        let (field, behind) = take_line(habit, rest)?;
        rest = behind;
        if field.is_empty() {
            break;
        }
        let field = text(field);
        match fields.last_mut() {
            Some((_, value)) if field.starts_with([' ', '\t']) => *value = format!("{value} {}", field.trim()),
            _ => {
                let (name, value) = field.split_once(':').unwrap_or((&field, ""));
                fields.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()));
            }
        }
    }
    let host = host(habit, &line, &fields);
    let ends_http = habit.upgrades && (line.starts_with("CONNECT ") || named(&fields, "upgrade").next().is_some());
    let body = if ends_http {
        // What follows is another protocol.
        Some((format!("{:?}", named(&fields, "upgrade").collect::<Vec<_>>()).into_bytes(), &rest[rest.len()..]))
    } else if is_chunked(habit, &line, &fields) {
        chunks(habit, rest)
    } else {
        let length = length(habit, &fields);
        rest.split_at_checked(length).map(|(body, rest)| (body.to_vec(), rest))
    };
    let complete = body.is_some();
    let (body, rest) = body.unwrap_or_default();
    Some((Seen { line, host, body, complete }, rest))
}

/// A line without its end, and what follows.
fn take_line<'a>(habit: &Habit, bytes: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    match habit.line {
        Line::CrLf => {
            let end = bytes.windows(2).position(|it| it == b"\r\n")?;
            Some((&bytes[..end], &bytes[end + 2..]))
        }
        Line::Lf => {
            let end = bytes.iter().position(|it| *it == b'\n')?;
            let line = &bytes[..end];
            Some((line.strip_suffix(b"\r").unwrap_or(line), &bytes[end + 1..]))
        }
        Line::Any => {
            let end = bytes.iter().position(|it| matches!(it, b'\r' | b'\n'))?;
            let width = if bytes[end..].starts_with(b"\r\n") { 2 } else { 1 };
            Some((&bytes[..end], &bytes[end + width..]))
        }
    }
}

fn is_chunked(habit: &Habit, line: &str, fields: &[(String, String)]) -> bool {
    let codings: Vec<&str> = named(fields, "transfer-encoding").collect();
    let by_list = codings.join(",").rsplit(',').next().is_some_and(|it| it.trim().eq_ignore_ascii_case("chunked"));
    let found = match habit.coding {
        Coding::Last => by_list,
        Coding::Exact => codings == ["chunked"],
        Coding::NotIn10 => by_list && !line.ends_with("HTTP/1.0"),
        Coding::Somewhere => fields.iter().any(|(name, value)| {
            let name: String = name.chars().filter(|it| it.is_ascii_graphic()).collect();
            name.replace('_', "-") == "transfer-encoding" && value.to_ascii_lowercase().contains("chunked")
        }),
    };
    found && !(habit.length_wins && named(fields, "content-length").next().is_some())
}

/// The digits at the start of the length, as C's `atoi` has them.
fn length(habit: &Habit, fields: &[(String, String)]) -> usize {
    let mut values = named(fields, "content-length").flat_map(|it| it.split(','));
    let value = match habit.length {
        Which::First => values.next(),
        Which::Last => values.last(),
    };
    let value = value.unwrap_or_default().trim().trim_start_matches('+');
    let digits = value.find(|it: char| !it.is_ascii_digit()).unwrap_or(value.len());
    value[..digits].parse().unwrap_or_default()
}

fn host(habit: &Habit, line: &str, fields: &[(String, String)]) -> String {
    let target = line.split(' ').nth(1).unwrap_or_default();
    if habit.target_host
        && let Some((_, rest)) = target.split_once("://")
    {
        return rest.split(['/', '?', '#']).next().unwrap_or_default().to_owned();
    }
    let mut hosts = named(fields, "host");
    match habit.host {
        Which::First => hosts.next(),
        Which::Last => hosts.last(),
    }
    .unwrap_or_default()
    .to_owned()
}

/// The data of a chunked body and what follows it; nothing when it is not complete.
fn chunks<'a>(habit: &Habit, mut bytes: &'a [u8]) -> Option<(Vec<u8>, &'a [u8])> {
    let mut data = Vec::new();
    loop {
        let (line, rest) = take_line(habit, bytes)?;
        let line = text(line);
        let digits = line.find(|it: char| !it.is_ascii_hexdigit()).unwrap_or(line.len());
        let size = usize::from_str_radix(&line[..digits], 16).ok()?;
        if size == 0 {
            bytes = rest;
            break;
        }
        let (chunk, rest) = rest.split_at_checked(size)?;
        data.extend_from_slice(chunk);
        let (end, rest) = take_line(habit, rest)?;
        if !end.is_empty() {
            return None;
        }
        bytes = rest;
    }
    loop {
        let (line, rest) = take_line(habit, bytes)?;
        bytes = rest;
        if line.is_empty() {
            return Some((data, bytes));
        }
    }
}

fn named<'a>(fields: &'a [(String, String)], name: &str) -> impl Iterator<Item = &'a str> {
    fields.iter().filter(move |(it, _)| it == name).map(|(_, value)| value.as_str())
}

fn text(bytes: &[u8]) -> String {
    // One character for each byte, so that nothing is lost.
    bytes.iter().map(|it| char::from(*it)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many requests each reader sees, `-` for one that is not complete; one entry when all agree.
    #[track_caller]
    fn check(bytes: &str, expected: &[(&str, &str)]) {
        let told = |habit| read(habit, bytes.as_bytes()).iter().map(|it| if it.complete { '+' } else { '-' }).collect();
        let plain: String = told(&PLAIN);
        let mut seen = vec![("coding wins", plain.clone())];
        seen.extend(HABITS.iter().map(|it| (it.name, told(it))).filter(|(_, it): &(_, String)| *it != plain));
        let seen: Vec<(&str, &str)> = seen.iter().map(|(name, it)| (*name, it.as_str())).collect();
        assert_eq!(seen, expected, "{bytes:?}");
    }

    #[test]
    fn plain_requests_have_one_meaning() {
        check("GET / HTTP/1.1\r\nHost: h\r\n\r\n", &[("coding wins", "+")]);
        check("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi", &[("coding wins", "+")]);
        check("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nhi", &[("coding wins", "-")]);
        check(
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nhi\r\n0\r\nT: 1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            &[("coding wins", "++")],
        );
        check("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", &[("coding wins", "-")]);
    }

    #[test]
    fn habits_show() {
        let tail = "0\r\n\r\nGET / HTTP/1.1\r\n\r\n";
        check(
            &format!("POST / HTTP/1.1\r\nContent-Length: 23\r\nTransfer-Encoding: chunked\r\n\r\n{tail}"),
            &[("coding wins", "++"), ("length wins", "+")],
        );
        check(
            &format!("POST / HTTP/1.1\r\nContent-Length: 23\r\nTransfer-Encoding: xchunked\r\n\r\n{tail}"),
            &[("coding wins", "+"), ("chunked somewhere", "++")],
        );
        check(
            &format!("POST / HTTP/1.0\r\nContent-Length: 23\r\nTransfer-Encoding: chunked\r\n\r\n{tail}"),
            &[("coding wins", "++"), ("length wins", "+"), ("no chunks in 1.0", "+")],
        );
        check(
            "POST / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            &[("coding wins", "++"), ("last length", "+")],
        );
        check(
            "GET / HTTP/1.1\r\nX: y\n\nGET /x HTTP/1.1\r\n\r\n",
            &[("coding wins", "+"), ("line feed ends lines", "++"), ("carriage return ends lines", "++")],
        );
        check(
            "GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            &[("coding wins", "++"), ("upgrades", "+")],
        );
    }

    #[test]
    fn hosts_are_told_apart() {
        let seen: Vec<String> = HABITS
            .iter()
            .flat_map(|it| read(it, b"GET http://a/ HTTP/1.1\r\nHost: b\r\nHost: c\r\n\r\n"))
            .map(|it| it.host)
            .collect();
        assert_eq!(seen, ["a", "a", "a", "a", "a", "a", "a", "a", "b", "c", "a"]);
    }
}
