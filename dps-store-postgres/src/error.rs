//! What can be the matter with a database.

use std::time::Duration;

use dps_core::store::StoreError;
use tokio_postgres::error::{Severity, SqlState};

/// Why a database cannot be used, now or at all.
///
/// It is also the source of [`StoreError::Unavailable`]. No password and no stored value is ever in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// Nobody answers, or what answers speaks no TLS, or its certificate is not good.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// It knows the role or the database not, or the password is wrong, or it has no room for more connections.
    #[error("the database refuses the connection: {message} ({code})")]
    Refused {
        /// SQLSTATE.
        code: String,
        /// What it says.
        message: String,
    },
    /// The connection ended while a call was under way.
    #[error("the connection to the database was lost: {0}")]
    Lost(String),
    /// It did not answer in time.
    #[error("the database did not answer within {0:?}")]
    Slow(Duration),
    /// No connection became free in time.
    #[error("no connection to the database became free within {0:?}")]
    NoConnection(Duration),
    /// More calls wait for it than may.
    #[error("{0} calls wait for the database already")]
    Busy(usize),
    /// It is a standby, or was made read-only.
    #[error("the database takes no writes")]
    ReadOnly,
    /// The role lacks rights on the tables.
    #[error("the role may not do what the store has to: {0}")]
    NoRights(String),
    /// The tables are not there.
    #[error("the database has no tables for a store: make them with PostgresStore::migrate")]
    NoSchema,
    /// The tables are those of an older version of this crate.
    #[error(
        "the tables are of version {found}, not {known}: bring them up to date with PostgresStore::migrate"
    )]
    OlderSchema {
        /// What is there.
        found: i64,
        /// What this version of the crate works with.
        known: i64,
    },
    /// The tables are those of a newer version of this crate.
    #[error("the tables are of version {found}, and this program knows no more than {known}")]
    NewerSchema {
        /// What is there.
        found: i64,
        /// What this version of the crate works with.
        known: i64,
    },
    /// The records are those of a newer version of the service.
    #[error("the records are of form {found}, and this program knows no more than {known}")]
    NewerRecords {
        /// What is there.
        found: i64,
        /// [`RECORD_FORMAT`](dps_core::store::RECORD_FORMAT).
        known: i64,
    },
    /// The database, or the role, is set to acknowledge commits that it has not written.
    #[error("synchronous_commit is off: the database acknowledges commits before they are durable")]
    Forgetful,
    /// The commit was written, but somebody made the server stop waiting for its standby.
    #[error("the commit may not have reached the standby: {0}")]
    NotReplicated(String),
    /// The same records were fought over too often.
    #[error("other commits came first, {0} times")]
    Contended(u32),
    /// The store is closed, or the runtime that it was opened in has ended.
    #[error("the store is closed")]
    Closed,
    /// It said something else.
    #[error("the database says: {message} ({code})")]
    Other {
        /// SQLSTATE.
        code: String,
        /// What it says.
        message: String,
    },
}

impl DatabaseError {
    pub(crate) fn unavailable(self) -> StoreError {
        StoreError::Unavailable(Box::new(self))
    }

    /// Whether waiting a little may help: nobody has to do anything about it.
    pub(crate) fn passes(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Lost(_) | Self::Slow(_) | Self::ReadOnly => true,
            // No room, or it starts or stops.
            Self::Refused { code, .. } => code.starts_with("53") || code.starts_with("57"),
            _ => false,
        }
    }
}

/// What became of a statement, seen from who has to go on.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A record is not as expected, and nothing was written.
    Unexpected,
    /// Nothing was written, and trying again may help.
    Again(DatabaseError),
    /// Nothing was written.
    Not(DatabaseError),
    /// Nobody knows. The connection is of no more use.
    Unknown(DatabaseError),
}

impl Failure {
    pub(crate) fn error(self) -> DatabaseError {
        match self {
            Self::Unexpected => DatabaseError::Contended(1),
            Self::Again(error) | Self::Not(error) | Self::Unknown(error) => error,
        }
    }

    /// Whether the connection can be used again.
    pub(crate) const fn keeps_connection(&self) -> bool {
        match self {
            Self::Unexpected | Self::Not(_) => true,
            // Somewhere else there may be one that takes writes.
            Self::Again(error) => !matches!(error, DatabaseError::ReadOnly),
            Self::Unknown(_) => false,
        }
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(said) = error.as_db_error() else {
            return Self::Unknown(DatabaseError::Lost(chain(&error)));
        };
        let code = said.code();
        let of = |known: fn(String) -> DatabaseError| known(said.message().to_owned());
        if matches!(
            said.parsed_severity(),
            Some(Severity::Fatal | Severity::Panic)
        ) {
            return Self::Unknown(of(DatabaseError::Lost));
        }
        match *code {
            SqlState::DIVISION_BY_ZERO => Self::Unexpected,
            SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED => {
                Self::Again(other(said))
            }
            SqlState::READ_ONLY_SQL_TRANSACTION => Self::Again(DatabaseError::ReadOnly),
            SqlState::INSUFFICIENT_PRIVILEGE => Self::Not(of(DatabaseError::NoRights)),
            SqlState::UNDEFINED_TABLE => Self::Not(DatabaseError::NoSchema),
            // CockroachDB does not know either.
            SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN => Self::Unknown(other(said)),
            _ => Self::Not(other(said)),
        }
    }
}

fn other(said: &tokio_postgres::error::DbError) -> DatabaseError {
    DatabaseError::Other {
        code: said.code().code().to_owned(),
        message: said.message().to_owned(),
    }
}

/// Why there is no connection.
pub(crate) fn refused(error: &tokio_postgres::Error) -> DatabaseError {
    let Some(said) = error.as_db_error() else {
        let text = chain(error);
        if text.contains("database does not allow writes") {
            return DatabaseError::ReadOnly;
        }
        return DatabaseError::Unreachable(text);
    };
    DatabaseError::Refused {
        code: said.code().code().to_owned(),
        message: said.message().to_owned(),
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
