//! The PROXY protocol, versions 1 and 2 (haproxy, `doc/proxy-protocol.txt`): who a client is
//! behind another proxy, told in front of its bytes.
//!
//! A value and its bytes: [`parse()`] and [`emit()`] are inverse to each other. The parser is
//! strict, since what it lets pass decides whom lists and limits apply to.

mod crc32c;
mod emit;
mod parse;

use std::net::SocketAddr;

pub use emit::emit;
pub use parse::{Malformed, Parsed, parse};

/// How a header is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Version {
    /// One line of text.
    V1,
    /// Binary.
    V2,
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// The connection is the proxy's own (a check), or it does not know the client: what the
    /// socket says counts.
    Local,
    /// The client, and the address it connected to; both of one family.
    Tcp {
        /// The client.
        source: SocketAddr,
        /// Where it connected to.
        destination: SocketAddr,
    },
}

/// The longest header that is taken. Version 1 has at most 107 bytes; of version 2 this
/// leaves room for the TLS details and names that proxies add.
pub const LONGEST: usize = 2048;
