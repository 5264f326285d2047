//! Keys that change: of the hub, with each registration, and of the TPM, when it is cleared.

use std::time::Duration;

use crate::site::*;

#[tokio::test]
async fn each_registration_rolls_the_key_for_the_hub() {
    let site = Site::open().await;
    let mut device = Device::new("press-1", ECC);
    site.enroll(&device).await;
    let mut before = Vec::new();
    for transport in TRANSPORTS {
        site.register(transport, &mut device).await.unwrap();
        let key = site.hub_key("press-1");
        assert!(site.knows(&mut device));
        assert!(!before.contains(&key), "an old key is used again");
        let signed = device.tpm.sign(b"data").unwrap();
        assert!(
            before
                .iter()
                .all(|old: &Vec<u8>| signed != hmac(old, b"data"))
        );
        before.push(key);
    }
}

#[tokio::test]
async fn a_tpm_that_was_cleared_registers_again() {
    let site = Site::open().await;
    let mut device = Device::new("press-1", ECC);
    site.enroll(&device).await;
    for transport in TRANSPORTS {
        let first = site.register(transport, &mut device).await.unwrap();
        device.tpm.clear(ECC).unwrap();
        let second = site.register(transport, &mut device).await.unwrap();
        assert_eq!(
            (&first.hub, &first.device_id),
            (&second.hub, &second.device_id)
        );
        assert_eq!(second.exchanges, 2);
        assert!(site.knows(&mut device));
    }
}

/// The hub keeps the service waiting, the device's TPM is cleared, and the device begins anew: the key it is
/// given in the end is for the storage root key that it has then.
#[tokio::test(start_paused = true)]
async fn a_tpm_that_is_cleared_in_the_middle_takes_the_operation_over() {
    for (first, second) in TRANSPORTS
        .into_iter()
        .zip(TRANSPORTS.into_iter().cycle().skip(1))
    {
        let site = Site::with_grace(Duration::ZERO).await;
        let mut device = Device::new("press-1", ECC);
        site.enroll(&device).await;
        let held = site.hubs.hold();
        let soon = Duration::from_secs(10);
        let work = site.register(first, &mut device);
        tokio::time::timeout(soon, work).await.unwrap_err();
        assert_eq!(site.hubs.waiting(), 1);
        device.tpm.clear(ECC).unwrap();
        let work = site.register(second, &mut device);
        let (found, ()) = tokio::join!(work, async {
            // It is told to wait, and asks again.
            tokio::time::sleep(soon).await;
            drop(held);
            // Whoever was at the operation is taken for gone.
            site.clock.advance(Duration::from_secs(60));
        });
        assert_eq!(found.unwrap().hub, HUB);
        assert!(site.knows(&mut device));
    }
}
