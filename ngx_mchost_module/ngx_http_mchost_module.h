/*
 * What the module's files share: configuration, one worker's state, a
 * request's context.
 */

#ifndef NGX_HTTP_MCHOST_MODULE_H
#define NGX_HTTP_MCHOST_MODULE_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <ngx_thread_pool.h>
#include "ngx_mchost_pg.h"
#include "ngx_mchost_redis.h"
#include "mc_schema.h"
#include "mc_token.h"

#define NGX_HTTP_MCHOST_BODY_MAX  (1024 * 1024)     /* bytes of a request */
#define NGX_HTTP_MCHOST_POOLS     8                 /* mchost_postgres blocks */

typedef struct ngx_mchost_hub_s           ngx_mchost_hub_t;
typedef struct ngx_http_mchost_metrics_s  ngx_http_mchost_metrics_t;
typedef struct ngx_http_mchost_limits_s   ngx_http_mchost_limits_t;

/* A limit of requests: so many a minute, so many at once. */
typedef struct {
    ngx_uint_t  rate;                   /* 0: no limit */
    ngx_uint_t  burst;
} ngx_http_mchost_rate_t;

/* Counters in the mchost_zone, shared by all workers and kept over reloads;
 * only ever changed with ngx_atomic_fetch_add(). Requests are counted by
 * route and status class in ngx_http_mchost_metrics.c. */
typedef struct {
    ngx_atomic_t  sockets;              /* WebSockets open now */
    ngx_atomic_t  sockets_total;
    ngx_atomic_t  ws_messages_in;
    ngx_atomic_t  ws_messages_out;
    ngx_atomic_t  ws_dropped;           /* for a slow reader, or coalesced */
    ngx_atomic_t  ws_slow_closed;       /* closed with 1013 */
    ngx_atomic_t  redis_messages;
    ngx_atomic_t  pg_segments;
    ngx_atomic_t  pg_errors;
    ngx_atomic_t  pg_rejected;          /* queue full or late */
    ngx_atomic_t  pg_retried;
    ngx_atomic_t  pg_connects;
    ngx_atomic_t  pg_lost;
} ngx_http_mchost_counters_t;

typedef struct {
    ngx_array_t                   pools;    /* of ngx_mchost_pg_conf_t * */
    ngx_mchost_redis_conf_t      *redis;    /* NULL: no mchost_redis */
    ngx_shm_zone_t               *zone;     /* NULL: no mchost_zone */
    mc_schema_t                  *schema;   /* of the server document */
    ngx_str_t                     openapi;  /* NUL-terminated */
    ngx_thread_pool_t            *threads;  /* for passwords */
    mc_schema_t                  *bodies;   /* of the others, by name */
    unsigned                      used:1;   /* some location is ours */
    unsigned                      limited:1;    /* a rate limit is set */
} ngx_http_mchost_main_conf_t;

/* What a location is, by its directive. */
typedef enum {
    NGX_HTTP_MCHOST_NONE = 0,
    NGX_HTTP_MCHOST_API,
    NGX_HTTP_MCHOST_WEBSOCKET,
    NGX_HTTP_MCHOST_HEALTH,
    NGX_HTTP_MCHOST_READY,
    NGX_HTTP_MCHOST_METRICS
} ngx_http_mchost_kind_e;

typedef struct {
    ngx_http_mchost_kind_e  kind;
    ngx_int_t     pool;                 /* index in pools, or NGX_CONF_UNSET */
    ngx_int_t     platform;             /* pool of /platform, or UNSET */
    ngx_str_t     prefix;               /* mchost_api: "/api/v1", no slash */

    ngx_array_t            *origins;    /* of ngx_str_t; NULL: none */
    ngx_http_mchost_rate_t  rates[2];   /* of a key, of a tenant */

    /* mchost_websocket */
    ngx_msec_t    ws_ping;              /* ping=30s */
    size_t        ws_max_message;       /* max_message=64k */
    size_t        ws_queue;             /* queue=1m, bytes per socket */
} ngx_http_mchost_loc_conf_t;

/* The one global: what a worker has running. Made in init_process, NULL in
 * the master and in helper processes. */
typedef struct {
    ngx_cycle_t                  *cycle;
    ngx_mchost_pg_pool_t        **pools;    /* by index, NULL-terminated */
    ngx_mchost_redis_t           *redis;    /* or NULL */
    ngx_mchost_hub_t             *hub;      /* or NULL, with redis */
    ngx_http_mchost_counters_t   *counters; /* the zone's, or a private one */
    ngx_http_mchost_limits_t     *limits;   /* or NULL, without a zone */
    ngx_http_mchost_metrics_t    *metrics;  /* these and what else is counted */
    ngx_mchost_pg_stat_t         *seen;     /* by pool, what was counted */
    ngx_uint_t                    passwords;    /* in threads */
    ngx_event_t                   tick;     /* once a second */
} ngx_http_mchost_worker_t;

