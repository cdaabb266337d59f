/*
 * The load side of the fan-out benchmark: opens N sockets to a server, sends
 * W status events at a time through Redis and counts what arrives (a closed
 * loop). Against mchost the sockets are WebSockets with a subscription; against
 * the peer (sendloop) they are bare TCP connections that get the same frames.
 *
 *   fanout -p PORT -n SOCKETS -w WINDOW -s SECONDS -r REDIS_SOCKET -c CHANNEL
 *          [-b BYTES] [-t TOKEN_FILE] [-u USER -P PASSWORD_FILE] [-d PID]
 *
 * Prints: messages received per second, and the server's CPU seconds per
 * million of them (of process PID).
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <hiredis/hiredis.h>
#include "mc_envelope.h"

#define SERVERS  4096           /* ids in rotation: nothing to coalesce */
#define DATA     1024           /* bytes of an event's data at most */

typedef struct {
    int            fd;
    unsigned char  head[14];    /* of the frame being read */
    size_t         have;
    size_t         skip;        /* payload bytes still to come */
    long           frames;
} sock_t;

static struct {
    int          port, sockets, window, seconds, pid, bytes;
    const char  *redis, *channel, *user;
    char         token[256], password[256];
} opt = { .port = 8080, .sockets = 1000, .window = 8, .seconds = 5, .bytes = 68 };

static long    received;        /* frames, over all sockets */
static double  received_at;     /* the last of them */


static void
die(const char *what)
{
    fprintf(stderr, "fanout: %s: %s\n", what, strerror(errno));
    exit(1);
}


static double
now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec + ts.tv_nsec / 1e9;
}


/* CPU seconds that a process has used, user and system. */
static double
cpu_of(int pid)
{
    char           path[64], line[1024], *p;
    FILE          *f;
    unsigned long  utime, stime;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    f = fopen(path, "r");
    if (pid == 0 || f == NULL || fgets(line, sizeof(line), f) == NULL) {
        return 0;
    }
    fclose(f);

    p = strrchr(line, ')');
    if (p == NULL || sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                            &utime, &stime) != 2)
    {
        return 0;
    }
    return (double) (utime + stime) / (double) sysconf(_SC_CLK_TCK);
}


static void
read_secret(const char *path, char *dst, size_t size)
{
    FILE  *f = fopen(path, "r");

    if (f == NULL || fgets(dst, (int) size, f) == NULL) {
        die(path);
    }
    fclose(f);
    dst[strcspn(dst, "\n")] = '\0';
}


static void
write_all(int fd, const void *data, size_t len)
{
    if (write(fd, data, len) != (ssize_t) len) {
        die("write");
    }
}


static int
dial(void)
{
    int                 fd, one = 1;
    struct sockaddr_in  sin = { .sin_family = AF_INET, .sin_port = htons((uint16_t) opt.port) };

    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd == -1 || connect(fd, (struct sockaddr *) &sin, sizeof(sin)) == -1) {
        die("connect");
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}


/* Upgrades the connection and subscribes to the status of every server. */
static void
subscribe(int fd)
{
    static const char  text[] = "{\"op\":\"subscribe\",\"id\":1,\"topics\":[\"status\"],\"servers\":[\"*\"]}";
    char               buf[2048];
    unsigned char      frame[6 + sizeof(text)];
    size_t             n = 0;
    ssize_t            got;

    n = (size_t) snprintf(buf, sizeof(buf),
            "GET /api/v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Protocol: mchost.v1\r\nAuthorization: Bearer %s\r\n\r\n",
            opt.token);
    write_all(fd, buf, n);

    for (n = 0; n < sizeof(buf) - 1; n++) {
        got = read(fd, buf + n, 1);
        if (got != 1) {
            die("handshake");
        }
        if (n >= 3 && memcmp(buf + n - 3, "\r\n\r\n", 4) == 0) {
            break;
        }
    }
    if (strncmp(buf, "HTTP/1.1 101", 12) != 0) {
        fprintf(stderr, "fanout: no upgrade: %.60s\n", buf);
        exit(1);
    }

    /* masked with zeros: the text stays as it is */
    frame[0] = 0x81;
    frame[1] = 0x80 | (sizeof(text) - 1);
    memset(frame + 2, 0, 4);
    memcpy(frame + 6, text, sizeof(text) - 1);
    write_all(fd, frame, 6 + sizeof(text) - 1);
}


