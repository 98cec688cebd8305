//! What is alike on every database, and what is not, against real servers. Each server is started once.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use mi_engine::Engine;
use mi_engine::coordination::{Arbiter, Coordination};
use mi_engine::inbound::RunningInbounds;
use mi_engine::scheduler::{Job, JobCx};
use mi_engine::services::{Clock, Services};
use mi_engine::snapshot::Settings;
use mi_engine::spec::{Specs, TaskSpec};
use mi_engine::store::StoreError;
use mi_message::{Body, Message, Value};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::arbiter::DatabaseArbiter;
use crate::error::SqlErrorKind;
use crate::message_claims::MessageClaims;
use crate::message_table::MessageTable;
use crate::pool::PoolConfig;
use crate::testing::server::Server;
use crate::testing::{Bench, PATIENCE};
use crate::url::Target;

fn config(url: &str, password: &str) -> PoolConfig {
    PoolConfig {
        user: Some("app".to_owned()),
        password: Some(password.to_owned()),
        max_active: 2,
        max_wait: Some(Duration::from_secs(30)),
        ..PoolConfig::new(Target::parse(url).unwrap())
    }
}

fn mediator(tag: &str, password: &str, statements: &str) -> String {
    format!(
        "<{tag}><connection><pool><driver>x.Driver</driver><url>URL</url><user>app</user><password>{password}</password>\
         </pool></connection>{statements}</{tag}>"
    )
}

/// Rows written and read by mediators, errors, transactions of the pool.
fn check_alike(bench: &Bench, password: &str) {
    bench.script(
        "CREATE TABLE company(name varchar(20) PRIMARY KEY, price DOUBLE PRECISION, shares INTEGER, born DATE)",
    );
    let insert = "<statement><sql>INSERT INTO company VALUES(?, ?, ?, ?)</sql><parameter value='it''s ?ä' type='VARCHAR'/>\
        <parameter value='12.5' type='DOUBLE'/><parameter value='7' type='INTEGER'/><parameter value='2030-1-2' type='DATE'/>\
        </statement><statement><sql>UPDATE company SET shares = shares + ? WHERE price &gt; ?;</sql>\
        <parameter value='1' type='BIGINT'/><parameter value='1' type='NUMERIC'/></statement>"
        .replace("''", "&apos;");
    let ran = bench.run(&mediator("dbreport", password, &insert));
    assert_eq!((ran.fault(), ran.property("DBREPORT_MODIFIED_RAW_COUNT").as_deref()), (None, Some("1")));
    let lookup = "<statement><sql>SELECT * FROM company WHERE name = ? AND shares = ?</sql>\
        <parameter value='it&apos;s ?ä' type='VARCHAR'/><parameter value='8' type='INTEGER'/><result name='price' column='PRICE'/>\
        <result name='shares' column='3'/><result name='born' column='born'/></statement>";
    let ran = bench.run(&mediator("dblookup", password, lookup));
    let read = ["price", "shares", "born"].map(|name| ran.property(name).unwrap_or_default());
    assert_eq!((ran.fault(), read), (None, ["12.5", "8", "2030-01-02"].map(str::to_owned)));
    let ran = bench.run(&mediator("dblookup", password, "<statement><sql>SELECT * FROM nobody</sql></statement>"));
    let text = ran.fault().unwrap_or_default();
    assert!(text.starts_with("SQL Exception occurred while executing statement : SELECT * FROM nobody"), "{text}");
    assert!(ran.property("ERROR_DETAIL").is_some_and(|it| it.contains("SQLException: ") && it.contains(" (")));
    check_transactions(bench);
}

fn check_transactions(bench: &Bench) {
    let delete: Arc<str> = "DELETE FROM company".into();
    bench.block_on(|pool| async move {
        let until = Instant::now() + PATIENCE;
        for ending in 0..3 {
            let mut lease = pool.lease(until).await.unwrap();
            lease.begin(until).await.unwrap();
            assert_eq!(lease.update(&delete, Vec::new(), until).await, Ok(1));
            match ending {
                0 => lease.rollback(until).await.unwrap(),
                1 => drop(lease),
                _ => lease.commit(until).await.unwrap(),
            }
            let mut other = pool.lease(until).await.unwrap();
            let rows = other.query(&"SELECT name FROM company".into(), Vec::new(), 10, until).await.unwrap();
            assert_eq!(rows.rows.len(), usize::from(ending < 2), "{ending}");
        }
    });
}

