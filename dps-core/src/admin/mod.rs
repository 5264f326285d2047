//! What operators do: instances, enrollments, registrations.
//!
//! Every change of an instance, its certificates or its groups rewrites the epoch of the scope in
//! the same commit, so it counts from the next request on every node. An individual enrollment is
//! read with each request and needs none.
//!
//! Methods that `put` replace whatever is there: for whoever owns what it writes, such as a program
//! with a configuration. Those that take a [`Precondition`] are for many who write at once. A program that
//! only wants something to begin with has [`Admin::create_instance`] and, for entries, [`Admin::import`].

mod bulk;
mod certificates;
mod check;
mod entries;
mod hubs;
mod import;
mod instance;
mod issuers;
mod policies;
pub mod query;

mod registrations;
mod removal;
mod settings;

use std::borrow::Cow;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

pub use self::bulk::{BulkFailure, BulkItem, BulkMode, MAX_BULK_ITEMS};
pub use self::certificates::{CODE_LIFETIME, CaDraft, VerificationCode};
pub use self::hubs::{HubDraft, MAX_CREDENTIAL_BYTES, MAX_LOCATION_BYTES};
pub use self::import::{Existing, Import, Imported};
pub use self::policies::{KeySlot, MAX_POLICIES, PolicyDraft};
use crate::certificate::ProofError;
use crate::crypto::{Crypto, CryptoError};
use crate::egress::Egress;
use crate::enrollment::DraftError;
use crate::id::{GroupId, IdScope, RegistrationId};
use crate::store::{Key, Store, StoreError, Version, Versioned};

/// How often a change begins anew when somebody else was quicker. Nobody is that unlucky often.
const ROUNDS: usize = 32;

/// Changes and reads what one tenant has set up. Cheap to clone; checks no rights: that is the caller's.
#[derive(Clone, Debug)]
pub struct Admin {
    store: Arc<dyn Store>,
    scope: IdScope,
    crypto: Option<Crypto>,
    egress: Egress,
}

/// Names an entry of the enrollment list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryId {
    /// The individual enrollment of a device.
    Individual(RegistrationId),
    /// A group.
    Group(GroupId),
}

/// A record as it was at one moment.
#[derive(Clone, Debug)]
pub struct Revision<T> {
    /// Which of its versions it is. Entity tags are made from it.
    pub version: Version,
    /// What stood in it.
    pub value: T,
}

/// What must be true of a record for a change to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing: whoever writes last wins.
    Any,
    /// It is not there yet.
    Absent,
    /// It is there, whatever stands in it.
    Present,
    /// It is as it was at this version.
    Version(Version),
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// It makes no sense.
    #[error("{0}")]
    Invalid(Cow<'static, str>),
    /// There is no such record.
    #[error("there is no such record")]
    NotFound,
    /// The record is there, and was to be made.
    #[error("it exists already")]
    Exists,
    /// The record is not as it was to be.
    #[error("it is not there any more, or has been changed")]
    Changed,
    /// Another entry has the same certificate, or the same key.
    #[error("{0}")]
    Duplicate(Cow<'static, str>),
    /// There are as many as there may be.
    #[error("there are {limit} already, which is as many as may be")]
    Full {
        /// How many there may be.
        limit: u64,
    },
    /// A certificate does not prove that the tenant holds a key.
    #[error("{0}")]
    Proof(#[source] ProofError),
    /// A position in a list is of another list.
    #[error("the position is of another list")]
    BadContinuation,
    /// A primitive failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AdminError {
    const fn invalid(text: &'static str) -> Self {
        Self::Invalid(Cow::Borrowed(text))
    }

    /// Others keep being quicker.
    fn restless() -> Self {
        let because = "the record does not stop changing".into();
        Self::Store(StoreError::Unavailable(because))
    }
}

impl From<DraftError> for AdminError {
    fn from(error: DraftError) -> Self {
        match error {
            DraftError::Crypto(error) => Self::Crypto(error),
            other => Self::Invalid(other.to_string().into()),
        }
    }
}

impl Admin {
    /// Works on the records of `scope` in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, scope: IdScope) -> Self {
        Self {
            store,
            scope,
            crypto: Crypto::built_in(),
            egress: Egress::default(),
        }
    }

    /// Whose records they are.
    #[must_use]
    pub const fn scope(&self) -> &IdScope {
        &self.scope
    }

    /// Uses these primitives. Default: [`Crypto::built_in`]; with none, no device can be attested by its
    /// TPM.
    #[must_use]
    pub fn with_crypto(mut self, crypto: Crypto) -> Self {
        self.crypto = Some(crypto);
        self
    }

    /// Links hubs that `egress` permits, and no others. Default: those with a public address, or a name.
    #[must_use]
    pub fn with_egress(mut self, egress: Egress) -> Self {
        self.egress = egress;
        self
    }

    async fn read(&self, key: Key) -> Result<Option<Versioned>, StoreError> {
        Ok(self
            .store
            .get_many(&[key])
            .await?
            .into_iter()
            .next()
            .flatten())
    }
}

/// Lets others run: a store that never waits would keep a thread for as long as there is work.
async fn breathe() {
    let mut rested = false;
    poll_fn(|context| {
        if rested {
            return Poll::Ready(());
        }
        rested = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
