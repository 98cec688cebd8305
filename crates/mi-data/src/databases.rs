//! [`Databases`]: the pools of the process, and the thread on which connections to servers live.
//!
//! They outlast deployments: whoever asks for the same settings gets the same pool for as long as somebody holds it, and a
//! database in memory keeps its content until the process ends.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::backend::{self, Connection, mysql, postgres, sqlite};
use crate::error::SqlError;
use crate::pool::{Pool, PoolConfig};
use crate::url::{Embedded, Place, Target};

/// The pools of the process.
#[derive(Debug)]
pub struct Databases {
    opener: Arc<Opener>,
    pools: Mutex<HashMap<PoolConfig, Weak<Pool>>>,
}

impl Databases {
    /// None yet. Files with relative names are below `home`.
    pub fn new(home: impl Into<PathBuf>) -> Self {
        Self {
            opener: Arc::new(Opener { home: home.into(), thread: OnceLock::new(), kept: Mutex::default() }),
            pools: Mutex::default(),
        }
    }

    /// The pool with these settings. Nothing is opened yet.
    pub fn pool(&self, config: PoolConfig) -> Arc<Pool> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(&config).and_then(Weak::upgrade) {
            return pool;
        }
        pools.retain(|_, pool| pool.strong_count() > 0);
        let pool = Arc::new(Pool::new(config.clone(), self.opener.clone()));
        pools.insert(config, Arc::downgrade(&pool));
        pool
    }

    /// The folder that relative names of files are below.
    pub fn home(&self) -> &Path {
        &self.opener.home
    }
}

/// Opens connections.
pub(crate) struct Opener {
    home: PathBuf,
    /// Where connections to servers live; started by the first one.
    thread: OnceLock<Option<Thread>>,
    /// One connection to each database in memory, which keeps it.
    kept: Mutex<HashMap<String, rusqlite::Connection>>,
}

impl fmt::Debug for Opener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Opener").field("home", &self.home).finish_non_exhaustive()
    }
}

/// A thread with a runtime; it ends when this is dropped.
struct Thread {
    handle: Handle,
    _stop: oneshot::Sender<()>,
}

impl Thread {
    fn start() -> Option<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.inspect_err(|cause| log::error!("No runtime for databases: {cause}")).ok()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let spawned = std::thread::Builder::new().name("mi-data".to_owned()).spawn(move || {
            // Ends with an error when the sender is dropped, which is the sign.
            let _told = runtime.block_on(stopped);
        });
        spawned.inspect_err(|cause| log::error!("No thread for databases: {cause}")).ok()?;
        Some(Self { handle, _stop: stop })
    }
}

impl Opener {
    pub(crate) async fn open(self: &Arc<Self>, config: &PoolConfig) -> Result<Connection, SqlError> {
        match &config.target {
            Target::Sqlite(target) => self.open_sqlite(target.clone()).await,
            Target::Postgres(_) | Target::MySql(_) => self.open_server(config.clone()).await,
        }
    }

    /// The connection lives on the thread of the databases, whichever runtime asks for it.
    async fn open_server(&self, config: PoolConfig) -> Result<Connection, SqlError> {
        let (reply, opened) = oneshot::channel();
        self.handle()?.spawn(async move {
            let session = match &config.target {
                Target::Postgres(server) => postgres::open(server, &config).await,
                Target::MySql(server) => mysql::open(server, &config).await,
                Target::Sqlite(_) => Err(SqlError::connection("SQLite is no server")),
            };
            match session {
                Ok(session) => {
                    let (connection, jobs) = Connection::new(None);
                    if reply.send(Ok(connection)).is_ok() {
                        backend::serve(session, jobs).await;
                    }
                }
                // Whoever asked may have gone.
                Err(error) => drop(reply.send(Err(error))),
            }
        });
        opened.await.map_err(|_| SqlError::connection("the thread of the databases has ended"))?
    }

    /// SQLite blocks on files, so that even opening has a thread of its own.
    async fn open_sqlite(self: &Arc<Self>, target: Embedded) -> Result<Connection, SqlError> {
        let opener = self.clone();
        let (reply, opened) = oneshot::channel();
        let failed = || SqlError::connection("no thread to open a database with");
        std::thread::Builder::new()
            .name("mi-sqlite-open".to_owned())
            .spawn(move || {
                let result = opener.keep(&target).and_then(|()| sqlite::open(&target, &opener.home));
                // Whoever asked may have gone.
                let _gone = reply.send(result);
            })
            .map_err(|_| failed())?;
        opened.await.map_err(|_| failed())?
    }

    fn keep(&self, target: &Embedded) -> Result<(), SqlError> {
        let Place::Memory(name) = &target.place else { return Ok(()) };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if !kept.contains_key(name) {
            kept.insert(name.clone(), sqlite::connect(target, &self.home)?);
        }
        Ok(())
    }

    /// Where connections to servers live.
    fn handle(&self) -> Result<&Handle, SqlError> {
        let thread = self.thread.get_or_init(Thread::start).as_ref();
        thread.map(|it| &it.handle).ok_or_else(|| SqlError::connection("there is no thread for databases"))
    }
}
