//! Pollers and endpoints against the servers that Debian has: vsftpd and OpenSSH.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mi_engine::transport::Payload;
use socket2::{Domain, Socket, Type};

use super::super::holder::Holder;
use super::super::lock;
use super::super::sender::Writer;
use super::super::tests::support::{Bench, Folder, TestClock, notes};

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ftp,
    Ftps,
    Sftp,
}

const ALL: [Kind; 3] = [Kind::Ftp, Kind::Ftps, Kind::Sftp];

/// A server on a folder of its own; it ends with the value.
struct Server {
    kind: Kind,
    port: u16,
    /// Keeps the port from everybody else, also when the program has ended.
    _reserved: Socket,
    child: Child,
    /// What the server shows. Below it are `in`, `out` and `done`.
    files: PathBuf,
    folder: Folder,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A port with a socket on it that never listens. Both servers allow others on their address, and so may listen there; nobody
/// is given the port for whom any would do: neither another test's server, which would be taken for this one, nor an
/// outgoing connection, which would be connected with itself.
fn reserve() -> (Socket, u16) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    (socket, port)
}

/// Runs a program that the test needs.
#[track_caller]
fn run(command: &mut Command, package: &str) {
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}; apt-get install {package}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Server {
    fn start(kind: Kind) -> Self {
        let folder = Folder::new();
        let files = folder.path().join("files");
        for name in ["in", "out", "done"] {
            std::fs::create_dir_all(files.join(name)).unwrap();
            open_to_all(&files.join(name));
        }
        open_to_all(folder.path());
        let (reserved, port) = reserve();
        let mut command =
            if kind == Kind::Sftp { sshd(&folder, &files, port) } else { vsftpd(kind, &folder, &files, port) };
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}; apt-get install vsftpd openssh-server"));
        let mut server = Self { kind, port, _reserved: reserved, child, files, folder };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let log = || std::fs::read_to_string(server.folder.path().join("log"));
            assert!(server.child.try_wait().unwrap().is_none(), "{kind:?} ended: {:?}", log());
            assert!(Instant::now() < deadline, "{kind:?} does not listen: {:?}", log());
            std::thread::yield_now();
        }
        server
    }

    fn uri(&self, below: &str) -> String {
        let port = self.port;
        match self.kind {
            Kind::Ftp => format!("ftp://localhost:{port}/{below}"),
            Kind::Ftps => {
                let trust = self.folder.path().join("server.pem");
                format!("ftps://localhost:{port}/{below}?vfs.ssl.truststore={}", trust.display())
            }
            Kind::Sftp => {
                let key = self.folder.path().join("user");
                format!("sftp://{}@localhost:{port}/{below}?transport.vfs.SFTPIdentities={}", user(), key.display())
            }
        }
    }

    /// An inbound endpoint on `in` that moves to `done`.
    fn bench(&self, steps: &str, settings: &[(&str, &str)]) -> Bench {
        let (source, target) = (self.uri("in"), self.uri("done"));
        let mut all = vec![
            ("FileURI", source.as_str()),
            ("ContentType", "text/plain"),
            ("ActionAfterProcess", "MOVE"),
            ("MoveAfterProcess", target.as_str()),
        ];
        all.extend_from_slice(settings);
        Bench::inbound(steps, &all)
    }

    fn put(&self, name: &str, content: &str) {
        let path = self.files.join(name);
        std::fs::write(&path, content).unwrap();
        open_to_all(&path);
    }

    fn names(&self, below: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.files.join(below)).unwrap();
        let mut names: Vec<_> = entries.map(|it| it.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
}

fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn sshd(folder: &Folder, files: &Path, port: u16) -> Command {
    let at = |name: &str| folder.path().join(name);
    for name in ["host", "user"] {
        run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(at(name)), "openssh-client");
    }
    // It refuses to start without, as root.
    drop(std::fs::create_dir_all("/run/sshd"));
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\nStrictModes no\n\
         MaxStartups 100:30:200\nPasswordAuthentication no\nPermitRootLogin yes\nSubsystem sftp internal-sftp -d {}\n",
        at("host").display(),
        at("user.pub").display(),
        files.display()
    );
    std::fs::write(at("sshd_config"), config).unwrap();
    let mut command = Command::new("/usr/sbin/sshd");
    command.args(["-D", "-e", "-f"]).arg(at("sshd_config"));
    command
}

