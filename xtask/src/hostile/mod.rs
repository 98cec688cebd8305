//! `hostile`: what only a whole server can show, from outside: a thousand requests in one piece, half requests beside whole ones, no descriptors left,
//! an output that nobody reads, a flow that calls itself, bodies larger than any memory, and secrets that must show nowhere.
//!
//! No check looks at times; each waits for an answer and gives up at a deadline.

mod canaries;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::workspace::Workspace;
use crate::{demo, http, process};

/// What a run does.
struct Plan {
    binary: PathBuf,
    /// Megabytes of the large bodies.
    megabytes: u64,
    home: PathBuf,
}

/// A check by its name.
type Check = (&'static str, fn(&Plan) -> Result<String>);

const CHECKS: [Check; 7] = [
    ("pipelining", pipelining),
    ("slow clients", slow_clients),
    ("descriptors", descriptors),
    ("blocked output", blocked_output),
    ("loop", a_flow_that_calls_itself),
    ("large bodies", large_bodies),
    ("secrets", canaries::run),
];
const READY: Duration = Duration::from_mins(1);
const TIMEOUT: Duration = Duration::from_secs(30);
/// MI's ports with an offset of 10, which is the default.
const HTTP: u16 = 8280;
const INTERNAL: u16 = 9191;
const SYNAPSE: &str = "repository/deployment/server/synapse-configs/default";
/// What a relay may take more at its peak, whatever goes through it. A body that is held in memory is far above.
const ROOM: u64 = 64 << 10;
const MEGABYTE: usize = 1 << 20;

/// The step of CI.
pub(crate) fn short(workspace: &Workspace) -> Result<()> {
    run(workspace, workspace.binary()?, 512)
}

/// `cargo xtask hostile [--megabytes N] [--binary PATH]`
pub(crate) fn command(workspace: &Workspace, args: &[&str]) -> Result<()> {
    let (mut binary, mut megabytes) = (None, 512);
    let mut rest = args.iter();
    while let Some(option) = rest.next() {
        let value = rest.next().with_context(|| format!("`{option}` needs a value"))?;
        match *option {
            "--megabytes" => megabytes = value.parse()?,
            "--binary" => binary = Some(PathBuf::from(value)),
            other => bail!("no option `{other}`; there are --megabytes and --binary"),
        }
    }
    let binary = binary.map_or_else(|| workspace.binary(), Ok)?;
    run(workspace, binary, megabytes)
}

fn run(workspace: &Workspace, binary: PathBuf, megabytes: u64) -> Result<()> {
    let plan = Plan { binary, megabytes, home: workspace.target.join("hostile-home") };
    let mut failed = Vec::new();
    for (name, check) in CHECKS {
        match check(&plan) {
            Ok(seen) => println!("{name:<16}{seen}"),
            Err(error) => {
                println!("{name:<16}FAILED: {error:#}");
                failed.push(name);
            }
        }
    }
    if !failed.is_empty() {
        bail!("failed: {}; the log of the last: {}", failed.join(", "), plan.home.join("server.log").display());
    }
    Ok(())
}

/// A server that ends with the value.
struct Server {
    child: Child,
    offset: u16,
}

impl Server {
    /// With an empty home but for what `fill` puts there; `before` is what a shell does first, such as a limit. Output goes to
    /// `server.log`, or to a pipe that is the caller's.
    fn start(plan: &Plan, before: &str, output: Output, fill: impl FnOnce(&Home) -> Result<()>) -> Result<Self> {
        if plan.home.exists() {
            fs::remove_dir_all(&plan.home).context("cannot clear the home")?;
        }
        let offset = demo::free_offset()?;
        let home = Home { folder: plan.home.clone(), port: HTTP + offset };
        home.file("conf/deployment.toml", "[server]\nhostname = \"localhost\"\nhot_deployment = false\n")?;
        home.api("Echo", "/echo", "<respond/>")?;
        fill(&home)?;
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{before} exec \"$0\" \"$@\"")]).arg(&plan.binary).arg("--home").arg(&plan.home);
        command.arg(format!("-DportOffset={offset}")).stdin(Stdio::null()).env("CANARY_ENV", canaries::ENVIRONMENT);
        let log = File::create(plan.home.join("server.log"))?;
        match output {
            Output::File => command.stdout(log.try_clone()?).stderr(log),
            Output::Pipe => command.stdout(Stdio::piped()).stderr(log),
        };
        let child = command.spawn().with_context(|| format!("cannot start {}", plan.binary.display()))?;
        let server = Self { child, offset };
        let deadline = Instant::now() + READY;
        while Instant::now() < deadline {
            // Any answer: a faulty artifact keeps it from being ready, and is what some checks deploy.
            if http::request(server.internal(), "GET", "/healthz", &[], "").is_ok()
                && http::request(server.port(), "POST", "/echo/up", &[], "up").is_ok_and(|it| it.status == 200)
            {
                return Ok(server);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("the server was not there within {} s", READY.as_secs())
    }

    fn port(&self) -> u16 {
        HTTP + self.offset
    }

    fn internal(&self) -> u16 {
        INTERNAL + self.offset
    }

    /// Kilobytes that the process had at its peak.
    fn peak(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:")).context("no VmHWM")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// A request that has nothing to do with the others is answered, and the process is the one that was started.
    fn is_well(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the server ended with {status}");
        }
        let answer = http::request(self.port(), "POST", "/echo/well", &[], "well")?;
        ensure!(answer.status == 200 && answer.body == "well", "a good request got {answer:?}");
        let probe = http::request(self.internal(), "GET", "/liveness", &[], "")?;
        ensure!(probe.status == 200, "the liveness probe got {probe:?}");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        process::kill(&mut self.child);
    }
}

