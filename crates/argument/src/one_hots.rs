//! Virtual one-hot tensors: an evaluation is reduced to evaluations of the bits.
//!
//! Statement: `value_k = sum over active outer indices of W_k(o) flag(o) prod_j (b_j(o) p_kj + (1 - b_j(o))(1 - p_kj))`
//! for every claim k, where W_k is a product of axis weights and p_k the point of the value axis.
//!
//! Messages, numbered as in the code:
//!  1. A challenge eta; claim k is weighted `eta^(k+1)`.
//!  2. A sumcheck over the outer variables, as in [`crate::equations`], of degree bits + 1 (W) + 1 (flag).
//!  3. The evaluations of the bits and the flag of every one-hot, each once, each a claim; then, for every claim, the
//!     products that are multiplied once more. The last claim must equal the combination.
//!
//! Soundness: claims (eta) + degree times rounds, over |E|. The bits are proved to be 0 or 1 by equations.

use crate::axis_weight::AxisWeight;
use crate::check::{ArgumentError, CheckId};
use crate::context::{Arithmetic, Context, Labels, Linear};
use crate::equations::sumcheck;
use crate::products::{Line, Product, Value};
use crate::terms::{Binding, Factor};
use crate::weights::{Points, evaluate};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use veritune_field::E;
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_relations::layout::Layout;
use veritune_relations::{Axis, OneHot, Program};

/// An evaluation of a one-hot.
#[derive(Debug, Clone)]
pub struct OneHotClaim<S> {
    /// Which one-hot.
    pub one_hot: usize,
    /// Weights of the outer axes.
    pub outer: Vec<AxisWeight>,
    /// Per bit, most significant first, the coordinate of the value axis' point.
    pub point: Vec<E>,
    /// The value.
    pub value: S,
}

impl<S> OneHotClaim<S> {
    /// The claim that a factor's evaluation makes; none if the factor is no one-hot.
    pub fn new(
        program: &Program,
        points: &Points<'_>,
        factor: &Factor,
        weights: &[AxisWeight],
        value: S,
    ) -> Option<Self> {
        let one_hot = program.one_hots.iter().position(|o| o.tensor == factor.tensor)?;
        let (_, outer) = weights.split_last()?;
        let own = program.tensor(factor.tensor).axes.last()?;
        let log = program.axis(*own).log_len();
        let coordinates = match *factor.bindings.last()? {
            Binding::Fixed(at) => (0..log)
                .rev()
                .map(|bit| E::from_bool(at.checked_shr(u32::try_from(bit).unwrap_or(u32::MAX)).unwrap_or(0) & 1 == 1))
                .collect(),
            Binding::Eq(axis, _) => points.rho(axis).to_vec(),
            Binding::Variables { first_round, .. } => points.rounds(first_round, log).to_vec(),
            Binding::Ones(..) => Vec::new(),
        };
        // A value axis of one index has a bit that is zero.
        let point = if log == 0 { vec![E::ZERO] } else { coordinates };
        Some(Self { one_hot, outer: outer.to_vec(), point, value })
    }
}

/// Shape of one one-hot.
struct Shape<'a> {
    one_hot: &'a OneHot,
    outer: Vec<&'a Axis>,
    num_bits: usize,
}

fn shape(program: &Program, index: usize) -> Option<Shape<'_>> {
    let one_hot = program.one_hots.get(index)?;
    let (bit, outer) = program.tensor(one_hot.bits).axes.split_last()?;
    let outer = outer.iter().map(|&a| program.axis(a)).collect();
    Some(Shape { one_hot, outer, num_bits: program.axis(*bit).len })
}

/// Rounds and degree of the sumcheck for claims on these one-hots.
pub fn rounds_and_degree(program: &Program, one_hots: impl Iterator<Item = usize>) -> (usize, usize) {
    let (mut rounds, mut degree) = (0, 2);
    for shape in one_hots.filter_map(|index| shape(program, index)) {
        rounds = rounds.max(shape.outer.iter().map(|a| a.log_len()).sum());
        let flag = usize::from(shape.one_hot.flag.is_some());
        degree = degree.max(shape.num_bits.saturating_add(1).saturating_add(flag));
    }
    (rounds, degree)
}

