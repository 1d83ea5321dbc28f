//! What a verifier's user demands of an honest certificate and it does not show, as data.

use crate::certificate::TinyCertificate;
use veritune_verifier::policy::SCHEMA;
use veritune_verifier::report::Report;
use veritune_verifier::request::{Request, verify};

/// One demand that a certificate does not meet.
pub struct UnmetDemand {
    /// What is demanded.
    pub name: &'static str,
    /// The policy after its schema, in YAML.
    pub policy: &'static str,
    /// Whether the adapter's files are left out.
    pub no_file: bool,
    /// Exit code and id that the verifier reports.
    pub refused: (u8, &'static str),
}

impl std::fmt::Debug for UnmetDemand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnmetDemand").field("name", &self.name).field("refused", &self.refused).finish()
    }
}

const fn demand(name: &'static str, policy: &'static str, refused: (u8, &'static str)) -> UnmetDemand {
    UnmetDemand { name, policy, no_file: false, refused }
}

/// The demands; each verifies without the check of its id.
pub const UNMET_DEMANDS: &[UnmetDemand] = &[
    demand(
        "another base",
        "base_root: '5f00000000000000000000000000000000000000000000000000000000000000'",
        (1, "VT-POLICY-003"),
    ),
    demand(
        "another dataset",
        "dataset_root: '5f00000000000000000000000000000000000000000000000000000000000000'",
        (1, "VT-POLICY-003"),
    ),
    demand("a word that a claim does not have", "claims: {training: [bitwise-replay]}", (3, "VT-POLICY-002")),
    UnmetDemand {
        no_file: true,
        ..demand(
            "only the claim about a file that is left out",
            "claims: {adapter-file: [zk-proof]}",
            (3, "VT-POLICY-002"),
        )
    },
    demand("a signed plan", "signed_plan: true", (3, "VT-POLICY-004")),
    demand("a public loss", "disclosed: [loss]", (3, "VT-POLICY-007")),
    demand("another beacon", "beacon: [drand-quicknet]", (3, "VT-POLICY-004")),
];

impl UnmetDemand {
    /// The verdict on an honest certificate in `folder`.
    pub fn verdict(&self, certificate: &TinyCertificate, folder: &std::path::Path) -> Report {
        let request = Request {
            keys: vec![certificate.public_key()],
            policy: Some(format!("schema: {SCHEMA}\n{}\n", self.policy)),
            no_file: self.no_file,
            ..Request::default()
        };
        verify(folder, &request)
    }
}
