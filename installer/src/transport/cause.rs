//! Why a host most likely does not answer, by what ssh and the far side's shell said.

use crate::sign::{Sign, behind, sign};

/// Behind an end that sshd puts to what has begun.
const CLOSED: &str = "it boots, its sshd has more connections begun than it takes (MaxStartups, \
    also of a host on the way), or it lets this user in no more (AllowUsers, an account that has \
    ended); \"journalctl -u ssh\" on it says which (-u sshd on RHEL)";

/// The more telling ones first.
const SIGNS: &[Sign] = &[
    sign(
        "exec format error",
        "it has another processor than the program that was put there; give --agent a sternpost \
         that is built for it",
    ),
    sign(
        "no program can be executed from",
        "its /run and its /var/lib are mounted noexec, as the components' own folders must not \
         be; \"mount -o remount,exec /var/lib\" on it, and in its /etc/fstab",
    ),
    sign(
        "no space left on device",
        "its /run or its disk is full; \"df -h\" on it says which",
    ),
    sign(
        "read-only file system",
        "its disk is mounted for reading alone, as after an error; \"dmesg\" on it says why",
    ),
    sign(
        "host key verification failed",
        "it shows another key than your known_hosts; connect by hand once, and compare",
    ),
    sign(
        "permission denied (publickey",
        "it takes none of your keys; \"ssh-add -l\" names them",
    ),
    sign(
        "could not resolve hostname",
        "nobody knows that name; correct hosts[].ssh.host",
    ),
    sign(
        "connection refused",
        "it is up, and no sshd listens at that port, or a limit on new connections (ufw limit) \
         refuses what comes fast: correct hosts[].ssh.port, start sshd, or let this machine in \
         before the limit (ufw insert 1 allow proto tcp from ADDRESS to any port 22)",
    ),
    sign(
        "not permitted to log in",
        "it boots or goes down, or somebody keeps all but root out; wait until it is there, or \
         remove /run/nologin and /etc/nologin",
    ),
    sign("connection closed by", CLOSED),
    sign("connection reset by", CLOSED),
    sign("kex_exchange_identification", CLOSED),
    sign(
        "it said nothing (exit status: 255)",
        "your ssh is told to be quiet (LogLevel in its configuration); \"ssh -v\" to that host says \
         why",
    ),
    sign(
        "no route to host",
        "it is down, or a firewall keeps ssh out",
    ),
    sign("timed out", "it is down, or a firewall keeps ssh out"),
];

/// The likely cause.
#[must_use]
pub(super) fn cause(said: &str) -> Option<&'static str> {
    behind(SIGNS, said.lines())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::hold;

    #[test]
    fn real_words_lead_to_their_cause() {
        let rows = [
            (
                "sh: 1: /run/sternpost-agent-1-2: Exec format error (exit status: 126)",
                Some("it has another processor"),
            ),
            (
                "no program can be executed from /var/lib/sternpost",
                Some("its /run and its /var/lib are mounted noexec"),
            ),
            (
                "ssh: connect to host 192.0.2.1 port 22: Connection timed out",
                Some("it is down"),
            ),
            (
                "ssh: connect to host 192.0.2.1 port 22: Connection refused",
                Some("it is up"),
            ),
            (
                "root@192.0.2.1: Permission denied (publickey,password).",
                Some("it takes none"),
            ),
            (
                "cat: write error: No space left on device",
                Some("its /run"),
            ),
            (
                "\"System is going down. Unprivileged users are not permitted to log in anymore.\"",
                Some("it boots or goes down"),
            ),
            (
                "Connection closed by 192.0.2.1 port 22",
                Some("it boots, its sshd"),
            ),
            (
                "kex_exchange_identification: Connection closed by remote host",
                Some("it boots, its sshd"),
            ),
            (
                "Connection reset by 192.0.2.1 port 22",
                Some("it boots, its sshd"),
            ),
            (
                "192.0.2.1 refused: it said nothing (exit status: 255)",
                Some("your ssh is told to be quiet"),
            ),
            ("killed (signal: 9)", None),
        ];
        hold(SIGNS, &rows);
    }
}
