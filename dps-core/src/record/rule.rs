//! IP rules of an instance.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::corrupt;
use crate::access::{Endpoint, IpAction, IpMask, IpRule};
use crate::store::StoreError;

#[derive(Serialize, Deserialize)]
pub(super) struct StoredRule<'a> {
    name: Cow<'a, str>,
    action: StoredAction,
    mask: Cow<'a, str>,
    /// Left out if it is for both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<StoredTarget>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum StoredAction {
    Accept,
    Reject,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum StoredTarget {
    Service,
    Device,
}

pub(super) fn store_rule(rule: &IpRule) -> StoredRule<'_> {
    StoredRule {
        name: (*rule.name).into(),
        action: match rule.action {
            IpAction::Accept => StoredAction::Accept,
            IpAction::Reject => StoredAction::Reject,
        },
        mask: rule.mask.to_string().into(),
        target: rule.target.map(|target| match target {
            Endpoint::Service => StoredTarget::Service,
            Endpoint::Device => StoredTarget::Device,
        }),
    }
}

pub(super) fn load_rule(stored: &StoredRule<'_>) -> Result<IpRule, StoreError> {
    Ok(IpRule {
        name: Arc::from(&*stored.name),
        action: match stored.action {
            StoredAction::Accept => IpAction::Accept,
            StoredAction::Reject => IpAction::Reject,
        },
        mask: IpMask::parse(&stored.mask).map_err(corrupt)?,
        target: stored.target.map(|target| match target {
            StoredTarget::Service => Endpoint::Service,
            StoredTarget::Device => Endpoint::Device,
        }),
    })
}
