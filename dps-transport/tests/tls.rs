//! What the handshake hears, proves, and leaves to others.
#![cfg(any(feature = "aws-lc", feature = "ring"))]
#![allow(clippy::unwrap_used, reason = "a test that fails says so")]

mod common;

use common::{Bench, HOME, Identity, VERSIONS, providers};
use dps_transport::{CipherOrder, ServerTls, TlsError};
use rcgen::{CustomExtension, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::{CipherSuite, HandshakeKind};

#[tokio::test]
async fn a_client_without_a_certificate_is_served() {
    for provider in providers() {
        let mut bench = Bench::new(&provider);
        for version in VERSIONS {
            bench.exchange(bench.client(version)).await.unwrap();
            let peer = bench.peers.recv().await.unwrap();
            assert!(peer.chain.is_empty());
            assert_eq!(peer.address, HOME);
            assert_eq!(peer.server_name.as_deref(), Some("dps.test"));
        }
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_knows_is_heard_with_its_whole_chain() {
    for provider in providers() {
        let mut bench = Bench::new(&provider);
        let mut device = Identity::new("press-1");
        device.chain.extend(Identity::new("somebody").chain);
        for version in VERSIONS {
            let (client, shown) = bench.client_of(version, &device);
            bench.exchange(client).await.unwrap();
            assert_eq!(*bench.peers.recv().await.unwrap().chain, *device.chain);
            assert_eq!(*shown.hints.lock().unwrap(), Some(0), "authorities named");
        }
    }
}

#[tokio::test]
async fn the_key_is_proven_whatever_kind_it_is_of() {
    for provider in providers() {
        let mut bench = Bench::new(&provider);
        for algorithm in [
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &rcgen::PKCS_ECDSA_P384_SHA384,
            &rcgen::PKCS_ED25519,
            &rcgen::PKCS_RSA_SHA256,
        ] {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let device = Identity::made("press-1", key, |_| {});
            for version in VERSIONS {
                let (client, _) = bench.client_of(version, &device);
                bench.exchange(client).await.unwrap();
                assert_eq!(*bench.peers.recv().await.unwrap().chain, *device.chain);
            }
        }
    }
}

#[tokio::test]
async fn a_stolen_certificate_without_its_key_fails() {
    assert_stolen_fails(&Identity::new("press-1")).await;
}

#[tokio::test]
async fn a_version_1_certificate_is_heard_if_the_key_is_right_and_only_then() {
    let mut device = Identity::new("press-1");
    device.chain[0] = as_version_1(&device.chain[0]);
    assert_heard(&device).await;
    assert_stolen_fails(&device).await;
}

#[tokio::test]
async fn an_unknown_critical_extension_is_left_to_those_who_judge() {
    let device = Identity::made("press-1", KeyPair::generate().unwrap(), |params| {
        let mut unknown =
            CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 9999, 1], vec![5, 0]);
        unknown.set_criticality(true);
        params.custom_extensions.push(unknown);
    });
    assert_heard(&device).await;
    assert_stolen_fails(&device).await;
}

#[tokio::test]
async fn a_certificate_that_cannot_be_read_proves_nothing() {
    for provider in providers() {
        let mut bench = Bench::new(&provider);
        let mut device = Identity::new("press-1");
        device.chain[0] = CertificateDer::from(vec![0x30, 0x03, 0x02, 0x01, 0x00]);
        for version in VERSIONS {
            let (client, _) = bench.client_of(version, &device);
            assert!(bench.exchange(client).await.is_err());
            assert!(bench.peers.try_recv().is_err());
        }
    }
}

#[tokio::test]
async fn no_connection_resumes_an_earlier_one() {
    for provider in providers() {
        let bench = Bench::new(&provider);
        let device = Identity::new("press-1");
        for version in VERSIONS {
            let (client, _) = bench.client_of(version, &device);
            for _ in 0..3 {
                let stream = bench.exchange(client.clone()).await.unwrap();
                let (_, session) = stream.get_ref();
                let kind = session.handshake_kind();
                // A second round for the key exchange is not a resumption.
                assert!(
                    matches!(
                        kind,
                        Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest)
                    ),
                    "{kind:?}"
                );
                assert!(!session.is_early_data_accepted());
            }
        }
    }
}

