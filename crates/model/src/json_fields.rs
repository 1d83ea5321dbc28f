//! A JSON object of an untrusted file, read field by field; what nobody read is refused.

use crate::error::shown;
use crate::{Decimal, ModelError};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;

/// The fields of a JSON object that were not read yet, each with the text of its value.
#[derive(Debug)]
pub(crate) struct JsonFields {
    file: String,
    prefix: String,
    fields: BTreeMap<String, Box<RawValue>>,
}

impl JsonFields {
    /// The fields of the object that `bytes` are. Refuses a key that is there twice.
    pub(crate) fn parse(file: &str, bytes: &[u8]) -> Result<Self, ModelError> {
        let UniqueFields(fields) = serde_json::from_slice(bytes).map_err(|error| ModelError::Malformed {
            file: file.to_owned(),
            offset: 0,
            expected: "a JSON object without repeated keys".to_owned(),
            got: shown(&error.to_string()),
        })?;
        Ok(Self { file: file.to_owned(), prefix: String::new(), fields })
    }

    /// The names of all fields.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(String::as_str)
    }

    /// The value of a field as its type; `None` if it is missing or null.
    fn take<'a, T: Deserialize<'a>>(&'a mut self, name: &str, supported: &str) -> Result<Option<T>, ModelError> {
        // The text stays in the map's place until the borrow ends; a null marks it as read.
        let Some(raw) = self.fields.get(name).map(|raw| raw.get()) else { return Ok(None) };
        serde_json::from_str(raw).map_err(|_| self.unsupported(name, supported, raw))
    }

    fn unsupported(&self, name: &str, supported: &str, got: &str) -> ModelError {
        ModelError::UnsupportedField {
            file: self.file.clone(),
            field: shown(&format!("{}{name}", self.prefix)),
            supported: supported.to_owned(),
            got: shown(got),
        }
    }
}

struct UniqueFields(BTreeMap<String, Box<RawValue>>);

impl<'de> Deserialize<'de> for UniqueFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct UniqueFieldsVisitor;
        impl<'de> Visitor<'de> for UniqueFieldsVisitor {
            type Value = UniqueFields;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UniqueFields, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if fields.contains_key(&name) {
                        return Err(de::Error::custom(format_args!("key {name} twice")));
                    }
                    fields.insert(name, value);
                }
                Ok(UniqueFields(fields))
            }
        }
        deserializer.deserialize_map(UniqueFieldsVisitor)
    }
}
