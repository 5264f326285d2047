//! The least that registering a device by a group's key takes, written by hand.
//!
//! Derive the device's two keys and verify its token, look three records up, choose a hub, write the
//! two records that our service writes (byte for byte, but for the device's own names, numbers and
//! keys), and commit twice to the same store. Nothing is explained, nobody could take an operation
//! up, nothing is decided but the hub, and a request is trusted to be what it seems.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use dps_core::allocate::{AllocationRequest, Policy, choose};
use dps_core::attest::{SasToken, derive_device_key};
use dps_core::crypto::AWS_LC;
use dps_core::enrollment::Enrollment;
use dps_core::id::{ApiVersion, IdScope, OperationId, RegistrationId, SecretBytes};
use dps_core::instance::LinkedHub;
use dps_core::store::{
    Change, Expect, Key, Page, Scan, Shard, Store, StoreError, Table, Version, Versioned, Write,
};
use dps_core::trace::Trace;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::world;

type Text = Cow<'static, str>;

/// A registration as our service stores it, as far as a first registration by a group's key goes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    id: Text,
    created: u64,
    updated: u64,
    group: Text,
    by: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Assigned>,
    op: Attempt,
    trace: Trace,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Assigned {
    place: Place,
    how: Text,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    hub: Text,
    device: Text,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Attempt {
    id: Text,
    phase: Phase,
    started: u64,
    since: u64,
    resume: u64,
    token: Text,
    asked: Text,
    version: Text,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum Phase {
    Linking {
        place: Place,
        auth: Auth,
        edge: bool,
        twin: Twin,
        how: Text,
    },
    Done,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Auth {
    Keys(Text, Text),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Twin {
    IfNew {},
}

/// The loop, with what it needs.
#[derive(Debug)]
pub struct Bare {
    store: Arc<dyn Store>,
    scope: IdScope,
    keys: [SecretBytes; 2],
    group: Enrollment,
    hubs: Vec<LinkedHub>,
    epoch: Key,
    /// As they are after the first commit and after the second.
    records: [Record; 2],
}

impl Bare {
    /// Ready to register devices in a store that [`world::fill`] has filled.
    ///
    /// # Panics
    /// When our service writes other records than this was written for.
    pub async fn new(store: Arc<dyn Store>) -> Self {
        let shard = Shard {
            scope: world::scope(),
            slot: 0,
        };
        let epoch = Key {
            shard,
            table: Table::Instance,
            id: "epoch".into(),
        };
        Self {
            store,
            scope: world::scope(),
            keys: world::group_keys(),
            group: world::key_group(),
            hubs: world::hubs(world::HUBS),
            epoch,
            records: samples().await,
        }
    }

    /// Registers one device.
    ///
    /// # Panics
    /// When anything is not as it should be.
    pub async fn register(&mut self, registration: &RegistrationId, token: &str) {
        let token = SasToken::parse(token).expect("a token");
        assert!(token.names(&self.scope, registration));
        let keys = [0, 1].map(|n| derive_device_key(&self.keys[n], registration.as_str()));
        assert!(token.is_signed_with(keys[0].expose()));
        let now = now();
        assert!(token.expires().0 > now);

        let id = registration.folded();
        let sum = id.bytes().fold(0_u16, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(byte.into())
        });
        let shard = Shard {
            scope: self.scope.clone(),
            slot: 1 + sum % 64,
        };
        let key = |table| Key {
            shard: shard.clone(),
            table,
            id: Arc::clone(id),
        };
        let keys_read = [
            key(Table::Enrollment),
            key(Table::Registration),
            self.epoch.clone(),
        ];
        let read = self.store.get_many(&keys_read).await.expect("a store");
        assert!(matches!(&read[..], [None, None, Some(_)]));

        let operation = OperationId::from_random(AWS_LC.random().expect("randomness"));
        let hubs: Vec<_> = self.hubs.iter().collect();
        let origin = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let request = AllocationRequest::new(
            &self.scope,
            &operation,
            registration,
            &self.group,
            &hubs,
            origin,
        );
        let choice = choose(Policy::Hashed, &request, &[]).expect("a hub");
        let hub = choice.hub.name.as_str();

        let [first, second] = &mut self.records;
        for record in [&mut *first, &mut *second] {
            set(&mut record.id, registration.as_str());
            (record.created, record.updated) = (now, now);
            set(&mut record.op.id, operation.as_str());
            (record.op.started, record.op.since, record.op.resume) = (now, now, now);
            if let Phase::Linking { place, auth, .. } = &mut record.op.phase {
                set(&mut place.hub, hub);
                set(&mut place.device, registration.as_str());
                let Auth::Keys(one, other) = auth;
                for (text, key) in [one, other].into_iter().zip(&keys) {
                    let text = text.to_mut();
                    text.clear();
                    STANDARD.encode_string(key.expose(), text);
                }
            }
            if let Some(at) = &mut record.at {
                set(&mut at.place.hub, hub);
                set(&mut at.place.device, registration.as_str());
            }
        }
        let write = |table, id, expect, change| Write {
            table,
            id,
            expect,
            change,
        };
        let member = format!("by-key/{id}").into();
        let writes = [
            write(
                Table::Registration,
                Arc::clone(id),
                Expect::Absent,
                put(first),
            ),
            write(
                Table::Member,
                member,
                Expect::Any,
                Change::Put(Bytes::new()),
            ),
            write(
                Table::Enrollment,
                Arc::clone(id),
                Expect::Absent,
                Change::Keep,
            ),
        ];
        let version = self.store.commit(&shard, &writes).await.expect("a commit");
        let expect = Expect::Exactly(version);
        let writes = [write(
            Table::Registration,
            Arc::clone(id),
            expect,
            put(second),
        )];
        self.store.commit(&shard, &writes).await.expect("a commit");
    }
}

fn set(text: &mut Text, to: &str) {
    let text = text.to_mut();
    text.clear();
    text.push_str(to);
}

fn put(record: &Record) -> Change {
    Change::Put(serde_json::to_vec(record).expect("a record is JSON").into())
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis().try_into().unwrap_or(u64::MAX))
}

/// The two records that our service writes for a device, read back.
async fn samples() -> [Record; 2] {
    let recording = Arc::new(Recording::default());
    let store: Arc<dyn Store> = recording.clone();
    world::fill(&store, &world::instance(None), &[world::key_group()], 0).await;
    let service = world::service(&store);
    world::register(&service, world::hello(1), &ApiVersion::usual()).await;
    let written = recording.written.lock();
    let records = written.iter().map(|value| {
        let record: Record = serde_json::from_slice(value)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(value)));
        let again = serde_json::to_vec(&record).expect("a record is JSON");
        assert!(again == *value, "{}", String::from_utf8_lossy(value));
        record
    });
    let records: Vec<_> = records.collect();
    records.try_into().expect("two commits for a registration")
}

/// Keeps every registration that was put.
#[derive(Debug, Default)]
struct Recording {
    store: dps_store_memory::MemoryStore,
    written: Mutex<Vec<Bytes>>,
}

#[async_trait]
impl Store for Recording {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
        self.store.get_many(keys).await
    }
    async fn commit(&self, shard: &Shard, writes: &[Write]) -> Result<Version, StoreError> {
        for write in writes {
            if let (Table::Registration, Change::Put(value)) = (write.table, &write.change) {
                self.written.lock().push(value.clone());
            }
        }
        self.store.commit(shard, writes).await
    }
    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError> {
        self.store.scan(scan).await
    }
}
