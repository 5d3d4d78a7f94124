/* Lists of numbers in options: what is read, and what is refused. */
#include "cli/lists.h"

#include "support/test.h"

static void reads(void) {
    cb_list list;
    CHECK_OK(cb_list_parse(&list, "--m", "7", 1, 10));
    CHECK(list.count == 1 && list.at[0] == 7);
    CHECK_OK(cb_list_parse(&list, "--m", "1,1k,1e6,1.5m", 1, 1 << 24));
    CHECK(list.count == 4 && list.at[1] == 1024 && list.at[2] == 1000000 && list.at[3] == 3 << 19);
    CHECK_OK(cb_list_parse(&list, "--m", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16", 1, 16));
    CHECK(list.count == CB_MOST_LISTED && list.at[15] == 16);
}

static void refuses(void) {
    static const char *const broken[] = {"",  ",",   "1,",   ",1", "1,,2", "1;2",
                                         "x", "1.5", "0x10", " 1", "1e99", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"};
    char digits[100], said[160];
    cb_list list;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        snprintf(said, sizeof said, "--m: '%s' is not a list of 1 to 16 whole numbers", broken[i]);
        CHECK_FAILS(cb_list_parse(&list, "--m", broken[i], 1, 1 << 24), CB_EUSAGE, said);
    }
    memset(digits, '0', sizeof digits - 1);
    digits[sizeof digits - 1] = '\0';
    CHECK_FAILS(cb_list_parse(&list, "--m", digits, 0, 1), CB_EUSAGE, "is not a list");
    CHECK_FAILS(cb_list_parse(&list, "--m", "1,1k", 1, 1000), CB_EUSAGE,
                "--m: 1k in '1,1k' is out of range; it can be 1 to 1000");
    CHECK_FAILS(cb_list_parse(&list, "--m", "-1", 1, 1000), CB_EUSAGE, "-1 in '-1' is out of range");
}

int main(void) {
    RUN(reads);
    RUN(refuses);
    return test_end();
}
