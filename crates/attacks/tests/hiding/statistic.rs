//! Whether two samples of byte strings of one length have the same distribution, word by word.
//!
//! Null hypothesis: both samples are drawn from one distribution. Every word of eight bytes is put into one of 16 bins, by its
//! highest four bits, by its lowest four, and by four bits of a hash of it (a value that is constant in a sample stays in one
//! bin, whatever it is). Given that n words of both samples together, of equal size, lie in a bin, the difference of the two counts
//! exceeds `s sqrt(n)` with probability at most `2 exp(-s^2 / 2)` (Hoeffding 1963, theorem 4, for draws without replacement).
//! The threshold for s makes the sum of these over all bins of all words and all comparisons the family-wise level.

const BINS: usize = 16;
const BINNINGS: usize = 3;

/// Counts of a sample.
pub struct Histograms {
    counts: Vec<[u32; BINS]>,
    size: u32,
}

/// The largest deviation between two samples, in units of `sqrt(n)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Deviation {
    pub sigmas: f64,
    /// The word that it is in.
    pub word: usize,
}

impl Histograms {
    pub fn new(len: usize) -> Self {
        assert!(len.is_multiple_of(8));
        Self { counts: vec![[0; BINS]; len / 8 * BINNINGS], size: 0 }
    }

    pub fn add(&mut self, bytes: &[u8]) {
        assert_eq!(bytes.len() / 8 * BINNINGS, self.counts.len(), "all strings have one length");
        let words = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
        for (counts, word) in self.counts.as_chunks_mut::<BINNINGS>().0.iter_mut().zip(words) {
            // The finaliser of SplitMix64.
            let mixed = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            for (counts, bits) in counts.iter_mut().zip([word, word << 60, mixed ^ (mixed >> 31)]) {
                counts[(bits >> 60) as usize] += 1;
            }
        }
        self.size += 1;
    }

    pub fn merge(mut self, other: Self) -> Self {
        self.counts.iter_mut().zip(other.counts).for_each(|(a, b)| a.iter_mut().zip(b).for_each(|(a, b)| *a += b));
        self.size += other.size;
        self
    }

    pub fn largest_deviation(&self, other: &Self) -> Deviation {
        assert_eq!(self.size, other.size);
        let mut largest = Deviation { sigmas: 0.0, word: 0 };
        for (i, (own, others)) in self.counts.iter().zip(&other.counts).enumerate() {
            for (&a, &b) in own.iter().zip(others).filter(|(a, b)| *a + *b > 0) {
                let sigmas = f64::from(a.abs_diff(b)) / f64::from(a + b).sqrt();
                if sigmas > largest.sigmas {
                    largest = Deviation { sigmas, word: i / BINNINGS };
                }
            }
        }
        largest
    }

    /// Bins of all words.
    pub fn num_bins(&self) -> usize {
        self.counts.len() * BINS
    }
}

/// The deviation that is exceeded with probability at most `level` anywhere in so many comparisons, under the null hypothesis.
pub fn threshold(level: f64, comparisons: usize, num_bins: usize) -> f64 {
    (2.0 * (2.0 * comparisons as f64 * num_bins as f64 / level).ln()).sqrt()
}

#[test]
fn the_statistic_sees_a_bias_and_keeps_its_level() {
    let mut state = 1u64;
    let mut word = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state ^ (state >> 29)
    };
    let mut sample = |bias: u64| {
        let mut histograms = Histograms::new(16);
        for _ in 0..20_000 {
            let first = if word() % 100 < bias { 0 } else { word() };
            histograms.add(&[first.to_le_bytes(), word().to_le_bytes()].concat());
        }
        histograms
    };
    let [one, other, biased] = [sample(0), sample(0), sample(7)];
    let level = threshold(1e-3, 2, one.num_bins());
    assert!(one.largest_deviation(&other).sigmas < level);
    let seen = one.largest_deviation(&biased);
    assert!(seen.sigmas > level && seen.word == 0, "{seen:?}");
}
