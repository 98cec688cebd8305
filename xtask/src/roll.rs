//! Rolling updates under load: is any request lost while a new server takes the place of an old one?
//!
//! A balancer in this process plays kube-proxy: it hands each connection to one of the servers that it knows, and learns of changes
//! late. In each cycle a new server starts and is added when it is ready; the old one gets SIGTERM at once, while the balancer goes on sending
//! connections there for a while. Clients keep their connections and never ask twice. A request without a good answer, a refused
//! connection or a server that ends badly fails the check.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;
use crate::{demo, http, process};

/// What a run does.
struct Plan {
    binary: PathBuf,
    cycles: usize,
}

const CLIENTS: usize = 8;
/// Requests are taken for so long after SIGTERM.
const DRAIN: Duration = Duration::from_millis(1500);
/// How late the balancer learns of an end, at most.
const LAG: Duration = Duration::from_millis(1200);
const READY: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(20);
const TIMEOUT: Duration = Duration::from_secs(10);
/// Faults that are shown.
const SHOWN: usize = 10;
/// MI's ports with an offset of 10, which is the default.
const HTTP: u16 = 8280;
const INTERNAL: u16 = 9191;

const API: &str = "<api xmlns=\"http://ws.apache.org/ns/synapse\" name=\"Roll\" context=\"/roll\"><resource methods=\"GET POST\"><inSequence>\
    <payloadFactory media-type=\"json\"><format>{\"rolled\":true}</format><args/></payloadFactory><respond/></inSequence></resource></api>";
const ANSWER: &str = "{\"rolled\":true}";

/// The step of CI.
pub(crate) fn short(workspace: &Workspace) -> Result<()> {
    run(workspace, &Plan { binary: workspace.binary()?, cycles: 4 })
}

/// `cargo xtask roll [--cycles N] [--binary PATH]`
pub(crate) fn command(workspace: &Workspace, args: &[&str]) -> Result<()> {
    let (mut binary, mut cycles) = (None, 20);
    let mut rest = args.iter();
    while let Some(option) = rest.next() {
        let value = rest.next().with_context(|| format!("`{option}` needs a value"))?;
        match *option {
            "--cycles" => cycles = value.parse()?,
            "--binary" => binary = Some(PathBuf::from(value)),
            other => bail!("no option `{other}`; there are --cycles and --binary"),
        }
    }
    let binary = binary.map_or_else(|| workspace.binary(), Ok)?;
    run(workspace, &Plan { binary, cycles })
}

fn run(workspace: &Workspace, plan: &Plan) -> Result<()> {
    let home = workspace.target.join("roll-home");
    if home.exists() {
        fs::remove_dir_all(&home).context("cannot clear the home of the roll test")?;
    }
    let apis = home.join("repository/deployment/server/synapse-configs/default/api");
    fs::create_dir_all(&apis)?;
    fs::create_dir_all(home.join("conf"))?;
    fs::write(home.join("conf/deployment.toml"), "[server]\nhostname = \"localhost\"\nhot_deployment = false\n")?;
    fs::write(apis.join("Roll.xml"), API)?;
    let begun = Instant::now();
    let mut server = start(plan, &home)?;
    let balancer = Balancer::start(server.http)?;
    let load = Load::start(balancer.port);
    let mut outcome = Ok(());
    for cycle in 0..plan.cycles {
        outcome = cycle_once(plan, &home, &balancer, &mut server, cycle);
        if outcome.is_err() {
            break;
        }
    }
    let (good, faults) = load.stop();
    let refused = balancer.refused.load(Ordering::Relaxed);
    process::kill(&mut server.child);
    println!(
        "{} cycles, {good} good answers, {} failed, {refused} refused connections, {:.0} s",
        plan.cycles,
        faults.len(),
        begun.elapsed().as_secs_f64()
    );
    outcome?;
    for fault in faults.iter().take(SHOWN) {
        println!("  {fault}");
    }
    if !faults.is_empty() || refused > 0 {
        bail!("requests were lost");
    }
    // A load that never ran proves nothing.
    if good < plan.cycles * 100 {
        bail!("only {good} requests were answered");
    }
    Ok(())
}

