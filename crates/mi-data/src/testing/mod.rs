//! Runs a sequence of this crate's mediators on a message.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mi_config::{SourceFile, parse_artifact};
use mi_engine::build::{self, Built};
use mi_engine::context::{ArtifactInfo, Context};
use mi_engine::exchange::{Exchange, RequestInfo};
use mi_engine::flow;
use mi_engine::serve::Engine;
use mi_engine::services::Services;
use mi_engine::snapshot::{Settings, Snapshot};
use mi_engine::spec::Specs;
use mi_engine::store::Store;
use mi_message::Message;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::databases::Databases;
use crate::pool::{Pool, PoolConfig};
use crate::source::DataSources;
use crate::url::Target;

pub(crate) mod server;

/// A database and the mediators on it.
pub(crate) struct Bench {
    pub(crate) url: String,
    databases: Arc<Databases>,
    pool: Arc<Pool>,
    runtime: Runtime,
    properties: std::cell::RefCell<Vec<(String, String)>>,
}

/// A message after its flow.
pub(crate) struct Ran {
    message: Message,
    ended: flow::Ended,
}

/// How long a test waits for a database.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

impl Bench {
    /// A database of H2 in memory in which a script has run.
    pub(crate) fn with(script: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let url = format!("jdbc:h2:mem:bench{}", NEXT.fetch_add(1, Ordering::Relaxed));
        Self::on(&url, PoolConfig::new(Target::parse(&url).unwrap()), script)
    }

    /// Any database. `URL` in mediators stands for its own.
    pub(crate) fn on(url: &str, config: PoolConfig, script: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let databases = Arc::new(Databases::new("/nowhere"));
        let pool = databases.pool(config);
        let bench = Self { url: url.to_owned(), databases, pool, runtime, properties: Default::default() };
        if !script.is_empty() {
            bench.script(script);
        }
        bench
    }

    /// Runs a script.
    pub(crate) fn script(&self, script: &str) {
        self.runtime.block_on(async {
            let until = Instant::now() + PATIENCE;
            let mut lease = self.pool.lease(until).await.unwrap();
            lease.update(&script.into(), Vec::new(), until).await.unwrap();
        });
    }

    /// The pool.
    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Runs something on the pool.
    pub(crate) fn block_on<F: Future<Output = ()>>(&self, run: impl FnOnce(Arc<Pool>) -> F) {
        self.runtime.block_on(run(self.pool.clone()));
    }

    /// The rows of a query as text.
    pub(crate) fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        self.runtime.block_on(async {
            let until = Instant::now() + PATIENCE;
            let mut lease = self.pool.lease(until).await.unwrap();
            let rows = lease.query(&sql.into(), Vec::new(), 100, until).await.unwrap();
            let text = |row: &Vec<_>| {
                row.iter().map(|it: &crate::value::SqlValue| it.to_text().unwrap_or("null".into())).collect()
            };
            rows.rows.iter().map(text).collect()
        })
    }

    /// A property of the next messages.
    pub(crate) fn property(&self, name: &str, value: &str) -> &Self {
        self.properties.borrow_mut().push((name.to_owned(), value.to_owned()));
        self
    }

    fn build(&self, mediators: &str) -> Built {
        let xml = format!("<sequence name='subject'>{}</sequence>", mediators.replace("URL", &self.url));
        let (artifacts, found) = parse_artifact(SourceFile::new("test.xml", xml.into_bytes()));
        assert!(!found.iter().any(mi_config::Diagnostic::is_error), "{found:?}");
        let mut built = build::build(&artifacts, services(), Settings::default());
        built.snapshot.shared.insert(DataSources::new(self.databases.clone()));
        built
    }

    /// An open JDBC message store with these parameters, where `jdbc/SHOP` is this database, and the snapshot that it is of.
    pub(crate) fn store(&self, parameters: &str) -> (Arc<Store>, Arc<Snapshot>) {
        let class = "org.apache.synapse.message.store.impl.jdbc.JDBCMessageStore";
        let xml = format!("<messageStore name='subject' class='{class}'>{parameters}</messageStore>");
        let (artifacts, found) = parse_artifact(SourceFile::new("test.xml", xml.into_bytes()));
        assert!(found.is_empty(), "{found:?}");
        let specs = Specs::default().with_stores(crate::STORES);
        let mut built = build::build(&artifacts, Arc::new(Services::offline(specs)), Settings::default());
        assert!(built.failed.is_empty() && built.warnings.is_empty(), "{built:?}");
        let mut sources = DataSources::new(self.databases.clone());
        sources.add_pool("SHOP", self.pool.clone());
        built.snapshot.shared.insert(sources);
        let engine = Engine::new(built.snapshot);
        let snapshot = engine.snapshot();
        (snapshot.stores.by_name("subject").cloned().unwrap(), snapshot)
    }

    /// The errors of mediators that cannot be deployed.
    pub(crate) fn errors(&self, mediators: &str) -> String {
        let built = self.build(mediators);
        built.failed.iter().flat_map(|(_, found)| found).map(ToString::to_string).collect()
    }

    /// Runs mediators on a message.
    pub(crate) fn run(&self, mediators: &str) -> Ran {
        let built = self.build(mediators);
        assert!(built.failed.is_empty(), "{:?}", built.failed);
        let snapshot = Arc::new(built.snapshot);
        let subject = snapshot.sequences.by_name("subject").cloned().unwrap();
        let (sender, _answer) = tokio::sync::oneshot::channel();
        let exchange = Arc::new(Exchange::new(RequestInfo::default(), sender));
        let mut message = Message::new();
        for (name, value) in self.properties.borrow().iter() {
            message.properties.set(name.as_str(), value.as_str());
        }
        let mut cx = Context::new(message, snapshot, exchange, Arc::new(ArtifactInfo::default()));
        let ended = self.runtime.block_on(flow::run(&mut cx, subject));
        Ran { message: std::mem::take(&mut cx.message), ended }
    }
}

impl Ran {
    /// The message of the fault that ended the flow.
    pub(crate) fn fault(&self) -> Option<String> {
        (self.ended == flow::Ended::Faulted).then(|| self.property("ERROR_MESSAGE").unwrap_or_default())
    }

    /// A property as text.
    pub(crate) fn property(&self, name: &str) -> Option<String> {
        self.message.properties.get(name).map(|value| value.to_text().into_owned())
    }
}

fn services() -> Arc<Services> {
    Arc::new(Services::offline(Specs::new(&[crate::mediators::TABLE])))
}
