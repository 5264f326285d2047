//! A verified caller.

use std::fmt;
use std::sync::Arc;

use crate::api::{DeviceHello, Origin};
use crate::attest::Attested;
use crate::id::{IdScope, RegistrationId};

/// A verified caller. Lives as long as a connection (MQTT, AMQP) or one request (HTTP).
#[derive(Clone)]
pub struct Session {
    scope: IdScope,
    registration: RegistrationId,
    origin: Origin,
    attested: Attested,
    pub(crate) proven: Option<Arc<crate::provisioner::Proven>>,
}

impl Session {
    /// Claims that the caller of `hello` is who it says.
    ///
    /// For implementations of [`DeviceApi`](crate::api::DeviceApi): a session made here means
    /// something only to the one that made it, and is refused by a
    /// [`Provisioner`](crate::Provisioner).
    #[must_use]
    pub fn assertion(hello: &DeviceHello, attested: Attested) -> Self {
        Self {
            scope: hello.scope.clone(),
            registration: hello.registration.clone(),
            origin: hello.origin.clone(),
            attested,
            proven: None,
        }
    }

    /// The tenant.
    #[must_use]
    pub const fn scope(&self) -> &IdScope {
        &self.scope
    }

    /// The device, as it spelled itself.
    #[must_use]
    pub const fn registration(&self) -> &RegistrationId {
        &self.registration
    }

    /// Where it calls from.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The proof.
    #[must_use]
    pub const fn attested(&self) -> &Attested {
        &self.attested
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({} {})", self.scope, self.registration)
    }
}
