/*
 * The PostgreSQL pool of one worker: pipelined libpq connections in nginx's
 * event loop, and a bounded queue before them.
 *
 * The unit of work is a segment: the statements of one request, sent in one
 * write and ended by one Sync. On PostgreSQL a segment is an implicit
 * transaction. A reply is known only at the segment's Sync; then, and once,
 * the handler is called.
 */

#ifndef NGX_MCHOST_PG_H
#define NGX_MCHOST_PG_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <libpq-fe.h>
#include "mc_sql.h"

#define NGX_MCHOST_PG_STATEMENTS  8     /* at most, in one segment */
#define NGX_MCHOST_PG_PARAMS      12    /* at most, of one statement */

typedef struct ngx_mchost_pg_pool_s     ngx_mchost_pg_pool_t;
typedef struct ngx_mchost_pg_segment_s  ngx_mchost_pg_segment_t;

typedef enum {
    NGX_MCHOST_PG_OK = 0,
    NGX_MCHOST_PG_QUEUE_FULL,       /* 503: the queue is full */
    NGX_MCHOST_PG_QUEUE_TIMEOUT,    /* 503: waited too long for a connection */
    NGX_MCHOST_PG_UNAVAILABLE,      /* 503: no database; nothing was sent */
    NGX_MCHOST_PG_LOST,             /* 503: sent, outcome unknown */
    NGX_MCHOST_PG_TIMEOUT,          /* 504: statement_timeout or the timer */
    NGX_MCHOST_PG_ERROR             /* the database refused: see sqlstate */
} ngx_mchost_pg_status_e;

/* What a handler is given. Everything is freed after it returns: copy what
 * must last. */
typedef struct {
    ngx_mchost_pg_status_e   status;
    PGresult               **results;       /* one per statement; NULL for */
    ngx_uint_t               nresults;      /* those that did not run */
    char                     sqlstate[6];   /* of the first error, or "" */
    const char              *message;       /* for the log, never for a user */
    ngx_msec_t               queue_time;
    ngx_msec_t               time;          /* from the write to the Sync */
} ngx_mchost_pg_reply_t;

typedef void (*ngx_mchost_pg_handler_pt)(void *data,
    ngx_mchost_pg_reply_t *reply);

/* A new segment, or NULL when memory is out. It belongs to the caller until
 * it is submitted, and to the pool afterwards. */
ngx_mchost_pg_segment_t *ngx_mchost_pg_segment(ngx_mchost_pg_pool_t *pool,
    ngx_mchost_pg_handler_pt handler, void *data);

/* Appends a statement. params are mc_sql[id].nparams pointers to
 * ngx_str_t-like text values, which are copied and NUL-terminated; a NULL
 * data pointer is SQL NULL; a value with a NUL byte inside is refused.
 * NGX_OK or NGX_ERROR (the segment stays the caller's). */
ngx_int_t ngx_mchost_pg_add(ngx_mchost_pg_segment_t *seg, ngx_uint_t sql_id,
    const ngx_str_t *params);

/* Hands the segment to the pool. The handler is always called later from the
 * event loop, never from within, also for a full queue. */
void ngx_mchost_pg_submit(ngx_mchost_pg_segment_t *seg);

/* The submitter is gone: the handler will not be called; what was sent is
 * drained and dropped. */
void ngx_mchost_pg_detach(ngx_mchost_pg_segment_t *seg);

/* Frees a segment that was never submitted. */
void ngx_mchost_pg_segment_free(ngx_mchost_pg_segment_t *seg);

/* The pool that a segment was made for. */
ngx_mchost_pg_pool_t *ngx_mchost_pg_segment_pool(ngx_mchost_pg_segment_t *seg);

/* -- configuration and process life (used by ngx_http_mchost_module.c) -- */

typedef struct {
    ngx_str_t     name;
    ngx_str_t     conninfo;
    const char  **keywords;         /* the same for PQconnectStartParams(), */
    const char  **values;           /* with every name resolved */
    ngx_uint_t    connections;      /* default 4 */
    ngx_uint_t    pipeline;         /* default 8 */
    ngx_uint_t    queue;            /* default 1024 */
    ngx_msec_t    queue_timeout;    /* default 2s */
    ngx_msec_t    query_timeout;    /* default 5s */
    ngx_msec_t    connect_timeout;  /* default 5s */
} ngx_mchost_pg_conf_t;

typedef struct {
    ngx_uint_t  connecting, ready, busy;    /* connections by state */
    ngx_uint_t  in_flight;                  /* segments sent, not answered */
    ngx_uint_t  queued;
    ngx_uint_t  connects, lost;             /* totals since start */
    ngx_uint_t  segments, errors, rejected, timed_out, retried;
} ngx_mchost_pg_stat_t;

/* Makes keywords and values of conninfo, with every host name resolved, since
 * libpq would block on that later. All of it lives in pool. NGX_ERROR, and
 * err, NUL-terminated, says what is wrong. */
ngx_int_t ngx_mchost_pg_conf_resolve(ngx_mchost_pg_conf_t *conf,
    ngx_pool_t *pool, u_char *err, size_t errlen);

/* The pool begins to connect at once; only memory can be missing (NULL). */
ngx_mchost_pg_pool_t *ngx_mchost_pg_pool_create(ngx_mchost_pg_conf_t *conf,
    ngx_cycle_t *cycle);
void ngx_mchost_pg_pool_destroy(ngx_mchost_pg_pool_t *pool);
void ngx_mchost_pg_pool_stat(ngx_mchost_pg_pool_t *pool,
    ngx_mchost_pg_stat_t *st);
ngx_mchost_pg_conf_t *ngx_mchost_pg_pool_conf(ngx_mchost_pg_pool_t *pool);

#endif
