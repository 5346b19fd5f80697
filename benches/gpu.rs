//! What work takes on a GPU. Prints JSON lines: first what it runs on and the list of its works, then
//! {"name", "dtype", "seconds", "samples"} for each, with the median seconds of one call.
//!
//! `cargo bench --features cuda --bench gpu`, or the program by itself where there is no Rust. With `--serve` it
//! measures what it reads, a line `NAME DTYPE` each: so benches/peers/peers_gpu.py puts it beside PyTorch.
//! Without a GPU it says so, and succeeds.

use clap::Parser;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::time::Instant;
use tapegrad::prelude::*;
use tapegrad::{kernels, memory, replayed};

/// What work takes on a GPU, as JSON lines.
#[derive(Parser)]
struct Arguments {
    /// Small sizes and short measurements, for a trial
    #[arg(long)]
    quick: bool,
    /// Only works whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    filter: String,
    /// How often all works are gone through: medians count
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: usize,
    /// The GPU: cuda or cuda:N
    #[arg(long, default_value = "cuda")]
    device: Device,
    /// Measures what is read from the standard input, a line `NAME DTYPE` each
    #[arg(long)]
    serve: bool,
    /// cargo bench passes it
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let gpu = match cuda::properties(&arguments.device) {
        Ok(properties) => properties.name,
        Err(e) => {
            println!("nothing is measured without a GPU: {e}");
            return ExitCode::SUCCESS;
        }
    };
    match run(&arguments, &gpu) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments, gpu: &str) -> Result<(), Box<dyn Error>> {
    let mut works = works_in::<f32>(arguments.quick);
    works.extend(works_in::<f64>(arguments.quick));
    works.retain(|w| w.name.contains(&arguments.filter));
    let list: Vec<Value> = works.iter().map(|w| json!([w.name, w.dtype.to_string()])).collect();
    say(
        &json!({ "gpu": gpu, "device": arguments.device.to_string(), "version": tapegrad::VERSION, "works": list }),
    )?;
    let seconds = if arguments.quick { 0.02 } else { 0.1 };
    if arguments.serve {
        for line in std::io::stdin().lock().lines() {
            let line = line?;
            let work = works.iter().find(|w| line == format!("{} {}", w.name, w.dtype));
            let work = work.ok_or_else(|| format!("{line:?} is not in the list of works"))?;
            let found = work.measure(&arguments.device, seconds);
            say(&work.report(found.map(|t| (t.median(), t.0.len()))))?;
        }
        return Ok(());
    }
    // Rounds one after another: what disturbs one of them does not decide a median.
    let mut found: BTreeMap<usize, (Vec<f64>, usize)> = BTreeMap::new();
    for _ in 0..arguments.rounds {
        for (k, work) in works.iter().enumerate() {
            match work.measure(&arguments.device, seconds) {
                Ok(times) => {
                    let (medians, samples) = found.entry(k).or_default();
                    medians.push(times.median());
                    *samples += times.0.len();
                }
                Err(e) => say(&work.report(Err(e)))?,
            }
        }
    }
    for (k, (medians, samples)) in found {
        say(&works[k].report(Ok((Times(medians).median(), samples))))?;
    }
    Ok(())
}

/// A line of its own, at once.
fn say(line: &Value) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

type Call = Box<dyn Fn() -> Result<()>>;
/// Makes the operands on a device, and the call that is timed.
type Build = Box<dyn Fn(&Device) -> Result<Call>>;

/// Something to measure.
struct Work {
    /// What is done, and to what shape.
    name: String,
    dtype: DType,
    /// What has to be read and written, where that decides the time.
    bytes: Option<usize>,
    clock: Clock,
    build: Build,
}

#[derive(Clone, Copy, PartialEq)]
enum Clock {
    /// Until the GPU is done.
    Done,
    /// Until the host has handed its work over.
    Enqueued,
}

/// Seconds of one call, a number for each sample.
struct Times(Vec<f64>);

impl Times {
    fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// A sample takes about so long: many calls are timed together, so that the GPU always has the next at hand.
const SAMPLE_SECONDS: f64 = 5e-3;
const MOST_CALLS: f64 = 1000.0;
/// So few that the queue of the GPU never makes the host wait.
const CALLS_ENQUEUED: usize = 200;
const MIN_SAMPLES: usize = 5;

impl Work {
    /// Samples for about so many seconds, or one where a call takes longer than that.
    fn measure(&self, device: &Device, seconds: f64) -> Result<Times> {
        let times = memory::try_run(|| {
            let call = (self.build)(device)?;
            // Kernels are compiled and memory is fetched before the clock runs.
            call()?;
            let once = self.sample(&call, device, 1)?;
            if once > seconds {
                return Ok(Times(vec![once]));
            }
            let calls = match self.clock {
                Clock::Done => (SAMPLE_SECONDS / once).ceil().clamp(1.0, MOST_CALLS) as usize,
                Clock::Enqueued => CALLS_ENQUEUED,
            };
            let (begin, mut times) = (Instant::now(), Vec::new());
            while times.len() < MIN_SAMPLES || begin.elapsed().as_secs_f64() < seconds {
                times.push(self.sample(&call, device, calls)?);
            }
            Ok(Times(times))
        });
        // The next work, and the peer's, find the memory free.
        memory::trim_on(device)?;
        times
    }

