/*
 * What is made from the schema of the server document, on standard output:
 *
 *     schema crd TEMPLATE    the CustomResourceDefinition: the template with
 *                            the schema in the place of its line "@schema@"
 *     schema judge           for each spec on a line of standard input
 *                            "V SPEC" with defaults filled in, or "I" and the
 *                            faults, as REST and the reconciler see them; a
 *                            line of two specs with a tab between them is a
 *                            change from the first to the second
 */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "mc_schema.h"
#include "mc_server_rules.h"

#define MAX_FAULTS   32
#define INDENT       10         /* of the schema within the template */
#define MAX_LINE     (1024 * 1024)


static void
fail(const char *what)
{
    fprintf(stderr, "schema: %s\n", what);
    exit(1);
}


/* The process is short: nothing is given back. */
static void *
alloc(void *pool, size_t size)
{
    (void) pool;
    return calloc(1, size);
}


static const mc_alloc_t  heap = { alloc, NULL };


/* -- YAML -- */

/* Words that YAML takes for something else, and texts with marks of its own,
 * are quoted. JSON's quoting is YAML's too. */
static int
is_plain(const char *s)
{
    static const char  *words[] = { "true", "false", "null", "yes", "no", "on",
                                    "off", "y", "n" };
    size_t              i;

    if (!isalpha((unsigned char) s[0])) {
        return 0;
    }
    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(s, words[i]) == 0) {
            return 0;
        }
    }
    for (i = 0; s[i]; i++) {
        if (!isalnum((unsigned char) s[i]) && !strchr(" ./_()-", s[i])) {
            return 0;
        }
    }
    return s[i - 1] != ' ';
}


static void
put_scalar(const mc_json_t *v)
{
    size_t   len;
    char    *text;

    if (v->type == MC_JSON_STRING && is_plain(v->str)) {
        fputs(v->str, stdout);
        return;
    }
    len = mc_json_write(NULL, 0, v);
    text = malloc(len + 1);
    if (text == NULL) {
        fail("no memory");
    }
    mc_json_write(text, len + 1, v);
    fputs(text, stdout);
    free(text);
}


static int
is_block(const mc_json_t *v)
{
    return (v->type == MC_JSON_OBJECT || v->type == MC_JSON_ARRAY) && v->n > 0;
}


static int
is_flow_list(const mc_json_t *v)
{
    const mc_json_t  *m;

    for (m = v->child; m; m = m->next) {
        if (is_block(m)) {
            return 0;
        }
    }
    return v->type == MC_JSON_ARRAY;
}


static void
put_flow_list(const mc_json_t *v)
{
    const mc_json_t  *m;

    putchar('[');
    for (m = v->child; m; m = m->next) {
        put_scalar(m);
        fputs(m->next ? ", " : "", stdout);
    }
    putchar(']');
}


static void put_block(const mc_json_t *v, int indent, int begun);


/* What follows "key:" or "-". */
static void
put_value(const mc_json_t *v, int indent)
{
    if (!is_block(v)) {
        putchar(' ');
        put_scalar(v);
        putchar('\n');
    } else if (is_flow_list(v)) {
        putchar(' ');
        put_flow_list(v);
        putchar('\n');
    } else {
        putchar('\n');
        put_block(v, indent + 2, 0);
    }
}


/* begun: the first line has its indentation already. */
static void
put_block(const mc_json_t *v, int indent, int begun)
{
    const mc_json_t  *m;

    for (m = v->child; m; m = m->next) {
        printf("%*s", begun ? 0 : indent, "");
        begun = 0;
        if (v->type == MC_JSON_ARRAY && m->type == MC_JSON_OBJECT) {
            fputs("- ", stdout);
            put_block(m, indent + 2, 1);
        } else if (v->type == MC_JSON_ARRAY) {
            putchar('-');
            put_value(m, indent);
        } else {
            mc_json_t  key = { .type = MC_JSON_STRING, .str = m->key,
                               .len = m->key_len };

            put_scalar(&key);
            putchar(':');
            put_value(m, indent);
        }
    }
}


/* -- the CustomResourceDefinition -- */