/// A new server, SIGTERM for the old one, and the balancer that learns of it late.
fn cycle_once(plan: &Plan, home: &Path, balancer: &Balancer, old: &mut Server, cycle: usize) -> Result<()> {
    let mut new = start(plan, home)?;
    balancer.knows(&[old.http, new.http]);
    process::run(Command::new("kill").args(["-TERM", &old.child.id().to_string()]))?;
    // From none to the longest lag.
    std::thread::sleep(LAG * (cycle as u32 % 4) / 3);
    balancer.knows(&[new.http]);
    std::mem::swap(old, &mut new);
    let deadline = Instant::now() + STOP;
    loop {
        if let Some(status) = new.child.try_wait()? {
            if !status.success() {
                bail!("a server ended with {status}; its log: {}", home.join("server.log").display());
            }
            return Ok(());
        }
        if Instant::now() > deadline {
            process::kill(&mut new.child);
            bail!("a server did not end within {} s of SIGTERM", STOP.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

struct Server {
    child: Child,
    http: u16,
}

/// Starts a server on ports of its own and waits until it is ready.
fn start(plan: &Plan, home: &Path) -> Result<Server> {
    let offset = demo::free_offset()?;
    let log = fs::OpenOptions::new().create(true).append(true).open(home.join("server.log"))?;
    let mut command = Command::new(&plan.binary);
    command.arg("--home").arg(home).arg(format!("-DportOffset={offset}"));
    command.arg(format!("-DdrainDelay={}", DRAIN.as_millis()));
    command.stdout(Stdio::from(log.try_clone()?)).stderr(Stdio::from(log));
    let mut child = command.spawn().with_context(|| format!("cannot start {}", plan.binary.display()))?;
    let deadline = Instant::now() + READY;
    while Instant::now() < deadline {
        if http::request(INTERNAL + offset, "GET", "/healthz", &[], "").is_ok_and(|it| it.status == 200) {
            return Ok(Server { child, http: HTTP + offset });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    process::kill(&mut child);
    bail!("a server was not ready within {} s; its log: {}", READY.as_secs(), home.join("server.log").display());
}

/// Hands connections to servers.
struct Balancer {
    port: u16,
    servers: Arc<Mutex<Vec<u16>>>,
    refused: Arc<AtomicUsize>,
}

impl Balancer {
    fn start(server: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot open the balancer")?;
        let port = listener.local_addr()?.port();
        let (servers, refused) = (Arc::new(Mutex::new(vec![server])), Arc::new(AtomicUsize::new(0)));
        let (known, counted) = (servers.clone(), refused.clone());
        std::thread::spawn(move || {
            let next = AtomicU16::new(0);
            for client in listener.incoming().flatten() {
                let server = {
                    let servers = known.lock().unwrap_or_else(PoisonError::into_inner);
                    servers[usize::from(next.fetch_add(1, Ordering::Relaxed)) % servers.len()]
                };
                match TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, server)), TIMEOUT) {
                    Ok(server) => join(&client, &server),
                    Err(_) => {
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
        Ok(Self { port, servers, refused })
    }

    fn knows(&self, servers: &[u16]) {
        *self.servers.lock().unwrap_or_else(PoisonError::into_inner) = servers.to_vec();
    }
}

/// Copies both ways until one side closes.
fn join(client: &TcpStream, server: &TcpStream) {
    for (from, to) in [(client, server), (server, client)] {
        // A socket that cannot be shared ends the connection, which the client counts.
        if let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) {
            std::thread::spawn(move || {
                // The other side sees the end either way.
                std::io::copy(&mut from, &mut to).ok();
                to.shutdown(std::net::Shutdown::Write).ok();
            });
        }
    }
}

/// Clients that ask all the time.
struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<std::thread::JoinHandle<(usize, Vec<String>)>>,
}

impl Load {
    fn start(port: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = (0..CLIENTS).map(|number| {
            let stop = stop.clone();
            std::thread::spawn(move || client(port, number, &stop))
        });
        Self { clients: clients.collect(), stop }
    }

    /// Good answers, and what went wrong.
    fn stop(self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = (0, Vec::new());
        for client in self.clients {
            match client.join() {
                Ok((good, faults)) => {
                    all.0 += good;
                    all.1.extend(faults);
                }
                Err(_) => all.1.push("a client broke off".to_owned()),
            }
        }
        all
    }
}

fn client(port: u16, number: usize, stop: &AtomicBool) -> (usize, Vec<String>) {
    let (mut good, mut faults) = (0, Vec::new());
    let mut kept: Option<BufReader<TcpStream>> = None;
    while !stop.load(Ordering::Relaxed) {
        let reused = kept.is_some();
        match exchange(port, number, &mut kept) {
            Ok(()) => good += 1,
            Err(error) => {
                faults.push(format!("on a {} connection: {error:#}", if reused { "kept" } else { "new" }));
                kept = None;
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    (good, faults)
}

/// One request on the kept connection, or a new one.
fn exchange(port: u16, number: usize, kept: &mut Option<BufReader<TcpStream>>) -> Result<()> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("cannot connect")?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            stream.set_nodelay(true)?;
            BufReader::new(stream)
        }
    };
    let request = if number.is_multiple_of(2) {
        "GET /roll HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned()
    } else {
        let body = "x".repeat(number * 200);
        format!(
            "POST /roll HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    connection.get_mut().write_all(request.as_bytes()).context("cannot send")?;
    let (mut length, mut closes, mut status) = (None, false, String::new());
    loop {
        let mut line = String::new();
        if connection.read_line(&mut line).context("no answer")? == 0 {
            bail!("the connection was closed before the answer");
        }
        let line = line.trim_end().to_ascii_lowercase();
        match line.split_once(':') {
            _ if line.is_empty() => break,
            Some(("content-length", value)) => length = value.trim().parse::<usize>().ok(),
            Some(("connection", value)) => closes = value.trim() == "close",
            _ if status.is_empty() => status = line,
            _ => {}
        }
    }
    let mut body = vec![0; length.context("an answer without a length")?];
    connection.read_exact(&mut body).context("the answer broke off")?;
    if !status.starts_with("http/1.1 200") || body != ANSWER.as_bytes() {
        bail!("{status}: {}", String::from_utf8_lossy(&body));
    }
    if !closes {
        *kept = Some(connection);
    }
    Ok(())
}
