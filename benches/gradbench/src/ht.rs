//! Hand tracking: how far measured points are from a model of a hand, posed by 26 parameters; and the Jacobian, with two
//! columns for where on its triangle each point is.

use crate::protocol::{Answer, Input, Outcome, nested, unknown};
use tapegrad::prelude::*;

/// Rotation of the whole hand 3, translation 3, and 4 angles of each finger.
const POSE: usize = 26;

/// The bones of one depth, in an order in which those of the next depth know their parents.
struct Depth {
    /// Transformations relative to the parent without a pose: their first three columns, and the last.
    turned: Tensor,
    moved: Tensor,
    /// Where the angles of these bones are among all.
    bones: Vec<usize>,
    /// Where their parents are among the bones of the depth before; of the first there are none.
    parents: Vec<usize>,
}

struct Hand {
    depths: Vec<Depth>,
    bones: usize,
    /// The angles of pose parameters 6 to 25 among those of all bones, three for each.
    angles: Vec<usize>,
    /// The inverse of each bone's transformation without a pose, in the order of depths.
    inverses: Tensor,
    /// `[4 bones, vertices]`: each vertex without a pose, weighed by bones.
    skin: Tensor,
    /// 1, or -1 in the first row of a mirrored hand.
    mirror: Tensor,
    /// Measured points `[3, count]`.
    points: Tensor,
    /// The vertices of each point's triangle, three one after another; or its vertex, where points have no triangles.
    vertices: Tensor<i64>,
    /// Whether points lie on triangles.
    on_triangles: bool,
    /// `[9, 3]`: the matrix of the cross product with a vector.
    cross: Tensor,
}

impl Hand {
    fn new(input: &Input) -> Outcome<Hand> {
        let data = input.field("data")?;
        let model = data.field("model")?;
        let (bones, parents) = (model.count("bone_count")?, model.integers("parents")?.to_vec());
        let relatives = model.tensor("base_relatives")?;
        let mut depths: Vec<Depth> = Vec::new();
        let mut current: Vec<usize> = (0..bones).filter(|&b| parents[b] < 0).collect();
        let mut before: Vec<usize> = Vec::new();
        while !current.is_empty() {
            let of_depth = relatives.index_select(0, &current)?;
            let place = |&b: &usize| before.iter().position(|&a| a as i64 == parents[b]);
            depths.push(Depth {
                turned: of_depth.narrow(2, 0, 3)?,
                moved: of_depth.narrow(2, 3, 1)?,
                parents: current.iter().filter_map(place).collect(),
                bones: current.clone(),
            });
            let next = (0..bones).filter(|&b| current.iter().any(|&a| a as i64 == parents[b]));
            (before, current) = (current.clone(), next.collect());
        }
        let order: Vec<usize> = depths.iter().flat_map(|d| d.bones.clone()).collect();
        let (base, weights) = (model.tensor("base_positions")?, model.tensor("weights")?);
        // [vertices, bones, 4]
        let skin = weights.index_select(1, &order)?.unsqueeze(2)? * base.unsqueeze(1)?;
        let mut mirror = Tensor::ones([3, 1]);
        if model.field("is_mirrored")?.0.as_bool() == Some(true) {
            mirror.set(0, -1.0)?;
        }
        let on_triangles = input.tensor("us")?.numel() > 0;
        let correspondences = data.integers("correspondences")?;
        let vertices = match on_triangles {
            true => model.integers("triangles")?.index_select(0, &correspondences)?.t()?.flatten(),
            false => correspondences,
        };
        // Fingers have a bone without a pose after the wrist's and after each of them.
        let angles = (0..5).flat_map(|f| {
            let first = 3 * (2 + 4 * f);
            [first, first + 1, first + 3, first + 6]
        });
        Ok(Hand {
            bones,
            angles: angles.collect(),
            inverses: model.tensor("inverse_base_absolutes")?.index_select(0, &order)?,
            skin: skin.reshape([base.shape()[0], 4 * bones])?.t()?.contiguous(),
            mirror,
            points: data.tensor("points")?.t()?.contiguous(),
            vertices,
            on_triangles,
            cross: Tensor::from([
                [0.0, 0.0, 0.0],
                [0.0, 0.0, -1.0],
                [0.0, 1.0, 0.0],
                [0.0, 0.0, 1.0],
                [0.0, 0.0, 0.0],
                [-1.0, 0.0, 0.0],
                [0.0, -1.0, 0.0],
                [1.0, 0.0, 0.0],
                [0.0, 0.0, 0.0],
            ]),
            depths,
        })
    }

