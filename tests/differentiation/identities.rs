//! Identities of linear algebra at random sizes, batches, layouts and conditioning, with bounds that scale
//! with the condition number.

use proptest::prelude::{Strategy, any};
use proptest::test_runner::Config;
use tapegrad::linalg;
use tapegrad::prelude::*;

/// Matrices [b, m, n] with the singular values 1, .., 1 / condition.
#[derive(Clone, Copy, Debug)]
struct Drawn {
    batch: usize,
    m: usize,
    n: usize,
    condition: f64,
    transposed: bool,
    seed: u64,
}

fn drawn(square: bool) -> impl Strategy<Value = Drawn> {
    (1..10usize, 1..13usize, 1..13usize, 0.0..6.0f64, any::<bool>(), any::<u64>()).prop_map(
        move |(batch, m, n, digits, transposed, seed)| Drawn {
            batch,
            m,
            n: if square { m } else { n },
            condition: 10f64.powf(digits),
            transposed,
            seed,
        },
    )
}

/// Numbers in -1 to 1, the same for one seed: splitmix64 (Steele, Lea, Flood 2014).
fn numbers(seed: u64, n: usize) -> Vec<f64> {
    let number = |k: u64| {
        let mut z = seed.wrapping_add((k + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    (0..n as u64).map(number).collect()
}

impl Drawn {
    fn orthogonal(&self, seed: u64, n: usize) -> Result<Tensor> {
        Ok(Tensor::from_vec(numbers(seed, self.batch * n * n), [self.batch, n, n])?.qr()?.0)
    }

    fn values(&self) -> Result<Tensor> {
        let k = self.m.min(self.n);
        let digits = linspace(0.0, -self.condition.log10(), k)?;
        Ok((digits * std::f64::consts::LN_10).exp())
    }

    fn matrices(&self) -> Result<Tensor> {
        let k = self.m.min(self.n);
        let u = self.orthogonal(self.seed, self.m)?.narrow(-1, 0, k)?;
        let v = self.orthogonal(!self.seed, self.n)?.narrow(-1, 0, k)?;
        let a = (&u * &self.values()?).matmul(&v.mt()?)?;
        // The same matrices with columns next to each other in memory.
        if self.transposed { a.mt()?.contiguous().mt() } else { Ok(a) }
    }

    /// Symmetric positive definite ones of the same condition.
    fn definite(&self) -> Result<Tensor> {
        let v = self.orthogonal(self.seed, self.n)?;
        let a = (&v * &self.values()?).matmul(&v.mt()?)?;
        Ok((&a + a.mt()?) * 0.5)
    }

    /// What rounding may leave of a matrix of size 1.
    fn rounding(&self) -> f64 {
        64.0 * f64::EPSILON * (self.m + self.n) as f64
    }
}

fn apart(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().unwrap().item().unwrap()
}

proptest::proptest! {
    #![proptest_config(Config { cases: 64, failure_persistence: None, ..Config::default() })]

    #[test]
    fn of_any_matrix(d in drawn(false)) {
        let a = d.matrices().unwrap();
        let p = a.pinv().unwrap();
        assert!(apart(&a.matmul(&p).unwrap().matmul(&a).unwrap(), &a) <= d.rounding() * d.condition);
        let (q, r) = a.qr().unwrap();
        assert!(apart(&q.matmul(&r).unwrap(), &a) <= d.rounding());
        let gram = q.mt().unwrap().matmul(&q).unwrap();
        assert!(apart(&gram, &Tensor::eye(d.m.min(d.n)).expand(gram.shape()).unwrap()) <= d.rounding());
        let (u, s, vt) = a.svd().unwrap();
        assert!(apart(&(&u * &s.unsqueeze(-2).unwrap()).matmul(&vt).unwrap(), &a) <= d.rounding());
        assert!(apart(&s, &d.values().unwrap().expand(s.shape()).unwrap()) <= d.rounding());
        let x = a.lstsq(&a, None).unwrap();
        assert!(apart(&a.matmul(&x).unwrap(), &a) <= d.rounding() * d.condition);
    }

    #[test]
    fn of_square_matrices(d in drawn(true), seed in any::<u64>()) {
        let (a, b) = (d.matrices().unwrap(), Drawn { seed, ..d }.matrices().unwrap());
        let product = a.matmul(&b).unwrap().det().unwrap();
        let separate = a.det().unwrap() * b.det().unwrap();
        // The product has up to the square of the condition.
        let bound = &separate.abs() * (d.rounding() * d.condition * d.condition) + f64::MIN_POSITIVE;
        assert!((product - separate).abs().le(&bound).unwrap().all());
        let back = a.inverse().unwrap().inverse().unwrap();
        assert!(apart(&back, &a) <= d.rounding() * d.condition);
        let x = a.solve(&b).unwrap();
        assert!(apart(&a.matmul(&x).unwrap(), &b) <= d.rounding() * d.condition);
        let (sign, log) = a.slogdet().unwrap();
        assert!(apart(&(sign * log.exp()), &a.det().unwrap()) <= d.rounding() * d.condition);
        let power = a.matrix_power(3).unwrap();
        assert!(apart(&power, &a.matmul(&a).unwrap().matmul(&a).unwrap()) <= d.rounding());
    }

    #[test]
    fn of_definite_matrices(d in drawn(true)) {
        let a = d.definite().unwrap();
        let l = a.cholesky(false).unwrap();
        assert!(apart(&l.matmul(&l.mt().unwrap()).unwrap(), &a) <= d.rounding());
        let x = l.cholesky_solve(&a, false).unwrap();
        assert!(apart(&x, &Tensor::eye(d.n).expand(x.shape()).unwrap()) <= d.rounding() * d.condition);
        let (w, v) = a.eigh().unwrap();
        assert!(apart(&(&v * &w.unsqueeze(-2).unwrap()).matmul(&v.mt().unwrap()).unwrap(), &a) <= d.rounding());
        let root = linalg::symmetric_power(&a, 0.5).unwrap();
        assert!(apart(&root.matmul(&root).unwrap(), &a) <= d.rounding());
        let log = linalg::symmetric_log(&a).unwrap();
        assert!(apart(&linalg::symmetric_exp(&log).unwrap(), &a) <= d.rounding() * d.condition.ln().max(1.0));
        assert!(apart(&log.matrix_exp().unwrap(), &a) <= d.rounding() * d.condition);
    }
}
