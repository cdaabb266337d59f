/*
 * What ngx_mchost_pg.c (the pool and its queue), ngx_mchost_pg_conn.c (one
 * connection) and ngx_mchost_pg_io.c (what goes over it) know of each other.
 * Nobody else includes this.
 */

#ifndef NGX_MCHOST_PG_INT_H
#define NGX_MCHOST_PG_INT_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_mchost_pg.h"

typedef struct ngx_mchost_pg_conn_s  ngx_mchost_pg_conn_t;

/*
 * A segment is NEW with its maker, then in exactly one list: the pool's queue
 * (QUEUED), a connection's FIFO (SENT), or the pool's list of failures whose
 * handlers are called from the next posted event (FAILED). DONE: its handler
 * runs, after which it is freed.
 */
typedef enum {
    NGX_MCHOST_PG_SEG_NEW = 0,
    NGX_MCHOST_PG_SEG_QUEUED,
    NGX_MCHOST_PG_SEG_SENT,
    NGX_MCHOST_PG_SEG_FAILED,
    NGX_MCHOST_PG_SEG_DONE
} ngx_mchost_pg_seg_state_e;

/* What a segment's results are results of, in the order of sending: a Parse
 * or the execution of a statement. Transaction brackets are neither. */
typedef enum {
    NGX_MCHOST_PG_OP_PARSE,
    NGX_MCHOST_PG_OP_EXECUTE,
    NGX_MCHOST_PG_OP_BRACKET
} ngx_mchost_pg_op_e;

typedef struct {
    u_char        kind;
    u_char        n;                        /* index in statements */
} ngx_mchost_pg_op_t;

typedef struct {
    ngx_uint_t    id;
    const char   *params[NGX_MCHOST_PG_PARAMS];
} ngx_mchost_pg_statement_t;

struct ngx_mchost_pg_segment_s {
    ngx_queue_t                 queue;
    ngx_pool_t                 *memory;     /* holds the segment itself */
    ngx_mchost_pg_pool_t       *pool;
    ngx_mchost_pg_handler_pt    handler;    /* NULL: detached */
    void                       *data;

    ngx_mchost_pg_seg_state_e   state;
    ngx_mchost_pg_status_e      status;

    ngx_uint_t                  nstatements;
    ngx_mchost_pg_statement_t   statements[NGX_MCHOST_PG_STATEMENTS];
    PGresult                   *results[NGX_MCHOST_PG_STATEMENTS];

    ngx_uint_t                  nops;
    ngx_uint_t                  op;         /* whose result comes next */
    ngx_mchost_pg_op_t          ops[2 * NGX_MCHOST_PG_STATEMENTS + 2];

    char                        sqlstate[6];
    const char                 *message;

    ngx_msec_t                  submitted;
    ngx_msec_t                  queued;     /* the same, or retried, at */
    ngx_msec_t                  sent;
    ngx_msec_t                  queue_time;

    unsigned                    writes:1;   /* has a statement that writes */
    unsigned                    synced:1;   /* its Sync was given to libpq */
    unsigned                    retried:1;
    unsigned                    failed:1;   /* had an error */
};

/*
 *   CLOSED -> CONNECTING -> READY <-> FULL
 *      ^           |          |        |
 *      |           v          v        v
 *      +-----------+------ DRAINING <--+
 *
 * CLOSED: waits for its timer to connect again. READY takes segments, FULL
 * has as many in flight as it may, DRAINING finishes what it has and closes.
 */
typedef enum {
    NGX_MCHOST_PG_CLOSED = 0,
    NGX_MCHOST_PG_CONNECTING,
    NGX_MCHOST_PG_READY,
    NGX_MCHOST_PG_FULL,
    NGX_MCHOST_PG_DRAINING,
    NGX_MCHOST_PG_STATES
} ngx_mchost_pg_state_e;

struct ngx_mchost_pg_conn_s {
    ngx_queue_t             queue;          /* in pool->conns[state] */
    ngx_mchost_pg_pool_t   *pool;
    ngx_mchost_pg_state_e   state;

    PGconn                 *conn;           /* NULL: closed */
    ngx_connection_t       *c;              /* NULL: not watched */

    ngx_queue_t             segments;       /* FIFO, sent and not answered */
    ngx_uint_t              in_flight;
    ngx_msec_t              head_since;     /* the first one's turn began */

