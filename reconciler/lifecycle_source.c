/*
 * Where a record's server is written down: a row of the database, or a
 * MinecraftServer that is its own source.
 */

#include <stdlib.h>
#include <string.h>
#include "engine_kube.h"
#include "lifecycle_private.h"
#include "log.h"
#include "status.h"


/* What a stored status tells about the time before this process. */
static void
seed_facts(mc_record_t *rec)
{
    mc_state_t  state = mc_status_state(rec->row.status);

    rec->facts.players = -1;
    rec->facts.stopped = state == MC_STATE_STOPPING || state == MC_STATE_STOPPED
                         || state == MC_STATE_HIBERNATED
                         || state == MC_STATE_DELETING;
}


static void
adopt(mc_app_t *app, mc_record_t *rec, mc_arena_t *arena, const mc_row_t *row)
{
    char  ns[64];

    mc_arena_destroy(rec->arena);
    rec->arena = arena;
    rec->row = *row;
    if (app->kubernetes && !rec->resource) {
        mc_engine_kube_namespace(app->engine, rec->tenant, ns);
        rec->row.server.ns = mc_arena_strdup(arena, ns);
        if (rec->row.server.ns == NULL) {
            rec->row.server.ns = "";        /* in Kubernetes: no such server */
        }
    }
    if (!rec->loaded) {
        rec->loaded = true;
        seed_facts(rec);
    }
    if (rec->orphan) {
        rec->orphan = false;
        mc_metrics.orphans--;
    }
}


static int
adopt_row(mc_app_t *app, mc_record_t *rec, const PGresult *res, int i)
{
    mc_arena_t  *arena = mc_arena_create();
    mc_row_t     row;

    if (arena == NULL || mc_store_row(res, i, arena, &row) != 0) {
        mc_arena_destroy(arena);
        return -1;
    }
    adopt(app, rec, arena, &row);
    return 0;
}


/* A row that cannot be understood is complained of when its turn comes. */
void
mc_lifecycle_adopt(mc_app_t *app, mc_record_t *rec, const PGresult *res, int i)
{
    if (!rec->loaded && !rec->resource) {
        adopt_row(app, rec, res, i);
    }
}


static void
on_row(void *data, const PGresult *res, const char *error)
{
    mc_pass_t    *pass = data;
    mc_record_t  *rec = pass->rec;

    if (res == NULL) {
        mc_log(MC_LOG_DEBUG, "the server's row could not be read", "server",
               rec->id, "error", error, NULL);
        mc_lifecycle_loaded(pass, !rec->loaded || rec->orphan ? MC_SOURCE_FAILED
                                                              : MC_SOURCE_AWAY);

    } else if (PQntuples(res) == 0) {
        mc_lifecycle_loaded(pass, MC_SOURCE_GONE);

    } else if (adopt_row(pass->app, rec, res, 0) != 0) {
        mc_log(MC_LOG_ERROR, "the server's row cannot be understood", "server",
               rec->id, NULL);
        mc_lifecycle_loaded(pass, MC_SOURCE_FAILED);

    } else {
        mc_lifecycle_loaded(pass, MC_SOURCE_READ);
    }
}


static mc_source_t
read_resource(mc_pass_t *pass)
{
    mc_record_t  *rec = pass->rec;
    mc_arena_t   *arena = mc_arena_create();
    mc_row_t      row = { .finalized = false };
    int           found = -1;

    if (arena != NULL) {
        found = mc_engine_kube_resource(pass->app->engine, rec->id, arena,
                                        &row.server, &row.status,
                                        &row.observed_generation);
    }
    if (found != 1) {
        mc_arena_destroy(arena);
        return found == 0 ? MC_SOURCE_GONE : MC_SOURCE_FAILED;
    }
    adopt(pass->app, rec, arena, &row);
    return MC_SOURCE_READ;
}


void
mc_lifecycle_read(mc_pass_t *pass)
{
    mc_record_t  *rec = pass->rec;
    const char   *params[] = { rec->tenant, rec->id };

    if (rec->resource) {
        mc_lifecycle_loaded(pass, read_resource(pass));

    } else if (mc_store_query(pass->app->store, MC_SQL_RECONCILER_SERVER, params,
                              on_row, pass) != 0)
    {
        on_row(pass, NULL, "the database is away");
    }
}
