//! Devices that are not let in.

use dps_core::id::HubName;
use dps_testkit::hubs::Fault;
use dps_tpm::client::{Assignment, Error};
use serde_json::json;

use crate::site::*;

fn status(result: Result<Assignment, Error>) -> u16 {
    match result {
        Err(Error::Refused { status, .. }) => status,
        other => panic!("{other:?}"),
    }
}

/// An id that nobody enrolled, a TPM that is not the enrolled one, and an entry that asks for something else: all
/// are challenged, sign, and are refused alike.
#[tokio::test]
async fn a_tpm_that_is_not_enrolled_is_refused() {
    let site = Site::open().await;
    let mut enrolled = Device::new("press-1", ECC);
    site.enroll(&enrolled).await;
    site.put(&json!({"registrationId": "kiosk-1", "attestation": {"type": "symmetricKey"}}))
        .await;
    let mut stranger = Device::new("press-1", ECC);
    for transport in TRANSPORTS {
        for id in ["press-1", "kiosk-1", "press-2"] {
            id.clone_into(&mut stranger.id);
            let refused = site.register(transport, &mut stranger).await;
            assert_eq!(status(refused), 401, "{id} over {transport:?}");
            assert!(!site.has_registration(id).await);
        }
        // The right TPM under another name.
        "press-2".clone_into(&mut enrolled.id);
        let refused = site.register(transport, &mut enrolled).await;
        assert_eq!(status(refused), 401, "{transport:?}");
    }
    "press-1".clone_into(&mut enrolled.id);
    site.register(TRANSPORTS[0], &mut enrolled).await.unwrap();
    assert!(site.knows(&mut enrolled));
}

#[tokio::test]
async fn a_tpm_whose_enrollment_is_disabled_is_refused() {
    let site = Site::open().await;
    let mut device = Device::new("press-1", ECC);
    let endorsement = base64(&device.tpm.endorsement_key().unwrap());
    site.put(&json!({
        "registrationId": "press-1",
        "provisioningStatus": "disabled",
        "attestation": {"type": "tpm", "tpm": {"endorsementKey": endorsement}},
    }))
    .await;
    for transport in TRANSPORTS {
        let refused = site.register(transport, &mut device).await;
        assert!(
            matches!(
                refused,
                Err(Error::Refused { status: 401, .. } | Error::Disabled)
            ),
            "{transport:?}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn a_device_whose_hub_refuses_is_told() {
    let site = Site::open().await;
    let fault = Fault::Refused {
        code: 400_123,
        reason: "the hub is full".into(),
    };
    site.hubs.fail_at(&HubName::parse(HUB).unwrap(), fault);
    for (number, transport) in TRANSPORTS.into_iter().enumerate() {
        let mut device = Device::new(&format!("press-{number}"), ECC);
        site.enroll(&device).await;
        let failed = site.register(transport, &mut device).await;
        let Err(Error::Failed { code, message }) = failed else {
            panic!("{failed:?}");
        };
        assert_eq!((code, &*message), (Some(400_123), "the hub is full"));
    }
}
