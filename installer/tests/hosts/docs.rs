//! The manuals' commands: those at a prompt in the order in which a reader comes to them, and
//! then those that are set among words.

use super::hosts::Hosts;
use super::said::SAID;
use super::{Tried, holds};

const INSTALL: &str = include_str!("../../../docs/install.md");
const TROUBLE: &str = include_str!("../../../docs/troubleshooting.md");

/// What each of them is run as, and how it ends here; the others as they stand, with 0.
struct Differs {
    /// How the line begins.
    line: &'static str,
    /// What is run instead.
    run: &'static str,
    /// How it ends.
    code: i32,
    /// What it says.
    says: &'static str,
}

const DIFFERS: [Differs; 11] = [
    Differs {
        // Folders of that host alone are its own here.
        line: "scp -r cluster.yaml binaries \"$(command -v sternpost)\" root@192.0.2.11:",
        run: "mkdir ../hosts/192.0.2.11/var/desk && \
              cp -r cluster.yaml binaries \"$(command -v sternpost)\" ../hosts/192.0.2.11/var/desk",
        code: 0,
        says: "",
    },
    Differs {
        line: "ssh -A root@192.0.2.11 ./sternpost apply",
        run: "on 192.0.2.11 m1 'cd /var/desk && ./sternpost apply'",
        code: 0,
        says: "m1: 0 step(s) done",
    },
    Differs {
        line: "sternpost init",
        // The description that is there was written by these words.
        run: "rm cluster.yaml && LINE",
        code: 0,
        says: "",
    },
    Differs {
        line: "sternpost preflight --fix --dry-run",
        run: "LINE",
        code: 3,
        says: "m1: ",
    },
    Differs {
        // Hosts without a kernel of their own: much speaks against them.
        line: "sternpost preflight",
        run: "LINE",
        code: 1,
        says: "m1: ",
    },
    Differs {
        // Pods need nodes that are some.
        line: "sternpost verify",
        run: "LINE --no-pods",
        code: 0,
        says: ", 0 bad",
    },
    Differs {
        line: "sternpost kubeconfig --merge",
        run: "LINE && grep -q kubernetes-admin ~/.kube/config",
        code: 0,
        says: "",
    },
    Differs {
        line: "sternpost reset --dry-run --host n1 --drain",
        run: "LINE",
        code: 3,
        says: "before that: have the cluster move its Pods elsewhere",
    },
    Differs {
        line: "sternpost reset --dry-run --data",
        run: "LINE",
        code: 3,
        says: "remove folder /var/lib/etcd",
    },
    Differs {
        line: "sternpost reset --dry-run",
        run: "LINE",
        code: 3,
        says: "m1: ",
    },
    Differs {
        line: "sternpost apply",
        run: "LINE",
        code: 0,
        says: "m1: ",
    },
];

/// The commands of a manual's console blocks.
fn commands(manual: &str) -> impl Iterator<Item = &str> {
    manual.lines().filter_map(|line| line.strip_prefix("$ "))
}

/// Runs one; `plan` is how a plan ends, by what there is to do.
fn one(hosts: &Hosts, line: &str, plan: i32) -> Tried {
    let differs = DIFFERS.iter().find(|one| line.starts_with(one.line));
    let (run, mut code, says) = match differs {
        Some(differs) => (
            differs.run.replace("LINE", line),
            differs.code,
            differs.says,
        ),
        None => (line.to_owned(), 0, ""),
    };
    if line == "sternpost plan" {
        code = plan;
    }
    holds(&hosts.shell(&run)?.ended(code)?, says)
}

pub(super) fn in_order() -> Tried {
    let hosts = Hosts::new()?;
    let mut seen = 0;
    for line in commands(INSTALL) {
        one(&hosts, line, 3)?;
        seen += 1;
    }
    if seen < 16 {
        return Err(format!("install.md has only {seen} commands").into());
    }
    for line in commands(TROUBLE) {
        one(&hosts, line, 0)?;
        seen += 1;
    }
    if seen < 21 {
        return Err(format!("only {seen} commands").into());
    }
    for one in SAID {
        let run = hosts.shell(&one.run.replace("LINE", one.command))?;
        holds(&run.ended(0)?, one.says)?;
    }
    Ok(())
}
