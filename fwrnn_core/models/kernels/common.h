/* What the recurrences share: one small matrix product, and a tanh.
 *
 * Plain C with the vector types of GCC and Clang, so the same source serves AVX-512, AVX2, SSE
 * and NEON. A vector holds VF floats; a register tile is MR rows by NV vectors of the result. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#if defined(__AVX512F__)
enum { VF = 16, MR = 8 };
#elif defined(__AVX__)
enum { VF = 8, MR = 6 };
#else
enum { VF = 4, MR = 6 };
#endif
enum { NV = 2, NR = NV * VF };

typedef float vec __attribute__((vector_size(VF * sizeof(float)), aligned(4), may_alias));
typedef ptrdiff_t idx;

/* Keep a vector in a register: GCC else folds loads into each of its uses, reorders the tile and
 * runs out of registers for the sums. */
#if defined(__x86_64__)
#define IN_REGISTER(v) __asm__("" : "+v"(v))
#elif defined(__aarch64__)
#define IN_REGISTER(v) __asm__("" : "+w"(v))
#else
#define IN_REGISTER(v) (void)0
#endif

/* Row length of a scratch matrix of n columns: whole panels, and one vector more, because rows at a
 * power of two apart would all fall into the same few sets of the cache. */
static inline idx padded(idx n) {
    return (n + NR - 1) / NR * NR + VF;
}

/* A matrix operand of a product summed over (s, k): entry (i, s, k) lies at
 * p + i row + s step + k k.
 * Two sums, because the rows that a thread owns do not follow each other at one stride when
 * several time steps are taken together. */
typedef struct {
    const float *p;
    idx row, step, k;
} operand;

