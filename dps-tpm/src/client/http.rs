//! Over HTTP: the first request has no token and is answered by a challenge, all others carry the token.
//!
//! Source: azure-iot-sdk-node, `provisioning/device/src/tpm_registration.ts` and
//! `provisioning/transport/http/src/http.ts`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::time::Duration;

use super::error::Error;
use super::stream::Stream;
use super::{API_VERSION, Answer, Question, text};

/// The longest answer that is read. Our choice: the service's limit of a message is 96 KB ("Service limits" in its
/// documentation).
const MOST_BYTES: usize = 256 * 1024;

/// A connection of a device that has a token.
pub(super) struct Http {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    /// `/{scope}/registrations/{id}`.
    path: String,
    token: String,
}

impl Http {
    /// Asks for the challenge, and answers it.
    ///
    /// * `prove`: makes a token of the challenge.
    pub(super) async fn prove(
        stream: Box<dyn Stream>,
        host: &str,
        path: &str,
        body: &Value,
        prove: impl FnOnce(&[u8]) -> Result<String, crate::Error>,
    ) -> Result<Self, Error> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let mut http = Self {
            sender,
            host: host.to_owned(),
            path: path.to_owned(),
            token: String::new(),
        };
        let challenge = http.ask(Question::Register(body)).await?;
        let key = text(&challenge.body, "authenticationKey");
        let (401, Ok(key)) = (challenge.status, key) else {
            return Err(Error::Refused {
                status: challenge.status,
                body: challenge.body,
            });
        };
        let key = STANDARD
            .decode(key)
            .map_err(|_| Error::Unreadable("authenticationKey"))?;
        http.token = prove(&key)?;
        Ok(http)
    }

    pub(super) async fn ask(&mut self, question: Question<'_>) -> Result<Answer, Error> {
        let (method, what, body) = match question {
            Question::Register(body) => (Method::PUT, "register".to_owned(), body.to_string()),
            Question::Poll(operation) => (
                Method::GET,
                format!("operations/{operation}"),
                String::new(),
            ),
        };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}/{what}?api-version={API_VERSION}", self.path))
            .header(HOST, &self.host)
            .header(CONTENT_TYPE, "application/json; charset=utf-8");
        if !self.token.is_empty() {
            request = request.header(AUTHORIZATION, &self.token);
        }
        let request = request
            .body(Full::from(body))
            .map_err(|_| Error::Unreadable("operationId"))?;
        let response = self.sender.send_request(request).await?;
        let status = response.status().as_u16();
        let delay = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|delay| delay.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let body = Limited::new(response.into_body(), MOST_BYTES)
            .collect()
            .await;
        let body = body.map_err(|_| Error::Unreadable("body"))?.to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        Ok(Answer {
            status,
            body,
            delay,
        })
    }
}
