//! Rosenbrock's function: its gradient, and in 200 dimensions the whole Hessian and the Hessian's product with a
//! vector. One layer, tanh(W x), forward: its Jacobian times a vector, beside a vector times its Jacobian; a chain of sines both
//! ways; and whole Jacobians that have few columns or few rows. A sparse Jacobian as blocks, with and without a plan, by
//! colouring, and the detection of its pattern. What a solution costs as an implicit root. And what long loops of
//! little work cost: Lotka and Volterra's equations through 1000 steps of Runge and Kutta's method, and the gradient of where they
//! end with respect to the four rates, as one loop and step by step.
//! benches/rows says how they are measured.

#[path = "rows/measure.rs"]
mod measure;

use measure::{Row, Run, measure};
use std::hint::black_box;
use tapegrad::prelude::*;

const N: usize = 200;

/// sum 100 (x_(i+1) - x_i^2)^2 + (1 - x_i)^2
fn rosenbrock(x: &Tensor) -> Result<Tensor> {
    let n = x.numel() - 1;
    let (head, tail) = (x.narrow(0, 0, n)?, x.narrow(0, 1, n)?);
    Ok((tail.try_sub(&head.square())?.square() * 100.0 + (1.0 - head).square()).sum())
}

fn of_rosenbrock(name: &str, n: usize, f: fn(&Tensor) -> Result<()>) -> Row {
    Row::new("tapegrad", format!("derivatives/{name}/f64/gradient/{n}"), move || {
        let x = linspace(-1.2, 1.3, n).unwrap();
        Box::new(move || f(&x).unwrap())
    })
}

fn gradient(x: &Tensor) -> Result<()> {
    black_box(value_and_grad(rosenbrock, x)?);
    Ok(())
}

fn whole_hessian(x: &Tensor) -> Result<()> {
    black_box(hessian(rosenbrock, x)?);
    Ok(())
}

fn hessian_by_ones(x: &Tensor) -> Result<()> {
    black_box(hvp(rosenbrock, x, &Tensor::ones([x.numel()]))?);
    Ok(())
}

fn of_layer(name: &str, f: fn(&Tensor, &Tensor, &Tensor) -> Result<()>) -> Row {
    Row::new("tapegrad", format!("derivatives/{name}/f64/gradient/{N}"), move || {
        let w = Tensor::randn([N, N]) * 0.1;
        let (x, v) = (linspace(-1.2, 1.3, N).unwrap(), Tensor::ones([N]));
        Box::new(move || f(&w, &x, &v).unwrap())
    })
}

fn jacobian_by_vector(w: &Tensor, x: &Tensor, v: &Tensor) -> Result<()> {
    black_box(jvp(|x| Ok(w.mv(x)?.tanh()), x, v)?);
    Ok(())
}

fn vector_by_jacobian(w: &Tensor, x: &Tensor, v: &Tensor) -> Result<()> {
    black_box(vjp(|x| Ok(w.mv(x)?.tanh()), x, v)?);
    Ok(())
}

/// One element's sine of a sine and so on, a thousand times.
fn sines(x: &Tensor) -> Result<Tensor> {
    Ok((0..1000).fold(x.clone(), |x, _| x.sin()))
}

fn of_sines(name: &str, f: fn(&Tensor) -> Result<()>) -> Row {
    Row::new("tapegrad", format!("derivatives/{name}/f64/gradient/1000"), move || {
        let x = Tensor::scalar(0.5);
        Box::new(move || f(&x).unwrap())
    })
}

fn gradient_of_sines(x: &Tensor) -> Result<()> {
    black_box(value_and_grad(sines, x)?);
    Ok(())
}

fn tangent_of_sines(x: &Tensor) -> Result<()> {
    black_box(jvp(sines, x, &Tensor::scalar(1.0))?);
    Ok(())
}

/// A sum of a decay and an oscillation with five parameters at the times `t`.
fn oscillation(p: &Tensor, t: &Tensor) -> Result<Tensor> {
    let [a, b, c, d, e] = [p.row(0)?, p.row(1)?, p.row(2)?, p.row(3)?, p.row(4)?];
    Ok((-(t * b)).exp() * a + (t * d + e).sin() * c)
}

