//! The statements, in two forms: arrays for a single server, lists of values for those that spread their rows.
//!
//! What is written says by itself whether it was as expected: `expected` is -1 for anything, 0 for absence, or a
//! version; a row that was in the way has more than 0 afterwards, and then the statement divides by zero, which undoes
//! all of it. So a commit is one statement that needs no answer half-way.

pub(crate) mod spread;
pub(crate) mod together;

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Write as _};

use bytes::{Bytes, BytesMut};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

/// Nothing is asked of a row.
pub(crate) const ANY: i64 = -1;
/// The row must not be there.
pub(crate) const ABSENT: i64 = 0;

/// A statement and its parameters.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) text: Cow<'static, str>,
    pub(crate) values: Vec<Param>,
}

/// A parameter. `Debug`, which is what the driver logs, leaves out what may hold keys.
pub(crate) enum Param {
    Bytes(Bytes),
    Small(i16),
    Big(i64),
    ManyBytes(Vec<Bytes>),
    ManySmall(Vec<i16>),
    ManyBig(Vec<i64>),
}

impl Param {
    pub(crate) const fn kind(&self) -> Type {
        match self {
            Self::Bytes(_) => Type::BYTEA,
            Self::Small(_) => Type::INT2,
            Self::Big(_) => Type::INT8,
            Self::ManyBytes(_) => Type::BYTEA_ARRAY,
            Self::ManySmall(_) => Type::INT2_ARRAY,
            Self::ManyBig(_) => Type::INT8_ARRAY,
        }
    }
}

impl fmt::Debug for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(value) => write!(f, "{} bytes", value.len()),
            Self::Small(value) => write!(f, "{value}"),
            Self::Big(value) => write!(f, "{value}"),
            Self::ManyBytes(values) => write!(f, "{} values", values.len()),
            Self::ManySmall(values) => write!(f, "{} numbers", values.len()),
            Self::ManyBig(values) => write!(f, "{} numbers", values.len()),
        }
    }
}

impl ToSql for Param {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Bytes(value) => (&value[..]).to_sql(ty, out),
            Self::Small(value) => value.to_sql(ty, out),
            Self::Big(value) => value.to_sql(ty, out),
            Self::ManyBytes(values) => {
                let values: Vec<&[u8]> = values.iter().map(|value| &value[..]).collect();
                values.to_sql(ty, out)
            }
            Self::ManySmall(values) => values.to_sql(ty, out),
            Self::ManyBig(values) => values.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// Names a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) shard: Bytes,
    pub(crate) table: i16,
    pub(crate) id: Bytes,
}

/// A row that is to be written.
#[derive(Clone, Debug)]
pub(crate) struct Put {
    pub(crate) place: Place,
    pub(crate) version: i64,
    pub(crate) expected: i64,
    pub(crate) scope: Bytes,
    pub(crate) value: Bytes,
}

/// All that some commits do, each row named once, in the order in which all nodes lock them.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) puts: Vec<Put>,
    /// With what is expected: [`ANY`] or a version.
    pub(crate) deletes: Vec<(Place, i64)>,
    /// With their versions.
    pub(crate) keeps: Vec<(Place, i64)>,
    pub(crate) absent: Vec<Place>,
}

impl Batch {
    pub(crate) fn sort(&mut self) {
        self.puts
            .sort_by(|left, right| left.place.cmp(&right.place));
        self.deletes.sort();
        self.keeps.sort();
        self.absent.sort();
    }

    pub(crate) const fn only_puts(&self) -> bool {
        self.deletes.is_empty() && self.keeps.is_empty() && self.absent.is_empty()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.only_puts()
    }
}

/// Builds a text and numbers its parameters.
#[derive(Default)]
struct Builder {
    text: String,
    values: Vec<Param>,
}

impl Builder {
    fn text(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    fn value(&mut self, value: Param) -> &mut Self {
        self.values.push(value);
        // Writing into a string cannot fail.
        let _ = write!(self.text, "${}", self.values.len());
        self
    }

    /// `unnest($1::bytea[], …)`: rows of shard, table and id.
    fn places<'a>(&mut self, places: impl Iterator<Item = &'a Place> + Clone) -> &mut Self {
        let shards = places.clone().map(|place| place.shard.clone()).collect();
        let tables = places.clone().map(|place| place.table).collect();
        let ids = places.map(|place| place.id.clone()).collect();
        self.text("unnest(").value(Param::ManyBytes(shards));
        self.text("::bytea[], ").value(Param::ManySmall(tables));
        self.text("::int2[], ")
            .value(Param::ManyBytes(ids))
            .text("::bytea[]")
    }

