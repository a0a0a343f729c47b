//! Whom the daemon tells under its unit: a FIFO where keepalived's files have it.

use std::fs;

use libtest_mimic::Failed;

use crate::Booted;

/// What keepalived's users have: a route, and a file that tells of the state.
pub(crate) const STATE: &str = "#!/bin/sh\nPATH=/usr/sbin:/usr/bin\nip route replace 192.0.2.0/24 dev lo\n\
    echo $3 > /var/lib/told.state || exit 1\n";

/// Where the manual has what such a program needs.
const MANUAL: &str = "../docs/config/vip-daemon.md";

/// Outside the folder that the unit lets the daemon write to: it says that it cannot make a
/// FIFO there, and writes to one that was made for it, as `import` says.
pub(crate) fn elsewhere(machine: &Booted) -> Result<(), Failed> {
    let file = "/etc/sternpost/vip-daemon.yaml";
    let (here, there) = ("/run/sternpost/vip.fifo", "/run/keepalived.fifo");
    machine.run(&format!("sed -i 's#{here}#{there}#' {file}"))?;
    machine.run("systemctl reload vip-daemon")?;
    machine.run("vip-daemon release --router api")?;
    machine.until(
        "journalctl -u vip-daemon --no-pager",
        "lines are lost, it cannot be written: Permission denied",
    )?;
    let line = format!("p {there} 0640 vip-daemon sternpost");
    machine.run(&format!("echo '{line}' > /etc/tmpfiles.d/fifo.conf"))?;
    machine.run("systemd-tmpfiles --create /etc/tmpfiles.d/fifo.conf")?;
    let reader =
        format!("systemd-run --unit reader -p StandardOutput=journal cat {there}");
    machine.run(&reader)?;
    // Alone, it takes the addresses again each time.
    machine.until(
        "vip-daemon release --resume --router api; vip-daemon release --router api; \
         journalctl -u reader --no-pager",
        "]: INSTANCE \"api\" ",
    )?;
    machine.run("vip-daemon release --resume --router api")?;
    machine.run(&format!("sed -i 's#{there}#{here}#' {file}"))?;
    machine.run("systemctl reload vip-daemon")?;
    machine.until("vip-daemon status", "200/200")?;
    Ok(())
}

/// A program that changes routes and writes elsewhere cannot under the unit as it is, and can
/// with the drop-in that the manual has.
pub(crate) fn with_more_rights(machine: &Booted) -> Result<(), Failed> {
    let done = "ip route show 192.0.2.0/24; cat /var/lib/told.state 2> /dev/null; true";
    machine.until(
        "journalctl -u vip-daemon --no-pager",
        "a notify script failed",
    )?;
    let before = machine.run(done)?;
    if !before.trim().is_empty() {
        return Err(format!("it could without more rights: {before}").into());
    }
    let manual = fs::read_to_string(MANUAL)?;
    let drop_in = manual.split("```ini\n").nth(1);
    let drop_in = drop_in.and_then(|rest| rest.split("```").next());
    let drop_in = drop_in.ok_or("the manual has no drop-in")?;
    let folder = "/etc/systemd/system/vip-daemon-scripts.service.d";
    machine.run(&format!(
        "mkdir -p {folder} && printf '%s' '{drop_in}' > {folder}/rights.conf && \
         systemctl daemon-reload && systemctl restart vip-daemon-scripts"
    ))?;
    machine.run("vip-daemon release --router web")?;
    machine.run("vip-daemon release --resume --router web")?;
    let done = machine.until(done, "MASTER")?;
    match done.contains("192.0.2.0/24") {
        true => Ok(()),
        false => Err(format!("no route: {done}").into()),
    }
}
