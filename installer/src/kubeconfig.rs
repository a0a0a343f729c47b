//! A kubeconfig among others: what is added to one that a person has already. A function of
//! two texts.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::render::yaml;

const CLUSTERS: &str = "clusters";
const CONTEXTS: &str = "contexts";
const USERS: &str = "users";
/// The lists of a kubeconfig whose entries have names.
const LISTS: [&str; 3] = [CLUSTERS, CONTEXTS, USERS];

/// Why two kubeconfigs are not made one.
#[derive(Debug, Error)]
pub enum MergeError {
    /// It is not YAML.
    #[error("it is no YAML")]
    Syntax(#[source] serde_saphyr::Error),
    /// It is something else.
    #[error("it is no kubeconfig: {0} is not a list of entries with names")]
    Shape(&'static str),
    /// A name of ours is another cluster's, whose way in it would be.
    #[error(
        "{list} has {name:?} of another cluster ({why}), which stays; write --name=ANOTHER, \
         or remove that entry when nobody needs it"
    )]
    Another {
        /// Where the name stands.
        list: &'static str,
        /// The name.
        name: String,
        /// How that shows.
        why: String,
    },
}

/// Where the current context of a kubeconfig leads; nothing where that is not to be read.
pub(crate) fn server(text: &str) -> Option<String> {
    let file = read(text).ok()?;
    let current = file.get("current-context")?.as_str()?;
    let named = |list: &'static str, wanted: &str| {
        let all = entries(&file, list).ok()?.into_iter();
        let mut all = all.filter(|one| name(one) == Some(wanted));
        all.next()
    };
    let context = named(CONTEXTS, current)?;
    let cluster = named(CLUSTERS, context.get("context")?.get("cluster")?.as_str()?)?;
    let server = cluster.get("cluster")?.get("server")?.as_str()?;
    Some(server.to_owned())
}

/// `there` with the entries of `added`: those of the same cluster are replaced, all others
/// stay, and so does the current context where there is one.
///
/// # Errors
/// When one of them is no kubeconfig, or an entry of another cluster has one of the names.
pub fn merged(there: &str, added: &str) -> Result<String, MergeError> {
    let mut there = read(there)?;
    let added = read(added)?;
    for cluster in entries(&added, CLUSTERS)? {
        another(&there, &cluster)?;
    }
    for one in entries(&added, CONTEXTS)? {
        led_elsewhere(&there, &one)?;
    }
    for key in LISTS {
        let fresh = entries(&added, key)?;
        let mut all = entries(&there, key)?;
        all.retain(|one| !fresh.iter().any(|new| name(new) == name(one)));
        all.extend(fresh);
        there.insert(key.to_owned(), Value::Array(all));
    }
    for (key, value) in added {
        let missing = match there.get(&key) {
            None | Some(Value::Null) => true,
            Some(Value::String(text)) => text.is_empty(),
            Some(_) => false,
        };
        if missing {
            there.insert(key, value);
        }
    }
    Ok(yaml(&Value::Object(there)))
}

/// The certificates that a kubeconfig shows to a server, by their users' names. What lies in files
/// of its own is not looked for.
#[must_use]
pub fn shown(text: &str, server: &str) -> BTreeMap<String, String> {
    let config = read(text).unwrap_or_default();
    let all = |key| entries(&config, key).unwrap_or_default();
    let field = |one: &Value, within: &str, key: &str| {
        let text = one.get(within)?.get(key)?.as_str()?;
        Some(text.to_owned())
    };
    let leads = |one: &Value| field(one, "cluster", "server").as_deref() == Some(server);
    let clusters: Vec<_> = all(CLUSTERS).into_iter().filter(leads).collect();
    let ours = |context: &Value| {
        let cluster = field(context, "context", "cluster");
        clusters.iter().any(|one| name(one) == cluster.as_deref())
    };
    let contexts = all(CONTEXTS).into_iter().filter(ours);
    let users: Vec<_> = contexts
        .filter_map(|context| field(&context, "context", "user"))
        .collect();
    let certificate = |user: Value| {
        let known = name(&user)?.to_owned();
        let data = field(&user, "user", "client-certificate-data")?;
        let pem = String::from_utf8(STANDARD.decode(data).ok()?).ok()?;
        users.contains(&known).then_some((known, pem))
    };
    all(USERS).into_iter().filter_map(certificate).collect()
}

