//! Who the device is: by SASL, or by its first link.

use std::sync::Arc;

use dps_core::attest::Evidence;
use dps_core::error::{Reason, ServiceError};
use dps_core::id::ApiVersion;

use super::{Session, Standing};
use crate::address::Name;
use crate::codec::{Map, SaslCode, Value};
use crate::engine::{Event, LinkId};
use crate::sasl::Step;

/// The property of a link that says the version of its requests (`amqp.ts` of Node.js,
/// `prov_transport_amqp_common.c` of C).
const API_VERSION: &str = "com.microsoft:api-version";

impl Session<'_> {
    pub(super) fn handle(&mut self, event: Event<'_>) {
        match event {
            Event::SaslInit {
                mechanism,
                response,
            } => {
                self.mechanism = self.offer.choose(mechanism);
                let step = self
                    .mechanism
                    .as_mut()
                    .map(|chosen| chosen.respond(response));
                self.step(step.unwrap_or(Step::Outcome(SaslCode::Auth)));
            }
            Event::SaslResponse(response) => {
                let step = self
                    .mechanism
                    .as_mut()
                    .map(|chosen| chosen.respond(Some(response)));
                self.step(step.unwrap_or(Step::Outcome(SaslCode::Auth)));
            }
            Event::Attach {
                link,
                address,
                properties,
            } => self.attach(link, address, properties),
            Event::Message { delivery, bytes } => self.request(delivery, &bytes),
        }
    }

    pub(super) fn step(&mut self, step: Step) {
        match step {
            Step::Challenge(challenge) => self.engine.challenge(&challenge),
            Step::Authenticate(name, evidence) => {
                self.standing = Standing::Unjudged(name, evidence, None);
            }
            Step::Outcome(code) => {
                self.mechanism = None;
                if code != SaslCode::Ok {
                    self.standing = Standing::Denied;
                }
                self.engine.outcome(code);
            }
        }
    }

    /// A device wants a link. It says by its address who it is, and may be no other than the one that
    /// was proven.
    fn attach(&mut self, link: LinkId, address: Option<&str>, properties: Map<'_>) {
        let version = version(properties);
        let name = address.and_then(Name::of_address);
        match (&self.standing, name) {
            (Standing::Unknown, Some(name)) => {
                let chain = Arc::clone(&self.peer.chain);
                let evidence = (!chain.is_empty()).then_some(Evidence::X509 { chain });
                self.standing = Standing::Unjudged(name, evidence, Some((link, version)));
            }
            (Standing::Proven(proven), Some(name)) if *proven == name => {
                self.agree(link, version);
            }
            (Standing::Unknown, None) => self.dismiss(link, &unauthorized()),
            _ => self.refuse(link, &unauthorized()),
        }
    }

    pub(super) fn agree(&mut self, link: LinkId, version: ApiVersion) {
        self.versions.retain(|(link, _)| self.engine.has(*link));
        self.engine.accept(link);
        self.versions.reserve_exact(1);
        self.versions.push((link, version));
    }

    /// Ends a link.
    fn refuse(&mut self, link: LinkId, error: &ServiceError) {
        self.with_error(error, |engine, error| engine.refuse(link, error));
    }

    /// Ends the link of a device that is not believed, and its connection with it.
    pub(super) fn dismiss(&mut self, link: LinkId, error: &ServiceError) {
        self.standing = Standing::Denied;
        self.with_error(error, |engine, error| {
            engine.refuse(link, error);
            engine.close(Some(error.clone()));
        });
    }
}

/// No version, or one that cannot be one, means the usual version: nothing that matters depends on it.
fn version(properties: Map<'_>) -> ApiVersion {
    let version = match properties.get(API_VERSION) {
        Some(Value::String(text) | Value::Symbol(text)) => ApiVersion::parse(text).ok(),
        _ => None,
    };
    version.unwrap_or_else(ApiVersion::usual)
}

pub(super) fn unauthorized() -> ServiceError {
    ServiceError::new(Reason::Unauthorized)
}
