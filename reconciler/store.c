/*
 * One pipelined connection to PostgreSQL.
 *
 * Connecting resolves names, does TLS and SCRAM; libpq has no way to do the
 * first without blocking, so all of it happens on a thread of libuv's pool.
 * From then on the connection belongs to the loop.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "log.h"
#include "metrics.h"
#include "store.h"

#define QUEUE_MAX      1024         /* segments waiting */
#define IN_FLIGHT_MAX  32
#define TIMEOUT_MS     15000        /* the oldest segment's patience */
#define RETRY_MIN_MS   200
#define RETRY_MAX_MS   5000

typedef struct segment_s  segment_t;

/* A statement on its way: [Parse] Bind Execute Sync. */
struct segment_s {
    segment_t         *next;
    int                id;
    char             **params;
    mc_store_done_pt   cb;
    void              *data;
    int                steps_left;      /* queries without their end */
    int64_t            sent_at;
    PGresult          *res;             /* of the statement, or the error */
};

typedef struct { segment_t *first, **last; unsigned n; } fifo_t;

struct mc_store_s {
    uv_loop_t           *loop;
    char                *conninfo;
    mc_store_change_pt   change;
    void                *data;

    PGconn              *conn;          /* NULL: not connected */
    uv_poll_t           *poll;
    int                  events;
    bool                 prepared[MC_SQL_MAX];
    fifo_t               waiting, in_flight;

    uv_work_t            connecting;
    bool                 busy;          /* connecting is under way */
    PGconn              *connected;     /* its result */
    uv_timer_t           timer;         /* retry, or the watch over in_flight */
    int64_t              retry_ms;
    bool                 closing;
    bool                 reported;      /* the present failure is logged */
};

static void connect_begin(mc_store_t *store);


/* -- segments -- */

static void
fifo_init(fifo_t *f)
{
    f->first = NULL;
    f->last = &f->first;
    f->n = 0;
}


static void
fifo_push(fifo_t *f, segment_t *seg)
{
    seg->next = NULL;
    *f->last = seg;
    f->last = &seg->next;
    f->n++;
}


static segment_t *
fifo_pop(fifo_t *f)
{
    segment_t  *seg = f->first;

    if (seg == NULL) {
        return NULL;
    }
    f->first = seg->next;
    if (f->first == NULL) {
        f->last = &f->first;
    }
    f->n--;
    return seg;
}


static void
segment_free(segment_t *seg)
{
    PQclear(seg->res);
    free(seg);
}


/* One allocation: the segment, the vector of parameters, their text. */
static segment_t *
segment_create(int id, const char *const *params)
{
    int         n = mc_sql[id].nparams;
    size_t      size = sizeof(segment_t) + (size_t) n * sizeof(char *);
    segment_t  *seg;
    char       *text;

    for (int i = 0; i < n; i++) {
        size += params[i] == NULL ? 0 : strlen(params[i]) + 1;
    }
    seg = calloc(1, size);
    if (seg == NULL) {
        return NULL;
    }
    seg->id = id;
    seg->params = (char **) (seg + 1);
    text = (char *) (seg->params + n);

    for (int i = 0; i < n; i++) {
        if (params[i] != NULL) {
            seg->params[i] = text;
            text = stpcpy(text, params[i]) + 1;
        }
    }
    return seg;
}


static void
segment_finish(segment_t *seg)
{
    ExecStatusType  status = PQresultStatus(seg->res);

    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        seg->cb(seg->data, seg->res, "");
    } else {
        seg->cb(seg->data, NULL, seg->res == NULL ? "the statement has no result"
                                                  : PQresultErrorMessage(seg->res));
    }
    segment_free(seg);
}


/* Fails everything; new segments that callbacks bring are refused, because
 * conn is NULL by now. */
static void
fail_all(mc_store_t *store, const char *why)
{
    segment_t  *seg;

    while ((seg = fifo_pop(&store->in_flight)) != NULL
           || (seg = fifo_pop(&store->waiting)) != NULL)
    {
        seg->cb(seg->data, NULL, why);
        segment_free(seg);
    }
}


/* -- the connection -- */

static void
free_handle(uv_handle_t *handle)
{
    free(handle);
}


static void
disconnect(mc_store_t *store)
{
    if (store->poll != NULL) {
        uv_close((uv_handle_t *) store->poll, free_handle);
        store->poll = NULL;
    }
    PQfinish(store->conn);
    store->conn = NULL;
    store->events = 0;
    memset(store->prepared, 0, sizeof(store->prepared));
}


static void
on_retry(uv_timer_t *timer)
{
    connect_begin(timer->data);
}


static void
retry_later(mc_store_t *store)
{
    int64_t  jitter = store->retry_ms / 4;

    uv_timer_start(&store->timer, on_retry,
                   (uint64_t) (store->retry_ms + random() % (jitter + 1)), 0);
    store->retry_ms *= 2;
    if (store->retry_ms > RETRY_MAX_MS) {
        store->retry_ms = RETRY_MAX_MS;
    }
}


