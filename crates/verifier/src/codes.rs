//! Codes of the certificate's checks.

use veritune_envelope::codes;

codes! {
    PLAN_DISAGREES = "VT-RUN-001", Refuted, "the claims are about another plan, program, base, dataset or number of steps than the plan's, or the plan has another signer";
    SPEC_REFUSED = "VT-RUN-002", Refuted, "the spec is outside its published ranges, or its program cannot be built";
    SEED_REFUSED = "VT-RUN-003", Refuted, "the seed does not follow from plan, dataset root and beacon";
    STATE_ROOT = "VT-RUN-004", Refuted, "a step's states are not the chain's";
    STEP_MISSING = "VT-RUN-005", Inconclusive, "a step has no proof";
    STEP_REFUSED = "VT-RUN-006", Refuted, "the proof of a step does not verify";
    SETTLEMENT_MISSING = "VT-RUN-007", Inconclusive, "there is not exactly one settlement of the base";
    SETTLEMENT_REFUSED = "VT-RUN-008", Refuted, "the settlement of the base does not verify";
    RELEASE_MISSING = "VT-RUN-009", Inconclusive, "there is not exactly one proof of the release";
    RELEASE_REFUSED = "VT-RUN-010", Refuted, "the adapter file is not the last state";
    CLAIMS_DISAGREE = "VT-RUN-011", Refuted, "the claims are not those that the proofs show";
    LEDGER_DISAGREES = "VT-RUN-012", Refuted, "the ledger is not the one that follows from the plan, or is below 128 bits";
    PROOF_EXTRA = "VT-RUN-013", Refuted, "a file of the certificate belongs to no check";
    FILE_PATH = "VT-RUN-014", Unusable, "the path is missing or no directory";
    ADAPTER_CONFIG = "VT-RUN-015", Refuted, "the plan's adapter options are not those of the spec";
    STOPPED = "VT-RUN-016", Internal, "the verifier stopped at a bug";
    ROWS_REFUSED = "VT-RUN-017", Refuted, "the published rows are not the dataset's, are missing, or are there although the plan hides them";
    POLICY_FORM = "VT-POLICY-001", Unusable, "the policy or a combination of options is malformed";
    POLICY_CLAIM = "VT-POLICY-002", Inconclusive, "a claim that the policy demands is absent or has a weaker word";
    POLICY_SUBJECT = "VT-POLICY-003", Refuted, "base or dataset is not the one that the policy names";
    POLICY_EVIDENCE = "VT-POLICY-004", Inconclusive, "the plan's signature or the beacon is weaker than the policy demands";
    POLICY_DISCLOSED = "VT-POLICY-007", Inconclusive, "the run hides what the policy wants disclosed";
    CERTIFICATE_MISSING = "VT-POLICY-005", Inconclusive, "there is no certificate at the path";
    ADAPTER_MISSING = "VT-POLICY-006", Inconclusive, "no adapter file lies beside the certificate";
}
