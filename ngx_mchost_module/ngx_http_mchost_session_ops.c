/*
 * auth, command and action: one segment each, and for a command the console
 * behind it.
 */

#include "ngx_http_mchost_session.h"
#include "mc_uuid.h"

#define NGX_HTTP_MCHOST_COMMAND_MAX  1000       /* bytes; RCON takes 1446 */

#define ngx_http_mchost_op_str(s, text)                                       \
    do {                                                                      \
        (s)->data = (u_char *) (text);                                        \
        (s)->len = ngx_strlen(text);                                          \
    } while (0)


/* -- auth -- */

static void
ngx_http_mchost_op_auth_done(void *data, ngx_mchost_pg_reply_t *reply)
{
    ngx_http_mchost_op_t        *op = data;
    ngx_http_mchost_session_t   *s = op->session;
    ngx_http_mchost_identity_t   id;

    if (ngx_http_mchost_op_authorized(op, reply, &id) != NGX_OK) {
        /* a failure to ask leaves the client free to try again */
        ngx_http_mchost_session_unauthenticated(s);
        return;
    }
    s->auth_pending = 0;

    if (s->authenticated
        && ngx_strcmp(id.tenant, s->identity.tenant) != 0)
    {
        ngx_http_mchost_op_error(op, "forbidden",
                                 "The key is another tenant's.");
        return;
    }

    if (!s->counted) {
        if (ngx_http_mchost_limit_socket(&id) != NGX_OK) {
            ngx_http_mchost_op_error(op, "quota",
                                     "The quota of sockets is used up.");
            ngx_http_mchost_ws_close(s, MC_WS_FORBIDDEN, "quota of sockets");
            return;
        }
        s->counted = 1;
    }

    s->identity = id;
    s->credential = op->credential;
    ngx_http_mchost_identify(s->request, &s->identity);
    ngx_http_mchost_op_result(op, "ack", NULL, 0);
    ngx_http_mchost_session_authenticated(s);
}


void
ngx_http_mchost_op_auth(ngx_http_mchost_op_t *op)
{
    ngx_str_t                   token;
    mc_json_t                  *v = mc_json_get(op->json, "token");
    ngx_http_mchost_session_t  *s = op->session;

    if (v == NULL || v->type != MC_JSON_STRING) {
        ngx_http_mchost_op_error(op, "invalid", "token is missing.");
        return;
    }
    if (s->auth_pending) {
        ngx_http_mchost_op_error(op, "invalid",
                                 "Authentication is under way.");
        return;
    }

    token.data = (u_char *) v->str;
    token.len = v->len;
    if (ngx_http_mchost_credential(&token, &op->credential) != NGX_OK
        || op->credential.kind == MC_TOKEN_PLATFORM)
    {
        ngx_http_mchost_op_error(op, "unauthorized",
                                 "The API key is not valid.");
        ngx_http_mchost_ws_close(s, MC_WS_UNAUTHORIZED, "key is not valid");
        return;
    }

    if (ngx_http_mchost_op_segment(op, &op->credential,
                                   NGX_HTTP_MCHOST_SCOPE_SERVERS_READ,
                                   NGX_HTTP_MCHOST_GATE_READ,
                                   ngx_http_mchost_op_auth_done)
        != NULL)
    {
        s->auth_pending = 1;
        ngx_mchost_pg_submit(op->segment);
    }
}


/* -- common to command and action -- */

/* Reads the member "server". NGX_ERROR: answered. An id that no server can
 * have is not found, like another tenant's. */
static ngx_int_t
ngx_http_mchost_op_server(ngx_http_mchost_op_t *op)
{
    mc_json_t  *v = mc_json_get(op->json, "server");

    if (v == NULL || v->type != MC_JSON_STRING) {
        ngx_http_mchost_op_error(op, "invalid", "server is missing.");
        return NGX_ERROR;
    }
    if (!mc_uuid_valid(v->str, v->len)) {
        ngx_http_mchost_op_error(op, "not_found", "There is no such server.");
        return NGX_ERROR;
    }
    op->server = v->str;
    return NGX_OK;
}


