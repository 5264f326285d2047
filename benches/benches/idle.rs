//! Connections that are held and do nothing: memory of the server for each.
//!
//! `cargo bench --bench idle`; the comparison with nginx is left out where nginx is not installed.
//! Holds 5,000 connections, or as many as `ulimit -Hn` allows.

#![allow(clippy::future_not_send, reason = "the client is one thread")]
#![allow(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::io;

use dps_benches::client::Visits;
use dps_benches::idle::{Held, Memory, hold};
use dps_benches::server::{Nginx, NginxTls, Spawned, hyper, tight};
use dps_benches::visits::with_certificates;
use dps_benches::{Bench, bench_main, table};
use tokio::task::LocalSet;

/// Bytes in the body of every answer: what a device is sent when it is assigned.
const BODY: usize = 600;

fn main() {
    bench_main(
        &[("tight", tight::serve), ("hyper", hyper::serve)],
        async |bench, set| {
            let nginx = Nginx::find()
                .inspect_err(|missing| println!("{missing}"))
                .ok();
            let count = Held::possible(bench.quick(), true).count();
            let devices = with_certificates(bench, count, false, false);
            let mut found = Vec::new();
            for (request, after) in [(false, "after the handshake"), (true, "after one request")] {
                let one = async |name: &str, server: &Spawned| -> io::Result<Memory> {
                    held(
                        bench,
                        set,
                        &format!("{name}, {after}"),
                        server,
                        &devices,
                        request,
                    )
                    .await
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
            }
            table::title(
                "Resident memory of the server for each idle TLS 1.3 connection with a client certificate",
                "Fixed: X25519, AES-128-GCM-SHA256, P-256 leaf and intermediate, another leaf for each \
             connection;\na fresh process for each row; memory of the kernel is not in it.",
            );
            table::memory(&found);
            Ok(())
        },
    )
}

async fn held(
    bench: &Bench,
    set: &LocalSet,
    label: &str,
    server: &Spawned,
    devices: &Visits,
    request: bool,
) -> io::Result<Memory> {
    let connections = Held::possible(bench.quick(), request);
    hold(set, label, server, devices, b"", connections).await
}
