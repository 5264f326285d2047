//! Devices that prove themselves with a TPM.

mod asked;
mod hub_key;
mod remembered;
mod signed;

use dps_core::api::{Authentication, Transport};
use dps_core::error::Reason;
use dps_core::id::{OperationId, SecretBytes};
use dps_core::tpm::TpmKeys;
use dps_testkit::sas;
use dps_testkit::tpm::{Kind, SoftTpm};

use crate::common::*;

/// A device with a TPM.
struct Press {
    id: String,
    tpm: SoftTpm,
    transport: Transport,
}

impl Press {
    fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            // Quickly made; that RSA is the same to the service, other tests say.
            tpm: SoftTpm::new(Kind::Ecc),
            transport: Transport::Http,
        }
    }

    fn over_amqp(mut self) -> Self {
        self.transport = Transport::Amqp;
        self
    }

    fn keys(&self) -> TpmKeys {
        self.tpm.keys()
    }

    fn with(&self, token: Option<String>) -> Device {
        Device::with_tpm(&self.id, self.keys(), token).over(self.transport)
    }

    /// Shows its keys, and nothing more.
    fn unsigned(&self) -> Device {
        self.with(None)
    }

    /// Is challenged, and signs.
    fn signed(&self, world: &World) -> Device {
        self.with(Some(self.token(world)))
    }

    /// The same, and does not show its keys again.
    fn only_signed(&self, world: &World) -> Device {
        Device::with_token(&self.id, self.token(world))
    }

    fn token(&self, world: &World) -> String {
        let key = self.tpm.open(&challenge(world, &self.unsigned())).unwrap();
        assert_eq!(
            key.resource,
            format!("{SCOPE}/registrations/{}", self.id),
            "what is signed for is said"
        );
        sign(world, &key.key, &self.id)
    }
}

fn sign(world: &World, key: &SecretBytes, id: &str) -> String {
    let now = dps_core::time::Clock::now(&world.clock);
    sas::token(key, SCOPE, id, now.plus(HOUR))
}

fn challenge(world: &World, device: &Device) -> Vec<u8> {
    match world.authenticate_for(device, None) {
        Authentication::Challenge { authentication_key } => authentication_key,
        other => panic!("{other:?}"),
    }
}

/// Whether a device is refused as everybody is.
fn is_refused(world: &World, device: &Device) -> bool {
    let Authentication::Denied(error) = world.authenticate_for(device, None) else {
        return false;
    };
    let nobody = world.denied(&Device::with_key("nobody", &key(1)));
    error.reason() == Reason::Unauthorized && error.message() == nobody.message()
}

/// A device that is enrolled for hub A.
fn enrolled(world: &World) -> Press {
    let press = Press::new("press-1");
    world.put(&individual("press-1", tpm(&press.keys())).to(&[A]));
    press
}

fn polled(world: &World, device: &Device, operation: &OperationId) -> Vec<u8> {
    blob(&world.poll(device, operation))
}

/// The hub key that a device was told.
fn blob(told: &Told) -> Vec<u8> {
    let blob = told.state().extras.tpm.as_ref();
    blob.expect("a device with a TPM is told its key").to_vec()
}