enum Output {
    File,
    Pipe,
}

/// The home of a server before it starts.
struct Home {
    folder: PathBuf,
    /// Where the server will listen.
    port: u16,
}

impl Home {
    fn file(&self, path: &str, text: &str) -> Result<()> {
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
        Ok(fs::write(path, text)?)
    }

    fn artifact(&self, folder: &str, name: &str, text: &str) -> Result<()> {
        self.file(&format!("{SYNAPSE}/{folder}/{name}.xml"), text)
    }

    fn api(&self, name: &str, context: &str, flow: &str) -> Result<()> {
        let text = format!(
            "<api xmlns=\"http://ws.apache.org/ns/synapse\" name=\"{name}\" context=\"{context}\">\
             <resource methods=\"GET POST\" uri-template=\"/*\"><inSequence>{flow}</inSequence><faultSequence>\
             <property name=\"HTTP_SC\" value=\"500\" scope=\"axis2\"/><respond/></faultSequence></resource></api>"
        );
        self.artifact("api", name, &text)
    }
}

/// A connection that stays open.
struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.get_mut().write_all(bytes)?)
    }

    /// Status and body of the next answer; of a body above a megabyte only its length is of use.
    fn answer(&mut self) -> Result<(u16, Vec<u8>)> {
        let (status, length) = self.head()?;
        let mut body = Vec::new();
        if let Some(length) = length {
            (&mut self.stream).take(length).read_to_end(&mut body)?;
            return Ok((status, body));
        }
        loop {
            let size = self.line()?;
            let size = u64::from_str_radix(&size, 16).with_context(|| format!("`{size}` is no size of a chunk"))?;
            (&mut self.stream).take(size).read_to_end(&mut body)?;
            self.line()?;
            if size == 0 {
                return Ok((status, body));
            }
        }
    }

    /// Status, and the length where there is one.
    fn head(&mut self) -> Result<(u16, Option<u64>)> {
        let first = self.line()?;
        let status = first.split(' ').nth(1).and_then(|it| it.parse().ok()).with_context(|| format!("`{first}`"))?;
        let (mut length, mut chunked) = (None, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                return Ok((status, if chunked { None } else { Some(length.unwrap_or(0)) }));
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = Some(value.trim().parse()?);
            }
            chunked |= line.starts_with("transfer-encoding:");
        }
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.stream.read_line(&mut line)? > 0, "the connection ended");
        Ok(line.trim_end().to_owned())
    }
}

fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A thousand requests in one piece, with half of another behind them: answered in order, the half when its rest has come.
fn pipelining(plan: &Plan) -> Result<String> {
    const REQUESTS: usize = 1000;
    let mut server = Server::start(plan, "", Output::File, |_| Ok(()))?;
    let mut all: String = (0..REQUESTS).fold(String::new(), |all, it| all + &post("/echo/x", &format!("number {it}")));
    let last = post("/echo/x", "the last");
    let (half, rest) = last.split_at(last.len() - 12);
    all.push_str(half);
    let mut client = Client::connect(server.port())?;
    client.send(all.as_bytes())?;
    for number in 0..REQUESTS {
        let (status, body) = client.answer().with_context(|| format!("answer {number}"))?;
        ensure!(status == 200 && body == format!("number {number}").as_bytes(), "answer {number}: {status} {body:?}");
    }
    client.send(rest.as_bytes())?;
    let (status, body) = client.answer()?;
    ensure!(status == 200 && body == b"the last", "the cut request: {status} {body:?}");
    server.is_well()?;
    Ok(format!("{REQUESTS} requests in one piece of {} bytes were answered in order", all.len()))
}

/// Clients that stop within the head, within the body, and before the answer is read, beside one that does none of it.
fn slow_clients(plan: &Plan) -> Result<String> {
    const EACH: usize = 300;
    const GOOD: usize = 500;
    let mut server = Server::start(plan, "", Output::File, |_| Ok(()))?;
    let mut slow = Vec::new();
    let large = "x".repeat(4 * MEGABYTE);
    for number in 0..EACH {
        let mut head = Client::connect(server.port())?;
        head.send(b"POST /echo/x HTTP/1.1\r\nHost: h\r\nX-Slow: ")?;
        let mut body = Client::connect(server.port())?;
        body.send(b"POST /echo/x HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nonly this")?;
        slow.extend([head, body]);
        // A few whose answer is larger than the buffers of the kernel.
        if number % 30 == 0 {
            let reader = Client::connect(server.port())?;
            let mut writer = reader.stream.get_ref().try_clone()?;
            let request = post("/echo/x", &large);
            // It ends when the socket does; what it could not send is the point of it.
            std::thread::spawn(move || writer.write_all(request.as_bytes()).unwrap_or_default());
            slow.push(reader);
        }
    }
    let mut good = Client::connect(server.port())?;
    for number in 0..GOOD {
        good.send(post("/echo/x", "good").as_bytes())?;
        let (status, body) = good.answer().with_context(|| format!("request {number}"))?;
        ensure!(status == 200 && body == b"good", "request {number}: {status}");
    }
    server.is_well()?;
    Ok(format!("{GOOD} good answers beside {} connections that stand still", slow.len()))
}

