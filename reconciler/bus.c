/*
 * Three connections: "commands" for everything that is answered at once,
 * "hints" for the subscription, "requests" for the XREAD that blocks.
 */

#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bus.h"
#include "log.h"
#include "mc_envelope.h"
#include "mc_uuid.h"
#include "redis.h"

#define KEEPALIVE_MS   5000
#define SILENCE_MS     15000
#define READ_BLOCK_MS  "4000"
#define READ_COUNT     "50"
#define PREFIX_MAX     128
#define KEY_MAX        256
#define STATUS_MAX     (64 * 1024)
#define LOG_TTL        "2592000"    /* 30 days without a line */

/* Appends lines to a stream and publishes each with its entry's id. */
static const char  append_script[] =
    "for i = 4, #ARGV, 2 do\n"
    "  local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*',"
    " 'time', ARGV[i], 'data', ARGV[i + 1])\n"
    "  redis.call('PUBLISH', ARGV[1], '1 ' .. ARGV[3] .. ' ' .. id .. ' '"
    " .. ARGV[i] .. ' ' .. ARGV[i + 1])\n"
    "end\n"
    "redis.call('EXPIRE', KEYS[1], " LOG_TTL ")\n"
    "return 1\n";

struct mc_bus_s {
    mc_bus_conf_t       conf;
    mc_bus_handlers_t   on;
    void               *data;
    mc_redis_t         *commands, *hints, *requests;
    uv_timer_t          timer;
    char                sha[41];            /* of append_script */
    char                last_id[64];        /* of the stream "cmd" */
    bool                reading;            /* XREAD is under way */
    bool                known;              /* last_id is what Redis says */
    bool                closing;
};


static void
key_of(const mc_bus_t *bus, char key[KEY_MAX], const char *name, const char *id)
{
    snprintf(key, KEY_MAX, "%s%s%s", bus->conf.prefix, name, id);
}


static int
send_words(mc_redis_t *redis, mc_redis_reply_pt cb, void *data, int argc,
    const char **argv)
{
    return mc_redis_command(redis, cb, data, argc, argv, NULL);
}


/* -- out -- */

static void
publish(mc_bus_t *bus, const char *topic, const char *tenant, const char *server,
    const char *seq, const char *time, const char *data)
{
    char           channel[KEY_MAX];
    mc_envelope_t  env = {
        .server = server, .seq = seq, .seq_len = strlen(seq),
        .time = time, .time_len = strlen(time),
        .data = data, .data_len = strlen(data)
    };
    const char    *argv[3] = { "PUBLISH", channel };
    char          *message = malloc(STATUS_MAX);

    if (bus == NULL || message == NULL) {
        free(message);
        return;
    }
    snprintf(channel, sizeof(channel), "%st:%s:%s", bus->conf.prefix, tenant,
             topic);
    argv[2] = message;
    if (mc_envelope_encode(message, STATUS_MAX, &env) < STATUS_MAX) {
        send_words(bus->commands, NULL, NULL, 3, argv);
    }
    free(message);
}


void
mc_bus_publish_status(mc_bus_t *bus, const char *tenant, const char *server,
    const char *seq, const char *time, const char *status)
{
    char  id[48];

    snprintf(id, sizeof(id), "%s-0", seq);
    publish(bus, "status", tenant, server, id, time, status);
}


void
mc_bus_publish_event(mc_bus_t *bus, const char *tenant, const char *server,
    const char *seq, const char *time, const char *event)
{
    publish(bus, "events", tenant, server, seq, time, event);
}


void
mc_bus_reply(mc_bus_t *bus, const char *id, const char *json)
{
    char         channel[KEY_MAX];
    const char  *argv[] = { "PUBLISH", channel, json };

    if (bus == NULL) {
        return;
    }
    key_of(bus, channel, "reply:", id);
    send_words(bus->commands, NULL, NULL, 3, argv);
}


/* -- log streams -- */

typedef struct {
    mc_bus_t           *bus;
    mc_bus_written_pt   cb;
    void               *data;
    int                 argc;
    const char        **argv;       /* kept for EVAL when EVALSHA is unknown */
} batch_t;


static void
on_batch(void *data, const redisReply *reply)
{
    batch_t  *batch = data;
    bool      ok = reply != NULL && reply->type == REDIS_REPLY_INTEGER;

    if (reply != NULL && reply->type == REDIS_REPLY_ERROR) {
        if (strncmp(reply->str, "NOSCRIPT", 8) == 0
            && strcmp(batch->argv[0], "EVALSHA") == 0)
        {
            batch->argv[0] = "EVAL";
            batch->argv[1] = append_script;
            if (send_words(batch->bus->commands, on_batch, batch, batch->argc,
                           batch->argv) == 0)
            {
                return;
            }
        } else {
            mc_log(MC_LOG_WARN, "Redis refused log lines", "error", reply->str,
                   NULL);
        }
    }
    batch->cb(batch->data, ok);
    free(batch);
}


