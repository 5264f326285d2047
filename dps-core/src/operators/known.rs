//! What was last read of instances: who may operate them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::access::Access;
use crate::id::IdScope;
use crate::record::decode_instance;
use crate::store::StoreError;

/// Of how many tenants something is remembered; all are forgotten when one more comes. Our choice.
const LIMIT: usize = 256;

/// Who may operate each instance, and the record that says so.
///
/// The record itself is read with each request, so that a change counts from the next one; it is decoded
/// only if it is another than last time.
#[derive(Default)]
pub(super) struct KnownAccess(Mutex<BTreeMap<Arc<str>, Known>>);

struct Known {
    record: Bytes,
    access: Arc<Access>,
}

impl KnownAccess {
    /// What the record of the instance of `scope` says.
    pub(super) fn of(&self, scope: &IdScope, record: &Bytes) -> Result<Arc<Access>, StoreError> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.get(&**scope.folded());
        if let Some(known) = known.filter(|known| known.record == *record) {
            return Ok(Arc::clone(&known.access));
        }
        let access = Arc::new(decode_instance(record)?.access);
        if all.len() >= LIMIT {
            all.clear();
        }
        let known = Known {
            record: record.clone(),
            access: Arc::clone(&access),
        };
        all.insert(Arc::clone(scope.folded()), known);
        Ok(access)
    }
}

impl fmt::Debug for KnownAccess {
    /// A count only: records hold keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        write!(f, "KnownAccess({})", all.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{AccessPolicy, Rights};
    use crate::allocate::Policy;
    use crate::id::SecretBytes;
    use crate::instance::{Instance, Quotas};
    use crate::record::encode_instance;

    fn record(policy: &str) -> Bytes {
        let policy = AccessPolicy {
            name: policy.into(),
            primary: SecretBytes::from([1; 32]),
            secondary: SecretBytes::from([2; 32]),
            rights: Rights::ALL,
        };
        let access = Access {
            policies: vec![policy],
            ..Access::default()
        };
        let instance = Instance {
            service_host: "dps.example.net".into(),
            policy: Policy::Hashed,
            hubs: Vec::new(),
            certificates: Vec::new(),
            access,
            quotas: Quotas::default(),
        };
        encode_instance(&instance).unwrap()
    }

    #[test]
    fn what_is_known_is_what_the_record_says() {
        let known = KnownAccess::default();
        let scopes = ["0ne", "tw0"].map(|scope| IdScope::parse(scope).unwrap());
        for name in ["first", "second", "second", "first"] {
            for scope in &scopes {
                let access = known.of(scope, &record(name)).unwrap();
                assert!(access.policy(name).is_some());
            }
        }
        assert!(known.of(&scopes[0], &Bytes::from_static(b"{")).is_err());
        assert_eq!(format!("{known:?}"), "KnownAccess(2)");
    }

    #[test]
    fn a_record_that_has_not_changed_is_not_read_again() {
        let known = KnownAccess::default();
        let scope = IdScope::parse("0ne").unwrap();
        let before = known.of(&scope, &record("owner")).unwrap();
        let after = known.of(&scope, &record("owner")).unwrap();
        assert!(Arc::ptr_eq(&before, &after));
    }

    #[test]
    fn no_more_than_so_many_tenants_are_known() {
        let known = KnownAccess::default();
        let record = record("owner");
        for nth in 0..2 * LIMIT {
            let scope = IdScope::parse(&format!("0ne{nth}")).unwrap();
            known.of(&scope, &record).unwrap();
            assert!(known.0.lock().unwrap().len() <= LIMIT);
        }
    }
}
