//! The table of everything that operators can ask.

use dps_core::access::Action;
use http::Method;

use super::{Kind, Operation, Part, Route};

const CONFIGURE: &[Action] = &[Action::Configure];
const DELETE_ENROLLMENTS: &[Action] = &[Action::DeleteEnrollments];
const DELETE_GROUPS: &[Action] = &[Action::DeleteGroups];
const DELETE_REGISTRATIONS: &[Action] = &[Action::DeleteRegistrations];
const READ_ATTESTATION: &[Action] = &[Action::ReadAttestation];
const READ_ENROLLMENTS: &[Action] = &[Action::ReadEnrollments];
const READ_GROUPS: &[Action] = &[Action::ReadGroups];
const READ_REGISTRATIONS: &[Action] = &[Action::ReadRegistrations];
const WRITE_ENROLLMENTS: &[Action] = &[Action::WriteEnrollments];
const WRITE_GROUPS: &[Action] = &[Action::WriteGroups];
/// What a bulk operation does stands in its body.
const CHANGE_ENROLLMENTS: &[Action] = &[Action::WriteEnrollments, Action::DeleteEnrollments];
const CHANGE_GROUPS: &[Action] = &[Action::WriteGroups, Action::DeleteGroups];

/// Everything that operators can ask.
///
/// A path with a fixed word goes before one with `{id}` in its place, if it has the method. An operation on
/// several entries needs the right to remove them, too: what it does stands in its body. All of
/// `/instance` takes [`Action::Configure`], reading as well.
///
/// # Source
/// The service API, version 2021-10-01 (`Azure/azure-rest-api-specs`, `deviceprovisioningservices`); a
/// list of registrations over all groups, and `why`, are ours. Below `/instance`, members and words are
/// those of the resource API, version 2022-12-12, of the same repository; that hubs and policies are
/// resources of their own, and `regenerate`, are ours, and so is the path, which names no subscription.
/// `disableLocalAuth` is of version 2026-08-01; `tokenIssuers` is ours.
pub static ROUTES: &[Route] = &{
    use Kind::{Group, Individual};
    use Operation as Op;
    use Part::{
        AllocationPolicy, DisableLocalAuth, IpFilterRules, PrivateEndpoints, PublicNetworkAccess,
        Quotas, TokenIssuers,
    };
    [
        get("/enrollments/{id}", READ_ENROLLMENTS, Op::Read(Individual)),
        put(
            "/enrollments/{id}",
            WRITE_ENROLLMENTS,
            Op::Write(Individual),
        ),
        delete(
            "/enrollments/{id}",
            DELETE_ENROLLMENTS,
            Op::Remove(Individual),
        ),
        post(
            "/enrollments/{id}/attestationmechanism",
            READ_ATTESTATION,
            Op::Attestation(Individual),
        ),
        post("/enrollments", CHANGE_ENROLLMENTS, Op::Change(Individual)),
        post("/enrollments/query", READ_ENROLLMENTS, Op::List(Individual)),
        get("/enrollmentGroups/{id}", READ_GROUPS, Op::Read(Group)),
        put("/enrollmentGroups/{id}", WRITE_GROUPS, Op::Write(Group)),
        delete("/enrollmentGroups/{id}", DELETE_GROUPS, Op::Remove(Group)),
        post(
            "/enrollmentGroups/{id}/attestationmechanism",
            READ_ATTESTATION,
            Op::Attestation(Group),
        ),
        post("/enrollmentGroups", CHANGE_GROUPS, Op::Change(Group)),
        post("/enrollmentGroups/query", READ_GROUPS, Op::List(Group)),
        get(
            "/registrations/{id}",
            READ_REGISTRATIONS,
            Op::ReadRegistration,
        ),
        get("/registrations/{id}/why", READ_REGISTRATIONS, Op::Explain),
        delete(
            "/registrations/{id}",
            DELETE_REGISTRATIONS,
            Op::RemoveRegistration,
        ),
        post(
            "/registrations/{id}/query",
            READ_REGISTRATIONS,
            Op::ListMembers,
        ),
        post(
            "/registrations/query",
            READ_REGISTRATIONS,
            Op::ListRegistrations,
        ),
        get("/instance", CONFIGURE, Op::ReadInstance),
        get(
            "/instance/allocationPolicy",
            CONFIGURE,
            Op::ReadPart(AllocationPolicy),
        ),
        put(
            "/instance/allocationPolicy",
            CONFIGURE,
            Op::WritePart(AllocationPolicy),
        ),
        get("/instance/quotas", CONFIGURE, Op::ReadPart(Quotas)),
        put("/instance/quotas", CONFIGURE, Op::WritePart(Quotas)),
        get(
            "/instance/ipFilterRules",
            CONFIGURE,
            Op::ReadPart(IpFilterRules),
        ),
        put(
            "/instance/ipFilterRules",
            CONFIGURE,
            Op::WritePart(IpFilterRules),
        ),
        get(
            "/instance/tokenIssuers",
            CONFIGURE,
            Op::ReadPart(TokenIssuers),
        ),
        put(
            "/instance/tokenIssuers",
            CONFIGURE,
            Op::WritePart(TokenIssuers),
        ),
        get(
            "/instance/disableLocalAuth",
            CONFIGURE,
            Op::ReadPart(DisableLocalAuth),
        ),
        put(
            "/instance/disableLocalAuth",
            CONFIGURE,
            Op::WritePart(DisableLocalAuth),
        ),
        get(
            "/instance/publicNetworkAccess",
            CONFIGURE,
            Op::ReadPart(PublicNetworkAccess),
        ),
        put(
            "/instance/publicNetworkAccess",
            CONFIGURE,
            Op::WritePart(PublicNetworkAccess),
        ),
        get(
            "/instance/privateEndpoints",
            CONFIGURE,
            Op::ReadPart(PrivateEndpoints),
        ),
        put(
            "/instance/privateEndpoints",
            CONFIGURE,
            Op::WritePart(PrivateEndpoints),
        ),
        get("/instance/iotHubs", CONFIGURE, Op::ListHubs),
        get("/instance/iotHubs/{id}", CONFIGURE, Op::ReadHub),
        put("/instance/iotHubs/{id}", CONFIGURE, Op::WriteHub),
        delete("/instance/iotHubs/{id}", CONFIGURE, Op::RemoveHub),
        get(
            "/instance/authorizationPolicies",
            CONFIGURE,
            Op::ListPolicies,
        ),
        get(
            "/instance/authorizationPolicies/{id}",
            CONFIGURE,
            Op::ReadPolicy,
        ),
        put(
            "/instance/authorizationPolicies/{id}",
            CONFIGURE,
            Op::WritePolicy,
        ),
        delete(
            "/instance/authorizationPolicies/{id}",
            CONFIGURE,
            Op::RemovePolicy,
        ),
        post("/instance/listkeys", CONFIGURE, Op::ListKeys),
        post("/instance/keys/{id}/listkeys", CONFIGURE, Op::ReadKeys),
        post(
            "/instance/keys/{id}/regenerate",
            CONFIGURE,
            Op::RegenerateKey,
        ),
        get("/instance/certificates", CONFIGURE, Op::ListCertificates),
        get(
            "/instance/certificates/{id}",
            CONFIGURE,
            Op::ReadCertificate,
        ),
        put(
            "/instance/certificates/{id}",
            CONFIGURE,
            Op::WriteCertificate,
        ),
        delete(
            "/instance/certificates/{id}",
            CONFIGURE,
            Op::RemoveCertificate,
        ),
        post(
            "/instance/certificates/{id}/generateVerificationCode",
            CONFIGURE,
            Op::GenerateCode,
        ),
        post("/instance/certificates/{id}/verify", CONFIGURE, Op::Verify),
    ]
};

const fn get(path: &'static str, needs: &'static [Action], operation: Operation) -> Route {
    row(Method::GET, path, needs, operation)
}

const fn put(path: &'static str, needs: &'static [Action], operation: Operation) -> Route {
    row(Method::PUT, path, needs, operation)
}

const fn post(path: &'static str, needs: &'static [Action], operation: Operation) -> Route {
    row(Method::POST, path, needs, operation)
}

const fn delete(path: &'static str, needs: &'static [Action], operation: Operation) -> Route {
    row(Method::DELETE, path, needs, operation)
}

const fn row(
    method: Method,
    path: &'static str,
    needs: &'static [Action],
    operation: Operation,
) -> Route {
    Route {
        method,
        path,
        needs,
        operation,
    }
}