/// First in, first out, in a table as MI's documentation makes it.
fn check_queue(bench: &Bench, create: &str) {
    if !create.is_empty() {
        bench.script(create);
    }
    bench.block_on(|pool| async move {
        let until = Instant::now() + PATIENCE;
        let table = MessageTable::new(pool, "jdbc_message_store").unwrap();
        table.prepare(until).await.unwrap();
        assert_eq!((table.oldest_but(&[], until).await.unwrap(), table.count(until).await), (None, Ok(0)));
        for id in ["a", "b", "c"] {
            table.append(id, vec![0, 255, id.as_bytes()[0]], until).await.unwrap();
        }
        let a = table.oldest_but(&[], until).await.unwrap().unwrap();
        let found = table.at(a, until).await.unwrap().unwrap();
        assert_eq!((found.index, found.id.as_str(), &found.content[..]), (a, "a", &[0, 255, b'a'][..]));
        let c = table.oldest_but(&[a, a + 1], until).await.unwrap().unwrap();
        assert_eq!(table.at(c, until).await.unwrap().unwrap().id, "c");
        assert_eq!(table.oldest_but(&[a, a + 1, c], until).await, Ok(None));
        assert_eq!((table.remove(a, until).await, table.remove(a, until).await), (Ok(true), Ok(false)));
        assert_eq!((table.at(a, until).await, table.oldest_but(&[], until).await), (Ok(None), Ok(Some(a + 1))));
        assert_eq!(table.count(until).await, Ok(2));
    });
    check_store(bench);
    check_claims(bench);
}

/// Of several servers one has a message at a time; a dead one's can be had later, and by itself at once.
fn check_claims(bench: &Bench) {
    bench.block_on(|pool| async move {
        let until = Instant::now() + PATIENCE;
        let server = |name: &str| Arc::new(MessageClaims::new(pool.clone(), "jdbc_message_store", name));
        let (one, other) = (server("one"), server("other"));
        assert!(one.claim(1, until).await.unwrap() && !other.claim(1, until).await.unwrap());
        assert!(other.claim(2, until).await.unwrap() && !one.claim(2, until).await.unwrap());
        assert!(server("one").claim(1, until).await.unwrap(), "it has started again");
        other.end(2, until).await.unwrap();
        assert!(one.claim(2, until).await.unwrap());
        // What was given back is another server's after the next sign of life, unless it was claimed again.
        one.release(1);
        one.release(2);
        assert!(one.claim(2, until).await.unwrap() && !other.claim(1, until).await.unwrap());
        one.renew().await.unwrap();
        assert!(other.claim(1, until).await.unwrap() && !other.claim(2, until).await.unwrap());
    });
    bench.script("UPDATE MI_MESSAGE_CLAIM SET ENDS = ENDS - 40000");
    bench.block_on(|pool| async move {
        let until = Instant::now() + PATIENCE;
        let third = Arc::new(MessageClaims::new(pool, "jdbc_message_store", "third"));
        assert!(third.claim(2, until).await.unwrap(), "its holder shows no sign of life");
    });
}

/// A message as it came out of a table is the one that was put in; messages that cannot be read stay and hold up nobody.
fn check_store(bench: &Bench) {
    bench.script("DELETE FROM jdbc_message_store");
    bench.script("INSERT INTO jdbc_message_store(msg_id, message) VALUES('of MI', 'serialized')");
    let store = bench.store(
        "<parameter name='store.jdbc.dsName'>jdbc/SHOP</parameter><parameter name='store.max.messages'>3</parameter>",
    );
    bench.block_on(|_| async move {
        let (store, snapshot) = store;
        let message = |text: &str| {
            let mut message = Message::new();
            message.headers.set("X-Kind", "ü");
            message.properties.set("number", Value::Long(7));
            message.variables.set("flag", Value::Bool(true));
            message.body =
                Body::from_bytes(format!("{{\"a\": 1.50, \"b\": \"{text}\"}}"), Some("application/json".into()));
            message
        };
        for text in ["one", "two"] {
            store.put(message(text), None, &snapshot).await.unwrap();
        }
        let refused = store.put(message("three"), None, &snapshot).await;
        assert_eq!(refused, Err(StoreError::Full("the store is full: store.max.messages is 3".to_owned())));
        let first = store.claim(&snapshot).await.unwrap().unwrap();
        let second = store.claim(&snapshot).await.unwrap().unwrap();
        assert!(store.claim(&snapshot).await.unwrap().is_none(), "what is left cannot be read");
        let got = first.message();
        assert_eq!(got.body.raw().unwrap().as_ref(), "{\"a\": 1.50, \"b\": \"one\"}".as_bytes());
        assert_eq!(got.headers.get("x-kind"), Some("ü"));
        assert!(matches!(got.properties.get("number"), Some(Value::Long(7))));
        assert!(matches!(got.variables.get("flag"), Some(Value::Bool(true))));
        assert_eq!(got.addressing.message_id.as_deref(), Some(first.id()));
        let id = second.id().to_owned();
        drop(second);
        first.acknowledge().await.unwrap();
        let again = store.claim(&snapshot).await.unwrap().unwrap();
        assert_eq!(again.id(), id, "it was given back");
        again.acknowledge().await.unwrap();
        assert_eq!(store.size(), Some(1));
    });
    assert_eq!(bench.rows("SELECT msg_id FROM jdbc_message_store"), [["of MI"]]);
}

