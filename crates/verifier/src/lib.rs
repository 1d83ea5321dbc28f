//! Checks certificates; links neither prover nor executor.
