//! The assembled service for anybody's devices: `serve CONFIG.toml`.
//!
//! Shows how the crates become a server: a store, hubs, the service, a limit of failed attempts in
//! front of it, HTTPS, MQTT and AMQP before that, and a drain at the end.
//!
//! ```text
//! cargo run --release --example serve -- CONFIG.toml
//! ```
//!
//! Corners it cuts: hubs are in-memory fakes, so a device is told a hub where nobody answers; linked hubs
//! therefore need no credentials. With the allocation policy `custom` an instance uses [`SpreadAndEcho`], a
//! policy for demonstrations.
#![allow(clippy::print_stdout, reason = "a program that reports to people")]

mod demo_policy;
mod fill;
mod help;
mod signals;
mod upkeep;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use dps_core::Provisioner;
use dps_core::api::DeviceApi;
use dps_core::crypto::AWS_LC;
use dps_core::event::Recent;
use dps_core::operators::Operators;
use dps_core::store::BoxError;
use dps_core::tenant::OneStore;
use dps_core::time::{Clock, SystemClock};
use dps_examples::config::{Complaint, Config, Opened};
use dps_examples::place::{Place, with_causes};
use dps_examples::server::Server;
use dps_openid::OpenId;
use dps_testkit::hubs::FakeHubs;
use dps_transport::{FailureLimit, Failures, LoggedStore, Logging, Protocol, Tasks};
use dps_transport_amqp::Amqp;
use dps_transport_http::Http;
use dps_transport_http::service::ServiceApi;
use dps_transport_mqtt::Mqtt;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use self::demo_policy::SpreadAndEcho;
use self::fill::{fill, rehearse};
use self::help::HELP;
use self::signals::Signals;
use self::upkeep::{back_up, reread, reseal, sweep};

/// Where to listen: its name in the configuration, what is spoken, what to agree on, and the address.
type Wanted = (
    &'static str,
    Arc<dyn Protocol>,
    &'static [&'static str],
    Option<SocketAddr>,
);

/// How long connections and work may take to end after a signal.
const DRAIN: Duration = Duration::from_secs(10);

/// How many events are remembered for operators who ask why: some thousand attempts.
const RECENT_EVENTS: usize = 10_000;

/// Serves the device provisioning API to any device and the service API to operators, from a configuration
/// file.
///
/// Prints one line for each listener once it accepts connections, and logs to stderr (RUST_LOG=debug
/// for every decision). SIGTERM and SIGINT let requests in flight end; SIGHUP reads the keys of [seal]
/// again, and SIGUSR1 makes a backup of a file. Records are kept where the configuration says.
/// Hubs are fakes in memory: no real hub is called.
#[derive(Debug, Parser)]
#[command(name = "serve", after_help = HELP)]
struct Arguments {
    /// The configuration, in TOML.
    config: PathBuf,
    /// Only check the configuration and all files it names; the store is not opened.
    #[arg(long)]
    check: bool,
    /// Write the configuration over instances and entries that are in the store already.
    #[arg(long, conflicts_with = "check")]
    overwrite: bool,
    /// While serving, seal all records anew that are not sealed with the current key.
    #[arg(long, conflicts_with = "check")]
    reseal: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let asked = std::env::var("RUST_LOG")
        .ok()
        .and_then(|text| text.parse::<Targets>().ok());
    let filter = asked.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .init();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("serve: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), BoxError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let config = Config::load(&arguments.config, AWS_LC, clock.now())?;
    for note in &config.notes {
        tracing::warn!("{note}");
    }
    rehearse(&config, clock.now()).await?;
    if arguments.check {
        eprintln!("{}: nothing is wrong with it", arguments.config.display());
        return Ok(());
    }
    let Opened {
        store,
        sealed,
        backups,
    } = config.records.open().await?;
    if arguments.reseal && sealed.is_none() {
        return Err("--reseal: there is no [seal] in the configuration".into());
    }
    fill(&store, &config, arguments.overwrite, clock.now()).await?;

    // Signals that come from now on are not lost.
    let mut signals = Signals::new()?;
    let hubs = FakeHubs::new().without_record();
    eprintln!("serve: hubs are in-memory fakes");
    if matches!(config.records.place, Place::Memory) {
        eprintln!("serve: records are in memory, and gone when this process ends");
    }
    // From now on nobody waits for an error but devices, who are told none.
    let mut tenants = OneStore::new(Arc::new(LoggedStore::new(store)));
    for one in &config.instances {
        tenants = tenants.with_host(&one.instance.service_host, one.scope.clone());
    }
    let tenants = Arc::new(tenants);
    let recent = Recent::new(RECENT_EVENTS);
    let mut operators = Operators::new(tenants.clone())
        .with_events(recent.clone())
        .with_egress(config.egress.clone());
    if let Some(providers) = &config.openid {
        let openid = OpenId::new(Arc::clone(&providers.tls));
        let openid = openid.with_egress(config.egress.clone());
        operators = operators.with_tokens(Arc::new(openid));
    }
    let service = Provisioner::builder(tenants, Arc::new(hubs))
        .hook(Arc::new(SpreadAndEcho))
        .events(Arc::new((recent, Logging)))
        .build()?;
    let most = config.failed_attempts;
    let limited = FailureLimit::new(Arc::new(service.clone()), clock, AWS_LC.random);
    let limited = limited.with_limit(most, most);
    let api: Arc<dyn DeviceApi> = Arc::new(limited);
    let mqtt = Mqtt::new(Arc::clone(&api)).with_grace(config.grace);
    let amqp = Amqp::new(Arc::clone(&api)).with_grace(config.grace);
    let failures = Arc::new(Failures::new(most, most));
    let operators = ServiceApi::new(operators).with_failures(failures);
    let mut http = Http::new(api)
        .with_grace(config.grace)
        .websocket("mqtt", Arc::new(mqtt.clone().over_websockets()))
        .websocket("AMQPWSB10", Arc::new(amqp.clone().over_websockets()));
    if config.operators.is_none() {
        http = http.with_service(operators.clone());
    }
    let operators = Http::operators(operators);

    let mut server = Server::new(config.tls.clone(), Tasks::new());
    let listeners: [Wanted; 4] = [
        ("https", Arc::new(http), &["http/1.1"], Some(config.https)),
        ("mqtts", Arc::new(mqtt), &[], config.mqtts),
        ("amqps", Arc::new(amqp), &[], config.amqps),
        (
            "operators",
            Arc::new(operators),
            &["http/1.1"],
            config.operators,
        ),
    ];
    let mut bound = Vec::new();
    for (name, protocol, alpn, address) in listeners {
        let Some(address) = address else { continue };
        let address = server.bind(protocol, alpn, address).map_err(|error| {
            let what = format!("{address}: {error}");
            Complaint::new(&arguments.config, format!("listen.{name}"), what)
        })?;
        bound.push((name, address));
    }
    server.start()?;
    for (name, address) in bound {
        println!("{name} listening on {address}");
    }

    let scopes: Vec<_> = config
        .instances
        .iter()
        .map(|instance| &instance.scope)
        .collect();
    let resealed = sealed.filter(|_| arguments.reseal);
    let upkeep = async {
        tokio::join!(
            sweep(&service, &scopes),
            reseal(resealed.as_ref(), &scopes),
            reread(config.records.keys.as_deref(), signals.hangup),
            back_up(backups, signals.backup),
        )
    };
    tokio::select! {
        () = signals.end.come() => {}
        _ = upkeep => {}
    }
    let drained = server.stop(DRAIN).await?;
    tracing::info!(
        cut_connections = drained.connections,
        cut_work = drained.work,
        "drained"
    );
    Ok(())
}
