/*
 * What is done to a server, and /me.
 */

#include "ngx_http_mchost_router.h"

#define NGX_HTTP_MCHOST_COMMAND_MAX  1446       /* what RCON takes */


static ngx_int_t ngx_http_mchost_action_step(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply);
static ngx_int_t ngx_http_mchost_console_step(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply);
static void ngx_http_mchost_console_answered(void *data, ngx_uint_t status,
    ngx_str_t *json);
static ngx_int_t ngx_http_mchost_me_step(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply);


/* -- POST /servers/{id}/actions/{action} -- */

ngx_int_t
ngx_http_mchost_server_action(ngx_http_mchost_ctx_t *ctx)
{
    ngx_str_t  params[4];

    params[0] = ctx->id;
    params[1].data = (u_char *) ctx->route->action;
    params[1].len = ngx_strlen(ctx->route->action);

    if (ngx_http_mchost_trail(ctx, &params[2]) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_mchost_query_once(ctx, MC_SQL_SERVER_ACTION, params,
                                      ngx_http_mchost_action_step);
}


static ngx_int_t
ngx_http_mchost_action_step(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    ngx_str_t  operation;

    if (ngx_http_mchost_rows(reply) != 1) {
        return ngx_http_mchost_no_server(ctx);
    }

    if (!ngx_http_mchost_field_bool(reply, 0)) {
        return ngx_http_mchost_problem(ctx->request, NGX_HTTP_CONFLICT,
                                       "The server is stopped: start it "
                                       "instead.");
    }

    operation = ngx_http_mchost_field(reply, 2);

    if (ngx_http_mchost_location(ctx, "/servers/%V/operations/%V", &ctx->id,
                                 &operation)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_mchost_wake(ctx, (char *) ctx->id.data, ctx->id.len);

    return ngx_http_mchost_reply_field(ctx, NGX_HTTP_ACCEPTED, reply, 1, -1);
}


/* -- GET /servers/{id}/operations/{operation} -- */

ngx_int_t
ngx_http_mchost_server_operation(ngx_http_mchost_ctx_t *ctx)
{
    ngx_str_t  params[2];

    if (!mc_uuid_valid((char *) ctx->sub.data, ctx->sub.len)) {
        return ngx_http_mchost_problem(ctx->request, NGX_HTTP_NOT_FOUND,
                                       "There is no such operation.");
    }

    params[0] = ctx->id;
    params[1] = ctx->sub;

    return ngx_http_mchost_query(ctx, MC_SQL_SERVER_OPERATION, params,
                                 ngx_http_mchost_document_step);
}


/* -- what only a later feature can do -- */

static ngx_int_t
ngx_http_mchost_not_there_step(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    u_char                   detail[64];
    ngx_http_mchost_fault_t  fault;

    if (ngx_http_mchost_rows(reply) != 1) {
        return ngx_http_mchost_no_server(ctx);
    }

    ngx_sprintf(detail, "This platform has no feature \"%s\" yet.%Z",
                ctx->route->action);

    fault.pointer[0] = '\0';
    fault.code = ctx->route->action;
    fault.message = "the feature is not there yet";

    return ngx_http_mchost_problem_faults(ctx->request,
                                          NGX_HTTP_NOT_IMPLEMENTED,
                                          (char *) detail, &fault, 1);
}


ngx_int_t
ngx_http_mchost_not_there_yet(ngx_http_mchost_ctx_t *ctx)
{
    return ngx_http_mchost_query(ctx, MC_SQL_SERVER_EXISTS, &ctx->id,
                                 ngx_http_mchost_not_there_step);
}


/* -- POST /servers/{id}/console -- */

ngx_int_t
ngx_http_mchost_server_console(ngx_http_mchost_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_uint_t                n;
    mc_json_t                *command;
    ngx_http_mchost_fault_t   fault;

    n = 0;
    command = mc_json_get(ctx->body, "command");

    if (command && command->len > NGX_HTTP_MCHOST_COMMAND_MAX
        && command->type == MC_JSON_STRING)
    {
        ngx_http_mchost_fault(&fault, "/command", "length",
                              "must have at most 1446 bytes");
        n = 1;
    }

    if (!ngx_http_mchost_body_check_more(ctx, "ConsoleCommand", &fault, n,
                                         &rc))
    {
        return rc;
    }

    ctx->command.data = (u_char *) command->str;
    ctx->command.len = command->len;

    return ngx_http_mchost_server_command(ctx);
}


ngx_int_t
ngx_http_mchost_server_command(ngx_http_mchost_ctx_t *ctx)
{
    ngx_str_t  params[4];

    params[0] = ctx->id;
    params[1] = ctx->command;

    if (ngx_http_mchost_trail(ctx, &params[2]) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_mchost_query_once(ctx, MC_SQL_SERVER_CONSOLE, params,
                                      ngx_http_mchost_console_step);
}


static ngx_int_t
ngx_http_mchost_console_away(ngx_http_mchost_ctx_t *ctx)
{
    return ngx_http_mchost_problem(ctx->request, NGX_HTTP_SERVICE_UNAVAILABLE,
                                   "The console cannot be reached now.");
}


/* Repeated: it is not sent again. What it said is there when the first request
 * was waited for. */

static ngx_int_t
ngx_http_mchost_console_replay(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    if (PQfnumber(ngx_http_mchost_result(reply), "answer") == 0) {
        return ngx_http_mchost_reply_field(ctx, NGX_HTTP_OK, reply, 0, -1);
    }

    return ngx_http_mchost_problem(ctx->request, NGX_HTTP_CONFLICT,
                                   "The command was sent already; its output "
                                   "is not known.");
}


static ngx_int_t
ngx_http_mchost_console_step(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    char  server[MC_UUID_LEN + 1];

    if (ngx_http_mchost_rows(reply) != 1) {
        return ngx_http_mchost_no_server(ctx);
    }

    if (ctx->replayed) {
        return ngx_http_mchost_console_replay(ctx, reply);
    }

    if (ngx_http_mchost_worker->redis == NULL) {
        return ngx_http_mchost_console_away(ctx);
    }

    /* the id as the database writes it */

    (void) ngx_cpystrn((u_char *) server,
                       ngx_http_mchost_field(reply, 1).data,
                       sizeof(server));

    ctx->console = ngx_http_mchost_console_send(ctx->identity.tenant, server,
                                                &ctx->command,
                                              ngx_http_mchost_console_answered,
                                                ctx);
    if (ctx->console == NULL) {
        return ngx_http_mchost_console_away(ctx);
    }

    ctx->request->connection->log->action = "waiting for a console";

    return NGX_HTTP_MCHOST_WAIT;
}


/* {"error": {"code", "message"}} -> a problem. */

static ngx_int_t
ngx_http_mchost_console_error(ngx_http_mchost_ctx_t *ctx,
    const mc_json_t *error)
{
    ngx_uint_t                status;
    const char               *code, *message;
    ngx_http_mchost_fault_t   fault;

    code = mc_json_str(mc_json_get(error, "code"), "unavailable");
    message = mc_json_str(mc_json_get(error, "message"),
                          "The console cannot be reached now.");

    if (ngx_strcmp(code, "not_running") == 0) {
        status = NGX_HTTP_CONFLICT;

    } else if (ngx_strcmp(code, "timeout") == 0) {
        status = NGX_HTTP_GATEWAY_TIME_OUT;

    } else if (ngx_strcmp(code, "not_found") == 0) {
        status = NGX_HTTP_NOT_FOUND;

    } else {
        status = NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    fault.pointer[0] = '\0';
    fault.code = code;
    fault.message = message;

    return ngx_http_mchost_problem_faults(ctx->request, status, message,
                                          &fault, 1);
}


static ngx_int_t
ngx_http_mchost_console_result(ngx_http_mchost_ctx_t *ctx, ngx_uint_t status,
    ngx_str_t *json)
{
    ngx_str_t         text;
    mc_json_t        *answer;
    mc_json_error_t   error;

    if (json == NULL) {
        return ngx_http_mchost_problem(ctx->request, status,
               status == NGX_HTTP_GATEWAY_TIME_OUT
               ? "The console did not answer in time."
               : "The console cannot be reached now.");
    }

    answer = mc_json_parse(&ctx->alloc, (char *) json->data, json->len,
                           &error);

    if (answer == NULL) {
        return ngx_http_mchost_console_away(ctx);
    }

    if (mc_json_get(answer, "error")) {
        return ngx_http_mchost_console_error(ctx,
                                             mc_json_get(answer, "error"));
    }

    text = ngx_http_mchost_json_text(ctx, answer);

    if (text.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_mchost_once_keep(ctx, &text);

    return ngx_http_mchost_reply(ctx->request, NGX_HTTP_OK, &text, NULL);
}


static void
ngx_http_mchost_console_answered(void *data, ngx_uint_t status,
    ngx_str_t *json)
{
    ngx_http_mchost_ctx_t *ctx = data;

    ctx->console = NULL;

    ngx_http_set_log_request(ctx->request->connection->log, ctx->request);

    ngx_http_mchost_finish(ctx, ngx_http_mchost_console_result(ctx, status,
                                                               json));
}


/* -- GET /me -- */

ngx_int_t
ngx_http_mchost_me(ngx_http_mchost_ctx_t *ctx)
{
    return ngx_http_mchost_query(ctx, MC_SQL_ME, NULL,
                                 ngx_http_mchost_me_step);
}


static ngx_int_t
ngx_http_mchost_me_step(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    if (ngx_http_mchost_rows(reply) != 1) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_mchost_reply_field(ctx, NGX_HTTP_OK, reply, 0, -1);
}
