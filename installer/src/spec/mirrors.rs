//! `runtime.mirrors`: where nodes ask for the images of a registry before they ask itself.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use config::KeyPath;

use super::reader::Reader;

/// Who has the images of a registry, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// `https://…` or `http://…`, without a slash at its end.
    pub url: String,
    /// Whether its path has the `/v2` of the interface in it; behind another it is put.
    pub is_whole: bool,
}

impl Reader<'_> {
    pub(super) fn mirrors(
        &mut self,
        file: &BTreeMap<String, Vec<String>>,
        at: &KeyPath,
    ) -> BTreeMap<String, Vec<Mirror>> {
        let mut all = BTreeMap::new();
        for (registry, urls) in file {
            let at = at.key(registry);
            // Of a name without either, images are of Docker's registry.
            let named = registry.contains(['.', ':']) || registry == "localhost";
            if !named || registry.starts_with('[') || !is_authority(registry) {
                let problem = "is no registry; write its name as images have it in front, such as registry.k8s.io or registry.example.org:5000";
                self.refuse::<()>(&at, problem);
            }
            if urls.is_empty() {
                let problem = "is empty; write https:// of a mirror, or take it out";
                self.refuse::<()>(&at, problem);
            }
            let mirrors =
                self.each(urls, &at, |reader, text, at| reader.mirror(text, at));
            for (place, text) in urls.iter().enumerate() {
                let again = urls.iter().take(place).any(|one| one == text);
                if again && !text.contains('@') {
                    let problem = "is there twice; write each mirror once";
                    self.refuse::<()>(&at.index(place), problem);
                }
            }
            all.insert(registry.clone(), mirrors);
        }
        all
    }

    fn mirror(&mut self, text: &str, at: &KeyPath) -> Option<Mirror> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        // Anywhere: a password may have a slash in it.
        if text.contains('@') {
            // At the key above: an error shows its key's value.
            return self.refuse(
                &at.parent().unwrap_or_else(KeyPath::root),
                "holds a user or a password in an address, which every node's files would show; a mirror is read by everybody",
            );
        }
        let odd = |c: char| c.is_whitespace() || c.is_control() || "?#\"\\".contains(c);
        let known = matches!(scheme, "https" | "http");
        if !known || !is_authority(authority) || path.contains(odd) {
            return self.refuse(
                at,
                "is no mirror; write \"https://HOST\", with the path behind it below which images lie",
            );
        }
        if scheme == "http" && !is_loopback(authority) {
            self.warn(
                at,
                "is without TLS: whoever is between chooses what runs here; write https://",
            );
        }
        Some(Mirror {
            url: text.trim_end_matches('/').to_owned(),
            is_whole: path.split('/').any(|part| part == "v2"),
        })
    }
}

/// Whether it is the host itself, with a port or without.
pub(crate) fn is_loopback(authority: &str) -> bool {
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host);
    let bare = authority
        .strip_prefix('[')
        .and_then(|it| it.split_once(']'));
    let host = bare.map_or(host, |(host, _)| host);
    host == "localhost" || host.parse().is_ok_and(|at: IpAddr| at.is_loopback())
}

/// A name or an address in lower case, with a port or without.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, Some(port)),
        Some(_) | None => (text, None),
    };
    let six = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let good = match six {
        Some(six) => six.parse::<Ipv6Addr>().is_ok(),
        None => host.split('.').all(is_label),
    };
    good && port.is_none_or(|port| port.parse().is_ok_and(|port: u16| port > 0))
}

fn is_label(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let inner = |c: char| c != '-';
    text.chars().all(allowed)
        && text.chars().next().is_some_and(inner)
        && text.chars().next_back().is_some_and(inner)
}

#[cfg(test)]
mod tests {
    use super::is_authority;

    #[test]
    fn a_mirror_is_at_a_name_or_an_address() {
        for (text, wanted) in [
            ("registry.k8s.io", true),
            ("localhost:5000", true),
            ("192.0.2.1", true),
            ("[2001:db8::1]:5000", true),
            ("[2001:db8::1]", true),
            ("2001:db8::1", false),
            ("[192.0.2.1]", false),
            ("", false),
            ("a..b", false),
            ("Registry.example.org", false),
            ("-a.example.org", false),
            ("a.example.org:", false),
            ("a.example.org:0", false),
            ("a.example.org:65536", false),
        ] {
            assert_eq!(is_authority(text), wanted, "{text}");
        }
    }
}
