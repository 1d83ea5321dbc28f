//! Small programs that use everything the representation has, with honest witnesses.

use super::solve::Solver;
use veritune_relations::builder::{Builder, Make, Sum};
use veritune_relations::{Function, Index, Place, Program, Range, Sweep, TensorId};

/// A program with its honest tensors.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) program: Program,
    pub(super) tensors: Vec<Vec<i64>>,
}

fn make<'a>(name: &'a str, axes: &'a [veritune_relations::AxisId], range: Range, bits: i32) -> Make<'a> {
    Make { name, axes, range, fraction_bits: bits }
}

/// Numbers in the range, the same every time.
fn numbers(len: usize, range: Range, seed: u64) -> Vec<i64> {
    let span = 1i128 << range.bits;
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (i128::from(range.min()) + i128::from(state >> 11).rem_euclid(span)) as i64
    };
    (0..len).map(next).collect()
}

fn solve(name: &'static str, program: Program, inputs: &[TensorId]) -> Case {
    let mut solver = Solver::new(&program);
    for (i, &id) in inputs.iter().enumerate() {
        let len = program.shape(id).iter().product();
        solver.tensors[id.0] = numbers(len, program.tensor(id).range, 77 + i as u64);
    }
    let tensors = solver.run();
    let broken = Solver { program: &program, tensors: tensors.clone() }.broken();
    assert!(broken.is_empty(), "{name}: {broken:?}");
    for (i, tensor) in program.tensors.iter().enumerate().filter(|(_, t)| t.values.is_none()) {
        if let Some(value) = tensors[i].iter().find(|&&v| !tensor.range.contains(v)) {
            panic!("{name}: {} holds {value}, outside {}", tensor.name, tensor.range);
        }
    }
    Case { name, program, tensors }
}

/// Layers of matrix products with a base weight, an adapter in the state, and a residual over a shifted layer.
pub(super) fn layers() -> Case {
    let mut b = Builder::new(6);
    let layer = b.axis("layer", 3);
    let layer_after = b.axis("layer_after", 4);
    let token = b.axis("token", 5);
    let hidden = b.axis("hidden", 6);
    let inner = b.axis("inner", 3);
    b.program.layer = Some(layer);
    let weight = b.tensor(Place::Base, &make("weight", &[layer, hidden, inner], Range::signed(8), 6));
    let adapter = b.tensor(Place::StateBefore, &make("adapter", &[layer, inner, hidden], Range::signed(9), 6));
    let bias = b.tensor(Place::Base, &make("bias", &[hidden], Range::signed(7), 4));
    let residual = b.tensor(Place::Witness, &make("residual", &[layer_after, token, hidden], Range::signed(24), 4));
    let input = b.tensor(Place::StateBefore, &make("input", &[token, hidden], Range::signed(7), 4));
    let start = b.with(residual, &[(layer_after, Index::Fixed(0))]);
    let input_on = b.on(input);
    let sum = Sum::product(1, &[&input_on]);
    b.rescale_into("start", &[token, hidden], sum, start.view, 4).unwrap();
    b.sweep(Sweep::Ascending);
    let before = b.with(residual, &[(layer_after, Index::Axis(layer))]);
    let adapter_on = b.on(adapter);
    let down = b
        .rescale(
            &make("down", &[layer, token, inner], Range::signed(24), 3),
            &[layer, token, inner],
            Sum::product(1, &[&before, &adapter_on]),
        )
        .unwrap();
    let (down_on, weight_on, bias_on) = (b.on(down), b.on(weight), b.on(bias));
    let sum =
        Sum::product(1, &[&down_on, &weight_on]).plus(Sum::product(1, &[&before])).plus(Sum::product(-1, &[&bias_on]));
    let after = b.with(residual, &[(layer_after, Index::Shifted(layer, 1))]);
    b.rescale_into("after", &[layer, token, hidden], sum, after.view, 4).unwrap();
    b.sweep(Sweep::Once);
    let next = b.tensor(Place::StateAfter, &make("adapter_after", &[layer, inner, hidden], Range::signed(9), 6));
    let update = b
        .rescale(
            &make("update", &[layer, inner, hidden], Range::signed(9), 6),
            &[layer, inner, hidden],
            Sum::product(1, &[&adapter_on]).scaled_by_power(-1),
        )
        .unwrap();
    b.store("store", next, update).unwrap();
    solve("layers", b.program, &[weight, adapter, bias, input])
}

