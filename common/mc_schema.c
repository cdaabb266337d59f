/*
 * Compiles a structural schema: every keyword is either understood or
 * refused, so that no rule of the schema is silently not applied.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mc_schema_private.h"

typedef struct {
    const mc_alloc_t     *a;
    mc_schema_pattern_t  *patterns;
    char                 *err;
    size_t                errlen;
    char                  path[256];    /* of what is compiled */
} compiler_t;

typedef int (*keyword_pt)(compiler_t *c, mc_schema_t *s, const mc_json_t *v,
    size_t field);

typedef struct {
    const char  *name;
    keyword_pt   compile;
    size_t       field;                 /* offset in mc_schema_t */
} keyword_t;

static mc_schema_t *compile(compiler_t *c, const mc_json_t *v);

static int
fail(compiler_t *c, const char *what)
{
    snprintf(c->err, c->errlen, "schema%s: %s", c->path, what);
    return -1;
}

/* Compiles what lies one level below; the path is for messages. */
static mc_schema_t *
compile_below(compiler_t *c, const mc_json_t *v, const char *name)
{
    size_t        len = strlen(c->path);
    mc_schema_t  *s;

    snprintf(c->path + len, sizeof(c->path) - len, "/%s", name);
    s = compile(c, v);
    if (s) {
        c->path[len] = '\0';
    }
    return s;
}

/* -- keywords -- */

/* description and what is only for other readers of the schema; the rules in
 * x-kubernetes-validations are mc_server_rules.c here. */
static int
compile_ignored(compiler_t *c, mc_schema_t *s, const mc_json_t *v,
    size_t field)
{
    (void) c;
    (void) s;
    (void) v;
    (void) field;
    return 0;
}

static int
compile_type(compiler_t *c, mc_schema_t *s, const mc_json_t *v, size_t field)
{
    static const char  *names[] = {
        "", "object", "array", "string", "integer", "number", "boolean"
    };
    const char         *name = mc_json_str(v, "");
    unsigned            i;

    (void) field;
    for (i = 1; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            s->type = (mc_schema_type_t) i;
            return 0;
        }
    }
    return fail(c, "no such type");
}

static int
compile_properties(compiler_t *c, mc_schema_t *s, const mc_json_t *v,
    size_t field)
{
    mc_schema_t      **link = &s->properties;
    const mc_json_t   *m;

    (void) field;
    if (v->type != MC_JSON_OBJECT) {
        return fail(c, "properties must be an object");
    }
    for (m = v->child; m; m = m->next) {
        *link = compile_below(c, m, m->key);
        if (*link == NULL) {
            return -1;
        }
        (*link)->name = m->key;
        (*link)->name_len = m->key_len;
        link = &(*link)->next;
    }
    return 0;
}

static int
compile_additional(compiler_t *c, mc_schema_t *s, const mc_json_t *v,
    size_t field)
{
    (void) field;
    s->additional = compile_below(c, v, "additionalProperties");
    return s->additional ? 0 : -1;
}

static int
compile_items(compiler_t *c, mc_schema_t *s, const mc_json_t *v, size_t field)
{
    (void) field;
    s->items = compile_below(c, v, "items");
    return s->items ? 0 : -1;
}

/* A list of strings or other values, kept as it is. */
static int
compile_array(compiler_t *c, mc_schema_t *s, const mc_json_t *v, size_t field)
{
    if (v->type != MC_JSON_ARRAY || v->n == 0) {
        return fail(c, "a keyword that wants a list has none");
    }
    *(const mc_json_t **) ((char *) s + field) = v;
    return 0;
}

static int
compile_strings(compiler_t *c, mc_schema_t *s, const mc_json_t *v,
    size_t field)
{
    const mc_json_t  *e;

    if (compile_array(c, s, v, field) != 0) {
        return -1;
    }
    for (e = v->child; e; e = e->next) {
        if (e->type != MC_JSON_STRING) {
            return fail(c, "a list of names holds something else");
        }
    }
    return 0;
}

static int
compile_size(compiler_t *c, mc_schema_t *s, const mc_json_t *v, size_t field)
{
    int64_t  n;

    if (!mc_json_is_int(v, &n) || n < 0) {
        return fail(c, "a length or count must be a whole number");
    }
    *(size_t *) ((char *) s + field) = (size_t) n;
    return 0;
}

static int
compile_flag(compiler_t *c, mc_schema_t *s, const mc_json_t *v, size_t field)
{
    if (v->type != MC_JSON_TRUE && v->type != MC_JSON_FALSE) {
        return fail(c, "a flag must be true or false");
    }
    *(int *) ((char *) s + field) = (v->type == MC_JSON_TRUE);
    return 0;
}

