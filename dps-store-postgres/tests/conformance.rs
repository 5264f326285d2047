//! The store suite on PostgreSQL: as it comes, as a spread database is spoken to, through a pooler, and sealed.
#![allow(clippy::unwrap_used, reason = "a test that fails says so")]

mod common;

mod together {
    use super::common::Fresh;
    dps_testkit::store::conformance!(Fresh(
        |config| config.with_layout(dps_store_postgres::Layout::Together)
    ));
}

mod spread {
    use super::common::Fresh;
    dps_testkit::store::conformance!(Fresh(
        |config| config.with_layout(dps_store_postgres::Layout::Spread)
    ));
}

mod pooled {
    use super::common::Pooled;
    dps_testkit::store::conformance!(Pooled);
}

mod sealed {
    use super::common::Fresh;
    use dps_testkit::store::Sealed;
    dps_testkit::store::conformance!(Sealed(Fresh(|config| config)));
}
