//! Statements for a single server: any number of rows, of any shards, is one text.

use super::{Batch, Builder, INTO, NOTE, Param, Place, Put, RAISE, SAME, Statement, UPSERT};

/// Rows of position, version, value.
pub(crate) fn read(places: &[Place]) -> Statement {
    let mut sql = Builder::default();
    sql.text("SELECT k.n, r.version, r.value FROM ")
        .places(places.iter());
    sql.text(") WITH ORDINALITY AS k(shard, tbl, id, n) JOIN dps_record AS r ON ")
        .text(SAME);
    sql.done()
}

/// All of a batch.
pub(crate) fn write(batch: &Batch) -> Statement {
    let mut sql = Builder::default();
    sql.text(NOTE);
    if batch.only_puts() {
        insert(&mut sql, &batch.puts);
        sql.text(RAISE);
        return sql.done();
    }
    // What must be true, and with which number.
    let mut holds: Vec<(&str, Option<usize>)> = Vec::new();
    let mut parts = ["WITH ", ", ", ", "].into_iter();
    let mut begin = |sql: &mut Builder, name: &str| {
        let before = parts.next().unwrap_or_default();
        sql.text(before).text(name).text(" AS (");
    };
    if !batch.puts.is_empty() {
        begin(&mut sql, "put");
        insert(&mut sql, &batch.puts);
        sql.text(" RETURNING t.expected)");
        holds.push(("NOT EXISTS (SELECT 1 FROM put WHERE expected > 0)", None));
    }
    if !batch.deletes.is_empty() {
        begin(&mut sql, "gone");
        sql.text("DELETE FROM dps_record AS r USING ")
            .numbered(batch.deletes.iter());
        sql.text(" AS k(shard, tbl, id, expected) WHERE ")
            .text(SAME);
        sql.text(" AND (k.expected = -1 OR k.expected = r.version) RETURNING k.expected)");
        let exact = batch.deletes.iter().filter(|(_, expected)| *expected > 0);
        holds.push((
            "(SELECT count(*) FROM gone WHERE expected > 0) = ",
            Some(exact.count()),
        ));
    }
    if !batch.keeps.is_empty() {
        begin(&mut sql, "kept");
        sql.text("SELECT 1 FROM ").numbered(batch.keeps.iter());
        sql.text(" AS k(shard, tbl, id, version) JOIN dps_record AS r ON ")
            .text(SAME);
        sql.text(" AND r.version = k.version FOR UPDATE OF r)");
        holds.push(("(SELECT count(*) FROM kept) = ", Some(batch.keeps.len())));
    }
    sql.text(" SELECT 1 / (CASE WHEN true");
    for (hold, number) in holds {
        sql.text(" AND ").text(hold);
        if let Some(number) = number {
            sql.value(Param::Big(i64::try_from(number).unwrap_or(i64::MAX)));
        }
    }
    if !batch.absent.is_empty() {
        sql.text(" AND NOT EXISTS (SELECT 1 FROM ")
            .places(batch.absent.iter());
        sql.text(") AS k(shard, tbl, id) JOIN dps_record AS r ON ")
            .text(SAME)
            .text(")");
    }
    sql.text(" THEN 1 ELSE 0 END)");
    sql.done()
}

fn insert(sql: &mut Builder, puts: &[Put]) {
    sql.text(INTO)
        .text("SELECT * FROM ")
        .places(puts.iter().map(|put| &put.place))
        .text(", ");
    sql.value(Param::ManyBig(puts.iter().map(|put| put.version).collect()))
        .text("::int8[], ");
    sql.value(Param::ManyBig(
        puts.iter().map(|put| put.expected).collect(),
    ))
    .text("::int8[], ");
    sql.value(Param::ManyBytes(
        puts.iter().map(|put| put.scope.clone()).collect(),
    ));
    sql.text("::bytea[], ");
    sql.value(Param::ManyBytes(
        puts.iter().map(|put| put.value.clone()).collect(),
    ));
    sql.text("::bytea[])").text(UPSERT);
}
