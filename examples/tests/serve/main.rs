//! The example server as a process of its own: devices register, a signal ends it.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[cfg(unix)]
mod postgres;
mod records;
mod running;
#[path = "../support/mod.rs"]
mod support;

use std::process::Command;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dps_core::id::SecretBytes;
use dps_examples::device::{Answer, Device, Transport};
use dps_testkit::certs::{Ca, Identity};
use serde_json::{Value, json};

use self::running::{Running, program, service};
use self::support::{Folder, SOUND};

fn x509(slots: &str, pem: &str) -> Value {
    let certificate = json!({"certificate": pem});
    json!({"type": "x509", "x509": {slots: {"primary": certificate}}})
}

fn assigned(answer: &Answer, registration: &str) {
    assert_eq!(answer.hub(), Some("west.example.net"), "{answer:?}");
    assert_eq!(
        answer.body["registrationState"]["registrationId"],
        registration
    );
}

#[tokio::test]
async fn devices_of_every_kind_register_and_sigterm_ends_it_with_status_0() {
    let folder = Folder::new();
    let press = Identity::self_signed("press-1");
    let line = Ca::root("Factory");
    let inner = line.intermediate("Line 1");
    folder.json(
        "line.json",
        &json!({
            "enrollmentGroupId": "line-1", "attestation": x509("signingCertificates", &inner.certificate_pem()),
        }),
    );
    folder.json(
        "devices/a.json",
        &json!({
            "registrationId": "press-1", "attestation": x509("clientCertificates", &press.certificate_pem()),
            "deviceId": "Press#1",
        }),
    );
    let (one, many) = (SecretBytes::new(vec![1; 32]), SecretBytes::new(vec![2; 64]));
    let symmetric = |key: &SecretBytes| {
        let key = BASE64_STANDARD.encode(key.expose());
        json!({"type": "symmetricKey", "symmetricKey": {"primaryKey": key}})
    };
    folder.json("devices/b.json", &json!([
        {"registrationId": "kiosk-7", "attestation": symmetric(&one)},
        {"registrationId": "sensor-13", "attestation": symmetric(&one), "provisioningStatus": "disabled"},
    ]));
    folder.json(
        "groups.json",
        &json!([
            {"enrollmentGroupId": "sensors", "attestation": symmetric(&many)},
        ]),
    );
    // The chain of the line ends at a certificate of the instance.
    folder.write("factory.pem", &line.certificate_pem());
    let more = "[[instance.certificate]]\nname = \"factory\"\nfile = \"factory.pem\"\n";
    let text = SOUND.replace("\"groups.json\"", "\"groups.json\", \"line.json\"");
    folder.write("serve.toml", &format!("{text}\n{more}"));

    let running = Running::start(&folder);
    let service = service(&folder, &running);

    let answer = service
        .register(&Device::with_certificate("press-1", press), None)
        .await
        .unwrap();
    assigned(&answer, "press-1");
    assert_eq!(answer.body["registrationState"]["deviceId"], "Press#1");
    assert_eq!((answer.status, answer.exchanges), (202, 1));

    let member = Device::with_certificate("robot-4", inner.device("robot-4"));
    assigned(&service.register(&member, None).await.unwrap(), "robot-4");
    let kiosk = Device::with_key("kiosk-7", one.clone());
    assigned(&service.register(&kiosk, None).await.unwrap(), "kiosk-7");
    let sensor = Device::of_group("sensor-12", &many);
    assigned(&service.register(&sensor, None).await.unwrap(), "sensor-12");

    let blocked = Device::with_key("sensor-13", one);
    assert_eq!(
        service.register(&blocked, None).await.unwrap().state(),
        "disabled"
    );
    for stranger in [
        Device::with_certificate("press-1", Identity::self_signed("press-1")),
        Device::with_key("kiosk-7", many.clone()),
        Device::with_key("nobody", many),
    ] {
        let answer = service.register(&stranger, None).await.unwrap();
        assert_eq!(
            (answer.status, &answer.body["errorCode"]),
            (401, &json!(401_002))
        );
    }
    assert_eq!(running.signal("TERM").code(), Some(0));
}

// Paused, so that the device need not really wait before it asks again.
#[tokio::test(start_paused = true)]
async fn without_grace_a_registration_takes_two_exchanges_and_custom_echoes_the_payload() {
    let folder = Folder::new();
    let custom = "allocation_policy = \"custom\"\nid_scope";
    let text = SOUND.replace("id_scope", custom);
    folder.write("serve.toml", &format!("grace_ms = 0\n{text}"));
    let running = Running::start(&folder);
    let service = service(&folder, &running);
    let device = Device::with_key("press-2", SecretBytes::new(vec![0; 32]));
    let answer = service
        .register(&device, Some(&json!({"line": 3})))
        .await
        .unwrap();
    assigned(&answer, "press-2");
    assert_eq!((answer.status, answer.exchanges), (200, 2));
    assert_eq!(
        answer.body["registrationState"]["payload"],
        json!({"echo": {"line": 3}})
    );
    assert_eq!(running.signal("INT").code(), Some(0));
}

