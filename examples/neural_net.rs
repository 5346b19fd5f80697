//! A neural network in mini-batches: two spirals told apart, saved half-way, and resumed to the bit.
//!
//! `cargo run --release --example neural_net --features optimize`

mod plot;

use indicatif::ProgressBar;
use plot::{Chart, Series};
use tapegrad::optimize::{Adam, AdamOptions, schedule};
use tapegrad::prelude::*;

const EPOCHS: usize = 200;
const BATCH: usize = 100;

/// Weights and biases of each layer.
type Net = Vec<(Tensor<f32>, Tensor<f32>)>;

/// Layers of 2, 32, 32 and 1, drawn as in He et al., "Delving deep into rectifiers", 2015.
fn net() -> Result<Net> {
    let layer = |(m, n): (usize, usize)| {
        let scale = (2.0 / m as f32).sqrt();
        Ok((Tensor::<f32>::randn([m, n]) * scale, Tensor::<f32>::zeros([n])))
    };
    [(2, 32), (32, 32), (32, 1)].into_iter().map(layer).collect()
}

/// A logit for each row of x.
fn forward(net: &Net, x: &Tensor<f32>) -> Result<Tensor<f32>> {
    let mut h = x.clone();
    for (k, (w, b)) in net.iter().enumerate() {
        h = h.mm(w)? + b;
        if k + 1 < net.len() {
            h = h.tanh();
        }
    }
    h.squeeze(1)
}

/// Points on two spirals, and which one each is on.
fn spirals(n: usize) -> Result<(Tensor<f32>, Tensor<f32>)> {
    let angle = Tensor::<f32>::rand([n]).sqrt() * 9.0;
    let which = (Tensor::<f32>::rand([n])).gt(0.5)?.to_type::<f32>();
    let turned = &angle + &which * std::f32::consts::PI;
    let noise = Tensor::<f32>::randn([n, 2]) * 0.1;
    let x = Tensor::stack([turned.cos() * &angle, turned.sin() * &angle], 1)? * 0.3 + noise;
    Ok((x, which))
}

/// Epochs from one to another; the loss of each.
fn train(
    net: &mut Net,
    adam: &mut Adam<f32>,
    (x, which): (&Tensor<f32>, &Tensor<f32>),
    epochs: std::ops::Range<usize>,
) -> Result<Vec<f64>> {
    let bar = ProgressBar::new(epochs.len() as u64);
    let mut losses = Vec::new();
    for epoch in epochs {
        // The order depends on the epoch alone, so that a resumed run has the same.
        manual_seed(epoch as u64);
        let order = Tensor::randperm(x.size(0)?)?;
        adam.lr = schedule::cosine_annealing(0.01, 0.0001, EPOCHS, epoch);
        let mut sum = 0.0;
        for batch in order.chunk(x.size(0)? / BATCH, 0)? {
            let (x, which) = (x.index_select(0, &batch)?, which.index_select(0, &batch)?);
            let loss = |net: &Net| forward(net, &x)?.binary_cross_entropy_with_logits(&which);
            let (loss, gradients) = value_and_grad(loss, &*net)?;
            adam.step_with(net, &gradients)?;
            sum += loss.item()? as f64;
        }
        losses.push(sum / (x.size(0)? / BATCH) as f64);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(losses)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    manual_seed(0);
    let (x, which) = spirals(2000)?;
    let (unseen, truth) = spirals(1000)?;
    let fresh = net()?;

    let (mut straight, mut adam) = (fresh.clone(), Adam::of(AdamOptions::default())?);
    let losses = train(&mut straight, &mut adam, (&x, &which), 0..EPOCHS)?;

    // Again, but saved after half the epochs, and read back by what knows nothing of the first half.
    let folder = std::env::temp_dir().join(format!("tapegrad-neural-net-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let (weights, state) = (folder.join("net.safetensors"), folder.join("adam.safetensors"));
    let (mut first, mut adam) = (fresh.clone(), Adam::of(AdamOptions::default())?);
    train(&mut first, &mut adam, (&x, &which), 0..EPOCHS / 2)?;
    let named =
        first.iter().enumerate().flat_map(|(k, (w, b))| [(format!("{k}.w"), w), (format!("{k}.b"), b)]);
    tapegrad::save_safetensors(&weights, named)?;
    adam.save(&state)?;

    let mut resumed = net()?;
    for (k, (w, b)) in resumed.iter_mut().enumerate() {
        *w = Tensor::load_safetensors_of(&weights, &format!("{k}.w"))?;
        *b = Tensor::load_safetensors_of(&weights, &format!("{k}.b"))?;
    }
    let mut adam = Adam::of(AdamOptions::default())?;
    adam.load(&state)?;
    train(&mut resumed, &mut adam, (&x, &which), EPOCHS / 2..EPOCHS)?;
    std::fs::remove_dir_all(&folder)?;

    for ((w, b), (v, c)) in straight.iter().zip(&resumed) {
        assert!(w.to_vec() == v.to_vec() && b.to_vec() == c.to_vec(), "the resumed run differs");
    }
    let right = forward(&resumed, &unseen)?.gt(0.0)?.to_type::<f32>().eq(&truth)?;
    let accuracy = right.to_type::<f64>().mean().item()?;
    println!("loss {:.3} in the first epoch, {:.5} in the last", losses[0], losses[EPOCHS - 1]);
    println!("told apart: {:.1} % of points not seen; resumed to the bit", accuracy * 100.0);
    assert!(accuracy > 0.97);

    let logits = forward(&resumed, &unseen)?.to_vec();
    let [x, y] = [0, 1].map(|k| unseen.select(1, k).map(|x| x.cast::<f64>().to_vec()));
    let (x, y) = (x?, y?);
    let told = |label: &str, second: bool| {
        let points = (0..logits.len()).filter(|&k| (logits[k] > 0.0) == second).map(|k| (x[k], y[k]));
        let (x, y): (Vec<f64>, Vec<f64>) = points.unzip();
        Series::dots(label, &x, &y)
    };
    let series = [told("told to be on the first", false), told("on the second", true)];
    Chart { title: "Points on two spirals", x: "", y: "", series: &series }.draw(&plot::file())
}