static char *
take(char **p, const char *s)
{
    char  *copy = *p;

    *p = stpcpy(*p, s) + 1;
    return copy;
}


/* One allocation: the batch, its words, their text. */
static batch_t *
batch_create(mc_bus_t *bus, const char *key, const char *channel,
    const char *server, const mc_bus_line_t *lines, unsigned n)
{
    int       argc = 7 + 2 * (int) n;
    size_t    size = sizeof(batch_t) + (size_t) argc * sizeof(char *);
    batch_t  *batch;
    char     *p, limit[24];

    snprintf(limit, sizeof(limit), "%" PRId64, bus->conf.log_lines);
    size += strlen(key) + strlen(channel) + strlen(server) + strlen(limit) + 4;
    for (unsigned i = 0; i < n; i++) {
        size += strlen(lines[i].time) + strlen(lines[i].data) + 2;
    }

    batch = malloc(size);
    if (batch == NULL) {
        return NULL;
    }
    batch->bus = bus;
    batch->argc = argc;
    batch->argv = (const char **) (batch + 1);
    p = (char *) (batch->argv + argc);

    batch->argv[0] = "EVALSHA";
    batch->argv[1] = bus->sha;
    batch->argv[2] = "1";
    batch->argv[3] = take(&p, key);
    batch->argv[4] = take(&p, channel);
    batch->argv[5] = take(&p, limit);
    batch->argv[6] = take(&p, server);
    for (unsigned i = 0; i < n; i++) {
        batch->argv[7 + 2 * i] = take(&p, lines[i].time);
        batch->argv[8 + 2 * i] = take(&p, lines[i].data);
    }
    return batch;
}


int
mc_bus_log_write(mc_bus_t *bus, const char *tenant, const char *server,
    const mc_bus_line_t *lines, unsigned n, mc_bus_written_pt cb, void *data)
{
    char      key[KEY_MAX], channel[KEY_MAX];
    batch_t  *batch;

    if (bus == NULL) {
        return -1;
    }
    key_of(bus, key, "log:", server);
    snprintf(channel, sizeof(channel), "%st:%s:logs", bus->conf.prefix, tenant);

    batch = batch_create(bus, key, channel, server, lines, n);
    if (batch == NULL) {
        return -1;
    }
    batch->cb = cb;
    batch->data = data;
    if (send_words(bus->commands, on_batch, batch, batch->argc, batch->argv) != 0) {
        free(batch);
        return -1;
    }
    return 0;
}


typedef struct {
    mc_bus_last_pt   cb;
    void            *data;
} last_t;


/* The field called name of a stream entry [id, [name, value, …]], or NULL. */
static const char *
field(const redisReply *entry, const char *name)
{
    const redisReply  *fields;

    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2) {
        return NULL;
    }
    fields = entry->element[1];
    if (fields->type != REDIS_REPLY_ARRAY) {
        return NULL;
    }
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        if (fields->element[i]->type == REDIS_REPLY_STRING
            && fields->element[i + 1]->type == REDIS_REPLY_STRING
            && strcmp(fields->element[i]->str, name) == 0)
        {
            return fields->element[i + 1]->str;
        }
    }
    return NULL;
}


static void
on_last(void *data, const redisReply *reply)
{
    last_t      *last = data;
    const char  *time = NULL;

    if (reply != NULL && reply->type == REDIS_REPLY_ARRAY) {
        time = reply->elements == 0 ? NULL : field(reply->element[0], "time");
        if (time == NULL) {
            time = "";
        }
    }
    last->cb(last->data, time);
    free(last);
}


int
mc_bus_log_last(mc_bus_t *bus, const char *server, mc_bus_last_pt cb, void *data)
{
    char         key[KEY_MAX];
    const char  *argv[] = { "XREVRANGE", key, "+", "-", "COUNT", "1" };
    last_t      *last = malloc(sizeof(*last));

    if (bus == NULL || last == NULL) {
        free(last);
        return -1;
    }
    *last = (last_t) { cb, data };
    key_of(bus, key, "log:", server);

    if (send_words(bus->commands, on_last, last, 6, argv) != 0) {
        free(last);
        return -1;
    }
    return 0;
}


void
mc_bus_log_remove(mc_bus_t *bus, const char *server)
{
    char         key[KEY_MAX];
    const char  *argv[] = { "UNLINK", key };

    if (bus == NULL) {
        return;
    }
    key_of(bus, key, "log:", server);
    send_words(bus->commands, NULL, NULL, 2, argv);
}


/* -- hints -- */

