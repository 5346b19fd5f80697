//! The logarithm of the gamma function and its derivative, branch-free for positive arguments. All coefficients are
//! minimax fits by tests/accuracy/fit/gamma.py.

use super::logarithm::{Logarithm, log};
use super::real::polynomial;

/// What the gamma functions need of a type beside the logarithm.
pub trait Gamma: Logarithm {
    /// The positive zero of digamma, and what it lacks.
    const DIGAMMA_ZERO: [Self; 2];
    /// The derivative of digamma there, and what it lacks.
    const DIGAMMA_SLOPE: [Self; 2];
    /// lgamma(y) / ((y - 1) (y - 2)) at y = 7/4, and what it lacks.
    const LGAMMA_MIDDLE: [Self; 2];

    /// (lgamma(y) / ((y - 1) (y - 2)) - LGAMMA_MIDDLE) / u of u = y - 7/4 for 1 <= y <= 5/2.
    fn lgamma_between(u: Self) -> Self;
    /// x (lgamma(x) - (x - 1/2) (ln x - 1) - ln(2 pi) / 2 + 1/2) of w = 1 / x^2 for x >= 4.5: Stirling's series.
    fn lgamma_rest(w: Self) -> Self;
    /// (digamma(zero + t) / t - DIGAMMA_SLOPE) / t for 1 <= zero + t <= 5/2.
    fn digamma_near_zero(t: Self) -> Self;
    /// x^2 (ln x - 1 / (2 x) - digamma(x)) of w = 1 / x^2 for x >= 4.5.
    fn digamma_rest(w: Self) -> Self;
}

impl Gamma for f64 {
    const DIGAMMA_ZERO: [Self; 2] = [1.4616321449683622, 9.549995429965697e-17];
    const DIGAMMA_SLOPE: [Self; 2] = [0.9676722454476212, -3.387874303038943e-17];
    const LGAMMA_MIDDLE: [Self; 2] = [0.4501393121092563, 1.4097142567474574e-17];

    // Error relative to lgamma 2^-56.06.
    #[inline(always)]
    fn lgamma_between(u: Self) -> Self {
        let c = [
            -0.11948158662524265, 0.04452044719850966, -0.01905395783026453, 0.008776370425256136,
            -0.004226194125011689, 0.0020955338799744996, -0.0010605660976961968, 0.000544896989646022,
            -0.00028319031330111655, 0.00014851677321848, -7.846439510474338e-05, 4.170539924598176e-05,
            -2.226660387343658e-05, 1.1949524072297447e-05, -6.492768985774041e-06, 3.506657191176743e-06,
            -1.7579198969443967e-06, 9.60121776570009e-07, -7.683311806507049e-07, 4.146650961376217e-07,
            4.2575169498396985e-08, -2.0509131076387963e-08, -1.603941038172248e-07, 8.753352569296283e-08,
        ];
        polynomial(u, c)
    }
    // Error relative to lgamma 2^-56.18.
    #[inline(always)]
    fn lgamma_rest(w: Self) -> Self {
        let c = [
            0.08333333333329726, -0.0027777777616253938, 0.0007936482044244743, -0.0005950332397309097,
            0.0008327347388988769, -0.0016870047362723942, 0.002983984069471394,
        ];
        polynomial(w, c)
    }
    // Error relative to digamma 2^-55.29.
    #[inline(always)]
    fn digamma_near_zero(t: Self) -> Self {
        let c = [
            -0.44276316898359164, 0.2584997609556507, -0.16394270544250922, 0.10782405069137994,
            -0.07219956124985277, 0.048804288153481375, -0.03316112666676198, 0.022597648639670256,
            -0.015424762956401456, 0.010538783479644551, -0.0072045589561616444, 0.0049268752533413425,
            -0.003369710669457973, 0.0023044794478509446, -0.0015767804632144632, 0.0010813899514215744,
            -0.0007411253658280234, 0.0005003525613855013, -0.0003331351624263937, 0.0002332459863365279,
            -0.00018016530866751793, 0.00013547077405758333, -8.147183509562121e-05, 3.3833958301241786e-05,
            -8.422751307749842e-06, 9.422982032709216e-07,
        ];
        polynomial(t, c)
    }
    // Error relative to digamma 2^-57.57.
    #[inline(always)]
    fn digamma_rest(w: Self) -> Self {
        let c = [
            0.08333333333330471, -0.00833333331595199, 0.003968250216433879, -0.0041662636896469445,
            0.007551107335978329, -0.020178340446999146, 0.062198355756905875, -0.13413307552473003,
        ];
        polynomial(w, c)
    }
}

impl Gamma for f32 {
    const DIGAMMA_ZERO: [Self; 2] = [1.4616321, 1.243815e-08];
    const DIGAMMA_SLOPE: [Self; 2] = [0.9676722, 1.663445e-08];
    const LGAMMA_MIDDLE: [Self; 2] = [0.4501393, -1.8269772e-09];

