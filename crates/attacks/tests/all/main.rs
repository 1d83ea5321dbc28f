//! Every attack and every test of the attacks in one program, which links once; what measures memory has its own.

#[cfg(feature = "mutation-testing")]
mod absorption;
mod adapter_limits;
mod certificate;
mod document;
mod every_proof;
mod findings;
mod free;
mod inputs;
mod last_master;
#[cfg(feature = "mutation-testing")]
mod places;
mod protocol;
mod ranges;
mod recipe;
mod run;
mod scales;
#[cfg(feature = "mutation-testing")]
mod second;
mod step;
#[cfg(feature = "mutation-testing")]
mod tamper;
