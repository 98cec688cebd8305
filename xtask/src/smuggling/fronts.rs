//! The servers that the corpus is sent through: ours, nginx and haproxy, each as a relay to a back end of its own.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::backend::Backend;
use crate::workspace::Workspace;
use crate::{demo, http, process};

const READY: Duration = Duration::from_secs(30);
/// MI's ports with an offset of 10, which is the default.
const HTTP: u16 = 8280;
const INTERNAL: u16 = 9191;

/// A running front.
pub(super) struct Front {
    pub(super) name: String,
    pub(super) port: u16,
    pub(super) backend: Backend,
    child: Child,
}

impl Drop for Front {
    fn drop(&mut self) {
        process::kill(&mut self.child);
    }
}

/// Our server with an API that hands every request on.
pub(super) fn ours(workspace: &Workspace, binary: &Path) -> Result<Front> {
    let backend = Backend::start()?;
    let home = fresh(workspace, "ours")?;
    let apis = home.join("repository/deployment/server/synapse-configs/default/api");
    fs::create_dir_all(&apis)?;
    fs::create_dir_all(home.join("conf"))?;
    fs::write(home.join("conf/deployment.toml"), "[server]\nhostname = \"localhost\"\nhot_deployment = false\n")?;
    let api = format!(
        "<api xmlns=\"http://ws.apache.org/ns/synapse\" name=\"Relay\" context=\"/\">\
         <resource methods=\"GET POST PUT DELETE PATCH HEAD OPTIONS\"><inSequence><call><endpoint>\
         <address uri=\"http://127.0.0.1:{}\"><timeout><duration>1000</duration><responseAction>fault</responseAction></timeout>\
         <suspendOnFailure><errorCodes>400000</errorCodes></suspendOnFailure></address></endpoint></call><respond/></inSequence>\
         <faultSequence><property name=\"HTTP_SC\" value=\"502\" scope=\"axis2\"/><respond/></faultSequence></resource></api>",
        backend.port
    );
    fs::write(apis.join("Relay.xml"), api)?;
    let offset = demo::free_offset()?;
    let mut command = Command::new(binary);
    command.arg("--home").arg(&home).arg(format!("-DportOffset={offset}"));
    let child = spawn(&mut command, &home.join("server.log"))?;
    let mut front = Front { name: "ours".to_owned(), port: HTTP + offset, backend, child };
    wait(&mut front, &home, || {
        http::request(INTERNAL + offset, "GET", "/healthz", &[], "").is_ok_and(|it| it.status == 200)
    })?;
    Ok(front)
}

/// nginx as a relay that keeps to its defaults, but speaks HTTP/1.1 to the back end.
pub(super) fn nginx(workspace: &Workspace) -> Result<Front> {
    let (program, version) = program("nginx", "-v")?;
    let backend = Backend::start()?;
    let home = fresh(workspace, "nginx")?;
    let port = free_port()?;
    let folder = home.display();
    let config = format!(
        "daemon off;\nmaster_process off;\nworker_processes 1;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n\
         events {{ worker_connections 256; }}\nhttp {{\naccess_log off;\nclient_body_temp_path {folder}/body;\n\
         proxy_temp_path {folder}/proxy;\nfastcgi_temp_path {folder}/fastcgi;\nuwsgi_temp_path {folder}/uwsgi;\n\
         scgi_temp_path {folder}/scgi;\nserver {{ listen 127.0.0.1:{port};\nlocation / {{\n\
         proxy_pass http://127.0.0.1:{};\nproxy_http_version 1.1;\nproxy_set_header Host $host;\n\
         proxy_set_header Connection \"\";\n}} }} }}\n",
        backend.port
    );
    let path = home.join("nginx.conf");
    fs::write(&path, config)?;
    let mut command = Command::new(program);
    command.arg("-p").arg(&home).arg("-e").arg(home.join("error.log")).arg("-c").arg(&path);
    relay(version, port, backend, &mut command, &home)
}

/// haproxy as a relay that keeps to its defaults.
pub(super) fn haproxy(workspace: &Workspace) -> Result<Front> {
    let (program, version) = program("haproxy", "-v")?;
    let backend = Backend::start()?;
    let home = fresh(workspace, "haproxy")?;
    let port = free_port()?;
    let config = format!(
        "global\n  maxconn 256\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 3s\n  timeout server 3s\n\
         frontend front\n  bind 127.0.0.1:{port}\n  default_backend back\n\
         backend back\n  server back 127.0.0.1:{}\n",
        backend.port
    );
    let path = home.join("haproxy.cfg");
    fs::write(&path, config)?;
    let mut command = Command::new(program);
    command.arg("-db").arg("-f").arg(&path);
    relay(version, port, backend, &mut command, &home)
}

fn relay(name: String, port: u16, backend: Backend, command: &mut Command, home: &Path) -> Result<Front> {
    let child = spawn(command, &home.join("output.log"))?;
    let mut front = Front { name, port, backend, child };
    wait(&mut front, home, || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())?;
    Ok(front)
}

fn spawn(command: &mut Command, log: &Path) -> Result<Child> {
    let log = File::create(log).context("cannot make a log")?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.spawn().with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))
}

fn wait(front: &mut Front, home: &Path, is_ready: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + READY;
    while Instant::now() < deadline {
        if is_ready() {
            return Ok(());
        }
        if let Some(status) = front.child.try_wait()? {
            bail!("{} ended with {status}; see {}", front.name, home.display());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("{} is not ready after {} s; see {}", front.name, READY.as_secs(), home.display())
}

/// The program and its name with version, from where Debian puts it.
fn program(name: &str, version: &str) -> Result<(PathBuf, String)> {
    for folder in ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"] {
        let path = Path::new(folder).join(name);
        if path.is_file() {
            let output = Command::new(&path).arg(version).output().with_context(|| format!("cannot run {name}"))?;
            let told = [output.stdout, output.stderr].concat();
            let told = String::from_utf8_lossy(&told);
            let digits = told.split(|it: char| !it.is_ascii_digit() && it != '.').find(|it| it.split('.').count() > 2);
            return Ok((path, format!("{name} {}", digits.unwrap_or_default())));
        }
    }
    bail!("{name} is not installed: apt-get install --no-install-recommends {name}")
}

/// An empty folder of that name.
fn fresh(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let folder = workspace.target.join("smuggling").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot clear {}", folder.display()))?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
