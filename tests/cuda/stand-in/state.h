// What a compiled kernel and the stand-in driver share: index registers, shared memory, and the calls
// at which threads wait for each other. The driver hands every module a pointer to its one `State`.
#pragma once

namespace sim {

struct Index {
    unsigned x, y, z;
};

enum class WarpOp { sync, shuffle, ballot };

struct State {
    Index thread, block, block_dim, grid_dim;
    unsigned lane;
    unsigned char* shared;  // dynamic shared memory of the running block
    // Waits for the block; returns how many threads passed a value other than zero.
    unsigned (*barrier)(bool value, unsigned line);
    // Waits for the lanes in `mask`; a shuffle returns lane `source`'s value, a ballot the lanes' bits.
    unsigned long long (*warp)(WarpOp op, unsigned mask, unsigned long long value, int source, unsigned line);
    void (*trap)();
};

// Exported by every kernel as NAME_sim.
struct KernelInfo {
    unsigned long argument_bytes;
    unsigned max_threads;
};

}  // namespace sim