/// Reduces claims on one-hots to claims on their bits and flags.
pub(crate) fn verify<C: Context>(
    program: &Program,
    layout: &Layout,
    claims: Vec<OneHotClaim<C::Sent>>,
    ctx: &mut C,
) -> Result<(), ArgumentError> {
    if claims.is_empty() {
        return Ok(());
    }
    // 1.
    let eta = ctx.challenge(Labels::ONE_HOT_ETA);
    let powers: Vec<E> = eta.powers().skip(1).take(claims.len()).collect();
    let zero = C::Scalar::known(E::ZERO);
    let sum = claims.iter().zip(&powers).fold(zero, |sum, (c, &p)| sum + C::Scalar::from(c.value).scaled(p));
    // 2.
    let (num_rounds, degree) = rounds_and_degree(program, claims.iter().map(|c| c.one_hot));
    let (claim, challenges) = sumcheck(ctx, sum, num_rounds, degree, Labels::ONE_HOT_ROUND)?;
    // 3.
    let mut values = BTreeMap::new();
    for claim in &claims {
        if let (Entry::Vacant(new), Some(shape)) = (values.entry(claim.one_hot), shape(program, claim.one_hot)) {
            let axes = axis_points(&shape.outer, &challenges);
            new.insert(read_bits(program, layout, &shape, &axes, ctx)?);
        }
    }
    let expected = combine(program, &claims, &values, eta, &challenges, ctx)?;
    ctx.assert_zero(CheckId::OneHots, 0, claim - expected)
}

/// What the last claim must be, from the evaluations of flag and bits of each one-hot.
pub fn combine<A: Arithmetic, S>(
    program: &Program,
    claims: &[OneHotClaim<S>],
    values: &BTreeMap<usize, Bits<A::Sent>>,
    eta: E,
    challenges: &[E],
    arithmetic: &mut A,
) -> Result<A::Scalar, ArgumentError> {
    let mut sum = A::Scalar::known(E::ZERO);
    for (claim, power) in claims.iter().zip(eta.powers().skip(1)) {
        let (Some(shape), Some(values)) = (shape(program, claim.one_hot), values.get(&claim.one_hot)) else {
            continue;
        };
        let axes = axis_points(&shape.outer, challenges);
        let num_variables = axes.iter().map(Vec::len).sum::<usize>();
        let dummies = challenges.iter().take(challenges.len().saturating_sub(num_variables));
        let mut scale = power * dummies.map(|&x| E::ONE - x).product::<E>();
        for (weight, point) in claim.outer.iter().zip(&axes) {
            scale *= weight.value_at(point);
        }
        let mut product = Product::ONE;
        for line in values.flag.iter().map(|&flag| Line::from(flag)) {
            product = product.times(line, Labels::ONE_HOT_PRODUCT, arithmetic)?;
        }
        for (&value, &p) in values.bits.iter().zip(claim.point.iter().rev()) {
            // b p + (1 - b)(1 - p)
            let line = Line { constant: E::ONE - p, slope: p.double() - E::ONE, value };
            product = product.times(line, Labels::ONE_HOT_PRODUCT, arithmetic)?;
        }
        sum = sum + product.scalar().scaled(scale);
    }
    Ok(sum)
}

/// The challenges of each outer axis: the last ones, outermost axis first.
pub fn axis_points(outer: &[&Axis], challenges: &[E]) -> Vec<Vec<E>> {
    let mut end = challenges.len();
    let mut points = Vec::with_capacity(outer.len());
    for axis in outer.iter().rev() {
        let start = end.saturating_sub(axis.log_len());
        points.push(challenges.get(start..end).unwrap_or(&[]).to_vec());
        end = start;
    }
    points.reverse();
    points
}

/// Evaluations of a one-hot's flag, if it has one, and of its bits, the least significant first.
#[derive(Debug, Clone)]
pub struct Bits<S> {
    /// The flag.
    pub flag: Option<Value<S>>,
    /// The bits.
    pub bits: Vec<Value<S>>,
}

fn read_bits<C: Context>(
    program: &Program,
    layout: &Layout,
    shape: &Shape<'_>,
    axes: &[Vec<E>],
    ctx: &mut C,
) -> Result<Bits<C::Sent>, ArgumentError> {
    let labels = (Labels::ONE_HOT_VALUE, Labels::ONE_HOT_VALUE);
    let mut weights: Vec<AxisWeight> = Vec::with_capacity(axes.len().saturating_add(1));
    for (axis, point) in shape.outer.iter().zip(axes) {
        weights.push(AxisWeight::run(axis.log_len(), 0, axis.len, point));
    }
    let flag = match shape.one_hot.flag {
        Some(flag) => Some(evaluate(ctx, program, layout, flag, &weights, labels)?),
        None => None,
    };
    let log = crate::eq::log_of(shape.num_bits);
    let mut bits = Vec::with_capacity(shape.num_bits);
    for bit in 0..shape.num_bits {
        let mut weights = weights.clone();
        weights.push(AxisWeight::single(log, bit));
        bits.push(evaluate(ctx, program, layout, shape.one_hot.bits, &weights, labels)?);
    }
    Ok(Bits { flag, bits })
}
