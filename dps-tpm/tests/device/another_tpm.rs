//! A service that is nothing but another TPM: it makes credentials and duplicates with its own commands, so
//! that no code of ours has a part in what the device is given.

use dps_tpm::simulator::Simulator;
use tss_esapi::Context;
use tss_esapi::attributes::ObjectAttributes;
use tss_esapi::constants::{CommandCode, SessionType};
use tss_esapi::handles::{KeyHandle, ObjectHandle, SessionHandle};
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::resource_handles::Hierarchy;
use tss_esapi::interface_types::session_handles::{AuthSession, PolicySession};
use tss_esapi::structures::{
    Data, Digest, KeyedHashScheme, Public, PublicBuilder, PublicKeyedHashParameters, SensitiveData,
    SymmetricDefinition, SymmetricDefinitionObject,
};
use tss_esapi::traits::{Marshall, UnMarshall};

/// PolicyCommandCode(TPM2_Duplicate) and nothing else.
const MAY_BE_DUPLICATED: [u8; 32] = [
    0xbe, 0xf5, 0x6b, 0x8c, 0x1c, 0xc8, 0x4e, 0x11, 0xed, 0xd7, 0x17, 0x52, 0x8d, 0x2c, 0xd9, 0x93,
    0x56, 0xbd, 0x2b, 0xbf, 0x8f, 0x01, 0x52, 0x09, 0xc3, 0xf8, 0x4a, 0xee, 0xab, 0xa8, 0xe8, 0xa2,
];

pub struct AnotherTpm {
    context: Context,
    _simulator: Simulator,
}

impl AnotherTpm {
    pub fn new() -> Self {
        let simulator = Simulator::start().unwrap();
        let context = Context::new(simulator.name().parse().unwrap()).unwrap();
        Self {
            context,
            _simulator: simulator,
        }
    }

    /// `key`, wrapped for the TPM with these two keys.
    pub fn wrap(&mut self, endorsement: &[u8], storage: &[u8], key: &[u8]) -> Vec<u8> {
        let inner = [7; 16];
        let context = &mut self.context;
        let endorsement = loaded(context, endorsement);
        let storage = loaded(context, storage);
        let name = context.tr_get_name(storage.into()).unwrap();
        let (credential, credential_seed) = context
            .make_credential(endorsement, Digest::try_from(&inner[..]).unwrap(), name)
            .unwrap();
        let identity = context.execute_with_session(Some(AuthSession::Password), |context| {
            let secret = SensitiveData::try_from(key).unwrap();
            context
                .create_primary(
                    Hierarchy::Owner,
                    signing_key(),
                    None,
                    Some(secret),
                    None,
                    None,
                )
                .unwrap()
        });
        let session = context
            .start_auth_session(
                None,
                None,
                None,
                SessionType::Policy,
                SymmetricDefinition::AES_128_CFB,
                HashingAlgorithm::Sha256,
            )
            .unwrap();
        let policy = PolicySession::try_from(session.unwrap()).unwrap();
        context
            .policy_command_code(policy, CommandCode::Duplicate)
            .unwrap();
        let (_, duplicate, duplicate_seed) = context.execute_with_session(session, |context| {
            context
                .duplicate(
                    identity.key_handle.into(),
                    storage.into(),
                    Some(Data::try_from(&inner[..]).unwrap()),
                    SymmetricDefinitionObject::AES_128_CFB,
                )
                .unwrap()
        });
        let session = SessionHandle::from(session.unwrap());
        for object in [endorsement, storage, identity.key_handle].map(ObjectHandle::from) {
            context.flush_context(object).unwrap();
        }
        context.flush_context(session.into()).unwrap();
        let parts: [&[u8]; 6] = [
            &credential,
            &credential_seed,
            &duplicate,
            &duplicate_seed,
            &identity.out_public.marshall().unwrap(),
            b"some data",
        ];
        parts.into_iter().flat_map(sized).collect()
    }
}

/// A part of what is sent, with its length.
pub fn sized(part: &[u8]) -> Vec<u8> {
    let size = u16::try_from(part.len()).unwrap();
    [&size.to_be_bytes(), part].concat()
}

fn loaded(context: &mut Context, public: &[u8]) -> KeyHandle {
    let public = Public::unmarshall(&public[2..]).unwrap();
    context
        .load_external_public(public, Hierarchy::Owner)
        .unwrap()
}

fn signing_key() -> Public {
    let attributes = ObjectAttributes::builder()
        .with_sign_encrypt(true)
        .with_user_with_auth(true)
        .with_no_da(true)
        .build()
        .unwrap();
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::KeyedHash)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_auth_policy(Digest::try_from(&MAY_BE_DUPLICATED[..]).unwrap())
        .with_keyed_hash_parameters(PublicKeyedHashParameters::new(
            KeyedHashScheme::HMAC_SHA_256,
        ))
        .with_keyed_hash_unique_identifier(Digest::default())
        .build()
        .unwrap()
}
