/*
 * crontab's times and the zones they are meant in.
 */

#include <time.h>
#include "cron.h"
#include "tap.h"

static mc_zone_t  *berlin, *utc;


static int64_t
at(int year, int month, int day, int hour, int minute)
{
    struct tm  tm = {
        .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day,
        .tm_hour = hour, .tm_min = minute
    };

    return timegm(&tm);
}


static void
test_parse(void)
{
    static const char *const  good[] = {
        "* * * * *", "0 4 * * *", "*/15 0-6 1,15 jan-mar mon-fri", "5/10 * * * *",
        "0 0 * * 7", "@daily", "@hourly", "@yearly", "59 23 31 12 SUN"
    };
    static const char *const  bad[] = {
        "", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *",
        "* * 32 * *", "* * * 13 * ", "* * * * 8", "5-1 * * * *", "*/0 * * * *",
        "a * * * *", "1, * * * *", "1- * * * *", "@reboot", "-1 * * * *",
        "99999 * * * *"
    };
    mc_cron_t  cron;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        is_int(mc_cron_parse(&cron, good[i]), 0, "%s", good[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        is_int(mc_cron_parse(&cron, bad[i]), -1, "no time: \"%s\"", bad[i]);
    }
}


static int
matches(const char *text, int64_t when)
{
    mc_cron_t  cron;

    return mc_cron_parse(&cron, text) == 0 && mc_cron_matches(&cron, utc, when);
}


static void
test_match(void)
{
    int64_t  t = at(2026, 11, 24, 4, 30);       /* a Tuesday */

    ok(matches("30 4 * * *", t) && matches("30 4 * * *", t + 59), "the minute");
    ok(!matches("30 4 * * *", t + 60) && !matches("30 4 * * *", t - 1), "no other");
    ok(matches("* * 24 11 *", t) && !matches("* * 25 11 *", t), "the day");
    ok(matches("* * * * tue", t) && !matches("* * * * wed", t), "the weekday");
    ok(matches("* * 1 * tue", t) && matches("* * 24 * wed", t), "either of both");
    ok(!matches("* * 1 * wed", t), "but one");
    ok(!matches("* * */2 * wed", t - 86400 * 3), "with a step of *: both");
    ok(matches("*/15 * * * *", t) && !matches("*/20 * * * *", t), "steps");
    ok(matches("0 0 * * 7", at(2026, 11, 29, 0, 0)), "Sunday is 7 as well");
    ok(matches("0 0 29 2 *", at(2028, 2, 29, 0, 0)), "a leap day");
    ok(matches("59 23 31 12 *", at(1999, 12, 31, 23, 59)), "the last minute");
}


static void
test_window(void)
{
    mc_cron_t  cron;
    int64_t    t = at(2026, 7, 1, 2, 0);        /* 04:00 in Berlin */

    mc_cron_parse(&cron, "0 4 * * *");
    ok(mc_cron_open(&cron, berlin, 60, t), "it opens");
    ok(!mc_cron_open(&cron, berlin, 60, t - 1), "not before");
    ok(mc_cron_open(&cron, berlin, 60, t + 3599), "it stays open");
    ok(!mc_cron_open(&cron, berlin, 60, t + 3600), "and closes");
    ok(!mc_cron_open(&cron, utc, 60, t), "in UTC it is another time");
    t = at(2026, 12, 1, 3, 0);
    ok(mc_cron_open(&cron, berlin, 60, t) && !mc_cron_open(&cron, berlin, 60, t - 1),
       "in winter an hour later");
}


/* Against the C library, which knows one zone at a time. */
static void
test_zones(void)
{
    static const char *const  names[] = {
        "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata",
        "America/Nuuk", "Africa/Casablanca", "Pacific/Apia", "Europe/Dublin",
        "Asia/Gaza", "UTC"
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        mc_zone_t  *zone = mc_zone_load(NULL, names[i]);
        int         wrong = 0;

        setenv("TZ", names[i], 1);
        tzset();
        for (int64_t t = 0; zone != NULL && t < 4102444800; t += 12347) {
            time_t     now = (time_t) t;
            struct tm  tm;

            localtime_r(&now, &tm);
            wrong += mc_zone_offset(zone, t) != tm.tm_gmtoff;
        }
        ok(zone != NULL && wrong == 0, "%s, 1970 to 2100: %d differ", names[i], wrong);
        mc_zone_free(zone);
    }
    ok(mc_zone_load(NULL, "Nowhere/Land") == NULL, "no such zone");
    ok(mc_zone_load(NULL, "../zoneinfo/UTC") == NULL, "not outside of the database");
    ok(mc_zone_load(NULL, "/etc/localtime") == NULL, "nor by its path");
    ok(mc_zone_load(NULL, "Europe") == NULL, "nor a directory");
    ok(mc_zone_load(NULL, "zone.tab") == NULL, "nor any file");
}


/* Every prefix of a file, and every byte of its head changed. */
static void
test_damaged(void)
{
    static uint8_t  text[8192], copy[8192];
    FILE           *f = fopen("/usr/share/zoneinfo/Europe/Berlin", "r");
    size_t          n = fread(text, 1, sizeof(text), f);
    unsigned        read = 0;

    fclose(f);
    for (size_t len = 0; len < n; len++) {
        uint8_t    *exact = malloc(len + 1);
        mc_zone_t  *zone;

        memcpy(exact, text, len);
        zone = mc_zone_read(exact, len);
        read += zone != NULL;
        mc_zone_free(zone);
        free(exact);
    }
    is_int(read, 0, "no part of a file is one");

    for (size_t i = 0; i < n; i++) {
        mc_zone_t  *zone;

        memcpy(copy, text, n);
        copy[i] ^= 0xff;
        zone = mc_zone_read(copy, n);
        if (zone != NULL) {
            mc_zone_offset(zone, 1700000000);
            mc_zone_offset(zone, 4000000000);
            mc_zone_offset(zone, -4000000000);
        }
        mc_zone_free(zone);
    }
    ok(1, "nor does a changed one do harm");
}


int
main(void)
{
    berlin = mc_zone_load(NULL, "Europe/Berlin");
    utc = mc_zone_load(NULL, "UTC");
    ok(berlin != NULL && utc != NULL, "the system has a time zone database");
    test_parse();
    test_match();
    test_window();
    test_zones();
    test_damaged();
    mc_zone_free(berlin);
    mc_zone_free(utc);
    return done_testing();
}
