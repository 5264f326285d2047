//! Several entries in one request.

use super::{Admin, AdminError, EntryId, Precondition};
use crate::enrollment::Draft;
use crate::store::Version;
use crate::time::Timestamp;

/// The most entries of one request.
///
/// # Source
/// "up to 10 items": the service's REST description, *Run bulk enrollment operation*.
pub const MAX_BULK_ITEMS: usize = 10;

/// What happens to the entries of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkMode {
    /// They are made; none may be there.
    Create,
    /// They are replaced, whatever stands in them; each must be there.
    Update,
    /// They are replaced if they are as the request says.
    UpdateIfMatch,
    /// They go, whatever stands in them.
    Delete,
}

impl BulkMode {
    /// Reads the service's word for it, in any case of letters; `None` for any other text.
    ///
    /// # Source
    /// `BulkEnrollmentOperation` of the service's REST description. The Node.js service SDK writes
    /// `updateIfMatchEtag`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [
            Self::Create,
            Self::Update,
            Self::UpdateIfMatch,
            Self::Delete,
        ]
        .into_iter()
        .find(|mode| mode.word().eq_ignore_ascii_case(word))
    }

    /// The service's word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::UpdateIfMatch => "updateIfMatchETag",
            Self::Delete => "delete",
        }
    }
}

/// One entry of a request.
#[derive(Clone, Debug)]
pub struct BulkItem {
    /// Which.
    pub id: EntryId,
    /// What it is to be. Not looked at when it goes; without, nothing else can be done with it.
    pub draft: Option<Draft>,
    /// As what version it must be there, for [`BulkMode::UpdateIfMatch`]; not looked at otherwise.
    pub version: Option<Version>,
}

/// What became of an entry that was to be changed and was not.
#[derive(Debug)]
pub struct BulkFailure {
    /// Which.
    pub id: EntryId,
    /// Why.
    pub error: AdminError,
}

impl Admin {
    /// Changes several entries, one after the other in the order of `items`, each by itself: one that
    /// cannot be changed keeps none of the others back.
    ///
    /// * `items`: 1 to 10, each id once.
    /// * `now`: when that is.
    ///
    /// Returns those that were not changed, in the order of `items`.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for the request as a whole: nothing was changed.
    pub async fn bulk(
        &self,
        mode: BulkMode,
        items: Vec<BulkItem>,
        now: Timestamp,
    ) -> Result<Vec<BulkFailure>, AdminError> {
        check(&items)?;
        let mut failures = Vec::new();
        for item in items {
            let id = item.id.clone();
            if let Err(error) = self.bulk_item(mode, item, now).await {
                failures.push(BulkFailure { id, error });
            }
        }
        Ok(failures)
    }

    async fn bulk_item(
        &self,
        mode: BulkMode,
        item: BulkItem,
        now: Timestamp,
    ) -> Result<(), AdminError> {
        let precondition = match mode {
            BulkMode::Create => Precondition::Absent,
            BulkMode::Update => Precondition::Present,
            BulkMode::UpdateIfMatch => match item.version {
                Some(version) => Precondition::Version(version),
                None => return Err(AdminError::invalid("it says no entity tag")),
            },
            BulkMode::Delete => return self.remove_entry(&item.id, Precondition::Any).await,
        };
        let draft = item
            .draft
            .filter(|draft| EntryId::of(&draft.subject) == item.id);
        let draft = draft.ok_or_else(|| AdminError::invalid("it does not say what it is to be"))?;
        match self.write_entry(draft, precondition, now).await {
            // To be replaced it has to be there, and there is no version that it could have been.
            Err(AdminError::Changed) if precondition == Precondition::Present => {
                Err(AdminError::NotFound)
            }
            done => done.map(|_| ()),
        }
    }
}

fn check(items: &[BulkItem]) -> Result<(), AdminError> {
    if items.is_empty() || items.len() > MAX_BULK_ITEMS {
        return Err(AdminError::invalid("a request changes 1 to 10 entries"));
    }
    let twice = items
        .iter()
        .enumerate()
        .any(|(nth, item)| items.iter().take(nth).any(|before| before.id == item.id));
    if twice {
        return Err(AdminError::invalid(
            "an entry stands in the request more than once",
        ));
    }
    Ok(())
}
