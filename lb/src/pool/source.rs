//! The server of a client's address: rendezvous hashing.
//!
//! Every server draws a number from the address, and the highest wins. When a server leaves,
//! only its own clients have a new winner; when one comes, it wins its share and nothing else
//! moves. Weights scale the draw (the logarithmic method), so that a server wins by its share.

use std::net::{IpAddr, SocketAddr};

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;
/// 2^53: as many values as a float tells apart.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// What stands for a client's address. An IPv4 address within IPv6 is the IPv4 address.
#[must_use]
pub fn client(ip: IpAddr) -> u64 {
    match ip.to_canonical() {
        IpAddr::V4(four) => hash(&four.octets()),
        IpAddr::V6(six) => hash(&six.octets()),
    }
}

/// What stands for a server: by its address and not its name, so that masters that name it
/// differently send a client to the same one.
#[must_use]
pub fn server(address: SocketAddr) -> u64 {
    let port = address.port().to_be_bytes();
    mix(client(address.ip()) ^ hash(&port))
}

/// What a server draws for a client: the highest wins.
#[must_use]
pub fn draw(client: u64, server: u64, weight: u16) -> f64 {
    let number = mix(client ^ server.rotate_left(31)) >> 11;
    // Between 0 and 1, and neither of them.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    let unit = (number as f64 + 0.5) / EXACT;
    f64::from(weight.max(1)) / -unit.ln()
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(OFFSET, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    })
}

/// The finalizer of SplitMix64: neighbouring addresses have nothing in common after it.
const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
