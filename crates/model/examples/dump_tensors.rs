//! Writes the tensors of a model directory to standard output, for comparison by another program.
//!
//! `dump_tensors floats DIRECTORY`: the decoded values, f32; `dump_tensors base DIRECTORY`: the integer base, i32.
//! Each tensor is a line of JSON and then its values, little-endian. `dump_tensors inventory DIRECTORY`: the
//! inventory as JSON.

use std::error::Error;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use veritune_model::{BaseModel, Checkpoint, DEFAULT_BASE_BITS, Weight};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, directory] = arguments.as_slice() else {
        return Err("usage: dump_tensors floats|base|inventory DIRECTORY".into());
    };
    let checkpoint = Checkpoint::open(Path::new(directory))?;
    let mut out = BufWriter::new(io::stdout().lock());
    match what.as_str() {
        "floats" => write_floats(&checkpoint, &mut out)?,
        "base" => write_base(&checkpoint, &mut out)?,
        "inventory" => serde_json::to_writer_pretty(&mut out, &checkpoint.inventory())?,
        _ => return Err("floats, base or inventory".into()),
    }
    Ok(out.flush()?)
}

fn write_floats(checkpoint: &Checkpoint, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let config = checkpoint.config();
    for weight in Weight::present(config) {
        for layer in 0..weight.num_layers(config) {
            let line = serde_json::json!({
                "name": weight.safetensors_name(layer),
                "gguf_name": weight.gguf_name(layer),
                "shape": weight.shape(config),
            });
            writeln!(out, "{line}")?;
            for value in checkpoint.values(weight, layer)? {
                out.write_all(&value.to_le_bytes())?;
            }
        }
    }
    Ok(())
}

fn write_base(checkpoint: &Checkpoint, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    for tensor in BaseModel::build(checkpoint, DEFAULT_BASE_BITS)?.tensors {
        let line = serde_json::json!({
            "name": tensor.name,
            "shape": tensor.shape,
            "fraction_bits": tensor.fraction_bits,
            "width_bits": tensor.width_bits,
            "sha256": tensor.sha256(),
        });
        writeln!(out, "{line}")?;
        for value in tensor.values {
            out.write_all(&value.to_le_bytes())?;
        }
    }
    Ok(())
}
