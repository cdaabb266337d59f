/*
 * The running daemon: what its parts share. Each part is a file; this is the
 * only header that knows them all.
 */

#ifndef MC_APP_H
#define MC_APP_H

#include <uv.h>
#include "bus.h"
#include "config.h"
#include "engine.h"
#include "map.h"
#include "plan.h"
#include "rcon.h"
#include "store.h"
#include "workqueue.h"

typedef struct mc_app_s     mc_app_t;
typedef struct mc_record_s  mc_record_t;
typedef struct mc_pass_s    mc_pass_t;
typedef struct mc_deed_s    mc_deed_t;
typedef struct mc_command_s mc_command_t;
typedef struct mc_probe_s   mc_probe_t;
typedef struct mc_follow_s  mc_follow_t;
typedef struct mc_talk_s    mc_talk_t;
typedef struct mc_sample_s  mc_sample_t;

struct mc_app_s {
    uv_loop_t            *loop;
    const mc_config_t    *conf;
    mc_store_t           *store;        /* NULL: no database is wanted */
    mc_bus_t             *bus;          /* NULL: nor Redis */
    mc_engine_t          *engine;
    mc_workqueue_t       *queue;
    mc_map_t             *records;      /* by server id */
    mc_map_t             *strangers;    /* ids that have no record */
    mc_pass_t            *passes;       /* under way */
    mc_deed_t            *deeds;        /* actions under way */
    mc_command_t         *commands;     /* console commands under way */
    unsigned              n_commands;
    mc_talk_t            *talks;        /* with consoles, under way */
    mc_sample_t          *samples;      /* measurements under way */
    unsigned              n_samples;
    mc_map_t             *zones;        /* time zones by name */

    uv_timer_t            dispatch;     /* the workqueue's next key */
    uv_timer_t            poll;         /* dirty rows */
    uv_timer_t            resync;       /* all rows */
    uv_timer_t            watch;        /* the engine */

    bool                  paging;       /* a reading of all rows is under way */
    char                  page_tenant[MC_UUID_LEN + 1], page_id[MC_UUID_LEN + 1];
    bool                  polling;
    bool                  synced;       /* all rows were read once */
    char                  instance[80]; /* of this process, for Events */
    bool                  kubernetes;   /* is the engine */
    bool                  listed;       /* the engine knows all there is */
    bool                  engine_started;
    unsigned              ticks;        /* of watch, until then */
    bool                  engine_up;
    bool                  stopping;     /* begins no new pass */
    void                (*drained)(mc_app_t *app);  /* stopping, last pass over */
};

/* What of a spec a console can change, as it was at some time. */
typedef struct {
    mc_arena_t  *arena;
    mc_json_t   *spec;              /* NULL: not known */
} mc_memory_t;

/* An event that was told. */
typedef struct {
    uint64_t  hash;
    int64_t   at_ms;
} mc_told_t;

#define MC_TOLD_MAX  8

/* One server: the row as last read, and what is remembered beside it. */
struct mc_record_s {
    char              id[MC_UUID_LEN + 1];
    char              tenant[MC_UUID_LEN + 1];

    bool              resource;         /* row stands for a MinecraftServer
                                         * that is its own source */
    mc_arena_t       *arena;            /* of row */
    mc_row_t          row;
    bool              loaded;
    bool              orphan;           /* the row is gone, the pod may be not */
    int64_t           checked;          /* generation that blocked_* speak of */

    mc_observed_t     obs;
    bool              observed;         /* obs is what the engine said last */
    int64_t           run_ms;           /* start of the pod that facts speak of */
    mc_facts_t        facts;
    mc_memory_t       made;             /* what the pod was made from */
    mc_memory_t       game;             /* what the running game goes by */
    bool              rcon_away;        /* RCON of this pod is out of reach */
    bool              ready;            /* as counted in the metrics */

    mc_told_t         told[MC_TOLD_MAX];
    int64_t           event_ms;         /* place of the last one told */
    unsigned          event_n;
    int64_t           sampled_ms;       /* measured last, monotonic, 0: never */
    int64_t           cpu_run_ms;       /* of the pod that needed cpu_ns */
    int64_t           cpu_ms, cpu_ns;   /* until cpu_ms */

    mc_probe_t       *probe;
    mc_follow_t      *follow;
};

/* -- app.c: hints, polls, and the workqueue's turn -- */

/* Opens everything and starts the timers. 0, or -1 and a sentence. */
int mc_app_start(mc_app_t *app, uv_loop_t *loop, const mc_config_t *conf,
    char *err, size_t errlen);

/* Begins no new pass; drained is called (from the loop) when the last one is
 * over, at once if there is none. */
void mc_app_drain(mc_app_t *app, void (*drained)(mc_app_t *app));

/* Closes everything. The loop must run until its handles are closed; then
 * mc_app_free(). */
void mc_app_stop(mc_app_t *app);
void mc_app_free(mc_app_t *app);

