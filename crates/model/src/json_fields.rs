//! A JSON object of an untrusted file, read field by field; what nobody read is refused.

use crate::error::shown;
use crate::{Decimal, ModelError};
use serde::de::{self, DeserializeOwned, MapAccess, Visitor};
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

    /// The value of a field as a `T`; `None` if it is missing or null.
    fn take<T: DeserializeOwned>(&mut self, name: &str, supported: &str) -> Result<Option<T>, ModelError> {
        let Some(raw) = self.take_raw(name) else {
            return Ok(None);
        };
        match serde_json::from_str(raw.get()) {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(self.unsupported(name, supported, raw.get())),
        }
    }

    /// Removes a field; `None` if it is missing or null.
    fn take_raw(&mut self, name: &str) -> Option<Box<RawValue>> {
        self.fields.remove(name).filter(|raw| raw.get() != "null")
    }

    /// A natural number.
    pub(crate) fn natural(&mut self, name: &str) -> Result<Option<usize>, ModelError> {
        self.take(name, "a natural number")
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, name: &str) -> Result<Option<bool>, ModelError> {
        self.take(name, "true or false")
    }

    /// A string.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, ModelError> {
        self.take(name, "a string")
    }

    /// A list of strings.
    pub(crate) fn texts(&mut self, name: &str) -> Result<Option<Vec<String>>, ModelError> {
        self.take(name, "a list of strings")
    }

    /// A positive decimal number, exactly as spelled.
    pub(crate) fn decimal(&mut self, name: &str) -> Result<Option<Decimal>, ModelError> {
        let Some(raw) = self.take_raw(name) else {
            return Ok(None);
        };
        let supported = "a positive decimal of at most 18 digits and exponent at most 64";
        let value = Decimal::parse(raw.get());
        value.map(Some).ok_or_else(|| self.unsupported(name, supported, raw.get()))
    }

    /// An object.
    pub(crate) fn object(&mut self, name: &str) -> Result<Option<Self>, ModelError> {
        let Some(raw) = self.take_raw(name) else {
            return Ok(None);
        };
        let UniqueFields(fields) = serde_json::from_str(raw.get())
            .map_err(|_| self.unsupported(name, "an object without repeated keys", raw.get()))?;
        let prefix = format!("{}{name}.", self.prefix);
        Ok(Some(Self { file: self.file.clone(), prefix, fields }))
    }

    /// Refuses the field unless it is missing, null, or one of these JSON literals.
    pub(crate) fn only(&mut self, name: &str, literals: &[&str]) -> Result<(), ModelError> {
        match self.take_raw(name) {
            Some(raw) if !literals.contains(&raw.get()) => {
                let supported = ["null"].iter().chain(literals).copied().collect::<Vec<_>>().join(" or ");
                Err(self.unsupported(name, &supported, raw.get()))
            }
            _ => Ok(()),
        }
    }

    /// The value, or the refusal of a missing field.
    pub(crate) fn required<T>(&self, name: &str, value: Option<T>) -> Result<T, ModelError> {
        value.ok_or_else(|| ModelError::MissingField {
            file: self.file.clone(),
            field: format!("{}{name}", self.prefix),
        })
    }

    /// Refuses what was not read and is not named in `inert`.
    pub(crate) fn finish(self, inert: &[&str]) -> Result<(), ModelError> {
        match self.fields.into_keys().find(|name| !inert.contains(&name.as_str())) {
            Some(name) => {
                Err(ModelError::UnknownField { file: self.file, field: shown(&format!("{}{name}", self.prefix)) })
            }
            None => Ok(()),
        }
    }

    /// The refusal of a field's value.
    pub(crate) fn unsupported(&self, name: &str, supported: &str, got: &str) -> ModelError {
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