/// A lease is one server's at a time, its number grows with each, and it can be had when it is over or given back.
fn check_leases(bench: &Bench) {
    bench.block_on(|pool| async move {
        let groups = pool.clone();
        // As two servers see the database; the second finds the table made.
        let (a, b) = (DatabaseArbiter::new(pool.clone(), "g"), DatabaseArbiter::new(pool, "g"));
        let (long, short) = (Duration::from_mins(10), Duration::from_millis(1));
        assert_eq!(a.acquire("task/t", "a", long).await, Ok(Some(1)));
        assert_eq!(b.acquire("task/t", "b", long).await, Ok(None));
        assert_eq!(b.acquire("task/other", "b", long).await, Ok(Some(1)));
        assert_eq!(a.acquire("task/t", "a", long).await, Ok(Some(1)), "renewed");
        b.release("task/t", "b").await.unwrap();
        assert_eq!(b.acquire("task/t", "b", long).await, Ok(None), "it was not b's to give back");
        a.release("task/t", "a").await.unwrap();
        assert_eq!(b.acquire("task/t", "b", long).await, Ok(Some(2)));
        assert_eq!(a.acquire("task/t", "a", long).await, Ok(None));
        // Over by the clock of the database, however long that takes.
        while !matches!(b.acquire("task/t", "b", short).await, Ok(Some(2)) | Err(_)) {}
        let again = loop {
            if let Some(number) = a.acquire("task/t", "a", long).await.unwrap() {
                break number;
            }
        };
        assert_eq!(again, 3);
        let other = DatabaseArbiter::new(groups, "another group");
        assert_eq!(other.acquire("task/t", "c", long).await, Ok(Some(1)));
        assert_eq!(a.state("task/t").await, Ok(None));
        for runs in [false, true, true, false] {
            a.set_state("task/t", runs).await.unwrap();
            assert_eq!((b.state("task/t").await, other.state("task/t").await), (Ok(Some(runs)), Ok(None)));
        }
    });
}

/// Of many that ask for a new lease at once, one gets it.
fn check_race(bench: &Bench) {
    bench.block_on(|pool| async move {
        let asked = (0..20).map(|number| {
            let arbiter = DatabaseArbiter::new(pool.clone(), "g");
            async move { arbiter.acquire("task/race", &format!("server {number}"), Duration::from_mins(10)).await }
        });
        let got = futures_util::future::join_all(asked).await;
        assert_eq!(got.iter().filter(|it| matches!(it, Ok(Some(1)))).count(), 1, "{got:?}");
        assert!(got.iter().all(Result::is_ok), "{got:?}");
    });
}

/// A wrong password is told, and stands in no text.
fn check_password(url: &str) {
    let bench = Bench::on(url, config(url, "wrong-one"), "");
    bench.block_on(|pool| async move {
        let error = pool.lease(Instant::now() + PATIENCE).await.map(drop).unwrap_err();
        assert_eq!(error.kind, SqlErrorKind::Connection, "{error}");
        assert!(!error.to_string().contains("wrong-one"), "{error}");
    });
}

