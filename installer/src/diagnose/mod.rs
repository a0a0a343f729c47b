//! What a maintainer would ask for, in one file without secrets, and what most likely is
//! behind it, in words.
//!
//! ```text
//! hosts ──pieces──▶ Mask ──▶ Archive (tar.gz, for its owner alone)
//!    └── status, preflight, units' last words ──▶ causes, a line each
//! ```

mod archive;
mod causes;
mod mask;
mod value;

pub use archive::{Archive, ArchiveError};
pub use causes::{Seen, causes};
pub use mask::Mask;

/// What the API is asked for, with the name that the answer gets. Never Secrets, never
/// ConfigMaps.
pub const OBJECTS: [(&str, &str); 11] = [
    ("version.json", "/version"),
    ("readyz.txt", "/readyz?verbose"),
    ("nodes.json", "/api/v1/nodes?limit=500"),
    ("pods.json", "/api/v1/pods?limit=500"),
    ("events.json", "/api/v1/events?limit=500"),
    ("services.json", "/api/v1/services?limit=500"),
    (
        "endpoints.json",
        "/apis/discovery.k8s.io/v1/endpointslices?limit=500",
    ),
    ("daemonsets.json", "/apis/apps/v1/daemonsets?limit=500"),
    ("deployments.json", "/apis/apps/v1/deployments?limit=500"),
    (
        "leases.json",
        "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases",
    ),
    (
        "requests.json",
        "/apis/certificates.k8s.io/v1/certificatesigningrequests?limit=500",
    ),
];
