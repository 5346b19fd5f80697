//! Losses with their options.

use super::{Call, Operation, malformed, one};
use tapegrad::prelude::*;
use tapegrad::{LossOptions, Reduction};

/// The operations of this file.
pub fn operations<T: Float>() -> &'static [Operation<T>] {
    &[
        ("mse_loss_with", |c| one(c.input()?.mse_loss_with(c.float("target")?, options(c)?)?)),
        ("l1_loss_with", |c| one(c.input()?.l1_loss_with(c.float("target")?, options(c)?)?)),
        ("huber_loss_with", |c| {
            one(c.input()?.huber_loss_with(c.float("target")?, c.number("delta")?, options(c)?)?)
        }),
        ("smooth_l1_loss_with", |c| {
            one(c.input()?.smooth_l1_loss_with(c.float("target")?, c.number("beta")?, options(c)?)?)
        }),
        ("kl_div", |c| one(c.input()?.kl_div_with(c.float("target")?, options(c)?)?)),
        ("kl_div_log_target", |c| {
            one(c
                .input()?
                .kl_div_with(c.float("target")?, LossOptions { log_target: true, ..options(c)? })?)
        }),
        ("cross_entropy_shares", |c| one(c.input()?.cross_entropy_with(c.float("target")?, options(c)?)?)),
        ("bce_with", |c| {
            one(c.input()?.binary_cross_entropy_with_logits_with(c.float("target")?, options(c)?)?)
        }),
        ("nll_loss", |c| one(c.input()?.nll_loss_with(c.integers("target")?, options(c)?)?)),
        ("cross_entropy_with", |c| one(c.input()?.cross_entropy_with(c.integers("target")?, options(c)?)?)),
    ]
}

fn options<'a, T: Float>(c: &'a Call<T>) -> Result<LossOptions<'a, T>> {
    let reduction = match &c.text("reduction")?[..] {
        "mean" => Reduction::Mean,
        "sum" => Reduction::Sum,
        "none" => Reduction::None,
        other => return Err(malformed(format!("no reduction {other}"))),
    };
    Ok(LossOptions {
        reduction,
        weight: c.maybe("weight"),
        pos_weight: c.maybe("pos_weight"),
        ignore_index: c.int("ignore_index").ok().map(|class| class as i64),
        label_smoothing: c.number_or("label_smoothing", 0.0)?,
        log_target: false,
    })
}
