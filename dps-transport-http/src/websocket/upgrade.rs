//! From a request to a WebSocket.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dps_core::error::{Reason, ServiceError};
use dps_transport::Protocol;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version};
use http_body::Body;
use sha1::{Digest, Sha1};

use crate::reply::{Answer, Stamp};

/// The one version there is (RFC 6455, section 4.1).
const VERSION: HeaderValue = HeaderValue::from_static("13");

/// What every server mixes into its proof (RFC 6455, section 1.3).
const MAGIC: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What is spoken over WebSockets, by the name of its subprotocol.
#[derive(Clone, Debug, Default)]
pub(crate) struct WebSockets(Vec<(Box<str>, Arc<dyn Protocol>)>);

/// What becomes of the wish for a WebSocket.
pub(crate) struct Upgrade {
    pub(crate) answer: Answer,
    /// What has the connection once the answer is out; `None` if the wish is refused.
    pub(crate) protocol: Option<Arc<dyn Protocol>>,
}

impl WebSockets {
    pub(crate) fn insert(&mut self, subprotocol: &str, protocol: Arc<dyn Protocol>) {
        self.0
            .retain(|(name, _)| !name.eq_ignore_ascii_case(subprotocol));
        self.0.push((subprotocol.into(), protocol));
    }

    /// Reads a request as the wish for a WebSocket; `None` if it is a request like any other.
    pub(crate) fn upgrade<B: Body>(
        &self,
        request: &Request<B>,
        stamp: impl Fn() -> Stamp,
    ) -> Option<Upgrade> {
        let headers = request.headers();
        let wished = !self.0.is_empty()
            && request.method() == Method::GET
            && words(headers, UPGRADE).any(|word| word.eq_ignore_ascii_case("websocket"));
        let refuse = |error| Upgrade {
            answer: refusal(&error, &stamp()),
            protocol: None,
        };
        wished.then(|| self.grant(request).unwrap_or_else(refuse))
    }

    fn grant<B: Body>(&self, request: &Request<B>) -> Result<Upgrade, ServiceError> {
        let headers = request.headers();
        let connected = words(headers, CONNECTION).any(|word| word.eq_ignore_ascii_case("upgrade"));
        if !connected || request.version() != Version::HTTP_11 || !request.body().is_end_stream() {
            return Err(malformed(
                "an upgrade takes HTTP/1.1, connection: upgrade, and no body",
            ));
        }
        if headers.get(SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
            return Err(ServiceError::new(Reason::UpgradeRequired));
        }
        let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
        let Some(key) = key.filter(|key| !key.is_empty()) else {
            return Err(malformed("the header sec-websocket-key is missing"));
        };
        let Some((offered, protocol)) = self.choose(headers) else {
            return Err(malformed(
                "sec-websocket-protocol offers nothing that is spoken here",
            ));
        };
        Ok(Upgrade {
            answer: switching(key, offered)?,
            protocol: Some(Arc::clone(protocol)),
        })
    }

    /// The first of the offers that is spoken here, as it was spelt.
    fn choose<'a>(&'a self, headers: &'a HeaderMap) -> Option<(&'a str, &'a Arc<dyn Protocol>)> {
        words(headers, SEC_WEBSOCKET_PROTOCOL).find_map(|offered| {
            let mut spoken = self.0.iter();
            let (_, protocol) = spoken.find(|(name, _)| name.eq_ignore_ascii_case(offered))?;
            Some((offered, protocol))
        })
    }
}

/// The elements of a list that may be spread over several headers.
fn words(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

fn switching(key: &[u8], subprotocol: &str) -> Result<Answer, ServiceError> {
    let unfit = |_| malformed("sec-websocket-protocol is not fit to be repeated");
    let subprotocol = HeaderValue::try_from(subprotocol).map_err(unfit)?;
    let proof = Sha1::new().chain_update(key).chain_update(MAGIC).finalize();
    let proof = HeaderValue::try_from(STANDARD.encode(proof));
    let proof = proof.map_err(|_| ServiceError::new(Reason::Internal))?;
    let mut answer = Answer::default();
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, proof);
    headers.insert(SEC_WEBSOCKET_PROTOCOL, subprotocol);
    Ok(answer)
}

fn refusal(error: &ServiceError, stamp: &Stamp) -> Answer {
    let mut answer = stamp.error(error);
    if error.reason() == Reason::UpgradeRequired {
        let headers = answer.headers_mut();
        headers.insert(SEC_WEBSOCKET_VERSION, VERSION);
        // Required beside 426 (RFC 9110, section 15.5.22).
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    }
    answer
}

fn malformed(message: &'static str) -> ServiceError {
    ServiceError::new(Reason::Malformed).with_message(message)
}
