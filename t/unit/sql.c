/* The statement and migration tables that tools/sql2c.awk makes, and how it
 * takes wrong input. */

#include <ctype.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "mc_sql.h"
#include "tap.h"

static char  dir[] = "/tmp/mchost-sql.XXXXXX";

/* The highest $n of a text. */
static int
highest(const char *s)
{
    int  max = 0, n;

    for ( ; *s; s++) {
        if (s[0] == '$' && isdigit((unsigned char) s[1])) {
            n = atoi(s + 1);
            max = n > max ? n : max;
        }
    }
    return max;
}

static void
test_statements(void)
{
    const char  *s;
    int          i, j, unique = 1, params = 1, plain = 1;

    for (i = 0; i < MC_SQL_MAX; i++) {
        s = mc_sql[i].text;
        for (j = 0; j < i; j++) {
            unique &= strcmp(mc_sql[i].name, mc_sql[j].name) != 0;
        }
        params &= (mc_sql[i].nparams == highest(s));
        plain &= !strchr(s, ';') && !strstr(s, "--") && !strstr(s, "{{")
                 && s[0] != '\n' && s[strlen(s) - 1] != '\n';
    }
    ok(unique, "names of statements are unique");
    ok(params, "the numbers of parameters are right");
    ok(plain, "no comment, fragment or semicolon is left");
    is(mc_sql[MC_SQL_PING].text, "SELECT 1", "a statement stands at its id");
    is(mc_sql[MC_SQL_SERVER_CREATE].name, "server_create", "... by its name");
    ok(mc_sql[MC_SQL_SERVER_GET].read_only
       && !mc_sql[MC_SQL_SERVER_UPDATE].read_only, "reads are marked");
}

static void
test_migrations(void)
{
    const mc_migration_t  *m = mc_migrations;
    unsigned               i;
    int                    order = 1, plain = 1;

    ok(mc_migrations_n > 3, "there are migrations");
    ok(m[0].version == 1 && m[0].ordinal == 1, "the first is the first");
    for (i = 1; i < mc_migrations_n; i++) {
        order &= (m[i].version == m[i - 1].version
                  && m[i].ordinal == m[i - 1].ordinal + 1
                  && m[i].line > m[i - 1].line
                  && strcmp(m[i].file, m[i - 1].file) == 0)
                 || (m[i].version > m[i - 1].version && m[i].ordinal == 1);
        plain &= !strchr(m[i].text, ';') && m[i].text[0] > ' ';
    }
    ok(order, "versions, ordinals and lines ascend");
    ok(plain, "texts have no semicolon");
}

static void
put(const char *name, const char *text)
{
    char   path[128];
    FILE  *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "w");
    if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0) {
        printf("Bail out! cannot write %s\n", path);
        exit(1);
    }
}

/* Runs the awk program on s.sql and 001_a.sql and returns what it said. */
static const char *
compile(const char *statements, const char *migration, int *status)
{
    static char  said[4096];
    char         command[512];
    FILE        *p;
    size_t       n;

    put("s.sql", statements);
    put("001_a.sql", migration);
    snprintf(command, sizeof(command), "awk -v gen=%s -f tools/sql2c.awk "
             "%s/s.sql %s/001_a.sql 2>&1", dir, dir, dir);
    p = popen(command, "r");
    n = fread(said, 1, sizeof(said) - 1, p);
    said[n] = '\0';
    *status = WEXITSTATUS(pclose(p));
    return said;
}

static void
wrong(const char *statements, const char *migration, const char *words)
{
    int          status;
    const char  *said = compile(statements, migration, &status);
    char         path[128];

    ok(status == 1 && strstr(said, words), "refused: %s", words);
    if (strstr(said, words) == NULL) {
        diag("it said: %s", said);
    }
    snprintf(path, sizeof(path), "%s/mc_sql_table.c", dir);
    ok(access(path, F_OK) != 0, "... and nothing is written");
}

#define GOOD       "-- name: a\nSELECT 1;\n"
#define MIGRATION  "CREATE TABLE x (y int);\n"

