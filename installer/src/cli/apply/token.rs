//! The token that lets new nodes in: on masters for as long as somebody is to join, and no
//! longer. Whoever has joined needs it no more, and a master that keeps it would apply it at
//! every boot.

use std::time::Duration;

use super::super::reach;
use super::super::served::{self, Pace};
use crate::agent::Order;
use crate::apply::Transport;
use crate::facts::{Kind, Wanted};
use crate::render::Newcomers;
use crate::reset::Step;
use crate::resource::Shared;
use crate::transport::asked;

use super::site::{Site, is_node};

/// From the start of a kubelet until it has its certificate: it asks for it, and bootstrap-signer
/// decides, in a second or two; not where nothing serves yet.
const PACE: Pace = Pace {
    again: Duration::from_millis(250),
    patience: Duration::from_secs(20),
};

/// Whether nobody of a host is to join any more; one that is on its way is waited for. A master's
/// own kubelet never is: it shows what it was given, and has none of its own before that is
/// renewed.
pub(super) fn has_joined(
    site: &mut Site<'_>,
    stop: &dyn Fn() -> bool,
    waits: impl FnOnce(&str),
) -> bool {
    if !is_node(site.host) || site.known.newcomers == Newcomers::None {
        return true;
    }
    let way = &mut site.way;
    let joined = || match reach::machine(way) {
        Ok(machine) if machine.joined => None,
        Ok(_) => Some("its kubelet has no certificate yet".to_owned()),
        Err(error) => Some(error),
    };
    served::until(&PACE, stop, waits, joined).is_ok()
}

/// Takes it off a master.
pub(super) fn gone(way: &mut impl Transport) -> Result<(), String> {
    let paths: Vec<_> = Shared::Token
        .paths()
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    let wanted = Wanted {
        paths,
        ..Wanted::default()
    };
    let facts = asked::looked(way, wanted).map_err(|error| error.to_string())?;
    for (path, entry) in facts.entries {
        if let Kind::File { sha256, .. } = entry.kind {
            let step = Step::File { path, sha256 };
            let done = asked::done(way, Order::Remove(step));
            done.map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}
