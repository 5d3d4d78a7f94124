/* Samples under a pace that changes. A hypervisor moves virtual cores: at times two of them are threads of one core, at
 * times they share no cache, and what passes from one to the other takes five times as long. Samples of one pace can be
 * compared and explained by one model, so each is taken with the pace at that moment, and those of the pace that is met
 * most count. Pure. */
#ifndef CB_CLI_COMM_PACE_H
#define CB_CLI_COMM_PACE_H

#include <stdbool.h>

typedef struct cb_paced {
    double time_s;
    double pace_s; /* of a barrier just before; 0: unknown */
} cb_paced;

/* Paces that are one. */
typedef struct cb_pace {
    double least_s, most_s;
} cb_pace;

/* The paces that most samples have; all of one are within a factor of 1.4. It sorts pace_s. */
cb_pace cb_pace_usual(double *pace_s, int n);
bool cb_pace_has(cb_pace pace, cb_paced sample);

#endif