    /// [`Builder::places`] with a number each.
    fn numbered<'a>(&mut self, rows: impl Iterator<Item = &'a (Place, i64)> + Clone) -> &mut Self {
        self.places(rows.clone().map(|(place, _)| place));
        let numbers = rows.map(|(_, number)| *number).collect();
        self.text(", ")
            .value(Param::ManyBig(numbers))
            .text("::int8[])")
    }

    /// `(tbl = $1 AND id = $2)`, of one shard.
    fn place(&mut self, place: &Place) -> &mut Self {
        self.text("(tbl = ").value(Param::Small(place.table));
        self.text(" AND id = ")
            .value(Param::Bytes(place.id.clone()));
        self.text(")")
    }

    /// `shard = $1 AND (… OR …)`.
    fn of_shard(&mut self, places: &[&Place]) -> &mut Self {
        self.text("shard = ");
        let shard = places
            .first()
            .map_or_else(Bytes::new, |place| place.shard.clone());
        self.value(Param::Bytes(shard)).text(" AND (");
        for (nth, place) in places.iter().enumerate() {
            self.text(if nth == 0 { "" } else { " OR " }).place(place);
        }
        self.text(")")
    }

    fn done(self) -> Statement {
        Statement {
            text: self.text.into(),
            values: self.values,
        }
    }
}

const SAME: &str = "r.shard = k.shard AND r.tbl = k.tbl AND r.id = k.id";
const NOTE: &str = "/* dps: dividing by zero says that a record is not as expected */ ";
const INTO: &str = "INSERT INTO dps_record AS t (shard, tbl, id, version, expected, scope, value) ";
const UPSERT: &str = " ON CONFLICT (shard, tbl, id) DO UPDATE SET version = excluded.version, \
    expected = CASE WHEN excluded.expected = -1 OR excluded.expected = t.version THEN 0 ELSE 1 END, \
    value = excluded.value";
const RAISE: &str = " RETURNING 1 / (CASE WHEN t.expected > 0 THEN 0 ELSE 1 END)";

/// A page of a table over all shards: rows of id, version, value.
pub(crate) fn scan(
    scope: Bytes,
    table: i16,
    from: &From,
    before: Option<Bytes>,
    limit: i64,
) -> Statement {
    let mut sql = Builder::default();
    sql.text("SELECT id, version, value FROM dps_record WHERE scope = ")
        .value(Param::Bytes(scope));
    sql.text(" AND tbl = ").value(Param::Small(table));
    let (sign, id) = match from {
        From::At(id) => (" AND id >= ", id),
        From::After(id) => (" AND id > ", id),
    };
    sql.text(sign).value(Param::Bytes(id.clone()));
    if let Some(before) = before {
        sql.text(" AND id < ").value(Param::Bytes(before));
    }
    sql.text(" ORDER BY id LIMIT ").value(Param::Big(limit));
    sql.done()
}

/// Where a page begins.
#[derive(Clone, Debug)]
pub(crate) enum From {
    At(Bytes),
    After(Bytes),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(id: &'static str) -> Place {
        Place {
            shard: Bytes::from_static(b"s/1"),
            table: 4,
            id: Bytes::from_static(id.as_bytes()),
        }
    }

    fn put(id: &'static str) -> Put {
        Put {
            place: place(id),
            version: 7,
            expected: ABSENT,
            scope: Bytes::from_static(b"s"),
            value: Bytes::from_static(b"a key"),
        }
    }

    #[test]
    fn a_batch_for_one_server_is_the_same_text_for_any_number_of_rows() {
        let text = |count: usize| {
            let mut batch = Batch::default();
            for _ in 0..count {
                batch.puts.push(put("a"));
                batch.keeps.push((place("b"), 1));
                batch.absent.push(place("c"));
            }
            together::write(&batch).text
        };
        assert_eq!(text(1), text(40));
    }

    #[test]
    fn what_the_driver_logs_has_no_values() {
        let statement = spread::put(&[put("a")]);
        let shown = format!("{statement:?}");
        assert!(
            shown.contains("5 bytes") && !shown.contains("key"),
            "{shown}"
        );
        assert!(!format!("{:?}", Bytes::from_static(b"x")).is_empty());
    }

    #[test]
    fn rows_are_locked_in_one_order() {
        let mut batch = Batch {
            puts: vec![put("b"), put("a")],
            ..Batch::default()
        };
        batch.keeps = vec![(place("z"), 1), (place("y"), 2)];
        batch.sort();
        assert_eq!(batch.puts[0].place.id, "a");
        assert_eq!(batch.keeps[0].0.id, "y");
    }
}
