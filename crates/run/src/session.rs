//! From a recipe to a plan, and from a plan to a run that can be trained and proved.
//!
//! Before the plan: [`Calibration`], the spec, and the roots of base and dataset. After it: [`Session`].

use crate::RunError;
use crate::calibrate;
use crate::certificate::run_of;
use crate::dataset::{Dataset, Rows};
use crate::inputs::{Inputs, base_values};
use crate::settings::{Settings, model};
use crate::train::Committer;
use serde::{Deserialize, Serialize};
use std::path::Path;
use veritune_argument::Argument;
use veritune_commit::Root;
use veritune_envelope::statement::PlanV1;
use veritune_model::{BaseModel, Checkpoint, DEFAULT_BASE_BITS};
use veritune_relations::Spec;
use veritune_relations::digest::spec_digest;
use veritune_relations::layout::Layout;
use veritune_relations::scales::Scales;
use veritune_relations::step::{StepProgram, Tables, no_leaves};
use veritune_verifier::statement::{Run, Shapes, StatementError, base_root};
use zeroize::Zeroizing;

/// Seed of every calibration: public, so that anyone who has the rows in the order of their leaves gets the same scales.
pub const CALIBRATION_SEED: [u8; 32] = *b"veritune public calibration seed";
/// Rows that a calibration looks at, at least: greatest values over fewer rows are too far below a run's.
pub const CALIBRATION_ROWS: usize = 32;

/// The only schema of [`Calibration`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CalibrationSchema {
    /// Version 1.
    #[serde(rename = "veritune.calibration/v1")]
    V1,
}

/// What calibration gives: every width and scale, as integers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The schema.
    pub schema: CalibrationSchema,
    /// Rows of the dataset.
    pub dataset_rows: usize,
    /// Steps that were run.
    pub steps: u64,
    /// Width of the range table that the widths are for.
    pub range_bits: u32,
    /// Width and scale of every kind.
    pub scales: Scales,
}

/// The base model of a folder, and the folder's files: (name, SHA-256 in hex).
pub fn open_base(model_dir: &Path) -> Result<(BaseModel, Vec<(String, String)>), RunError> {
    let checkpoint = Checkpoint::open(model_dir)?;
    let files = checkpoint.inventory().files.into_iter().map(|file| (file.name, file.sha256)).collect();
    Ok((BaseModel::build(&checkpoint, DEFAULT_BASE_BITS)?, files))
}

/// Runs at least `steps` steps, and as many as [`CALIBRATION_ROWS`] need, in floating point from the public seed.
///
/// Rows are taken in the order of their leaves, which `secret` fixes if it is hidden: scales are public, and must not tell
/// the order of the files.
///
/// `progress` gets the steps done and in total, and returns whether to go on.
pub fn calibrate_settings(
    settings: &Settings,
    base: &BaseModel,
    rows: Rows<'_>,
    secret: impl Into<Zeroizing<[u8; 32]>>,
    steps: u64,
    threads: usize,
    mut progress: impl FnMut(u64, u64) -> bool,
) -> Result<Calibration, RunError> {
    let dataset_rows = rows.meta.len();
    let range_bits = settings.proof.range_bits;
    let mut spec = settings.spec(base, Scales::starting(range_bits), dataset_rows)?;
    let needed = CALIBRATION_ROWS.min(dataset_rows).div_ceil(spec.training.rows.max(1));
    let steps = steps.max(needed as u64);
    // A schedule that ended earlier would calibrate its last steps at another rate than any of the run.
    spec.training.steps = spec.training.steps.max(steps);
    let inputs = Inputs::new(base, Dataset::new(&spec, rows, secret)?);
    let maxima = calibrate::maxima(&spec, &inputs, &CALIBRATION_SEED, steps, threads, |done| progress(done, steps))?;
    spec.scales = Scales::calibrated(&maxima, range_bits);
    let scales = calibrate::fitted(spec)?.scales;
    Ok(Calibration { schema: CalibrationSchema::V1, dataset_rows, steps, range_bits, scales })
}

