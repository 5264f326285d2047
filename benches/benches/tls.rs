//! A connection, and a request on a connection that is kept: CPU time of the server.
//!
//! `cargo bench --bench tls [-- certificate token kept enrollments]`: all parts, or those named. The comparison with nginx is left out where nginx is not installed.

#![allow(clippy::future_not_send, reason = "the client is one thread")]
#![allow(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::io;
use std::rc::Rc;

use dps_benches::client::{Unit, Visits, body_length};
use dps_benches::measure::{Contestant, Figures, TASKS, WANTED, alternate};
use dps_benches::server::{Nginx, NginxTls, Spawned, hyper, ours, tight};
use dps_benches::visits::{scattered, with_certificates, with_tokens};
use dps_benches::{Bench, bench_main, table};
use tokio::task::LocalSet;

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
            if bench.wants("certificate") {
                with_certificate(bench, set, nginx.as_ref()).await?;
            }
            if bench.wants("token") {
                without_certificate(bench, set, nginx.as_ref()).await?;
            }
            if bench.wants("kept") {
                kept_open(bench, set, nginx.as_ref()).await?;
            }
            if bench.wants("enrollments") {
                by_enrollments(bench, set).await?;
            }
            Ok(())
        },
    )
}

async fn with_certificate(bench: &Bench, set: &LocalSet, nginx: Option<&Nginx>) -> io::Result<()> {
    let devices = with_certificates(bench, bench.distinct(60_000), false, true);
    let post_quantum = with_certificates(bench, bench.distinct(40_000), true, true);
    let ours = bench.start("ours", &[])?;
    let body = Body::of(&ours, &devices).await?;
    let options = [("mutual", "true"), body.option()];
    let tight = bench.start("tight", &options)?;
    let mut all = vec![
        connection("tight rustls, constant answer", &tight, &devices),
        connection(
            "hyper, constant answer",
            &bench.start("hyper", &options)?,
            &devices,
        ),
        connection("ours", &ours, &devices),
        connection("tight, post-quantum key exchange", &tight, &post_quantum),
        connection(
            "ours, post-quantum key exchange",
            &bench.start("ours", &[])?,
            &post_quantum,
        ),
    ];
    for (aes128, suite) in [(true, "AES-128"), (false, "AES-256")] {
        let tls = NginxTls {
            mutual: true,
            aes128,
        };
        all.extend(
            beside_nginx(bench, nginx, tls, suite, &body)?
                .map(|(label, server)| connection(&label, &server, &devices)),
        );
    }
    let figures = alternate(set, &all, bench.pace()).await?;
    title(
        bench,
        &body,
        "A new TLS 1.3 connection with a client certificate, X.509 group, register, assigned",
    );
    table::costs("connection", &figures);
    table::verdict(&figures[2], &figures[0], 0.8);
    table::verdict(&figures[4], &figures[3], 0.8);
    for nginx in &figures[5..] {
        table::verdict(&figures[2], nginx, 3.0);
    }
    Ok(())
}

async fn without_certificate(
    bench: &Bench,
    set: &LocalSet,
    nginx: Option<&Nginx>,
) -> io::Result<()> {
    let devices = with_tokens(0..bench.distinct(120_000), true);
    let ours = bench.start("ours", &[])?;
    let body = Body::of(&ours, &devices).await?;
    let mut all = vec![
        connection(
            "tight rustls, constant answer",
            &bench.start("tight", &[body.option()])?,
            &devices,
        ),
        connection(
            "hyper, constant answer",
            &bench.start("hyper", &[body.option()])?,
            &devices,
        ),
        connection("ours", &ours, &devices),
    ];
    let found = beside_nginx(bench, nginx, PLAIN, "AES-128", &body)?;
    all.extend(found.map(|(label, server)| connection(&label, &server, &devices)));
    let figures = alternate(set, &all, bench.pace()).await?;
    title(
        bench,
        &body,
        "A new TLS 1.3 connection without a client certificate, symmetric-key group, register, assigned",
    );
    table::costs("connection", &figures);
    table::verdict(&figures[2], &figures[0], 0.75);
    Ok(())
}