/// More connections than there are descriptors: the server waits, and goes on when they are closed.
fn descriptors(plan: &Plan) -> Result<String> {
    const CONNECTIONS: usize = 400;
    let mut server = Server::start(plan, "ulimit -n 256;", Output::File, |_| Ok(()))?;
    let mut held = Vec::new();
    let mut answered = 0;
    for _ in 0..CONNECTIONS {
        let mut client = Client::connect(server.port())?;
        client.send(post("/echo/x", "held").as_bytes())?;
        held.push(client);
    }
    // Those that were accepted are served, though no other can be. The first hundred come before the descriptors end.
    for client in held.iter_mut().take(100) {
        let (status, body) = client.answer()?;
        ensure!(status == 200 && body == b"held", "a held connection got {status}");
        answered += 1;
    }
    let open = fs::read_dir(format!("/proc/{}/fd", server.child.id()))?.count();
    ensure!(open > 240, "only {open} descriptors are open: the limit was not reached");
    drop(held);
    let deadline = Instant::now() + READY;
    while let Err(error) = server.is_well() {
        ensure!(Instant::now() < deadline, "the server does not come back: {error:#}");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(format!(
        "{answered} answers with {open} of 256 descriptors in use; the next request after they were closed is answered"
    ))
}

/// Nobody reads standard output: messages are answered all the same, and lines come again when somebody does.
fn blocked_output(plan: &Plan) -> Result<String> {
    const REQUESTS: usize = 2500;
    const LINES: usize = 10;
    let line = format!("<log level=\"custom\"><property name=\"text\" value=\"{}\"/></log>", "flood ".repeat(40));
    let mut server = Server::start(plan, "", Output::Pipe, |home| {
        home.api("Flood", "/flood", &(line.repeat(LINES) + "<respond/>"))?;
        home.api("Mark", "/mark", "<log level=\"custom\"><property name=\"mark\" value=\"the-end\"/></log><respond/>")
    })?;
    let mut client = Client::connect(server.port())?;
    for number in 0..REQUESTS {
        client.send(post("/flood/x", "x").as_bytes())?;
        let (status, _) = client.answer().with_context(|| format!("request {number}"))?;
        ensure!(status == 200, "request {number} got {status}");
    }
    server.is_well()?;
    let output = server.child.stdout.take().context("no pipe")?;
    let (told, seen) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut lines = 0_usize;
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            lines += 1;
            if line.contains("the-end") && told.send(lines).is_err() {
                return;
            }
        }
    });
    // A mark may fall into a queue that is still full: then it is one of those that are dropped, and the next one comes.
    let deadline = Instant::now() + READY;
    let lines = loop {
        client.send(post("/mark/x", "x").as_bytes())?;
        ensure!(client.answer()?.0 == 200, "the mark got no answer");
        match seen.recv_timeout(Duration::from_millis(500)) {
            Ok(lines) => break lines,
            Err(_) => ensure!(Instant::now() < deadline, "no line comes any more"),
        }
    };
    Ok(format!("{REQUESTS} answers while {} lines had nowhere to go; {lines} lines came afterwards", REQUESTS * LINES))
}

