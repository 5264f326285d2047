//! A TPM with the two keys that attestation needs, and the third that is imported.

use tss_esapi::Context;
use tss_esapi::Error as Tss;
use tss_esapi::constants::{CapabilityType, SessionType};
use tss_esapi::constants::{Tss2ResponseCode as Code, Tss2ResponseCodeKind as Kind};
use tss_esapi::handles::{
    AuthHandle, KeyHandle, ObjectHandle, PersistentTpmHandle, SessionHandle, TpmHandle,
};
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::dynamic_handles::Persistent;
use tss_esapi::interface_types::resource_handles::{Hierarchy, Provision};
use tss_esapi::interface_types::session_handles::{AuthSession, PolicySession};
use tss_esapi::structures::{
    CapabilityData, Data, Digest, MaxBuffer, Nonce, Public, SymmetricDefinition,
    SymmetricDefinitionObject,
};
use tss_esapi::tcti_ldr::TctiNameConf;
use tss_esapi::traits::Marshall;

use crate::blob::Blob;
use crate::error::Error;
use crate::templates::Keys;

// Where the keys stay. The first two are of TCG TPM v2.0 Provisioning Guidance, 7.8; the third is where
// device SDKs keep theirs: azure-iot-sdk-c, provisioning_client/adapters/hsm_client_tpm.c.
const ENDORSEMENT: u32 = 0x8101_0001;
const STORAGE: u32 = 0x8100_0001;
const IDENTITY: u32 = 0x8100_0100;

/// A TPM 2.0, with the keys it attests itself by.
///
/// Its commands run on the calling thread. A simulator takes milliseconds for one, hardware up to a second,
/// and for making an RSA key several.
#[derive(Debug)]
pub struct Tpm {
    context: Context,
    endorsement: Key,
    storage: Key,
    /// What was activated last.
    identity: Option<ObjectHandle>,
}

/// A key that stays in the TPM.
#[derive(Debug)]
struct Key {
    handle: KeyHandle,
    public: Public,
}

impl Tpm {
    /// Opens a TPM; makes its endorsement key and storage root key where they are not yet.
    ///
    /// * `name`: which, as TPM software names it: `device:/dev/tpmrm0`, `swtpm:host=127.0.0.1,port=2321`,
    ///   `mssim:…`, `tabrmd:…`.
    /// * `keys`: what to make. A key that is there is used as it is.
    ///
    /// The keys stay in the TPM, at the places that TPM software agrees on: 0x81010001 and 0x81000001. Owner
    /// and endorsement hierarchy must have no password.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Open`], and [`Error::Command`] if it refuses to make a key.
    pub fn open(name: &str, keys: Keys) -> Result<Self, Error> {
        let which: TctiNameConf = name.parse().map_err(|_| Error::Name(name.to_owned()))?;
        let mut context = Context::new(which).map_err(|source| Error::Open {
            name: name.to_owned(),
            source,
        })?;
        let endorsement = endorsement_key(&mut context, keys)?;
        let storage = storage_root_key(&mut context, keys)?;
        let identity = if is_held(&mut context, IDENTITY)? {
            Some(found(&mut context, IDENTITY)?)
        } else {
            None
        };
        Ok(Self {
            context,
            endorsement,
            storage,
            identity,
        })
    }

    /// The public part of the endorsement key, which is who this TPM is: a `TPM2B_PUBLIC`, to be enrolled.
    ///
    /// # Errors
    /// Its structure cannot be written; not with keys that this crate makes.
    pub fn endorsement_key(&self) -> Result<Vec<u8>, Error> {
        self.endorsement.marshalled()
    }

    /// The public part of the storage root key: a `TPM2B_PUBLIC`. Another one after the TPM was cleared.
    ///
    /// # Errors
    /// Its structure cannot be written; not with keys that this crate makes.
    pub fn storage_root_key(&self) -> Result<Vec<u8>, Error> {
        self.storage.marshalled()
    }

