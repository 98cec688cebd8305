//! What the benchmarks share: a timer that other programs on the machine disturb little, and sample messages.
//!
//! Each benchmark is a plain program under `benches/`; run one with `cargo bench -p mi-benches --bench xml`. Numbers
//! are the best of many rounds of thread CPU time, so they say what the code costs and not how busy the machine is.

pub mod load;
pub mod payload;
pub mod process;

use std::hint::black_box;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Why a benchmark could not be made.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Hands the options of the command line, each with its value, to `take`, which says whether it knows them.
///
/// # Errors
/// An option without a value, one that is not known, or what `take` says.
pub fn options(mut take: impl FnMut(&str, String) -> Result<bool, Failure>) -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        if !take(&name, value)? {
            return Err(format!("unknown option {name}").into());
        }
    }
    Ok(())
}

/// Numbers with commas in between.
///
/// # Errors
/// One of them is none.
pub fn numbers(text: &str) -> Result<Vec<usize>, Failure> {
    Ok(text.split(',').map(str::parse).collect::<Result<_, _>>()?)
}

/// Rounds each measurement takes; the best one counts.
const ROUNDS: u32 = 25;
/// CPU time one round should take, so that the clock's grain does not matter.
const ROUND_TIME: Duration = Duration::from_millis(4);

fn thread_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}

/// CPU seconds of one call of `work`, the best of several rounds.
pub fn seconds<T>(mut work: impl FnMut() -> T) -> f64 {
    let start = thread_time();
    black_box(work());
    let once = thread_time().saturating_sub(start).max(Duration::from_nanos(50));
    let calls = (ROUND_TIME.as_nanos() / once.as_nanos()).clamp(1, 100_000) as u32;
    let round = |_| {
        let start = thread_time();
        for _ in 0..calls {
            black_box(work());
        }
        thread_time().saturating_sub(start).as_secs_f64() / f64::from(calls)
    };
    (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min)
}

/// A SOAP 1.1 message of about `bytes` bytes: orders with prefixed names, attributes, references and indentation.
pub fn soap_message(bytes: usize) -> String {
    let mut message = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:m=\"http://services.samples\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n  \
         <soapenv:Header>\n    <m:trace id=\"4711\"/>\n  </soapenv:Header>\n  <soapenv:Body>\n    <m:buyStocks>\n",
    );
    let symbols = ["IBM", "SUN", "MSFT", "R&amp;D", "ORACLE"];
    let mut number = 0;
    while message.len() < bytes.saturating_sub(80) {
        let symbol = symbols[number % symbols.len()];
        message.push_str(&format!(
            "      <m:order id=\"{number}\" priority=\"normal\">\n        <m:symbol>{symbol}</m:symbol>\n        \
             <m:buyerID>buyer-{}</m:buyerID>\n        <m:price currency=\"USD\">{}.34</m:price>\n        \
             <m:volume>{}</m:volume>\n        <m:note>Deliver before noon, call reception first &lt;urgent&gt;</m:note>\n      \
             </m:order>\n",
            number % 17,
            100 + number % 50,
            number * 10,
        ));
        number += 1;
    }
    message.push_str("    </m:buyStocks>\n  </soapenv:Body>\n</soapenv:Envelope>\n");
    message
}
