/*
 * /openapi.json: the OpenAPI 3.1 document, made when the configuration is read
 * of what the API itself works by: the route table, the schema of the server
 * document and that of the other bodies. So every route is in it and nothing
 * else, and it is served from memory.
 */

#include "ngx_http_mchost_router.h"
#include "ngx_http_mchost_conf.h"


typedef struct {
    mc_alloc_t   alloc;
    ngx_pool_t  *pool;
    ngx_uint_t   failed;                /* memory was out */
} ngx_http_mchost_openapi_t;


/* What the route table does not say. A route that is not here takes an object
 * when it takes a body, and answers some 2XX. */

static const struct {
    const char  *route;
    const char  *status;
    const char  *body;                  /* a schema, or NULL */
    const char  *summary;
} ngx_http_mchost_openapi_notes[] = {
    { "GET /servers", "200", NULL, "Servers of the tenant" },
    { "POST /servers", "201", "Server", "Make a server" },
    { "GET /servers/{id}", "200", NULL, "One server" },
    { "PUT /servers/{id}", "200", "Server", "Replace a server's spec" },
    { "PATCH /servers/{id}", "200", NULL, "Change a server's spec" },
    { "DELETE /servers/{id}", "202", NULL, "Delete a server" },
    { "POST /servers/{id}/actions/start", "202", NULL,
      "Start a server; an operation" },
    { "POST /servers/{id}/actions/stop", "202", NULL,
      "Stop a server; an operation" },
    { "POST /servers/{id}/actions/kill", "202", NULL,
      "Stop a server without time to save; an operation" },
    { "POST /servers/{id}/actions/restart", "202", NULL,
      "Restart a server; an operation" },
    { "GET /servers/{id}/operations/{operation}", "200", NULL,
      "What became of an action" },
    { "POST /servers/{id}/console", "200", "ConsoleCommand",
      "A command to the console" },
    { "GET /servers/{id}/logs", "200", NULL, "Lines of the log" },
    { "GET /servers/{id}/metrics", "200", NULL, "Use over time" },
    { "GET /servers/{id}/players", "200", NULL, "Players and access lists" },
    { "POST /servers/{id}/players/{player}/kick", "200", NULL,
      "Kick a player" },
    { "POST /servers/{id}/players/{player}/op", "200", NULL,
      "Add to the operators" },
    { "DELETE /servers/{id}/players/{player}/op", "200", NULL,
      "Take off the operators" },
    { "POST /servers/{id}/players/{player}/ban", "200", NULL,
      "Add to the bans" },
    { "DELETE /servers/{id}/players/{player}/ban", "200", NULL,
      "Take off the bans" },
    { "POST /servers/{id}/players/{player}/allow", "200", NULL,
      "Add to the allow list" },
    { "DELETE /servers/{id}/players/{player}/allow", "200", NULL,
      "Take off the allow list" },
    { "GET /servers/{id}/addons", "200", NULL, "Add-ons" },
    { "POST /servers/{id}/addons", "201", NULL, "Add an add-on" },
    { "GET /servers/{id}/addons/{addon}", "200", NULL, "One add-on" },
    { "DELETE /servers/{id}/addons/{addon}", "204", NULL, "Remove an add-on" },
    { "GET /servers/{id}/backups", "200", NULL, "Backups" },
    { "GET /servers/{id}/backups/{backup}", "200", NULL, "One backup" },
    { "DELETE /servers/{id}/backups/{backup}", "204", NULL, "Remove a backup" },
    { "GET /events", "200", NULL, "What happened to servers" },
    { "GET /audit", "200", NULL, "Who did what" },
    { "POST /messages", "202", "MessageSend", "A message to sockets" },
    { "GET /me", "200", NULL, "Who am I" },
    { "GET /quota", "200", NULL, "Limits and use" },
    { "GET /keys", "200", NULL, "API keys" },
    { "POST /keys", "201", "KeyCreate", "Make a key; its secret shows once" },
    { "GET /keys/{id}", "200", NULL, "One key" },
    { "DELETE /keys/{id}", "204", NULL, "Revoke a key" },
    { "GET /members", "200", NULL, "Members of the tenant" },
    { "POST /members", "201", "MemberCreate", "Invite a member" },
    { "POST /members/accept", "200", "InvitationAccept",
      "Accept an invitation" },
    { "GET /members/{id}", "200", NULL, "One member" },
    { "PATCH /members/{id}", "200", "MemberUpdate", "Change a member" },
    { "DELETE /members/{id}", "204", NULL, "Remove a member" },
    { "GET /sessions", "200", NULL, "Sessions" },
    { "POST /sessions", "201", "Login", "Log in" },
    { "DELETE /sessions/current", "204", NULL, "Log out" },
    { "DELETE /sessions/{id}", "204", NULL, "End a session" },
    { "POST /me/password", "204", "PasswordChange", "Change one's password" },
    { "POST /me/totp", "200", NULL, "Begin a second factor" },
    { "POST /me/totp/enable", "204", "TotpCode", "Use the second factor" },
    { "POST /me/totp/disable", "204", "TotpCode", "Drop the second factor" },
    { "POST /ws-tickets", "201", NULL, "A ticket for a socket" },
    { "GET /platform/tenants", "200", NULL, "Tenants" },
    { "POST /platform/tenants", "201", "TenantCreate", "Make a tenant" },
    { "GET /platform/tenants/{id}", "200", NULL, "One tenant" },
    { "PATCH /platform/tenants/{id}", "200", "TenantUpdate",
      "Change or suspend a tenant" },
    { "DELETE /platform/tenants/{id}", "204", NULL, "Close a tenant" },
    { "GET /platform/keys", "200", NULL, "Operators' keys" },
    { "POST /platform/keys", "201", "PlatformKeyCreate",
      "Make an operator's key" },
    { "DELETE /platform/keys/{id}", "204", NULL, "Revoke an operator's key" },
    { "GET /platform/stats", "200", NULL, "Pools, sockets and use" },
    { "GET /openapi.json", "200", NULL, "This document" },
    { NULL, "2XX", NULL, NULL }
};

