//! What happened, in words.

use std::time::Instant;

use dps_core::admin::Admin;
use dps_core::event::Recent;
use dps_core::id::{DeviceId, HubName, IdScope, RegistrationId};
use dps_core::store::BoxError;
use dps_examples::device::{Answer, Device, Service};
use dps_testkit::certs::Ca;
use dps_testkit::hubs::FakeHubs;
use serde_json::{Value, json};

use crate::SCOPE;
use crate::enroll::HUBS;

/// One device, step by step.
pub(super) async fn story(
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
pub(super) async fn refusal(
    service: &Service,
    events: &Recent,
    scope: &IdScope,
) -> Result<(), BoxError> {
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
pub(super) fn shares(hubs: &FakeHubs, devices: usize) -> Result<(), BoxError> {
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
