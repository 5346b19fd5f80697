// Reductions of any layout. A group of threads shares each result: every thread combines the elements it loads into
// partial results, and a tree combines those. Which elements meet in which order depends on the layout alone.

// Left to weigh for itself, the compiler spills registers.
#undef MIN_BLOCKS
#define MIN_BLOCKS , 2

// An operation on elements of type E: what it remembers of them (Part), and its result over `count` of them.
template <typename E> struct Fold {
    typedef E Part;
    typedef E Result;
    DEVICE E part(E x, i64) { return x; }
    DEVICE E result(E part, u64) { return part; }
};

template <typename E> struct Sum : Fold<E> {
    DEVICE E neutral() { return E(0); }
    DEVICE E combine(E a, E b) { return a + b; }
};

// The mean. Beside the sum there is one of elements divided by 2^64, which more than 2^64 of them take to leave the range.
template <typename E> struct Mean {
    struct Part {
        E sum, reduced;
    };
    typedef E Result;
    DEVICE Part neutral() { return {E(0), E(0)}; }
    DEVICE Part part(E x, i64) { return {x, x * E(5.42101086242752217e-20)}; }
    DEVICE Part combine(Part a, Part b) { return {a.sum + b.sum, a.reduced + b.reduced}; }
    DEVICE E result(Part part, u64 count) {
        const bool left = !is_finite(part.sum) && is_finite(part.reduced);
        return left ? part.reduced / E(count) * E(18446744073709551616.0) : part.sum / E(count);
    }
};

// Where squares leave the range, and what elements are multiplied by there (Blue 1978, in the form of Anderson 2017,
// "Algorithm 978: safe scaling in the level 1 BLAS").
template <typename E> struct Squares;
template <> struct Squares<float> {
    DEVICE float large() { return 4503599627370496.f; }
    DEVICE float small() { return 1.08420217248550443e-19f; }
    DEVICE float down() { return 1.32348898008484428e-23f; }
    DEVICE float up() { return 3.77789318629571618e22f; }
};
template <> struct Squares<double> {
    DEVICE double large() { return 1.99791907220223503e146; }
    DEVICE double small() { return 1.49166814624004135e-154; }
    DEVICE double down() { return 1.11137937474253874e-162; }
    DEVICE double up() { return 4.49891379454319638e161; }
};

// The root of the sum of squares: those of large, middling and small elements are summed apart.
template <typename E> struct Length {
    typedef Squares<E> At;
    // As large as four, a size that can be loaded at once.
    struct alignas(4 * sizeof(E)) Part {
        E large, middle, small;
    };
    typedef E Result;
    DEVICE Part neutral() { return {E(0), E(0), E(0)}; }
    DEVICE Part part(E x, i64) {
        const E size = magnitude(x);
        const bool large = size > At::large(), small = size < At::small();
        const E y = x * (large ? At::down() : small ? At::up() : E(1)), square = y * y;
        return {large ? square : E(0), large || small ? E(0) : square, small ? square : E(0)};
    }
    DEVICE Part combine(Part a, Part b) {
        return {a.large + b.large, a.middle + b.middle, a.small + b.small};
    }
    DEVICE E result(Part part, u64) {
        if (part.large > 0) return sqrt(part.large + part.middle * At::down() * At::down()) / At::down();
        if (!(part.small > 0)) return sqrt(part.middle);
        const E small = sqrt(part.small) / At::up(), middle = sqrt(part.middle);
        const E longer = middle < small ? small : middle, shorter = middle < small ? middle : small;
        const E ratio = shorter / longer;
        return longer * sqrt(E(1) + ratio * ratio);
    }
};

template <typename E> struct Max : Fold<E> {
    DEVICE E neutral() { return Limits<E>::lowest(); }
    DEVICE E combine(E a, E b) { return b > a || is_nan(b) ? b : a; }
};

template <typename E> struct Min : Fold<E> {
    DEVICE E neutral() { return Limits<E>::highest(); }
    DEVICE E combine(E a, E b) { return b < a || is_nan(b) ? b : a; }
};

template <typename E> struct All : Fold<E> {
    DEVICE E neutral() { return true; }
    DEVICE E combine(E a, E b) { return a && b; }
};

template <typename E> struct Any : Fold<E> {
    DEVICE E neutral() { return false; }
    DEVICE E combine(E a, E b) { return a || b; }
};

