/*
 * The route table of the API.
 */

#include "ngx_http_mchost_router.h"
#include "mc_path.h"


const ngx_http_mchost_route_t  ngx_http_mchost_routes[] = {

    { NGX_HTTP_GET, "servers", "GET /servers",
      NGX_HTTP_MCHOST_SCOPE_SERVERS_READ,
      NGX_HTTP_MCHOST_BODY_NONE, "limit after state q", NULL,
      ngx_http_mchost_server_list },

    { NGX_HTTP_POST, "servers", "POST /servers",
      NGX_HTTP_MCHOST_SCOPE_SERVERS_WRITE,
      NGX_HTTP_MCHOST_BODY_JSON, "", NULL,
      ngx_http_mchost_server_create },

    { NGX_HTTP_GET, "servers/{id}", "GET /servers/{id}",
      NGX_HTTP_MCHOST_SCOPE_SERVERS_READ,
      NGX_HTTP_MCHOST_BODY_NONE, "", NULL,
      ngx_http_mchost_server_get },

    { NGX_HTTP_PATCH, "servers/{id}", "PATCH /servers/{id}",
      NGX_HTTP_MCHOST_SCOPE_SERVERS_WRITE,
      NGX_HTTP_MCHOST_BODY_MERGE_PATCH, "", NULL,
      ngx_http_mchost_server_patch },

    { NGX_HTTP_PUT, "servers/{id}", "PUT /servers/{id}",
      NGX_HTTP_MCHOST_SCOPE_SERVERS_WRITE,
      NGX_HTTP_MCHOST_BODY_JSON, "", NULL,
      ngx_http_mchost_server_put },

    { NGX_HTTP_DELETE, "servers/{id}", "DELETE /servers/{id}",
      NGX_HTTP_MCHOST_SCOPE_SERVERS_WRITE,
      NGX_HTTP_MCHOST_BODY_NONE, "purge", NULL,
      ngx_http_mchost_server_delete },

    { NGX_HTTP_POST, "servers/{id}/actions/start",
      "POST /servers/{id}/actions/start",
      NGX_HTTP_MCHOST_SCOPE_SERVERS_POWER,
      NGX_HTTP_MCHOST_BODY_NONE, "", "start",
      ngx_http_mchost_server_action },

    { NGX_HTTP_POST, "servers/{id}/actions/stop",
      "POST /servers/{id}/actions/stop",
      NGX_HTTP_MCHOST_SCOPE_SERVERS_POWER,
      NGX_HTTP_MCHOST_BODY_NONE, "", "stop",
      ngx_http_mchost_server_action },

    { NGX_HTTP_POST, "servers/{id}/actions/restart",
      "POST /servers/{id}/actions/restart",
      NGX_HTTP_MCHOST_SCOPE_SERVERS_POWER,
      NGX_HTTP_MCHOST_BODY_NONE, "", "restart",
      ngx_http_mchost_server_action },

    { NGX_HTTP_POST, "servers/{id}/actions/kill",
      "POST /servers/{id}/actions/kill",
      NGX_HTTP_MCHOST_SCOPE_SERVERS_POWER,
      NGX_HTTP_MCHOST_BODY_NONE, "", "kill",
      ngx_http_mchost_server_action },

    { NGX_HTTP_POST, "servers/{id}/actions/hibernate",
      "POST /servers/{id}/actions/hibernate",
      NGX_HTTP_MCHOST_SCOPE_SERVERS_POWER,
      NGX_HTTP_MCHOST_BODY_NONE, "", "hibernate",
      ngx_http_mchost_not_there_yet },

    { NGX_HTTP_POST, "servers/{id}/actions/wake",
      "POST /servers/{id}/actions/wake",
      NGX_HTTP_MCHOST_SCOPE_SERVERS_POWER,
      NGX_HTTP_MCHOST_BODY_NONE, "", "wake",
      ngx_http_mchost_not_there_yet },

    { NGX_HTTP_GET, "servers/{id}/operations/{operation}",
      "GET /servers/{id}/operations/{operation}",
      NGX_HTTP_MCHOST_SCOPE_SERVERS_READ,
      NGX_HTTP_MCHOST_BODY_NONE, "", NULL,
      ngx_http_mchost_server_operation },

    { NGX_HTTP_POST, "servers/{id}/console", "POST /servers/{id}/console",
      NGX_HTTP_MCHOST_SCOPE_CONSOLE, NGX_HTTP_MCHOST_BODY_JSON, "", NULL,
      ngx_http_mchost_server_console },

    { NGX_HTTP_GET, "servers/{id}/logs",
      "GET /servers/{id}/logs",
      NGX_HTTP_MCHOST_SCOPE_SERVERS_READ,
      NGX_HTTP_MCHOST_BODY_NONE, "limit after:stream", NULL,
      ngx_http_mchost_server_logs },

    { NGX_HTTP_GET, "servers/{id}/metrics",
      "GET /servers/{id}/metrics",
      NGX_HTTP_MCHOST_SCOPE_SERVERS_READ,
      NGX_HTTP_MCHOST_BODY_NONE, "from to step", NULL,
      ngx_http_mchost_server_metrics },

    { NGX_HTTP_GET, "servers/{id}/players",
      "GET /servers/{id}/players",
      NGX_HTTP_MCHOST_SCOPE_SERVERS_READ,
      NGX_HTTP_MCHOST_BODY_NONE, "", NULL,
      ngx_http_mchost_server_players },

    { NGX_HTTP_POST, "servers/{id}/players/{player}/kick",
      "POST /servers/{id}/players/{player}/kick",
      NGX_HTTP_MCHOST_SCOPE_PLAYERS,
      NGX_HTTP_MCHOST_BODY_NONE, "", NULL,
      ngx_http_mchost_server_kick },

    { NGX_HTTP_POST, "servers/{id}/players/{player}/op",
      "POST /servers/{id}/players/{player}/op",
      NGX_HTTP_MCHOST_SCOPE_PLAYERS,
      NGX_HTTP_MCHOST_BODY_NONE, "", "op",
      ngx_http_mchost_server_access },

    { NGX_HTTP_DELETE, "servers/{id}/players/{player}/op",
      "DELETE /servers/{id}/players/{player}/op",
      NGX_HTTP_MCHOST_SCOPE_PLAYERS,
      NGX_HTTP_MCHOST_BODY_NONE, "", "op",
      ngx_http_mchost_server_access },

    { NGX_HTTP_POST, "servers/{id}/players/{player}/ban",
      "POST /servers/{id}/players/{player}/ban",
      NGX_HTTP_MCHOST_SCOPE_PLAYERS,
      NGX_HTTP_MCHOST_BODY_NONE, "", "ban",
      ngx_http_mchost_server_access },

    { NGX_HTTP_DELETE, "servers/{id}/players/{player}/ban",
      "DELETE /servers/{id}/players/{player}/ban",
      NGX_HTTP_MCHOST_SCOPE_PLAYERS,
      NGX_HTTP_MCHOST_BODY_NONE, "", "ban",
      ngx_http_mchost_server_access },

    { NGX_HTTP_POST, "servers/{id}/players/{player}/allow",
      "POST /servers/{id}/players/{player}/allow",
      NGX_HTTP_MCHOST_SCOPE_PLAYERS,
      NGX_HTTP_MCHOST_BODY_NONE, "", "allow",
      ngx_http_mchost_server_access },

    { NGX_HTTP_DELETE, "servers/{id}/players/{player}/allow",
      "DELETE /servers/{id}/players/{player}/allow",
      NGX_HTTP_MCHOST_SCOPE_PLAYERS,
      NGX_HTTP_MCHOST_BODY_NONE, "", "allow",
      ngx_http_mchost_server_access },

    { NGX_HTTP_GET, "servers/{id}/addons",
      "GET /servers/{id}/addons",
      NGX_HTTP_MCHOST_SCOPE_SERVERS_READ,
      NGX_HTTP_MCHOST_BODY_NONE, "", NULL,
      ngx_http_mchost_addon_list },

    { NGX_HTTP_POST, "servers/{id}/addons",
      "POST /servers/{id}/addons",
      NGX_HTTP_MCHOST_SCOPE_SERVERS_WRITE,
      NGX_HTTP_MCHOST_BODY_JSON, "", NULL,
      ngx_http_mchost_addon_create },

    { NGX_HTTP_GET, "servers/{id}/addons/{addon}",
      "GET /servers/{id}/addons/{addon}",
      NGX_HTTP_MCHOST_SCOPE_SERVERS_READ,
      NGX_HTTP_MCHOST_BODY_NONE, "", NULL,
      ngx_http_mchost_addon_get },

    { NGX_HTTP_DELETE, "servers/{id}/addons/{addon}",
      "DELETE /servers/{id}/addons/{addon}",
      NGX_HTTP_MCHOST_SCOPE_SERVERS_WRITE,
      NGX_HTTP_MCHOST_BODY_NONE, "", NULL,
      ngx_http_mchost_addon_delete },

    { NGX_HTTP_GET, "servers/{id}/backups",
      "GET /servers/{id}/backups",
      NGX_HTTP_MCHOST_SCOPE_SERVERS_READ,
      NGX_HTTP_MCHOST_BODY_NONE, "limit after", NULL,
      ngx_http_mchost_backup_list },

    { NGX_HTTP_POST, "servers/{id}/backups",
      "POST /servers/{id}/backups",
      NGX_HTTP_MCHOST_SCOPE_BACKUPS,
      NGX_HTTP_MCHOST_BODY_NONE, "", "backup",
      ngx_http_mchost_not_there_yet },

    { NGX_HTTP_GET, "servers/{id}/backups/{backup}",
      "GET /servers/{id}/backups/{backup}",
      NGX_HTTP_MCHOST_SCOPE_SERVERS_READ,
      NGX_HTTP_MCHOST_BODY_NONE, "", NULL,
      ngx_http_mchost_backup_get },

    { NGX_HTTP_DELETE, "servers/{id}/backups/{backup}",
      "DELETE /servers/{id}/backups/{backup}",
      NGX_HTTP_MCHOST_SCOPE_BACKUPS,
      NGX_HTTP_MCHOST_BODY_NONE, "", NULL,
      ngx_http_mchost_backup_delete },

    { NGX_HTTP_POST, "servers/{id}/backups/{backup}/restore",
      "POST /servers/{id}/backups/{backup}/restore",
      NGX_HTTP_MCHOST_SCOPE_BACKUPS,
      NGX_HTTP_MCHOST_BODY_NONE, "", "restore",
      ngx_http_mchost_not_there_yet },

    { NGX_HTTP_GET, "events",
      "GET /events",
      NGX_HTTP_MCHOST_SCOPE_SERVERS_READ,
      NGX_HTTP_MCHOST_BODY_NONE, "limit after server", NULL,
      ngx_http_mchost_event_list },

    { NGX_HTTP_GET, "audit",
      "GET /audit",
      NGX_HTTP_MCHOST_SCOPE_AUDIT_READ,
      NGX_HTTP_MCHOST_BODY_NONE, "limit after server", NULL,
      ngx_http_mchost_audit_list },

    { NGX_HTTP_POST, "messages",
      "POST /messages",
      NGX_HTTP_MCHOST_SCOPE_MESSAGES,
      NGX_HTTP_MCHOST_BODY_JSON, "", NULL,
      ngx_http_mchost_message_send },

    { NGX_HTTP_GET, "me", "GET /me",
      NGX_HTTP_MCHOST_SCOPE_ANY,
      NGX_HTTP_MCHOST_BODY_NONE, "", NULL,
      ngx_http_mchost_me },

    { NGX_HTTP_GET, "quota", "GET /quota",
      NGX_HTTP_MCHOST_SCOPE_ANY,
      NGX_HTTP_MCHOST_BODY_NONE, "", NULL,
      ngx_http_mchost_quota },

    { NGX_HTTP_GET, "keys", "GET /keys",
      NGX_HTTP_MCHOST_SCOPE_KEYS,
      NGX_HTTP_MCHOST_BODY_NONE, "limit after q", NULL,
      ngx_http_mchost_key_list },

    { NGX_HTTP_POST, "keys", "POST /keys",
      NGX_HTTP_MCHOST_SCOPE_KEYS,
      NGX_HTTP_MCHOST_BODY_JSON, "", NULL,
      ngx_http_mchost_key_create },

    { NGX_HTTP_GET, "keys/{id}", "GET /keys/{id}",
      NGX_HTTP_MCHOST_SCOPE_KEYS,
      NGX_HTTP_MCHOST_BODY_NONE, "", NULL,
      ngx_http_mchost_key_get },

    { NGX_HTTP_DELETE, "keys/{id}", "DELETE /keys/{id}",
      NGX_HTTP_MCHOST_SCOPE_KEYS,
      NGX_HTTP_MCHOST_BODY_NONE, "", NULL,
      ngx_http_mchost_key_delete },

    { NGX_HTTP_GET, "platform/tenants",
      "GET /platform/tenants",
      NGX_HTTP_MCHOST_SCOPE_PLATFORM,
      NGX_HTTP_MCHOST_BODY_NONE, "limit after q", NULL,
      ngx_http_mchost_tenant_list },

    { NGX_HTTP_POST, "platform/tenants",
      "POST /platform/tenants",
      NGX_HTTP_MCHOST_SCOPE_PLATFORM,
      NGX_HTTP_MCHOST_BODY_JSON, "", NULL,
      ngx_http_mchost_tenant_create },

    { NGX_HTTP_GET, "platform/tenants/{id}",
      "GET /platform/tenants/{id}",
      NGX_HTTP_MCHOST_SCOPE_PLATFORM,
      NGX_HTTP_MCHOST_BODY_NONE, "", NULL,
      ngx_http_mchost_tenant_get },

    { NGX_HTTP_PATCH, "platform/tenants/{id}",
      "PATCH /platform/tenants/{id}",
      NGX_HTTP_MCHOST_SCOPE_PLATFORM,
      NGX_HTTP_MCHOST_BODY_MERGE_PATCH, "", NULL,
      ngx_http_mchost_tenant_update },

    { NGX_HTTP_DELETE, "platform/tenants/{id}",
      "DELETE /platform/tenants/{id}",
      NGX_HTTP_MCHOST_SCOPE_PLATFORM,
      NGX_HTTP_MCHOST_BODY_NONE, "", NULL,
      ngx_http_mchost_tenant_delete },

    { NGX_HTTP_GET, "platform/keys",
      "GET /platform/keys",
      NGX_HTTP_MCHOST_SCOPE_PLATFORM,
      NGX_HTTP_MCHOST_BODY_NONE, "limit after", NULL,
      ngx_http_mchost_platform_key_list },

    { NGX_HTTP_POST, "platform/keys",
      "POST /platform/keys",
      NGX_HTTP_MCHOST_SCOPE_PLATFORM,
      NGX_HTTP_MCHOST_BODY_JSON, "", NULL,
      ngx_http_mchost_platform_key_create },

    { NGX_HTTP_DELETE, "platform/keys/{id}",
      "DELETE /platform/keys/{id}",
      NGX_HTTP_MCHOST_SCOPE_PLATFORM,
      NGX_HTTP_MCHOST_BODY_NONE, "", NULL,
      ngx_http_mchost_platform_key_delete },

    { NGX_HTTP_GET, "platform/stats",
      "GET /platform/stats",
      NGX_HTTP_MCHOST_SCOPE_PLATFORM,
      NGX_HTTP_MCHOST_BODY_NONE, "", NULL,
      ngx_http_mchost_platform_stats },

    { NGX_HTTP_GET, "members", "GET /members",
      NGX_HTTP_MCHOST_SCOPE_MEMBERS,
      NGX_HTTP_MCHOST_BODY_NONE, "limit after", NULL,
      ngx_http_mchost_member_list },

    { NGX_HTTP_POST, "members", "POST /members",
      NGX_HTTP_MCHOST_SCOPE_MEMBERS,
      NGX_HTTP_MCHOST_BODY_JSON, "", NULL,
      ngx_http_mchost_member_invite },

    { NGX_HTTP_POST, "members/accept", "POST /members/accept",
      NGX_HTTP_MCHOST_SCOPE_PUBLIC,
      NGX_HTTP_MCHOST_BODY_JSON, "", NULL,
      ngx_http_mchost_member_accept },

    { NGX_HTTP_GET, "members/{id}", "GET /members/{id}",
      NGX_HTTP_MCHOST_SCOPE_MEMBERS,
      NGX_HTTP_MCHOST_BODY_NONE, "", NULL,
      ngx_http_mchost_member_get },

    { NGX_HTTP_PATCH, "members/{id}", "PATCH /members/{id}",
      NGX_HTTP_MCHOST_SCOPE_MEMBERS,
      NGX_HTTP_MCHOST_BODY_MERGE_PATCH, "", NULL,
      ngx_http_mchost_member_update },

    { NGX_HTTP_DELETE, "members/{id}", "DELETE /members/{id}",
      NGX_HTTP_MCHOST_SCOPE_MEMBERS,
      NGX_HTTP_MCHOST_BODY_NONE, "", NULL,
      ngx_http_mchost_member_delete },

    { NGX_HTTP_GET, "sessions", "GET /sessions",
      NGX_HTTP_MCHOST_SCOPE_ANY,
      NGX_HTTP_MCHOST_BODY_NONE, "limit after", NULL,
      ngx_http_mchost_session_list },

    { NGX_HTTP_POST, "sessions", "POST /sessions",
      NGX_HTTP_MCHOST_SCOPE_PUBLIC,
      NGX_HTTP_MCHOST_BODY_JSON, "", NULL,
      ngx_http_mchost_session_login },

    { NGX_HTTP_DELETE, "sessions/current", "DELETE /sessions/current",
      NGX_HTTP_MCHOST_SCOPE_ANY,
      NGX_HTTP_MCHOST_BODY_NONE, "", NULL,
      ngx_http_mchost_session_delete },

    { NGX_HTTP_DELETE, "sessions/{id}", "DELETE /sessions/{id}",
      NGX_HTTP_MCHOST_SCOPE_ANY,
      NGX_HTTP_MCHOST_BODY_NONE, "", NULL,
      ngx_http_mchost_session_delete },

    { NGX_HTTP_POST, "me/password", "POST /me/password",
      NGX_HTTP_MCHOST_SCOPE_ANY,
      NGX_HTTP_MCHOST_BODY_JSON, "", NULL,
      ngx_http_mchost_me_password },

    { NGX_HTTP_POST, "me/totp", "POST /me/totp",
      NGX_HTTP_MCHOST_SCOPE_ANY,
      NGX_HTTP_MCHOST_BODY_NONE, "", NULL,
      ngx_http_mchost_totp_begin },

    { NGX_HTTP_POST, "me/totp/enable", "POST /me/totp/enable",
      NGX_HTTP_MCHOST_SCOPE_ANY,
      NGX_HTTP_MCHOST_BODY_JSON, "", "enable",
      ngx_http_mchost_totp_set },

    { NGX_HTTP_POST, "me/totp/disable", "POST /me/totp/disable",
      NGX_HTTP_MCHOST_SCOPE_ANY,
      NGX_HTTP_MCHOST_BODY_JSON, "", "disable",
      ngx_http_mchost_totp_set },

    { NGX_HTTP_POST, "ws-tickets", "POST /ws-tickets",
      NGX_HTTP_MCHOST_SCOPE_ANY,
      NGX_HTTP_MCHOST_BODY_NONE, "", NULL,
      ngx_http_mchost_ticket_create },

    { NGX_HTTP_GET, "openapi.json", "GET /openapi.json",
      NGX_HTTP_MCHOST_SCOPE_PUBLIC,
      NGX_HTTP_MCHOST_BODY_NONE, "", NULL,
      ngx_http_mchost_openapi }
};


