/* Lists of numbers in options; see lists.h. */
#include "cli/lists.h"

#include <errno.h>
#include <stdlib.h>

cb_err cb_list_parse(cb_list *list, const char *option, const char *text, int64_t min, int64_t max) {
    const char *at = text;
    for (list->count = 0; list->count < CB_MOST_LISTED; at++) {
        char *end;
        errno = 0;
        long long value = strtoll(at, &end, 10);
        if (end == at || errno || (*end != ',' && *end != '\0')) break;
        if (value < min || value > max) {
            return cb_fail(CB_EUSAGE, "%s: %lld in '%s' is out of range; it can be %lld to %lld", option, value, text,
                           (long long)min, (long long)max);
        }
        list->at[list->count++] = value;
        if (*end == '\0') return CB_OK;
        at = end;
    }
    return cb_fail(CB_EUSAGE, "%s: '%s' is not a list of 1 to %d whole numbers such as 1,2,4", option, text,
                   CB_MOST_LISTED);
}
