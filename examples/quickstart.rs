//! Watch devices being provisioned: no arguments, nothing to install, nothing left behind.
//!
//! ```text
//! cargo run --release --example quickstart
//! ```
//!
//! Starts the service on a free loopback port with a certificate of its own, three linked hubs in three
//! regions, two devices enrolled one by one and two groups of devices, and provisions them all over real
//! TLS connections. Then it shows what became of one of them and why, what a stranger learns and what an
//! operator learns of the stranger, and where the devices went. Ends with status 0 only if every device
//! has a hub.
//!
//! Corners it cuts: records are in memory, hubs are fakes, and the devices live in this process.
#![allow(clippy::print_stdout, reason = "a program that reports to people")]

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dps_core::Provisioner;
use dps_core::admin::Admin;
use dps_core::allocate::Policy;
use dps_core::crypto::AWS_LC;
use dps_core::enrollment::Attestation;
use dps_core::event::Recent;
use dps_core::id::{DeviceId, HubName, IdScope, RegistrationId, SecretBytes};
use dps_core::instance::{CaCertificate, Instance, LinkedHub};
use dps_core::store::{BoxError, Store};
use dps_core::tenant::OneStore;
use dps_core::time::{Clock, SystemClock};
use dps_examples::device::{Answer, Device, Service};
use dps_examples::server::Server;
use dps_store_memory::MemoryStore;
use dps_testkit::certs::{Ca, Identity};
use dps_testkit::hubs::FakeHubs;
use dps_transport::{FailureLimit, ServerTls, Tasks, TlsProvider};
use dps_transport_http::Http;
use dps_transport_http::service::EnrollmentReader;
use futures_util::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

const SCOPE: &str = "0ne00000001";

/// Of each group; one more of each kind is enrolled by itself.
const MEMBERS: usize = 199;

/// How many devices register at a time.
const AT_A_TIME: usize = 32;

