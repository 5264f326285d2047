//! One small document over HTTPS, from a host that a tenant's operator has named.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use dps_core::egress::Egress;
use http::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use http::uri::Scheme;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// The largest document that is read, in bytes. Our choice; usual ones have 2 to 20 KiB.
pub const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

/// The largest head of an answer, in bytes.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// To how many of the addresses of a name a connection is tried.
const MAX_ADDRESSES: usize = 4;

const USER_AGENT_NAME: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// Why there is no document. Nothing of what was answered stands in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// What is to be fetched is no `https` URL with a host.
    #[error("not an https URL")]
    NotHttps,
    /// The host may not be called: its name, or every address that its name stands for.
    #[error("the host may not be called")]
    NotPermitted,
    /// There is no connection, or it broke, or the certificate is not trusted.
    #[error("no connection")]
    Connection(#[source] std::io::Error),
    /// What came is no HTTP, or was cut off, or larger than [`MAX_DOCUMENT_BYTES`].
    #[error("no answer that is taken")]
    Answer(#[source] dps_core::store::BoxError),
    /// The answer is not 200. Redirects are not followed: they could lead anywhere.
    #[error("the answer is {0}")]
    Status(StatusCode),
    /// The document is not what it has to be.
    #[error("the document {0}")]
    Document(&'static str),
    /// It took too long.
    #[error("took too long")]
    Late,
}

/// Fetches.
#[derive(Clone)]
pub(crate) struct Client {
    tls: TlsConnector,
    egress: Egress,
}

impl Client {
    pub(crate) fn new(tls: Arc<ClientConfig>) -> Self {
        Self {
            tls: TlsConnector::from(tls),
            egress: Egress::default(),
        }
    }

    pub(crate) fn with_egress(mut self, egress: Egress) -> Self {
        self.egress = egress;
        self
    }

    /// The document at `url`, over a connection of its own. Takes as long as it takes.
    pub(crate) async fn get(&self, url: &str) -> Result<Bytes, FetchError> {
        let url: Uri = url.parse().map_err(|_| FetchError::NotHttps)?;
        let authority = url
            .authority()
            .filter(|_| url.scheme() == Some(&Scheme::HTTPS));
        let authority = authority.ok_or(FetchError::NotHttps)?;
        let inner = authority.host().strip_prefix('[');
        let host = inner
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or_else(|| authority.host());
        let name = ServerName::try_from(host.to_owned()).map_err(|_| FetchError::NotHttps)?;
        let socket = self
            .connect(host, authority.port_u16().unwrap_or(443))
            .await?;
        let stream = self.tls.connect(name, socket).await;
        let stream = stream.map_err(FetchError::Connection)?;

        let mut client = http1::Builder::new();
        client.max_buf_size(MAX_HEAD_BYTES);
        let (mut sender, connection) = client
            .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
            .await
            .map_err(answer)?;
        // Ends with this call, however it ends.
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        let host = authority.as_str().rsplit('@').next().unwrap_or_default();
        let request = Request::get(path)
            .header(HOST, host)
            .header(ACCEPT, "application/json")
            .header(CONNECTION, "close")
            .header(USER_AGENT, USER_AGENT_NAME)
            .body(Empty::new())
            .map_err(answer)?;
        let response = sender.send_request(request).await.map_err(answer)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let body = Limited::new(response.into_body(), MAX_DOCUMENT_BYTES);
        let body = body.collect().await.map_err(FetchError::Answer)?;
        Ok(body.to_bytes())
    }

    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, FetchError> {
        if !self.egress.permits_host(host) {
            return Err(FetchError::NotPermitted);
        }
        let found = lookup_host((host, port)).await;
        let mut outcome = Err(FetchError::NotPermitted);
        for address in self.permitted(host, found.map_err(FetchError::Connection)?) {
            match TcpStream::connect(address).await {
                Ok(socket) => return Ok(socket),
                Err(error) => outcome = Err(FetchError::Connection(error)),
            }
        }
        outcome
    }

    /// The first addresses of a name that may be called. They are connected to as they were judged: a second
    /// look at the name could find others.
    fn permitted(&self, host: &str, found: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
        found
            .filter(|address| self.egress.permits(host, address.ip()))
            .take(MAX_ADDRESSES)
            .collect()
    }
}

fn answer(error: impl std::error::Error + Send + Sync + 'static) -> FetchError {
    FetchError::Answer(Box::new(error))
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({:?})", self.egress)
    }
}

#[cfg(test)]
mod tests {
    use dps_core::access::IpMask;
    use rustls::RootCertStore;

    use super::*;

    #[test]
    fn of_the_addresses_of_a_name_those_that_may_be_called_are_tried() {
        let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(crypto)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let client = Client::new(Arc::new(tls));
        let tried = |client: &Client| {
            let found = [
                "127.0.0.1:443",
                "8.8.8.8:443",
                "10.20.0.7:443",
                "[::1]:443",
                "[fd00::1]:443",
            ];
            let found = found.into_iter().map(|address| address.parse().unwrap());
            let permitted = client.permitted("login.example", found);
            permitted
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(tried(&client), ["8.8.8.8:443"]);
        let range = IpMask::parse("10.20.0.0/16").unwrap();
        let wider = client.with_egress(Egress::default().with_range(range));
        assert_eq!(tried(&wider), ["8.8.8.8:443", "10.20.0.7:443"]);
        let anywhere = wider.with_egress(Egress::anywhere());
        assert_eq!(tried(&anywhere).len(), MAX_ADDRESSES);
    }
}
