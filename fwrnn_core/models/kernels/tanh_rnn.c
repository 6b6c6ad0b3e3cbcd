/* h_t = tanh(W_ih x_t + b + W_hh h_{t-1}) and its gradient.
 *
 * Rows are independent: a thread takes its own rows [r0, r1) through all T steps and meets the
 * others only when the caller adds up the weight gradients. x may have any strides (xt, xn, xf);
 * all else is contiguous: h0 [N][H], w_ih [H][F], w_hh [H][H], b [H], out [T][N][H]. Both functions
 * return 0, or 1 if there is no memory for the scratch. */
#include "common.h"

static int forward_rows(idx T, idx N, idx F, idx H, idx r0, idx r1, const float *x, idx xt, idx xn,
                        idx xf, const float *h0, const float *w_ih, const float *w_hh,
                        const float *b, float *out) {
    const idx R = r1 - r0, Hp = padded(H);
    float *const scratch = calloc(Hp * (H + F + 1 + R), sizeof(float));
    if (!scratch) return 1;
    float *const whh = scratch, *const wih = whh + H * Hp, *const bias = wih + F * Hp;
    float *const z = bias + Hp;
    const unsigned mode = flush_denormals();
    pack(H, H, w_hh, 1, H, whh); /* transposed: z += h W^T */
    pack(F, H, w_ih, 1, F, wih);
    memcpy(bias, b, sizeof(float) * H);
    const float *prev = h0 + r0 * H;
    for (idx t = 0; t < T; t++) {
        float *const h = out + (t * N + r0) * H;
        multiply(R, H, 1, F, (operand){x + t * xt + r0 * xn, xn, 0, xf},
                 (operand){wih, F * NR, 0, NR}, bias, 0, z, Hp);
        multiply(R, H, 1, H, (operand){prev, H, 0, 1}, (operand){whh, H * NR, 0, NR}, z, Hp, z, Hp);
        for (idx r = 0; r < R; r++)
            for (idx j = 0; j < H; j++) h[r * H + j] = tanh_(z[r * Hp + j]);
        prev = h;
    }
    restore(mode);
    free(scratch);
    return 0;
}

/* Gradients from g_out [T][N][H] and g_last [N][H], either of which may be NULL. dw [H + F +
 * 1][ld], zero on entry and private to the share, gets the transposed gradients of W_hh and W_ih,
 * then of b. dx (strides dt, dn, df; NULL if not wanted) and dh0 [N][H] are written. */
static int backward_rows(idx T, idx N, idx F, idx H, idx r0, idx r1, const float *x, idx xt, idx xn,
                         idx xf, const float *h0, const float *w_ih, const float *w_hh,
                         const float *out, const float *g_out, const float *g_last, float *dw,
                         idx ld, float *dx, idx dt, idx dn, idx df, float *dh0) {
    const idx R = r1 - r0, Hp = padded(H), Fp = padded(F);
    const idx chunk =
        R < 128 ? 128 / R : 1; /* time steps whose weight gradient is taken together */
    float *const scratch =
        calloc(Hp * (H + 1 + R + 2 * R * chunk) + Fp * (H + 1 + R), sizeof(float));
    if (!scratch) return 1;
    float *const whh = scratch, *const zero = whh + Hp * H, *const carry = zero + Hp + Fp;
    float *const d = carry + Hp * R, *const panels = d + Hp * R * chunk;
    float *const wih = panels + Hp * R * chunk, *const dxt = wih + Fp * H;
    const unsigned mode = flush_denormals();
    pack(H, H, w_hh, H, 1, whh);
    pack(H, F, w_ih, F, 1, wih);
    if (g_last)
        for (idx r = 0; r < R; r++)
            memcpy(carry + r * Hp, g_last + (r0 + r) * H, sizeof(float) * H);
    for (idx hi = T; hi > 0; hi = hi > chunk ? hi - chunk : 0) {
        const idx lo = hi > chunk ? hi - chunk : 0;
        for (idx t = hi - 1; t >= lo; t--) {
            const float *const h = out + (t * N + r0) * H;
            float *const dz = d + (t - lo) * R * Hp;
            for (idx r = 0; r < R; r++) {
                const float *const g = g_out ? g_out + (t * N + r0 + r) * H : zero;
                for (idx j = 0; j < H; j++)
                    dz[r * Hp + j] =
                        (carry[r * Hp + j] + g[j]) * (1.0f - h[r * H + j] * h[r * H + j]);
            }
            const operand dzt = {dz, Hp, 0, 1};
            multiply(R, H, 1, H, dzt, (operand){whh, H * NR, 0, NR}, zero, 0, carry, Hp);
            if (!dx) continue;
            multiply(R, F, 1, H, dzt, (operand){wih, H * NR, 0, NR}, zero, 0, dxt, Fp);
            unpack(R, F, dxt, Fp, dx + t * dt + r0 * dn, dn, df);
        }
        weight_gradient(lo, hi, N, R, F, H, H, (sequence){x + r0 * xn, xt, xn, xf}, h0 + r0 * H,
                        out + r0 * H, d, Hp, panels, dw, ld);
    }
    unpack(R, H, carry, Hp, dh0 + r0 * H, H, 1);
    restore(mode);
    free(scratch);
    return 0;
}

int tanh_rnn_forward(idx threads, idx T, idx N, idx F, idx H, const float *x, idx xt, idx xn,
                     idx xf, const float *h0, const float *w_ih, const float *w_hh, const float *b,
                     float *out) {
    SHARE_ROWS(EACH_BLOCK(
        failed |= forward_rows(T, N, F, H, low, high, x, xt, xn, xf, h0, w_ih, w_hh, b, out)));
}

/* dw [shares][H + F + 1][ld]. */
int tanh_rnn_backward(idx threads, idx T, idx N, idx F, idx H, const float *x, idx xt, idx xn,
                      idx xf, const float *h0, const float *w_ih, const float *w_hh,
                      const float *out, const float *g_out, const float *g_last, float *dw, idx ld,
                      float *dx, idx dt, idx dn, idx df, float *dh0) {
    SHARE_ROWS(EACH_BLOCK(
        failed |= backward_rows(T, N, F, H, low, high, x, xt, xn, xf, h0, w_ih, w_hh, out, g_out,
                                g_last, dw + share * (H + F + 1) * ld, ld, dx, dt, dn, df, dh0)));
}
