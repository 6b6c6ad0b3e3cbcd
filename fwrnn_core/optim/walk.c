/* One inner step of the optimizer for Euclidean balls: float32, one pass over memory per tensor.
 *
 * The same arithmetic as walk.py and inner.py: R <- decay R + g f, with f = weight / |g|, then the
 * weights. Norms are summed in double, where no float square overflows or vanishes. */
#include <math.h>
#include <stddef.h>

typedef ptrdiff_t idx;

enum { LANES = 16 };
enum { FIRST, PAPER, RELEASED, LAST, ONLY };

static double product(const float *a, const float *b, idx n) {
    double sum[LANES] = {0};
    idx i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) sum[j] += (double)a[i + j] * b[i + j];
    for (; i < n; i++) sum[0] += (double)a[i] * b[i];
    for (int j = 1; j < LANES; j++) sum[0] += sum[j];
    return sum[0];
}

static double norm(const float *g, idx n) { return sqrt(product(g, g, n)); }

/* out[t] = |g[t]|_2; not finite exactly where an entry is not. */
void walk_norms(idx count, const float *const *g, const idx *size, double *out) {
    for (idx t = 0; t < count; t++) out[t] = norm(g[t], size[t]);
}

/* out[t] = <a[t], b[t]>, summed in double. */
void walk_products(idx count, const float *const *a, const float *const *b, const idx *size,
                   double *out) {
    for (idx t = 0; t < count; t++) out[t] = product(a[t], b[t], size[t]);
}

/* A step of `count` tensors: g gradient, r direction, a anchor (unused in ONLY), w weight.
 *
 * FIRST     a <- w, then r <- g f and w <- a + alpha r
 * PAPER     w <- a + alpha r        RELEASED  w <- w + alpha r
 * LAST      r <- scale r, w <- a    ONLY      r <- scale r, w as it is
 *
 * f = weight / length[t], 0 where that is. length[t] is |g[t]|, taken here unless `measured`; after
 * LAST and ONLY it holds |r[t]|. Returns 0, with nothing written but lengths, if one taken here is
 * not finite; else 1. */
int walk_step(int kind, int measured, idx count, const float *const *g, float *const *r,
              float *const *a, float *const *w, const idx *size, double *length, double weight,
              double decay, double alpha, double scale) {
    const float keep = (float)decay, move = (float)alpha, last = (float)scale;
    if (!measured) {
        walk_norms(count, g, size, length);
        for (idx t = 0; t < count; t++)
            if (!isfinite(length[t])) return 0;
    }
    for (idx t = 0; t < count; t++) {
        /* Two factors: 1/|g| alone may be too large or too small for a float. */
        const double f = length[t] > 0 ? weight / length[t] : 0;
        const double outer = f > 1e30 ? 1e30 : f > 0 && f < 1e-30 ? 1e-30 : 1;
        const float f1 = (float)outer, f2 = (float)(f / outer);
        const float *restrict gt = g[t];
        float *restrict rt = r[t], *restrict wt = w[t];
        float *restrict at = kind == ONLY ? NULL : a[t];
        const idx n = size[t];
        switch (kind) {
            case FIRST:
                for (idx i = 0; i < n; i++) {
                    const float v = gt[i] * f1 * f2, anchor = wt[i];
                    rt[i] = v;
                    at[i] = anchor;
                    wt[i] = anchor + move * v;
                }
                break;
            case PAPER:
                for (idx i = 0; i < n; i++) {
                    const float v = keep * rt[i] + gt[i] * f1 * f2;
                    rt[i] = v;
                    wt[i] = at[i] + move * v;
                }
                break;
            case RELEASED:
                for (idx i = 0; i < n; i++) {
                    const float v = keep * rt[i] + gt[i] * f1 * f2;
                    rt[i] = v;
                    wt[i] += move * v;
                }
                break;
            case LAST:
                for (idx i = 0; i < n; i++) {
                    rt[i] = last * (keep * rt[i] + gt[i] * f1 * f2);
                    wt[i] = at[i];
                }
                length[t] = norm(rt, n);
                break;
            default:
                for (idx i = 0; i < n; i++) rt[i] = last * (gt[i] * f1 * f2);
                length[t] = norm(rt, n);
        }
    }
    return 1;
}
