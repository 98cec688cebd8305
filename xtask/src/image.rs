//! The layout of the image at work, without a container engine: the home is laid out as the Dockerfile does it, at the place that it has
//! there, and started by the entrypoint under three users with everything else read-only.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;
use crate::{demo, http, process};

/// User and group: MI's since 4.4, that of older releases, and one that OpenShift makes up.
const USERS: [(&str, &str); 3] = [("10802", "10802"), ("802", "802"), ("12345", "0")];
/// What the binary may take as it is shipped.
const MAX_BINARY: u64 = 60_000_000;
/// How long the end of an idle server may take.
const END: Duration = Duration::from_secs(1);
const READY: Duration = Duration::from_secs(20);
const LIMIT: Duration = Duration::from_secs(20);
const HTTP: u16 = 8280;
const INTERNAL: u16 = 9191;
const VERSION: &str = "4.4.0";

/// Runs in a mount namespace of its own: `$1` the laid out home, `$2` user, `$3` group, `$4` the application.
const SCRIPT: &str = r#"set -eu
mount --make-rprivate /
mount -t tmpfs -o mode=0755 tmpfs /home
mkdir /home/wso2carbon
cp -a "$1/." /home/wso2carbon/
server=/home/wso2carbon/wso2mi-4.4.0
# As the Dockerfiles of users have it, with the version of an older release.
cp "$4" /home/wso2carbon/wso2mi-1.1.0/repository/deployment/server/carbonapps/
for folder in tmp registry repository/logs; do
    mount -t tmpfs -o mode=0777 tmpfs "$server/$folder"
done
mount -o remount,ro /home
mount -o remount,bind,ro /
export WORKING_DIRECTORY=/home/wso2carbon WSO2_SERVER_HOME=$server CARBON_HOME=$server
cd /home/wso2carbon
exec setpriv --reuid "$2" --regid "$3" --clear-groups --no-new-privs /home/wso2carbon/docker-entrypoint.sh
"#;

/// The step of CI.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let allowed = Command::new("unshare").args(["--mount", "true"]).stderr(Stdio::null()).status();
    if !allowed.context("cannot run `unshare`, of the Debian package util-linux")?.success() {
        // A build server may be a container without that right; the check is for the others.
        println!("not checked: this user may not make a mount namespace");
        return Ok(());
    }
    let folder = workspace.target.join("image");
    if folder.exists() {
        fs::remove_dir_all(&folder).context("cannot clear the folder of the image check")?;
    }
    fs::create_dir_all(&folder)?;
    let binary = folder.join("micro-integrator");
    let mut strip = Command::new("strip");
    strip.args(["--strip-debug", "-o"]).arg(&binary).arg(workspace.binary()?);
    process::run(&mut strip).context("`strip` is in the Debian package binutils")?;
    let home = folder.join("home");
    let layout = workspace.root.join("deployment/image/layout.sh");
    process::run(Command::new("sh").arg(&layout).arg(&workspace.root).arg(&binary).arg(&home).arg(VERSION))?;
    let size = fs::metadata(&binary)?.len();
    if size > MAX_BINARY {
        bail!("the binary takes {size} bytes, more than {MAX_BINARY}");
    }
    println!("the binary takes {:.1} MB", size as f64 / 1e6);
    let application = application(workspace)?;
    for (user, group) in USERS {
        start_as(&folder, &home, user, group, &application)
            .with_context(|| format!("as {user}:{group}; its log: {}", folder.join("log").display()))?;
    }
    Ok(())
}

/// Any application of the demo.
fn application(workspace: &Workspace) -> Result<std::path::PathBuf> {
    let path = workspace.root.join("carbonapps/appointment-backend_1.0.0.car");
    if !path.is_file() {
        bail!("{} is not there", path.display());
    }
    Ok(path)
}

/// One start under a user: ready, the right user, the application there, and a quick end.
fn start_as(folder: &Path, home: &Path, user: &str, group: &str, application: &Path) -> Result<()> {
    let offset = demo::free_offset()?;
    let log = fs::File::create(folder.join("log"))?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", SCRIPT, "image"]).arg(home).args([user, group]).arg(application);
    command.env("JAVA_OPTS", format!("-Xmx512m -DportOffset={offset}"));
    command.stdout(Stdio::from(log.try_clone()?)).stderr(Stdio::from(log));
    let mut child = command.spawn().context("cannot run `unshare`")?;
    let checked = check(&mut child, offset, user);
    if checked.is_err() {
        process::kill(&mut child);
        return checked;
    }
    let begun = Instant::now();
    let status = process::terminate(&mut child, LIMIT)?;
    let took = begun.elapsed();
    if !status.success() || took > END {
        bail!("SIGTERM ended it with {status} after {} ms", took.as_millis());
    }
    println!("{user}:{group} with a read-only root: ready, and at its end {} ms after SIGTERM", took.as_millis());
    Ok(())
}

fn check(child: &mut Child, offset: u16, user: &str) -> Result<()> {
    let deadline = Instant::now() + READY;
    loop {
        if let Some(status) = child.try_wait()? {
            bail!("it ended by itself with {status}");
        }
        if http::request(INTERNAL + offset, "GET", "/healthz", &[], "").is_ok_and(|it| it.status == 200) {
            break;
        }
        if Instant::now() > deadline {
            bail!("it was not ready within {} s", READY.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    // The shells before it were replaced: the child is the server, under the user that was asked for.
    let status = fs::read_to_string(format!("/proc/{}/status", child.id()))?;
    let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    if !line("Name:").starts_with("micro-integrat") || line("Uid:").split_whitespace().next() != Some(user) {
        bail!("the process is {} under {}", line("Name:"), line("Uid:"));
    }
    let answer = http::request(HTTP + offset, "GET", "/no-such-api", &[], "");
    let page = http::request(INTERNAL + offset, "GET", "/metric-service/metrics", &[], "")?;
    if answer.is_err() || !page.body.contains("service_name=\"DoctorDirectoryMock\"") {
        bail!("the application is not deployed");
    }
    Ok(())
}
