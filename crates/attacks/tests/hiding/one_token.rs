//! Which of two tokens did a row have? An attack on whole certificates, whose challenges are those of their messages.
//!
//! Two runs are equal in everything but one token of one row. The attacker has the published bytes, both candidates, and as advice
//! the secret of the rows' salts, which it may use in everything but the row's leaf. It trains both candidates itself, goes through
//! each proof with the proof's own challenges, and so gets for every masked scalar of the argument, and for the opening's first, the pad
//! that the candidate would need. What it looks for is evidence that no wrong candidate gives:
//!  - a needed pad is zero, two of them are equal, or a word of one is published elsewhere;
//!  - the rows of a state's tree that all proofs opened together are more than its random rows: then each further one is
//!    a linear relation between the state's entries and what is published.
//!
//! All of it is exact. A false positive is a coincidence of field elements: of at most 2^20 words, two of which are equal
//! with probability below 2^-63, so below 2^-24 in all. The last test is statistical, at the level that it names.
//! `docs/notes/one-token.md` has what this leaves out.

use super::one_token_certificate::{
    Certificate, ROOT_BYTES, STEPS, Saved, TOKENS, certify, context, copies, digest, inputs,
};
use super::statistic::{Histograms, threshold};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use veritune_argument::{Argument, Labels as ArgumentLabels, STATE_AFTER_PLACE, STATE_BEFORE_PLACE, WITNESS_PLACE};
use veritune_commit::{Labels, Root, TreeShape, capacity, leaf_point};
use veritune_field::traits::{BasedVectorSpace, Field, PrimeCharacteristicRing};
use veritune_field::{E, E_BYTES, F, F_BYTES, e_from_bytes, f_from_bytes, f_to_bytes};
use veritune_mutation::{Event, Field as Part, traced, transcribed, without};
use veritune_prover::argument::{Channel, Pads, dense_weights, multiplicities, prove_into, witness_vector};
use veritune_relations::layout::Layout;
use veritune_relations::step::Leaf;
use veritune_relations::{Place, release};
use veritune_run::train::{execute, first_state, named_vector, state_after};
use veritune_transcript::Transcript;
use veritune_verifier::proof::{absorb_witness, scalar_bytes};
use veritune_verifier::rows;
use veritune_verifier::step::Context;

/// The opened rows of one tree.
struct Opened {
    /// The step whose state it is; none of a witness.
    state: Option<u64>,
    shape: TreeShape,
    rows: Vec<(u64, Vec<F>)>,
}

/// The parts of an opening that begins at `start`, and the positions that were drawn first.
fn opening(verify: impl FnOnce()) -> (Vec<Part>, Vec<u64>) {
    let ((_, parts), events) = transcribed(|| traced(verify));
    let state = events.iter().find_map(|event| match event {
        Event::Drawn(label, state) if label == Labels::POSITIONS => Some(*state),
        _ => None,
    });
    // As `Transcript::challenge_indices` does, from the state before it.
    let mut hasher = blake3::Hasher::new_keyed(&state.expect("positions"));
    hasher.update(&[2]);
    hasher.update(&(Labels::POSITIONS.len() as u64).to_le_bytes());
    hasher.update(Labels::POSITIONS.as_bytes());
    let mut words = vec![0; ROOT_BYTES + 8 * 345];
    hasher.finalize_xof().fill(&mut words);
    (parts, words[ROOT_BYTES..].as_chunks::<8>().0.iter().map(|w| u64::from_le_bytes(*w)).collect())
}

fn opened_rows(
    context: &Context<'_>,
    (parts, positions): &(Vec<Part>, Vec<u64>),
    opening: &[u8],
    trees: &[(Option<u64>, TreeShape)],
) -> Vec<Opened> {
    let profile = &context.profile;
    assert_eq!(positions.len(), profile.queries() as usize);
    let mask = (1 << profile.log_domain()) - 1;
    let positions: Vec<u64> = positions.iter().map(|p| p & mask).collect();
    let of_tree = |(number, &(state, shape)): (usize, &(Option<u64>, TreeShape))| {
        let name = format!("tree {number} row columns");
        let columns = parts.iter().filter(|part| part.name == name).map(|part| {
            let words = opening[part.offset..part.offset + part.len].as_chunks::<F_BYTES>().0;
            words.iter().map(|&word| f_from_bytes(word).expect("canonical")).collect::<Vec<F>>()
        });
        let leaves = shape.leaves(profile, &positions);
        let rows: Vec<(u64, Vec<F>)> = leaves.into_iter().zip(columns).collect();
        assert_eq!(rows.len(), parts.iter().filter(|part| part.name == name).count());
        Opened { state, shape, rows }
    };
    trees.iter().enumerate().map(of_tree).collect()
}

