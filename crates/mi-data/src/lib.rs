//! Databases: data sources, pools of connections, and the mediators that read and write tables.
//!
//! PostgreSQL, MySQL and SQLite stand behind one small face ([`pool::Pool`]): rows, counts, transactions. JDBC URLs name them
//! ([`url::Target`]); what Java embeds in a process (H2, HSQLDB, Derby) becomes SQLite.

pub mod backend;
pub mod databases;
pub mod error;
pub mod mediators;
pub mod message_table;
pub mod pool;
mod script;
pub mod source;
mod tls;
pub mod url;
pub mod value;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use databases::Databases;
pub use mediators::TABLE;
pub use message_table::{MessageTable, StoredMessage};
pub use source::DataSources;
