//! Commands of ours that the manuals name outside their blocks, and what each is run as on hosts
//! that a manual's reader has laid down, in this order; `docs` runs them, `tests/manuals.rs`
//! holds them to the manuals.

pub(crate) struct Said {
    /// As a manual has it.
    pub(crate) command: &'static str,
    /// What is run; `LINE` stands for the command.
    pub(crate) run: &'static str,
    /// What it says, where it ends well.
    pub(crate) says: &'static str,
}

pub(crate) const SAID: &[Said] = &[
    Said {
        command: "sternpost check --spec FILE",
        run: "sternpost check --spec cluster.yaml && echo good",
        says: "good",
    },
    Said {
        command: "sternpost schema",
        run: "LINE",
        says: "\"$schema\"",
    },
    Said {
        command: "sternpost render",
        run: "LINE",
        says: "kube-apiserver",
    },
    Said {
        command: "sternpost fetch",
        run: "LINE",
        says: "  kube-apiserver  ",
    },
    Said {
        command: "sternpost fetch --arch amd64 --arch arm64 --into bundle",
        run: "LINE && cd bundle && sha256sum --check SHA256SUMS",
        says: "arm64/kube-apiserver: OK",
    },
    Said {
        command: "sternpost requests",
        run: "LINE",
        says: "nothing is to be signed elsewhere",
    },
    Said {
        command: "sternpost apply --agent arm64=./sternpost-arm64",
        run: "cp \"$(command -v sternpost)\" sternpost-arm64 && LINE",
        says: "m1: 0 step(s) done",
    },
    Said {
        command: "sternpost apply --host NAME",
        run: "sternpost apply --host n1",
        says: "n1: 0 step(s) done",
    },
    Said {
        command: "sternpost apply --host m1 --host m2 --host m3",
        run: "LINE",
        says: "m3: 0 step(s) done",
    },
    Said {
        command: "sternpost apply --host n1",
        run: "LINE",
        says: "n1: 0 step(s) done",
    },
    Said {
        command: "sternpost apply --replace N",
        run: "sternpost apply --replace n1",
        says: "n1: 0 step(s) done",
    },
    Said {
        command: "sternpost apply --replace NAME",
        run: "sternpost apply --replace n1",
        says: "n1: 0 step(s) done",
    },
    Said {
        command: "sternpost init --masters-are-nodes",
        run: "LINE --name two --master a1=192.0.2.31 --spec two.yaml && grep controlPlane two.yaml",
        says: "controlPlane, node",
    },
    Said {
        command: "sternpost reset --host N --confirm CLUSTER",
        run: "sternpost reset --host n1 --confirm prod",
        says: "n1: ",
    },
    Said {
        command: "sternpost reset --host N",
        run: "sternpost reset --host n1 --confirm prod",
        says: "n1: nothing to remove",
    },
    Said {
        command: "sternpost reset --host NAME --drain",
        run: "sternpost reset --host n1 --drain --dry-run",
        says: "n1: nothing to remove",
    },
    Said {
        command: "sternpost reset --data --host NAME",
        run: "sternpost reset --data --host n1 --confirm prod",
        says: "n1: ",
    },
    Said {
        command: "sternpost reset --confirm NAME",
        run: "sternpost reset --confirm prod",
        says: "m1: ",
    },
    Said {
        command: "sternpost reset --data",
        run: "LINE --confirm prod",
        says: "m1: ",
    },
];