/* Counts the frames in what was read; payloads are skipped. */
static void
count(sock_t *s, const unsigned char *p, size_t len)
{
    size_t  take, need;

    while (len > 0) {
        if (s->skip > 0) {
            take = len < s->skip ? len : s->skip;
            s->skip -= take;
            p += take;
            len -= take;
            if (s->skip == 0) {
                s->frames++;
                received++;
            }
            continue;
        }

        s->head[s->have++] = *p++;
        len--;
        if (s->have < 2) {
            continue;
        }
        need = (s->head[1] & 0x7f) == 126 ? 4 : (s->head[1] & 0x7f) == 127 ? 10 : 2;
        if (s->have < need) {
            continue;
        }
        if ((s->head[0] & 0x0f) == 8) {
            fprintf(stderr, "fanout: a socket was closed by the server\n");
            exit(1);
        }
        s->skip = need == 2 ? s->head[1] & 0x7fu : need == 4 ? (size_t) (s->head[2] << 8 | s->head[3]) : 0;
        if (need == 10) {
            for (size_t i = 2; i < 10; i++) {
                s->skip = s->skip << 8 | s->head[i];
            }
        }
        s->have = 0;
    }
}


static void
poll_sockets(int ep, int timeout)
{
    static unsigned char  buf[256 * 1024];
    struct epoll_event    events[256];
    int                   n, i;
    ssize_t               got;
    sock_t               *s;

    n = epoll_wait(ep, events, 256, timeout);
    for (i = 0; i < n; i++) {
        s = events[i].data.ptr;
        got = read(s->fd, buf, sizeof(buf));
        if (got == 0 || (got == -1 && errno != EAGAIN)) {
            die("a socket was cut");
        }
        if (got > 0) {
            count(s, buf, (size_t) got);
        }
    }
}


static redisContext *
redis_dial(void)
{
    redisContext  *c = redisConnectUnix(opt.redis);
    redisReply    *r;

    if (c == NULL || c->err) {
        die("redis");
    }
    if (opt.user != NULL) {
        r = redisCommand(c, "AUTH %s %s", opt.user, opt.password);
        if (r == NULL || r->type == REDIS_REPLY_ERROR) {
            die("redis AUTH");
        }
        freeReplyObject(r);
    }
    return c;
}


static void
publish(redisContext *c, long k)
{
    char           server[37], seq[32], data[DATA], msg[DATA + 128];
    size_t         n;
    mc_envelope_t  env;

    snprintf(server, sizeof(server), "00000000-0000-7000-8000-%012lx", k % SERVERS);
    n = (size_t) snprintf(seq, sizeof(seq), "%ld-0", k + 1);
    memset(data, 'x', sizeof(data));
    memcpy(data, "{\"message\":\"", 12);
    memcpy(data + opt.bytes - 2, "\"}", 2);

    env.server = server;
    env.seq = seq;
    env.seq_len = n;
    env.time = "2026-01-01T00:00:00.000Z";
    env.time_len = 24;
    env.data = data;
    env.data_len = (size_t) opt.bytes;
    n = mc_envelope_encode(msg, sizeof(msg), &env);
    redisAppendCommand(c, "PUBLISH %s %b", opt.channel, msg, n);
}


