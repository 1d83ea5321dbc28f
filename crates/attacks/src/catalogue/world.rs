//! The runs that are attacked, with what is wrong with their plans.

use crate::certificate::TinyCertificate;
use crate::run::{self, adamw, disclosing, monotonous, with_hidden_adapter};
use veritune_envelope::Digest;
use veritune_envelope::canonical_json::Value;
use veritune_envelope::statement::PlanV1;
use veritune_verifier::beacon::CHAIN_HASH;

/// Which run is attacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum World {
    /// Two steps of AdamW on all targets.
    AdamW,
    /// Three steps whose programs are equal: see [`monotonous`].
    Monotonous,
    /// The first with loss and rows that are public.
    Disclosing,
    /// The first with an adapter that is hidden.
    HiddenAdapter,
    /// The second, whose plan commits to another base than the steps read.
    OtherBase,
    /// The same, whose recipe names another learning rate than its spec.
    OtherRecipe,
    /// The same, whose recipe says more than any check reads.
    Boasting,
    /// The same, whose recipe names a number of epochs beside its number of steps.
    TwoLengths,
    /// The same, whose recipe's demo beacon is said to be witnessed.
    WitnessedBeacon,
    /// The same, whose recipe's demo beacon names the chain of another.
    ChainedBeacon,
    /// The same, whose plan has fewer steps than its spec.
    FewerSteps,
    /// The same, whose plan names another program.
    OtherProgram,
    /// The same, whose plan has its spec in a form that is read as the same record.
    OtherForm,
    /// The same, whose plan commits to a sampler of its own.
    OtherSampler,
}

impl World {
    /// The run with its honest certificate.
    ///
    /// # Panics
    /// If an honest proof is refused.
    pub fn prove(self) -> TinyCertificate {
        match self {
            Self::AdamW => TinyCertificate::new(adamw(2)),
            Self::Monotonous => TinyCertificate::new(monotonous(3)),
            Self::Disclosing => TinyCertificate::new(disclosing(adamw(2))),
            Self::HiddenAdapter => TinyCertificate::new(with_hidden_adapter(adamw(2))),
            Self::OtherBase => {
                let planned = run::random_inputs(&monotonous(3));
                let mut inputs = planned.clone();
                inputs.get_mut("base.down").expect("the base")[5] += 1;
                TinyCertificate::with_plan(monotonous(3), inputs, &planned, |_| ())
            }
            Self::OtherRecipe => Self::planned(|plan| replace(&mut plan.recipe, "1e-3", "2e-3")),
            Self::Boasting => {
                Self::planned(|plan| replace(&mut plan.recipe, "\"optimizer\"", "\"dp_epsilon\":1,\"optimizer\""))
            }
            Self::TwoLengths => Self::planned(|plan| {
                replace(&mut plan.recipe, "\"max_steps\"", "\"num_train_epochs\":100,\"max_steps\"")
            }),
            Self::WitnessedBeacon => Self::planned(|plan| {
                replace(&mut plan.recipe, "\"source\":\"demo\"", "\"source\":\"demo\",\"witnessed_by\":\"a notary\"");
            }),
            Self::ChainedBeacon => Self::planned(|plan| {
                let chained = format!("\"chain_hash\":\"{CHAIN_HASH}\",\"source\":\"demo\"");
                replace(&mut plan.recipe, "\"source\":\"demo\"", &chained);
            }),
            Self::FewerSteps => Self::planned(|plan| plan.num_steps = 2),
            Self::OtherProgram => Self::planned(|plan| plan.program_digest = Digest::sha256(b"another")),
            Self::OtherForm => Self::planned(|plan| {
                replace(&mut plan.spec, "\"optimizer\":\"sgd\"", "\"optimizer\":{\"sgd\":null}");
            }),
            Self::OtherSampler => Self::planned(|plan| plan.sampler_key_commitment = Some(Digest::sha256(b"key"))),
        }
    }
}

impl World {
    fn planned(change: fn(&mut PlanV1)) -> TinyCertificate {
        let inputs = run::random_inputs(&monotonous(3));
        TinyCertificate::with_plan(monotonous(3), inputs.clone(), &inputs, change)
    }
}

fn replace(value: &mut Value, from: &str, to: &str) {
    let text = String::from_utf8(value.to_canonical()).expect("text");
    assert!(text.contains(from));
    *value = serde_json::from_str(&text.replace(from, to)).expect("JSON");
}