/// Products of three factors of different axes, public tables, division, root, sign, split.
pub(super) fn arithmetic() -> Case {
    let mut b = Builder::new(5);
    let layer = b.axis("layer", 2);
    let token = b.axis("token", 3);
    let feature = b.axis("feature", 5);
    let range = Range::signed(6);
    let x = b.tensor(Place::StateBefore, &make("x", &[layer, token, feature], range, 3));
    let gain = b.tensor(Place::StateBefore, &make("gain", &[layer, feature], range, 3));
    let scale = b.tensor(Place::StateBefore, &make("scale", &[layer, token], range, 3));
    let cosine = b.public(&make("cosine", &[token, feature], range, 3), numbers(15, range, 5));
    let all = [layer, token, feature];
    let [x_on, gain_on, scale_on, cosine_on] = [x, gain, scale, cosine].map(|t| b.on(t));
    let sum = Sum::product(3, &[&x_on, &gain_on, &scale_on])
        .plus(Sum::product(-1, &[&x_on, &x_on]))
        .plus(Sum::product(2, &[&x_on, &cosine_on]))
        .plus(Sum::product(1, &[&cosine_on]))
        .plus(Sum::constant(5, 0));
    let y = b.rescale(&make("y", &all, Range::signed(19), 3), &all, sum).unwrap();
    let y_on = b.on(y);
    let square = Sum::product(1, &[&y_on, &y_on]).plus(Sum::constant(1, 6)).terms;
    let small = Sum::product(1, &[&x_on, &x_on]).plus(Sum::constant(7, 6)).terms;
    let scalar_axes = [layer, token];
    let wide = make("quotient", &scalar_axes, Range::unsigned(40), 0);
    b.divide(&wide, &scalar_axes, square, small.clone(), 20).unwrap();
    b.square_root(&make("root", &scalar_axes, Range::unsigned(10), 0), &scalar_axes, small.clone(), 1 << 20).unwrap();
    b.sign("sign", &scalar_axes, Sum::product(1, &[&scale_on]).terms, 7).unwrap();
    b.split("split", &all, y_on_terms(&y_on), 7, Range::signed(12)).unwrap();
    b.normalise("norm", &scalar_axes, small, 7).unwrap();
    // Division by a constant that is no power of two, and a scalar.
    let total = b.tensor(Place::Witness, &make("total", &[], Range::signed(20), 0));
    let out = b.on(total).view;
    b.divide_by_constant("total", &[], Sum::product(1, &[&x_on, &cosine_on]).terms, 10, out).unwrap();
    // A sum along an axis that no factor has.
    let flat = b.tensor(Place::Witness, &make("flat", &[token, layer], Range::signed(24), 0));
    let out = b.on(flat).view;
    b.divide_by_constant("flat", &[token, layer], Sum::product(1, &[&b.on(total)]).terms, 2, out).unwrap();
    solve("arithmetic", b.program, &[x, gain, scale])
}

fn y_on_terms(y: &veritune_relations::builder::Operand) -> veritune_relations::Expression {
    Sum::product(1, &[y]).terms
}

/// Attention scores over grouped heads, maximum by one-hot under a causal mask, a table of two columns.
pub(super) fn attention(queries: usize, keys: usize) -> Case {
    let mut b = Builder::new(6);
    let layer = b.axis("layer", 2);
    let kv = b.axis("kv", 2);
    let group = b.axis("group", 3);
    let query = b.axis("query", queries);
    let key = b.axis("key", keys);
    let depth = b.axis("depth", 3);
    let range = Range::signed(4);
    let q = b.tensor(Place::StateBefore, &make("q", &[layer, query, kv, group, depth], range, 0));
    let k = b.tensor(Place::StateBefore, &make("k", &[layer, key, kv, depth], range, 0));
    let causal = (0..queries * keys).map(|i| i64::from(i % keys * queries <= i / keys * keys)).collect();
    let mask = b.public(&make("causal", &[query, key], Range::unsigned(1), 0), causal);
    let all = [layer, kv, group, query, key];
    let (q_on, k_on) = (b.on(q), b.on(k));
    let scores = b.rescale(&make("scores", &all, Range::signed(9), 0), &all, Sum::product(1, &[&q_on, &k_on])).unwrap();
    let rows = [layer, kv, group, query];
    let view = b.on(scores).view;
    let maximum = b.maximum(&make("maximum", &rows, Range::signed(9), 0), &rows, key, view, Some(mask)).unwrap();
    let table = b.table("exp", vec![(0..400).collect(), (0..400).map(|i| 1000 / (1 + i)).collect()]);
    let (maximum_on, scores_on, mask_on) = (b.on(maximum), b.on(scores), b.on(mask));
    let gap = Sum::product(1, &[&maximum_on]).plus(Sum::product(-1, &[&scores_on]));
    let out = make("exp", &all, Range::unsigned(10), 0);
    let e = b.look("exp", &all, table, gap, Some(mask_on.view.clone()), &[(out, Function::ExpNegative)])[0];
    let sum = Sum::product(1, &[&b.on(e), &mask_on]);
    b.copy(&make("sum", &rows, Range::unsigned((1000 * keys).ilog2() + 1), 0), &rows, sum).unwrap();
    solve("attention", b.program, &[q, k])
}

