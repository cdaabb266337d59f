#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include "engine.h"
#include "secret.h"

#define SECRET_MIN  16
#define SECRET_MAX  4096

/* The one secret of the installation, for the life of the process. */
static struct {
    unsigned char  bytes[SECRET_MAX];
    size_t         len;
} secret;


static void
hex_digits(const unsigned char *p, size_t n, char *dst)
{
    static const char  digits[] = "0123456789abcdef";
    size_t             i;

    for (i = 0; i < n; i++) {
        dst[2 * i] = digits[p[i] >> 4];
        dst[2 * i + 1] = digits[p[i] & 15];
    }
    dst[2 * n] = '\0';
}

/* Reads at most size bytes; how many, or -1. */
static ssize_t
read_all(int fd, unsigned char *buf, size_t size)
{
    size_t   len = 0;
    ssize_t  n;

    while (len < size) {
        n = read(fd, buf + len, size - len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -1;
        }
        if (n == 0) {
            break;
        }
        len += (size_t) n;
    }
    return (ssize_t) len;
}

static int
check(const char *file, int fd, char *err, size_t errlen)
{
    struct stat  st;
    mode_t       others;

    if (fd < 0 || fstat(fd, &st) != 0) {
        snprintf(err, errlen, "cannot read the secret \"%s\": %s", file,
                 strerror(errno));
        return -1;
    }
    /* of root's file our group may read: so a kubelet mounts a Secret */
    others = st.st_uid == 0 ? 037 : 077;
    if (!S_ISREG(st.st_mode) || (st.st_mode & others) != 0) {
        snprintf(err, errlen, "the secret \"%s\" must be a file that only "
                 "its owner can read: chmod 600 %s", file, file);
        return -1;
    }
    return 0;
}

int
mc_secret_load(const char *file, char *err, size_t errlen)
{
    unsigned char  buf[SECRET_MAX + 1];
    ssize_t        n;
    int            fd = open(file, O_RDONLY | O_CLOEXEC);

    if (check(file, fd, err, errlen) != 0) {
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    n = read_all(fd, buf, sizeof(buf));
    close(fd);
    while (n > 0 && n <= SECRET_MAX
           && (buf[n - 1] == '\n' || buf[n - 1] == '\r'))
    {
        n--;
    }
    if (n < SECRET_MIN || n > SECRET_MAX) {
        snprintf(err, errlen, "the secret \"%s\" must have %d to %d bytes",
                 file, SECRET_MIN, SECRET_MAX);
        OPENSSL_cleanse(buf, sizeof(buf));
        return -1;
    }
    memcpy(secret.bytes, buf, (size_t) n);
    secret.len = (size_t) n;
    OPENSSL_cleanse(buf, sizeof(buf));
    return 0;
}

void
mc_secret_hmac(const char *text, size_t len, char hex[65])
{
    unsigned char  mac[EVP_MAX_MD_SIZE];
    unsigned       n = 0;

    if (HMAC(EVP_sha256(), secret.bytes, (int) secret.len,
             (const unsigned char *) text, len, mac, &n) == NULL || n != 32)
    {
        hex[0] = '\0';          /* an empty password never logs in */
        return;
    }
    hex_digits(mac, 32, hex);
    OPENSSL_cleanse(mac, sizeof(mac));
}

void
mc_sha256_hex(const void *data, size_t len, char hex[65])
{
    unsigned char  md[EVP_MAX_MD_SIZE];
    unsigned       n = 0;

    if (EVP_Digest(data, len, md, &n, EVP_sha256(), NULL) != 1 || n != 32) {
        hex[0] = '\0';
        return;
    }
    hex_digits(md, 32, hex);
}

void
mc_secret_unload(void)
{
    OPENSSL_cleanse(&secret, sizeof(secret));
}

void
mc_rcon_password(const char *server_id, char password[65])
{
    mc_secret_hmac(server_id, strlen(server_id), password);
}