    fn sample(&self, call: &Call, device: &Device, calls: usize) -> Result<f64> {
        cuda::synchronize(device)?;
        let begin = Instant::now();
        for _ in 0..calls {
            call()?;
        }
        if self.clock == Clock::Done {
            cuda::synchronize(device)?;
        }
        Ok(begin.elapsed().as_secs_f64() / calls as f64)
    }

    /// A line of the median and the number of samples, or of what went wrong.
    fn report(&self, found: Result<(f64, usize)>) -> Value {
        let mut line = json!({ "name": self.name, "dtype": self.dtype.to_string() });
        match found {
            Ok((seconds, samples)) => {
                line["seconds"] = json!(seconds);
                line["samples"] = json!(samples);
                if let Some(bytes) = self.bytes {
                    line["gb_per_s"] = json!(bytes as f64 / seconds * 1e-9);
                }
            }
            Err(e) => line["error"] = json!(e.to_string()),
        }
        line
    }
}

fn call<R>(f: impl Fn() -> Result<R> + 'static) -> Result<Call> {
    Ok(Box::new(move || f().map(drop)))
}

fn work<T: Float>(
    op: &str,
    shape: &[usize],
    build: impl Fn(&Device, &[usize]) -> Result<Call> + 'static,
) -> Work {
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    let shape = shape.to_vec();
    Work {
        name: format!("{op}/{}", sizes.join("x")),
        dtype: T::DTYPE,
        bytes: None,
        clock: Clock::Done,
        build: Box::new(move |device| build(device, &shape)),
    }
}

impl Work {
    /// Moves this many elements, each of the dtype's size.
    fn moving<T: Float>(self, elements: usize) -> Self {
        Work { bytes: Some(elements * size_of::<T>()), ..self }
    }

