//! Servers that are killed while they work: is anything lost, is anything done twice by another name?
//!
//! Three flows begin with files: `copy` writes them to another folder, `store` puts them into a durable store from which a
//! processor sends them to a back end, `direct` calls that back end. The server gets SIGKILL at random moments, again and
//! again, while files keep coming. In the end every file is where it should be, exactly once among the processed ones, and
//! what reached the back end more than once came with the same `IDEMPOTENCY_KEY` each time. Then the same with SIGTERM, after
//! which nothing comes twice at all, and two servers share a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;
use crate::{demo, process};

/// What a run does.
#[derive(Clone, Debug)]
struct Plan {
    binary: PathBuf,
    /// How often the server is killed.
    kills: usize,
    /// How often it is asked to end.
    terms: usize,
    /// Files for two servers on one folder.
    shared: usize,
    /// Do the files have a journal?
    journal: bool,
    seed: u64,
}

const FLOWS: [&str; 3] = ["copy", "store", "direct"];
/// Files of each flow that come before a start of the server.
const FILES_IN_A_ROUND: usize = 40;
/// A server lives for up to so long before it is killed.
const LONGEST_LIFE: Duration = Duration::from_millis(400);
/// One that is asked to end lives for so long at least.
const SHORTEST_TOLD: Duration = Duration::from_millis(200);
/// How long everything may take that is left at the end.
const SETTLE: Duration = Duration::from_mins(2);
const STOP_LIMIT: Duration = Duration::from_secs(20);
const SYNAPSE: &str = "repository/deployment/server/synapse-configs/default";
/// The end of each file, by which the back end knows that it has all of it.
const END: &str = ":end";

/// The step of CI: few kills, few files.
pub(crate) fn short(workspace: &Workspace) -> Result<()> {
    run(workspace, &Plan { binary: workspace.binary()?, kills: 12, terms: 3, shared: 300, journal: false, seed: now() })
}

/// `cargo xtask crash [--kills N] [--terms N] [--shared N] [--journal BOOL] [--seed N] [--binary PATH]`
pub(crate) fn command(workspace: &Workspace, args: &[&str]) -> Result<()> {
    let mut plan = Plan { binary: PathBuf::new(), kills: 200, terms: 20, shared: 3000, journal: false, seed: now() };
    let mut rest = args.iter();
    while let Some(option) = rest.next() {
        let value = rest.next().with_context(|| format!("`{option}` needs a value"))?;
        match *option {
            "--kills" => plan.kills = value.parse()?,
            "--terms" => plan.terms = value.parse()?,
            "--shared" => plan.shared = value.parse()?,
            "--journal" => plan.journal = value.parse()?,
            "--seed" => plan.seed = value.parse()?,
            "--binary" => plan.binary = PathBuf::from(value),
            other => bail!("no option `{other}`; there are --kills, --terms, --shared, --journal, --seed and --binary"),
        }
    }
    if plan.binary.as_os_str().is_empty() {
        plan.binary = workspace.binary()?;
    }
    run(workspace, &plan)
}

fn run(workspace: &Workspace, plan: &Plan) -> Result<()> {
    let home = workspace.target.join("crash-home");
    if home.exists() {
        fs::remove_dir_all(&home).context("cannot clear the home of the crash test")?;
    }
    println!("seed {}", plan.seed);
    let backend = Backend::start()?;
    ended(plan, End::Kill, &home.join("killed"), &backend)?;
    ended(plan, End::Term, &home.join("told"), &Backend::start()?)?;
    shared(plan, &home.join("shared"), &backend)
}

/// How a server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// At once, wherever it is.
    Kill,
    /// When it has finished what it had begun.
    Term,
}