impl Certificate {
    /// Where the scalars of a step's proof begin and end.
    fn scalars(&self, context: &Context<'_>) -> std::ops::Range<usize> {
        let start = rows::num_bytes(&self.run) + ROOT_BYTES;
        start..start + scalar_bytes(&Argument::new(&context.first.program).expect("an argument"))
    }

    /// All opened rows of all proofs. The release is read with the copies of a published adapter.
    fn opened(&self, context: &Context<'_>, released: Option<&[Vec<i64>]>) -> Vec<Opened> {
        let mut all = Vec::new();
        for (step, bytes) in &self.steps {
            let (step, number) = (*step, *step as usize);
            let read = opening(|| {
                context.verify_step(step, self.roots[number - 1], self.roots[number], bytes).expect("accepted");
            });
            let before = (step > 1).then_some((Some(step - 1), self.shapes.state));
            let mut trees = vec![(None, self.shapes.witness)];
            trees.extend(before);
            trees.push((Some(step), self.shapes.state));
            all.extend(opened_rows(context, &read, &bytes[self.scalars(context).end..], &trees));
        }
        if let (Some((bytes, digest)), Some(copies)) = (&self.release, released) {
            let last = *self.roots.last().expect("a root");
            let read = opening(|| context.verify_release(last, copies, digest, bytes).expect("accepted"));
            let program = release::build(&self.run.spec, &context.first, copies).expect("a release").program;
            let argument = Argument::new(&program).expect("an argument");
            let shape = self.run.witness_shape(&context.profile, &argument).expect("a shape");
            let trees = [(None, shape), (Some(STEPS), self.shapes.state)];
            all.extend(opened_rows(context, &read, &bytes[ROOT_BYTES + scalar_bytes(&argument)..], &trees));
        }
        all
    }

    /// All published words.
    fn words(&self) -> Vec<u64> {
        let files = self.steps.iter().map(|(_, bytes)| bytes).chain(self.release.iter().map(|(bytes, _)| bytes));
        files.flat_map(|bytes| words_of(bytes)).collect()
    }
}

fn words_of(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word))
}

// -- the attack --------------------------------------------------------------------------------------------------------

/// Goes through a proof with its own challenges: what was sent less the candidate's values.
struct Replay<'a> {
    transcript: Transcript,
    sent: std::slice::Iter<'a, [u8; E_BYTES]>,
    pads: Vec<E>,
    clear: Vec<E>,
}

impl Replay<'_> {
    fn less(&mut self, label: &'static str, value: E) -> E {
        let sent = e_from_bytes(*self.sent.next().expect("a scalar")).expect("canonical");
        self.transcript.absorb_e(label, &[sent]);
        sent - value
    }
}

impl Channel for Replay<'_> {
    fn send(&mut self, label: &'static str, value: E) {
        let pad = self.less(label, value);
        self.pads.push(pad);
    }
    fn send_public(&mut self, label: &'static str, value: E) {
        let difference = self.less(label, value);
        self.clear.push(difference);
    }
    fn challenge(&mut self, label: &'static str) -> E {
        self.transcript.challenge_e(label)
    }
}

/// What speaks for a candidate.
#[derive(Debug, Default, PartialEq)]
struct Evidence {
    /// Scalars that are sent as they are.
    bare: usize,
    /// Pads that serve twice.
    repeated: usize,
    /// Words of pads that are published elsewhere than in the scalars.
    published: usize,
    /// States whose opened rows satisfy a relation that the candidate gives.
    relations: usize,
}

/// What a candidate needs the secrets to be.
struct Explained {
    evidence: Evidence,
    pads: Vec<E>,
    copies: Vec<Vec<i64>>,
}

fn words(element: &E) -> [u64; 3] {
    let words: &[F] = element.as_basis_coefficients_slice();
    std::array::from_fn(|i| u64::from_le_bytes(f_to_bytes(words[i])))
}