/* A name is metadata.name there: its pattern and length become a rule. */
static void
name_rule(mc_json_t *root, const mc_json_t *name)
{
    int         n;
    char        rule[512];
    mc_json_t  *rules = mc_json_array(&heap), *r = mc_json_object(&heap);
    static const char  message[] = "metadata.name must be a DNS label: lower-case "
                                   "letters, digits and dashes, at most 63";

    n = snprintf(rule, sizeof(rule), "self.metadata.name.size() <= %d && "
                 "self.metadata.name.matches('%s')",
                 (int) mc_json_int(mc_json_get(name, "maxLength"), 63),
                 mc_json_str(mc_json_get(name, "pattern"), ""));

    if (n < 0 || (size_t) n >= sizeof(rule)
        || mc_json_set(&heap, r, "rule", mc_json_string(&heap, rule, n)) != 0
        || mc_json_set(&heap, r, "message",
                       mc_json_string(&heap, message, sizeof(message) - 1))
        || mc_json_add(rules, r) != 0
        || mc_json_set(&heap, root, "x-kubernetes-validations", rules) != 0)
    {
        fail("no memory");
    }
}


static void
put_schema(void)
{
    mc_json_t        *root, *required, *properties;
    mc_json_error_t   err;

    root = mc_json_parse(&heap, mc_schema_json, mc_schema_json_len, &err);
    if (root == NULL) {
        fail(err.message);
    }
    properties = mc_json_get(root, "properties");
    name_rule(root, mc_json_get(properties, "name"));
    mc_json_remove(properties, "name");
    required = mc_json_array(&heap);
    if (mc_json_add(required, mc_json_string(&heap, "spec", 4)) != 0
        || mc_json_set(&heap, root, "required", required) != 0)
    {
        fail("no memory");
    }
    put_block(root, INDENT, 0);
}


static void
crd(const char *template)
{
    int    found = 0;
    char   line[1024];
    FILE  *f = fopen(template, "r");

    if (f == NULL) {
        fail("the template cannot be read");
    }
    while (fgets(line, sizeof(line), f)) {
        if (strcmp(line, "@schema@\n") == 0) {
            put_schema();
            found = 1;
        } else {
            fputs(line, stdout);
        }
    }
    fclose(f);
    if (!found) {
        fail("the template has no line @schema@");
    }
}


/* -- judging specs -- */

static mc_schema_t *
compiled(void)
{
    char          err[256];
    mc_schema_t  *s = mc_schema_compile(&heap, mc_schema_json,
                                        mc_schema_json_len, err, sizeof(err));

    if (s == NULL) {
        fail(err);
    }
    return s;
}


static mc_json_t *
spec_of(const char *text)
{
    mc_json_t        *v;
    mc_json_error_t   err;

    v = mc_json_parse(&heap, text, strlen(text), &err);
    if (v == NULL) {
        fail(err.message);
    }
    return v;
}


static void
judge_one(const mc_schema_t *schema, char *line)
{
    char               *tab = strchr(line, '\t');
    unsigned            n, i;
    mc_json_t          *spec, *old;
    mc_schema_error_t   faults[MAX_FAULTS];
    const mc_schema_t  *s = mc_schema_property(schema, "spec");

    if (tab) {
        *tab = '\0';
    }
    spec = spec_of(tab ? tab + 1 : line);
    n = mc_server_validate_spec(schema, spec, faults, MAX_FAULTS);

    if (n == 0 && mc_schema_defaults(s, &heap, spec) != 0) {
        fail("no memory");
    }
    if (n == 0 && tab) {
        old = spec_of(line);
        if (mc_schema_defaults(s, &heap, old) != 0) {
            fail("no memory");
        }
        n = mc_server_validate_change(old, spec, faults, MAX_FAULTS);
    }
    if (n == 0) {
        fputs("V ", stdout);
        put_scalar(spec);
        putchar('\n');
        return;
    }
    putchar('I');
    for (i = 0; i < n; i++) {
        printf(" %s: %s;", faults[i].pointer, faults[i].message);
    }
    putchar('\n');
}


static void
judge(void)
{
    size_t        len;
    static char   line[MAX_LINE];
    mc_schema_t  *schema = compiled();

    while (fgets(line, sizeof(line), stdin)) {
        len = strlen(line);
        if (len == 0 || line[len - 1] != '\n') {
            fail("a line is too long");
        }
        line[len - 1] = '\0';
        judge_one(schema, line);
        fflush(stdout);         /* whoever asks may wait for it */
    }
    mc_schema_free(schema);
}


int
main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "crd") == 0) {
        crd(argv[2]);
    } else if (argc == 2 && strcmp(argv[1], "judge") == 0) {
        judge();
    } else {
        fail("usage: schema crd TEMPLATE | schema judge");
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
