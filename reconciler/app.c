/*
 * The daemon's parts put together: who is told what, and when a server is
 * looked at.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "app.h"
#include "clock.h"
#include "engine_kube.h"
#include "engine_podman.h"
#include "log.h"

#define SERVERS_MAX     100000
#define PAGE            "500"
#define DIRTY           "1000"
#define WATCH_MS        1000
#define PATIENCE_TICKS  15          /* of watch: then Kubernetes is looked at
                                     * without the rows */
#define BACKOFF_MS      200
#define BACKOFF_MAX_MS  60000
#define ID_ZERO         "00000000-0000-0000-0000-000000000000"


/* -- records -- */

mc_record_t *
mc_app_record(mc_app_t *app, const char *tenant, const char *id)
{
    mc_record_t  *rec = mc_map_get(app->records, id);

    if (rec != NULL) {
        return strcmp(rec->tenant, tenant) == 0 ? rec : NULL;
    }
    if (mc_map_size(app->records) >= SERVERS_MAX) {
        mc_log(MC_LOG_ERROR, "too many servers for one reconciler", "server", id,
               NULL);
        return NULL;
    }

    rec = calloc(1, sizeof(*rec));
    if (rec == NULL) {
        return NULL;
    }
    memcpy(rec->id, id, MC_UUID_LEN);
    memcpy(rec->tenant, tenant, MC_UUID_LEN);
    if (mc_map_put(app->records, rec->id, rec) != 0) {
        free(rec);
        return NULL;
    }
    mc_metrics.servers++;
    mc_strangers_known(app, id);
    return rec;
}


static void
record_free(mc_app_t *app, mc_record_t *rec)
{
    mc_probe_stop(rec);
    mc_logs_stop(rec);
    mc_talk_forget(app, rec);
    mc_lifecycle_forget(rec);
    mc_metrics.servers--;
    if (rec->ready) {
        mc_metrics.servers_ready--;
    }
    if (rec->orphan) {
        mc_metrics.orphans--;
    }
    mc_arena_destroy(rec->arena);
    free(rec);
}


void
mc_app_forget(mc_app_t *app, mc_record_t *rec)
{
    mc_map_remove(app->records, rec->id);
    record_free(app, rec);
}


/* -- the queue -- */

/* A record may be forgotten while its resource comes again. */
static mc_record_t *
revive(mc_app_t *app, const char *id)
{
    mc_arena_t   *arena = app->kubernetes ? mc_arena_create() : NULL;
    mc_record_t  *rec = NULL;
    mc_server_t   s;
    mc_json_t    *status;
    int64_t       generation;

    if (arena != NULL
        && mc_engine_kube_resource(app->engine, id, arena, &s, &status,
                                   &generation) == 1
        && (rec = mc_app_record(app, s.tenant_id, id)) != NULL)
    {
        rec->resource = true;
    }
    mc_arena_destroy(arena);
    return rec;
}


/* While the engine is still reading what there is, nothing can be said of any
 * server: on_listed() goes on. An engine that is away is told of, though. */
static bool
too_early(const mc_app_t *app)
{
    return app->kubernetes && !app->listed && app->engine_up;
}


static void
on_dispatch(uv_timer_t *timer)
{
    mc_app_t     *app = timer->data;
    const char   *key;
    mc_record_t  *rec;
    int64_t       wait;

    if (too_early(app)) {
        return;
    }
    while (!app->stopping
           && (key = mc_workqueue_get(app->queue, mc_clock_mono_ms())) != NULL)
    {
        rec = mc_map_get(app->records, key);
        if (rec == NULL) {
            rec = revive(app, key);
        }
        if (rec != NULL) {
            mc_lifecycle_begin(app, rec);
        } else {
            mc_workqueue_forget(app->queue, key);
            mc_workqueue_done(app->queue, key, mc_clock_mono_ms());
        }
    }

    wait = mc_workqueue_timeout(app->queue, mc_clock_mono_ms());
    if (wait >= 0 && !app->stopping) {
        uv_timer_start(timer, on_dispatch, (uint64_t) wait, 0);
    }
}


void
mc_app_kick(mc_app_t *app)
{
    if (!app->stopping) {
        uv_timer_start(&app->dispatch, on_dispatch, 0, 0);
    }
}


void
mc_app_enqueue(mc_app_t *app, const char *id, mc_priority_t prio)
{
    if (mc_workqueue_add(app->queue, id, prio, mc_clock_mono_ms()) != 0) {
        mc_log(MC_LOG_WARN, "the workqueue is full", "server", id, NULL);
    }
    mc_app_kick(app);
}


void
mc_app_enqueue_after(mc_app_t *app, const char *id, int64_t ms)
{
    mc_workqueue_add_after(app->queue, id, ms, mc_clock_mono_ms());
    mc_app_kick(app);
}


