/* The LSTM of torch.nn.LSTM and its gradient.
 *
 * Gates in the order i, f, g, o. As in tanh_rnn.c a thread takes its own rows through all T steps.
 * x has any strides (xt, xn, xf); contiguous: h0, c0 [N][H], w_ih [4H][F], w_hh [4H][H], b [4H],
 * out, cell [T][N][H], gates [T][N][4H] (activated). 0, or 1 if there is no memory. */
#include "common.h"

/* One row, one step: pre-activations z [4H] and the cell before -> gates a [4H], cell c, state h.
 */
static void cell_forward(idx H, const float *restrict z, const float *restrict before,
                         float *restrict a, float *restrict c, float *restrict h) {
    for (idx j = 0; j < H; j++) {
        const float i = sigmoid_(z[j]), f = sigmoid_(z[H + j]);
        const float g = tanh_(z[2 * H + j]), o = sigmoid_(z[3 * H + j]);
        a[j] = i, a[H + j] = f, a[2 * H + j] = g, a[3 * H + j] = o;
        c[j] = f * before[j] + i * g;
        h[j] = o * tanh_(c[j]);
    }
}

/* Gradient of the same: from dh = later + up and dc (in: of c, out: of before) to dz [4H]. */
static void cell_backward(idx H, const float *restrict a, const float *restrict c,
                          const float *restrict before, const float *restrict later,
                          const float *restrict up, float *restrict dc, float *restrict dz) {
    for (idx j = 0; j < H; j++) {
        const float i = a[j], f = a[H + j], g = a[2 * H + j], o = a[3 * H + j];
        const float dh = later[j] + up[j], tc = tanh_(c[j]);
        const float dcj = dc[j] + dh * o * (1.0f - tc * tc);
        dz[j] = dcj * g * i * (1.0f - i);
        dz[H + j] = dcj * before[j] * f * (1.0f - f);
        dz[2 * H + j] = dcj * i * (1.0f - g * g);
        dz[3 * H + j] = dh * tc * o * (1.0f - o);
        dc[j] = dcj * f;
    }
}

static int forward_rows(idx T, idx N, idx F, idx H, idx r0, idx r1, const float *x, idx xt, idx xn,
                        idx xf, const float *h0, const float *c0, const float *w_ih,
                        const float *w_hh, const float *b, float *out, float *cell, float *gates) {
    const idx R = r1 - r0, G = 4 * H, Gp = padded(G);
    float *const scratch = calloc(Gp * (H + F + 1 + R), sizeof(float));
    if (!scratch) return 1;
    float *const whh = scratch, *const wih = whh + H * Gp, *const bias = wih + F * Gp;
    float *const z = bias + Gp;
    const unsigned mode = flush_denormals();
    pack(H, G, w_hh, 1, H, whh);
    pack(F, G, w_ih, 1, F, wih);
    memcpy(bias, b, sizeof(float) * G);
    const float *prev = h0 + r0 * H, *before = c0 + r0 * H;
    for (idx t = 0; t < T; t++) {
        float *const h = out + (t * N + r0) * H, *const c = cell + (t * N + r0) * H;
        float *const a = gates + (t * N + r0) * G;
        multiply(R, G, 1, F, (operand){x + t * xt + r0 * xn, xn, 0, xf},
                 (operand){wih, F * NR, 0, NR}, bias, 0, z, Gp);
        multiply(R, G, 1, H, (operand){prev, H, 0, 1}, (operand){whh, H * NR, 0, NR}, z, Gp, z, Gp);
        for (idx r = 0; r < R; r++)
            cell_forward(H, z + r * Gp, before + r * H, a + r * G, c + r * H, h + r * H);
        prev = h, before = c;
    }
    restore(mode);
    free(scratch);
    return 0;
}

/* As tanh_rnn_backward; gc_last [N][H] is the gradient of the last cell (or NULL), dw is
 * [H + F + 1][ld] with 4H columns, dh0 and dc0 [N][H] are written. */
