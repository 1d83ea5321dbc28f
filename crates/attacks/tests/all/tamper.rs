//! The tamper manifest: every field of every proof that the verifier reads × every change, with code and location.
//!
//! The fields are those that the verifier's decoder records while it reads a real proof; they must cover its bytes
//! without a gap, so that a field without a row fails. `TAMPER=full` changes every field instead of a sample.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use veritune_attacks::certificate::{adapter_of, release_of, sha256};
use veritune_attacks::run::copies;
use veritune_attacks::setting::Numbers;
use veritune_attacks::tamper::{CHANGES, Change, Row, changed, of_opening, of_step};
use veritune_attacks::{TinyCertificate, World};
use veritune_mutation::{Field, traced};
use veritune_verifier::settlement::{self, SettlementRefused};
use veritune_verifier::step::Context;

type Verdict = Result<(), (&'static str, String)>;

static WORLD: LazyLock<TinyCertificate> = LazyLock::new(|| World::AdamW.prove());

const ROWS_MOVED: &[(&str, &str)] =
    &[("opening-root-mismatch", "*"), ("opening-not-canonical", "*"), ("opening-unexpected-end", "*")];
const OPENING_SUM: &[(&str, &str)] = &[("opening-sumcheck-claim", "values")];

const fn row(
    field: &'static str,
    refused: &'static [(&'static str, &'static str)],
    truncated: (&'static str, &'static str),
) -> Row {
    Row { field, refused, truncated }
}

const CUT: (&str, &str) = ("VT-PROOF-001", "length");
const fn end(at: &'static str) -> (&'static str, &'static str) {
    ("opening-unexpected-end", at)
}

/// The argument of a step: rows, witness root and scalars.
const ARGUMENT: &[Row] = &[
    row("row leaf", &[("VT-ROWS-003", "row"), ("VT-ROWS-002", "row")], ("VT-ROWS-001", "length")),
    row("row sibling", &[("VT-ROWS-003", "row"), ("VT-ROWS-002", "row")], ("VT-ROWS-001", "length")),
    // Behind masks no value is wrong by itself: the functional that is opened does not have its value.
    row("witness root", OPENING_SUM, CUT),
    row("lookup values", OPENING_SUM, CUT),
    row("lookup round", OPENING_SUM, CUT),
    row("equation sum", OPENING_SUM, CUT),
    row("equation round", OPENING_SUM, CUT),
    row("equation factor", OPENING_SUM, CUT),
    row("equation product", OPENING_SUM, CUT),
    row("equation base value", OPENING_SUM, CUT),
    row("one-hot round", OPENING_SUM, CUT),
    row("one-hot value", OPENING_SUM, CUT),
    row("one-hot product", OPENING_SUM, CUT),
    row("product left value", OPENING_SUM, CUT),
];

/// What a step has before its argument if its loss is public.
const LOSS: Row = row("loss", OPENING_SUM, CUT);

/// The argument of a release: lookups and one linear equation.
const RELEASE: &[Row] = &[
    row("witness root", OPENING_SUM, CUT),
    row("lookup values", OPENING_SUM, CUT),
    row("lookup round", OPENING_SUM, CUT),
    row("product left value", OPENING_SUM, CUT),
];

/// What a settlement has before its opening.
const BASE_TREE: Row = row("base tree", &[("VT-PROOF-004", "base tree")], CUT);

/// What every opening has, the tree of the witness or of the base first.
const OPENING: &[Row] = &[
    row("sumcheck", OPENING_SUM, end("sumcheck")),
    row("values", OPENING_SUM, end("values")),
    row("combined value", OPENING_SUM, end("combined value")),
    row("cover sums", OPENING_SUM, end("cover sums")),
    // Of a pad that no scalar goes under, or of what hides pads, no relation says anything: they move the positions.
    row(
        "covered pads",
        &[
            ("opening-sumcheck-claim", "values"),
            ("opening-combined-value", "values"),
            ("opening-root-mismatch", "*"),
            ("opening-not-canonical", "*"),
            ("opening-unexpected-end", "*"),
        ],
        end("covered pads"),
    ),
    row("root of level 1", ROWS_MOVED, end("root of level 1")),
    row(
        "tree 0 row columns",
        &[("opening-root-mismatch", "tree 0"), ("opening-not-canonical", "tree 0 row")],
        end("tree 0 row"),
    ),
    row(
        "tree 0 row mask",
        &[("opening-root-mismatch", "tree 0"), ("opening-not-canonical", "tree 0 row")],
        end("tree 0 row"),
    ),
    row(
        "tree 0 row pads",
        &[("opening-root-mismatch", "tree 0"), ("opening-not-canonical", "tree 0 row")],
        end("tree 0 row"),
    ),
    row(
        "tree 0 row cover",
        &[("opening-root-mismatch", "tree 0"), ("opening-not-canonical", "tree 0 row")],
        end("tree 0 row"),
    ),
    row(
        "tree 0 row salt",
        &[("opening-root-mismatch", "tree 0"), ("opening-not-canonical", "tree 0 row")],
        end("tree 0 row"),
    ),
    row(
        "tree 0 siblings",
        &[("opening-root-mismatch", "tree 0"), ("opening-not-canonical", "tree 0 siblings")],
        end("tree 0 siblings"),
    ),
    row(
        "level 1 sumcheck",
        &[
            ("opening-root-mismatch", "level 1"),
            ("opening-unexpected-end", "*"),
            ("opening-final-claim", "*"),
            ("opening-final-row", "*"),
        ],
        end("level 1 sumcheck"),
    ),
    row("final vector", &[("opening-root-mismatch", "level 1"), ("opening-unexpected-end", "*")], end("final vector")),
    row(
        "level 1 row",
        &[
            ("opening-root-mismatch", "level 1"),
            ("opening-not-canonical", "level 1 row"),
            ("opening-unexpected-end", "*"),
        ],
        end("level 1 row"),
    ),
    row(
        "level 1 siblings",
        &[
            ("opening-root-mismatch", "level 1"),
            ("opening-unexpected-end", "level 1 siblings"),
            ("opening-trailing-bytes", "end"),
        ],
        end("level 1 siblings"),
    ),
];

/// The further trees: states.
const TREES: &[[Row; 3]] = &[
    trees("tree 1", ["tree 1 row columns", "tree 1 row salt", "tree 1 siblings"], ["tree 1 row", "tree 1 siblings"]),
    trees("tree 2", ["tree 2 row columns", "tree 2 row salt", "tree 2 siblings"], ["tree 2 row", "tree 2 siblings"]),
];

const fn trees(_: &'static str, fields: [&'static str; 3], at: [&'static str; 2]) -> [Row; 3] {
    const REFUSED: &[(&str, &str)] = &[("opening-root-mismatch", "tree *"), ("opening-not-canonical", "tree *")];
    [row(fields[0], REFUSED, end(at[0])), row(fields[1], REFUSED, end(at[0])), row(fields[2], REFUSED, end(at[1]))]
}

fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        Some((head, tail)) => text.starts_with(head) && text.ends_with(tail),
        None => pattern == text,
    }
}