#[tokio::test(start_paused = true)]
async fn mqtt_and_amqp_listen_beside_https_and_in_its_websockets() {
    for (grace, exchanges) in [("", 1), ("grace_ms = 0", 2)] {
        let folder = Folder::new();
        let factory = Ca::root("Factory");
        let line = factory.intermediate("Line");
        folder.write("factory.pem", &factory.certificate_pem());
        let groups = json!({
            "enrollmentGroupId": "line", "attestation": x509("signingCertificates", &line.certificate_pem()),
        });
        folder.json("groups.json", &groups);
        let listen = "[listen]\nmqtts = \"127.0.0.1:0\"\namqps = \"127.0.0.1:0\"";
        let text = SOUND
            .replace("[listen]", listen)
            .replace("id_scope", "allocation_policy = \"custom\"\nid_scope");
        let more = "[[instance.certificate]]\nname = \"factory\"\nfile = \"factory.pem\"\n";
        folder.write("serve.toml", &format!("{grace}\n{text}\n{more}"));
        let running = Running::start(&folder);
        let service = service(&folder, &running);
        for transport in [
            Transport::Mqtt,
            Transport::MqttOverWebSockets,
            Transport::Amqp,
            Transport::AmqpOverWebSockets,
        ] {
            let kiosk = Device::with_key("press-2", SecretBytes::new(vec![0; 32]));
            let payload = json!({"line": 3});
            let answer = service.register_over(transport, &kiosk, Some(&payload));
            let answer = answer.await.unwrap();
            assigned(&answer, "press-2");
            assert_eq!((answer.status, answer.exchanges), (200, exchanges));
            let echo = &answer.body["registrationState"]["payload"];
            assert_eq!(echo, &json!({"echo": {"line": 3}}));

            let robot = Device::with_certificate("robot-4", line.device("robot-4"));
            let answer = service.register_over(transport, &robot, None);
            assigned(&answer.await.unwrap(), "robot-4");

            let stranger = Device::with_key("press-2", SecretBytes::new(vec![1; 32]));
            let answer = service.register_over(transport, &stranger, None);
            let answer = answer.await.unwrap();
            assert_eq!((answer.status, answer.exchanges), (401, 1));
            if matches!(transport, Transport::Mqtt | Transport::MqttOverWebSockets) {
                assert_eq!(answer.body["errorCode"], 401_002);
            } else {
                // SASL says no more.
                assert!(answer.body.is_null());
            }

            let stranger = Ca::root("Elsewhere").device("robot-5");
            let stranger = Device::with_certificate("robot-5", stranger);
            let answer = service.register_over(transport, &stranger, None);
            let answer = answer.await.unwrap();
            assert_eq!((answer.status, answer.exchanges), (401, 1));
            assert_eq!(answer.body["errorCode"], 401_002);
        }
        assert_eq!(running.signal("TERM").code(), Some(0));
    }
}

#[test]
fn a_bad_configuration_ends_it_with_a_complaint_and_status_1() {
    let folder = Folder::new();
    folder.write("serve.toml", &SOUND.replace("root.pem", "missing.pem"));
    let run = |more: &[&str]| {
        Command::new(program())
            .arg(folder.config())
            .args(more)
            .output()
            .unwrap()
    };
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    let expected = "serve.toml: instance[0].certificate[0].file: missing.pem: No such file";
    assert!(said.contains(expected), "{said}");

    folder.write("serve.toml", &SOUND.replace("127.0.0.1", "192.0.2.1"));
    let said = String::from_utf8(run(&[]).stderr).unwrap();
    assert!(
        said.contains("serve.toml: listen.https: 192.0.2.1:0: "),
        "{said}"
    );

    for key in ["mqtts", "amqps", "operators"] {
        let listen = format!("[listen]\n{key} = \"192.0.2.1:0\"");
        folder.write("serve.toml", &SOUND.replace("[listen]", &listen));
        let said = String::from_utf8(run(&[]).stderr).unwrap();
        let expected = format!("serve.toml: listen.{key}: 192.0.2.1:0: ");
        assert!(said.contains(&expected), "{said}");
    }

    folder.write("serve.toml", SOUND);
    let running = Running::start(&folder);
    folder.write(
        "serve.toml",
        &SOUND.replace("127.0.0.1:0", &running.address.to_string()),
    );
    let said = String::from_utf8(run(&[]).stderr).unwrap();
    assert!(said.contains("Address already in use"), "{said}");

    folder.write("serve.toml", SOUND);
    assert!(run(&["--check"]).status.success());
}