static const char  *ngx_http_mchost_openapi_problems[] = {
    "400", "401", "403", "404", "406", "409", "412", "413", "415", "422",
    "428", "429", "500", "501", "503", "504", NULL
};

/* The form of each query parameter, as JSON. */

static const struct {
    const char  *name;
    const char  *schema;
} ngx_http_mchost_openapi_args[] = {
    { "limit", "{\"type\":\"integer\",\"minimum\":1,\"maximum\":200,"
               "\"default\":50}" },
    { "purge", "{\"type\":\"boolean\"}" },
    { "state", "{\"type\":\"string\",\"enum\":[\"Pending\",\"Starting\","
               "\"Running\",\"Stopping\",\"Stopped\",\"Hibernated\","
               "\"Waking\",\"Failed\",\"Deleting\"]}" },
    { "server", "{\"type\":\"string\",\"format\":\"uuid\"}" },
    { "from", "{\"type\":\"string\",\"format\":\"date-time\"}" },
    { "to", "{\"type\":\"string\",\"format\":\"date-time\"}" },
    { "step", "{\"type\":\"integer\",\"minimum\":10,\"maximum\":86400}" },
    { "q", "{\"type\":\"string\",\"maxLength\":64}" },
    { NULL, "{\"type\":\"string\"}" }
};

