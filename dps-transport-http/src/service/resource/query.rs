//! Lists, page by page.

use dps_core::admin::query::{DEFAULT_PAGE, Listing, MAX_PAGE, Position, Query, QueryError};
use dps_core::error::{Reason, ServiceError};
use dps_core::id::GroupId;
use dps_core::registration::RegistrationState;
use http::{HeaderName, HeaderValue};

use super::{Done, Question, document, fault, malformed};
use crate::service::object::Object;
use crate::service::route::Kind;
use crate::service::shape::{Entry, Keys, State};

const ITEM_TYPE: HeaderName = HeaderName::from_static("x-ms-item-type");
const CONTINUATION: HeaderName = HeaderName::from_static("x-ms-continuation");
const MAX_ITEM_COUNT: HeaderName = HeaderName::from_static("x-ms-max-item-count");
/// Ours: what of a query was not understood and is left out.
const WARNING: HeaderName = HeaderName::from_static("x-dps-query-warning");

pub(super) async fn entries(question: &Question<'_>, kind: Kind) -> Result<Done, ServiceError> {
    let (listing, item) = match kind {
        Kind::Individual => (Listing::Enrollments, "Enrollment"),
        Kind::Group => (Listing::Groups, "EnrollmentGroup"),
    };
    let (query, page) = question.list(listing)?;
    let found = question
        .admin
        .entries(&query, page.from.as_ref(), page.limit)
        .await;
    let found = found.map_err(|error| fault(error, kind))?;
    let items: Vec<_> = found
        .items
        .iter()
        .map(|entry| Entry::of(entry, Keys::Hidden))
        .collect();
    let headers = page.headers(item, found.next.as_ref(), found.warning);
    Ok(Done::with(&items).and(headers))
}

pub(super) async fn registrations(question: &Question<'_>) -> Result<Done, ServiceError> {
    question.registrations(Listing::Registrations).await
}

/// Of one group, also if it has gone since: what came through it is still known.
pub(super) async fn members(question: &Question<'_>) -> Result<Done, ServiceError> {
    let group = GroupId::parse(question.id);
    let group = group.map_err(|error| malformed(format!("enrollmentGroupId: {error}")))?;
    question
        .registrations(Listing::RegistrationsOf(group))
        .await
}

/// Which part of a list is wanted.
struct Wanted {
    from: Option<Position>,
    limit: u32,
}

impl Wanted {
    /// The last page has no `x-ms-continuation`: clients go on while there is one.
    fn headers(
        &self,
        item: &'static str,
        next: Option<&Position>,
        warning: Option<QueryError>,
    ) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = vec![
            (ITEM_TYPE, HeaderValue::from_static(item)),
            (MAX_ITEM_COUNT, HeaderValue::from(self.limit)),
        ];
        let next = next.map(|next| (CONTINUATION, next.to_string()));
        let warning = warning.map(|warning| (WARNING, warning.to_string()));
        for (name, text) in next.into_iter().chain(warning) {
            headers.extend(HeaderValue::try_from(text).map(|value| (name, value)));
        }
        headers
    }
}

impl Question<'_> {
    async fn registrations(&self, listing: Listing) -> Result<Done, ServiceError> {
        let (query, page) = self.list(listing)?;
        let found = self
            .admin
            .registrations(&query, page.from.as_ref(), page.limit)
            .await;
        let found = found.map_err(|error| fault(error, Kind::Individual))?;
        let states: Vec<_> = found
            .items
            .iter()
            .map(|found| RegistrationState::of(&found.value, found.version, &found.value.id))
            .collect();
        let items: Vec<_> = states.iter().map(State::of).collect();
        let headers = page.headers("DeviceRegistration", found.next.as_ref(), found.warning);
        Ok(Done::with(&items).and(headers))
    }

    fn list(&self, listing: Listing) -> Result<(Query, Wanted), ServiceError> {
        let from = self.header(&CONTINUATION)?;
        let from = from.map(|text| Position::parse(&listing, text)).transpose();
        let from = from.map_err(|_| ServiceError::new(Reason::BadContinuation))?;
        let limit = match self.header(&MAX_ITEM_COUNT)? {
            None => DEFAULT_PAGE,
            Some(text) => count(text)?,
        };
        // The SDK for C sends no body if it has no text.
        let query = if self.body.is_empty() {
            Query::all(listing)
        } else {
            let document = document(self)?;
            let text = Object::root(&document).and_then(|members| members.text("query"));
            let text = text.map_err(|error| malformed(error.to_string()))?;
            let query = Query::parse(listing, text.unwrap_or_default());
            query.map_err(|error| malformed(format!("query: {error}")))?
        };
        Ok((query, Wanted { from, limit }))
    }

    /// A header that says something; `None` if it is empty or not there.
    fn header(&self, name: &HeaderName) -> Result<Option<&str>, ServiceError> {
        let value = self.headers.get(name).map(HeaderValue::to_str).transpose();
        let value = value.map_err(|_| malformed(format!("{name}: is not text")))?;
        Ok(value.map(str::trim).filter(|value| !value.is_empty()))
    }
}

/// A number of records: more than there may be in a page is as many as may be.
fn count(text: &str) -> Result<u32, ServiceError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u32>() {
        Ok(count) if digits && count > 0 => Ok(count.min(MAX_PAGE)),
        Err(_) if digits => Ok(MAX_PAGE),
        _ => Err(malformed("x-ms-max-item-count: must be a number above 0")),
    }
}
