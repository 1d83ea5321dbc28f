//! The multilinear extension of equality, `eq(a, b) = product of (a_i b_i + (1 - a_i)(1 - b_i))`, without tables.

use veritune_field::E;
use veritune_field::traits::PrimeCharacteristicRing;

/// `eq(point, index)` for one index.
pub fn eq_at(point: &[E], index: usize) -> E {
    let mut value = E::ONE;
    for (bit, &coordinate) in point.iter().rev().enumerate() {
        let set = index.checked_shr(log_u32(bit)).unwrap_or(0) & 1 == 1;
        value *= if set { coordinate } else { E::ONE - coordinate };
    }
    value
}

/// `eq(a, b)` for two points.
pub fn eq_points(a: &[E], b: &[E]) -> E {
    a.iter().zip(b).map(|(&x, &y)| (x * y).double() + E::ONE - x - y).product()
}

/// `sum over i < len of eq(point, i) eq(at, first + i)`, where what lies beyond `at` counts nothing.
///
/// Without a table: bit by bit of `i`, the lowest first, with the carry of `first + i` and whether the bits so far are
/// below those of `len`.
pub(crate) fn eq_window(point: &[E], len: usize, at: &[E], first: usize) -> E {
    let window = pow2(point.len());
    let is_inside = first.saturating_add(len) <= pow2(at.len());
    if len == window && first & window.saturating_sub(1) == 0 && is_inside {
        let (above, below) = at.split_at(at.len().saturating_sub(point.len()));
        return eq_points(point, below) * eq_at(above, first.checked_shr(log_u32(point.len())).unwrap_or(0));
    }
    // A variable that is not there is 0.
    let coordinate = |of: &[E], bit: usize| {
        let index = of.len().checked_sub(bit.saturating_add(1));
        index.and_then(|i| of.get(i)).copied().unwrap_or(E::ZERO)
    };
    let is_set = |number: usize, bit: usize| number.checked_shr(log_u32(bit)).unwrap_or(0) & 1 == 1;
    let numbers = usize::try_from((first | len).checked_ilog2().unwrap_or(0)).unwrap_or(0).saturating_add(1);
    let num_bits = point.len().max(at.len()).max(numbers).saturating_add(1);
    // Without and with a carry: the sum over low bits that are below those of `len`, and over the others.
    let mut sums = [[E::ZERO, E::ONE], [E::ZERO; 2]];
    for bit in 0..num_bits {
        let (r, z) = (coordinate(point, bit), coordinate(at, bit));
        let mut next = [[E::ZERO; 2]; 2];
        for (carry, [below, others]) in [false, true].into_iter().zip(sums) {
            for (digit, weight) in [(false, E::ONE - r), (true, r)] {
                let is_one = digit ^ carry ^ is_set(first, bit);
                let weight = weight * if is_one { z } else { E::ONE - z };
                let [below, others] = match (digit, is_set(len, bit)) {
                    (false, true) => [below + others, E::ZERO],
                    (true, false) => [E::ZERO, below + others],
                    _ => [below, others],
                };
                let carries = if digit == carry { digit } else { is_set(first, bit) };
                let [plain, carried] = &mut next;
                let [to_below, to_others] = if carries { carried } else { plain };
                *to_below += weight * below;
                *to_others += weight * others;
            }
        }
        sums = next;
    }
    let [[below, _], _] = sums;
    below
}

/// `sum over i < len of eq(point, i)`.
pub(crate) fn eq_prefix(point: &[E], len: usize) -> E {
    let (mut sum, mut above) = (E::ZERO, E::ONE);
    let mut rest = len;
    for (i, &coordinate) in point.iter().enumerate() {
        let half = pow2(point.len().saturating_sub(i.saturating_add(1)));
        if rest >= half {
            // All indices with a zero here, and those with a one up to the rest.
            sum += above * (E::ONE - coordinate);
            above *= coordinate;
            rest = rest.saturating_sub(half);
        } else {
            above *= E::ONE - coordinate;
        }
    }
    if rest > 0 { sum + above } else { sum }
}

/// A count of variables as a shift; far below `u32::MAX`.
pub(crate) fn log_u32(log: usize) -> u32 {
    u32::try_from(log).unwrap_or(u32::MAX)
}

/// `2^log`.
pub(crate) fn pow2(log: usize) -> usize {
    1_usize.checked_shl(log_u32(log)).unwrap_or(0)
}

/// The least `k` with `len <= 2^k`.
pub(crate) fn log_of(len: usize) -> usize {
    usize::try_from(len.next_power_of_two().trailing_zeros()).unwrap_or(0)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use veritune_field::eq_table;

    /// A point with no coordinate like another.
    pub(crate) fn point(log: usize, seed: u64) -> Vec<E> {
        (0..log).map(|i| E::from_u64(seed * (i as u64 + 7)) * E::from_u64(0x1234_5678_9abc)).collect()
    }

    #[test]
    fn a_window_of_eq_is_the_sum_over_its_indices() {
        for (log, log_at) in [(0, 0), (0, 3), (3, 3), (3, 5), (4, 6)] {
            let (point, at) = (point(log, 1_000_003), point(log_at, 77_777));
            let (weights, table) = (eq_table(&point), eq_table(&at));
            for len in 0..=weights.len() {
                assert_eq!(eq_prefix(&point, len), weights[..len].iter().copied().sum(), "{log} {len}");
                for first in 0..=table.len() {
                    let expected: E = weights[..len].iter().zip(table.iter().skip(first)).map(|(&a, &b)| a * b).sum();
                    assert_eq!(eq_window(&point, len, &at, first), expected, "{log} {log_at} {len} {first}");
                }
            }
        }
    }
}
