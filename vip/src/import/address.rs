//! A line of `virtual_ipaddress`: `192.168.220.224/24 brd 192.168.220.255 dev ens33 label
//! ens33:0`, and keepalived's other words.

use super::draft::Placed;
use super::instance::Reading;
use super::words::Directive;

/// Does an address stand in the adverts?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Advertised {
    Yes,
    No,
}

/// The scopes that our files know.
const SCOPES: [&str; 4] = ["global", "site", "link", "host"];

impl Reading<'_> {
    pub(super) fn address(&mut self, at: &Directive, advertised: Advertised) {
        let (placed, lost) = placed(at);
        let first = self.router.addresses.first();
        if advertised == Advertised::No
            && first.is_some_and(|first| first.is_v6() != placed.is_v6())
        {
            let what = "it is of another family than those in the adverts, and not \
                        written; make a second router of it, and a sync group of the two";
            return self.report.unsupported(at, what);
        }
        let addresses = match advertised {
            Advertised::Yes => &mut self.router.addresses,
            Advertised::No => &mut self.router.excluded,
        };
        addresses.push(placed);
        if lost.is_empty() {
            let bare = if at.name().contains('/') {
                ""
            } else {
                "a host's address (/32), as keepalived puts it"
            };
            return self.report.honoured(at, bare);
        }
        let lost = lost.join(", ");
        let what = format!("the address is written, without: {lost}");
        self.report.unsupported(at, what);
    }
}

/// What our files say, and the words that they have nothing for.
fn placed(at: &Directive) -> (Placed, Vec<String>) {
    let mut placed = Placed {
        address: at.name().to_owned(),
        ..Placed::default()
    };
    // The kernel keeps neither for IPv6, and knows the scope from the address.
    let v4 = !placed.is_v6();
    let mut lost = Vec::new();
    let mut words = at.words.iter().map(String::as_str).skip(1);
    while let Some(word) = words.next() {
        let value = match word {
            "dev" | "label" | "scope" | "brd" | "peer" | "preferred_lft"
            | "track_group" => words.next().unwrap_or_default(),
            _ => "",
        };
        let owned = || Some(value.to_owned());
        match word {
            "dev" => placed.device = owned(),
            "label" | "brd" | "scope" if !v4 => {}
            "label" => placed.label = owned(),
            "brd" if value.parse::<std::net::Ipv4Addr>().is_ok() => {
                placed.broadcast = owned();
            }
            "scope" if value == "global" => {}
            "scope" if SCOPES.contains(&value) => placed.scope = owned(),
            // No address of ours is doubted, nor has one a life of its own.
            "-nodad" | "nodad" => {}
            _ => lost.push(format!("{word} {value}").trim().to_owned()),
        }
    }
    (placed, lost)
}