async fn kept_open(bench: &Bench, set: &LocalSet, nginx: Option<&Nginx>) -> io::Result<()> {
    let devices = with_tokens(0..bench.distinct(600_000), false);
    let ours = bench.start("ours", &[])?;
    let body = Body::of(&ours, &devices).await?;
    let mut all = vec![
        request(
            "hyper, constant answer",
            &bench.start("hyper", &[body.option()])?,
            &devices,
        ),
        request(
            "tight rustls",
            &bench.start("tight", &[("keep", "true"), body.option()])?,
            &devices,
        ),
        request("ours", &ours, &devices),
    ];
    let found = beside_nginx(bench, nginx, PLAIN, "AES-128", &body)?;
    all.extend(found.map(|(label, server)| request(&label, &server, &devices)));
    let figures = alternate(set, &all, bench.pace()).await?;
    title(
        bench,
        &body,
        "A request on a TLS 1.3 connection that is kept, symmetric-key group, register, assigned",
    );
    table::costs("request", &figures);
    table::verdict(&figures[2], &figures[0], 0.45);
    beyond(&figures[2], &figures[0]);
    Ok(())
}

async fn by_enrollments(bench: &Bench, set: &LocalSet) -> io::Result<()> {
    let (many, known) = if bench.quick() {
        (5_000, 500)
    } else {
        (1_000_000, 120_000)
    };
    let few = with_tokens(scattered(1_000, 1_000), true);
    let large = with_tokens(scattered(known, many), true);
    let start = |enrollments: u64, known: u64| {
        let (enrollments, known) = (enrollments.to_string(), known.to_string());
        bench.start("ours", &[("enrollments", &enrollments), ("known", &known)])
    };
    let small = start(1_000, 1_000)?;
    let body = Body::of(&small, &few).await?;
    let all = [
        connection("1000 enrollments", &small, &few),
        connection(&format!("{many} enrollments"), &start(many, known)?, &large),
    ];
    let figures = alternate(set, &all, bench.pace()).await?;
    title(
        bench,
        &body,
        "A new TLS 1.3 connection, individual symmetric key, a device registers again and stays",
    );
    table::costs("connection", &figures);
    table::multiple(&figures[1], &figures[0], 1.2);
    Ok(())
}

/// The body of our answer; the others answer as much.
struct Body {
    bytes: usize,
    text: String,
}

impl Body {
    async fn of(ours: &Spawned, devices: &Visits) -> io::Result<Self> {
        // It is the one device that comes twice.
        let visit = devices(0);
        let bytes = body_length(ours.port(), &visit, WANTED).await?;
        let text = bytes.to_string();
        Ok(Self { bytes, text })
    }

    fn option(&self) -> (&str, &str) {
        ("body", &self.text)
    }
}

const PLAIN: NginxTls = NginxTls {
    mutual: false,
    aes128: true,
};

fn beside_nginx(
    bench: &Bench,
    nginx: Option<&Nginx>,
    tls: NginxTls,
    suite: &str,
    body: &Body,
) -> io::Result<Option<(String, Rc<Spawned>)>> {
    let Some(nginx) = nginx else { return Ok(None) };
    let server = nginx.start(bench, tls, body.bytes)?;
    let label = format!("nginx {}, return 202, {suite}", nginx.version());
    Ok(Some((label, Rc::new(server))))
}

/// What a request takes more than the constant answer of the same stack.
fn beyond(ours: &Figures, constant: &Figures) {
    let (ours, constant) = (ours.cpu_micros().median, constant.cpu_micros().median);
    println!(
        "beyond the constant answer: {:.1} µs a request",
        ours - constant
    );
}

fn title(bench: &Bench, body: &Body, text: &str) {
    let fixed = format!(
        "Fixed: X25519, AES-128-GCM-SHA256 where nothing else is said, no resumption; P-256 leaf and\n\
         intermediate under a root; memory store, hubs that answer at once; each device comes once unless\n\
         it says otherwise; body of {} bytes; {TASKS} at once; {}.",
        body.bytes,
        bench.pinning()
    );
    table::title(text, &fixed);
}

fn connection(label: &str, server: &Rc<Spawned>, visits: &Visits) -> Contestant {
    Contestant::registering(label, server, visits, Unit::Connection)
}

fn request(label: &str, server: &Rc<Spawned>, visits: &Visits) -> Contestant {
    Contestant::registering(label, server, visits, Unit::Request)
}
