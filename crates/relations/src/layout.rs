//! Where every tensor lies in its committed vector.
//!
//! A tensor takes `len(outermost axis) * 2^(sum of log_len of the other axes)` slots per limb, aligned to the
//! second factor; inner axes are padded to powers of two so that an index is a concatenation of bits. Outermost
//! is the axis that padding would waste most on, see [`order`]. Blocks are stacked by falling alignment, then by
//! order of declaration, so that a layout depends on the shapes alone.
//! Slots that no tensor uses carry no weight in any claim: their content cannot matter.

use crate::program::{Place, Program, TensorId};

/// A run of slots that holds one limb of a tensor, or one multiplicity column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// First slot.
    pub offset: usize,
    /// Width of the limb in bits; 0 for a value that is stored as it is.
    pub bits: u32,
}

/// The blocks of one tensor. `value = minimum + sum of 2^(range_bits * i) * limb_i` at active indices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Least significant limb first; one block with `bits = 0` if stored as it is.
    pub blocks: Vec<Block>,
    /// What is added to the limbs: the range's minimum, 0 if stored as it is.
    pub minimum: i64,
}

/// The layout of a program.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Per tensor; none for public and virtual tensors.
    pub slots: Vec<Option<Slot>>,
    /// First slot, in the witness, of the multiplicities of the range table (`2^(range_bits+1)` rows:
    /// row `2^w + x` is value `x` at width `w`).
    pub range_multiplicities: usize,
    /// First slot, in the witness, of the multiplicities of each table, aligned to `2^log_rows`.
    pub table_multiplicities: Vec<usize>,
    /// Slots in use, per place.
    pub used: [usize; NUM_PLACES],
}

/// Number of committed places.
pub const NUM_PLACES: usize = 4;
/// The fresh vector of a proof, which holds the pads of its scalars too.
pub const WITNESS_PLACE: usize = 0;
/// The state before the step.
pub const STATE_BEFORE_PLACE: usize = 1;
/// The state after the step.
pub const STATE_AFTER_PLACE: usize = 2;
/// The base.
pub const BASE_PLACE: usize = 3;

/// Position of a place in [`Layout::used`] and in an opening; none for what is not committed.
pub const fn place_index(place: Place) -> Option<usize> {
    match place {
        Place::Witness => Some(WITNESS_PLACE),
        Place::StateBefore => Some(STATE_BEFORE_PLACE),
        Place::StateAfter => Some(STATE_AFTER_PLACE),
        Place::Base => Some(BASE_PLACE),
        Place::Public => None,
    }
}

/// Positions of a tensor's axes as they lie in its blocks, outermost first: the axis that padding would lengthen by the
/// greatest factor (the first of several) comes before the others, which keep their order. The innermost one stays
/// where it is, so that its rows are runs of slots.
pub fn order(program: &Program, tensor: TensorId) -> Vec<usize> {
    let axes = &program.tensor(tensor).axes;
    let mut order: Vec<usize> = (0..axes.len()).collect();
    let size = |position: usize| {
        let axis = program.axis(axes[position]);
        (1usize << axis.log_len(), axis.len)
    };
    let longer = |a: usize, b: usize| size(a).0 * size(b).1 > size(b).0 * size(a).1;
    let outer = 0..axes.len().saturating_sub(1);
    if let Some(outermost) = outer.reduce(|best, position| if longer(position, best) { position } else { best }) {
        order[..=outermost].rotate_right(1);
    }
    order
}

/// Row strides of a tensor inside its block, by position of the axis: slot = offset + sum of index * stride.
pub fn strides(program: &Program, tensor: TensorId) -> Vec<usize> {
    let axes = &program.tensor(tensor).axes;
    let mut strides = vec![1; axes.len()];
    let mut stride = 1;
    for position in order(program, tensor).into_iter().rev() {
        strides[position] = stride;
        stride <<= program.axis(axes[position]).log_len();
    }
    strides
}

