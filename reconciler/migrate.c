/*
 * The migrator. Every statement of sql/migrations is sent on its own, without
 * BEGIN, and remembered in schema_migrations when it is done, so that an
 * interrupted run goes on where it stopped; CockroachDB, which has no
 * transactional DDL, gets on with that as well as PostgreSQL.
 *
 * One process works at a time: it holds a lease, a row that expires unless it
 * is renewed. A second connection renews it while a long statement runs.
 */

#include <errno.h>
#include <libpq-fe.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "mc_sql.h"
#include "migrate.h"

#define MC_LEASE         "15 seconds"
#define MC_LEASE_RENEW   3000       /* ms */
#define MC_LEASE_POLL    200        /* ms, while another process works */
#define MC_RETRIES       10
#define MC_SHA256_HEX    65

typedef struct {
    PGconn   *work;                 /* runs the statements */
    PGconn   *lock;                 /* holds the lease */
    char      holder[33];           /* who we are in the lease */
    bool     *done;                 /* by index in mc_migrations */
    unsigned  n_done;
} migrator_t;

/* -- messages -- */

static void
print_indented(const char *label, const char *text)
{
    if (text && *text) {
        fprintf(stderr, "    %s: %s\n", label, text);
    }
}

/* What the server said, under a line that says what it was asked. */
static void
print_result(const PGconn *conn, const PGresult *res)
{
    const char  *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char  *said = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

    if (said == NULL) {             /* the connection is gone */
        fprintf(stderr, "    %s", PQerrorMessage(conn));
        return;
    }
    print_indented("SQLSTATE", state);
    print_indented("error", said);
    print_indented("detail", PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL));
    print_indented("hint", PQresultErrorField(res, PG_DIAG_MESSAGE_HINT));
}

static void
sleep_ms(long ms)
{
    struct timespec  ts = { ms / 1000, ms % 1000 * 1000000 };

    while (nanosleep(&ts, &ts) != 0 && errno == EINTR) { /* the rest */ }
}

/* -- requests -- */

