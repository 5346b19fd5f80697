// What every kernel may use. Sources are joined into one text for NVRTC, which has no headers.
//
// A kernel takes one struct, by value, whose fields are all words of 8 bytes: pointers, integers, and the bits of
// numbers. So the host fills an array of words, and needs no struct of its own.

#ifndef TAPEGRAD_STAND_IN
#define KERNEL(name, Args, max_threads) \
    extern "C" __global__ void __launch_bounds__(max_threads MIN_BLOCKS) name(const Args a)
#define DYNAMIC_SHARED(T, name)                                    \
    extern __shared__ __align__(16) unsigned char name##_bytes_[]; \
    T* name = reinterpret_cast<T*>(name##_bytes_)
#endif

// What follows the number of threads in the bounds of a launch: nothing, so that the compiler weighs registers
// against the blocks that fit side by side.
#define MIN_BLOCKS

#define DEVICE static __device__ __forceinline__

typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;

// The bits of a number, in a word.
template <typename T> struct Bits;
template <> struct Bits<float> {
    DEVICE float of(u64 word) { return __int_as_float((int)(u32)word); }
};
template <> struct Bits<double> {
    DEVICE double of(u64 word) { return __longlong_as_double((i64)word); }
};
template <> struct Bits<i64> {
    DEVICE i64 of(u64 word) { return (i64)word; }
};
template <> struct Bits<bool> {
    DEVICE bool of(u64 word) { return word != 0; }
};

// The lowest and the highest value of a type, and whether a value is NaN.
template <typename T> struct Limits;
template <> struct Limits<float> {
    DEVICE float highest() { return __int_as_float(0x7f800000); }
    DEVICE float lowest() { return -highest(); }
    DEVICE float nan() { return __int_as_float(0x7fc00000); }
    DEVICE float highest_finite() { return __int_as_float(0x7f7fffff); }
    DEVICE float epsilon() { return 1.1920928955078125e-7f; }
    // The smallest normal number.
    DEVICE float tiny() { return 1.17549435082228750797e-38f; }
};
template <> struct Limits<double> {
    DEVICE double highest() { return __longlong_as_double(0x7ff0000000000000ll); }
    DEVICE double lowest() { return -highest(); }
    DEVICE double nan() { return __longlong_as_double(0x7ff8000000000000ll); }
    DEVICE double highest_finite() { return __longlong_as_double(0x7fefffffffffffffll); }
    DEVICE double epsilon() { return 2.2204460492503131e-16; }
    DEVICE double tiny() { return 2.2250738585072014e-308; }
};
template <> struct Limits<i64> {
    DEVICE i64 highest() { return 0x7fffffffffffffffll; }
    DEVICE i64 lowest() { return -highest() - 1; }
};

template <typename T> DEVICE bool is_nan(T x) { return x != x; }
template <typename T> DEVICE bool is_finite(T x) { return x - x == 0; }
DEVICE bool is_finite(i64) { return true; }
template <typename T> DEVICE bool is_infinite(T x) { return x == Limits<T>::highest() || x == Limits<T>::lowest(); }
DEVICE bool is_infinite(i64) { return false; }

// Integers wrap.
DEVICE float magnitude(float x) { return fabsf(x); }
DEVICE double magnitude(double x) { return fabs(x); }
DEVICE i64 magnitude(i64 x) { return x < 0 ? (i64)(0 - (u64)x) : x; }

// -1, 0 or 1, and NaN for NaN.
template <typename T> DEVICE T sign(T x) { return x > 0 ? T(1) : x < 0 ? T(-1) : x * T(0); }

// The largest finite number in place of infinity.
template <typename T> DEVICE T within_range(T x) {
    return is_infinite(x) ? sign(x) * Limits<T>::highest_finite() : x;
}

// x over the length of (x, y), and 0 at the origin: see expression.rs.
template <typename T> DEVICE T direction(T x, T y) {
    T a = fabs(x), b = fabs(y), longest = b > a ? b : a;
    if (longest == 0) return x;
    if (is_infinite(longest)) {
        x = is_infinite(a) ? sign(x) : x * 0;
        y = is_infinite(b) ? sign(y) : y * 0;
        longest = 1;
    }
    x /= longest;
    y /= longest;
    return x / sqrt(x * x + y * y);
}

// x over the square of the length of (x, y), and 0 at the origin.
template <typename T> DEVICE T over_square(T x, T y) {
    T length = hypot(x, y);
    return direction(x, y) / (length == 0 ? 1 : length);
}

// 1 over the square of the hyperbolic cosine.
template <typename T> DEVICE T sech_square(T x) {
    T e = exp(-2 * fabs(x)), sum = 1 + e;
    return 4 * e / (sum * sum);
}

// As Rust's `as`: fractions are cut off, what is out of range saturates, NaN becomes 0.
DEVICE i64 to_integer(double x) {
    if (x != x) return 0;
    if (x >= 9223372036854775808.0) return Limits<i64>::highest();
    if (x < -9223372036854775808.0) return Limits<i64>::lowest();
    return (i64)x;
}
DEVICE i64 to_integer(float x) { return to_integer((double)x); }
DEVICE i64 to_integer(bool x) { return x; }

// Division that leaves a remainder; an integer divisor is not 0.
template <typename T> DEVICE T truncated_remainder(T x, T y) { return fmod(x, y); }
DEVICE i64 truncated_remainder(i64 x, i64 y) { return y == -1 ? 0 : x % y; }
template <typename T> DEVICE T floor_remainder(T x, T y) {
    T rest = truncated_remainder(x, y);
    return rest == 0 ? copysign(rest, y) : (rest < 0) != (y < 0) ? rest + y : rest;
}
DEVICE i64 floor_remainder(i64 x, i64 y) {
    i64 rest = truncated_remainder(x, y);
    return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
}
template <typename T> DEVICE T trunc_divide(T x, T y) {
    // Rounding may have moved the quotient by less than a half; the quotient as it is has the sign of zero, and the
    // infinity of a divisor that is 0.
    return y == 0 ? x / y : copysign(round((x - truncated_remainder(x, y)) / y), x / y);
}
DEVICE i64 trunc_divide(i64 x, i64 y) { return y == -1 ? (i64)(0 - (u64)x) : x / y; }
template <typename T> DEVICE T floor_divide(T x, T y) {
    T rest = truncated_remainder(x, y);
    return trunc_divide(x, y) - T(rest != 0 && (rest < 0) != (y < 0));
}
DEVICE i64 floor_divide(i64 x, i64 y) {
    if (y == -1) return (i64)(0 - (u64)x);
    return x / y - (x % y != 0 && (x < 0) != (y < 0));
}

// Division of numbers below 2^31 by a constant as a product (Granlund and Montgomery 1994), from two words of the
// host: the divisor and the multiplier, and the shift.
struct Divisor {
    u64 divisor_and_multiplier;
    u64 shift;
    __device__ __forceinline__ u32 size() const { return (u32)divisor_and_multiplier; }
    __device__ __forceinline__ void divide(u32 n, u32& quotient, u32& remainder) const {
        quotient = (__umulhi(n, (u32)(divisor_and_multiplier >> 32)) + n) >> (u32)shift;
        remainder = n - quotient * size();
    }
};

// Elements that are loaded and stored together.
template <typename T, int N> struct alignas(sizeof(T) * N) Pack {
    T at[N];
};

// 2^20, -3, ..: x to an integer power.
DEVICE double whole_power(double x, int n) {
    double base = n < 0 ? 1 / x : x, result = 1;
    for (u32 k = n < 0 ? 0u - (u32)n : (u32)n; k; k >>= 1, base *= base)
        if (k & 1) result *= base;
    return result;
}

// (n-1)! / x^n for x > 0: see special.rs, whose steps these and the next ones are.
static __device__ __noinline__ double factorial_over_power(i64 n, double x) {
    if (n <= 170) {
        double factorial = 1;
        for (int k = 1; k < n; k++) factorial *= k;
        return factorial * whole_power(x, -(int)(n / 2)) * whole_power(x, (int)(n / 2 - n));
    }
    const double order = (double)n;
    const double series = (1.0 / 12 - (1.0 / 360 - 1 / (1260 * order * order)) / (order * order)) / order;
    return exp(order * (log(order / x) - 1) + 0.5 * log(6.28318530717958647692 / order) + series);
}

// The derivative of order n of the digamma function.
static __device__ __noinline__ double polygamma_in_double(i64 n, double x) {
    const double pi = 3.14159265358979323846;
    const double bernoulli[10] = {1.0 / 6, -1.0 / 30, 1.0 / 42, -1.0 / 30, 5.0 / 66, -691.0 / 2730, 7.0 / 6,
                                  -3617.0 / 510, 43867.0 / 798, -174611.0 / 330};
    const bool odd = n % 2 == 1;
    if (x <= 0 && x == floor(x)) {
        if (odd) return Limits<double>::highest();
        return x == 0 ? copysign(Limits<double>::highest(), -x) : Limits<double>::nan();
    }
    double sign = 1, poles = 0;
    if (x < 0) {
        // psi_n(x) = (-1)^n psi_n(1 - x) - pi d^n/dx^n cot(pi x)
        if (n <= 22) {
            // The derivative is a polynomial in c = cot(pi x), since dc/dx = -pi (1 + c^2).
            const double c = 1 / tan(pi * (x - rint(x)));
            double p[24] = {0, 1}, next[24];
            for (int step = 0; step < n; step++) {
                for (int k = 0; k < 24; k++) next[k] = 0;
                for (int k = 1; k <= step + 1; k++) {
                    const double slope = -pi * k * p[k];
                    next[k - 1] += slope;
                    next[k + 1] += slope;
                }
                for (int k = 0; k < 24; k++) p[k] = next[k];
            }
            double value = 0;
            for (int k = 23; k >= 0; k--) value = value * c + p[k];
            poles = -pi * value;
        } else {
            const double offset = x - round(x), nearest = fabs(offset), order = (double)(n + 1);
            double sum = 0;
            for (int j = 0; j < 9; j++) {
                const double right = pow(nearest / (nearest + j), order), left = pow(nearest / (j + 1 - nearest), order);
                sum += odd ? right + left : right - left;
            }
            if (sum != 0) poles = (odd || offset < 0 ? 1 : -1) * factorial_over_power(n + 1, nearest) * sum;
        }
        if (!is_finite(poles)) return poles;
        sign = odd ? -1 : 1;
        x = 1 - x;
    }
    double result;
    if (n == 0) {
        double below = 0;
        for (; x < 10; x += 1) below += 1 / x;
        const double square = 1 / (x * x);
        double power = square, series = 0;
        for (int k = 0; k < 10; k++, power *= square) series += bernoulli[k] * power / (2.0 * (k + 1));
        result = log(x) - 0.5 / x - series - below;
    } else {
        const double order = (double)n, start = x;
        double sum = 0;
        bool counts = true;
        for (; x < order + 15 && counts; x += 1) {
            const double term = order / x * (x == start ? 1 : pow(start / x, order));
            sum += term;
            counts = term > 1e-18 * sum;
        }
        if (counts) {
            const double square = 1 / (x * x);
            double term = 1, series = 0;
            for (int k = 0; k < 10; k++) {
                const double j = 2.0 * (k + 1);
                term *= (j + order - 2) * (j + order - 1) / ((j - 1) * j) * square;
                series += bernoulli[k] * term;
            }
            sum += (x == start ? 1 : pow(start / x, order)) * (1 + 0.5 * order / x + series);
        }
        result = factorial_over_power(n, start) * sum;
        if (!odd) result = -result;
    }
    return sign * result + poles;
}
template <typename T> DEVICE T polygamma(i64 n, T x) { return (T)polygamma_in_double(n, (double)x); }

// The largest of the values in a warp, and in a block of 256 threads, for each of them.
template <typename T> DEVICE T warp_largest(T x) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2) x = max(x, __shfl_xor_sync(0xffffffff, x, step));
    return x;
}
template <typename T> DEVICE T block_largest(T x) {
    __shared__ T of_warps[8];
    x = warp_largest(x);
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = x;
    __syncthreads();
#pragma unroll
    for (int k = 0; k < 8; k++) x = max(x, of_warps[k]);
    return x;
}

// Offers a number to a status word, which keeps the smallest (status.rs).
DEVICE void report(u64 status, u64 number) { atomicMin(reinterpret_cast<u64*>(status), number); }
