//! Mechanisms by which a device proves who it is before its connection begins.

mod tpm;

use std::fmt::Debug;

use dps_core::attest::Evidence;
use dps_transport::Verdict;

use self::tpm::Tpm;
use crate::address::Name;
use crate::codec::SaslCode;

/// One device's proof. Each step answers what the device has sent, or what was found out of it.
pub(crate) trait Mechanism: Debug + Send {
    /// The device has sent this: its first response, if it gave one with its choice, and later one to
    /// each challenge.
    fn respond(&mut self, response: Option<&[u8]>) -> Step;

    /// What was asked by [`Step::Authenticate`] has been found out.
    fn judged(&mut self, verdict: &Verdict) -> Step;
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Step {
    /// The device has to answer this.
    Challenge(Vec<u8>),
    /// Whether this device is who it says has to be found out.
    Authenticate(Name, Option<Evidence>),
    /// The proof is over.
    Outcome(SaslCode),
}

/// Mechanisms that a peer can choose from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    /// Their names, the preferred one first.
    pub(crate) names: &'static [&'static str],
    /// Begins with the one of a name; `None` if there is none.
    pub(crate) begin: fn(&str) -> Option<Box<dyn Mechanism>>,
}

impl Offer {
    /// What we offer. The order matters only to whoever can do several.
    pub(crate) const fn ours(with_certificate: bool) -> Self {
        let names: &[_] = if with_certificate {
            &["EXTERNAL", "PLAIN", "TPM"]
        } else {
            &["PLAIN", "TPM"]
        };
        Self { names, begin }
    }

    /// The mechanism of a name; `None` if it was not offered.
    pub(crate) fn choose(self, name: &str) -> Option<Box<dyn Mechanism>> {
        let offered = self.names.contains(&name);
        offered.then(|| (self.begin)(name)).flatten()
    }
}

fn begin(name: &str) -> Option<Box<dyn Mechanism>> {
    match name {
        "PLAIN" => Some(Box::new(Plain)),
        "EXTERNAL" => Some(Box::new(External)),
        "TPM" => Some(Box::new(Tpm::Begun)),
        _ => None,
    }
}

/// A token as password: `NUL {scope}/registrations/{registration} NUL {token}`.
///
/// # Source
/// RFC 4616; `prov_transport_amqp_common.c` (C), `amqp.ts` (Node.js), `AmqpAuthStrategySymmetricKey.cs`
/// (C#).
#[derive(Debug)]
struct Plain;

/// What was proven in the handshake of TLS. Who the device is, its link says: nothing is looked up for
/// now, whatever the response is.
#[derive(Debug)]
struct External;

impl Mechanism for Plain {
    fn respond(&mut self, response: Option<&[u8]>) -> Step {
        let Some(response) = response else {
            // Whoever did not say it with its choice is asked for it (RFC 4422, 3.3).
            return Step::Challenge(Vec::new());
        };
        let claim = std::str::from_utf8(response).ok().and_then(|text| {
            let (name, token) = text.strip_prefix('\0')?.split_once('\0')?;
            let evidence = Evidence::Sas {
                token: token.to_owned(),
            };
            Some((Name::of_path(name)?, evidence))
        });
        match claim {
            Some((name, evidence)) => Step::Authenticate(name, Some(evidence)),
            // Names that nobody can have are told like a wrong key.
            None => Step::Outcome(SaslCode::Auth),
        }
    }

    fn judged(&mut self, verdict: &Verdict) -> Step {
        Step::Outcome(code(verdict))
    }
}

impl Mechanism for External {
    fn respond(&mut self, _: Option<&[u8]>) -> Step {
        Step::Outcome(SaslCode::Ok)
    }

    fn judged(&mut self, _: &Verdict) -> Step {
        Step::Outcome(SaslCode::Auth)
    }
}

/// How a verdict is told.
fn code(verdict: &Verdict) -> SaslCode {
    use dps_core::error::Reason;
    match verdict {
        Verdict::Believed => SaslCode::Ok,
        Verdict::Denied(error) if error.reason() != Reason::Unauthorized => SaslCode::SysTemp,
        Verdict::Denied(_) | Verdict::Challenge(_) => SaslCode::Auth,
    }
}
