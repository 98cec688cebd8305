//! The programs that are measured.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::thread::{CpuSet, sched_setaffinity};

use crate::Failure;

/// A folder that goes away with the value.
pub struct Folder(PathBuf);

impl Folder {
    /// # Errors
    /// It cannot be made.
    pub fn new() -> Result<Self, Failure> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("mi-benches-{}-{number}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Leaves core 0 to what is measured.
///
/// # Errors
/// The machine has one core.
pub fn pin_to_last_core() -> Result<(), Failure> {
    let cores = std::thread::available_parallelism()?.get();
    if cores < 2 {
        return Err("the benchmark needs two cores".into());
    }
    let mut set = CpuSet::new();
    set.set(cores - 1);
    Ok(sched_setaffinity(None, &set)?)
}

/// A running program.
pub struct Process {
    pid: u32,
    child: Option<Child>,
}

/// Kilobytes.
pub struct Memory {
    pub now: u64,
    pub peak: u64,
}

impl Process {
    /// The server with the flows of `benches/scenarios`.
    ///
    /// # Errors
    /// It does not start.
    pub fn server(binary: &Path, folder: &Folder, offset: u16) -> Result<Self, Failure> {
        let flows = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        Self::started(binary, folder, &["run".as_ref(), flows.as_os_str()], offset)
    }

    /// The server with a home folder and what else is said on its command line.
    ///
    /// # Errors
    /// It does not start.
    pub fn started(binary: &Path, folder: &Folder, arguments: &[&OsStr], offset: u16) -> Result<Self, Failure> {
        let log = fs::File::create(folder.0.join("server.log"))?;
        let child = Command::new("taskset")
            .args(["-c", "0"])
            .arg(binary)
            .args(arguments)
            .arg("--home")
            .arg(&folder.0)
            .arg(format!("-DportOffset={offset}"))
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| format!("cannot start taskset (apt-get install util-linux): {error}"))?;
        Ok(Self { pid: child.id(), child: Some(child) })
    }

    /// Another program with the flows, which takes its port and that of the back end.
    ///
    /// # Errors
    /// It does not start.
    pub fn peer(program: &Path, port: u16, back_end: u16) -> Result<Self, Failure> {
        let child = Command::new("taskset")
            .args(["-c", "0"])
            .arg(program.canonicalize()?)
            .args([port.to_string(), back_end.to_string()])
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start taskset (apt-get install util-linux): {error}"))?;
        Ok(Self { pid: child.id(), child: Some(child) })
    }

    /// CPU time of all threads so far.
    ///
    /// # Errors
    /// The process has ended.
    pub fn cpu(&self) -> Result<Duration, Failure> {
        let mut nanoseconds = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.pid))? {
            // A thread may end in between.
            let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
            nanoseconds += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Descriptors that are open.
    ///
    /// # Errors
    /// The process has ended.
    pub fn files(&self) -> Result<usize, Failure> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.pid))?.count())
    }

    /// # Errors
    /// The process has ended.
    pub fn memory(&self) -> Result<Memory, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let field = |name: &str| -> Result<u64, Failure> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such field")?;
            Ok(line.trim().trim_end_matches(" kB").parse()?)
        };
        Ok(Memory { now: field("VmRSS:")?, peak: field("VmHWM:")? })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// nginx as a relay with one worker.
pub struct Nginx {
    /// What does the work.
    pub worker: Process,
    master: Child,
}

impl Nginx {
    /// # Errors
    /// It is not installed, or does not start.
    pub fn start(folder: &Folder, port: u16, back_end: u16) -> Result<Self, Failure> {
        let dir = folder.0.display();
        let config = format!(
            "worker_processes 1; daemon off; pid {dir}/nginx.pid; error_log /dev/null crit;\n\
             events {{ worker_connections 8192; }}\n\
             http {{ access_log off; keepalive_requests 1000000000; client_max_body_size 0; client_body_buffer_size 2m;\n\
             proxy_buffers 64 16k; proxy_max_temp_file_size 0;\n\
             client_body_temp_path {dir}; proxy_temp_path {dir}; fastcgi_temp_path {dir}; uwsgi_temp_path {dir}; scgi_temp_path {dir};\n\
             upstream b {{ server 127.0.0.1:{back_end}; keepalive 1024; keepalive_requests 1000000000; }}\n\
             server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ proxy_pass http://b; proxy_http_version 1.1; \
             proxy_set_header Connection \"\"; }} }} }}\n"
        );
        let path = folder.0.join("nginx.conf");
        fs::write(&path, config)?;
        let master = Command::new("taskset")
            .args(["-c", "0", "nginx", "-c"])
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start nginx (apt-get install nginx): {error}"))?;
        let children = format!("/proc/{0}/task/{0}/children", master.id());
        for _ in 0..100 {
            let text = fs::read_to_string(&children).unwrap_or_default();
            if let Some(pid) = text.split_whitespace().next() {
                return Ok(Self { worker: Process { pid: pid.parse()?, child: None }, master });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err("nginx has no worker (apt-get install nginx)".into())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.master.kill().ok();
        self.master.wait().ok();
        Command::new("kill").arg(self.worker.pid.to_string()).status().ok();
    }
}

/// haproxy as a relay with one thread.
pub struct Haproxy {
    pub process: Process,
}

impl Haproxy {
    /// None where it is not installed.
    ///
    /// # Errors
    /// Its configuration cannot be written.
    pub fn start(folder: &Folder, port: u16, back_end: u16) -> Result<Option<Self>, Failure> {
        if !Path::new("/usr/sbin/haproxy").is_file() {
            return Ok(None);
        }
        let config = format!(
            "global\n  nbthread 1\n  maxconn 8192\n  log /dev/null local0\n\
             defaults\n  mode http\n  http-reuse always\n  timeout connect 10s\n  timeout client 60s\n  timeout server 60s\n\
             frontend f\n  bind 127.0.0.1:{port} backlog 4096\n  default_backend b\n\
             backend b\n  server s 127.0.0.1:{back_end}\n"
        );
        let path = folder.0.join("haproxy.cfg");
        fs::write(&path, config)?;
        let child = Command::new("taskset")
            .args(["-c", "0", "/usr/sbin/haproxy", "-db", "-f"])
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start taskset (apt-get install util-linux): {error}"))?;
        Ok(Some(Self { process: Process { pid: child.id(), child: Some(child) } }))
    }
}
