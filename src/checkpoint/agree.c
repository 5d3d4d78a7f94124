/* One outcome for all ranks of a group; see agree.h. */
#include "checkpoint/agree.h"

#include <stdio.h>
#include <string.h>

#include "collectives/collectives.h"

typedef struct report {
    int32_t code;
    char text[1020];
} report;

/* A rank that failed itself knows more than the collective that then failed too. */
static cb_err first_of(cb_err mine, cb_err later) {
    if (!mine) return later;
    cb_err_free(later);
    return mine;
}

cb_err cb_group_agree(cb_group *group, cb_err mine) {
    int32_t failed = mine ? group->size - group->me : 0; /* largest for the first member */
    cb_err e = cb_all_reduce(group, &failed, 1, CB_I32, CB_MAX, NULL);
    if (e) return first_of(mine, e);
    if (!failed) return CB_OK;
    int root = group->size - failed;
    report told = {0};
    if (group->me == root) {
        told.code = cb_err_code(mine);
        snprintf(told.text, sizeof told.text, "%s", cb_err_text(mine));
    }
    e = cb_broadcast(group, &told, sizeof told, CB_U8, root);
    if (e) return first_of(mine, e);
    cb_err_free(mine);
    return cb_fail((cb_code)told.code, "%s", told.text);
}
