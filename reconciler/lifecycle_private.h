/*
 * Shared by lifecycle*.c: one pass over one server.
 */

#ifndef MC_LIFECYCLE_PRIVATE_H
#define MC_LIFECYCLE_PRIVATE_H

#include "app.h"

struct mc_pass_s {
    mc_pass_t    *next, **prev;
    mc_app_t     *app;
    mc_record_t  *rec;
    mc_arena_t   *arena;
    mc_plan_t     plan;
    unsigned      at;               /* index of the action under way */
    unsigned      rounds;
    int64_t       begun_ms;         /* monotonic */
    mc_json_t    *status;           /* being written */
    char         *text;             /* the same as text */
    int64_t       generation;       /* that the status speaks of */
    bool          finalizing;
    bool          engine_failed;
    bool          unsaved;          /* not everybody took the status */
};

/* What reading a record's source came to. */
typedef enum {
    MC_SOURCE_READ,
    MC_SOURCE_AWAY,                 /* go by what it said last */
    MC_SOURCE_GONE,                 /* it says that there is no such server */
    MC_SOURCE_FAILED
} mc_source_t;

/* -- lifecycle.c -- */

/* Goes on once the source was read, in mc_lifecycle_read(). */
void mc_lifecycle_loaded(mc_pass_t *pass, mc_source_t result);

/* Goes on after mc_lifecycle_write(): the status is where it belongs, or
 * pass->unsaved says that it is not; false: it cannot be made. */
void mc_lifecycle_written(mc_pass_t *pass, bool made);

/* -- lifecycle_source.c -- */

/* Reads the row, or the resource, of the record. */
void mc_lifecycle_read(mc_pass_t *pass);

/* -- lifecycle_status.c -- */

/* Writes the status to the source, and to whoever else wants it, when it says
 * something new. engine_error: why there is no plan, or NULL. */
void mc_lifecycle_write(mc_pass_t *pass, const mc_engine_error_t *engine_error);

/* -- lifecycle_facts.c -- */

/* What a new observation means for what is remembered. */
void mc_lifecycle_digest(mc_record_t *rec);

/* Whether a change that waits may be let through now. */
void mc_lifecycle_window(mc_app_t *app, mc_record_t *rec, const char *hash);

/* What a plan means for it. */
void mc_lifecycle_planned(mc_record_t *rec, const mc_plan_t *plan);

#endif