static bool
succeeded(const PGresult *res)
{
    ExecStatusType  status = PQresultStatus(res);

    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

static PGresult *
query(PGconn *conn, const char *sql, int n, const char *const *params)
{
    return PQexecParams(conn, sql, n, NULL, params, NULL, NULL, 0);
}

/* How often a statement that failed so may be sent again. It was serialized
 * away or waited in vain for a lock: often. It raced with another process that
 * makes the same object, from which IF NOT EXISTS does not protect: a few
 * times, for it may as well be a real duplicate. */
static int
retries(const PGresult *res)
{
    static const struct {
        const char  *state;
        int          retries;
    } states[] = {
        { "40001", MC_RETRIES }, { "40P01", MC_RETRIES },
        { "55P03", MC_RETRIES }, { "23505", 3 }, { "42P07", 3 },
        { "42710", 3 }                  /* the type of the table's rows */
    };
    const char         *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    unsigned            i;

    for (i = 0; state && i < sizeof(states) / sizeof(states[0]); i++) {
        if (strcmp(state, states[i].state) == 0) {
            return states[i].retries;
        }
    }
    return 0;
}

static void
back_off(int tries)
{
    sleep_ms(50L << (tries < 6 ? tries : 6));
}

/* -- the lease -- */

/* 1: it is ours, 0: another's, -1: the database failed, which was told. */
static int
take_lease(const migrator_t *m)
{
    const char  *params[] = { m->holder };
    PGresult    *res;
    int          result;

    res = query(m->lock,
        "INSERT INTO schema_migrations_lease AS l (id, holder, expires_at) "
        "VALUES (1, $1, now() + interval '" MC_LEASE "') "
        "ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, "
        "expires_at = excluded.expires_at "
        "WHERE l.holder = excluded.holder OR l.expires_at < now() "
        "RETURNING holder", 1, params);
    result = PQntuples(res) > 0;
    if (!succeeded(res)) {
        result = retries(res) ? 0 : -1;
        if (result < 0) {
            fprintf(stderr, "migrate: the lease cannot be taken\n");
            print_result(m->lock, res);
        }
    }
    PQclear(res);
    return result;
}

/* Waits until it is ours. */
static bool
wait_for_lease(const migrator_t *m)
{
    bool  said = false;
    int   taken;

    while ((taken = take_lease(m)) == 0) {
        if (!said) {
            fprintf(stderr, "migrate: waiting, another process is at work\n");
            said = true;
        }
        sleep_ms(MC_LEASE_POLL);
    }
    return taken > 0;
}

/* A lease that was lost, by a database that was away for long, is not taken
 * back: somebody else may have begun. */
static bool
renew_lease(const migrator_t *m)
{
    const char  *params[] = { m->holder };
    PGresult    *res;
    bool         held;

    res = query(m->lock,
        "UPDATE schema_migrations_lease "
        "SET expires_at = now() + interval '" MC_LEASE "' "
        "WHERE id = 1 AND holder = $1 AND expires_at > now() "
        "RETURNING holder", 1, params);
    held = PQntuples(res) > 0;
    if (!held) {
        fprintf(stderr, "migrate: the lease was lost\n");
        if (!succeeded(res)) {
            print_result(m->lock, res);
        }
    }
    PQclear(res);
    return held;
}

static void
release_lease(const migrator_t *m)
{
    const char  *params[] = { m->holder };

    PQclear(query(m->lock, "DELETE FROM schema_migrations_lease "
                  "WHERE id = 1 AND holder = $1", 1, params));
}

/* -- one statement -- */

/* Stops what the server still runs for us. */
static void
cancel(PGconn *conn)
{
    PGcancel  *c = PQgetCancel(conn);
    char       err[256];

    if (c) {
        PQcancel(c, err, sizeof(err));
        PQfreeCancel(c);
    }
}

/* Sends a statement as a simple query and renews the lease while it runs.
 * NULL when the lease was lost. */
static PGresult *
run_leased(const migrator_t *m, const char *sql)
{
    struct pollfd  pfd = { PQsocket(m->work), POLLIN, 0 };
    PGresult      *res, *last = NULL;

    if (PQsendQuery(m->work, sql) == 1) {
        while (PQisBusy(m->work)) {
            if (poll(&pfd, 1, MC_LEASE_RENEW) == 0 && !renew_lease(m)) {
                cancel(m->work);
                return NULL;
            }
            if (PQconsumeInput(m->work) == 0) {
                break;
            }
        }
    }
    while ((res = PQgetResult(m->work)) != NULL) {
        PQclear(last);
        last = res;
    }
    return last ? last : PQmakeEmptyPGresult(m->work, PGRES_FATAL_ERROR);
}

/* The file's line that an error points to. */
static int
error_line(const mc_migration_t *s, const PGresult *res)
{
    const char  *field = PQresultErrorField(res, PG_DIAG_STATEMENT_POSITION);
    int          position = field ? atoi(field) : 0, line = s->line, i;

    for (i = 0; i + 1 < position && s->text[i]; i++) {
        line += (s->text[i] == '\n');
    }
    return line;
}

static bool
run_statement(const migrator_t *m, const mc_migration_t *s)
{
    PGresult  *res;
    bool       good;
    int        tries;

    for (tries = 0; ; tries++) {
        res = run_leased(m, s->text);
        if (res == NULL) {
            return false;
        }
        good = succeeded(res);
        if (good || tries >= retries(res)) {
            break;
        }
        PQclear(res);
        back_off(tries);
    }
    if (!good) {
        fprintf(stderr, "migrate: %s:%d: statement %d failed%s\n", s->file,
                error_line(s, res), s->ordinal,
                tries ? ", however often it was tried" : "");
        print_result(m->work, res);
    }
    PQclear(res);
    return good;
}

/* SHA-256 of a statement. Empty lines do not count: they stand for comments,
 * which may be edited. */
static bool
checksum(const char *text, char hex[MC_SHA256_HEX])
{
    EVP_MD_CTX    *ctx = EVP_MD_CTX_new();
    unsigned char  md[EVP_MAX_MD_SIZE];
    unsigned       len = 0, i;
    bool           good;

    good = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;
    for ( ; good && *text; text++) {
        if (text[0] == '\n' && text[1] == '\n') {
            continue;
        }
        good = EVP_DigestUpdate(ctx, text, 1) == 1;
    }
    good = good && EVP_DigestFinal_ex(ctx, md, &len) == 1;
    EVP_MD_CTX_free(ctx);
    for (i = 0; good && i < len; i++) {
        snprintf(hex + 2 * i, 3, "%02x", md[i]);
    }
    if (!good) {
        fprintf(stderr, "migrate: libcrypto cannot compute SHA-256\n");
    }
    return good;
}

/* Writes the ledger's row. Only the holder of the lease may: should another
 * have begun, this says so instead. */
static bool
record(const migrator_t *m, const mc_migration_t *s)
{
    char         version[16], ordinal[16], sha256[MC_SHA256_HEX];
    const char  *params[] = { version, ordinal, s->file, sha256, m->holder };
    PGresult    *res;
    bool         good;

    if (!checksum(s->text, sha256)) {
        return false;
    }
    snprintf(version, sizeof(version), "%d", s->version);
    snprintf(ordinal, sizeof(ordinal), "%d", s->ordinal);
    res = query(m->work,
        "INSERT INTO schema_migrations (version, ordinal, file, sha256) "
        "SELECT $1::bigint, $2::bigint, $3, $4 "
        "WHERE EXISTS (SELECT 1 FROM schema_migrations_lease WHERE id = 1 "
        "AND holder = $5 AND expires_at > now()) "
        "ON CONFLICT (version, ordinal) DO UPDATE SET done_at = now() "
        "RETURNING ordinal", 5, params);
    good = succeeded(res) && PQntuples(res) == 1;
    if (!good) {
        fprintf(stderr, "migrate: %s:%d: statement %d is done but %s\n",
                s->file, s->line, s->ordinal, succeeded(res)
                    ? "the lease was lost" : "cannot be recorded");
        if (!succeeded(res)) {
            print_result(m->work, res);
        }
    }
    PQclear(res);
    return good;
}

/* -- the ledger -- */

static bool
create_ledger(const migrator_t *m)
{
    static const char  *tables[] = {
        "CREATE TABLE IF NOT EXISTS schema_migrations ("
        "version bigint NOT NULL, ordinal bigint NOT NULL, "
        "file text NOT NULL, sha256 text NOT NULL, "
        "done_at timestamptz NOT NULL DEFAULT now(), "
        "PRIMARY KEY (version, ordinal))",
        "CREATE TABLE IF NOT EXISTS schema_migrations_lease ("
        "id bigint PRIMARY KEY, holder text NOT NULL, "
        "expires_at timestamptz NOT NULL)"
    };
    PGresult           *res;
    unsigned            i;
    int                 tries;
    bool                good = true;

    for (i = 0; i < 2 && good; i++) {
        for (tries = 0; ; tries++) {
            res = PQexec(m->work, tables[i]);
            good = succeeded(res);
            if (good || tries >= retries(res)) {
                break;
            }
            PQclear(res);
            back_off(tries);
        }
        if (!good) {
            fprintf(stderr, "migrate: the ledger cannot be made\n");
            print_result(m->work, res);
        }
        PQclear(res);
    }
    return good;
}

static int
find_statement(int version, int ordinal)
{
    unsigned  i;

    for (i = 0; i < mc_migrations_n; i++) {
        if (mc_migrations[i].version == version
            && mc_migrations[i].ordinal == ordinal)
        {
            return (int) i;
        }
    }
    return -1;
}

/* Judges one row of the ledger: version, ordinal, file, sha256, done_at. */
static bool
check_row(migrator_t *m, const PGresult *res, int row)
{
    const mc_migration_t  *s;
    char                   sha256[MC_SHA256_HEX];
    int                    i;

    i = find_statement(atoi(PQgetvalue(res, row, 0)),
                       atoi(PQgetvalue(res, row, 1)));
    if (i < 0) {
        fprintf(stderr, "migrate: the database is newer than this program: "
                "it has statement %s of %s, which is not known here\n",
                PQgetvalue(res, row, 1), PQgetvalue(res, row, 2));
        return false;
    }
    s = &mc_migrations[i];
    if (!checksum(s->text, sha256)) {
        return false;
    }
    if (strcmp(sha256, PQgetvalue(res, row, 3)) != 0) {
        fprintf(stderr, "migrate: %s:%d: statement %d is not the one that "
                "was applied on %s\n    a migration that was applied is "
                "never edited; add another one\n", s->file, s->line,
                s->ordinal, PQgetvalue(res, row, 4));
        return false;
    }
    m->done[i] = true;
    m->n_done++;
    return true;
}

/* What is done is a beginning of the list: a hole means that a statement was
 * put before others that were applied already. */
static bool
check_order(const migrator_t *m)
{
    const mc_migration_t  *s;
    unsigned               i;

    for (i = 0; i < m->n_done; i++) {
        if (!m->done[i]) {
            s = &mc_migrations[i];
            fprintf(stderr, "migrate: %s:%d: statement %d is new, but later "
                    "ones were applied already\n    a migration that was "
                    "applied is never edited; add another one\n", s->file,
                    s->line, s->ordinal);
            return false;
        }
    }
    return true;
}

static bool
read_ledger(migrator_t *m)
{
    PGresult  *res;
    bool       good;
    int        row;

    res = PQexec(m->work, "SELECT version, ordinal, file, sha256, done_at "
                 "FROM schema_migrations ORDER BY version DESC, ordinal DESC");
    good = succeeded(res);
    if (!good) {
        fprintf(stderr, "migrate: the ledger cannot be read\n");
        print_result(m->work, res);
    }
    for (row = 0; good && row < PQntuples(res); row++) {
        good = check_row(m, res, row);
    }
    PQclear(res);
    return good && check_order(m);
}

/* -- the run -- */

static bool
apply(migrator_t *m)
{
    unsigned  i = m->n_done;

    /* The first missing statement may be done and only not recorded. A CREATE
     * that cannot say IF NOT EXISTS, as that of a policy, is repeatable only
     * together with the DROP … IF EXISTS before it. */
    if (i > 0 && i < mc_migrations_n && mc_migrations[i].ordinal > 1
        && strncmp(mc_migrations[i - 1].text, "DROP ", 5) == 0
        && !run_statement(m, &mc_migrations[i - 1]))
    {
        return false;
    }
    for ( ; i < mc_migrations_n; i++) {
        if (!run_statement(m, &mc_migrations[i])
            || !record(m, &mc_migrations[i]) || !renew_lease(m))
        {
            return false;
        }
        if (i + 1 == mc_migrations_n || mc_migrations[i + 1].ordinal == 1) {
            fprintf(stderr, "migrate: %s is applied\n",
                    mc_migrations[i].file);
        }
    }
    return true;
}

static void
ignore_notice(void *arg, const char *message)
{
    (void) arg;
    (void) message;
}

static PGconn *
connect_to(const char *conninfo)
{
    const char  *words[] = { "dbname", "fallback_application_name", NULL };
    const char  *values[] = { conninfo, "mchost-migrate", NULL };
    PGconn      *conn = PQconnectdbParams(words, values, 1);

    if (PQstatus(conn) != CONNECTION_OK) {
        fprintf(stderr, "migrate: %s", PQerrorMessage(conn));
        PQfinish(conn);
        return NULL;
    }
    PQsetNoticeProcessor(conn, ignore_notice, NULL);
    /* A statement that waits for a lock makes all behind it wait, too. */
    PQclear(PQexec(conn, "SET lock_timeout = '10s'"));
    return conn;
}

static bool
run(migrator_t *m)
{
    bool  good;

    if (!create_ledger(m) || !wait_for_lease(m)) {
        return false;
    }
    good = read_ledger(m) && apply(m);
    if (good) {
        fprintf(stderr, "migrate: the schema is up to date, version %d\n",
                mc_migrations[mc_migrations_n - 1].version);
    }
    release_lease(m);
    return good;
}

int
mc_migrate(const char *conninfo)
{
    unsigned char  random[16];
    migrator_t     m;
    bool           good = false;
    unsigned       i;

    memset(&m, 0, sizeof(m));
    m.done = calloc(mc_migrations_n, sizeof(*m.done));
    if (m.done == NULL || RAND_bytes(random, sizeof(random)) != 1) {
        fprintf(stderr, "migrate: no memory or no entropy\n");
        free(m.done);
        return 1;
    }
    for (i = 0; i < sizeof(random); i++) {
        snprintf(m.holder + 2 * i, 3, "%02x", random[i]);
    }
    m.work = connect_to(conninfo);
    m.lock = m.work ? connect_to(conninfo) : NULL;
    if (m.lock) {
        good = run(&m);
    }
    PQfinish(m.lock);
    PQfinish(m.work);
    free(m.done);
    return good ? 0 : 1;
}
