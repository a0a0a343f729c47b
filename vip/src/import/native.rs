//! Commands of tracked scripts that ask what vip-daemon can ask by itself, without a fork.
//!
//! Only a command that is understood to its last word becomes a check: one word more may turn
//! it into its opposite. Everything else stays a script.

use std::time::Duration;

use super::draft::quoted;
use super::script::split;

/// A check that asks what a command asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Native {
    /// As flow YAML.
    pub(super) target: String,
    /// In words, what it asks.
    pub(super) how: &'static str,
    /// What the command itself gives up after.
    pub(super) timeout: Option<Duration>,
    /// Where it may differ, for a person to look at.
    pub(super) trap: Option<&'static str>,
}

/// Where a listening port is looked for.
const LOOPBACK: &str = "the command finds a port that listens on any address, the check \
    connects to 127.0.0.1: write the program's address where it listens on another";

/// The check that asks the same.
pub(super) fn native(command: &str) -> Option<Native> {
    let words = split(command);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [shell, "-c", line] if ["sh", "bash", "dash"].contains(&base(shell)) => {
            listed(line).or_else(|| plain(&simple(line)?))
        }
        words => plain(words),
    }
}

/// One program with its arguments.
fn plain(words: &[&str]) -> Option<Native> {
    let (program, arguments) = words.split_first()?;
    match base(program) {
        "curl" => curl(arguments),
        "nc" | "ncat" => connect(arguments),
        "killall" => match arguments {
            ["-0", name] => process(name),
            _other => None,
        },
        "pidof" => match arguments {
            [name] | ["-s" | "-q", name] => process(name),
            _other => None,
        },
        // Without -x it looks for a part of the name.
        "pgrep" => match arguments {
            ["-x", name] => process(name),
            _other => None,
        },
        _unknown => None,
    }
}

/// Is a program's name, as `pidof` of one would find it, one that a check can look for?
pub(super) fn process(name: &str) -> Option<Native> {
    let simple = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let fits = !name.is_empty() && !name.starts_with('-') && name.chars().all(simple);
    fits.then(|| {
        let target = format!("process: {{name: {}}}", quoted(name));
        Native::new(target, "whether the program runs, without a fork")
    })
}

impl Native {
    fn new(target: String, how: &'static str) -> Self {
        Self {
            target,
            how,
            timeout: None,
            trap: None,
        }
    }
}

fn base(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// A shell's line that is one program, what it prints thrown away.
fn simple(line: &str) -> Option<Vec<&str>> {
    let line = line.trim().trim_end_matches(';');
    let line = line.strip_suffix("|| exit 1").unwrap_or(line);
    let thrown = [
        ">/dev/null",
        "1>/dev/null",
        "2>/dev/null",
        "&>/dev/null",
        "2>&1",
    ];
    let mut words = Vec::new();
    let mut all = line.split_whitespace().peekable();
    while let Some(word) = all.next() {
        let sink = matches!(word, ">" | "1>" | "2>" | "&>")
            && all.next_if_eq(&"/dev/null").is_some();
        if !sink && !thrown.contains(&word) {
            words.push(word);
        }
    }
    let meant = |word: &&str| !word.contains(|c| "!|&;$()<>`*?[]{}~#\\'\"".contains(c));
    words.iter().all(meant).then_some(words)
}

/// `netstat -nlp | grep 9443`, alone or in the `if` that is handed on from page to page.
fn listed(line: &str) -> Option<Native> {
    let line = line.trim().trim_end_matches(';');
    let asked = line
        .strip_prefix("if [[ $(")
        .and_then(|line| line.strip_suffix(") ]]; then exit 0; else exit 1; fi"));
    let (list, grep) = asked.unwrap_or(line).split_once('|')?;
    let list: Vec<_> = list.split_whitespace().collect();
    let (program, options) = list.split_first()?;
    let flags: String = options.iter().copied().collect();
    // Listening, and TCP; a port of UDP takes no connection.
    let listens = flags.contains('l') && !flags.contains(['u', 'x', 'a']);
    let short = |option: &&str| option.starts_with('-') && !option.starts_with("--");
    if !["netstat", "ss"].contains(&base(program))
        || !listens
        || !options.iter().all(short)
    {
        return None;
    }
    let port = match simple(grep)?.as_slice() {
        ["grep", port] | ["grep", "-q" | "-w" | "-qw", port] => {
            port.strip_prefix(':').unwrap_or(port).parse::<u16>().ok()?
        }
        _other => return None,
    };
    let target = format!("tcp: {{address: \"127.0.0.1:{port}\"}}");
    let how = "a connection to the port that the command looks for";
    Some(Native {
        trap: Some(LOOPBACK),
        ..Native::new(target, how)
    })
}

fn connect(arguments: &[&str]) -> Option<Native> {
    let (mut zero, mut timeout, mut plain) = (false, None, Vec::new());
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match *word {
            "-z" | "-zv" | "-vz" => zero = true,
            "-v" => {}
            "-w" => timeout = Some(seconds(words.next()?)?),
            other => plain.push(other),
        }
    }
    let [host, port] = plain.as_slice() else {
        return None;
    };
    if !zero {
        return None;
    }
    let host = if *host == "localhost" {
        "127.0.0.1"
    } else {
        host
    };
    let address: std::net::IpAddr = host.parse().ok()?;
    let address = std::net::SocketAddr::new(address, port.parse().ok()?);
    let target = format!("tcp: {{address: {}}}", quoted(&address.to_string()));
    Some(Native {
        timeout,
        ..Native::new(target, "the same connection, without a fork")
    })
}

