//! A registration over AMQP: CPU time of the server; and memory of connections that wait.
//!
//! `cargo bench --bench amqp [-- plain tls idle]`: all parts, or those named.

#![allow(clippy::future_not_send, reason = "the client is one thread")]

use std::io;
use std::rc::Rc;

use dps_benches::client::{Unit, Visits, body_length};
use dps_benches::idle::{Held, hold};
use dps_benches::measure::{Contestant, WANTED, alternate};
use dps_benches::server::{Spawned, fe2o3, ours, plain, tight};
use dps_benches::visits::amqp::{
    registering_with_certificates, registering_with_tokens, waiting, waiting_in_websockets,
};
use dps_benches::{Bench, bench_main, table};
use tokio::task::LocalSet;

/// At most so many bytes for each idle connection.
const MOST: f64 = 17_000.0;
/// At most so many of them for anything but TLS.
const MOST_BEYOND: f64 = 4_000.0;

fn main() {
    bench_main(
        &[
            ("shuffler", plain::echo),
            ("plain", plain::ours),
            ("fe2o3", fe2o3::serve),
            ("tight", tight::serve),
            ("ours", ours::serve),
        ],
        async |bench, set| {
            if bench.wants("plain") {
                without_tls(bench, set).await?;
            }
            if bench.wants("tls") {
                with_certificate(bench, set).await?;
            }
            if bench.wants("idle") {
                idle(bench, set).await?;
            }
            Ok(())
        },
    )
}

async fn without_tls(bench: &Bench, set: &LocalSet) -> io::Result<()> {
    let devices = registering_with_tokens(bench.distinct(400_000), false);
    let hasty = registering_with_tokens(bench.distinct(5_000), true);
    let amqp = ("protocol", "amqp");
    let scripted = bench.start("plain", &[amqp])?;
    // It is the one device that comes twice.
    let body = body_length(scripted.port(), &devices(0), WANTED).await?;
    let size = body.to_string();
    let shuffler = bench.start("shuffler", &[amqp, ("body", &size)])?;
    let fe2o3 = bench.start("fe2o3", &[("body", &size)])?;
    let service = bench.start("plain", &[amqp, ("api", "service")])?;
    let all = [
        Contestant::registering("shuffler of frames", &shuffler, &devices, Unit::Connection),
        Contestant::registering(
            "ours, canned answers",
            &scripted,
            &devices,
            Unit::Connection,
        ),
        Contestant::registering("ours, the service", &service, &devices, Unit::Connection),
        Contestant::registering("fe2o3-amqp 0.18.4", &fe2o3, &hasty, Unit::Connection),
    ];
    let figures = alternate(set, &all, bench.pace()).await?;
    table::registrations(
        bench,
        body,
        "AMQP on a bare TCP connection: SASL, open, begin, two links, register, assigned, close",
        "Fixed: a new connection each, no TLS; a token in SASL PLAIN, which only the service looks at; all\n\
         on the same runtime; the client waits for each answer. fe2o3-amqp is its acceptor; it says\n\
         its header of AMQP unasked, so that its clients wait once less.",
    );
    table::costs("registration", &figures);
    table::multiple(&figures[1], &figures[0], 1.75);
    Ok(())
}

async fn with_certificate(bench: &Bench, set: &LocalSet) -> io::Result<()> {
    let devices = registering_with_certificates(bench, bench.distinct(60_000));
    let amqp = ("protocol", "amqp");
    let ours = bench.start("ours", &[amqp])?;
    let body = body_length(ours.port(), &devices(0), WANTED).await?;
    let size = body.to_string();
    let tight = bench.start("tight", &[amqp, ("mutual", "true"), ("body", &size)])?;
    let all = [
        Contestant::registering(
            "tight rustls, constant frames",
            &tight,
            &devices,
            Unit::Connection,
        ),
        Contestant::registering("ours", &ours, &devices, Unit::Connection),
    ];
    let figures = alternate(set, &all, bench.pace()).await?;
    table::registrations(
        bench,
        body,
        "AMQP on a new TLS 1.3 connection with a client certificate, X.509 group, register, assigned",
        "Fixed: X25519, AES-128-GCM-SHA256, no resumption; P-256 leaf and intermediate under a root; no\n\
         SASL; memory store, hubs that answer at once; each device comes once.",
    );
    table::costs("registration", &figures);
    table::verdict(&figures[1], &figures[0], 0.8);
    Ok(())
}

async fn idle(bench: &Bench, set: &LocalSet) -> io::Result<()> {
    let held = Held::possible(bench.quick(), true);
    let devices = waiting(bench, held.count());
    let one = async |label: &str, server: Rc<Spawned>, visits: &Visits| {
        hold(set, label, &server, visits, b"", held).await
    };
    let amqp = ("protocol", "amqp");
    let tight = bench.start("tight", &[amqp, ("mutual", "true")])?;
    let tight = one("tight rustls", tight, &devices).await?;
    let ours = bench.start("ours", &[amqp])?;
    let ours = one("ours", ours, &devices).await?;
    let devices = waiting_in_websockets(bench, held.count());
    let over = bench.start("ours", &[])?;
    let over = one("ours, in WebSockets", over, &devices).await?;
    table::title(
        "Resident memory of the server for each idle AMQP connection with a client certificate",
        "Fixed: TLS 1.3, X25519, AES-128-GCM-SHA256, P-256 leaf and intermediate, another leaf for each\n\
         connection; all are proven and have attached both links; a fresh process for each row; memory of\n\
         the kernel is not in it.",
    );
    let all = [tight, ours, over];
    table::memory(&all);
    table::bytes(&all[1], MOST);
    table::bytes_beyond(&all[1], &all[0], MOST_BEYOND);
    Ok(())
}
