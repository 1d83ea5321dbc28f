//! Prints how long each phase of an argument takes on a synthetic layer stack.
//!
//! `cargo run --release -p veritune-argument --example phases -- [layers] [tokens]`

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::Instant;
use veritune_argument::{Argument, NUM_PLACES};
use veritune_field::E;
use veritune_prover::argument::{Channel, NativeChannel, dense_weights, multiplicities, place_vectors, prove_into};
use veritune_relations::builder::{Builder, Make, Sum};
use veritune_relations::{AxisId, Place, Program, Range, TensorId};
use veritune_transcript::Transcript;

/// Notes when each label is first used.
struct Timed<'a> {
    inner: NativeChannel<'a>,
    last: &'static str,
    since: Instant,
}

impl Timed<'_> {
    fn note(&mut self, label: &'static str) {
        if label != self.last {
            let spent = self.since.elapsed().as_secs_f64();
            if spent > 0.002 {
                println!("  {spent:8.4} s before {label}");
            }
            self.last = label;
            self.since = Instant::now();
        }
    }
}

impl Channel for Timed<'_> {
    fn send(&mut self, label: &'static str, scalar: E) {
        // The rounds of the lookups and the challenges between them are one phase.
        if !label.starts_with("lookup") || label == "lookup values" && self.last == "lookup beta" {
            self.note(label);
        }
        self.inner.send(label, scalar);
    }
    fn send_public(&mut self, label: &'static str, scalar: E) {
        self.note(label);
        self.inner.send_public(label, scalar);
    }
    fn challenge(&mut self, label: &'static str) -> E {
        if !label.starts_with("lookup") || label == "lookup alpha" || label == "lookup beta" {
            self.note(label);
        }
        self.inner.challenge(label)
    }
}

fn make<'a>(name: &'a str, axes: &'a [AxisId], range: Range, fraction_bits: i32) -> Make<'a> {
    Make { name, axes, range, fraction_bits }
}

/// Layers of `y = (x W) * gate`, every value rescaled; about `tokens * 576 * 7` limbs a layer.
fn program(layers: usize, tokens: usize) -> (Program, Vec<Vec<i64>>) {
    let mut b = Builder::new(18);
    let layer = b.axis("layer", layers);
    let token = b.axis("token", tokens);
    let hidden = b.axis("hidden", 576);
    let inner = b.axis("inner", 576);
    let x = b.tensor(Place::Witness, &make("x", &[layer, token, inner], Range::signed(16), 8));
    let w = b.tensor(Place::Base, &make("w", &[layer, hidden, inner], Range::signed(16), 14));
    let v = b.tensor(Place::Base, &make("v", &[layer, hidden, inner], Range::signed(16), 14));
    let axes = [layer, token, hidden];
    let (x_on, w_on, v_on) = (b.on(x), b.on(w), b.on(v));
    let y = b.rescale(&make("y", &axes, Range::signed(24), 8), &axes, Sum::product(1, &[&x_on, &w_on])).unwrap();
    let gate = b.rescale(&make("gate", &axes, Range::signed(24), 8), &axes, Sum::product(1, &[&x_on, &v_on])).unwrap();
    let (y_on, gate_on) = (b.on(y), b.on(gate));
    b.rescale(&make("out", &axes, Range::signed(40), 8), &axes, Sum::product(1, &[&y_on, &gate_on])).unwrap();
    let p = b.program;
    let mut tensors: Vec<Vec<i64>> =
        (0..p.tensors.len()).map(|t| vec![0; p.shape(TensorId(t)).iter().product()]).collect();
    let mut state = 1u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 52) as i64 - 2048
    };
    for t in [x, w, v] {
        tensors[t.0].iter_mut().for_each(|slot| *slot = next());
    }
    let rescale = |tensors: &mut Vec<Vec<i64>>, name: &str, divisor: i64, sums: Vec<i64>| {
        let (q, r) = (p.find(name).unwrap(), p.find(&format!("{name}.remainder")).unwrap());
        tensors[q.0] = sums.iter().map(|s| (s + divisor / 2).div_euclid(divisor)).collect();
        tensors[r.0] = sums.iter().map(|s| (s + divisor / 2).rem_euclid(divisor)).collect();
    };
    for (name, weight) in [("y", w), ("gate", v)] {
        let mut sums = Vec::new();
        for l in 0..layers {
            for t in 0..tokens {
                let row = &tensors[x.0][(l * tokens + t) * 576..][..576];
                for h in 0..576 {
                    let column = &tensors[weight.0][(l * 576 + h) * 576..][..576];
                    sums.push(row.iter().zip(column).map(|(a, b)| a * b).sum());
                }
            }
        }
        rescale(&mut tensors, name, 1 << 14, sums);
    }
    let products = tensors[y.0].iter().zip(&tensors[gate.0]).map(|(a, b)| a * b).collect();
    rescale(&mut tensors, "out", 1 << 8, products);
    (p, tensors)
}

fn main() {
    let argument = |i: usize, default| std::env::args().nth(i).map_or(default, |s| s.parse().unwrap());
    let (layers, tokens) = (argument(1, 4), argument(2, 128));
    let (program, tensors) = program(layers, tokens);
    let argument = Argument::new(&program).unwrap();
    let (layout, plan) = (&argument.layout, &argument.plan);
    println!(
        "{} witness slots, {} leaves (2^{}), {} scalars",
        layout.used[0],
        plan.num_leaves,
        plan.units.log_leaves(),
        argument.wiring.num_scalars()
    );
    for _ in 0..3 {
        let since = Instant::now();
        let counts = multiplicities(&program, &tensors);
        println!("{:8.4} s multiplicities", since.elapsed().as_secs_f64());
        let since = Instant::now();
        let vectors = place_vectors(&program, layout, &tensors, &counts);
        println!("{:8.4} s vectors", since.elapsed().as_secs_f64());
        let mut transcript = Transcript::new(b"phases");
        let since = Instant::now();
        let inner = NativeChannel::new(&mut transcript);
        let mut channel = Timed { inner, last: "", since: Instant::now() };
        prove_into(&argument, &vectors[0], &tensors, &mut channel);
        channel.note("end");
        println!("{:8.4} s all scalars", since.elapsed().as_secs_f64());
        let scalars = channel.inner.scalars;
        let since = Instant::now();
        let mut transcript = Transcript::new(b"phases");
        let (joint, _) = argument.verify_native(&scalars, &mut transcript).unwrap();
        println!(
            "{:8.4} s verifier, {} parts, {} bytes",
            since.elapsed().as_secs_f64(),
            joint.parts.len(),
            scalars.len()
        );
        let since = Instant::now();
        let point: Vec<E> = joint.parts.iter().cycle().take(24).map(|p| p.scale).collect();
        let at = joint.weights_at(&[&point; NUM_PLACES]);
        assert!(at.iter().any(|&w| w != E::default()));
        println!("{:8.4} s weights at a point", since.elapsed().as_secs_f64());
        let since = Instant::now();
        let weights: Vec<Vec<E>> =
            (0..NUM_PLACES).map(|place| dense_weights(&joint.parts, place, layout.used[place]).elements()).collect();
        println!("{:8.4} s dense weights", since.elapsed().as_secs_f64());
        let products = weights.iter().zip(&vectors).flat_map(|(w, v)| w.iter().zip(v));
        let dot: E = products.map(|(&w, &v)| w * v).sum();
        assert!(dot == joint.target, "the joint claim holds");
    }
}
