//! Which slot a record lives in, told from its name.

use std::sync::Arc;

use super::{DeviceKeys, SLOTS, configuration};
use crate::id::IdScope;
use crate::store::{Shard, Table};

/// The shard of the record `id` of `table`; `None` if no record is named so.
///
/// For whoever has found a record by a scan, which does not say.
pub(crate) fn shard_of(scope: &IdScope, table: Table, id: &str) -> Option<Shard> {
    let device =
        |id: &str| (!id.is_empty()).then(|| DeviceKeys::of_folded(scope, Arc::from(id)).shard);
    match table {
        Table::Instance | Table::Certificate | Table::Group => Some(configuration(scope)),
        Table::Enrollment | Table::Registration | Table::Challenge => device(id),
        // Neither groups nor devices have a slash in their names; devices of hubs, behind the second one, may.
        Table::Member => device(id.split_once('/')?.1),
        Table::Leaving => device(id.split_once('/')?.0),
        Table::Tally => {
            let slot = id.strip_prefix("enrollments/")?.parse().ok()?;
            (1..=u16::from(SLOTS)).contains(&slot).then(|| Shard {
                scope: scope.clone(),
                slot,
            })
        }
    }
}