    /// Takes in the key that the service has wrapped for this TPM, to sign with from now on. It stays in the
    /// TPM, at 0x81000100, in the place of the one before.
    ///
    /// * `blob`: what the service sent, decoded from base64 if it came so.
    ///
    /// # Errors
    /// [`Error::Blob`] before the TPM is asked; [`Error::NotForThisTpm`] and [`Error::Command`]. The key from
    /// before is still there, unless the TPM fails in the last of five steps.
    pub fn activate(&mut self, blob: &[u8]) -> Result<(), Error> {
        let blob = Blob::parse(blob)?;
        let inner = self.open_credential(&blob)?;
        let (storage, identity) = (self.storage.handle, &mut self.identity);
        with_password(&mut self.context, |context| {
            let private = context
                .import(
                    storage.into(),
                    Some(inner),
                    blob.public.clone(),
                    blob.duplicate,
                    blob.duplicate_seed,
                    SymmetricDefinitionObject::AES_128_CFB,
                )
                .map_err(foreign("import the key"))?;
            let key = context
                .load(storage, private, blob.public)
                .map_err(foreign("load the key"))?;
            let kept =
                evict(context, identity.take()).and_then(|()| keep(context, key.into(), IDENTITY));
            flush(context, key.into())?;
            *identity = Some(kept?);
            Ok(())
        })
    }

    /// Signs with the key that was activated last: HMAC-SHA256, made within the TPM.
    ///
    /// * `data`: at most 1024 bytes.
    ///
    /// # Errors
    /// [`Error::NoKey`], [`Error::TooLong`], [`Error::Command`].
    pub fn sign(&mut self, data: &[u8]) -> Result<[u8; 32], Error> {
        let bytes = data.len();
        let data = MaxBuffer::try_from(data).map_err(|_| Error::TooLong { bytes })?;
        let key = self.identity.ok_or(Error::NoKey)?;
        with_password(&mut self.context, |context| {
            context
                .hmac(key, data, HashingAlgorithm::Sha256)
                .and_then(<[u8; 32]>::try_from)
                .map_err(refused("sign"))
        })
    }

    /// Clears the TPM: whatever its owner had in it is gone, this crate's keys too. The endorsement key comes
    /// back as it was, the storage root key does not.
    ///
    /// * `keys`: what to make anew.
    ///
    /// # Errors
    /// [`Error::Command`]: it has a lockout password, or clearing is disabled. It must be opened again then.
    pub fn clear(&mut self, keys: Keys) -> Result<(), Error> {
        with_password(&mut self.context, |context| {
            context.clear(AuthHandle::Lockout)
        })
        .map_err(refused("clear itself"))?;
        self.identity = None;
        self.endorsement = endorsement_key(&mut self.context, keys)?;
        self.storage = storage_root_key(&mut self.context, keys)?;
        Ok(())
    }

    /// The key of the inner wrap, which proves to the service that both keys are in this TPM.
    fn open_credential(&mut self, blob: &Blob) -> Result<Data, Error> {
        let context = &mut self.context;
        let session = context
            .execute_without_session(|context| {
                context.start_auth_session(
                    None,
                    None,
                    None,
                    SessionType::Policy,
                    SymmetricDefinition::AES_128_CFB,
                    HashingAlgorithm::Sha256,
                )
            })
            .map_err(refused("begin a session"))?;
        let (storage, endorsement) = (self.storage.handle, self.endorsement.handle);
        let session = session.expect("a session that began has a handle");
        let result = satisfy(context, session).and_then(|()| {
            // The storage root key asks for its password, which is empty; the endorsement key for its policy.
            let sessions = (Some(AuthSession::Password), Some(session), None);
            context.execute_with_sessions(sessions, |context| {
                let (credential, seed) = (blob.credential.clone(), blob.credential_seed.clone());
                context
                    .activate_credential(storage, endorsement, credential, seed)
                    .map_err(foreign("open the credential"))
            })
        });
        flush(context, SessionHandle::from(session).into())?;
        Data::try_from(result?.to_vec()).map_err(refused("open the credential"))
    }
}

impl Key {
    fn marshalled(&self) -> Result<Vec<u8>, Error> {
        let area = self
            .public
            .marshall()
            .map_err(refused("show its public key"))?;
        let size = u16::try_from(area.len()).expect("a public area has some hundred bytes");
        Ok([&size.to_be_bytes(), area.as_slice()].concat())
    }
}

fn endorsement_key(context: &mut Context, keys: Keys) -> Result<Key, Error> {
    let template = keys.endorsement.endorsement();
    key(context, ENDORSEMENT, Hierarchy::Endorsement, template)
}

fn storage_root_key(context: &mut Context, keys: Keys) -> Result<Key, Error> {
    let template = keys.storage.storage();
    key(context, STORAGE, Hierarchy::Owner, template)
}

