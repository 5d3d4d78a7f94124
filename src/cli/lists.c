/* Lists of numbers in options; see lists.h. */
#include "cli/lists.h"

#include <stdio.h>
#include <string.h>

#include "base/args.h"

enum { MOST_DIGITS = 64 };

static cb_err no_list(const char *option, const char *text) {
    return cb_fail(CB_EUSAGE, "%s: '%s' is not a list of 1 to %d whole numbers such as 1,2,4 or 1k,1e6", option, text,
                   CB_MOST_LISTED);
}

cb_err cb_list_parse(cb_list *list, const char *option, const char *text, int64_t min, int64_t max) {
    list->count = 0;
    for (const char *at = text; list->count < CB_MOST_LISTED; at++) {
        char number[MOST_DIGITS];
        int64_t value;
        size_t length = strcspn(at, ",");
        if (length >= sizeof number) break;
        snprintf(number, sizeof number, "%.*s", (int)length, at);
        cb_err e = cb_args_int(option, number, &value);
        cb_err_free(e);
        if (e) break;
        if (value < min || value > max)
            return cb_fail(CB_EUSAGE, "%s: %s in '%s' is out of range; it can be %lld to %lld", option, number, text,
                           (long long)min, (long long)max);
        list->at[list->count++] = value;
        at += length;
        if (*at == '\0') return CB_OK;
    }
    return no_list(option, text);
}
