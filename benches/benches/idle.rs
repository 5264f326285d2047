//! Connections that are held and do nothing: memory of the server for each.
//!
//! `cargo bench --bench idle`; the comparison with nginx is left out where nginx is not installed.
//! Holds 5,000 connections, or as many as `ulimit -Hn` allows.

#![allow(clippy::future_not_send, reason = "the client is one thread")]
#![allow(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::io;
use std::time::Duration;

use dps_benches::client::Visits;
use dps_benches::idle::{Held, Memory, hold, visit_all};
use dps_benches::server::{Nginx, NginxTls, Spawned, hyper, ours, tight};
use dps_benches::visits::with_certificates;
use dps_benches::{Bench, bench_main, table};
use tokio::task::LocalSet;

/// Bytes in the body of every constant answer: what our service answers to such a device.
const BODY: usize = 450;
/// What an answer of ours says.
const WANTED: &[u8] = br#""status":"assigned""#;
/// At most so many bytes for each connection.
const MOST: f64 = 18_000.0;

fn main() {
    bench_main(
        &[
            ("tight", tight::serve),
            ("hyper", hyper::serve),
            ("ours", ours::serve),
        ],
        async |bench, set| {
            let nginx = Nginx::find()
                .inspect_err(|missing| println!("{missing}"))
                .ok();
            let count = Held::possible(bench.quick(), true).count();
            let devices = with_certificates(bench, count, false, false);
            let mut found = Vec::new();
            for (request, after) in [(false, "after the handshake"), (true, "after one request")] {
                let held = Held::possible(bench.quick(), request);
                let one = async |name: &str, server: &Spawned| -> io::Result<Memory> {
                    let label = format!("{name}, {after}");
                    hold(set, &label, server, &devices, b"", held).await
                };
                let tight = bench.start("tight", &[("mutual", "true"), ("keep", "true")])?;
                found.push(one("tight rustls", &tight).await?);
                drop(tight);
                let hyper = bench.start("hyper", &[("mutual", "true")])?;
                found.push(one("hyper", &hyper).await?);
                drop(hyper);
                if let Some(nginx) = &nginx {
                    let tls = NginxTls {
                        mutual: true,
                        aes128: true,
                    };
                    let name = format!("nginx {}", nginx.version());
                    found.push(one(&name, &nginx.start(bench, tls, BODY)?).await?);
                }
                found.push(our_own(bench, set, &devices, held).await?);
            }
            table::title(
                "Resident memory of the server for each idle TLS 1.3 connection with a client certificate",
                "Fixed: X25519, AES-128-GCM-SHA256, P-256 leaf and intermediate, another leaf for each \
             connection;\na fresh process for each row; memory of the kernel is not in it. Ours has rested for\n\
             longer than it keeps its buffers, and knew all devices before: their records are not in it.",
            );
            table::memory(&found);
            if let Some(ours) = found.last() {
                table::bytes(ours, MOST);
            }
            Ok(())
        },
    )
}

/// Our server, which gives the buffers of idle connections back.
async fn our_own(
    bench: &Bench,
    set: &LocalSet,
    devices: &Visits,
    mut held: Held,
) -> io::Result<Memory> {
    let ours = bench.start("ours", &[])?;
    let label = if held.request {
        // Several times as long as it keeps the buffers of an idle connection.
        held.rest = Duration::from_millis(600);
        let leaving = with_certificates(bench, held.count(), false, true);
        visit_all(&ours, &leaving, WANTED, held.count()).await?;
        "ours, after one request"
    } else {
        "ours, after the handshake"
    };
    let wanted = if held.request { WANTED } else { b"" };
    hold(set, label, &ours, devices, wanted, held).await
}