static void
enqueue_record(void *value, void *data)
{
    mc_app_enqueue(data, ((mc_record_t *) value)->id, MC_WORKQUEUE_LOW);
}


static void
enqueue_all(mc_app_t *app)
{
    mc_map_each(app->records, enqueue_record, app);
}


/* -- rows -- */

/* Columns 0 and 1 of every row that the reconciler reads. */
static void
enqueue_row(mc_app_t *app, const PGresult *res, int i, mc_priority_t prio)
{
    const char   *tenant = PQgetvalue(res, i, 0), *id = PQgetvalue(res, i, 1);
    mc_record_t  *rec;

    if (!mc_uuid_valid(tenant, strlen(tenant)) || !mc_uuid_valid(id, strlen(id))) {
        return;
    }
    rec = mc_app_record(app, tenant, id);
    if (rec != NULL && !rec->resource) {
        mc_lifecycle_adopt(app, rec, res, i);
        mc_app_enqueue(app, rec->id, prio);
    } else {
        mc_log(MC_LOG_ERROR, "the server cannot be looked after: its id belongs "
               "to another one", "server", id, "tenant", tenant, NULL);
    }
}


/* Now the engine may tell what is missing, and what is too much. */
static void
start_engine(mc_app_t *app)
{
    if (app->kubernetes && !app->engine_started) {
        app->engine_started = true;
        mc_engine_kube_start(app->engine);
    }
}


static void
rows_known(mc_app_t *app)
{
    app->synced = true;
    mc_log(MC_LOG_INFO, "all servers are known", "servers",
           MC_LOG_NUM(mc_map_size(app->records)), NULL);
    start_engine(app);
    mc_strangers_look(app);
}


static void page_next(mc_app_t *app);

static void
on_page(void *data, const PGresult *res, const char *error)
{
    mc_app_t  *app = data;
    int        n;

    app->paging = false;
    if (app->stopping) {
        return;
    }
    if (res == NULL) {
        mc_log(MC_LOG_WARN, "the servers could not be read", "error", error, NULL);
        return;                     /* at the next resync, or connection */
    }

    n = PQntuples(res);
    for (int i = 0; i < n; i++) {
        enqueue_row(app, res, i, MC_WORKQUEUE_LOW);
    }
    if (n < atoi(PAGE)) {
        if (!app->synced) {
            rows_known(app);
        }
        return;
    }

    memcpy(app->page_tenant, PQgetvalue(res, n - 1, 0), MC_UUID_LEN);
    memcpy(app->page_id, PQgetvalue(res, n - 1, 1), MC_UUID_LEN);
    page_next(app);
}


static void
page_next(mc_app_t *app)
{
    const char  *params[] = { app->page_tenant, app->page_id, PAGE };

    app->paging = mc_store_query(app->store, MC_SQL_RECONCILER_PAGE, params,
                                 on_page, app) == 0;
}


/* Looks at every server: those of the database, and those that were. */
static void
resync(mc_app_t *app)
{
    if (app->paging || app->stopping) {
        return;
    }
    strcpy(app->page_tenant, ID_ZERO);
    strcpy(app->page_id, ID_ZERO);
    page_next(app);
    enqueue_all(app);
}


static void
on_resync(uv_timer_t *timer)
{
    resync(timer->data);
    mc_records_prune(timer->data);
}


static void
on_dirty(void *data, const PGresult *res, const char *error)
{
    mc_app_t  *app = data;

    app->polling = false;
    if (res == NULL) {
        mc_log(MC_LOG_WARN, "the changed servers could not be read", "error",
               error, NULL);
        return;
    }
    for (int i = 0; i < PQntuples(res); i++) {
        enqueue_row(app, res, i, MC_WORKQUEUE_NORMAL);
    }
}


static void
poll_now(mc_app_t *app)
{
    const char  *params[] = { DIRTY };

    if (app->polling || app->stopping) {
        return;
    }
    app->polling = mc_store_query(app->store, MC_SQL_RECONCILER_DIRTY, params,
                                  on_dirty, app) == 0;
}


static void
on_poll(uv_timer_t *timer)
{
    poll_now(timer->data);
}


/* What happened while the database was away is found by looking at all. */
static void
store_changed(void *data, bool up)
{
    mc_app_t  *app = data;

    if (up) {
        resync(app);
    } else {
        app->paging = false;
        app->polling = false;
    }
}


/* -- hints -- */

static void
on_wake(void *data, const char *tenant, const char *server)
{
    mc_app_t     *app = data;
    mc_record_t  *rec = mc_app_record(app, tenant, server);

    if (rec != NULL) {
        mc_app_enqueue(app, rec->id, MC_WORKQUEUE_NORMAL);
    }
}