fn vsftpd(kind: Kind, folder: &Folder, files: &Path, port: u16) -> Command {
    let mut config = format!(
        "listen=YES\nlisten_ipv6=NO\nlisten_address=127.0.0.1\nlisten_port={port}\nbackground=NO\nseccomp_sandbox=NO\n\
         anonymous_enable=YES\nlocal_enable=NO\nno_anon_password=YES\nanon_root={}\nanon_umask=022\nwrite_enable=YES\n\
         anon_upload_enable=YES\nanon_mkdir_write_enable=YES\nanon_other_write_enable=YES\nanon_world_readable_only=NO\n\
         allow_writeable_chroot=YES\nconnect_from_port_20=NO\nsecure_chroot_dir={}\n",
        files.display(),
        folder.path().join("empty").display()
    );
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    config.push_str(if user() == "root" { "ftp_username=daemon\n" } else { "run_as_launching_user=YES\n" });
    if kind == Kind::Ftps {
        let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let (key, certificate) = (folder.path().join("key.pem"), folder.path().join("server.pem"));
        std::fs::write(&key, pem("PRIVATE KEY", &signed.signing_key.serialize_der())).unwrap();
        std::fs::write(&certificate, pem("CERTIFICATE", signed.cert.der())).unwrap();
        config.push_str(&format!(
            "ssl_enable=YES\nallow_anon_ssl=YES\nforce_anon_data_ssl=YES\nforce_anon_logins_ssl=YES\n\
             require_ssl_reuse=NO\nssl_ciphers=HIGH\nrsa_cert_file={}\nrsa_private_key_file={}\n",
            certificate.display(),
            key.display()
        ));
    }
    let path = folder.path().join("vsftpd.conf");
    std::fs::write(&path, config).unwrap();
    let mut command = Command::new("/usr/sbin/vsftpd");
    command.arg(path);
    command
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// Runs a test with each kind of server.
fn with_each(test: impl AsyncFn(&Server)) {
    for kind in ALL {
        let server = Server::start(kind);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test(&server));
    }
}

#[test]
fn files_are_taken_and_moved() {
    with_each(async |server| {
        server.put("in/a 1.txt", "one");
        server.put("in/b.txt", "two");
        server.put("done/b.txt", "a former one");
        server.put("in/held.txt", "held by MI");
        server.put("in/held.txt.lock", "1:elsewhere:10.0.0.1:1");
        server.put("in/c.tmp", "unfinished");
        let steps = "<note/><show name='FILE_PATH'/><show name='FILE_LENGTH'/>";
        let mut bench = server.bench(steps, &[("FileSortAttribute", "Name")]);
        bench.pass().await.unwrap();
        let kind = server.kind;
        assert_eq!(notes(), ["a 1.txt: one", "/in/a 1.txt", "3", "b.txt: two", "/in/b.txt", "3"], "{kind:?}");
        assert_eq!(server.names("in"), ["c.tmp", "held.txt", "held.txt.lock"], "{kind:?}");
        assert_eq!(server.names("done"), ["a 1.txt", "b.1.txt", "b.txt"], "{kind:?}");
        bench.pass().await.unwrap();
        assert!(notes().is_empty(), "{kind:?}");
    });
}

#[test]
fn a_single_file_and_subfolders() {
    with_each(async |server| {
        let kind = server.kind;
        server.put("in/one.txt", "one");
        let uri = server.uri("in/one.txt");
        let mut bench = Bench::inbound("<note/>", &[("FileURI", &*uri), ("ContentType", "text/plain")]);
        bench.pass().await.unwrap();
        bench.pass().await.unwrap();
        assert_eq!(notes(), ["one.txt: one"], "{kind:?}");
        std::fs::create_dir(server.files.join("in/deep")).unwrap();
        open_to_all(&server.files.join("in/deep"));
        server.put("in/deep/two.txt", "two");
        let uri = server.uri("in/*");
        let settings = [("FileURI", &*uri), ("ContentType", "text/plain"), ("Streaming", "true")];
        Bench::inbound("<unread/><note/><show name='RELATIVE_PATH'/>", &settings).pass().await.unwrap();
        assert_eq!(notes(), ["unread: true", "two.txt: two", "/deep"], "{kind:?}");
        assert_eq!(server.names("in/deep"), [""; 0], "{kind:?}: deleted");
    });
}

#[test]
fn of_two_pollers_one_takes_a_file() {
    with_each(async |server| {
        let expected: Vec<String> = (0..30).map(|number| format!("{number:02}.txt")).collect();
        for name in &expected {
            server.put(&format!("in/{name}"), "x");
        }
        let settings = [("sequential", "false")];
        let (mut one, mut other) =
            (server.bench("<show name='FILE_NAME'/>", &settings), server.bench("<show name='FILE_NAME'/>", &settings));
        let (first, second) = tokio::join!(one.pass(), other.pass());
        first.unwrap();
        second.unwrap();
        let mut taken = notes();
        taken.sort();
        assert_eq!(taken, expected, "{:?}", server.kind);
        assert_eq!(server.names("done"), expected, "{:?}", server.kind);
        assert!(server.names("in").is_empty(), "{:?}: no locks are left: {:?}", server.kind, server.names("in"));
    });
}