/* C = C0 + A B for a tile of rows x vecs vectors, both known when this is inlined. */
static inline __attribute__((always_inline)) void tile(const int rows, const int vecs, idx S, idx K,
                                                       operand a, operand b, const float *c0,
                                                       idx ldc0, float *c, idx ldc) {
    vec acc[MR][NV] = {{{0}}};
    for (idx s = 0; s < S; s++) {
        const float *pa = a.p + s * a.step, *pb = b.p + s * b.step;
        for (idx k = 0; k < K; k++, pa += a.k, pb += b.k) {
            __builtin_prefetch(pa + 8 * a.k);
            vec bk[NV];
#pragma GCC unroll 8
            for (int j = 0; j < vecs; j++) {
                bk[j] = *(const vec *)(pb + j * VF);
                IN_REGISTER(bk[j]);
            }
#pragma GCC unroll 8
            for (int i = 0; i < rows; i++) {
                vec ai = pa[i * a.row] - (vec){0};
                IN_REGISTER(ai);
#pragma GCC unroll 8
                for (int j = 0; j < vecs; j++) acc[i][j] += ai * bk[j];
            }
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < vecs; j++)
            *(vec *)(c + i * ldc + j * VF) = *(const vec *)(c0 + i * ldc0 + j * VF) + acc[i][j];
}

/* As many tiles of ROWS rows as fit into the M that are left; advances all that depends on the row.
 */
#define TILES(ROWS)                                                    \
    for (; M >= (ROWS); M -= (ROWS)) {                                 \
        if (N > VF)                                                    \
            tile((ROWS), 2, S, K, a, b, c0, ldc0, c, ldc);             \
        else                                                           \
            tile((ROWS), 1, S, K, a, b, c0, ldc0, c, ldc);             \
        a.p += (ROWS) * a.row, c0 += (ROWS) * ldc0, c += (ROWS) * ldc; \
    }

/* The same for one panel: at most NR columns, M rows. */
static inline void panel(idx M, idx N, idx S, idx K, operand a, operand b, const float *c0,
                         idx ldc0, float *c, idx ldc) {
    TILES(MR)
    TILES(4)
    TILES(2)
    TILES(1)
}

/* C[M][N] = C0 + A B, rows of C padded to whole vectors; C0 may be C, or one row for all (ldc0 =
 * 0). A panel of B stays in the first-level cache while the rows of A pass by; b.row is the
 * distance between panels. */
static inline void multiply(idx M, idx N, idx S, idx K, operand a, operand b, const float *c0,
                            idx ldc0, float *c, idx ldc) {
    for (; N > 0; N -= NR, b.p += b.row, c0 += NR, c += NR)
        panel(M, N, S, K, a, b, c0, ldc0, c, ldc);
}

/* dst[panel][k][NR] = src[k * k_stride + n * n_stride], zero beyond N. */
static inline void pack(idx K, idx N, const float *src, idx k_stride, idx n_stride, float *dst) {
    for (idx n0 = 0; n0 < N; n0 += NR)
        for (idx k = 0; k < K; k++)
            for (idx n = n0; n < n0 + NR; n++)
                *dst++ = n < N ? src[k * k_stride + n * n_stride] : 0.0f;
}

/* dst[m * m_stride + n * n_stride] = src[m][lds], M x N. */
static inline void unpack(idx M, idx N, const float *src, idx lds, float *dst, idx m_stride,
                          idx n_stride) {
    for (idx m = 0; m < M; m++)
        for (idx n = 0; n < N; n++) dst[m * m_stride + n * n_stride] = src[m * lds + n];
}

/* Gradients that vanish over hundreds of steps end among the denormal numbers, where x86 is up to a
 * hundred times slower: treat those (below 1e-38) as zero, in this thread and for this call. */
#if defined(__SSE__)
static inline unsigned flush_denormals(void) {
    const unsigned before = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(before | 0x8040);
    return before;
}
static inline void restore(unsigned mode) {
    __builtin_ia32_ldmxcsr(mode);
}
#else
static inline unsigned flush_denormals(void) {
    return 0;
}
static inline void restore(unsigned mode) {
    (void)mode;
}
#endif

/* A kernel's rows [r0, r1), shared out: one share per thread, each a multiple of the tile's height,
 * and as many as `threads` allows. The statement sees r0, r1 and the number of its share, and adds
 * to `failed`, which the function returns. Results depend on the thread count only through the
 * order of a few sums; a compiler without OpenMP makes the shares one after the other. The pool is
 * torch's own where both load the same libgomp: a second one would find its cores taken by threads
 * that spin in the first. */
enum { STRIP = 8 };
// clang-format off
#define SHARE_ROWS(...)                                                                            \
    const idx strips = (N + STRIP - 1) / STRIP, size = STRIP * ((strips + threads - 1) / threads); \
    int failed = 0;                                                                                \
    _Pragma("omp parallel for num_threads(threads) schedule(static, 1) reduction(| : failed)")     \
    for (idx r0 = 0; r0 < N; r0 += size) {                                                         \
        const idx r1 = r0 + size < N ? r0 + size : N, share = r0 / size;                           \
        (void)share;                                                                               \
        __VA_ARGS__;                                                                               \
    }                                                                                              \
    return failed
// clang-format on

/* Rows that go through all time steps together: their states fit the second-level cache. */
enum { ROWS = 64 };
#define EACH_BLOCK(...)                                     \
    for (idx low = r0; low < r1; low += ROWS) {             \
        const idx high = low + ROWS < r1 ? low + ROWS : r1; \
        __VA_ARGS__;                                        \
    }

/* A sequence [T][N][F] of any strides, from the first row that the caller owns. */
typedef struct {
    const float *p;
    idx t, n, f;
} sequence;

/* dw[H + F + 1][ld] += [h_{t-1}, x_t, 1]^T d_t, summed over t in [lo, hi) and R rows: the
 * transposed gradients of W_hh and W_ih, then of b. d [hi - lo][R][dp] holds G columns, N is the
 * whole batch; panels is scratch as large as d, which is copied there panel by panel: in d itself
 * each row of a panel lies on another page. */
static inline void weight_gradient(idx lo, idx hi, idx N, idx R, idx F, idx H, idx G, sequence x,
                                   const float *h0, const float *out, const float *d, idx dp,
                                   float *panels, float *dw, idx ld) {
    const idx rows = (hi - lo) * R;
    float *p = panels;
    for (idx n = 0; n < G; n += NR)
        for (idx q = 0; q < rows; q++, p += NR) memcpy(p, d + q * dp + n, NR * sizeof(float));
    const operand all = {panels, rows * NR, R * NR, NR};
    operand rest = all;
    const idx skip = lo == 0; /* step 0 follows h0, which is not a row of out */
    rest.p += skip * R * NR;
    if (skip) multiply(H, G, 1, R, (operand){h0, 1, 0, H}, all, dw, ld, dw, ld);
    multiply(H, G, hi - lo - skip, R, (operand){out + (lo + skip - 1) * N * H, 1, N * H, H}, rest,
             dw, ld, dw, ld);
    dw += H * ld;
    multiply(F, G, hi - lo, R, (operand){x.p + lo * x.t, x.f, x.t, x.n}, all, dw, ld, dw, ld);
    dw += F * ld;
    const float one = 1.0f;
    multiply(1, G, hi - lo, R, (operand){&one, 0, 0, 0}, all, dw, ld, dw, ld);
}

/* tanh as x P(x^2) / Q(x^2), our minimax fit: relative error 2e-8 on [-9, 9], 3e-7 once rounded to
 * float; beyond 9 tanh is 1 to a float. A NaN fails both comparisons and goes through. */
static inline float tanh_(float x) {
    x = x > 9.0f ? 9.0f : x;
    x = x < -9.0f ? -9.0f : x;
    const float s = x * x;
    const float p =
        0.99999998f +
        s * (0.13381019f + s * (3.4955800e-3f + s * (2.0608944e-5f + s * 1.3354461e-8f)));
    const float q =
        1.0f + s * (0.46714335f + s * (2.5876952e-2f + s * (3.2856214e-4f + s * 7.7764783e-7f)));
    const float y = x * p / q;
    return y > 1.0f ? 1.0f : y < -1.0f ? -1.0f : y;
}

static inline float sigmoid_(float x) {
    return 0.5f + 0.5f * tanh_(0.5f * x);
}
