//! Commands of tracked scripts that ask what vip-daemon can ask by itself, without a fork.

use super::draft::quoted;

/// The check that asks the same, as flow YAML, and in words what it asks.
pub(super) fn native(command: &str) -> Option<(String, &'static str)> {
    let words: Vec<&str> = command
        .split(|letter: char| letter.is_whitespace() || "'\"();|".contains(letter))
        .filter(|word| !word.is_empty())
        .collect();
    let has = |names: &[&str]| {
        let base = |word: &str| word.rsplit('/').next().unwrap_or(word).to_owned();
        words
            .iter()
            .any(|word| names.contains(&base(word).as_str()))
    };
    if has(&["curl", "wget"]) {
        return url(&words).map(|check| (check, "the same URL, asked without a fork"));
    }
    if has(&["netstat", "ss", "lsof"]) {
        let port = words.iter().rev().find_map(|word| port(word))?;
        let check = format!("tcp: {{address: \"127.0.0.1:{port}\"}}");
        return Some((check, "a connection to the port that the command looks for"));
    }
    if has(&["nc", "ncat"]) {
        let [.., host, port] = words.as_slice() else {
            return None;
        };
        let address = socket(host, port)?;
        let check = format!("tcp: {{address: {}}}", quoted(&address));
        return Some((check, "the same connection, without a fork"));
    }
    if has(&["killall", "pidof", "pgrep"]) {
        let name = words.last().filter(|word| !word.starts_with('-'))?;
        let simple = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if words.len() > 5 || !name.chars().all(simple) {
            return None;
        }
        let check = format!("process: {{name: {}}}", quoted(name));
        return Some((check, "whether the program runs, without a fork"));
    }
    None
}

fn port(word: &str) -> Option<u16> {
    let digits = word.trim_matches(|c: char| !c.is_ascii_digit());
    digits.parse().ok().filter(|port| *port > 1)
}

fn socket(host: &str, port: &str) -> Option<String> {
    let host = if host == "localhost" {
        "127.0.0.1"
    } else {
        host
    };
    let address: std::net::IpAddr = host.parse().ok()?;
    let port: u16 = port.parse().ok()?;
    Some(std::net::SocketAddr::new(address, port).to_string())
}

fn url(words: &[&str]) -> Option<String> {
    let url = words.iter().find(|word| word.starts_with("http"))?;
    let scheme = if url.starts_with("https://") {
        "https"
    } else {
        "http"
    };
    let url = url.replacen("//localhost", "//127.0.0.1", 1);
    let rest = url.strip_prefix(scheme)?.strip_prefix("://")?;
    let authority = rest.split('/').next()?;
    let is_plain = |c: char| !"$&<>".contains(c);
    let named = authority.parse::<std::net::SocketAddr>().is_err()
        && authority.parse::<std::net::IpAddr>().is_err();
    if named || !url.chars().all(is_plain) {
        return None;
    }
    Some(format!("{scheme}: {{url: {}}}", quoted(&url)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_commands_become_checks() {
        for (command, check) in [
            ("killall -0 haproxy", Some("process: {name: \"haproxy\"}")),
            ("/usr/bin/pidof nginx", Some("process: {name: \"nginx\"}")),
            (
                "/bin/bash -c 'if [[ $(netstat -nlp | grep 9443) ]]; then exit 0; else exit 1; fi'",
                Some("tcp: {address: \"127.0.0.1:9443\"}"),
            ),
            (
                "ss -ltn | grep :6443",
                Some("tcp: {address: \"127.0.0.1:6443\"}"),
            ),
            (
                "nc -z localhost 6443",
                Some("tcp: {address: \"127.0.0.1:6443\"}"),
            ),
            ("nc -z ::1 6443", Some("tcp: {address: \"[::1]:6443\"}")),
            (
                "curl -sfk https://localhost:6443/healthz -o /dev/null",
                Some("https: {url: \"https://127.0.0.1:6443/healthz\"}"),
            ),
            ("curl http://api.example/healthz", None),
            ("curl https://127.0.0.1:$PORT/healthz", None),
            ("/etc/keepalived/check_apiserver.sh", None),
            ("pidof a && systemctl stop keepalived || exit 1", None),
            ("", None),
        ] {
            let made = native(command).map(|(check, _)| check);
            assert_eq!(made.as_deref(), check, "{command}");
        }
    }
}
