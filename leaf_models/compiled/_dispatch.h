/* One loop for each instruction set, chosen by the processor's features. Included by _coordinates.c. */

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

/* DISPATCHED(name, parameters, arguments) makes `name` from the inline function `name_loop`: it is compiled for each
   instruction set and chosen by the processor's features. The compilers' own target_clones is not used: GCC 11 and
   older reject the levels x86-64-v3 and -v4 there, and check the vendor if a processor is named, so "arch=haswell"
   leaves AMD processors with the slowest loop (20 times slower on an EPYC). */
#if defined(__GNUC__) && defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,fma,bmi,bmi2,lzcnt,movbe,f16c")))
#define AVX512 \
    __attribute__((target("avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma,bmi,bmi2,lzcnt,movbe,f16c")))
enum { PLAIN_LOOPS = 0, AVX2_LOOPS = 1, AVX512_LOOPS = 2 };
static int loops = PLAIN_LOOPS;

static void choose_loops(void) {
    __builtin_cpu_init();
    if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))) return;
    loops = AVX2_LOOPS;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        loops = AVX512_LOOPS;
}

#define DISPATCHED(name, parameters, arguments)                                \
    AVX512 static void name##_avx512 parameters { name##_loop arguments; }     \
    AVX2 static void name##_avx2 parameters { name##_loop arguments; }         \
    static void name##_plain parameters { name##_loop arguments; }             \
    static void name parameters {                                              \
        if (loops == AVX512_LOOPS) name##_avx512 arguments;                    \
        else if (loops == AVX2_LOOPS) name##_avx2 arguments;                   \
        else name##_plain arguments;                                           \
    }
#else
static void choose_loops(void) {}
#define DISPATCHED(name, parameters, arguments) \
    static void name parameters { name##_loop arguments; }
#endif