static const char  ngx_http_mchost_openapi_frame[] =
    "{\"openapi\":\"3.1.0\","
    "\"info\":{\"title\":\"mchost\",\"version\":\"v1\","
    "\"description\":\"Minecraft servers for many tenants.\"},"
    "\"servers\":[],\"security\":[{\"bearer\":[]},{\"session\":[]}],"
    "\"paths\":{},\"components\":{"
    "\"securitySchemes\":{"
    "\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\"},"
    "\"session\":{\"type\":\"apiKey\",\"in\":\"cookie\","
    "\"name\":\"__Host-mchost\"}},"
    "\"responses\":{\"Problem\":{\"description\":\"A problem, RFC 9457\","
    "\"content\":{\"application/problem+json\":{\"schema\":"
    "{\"$ref\":\"#/components/schemas/Problem\"}}}}},"
    "\"schemas\":{\"Problem\":{\"type\":\"object\","
    "\"required\":[\"type\",\"title\",\"status\",\"detail\",\"requestId\"],"
    "\"properties\":{\"type\":{\"type\":\"string\"},"
    "\"title\":{\"type\":\"string\"},\"status\":{\"type\":\"integer\"},"
    "\"detail\":{\"type\":\"string\"},\"requestId\":{\"type\":\"string\"},"
    "\"errors\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
    "\"required\":[\"pointer\",\"code\",\"message\"],\"properties\":{"
    "\"pointer\":{\"type\":\"string\"},\"code\":{\"type\":\"string\"},"
    "\"message\":{\"type\":\"string\"}}}}}}}}}";


/* -- small pieces -- */

static void *
ngx_http_mchost_openapi_alloc(void *pool, size_t size)
{
    return ngx_palloc(pool, size);
}


static void
ngx_http_mchost_openapi_set(ngx_http_mchost_openapi_t *o, mc_json_t *to,
    const char *key, mc_json_t *v)
{
    if (to == NULL || mc_json_set(&o->alloc, to, key, v) != 0) {
        o->failed = 1;
    }
}


static void
ngx_http_mchost_openapi_str(ngx_http_mchost_openapi_t *o, mc_json_t *to,
    const char *key, const char *text)
{
    ngx_http_mchost_openapi_set(o, to, key,
                                mc_json_string(&o->alloc, text,
                                               ngx_strlen(text)));
}


/* A member that is an object, made when it is not there. */

static mc_json_t *
ngx_http_mchost_openapi_obj(ngx_http_mchost_openapi_t *o, mc_json_t *in,
    const char *key)
{
    mc_json_t  *v;

    v = mc_json_get(in, key);

    if (v == NULL) {
        v = mc_json_object(&o->alloc);
        ngx_http_mchost_openapi_set(o, in, key, v);
    }

    return v;
}


static mc_json_t *
ngx_http_mchost_openapi_parse(ngx_http_mchost_openapi_t *o, const char *text,
    size_t len)
{
    mc_json_t        *v;
    mc_json_error_t   error;

    v = mc_json_parse(&o->alloc, text, len, &error);

    if (v == NULL) {
        o->failed = 1;
    }

    return v;
}


/* -- schemas -- */

/* Our patterns are POSIX's, those of JSON Schema are ECMA's: classes have
 * other names there. */

static void
ngx_http_mchost_openapi_pattern(ngx_http_mchost_openapi_t *o, mc_json_t *v)
{
    size_t       len;
    char        *dst, *text;
    ngx_uint_t   i;
    const char  *src;

    static const struct {
        const char  *posix, *ecma;
    } classes[] = {
        { "[:cntrl:]", "\\x00-\\x1f\\x7f" }, { "[:space:]", "\\s" },
        { NULL, NULL }
    };

    text = ngx_palloc(o->pool, 2 * v->len + 1);
    if (text == NULL) {
        o->failed = 1;
        return;
    }

    for (src = v->str, dst = text; *src; /* void */ ) {

        for (i = 0; classes[i].posix; i++) {
            len = ngx_strlen(classes[i].posix);

            if (ngx_strncmp(src, classes[i].posix, len) == 0) {
                dst = (char *) ngx_cpymem(dst, classes[i].ecma,
                                          ngx_strlen(classes[i].ecma));
                src += len;
                break;
            }
        }

        if (classes[i].posix == NULL) {
            *dst++ = *src++;
        }
    }

    *dst = '\0';
    v->str = text;
    v->len = dst - text;
}


/* What is Kubernetes' alone is left out; what the validator refuses without
 * being told so (a member that is not known) is said. */

