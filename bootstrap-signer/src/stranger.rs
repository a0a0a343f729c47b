//! Who else decides about requests of our two signers. Another approver at work beside us
//! approves what we would not: it is found by what it wrote.

use std::collections::BTreeMap;

use k8s_openapi::api::certificates::v1::CertificateSigningRequest as Csr;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule};
use kube::ResourceExt as _;
use policy::Signer;

use crate::act;

/// kube-controller-manager's own role for it, which every cluster has, whether or not that
/// controller runs.
const UPSTREAM: &str = "system:controller:certificate-controller";

/// Who decided about `csr`, when that was a program and not this one. A person with kubectl
/// may do as he likes.
#[must_use]
pub fn decided(csr: &Csr) -> Option<String> {
    Signer::named(&csr.spec.signer_name)?;
    let conditions = csr.status.as_ref()?.conditions.as_ref()?;
    let decision = conditions
        .iter()
        .find(|each| matches!(each.type_.as_str(), "Approved" | "Denied"))?;
    let message = decision.message.as_deref().unwrap_or_default();
    if message.starts_with(act::MARK) {
        return None;
    }
    // It wipes managedFields, since its own copy of an object has none.
    if decision.reason.as_deref() == Some("AutoApproved")
        && message.starts_with("Auto approving ")
    {
        return Some(MANAGER.to_owned());
    }
    let managers = csr.managed_fields().iter();
    let last = managers
        .filter(|each| each.subresource.as_deref() == Some("approval"))
        .filter_map(|each| each.manager.as_deref())
        .next_back();
    let who = last.unwrap_or("nobody who says so");
    (!who.starts_with("kubectl")).then(|| who.to_owned())
}

/// Each of them with one request as evidence, and how many there are.
#[must_use]
pub fn at_work(requests: &[Csr]) -> Vec<String> {
    let mut found: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for csr in requests {
        if let Some(who) = decided(csr) {
            let one = found.entry(who).or_insert_with(|| (0, csr.name_any()));
            one.0 += 1;
        }
    }
    let told = |(who, (count, one)): (String, (usize, String))| {
        let off = if who == MANAGER {
            "; turn it off with --controllers=*,-csrapproving"
        } else {
            ""
        };
        format!(
            "{who} decided about {count} request(s) of our signers, such as {one}{off}"
        )
    };
    found.into_iter().map(told).collect()
}

/// Pods of kube-controller-manager whose approver is on.
#[must_use]
pub fn upstream_on(pods: &[Pod]) -> Vec<String> {
    let on = pods.iter().filter(|pod| {
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        let words = containers.flat_map(|each| {
            let words = each.command.iter().flatten();
            words.chain(each.args.iter().flatten())
        });
        let mut words: Vec<&str> = words.map(String::as_str).collect();
        words.retain(|word| !word.is_empty());
        let program = words.first().is_some_and(|word| word.ends_with(MANAGER));
        program && approver_is_on(&words)
    });
    on.map(|pod| {
        format!(
            "the pod {} runs its csrapproving controller; \
             add --controllers=*,-csrapproving to it",
            pod.name_any()
        )
    })
    .collect()
}

const MANAGER: &str = "kube-controller-manager";

/// As kube-controller-manager reads its flag: a name turns on, one with a minus off, a star
/// all that are on by default; the first that names it counts.
fn approver_is_on(words: &[&str]) -> bool {
    let list = words
        .iter()
        .rev()
        .find_map(|w| w.strip_prefix("--controllers="));
    let Some(list) = list else { return true };
    let names: Vec<&str> = list.split(',').map(str::trim).collect();
    let ours = [
        "csrapproving",
        "certificatesigningrequest-approving-controller",
    ];
    let named = names.iter().find_map(|name| match name.strip_prefix('-') {
        Some(off) => ours.contains(&off).then_some(false),
        None => ours.contains(name).then_some(true),
    });
    named.unwrap_or_else(|| names.contains(&"*"))
}

/// Programs that may approve for our signers, by name of their binding; administrators, who
/// may do everything, left out.
#[must_use]
pub fn may(roles: &[ClusterRole], bindings: &[ClusterRoleBinding]) -> Vec<String> {
    let approvers: Vec<&str> = roles
        .iter()
        .filter(|role| approves(role))
        .filter_map(|role| role.metadata.name.as_deref())
        .filter(|name| *name != UPSTREAM)
        .collect();
    let mut found = Vec::new();
    for binding in bindings {
        let role = binding.role_ref.name.as_str();
        if !approvers.contains(&role) {
            continue;
        }
        for subject in binding.subjects.iter().flatten() {
            if subject.name != act::NAME {
                let space = subject.namespace.as_deref();
                let space = space.map_or_else(String::new, |space| format!("{space}/"));
                found.push(format!(
                    "{} {space}{} may approve for our signers (ClusterRoleBinding {}, \
                     ClusterRole {role})",
                    subject.kind,
                    subject.name,
                    binding.name_any()
                ));
            }
        }
    }
    found
}

