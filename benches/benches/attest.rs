//! Finding out whether a device is who it says: each mechanism beside the bare cryptography in it.
//!
//! `cargo bench --bench attest`

#![allow(clippy::future_not_send, reason = "one thread")]

use std::hint::black_box;
use std::io;
use std::time::Duration;

use dps_benches::inside::{Inside, alternate};
use dps_benches::pki::PkiFiles;
use dps_benches::visits::device_id;
use dps_benches::{Bench, bench_main, table, world};
use dps_core::attest::{
    AttestRequest, AttestationVerifier, Evidence, Mechanisms, Verdict, derive_device_key,
};
use dps_core::certificate::Certificate;
use dps_core::crypto::AWS_LC;
use dps_core::enrollment::{Attestation, Slots, X509Attestation};
use dps_core::time::{Clock, SystemClock};
use hmac::{Hmac, KeyInit, Mac};
use rustls::pki_types::{CertificateDer, UnixTime};
use sha2::Sha256;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

fn main() {
    bench_main(&[], async |bench, _| {
        tokens(bench);
        certificates(bench)
    })
}

fn pace(bench: &Bench, times: u64) -> (u64, usize) {
    if bench.quick() {
        (times / 50, 1)
    } else {
        (times, 9)
    }
}

fn tokens(bench: &Bench) {
    let (times, rounds) = pace(bench, 100_000);
    let [primary, secondary] = world::group_keys();
    let id = world::registration(1);
    let own = derive_device_key(&primary, id.as_str());
    let evidence = Evidence::Sas {
        token: world::token(id.as_str()),
    };
    let text = format!("{}%2Fregistrations%2F{id}\n4102444800", world::scope());
    let group = Attestation::SymmetricKey {
        primary: primary.clone(),
        secondary: secondary.clone(),
    };
    let alone = Attestation::SymmetricKey {
        primary: own.clone(),
        secondary: secondary.clone(),
    };
    let scope = world::scope();
    let mechanisms = Mechanisms::default();
    let now = SystemClock.now();
    let judge = |attestation, group| {
        let mut request = AttestRequest::new(&scope, &id, &evidence, attestation, &AWS_LC, now);
        request.group = group;
        attested(&mechanisms, &request);
    };
    let mut all = [
        Inside::repeat("bare: one HMAC", times, |_| {
            black_box(hmac(own.expose(), text.as_bytes()));
        }),
        Inside::repeat("individual enrollment", times, |_| judge(&alone, false)),
        Inside::repeat("bare: three HMACs", times, |_| {
            let own = hmac(primary.expose(), id.as_str().as_bytes());
            black_box(hmac(secondary.expose(), id.as_str().as_bytes()));
            black_box(hmac(&own, text.as_bytes()));
        }),
        Inside::repeat("group, both keys derived", times, |_| judge(&group, true)),
    ];
    let found = alternate(&mut all, rounds);
    table::title(
        "A token, verified",
        "Fixed: SHA-256, one device again and again.",
    );
    table::costs("token", &found);
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

fn attested(verifier: &Mechanisms, request: &AttestRequest<'_>) {
    let verdict = verifier.verify(request);
    assert!(matches!(verdict, Ok(Verdict::Attested(_))), "{verdict:?}");
}

fn certificates(bench: &Bench) -> io::Result<()> {
    let (times, rounds) = pace(bench, 3_000);
    let id = world::registration(1);
    let chain = bench.pki().device(&device_id(1)).cert.clone();
    let [leaf, intermediate] = &chain[..] else {
        return Err(io::Error::other("a chain of two"));
    };
    let root = PkiFiles::certificate(&bench.pki().files().root());
    let read = |der: &CertificateDer<'_>| Certificate::parse(der).map_err(io::Error::other);
    let parsed = [read(leaf)?, read(intermediate)?];
    let anchors = [read(&root)?];
    let evidence = Evidence::X509 {
        chain: chain.clone().into(),
    };
    let slots = |certificate: &Certificate| Slots {
        primary: Some(certificate.clone()),
        secondary: None,
    };
    let alone = Attestation::X509(X509Attestation::Leaf(slots(&parsed[0])));
    let group = Attestation::X509(X509Attestation::Signing(slots(&parsed[1])));
    let scope = world::scope();
    let now = SystemClock.now();
    let warm = Mechanisms::default();
    let judge = |mechanisms: &Mechanisms, attestation, group| {
        let mut request = AttestRequest::new(&scope, &id, &evidence, attestation, &AWS_LC, now);
        request.chain = &parsed;
        request.anchors = &anchors;
        request.group = group;
        attested(mechanisms, &request);
    };
    judge(&warm, &group, true);
    let moment = UnixTime::since_unix_epoch(Duration::from_secs(now.seconds()));
    let mut all = [
        Inside::repeat("bare webpki: one signature", times, |_| {
            webpki(leaf, &[], intermediate, moment);
        }),
        Inside::repeat("group, the issuer is remembered", times, |_| {
            judge(&warm, &group, true);
        }),
        Inside::repeat("bare webpki: two signatures", times, |_| {
            webpki(leaf, &chain[1..], &root, moment);
        }),
        Inside::repeat("group, nothing is remembered", times, |_| {
            judge(&Mechanisms::default(), &group, true);
        }),
        Inside::repeat("individual enrollment", times, |_| {
            judge(&warm, &alone, false);
        }),
        Inside::repeat("reading the two certificates", times, |_| {
            for der in &chain {
                black_box(Certificate::parse(der).is_ok());
            }
        }),
    ];
    let found = alternate(&mut all, rounds);
    table::title(
        "A certificate, verified",
        "Fixed: P-256 leaf and intermediate under a root, one device again and again. That the device has\n\
         the key is the handshake's matter. Reading comes on top of each of the others.",
    );
    table::costs("certificate", &found);
    Ok(())
}

fn webpki(
    leaf: &CertificateDer<'_>,
    above: &[CertificateDer<'_>],
    anchor: &CertificateDer<'_>,
    now: UnixTime,
) {
    let anchors = [anchor_from_trusted_cert(anchor).expect("a certificate of the run")];
    let leaf = EndEntityCert::try_from(leaf).expect("a certificate of the run");
    let path = leaf.verify_for_usage(
        AWS_LC.signatures,
        &anchors,
        above,
        now,
        KeyUsage::client_auth(),
        None,
        None,
    );
    assert!(path.is_ok());
}
