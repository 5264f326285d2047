//! Devices that prove themselves by their TPM, alone and in WebSockets, and callers who cannot.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dps_core::enrollment::Attestation;
use dps_core::hub::DeviceAuth;
use dps_core::id::{DeviceId, HubName, SecretBytes};
use dps_core::store::{Key, Page, Scan, Shard, Store, StoreError, Version, Versioned, Write};
use dps_core::tpm::{PublicKey, TpmKeys};
use dps_store_memory::MemoryStore;
use dps_testkit::tpm::{Kind, Opened, SoftTpm};
use dps_transport_http::Http;

use crate::common::*;
use crate::site::*;
use crate::websocket;

/// A store that counts commits.
#[derive(Debug, Default)]
struct Counted {
    inner: MemoryStore,
    commits: AtomicUsize,
}

#[async_trait]
impl Store for Counted {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
        self.inner.get_many(keys).await
    }

    async fn commit(&self, shard: &Shard, writes: &[Write]) -> Result<Version, StoreError> {
        self.commits.fetch_add(1, Ordering::SeqCst);
        self.inner.commit(shard, writes).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError> {
        self.inner.scan(scan).await
    }
}

fn enrolled(tpm: &SoftTpm) -> Attestation {
    Attestation::Tpm {
        endorsement_key: tpm.keys().endorsement_key,
        storage_root_key: None,
    }
}

/// A site where the TPM is that of press-1, and what counts its commits.
async fn site_of(tpm: &SoftTpm) -> (Site, Arc<Counted>) {
    let store = Arc::new(Counted::default());
    let service = Service::over(Arc::clone(&store) as Arc<dyn Store>).await;
    let site = Site::with(service);
    site.put(&individual("press-1", enrolled(tpm))).await;
    (site, store)
}

/// A line on which nothing has been said, in WebSockets or not.
async fn line(site: &Site, in_websockets: bool) -> Line {
    if !in_websockets {
        return site.line(peer());
    }
    let amqp = site.amqp.clone().over_websockets();
    let http = Http::new(site.api.clone()).websocket(SUBPROTOCOL, Arc::new(amqp));
    websocket::line(&http, peer(), &site.tasks).await
}

/// Shows both keys, and takes what has to be answered.
async fn challenged(line: &mut Line, scope: &str, id: &str, keys: &TpmKeys) -> Vec<u8> {
    line.send(SASL).await;
    assert_eq!(line.receive().await, Told::Header(3));
    let Told::Mechanisms(names) = line.receive().await else {
        panic!("no mechanisms");
    };
    assert!(names.contains(&symbol("TPM")));
    line.send(&by_tpm(scope, id, keys.endorsement_key.bytes()))
        .await;
    assert_eq!(line.receive().await, Told::Challenge(vec![0]));
    line.send(&response(keys.storage_root_key.bytes())).await;
    let Told::Challenge(first) = line.receive().await else {
        panic!("no first half");
    };
    line.send(&response(b"")).await;
    let Told::Challenge(second) = line.receive().await else {
        panic!("no second half");
    };
    assert_eq!((first[0], second[0]), (0x80, 0xc1));
    assert!(first.len() <= 487 && first.len() - second.len() <= 1);
    [&first[1..], &second[1..]].concat()
}

fn opened(tpm: &SoftTpm, id: &str, blob: &[u8]) -> Opened {
    let opened = tpm.open(blob).unwrap();
    assert_eq!(opened.resource, name(id));
    opened
}

async fn sign(line: &mut Line, token: &str) -> Told {
    line.send(&response(token.as_bytes())).await;
    line.receive().await
}

/// A device that has proven itself, with its links.
async fn proven(site: &Site, mut line: Line, id: &str, tpm: &SoftTpm) -> Line {
    let blob = challenged(&mut line, SCOPE, id, &tpm.keys()).await;
    let key = opened(tpm, id, &blob).key;
    assert_eq!(
        sign(&mut line, &site.token(id, &key)).await,
        Told::Outcome(0)
    );
    line.greet(&linking(&name(id))).await;
    line
}

fn hub_key(answer: &Answer) -> Vec<u8> {
    let key = &answer.body["registrationState"]["tpm"]["authenticationKey"];
    STANDARD.decode(key.as_str().unwrap()).unwrap()
}

/// That the hub lets the device in by this key.
fn signs_in_with(site: &Site, id: &str, key: &SecretBytes) {
    let (hub, device) = (HubName::parse(A).unwrap(), DeviceId::parse(id).unwrap());
    match site.hubs.device(&hub, &device).unwrap().auth {
        DeviceAuth::Keys { primary, .. } => assert_eq!(primary.expose(), key.expose()),
        other => panic!("{other:?}"),
    }
}

/// What Node.js and C send with a register, though they have shown it before.
fn repeating(keys: &TpmKeys) -> Vec<u8> {
    let base64 = |key: &PublicKey| STANDARD.encode(key.bytes());
    let body = serde_json::json!({"tpm": {
        "endorsementKey": base64(&keys.endorsement_key),
        "storageRootKey": base64(&keys.storage_root_key),
    }});
    register(body.to_string().as_bytes())
}