/// Rows of a base embedding gathered by one-hots of stored tokens, with a flag.
pub(super) fn embedding(tokens: usize, vocabulary: usize) -> Case {
    let mut b = Builder::new(4);
    let wide = Range::signed(10 + tokens.ilog2());
    let narrow = Range::unsigned(vocabulary.ilog2());
    let token = b.axis("token", tokens);
    let vocabulary = b.axis("vocabulary", vocabulary);
    let hidden = b.axis("hidden", 3);
    let table = b.tensor(Place::Base, &make("embedding", &[vocabulary, hidden], Range::signed(8), 0));
    let tokens = b.tensor(Place::StateBefore, &make("tokens", &[token], narrow, 0));
    let used = b.tensor(Place::StateBefore, &make("used", &[token], Range::unsigned(1), 0));
    let bits = b.index_bits("bits", &[token], vocabulary).unwrap();
    let (bits_view, tokens_view) = (b.on(bits).view, b.on(tokens).view);
    b.bits_of("bits", &[token], bits_view, tokens_view).unwrap();
    let one_hot = b.one_hot("one_hot", &[token], vocabulary, bits, Some(used));
    let plain = b.one_hot("plain", &[token], vocabulary, bits, None);
    let (one_hot_on, plain_on, table_on) = (b.on(one_hot), b.on(plain), b.on(table));
    let sum = Sum::product(1, &[&one_hot_on, &table_on]);
    b.copy(&make("gathered", &[token, hidden], Range::signed(8), 0), &[token, hidden], sum).unwrap();
    // A product of two virtual tensors beside a stored one: how often each vocabulary row occurs, weighted.
    let sum = Sum::product(1, &[&plain_on, &one_hot_on, &table_on]);
    b.copy(&make("norms", &[hidden], wide, 0), &[hidden], sum).unwrap();
    let first = b.with(table, &[(vocabulary, Index::Fixed(2))]);
    let seen = b.with(plain, &[(vocabulary, Index::Fixed(1)), (token, Index::Fixed(0))]);
    let mix = Sum::product(1, &[&first, &seen]);
    b.copy(&make("mix", &[hidden], Range::signed(9), 0), &[hidden], mix).unwrap();
    solve("embedding", b.program, &[table, tokens, used])
}

/// Lookups with base, shifted and broadcast columns; a range lookup by name.
pub(super) fn columns(read: usize, all: usize) -> Case {
    let mut b = Builder::new(5);
    let row = b.axis("row", read);
    let rows = b.axis("rows", all);
    let column = b.axis("column", 2);
    let small = Range::unsigned(3);
    let x = b.tensor(Place::StateBefore, &make("x", &[rows, column], small, 0));
    let base = b.tensor(Place::Base, &make("base", &[row], small, 0));
    let next = b.with(x, &[(rows, Index::Shifted(row, 1))]);
    let (base_on, axes) = (b.on(base), [column, row]);
    let sum = Sum::product(1, &[&next]).plus(Sum::product(2, &[&base_on])).plus(Sum::constant(3, 0));
    let table = b.table("double", vec![(0..30).map(|i| i * 3 % 31).collect(), (0..30).map(|i| i * i).collect()]);
    let squares = b.look(
        "double",
        &axes,
        table,
        sum.clone(),
        None,
        &[(make("square", &[column, row], Range::unsigned(10), 0), Function::Silu)],
    );
    b.program.lookups.push(veritune_relations::Lookup {
        name: "narrow".into(),
        table: veritune_relations::TableId::Range(5),
        axes: axes.to_vec(),
        columns: vec![sum.terms],
        mask: None,
    });
    assert_eq!(squares.len(), 1);
    solve("columns", b.program, &[x, base])
}

/// Programs with axes of a few indices.
pub(super) fn short() -> Vec<Case> {
    vec![layers(), arithmetic(), attention(5, 5), embedding(6, 11), columns(3, 4)]
}

/// Those, and programs with an axis that is weighed as a point, at every place of a tensor.
pub(super) fn all() -> Vec<Case> {
    let long = [attention(1026, 3), attention(2, 1100), embedding(1050, 11), embedding(5, 1500), columns(1400, 1401)];
    short().into_iter().chain(long).collect()
}
