/*
 * One request: what libcurl is told about it, and what it gets back.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "http_private.h"

#define CONNECT_MS  5000L


int
mc_http_keep(mc_http_req_t *req, const char *p, size_t n)
{
    size_t   size = req->size ? req->size : 1024;
    char    *body;

    if (n > req->max - req->len) {
        req->too_big = true;
        return -1;
    }
    while (size < req->len + n + 1) {
        size *= 2;
    }
    if (size != req->size) {
        body = realloc(req->body, size);
        if (body == NULL) {
            return -1;
        }
        req->body = body;
        req->size = size;
    }
    memcpy(req->body + req->len, p, n);
    req->len += n;
    req->body[req->len] = '\0';
    return 0;
}


/* libcurl's write callback: anything but n ends the transfer. */
static size_t
curl_data(char *p, size_t size, size_t n, void *data)
{
    mc_http_req_t  *req = data;
    long            status = 0;

    n *= size;
    if (req->cancelled || req->http->destroyed) {
        return 0;
    }
    curl_easy_getinfo(req->easy, CURLINFO_RESPONSE_CODE, &status);
    if (req->on_data == NULL || status / 100 != 2) {
        return mc_http_keep(req, p, n) == 0 ? n : 0;
    }
    if (req->on_data(req->data, p, n) != 0) {
        req->refused_data = true;
        return 0;
    }
    return req->cancelled ? 0 : n;
}


static int
add_header(mc_http_req_t *req, const char *name, const char *value)
{
    struct curl_slist  *list;
    size_t              size = strlen(name) + strlen(value) + 3;
    char               *line = malloc(size);

    if (line == NULL) {
        return -1;
    }
    snprintf(line, size, "%s: %s", name, value);
    list = curl_slist_append(req->headers, line);
    explicit_bzero(line, size);
    free(line);
    if (list == NULL) {
        return -1;
    }
    req->headers = list;
    return 0;
}

static int
set_headers(mc_http_req_t *req, const mc_http_call_t *call)
{
    struct curl_slist  *list;
    char                token[8192];
    int                 n, rc = 0;

    /* no "Expect: 100-continue", which costs a round trip */
    list = curl_slist_append(req->headers, "Expect:");
    if (list == NULL) {
        return -1;
    }
    req->headers = list;
    if (call->type && add_header(req, "Content-Type", call->type) != 0) {
        return -1;
    }
    if (call->accept && add_header(req, "Accept", call->accept) != 0) {
        return -1;
    }
    if (call->bearer) {
        n = snprintf(token, sizeof(token), "Bearer %s", call->bearer);
        rc = n < (int) sizeof(token)
             ? add_header(req, "Authorization", token) : -1;
        explicit_bzero(token, sizeof(token));
    }
    return rc;
}

static int
set_body(mc_http_req_t *req, const mc_http_call_t *call)
{
    CURL  *e = req->easy;

    if (call->body == NULL && strcmp(call->method, "POST") != 0) {
        if (strcmp(call->method, "GET") != 0) {
            curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, call->method);
        }
        return 0;
    }
    req->sent = malloc(call->body_len + 1);
    if (req->sent == NULL) {
        return -1;
    }
    req->sent_len = call->body_len;
    if (call->body_len) {
        memcpy(req->sent, call->body, call->body_len);
    }
    req->sent[call->body_len] = '\0';
    curl_easy_setopt(e, CURLOPT_POSTFIELDS, req->sent);
    curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE,
                     (curl_off_t) call->body_len);
    curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, call->method);
    return 0;
}

static void
set_transport(mc_http_req_t *req)
{
    const mc_http_t  *http = req->http;
    CURL             *e = req->easy;

    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    if (http->unix_socket) {
        curl_easy_setopt(e, CURLOPT_UNIX_SOCKET_PATH, http->unix_socket);
    } else {
        /* a half-open connection must not look like a quiet stream */
        curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
        curl_easy_setopt(e, CURLOPT_TCP_KEEPIDLE, 15L);
        curl_easy_setopt(e, CURLOPT_TCP_KEEPINTVL, 5L);
    }
    if (http->agent) {
        curl_easy_setopt(e, CURLOPT_USERAGENT, http->agent);
    }
    if (http->ca_file) {
        curl_easy_setopt(e, CURLOPT_CAINFO, http->ca_file);
    }
    if (http->cert_file) {
        curl_easy_setopt(e, CURLOPT_SSLCERT, http->cert_file);
    }
    if (http->key_file) {
        curl_easy_setopt(e, CURLOPT_SSLKEY, http->key_file);
    }
}

int
mc_http_prepare(mc_http_req_t *req, const mc_http_call_t *call)
{
    size_t   size = strlen(req->http->base) + strlen(call->path) + 1;
    CURL    *e = req->easy = curl_easy_init();
    char    *url = malloc(size);
    int      rc = -1;

    if (e && url) {
        snprintf(url, size, "%s%s", req->http->base, call->path);
        curl_easy_setopt(e, CURLOPT_URL, url);
        curl_easy_setopt(e, CURLOPT_PRIVATE, (char *) req);
        curl_easy_setopt(e, CURLOPT_ERRORBUFFER, req->error);
        curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, curl_data);
        curl_easy_setopt(e, CURLOPT_WRITEDATA, req);
        set_transport(req);
        if (set_headers(req, call) == 0 && set_body(req, call) == 0) {
            curl_easy_setopt(e, CURLOPT_HTTPHEADER, req->headers);
            rc = 0;
        }
    }
    free(url);
    return rc;
}


void
mc_http_unprepare(mc_http_req_t *req)
{
    if (req->easy) {
        curl_easy_cleanup(req->easy);
    }
    curl_slist_free_all(req->headers);
    if (req->sent) {
        explicit_bzero(req->sent, req->sent_len);
    }
    free(req->sent);
    free(req->body);
}


size_t
mc_http_escape(char *buf, size_t size, const char *s)
{
    static const char  hex[] = "0123456789ABCDEF";
    size_t             n = 0;
    unsigned char      c;

#define PUT(x)  (n < size ? (void) (buf[n] = (x)) : (void) 0, n++)
    for (; (c = (unsigned char) *s) != 0; s++) {
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
            || (c >= '0' && c <= '9') || strchr("-._~", c))
        {
            PUT((char) c);
        } else {
            PUT('%');
            PUT(hex[c >> 4]);
            PUT(hex[c & 15]);
        }
    }
#undef PUT
    if (size) {
        buf[n < size ? n : size - 1] = '\0';
    }
    return n;
}
