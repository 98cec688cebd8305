//! Integers as letters, Roman numbers and English words, for `xsl:number`, `format-integer()` and the pictures of dates.

/// `st`, `nd`, `rd` or `th`.
pub fn ordinal_suffix(number: i64) -> &'static str {
    match (number.unsigned_abs() % 100, number.unsigned_abs() % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    }
}

/// 1 is `a` (or `A`, as `first` is), 27 is `aa`; nothing for numbers below one.
pub fn letters(number: i64, first: u8) -> String {
    let mut rest = number;
    let mut out = Vec::new();
    while rest > 0 {
        rest -= 1;
        out.push(char::from(first + (rest % 26) as u8));
        rest /= 26;
    }
    out.iter().rev().collect()
}

/// The Roman number; meant for numbers from 1 to 4999.
pub fn roman(number: i64) -> String {
    const SIGNS: [(i64, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let mut rest = number;
    let mut out = String::new();
    for (value, sign) in SIGNS {
        while rest >= value {
            out.push_str(sign);
            rest -= value;
        }
    }
    out
}

/// Every word but `and` with a capital.
pub fn title(text: &str) -> String {
    text.split(' ')
        .map(|word| if word == "and" { word.to_owned() } else { capitalized(word) })
        .collect::<Vec<_>>()
        .join(" ")
}

fn capitalized(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

/// `one hundred and twenty one`; digits from a million million on.
pub fn words(number: i64) -> String {
    const SMALL: [&str; 20] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: [&str; 10] = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    const LARGE: [(u64, &str); 4] =
        [(1_000_000_000, "billion"), (1_000_000, "million"), (1000, "thousand"), (100, "hundred")];
    let mut rest = number.unsigned_abs();
    if rest >= 1_000_000_000_000 {
        return number.to_string();
    }
    let mut out: Vec<String> = Vec::new();
    for (size, name) in LARGE {
        if rest >= size {
            out.push(format!("{} {name}", words((rest / size) as i64)));
            rest %= size;
        }
    }
    if rest > 0 || out.is_empty() {
        if !out.is_empty() {
            out.push("and".to_owned());
        }
        out.push(match rest {
            0..=19 => SMALL[rest as usize].to_owned(),
            _ if rest.is_multiple_of(10) => TENS[(rest / 10) as usize].to_owned(),
            _ => format!("{} {}", TENS[(rest / 10) as usize], SMALL[(rest % 10) as usize]),
        });
    }
    out.join(" ")
}

/// `twenty first`; see [`words`].
pub fn ordinal_words(number: i64) -> String {
    const IRREGULAR: [(&str, &str); 7] = [
        ("one", "first"),
        ("two", "second"),
        ("three", "third"),
        ("five", "fifth"),
        ("eight", "eighth"),
        ("nine", "ninth"),
        ("twelve", "twelfth"),
    ];
    let text = words(number);
    let start = text.rfind(' ').map_or(0, |at| at + 1);
    let (before, last) = text.split_at(start);
    if let Some((_, ordinal)) = IRREGULAR.iter().find(|(cardinal, _)| *cardinal == last) {
        return format!("{before}{ordinal}");
    }
    match last.strip_suffix('y') {
        Some(stem) => format!("{before}{stem}ieth"),
        None => format!("{text}th"),
    }
}

#[cfg(test)]
mod tests {
    use super::{letters, ordinal_suffix, ordinal_words, roman, title, words};

    #[test]
    fn numbers_in_writing() {
        assert_eq!([1, 26, 27, 703].map(|n| letters(n, b'a')), ["a", "z", "aa", "aaa"]);
        assert_eq!([4, 9, 1990, 2024].map(roman), ["IV", "IX", "MCMXC", "MMXXIV"]);
        assert_eq!([1, 2, 3, 4, 11, 22, 113].map(ordinal_suffix), ["st", "nd", "rd", "th", "th", "nd", "th"]);
        assert_eq!(
            [1, 9, 12, 30, 104].map(ordinal_words),
            ["first", "ninth", "twelfth", "thirtieth", "one hundred and fourth"]
        );
        assert_eq!(words(0), "zero");
        assert_eq!(title(&words(1_121)), "One Thousand One Hundred and Twenty One");
    }
}
