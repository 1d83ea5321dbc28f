//! The strict parser: one pass, no recursion beyond [`MAX_DEPTH`], no more values than [`MAX_VALUES`].

use super::value::{MAX_INTEGER, Value};
use crate::codes::{JSON_DEPTH, JSON_DUPLICATE_KEY, JSON_ENCODING, JSON_NUMBER, JSON_SIZE, JSON_SYNTAX, JSON_TRAILING};
use crate::verdict::{Code, Refusal};
use std::collections::BTreeMap;

/// Deepest nesting of arrays and objects.
pub const MAX_DEPTH: usize = 64;
/// Most values of a text, members and items included. A value takes up to 100 times as much memory as its text; the claims
/// of 1,000 proofs have fewer than 8,000 values.
pub const MAX_VALUES: usize = 1 << 15;

/// The value of a strict text of at most `limit` bytes.
///
/// Cost: O(n log n) time in the length of the text; memory for [`MAX_VALUES`] values beside it.
pub fn parse(bytes: &[u8], limit: usize) -> Result<Value, Refusal> {
    if bytes.len() > limit {
        return Err(Refusal::new(
            JSON_SIZE,
            "the whole text",
            format_args!("at most {limit} bytes"),
            format_args!("{} bytes", bytes.len()),
        ));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Refusal::new(JSON_ENCODING, format_args!("byte {}", error.valid_up_to()), "UTF-8", "other bytes")
    })?;
    let mut parser = Parser { text, position: 0, num_values: 0 };
    parser.skip_white_space();
    let value = parser.value(0)?;
    parser.skip_white_space();
    match parser.peek() {
        None => Ok(value),
        Some(_) => Err(parser.refuse(JSON_TRAILING, "the end of the text")),
    }
}

struct Parser<'a> {
    text: &'a str,
    /// Always on a character boundary: only ASCII bytes and whole runs of text are stepped over.
    position: usize,
    /// Begun so far.
    num_values: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    fn step(&mut self) {
        self.position = self.position.saturating_add(1);
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.position..).unwrap_or("")
    }

    fn refuse(&self, code: Code, expected: &str) -> Refusal {
        let found: String = self.rest().chars().take(16).collect();
        let got = if found.is_empty() { "the end of the text".to_owned() } else { format!("`{found}`") };
        Refusal::new(code, format_args!("byte {}", self.position), expected, got)
    }

    fn skip_white_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.step();
        }
    }

    fn accept(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.step();
        }
        found
    }

    fn keyword(&mut self, word: &str, value: Value) -> Result<Value, Refusal> {
        if !self.rest().starts_with(word) {
            return Err(self.refuse(JSON_SYNTAX, word));
        }
        self.position = self.position.saturating_add(word.len());
        Ok(value)
    }

    fn value(&mut self, depth: usize) -> Result<Value, Refusal> {
        self.num_values = self.num_values.saturating_add(1);
        match self.peek() {
            _ if self.num_values > MAX_VALUES => Err(self.refuse(JSON_SIZE, "at most 32768 values")),
            Some(b'{' | b'[') if depth >= MAX_DEPTH => Err(self.refuse(JSON_DEPTH, "at most 64 levels")),
            Some(b'{') => self.object(depth.saturating_add(1)),
            Some(b'[') => self.array(depth.saturating_add(1)),
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.integer(),
            Some(b't') => self.keyword("true", Value::Bool(true)),
            Some(b'f') => self.keyword("false", Value::Bool(false)),
            Some(b'n') => self.keyword("null", Value::Null),
            _ => Err(self.refuse(JSON_SYNTAX, "a value")),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, Refusal> {
        self.step();
        let mut items = Vec::new();
        self.skip_white_space();
        if self.accept(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            self.skip_white_space();
            items.push(self.value(depth)?);
            self.skip_white_space();
            if self.accept(b']') {
                return Ok(Value::Array(items));
            }
            if !self.accept(b',') {
                return Err(self.refuse(JSON_SYNTAX, "`,` or `]`"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, Refusal> {
        self.step();
        let mut members = BTreeMap::new();
        self.skip_white_space();
        if self.accept(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.skip_white_space();
            if self.peek() != Some(b'"') {
                return Err(self.refuse(JSON_SYNTAX, "a key"));
            }
            let start = self.position;
            let key = self.string()?;
            if members.contains_key(&key) {
                self.position = start;
                return Err(self.refuse(JSON_DUPLICATE_KEY, "each key once"));
            }
            self.skip_white_space();
            if !self.accept(b':') {
                return Err(self.refuse(JSON_SYNTAX, "`:`"));
            }
            self.skip_white_space();
            let value = self.value(depth)?;
            members.insert(key, value);
            self.skip_white_space();
            if self.accept(b'}') {
                return Ok(Value::Object(members));
            }
            if !self.accept(b',') {
                return Err(self.refuse(JSON_SYNTAX, "`,` or `}`"));
            }
        }
    }

    fn integer(&mut self) -> Result<Value, Refusal> {
        let rest = self.rest();
        let end = rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(rest.len());
        let text = rest.get(..end).unwrap_or("");
        // The shortest decimal form is the only one: no leading zero, no `-0`, no sign `+`.
        match text.parse::<i64>() {
            Ok(integer) if (-MAX_INTEGER..=MAX_INTEGER).contains(&integer) && integer.to_string() == text => {
                self.position = self.position.saturating_add(end);
                Ok(Value::Integer(integer))
            }
            _ => Err(self.refuse(JSON_NUMBER, "an integer of magnitude at most 2^53")),
        }
    }

    fn string(&mut self) -> Result<String, Refusal> {
        self.step();
        let mut out = String::new();
        loop {
            let rest = self.rest();
            let end = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0x00..=0x1f)).unwrap_or(rest.len());
            out.push_str(rest.get(..end).unwrap_or(""));
            self.position = self.position.saturating_add(end);
            match self.peek() {
                Some(b'"') => {
                    self.step();
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                _ => return Err(self.refuse(JSON_SYNTAX, "a string without control characters")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Refusal> {
        self.step();
        let character = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.refuse(JSON_SYNTAX, "an escape of JSON")),
        };
        self.step();
        Ok(character)
    }

    /// One `uXXXX`, or two of them that make a surrogate pair; the position is on the `u`.
    fn unicode_escape(&mut self) -> Result<char, Refusal> {
        let first = self.code_unit()?;
        let mut units = vec![first];
        if matches!(first, 0xd800..=0xdbff) && self.rest().starts_with("\\u") {
            self.step();
            units.push(self.code_unit()?);
        }
        let mut decoded = char::decode_utf16(units);
        match (decoded.next(), decoded.next()) {
            (Some(Ok(character)), None) => Ok(character),
            _ => Err(self.refuse(JSON_ENCODING, "a surrogate pair before this")),
        }
    }

    fn code_unit(&mut self) -> Result<u16, Refusal> {
        self.step();
        let digits = self.rest().get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        let unit = unit.ok_or_else(|| self.refuse(JSON_SYNTAX, "four hexadecimal digits"))?;
        self.position = self.position.saturating_add(4);
        Ok(unit)
    }
}
