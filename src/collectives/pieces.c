/* Tree reduction of the pieces that a member received, its own among them. Up to 64 operands go to the device at once;
 * more are reduced 64 by 64, each lot into its first operand's place. As lots are aligned powers of two, the whole is
 * still one balanced tree over the members, with a lone last operand moving up unchanged. */
#include "collectives/algorithms.h"

enum { LOT = 64 };

void cb_pieces_reduce(const cb_pieces *p, cb_type type, cb_reduce_op op) {
    const cb_device *device = cb_device_host();
    const int64_t bytes = p->count * cb_type_bytes(type);
    const char *own = p->own;
    if (p->size > LOT) { /* results of lots are written over operands, and own may be const */
        device->copy(p->to, own, bytes);
        own = p->to;
    }
    for (int64_t stride = 1;; stride *= LOT) {
        bool last = p->size <= stride * LOT;
        for (int64_t first = 0; first < p->size; first += stride * LOT) {
            const void *lot[LOT];
            int n = 0;
            for (int64_t i = first; i < p->size && n < LOT; i += stride)
                lot[n++] = i == p->me ? own : p->pieces + (i - (i > p->me)) * bytes;
            device->reduce(last ? p->to : (void *)lot[0], lot, n, p->count, type, op);
        }
        if (last) return;
    }
}
