/*
 * The world's volume and the RCON secret.
 *
 * The volume carries the game's port in a label, so that an address lasts as
 * long as its world. Who looks for a free port must not be overtaken between
 * looking and creating: one operation at a time has its turn at the ports.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "engine.h"
#include "engine_podman_private.h"

#define PORT_FILTER  "/volumes/json?filters=%7B%22label%22%3A%5B%22" \
                     "mchost.io%2Fgame-port%22%5D%7D"

/* -- secret -- */

static void
base64(const char *s, char *dst)
{
    static const char  digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t             len = strlen(s), i;
    unsigned           n;

    for (i = 0; i < len; i += 3) {
        n = (unsigned) (unsigned char) s[i] << 16;
        n |= i + 1 < len ? (unsigned) (unsigned char) s[i + 1] << 8 : 0;
        n |= i + 2 < len ? (unsigned) (unsigned char) s[i + 2] : 0;
        *dst++ = digits[n >> 18];
        *dst++ = digits[n >> 12 & 63];
        *dst++ = i + 1 < len ? digits[n >> 6 & 63] : '=';
        *dst++ = i + 2 < len ? digits[n & 63] : '=';
    }
    *dst = '\0';
}

/* Podman wants the data map of a Kubernetes Secret, without the Secret. */
static void
create_secret(op_t *op, op_step_pt step)
{
    char  password[65], encoded[96], body[192], path[128];

    mc_rcon_password(op->server.id, password);
    base64(password, encoded);
    snprintf(body, sizeof(body), "{\"" MC_SECRET_KEY "\":\"%s\"}", encoded);
    snprintf(path, sizeof(path), "/secrets/create?name=%s", op->name);
    podman_op_send(op, step, "POST", path, "application/octet-stream", body);
    explicit_bzero(password, sizeof(password));
    explicit_bzero(encoded, sizeof(encoded));
    explicit_bzero(body, sizeof(body));
}

static bool
secret_made(const mc_http_reply_t *r)
{
    return r->status == 200 || r->status == 201
           || strstr(r->body, "secret name in use") != NULL;
}

static void
on_renewed(op_t *op, const mc_http_reply_t *r)
{
    if (secret_made(r)) {
        op->then(op, NULL);
    } else {
        podman_op_fail_reply(op, r);
    }
}

static void
on_old_gone(op_t *op, const mc_http_reply_t *r)
{
    if (r->status / 100 == 2 || r->status == 404) {
        create_secret(op, on_renewed);
    } else {
        podman_op_fail_reply(op, r);
    }
}

void
podman_renew_secret(op_t *op, op_step_pt step)
{
    char  path[128];

    op->then = step;
    snprintf(path, sizeof(path), "/secrets/%s", op->name);
    podman_op_send(op, on_old_gone, "DELETE", path, NULL, NULL);
}

static void
on_secret_created(op_t *op, const mc_http_reply_t *r)
{
    if (secret_made(r)) {
        podman_op_ok(op);
    } else {
        podman_op_fail_reply(op, r);
    }
}

static void
on_secret(op_t *op, const mc_http_reply_t *r)
{
    if (r->status == 200) {
        podman_op_ok(op);
    } else if (r->status == 404) {
        create_secret(op, on_secret_created);
    } else {
        podman_op_fail_reply(op, r);
    }
}

static void
ensure_secret(op_t *op)
{
    char  path[128];

    snprintf(path, sizeof(path), "/secrets/%s/json", op->name);
    podman_op_send(op, on_secret, "GET", path, NULL, NULL);
}


/* -- the turn at the ports -- */

static void list_ports(op_t *op);

static void
ports_enter(op_t *op)
{
    podman_t  *p = op->podman;

    op->wait = NULL;
    if (p->ports_last) {
        p->ports_last->wait = op;
    } else {
        p->ports_first = op;
    }
    p->ports_last = op;
    if (p->ports_first == op) {
        list_ports(op);
    }
}

/* The first of the queue has its turn, until here. */
void
podman_ports_leave(op_t *op)
{
    podman_t  *p = op->podman;

    if (p->ports_first != op) {
        return;
    }
    p->ports_first = op->wait;
    if (p->ports_first == NULL) {
        p->ports_last = NULL;
    } else {
        list_ports(p->ports_first);
    }
}

uint16_t
podman_volume_port(const mc_json_t *volume)
{
    const char  *s = mc_json_str(mc_json_get(mc_json_get(volume, "Labels"),
                                             MC_LABEL_GAME_PORT), "");
    long         n = strtol(s, NULL, 10);

    return n > 0 && n < 65536 ? (uint16_t) n : 0;
}

static int
socket_address(struct sockaddr_storage *ss, const char *host, uint16_t port)
{
    if (uv_ip4_addr(host, port, (struct sockaddr_in *) ss) == 0) {
        return sizeof(struct sockaddr_in);
    }
    if (uv_ip6_addr(host, port, (struct sockaddr_in6 *) ss) == 0) {
        return sizeof(struct sockaddr_in6);
    }
    return 0;
}

/* Nobody else on this machine listens there. */
static bool
bindable(const char *host, uint16_t port)
{
    struct sockaddr_storage  ss = { 0 };
    int                      len = socket_address(&ss, host, port);
    int                      fd, on = 1, rc;

    if (len == 0) {
        return false;
    }
    fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    rc = bind(fd, (struct sockaddr *) &ss, (socklen_t) len);
    if (rc == 0) {
        rc = listen(fd, 1);             /* bind() alone lets two have it */
    }
    close(fd);
    return rc == 0;
}

