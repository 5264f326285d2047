//! Finding out whether a caller is who it says. Writes nothing.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use sha2::{Digest, Sha256};

use super::challenge::Unsigned;
use super::{Parts, Proven, View, broken, device_reads, entry};
use crate::access::Endpoint;
use crate::api::{Authentication, DeviceHello};
use crate::attest::{AttestError, AttestRequest, Attested, Evidence, MAX_CHAIN, SignIn, Verdict};
use crate::certificate::Certificate;
use crate::enrollment::{Attestation, Enrollment};
use crate::error::{Reason, ServiceError};
use crate::event::EventKind;
use crate::hub::DeviceAuth;
use crate::id::{GroupId, TrackingId};
use crate::matching::{self, Issuers};
use crate::record::{DeviceKeys, decode_registration};
use crate::registration::{Mechanism, Owner};
use crate::session::Session;
use crate::snapshot::{self, Snapshot};
use crate::store::{Expect, StoreError, Versioned};
use crate::tenant::TenantName;
use crate::time::Timestamp;
use crate::tpm::PublicKey;
use crate::trace::{Step, Trace};

/// An enrollment that may answer for the caller.
struct Candidate {
    group: Option<GroupId>,
    enrollment: Arc<Enrollment>,
    expect: Expect,
}

/// What became of the candidates.
enum Judged {
    Believed {
        candidate: Candidate,
        attested: Attested,
        stale: bool,
    },
    Challenge(Vec<u8>),
    Nobody,
}

impl Parts {
    pub(super) async fn authenticate(&self, hello: &DeviceHello) -> Authentication {
        let now = self.clock.now();
        // Drawn at once, because each draw costs as much as a whole HMAC.
        let Ok(random) = self.crypto.random::<40>() else {
            return Authentication::Denied(ServiceError::new(Reason::Internal));
        };
        let tracking = TrackingId::from_random(std::array::from_fn(|n| random[n]));
        let fresh = std::array::from_fn(|n| random[16 + n]);
        let mut trace = Trace::default();
        let identified = self.identify(hello, now, tracking, fresh, &mut trace).await;
        let origin = || hello.origin.clone();
        let kind = match &identified {
            Ok(None) => Some(EventKind::Refused { origin: origin() }),
            Ok(Some(Authentication::Challenge { .. })) => {
                Some(EventKind::Challenged { origin: origin() })
            }
            _ => None,
        };
        if let Some(kind) = kind {
            let (scope, registration) = (&hello.scope, &hello.registration);
            self.emit(now, scope, registration, tracking, kind, Arc::new(trace));
        }
        match identified {
            Ok(Some(authentication)) => authentication,
            // One answer for every cause: nobody learns what is enrolled.
            Ok(None) => Authentication::Denied(
                ServiceError::new(Reason::Unauthorized).with_tracking(tracking),
            ),
            Err(error) => Authentication::Denied(error),
        }
    }

