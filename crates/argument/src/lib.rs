//! Reduction of equations and lookups to claims on committed vectors: the one verifier over a context.
