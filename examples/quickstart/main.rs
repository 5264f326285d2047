//! Watch devices being provisioned: no arguments, nothing to install, nothing left behind.
//!
//! ```text
//! cargo run --release --example quickstart
//! ```
//!
//! Starts the service on free loopback ports with a certificate of its own, three linked hubs in three
//! regions, two devices enrolled one by one and two groups of devices. Shows step by step what becomes of
//! one device and why, provisions all others over real TLS connections, by HTTPS, by MQTT, and by MQTT in
//! WebSockets, shows what a stranger learns and what an operator learns of the stranger, and where the
//! devices went. Ends with status 0 only if every device has a hub.
//!
//! With `--features tpm`, and a TPM simulator (Debian: `libtss2-dev`, `pkg-config`, `swtpm`), some more devices
//! prove themselves with a TPM.
//!
//! Corners it cuts: records are in memory, hubs are fakes, and the devices live in this process.
#![allow(clippy::print_stdout, reason = "a program that reports to people")]

mod enroll;
mod tell;
#[cfg(feature = "tpm")]
mod tpm;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dps_core::Provisioner;
use dps_core::admin::Admin;
use dps_core::api::DeviceApi;
use dps_core::crypto::AWS_LC;
use dps_core::event::Recent;
use dps_core::id::IdScope;
use dps_core::store::{BoxError, Store};
use dps_core::tenant::OneStore;
use dps_core::time::SystemClock;
use dps_examples::device::{Answer, Device, Service, Transport};
use dps_examples::server::Server;
use dps_store_memory::MemoryStore;
use dps_testkit::certs::Ca;
use dps_testkit::hubs::FakeHubs;
use dps_transport::{FailureLimit, ServerTls, Tasks, TlsProvider};
use dps_transport_amqp::Amqp;
use dps_transport_http::Http;
use dps_transport_mqtt::Mqtt;
use futures_util::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};

const SCOPE: &str = "0ne00000001";

/// How many devices register at a time.
const AT_A_TIME: usize = 32;

/// What devices speak, in turn.
const TRANSPORTS: [(Transport, &str); 5] = [
    (Transport::Https, "HTTPS"),
    (Transport::Mqtt, "MQTT"),
    (Transport::MqttOverWebSockets, "MQTT in WebSockets"),
    (Transport::Amqp, "AMQP"),
    (Transport::AmqpOverWebSockets, "AMQP in WebSockets"),
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, BoxError> {
    let scope = IdScope::parse(SCOPE)?;
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let admin = Admin::new(Arc::clone(&store), scope.clone());
    let (hubs, events) = (FakeHubs::new().without_record(), Recent::new(10_000));
    let devices = enroll::all(&admin).await?;

    let service = Provisioner::builder(Arc::new(OneStore::new(store)), Arc::new(hubs.clone()))
        .events(Arc::new(events.clone()))
        .build()?;
    let limited = FailureLimit::new(Arc::new(service), Arc::new(SystemClock), AWS_LC.random);
    let root = Ca::root("Server Root");
    let own = root.server(&["localhost"])?;
    let chain = own.chain_der().to_vec();
    let tls = ServerTls::from_der(&TlsProvider::aws_lc(), chain, own.key_der())?;
    let api: Arc<dyn DeviceApi> = Arc::new(limited);
    let mqtt = Mqtt::new(Arc::clone(&api));
    let amqp = Amqp::new(Arc::clone(&api));
    let http = Http::new(api)
        .websocket("mqtt", Arc::new(mqtt.clone().over_websockets()))
        .websocket("AMQPWSB10", Arc::new(amqp.clone().over_websockets()));
    let (mut server, anywhere) = (Server::new(tls, Tasks::new()), ([127, 0, 0, 1], 0).into());
    let https = server.bind(Arc::new(http), &["http/1.1"], anywhere)?;
    let mqtts = server.bind(Arc::new(mqtt), &[], anywhere)?;
    let amqps = server.bind(Arc::new(amqp), &[], anywhere)?;
    server.start()?;
    let certificate = root.certificate_der().clone();
    let here = Service::new(https, "localhost", certificate, SCOPE)?
        .with_mqtts(mqtts)
        .with_amqps(amqps);

    println!("A provisioning service, ID scope {SCOPE}");
    println!("  listens   https://{https}, with MQTT and AMQP in WebSockets");
    println!("            mqtts://{mqtts}, amqps://{amqps}");
    println!("  hubs      west and east with weight 1, north with weight 2");
    println!("  devices   press-1 with a certificate, kiosk-1 with a key");
    println!("  groups    robots with certificates of their line, sensors with derived keys\n");

    let mut outcomes = Vec::new();
    let [first, others @ ..] = devices.as_slice() else {
        return Err("there are no devices".into());
    };
    let outcome = tell::story(&here, first, &admin, &hubs).await;
    outcomes.push((first.registration.clone(), outcome));
    println!(
        "{} more devices, each with a TLS connection of its own",
        others.len()
    );
    for (nth, (_, name)) in TRANSPORTS.iter().enumerate() {
        let count = others.iter().skip(nth).step_by(TRANSPORTS.len()).count();
        println!("  {count:>3} over {name}");
    }
    let begun = Instant::now();
    outcomes.extend(provision(&here, others).await);
    println!("  done in {:.1} s\n", begun.elapsed().as_secs_f64());
    #[cfg(feature = "tpm")]
    outcomes.extend(tpm::provision(&admin, [https.port(), amqps.port()], &root).await?);
    tell::refusal(&here, &events, &scope).await?;
    tell::shares(&hubs, outcomes.len())?;

    let _drained = server.stop(Duration::from_secs(5)).await?;
    let (mut assigned, count) = (0, outcomes.len());
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
    let mut under_way = stream::iter(devices.iter().zip(TRANSPORTS.iter().cycle()))
        .map(|(device, (transport, _))| async {
            let outcome = service.register_over(*transport, device, None).await;
            (device.registration.clone(), outcome)
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
