//! The five verdicts, the type of an error code, and the one error type of the verifier crates.

use std::fmt;

/// What a verification ends with; the discriminant is the exit code of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Verdict {
    /// Every claim that the policy demands holds at the demanded word.
    Verified = 0,
    /// A proof, signature, digest, file or bound disagrees.
    Refuted = 1,
    /// The input is missing, unreadable or not a container of ours; or the usage is wrong.
    Unusable = 2,
    /// Nothing disagrees and not everything demanded was shown.
    Inconclusive = 3,
    /// A bug of this program.
    Internal = 4,
}

impl Verdict {
    /// The exit code of the process.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Verified => 0,
            Self::Refuted => 1,
            Self::Unusable => 2,
            Self::Inconclusive => 3,
            Self::Internal => 4,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Verified => "verified",
            Self::Refuted => "refuted",
            Self::Unusable => "unusable",
            Self::Inconclusive => "inconclusive",
            Self::Internal => "internal error",
        })
    }
}

/// One row of a crate's table of codes. Made by [`codes!`](crate::codes!) only.
#[derive(Debug, PartialEq, Eq)]
pub struct CodeRow {
    /// The stable identifier, such as `VT-ENV-001`.
    pub id: &'static str,
    /// The verdict of a refusal with this code, unless the refusal narrows it.
    pub verdict: Verdict,
    /// One line: what was found.
    pub meaning: &'static str,
}

/// The stable name of one check. Never reused for another check.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Code(&'static CodeRow);

impl Code {
    /// The code of a row of a table.
    #[must_use]
    pub const fn new(row: &'static CodeRow) -> Self {
        Self(row)
    }

    /// The stable identifier, such as `VT-ENV-001`.
    #[must_use]
    pub const fn id(self) -> &'static str {
        self.0.id
    }

    /// The verdict that this code stands for.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        self.0.verdict
    }

    /// One line: what was found.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        self.0.meaning
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// Declares the codes of a crate: a constant for each, and `CODES`, the table that the documentation is tested
/// against.
#[macro_export]
macro_rules! codes {
    ($($name:ident = $id:literal, $verdict:ident, $meaning:literal;)+) => {
        $(
            #[doc = concat!("`", $id, "`: ", $meaning)]
            pub const $name: $crate::verdict::Code =
                $crate::verdict::Code::new(&$crate::verdict::CodeRow {
                    id: $id,
                    verdict: $crate::verdict::Verdict::$verdict,
                    meaning: $meaning,
                });
        )+
        /// Every code of this crate, in the order of the identifiers.
        pub const CODES: &[$crate::verdict::Code] = &[$($name),+];
    };
}

/// Longest text of one field of a [`Refusal`], in characters: hostile input cannot flood a terminal.
const MAX_FIELD_CHARS: usize = 200;

/// Why something was not accepted: one check, where it failed, what it expected and what it found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} at {location}: expected {expected}, got {got}")]
pub struct Refusal {
    code: Code,
    verdict: Verdict,
    location: String,
    expected: String,
    got: String,
}

impl Refusal {
    /// A refusal with the verdict of its code. Control characters in the texts are escaped, long texts are cut.
    #[must_use]
    pub fn new(code: Code, location: impl fmt::Display, expected: impl fmt::Display, got: impl fmt::Display) -> Self {
        Self {
            code,
            verdict: code.verdict(),
            location: printable(&location.to_string()),
            expected: printable(&expected.to_string()),
            got: printable(&got.to_string()),
        }
    }

    /// Refuses, unless a test has switched this check off.
    ///
    /// For checks after which the work can go on as if they held.
    pub fn raise(self) -> Result<(), Self> {
        if veritune_mutation::off(self.code.id()) { Ok(()) } else { Err(self) }
    }

    /// The same refusal, found inside `outer`.
    #[must_use]
    pub fn within(mut self, outer: impl fmt::Display) -> Self {
        self.location = printable(&format!("{outer}: {}", self.location));
        self
    }

    /// The same refusal, found in an unsigned container: the input is unusable, which refutes no claim.
    #[must_use]
    pub fn in_container(mut self) -> Self {
        self.verdict = Verdict::Unusable;
        self
    }

    /// The check that failed.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// The verdict that follows.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Where it failed: a file, a field path, a byte.
    #[must_use]
    pub fn location(&self) -> &str {
        &self.location
    }

    /// What would have been accepted.
    #[must_use]
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// What was found, escaped and cut.
    #[must_use]
    pub fn got(&self) -> &str {
        &self.got
    }
}

/// `text` with every unprintable character escaped, cut after [`MAX_FIELD_CHARS`].
fn printable(text: &str) -> String {
    let mut out = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == MAX_FIELD_CHARS {
            out.push('…');
            break;
        }
        match character {
            '"' | '\'' | '\\' => out.push(character),
            _ => out.extend(character.escape_debug()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::codes! {
        EXAMPLE = "VT-TEST-001", Refuted, "an example";
    }

    #[test]
    fn exit_codes_are_those_of_the_formats_page() {
        let verdicts =
            [Verdict::Verified, Verdict::Refuted, Verdict::Unusable, Verdict::Inconclusive, Verdict::Internal];
        for (code, verdict) in verdicts.into_iter().enumerate() {
            assert_eq!(usize::from(verdict.exit_code()), code);
            assert_eq!(verdict as usize, code);
        }
    }

    #[test]
    fn hostile_text_is_escaped_and_cut() {
        let refusal = Refusal::new(EXAMPLE, "x\u{1b}[2J", "a", "\u{202e}b\n".repeat(500));
        assert!(!refusal.to_string().contains(['\u{1b}', '\u{202e}', '\n']));
        assert!(refusal.got().len() < 12 * MAX_FIELD_CHARS);
        assert_eq!(refusal.verdict(), Verdict::Refuted);
        let outer = refusal.within("bundle").in_container();
        assert_eq!(outer.verdict(), Verdict::Unusable);
        assert!(outer.location().starts_with("bundle: x"));
        assert_eq!(CODES, &[EXAMPLE]);
    }
}
