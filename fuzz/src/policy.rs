//! The policy and the request around it. A policy that is read demands kinds that there are, in words that there are.

use std::path::Path;
use veritune_verifier::policy::{ADAPTER_FILE, KINDS, Policy};
use veritune_verifier::request::{Request, verify};

/// Reads the bytes.
pub fn run(bytes: &[u8]) {
    if let Ok(request) = serde_json::from_slice::<Request>(bytes) {
        assert_eq!(verify(Path::new("/dev/null/none"), &request).exit, 2);
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(policy) = Policy::from_yaml(text) else { return };
    assert!(policy.claims.iter().all(|(kind, words)| KINDS.contains(&kind.as_str()) && !words.is_empty()));
    assert!(!policy.beacon.is_empty());
    assert!(!(policy.hidden_file && policy.claims.contains_key(ADAPTER_FILE)));
    let request = Request { policy: Some(text.to_owned()), ..Request::default() };
    let report = verify(Path::new("/dev/null/none"), &request);
    assert_eq!((report.exit, report.policy.as_ref()), (2, Some(&policy)));
}

/// Honest inputs.
pub fn seeds() -> Vec<Vec<u8>> {
    let policy = "schema: veritune.policy/v1
claims:                                       # kind: the words that are accepted for it
  training: [zk-proof, sampled-zk-proof]
  data: [\"zk-proof\", 'sampled-zk-proof']
  base: [zk-proof]
  adapter-file: [sampled-zk-proof]
signer: named
adapter_file: checked
signed_plan: false
beacon: [demo, drand-quicknet]
disclosed: [loss, order, data, adapter]
base_root: a111111111111111111111111111111111111111111111111111111111111111
dataset_root: '0711111111111111111111111111111111111111111111111111111111111111'
";
    let hidden = "{schema: veritune.policy/v1, adapter_file: hidden, signer: any, beacon: [demo], signed_plan: true}";
    let request =
        r#"{"keys":["x"],"trust":["y"],"any_signer":false,"no_file":true,"policy":"schema: veritune.policy/v1"}"#;
    [policy, hidden, request].map(|text| text.as_bytes().to_vec()).to_vec()
}