/// Positions to change: all of a short list; of a long one the first, the last and some between.
fn sample(positions: &[usize], numbers: &mut Numbers) -> Vec<usize> {
    if positions.len() <= 24 || std::env::var("TAMPER").is_ok_and(|t| t == "full") {
        return positions.to_vec();
    }
    let mut some: BTreeSet<usize> = positions[..6].iter().chain(&positions[positions.len() - 6..]).copied().collect();
    some.extend((0..8).map(|_| positions[(numbers.word() % positions.len() as u64) as usize]));
    some.into_iter().collect()
}

/// Runs the manifest over one proof; `fixed` is where its opening begins.
fn run(what: &str, bytes: &[u8], rows: &[Row], opening: impl Fn(&[Field]) -> usize, verify: impl Fn(&[u8]) -> Verdict) {
    let (verdict, fields) = traced(|| verify(bytes));
    assert_eq!(verdict, Ok(()), "{what}: the untouched proof");
    let fields = placed(fields, &opening);
    let mut covered = 0;
    let mut sorted: Vec<&Field> = fields.iter().collect();
    sorted.sort_by_key(|f| f.offset);
    for field in sorted {
        assert_eq!(field.offset, covered, "{what}: nobody reads the bytes before {}", field.name);
        covered += field.len;
    }
    assert_eq!(covered, bytes.len(), "{what}: nobody reads the last bytes");

    let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (position, field) in fields.iter().enumerate() {
        by_name.entry(&field.name).or_default().push(position);
    }
    for row in rows {
        assert!(by_name.contains_key(row.field), "{what}: a row for no field: {}", row.field);
    }
    let mut numbers = Numbers(41);
    let mut wrong = Vec::new();
    let mut tried = 0;
    for (name, positions) in by_name {
        let matching: Vec<&Row> = rows.iter().filter(|r| r.field == name).collect();
        let [row] = matching[..] else { panic!("{what}: {} rows for the field {name}", matching.len()) };
        for at in sample(&positions, &mut numbers) {
            for change in CHANGES {
                let Some(tampered) = changed(bytes, &fields, at, change) else { continue };
                tried += 1;
                let mut expected = if change == Change::Truncate { vec![row.truncated] } else { row.refused.to_vec() };
                // What is too much after the last row or sibling of a tree is read as the next message.
                let is_last = positions.last() == Some(&at);
                if is_last && matches!(change, Change::Duplicate | Change::Extend) {
                    let next = fields.iter().find(|f| f.offset == fields[at].offset + fields[at].len);
                    let next = next.and_then(|n| rows.iter().find(|r| r.field == n.name));
                    expected.extend(next.map_or(&[][..], |r| r.refused));
                }
                match verify(&tampered) {
                    Err((code, place)) if expected.iter().any(|(c, p)| *c == code && fits(p, &place)) => {}
                    other => wrong.push(format!("{what}: {change:?} of {name} #{at}: {other:?}")),
                }
            }
        }
    }
    wrong.truncate(40);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{what}: {tried} changes of {} fields refused", fields.len());
}

