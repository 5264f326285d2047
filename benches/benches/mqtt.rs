//! A registration over MQTT: CPU time of the server; and memory of connections that wait.
//!
//! `cargo bench --bench mqtt [-- plain tls idle]`: all parts, or those named. The comparison with
//! mosquitto is left out where mosquitto is not installed.

#![allow(clippy::future_not_send, reason = "the client is one thread")]
#![allow(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::io;
use std::rc::Rc;

use dps_benches::client::{Unit, Visits, body_length};
use dps_benches::idle::{Held, hold};
use dps_benches::measure::{Contestant, WANTED, alternate};
use dps_benches::server::{Mosquitto, Spawned, ours, plain, tight};
use dps_benches::visits::mqtt::{
    of_a_broker, registering_with_certificates, registering_with_tokens, waiting,
    waiting_in_websockets,
};
use dps_benches::{Bench, bench_main, table};
use tokio::task::LocalSet;

/// Clients of the broker; unlike devices, they may come again.
const CLIENTS: u64 = 5_000;
/// At most so many bytes for each idle connection.
const MOST: f64 = 16_000.0;

fn main() {
    bench_main(
        &[
            ("echo", plain::echo),
            ("plain", plain::ours),
            ("tight", tight::serve),
            ("ours", ours::serve),
        ],
        async |bench, set| {
            let mosquitto = Mosquitto::find()
                .inspect_err(|missing| println!("{missing}"))
                .ok();
            if bench.wants("plain") {
                without_tls(bench, set, mosquitto.as_ref()).await?;
            }
            if bench.wants("tls") {
                with_certificate(bench, set, mosquitto.as_ref()).await?;
            }
            if bench.wants("idle") {
                idle(bench, set, mosquitto.as_ref()).await?;
            }
            Ok(())
        },
    )
}

async fn without_tls(
    bench: &Bench,
    set: &LocalSet,
    mosquitto: Option<&Mosquitto>,
) -> io::Result<()> {
    let devices = registering_with_tokens(bench.distinct(400_000));
    let scripted = bench.start("plain", &[])?;
    // It is the one device that comes twice.
    let body = body_length(scripted.port(), &devices(0), WANTED).await?;
    let size = body.to_string();
    let echo = bench.start("echo", &[("protocol", "mqtt"), ("body", &size)])?;
    let service = bench.start("plain", &[("api", "service")])?;
    let mut all = vec![
        Contestant::registering(
            "echo of the same packets",
            &echo,
            &devices,
            Unit::Connection,
        ),
        Contestant::registering(
            "ours, canned answers",
            &scripted,
            &devices,
            Unit::Connection,
        ),
        Contestant::registering("ours, the service", &service, &devices, Unit::Connection),
    ];
    if let Some(mosquitto) = mosquitto {
        let server = Rc::new(mosquitto.start(bench, false)?);
        let clients = of_a_broker(bench, bench.distinct(CLIENTS), false, body);
        let label = format!("mosquitto {}", mosquitto.version());
        all.push(Contestant::registering(
            &label,
            &server,
            &clients,
            Unit::Connection,
        ));
    }
    let figures = alternate(set, &all, bench.pace()).await?;
    table::registrations(
        bench,
        body,
        "MQTT on a bare TCP connection: connect, subscribe, register, assigned, disconnect",
        "Fixed: a new connection each, no TLS; a token in CONNECT, which only the service looks at; all on\n\
         the same runtime behind the same loop, but for mosquitto, whose clients send themselves as much.",
    );
    table::costs("registration", &figures);
    table::multiple(&figures[1], &figures[0], 1.3);
    Ok(())
}

async fn with_certificate(
    bench: &Bench,
    set: &LocalSet,
    mosquitto: Option<&Mosquitto>,
) -> io::Result<()> {
    let devices = registering_with_certificates(bench, bench.distinct(60_000));
    let ours = bench.start("ours", &[("protocol", "mqtt")])?;
    let body = body_length(ours.port(), &devices(0), WANTED).await?;
    let size = body.to_string();
    let options = [("protocol", "mqtt"), ("mutual", "true"), ("body", &size)];
    let tight = bench.start("tight", &options)?;
    let mut all = vec![
        Contestant::registering(
            "tight rustls, constant packets",
            &tight,
            &devices,
            Unit::Connection,
        ),
        Contestant::registering("ours", &ours, &devices, Unit::Connection),
    ];
    if let Some(mosquitto) = mosquitto {
        let server = Rc::new(mosquitto.start(bench, true)?);
        let clients = of_a_broker(bench, bench.distinct(CLIENTS), true, body);
        let label = format!("mosquitto {}", mosquitto.version());
        all.push(Contestant::registering(
            &label,
            &server,
            &clients,
            Unit::Connection,
        ));
    }
    let figures = alternate(set, &all, bench.pace()).await?;
    table::registrations(
        bench,
        body,
        "MQTT on a new TLS 1.3 connection with a client certificate, X.509 group, register, assigned",
        "Fixed: X25519, AES-128-GCM-SHA256, no resumption; P-256 leaf and intermediate under a root; memory\n\
         store, hubs that answer at once; each device comes once. Clients of mosquitto subscribe to a topic\n\
         of their own and send themselves as much; it is as the distribution has it, but for persistence\n\
         and logs, which are off.",
    );
    table::costs("registration", &figures);
    table::verdict(&figures[1], &figures[0], 0.8);
    if let Some(mosquitto) = figures.get(2) {
        table::verdict(&figures[1], mosquitto, 4.0);
    }
    Ok(())
}

async fn idle(bench: &Bench, set: &LocalSet, mosquitto: Option<&Mosquitto>) -> io::Result<()> {
    let held = Held::possible(bench.quick(), true);
    let count = held.count();
    let devices = waiting(bench, count, false);
    let mut found = Vec::new();
    let one = async |label: &str, server: &Spawned, visits: &Visits| {
        hold(set, label, server, visits, b"", held).await
    };
    let options = [("protocol", "mqtt"), ("mutual", "true")];
    let tight = bench.start("tight", &options)?;
    found.push(one("tight rustls", &tight, &devices).await?);
    drop(tight);
    if let Some(mosquitto) = mosquitto {
        let (label, server) = (mosquitto.version(), mosquitto.start(bench, true)?);
        let clients = waiting(bench, count, true);
        found.push(one(&format!("mosquitto {label}"), &server, &clients).await?);
    }
    let ours = bench.start("ours", &[("protocol", "mqtt")])?;
    found.push(one("ours", &ours, &devices).await?);
    drop(ours);
    let over = [
        ("ours, in WebSockets", true),
        ("ours, WebSockets without a word", false),
    ];
    for (label, mqtt) in over {
        let ours = bench.start("ours", &[])?;
        let devices = waiting_in_websockets(bench, count, mqtt);
        found.push(one(label, &ours, &devices).await?);
    }
    table::title(
        "Resident memory of the server for each idle MQTT connection with a client certificate",
        "Fixed: TLS 1.3, X25519, AES-128-GCM-SHA256, P-256 leaf and intermediate, another leaf for each\n\
         connection; all have connected and subscribed; a fresh process for each row; memory of the kernel\n\
         is not in it.",
    );
    table::memory(&found);
    let ours = &found[found.len() - 3];
    table::bytes(ours, MOST);
    Ok(())
}
