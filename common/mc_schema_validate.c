/*
 * Checks a value against a compiled schema and reports every fault.
 */

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mc_schema_private.h"
#include "mc_utf8.h"

typedef struct {
    mc_schema_error_t  *errors;
    unsigned            n, max;
    char                pointer[256];
    size_t              len;
} checker_t;

static void check(checker_t *c, const mc_schema_t *s, const mc_json_t *v);

/* -- where -- */

/* Appends "/name" in RFC 6901's way and returns the length before, which
 * ascend() takes. What does not fit is cut off. */
static size_t
descend(checker_t *c, const char *name, size_t len)
{
    size_t  before = c->len, n = c->len, i;

    if (n + 1 < sizeof(c->pointer)) {
        c->pointer[n++] = '/';
    }
    for (i = 0; i < len && n + 2 < sizeof(c->pointer); i++) {
        if (name[i] == '~' || name[i] == '/') {
            c->pointer[n++] = '~';
            c->pointer[n++] = name[i] == '~' ? '0' : '1';
        } else {
            c->pointer[n++] = name[i];
        }
    }
    c->pointer[n] = '\0';
    c->len = n;
    return before;
}

static size_t
descend_index(checker_t *c, unsigned i)
{
    char  text[16];
    int   len = snprintf(text, sizeof(text), "%u", i);

    return descend(c, text, (size_t) len);
}

static void
ascend(checker_t *c, size_t before)
{
    c->len = before;
    c->pointer[before] = '\0';
}

/* -- what -- */

__attribute__((format(printf, 3, 4)))
static void
fault(checker_t *c, const char *code, const char *format, ...)
{
    mc_schema_error_t  *e;
    va_list             args;

    if (c->n == c->max) {
        return;
    }
    e = &c->errors[c->n++];
    memcpy(e->pointer, c->pointer, c->len + 1);
    snprintf(e->code, sizeof(e->code), "%s", code);
    va_start(args, format);
    vsnprintf(e->message, sizeof(e->message), format, args);
    va_end(args);
}

static const char *
type_name(const mc_json_t *v)
{
    static const char  *names[] = {
        [MC_JSON_NULL] = "null", [MC_JSON_FALSE] = "a boolean",
        [MC_JSON_TRUE] = "a boolean", [MC_JSON_NUMBER] = "a number",
        [MC_JSON_STRING] = "a string", [MC_JSON_ARRAY] = "an array",
        [MC_JSON_OBJECT] = "an object"
    };

    return names[v->type];
}

static int
equal(const mc_json_t *a, const mc_json_t *b)
{
    if (a->type != b->type) {
        return 0;
    }
    if (a->type == MC_JSON_STRING || a->type == MC_JSON_NUMBER) {
        return a->len == b->len && memcmp(a->str, b->str, a->len) == 0;
    }
    return a->type <= MC_JSON_TRUE;
}

static int
check_type(checker_t *c, const mc_schema_t *s, const mc_json_t *v)
{
    static const char  *wanted[] = {
        "", "an object", "an array", "a string", "a whole number",
        "a number", "a boolean"
    };
    int64_t             n;
    int                 ok = 0;

    switch (s->type) {
    case MC_SCHEMA_ANY:
        return 1;
    case MC_SCHEMA_OBJECT:
        ok = (v->type == MC_JSON_OBJECT);
        break;
    case MC_SCHEMA_ARRAY:
        ok = (v->type == MC_JSON_ARRAY);
        break;
    case MC_SCHEMA_STRING:
        ok = (v->type == MC_JSON_STRING);
        break;
    case MC_SCHEMA_INTEGER:
        ok = mc_json_is_int(v, &n);
        break;
    case MC_SCHEMA_NUMBER:
        ok = (v->type == MC_JSON_NUMBER);
        break;
    case MC_SCHEMA_BOOLEAN:
        ok = (v->type == MC_JSON_TRUE || v->type == MC_JSON_FALSE);
        break;
    }
    if (!ok) {
        fault(c, "type", "must be %s, not %s", wanted[s->type],
              s->type == MC_SCHEMA_INTEGER && v->type == MC_JSON_NUMBER
                  ? "a fraction or a number of more than 64 bits"
                  : type_name(v));
    }
    return ok;
}

static void
check_enum(checker_t *c, const mc_schema_t *s, const mc_json_t *v)
{
    const mc_json_t  *e;
    char              list[200];
    size_t            n = 0;

    for (e = s->choices->child; e; e = e->next) {
        if (equal(e, v)) {
            return;
        }
    }
    list[0] = '\0';
    for (e = s->choices->child; e && n < sizeof(list); e = e->next) {
        n += (size_t) snprintf(list + n, sizeof(list) - n, "%s%s",
                               n ? ", " : "", mc_json_str(e, "?"));
    }
    fault(c, "enum", "must be one of %s", list);
}

