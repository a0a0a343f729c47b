//! What the manuals tell their reader to type on a host does what they say of it.
//!
//! Leaves to `lost`: the blocks of commands.

use lab::rig::Rig;
use libtest_mimic::Failed;

use super::checks::holds;
use super::said::SAID;

/// As whoever looks after the cluster, on a host of it.
const AS: &str = "export KUBECONFIG=/etc/kubernetes/admin.conf \
    ETCDCTL_ENDPOINTS=https://127.0.0.1:2379 \
    ETCDCTL_CACERT=/etc/kubernetes/pki/etcd/ca.crt \
    ETCDCTL_CERT=/etc/kubernetes/pki/etcd/healthcheck-client.crt \
    ETCDCTL_KEY=/etc/kubernetes/pki/etcd/healthcheck-client.key\n";
/// Behind what a command has said that fails.
const ENDED: &str = "lab: it ended with";

pub(crate) fn works(rig: &Rig) -> Result<(), Failed> {
    for one in SAID {
        let line = one.run.replace("LINE", one.command);
        let script = format!("exec 2>&1\n{AS}({line}) || echo {ENDED} $?");
        let said = rig.on(one.host, &script)?;
        if said.contains(ENDED) {
            return Err(format!("{line}: {said}").into());
        }
        holds(&said, one.says).map_err(|odd| format!("{line}: {odd:?}"))?;
    }
    Ok(())
}
