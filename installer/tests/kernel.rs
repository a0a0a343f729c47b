//! A node's kernel before and after: what Pods would have there is put into namespaces of this
//! test's own, beside things of others, and the agent takes it out again by the plan.
//!
//! Leaves to others: containers, and what kube-proxy and flannel write themselves.

#[path = "apply/process.rs"]
mod process;

use std::process::Command;

use lab::requirement::{Requirement, trial};
use libtest_mimic::{Arguments, Failed};
use sternpost::agent::{Answer, Order};
use sternpost::apply::Transport;
use sternpost::reset::{self, Data, Step};

use process::Process;

/// Folders of the machine are hidden first: nothing of it is touched.
const SCRIPT: &str = "set -e; mount --make-rprivate /; \
    mount -t tmpfs none /var/lib; mount -t tmpfs none /run; mkdir -p /var/lib/sternpost /run/netns; \
    listing() { ls /sys/class/net /run/netns; nft list tables; cut -d ' ' -f 5 /proc/self/mountinfo; }; \
    mount -t sysfs none /sys; \
    ip netns add mine; ip netns add cni-theirs; ip link add mine type bridge; nft add table inet mine; \
    mkdir -p /var/lib/mine; mount -t tmpfs none /var/lib/mine; \
    listing >/run/before; \
    for unit in kubelet kube-proxy flanneld; do \
    echo '{\"wrote\":{\"path\":\"/etc/systemd/system/'$unit'.service\",\"before\":null,\"after\":\"0\"}}'; \
    done >/var/lib/sternpost/journal.jsonl; \
    mkdir -p /var/lib/cni/results; \
    note() { echo '{\"networkName\":\"'$1'\",\"result\":{\"interfaces\":[{\"name\":\"eth0\",\
    \"sandbox\":\"/var/run/netns/'$2'\"}]}}' >/var/lib/cni/results/$1-5-eth0; }; \
    note cbr0 cni-1; note podman cni-theirs; \
    ip netns add cni-1; ip link add cni0 type bridge; \
    ip link add veth0 type veth peer name eth0 netns cni-1; ip link set veth0 master cni0; \
    ip link add flannel.1 type vxlan id 1 dstport 8472; \
    nft add table ip kube-proxy; nft add table ip6 kube-proxy; nft add table ip flannel-ipv4; \
    mkdir -p '/var/lib/kubelet/pods/a/volumes/b c'; \
    mount -t tmpfs none '/var/lib/kubelet/pods/a/volumes/b c'; \
    \"$0\" agent; listing >/run/after; diff /run/before /run/after >&2";

fn main() {
    let name = "a_node_s_kernel_is_as_it_was_before";
    let trials = vec![trial(name, &[Requirement::Root], as_before)];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// An agent in namespaces of its own.
fn inside() -> Result<Process, Failed> {
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "sh", "-c", SCRIPT]);
    Process::start(command.arg(env!("CARGO_BIN_EXE_sternpost")))
}

/// Whether a step is about the kernel: units and files have tests of their own.
fn of_kernel(step: &Step) -> bool {
    match step {
        Step::Unmount { .. }
        | Step::Space { .. }
        | Step::Interface { .. }
        | Step::Route(_)
        | Step::Table(_)
        | Step::Chains { .. } => true,
        Step::Stop { .. }
        | Step::Containers { .. }
        | Step::Images
        | Step::Strip { .. }
        | Step::Aside { .. }
        | Step::Back { .. }
        | Step::File { .. }
        | Step::Link { .. }
        | Step::Tree { .. }
        | Step::Folder { .. }
        | Step::Close { .. }
        | Step::Reread
        | Step::Bring(_)
        | Step::Forget => false,
    }
}

fn as_before() -> Result<(), Failed> {
    let mut inside = inside()?;
    let answer = match inside.ask(Order::Inventory) {
        Ok(answer) => answer,
        Err(error) => {
            let said = inside.ended();
            return Err(format!("{error:?}: {said:?}").into());
        }
    };
    let Answer::Inventory(inventory) = answer else {
        return Err(format!("{answer:?}").into());
    };
    let plan = reset::plan(&inventory, Data::Remove);
    let steps: Vec<_> = plan.steps.into_iter().filter(of_kernel).collect();
    for step in &steps {
        // A second time there is nothing to do, and that is no error.
        for _ in 0..2 {
            let answer = inside.ask(Order::Remove(step.clone()))?;
            if !matches!(answer, Answer::Done) {
                return Err(format!("{}: {answer:?}", reset::line(step)).into());
            }
        }
    }
    // A mount, a namespace, two interfaces, three tables.
    if steps.len() != 7 {
        let steps: Vec<_> = steps.iter().map(reset::line).collect();
        return Err(format!("{steps:#?}").into());
    }
    inside.ended()
}
