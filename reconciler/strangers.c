/*
 * What the engine has of servers that nobody wants: no row, and no resource
 * that is its own source. It is reported once and left as it is.
 */

#include <stdlib.h>
#include <string.h>
#include "app.h"
#include "log.h"

#define STRANGERS_MAX  100000

/* The id of a pod that no record belongs to. */
typedef struct {
    mc_app_t  *app;
    bool       looking;
    bool       reported;
    char       id[MC_UUID_LEN + 1];
} stranger_t;


static void
stranger_forget(stranger_t *s)
{
    mc_metrics.orphans -= s->reported;
    mc_map_remove(s->app->strangers, s->id);
    free(s);
}


static void
on_stranger(void *data, const mc_observed_t *obs, const mc_engine_error_t *err)
{
    stranger_t  *s = data;

    s->looking = false;
    if (err != NULL || (obs->pod == MC_POD_ABSENT && !obs->resource)
        || mc_map_get(s->app->records, s->id) != NULL)
    {
        stranger_forget(s);         /* the last of a deleted one, for example */
        return;
    }
    if (!s->reported) {
        s->reported = true;
        mc_metrics.orphans++;
        mc_log(MC_LOG_WARN, "the engine has something of a server that "
               "mchost does not know; it is left as it is", "server", s->id, NULL);
    }
}


/* Only when every row is known it is certain that there is none. */
static void
look_at_stranger(void *value, void *data)
{
    stranger_t   *s = value;
    mc_app_t     *app = data;
    char          no_name[] = "";
    mc_server_t   server = { .name = no_name, .ns = "", .uid = "" };

    if (s->looking || !app->synced || (app->kubernetes && !app->listed)) {
        return;
    }
    if (mc_map_get(app->records, s->id) != NULL) {
        stranger_forget(s);
        return;
    }
    s->looking = true;
    strcpy(server.id, s->id);
    app->engine->ops->observe(app->engine, &server, on_stranger, s);
}


void
mc_strangers_note(mc_app_t *app, const char *id)
{
    stranger_t  *s = mc_map_get(app->strangers, id);

    if (s == NULL) {
        if (strlen(id) != MC_UUID_LEN
            || mc_map_size(app->strangers) >= STRANGERS_MAX
            || (s = calloc(1, sizeof(*s))) == NULL)
        {
            return;
        }
        s->app = app;
        strcpy(s->id, id);
        if (mc_map_put(app->strangers, s->id, s) != 0) {
            free(s);
            return;
        }
    }
    look_at_stranger(s, app);
}


void
mc_strangers_known(mc_app_t *app, const char *id)
{
    stranger_t  *s = mc_map_get(app->strangers, id);

    if (s != NULL && !s->looking) {
        stranger_forget(s);
    }
}


void
mc_strangers_look(mc_app_t *app)
{
    mc_map_each(app->strangers, look_at_stranger, app);
}


static void
free_stranger(void *value, void *data)
{
    (void) data;
    free(value);
}


void
mc_strangers_free(mc_app_t *app)
{
    if (app->strangers != NULL) {
        mc_map_each(app->strangers, free_stranger, NULL);
        mc_map_destroy(app->strangers);
    }
}
