/* Pipeline schedules as data. A generator writes for each stage the order of its compute instructions; lowering adds
 * what follows from it (sends, receives, reductions, the optimizer's step); the checker proves the lists complete and
 * free of deadlock; executor, simulator and picture walk the same lists. Pure. */
#ifndef CB_PIPELINE_SCHEDULE_H
#define CB_PIPELINE_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "mesh/chunks.h"

typedef enum cb_instr_kind {
    CB_F,            /* forward of one microbatch through one chunk */
    CB_B,            /* backward: input gradient, and the weight gradient too unless the schedule splits it off */
    CB_W,            /* weight gradient alone, in schedules that split */
    CB_RECV_F,       /* activations from the previous stage */
    CB_SEND_F,       /* and to the next */
    CB_RECV_B,       /* their gradients from the next stage */
    CB_SEND_B,       /* and to the previous */
    CB_REDUCE_GRADS, /* finish of the gradient reduction over dp */
    CB_REDUCE_TIED,  /* tied embedding's gradient between first and last stage */
    CB_STEP,         /* optimizer */
    CB_INSTR_KINDS
} cb_instr_kind;

typedef struct cb_instr {
    cb_instr_kind kind;
    int micro_batch, chunk; /* of F, B, W and their messages; else 0 */
    int peer;               /* stage at the other end of a message; else -1 */
} cb_instr;

typedef struct cb_instr_list {
    cb_instr *at;
    int count, capacity;
} cb_instr_list;

typedef struct cb_schedule {
    char name[32];
    int stages, micro_batches, chunks; /* chunks (virtual stages) per stage */
    int group;                         /* interleaved: microbatches that pass a chunk together; else 0 */
    cb_chunk_placing placing;
    bool split_backward; /* W is separate from B */
    bool forward_only;   /* evaluation */
    bool is_lowered;
    cb_instr_list *list; /* one per stage */
} cb_schedule;

/* Every schedule there is, by its sizes. */
typedef struct cb_schedule_spec {
    const char *name;
    int stages, micro_batches; /* >= 1, also fewer microbatches than stages */
    int chunks;                /* per stage; 0: as many as the schedule has by itself (interleaved: 2) */
    int group;                 /* interleaved only; 0: stages */
} cb_schedule_spec;
/* Errors: CB_EUSAGE with the nearest name; CB_EINVAL for sizes that a schedule cannot have, with the rule and the nearest
 * ones; CB_ENOMEM. */
CB_MUST_USE cb_err cb_schedule_make_spec(cb_schedule *schedule, const cb_schedule_spec *spec);
/* The same with chunks and group left to the schedule. */
CB_MUST_USE cb_err cb_schedule_make(cb_schedule *schedule, const char *name, int stages, int micro_batches);
const char *const *cb_schedule_names(void); /* NULL-ended */
/* "forward", evaluation, which is in no list: for chunks that lie as grid says. */
CB_MUST_USE cb_err cb_schedule_make_forward(cb_schedule *schedule, const cb_chunk_grid *grid, int micro_batches);
cb_chunk_grid cb_schedule_grid(const cb_schedule *schedule);
void cb_schedule_free(cb_schedule *schedule);
CB_MUST_USE cb_err cb_instr_push(cb_instr_list *list, cb_instr instr);

/* Adds RECV_F before an F that needs one, SEND_F after it, the same for B; then (unless forward_only) REDUCE_TIED
 * (stages > 1, first and last stage), REDUCE_GRADS and STEP at the end. */
CB_MUST_USE cb_err cb_schedule_lower(cb_schedule *schedule);

/* Proves a lowered schedule: each F, B (and W) of each microbatch exactly once per stage, B after F, W after B; every
 * send has its receive, in the same order; no deadlock when at most `window` sends per direction (kind and peer) may be
 * out before the next send waits for the oldest (0: rendezvous, each send waits for its receive; a large number:
 * asynchronous). That is: the k-th send of a direction on a stage leaves only after the receive of the (k - window)-th
 * has been executed. peak (stages), if not NULL: cb_schedule_peak of each. Error CB_EINVAL naming stage, instruction
 * and, for a deadlock, the cycle of waits; CB_ENOMEM. */
CB_MUST_USE cb_err cb_schedule_check(const cb_schedule *schedule, int window, int *peak);
/* Sends that may be outstanding per direction in this project's executor before it waits for the oldest. */
enum { CB_SEND_WINDOW = 2 };

/* The most microbatches (of one chunk each, all chunks counted together) whose activations a stage holds at once: from
 * F to the end of B, of W when split, of F itself when forward_only. */
int cb_schedule_peak(const cb_schedule *schedule, int stage);
/* The most microbatches of one chunk that are at once between the begin of their `from` and the end of their `until`
 * (of F, B, W, from <= until) on a stage: so many slots are enough for what is made in `from` and last used in `until`.
 * W of a schedule that does not split it off is B. */
int cb_schedule_peak_of_chunk(const cb_schedule *schedule, int stage, int chunk, cb_instr_kind from,
                              cb_instr_kind until);
/* The same from one chunk's instruction until another's; of the two only kind and chunk count. */
int cb_schedule_peak_between(const cb_schedule *schedule, int stage, cb_instr from, cb_instr until);

/* The smallest window with which cb_schedule_check finds no deadlock; its errors, where there is none. */
CB_MUST_USE cb_err cb_schedule_least_window(const cb_schedule *schedule, int *window);

/* The instruction on another stage that lets an instruction pass. */
typedef struct cb_gate {
    int stage, index;        /* stage -1: nothing to wait for; index -1: it is in no list, so the wait never ends */
    bool opens_when_reached; /* else when executed */
} cb_gate;
/* gates (stages): filled with pointers into one block, gates[stage][index] for every instruction, with up to `window`
 * sends out as in cb_schedule_check; the caller frees gates[0]. Errors: CB_EINVAL where an instruction is there twice or
 * has fields out of range; CB_ENOMEM. Then gates[0] is NULL. */
CB_MUST_USE cb_err cb_schedule_gates(const cb_schedule *schedule, int window, cb_gate **gates);

/* What instruction `index` of `stage` waits for on another stage: *stage_out, *index_out of the matching send, or
 * false. */
bool cb_schedule_awaits(const cb_schedule *schedule, int stage, int index, int *stage_out, int *index_out);

/* "F3", "B0", "W0", "F3.1" with chunks > 1; messages "recvF3", "sendB0"; "tied", "grads", "step". out >= 24. Returns
 * out. */
char *cb_instr_text(const cb_schedule *schedule, cb_instr instr, char out[24]);
/* One line per stage: "0: F0 F1 B0 B1"; before them "placing v" where chunks lie in a V. Compute instructions only,
 * unless all. */
CB_MUST_USE cb_err cb_schedule_text(const cb_schedule *schedule, bool all, char **text); /* *text to be freed */
enum { CB_MOST_SCHEDULE_TEXT = 64 << 20 }; /* bytes of a file that is worth reading */
/* The schedule that such a text describes (see read.c); name: for errors, such as the file's. is_lowered is set where
 * it has more than compute instructions. Errors: CB_EFORMAT with line and word; CB_ENOMEM. */
CB_MUST_USE cb_err cb_schedule_read(cb_schedule *schedule, const char *name, const char *text);

#endif
