//! A device that proves itself with its TPM 2.0, and signs for its hub with a key that never leaves it.
//!
//! ```text
//! cargo run --release --example tpm_device --features tpm
//! cargo run --release --example tpm_device --features tpm -- --help
//! ```
//!
//! Without arguments it needs a TPM simulator (Debian: `swtpm`) and nothing else: it starts one, and a service
//! that knows its endorsement key. With arguments it is a device for any service and any TPM.
//!
//! Needs the TPM software stack to build (Debian: `libtss2-dev` and `pkg-config`).
//!
//! Corners it cuts: it keeps no assignment and retries nothing.
#![allow(clippy::print_stdout, reason = "a program that reports to people")]

mod service;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Parser, ValueEnum};
use dps_core::store::BoxError;
use dps_tpm::client::{Endpoint, Transport};
use dps_tpm::simulator::Simulator;
use dps_tpm::{Algorithm, Keys, Tpm, token};
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// How long to wait for the service.
const PATIENCE: Duration = Duration::from_secs(120);

const HELP: &str = "\
Without arguments: a device with a simulated TPM, and a service of its own.

To enroll a device, have its endorsement key shown, and give that to the service:
  tpm_device --tcti device:/dev/tpmrm0
To register it then:
  tpm_device --tcti device:/dev/tpmrm0 \\
    --endpoint dps.example.net --id-scope 0ne00000001 --registration-id press-1

A key that is missing is made, and stays in the TPM: the endorsement key at 0x81010001, the storage root key at
0x81000001, the key to sign with at 0x81000100, where device SDKs keep them too. What is there is used as it is.";

/// Registers a device that has a TPM 2.0.
#[derive(Debug, Parser)]
#[command(name = "tpm_device", after_help = HELP)]
struct Arguments {
    /// The TPM, as TPM software names it: device:/dev/tpmrm0, swtpm:host=127.0.0.1,port=2321
    #[arg(long)]
    tcti: Option<String>,
    /// The service's host; with a port, if it is not 443 (HTTPS, WebSockets) or 5671 (AMQP)
    #[arg(long, value_name = "HOST[:PORT]", requires_all = ["tcti", "id_scope", "registration_id"])]
    endpoint: Option<String>,
    /// The ID scope
    #[arg(long, requires = "endpoint")]
    id_scope: Option<String>,
    /// The registration id, under which the endorsement key is enrolled
    #[arg(long, requires = "endpoint")]
    registration_id: Option<String>,
    /// What to speak
    #[arg(long, value_enum, default_value_t = Over::Https)]
    over: Over,
    /// Who may have issued the service's certificate, in PEM
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/ssl/certs/ca-certificates.crt"
    )]
    ca: PathBuf,
    /// Make keys on P-256, if none are there; only this project's service takes them
    #[arg(long)]
    ecc: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Over {
    Https,
    Amqp,
    /// AMQP in WebSockets
    AmqpWs,
}

impl From<Over> for Transport {
    fn from(over: Over) -> Self {
        match over {
            Over::Https => Self::Https,
            Over::Amqp => Self::Amqp,
            Over::AmqpWs => Self::AmqpOverWebSockets,
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let arguments = Arguments::parse();
    let transport = Transport::from(arguments.over);
    let kind = if arguments.ecc {
        Algorithm::EccP256
    } else {
        Algorithm::Rsa2048
    };
    let keys = Keys {
        endorsement: kind,
        storage: kind,
    };
    let Some(tcti) = &arguments.tcti else {
        let simulator = Simulator::start()?;
        println!("A simulated TPM answers at {}", simulator.name());
        let mut tpm = Tpm::open(&simulator.name(), keys)?;
        show(&tpm)?;
        let endpoint = service::start("press-1", &tpm.endorsement_key()?).await?;
        return register(&endpoint, transport, &mut tpm, "press-1").await;
    };
    let mut tpm = Tpm::open(tcti, keys)?;
    show(&tpm)?;
    let (Some(endpoint), Some(scope), Some(id)) = (
        &arguments.endpoint,
        &arguments.id_scope,
        &arguments.registration_id,
    ) else {
        return Ok(());
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&arguments.ca)? {
        // Some of the system's are of kinds that nobody checks any more.
        let _ = roots.add(certificate?);
    }
    let endpoint = match endpoint.rsplit_once(':') {
        None => Endpoint::new(endpoint, scope, roots)?,
        Some((host, port)) => {
            let port = port.parse()?;
            Endpoint::new(host, scope, roots)?.with_ports(port, port)
        }
    };
    register(&endpoint, transport, &mut tpm, id).await
}

fn show(tpm: &Tpm) -> Result<(), BoxError> {
    println!("Its endorsement key, to be enrolled:");
    println!("  {}", STANDARD.encode(tpm.endorsement_key()?));
    println!("Its storage root key:");
    println!("  {}", STANDARD.encode(tpm.storage_root_key()?));
    Ok(())
}

async fn register(
    endpoint: &Endpoint,
    transport: Transport,
    tpm: &mut Tpm,
    id: &str,
) -> Result<(), BoxError> {
    let name = match transport {
        Transport::AmqpOverWebSockets => "AMQP in WebSockets",
        Transport::Amqp => "AMQP",
        _ => "HTTPS",
    };
    println!("Registers as {id} over {name}");
    let work = endpoint.register(transport, tpm, id, None);
    let found = tokio::time::timeout(PATIENCE, work).await??;
    println!("  {} exchanges, the challenge among them", found.exchanges);
    println!("  assigned to {}, as {}", found.hub, found.device_id);
    let expires = SystemTime::now() + token::LIFETIME;
    let token = token::sign_for_hub(tpm, &found.hub, &found.device_id, expires)?;
    println!("The TPM holds the key for that hub now, and signs with it:");
    println!("  {token}");
    Ok(())
}
