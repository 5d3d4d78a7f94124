/* Numbers as the planner's reports write them; see planned_text.c. */
#ifndef CB_CLI_NUMBERS_H
#define CB_CLI_NUMBERS_H

char *cb_planned_number(double value, char out[16]); /* "1,866", "186,600": four digits, thousands apart */

#endif
