//! The 27 models of NIST's nonlinear regression problems, as its files give them.
//!
//! Source: <https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml>

use std::f64::consts::PI;
use tapegrad::prelude::*;

/// The value for predictors, one column each, and parameters b1, b2 and so on.
pub type Model = fn(&[Tensor], &[Tensor]) -> Result<Tensor>;

/// The model of a problem.
pub fn model(name: &str) -> Option<Model> {
    Some(match name {
        "Bennett5" => |x, b| Ok(&b[0] * (&b[1] + &x[0]).pow(&(-1.0 / &b[2]))?),
        "BoxBOD" | "Misra1a" => |x, b| Ok(&b[0] * (1.0 - (-&b[1] * &x[0]).exp())),
        "Chwirut1" | "Chwirut2" => |x, b| Ok((-&b[0] * &x[0]).exp() / (&b[1] + &b[2] * &x[0])),
        "DanWood" => |x, b| Ok(&b[0] * x[0].pow(&b[1])?),
        "Eckerle4" => |x, b| Ok(&b[0] / &b[1] * (((&x[0] - &b[2]) / &b[1]).square() * -0.5).exp()),
        "ENSO" => |x, b| {
            let wave = |period: &Tensor, cos: &Tensor, sin: &Tensor| {
                let phase = &x[0] * (2.0 * PI) / period;
                cos * phase.cos() + sin * phase.sin()
            };
            let year = Tensor::scalar(12.0);
            Ok(&b[0] + wave(&year, &b[1], &b[2]) + wave(&b[3], &b[4], &b[5]) + wave(&b[6], &b[7], &b[8]))
        },
        "Gauss1" | "Gauss2" | "Gauss3" => |x, b| {
            let peak = |height: &Tensor, middle: &Tensor, width: &Tensor| {
                height * (-((&x[0] - middle) / width).square()).exp()
            };
            let decay = &b[0] * (-&b[1] * &x[0]).exp();
            Ok(decay + peak(&b[2], &b[3], &b[4]) + peak(&b[5], &b[6], &b[7]))
        },
        "Hahn1" | "Thurber" => |x, b| {
            let x = &x[0];
            let above = &b[0] + x * (&b[1] + x * (&b[2] + x * &b[3]));
            Ok(above / (1.0 + x * (&b[4] + x * (&b[5] + x * &b[6]))))
        },
        "Kirby2" => |x, b| {
            let x = &x[0];
            Ok((&b[0] + x * (&b[1] + x * &b[2])) / (1.0 + x * (&b[3] + x * &b[4])))
        },
        "Lanczos1" | "Lanczos2" | "Lanczos3" => |x, b| {
            let decay = |i: usize| &b[i] * (-&b[i + 1] * &x[0]).exp();
            Ok(decay(0) + decay(2) + decay(4))
        },
        "MGH09" => |x, b| {
            let x = &x[0];
            Ok(&b[0] * (x.square() + x * &b[1]) / (x.square() + x * &b[2] + &b[3]))
        },
        "MGH10" => |x, b| Ok(&b[0] * (&b[1] / (&x[0] + &b[2])).exp()),
        "MGH17" => |x, b| Ok(&b[0] + &b[1] * (-&x[0] * &b[3]).exp() + &b[2] * (-&x[0] * &b[4]).exp()),
        "Misra1b" => |x, b| Ok(&b[0] * (1.0 - (1.0 + &b[1] * &x[0] * 0.5).powf(-2.0))),
        "Misra1c" => |x, b| Ok(&b[0] * (1.0 - (1.0 + &b[1] * &x[0] * 2.0).powf(-0.5))),
        "Misra1d" => |x, b| Ok(&b[0] * &b[1] * &x[0] / (1.0 + &b[1] * &x[0])),
        // Of the logarithm of the response.
        "Nelson" => |x, b| Ok(&b[0] - &b[1] * &x[0] * (-&b[2] * &x[1]).exp()),
        "Rat42" => |x, b| Ok(&b[0] / (1.0 + (&b[1] - &b[2] * &x[0]).exp())),
        "Rat43" => |x, b| Ok(&b[0] / (1.0 + (&b[1] - &b[2] * &x[0]).exp()).pow(&(1.0 / &b[3]))?),
        "Roszman1" => |x, b| Ok(&b[0] - &b[1] * &x[0] - (&b[2] / (&x[0] - &b[3])).atan() / PI),
        _ => return None,
    })
}

/// What the model describes, of the response of the file.
pub fn response(name: &str, y: Tensor) -> Tensor {
    if name == "Nelson" { y.log() } else { y }
}