/// A flow that calls itself ends by a limit, with a fault, and the server is as before.
fn a_flow_that_calls_itself(plan: &Plan) -> Result<String> {
    let mut server = Server::start(plan, "ulimit -n 512;", Output::File, |home| {
        let flow = format!(
            "<call><endpoint><http method=\"post\" uri-template=\"http://127.0.0.1:{}/loop/x\"><timeout><duration>3000</duration>\
             <responseAction>fault</responseAction></timeout></http></endpoint></call><respond/>",
            home.port
        );
        home.api("Loop", "/loop", &flow)
    })?;
    let mut client = Client::connect(server.port())?;
    client.send(post("/loop/x", "round and round").as_bytes())?;
    let (status, _) = client.answer()?;
    ensure!(status >= 500, "a flow without end was answered with {status}");
    let deadline = Instant::now() + READY;
    while let Err(error) = server.is_well() {
        ensure!(Instant::now() < deadline, "the server does not come back: {error:#}");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(format!("answered with {status}, {} KB at the peak", server.peak()?))
}

/// Bodies that no memory would hold go up and come down through a relay in pieces.
fn large_bodies(plan: &Plan) -> Result<String> {
    let size = plan.megabytes * MEGABYTE as u64;
    let back_end = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = back_end.local_addr()?.port();
    std::thread::spawn(move || {
        for stream in back_end.incoming().flatten() {
            // A server that breaks off is seen by the client of this check.
            std::thread::spawn(move || take_and_give(stream, size).unwrap_or_default());
        }
    });
    let mut server = Server::start(plan, "", Output::File, |home| {
        let endpoint = format!("<endpoint><http uri-template=\"http://127.0.0.1:{port}/x\"/></endpoint>");
        home.api("Relay", "/relay", &format!("<call>{endpoint}</call><respond/>"))
    })?;
    // One small message first, so that what it takes to relay at all is there.
    let small = exchange(server.port(), 0, 10)?;
    ensure!(small == (size, 10), "a small request and its answer: {small:?}");
    let before = server.peak()?;
    let seen = exchange(server.port(), plan.megabytes, 0)?;
    ensure!(seen == (size, size), "of {size} bytes {} went up and {} came down", seen.1, seen.0);
    let after = server.peak()?;
    ensure!(after < before + ROOM, "the peak grew from {before} to {after} KB");
    server.is_well()?;
    Ok(format!("{} MB up and {} MB down; the peak grew from {before} to {after} KB", plan.megabytes, plan.megabytes))
}

/// Sends megabytes and some bytes; what came down, and what the back end says that it got.
fn exchange(port: u16, megabytes: u64, bytes: usize) -> Result<(u64, u64)> {
    let mut client = Client::connect(port)?;
    let length = megabytes * MEGABYTE as u64 + bytes as u64;
    let head =
        format!("POST /relay/x HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n");
    client.send(head.as_bytes())?;
    let block = vec![b'u'; MEGABYTE];
    for _ in 0..megabytes {
        client.send(&block)?;
    }
    client.send(&block[..bytes])?;
    let (status, down) = client.head()?;
    ensure!(status == 200, "the relay answered {status}");
    let (mut came, mut text, mut buffer) = (0, Vec::new(), vec![0; MEGABYTE]);
    loop {
        // Of a chunked body the frame is read here.
        let mut left = match down {
            Some(length) => length - came,
            None => u64::from_str_radix(&client.line()?, 16)?,
        };
        let last = left == 0;
        while left > 0 {
            let wanted = usize::try_from(left.min(MEGABYTE as u64))?;
            let read = client.stream.read(&mut buffer[..wanted])?;
            ensure!(read > 0, "the answer ended after {came} bytes");
            if text.len() < 20 {
                text.extend(&buffer[..read.min(20)]);
            }
            (came, left) = (came + read as u64, left - read as u64);
        }
        if last {
            break;
        }
        if down.is_none() {
            client.line()?;
        }
    }
    // The back end begins with the number of bytes that it got.
    let digits = text.iter().position(|it: &u8| !it.is_ascii_digit()).unwrap_or(text.len());
    Ok((came, std::str::from_utf8(&text[..digits])?.parse()?))
}

/// The back end: takes a body with a length or in chunks, and answers with as many bytes as it is told.
fn take_and_give(stream: TcpStream, size: u64) -> Result<()> {
    let mut out = stream.try_clone()?;
    let mut client = Client { stream: BufReader::new(stream) };
    loop {
        let (mut length, mut chunked) = (0, false);
        client.line()?;
        loop {
            let line = client.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            chunked |= line.starts_with("transfer-encoding:");
        }
        if chunked {
            loop {
                let chunk = u64::from_str_radix(&client.line()?, 16)?;
                std::io::copy(&mut (&mut client.stream).take(chunk), &mut std::io::sink())?;
                client.line()?;
                if chunk == 0 {
                    break;
                }
                length += chunk;
            }
        } else {
            std::io::copy(&mut (&mut client.stream).take(length), &mut std::io::sink())?;
        }
        write!(out, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {size}\r\n\r\n")?;
        let first = format!("{length} ");
        out.write_all(first.as_bytes())?;
        std::io::copy(&mut std::io::repeat(b'd').take(size - first.len() as u64), &mut out)?;
    }
}
