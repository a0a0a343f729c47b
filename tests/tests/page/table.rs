//! The table beside the real haproxy's.

use std::process::{Command, Stdio};
use std::time::Duration;

use lab::requirement::peer;
use lab::wait;

use crate::Scene;
use crate::browser::Fallible;
use crate::stage::{address, get};

/// The header line, column by column, and as many cells in each line of ours.
pub(crate) fn table() -> Fallible<()> {
    let scene = Scene::build(90)?;
    let theirs = address(100, 9000);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("haproxy.cfg");
    std::fs::write(
        &file,
        format!(
            "defaults\n mode http\n timeout connect 1s\n timeout client 5s\n timeout server 5s\nlisten stats\n bind {theirs}\n stats enable\n stats uri /stats\n"
        ),
    )?;
    let mut haproxy = Command::new("setpriv")
        .args(["--pdeathsig", "KILL"])
        .arg(peer("haproxy"))
        .args(["-db", "-f"])
        .arg(&file)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let header = (0..500).find_map(|_| match get(theirs, "/stats;csv") {
        Ok(text) => text
            .lines()
            .find(|line| line.starts_with("# "))
            .map(str::to_owned),
        Err(_) => {
            // A start takes some milliseconds; there is nothing to be told by.
            std::thread::park_timeout(Duration::from_millis(20));
            None
        }
    });
    let ended = haproxy.kill().and_then(|()| haproxy.wait());
    ended?;
    let columns: Vec<&str> = header.as_deref().unwrap_or_default().split(',').collect();
    let at = |name: &str| {
        columns
            .iter()
            .position(|column| *column == name)
            .unwrap_or(0)
    };
    // Its first check may not have ended.
    let is_up = |text: &str| {
        let mut rows = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let m1 = rows.find(|row| row.get(1) == Some(&"m1"));
        m1.is_some_and(|row| {
            (row[at("status")], row[at("check_status")]) == ("UP", "L7OK")
        })
    };
    let ours = wait::until("m1 is up", Duration::from_secs(30), || {
        get(scene.daemon.admin, "/stats;csv")
            .ok()
            .filter(|text| is_up(text))
    })?;
    let mut lines = ours.lines();
    assert_eq!(lines.next().map(str::to_owned), header);
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 2 + 4 + 3 + 2, "{ours}");
    for row in &rows {
        assert_eq!(row.len(), columns.len(), "{row:?}");
        assert!(["0", "1", "2"].contains(&row[at("type")]), "{row:?}");
    }
    Ok(())
}