/// What the certificate looks like to who believes in this token.
fn explain(certificate: &Certificate, token: i64) -> Explained {
    let run = &certificate.run;
    let context = context(run, Some(certificate.shapes));
    let layout = Layout::new(&context.first.program);
    let inputs = inputs(run, token, certificate.salts);
    let mut states = vec![first_state(&context.first, &run.seed)];
    let mut pads = Vec::new();
    for (step, bytes) in &certificate.steps {
        let (step, number) = (*step, *step as usize);
        let indices = context.rows(step);
        // The leaves of the file, not those that the candidate would have.
        let (leaves, _): (Vec<Leaf>, _) = rows::verify(run, &indices, bytes).expect("paths");
        let built = context.program(step, &leaves).expect("a program");
        let executed = execute(built, &inputs, step, &indices, &states[number - 1], 2).expect("a step");
        let (program, tensors) = (&executed.built.program, executed.tensors.all());
        let argument = Argument::new(program).expect("an argument");
        let mut witness = witness_vector(program, &argument.layout, &tensors, &multiplicities(program, &tensors));
        let roots = &certificate.roots;
        let mut transcript = run.step_transcript(step, &leaves, None, &roots[number - 1], &roots[number]);
        let scalars = certificate.scalars(&context);
        let root = bytes[scalars.start - ROOT_BYTES..scalars.start].try_into().expect("32 bytes");
        absorb_witness(&mut transcript, &Root(root));
        let mut verifier = transcript.clone();
        let sent = bytes[scalars.clone()].as_chunks().0.iter();
        let mut replay = Replay { transcript, sent, pads: Vec::new(), clear: Vec::new() };
        prove_into(&argument, &witness, &tensors, &mut replay);
        assert_eq!(replay.pads.len(), argument.wiring.num_pads);
        // What is sent in clear is the base's, whoever is right.
        assert_eq!(replay.clear.len(), argument.wiring.num_public);
        assert!(replay.clear.iter().all(|&difference| difference == E::ZERO), "{token}: step {step}");
        // The value of L gives the dummy.
        let z = replay.challenge(ArgumentLabels::PRODUCT_POINT);
        let left = replay.less(ArgumentLabels::PRODUCT_LEFT, E::ZERO);
        let even = argument.wiring.lagrange(z).expect("no subgroup").even;
        let products = argument.wiring.products.iter().zip(&even).map(|(pair, &w)| w * replay.pads[pair[0]]);
        let dummy = (left - products.sum::<E>()) * even[argument.wiring.products.len()].inverse();
        if states.len() == number {
            states.push(state_after(&executed));
        }
        // The opening's first scalar: the sum over the lower halves of the trees, where no weight lies on a random row.
        witness.extend(Pads::new(&argument.wiring, replay.pads.clone(), dummy).slots());
        let (joint, _) = argument.verify_masked(&bytes[scalars.clone()], &mut verifier).expect("scalars");
        let place = |place, state: u64| named_vector(&context.first.program, &layout, place, &states[state as usize]);
        let state_shape = certificate.shapes.state;
        let mut vectors = vec![(WITNESS_PLACE, certificate.shapes.witness, witness)];
        if step > 1 {
            vectors.push((STATE_BEFORE_PLACE, state_shape, place(Place::StateBefore, step - 1)));
        }
        vectors.push((STATE_AFTER_PLACE, state_shape, place(Place::StateBefore, step)));
        let halves = vectors.iter().map(|(place, shape, vector)| {
            let half = shape.num_columns() << (shape.log_rows - 1);
            let weights = dense_weights(&joint.parts, *place, 2 * half).elements();
            weights.iter().zip(vector).take(half).map(|(&w, &f)| w * f).sum::<E>()
        });
        let first = e_from_bytes(bytes[scalars.end..][..E_BYTES].try_into().expect("an element")).expect("canonical");
        pads.push(first - halves.sum::<E>());
        pads.append(&mut replay.pads);
        pads.push(dummy);
    }
    let distinct: HashSet<[u64; 3]> = pads.iter().map(words).collect();
    // But for the scalars: where a candidate's value is an element of F, two words of the scalar are the pad's.
    let scalars = certificate.scalars(&context);
    let outside = |(_, bytes): &(u64, Vec<u8>)| -> Vec<u64> {
        words_of(&bytes[..scalars.start]).chain(words_of(&bytes[scalars.end + E_BYTES..])).collect()
    };
    let known: HashSet<u64> = certificate.steps.iter().flat_map(outside).collect();
    let copies = copies(&context, states.last().expect("a state"));
    let mut evidence = Evidence {
        bare: pads.iter().filter(|&&pad| pad == E::ZERO).count(),
        repeated: pads.len() - distinct.len(),
        published: pads.iter().filter(|&&pad| pad != E::ZERO).flat_map(words).filter(|w| known.contains(w)).count(),
        relations: 0,
    };
    // Positions are public: the verifier draws them. Only a published adapter lets the release be read.
    let mut of_states: BTreeMap<u64, BTreeMap<u64, Vec<F>>> = BTreeMap::new();
    for opened in certificate.opened(&context, None) {
        if let Some(state) = opened.state {
            of_states.entry(state).or_default().extend(opened.rows);
        }
    }
    for (state, rows) in of_states {
        let vector = named_vector(&context.first.program, &layout, Place::StateBefore, &states[state as usize]);
        evidence.relations += usize::from(related(&context, &vector, &rows) == Some(true));
    }
    Explained { evidence, pads, copies }
}

