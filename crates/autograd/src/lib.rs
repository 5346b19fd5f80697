//! The tape, the differentiable tensor and the functional transforms of tapegrad.
