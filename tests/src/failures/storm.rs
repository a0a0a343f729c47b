//! Everybody reconnects at once while handshakes are slow.

use std::time::Duration;

use super::backend::Mode;
use super::dials::dials;
use super::figures::Figures;
use super::load::{Demand, Lasting, Load};
use super::play::{SETTLE, pass};
use super::proxy::{PORT, Proxy};
use super::scene::Size;
use super::stage::Stage;
use crate::error::LabError;
use crate::wait;

/// All servers are slow, and everybody comes at once.
pub(super) fn run(
    stage: &mut Stage,
    proxy: &Proxy,
    size: Size,
) -> Result<Figures, LabError> {
    let clients: usize = match size {
        Size::Short => 2_000,
        Size::Whole => 5_000,
    };
    for n in 0..3 {
        stage.tell(n, Mode::Slow)?;
    }
    pass(SETTLE);
    let before = dials(proxy)?;
    let address = (std::net::Ipv4Addr::LOCALHOST, PORT).into();
    let demand = Demand {
        rate: 0,
        storm: clients,
        lasting: Lasting::Asking,
    };
    let load = Load::begin(stage.lb()?, address, demand)?;
    let limit = Duration::from_secs(180);
    wait::until("the storm to be over", limit, || {
        (load.over() >= clients).then_some(())
    })?;
    let after = dials(proxy)?;
    let seen = load.end()?;
    let mut figures = seen.figures(Duration::ZERO);
    // Slow is what the servers are here.
    figures.slow = 0;
    figures.extra = before.zip(after).and_then(|(b, a)| a.extra_since(&b));
    Ok(figures)
}