    // Error relative to lgamma 2^-25.27.
    #[inline(always)]
    fn lgamma_between(u: Self) -> Self {
        let c = [
            -0.11948174, 0.04452049, -0.019048804, 0.008774875, -0.004273682, 0.0021100068, -0.00088372256,
            0.0004890358, -0.00056373375, 0.00023800328, 6.477884e-05,
        ];
        polynomial(u, c)
    }
    // Error relative to lgamma 2^-27.89.
    #[inline(always)]
    fn lgamma_rest(w: Self) -> Self {
        let c = [0.08333238, -0.002721587];
        polynomial(w, c)
    }
    // Error relative to digamma 2^-24.69.
    #[inline(always)]
    fn digamma_near_zero(t: Self) -> Self {
        let c = [
            -0.4427628, 0.25849947, -0.16396022, 0.10784836, -0.07196774, 0.048327655, -0.034066156,
            0.025641207, -0.016362015, 0.005635636, 0.00015116467, -0.0004901345,
        ];
        polynomial(t, c)
    }
    // Error relative to digamma 2^-26.66.
    #[inline(always)]
    fn digamma_rest(w: Self) -> Self {
        let c = [0.083329, -0.0080640875];
        polynomial(w, c)
    }
}

/// Whether lgamma and digamma of x need another way: the reflection formulas, of sines and tangents.
#[inline(always)]
pub fn far<T: Gamma>(x: T) -> bool {
    x < T::ZERO
}

/// ln |gamma(x)|; of x >= 0.
#[inline(always)]
pub fn lgamma<T: Gamma>(x: T) -> T {
    // Below 4.5 shifted to y in 1 .. 5/2, by steps that make one product. y - 1 and y - 2, which keep the zeros, are
    // exact where they matter.
    let one = T::ONE;
    let (two, three) = (T::of(2.0), T::of(3.0));
    let (n, product) = (two, x.mul_add(x - three, two));
    let upper = x <= T::of(3.5);
    let (n, product) = (if upper { one } else { n }, if upper { x - one } else { product });
    let middle = x <= T::of(2.5);
    let (n, product) = (if middle { T::ZERO } else { n }, if middle { one } else { product });
    let lower = x < one;
    let (n, product) = (if lower { -one } else { n }, if lower { x } else { product });
    let large = x >= T::of(4.5);
    let logarithm = log(if large { x } else { product });
    let (first, second) = (x - (n + one), x - (n + two));
    let u = x - (n + T::of(1.75));
    let rest = u.mul_add(T::lgamma_between(u), T::LGAMMA_MIDDLE[1]);
    let near =
        (first * second).mul_add(T::LGAMMA_MIDDLE[0] + rest, if lower { -logarithm } else { logarithm });
    // Stirling's series, with ln(2 pi) / 2 - 1 / 2.
    let inverse = one / x;
    let rest = inverse.mul_add(T::lgamma_rest(inverse * inverse), T::of(0.418_938_533_204_672_7));
    let far = (x - T::of(0.5)).mul_add(logarithm - one, rest);
    if large { far } else { near }
}

/// The derivative of ln gamma(x); of x >= 0.
#[inline(always)]
pub fn digamma<T: Gamma>(x: T) -> T {
    // Below 4.5 shifted to 1 .. 5/2, which has the zero; what the steps add is one fraction.
    let one = T::ONE;
    let (two, three) = (T::of(2.0), T::of(3.0));
    let (shifted, n, d) = (x - two, two * x - three, x.mul_add(x - three, two));
    let upper = x <= T::of(3.5);
    let (shifted, n, d) =
        (if upper { x - one } else { shifted }, if upper { one } else { n }, if upper { x - one } else { d });
    let middle = x <= T::of(2.5);
    let (shifted, n, d) =
        (if middle { x } else { shifted }, if middle { T::ZERO } else { n }, if middle { one } else { d });
    let lower = x < one;
    let (n, d) = (if lower { -one } else { n }, if lower { x } else { d });
    let zero = if lower { T::DIGAMMA_ZERO[0] - one } else { T::DIGAMMA_ZERO[0] };
    let large = x >= T::of(4.5);
    let inverse = one / if large { x } else { d };
    let t = (shifted - zero) - T::DIGAMMA_ZERO[1];
    let rest = t.mul_add(T::digamma_near_zero(t), T::DIGAMMA_SLOPE[1]);
    let near = n.mul_add(inverse, t.mul_add(T::DIGAMMA_SLOPE[0], t * rest));
    let w = inverse * inverse;
    let far = log(x) - (w.mul_add(T::digamma_rest(w), inverse * T::of(0.5)));
    if large { far } else { near }
}