static void
ngx_http_mchost_openapi_schema(ngx_http_mchost_openapi_t *o, mc_json_t *v)
{
    mc_json_t  *m, *next;

    for (m = v->child; m; m = next) {
        next = m->next;

        if (v->type == MC_JSON_OBJECT
            && ngx_strncmp(m->key, "x-kubernetes-", 13) == 0)
        {
            mc_json_remove(v, m->key);
            continue;
        }

        if (v->type == MC_JSON_OBJECT && m->type == MC_JSON_STRING
            && ngx_strcmp(m->key, "pattern") == 0)
        {
            ngx_http_mchost_openapi_pattern(o, m);
        }

        ngx_http_mchost_openapi_schema(o, m);
    }

    if (v->type == MC_JSON_OBJECT && mc_json_get(v, "properties")
        && mc_json_get(v, "properties")->type == MC_JSON_OBJECT
        && mc_json_get(v, "additionalProperties") == NULL
        && mc_json_get(v, "type"))
    {
        ngx_http_mchost_openapi_set(o, v, "additionalProperties",
                                    mc_json_boolean(&o->alloc, 0));
    }
}


static void
ngx_http_mchost_openapi_schemas(ngx_http_mchost_openapi_t *o, mc_json_t *doc)
{
    mc_json_t  *schemas, *server, *bodies, *m;

    schemas = mc_json_at(doc, "components.schemas");

    server = ngx_http_mchost_openapi_parse(o, mc_schema_json,
                                           mc_schema_json_len);
    bodies = ngx_http_mchost_openapi_parse(o, mc_api_schema_json,
                                           mc_api_schema_json_len);

    if (o->failed) {
        return;
    }

    ngx_http_mchost_openapi_schema(o, server);
    ngx_http_mchost_openapi_set(o, schemas, "Server", server);

    for (m = mc_json_get(bodies, "properties")->child; m; m = m->next) {
        ngx_http_mchost_openapi_schema(o, m);
        ngx_http_mchost_openapi_set(o, schemas, m->key,
                                    mc_json_copy(&o->alloc, m));
    }
}


/* -- operations -- */

static void
ngx_http_mchost_openapi_parameter(ngx_http_mchost_openapi_t *o,
    mc_json_t *list, const char *in, const char *name, size_t len,
    const char *schema)
{
    mc_json_t  *p;

    p = mc_json_object(&o->alloc);

    ngx_http_mchost_openapi_set(o, p, "name",
                                mc_json_string(&o->alloc, name, len));
    ngx_http_mchost_openapi_str(o, p, "in", in);
    ngx_http_mchost_openapi_set(o, p, "required",
                                mc_json_boolean(&o->alloc, in[0] == 'p'));
    ngx_http_mchost_openapi_set(o, p, "schema",
                                ngx_http_mchost_openapi_parse(o, schema,
                                                     ngx_strlen(schema)));

    if (p == NULL || mc_json_add(list, p) != 0) {
        o->failed = 1;
    }
}


static void
ngx_http_mchost_openapi_parameters(ngx_http_mchost_openapi_t *o,
    mc_json_t *op, const ngx_http_mchost_route_t *route)
{
    size_t       len;
    mc_json_t   *list;
    ngx_uint_t   i;
    const char  *p;

    list = mc_json_array(&o->alloc);

    for (p = strchr(route->pattern, '{'); p; p = strchr(p, '{')) {
        len = strcspn(++p, "}");
        ngx_http_mchost_openapi_parameter(o, list, "path", p, len,
                            "{\"type\":\"string\",\"minLength\":1}");
    }

    for (p = route->args; p && *p; p += strspn(p, " ")) {
        len = strcspn(p, ": ");

        for (i = 0; ngx_http_mchost_openapi_args[i].name; i++) {
            if (ngx_strlen(ngx_http_mchost_openapi_args[i].name) == len
                && ngx_strncmp(ngx_http_mchost_openapi_args[i].name, p, len)
                   == 0)
            {
                break;
            }
        }

        ngx_http_mchost_openapi_parameter(o, list, "query", p, len,
                                     ngx_http_mchost_openapi_args[i].schema);
        p += strcspn(p, " ");
    }

    ngx_http_mchost_openapi_set(o, op, "parameters", list);
}


