//! What of a configuration waits for a restart when it is read by a reload.

use super::Config;

impl Config {
    /// The keys that differ from `running`, which a reload does not take on.
    #[must_use]
    pub fn waits(&self, running: &Self) -> Vec<&'static str> {
        [
            ("admin.address", self.admin != running.admin),
            ("socket", self.socket != running.socket),
            ("log.format", self.log.format != running.log.format),
            ("channel", self.channel != running.channel),
            ("addressProtocol", self.mark != running.mark),
        ]
        .into_iter()
        .filter_map(|(key, differs)| differs.then_some(key))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_that_waits_for_a_restart_is_named() {
        let config = |more: &str| {
            let text = format!(
                "apiVersion: sternpost/v1\nkind: VipDaemon\nrouters:\n- {{name: a, \
                 interface: eth0, vrid: 51, addresses: [10.0.0.100]}}\n{more}"
            );
            Config::parse("test", &text).unwrap()
        };
        for (more, waits) in [
            ("", &[][..]),
            ("admin: {address: \"127.0.0.1:9011\"}", &["admin.address"]),
            ("socket: /run/a.sock", &["socket"]),
            ("log: {format: json, level: debug}", &["log.format"]),
            ("log: {level: debug}", &[]),
            ("addressProtocol: 99", &["addressProtocol"]),
            ("notify: {fifo: /run/fifo}", &[]),
            ("scripts: {}", &[]),
        ] {
            assert_eq!(config(more).waits(&config("")), waits, "{more}");
        }
    }
}
