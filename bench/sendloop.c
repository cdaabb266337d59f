/*
 * The peer of the fan-out benchmark: a bare loop of send(). One thread reads
 * a Redis subscription and sends every message as a WebSocket frame to every
 * TCP connection that was accepted. No handshake, no subscriptions, no queue:
 * what is left when a server does nothing but fan out.
 *
 *   sendloop -p PORT -r REDIS_SOCKET -c CHANNEL [-u USER -P PASSWORD_FILE]
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <hiredis/hiredis.h>

#define MAX_SOCKETS  65536

static int  fds[MAX_SOCKETS];
static int  nfds;


static void
die(const char *what)
{
    fprintf(stderr, "sendloop: %s: %s\n", what, strerror(errno));
    exit(1);
}


static int
listen_on(int port)
{
    int                 fd, one = 1;
    struct sockaddr_in  sin = { .sin_family = AF_INET, .sin_port = htons((uint16_t) port) };

    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (fd == -1 || bind(fd, (struct sockaddr *) &sin, sizeof(sin)) == -1 || listen(fd, 1024) == -1) {
        die("listen");
    }
    return fd;
}


/* An unmasked text frame (RFC 6455, section 5.2) to everybody. */
static void
fan_out(const char *msg, size_t len)
{
    static unsigned char  frame[65536];
    size_t                n = 0;

    if (len > sizeof(frame) - 4) {
        return;
    }
    frame[n++] = 0x81;
    if (len < 126) {
        frame[n++] = (unsigned char) len;
    } else {
        frame[n++] = 126;
        frame[n++] = (unsigned char) (len >> 8);
        frame[n++] = (unsigned char) len;
    }
    memcpy(frame + n, msg, len);
    n += len;

    for (int i = 0; i < nfds; i++) {
        if (send(fds[i], frame, n, MSG_NOSIGNAL) != -1) {
            continue;
        }
        if (errno != EPIPE && errno != ECONNRESET) {
            die("send");
        }
        close(fds[i]);
        fds[i--] = fds[--nfds];
    }
}


/* Everybody who waits, before the next message. */
static void
let_in(int lfd)
{
    int  one = 1;

    while (nfds < MAX_SOCKETS && (fds[nfds] = accept(lfd, NULL, NULL)) != -1) {
        setsockopt(fds[nfds++], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
}


static void
messages(redisContext *c)
{
    redisReply  *r;

    if (redisBufferRead(c) != REDIS_OK) {
        die("redis read");
    }
    for ( ;; ) {
        if (redisGetReplyFromReader(c, (void **) &r) != REDIS_OK) {
            die("redis reply");
        }
        if (r == NULL) {
            return;
        }
        if (r->type == REDIS_REPLY_ARRAY && r->elements == 3 && strcmp(r->element[0]->str, "message") == 0) {
            fan_out(r->element[2]->str, r->element[2]->len);
        }
        freeReplyObject(r);
    }
}


int
main(int argc, char **argv)
{
    int                  o, port = 0, lfd, ep, n;
    const char          *redis = NULL, *channel = NULL, *user = NULL;
    char                 password[256] = "";
    FILE                *f;
    redisContext        *c;
    redisReply          *r;
    struct epoll_event   ev = { .events = EPOLLIN }, events[16];
    struct rlimit        rl = { 65536, 65536 };

    while ((o = getopt(argc, argv, "p:r:c:u:P:")) != -1) {
        switch (o) {
        case 'p': port = atoi(optarg); break;
        case 'r': redis = optarg; break;
        case 'c': channel = optarg; break;
        case 'u': user = optarg; break;
        case 'P':
            f = fopen(optarg, "r");
            if (f == NULL || fgets(password, sizeof(password), f) == NULL) {
                die(optarg);
            }
            fclose(f);
            password[strcspn(password, "\n")] = '\0';
            break;
        default:  exit(2);
        }
    }
    if (port == 0 || redis == NULL || channel == NULL) {
        fprintf(stderr, "sendloop: -p, -r and -c are needed\n");
        exit(2);
    }
    setrlimit(RLIMIT_NOFILE, &rl);

    c = redisConnectUnix(redis);
    if (c == NULL || c->err) {
        die("redis");
    }
    if (user != NULL) {
        r = redisCommand(c, "AUTH %s %s", user, password);
        if (r == NULL || r->type == REDIS_REPLY_ERROR) {
            die("redis AUTH");
        }
        freeReplyObject(r);
    }
    redisAppendCommand(c, "SUBSCRIBE %s", channel);
    while (redisBufferWrite(c, &o) == REDIS_OK && !o) { /* void */ }

    lfd = listen_on(port);
    ep = epoll_create1(0);
    ev.data.fd = lfd;
    epoll_ctl(ep, EPOLL_CTL_ADD, lfd, &ev);
    ev.data.fd = c->fd;
    epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev);

    for ( ;; ) {
        n = epoll_wait(ep, events, 16, -1);
        for (int i = 0; i < n; i++) {
            let_in(lfd);
            if (events[i].data.fd == c->fd) {
                messages(c);
            }
        }
    }
}
