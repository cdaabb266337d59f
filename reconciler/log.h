/*
 * The log: one JSON object a line on standard error,
 * {"time":…,"level":…,"msg":…,"server":…,…}.
 */

#ifndef MC_LOG_H
#define MC_LOG_H

#include <stddef.h>

typedef enum {
    MC_LOG_DEBUG, MC_LOG_INFO, MC_LOG_WARN, MC_LOG_ERROR
} mc_log_level_t;

/* Lines below the level are dropped; MC_LOG_INFO until this is called. */
void mc_log_set_level(mc_log_level_t level);

/* The level called name ("debug", "info", "warn", "error"), or -1. */
int mc_log_level(const char *name);

/* msg, then pairs of a key and a string (NULL: the pair is left out), then
 * NULL. Keys are plain words; values are escaped and cut at 2 KB. Never pass
 * a secret. */
void mc_log(mc_log_level_t level, const char *msg, ...)
    __attribute__((sentinel));

/* A number as text for mc_log(): buf outlives the call that it is made in. */
#define MC_LOG_NUM(n)  mc_log_number((char[24]){0}, (long long) (n))
const char *mc_log_number(char buf[24], long long n);

#endif
