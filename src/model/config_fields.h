/* The fields of Hugging Face's config.json. Not for other rooms. */
#ifndef CB_MODEL_CONFIG_FIELDS_H
#define CB_MODEL_CONFIG_FIELDS_H

#include "base/json.h"
#include "model/model.h"

/* All but name and padding. Error CB_EFORMAT with line, column and field, what was found, what was expected. */
CB_MUST_USE cb_err cb_config_read_fields(cb_model *model, const cb_json *file);

#endif
