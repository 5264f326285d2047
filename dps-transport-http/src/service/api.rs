//! The service API as something to mount.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use dps_core::admin::Admin;
use dps_core::error::{Reason, ServiceError, UNAVAILABLE_RETRY};
use dps_core::operators::{OperatorHello, Operators};
use dps_transport::{Failures, Peer};
use http::header::{AUTHORIZATION, HOST};
use http::request::Parts as Head;
use http_body::Body;

use super::resource::{self, Question};
use super::route::Asked;
use crate::address::{self, Refusal};
use crate::body;
use crate::limits::{Limits, within};
use crate::reply::Stamp;
use crate::transport::Answered;

/// The service API over HTTP: enrollments, groups, registrations and the instance, for operators.
///
/// Mounted beside the device API by [`Http::with_service`](crate::Http::with_service), or alone by
/// [`Http::operators`](crate::Http::operators). The host that a request names says which tenant is
/// meant. What a stranger sends is not kept: a body is read into memory only once its sender has been let
/// in.
///
/// An address with too many 401s behind it gets the same 401 at once, without a look at the store: 60 a
/// minute unless set. A token whose rights do not suffice counts, too.
#[derive(Clone, Debug)]
pub struct ServiceApi {
    operators: Operators,
    failures: Arc<Failures>,
}

impl ServiceApi {
    /// Serves whom `operators` lets in.
    #[must_use]
    pub fn new(operators: Operators) -> Self {
        Self {
            operators,
            failures: Arc::default(),
        }
    }

    /// Counts failed attempts in `failures`. Default: its own, with [`Failures::default`].
    #[must_use]
    pub fn with_failures(mut self, failures: Arc<Failures>) -> Self {
        self.failures = failures;
        self
    }

    /// Answers one request, whose path begins with a word that belongs to operators.
    pub(crate) async fn answer<B: Body<Data = Bytes>>(
        &self,
        head: &Head,
        body: B,
        peer: &Peer,
        (stamp, limits): (Stamp, &Limits),
    ) -> Answered {
        let (asked, admin) = match self.admit(head, peer, (stamp, limits)).await {
            Ok(admitted) => admitted,
            Err(refusal) => {
                return Answered {
                    answer: stamp.refusal(&refusal),
                    proven: false,
                    whole: body::skip(body, limits).await,
                };
            }
        };
        let body = body::read(body, asked.route.body_bytes(), limits).await;
        let whole = body.is_ok();
        let done = match body {
            Ok(body) => {
                let question = Question {
                    operators: &self.operators,
                    admin: &admin,
                    headers: &head.headers,
                    id: &asked.id,
                    body: &body,
                };
                let mut answer = resource::answer(asked.route.operation, &question);
                let answer = within(limits.answer, answer.as_mut()).await;
                answer.unwrap_or_else(|| Err(late()))
            }
            Err(error) => Err(error),
        };
        Answered {
            answer: match done {
                Ok(done) => done.answer(stamp),
                Err(error) => stamp.error(&error),
            },
            proven: true,
            whole,
        }
    }

    /// What is asked, and leave to do it.
    async fn admit(
        &self,
        head: &Head,
        peer: &Peer,
        (stamp, limits): (Stamp, &Limits),
    ) -> Result<(Asked, Admin), Refusal> {
        let path = head.uri.path();
        let asked = Asked::read(&head.method, path, head.uri.query())?;
        let path = decoded(path);
        let hello = OperatorHello {
            host: host(head),
            path: &path,
            authorization: authorization(head),
            address: peer.address,
            ingress: &peer.ingress,
        };
        let (now, address, tracking) = (self.operators.now(), peer.address, stamp.id);
        if !self.failures.is_open(address, now) {
            tracing::debug!(%address, "too many failed attempts");
            return Err(ServiceError::new(Reason::NotAllowed).into());
        }
        let admitted = pin!(self.operators.admit(&hello, asked.route.needs));
        let because = match within(limits.answer, admitted).await {
            Some(Ok(admin)) => return Ok((asked, admin)),
            Some(Err(because)) => because,
            None => return Err(late().into()),
        };
        let told = because.told();
        if told.reason() == Reason::NotAllowed {
            self.failures.add(address, now);
            let (method, path) = (&asked.route.method, asked.route.path);
            tracing::info!(
                target: "dps::events", host = ?hello.host, %method, path, %tracking, %address, %because,
                "operator refused"
            );
        } else {
            tracing::warn!(%tracking, %because, "an operator could not be judged");
        }
        Err(told.into())
    }
}

/// The path as tokens say it. An escaped slash stays one: a token for `/a` is not for `/a%2Fb`.
fn decoded(path: &str) -> String {
    let segments = address::split(path).unwrap_or_default();
    let segments: Vec<_> = segments
        .iter()
        .map(|part| part.replace('/', "%2F"))
        .collect();
    segments.join("/")
}

/// We take too long for an answer.
const fn late() -> ServiceError {
    ServiceError::new(Reason::Unavailable).with_retry_after(UNAVAILABLE_RETRY)
}

/// The host that is meant, without its port; nothing if there is none or more than one.
fn host(head: &Head) -> &str {
    let mut named = head.headers.get_all(HOST).iter();
    let header = named.next().filter(|_| named.next().is_none());
    let header = header.and_then(|host| host.to_str().ok());
    // A request in absolute form says it twice, and means the first.
    let host = head.uri.authority().map(http::uri::Authority::as_str);
    let host = host.or(header).unwrap_or_default().trim();
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// The credentials, unless there are several.
fn authorization(head: &Head) -> Option<&str> {
    let mut given = head.headers.get_all(AUTHORIZATION).iter();
    let first = given.next().filter(|_| given.next().is_none());
    first?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(uri: &str, hosts: &[&str]) -> Head {
        let mut request = Request::builder().uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn the_host_is_meant_without_its_port() {
        for named in [
            "dps.example.net",
            "dps.example.net:443",
            " dps.example.net:8443",
            "dps.example.net:",
        ] {
            assert_eq!(host(&head("/enrollments/a", &[named])), "dps.example.net");
        }
        let absolute = "https://dps.example.net:443/enrollments/a";
        assert_eq!(
            host(&head(absolute, &["other.example.net"])),
            "dps.example.net"
        );
        assert_eq!(host(&head("/enrollments/a", &["[::1]:443"])), "[::1]");
        assert_eq!(host(&head("/enrollments/a", &[])), "");
        assert_eq!(
            host(&head("/enrollments/a", &["a.example.net", "b.example.net"])),
            ""
        );
    }
}
