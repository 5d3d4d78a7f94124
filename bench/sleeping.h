/* A compute backend whose kernels wait instead of computing, so that many ranks run side by side on few cores: products
 * and attention sleep for FLOPs / rate, all else returns at once; losses and norms are 0. Numbers mean nothing under
 * it. The linker's --wrap puts it in the place of cb_compute_create; without it a program has the real backends. */
#ifndef CB_BENCH_SLEEPING_H
#define CB_BENCH_SLEEPING_H

/* FLOPs per second of each rank that is created from now on; 0: the real backends. */
void cb_sleeping_rate(double flops_per_s);

#endif