/// Whether one more row than there are random rows is what the data and the others make it; none if there is none more.
///
/// A column is `D(X) + X^k T(X)`: D the data, T of as many coefficients as there are random rows. So `(row - D(x)) / x^k` at any
/// points is T there, and at one point more than T has coefficients the leading divided difference is zero.
fn related(context: &Context<'_>, data: &[F], rows: &BTreeMap<u64, Vec<F>>) -> Option<bool> {
    let shape = context.shapes.state;
    let (columns, random) = (shape.num_columns(), shape.tail_rows(&context.profile) as usize);
    let data_rows = capacity(&context.profile, &shape).expect("a shape") / columns;
    if rows.len() <= random {
        return None;
    }
    let rows: Vec<(F, &Vec<F>)> = rows
        .iter()
        .take(random + 1)
        .map(|(&leaf, row)| (leaf_point(leaf, shape.log_domain(&context.profile)), row))
        .collect();
    let mut sums = vec![F::ZERO; columns];
    for (i, &(x, row)) in rows.iter().enumerate() {
        let others = rows.iter().enumerate().filter(|(j, _)| *j != i);
        let weight = (others.map(|(_, &(y, _))| x - y).product::<F>() * x.exp_u64(data_rows as u64)).inverse();
        for (column, sum) in sums.iter_mut().enumerate() {
            let coefficients = data.iter().skip(column).step_by(columns).rev();
            let value = coefficients.fold(F::ZERO, |value, &c| value * x + c);
            *sum += weight * (row[column] - value);
        }
    }
    Some(sums.iter().all(|&sum| sum == F::ZERO))
}

// -- the results -------------------------------------------------------------------------------------------------------

/// Names of the fields of steps' proofs whose words occur more than once.
fn repeats(certificate: &Certificate, context: &Context<'_>) -> BTreeSet<String> {
    let mut names: HashMap<u64, Vec<String>> = HashMap::new();
    for (step, bytes) in &certificate.steps {
        let (step, number) = (*step, *step as usize);
        let roots = &certificate.roots;
        let verify = || context.verify_step(step, roots[number - 1], roots[number], bytes).map(drop);
        let (verdict, parts) = traced(verify);
        verdict.expect("accepted");
        let scalars = certificate.scalars(context);
        let mut start = 0;
        for part in parts {
            // Each decoder counts from its own start: paths, root and scalars, opening.
            match part.name.as_str() {
                "witness root" => start = scalars.start - ROOT_BYTES,
                "lookup values" if part.offset == 0 => start = scalars.start,
                "sumcheck" if start == scalars.start => start = scalars.end,
                _ => {}
            }
            for word in bytes[start + part.offset..][..part.len].as_chunks::<8>().0 {
                names.entry(u64::from_le_bytes(*word)).or_default().push(part.name.clone());
            }
        }
    }
    names.into_values().filter(|names| names.len() > 1).flatten().collect()
}

