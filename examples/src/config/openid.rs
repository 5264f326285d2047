//! OpenID providers whose tokens let operators in: what they may do, and how they are reached.

use std::sync::Arc;

use dps_core::access::{Actions, Issuer, Role};
use rustls::{ClientConfig, RootCertStore};

use super::file::{IssuerTable, OpenIdTable, RoleTable};
use super::{Complaint, Context, pem};

/// How OpenID providers are reached.
#[derive(Clone, Debug)]
pub struct Providers {
    /// With the roots that their servers are trusted by.
    pub tls: Arc<ClientConfig>,
}

pub(super) fn providers(
    context: &Context<'_>,
    table: &OpenIdTable,
) -> Result<Providers, Complaint> {
    let mut roots = RootCertStore::empty();
    let found = pem::certificates(context, "openid.roots", &table.roots)?;
    let (added, _) = roots.add_parsable_certificates(found);
    if added == 0 {
        return Err(context.complaint("openid.roots", "holds no certificate to trust"));
    }
    let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(crypto)
        .with_safe_default_protocol_versions()
        .map_err(|error| context.complaint("openid", error))?;
    Ok(Providers {
        tls: Arc::new(tls.with_root_certificates(roots).with_no_client_auth()),
    })
}

/// Lengths and numbers are left to the core, which holds them for every operator.
pub(super) fn issuers(
    context: &Context<'_>,
    key: &str,
    tables: &[IssuerTable],
) -> Result<Vec<Issuer>, Complaint> {
    let all = tables.iter().enumerate();
    all.map(|(nth, table)| {
        let usual = Issuer::new(&table.issuer);
        let at = format!("{key}.issuer[{nth}]");
        Ok(Issuer {
            audience: table.audience.as_deref().map_or(usual.audience, Arc::from),
            claim: table.role_claim.as_deref().map_or(usual.claim, Arc::from),
            roles: match &table.role {
                Some(tables) => roles(context, &at, tables)?,
                None => usual.roles,
            },
            url: usual.url,
        })
    })
    .collect()
}

fn roles(context: &Context<'_>, key: &str, tables: &[RoleTable]) -> Result<Vec<Role>, Complaint> {
    let all = tables.iter().enumerate();
    all.map(|(nth, table)| {
        let at = format!("{key}.role[{nth}].actions");
        let actions = table.actions.iter().map(|name| Actions::parse(name));
        let actions: Result<Vec<_>, _> = actions.collect();
        let actions = actions.map_err(|error| context.complaint(at, error))?;
        Ok(Role {
            name: Arc::from(table.role.as_str()),
            actions: actions.into_iter().fold(Actions::NONE, Actions::and),
        })
    })
    .collect()
}
