//! `adapter_config.json` as a function of the LoRA options: PEFT's fields, one text.
//!
//! The text is what Python's `json.dumps(config, indent=2, sort_keys=True)` gives, the form in which PEFT saves, with
//! `target_modules` sorted (PEFT's order is that of a set) and no newline at the end. Names are printable ASCII, so
//! that nothing needs an escape. `lora_dropout` is PEFT's own float: it is written literally and never read as one.

use super::names::Module;
use crate::codes::{CONFIG_BYTES, CONFIG_FIELD};
use crate::verdict::Refusal;
use std::collections::BTreeSet;
use std::fmt::Display;

/// The options that vary; every other field of PEFT's configuration has one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterConfig {
    /// PEFT's `base_model_name_or_path`. It names the base; the base commitment binds it.
    pub base_model_name_or_path: String,
    /// PEFT's `r`.
    pub r: u32,
    /// PEFT's `lora_alpha`.
    pub lora_alpha: u32,
    /// PEFT's `use_rslora`: the scale is `lora_alpha / sqrt(r)`.
    pub use_rslora: bool,
    /// PEFT's `target_modules`.
    pub target_modules: BTreeSet<Module>,
}

impl AdapterConfig {
    /// The file's bytes; refused if an option has no canonical form.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Refusal> {
        self.check_options()?;
        let targets: BTreeSet<&str> = self.target_modules.iter().map(|module| module.target()).collect();
        let targets: Vec<String> = targets.iter().map(|target| format!("    \"{target}\"")).collect();
        let fields = [
            ("alpha_pattern", "{}".to_owned()),
            ("base_model_name_or_path", format!("\"{}\"", self.base_model_name_or_path)),
            ("bias", "\"none\"".to_owned()),
            ("fan_in_fan_out", "false".to_owned()),
            ("inference_mode", "true".to_owned()),
            ("init_lora_weights", "true".to_owned()),
            ("lora_alpha", self.lora_alpha.to_string()),
            ("lora_dropout", "0.0".to_owned()),
            ("modules_to_save", "null".to_owned()),
            ("peft_type", "\"LORA\"".to_owned()),
            ("r", self.r.to_string()),
            ("rank_pattern", "{}".to_owned()),
            ("revision", "null".to_owned()),
            ("target_modules", format!("[\n{}\n  ]", targets.join(",\n"))),
            ("task_type", "\"CAUSAL_LM\"".to_owned()),
            ("use_dora", "false".to_owned()),
            ("use_rslora", self.use_rslora.to_string()),
        ];
        let lines: Vec<String> = fields.iter().map(|(name, value)| format!("  \"{name}\": {value}")).collect();
        Ok(format!("{{\n{}\n}}", lines.join(",\n")).into_bytes())
    }

    /// Accepts iff `bytes` are this configuration's file; else names the first line that differs.
    pub fn check(&self, bytes: &[u8]) -> Result<(), Refusal> {
        let expected = self.to_bytes()?;
        if bytes == expected {
            return Ok(());
        }
        let mut ours = expected.split(|byte| *byte == b'\n');
        let mut theirs = bytes.split(|byte| *byte == b'\n');
        let mut number = 1usize;
        loop {
            let (expected, got) = (ours.next(), theirs.next());
            if expected != got || expected.is_none() {
                let shown = |line: Option<&[u8]>| {
                    line.map_or("the end of the file".into(), String::from_utf8_lossy).into_owned()
                };
                let location = format!("line {number}");
                return Refusal::new(CONFIG_BYTES, location, shown(expected), shown(got)).raise();
            }
            number = number.saturating_add(1);
        }
    }

    fn check_options(&self) -> Result<(), Refusal> {
        let refuse =
            |field: &str, expected: &str, got: &dyn Display| Err(Refusal::new(CONFIG_FIELD, field, expected, got));
        let plain =
            |text: &str| !text.is_empty() && text.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\');
        if !plain(&self.base_model_name_or_path) {
            let expected = "printable ASCII without `\"` and `\\`";
            return refuse("base_model_name_or_path", expected, &self.base_model_name_or_path);
        }
        if self.target_modules.is_empty() {
            return refuse("target_modules", "at least one module", &"none");
        }
        for (field, value) in [("r", self.r), ("lora_alpha", self.lora_alpha)] {
            if value == 0 {
                return refuse(field, "a positive number", &0);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> AdapterConfig {
        AdapterConfig {
            base_model_name_or_path: "example/base-135M".to_owned(),
            r: 8,
            lora_alpha: 16,
            use_rslora: false,
            target_modules: Module::ALL.into(),
        }
    }

    const TEXT: &str = r#"{
  "alpha_pattern": {},
  "base_model_name_or_path": "example/base-135M",
  "bias": "none",
  "fan_in_fan_out": false,
  "inference_mode": true,
  "init_lora_weights": true,
  "lora_alpha": 16,
  "lora_dropout": 0.0,
  "modules_to_save": null,
  "peft_type": "LORA",
  "r": 8,
  "rank_pattern": {},
  "revision": null,
  "target_modules": [
    "down_proj",
    "gate_proj",
    "k_proj",
    "o_proj",
    "q_proj",
    "up_proj",
    "v_proj"
  ],
  "task_type": "CAUSAL_LM",
  "use_dora": false,
  "use_rslora": false
}"#;

    #[test]
    fn one_text() {
        assert_eq!(String::from_utf8(example().to_bytes().unwrap()).unwrap(), TEXT);
        example().check(TEXT.as_bytes()).unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(TEXT).is_ok());
    }

    /// Each line dropped, doubled or changed is named by its number.
    #[test]
    fn tampered_lines() {
        let lines: Vec<&str> = TEXT.lines().collect();
        for at in 0..lines.len() {
            let mut dropped = lines.clone();
            dropped.remove(at);
            let mut doubled = lines.clone();
            doubled.insert(at, lines[at]);
            let changed_line = format!("{} ", lines[at]);
            let mut changed = lines.clone();
            changed[at] = &changed_line;
            for (tampered, number) in [(dropped, at + 1), (doubled, at + 2), (changed, at + 1)] {
                let refusal = example().check(tampered.join("\n").as_bytes()).unwrap_err();
                assert_eq!(refusal.code(), CONFIG_BYTES);
                assert_eq!(refusal.location(), format!("line {number}"));
            }
        }
        for (from, to) in [
            ("0.0", "0.1"),
            ("0.0", "0"),
            ("\"use_dora\": false", "\"use_dora\": true"),
            ("\"r\": 8", "\"r\": 9"),
            ("}", "}\n"),
            ("\n", "\r\n"),
        ] {
            let refusal = example().check(TEXT.replace(from, to).as_bytes()).unwrap_err();
            assert_eq!(refusal.code(), CONFIG_BYTES);
        }
    }

    #[test]
    fn options_without_a_canonical_form() {
        let cases: [fn(&mut AdapterConfig); 6] = [
            |config| config.r = 0,
            |config| config.lora_alpha = 0,
            |config| config.target_modules.clear(),
            |config| config.base_model_name_or_path.clear(),
            |config| config.base_model_name_or_path.push('"'),
            |config| config.base_model_name_or_path.push('é'),
        ];
        for change in cases {
            let mut config = example();
            change(&mut config);
            assert_eq!(config.to_bytes().unwrap_err().code(), CONFIG_FIELD);
        }
    }
}
