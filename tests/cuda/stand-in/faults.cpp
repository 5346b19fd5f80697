// Reports a fault inside a kernel, with kernel, block and thread, and ends the process with code 70.
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "fibers.h"
#include "memory.h"

namespace sim {

namespace {

constexpr int SIGNALS[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE};
constexpr size_t SIGNAL_STACK = 64 << 10;
struct sigaction before[NSIG];

// Who runs what; written only by the thread that holds the launch lock.
const char* volatile running_what;
volatile pthread_t running_thread;

const char* cause(int signal) {
    switch (signal) {
        case SIGILL:
        case SIGTRAP:
            return "sanitizer trap (misaligned access, index outside a fixed array, or shift outside its type)";
        case SIGFPE: return "integer division by zero";
        default: return "illegal address";
    }
}

void on_fault(int signal, siginfo_t* info, void* context) {
    if (!running_what || !pthread_equal(running_thread, pthread_self())) {
        struct sigaction& old = before[signal];
        if (old.sa_flags & SA_SIGINFO) old.sa_sigaction(signal, info, context);
        else if (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN) old.sa_handler(signal);
        else ::signal(signal, SIG_DFL);  // returning repeats the fault, which now ends the process
        return;
    }
    static char text[1024];  // not on the signal stack, which may be small
    int n = snprintf(text, sizeof text, "stand-in: %s, block (%u,%u,%u), thread (%u,%u,%u): %s", running_what,
                     state.block.x, state.block.y, state.block.z, state.thread.x, state.thread.y, state.thread.z,
                     cause(signal));
    if (signal == SIGSEGV || signal == SIGBUS) {
        n += snprintf(text + n, sizeof text - size_t(n), " %p", info->si_addr);
        if (const char* where = describe_kernel_address(info->si_addr))
            n += snprintf(text + n, sizeof text - size_t(n), "%s", where);
        else n += describe_address(info->si_addr, text + n, sizeof text - size_t(n));
    }
    text[n++] = '\n';
    if (write(STDERR_FILENO, text, size_t(n)) < 0) {}
    _exit(70);
}

}  // namespace

void set_running(const char* what) {
    running_thread = pthread_self();
    running_what = what;
}

void install_fault_handlers() {
    static std::once_flag once;
    std::call_once(once, [] {
        for (int s : SIGNALS) {
            struct sigaction a = {};
            a.sa_sigaction = on_fault;
            a.sa_flags = SA_SIGINFO | SA_ONSTACK;
            sigaction(s, &a, &before[s]);
        }
    });
}

void ensure_signal_stack() {
    struct Stack {
        void* mine = nullptr;
        Stack() {
            stack_t now = {};
            sigaltstack(nullptr, &now);
            if (!(now.ss_flags & SS_DISABLE)) return;
            mine = mmap(nullptr, SIGNAL_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            stack_t s = {};
            s.ss_sp = mine;
            s.ss_size = SIGNAL_STACK;
            sigaltstack(&s, nullptr);
        }
        ~Stack() {
            if (!mine) return;
            stack_t off = {};
            off.ss_flags = SS_DISABLE;
            sigaltstack(&off, nullptr);
            munmap(mine, SIGNAL_STACK);
        }
    };
    thread_local Stack stack;
    (void)stack;
}

}  // namespace sim