/// Ends a server again and again.
fn ended(plan: &Plan, end: End, home: &Path, backend: &Backend) -> Result<()> {
    let rounds = if end == End::Kill { plan.kills } else { plan.terms };
    let begun = Instant::now();
    let files = home.join("files");
    deploy(home, &files, backend.port, &FLOWS, true, plan.journal)?;
    let offset = demo::free_offset()?;
    let mut random = Random(plan.seed | 1);
    let mut expected = BTreeSet::new();
    let mut longest = Duration::ZERO;
    for round in 0..rounds {
        for number in 0..FILES_IN_A_ROUND {
            let id = format!("{round}-{number}.txt");
            for flow in FLOWS {
                drop_file(&files.join(flow).join("in"), &id)?;
            }
            expected.insert(id);
        }
        let mut server = start(plan, home, offset)?;
        let life = Duration::from_millis(random.below(LONGEST_LIFE.as_millis() as u64));
        // Who asks waits until there is somebody who listens.
        std::thread::sleep(if end == End::Term { SHORTEST_TOLD + life } else { life });
        if let Some(status) = server.try_wait()? {
            bail!("the server ended by itself with {status}; its log: {}", home.join("server.log").display());
        }
        let asked = Instant::now();
        match end {
            End::Kill => process::kill(&mut server),
            End::Term => {
                let status = process::terminate(&mut server, STOP_LIMIT)?;
                if !status.success() {
                    bail!("SIGTERM ended the server with {status}; its log: {}", home.join("server.log").display());
                }
            }
        }
        longest = longest.max(asked.elapsed());
    }
    let mut server = start(plan, home, offset)?;
    let settled = settle(|| missing(&files, &expected, backend).is_empty());
    process::terminate(&mut server, STOP_LIMIT)?;
    let missing = missing(&files, &expected, backend);
    let mut faults: Vec<String> = missing.iter().take(20).cloned().collect();
    let mut duplicates = 0;
    for flow in FLOWS {
        for name in names(&files.join(flow).join("done"))?.difference(&expected) {
            faults.push(format!("{flow}: {name} was processed and moved twice"));
        }
        for name in names(&files.join(flow).join("failed"))? {
            faults.push(format!("{flow}: {name} counts as failed"));
        }
        for (id, keys) in backend.seen(flow) {
            duplicates += keys.len() - 1;
            if end == End::Term && keys.len() > 1 {
                faults.push(format!("{flow}: {id} came {} times, and nothing was killed", keys.len()));
            }
            if keys.iter().any(|key| *key != keys[0] || key.is_empty()) {
                faults.push(format!("{flow}: {id} came with different keys: {keys:?}"));
            }
        }
    }
    for name in names(&files.join("copy/out"))? {
        let content = fs::read_to_string(files.join("copy/out").join(&name))?;
        if content != content_of(&name) {
            faults.push(format!("copy: {name} is not what it was: {content:?}"));
        }
    }
    println!(
        "{rounds} {}, {} files in each of {} flows: {} lost, {duplicates} sent again with the same key, the longest end {:.1} s, {:.0} s",
        if end == End::Kill { "kills" } else { "ends by SIGTERM" },
        expected.len(),
        FLOWS.len(),
        missing.len(),
        longest.as_secs_f64(),
        begun.elapsed().as_secs_f64()
    );
    report(&faults, settled, &home.join("server.log"))
}

/// Two servers on one folder.
fn shared(plan: &Plan, home: &Path, backend: &Backend) -> Result<()> {
    const FLOW: &str = "shared";
    let begun = Instant::now();
    let files = home.join("files");
    let homes = [home.join("one"), home.join("other")];
    for home in &homes {
        deploy(home, &files, backend.port, &[FLOW], false, plan.journal)?;
    }
    let expected: BTreeSet<String> = (0..plan.shared).map(|number| format!("{number}.txt")).collect();
    let mut servers = Vec::new();
    for home in &homes {
        servers.push(start(plan, home, demo::free_offset()?)?);
        // The ports of the first one are taken when those of the second are looked for.
        wait_until_started(home)?;
    }
    // Both poll by now, so that neither has the folder to itself.
    for id in &expected {
        drop_file(&files.join(FLOW).join("in"), id)?;
    }
    let settled = settle(|| names(&files.join(FLOW).join("done")).is_ok_and(|done| done.len() >= expected.len()));
    for server in &mut servers {
        process::terminate(server, STOP_LIMIT)?;
    }
    let seen = backend.seen(FLOW);
    let mut faults: Vec<String> = seen
        .iter()
        .filter(|(_, keys)| keys.len() != 1)
        .map(|(id, keys)| format!("{id} was taken {} times", keys.len()))
        .collect();
    let doubles = faults.len();
    faults.extend(expected.iter().filter(|id| !seen.contains_key(*id)).map(|id| format!("{id} is lost")));
    let done = names(&files.join(FLOW).join("done"))?;
    faults.extend(done.symmetric_difference(&expected).map(|id| format!("{id} is not done exactly once")));
    for server in ["one", "other"].into_iter().filter(|it| backend.share(it) == 0) {
        faults.push(format!("the server '{server}' took nothing, so that nothing was contended for"));
    }
    println!(
        "two servers, {} files: {doubles} claimed twice, {} taken by the one and {} by the other, {:.0} s",
        expected.len(),
        backend.share("one"),
        backend.share("other"),
        begun.elapsed().as_secs_f64()
    );
    report(&faults, settled, &homes[0].join("server.log"))
}

