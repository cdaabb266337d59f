/*
 * One WebSocket. ngx_http_mchost_ws.c has its socket: handshake, frames in and
 * out, heartbeat, closing. The _session files have its conversation: messages,
 * subscriptions, what is queued. Nothing here is used by anybody else.
 */

#ifndef NGX_HTTP_MCHOST_SESSION_H
#define NGX_HTTP_MCHOST_SESSION_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "mc_json.h"
#include "mc_ws_frame.h"
#include "ngx_http_mchost_limit.h"
#include "ngx_mchost_hub.h"
#include "ngx_mchost_outq.h"

#define NGX_HTTP_MCHOST_SESSION_OPS      16     /* unanswered at once */
#define NGX_HTTP_MCHOST_SESSION_SERVERS  1000   /* ids in one message */
#define NGX_HTTP_MCHOST_SESSION_IDS      4096   /* ids of a topic */

typedef struct ngx_http_mchost_session_s  ngx_http_mchost_session_t;
typedef struct ngx_http_mchost_op_s       ngx_http_mchost_op_t;
typedef struct ngx_http_mchost_logs_s     ngx_http_mchost_logs_t;

enum {
    NGX_HTTP_MCHOST_STATUS = 0,
    NGX_HTTP_MCHOST_LOGS,
    NGX_HTTP_MCHOST_TOPICS
};

#define ngx_http_mchost_bit(topic)  ((ngx_uint_t) 1 << (topic))

/* A set of servers. */
typedef struct {
    ngx_mchost_key_t         *keys;             /* sorted; malloc()ed */
    ngx_uint_t                n;
    unsigned                  all:1;            /* "*": keys are unused */
} ngx_http_mchost_set_t;

typedef struct {
    ngx_mchost_sub_t          sub;              /* the tenant's channel */
    ngx_http_mchost_set_t     servers;
} ngx_http_mchost_interest_t;

/* A message of the client that is not answered yet. Lives in a pool of its
 * own, which goes with it. */
struct ngx_http_mchost_op_s {
    ngx_queue_t                 queue;          /* in session->ops */
    ngx_http_mchost_session_t  *session;
    ngx_pool_t                 *pool;
    mc_json_t                  *json;
    ngx_str_t                   id;             /* as JSON, or empty */
    ngx_mchost_pg_segment_t    *segment;        /* running, or NULL */
    ngx_http_mchost_console_t  *console;        /* running, or NULL */

    ngx_http_mchost_credential_t  credential;   /* auth */
    const char                 *server;         /* command, action */
    ngx_str_t                   command;

    ngx_uint_t                  topics;         /* subscribe: bits */
    ngx_http_mchost_set_t       servers;
    mc_json_t                  *since;          /* string, object or NULL */
    ngx_event_t                 timer;          /* of waiting for Redis */
    unsigned                    subscribe:1;    /* or unsubscribe, which */
    unsigned                    unsubscribe:1;  /* waits its turn as well */
    unsigned                    loading:1;      /* its snapshot is under way */
};

typedef enum {
    NGX_HTTP_MCHOST_WS_HANDSHAKE = 0,   /* HTTP still: authenticating */
    NGX_HTTP_MCHOST_WS_OPENING,         /* the 101 is on its way */
    NGX_HTTP_MCHOST_WS_OPEN,
    NGX_HTTP_MCHOST_WS_CLOSING          /* our Close is queued or sent */
} ngx_http_mchost_ws_state_e;

struct ngx_http_mchost_session_s {
    ngx_http_request_t           *request;
    ngx_connection_t             *connection;
    ngx_http_mchost_loc_conf_t   *conf;
    ngx_mchost_pg_pool_t         *pool;         /* of the database */

