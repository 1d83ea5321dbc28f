//! The table of all codes of this crate. `docs/spec/envelope.md` repeats it and a test compares the two.

crate::codes! {
    JSON_SIZE = "VT-ENV-001", Refuted, "a JSON text is longer than its limit, or has more than 2^15 values";
    JSON_ENCODING = "VT-ENV-002", Refuted, "a JSON text is not UTF-8, or a string holds an unpaired surrogate";
    JSON_SYNTAX = "VT-ENV-003", Refuted, "a JSON text does not follow the grammar";
    JSON_DUPLICATE_KEY = "VT-ENV-004", Refuted, "a JSON object holds a key twice";
    JSON_NUMBER = "VT-ENV-005", Refuted, "a JSON number is not a plain integer of magnitude at most 2^53";
    JSON_DEPTH = "VT-ENV-006", Refuted, "a JSON text is nested deeper than 64";
    JSON_TRAILING = "VT-ENV-007", Refuted, "bytes follow the JSON value";
    JSON_NOT_CANONICAL = "VT-ENV-008", Refuted, "a JSON text is not in the RFC 8785 form";
    JSON_SHAPE = "VT-ENV-009", Refuted, "a field is unknown, missing or of another type";

    STATEMENT_TYPE = "VT-ENV-020", Refuted, "the statement is not an in-toto Statement v1";
    PREDICATE_TYPE = "VT-ENV-021", Refuted, "the predicate is of another type than the file promises";
    PREDICATE_SCHEMA = "VT-ENV-022", Refuted, "the predicate's schema is not the one of this version";
    STATEMENT_SUBJECT = "VT-ENV-023", Refuted, "the statement has no subject, or one that is empty or repeated";
    CLAIMS_STATE_ROOTS = "VT-ENV-024", Refuted, "the number of state roots is not the number of steps plus one";
    CLAIMS_PROOF_FILE = "VT-ENV-025", Refuted, "a proof file has a wrong name, a wrong step, or is repeated";
    CLAIMS_CLAIM = "VT-ENV-026", Refuted, "there is no claim, or a claim's kind is empty or repeated";
    CLAIMS_NOT_CLAIMED = "VT-ENV-027", Refuted, "notClaimed is empty or holds an empty text";
    CLAIMS_LEDGER = "VT-ENV-028", Refuted, "the ledger has no row, or a bound of no proof";
    BASE_FILES = "VT-ENV-029", Refuted, "the base commitment lists no file, or one that is unnamed or repeated";

    BUNDLE_MEDIA_TYPE = "VT-ENV-030", Unusable, "the file is not a Sigstore bundle v0.3";
    ENVELOPE_PAYLOAD_TYPE = "VT-ENV-031", Refuted, "the envelope's payload is not an in-toto statement";
    ENVELOPE_SIGNATURE_COUNT = "VT-ENV-032", Refuted, "the envelope does not hold exactly one signature";
    ENVELOPE_BASE64 = "VT-ENV-033", Unusable, "a field of the envelope is not canonical standard base64";
    ENVELOPE_KEY_ID = "VT-ENV-034", Refuted, "the key id of the signature is not the bundle's key hint";

    NO_KEY_NAMED = "VT-ENV-040", Inconclusive, "no trusted key was named";
    UNKNOWN_KEY = "VT-ENV-041", Inconclusive, "the envelope names a key that is not among the trusted ones";
    SIGNATURE_ENCODING = "VT-ENV-042", Refuted, "the signature is not a DER encoded P-256 signature";
    SIGNATURE_HIGH_S = "VT-ENV-043", Refuted, "the signature has the higher of its two s values";
    SIGNATURE_WRONG = "VT-ENV-044", Refuted, "the signature does not verify under the key that it names";
    PUBLIC_KEY_FORM = "VT-ENV-045", Unusable, "the public key is not a P-256 key in SPKI PEM";
    PRIVATE_KEY_FORM = "VT-ENV-046", Unusable, "the private key is not a P-256 key in PKCS#8 PEM";
    KEY_GENERATION = "VT-ENV-047", Internal, "no key or signature could be made";

    ADAPTER_LAYOUT = "VT-ENV-050", Refuted, "the expected tensors have no canonical file";
    ADAPTER_VALUE = "VT-ENV-051", Refuted, "an integer is not exact as a normal float32 at its scale";
    ADAPTER_LENGTH = "VT-ENV-052", Refuted, "the adapter file has another length than its tensors need";
    ADAPTER_HEADER = "VT-ENV-053", Refuted, "the adapter file's header is not the canonical one of its tensors";
    ADAPTER_FLOAT = "VT-ENV-055", Refuted, "an element of the adapter file is not the encoding of any integer at its scale";
    CONFIG_FIELD = "VT-ENV-056", Refuted, "a field of the adapter configuration has no canonical form";
    CONFIG_BYTES = "VT-ENV-057", Refuted, "adapter_config.json is not the canonical one";

    PATH_UNREADABLE = "VT-ENV-060", Unusable, "a path is missing or cannot be read";
    DIRECTORY_EXTRA = "VT-ENV-061", Refuted, "a file or directory is not on the allow-list";
    DIRECTORY_NOT_REGULAR = "VT-ENV-062", Refuted, "an entry is a symbolic link or not a regular file";
    DIRECTORY_TOO_MANY = "VT-ENV-063", Refuted, "a directory holds more entries than its limit";
    FILE_TOO_LARGE = "VT-ENV-064", Refuted, "a file is larger than its limit";
    FILE_MISSING = "VT-ENV-065", Inconclusive, "a file that the certificate needs is missing";
    INDEX_SCHEMA = "VT-ENV-066", Unusable, "the index has another schema";
    INDEX_PATH = "VT-ENV-067", Refuted, "a path of the index is unsafe, repeated or out of order";
    INDEX_UNLISTED = "VT-ENV-068", Refuted, "a file beside the index is not listed in it";
    INDEX_SIZE = "VT-ENV-069", Refuted, "a listed file has another size";
    INDEX_DIGEST = "VT-ENV-070", Refuted, "a listed file has another digest";
}

#[cfg(test)]
mod tests {
    use super::CODES;

    #[test]
    fn identifiers_are_unique_ordered_and_documented() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/spec/envelope.md");
        let page = std::fs::read_to_string(page).unwrap();
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| VT-ENV-")).collect();
        let table: Vec<String> = CODES
            .iter()
            .map(|code| format!("| {} | {} | {} |", code.id(), code.verdict().exit_code(), code.meaning()))
            .collect();
        assert_eq!(rows, table, "replace the table by:\n{}", table.join("\n"));
        assert!(CODES.windows(2).all(|pair| pair[0].id() < pair[1].id()));
    }
}