/// A statement that takes too long is given up, and its connection with it.
fn check_deadline(bench: &Bench, slow: &str) {
    let slow: Arc<str> = slow.into();
    bench.block_on(|pool| async move {
        let until = Instant::now() + PATIENCE;
        let mut lease = pool.lease(until).await.unwrap();
        let error = lease.query(&slow, Vec::new(), 1, Instant::now() + Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(error.kind, SqlErrorKind::Timeout);
        drop(lease);
        let mut lease = pool.lease(until).await.unwrap();
        assert!(lease.query(&"SELECT 1".into(), Vec::new(), 1, until).await.is_ok());
    });
}

#[test]
fn postgres() {
    let server = Server::postgres();
    let url = format!("jdbc:postgresql://127.0.0.1:{}/postgres?sslmode=require", server.port);
    let bench = Bench::on(&url, config(&url, "it's secret"), "");
    check_alike(&bench, "it's secret");
    check_password(&url);
    check_leases(&bench);
    check_race(&bench);
    check_deadline(&bench, "SELECT pg_sleep(60)");
    check_queue(
        &bench,
        "CREATE TABLE jdbc_message_store(indexId SERIAL PRIMARY KEY, msg_id VARCHAR(200), message BYTEA)",
    );
    bench.script("CREATE TABLE p(a NUMERIC(10,2), b BOOLEAN, c TIMESTAMP, d REAL, e JSONB, f UUID, g BYTEA, h TEXT)");
    bench.script(
        "INSERT INTO p VALUES(-1234567.5, true, '2030-01-02 03:04:05.25', 1.5, '{\"a\": 1}', \
         '00112233-4455-6677-8899-aabbccddeeff', 'x', NULL); INSERT INTO p(a) VALUES(0.01); DO $$ BEGIN NULL; END $$",
    );
    assert_eq!(
        bench.rows("SELECT * FROM p WHERE b"),
        [[
            "-1234567.50",
            "true",
            "2030-01-02 03:04:05.25",
            "1.5",
            "{\"a\": 1}",
            "00112233-4455-6677-8899-aabbccddeeff",
            "x",
            "null"
        ]]
    );
    assert_eq!(bench.rows("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"), [["true"]]);
    // Statements that are prepared survive a change of their table.
    assert_eq!(bench.rows("SELECT * FROM p WHERE a = 0.01").len(), 1);
    bench.script("ALTER TABLE p DROP COLUMN h");
    assert_eq!(bench.rows("SELECT * FROM p WHERE a = 0.01")[0].len(), 7);
}

#[test]
fn mariadb() {
    let server = Server::mariadb();
    let url = format!("jdbc:mysql://127.0.0.1:{}/shop?allowMultiQueries=true", server.port);
    let bench = Bench::on(&url, config(&url, "secret"), "");
    check_alike(&bench, "secret");
    check_password(&url);
    check_leases(&bench);
    check_race(&bench);
    check_deadline(&bench, "SELECT SLEEP(60)");
    check_queue(
        &bench,
        "CREATE TABLE jdbc_message_store(indexId BIGINT NOT NULL AUTO_INCREMENT, msg_id VARCHAR(200), message BLOB, PRIMARY KEY(indexId))",
    );
    bench.script(
        "CREATE TABLE m(a DECIMAL(10,2), b TINYINT(1), c DATETIME(3), d BIGINT UNSIGNED, e BLOB, f TIME, g TEXT)",
    );
    bench.script(
        "INSERT INTO m VALUES(-1234567.5, 1, '2030-01-02 03:04:05.250', 18446744073709551615, 'x', '26:00:01', 'a;b'); \
         INSERT INTO m(a) VALUES(0.01)",
    );
    assert_eq!(
        bench.rows("SELECT * FROM m WHERE b"),
        [["-1234567.50", "true", "2030-01-02 03:04:05.25", "18446744073709551615", "x", "26:00:01", "a;b"]]
    );
    let plain = format!("jdbc:mariadb://127.0.0.1:{}/shop", server.port);
    let bench = Bench::on(&plain, config(&plain, "secret"), "");
    let script = "<statement><sql>DELETE FROM m; DELETE FROM m</sql></statement>";
    assert!(
        bench.run(&mediator("dbreport", "secret", script)).fault().is_some(),
        "several statements need allowMultiQueries"
    );
}

#[test]
fn sqlite() {
    let folder = std::env::temp_dir().join(format!("mi-data-sqlite-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let url = format!("jdbc:sqlite:{}/a.db", folder.display());
    let bench = Bench::on(&url, config(&url, ""), "");
    check_alike(&bench, "");
    check_leases(&bench);
    check_queue(&bench, "");
    check_deadline(&bench, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n");
    let url = format!("jdbc:h2:{}/sub/b;MODE=MySQL", folder.display());
    let bench =
        Bench::on(&url, config(&url, ""), "CREATE TABLE h(a DECIMAL(10,2), b BOOLEAN); INSERT INTO h VALUES(5, 1)");
    assert_eq!(bench.rows("SELECT * FROM h"), [["5.00", "true"]]);
    std::fs::write(folder.join("c.mv.db"), "H2").unwrap();
    let url = format!("jdbc:h2:{}/c", folder.display());
    let bench = Bench::on(&url, config(&url, ""), "");
    bench.block_on(|pool| async move {
        let error = pool.lease(Instant::now() + PATIENCE).await.map(drop).unwrap_err();
        assert!(error.to_string().contains("is a database of Java"), "{error}");
    });
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_pool_gives_no_more_than_it_has() {
    let bench = Bench::with("CREATE TABLE t(a int)");
    let config = PoolConfig { max_active: 1, max_wait: Some(Duration::ZERO), ..bench.pool().config().clone() };
    let bench = Bench::on(&bench.url, config, "");
    bench.block_on(|pool| async move {
        let until = Instant::now() + PATIENCE;
        let first = pool.lease(until).await.unwrap();
        assert_eq!(pool.lease(until).await.map(drop).unwrap_err().kind, SqlErrorKind::Exhausted);
        drop(first);
        assert!(pool.lease(until).await.is_ok());
    });
}

/// Notes who ran the task.
#[derive(Debug)]
struct Note;

struct Ran(mpsc::UnboundedSender<&'static str>, &'static str);

impl Job for Note {
    fn run<'a>(&'a self, cx: &'a JobCx) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let snapshot = cx.engine.snapshot();
            let Ran(notes, server) = snapshot.shared.get::<Ran>().unwrap();
            notes.send(server).map_err(|_| "nobody listens".to_owned())
        })
    }
}

/// The time of the machine.
struct Machine;

impl Clock for Machine {
    fn now_millis(&self) -> i64 {
        chrono::Utc::now().timestamp_millis()
    }
    fn zone_offset_seconds(&self, _: i64) -> i32 {
        0
    }
    fn new_id(&self) -> String {
        String::new()
    }
}

/// A server with a task that runs each second.
fn server(
    name: &'static str,
    arbiter: DatabaseArbiter,
    period: Duration,
    notes: &mpsc::UnboundedSender<&'static str>,
) -> RunningInbounds {
    let xml = b"<task name='t' class='Note'><trigger interval='1'/></task>".to_vec();
    let (artifacts, found) = mi_config::parse_artifact(mi_config::SourceFile::new("t.xml", xml));
    assert!(found.is_empty(), "{found:?}");
    let specs = Specs::default().with_tasks(&[TaskSpec { class: "Note", parse: |_, _| Ok(Box::new(Note)) }]);
    let services = Services { clock: Arc::new(Machine), ..Services::offline(specs) };
    let mut built = mi_engine::build(&artifacts, Arc::new(services), Settings::default());
    built.snapshot.shared.insert(Ran(notes.clone(), name));
    let coordination = Coordination { arbiter: Arc::new(arbiter), holder: name.into(), period };
    RunningInbounds::start_coordinated(&Arc::new(Engine::new(built.snapshot)), Vec::new(), Some(coordination))
}

/// Of two servers one runs the task; the other one takes over when it dies, not before its lease is over.
#[test]
fn a_task_runs_on_one_of_two_servers() {
    let database = Server::postgres();
    let url = format!("jdbc:postgresql://127.0.0.1:{}/postgres", database.port);
    let bench = Bench::on(&url, config(&url, "it's secret"), "");
    bench.block_on(|pool| async move {
        let period = Duration::from_secs(5);
        let (notes, mut ran) = mpsc::unbounded_channel();
        let mut servers = std::collections::HashMap::new();
        // Each on a runtime of its own, so that one can die.
        for name in ["a", "b"] {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            let entered = runtime.enter();
            let running = server(name, DatabaseArbiter::new(pool.clone(), "g"), period, &notes);
            drop(entered);
            servers.insert(name, (runtime, running));
        }
        let mut next = async || tokio::time::timeout(PATIENCE, ran.recv()).await.unwrap().unwrap();
        let first = next().await;
        for _ in 0..3 {
            assert_eq!(next().await, first);
        }
        // The process is gone, and gives nothing back.
        let (runtime, _running) = servers.remove(first).unwrap();
        runtime.shutdown_background();
        let died = Instant::now();
        let second = loop {
            match next().await {
                // What was noted before.
                name if name == first => {}
                other => break other,
            }
        };
        let waited = died.elapsed();
        assert!(waited > period / 4, "{waited:?}");
        assert_eq!(next().await, second);
        // One that ends in order hands over at once.
        let (runtime, running) = servers.remove(second).unwrap();
        running.stop(PATIENCE).await;
        let held = DatabaseArbiter::new(pool, "g").acquire("task/t", "c", period).await;
        assert_eq!(held, Ok(Some(3)));
        runtime.shutdown_background();
    });
}
