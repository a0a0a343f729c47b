//! Keys and certificates as values; files are the last step.
//!
//! ```text
//!   Profile (subject, SANs, purposes) ─┐
//!   Authority (certificate + key) ─────┼─▶ issue(now) ─▶ Issued { certificate, key }
//!   SystemTime ────────────────────────┘                    │
//!                                                           ▼
//!   ControlPlane (names, addresses) ──▶ issue(now) ──▶ ControlPlaneSet ──▶ Vec<File> ──▶ write
//!                                                           │
//!                                                           └──▶ Kubeconfig ──▶ YAML
//! ```
//!
//! An [`Authority`] is made here or adopted from PEM files ([`Authority::from_pem`]), and
//! certifies keys that others made ([`PublicKey`]) as well. Keys made here are ECDSA P-256
//! (SHA-256), on ring, or RSA of 2048 bits where that is asked for; it signs with adopted ones on P-384, of Ed25519 and of RSA too.
//! The crate reads no clock: the time of issue is an argument, and certificates begin
//! [`BACKDATE`] before it, for the clocks that are behind. `Debug` never shows a private
//! key.

#![forbid(unsafe_code)]

mod adopt;
mod anchor;
mod authority;
mod certify;
mod control_plane;
mod der;
mod files;
mod fits;
mod key;
mod kubeconfig;
mod layout;
mod network;
mod profile;
mod public;
mod rsa;
mod text;

pub use adopt::AdoptError;
pub use anchor::{Anchor, RequestError, request};
pub use authority::{Authority, BACKDATE, CA_LIFETIME, IssueError, LEAF_LIFETIME};
pub use certify::{Encipherment, Validity};
pub use control_plane::{
    ControlPlane, ControlPlaneError, ControlPlaneSet, Node, NodeSet,
};
pub use files::{File, Mode, WriteError, write};
pub use fits::{is_anothers, key_fits};
pub use key::{Issued, KeyKind, KeyKindError, PrivatePem, ServiceAccountKey};
pub use kubeconfig::Kubeconfig;
pub use network::{NetworkError, ServiceNetwork};
pub use profile::{Name, NameError, Profile, Purpose};
pub use public::PublicKey;
