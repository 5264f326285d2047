//! Putting a service together.

use std::sync::{Arc, RwLock};

use super::{Parts, Provisioner};
use crate::allocate::{AllocationHook, LatencyOracle};
use crate::attest::{AttestationVerifier, Mechanisms};
use crate::crypto::Crypto;
use crate::event::{EventSink, NoEvents};
use crate::hub::HubLinker;
use crate::tenant::TenantResolver;
use crate::time::{Clock, SystemClock};

/// Puts a [`Provisioner`] together.
#[derive(Debug)]
#[must_use = "call build"]
pub struct ProvisionerBuilder {
    tenants: Arc<dyn TenantResolver>,
    linker: Arc<dyn HubLinker>,
    hook: Option<Arc<dyn AllocationHook>>,
    latency: Option<Arc<dyn LatencyOracle>>,
    verifier: Arc<dyn AttestationVerifier>,
    clock: Arc<dyn Clock>,
    events: Arc<dyn EventSink>,
    crypto: Option<Crypto>,
}

/// Parts do not make a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The crate was built without a cryptographic provider, and none was given.
    #[error("no cryptographic provider: call `crypto`, or build dps-core with `aws-lc` or `ring`")]
    NoCrypto,
}

impl ProvisionerBuilder {
    /// Asks `hook` where the policy is custom. Default: none, and such registrations fail.
    pub fn hook(mut self, hook: Arc<dyn AllocationHook>) -> Self {
        self.hook = Some(hook);
        self
    }

    /// Asks `oracle` where the policy is the lowest latency. Default: none, and weights decide.
    pub fn latency(mut self, oracle: Arc<dyn LatencyOracle>) -> Self {
        self.latency = Some(oracle);
        self
    }

    /// Judges evidence with `verifier`. Default: [`Mechanisms`].
    pub fn verifier(mut self, verifier: Arc<dyn AttestationVerifier>) -> Self {
        self.verifier = verifier;
        self
    }

    /// Takes the time from `clock`. Default: [`SystemClock`].
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Tells `events` what happens. Default: nobody is told.
    pub fn events(mut self, events: Arc<dyn EventSink>) -> Self {
        self.events = events;
        self
    }

    /// Uses these primitives. Default: AWS-LC, else ring, as the crate was built.
    pub fn crypto(mut self, crypto: Crypto) -> Self {
        self.crypto = Some(crypto);
        self
    }

    /// Checks the whole.
    ///
    /// # Errors
    /// [`ConfigError`] names what is missing.
    pub fn build(self) -> Result<Provisioner, ConfigError> {
        Ok(Provisioner {
            parts: Arc::new(Parts {
                tenants: self.tenants,
                linker: self.linker,
                hook: self.hook,
                latency: self.latency,
                verifier: self.verifier,
                clock: self.clock,
                events: self.events,
                crypto: self
                    .crypto
                    .or_else(Crypto::built_in)
                    .ok_or(ConfigError::NoCrypto)?,
                snapshots: RwLock::default(),
                counts: RwLock::default(),
            }),
        })
    }
}

impl Provisioner {
    /// Begins with what has no default: who the tenants are, and how hubs are reached.
    pub fn builder(
        tenants: Arc<dyn TenantResolver>,
        linker: Arc<dyn HubLinker>,
    ) -> ProvisionerBuilder {
        ProvisionerBuilder {
            tenants,
            linker,
            hook: None,
            latency: None,
            verifier: Arc::new(Mechanisms::default()),
            clock: Arc::new(SystemClock),
            events: Arc::new(NoEvents),
            crypto: None,
        }
    }
}
