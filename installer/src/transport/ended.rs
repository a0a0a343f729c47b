//! What the end of an ssh says: whether the way broke, and why nobody is let in.

use std::process::Output;

/// How ssh says that the far side ended the connection.
const CLOSED: [&str; 3] = [
    "Connection closed by ",
    "Connection reset by ",
    "kex_exchange_identification: ",
];
/// How a host says that it boots or goes down.
const NO_LOGIN: &str = "not permitted to log in";

/// What was said last, or why nobody is let in: that comes before the end of the connection
/// (`pam_nologin(8)`, which holds for everybody but root).
pub(super) fn said(stderr: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(stderr);
    let mut lines = text.lines().rev().filter(|line| !line.trim().is_empty());
    let last = lines.next()?;
    let why = lines.find(|line| line.contains(NO_LOGIN));
    Some(why.unwrap_or(last).trim_end().to_owned())
}

/// Whether the way broke, as it does while a host boots, its sshd begins anew, or has more
/// connections begun than it takes (`MaxStartups` of sshd_config(5)): ssh's own errors are 255
/// (ssh(1), EXIT STATUS), and this one is a word of its own level, `INFO`, which a configuration
/// may keep back.
pub(super) fn broke(output: &Output) -> bool {
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    let closed = |line: &str| CLOSED.iter().any(|word| line.contains(word));
    output.status.code() == Some(255) && last.is_none_or(closed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::*;

    #[test]
    fn a_way_that_broke_is_told_from_a_refusal() {
        let ended = |code: i32, said: &str| Output {
            status: ExitStatus::from_raw(code << 8),
            stdout: Vec::new(),
            stderr: said.into(),
        };
        assert!(broke(&ended(255, "")));
        assert!(broke(&ended(
            255,
            "Connection closed by 192.0.2.1 port 22\r\n"
        )));
        assert!(broke(&ended(
            255,
            "kex_exchange_identification: read: Connection reset by peer\r\n\
             Connection reset by 192.0.2.1 port 22\r\n"
        )));
        assert!(!broke(&ended(255, "Permission denied (publickey).")));
        assert!(!broke(&ended(
            255,
            "ssh: connect to host 192.0.2.1 port 22: Connection refused"
        )));
        assert!(!broke(&ended(1, "")));
        assert!(!broke(&ended(0, "")));
    }

    #[test]
    fn why_nobody_is_let_in_goes_before_the_end_of_the_connection() {
        let booting = "\"System is booting up. Unprivileged users are not permitted to log in \
                       yet. Please come back later. For technical details, see pam_nologin(8).\"";
        let all = format!("{booting}\n\nConnection closed by 192.0.2.1 port 22\r\n");
        assert_eq!(said(all.as_bytes()).as_deref(), Some(booting));
        let last = "Connection closed by 192.0.2.1 port 22";
        assert_eq!(
            said(format!("hello\n{last}\r\n").as_bytes()).as_deref(),
            Some(last)
        );
        assert_eq!(said(b" \n"), None);
    }
}
