//! A listening socket, open for as long as somebody holds it.

use std::net::{SocketAddr, TcpListener};

use crate::pool::ListenerId;

/// A listening socket: non-blocking, shared by all workers. The last holder closes it.
#[derive(Debug)]
pub struct Listener {
    /// Names it within the process.
    pub id: ListenerId,
    /// Where it listens.
    pub address: SocketAddr,
    /// Set non-blocking; its options (TCP_NODELAY, keepalive, TCP_USER_TIMEOUT) are
    /// inherited by what it accepts.
    pub socket: TcpListener,
}
