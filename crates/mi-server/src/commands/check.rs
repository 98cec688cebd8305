//! `check`: everything that `run` would deploy is read and compiled, and nothing is started.

use std::process::ExitCode;
use std::sync::Arc;

use mi_config::Severity;
use mi_engine::services::Nothing;
use mi_transports::tls::{ClientTls, ClientTlsConfig};

use crate::cli::{CheckArgs, RunArgs};
use crate::server::{self, Prepared};

pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let found = Findings::of(args)?;
    for line in &found.lines {
        super::print(line)?;
    }
    let Findings { applications, errors, warnings, .. } = found;
    super::print(&format!("{applications} applications, {errors} errors, {warnings} warnings"))?;
    let failed = errors > 0 || (args.strict && warnings > 0);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What a check says.
struct Findings {
    /// A line for each diagnostic.
    lines: Vec<String>,
    /// How many applications would be deployed.
    applications: usize,
    errors: usize,
    warnings: usize,
}

impl Findings {
    fn of(args: &CheckArgs) -> anyhow::Result<Self> {
        let run = RunArgs { applications: args.applications.clone(), home: args.home.clone(), ..RunArgs::default() };
        let prepared = Prepared::read(&run)?;
        let services = server::services(&prepared, Arc::new(Nothing), Vec::new(), server::Lasting::default());
        let databases = Arc::new(mi_data::Databases::new(&prepared.home.root));
        // Nobody is asked; `run` would not start with what is wrong here.
        let client = Arc::new(ClientTls::new(&ClientTlsConfig::default())?);
        let users = crate::management::users(&prepared.deployment, &client).err();
        let deployed = prepared.deploy(services, &databases);
        let mut found = Self { lines: Vec::new(), applications: deployed.applications.len(), errors: 0, warnings: 0 };
        // An application that would not be deployed is an error of its own, whatever its parts say.
        for diagnostic in deployed.diagnostics.iter().chain(&deployed.rejected) {
            let (count, word) = match diagnostic.severity {
                Severity::Error => (&mut found.errors, "error"),
                Severity::Warning => (&mut found.warnings, "warning"),
            };
            *count += 1;
            found.lines.push(format!("{word}: {diagnostic}"));
        }
        if let Some(why) = users {
            found.errors += 1;
            found.lines.push(format!("error: {why:#}"));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::cli::HomeArgs;

    /// A folder that goes away with the value.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("mi-check-{}-{count}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).ok();
        }
    }

    #[track_caller]
    fn findings(files: &[(&str, &str)], named: &[&str]) -> Findings {
        let home = Folder::new();
        for (path, text) in files {
            let path = home.0.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let args = CheckArgs {
            applications: named.iter().map(|it| home.0.join(it)).collect(),
            home: HomeArgs { home: Some(home.0.clone()), ..HomeArgs::default() },
            strict: false,
        };
        Findings::of(&args).unwrap()
    }

    #[track_caller]
    fn check(files: &[(&str, &str)], named: &[&str], applications: usize, expected: &[&str]) {
        let found = findings(files, named);
        assert_eq!(found.applications, applications, "{:?}", found.lines);
        assert_eq!(found.errors, expected.len(), "{:?}", found.lines);
        for text in expected {
            assert!(found.lines.iter().any(|it| it.starts_with("error: ") && it.contains(text)), "{:?}", found.lines);
        }
    }

    #[test]
    fn applications_that_would_not_be_deployed_are_errors() {
        check(&[("carbonapps/a_1.0.0.car", "no zip")], &[], 0, &["a_1.0.0.car: is no complete zip archive"]);
        let pom = "<project><groupId>g</groupId><artifactId>p</artifactId><version>1</version></project>";
        let api = "<api xmlns='http://ws.apache.org/ns/synapse' name='A' context='/a'><resource methods='GET'>\
            <inSequence><sing.song/></inSequence></resource></api>";
        let files = [("p/pom.xml", pom), ("p/src/main/wso2mi/artifacts/apis/A.xml", api)];
        check(&files, &["p"], 0, &["Unknown mediator referenced by configuration element : sing.song"]);
        let good = api.replace("<sing.song/>", "<respond/>");
        check(&[("p/pom.xml", pom), (files[1].0, &good)], &["p"], 1, &[]);
    }

    #[test]
    fn a_user_store_that_cannot_be_asked_is_an_error() {
        let toml = "[internal_apis.file_user_store]\nenable = false\n[user_store]\ntype = 'read_only_ldap'\n";
        check(&[("conf/deployment.toml", toml)], &[], 0, &[]);
        let broken = format!("{toml}user_name_list_filter = '(uid=a'");
        check(&[("conf/deployment.toml", &broken)], &[], 0, &["UserNameListFilter: a ) is missing"]);
    }

    #[test]
    fn a_folder_that_is_no_project_is_an_error() {
        check(&[("q/notes.txt", "x")], &["q"], 0, &["q"]);
    }

    #[test]
    fn what_is_read_and_not_served_is_named() {
        let service = "<data name='D'><query id='q' useConfig='c'/></data>";
        let found = findings(&[("repository/deployment/server/dataservices/D.dbs", service)], &[]);
        let named = |it: &String| it.starts_with("warning: ") && it.contains("the data service D is not served");
        assert!(found.lines.iter().any(named), "{:?}", found.lines);
    }
}