// The index of the first extreme element; NaN is more extreme than anything.
template <typename E, bool SMALLEST> struct FirstExtreme {
    typedef Found<E> Part;
    typedef i64 Result;
    DEVICE Part part(E x, i64 i) { return {x, i}; }
    DEVICE Part neutral() {
        return {SMALLEST ? Limits<E>::highest() : Limits<E>::lowest(), Limits<i64>::highest()};
    }
    DEVICE bool beats(E a, E b) { return (SMALLEST ? a < b : a > b) || (is_nan(a) && !is_nan(b)); }
    DEVICE Part combine(Part a, Part b) {
        return beats(b.value, a.value) || (!beats(a.value, b.value) && b.at < a.at) ? b : a;
    }
    DEVICE i64 result(Part part, u64) { return part.at; }
};
template <typename E> struct FirstLargest : FirstExtreme<E, false> {};
template <typename E> struct FirstSmallest : FirstExtreme<E, true> {};

typedef OPERATION<T> Operation;
typedef Operation::Part Part;
typedef Operation::Result Result;

// What is reduced: elements at first, then the parts of results that several blocks share.
struct Elements {
    typedef T Item;
    DEVICE Part part(T x, u64 i) { return Operation::part(x, (i64)i); }
};
struct Parts {
    typedef Part Item;
    DEVICE Part part(Part x, u64) { return x; }
};

struct ReduceArgs {
    u64 x;
    u64 y;
    u64 results;
    // Loads for each result, how many of them a block takes, and the items that are left after the last load.
    u64 loads;
    u64 part;
    u64 tail;
    // The number of threads for each result, as a power of 2.
    u64 lane_bits;
    // Whether neighbouring threads work on neighbouring results, or share one.
    u64 across;
    // Whether the results are wanted, or their parts.
    u64 last;
    // The elements of each result.
    u64 count;
    Nest<2> kept;
    Nest<1> along;
};

// Blocks along x stand for results, blocks along y for the parts of them.
template <typename Source, int WIDTH> DEVICE void reduce_items(const ReduceArgs& a) {
    typedef typename Source::Item Item;
    typedef Pack<Item, WIDTH> Load;
    // Loads on their way at one time.
    const int AHEAD = WIDTH == 1 ? 8 : 4;
    __shared__ Part parts[256];
    const u32 lanes = 1u << a.lane_bits, slots = 256 >> a.lane_bits;
    const u32 lane = a.across ? threadIdx.x / slots : threadIdx.x % lanes;
    const u32 slot = a.across ? threadIdx.x % slots : threadIdx.x / lanes;
    const u64 r = (u64)blockIdx.x * slots + slot;
    const Places<2> place(a.kept, r);
    Part part[WIDTH];
#pragma unroll
    for (int k = 0; k < WIDTH; k++) part[k] = Operation::neutral();
    if (r < a.results) {
        const Item* x = pointer<const Item>(a.x) + place.at[0];
        const u64 start = blockIdx.y * a.part, end = min(start + a.part, a.loads);
        for (u64 i = start + lane; i < end; i += AHEAD * lanes) {
            Load load[AHEAD];
#pragma unroll
            for (int u = 0; u < AHEAD; u++) {
                const u64 j = i + u * lanes;
                if (j < end) load[u] = *reinterpret_cast<const Load*>(x + Places<1>(a.along, j).at[0]);
            }
#pragma unroll
            for (int u = 0; u < AHEAD; u++) {
                const u64 j = i + u * lanes;
#pragma unroll
                for (int k = 0; k < WIDTH; k++)
                    if (j < end) part[k] = Operation::combine(part[k], Source::part(load[u].at[k], j * WIDTH + k));
            }
        }
        if (WIDTH > 1 && blockIdx.y == gridDim.y - 1) {
            const u64 first = a.loads * WIDTH;
            for (u64 k = lane; k < a.tail; k += lanes)
                part[0] = Operation::combine(part[0], Source::part(x[first + k], first + k));
        }
    }
#pragma unroll
    for (int half = WIDTH / 2; half > 0; half /= 2) {
#pragma unroll
        for (int k = 0; k < half; k++) part[k] = Operation::combine(part[k], part[k + half]);
    }
    parts[threadIdx.x] = part[0];
    const u32 step = a.across ? slots : 1;
    for (u32 half = lanes / 2; half > 0; half /= 2) {
        __syncthreads();
        if (lane < half)
            parts[threadIdx.x] = Operation::combine(parts[threadIdx.x], parts[threadIdx.x + half * step]);
    }
    if (lane == 0 && r < a.results) {
        const u64 to = blockIdx.y * a.results + place.at[1];
        if (a.last)
            pointer<Result>(a.y)[to] = Operation::result(parts[threadIdx.x], a.count);
        else
            pointer<Part>(a.y)[to] = parts[threadIdx.x];
    }
}

KERNEL(reduce, ReduceArgs, 256) { reduce_items<Elements, 1>(a); }

// Items that lie next to each other, 16 bytes at a time.
KERNEL(reduce_packs, ReduceArgs, 256) { reduce_items<Elements, 16 / sizeof(T)>(a); }

KERNEL(reduce_parts, ReduceArgs, 256) { reduce_items<Parts, 1>(a); }
