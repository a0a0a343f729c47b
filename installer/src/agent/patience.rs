//! How long a unit may take to come up: as long as systemd gives it, which knows by its file.
//! On a slow disk an API server takes minutes, and a member of etcd or a node's flannel waits for
//! hosts whose programs are still on a slow line.

use std::time::Duration;

use super::systemd::value;

/// What any unit gets: another unit may have to come up first.
const LEAST: Duration = Duration::from_secs(120);
/// What a unit gets that systemd gives all the time of the world, as to whatever waits for other
/// hosts: one that is waited for in vain must be named at last.
const LONGEST: Duration = Duration::from_secs(600);
/// From the end of the time that systemd gives until it has said so.
const WORD: Duration = Duration::from_secs(5);

/// How long a unit is waited for, by what `systemctl show` prints.
pub(super) fn patience(text: &str) -> Duration {
    let own = match value(text, "TimeoutStartUSec") {
        Some("infinity") => LONGEST,
        Some(span) => time(span).map_or(LEAST, |own| own + WORD),
        None => LEAST,
    };
    own.clamp(LEAST, LONGEST)
}

/// A span as systemd prints it: `1min 30s` (systemd.time(7)).
fn time(text: &str) -> Option<Duration> {
    let words = text.split_whitespace().map(|word| {
        let unit = word.find(|sign: char| !sign.is_ascii_digit())?;
        let (count, unit) = word.split_at(unit);
        let count: u64 = count.parse().ok()?;
        Some(match unit {
            "us" => Duration::from_micros(count),
            "ms" => Duration::from_millis(count),
            "s" => Duration::from_secs(count),
            "min" => Duration::from_secs(count.checked_mul(60)?),
            "h" => Duration::from_secs(count.checked_mul(3600)?),
            _ => return None,
        })
    });
    words.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_gets_the_time_that_systemd_gives_it() {
        let seconds = Duration::from_secs;
        for (said, wanted) in [
            // An API server, the addons, etcd.
            ("TimeoutStartUSec=4min", seconds(245)),
            ("TimeoutStartUSec=5min", seconds(305)),
            ("TimeoutStartUSec=infinity", LONGEST),
            ("TimeoutStartUSec=1min 30s", LEAST),
            (
                "TimeoutStartUSec=1min 57s 500ms",
                Duration::from_millis(122_500),
            ),
            ("TimeoutStartUSec=1h", LONGEST),
            ("TimeoutStartUSec=2 moons", LEAST),
            ("", LEAST),
        ] {
            let text = format!("Type=notify\n{said}\nJob=\n");
            assert_eq!(patience(&text), wanted, "{said}");
        }
    }
}