fn jacobian_of_columns() -> Row {
    Row::new("tapegrad", "derivatives/Jacobian from 5 to 200/f64/gradient/200".to_owned(), || {
        let (t, p) = (linspace(0.0, 1.0, N).unwrap(), Tensor::from([1.0, 0.5, 0.3, 6.0, 0.1]));
        Box::new(move || {
            black_box(jacobian(|p: &Tensor| oscillation(p, &t), &p).unwrap());
        })
    })
}

fn jacobian_of_rows() -> Row {
    Row::new("tapegrad", "derivatives/Jacobian from 200 to 5/f64/gradient/200".to_owned(), || {
        let (w, x) = (Tensor::randn([5, N]) * 0.1, linspace(-1.2, 1.3, N).unwrap());
        Box::new(move || {
            black_box(jacobian(|x: &Tensor| Ok(w.mv(&x.sin())?.tanh()), &x).unwrap());
        })
    })
}

/// Bundle adjustment as large as the smallest of GradBench's: 31 843 observations of 7776 points by 49 cameras of 11
/// parameters, and a weight each.
struct Scene {
    cameras: Tensor,
    points: Tensor,
    weights: Tensor,
    indices: [Tensor<i64>; 3],
}

impl Scene {
    fn new() -> Result<Scene> {
        manual_seed(5);
        const OBSERVATIONS: i64 = 31_843;
        let turn = |count: i64| arange(0, OBSERVATIONS, 1)?.remainder(count);
        Ok(Scene {
            cameras: Tensor::randn([49, 11]) * 0.1 + 1.0,
            points: Tensor::randn([7776, 3]) + Tensor::from([0.0, 0.0, 9.0]),
            weights: Tensor::ones([OBSERVATIONS, 1]),
            indices: [turn(49)?, turn(7776)?, turn(OBSERVATIONS)?],
        })
    }

    /// Residuals `[2, n]` of observations along the last dimension.
    fn residuals(arguments: &[Tensor]) -> Result<Tensor> {
        let [camera, point, weight] = arguments else { unreachable!() };
        let part = |start: usize, count: usize| camera.narrow(0, start, count);
        let (rotation, centre, focal) = (part(0, 3)?, part(3, 3)?, part(6, 1)?);
        let (principal, k1, k2) = (part(7, 2)?, part(9, 1)?, part(10, 1)?);
        let angle = rotation.square().sum_dim(0, true)?.sqrt();
        let (axis, cosine, sine) = (rotation / &angle, angle.cos(), angle.sin());
        let from_centre = point - centre;
        let along = (&axis * &from_centre).sum_dim(0, true)? * (1 - &cosine);
        let rotated = axis.cross(&from_centre, 0)? * sine + from_centre * cosine + axis * along;
        let projected = rotated.narrow(0, 0, 2)? / rotated.narrow(0, 2, 1)?;
        let square = projected.square().sum_dim(0, true)?;
        Ok((projected * ((k2 * &square + k1) * square + 1) * focal + principal) * weight)
    }

    fn gathered(&self, parameters: [&Tensor; 3]) -> Result<Vec<Tensor>> {
        parameters.into_iter().zip(&self.indices).map(|(x, index)| x.t()?.index_select(1, index)).collect()
    }

    fn parameters(&self) -> [&Tensor; 3] {
        [&self.cameras, &self.points, &self.weights]
    }

    /// All parameters in one vector, and the residuals of them.
    fn flat(&self) -> Result<Tensor> {
        Tensor::cat(self.parameters().map(|x| x.flatten()), 0)
    }

    fn of_flat(&self, x: &Tensor) -> Result<Tensor> {
        let mut start = 0;
        let parts = self.parameters().map(|of| {
            start += of.numel();
            x.narrow(0, start - of.numel(), of.numel())?.reshape(of.shape())
        });
        let [cameras, points, weights] = parts;
        Scene::residuals(&self.gathered([&cameras?, &points?, &weights?])?)
    }

