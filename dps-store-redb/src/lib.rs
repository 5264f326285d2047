//! A store in one file: an embedded [redb](https://docs.rs/redb) database behind
//! [`Store`](dps_core::store::Store).
