//! Devices with a TPM each: simulated ones, each a process of its own.

use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dps_core::admin::Admin;
use dps_core::crypto::AWS_LC;
use dps_core::store::BoxError;
use dps_core::time::{Clock, SystemClock};
use dps_examples::device::Answer;
use dps_testkit::certs::Ca;
use dps_tpm::client::{Endpoint, Transport};
use dps_tpm::simulator::Simulator;
use dps_tpm::{Algorithm, Keys, Tpm};
use dps_transport_http::service::EnrollmentReader;
use futures_util::future::join_all;
use rustls::RootCertStore;
use serde_json::json;

use crate::{Outcome, SCOPE};

/// What they speak, two each: one with RSA keys, as every device SDK has them, and one on P-256.
const TRANSPORTS: [(Transport, &str); 3] = [
    (Transport::Https, "HTTPS"),
    (Transport::Amqp, "AMQP"),
    (Transport::AmqpOverWebSockets, "AMQP in WebSockets"),
];

/// A device, and the simulator that its TPM is.
struct Device {
    registration: String,
    transport: Transport,
    tpm: Tpm,
    _simulator: Simulator,
}

/// Makes such devices, enrolls their endorsement keys, and registers them, all at once. None if there is no
/// simulator.
///
/// * `ports`: of HTTPS and AMQP.
/// * `root`: who issued the service's certificate.
pub(super) async fn provision(
    admin: &Admin,
    ports: [u16; 2],
    root: &Ca,
) -> Result<Vec<Outcome>, BoxError> {
    if !Simulator::is_installed() {
        println!("No swtpm here, so no devices with a TPM\n");
        return Ok(Vec::new());
    }
    let reader = EnrollmentReader::new(AWS_LC, SystemClock.now());
    let mut devices = Vec::new();
    for (transport, _) in TRANSPORTS {
        for kind in [Algorithm::Rsa2048, Algorithm::EccP256] {
            let simulator = Simulator::start()?;
            let keys = Keys {
                endorsement: kind,
                storage: kind,
            };
            let tpm = Tpm::open(&simulator.name(), keys)?;
            let registration = format!("meter-{}", devices.len() + 1);
            let endorsement = STANDARD.encode(tpm.endorsement_key()?);
            let entry = reader.individual(&json!({
                "registrationId": registration,
                "attestation": {"type": "tpm", "tpm": {"endorsementKey": endorsement}},
            }))?;
            admin.put_enrollment(&entry.enrollment()?).await?;
            devices.push(Device {
                registration,
                transport,
                tpm,
                _simulator: simulator,
            });
        }
    }
    let names = TRANSPORTS.map(|(_, name)| name).join(", ");
    println!(
        "{} devices with a TPM each, simulated by swtpm",
        devices.len()
    );
    println!("  two over each of {names}");
    let mut roots = RootCertStore::empty();
    roots.add(root.certificate_der().clone())?;
    let [https, amqps] = ports;
    let endpoint = Endpoint::new("localhost", SCOPE, roots)?.with_ports(https, amqps);
    let begun = Instant::now();
    let outcomes = join_all(devices.iter_mut().map(|device| async {
        let (transport, tpm, id) = (device.transport, &mut device.tpm, &device.registration);
        let outcome = endpoint.register(transport, tpm, id, None).await;
        (id.clone(), outcome)
    }))
    .await;
    println!("  done in {:.1} s\n", begun.elapsed().as_secs_f64());
    let outcomes = outcomes.into_iter().map(|(id, outcome)| {
        let answer = outcome.map(|found| Answer {
            status: 200,
            body: json!({"status": "assigned", "registrationState": found.state}),
            exchanges: found.exchanges,
        });
        (id, answer.map_err(BoxError::from))
    });
    Ok(outcomes.collect())
}
