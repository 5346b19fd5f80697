//! Bundle adjustment: where cameras stood and points lie, from where the points are in the pictures. Levenberg and
//! Marquardt's method on a sparse Jacobian: each residual knows one camera and one point only.
//!
//! `cargo run --release --example bundle_adjustment --features optimize`

mod plot;

use plot::{Chart, Series};
use tapegrad::linalg::cross;
use tapegrad::optimize::{LeastSquaresMethod, LeastSquaresOptions, least_squares_with};
use tapegrad::prelude::*;

const CAMERAS: usize = 12;
const POINTS: usize = 200;

/// Cameras, a row for each: rotation as axis times angle, and translation; and points, a row for each.
#[derive(Clone)]
struct Scene {
    cameras: Tensor,
    points: Tensor,
}
tapegrad::params!(Scene { cameras, points });

/// Where each camera sees each point, `[CAMERAS * POINTS, 2]`: turned by Rodrigues' formula, moved, projected.
fn project(scene: &Scene) -> Result<Tensor> {
    let pairs = |x: &Tensor, d: usize| {
        x.unsqueeze(d)?.expand([CAMERAS, POINTS, x.size(1)?])?.reshape([CAMERAS * POINTS, x.size(1)?])
    };
    let (camera, point) = (pairs(&scene.cameras, 1)?, pairs(&scene.points, 0)?);
    let (turn, shift) = (camera.narrow(1, 0, 3)?, camera.narrow(1, 3, 3)?);
    // The small number keeps the angle away from zero, where it has no derivative.
    let angle = (turn.square().sum_dim(1, true)? + 1e-30).sqrt();
    let axis = &turn / &angle;
    let along = (&axis * &point).sum_dim(1, true)? * (1.0 - angle.cos());
    let seen = &point * angle.cos() + cross(&axis, &point, 1)? * angle.sin() + axis * along + shift;
    seen.narrow(1, 0, 2)?.try_div(&seen.narrow(1, 2, 1)?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Cameras on an arc around a winding stair of points, which all look at it.
    manual_seed(0);
    let camera = |k: usize| {
        let angle = 0.1 * (k as f64 - (CAMERAS as f64 - 1.0) / 2.0);
        [0.0, angle, 0.0, 0.0, 0.1 * angle, 6.0]
    };
    let cameras = Tensor::from((0..CAMERAS).map(camera).map(Vec::from).collect::<Vec<_>>());
    let turn = linspace(0.0, 12.0, POINTS)?;
    let points = Tensor::stack([turn.cos() * 1.5, &turn * 0.25 - 1.5, turn.sin() * 1.5], 1)?;
    let truth = Scene { cameras, points };
    let pictures = project(&truth)?;

    // What a first guess may know, and the pictures; the first camera is held by the other residuals, and the distance of
    // the second from it says how large the scene is.
    let start = Scene {
        cameras: &truth.cameras + Tensor::randn([CAMERAS, 6]) * 0.03,
        points: &truth.points + Tensor::randn([POINTS, 3]) * 0.15,
    };
    let residuals = |scene: &Scene| {
        let apart = (project(scene)? - &pictures).flatten();
        let held = (scene.cameras.narrow(0, 0, 1)? - truth.cameras.narrow(0, 0, 1)?).flatten();
        let size = scene.cameras.narrow(0, CAMERAS - 1, 1)? - truth.cameras.narrow(0, CAMERAS - 1, 1)?;
        Tensor::cat([&apart, &held, &size.flatten()], 0)
    };
    let options = LeastSquaresOptions { method: LeastSquaresMethod::SparseLm(None), ..Default::default() };
    let found = least_squares_with(residuals, &start, options)?;
    let off = |points: &Tensor| (points - &truth.points).square().sum_dim(1, false)?.max()?.sqrt().item();
    println!(
        "{}\npoints off by {:.3} at first, {:.1e} in the end",
        found.report,
        off(&start.points)?,
        off(&found.x.points)?
    );
    assert!(off(&found.x.points)? < 1e-6);

    let from_above = |label: &str, points: &Tensor| -> Result<Series> {
        Ok(Series::dots(label, &points.select(1, 0)?.to_vec(), &points.select(1, 2)?.to_vec()))
    };
    let series = [from_above("first guess", &start.points)?, from_above("found", &found.x.points)?];
    Chart { title: "Bundle adjustment, from above", x: "x", y: "z", series: &series }.draw(&plot::file())
}
