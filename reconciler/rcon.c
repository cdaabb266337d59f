/*
 * The game reads a packet in one piece and closes on anything else, so that
 * each is written alone and the next one only after an answer. A long answer
 * comes in several packets without an end mark: a packet of a type that does
 * not exist is sent after the first, and what comes before its answer belongs
 * to the command.
 */

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "dial.h"
#include "mc_minecraft.h"
#include "rcon.h"

#define ID_LOGIN    1
#define ID_COMMAND  2
#define ID_END      3
#define TYPE_END    100
#define END_MS      1500            /* for games that ignore the end packet */
#define BUFFER      (64 * 1024)

typedef enum { CONNECT, LOGIN, COMMAND, COLLECT } state_t;

struct mc_rcon_s {
    mc_dial_t   *dial;
    state_t      state;
    char        *password, *command;
    char        *out;
    size_t       len, size;
    mc_rcon_pt   cb;
    void        *data;
};


static void
rcon_free(mc_rcon_t *r)
{
    mc_dial_close(r->dial);
    if (r->password) {
        explicit_bzero(r->password, strlen(r->password));
    }
    free(r->password);
    free(r->command);
    free(r->out);
    free(r);
}

/* Formatting codes are the section sign (C2 A7) and one character. */
static size_t
strip_codes(char *s, size_t len)
{
    size_t  i, n = 0;

    for (i = 0; i < len; i++) {
        if ((unsigned char) s[i] == 0xc2 && i + 2 < len
            && (unsigned char) s[i + 1] == 0xa7)
        {
            i += 2;
            continue;
        }
        s[n++] = s[i];
    }
    return n;
}

static void
finish(mc_rcon_t *r, mc_rcon_status_t status, const char *message)
{
    size_t  len = 0;

    if (status == MC_RCON_OK && r->out) {
        len = strip_codes(r->out, r->len);
        r->out[len] = '\0';
    }
    r->cb(r->data, status, len ? r->out : "", len,
          status == MC_RCON_OK ? "" : message);
    rcon_free(r);
}

static int
send_packet(mc_rcon_t *r, int32_t id, int32_t type, const char *body)
{
    uint8_t  buf[MC_RCON_BODY_MAX + 16];
    size_t   n = mc_rcon_write(buf, sizeof(buf), id, type, body,
                               strlen(body));

    if (n == 0) {
        return -1;
    }
    mc_dial_write(r->dial, buf, n);
    explicit_bzero(buf, n);
    return 0;
}

/* What does not fit any more is dropped. */
static void
collect(mc_rcon_t *r, const char *p, size_t n)
{
    size_t   size = r->size ? r->size : 4096;
    char    *out;

    if (n > MC_RCON_OUTPUT_MAX - r->len) {
        n = MC_RCON_OUTPUT_MAX - r->len;
    }
    while (size < r->len + n + 1) {
        size *= 2;
    }
    if (size != r->size) {
        out = realloc(r->out, size);
        if (out == NULL) {
            return;
        }
        r->out = out;
        r->size = size;
    }
    memcpy(r->out + r->len, p, n);
    r->len += n;
}

/* One packet; true when the dialogue is over and r is gone. */
static bool
packet(mc_rcon_t *r, const mc_rcon_packet_t *p)
{
    if (p->id == -1) {
        finish(r, MC_RCON_DENIED, "the game refuses the RCON password");
        return true;
    }
    if (r->state == LOGIN) {
        if (p->type != MC_RCON_COMMAND || p->id != ID_LOGIN) {
            return false;       /* some send an empty response first */
        }
        r->state = COMMAND;
        send_packet(r, ID_COMMAND, MC_RCON_COMMAND, r->command);
        return false;
    }
    if (p->id == ID_END) {
        finish(r, MC_RCON_OK, "");
        return true;
    }
    if (p->id != ID_COMMAND) {
        return false;
    }
    collect(r, p->body, p->len);
    if (r->state == COMMAND) {
        r->state = COLLECT;
        send_packet(r, ID_END, TYPE_END, "");
        mc_dial_hurry(r->dial, END_MS);
    }
    return false;
}

static void
read_packets(mc_rcon_t *r)
{
    mc_rcon_packet_t   p;
    const uint8_t     *buf;
    size_t             len;
    int                n;

    for ( ;; ) {
        buf = mc_dial_bytes(r->dial, &len);
        n = mc_rcon_read(buf, len, &p);
        if (n == 0) {
            return;
        }
        if (n < 0) {
            finish(r, MC_RCON_INVALID, "the answer is not RCON");
            return;
        }
        if (packet(r, &p)) {
            return;
        }
        mc_dial_consume(r->dial, (size_t) n);
    }
}

static void
connected(mc_rcon_t *r)
{
    if (strlen(r->command) > MC_RCON_BODY_MAX) {
        finish(r, MC_RCON_INVALID, "the command is too long");
        return;
    }
    r->state = LOGIN;
    if (send_packet(r, ID_LOGIN, MC_RCON_LOGIN, r->password) != 0) {
        finish(r, MC_RCON_INVALID, "the RCON password is too long");
    }
}

static void
handler(void *data, mc_dial_event_t event, const char *message)
{
    mc_rcon_t  *r = data;

    switch (event) {

    case MC_DIAL_CONNECTED:
        connected(r);
        return;

    case MC_DIAL_DATA:
        read_packets(r);
        return;

    case MC_DIAL_CLOSED:
        /* "stop" is answered by the end of the connection */
        finish(r, r->state <= LOGIN ? MC_RCON_UNREACHABLE : MC_RCON_OK,
               message);
        return;

    case MC_DIAL_TIMEOUT:
        finish(r, r->state == COLLECT ? MC_RCON_OK
                  : r->state == CONNECT ? MC_RCON_UNREACHABLE : MC_RCON_TIMEOUT,
               "no answer to RCON in time");
        return;

    case MC_DIAL_FULL:
        finish(r, MC_RCON_INVALID, "the answer is not RCON");
        return;
    }
}

mc_rcon_t *
mc_rcon_exec(uv_loop_t *loop, const char *host, uint16_t port,
    const char *password, const char *command, uint64_t timeout_ms,
    mc_rcon_pt cb, void *data)
{
    mc_rcon_t  *r = calloc(1, sizeof(*r));

    if (r == NULL) {
        return NULL;
    }
    r->cb = cb;
    r->data = data;
    r->password = strdup(password);
    r->command = strdup(command);
    if (r->password && r->command) {
        r->dial = mc_dial(loop, host, port, timeout_ms, BUFFER, handler, r);
    }
    if (r->dial == NULL) {
        free(r->password);
        free(r->command);
        free(r);
        return NULL;
    }
    return r;
}

void
mc_rcon_cancel(mc_rcon_t *r)
{
    rcon_free(r);
}
