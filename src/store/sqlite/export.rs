//! All rows of a store, for another database.

use std::error::Error;
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params_from_iter};

use super::open;
use crate::store::error::StoreError;
use crate::store::tables::{Table, Value};

/// A store that is read table by table.
pub(in crate::store) struct Export(Connection);

impl Export {
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        open::read_only(path).map(Self)
    }

    /// The next rows after a key, in the order of the key.
    pub fn page(
        &self,
        table: &Table,
        after: Option<&[Value]>,
        most: usize,
    ) -> Result<Vec<Vec<Value>>, Box<dyn Error + Send + Sync>> {
        let columns: Vec<&str> = table.columns.iter().map(|column| column.from).collect();
        let key = columns[..table.key].join(", ");
        let holes = vec!["?"; table.key].join(", ");
        let after_key = after.map_or(String::new(), |_| format!(" WHERE ({key}) > ({holes})"));
        let sql = format!(
            "SELECT {} FROM {}{after_key} ORDER BY {key} LIMIT {most}",
            columns.join(", "),
            table.name
        );
        let mut statement = self.0.prepare_cached(&sql)?;
        let after = after.unwrap_or_default().iter().map(bound);
        let mut rows = statement.query(params_from_iter(after))?;
        let mut page = Vec::new();
        while let Some(row) = rows.next()? {
            let values = (0..columns.len()).map(|column| match row.get_ref(column)? {
                ValueRef::Null => Ok(Value::Null),
                ValueRef::Integer(number) => Ok(Value::Integer(number)),
                ValueRef::Text(text) => Ok(Value::Text(str::from_utf8(text)?.to_owned())),
                ValueRef::Blob(bytes) => Ok(Value::Bytes(bytes.to_owned())),
                ValueRef::Real(_) => Err("a number that Postcall does not write".into()),
            });
            page.push(values.collect::<Result<Vec<_>, Box<dyn Error + Send + Sync>>>()?);
        }
        Ok(page)
    }
}

fn bound(value: &Value) -> rusqlite::types::Value {
    match value {
        Value::Null => rusqlite::types::Value::Null,
        Value::Integer(number) => (*number).into(),
        Value::Text(text) => text.clone().into(),
        Value::Bytes(bytes) => bytes.clone().into(),
    }
}