    /* the socket: ngx_http_mchost_ws.c */
    ngx_http_mchost_ws_state_e    state;
    ngx_event_t                   timer;
    ngx_msec_t                    checked;      /* key last re-checked */
    ngx_uint_t                    missed;       /* pings unanswered */
    off_t                         taken;        /* bytes the peer's TCP has */
    ngx_msec_t                    full_since;   /* when full */
    mc_ws_parser_t                parser;
    u_char                       *message;      /* pieces so far */
    size_t                        message_len, message_size;
    ngx_mchost_outq_t             out;
    unsigned                      dirty:1;      /* a flush is posted */
    unsigned                      blocked:1;    /* the socket takes no more */
    unsigned                      full:1;       /* out has been long */
    unsigned                      paused:1;     /* not reading: out is long */
    unsigned                      leaving:1;    /* the worker shuts down */
    unsigned                      close_seen:1; /* the peer's Close */
    unsigned                      failed:1;     /* drain and close */
    unsigned                      quiesce:1;    /* with the next write event */
    unsigned                      done:1;       /* finalize at the next event */
    unsigned                      destroyed:1;
    unsigned                      counted:1;    /* in the tenant's quota */

    /* the conversation: ngx_http_mchost_session*.c */
    unsigned                      authenticated:1;
    unsigned                      auth_pending:1;
    char                          id[37];       /* request id of the trail */
    ngx_http_mchost_credential_t  credential;
    ngx_http_mchost_identity_t    identity;
    ngx_mchost_pg_segment_t      *segment;      /* handshake, re-check */

    ngx_queue_t                   ops;          /* running; subscribes in */
    ngx_queue_t                   waiting;      /* turn · until auth is done */
    ngx_uint_t                    nops;         /* of both */
    ngx_http_mchost_op_t         *subscribing;  /* the one whose turn it is */

    ngx_http_mchost_interest_t    interest[NGX_HTTP_MCHOST_TOPICS];
    ngx_mchost_outq_t             held;         /* status during a snapshot */
    ngx_http_mchost_logs_t       *logs;         /* histories, or NULL */
};

/* 1 when what is queued now will be there for a while. */
#define ngx_http_mchost_session_slow(s)                                       \
    ((s)->blocked || (s)->out.bytes > (s)->conf->ws_queue / 2)

/* -- ngx_http_mchost_ws.c -- */

/* Has what is queued written, after what this wakeup still brings. */
void ngx_http_mchost_ws_dirty(ngx_http_mchost_session_t *s);

/* Begins to close; what is queued goes first. Nothing is freed within. */
void ngx_http_mchost_ws_close(ngx_http_mchost_session_t *s, ngx_uint_t code,
    const char *reason);

/* Closes with 1013 and drops what is queued: the reader is too slow. */
void ngx_http_mchost_ws_overflow(ngx_http_mchost_session_t *s);

/* Authenticated: the heartbeat begins. */
void ngx_http_mchost_ws_heartbeat(ngx_http_mchost_session_t *s);

/* -- ngx_http_mchost_session.c -- */

void ngx_http_mchost_session_init(ngx_http_mchost_session_t *s);
/* Detaches from everything; s itself is not freed. */
void ngx_http_mchost_session_destroy(ngx_http_mchost_session_t *s);
/* No more events and answers, because it closes. */
void ngx_http_mchost_session_quiesce(ngx_http_mchost_session_t *s);

/* A whole text message, valid UTF-8. */
void ngx_http_mchost_session_message(ngx_http_mchost_session_t *s,
    u_char *text, size_t len);

/* Asks the database whether the key is still good; closes when it is not. */
void ngx_http_mchost_session_check(ngx_http_mchost_session_t *s);

/* The auth operation succeeded, or failed: what waited for it is answered. */
void ngx_http_mchost_session_authenticated(ngx_http_mchost_session_t *s);
void ngx_http_mchost_session_unauthenticated(ngx_http_mchost_session_t *s);

/* Queues {"op":op,"id":id,tail}; id and tail may be empty. */
void ngx_http_mchost_session_send(ngx_http_mchost_session_t *s,
    const char *op, ngx_str_t *id, const char *tail, size_t tail_len);
void ngx_http_mchost_session_error(ngx_http_mchost_session_t *s,
    ngx_str_t *id, const char *code, const char *message);

/* Allocates from the operation's pool. */
mc_alloc_t ngx_http_mchost_op_memory(ngx_http_mchost_op_t *op);

/* Frees an operation that is answered, or that nobody waits for any more. */
void ngx_http_mchost_op_done(ngx_http_mchost_op_t *op);

