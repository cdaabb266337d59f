/*
 * The pods' network: a bridge of this installation's own. Its subnet must
 * differ from every other on this machine, those of other installations
 * included, which Podman cannot see while their bridges are down: the place to
 * look first comes from the hash in the network's name.
 */

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "engine_podman_private.h"
#include "log.h"

/* 10.128.0.0/9, in pieces of /24. */
#define POOL_BASE    0x0a800000u
#define POOL_PIECES  32768u
#define TRIES        64

static void create_network(op_t *op);

/* Some route, other than the default, leads to addresses of this /24. */
static bool
routed(uint32_t subnet)
{
    FILE      *f = fopen("/proc/net/route", "re");
    char       line[256];
    unsigned   dst, mask;
    bool       found = false;

    if (f == NULL) {
        return false;
    }
    while (!found && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%*s %x %*x %*x %*d %*d %*d %x", &dst, &mask) == 2
            && mask != 0)
        {
            dst = ntohl(dst);
            mask = ntohl(mask);
            found = (dst & mask & 0xffffff00u) == (subnet & mask & 0xffffff00u)
                    || (dst & 0xffffff00u) == subnet;
        }
    }
    fclose(f);
    return found;
}

static uint32_t
next_subnet(op_t *op)
{
    const char  *hash = strrchr(op->podman->network, '-') + 1;
    uint32_t     first = (uint32_t) strtoul(hash, NULL, 16), subnet = 0;

    while (op->tries < TRIES) {
        subnet = POOL_BASE + ((first + op->tries++) % POOL_PIECES << 8);
        if (!routed(subnet)) {
            break;
        }
    }
    return subnet;
}

static void
on_created(op_t *op, const mc_http_reply_t *r)
{
    if (r->status == 200 || r->status == 201 || r->status == 409) {
        op->podman->network_there = true;
        op->then(op, NULL);

    } else if (strstr(r->body, "subnet") && op->tries < TRIES) {
        create_network(op);             /* another network has it */

    } else {
        podman_op_fail_reply(op, r);
    }
}

static void
create_network(op_t *op)
{
    uint32_t  subnet = next_subnet(op);
    char      body[512];

    /* no names among pods: they have nothing to say to each other */
    snprintf(body, sizeof(body), "{\"name\":\"%s\",\"driver\":\"bridge\","
             "\"network_interface\":\"%s\",\"dns_enabled\":false,"
             "\"subnets\":[{\"subnet\":\"%u.%u.%u.0/24\"}],"
             "\"labels\":{\"app.kubernetes.io/managed-by\":\"mchost\"}}",
             op->podman->network, op->podman->bridge, subnet >> 24,
             subnet >> 16 & 255, subnet >> 8 & 255);
    podman_op_send(op, on_created, "POST", "/networks/create",
                   "application/json", body);
}

static void
on_exists(op_t *op, const mc_http_reply_t *r)
{
    if (r->status == 204) {
        op->podman->network_there = true;
        op->then(op, NULL);
    } else if (r->status == 404) {
        create_network(op);
    } else {
        podman_op_fail_reply(op, r);
    }
}

void
podman_network(op_t *op, op_step_pt step)
{
    char  path[128];

    if (op->podman->network_there) {
        step(op, NULL);
        return;
    }
    op->then = step;
    op->tries = 0;
    snprintf(path, sizeof(path), "/networks/%s/exists", op->podman->network);
    podman_op_send(op, on_exists, "GET", path, NULL, NULL);
}


/* -- apart from each other -- */

/* A port that is gone by now needs nothing. */
static bool
isolate_port(const char *ports, const char *name)
{
    char  path[400];
    int   fd;
    bool  done;

    snprintf(path, sizeof(path), "%.100s/%.255s/isolated", ports, name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT;
    }
    done = write(fd, "1", 1) == 1;
    close(fd);
    return done;
}

void
podman_isolate(podman_t *p)
{
    char            path[64];
    DIR            *ports;
    struct dirent  *port;
    bool            done;

    snprintf(path, sizeof(path), "/sys/class/net/%s/brif", p->bridge);
    ports = opendir(path);
    done = ports != NULL;
    while (ports && (port = readdir(ports)) != NULL) {
        if (port->d_name[0] != '.' && !isolate_port(path, port->d_name)) {
            done = false;
        }
    }
    if (ports) {
        closedir(ports);
    }
    if (!done && !p->not_isolated) {
        mc_log(MC_LOG_WARN, "servers reach each other over the pods' network",
               "bridge", p->bridge, NULL);
    }
    p->not_isolated = !done;
}