    fn enqueued(self) -> Self {
        Work { clock: Clock::Enqueued, ..self }
    }
}

fn normal<T: Float>(device: &Device, shape: &[usize]) -> Result<Tensor<T>> {
    Tensor::randn_on::<T>(device, shape)
}

/// Without the last dimension.
fn vector(shape: &[usize]) -> &[usize] {
    &shape[..shape.len() - 1]
}

/// Standard normal matrices plus n on the diagonal, so that none is close to a singular one.
fn regular<T: Float>(device: &Device, shape: &[usize]) -> Result<Tensor<T>> {
    let n = shape[shape.len() - 1];
    Ok(normal::<T>(device, shape)? + Tensor::<T>::eye_on(device, n)? * T::of(n as f64))
}

fn symmetric<T: Float>(x: Tensor<T>) -> Result<Tensor<T>> {
    Ok((&x + &x.mt()?) * T::of(0.5))
}

/// A hundred operations on a few elements, and their sum.
fn chain<T: Float>(x: &Tensor<T>, a: &Tensor<T>, b: &Tensor<T>) -> Tensor<T> {
    let mut z = x.clone();
    for _ in 0..50 {
        z = z * a + b;
    }
    z.sum()
}

/// All that is measured in one element type; benches/peers/peers_gpu.py knows the same names.
fn works_in<T: Float>(quick: bool) -> Vec<Work> {
    let part = |size: usize| if quick { size.div_ceil(100) } else { size };
    let mut works = bandwidth::<T>(part(10_000), part(1000));
    works.extend(products::<T>(part));
    works.extend(factorisations::<T>(part));
    works.extend(small::<T>());
    works
}

/// What is bound by memory: matrices of n x n, and of n rows and m columns.
fn bandwidth<T: Float>(n: usize, m: usize) -> Vec<Work> {
    let (large, wide) = ([n, n], [n, m]);
    let one = |op: &str, f: fn(&Tensor<T>) -> Result<Tensor<T>>| {
        work::<T>(op, &large, move |device, shape| {
            let x = normal::<T>(device, shape)?;
            call(move || f(&x))
        })
    };
    let broadcast = |op: &str, of: fn(&[usize]) -> [usize; 2]| {
        work::<T>(op, &large, move |device, shape| {
            let (x, y) = (normal::<T>(device, shape)?, normal::<T>(device, &of(shape))?);
            call(move || x.try_add(&y))
        })
        .moving::<T>(2 * n * n)
    };
    let indices =
        move |device: &Device, shape: &[usize]| Tensor::randint(0, shape[1] as i64, shape)?.to_device(device);
    vec![
        one("copy", |x| Ok(Tensor::from(kernels::copy("copy", x.array())?))).moving::<T>(2 * n * n),
        one("scale", |x| Ok(x * T::of(1.5))).moving::<T>(2 * n * n),
        one("sum", |x| Ok(x.sum())).moving::<T>(n * n),
        one("sum_rows", |x| x.sum_dim(1, false)).moving::<T>(n * n),
        one("sum_columns", |x| x.sum_dim(0, false)).moving::<T>(n * n),
        one("softmax", |x| x.softmax(1)).moving::<T>(2 * n * n),
        broadcast("add_row", |s| [1, s[1]]),
        broadcast("add_column", |s| [s[0], 1]),
        work::<T>("gather", &wide, move |device, shape| {
            let (x, index) = (normal::<T>(device, shape)?, indices(device, shape)?);
            call(move || x.gather(1, &index))
        }),
        work::<T>("scatter_add", &wide, move |device, shape| {
            let (x, y, index) =
                (normal::<T>(device, shape)?, normal::<T>(device, shape)?, indices(device, shape)?);
            call(move || x.scatter_add(1, &index, &y))
        }),
        work::<T>("sort", &wide, |device, shape| {
            let x = normal::<T>(device, shape)?;
            call(move || x.sort(1, false))
        }),
    ]
}

fn products<T: Float>(part: impl Fn(usize) -> usize) -> Vec<Work> {
    let n = part(1000);
    let mut works = vec![
        work::<T>("addmv", &[n, n], |device, shape| {
            let (a, x, y) =
                (normal::<T>(device, shape)?, normal(device, &shape[1..])?, normal(device, vector(shape))?);
            call(move || y.addmv(&a, &x, T::ONE, T::ONE))
        }),
        work::<T>("mv", &[n, n], |device, shape| {
            let (a, x) = (normal::<T>(device, shape)?, normal(device, &shape[1..])?);
            call(move || a.mv(&x))
        }),
        work::<T>("mm", &[n, n], |device, shape| {
            let (a, b) = (normal::<T>(device, shape)?, normal(device, shape)?);
            call(move || a.mm(&b))
        }),
        work::<T>("bmm", &[part(32), part(512), part(512)], |device, shape| {
            let (a, b) = (normal::<T>(device, shape)?, normal(device, shape)?);
            call(move || a.bmm(&b))
        }),
    ];
    for d in [part(1000), part(3000)] {
        works.push(work::<T>("least_squares_gradient", &[10 * d, d], |device, shape| {
            let (a, x, y) =
                (normal::<T>(device, shape)?, normal(device, &shape[1..])?, normal(device, vector(shape))?);
            call(move || value_and_grad(|x| least_squares_loss(&a, x, &y), &x))
        }));
    }
    works
}

/// Batches of small matrices.
fn factorisations<T: Float>(part: impl Fn(usize) -> usize) -> Vec<Work> {
    let (many, batch, few) = (part(100_000), part(10_000), part(1000));
    let mut works = Vec::new();
    for n in [4, 8] {
        works.push(work::<T>("inverse", &[many, n, n], |device, shape| {
            let a = regular::<T>(device, shape)?;
            call(move || a.inverse())
        }));
    }
    for shape in [[batch, 8, 8], [few, 32, 32]] {
        works.push(work::<T>("svd", &shape, |device, shape| {
            let a = normal::<T>(device, shape)?;
            call(move || a.svd())
        }));
        works.push(work::<T>("eigh", &shape, |device, shape| {
            let a = symmetric(normal::<T>(device, shape)?)?;
            call(move || a.eigh())
        }));
        works.push(work::<T>("solve", &shape, |device, shape| {
            let (a, b) = (regular::<T>(device, shape)?, normal(device, vector(shape))?);
            call(move || a.solve(&b))
        }));
        works.push(work::<T>("det", &shape, |device, shape| {
            let n = shape[shape.len() - 1] as f64;
            // Near one, where that of normal numbers overflows.
            let a = normal::<T>(device, shape)? * T::of((std::f64::consts::E / n).sqrt());
            call(move || a.det())
        }));
        works.push(work::<T>("cholesky", &shape, |device, shape| {
            let n = shape[shape.len() - 1];
            let shift = Tensor::<T>::eye_on(device, n)? * T::of(2.0 * n as f64);
            let a = symmetric(normal::<T>(device, shape)?)? + shift;
            call(move || a.cholesky(false))
        }));
    }
    works
}

/// What is bound by the host: few elements, and many calls.
fn small<T: Float>() -> Vec<Work> {
    const N: usize = 16;
    vec![
        work::<T>("enqueue_add", &[N], |device, shape| {
            let (x, y) = (normal::<T>(device, shape)?, normal(device, shape)?);
            call(move || x.try_add(&y))
        })
        .enqueued(),
        work::<T>("enqueue_gradient", &[N], |device, shape| {
            let (x, y) = (normal::<T>(device, shape)?.requires_grad(), normal(device, shape)?);
            call(move || grad(&x.try_add(&y)?.sum(), [&x]))
        })
        .enqueued(),
        work::<T>("eager_100", &[N], |device, shape| {
            let (x, a, b) = (normal::<T>(device, shape)?, normal(device, shape)?, normal(device, shape)?);
            call(move || value_and_grad(|x| Ok(chain(x, &a, &b)), &x))
        }),
        work::<T>("replayed_100", &[N], |device, shape| {
            let (x, a, b) = (normal::<T>(device, shape)?, normal(device, shape)?, normal(device, shape)?);
            let step = replayed(move |x: &Tensor<T>| Ok(chain(x, &a, &b)), &x)?;
            call(move || step.call(&x))
        }),
    ]
}
