#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "arena.h"
#include "dial.h"
#include "mc_json.h"
#include "mc_minecraft.h"
#include "ping.h"

#define BUFFER      (80 * 1024)

/* -1 is what clients send that only want to know */
#define PROTOCOL    ((uint32_t) -1)

struct mc_ping_s {
    mc_dial_t   *dial;
    char         host[64];
    uint16_t     port;
    mc_ping_pt   cb;
    void        *data;
};


static void
finish(mc_ping_t *p, const mc_pong_t *pong, const char *message)
{
    p->cb(p->data, pong, pong ? "" : message);
    mc_ping_cancel(p);
}

static int
count(const mc_json_t *v, const char *path)
{
    int64_t  n;

    if (!mc_json_is_int(mc_json_at(v, path), &n) || n < 0 || n > 1000000) {
        return -1;
    }
    return (int) n;
}

/* The answer comes from a program that a tenant chose: nothing in it is taken
 * for granted. */
static int
parse(mc_pong_t *pong, const char *text, size_t len)
{
    mc_arena_t       *arena = mc_arena_create();
    mc_alloc_t        a;
    mc_json_error_t   err;
    mc_json_t        *v;
    int               rc = -1;

    if (arena == NULL) {
        return -1;
    }
    a = mc_arena_allocator(arena);
    v = mc_json_parse(&a, text, len, &err);
    if (v && v->type == MC_JSON_OBJECT) {
        pong->online = count(v, "players.online");
        pong->max = count(v, "players.max");
        pong->protocol = count(v, "version.protocol");
        snprintf(pong->version, sizeof(pong->version), "%s",
                 mc_json_str(mc_json_at(v, "version.name"), ""));
        /* cut in the middle of a character */
        len = strlen(pong->version);
        while (len && !mc_utf8_valid(pong->version, len)) {
            pong->version[--len] = '\0';
        }
        rc = 0;
    }
    mc_arena_destroy(arena);
    return rc;
}

static void
connected(mc_ping_t *p)
{
    uint8_t  buf[320];
    size_t   n = mc_status_request(buf, sizeof(buf), p->host, p->port,
                                   PROTOCOL);

    mc_dial_write(p->dial, buf, n);
}

static void
answered(mc_ping_t *p)
{
    const uint8_t  *buf;
    const char     *json;
    size_t          len, json_len;
    mc_pong_t       pong;
    int             rc;

    buf = mc_dial_bytes(p->dial, &len);
    rc = mc_status_response(buf, len, &json, &json_len);
    if (rc == 0) {
        return;
    }
    if (rc < 0 || parse(&pong, json, json_len) != 0) {
        finish(p, NULL, "the answer is no status of a Minecraft server");
        return;
    }
    finish(p, &pong, "");
}

static void
handler(void *data, mc_dial_event_t event, const char *message)
{
    switch (event) {

    case MC_DIAL_CONNECTED:
        connected(data);
        return;

    case MC_DIAL_DATA:
        answered(data);
        return;

    default:
        finish(data, NULL, message);
        return;
    }
}

mc_ping_t *
mc_ping(uv_loop_t *loop, const char *host, uint16_t port,
    uint64_t timeout_ms, mc_ping_pt cb, void *data)
{
    mc_ping_t  *p = calloc(1, sizeof(*p));

    if (p == NULL) {
        return NULL;
    }
    p->port = port;
    p->cb = cb;
    p->data = data;
    snprintf(p->host, sizeof(p->host), "%s", host);
    p->dial = mc_dial(loop, host, port, timeout_ms, BUFFER, handler, p);
    if (p->dial == NULL) {
        free(p);
        return NULL;
    }
    return p;
}

void
mc_ping_cancel(mc_ping_t *p)
{
    mc_dial_close(p->dial);
    free(p);
}