/// Name, region and weight.
const HUBS: [(&str, &str, u32); 3] = [
    ("west.example.net", "westus", 1),
    ("north.example.net", "northeurope", 2),
    ("east.example.net", "japaneast", 1),
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, BoxError> {
    let scope = IdScope::parse(SCOPE)?;
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let admin = Admin::new(Arc::clone(&store), scope.clone());
    let (hubs, events) = (FakeHubs::new().without_record(), Recent::new(10_000));
    let devices = enroll(&admin).await?;

    let service = Provisioner::builder(Arc::new(OneStore::new(store)), Arc::new(hubs.clone()))
        .events(Arc::new(events.clone()))
        .build()?;
    let limited = FailureLimit::new(Arc::new(service), Arc::new(SystemClock), AWS_LC.random);
    let root = Ca::root("Server Root");
    let own = root.server(&["localhost"])?;
    let chain = own.chain_der().to_vec();
    let tls = ServerTls::from_der(&TlsProvider::aws_lc(), chain, own.key_der())?;
    let http = Arc::new(Http::new(Arc::new(limited)));
    let server = Server::start(http, tls, ([127, 0, 0, 1], 0).into(), Tasks::new())?;
    let here = Service::new(
        server.address(),
        "localhost",
        root.certificate_der().clone(),
        SCOPE,
    )?;

    println!(
        "A provisioning service on https://{}, ID scope {SCOPE}",
        server.address()
    );
    println!("  hubs      west and east with weight 1, north with weight 2");
    println!("  devices   press-1 with a certificate, kiosk-1 with a key");
    println!("  groups    robots with certificates of their line, sensors with derived keys\n");

    let mut outcomes = Vec::new();
    let [first, others @ ..] = devices.as_slice() else {
        return Err("there are no devices".into());
    };
    let outcome = tell_story(&here, first, &admin, &hubs).await;
    outcomes.push((first.registration.clone(), outcome));
    println!(
        "{} more devices, each with a TLS connection of its own",
        others.len()
    );
    let begun = Instant::now();
    outcomes.extend(provision(&here, others).await);
    println!("  done in {:.1} s\n", begun.elapsed().as_secs_f64());
    tell_refusal(&here, &events, &scope).await?;
    tell_shares(&hubs, devices.len())?;

    let _drained = server.stop(Duration::from_secs(5)).await?;
    let (mut assigned, count) = (0, devices.len());
    for (device, outcome) in &outcomes {
        match outcome {
            Ok(answer) if answer.hub().is_some() => assigned += 1,
            Ok(answer) => println!("{device}: {} {}", answer.status, answer.body),
            Err(error) => println!("{device}: {error}"),
        }
    }
    println!("{assigned} of {count} devices assigned");
    Ok(if assigned == count {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Sets up the instance and its entries, and makes the devices that hold the matching credentials.
async fn enroll(admin: &Admin) -> Result<Vec<Device>, BoxError> {
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
    let certificate = dps_core::certificate::Certificate::parse(factory.certificate_der())?;
    let instance = Instance {
        service_host: "quickstart.example.net".into(),
        policy: Policy::Hashed,
        hubs: HUBS.into_iter().map(hub).collect::<Result<_, _>>()?,
        certificates: vec![CaCertificate {
            name: "factory".into(),
            certificate,
            verified: true,
        }],
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
    admin.put_enrollment(&entry.enrollment).await?;
    let by_key = json!({"type": "symmetricKey"});
    let kiosk = reader.individual(&json!({"registrationId": "kiosk-1", "attestation": by_key}))?;
    admin.put_enrollment(&kiosk.enrollment).await?;
    let robots = reader.group(&json!({
        "enrollmentGroupId": "robots",
        "attestation": {"type": "x509", "x509": {"caReferences": {"primary": "factory"}}},
    }))?;
    admin.put_group(&robots.enrollment).await?;
    let sensors = reader.group(&json!({"enrollmentGroupId": "sensors", "attestation": by_key}))?;
    admin.put_group(&sensors.enrollment).await?;

    let mut devices = vec![
        Device::with_certificate("press-1", press),
        Device::with_key("kiosk-1", primary_key(kiosk.enrollment.attestation)?),
    ];
    let group_key = primary_key(sensors.enrollment.attestation)?;
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

type Outcome = (String, Result<Answer, BoxError>);

/// Registers all devices, so many at a time, and shows how far it is.
async fn provision(service: &Service, devices: &[Device]) -> Vec<Outcome> {
    let terminal = std::io::stderr().is_terminal();
    let bar = if terminal {
        ProgressBar::new(devices.len() as u64)
    } else {
        ProgressBar::hidden()
    };
    if let Ok(style) = ProgressStyle::with_template("  {wide_bar} {pos} of {len}, {per_sec}") {
        bar.set_style(style);
    }
    let mut under_way = stream::iter(devices)
        .map(|device| async {
            (
                device.registration.clone(),
                service.register(device, None).await,
            )
        })
        .buffer_unordered(AT_A_TIME);
    let mut outcomes = Vec::new();
    while let Some(outcome) = under_way.next().await {
        outcomes.push(outcome);
        bar.inc(1);
        if !terminal && outcomes.len() % 100 == 0 {
            eprintln!("  {} of {}", outcomes.len(), devices.len());
        }
    }
    bar.finish_and_clear();
    outcomes
}

/// One device, step by step.
async fn tell_story(
    service: &Service,
    device: &Device,
    admin: &Admin,
    hubs: &FakeHubs,
) -> Result<Answer, BoxError> {
    let name = &device.registration;
    println!("The story of {name}");
    println!("  It opens a TLS connection, shows its certificate, and sends");
    println!("    PUT /{SCOPE}/registrations/{name}/register?api-version=2019-03-31");
    println!(r#"    {{"payload":{{"model":"P-200"}},"registrationId":"{name}"}}"#);
    let begun = Instant::now();
    let answer = service
        .register(device, Some(&json!({"model": "P-200"})))
        .await?;
    let elapsed = begun.elapsed().as_secs_f64() * 1000.0;
    let record = admin.registration(&RegistrationId::parse(name)?).await?;
    println!("  The service decides, and keeps why:");
    if let Some(record) = record {
        for step in record.trace.steps() {
            println!("    {step}");
        }
    }
    let state = &answer.body["registrationState"];
    let text = |member: &str| state[member].as_str().unwrap_or("-").to_owned();
    let (hub, at_hub) = (text("assignedHub"), text("deviceId"));
    println!("  It is told, {elapsed:.0} ms after it began to connect:");
    println!(
        "    {} {}: {hub}, device id {at_hub}, {}",
        answer.status,
        answer.state(),
        text("substatus")
    );
    let found = hubs.device(&HubName::parse(&hub)?, &DeviceId::parse(&at_hub)?);
    if let Some(found) = found {
        let (tags, desired) = (
            Value::from(found.twin.tags),
            Value::from(found.twin.desired),
        );
        println!("  Its twin at {hub}:");
        println!("    tags {tags}, desired {desired}");
    }
    println!();
    Ok(answer)
}

/// What a stranger learns, and what an operator learns of the stranger.
async fn tell_refusal(service: &Service, events: &Recent, scope: &IdScope) -> Result<(), BoxError> {
    let stranger = Device::with_certificate("robot-7", Ca::root("Elsewhere").device("robot-7"));
    let answer = service.register(&stranger, None).await?;
    let (code, said) = (&answer.body["errorCode"], answer.body["message"].as_str());
    println!("A stranger calls itself robot-7, with a certificate of another CA");
    println!(
        "  It is told:        {} {} ({code})",
        answer.status,
        said.unwrap_or("-")
    );
    let tracking = answer.body["trackingId"].as_str().unwrap_or_default();
    for event in events
        .tracked(tracking)
        .iter()
        .filter(|event| event.scope == *scope)
    {
        for (nth, step) in event.trace.steps().iter().enumerate() {
            println!(
                "  {:<18} {step}",
                if nth == 0 { "An operator reads:" } else { "" }
            );
        }
    }
    println!();
    Ok(())
}

/// Where the devices went, beside what the weights say.
fn tell_shares(hubs: &FakeHubs, devices: usize) -> Result<(), BoxError> {
    let weights: u32 = HUBS.iter().map(|(_, _, weight)| weight).sum();
    println!(
        "  {:<20}{:<14}{:>6}{:>10}{:>10}",
        "hub", "region", "weight", "expected", "devices"
    );
    for (name, region, weight) in HUBS {
        let expected = devices * weight as usize / weights as usize;
        let found = hubs.count(&HubName::parse(name)?);
        println!("  {name:<20}{region:<14}{weight:>6}{expected:>10}{found:>10}");
    }
    println!();
    Ok(())
}
