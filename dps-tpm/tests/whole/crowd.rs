//! Several devices at once.

use std::thread;

use crate::site::*;

/// Each on a thread of its own, with a simulator of its own, all over the same three ports.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_do_not_get_each_others_keys() {
    let site = Site::open().await;
    let endpoint = site.listen();
    let mut running = Vec::new();
    for number in 0..12 {
        let mut device = Device::new(&format!("press-{number}"), ECC);
        site.enroll(&device).await;
        let endpoint = endpoint.clone();
        running.push(thread::spawn(move || {
            let transport = TRANSPORTS[number % TRANSPORTS.len()];
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let work = endpoint.register(transport, &mut device.tpm, &device.id, None);
            let found = runtime.block_on(work).unwrap();
            assert_eq!((found.exchanges, &found.device_id), (2, &device.id));
            device
        }));
    }
    let mut keys = Vec::new();
    for device in running {
        let mut device = device.join().unwrap();
        assert!(site.knows(&mut device));
        keys.push(site.hub_key(&device.id));
    }
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 12);
}