static void
on_command(void *data, const mc_bus_command_t *cmd)
{
    mc_console_command(data, cmd);
}


static void
bus_changed(void *data, bool up)
{
    mc_app_t  *app = data;

    mc_metrics.redis_up = up;
    if (app->stopping) {
        return;
    }
    mc_logs_bus(app, up);
    if (up) {
        poll_now(app);              /* hints may have been lost */
    }
}


static void
on_hint(void *data, const char *server_id)
{
    mc_app_t     *app = data;
    mc_record_t  *rec;

    if (app->stopping) {
        return;
    }
    if (server_id == NULL) {
        enqueue_all(app);
        return;
    }
    rec = mc_map_get(app->records, server_id);
    if (rec == NULL) {
        mc_strangers_note(app, server_id);
        return;
    }
    mc_app_enqueue(app, rec->id, MC_WORKQUEUE_NORMAL);
}


/* A MinecraftServer that is its own source came, changed, or went. */
static void
on_resource(void *data, const char *tenant, const char *server_id)
{
    mc_app_t     *app = data;
    mc_record_t  *rec = mc_map_get(app->records, server_id);

    if (app->stopping) {
        return;
    }
    if (rec == NULL) {
        rec = mc_app_record(app, tenant, server_id);
        if (rec == NULL) {
            return;                 /* the next compare of all tells it again */
        }
        rec->resource = true;

    } else if (!rec->resource) {
        mc_log(MC_LOG_ERROR, "a MinecraftServer has the id of a server in the "
               "database; it is left alone", "server", server_id, NULL);
        return;
    }
    memcpy(rec->tenant, tenant, MC_UUID_LEN);   /* the namespace's may change */
    mc_app_enqueue(app, rec->id, MC_WORKQUEUE_NORMAL);
}


static void
on_listed(void *data)
{
    mc_app_t  *app = data;

    app->listed = true;
    if (!app->stopping) {
        enqueue_all(app);
        mc_strangers_look(app);
    }
}


static const mc_server_t *
on_wanted(void *data, const char *server_id)
{
    mc_app_t           *app = data;
    const mc_record_t  *rec = mc_map_get(app->records, server_id);

    return rec != NULL && rec->loaded && !rec->orphan ? &rec->row.server : NULL;
}


/* Whether the engine answers: every server's status says so within seconds. */
static void
on_watch(uv_timer_t *timer)
{
    mc_app_t  *app = timer->data;
    bool       up = app->engine->ops->ready(app->engine);

    if (!app->engine_started && ++app->ticks == PATIENCE_TICKS) {
        start_engine(app);
    }
    mc_metrics.engine_up = up;
    if (up == app->engine_up) {
        return;
    }
    app->engine_up = up;
    mc_log(up ? MC_LOG_INFO : MC_LOG_WARN,
           up ? "the engine answers" : "the engine does not answer", "engine",
           app->engine->ops->name, NULL);
    enqueue_all(app);
}


/* -- life -- */

static void
start_timer(mc_app_t *app, uv_timer_t *timer, uv_timer_cb cb, int64_t ms)
{
    uv_timer_init(app->loop, timer);
    timer->data = app;
    if (cb != NULL) {
        uv_timer_start(timer, cb, (uint64_t) ms, (uint64_t) ms);
    }
}


static mc_workqueue_t *
create_queue(const mc_config_t *conf)
{
    mc_workqueue_conf_t  queue = {
        .workers = (unsigned) conf->workers, .max_keys = 2 * SERVERS_MAX,
        .backoff_ms = BACKOFF_MS, .backoff_max_ms = BACKOFF_MAX_MS,
        .metrics = &mc_metrics.queue
    };

    mc_metrics.max_workers = queue.workers;
    return mc_workqueue_create(&queue);
}


static mc_engine_t *
create_podman(mc_app_t *app, const mc_config_t *conf, char *err, size_t errlen)
{
    mc_podman_conf_t  podman = {
        .socket = conf->podman_socket, .demo_image = conf->demo_image,
        .game_address = conf->game_address,
        .port_first = (uint16_t) conf->game_port_first,
        .port_last = (uint16_t) conf->game_port_last,
        .network = conf->podman_network
    };

    snprintf(err, errlen, "out of memory");
    return mc_engine_podman_create(app->loop, &podman, on_hint, app);
}


