/* Every kernel on buffers of exactly the documented size, for AddressSanitizer and UBSan.
 * Prints "clean" when it gets through and every result is finite. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

typedef ptrdiff_t idx;

int tanh_rnn_forward(idx, idx, idx, idx, idx, const float *, idx, idx, idx, const float *,
                     const float *, const float *, const float *, float *);
int tanh_rnn_backward(idx, idx, idx, idx, idx, const float *, idx, idx, idx, const float *,
                      const float *, const float *, const float *, const float *, const float *,
                      float *, idx, float *, idx, idx, idx, float *);
int lstm_forward(idx, idx, idx, idx, idx, const float *, idx, idx, idx, const float *,
                 const float *, const float *, const float *, const float *, float *, float *,
                 float *);
int lstm_backward(idx, idx, idx, idx, idx, const float *, idx, idx, idx, const float *,
                  const float *, const float *, const float *, const float *, const float *,
                  const float *, const float *, const float *, const float *, float *, idx, float *,
                  idx, idx, idx, float *, float *);
int indrnn_moments(idx, idx, idx, idx, const float *, double *);
int indrnn_cross_moments(idx, idx, idx, idx, const float *, const float *, idx, const float *,
                         double *);
int indrnn_recur(idx, idx, idx, idx, const float *, const float *, const float *, const float *,
                 const float *, float *, double *);
int indrnn_affine(idx, idx, idx, idx, const float *, const float *, const float *, const float *,
                  idx, float *);
int indrnn_recur_backward(idx, idx, idx, idx, const float *, idx, const float *, idx, const float *,
                          const float *, const float *, const float *, const float *, const float *,
                          float *, float *, double *);
int indrnn_combine(idx, idx, idx, idx, const float *, const float *, const float *, const float *,
                   float *);

void walk_norms(idx, const float *const *, const idx *, double *);
void walk_products(idx, const float *const *, const float *const *, const idx *, double *);
int walk_step(int, int, idx, const float *const *, float *const *, float *const *, float *const *,
              const idx *, double *, double, double, double, double);

static float *filled(idx n) {
    float *p = malloc(sizeof(float) * n);
    for (idx i = 0; i < n; i++) p[i] = (float)rand() / (float)RAND_MAX - 0.5f;
    return p;
}

static void check(float *p, idx n) {
    for (idx i = 0; i < n; i++)
        if (!isfinite(p[i])) exit(2);
    free(p);
}

static void gated(idx threads, idx T, idx N, idx F, idx H, int lstm, int sparse) {
    const idx G = lstm ? 4 * H : H, ld = (G + 31) / 32 * 32 + 16;
    const idx shares = threads > 1 && N > 8 ? 2 : 1;
    float *x = filled(T * N * F), *h0 = filled(N * H), *c0 = filled(N * H), *wi = filled(G * F);
    float *wh = filled(G * H), *b = filled(G), *out = filled(T * N * H), *cell = filled(T * N * H);
    float *gates = filled(T * N * G), *g = filled(T * N * H), *gl = filled(N * H),
          *gc = filled(N * H);
    float *dw = filled(shares * (H + F + 1) * ld), *dx = filled(T * N * F), *dh = filled(N * H);
    float *dc = filled(N * H);
    float *const up = sparse ? NULL : g, *const want = sparse ? NULL : dx;
    /* x and dx are batch-first. */
    const int failed =
        lstm ? lstm_forward(threads, T, N, F, H, x, F, T * F, 1, h0, c0, wi, wh, b, out, cell,
                            gates) |
                   lstm_backward(threads, T, N, F, H, x, F, T * F, 1, h0, c0, wi, wh, out, cell,
                                 gates, up, gl, sparse ? NULL : gc, dw, ld, want, F, T * F, 1, dh,
                                 dc)
             : tanh_rnn_forward(threads, T, N, F, H, x, F, T * F, 1, h0, wi, wh, b, out) |
                   tanh_rnn_backward(threads, T, N, F, H, x, F, T * F, 1, h0, wi, wh, out, up, gl,
                                     dw, ld, want, F, T * F, 1, dh);
    if (failed) exit(3);
    check(x, T * N * F), check(h0, N * H), check(c0, N * H), check(wi, G * F), check(wh, G * H);
    check(b, G), check(out, T * N * H), check(cell, T * N * H), check(gates, T * N * G);
    check(g, T * N * H), check(gl, N * H), check(gc, N * H), check(dw, shares * (H + F + 1) * ld);
    check(dx, T * N * F), check(dh, N * H), check(dc, N * H);
}

