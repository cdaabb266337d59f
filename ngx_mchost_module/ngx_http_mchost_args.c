/*
 * Query parameters: those a route knows, each at most once, each of its form;
 * and whether Accept takes what there is.
 */

#include "ngx_http_mchost_router.h"
#include "mc_envelope.h"


/* Two digits at p, or -1. */

static int
ngx_http_mchost_two(const u_char *p)
{
    return p[0] >= '0' && p[0] <= '9' && p[1] >= '0' && p[1] <= '9'
           ? (p[0] - '0') * 10 + p[1] - '0' : -1;
}


/* Days since 1970 of a day of the Gregorian calendar. */

static int64_t
ngx_http_mchost_days(int year, int month, int day)
{
    if (month < 3) {
        month += 12;
        year--;
    }

    return (int64_t) 365 * year + year / 4 - year / 100 + year / 400
           + (153 * month - 457) / 5 + day - 306 - 719163;
}


/* RFC 3339, without leap seconds; fractions are cut off. */

ngx_int_t
ngx_http_mchost_time(const ngx_str_t *value)
{
    int      month, day, hour, min, sec, zone;
    u_char  *p, *last;

    p = value->data;
    last = p + value->len;

    if (value->len < 20 || p[4] != '-' || p[7] != '-'
        || (p[10] != 'T' && p[10] != 't' && p[10] != ' ')
        || p[13] != ':' || p[16] != ':')
    {
        return NGX_ERROR;
    }

    month = ngx_http_mchost_two(p + 5);
    day = ngx_http_mchost_two(p + 8);
    hour = ngx_http_mchost_two(p + 11);
    min = ngx_http_mchost_two(p + 14);
    sec = ngx_http_mchost_two(p + 17);

    if (ngx_http_mchost_two(p) < 19 || ngx_http_mchost_two(p + 2) < 0
        || month < 1 || month > 12 || day < 1 || day > 31
        || hour < 0 || hour > 23 || min < 0 || min > 59 || sec < 0 || sec > 59)
    {
        return NGX_ERROR;
    }

    sec += 60 * (60 * hour + min);
    day = ngx_http_mchost_days(ngx_atoi(p, 4), month, day);

    p += 19;

    if (*p == '.') {
        for (p++; p < last && *p >= '0' && *p <= '9'; p++) { /* void */ }
    }

    if (last - p == 1 && (*p == 'Z' || *p == 'z')) {
        return (ngx_int_t) day * 86400 + sec;
    }

    /* a "+" of a query that was not escaped may have become a space */

    if (last - p != 6 || (*p != '+' && *p != '-' && *p != ' ') || p[3] != ':'
        || ngx_http_mchost_two(p + 1) < 0 || ngx_http_mchost_two(p + 1) > 23
        || ngx_http_mchost_two(p + 4) < 0 || ngx_http_mchost_two(p + 4) > 59)
    {
        return NGX_ERROR;
    }

    zone = 60 * (60 * ngx_http_mchost_two(p + 1) + ngx_http_mchost_two(p + 4));

    return (ngx_int_t) day * 86400 + sec + (*p == '-' ? zone : -zone);
}


typedef ngx_uint_t (*ngx_http_mchost_arg_pt)(const ngx_str_t *value);

typedef struct {
    const char              *name;
    size_t                   offset;    /* of its ngx_str_t in the context */
    ngx_http_mchost_arg_pt   valid;
    const char              *code;
    const char              *message;   /* what is wrong when it is not */
} ngx_http_mchost_arg_t;


static ngx_uint_t
ngx_http_mchost_arg_limit(const ngx_str_t *value)
{
    ngx_int_t  n;

    n = ngx_atoi(value->data, value->len);

    return n != NGX_ERROR && n >= 1 && n <= 200;
}


static ngx_uint_t
ngx_http_mchost_arg_uuid(const ngx_str_t *value)
{
    return mc_uuid_valid((char *) value->data, value->len);
}


/* "ms-n", as Redis has them. */

static ngx_uint_t
ngx_http_mchost_arg_stream(const ngx_str_t *value)
{
    return mc_seq_valid((char *) value->data, value->len);
}


