//! Differentiable linear algebra of tapegrad.