static void
on_hint(void *data, const redisReply *reply)
{
    mc_bus_t    *bus = data;
    const char  *text;
    char         ids[2][MC_UUID_LEN + 1];

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3
        || reply->element[2]->type != REDIS_REPLY_STRING
        || strcmp(reply->element[0]->str, "message") != 0)
    {
        return;
    }
    text = reply->element[2]->str;
    if (reply->element[2]->len != 2 * MC_UUID_LEN + 1
        || !mc_uuid_valid(text, MC_UUID_LEN)
        || !mc_uuid_valid(text + MC_UUID_LEN + 1, MC_UUID_LEN))
    {
        mc_log(MC_LOG_DEBUG, "a hint that is none was ignored", NULL);
        return;
    }
    snprintf(ids[0], sizeof(ids[0]), "%s", text);
    snprintf(ids[1], sizeof(ids[1]), "%s", text + MC_UUID_LEN + 1);
    bus->on.wake(bus->data, ids[0], ids[1]);
}


static void
subscribe(mc_bus_t *bus)
{
    char  channel[KEY_MAX];

    key_of(bus, channel, "wake", "");
    mc_redis_subscribe(bus->hints, channel, on_hint, bus);
}


static void
hints_change(void *data, bool up)
{
    if (up) {
        subscribe(data);
    }
}


/* -- requests -- */

static void read_commands(mc_bus_t *bus);

/* The entries that XREAD brought, until those that run them are told. */
typedef struct {
    mc_bus_t          *bus;
    unsigned           n;
    mc_bus_command_t   cmd[];
} requests_t;


static int
request_copy(mc_bus_command_t *cmd, const redisReply *entry)
{
    const char  *op = field(entry, "op"), *deadline = field(entry, "deadline");

    cmd->id = field(entry, "id");
    cmd->tenant = field(entry, "tenant");
    cmd->server = field(entry, "server");
    cmd->line = field(entry, "arg");

    if (cmd->id == NULL || cmd->tenant == NULL || cmd->server == NULL
        || cmd->line == NULL || op == NULL || strcmp(op, "console") != 0
        || !mc_uuid_valid(cmd->id, strlen(cmd->id))
        || !mc_uuid_valid(cmd->tenant, strlen(cmd->tenant))
        || !mc_uuid_valid(cmd->server, strlen(cmd->server)))
    {
        return -1;
    }
    cmd->deadline_ms = deadline == NULL ? 0 : strtoll(deadline, NULL, 10);
    cmd->id = strdup(cmd->id);
    cmd->tenant = strdup(cmd->tenant);
    cmd->server = strdup(cmd->server);
    cmd->line = strdup(cmd->line);
    return 0;
}


static void
requests_free(requests_t *req)
{
    for (unsigned i = 0; i < req->n; i++) {
        free((char *) req->cmd[i].id);
        free((char *) req->cmd[i].tenant);
        free((char *) req->cmd[i].server);
        free((char *) req->cmd[i].line);
    }
    free(req);
}


/* The place in the stream is saved: now the commands may run. A reconciler
 * that is killed in the meantime loses them rather than running them twice. */
static void
on_saved(void *data, const redisReply *reply)
{
    requests_t  *req = data;
    mc_bus_t    *bus = req->bus;

    if (reply != NULL && !bus->closing) {
        for (unsigned i = 0; i < req->n; i++) {
            const mc_bus_command_t  *cmd = &req->cmd[i];

            if (cmd->id != NULL && cmd->tenant != NULL && cmd->server != NULL
                && cmd->line != NULL)
            {
                bus->on.command(bus->data, cmd);
            }
        }
    }
    requests_free(req);
}


static void
take_requests(mc_bus_t *bus, const redisReply *entries)
{
    requests_t  *req = calloc(1, sizeof(*req) + entries->elements
                                                * sizeof(mc_bus_command_t));
    char         key[KEY_MAX];
    const char  *argv[] = { "SET", key, bus->last_id };

    for (size_t i = 0; i < entries->elements; i++) {
        const redisReply  *entry = entries->element[i];

        if (entry->type == REDIS_REPLY_ARRAY && entry->elements == 2
            && entry->element[0]->type == REDIS_REPLY_STRING)
        {
            snprintf(bus->last_id, sizeof(bus->last_id), "%s",
                     entry->element[0]->str);
        }
        if (req != NULL && request_copy(&req->cmd[req->n], entry) == 0) {
            req->n++;
        }
    }
    if (req == NULL) {
        return;
    }

    req->bus = bus;
    key_of(bus, key, "cmd:last", "");
    if (send_words(bus->commands, on_saved, req, 3, argv) != 0) {
        requests_free(req);
    }
}