#define NGX_HTTP_MCHOST_ROUTES_N                                              \
    (sizeof(ngx_http_mchost_routes) / sizeof(ngx_http_mchost_routes[0]))


static const struct {
    ngx_uint_t   method;
    const char  *name;
} ngx_http_mchost_methods[] = {
    { NGX_HTTP_GET, "GET, HEAD" },
    { NGX_HTTP_POST, "POST" },
    { NGX_HTTP_PUT, "PUT" },
    { NGX_HTTP_PATCH, "PATCH" },
    { NGX_HTTP_DELETE, "DELETE" },
    { 0, NULL }
};


const ngx_http_mchost_route_t *
ngx_http_mchost_route(ngx_http_mchost_ctx_t *ctx, const ngx_str_t *path,
    ngx_uint_t method, ngx_uint_t *allowed)
{
    ngx_uint_t                      i;
    mc_path_name_t                  names[NGX_HTTP_MCHOST_PATH_NAMES];
    const ngx_http_mchost_route_t  *route;

    *allowed = 0;

    if (method == NGX_HTTP_HEAD) {
        method = NGX_HTTP_GET;
    }

    for (i = 0; i < NGX_HTTP_MCHOST_ROUTES_N; i++) {
        route = &ngx_http_mchost_routes[i];

        ngx_memzero(names, sizeof(names));

        if (mc_path_match(route->pattern, (char *) path->data, path->len,
                          names, NGX_HTTP_MCHOST_PATH_NAMES)
            < 0)
        {
            continue;
        }

        if (route->method == method) {
            ctx->id.data = (u_char *) names[0].data;
            ctx->id.len = names[0].len;
            ctx->sub.data = (u_char *) names[1].data;
            ctx->sub.len = names[1].len;
            return route;
        }

        *allowed |= route->method;
    }

    return NULL;
}


ngx_uint_t
ngx_http_mchost_route_index(const ngx_http_mchost_route_t *route)
{
    return route - ngx_http_mchost_routes;
}


ngx_uint_t
ngx_http_mchost_routes_n(void)
{
    return NGX_HTTP_MCHOST_ROUTES_N;
}


ngx_str_t
ngx_http_mchost_allow(ngx_pool_t *pool, ngx_uint_t allowed)
{
    u_char      *p;
    ngx_str_t    s;
    ngx_uint_t   i;

    s.len = 0;
    s.data = ngx_pnalloc(pool, sizeof("GET, HEAD, POST, PUT, PATCH, DELETE, "
                                      "OPTIONS"));
    if (s.data == NULL) {
        return s;
    }

    p = s.data;

    for (i = 0; ngx_http_mchost_methods[i].name; i++) {
        if (allowed & ngx_http_mchost_methods[i].method) {
            p = ngx_sprintf(p, "%s, ", ngx_http_mchost_methods[i].name);
        }
    }

    p = ngx_sprintf(p, "OPTIONS");
    s.len = p - s.data;

    return s;
}
