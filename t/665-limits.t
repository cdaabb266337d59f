# Limits of requests by key and by tenant, over all workers; the quota of
# sockets; the directive and what nginx -t says of it.

use lib 't/lib';
use MCHost::Test;

# a rate so low that nothing comes back while the test runs
my $t = MCHost::Test->new(nginx => { WORKERS => 2, API => 'mchost_rate_limit key 1r/m burst=20;' });
my $red = $t->tenant('red');
my $blue = $t->tenant('blue');

sub statuses {
    my ($key, $n) = @_;

    my %got;
    $got{ $t->api(GET => '/me', key => $key)->status }++ for 1 .. $n;
    return \%got;
}

subtest 'by key' => sub {
    my $key = $t->key($red);
    is($t->api(GET => '/me', key => $key)->status, 200, 'the first makes it known');
    my $r = $t->api(GET => '/me', key => $key);
    is($r->header('RateLimit-Policy'), '"key";q=20;w=1200', 'the policy');
    like($r->header('RateLimit'), qr/^"key";r=19;t=\d+$/, 'what is left');
    is_deeply(statuses($key, 30), { 200 => 19, 429 => 11 }, 'twenty and no more, whichever worker');
    $r = $t->api(POST => '/servers', key => $key, body => { name => 'x', spec => $t->spec });
    is($r->status, 429, 'a write as well');
    is($r->json->{type}, 'urn:mchost:problem:rate-limited', 'a problem');
    cmp_ok($r->header('Retry-After'), '>', 1, 'Retry-After says how long');
    like($r->header('RateLimit'), qr/^"key";r=0;t=\d+$/, 'nothing is left');
    is($t->sql("SELECT count(*) FROM servers"), '0', 'nothing was written');
    is($t->api(GET => '/me', key => $red->{key})->status, 200, 'another key of the tenant goes on');
    is(statuses((new_token(uuid7()))[0], 30)->{401}, 30, 'an unknown key is unknown, not limited');
};

subtest 'the quota of a tenant' => sub {
    $t->sql("UPDATE tenants SET requests_per_minute = 5 WHERE tenant_id = '$blue->{id}'");
    my @keys = map { $t->key($blue) } 1 .. 8;
    my %got;
    $got{ $t->api(GET => '/me', key => $_)->status }++ for @keys;
    is_deeply(\%got, { 200 => 8 }, 'each is made known');
    %got = ();
    for (1 .. 3) { $got{ $t->api(GET => '/me', key => $_)->status }++ for @keys }
    cmp_ok($got{200}, '<=', 7, 'all keys of a tenant together');
    cmp_ok($got{200}, '>=', 5, 'have its quota');
    my $r = $t->api(GET => '/me', key => $keys[0]);
    is($r->status, 429, 'and no more');
    like($r->header('RateLimit'), qr/^"tenant";r=0/, 'says which');
    like($r->json->{detail}, qr/tenant/, 'in words too');
};

subtest 'sockets' => sub {
    my $max = $t->tenant('max');
    $t->sql("UPDATE tenants SET max_sockets = 2 WHERE tenant_id = '$max->{id}'");
    my @ws = map { $t->ws(key => $max->{key}) } 1 .. 2;
    is((grep { $_->open } @ws) + 0, 2, 'two');
    my $ws = $t->ws(key => $max->{key}, refused => 1);
    is($ws->status, 403, 'not three');
    is($t->api(GET => '/quota', key => $max->{key})->json->{use}{sockets}, 2, 'GET /quota counts them');
    shift(@ws)->close;
    wait_for { $t->ws(key => $max->{key}, refused => 1)->open } 'one that closed makes room';
    pass('room again');
};

subtest 'the directive' => sub {
    my $try = sub {
        my ($http, $api) = @_;
        my $n = MCHost::Test->new(postgres => 0, redis => 0, nginx => { POSTGRES => 'mchost_postgres main { conninfo "host=/tmp"; } mchost_postgres platform { conninfo "host=/tmp"; }', HTTP => $http, API => $api }, start => 0);
        return $n->nginx->test_config;
    };
    for ([ 'mchost_rate_limit key fast;', qr/invalid rate "fast"/ ], [ 'mchost_rate_limit key 0r\/s;', qr/invalid rate/ ], [ 'mchost_rate_limit me 1r/s;', qr/invalid parameter "me"/ ],
        [ 'mchost_rate_limit key 1r/s burst=x;', qr/invalid parameter "burst=x"/ ], [ 'mchost_rate_limit key 1r/s; mchost_rate_limit key 2r/s;', qr/"mchost_rate_limit" directive is duplicate/ ],
        [ 'mchost_rate_limit on;', qr/invalid parameter "on"/ ]) {
        my ($status, $said) = $try->($_->[0], '');
        isnt($status, 0, $_->[0]);
        like($said, $_->[1], 'said so');
    }
    my ($status, $said) = $try->('mchost_rate_limit key 10r/s burst=50; mchost_rate_limit tenant 600r/m;', 'mchost_rate_limit off;');
    is($status, 0, 'a good one') or diag $said;
};

done_testing;
