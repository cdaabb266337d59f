/*
 * One API request from its first byte to its reply, for the files that answer
 * it.
 */

#ifndef NGX_HTTP_MCHOST_REQUEST_H
#define NGX_HTTP_MCHOST_REQUEST_H

#include "ngx_http_mchost_module.h"
#include "ngx_http_mchost_limit.h"
#include "mc_json.h"
#include "mc_uuid.h"

typedef struct ngx_http_mchost_ctx_s    ngx_http_mchost_ctx_t;
typedef struct ngx_http_mchost_route_s  ngx_http_mchost_route_t;
typedef struct ngx_http_mchost_job_s    ngx_http_mchost_job_t;
typedef struct ngx_http_mchost_login_s  ngx_http_mchost_login_t;

/* A step of a request returns what the request is to be finalized with
 * (NGX_AGAIN too: output is pending then), or this when it waits for another
 * event. */
#define NGX_HTTP_MCHOST_WAIT  NGX_DONE

typedef ngx_int_t (*ngx_http_mchost_begin_pt)(ngx_http_mchost_ctx_t *ctx);
typedef ngx_int_t (*ngx_http_mchost_step_pt)(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply);

struct ngx_http_mchost_ctx_s {
    ngx_http_request_t             *request;
    const ngx_http_mchost_route_t  *route;      /* NULL: none matched */

    ngx_str_t                       id;         /* first {name} of the path */
    ngx_str_t                       sub;        /* the second */
    ngx_str_t                       limit, after, purge;    /* arguments */
    ngx_str_t                       state, q, server, from, to, period;
    mc_alloc_t                      alloc;      /* on the request's pool */
    mc_json_t                      *body;
    ngx_str_t                       text;       /* what body was read from */
    ngx_str_t                       command;    /* for a console */

    ngx_mchost_pg_pool_t           *pool;
    ngx_mchost_pg_segment_t        *segment;    /* submitted, not answered */
    ngx_http_mchost_step_pt         step;       /* what its answer goes to */
    ngx_http_mchost_login_t        *login;      /* who wants to log in */
    ngx_http_mchost_job_t          *job;        /* a password in a thread */
    ngx_http_mchost_console_t      *console;    /* sent, not answered */
    ngx_uint_t                      tries;

    ngx_http_mchost_credential_t    credential;
    ngx_http_mchost_identity_t      identity;
    ngx_http_mchost_verdict_t       verdict;    /* of the limits */
    ngx_str_t                       request_id;
    ngx_str_t                       secret;     /* shown once, or empty */

    ngx_msec_t                      pg_time;    /* sums of all segments */
    ngx_msec_t                      pg_queue_time;

    ngx_str_t                       problem;    /* instead of nginx's page */

    unsigned                        redis:1;    /* asked, not answered */
    unsigned                        once:1;     /* has an Idempotency-Key */
    unsigned                        replayed:1; /* and was done before */
    unsigned                        identified:1;
    unsigned                        asked:1;    /* pg times are known */
    unsigned                        replied:1;  /* the reply is ours */
    unsigned                        replacing:1;
    unsigned                        replaced:1;
};

/* The request's context, made at first use; NULL when memory is out. It
 * outlives internal redirects. */
ngx_http_mchost_ctx_t *ngx_http_mchost_ctx(ngx_http_request_t *r);
/* NULL when there is none. */
ngx_http_mchost_ctx_t *ngx_http_mchost_ctx_find(ngx_http_request_t *r);

/* A segment that begins with authentication for the route's role, or NULL. */
ngx_mchost_pg_segment_t *ngx_http_mchost_segment(ngx_http_mchost_ctx_t *ctx);

/* An empty one, for a public route: nobody is authenticated in it. */
ngx_mchost_pg_segment_t *ngx_http_mchost_open_segment(
    ngx_http_mchost_ctx_t *ctx);

/* Adds the statement and submits; step gets the reply when the caller is who
 * it says, may do this, and no statement failed: everything else is answered
 * here. The segment is freed when it cannot be submitted. */
