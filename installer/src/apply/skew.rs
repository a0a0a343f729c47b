//! Whether the versions that hosts have, and those of the programs that are given, let a host be
//! worked on: a function of values, by Kubernetes' policy of version skew
//! (<https://kubernetes.io/releases/version-skew-policy/>). They are asked in
//! `cli/apply/guards.rs`.
//!
//! Patch versions of one minor version go with each other in every direction.

use thiserror::Error;

use crate::plan::{Plan, Step};
use crate::versions::Version;

/// Programs that have the version of Kubernetes.
pub const PROGRAMS: [&str; 5] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
];

/// What is known of the API server of a master that is not worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Its host does not answer.
    Silent,
    /// It says this of itself; nothing where it was built without a version.
    Says(Option<Version>),
}

/// Why a host is not begun.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Skew {
    /// The programs are another version's.
    #[error(
        "not begun: the {program} that is given is {given}, and kubernetes.version is {wanted}; \
         give the programs of that version, or write kubernetes: {{version: {given}}}"
    )]
    Given {
        /// Which program.
        program: String,
        /// Its version.
        given: Version,
        /// That of the description.
        wanted: Version,
    },
    /// It has a newer one.
    #[error(
        "not begun: it has {stands}, and kubernetes.version is {wanted}: no minor version is taken \
         back, since the older one may not read what the newer has written"
    )]
    Back {
        /// What it has.
        stands: Version,
        /// That of the description.
        wanted: Version,
    },
    /// An API server would leave a minor version out, or be two beyond another.
    #[error(
        "not begun: the API server of {whose} has {stands}, and kubernetes.version is {wanted}: one \
         minor version at a time, on all masters; write a 1.{}, apply, and go on from there",
        .stands.minor + 1
    )]
    Leap {
        /// Whose.
        whose: String,
        /// What it has.
        stands: Version,
        /// That of the description.
        wanted: Version,
    },
    /// An API server would be two behind another.
    #[error(
        "not begun: the API server of {whose} has {stands}, and kubernetes.version is {wanted}: \
         two of one cluster may be one minor version apart; write a 1.{}",
        .stands.minor
    )]
    Behind {
        /// Whose.
        whose: String,
        /// What it has.
        stands: Version,
        /// That of the description.
        wanted: Version,
    },
    /// One that nobody knows would be left behind, and comes back by itself.
    #[error(
        "not begun: the API server of {master} may have {stands} or less, and does not answer: it \
         would come back two minor versions behind after the next step; mend it first, or take it \
         out of the description; --allow-outage goes on without it"
    )]
    Absent {
        /// Whose.
        master: String,
        /// What the host's own has.
        stands: Version,
    },
    /// An API server is older.
    #[error(
        "not begun: its kubelet would be newer than the API server of {master}, which has {stands} \
         and is not worked on; leave --host out, or have the masters go first"
    )]
    Newer {
        /// Whose.
        master: String,
        /// What it has.
        stands: Version,
    },
    /// An API server may be older.
    #[error(
        "not begun: its kubelet would be newer than the API server of {master} may be, which is \
         not worked on: it does not answer or has failed; mend it first, or take it out of the \
         description"
    )]
    Unknown {
        /// Whose.
        master: String,
    },
}

/// Whether a plan brings a program.
#[must_use]
pub fn brings(plan: &Plan, name: &str) -> bool {
    let mut steps = plan.steps.iter();
    steps.any(|step| matches!(step, Step::Install { program, .. } if program == name))
}

/// Whether a plan brings another file in the place of a program.
#[must_use]
pub fn replaces(plan: &Plan, name: &str) -> bool {
    plan.steps.iter().any(|step| {
        matches!(step, Step::Install { program, before: Some(_), .. } if program == name)
    })
}

/// Holds a program that is given against the description, by what it says of itself.
///
/// # Errors
/// When it is of another minor version.
pub fn given(program: &str, said: Option<Version>, wanted: Version) -> Result<(), Skew> {
    match said {
        Some(given) if given.minor != wanted.minor => Err(Skew::Given {
            program: program.to_owned(),
            given,
            wanted,
        }),
        Some(_) | None => Ok(()),
    }
}

/// Whether the API server of a host may be replaced, or begin, by the versions of all that are
/// there: the newest and the oldest may be one minor version apart.
///
/// # Errors
/// When the new one is older than its own, or more than one minor version from one of them.
pub fn server(
    host: &str,
    servers: &[(String, Version)],
    wanted: Version,
) -> Result<(), Skew> {
    let own = servers.iter().find(|(name, _)| name == host);
    if let Some((_, stands)) = own
        && wanted.minor < stands.minor
    {
        let stands = *stands;
        return Err(Skew::Back { stands, wanted });
    }
    let old = |(_, stands): &&(String, Version)| wanted.minor > stands.minor + 1;
    if let Some((whose, stands)) = own.into_iter().chain(servers).find(old) {
        let (whose, stands) = (whose.clone(), *stands);
        return Err(Skew::Leap {
            whose,
            stands,
            wanted,
        });
    }
    let new = |(_, stands): &&(String, Version)| stands.minor > wanted.minor + 1;
    match servers.iter().find(new) {
        None => Ok(()),
        Some((whose, stands)) => Err(Skew::Behind {
            whose: whose.clone(),
            stands: *stands,
            wanted,
        }),
    }
}

