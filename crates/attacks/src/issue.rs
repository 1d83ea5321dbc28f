//! The lists of cheating provers that the main job and its masks are tested against, each with the attacks or tests that
//! cover it.
//!
//! A test fails when an item names an attack that is not in the tables or a test that is not in the sources.

/// Where an item is covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covered {
    /// An attack of [`crate::STEP_ATTACKS`], [`crate::CERTIFICATE_ATTACKS`] or [`crate::PROTOCOL_ATTACKS`], by name.
    Attack(&'static str),
    /// A test by file below `crates` and function.
    Test(&'static str, &'static str),
}

use Covered::{Attack, Test};

/// Part of the list, item, what covers it.
pub type Item = (&'static str, &'static str, &'static [Covered]);

const PROTOCOL: &str = "attacks/tests/all/protocol.rs";
const TAMPER: &str = "attacks/tests/all/tamper.rs";
const INPUTS: &str = "attacks/tests/all/inputs.rs";
const HOSTILE: &str = "attacks/tests/hostile.rs";

/// The list, item by item.
pub const ITEMS: &[Item] = &[
    (
        "step",
        "one gradient entry +1 with a consistent state after",
        &[Attack("an entry of a gradient is one unit larger")],
    ),
    ("step", "a middle layer's dA zeroed", &[Attack("the gradient of A of a middle layer is zero")]),
    ("step", "softmax Jacobian without the row-sum term", &[Attack("the softmax Jacobian misses the row sum")]),
    (
        "step",
        "Q or K gradient of one head dropped",
        &[
            Attack("the gradient of one head's queries is dropped"),
            Attack("keys get no gradient from one head of their group"),
        ],
    ),
    (
        "step",
        "RoPE backward with the wrong sign",
        &[Attack("the rotation of queries is not reversed"), Attack("the rotation of keys is not reversed")],
    ),
    ("step", "RoPE: shifted position", &[Attack("queries are rotated by the next position")]),
    (
        "step",
        "RMSNorm backward without the projection term",
        &[
            Attack("the MLP norm's backward has no projection"),
            Attack("the attention norm's backward has no projection"),
            Attack("the final norm's backward has no projection"),
        ],
    ),
    (
        "step",
        "SiLU derivative from a neighbouring row",
        &[Attack("the derivative of SiLU comes from the neighbouring row")],
    ),
    (
        "step",
        "row maximum too large",
        &[Attack("a row maximum is too large"), Attack("the greatest logit is too large")],
    ),
    ("step", "row maximum from a masked position", &[Attack("a row maximum comes from a masked position")]),
    ("step", "skipped layer", &[Attack("a layer is skipped")]),
    (
        "step",
        "frozen weight changed",
        &[Attack("a frozen weight is another one"), Attack("an embedding is another one")],
    ),
    (
        "step",
        "other adapter in backward than in forward",
        &[Attack("the backward pass reads another adapter than the forward pass")],
    ),
    ("step", "rescale q+1 with r−2^s", &[Attack("a quotient is one unit larger, its remainder negative")]),
    ("step", "loose top limb", &[Attack("a quotient is one unit smaller, its remainder uses a loose top limb")]),
    ("step", "division by field inverse", &[Attack("a quotient is a field inverse")]),
    (
        "step",
        "square root off by one",
        &[
            Attack("the norm is one unit larger"),
            Attack("the norm is one unit smaller"),
            Attack("the root of a second moment is one unit smaller"),
        ],
    ),
    ("step", "square root wrapped", &[Attack("the norm is the other root modulo p, so that nothing is clipped")]),
    ("step", "clip not applied above the limit", &[Attack("nothing is clipped above the limit")]),
    ("step", "clip applied below the limit", &[Attack("gradients are clipped below the limit")]),
    ("step", "clip applied twice", &[Attack("gradients are clipped twice")]),
    ("step", "bias correction of step t+1", &[Attack("bias correction of the next step")]),
    ("step", "learning rate of another step", &[Attack("the learning rate of another step")]),
    ("step", "decay 0", &[Attack("no weight decay")]),
    ("step", "moments swapped", &[Attack("the moments are exchanged")]),
    ("step", "gradient of another micro-batch", &[Attack("the gradient of another micro-batch")]),
    (
        "step",
        "garbage in padded rows and unused slots",
        &[
            Attack("exponentials at masked positions are anything"),
            Test(PROTOCOL, "garbage_in_unused_slots_has_no_effect"),
            Test(PROTOCOL, "unused_slots_carry_no_weight"),
        ],
    ),
    ("step", "label −100 on an inconvenient token", &[Attack("an inconvenient token has label -100")]),
    (
        "step",
        "token changed at the right index",
        &[
            Attack("a token is another one than the leaf's"),
            Attack("a label is another one than the leaf's"),
            Attack("a token is another one, and so is the leaf"),
        ],
    ),
    ("step", "count halved", &[Attack("the count of labels is halved")]),
    (
        "run",
        "step proof reused at t+1",
        &[
            Attack("a step's proof is reused at the next step, with its own states"),
            Attack("a step's proof is reused at the next step, between the states of that step"),
        ],
    ),
    ("run", "steps swapped", &[Attack("two steps are swapped")]),
    ("run", "steps dropped", &[Attack("a step is dropped"), Attack("the last step is missing")]),
    ("run", "steps doubled", &[Attack("a step is doubled, another dropped")]),
    ("run", "count short", &[Attack("the count of steps is short")]),
    ("run", "poisoned initial A under the right seed", &[Attack("A starts poisoned under the right seed")]),
    (
        "run",
        "state reset between chunks",
        &[Attack("the state is reset between steps"), Attack("a step starts from another state")],
    ),
    ("run", "settlement missing (exit 3)", &[Attack("the settlement is missing")]),
    ("run", "settlement of another base", &[Attack("the settlement opens another base")]),
    (
        "run",
        "settlement with two chunks exchanged",
        &[Attack("the settlement exchanges two steps"), Attack("the settlement leaves a step out")],
    ),
    (
        "run",
        "adapter file with one bit changed",
        &[
            Attack("one bit of the adapter file is changed: another integer"),
            Attack("one bit of the adapter file is changed: no integer at its scale"),
            Attack("one bit of the adapter file's header is changed"),
            Attack("one bit of the adapter file is changed after signing"),
            Attack("one bit of a hidden adapter's file is changed"),
        ],
    ),
    (
        "run",
        "extra file",
        &[
            Attack("the adapter has a file more"),
            Attack("an adapter lies beside the folders of a run"),
            Attack("a hidden folder of a run holds an adapter"),
            Attack("the certificate has a file that is not listed"),
            Attack("the certificate lists a file that no check reads"),
            Attack("the proof of the release lies beside a public adapter"),
        ],
    ),
    (
        "run",
        "changed config",
        &[Attack("the configuration has another rank"), Attack("the configuration has another rank, after signing")],
    ),
    (
        "run",
        "release proof of another state",
        &[
            Attack("the release is of the state before the last"),
            Attack("a hidden adapter and the proof of its release are of the state before the last"),
        ],
    ),
    (
        "protocol",
        "every field of every proof message × mutate, drop, duplicate, swap, truncate, extend",
        &[
            Test(TAMPER, "step"),
            Test(TAMPER, "release"),
            Test(TAMPER, "settlement_of_the_base"),
            Test("envelope/tests/tamper.rs", "claims_statement"),
            Test("envelope/tests/tamper.rs", "plan_statement"),
            Test("envelope/tests/tamper.rs", "signed_bundle"),
            Test("envelope/tests/tamper.rs", "certificate_index"),
        ],
    ),
    (
        "protocol",
        "table with one extra row",
        &[Attack("the public table has one more row, in its padding"), Attack("a row of a public table is another")],
    ),
    (
        "protocol",
        "LogUp root unbound",
        &[
            Attack("multiplicities are forged and balanced by the values of the root"),
            Attack("multiplicities are forged, and all values of the root are zero"),
        ],
    ),
    (
        "protocol",
        "forged multiplicities",
        &[
            Attack("multiplicities of the range table are forged"),
            Attack("multiplicities of another table are forged"),
            Attack("the numerators are not the committed multiplicities"),
        ],
    ),
    (
        "protocol",
        "unsalted tree",
        &[Test("prover/src/commit/tests/malicious.rs", "a_tree_whose_leaves_are_not_salted_is_refused")],
    ),
    (
        "protocol",
        "challenge before a commitment is absorbed",
        &[
            Attack("a commitment is made when its challenges are known: multiplicities balance a value out of range"),
            Attack("a round of the equations is chosen when its challenge is known: the count of labels is halved"),
            Test("attacks/tests/all/absorption.rs", "every_message_reaches_the_next_challenge_by_its_absorption_alone"),
        ],
    ),
    (
        "protocol",
        "each public input changed with the proof kept",
        &[
            Test(INPUTS, "every_field_of_the_run_is_bound_in_every_proof"),
            Test(INPUTS, "a_step_is_bound_to_its_number_and_states"),
            Test(INPUTS, "a_release_is_bound_to_state_copies_and_file"),
            Test(INPUTS, "a_settlement_is_bound_to_every_field_of_its_steps"),
        ],
    ),
    (
        "protocol",
        "another spec, profile or version",
        &[
            Test(INPUTS, "every_field_of_the_run_is_bound_in_every_proof"),
            Attack("the program is another version's"),
            Test(PROTOCOL, "a_proof_is_of_its_own_program"),
        ],
    ),
    (
        "protocol",
        "element ≥ p",
        &[
            Test(PROTOCOL, "elements_at_or_above_the_order_are_refused"),
            Test("prover/src/commit/tests/malicious.rs", "an_element_plus_the_order_is_refused"),
            Test("argument/tests/checks.rs", "a_scalar_plus_the_order_passes_without_its_check"),
        ],
    ),
    ("protocol", "trailing bytes", &[Attack("bytes follow the proof"), Attack("the adapter file has one byte more")]),
    (
        "protocol",
        "lengths that ask for terabytes",
        &[
            Attack("the adapter file announces a header of 2^63 bytes"),
            Test(HOSTILE, "no_parser_panics_or_asks_for_more_than_its_input_is_worth"),
        ],
    ),
    (
        "masks",
        "a product of pads is wrong",
        &[
            Attack("a product of pads is off by what an equation is off by: the clip quotient is one more"),
            Test("prover/src/argument/tests/masked.rs", "every_changed_element_of_the_wiring_is_refused"),
        ],
    ),
    (
        "masks",
        "an opening of another transcript is replayed",
        &[
            Test(PROTOCOL, "parts_of_two_proofs_of_one_statement_are_refused_together"),
            Test("prover/src/commit/tests/tamper.rs", "a_changed_statement_is_refused"),
        ],
    ),
    (
        "masks",
        "the dummy is fixed, or another than the committed one",
        &[
            Test(
                "attacks/tests/hiding/masks.rs",
                "a_pad_that_is_dropped_or_used_twice_and_a_dummy_that_is_fixed_are_seen",
            ),
            Attack("the committed dummy is another"),
        ],
    ),
    (
        "masks",
        "a check is left out of the combination",
        &[
            Attack("multiplicities of the range table are forged"),
            Attack("multiplicities are forged and balanced by the values of the root"),
            Attack("the equations' sum is what the linear terms ask for: the count of labels is halved"),
            Attack("the evaluation of a one-hot takes the error of the equations' sum: the count of labels is halved"),
            Attack("a product of bits takes the error of the equations' sum: the count of labels is halved"),
            Attack("a product of pads is off by what an equation is off by: the clip quotient is one more"),
            Attack("every step's public loss is a unit smaller than it was"),
        ],
    ),
    (
        "masks",
        "pads are committed after the first challenge",
        &[Attack("a pad is committed when all challenges are known: the count of labels is halved")],
    ),
    (
        "masks",
        "the claims are combined before the value of L is sent",
        &[Attack("the value of L is chosen when the challenge of all claims is known: the count of labels is halved")],
    ),
    (
        "masks",
        "extra values are committed after their point is known",
        &[Attack("an extra value is committed when all challenges are known: the count of labels is halved")],
    ),
    (
        "masks",
        "a second proof has the same pads",
        &[
            Test(
                "attacks/tests/hiding/reuse.rs",
                "two_proofs_with_the_same_pads_give_the_difference_of_their_values_away",
            ),
            Test("attacks/tests/hiding/one_token.rs", "no_certificate_tells_which_token_it_is_of"),
            Test("attacks/tests/hiding/one_token.rs", "a_certificate_that_saves_one_mask_tells_its_token"),
        ],
    ),
    ("masks", "weights of two trees are exchanged", &[Attack("the weights of two trees are exchanged")]),
    ("masks", "the slots hold pads of another proof", &[Attack("the committed pads are those of another proof")]),
    ("masks", "a tree of another security profile", &[Test(PROTOCOL, "trees_of_another_security_profile_are_refused")]),
];

/// What is wrong with the list: items without cover, names that nothing has.
pub fn faults() -> Vec<String> {
    let mut names: Vec<&str> = crate::STEP_ATTACKS.iter().copied().flatten().map(|a| a.name).collect();
    names.extend(crate::CERTIFICATE_ATTACKS.iter().copied().flatten().map(|a| a.name));
    names.extend(crate::PROTOCOL_ATTACKS.iter().copied().flatten().map(|a| a.name));
    let mut faults = Vec::new();
    for (_, item, covered) in ITEMS {
        if covered.is_empty() {
            faults.push(format!("{item}: nothing covers it"));
        }
        for cover in *covered {
            let found = match cover {
                Attack(name) => names.contains(name),
                Test(file, test) => {
                    let path = format!("{}/../{file}", env!("CARGO_MANIFEST_DIR"));
                    let needle = format!("#[test]\nfn {test}(");
                    std::fs::read_to_string(path).is_ok_and(|source| source.contains(&needle))
                }
            };
            if !found {
                faults.push(format!("{item}: there is no {cover:?}"));
            }
        }
    }
    faults
}