ngx_int_t ngx_http_mchost_submit(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_segment_t *seg, ngx_uint_t sql_id, const ngx_str_t *params,
    ngx_http_mchost_step_pt step);

/* The same with a segment of its own. */
ngx_int_t ngx_http_mchost_query(ngx_http_mchost_ctx_t *ctx, ngx_uint_t sql_id,
    const ngx_str_t *params, ngx_http_mchost_step_pt step);

/* The same for what a POST changes: a request with an Idempotency-Key is
 * carried out once, and its repetition gets the same row. The statement's
 * row is {{remember}}ed. */
ngx_int_t ngx_http_mchost_query_once(ngx_http_mchost_ctx_t *ctx,
    ngx_uint_t sql_id, const ngx_str_t *params, ngx_http_mchost_step_pt step);

/* Keeps what came from elsewhere than the database, as the answer of a request
 * made by the above: a column "answer". */
void ngx_http_mchost_once_keep(ngx_http_mchost_ctx_t *ctx,
    const ngx_str_t *json);

/* Calls ctx->step with the row of a segment made by the above. */
ngx_int_t ngx_http_mchost_once_answered(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply);

/* Ends a request from an event of ours; nothing with NGX_HTTP_MCHOST_WAIT. */
void ngx_http_mchost_finish(ngx_http_mchost_ctx_t *ctx, ngx_int_t rc);

/* Rows of the statement behind the authentication; 0 when it did not run. */
ngx_uint_t ngx_http_mchost_rows(ngx_mchost_pg_reply_t *reply);

/* A field of its row 0. It goes with the reply: copy what must last. */
ngx_str_t ngx_http_mchost_field(ngx_mchost_pg_reply_t *reply, int column);
ngx_uint_t ngx_http_mchost_field_bool(ngx_mchost_pg_reply_t *reply,
    int column);

/* Replies with a field of row 0 as the document, and with another one as the
 * entity tag (-1: none). */
ngx_int_t ngx_http_mchost_reply_field(ngx_http_mchost_ctx_t *ctx,
    ngx_uint_t status, ngx_mchost_pg_reply_t *reply, int document, int etag);

/* Adds Location: the API's prefix and what is given, "/servers/%V". */
ngx_int_t ngx_http_mchost_location(ngx_http_mchost_ctx_t *ctx,
    const char *format, ...);

/* The first two parameters of a list: limit and after. */
void ngx_http_mchost_page(ngx_http_mchost_ctx_t *ctx, ngx_str_t params[2]);

/* The string of a member of the body as a parameter; SQL's NULL without it. */
ngx_str_t ngx_http_mchost_body_str(ngx_http_mchost_ctx_t *ctx,
    const char *name);

/* A new UUID, and the id of the request, as two parameters: for audit. */
ngx_int_t ngx_http_mchost_trail(ngx_http_mchost_ctx_t *ctx,
    ngx_str_t params[2]);

/* Makes a token: its id and itself go to ctx (id, secret). */
ngx_int_t ngx_http_mchost_new_token(ngx_http_mchost_ctx_t *ctx,
    mc_token_e kind, ngx_str_t *hash);

/* Sends a document with one member more, "name":"text", which is text that
 * needs no escaping. */
ngx_int_t ngx_http_mchost_reply_with(ngx_http_mchost_ctx_t *ctx,
    ngx_uint_t status, const ngx_str_t *document, const char *name,
    const ngx_str_t *text);

/* A step: column 0 is the document of a 200; no row: 404. */
ngx_int_t ngx_http_mchost_document_step(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply);