/// Whether the API server of a host may take another minor version while the host of another is
/// silent.
///
/// # Errors
/// With the first of those.
pub fn absent(own: Version, wanted: Version, silent: &[String]) -> Result<(), Skew> {
    match silent.first() {
        Some(master) if own.minor < wanted.minor => Err(Skew::Absent {
            master: master.clone(),
            stands: own,
        }),
        Some(_) | None => Ok(()),
    }
}

/// Whether a kubelet that is there may be replaced, or a new one begin, beside the API servers of
/// masters that are not worked on; the others have the new version before its turn.
///
/// # Errors
/// When the new one is older, or would be newer than one of them.
pub fn kubelet(
    stands: Option<Version>,
    wanted: Version,
    servers: &[(String, Server)],
) -> Result<(), Skew> {
    match stands {
        Some(stands) if wanted.minor < stands.minor => {
            return Err(Skew::Back { stands, wanted });
        }
        Some(stands) if wanted.minor == stands.minor => return Ok(()),
        Some(_) | None => {}
    }
    for (master, server) in servers {
        let master = master.clone();
        match server {
            Server::Silent if stands.is_some() => return Err(Skew::Unknown { master }),
            Server::Says(Some(stands)) if stands.minor < wanted.minor => {
                let stands = *stands;
                return Err(Skew::Newer { master, stands });
            }
            Server::Silent | Server::Says(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(minor: u16) -> Version {
        Version { minor, patch: 2 }
    }

    const WANTED: Version = at(35);

    #[test]
    fn an_api_server_goes_one_minor_version_at_a_time_and_none_back() {
        let later = Version {
            minor: 35,
            patch: 9,
        };
        let leap = |whose: &str| {
            format!(
                "the API server of {whose} has 1.33.2, and kubernetes.version is 1.35.2: one minor"
            )
        };
        let back = || "no minor version is taken back".to_owned();
        let behind = || {
            "the API server of m2 has 1.37.2, and kubernetes.version is 1.35.2: two of one cluster \
             may be one minor version apart; write a 1.37"
                .to_owned()
        };
        for (own, other, wanted) in [
            (None, None, None),
            (Some(at(33)), None, Some(leap("m1"))),
            (Some(at(34)), None, None),
            (Some(at(35)), Some(at(35)), None),
            (Some(later), Some(at(34)), None),
            // One that was left behind.
            (Some(at(34)), Some(at(33)), Some(leap("m2"))),
            // One that is new.
            (None, Some(at(33)), Some(leap("m2"))),
            (None, Some(at(34)), None),
            (None, Some(at(36)), None),
            (None, Some(at(37)), Some(behind())),
            (Some(at(36)), Some(at(33)), Some(back())),
            // It is another's to go back.
            (Some(at(34)), Some(at(36)), None),
        ] {
            let servers = [("m1", own), ("m2", other)].into_iter();
            let servers = servers.filter_map(|(name, one)| Some((name.to_owned(), one?)));
            let servers: Vec<_> = servers.collect();
            let said = server("m1", &servers, WANTED)
                .err()
                .map(|one| one.to_string());
            let fits = match (&said, wanted) {
                (None, None) => true,
                (Some(said), Some(wanted)) => said.contains(&wanted),
                (_, _) => false,
            };
            assert!(fits, "{servers:?}: {said:?}");
        }
        assert_eq!(given("kubelet", None, WANTED), Ok(()));
        assert_eq!(given("kubelet", Some(later), WANTED), Ok(()));
        let said = given("kubelet", Some(at(36)), WANTED)
            .unwrap_err()
            .to_string();
        let wanted =
            "the kubelet that is given is 1.36.2, and kubernetes.version is 1.35.2";
        assert!(said.contains(wanted), "{said}");
    }

    #[test]
    fn a_kubelet_is_never_newer_than_an_api_server() {
        let master = || "m1".to_owned();
        let newer = |stands| Skew::Newer {
            master: master(),
            stands,
        };
        let silent = || Skew::Unknown { master: master() };
        let back = Skew::Back {
            stands: at(36),
            wanted: WANTED,
        };
        use Server::{Says, Silent};
        for (stands, one, wanted) in [
            // Three minor versions at once are a kubelet's right.
            (Some(at(32)), Says(Some(at(35))), Ok(())),
            (Some(at(34)), Says(Some(at(34))), Err(newer(at(34)))),
            (Some(at(34)), Says(None), Ok(())),
            (Some(at(34)), Silent, Err(silent())),
            (Some(at(35)), Says(Some(at(34))), Ok(())),
            (Some(at(35)), Silent, Ok(())),
            (Some(at(36)), Says(Some(at(36))), Err(back)),
            (None, Silent, Ok(())),
            (None, Says(Some(at(34))), Err(newer(at(34)))),
        ] {
            let said = kubelet(stands, WANTED, &[(master(), one)]);
            assert_eq!(said, wanted, "{stands:?} beside {one:?}");
        }
        assert_eq!(kubelet(Some(at(34)), WANTED, &[]), Ok(()));
    }
}