/// Slots of a tensor's active values relative to its block, in row-major order.
pub fn positions(program: &Program, tensor: TensorId) -> impl Iterator<Item = usize> {
    let strides = strides(program, tensor);
    let shape = program.shape(tensor);
    let count: usize = shape.iter().product();
    let mut index = vec![0usize; shape.len()];
    (0..count).map(move |_| {
        let position = index.iter().zip(&strides).map(|(i, s)| i * s).sum();
        for (i, len) in index.iter_mut().zip(&shape).rev() {
            *i += 1;
            if *i < *len {
                break;
            }
            *i = 0;
        }
        position
    })
}

/// First slots of the rows of a tensor's innermost axis, relative to its block, in row-major order: a row is a run of slots.
pub fn row_starts(program: &Program, tensor: TensorId) -> Vec<usize> {
    let (strides, shape) = (strides(program, tensor), program.shape(tensor));
    let mut starts = vec![0];
    for (len, stride) in shape.iter().zip(strides).take(shape.len().saturating_sub(1)) {
        starts = starts.iter().flat_map(|start| (0..*len).map(move |i| start + i * stride)).collect();
    }
    starts
}

/// Slots between two indices of the outermost axis: the alignment of the tensor's blocks.
pub fn alignment(program: &Program, tensor: TensorId) -> usize {
    strides(program, tensor).into_iter().max().unwrap_or(1)
}

/// Slots of one block of the tensor.
pub fn block_len(program: &Program, tensor: TensorId) -> usize {
    let axes = &program.tensor(tensor).axes;
    let outer = order(program, tensor).first().map_or(1, |&outermost| program.axis(axes[outermost]).len);
    outer * alignment(program, tensor)
}

/// Widths of the limbs of a value of `bits` bits, least significant first.
pub fn limb_widths(bits: u32, range_bits: u32) -> Vec<u32> {
    let mut widths = vec![range_bits; (bits / range_bits) as usize];
    if !bits.is_multiple_of(range_bits) {
        widths.push(bits % range_bits);
    }
    widths
}

impl Layout {
    /// The layout of `program`.
    pub fn new(program: &Program) -> Self {
        let mut layout = Self {
            slots: vec![None; program.tensors.len()],
            range_multiplicities: 0,
            table_multiplicities: vec![0; program.tables.len()],
            used: [0; 4],
        };
        enum Item {
            Limb(usize, usize),
            Range,
            Table(usize),
        }
        let mut items: [Vec<(usize, usize, Item)>; 4] = Default::default();
        for (i, tensor) in program.tensors.iter().enumerate() {
            let Some(place) = place_index(tensor.place) else { continue };
            let id = TensorId(i);
            if program.one_hot(id).is_some() {
                continue;
            }
            let limbed = tensor.place == Place::Witness && !tensor.range_by_other;
            let widths = if limbed { limb_widths(tensor.range.bits, program.range_bits) } else { vec![0] };
            for limb in 0..widths.len() {
                items[place].push((alignment(program, id), block_len(program, id), Item::Limb(i, limb)));
            }
            layout.slots[i] = Some(Slot {
                blocks: widths.iter().map(|&bits| Block { offset: 0, bits }).collect(),
                minimum: if limbed { tensor.range.min() } else { 0 },
            });
        }
        let range_rows = 2usize << program.range_bits;
        items[0].push((range_rows, range_rows, Item::Range));
        for (i, table) in program.tables.iter().enumerate() {
            let rows = table.columns[0].len().next_power_of_two();
            items[0].push((rows, rows, Item::Table(i)));
        }
        for (place, list) in items.iter_mut().enumerate() {
            list.sort_by_key(|(alignment, _, _)| std::cmp::Reverse(*alignment));
            let mut offset = 0;
            for (_, len, item) in list.iter() {
                match *item {
                    Item::Limb(tensor, limb) => {
                        if let Some(slot) = &mut layout.slots[tensor] {
                            slot.blocks[limb].offset = offset;
                        }
                    }
                    Item::Range => layout.range_multiplicities = offset,
                    Item::Table(table) => layout.table_multiplicities[table] = offset,
                }
                offset += len;
            }
            layout.used[place] = offset;
        }
        layout
    }
}
