//! The assembled service for anybody's devices: `serve CONFIG.toml`.
//!
//! Shows how the crates become a server: a store, hubs, the service, a limit of failed attempts in
//! front of it, HTTPS, MQTT and AMQP before that, and a drain at the end.
//!
//! ```text
//! cargo run --release --example serve -- CONFIG.toml
//! ```
//!
//! Corners it cuts: records are in memory and gone when it stops; hubs are in-memory fakes, so a device
//! is told a hub where nobody answers; linked hubs therefore need no credentials. With the allocation
//! policy `custom` an instance uses [`SpreadAndEcho`], a policy for demonstrations.
#![allow(clippy::print_stdout, reason = "a program that reports to people")]

mod demo_policy;
mod signals;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use dps_core::Provisioner;
use dps_core::admin::Admin;
use dps_core::api::DeviceApi;
use dps_core::crypto::AWS_LC;
use dps_core::event::Recent;
use dps_core::id::IdScope;
use dps_core::operators::Operators;
use dps_core::store::{BoxError, Store};
use dps_core::tenant::OneStore;
use dps_core::time::{Clock, SystemClock};
use dps_examples::config::{Complaint, Config};
use dps_examples::server::Server;
use dps_openid::OpenId;
use dps_store_memory::MemoryStore;
use dps_testkit::hubs::FakeHubs;
use dps_transport::{FailureLimit, Failures, Logging, Protocol, Tasks};
use dps_transport_amqp::Amqp;
use dps_transport_http::Http;
use dps_transport_http::service::ServiceApi;
use dps_transport_mqtt::Mqtt;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use self::demo_policy::SpreadAndEcho;
use self::signals::Signals;

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

/// How often places that devices have left are looked after.
const SWEEP: Duration = Duration::from_secs(60);

/// Serves the device provisioning API to any device and the service API to operators, from a configuration
/// file.
///
/// Prints one line for each listener once it accepts connections, and logs to stderr (RUST_LOG=debug
/// for every decision). SIGTERM and SIGINT let requests in flight end. Records live in memory and hubs
/// are fakes: nothing survives the process, and no real hub is called.
#[derive(Debug, Parser)]
#[command(name = "serve", after_help = HELP)]
struct Arguments {
    /// The configuration, in TOML.
    config: PathBuf,
    /// Only check the configuration and all files it names.
    #[arg(long)]
    check: bool,
}

const HELP: &str = r#"The configuration, with paths relative to it. What has to be there:

  certificate = "server.pem"        PEM: the server's own first, then its issuers
  private_key = "server.key"        PEM
  [listen]
  https = "127.0.0.1:443"           also MQTT and AMQP over WebSockets; port 0 takes a free one
  [[instance]]                      one or more
  id_scope = "0ne00000001"          what devices name it by
  service_host = "one.example.net"  what operators name it by
  [[instance.hub]]                  one or more for each instance
  name = "west.example.net"

What may be left out, with its default; the first at the top, the others where they are named:

  mqtts = "127.0.0.1:8883"          [listen]: MQTT; not spoken there unless said
  amqps = "127.0.0.1:5671"          [listen]: AMQP; not spoken there unless said
  operators = "127.0.0.1:8443"      [listen]: HTTPS for operators, who are then served nowhere else;
                                    on the port of HTTPS unless said, where all their clients look
  grace_ms = 250                    how long an answer waits to say "assigned" at once; 0: never
  failed_attempts = 60              how many attempts of an address may fail a minute before others
                                    from there are not looked at; devices' and operators' apart
  permit = []                       which addresses or ranges that are not public operators may name, of
                                    hubs and OpenID providers, such as "10.20.0.0/16"
  allocation_policy = "hashed"      [[instance]]: or geoLatency, static, custom
  enrollments = []                  [[instance]]: JSON files in the shape of the service API, each
                                    with one entry or an array; the file name may contain *
  enrollment_groups = []            [[instance]]: the same for groups
  location = ""                     [[instance.hub]]: for people
  weight = 1                        [[instance.hub]]: its share, relative to the others
  in_policy = true                  [[instance.hub]]: false takes it out of allocation
  disable_local_auth = false        [[instance]]: true takes no tokens of shared access policies
  [[instance.certificate]]          CA certificates: where chains of groups end
  name = "root"                     what caReferences name
  file = "root.pem"
  [[instance.policy]]               shared access policies; without any, no operator is let in
  name = "owner"                    what tokens say as skn
  rights = "EnrollmentWrite"        one or more of ServiceConfig, EnrollmentRead, EnrollmentWrite,
                                    RegistrationStatusRead, RegistrationStatusWrite, DeviceConnect
  primary_key = "<base64>"          16 to 64 bytes; tokens are signed with it
  secondary_key = "<base64>"        the same; made and known to nobody unless said
  [openid]                          takes tokens (JWT) of OpenID providers; none unless it is there
  roots = "roots.pem"               PEM: the CAs that providers' servers are trusted by
  [[instance.issuer]]               OpenID providers whose tokens operators may show
  issuer = "https://login.example"  what tokens say as iss, to the letter; keys are found by it
  audience = "https://azure-devices-provisioning.net"
  role_claim = "roles"
  [[instance.issuer.role]]          without any: Device Provisioning Service Data Contributor, and Reader
  role = "line managers"            a value of the claim
  actions = ["enrollments/*"]       data actions, also by one star; and configure, by its name only"#;

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
            eprintln!("serve: {error}");
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
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    fill(&store, &config).await?;
    if arguments.check {
        eprintln!("{}: nothing is wrong with it", arguments.config.display());
        return Ok(());
    }

    // Signals that come from now on are not lost.
    let mut signals = Signals::new()?;
    let hubs = FakeHubs::new().without_record();
    eprintln!("serve: hubs are in-memory fakes, and records are gone when this process ends");
    let mut tenants = OneStore::new(store);
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
    tokio::select! {
        () = signals.next() => {}
        () = sweep(&service, &scopes) => {}
    }
    let drained = server.stop(DRAIN).await?;
    tracing::info!(
        cut_connections = drained.connections,
        cut_work = drained.work,
        "drained"
    );
    Ok(())
}

async fn fill(store: &Arc<dyn Store>, config: &Config) -> Result<(), BoxError> {
    for one in &config.instances {
        let admin = Admin::new(Arc::clone(store), one.scope.clone());
        admin.put_instance(&one.instance).await?;
        for entry in &one.groups {
            admin.put_group(entry).await?;
        }
        for entry in &one.enrollments {
            admin.put_enrollment(entry).await?;
        }
        tracing::info!(
            scope = %one.scope, hubs = one.instance.hubs.len(), groups = one.groups.len(),
            enrollments = one.enrollments.len(), "instance"
        );
    }
    Ok(())
}

/// Cleans what devices left behind when a hub did not answer, and counts registrations for their quota. Never
/// ends.
async fn sweep(service: &Provisioner, scopes: &[&IdScope]) {
    loop {
        tokio::time::sleep(SWEEP).await;
        for scope in scopes {
            if let Err(error) = service.count_registrations(scope).await {
                tracing::warn!(%scope, %error, "count");
            }
            let mut after = None;
            loop {
                match service.sweep(scope, after, 100).await {
                    Ok(done) if done.next.is_some() => after = done.next,
                    Ok(_) => break,
                    Err(error) => {
                        tracing::warn!(%scope, %error, "sweep");
                        break;
                    }
                }
            }
        }
    }
}
