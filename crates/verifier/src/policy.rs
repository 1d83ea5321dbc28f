//! What a verifier's user demands of a certificate: a small YAML file, or the default.
//!
//! ```yaml
//! schema: veritune.policy/v1
//! claims:                                       # kind: the words that are accepted for it
//!   training: [zk-proof]      # all steps of the plan
//!   data: [zk-proof]
//!   base: [zk-proof]          # settled
//!   adapter-file: [zk-proof]
//! signer: named                                 # or any
//! adapter_file: checked                         # or hidden: claims about a commitment, no file is read
//! signed_plan: false                            # true: the plan itself is signed
//! beacon: [demo, drand-quicknet]
//! disclosed: [loss, data]                       # absent: nothing need be disclosed; order and adapter too
//! base_root: 5f…                                # absent: any base
//! dataset_root: 07…                             # absent: any dataset
//! ```
//!
//! A field that is absent has the value above. A policy demands; it switches no check off, except that of a file that
//! it says is hidden. No word implies another, so a policy lists those that it accepts.

use crate::codes::{POLICY_CLAIM, POLICY_DISCLOSED, POLICY_EVIDENCE, POLICY_FORM, POLICY_SUBJECT};
use crate::disclosure::demandable;
use saphyr::{LoadableYamlNode as _, Mapping, Scalar, Yaml};
use saphyr_parser::{Event, Parser};
use serde::Serialize;
use std::collections::BTreeMap;
use veritune_envelope::statement::{Claim, Disclosure, Word};
use veritune_envelope::{Digest, Refusal};

/// The schema of a policy file.
pub const SCHEMA: &str = "veritune.policy/v1";
/// Longest policy.
pub const MAX_POLICY_BYTES: usize = 1 << 16;
/// Deepest nesting; a policy has three levels.
const MAX_NESTING: usize = 8;

/// The claim about the adapter file.
pub const ADAPTER_FILE: &str = "adapter-file";
/// Every kind of claim that this version's certificates make.
pub const KINDS: [&str; 4] = ["training", "data", "base", ADAPTER_FILE];
/// What a maker may disclose or hide.
const CHOICES: [&str; 4] = ["loss", "order", "data", "adapter"];
const BEACONS: [&str; 2] = [crate::seed::DEMO, crate::seed::QUICKNET];

/// What must hold for exit 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// Kinds that are demanded, with the words that are accepted for each.
    pub claims: BTreeMap<String, Vec<Word>>,
    /// Whether a signer that nobody named is accepted.
    pub any_signer: bool,
    /// Whether the adapter's files are left out.
    pub hidden_file: bool,
    /// Whether the plan must be signed.
    pub signed_plan: bool,
    /// Beacons that are accepted.
    pub beacon: Vec<String>,
    /// What must be disclosed.
    pub disclosed: Vec<String>,
    /// The only base that is accepted.
    pub base_root: Option<Digest>,
    /// The only dataset that is accepted.
    pub dataset_root: Option<Digest>,
}

impl Default for Policy {
    fn default() -> Self {
        let proofs = vec![Word::ZkProof];
        Self {
            claims: KINDS.iter().map(|kind| ((*kind).to_owned(), proofs.clone())).collect(),
            any_signer: false,
            hidden_file: false,
            signed_plan: false,
            beacon: BEACONS.map(str::to_owned).to_vec(),
            disclosed: Vec::new(),
            base_root: None,
            dataset_root: None,
        }
    }
}

fn refuse(field: &str, expected: &str, got: &str) -> Refusal {
    Refusal::new(POLICY_FORM, field, expected, got)
}

/// The text of a scalar. A root of digits only is a number to YAML and needs quotes.
fn text<'a>(node: &'a Yaml<'_>, field: &str) -> Result<&'a str, Refusal> {
    match node {
        Yaml::Value(Scalar::String(text)) => Ok(text),
        Yaml::Value(Scalar::Boolean(true)) => Ok("true"),
        Yaml::Value(Scalar::Boolean(false)) => Ok("false"),
        _ => Err(refuse(field, "a text", "another value")),
    }
}

/// One of the words, by position.
fn choice(node: &Yaml<'_>, field: &str, words: [&str; 2]) -> Result<bool, Refusal> {
    let [no, yes] = words;
    match text(node, field)? {
        word if word == no => Ok(false),
        word if word == yes => Ok(true),
        other => Err(refuse(field, &format!("{no} or {yes}"), other)),
    }
}

