//! The instance itself, and its certificates.

use std::sync::Arc;

use bytes::Bytes;

use super::issuers::check_issuers;
use super::policies::check_names;
use super::settings::{check_endpoints, check_rules};
use super::{Admin, AdminError, ROUNDS};
use crate::id::SecretBytes;
use crate::instance::{Instance, MAX_HUBS};
use crate::record::{
    configuration, encode_certificate, encode_instance, encode_nonce_key, epoch_key, instance_key,
    nonce_key_key,
};
use crate::store::{Change, Expect, Key, Scan, StoreError, Table, Version, Write};

impl Admin {
    /// Makes or replaces the instance, with its certificates: those that are not in it any more go.
    ///
    /// Devices stay on a hub that is linked no more until they register again.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for more than 50 hubs, a hub, certificate, policy or IP rule whose name stands
    /// twice, or an IP rule whose name is none, or an OpenID provider that [`Admin::set_issuers`] does not take;
    /// [`AdminError::Full`] for more certificates than its quota, or more IP rules or providers than may be.
    pub async fn put_instance(&self, instance: &Instance) -> Result<(), AdminError> {
        let writes = self.instance_writes(instance, Expect::Any).await?;
        let mut with_secret = writes.clone();
        with_secret.extend(self.new_nonce_key().await?);
        let done = match self.configure(with_secret).await {
            // Somebody else has made it meanwhile.
            Err(AdminError::Store(StoreError::Conflict { .. })) => self.configure(writes).await,
            done => done,
        };
        done.map(drop)
    }

    /// Makes the instance, with its certificates, unless there is one: for a program that starts on a store which
    /// may have been used before, and leaves what operators have made of it.
    ///
    /// Of many that do so at once, one makes it. Entries can be written before there is an instance, and no device
    /// is let in until then: whoever writes them first finds an instance only where its entries are whole.
    ///
    /// # Errors
    /// [`AdminError::Exists`] if there is an instance; nothing has changed. The others are those of
    /// [`Admin::put_instance`].
    pub async fn create_instance(&self, instance: &Instance) -> Result<(), AdminError> {
        for _ in 0..ROUNDS {
            if self.read(instance_key(&self.scope)).await?.is_some() {
                return Err(AdminError::Exists);
            }
            let mut writes = self.instance_writes(instance, Expect::Absent).await?;
            writes.extend(self.new_nonce_key().await?);
            match self.configure(writes).await {
                // Somebody else has made it meanwhile, or its secret.
                Err(AdminError::Store(StoreError::Conflict { .. })) => {}
                done => return done.map(drop),
            }
        }
        Err(AdminError::restless())
    }

    /// The instance and its certificates; without those of the store that are not in it.
    async fn instance_writes(
        &self,
        instance: &Instance,
        expect: Expect,
    ) -> Result<Vec<Write>, AdminError> {
        check_instance(instance)?;
        let mut writes = vec![Write {
            table: Table::Instance,
            id: instance_key(&self.scope).id,
            expect,
            change: Change::Put(encode_instance(instance)?),
        }];
        for name in self.certificate_ids().await? {
            let kept = instance
                .certificates
                .iter()
                .any(|c| c.name.eq_ignore_ascii_case(&name));
            if !kept {
                let (expect, change) = (Expect::Any, Change::Delete);
                writes.push(Write {
                    table: Table::Certificate,
                    id: name,
                    expect,
                    change,
                });
            }
        }
        for entry in &instance.certificates {
            let id = entry.name.to_ascii_lowercase().into();
            let (expect, change) = (Expect::Any, Change::Put(encode_certificate(entry)?));
            writes.push(Write {
                table: Table::Certificate,
                id,
                expect,
                change,
            });
        }
        Ok(writes)
    }

    /// The secret that challenges are made from, unless the instance has one. It is never changed: what
    /// was made from it could not be answered any more.
    async fn new_nonce_key(&self) -> Result<Option<Write>, AdminError> {
        let Some(crypto) = &self.crypto else {
            return Ok(None);
        };
        let Key { table, id, .. } = nonce_key_key(&self.scope);
        if self.read(nonce_key_key(&self.scope)).await?.is_some() {
            return Ok(None);
        }
        let key = SecretBytes::from(crypto.random::<32>()?);
        let change = Change::Put(encode_nonce_key(&key)?);
        Ok(Some(Write {
            table,
            id,
            expect: Expect::Absent,
            change,
        }))
    }

    async fn certificate_ids(&self) -> Result<Vec<Arc<str>>, StoreError> {
        let (scope, table) = (self.scope.clone(), Table::Certificate);
        let scan = Scan {
            scope,
            table,
            prefix: "".into(),
            after: None,
            limit: 1000,
        };
        Ok(self
            .store
            .scan(&scan)
            .await?
            .records
            .into_iter()
            .map(|(id, _)| id)
            .collect())
    }

    /// Commits a change of configuration, and that there was one.
    pub(super) async fn configure(&self, mut writes: Vec<Write>) -> Result<Version, AdminError> {
        writes.push(Write {
            table: Table::Instance,
            id: epoch_key(&self.scope).id,
            expect: Expect::Any,
            change: Change::Put(Bytes::new()),
        });
        let shard = configuration(&self.scope);
        Ok(self.store.commit(&shard, &writes).await?)
    }
}

fn check_instance(instance: &Instance) -> Result<(), AdminError> {
    let hubs = &instance.hubs;
    if hubs.len() > MAX_HUBS {
        return Err(AdminError::invalid("an instance links at most 50 hubs"));
    }
    let twice = hubs
        .iter()
        .enumerate()
        .any(|(n, hub)| hubs.iter().take(n).any(|h| h.name == hub.name));
    if twice {
        return Err(AdminError::invalid("an instance links each hub once"));
    }
    check_names(&instance.access.policies)?;
    check_rules(&instance.access.rules)?;
    check_endpoints(&instance.access.network.private)?;
    check_issuers(&instance.access.issuers)?;
    let all = &instance.certificates;
    if let limit @ 1.. = instance.quotas.certificates
        && all.len() as u64 > limit
    {
        return Err(AdminError::Full { limit });
    }
    let twice = all.iter().enumerate().any(|(n, entry)| {
        all.iter()
            .take(n)
            .any(|e| e.name.eq_ignore_ascii_case(&entry.name))
    });
    if twice {
        return Err(AdminError::invalid(
            "two certificates of an instance have the same name",
        ));
    }
    Ok(())
}