/// The key at a place of the TPM, made by `template` if there is none.
fn key(
    context: &mut Context,
    place: u32,
    hierarchy: Hierarchy,
    template: Result<Public, Tss>,
) -> Result<Key, Error> {
    let handle = if is_held(context, place)? {
        found(context, place)?
    } else {
        with_password(context, |context| {
            let made = template
                .and_then(|template| {
                    context.create_primary(hierarchy, template, None, None, None, None)
                })
                .map_err(refused("make a key"))?;
            let kept = keep(context, made.key_handle.into(), place);
            flush(context, made.key_handle.into())?;
            kept
        })?
    };
    let handle = KeyHandle::from(handle);
    let (public, ..) = context
        .execute_without_session(|context| context.read_public(handle))
        .map_err(refused("show its public key"))?;
    Ok(Key { handle, public })
}

/// Whether something is held at a place of the TPM.
fn is_held(context: &mut Context, place: u32) -> Result<bool, Error> {
    context
        .execute_without_session(|context| {
            // Handles in ascending order, from this one on.
            let (first, _) = context.get_capability(CapabilityType::Handles, place, 1)?;
            let place = TpmHandle::Persistent(PersistentTpmHandle::new(place)?);
            Ok(matches!(first, CapabilityData::Handles(found) if found.contains(&place)))
        })
        .map_err(refused("say what it holds"))
}

/// What is held at a place of the TPM. Ask once only: the software stack remembers what was there, until
/// tpm2-tss 3.2.3 also what it was asked to evict itself, and refuses to find something else.
fn found(context: &mut Context, place: u32) -> Result<ObjectHandle, Error> {
    context
        .execute_without_session(|context| {
            let place = PersistentTpmHandle::new(place)?;
            context.tr_from_tpm_public(TpmHandle::Persistent(place))
        })
        .map_err(refused("show what it holds"))
}

/// Keeps an object at a place of the TPM; or evicts it, if it is the one that is kept there.
fn keep(context: &mut Context, object: ObjectHandle, place: u32) -> Result<ObjectHandle, Error> {
    PersistentTpmHandle::new(place)
        .and_then(|place| {
            context.evict_control(Provision::Owner, object, Persistent::Persistent(place))
        })
        .map_err(refused("keep a key"))
}

/// Makes room for another key to sign with.
///
/// * `known`: the one that is there, as far as this program knows.
fn evict(context: &mut Context, known: Option<ObjectHandle>) -> Result<(), Error> {
    if !is_held(context, IDENTITY)? {
        return Ok(());
    }
    let known = match known {
        Some(known) => known,
        None => found(context, IDENTITY)?,
    };
    keep(context, known, IDENTITY).map(drop)
}

/// Fulfils the policy of endorsement keys: to know the password of their hierarchy, which is empty.
fn satisfy(context: &mut Context, session: AuthSession) -> Result<(), Error> {
    with_password(context, |context| {
        let session = PolicySession::try_from(session)?;
        let nothing = (Nonce::default(), Digest::default(), Nonce::default());
        context.policy_secret(
            session,
            AuthHandle::Endorsement,
            nothing.0,
            nothing.1,
            nothing.2,
            None,
        )
    })
    .map(drop)
    .map_err(refused("open its endorsement hierarchy"))
}

/// Runs commands that ask for a password: the empty one.
fn with_password<T>(context: &mut Context, commands: impl FnOnce(&mut Context) -> T) -> T {
    context.execute_with_session(Some(AuthSession::Password), commands)
}

fn flush(context: &mut Context, object: ObjectHandle) -> Result<(), Error> {
    context
        .flush_context(object)
        .map_err(refused("forget what it has no more use for"))
}

fn refused(wanted: &'static str) -> impl FnOnce(Tss) -> Error {
    move |source| Error::Command { wanted, source }
}

/// What a TPM says to what was wrapped for other keys depends on where it notices; but it is always about
/// what it was given (response codes of format one), and never about passwords.
fn foreign(wanted: &'static str) -> impl FnOnce(Tss) -> Error {
    move |source| match source {
        Tss::Tss2Error(code) => match (code, code.kind()) {
            (_, Some(Kind::AuthFail | Kind::BadAuth | Kind::PolicyFail)) => {
                Error::Command { wanted, source }
            }
            // libtpms says "failure" where OpenSSL cannot decrypt.
            (Code::FormatOne(_), _) | (_, Some(Kind::Failure)) => Error::NotForThisTpm(source),
            _ => Error::Command { wanted, source },
        },
        Tss::WrapperError(_) => Error::Command { wanted, source },
    }
}
