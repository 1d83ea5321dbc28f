//! Multilinear extensions of columns of integers.

use veritune_field::lanes::{LANES, PackedE, Packing, pack, sum_lanes};
use veritune_field::traits::{PackedValue, PrimeCharacteristicRing};
use veritune_field::{E, eq_table, f_from_i64};

/// First value and difference of an arithmetic progression of at least two values.
fn progression(values: &[i64]) -> Option<(i64, i64)> {
    let (&[first, second, ..], &[.., last]) = (values, values) else {
        return None;
    };
    let step = second.checked_sub(first)?;
    let steps = i128::try_from(values.len()).ok()?.checked_sub(1)?;
    // The last one is where it should be, so that none on the way leaves the range of an i64: differences may wrap.
    if i128::from(step).checked_mul(steps)?.checked_add(i128::from(first))? != i128::from(last) {
        return None;
    }
    let next = values.get(1..)?.iter().zip(values);
    let differs = next.fold(0, |differs, (after, before)| differs | (after.wrapping_sub(*before) ^ step));
    (differs == 0).then_some((first, step))
}

/// The multilinear extension at `point` of a column, which is zero beyond its end.
///
/// Cost: one product of a base element per entry, in registers; the point is split, so that no table of
/// all `eq` is made. A row that is an arithmetic progression takes two products: tables have their inputs in order, and
/// most functions are constant or linear far from zero.
pub fn extension(column: &[i64], point: &[E]) -> E {
    let (outer, inner_point) = point.split_at(point.len() / 2);
    let inner = eq_table(inner_point);
    let lanes = pack(&inner);
    // The extension of 0, 1, 2, …
    let indices = inner_point.iter().fold(E::ZERO, |sum, &bit| sum.double() + bit);
    let row = |row: &[i64]| -> E {
        if row.len() == inner.len()
            && let Some((first, step)) = progression(row)
        {
            return indices * f_from_i64(step) + f_from_i64(first);
        }
        if row.len() < inner.len() || lanes.is_empty() {
            let products = row.iter().zip(&inner);
            return products.map(|(&v, &w)| w * f_from_i64(v)).sum();
        }
        let values = row.as_chunks::<LANES>().0;
        let sum = lanes.iter().zip(values).fold(PackedE::ZERO, |sum, (&w, v)| {
            let elements = v.map(f_from_i64);
            sum + w * *Packing::from_slice(&elements)
        });
        sum_lanes(sum)
    };
    let rows = column.chunks(inner.len());
    rows.zip(eq_table(outer)).map(|(r, w)| w * row(r)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eq::tests::point;

    #[test]
    fn the_extension_of_a_column_is_its_sum_over_eq() {
        let point = point(11, 1_000_003);
        let check = |column: &[i64]| {
            let expected: E = column.iter().zip(eq_table(&point)).map(|(&v, w)| w * f_from_i64(v)).sum();
            assert_eq!(extension(column, &point), expected, "{} entries from {:?}", column.len(), column.first());
        };
        for len in [0, 1, 5, 16, 17, 300, 512, 513, 1700, 2048] {
            check(&(0..len).map(|i| i * i * 77_777 - 40_000_000).collect::<Vec<_>>());
            check(&(0..len).collect::<Vec<_>>());
            check(&vec![-9; len as usize]);
            check(&(0..len).map(|i| 1_000_000 - 7 * i).collect::<Vec<_>>());
            // A progression but for one value, and one only modulo 2^64.
            for odd in [1, 7, len - 1] {
                check(&(0..len).map(|i| 3 * i + i64::from(i == odd)).collect::<Vec<_>>());
            }
            check(&(0..len).map(|i| (i << 60).wrapping_mul(5)).collect::<Vec<_>>());
            check(&(0..len).map(|i| (i << 55).wrapping_sub(1 << 62)).collect::<Vec<_>>());
            // The whole span of an i64.
            check(&(0..len).map(|i| if i % 3 == 0 { i64::MAX } else { i64::MIN + i }).collect::<Vec<_>>());
        }
        assert_eq!(extension(&[5], &[]), E::from_u64(5));
        assert_eq!(extension(&[5, 6], &[]), E::from_u64(5), "nothing beyond the point");
    }

    #[test]
    fn a_progression_has_one_difference() {
        let extremes = [i64::MIN, i64::MIN + 1, -(1 << 62), -3, 0, 1, 5, 1 << 62, i64::MAX - 1, i64::MAX];
        let is_exact = |values: &[i64]| {
            let differences: Vec<i128> = values.windows(2).map(|w| i128::from(w[1]) - i128::from(w[0])).collect();
            !differences.is_empty() && differences.iter().all(|&d| d == differences[0])
        };
        for (first, step) in extremes.iter().flat_map(|&first| extremes.map(|step| (first, step))) {
            for len in 0..9 {
                let wrapping: Vec<i64> = (0..len).map(|i| step.wrapping_mul(i).wrapping_add(first)).collect();
                for odd in 0..=wrapping.len() {
                    let mut values = wrapping.clone();
                    values.iter_mut().skip(odd).take(1).for_each(|v| *v = v.wrapping_add(1));
                    // A difference that is no i64 is none that is looked for.
                    let expected = is_exact(&values).then(|| values[1].checked_sub(values[0])).flatten();
                    assert_eq!(progression(&values), expected.map(|step| (values[0], step)), "{values:?}");
                }
            }
        }
    }
}