static void independent(idx threads, idx T, idx N, idx H, int own_mask) {
    float *z = filled(T * N * H), *h0 = filled(N * H), *out = filled(T * N * H),
          *y = filled(T * N * H);
    float *mask = filled(own_mask ? N * H : H), *g = filled(N * H), *d = filled(T * N * H);
    float *v[5], *carry = filled(N * H);
    double *sums = calloc((threads > 1 && N > 8 ? 2 : 1) * 2 * H, sizeof(double));
    const idx row = own_mask ? H : 0;
    for (int i = 0; i < 5; i++) v[i] = filled(H);
    indrnn_moments(threads, T, N, H, z, sums);
    indrnn_recur(threads, T, N, H, z, v[0], v[1], v[2], h0, out, sums);
    indrnn_recur(threads, T, N, H, z, v[0], v[1], v[2], h0, z, NULL);
    indrnn_affine(threads, T, N, H, out, v[0], v[1], mask, row, y);
    indrnn_cross_moments(threads, T, N, H, y, mask, row, out, sums);
    indrnn_recur_backward(threads, T, N, H, g, 1, mask, row, out, v[0], v[3], v[4], v[2], h0, carry,
                          d, sums);
    indrnn_recur_backward(threads, T, N, H, NULL, 0, mask, row, out, v[0], v[3], v[4], v[2], h0,
                          carry, d, sums);
    indrnn_combine(threads, T, N, H, z, v[0], v[1], v[2], d);
    for (int i = 0; i < 5; i++) check(v[i], H);
    check(z, T * N * H), check(h0, N * H), check(out, T * N * H), check(y, T * N * H);
    check(mask, own_mask ? N * H : H), check(g, N * H), check(d, T * N * H), check(carry, N * H);
    free(sums);
}

static void walk(int kind, int measured) {
    enum { COUNT = 4 };
    const idx size[COUNT] = {1, 0, 16, 37};
    float *g[COUNT], *r[COUNT], *a[COUNT], *w[COUNT];
    double length[COUNT];
    for (int t = 0; t < COUNT; t++) {
        const idx n = size[t];
        g[t] = filled(n), r[t] = filled(n), a[t] = filled(n), w[t] = filled(n);
    }
    const float *const *read = (const float *const *)g;
    walk_norms(COUNT, read, size, length);
    if (!walk_step(kind, measured, COUNT, read, r, a, w, size, length, 1, 0.5, -0.1, 0.2)) exit(3);
    walk_products(COUNT, read, (const float *const *)r, size, length);
    for (int t = 0; t < COUNT; t++) {
        if (!isfinite(length[t])) exit(2);
        check(g[t], size[t]), check(r[t], size[t]), check(a[t], size[t]), check(w[t], size[t]);
    }
}

int main(void) {
    const idx sizes[][4] = {
        {1, 1, 1, 1}, {2, 3, 40, 5}, {5, 13, 9, 33}, {3, 67, 1, 16}, {7, 9, 2, 80}};
    for (int i = 0; i < 5; i++) {
        const idx *s = sizes[i];
        for (int k = 0; k < 8; k++) gated(1 + (k & 1), s[0], s[1], s[2], s[3], k >> 1 & 1, k >> 2);
        for (int k = 0; k < 4; k++) independent(1 + (k & 1), s[0], s[1], s[3], k >> 1);
    }
    for (int k = 0; k < 10; k++) walk(k / 2, k % 2);
    puts("clean");
    return 0;
}
