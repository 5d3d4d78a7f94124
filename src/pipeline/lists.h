/* What the files of this room share: the row of a generator, where a chunk lies, which message belongs to which, and
 * one abstract execution of all lists that serves the checker and the simulator. Not for other rooms. */
#ifndef CB_PIPELINE_LISTS_H
#define CB_PIPELINE_LISTS_H

#include "pipeline/schedule.h"

/* Writes the compute instructions of one stage. The schedule's sizes and flags are set, its lists are not yet. */
typedef cb_err cb_order_fn(const cb_schedule *schedule, int stage, cb_instr_list *list);
cb_order_fn cb_order_gpipe, cb_order_one_f_one_b, cb_order_interleaved, cb_order_zb_h1, cb_order_zb_h2, cb_order_zb_v,
    cb_order_dualpipe_v, cb_order_forward;

/* Which sizes a schedule can have, beyond its number of chunks. Error CB_EINVAL with the rule and the nearest sizes. */
typedef cb_err cb_check_sizes(const cb_schedule_spec *spec);
cb_check_sizes cb_check_interleaved;

/* "F", "recvB", "tied": what an instruction's text begins with. */
const char *cb_kind_word(cb_instr_kind kind);

/* Appends a compute instruction of chunk `chunk`. */
CB_MUST_USE cb_err cb_compute_push(cb_instr_list *list, cb_instr_kind kind, int micro_batch, int chunk);

/* An order of two chunks, written phase by phase. */
typedef struct cb_phases {
    cb_instr_list *list;
    int micro_batches;
    int next[CB_W + 1][2]; /* (kind, chunk): the microbatch that comes next, of the schedule or behind its last */
} cb_phases;
/* Appends `words`, as "F0 B1 W1" (kind and chunk), so many times: of each the next microbatch, unless there is none. */
CB_MUST_USE cb_err cb_phase_push(cb_phases *at, int times, const char *words);

/* The model is cut in stages * chunks virtual stages, which a microbatch passes in ascending order. */
int cb_virtual_stage(const cb_schedule *schedule, int stage, int chunk);
void cb_virtual_stage_place(const cb_schedule *schedule, int virtual_stage, int *stage, int *chunk);

/* The instruction on another stage that belongs to a message (receive to send, send to receive) or to the reduction of
 * the tied embedding: its stage, and *partner if not NULL. False where there is none: other kinds, the ends of the
 * pipeline, virtual stages that are neighbours on one stage. */
bool cb_instr_partner(const cb_schedule *schedule, int stage, cb_instr instr, int *partner_stage, cb_instr *partner);

/* Where each instruction stands in its stage's list. Freed with free(table->at). */
typedef struct cb_positions {
    int *at; /* (stages, CB_INSTR_KINDS, chunks, micro_batches), -1: not in the list */
} cb_positions;
/* Errors: CB_EINVAL where an instruction is there twice or has fields out of range; CB_ENOMEM. */
CB_MUST_USE cb_err cb_positions_make(cb_positions *table, const cb_schedule *schedule);
int cb_position_of(const cb_positions *table, const cb_schedule *schedule, int stage, cb_instr instr);

/* Calls visit (if not NULL) once for every instruction, in an order that the stages' lists and the messages allow: an
 * instruction after all that it waits for. Sends wait as cb_schedule_check says. partner_stage, partner_index: the send
 * of a receive, or the other end of the tied reduction (which may be visited later: both wait until both are reached);
 * else -1. Error CB_EINVAL: deadlock, with the cycle of waits. */
typedef void cb_visit(void *context, int stage, int index, int partner_stage, int partner_index);
CB_MUST_USE cb_err cb_schedule_walk(const cb_schedule *schedule, const cb_positions *positions, int window,
                                    cb_visit *visit, void *context);

#endif