    /// `None` if the caller is not believed; `trace` says why.
    async fn identify(
        &self,
        hello: &DeviceHello,
        now: Timestamp,
        tracking: TrackingId,
        fresh: [u8; 24],
        trace: &mut Trace,
    ) -> Result<Option<Authentication>, ServiceError> {
        let Some(evidence) = &hello.evidence else {
            trace.push(Step::NoEvidence);
            return Ok(None);
        };
        let resolved = self.tenants.resolve(TenantName::Scope(&hello.scope)).await;
        let tenant = resolved
            .map_err(|error| broken(&StoreError::Unavailable(Box::new(error)), tracking))?;
        let Some(tenant) = tenant else {
            trace.push(Step::NoSuchScope);
            return Ok(None);
        };
        let keys = DeviceKeys::new(&tenant.scope, &hello.registration);
        let broken = |error: StoreError| broken(&error, tracking);
        let read = tenant
            .store()
            .get_many(&device_reads(&keys))
            .await
            .map_err(broken)?;
        let mut read = read.into_iter();
        let (stored, record, epoch) = (read.next().flatten(), read.next().flatten(), read.next());
        let snapshot = match epoch.flatten() {
            Some(epoch) => self
                .snapshot(&tenant, epoch.version)
                .await
                .map_err(broken)?,
            None => None,
        };
        let Some(snapshot) = snapshot else {
            trace.push(Step::NoSuchScope);
            return Ok(None);
        };
        let (access, origin) = (&snapshot.instance.access, &hello.origin);
        if let Some(rejection) = access.rejection(origin.address, &origin.ingress, Endpoint::Device)
        {
            trace.push(rejection.into());
            return Ok(None);
        }

        if let Evidence::Tpm {
            keys: shown,
            token: None,
        } = evidence
        {
            let unsigned = Unsigned {
                hello,
                shown,
                tenant: &tenant,
                keys: &keys,
                snapshot: &snapshot,
                stored: stored.as_ref(),
                record: record.as_ref(),
            };
            let challenge = self.challenge(&unsigned, now, trace).await;
            return Ok(challenge
                .map_err(broken)?
                .map(|authentication_key| Authentication::Challenge { authentication_key }));
        }
        let chain = match parse_chain(evidence, &snapshot) {
            Ok(chain) => chain,
            Err(because) => {
                trace.push(Step::BadChain {
                    because: because.into(),
                });
                return Ok(None);
            }
        };
        let candidates = candidates(&snapshot, stored, evidence, &chain, trace).map_err(broken)?;
        let asks_tpm = candidates
            .iter()
            .any(|one| matches!(one.enrollment.attestation, Attestation::Tpm { .. }));
        let shown_before = asks_tpm && hello.origin.transport.proves_each_request();
        let remembered = match evidence {
            Evidence::Sas { .. } if shown_before => self
                .remembered(&tenant, &keys, record.as_ref())
                .await
                .map_err(broken)?,
            _ => Vec::new(),
        };
        let judge = Judge {
            parts: self,
            hello,
            evidence,
            chain: &chain,
            snapshot: &snapshot,
            remembered: &remembered,
            now,
        };
        let (candidate, attested, stale) = match judge
            .ask(candidates, record.as_ref(), trace)
            .map_err(broken)?
        {
            Judged::Believed {
                candidate,
                attested,
                stale,
            } => (candidate, attested, stale),
            Judged::Challenge(authentication_key) => {
                return Ok(Some(Authentication::Challenge { authentication_key }));
            }
            Judged::Nobody => return Ok(None),
        };
        let (by, what) = match (&candidate.enrollment.attestation, evidence) {
            (Attestation::Tpm { .. }, _) => (Mechanism::Tpm, "TPM"),
            (_, Evidence::X509 { .. }) => (Mechanism::X509, "certificate"),
            _ => (Mechanism::SymmetricKey, "key"),
        };
        trace.push(Step::Believed {
            entry: entry(candidate.group.as_ref()),
            by: what.into(),
        });
        if !candidate.enrollment.enabled {
            trace.push(Step::EntryDisabled {
                entry: entry(candidate.group.as_ref()),
            });
        }
        let mut session = Session::assertion(hello, attested);
        let issuers =
            (by == Mechanism::X509 && candidate.group.is_some()).then(|| Issuers::above(&chain));
        session.proven = Some(Arc::new(Proven {
            issuers,
            asked: asked(candidate.group.as_ref(), session.attested().sign_in()),
            token: token_hash(evidence),
            only: hello.operation.clone().filter(|_| stale),
            owner: Owner {
                group: candidate.group,
                mechanism: by,
            },
            view: View {
                snapshot,
                enrollment: candidate.enrollment,
                expect: candidate.expect,
                record,
            },
            tenant,
            keys,
            at: now,
            used: AtomicBool::new(false),
            fresh,
            trace: Arc::new(std::mem::take(trace).kept()),
            tracking,
        }));
        Ok(Some(Authentication::Accepted(session)))
    }
}

/// One caller before its candidates.
struct Judge<'a> {
    parts: &'a Parts,
    hello: &'a DeviceHello,
    evidence: &'a Evidence,
    chain: &'a [Certificate],
    snapshot: &'a Snapshot,
    remembered: &'a [PublicKey],
    now: Timestamp,
}

