//! Databases: data sources, pools of connections, and the mediators that read and write tables.
//!
//! PostgreSQL, MySQL and SQLite stand behind one small face ([`pool::Pool`]): rows, counts, transactions. JDBC URLs name them
//! ([`url::Target`]); what Java embeds in a process (H2, HSQLDB, Derby) becomes SQLite.

pub mod arbiter;
pub mod backend;
pub mod databases;
pub mod error;
pub mod mediators;
mod message_claims;
mod message_table;
pub mod pool;
mod script;
pub mod source;
pub mod store;
mod tls;
pub mod url;
pub mod value;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use arbiter::DatabaseArbiter;
pub use databases::Databases;
pub use mediators::TABLE;
pub use source::DataSources;
pub use store::STORES;
