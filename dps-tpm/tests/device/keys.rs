//! Which keys a TPM has, and when they change.

use dps_core::tpm::PublicKey;
use dps_tpm::simulator::Simulator;
use dps_tpm::{Algorithm, Error, Keys, Tpm};

/// All that a TPM's two keys can be.
pub const ALL: [Keys; 4] = {
    use Algorithm::{EccP256, Rsa2048};
    [
        keys(Rsa2048, Rsa2048),
        keys(Rsa2048, EccP256),
        keys(EccP256, Rsa2048),
        keys(EccP256, EccP256),
    ]
};

const fn keys(endorsement: Algorithm, storage: Algorithm) -> Keys {
    Keys {
        endorsement,
        storage,
    }
}

/// The quickest to make.
pub const ECC: Keys = ALL[3];

fn public(tpm: &Tpm) -> [Vec<u8>; 2] {
    [
        tpm.endorsement_key().unwrap(),
        tpm.storage_root_key().unwrap(),
    ]
}

#[test]
fn keys_are_made_once_and_stay() {
    let simulator = Simulator::start().unwrap();
    let tpm = Tpm::open(&simulator.name(), ECC).unwrap();
    let made = public(&tpm);
    drop(tpm);
    // What is there is used, whatever is asked for.
    let tpm = Tpm::open(&simulator.name(), Keys::default()).unwrap();
    assert_eq!(public(&tpm), made);
}

#[test]
fn each_tpm_has_keys_of_its_own() {
    let simulators = [(); 2].map(|()| Simulator::start().unwrap());
    let [first, second] = simulators
        .each_ref()
        .map(|simulator| public(&Tpm::open(&simulator.name(), ECC).unwrap()));
    assert_ne!(first[0], second[0]);
    assert_ne!(first[1], second[1]);
}

#[test]
fn the_service_takes_every_key_of_a_tpm() {
    for keys in ALL {
        let simulator = Simulator::start().unwrap();
        let tpm = Tpm::open(&simulator.name(), keys).unwrap();
        for key in public(&tpm) {
            assert_eq!(PublicKey::parse(&key).unwrap().bytes(), key);
        }
    }
}

#[test]
fn clearing_changes_the_storage_root_key_alone() {
    let simulator = Simulator::start().unwrap();
    for keys in [ECC, Keys::default()] {
        let mut tpm = Tpm::open(&simulator.name(), keys).unwrap();
        tpm.clear(keys).unwrap();
        let [endorsement, storage] = public(&tpm);
        tpm.clear(keys).unwrap();
        assert_eq!(tpm.endorsement_key().unwrap(), endorsement);
        assert_ne!(tpm.storage_root_key().unwrap(), storage);
        drop(tpm);
        let tpm = Tpm::open(&simulator.name(), keys).unwrap();
        assert_eq!(tpm.endorsement_key().unwrap(), endorsement);
    }
}

/// As azure-iot-sdk-c, azure-iot-sdk-node and the service's documentation have them.
#[test]
fn rsa_keys_begin_as_those_of_device_sdks() {
    let simulator = Simulator::start().unwrap();
    let tpm = Tpm::open(&simulator.name(), Keys::default()).unwrap();
    let [endorsement, storage] = public(&tpm);
    let begins = [
        0x01, 0x3a, 0, 1, 0, 0x0b, 0, 3, 0, 0xb2, 0, 0x20, 0x83, 0x71,
    ];
    assert_eq!((endorsement.len(), &endorsement[..14]), (316, &begins[..]));
    // AES-128-CFB, no scheme, 2048 bits, exponent 65537.
    let parameters = [0, 6, 0, 0x80, 0, 0x43, 0, 0x10, 8, 0, 0, 0, 0, 0, 1, 0];
    assert_eq!(endorsement[44..60], parameters);
    let begins = [0x01, 0x1a, 0, 1, 0, 0x0b, 0, 3, 4, 0x72, 0, 0];
    assert_eq!((storage.len(), &storage[..12]), (284, &begins[..]));
    assert_eq!(storage[12..28], parameters);
}

#[test]
fn what_is_not_there_is_said_so() {
    let error = Tpm::open("wtpm:host=127.0.0.1", ECC).unwrap_err();
    assert!(matches!(error, Error::Name(_)), "{error}");
    let simulator = Simulator::start().unwrap();
    let (name, directory) = (simulator.name(), simulator.directory().to_owned());
    assert!(directory.exists());
    drop(simulator);
    assert!(!directory.exists());
    let error = Tpm::open(&name, ECC).unwrap_err();
    assert!(matches!(error, Error::Open { .. }), "{error}");
}
