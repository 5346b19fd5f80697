// Products along lines and their slopes, along directions; what they are is said in cpu/products.rs. Each line is cut
// into parts, a thread for each; what comes before a part and after it is carried over by one thread for the line.
// Every number has an exponent of its own, so that none leaves the range.

// Left to weigh for itself, the compiler spills registers.
#undef MIN_BLOCKS
#define MIN_BLOCKS , 2

template <typename E> struct Arithmetic {
    // m 2^e with 1/2 <= |m| < 1; m is also 0, infinite or NaN.
    struct Wide {
        double m;
        i64 e;
    };
    DEVICE Wide make(double m, i64 e) {
        if (m == 0 || !is_finite(m)) return {m, 0};
        int exponent;
        m = frexp(m, &exponent);
        return {m, e + exponent};
    }
    DEVICE Wide of(E x) { return make((double)x, 0); }
    DEVICE Wide times(Wide a, Wide b) { return make(a.m * b.m, a.e + b.e); }
    DEVICE Wide plus(Wide a, Wide b) {
        if (a.m == 0 || (b.m != 0 && b.e > a.e)) {
            const Wide c = a;
            a = b;
            b = c;
        }
        if (!is_finite(a.m) || !is_finite(b.m) || b.m == 0) return make(a.m + b.m, a.e);
        // What is 2^-128 of the sum and less does not show.
        return make(a.m + ldexp(b.m, -(int)min(a.e - b.e, 128ll)), a.e);
    }
    DEVICE E value(Wide a) { return (E)ldexp(a.m, (int)max(-2200ll, min(a.e, 2200ll))); }
};

// Integers wrap.
template <> struct Arithmetic<i64> {
    typedef i64 Wide;
    DEVICE i64 of(i64 x) { return x; }
    DEVICE i64 times(i64 a, i64 b) { return (i64)((u64)a * (u64)b); }
    DEVICE i64 plus(i64 a, i64 b) { return (i64)((u64)a + (u64)b); }
    DEVICE i64 value(i64 a) { return a; }
};

typedef Arithmetic<T> Numbers;
typedef Numbers::Wide Wide;

const u32 DIRECTIONS = 4, SETS = 1 << DIRECTIONS;

struct ProductsArgs {
    u64 x;
    // The cotangents of the products, or 0 where those are wanted.
    u64 g;
    u64 y;
    // Of each part of each line two numbers with directions: its product, then what comes before it; the weighed sum of
    // products within it, then what comes after it.
    u64 parts_at;
    // Of each element what comes after it, with directions.
    u64 after;
    u64 directions[DIRECTIONS];
    u64 count;
    u64 n;
    u64 step;
    u64 lines;
    u64 part;
    u64 parts;
    u64 running;
};

struct Part {
    u64 line, number, start, end;
    Wide* at;
};

DEVICE Wide* part_at(const ProductsArgs& a, u64 line, u64 number) {
    return pointer<Wide>(a.parts_at) + ((number * a.lines + line) * 2 << a.count);
}

DEVICE bool own_part(const ProductsArgs& a, Part& p) {
    const u64 k = (u64)blockIdx.x * 256 + threadIdx.x;
    if (k >= a.lines * a.parts) return false;
    p.line = k % a.lines;
    p.number = k / a.lines;
    p.start = p.number * a.part;
    p.end = min(p.start + a.part, a.n);
    p.at = part_at(a, p.line, p.number);
    return true;
}

DEVICE u64 place(const ProductsArgs& a, u64 line, u64 i) {
    return line / a.step * a.step * a.n + line % a.step + i * a.step;
}

DEVICE void fill(Wide* y, u32 sets, T first) {
    for (u32 set = 0; set < sets; set++) y[set] = Numbers::of(set == 0 ? first : T(0));
}

DEVICE void copy(Wide* y, const Wide* x, u32 sets) {
    for (u32 set = 0; set < sets; set++) y[set] = x[set];
}