fn list<'a, 'b>(node: &'a Yaml<'b>, field: &str) -> Result<&'a [Yaml<'b>], Refusal> {
    match node {
        Yaml::Sequence(items) if !items.is_empty() => Ok(items),
        _ => Err(refuse(field, "a list that is not empty", "another value")),
    }
}

fn mapping<'a, 'b>(node: &'a Yaml<'b>, field: &str) -> Result<&'a Mapping<'b>, Refusal> {
    match node {
        Yaml::Mapping(fields) => Ok(fields),
        _ => Err(refuse(field, "a mapping", "another value")),
    }
}

fn digest(node: &Yaml<'_>, field: &str) -> Result<Digest, Refusal> {
    let hex = text(node, field)?;
    Digest::from_hex(hex).ok_or_else(|| refuse(field, "64 digits of lower-case hex", hex))
}

fn demands(node: &Yaml<'_>) -> Result<BTreeMap<String, Vec<Word>>, Refusal> {
    let mut demands = BTreeMap::new();
    for (kind, words) in mapping(node, "claims")? {
        let kind = text(kind, "claims")?;
        let field = format!("claims.{kind}");
        if !KINDS.contains(&kind) {
            return Err(refuse(&field, &KINDS.join(", "), kind));
        }
        let word = |node: &Yaml<'_>| {
            let name = text(node, &field)?;
            let known = Word::ALL.into_iter().find(|word| word.as_str() == name);
            known.ok_or_else(|| refuse(&field, "a known word", name))
        };
        demands.insert(kind.to_owned(), list(words, &field)?.iter().map(word).collect::<Result<_, _>>()?);
    }
    if demands.is_empty() {
        return Err(refuse("claims", "at least one kind", "none: nothing would be checked"));
    }
    Ok(demands)
}

/// Refuses a text that nests too deep: the reader of the values calls itself for every level.
fn check_nesting(source: &str) -> Result<(), Refusal> {
    let mut nesting = 0_usize;
    for event in Parser::new_from_str(source) {
        match event {
            Ok((Event::SequenceStart(..) | Event::MappingStart(..), _)) => nesting = nesting.saturating_add(1),
            Ok((Event::SequenceEnd | Event::MappingEnd, _)) => nesting = nesting.saturating_sub(1),
            Ok(_) => {}
            // The reader of the values says what is wrong.
            Err(_) => return Ok(()),
        }
        if nesting > MAX_NESTING {
            return Err(refuse("policy", &format!("at most {MAX_NESTING} levels"), "more"));
        }
    }
    Ok(())
}

