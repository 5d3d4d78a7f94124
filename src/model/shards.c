/* Divisibility of a model; see shards.h. */
#include "model/shards.h"

bool cb_power_of_two(int64_t n) {
    return n > 0 && (n & (n - 1)) == 0;
}

bool cb_model_has_shards(const cb_model *m, int64_t shards) {
    return cb_model_kv_heads(m) % shards == 0 && m->ffn % shards == 0 && m->vocab_padded % shards == 0;
}

bool cb_model_allows_shards(const cb_model *m, int tp, int64_t shards) {
    if (shards < tp || shards % tp || shards / tp > CB_MOST_OWNED_SHARDS) return false;
    return (cb_power_of_two(shards) || shards == tp) && cb_model_has_shards(m, shards);
}

int cb_model_default_shards(const cb_model *m, int tp) {
    int best = tp;
    for (int s = tp; s <= CB_DEFAULT_SHARDS; s *= 2) {
        if (cb_model_allows_shards(m, tp, s)) best = s;
    }
    return best;
}
