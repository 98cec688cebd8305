//! A table as a queue of messages, as MI's JDBC message store has it.
//!
//! The columns are MI's (`indexId`, `msg_id`, `message`), so that a table made for it can be used; what stands in `message` is the
//! caller's. MI makes no table, and here only an embedded database gets one. MI: `JDBCMessageStore`.

use std::sync::Arc;

use tokio::time::Instant;

use crate::error::{SqlError, SqlErrorKind};
use crate::pool::Pool;
use crate::url::Target;
use crate::value::SqlValue;

/// Most messages that are listed at a time.
const MAX_LISTED: usize = 1000;

/// A queue in a table.
#[derive(Debug)]
pub struct MessageTable {
    pool: Arc<Pool>,
    create: Option<Arc<str>>,
    insert: Arc<str>,
    oldest: Arc<str>,
    by_id: Arc<str>,
    ids: Arc<str>,
    delete: Arc<str>,
    delete_all: Arc<str>,
    count: Arc<str>,
}

/// A message in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    /// Its place; smaller ones are older.
    pub index: i64,
    /// Its id, as it was given to [`MessageTable::append`].
    pub id: String,
    /// What was given.
    pub content: Vec<u8>,
}

impl MessageTable {
    /// The queue in `table`, which may carry a schema. The error says what is wrong with the name, as it becomes a part of
    /// statements.
    pub fn new(pool: Arc<Pool>, table: &str) -> Result<Self, String> {
        let plain = |part: &str| {
            part.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_')
                && part.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '_' | '$'))
        };
        if !table.split('.').all(plain) || table.split('.').count() > 3 {
            return Err(format!("'{table}' is no name of a table"));
        }
        let embedded = matches!(pool.config().target, Target::Sqlite(_));
        let create = format!(
            "CREATE TABLE IF NOT EXISTS {table} (indexId INTEGER PRIMARY KEY AUTOINCREMENT, msg_id VARCHAR(200) NOT NULL, \
             message BLOB NOT NULL)"
        );
        let columns = "SELECT indexId, msg_id, message FROM";
        Ok(Self {
            create: embedded.then(|| create.into()),
            insert: format!("INSERT INTO {table} (msg_id, message) VALUES (?, ?)").into(),
            oldest: format!("{columns} {table} WHERE indexId = (SELECT min(indexId) FROM {table})").into(),
            by_id: format!("{columns} {table} WHERE msg_id = ?").into(),
            ids: format!("SELECT msg_id FROM {table} ORDER BY indexId").into(),
            delete: format!("DELETE FROM {table} WHERE msg_id = ?").into(),
            delete_all: format!("DELETE FROM {table}").into(),
            count: format!("SELECT count(*) FROM {table}").into(),
            pool,
        })
    }

    /// Makes the table where the database is embedded and has none.
    pub async fn prepare(&self, until: Instant) -> Result<(), SqlError> {
        let Some(create) = &self.create else { return Ok(()) };
        self.update(create, Vec::new(), until).await.map(drop)
    }

    /// Puts a message behind the others.
    pub async fn append(&self, id: &str, content: Vec<u8>, until: Instant) -> Result<(), SqlError> {
        let values = vec![SqlValue::Text(id.to_owned()), SqlValue::Bytes(content)];
        self.update(&self.insert, values, until).await.map(drop)
    }

    /// The oldest message, which stays.
    pub async fn oldest(&self, until: Instant) -> Result<Option<StoredMessage>, SqlError> {
        Ok(self.read(&self.oldest, Vec::new(), until).await?.pop())
    }

    /// The message of an id.
    pub async fn get(&self, id: &str, until: Instant) -> Result<Option<StoredMessage>, SqlError> {
        Ok(self.read(&self.by_id, vec![SqlValue::Text(id.to_owned())], until).await?.pop())
    }

    /// Ids from the oldest on, the first thousand.
    pub async fn ids(&self, until: Instant) -> Result<Vec<String>, SqlError> {
        let mut lease = self.pool.lease(until).await?;
        let rows = lease.query(&self.ids, Vec::new(), MAX_LISTED, until).await?;
        Ok(rows.rows.iter().filter_map(|row| row.first()?.to_text()).collect())
    }

    /// Takes a message out; false when there is none of that id.
    pub async fn remove(&self, id: &str, until: Instant) -> Result<bool, SqlError> {
        self.update(&self.delete, vec![SqlValue::Text(id.to_owned())], until).await.map(|count| count > 0)
    }

    /// Takes all messages out.
    pub async fn clear(&self, until: Instant) -> Result<(), SqlError> {
        self.update(&self.delete_all, Vec::new(), until).await.map(drop)
    }

    /// The number of messages.
    pub async fn count(&self, until: Instant) -> Result<u64, SqlError> {
        let mut lease = self.pool.lease(until).await?;
        let rows = lease.query(&self.count, Vec::new(), 1, until).await?;
        match rows.rows.first().and_then(|row| row.first()) {
            Some(SqlValue::Int(count)) => Ok(u64::try_from(*count).unwrap_or(0)),
            other => Err(SqlError::statement(format!("{other:?} is no number of messages"))),
        }
    }

    async fn read(
        &self,
        sql: &Arc<str>,
        values: Vec<SqlValue>,
        until: Instant,
    ) -> Result<Vec<StoredMessage>, SqlError> {
        let mut lease = self.pool.lease(until).await?;
        let rows = lease.query(sql, values, 1, until).await?;
        rows.rows.into_iter().map(message).collect()
    }

    /// Changes last when this returns, whatever the pool says about committing.
    async fn update(&self, sql: &Arc<str>, values: Vec<SqlValue>, until: Instant) -> Result<u64, SqlError> {
        let mut lease = self.pool.lease(until).await?;
        if lease.pool().config().auto_commit {
            return lease.update(sql, values, until).await;
        }
        lease.begin(until).await?;
        let count = lease.update(sql, values, until).await?;
        lease.commit(until).await?;
        Ok(count)
    }
}

fn message(row: Vec<SqlValue>) -> Result<StoredMessage, SqlError> {
    match <[SqlValue; 3]>::try_from(row) {
        Ok([SqlValue::Int(index), id, SqlValue::Bytes(content)]) => {
            Ok(StoredMessage { index, id: id.to_text().unwrap_or_default(), content })
        }
        other => {
            let kinds = other.map_or(0, |it| it.len());
            let text = format!("the table is none of a message store: {kinds} columns of other types");
            Err(SqlError::new(SqlErrorKind::Setup, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;

    #[test]
    fn a_name_that_is_none_is_refused() {
        let bench = Bench::with("");
        for (table, fits) in
            [("jdbc_message_store", true), ("app.store", true), ("a; drop table b", false), ("", false)]
        {
            assert_eq!(MessageTable::new(bench.pool().clone(), table).is_ok(), fits, "{table}");
        }
    }

    #[test]
    fn a_table_of_another_kind_is_told() {
        let bench =
            Bench::with("CREATE TABLE t(indexId TEXT, msg_id TEXT, message TEXT); INSERT INTO t VALUES('a', 'b', 'c')");
        bench.block_on(|pool| async move {
            let table = MessageTable::new(pool, "t").unwrap();
            let error = table.oldest(Instant::now() + crate::testing::PATIENCE).await.unwrap_err();
            assert_eq!(error.kind, SqlErrorKind::Setup);
        });
    }
}
