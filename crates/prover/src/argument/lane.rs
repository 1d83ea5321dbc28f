//! One element, or a vector register of elements, behind one interface.

use veritune_field::traits::{
    Algebra, BasedVectorSpace, ExtensionField, Field, PackedFieldExtension, PackedValue, PrimeCharacteristicRing,
};
use veritune_field::{E, F};

/// Base elements in a register.
pub(super) type Packing = <F as Field>::Packing;
/// Challenge-field elements, one per lane.
pub(super) type PackedE = <E as ExtensionField<F>>::ExtensionPacking;

/// One or several elements of the challenge field.
pub(super) trait Lane: Algebra<E> + Copy + Send + Sync {
    /// As many elements of the base field.
    type Base: Copy + Send + Sync;
    /// Base-2 logarithm of the number of elements.
    const LOG_WIDTH: usize;
    /// The sum of the elements.
    fn sum(self) -> E;
    /// The elements as elements of the challenge field.
    fn lift(base: Self::Base) -> Self;
    /// The product with elements of the base field.
    fn times_base(self, base: Self::Base) -> Self;
    /// Elements from consecutive ones.
    fn pack(elements: &[E]) -> Vec<Self>;
}

impl Lane for E {
    type Base = F;
    const LOG_WIDTH: usize = 0;
    fn sum(self) -> E {
        self
    }
    fn lift(base: F) -> Self {
        E::from(base)
    }
    #[inline(always)]
    fn times_base(self, base: F) -> Self {
        self * base
    }
    fn pack(elements: &[E]) -> Vec<Self> {
        elements.to_vec()
    }
}

impl Lane for PackedE {
    type Base = Packing;
    const LOG_WIDTH: usize = Packing::WIDTH.trailing_zeros() as usize;
    fn sum(self) -> E {
        let lanes: &[Packing] = self.as_basis_coefficients_slice();
        E::from_basis_coefficients_fn(|i| lanes[i].as_slice().iter().copied().sum())
    }
    #[inline(always)]
    fn lift(base: Packing) -> Self {
        PackedE::from(base)
    }
    #[inline(always)]
    fn times_base(self, base: Packing) -> Self {
        self * base
    }
    fn pack(elements: &[E]) -> Vec<Self> {
        elements.chunks_exact(Packing::WIDTH).map(PackedE::from_ext_slice).collect()
    }
}

/// The elements of registers, in order.
pub(super) fn unpack(packed: &[PackedE]) -> Vec<E> {
    packed.iter().flat_map(|x| (0..Packing::WIDTH).map(|lane| x.extract(lane))).collect()
}

/// All `eq` of the point as (outer scalars) x (inner lanes), most significant coordinates outside.
pub(super) struct SplitEq<T> {
    pub outer: Vec<E>,
    pub inner: Vec<T>,
}

impl<T: Lane> SplitEq<T> {
    /// `log_chunk` bounds the length of `inner`; the point has at least `T::LOG_WIDTH` coordinates.
    pub(super) fn new(point: &[E], log_chunk: usize) -> Self {
        let (outer, inner) = point.split_at(point.len().saturating_sub(log_chunk + T::LOG_WIDTH));
        Self { outer: veritune_argument::eq_table(outer), inner: T::pack(&veritune_argument::eq_table(inner)) }
    }
}

/// `low + x (high - low)`.
#[inline(always)]
pub(super) fn line<T: Lane>(low: T, high: T, x: T) -> T {
    low + x * (high - low)
}

/// The same element in every lane.
pub(super) fn broadcast<T: Lane>(x: E) -> T {
    T::ZERO + x
}