impl Policy {
    /// The policy in YAML.
    pub fn from_yaml(source: &str) -> Result<Self, Refusal> {
        if source.len() > MAX_POLICY_BYTES {
            return Err(refuse("policy", &format!("at most {MAX_POLICY_BYTES} bytes"), "more"));
        }
        check_nesting(source)?;
        let documents = Yaml::load_from_str(source);
        let documents = documents.map_err(|error| refuse("policy", "YAML", &error.to_string()))?;
        let [document] = documents.as_slice() else {
            return Err(refuse("policy", "one YAML document", "another number"));
        };
        let mut policy = Self::default();
        let mut schema = None;
        for (name, node) in mapping(document, "policy")? {
            let name = text(name, "policy")?;
            match name {
                "schema" => schema = Some(text(node, "schema")?),
                "claims" => policy.claims = demands(node)?,
                "signer" => policy.any_signer = choice(node, "signer", ["named", "any"])?,
                "adapter_file" => policy.hidden_file = choice(node, "adapter_file", ["checked", "hidden"])?,
                "signed_plan" => policy.signed_plan = choice(node, "signed_plan", ["false", "true"])?,
                "beacon" => {
                    let name = |node: &Yaml<'_>| match text(node, "beacon")? {
                        name if BEACONS.contains(&name) => Ok(name.to_owned()),
                        other => Err(refuse("beacon", "demo or drand-quicknet", other)),
                    };
                    policy.beacon = list(node, "beacon")?.iter().map(name).collect::<Result<_, _>>()?;
                }
                "disclosed" => {
                    let name = |node: &Yaml<'_>| match text(node, "disclosed")? {
                        name if CHOICES.contains(&name) => Ok(name.to_owned()),
                        other => Err(refuse("disclosed", "loss, order, data or adapter", other)),
                    };
                    policy.disclosed = list(node, "disclosed")?.iter().map(name).collect::<Result<_, _>>()?;
                }
                "base_root" => policy.base_root = Some(digest(node, "base_root")?),
                "dataset_root" => policy.dataset_root = Some(digest(node, "dataset_root")?),
                other => return Err(refuse(other, "a field of veritune.policy/v1", "an unknown field")),
            }
        }
        if schema != Some(SCHEMA) {
            return Err(refuse("schema", SCHEMA, schema.unwrap_or("none")));
        }
        if policy.hidden_file {
            policy.hide_file();
        }
        Ok(policy)
    }

    /// Leaves the adapter's files out, and what can be said of them only.
    pub fn hide_file(&mut self) {
        self.hidden_file = true;
        self.claims.remove(ADAPTER_FILE);
    }

    /// Accepts iff the verified claims are those that are demanded, about the base and the dataset that are named.
    ///
    /// 1. Base and dataset are those named. 2. Every demanded kind is there with an accepted word, and at least one is
    ///    demanded. 3. The plan is signed if that is demanded. 4. The beacon is an accepted one. 5. What must be disclosed is.
    pub(crate) fn check(&self, evidence: &Evidence<'_>) -> Result<(), Refusal> {
        for (field, named, found) in [
            ("base_root", self.base_root, evidence.base_root),
            ("dataset_root", self.dataset_root, evidence.dataset_root),
        ] {
            if let Some(named) = named.filter(|named| *named != found) {
                Refusal::new(POLICY_SUBJECT, format_args!("policy.{field}"), named, found).raise()?; // 1
            }
        }
        if self.claims.is_empty() {
            Refusal::new(POLICY_CLAIM, "policy.claims", "at least one demanded claim", "none").raise()?; // 2
        }
        for (kind, words) in &self.claims {
            let found = evidence.claims.iter().find(|claim| claim.kind == *kind).map(|claim| claim.word);
            if !found.is_some_and(|word| words.contains(&word)) {
                let words: Vec<_> = words.iter().map(|word| word.as_str()).collect();
                let found = found.map_or("no such claim", Word::as_str);
                Refusal::new(POLICY_CLAIM, format_args!("claim {kind}"), words.join(" or "), found).raise()?;
            }
        }
        if self.signed_plan && !evidence.plan_is_signed {
            Refusal::new(POLICY_EVIDENCE, "plan.sigstore.json", "a signed plan", "none").raise()?; // 3
        }
        if !self.beacon.iter().any(|name| name == evidence.beacon) {
            Refusal::new(POLICY_EVIDENCE, "seed.json beacon", self.beacon.join(" or "), evidence.beacon).raise()?; // 4
        }
        let shown = demandable(evidence.disclosure);
        if let Some(name) = self.disclosed.iter().find(|name| !shown.iter().any(|(n, public)| n == name && *public)) {
            Refusal::new(POLICY_DISCLOSED, format_args!("disclosure {name}"), "public", "hidden").raise()?; // 5
        }
        Ok(())
    }
}

