//! The instance, its entries, and the devices that hold the matching credentials.

use dps_core::access::Access;
use dps_core::admin::Admin;
use dps_core::allocate::Policy;
use dps_core::certificate::Certificate;
use dps_core::crypto::AWS_LC;
use dps_core::enrollment::Attestation;
use dps_core::id::{HubName, SecretBytes};
use dps_core::instance::{CaCertificate, Instance, LinkedHub, Quotas};
use dps_core::store::BoxError;
use dps_core::time::{Clock, SystemClock};
use dps_examples::device::Device;
use dps_testkit::certs::{Ca, Identity};
use dps_transport_http::service::EnrollmentReader;
use serde_json::json;

/// Name, region and weight.
pub(super) const HUBS: [(&str, &str, u32); 3] = [
    ("west.example.net", "westus", 1),
    ("north.example.net", "northeurope", 2),
    ("east.example.net", "japaneast", 1),
];

/// Of each group; one more of each kind is enrolled by itself.
const MEMBERS: usize = 199;

/// Sets up the instance and its entries, and makes the devices that hold the matching credentials.
pub(super) async fn all(admin: &Admin) -> Result<Vec<Device>, BoxError> {
    let factory = Ca::root("Factory");
    let line = factory.intermediate("Line 1");
    let hub = |(name, location, weight): (&str, &str, u32)| {
        Ok::<_, BoxError>(LinkedHub {
            name: HubName::parse(name)?,
            location: location.into(),
            weight,
            in_policy: true,
            credential: None,
        })
    };
    let certificate = Certificate::parse(factory.certificate_der())?;
    let instance = Instance {
        service_host: "quickstart.example.net".into(),
        policy: Policy::Hashed,
        hubs: HUBS.into_iter().map(hub).collect::<Result<_, _>>()?,
        certificates: vec![CaCertificate {
            name: "factory".into(),
            certificate,
            verified: true,
        }],
        access: Access::default(),
        quotas: Quotas::default(),
    };
    admin.put_instance(&instance).await?;

    // Entries as the service API has them; keys that are left out are made.
    let reader = EnrollmentReader::new(AWS_LC, SystemClock.now());
    let press = Identity::self_signed("press-1");
    let pem = press.certificate_pem();
    let entry = reader.individual(&json!({
        "registrationId": "press-1",
        "attestation": {"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": pem}}}},
        "initialTwin": {"tags": {"hall": 3}, "properties": {"desired": {"interval": 60}}},
    }))?;
    admin.put_enrollment(&entry.enrollment()?).await?;
    let by_key = json!({"type": "symmetricKey"});
    let kiosk = reader.individual(&json!({"registrationId": "kiosk-1", "attestation": by_key}))?;
    let kiosk = kiosk.enrollment()?;
    admin.put_enrollment(&kiosk).await?;
    let robots = reader.group(&json!({
        "enrollmentGroupId": "robots",
        "attestation": {"type": "x509", "x509": {"caReferences": {"primary": "factory"}}},
    }))?;
    admin.put_group(&robots.enrollment()?).await?;
    let sensors = reader.group(&json!({"enrollmentGroupId": "sensors", "attestation": by_key}))?;
    let sensors = sensors.enrollment()?;
    admin.put_group(&sensors).await?;

    let mut devices = vec![
        Device::with_certificate("press-1", press),
        Device::with_key("kiosk-1", primary_key(kiosk.attestation)?),
    ];
    let group_key = primary_key(sensors.attestation)?;
    for number in 1..=MEMBERS {
        let (robot, sensor) = (format!("robot-{number}"), format!("sensor-{number}"));
        devices.push(Device::with_certificate(&robot, line.device(&robot)));
        devices.push(Device::of_group(&sensor, &group_key));
    }
    Ok(devices)
}

fn primary_key(attestation: Attestation) -> Result<SecretBytes, BoxError> {
    match attestation {
        Attestation::SymmetricKey { primary, .. } => Ok(primary),
        _ => Err("the entry has no key".into()),
    }
}
