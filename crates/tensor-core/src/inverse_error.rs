//! The inverse of the error function, of any expression.

use crate::expression::Expression;
use std::f64::consts::FRAC_1_SQRT_2;

/// a[0] + a[1] x + .. over 1 + b[0] x + ..; written out, as a loop keeps the one around it from being vectorised.
#[inline(always)]
fn ratio<E: Expression>(x: E, a: [f64; 8], b: [f64; 7]) -> E {
    let next = |sum: E, c: f64| (sum * x.clone()).plus(c);
    let above = next(next(next(x.clone().times(a[7]).plus(a[6]), a[5]), a[4]), a[3]);
    let above = next(next(next(above, a[2]), a[1]), a[0]);
    let below = next(next(next(x.clone().times(b[6]).plus(b[5]), b[4]), b[3]), b[2]);
    above / next(next(next(below, b[1]), b[0]), 1.0)
}

/// The y with erf(y) = x: Wichura's approximations of the normal distribution's quantiles (1988, AS 241), which are
/// written by the distance from the nearer end, so that they have their digits next to 1 and -1.
#[inline(always)]
pub(crate) fn erfinv<E: Expression>(x: E) -> E {
    let size = x.clone().abs();
    let half = x.clone().times(0.5);
    let near = half.clone()
        * ratio(
            (-half.square()).plus(0.180625),
            [
                3.387_132_872_796_366_5, 133.141_667_891_784_38, 1_971.590_950_306_551_3,
                13_731.693_765_509_46, 45_921.953_931_549_87, 67_265.770_927_008_7, 33_430.575_583_588_13,
                2_509.080_928_730_122_7,
            ],
            [
                42.313_330_701_600_91, 687.187_007_492_057_9, 5_394.196_021_424_751, 21_213.794_301_586_597,
                39_307.895_800_092_71, 28_729.085_735_721_943, 5_226.495_278_852_854,
            ],
        );
    let root = (-(-size.clone()).plus(1.0).times(0.5).log()).sqrt();
    let middle = ratio(
        root.clone().plus(-1.6),
        [
            1.423_437_110_749_683_5, 4.630_337_846_156_546, 5.769_497_221_460_691, 3.647_848_324_763_204_5,
            1.270_458_252_452_368_4, 0.241_780_725_177_450_6, 0.022_723_844_989_269_184,
            7.745_450_142_783_414e-4,
        ],
        [
            2.053_191_626_637_759,
            1.676_384_830_183_803_8,
            0.689_767_334_985_1,
            0.148_103_976_427_480_08,
            0.015_198_666_563_616_457,
            5.475_938_084_995_345e-4,
            1.050_750_071_644_416_9e-9,
        ],
    );
    let end = ratio(
        root.clone().plus(-5.0),
        [
            6.657_904_643_501_103,
            5.463_784_911_164_114,
            1.784_826_539_917_291_3,
            0.296_560_571_828_504_87,
            0.026_532_189_526_576_124,
            0.001_242_660_947_388_078_4,
            2.711_555_568_743_487_6e-5,
            2.010_334_399_292_288_1e-7,
        ],
        [
            0.599_832_206_555_888,
            0.136_929_880_922_735_8,
            0.014_875_361_290_850_615,
            7.868_691_311_456_133e-4,
            1.846_318_317_510_054_8e-5,
            1.421_511_758_316_446e-7,
            2.044_263_103_389_939_8e-15,
        ],
    );
    let far = E::choose(root.le_number(5.0), middle, end).with(size.eq_number(1.0), f64::INFINITY);
    E::choose(size.le_number(0.85), near, far * x.sign()).times(FRAC_1_SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::erfinv;

    /// Values by MPFR.
    #[test]
    fn has_its_digits_everywhere() {
        let units = |x: f64, y: f64| (erfinv(x) - y).abs() / (y.abs() * f64::EPSILON);
        for (x, y) in CASES {
            assert!(
                units(x, y) <= 3.0 && units(-x, -y) <= 3.0,
                "erfinv({x:e}) is {:e}, not {y:e}",
                erfinv(x)
            );
        }
        assert_eq!((erfinv(1.0), erfinv(-1.0)), (f64::INFINITY, f64::NEG_INFINITY));
        assert!(
            erfinv(0.0) == 0.0
                && f64::is_nan(erfinv(1.5))
                && f64::is_nan(erfinv(-2.0))
                && f64::is_nan(erfinv(f64::NAN))
        );
        assert!(f64::is_nan(erfinv(f64::INFINITY)));
    }

    const CASES: [(f64, f64); 21] = [
        (1e-300, 8.86226925452758e-301),
        (2.5e-17, 2.215567313631895e-17),
        (0.001, 0.0008862271574665521),
        (0.1, 0.08885599049425769),
        (0.3, 0.2724627147267543),
        (0.5, 0.4769362762044699),
        (0.7, 0.7328690779592167),
        (0.84, 0.9935356283473041),
        (0.85, 1.0179024648320276),
        (0.8500001, 1.0179027145953181),
        (0.9, 1.1630871536766743),
        (0.95, 1.3859038243496777),
        (0.99, 1.8213863677184494),
        (0.999, 2.3267537655135246),
        (0.999999, 3.458910737275499),
        (0.999999999, 4.320005388105362),
        (0.99999999999, 4.812924058944833),
        (0.99999999997, 4.699835337556733),
        (0.9999999999999, 5.261483331372676),
        (0.9999999999999996, 5.74587239219118),
        (0.9999999999999999, 5.8635847487551676),
    ];
}
