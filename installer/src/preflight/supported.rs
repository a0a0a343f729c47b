//! The systems that this is meant for, by what `/etc/os-release` says (os-release(5)).

use crate::facts::System;

/// In words, for who has another.
pub(super) const SYSTEMS: &str =
    "Debian 11 to 13, Ubuntu 22.04 to 26.04, or a relative of RHEL 8 to 10";

/// A release: the number before the point, and the one behind it.
type Release = (u32, u32);

/// Each family with its first release and its last, in whose last number anything may stand.
const FAMILIES: [(&str, Release, u32); 3] = [
    ("debian", (11, 0), 13),
    ("ubuntu", (22, 4), 26),
    ("rhel", (8, 0), 10),
];

/// Whether a system is one of them. Ubuntu calls itself a relative of Debian, and counts
/// otherwise: a family is asked for by its own name first.
pub(super) fn supported(system: &System) -> bool {
    let mut names = names(system);
    let family = names.find_map(|name| FAMILIES.iter().find(|family| family.0 == name));
    let (Some((_, first, last)), Some(release)) = (family, release(&system.release))
    else {
        return false;
    };
    release >= *first && release.0 <= *last
}

/// Whether a system is of a family, or calls itself a relative of it.
pub(super) fn is_of(system: &System, family: &str) -> bool {
    names(system).any(|name| name == family)
}

/// Its own name, then those that it is made from.
fn names(system: &System) -> impl Iterator<Item = &str> {
    let own = std::iter::once(system.id.as_str());
    own.chain(system.like.split_whitespace())
}

fn release(text: &str) -> Option<Release> {
    let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_judged_by_its_family_and_release() {
        for (id, like, release, good) in [
            ("debian", "", "10", false),
            ("debian", "", "11", true),
            ("debian", "", "13", true),
            ("debian", "", "14", false),
            // Its next one has no number yet.
            ("debian", "", "", false),
            ("ubuntu", "debian", "20.04", false),
            ("ubuntu", "debian", "22.04", true),
            ("ubuntu", "debian", "26.04", true),
            ("ubuntu", "debian", "27.04", false),
            ("rhel", "fedora", "7.9", false),
            ("rocky", "rhel centos fedora", "8.10", true),
            ("almalinux", "rhel centos fedora", "10.1", true),
            ("centos", "rhel fedora", "9", true),
            ("ol", "fedora", "9.4", false),
            ("fedora", "", "42", false),
            ("alpine", "", "3.20.1", false),
            ("", "", "", false),
        ] {
            let system = System {
                id: id.to_owned(),
                like: like.to_owned(),
                release: release.to_owned(),
                ..System::default()
            };
            assert_eq!(supported(&system), good, "{id} {release}");
        }
    }
}