static int
compile_minimum(compiler_t *c, mc_schema_t *s, const mc_json_t *v,
    size_t field)
{
    (void) field;
    if (v->type != MC_JSON_NUMBER) {
        return fail(c, "minimum must be a number");
    }
    s->has_minimum = 1;
    s->minimum = strtod(v->str, NULL);
    return 0;
}

static int
compile_maximum(compiler_t *c, mc_schema_t *s, const mc_json_t *v,
    size_t field)
{
    (void) field;
    if (v->type != MC_JSON_NUMBER) {
        return fail(c, "maximum must be a number");
    }
    s->has_maximum = 1;
    s->maximum = strtod(v->str, NULL);
    return 0;
}

static int
compile_pattern(compiler_t *c, mc_schema_t *s, const mc_json_t *v,
    size_t field)
{
    mc_schema_pattern_t  *p;

    (void) field;
    if (v->type != MC_JSON_STRING) {
        return fail(c, "pattern must be a string");
    }
    p = c->a->alloc(c->a->pool, sizeof(*p));
    if (p == NULL) {
        return fail(c, "out of memory");
    }
    if (regcomp(&p->regex, v->str, REG_EXTENDED | REG_NOSUB) != 0) {
        return fail(c, "pattern is no POSIX extended regular expression");
    }
    p->text = v->str;
    p->next = c->patterns;
    c->patterns = p;
    s->pattern = p;
    return 0;
}

static int
compile_format(compiler_t *c, mc_schema_t *s, const mc_json_t *v,
    size_t field)
{
    const char  *name = mc_json_str(v, "");

    (void) field;
    if (strcmp(name, "date-time") == 0) {
        s->date_time = 1;
    } else if (strcmp(name, "int32") == 0) {
        s->int32 = 1;
    } else if (strcmp(name, "int64") != 0) {
        return fail(c, "no such format");
    }
    return 0;
}

static int
compile_list_type(compiler_t *c, mc_schema_t *s, const mc_json_t *v,
    size_t field)
{
    const char  *name = mc_json_str(v, "");

    (void) field;
    if (strcmp(name, "set") == 0) {
        s->list = MC_SCHEMA_LIST_SET;
    } else if (strcmp(name, "map") == 0) {
        s->list = MC_SCHEMA_LIST_MAP;
    } else if (strcmp(name, "atomic") != 0) {
        return fail(c, "no such list type");
    }
    return 0;
}

static int
compile_default(compiler_t *c, mc_schema_t *s, const mc_json_t *v,
    size_t field)
{
    (void) c;
    (void) field;
    s->def = v;
    return 0;
}

#define FIELD(name)  offsetof(mc_schema_t, name)

static const keyword_t  keywords[] = {
    { "description",                    compile_ignored,    0 },
    { "title",                          compile_ignored,    0 },
    { "example",                        compile_ignored,    0 },
    { "x-kubernetes-validations",       compile_ignored,    0 },
    { "x-kubernetes-map-type",          compile_ignored,    0 },
    { "type",                           compile_type,       0 },
    { "properties",                     compile_properties, 0 },
    { "additionalProperties",           compile_additional, 0 },
    { "items",                          compile_items,      0 },
    { "required",                       compile_strings,    FIELD(required) },
    { "enum",                           compile_array,      FIELD(choices) },
    { "minimum",                        compile_minimum,    0 },
    { "maximum",                        compile_maximum,    0 },
    { "minLength",                      compile_size,   FIELD(min_length) },
    { "maxLength",                      compile_size,   FIELD(max_length) },
    { "minItems",                       compile_size,   FIELD(min_items) },
    { "maxItems",                       compile_size,   FIELD(max_items) },
    { "minProperties",                  compile_size,   FIELD(min_properties) },
    { "maxProperties",                  compile_size,   FIELD(max_properties) },
    { "pattern",                        compile_pattern,    0 },
    { "format",                         compile_format,     0 },
    { "default",                        compile_default,    0 },
    { "nullable",                       compile_flag,       FIELD(nullable) },
    { "x-kubernetes-list-type",         compile_list_type,  0 },
    { "x-kubernetes-list-map-keys",     compile_strings,    FIELD(map_keys) },
    { "x-kubernetes-preserve-unknown-fields", compile_flag, FIELD(preserve) },
};

static int
compile_keyword(compiler_t *c, mc_schema_t *s, const mc_json_t *v)
{
    char      what[160];
    unsigned  i;

    for (i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
        if (strcmp(v->key, keywords[i].name) == 0) {
            return keywords[i].compile(c, s, v, keywords[i].field);
        }
    }
    snprintf(what, sizeof(what), "the keyword \"%.100s\" is not known", v->key);
    return fail(c, what);
}

