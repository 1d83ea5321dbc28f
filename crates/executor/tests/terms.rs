//! Every shape of term against the slow reading: products, batches, three factors, masks, one-hots, diagonals.

mod support;

use proptest::prelude::*;
use support::*;
use veritune_executor::Executor;
use veritune_relations::*;

/// The axes that a random term draws from; lengths around the kernel's tile.
fn drafted(lens: [usize; 5]) -> (Draft, Vec<AxisId>) {
    let mut draft = Draft::new();
    let axes = lens.iter().enumerate().map(|(i, &len)| draft.axis(&format!("axis{i}"), len)).collect();
    (draft, axes)
}

fn subset(axes: &[AxisId], mask: u8) -> Vec<AxisId> {
    axes.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1).map(|(_, &a)| a).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// One to three factors over any subsets of five axes, in any order, into any output axes.
    #[test]
    fn any_term(
        lens in prop::array::uniform5(1usize..9),
        masks in prop::collection::vec(0u8..32, 1..4),
        rotate in 0usize..5,
        out in 0u8..32,
        coefficient in -3i64..4,
        seed: u64,
    ) {
        let (mut draft, axes) = drafted(lens);
        let factors: Vec<View> = masks
            .iter()
            .enumerate()
            .map(|(i, &mask)| {
                let mut own = subset(&axes, mask);
                let by = rotate % own.len().max(1);
                own.rotate_left(by);
                draft.base(&format!("factor{i}"), &own, 10)
            })
            .collect();
        let out_axes = subset(&axes, out);
        let sum = draft.witness("sum", &out_axes, Range::signed(60));
        let factors: Vec<&View> = factors.iter().collect();
        draft.copy("sum", Sweep::Once, &out_axes, vec![term(coefficient, &factors), term(5, &[])], &sum);
        completes(&draft.program, seed);
    }

    /// Matrix products around the tile's edges, with values beyond 32 bits on one side.
    #[test]
    fn matrix_products(rows in 1usize..20, columns in 1usize..40, depth in 1usize..30, batch in 1usize..4, wide: bool, seed: u64) {
        let (mut draft, axes) = drafted([batch, rows, columns, depth, 1]);
        let (b, m, n, k) = (axes[0], axes[1], axes[2], axes[3]);
        let left = draft.base("left", &[m, b, k], if wide { 40 } else { 18 });
        let right = draft.base("right", &[b, k, n], 16);
        let out = draft.witness("out", &[b, n, m], Range::signed(62));
        draft.copy("product", Sweep::Once, &[b, n, m], vec![term(1, &[&left, &right])], &out);
        completes(&draft.program, seed);
    }
}

/// Deep enough for two panels of the kernel, wide enough for several tasks.
#[test]
fn deep_products_add_up_over_panels() {
    let (mut draft, axes) = drafted([7, 2100, 300, 1, 1]);
    let left = draft.base("left", &[axes[0], axes[1]], 18);
    let right = draft.base("right", &[axes[2], axes[1]], 16);
    let out = draft.witness("out", &[axes[0], axes[2]], Range::signed(62));
    draft.copy("product", Sweep::Once, &[axes[0], axes[2]], vec![term(-3, &[&left, &right])], &out);
    completes(&draft.program, 7);
    let reals = |threads| {
        let mut executor = Executor::<f64>::new(&draft.program).expect("well-formed");
        let mut numbers = Numbers(7);
        for id in executor.inputs() {
            let count = executor.tensors().num_values(id);
            let values: Vec<f64> = (0..count).map(|_| numbers.signed(50) as f64 / 3e12).collect();
            executor.set_input(id, values).expect("reals have no range");
        }
        executor.run(threads).expect("runs");
        executor.into_tensors()
    };
    assert!(reals(1) == reals(2), "sums of reals depend on the threads");
}

/// An intermediate of 5.8 million values is formed in blocks; the mask shares its two long axes.
#[test]
fn three_factors_in_blocks() {
    let mut draft = Draft::new();
    let (t, s, h) = (draft.axis("query", 1200), draft.axis("key", 1200), draft.axis("head", 4));
    let e = draft.base("e", &[h, t, s], 12);
    let weight = draft.base("weight", &[h, t, s], 12);
    let mask = draft.public("causal", &[t, s], (0..1200 * 1200).map(|i| i64::from(i % 1200 <= i / 1200)).collect());
    let out = draft.witness("out", &[h, t], Range::signed(60));
    let terms = vec![term(1, &[&mask, &e, &weight])];
    draft.copy("masked", Sweep::Once, &[h, t], terms, &out);
    draft.program.equations.clear();
    let one = execute(&draft.program, 3, 1);
    let two = execute(&draft.program, 3, 2);
    assert!(one.tensors() == two.tensors());
    let (e, weight) = (one.tensors().get(e.tensor), one.tensors().get(weight.tensor));
    for (row, &got) in one.tensors().get(out.tensor).iter().enumerate() {
        let expected: i64 = (0..=row % 1200).map(|s| e[row * 1200 + s] * weight[row * 1200 + s]).sum();
        assert_eq!(got, expected);
    }
}

