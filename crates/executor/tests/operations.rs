//! Every operation and both sweeps: the executor's values meet the equations and lookups that define them.

mod support;

use proptest::prelude::*;
use support::*;
use veritune_executor::{Executor, check};
use veritune_relations::*;

/// Residual stream up the layers, a gradient down: `h[l+1]` from `h[l]`, two steps per layer in one block.
fn recurrence() -> Draft {
    let mut draft = Draft::new();
    let (layer, state) = (draft.axis("layer", 4), draft.axis("state", 5));
    let (t, d, k) = (draft.axis("token", 6), draft.axis("hidden", 20), draft.axis("inner", 20));
    draft.program.layer = Some(layer);
    let x = draft.base("x", &[t, d], 14);
    let w = draft.base("w", &[layer, d, k], 10);
    let (h, _) = draft.tensor("h", &[state, t, d], Place::Witness, Range::signed(20));
    let (g, _) = draft.tensor("g", &[state, t, d], Place::Witness, Range::signed(30));
    let update = draft.witness("update", &[layer, t, d], Range::signed(18));
    let view = |tensor, first, last| View { tensor, index: vec![first, at(t), at(last)] };
    draft.copy("h.first", Sweep::Once, &[t, d], vec![term(1, &[&x])], &view(h, Index::Fixed(0), d));
    let product = vec![term(1, &[&view(h, at(layer), k), &w])];
    draft.rescale("update", Sweep::Ascending, &[layer, t, d], product, 1 << 14, &update);
    let sum = vec![term(1, &[&view(h, at(layer), d)]), term(1, &[&update])];
    draft.copy("h.next", Sweep::Ascending, &[layer, t, d], sum, &view(h, Index::Shifted(layer, 1), d));
    let last = view(h, Index::Fixed(4), d);
    draft.copy("g.last", Sweep::Once, &[t, d], vec![term(1, &[&last]), term(-1, &[&x])], &view(g, Index::Fixed(4), d));
    let back =
        vec![term(1, &[&view(g, Index::Shifted(layer, 1), d), &w]), term(64, &[&view(g, Index::Shifted(layer, 1), k)])];
    draft.rescale("g.next", Sweep::Descending, &[layer, t, k], back, 192, &view(g, at(layer), k));
    draft
}

#[test]
fn sweeps_follow_the_recurrence() {
    let draft = recurrence();
    let tensors = completes(&draft.program, 1);
    let h = draft.program.find("h").expect("declared");
    assert!(tensors.get(h)[4 * 120..].iter().any(|&x| x != 0));
}

