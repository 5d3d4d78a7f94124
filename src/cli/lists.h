/* Lists of numbers in options: "1,2,4", "1k,1e6". */
#ifndef CB_CLI_LISTS_H
#define CB_CLI_LISTS_H

#include <stdint.h>

#include "base/err.h"

enum { CB_MOST_LISTED = 16 };

typedef struct cb_list {
    int count;
    int64_t at[CB_MOST_LISTED];
} cb_list;

/* Reads 1 to CB_MOST_LISTED whole numbers from min to max. option: "--tp", for messages. Error CB_EUSAGE. */
CB_MUST_USE cb_err cb_list_parse(cb_list *list, const char *option, const char *text, int64_t min, int64_t max);

#endif
