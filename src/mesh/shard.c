/* Block distribution: n blocks cover 0..total-1 in order, the first total % n of them one element larger. Everything is
 * a formula, so every rank can ask about every other. */
#include "mesh/shard.h"

#include <assert.h>
#include <stdio.h>

cb_range cb_shard_block(int64_t total, int n, int i) {
    assert(total >= 0 && n >= 1 && i >= 0 && i < n);
    int64_t least = total / n, larger = total % n;
    return (cb_range){i * least + (i < larger ? i : larger), least + (i < larger)};
}

int cb_shard_owner(int64_t total, int n, int64_t element) {
    assert(n >= 1 && element >= 0 && element < total);
    int64_t least = total / n, larger = total % n;
    int64_t in_larger = larger * (least + 1);
    if (element < in_larger) return (int)(element / (least + 1));
    return (int)(larger + (element - in_larger) / least);
}

static int64_t greatest_common_divisor(int64_t a, int64_t b) {
    while (b) {
        int64_t rest = a % b;
        a = b, b = rest;
    }
    return a;
}

/* The next divisor of `value` after `from`, both multiples of `factor`; 0 where none is up to limit. */
static int64_t next_divisor(int64_t value, int64_t from, int64_t factor, int64_t limit) {
    for (int64_t d = from + factor; d <= limit && d <= value; d += factor)
        if (value % d == 0) return d;
    return 0;
}

char *cb_shard_common_divisors(const int64_t *values, int n, int64_t limit, char *out, int out_size) {
    return cb_shard_common_multiples(values, n, 1, limit, out, out_size);
}

char *cb_shard_common_multiples(const int64_t *values, int n, int64_t factor, int64_t limit, char *out, int out_size) {
    assert(n >= 1 && factor >= 1 && out_size >= 1);
    int64_t common = 0;
    for (int i = 0; i < n; i++) common = greatest_common_divisor(values[i], common);
    out[0] = 0;
    for (int64_t d = next_divisor(common, 0, factor, limit), used = 0; d;) {
        int64_t next = next_divisor(common, d, factor, limit);
        const char *before = used == 0 ? "" : next ? ", " : " or ";
        char piece[32];
        int length = snprintf(piece, sizeof piece, "%s%lld", before, (long long)d);
        int reserve = next ? 5 : 0; /* room for ", ..." after every piece but the last */
        if (used + length + reserve >= out_size) {
            snprintf(out + used, (size_t)(out_size - used), used ? ", ..." : "...");
            break;
        }
        snprintf(out + used, (size_t)(out_size - used), "%s", piece);
        used += length;
        d = next;
    }
    return out;
}