/// Offsets of fields from the start of the proof: root, scalars and opening each count from their own.
fn placed(fields: Vec<Field>, opening: &impl Fn(&[Field]) -> usize) -> Vec<Field> {
    let start = opening(&fields);
    let [rows, stated] = stated_len(&fields);
    let is_scalar = |name: &str| ["lookup ", "equation ", "one-hot ", "product "].iter().any(|p| name.starts_with(p));
    fields
        .into_iter()
        .map(|field| {
            let base = match field.name.as_str() {
                name if name.starts_with("row ") || name == BASE_TREE.field => 0,
                name if name == LOSS.field => rows,
                "witness root" => stated,
                name if is_scalar(name) => stated + 32,
                _ => start,
            };
            Field { offset: field.offset + base, ..field }
        })
        .collect()
}

/// Bytes of the rows at the start of a step's proof, and of rows and loss.
fn stated_len(fields: &[Field]) -> [usize; 2] {
    let rows = fields.iter().filter(|f| f.name.starts_with("row ")).map(|f| f.len).sum();
    [rows, rows + fields.iter().filter(|f| f.name == LOSS.field).map(|f| f.len).sum::<usize>()]
}

/// Where the opening of a proof begins: after rows, root and scalars.
fn after_scalars(fields: &[Field]) -> usize {
    let scalars = ["lookup ", "equation ", "one-hot ", "product "];
    32 + stated_len(fields)[1]
        + fields.iter().filter(|f| scalars.iter().any(|p| f.name.starts_with(p))).map(|f| f.len).sum::<usize>()
}

#[test]
fn step() {
    let t = &WORLD.tiny;
    let context = Context::new(&t.run).expect("a context");
    let rows: Vec<Row> = ARGUMENT.iter().chain(OPENING).chain(TREES.iter().flatten()).copied().collect();
    run("step", &t.proofs[1], &rows, after_scalars, |bytes| {
        context.verify_step(2, t.roots[1], t.roots[2], bytes).map(|_| ()).map_err(|e| of_step(&e))
    });
}

#[test]
fn step_with_its_loss() {
    let world = World::Disclosing.prove();
    let t = &world.tiny;
    let context = Context::new(&t.run).expect("a context");
    let rows: Vec<Row> = ARGUMENT.iter().chain([&LOSS]).chain(OPENING).chain(TREES.iter().flatten()).copied().collect();
    run("step with its loss", &t.proofs[1], &rows, after_scalars, |bytes| {
        context.verify_step(2, t.roots[1], t.roots[2], bytes).map(|_| ()).map_err(|e| of_step(&e))
    });
}

#[test]
fn release() {
    let t = &WORLD.tiny;
    let context = Context::new(&t.run).expect("a context");
    let (bytes, _) = release_of(&context, &t.states[2], 2);
    let copies = copies(&context, &t.states[2]);
    let file = adapter_of(&context, &t.states[2]);
    let digest = sha256(&file);
    let rows: Vec<Row> = RELEASE.iter().chain(OPENING).chain(&TREES[0]).copied().collect();
    run("release", &bytes, &rows, after_scalars, |bytes| {
        context.verify_release(t.roots[2], &copies, &digest, bytes).map_err(|e| of_step(&e))
    });
}

#[test]
fn settlement_of_the_base() {
    let t = &WORLD.tiny;
    let context = Context::new(&t.run).expect("a context");
    run(
        "settlement",
        &t.settlement,
        &[&[BASE_TREE], OPENING].concat(),
        |_| 32,
        |bytes| {
            settlement::verify(&t.run, &context.profile, context.shapes.base, &t.claims, bytes).map_err(|e| match e {
                SettlementRefused::Truncated { .. } => ("VT-PROOF-001", "length".to_owned()),
                SettlementRefused::Base => ("VT-PROOF-004", "base tree".to_owned()),
                SettlementRefused::Opening(e) => of_opening(&e),
            })
        },
    );
}