/* 404, and 409 for a server that the API does not own. */
ngx_int_t ngx_http_mchost_no_server(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_gitops(ngx_http_mchost_ctx_t *ctx);

/* A header of the request, or NULL. */
ngx_table_elt_t *ngx_http_mchost_header_in(ngx_http_request_t *r,
    const char *name, size_t len);

/* The reconciler may look at this server now. */
void ngx_http_mchost_wake(ngx_http_mchost_ctx_t *ctx, const char *server,
    size_t len);

/* -- ngx_http_mchost_access.c -- */

/* Finds the request's credential. 1, or 0: a problem has been sent, and *rc is
 * what to finalize with. */
ngx_uint_t ngx_http_mchost_access(ngx_http_mchost_ctx_t *ctx, ngx_int_t *rc);

/* What a session's page shows with its changes. */
ngx_int_t ngx_http_mchost_csrf_token(const ngx_str_t *token,
    u_char csrf[NGX_HTTP_MCHOST_HASH_LEN]);

/* 401; presented: there was a token. */
ngx_int_t ngx_http_mchost_unauthorized(ngx_http_mchost_ctx_t *ctx,
    ngx_uint_t presented);

/* -- ngx_http_mchost_reply.c -- */

/* A problem of a kind of its own ("quota"), where the status says too little;
 * NULL: the status' own. */
ngx_int_t ngx_http_mchost_problem_type(ngx_http_request_t *r,
    ngx_uint_t status, const char *type, const char *detail,
    const ngx_http_mchost_fault_t *faults, ngx_uint_t nfaults);

/* The JSON text of a problem, on the request's pool. */
ngx_int_t ngx_http_mchost_problem_text(ngx_http_request_t *r,
    ngx_uint_t status, const char *type, const char *detail,
    const ngx_http_mchost_fault_t *faults, ngx_uint_t nfaults, ngx_str_t *text);

/* Headers that every reply of the API has. */
ngx_int_t ngx_http_mchost_common_headers(ngx_http_request_t *r);

/* A reply of a status without a body: 204 or 304. */
ngx_int_t ngx_http_mchost_reply_empty(ngx_http_request_t *r,
    ngx_uint_t status, ngx_str_t *etag);

/* Header and body filter: nginx's own error pages become problems. */
void ngx_http_mchost_filter_init(void);

/* -- ngx_http_mchost_args.c -- */

/* Reads the query parameters into ctx. 1, or 0: a problem has been sent, and
 * *rc is what to finalize with. */
ngx_uint_t ngx_http_mchost_args(ngx_http_mchost_ctx_t *ctx, ngx_int_t *rc);

/* 0: Accept rules JSON out. */
ngx_uint_t ngx_http_mchost_acceptable(ngx_http_request_t *r);

/* Unix time of an RFC 3339 text, or NGX_ERROR. */
ngx_int_t ngx_http_mchost_time(const ngx_str_t *value);

/* -- ngx_http_mchost_document.c -- */

/* If-Match and If-None-Match, compared with a generation. */
typedef enum {
    NGX_HTTP_MCHOST_MATCH_ABSENT,
    NGX_HTTP_MCHOST_MATCH_YES,
    NGX_HTTP_MCHOST_MATCH_NO
} ngx_http_mchost_match_e;

ngx_http_mchost_match_e ngx_http_mchost_if_match(ngx_http_request_t *r,
    const ngx_str_t *generation);
ngx_http_mchost_match_e ngx_http_mchost_if_none_match(ngx_http_request_t *r,
    const ngx_str_t *generation);

/* The generation that If-Match names; empty: any, "0": none that exists. */
ngx_str_t ngx_http_mchost_if_match_generation(ngx_http_request_t *r);

/* Reads the body as a JSON object into ctx->body. 1, or 0: a problem has been
 * sent, and *rc is what to finalize with. */
ngx_uint_t ngx_http_mchost_body_parse(ngx_http_mchost_ctx_t *ctx,
    ngx_int_t *rc);

/* Checks the document {name, spec} and fills the defaults in. As above. */
ngx_uint_t ngx_http_mchost_document_check(ngx_http_mchost_ctx_t *ctx,
    mc_json_t *document, ngx_int_t *rc);

/* The same for a document that comes in the place of another: some fields
 * cannot be changed. before is {name, spec} as it was. */
ngx_uint_t ngx_http_mchost_change_check(ngx_http_mchost_ctx_t *ctx,
    const mc_json_t *before, mc_json_t *document, ngx_int_t *rc);

/* Checks the body against a schema of conf/api.schema.json and fills its
 * defaults in. As above. */
ngx_uint_t ngx_http_mchost_body_check(ngx_http_mchost_ctx_t *ctx,
    const char *name, ngx_int_t *rc);

/* The same, with faults that the schema has no words for. They were looked for
 * in a body that may be wrong in every way. */
ngx_uint_t ngx_http_mchost_body_check_more(ngx_http_mchost_ctx_t *ctx,
    const char *name, const ngx_http_mchost_fault_t *more, ngx_uint_t nmore,
    ngx_int_t *rc);

/* Sends the problem of a document that is not valid. The pointers lose what
 * they begin with, which may be "". */
ngx_int_t ngx_http_mchost_invalid_document(ngx_http_mchost_ctx_t *ctx,
    mc_schema_error_t *errors, ngx_uint_t n, const char *prefix);

/* Checks an add-on, which is the whole body, and fills the defaults in. */
ngx_uint_t ngx_http_mchost_addon_check(ngx_http_mchost_ctx_t *ctx,
    ngx_int_t *rc);

/* Compact text on the request's pool; data is NULL when memory is out. */
ngx_str_t ngx_http_mchost_json_text(ngx_http_mchost_ctx_t *ctx,
    const mc_json_t *v);

/* A step's ctx->command, sent to the console of a server. */
ngx_int_t ngx_http_mchost_server_command(ngx_http_mchost_ctx_t *ctx);

/* A fault at a place of the document. */
void ngx_http_mchost_fault(ngx_http_mchost_fault_t *fault,
    const char *pointer, const char *code, const char *message);

/* -- routes: ngx_http_mchost_api_*.c -- */

ngx_int_t ngx_http_mchost_server_list(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_server_get(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_server_create(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_server_patch(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_server_put(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_server_delete(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_server_action(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_server_operation(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_not_there_yet(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_server_console(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_server_logs(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_server_players(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_server_access(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_server_kick(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_server_metrics(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_addon_list(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_addon_get(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_addon_create(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_addon_delete(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_backup_list(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_backup_get(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_backup_delete(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_event_list(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_audit_list(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_message_send(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_me(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_quota(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_key_list(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_key_create(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_key_get(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_key_delete(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_tenant_list(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_tenant_get(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_tenant_create(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_tenant_update(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_tenant_delete(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_platform_key_list(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_platform_key_create(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_platform_key_delete(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_platform_stats(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_member_list(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_member_get(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_member_invite(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_member_update(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_member_delete(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_member_accept(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_session_login(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_session_list(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_session_delete(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_me_password(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_totp_begin(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_totp_set(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_ticket_create(ngx_http_mchost_ctx_t *ctx);
ngx_int_t ngx_http_mchost_openapi(ngx_http_mchost_ctx_t *ctx);

/* Tries to log in, by address of mail (or NULL) and of the network. 1, or 0:
 * 429 has been sent, and *rc is what to finalize with. */
ngx_uint_t ngx_http_mchost_login_limit(ngx_http_mchost_ctx_t *ctx,
    const ngx_str_t *email, ngx_int_t *rc);

/* -- ngx_http_mchost_api_quota.c -- */

/* What a checked spec asks for, as three parameters of a statement: bytes of
 * memory, thousandths of a core, bytes of storage. NGX_ERROR: no memory. */
ngx_int_t ngx_http_mchost_server_sizes(ngx_http_mchost_ctx_t *ctx,
    const mc_json_t *spec, ngx_str_t params[3]);

/* 403 for quotas that are used up: their names, by commas. */
ngx_int_t ngx_http_mchost_quota_problem(ngx_http_mchost_ctx_t *ctx,
    const ngx_str_t *broken);

#endif
