//! Values as YAML.

use serde::Serialize;

/// The text of a value made of maps with text keys, lists and scalars, which always has one.
pub(crate) fn yaml(value: &impl Serialize) -> String {
    serde_saphyr::to_string(value).unwrap_or_default()
}

/// Several objects in one file.
pub(crate) fn documents<T: Serialize>(values: &[T]) -> String {
    let texts: Vec<_> = values.iter().map(yaml).collect();
    texts.join("---\n")
}