#[test]
fn a_file_of_a_dead_process_is_taken_over() {
    with_each(async |server| {
        for (name, holder) in [("dead.txt", Holder::dead()), ("alive.txt", Holder::this().cloned())] {
            server.put(&format!("in/{name}"), "x");
            let text = format!("{};7", lock::text_of(holder.as_ref(), 0).replace(':', ";"));
            let folder = server.files.join(format!("in/{name}.lock"));
            std::fs::create_dir_all(folder.join(&text)).unwrap();
            open_to_all(&folder);
            open_to_all(&folder.join(text));
        }
        server.bench("<show name='FILE_NAME'/>", &[]).pass().await.unwrap();
        assert_eq!(notes(), ["dead.txt"], "{:?}", server.kind);
        assert_eq!(server.names("in"), ["alive.txt", "alive.txt.lock"], "{:?}", server.kind);
    });
}

#[test]
fn what_cannot_be_moved_is_marked_and_moved_later() {
    with_each(async |server| {
        let kind = server.kind;
        server.put("in/a.txt", "x");
        std::fs::remove_dir(server.files.join("done")).unwrap();
        let mut bench = server.bench("<show name='FILE_NAME'/>", &[]);
        bench.pass().await.unwrap();
        assert_eq!(server.names("in"), ["a.txt", "a.txt.fail"], "{kind:?}");
        bench.pass().await.unwrap();
        assert_eq!(notes(), ["a.txt"], "{kind:?}: processed once");
        std::fs::create_dir(server.files.join("done")).unwrap();
        open_to_all(&server.files.join("done"));
        bench.pass().await.unwrap();
        assert_eq!((server.names("in"), server.names("done")), (vec![], vec!["a.txt".to_owned()]), "{kind:?}");
        assert!(notes().is_empty(), "{kind:?}");
    });
}

#[test]
fn files_are_written() {
    with_each(async |server| {
        let writer = Writer::new(std::sync::Arc::new(TestClock::new()));
        let write = async |uri: String, name: Option<&str>, text: &'static str| {
            let payload = Payload::Bytes(Bytes::from_static(text.as_bytes()));
            writer.write(&uri, |_| None, name, payload).await
        };
        let kind = server.kind;
        let query = if kind == Kind::Ftp { "?" } else { "&" };
        let append = format!("{query}transport.vfs.Append=true");
        write(server.uri("out"), Some("a.txt"), "one").await.unwrap();
        write(server.uri("out"), Some("a.txt"), "two").await.unwrap();
        write(server.uri("out/new/b.txt"), None, "three").await.unwrap();
        write(format!("{}{append}", server.uri("out/new/b.txt")), None, " four").await.unwrap();
        let error = write(server.uri("out"), Some("../x"), "no").await.unwrap_err();
        assert!(error.contains("no name of a file"), "{error}");
        let error = write(server.uri("out"), Some("x\r\nDELE a.txt"), "no").await.unwrap_err();
        assert!(error.contains("no name that a server takes"), "{error}");
        assert_eq!(server.names("out"), ["a.txt", "new"], "{kind:?}: no locks and parts are left");
        let read = |name: &str| std::fs::read_to_string(server.files.join(name)).unwrap();
        assert_eq!((read("out/a.txt"), read("out/new/b.txt")), ("two".to_owned(), "three four".to_owned()), "{kind:?}");
    });
}

#[test]
fn a_done_file_says_that_a_file_is_whole() {
    with_each(async |server| {
        server.put("in/a.txt", "one");
        let mut bench = server.bench("<note/>", &[("DoneFileSuffix", ".done")]);
        bench.pass().await.unwrap();
        assert!(notes().is_empty(), "{:?}", server.kind);
        server.put("in/a.txt.done", "");
        bench.pass().await.unwrap();
        assert_eq!(notes(), ["a.txt: one"], "{:?}", server.kind);
        assert_eq!((server.names("in"), server.names("done")), (vec![], vec!["a.txt".to_owned()]), "{:?}", server.kind);
    });
}

#[test]
fn errors_name_the_server_and_no_password() {
    with_each(async |server| {
        let uri = server.uri("in").replacen("localhost", "127.0.0.1", 1).replacen("://", "://x:secret@", 1);
        let uri = uri.replacen(&format!("{}@", user()), "", 1);
        let mut bench = Bench::inbound("<note/>", &[("FileURI", &*uri), ("ContentType", "text/plain")]);
        let error = bench.pass().await.unwrap_err().0;
        assert!(error.contains("127.0.0.1") && !error.contains("secret"), "{:?}: {error}", server.kind);
    });
}

#[test]
fn the_server_goes_away_and_comes_back() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut server = Server::start(Kind::Sftp);
        server.put("in/a.txt", "one");
        let mut bench = server.bench("<note/>", &[]);
        bench.pass().await.unwrap();
        drop(server.child.kill());
        drop(server.child.wait());
        // The process of a connection outlives that which listens; a new connection is what fails.
        let mut late = server.bench("<note/>", &[]);
        let error = late.pass().await.unwrap_err().0;
        assert!(error.contains("cannot connect"), "{error}");
        assert_eq!(notes(), ["a.txt: one"]);
    });
}
