//! Database servers for tests: of Debian's packages, on 127.0.0.1, in a folder of their own, gone when they are dropped.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// The user `nobody`, for servers that refuse to be run by root.
const NOBODY: u32 = 65534;

/// How long a server may take to start.
const START: Duration = Duration::from_mins(1);

/// A running server.
pub(crate) struct Server {
    process: Child,
    folder: PathBuf,
    pub(crate) port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
        let _removed = fs::remove_dir_all(&self.folder);
    }
}

impl Server {
    /// PostgreSQL with the user `app`, the password `it's secret`, and TLS with a certificate of nobody's.
    pub(crate) fn postgres() -> Self {
        let folder = Folder::new("postgres");
        folder.write("password", "it's secret");
        let data = folder.path.join("data");
        let mut init = folder.command("initdb", "postgresql-15");
        init.arg("-D").arg(&data).args(["-U", "app", "-A", "scram-sha-256", "-E", "UTF8", "--no-locale", "--no-sync"]);
        init.arg(format!("--pwfile={}", folder.path.join("password").display()));
        folder.run(init);
        let made = rcgen::generate_simple_self_signed(vec!["db.test".to_owned()]).unwrap();
        let key = folder.write("server.key", &made.signing_key.serialize_pem());
        let certificate = folder.write("server.crt", &made.cert.pem());
        let port = free_port();
        let mut server = folder.command("postgres", "postgresql-15");
        server.arg("-D").arg(&data).args(["-h", "127.0.0.1", "-F", "-p"]).arg(port.to_string());
        for setting in [
            "unix_socket_directories=".to_owned(),
            "ssl=on".to_owned(),
            format!("ssl_key_file={}", key.display()),
            format!("ssl_cert_file={}", certificate.display()),
        ] {
            server.args(["-c", &setting]);
        }
        folder.start(server, port, "ready to accept connections")
    }

    /// MariaDB with the database `shop`, and the user `app` with the password `secret`.
    pub(crate) fn mariadb() -> Self {
        let folder = Folder::new("mariadb");
        let data = format!("--datadir={}", folder.path.join("data").display());
        // What the next program needs; not every version of its package brings it.
        drop(folder.command("my_print_defaults", "mariadb-client-core"));
        let mut init = folder.command("mariadb-install-db", "mariadb-server-core");
        init.args(["--no-defaults", &data, "--auth-root-authentication-method=normal", "--skip-test-db"]);
        folder.run(init);
        let script =
            "CREATE DATABASE shop;\nCREATE USER 'app'@'%' IDENTIFIED BY 'secret';\nGRANT ALL ON shop.* TO 'app'@'%';\n";
        let script = folder.write("init.sql", script);
        let port = free_port();
        let mut server = folder.command("mariadbd", "mariadb-server-core");
        server.args([
            "--no-defaults",
            &data,
            "--bind-address=127.0.0.1",
            "--skip-log-bin",
            "--innodb-flush-log-at-trx-commit=0",
        ]);
        server.arg(format!("--port={port}")).arg(format!("--init-file={}", script.display()));
        server.arg(format!("--socket={}", folder.path.join("socket").display()));
        folder.start(server, port, "ready for connections")
    }
}

/// A folder for one server, owned by whom the server is run by.
struct Folder {
    path: PathBuf,
    /// Whom programs are run by, when not by the user of the test.
    user: Option<u32>,
}

impl Folder {
    fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("mi-data-{name}-{}-{number}", std::process::id()));
        let _old = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        let user = (fs::metadata(&path).unwrap().uid() == 0).then_some(NOBODY);
        std::os::unix::fs::chown(&path, user, user).unwrap();
        Self { path, user }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        std::os::unix::fs::chown(&path, self.user, self.user).unwrap();
        path
    }

    fn command(&self, program: &str, package: &str) -> Command {
        let found = find(program)
            .unwrap_or_else(|| panic!("{program} is needed: apt-get install --no-install-recommends {package}"));
        let mut command = Command::new(found);
        command.current_dir(&self.path).stdin(Stdio::null());
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    fn run(&self, mut command: Command) {
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{command:?}: {text}");
    }

    /// Starts a server and waits for the line that says that it is ready.
    fn start(self, mut command: Command, port: u16, ready: &'static str) -> Server {
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let (seen, told) = mpsc::channel();
        // Goes on reading, as a server whose log nobody reads stops.
        std::thread::spawn(move || {
            let mut log = String::new();
            for line in lines.map_while(Result::ok) {
                if log.len() < 1 << 16 {
                    log.push_str(&line);
                    log.push('\n');
                }
                if line.contains(ready) {
                    let _gone = seen.send(Ok(()));
                }
            }
            let _gone = seen.send(Err(log));
        });
        let server = Server { process, folder: self.path, port };
        match told.recv_timeout(START) {
            Ok(Ok(())) => server,
            Ok(Err(log)) => panic!("the server ended: {log}"),
            Err(error) => panic!("the server was not ready within {START:?}: {error}"),
        }
    }
}

/// A program on the path, or where Debian keeps those of servers.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|it| it.path().join("bin")).collect())
        .unwrap_or_default();
    folders.push(PathBuf::from("/usr/sbin"));
    folders.extend(std::env::split_paths(&path));
    folders.into_iter().map(|folder| folder.join(program)).find(|it| Path::is_file(it))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
