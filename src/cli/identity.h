/* What decides a run's bits: all but the layout. Two runs compare only where these agree. */
#ifndef CB_CLI_IDENTITY_H
#define CB_CLI_IDENTITY_H

#include <jansson.h>

#include "cli/options.h"

/* {"model": ..., "shards": ..., "data_shards": ..., "seed": ..., "data": ..., ...}; NULL without memory. */
json_t *cb_identity_json(const cb_options *options, const cb_run *run);
/* "1003854 tokens, 5f3c...": their number, and a hash of the first and last of them. */
void cb_identity_tokens(const cb_tokens *tokens, char text[64]);
/* CB_EINVAL naming every field in which the two differ, with both values. */
CB_MUST_USE cb_err cb_identity_compare(const json_t *ours, const json_t *theirs);

#endif
