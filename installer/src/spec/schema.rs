//! The JSON schema of a description, for editors and for what writes descriptions: what
//! [`File`] says of itself, and what only its reader knows.

use schemars::schema_for;
use serde_json::{Value, json};

use super::{File, KIND};

/// The schema: every object is closed but the maps.
#[must_use]
pub fn schema() -> Value {
    let mut schema = schema_for!(File).to_value();
    head(&mut schema);
    flags(&mut schema);
    close(&mut schema);
    schema
}

/// What the reader takes off before a [`File`] is made of the rest.
fn head(schema: &mut Value) {
    for (key, value) in [("apiVersion", config::API_VERSION), ("kind", KIND)] {
        if let Some(Value::Object(properties)) = schema.pointer_mut("/properties") {
            properties.insert(key.to_owned(), json!({"const": value}));
        }
        if let Some(Value::Array(required)) = schema.pointer_mut("/required") {
            required.push(key.into());
        }
    }
}

/// The reader takes a scalar of any kind as the text of a flag: `v: 2`.
fn flags(schema: &mut Value) {
    let place = "/properties/flags/additionalProperties/additionalProperties/type";
    if let Some(kind) = schema.pointer_mut(place) {
        *kind = json!(["string", "integer", "number", "boolean"]);
    }
}

/// The reader refuses unknown keys, wherever they are.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.contains_key("properties") {
                object.insert("additionalProperties".to_owned(), false.into());
            }
            object.values_mut().for_each(close);
        }
        Value::Array(all) => all.iter_mut().for_each(close),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