static int backward_rows(idx T, idx N, idx F, idx H, idx r0, idx r1, const float *x, idx xt, idx xn,
                         idx xf, const float *h0, const float *c0, const float *w_ih,
                         const float *w_hh, const float *out, const float *cell, const float *gates,
                         const float *g_out, const float *g_last, const float *gc_last, float *dw,
                         idx ld, float *dx, idx dt, idx dn, idx df, float *dh0, float *dc0) {
    const idx R = r1 - r0, G = 4 * H, Hp = padded(H), Gp = padded(G), Fp = padded(F);
    const idx chunk = R < 128 ? 128 / R : 1;
    float *const scratch =
        calloc(Hp * (G + 1 + 2 * R) + 2 * Gp * R * chunk + Fp * (G + 1 + R), sizeof(float));
    if (!scratch) return 1;
    float *const whh = scratch, *const zero = whh + Hp * G, *const carry = zero + Hp + Fp;
    float *const dc = carry + Hp * R, *const d = dc + Hp * R, *const panels = d + Gp * R * chunk;
    float *const wih = panels + Gp * R * chunk, *const dxt = wih + Fp * G;
    const unsigned mode = flush_denormals();
    pack(G, H, w_hh, H, 1, whh);
    pack(G, F, w_ih, F, 1, wih);
    for (idx r = 0; r < R; r++) {
        if (g_last) memcpy(carry + r * Hp, g_last + (r0 + r) * H, sizeof(float) * H);
        if (gc_last) memcpy(dc + r * Hp, gc_last + (r0 + r) * H, sizeof(float) * H);
    }
    for (idx hi = T; hi > 0; hi = hi > chunk ? hi - chunk : 0) {
        const idx lo = hi > chunk ? hi - chunk : 0;
        for (idx t = hi - 1; t >= lo; t--) {
            float *const dz = d + (t - lo) * R * Gp;
            for (idx r = 0; r < R; r++) {
                const idx row = (t * N + r0 + r) * H;
                cell_backward(H, gates + 4 * row, cell + row,
                              t ? cell + row - N * H : c0 + (r0 + r) * H, carry + r * Hp,
                              g_out ? g_out + row : zero, dc + r * Hp, dz + r * Gp);
            }
            const operand dzt = {dz, Gp, 0, 1};
            multiply(R, H, 1, G, dzt, (operand){whh, G * NR, 0, NR}, zero, 0, carry, Hp);
            if (!dx) continue;
            multiply(R, F, 1, G, dzt, (operand){wih, G * NR, 0, NR}, zero, 0, dxt, Fp);
            unpack(R, F, dxt, Fp, dx + t * dt + r0 * dn, dn, df);
        }
        weight_gradient(lo, hi, N, R, F, H, G, (sequence){x + r0 * xn, xt, xn, xf}, h0 + r0 * H,
                        out + r0 * H, d, Gp, panels, dw, ld);
    }
    unpack(R, H, carry, Hp, dh0 + r0 * H, H, 1);
    unpack(R, H, dc, Hp, dc0 + r0 * H, H, 1);
    restore(mode);
    free(scratch);
    return 0;
}

int lstm_forward(idx threads, idx T, idx N, idx F, idx H, const float *x, idx xt, idx xn, idx xf,
                 const float *h0, const float *c0, const float *w_ih, const float *w_hh,
                 const float *b, float *out, float *cell, float *gates) {
    SHARE_ROWS(EACH_BLOCK(failed |= forward_rows(T, N, F, H, low, high, x, xt, xn, xf, h0, c0, w_ih,
                                                 w_hh, b, out, cell, gates)));
}

int lstm_backward(idx threads, idx T, idx N, idx F, idx H, const float *x, idx xt, idx xn, idx xf,
                  const float *h0, const float *c0, const float *w_ih, const float *w_hh,
                  const float *out, const float *cell, const float *gates, const float *g_out,
                  const float *g_last, const float *gc_last, float *dw, idx ld, float *dx, idx dt,
                  idx dn, idx df, float *dh0, float *dc0) {
    SHARE_ROWS(EACH_BLOCK(failed |= backward_rows(T, N, F, H, low, high, x, xt, xn, xf, h0, c0,
                                                  w_ih, w_hh, out, cell, gates, g_out, g_last,
                                                  gc_last, dw + share * (H + F + 1) * ld, ld, dx,
                                                  dt, dn, df, dh0, dc0)));
}
