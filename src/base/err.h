/* Errors as values. A cb_err is NULL (CB_OK) or an owned object with a code and a message; the function that decides
 * which error it is writes the message, with the numbers in it. Callers hand it up with TRY; whoever ends the journey
 * prints it and calls cb_err_free. Nothing in src/ exits or aborts on bad input. */
#ifndef CB_BASE_ERR_H
#define CB_BASE_ERR_H

typedef enum cb_code {
    CB_EUSAGE = 1,   /* the command line is wrong: exit code 2 */
    CB_EINVAL,       /* sizes that do not fit together: exit code 2 */
    CB_ENOMEM,       /* not enough memory */
    CB_EIO,          /* the operating system refused a file operation */
    CB_EFORMAT,      /* a file is not what it claims to be: exit code 2 */
    CB_EPEER,        /* another rank failed first: an echo, never the cause */
    CB_EMISMATCH,    /* ranks disagree about a message or a collective */
    CB_ETIMEOUT,     /* a wait passed its deadline */
    CB_ENONFINITE,   /* NaN or infinity where a number was due */
    CB_EUNSUPPORTED, /* known, but not in this build */
} cb_code;

typedef struct cb_error *cb_err;

#define CB_OK ((cb_err)0)
#define CB_MUST_USE __attribute__((warn_unused_result))
#define CB_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Makes an error. Never returns CB_OK; without memory for the message it returns a constant error of code CB_ENOMEM. */
CB_MUST_USE cb_err cb_fail(cb_code code, const char *fmt, ...) CB_PRINTF(2, 3) __attribute__((returns_nonnull));

/* Puts "prefix: " before the message of e and returns e (CB_OK stays CB_OK). */
CB_MUST_USE cb_err cb_err_context(cb_err e, const char *fmt, ...) CB_PRINTF(2, 3);

cb_code cb_err_code(cb_err e);     /* e is not CB_OK */
const char *cb_err_text(cb_err e); /* valid until cb_err_free */
void cb_err_free(cb_err e);        /* CB_OK is allowed */
int cb_err_exit_code(cb_err e);    /* 0 ok, 2 usage, sizes or a file that is wrong, 1 the rest */

#define TRY(call)                          \
    do {                                   \
        cb_err try_error_ = (call);        \
        if (try_error_) return try_error_; \
    } while (0)

#endif
