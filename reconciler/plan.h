/*
 * The planner: what to do next about one server, from what is wanted, what is
 * there and what is remembered. Pure: no I/O, no clock of its own. Everything
 * it needs to be right comes from the row and the engine; the facts are hints
 * whose loss (a killed reconciler) costs a repeated step at most.
 */

#ifndef MC_PLAN_H
#define MC_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include "server.h"

typedef enum {
    MC_STATE_PENDING, MC_STATE_STARTING, MC_STATE_RUNNING, MC_STATE_STOPPING,
    MC_STATE_STOPPED, MC_STATE_HIBERNATED, MC_STATE_WAKING, MC_STATE_FAILED,
    MC_STATE_DELETING, MC_STATE_N
} mc_state_t;

/* "Pending", …; and back, MC_STATE_PENDING for an unknown word. */
const char *mc_state_name(mc_state_t state);
mc_state_t mc_state_from_name(const char *name);

typedef enum {
    MC_ACTION_ENSURE_RESOURCE,  /* the MinecraftServer as the source says */
    MC_ACTION_ENSURE_STORAGE,
    MC_ACTION_CREATE,
    MC_ACTION_START,            /* the existing pod again */
    MC_ACTION_ANNOUNCE,         /* tell the players */
    MC_ACTION_CONSOLE_STOP,     /* "stop" on the console */
    MC_ACTION_STOP,             /* TERM, and KILL after the grace time */
    MC_ACTION_APPLY,            /* what is beside the running pod */
    MC_ACTION_RESIZE,           /* the running pod's CPU */
    MC_ACTION_HOT,              /* what the console can change (hot.h) */
    MC_ACTION_REMOVE,           /* the pod */
    MC_ACTION_REMOVE_STORAGE,
    MC_ACTION_REMOVE_RESOURCE,
    MC_ACTION_FINALIZE,         /* a tombstone with nothing left behind it */
    MC_ACTION_N
} mc_action_t;

const char *mc_action_name(mc_action_t action);

typedef enum { MC_PING_UNKNOWN, MC_PING_ANSWERED, MC_PING_FAILED } mc_ping_fact_t;

/* A failed action, for as long as the generation stays the same. */
typedef struct {
    unsigned     count;         /* 0: none */
    mc_action_t  action;
    int64_t      generation;
    int64_t      retry_at_ms;
    bool         retry;         /* false: only a change helps, here or there */
    char         reason[48];
    char         message[400];
} mc_failure_t;

/* What is remembered of a server between two looks. Times are Unix ms. */
typedef struct {
    mc_ping_fact_t  ping;           /* of the pod that runs now */
    bool            was_ready;      /* has answered since it started */
    int             players;        /* -1: not known */
    int64_t         pinged_ms;      /* when they were counted */
    int64_t         recount_ms;     /* since when a new count is wanted, 0: not */
    int             players_max;
    char            version[64];

    int64_t         announced_ms;   /* of a stop under way, 0: not yet */
    int64_t         asked_ms;       /* when the console took "stop" */
    bool            console_failed; /* it did not: a signal must do */
    bool            stopped;        /* the exit is one that we asked for */
    int64_t         killed;         /* generation whose kill was done, 0: none */

    bool            hot;            /* the running game lacks what its console
                                     * can change */
    bool            made_old;       /* so does what the pod was made from, or
                                     * nobody knows */
    bool            window;         /* spec.updateWindow is open */
    int64_t         window_ms;      /* look again after so long, 0: no need */

    unsigned        crashes;        /* in a row */
    int64_t         crashed_ms;     /* the exit that was counted last */

    mc_failure_t    failure;        /* of the way to a pod, or from one */
    mc_failure_t    mending;        /* of what is done to a running one */

    char            blocked_reason[48];     /* the spec cannot be run */
    char            blocked_message[400];
} mc_facts_t;

#define MC_PLAN_ACTIONS_MAX  4

typedef struct {
    mc_action_t  actions[MC_PLAN_ACTIONS_MAX];  /* in this order; then look again */
    unsigned     n;
    int          grace_s;       /* of MC_ACTION_STOP */
    int          announce_s;    /* of MC_ACTION_ANNOUNCE */
    bool         world;         /* MC_ACTION_REMOVE_STORAGE takes the world too */
    int64_t      wait_ms;       /* look again after so long; -1: no need to */

    mc_state_t   state;
    bool         stopping;      /* a stop is under way */
    bool         progressing;
    bool         in_sync;       /* the pod is made from the present spec */
    bool         restart_pending;
    bool         paused;        /* nothing is done, only told */
    bool         ask_players;   /* a restart hangs on it: ping now, look again */
    const char  *progress;      /* reason of the condition Progressing */
    char         degraded[48];  /* reason of the condition Degraded, "" none */
    char         message[400];
} mc_plan_t;

/* hash is mc_engine_desired_hash() of the server. */
void mc_plan(const mc_server_t *s, const mc_observed_t *obs, const char *hash,
    const mc_facts_t *facts, int64_t now_ms, int64_t start_timeout_ms,
    mc_plan_t *plan);

/* Counts an exit that nobody asked for. Idempotent: to be called with every
 * observation, before mc_plan(). */
void mc_facts_observe(mc_facts_t *facts, const mc_observed_t *obs);

/* Remembers that an action failed. Without retry the longest backoff applies at
 * once: somebody may still load the image or free the port. */
void mc_facts_fail(mc_facts_t *facts, mc_action_t action, int64_t generation,
    const char *reason, const char *message, bool retry, int64_t now_ms);

/* Forgets the failures of an action that succeeded at last. */
void mc_facts_succeed(mc_facts_t *facts, mc_action_t action);

/* Milliseconds before attempt n+1 after n failures in a row: 1 s, doubled up
 * to 5 minutes. */
int64_t mc_backoff_ms(unsigned n);

#endif
