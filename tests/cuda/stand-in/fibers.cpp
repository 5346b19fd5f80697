#include "fibers.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <utility>

#include "switch.h"

namespace sim {

State state;

namespace {

constexpr unsigned MAX_THREADS = 1024, WARP = 32;
constexpr size_t PAGE = 4096, STACK = 128 << 10;
constexpr size_t MAX_SHARED = 228 << 10;
constexpr unsigned char POISON = 0xA5;

struct Fiber {
    Context context;
    char* stack = nullptr;
};

struct alignas(64) Thread {  // one cache line
    Fiber* fiber;  // where it waits
    Index index;
    unsigned line, mask;
    WarpOp op;
    int source;
    unsigned long long value, result;
};

struct Warp {
    unsigned live, waiting;  // bit per lane
};

// The running launch.
const Kernel* kernel;
const void* args;
unsigned block_threads;
unsigned char* shared_end;  // followed by an inaccessible page

// The running block.
Thread threads[MAX_THREADS];
Warp warps[MAX_THREADS / WARP];
uint16_t order[MAX_THREADS];
unsigned started, live;
unsigned current;  // thread
bool failed;
struct {
    uint16_t waiting[MAX_THREADS];
    unsigned count, votes;
    bool divergent;
} barrier;
struct {  // threads that may go on, first in first out; each is in it at most once
    uint16_t thread[MAX_THREADS];
    unsigned head, count;
} ready;

// Fibers. One that has no thread's frames on it is idle: it starts the next thread when resumed.
Fiber launcher;  // the OS thread's own stack
std::vector<Fiber*> all, idle;
Fiber* running = &launcher;

bool seeded;
uint64_t random_state;

unsigned random_below(unsigned n) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return unsigned((random_state >> 32) * n >> 32);
}

void fiber_main();

Fiber* idle_fiber() {
    if (!idle.empty()) {
        Fiber* f = idle.back();
        idle.pop_back();
        return f;
    }
    auto* f = new Fiber;
    void* m = mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (m == MAP_FAILED) {
        fprintf(stderr, "stand-in: no memory for a thread's stack\n");
        abort();
    }
    f->stack = static_cast<char*>(m);
    mprotect(f->stack, PAGE, PROT_NONE);
    // Staggered, or every stack's top would fall into the same cache set.
    make_context(f->context, f->stack + PAGE, STACK - PAGE - all.size() % 16 * 192, fiber_main);
    all.push_back(f);
    return f;
}

__attribute__((always_inline)) inline void go(Fiber* to) {
    if (to == running) return;
    Fiber* from = running;
    running = to;
    switch_context(from->context, to->context);
}

void become(unsigned t) {
    current = t;
    state.thread = threads[t].index;
    state.lane = t % WARP;
}

bool start_before_ready() { return ready.count == 0 || (seeded && random_below(2)); }

void push_ready(unsigned t) { ready.thread[(ready.head + ready.count++) % MAX_THREADS] = uint16_t(t); }

Fiber* pop_ready() {
    uint16_t* head = &ready.thread[ready.head];
    if (seeded) {
        uint16_t* other = &ready.thread[(ready.head + random_below(ready.count)) % MAX_THREADS];
        std::swap(*head, *other);
    }
    ready.head = (ready.head + 1) % MAX_THREADS;
    ready.count--;
    become(*head);
    return threads[*head].fiber;
}

// Gives up this block: its fibers are remade before the next one.
[[noreturn]] void fail() {
    failed = true;
    go(&launcher);
    abort();
}

void report(const char* format, unsigned a = 0, unsigned b = 0, unsigned c = 0, unsigned d = 0) {
    fprintf(stderr, "stand-in: kernel %s, block (%u,%u,%u): ", kernel->name, state.block.x, state.block.y,
            state.block.z);
    fprintf(stderr, format, a, b, c, d);
    fputc('\n', stderr);
}

// The current thread waits: another goes on, or a new one starts.
__attribute__((always_inline)) inline void suspend() {
    threads[current].fiber = running;
    Fiber* next = &launcher;  // if nobody can go on
    if (started < block_threads && start_before_ready()) next = idle_fiber();
    else if (ready.count) next = pop_ready();
    go(next);
}

// ---- block barrier --------------------------------------------------------------------------------

void release_barrier(bool by_exit) {
    if (barrier.divergent) {
        unsigned first = barrier.waiting[0], other = first;
        for (unsigned i = 0; i < barrier.count; i++)
            if (threads[barrier.waiting[i]].line != threads[first].line) other = barrier.waiting[i];
        report("divergent __syncthreads: thread %u waits at line %u, thread %u at line %u", first,
               threads[first].line, other, threads[other].line);
        fail();
    }
    for (unsigned i = 0; i < barrier.count; i++) {
        unsigned t = barrier.waiting[i];
        threads[t].result = barrier.votes;
        if (by_exit || t != current) push_ready(t);
    }
    barrier.count = barrier.votes = 0;
}

unsigned wait_block(bool vote, unsigned line) {
    Thread& me = threads[current];
    me.line = line;
    if (barrier.count && threads[barrier.waiting[0]].line != line) barrier.divergent = true;
    barrier.waiting[barrier.count++] = uint16_t(current);
    barrier.votes += vote;
    if (barrier.count == live) {
        release_barrier(false);
        if (!seeded) return unsigned(me.result);
        push_ready(current);  // with a seed, another thread may be quicker
    }
    suspend();
    return unsigned(me.result);
}

// ---- warps ----------------------------------------------------------------------------------------

// If every live lane in `mask` waits for it: exchanges their values and lets them go on.
bool complete(unsigned w, unsigned mask, bool by_exit) {
    Warp& warp = warps[w];
    Thread* lane = &threads[w * WARP];
    unsigned members = mask & warp.live;
    if ((warp.waiting & members) != members) return false;
    unsigned first = unsigned(__builtin_ctz(members)), votes = 0;
    for (unsigned rest = members; rest; rest &= rest - 1) {
        unsigned l = unsigned(__builtin_ctz(rest));
        if (lane[l].mask != mask) return false;
        // A warp may meet in different __syncwarp()s, but not in different shuffles or votes.
        bool same = lane[l].op == lane[first].op && (lane[l].op == WarpOp::sync || lane[l].line == lane[first].line);
        if (!same) {
            report("divergent warp: thread %u waits at line %u, thread %u at line %u", w * WARP + first,
                   lane[first].line, w * WARP + l, lane[l].line);
            fail();
        }
        votes |= unsigned(lane[l].value != 0) << l;
    }
    for (unsigned rest = members; rest; rest &= rest - 1) {
        unsigned l = unsigned(__builtin_ctz(rest));
        if (lane[l].op == WarpOp::ballot) {
            lane[l].result = votes;
        } else if (members >> lane[l].source & 1) {
            lane[l].result = lane[lane[l].source].value;
        } else {
            memset(&lane[l].result, POISON, sizeof lane[l].result);  // a lane that takes no part
        }
        unsigned t = w * WARP + l;
        if (by_exit || t != current) push_ready(t);
    }
    warp.waiting &= ~members;
    return true;
}

unsigned long long wait_warp(WarpOp op, unsigned mask, unsigned long long value, int source, unsigned line) {
    Thread& me = threads[current];
    unsigned w = current / WARP, bit = 1u << current % WARP;
    if (!(mask & bit)) {
        report("thread %u is not in its own mask %#x at line %u", current, mask, line);
        fail();
    }
    me.op = op;
    me.mask = mask;
    me.value = value;
    me.source = source & int(WARP - 1);
    me.line = line;
    warps[w].waiting |= bit;
    if (complete(w, mask, false)) {
        if (!seeded) return me.result;
        push_ready(current);
    }
    suspend();
    return me.result;
}

void trap() {
    report("thread %u called __trap()", current);
    fail();
}

// ---- threads and blocks ---------------------------------------------------------------------------

// The current thread has returned: those that waited for it alone go on.
void leave() {
    live--;
    unsigned w = current / WARP;
    Warp& warp = warps[w];
    warp.live &= ~(1u << current % WARP);
    if (barrier.count && barrier.count == live) release_barrier(true);
    for (unsigned rest = warp.waiting; rest; rest &= rest - 1) {
        unsigned l = unsigned(__builtin_ctz(rest));
        if (warp.waiting >> l & 1) complete(w, threads[w * WARP + l].mask, true);
    }
}

// Threads that never wait run here one after another, without a switch between them.
void fiber_main() {
    for (;;) {
        while (started < block_threads && start_before_ready()) {
            become(order[started++]);
            kernel->run(args);
            leave();
        }
        idle.push_back(running);
        go(ready.count ? pop_ready() : &launcher);
    }
}

void report_deadlock() {
    report("%u threads wait for ever (divergent __syncthreads or warp mask):", live);
    unsigned shown = 0;
    for (unsigned i = 0; i < barrier.count && shown < 3; i++, shown++)
        fprintf(stderr, "  thread %u waits for the block at line %u\n", barrier.waiting[i],
                threads[barrier.waiting[i]].line);
    for (unsigned t = 0; t < block_threads && shown < 5; t++)
        if (warps[t / WARP].waiting >> t % WARP & 1) {
            fprintf(stderr, "  thread %u waits for lanes %#x at line %u\n", t, threads[t].mask, threads[t].line);
            shown++;
        }
}

void remake_fibers() {
    idle.clear();
    for (size_t i = 0; i < all.size(); i++) {
        make_context(all[i]->context, all[i]->stack + PAGE, STACK - PAGE - i % 16 * 192, fiber_main);
        idle.push_back(all[i]);
    }
}

bool run_block() {
    unsigned n = block_threads;
    for (unsigned w = 0; w * WARP < n; w++) {
        unsigned lanes = n - w * WARP;
        warps[w] = {lanes >= WARP ? ~0u : (1u << lanes) - 1, 0};
    }
    started = 0;
    live = n;
    failed = false;
    barrier.count = barrier.votes = 0;
    barrier.divergent = false;
    ready.count = 0;
    if (seeded)
        for (unsigned i = n; i > 1; i--) std::swap(order[i - 1], order[random_below(i)]);
    go(idle_fiber());
    if (!failed && live == 0) return true;
    if (!failed) report_deadlock();
    remake_fibers();
    return false;
}

void set_up_launch(Index block, unsigned shared_bytes) {
    if (!shared_end) {
        size_t room = (MAX_SHARED + PAGE - 1) / PAGE * PAGE;
        auto* m = static_cast<unsigned char*>(
            mmap(nullptr, room + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        shared_end = m + room;
        mprotect(shared_end, PAGE, PROT_NONE);
        state.barrier = wait_block;
        state.warp = wait_warp;
        state.trap = trap;
    }
    state.shared = shared_end - (shared_bytes + 15) / 16 * 16;
    unsigned n = block.x * block.y * block.z;
    if (n != block_threads || memcmp(&block, &state.block_dim, sizeof block)) {
        block_threads = n;
        for (unsigned t = 0; t < n; t++)
            threads[t].index = {t % block.x, t / block.x % block.y, t / (block.x * block.y)};
    }
    for (unsigned t = 0; t < n; t++) order[t] = uint16_t(t);
    state.block_dim = block;
}

}  // namespace

void set_seed(long seed) {
    seeded = seed >= 0;
    random_state = uint64_t(seed) * 0x9E3779B97F4A7C15u + 1;
}

const char* describe_kernel_address(const void* p) {
    auto at = static_cast<const char*>(p);
    auto in_page = [at](const void* page) { return at >= page && at < static_cast<const char*>(page) + PAGE; };
    for (const Fiber* f : all)
        if (in_page(f->stack)) return ", beyond the thread's stack";
    return shared_end && in_page(shared_end) ? ", beyond the dynamic shared memory" : nullptr;
}

bool run_grid(const Kernel& k, Index grid, Index block, unsigned shared_bytes, const void* a) {
    kernel = &k;
    args = a;
    state.grid_dim = grid;
    set_up_launch(block, shared_bytes);
    // A step without a common factor visits every block once, in an order that looks shuffled.
    uint64_t blocks = uint64_t(grid.x) * grid.y * grid.z, step = 1, at = 0;
    if (seeded && blocks > 1) {
        at = random_below(unsigned(blocks));
        do step = 1 + random_below(unsigned(blocks));
        while (std::gcd(step, blocks) != 1);
    }
    for (uint64_t i = 0; i < blocks; i++, at = (at + step) % blocks) {
        state.block = {unsigned(at % grid.x), unsigned(at / grid.x % grid.y), unsigned(at / grid.x / grid.y)};
        if (shared_bytes) memset(state.shared, POISON, size_t(shared_end - state.shared));
        for (const Span& s : *k.shared) memset(s.start, POISON, s.bytes);
        if (!run_block()) return false;
    }
    return true;
}

}  // namespace sim