/// A cluster is known by its authority; one that names a file for it, or none, by where it
/// is dialled.
fn another(there: &Map<String, Value>, cluster: &Value) -> Result<(), MergeError> {
    let same = |one: &Value| name(one) == name(cluster);
    let Some(old) = entries(there, CLUSTERS)?.into_iter().find(same) else {
        return Ok(());
    };
    let of = |one: &Value, key: &str| one.get("cluster")?.get(key).cloned();
    let known = "certificate-authority-data";
    let why = match (of(&old, known), of(cluster, known)) {
        (Some(old), Some(new)) if old == new => return Ok(()),
        (Some(_), Some(_)) => "it trusts another authority".to_owned(),
        (_, _) => match of(&old, "server") {
            server if server == of(cluster, "server") => return Ok(()),
            Some(Value::String(server)) => format!("its server is {server}"),
            Some(_) | None => "it has no server".to_owned(),
        },
    };
    Err(refused(CLUSTERS, cluster, why))
}

/// A context of that name, or one that has the user of that name, leads to the same cluster.
fn led_elsewhere(there: &Map<String, Value>, ours: &Value) -> Result<(), MergeError> {
    let of = |one: &Value, key: &str| {
        let text = one.get("context")?.get(key)?.as_str()?;
        Some(text.to_owned())
    };
    let contexts = entries(there, CONTEXTS)?;
    let elsewhere = |one: &&Value| of(one, "cluster") != of(ours, "cluster");
    for one in contexts.iter().filter(elsewhere) {
        let cluster = of(one, "cluster").unwrap_or_default();
        if name(one) == name(ours) {
            let why = format!("it leads to {cluster:?}");
            return Err(refused(CONTEXTS, one, why));
        }
        let user = of(ours, "user");
        if of(one, "user") == user {
            let why = format!("the context {:?} has it", name(one).unwrap_or_default());
            let list = USERS;
            let name = user.unwrap_or_default();
            return Err(MergeError::Another { list, name, why });
        }
    }
    Ok(())
}

fn refused(list: &'static str, entry: &Value, why: String) -> MergeError {
    let name = name(entry).unwrap_or_default().to_owned();
    MergeError::Another { list, name, why }
}

fn read(text: &str) -> Result<Map<String, Value>, MergeError> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    let whole: Option<Value> =
        serde_saphyr::from_str(text).map_err(MergeError::Syntax)?;
    match whole {
        None => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map),
        Some(_) => Err(MergeError::Shape("the whole")),
    }
}

fn entries(
    config: &Map<String, Value>,
    key: &'static str,
) -> Result<Vec<Value>, MergeError> {
    match config.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(all)) if all.iter().all(|one| name(one).is_some()) => {
            Ok(all.clone())
        }
        Some(_) => Err(MergeError::Shape(key)),
    }
}