/// What was verified, as far as a policy asks for it.
pub(crate) struct Evidence<'a> {
    pub claims: &'a [Claim],
    pub plan_is_signed: bool,
    pub disclosure: &'a Disclosure,
    pub beacon: &'a str,
    pub base_root: Digest,
    pub dataset_root: Digest,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::claims;
    use crate::disclosure::disclosure;
    use veritune_relations::spec::{Disclose, Visibility};

    const ROOT: &str = "a111111111111111111111111111111111111111111111111111111111111111";

    fn yaml(rest: &str) -> Result<Policy, Refusal> {
        Policy::from_yaml(&format!("schema: {SCHEMA}\n{rest}"))
    }

    #[test]
    fn the_default_is_what_an_empty_policy_says() {
        let policy = yaml("").unwrap();
        assert_eq!(policy, Policy::default());
        assert_eq!(policy.claims.len(), KINDS.len());
        let all = yaml(&format!(
            "claims: {{training: [zk-proof]}}\nsigner: any\nadapter_file: hidden\nsigned_plan: true\n\
             beacon: [drand-quicknet]\ndisclosed: [data, loss]\nbase_root: {ROOT}\ndataset_root: '{ROOT}'\n"
        ))
        .unwrap();
        assert_eq!(all.claims, BTreeMap::from([("training".to_owned(), vec![Word::ZkProof])]));
        assert_eq!(all.disclosed, ["data", "loss"]);
        assert!(all.any_signer && all.hidden_file && all.signed_plan);
        assert_eq!((all.base_root, all.dataset_root), (Digest::from_hex(ROOT), Digest::from_hex(ROOT)));
    }

    #[test]
    fn a_malformed_policy_is_unusable() {
        let anchors = "claims: {training: &a [zk-proof], data: *a}";
        assert!(yaml(anchors).is_ok());
        for wrong in [
            "unknown: 1",
            "signer: anyone",
            "signer: [any]",
            "signed_plan: yes",
            "claims: {}",
            "claims: [training]",
            "claims: {loss: [zk-proof]}",
            "claims: {training: []}",
            "claims: {training: [proof]}",
            "claims: {training: zk-proof}",
            "beacon: []",
            "beacon: [coin]",
            "disclosed: []",
            "disclosed: [base]",
            "disclosed: loss",
            "base_root: 11",
            "base_root: 11a",
            "signer: any\nsigner: any",
            "signer: any\n'signer': named",
            "schema: veritune.policy/v1",
            "signer: 'any",
            "---\nsigner: any",
        ] {
            let refusal = yaml(wrong).unwrap_err();
            assert_eq!(refusal.code(), POLICY_FORM, "{wrong}");
        }
        for wrong in ["", "signer: any", "schema: veritune.policy/v2", "[]"] {
            assert_eq!(Policy::from_yaml(wrong).unwrap_err().code(), POLICY_FORM, "{wrong}");
        }
        assert_eq!(yaml(&" ".repeat(MAX_POLICY_BYTES)).unwrap_err().code(), POLICY_FORM);
        // As deep as a policy's length allows: in a block every level takes two bytes.
        for level in ["- ", "? ", "[", "{a: "] {
            let deep = level.repeat(MAX_POLICY_BYTES / level.len());
            assert_eq!(Policy::from_yaml(&deep).unwrap_err().code(), POLICY_FORM, "{level}");
        }
    }

    #[test]
    fn each_demand_is_checked() {
        let disclose = Disclose { loss: Visibility::Public, ..Disclose::default() };
        let (claims, disclosure) = (claims(3, &disclose), disclosure(&disclose, None));
        let root = Digest::from_hex(ROOT).unwrap();
        let evidence = |plan_is_signed, beacon| Evidence {
            claims: &claims,
            plan_is_signed,
            disclosure: &disclosure,
            beacon,
            base_root: root,
            dataset_root: root,
        };
        let judge = |rest: &str| yaml(rest).unwrap().check(&evidence(false, "demo")).map_err(|r| r.code());
        assert_eq!(judge(""), Ok(()));
        assert_eq!(judge("claims: {training: [bitwise-replay]}"), Err(POLICY_CLAIM));
        assert_eq!(judge("claims: {data: [self-declared, zk-proof]}"), Ok(()));
        assert_eq!(judge(&format!("base_root: {ROOT}\ndataset_root: {ROOT}")), Ok(()));
        let other = ROOT.replacen('a', "b", 1);
        assert_eq!(judge(&format!("base_root: {other}")), Err(POLICY_SUBJECT));
        assert_eq!(judge(&format!("dataset_root: {other}")), Err(POLICY_SUBJECT));
        assert_eq!(judge("signed_plan: true"), Err(POLICY_EVIDENCE));
        assert_eq!(judge("beacon: [drand-quicknet]"), Err(POLICY_EVIDENCE));
        assert_eq!(judge("disclosed: [loss, adapter]"), Ok(()));
        assert_eq!(judge("disclosed: [loss, data]"), Err(POLICY_DISCLOSED));
        assert_eq!(judge("disclosed: [order]"), Err(POLICY_DISCLOSED));
        let hidden = crate::disclosure::disclosure(&Disclose { adapter: Visibility::Hidden, ..disclose }, None);
        let hidden = Evidence { disclosure: &hidden, ..evidence(false, "demo") };
        let demand = yaml("disclosed: [adapter]").unwrap();
        assert_eq!(demand.check(&hidden).unwrap_err().code(), POLICY_DISCLOSED);
        let strict = yaml("signed_plan: true\nbeacon: [drand-quicknet]").unwrap();
        assert_eq!(strict.check(&evidence(true, "drand-quicknet")), Ok(()));
        let mut nothing = yaml("claims: {adapter-file: [zk-proof]}").unwrap();
        nothing.hide_file();
        assert_eq!(nothing.check(&evidence(true, "demo")).unwrap_err().code(), POLICY_CLAIM);
    }
}