/// Attention scores with rotary factors, a causal mask inside a matrix product, and its gradient.
#[test]
fn attention_shapes() {
    let mut draft = Draft::new();
    let (t, s, h, d) = (draft.axis("query", 12), draft.axis("key", 12), draft.axis("head", 3), draft.axis("dim", 8));
    let q = draft.base("q", &[t, h, d], 12);
    let k = draft.base("k", &[t, d], 12);
    let mask = draft.public("causal", &[t, s], (0..144).map(|i| i64::from(i % 12 <= i / 12)).collect());
    let keys = View { tensor: k.tensor, index: vec![at(s), at(d)] };
    let scores = draft.witness("scores", &[h, t, s], Range::signed(40));
    draft.copy("scores", Sweep::Once, &[h, t, s], vec![term(1, &[&q, &keys, &mask])], &scores);
    let sums = draft.witness("sums", &[h, t], Range::signed(48));
    draft.copy("sums", Sweep::Once, &[h, t], vec![term(1, &[&mask, &scores])], &sums);
    let dq = draft.witness("dq", &[t, h, d], Range::signed(60));
    draft.copy("dq", Sweep::Once, &[t, h, d], vec![term(1, &[&scores, &mask, &keys]), term(-1, &[&q])], &dq);
    completes(&draft.program, 11);
}

/// A diagonal, a fixed index, and an axis of the output that no factor has.
#[test]
fn unusual_views() {
    let mut draft = Draft::new();
    let (a, b) = (draft.axis("a", 6), draft.axis("b", 9));
    let x = draft.base("x", &[a, a, b], 12);
    let diagonal = View { tensor: x.tensor, index: vec![at(a), at(a), at(b)] };
    let row = View { tensor: x.tensor, index: vec![Index::Fixed(2), at(a), Index::Fixed(5)] };
    let out = draft.witness("out", &[a, b], Range::signed(50));
    let terms = vec![term(2, &[&diagonal]), term(1, &[&row, &diagonal]), term(-1, &[&row])];
    draft.copy("views", Sweep::Once, &[a, b], terms, &out);
    completes(&draft.program, 5);
}

/// One-hots: gather of rows, of an element, with another factor; scatter along an output; written out; flagged.
#[test]
fn one_hots() {
    let mut draft = Draft::new();
    let (t, v, bit, d) = (draft.axis("token", 10), draft.axis("vocab", 13), draft.axis("bit", 4), draft.axis("dim", 5));
    let id = draft.public("id", &[t], vec![0, 12, 3, 3, 7, 1, 12, 5, 8, 11]);
    let flag = draft.public("flag", &[t], vec![1, 1, 0, 1, 1, 1, 1, 0, 1, 1]);
    let bits = draft.witness("bits", &[t, bit], Range::unsigned(1));
    draft.step("bits", Sweep::Once, Operation::Bits { axes: vec![t], value: id.clone(), bits: bits.clone() });
    let hot = draft.one_hot("hot", &[t, v], &bits, Some(&flag));
    let plain = draft.one_hot("plain", &[t, v], &bits, None);
    let weights = draft.base("weights", &[v, d], 14);
    let logits = draft.base("logits", &[t, v], 14);
    let x = draft.base("x", &[t, d], 14);
    let wide = Range::signed(60);
    let out: Vec<View> = [("gather", vec![t, d]), ("label", vec![t]), ("mixed", vec![t]), ("scatter", vec![t, v])]
        .into_iter()
        .chain([
            ("embedding", vec![v, d]),
            ("fixed", vec![t, d]),
            ("count", vec![v]),
            ("same", vec![t]),
            ("total", vec![]),
        ])
        .map(|(name, axes)| draft.witness(name, &axes, wide))
        .collect();
    let fixed = View { tensor: hot.tensor, index: vec![at(t), Index::Fixed(12)] };
    let terms: Vec<(Vec<AxisId>, Expression)> = vec![
        (vec![t, d], vec![term(3, &[&hot, &weights]), term(1, &[&x])]),
        (vec![t], vec![term(1, &[&hot, &logits])]),
        (vec![t], vec![term(1, &[&weights, &plain, &x])]),
        (vec![t, v], vec![term(1, &[&logits]), term(-256, &[&hot])]),
        (vec![v, d], vec![term(1, &[&hot, &x])]),
        (vec![t, d], vec![term(1, &[&fixed, &x])]),
        (vec![v], vec![term(1, &[&plain])]),
        (vec![t], vec![term(1, &[&hot, &plain])]),
        (vec![], vec![term(1, &[&hot, &logits])]),
    ];
    for ((axes, terms), out) in terms.into_iter().zip(&out) {
        let name = draft.program.tensor(out.tensor).name.clone();
        draft.copy(&name, Sweep::Once, &axes, terms, out);
    }
    completes(&draft.program, 13);
}
