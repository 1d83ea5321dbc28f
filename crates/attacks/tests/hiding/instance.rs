//! A tiny statement with lookups, products, a one-hot and a state, proved for two witnesses.

use veritune_argument::{Argument, Joint, NUM_PLACES, STATE_BEFORE_PLACE, WITNESS_PLACE};
use veritune_commit::{Profile, Root, TreeHash, TreeShape};
use veritune_field::{E, F};
use veritune_mutation::{Field, traced};
use veritune_prover::argument::{self, MaskedChannel, Pads, dense_weights, multiplicities, place_vectors};
use veritune_prover::commit::{CommittedTree, Randomness, commit, open};
use veritune_relations::builder::{Builder, Make, Sum};
use veritune_relations::{AxisId, Place, Program, Range};
use veritune_transcript::Transcript;
use veritune_verifier::proof::{self, Placed, Source, absorb_witness, opening_target};
use veritune_verifier::statement::shape_for;

const LOG_ROWS: u32 = 10;
/// Every programme of challenges is this one.
pub const SEED: u64 = 3;

/// The statement: entries of a hidden table are gathered at hidden places, used ones are counted, and each is squared.
pub struct Instance {
    pub program: Program,
    pub profile: Profile,
}

/// A witness: places, how many of them are used, and the table.
#[derive(Clone, Copy)]
pub struct Secret {
    pub places: [usize; 3],
    pub length: usize,
    pub table: [i64; 8],
}

/// Two witnesses that differ in everything that is hidden.
pub const SECRETS: [Secret; 2] = [
    Secret { places: [1, 2, 2], length: 3, table: [5, 17, 33, 60, 1, 2, 3, 4] },
    Secret { places: [7, 0, 5], length: 1, table: [9, 9, 9, 9, 0, 63, 9, 31] },
];

/// What a prover does to the elements that it draws, before it uses them.
pub type Sabotage<'a> = &'a (dyn Fn(&mut Vec<E>, &mut E) + Sync);

/// Nothing.
pub const HONEST: Sabotage<'static> = &|_, _| ();

/// A proof, and where its fields lie in its bytes.
pub struct Proved {
    pub root: Root,
    pub bytes: Vec<u8>,
}

impl Instance {
    pub fn new() -> Self {
        let mut b = Builder::new(4);
        let (token, value) = (b.axis("token", 3), b.axis("value", 8));
        fn make<'a>(name: &'a str, axes: &'a [AxisId], bits: u32) -> Make<'a> {
            Make { name, axes, range: Range::unsigned(bits), fraction_bits: 0 }
        }
        let table = b.tensor(Place::StateBefore, &make("table", &[value], 6));
        let used = b.tensor(Place::Witness, &make("used", &[token], 1));
        let bits = b.index_bits("bits", &[token], value).expect("bits");
        let one_hot = b.one_hot("one_hot", &[token], value, bits, Some(used));
        let (one_hot, table, used) = (b.on(one_hot), b.on(table), b.on(used));
        let axes = [token];
        let gathered =
            b.copy(&make("gathered", &axes, 6), &axes, Sum::product(1, &[&one_hot, &table])).expect("a copy");
        let gathered = b.on(gathered);
        b.copy(&make("square", &[token], 12), &[token], Sum::product(1, &[&gathered, &gathered])).expect("a square");
        b.copy(&make("length", &[], 3), &[], Sum::product(1, &[&used])).expect("a count");
        let profile = Profile::new(LOG_ROWS).expect("a profile");
        Self { program: b.program, profile }
    }

