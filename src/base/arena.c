/* Memory cut from the front of one allocation; see arena.h. */
#include "base/arena.h"

#include <assert.h>
#include <stddef.h>
#include <sys/mman.h>

#include "base/os.h"

int64_t cb_aligned(int64_t bytes) { return (bytes + CB_ALIGN - 1) / CB_ALIGN * CB_ALIGN; }

cb_err cb_arena_create(cb_arena *arena, const char *name, int64_t size_bytes) {
    *arena = (cb_arena){.name = name, .size_bytes = size_bytes};
    if (size_bytes == 0) return CB_OK;
    /* Anonymous pages arrive zeroed and are only backed when touched. */
    void *base = mmap(NULL, (size_t)size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) {
        arena->size_bytes = 0;
        char asked[16], free_now[16];
        return cb_fail(CB_ENOMEM, "not enough memory for %s: asked for %s (%lld bytes), available %s", name,
                       cb_os_human_bytes(size_bytes, asked), (long long)size_bytes,
                       cb_os_human_bytes(cb_os_available_bytes(), free_now));
    }
    arena->base = base;
    return CB_OK;
}

void *cb_arena_take(cb_arena *arena, int64_t bytes) {
    int64_t rounded = cb_aligned(bytes);
    assert(rounded <= arena->size_bytes - arena->used_bytes && "an arena is smaller than what its size function promised");
    void *piece = arena->base + arena->used_bytes;
    arena->used_bytes += rounded;
    if (arena->used_bytes > arena->high_bytes) arena->high_bytes = arena->used_bytes;
    return piece;
}

void cb_arena_destroy(cb_arena *arena) {
    if (arena->base) munmap(arena->base, (size_t)arena->size_bytes);
    *arena = (cb_arena){0};
}