/* What can be wrong between keywords. */
static int
check_whole(compiler_t *c, const mc_schema_t *s)
{
    mc_schema_error_t  e;
    const mc_json_t   *r;

    for (r = s->required ? s->required->child : NULL; r; r = r->next) {
        if (mc_schema_find(s, r->str, r->len) == NULL) {
            return fail(c, "required names a property that is not there");
        }
    }
    if (s->list != MC_SCHEMA_LIST_ATOMIC
        && (s->max_items > 10000 || s->items == NULL))
    {
        return fail(c, "a set or map needs items and maxItems");
    }
    if (s->list == MC_SCHEMA_LIST_MAP && s->map_keys == NULL) {
        return fail(c, "a map needs x-kubernetes-list-map-keys");
    }
    if (s->pattern && s->max_length > 4096) {
        return fail(c, "a pattern needs maxLength");
    }
    if (s->def && mc_schema_validate(s, s->def, "", &e, 1) != 0) {
        return fail(c, "the default is not valid itself");
    }
    return 0;
}

static mc_schema_t *
compile(compiler_t *c, const mc_json_t *v)
{
    mc_schema_t      *s;
    const mc_json_t  *m;

    if (v->type != MC_JSON_OBJECT) {
        fail(c, "a schema must be an object");
        return NULL;
    }
    s = c->a->alloc(c->a->pool, sizeof(*s));
    if (s == NULL) {
        fail(c, "out of memory");
        return NULL;
    }
    memset(s, 0, sizeof(*s));
    s->max_properties = s->max_items = s->max_length = SIZE_MAX;

    for (m = v->child; m; m = m->next) {
        if (compile_keyword(c, s, m) != 0) {
            return NULL;
        }
    }
    return check_whole(c, s) == 0 ? s : NULL;
}

static void
free_patterns(mc_schema_pattern_t *p)
{
    for ( ; p; p = p->next) {
        regfree(&p->regex);
    }
}

mc_schema_t *
mc_schema_compile(const mc_alloc_t *a, const char *json, size_t len,
    char *err, size_t errlen)
{
    compiler_t       c;
    mc_json_error_t  e;
    mc_json_t       *v;
    mc_schema_t     *s;

    v = mc_json_parse(a, json, len, &e);
    if (v == NULL) {
        snprintf(err, errlen, "schema: %s, at byte %zu", e.message, e.offset);
        return NULL;
    }

    memset(&c, 0, sizeof(c));
    c.a = a;
    c.err = err;
    c.errlen = errlen;
    s = compile(&c, v);
    if (s == NULL) {
        free_patterns(c.patterns);
        return NULL;
    }
    s->patterns = c.patterns;
    return s;
}

void
mc_schema_free(mc_schema_t *s)
{
    if (s) {
        free_patterns(s->patterns);
        s->patterns = NULL;
    }
}

/* -- use -- */

const mc_schema_t *
mc_schema_find(const mc_schema_t *s, const char *name, size_t len)
{
    const mc_schema_t  *p;

    for (p = s->properties; p; p = p->next) {
        if (p->name_len == len && memcmp(p->name, name, len) == 0) {
            return p;
        }
    }
    return NULL;
}

const mc_schema_t *
mc_schema_property(const mc_schema_t *s, const char *name)
{
    return mc_schema_find(s, name, strlen(name));
}

static int
default_members(const mc_schema_t *s, const mc_alloc_t *a, mc_json_t *v)
{
    const mc_schema_t  *p;
    mc_json_t          *m;

    for (p = s->properties; p; p = p->next) {
        m = mc_json_get(v, p->name);
        if (m == NULL && p->def) {
            m = mc_json_copy(a, p->def);
            if (mc_json_set(a, v, p->name, m) != 0) {
                return -1;
            }
        }
        if (m && mc_schema_defaults(p, a, m) != 0) {
            return -1;
        }
    }
    for (m = s->additional ? v->child : NULL; m; m = m->next) {
        if (mc_schema_find(s, m->key, m->key_len) == NULL
            && mc_schema_defaults(s->additional, a, m) != 0)
        {
            return -1;
        }
    }
    return 0;
}

int
mc_schema_defaults(const mc_schema_t *s, const mc_alloc_t *a, mc_json_t *v)
{
    mc_json_t  *e;

    if (v->type == MC_JSON_OBJECT) {
        return default_members(s, a, v);
    }
    if (v->type == MC_JSON_ARRAY && s->items) {
        for (e = v->child; e; e = e->next) {
            if (mc_schema_defaults(s->items, a, e) != 0) {
                return -1;
            }
        }
    }
    return 0;
}
