//! House rules as code, and the steps of CI: `cargo xtask ci`, or one step by its name.
//!
//! Every step is also a command of its own, so a desk and a build server run the same thing. The steps are listed in
//! [`ci::STEPS`]; nothing here knows the product beyond its command line and its HTTP ports.

// The output of these commands is for the person in front of the terminal.
#![allow(clippy::print_stdout)]

mod advisories;
mod bench;
mod ci;
mod conformance;
mod crash;
mod demo;
mod fuzz;
mod hostile;
mod http;
mod image;
mod kubernetes;
mod licences;
mod process;
mod roll;
mod sbom;
mod smuggling;
mod tidy;
mod workspace;

use std::process::ExitCode;

use workspace::Workspace;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[&str]) -> anyhow::Result<()> {
    let Some((command, rest)) = args.split_first() else {
        return Err(anyhow::anyhow!("no command given\n\n{}", usage()));
    };
    if matches!(*command, "help" | "--help" | "-h") {
        println!("{}", usage());
        return Ok(());
    }
    let workspace = Workspace::load()?;
    match *command {
        "ci" => ci::all(&workspace),
        // Without options it is the step of CI.
        "crash" if !rest.is_empty() => crash::command(&workspace, rest),
        "roll" if !rest.is_empty() => roll::command(&workspace, rest),
        "smuggling" if !rest.is_empty() => smuggling::command(&workspace, rest),
        "advisories" if !rest.is_empty() => advisories::command(&workspace, rest),
        "hostile" if !rest.is_empty() => hostile::command(&workspace, rest),
        "fuzz" if !rest.is_empty() => fuzz::command(&workspace, rest),
        "conformance" => conformance::command(&workspace, rest),
        "pack" => demo::pack_samples(&workspace),
        name => ci::one(&workspace, name).unwrap_or_else(|| Err(anyhow::anyhow!("no command `{name}`\n\n{}", usage()))),
    }
}

fn usage() -> String {
    let mut text = "cargo xtask ci                    every step below, in this order\n".to_owned();
    for step in ci::STEPS {
        text.push_str(&format!("cargo xtask {:<21} {}\n", step.name, step.about));
    }
    text.push_str(concat!(
        "cargo xtask conformance --update  takes new passes into tests/conformance-passing.txt\n",
        "            … --allow-shrink      and lets cases leave it; --suite NAME narrows either\n",
        "cargo xtask crash --kills 200     the crash test at length; --shared FILES, --journal true, --seed N, --binary PATH\n",
        "cargo xtask roll --cycles 20      the rolling updates at length; --binary PATH\n",
        "cargo xtask smuggling --all       every case, also those that nginx and haproxy read as we do; --binary PATH\n",
        "cargo xtask hostile --megabytes 10240  ten gigabytes through a relay; --binary PATH\n",
        "cargo xtask fuzz --seconds 600   the fuzz targets at length; TARGET… narrows it\n",
        "cargo xtask advisories --from F  takes advisories.toml anew from a clone of RustSec's database\n",
        "cargo xtask pack                  builds carbonapps/*.car from samples/\n",
    ));
    text
}
