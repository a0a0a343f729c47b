//! The admin server over real sockets: what it answers, and what it does not put up
//! with.

mod answers;
mod endures;
mod places;
mod rig;
