//! Where a record lies in the table.

use bytes::Bytes;
use dps_core::id::IdScope;
use dps_core::store::{Shard, Table};

use crate::sql::Place;

/// `shard` is scope and slot in one column, because databases distribute rows by one.
pub(crate) fn place(shard: &Shard, table: Table, id: &str) -> Place {
    Place {
        shard: shard_of(shard),
        table: table as i16,
        id: Bytes::copy_from_slice(id.as_bytes()),
    }
}

pub(crate) fn shard_of(shard: &Shard) -> Bytes {
    format!("{}/{}", shard.scope.folded(), shard.slot).into()
}

pub(crate) fn scope_of(scope: &IdScope) -> Bytes {
    Bytes::copy_from_slice(scope.folded().as_bytes())
}
