//! Bundle adjustment: residuals of observations, each of one camera and one point, and their sparse Jacobian.

use crate::protocol::{Answer, Input, Outcome, unknown};
use serde_json::{Value, json};
use tapegrad::prelude::*;

/// Parameters of a camera: rotation 3, centre 3, focal length, principal point 2, radial distortion 2.
const CAMERA: usize = 11;

/// Parameters that an observation depends on: its camera, its point and its weight.
const BLOCK: usize = CAMERA + 3 + 1;

/// Observations along the last dimension: residuals `[2, p]` for the camera `[11, p]`, the point `[3, p]` and the weight
/// `[1, p]` of each, and where all of them were seen `[2, 1]`.
fn residuals(arguments: &[Tensor], seen: &Tensor) -> Result<Tensor> {
    let [camera, point, weight] = arguments else {
        return Err(Error::argument("residuals", "three are needed"));
    };
    let part = |start: usize, count: usize| camera.narrow(0, start, count);
    let (rotation, centre, focal) = (part(0, 3)?, part(3, 3)?, part(6, 1)?);
    let (principal, k1, k2) = (part(7, 2)?, part(9, 1)?, part(10, 1)?);
    // Rodrigues' formula, with an angle that one can divide by.
    let angle = (rotation.square().sum_dim(0, true)? + f64::MIN_POSITIVE).sqrt();
    let (axis, cosine, sine) = (rotation / &angle, angle.cos(), angle.sin());
    let from_centre = point - centre;
    let along = (&axis * &from_centre).sum_dim(0, true)? * (1 - &cosine);
    let rotated = axis.cross(&from_centre, 0)? * sine + from_centre * cosine + axis * along;
    let projected = rotated.narrow(0, 0, 2)? / rotated.narrow(0, 2, 1)?;
    let square = projected.square().sum_dim(0, true)?;
    let distortion = (k2 * &square + k1) * square + 1;
    Ok((projected * distortion * focal + principal - seen) * weight)
}

struct Scene {
    /// `[cameras, 11]`, `[points, 3]`, `[p, 1]`.
    cameras: Tensor,
    points: Tensor,
    weights: Tensor,
    /// The camera, the point and the weight of each observation.
    indices: [Tensor<i64>; 3],
    seen: Tensor,
    plan: linalg::BlockJacobian,
}

impl Scene {
    /// One camera, one point and one observation, as often as the input says.
    fn new(input: &Input) -> Outcome<Scene> {
        let (n, m, p) = (input.count("n")?, input.count("m")?, input.count("p")?);
        let turn = |count: usize| arange(0, p as i64, 1)?.remainder(count as i64);
        let indices = [turn(n)?, turn(m)?, turn(p)?];
        let shapes = [[n, CAMERA], [m, 3], [p, 1]];
        let arguments: Vec<_> = shapes.into_iter().zip(&indices).collect();
        let plan = linalg::BlockJacobian::new(2, &arguments)?;
        Ok(Scene {
            cameras: input.tensor("cam")?.repeat([n, 1])?,
            points: input.tensor("x")?.repeat([m, 1])?,
            weights: Tensor::full([p, 1], input.number("w")?),
            indices,
            seen: input.tensor("feat")?.unsqueeze(1)?,
            plan,
        })
    }

    fn parameters(&self) -> [&Tensor; 3] {
        [&self.cameras, &self.points, &self.weights]
    }

    /// Two residuals for each observation `[2, p]`, and one for each weight.
    fn objective(&self) -> Result<(Tensor, Tensor)> {
        let all = self.parameters().into_iter().zip(&self.indices);
        let gathered = all.map(|(x, index)| x.t()?.index_select(1, index)).collect::<Result<Vec<_>>>()?;
        Ok((residuals(&gathered, &self.seen)?, 1 - self.weights.square()))
    }

    /// The values of the Jacobian by rows: 15 for each residual of an observation, one for that of a weight.
    fn jacobian(&self) -> Result<Tensor> {
        let (_, jacobian) = self.plan.evaluate(|x| residuals(x, &self.seen), &self.parameters())?;
        Tensor::cat([jacobian.values(), &(self.weights.flatten() * -2)], 0)
    }

    /// The places of these values, of the first 30 and the last, and the starts of as many rows.
    fn places(&self) -> (Vec<usize>, Vec<i64>) {
        let (n, m, p) = (self.cameras.shape()[0], self.points.shape()[0], self.weights.numel());
        let columns = |i: usize| {
            let camera = (0..CAMERA).map(move |k| CAMERA * (i % n) + k);
            let point = (0..3).map(move |k| CAMERA * n + 3 * (i % m) + k);
            camera.chain(point).chain([CAMERA * n + 3 * m + i])
        };
        let mut first: Vec<i64> = columns(0).chain(columns(0)).map(|j| j as i64).collect();
        first.push((CAMERA * n + 3 * m + p - 1) as i64);
        let rows = (0..=2 * p).map(|i| BLOCK * i).chain((1..=p).map(|i| 2 * p * BLOCK + i));
        let mut starts: Vec<usize> = rows.take(2 * BLOCK).collect();
        starts.push(2 * p * BLOCK + p);
        (starts, first)
    }
}

pub fn evaluate(function: &str, input: &Input) -> Outcome<Answer> {
    let scene = Scene::new(input)?;
    let p = scene.weights.numel();
    match function {
        "objective" => input.timed(
            || scene.objective(),
            |(residuals, of_weights)| {
                let elements = residuals.select(1, 0)?.to_vec();
                Ok(json!({
                    "reproj_error": { "elements": elements, "repeated": p },
                    "w_err": { "element": of_weights.get([0, 0])?, "repeated": p },
                }))
            },
        ),
        "jacobian" => input.timed(
            || scene.jacobian(),
            |values| {
                let (rows, columns) = scene.places();
                let values = values.to_vec();
                let shown: Value = values[..2 * BLOCK].iter().chain(values.last()).copied().collect();
                Ok(json!({ "rows": rows, "cols": columns, "vals": shown }))
            },
        ),
        _ => unknown(function),
    }
}
