//! Each way a check can end, against real servers on loopback. No test waits for time to
//! pass: where a check must run out of time, the server says when it has done its part,
//! and the paused clock then jumps.

mod certificates;
mod connect;
mod handshake;
mod response;
mod serve;
