// Switches between stacks: by hand on x86-64, through ucontext elsewhere (or with -DSIM_UCONTEXT).
#pragma once
#include <cstddef>
#include <cstdint>

#if defined(__x86_64__) && !defined(SIM_UCONTEXT)

namespace sim {

struct Context {
    void* sp = nullptr;
};

// Inlined, and leaving by a jump: a call's return would be mispredicted on every switch. The compiler
// saves what it needs around it; kernels do not change the floating-point mode.
__attribute__((always_inline)) inline void switch_context(Context& from, Context& to) {
    void* save = &from.sp;
    void* load = to.sp;
    asm volatile(
        "leaq -128(%%rsp), %%rsp\n"  // keep the red zone
        "pushq %%rbp\n"
        "pushq %%rbx\n"
        "leaq 1f(%%rip), %%rdx\n"
        "pushq %%rdx\n"
        "movq %%rsp, (%0)\n"
        "movq %1, %%rsp\n"
        "popq %%rdx\n"
        "jmpq *%%rdx\n"
        "1:\n"
        "popq %%rbx\n"
        "popq %%rbp\n"
        "leaq 128(%%rsp), %%rsp\n"
        : "+D"(save), "+S"(load)
        :
        : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3",
          "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "cc",
          "memory");
}

inline void make_context(Context& c, char* stack, size_t bytes, void (*entry)()) {
    auto top = reinterpret_cast<void**>((reinterpret_cast<uintptr_t>(stack) + bytes) & ~uintptr_t(15));
    *--top = nullptr;  // entry's return address, and the alignment a call would leave
    *--top = reinterpret_cast<void*>(entry);
    c.sp = top;
}

}  // namespace sim

#else

#include <ucontext.h>

namespace sim {

struct Context {
    ucontext_t c;
};

inline void make_context(Context& c, char* stack, size_t bytes, void (*entry)()) {
    getcontext(&c.c);
    c.c.uc_stack.ss_sp = stack;
    c.c.uc_stack.ss_size = bytes;
    c.c.uc_link = nullptr;
    makecontext(&c.c, entry, 0);
}

inline void switch_context(Context& from, Context& to) { swapcontext(&from.c, &to.c); }

}  // namespace sim

#endif
