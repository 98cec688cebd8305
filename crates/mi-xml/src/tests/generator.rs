//! Documents out of a seed: the same ones in every run.

/// A small generator of pseudo-random numbers (splitmix64).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    pub(super) fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    pub(super) fn pick<'t, T: ?Sized>(&mut self, choices: &[&'t T]) -> &'t T {
        choices[self.below(choices.len())]
    }
}

const NAMES: [&str; 12] =
    ["a", "b", "order", "symbol", "Envelope", "Body", "é", "x-y.z", "_1", "名前", "xmlnsish", "a1"];
const PREFIXES: [&str; 5] = ["p", "q", "soapenv", "m", "ü"];
const URIS: [&str; 5] = ["urn:a", "urn:b", "http://schemas.xmlsoap.org/soap/envelope/", "urn:x?a=1&amp;b=2", "ü"];
const TEXTS: [&str; 16] = [
    "text",
    " ",
    "\n  ",
    "\r\n",
    "&amp;",
    "&lt;",
    "&#65;",
    "&#x20AC;",
    "é",
    "😀",
    "a longer text with several words",
    "]]",
    ">",
    "\"'",
    "12.50",
    "\t",
];
const SPACES: [&str; 6] = [" ", " ", " ", "  ", "\n", "\t "];

/// A well-formed document.
pub(super) fn document(random: &mut Random) -> String {
    let mut out = String::new();
    if random.one_in(3) {
        out.push_str("<?xml version=\"1.0\" encoding='UTF-8'?>\n");
    }
    misc(random, &mut out);
    let mut scope = Vec::new();
    element(random, &mut out, &mut scope, 0);
    misc(random, &mut out);
    out
}

fn misc(random: &mut Random, out: &mut String) {
    while random.one_in(4) {
        out.push_str(random.pick(&["\n", "<!-- - comment -->", "<?target some data?>", " "]));
    }
}

fn element(random: &mut Random, out: &mut String, scope: &mut Vec<&str>, depth: usize) {
    let outer = scope.len();
    let mut attributes = String::new();
    let mut declared = Vec::new();
    while random.one_in(3) {
        let prefix = PREFIXES[random.below(PREFIXES.len())];
        if !declared.contains(&prefix) {
            let uri = random.pick(&URIS);
            // Attributes below get a local name of their own for each prefix, so that no two of them can be the same.
            attributes.push_str(&format!("{}xmlns:{prefix}={}", random.pick(&SPACES), quoted(random, uri)));
            declared.push(prefix);
            scope.push(prefix);
        }
    }
    if random.one_in(4) {
        let uri = if random.one_in(3) { "" } else { random.pick(&URIS) };
        attributes.push_str(&format!(" xmlns={}", quoted(random, uri)));
    }
    for number in 0..random.below(4) {
        let value: String = (0..random.below(4)).map(|_| random.pick(&TEXTS)).collect();
        let value = value.replace(['"', '\''], "");
        let prefix = match scope.len() {
            0 => String::new(),
            _ if random.one_in(2) => String::new(),
            len => format!("{}:", scope[random.below(len)]),
        };
        attributes.push_str(&format!("{}{prefix}n{number}={}", random.pick(&SPACES), quoted(random, &value)));
    }
    let prefix = match scope.len() {
        0 => String::new(),
        _ if random.one_in(2) => String::new(),
        len => format!("{}:", scope[random.below(len)]),
    };
    let name = format!("{prefix}{}", random.pick(&NAMES));
    out.push_str(&format!("<{name}{attributes}{}", random.pick(&["", "", " ", "\n"])));
    if random.one_in(5) {
        out.push_str("/>");
    } else {
        out.push('>');
        content(random, out, scope, depth);
        out.push_str(&format!("</{name}{}>", random.pick(&["", "", "", " "])));
    }
    scope.truncate(outer);
}

fn content(random: &mut Random, out: &mut String, scope: &mut Vec<&str>, depth: usize) {
    for _ in 0..random.below(6) {
        match random.below(8) {
            0..=3 if depth < 6 => element(random, out, scope, depth + 1),
            4 => out.push_str(random.pick(&["<![CDATA[<&>]]>", "<![CDATA[]]>", "<![CDATA[x\r\ny]]>"])),
            5 => misc(random, out),
            _ => {
                // `]]` followed by `>` would not be well formed.
                let text = random.pick(&TEXTS);
                out.push_str(if out.ends_with("]]") { "." } else { text });
            }
        }
    }
    if out.ends_with("]]") {
        out.push(' ');
    }
}

fn quoted(random: &mut Random, value: &str) -> String {
    if random.one_in(2) { format!("\"{value}\"") } else { format!("'{value}'") }
}