    /// `[3, 3]`, by Rodrigues' formula; the identity for next to no rotation.
    fn rotation(&self, axis: &Tensor) -> Result<Tensor> {
        let angle = axis.norm();
        if angle.item()? < 1e-4 {
            return Ok(Tensor::eye(3));
        }
        let (axis, cosine) = (axis / &angle, angle.cos());
        let turn = self.cross.mv(&axis)?.reshape([3, 3])? * angle.sin();
        Ok(axis.outer(&axis)? * (1 - &cosine) + Tensor::eye(3) * cosine + turn)
    }

    /// Rotations about x, then y, then z, `[bones, 3, 3]`.
    fn bend(&self, pose: &Tensor) -> Result<Tensor> {
        let angles =
            Tensor::zeros([3 * self.bones]).index_put(&self.angles, &pose.narrow(0, 6, 20)?, false)?;
        let angles = angles.reshape([self.bones, 3])?.t()?;
        let (sines, cosines) = (angles.sin(), angles.cos());
        let [sx, sz, sy] = [sines.row(0)?, sines.row(1)?, sines.row(2)?];
        let [cx, cz, cy] = [cosines.row(0)?, cosines.row(1)?, cosines.row(2)?];
        let (sysx, sycx) = (&sy * &sx, &sy * &cx);
        let elements = [
            &cz * &cy,
            &cz * &sysx - &sz * &cx,
            &cz * &sycx + &sz * &sx,
            &sz * &cy,
            &sz * &sysx + &cz * &cx,
            &sz * &sycx - &cz * &sx,
            -&sy,
            &cy * &sx,
            &cy * &cx,
        ];
        Tensor::stack(&elements, 1)?.reshape([self.bones, 3, 3])
    }

    /// Where the vertices of the posed hand are, `[3, vertices]`.
    fn positions(&self, pose: &Tensor) -> Result<Tensor> {
        let bend = self.bend(pose)?;
        let mut absolutes: Vec<Tensor> = Vec::new();
        for depth in &self.depths {
            let turned = depth.turned.bmm(&bend.index_select(0, &depth.bones)?)?;
            let relative = Tensor::cat([&turned, &depth.moved], 2)?;
            absolutes.push(match absolutes.last() {
                Some(before) => before.index_select(0, &depth.parents)?.bmm(&relative)?,
                None => relative,
            });
        }
        let transforms = Tensor::cat(&absolutes, 0)?.bmm(&self.inverses)?.narrow(1, 0, 3)?;
        let transforms = transforms.permute([1, 0, 2])?.reshape([3, 4 * self.bones])? * &self.mirror;
        let whole = self.rotation(&pose.narrow(0, 0, 3)?)?.mm(&transforms)?;
        Ok(whole.mm(&self.skin)? + pose.narrow(0, 3, 3)?.unsqueeze(1)?)
    }

    /// From the hand to the points, `[3, count]`; parameters are where points are on their triangles, `[count, 2]`, if
    /// they are, and the pose.
    fn distances(&self, parameters: &Tensor) -> Result<Tensor> {
        let count = self.points.shape()[1];
        let places = parameters.numel() - POSE;
        let corners =
            self.positions(&parameters.narrow(0, places, POSE)?)?.index_select(1, &self.vertices)?;
        if !self.on_triangles {
            return Ok(&self.points - corners);
        }
        let us = parameters.narrow(0, 0, places)?.reshape([count, 2])?.t()?;
        let corners = corners.reshape([3, 3, count])?;
        let (u, v) = (us.row(0)?, us.row(1)?);
        let [a, b, c] = [corners.select(1, 0)?, corners.select(1, 1)?, corners.select(1, 2)?];
        Ok(&self.points - (a * &u + b * &v + c * (1 - &u - &v)))
    }

    /// One column for each parameter of a place on a triangle, all points at once, and for each of the pose.
    fn directions(&self) -> Result<Tensor> {
        let pose = Tensor::eye(POSE);
        if !self.on_triangles {
            return Ok(pose);
        }
        let count = self.points.shape()[1];
        let places = Tensor::eye(2).repeat([1, count])?;
        linalg::block_diag(&[places, pose])
    }
}

pub fn evaluate(function: &str, input: &Input) -> Outcome<Answer> {
    let hand = Hand::new(input)?;
    let parameters = Tensor::cat([input.tensor("us")?.flatten(), input.tensor("theta")?], 0)?;
    let directions = hand.directions()?;
    match function {
        "objective" => input.timed(|| hand.distances(&parameters)?.t()?.reshape([-1]), nested),
        "jacobian" => input.timed(
            || {
                let (_, columns) = jvp_batched(|x| hand.distances(x), &parameters, &directions)?;
                columns.permute([2, 1, 0])?.reshape([-1, directions.shape()[0] as i64])
            },
            nested,
        ),
        _ => unknown(function),
    }
}
