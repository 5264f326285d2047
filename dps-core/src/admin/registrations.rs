//! What is known of devices.

use super::{Admin, AdminError, Revision};
use crate::enrollment::Enrollment;
use crate::id::RegistrationId;
use crate::record::{DeviceKeys, decode_enrollment, decode_registration};
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

    /// The individual enrollment of a device and what is known of the device, read at once; `None` for what is
    /// not there.
    ///
    /// # Errors
    /// [`AdminError::Store`].
    #[allow(clippy::type_complexity, reason = "two of the same kind")]
    pub async fn enrolled(
        &self,
        id: &RegistrationId,
    ) -> Result<(Option<Revision<Enrollment>>, Option<Revision<Registration>>), AdminError> {
        let device = DeviceKeys::new(&self.scope, id);
        let keys = [Table::Enrollment, Table::Registration].map(|table| device.key(table));
        let mut found = self.store.get_many(&keys).await?.into_iter();
        let (entry, state) = (found.next().flatten(), found.next().flatten());
        let entry = entry.map(|stored| {
            let (version, value) = (stored.version, decode_enrollment(&stored.value)?);
            Ok::<_, StoreError>(Revision { version, value })
        });
        let state = state.map(|stored| revision(&stored));
        Ok((entry.transpose()?, state.transpose()?))
    }
}

pub(super) fn revision(stored: &Versioned) -> Result<Revision<Registration>, StoreError> {
    Ok(Revision {
        version: stored.version,
        value: decode_registration(&stored.value)?,
    })
}