extern ngx_module_t               ngx_http_mchost_module;
extern ngx_http_mchost_worker_t  *ngx_http_mchost_worker;

/* -- ngx_http_mchost_reply.c -- */

typedef struct {
    char        pointer[256];           /* RFC 6901, or "" */
    const char *code;
    const char *message;
} ngx_http_mchost_fault_t;

/* Sends a JSON body that lives as long as the request. etag: NULL or an
 * opaque tag without quotes. Returns what the output filters return; the
 * caller finalizes the request with it. */
ngx_int_t ngx_http_mchost_reply(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *json, ngx_str_t *etag);

/* Sends application/problem+json (RFC 9457); a Retry-After goes with 429 and
 * 503. detail is a sentence for a person; it is escaped here. */
ngx_int_t ngx_http_mchost_problem(ngx_http_request_t *r, ngx_uint_t status,
    const char *detail);
ngx_int_t ngx_http_mchost_problem_faults(ngx_http_request_t *r,
    ngx_uint_t status, const char *detail,
    const ngx_http_mchost_fault_t *faults, ngx_uint_t nfaults);

/* The status and sentence that a failed segment means for a client: 503, 504,
 * 409 … One place for the mapping of SQLSTATEs, also for sockets. */
ngx_uint_t ngx_http_mchost_pg_problem(const ngx_mchost_pg_reply_t *reply,
    const char **detail);

/* Adds a response header whose value lives as long as the request. */
ngx_int_t ngx_http_mchost_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value);

/* -- ngx_http_mchost_auth.c -- */

#define NGX_HTTP_MCHOST_HASH_LEN  64

/* The token of "Authorization: Bearer"; NGX_DECLINED when there is none. */
ngx_int_t ngx_http_mchost_bearer(ngx_http_request_t *r, ngx_str_t *token);

/* What the database is shown of a token. */
typedef struct {
    mc_token_e  kind;
    u_char      hash[NGX_HTTP_MCHOST_HASH_LEN];
} ngx_http_mchost_credential_t;

/* In the order of the table in ngx_http_mchost_auth.c. */
typedef enum {
    NGX_HTTP_MCHOST_SCOPE_ANY,          /* whoever is known */
    NGX_HTTP_MCHOST_SCOPE_SERVERS_READ,
    NGX_HTTP_MCHOST_SCOPE_SERVERS_POWER,
    NGX_HTTP_MCHOST_SCOPE_CONSOLE,
    NGX_HTTP_MCHOST_SCOPE_PLAYERS,
    NGX_HTTP_MCHOST_SCOPE_BACKUPS,
    NGX_HTTP_MCHOST_SCOPE_MESSAGES,
    NGX_HTTP_MCHOST_SCOPE_SERVERS_WRITE,
    NGX_HTTP_MCHOST_SCOPE_AUDIT_READ,
    NGX_HTTP_MCHOST_SCOPE_KEYS,
    NGX_HTTP_MCHOST_SCOPE_MEMBERS,
    NGX_HTTP_MCHOST_SCOPE_PLATFORM,     /* on the platform's own pool */
    NGX_HTTP_MCHOST_SCOPE_PUBLIC        /* nobody need be known */
} ngx_http_mchost_scope_e;

/* Whether a segment asks about the tenant's suspension and limits. */
typedef enum {
    NGX_HTTP_MCHOST_GATE_NONE,
    NGX_HTTP_MCHOST_GATE_READ,          /* its limits only */
    NGX_HTTP_MCHOST_GATE_WRITE          /* a suspended tenant is refused */
} ngx_http_mchost_gate_e;

const char *ngx_http_mchost_scope_name(ngx_http_mchost_scope_e scope);

/* SHA-256 in lower-case hexadecimal. */
ngx_int_t ngx_http_mchost_sha256_hex(const u_char *data, size_t len,
    u_char hash[NGX_HTTP_MCHOST_HASH_LEN]);

/* Checks the token's form and writes what is presented of it; NGX_DECLINED
 * when it cannot be a token. */
ngx_int_t ngx_http_mchost_credential(const ngx_str_t *token,
    ngx_http_mchost_credential_t *cred);

/* The hash of a token of this kind; NGX_DECLINED when it is none. */
ngx_int_t ngx_http_mchost_token_hash(const ngx_str_t *token,
    mc_token_e kind, u_char hash[NGX_HTTP_MCHOST_HASH_LEN]);

/* Makes a new token with this UUID, and its hash. */
ngx_int_t ngx_http_mchost_token_make(mc_token_e kind,
    const char *id, u_char token[MC_TOKEN_LEN + 1],
    u_char hash[NGX_HTTP_MCHOST_HASH_LEN]);