static void
on_read(void *data, const redisReply *reply)
{
    mc_bus_t  *bus = data;

    bus->reading = false;
    if (reply == NULL || bus->closing) {
        return;
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        mc_log(MC_LOG_WARN, "Redis refused to be read", "error", reply->str, NULL);
        return;                             /* the timer tries again */
    }

    /* [[stream, entries]], or nil after the time is up */
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 1
        && reply->element[0]->type == REDIS_REPLY_ARRAY
        && reply->element[0]->elements == 2
        && reply->element[0]->element[1]->type == REDIS_REPLY_ARRAY)
    {
        take_requests(bus, reply->element[0]->element[1]);
    }
    read_commands(bus);
}


/* Where the last reconciler was; what came since is still to be done, if its
 * deadline has not passed. */
static void
on_known(void *data, const redisReply *reply)
{
    mc_bus_t  *bus = data;

    bus->reading = false;
    if (reply == NULL || bus->closing || reply->type == REDIS_REPLY_ERROR) {
        return;
    }
    snprintf(bus->last_id, sizeof(bus->last_id), "%s",
             reply->type == REDIS_REPLY_STRING ? reply->str : "0-0");
    bus->known = true;
    read_commands(bus);
}


static void
read_commands(mc_bus_t *bus)
{
    char         key[KEY_MAX];
    const char  *get[] = { "GET", key };
    const char  *read[] = { "XREAD", "COUNT", READ_COUNT, "BLOCK", READ_BLOCK_MS,
                            "STREAMS", key, bus->last_id };

    if (bus->reading || !mc_redis_up(bus->requests)) {
        return;
    }
    key_of(bus, key, bus->known ? "cmd" : "cmd:last", "");
    bus->reading = bus->known
                   ? send_words(bus->requests, on_read, bus, 8, read) == 0
                   : send_words(bus->requests, on_known, bus, 2, get) == 0;
}


static void
requests_change(void *data, bool up)
{
    if (up) {
        read_commands(data);
    }
}


/* -- life -- */

static void
commands_change(void *data, bool up)
{
    mc_bus_t  *bus = data;

    bus->on.change(bus->data, up);
}


static void
on_keepalive(uv_timer_t *timer)
{
    mc_bus_t    *bus = timer->data;
    const char  *ping[] = { "PING" };

    send_words(bus->commands, NULL, NULL, 1, ping);
    if (mc_redis_up(bus->hints)) {
        subscribe(bus);
    }
    read_commands(bus);
}


static mc_redis_t *
connection(uv_loop_t *loop, mc_bus_t *bus, const char *name,
    mc_redis_change_pt change)
{
    mc_redis_conf_t  conf = {
        .name = name, .url = bus->conf.url, .user = bus->conf.user,
        .password = bus->conf.password, .silence_ms = SILENCE_MS,
        .change = change, .data = bus
    };

    return mc_redis_create(loop, &conf);
}


static void
on_closed(uv_handle_t *handle)
{
    free(handle->data);
}


mc_bus_t *
mc_bus_create(uv_loop_t *loop, const mc_bus_conf_t *conf,
    const mc_bus_handlers_t *handlers, void *data)
{
    mc_bus_t       *bus;
    unsigned char   sha[SHA_DIGEST_LENGTH];

    if (strlen(conf->prefix) > PREFIX_MAX) {
        return NULL;
    }
    bus = calloc(1, sizeof(*bus));
    if (bus == NULL) {
        return NULL;
    }
    bus->conf = *conf;
    bus->on = *handlers;
    bus->data = data;

    SHA1((const unsigned char *) append_script, strlen(append_script), sha);
    for (int i = 0; i < SHA_DIGEST_LENGTH; i++) {
        snprintf(bus->sha + 2 * i, 3, "%02x", sha[i]);
    }

    uv_timer_init(loop, &bus->timer);
    bus->timer.data = bus;
    uv_timer_start(&bus->timer, on_keepalive, KEEPALIVE_MS, KEEPALIVE_MS);

    bus->commands = connection(loop, bus, "commands", commands_change);
    bus->hints = connection(loop, bus, "hints", hints_change);
    bus->requests = connection(loop, bus, "requests", requests_change);
    if (bus->commands == NULL || bus->hints == NULL || bus->requests == NULL) {
        mc_bus_destroy(bus);
        return NULL;
    }
    return bus;
}


void
mc_bus_destroy(mc_bus_t *bus)
{
    if (bus == NULL) {
        return;
    }
    bus->closing = true;
    mc_redis_destroy(bus->requests);
    mc_redis_destroy(bus->hints);
    mc_redis_destroy(bus->commands);
    uv_close((uv_handle_t *) &bus->timer, on_closed);
}


bool
mc_bus_up(const mc_bus_t *bus)
{
    return bus != NULL && mc_redis_up(bus->commands);
}