#[test]
fn maxima_are_per_layer_where_steps_index_by_layer() {
    let draft = recurrence();
    let executor = execute(&draft.program, 2, 1);
    for maximum in executor.maxima() {
        let values = executor.tensors().get(maximum.tensor);
        let largest = values.iter().map(|x| x.unsigned_abs()).max().expect("not empty") as f64;
        assert_eq!(maximum.units, largest);
        assert_eq!(maximum.real, largest / 256.0);
        let layers = match maximum.name.as_str() {
            "h" | "g" | "g.next.remainder" => 5,
            "x" => 0,
            _ => 4,
        };
        assert_eq!(maximum.per_layer.len(), layers, "{}", maximum.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn rescale_rounds_half_up(shift in 0u32..20, odd in 0i64..5, seed: u64) {
        let divisor = if shift == 0 { 2 * (2 * odd + 3) } else { 1 << shift };
        let mut draft = Draft::new();
        let t = draft.axis("token", 33);
        let x = draft.base("x", &[t], 40);
        let q = draft.witness("q", &[t], Range::signed(41));
        draft.rescale("q", Sweep::Once, &[t], vec![term(1, &[&x])], divisor, &q);
        let tensors = completes(&draft.program, seed);
        for (&x, &q) in tensors.get(x.tensor).iter().zip(tensors.get(q.tensor)) {
            let exact = (2 * i128::from(x) + i128::from(divisor)).div_euclid(2 * i128::from(divisor));
            prop_assert_eq!(i128::from(q), exact);
        }
    }

    #[test]
    fn divide_and_square_root(bits in 2u32..60, seed: u64) {
        let mut draft = Draft::new();
        let (t, u) = (draft.axis("token", 17), draft.axis("other", 3));
        let x = draft.base("x", &[t, u], bits);
        let y = draft.tensor("y", &[u], Place::Base, Range::unsigned(bits / 2)).1;
        let z = draft.tensor("z", &[t], Place::Base, Range::unsigned(bits)).1;
        let [q, r] = ["q", "r"].map(|n| draft.witness(n, &[u, t], Range::signed(62)));
        let by = vec![term(1, &[&y]), term(1, &[])];
        let axes = vec![t, u];
        draft.step("divide", Sweep::Once, Operation::Divide {
            axes: axes.clone(), numerator: vec![term(1, &[&x])], denominator: by,
            quotient: q.clone(), remainder: r.clone(),
        });
        draft.equation("divide", &axes, vec![term(1, &[&x]), term(-1, &[&q, &y]), term(-1, &[&q]), term(-1, &[&r])]);
        draft.look_up("divide.slack", &axes, vec![term(1, &[&y]), term(-1, &[&r])], bits);
        let [root, rest] = ["root", "rest"].map(|n| draft.witness(n, &[t], Range::unsigned(40)));
        draft.step("root", Sweep::Once, Operation::SquareRoot {
            axes: vec![t], square: vec![term(1, &[&z])], root: root.clone(), remainder: rest.clone(),
        });
        draft.equation("root", &[t], vec![term(1, &[&z]), term(-1, &[&root, &root]), term(-1, &[&rest])]);
        draft.look_up("root.slack", &[t], vec![term(2, &[&root]), term(-1, &[&rest])], 40);
        let tensors = completes(&draft.program, seed);
        for view in [&r, &rest] {
            prop_assert!(tensors.get(view.tensor).iter().all(|&x| x >= 0));
        }
    }

    #[test]
    fn maximum_is_the_least_attaining_open_index(width in 1u32..12, seed: u64) {
        let mut draft = Draft::new();
        let (h, t, s, bit) = (draft.axis("head", 3), draft.axis("query", 9), draft.axis("key", 9), draft.axis("bit", 4));
        let x = draft.base("x", &[t, h, s], width);
        let causal = draft.public("causal", &[t, s], (0..81).map(|i| i64::from(i % 9 <= i / 9)).collect());
        let maximum = draft.witness("maximum", &[h, t], Range::signed(12));
        let bits = draft.witness("bits", &[h, t, bit], Range::unsigned(1));
        draft.step("maximum", Sweep::Once, Operation::Maximum {
            axes: vec![h, t], over: s, values: x.clone(), mask: Some(causal.clone()),
            maximum: maximum.clone(), bits: bits.clone(),
        });
        let hot = draft.one_hot("hot", &[h, t, s], &bits, None);
        draft.equation("attained", &[h, t], vec![term(1, &[&hot, &x]), term(-1, &[&maximum])]);
        draft.equation("open", &[h, t], vec![term(1, &[&hot, &causal]), term(-1, &[])]);
        let tensors = completes(&draft.program, seed);
        for (row, (&m, bits)) in tensors.get(maximum.tensor).iter().zip(tensors.get(bits.tensor).chunks(4)).enumerate() {
            let (h, t) = (row / 9, row % 9);
            let values = &tensors.get(x.tensor)[(t * 3 + h) * 9..][..=t];
            let best = *values.iter().max().expect("the diagonal is open");
            let index = bits.iter().rev().fold(0, |i, &b| 2 * i + b as usize);
            prop_assert_eq!((m, index), (best, values.iter().position(|&v| v == best).expect("attained")));
        }
    }

    #[test]
    fn bits_sign_split_look_and_normalise(seed: u64) {
        let mut draft = Draft::new();
        let (t, bit) = (draft.axis("token", 40), draft.axis("bit", 6));
        let x = draft.base("x", &[t], 12);
        let half = draft.public("half", &[t], (0..40).map(|i| i % 2).collect());
        let [sign, flag] = ["sign", "flag"].map(|n| draft.witness(n, &[t], Range::unsigned(1)));
        let [magnitude, high, power, ceiling, slack] =
            ["magnitude", "high", "power", "ceiling", "slack"].map(|n| draft.witness(n, &[t], Range::unsigned(13)));
        let square = draft.witness("square", &[t], Range::unsigned(13));
        let low = draft.witness("low", &[t], Range::unsigned(6));
        let upper = draft.witness("upper", &[t], Range::unsigned(7));
        let bits = draft.witness("bits", &[t, bit], Range::unsigned(1));
        let value = vec![term(1, &[&x])];
        draft.step("sign", Sweep::Once, Operation::Sign { axes: vec![t], value: value.clone(), out: sign.clone(), magnitude: magnitude.clone() });
        // x = (2 sign - 1) magnitude - (1 - sign)
        draft.equation("sign", &[t], vec![
            term(2, &[&sign, &magnitude]), term(-1, &[&magnitude]), term(1, &[&sign]), term(-1, &[]), term(-1, &[&x]),
        ]);
        draft.step("split", Sweep::Once, Operation::Split { axes: vec![t], value: vec![term(1, &[&x]), term(2048, &[])], base: 64, high: high.clone(), low: Some(low.clone()) });
        draft.step("upper", Sweep::Once, Operation::Split { axes: vec![t], value: vec![term(1, &[&x]), term(2048, &[])], base: 32, high: upper.clone(), low: None });
        draft.look_up("lower", &[t], vec![term(1, &[&x]), term(2048, &[]), term(-32, &[&upper])], 5);
        draft.equation("split", &[t], vec![term(1, &[&x]), term(2048, &[]), term(-64, &[&high]), term(-1, &[&low])]);
        draft.step("bits", Sweep::Once, Operation::Bits { axes: vec![t], value: low.clone(), bits: bits.clone() });
        let weight = draft.public("weight", &[bit], (0..6).map(|j| 1 << j).collect());
        draft.equation("bits", &[t], vec![term(1, &[&bits, &weight]), term(-1, &[&low])]);
        draft.program.tables = vec![
            Table { name: "nonzero".into(), tag: 1, columns: vec![(-8..64).collect(), (-8..64).map(|i| i64::from(i != 0)).collect()].into() },
            Table { name: "powers".into(), tag: 2, columns: vec![vec![4, 1, 2], vec![16, 1, 4], vec![4095 / 16, 4095, 4095 / 4]].into() },
        ];
        draft.step("look", Sweep::Once, Operation::Look {
            axes: vec![t], table: 0, input: vec![term(1, &[&high])], mask: Some(half.clone()), out: vec![flag.clone()],
            functions: vec![], input_fraction_bits: 0, output_fraction_bits: 0,
        });
        draft.program.lookups.push(Lookup {
            name: "look".into(), table: TableId::Table(0), axes: vec![t],
            columns: vec![vec![term(1, &[&high])], vec![term(1, &[&flag])]], mask: Some(half.clone()),
        });
        draft.step("normalise", Sweep::Once, Operation::Normalise {
            axes: vec![t], value: vec![term(1, &[&magnitude])], table: 1,
            power: power.clone(), square: square.clone(), ceiling: ceiling.clone(), slack: slack.clone(),
        });
        draft.program.lookups.push(Lookup {
            name: "normalise".into(), table: TableId::Table(1), axes: vec![t],
            columns: [&power, &square, &ceiling].iter().map(|v| vec![term(1, &[v])]).collect(), mask: None,
        });
        draft.equation("slack", &[t], vec![term(1, &[&ceiling]), term(-1, &[&magnitude]), term(-1, &[&slack])]);
        let tensors = completes(&draft.program, seed);
        for (i, &flag) in tensors.get(flag.tensor).iter().enumerate() {
            prop_assert_eq!(flag, i64::from(i % 2 == 1 && tensors.get(high.tensor)[i] != 0));
            let m = tensors.get(magnitude.tensor)[i];
            let greatest = [4, 2, 1].into_iter().find(|p| m * p * p <= 4095).expect("1 fits");
            prop_assert_eq!(tensors.get(power.tensor)[i], greatest);
        }
    }
}

/// A changed value of any computed tensor violates a check, and the first one is named.
#[test]
fn a_changed_witness_violates_a_named_check() {
    let draft = recurrence();
    let tensors = execute(&draft.program, 4, 1).into_tensors();
    for (name, position, expected) in
        [("h", 0, "h.first"), ("h", 130, "update"), ("update", 7, "update"), ("g", 300, "g.next"), ("g", 599, "g.last")]
    {
        let mut changed = tensors.clone();
        changed.get_mut(draft.program.find(name).expect("declared"))[position] += 1;
        assert_eq!(check(&draft.program, &changed)[0].name, expected);
    }
    let mut changed = tensors.clone();
    changed.get_mut(draft.program.find("update.remainder").expect("declared"))[0] = 1 << 20;
    assert_eq!(check(&draft.program, &changed).last().expect("out of range").name, "range.update.remainder");
}

/// The real carrier: plain division, roots and functions, ids as on integers.
#[test]
fn reals_do_not_round() {
    let mut draft = Draft::new();
    let (t, bit, v) = (draft.axis("token", 3), draft.axis("bit", 2), draft.axis("vocab", 4));
    let x = draft.base("x", &[t], 20);
    let id = draft.public("id", &[t], vec![3, 0, 2]);
    let embedding = draft.base("embedding", &[v], 8);
    let [third, root, ratio, silu, row] =
        ["third", "root", "ratio", "silu", "row"].map(|n| draft.witness(n, &[t], Range::signed(20)));
    let [a, b] = ["a", "b"].map(|n| draft.witness(n, &[t], Range::signed(20)));
    let bits = draft.witness("bits", &[t, bit], Range::unsigned(1));
    let value = vec![term(1, &[&x])];
    draft.rescale("third", Sweep::Once, &[t], value.clone(), 6, &third);
    draft.step(
        "root",
        Sweep::Once,
        Operation::SquareRoot { axes: vec![t], square: value.clone(), root: root.clone(), remainder: a },
    );
    draft.step(
        "ratio",
        Sweep::Once,
        Operation::Divide {
            axes: vec![t],
            numerator: vec![term(1, &[])],
            denominator: value.clone(),
            quotient: ratio.clone(),
            remainder: b,
        },
    );
    draft.program.tables = vec![Table { name: "silu".into(), tag: 1, columns: vec![vec![0], vec![0]].into() }];
    draft.step(
        "silu",
        Sweep::Once,
        Operation::Look {
            axes: vec![t],
            table: 0,
            input: value,
            mask: None,
            out: vec![silu.clone()],
            functions: vec![Function::Silu],
            input_fraction_bits: 4,
            output_fraction_bits: 8,
        },
    );
    draft.step("bits", Sweep::Once, Operation::Bits { axes: vec![t], value: id, bits: bits.clone() });
    let hot = draft.one_hot("hot", &[t, v], &bits, None);
    draft.copy("row", Sweep::Once, &[t], vec![term(1, &[&hot, &embedding])], &row);
    let mut executor = Executor::<f64>::new(&draft.program).expect("well-formed");
    executor.set_input(x.tensor, vec![2.0, 16.0, 1e12]).expect("reals have no range");
    executor.set_input(embedding.tensor, vec![0.5, 1.5, 2.5, 3.5]).expect("reals have no range");
    executor.run(2).expect("runs");
    let get = |view: &View| executor.tensors().get(view.tensor).to_vec();
    assert_eq!(get(&third), [2.0 / 6.0, 16.0 / 6.0, 1e12 / 6.0]);
    assert_eq!(get(&root)[..2], [2f64.sqrt(), 4.0]);
    assert_eq!(get(&ratio), [0.5, 0.0625, 1e-12]);
    assert_eq!(get(&silu)[1], 256.0 / (1.0 + (-1f64).exp()));
    assert_eq!(get(&row), [3.5, 0.5, 2.5]);
}

/// Sums of reals are in a fixed order too.
#[test]
fn reals_are_the_same_for_any_number_of_threads() {
    let draft = recurrence();
    let run = |threads| {
        let mut executor = Executor::<f64>::new(&draft.program).expect("well-formed");
        let mut numbers = Numbers(9);
        for id in executor.inputs() {
            let count = executor.tensors().num_values(id);
            executor
                .set_input(id, (0..count).map(|_| numbers.signed(50) as f64 / 3e12).collect::<Vec<_>>())
                .expect("real");
        }
        executor.run(threads).expect("runs");
        executor.into_tensors()
    };
    assert!(run(1) == run(2));
}