static void
ngx_http_mchost_openapi_body(ngx_http_mchost_openapi_t *o, mc_json_t *op,
    const ngx_http_mchost_route_t *route, const char *name)
{
    char        ref[80];
    mc_json_t  *body, *media, *schema;

    if (route->body == NGX_HTTP_MCHOST_BODY_NONE) {
        return;
    }

    body = ngx_http_mchost_openapi_obj(o, op, "requestBody");
    ngx_http_mchost_openapi_set(o, body, "required",
                                mc_json_boolean(&o->alloc, 1));

    media = ngx_http_mchost_openapi_obj(o,
                   ngx_http_mchost_openapi_obj(o, body, "content"),
                   route->body == NGX_HTTP_MCHOST_BODY_MERGE_PATCH
                   ? "application/merge-patch+json" : "application/json");
    schema = ngx_http_mchost_openapi_obj(o, media, "schema");

    if (name) {
        ngx_sprintf((u_char *) ref, "#/components/schemas/%s%Z", name);
        ngx_http_mchost_openapi_str(o, schema, "$ref", ref);

    } else {
        ngx_http_mchost_openapi_str(o, schema, "type", "object");
    }
}


static void
ngx_http_mchost_openapi_responses(ngx_http_mchost_openapi_t *o, mc_json_t *op,
    const char *status)
{
    mc_json_t    *responses, *r, *media;
    const char  **p;

    responses = ngx_http_mchost_openapi_obj(o, op, "responses");
    r = ngx_http_mchost_openapi_obj(o, responses, status);

    ngx_http_mchost_openapi_str(o, r, "description", "Done");

    if (ngx_strcmp(status, "204") != 0) {
        media = ngx_http_mchost_openapi_obj(o,
                       ngx_http_mchost_openapi_obj(o, r, "content"),
                       "application/json");
        ngx_http_mchost_openapi_str(o,
                       ngx_http_mchost_openapi_obj(o, media, "schema"),
                       "type", "object");
    }

    for (p = ngx_http_mchost_openapi_problems; *p; p++) {
        r = ngx_http_mchost_openapi_obj(o, responses, *p);
        ngx_http_mchost_openapi_str(o, r, "$ref",
                                    "#/components/responses/Problem");
    }
}