/* The lowest that no volume has and nobody listens on; 0: none. */
static uint16_t
free_port(const podman_t *p, const mc_json_t *volumes)
{
    unsigned char     taken[8192] = { 0 };
    const mc_json_t  *v;
    unsigned          port;

    for (v = volumes->child; v; v = v->next) {
        port = podman_volume_port(v);
        taken[port >> 3] |= (unsigned char) (1 << (port & 7));
    }
    for (port = p->port_first; port <= p->port_last; port++) {
        if (!(taken[port >> 3] & (1 << (port & 7)))
            && bindable(p->address, (uint16_t) port))
        {
            return (uint16_t) port;
        }
    }
    return 0;
}


/* -- volume -- */

static const char *
volume_body(op_t *op)
{
    mc_alloc_t      a = mc_arena_allocator(op->arena);
    mc_manifest_t   m = { .a = &a, .server = &op->server };
    mc_json_t      *labels = mc_manifest_labels(&m), *v, *opts;
    char            port[8], owner[48], *text;
    size_t          n;

    snprintf(port, sizeof(port), "%u", op->port);
    /* owned by the game's user from the start, whatever the image has there */
    snprintf(owner, sizeof(owner), "uid=%d,gid=%d,nocopy", MC_UID, MC_UID);
    v = mc_json_object(&a);
    opts = mc_json_object(&a);
    if (v == NULL || opts == NULL || labels == NULL
        || mc_json_set(&a, labels, MC_LABEL_GAME_PORT,
                       mc_json_string(&a, port, strlen(port))) != 0
        || mc_json_set(&a, opts, "o",
                       mc_json_string(&a, owner, strlen(owner))) != 0
        || mc_json_set(&a, v, "Name",
                       mc_json_string(&a, op->name, strlen(op->name))) != 0
        || mc_json_set(&a, v, "Labels", labels) != 0
        || mc_json_set(&a, v, "Options", opts) != 0)
    {
        return NULL;
    }
    n = mc_json_write(NULL, 0, v);
    text = mc_arena_alloc(op->arena, n + 1);
    if (text) {
        mc_json_write(text, n + 1, v);
    }
    return text;
}

static void
on_volume_created(op_t *op, const mc_http_reply_t *r)
{
    if (r->status == 201 || r->status == 200
        || strstr(r->body, "volume already exists"))
    {
        podman_ports_leave(op);
        ensure_secret(op);
    } else {
        podman_op_fail_reply(op, r);
    }
}

static void
on_ports(op_t *op, const mc_http_reply_t *r)
{
    mc_json_t          *v = r->status == 200 ? podman_op_json(op, r) : NULL;
    const char         *body;
    mc_engine_error_t   err;
    char                text[160];

    if (v == NULL) {
        podman_op_fail_reply(op, r);
        return;
    }
    op->port = free_port(op->podman, v);
    if (op->port == 0) {
        snprintf(text, sizeof(text), "none of the ports %u to %u on %.60s is "
                 "free", op->podman->port_first, op->podman->port_last,
                 op->podman->address);
        podman_error(&err, "PortsExhausted", true, text);
        podman_op_fail(op, &err);
        return;
    }
    body = volume_body(op);
    if (body == NULL) {
        podman_op_no_memory(op);
        return;
    }
    podman_op_send(op, on_volume_created, "POST", "/volumes/create",
                   "application/json", body);
}

static void
list_ports(op_t *op)
{
    podman_op_send(op, on_ports, "GET", PORT_FILTER, NULL, NULL);
}

static void
on_volume(op_t *op, const mc_http_reply_t *r)
{
    if (r->status == 200) {
        ensure_secret(op);
    } else if (r->status == 404) {
        ports_enter(op);
    } else {
        podman_op_fail_reply(op, r);
    }
}

void
podman_look_volume(op_t *op, op_step_pt step)
{
    char  path[128];

    snprintf(path, sizeof(path), "/volumes/%s/json", op->name);
    podman_op_send(op, step, "GET", path, NULL, NULL);
}

void
podman_ensure_storage(mc_engine_t *e, const mc_server_t *s,
    mc_engine_done_pt cb, void *data)
{
    op_t  *op = podman_op(e, s, data);

    op->done = cb;
    podman_look_volume(op, on_volume);
}


/* -- the end of it -- */

static void
on_volume_gone(op_t *op, const mc_http_reply_t *r)
{
    if (r->status / 100 == 2 || r->status == 404) {
        podman_op_ok(op);
    } else {
        podman_op_fail_reply(op, r);
    }
}

static void
on_config_gone(op_t *op, const mc_http_reply_t *r)
{
    char  path[128];

    if (r->status / 100 != 2 && r->status != 404) {
        podman_op_fail_reply(op, r);

    } else if (op->world) {
        /* not forced: a volume that a container uses is no one's to remove */
        snprintf(path, sizeof(path), "/volumes/%s", op->name);
        podman_op_send(op, on_volume_gone, "DELETE", path, NULL, NULL);

    } else {
        podman_op_ok(op);
    }
}

/* The ConfigMap goes with the pod; but this may be all that is left of one
 * whose removal was cut short. */
static void
on_secret_gone(op_t *op, const mc_http_reply_t *r)
{
    char  path[128];

    if (r->status / 100 != 2 && r->status != 404) {
        podman_op_fail_reply(op, r);
        return;
    }
    snprintf(path, sizeof(path), "/volumes/%s", op->config);
    podman_op_send(op, on_config_gone, "DELETE", path, NULL, NULL);
}

void
podman_remove_storage(mc_engine_t *e, const mc_server_t *s, bool world,
    mc_engine_done_pt cb, void *data)
{
    op_t  *op = podman_op(e, s, data);
    char   path[128];

    op->done = cb;
    op->world = world;
    snprintf(path, sizeof(path), "/secrets/%s", op->name);
    podman_op_send(op, on_secret_gone, "DELETE", path, NULL, NULL);
}
