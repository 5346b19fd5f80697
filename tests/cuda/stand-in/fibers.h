// Runs the blocks of a launch: every CUDA thread on a fiber, all on the calling OS thread.
#pragma once
#include <cstddef>
#include <vector>

#include "state.h"

namespace sim {

struct Span {
    unsigned char* start;
    size_t bytes;
};

struct Kernel {
    const char* name;
    void (*run)(const void* args);
    const std::vector<Span>* shared;  // static shared arrays, to be poisoned
};

// The one set of index registers.
extern State state;

// A seed shuffles the order of blocks and threads anew in every launch; none (negative) keeps it fixed.
void set_seed(long seed);

// False: threads met different barriers, or wait for each other for ever; it has been reported.
// Launches must be serialised by the caller.
bool run_grid(const Kernel& kernel, Index grid, Index block, unsigned shared_bytes, const void* args);

// For a fault's report: which of a kernel's own guard pages was met, or null.
const char* describe_kernel_address(const void* p);

// What runs in this OS thread, for a fault's report. Empty outside a kernel.
void set_running(const char* what);
// Installs the fault handlers, which act only while something runs in the faulting thread.
void install_fault_handlers();
// Gives the calling OS thread a signal stack if it has none: a fault may leave no room on a fiber's.
void ensure_signal_stack();

}  // namespace sim