/// What a curl is told that changes its exit code.
#[derive(Default)]
struct Curl<'a> {
    fails: bool,
    unverified: bool,
    ca: Option<&'a str>,
    timeout: Option<Duration>,
    url: Option<&'a str>,
}

fn curl(arguments: &[&str]) -> Option<Native> {
    let mut said = Curl::default();
    let mut words = arguments.iter().copied();
    while let Some(word) = words.next() {
        match word {
            "--fail" => said.fails = true,
            "--insecure" => said.unverified = true,
            "--silent" | "--show-error" | "--verbose" => {}
            "-o" | "--output" if words.next()? == "/dev/null" => {}
            "-m" | "--max-time" => said.timeout = Some(seconds(words.next()?)?),
            "--cacert" => said.ca = Some(words.next()?),
            url if url.starts_with("http") && said.url.is_none() => said.url = Some(url),
            flags => said.flags(flags.strip_prefix('-')?)?,
        }
    }
    // Without it, whatever is answered is good.
    if !said.fails {
        return None;
    }
    Some(Native {
        timeout: said.timeout,
        ..Native::new(said.target()?, "the same URL, asked without a fork")
    })
}

impl Curl<'_> {
    fn flags(&mut self, flags: &str) -> Option<()> {
        for flag in flags.chars() {
            match flag {
                'f' => self.fails = true,
                'k' => self.unverified = true,
                's' | 'S' | 'v' => {}
                _other => return None,
            }
        }
        Some(())
    }

    fn target(&self) -> Option<String> {
        let url = self.url?;
        let scheme = if url.starts_with("https://") {
            "https"
        } else {
            "http"
        };
        let local = url.starts_with(&format!("{scheme}://localhost"));
        let url = url.replacen("//localhost", "//127.0.0.1", 1);
        let rest = url.strip_prefix(scheme)?.strip_prefix("://")?;
        let authority = rest.split('/').next()?;
        let named = authority.parse::<std::net::SocketAddr>().is_err()
            && authority.parse::<std::net::IpAddr>().is_err();
        if named || url.contains(|c| "$&<>{}[]*#".contains(c)) {
            return None;
        }
        let mut keys = vec![format!("url: {}", quoted(&url))];
        match (scheme, self.unverified, self.ca) {
            ("https", false, Some(ca)) => {
                keys.push(format!("caFile: {}", quoted(ca)));
                keys.extend(local.then(|| "serverName: \"localhost\"".to_owned()));
            }
            // It asks those whom the host trusts, and a check without caFile asks nobody.
            ("https", false, None) => return None,
            _unverified => {}
        }
        Some(format!("{scheme}: {{{}}}", keys.join(", ")))
    }
}

