//! Conditions on the claims that no single change of a document reaches.

mod certificate;

use certificate::claims;
use veritune_envelope::canonical_json::{self, Value};
use veritune_envelope::codes::*;
use veritune_envelope::statement::*;

#[test]
fn values_of_the_claims() {
    let refuse = |change: fn(&mut ClaimsV1)| {
        let mut statement = claims();
        change(&mut statement.predicate);
        statement.to_bytes().unwrap_err().code()
    };
    assert_eq!(refuse(|p| p.num_steps = u64::MAX), CLAIMS_STATE_ROOTS);
    assert_eq!(refuse(|p| p.state_roots.clear()), CLAIMS_STATE_ROOTS);
    assert_eq!(refuse(|p| p.proofs[2].step = Some(1)), CLAIMS_PROOF_FILE);
    assert_eq!(refuse(|p| p.proofs[3].name = p.proofs[2].name.clone()), CLAIMS_PROOF_FILE);
    for name in ["proofs/../x", "/etc/x", "proofs/", "proofs/a/b", "proofs/.x", "x.bin"] {
        let mut statement = claims();
        statement.predicate.proofs[0].name = name.to_owned();
        let refusal = statement.to_bytes().unwrap_err();
        assert_eq!((refusal.code(), refusal.location()), (CLAIMS_PROOF_FILE, "predicate.proofs[0].name"));
    }
    assert_eq!(refuse(|p| p.claims[1].kind = "training".to_owned()), CLAIMS_CLAIM);
    assert_eq!(refuse(|p| p.not_claimed[0].clear()), CLAIMS_NOT_CLAIMED);
    assert_eq!(refuse(|p| p.ledger.max_proofs = 0), CLAIMS_LEDGER);
    assert_eq!(refuse(|p| p.ledger.max_proofs = 1 << 60), JSON_NUMBER);
    assert_eq!(claims().predicate.step_proof(1).unwrap().name, "proofs/step-1.bin");
    assert_eq!(claims().predicate.step_proof(2), None);
    for word in Word::ALL {
        assert_eq!(canonical_json::to_value(&word).unwrap(), Value::String(word.to_string()));
    }
}
