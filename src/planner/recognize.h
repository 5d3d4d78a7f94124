/* What tables call devices, networks and programs, in free text: recognized by the words that data sheets use. A
 * network or program that no word fits is given the nearest that is known; a device is not. Pure. */
#ifndef CB_PLANNER_RECOGNIZE_H
#define CB_PLANNER_RECOGNIZE_H

#include "planner/device_memory.h"
#include "planner/hardware.h"
#include "planner/stack.h"

/* "A100-80GB-SXM", "NVIDIA H100 PCIe": by name or alias, else by the name's first word, then by memory and by what else
 * the text says of the variant ("pcie", "nvl"); the usual one where it says nothing. NULL: none. Valid as long as
 * `hardware`. */
const cb_device_row *cb_recognize_device(const cb_hardware *hardware, const char *text);
/* For a text that is none: the nearest names and short names, as cb_args_suggest writes them. Returns out. */
char *cb_recognize_near(const cb_hardware *hardware, const char *text, char out[256]);
/* "8x200Gb/s HDR IB per node", "1600 Gb/s RoCE per node", "400 Gb/s NIC per GPU", "4 GPU/node": sets device, network,
 * node_devices and links_in_mesh; what the text does not say is usual for the device. Returns false where the rate of
 * the network is such a guess. */
bool cb_recognize_network(const char *text, const cb_device_row *device, cb_cluster *cluster);
/* text: all that a row says of the program. Returns false where it is a guess by device and precision. */
bool cb_recognize_stack(const char *text, const cb_accelerator *device, cb_precision precision, bool pipelined,
                        cb_stack *stack);

/* What a row's memory is, by what it says or else by what its program prints: reserved, in GiB, where nothing is known.
 */
cb_memory_report cb_recognize_memory(const char *text);
/* A program that cuts optimizer states (ZeRO 1) though its notes do not say so. */
bool cb_recognize_zero(const char *text);

#endif
