//! What is known of devices.

use super::{Admin, AdminError, Revision};
use crate::id::RegistrationId;
use crate::record::{DeviceKeys, decode_registration};
use crate::registration::Registration;
use crate::store::{StoreError, Table, Versioned};

impl Admin {
    /// What is known of a device; `None` if it has never registered.
    ///
    /// # Errors
    /// [`AdminError::Store`].
    pub async fn registration(
        &self,
        id: &RegistrationId,
    ) -> Result<Option<Registration>, AdminError> {
        Ok(self.recorded(id).await?.map(|found| found.value))
    }

    /// As [`Admin::registration`], with the version that it is.
    ///
    /// # Errors
    /// [`AdminError::Store`].
    pub async fn recorded(
        &self,
        id: &RegistrationId,
    ) -> Result<Option<Revision<Registration>>, AdminError> {
        let key = DeviceKeys::new(&self.scope, id).key(Table::Registration);
        let stored = self.read(key).await?;
        Ok(stored.map(|stored| revision(&stored)).transpose()?)
    }
}

pub(super) fn revision(stored: &Versioned) -> Result<Revision<Registration>, StoreError> {
    Ok(Revision {
        version: stored.version,
        value: decode_registration(&stored.value)?,
    })
}
