//! Executes one step from files, for comparison with the NumPy reference.
//!
//! `step_dump DIR`: reads `DIR/spec.json`, `DIR/meta.json` (`{"step"}`) and `DIR/in/<tensor>.i64` (LE), writes
//! `DIR/out/<tensor>.i64` and `DIR/out.json` (names and shapes). Exit 3: the spec is refused; 4: a value left its range.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use veritune_executor::Executor;
use veritune_relations::{Place, Spec, TensorId, step};

#[derive(serde::Deserialize)]
struct Meta {
    step: u64,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: step_dump DIR")?;
    let folder = Path::new(&folder);
    let spec: Spec = serde_json::from_slice(&fs::read(folder.join("spec.json"))?)?;
    let meta: Meta = serde_json::from_slice(&fs::read(folder.join("meta.json"))?)?;
    let built = match step::build(&spec, meta.step, &step::no_leaves(&spec)) {
        Ok(built) => built,
        Err(error) => {
            eprintln!("{error}");
            return Ok(ExitCode::from(3));
        }
    };
    let program = &built.program;
    let mut executor = Executor::<i64>::new(program)?;
    for id in executor.inputs() {
        let bytes = fs::read(folder.join("in").join(format!("{}.i64", program.tensor(id).name)))?;
        let values: Vec<i64> = bytes.as_chunks().0.iter().map(|w| i64::from_le_bytes(*w)).collect();
        executor.set_input(id, values)?;
    }
    if let Err(error) = executor.run(2) {
        eprintln!("{error}");
        return Ok(ExitCode::from(4));
    }
    fs::create_dir_all(folder.join("out"))?;
    let mut index = Vec::new();
    for (i, tensor) in program.tensors.iter().enumerate() {
        let id = TensorId(i);
        if program.one_hot(id).is_some() || !matches!(tensor.place, Place::Witness | Place::StateAfter) {
            continue;
        }
        let bytes: Vec<u8> = executor.tensors().get(id).iter().flat_map(|x| x.to_le_bytes()).collect();
        fs::write(folder.join("out").join(format!("{}.i64", tensor.name)), bytes)?;
        index.push(serde_json::json!({ "name": tensor.name, "shape": program.shape(id) }));
    }
    fs::write(folder.join("out.json"), serde_json::to_vec(&index)?)?;
    Ok(ExitCode::SUCCESS)
}