static void
ngx_http_mchost_op_submit(ngx_http_mchost_op_t *op,
    ngx_http_mchost_scope_e scope, ngx_uint_t sql_id, ngx_str_t *params,
    ngx_mchost_pg_handler_pt handler)
{
    if (ngx_http_mchost_op_segment(op, &op->session->credential, scope,
                                   NGX_HTTP_MCHOST_GATE_WRITE, handler)
        == NULL)
    {
        return;
    }
    if (ngx_mchost_pg_add(op->segment, sql_id, params) != NGX_OK) {
        ngx_mchost_pg_segment_free(op->segment);
        op->segment = NULL;
        ngx_http_mchost_op_error(op, "internal", "Out of memory.");
        return;
    }
    ngx_mchost_pg_submit(op->segment);
}


/* Authorised, and the statement found its server. NGX_ERROR: answered. */
static ngx_int_t
ngx_http_mchost_op_found(ngx_http_mchost_op_t *op,
    ngx_mchost_pg_reply_t *reply)
{
    ngx_http_mchost_identity_t  id;

    if (ngx_http_mchost_op_authorized(op, reply, &id) != NGX_OK) {
        return NGX_ERROR;
    }
    if (ngx_http_mchost_result(reply) == NULL
        || PQntuples(ngx_http_mchost_result(reply)) == 0)
    {
        ngx_http_mchost_op_error(op, "not_found", "There is no such server.");
        return NGX_ERROR;
    }
    return NGX_OK;
}


/* -- command -- */

/* 1 when the reconciler's code can stand in a reply: a word, not_running. */
static ngx_uint_t
ngx_http_mchost_op_word(const char *code)
{
    size_t  len = strspn(code, "abcdefghijklmnopqrstuvwxyz_");

    return len > 0 && len <= 32 && code[len] == '\0';
}


/* {"output":…} or {"error":{"code":…,"message":…}} of the reconciler. */
static void
ngx_http_mchost_op_answer(ngx_http_mchost_op_t *op, ngx_str_t *json)
{
    char             *tail;
    size_t            len;
    mc_json_t        *v, *output, *error;
    mc_alloc_t        alloc;
    mc_json_error_t   err;
    const char       *code;

    alloc = ngx_http_mchost_op_memory(op);
    v = mc_json_parse(&alloc, (char *) json->data, json->len, &err);
    error = mc_json_get(v, "error");
    output = mc_json_get(v, "output");

    if (error != NULL) {
        code = mc_json_str(mc_json_get(error, "code"), "unavailable");
        ngx_http_mchost_op_error(op,
            ngx_http_mchost_op_word(code) ? code : "unavailable",
            mc_json_str(mc_json_get(error, "message"),
                        "The server did not answer."));
        return;
    }
    if (output == NULL || output->type != MC_JSON_STRING) {
        ngx_http_mchost_op_error(op, "internal",
                                 "The answer was not understood.");
        return;
    }

    len = sizeof("\"output\":") - 1 + mc_json_write(NULL, 0, output);
    tail = ngx_pnalloc(op->pool, len + 1);
    if (tail == NULL) {
        ngx_http_mchost_op_error(op, "internal", "Out of memory.");
        return;
    }
    ngx_memcpy(tail, "\"output\":", sizeof("\"output\":") - 1);
    (void) mc_json_write(tail + sizeof("\"output\":") - 1,
                         len + 1 - (sizeof("\"output\":") - 1), output);
    ngx_http_mchost_op_result(op, "result", tail, len);
}


static void
ngx_http_mchost_op_console(void *data, ngx_uint_t status, ngx_str_t *json)
{
    ngx_http_mchost_op_t  *op = data;

    op->console = NULL;

    if (json != NULL) {
        ngx_http_mchost_op_answer(op, json);

    } else if (status == NGX_HTTP_GATEWAY_TIME_OUT) {
        ngx_http_mchost_op_error(op, "timeout",
                                 "The server did not answer in time.");

    } else {
        ngx_http_mchost_op_error(op, "unavailable",
                                 "Redis is away; try again later.");
    }
}


static void
ngx_http_mchost_op_command_done(void *data, ngx_mchost_pg_reply_t *reply)
{
    ngx_http_mchost_op_t  *op = data;

    if (ngx_http_mchost_op_found(op, reply) != NGX_OK) {
        return;
    }

    op->console = ngx_http_mchost_console_send(op->session->identity.tenant,
                                               op->server, &op->command,
                                               ngx_http_mchost_op_console, op);
    if (op->console == NULL) {
        ngx_http_mchost_op_error(op, "unavailable",
                                 "Redis is away; try again later.");
    }
}