fn name(entry: &Value) -> Option<&str> {
    entry.get("name")?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDED: &str = "apiVersion: v1\nkind: Config\ncurrent-context: admin@prod\n\
        clusters:\n- {name: prod, cluster: {server: https://192.0.2.9:6443}}\n\
        users:\n- {name: admin, user: {client-key-data: bmV3}}\n\
        contexts:\n- {name: admin@prod, context: {cluster: prod, user: admin}}\n";

    fn value(text: &str) -> Value {
        serde_saphyr::from_str(text).unwrap()
    }

    #[test]
    fn others_stay_and_what_has_the_same_name_is_replaced() {
        assert_eq!(value(&merged("", ADDED).unwrap()), value(ADDED));
        let there = "apiVersion: v1\nkind: Config\ncurrent-context: home\npreferences: {a: 1}\n\
            clusters:\n- {name: home, cluster: {server: https://h}}\n\
            - {name: prod, cluster: {server: https://192.0.2.9:6443, tls-server-name: a}}\n\
            users: null\n";
        let both = value(&merged(there, ADDED).unwrap());
        let names: Vec<_> = both["clusters"]
            .as_array()
            .unwrap()
            .iter()
            .map(name)
            .collect();
        assert_eq!(names, [Some("home"), Some("prod")]);
        assert_eq!(
            both["clusters"][1]["cluster"]["server"],
            "https://192.0.2.9:6443"
        );
        assert_eq!(
            both["clusters"][1]["cluster"]["tls-server-name"],
            Value::Null
        );
        assert_eq!(both["current-context"], "home");
        assert_eq!(both["preferences"]["a"], 1);
        assert_eq!(both["users"][0]["name"], "admin");
        let again = merged(&merged(there, ADDED).unwrap(), ADDED).unwrap();
        assert_eq!(value(&again), both, "merged twice");
    }

    #[test]
    fn a_kubeconfig_leads_where_its_current_context_does() {
        let clusters = "clusters: [{name: a, cluster: {server: https://a}}, {name: b, cluster: {server: https://b}}]";
        let contexts = "contexts: [{name: x, context: {cluster: b, user: c}}, {name: w, context: {cluster: c}}]";
        for (current, wanted) in [("x", Some("https://b")), ("w", None), ("z", None)] {
            let text = format!("{clusters}\n{contexts}\ncurrent-context: {current}\n");
            assert_eq!(server(&text).as_deref(), wanted, "{current}");
        }
        assert_eq!(server(""), None);
        assert_eq!(server(clusters), None);
    }

    #[test]
    fn what_is_shown_to_a_server_is_found_by_way_of_its_contexts() {
        let text = "clusters:\n- {name: prod, cluster: {server: https://192.0.2.9:6443}}\n\
            - {name: home, cluster: {server: https://h}}\n\
            contexts:\n- {name: a, context: {cluster: prod, user: admin@prod}}\n\
            - {name: b, context: {cluster: home, user: me}}\n\
            - {name: c, context: {cluster: prod, user: file}}\n\
            users:\n- {name: me, user: {client-certificate-data: bWluZQ==}}\n\
            - {name: admin@prod, user: {client-certificate-data: b3Vycw==}}\n\
            - {name: other, user: {client-certificate-data: b3Vycw==}}\n\
            - {name: file, user: {client-certificate: file.crt}}\n";
        let ours = [("admin@prod".to_owned(), "ours".to_owned())];
        assert_eq!(shown(text, "https://192.0.2.9:6443"), BTreeMap::from(ours));
        for (text, server) in [(text, "https://other"), ("[]", "https://h"), ("", "")] {
            assert_eq!(shown(text, server), BTreeMap::new(), "{text}");
        }
    }

    /// Each row: what is there, and what is said of it; nothing is when the cluster is the same.
    #[test]
    fn what_another_cluster_has_by_that_name_stays() {
        let added = |authority: &str| {
            ADDED.replace(
                "{server: https://192.0.2.9:6443}",
                &format!("{{server: https://192.0.2.9:6443, certificate-authority-data: {authority}}}"),
            )
        };
        let cluster =
            |inner: &str| format!("clusters: [{{name: prod, cluster: {inner}}}]");
        let context = |name: &str, cluster: &str, user: &str| {
            let inner = format!("{{cluster: {cluster}, user: {user}}}");
            format!("contexts: [{{name: {name}, context: {inner}}}]")
        };
        for (there, wanted) in [
            (
                cluster("{server: https://a, certificate-authority-data: bmV3}"),
                None,
            ),
            (
                cluster(
                    "{server: https://192.0.2.9:6443, certificate-authority-data: b2xk}",
                ),
                Some(
                    "clusters has \"prod\" of another cluster (it trusts another authority)",
                ),
            ),
            (
                cluster(
                    "{server: https://192.0.2.9:6443, certificate-authority: ca.crt}",
                ),
                None,
            ),
            (
                cluster("{server: https://a, certificate-authority: ca.crt}"),
                Some(
                    "clusters has \"prod\" of another cluster (its server is https://a)",
                ),
            ),
            (context("admin@prod", "prod", "admin"), None),
            (context("other", "prod", "admin"), None),
            (context("other", "home", "somebody"), None),
            (
                context("admin@prod", "home", "somebody"),
                Some(
                    "contexts has \"admin@prod\" of another cluster (it leads to \"home\")",
                ),
            ),
            (
                context("other", "home", "admin"),
                Some(
                    "users has \"admin\" of another cluster (the context \"other\" has it)",
                ),
            ),
        ] {
            let said = merged(&there, &added("bmV3")).map_err(|error| error.to_string());
            match (said, wanted) {
                (Ok(_), None) => {}
                (Err(said), Some(wanted)) => {
                    assert!(said.starts_with(wanted), "{there}: {said}");
                    assert!(said.contains("--name=ANOTHER"), "{said}");
                }
                (said, wanted) => panic!("{there}: {said:?}, not {wanted:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_kubeconfig_is_left_alone() {
        for (text, wanted) in [
            ("- a", "the whole is not"),
            ("clusters: 1", "clusters is not"),
            ("users: [{user: {}}]", "users is not"),
            ("a: [", "no YAML"),
        ] {
            let error = merged(text, ADDED).unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
