//! The tape, the differentiable [`Tensor`] and the functional transforms of
//! [tapegrad](https://docs.rs/tapegrad).
//!
//! A tensor that requires a gradient records every operation it takes part in on its thread's
//! tape; [`Tensor::backward`] walks the record back. Rules are written in differentiable tensor
//! operations, so that `grad_with` of a gradient gives derivatives of any order.

mod anomaly;
mod any;
mod archives;
mod backward;
mod by_row;
mod check;
mod checkpoint;
mod cotangent;
mod create;
mod directions;
mod entries;
mod files;
mod forward;
mod function;
mod functional;
mod fused;
mod gradient;
mod graph;
mod interop;
mod linearize;
mod loops;
mod mode;
mod node;
mod once;
mod op;
mod op_many;
mod ops;
pub mod params;
mod reads;
mod replay;
mod rows;
pub mod tape;
mod tensor;
mod together;

pub use anomaly::detect_anomaly;
pub use any::AnyTensor;
pub use archives::{
    load_npz, load_safetensors, map_safetensors, safetensors_metadata, save_npz, save_npz_compressed,
    save_safetensors, save_safetensors_with,
};
pub use backward::{GradOptions, grad, grad_with};
#[doc(hidden)]
pub use by_row::{ByRow, Parted};
pub use check::{CheckReport, Difference, OpCheck, check_op, gradcheck, gradgradcheck};
pub use checkpoint::checkpoint;
pub use create::{Nested, TypedConstructors, arange, arange_on, geomspace, linspace, logspace};
#[doc(hidden)]
pub use entries::Entries;
pub use functional::{hessian, hvp, jacobian, jvp, jvp_batched, value_and_grad, vjp, vjp_batched};
pub use fused::{Condition, Expr, Fused, fused};
pub use gradient::Hook;
pub use graph::{Graph, Vertex};
pub use linearize::{Linearized, LinearizedGradient, linearize, linearize_gradient};
#[doc(hidden)]
pub use loops::Expressions;
pub use loops::{Steps, scan, scan_checkpointed};
#[doc(hidden)]
pub use mode::for_line;
pub use mode::{enable_grad, is_grad_enabled, no_grad};
pub use op::{Keep, Kept, Op, apply, apply_at, apply_owned, apply_owned_at};
pub use op_many::{KeepMany, OpMany, apply_many, apply_many_at};
#[doc(hidden)]
pub use ops::Listed;
pub use ops::{
    AsTensor, HistogramOptions, Indices, LossOptions, Operand, Reduce, Reduction, Target, Targets, Variables,
};
pub use params::Params;
pub use replay::{Replayed, replayed};
pub use rows::{Chunks, RowReader, rows, rows_of, rows_of_safetensors};
#[doc(hidden)]
pub use tensor::InBrackets;
pub use tensor::Tensor;
/// The crate of arrays and kernels.
pub use tensor_core;
pub use tensor_core::Float;
pub use together::{value_and_jacobian, value_grad_hessian, value_grad_hvp};
