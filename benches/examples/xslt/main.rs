//! CPU of XSLT beside libxslt and SaxonC: `cargo run --release -p mi-benches --example xslt [SECONDS]`.
//!
//! Each row is one stylesheet on one document: parsing, transforming and writing, many times in one process. The
//! stylesheet is compiled before. libxslt needs the Debian packages `libxslt1-dev` and `gcc`; SaxonC is measured if
//! `SAXON_PYTHON` names a Python that has the package `saxonche`.

mod sheets;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use mi_xml::Document;
use mi_xslt::{NoResolver, PlainHost, Stylesheet};
use rustix::time::{ClockId, clock_gettime};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIZES: [usize; 4] = [500, 10_000, 100_000, 1_000_000];

type Failure = Box<dyn std::error::Error>;

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn once(sheet: &Stylesheet, text: &bytes::Bytes, host: &PlainHost) -> Result<usize, Failure> {
    let document = Document::parse(text.clone())?;
    let output = sheet.transform(&document, Document::ROOT, &[], host).map_err(|error| error.to_string())?;
    Ok(output.serialize().len())
}

/// Nanoseconds of one transformation: the best of five rounds.
fn ours(sheet: &str, document: &str, seconds: f64) -> Result<f64, Failure> {
    let parsed = Arc::new(Document::parse(sheet.to_owned())?);
    let sheet = Stylesheet::compile(parsed, "bench.xsl", &NoResolver).map_err(|errors| format!("{errors:?}"))?;
    let (text, host) = (bytes::Bytes::copy_from_slice(document.as_bytes()), PlainHost::default());
    let mut best = f64::MAX;
    for _ in 0..5 {
        let (start, mut count) = (cpu(), 0_u32);
        let used = loop {
            once(&sheet, &text, &host)?;
            count += 1;
            let used = cpu().saturating_sub(start).as_secs_f64();
            if used >= seconds / 5.0 {
                break used;
            }
        };
        best = best.min(used / f64::from(count));
    }
    Ok(best * 1e9)
}

/// What another program says.
fn theirs(mut command: Command, folder: &Path, seconds: f64) -> Result<f64, Failure> {
    command.arg(folder.join("sheet.xsl")).arg(folder.join("document.xml")).arg(seconds.to_string());
    let output = command.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// Compiles the loop around libxslt.
fn libxslt(folder: &Path) -> Option<std::path::PathBuf> {
    let program = folder.join("libxslt");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/xslt/libxslt.c");
    let build = format!("cc -O2 -o '{}' '{source}' $(xslt-config --cflags --libs)", program.display());
    let done = Command::new("sh").arg("-c").arg(build).status().is_ok_and(|it| it.success());
    if !done {
        eprintln!("libxslt is left out: apt-get install gcc libxslt1-dev");
    }
    done.then_some(program)
}

fn main() -> Result<(), Failure> {
    let seconds: f64 = std::env::args().nth(1).map_or(Ok(0.5), |it| it.parse())?;
    let only = std::env::args().nth(2);
    let folder = std::env::temp_dir().join(format!("mi-xslt-bench-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let libxslt = libxslt(&folder);
    let python = std::env::var("SAXON_PYTHON").ok();
    let mut out = std::io::stdout();
    writeln!(out, "| stylesheet | bytes | here µs | libxslt µs | ratio | SaxonC µs | ratio |")?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    for sheet in sheets::all().iter().filter(|it| only.as_ref().is_none_or(|only| it.name.contains(only))) {
        fs::write(folder.join("sheet.xsl"), &sheet.text)?;
        for size in SIZES {
            let document = sheets::document(size);
            fs::write(folder.join("document.xml"), &document)?;
            let own = ours(&sheet.text, &document, seconds)?;
            let mut row = format!("| {} | {} | {:.1} |", sheet.name, document.len(), own / 1e3);
            let mut column = |time: Option<f64>| match time {
                Some(time) => row.push_str(&format!(" {:.1} | {:.2} |", time / 1e3, own / time)),
                None => row.push_str(" – | – |"),
            };
            let peer = libxslt.as_ref().filter(|_| sheet.is_old);
            column(peer.map(|it| theirs(Command::new(it), &folder, seconds)).transpose()?);
            let saxon = python.as_ref().map(|python| {
                let mut command = Command::new(python);
                command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/xslt/saxon.py"));
                theirs(command, &folder, seconds)
            });
            column(saxon.transpose()?);
            writeln!(out, "{row}")?;
        }
    }
    fs::remove_dir_all(&folder)?;
    Ok(())
}
