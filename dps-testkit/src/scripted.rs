//! A device API with canned replies, for tests and benchmarks of transports.

use std::fmt::{self, Debug};

use async_trait::async_trait;
use dps_core::api::{
    Authentication, DeviceApi, DeviceHello, DeviceRequest, DeviceResponse, Reply, Session,
};
use dps_core::attest::{Attested, SignIn};
use dps_core::error::ServiceError;
use dps_core::hub::DeviceAuth;
use dps_core::id::ApiVersion;

/// Judges a caller.
type Judge = dyn Fn(&DeviceHello) -> Authentication + Send + Sync;
/// Answers a proven caller.
type Answer = dyn Fn(&Session, &ApiVersion, DeviceRequest) -> Reply + Send + Sync;

/// A device API that says what it was told to say. Believes everybody, unless told otherwise.
///
/// **Checks nothing**: never put it before real devices.
///
/// ```
/// use dps_core::api::DeviceResponse;
/// use dps_core::error::{Reason, ServiceError};
/// use dps_testkit::Scripted;
///
/// let busy = ServiceError::new(Reason::Throttled);
/// let api = Scripted::answering(DeviceResponse::Error(busy));
/// # let _ = api;
/// ```
pub struct Scripted {
    judge: Box<Judge>,
    answer: Box<Answer>,
}

impl Scripted {
    /// Believes everybody and answers with what `answer` makes of each request.
    pub fn new(
        answer: impl Fn(&Session, &ApiVersion, DeviceRequest) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self {
            judge: Box::new(believe),
            answer: Box::new(answer),
        }
    }

    /// Believes everybody and answers every request with a copy of `response`.
    #[must_use]
    pub fn answering(response: DeviceResponse) -> Self {
        Self::new(move |_, _, _| response.clone().into())
    }

    /// Believes nobody.
    #[must_use]
    pub fn refusing(error: ServiceError) -> Self {
        let response = DeviceResponse::Error(error.clone());
        Self::answering(response).judging(move |_| Authentication::Denied(error.clone()))
    }

    /// Lets `judge` decide whom to believe; [`believe`] makes what it may answer for those.
    #[must_use]
    pub fn judging(
        mut self,
        judge: impl Fn(&DeviceHello) -> Authentication + Send + Sync + 'static,
    ) -> Self {
        self.judge = Box::new(judge);
        self
    }
}

/// Believes a caller without looking: it will sign in to its hub by a certificate authority.
#[must_use]
pub fn believe(hello: &DeviceHello) -> Authentication {
    let sign_in = SignIn::Known(DeviceAuth::CertificateAuthority);
    let attested = Attested::assertion(sign_in);
    Authentication::Accepted(Session::assertion(hello, attested))
}

#[async_trait]
impl DeviceApi for Scripted {
    async fn authenticate(&self, hello: DeviceHello) -> Authentication {
        (self.judge)(&hello)
    }

    async fn call(&self, session: &Session, version: &ApiVersion, request: DeviceRequest) -> Reply {
        (self.answer)(session, version, request)
    }
}

impl Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted(..)")
    }
}

#[cfg(test)]
mod tests {
    use dps_core::access::Ingress;
    use dps_core::api::{Origin, Transport};
    use dps_core::error::Reason;
    use dps_core::id::{IdScope, RegistrationId};

    use super::*;
    use crate::run::block_on;

    fn hello() -> DeviceHello {
        DeviceHello {
            scope: IdScope::parse("0ne00000001").expect("it is a name"),
            registration: RegistrationId::parse("press-1").expect("it is a name"),
            evidence: None,
            operation: None,
            origin: Origin {
                address: [127, 0, 0, 1].into(),
                ingress: Ingress::Public,
                transport: Transport::Http,
            },
        }
    }

    #[test]
    fn everybody_is_believed_and_told_what_was_scripted() {
        let told = |session: &Session, _: &ApiVersion, _: DeviceRequest| {
            let message = format!("hello {}", session.registration());
            let error = ServiceError::new(Reason::Throttled).with_message(message);
            DeviceResponse::Error(error).into()
        };
        let api = Scripted::new(told);
        let Authentication::Accepted(session) = block_on(api.authenticate(hello())) else {
            unreachable!("everybody is believed");
        };
        let request = DeviceRequest::RegistrationStatus;
        let reply = block_on(api.call(&session, &ApiVersion::usual(), request));
        let DeviceResponse::Error(error) = reply.response else {
            unreachable!("it was scripted");
        };
        assert_eq!(error.message(), "hello press-1");
    }

    #[test]
    fn nobody_is_believed_where_that_is_scripted() {
        let api = Scripted::refusing(ServiceError::new(Reason::Unauthorized));
        let answer = block_on(api.authenticate(hello()));
        assert!(matches!(answer, Authentication::Denied(_)));
    }
}
