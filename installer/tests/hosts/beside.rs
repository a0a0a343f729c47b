//! A host for Pods on which Docker runs beside: what it has in containerd is as it was, whatever is
//! taken off.

use std::fs;

use super::hosts::Hosts;
use super::{Tried, holds};

const N1: &str = "192.0.2.21";
/// What plays a containerd in which both have something.
const CTR: &str = r#"#!/bin/sh
echo "$SP_HOST ctr $*" >>FOLDER/log
case "$*" in
*"namespaces list --quiet") printf 'k8s.io\nmoby\n' ;;
*"containers list --quiet") echo c1 ;;
*"images list --quiet") echo registry.k8s.io/pause:3.10 ;;
esac
"#;
/// Docker's, and those of Kubernetes.
const THEIRS: [&str; 2] = [
    "run/containerd/io.containerd.runtime.v2.task/moby/1/config.json",
    "var/lib/containerd/io.containerd.content.v1.content/blobs/1",
];
const OURS: [&str; 2] = [
    "run/containerd/io.containerd.runtime.v2.task/k8s.io/2/config.json",
    "var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/2",
];

pub(super) fn stays() -> Tried {
    let hosts = Hosts::new()?;
    hosts.give("ctr", CTR)?;
    let there = |path: &str| hosts.root(N1).join(path);
    let write = |path: &str| -> Tried {
        let path = there(path);
        fs::create_dir_all(path.parent().ok_or("no folder")?)?;
        Ok(fs::write(path, "")?)
    };
    THEIRS.iter().try_for_each(|path| write(path))?;
    hosts.run(&["apply"])?.ended(0)?;
    OURS.iter().try_for_each(|path| write(path))?;
    hosts.log()?;
    let words = ["reset", "--data", "--host", "n1", "--confirm", "prod"];
    let said = hosts.run(&words)?.ended(0)?;
    for folder in ["/run/containerd", "/var/lib/containerd"] {
        holds(&said, &format!("keep {folder}: it holds moby of others"))?;
    }
    for (paths, stays) in [(THEIRS, true), (OURS, false)] {
        for path in paths {
            if there(path).exists() != stays {
                return Err(format!("{path}, after\n{said}").into());
            }
        }
    }
    let log = hosts.log()?.join("\n");
    for words in [
        "containers remove c1",
        "images remove --sync registry.k8s.io/pause:3.10",
    ] {
        holds(&log, &format!("{N1} ctr --namespace k8s.io {words}"))?;
    }
    match log.contains("moby") {
        true => Err(format!("something of Docker's was named in\n{log}").into()),
        false => Ok(()),
    }
}
