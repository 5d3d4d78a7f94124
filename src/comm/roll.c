/* Cards of calls, under the tag of the operation's first phase: they are the first that two members send each other
 * with it, so order keeps them apart from the operation's messages. See roll.h. */
#include "comm/roll.h"

#include <stdlib.h>
#include <string.h>

#include "comm/calls.h"

struct cb_roll {
    cb_roll *next;
    cb_purpose purpose;
    unsigned sequence;
    int size, me;
    int under_way;      /* cards, in and out */
    int *ranks;         /* (size) */
    cb_call *card;      /* (size) the own one at me; of the others received; pointers mean nothing */
    cb_req **in, **out; /* (size) */
};

/* One allocation: the roll and its arrays, those with the largest alignment first. */
static cb_roll *new_roll(const cb_group *group, unsigned sequence) {
    const size_t n = (size_t)group->size;
    cb_roll *roll = calloc(1, sizeof *roll + n * (sizeof *roll->card + 2 * sizeof *roll->in + sizeof *roll->ranks));
    if (!roll) return NULL;
    *roll = (cb_roll){.purpose = group->purpose, .sequence = sequence, .size = group->size, .me = group->me};
    roll->card = (cb_call *)(void *)(roll + 1);
    roll->in = (cb_req **)(void *)(roll->card + n);
    roll->out = roll->in + n;
    roll->ranks = (int *)(void *)(roll->out + n);
    memcpy(roll->ranks, group->ranks, n * sizeof *roll->ranks);
    return roll;
}

static cb_err post(cb_roll *roll, cb_comm *inner, int member, bool is_send) {
    cb_msg msg = {.peer = roll->ranks[member],
                  .tag = cb_tag_collective(roll->purpose, roll->sequence, 0),
                  .purpose = roll->purpose,
                  .kind = roll->card[roll->me].kind,
                  .type = CB_U8,
                  .count = sizeof(cb_call),
                  .data = &roll->card[is_send ? roll->me : member],
                  .note = (int)(roll->sequence & 0x7fffffff)};
    TRY(is_send ? inner->ops->isend(inner, &msg, &roll->out[member])
                : inner->ops->irecv(inner, &msg, &roll->in[member]));
    roll->under_way++;
    return CB_OK;
}

cb_err cb_rolls_call(cb_rolls *rolls, cb_comm *inner, const cb_group *group, unsigned sequence, const cb_call *call) {
    cb_roll *roll = new_roll(group, sequence);
    if (!roll) return cb_fail(CB_ENOMEM, "no memory for the calls of %d ranks", group->size);
    roll->card[roll->me] = *call;
    roll->card[roll->me].from = roll->card[roll->me].to = NULL;
    if (rolls->last)
        rolls->last->next = roll;
    else
        rolls->first = roll;
    rolls->last = roll;
    for (int i = 0; i < 2 * roll->size; i++)
        if (i / 2 != roll->me) TRY(post(roll, inner, i / 2, i % 2));
    return CB_OK;
}

static bool has_come(const cb_roll *roll, int member) {
    return member == roll->me || !roll->in[member];
}

static cb_err compare(const cb_roll *roll) {
    for (int i = 0; i < roll->size; i++) {
        if (!has_come(roll, i) || cb_calls_are_alike(&roll->card[i], &roll->card[roll->me])) continue;
        const cb_call **calls = calloc((size_t)roll->size, sizeof(cb_call *));
        if (!calls) return cb_fail(CB_ENOMEM, "no memory for what %d ranks called", roll->size);
        for (int m = 0; m < roll->size; m++) calls[m] = has_come(roll, m) ? &roll->card[m] : NULL;
        cb_err e = cb_calls_unequal(roll->purpose, roll->sequence, roll->size, roll->ranks, calls);
        free(calls);
        return e;
    }
    return CB_OK;
}

static cb_err move(cb_roll *roll, cb_comm *inner, cb_req **card, bool wait) {
    bool done;
    if (!*card) return CB_OK;
    TRY(wait ? inner->ops->wait(inner, card) : inner->ops->test(inner, card, &done));
    if (!*card) roll->under_way--;
    return CB_OK;
}

static cb_err move_all(cb_roll *roll, cb_comm *inner, bool wait) {
    int before = roll->under_way;
    for (int i = 0; i < roll->size; i++) {
        TRY(move(roll, inner, &roll->in[i], wait));
        if (wait) TRY(compare(roll));
    }
    for (int i = 0; i < roll->size; i++) TRY(move(roll, inner, &roll->out[i], wait));
    return roll->under_way < before ? compare(roll) : CB_OK;
}

/* Rolls that are through are given back. */
static cb_err move_rolls(cb_rolls *rolls, cb_comm *inner, bool wait) {
    cb_roll **link = &rolls->first, *last = NULL;
    while (*link) {
        cb_roll *roll = *link;
        TRY(move_all(roll, inner, wait));
        if (roll->under_way > 0) {
            last = roll;
            link = &roll->next;
            continue;
        }
        *link = roll->next;
        if (rolls->last == roll) rolls->last = last;
        free(roll);
    }
    return CB_OK;
}

cb_err cb_rolls_look(cb_rolls *rolls, cb_comm *inner) {
    return move_rolls(rolls, inner, false);
}

cb_err cb_rolls_finish(cb_rolls *rolls, cb_comm *inner) {
    return move_rolls(rolls, inner, true);
}

void cb_rolls_free(cb_rolls *rolls) {
    while (rolls->first) {
        cb_roll *roll = rolls->first;
        rolls->first = roll->next;
        free(roll);
    }
    rolls->last = NULL;
}