/* -- strings -- */

static int
two_digits(const char *s, int low, int high)
{
    int  n;

    if (!isdigit((unsigned char) s[0]) || !isdigit((unsigned char) s[1])) {
        return 0;
    }
    n = (s[0] - '0') * 10 + (s[1] - '0');
    return n >= low && n <= high;
}

/* The first ten bytes as a date that the calendar has. */
static int
is_date(const char *s)
{
    static const int  days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
                                 31 };
    int               year, month, leap;

    if (!two_digits(s, 0, 99) || !two_digits(s + 2, 0, 99) || s[4] != '-'
        || !two_digits(s + 5, 1, 12) || s[7] != '-')
    {
        return 0;
    }
    year = atoi(s);
    month = (s[5] - '0') * 10 + (s[6] - '0');
    leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return two_digits(s + 8, 1, days[month - 1] + (month == 2 && leap));
}

/* RFC 3339, as Kubernetes' date-time: 2026-11-24T08:00:00.123Z or +01:00.
 * The string is NUL-terminated, so looking one byte ahead is safe. */
static int
is_date_time(const char *s, size_t len)
{
    size_t  i = 19;

    if (len < 20 || !is_date(s)
        || (s[10] | 0x20) != 't' || !two_digits(s + 11, 0, 23)
        || s[13] != ':' || !two_digits(s + 14, 0, 59) || s[16] != ':'
        || !two_digits(s + 17, 0, 60))
    {
        return 0;
    }
    if (s[i] == '.') {
        do {
            i++;
        } while (isdigit((unsigned char) s[i]));
        if (i == 20) {
            return 0;
        }
    }
    if ((s[i] | 0x20) == 'z') {
        return i + 1 == len;
    }
    return (s[i] == '+' || s[i] == '-') && i + 6 == len
           && two_digits(s + i + 1, 0, 23) && s[i + 3] == ':'
           && two_digits(s + i + 4, 0, 59);
}

static void
check_string(checker_t *c, const mc_schema_t *s, const mc_json_t *v)
{
    size_t  len = mc_utf8_length(v->str, v->len);

    if (len < s->min_length) {
        if (s->min_length == 1) {
            fault(c, "min_length", "must not be empty");
            return;
        }
        fault(c, "min_length", "must have at least %zu characters",
              s->min_length);
        return;
    }
    /* the pattern is not tried on what may be very long */
    if (len > s->max_length) {
        fault(c, "max_length", "must have at most %zu characters",
              s->max_length);
        return;
    }
    if (s->pattern
        && regexec(&s->pattern->regex, v->str, 0, NULL, 0) != 0)
    {
        if (strstr(s->pattern->text, "[^[:cntrl:]]")) {
            fault(c, "control_character", "must not contain control "
                  "characters");
        } else {
            fault(c, "pattern", "must match %.200s", s->pattern->text);
        }
    }
    if (s->date_time && !is_date_time(v->str, v->len)) {
        fault(c, "format", "must be a time like 2026-01-31T12:00:00Z "
              "(RFC 3339)");
    }
}

/* -- numbers -- */

static void
check_number(checker_t *c, const mc_schema_t *s, const mc_json_t *v)
{
    double  n = strtod(v->str, NULL);

    if (s->has_minimum && n < s->minimum) {
        fault(c, "minimum", "must be at least %.15g", s->minimum);
    } else if (s->has_maximum && n > s->maximum) {
        fault(c, "maximum", "must be at most %.15g", s->maximum);
    } else if (s->int32 && n > INT32_MAX) {
        fault(c, "maximum", "must be at most %d", INT32_MAX);
    } else if (s->int32 && n < INT32_MIN) {
        fault(c, "minimum", "must be at least %d", INT32_MIN);
    }
}

/* -- arrays -- */

/* Whether two entries of a list-map have the same keys. An entry that lacks
 * one is reported as such, not as a duplicate. */
static int
same_keys(const mc_schema_t *s, const mc_json_t *a, const mc_json_t *b)
{
    const mc_json_t  *k, *x, *y;

    for (k = s->map_keys->child; k; k = k->next) {
        x = mc_json_get(a, k->str);
        y = mc_json_get(b, k->str);
        if (x == NULL || y == NULL || !equal(x, y)) {
            return 0;
        }
    }
    return 1;
}

static void
check_duplicates(checker_t *c, const mc_schema_t *s, const mc_json_t *v)
{
    const mc_json_t  *e, *before;
    unsigned          i = 0;
    size_t            at;

    for (e = v->child; e; e = e->next, i++) {
        for (before = v->child; before != e; before = before->next) {
            if (s->list == MC_SCHEMA_LIST_SET ? !equal(before, e)
                                              : !same_keys(s, before, e))
            {
                continue;
            }
            at = descend_index(c, i);
            if (s->list == MC_SCHEMA_LIST_MAP) {
                fault(c, "duplicate", "an entry with the same %s stands "
                      "before", s->map_keys->child->str);
            } else {
                fault(c, "duplicate", "stands in this list before");
            }
            ascend(c, at);
            break;
        }
    }
}

