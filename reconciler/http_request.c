/*
 * One request: what libcurl is told about it, and what it gets back.
 */

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "http_private.h"

#define CONNECT_MS       5000L
#define USER_TIMEOUT_MS  30000
#define TOKEN_BYTES      (64 * 1024)    /* "Bearer " and a token */


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
append(struct curl_slist **list, const char *line)
{
    struct curl_slist  *longer = curl_slist_append(*list, line);

    if (longer == NULL) {
        return -1;
    }
    *list = longer;
    return 0;
}

static int
add_header(mc_http_req_t *req, const char *name, const char *value)
{
    size_t   size = strlen(name) + strlen(value) + 3;
    char    *line = malloc(size);
    int      rc;

    if (line == NULL) {
        return -1;
    }
    snprintf(line, size, "%s: %s", name, value);
    rc = append(&req->headers, line);
    explicit_bzero(line, size);
    free(line);
    return rc;
}

static int
set_headers(mc_http_req_t *req, const mc_http_call_t *call)
{
    char  token[TOKEN_BYTES];
    int   n, rc = 0;

    /* no "Expect: 100-continue", which costs a round trip */
    if (append(&req->headers, "Expect:") != 0) {
        return -1;
    }
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

/* A half-open connection must not look like a quiet stream. */
static int
curl_sockopt(void *data, curl_socket_t fd, curlsocktype purpose)
{
    unsigned  ms = USER_TIMEOUT_MS;
    int       count = 3;

    (void) data;
    (void) purpose;
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
    return CURL_SOCKOPT_OK;
}

static void
set_tcp(const mc_http_t *http, CURL *e)
{
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPIDLE, 15L);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPINTVL, 5L);
    curl_easy_setopt(e, CURLOPT_SOCKOPTFUNCTION, curl_sockopt);
    if (http->connect_to) {
        curl_easy_setopt(e, CURLOPT_CONNECT_TO, http->connect_to);
    }
}

static CURLcode
set_blob(CURL *e, CURLoption option, const struct curl_blob *blob)
{
    return blob->data ? curl_easy_setopt(e, option, blob) : CURLE_OK;
}

/* New authorities and certificates are used within minutes. */
static CURLcode
set_tls(const mc_http_t *http, CURL *e)
{
    CURLcode  rc;

    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(e, CURLOPT_CA_CACHE_TIMEOUT, 60L);
    curl_easy_setopt(e, CURLOPT_MAXLIFETIME_CONN, 300L);
    rc = set_blob(e, CURLOPT_CAINFO_BLOB, &http->ca);
    if (rc == CURLE_OK) {
        rc = set_blob(e, CURLOPT_SSLCERT_BLOB, &http->cert);
    }
    if (rc == CURLE_OK) {
        rc = set_blob(e, CURLOPT_SSLKEY_BLOB, &http->key);
    }
    return rc;
}

static int
set_url(const mc_http_t *http, CURL *e, const char *path)
{
    size_t    size = strlen(http->base) + strlen(path) + 1;
    char     *url = malloc(size);
    CURLcode  rc;

    if (url == NULL) {
        return -1;
    }
    snprintf(url, size, "%s%s", http->base, path);
    rc = curl_easy_setopt(e, CURLOPT_URL, url);
    free(url);
    return rc == CURLE_OK ? 0 : -1;
}

int
mc_http_setup(mc_http_t *http, void *easy, const char *path,
    struct curl_slist **headers)
{
    CURL  *e = easy;
    bool   tls = strncmp(http->base, "https:", 6) == 0;
    char   host[300];

    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, tls ? "https" : "http,https");
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PROXY, http->proxy ? http->proxy : "");
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    if (http->unix_socket) {
        curl_easy_setopt(e, CURLOPT_UNIX_SOCKET_PATH, http->unix_socket);
    } else {
        set_tcp(http, e);
    }
    if (http->agent) {
        curl_easy_setopt(e, CURLOPT_USERAGENT, http->agent);
    }
    if (http->host) {
        snprintf(host, sizeof(host), "Host: %s", http->host);
        if (append(headers, host) != 0) {
            return -1;
        }
    }
    return set_tls(http, e) == CURLE_OK ? set_url(http, e, path) : -1;
}

static void
blob_clear(struct curl_blob *blob)
{
    if (blob->data) {
        explicit_bzero(blob->data, blob->len);
        free(blob->data);
    }
    *blob = (struct curl_blob){ .flags = CURL_BLOB_COPY };
}

void
mc_http_clear_tls(mc_http_t *http)
{
    blob_clear(&http->ca);
    blob_clear(&http->cert);
    blob_clear(&http->key);
}

static int
blob_set(struct curl_blob *blob, const char *p, size_t len)
{
    blob_clear(blob);
    if (len == 0) {
        return 0;
    }
    blob->data = malloc(len);
    if (blob->data == NULL) {
        return -1;
    }
    memcpy(blob->data, p, len);
    blob->len = len;
    return 0;
}

int
mc_http_set_tls(mc_http_t *http, const mc_http_tls_t *tls)
{
    return blob_set(&http->ca, tls->ca, tls->ca_len) == 0
           && blob_set(&http->cert, tls->cert, tls->cert_len) == 0
           && blob_set(&http->key, tls->key, tls->key_len) == 0 ? 0 : -1;
}

int
mc_http_prepare(mc_http_req_t *req, const mc_http_call_t *call)
{
    CURL  *e = req->easy = curl_easy_init();

    if (e == NULL) {
        return -1;
    }
    curl_easy_setopt(e, CURLOPT_PRIVATE, (char *) req);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, req->error);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, curl_data);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, req);
    if (call->on_data && req->http->unix_socket == NULL) {
        /* of its own: one that waits in the pool may be half dead */
        curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
        curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 1L);
    }
    if (mc_http_setup(req->http, e, call->path, &req->headers) != 0
        || set_headers(req, call) != 0 || set_body(req, call) != 0)
    {
        return -1;
    }
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, req->headers);
    return 0;
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
