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

/// A queue in a table.
#[derive(Debug)]
pub(crate) struct MessageTable {
    pool: Arc<Pool>,
    create: Option<Arc<str>>,
    insert: Arc<str>,
    at: Arc<str>,
    places: Arc<str>,
    delete: Arc<str>,
    count: Arc<str>,
}

/// A message in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredMessage {
    /// Its place; smaller ones are older.
    pub(crate) index: i64,
    /// Its id, as it was given to [`MessageTable::append`].
    pub(crate) id: String,
    /// What was given.
    pub(crate) content: Vec<u8>,
}

impl MessageTable {
    /// May this be a part of statements? A table, with its schema when it has one.
    pub(crate) fn is_name(table: &str) -> bool {
        let plain = |part: &str| {
            part.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_')
                && part.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '_' | '$'))
        };
        table.split('.').all(plain) && table.split('.').count() <= 3
    }

    /// The queue in `table`, which may carry a schema. The error says what is wrong with the name, as it becomes a part of
    /// statements.
    pub(crate) fn new(pool: Arc<Pool>, table: &str) -> Result<Self, String> {
        if !Self::is_name(table) {
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
            at: format!("{columns} {table} WHERE indexId = ?").into(),
            places: format!("SELECT indexId FROM {table} ORDER BY indexId LIMIT ?").into(),
            delete: format!("DELETE FROM {table} WHERE indexId = ?").into(),
            count: format!("SELECT count(*) FROM {table}").into(),
            pool,
        })
    }

    /// Makes the table where the database is embedded and has none.
    pub(crate) async fn prepare(&self, until: Instant) -> Result<(), SqlError> {
        let Some(create) = &self.create else { return Ok(()) };
        self.update(create, Vec::new(), until).await.map(drop)
    }

    /// Puts a message behind the others.
    pub(crate) async fn append(&self, id: &str, content: Vec<u8>, until: Instant) -> Result<(), SqlError> {
        let values = vec![SqlValue::Text(id.to_owned()), SqlValue::Bytes(content)];
        self.update(&self.insert, values, until).await.map(drop)
    }

    /// The place of the oldest message that is not among `taken`.
    pub(crate) async fn oldest_but(&self, taken: &[i64], until: Instant) -> Result<Option<i64>, SqlError> {
        let most = taken.len() + 1;
        let limit = vec![SqlValue::Int(i64::try_from(most).unwrap_or(i64::MAX))];
        let rows = self.pool.lease(until).await?.query(&self.places, limit, most, until).await?.rows;
        for row in &rows {
            match row.first() {
                Some(SqlValue::Int(place)) if taken.contains(place) => {}
                Some(SqlValue::Int(place)) => return Ok(Some(*place)),
                other => return Err(no_store(&format!("{other:?} is no indexId"))),
            }
        }
        Ok(None)
    }

    /// The message at a place. It stays.
    pub(crate) async fn at(&self, place: i64, until: Instant) -> Result<Option<StoredMessage>, SqlError> {
        let mut lease = self.pool.lease(until).await?;
        let rows = lease.query(&self.at, vec![SqlValue::Int(place)], 1, until).await?;
        rows.rows.into_iter().next().map(message).transpose()
    }

    /// Takes a message out; false when there is none at that place.
    pub(crate) async fn remove(&self, index: i64, until: Instant) -> Result<bool, SqlError> {
        self.update(&self.delete, vec![SqlValue::Int(index)], until).await.map(|count| count > 0)
    }

    /// The number of messages.
    pub(crate) async fn count(&self, until: Instant) -> Result<u64, SqlError> {
        let mut lease = self.pool.lease(until).await?;
        let rows = lease.query(&self.count, Vec::new(), 1, until).await?;
        match rows.rows.first().and_then(|row| row.first()) {
            Some(SqlValue::Int(count)) => Ok(u64::try_from(*count).unwrap_or(0)),
            other => Err(SqlError::statement(format!("{other:?} is no number of messages"))),
        }
    }

    async fn update(&self, sql: &Arc<str>, values: Vec<SqlValue>, until: Instant) -> Result<u64, SqlError> {
        self.pool.lease(until).await?.update_for_good(sql, values, until).await
    }
}

fn no_store(why: &str) -> SqlError {
    SqlError::new(SqlErrorKind::Setup, format!("the table is none of a message store: {why}"))
}

fn message(row: Vec<SqlValue>) -> Result<StoredMessage, SqlError> {
    match <[SqlValue; 3]>::try_from(row) {
        Ok([SqlValue::Int(index), id, SqlValue::Bytes(content)]) => {
            Ok(StoredMessage { index, id: id.to_text().unwrap_or_default(), content })
        }
        // SQLite keeps text in a column of bytes.
        Ok([SqlValue::Int(index), id, SqlValue::Text(content)]) => {
            Ok(StoredMessage { index, id: id.to_text().unwrap_or_default(), content: content.into_bytes() })
        }
        other => {
            let kinds = other.map_or(0, |it| it.len());
            Err(no_store(&format!("{kinds} columns of other types")))
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
            let error = table.oldest_but(&[], Instant::now() + crate::testing::PATIENCE).await.unwrap_err();
            assert_eq!(error.kind, SqlErrorKind::Setup);
        });
    }
}
