/*
 * One connection to Redis in nginx's event loop: connect, AUTH, write, read,
 * reconnect with jitter. hiredis formats commands and parses replies; the
 * socket is nginx's own, so connecting never blocks, a wakeup is read to its
 * end, and no reply of Redis can hit an assert(). ngx_mchost_redis.c owns two
 * of these.
 */

#ifndef NGX_MCHOST_REDIS_CONN_H
#define NGX_MCHOST_REDIS_CONN_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_event_connect.h>
#include "ngx_mchost_redis.h"

typedef struct ngx_mchost_redis_conn_s  ngx_mchost_redis_conn_t;

/* The owner's side. reply may call ngx_mchost_redis_conn_lost(). */
typedef struct {
    void  (*up)(void *data);            /* connected and authenticated */
    void  (*reply)(void *data, redisReply *reply);
    void  (*down)(void *data);          /* after up: all state is lost */
} ngx_mchost_redis_conn_ops_t;

typedef enum {
    NGX_MCHOST_REDIS_CLOSED = 0,        /* waiting for the next attempt */
    NGX_MCHOST_REDIS_CONNECTING,
    NGX_MCHOST_REDIS_AUTH,
    NGX_MCHOST_REDIS_UP
} ngx_mchost_redis_state_e;

struct ngx_mchost_redis_conn_s {
    ngx_mchost_redis_conf_t            *conf;
    const ngx_mchost_redis_conn_ops_t  *ops;
    void                               *data;
    const char                         *name;   /* for the log */
    ngx_log_t                          *log;

    ngx_mchost_redis_state_e            state;
    ngx_peer_connection_t               peer;
    ngx_connection_t                   *c;
    redisReader                        *reader;

    u_char                             *out;    /* unsent: pos..last of size */
    size_t                              out_size, out_pos, out_last;

    ngx_event_t                         timer;  /* attempt, connect, AUTH */
    ngx_msec_t                          backoff;
    ngx_uint_t                          silent; /* failure is logged already */
    const char                         *lost;   /* why it is given up */
};

/* Begins to connect from the event loop, and stays at it. addr is resolved
 * already. */
void ngx_mchost_redis_conn_start(ngx_mchost_redis_conn_t *conn,
    ngx_addr_t *addr);
void ngx_mchost_redis_conn_stop(ngx_mchost_redis_conn_t *conn);

/* Queues a command and sends what the socket takes once this event is done.
 * NGX_DECLINED when the connection is not up or its buffer is full. */
ngx_int_t ngx_mchost_redis_conn_send(ngx_mchost_redis_conn_t *conn, int argc,
    const char **argv, const size_t *argvlen);

/* Gives the connection up (a late or impossible reply): soon, and not from
 * within this call, down is called and the next attempt is scheduled. why
 * is static text. */
void ngx_mchost_redis_conn_lost(ngx_mchost_redis_conn_t *conn,
    const char *why);

#endif
