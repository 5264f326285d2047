//! Devices, and what they prove themselves with.

use std::net::IpAddr;

use dps_core::access::Ingress;
use dps_core::api::{DeviceHello, Origin, Transport};
use dps_core::attest::{Evidence, derive_device_key};
use dps_core::id::{ApiVersion, OperationId, RegistrationId, SecretBytes};
use dps_core::time::Timestamp;
use dps_core::tpm::TpmKeys;
use dps_testkit::certs::Identity;
use dps_testkit::sas;
use serde_json::Value;

use super::{HOUR, SCOPE, scope};

/// A device and what it proves itself with.
#[derive(Clone, Debug)]
pub struct Device {
    pub id: String,
    pub scope: String,
    pub proof: Proof,
    pub version: ApiVersion,
    pub payload: Option<Value>,
    pub transport: Transport,
    pub address: IpAddr,
    pub ingress: Ingress,
}

#[derive(Clone, Debug)]
pub enum Proof {
    /// Signs a new token for each request, good for an hour.
    Key(SecretBytes),
    Token(String),
    Chain(Vec<rustls_pki_types::CertificateDer<'static>>),
    /// Keys of a TPM, and what it has signed.
    Tpm(TpmKeys, Option<String>),
    Nothing,
}

impl Device {
    fn new(id: &str, proof: Proof) -> Self {
        Self {
            id: id.to_owned(),
            scope: SCOPE.to_owned(),
            proof,
            version: ApiVersion::usual(),
            payload: None,
            transport: Transport::Http,
            address: IpAddr::from([192, 0, 2, 7]),
            ingress: Ingress::Public,
        }
    }

    pub fn with_key(id: &str, key: &SecretBytes) -> Self {
        Self::new(id, Proof::Key(key.clone()))
    }

    /// Of a group with this key.
    pub fn derived(id: &str, group: &SecretBytes) -> Self {
        Self::new(id, Proof::Key(derive_device_key(group, id)))
    }

    pub fn with_token(id: &str, token: String) -> Self {
        Self::new(id, Proof::Token(token))
    }

    /// Shows its certificate and the issuers below the root.
    pub fn with_identity(id: &str, identity: &Identity) -> Self {
        Self::new(id, Proof::Chain(identity.chain_der().to_vec()))
    }

    pub fn with_chain(id: &str, chain: &[rustls_pki_types::CertificateDer<'static>]) -> Self {
        Self::new(id, Proof::Chain(chain.to_vec()))
    }

    pub fn with_tpm(id: &str, keys: TpmKeys, token: Option<String>) -> Self {
        Self::new(id, Proof::Tpm(keys, token))
    }

    pub fn empty_handed(id: &str) -> Self {
        Self::new(id, Proof::Nothing)
    }

    /// Its sessions are connections.
    pub fn over_mqtt(self) -> Self {
        self.over(Transport::Mqtt)
    }

    pub fn over(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    pub fn calling_from(mut self, address: &str) -> Self {
        self.address = address.parse().unwrap();
        self
    }

    pub fn at_endpoint(mut self, name: &str) -> Self {
        self.ingress = Ingress::Private(name.into());
        self
    }

    pub fn speaking(mut self, version: &str) -> Self {
        self.version = ApiVersion::parse(version).unwrap();
        self
    }

    pub fn of_scope(mut self, scope: &str) -> Self {
        self.scope = scope.to_owned();
        self
    }

    pub fn hello(&self, now: Timestamp, operation: Option<&OperationId>) -> DeviceHello {
        let evidence = match &self.proof {
            Proof::Key(key) => Some(Evidence::Sas {
                token: sas::token(key, &self.scope, &self.id, now.plus(HOUR)),
            }),
            Proof::Token(token) => Some(Evidence::Sas {
                token: token.clone(),
            }),
            Proof::Chain(chain) => Some(Evidence::X509 {
                chain: chain.clone().into(),
            }),
            Proof::Tpm(keys, token) => Some(Evidence::Tpm {
                keys: keys.clone(),
                token: token.clone(),
            }),
            Proof::Nothing => None,
        };
        DeviceHello {
            scope: scope(&self.scope),
            registration: RegistrationId::parse(&self.id).unwrap(),
            evidence,
            operation: operation.cloned(),
            origin: Origin {
                address: self.address,
                ingress: self.ingress.clone(),
                transport: self.transport,
            },
        }
    }
}
