//! Devices that are let in.

use std::time::Duration;

use dps_tpm::Algorithm::{EccP256, Rsa2048};
use dps_tpm::Keys;

use crate::site::*;

/// Over TLS and sockets, with every kind of keys.
#[tokio::test]
async fn a_device_is_assigned_in_two_exchanges_and_signs_for_its_hub() {
    let site = Site::open().await;
    let endpoint = site.listen();
    for transport in TRANSPORTS {
        for endorsement in [Rsa2048, EccP256] {
            for storage in [Rsa2048, EccP256] {
                let keys = Keys {
                    endorsement,
                    storage,
                };
                let id = format!("{transport:?}-{endorsement:?}-{storage:?}").to_lowercase();
                let mut device = Device::new(&id, keys);
                site.enroll(&device).await;
                let found = endpoint
                    .register(transport, &mut device.tpm, &id, None)
                    .await
                    .unwrap();
                assert_eq!((&*found.hub, &found.device_id), (HUB, &id));
                assert_eq!(found.exchanges, 2);
                assert_eq!(found.state["substatus"], "initialAssignment");
                assert!(site.knows(&mut device), "{id}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_not_done_at_once_asks_again() {
    let site = Site::with_grace(Duration::ZERO).await;
    for transport in TRANSPORTS {
        let id = format!("{transport:?}").to_lowercase();
        let mut device = Device::new(&id, ECC);
        site.enroll(&device).await;
        let found = site.register(transport, &mut device).await.unwrap();
        assert_eq!(found.exchanges, 3);
        assert!(site.knows(&mut device));
    }
}

/// The names are as long as they can be, so the challenge is.
#[tokio::test]
async fn the_longest_names_fit_into_each_transport() {
    let site = Site::open().await;
    for (number, transport) in TRANSPORTS.into_iter().enumerate() {
        let mut device = Device::new(&format!("{number:a<128}"), Keys::default());
        site.enroll(&device).await;
        let found = site.register(transport, &mut device).await.unwrap();
        assert_eq!(found.exchanges, 2);
        assert!(site.knows(&mut device));
    }
}

/// What an operator writes beside the endorsement key may be out of date.
#[tokio::test]
async fn the_enrolled_storage_root_key_does_not_matter() {
    let site = Site::open().await;
    let mut device = Device::new("press-1", ECC);
    let endorsement = base64(&device.tpm.endorsement_key().unwrap());
    let storage = base64(&device.tpm.storage_root_key().unwrap());
    device.tpm.clear(ECC).unwrap();
    site.put(&serde_json::json!({
        "registrationId": "press-1",
        "attestation": {"type": "tpm", "tpm": {
            "endorsementKey": endorsement, "storageRootKey": storage,
        }},
    }))
    .await;
    for transport in TRANSPORTS {
        site.register(transport, &mut device).await.unwrap();
        assert!(site.knows(&mut device));
    }
}
