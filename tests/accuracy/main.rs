//! Functions of elements against correctly rounded values of MPFR: the arguments where the formulas were found to be
//! worst, the ends of the domains and of the range, and special values. table.py writes cases.txt.

use tapegrad::{Float, Tensor};

/// What a case may be off, in units of the last place of its type; of the gamma family away from zeros.
fn allowed(function: &str, single: bool) -> f64 {
    match function {
        "lgamma" | "digamma" => 4.0,
        "gelu" if single => 1.5,
        _ if single => 1.0,
        _ => 2.0,
    }
}

fn apply<T: Float>(function: &str, x: &[T]) -> T {
    let [a, b] = [x[0], x[x.len() - 1]].map(|x| Tensor::from_vec(vec![x; 3], [3]).unwrap());
    let y = match function {
        "exp" => a.exp(),
        "exp2" => a.exp2(),
        "expm1" => a.expm1(),
        "log" => a.log(),
        "log2" => a.log2(),
        "log10" => a.log10(),
        "log1p" => a.log1p(),
        "sin" => a.sin(),
        "cos" => a.cos(),
        "tan" => a.tan(),
        "asin" => a.asin(),
        "acos" => a.acos(),
        "atan" => a.atan(),
        "sinh" => a.sinh(),
        "cosh" => a.cosh(),
        "tanh" => a.tanh(),
        "asinh" => a.asinh(),
        "acosh" => a.acosh(),
        "atanh" => a.atanh(),
        "sigmoid" => a.sigmoid(),
        "gelu" => a.gelu(),
        "softplus" => a.softplus(),
        "log_sigmoid" => a.log_sigmoid(),
        "silu" => a.silu(),
        "erf" => a.erf(),
        "erfc" => a.erfc(),
        "lgamma" => a.lgamma(),
        "digamma" => a.digamma(),
        "pow" => a.pow(&b).unwrap(),
        "atan2" => a.atan2(&b).unwrap(),
        "hypot" => a.hypot(&b).unwrap(),
        _ => panic!("no function {function}"),
    };
    y.to_vec()[1]
}

/// The distance in units of the last place of the type, of which the smallest is that of the subnormals.
fn distance(y: f64, expected: f64, digits: i32, least: i32) -> f64 {
    match (y.is_nan(), expected.is_nan()) {
        (true, true) => return 0.0,
        (false, false) if y == expected => {
            return if y.is_sign_negative() == expected.is_sign_negative() { 0.0 } else { f64::INFINITY };
        }
        (false, false) if expected.is_infinite() || y.is_infinite() => return f64::INFINITY,
        (false, false) => {}
        _ => return f64::INFINITY,
    }
    let exponent = expected.abs().log2().floor().max(f64::from(least)) as i32;
    // In two steps, since the unit itself may leave the range.
    (y - expected).abs()
        * 2f64.powi((digits - exponent) / 2)
        * 2f64.powi((digits - exponent) - (digits - exponent) / 2)
}

#[test]
fn every_case_is_within_its_bound() {
    let mut wrong = Vec::new();
    for line in include_str!("cases.txt").lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (function, single) = (fields[0], fields[1] == "f32");
        let bits: Vec<u64> = fields[2..].iter().map(|x| u64::from_str_radix(x, 16).unwrap()).collect();
        let (x, expected) = bits.split_at(bits.len() - 1);
        let (y, expected, off) = if single {
            let x: Vec<f32> = x.iter().map(|&x| f32::from_bits(x as u32)).collect();
            let (y, e) = (apply(function, &x), f32::from_bits(expected[0] as u32));
            (f64::from(y), f64::from(e), distance(f64::from(y), f64::from(e), 23, -126))
        } else {
            let x: Vec<f64> = x.iter().map(|&x| f64::from_bits(x)).collect();
            let (y, e) = (apply(function, &x), f64::from_bits(expected[0]));
            (y, e, distance(y, e, 52, -1022))
        };
        // Half a unit for the rounding of what is expected.
        if off > allowed(function, single) + 0.5 {
            wrong.push(format!("{line}: {y:e} and not {expected:e}, {off} units"));
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

fn same<T: Float>(a: T, b: T) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}

/// The bits of a function of many arguments, as blocks of different lengths and one by one.
fn same_bits<T: Float>(name: &str, f: impl Fn(&Tensor<T>) -> Tensor<T>, x: &[T]) {
    let whole = f(&Tensor::from_slice(x, [x.len()]).unwrap()).to_vec();
    for from in [0, 1, 7, 100] {
        let part = f(&Tensor::from_slice(&x[from..], [x.len() - from]).unwrap()).to_vec();
        assert!(part.iter().zip(&whole[from..]).all(|(a, b)| same(*a, *b)), "{name} from {from}");
    }
    for (x, y) in x.iter().zip(&whole) {
        let alone = f(&Tensor::scalar(*x)).item().unwrap();
        assert!(same(alone, *y), "{name} of {x}: {alone} by itself, {y} in a block");
    }
}

#[test]
fn a_number_has_one_value_wherever_it_stands() {
    let x: Vec<f64> = (0..1500).map(|k| (f64::from(k) - 700.0) * 1.37f64.powi(k % 60 - 30)).collect();
    let single: Vec<f32> = x.iter().map(|&x| x as f32).collect();
    macro_rules! each {
        ($($name:ident)*) => { $(
            same_bits(stringify!($name), |x: &Tensor<f64>| x.$name(), &x);
            same_bits(stringify!($name), |x: &Tensor<f32>| x.$name(), &single);
        )* };
    }
    each!(exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh);
    each!(sigmoid erf erfc lgamma digamma gelu softplus silu log_sigmoid);
}
