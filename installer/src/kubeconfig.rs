//! A kubeconfig among others: what is added to one that a person has already. A function of
//! two texts.

use serde_json::{Map, Value};
use thiserror::Error;

use crate::render::yaml;

/// The lists of a kubeconfig whose entries have names.
const LISTS: [&str; 3] = ["clusters", "contexts", "users"];

/// Why two kubeconfigs are not made one.
#[derive(Debug, Error)]
pub enum MergeError {
    /// It is not YAML.
    #[error("it is no YAML")]
    Syntax(#[source] serde_saphyr::Error),
    /// It is something else.
    #[error("it is no kubeconfig: {0} is not a list of entries with names")]
    Shape(&'static str),
}

/// `there` with the entries of `added`: those of the same names are replaced, all others stay,
/// and so does the current context where there is one.
///
/// # Errors
/// When one of them is no kubeconfig.
pub fn merged(there: &str, added: &str) -> Result<String, MergeError> {
    let mut there = read(there)?;
    let added = read(added)?;
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
            - {name: prod, cluster: {server: https://old}}\nusers: null\n";
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
        assert_eq!(both["current-context"], "home");
        assert_eq!(both["preferences"]["a"], 1);
        assert_eq!(both["users"][0]["name"], "admin");
        let again = merged(&merged(there, ADDED).unwrap(), ADDED).unwrap();
        assert_eq!(value(&again), both, "merged twice");
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
