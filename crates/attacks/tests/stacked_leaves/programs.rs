//! Random programs with lookups and masks, and tensors that satisfy them.

use veritune_field::traits::{BasedVectorSpace, PrimeCharacteristicRing};
use veritune_field::{E, F};
use veritune_relations::{
    Axis, AxisId, Index, Lookup, Place, Program, Range, Table, TableId, Tensor, TensorId, Term, View,
};

/// Numbers that are the same every time.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
    pub(crate) fn f(&mut self) -> F {
        F::from_u64(self.next() >> 1)
    }
    pub(crate) fn e(&mut self) -> E {
        E::from_basis_coefficients_fn(|_| self.f())
    }
}

fn view(rng: &mut Rng, program: &Program, tensor: TensorId, allowed: &[AxisId]) -> View {
    let mut left: Vec<AxisId> = allowed.to_vec();
    let index = program
        .tensor(tensor)
        .axes
        .iter()
        .map(|&own| {
            let own_len = program.axis(own).len;
            let fitting: Vec<usize> = (0..left.len()).filter(|&i| program.axis(left[i]).len <= own_len).collect();
            if fitting.is_empty() || rng.below(5) == 0 {
                return Index::Fixed(rng.below(own_len));
            }
            let axis = left.remove(fitting[rng.below(fitting.len())]);
            let room = own_len - program.axis(axis).len;
            match rng.below(2) {
                0 => Index::Axis(axis),
                _ => Index::Shifted(axis, rng.below(room + 1)),
            }
        })
        .collect();
    View { tensor, index }
}

pub(crate) fn random_program(rng: &mut Rng) -> Program {
    const LENS: [usize; 24] = [1, 1, 2, 3, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 17, 18, 19, 21, 24, 33, 36, 37, 40, 72];
    let mut program = Program { range_bits: 1 + rng.below(6) as u32, ..Program::default() };
    for i in 0..6 {
        program.axes.push(Axis { name: format!("a{i}"), len: LENS[rng.below(LENS.len())] });
    }
    let some_axes = |rng: &mut Rng, program: &Program, twice: bool| {
        let mut axes: Vec<AxisId> = Vec::new();
        let mut len = 1;
        for _ in 0..rng.below(4) {
            let axis = AxisId(rng.below(program.axes.len()));
            len *= program.axis(axis).len;
            if len <= 4000 && (twice || !axes.contains(&axis)) {
                axes.push(axis);
            }
        }
        axes
    };
    for i in 0..8 {
        let axes = some_axes(rng, &program, true);
        let place =
            [Place::Witness, Place::Witness, Place::Witness, Place::StateBefore, Place::StateAfter, Place::Base]
                [rng.below(6)];
        program.tensors.push(Tensor {
            name: format!("t{i}"),
            axes,
            place,
            range: Range { bits: 1 + rng.below(20) as u32, signed: rng.below(2) == 0 },
            fraction_bits: 0,
            values: None,
            range_by_other: place == Place::Witness && rng.below(4) == 0,
        });
    }
    for t in 0..rng.below(3) {
        let rows = 1 + rng.below(40);
        let columns: Vec<Vec<i64>> =
            (0..1 + rng.below(3)).map(|_| (0..rows).map(|_| rng.next() as i64 >> 20).collect()).collect();
        program.tables.push(Table { name: format!("table{t}"), tag: 64 + t as u64, columns: columns.into() });
    }
    for l in 0..6 {
        let axes = some_axes(rng, &program, false);
        let (table, columns) = match rng.below(program.tables.len() + 1) {
            0 => (TableId::Range(1 + rng.below(program.range_bits as usize) as u32), 1),
            t => (TableId::Table(t - 1), program.tables[t - 1].columns.len()),
        };
        let columns = (0..columns)
            .map(|_| {
                (0..rng.below(4))
                    .map(|_| {
                        let coefficient = rng.next() as i64 >> 40;
                        if rng.below(4) == 0 {
                            return Term { coefficient, factors: vec![] };
                        }
                        let tensor = TensorId(rng.below(8));
                        Term { coefficient, factors: vec![view(rng, &program, tensor, &axes)] }
                    })
                    .collect()
            })
            .collect();
        let mask = (rng.below(2) == 0).then(|| {
            let own = some_axes(rng, &program, false);
            let own = if rng.below(2) == 0 { axes.clone() } else { own };
            let len: usize = own.iter().map(|&a| program.axis(a).len).product();
            program.tensors.push(Tensor {
                name: format!("mask{l}"),
                axes: own,
                place: Place::Public,
                range: Range::unsigned(1),
                fraction_bits: 0,
                values: Some((0..len).map(|_| rng.below(2) as i64).collect()),
                range_by_other: false,
            });
            view(rng, &program, TensorId(program.tensors.len() - 1), &axes)
        });
        program.lookups.push(Lookup { name: format!("l{l}"), table, axes, columns, mask });
    }
    program
}

/// Tensors within their ranges, and for every lookup a table of the rows that it looks up.
pub(crate) fn satisfied(rng: &mut Rng, program: &mut Program) -> Vec<Vec<i64>> {
    let tensors: Vec<Vec<i64>> = (0..program.tensors.len())
        .map(|i| {
            let range = program.tensors[i].range;
            let len = program.shape(TensorId(i)).iter().product();
            let span = (range.max() - range.min() + 1) as usize;
            let random = (0..len).map(|_| range.min() + rng.below(span) as i64).collect();
            program.tensors[i].values.clone().unwrap_or(random)
        })
        .collect();
    program.tables.clear();
    for l in 0..program.lookups.len() {
        let lookup = program.lookups[l].clone();
        let at = |view: &View, index: &[usize]| {
            let own = view.index.iter().map(|&entry| {
                let find = |axis: AxisId| index[lookup.axes.iter().position(|a| *a == axis).unwrap()];
                match entry {
                    Index::Fixed(i) => i,
                    Index::Axis(a) => find(a),
                    Index::Shifted(a, shift) => find(a) + shift,
                }
            });
            let shape = program.shape(view.tensor);
            tensors[view.tensor.0][own.zip(shape).fold(0, |flat, (i, len)| flat * len + i)]
        };
        let shape: Vec<usize> = lookup.axes.iter().map(|&a| program.axis(a).len).collect();
        let mut rows = std::collections::BTreeSet::new();
        for flat in 0..shape.iter().product() {
            let (mut rest, mut index): (usize, Vec<usize>) = (flat, Vec::new());
            for &len in shape.iter().rev() {
                index.insert(0, rest % len);
                rest /= len;
            }
            if lookup.mask.as_ref().is_some_and(|mask| at(mask, &index) == 0) {
                continue;
            }
            let column = |terms: &Vec<Term>| -> i64 {
                terms.iter().map(|t| t.coefficient * t.factors.first().map_or(1, |view| at(view, &index))).sum()
            };
            rows.insert(lookup.columns.iter().map(column).collect::<Vec<i64>>());
        }
        rows.insert(vec![-7; lookup.columns.len()]);
        let columns: Vec<Vec<i64>> =
            (0..lookup.columns.len()).map(|c| rows.iter().map(|row| row[c]).collect()).collect();
        program.tables.push(Table { name: format!("of {l}"), tag: 64 + l as u64, columns: columns.into() });
        program.lookups[l].table = TableId::Table(l);
    }
    tensors
}
