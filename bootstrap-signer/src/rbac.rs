//! The RBAC objects, one file for each thing it may be told to do.

use std::collections::BTreeSet;

use clap::ValueEnum;

/// What it is to be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Part {
    /// To watch, to approve and to deny.
    Approve,
    /// To write certificates (`signing`).
    Sign,
    /// To sign cluster-info (`tokens.clusterInfo: sign`).
    ClusterInfo,
    /// To delete tokens that have expired (`tokens.expired: delete`).
    Clean,
    /// That anybody may read cluster-info, as kubeadm has it.
    Discovery,
}

impl Part {
    fn objects(self) -> &'static str {
        match self {
            Self::Approve => include_str!("rbac.yaml"),
            Self::Sign => include_str!("rbac/sign.yaml"),
            Self::ClusterInfo => include_str!("rbac/cluster-info.yaml"),
            Self::Clean => include_str!("rbac/clean.yaml"),
            Self::Discovery => include_str!("rbac/discovery.yaml"),
        }
    }
}

/// The objects of all `parts`, in one order.
#[must_use]
pub fn objects(parts: &BTreeSet<Part>) -> String {
    let objects = parts.iter().map(|part| part.objects().trim_end());
    objects.collect::<Vec<_>>().join("\n---\n")
}

#[cfg(test)]
mod tests {
    use policy::Signer;
    use serde_json::{Value, json};

    use super::*;

    fn printed(parts: impl IntoIterator<Item = Part>) -> Vec<Value> {
        let text = objects(&parts.into_iter().collect());
        let objects = text.split("\n---\n");
        objects
            .map(|one| config::parse_foreign("rbac", one).unwrap().file)
            .collect()
    }

    fn of<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
        let objects = objects.iter();
        objects.filter(|one| one["kind"] == kind).collect()
    }

    /// Every rule names its resources and verbs; who decides about two signers may do so for
    /// these two only, and whoever reads or writes one object may not for all of its kind.
    #[test]
    fn no_right_is_wider_than_its_duty() {
        let all = printed(Part::value_variants().iter().copied());
        let roles = [of(&all, "ClusterRole"), of(&all, "Role")].concat();
        let rules: Vec<&Value> = roles
            .iter()
            .flat_map(|role| role["rules"].as_array().unwrap())
            .collect();
        let signers = json!([Signer::Client.name(), Signer::Serving.name()]);
        for rule in &rules {
            assert!(!rule.to_string().contains('*'), "{rule}");
            if rule["resources"] == json!(["signers"]) {
                assert_eq!(rule["resourceNames"], signers, "{rule}");
            }
            if rule["resources"] == json!(["configmaps"]) {
                assert_eq!(rule["resourceNames"], json!(["cluster-info"]), "{rule}");
            }
        }
        // Everywhere, as opposed to in one namespace, it reads, asks and writes decisions.
        let wide = of(&all, "ClusterRole");
        let wide = wide
            .iter()
            .flat_map(|role| role["rules"].as_array().unwrap());
        let mut wide: Vec<(String, String)> = wide
            .map(|rule| (rule["resources"].to_string(), rule["verbs"].to_string()))
            .collect();
        wide.sort();
        let wide: Vec<(&str, &str)> = wide
            .iter()
            .map(|(resources, verbs)| (resources.as_str(), verbs.as_str()))
            .collect();
        assert_eq!(
            wide,
            [
                (r#"["certificatesigningrequests"]"#, r#"["get"]"#),
                (r#"["certificatesigningrequests"]"#, r#"["list","watch"]"#),
                (r#"["certificatesigningrequests/approval"]"#, r#"["patch"]"#),
                (r#"["certificatesigningrequests/status"]"#, r#"["patch"]"#),
                (r#"["nodes"]"#, r#"["get","list","watch"]"#),
                (r#"["signers"]"#, r#"["approve"]"#),
                (r#"["signers"]"#, r#"["sign"]"#),
                (r#"["subjectaccessreviews"]"#, r#"["create"]"#),
            ]
        );
    }

    #[test]
    fn it_stands_in_line_with_the_controllers() {
        let printed = printed([Part::Approve]);
        let schemas = of(&printed, "FlowSchema");
        let [schema] = schemas.as_slice() else {
            panic!("{schemas:?}");
        };
        let level = &schema["spec"]["priorityLevelConfiguration"]["name"];
        assert_eq!(level, "workload-high");
        let subjects = &schema["spec"]["rules"][0]["subjects"];
        let own = json!([{ "kind": "User", "user": { "name": "bootstrap-signer" } }]);
        assert_eq!(*subjects, own);
    }
}