fn report(faults: &[String], settled: bool, log: &Path) -> Result<()> {
    for fault in faults.iter().take(40) {
        println!("FAIL {fault}");
    }
    if !faults.is_empty() || !settled {
        bail!("{} faults; the server's log: {}", faults.len(), log.display());
    }
    Ok(())
}

/// What is not where it should be yet.
fn missing(files: &Path, expected: &BTreeSet<String>, backend: &Backend) -> Vec<String> {
    let mut missing = Vec::new();
    for flow in FLOWS {
        let arrived: BTreeSet<String> = match flow {
            "copy" => names(&files.join("copy/out")).unwrap_or_default(),
            sent => backend.seen(sent).into_keys().collect(),
        };
        let done = names(&files.join(flow).join("done")).unwrap_or_default();
        for id in expected {
            if !arrived.contains(id) {
                missing.push(format!("{flow}: {id} did not arrive"));
            }
            if !done.contains(id) {
                missing.push(format!("{flow}: {id} is not among the processed files"));
            }
        }
    }
    missing
}

fn settle(done: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + SETTLE;
    while Instant::now() < deadline {
        if done() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    false
}

/// Waits until the server of `home` says that it has started.
fn wait_until_started(home: &Path) -> Result<()> {
    let log = home.join("server.log");
    let started = || fs::read_to_string(&log).is_ok_and(|text| text.contains("Micro Integrator started in"));
    if settle(started) { Ok(()) } else { bail!("the server did not start; its log: {}", log.display()) }
}

fn start(plan: &Plan, home: &Path, offset: u16) -> Result<Child> {
    let output = File::options().append(true).create(true).open(home.join("server.log"))?;
    Command::new(&plan.binary)
        .arg("--home")
        .arg(home)
        .arg(format!("-DportOffset={offset}"))
        .env("CRASH_SERVER", home.file_name().unwrap_or_default())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .context("cannot start the server")
}

/// Names in a folder; what is hidden is being written.
fn names(folder: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && Path::new(&name).extension().is_none_or(|it| it != "lock") {
            names.insert(name);
        }
    }
    Ok(names)
}

fn content_of(id: &str) -> String {
    format!("{id}{}{END}", ":".repeat(900))
}

/// A file that appears whole.
fn drop_file(folder: &Path, id: &str) -> Result<()> {
    let part = folder.join(format!(".{id}.part"));
    fs::write(&part, content_of(id))?;
    fs::rename(part, folder.join(id)).context("cannot put a file into the folder")
}