static ngx_uint_t
ngx_http_mchost_arg_bool(const ngx_str_t *value)
{
    return (value->len == 4 && ngx_strncmp(value->data, "true", 4) == 0)
           || (value->len == 5 && ngx_strncmp(value->data, "false", 5) == 0);
}


static ngx_uint_t
ngx_http_mchost_arg_state(const ngx_str_t *value)
{
    ngx_uint_t  i;

    static const char  *states[] = {
        "Pending", "Starting", "Running", "Stopping", "Stopped", "Hibernated",
        "Waking", "Failed", "Deleting"
    };

    for (i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        if (value->len == ngx_strlen(states[i])
            && ngx_strncmp(value->data, states[i], value->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_mchost_arg_text(const ngx_str_t *value)
{
    return value->len <= 256
           && ngx_strlchr(value->data, value->data + value->len, '\0') == NULL
           && mc_utf8_valid((char *) value->data, value->len);
}


static ngx_uint_t
ngx_http_mchost_arg_time(const ngx_str_t *value)
{
    return ngx_http_mchost_time(value) != NGX_ERROR;
}


static ngx_uint_t
ngx_http_mchost_arg_period(const ngx_str_t *value)
{
    ngx_int_t  n;

    n = ngx_atoi(value->data, value->len);

    return n != NGX_ERROR && n >= 10 && n <= 86400;
}


#define NGX_HTTP_MCHOST_ARG(field)  offsetof(ngx_http_mchost_ctx_t, field)

static const ngx_http_mchost_arg_t  ngx_http_mchost_known_args[] = {
    { "limit", NGX_HTTP_MCHOST_ARG(limit), ngx_http_mchost_arg_limit,
      "range", "must be from 1 to 200" },
    { "after", NGX_HTTP_MCHOST_ARG(after), ngx_http_mchost_arg_uuid,
      "cursor", "is not a cursor of a list" },
    { "purge", NGX_HTTP_MCHOST_ARG(purge), ngx_http_mchost_arg_bool,
      "type", "must be true or false" },
    { "state", NGX_HTTP_MCHOST_ARG(state), ngx_http_mchost_arg_state,
      "enum", "is not a state of a server" },
    { "q", NGX_HTTP_MCHOST_ARG(q), ngx_http_mchost_arg_text,
      "text", "must be at most 256 bytes of UTF-8" },
    { "server", NGX_HTTP_MCHOST_ARG(server), ngx_http_mchost_arg_uuid,
      "format", "is not an id of a server" },
    { "from", NGX_HTTP_MCHOST_ARG(from), ngx_http_mchost_arg_time,
      "format", "is not a time of RFC 3339" },
    { "to", NGX_HTTP_MCHOST_ARG(to), ngx_http_mchost_arg_time,
      "format", "is not a time of RFC 3339" },
    { "step", NGX_HTTP_MCHOST_ARG(period), ngx_http_mchost_arg_period,
      "range", "must be from 10 to 86400 seconds" },
    { "after:stream", NGX_HTTP_MCHOST_ARG(after), ngx_http_mchost_arg_stream,
      "cursor", "is not a cursor of a log" }
};


/* A word of a route's args: "name", or "name:kind" for a form of its own. */

static const ngx_http_mchost_arg_t *
ngx_http_mchost_arg(ngx_http_mchost_ctx_t *ctx, const ngx_str_t *name)
{
    size_t       len;
    ngx_uint_t   i;
    const char  *p;

    for (p = ctx->route->args; *p; p += len + (p[len] == ' ')) {

        len = strcspn(p, " ");

        if (strcspn(p, ": ") != name->len
            || ngx_strncmp(p, name->data, name->len) != 0)
        {
            continue;
        }

        for (i = 0; i < sizeof(ngx_http_mchost_known_args)
                        / sizeof(ngx_http_mchost_known_args[0]); i++)
        {
            if (ngx_strlen(ngx_http_mchost_known_args[i].name) == len
                && ngx_strncmp(ngx_http_mchost_known_args[i].name, p, len)
                   == 0)
            {
                return &ngx_http_mchost_known_args[i];
            }
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_mchost_arg_problem(ngx_http_mchost_ctx_t *ctx, const ngx_str_t *name,
    const char *code, const char *message)
{
    u_char                   detail[192];
    ngx_http_mchost_fault_t  fault;

    ngx_snprintf(detail, sizeof(detail), "Query parameter \"%*s\" %s.%Z",
                 ngx_min(name->len, 64), name->data, message);
    detail[sizeof(detail) - 1] = '\0';

    fault.pointer[0] = '\0';
    fault.code = code;
    fault.message = (char *) detail;

    return ngx_http_mchost_problem_faults(ctx->request, NGX_HTTP_BAD_REQUEST,
                                          (char *) detail, &fault, 1);
}


ngx_uint_t
ngx_http_mchost_args(ngx_http_mchost_ctx_t *ctx, ngx_int_t *rc)
{
    u_char     *p, *last, *amp, *eq, *src, *dst;
    ngx_str_t   name, value, *slot;

    const ngx_http_mchost_arg_t  *arg;

    p = ctx->request->args.data;
    last = p + ctx->request->args.len;

    for ( /* void */ ; p < last; p = amp + 1) {

        amp = ngx_strlchr(p, last, '&');
        if (amp == NULL) {
            amp = last;
        }

        if (amp == p) {
            continue;
        }

        eq = ngx_strlchr(p, amp, '=');

        name.data = p;
        name.len = (eq ? eq : amp) - p;

        value.data = eq ? eq + 1 : amp;
        value.len = amp - value.data;

        arg = ngx_http_mchost_arg(ctx, &name);

        if (arg == NULL) {
            *rc = ngx_http_mchost_arg_problem(ctx, &name, "unknown_parameter",
                                              "is not known here");
            return 0;
        }

        slot = (ngx_str_t *) ((u_char *) ctx + arg->offset);

        if (slot->data) {
            *rc = ngx_http_mchost_arg_problem(ctx, &name, "duplicate",
                                              "is there twice");
            return 0;
        }

        slot->data = ngx_pnalloc(ctx->request->pool, value.len + 1);
        if (slot->data == NULL) {
            *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
            return 0;
        }

        src = value.data;
        dst = slot->data;
        ngx_unescape_uri(&dst, &src, value.len, 0);
        slot->len = dst - slot->data;

        if (!arg->valid(slot)) {
            *rc = ngx_http_mchost_arg_problem(ctx, &name, arg->code,
                                              arg->message);
            return 0;
        }
    }

    return 1;
}


/* -- Accept -- */

/* "q=0", "q=0.000": not this one. */

static ngx_uint_t
ngx_http_mchost_refused(const u_char *p, const u_char *last)
{
    while (p < last) {

        while (p < last && (*p == ';' || *p == ' ' || *p == '\t')) {
            p++;
        }

        if (last - p >= 3 && (*p | 0x20) == 'q' && p[1] == '=') {
            for (p += 2; p < last && (*p == '0' || *p == '.'); p++) {
                /* void */
            }

            return p == last || *p == ' ' || *p == ';';
        }

        while (p < last && *p != ';') {
            p++;
        }
    }

    return 0;
}


ngx_uint_t
ngx_http_mchost_acceptable(ngx_http_request_t *r)
{
    u_char           *p, *last, *comma, *end;
    ngx_uint_t        i;
    ngx_table_elt_t  *h;

    static ngx_str_t  ranges[] = {
        ngx_string("application/json"), ngx_string("application/*"),
        ngx_string("*/*"), ngx_null_string
    };

    h = ngx_http_mchost_header_in(r, "Accept", sizeof("Accept") - 1);

    if (h == NULL || h->value.len == 0) {
        return 1;
    }

    last = h->value.data + h->value.len;

    for (p = h->value.data; p < last; p = comma + 1) {

        comma = ngx_strlchr(p, last, ',');
        if (comma == NULL) {
            comma = last;
        }

        while (p < comma && (*p == ' ' || *p == '\t')) {
            p++;
        }

        for (end = p; end < comma && *end != ';' && *end != ' '; end++) {
            /* void */
        }

        for (i = 0; ranges[i].len; i++) {
            if ((size_t) (end - p) == ranges[i].len
                && ngx_strncasecmp(p, ranges[i].data, ranges[i].len) == 0
                && !ngx_http_mchost_refused(end, comma))
            {
                return 1;
            }
        }
    }

    return 0;
}
