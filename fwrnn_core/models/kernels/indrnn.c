/* The elementwise part of an IndRNN layer: every hidden unit is a recurrence of its own, and batch
 * normalisation is one scale and one shift per unit.
 *
 * Sequences are contiguous [T][N][H], vectors [H]; the linear maps around this are large matrix
 * products and left to the caller. mask is [N][H] (mask_row = H) or one row for all (mask_row = 0).
 * Sums over rows and time are taken in double and added to what is there, [shares][2][H]: in float
 * the variance of 1e5 rows loses its fourth digit. Comparisons let a NaN through, as torch.relu
 * does. All return 0: nothing here can fail. */
#include "common.h"

static inline void add_moments(idx H, const float *a, const float *b, double *sums) {
#pragma omp simd
    for (idx j = 0; j < H; j++) {
        sums[j] += a[j];
        sums[H + j] += (double)a[j] * b[j];
    }
}

/* sums += sum z, sum z^2. */
static int moments_rows(idx T, idx N, idx H, idx r0, idx r1, const float *z, double *sums) {
    for (idx t = 0; t < T; t++)
        for (idx r = r0; r < r1; r++)
            add_moments(H, z + (t * N + r) * H, z + (t * N + r) * H, sums);
    return 0;
}

/* sums += sum g m, sum g m z. */
static int cross_moments_rows(idx T, idx N, idx H, idx r0, idx r1, const float *g,
                              const float *mask, idx mask_row, const float *z, double *sums) {
    for (idx t = 0; t < T; t++)
        for (idx r = r0; r < r1; r++) {
            const float *const gr = g + (t * N + r) * H, *const zr = z + (t * N + r) * H;
            const float *const m = mask + r * mask_row;
#pragma omp simd
            for (idx j = 0; j < H; j++) {
                const double gm = gr[j] * m[j];
                sums[j] += gm;
                sums[H + j] += gm * zr[j];
            }
        }
    return 0;
}

/* h_t = relu(scale z_t + shift + u h_{t-1}) into out, which may be z.
 * If sums is not NULL: sums += sum h, sum h^2. */
static int recur_rows(idx T, idx N, idx H, idx r0, idx r1, const float *z, const float *scale,
                      const float *shift, const float *u, const float *h0, float *out,
                      double *sums) {
    const unsigned mode = flush_denormals();
    for (idx t = 0; t < T; t++)
        for (idx r = r0; r < r1; r++) {
            const float *const before = t ? out + ((t - 1) * N + r) * H : h0 + r * H;
            const float *const zr = z + (t * N + r) * H;
            float *const h = out + (t * N + r) * H;
#pragma omp simd
            for (idx j = 0; j < H; j++) {
                const float v = scale[j] * zr[j] + shift[j] + u[j] * before[j];
                h[j] = v < 0.0f ? 0.0f : v;
            }
            if (sums) add_moments(H, h, h, sums);
        }
    restore(mode);
    return 0;
}

/* y = (scale h + shift) m. */
static int affine_rows(idx T, idx N, idx H, idx r0, idx r1, const float *h, const float *scale,
                       const float *shift, const float *mask, idx mask_row, float *y) {
    const unsigned mode = flush_denormals();
    for (idx t = 0; t < T; t++)
        for (idx r = r0; r < r1; r++) {
            const float *const hr = h + (t * N + r) * H, *const m = mask + r * mask_row;
            float *const yr = y + (t * N + r) * H;
#pragma omp simd
            for (idx j = 0; j < H; j++) yr[j] = (scale[j] * hr[j] + shift[j]) * m[j];
        }
    restore(mode);
    return 0;
}

/* The recurrence backwards. What reaches h_t from above is c1 g_t m + c2 h_t + c3, where g holds
 * the last g_steps steps only (it is zero before). carry [N][H] comes in as the gradient of the
 * last state and leaves as that of h0. d [T][N][H] is the gradient of the pre-activation; sums +=
 * sum d, sum d h_{t-1} (the gradients of the shift and of u). */
