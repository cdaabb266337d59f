/*
 * The status document of a server (contract: status of MinecraftServer).
 * Pure.
 */

#ifndef MC_STATUS_H
#define MC_STATUS_H

#include "engine.h"
#include "plan.h"

typedef struct {
    const mc_server_t        *server;
    const mc_observed_t      *obs;          /* NULL: the engine did not tell */
    const mc_plan_t          *plan;         /* NULL then too */
    const mc_engine_error_t  *engine_error; /* why it did not */
    const mc_facts_t         *facts;
    const mc_json_t          *previous;     /* the stored status, or NULL */
    int64_t                   observed_generation;
    bool                      finalized;
    int64_t                   now_ms;
} mc_status_input_t;

/* A new tree, NULL when memory is out. A condition's lastTransitionTime is
 * that of the previous status unless its status flips. */
mc_json_t *mc_status_build(const mc_alloc_t *a, const mc_status_input_t *in);

/* Whether both say the same; the order of members does not matter. NULL is
 * equal to NULL only. */
bool mc_status_equal(const mc_json_t *a, const mc_json_t *b);

/* The state that a stored status names; MC_STATE_PENDING for NULL. */
mc_state_t mc_status_state(const mc_json_t *status);

/* Unix milliseconds of its startedAt; 0: none. */
int64_t mc_status_started_ms(const mc_json_t *status);

/* The condition of that type, or NULL. */
const mc_json_t *mc_status_condition(const mc_json_t *status, const char *type);

#endif