    pub fn argument(&self) -> Argument<'_> {
        Argument::new(&self.program).expect("an argument")
    }

    pub fn tensors(&self, secret: &Secret) -> Vec<Vec<i64>> {
        let used = |i: usize| i64::from(i < secret.length);
        let gathered = |i: usize| used(i) * secret.table[secret.places[i]];
        let of = |name: &str| -> Vec<i64> {
            match name {
                "table" => secret.table.to_vec(),
                "used" => (0..3).map(used).collect(),
                "bits" => secret.places.iter().flat_map(|p| (0..3).map(move |bit| (p >> bit & 1) as i64)).collect(),
                "gathered" => (0..3).map(gathered).collect(),
                "square" => (0..3).map(|i| gathered(i) * gathered(i)).collect(),
                "length" => vec![secret.length as i64],
                _ => Vec::new(),
            }
        };
        self.program.tensors.iter().map(|tensor| of(&tensor.name)).collect()
    }

    pub fn shapes(&self, argument: &Argument<'_>) -> [TreeShape; 2] {
        let shape = |name, slots, masked| shape_for(&self.profile, name, slots, TreeHash::Blake3, masked, 1);
        [
            shape("witness", argument.witness_slots(), true).expect("it fits"),
            shape("state", argument.layout.used[STATE_BEFORE_PLACE], false).expect("it fits"),
        ]
    }

    /// Vectors of the witness place, without masks, and of the state.
    pub fn vectors(&self, argument: &Argument<'_>, secret: &Secret) -> [Vec<F>; NUM_PLACES] {
        let tensors = self.tensors(secret);
        place_vectors(&self.program, &argument.layout, &tensors, &multiplicities(&self.program, &tensors))
    }

    /// A proof under programmed challenges; `number` tells its randomness from that of all others.
    pub fn prove(&self, secret: &Secret, number: u64, sabotage: Sabotage<'_>) -> Proved {
        veritune_mutation::programmed(SEED, || {
            let argument = self.argument();
            let [shape, state_shape] = self.shapes(&argument);
            let [mut vector, state, ..] = self.vectors(&argument, secret);
            let pads = self.pads(&argument, number, sabotage);
            vector.extend(pads.slots());
            let mut witness = commit(&self.profile, shape, vector, randomness("witness", number)).expect("it fits");
            let mut state = commit(&self.profile, state_shape, state, randomness("state", number)).expect("it fits");
            let root = state.root();
            let mut transcript = transcript(&root);
            absorb_witness(&mut transcript, &witness.root());
            let tensors = self.tensors(secret);
            let proof =
                argument::prove(&argument, witness.vector(), &tensors, &pads, &mut transcript).expect("a proof");
            let joint = Joint { parts: proof.parts, target: proof.target };
            let weights = [(WITNESS_PLACE, &witness), (STATE_BEFORE_PLACE, &state)]
                .map(|(place, tree)| dense_weights(&joint.parts, place, tree.vector().len()));
            let target = opening_target(&joint, &[]);
            let mut bytes = witness.root().0.to_vec();
            bytes.extend_from_slice(&proof.scalars);
            let mut trees: [&mut CommittedTree; 2] = [&mut witness, &mut state];
            let opening = open(&self.profile, &mut trees, weights.into(), target, &mut transcript).expect("an opening");
            bytes.extend_from_slice(&opening);
            Proved { root, bytes }
        })
    }

    /// The pads of a proof, after the prover's sabotage.
    pub fn pads(&self, argument: &Argument<'_>, number: u64, sabotage: Sabotage<'_>) -> Pads {
        let honest = Pads::draw(&argument.wiring, &randomness("pads", number));
        let mut pads: Vec<E> = (0..argument.wiring.num_pads).map(|i| honest.pad(i)).collect();
        let mut dummy = honest.pad(argument.wiring.dummy());
        sabotage(&mut pads, &mut dummy);
        Pads::new(&argument.wiring, pads, dummy)
    }

    /// The scalars that are sent with these pads, under programmed challenges.
    pub fn scalars(&self, argument: &Argument<'_>, secret: &Secret, pads: &Pads) -> Vec<u8> {
        let [vector, ..] = self.vectors(argument, secret);
        veritune_mutation::programmed(SEED, || {
            let mut transcript = transcript(&Root([0; 32]));
            let mut channel = MaskedChannel::new(&mut transcript, &argument.wiring, pads);
            argument::prove_into(argument, &vector, &self.tensors(secret), &mut channel);
            channel.finish()
        })
    }

    /// Verifies, and returns the fields that the verifier reads, from the start of the bytes.
    pub fn verify(&self, proved: &Proved) -> (Result<(), String>, Vec<Field>) {
        veritune_mutation::programmed(SEED, || self.verify_now(proved))
    }

    /// The same with the challenges of whoever calls.
    pub fn verify_now(&self, proved: &Proved) -> (Result<(), String>, Vec<Field>) {
        let argument = self.argument();
        let [shape, state] = self.shapes(&argument);
        let placed: [Placed<'_>; 1] = [(STATE_BEFORE_PLACE, Source::Tree(state, proved.root))];
        let mut transcript = transcript(&proved.root);
        let (verdict, fields) =
            traced(|| proof::verify(&argument, &self.profile, shape, &placed, &proved.bytes, &mut transcript));
        (verdict.map(drop).map_err(|error| error.code().to_owned()), fields)
    }
}

pub fn transcript(state: &Root) -> Transcript {
    let mut transcript = Transcript::new(b"veritune hiding");
    transcript.absorb("state before", &state.0);
    transcript
}

pub fn randomness(purpose: &str, number: u64) -> Randomness {
    let mut hasher = blake3::Hasher::new_derive_key("veritune hiding tests v1");
    hasher.update(purpose.as_bytes());
    hasher.update(&number.to_le_bytes());
    Randomness::from_seed(*hasher.finalize().as_bytes())
}
