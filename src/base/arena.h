/* A region of memory allocated once and cut from the front. Sizes are known before: the functions that predict a size
 * add cb_aligned() of the same requests, so what is predicted is what is taken, to the byte. */
#ifndef CB_BASE_ARENA_H
#define CB_BASE_ARENA_H

#include <stdint.h>

#include "base/err.h"

enum { CB_ALIGN = 64 };

typedef struct cb_arena {
    const char *name;
    char *base;
    int64_t size_bytes, used_bytes, high_bytes;
} cb_arena;

/* bytes rounded up to CB_ALIGN; every take costs exactly this. */
int64_t cb_aligned(int64_t bytes);

/* Allocates size_bytes, zeroed and page-aligned. Error: CB_ENOMEM with asked and available bytes. */
CB_MUST_USE cb_err cb_arena_create(cb_arena *arena, const char *name, int64_t size_bytes);
/* Cuts bytes from the arena. Taking more than the arena holds is a programmer's error (assert). */
void *cb_arena_take(cb_arena *arena, int64_t bytes);
void cb_arena_destroy(cb_arena *arena); /* also of a zeroed struct */

#endif