/* Look at a server soon. */
void mc_app_enqueue(mc_app_t *app, const char *id, mc_priority_t prio);
void mc_app_enqueue_after(mc_app_t *app, const char *id, int64_t ms);
/* Look at the queue soon. */
void mc_app_kick(mc_app_t *app);

/* The record of a server, made when there is none yet. NULL: no memory, or
 * another tenant's. */
mc_record_t *mc_app_record(mc_app_t *app, const char *tenant, const char *id);
void mc_app_forget(mc_app_t *app, mc_record_t *rec);

/* -- strangers.c -- */

/* The engine has something of a server that has no record. */
void mc_strangers_note(mc_app_t *app, const char *id);
/* Everything is known now that can be: whoever is still one is reported. */
void mc_strangers_look(mc_app_t *app);
/* It has a record now: a restored dump, for example. */
void mc_strangers_known(mc_app_t *app, const char *id);
void mc_strangers_free(mc_app_t *app);

/* -- lifecycle.c: one pass over one server -- */

/* Reads, observes, plans, acts, and again until nothing is left to do now;
 * then the key is done. */
void mc_lifecycle_begin(mc_app_t *app, mc_record_t *rec);
/* Takes over a row of a page for a record that has none yet. */
void mc_lifecycle_adopt(mc_app_t *app, mc_record_t *rec, const PGresult *res,
    int i);
/* Frees the passes that the end of the process cut off. */
void mc_lifecycle_abandon(mc_app_t *app);

/* -- lifecycle_act.c -- */

/* Does one action; done comes once, from the loop. */
void mc_lifecycle_act(mc_app_t *app, mc_record_t *rec, const mc_plan_t *plan,
    mc_action_t action, mc_engine_done_pt done, void *data);
/* Frees the actions that the end of the process cut off. */
void mc_lifecycle_act_abandon(mc_app_t *app);

/* -- lifecycle_facts.c -- */

/* The pod is being made from the present spec; known false: nobody can tell
 * whether from this one or the one before. */
void mc_lifecycle_made(mc_record_t *rec, bool known);
/* What the running game goes by, of what hot.h is about; NULL: not known. */
const mc_json_t *mc_lifecycle_goes_by(const mc_record_t *rec);
/* It goes by the present spec now. */
void mc_lifecycle_told(mc_record_t *rec);
void mc_lifecycle_forget(mc_record_t *rec);
/* Whether an update window can be understood here; true without one. */
bool mc_lifecycle_window_good(mc_app_t *app, const mc_record_t *rec);
void mc_lifecycle_zones_free(mc_app_t *app);

/* -- talk.c -- */

/* Runs one command on the console of a running server: over RCON, or through
 * the engine where that cannot be reached. The callback comes once, from the
 * loop. NULL: no memory, or there is no console. */
mc_talk_t *mc_talk(mc_app_t *app, mc_record_t *rec, const char *command,
    uint64_t timeout_ms, mc_rcon_pt cb, void *data);
/* Gives up; the callback does not come any more. Not after the callback. */
void mc_talk_cancel(mc_talk_t *talk);
/* Whether there is a console to talk to. */
bool mc_talk_possible(const mc_app_t *app, const mc_record_t *rec);
/* The record is about to be freed. */
void mc_talk_forget(mc_app_t *app, const mc_record_t *rec);
/* Frees what the engine did not answer before it was destroyed. */
void mc_talk_abandon(mc_app_t *app);

/* -- probe.c: status pings -- */

/* Pings the running pod until mc_probe_stop(); keeps rec->facts up to date
 * and has the server looked at when they change. */
void mc_probe_start(mc_app_t *app, mc_record_t *rec);
/* Pings now; the server is looked at once the answer is there. */
void mc_probe_ask(mc_record_t *rec);
void mc_probe_stop(mc_record_t *rec);

/* -- records.c -- */

/* Stores an event of a server that has a row and tells it to the sockets, once
 * within some minutes. Dropped while the database is away or busy. */
void mc_records_event(mc_app_t *app, mc_record_t *rec, bool warning,
    const char *reason, const char *message);
/* Measures a server that has been ready, once a minute: to be called with every
 * ping. */
void mc_records_sample(mc_app_t *app, mc_record_t *rec);
/* Removes what is too old. */
void mc_records_prune(mc_app_t *app);
/* Frees the measurements that the end of the process cut off. */
void mc_records_abandon(mc_app_t *app);

/* -- console.c -- */

void mc_console_command(mc_app_t *app, const mc_bus_command_t *cmd);
/* Gives up the commands under way; whoever asked is told. */
void mc_console_abandon(mc_app_t *app);

/* -- logs.c -- */

/* Sees to it that the pod's output reaches the stream: to be called with
 * every observation. */
void mc_logs_follow(mc_app_t *app, mc_record_t *rec);
void mc_logs_stop(mc_record_t *rec);
/* Redis came or went. */
void mc_logs_bus(mc_app_t *app, bool up);
/* Calls done when the output of the pod that ended is in the stream, or after
 * a few seconds; false and no call: there is nothing to wait for. */
bool mc_logs_drain(mc_record_t *rec, void (*done)(void *data), void *data);

#endif