static void
lost(mc_store_t *store, const char *why)
{
    mc_log(MC_LOG_WARN, "the database connection was lost", "error", why, NULL);
    disconnect(store);
    mc_metrics.database_up = 0;
    store->reported = true;
    retry_later(store);
    store->change(store->data, false);
    fail_all(store, "the database connection was lost");
}


static void on_poll(uv_poll_t *poll, int status, int events);

static void
want(mc_store_t *store, int events)
{
    if (store->events != events) {
        store->events = events;
        uv_poll_start(store->poll, events, on_poll);
    }
}


/* Puts a segment into libpq's buffer. */
static int
segment_send(mc_store_t *store, segment_t *seg)
{
    const mc_sql_t  *sql = &mc_sql[seg->id];

    seg->steps_left = 1;
    if (!store->prepared[seg->id]) {
        if (PQsendPrepare(store->conn, sql->name, sql->text, sql->nparams, NULL)
            != 1)
        {
            return -1;
        }
        store->prepared[seg->id] = true;
        seg->steps_left = 2;
    }

    seg->sent_at = mc_clock_mono_ms();
    return PQsendQueryPrepared(store->conn, sql->name, sql->nparams,
                               (const char *const *) seg->params, NULL, NULL, 0)
               == 1
           && PQpipelineSync(store->conn) == 1 ? 0 : -1;
}


/* Sends what may be sent. -1: the connection is unusable. */
static int
send_waiting(mc_store_t *store)
{
    segment_t  *seg;
    int         rc;

    while (store->in_flight.n < IN_FLIGHT_MAX
           && (seg = fifo_pop(&store->waiting)) != NULL)
    {
        fifo_push(&store->in_flight, seg);
        if (segment_send(store, seg) != 0) {
            return -1;
        }
    }

    rc = PQflush(store->conn);
    if (rc < 0) {
        return -1;
    }
    want(store, rc == 1 ? UV_READABLE | UV_WRITABLE : UV_READABLE);
    return 0;
}


/* Statements that the server forgot, or whose result changed its shape: a new
 * connection prepares them anew. Also when the server goes away. */
static bool
spoils_connection(const PGresult *res)
{
    const char  *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);

    return state != NULL && (strcmp(state, "26000") == 0
                             || strcmp(state, "0A000") == 0
                             || strncmp(state, "57P", 3) == 0);
}


/* Takes one result. -1: the connection is to be given up. */
static int
take_result(mc_store_t *store, PGresult *res)
{
    segment_t       *seg = store->in_flight.first;
    ExecStatusType   status = PQresultStatus(res);
    bool             spoilt;

    if (res == NULL) {
        seg->steps_left--;
        return 0;
    }

    if (status == PGRES_PIPELINE_SYNC) {
        PQclear(res);
        fifo_pop(&store->in_flight);
        spoilt = seg->res != NULL && spoils_connection(seg->res);
        segment_finish(seg);
        return spoilt ? -1 : 0;
    }

    if (status == PGRES_FATAL_ERROR && seg->steps_left == 2) {
        store->prepared[seg->id] = false;
    }

    /* The first error stays; an answer to Parse, or the "aborted" of what
     * stood behind the error, is of no interest. An error at the commit
     * replaces the rows that came before it. */
    if (status == PGRES_PIPELINE_ABORTED
        || (status == PGRES_COMMAND_OK && seg->steps_left == 2)
        || (seg->res != NULL && PQresultStatus(seg->res) == PGRES_FATAL_ERROR))
    {
        PQclear(res);
        return 0;
    }
    PQclear(seg->res);
    seg->res = res;
    return 0;
}


/* Reads what has come. With TLS, bytes may wait in OpenSSL while the socket
 * is quiet: a few more rounds take them out. */
static int
read_results(mc_store_t *store)
{
    int  rounds = PQsslInUse(store->conn) ? 4 : 1;

    while (rounds-- > 0) {
        if (PQconsumeInput(store->conn) != 1) {
            return -1;
        }
        while (store->conn != NULL && store->in_flight.n > 0
               && !PQisBusy(store->conn))
        {
            if (take_result(store, PQgetResult(store->conn)) != 0) {
                return -1;
            }
        }
        if (store->conn == NULL) {
            return 0;           /* a callback closed the store */
        }
    }
    return PQstatus(store->conn) == CONNECTION_OK ? 0 : -1;
}


static void
on_poll(uv_poll_t *poll, int status, int events)
{
    mc_store_t  *store = poll->data;

    (void) events;

    if (status != 0 || read_results(store) != 0) {
        lost(store, status != 0 ? uv_strerror(status)
                                : PQerrorMessage(store->conn));
        return;
    }
    if (store->conn != NULL && send_waiting(store) != 0) {
        lost(store, PQerrorMessage(store->conn));
    }
}


/* A connection that went silent never tells. */
static void
on_watch(uv_timer_t *timer)
{
    mc_store_t  *store = timer->data;

    if (store->in_flight.n > 0
        && mc_clock_mono_ms() - store->in_flight.first->sent_at > TIMEOUT_MS)
    {
        lost(store, "no answer in time");
    }
}


