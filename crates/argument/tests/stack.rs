//! The example of `docs/spec/argument.md`, section "Example of a stack".

#![allow(clippy::unwrap_used)]

use veritune_argument::{BlockKind, Plan, Units};
use veritune_relations::builder::{Builder, Make};
use veritune_relations::layout::Layout;
use veritune_relations::{Place, Range};

#[test]
fn the_stack_of_the_specification() {
    let mut builder = Builder::new(4);
    let axes = [builder.axis("first", 6), builder.axis("second", 20)];
    let make = Make { name: "tensor", axes: &axes, range: Range::unsigned(7), fraction_bits: 0 };
    let tensor = builder.tensor(Place::Witness, &make);
    let program = builder.program;
    let plan = Plan::new(&program, &Layout::new(&program)).unwrap();

    let limb = |limb, width| BlockKind::Limb { tensor, limb, width };
    let found: Vec<_> = plan
        .blocks
        .iter()
        .map(|block| {
            let axes: Vec<_> = block.axes.iter().map(|axis| (axis.start, axis.len, 1 << axis.log)).collect();
            (block.kind, axes, 1 << block.log_len(), block.offset)
        })
        .collect();
    let expected = [
        (limb(0, 4), vec![(0, 6, 8), (0, 16, 16)], 128, 0),
        (limb(1, 3), vec![(0, 6, 8), (0, 16, 16)], 128, 128),
        (limb(0, 4), vec![(0, 6, 8), (16, 4, 4)], 32, 256),
        (limb(1, 3), vec![(0, 6, 8), (16, 4, 4)], 32, 288),
        (BlockKind::RangeTable, vec![], 32, 320),
    ];
    assert_eq!(found, expected);
    assert_eq!((plan.num_leaves, plan.units), (352, Units { log_count: 3, used: 6 }));
    let addresses: Vec<_> = (0..6).map(|unit| plan.units.address(64 * unit) / 64).collect();
    assert_eq!(addresses, [0, 4, 2, 6, 1, 5]);
}
