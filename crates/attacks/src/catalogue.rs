//! The attacks on a step, as data.
//!
//! Each entry names the checks that must see it, and no others do: removing exactly these makes the attack pass.

mod backward;
mod forward;
mod loss;
mod optimizer;
mod witness;

use crate::Cheat;

/// What sees an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caught {
    /// Exactly these equations, lookups and ranges of the program (`*` stands for any text).
    Checks(&'static [&'static str]),
    /// No check of the step: the settlement of its claims on the base.
    Settlement,
    /// Nothing, because it has no effect on what is proved.
    NoEffect,
}

/// One attack.
pub struct Attack {
    /// What the prover does.
    pub name: &'static str,
    /// Which part of the step it attacks.
    pub section: &'static str,
    /// What sees it.
    pub caught: Caught,
    /// How it is done.
    pub cheat: fn(&mut Cheat<'_>),
}

impl std::fmt::Debug for Attack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attack").field("name", &self.name).field("caught", &self.caught).finish()
    }
}

const fn attack(
    section: &'static str,
    name: &'static str,
    checks: &'static [&'static str],
    cheat: fn(&mut Cheat<'_>),
) -> Attack {
    Attack { name, section, caught: Caught::Checks(checks), cheat }
}

/// All attacks on a step, in the order of the computation.
pub const STEP_ATTACKS: &[&[Attack]] =
    &[forward::ATTACKS, loss::ATTACKS, backward::ATTACKS, optimizer::ATTACKS, witness::ATTACKS];