static int recur_backward_rows(idx T, idx N, idx H, idx r0, idx r1, const float *g, idx g_steps,
                               const float *mask, idx mask_row, const float *h, const float *c1,
                               const float *c2, const float *c3, const float *u, const float *h0,
                               float *carry, float *d, double *sums) {
    const unsigned mode = flush_denormals();
    for (idx t = T - 1; t >= 0; t--)
        for (idx r = r0; r < r1; r++) {
            const float *const ht = h + (t * N + r) * H, *const m = mask + r * mask_row;
            const float *const before = t ? ht - N * H : h0 + r * H;
            float *const c = carry + r * H, *const dt = d + (t * N + r) * H;
            if (t >= T - g_steps) {
                const float *const gt = g + ((t - T + g_steps) * N + r) * H;
#pragma omp simd
                for (idx j = 0; j < H; j++) c[j] += c1[j] * gt[j] * m[j];
            }
#pragma omp simd
            for (idx j = 0; j < H; j++) {
                const float v = c[j] + c2[j] * ht[j] + c3[j];
                dt[j] = ht[j] <= 0.0f ? 0.0f : v;
                c[j] = u[j] * dt[j];
            }
            add_moments(H, dt, before, sums);
        }
    restore(mode);
    return 0;
}

/* d <- c1 d + c2 z + c3: batch normalisation's gradient where it stands before the recurrence. */
static int combine_rows(idx T, idx N, idx H, idx r0, idx r1, const float *z, const float *c1,
                        const float *c2, const float *c3, float *d) {
    const unsigned mode = flush_denormals();
    for (idx t = 0; t < T; t++)
        for (idx r = r0; r < r1; r++) {
            const float *const zr = z + (t * N + r) * H;
            float *const dr = d + (t * N + r) * H;
#pragma omp simd
            for (idx j = 0; j < H; j++) dr[j] = c1[j] * dr[j] + c2[j] * zr[j] + c3[j];
        }
    restore(mode);
    return 0;
}

int indrnn_moments(idx threads, idx T, idx N, idx H, const float *z, double *sums) {
    SHARE_ROWS(failed |= moments_rows(T, N, H, r0, r1, z, sums + share * 2 * H));
}

int indrnn_cross_moments(idx threads, idx T, idx N, idx H, const float *g, const float *mask,
                         idx mask_row, const float *z, double *sums) {
    SHARE_ROWS(failed |=
               cross_moments_rows(T, N, H, r0, r1, g, mask, mask_row, z, sums + share * 2 * H));
}

int indrnn_recur(idx threads, idx T, idx N, idx H, const float *z, const float *scale,
                 const float *shift, const float *u, const float *h0, float *out, double *sums) {
    SHARE_ROWS(failed |= recur_rows(T, N, H, r0, r1, z, scale, shift, u, h0, out,
                                    sums ? sums + share * 2 * H : NULL));
}

int indrnn_affine(idx threads, idx T, idx N, idx H, const float *h, const float *scale,
                  const float *shift, const float *mask, idx mask_row, float *y) {
    SHARE_ROWS(failed |= affine_rows(T, N, H, r0, r1, h, scale, shift, mask, mask_row, y));
}

int indrnn_recur_backward(idx threads, idx T, idx N, idx H, const float *g, idx g_steps,
                          const float *mask, idx mask_row, const float *h, const float *c1,
                          const float *c2, const float *c3, const float *u, const float *h0,
                          float *carry, float *d, double *sums) {
    SHARE_ROWS(failed |= recur_backward_rows(T, N, H, r0, r1, g, g_steps, mask, mask_row, h, c1, c2,
                                             c3, u, h0, carry, d, sums + share * 2 * H));
}

int indrnn_combine(idx threads, idx T, idx N, idx H, const float *z, const float *c1,
                   const float *c2, const float *c3, float *d) {
    SHARE_ROWS(failed |= combine_rows(T, N, H, r0, r1, z, c1, c2, c3, d));
}
