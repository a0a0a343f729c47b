//! The codec, case by case. The numbers are those of `docs/conformance.md`.
#![cfg(test)]

mod emitted;
mod judged;
#[path = "../octets/mod.rs"]
mod octets;
mod refused;

use std::net::IpAddr;
use std::time::Duration;

use vrrp::packet::{Addresses, Advert, Auth, Password};
use vrrp::{AdvertInterval, Priority, Version, Vrid};

const M0: &str = "10.55.0.11";
const M1: &str = "10.55.0.12";
const VIP: &str = "10.55.0.100";
const M0_V6: &str = "fe80::ff:fe00:11";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn advert(version: Version, millis: u64, priority: u8, addresses: &[&str]) -> Advert {
    let interval = Duration::from_millis(millis);
    Advert {
        version,
        vrid: Vrid::new(51).unwrap(),
        priority: Priority::new(priority),
        interval: AdvertInterval::new(version, interval).unwrap(),
        auth: Auth::None,
        addresses: Addresses::new(addresses.iter().map(|text| ip(text)).collect())
            .unwrap(),
    }
}

fn with_password(advert: Advert, password: &str) -> Advert {
    Advert {
        auth: Auth::Simple(Password::new(password)),
        ..advert
    }
}