/* Begins a segment with present_key alone, for what nobody need be known
 * for. */
ngx_int_t ngx_http_mchost_present_add(ngx_mchost_pg_segment_t *seg,
    const u_char *hash);

/* Begins a segment with present_key, authenticate and, if wanted, the gate.
 * NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_mchost_auth_add(ngx_mchost_pg_segment_t *seg,
    const ngx_http_mchost_credential_t *cred, ngx_http_mchost_scope_e scope,
    ngx_http_mchost_gate_e gate);

typedef enum {
    NGX_HTTP_MCHOST_AUTH_OK,
    NGX_HTTP_MCHOST_AUTH_UNKNOWN,       /* 401 */
    NGX_HTTP_MCHOST_AUTH_FORBIDDEN,     /* 403 */
    NGX_HTTP_MCHOST_AUTH_SUSPENDED      /* 403: the tenant is read-only */
} ngx_http_mchost_auth_e;

typedef struct {
    char        tenant[37];
    char        key_id[37];             /* of a session: the session's */
    char        role[16];
    char        expires_at[40];         /* or "" */
    char        reason[257];            /* of the tenant's suspension */
    ngx_int_t   requests;               /* a minute; 0: no limit */
    ngx_int_t   sockets;
    unsigned    gated:1;                /* these three are known */
} ngx_http_mchost_identity_t;

/* Reads what authenticate answered (results[1] of a segment begun as above). */
ngx_http_mchost_auth_e ngx_http_mchost_auth_read(
    ngx_mchost_pg_reply_t *reply, ngx_http_mchost_identity_t *id);

/* -- ngx_http_mchost_limit.c: what is counted in the mchost_zone -- */

typedef struct {
    ngx_uint_t  sockets;
    ngx_uint_t  requests;               /* of the last minute */
} ngx_http_mchost_use_t;

/* What a tenant uses of it now. */
void ngx_http_mchost_limit_use(const char *tenant, ngx_http_mchost_use_t *use);

/* The result of the first statement behind the authentication; NULL when it
 * did not run. */
PGresult *ngx_http_mchost_result(const ngx_mchost_pg_reply_t *reply);

/* -- ngx_http_mchost_console.c: a command to a server's console -- */

typedef struct ngx_http_mchost_console_s  ngx_http_mchost_console_t;

/* json is what the reconciler answered ({"output":…} or {"error":…}), or
 * NULL with status 503 (no Redis) or 504 (no answer within 10 s). */
typedef void (*ngx_http_mchost_console_pt)(void *data, ngx_uint_t status,
    ngx_str_t *json);

/* Sends a command whose caller is authorised and whose server is known to be
 * the tenant's. NULL when Redis is away or memory is out; otherwise the
 * handler is called once, later. */
ngx_http_mchost_console_t *ngx_http_mchost_console_send(const char *tenant,
    const char *server, ngx_str_t *command,
    ngx_http_mchost_console_pt handler, void *data);
void ngx_http_mchost_console_detach(ngx_http_mchost_console_t *c);

/* Remembers who a request is from, for $mchost_tenant, $mchost_key_id and
 * $mchost_role. */
void ngx_http_mchost_identify(ngx_http_request_t *r,
    const ngx_http_mchost_identity_t *id);

/* The client's X-Request-Id if it is fit to be repeated, else a new one. It
 * lives as long as the request, NUL-terminated; NULL when memory is out. */
ngx_str_t *ngx_http_mchost_request_id(ngx_http_request_t *r);

/* -- ngx_http_mchost_cors.c -- */

/* 1 when a page of this origin may call. */
ngx_uint_t ngx_http_mchost_cors_allows(ngx_http_request_t *r,
    const ngx_str_t *origin);

/* Headers of every reply, and those of a preflight with what is allowed. */
ngx_int_t ngx_http_mchost_cors_headers(ngx_http_request_t *r);
ngx_int_t ngx_http_mchost_cors_preflight(ngx_http_request_t *r,
    const ngx_str_t *allow);

/* -- content handlers set by the directives -- */

ngx_int_t ngx_http_mchost_api_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_mchost_websocket_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_mchost_health_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_mchost_ready_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_mchost_metrics_handler(ngx_http_request_t *r);

/* -- ngx_mchost_hub.c: channel → sessions, made with the worker's redis -- */

ngx_mchost_hub_t *ngx_mchost_hub_create(ngx_mchost_redis_t *redis,
    ngx_cycle_t *cycle);
void ngx_mchost_hub_destroy(ngx_mchost_hub_t *hub);

/* Writes a new UUIDv7 and a NUL. */
void ngx_http_mchost_uuid7(char dst[37]);

#endif