#[tokio::test]
async fn a_device_is_assigned_by_its_first_request_and_finds_its_key_at_its_hub() {
    for (kind, in_websockets) in [(Kind::Rsa, false), (Kind::Ecc, false), (Kind::Rsa, true)] {
        let tpm = SoftTpm::new(kind);
        let (site, _) = site_of(&tpm).await;
        let line = line(&site, in_websockets).await;
        let mut line = proven(&site, line, "press-1", &tpm).await;
        let told = line.ask(&repeating(&tpm.keys())).await.unwrap();
        assert_eq!((told.word(), told.hub()), ("assigned", Some(A)));
        let key = opened(&tpm, "press-1", &hub_key(&told)).key;
        signs_in_with(&site, "press-1", &key);
        for _ in 0..2 {
            let polled = line.poll(told.operation()).await;
            assert_eq!(polled.word(), "assigned");
            assert_eq!(hub_key(&polled), hub_key(&told));
        }
    }
}

#[tokio::test]
async fn a_device_that_polls_is_told_one_key_at_every_poll() {
    for in_websockets in [false, true] {
        let tpm = SoftTpm::new(Kind::Ecc);
        let (site, _) = site_of(&tpm).await;
        let site = site.without_grace();
        let line = line(&site, in_websockets).await;
        let mut line = proven(&site, line, "press-1", &tpm).await;
        let told = line.register().await;
        assert_eq!(told.word(), "assigning");
        assert!(told.body["registrationState"].get("tpm").is_none());
        let mut keys = BTreeSet::new();
        for _ in 0..3 {
            let polled = line.poll(told.operation()).await;
            assert_eq!(polled.word(), "assigned");
            keys.insert(hub_key(&polled));
        }
        assert_eq!(keys.len(), 1);
        let key = opened(&tpm, "press-1", keys.first().unwrap()).key;
        signs_in_with(&site, "press-1", &key);
    }
}

#[tokio::test]
async fn strangers_cannot_be_told_apart_and_write_nothing() {
    let (tpm, other) = (SoftTpm::new(Kind::Rsa), SoftTpm::new(Kind::Rsa));
    let (site, store) = site_of(&tpm).await;
    site.put(&individual("press-2", enrolled(&other))).await;
    site.put(&individual("keyed-1", keys(1))).await;
    let commits = store.commits.load(Ordering::SeqCst);
    let mut lengths = BTreeSet::new();
    let mut of_press_1 = String::new();
    for (id, shown, signs) in [
        ("press-1", &tpm, None),
        ("press-1", &other, None),
        ("press-2", &tpm, None),
        ("press-9", &tpm, None),
        ("keyed-1", &tpm, None),
        ("keyed-1", &tpm, Some(key(1))),
        ("press-1", &tpm, Some(key(7))),
    ] {
        let mut line = line(&site, false).await;
        let blob = challenged(&mut line, SCOPE, id, &shown.keys()).await;
        lengths.insert(blob.len());
        let own = opened(shown, id, &blob).key;
        let token = site.token(id, signs.as_ref().unwrap_or(&own));
        if id == "press-1" && signs.is_none() && of_press_1.is_empty() {
            // Genuine, and kept for others to try.
            of_press_1 = token;
            continue;
        }
        assert_eq!(sign(&mut line, &token).await, Told::Outcome(1), "{id}");
        line.closes().await;
    }
    assert_eq!(lengths.len(), 1);
    for (id, shown) in [("press-2", &other), ("press-1", &other), ("press-2", &tpm)] {
        let mut line = line(&site, false).await;
        challenged(&mut line, SCOPE, id, &shown.keys()).await;
        assert_eq!(sign(&mut line, &of_press_1).await, Told::Outcome(1), "{id}");
        line.closes().await;
    }
    assert_eq!(store.commits.load(Ordering::SeqCst), commits);
    assert!(site.hubs.calls().is_empty());
}

#[tokio::test]
async fn a_device_with_a_tpm_has_links_to_itself_only() {
    let tpm = SoftTpm::new(Kind::Ecc);
    let (site, _) = site_of(&tpm).await;
    let mut line = line(&site, false).await;
    let blob = challenged(&mut line, SCOPE, "press-1", &tpm.keys()).await;
    let token = site.token("press-1", &opened(&tpm, "press-1", &blob).key);
    assert_eq!(sign(&mut line, &token).await, Told::Outcome(0));
    line.send(&linking(&name("press-2"))).await;
    loop {
        match line.receive().await {
            Told::Attach(is_there) => assert!(!is_there),
            Told::Detach(problem) => {
                assert_eq!(problem.unwrap().condition, "amqp:unauthorized-access");
                break;
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_flood_of_proofs_that_are_not_ended_writes_nothing_and_is_cut_off() {
    let (tpm, other) = (SoftTpm::new(Kind::Ecc), SoftTpm::new(Kind::Ecc));
    let (site, store) = site_of(&tpm).await;
    let commits = store.commits.load(Ordering::SeqCst);
    let keys = other.keys();
    let proof = [
        SASL,
        &by_tpm(SCOPE, "press-1", keys.endorsement_key.bytes()),
        &response(keys.storage_root_key.bytes()),
    ]
    .concat();
    let mut challenges = 0;
    for _ in 0..700 {
        let mut line = line(&site, false).await;
        line.send(&proof).await;
        let told = loop {
            match line.receive().await {
                Told::Header(3) | Told::Mechanisms(_) => {}
                Told::Challenge(word) if word == [0] => {}
                told => break told,
            }
        };
        match told {
            Told::Challenge(_) => challenges += 1,
            told => assert_eq!(told, Told::Outcome(1)),
        }
    }
    assert_eq!(challenges, 591);
    assert_eq!(store.commits.load(Ordering::SeqCst), commits);
}
