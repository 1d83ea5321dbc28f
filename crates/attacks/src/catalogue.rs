//! The attacks on a step, as data.
//!
//! Each entry names the checks that must see it, and no others do: removing exactly these makes the attack pass.

mod adaptive;
mod backward;
mod balanced;
mod certificate;
mod forward;
mod hidden_adapter;
mod loss;
mod masked;
mod opening;
mod optimizer;
mod policy;
mod protocol;
mod replay;
mod statement;
mod witness;
mod world;

use crate::Cheat;
pub use certificate::{CERTIFICATE_ATTACKS, CertificateAttack};
pub use policy::{UNMET_DEMANDS, UnmetDemand};
pub use protocol::{HONEST, Honest, PROTOCOL_ATTACKS, ProtocolAttack};
pub use world::World;

/// The check of the value of the functional that is opened.
pub(crate) const OPENING_SUM: &str = "opening-sumcheck-claim";

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
    &[forward::ATTACKS, loss::ATTACKS, backward::ATTACKS, optimizer::ATTACKS, optimizer::UNCLIPPED, witness::ATTACKS];

impl Attack {
    /// Whether the attack needs gradients below the limit of clipping.
    pub fn is_unclipped(&self) -> bool {
        optimizer::UNCLIPPED.iter().any(|a| a.name == self.name)
    }

    /// The code that a verifier reports. Behind masks every false equation, of whatever check, is a false value of the one
    /// functional that is opened.
    pub fn refused(&self) -> Option<&'static str> {
        match self.caught {
            Caught::Checks(_) => Some(OPENING_SUM),
            Caught::Settlement => Some("VT-RUN-008"),
            Caught::NoEffect => None,
        }
    }

    /// The checks of the protocol without which, and with no fewer, the attack passes. A batched sumcheck does not name the
    /// equation. A false lookup leaves the sum of all fractions different from zero; a false equation leaves the functional
    /// of all linear terms different from what the rounds of the others prove.
    pub fn stopped_by(&self, is_equation: impl Fn(&str) -> bool) -> Vec<&'static str> {
        match self.caught {
            Caught::Checks(checks) => {
                let lookups = checks.iter().any(|c| !is_equation(c)).then_some("VT-ARG-001");
                let equations = checks.iter().any(|c| is_equation(c)).then_some(OPENING_SUM);
                lookups.into_iter().chain(equations).collect()
            }
            Caught::Settlement => vec!["VT-RUN-008"],
            Caught::NoEffect => Vec::new(),
        }
    }
}
