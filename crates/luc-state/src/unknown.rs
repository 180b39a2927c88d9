//! What a newer release wrote into a record and this one does not know.
//!
//! Found when a record is read: whatever stands in the stored JSON but not in the JSON that the
//! record's type gives back. Laid over the JSON again when the record is rewritten, wherever the
//! object that held it is still there. Inside lists an element keeps what belongs to it as long as
//! the element itself is unchanged.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The unknown parts of one JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Unknown {
    /// Of an object: fields that are not known, and known fields with something unknown inside.
    Object {
        fields: Map<String, Value>,
        inside: BTreeMap<String, Unknown>,
    },
    /// Of a list: for some elements their known form and what is unknown inside.
    List(Vec<(Value, Unknown)>),
}

impl Unknown {
    /// What of `stored` is missing in `known`; `None` if nothing is.
    pub(crate) fn between(stored: &Value, known: &Value) -> Option<Self> {
        match (stored, known) {
            (Value::Object(stored), Value::Object(known)) => {
                let mut fields = Map::new();
                let mut inside = BTreeMap::new();
                for (name, value) in stored {
                    match known.get(name) {
                        None => {
                            fields.insert(name.clone(), value.clone());
                        }
                        Some(known) => {
                            if let Some(unknown) = Self::between(value, known) {
                                inside.insert(name.clone(), unknown);
                            }
                        }
                    }
                }
                let found = !(fields.is_empty() && inside.is_empty());
                found.then_some(Self::Object { fields, inside })
            }
            (Value::Array(stored), Value::Array(known)) if stored.len() == known.len() => {
                let elements: Vec<_> = stored
                    .iter()
                    .zip(known)
                    .filter_map(|(stored, known)| {
                        Self::between(stored, known).map(|unknown| (known.clone(), unknown))
                    })
                    .collect();
                (!elements.is_empty()).then_some(Self::List(elements))
            }
            _ => None,
        }
    }

    /// Puts what is unknown back into `value`.
    pub(crate) fn lay_over(&self, value: &mut Value) {
        match (self, value) {
            (Self::Object { fields, inside }, Value::Object(object)) => {
                for (name, unknown) in inside {
                    if let Some(value) = object.get_mut(name) {
                        unknown.lay_over(value);
                    }
                }
                for (name, field) in fields {
                    object.entry(name.clone()).or_insert_with(|| field.clone());
                }
            }
            (Self::List(elements), Value::Array(list)) => {
                let mut done = vec![false; list.len()];
                for (known, unknown) in elements {
                    let same = list
                        .iter_mut()
                        .enumerate()
                        .find(|(position, element)| !done[*position] && *element == known);
                    if let Some((position, element)) = same {
                        done[position] = true;
                        unknown.lay_over(element);
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rewritten(stored: &Value, known: &Value, changed: &Value) -> Value {
        let mut value = changed.clone();
        if let Some(unknown) = Unknown::between(stored, known) {
            unknown.lay_over(&mut value);
        }
        value
    }

    #[test]
    fn nothing_is_unknown_in_what_we_wrote_ourselves() {
        let value = json!({"a": 1, "b": [{"c": null}]});
        assert_eq!(Unknown::between(&value, &value), None);
    }

    #[test]
    fn unknown_fields_survive_at_every_depth() {
        let stored = json!({"a": 1, "new": 2, "in": {"b": 3, "newer": [4]}});
        let known = json!({"a": 1, "in": {"b": 3}});
        let changed = json!({"a": 9, "in": {"b": 8}});
        assert_eq!(
            rewritten(&stored, &known, &changed),
            json!({"a": 9, "new": 2, "in": {"b": 8, "newer": [4]}})
        );
    }

    #[test]
    fn a_known_value_is_never_overwritten() {
        // The field was left out because it had its default, then it was set.
        let stored = json!({"locked": false});
        assert_eq!(
            rewritten(&stored, &json!({}), &json!({"locked": true})),
            json!({"locked": true})
        );
    }

    #[test]
    fn what_was_inside_a_removed_object_goes_with_it() {
        let stored = json!({"meta": {"x": {"known": 1, "new": 2}}});
        let known = json!({"meta": {"x": {"known": 1}}});
        assert_eq!(
            rewritten(&stored, &known, &json!({"meta": {}})),
            json!({"meta": {}})
        );
    }

    #[test]
    fn elements_of_a_list_keep_what_is_theirs_when_they_move() {
        let stored = json!([{"id": 1, "new": "a"}, {"id": 2, "new": "b"}]);
        let known = json!([{"id": 1}, {"id": 2}]);
        let changed = json!([{"id": 3}, {"id": 2}, {"id": 1}]);
        assert_eq!(
            rewritten(&stored, &known, &changed),
            json!([{"id": 3}, {"id": 2, "new": "b"}, {"id": 1, "new": "a"}])
        );
    }
}