/// The spec of a calibrated recipe.
pub fn spec_of(settings: &Settings, base: &BaseModel, calibration: Calibration) -> Result<Spec, RunError> {
    if calibration.range_bits != settings.proof.range_bits {
        return Err(RunError::Settings(format!(
            "proof.range_bits is {}, the calibration is for {}",
            settings.proof.range_bits, calibration.range_bits
        )));
    }
    settings.spec(base, calibration.scales, calibration.dataset_rows)
}

/// What a spec fixes before there is a plan: the program, its layout, and the shapes of the trees.
pub struct Planned {
    run: Run,
    shapes: Shapes,
    layout: Layout,
    witness_slots: usize,
    tables: Tables,
    /// A program of the spec's first step; which rows it reads depends on the seed, its layout does not.
    pub program: StepProgram,
}

impl Planned {
    /// Everything that follows from the spec alone.
    pub fn new(spec: Spec) -> Result<Self, RunError> {
        let unknown = Root([0; 32]);
        let run = Run { spec, plan_digest: [0; 32], seed: [0; 32], dataset: unknown, base: unknown };
        let tables = Tables::new(&run.spec)?;
        let program = run.program(&tables, 1, &no_leaves(&run.spec))?;
        let argument = Argument::new(&program.program).map_err(StatementError::from)?;
        let shapes = run.shapes(&run.profile()?, &argument)?;
        let witness_slots = argument.witness_slots();
        let layout = argument.layout;
        Ok(Self { run, shapes, layout, witness_slots, tables, program })
    }

    /// The spec.
    pub fn spec(&self) -> &Spec {
        &self.run.spec
    }

    /// The statement, with roots and seed still unknown.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Shapes of the trees.
    pub fn shapes(&self) -> &Shapes {
        &self.shapes
    }

    /// Slots of the witness that are in use.
    pub fn witness_slots(&self) -> usize {
        self.witness_slots
    }

    /// The digest of the program that a plan pins.
    pub fn program_digest(&self) -> Result<[u8; 32], RunError> {
        Ok(spec_digest(&self.run.spec, &self.tables)?)
    }

    /// The root of the base.
    pub fn base_root(&self, base: &BaseModel) -> Result<Root, RunError> {
        let profile = self.run.profile()?;
        let committer = Committer { run: &self.run, profile: &profile, shapes: self.shapes, secret: [0; 32].into() };
        let spec = self.spec();
        if model(base) != spec.model {
            let reason = "the checkpoint's configuration, or a scale that follows from its weights, is not the spec's";
            return Err(RunError::Settings(reason.to_owned()));
        }
        let tree = committer.base(&self.program, &self.layout, &base_values(base))?.root();
        Ok(base_root(spec, &tree))
    }

    /// The root of the dataset; salts are derived from `secret`.
    pub fn dataset_root(&self, rows: Rows<'_>, secret: Zeroizing<[u8; 32]>) -> Result<Root, RunError> {
        Ok(Dataset::new(self.spec(), rows, secret)?.root())
    }
}

/// A plan with its model and rows: what training and proving need.
pub struct Session {
    /// The plan.
    pub plan: PlanV1,
    /// Its statement.
    pub run: Run,
    /// Base and rows.
    pub inputs: Inputs,
}

impl Session {
    /// Opens the plan's run. Arguments are the bytes of `plan.json` (decoded as `plan`) and `seed.json`.
    ///
    /// # Errors
    /// If the seed does not follow from the plan, or the model's files are not the plan's.
    pub fn open(
        plan: PlanV1,
        plan_bytes: &[u8],
        seed_bytes: &[u8],
        model_dir: &Path,
        rows: Rows<'_>,
        secret: Zeroizing<[u8; 32]>,
    ) -> Result<Self, RunError> {
        let run = run_of(&plan, plan_bytes, seed_bytes)?;
        let (base, files) = open_base(model_dir)?;
        let planned: Vec<(String, String)> =
            plan.base.files.iter().map(|file| (file.name.clone(), file.sha256.to_string())).collect();
        if let Some((name, _)) = files.iter().find(|file| !planned.contains(file)) {
            let reason = "is not a file of the plan's base model".to_owned();
            return Err(RunError::File { path: model_dir.join(name), reason });
        }
        let dataset = Dataset::new(&run.spec, rows, secret)?;
        let inputs = Inputs::new(&base, dataset);
        Ok(Self { plan, run, inputs })
    }
}
