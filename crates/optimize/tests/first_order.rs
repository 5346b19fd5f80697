//! First-order methods against PyTorch 2's, and their state in files.

use tapegrad::linalg::Linalg;
use tapegrad::optimize::{
    Adam, AdamOptions, Sgd, SgdOptions, clip_grad_norm, clip_grad_value, gradients, schedule, zero_grad,
};
use tapegrad::{Result, Tensor, memory, value_and_grad};

type Net = (Tensor, Tensor);

fn loss((w, b): &Net) -> Result<Tensor> {
    let weights = Tensor::from([1.0, 2.0, 3.0]);
    Ok((w.square() * weights).sum() + (b - w.sum()).square() + b.sin())
}

fn start() -> Net {
    (Tensor::from([1.0, -2.0, 0.5]).requires_grad(), Tensor::scalar(3.0).requires_grad())
}

fn after(mut step: impl FnMut(&mut Net) -> Result<()>) -> Result<Vec<f64>> {
    let mut net = start();
    for _ in 0..8 {
        zero_grad(&net);
        loss(&net)?.backward()?;
        step(&mut net)?;
        assert!(net.0.is_leaf() && net.0.is_tracked());
    }
    Ok([net.0.to_vec(), vec![net.1.item()?]].concat())
}

fn assert_near(found: &[f64], expected: &[f64]) {
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= 1e-13 * b.abs().max(1.0), "{found:?} {expected:?}");
    }
}

/// Eight steps on the loss above, by torch.optim in double precision.
#[test]
fn trajectories_are_those_of_torch() -> Result<()> {
    let sgd = |options| -> Result<Vec<f64>> {
        let mut sgd = Sgd::new(options)?;
        after(|net| sgd.step(net))
    };
    let adam = |options| -> Result<Vec<f64>> {
        let mut adam = Adam::new(options)?;
        after(|net| adam.step(net))
    };
    let plain = SgdOptions { lr: 0.02, ..Default::default() };
    let momentum = SgdOptions { momentum: 0.9, weight_decay: 0.05, ..plain };
    assert_near(
        &sgd(plain)?,
        &[1.2906136428126418, -0.5454615096946468, 0.5873638312757651, 2.4680562657442713],
    );
    assert_near(
        &sgd(SgdOptions { dampening: 0.1, ..momentum })?,
        &[1.1689135504610375, 1.3596034909451014, -0.0027076210314519165, 1.784277159950561],
    );
    assert_near(
        &sgd(SgdOptions { nesterov: true, ..momentum })?,
        &[0.8126837094745859, 0.9793347469728647, -0.18561739444688505, 1.8379565548604608],
    );
    let options = AdamOptions { lr: 0.1, ..Default::default() };
    assert_near(
        &adam(options)?,
        &[1.6610372010355088, -1.22290062653226, 0.8772497339899014, 2.2497502363533233],
    );
    assert_near(
        &adam(AdamOptions { betas: (0.8, 0.95), weight_decay: 0.1, ..options })?,
        &[1.6154030666279027, -1.231400114523738, 0.7978252559957625, 2.2603887914233884],
    );
    assert_near(
        &adam(AdamOptions { lr: 0.1, weight_decay: 0.1, ..AdamOptions::adamw() })?,
        &[1.5486496619763666, -1.0995228445779635, 0.809604914277323, 2.0493238606470707],
    );
    Ok(())
}

#[test]
fn schedules_are_those_of_torch() {
    let all = |n: usize, f: &dyn Fn(usize) -> f64| (0..n).map(f).collect::<Vec<f64>>();
    assert_near(
        &all(8, &|k| schedule::step(0.1, 3, 0.5, k)),
        &[0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025],
    );
    assert_near(&all(5, &|k| schedule::exponential(0.1, 0.9, k)), &[0.1, 0.09, 0.081, 0.0729, 0.06561]);
    assert_near(
        &all(7, &|k| schedule::cosine_annealing(0.1, 0.01, 6, k)),
        &[0.1, 0.09397114317029975, 0.0775, 0.055, 0.0325, 0.01602885682970026, 0.01],
    );
    assert_near(
        &all(10, &|k| schedule::one_cycle(0.5, 10, k)),
        &[
            0.02, 0.26, 0.5, 0.47524231600673683, 0.40587282697488153, 0.30563101096814466,
            0.19437098903185537, 0.09412917302511849, 0.024759683993263143, 2e-6,
        ],
    );
    let mut plateau = schedule::ReduceOnPlateau::new(0.5, 1);
    let mut lr = 1.0;
    let measures = [3.0, 2.0, 2.0, 2.0, 2.0, 1.9999, 1.5, 1.5, 1.6, 1.5, 1.4];
    let found = measures.map(|measure| {
        lr = plateau.next(lr, measure);
        lr
    });
    assert_near(&found, &[1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125, 0.125, 0.125]);
}