    fn plan(&self) -> Result<linalg::BlockJacobian> {
        let shapes = [[49, 11], [7776, 3], [self.weights.numel(), 1]];
        linalg::BlockJacobian::new(2, &shapes.into_iter().zip(&self.indices).collect::<Vec<_>>())
    }

    /// The same without a plan: gathered by hand, and two backward passes at once.
    fn dense_blocks(&self) -> Result<(Tensor, Tensor)> {
        let x = Tensor::cat(&self.gathered(self.parameters())?, 0)?;
        let f =
            |x: &Tensor| Scene::residuals(&[x.narrow(0, 0, 11)?, x.narrow(0, 11, 3)?, x.narrow(0, 14, 1)?]);
        let seeds = Tensor::eye(2).unsqueeze(2)?.expand([2, 2, self.weights.numel()])?;
        let (y, j) = vjp_batched(f, &x, &seeds)?;
        Ok((y, j.permute([2, 0, 1])?.flatten()))
    }
}

fn of_scene(name: &str, start: fn(Scene) -> Result<Run>) -> Row {
    Row::new("tapegrad", format!("derivatives/bundle adjustment, {name}/f64/gradient/31843"), move || {
        start(Scene::new().unwrap()).unwrap()
    })
}

fn dense_blocks(scene: Scene) -> Result<Run> {
    Ok(Box::new(move || drop(black_box(scene.dense_blocks().unwrap()))))
}

fn planned_blocks(scene: Scene) -> Result<Run> {
    let plan = scene.plan()?;
    Ok(Box::new(move || drop(black_box(plan.evaluate(Scene::residuals, &scene.parameters()).unwrap()))))
}

fn behind_copies(scene: Scene) -> Result<Run> {
    let x = scene.flat()?;
    let f = move |x: &Tensor| scene.of_flat(x);
    let plan = linalg::SparseJacobian::detect(&f, &x)?;
    Ok(Box::new(move || drop(black_box(plan.evaluate(&f, &x).unwrap()))))
}

fn coloured(scene: Scene) -> Result<Run> {
    let x = scene.flat()?;
    let plan =
        linalg::SparseJacobian::new(&scene.plan()?.evaluate(Scene::residuals, &scene.parameters())?.1)?;
    // The plan of blocks has a row after another for each block; this function, all first residuals before all second.
    let f = move |x: &Tensor| scene.of_flat(x)?.t();
    Ok(Box::new(move || drop(black_box(plan.evaluate(&f, &x).unwrap()))))
}

fn detected(scene: Scene) -> Result<Run> {
    let x = scene.flat()?;
    let f = move |x: &Tensor| scene.of_flat(x);
    Ok(Box::new(move || drop(black_box(linalg::SparseJacobian::detect(&f, &x).unwrap()))))
}

type Pair = (Tensor, Tensor);

/// A step of length 0.01 of the method of fourth order for x' = x (a - b y), y' = y (d x - c).
fn runge_kutta([a, b, c, d]: &[Tensor; 4], (x, y): &Pair) -> Pair {
    const H: f64 = 0.01;
    let slope = |x: &Tensor, y: &Tensor| (x * (a - b * y), y * (d * x - c));
    let (k1, l1) = slope(x, y);
    let (k2, l2) = slope(&(x + &k1 * (H / 2.0)), &(y + &l1 * (H / 2.0)));
    let (k3, l3) = slope(&(x + &k2 * (H / 2.0)), &(y + &l2 * (H / 2.0)));
    let (k4, l4) = slope(&(x + &k3 * H), &(y + &l3 * H));
    (x + (k1 + (k2 + k3) * 2.0 + k4) * (H / 6.0), y + (l1 + (l2 + l3) * 2.0 + l4) * (H / 6.0))
}

fn by_scan(rates: &[Tensor; 4], start: &Pair) -> Result<Pair> {
    Ok(scan(|state: &Pair, ()| Ok((runge_kutta(rates, state), ())), start, 1000)?.0)
}