static mc_engine_t *
create_kubernetes(mc_app_t *app, const mc_config_t *conf, char *err,
    size_t errlen)
{
    mc_kube_engine_handlers_t  handlers = {
        .hint = on_hint, .resource = on_resource, .synced = on_listed,
        .wanted = on_wanted, .data = app
    };
    mc_kube_engine_conf_t      kube = {
        .client = {
            .kubeconfig = conf->kubeconfig, .context = conf->kube_context,
            .qps = (unsigned) conf->kube_qps, .burst = (unsigned) conf->kube_burst
        },
        .ns = conf->kube_namespace, .ns_prefix = conf->kube_namespace_prefix,
        .demo_image = conf->demo_image, .instance = app->instance
    };
    char                       host[48] = "";

    gethostname(host, sizeof(host) - 1);
    snprintf(app->instance, sizeof(app->instance), "%s-%ld", host,
             (long) getpid());
    return mc_engine_kube_create(app->loop, &kube, &handlers, err, errlen);
}


static mc_bus_t *
create_bus(mc_app_t *app, const mc_config_t *conf)
{
    static const mc_bus_handlers_t  handlers = { on_wake, on_command, bus_changed };
    mc_bus_conf_t                   bus = {
        .url = conf->redis_url, .user = conf->redis_user,
        .password = conf->redis_password, .prefix = conf->redis_prefix,
        .log_lines = conf->log_lines
    };

    return mc_bus_create(app->loop, &bus, &handlers, app);
}


/* Engine, database and Redis; the last two as far as they are wanted. */
static int
open_all(mc_app_t *app, const mc_config_t *conf, char *err, size_t errlen)
{
    app->engine = app->kubernetes ? create_kubernetes(app, conf, err, errlen)
                                  : create_podman(app, conf, err, errlen);
    if (app->engine == NULL) {
        return -1;
    }
    if (conf->database_url[0] != '\0') {
        app->store = mc_store_create(app->loop, conf->database_url, store_changed,
                                     app);
        if (app->store == NULL) {
            snprintf(err, errlen, "out of memory");
            return -1;
        }
    }
    if (conf->redis_url[0] != '\0') {
        app->bus = create_bus(app, conf);
        if (app->bus == NULL) {
            snprintf(err, errlen, "redis_url or redis_prefix cannot be used");
            return -1;
        }
    }
    return 0;
}


int
mc_app_start(mc_app_t *app, uv_loop_t *loop, const mc_config_t *conf, char *err,
    size_t errlen)
{
    memset(app, 0, sizeof(*app));
    app->loop = loop;
    app->conf = conf;
    start_timer(app, &app->dispatch, NULL, 0);
    start_timer(app, &app->poll, on_poll, conf->poll_ms);
    start_timer(app, &app->resync, on_resync, conf->resync_ms);
    start_timer(app, &app->watch, NULL, 0);

    app->kubernetes = mc_config_on_kubernetes(conf);
    app->records = mc_map_create();
    app->strangers = mc_map_create();
    app->zones = mc_map_create();
    app->queue = create_queue(conf);
    snprintf(err, errlen, "out of memory");
    if (app->records == NULL || app->strangers == NULL || app->zones == NULL
        || app->queue == NULL || open_all(app, conf, err, errlen) != 0)
    {
        return -1;
    }

    app->engine_up = true;
    mc_metrics.engine_up = 1;
    uv_timer_start(&app->watch, on_watch, WATCH_MS, WATCH_MS);
    if (app->store == NULL) {
        rows_known(app);                /* there are none */
    }
    return 0;
}


void
mc_app_drain(mc_app_t *app, void (*drained)(mc_app_t *app))
{
    app->stopping = true;
    app->drained = drained;
    uv_timer_stop(&app->dispatch);
    uv_timer_stop(&app->poll);
    uv_timer_stop(&app->resync);
    if (app->passes == NULL) {
        drained(app);
    }
}


static void
stop_record(void *value, void *data)
{
    (void) data;
    mc_probe_stop(value);
    mc_logs_stop(value);
}


void
mc_app_stop(mc_app_t *app)
{
    app->stopping = true;
    app->drained = NULL;
    if (app->records != NULL) {
        mc_map_each(app->records, stop_record, NULL);
    }
    mc_console_abandon(app);
    mc_lifecycle_act_abandon(app);
    mc_store_destroy(app->store);
    mc_bus_destroy(app->bus);
    if (app->engine != NULL) {
        app->engine->ops->destroy(app->engine);
    }
    mc_talk_abandon(app);
    mc_records_abandon(app);
    mc_lifecycle_abandon(app);

    uv_close((uv_handle_t *) &app->dispatch, NULL);
    uv_close((uv_handle_t *) &app->poll, NULL);
    uv_close((uv_handle_t *) &app->resync, NULL);
    uv_close((uv_handle_t *) &app->watch, NULL);
}


static void
free_record(void *value, void *data)
{
    record_free(data, value);
}


void
mc_app_free(mc_app_t *app)
{
    if (app->records != NULL) {
        mc_map_each(app->records, free_record, app);
        mc_map_destroy(app->records);
    }
    mc_strangers_free(app);
    mc_lifecycle_zones_free(app);
    mc_workqueue_destroy(app->queue);
}
