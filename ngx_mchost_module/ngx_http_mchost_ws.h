/*
 * Between the handshake and the socket of a WebSocket.
 */

#ifndef NGX_HTTP_MCHOST_WS_H
#define NGX_HTTP_MCHOST_WS_H

#include "ngx_http_mchost_session.h"

#define NGX_HTTP_MCHOST_WS_AUTH   10000     /* ms for the first message */
#define NGX_HTTP_MCHOST_WS_CHECK  5000      /* ms at least between looks at */
                                            /* the key; else every ping= */

/* The session of a request that is, or is becoming, a WebSocket. */
ngx_http_mchost_session_t *ngx_http_mchost_ws_session(ngx_http_request_t *r);

void ngx_http_mchost_ws_timer(ngx_http_mchost_session_t *s, ngx_msec_t ms,
    ngx_uint_t cancelable);

/* Of the connection, once it is taken over. */
void ngx_http_mchost_ws_read_handler(ngx_event_t *ev);
void ngx_http_mchost_ws_write_handler(ngx_event_t *ev);

/* Of session->timer. */
void ngx_http_mchost_ws_timer_handler(ngx_event_t *ev);

#endif