static void
check_array(checker_t *c, const mc_schema_t *s, const mc_json_t *v)
{
    const mc_json_t  *e;
    unsigned          i = 0;
    size_t            at;

    if (v->n < s->min_items) {
        fault(c, "min_items", "must have at least %zu entries", s->min_items);
    }
    /* too many are not looked at one by one */
    if (v->n > s->max_items) {
        fault(c, "max_items", "must have at most %zu entries", s->max_items);
        return;
    }
    for (e = s->items ? v->child : NULL; e; e = e->next, i++) {
        at = descend_index(c, i);
        check(c, s->items, e);
        ascend(c, at);
    }
    if (s->list != MC_SCHEMA_LIST_ATOMIC) {
        check_duplicates(c, s, v);
    }
}

/* -- objects -- */

/* Equal but for case and dashes, as max-players and maxPlayers are. */
static int
similar(const char *a, const char *b)
{
    for ( ;; ) {
        while (*a == '-' || *a == '_') {
            a++;
        }
        while (*b == '-' || *b == '_') {
            b++;
        }
        if (tolower((unsigned char) *a) != tolower((unsigned char) *b)) {
            return 0;
        }
        if (*a == '\0') {
            return 1;
        }
        a++;
        b++;
    }
}

static void
unknown_field(checker_t *c, const mc_schema_t *s, const mc_json_t *m)
{
    const mc_schema_t  *p;

    for (p = s->properties; p; p = p->next) {
        if (similar(p->name, m->key)) {
            fault(c, "unknown_field", "there is no such field; did you mean "
                  "%s?", p->name);
            return;
        }
    }
    fault(c, "unknown_field", "there is no such field");
}

static void
check_members(checker_t *c, const mc_schema_t *s, const mc_json_t *v)
{
    const mc_schema_t  *p;
    const mc_json_t    *m;
    size_t              at;

    for (m = v->child; m && c->n < c->max; m = m->next) {
        p = mc_schema_find(s, m->key, m->key_len);
        if (p == NULL) {
            p = s->additional;
        }
        if (p == NULL && s->preserve) {
            continue;
        }
        at = descend(c, m->key, m->key_len);
        if (p) {
            check(c, p, m);
        } else {
            unknown_field(c, s, m);
        }
        ascend(c, at);
    }
}

static void
check_object(checker_t *c, const mc_schema_t *s, const mc_json_t *v)
{
    const mc_json_t  *r;
    size_t            at;

    for (r = s->required ? s->required->child : NULL; r; r = r->next) {
        if (mc_json_get(v, r->str) == NULL) {
            at = descend(c, r->str, r->len);
            fault(c, "required", "is required");
            ascend(c, at);
        }
    }
    if (v->n < s->min_properties) {
        fault(c, "min_properties", "must have at least %zu member%s",
              s->min_properties, s->min_properties == 1 ? "" : "s");
    }
    if (v->n > s->max_properties) {
        fault(c, "max_properties", "must have at most %zu member%s",
              s->max_properties, s->max_properties == 1 ? "" : "s");
        return;
    }
    check_members(c, s, v);
}

static void
check(checker_t *c, const mc_schema_t *s, const mc_json_t *v)
{
    if (c->n == c->max || (s->nullable && v->type == MC_JSON_NULL)) {
        return;
    }
    if (!check_type(c, s, v)) {
        return;
    }
    if (s->choices) {
        check_enum(c, s, v);
        return;
    }
    switch (s->type) {
    case MC_SCHEMA_OBJECT:
        check_object(c, s, v);
        break;
    case MC_SCHEMA_ARRAY:
        check_array(c, s, v);
        break;
    case MC_SCHEMA_STRING:
        check_string(c, s, v);
        break;
    case MC_SCHEMA_INTEGER:
    case MC_SCHEMA_NUMBER:
        check_number(c, s, v);
        break;
    default:
        break;
    }
}

unsigned
mc_schema_validate(const mc_schema_t *s, const mc_json_t *v,
    const char *pointer, mc_schema_error_t *errors, unsigned max)
{
    checker_t  c;

    memset(&c, 0, sizeof(c));
    c.errors = errors;
    c.max = max;
    c.len = strlen(pointer);
    if (c.len >= sizeof(c.pointer)) {
        c.len = sizeof(c.pointer) - 1;
    }
    memcpy(c.pointer, pointer, c.len);
    check(&c, s, v);
    return c.n;
}
