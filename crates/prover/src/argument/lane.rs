//! One element, or a vector register of elements, behind one interface.

use veritune_field::traits::{
    Algebra, BasedVectorSpace, ExtensionField, Field, PackedFieldExtension, PackedValue, PrimeCharacteristicRing,
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
    /// `a b`.
    fn mul(a: &Self::T, b: &Self::T) -> Self::T;
    /// `a b + c d`, reduced once.
    fn mul_add(a: &Self::T, b: &Self::T, c: &Self::T, d: &Self::T) -> Self::T;
    /// `low + x (high - low)`.
    #[inline(always)]
    fn line(low: &Self::T, high: &Self::T, x: &Self::T) -> Self::T {
        *low + Self::mul(x, &(*high - *low))
    }
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
    #[inline(always)]
    fn mul(a: &E, b: &E) -> E {
        *a * *b
    }
    #[inline(always)]
    fn mul_add(a: &E, b: &E, c: &E, d: &E) -> E {
        *a * *b + *c * *d
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
    // Products by coefficients, so that they are inlined: x^3 = x + 1, as in the field's own product.
    #[inline(always)]
    fn mul(a: &PackedE, b: &PackedE) -> PackedE {
        let (&[a0, a1, a2], &[b0, b1, b2]) = (coefficients(a), coefficients(b));
        let (b02, b12) = (b0 + b2, b1 + b2);
        let a = [a0, a1, a2];
        element([
            Packing::dot_product::<3>(&a, &[b0, b2, b1]),
            Packing::dot_product::<3>(&a, &[b1, b02, b12]),
            Packing::dot_product::<3>(&a, &[b2, b1, b02]),
        ])
    }
    #[inline(always)]
    fn mul_add(a: &PackedE, b: &PackedE, c: &PackedE, d: &PackedE) -> PackedE {
        let (&[a0, a1, a2], &[b0, b1, b2]) = (coefficients(a), coefficients(b));
        let (&[c0, c1, c2], &[d0, d1, d2]) = (coefficients(c), coefficients(d));
        let (b02, b12, d02, d12) = (b0 + b2, b1 + b2, d0 + d2, d1 + d2);
        let left = [a0, a1, a2, c0, c1, c2];
        element([
            Packing::dot_product::<6>(&left, &[b0, b2, b1, d0, d2, d1]),
            Packing::dot_product::<6>(&left, &[b1, b02, b12, d1, d02, d12]),
            Packing::dot_product::<6>(&left, &[b2, b1, b02, d2, d1, d02]),
        ])
    }
}

impl Register {
    /// `a b + c d` with `a` in the base field, reduced once.
    #[inline(always)]
    pub(super) fn mul_add_base(a: Packing, b: &PackedE, c: &PackedE, d: &PackedE) -> PackedE {
        let (&[c0, c1, c2], &[d0, d1, d2]) = (coefficients(c), coefficients(d));
        let &[b0, b1, b2] = coefficients(b);
        let (d02, d12) = (d0 + d2, d1 + d2);
        let left = [a, c0, c1, c2];
        element([
            Packing::dot_product::<4>(&left, &[b0, d0, d2, d1]),
            Packing::dot_product::<4>(&left, &[b1, d1, d02, d12]),
            Packing::dot_product::<4>(&left, &[b2, d2, d1, d02]),
        ])
    }

    /// `a b + c d` with `a` and `c` in the base field, reduced once.
    #[inline(always)]
    pub(super) fn mul_add_bases(a: Packing, b: &PackedE, c: Packing, d: &PackedE) -> PackedE {
        let (b, d) = (coefficients(b), coefficients(d));
        let coefficient = |i: usize| Packing::dot_product::<2>(&[a, c], &[b[i], d[i]]);
        element([coefficient(0), coefficient(1), coefficient(2)])
    }
}

/// The three coefficients of a register.
#[inline(always)]
fn coefficients(x: &PackedE) -> &[Packing; 3] {
    let slice: &[Packing] = x.as_basis_coefficients_slice();
    slice.as_array().expect("the extension has degree three")
}

/// A register from its coefficients.
#[inline(always)]
fn element(coefficients: [Packing; 3]) -> PackedE {
    PackedE::from_basis_coefficients_fn(
        #[inline(always)]
        |i| coefficients[i],
    )
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