// y = y times the element at a place.
DEVICE void multiply(const ProductsArgs& a, Wide* y, u64 at) {
    const Wide x = Numbers::of(pointer<const T>(a.x)[at]);
    // From the largest set on: what is read is not yet written.
    for (u32 set = 1u << a.count; set-- > 0;) {
        Wide sum = Numbers::times(y[set], x);
        for (u32 k = 0; k < a.count; k++) {
            if (!(set >> k & 1)) continue;
            const Wide h = Numbers::of(pointer<const T>(a.directions[k])[at]);
            sum = Numbers::plus(sum, Numbers::times(y[set ^ 1u << k], h));
        }
        y[set] = sum;
    }
}

// A coefficient of the product of two numbers with directions.
DEVICE Wide coefficient(const Wide* x, const Wide* y, u32 set) {
    Wide sum = Numbers::of(T(0));
    for (u32 k = 0; k <= set; k++)
        if ((k & set) == k) sum = Numbers::plus(sum, Numbers::times(x[k], y[set ^ k]));
    return sum;
}

// y += the cotangent of product i.
DEVICE void seed(const ProductsArgs& a, Wide* y, u64 line, u64 i) {
    if (!a.running && i + 1 < a.n) return;
    const T g = pointer<const T>(a.g)[a.running ? place(a, line, i) : line];
    y[0] = Numbers::plus(y[0], Numbers::of(g));
}

KERNEL(product_parts, ProductsArgs, 256) {
    Part p;
    if (!own_part(a, p)) return;
    const u32 sets = 1u << a.count;
    Wide product[SETS], sum[SETS];
    fill(product, sets, T(1));
    fill(sum, sets, T(0));
    for (u64 i = p.end; i-- > p.start;) {
        const u64 at = place(a, p.line, i);
        multiply(a, product, at);
        if (a.g) {
            seed(a, sum, p.line, i);
            multiply(a, sum, at);
        }
    }
    copy(p.at, product, sets);
    copy(p.at + sets, sum, sets);
}

KERNEL(product_carry, ProductsArgs, 256) {
    const u64 line = (u64)blockIdx.x * 256 + threadIdx.x;
    if (line >= a.lines) return;
    const u32 sets = 1u << a.count;
    Wide carry[SETS], next[SETS];
    if (a.g) {
        fill(carry, sets, T(0));
        for (u64 k = a.parts; k-- > 0;) {
            Wide *product = part_at(a, line, k), *sum = product + sets;
            for (u32 set = 0; set < sets; set++) next[set] = Numbers::plus(sum[set], coefficient(product, carry, set));
            copy(sum, carry, sets);
            copy(carry, next, sets);
        }
    }
    fill(carry, sets, T(1));
    for (u64 k = 0; k < a.parts; k++) {
        Wide* product = part_at(a, line, k);
        for (u32 set = 0; set < sets; set++) next[set] = coefficient(product, carry, set);
        copy(product, carry, sets);
        copy(carry, next, sets);
    }
    if (!a.g && !a.running) pointer<T>(a.y)[line] = Numbers::value(carry[sets - 1]);
}

KERNEL(product_values, ProductsArgs, 256) {
    Part p;
    if (!own_part(a, p)) return;
    const u32 sets = 1u << a.count;
    Wide product[SETS];
    copy(product, p.at, sets);
    for (u64 i = p.start; i < p.end; i++) {
        const u64 at = place(a, p.line, i);
        multiply(a, product, at);
        pointer<T>(a.y)[at] = Numbers::value(product[sets - 1]);
    }
}

KERNEL(product_slopes, ProductsArgs, 256) {
    Part p;
    if (!own_part(a, p)) return;
    const u32 sets = 1u << a.count;
    Wide carry[SETS];
    copy(carry, p.at + sets, sets);
    for (u64 i = p.end; i-- > p.start;) {
        const u64 at = place(a, p.line, i);
        seed(a, carry, p.line, i);
        copy(pointer<Wide>(a.after) + at * sets, carry, sets);
        multiply(a, carry, at);
    }
    copy(carry, p.at, sets);
    for (u64 i = p.start; i < p.end; i++) {
        const u64 at = place(a, p.line, i);
        const Wide* after = pointer<const Wide>(a.after) + at * sets;
        pointer<T>(a.y)[at] = Numbers::value(coefficient(carry, after, sets - 1));
        multiply(a, carry, at);
    }
}
