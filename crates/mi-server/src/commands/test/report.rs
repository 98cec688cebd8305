//! What the suites came to: lines for the terminal, and the XML that build servers read.

use std::time::Duration;

use super::runner::Verdict;

/// All suites.
#[derive(Default)]
pub(super) struct Tally {
    suites: Vec<(String, Vec<Verdict>)>,
}

impl Tally {
    /// Takes a suite's results; gives the lines to show.
    pub(super) fn add(&mut self, name: &str, cases: anyhow::Result<Vec<Verdict>>) -> Vec<String> {
        let cases = cases.unwrap_or_else(|error| {
            let failures = vec![format!("{error:#}")];
            vec![Verdict { name: "the suite".to_owned(), took: Duration::ZERO, failures }]
        });
        let mut lines = vec![name.to_owned()];
        for case in &cases {
            let verdict = if case.failures.is_empty() { "passed" } else { "FAILED" };
            lines.push(format!("  {verdict}  {} ({} ms)", case.name, case.took.as_millis()));
            lines.extend(case.failures.iter().flat_map(|it| it.lines()).map(|line| format!("          {line}")));
        }
        self.suites.push((name.to_owned(), cases));
        lines
    }

    fn count(&self, failed: bool) -> usize {
        self.suites.iter().flat_map(|(_, cases)| cases).filter(|it| it.failures.is_empty() != failed).count()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.count(true) > 0
    }

    pub(super) fn summary(&self) -> String {
        format!("{} suites, {} passed, {} failed", self.suites.len(), self.count(false), self.count(true))
    }

    /// As JUnit writes it.
    pub(super) fn junit(&self) -> String {
        let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n".to_owned();
        for (name, cases) in &self.suites {
            let failed = cases.iter().filter(|it| !it.failures.is_empty()).count();
            let name = escaped(name);
            text.push_str(&format!("  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{failed}\">\n", cases.len()));
            for case in cases {
                let (case_name, took) = (escaped(&case.name), case.took.as_secs_f64());
                text.push_str(&format!("    <testcase classname=\"{name}\" name=\"{case_name}\" time=\"{took:.3}\""));
                if case.failures.is_empty() {
                    text.push_str("/>\n");
                    continue;
                }
                let failures = escaped(&case.failures.join("\n"));
                text.push_str(&format!(">\n      <failure>{failures}</failure>\n    </testcase>\n"));
            }
            text.push_str("  </testsuite>\n");
        }
        text + "</testsuites>\n"
    }
}

fn escaped(text: &str) -> String {
    text.chars().filter(|it| mi_xml::is_char(*it)).fold(String::new(), |mut out, letter| {
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            letter => out.push(letter),
        }
        out
    })
}
