//! The step of the 135-million-parameter model: what the masked transcript will have to mask, and what a verifier keeps
//! of every step until the settlement.

use peak_alloc::PeakAlloc;
use std::collections::BTreeMap;
use std::sync::Mutex;
use veritune_argument::{
    Argument, ArgumentError, Arithmetic, BaseClaim, CheckId, Context, Functional, Plan, soundness_terms, verify,
};
use veritune_field::E;
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_relations::layout::Layout;
use veritune_relations::scales::Scales;
use veritune_relations::spec::{Decimal, Disclose, Lora, Model, Optimizer, Schedule, Spec, Target, Training};
use veritune_relations::step;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;
/// Held by each test: what is allocated is the process's.
static ALONE: Mutex<()> = Mutex::new(());

/// Scalars that a chunk may send: each costs a pad.
const MAX_SCALARS: usize = 1 << 13;

/// Bytes of the claims of a step on the base.
const MAX_CLAIM_BYTES: usize = 1 << 14;

fn smollm2(targets: &[Target]) -> Spec {
    let decimal = |text: &str| Decimal(text.to_owned());
    // As the checkpoint's greatest weights give them.
    let weights = [("embedding", 18), ("query", 17), ("key", 17), ("value", 18), ("output", 16)];
    let mlp = [("gate", 16), ("up", 17), ("down", 16)];
    let mut base: BTreeMap<String, i32> = weights.iter().chain(&mlp).map(|(k, f)| (format!("base.{k}"), *f)).collect();
    base.extend(["attention", "mlp", "final"].iter().map(|k| (format!("base.gain_{k}"), 12)));
    Spec {
        version: 1,
        model: Model {
            hidden: 576,
            layers: 30,
            heads: 9,
            kv_heads: 3,
            head_dim: 64,
            ffn: 1536,
            vocab: 49_152,
            tied: true,
            qkv_bias: false,
            rms_norm_eps: decimal("1e-5"),
            rope_theta: decimal("100000"),
            base_fraction_bits: base,
            base_bits: 20,
            gain_bits: 15,
        },
        lora: Lora { r: 8, scaling_65536: 131_072, targets: targets.to_vec() },
        training: Training {
            optimizer: Optimizer::AdamW,
            learning_rate: decimal("1e-3"),
            schedule: Schedule::Linear,
            warmup_steps: 4,
            weight_decay: decimal("0.01"),
            adam_beta1: decimal("0.9"),
            adam_beta2: decimal("0.999"),
            adam_epsilon: decimal("1e-8"),
            max_grad_norm: decimal("1.0"),
            rows: 1,
            tokens: 64,
            steps: 100,
        },
        dataset_rows: 999,
        scales: Scales::starting(20),
        range_bits: 20,
        log_rows: 18,
        disclose: Disclose::default(),
    }
}

#[test]
fn the_real_step_sends_few_scalars() {
    let _alone = ALONE.lock().unwrap();
    let spec = smollm2(&[Target::Query, Target::Value]);
    let program = step::build(&spec, 5, &step::no_leaves(&spec)).unwrap().program;
    let argument = Argument::new(&program).unwrap();
    let scalars = argument.wiring.num_masked_scalars();
    println!("{scalars} scalars, {} products, {:?} slots", argument.wiring.products.len(), argument.layout.used);
    assert!(scalars <= MAX_SCALARS, "{scalars}");
    let largest = soundness_terms(&argument).into_iter().map(|(_, n)| n).max().unwrap();
    assert!(largest < 1 << 32, "a term of {largest} / |E| leaves less than 160 bits");
}

/// Keeps the claims on the base; every scalar is zero and no check refuses.
#[derive(Default)]
struct Claims {
    base: Vec<BaseClaim>,
    challenges: u64,
}

impl Arithmetic for Claims {
    type Sent = E;
    type Scalar = E;

    fn mul(&mut self, _: E, _: E) -> E {
        E::ZERO
    }
    fn hold(&mut self, _: &'static str, _: E) -> Result<E, ArgumentError> {
        Ok(E::ZERO)
    }
}

impl Context for Claims {
    fn read(&mut self, _: &'static str) -> Result<E, ArgumentError> {
        Ok(E::ZERO)
    }
    fn read_public(&mut self, _: &'static str) -> Result<E, ArgumentError> {
        Ok(E::ZERO)
    }
    fn challenge(&mut self, _: &'static str) -> E {
        self.challenges += 1;
        E::from_u64(self.challenges)
    }
    fn assert_zero(&mut self, _: CheckId, _: usize, _: E) -> Result<(), ArgumentError> {
        Ok(())
    }
    fn claim(&mut self, _: Functional, _: E) {}
    fn base_claim(&mut self, claim: BaseClaim) {
        self.base.push(claim);
    }
}

#[test]
fn a_step_leaves_few_bytes_for_the_settlement() {
    let _alone = ALONE.lock().unwrap();
    for vocab in [4096, 49_152] {
        let mut spec = smollm2(&Target::ALL);
        spec.model.vocab = vocab;
        let program = step::build(&spec, 5, &step::no_leaves(&spec)).unwrap().program;
        let layout = Layout::new(&program);
        let plan = Plan::new(&program, &layout).unwrap();
        let mut claims = Claims::default();
        let before = ALLOCATOR.current_usage();
        verify(&program, &layout, &plan, &mut claims).unwrap();
        let kept = ALLOCATOR.current_usage() - before;
        println!("{vocab} entries: {} claims of {kept} bytes", claims.base.len());
        assert!(claims.base.len() >= 20);
        assert!(kept <= MAX_CLAIM_BYTES, "{kept} bytes");
    }
}
