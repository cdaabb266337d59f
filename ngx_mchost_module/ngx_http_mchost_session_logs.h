/*
 * Between ngx_http_mchost_session_logs.c, which knows what is to be read, and
 * ngx_http_mchost_session_history.c, which reads it.
 */

#ifndef NGX_HTTP_MCHOST_SESSION_LOGS_H
#define NGX_HTTP_MCHOST_SESSION_LOGS_H

#include "ngx_http_mchost_session.h"

typedef enum {
    NGX_HTTP_MCHOST_LOGS_PENDING = 0,   /* its subscribe is not answered */
    NGX_HTTP_MCHOST_LOGS_TODO,          /* waits for its turn */
    NGX_HTTP_MCHOST_LOGS_SETTLED
} ngx_http_mchost_log_state_e;

/* One server's history. */
typedef struct {
    ngx_rbtree_node_t             node;
    ngx_queue_t                   queue;        /* in logs->todo */
    ngx_mchost_key_t              key;
    ngx_http_mchost_log_state_e   state;
    ngx_mchost_seq_t              last;         /* read from here */
    ngx_mchost_seq_t              dropped;      /* newest event not queued */
    ngx_msec_t                    settled;
    unsigned                      after:1;      /* last itself was sent */
    unsigned                      known:1;      /* last is of this stream */
    unsigned                      strict:1;     /* or the client says so */
    unsigned                      checked:1;    /* what precedes is known */
    unsigned                      listened:1;   /* subscribed to before */
    unsigned                      restart:1;    /* ignore the reply to come */
    unsigned                      forget:1;     /* free with it */
} ngx_http_mchost_log_t;

struct ngx_http_mchost_logs_s {
    ngx_http_mchost_session_t    *session;
    ngx_rbtree_t                  index;
    ngx_rbtree_node_t             sentinel;
    ngx_queue_t                   todo;
    ngx_http_mchost_log_t        *current;      /* a reply will come for it */
    ngx_event_t                   retry;
};

/* The envelope of a stream's entry; server is its text. NGX_ERROR: it is none
 * that can be passed on. */
ngx_int_t ngx_http_mchost_logs_entry(redisReply *entry, const char *server,
    mc_envelope_t *env);

void ngx_http_mchost_logs_remove(ngx_http_mchost_logs_t *logs,
    ngx_http_mchost_log_t *log);
void ngx_http_mchost_logs_oom(ngx_http_mchost_session_t *s);

#endif
