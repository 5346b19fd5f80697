//! Absurd arguments: an error before work begins.