/// Five steps, saved and loaded, and five more are ten, to the bit.
#[test]
fn state_is_resumed_to_the_bit() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("tapegrad-first-order-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("state.safetensors");
    let bits = |net: &Net| net.0.to_vec().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let run =
        |net: &mut Net, steps: usize, step: &mut dyn FnMut(&mut Net, &Net) -> Result<()>| -> Result<()> {
            for _ in 0..steps {
                let (_, g) = value_and_grad(loss, net)?;
                step(net, &g)?;
            }
            Ok(())
        };
    let options = AdamOptions { lr: 0.123456789, ..AdamOptions::adamw() };
    let (mut whole, mut adam) = (start(), Adam::new(options)?);
    run(&mut whole, 10, &mut |net, g| adam.step_with(net, g))?;
    let (mut net, mut first) = (start(), Adam::new(options)?);
    run(&mut net, 5, &mut |net, g| first.step_with(net, g))?;
    first.save(&path)?;
    let mut second = Adam::new(options)?;
    second.load(&path)?;
    run(&mut net, 5, &mut |net, g| second.step_with(net, g))?;
    assert_eq!(bits(&net), bits(&whole));

    let options = SgdOptions { lr: 0.02, momentum: 0.9, ..Default::default() };
    let (mut whole, mut sgd) = (start(), Sgd::new(options)?);
    run(&mut whole, 10, &mut |net, g| sgd.step_with(net, g))?;
    let (mut net, mut first) = (start(), Sgd::new(options)?);
    run(&mut net, 5, &mut |net, g| first.step_with(net, g))?;
    assert!(Sgd::<f64>::of(options)?.load(&path).unwrap_err().to_string().contains("state of Adam"));
    first.save(&path)?;
    let mut second = Sgd::new(options)?;
    second.load(&path)?;
    run(&mut net, 5, &mut |net, g| second.step_with(net, g))?;
    assert_eq!(bits(&net), bits(&whole));
    std::fs::remove_dir_all(&folder).unwrap();
    Ok(())
}

/// In single precision, and with no more memory than the moments and one parameter's new value.
#[test]
fn memory_does_not_grow() -> Result<()> {
    let n = 100_000;
    let mut net: Vec<Tensor<f32>> = (0..4).map(|_| Tensor::ones_of::<f32>([n]).requires_grad()).collect();
    let mut adam = Adam::<f32>::of(AdamOptions::default())?;
    for _ in 0..3 {
        let mut sum = Tensor::scalar(0f32);
        for x in &net {
            sum += x.square().sum();
        }
        sum.backward()?;
        drop(sum);
        adam.step(&mut net)?;
        zero_grad(&net);
    }
    memory::reset_peak_on(&tapegrad::Device::Cpu)?;
    let before = memory::stats().live;
    let g: Vec<Tensor<f32>> = net.iter().map(Tensor::ones_like).collect();
    adam.step_with(&mut net, &g)?;
    let most = (memory::stats().peak - before) / (4 * n);
    assert!(most <= 4 + 3, "{most} parameters beyond those that stay");
    Ok(())
}

#[test]
fn what_does_not_fit_is_an_error_and_leaves_the_parameters() -> Result<()> {
    let mut net = start();
    let mut adam = Adam::new(AdamOptions::default())?;
    let e = adam.step(&mut net).unwrap_err();
    assert!(e.to_string().contains("no parameter has a gradient"), "{e}");
    let wrong = (Tensor::ones([2]), Tensor::scalar(1.0));
    let e = adam.step_with(&mut net, &wrong).unwrap_err();
    assert!(e.to_string().contains("gradient of shape [2] for parameter 0 of shape [3]"), "{e}");
    assert_eq!((net.0.to_vec(), net.1.item()?), (vec![1.0, -2.0, 0.5], 3.0));
    Ok(())
}

#[test]
fn clipping() -> Result<()> {
    let net = start();
    loss(&net)?.backward()?;
    let g = gradients(&net);
    let whole = [g.0.to_vec(), vec![g.1.item()?]].concat();
    let norm = whole.iter().map(|g| g * g).sum::<f64>().sqrt();
    let (clipped, found) = clip_grad_norm(&g, 0.5)?;
    assert!((found - norm).abs() < 1e-12 * norm);
    assert!((clipped.0.dot(&clipped.0)?.item()? + clipped.1.item()?.powi(2)).sqrt() < 0.5);
    assert_eq!(clip_grad_norm(&g, 1e3)?.0.0.to_vec(), g.0.to_vec());
    assert!(clip_grad_value(&g, 1.5).0.abs().max()?.item()? <= 1.5);
    let huge = (Tensor::from([3e200, 4e200]), Tensor::scalar(0.0));
    assert!((clip_grad_norm(&huge, 1.0)?.1 - 5e200).abs() < 1e186);
    Ok(())
}
