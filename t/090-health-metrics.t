# /healthz, /readyz and /metrics.

use lib 't/lib';
use MCHost::Test;

my $t = MCHost::Test->new(nginx => { WORKERS => 2 });
my $acme = $t->tenant('acme');

sub get { return MCHost::Http::request($t->port, GET => $_[0]) }

subtest 'health' => sub {
    my $r = get('/healthz');
    is($r->status, 200, 'healthz');
    is(MCHost::Http::request($t->port, HEAD => '/healthz')->status, 200, 'HEAD');
    like(MCHost::Http::request($t->port, POST => '/healthz', '{}')->status, qr/^405$/, 'POST');
    $r = get('/readyz');
    is($r->status, 200, 'readyz');
    like($r->header('Cache-Control') // '', qr/no-store|no-cache/, 'is not cached');
    like($r->body, qr/postgres|database/i, 'names the database');
    like($r->body, qr/redis/i, 'and Redis');
};

# Prometheus text: every line is understood, every family has a type.
sub parse {
    my ($text) = @_;

    my (%type, %value, @bad);
    for (split /\n/, $text) {
        if (/^# TYPE (\w+) (counter|gauge|histogram|summary)$/) { $type{$1} = $2 }
        elsif (/^# HELP (\w+) .+$/) { }
        elsif (/^(\w+?)((?:_bucket|_sum|_count)?)(\{(?:[a-z_]\w*="(?:[^"\\\n]|\\.)*",?)*\})? ([-+0-9.eE]+|NaN|\+Inf)$/) {
            my ($name, $suffix, $labels, $v) = ($1, $2, $3 // '', $4);
            my $family = $type{"$name$suffix"} ? "$name$suffix" : $name;
            push @bad, "no type: $_" unless $type{$family};
            push @bad, "twice: $_" if exists $value{"$name$suffix$labels"};
            $value{"$name$suffix$labels"} = $v;
        }
        else { push @bad, "not understood: $_" }
    }
    return (\%type, \%value, \@bad);
}

subtest 'metrics' => sub {
    $t->api(GET => '/me', key => $acme->{key}) for 1 .. 20;
    $t->api(GET => '/me') for 1 .. 5;
    $t->api(GET => '/servers/' . uuid7(), key => $acme->{key});
    my $ws = $t->ws(key => $acme->{key});

    my $r = get('/metrics');
    is($r->status, 200, 'metrics');
    like($r->header('Content-Type'), qr{^text/plain; version=0\.0\.4}, 'Prometheus text');
    my ($type, $value, $bad) = parse($r->body);
    is_deeply($bad, [], 'all of it well-formed');
    cmp_ok(scalar keys %$type, '>=', 10, keys(%$type) . ' families');
    is((grep { !/^mchost_/ } keys %$type) + 0, 0, 'all named mchost_…');
    is((grep { $type->{$_} eq 'counter' && !/_total$/ } keys %$type) + 0, 0, 'counters end in _total') or diag join ' ', grep { $type->{$_} eq 'counter' && !/_total$/ } keys %$type;

    my ($ok) = grep { m{\{.*GET /me.*2} || m{\{.*2.*GET /me} } grep { /_total\{/ } keys %$value;
    ok($ok, 'requests by route and status') or diag $r->body;
    cmp_ok($value->{ $ok // '' } // 0, '>=', 20, 'counted over all workers');
    my ($sockets) = grep { /sockets$/ && $type->{$_} } keys %$type;
    ok(eval { wait_for { (parse(get('/metrics')->body))[1]{$sockets} == 1 } 'the socket to be counted' }, 'open sockets');
    $ws->close;
    wait_for { (parse(get('/metrics')->body))[1]{$sockets} == 0 } 'the socket to be gone';
    unlike($r->body, qr/\Q$acme->{key}\E|$acme->{id}/, 'no key, no tenant');
};

subtest 'counters live through a reload' => sub {
    my $sum = sub { my (undef, $v) = parse(get('/metrics')->body); my $n = 0; $n += $v->{$_} for grep { m{GET /me} && /_total\{/ } keys %$v; $n };
    my $before = $sum->();
    $t->nginx->reload;
    $t->wait_ready;
    $t->api(GET => '/me', key => $acme->{key});
    # counted once the answer is out, so maybe after it was read
    ok(eval { wait_for { $sum->() > $before } 'the count' }, 'and count on');
};

subtest 'metrics are not for everybody' => sub {
    my $n = $t->nginx;
    like($n->text($n->{template}, %{ $n->{vars} }), qr/allow 127\.0\.0\.1; deny all/, 'as configured');
};

subtest 'log variables' => sub {
    $t->nginx->configure($t->nginx->{template}, %{ $t->nginx->{vars} },
        HTTP => q{log_format mc '$mchost_tenant|$mchost_key_id|$mchost_role|$mchost_route|$mchost_pg_time|$mchost_pg_queue_time|$mchost_request_id|$status';},
        SERVER => 'access_log %DIR%/mc.log mc;');
    $t->nginx->reload;
    wait_for { $t->nginx->workers(1) == 2 } 'old workers to exit';
    $t->wait_ready;
    $t->api(GET => '/me', key => $t->key($acme, role => 'viewer'), headers => { 'X-Request-Id' => 'log-1' });
    $t->api(GET => '/me', headers => { 'X-Request-Id' => 'log-2' });
    get('/healthz');
    my $log = wait_for { my $l = slurp("$t->{dir}/mc.log"); $l =~ /log-2/ && $l } 'log lines';
    like($log, qr{^$acme->{id}\|[0-9a-f-]{36}\|viewer\|GET /me\|\d+\.\d+\|\d+\.\d+\|log-1\|200$}m, 'all of them for a request');
    like($log, qr{^-?\|-?\|-?\|GET /me\|[^|]*\|[^|]*\|log-2\|401$}m, 'and for one without a key');
};

done_testing;
