/*
 * /servers/{id}/players: who is there, who may do what, and out of the door.
 * The lists are part of the spec; the reconciler tells the running game.
 */

#include "ngx_http_mchost_router.h"

#define NGX_HTTP_MCHOST_PLAYER_MAX  17


static ngx_int_t ngx_http_mchost_access_step(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply);


/* As the schema has it: ^[.]?[A-Za-z0-9_]{1,16}$ */

static ngx_uint_t
ngx_http_mchost_player_valid(const ngx_str_t *name)
{
    u_char      ch;
    ngx_uint_t  i, first;

    first = (name->len && name->data[0] == '.');

    for (i = first; i < name->len; i++) {
        ch = name->data[i];

        if (!((ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z')
              || (ch >= 'A' && ch <= 'Z') || ch == '_'))
        {
            return 0;
        }
    }

    return i > first && i - first <= NGX_HTTP_MCHOST_PLAYER_MAX - 1;
}


static ngx_int_t
ngx_http_mchost_no_player(ngx_http_mchost_ctx_t *ctx)
{
    ngx_http_mchost_fault_t  fault;

    ngx_http_mchost_fault(&fault, "", "pattern", "a player's name has 1 to 16 "
                          "letters, digits and underscores, maybe behind a "
                          "dot");

    return ngx_http_mchost_problem_faults(ctx->request, 422,
                                          "That is no player's name.",
                                          &fault, 1);
}


ngx_int_t
ngx_http_mchost_server_players(ngx_http_mchost_ctx_t *ctx)
{
    return ngx_http_mchost_query(ctx, MC_SQL_SERVER_PLAYERS, &ctx->id,
                                 ngx_http_mchost_document_step);
}


/* POST adds to the list that the route's action names, DELETE removes. */

ngx_int_t
ngx_http_mchost_server_access(ngx_http_mchost_ctx_t *ctx)
{
    ngx_str_t  params[6];

    if (!ngx_http_mchost_player_valid(&ctx->sub)) {
        return ngx_http_mchost_no_player(ctx);
    }

    params[0] = ctx->id;
    params[1].data = (u_char *) ctx->route->action;
    params[1].len = ngx_strlen(ctx->route->action);
    params[3] = ctx->sub;

    if (ngx_http_mchost_trail(ctx, &params[4]) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->route->method == NGX_HTTP_POST) {
        ngx_str_set(&params[2], "add");

        return ngx_http_mchost_query_once(ctx, MC_SQL_SERVER_ACCESS, params,
                                          ngx_http_mchost_access_step);
    }

    ngx_str_set(&params[2], "remove");

    return ngx_http_mchost_query(ctx, MC_SQL_SERVER_ACCESS, params,
                                 ngx_http_mchost_access_step);
}


static ngx_int_t
ngx_http_mchost_access_step(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    if (ngx_http_mchost_rows(reply) != 1) {
        return ngx_http_mchost_no_server(ctx);
    }

    if (ngx_http_mchost_field_bool(reply, 1)) {
        return ngx_http_mchost_gitops(ctx);
    }

    if (ngx_http_mchost_field_bool(reply, 2)) {
        return ngx_http_mchost_problem(ctx->request, NGX_HTTP_CONFLICT,
                                       "The list is full.");
    }

    if (!ngx_http_mchost_field_bool(reply, 0)) {
        return ngx_http_mchost_problem(ctx->request, NGX_HTTP_CONFLICT,
                                       "The server was changed meanwhile; try "
                                       "again.");
    }

    ngx_http_mchost_wake(ctx, (char *) ctx->id.data, ctx->id.len);

    return ngx_http_mchost_reply_field(ctx, NGX_HTTP_OK, reply, 3, 4);
}


/* What is no list, but a command. */

ngx_int_t
ngx_http_mchost_server_kick(ngx_http_mchost_ctx_t *ctx)
{
    if (!ngx_http_mchost_player_valid(&ctx->sub)) {
        return ngx_http_mchost_no_player(ctx);
    }

    ctx->command.data = ngx_pnalloc(ctx->request->pool,
                                    sizeof("kick ") + ctx->sub.len);
    if (ctx->command.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->command.len = ngx_sprintf(ctx->command.data, "kick %V", &ctx->sub)
                       - ctx->command.data;

    return ngx_http_mchost_server_command(ctx);
}
