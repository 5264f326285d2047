//! A connection, and a request on a connection that is kept: CPU time of the server.
//!
//! `cargo bench --bench tls`; the comparison with nginx is left out where nginx is not installed.

#![allow(clippy::future_not_send, reason = "the client is one thread")]
#![allow(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::io;
use std::rc::Rc;

use dps_benches::client::{Load, Unit, Visits};
use dps_benches::measure::{Contestant, alternate};
use dps_benches::server::{Nginx, NginxTls, Spawned, hyper, tight};
use dps_benches::visits::{unsigned_token, with_certificates, with_tokens};
use dps_benches::{Bench, bench_main, table};
use tokio::task::LocalSet;

/// Bytes in the body of every answer: what a device is sent when it is assigned.
const BODY: usize = 600;
/// Connections, or units of work, under way at once.
const TASKS: usize = 32;

fn main() {
    bench_main(
        &[("tight", tight::serve), ("hyper", hyper::serve)],
        async |bench, set| {
            let nginx = Nginx::find()
                .inspect_err(|missing| println!("{missing}"))
                .ok();
            with_certificate(bench, set, nginx.as_ref()).await?;
            without_certificate(bench, set, nginx.as_ref()).await?;
            kept_open(bench, set, nginx.as_ref()).await
        },
    )
}

async fn with_certificate(bench: &Bench, set: &LocalSet, nginx: Option<&Nginx>) -> io::Result<()> {
    let count = if bench.quick() { 200 } else { 20_000 };
    let devices = with_certificates(bench, count, false, true);
    let post_quantum = with_certificates(bench, count, true, true);
    let mutual = ("mutual", "true");
    let tight = bench.start("tight", &[mutual])?;
    let mut all = vec![
        connection("tight rustls, constant answer", &tight, &devices),
        connection(
            "hyper, constant answer",
            &bench.start("hyper", &[mutual])?,
            &devices,
        ),
        connection("tight, post-quantum key exchange", &tight, &post_quantum),
    ];
    if let Some(nginx) = nginx {
        for (aes128, suite) in [(true, "AES-128"), (false, "AES-256")] {
            let server = nginx.start(
                bench,
                NginxTls {
                    mutual: true,
                    aes128,
                },
                BODY,
            )?;
            let label = format!("nginx {}, return 202, {suite}", nginx.version());
            all.push(connection(&label, &Rc::new(server), &devices));
        }
    }
    let figures = alternate(set, &all, bench.pace()).await?;
    title(
        bench,
        "A new TLS 1.3 connection with a client certificate, one request",
    );
    table::costs("connection", &figures);
    Ok(())
}

async fn without_certificate(
    bench: &Bench,
    set: &LocalSet,
    nginx: Option<&Nginx>,
) -> io::Result<()> {
    let devices = with_tokens(10_000, true, unsigned_token);
    let mut all = vec![
        connection(
            "tight rustls, constant answer",
            &bench.start("tight", &[])?,
            &devices,
        ),
        connection(
            "hyper, constant answer",
            &bench.start("hyper", &[])?,
            &devices,
        ),
    ];
    if let Some(nginx) = nginx {
        let server = nginx.start(
            bench,
            NginxTls {
                mutual: false,
                aes128: true,
            },
            BODY,
        )?;
        let label = format!("nginx {}, return 202, AES-128", nginx.version());
        all.push(connection(&label, &Rc::new(server), &devices));
    }
    let figures = alternate(set, &all, bench.pace()).await?;
    title(
        bench,
        "A new TLS 1.3 connection without a client certificate, one request",
    );
    table::costs("connection", &figures);
    Ok(())
}

async fn kept_open(bench: &Bench, set: &LocalSet, nginx: Option<&Nginx>) -> io::Result<()> {
    let devices = with_tokens(10_000, false, unsigned_token);
    let mut all = vec![
        request(
            "hyper, constant answer",
            &bench.start("hyper", &[])?,
            &devices,
        ),
        request(
            "tight rustls",
            &bench.start("tight", &[("keep", "true")])?,
            &devices,
        ),
    ];
    if let Some(nginx) = nginx {
        let server = nginx.start(
            bench,
            NginxTls {
                mutual: false,
                aes128: true,
            },
            BODY,
        )?;
        let label = format!("nginx {}, return 202, AES-128", nginx.version());
        all.push(request(&label, &Rc::new(server), &devices));
    }
    let figures = alternate(set, &all, bench.pace()).await?;
    title(bench, "A request on a TLS 1.3 connection that is kept");
    table::costs("request", &figures);
    Ok(())
}

fn title(bench: &Bench, text: &str) {
    let fixed = format!(
        "Fixed: X25519, AES-128-GCM-SHA256 where nothing else is said, no resumption; P-256 leaf and\n\
         intermediate under a root; body of {BODY} bytes; {TASKS} at once; {}.",
        bench.pinning()
    );
    table::title(text, &fixed);
}

fn connection(label: &str, server: &Rc<Spawned>, visits: &Visits) -> Contestant {
    contestant(label, server, visits, Unit::Connection)
}

fn request(label: &str, server: &Rc<Spawned>, visits: &Visits) -> Contestant {
    contestant(label, server, visits, Unit::Request)
}

fn contestant(label: &str, server: &Rc<Spawned>, visits: &Visits, unit: Unit) -> Contestant {
    let (server, visits) = (Rc::clone(server), Rc::clone(visits));
    let load = Load {
        port: server.port(),
        tasks: TASKS,
        unit,
        visits,
        wanted: b"",
    };
    Contestant {
        label: label.to_owned(),
        server,
        load,
    }
}