static void
test_wrong(void)
{
    wrong("-- name: a\nSELECT {{b}};\n", MIGRATION, "s.sql:1: ");
    wrong("-- name: a\nSELECT {{b}};\n", MIGRATION, "no such fragment");
    wrong("-- fragment: b\n{{b}}\n-- name: a\nSELECT {{b}};\n", MIGRATION,
          "includes itself");
    wrong("-- name: a\nSELECT $1;\n", MIGRATION, "names 0 parameters and uses $1");
    wrong("-- name: a\n-- params: x, y\nSELECT $1;\n", MIGRATION,
          "s.sql:2: statement \"a\" names 2 parameters and uses $1");
    wrong(GOOD GOOD, MIGRATION, "s.sql:3: statement \"a\" is there twice");
    wrong("-- fragment: a\nx\n-- fragment: a\ny\n" GOOD, MIGRATION,
          "s.sql:3: fragment \"a\" is there twice");
    wrong("-- name: a\nSELECT 1\n", MIGRATION, "s.sql:1: statement \"a\" has no line");
    wrong("-- name: a\nSELECT 'x;\n", MIGRATION, "never closed");
    wrong("SELECT 1;\n" GOOD, MIGRATION, "s.sql:1: text outside");
    wrong(GOOD "SELECT 2;\n", MIGRATION, "s.sql:3: text outside");
    wrong("-- fragment: f\nx;\n" GOOD, MIGRATION, "s.sql:2: a fragment");
    wrong("-- name: A b\nSELECT 1;\n", MIGRATION, "s.sql:1: \"A b\" is no name");
    wrong(GOOD "-- params: x\n", MIGRATION, "s.sql:3: \"-- params: x\" belongs");
    wrong("-- name: a\n;\n", MIGRATION, "s.sql:2: an empty statement");
    wrong(GOOD, "CREATE TABLE x (\n", "001_a.sql:1: the statement that begins");
    wrong(GOOD, MIGRATION "\n-- x\n\nDROP TABLE y\n", "001_a.sql:5: ");
    wrong(GOOD, "", "no migrations");
}

static void
test_right(void)
{
    static char  text[4096];
    char         path[128];
    int          status;
    size_t       n;
    FILE        *f;
    const char  *said;

    said = compile("-- fragment: b\n{{c}} \"?\\\" -- comment\n"
                   "-- fragment: c\n$1\n"
                   "-- name: a\n-- params: q\n-- read-only\n"
                   "SELECT {{b}}, -- what\n  'x;\n--y''z' -- not the end;\n;\n",
                   "-- A table.\nCREATE TABLE x (\n-- inside\n  y int);\n\n"
                   "DO $x$ BEGIN\nNULL;\nEND $x$;\n", &status);
    ok(status == 0 && *said == '\0', "quotes, comments, nested fragments");
    snprintf(path, sizeof(path), "%s/mc_sql_table.c", dir);
    f = fopen(path, "r");
    n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
    text[n] = '\0';
    if (f) {
        fclose(f);
    }
    ok(strstr(text, "{ \"a\",\n"
                    "      \"SELECT $1 \\\"\\?\\\\\\\",\\n\"\n"
                    "      \"  'x;\\n\"\n"
                    "      \"--y''z'\",\n"
                    "      1, 1 }"), "the statement as a C literal");
    ok(strstr(text, "{ 1, 1, \"001_a.sql\", 2,\n"
                    "      \"CREATE TABLE x (\\n\"\n"
                    "      \"\\n\"\n"
                    "      \"  y int)\" }"),
       "a migration keeps its lines");
    ok(strstr(text, "{ 1, 2, \"001_a.sql\", 6,"), "... and tells them");
    ok(strstr(text, "NULL;\\n\"\n      \"END $x$\""), "... and dollar quotes");
}

static void
clean(void)
{
    static const char  *names[] = { "s.sql", "001_a.sql", "mc_sql_ids.h",
                                    "mc_sql_table.c" };
    char                path[128];
    unsigned            i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

int
main(void)
{
    if (mkdtemp(dir) == NULL) {
        printf("Bail out! no directory for temporary files\n");
        return 1;
    }
    test_statements();
    test_migrations();
    ok(access("tools/sql2c.awk", R_OK) == 0, "run from the top of the tree");
    test_wrong();
    test_right();
    clean();
    return done_testing();
}