fn by_checkpoints(rates: &[Tensor; 4], start: &Pair) -> Result<Pair> {
    let rates = rates.clone();
    Ok(scan_checkpointed(move |state: &Pair, ()| Ok((runge_kutta(&rates, state), ())), start, 1000)?.0)
}

fn step_by_step(rates: &[Tensor; 4], start: &Pair) -> Result<Pair> {
    Ok((0..1000).fold(start.clone(), |state, _| runge_kutta(rates, &state)))
}

fn of_loop(name: &str, what: &str, f: fn(&[Tensor; 4], &Pair) -> Result<Pair>) -> Row {
    let gradient = what == "gradient";
    Row::new("tapegrad", format!("derivatives/1000 steps of Runge-Kutta{name}/f64/{what}/1"), move || {
        let rates = [1.5, 1.0, 3.0, 1.0].map(Tensor::scalar);
        let start = (Tensor::scalar(1.0), Tensor::scalar(1.0));
        let end = move |rates: &[Tensor; 4]| f(rates, &start).map(|(x, y)| x + y);
        Box::new(move || {
            if gradient {
                black_box(value_and_grad(&end, &rates).unwrap());
            } else {
                black_box(end(&rates).unwrap());
            }
        })
    })
}

/// The solution of A x = b, d = 300, and its gradient with respect to both: as a solution, and as a root that was found.
fn of_solution(name: &str, f: fn(&Tensor, &Tensor, &Tensor) -> Result<Tensor>) -> Row {
    Row::new("tapegrad", format!("derivatives/{name}/f64/gradient/300"), move || {
        manual_seed(20);
        let (a, b) = (Tensor::randn([300, 300]) + Tensor::eye(300) * 40.0, Tensor::randn([300]));
        let x = a.solve(&b).unwrap();
        Box::new(move || {
            let of = |(a, b): &(Tensor, Tensor)| Ok(f(a, b, &x)?.sum());
            black_box(value_and_grad(of, &(a.clone(), b.clone())).unwrap());
        })
    })
}

fn implicitly(a: &Tensor, b: &Tensor, x: &Tensor) -> Result<Tensor> {
    linalg::implicit_root(|x| a.mv(x)?.try_sub(b), x)
}

fn implicitly_in_first_order(a: &Tensor, b: &Tensor, x: &Tensor) -> Result<Tensor> {
    let options = linalg::ImplicitOptions { order: 1, ..Default::default() };
    linalg::implicit_root_with(|x| a.mv(x)?.try_sub(b), x, options)
}

fn main() {
    measure([vec![
        of_rosenbrock("Rosenbrock", N, gradient),
        of_rosenbrock("Rosenbrock", 1000, gradient),
        of_rosenbrock("Rosenbrock's Hessian", N, whole_hessian),
        of_rosenbrock("Rosenbrock's Hessian by a vector", N, hessian_by_ones),
        of_layer("a layer's Jacobian by a vector", jacobian_by_vector),
        of_layer("a vector by a layer's Jacobian", vector_by_jacobian),
        of_sines("sines", gradient_of_sines),
        of_sines("sines by a vector", tangent_of_sines),
        jacobian_of_columns(),
        jacobian_of_rows(),
        of_scene("dense blocks", dense_blocks),
        of_scene("BlockJacobian", planned_blocks),
        of_scene("SparseJacobian", behind_copies),
        of_scene("SparseJacobian of a pattern", coloured),
        of_scene("detection", detected),
        of_solution("a linear system", |a, b, _| a.solve(b)),
        of_solution("a linear system as an implicit root", implicitly),
        of_solution("a linear system as an implicit root, first order", implicitly_in_first_order),
        of_loop("", "forward", by_scan),
        of_loop("", "gradient", by_scan),
        of_loop(", checkpointed", "gradient", by_checkpoints),
        of_loop(", step by step", "forward", step_by_step),
        of_loop(", step by step", "gradient", step_by_step),
    ]]);
}
