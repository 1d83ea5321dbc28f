//! Proving a workload into a folder, and verifying the folder.

use crate::BenchError;
use crate::measure::{peak_mib, processor_time, seconds};
use crate::statement::{Statement, Told};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use veritune_argument::{STATE_AFTER_PLACE, STATE_BEFORE_PLACE};
use veritune_commit::Root;
use veritune_executor::Executor;
use veritune_field::F;
use veritune_prover::commit::{CommittedTree, Randomness, commit};
use veritune_relations::{Place, TensorId};
use veritune_run::inputs::{name_before, tensors_of};
use veritune_run::prove::prove_program;
use veritune_run::store::fresh_seed;
use veritune_run::train::named_vector;
use veritune_verifier::proof;

/// What proving cost.
#[derive(Debug, Clone, Serialize)]
pub struct Proved {
    /// Name of the workload.
    pub workload: String,
    /// What is proved.
    pub statement: String,
    /// Widths and scales.
    pub precision: String,
    /// Elements that a cost per element divides by.
    pub elements: Option<usize>,
    /// Slots of the witness in use.
    pub witness_slots: usize,
    /// Building program and tables, and committing to the state before: once, before the proof.
    pub setup_seconds: f64,
    /// Execution, commitments, argument and opening, each time with fresh randomness.
    pub prove_seconds: Vec<f64>,
    /// Processor time of the same.
    pub prove_processor_seconds: Vec<f64>,
    /// Peak of the whole process.
    pub peak_mib: Option<f64>,
}

/// What verifying showed.
#[derive(Debug, Clone, Serialize)]
pub struct Verified {
    /// Name of the workload.
    pub workload: String,
    /// Building program and tables: the verifier's own set-up.
    pub setup_seconds: f64,
    /// Verification of the same bytes, several times.
    pub verify_seconds: Vec<f64>,
    /// Bytes of the proof and of the roots beside it, counted in the files.
    pub proof_bytes: u64,
    /// Bits of the ledger, recomputed from the program.
    pub security_bits: u32,
    /// Proofs that the ledger's union bound runs over.
    pub max_proofs: u64,
    /// Whether every tree of the statement is hiding: random rows and salted leaves.
    pub hiding_commitments: bool,
    /// Whether the proof's scalars are masked.
    pub masked_transcript: bool,
    /// Peak of the whole process.
    pub peak_mib: Option<f64>,
}

fn root(text: &str) -> Result<Root, BenchError> {
    let digit = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = (0..32).map(|i| digit(2 * i)).collect();
    let bytes = bytes.and_then(|b| <[u8; 32]>::try_from(b).ok());
    bytes.map(Root).ok_or_else(|| BenchError::Refused(format!("{text}: not a root")))
}

