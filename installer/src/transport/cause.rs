//! Why a host most likely does not answer, by what ssh and the far side's shell said.

/// A phrase, and what is behind it.
struct Sign {
    said: &'static str,
    cause: &'static str,
}

const fn sign(said: &'static str, cause: &'static str) -> Sign {
    Sign { said, cause }
}

/// The more telling ones first.
const SIGNS: &[Sign] = &[
    sign(
        "exec format error",
        "it has another processor than the program that was put there; give --agent a sternpost \
         that is built for it",
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
        "it is up, and no sshd listens at that port; correct hosts[].ssh.port, or start it",
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
    let lower = said.to_ascii_lowercase();
    let mut signs = SIGNS.iter();
    let found = signs.find(|sign| lower.contains(sign.said));
    found.map(|sign| sign.cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_words_lead_to_their_cause() {
        for (said, wanted) in [
            (
                "sh: 1: /run/sternpost-agent-1-2: Exec format error (exit status: 126)",
                Some("it has another processor"),
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
            ("killed (signal: 9)", None),
        ] {
            let found = cause(said);
            let fits = match (found, wanted) {
                (Some(found), Some(wanted)) => found.starts_with(wanted),
                (found, wanted) => found == wanted,
            };
            assert!(fits, "{said}: {found:?}");
        }
    }

    #[test]
    fn phrases_are_in_small_letters() {
        for sign in SIGNS {
            assert_eq!(sign.said, sign.said.to_ascii_lowercase());
        }
    }
}
