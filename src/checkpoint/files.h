/* The tensors of a directory, be they in one file or in many named by an index. */
#ifndef CB_CHECKPOINT_FILES_H
#define CB_CHECKPOINT_FILES_H

#include "checkpoint/safetensors.h"

typedef struct cb_tensor_dir {
    cb_tensor_file *files;
    int count;
} cb_tensor_dir;

/* dir/model.safetensors or, where that is missing, what dir/model.safetensors.index.json names: there every tensor lies
 * in the file that the index says, and in no other. Errors CB_EIO, CB_EFORMAT. */
CB_MUST_USE cb_err cb_tensor_dir_open(cb_tensor_dir *found, const char *dir);
void cb_tensor_dir_close(cb_tensor_dir *found); /* also of a zeroed struct */

#endif