/// Proves `repeat` times, writes the last proof to `folder` and returns what it cost.
pub fn prove(name: &str, folder: &Path, repeat: usize, threads: usize) -> Result<Proved, BenchError> {
    let (statement, built) = seconds(|| Statement::new(name));
    let statement = statement?;
    let (program, layout) = (&statement.workload.program, &statement.layout);
    let inputs: BTreeMap<TensorId, Arc<Vec<i64>>> =
        statement.workload.inputs.iter().map(|input| (input.tensor, input.values(program))).collect();
    let state_tree = |values: &BTreeMap<String, Arc<Vec<i64>>>| -> Result<Option<CommittedTree>, BenchError> {
        let Some(shape) = statement.state else { return Ok(None) };
        let vector: Vec<F> = named_vector(program, layout, Place::StateBefore, values);
        Ok(Some(commit(&statement.profile, shape, vector, Randomness::from_seed(fresh_seed()?))?))
    };
    let named = |place| {
        let ids = tensors_of(program, place).into_iter();
        ids.map(|id| (id, name_before(&program.tensor(id).name)))
    };
    let before: BTreeMap<_, _> =
        named(Place::StateBefore).filter_map(|(id, name)| Some((name, Arc::clone(inputs.get(&id)?)))).collect();
    let mut setup_seconds = built;
    let (mut prove_seconds, mut prove_processor_seconds) = (Vec::new(), Vec::new());
    for attempt in 0..repeat.max(1) {
        let (tree, committed) = seconds(|| state_tree(&before));
        let mut before_tree = tree?;
        if attempt == 0 {
            setup_seconds += committed;
        }
        let processor = processor_time();
        let (result, elapsed) = seconds(|| -> Result<_, BenchError> {
            let mut executor = Executor::<i64>::new(program)?;
            for (&id, values) in &inputs {
                executor.set_input(id, Arc::clone(values))?;
            }
            executor.run(threads)?;
            let tensors = executor.into_tensors();
            let after = named(Place::StateAfter).map(|(id, name)| (name, tensors.shared(id))).collect();
            let mut after_tree = state_tree(&after)?;
            let roots: Vec<Root> = before_tree.iter().chain(&after_tree).map(CommittedTree::root).collect();
            let mut trees: Vec<(usize, &mut CommittedTree)> = Vec::new();
            trees.extend(before_tree.as_mut().map(|tree| (STATE_BEFORE_PLACE, tree)));
            trees.extend(after_tree.as_mut().map(|tree| (STATE_AFTER_PLACE, tree)));
            let values = tensors.all();
            let mut transcript = statement.transcript(&roots);
            let proof = prove_program(
                program,
                &statement.profile,
                statement.witness,
                &values,
                &mut trees,
                &[],
                &mut transcript,
            )?;
            Ok((roots, proof))
        });
        let (roots, bytes) = result?;
        prove_seconds.push(elapsed);
        prove_processor_seconds.push((processor_time() - processor).as_secs_f64());
        let told = Told { workload: name.to_owned(), states: roots.iter().map(Root::to_string).collect() };
        fs::create_dir_all(folder)?;
        fs::write(folder.join("statement.json"), serde_json::to_vec(&told)?)?;
        fs::write(folder.join("proof.bin"), bytes)?;
    }
    let Statement { workload, witness_slots, .. } = statement;
    Ok(Proved {
        workload: workload.name,
        statement: workload.statement,
        precision: workload.precision,
        elements: workload.elements,
        witness_slots,
        setup_seconds,
        prove_seconds,
        prove_processor_seconds,
        peak_mib: peak_mib(),
    })
}

/// Verifies the folder `repeat` times and returns what it says and cost.
///
/// # Errors
/// If the proof is refused.
pub fn verify(folder: &Path, repeat: usize) -> Result<Verified, BenchError> {
    let told: Told = serde_json::from_slice(&fs::read(folder.join("statement.json"))?)?;
    let states: Vec<Root> = told.states.iter().map(|text| root(text)).collect::<Result<_, _>>()?;
    let (statement, setup_seconds) = seconds(|| Statement::new(&told.workload));
    let statement = statement?;
    if states.len() != 2 * usize::from(statement.state.is_some()) {
        return Err(BenchError::Refused("the number of state roots is not the workload's".to_owned()));
    }
    let bytes = fs::read(folder.join("proof.bin"))?;
    let mut verify_seconds = Vec::new();
    for _ in 0..repeat.max(1) {
        let (verdict, elapsed) = seconds(|| -> Result<_, BenchError> {
            let mut transcript = statement.transcript(&states);
            proof::verify(
                &statement.argument()?,
                &statement.profile,
                statement.witness,
                &statement.placed(&states),
                &bytes,
                &mut transcript,
            )
            .map_err(|e| BenchError::Refused(e.to_string()))
        });
        let claims = verdict?;
        if !claims.is_empty() {
            return Err(BenchError::Refused("claims on a base that nobody settles".to_owned()));
        }
        verify_seconds.push(elapsed);
    }
    let (security_bits, max_proofs) = statement.security_bits()?;
    let mut shapes = statement.state.into_iter().chain([statement.witness]);
    Ok(Verified {
        workload: told.workload,
        setup_seconds,
        verify_seconds,
        proof_bytes: (bytes.len() + 32 * states.len()) as u64,
        security_bits,
        max_proofs,
        hiding_commitments: shapes.all(|shape| shape.tail_rows(&statement.profile) > 0),
        // What was verified is a masked argument: the verifier reads no other.
        masked_transcript: true,
        peak_mib: peak_mib(),
    })
}
