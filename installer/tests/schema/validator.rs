//! As much of JSON Schema as the schema of a description uses; a word beyond that is a failure,
//! so that nothing of it goes unread.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// A schema as a whole, which its references point into.
pub(crate) struct Schema(pub(crate) Value);

/// What a key may have.
pub(crate) enum Shape {
    /// One of these words.
    OneOf(BTreeSet<String>),
    /// Whatever is of its type.
    Free,
}

/// They say nothing that a value could break.
const SAID: [&str; 6] = [
    "$schema",
    "$defs",
    "title",
    "description",
    "default",
    "format",
];

impl Schema {
    /// Whether a value is as the schema has it.
    pub(crate) fn judge(&self, value: &Value) -> Result<(), String> {
        self.holds(&self.0, value, "")
    }

    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema.get("$ref").and_then(Value::as_str) {
            Some(place) => self.0.pointer(place.trim_start_matches('#')).unwrap(),
            None => schema,
        }
    }

    fn holds(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let schema = match schema {
            Value::Bool(true) => return Ok(()),
            Value::Bool(false) => return Err(format!("{at} is not allowed")),
            other => other.as_object().unwrap(),
        };
        for (word, says) in schema {
            let held = match word.as_str() {
                "$ref" => {
                    let place = says.as_str().unwrap().trim_start_matches('#');
                    self.holds(self.0.pointer(place).unwrap(), value, at)?;
                    true
                }
                "const" => says == value,
                "enum" => says.as_array().unwrap().contains(value),
                "anyOf" | "oneOf" => {
                    let all = says.as_array().unwrap();
                    all.iter().any(|one| self.holds(one, value, at).is_ok())
                }
                "type" => is_of(says, value),
                "required" => {
                    let mut keys = says.as_array().unwrap().iter();
                    keys.all(|key| value.get(key.as_str().unwrap()).is_some())
                }
                "minimum" => value.as_f64().is_none_or(|it| it >= says.as_f64().unwrap()),
                "maximum" => value.as_f64().is_none_or(|it| it <= says.as_f64().unwrap()),
                "items" => {
                    for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.holds(says, item, &format!("{at}[{n}]"))?;
                    }
                    true
                }
                "properties" | "additionalProperties" => true,
                known if SAID.contains(&known) => true,
                other => panic!("{other:?} is not read here"),
            };
            if !held {
                return Err(format!("{at}: {word}: {value} is not {says}"));
            }
        }
        self.members(schema, value, at)
    }

    /// Each member by its own schema, or by that of all others.
    fn members(
        &self,
        schema: &Map<String, Value>,
        value: &Value,
        at: &str,
    ) -> Result<(), String> {
        for (key, member) in value.as_object().into_iter().flatten() {
            let named = schema.get("properties").and_then(|all| all.get(key));
            if let Some(schema) = named.or_else(|| schema.get("additionalProperties")) {
                self.holds(schema, member, &format!("{at}.{key}"))?;
            }
        }
        Ok(())
    }

    /// Every key that has a value of its own: `hosts[].ssh.user`.
    pub(crate) fn leaves(&self) -> BTreeMap<String, Shape> {
        let mut all = BTreeMap::new();
        self.collect(&self.0, "", &mut all);
        all
    }

    fn collect(&self, schema: &Value, at: &str, all: &mut BTreeMap<String, Shape>) {
        let schema = self.present(schema);
        if let Some(Value::Object(properties)) = schema.get("properties") {
            for (key, schema) in properties {
                let dot = if at.is_empty() { "" } else { "." };
                self.collect(schema, &format!("{at}{dot}{key}"), all);
            }
            return;
        }
        let items = schema.get("items").map(|items| self.present(items));
        if let Some(items) = items.filter(|items| items.get("properties").is_some()) {
            return self.collect(items, &format!("{at}[]"), all);
        }
        all.insert(at.to_owned(), shape(items.unwrap_or(schema)));
    }

    /// The schema of a value that is there: what stands beside null, behind its reference.
    fn present<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let Some(Value::Array(either)) = schema.get("anyOf") else {
            return self.resolved(schema);
        };
        let is_null = |one: &&Value| one.get("type").is_some_and(|kind| kind == "null");
        let mut rest = either.iter().filter(|one| !is_null(one));
        self.resolved(rest.next().unwrap())
    }
}

fn shape(schema: &Value) -> Shape {
    let words = |value: &Value| value.as_str().unwrap().to_owned();
    if let Some(one) = schema.get("const") {
        return Shape::OneOf([words(one)].into());
    }
    if let Some(Value::Array(all)) = schema.get("enum") {
        return Shape::OneOf(all.iter().map(words).collect());
    }
    match schema.get("oneOf") {
        Some(Value::Array(all)) => {
            Shape::OneOf(all.iter().map(|one| words(&one["const"])).collect())
        }
        _ => Shape::Free,
    }
}

fn is_of(kinds: &Value, value: &Value) -> bool {
    let is = |kind: &Value| match kind.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other:?} is no type"),
    };
    match kinds {
        Value::Array(kinds) => kinds.iter().any(is),
        one => is(one),
    }
}
