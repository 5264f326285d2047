mod forbidden;
mod golden;
mod patience;
mod pressure;
mod properties;
mod proving;
mod requests;
mod tpm;

use std::net::IpAddr;

use dps_core::api::DeviceRequest;
use dps_core::error::Reason;
use dps_core::hub::{DeviceAuth, Place};
use dps_core::id::{DeviceId, HubName, OperationId, RegistrationId, TrackingId};
use dps_core::registration::{
    Assignment, Extras, Mechanism as SignedBy, Operation, Owner, Phase, Registration,
    RegistrationState, Status, Substatus,
};
use dps_core::store::Version;
use dps_core::time::Timestamp;
use dps_core::trace::Trace;
use dps_transport::Stamp;
use rustls_pki_types::CertificateDer;

use super::*;
use crate::codec::{Role, Value, Writer};
use crate::testing::*;

const ADDRESS: &str = "0neS/registrations/Press-1";
const PLAIN: &[u8] = b"\x000neS/registrations/Press-1\0SharedAccessSignature sr=x";

/// The same stamp each time.
#[derive(Debug)]
struct Fixed;

impl Stamps for Fixed {
    fn stamp(&self) -> Stamp {
        Stamp {
            id: TrackingId::from_random([7; 16]),
            now: Timestamp(1_661_622_799_514),
        }
    }
}

/// A session, and the device that talks to it.
struct Talk {
    session: Session<'static>,
    now: Duration,
}

fn anonymous() -> Peer {
    Peer::anonymous(IpAddr::from([192, 0, 2, 7]))
}

fn certified() -> Peer {
    Peer {
        chain: Arc::from([CertificateDer::from(&b"leaf"[..])]),
        ..anonymous()
    }
}

fn error(reason: Reason) -> DeviceResponse {
    DeviceResponse::Error(ServiceError::new(reason))
}

fn busy() -> ServiceError {
    ServiceError::new(Reason::Throttled).with_retry_after(Duration::from_secs(7))
}

/// Where an operation is: assigned, or being assigned.
fn operation(status: Status) -> DeviceResponse {
    let at = Timestamp(1_661_622_799_514);
    let id = RegistrationId::parse("Press-1").unwrap();
    let operation = OperationId::parse("5.0.a").unwrap();
    let phase = match status {
        Status::Assigned => Phase::Done,
        _ => Phase::Accepted {
            auth: DeviceAuth::CertificateAuthority,
            origin: IpAddr::from([192, 0, 2, 7]),
            payload: None,
        },
    };
    let record = Registration {
        id: id.clone(),
        created: at,
        updated: at,
        owner: Owner {
            group: None,
            mechanism: SignedBy::SymmetricKey,
        },
        assignment: Some(Assignment {
            place: Place {
                hub: HubName::parse("a.example").unwrap(),
                device: DeviceId::from(&id),
            },
            substatus: Substatus::InitialAssignment,
            payload: None,
        }),
        operation: Operation {
            id: operation.clone(),
            phase,
            started: at,
            since: at,
            resume_at: at,
            attempts: 1,
            token: None,
            storage_root_key: None,
            asked: [0; 32],
            version: ApiVersion::usual(),
            extras: Extras::default(),
        },
        trace: Arc::new(Trace::default()),
    };
    DeviceResponse::Operation {
        operation,
        retry_after: (!status.is_final()).then_some(Duration::from_secs(3)),
        state: RegistrationState::of(&record, Version(1), &id),
    }
}

/// Where the device sends, as handle 0.
fn sender() -> Vec<u8> {
    attach(0, Role::Sender, ADDRESS)
}

/// Where the device is answered, as handle 1.
fn receiver() -> Vec<u8> {
    attach(1, Role::Receiver, ADDRESS)
}

/// All that a device with a key says until it asks; some say it in one go.
fn greeting() -> Vec<u8> {
    [SASL, &init("PLAIN", Some(PLAIN)), &linking()].concat()
}

/// All that comes after a proof, or without one.
fn linking() -> Vec<u8> {
    [
        AMQP,
        &open(),
        &begin(0),
        &sender(),
        &receiver(),
        &credit(1, 1000),
    ]
    .concat()
}

fn register(id: u32) -> Vec<u8> {
    register_with(id, None, b"{}")
}

fn register_with(id: u32, name: Option<&[u8]>, body: &[u8]) -> Vec<u8> {
    transfer(0, id, &registering(name, body))
}

fn registering(name: Option<&[u8]>, body: &[u8]) -> Vec<u8> {
    let properties = [("iotdps-operation-type", "iotdps-register")];
    message(name, &properties, body)
}

fn poll(id: u32, operation: &str) -> Vec<u8> {
    let properties = [
        ("iotdps-operation-type", "iotdps-get-operationstatus"),
        ("iotdps-operation-id", operation),
    ];
    transfer(0, id, &message(None, &properties, b""))
}

fn encoded(value: &Value<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    Writer(&mut out).value(value);
    out
}

impl Talk {
    fn new() -> Self {
        Self::by(anonymous())
    }

    fn by(peer: Peer) -> Self {
        let timeouts = Timeouts::default();
        Self {
            session: Session::new(peer, Transport::Amqp, timeouts, "us", &Fixed),
            now: Duration::ZERO,
        }
    }

    /// A device with a key that has two links, and credit.
    fn linked() -> Self {
        let mut talk = Self::new();
        talk.send(&greeting());
        talk.judge(Verdict::Believed);
        let told = talk.told();
        assert_eq!(
            told,
            [
                "AMQP 3",
                "mechanisms PLAIN TPM",
                "outcome 0",
                "AMQP 0",
                "open",
                "begin for 0",
                "attach 0 receiver link at 0neS/registrations/Press-1",
                "flow 0 after 0 credit 8",
                "attach 1 sender link at 0neS/registrations/Press-1",
            ]
        );
        talk
    }

    fn send(&mut self, bytes: &[u8]) {
        self.session.receive(bytes, self.now);
    }

    fn hello(&mut self) -> DeviceHello {
        match self.session.question() {
            Some(Question::Authenticate(hello)) => hello,
            other => panic!("not the question: {other:?}"),
        }
    }

    fn judge(&mut self, verdict: Verdict) {
        self.hello();
        self.session.judged(verdict, self.now);
    }

    fn call(&mut self) -> DeviceRequest {
        match self.session.question() {
            Some(Question::Call(_, request)) => request,
            other => panic!("not the question: {other:?}"),
        }
    }

    /// Answers the one call that is asked for.
    fn answer(&mut self, response: &DeviceResponse) {
        self.call();
        self.session.answered(response, self.now);
    }

    /// What the device is told, in words; nothing is asked for it.
    fn told(&mut self) -> Vec<String> {
        words(&self.output())
    }

    fn output(&mut self) -> Vec<u8> {
        if !self.session.asked {
            assert!(self.session.question().is_none(), "there is a question");
        }
        self.session.take_output()
    }

    /// That the connection is over, and why.
    fn over(&self) -> End {
        assert!(self.session.is_over());
        self.session.end()
    }
}
