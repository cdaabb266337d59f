/*
 * One short TCP dialogue with a deadline: connect, write, read what comes.
 * What rcon.c and ping.c have in common.
 */

#ifndef MC_DIAL_H
#define MC_DIAL_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

typedef enum {
    MC_DIAL_CONNECTED,
    MC_DIAL_DATA,               /* more bytes in the buffer */
    MC_DIAL_CLOSED,             /* by the other side, or it never listened */
    MC_DIAL_TIMEOUT,
    MC_DIAL_FULL                /* more bytes than the buffer may hold */
} mc_dial_event_t;

typedef struct mc_dial_s  mc_dial_t;

/* message is a sentence for CLOSED. After any event but CONNECTED and DATA
 * nothing follows; the handler must call mc_dial_close() in the end. */
typedef void (*mc_dial_pt)(void *data, mc_dial_event_t event,
    const char *message);

/* host is an IP address. The handler is called from the loop only. NULL: no
 * memory. */
mc_dial_t *mc_dial(uv_loop_t *loop, const char *host, uint16_t port,
    uint64_t timeout_ms, size_t buffer, mc_dial_pt handler, void *data);

/* Copies and writes. A failure shows as CLOSED later. */
void mc_dial_write(mc_dial_t *d, const void *p, size_t len);

/* What was read and not consumed. */
const uint8_t *mc_dial_bytes(const mc_dial_t *d, size_t *len);
void mc_dial_consume(mc_dial_t *d, size_t n);

/* Moves the deadline to ms from now, if that is earlier than it. */
void mc_dial_hurry(mc_dial_t *d, uint64_t ms);

/* Closes and frees; the handler is not called any more. */
void mc_dial_close(mc_dial_t *d);

#endif
