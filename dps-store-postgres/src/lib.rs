//! A store in PostgreSQL, or in what speaks its protocol, behind [`Store`](dps_core::store::Store).
