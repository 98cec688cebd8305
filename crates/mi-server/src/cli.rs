//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Runs Carbon applications (CAR files) written in Synapse XML, as the WSO2 Micro Integrator does.
///
/// Without a command the server runs; everything it needs is found in the home folder.
#[derive(Debug, Parser)]
#[command(name = "micro-integrator", version, args_conflicts_with_subcommands = true, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: RunArgs,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server (the default).
    Run(RunArgs),
    /// Read applications and configurations, report what is wrong with them, and exit.
    Check(CheckArgs),
    /// Build CAR files from project folders.
    Pack(PackArgs),
    /// Tell what an application would add, change and remove in a home, and change nothing.
    Plan(PlanArgs),
    /// Run the unit tests of projects (src/test/wso2mi), without opening a port.
    Test(TestArgs),
    /// Ask a running server whether it is ready; the exit code is 0 when it is.
    Probe(ProbeArgs),
    /// Print the version.
    Version,
    /// Print a completion script for a shell.
    Completions {
        /// Shell to write it for.
        shell: clap_complete::Shell,
    },
}

/// Where the server finds its configuration.
#[derive(Clone, Debug, Default, Args)]
pub struct HomeArgs {
    /// Home folder; else $MI_HOME, $CARBON_HOME, $WSO2_SERVER_HOME, or the current folder.
    #[arg(long, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// System property, such as -DportOffset=10 or -DgracefulShutdownTimeout=30000.
    #[arg(short = 'D', value_name = "KEY=VALUE")]
    pub define: Vec<String>,
}

#[derive(Clone, Debug, Default, Args)]
pub struct RunArgs {
    /// Project folders or CAR files to deploy besides those of the home folder.
    pub applications: Vec<PathBuf>,
    #[command(flatten)]
    pub home: HomeArgs,
    /// Threads that serve requests [default: one for each core].
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Run the main sequence of this application once, then end; the exit code is 1 when that failed.
    #[arg(long, value_name = "NAME")]
    pub car: Option<String>,
}

#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// Project folders or CAR files to check besides those of the home folder.
    pub applications: Vec<PathBuf>,
    #[command(flatten)]
    pub home: HomeArgs,
    /// Exit with 1 on warnings, too.
    #[arg(long)]
    pub strict: bool,
}

#[derive(Clone, Debug, Args)]
pub struct PackArgs {
    /// Project folders, in the layout that WSO2's tools make (src/main/wso2mi, pom.xml).
    #[arg(required = true)]
    pub projects: Vec<PathBuf>,
    /// Folder for the CAR files.
    #[arg(short, long, default_value = ".", value_name = "DIR")]
    pub output: PathBuf,
}

#[derive(Clone, Debug, Args)]
pub struct PlanArgs {
    /// CAR file or project folder; it stands for the one of the same file name in the home.
    pub application: PathBuf,
    #[command(flatten)]
    pub home: HomeArgs,
}

#[derive(Clone, Debug, Args)]
pub struct TestArgs {
    /// Project folders, or single suites [default: the current folder].
    pub projects: Vec<PathBuf>,
    /// System property for placeholders, such as -Dname=value.
    #[arg(short = 'D', value_name = "KEY=VALUE")]
    pub define: Vec<String>,
    /// Show what the server logs.
    #[arg(long)]
    pub log: bool,
    /// Also write the results to this file, as JUnit does.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub struct ProbeArgs {
    /// URL to ask.
    #[arg(default_value = "http://localhost:9201/healthz")]
    pub url: String,
    /// Seconds to wait for the answer.
    #[arg(long, default_value_t = 5)]
    pub timeout: u64,
}

impl HomeArgs {
    /// The value of a `-D` property; the last one counts. A property without a value is the empty string.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.define.iter().rev().find_map(|definition| match definition.split_once('=') {
            Some((key, value)) if key == name => Some(value),
            None if definition == name => Some(""),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_runs_without_a_command() {
        let cli = Cli::try_parse_from(["mi", "--home", "/h", "-DportOffset=200", "-DportOffset=300"]).expect("valid");
        assert!(cli.command.is_none());
        assert_eq!(cli.run.home.property("portOffset"), Some("300"));
        let cli = Cli::try_parse_from(["mi", "run", "./project", "--threads", "2"]).expect("valid");
        assert!(
            matches!(cli.command, Some(Command::Run(run)) if run.threads == Some(2) && run.applications.len() == 1)
        );
    }
}
