//! How to try out an allocation policy of your own before any device meets it.
//!
//! The policy here keeps the devices of each big customer on a hub of their own and spreads all
//! others by weight. The program simulates a fleet, shows where everybody ends up, and asks the
//! question that matters before a change: who moves when a customer gets a hub, and another hub is
//! linked?
//!
//! ```text
//! cargo run --example custom_policy
//! ```
//!
//! Corners cut: a real vendor would put the `assert!`s into tests, next to
//! `dps_testkit::hook::conformance!`, which checks what every policy owes.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use async_trait::async_trait;
use dps_core::allocate::{
    Allocation, AllocationHook, AllocationRequest, BuiltIn, HookError, Policy,
};
use dps_core::id::{HubName, IdError};
use dps_core::instance::LinkedHub;
use dps_testkit::run::block_on;
use dps_testkit::sim::{Fleet, Placement, hubs, simulate};
use serde_json::json;

/// The policy under test. A device says whose it is: `{"customer": "…"}`.
#[derive(Debug)]
struct OwnHubs {
    /// Customers and their hubs, which nobody else may use.
    owners: Vec<(&'static str, HubName)>,
    /// For everybody else.
    others: BuiltIn,
}

impl OwnHubs {
    fn new(owners: &[(&'static str, &str)]) -> Result<Self, IdError> {
        let mut own = Vec::new();
        for (customer, hub) in owners {
            own.push((*customer, HubName::parse(hub)?));
        }
        Ok(Self {
            owners: own,
            others: BuiltIn::new(Policy::Hashed),
        })
    }
}

#[async_trait]
impl AllocationHook for OwnHubs {
    async fn allocate(&self, request: &AllocationRequest<'_>) -> Result<Allocation, HookError> {
        // Absent, no object, no text: then it is nobody's device.
        let customer = request.payload.and_then(|sent| sent["customer"].as_str());
        let own = self.owners.iter().find(|(name, _)| Some(*name) == customer);
        if let Some((customer, hub)) = own {
            // Refuse rather than let the customer's devices mix with others.
            return if request.hubs.iter().any(|candidate| candidate.name == *hub) {
                Ok(hub.clone().into())
            } else {
                let reason = format!("the hub of {customer} is not available");
                Err(HookError::Refused { reason })
            };
        }
        let owned = |hub: &LinkedHub| self.owners.iter().any(|(_, own)| *own == hub.name);
        let shared: Vec<&LinkedHub> = request.hubs.iter().copied().filter(|h| !owned(h)).collect();
        let mut rest = request.clone();
        rest.hubs = &shared;
        self.others.allocate(&rest).await
    }
}

const DEVICES: usize = 20_000;

/// Every tenth device belongs to ACME, every hundredth to nobody at all.
fn customer(nth: usize) -> &'static str {
    match nth % 100 {
        0 => "",
        n if n % 10 == 1 => "acme",
        _ => "various",
    }
}

fn main() -> Result<(), IdError> {
    let fleet = Fleet::sequential("press-", DEVICES).payload(|nth| match customer(nth) {
        "" => json!(null),
        name => json!({ "customer": name }),
    });

    let today = hubs([("eu.example.net", 1), ("us.example.net", 2)]);
    let tomorrow = hubs([
        ("eu.example.net", 1),
        ("us.example.net", 2),
        ("ap.example.net", 1),
        ("acme.example.net", 1),
    ]);
    let shared = OwnHubs::new(&[])?;
    let owned = OwnHubs::new(&[("acme", "acme.example.net")])?;
    let (before, after) = block_on(async {
        let before = simulate(&shared, &fleet, &today, None).await;
        let after = simulate(&owned, &fleet, &tomorrow, Some(&before)).await;
        (before, after)
    });

    print_table(&tomorrow, &before, &after);
    let moved = before.moved(&after);
    println!("{:.1} % of all devices move.", moved * 100.0);

    // The devices of ACME are on ACME's hub, and nobody else is.
    let acme = &tomorrow[3].name;
    for nth in 0..DEVICES {
        let there = after.hub_of(nth) == Some(acme);
        assert_eq!(there, customer(nth) == "acme", "device {nth}");
    }
    // The others follow the weights 1 : 2 : 1, and only those move that have to: ACME's tenth, and
    // a quarter of the rest.
    let others = (DEVICES - after.count(acme)) as f64;
    for (hub, part) in tomorrow.iter().zip([0.25, 0.5, 0.25]) {
        let share = after.count(&hub.name) as f64 / others;
        assert!((share - part).abs() < 0.02, "{}: {share}", hub.name);
    }
    assert!((moved - (0.1 + 0.9 * 0.25)).abs() < 0.02, "{moved}");

    // Without ACME's hub its devices are refused, and told why; all others are served.
    let missing = block_on(simulate(&owned, &fleet, &tomorrow[..3], Some(&after)));
    println!(
        "Were acme.example.net not linked, {} devices would be refused.",
        missing.refused()
    );
    assert_eq!(missing.refused(), after.count(acme));
    Ok(())
}

/// One line a hub: how many devices it has before and after the change.
fn print_table(hubs: &[LinkedHub], before: &Placement, after: &Placement) {
    println!("{DEVICES} devices; ACME gets a hub of its own, and ap.example.net is linked.\n");
    println!(
        "{:<18}{:>6}{:>10}{:>10}",
        "hub", "weight", "before", "after"
    );
    for hub in hubs {
        let (old, new) = (before.count(&hub.name), after.count(&hub.name));
        println!(
            "{:<18}{:>6}{old:>10}{new:>10}",
            hub.name.as_str(),
            hub.weight
        );
    }
    let (old, new) = (before.refused(), after.refused());
    println!("{:<18}{:>6}{old:>10}{new:>10}\n", "(refused)", "");
}
