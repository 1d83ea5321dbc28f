//! Why a checkpoint is refused, and where.

/// Why a checkpoint is refused. [`ModelError::code`] is stable; the text is for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// A path is missing, is not a regular file, or cannot be read.
    #[error("{file}: cannot be read: {problem}")]
    Unreadable {
        /// File name inside the model directory.
        file: String,
        /// The operating system's word for it.
        problem: String,
    },
    /// A file is larger than its limit.
    #[error("{file}: at most {limit_bytes} bytes are supported, got {got_bytes}")]
    TooLarge {
        /// File name inside the model directory.
        file: String,
        /// The limit.
        limit_bytes: u64,
        /// The file's size.
        got_bytes: u64,
    },
    /// The directory does not say which weights are meant.
    #[error(
        "the directory needs exactly one of model.safetensors, model.safetensors.index.json and one *.gguf file, \
         got [{got}]"
    )]
    Weights {
        /// The candidates that were found, sorted.
        got: String,
    },
    /// Bytes do not follow the format.
    #[error("{file}: at byte {offset}: expected {expected}, got {got}")]
    Malformed {
        /// File name inside the model directory.
        file: String,
        /// Where.
        offset: u64,
        /// What the format demands there.
        expected: String,
        /// What is there.
        got: String,
    },
    /// A configuration field has a value that is not supported.
    #[error("{file}: field {field}: supported is {supported}, got {got}")]
    UnsupportedField {
        /// File name inside the model directory.
        file: String,
        /// The field, as the file spells it.
        field: String,
        /// The supported values.
        supported: String,
        /// The file's value.
        got: String,
    },
    /// A configuration field that may change the computation is not known.
    #[error("{file}: field {field} is not supported; remove it only if it does not change the model's output")]
    UnknownField {
        /// File name inside the model directory.
        file: String,
        /// The field, as the file spells it.
        field: String,
    },
    /// A configuration field is missing.
    #[error("{file}: field {field} is missing")]
    MissingField {
        /// File name inside the model directory.
        file: String,
        /// The field.
        field: String,
    },
    /// A tensor that the configuration demands is missing.
    #[error("tensor {name} is missing")]
    MissingTensor {
        /// Name, as the file would spell it.
        name: String,
    },
    /// A tensor that the configuration does not demand is there, or is there twice.
    #[error("tensor {name} is not one of this model's tensors, or is there twice")]
    UnexpectedTensor {
        /// Name, as the file spells it.
        name: String,
    },
    /// A shard and the index disagree about where a tensor is.
    #[error("tensor {name}: the index places it in {indexed}, it is in {found}")]
    Misplaced {
        /// Name, as the file spells it.
        name: String,
        /// The file that the index names, or `no file`.
        indexed: String,
        /// The file that has it, or `no file`.
        found: String,
    },
    /// A tensor has another shape than the configuration demands.
    #[error("tensor {name}: expected shape {expected:?}, got {got:?}")]
    Shape {
        /// Name, as the file spells it.
        name: String,
        /// Outermost axis first.
        expected: Vec<usize>,
        /// Outermost axis first.
        got: Vec<usize>,
    },
    /// A tensor has an element type that is not supported.
    #[error("tensor {name}: supported element types are {supported}, got {got}")]
    ElementType {
        /// Name, as the file spells it.
        name: String,
        /// The supported types.
        supported: String,
        /// The file's type.
        got: String,
    },
    /// An element is infinite or not a number.
    #[error("tensor {name}: element {index} is {value}")]
    NotFinite {
        /// Name, as the file spells it.
        name: String,
        /// Position in the file's row-major order.
        index: usize,
        /// `inf`, `-inf` or `NaN`.
        value: String,
    },
    /// A value does not fit its integer width at any supported scale.
    #[error("{name}: magnitudes up to {limit} fit, got {got}")]
    OutOfRange {
        /// Name in the integer base.
        name: String,
        /// Largest magnitude that fits.
        limit: String,
        /// The largest magnitude found.
        got: String,
    },
    /// The requested width is outside its published range.
    #[error("base_bits is between {least} and {greatest}, got {got}")]
    BaseBits {
        /// Least supported width.
        least: u32,
        /// Greatest supported width.
        greatest: u32,
        /// The request.
        got: u32,
    },
}

impl ModelError {
    /// The stable name of the check that failed. Never reused for another check.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "VT-MODEL-001",
            Self::TooLarge { .. } => "VT-MODEL-002",
            Self::Weights { .. } => "VT-MODEL-003",
            Self::Malformed { .. } => "VT-MODEL-004",
            Self::UnsupportedField { .. } => "VT-MODEL-005",
            Self::UnknownField { .. } => "VT-MODEL-006",
            Self::MissingField { .. } => "VT-MODEL-007",
            Self::MissingTensor { .. } => "VT-MODEL-008",
            Self::UnexpectedTensor { .. } => "VT-MODEL-009",
            Self::Misplaced { .. } => "VT-MODEL-010",
            Self::Shape { .. } => "VT-MODEL-011",
            Self::ElementType { .. } => "VT-MODEL-012",
            Self::NotFinite { .. } => "VT-MODEL-013",
            Self::OutOfRange { .. } => "VT-MODEL-014",
            Self::BaseBits { .. } => "VT-MODEL-015",
        }
    }
}

/// What untrusted text looks like in a message: at most 80 characters, escaped.
pub(crate) fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().nth(80).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_lists_every_code() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/spec/base-model.md");
        let page = std::fs::read_to_string(page).unwrap();
        let listed = page.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
        let listed: Vec<&str> = listed.map(|(code, _)| code).filter(|code| code.starts_with("VT-MODEL-")).collect();
        let source = include_str!("error.rs").lines().filter_map(|line| line.split_once("{ .. } => \"VT-"));
        let codes: Vec<String> = source.map(|(_, rest)| format!("VT-{}", &rest[..9])).collect();
        assert_eq!((listed.len(), codes.len()), (15, 15));
        assert_eq!(listed, codes);
    }
}
