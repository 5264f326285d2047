//! Over TLS, as devices come.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dps_testkit::certs::Ca;
use dps_transport::{Listener, ServerTls, Tasks, TlsProvider};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use crate::echo::*;

#[tokio::test(start_paused = true)]
async fn a_client_certificate_is_known_to_what_is_spoken_over_the_websocket() {
    let (echo, http) = Echo::served();
    let root = Ca::root("Root");
    let server = root.server(&["dps.test"]).unwrap();
    let chain = server.chain_der().to_vec();
    let tls = ServerTls::from_der(&TlsProvider::aws_lc(), chain, server.key_der()).unwrap();
    let tasks = Tasks::new();
    let listener = Listener::new(tls, Arc::new(http), tasks.clone()).with_alpn(&["http/1.1"]);

    let device = Ca::root("Makers").device("press-1");
    let mut roots = RootCertStore::empty();
    roots.add(root.certificate_der().clone()).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = ClientConfig::builder_with_provider(provider.into())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(device.chain_der().to_vec(), device.key_der())
        .unwrap();

    let (near, far) = tokio::io::duplex(16 * 1024);
    let address = IpAddr::from([192, 0, 2, 9]);
    listener.admit(far, address);
    let name = ServerName::try_from("dps.test").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let io = connector.connect(name, near).await.unwrap();
    let client = tokio_tungstenite::client_async(wish("/", "mqtt"), io).await;
    let (mut socket, _) = client.unwrap();
    is_echoed(&mut socket, &[7; 100_000]).await;

    let peer = echo.peers.lock().unwrap()[0].clone();
    assert_eq!(peer.address, address);
    assert_eq!(peer.server_name.as_deref(), Some("dps.test"));
    assert_eq!(&*peer.chain, device.chain_der());

    let (drained, end) = tokio::join!(tasks.drain(Duration::from_secs(5)), async {
        futures_util::StreamExt::next(&mut socket).await
    });
    assert_eq!((drained.connections, drained.work), (0, 0));
    assert!(end.unwrap().unwrap().is_close());
}