#[tokio::test]
async fn the_server_orders_the_cipher_suites() {
    use CipherSuite::*;
    let aes128 = [
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        TLS13_AES_128_GCM_SHA256,
    ];
    let aes256 = [
        TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        TLS13_AES_256_GCM_SHA384,
    ];
    for provider in providers() {
        for (provider, expected) in [
            (provider.clone(), aes128),
            (provider.with_cipher_order(CipherOrder::Aes256First), aes256),
        ] {
            let bench = Bench::new(&provider);
            for (version, expected) in VERSIONS.into_iter().zip(expected) {
                for prefers_256 in [false, true] {
                    let mut client = bench.client(version);
                    let mut crypto = client.crypto_provider().as_ref().clone();
                    crypto.cipher_suites.sort_by_key(|suite| {
                        let name = format!("{:?}", suite.suite());
                        name.contains("AES_256") != prefers_256
                    });
                    client = rebuilt(&bench, crypto, version);
                    let stream = bench.exchange(client).await.unwrap();
                    let chosen = stream.get_ref().1.negotiated_cipher_suite().unwrap();
                    assert_eq!(chosen.suite(), expected);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_protocol_is_agreed_on_where_both_name_one() {
    let mut bench = Bench::new(&providers()[0]);
    bench.listener = bench.listener.with_alpn(&["http/1.1"]);
    for version in VERSIONS {
        let mut client = bench.client(version);
        bench.exchange(client.clone()).await.unwrap();
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let stream = bench.exchange(client.clone()).await.unwrap();
        let agreed = stream.get_ref().1.alpn_protocol();
        assert_eq!(agreed, Some(&b"http/1.1"[..]));
        client.alpn_protocols = vec![b"h2".to_vec()];
        assert!(bench.exchange(client).await.is_err());
    }
}

#[test]
fn what_is_wrong_with_a_certificate_or_key_is_said() {
    let provider = &providers()[0];
    let (ours, other) = (Identity::new("dps.test"), Identity::new("dps.test"));
    let chain = ours.pem.clone();
    let key = ours.key.serialize_pem();
    let build =
        |chain: &str, key: &str| ServerTls::from_pem(provider, chain.as_bytes(), key.as_bytes());

    let tls = build(&chain, &key).unwrap();
    assert_eq!(format!("{tls:?}"), "ServerTls(1 certificates)");
    // One file with both is what many tools make.
    let both = format!("{key}{chain}");
    assert!(build(&both, &both).is_ok());

    let wrong = |chain: &str, key: &str| build(chain, key).unwrap_err();
    assert!(matches!(wrong("", &key), TlsError::NoCertificate));
    assert!(matches!(wrong(&key, &key), TlsError::NoCertificate));
    assert!(matches!(wrong(&chain, ""), TlsError::NoKey));
    assert!(matches!(wrong(&chain, &chain), TlsError::NoKey));
    let encrypted = pem("ENCRYPTED PRIVATE KEY", "c2VhbGVk");
    assert!(matches!(wrong(&chain, &encrypted), TlsError::EncryptedKey));
    let foreign = other.key.serialize_pem();
    assert!(matches!(wrong(&chain, &foreign), TlsError::KeyMismatch));
    let garbled = "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n";
    assert!(matches!(wrong(garbled, &key), TlsError::ChainPem(_)));
    let cut = "-----BEGIN PRIVATE KEY-----\nMIGHAg\n";
    assert!(matches!(wrong(&chain, cut), TlsError::KeyPem));
    let nonsense = pem("CERTIFICATE", "bm90IGEgY2VydGlmaWNhdGU=");
    assert!(matches!(wrong(&nonsense, &key), TlsError::Certificate(_)));
    let keyless = pem("PRIVATE KEY", "bm90IGEga2V5");
    assert!(matches!(wrong(&chain, &keyless), TlsError::Key(_)));
}

async fn assert_heard(device: &Identity) {
    for provider in providers() {
        let mut bench = Bench::new(&provider);
        for version in VERSIONS {
            let (client, _) = bench.client_of(version, device);
            bench.exchange(client).await.unwrap();
            assert_eq!(*bench.peers.recv().await.unwrap().chain, *device.chain);
        }
    }
}

async fn assert_stolen_fails(device: &Identity) {
    for provider in providers() {
        let mut bench = Bench::new(&provider);
        for version in VERSIONS {
            let (client, _) = bench.client_of(version, &device.stolen());
            let error = bench.exchange(client).await.err().unwrap().to_string();
            assert!(error.contains("DecryptError"), "{error}");
            assert!(bench.peers.try_recv().is_err());
        }
    }
}

fn rebuilt(
    bench: &Bench,
    crypto: rustls::crypto::CryptoProvider,
    version: &'static rustls::SupportedProtocolVersion,
) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(bench.server.chain[0].clone()).unwrap();
    rustls::ClientConfig::builder_with_provider(crypto.into())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn pem(label: &str, base64: &str) -> String {
    format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
}

/// Takes version and extensions out of a certificate. Its own signature is worth nothing then, which
/// nobody here looks at.
fn as_version_1(certificate: &[u8]) -> CertificateDer<'static> {
    let (_, inside, _) = element(certificate);
    let (_, signed, rest) = element(inside);
    let mut kept = Vec::new();
    let mut left = signed;
    while !left.is_empty() {
        let (tag, _, after) = element(left);
        if !matches!(tag, 0xa0 | 0xa3) {
            kept.extend_from_slice(&left[..left.len() - after.len()]);
        }
        left = after;
    }
    let mut inside = sequence(&kept);
    inside.extend_from_slice(rest);
    CertificateDer::from(sequence(&inside))
}

/// Tag, content, and what follows.
fn element(der: &[u8]) -> (u8, &[u8], &[u8]) {
    let (head, length) = match der[1] {
        0x81 => (3, usize::from(der[2])),
        0x82 => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
        short => (2, usize::from(short)),
    };
    let (content, rest) = der[head..].split_at(length);
    (der[0], content, rest)
}

fn sequence(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let mut der = match content.len() {
        short @ 0..128 => vec![0x30, short as u8],
        middle @ 128..256 => vec![0x30, 0x81, middle as u8],
        _ => vec![0x30, 0x82, length[0], length[1]],
    };
    der.extend_from_slice(content);
    der
}