/* Publishes in a closed loop for a while; returns the messages sent. */
static long
drive(int ep, redisContext *c, double seconds)
{
    long     sent = 0, base = received;
    double   end = now() + seconds, quiet;
    int      done;
    long     last;
    redisReply  *r;

    while (now() < end) {
        long  room = opt.window - (sent - (received - base) / opt.sockets);

        for (long i = 0; i < room; i++) {
            publish(c, sent++);
        }
        if (room > 0) {
            do {
                if (redisBufferWrite(c, &done) != REDIS_OK) {
                    die("redis write");
                }
            } while (!done);
            for (long i = 0; i < room; i++) {
                if (redisGetReply(c, (void **) &r) != REDIS_OK) {
                    die("redis read");
                }
                freeReplyObject(r);
            }
        }
        poll_sockets(ep, 100);
    }

    /* what is still on its way; five seconds of silence mean it was lost */
    last = received;
    quiet = received_at = now();
    while (received - base < sent * opt.sockets && now() - quiet < 5) {
        poll_sockets(ep, 100);
        if (received != last) {
            last = received;
            quiet = received_at = now();
        }
    }
    return sent;
}


static void
options(int argc, char **argv)
{
    int  o;

    while ((o = getopt(argc, argv, "p:n:w:s:r:c:t:u:P:d:b:")) != -1) {
        switch (o) {
        case 'p': opt.port = atoi(optarg); break;
        case 'n': opt.sockets = atoi(optarg); break;
        case 'w': opt.window = atoi(optarg); break;
        case 's': opt.seconds = atoi(optarg); break;
        case 'r': opt.redis = optarg; break;
        case 'c': opt.channel = optarg; break;
        case 't': read_secret(optarg, opt.token, sizeof(opt.token)); break;
        case 'u': opt.user = optarg; break;
        case 'P': read_secret(optarg, opt.password, sizeof(opt.password)); break;
        case 'd': opt.pid = atoi(optarg); break;
        case 'b': opt.bytes = atoi(optarg); break;
        default:  exit(2);
        }
    }
    if (opt.redis == NULL || opt.channel == NULL || opt.bytes < 16 || opt.bytes > DATA) {
        fprintf(stderr, "fanout: -r and -c are needed, and -b between 16 and 1024\n");
        exit(2);
    }
}


int
main(int argc, char **argv)
{
    sock_t              *socks;
    int                  ep, i;
    double               begin, spent, cpu;
    long                 sent, base, lost;
    redisContext        *c;
    struct epoll_event   ev = { .events = EPOLLIN };
    struct rlimit        rl = { 65536, 65536 };

    options(argc, argv);
    setrlimit(RLIMIT_NOFILE, &rl);

    socks = calloc((size_t) opt.sockets, sizeof(*socks));
    ep = epoll_create1(0);
    if (socks == NULL || ep == -1) {
        die("start");
    }
    for (i = 0; i < opt.sockets; i++) {
        socks[i].fd = dial();
        if (opt.token[0]) {
            subscribe(socks[i].fd);
        }
        fcntl(socks[i].fd, F_SETFL, O_NONBLOCK);
        ev.data.ptr = &socks[i];
        epoll_ctl(ep, EPOLL_CTL_ADD, socks[i].fd, &ev);
    }

    /* the acknowledgement, then the snapshot of the tenant's one server */
    begin = now();
    while (opt.token[0] && received < 2L * opt.sockets) {
        poll_sockets(ep, 100);
        if (now() - begin > 30) {
            fprintf(stderr, "fanout: %ld of %d answers to subscribe\n", received, 2 * opt.sockets);
            exit(1);
        }
    }

    c = redis_dial();
    drive(ep, c, 1);            /* warm-up */

    base = received;
    cpu = cpu_of(opt.pid);
    begin = now();
    sent = drive(ep, c, opt.seconds);
    spent = received_at - begin;
    cpu = cpu_of(opt.pid) - cpu;
    lost = sent * opt.sockets - (received - base);

    printf("%.0f messages/s, %.2f CPU s per million, %ld lost\n",
           (double) (received - base) / spent, cpu * 1e6 / (double) (received - base), lost);
    redisFree(c);
    return 0;
}