static const char *
ngx_http_mchost_openapi_id(ngx_http_mchost_openapi_t *o, const char *name)
{
    char  *id, *p;

    id = ngx_palloc(o->pool, ngx_strlen(name) + 1);
    if (id == NULL) {
        o->failed = 1;
        return "";
    }

    for (p = id; *name; name++) {

        if ((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z')) {
            *p++ = (char) ngx_tolower(*name);

        } else if (p > id && p[-1] != '_') {
            *p++ = '_';
        }
    }

    while (p > id && p[-1] == '_') {
        p--;
    }

    *p = '\0';

    return id;
}


static void
ngx_http_mchost_openapi_route(ngx_http_mchost_openapi_t *o, mc_json_t *paths,
    const ngx_http_mchost_route_t *route)
{
    char        method[8];
    size_t      len;
    mc_json_t  *op;
    ngx_uint_t  i;

    for (i = 0; ngx_http_mchost_openapi_notes[i].route; i++) {
        if (ngx_strcmp(ngx_http_mchost_openapi_notes[i].route, route->name)
            == 0)
        {
            break;
        }
    }

    /* the name is METHOD /path */

    len = strcspn(route->name, " ");
    ngx_strlow((u_char *) method, (u_char *) route->name, len);
    method[len] = '\0';

    op = ngx_http_mchost_openapi_obj(o,
                ngx_http_mchost_openapi_obj(o, paths, route->name + len + 1),
                method);

    ngx_http_mchost_openapi_str(o, op, "operationId",
                                ngx_http_mchost_openapi_id(o, route->name));
    ngx_http_mchost_openapi_str(o, op, "summary",
                                ngx_http_mchost_openapi_notes[i].summary
                                ? ngx_http_mchost_openapi_notes[i].summary
                                : route->name);

    if (route->scope == NGX_HTTP_MCHOST_SCOPE_PUBLIC) {
        ngx_http_mchost_openapi_set(o, op, "security",
                                    mc_json_array(&o->alloc));

    } else if (route->scope == NGX_HTTP_MCHOST_SCOPE_PLATFORM) {
        ngx_http_mchost_openapi_str(o, op, "x-scope", "platform");

    } else if (route->scope != NGX_HTTP_MCHOST_SCOPE_ANY) {
        ngx_http_mchost_openapi_str(o, op, "x-scope",
                                   ngx_http_mchost_scope_name(route->scope));
    }

    ngx_http_mchost_openapi_parameters(o, op, route);
    ngx_http_mchost_openapi_body(o, op, route,
                                 ngx_http_mchost_openapi_notes[i].body);
    ngx_http_mchost_openapi_responses(o, op,
                                     ngx_http_mchost_openapi_notes[i].status);
}


ngx_int_t
ngx_http_mchost_openapi_make(ngx_conf_t *cf, ngx_str_t *text)
{
    size_t                     len;
    mc_json_t                 *doc, *paths;
    ngx_int_t                  rc;
    ngx_uint_t                 i;
    ngx_http_mchost_openapi_t  o;

    rc = NGX_ERROR;

    o.failed = 0;
    o.pool = ngx_create_pool(16384, cf->log);
    if (o.pool == NULL) {
        return NGX_ERROR;
    }

    o.alloc.alloc = ngx_http_mchost_openapi_alloc;
    o.alloc.pool = o.pool;

    doc = ngx_http_mchost_openapi_parse(&o, ngx_http_mchost_openapi_frame,
                                sizeof(ngx_http_mchost_openapi_frame) - 1);
    if (doc == NULL) {
        goto done;
    }

    ngx_http_mchost_openapi_schemas(&o, doc);
    paths = mc_json_get(doc, "paths");

    for (i = 0; i < ngx_http_mchost_routes_n() && !o.failed; i++) {
        ngx_http_mchost_openapi_route(&o, paths, &ngx_http_mchost_routes[i]);
    }

    if (o.failed) {
        goto done;
    }

    len = mc_json_write(NULL, 0, doc);
    text->len = len;
    text->data = ngx_pnalloc(cf->pool, len + 1);

    if (text->data) {
        (void) mc_json_write((char *) text->data, len + 1, doc);
        rc = NGX_OK;
    }

done:

    ngx_destroy_pool(o.pool);

    return rc;
}


/* -- GET /openapi.json -- */

ngx_int_t
ngx_http_mchost_openapi(ngx_http_mchost_ctx_t *ctx)
{
    ngx_http_mchost_loc_conf_t   *mlcf;
    ngx_http_mchost_main_conf_t  *mmcf;
    u_char                       *p;
    ngx_str_t                     text;

    static ngx_str_t  servers = ngx_string("\"servers\":[");

    mmcf = ngx_http_get_module_main_conf(ctx->request, ngx_http_mchost_module);
    mlcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_mchost_module);

    /* the prefix is the location's */

    p = (u_char *) ngx_strstr(mmcf->openapi.data, servers.data);

    text.data = ngx_pnalloc(ctx->request->pool, mmcf->openapi.len
                                                + mlcf->prefix.len + 16);
    if (p == NULL || text.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p += servers.len;
    text.len = ngx_sprintf(text.data, "%*s{\"url\":\"%V\"}%*s",
                           (size_t) (p - mmcf->openapi.data),
                           mmcf->openapi.data, &mlcf->prefix,
                           (size_t) (mmcf->openapi.data + mmcf->openapi.len
                                     - p), p)
               - text.data;

    return ngx_http_mchost_reply(ctx->request, NGX_HTTP_OK, &text, NULL);
}