/// Writes the configuration of a server.
fn deploy(home: &Path, files: &Path, backend: u16, flows: &[&str], sequential: bool, journal: bool) -> Result<()> {
    let artifacts = home.join(SYNAPSE);
    let write = |folder: &str, name: &str, xml: String| -> Result<()> {
        fs::create_dir_all(artifacts.join(folder))?;
        fs::write(artifacts.join(folder).join(format!("{name}.xml")), xml).context("cannot write an artifact")
    };
    fs::create_dir_all(home.join("conf"))?;
    fs::write(home.join("conf/deployment.toml"), "[server]\nhostname = \"localhost\"\n")?;
    for flow in flows {
        let folder = files.join(flow);
        for part in ["in", "out", "done", "failed"] {
            fs::create_dir_all(folder.join(part))?;
        }
        let address = |part: &str| format!("file://{}", folder.join(part).display());
        let mut parameters = vec![
            ("interval", "50".to_owned()),
            ("sequential", sequential.to_string()),
            ("transport.vfs.FileURI", address("in")),
            ("transport.vfs.ContentType", "text/plain".to_owned()),
            ("transport.vfs.ActionAfterProcess", "MOVE".to_owned()),
            ("transport.vfs.MoveAfterProcess", address("done")),
            ("transport.vfs.ActionAfterFailure", "MOVE".to_owned()),
            ("transport.vfs.MoveAfterFailure", address("failed")),
        ];
        if journal {
            parameters.push(("transport.vfs.ProcessedJournal", address("journal")));
        }
        let parameters: Vec<String> =
            parameters.iter().map(|(name, value)| format!("<parameter name=\"{name}\">{value}</parameter>")).collect();
        let parameters = parameters.concat();
        let inbound = format!(
            "<inboundEndpoint xmlns=\"{NS}\" name=\"{flow}\" sequence=\"{flow}\" protocol=\"file\" suspend=\"false\">\
             <parameters>{parameters}</parameters></inboundEndpoint>"
        );
        write("inbound-endpoints", flow, inbound)?;
        let url = format!("http://127.0.0.1:{backend}/{flow}");
        let end = match *flow {
            "copy" => format!(
                "<property name=\"transport.vfs.ReplyFileName\" expression=\"$trp:FILE_NAME\" scope=\"transport\"/>\
                 <property name=\"OUT_ONLY\" value=\"true\"/>\
                 <send><endpoint><address uri=\"vfs:{}\"/></endpoint></send>",
                address("out")
            ),
            "store" => "<property name=\"OUT_ONLY\" value=\"true\"/><store messageStore=\"Kept\"/>".to_owned(),
            _ => format!("<call><endpoint><address uri=\"{url}\"/></endpoint></call>"),
        };
        write("sequences", flow, format!("<sequence xmlns=\"{NS}\" name=\"{flow}\">{MARK}{end}</sequence>"))?;
        if *flow == "store" {
            write("message-stores", "Kept", format!("<messageStore xmlns=\"{NS}\" name=\"Kept\" class=\"durable\"/>"))?;
            write(
                "endpoints",
                "Kept",
                format!("<endpoint xmlns=\"{NS}\" name=\"Kept\"><address uri=\"{url}\"/></endpoint>"),
            )?;
            write(
                "message-processors",
                "Kept",
                format!(
                    "<messageProcessor xmlns=\"{NS}\" name=\"Kept\" messageStore=\"Kept\" targetEndpoint=\"Kept\" \
                 class=\"org.apache.synapse.message.processor.impl.forwarder.ScheduledMessageForwardingProcessor\">\
                 <parameter name=\"interval\">0</parameter><parameter name=\"is.active\">true</parameter></messageProcessor>"
                ),
            )?;
        }
    }
    Ok(())
}

const NS: &str = "http://ws.apache.org/ns/synapse";
/// What the back end is told of a message: its file, its key, and who sends it.
const MARK: &str = "<property name=\"X-Id\" expression=\"$trp:FILE_NAME\" scope=\"transport\"/>\
    <property name=\"X-Key\" expression=\"get-property('IDEMPOTENCY_KEY')\" scope=\"transport\"/>\
    <property name=\"X-Server\" expression=\"get-property('env', 'CRASH_SERVER')\" scope=\"transport\"/>";

/// Keys of each file of each flow, in the order in which they came.
type Seen = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// A back end that notes what it gets before it answers.
struct Backend {
    port: u16,
    seen: Arc<Mutex<Seen>>,
    shares: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Backend {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let (seen, shares) = (Arc::<Mutex<Seen>>::default(), Arc::<Mutex<BTreeMap<_, _>>>::default());
        let backend = Self { port, seen: seen.clone(), shares: shares.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, shares) = (seen.clone(), shares.clone());
                // A server that is killed in the middle of a request ends its connection; that is no message.
                std::thread::spawn(move || answer(stream, &seen, &shares).unwrap_or_default());
            }
        });
        Ok(backend)
    }

    fn seen(&self, flow: &str) -> BTreeMap<String, Vec<String>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(flow).cloned().unwrap_or_default()
    }

    /// Messages that came from a server.
    fn share(&self, server: &str) -> usize {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner).get(server).copied().unwrap_or_default()
    }
}

fn answer(mut stream: TcpStream, seen: &Mutex<Seen>, shares: &Mutex<BTreeMap<String, usize>>) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    while !bytes.windows(END.len()).any(|part| part == END.as_bytes()) {
        match stream.read(&mut chunk)? {
            0 => return Ok(()),
            read => bytes.extend_from_slice(&chunk[..read]),
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let header = |name: &str| {
        let line = text.lines().find(|line| line.to_ascii_lowercase().starts_with(name));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let flow = text.split('/').nth(1).and_then(|it| it.split(' ').next()).unwrap_or_default().to_owned();
    let (id, key, server) = (header("x-id:"), header("x-key:"), header("x-server:"));
    if !text.contains(&content_of(&id)) {
        bail!("{id} is not whole");
    }
    let mut all = seen.lock().unwrap_or_else(PoisonError::into_inner);
    all.entry(flow).or_default().entry(id).or_default().push(key);
    drop(all);
    *shares.lock().unwrap_or_else(PoisonError::into_inner).entry(server).or_default() += 1;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    Ok(())
}

/// Numbers that repeat for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |it| it.as_nanos() as u64)
}
