//! Sealing values at rest, beside the bare cipher, and a store in memory, plain and sealed.
//!
//! `cargo bench --bench seal`

#![allow(clippy::future_not_send, reason = "one thread")]

use std::hint::black_box;
use std::io::Error;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use bytes::Bytes;
use dps_benches::inside::{Inside, alternate};
use dps_benches::{bench_main, table, world};
use dps_core::crypto::AWS_LC;
use dps_core::seal::SealedStore;
use dps_core::store::{Change, Expect, Key, Shard, Store, Table, Write};
use dps_store_memory::MemoryStore;
use dps_testkit::keys::FakeKeys;
use dps_testkit::run::block_on;

fn main() {
    bench_main(&[], async |bench, _| {
        let (times, rounds) = if bench.quick() {
            (1_000, 1)
        } else {
            (100_000, 9)
        };
        let bare = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).map_err(Error::other)?);
        let aead = AWS_LC.aead.ok_or_else(|| Error::other("no AEAD"))?;
        let aead = aead.key(&[7; 32]).map_err(Error::other)?;
        let plain = MemoryStore::new();
        let sealed = SealedStore::new(MemoryStore::new(), Arc::new(FakeKeys::new()), AWS_LC);
        let sealed = sealed.map_err(Error::other)?;
        let (bare, aead) = (&bare, &aead);
        let shard = Shard {
            scope: world::scope(),
            slot: 1,
        };
        let key = |bytes: usize| Key {
            shard: shard.clone(),
            table: Table::Registration,
            id: format!("record-of-{bytes}").into(),
        };
        let (shard, key) = (&shard, &key);
        let mut all = Vec::new();
        for bytes in [200, 1024] {
            let text = vec![b'x'; bytes];
            let mut copied = text.clone();
            let data = std::cell::RefCell::new(text.clone());
            all.push(Inside::repeat(
                &format!("bare: seal {bytes} B in place, nonces by counting"),
                times,
                move |n| {
                    let mut nonce = [0; 12];
                    nonce[..8].copy_from_slice(&n.to_le_bytes());
                    let nonce = Nonce::assume_unique_for_key(nonce);
                    let mut data = data.borrow_mut();
                    let sealed = bare.seal_in_place_separate_tag(nonce, Aad::from(b"a"), &mut data);
                    black_box(sealed.is_ok());
                },
            ));
            let data = std::cell::RefCell::new(text.clone());
            all.push(Inside::repeat(
                &format!("AeadKey: seal {bytes} B in place, random nonces"),
                times,
                move |_| {
                    black_box(aead.seal(b"a", &mut data.borrow_mut()).is_ok());
                },
            ));
            let with = aead.seal(b"a", &mut copied).map_err(Error::other)?;
            copied.extend_from_slice(&with.tag);
            all.push(Inside::repeat(
                &format!("AeadKey: copy {bytes} B and open"),
                times,
                move |_| {
                    let mut data = copied.clone();
                    black_box(aead.open(with.nonce, b"a", &mut data).is_ok());
                },
            ));
            let stores: [(&str, &dyn Store); 2] = [("plain", &plain), ("sealed", &sealed)];
            for (name, store) in stores {
                let value = Bytes::from(text.clone());
                let write = [Write {
                    table: Table::Registration,
                    id: key(bytes).id,
                    expect: Expect::Any,
                    change: Change::Put(value),
                }];
                block_on(store.commit(shard, &write)).map_err(Error::other)?;
                all.push(Inside::repeat(
                    &format!("memory, {name}: commit {bytes} B"),
                    times,
                    move |_| {
                        black_box(block_on(store.commit(shard, &write)).is_ok());
                    },
                ));
                let asked = [key(bytes)];
                all.push(Inside::repeat(
                    &format!("memory, {name}: read {bytes} B"),
                    times,
                    move |_| {
                        black_box(block_on(store.get_many(&asked)).is_ok());
                    },
                ));
            }
        }
        let found = alternate(&mut all, rounds);
        table::title(
            "Sealing values at rest with AES-256-GCM",
            "Fixed: AWS-LC, one key, one record, hot.",
        );
        table::costs("what", &found);
        Ok(())
    })
}