#[test]
fn no_certificate_tells_which_token_it_is_of() {
    let certificates = TOKENS.map(|token| certify(token, Saved::Nothing));
    let mut samples = [Histograms::new(8), Histograms::new(8)];
    for (number, certificate) in certificates.iter().enumerate() {
        let context = context(&certificate.run, Some(certificate.shapes));
        let explained = TOKENS.map(|token| explain(certificate, token));
        for (candidate, explained) in explained.iter().enumerate() {
            assert_eq!(explained.evidence, Evidence::default(), "{number}: {candidate}");
            for word in explained.pads.iter().flat_map(words) {
                samples[usize::from(candidate == number)].add(&word.to_le_bytes());
            }
        }
        // The two explanations are different ones.
        let differ = explained[0].pads.iter().zip(&explained[1].pads).filter(|(a, b)| a != b).count();
        println!("{differ} of {} pads differ between the candidates", explained[0].pads.len());
        assert!(differ * 10 > explained[0].pads.len() * 9, "{differ}");

        // No tree has more opened rows, in all proofs together, than random rows: any entries explain what is opened.
        let mut leaves: BTreeMap<Option<u64>, (usize, BTreeSet<u64>)> = BTreeMap::new();
        for opened in certificate.opened(&context, Some(&explained[number].copies)) {
            let random = opened.shape.tail_rows(&context.profile) as usize;
            let own = opened.rows.iter().map(|(leaf, _)| *leaf);
            if opened.state.is_none() {
                assert!(opened.rows.len() <= random);
            } else {
                let (openings, all) = leaves.entry(opened.state).or_default();
                *openings += 1;
                all.extend(own);
                assert!(all.len() <= random, "{:?}: {} of {random}", opened.state, all.len());
            }
        }
        assert_eq!(leaves.values().map(|(openings, _)| *openings).collect::<Vec<_>>(), [3, 3]);
        println!("opened leaves of states: {:?}", leaves.values().map(|(_, all)| all.len()).collect::<Vec<_>>());

        // Nothing of a witness tree, of scalars or of an opening occurs twice. Rows do, and trees 1 and 2, which are states.
        let shared = ["row leaf", "row sibling", "tree 1", "tree 2"];
        let others: Vec<String> = repeats(certificate, &context)
            .into_iter()
            .filter(|name| !shared.iter().any(|shared| name.starts_with(shared)))
            .collect();
        assert!(others.is_empty(), "{others:?}");
    }
    // Two runs have no word in common: no salt, pad, row or digest.
    let [one, other] = certificates.each_ref().map(|c| c.words().into_iter().collect::<HashSet<u64>>());
    assert_eq!(one.intersection(&other).count(), 0);
    // Pads that the right and the wrong candidate need have one distribution.
    let [wrong, right] = &samples;
    let (deviation, level) = (right.largest_deviation(wrong).sigmas, threshold(1e-9, 1, right.num_bins()));
    println!("pads: {deviation:.2} of {level:.2}");
    assert!(deviation < level);
}

#[test]
fn a_certificate_that_saves_one_mask_tells_its_token() {
    let none = Evidence::default;
    let cases = [
        (Saved::OnePad, Evidence { bare: 1, ..none() }),
        (Saved::OnePadTwice, Evidence { repeated: 1, ..none() }),
        (Saved::OpeningPad, Evidence { bare: 1, ..none() }),
        (Saved::RandomRows, Evidence { relations: 1, ..none() }),
    ];
    for (number, (saved, evidence)) in cases.into_iter().enumerate() {
        let truth = number % 2;
        let certificate = certify(TOKENS[truth], saved);
        let off: &[&str] = if saved == Saved::OpeningPad { &["opening-sumcheck-claim"] } else { &[] };
        let found = without(off, || TOKENS.map(|token| explain(&certificate, token).evidence));
        println!("{found:?}");
        assert_eq!(found[truth], evidence, "{number}");
        assert_eq!(found[1 - truth], none(), "{number}");
    }
}

/// Not hidden: training is deterministic and the seed public, so who guesses the rows has the adapter, and its digest and the release
/// say whether it is the one. Both are part of every certificate but that of an adapter that is hidden (`hidden_adapter`).
#[test]
fn a_release_tells_a_guessed_token_although_no_adapter_is_published() {
    let certificate = certify(TOKENS[1], Saved::Nothing);
    let context = context(&certificate.run, Some(certificate.shapes));
    let (bytes, published) = certificate.release.as_ref().expect("a release");
    let last = *certificate.roots.last().expect("a root");
    let tells = TOKENS.map(|token| {
        let copies = explain(&certificate, token).copies;
        let by_digest = digest(&context, &copies) == *published;
        let by_proof = context.verify_release(last, &copies, published, bytes).is_ok();
        (by_digest, by_proof)
    });
    assert_eq!(tells, [(false, false), (true, true)]);
}
