//! Every attack of the catalogue: refused, named, and accepted without the checks that name it.

use std::collections::BTreeSet;
use veritune_attacks::{Attack, Caught, Cheat, SETTLEMENT, STEP_ATTACKS, Setting, prove_and_verify, violated, without};
use veritune_executor::Tensors;

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        Some((head, tail)) => name.starts_with(head) && name.ends_with(tail),
        None => pattern == name,
    }
}

/// What is wrong with an attack's row, if anything.
fn examine(setting: &Setting, honest: &Tensors<i64>, attack: &Attack) -> Result<(), String> {
    let mut cheat = Cheat::new(setting, honest);
    (attack.cheat)(&mut cheat);
    let tensors = cheat.run().map_err(|e| format!("cannot be executed: {e}"))?;
    if tensors == *honest {
        return Err("changes nothing".into());
    }
    let program = &setting.program;
    let seen: BTreeSet<String> = violated(program, &tensors);
    let verdict = prove_and_verify(program, program, &tensors, Some(honest));
    let checks = match attack.caught {
        Caught::Checks(checks) => checks,
        Caught::Settlement => {
            if !seen.is_empty() {
                return Err(format!("seen by {seen:?}"));
            }
            if verdict != Err(SETTLEMENT.into()) {
                return Err(format!("verdict {verdict:?}"));
            }
            return prove_and_verify(program, program, &tensors, None)
                .map_err(|code| format!("refused without settlement: {code}"));
        }
        Caught::NoEffect => {
            return if seen.is_empty() && verdict.is_ok() {
                Ok(())
            } else {
                Err(format!("{verdict:?}, seen by {seen:?}"))
            };
        }
    };
    let unexpected: Vec<_> = seen.iter().filter(|n| !checks.iter().any(|c| matches(c, n))).collect();
    let silent: Vec<_> = checks.iter().filter(|c| !seen.iter().any(|n| matches(c, n))).collect();
    if !unexpected.is_empty() || !silent.is_empty() {
        return Err(format!("seen by {seen:?}; silent {silent:?}"));
    }
    if verdict.as_ref().err().map(String::as_str) != attack.refused() {
        return Err(format!("{verdict:?}"));
    }
    #[cfg(feature = "mutation-testing")]
    {
        let stopped_by = attack.stopped_by(|c| program.equations.iter().any(|e| matches(c, &e.name)));
        veritune_mutation::without(&stopped_by, || prove_and_verify(program, program, &tensors, Some(honest)))
            .map_err(|code| format!("refused by {code} without {stopped_by:?}"))?;
    }
    let blind = without(program, checks);
    prove_and_verify(&blind, &blind, &tensors, Some(honest))
        .map_err(|code| format!("refused without its checks: {code}"))
}

fn examine_all(setting: &Setting) {
    let honest = setting.execute(&setting.program).expect("the honest step");
    assert_eq!(violated(&setting.program, &honest), BTreeSet::new());
    prove_and_verify(&setting.program, &setting.program, &honest, Some(&honest)).expect("the honest proof");
    let unclipped = honest.get(setting.program.find("clip.active").expect("a tensor"))[0] == 0;
    let attacks: Vec<&Attack> =
        STEP_ATTACKS.iter().copied().flatten().filter(|a| a.is_unclipped() == unclipped).collect();
    assert!(!attacks.is_empty());
    let examine_half = |half: usize| -> Vec<String> {
        let failed = |a: &&Attack| examine(setting, &honest, a).err().map(|e| format!("{}: {e}", a.name));
        attacks.iter().copied().skip(half).step_by(2).filter_map(|a| failed(&a)).collect()
    };
    let mut failures = Vec::new();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| examine_half(1));
        failures = examine_half(0);
        failures.extend(other.join().expect("the other half"));
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_attack_is_stopped_by_exactly_its_checks() {
    examine_all(&Setting::odd());
}

#[test]
fn attacks_below_the_limit_of_clipping_are_stopped_by_exactly_their_checks() {
    examine_all(&Setting::unclipped());
}
