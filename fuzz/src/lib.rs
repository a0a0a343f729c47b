//! One target per parser of what strangers write.
//!
//! ```text
//!   seeds ─▶ mutate ─▶ target: the parser, and what must hold of its answer
//!   (the tests' own files)        └─ hello, proxy, vrrp, channel, request, …
//! ```
//! `tests/mutated.rs` runs each on its seeds and on some thousand mutations of them, the same
//! ones in every run. `coverage/` runs the same targets under libFuzzer, for as long as one
//! likes (`make fuzz`). A target panics when something does not hold; that nothing else panics
//! is most of what is looked for.

#![expect(
    clippy::panic,
    reason = "a target that finds something panics: that is how a fuzzer hears of it"
)]

use std::io;
use std::path::{Path, PathBuf};

pub mod mutate;
pub mod targets;

/// What is fed to one parser.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// By what name it is asked for.
    pub name: &'static str,
    /// Feeds one input.
    pub run: fn(&[u8]),
    /// Where good and bad inputs lie: files, or folders and how their files end, from the
    /// root of the repository.
    pub seeds: &'static [(&'static str, &'static str)],
}

impl Target {
    /// The files it begins with, by path, in order.
    ///
    /// # Errors
    /// A folder of [`Self::seeds`] cannot be read.
    pub fn files(&self) -> io::Result<Vec<PathBuf>> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut files = Vec::new();
        for (folder, ending) in self.seeds {
            for entry in std::fs::read_dir(root.join(folder))? {
                let path = entry?.path();
                if path.is_file() && path.to_string_lossy().ends_with(ending) {
                    files.push(path);
                }
            }
        }
        files.sort();
        Ok(files)
    }
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target {
        name: "hello",
        run: targets::wire::hello,
        seeds: &[("lb/src/hello/corpus", ".bin")],
    },
    Target {
        name: "proxy",
        run: targets::wire::proxy,
        seeds: &[("lb/tests/proxy", "")],
    },
    Target {
        name: "vrrp",
        run: targets::wire::vrrp,
        seeds: &[("fuzz/seeds/vrrp", ".bin")],
    },
    Target {
        name: "channel",
        run: targets::wire::channel,
        seeds: &[("fuzz/seeds/channel", "")],
    },
    Target {
        name: "request",
        run: targets::requests::request,
        seeds: &[("fuzz/seeds/request", ".pem")],
    },
    Target {
        name: "manifest",
        run: targets::requests::manifest,
        seeds: &[("fuzz/seeds/manifest", ".yaml")],
    },
    Target {
        name: "token",
        run: targets::requests::token,
        seeds: &[("fuzz/seeds/token", ".csv")],
    },
    Target {
        name: "api-lb",
        run: targets::files::api_lb,
        seeds: &[("lb/tests/configs", ".yaml")],
    },
    Target {
        name: "vip-daemon",
        run: targets::files::vip_daemon,
        seeds: &[
            ("vip/tests/config/valid", ".yaml"),
            ("vip/tests/config/invalid", ".yaml"),
        ],
    },
    Target {
        name: "bootstrap-signer",
        run: targets::files::bootstrap_signer,
        seeds: &[("bootstrap-signer/tests/configs", ".yaml")],
    },
    Target {
        name: "inventory",
        run: targets::files::inventory,
        seeds: &[("bootstrap-signer/tests/configs", ".inventory")],
    },
    Target {
        name: "cluster",
        run: targets::files::cluster,
        seeds: &[("installer/tests/spec", ".yaml")],
    },
    Target {
        name: "haproxy",
        run: targets::files::haproxy,
        seeds: &[("lb/tests/imports", ".cfg")],
    },
    Target {
        name: "nginx",
        run: targets::files::nginx,
        seeds: &[("lb/tests/imports", ".conf")],
    },
    Target {
        name: "keepalived",
        run: targets::files::keepalived,
        seeds: &[
            ("vip/tests/import", ".conf"),
            ("fuzz/seeds/keepalived", ".conf"),
        ],
    },
    Target {
        name: "env.sh",
        run: targets::files::env_sh,
        seeds: &[("installer/tests/import", ".sh")],
    },
];
