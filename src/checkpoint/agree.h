/* One outcome for all ranks of a group, so that no rank goes on to a collective that another has given up. */
#ifndef CB_CHECKPOINT_AGREE_H
#define CB_CHECKPOINT_AGREE_H

#include "comm/group.h"

/* CB_OK where every member brings CB_OK; else every member gets the error of the first that brought one, with its code
 * and text. Takes `mine`. *Collective over group.* Cost: one small all-reduce, and one broadcast after an error. */
CB_MUST_USE cb_err cb_group_agree(cb_group *group, cb_err mine);

#endif