    /* One timer, by state: when to connect (CLOSED), the connect timeout
     * (CONNECTING), the deadline of the first segment (else). */
    ngx_event_t             timer;

    ngx_uint_t              attempts;       /* failed ones in a row */
    ngx_uint_t              nulls;          /* empty results in a row */
    ngx_msec_t              expires;        /* recycle after */
    uint64_t                prepared[(MC_SQL_MAX + 63) / 64];

    unsigned                proved:1;       /* has answered a segment */
    unsigned                brackets:1;     /* needs BEGIN ... COMMIT */
    unsigned                dirty:1;        /* libpq may have bytes to send */
};

struct ngx_mchost_pg_pool_s {
    ngx_mchost_pg_conf_t   *conf;
    ngx_cycle_t            *cycle;
    ngx_log_t              *log;

    ngx_mchost_pg_conn_t   *connections;
    ngx_queue_t             conns[NGX_MCHOST_PG_STATES];
    ngx_uint_t              nconns[NGX_MCHOST_PG_STATES];

    ngx_queue_t             queue;
    ngx_uint_t              queued;
    ngx_event_t             queue_timer;

    ngx_queue_t             failed;
    ngx_event_t             dispatch;       /* posted, never timed */

    ngx_mchost_pg_stat_t    stat;           /* the totals in it */

    unsigned                unreachable:1;  /* none up, last attempt failed */
};

/* -- ngx_mchost_pg.c -- */

/* Has the queue looked at from the next posted event. */
void ngx_mchost_pg_wakeup(ngx_mchost_pg_pool_t *pool);

/* Calls the handler of a segment that is in no list, and frees it. */
void ngx_mchost_pg_complete(ngx_mchost_pg_segment_t *seg);

/* Has the handler called with status from the next posted event. */
void ngx_mchost_pg_fail(ngx_mchost_pg_segment_t *seg,
    ngx_mchost_pg_status_e status);

/* Puts a segment that was sent back to the head of the queue; NGX_DECLINED
 * when it was there before. */
ngx_int_t ngx_mchost_pg_retry(ngx_mchost_pg_segment_t *seg);

/* -- ngx_mchost_pg_conn.c -- */

void ngx_mchost_pg_conn_init(ngx_mchost_pg_conn_t *pc,
    ngx_mchost_pg_pool_t *pool);
void ngx_mchost_pg_conn_connect(ngx_mchost_pg_conn_t *pc);

/* Closes, without a word to the segments in flight (they must be gone). */
void ngx_mchost_pg_conn_close(ngx_mchost_pg_conn_t *pc);

/* Closes an idle connection that is too old. */
ngx_uint_t ngx_mchost_pg_conn_expired(ngx_mchost_pg_conn_t *pc);

/* Fails or requeues what is in flight, closes, and connects again. */
void ngx_mchost_pg_conn_lost(ngx_mchost_pg_conn_t *pc, const char *reason);

/* The only place where a connection changes its state, and what follows from
 * the number of segments in flight: READY, FULL, or the end of DRAINING. */
void ngx_mchost_pg_conn_state(ngx_mchost_pg_conn_t *pc,
    ngx_mchost_pg_state_e state);
void ngx_mchost_pg_conn_settle(ngx_mchost_pg_conn_t *pc);

/* Wants NGX_READ_EVENT or NGX_WRITE_EVENT of libpq's socket. */
ngx_int_t ngx_mchost_pg_conn_watch(ngx_mchost_pg_conn_t *pc, ngx_int_t event);

/* -- ngx_mchost_pg_io.c -- */

/* Gives a segment to a READY connection. What cannot be sent goes back to the
 * queue, and the connection is lost then. */
void ngx_mchost_pg_conn_send(ngx_mchost_pg_conn_t *pc,
    ngx_mchost_pg_segment_t *seg);
void ngx_mchost_pg_conn_flush(ngx_mchost_pg_conn_t *pc);

/* The timer of an established connection. */
void ngx_mchost_pg_conn_deadline(ngx_mchost_pg_conn_t *pc);

void ngx_mchost_pg_conn_read_handler(ngx_event_t *ev);
void ngx_mchost_pg_conn_write_handler(ngx_event_t *ev);

#endif
