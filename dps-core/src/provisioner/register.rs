//! A register: one decision, one commit.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::fresh::HubCredential;
use super::work::Run;
use super::{Caller, ROUNDS, View, is_open, told};
use crate::accept::{Ask, Decision, current, decide};
use crate::api::{DeviceResponse, Reply, Work};
use crate::attest::SignIn;
use crate::error::{Reason, ServiceError, UNAVAILABLE_RETRY};
use crate::event::EventKind;
use crate::id::ApiVersion;
use crate::record::{Leaving, decode_leaving, encode_leaving, encode_registration};
use crate::registration::{Owner, Phase, Registration};
use crate::store::{Change, Expect, Key, StoreError, Table, Version, Write};
use crate::trace::{Step, Trace};

/// What the first answer asks a device to wait, as the service does.
const FIRST_RETRY: Duration = Duration::from_secs(3);

/// The record of a place that the device had left and is given again.
struct Returning {
    version: Version,
    leaving: Leaving,
}

impl Caller<'_> {
    pub(super) async fn register(
        &self,
        version: &ApiVersion,
        payload: Option<Value>,
    ) -> Result<Reply, ServiceError> {
        let fresh = self.fresh_operation()?;
        let sign_in = self.session.attested().sign_in();
        let crypto = &self.parts.crypto;
        let credential = HubCredential::draw(sign_in, crypto);
        let credential = credential.map_err(|_| self.error(Reason::Internal))?;
        let storage_root_key = match sign_in {
            SignIn::Known(_) => None,
            SignIn::Fresh(keys) => Some(&keys.storage_root_key),
        };
        let mut view = self.view().await?;
        let mut returning = None;
        for _ in 0..ROUNDS {
            let record = view.registration().map_err(|e| self.broken(&e))?;
            let mut trace = self.proven.trace.continued();
            if record.is_none()
                && let Some(limit) = self.is_full(&view)
            {
                return Ok(self.turn_away(limit, fresh, trace));
            }
            let decision = decide(
                &Ask {
                    scope: self.session.scope(),
                    registration: self.session.registration(),
                    instance: &view.snapshot.instance,
                    enrollment: &view.enrollment,
                    record: record.as_ref().map(|(_, record)| record),
                    auth: &credential.auth,
                    asked: self.proven.asked,
                    token: self.proven.token,
                    storage_root_key,
                    version,
                    payload: payload.as_ref(),
                    origin: self.session.origin(),
                    latency: self.parts.latency.as_deref(),
                    now: self.now,
                    fresh: &fresh,
                },
                &mut trace,
            );
            let tried = match decision {
                Decision::Join => self.join(&view, record, trace).await,
                Decision::Begin {
                    mut operation,
                    abandons,
                    not_before,
                } => {
                    if is_open(&operation.phase) {
                        let (scope, id) = (self.session.scope(), self.session.registration());
                        let wrapped = credential.wrapped(crypto, scope, id);
                        let wrapped = wrapped.map_err(|_| self.error(Reason::Internal))?;
                        operation.extras.tpm = wrapped.map(Bytes::from);
                    }
                    let leaving = abandons.map(|place| Leaving {
                        place,
                        until: not_before,
                        attempts: 0,
                    });
                    let begun = Begun {
                        operation,
                        leaving,
                        not_before,
                    };
                    self.begin(&view, record, begun, returning.take(), trace)
                        .await
                }
            };
            match tried {
                Ok(reply) => return Ok(reply),
                Err(StoreError::Conflict { table, id }) => {
                    let shard = self.proven.keys.shard.clone();
                    let also = (table == Table::Leaving).then_some(Key { shard, table, id });
                    let (now_there, also) = self.look(also).await?;
                    view = now_there;
                    returning = match also {
                        Some(stored) => Some(Returning {
                            version: stored.version,
                            leaving: decode_leaving(&stored.value).map_err(|e| self.broken(&e))?,
                        }),
                        None => None,
                    };
                }
                Err(error) => return Err(self.broken(&error)),
            }
        }
        let error = ServiceError::new(Reason::Unavailable).with_tracking(self.proven.tracking);
        Err(error.with_retry_after(UNAVAILABLE_RETRY))
    }

    /// The operation in flight is the answer; if nobody is at it any more, this call takes it up.
    async fn join(
        &self,
        view: &View,
        record: Option<(Version, Registration)>,
        trace: Trace,
    ) -> Result<Reply, StoreError> {
        let Some((version, record)) = record else {
            return Err(StoreError::Corrupt(
                "joined an operation that is not there".into(),
            ));
        };
        let operation = record.operation.id.clone();
        self.emit(
            EventKind::Accepted {
                operation,
                began: false,
            },
            Arc::new(trace),
        );
        self.answer(view, version, record).await
    }

    /// Commit 1: from here on the device has an operation, and the operation one hub.
    async fn begin(
        &self,
        view: &View,
        before: Option<(Version, Registration)>,
        begun: Begun,
        returning: Option<Returning>,
        mut trace: Trace,
    ) -> Result<Reply, StoreError> {
        let Begun {
            mut operation,
            leaving,
            mut not_before,
        } = begun;
        let keys = &self.proven.keys;
        let mut writes = Vec::with_capacity(6);
        if let Phase::Linking(linking) = &operation.phase {
            let place = &linking.place;
            if Some(place) != current(before.as_ref().map(|(_, record)| record)) {
                let comes_back = returning.filter(|record| record.leaving.place == *place);
                if let Some(Returning { leaving, .. }) = &comes_back {
                    not_before = not_before.max(leaving.until);
                    trace.push(Step::ComesBack {
                        hub: Arc::clone(place.hub.folded()),
                    });
                }
                let (expect, change) = match comes_back {
                    // Whoever cleans it stops; what it has begun is over when its lease is.
                    Some(record) => (Expect::Exactly(record.version), Change::Delete),
                    None => (Expect::Absent, Change::Keep),
                };
                let id = keys.leaving_id(place);
                writes.push(Write {
                    table: Table::Leaving,
                    id,
                    expect,
                    change,
                });
            }
        }
        if let Some(leaving) = &leaving {
            let id = keys.leaving_id(&leaving.place);
            let change = Change::Put(encode_leaving(leaving)?);
            writes.push(Write {
                table: Table::Leaving,
                id,
                expect: Expect::Any,
                change,
            });
        }
        if operation.storage_root_key.is_some() {
            // The record of the device has it now.
            writes.push(keys.write(Table::Challenge, Expect::Any, Change::Delete));
        }
        let waits = not_before > self.now;
        let open = is_open(&operation.phase);
        operation.resume_at = match (open, waits) {
            (true, true) => not_before,
            (true, false) => self.now.plus(Work::LEASE),
            (false, _) => self.now,
        };
        self.list_with_group(
            before.as_ref().map(|(_, record)| &record.owner),
            &mut writes,
        );
        let trace = Arc::new(trace);
        let record = Registration {
            id: match &before {
                Some((_, record)) => record.id.clone(),
                None => self.session.registration().clone(),
            },
            created: before
                .as_ref()
                .map_or(self.now, |(_, record)| record.created),
            updated: self.now,
            owner: self.proven.owner.clone(),
            assignment: before
                .as_ref()
                .and_then(|(_, record)| record.assignment.clone()),
            operation,
            trace: Arc::clone(&trace),
        };
        let expect = match &before {
            Some((version, _)) => Expect::Exactly(*version),
            None => Expect::Absent,
        };
        let change = Change::Put(encode_registration(&record)?);
        writes.push(keys.write(Table::Registration, expect, change));
        writes.push(keys.write(Table::Enrollment, view.expect, Change::Keep));
        let version = self
            .proven
            .tenant
            .store()
            .commit(&keys.shard, &writes)
            .await?;
        if before.is_none() {
            self.add();
        }

        let operation = record.operation.id.clone();
        self.emit(
            EventKind::Accepted {
                operation,
                began: true,
            },
            trace,
        );
        let mut reply = told(&record, version, self.session.registration(), self.now);
        if let DeviceResponse::Operation {
            retry_after: Some(wait),
            ..
        } = &mut reply.response
            && !waits
        {
            *wait = FIRST_RETRY;
        }
        if open && !waits {
            reply.work = Some(self.work(view, version, record));
        }
        Ok(reply)
    }

    /// Keeps the list of a group's registrations: one empty record each, written when the owner changes.
    fn list_with_group(&self, before: Option<&Owner>, writes: &mut Vec<Write>) {
        let keys = &self.proven.keys;
        let then = before.and_then(|owner| owner.group.as_ref());
        let now = self.proven.owner.group.as_ref();
        if then == now {
            return;
        }
        let mut member = |group, change| {
            let id = keys.member_id(group);
            writes.push(Write {
                table: Table::Member,
                id,
                expect: Expect::Any,
                change,
            });
        };
        if let Some(group) = then {
            member(group, Change::Delete);
        }
        if let Some(group) = now {
            member(group, Change::Put(Bytes::new()));
        }
    }

    pub(super) fn work(&self, view: &View, version: Version, record: Registration) -> Work {
        let run = Run {
            parts: Arc::clone(self.parts),
            tenant: self.proven.tenant.clone(),
            keys: self.proven.keys.clone(),
            snapshot: Arc::clone(&view.snapshot),
            enrollment: Arc::clone(&view.enrollment),
            spelled: self.session.registration().clone(),
            tracking: self.proven.tracking,
            record,
            version,
        };
        Work::new(run.run())
    }
}

/// A new operation on its way to commit 1.
struct Begun {
    operation: crate::registration::Operation,
    leaving: Option<Leaving>,
    not_before: crate::time::Timestamp,
}
