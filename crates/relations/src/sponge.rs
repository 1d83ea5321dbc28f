//! The Poseidon2 sponge as equations between field elements.
//!
//! Statement: for every row, the digest is that of the sponge whose capacity starts as `capacity`, whose first block is
//! `header`, and whose block `1 + i` has message values at position `i` and zeros after them. A permutation is its
//! S-boxes with the affine maps between them, see [`crate::poseidon2`]; the third power is stored so that no equation
//! has more than three factors.
//!
//! Soundness: none of its own. Every equation is a congruence modulo p between field elements that determines the next
//! value from those before, so the witness is the sponge's one trace.

use crate::builder::{Builder, Make};
use crate::poseidon2::{CAPACITY, DIGEST, Maps, NUM_SBOXES, RATE, WIDTH, maps};
use crate::program::{AxisId, Expression, Index, Operation, Range, Sweep, TensorId, Term, View};
use std::sync::LazyLock;
use veritune_field::{F, f_to_i64};

static MAPS: LazyLock<Maps> = LazyLock::new(maps);

/// What the sponge absorbs and must give.
#[derive(Debug, Clone)]
pub struct Sponge<'a> {
    /// Name of its tensors and equations.
    pub name: &'a str,
    /// One sponge for every index of this axis.
    pub row: AxisId,
    /// One block for every index of this axis, after the header's.
    pub position: AxisId,
    /// What the capacity starts as.
    pub capacity: [F; CAPACITY],
    /// One value each of every block, `(row, position)`: the first lanes; the others are zero.
    pub messages: &'a [TensorId],
    /// The digests, row-major.
    pub digests: &'a [[F; DIGEST]],
}

fn term(coefficient: i64, factors: &[&View]) -> Term {
    Term { coefficient, factors: factors.iter().map(|&v| v.clone()).collect() }
}

impl Builder {
    /// A public tensor of field elements.
    fn field_constants(&mut self, name: &str, axes: &[AxisId], values: &[F]) -> TensorId {
        let make = Make { name, axes, range: Range::FIELD, fraction_bits: 0 };
        self.public(&make, values.iter().copied().map(f_to_i64).collect())
    }

    /// Emits the sponge and returns its header, `(row, rate)`, an input of the program.
    pub(crate) fn sponge(&mut self, sponge: &Sponge<'_>) -> TensorId {
        let Sponge { name, row, position, messages, .. } = *sponge;
        let named = |part: &str| format!("{name}.{part}");
        let positions = self.program.axis(position).len;
        let block = self.axis(&named("block"), 1 + positions);
        let lane = self.axis(&named("lane"), WIDTH);
        let lane_in = self.axis(&named("lane_in"), WIDTH);
        let rate = self.axis(&named("rate"), RATE);
        let capacity = self.axis(&named("capacity"), CAPACITY);
        let digest = self.axis(&named("digest"), DIGEST);
        let sbox = self.axis(&named("sbox"), NUM_SBOXES);
        let sbox_in = self.axis(&named("sbox_in"), NUM_SBOXES);

        let mut values = |part: &str, axes: &[AxisId]| {
            let name = named(part);
            self.witness_by_other(&Make { name: &name, axes, range: Range::FIELD, fraction_bits: 0 })
        };
        let header = values("header", &[row, rate]);
        let state = values("state", &[row, block, lane]);
        let [point, cube, seventh] = ["point", "cube", "seventh"].map(|part| values(part, &[row, block, sbox]));
        let constant = self.field_constants(&named("constant"), &[sbox], &MAPS.constant);
        let from_input = self.field_constants(&named("from_input"), &[sbox, lane_in], &MAPS.input);
        let from_sboxes = self.field_constants(&named("from_sboxes"), &[sbox, sbox_in], &MAPS.sboxes);
        let output = self.field_constants(&named("output"), &[lane, sbox_in], &MAPS.output);
        let start = self.field_constants(&named("start"), &[capacity], &sponge.capacity);
        let digests = self.field_constants(&named("digests"), &[row, digest], sponge.digests.as_flattened());

        let view = |tensor: TensorId, index: &[Index]| View { tensor, index: index.to_vec() };
        let at = Index::Axis;
        let on = |tensor| view(tensor, &[at(row), at(block), at(sbox)]);
        let (points, cubes, sevenths) = (on(point), on(cube), on(seventh));
        let every = [row, block, sbox];
        self.field_equation(&named("cube"), &every, vec![term(1, &[&points, &points, &points]), term(-1, &[&cubes])]);
        self.field_equation(
            &named("seventh"),
            &every,
            vec![term(1, &[&cubes, &cubes, &points]), term(-1, &[&sevenths])],
        );
        self.field_equation(
            &named("point"),
            &every,
            vec![
                term(1, &[&view(constant, &[at(sbox)])]),
                term(
                    1,
                    &[&view(from_input, &[at(sbox), at(lane_in)]), &view(state, &[at(row), at(block), at(lane_in)])],
                ),
                term(
                    1,
                    &[&view(from_sboxes, &[at(sbox), at(sbox_in)]), &view(seventh, &[at(row), at(block), at(sbox_in)])],
                ),
                term(-1, &[&points]),
            ],
        );

        // The first block: the header over the rate, the start of the capacity.
        let first = |index: Index| view(state, &[at(row), Index::Fixed(0), index]);
        let headers = view(header, &[at(row), at(rate)]);
        self.field_equation(&named("header"), &[row, rate], vec![term(1, &[&first(at(rate))]), term(-1, &[&headers])]);
        self.field_equation(
            &named("start"),
            &[row, capacity],
            vec![term(1, &[&first(Index::Shifted(capacity, RATE))]), term(-1, &[&view(start, &[at(capacity)])])],
        );

        // Every later block: the permutation's output, the messages added to the first lanes.
        let result = |lane: Index, block: Index| -> [View; 2] {
            [view(output, &[lane, at(sbox_in)]), view(seventh, &[at(row), block, at(sbox_in)])]
        };
        let [map, results] = result(at(lane), at(position));
        let mut absorbed: Expression = vec![
            term(1, &[&map, &results]),
            term(-1, &[&view(state, &[at(row), Index::Shifted(position, 1), at(lane)])]),
        ];
        let messages: Vec<View> = messages.iter().map(|&m| view(m, &[at(row), at(position)])).collect();
        for (i, message) in messages.iter().enumerate() {
            let unit: Vec<i64> = (0..WIDTH).map(|lane| i64::from(lane == i)).collect();
            let name = named(&format!("lane_{i}"));
            let make = Make { name: &name, axes: &[lane], range: Range::unsigned(1), fraction_bits: 0 };
            let selector = self.public(&make, unit);
            absorbed.push(term(1, &[&view(selector, &[at(lane)]), message]));
        }
        self.field_equation(&named("absorb"), &[row, position, lane], absorbed);
        let [map, results] = result(at(digest), Index::Fixed(positions));
        self.field_equation(
            &named("digest"),
            &[row, digest],
            vec![term(1, &[&map, &results]), term(-1, &[&view(digests, &[at(row), at(digest)])])],
        );

        self.sweep(Sweep::Once);
        let state = view(state, &[at(row), at(block), at(lane)]);
        let (point, cube, seventh) = (points, cubes, sevenths);
        let operation = Operation::Sponge {
            axes: vec![row],
            header: headers,
            messages,
            capacity: sponge.capacity.map(f_to_i64),
            state,
            point,
            cube,
            seventh,
        };
        self.step(name, operation);
        header
    }
}