/// As curl and nc take them, possibly with a fraction.
fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|time| !time.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_commands_become_checks() {
        for (command, check) in [
            ("killall -0 haproxy", "process: {name: \"haproxy\"}"),
            ("/usr/bin/pidof nginx", "process: {name: \"nginx\"}"),
            ("pgrep -x nginx", "process: {name: \"nginx\"}"),
            (
                "/bin/sh -c 'pidof nginx >/dev/null 2>&1 || exit 1'",
                "process: {name: \"nginx\"}",
            ),
            (
                "/bin/bash -c 'if [[ $(netstat -nlp | grep 9443) ]]; then exit 0; else exit 1; fi'",
                "tcp: {address: \"127.0.0.1:9443\"}",
            ),
            (
                "sh -c 'ss -ltn | grep -q :6443'",
                "tcp: {address: \"127.0.0.1:6443\"}",
            ),
            ("nc -z localhost 6443", "tcp: {address: \"127.0.0.1:6443\"}"),
            ("nc -zv -w 2 ::1 6443", "tcp: {address: \"[::1]:6443\"}"),
            (
                "curl -sfk https://localhost:6443/healthz -o /dev/null",
                "https: {url: \"https://127.0.0.1:6443/healthz\"}",
            ),
            (
                "curl --fail --silent --cacert /ca.crt https://localhost:6443/healthz",
                "https: {url: \"https://127.0.0.1:6443/healthz\", caFile: \"/ca.crt\", \
                 serverName: \"localhost\"}",
            ),
            (
                "curl -sf --max-time 2 http://10.0.0.1/",
                "http: {url: \"http://10.0.0.1/\"}",
            ),
        ] {
            let made = native(command).map(|native| native.target);
            assert_eq!(made.as_deref(), Some(check), "{command}");
        }
    }

    #[test]
    fn what_is_not_understood_to_its_last_word_stays_a_script() {
        for command in [
            // Whatever it is answered, it passes.
            "curl -sk https://127.0.0.1:6443/",
            "/bin/sh -c '! curl -sf http://127.0.0.1/maintenance'",
            "/bin/sh -c '! pidof x'",
            "sh -c 'curl -sf http://127.0.0.1/ | grep -q ok'",
            "curl -sf http://127.0.0.1/ | grep -q ok",
            "curl -sfk --cert /c --key /k https://127.0.0.1:6443/readyz",
            // It asks whom the host trusts.
            "curl -sf https://127.0.0.1:6443/readyz",
            "curl -sfL http://127.0.0.1/",
            "curl -sfI http://127.0.0.1/",
            "curl -sf -o /run/page http://127.0.0.1/",
            "curl -sf http://127.0.0.1/ http://127.0.0.2/",
            "curl -sf http://api.example/healthz",
            "curl -sf http://127.0.0.1:$PORT/healthz",
            "sh -c 'curl -sf http://127.0.0.1/a && curl -sf http://127.0.0.1/b'",
            // It follows whither it is sent.
            "wget -q --spider http://127.0.0.1/",
            "sh -c 'ss -lun | grep -q :53'",
            "sh -c 'ss -ltn | grep -vq :6443'",
            "sh -c 'ss -tn | grep -q :6443'",
            "sh -c 'ss -ltn | grep -q :6443 && false'",
            "/bin/bash -c 'if [[ $(netstat -nlp | grep 9443) ]]; then exit 1; else exit 0; fi'",
            // Without a shell, the bar is an argument.
            "ss -ltn | grep :6443",
            "nc -zu 127.0.0.1 53",
            "nc 127.0.0.1 6443",
            "! nc -z 127.0.0.1 6443",
            "killall -q haproxy",
            "pgrep haproxy",
            "pidof a b",
            "pidof a && systemctl stop keepalived || exit 1",
            "/etc/keepalived/check_apiserver.sh",
            "",
        ] {
            assert_eq!(native(command), None, "{command}");
        }
    }

    #[test]
    fn what_a_command_gives_up_after_holds_for_its_check() {
        for (command, timeout) in [
            ("curl -sf -m 2 http://127.0.0.1/", Some(2000)),
            ("curl -sf --max-time 0.5 http://127.0.0.1/", Some(500)),
            ("nc -z -w 3 127.0.0.1 80", Some(3000)),
            ("curl -sf http://127.0.0.1/", None),
        ] {
            let made = native(command).and_then(|native| native.timeout);
            assert_eq!(made, timeout.map(Duration::from_millis), "{command}");
        }
    }
}
