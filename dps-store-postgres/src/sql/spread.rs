//! Statements for rows that are spread by shard: each keeps to one.

use super::{Builder, INTO, NOTE, Param, Place, Put, RAISE, Statement, UPSERT};

/// Rows of table, id, version, value.
pub(crate) fn read(places: &[&Place]) -> Statement {
    let mut sql = Builder::default();
    sql.text("SELECT tbl, id, version, value FROM dps_record WHERE ")
        .of_shard(places);
    sql.done()
}

pub(crate) fn put(puts: &[Put]) -> Statement {
    let mut sql = Builder::default();
    sql.text(NOTE).text(INTO).text("VALUES ");
    for (nth, put) in puts.iter().enumerate() {
        sql.text(if nth == 0 { "(" } else { ", (" });
        sql.value(Param::Bytes(put.place.shard.clone())).text(", ");
        sql.value(Param::Small(put.place.table)).text(", ");
        sql.value(Param::Bytes(put.place.id.clone())).text(", ");
        sql.value(Param::Big(put.version)).text(", ");
        sql.value(Param::Big(put.expected)).text(", ");
        sql.value(Param::Bytes(put.scope.clone())).text(", ");
        sql.value(Param::Bytes(put.value.clone())).text(")");
    }
    sql.text(UPSERT).text(RAISE);
    sql.done()
}

/// Rows of table, id, version, which then stay as they are until the transaction ends.
pub(crate) fn lock(places: &[&Place]) -> Statement {
    let mut sql = Builder::default();
    sql.text("SELECT tbl, id, version FROM dps_record WHERE ")
        .of_shard(places);
    sql.text(" ORDER BY tbl, id FOR UPDATE");
    sql.done()
}

pub(crate) fn delete(places: &[&Place]) -> Statement {
    let mut sql = Builder::default();
    sql.text("DELETE FROM dps_record WHERE ").of_shard(places);
    sql.done()
}