impl Judge<'_> {
    fn ask(
        &self,
        candidates: Vec<Candidate>,
        record: Option<&Versioned>,
        trace: &mut Trace,
    ) -> Result<Judged, StoreError> {
        let names_one = matches!(self.evidence, Evidence::X509 { .. });
        for candidate in candidates {
            let mut verdict = self.verify(&candidate, self.now);
            let mut stale = false;
            if verdict.is_err()
                && let Some(began) = self.began_with_this_token(record)?
            {
                // Judged as of the moment the operation began with it.
                verdict = self.verify(&candidate, began);
                stale = true;
            }
            match verdict {
                Ok(Verdict::Attested(attested)) => {
                    return Ok(Judged::Believed {
                        candidate,
                        attested,
                        stale,
                    });
                }
                Ok(Verdict::Challenge { authentication_key }) => {
                    return Ok(Judged::Challenge(authentication_key));
                }
                // Every symmetric group is tried, so that one does not fit is no news.
                Err(AttestError::Mismatch { .. }) if candidate.group.is_some() && !names_one => {}
                Err(error) => trace.push(Step::NotBelieved {
                    entry: entry(candidate.group.as_ref()),
                    because: error.to_string().into(),
                }),
            }
        }
        if trace
            .steps()
            .last()
            .is_none_or(|step| matches!(step, Step::NoIndividual))
        {
            trace.push(Step::NoGroup);
        }
        Ok(Judged::Nobody)
    }

    fn verify(&self, candidate: &Candidate, now: Timestamp) -> Result<Verdict, AttestError> {
        self.parts.verifier.verify(&AttestRequest {
            scope: &self.hello.scope,
            registration: &self.hello.registration,
            evidence: self.evidence,
            chain: self.chain,
            attestation: &candidate.enrollment.attestation,
            group: candidate.group.is_some(),
            anchors: &self.snapshot.anchors,
            epoch: self.snapshot.epoch.0,
            nonce_key: self.snapshot.nonce_key.as_ref(),
            remembered: self.remembered,
            crypto: &self.parts.crypto,
            now,
        })
    }

    /// When the operation that is asked about began, if it began with this very token.
    fn began_with_this_token(
        &self,
        record: Option<&Versioned>,
    ) -> Result<Option<Timestamp>, StoreError> {
        let (Some(asked), Some(record)) = (&self.hello.operation, record) else {
            return Ok(None);
        };
        let operation = decode_registration(&record.value)?.operation;
        let same = operation.id == *asked
            && operation.token.is_some()
            && operation.token == token_hash(self.evidence);
        Ok(same.then_some(operation.started))
    }
}

/// The individual enrollment if there is one, whatever the caller shows; else the groups.
fn candidates(
    snapshot: &Snapshot,
    stored: Option<Versioned>,
    evidence: &Evidence,
    chain: &[Certificate],
    trace: &mut Trace,
) -> Result<Vec<Candidate>, StoreError> {
    if let Some(stored) = stored {
        let enrollment = snapshot::individual(snapshot, &stored)?;
        let expect = Expect::Exactly(stored.version);
        return Ok(vec![Candidate {
            group: None,
            enrollment,
            expect,
        }]);
    }
    trace.push(Step::NoIndividual);
    let groups = matching::groups(snapshot, evidence, chain, trace).into_iter();
    let candidate = |group: &snapshot::Group| Candidate {
        group: Some(group.id.clone()),
        enrollment: Arc::clone(&group.enrollment),
        expect: Expect::Absent,
    };
    Ok(groups.map(candidate).collect())
}

fn parse_chain(evidence: &Evidence, snapshot: &Snapshot) -> Result<Vec<Certificate>, &'static str> {
    let Evidence::X509 { chain } = evidence else {
        return Ok(Vec::new());
    };
    if chain.is_empty() || chain.len() > MAX_CHAIN {
        return Err("it is empty or longer than eight certificates");
    }
    let read = |der| {
        let thumbprint = Certificate::hash(der);
        match snapshot.known(&thumbprint) {
            Some(known) => Ok(known.clone()),
            None => Certificate::parse_hashed(der, thumbprint),
        }
    };
    let parsed: Result<Vec<_>, _> = chain.iter().map(read).collect();
    parsed.map_err(|_| "one of its certificates cannot be read")
}

fn token_hash(evidence: &Evidence) -> Option<[u8; 32]> {
    match evidence {
        Evidence::Sas { token } => Some(Sha256::digest(token).into()),
        Evidence::Tpm { token, .. } => token.as_ref().map(|token| Sha256::digest(token).into()),
        Evidence::X509 { .. } => None,
    }
}

/// What a repeated register must share to join: who lets the device in, and how it will sign in.
fn asked(group: Option<&GroupId>, sign_in: &SignIn) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(group.map_or("", |id| id.folded()));
    hasher.update([0]);
    let auth = match sign_in {
        SignIn::Known(auth) => auth,
        SignIn::Fresh(keys) => {
            hasher.update([4]);
            hasher.update(keys.endorsement_key.name());
            hasher.update(keys.storage_root_key.name());
            return hasher.finalize().into();
        }
    };
    match auth {
        DeviceAuth::Thumbprints { primary, secondary } => {
            hasher.update([1]);
            hasher.update(primary);
            hasher.update(secondary);
        }
        DeviceAuth::CertificateAuthority => hasher.update([2]),
        DeviceAuth::Keys { primary, secondary } => {
            hasher.update([3]);
            for key in [primary, secondary] {
                hasher.update((key.expose().len() as u64).to_be_bytes());
                hasher.update(key.expose());
            }
        }
    }
    hasher.finalize().into()
}