/* Answers the operation and frees it. */
void ngx_http_mchost_op_result(ngx_http_mchost_op_t *op, const char *kind,
    const char *tail, size_t tail_len);
void ngx_http_mchost_op_error(ngx_http_mchost_op_t *op, const char *code,
    const char *message);

/* Begins a segment with the session's key; op->segment is set. The handler
 * gets op. NGX_ERROR: answered and freed. */
ngx_mchost_pg_segment_t *ngx_http_mchost_op_segment(ngx_http_mchost_op_t *op,
    const ngx_http_mchost_credential_t *cred, ngx_http_mchost_scope_e scope,
    ngx_http_mchost_gate_e gate, ngx_mchost_pg_handler_pt handler);

/* Reads what the segment's authentication said. NGX_ERROR: answered, freed,
 * and closing when the key is no longer good. */
ngx_int_t ngx_http_mchost_op_authorized(ngx_http_mchost_op_t *op,
    ngx_mchost_pg_reply_t *reply, ngx_http_mchost_identity_t *id);

/* -- ngx_http_mchost_session_ops.c: op->json is checked for its fields -- */

void ngx_http_mchost_op_auth(ngx_http_mchost_op_t *op);
void ngx_http_mchost_op_command(ngx_http_mchost_op_t *op);
void ngx_http_mchost_op_action(ngx_http_mchost_op_t *op);

/* -- ngx_http_mchost_session_sub.c -- */

void ngx_http_mchost_op_subscribe(ngx_http_mchost_op_t *op);
void ngx_http_mchost_op_unsubscribe(ngx_http_mchost_op_t *op);
/* Begins the next subscribe that waits, when its time has come. */
void ngx_http_mchost_sub_next(ngx_http_mchost_session_t *s);
/* The operation ends: the channels that it alone wanted are left. */
void ngx_http_mchost_sub_release(ngx_http_mchost_op_t *op);

/* -- ngx_http_mchost_session_snapshot.c -- */

/* The channels are subscribed: asks for the servers, answers, and frees op. */
void ngx_http_mchost_sub_load(ngx_http_mchost_op_t *op);

/* -- ngx_http_mchost_session_set.c -- */

ngx_int_t ngx_http_mchost_set_has(const ngx_http_mchost_set_t *set,
    const ngx_mchost_key_t *key);
/* Adds n keys, in any order. */
ngx_int_t ngx_http_mchost_set_add(ngx_http_mchost_set_t *set,
    const ngx_mchost_key_t *keys, ngx_uint_t n, ngx_log_t *log);
ngx_int_t ngx_http_mchost_set_merge(ngx_http_mchost_set_t *set,
    const ngx_http_mchost_set_t *more, ngx_log_t *log);
void ngx_http_mchost_set_subtract(ngx_http_mchost_set_t *set,
    const ngx_http_mchost_set_t *less);
void ngx_http_mchost_set_free(ngx_http_mchost_set_t *set);

/* -- ngx_http_mchost_session_logs.c -- */

/* A live event of the logs channel. */
void ngx_http_mchost_logs_event(ngx_http_mchost_session_t *s,
    ngx_mchost_event_t *ev);
/* Reads the history of a server after since. strict: since is a position of
 * this very server, so that it must be there unless it was trimmed. */
ngx_int_t ngx_http_mchost_logs_load(ngx_http_mchost_session_t *s,
    const ngx_mchost_key_t *key, const char *since, size_t len,
    ngx_uint_t strict);
/* The subscribe op is over, since is what it gave servers that are new (or
 * NULL): what events were kept back for it are read from the history. */
void ngx_http_mchost_logs_settle(ngx_http_mchost_session_t *s,
    const mc_json_t *since);
/* Now and then: forgets positions that nothing can repeat any more. */
void ngx_http_mchost_logs_tick(ngx_http_mchost_session_t *s);
void ngx_http_mchost_logs_forget(ngx_http_mchost_session_t *s,
    const ngx_http_mchost_set_t *servers);
void ngx_http_mchost_logs_destroy(ngx_http_mchost_session_t *s);

/* -- ngx_http_mchost_session_history.c -- */

/* Reads on when the queue has room. */
void ngx_http_mchost_logs_continue(ngx_http_mchost_session_t *s);

#endif
