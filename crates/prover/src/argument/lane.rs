//! One element, or a vector register of elements, behind one interface.

use veritune_field::traits::{
    Algebra, BasedVectorSpace, ExtensionField, Field, PackedFieldExtension, PackedValue,
};
use veritune_field::{E, F};

/// Base elements in a register.
pub(super) type Packing = <F as Field>::Packing;
/// Challenge-field elements, one per lane.
pub(super) type PackedE = <E as ExtensionField<F>>::ExtensionPacking;

/// What a table's entry is.
pub(super) trait Lane {
    /// One or several elements of the challenge field.
    type T: Algebra<E> + Copy + Send + Sync;
    /// Base-2 logarithm of the number of elements.
    const LOG_WIDTH: usize;
    /// The sum of the elements.
    fn sum(entry: Self::T) -> E;
    /// Entries from consecutive elements.
    fn pack(elements: &[E]) -> Vec<Self::T>;
}

/// Entries of one element.
pub(super) struct Single;

impl Lane for Single {
    type T = E;
    const LOG_WIDTH: usize = 0;
    fn sum(entry: E) -> E {
        entry
    }
    fn pack(elements: &[E]) -> Vec<E> {
        elements.to_vec()
    }
}

/// Entries of a register of elements.
pub(super) struct Register;

impl Lane for Register {
    type T = PackedE;
    const LOG_WIDTH: usize = Packing::WIDTH.trailing_zeros() as usize;
    fn sum(entry: PackedE) -> E {
        let lanes: &[Packing] = entry.as_basis_coefficients_slice();
        E::from_basis_coefficients_fn(|i| lanes[i].as_slice().iter().copied().sum::<F>())
    }
    fn pack(elements: &[E]) -> Vec<PackedE> {
        elements.chunks_exact(Packing::WIDTH).map(PackedE::from_ext_slice).collect()
    }
}

/// The elements of registers, in order.
pub(super) fn unpack(packed: &[PackedE]) -> Vec<E> {
    packed.iter().flat_map(|x| (0..Packing::WIDTH).map(|lane| x.extract(lane))).collect()
}

/// All `eq` of the point as (outer scalars) x (inner lanes), most significant coordinates outside.
pub(super) struct SplitEq<L: Lane> {
    pub outer: Vec<E>,
    pub inner: Vec<L::T>,
}

impl<L: Lane> SplitEq<L> {
    /// `log_chunk` bounds the length of `inner`; the point has at least `L::LOG_WIDTH` coordinates.
    pub(super) fn new(point: &[E], log_chunk: usize) -> Self {
        let (outer, inner) = point.split_at(point.len().saturating_sub(log_chunk + L::LOG_WIDTH));
        Self { outer: veritune_argument::eq_table(outer), inner: L::pack(&veritune_argument::eq_table(inner)) }
    }
}

/// `low + x (high - low)`.
#[inline(always)]
pub(super) fn line<T: Algebra<E> + Copy>(low: T, high: T, x: T) -> T {
    low + x * (high - low)
}

/// The same element in every lane.
pub(super) fn broadcast<T: Algebra<E> + Copy>(x: E) -> T {
    T::ZERO + x
}