fn approves(role: &ClusterRole) -> bool {
    let rules = || role.rules.iter().flatten();
    let may = |rule: &PolicyRule, resource: &str, verbs: &[&str]| {
        let has = |list: &Option<Vec<String>>, wanted: &[&str]| {
            let mut list = list.iter().flatten();
            list.any(|each| wanted.contains(&each.as_str()))
        };
        let verbs = rule.verbs.iter().any(|verb| verbs.contains(&verb.as_str()));
        let ours = rule.resource_names.as_ref().is_none_or(|names| {
            names.is_empty()
                || resource != "signers"
                || names.iter().any(|name| {
                    Signer::named(name).is_some() || name == "kubernetes.io/*"
                })
        });
        verbs
            && ours
            && has(&rule.api_groups, &["certificates.k8s.io", "*"])
            && has(&rule.resources, &[resource, "*"])
    };
    let everything = rules()
        .any(|rule| rule.verbs.iter().any(|verb| verb == "*") && may(rule, "*", &["*"]));
    let decides = ["certificatesigningrequests/approval", "*/approval"];
    let decides = decides.iter().any(|resource| {
        rules().any(|rule| may(rule, resource, &["update", "patch", "*"]))
    });
    let signer = rules().any(|rule| may(rule, "signers", &["approve", "*"]));
    !everything && decides && signer
}

#[cfg(test)]
mod tests {
    use k8s_openapi::serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;

    fn read<T: DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    fn csr(signer: &str, manager: &str, message: &str) -> Csr {
        read(json!({
            "metadata": { "name": "csr-1", "managedFields": [
                { "manager": "kubelet", "operation": "Update" },
                { "manager": manager, "operation": "Update", "subresource": "approval" },
                { "manager": "signer", "operation": "Update", "subresource": "status" },
            ]},
            "spec": { "request": "", "signerName": signer },
            "status": { "conditions": [{
                "type": "Approved", "status": "True", "message": message,
                "reason": if manager.is_empty() { "AutoApproved" } else { "Other" },
            }]},
        }))
    }

    #[test]
    fn programs_that_decided_are_named() {
        let serving = Signer::Serving.name();
        let upstream =
            "Auto approving kubelet client certificate after SubjectAccessReview.";
        for (signer, manager, message, who) in [
            (serving, "", upstream, Some("kube-controller-manager")),
            (serving, "approver", "", Some("approver")),
            (serving, "kubectl", "This CSR was approved by kubectl", None),
            (
                serving,
                "bootstrap-signer",
                "bootstrap-signer: approve: Serving",
                None,
            ),
            ("kubernetes.io/kube-apiserver-client", "approver", "", None),
        ] {
            let found = decided(&csr(signer, manager, message));
            assert_eq!(found.as_deref(), who, "{manager}");
        }
        let two = [csr(serving, "approver", ""), csr(serving, "approver", "")];
        assert_eq!(
            at_work(&two),
            ["approver decided about 2 request(s) of our signers, such as csr-1"]
        );
    }

    #[test]
    fn upstream_is_on_unless_its_flag_says_otherwise() {
        for (flag, on) in [
            ("--v=2", true),
            ("--controllers=*", true),
            ("--controllers=*,bootstrapsigner", true),
            ("--controllers=*,-csrapproving", false),
            ("--controllers=-csrapproving,*", false),
            ("--controllers=csrsigning", false),
            ("--controllers=csrsigning,csrapproving", true),
            (
                "--controllers=*,-certificatesigningrequest-approving-controller",
                false,
            ),
        ] {
            let pod: Pod = read(json!({
                "metadata": { "name": "kcm" },
                "spec": { "containers": [{
                    "name": "kcm", "command": ["kube-controller-manager", flag],
                }]},
            }));
            assert_eq!(!upstream_on(&[pod]).is_empty(), on, "{flag}");
        }
    }

    #[test]
    fn bindings_that_let_approve_are_named() {
        let rule = |group: &str, resource: &str, verb: &str, names: Value| {
            json!({
                "apiGroups": [group], "resources": [resource], "verbs": [verb],
                "resourceNames": names,
            })
        };
        let ours = "certificates.k8s.io";
        let update = || {
            rule(
                ours,
                "certificatesigningrequests/approval",
                "update",
                json!([]),
            )
        };
        let approve = |name: &str| rule(ours, "signers", "approve", json!([name]));
        let serving = Signer::Serving.name();
        for (rules, may_approve) in [
            (json!([update(), approve(serving)]), true),
            (json!([update(), approve("kubernetes.io/*")]), true),
            (json!([update(), approve("example.org/signer")]), false),
            (json!([update()]), false),
            (json!([approve(serving)]), false),
            (json!([rule("*", "*", "*", json!([]))]), false),
        ] {
            let role: ClusterRole =
                read(json!({ "metadata": { "name": "approver" }, "rules": rules }));
            let binding: ClusterRoleBinding = read(json!({
                "metadata": { "name": "b" },
                "roleRef": { "apiGroup": "", "kind": "ClusterRole", "name": "approver" },
                "subjects": [
                    { "kind": "ServiceAccount", "name": "x", "namespace": "y" },
                    { "kind": "User", "name": "bootstrap-signer" },
                ],
            }));
            let found = may(&[role], &[binding]);
            assert_eq!(found.len(), usize::from(may_approve), "{rules}");
        }
    }
}