/* -- connecting -- */

static void
connect_work(uv_work_t *work)
{
    mc_store_t         *store = work->data;
    static const char  *names[] = {
        "connect_timeout", "keepalives_idle", "keepalives_interval",
        "keepalives_count", "fallback_application_name", "gssencmode", "dbname",
        NULL
    };
    const char         *values[] = {
        "5", "15", "5", "3", "mchost-reconciler", "disable", store->conninfo,
        NULL
    };

    /* What the conninfo says itself comes later and wins. */
    store->connected = PQconnectdbParams(names, values, 1);
}


static int
adopt(mc_store_t *store, PGconn *conn)
{
    if (PQstatus(conn) != CONNECTION_OK || PQsetnonblocking(conn, 1) != 0
        || PQenterPipelineMode(conn) != 1)
    {
        return -1;
    }
    store->poll = calloc(1, sizeof(*store->poll));
    if (store->poll == NULL
        || uv_poll_init(store->loop, store->poll, PQsocket(conn)) != 0)
    {
        free(store->poll);
        store->poll = NULL;
        return -1;
    }

    store->poll->data = store;
    store->conn = conn;
    want(store, UV_READABLE);
    return 0;
}


static void
closed(uv_handle_t *handle)
{
    mc_store_t  *store = handle->data;

    explicit_bzero(store->conninfo, strlen(store->conninfo));
    free(store->conninfo);
    free(store);
}


static void
ignore_notice(void *data, const PGresult *res)
{
    (void) data;
    (void) res;
}


static void
connect_done(uv_work_t *work, int status)
{
    mc_store_t  *store = work->data;
    PGconn      *conn = store->connected;

    store->busy = false;
    store->connected = NULL;

    if (store->closing) {
        PQfinish(conn);
        uv_close((uv_handle_t *) &store->timer, closed);
        return;
    }

    if (status != 0 || adopt(store, conn) != 0) {
        mc_log(store->reported ? MC_LOG_DEBUG : MC_LOG_WARN,
               "the database is not reachable", "error",
               status != 0 ? uv_strerror(status) : PQerrorMessage(conn), NULL);
        store->reported = true;
        PQfinish(conn);
        retry_later(store);
        return;
    }

    PQsetNoticeReceiver(conn, ignore_notice, NULL);
    store->retry_ms = RETRY_MIN_MS;
    store->reported = false;
    mc_metrics.database_up = 1;
    mc_log(MC_LOG_INFO, "connected to the database", NULL);
    uv_timer_start(&store->timer, on_watch, 1000, 1000);
    store->change(store->data, true);
}


static void
connect_begin(mc_store_t *store)
{
    store->busy = true;
    store->connecting.data = store;
    if (uv_queue_work(store->loop, &store->connecting, connect_work,
                      connect_done) != 0)
    {
        store->busy = false;
        retry_later(store);
    }
}


/* -- interface -- */

mc_store_t *
mc_store_create(uv_loop_t *loop, const char *conninfo, mc_store_change_pt change,
    void *data)
{
    mc_store_t  *store = calloc(1, sizeof(*store));

    if (store == NULL) {
        return NULL;
    }
    store->conninfo = strdup(conninfo);
    if (store->conninfo == NULL) {
        free(store);
        return NULL;
    }

    store->loop = loop;
    store->change = change;
    store->data = data;
    store->retry_ms = RETRY_MIN_MS;
    fifo_init(&store->waiting);
    fifo_init(&store->in_flight);
    uv_timer_init(loop, &store->timer);
    store->timer.data = store;
    connect_begin(store);
    return store;
}


void
mc_store_destroy(mc_store_t *store)
{
    segment_t  *seg;

    if (store == NULL) {
        return;
    }
    store->closing = true;
    disconnect(store);
    while ((seg = fifo_pop(&store->in_flight)) != NULL
           || (seg = fifo_pop(&store->waiting)) != NULL)
    {
        segment_free(seg);
    }
    if (!store->busy) {
        uv_close((uv_handle_t *) &store->timer, closed);
    }
}


bool
mc_store_up(const mc_store_t *store)
{
    return store != NULL && store->conn != NULL;
}


int
mc_store_query(mc_store_t *store, int id, const char *const *params,
    mc_store_done_pt cb, void *data)
{
    segment_t  *seg;

    if (!mc_store_up(store) || store->waiting.n >= QUEUE_MAX) {
        return -1;
    }
    seg = segment_create(id, params);
    if (seg == NULL) {
        return -1;
    }
    seg->cb = cb;
    seg->data = data;
    fifo_push(&store->waiting, seg);

    /* The loop finds the socket writable and sends the whole burst. */
    want(store, UV_READABLE | UV_WRITABLE);
    return 0;
}


unsigned
mc_store_pending(const mc_store_t *store)
{
    return store->waiting.n + store->in_flight.n;
}