void
ngx_http_mchost_op_command(ngx_http_mchost_op_t *op)
{
    char        audit[37];
    size_t      i;
    ngx_str_t   params[4];
    mc_json_t  *v = mc_json_get(op->json, "command");

    if (v == NULL || v->type != MC_JSON_STRING || v->len == 0
        || v->len > NGX_HTTP_MCHOST_COMMAND_MAX)
    {
        ngx_http_mchost_op_error(op, "invalid",
                                 "command is a text of 1 to 1000 bytes.");
        return;
    }
    for (i = 0; i < v->len; i++) {
        if ((u_char) v->str[i] < 0x20 || v->str[i] == 0x7f) {
            ngx_http_mchost_op_error(op, "invalid",
                                     "command is a single line.");
            return;
        }
    }
    if (ngx_http_mchost_op_server(op) != NGX_OK) {
        return;
    }

    op->command.data = (u_char *) v->str;
    op->command.len = v->len;
    ngx_http_mchost_uuid7(audit);

    ngx_http_mchost_op_str(&params[0], op->server);
    params[1] = op->command;
    ngx_http_mchost_op_str(&params[2], audit);
    ngx_http_mchost_op_str(&params[3], op->session->id);
    ngx_http_mchost_op_submit(op, NGX_HTTP_MCHOST_SCOPE_CONSOLE,
                              MC_SQL_SERVER_CONSOLE, params,
                              ngx_http_mchost_op_command_done);
}


/* -- action -- */

static void
ngx_http_mchost_op_action_done(void *data, ngx_mchost_pg_reply_t *reply)
{
    char                       *tail, wake[36 + 1 + 36 + 1];
    int                         n;
    size_t                      len;
    PGresult                   *res;
    ngx_http_mchost_op_t       *op = data;
    ngx_http_mchost_session_t  *s = op->session;

    if (ngx_http_mchost_op_found(op, reply) != NGX_OK) {
        return;
    }

    res = ngx_http_mchost_result(reply);
    if (PQgetvalue(res, 0, 0)[0] != 't') {
        ngx_http_mchost_op_error(op, "conflict",
                                 "A stopped server cannot be restarted.");
        return;
    }

    if (ngx_http_mchost_worker->redis != NULL) {
        n = snprintf(wake, sizeof(wake), "%s %s", s->identity.tenant,
                     op->server);
        ngx_mchost_redis_publish(ngx_http_mchost_worker->redis, "wake", wake,
                                 n);
    }

    len = sizeof("\"output\":") - 1 + PQgetlength(res, 0, 1);
    tail = ngx_pnalloc(op->pool, len + 1);
    if (tail == NULL) {
        ngx_http_mchost_op_error(op, "internal", "Out of memory.");
        return;
    }
    (void) snprintf(tail, len + 1, "\"output\":%s", PQgetvalue(res, 0, 1));
    ngx_http_mchost_op_result(op, "result", tail, len);
}


void
ngx_http_mchost_op_action(ngx_http_mchost_op_t *op)
{
    char         id[37];
    ngx_str_t    params[4];
    const char  *action;

    action = mc_json_str(mc_json_get(op->json, "action"), "");
    if (ngx_strcmp(action, "start") != 0 && ngx_strcmp(action, "stop") != 0
        && ngx_strcmp(action, "restart") != 0)
    {
        ngx_http_mchost_op_error(op, "invalid",
                                 "action is start, stop or restart.");
        return;
    }
    if (ngx_http_mchost_op_server(op) != NGX_OK) {
        return;
    }

    ngx_http_mchost_uuid7(id);
    ngx_http_mchost_op_str(&params[0], op->server);
    ngx_http_mchost_op_str(&params[1], action);
    ngx_http_mchost_op_str(&params[2], id);
    ngx_http_mchost_op_str(&params[3], op->session->id);
    ngx_http_mchost_op_submit(op, NGX_HTTP_MCHOST_SCOPE_SERVERS_POWER,
                              MC_SQL_SERVER_ACTION, params,
                              ngx_http_mchost_op_action_done);
}
